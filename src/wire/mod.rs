//! Bytes in, checked values out: framing, checksums, protobuf's wire format, compression, images.
//!
//! Nothing here does input or output, and nothing here knows of Arrow or of TensorFlow's types.
//! Lengths found in input are compared with the bytes at hand before anything is reserved.

pub(crate) mod compress;
pub(crate) mod crc;
#[cfg(feature = "image")]
pub(crate) mod image;
pub(crate) mod proto;
#[cfg(feature = "array-record")]
pub(crate) mod riegeli;
pub(crate) mod sha256;
pub(crate) mod snappy;
pub(crate) mod table;
pub(crate) mod tfrecord;
#[cfg(feature = "parquet")]
pub(crate) mod thrift;
pub(crate) mod varints;
