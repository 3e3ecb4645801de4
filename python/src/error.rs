//! Errors of the library as Python's exceptions.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use tfarrow::Error;
use tfarrow::options::Dialect;

/// `tfarrow._errors.make`.
static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception that `error` is in Python: `tfarrow.Error`, or a subclass of it.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    made(py, error).map_or_else(|failed| failed, PyErr::from_value)
}

fn made<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    let make =
        MAKE.get_or_try_init(py, || Ok::<_, PyErr>(py.import("tfarrow._errors")?.getattr("make")?.unbind()))?;
    let at = error.location();
    let made = make.bind(py).call1((
        error.kind().name(),
        error.say(Dialect::Python),
        at.source.as_deref(),
        at.record,
        at.offset,
        at.row,
        at.column.as_deref(),
        error.hint().map(|hint| hint.say(Dialect::Python)),
    ))?;
    Ok(made)
}

/// Errors of `?` in functions that hold the GIL.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for tfarrow::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raise(py, &error))
    }
}

/// What is said where a thread of ours is gone.
pub(crate) fn gone() -> PyErr {
    PyRuntimeError::new_err(
        "this reader was begun in another process; iterate over the dataset again in this one",
    )
}
