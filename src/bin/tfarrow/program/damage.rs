//! What is told about records that could not be read.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use tfarrow::options::OnError;
use tfarrow::options::{Dialect, OutputKind};
use tfarrow::report::{Verification, json_to_text};
use tfarrow::source::Report;
use tfarrow::{Error, ErrorKind, Result};

use crate::program::args::Show;
use crate::program::commands::{note, print};
use crate::program::plan;

/// Failures that are shown, of a run or of a verified file.
const SHOWN: usize = 10;
/// Failures of one file that `verify --json` lists; more are only counted.
const LISTED: usize = 10_000;

/// How a command that did what it was told to do ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Some records could not be read.
    Damaged,
}

/// Where failures are counted, and written to `path` if it is given.
pub(crate) fn report(path: Option<&Path>, overwrite: bool) -> Result<Arc<Report>> {
    let report = Report::default().in_dialect(Dialect::Command);
    let Some(path) = path else { return Ok(Arc::new(report)) };
    let name = path.to_string_lossy().into_owned();
    let mut options = OpenOptions::new();
    options.write(true).create_new(!overwrite).create(overwrite).truncate(overwrite);
    match options.open(path) {
        Ok(file) => Ok(Arc::new(report.with_log(BufWriter::new(file)))),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Error::new(ErrorKind::AlreadyExists, "report exists already")
                .in_source(name)
                .with_hint("pass --overwrite to replace it"))
        }
        Err(error) => {
            Err(Error::new(ErrorKind::Io, "cannot create report").with_cause(error).in_source(name))
        }
    }
}

/// Shows the first failures.
pub(crate) fn tell(report: &Report, policy: OnError) -> Outcome {
    let all = report.skipped() + report.nulled() + report.nulled_values();
    let what = match policy {
        OnError::Null | OnError::NullValue => "nulled",
        _ => "skipped",
    };
    let shown = report.failures();
    for failure in &shown {
        note(&format!("tfarrow: {what}: {}", failure));
    }
    let more = all.saturating_sub(shown.len() as u64);
    if more > 0 {
        note(&format!("tfarrow: {what}: {more} more; --report FILE lists all"));
    }
    if all == 0 { Outcome::Done } else { Outcome::Damaged }
}

/// What is said of failures at the end of the summary line.
pub(crate) fn summary(report: &Report) -> String {
    let lost = [
        (report.skipped(), "records skipped"),
        (report.nulled(), "records nulled"),
        (report.nulled_values(), "values nulled"),
    ];
    let lost = lost.iter().filter(|(count, _)| *count > 0);
    lost.map(|(count, what)| format!("; {count} {what}")).collect()
}

/// `tfarrow verify`.
pub(crate) fn verify(args: &Show) -> Result<Outcome> {
    let source = plan::reader(&args.input, OutputKind::Verify)?.build_to_verify()?;
    let listed = if args.json { LISTED } else { SHOWN };
    let verification = Verification::of(source.as_ref(), listed, &mut |part| {
        if args.json { Ok(()) } else { print(&part.to_text()) }
    })?;
    if args.json {
        print(&json_to_text(&verification.to_json(Dialect::Command)))?;
    } else {
        print(&verification.to_text())?;
        if verification.parts.iter().any(|part| part.damaged > part.damage.len() as u64) {
            note("--json lists every damaged place");
        }
    }
    Ok(if verification.damaged() == 0 { Outcome::Done } else { Outcome::Damaged })
}
