//! What `import tfarrow` is made of: the classes of the Rust library as Python sees them.

mod batch;
mod buffer;
mod capsule;
mod column;
mod command;
mod elements;
mod error;
mod options;
mod plan;
#[path = "../../src/bin/tfarrow/program/mod.rs"]
mod program;
mod report;
mod source;
mod task;
mod worker;
mod write;

use pyo3::prelude::*;

/// The compiled part of the package `tfarrow`.
#[pymodule]
mod _tfarrow {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::batch::PyBatch;
    #[pymodule_export]
    use crate::buffer::Buffer;
    #[pymodule_export]
    use crate::command::run_command;
    #[pymodule_export]
    use crate::options::{check_options, option_table, shown, takes_store_key, writing_options};
    #[pymodule_export]
    use crate::plan::PyPlan;
    #[pymodule_export]
    use crate::source::{PyReader, PySource};
    #[pymodule_export]
    use crate::task::{PyTask, task_options};
    #[pymodule_export]
    use crate::write::{verify, write_stream, write_text};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("PYTHON_HELPER", tfarrow::live::PYTHON_HELPER)
    }
}
