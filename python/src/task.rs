//! `tfarrow.Task`'s inner half: a part of a dataset that is read or written on its own.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use tfarrow::Task;
use tfarrow::options::{OPTIONS, Topic};
use tfarrow::sink::SinkOptions;
use tfarrow::source::{Progress, ReadOptions};

use crate::capsule;
use crate::error::OrRaise;
use crate::options;
use crate::source::PyReader;
use crate::worker::{Worker, wait, wait_and_watch};
use crate::write::report;

/// A task of a plan.
#[pyclass(frozen, module = "tfarrow._tfarrow", name = "Task")]
pub(crate) struct PyTask(pub(crate) Task);

#[pymethods]
impl PyTask {
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str, store: Vec<(String, String)>) -> PyResult<Self> {
        let set = |task: Task, (key, value): (String, String)| task.with_store_option(&key, &value);
        let task = Task::from_json(text).and_then(|task| store.into_iter().try_fold(task, set));
        task.or_raise(py).map(Self)
    }

    fn to_json(&self) -> String {
        self.0.to_json()
    }

    #[getter]
    fn index(&self) -> usize {
        self.0.index()
    }

    #[getter]
    fn plan_id(&self) -> &str {
        self.0.plan_id()
    }

    #[getter]
    fn rows(&self) -> Option<u64> {
        self.0.rows()
    }

    #[getter]
    fn bytes(&self) -> Option<u64> {
        self.0.bytes()
    }

    /// The files that it reads, with the range of each.
    #[getter]
    fn inputs(&self) -> Vec<String> {
        self.0.inputs().collect()
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Begins to read it, or these columns of it.
    #[pyo3(signature = (threads = 1, columns = None))]
    fn read(&self, py: Python<'_>, threads: usize, columns: Option<Vec<String>>) -> PyResult<PyReader> {
        let task = self.0.clone();
        let batches = wait(py, move || match columns {
            Some(columns) => {
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                task.batches_of(&columns, threads)
            }
            None => task.batches(threads),
        })?;
        Ok(PyReader(Worker::new(batches.or_raise(py)?)))
    }

    /// Writes its part file into `folder`; gives what it is, as JSON.
    fn write(
        &self,
        py: Python<'_>,
        folder: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
        threads: usize,
    ) -> PyResult<String> {
        let folder = PathBuf::from(options::path_or_text(folder)?);
        let mut sink = SinkOptions::new().with_threads(threads);
        for (key, text) in options::settings(options)? {
            sink = sink.set(key, &text).or_raise(py)?;
        }
        let (progress, report) = (Arc::new(Progress::default()), report());
        let mut read = ReadOptions::default();
        (read.progress, read.report) = (progress.clone(), report);
        let task = self.0.clone();
        let job = move || task.write_with(&folder, &sink, &read);
        let part = wait_and_watch(py, job, || Ok(()), || progress.stop())?.or_raise(py)?;
        Ok(part.to_json().to_string())
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.0.schema())
    }
}

/// The keys of options that say how a task is written.
#[pyfunction]
pub(crate) fn task_options() -> Vec<&'static str> {
    let own = OPTIONS.iter().filter(|option| option.topic == Topic::Writing && option.key != "shards");
    own.map(|option| option.key).collect()
}
