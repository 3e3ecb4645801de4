//! TensorFlow datasets as Apache Arrow: read batch by batch, written as files that pandas, polars,
//! pyarrow and DuckDB open at once. TensorFlow is not needed.
//!
//! # Which type do I need?
//!
//! * [`ReaderBuilder`] names the input and how to read it.
//! * [`Reader`] is what it builds: an iterator of [`RecordBatch`](arrow::array::RecordBatch)es, and
//!   a [`RecordBatchReader`](arrow::array::RecordBatchReader) for everything that takes one.
//! * [`convert`] reads a source with several threads and writes it with a [`Sink`] that
//!   [`open_sink`] opens.
//! * [`Source`] is what to implement for another kind of input; [`conformance`] checks it.
//!
//! # Read batches
//!
//! ```
//! use tfarrow::ReaderBuilder;
//!
//! let reader = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).build()?;
//! let mut rows = 0;
//! for batch in reader {
//!     let batch = batch?;
//!     assert_eq!(batch.schema().fields().len(), 4);
//!     rows += batch.num_rows();
//! }
//! assert_eq!(rows, 1797);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Read some columns
//!
//! What is not asked for is not decoded.
//!
//! ```
//! use arrow::array::AsArray;
//! use arrow::datatypes::Int64Type;
//! use tfarrow::ReaderBuilder;
//!
//! let reader = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"])
//!     .with_columns(["label"])
//!     .build()?;
//! let mut sum = 0;
//! for batch in reader {
//!     sum += batch?.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>();
//! }
//! assert_eq!(sum, 8070);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Write Parquet
//!
//! ```
//! use tfarrow::{ReaderBuilder, SinkOptions, convert, open_sink};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("digits.parquet");
//! let builder = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]);
//! let source = builder.build_source()?;
//! let sink = open_sink(&path, &source.schema(), &SinkOptions::default())?;
//! let summary = convert(&source, Some(sink), builder.read_options(), 2)?;
//! assert_eq!(summary.rows, 1797);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Use a column of tensors
//!
//! A feature of a fixed number of values becomes an `arrow.fixed_shape_tensor` column: row-major
//! values, one row after the other, in one buffer.
//!
//! ```
//! use arrow::array::AsArray;
//! use arrow::datatypes::Float32Type;
//! use tfarrow::{FixedShapeTensor, ReaderBuilder};
//!
//! let mut reader = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).build()?;
//! let batch = reader.next().expect("a batch")?;
//! let schema = batch.schema();
//! let field = schema.field_with_name("pixels")?;
//! let tensor = FixedShapeTensor::from_field(field)?.expect("a tensor column");
//! assert_eq!(tensor.shape, [64]);
//! let pixels = batch.column_by_name("pixels").expect("pixels").as_fixed_size_list();
//! let values: &[f32] = pixels.values().as_primitive::<Float32Type>().values();
//! assert_eq!(values.len(), batch.num_rows() * 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Order, threads and memory
//!
//! Rows come in the order of the source: shards in the order of their names, one after the other,
//! whatever the number of threads; so do the batches, which all have
//! [`batch_rows`](ReadOptions::batch_rows) rows but for the last. Memory is bounded by the size of
//! a batch times the number of threads, not by the size of the dataset.
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `cli` | yes | the `tfarrow` program |
//! | `gzip` | yes | GZIP and ZLIB input |
//! | `parquet` | yes | the Parquet sink |
//! | `ndarray` | yes | [`tensor`] views, [`from_array`], [`to_arrays`] |
//! | `mmap` | yes | [`IpcMap`] |
//! | `npz` | yes | `.npz` output |
//! | `ffi` | yes | [`export_stream`]: the Arrow C stream interface |
//! | `tensorflow` | no | live `tf.data` pipelines, run by libtensorflow, which is found at run time |
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(
    test,
    allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)
)]

mod column;
mod convert;
mod error;
#[cfg(feature = "ffi")]
mod ffi;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod input;
pub mod options;
mod reader;
pub mod report;
mod schema;
mod sink;
mod source;
mod tensor;
mod text;
mod tf;
mod wire;

#[cfg(feature = "ndarray")]
pub use column::array::{BatchBuilder, from_array, from_view};
pub use convert::{Conversion, Converted, FolderOptions, FolderSummary, Summary, convert, convert_to_folder};
pub use error::{Error, ErrorKind, Location, Result};
#[cfg(feature = "ffi")]
pub use ffi::export_stream;
pub use options::{
    BFloat16Storage, BoolStorage, InferRecords, OnError, ParquetEncodings, RecordKind, Structure,
    TensorLayout,
};
pub use reader::conformance;
pub use reader::remainder::{DropRemainder, drop_remainder};
pub use reader::{Batches, Reader, ReaderBuilder};
pub use schema::cast::Cast;
pub use schema::feature::{DefaultValue, Encoding, FeatureSpec, Missing};
pub use schema::features_file::parse_features;
pub use sink::{Format, OutputCompression, Sink, SinkOptions, open_sink, remove_partial_outputs};
#[cfg(feature = "mmap")]
pub use source::ipc_map::{IpcMap, MappedBatch};
/// Elements that the caller delivers: datasets that run elsewhere, such as `tf.data` in Python.
pub mod elements {
    pub use crate::source::elements::{Component, Deliveries, Delivery, Elements, Values, Wanted};
}
pub use source::kinds::input_kinds;
pub use source::live::PYTHON_HELPER;
/// Pipelines built in Rust and run by TensorFlow.
#[cfg(feature = "tensorflow")]
pub mod live {
    pub use crate::source::live::{Components, DataOptions, Dataset, ModelFunction, Values};
}
pub use source::options::DEFAULT_MAX_RECORD_BYTES;
pub use source::report::{Failure, Report};
pub use source::{
    Cardinality, Decoded, InputFile, Partition, PartitionRange, Progress, ReadOptions, Selection, Source,
    Unit, Units, Verified,
};
pub use tensor::extension::{FixedShapeTensor, VariableShapeTensor};
#[cfg(feature = "ndarray")]
pub use tensor::{
    collect::{ArrayCollector, Arrays, to_arrays},
    column::{TensorColumn, tensor},
    element::Element,
    parts::{Bytes, Ragged, Sparse, SparseRow},
};
pub use tf::dtype::DType;
pub use tf::shape::Shape;
pub use tf::spec::ElementSpec;
pub use wire::compress::Compression;

/// The programs of the README, so that they are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "mmap", feature = "ndarray"))]
#[doc = include_str!("../docs/arrays.md")]
struct DocsArrays;
