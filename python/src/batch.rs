//! `tfarrow.Batch`'s inner half: a record batch.

use arrow::array::RecordBatch;
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::capsule;
use crate::column;

/// Rows as Arrow columns. Immutable; what it gives shares its memory.
#[pyclass(frozen, module = "tfarrow._tfarrow", name = "RecordBatch")]
pub(crate) struct PyBatch(pub(crate) RecordBatch);

#[pymethods]
impl PyBatch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Bytes that the columns take.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.get_array_memory_size()
    }

    /// What the column `name` consists of, as `column.rs` says.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyTuple>> {
        let found = column::find(self.0.schema_ref().fields(), self.0.columns(), name);
        let (field, array) = found.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        column::describe(py, &field, &array)
    }

    fn slice(&self, start: usize, rows: usize) -> Self {
        let start = start.min(self.0.num_rows());
        Self(self.0.slice(start, rows.min(self.0.num_rows() - start)))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, self.0.schema_ref())
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        // The protocol lets us give what we have.
        drop(requested_schema);
        capsule::array(py, &self.0)
    }
}
