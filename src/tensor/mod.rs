//! Tensor columns: the canonical extension types, and columns seen as arrays.

pub(crate) mod dense;
pub(crate) mod extension;
pub(crate) mod numpy;

#[cfg(feature = "ndarray")]
pub(crate) mod collect;
#[cfg(feature = "ndarray")]
pub(crate) mod column;
#[cfg(feature = "ndarray")]
mod memory;
#[cfg(all(feature = "mmap", feature = "ndarray"))]
pub(crate) mod npy_map;
#[cfg(feature = "ndarray")]
pub(crate) mod parts;
#[cfg(feature = "ndarray")]
pub(crate) mod scalar;
