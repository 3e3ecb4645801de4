//! TensorFlow's side: dtypes, shapes, element specs and the messages that hold data.
//!
//! Nothing here knows of Arrow.

pub(crate) mod descriptor;
pub(crate) mod dims;
pub(crate) mod dtype;
pub(crate) mod elwc;
pub(crate) mod encode;
pub(crate) mod event;
pub(crate) mod example;
#[cfg(any(test, feature = "tensorflow", feature = "fuzzing"))]
#[cfg_attr(not(feature = "tensorflow"), allow(dead_code))]
pub(crate) mod graph_def;
#[cfg(feature = "tensorflow")]
pub(crate) mod saved_model;
pub(crate) mod shape;
pub(crate) mod snapshot;
pub(crate) mod spec;
pub(crate) mod structured_value;
pub(crate) mod tensor_proto;
pub(crate) mod text_proto;
pub(crate) mod tfds;
pub(crate) mod unbatch;
pub(crate) mod variant;
pub(crate) mod widen;
