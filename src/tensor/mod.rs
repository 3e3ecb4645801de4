//! Tensors: the canonical extension types, dense columns, and their scalars.

pub(crate) mod dense;
pub(crate) mod extension;
pub(crate) mod numpy;

#[cfg(feature = "ndarray")]
pub(crate) mod memory;
#[cfg(feature = "ndarray")]
pub(crate) mod scalar;
