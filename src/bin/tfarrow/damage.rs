//! What is told about records that could not be read.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tfarrow::{Error, ErrorKind, Failure, ReadOptions, ReaderBuilder, Report, Result};

use crate::args::{OnError, Verify};
use crate::commands::{note, print};

/// Failures that are shown, of a run or of a verified file.
const SHOWN: u64 = 10;
/// Failures of one file that `verify --json` lists; more are only counted.
const LISTED: u64 = 10_000;

/// How a command that did what it was told to do ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Some records could not be read.
    Damaged,
}

/// Where failures are counted, and written to `path` if it is given.
pub(crate) fn report(path: Option<&Path>, overwrite: bool) -> Result<Arc<Report>> {
    let report = Report::default();
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
    let all = report.skipped() + report.nulled();
    let what = if policy == OnError::Null { "nulled" } else { "skipped" };
    let shown = report.failures();
    for failure in &shown {
        note(&format!("tfarrow: {what}: {}", one_line(failure)));
    }
    let more = all.saturating_sub(shown.len() as u64);
    if more > 0 {
        note(&format!("tfarrow: {what}: {more} more; --report FILE lists all"));
    }
    if all == 0 { Outcome::Done } else { Outcome::Damaged }
}

/// What is said of failures at the end of the summary line.
pub(crate) fn summary(report: &Report) -> String {
    match (report.skipped(), report.nulled()) {
        (0, 0) => String::new(),
        (skipped, 0) => format!("; {skipped} records skipped"),
        (_, nulled) => format!("; {nulled} records nulled"),
    }
}

fn one_line(failure: &Failure) -> String {
    failure.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `tfarrow verify`.
pub(crate) fn verify(args: &Verify) -> Result<Outcome> {
    let source = ReaderBuilder::new(args.inputs.inputs.iter().cloned())
        .with_max_record_bytes(args.max_record_bytes)
        .build_to_verify()?;
    let options = ReadOptions::default();
    let (mut records, mut damaged) = (0, 0);
    let mut files: Vec<Value> = Vec::new();
    for (index, partition) in source.partitions().iter().enumerate() {
        let mut found = 0;
        let mut listed: Vec<Failure> = Vec::new();
        let verified = source.verify(index, &options, &mut |failure| {
            if found < if args.json { LISTED } else { SHOWN } {
                listed.push(failure);
            }
            found += 1;
            Ok(())
        })?;
        records += verified.records;
        damaged += found;
        if args.json {
            let damage: Vec<Value> = listed.iter().map(Failure::to_json).collect();
            files.push(json!({
                "name": &*partition.name,
                "bytes": partition.bytes,
                "records": verified.records,
                "what": verified.what,
                "damaged": found,
                "damage": damage,
            }));
            continue;
        }
        let verdict = if found == 0 { "sound".to_owned() } else { format!("{found} damaged") };
        print(&format!("{}: {} {}: {verdict}\n", partition.name, verified.records, verified.what))?;
        for failure in &listed {
            print(&format!("  {}\n", place_first(failure)))?;
        }
        if found > listed.len() as u64 {
            print(&format!("  {} more; --json lists them\n", found - listed.len() as u64))?;
        }
    }
    if args.json {
        let all = json!({"records": records, "damaged": damaged, "files": files});
        print(&format!("{all:#}\n"))?;
    }
    Ok(if damaged == 0 { Outcome::Done } else { Outcome::Damaged })
}

/// The failure of a file that was named already: where in it, then what.
fn place_first(failure: &Failure) -> String {
    let mut place = failure.location.clone();
    place.source = None;
    let text = format!("{place}: {}", failure.message);
    text.trim_start_matches(": ").split_whitespace().collect::<Vec<_>>().join(" ")
}
