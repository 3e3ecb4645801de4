//! Tensor columns: the canonical extension types, and arrays seen as tensors.

pub(crate) mod extension;
