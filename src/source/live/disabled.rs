//! Pipelines in a build without TensorFlow's bindings.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::source::Source;
use crate::source::open::OpenOptions;

/// Says how to go on.
///
/// # Errors
/// Always.
pub(crate) fn open_pipeline(path: &Path, _: &OpenOptions) -> Result<Arc<dyn Source>> {
    Err(Error::unsupported("tf.data pipeline: this build cannot run TensorFlow")
        .in_source(path.to_string_lossy())
        .with_hint("build tfarrow with the feature `tensorflow`, or store the dataset with Dataset.save"))
}
