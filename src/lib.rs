//! TensorFlow datasets to Apache Arrow.

mod error;
mod tf;
mod wire;

pub use error::{Error, ErrorKind, Location, Result};
pub use tf::dtype::DType;
pub use tf::shape::Shape;
pub use tf::spec::ElementSpec;
pub use wire::compress::Compression;
