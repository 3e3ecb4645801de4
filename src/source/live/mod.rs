//! Live `tf.data` pipelines: TensorFlow runs them, in this process, and its buffers become columns.
//!
//! A *pipeline folder* is what `tfarrow_export.py` beside this file writes: `graph.pb`, the serialized
//! dataset; `element_spec.json`, the structure of its elements; and large constants beside them in
//! `constants.json` and the files that it names.

use crate::input::Place;

#[cfg(feature = "tensorflow")]
mod enabled;
#[cfg(feature = "tensorflow")]
pub(crate) use enabled::open_pipeline;
#[cfg(feature = "tensorflow")]
pub use enabled::{Components, DataOptions, Dataset, ModelFunction, Values};

#[cfg(not(feature = "tensorflow"))]
mod disabled;
#[cfg(not(feature = "tensorflow"))]
pub(crate) use disabled::Dataset;
#[cfg(not(feature = "tensorflow"))]
pub(crate) use disabled::open_pipeline;

/// The Python file that writes pipeline folders; it needs nothing but TensorFlow.
pub const PYTHON_HELPER: &str = include_str!("tfarrow_export.py");

const GRAPH: &str = "graph.pb";
const ELEMENT_SPEC: &str = "element_spec.json";

/// Whether `path` is a pipeline folder.
pub(crate) fn looks_like_pipeline(path: &Place) -> bool {
    path.join(GRAPH).is_file() && path.join(ELEMENT_SPEC).is_file()
}
