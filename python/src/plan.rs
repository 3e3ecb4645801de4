//! `tfarrow.Plan`'s inner half: a dataset in tasks.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use serde_json::Value;
use tfarrow::plan::TaskPart;
use tfarrow::{Plan, ReaderBuilder};

use crate::batch::PyBatch;
use crate::capsule;
use crate::error::OrRaise;
use crate::options;
use crate::task::PyTask;
use crate::worker::wait;

/// What was committed: rows, bytes, parts, records skipped and nulled, values nulled.
type Committed = (u64, u64, usize, u64, u64, u64);

/// A dataset in tasks.
#[pyclass(frozen, module = "tfarrow._tfarrow", name = "Plan")]
pub(crate) struct PyPlan(Plan);

impl PyPlan {
    fn plan(py: Python<'_>, builder: ReaderBuilder) -> PyResult<Self> {
        wait(py, move || Plan::new(&builder))?.or_raise(py).map(Self)
    }
}

#[pymethods]
impl PyPlan {
    #[new]
    fn new(py: Python<'_>, inputs: Vec<Bound<'_, PyAny>>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let inputs = inputs.iter().map(options::path_or_text).collect::<PyResult<Vec<_>>>()?;
        let mut builder = ReaderBuilder::new(inputs);
        for (key, text) in options::settings(options)? {
            builder = builder.set(key, &text).or_raise(py)?;
        }
        Self::plan(py, builder)
    }

    /// As `new`, with options as the command takes them.
    #[staticmethod]
    fn from_texts(py: Python<'_>, inputs: Vec<String>, options: Vec<(String, String)>) -> PyResult<Self> {
        let mut builder = ReaderBuilder::new(inputs);
        for (key, text) in options {
            builder = builder.set(&key, &text).or_raise(py)?;
        }
        Self::plan(py, builder)
    }

    #[staticmethod]
    fn from_json(py: Python<'_>, text: String, store: Vec<(String, String)>) -> PyResult<Self> {
        let read = move || {
            let set = |plan: Plan, (key, value): (String, String)| plan.with_store_option(&key, &value);
            store.into_iter().try_fold(Plan::from_json(&text)?, set)
        };
        wait(py, read)?.or_raise(py).map(Self)
    }

    fn to_json(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_json())
    }

    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    #[getter]
    fn kind(&self) -> &str {
        self.0.kind()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.tasks().len()
    }

    /// The task `index`, if there is one.
    fn task(&self, index: usize) -> Option<PyTask> {
        self.0.tasks().get(index).cloned().map(PyTask)
    }

    /// A batch of no rows.
    fn empty(&self) -> PyBatch {
        PyBatch(RecordBatch::new_empty(self.0.schema()))
    }

    /// Makes a dataset of the parts that are given as JSON, or that are in the folder.
    fn commit(
        &self,
        py: Python<'_>,
        folder: &Bound<'_, PyAny>,
        parts: Option<Vec<String>>,
        store: Vec<(String, String)>,
    ) -> PyResult<Committed> {
        let folder = PathBuf::from(options::path_or_text(folder)?);
        let read = |text: String| {
            let value: Value = serde_json::from_str(&text)
                .map_err(|e| pyo3::exceptions::PyValueError::new_err(format!("a part is no JSON: {e}")))?;
            TaskPart::from_json(&value).or_raise(py)
        };
        let parts =
            parts.map(|parts| parts.into_iter().map(read).collect::<PyResult<Vec<_>>>()).transpose()?;
        let set = |plan: Plan, (key, value): (String, String)| plan.with_store_option(&key, &value);
        let plan = store.into_iter().try_fold(self.0.clone(), set).or_raise(py)?;
        let done = wait(py, move || tfarrow::commit(folder, &plan, parts.as_deref()))?.or_raise(py)?;
        Ok((done.rows, done.bytes, done.parts, done.skipped, done.nulled, done.nulled_values))
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.0.schema())
    }
}
