//! Conversions, and what is found when everything is read.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use tfarrow::options::{Dialect, OPTIONS, Topic};
use tfarrow::report::{Verification, write_file};
use tfarrow::sink::SinkOptions;
use tfarrow::source::{Progress, Report};
use tfarrow::{Conversion, Converted, ReaderBuilder};

use crate::capsule;
use crate::error::OrRaise;
use crate::options::{Settings, path_or_text, settings};
use crate::worker::{wait, wait_and_watch};

/// Failures that are kept to be listed.
const LISTED: usize = 100;

/// What a conversion did: rows, bytes written, parts, parts kept, seconds, records skipped and nulled.
pub(crate) type Summary = (u64, u64, Option<usize>, usize, f64, u64, u64);

/// The keys of options that are about the output.
fn is_of_output(key: &str) -> bool {
    !matches!(key, "rows_per_file" | "task_bytes")
        && OPTIONS
            .iter()
            .any(|option| option.key == key && matches!(option.topic, Topic::Writing | Topic::Converting))
}

/// Options of an output; what concerns reading goes to `builder`.
pub(crate) fn sink(
    py: Python<'_>,
    options: Settings,
    mut builder: ReaderBuilder,
) -> PyResult<(ReaderBuilder, SinkOptions, bool)> {
    let (mut sink, mut resume) = (SinkOptions::new(), false);
    for (key, text) in options {
        if key == "resume" {
            resume = text == "true";
        } else if is_of_output(key) || key == "store" {
            sink = sink.set(key, &text).or_raise(py)?;
        } else {
            builder = builder.set(key, &text).or_raise(py)?;
        }
    }
    Ok((builder, sink, resume))
}

/// Writes, on a thread of its own, telling `watch` of bytes read, bytes there are, and rows.
pub(crate) fn run(
    py: Python<'_>,
    conversion: Conversion,
    progress: &Arc<Progress>,
    report: &Arc<Report>,
    output: Option<PathBuf>,
    watch: Option<&Bound<'_, PyAny>>,
) -> PyResult<Summary> {
    let job = move || match output {
        Some(path) => conversion.write(path),
        None => conversion.dry_run(None),
    };
    let tick = || match watch {
        Some(watch) => watch.call1((progress.bytes(), progress.total_bytes(), progress.rows())).map(drop),
        None => Ok(()),
    };
    let converted: Converted = wait_and_watch(py, job, tick, || progress.stop())?.or_raise(py)?;
    report.flush().or_raise(py)?;
    Ok((
        converted.rows,
        converted.bytes_written,
        converted.parts,
        converted.kept,
        converted.elapsed.as_secs_f64(),
        report.skipped(),
        report.nulled(),
    ))
}

/// A report that keeps the first failures.
pub(crate) fn report() -> Arc<Report> {
    Arc::new(Report::new(LISTED))
}

/// Writes `text` to a file that appears when it is whole.
#[pyfunction]
pub(crate) fn write_text(
    py: Python<'_>,
    output: &Bound<'_, PyAny>,
    text: String,
    options: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let output = PathBuf::from(path_or_text(output)?);
    let mut sink = SinkOptions::new();
    for (key, value) in settings(options)? {
        sink = sink.set(key, &value).or_raise(py)?;
    }
    wait(py, move || write_file(&output, &text, &sink))?.or_raise(py)
}

/// Writes what an object's `__arrow_c_stream__` gives, as a table is read.
#[pyfunction]
pub(crate) fn write_stream(
    stream: &Bound<'_, PyAny>,
    output: &Bound<'_, PyAny>,
    options: &Bound<'_, PyDict>,
) -> PyResult<Summary> {
    let py = stream.py();
    let builder = ReaderBuilder::from_arrow(capsule::reader(stream)?);
    let output = PathBuf::from(path_or_text(output)?);
    let (progress, report) = (Arc::new(Progress::default()), self::report());
    let (builder, sink, resume) = sink(py, settings(options)?, builder)?;
    let builder = builder.with_progress(progress.clone()).with_report(report.clone());
    let conversion = Conversion::new(builder).with_sink(sink).with_resume(resume);
    run(py, conversion, &progress, &report, Some(output), None)
}

/// Reads everything that `inputs` name; what was found, as JSON.
#[pyfunction]
pub(crate) fn verify(
    py: Python<'_>,
    inputs: Vec<Bound<'_, PyAny>>,
    options: &Bound<'_, PyDict>,
    listed: usize,
) -> PyResult<String> {
    let inputs = inputs.iter().map(path_or_text).collect::<PyResult<Vec<_>>>()?;
    let mut builder = ReaderBuilder::new(inputs);
    for (key, text) in settings(options)? {
        builder = builder.set(key, &text).or_raise(py)?;
    }
    let job = move || {
        let source = builder.build_to_verify()?;
        Verification::of(source.as_ref(), listed, &mut |_| Ok(()))
    };
    Ok(wait(py, job)?.or_raise(py)?.to_json(Dialect::Python).to_string())
}
