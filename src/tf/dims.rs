//! The sizes of a tensor that is at hand.

use std::ops::Deref;

const INLINE_DIMS: usize = 4;

/// The sizes of a tensor's dimensions; small ranks need no memory of their own.
#[derive(Clone, Default)]
pub(crate) struct Dims {
    inline: [u64; INLINE_DIMS],
    len: usize,
    heap: Vec<u64>,
}

impl Dims {
    pub(crate) fn new(dims: &[u64]) -> Self {
        let mut out = Self::default();
        for &dim in dims {
            out.push(dim);
        }
        out
    }

    pub(crate) fn push(&mut self, dim: u64) {
        match self.inline.get_mut(self.len) {
            Some(place) if self.heap.is_empty() => {
                *place = dim;
                self.len += 1;
            }
            _ => {
                if self.heap.is_empty() {
                    self.heap.extend_from_slice(&self.inline);
                }
                self.heap.push(dim);
            }
        }
    }

    /// The number of values of such a tensor; `None` where it is above 2⁶³−1.
    pub(crate) fn num_elements(&self) -> Option<usize> {
        let product = self.iter().try_fold(1u64, |a, b| a.checked_mul(*b));
        product.filter(|n| i64::try_from(*n).is_ok()).and_then(|n| usize::try_from(n).ok())
    }
}

impl Deref for Dims {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        if self.heap.is_empty() { self.inline.get(..self.len).unwrap_or_default() } else { &self.heap }
    }
}

impl std::fmt::Debug for Dims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.deref().fmt(f)
    }
}

impl PartialEq for Dims {
    fn eq(&self, other: &Self) -> bool {
        self.deref() == other.deref()
    }
}
