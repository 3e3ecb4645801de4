//! Pipelines in a build without TensorFlow's bindings.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::input::Place;
use crate::source::Source;
use crate::source::options::OpenOptions;

/// A pipeline built in Rust: there is none without the feature `tensorflow`.
#[derive(Debug, Clone)]
pub(crate) enum Dataset {}

impl Dataset {
    pub(crate) fn source(&self, _: &OpenOptions) -> Result<Arc<dyn Source>> {
        match *self {}
    }
}

/// Says how to go on.
///
/// # Errors
/// Always.
pub(crate) fn open_pipeline(path: &Place, options: &OpenOptions) -> Result<Arc<dyn Source>> {
    let mut what = "tf.data pipeline: this build cannot run TensorFlow".to_owned();
    if options.libtensorflow.is_some() || options.tensorflow_threads > 0 {
        what.push_str(", with or without a libtensorflow");
    }
    Err(Error::unsupported(what)
        .in_source(path.name())
        .with_hint("build tfarrow with the feature `tensorflow`, or store the dataset with Dataset.save"))
}
