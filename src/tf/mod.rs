//! TensorFlow's side: dtypes, shapes, element specs and the messages that hold data.
//!
//! Nothing here knows of Arrow.

pub(crate) mod dtype;
pub(crate) mod example;
pub(crate) mod features;
pub(crate) mod shape;
pub(crate) mod spec;
