//! The command `tfarrow`, as the package brings it.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::program;

/// Does what the command does with these arguments, the first of which is its own name; returns the
/// exit status. Signals are the command's own from then on.
#[pyfunction]
pub(crate) fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| program::run(arguments))
}
