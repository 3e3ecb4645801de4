//! What `import tfarrow` is made of: the classes of the Rust library as Python sees them.

use pyo3::prelude::*;

/// The compiled part of the package `tfarrow`.
#[pymodule]
mod _tfarrow {}
