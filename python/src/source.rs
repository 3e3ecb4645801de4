//! An open dataset.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use serde_json::Value;
use tfarrow::options::Dialect;
use tfarrow::source::{Cardinality, Progress, Selection, Source};
use tfarrow::{Batches, Conversion, ElementSpec, Error, ReaderBuilder};

use crate::batch::PyBatch;
use crate::capsule;
use crate::elements;
use crate::error::{OrRaise, raise};
use crate::options;
use crate::report;
use crate::worker::{Worker, wait};
use crate::write;

/// A dataset whose columns are known.
#[pyclass(frozen, module = "tfarrow._tfarrow", name = "Source")]
pub(crate) struct PySource {
    /// What opened it.
    builder: ReaderBuilder,
    source: Arc<dyn Source>,
    /// The columns it was projected to since.
    columns: Option<Vec<String>>,
}

impl PySource {
    fn open(py: Python<'_>, builder: ReaderBuilder, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut builder = builder;
        for (key, text) in options::settings(options)? {
            builder = builder.set(key, &text).or_raise(py)?;
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let builder = builder.with_default_threads(cores);
        let opening = builder.clone();
        let source = wait(py, move || opening.build_source())?.or_raise(py)?;
        Ok(Self { builder, source, columns: None })
    }

    /// Reads `take` elements at most, every `step`th after the first `skip`.
    fn batches(&self, py: Python<'_>, skip: u64, step: u64, take: Option<u64>) -> PyResult<Batches> {
        let options = self.builder.read_options().clone().with_selection(selection(skip, step, take));
        let (source, threads) = (self.source.clone(), self.builder.threads());
        wait(py, move || Batches::new(source, &options, threads))?.or_raise(py)
    }
}

impl PySource {
    /// Some of the rows, to be reported on.
    fn part(&self, selection: Selection, progress: &Arc<Progress>) -> report::Part {
        let options =
            self.builder.read_options().clone().with_selection(selection).with_progress(progress.clone());
        report::Part { source: self.source.clone(), options, threads: self.builder.threads() }
    }
}

/// `take` elements at most, every `step`th after the first `skip`.
fn selection(skip: u64, step: u64, take: Option<u64>) -> Selection {
    let mut selection = Selection::default().with_skip(skip);
    if step > 1 {
        selection = selection.with_shard(0, step);
    }
    take.map_or(selection, |take| selection.with_take(take))
}

#[pymethods]
impl PySource {
    #[new]
    fn new(py: Python<'_>, inputs: Vec<Bound<'_, PyAny>>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let inputs = inputs.iter().map(options::path_or_text).collect::<PyResult<Vec<_>>>()?;
        Self::open(py, ReaderBuilder::new(inputs), options)
    }

    /// A dataset that `elements`, a `_live.Elements`, delivers.
    #[staticmethod]
    fn from_elements(
        py: Python<'_>,
        spec: &str,
        elements: &Bound<'_, PyAny>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        let spec: Value =
            serde_json::from_str(spec).map_err(|e| pyo3::exceptions::PyValueError::new_err(e.to_string()))?;
        let spec = ElementSpec::from_json(&spec).or_raise(py)?;
        Self::open(py, ReaderBuilder::from_elements(spec, elements::shared(elements)?), options)
    }

    #[getter]
    fn kind(&self) -> &str {
        self.source.kind()
    }

    /// The element spec, as JSON.
    #[getter]
    fn element_spec(&self) -> String {
        self.source.element_spec().to_json().to_string()
    }

    /// The number of elements, where it is known; -1 without end, -2 unknown.
    #[getter]
    fn cardinality(&self) -> i64 {
        match self.source.cardinality() {
            Cardinality::Known(rows) => i64::try_from(rows).unwrap_or(i64::MAX),
            Cardinality::Infinite => -1,
            _ => -2,
        }
    }

    /// Whether it takes long to cut into batches, as what is compressed does.
    #[getter]
    fn is_heavy(&self) -> bool {
        self.source.units_are().heavy
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.source.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Name, bytes and rows of each partition.
    #[getter]
    fn partitions(&self) -> Vec<(String, Option<u64>, Option<u64>)> {
        let partitions = self.source.partitions().iter();
        partitions.map(|part| (part.name.to_string(), part.bytes, part.rows)).collect()
    }

    /// The same with these columns only, in this order; nothing is opened again.
    fn project(&self, py: Python<'_>, columns: Vec<String>) -> PyResult<Self> {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let source = self.source.project(&names).or_raise(py)?;
        Ok(Self { builder: self.builder.clone(), source, columns: Some(columns) })
    }

    /// The number of elements, read as far as it must be.
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        let builder = self.builder.clone();
        wait(py, move || builder.count())?.or_raise(py)
    }

    #[pyo3(signature = (skip = 0, step = 1, take = None))]
    fn read(&self, py: Python<'_>, skip: u64, step: u64, take: Option<u64>) -> PyResult<PyReader> {
        Ok(PyReader(Worker::new(self.batches(py, skip, step, take)?)))
    }

    /// A batch of no rows.
    fn empty(&self) -> PyBatch {
        PyBatch(RecordBatch::new_empty(self.source.schema()))
    }

    /// A C stream of the rows, in a capsule.
    #[pyo3(signature = (skip = 0, step = 1, take = None))]
    fn stream<'py>(
        &self,
        py: Python<'py>,
        skip: u64,
        step: u64,
        take: Option<u64>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let batches = self.batches(py, skip, step, take)?;
        capsule::stream(py, Stream { schema: self.source.schema(), batches })
    }

    /// Writes the rows to `output`, or reads them and writes nothing; tells `watch` of bytes read,
    /// bytes there are, and rows.
    #[pyo3(signature = (output, options, skip = 0, step = 1, take = None, watch = None))]
    #[allow(clippy::too_many_arguments)] // they are named
    fn write(
        &self,
        py: Python<'_>,
        output: Option<&Bound<'_, PyAny>>,
        options: &Bound<'_, PyDict>,
        skip: u64,
        step: u64,
        take: Option<u64>,
        watch: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<write::Summary> {
        let output = output.map(options::path_or_text).transpose()?.map(PathBuf::from);
        // What the output's manifest says of its columns.
        let builder = match &self.columns {
            Some(columns) => self.builder.clone().with_columns(columns.iter().cloned()),
            None => self.builder.clone(),
        };
        let (builder, sink, resume) = write::sink(py, options::settings(options)?, builder)?;
        let (progress, report) = (Arc::new(Progress::default()), write::report());
        let read = builder.read_options().clone().with_selection(selection(skip, step, take));
        let read = read.with_progress(progress.clone()).with_report(report.clone());
        let conversion = Conversion::new(builder)
            .with_source(self.source.clone())
            .with_read_options(read)
            .with_sink(sink)
            .with_resume(resume);
        write::run(py, conversion, &progress, &report, output, watch)
    }

    /// A page about the rows (beside those of `other`, if there is one), and its numbers as JSON.
    #[pyo3(signature = (title, skip = 0, step = 1, take = None, other = None, watch = None))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)] // they are named
    fn report(
        &self,
        py: Python<'_>,
        title: String,
        skip: u64,
        step: u64,
        take: Option<u64>,
        other: Option<(String, PyRef<'_, PySource>, u64, u64, Option<u64>)>,
        watch: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(String, String)> {
        let progress = Arc::new(Progress::default());
        let first = self.part(selection(skip, step, take), &progress);
        let second = other.map(|(title, source, skip, step, take)| {
            (title, source.part(selection(skip, step, take), &progress))
        });
        report::make(py, title, first, second, &progress, watch)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        capsule::schema(py, &self.source.schema())
    }
}

/// Batches for another Arrow library.
struct Stream {
    schema: SchemaRef,
    batches: Batches,
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let said = |error: Error| ArrowError::ExternalError(error.say(Dialect::Python).into());
        self.batches.next().map(|batch| batch.map_err(said))
    }
}

impl arrow::array::RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Batches as they are read.
#[pyclass(frozen, module = "tfarrow._tfarrow", name = "Reader")]
pub(crate) struct PyReader(pub(crate) Worker<Result<RecordBatch, Error>>);

#[pymethods]
impl PyReader {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<PyBatch>> {
        match self.0.next(py)? {
            Some(Ok(batch)) => Ok(Some(PyBatch(batch))),
            Some(Err(error)) => Err(raise(py, &error)),
            None => Ok(None),
        }
    }
}
