//! TensorFlow datasets to Apache Arrow.

mod error;
mod schema;
mod source;
mod tensor;
mod tf;
mod wire;

pub use error::{Error, ErrorKind, Location, Result};
pub use schema::mapping::{BFloat16Storage, BoolStorage, Structure, TensorLayout};
pub use source::{Cardinality, Partition, Progress, ReadOptions, Selection, Source, Unit, Units};
pub use tensor::extension::{FixedShapeTensor, VariableShapeTensor};
pub use tf::dtype::DType;
pub use tf::shape::Shape;
pub use tf::spec::ElementSpec;
pub use wire::compress::Compression;
