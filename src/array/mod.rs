//! Tensor columns: their types, and columns as arrays, in memory or mapped from files.

#[cfg(feature = "ndarray")]
pub(crate) mod build;
#[cfg(feature = "ndarray")]
pub(crate) mod collect;
#[cfg(feature = "ndarray")]
pub(crate) mod column;
#[cfg(feature = "mmap")]
mod ipc_map;
#[cfg(feature = "mmap")]
mod mapped;
#[cfg(all(feature = "mmap", feature = "ndarray"))]
mod npy_map;
#[cfg(feature = "ndarray")]
mod parts;

pub use crate::tensor::extension::{FixedShapeTensor, VariableShapeTensor};

#[cfg(feature = "mmap")]
pub use self::ipc_map::{IpcMap, MappedBatch};
#[cfg(all(feature = "mmap", feature = "ndarray"))]
pub use self::npy_map::NpyMap;
#[cfg(feature = "ndarray")]
pub use self::{
    build::{BatchBuilder, from_array, from_view},
    collect::{ArrayCollector, Arrays, to_arrays},
    column::{TensorColumn, tensor},
    parts::{Bytes, Ragged, Sparse, SparseRow},
};
#[cfg(feature = "ndarray")]
pub use crate::tensor::scalar::Scalar;
