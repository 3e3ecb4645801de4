//! `tf.data.Options`.

use crate::tf::graph_def::DatasetOptions;

/// How TensorFlow makes the elements of a [`Dataset`](super::Dataset): `tf.data.Options`. What is not
/// set is TensorFlow's to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataOptions(pub(super) DatasetOptions);

impl DataOptions {
    /// Options of which none is set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether parallel operations must keep the order of elements (`deterministic`).
    #[must_use]
    pub fn with_deterministic(mut self, deterministic: bool) -> Self {
        self.0.deterministic = Some(deterministic);
        self
    }

    /// Whether TensorFlow tunes parallelism and buffers as it runs (`autotune.enabled`).
    #[must_use]
    pub fn with_autotune(mut self, enabled: bool) -> Self {
        self.0.autotune = Some(enabled);
        self
    }

    /// Threads that only this pipeline uses (`threading.private_threadpool_size`), instead of the
    /// session's.
    #[must_use]
    pub fn with_private_threads(mut self, threads: u8) -> Self {
        self.0.private_threads = Some(threads);
        self
    }

    /// Threads for the inside of one operation (`threading.max_intra_op_parallelism`).
    #[must_use]
    pub fn with_max_intra_op_parallelism(mut self, threads: u8) -> Self {
        self.0.intra_op_threads = Some(threads);
        self
    }
}
