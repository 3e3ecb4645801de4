//! TensorFlow datasets as Apache Arrow: read batch by batch, written as files that pandas, polars,
//! pyarrow and DuckDB open at once. TensorFlow is not needed.
//!
//! # Where is what I need?
//!
//! * [`read`] names the input, and the [`ReaderBuilder`] that it gives takes options; what that builds, a
//!   [`Reader`], is an iterator of [`RecordBatch`](arrow::array::RecordBatch)es.
//! * [`Conversion`] writes what a builder names to a file or a folder of files.
//! * [`array`](mod@array): columns of tensors as `ndarray` views, whole datasets as arrays, mapped files.
//! * [`schema`]: what to say of features, and casts. [`options`]: the values of options, and the table
//!   of them all.
//! * [`source`]: what is read, cut into units and decoded on any thread; implement
//!   [`Source`](source::Source) for another kind of input, which [`conformance`] checks.
//!   [`input`]: stores of files, to read from elsewhere than local folders.
//! * [`sink`]: where batches go, one by one. [`report`]: what there is to say about a dataset.
//! * [`live`]: `tf.data` pipelines. [`elements`]: elements that the caller delivers.
//!
//! The crates whose types stand in this one's are its own too: with `tfarrow::arrow` (version 59), [`half`],
//! `tfarrow::ndarray` and `num_complex` the versions are the same, whatever `cargo add arrow` takes.
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
//! use tfarrow::arrow::array::AsArray;
//! use tfarrow::arrow::datatypes::Int64Type;
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
//! use tfarrow::sink::{SinkOptions, open_sink};
//! use tfarrow::{ReaderBuilder, convert};
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
//! use tfarrow::arrow::array::AsArray;
//! use tfarrow::arrow::datatypes::Float32Type;
//! use tfarrow::array::FixedShapeTensor;
//! use tfarrow::ReaderBuilder;
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
//! [`batch_rows`](source::ReadOptions::batch_rows) rows but for the last. Memory is bounded by the size of
//! a batch times the number of threads, not by the size of the dataset.
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `cli` | yes | the `tfarrow` program; a library does without it |
//! | `gzip` | yes | GZIP and ZLIB input |
//! | `array-record` | yes | ArrayRecord input |
//! | `image` | yes | [images decoded to tensors](ReaderBuilder::with_decode_images) |
//! | `parquet` | yes | Parquet, input and output |
//! | `ndarray` | yes | views of [`array`](mod@array), [`from_array`](array::from_array), [`to_arrays`](array::to_arrays) |
//! | `mmap` | yes | [`IpcMap`](array::IpcMap), [`NpyMap`](array::NpyMap) |
//! | `npz` | yes | `.npz` output |
//! | `ffi` | yes | [`export_stream`]: the Arrow C stream interface |
//! | `cloud` | no | object stores and web servers: `s3://`, `gs://`, `az://`, `https://` |
//! | `tensorflow` | no | [`live`] pipelines, run by libtensorflow, which is found at run time |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(
    test,
    allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)
)]

pub mod array;
mod column;
mod convert;
mod encode;
mod error;
#[cfg(feature = "ffi")]
mod ffi;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod input;
pub mod options;
pub mod plan;
mod reader;
pub mod report;
pub mod schema;
pub mod sink;
pub mod source;
mod tensor;
mod text;
mod tf;
mod wire;

pub use convert::{Conversion, Converted, Summary, convert};
pub use error::{Error, ErrorKind, Location, Result};
#[cfg(feature = "ffi")]
pub use ffi::export_stream;
pub use plan::{Plan, Task, commit};
pub use reader::conformance;
pub use reader::{ArrowReader, Batches, Reader, ReaderBuilder, read};
pub use tf::dtype::DType;
pub use tf::shape::Shape;
pub use tf::spec::ElementSpec;

/// The crates whose types stand in this one's: use them as `tfarrow::arrow` (59), and the versions are
/// the same whatever `cargo add` would take.
pub use arrow;
pub use half;
#[cfg(feature = "ndarray")]
pub use {ndarray, num_complex};

/// Elements that the caller delivers: datasets that run elsewhere, such as `tf.data` in Python.
pub mod elements {
    pub use crate::source::elements::{Component, Deliveries, Delivery, Elements, Values, Wanted};
}

/// Pipelines: built in Rust, or exported from Python, and run by TensorFlow.
pub mod live {
    pub use crate::source::live::PYTHON_HELPER;
    #[cfg(feature = "tensorflow")]
    pub use crate::source::live::{Components, DataOptions, Dataset, ModelFunction, Values};
    pub use crate::wire::compress::Compression;
}

/// The programs of the README, so that they are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(all(doctest, feature = "mmap", feature = "ndarray"))]
#[doc = include_str!("../docs/arrays.md")]
struct DocsArrays;
