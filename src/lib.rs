//! TensorFlow datasets to Apache Arrow.

mod column;
mod convert;
mod error;
mod reader;
mod schema;
mod sink;
mod source;
mod tensor;
mod tf;
mod wire;

pub use convert::{Summary, convert};
pub use error::{Error, ErrorKind, Location, Result};
pub use reader::{Batches, Reader, ReaderBuilder};
pub use schema::feature::{DefaultValue, Encoding, FeatureSpec, Missing};
pub use schema::mapping::{BFloat16Storage, BoolStorage, Structure, TensorLayout};
pub use sink::{Format, OutputCompression, Sink, SinkOptions, open_sink, remove_partial_outputs};
pub use source::open::{DEFAULT_MAX_RECORD_BYTES, InferRecords, RecordKind};
pub use source::{Cardinality, Partition, Progress, ReadOptions, Selection, Source, Unit, Units};
pub use tensor::extension::{FixedShapeTensor, VariableShapeTensor};
pub use tf::dtype::DType;
pub use tf::shape::Shape;
pub use tf::spec::ElementSpec;
pub use wire::compress::Compression;
