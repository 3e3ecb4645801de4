//! What the process fetches and sends at a time, all in all.

use std::sync::atomic::{AtomicU64, Ordering};

static IN_FLIGHT: AtomicU64 = AtomicU64::new(0);

/// Bytes that are fetched or wait to be read, or that are sent. They count until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight(u64);

impl InFlight {
    /// Whatever else is under way.
    pub(crate) fn always(bytes: u64) -> Self {
        IN_FLIGHT.fetch_add(bytes, Ordering::Relaxed);
        Self(bytes)
    }

    /// Unless more than `most` bytes were then under way.
    pub(crate) fn up_to(most: u64, bytes: u64) -> Option<Self> {
        let before = IN_FLIGHT.fetch_add(bytes, Ordering::Relaxed);
        let taken = Self(bytes);
        (before.saturating_add(bytes) <= most).then_some(taken)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.fetch_sub(self.0, Ordering::Relaxed);
    }
}
