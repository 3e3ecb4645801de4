//! Conversions in tasks, on several machines.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tfarrow::options::OutputKind;
use tfarrow::source::{Progress, ReadOptions};
use tfarrow::{Error, ErrorKind, Plan, Result, Task};

use crate::program::args::{self, Input, is_of_tasks};
use crate::program::commands::{megabytes, note, on_interrupt, print, refuse_existing, summarise};
use crate::program::damage::{self, Outcome};
use crate::program::plan;
use crate::program::progress::Bar;

/// `tfarrow plan`.
pub(crate) fn plan(args: &args::Plan) -> Result<()> {
    plan::sink(&args.input, None)?.check(OutputKind::Plan)?;
    if args.input.has("resume") {
        let what = "--resume is not for `plan`; a task that is done is not done again";
        return Err(Error::new(ErrorKind::Config, what));
    }
    let is_stream = args.output == Path::new("-");
    if !is_stream && !args.input.has("overwrite") {
        refuse_existing(&args.output)?;
    }
    let plan = Plan::new(&plan::reader(&args.input, OutputKind::Plan)?)?;
    let text = plan.to_json();
    if is_stream {
        return print(&text);
    }
    plan.write(&args.output)?;
    let (tasks, bytes) = (plan.tasks().len(), text.len() as u64);
    note(&format!(
        "{tasks} tasks of {} to {} ({:.1} MB)",
        plan.kind(),
        args.output.display(),
        megabytes(bytes)
    ));
    Ok(())
}

/// What `read` makes of the text of the plan in a file.
fn read_plan<T>(path: &Path, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let named = |error: Error| error.in_source(path.to_string_lossy().into_owned());
    let text = std::fs::read_to_string(path).map_err(|e| {
        let kind = match e.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        named(Error::new(kind, "cannot read plan").with_cause(e))
    })?;
    read(&text).map_err(named)
}

/// A setting of stores: a key and a value.
fn setting(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

/// Refuses options that say what is read.
fn check(input: &Input) -> Result<()> {
    let of_reading = input.options.iter().find(|(option, _)| !is_of_tasks(option));
    match of_reading {
        Some((option, _)) => {
            let flag = option.key.replace('_', "-");
            Err(Error::new(
                ErrorKind::Config,
                format!("--{flag} is not for `task`, which does what was planned"),
            )
            .with_hint("say what is read with `tfarrow plan`"))
        }
        None => Ok(()),
    }
}

/// `tfarrow task`.
pub(crate) fn task(args: &args::Task) -> Result<Outcome> {
    check(&args.input)?;
    let options = plan::sink(&args.input, Some(&args.output))?;
    let number = args.number;
    let found = read_plan(&args.plan, |text| match Task::of_plan(text, number)? {
        Some(task) => Ok(task),
        None => {
            let tasks = Plan::from_json(text)?.tasks().len();
            Err(Error::new(ErrorKind::Config, format!("no task {number} in a plan of {tasks}, from 0")))
        }
    })?;
    let settings = args.input.options.iter().filter(|(option, _)| option.key == "store");
    let task = settings
        .map(|(_, text)| setting(text))
        .try_fold(found, |task, (key, value)| task.with_store_option(key, value))?;
    let report = damage::report(args.report.as_deref(), args.input.has("overwrite"))?;
    let progress: Arc<Progress> = Arc::default();
    let mut read = ReadOptions::default();
    (read.progress, read.report) = (progress.clone(), report.clone());
    on_interrupt()?;
    let bar = Bar::start(args.progress, progress.clone());
    let start = Instant::now();
    let part = task.write_with(&args.output, &options, &read);
    bar.finish();
    report.flush()?;
    let part = part?;
    let outcome = damage::tell(&report, task.on_error());
    let path = args.output.join(part.name());
    let done = format!("to {} ({:.1} MB)", path.display(), megabytes(part.bytes()));
    summarise(part.rows(), &done, &progress, start.elapsed(), &report);
    Ok(outcome)
}

/// `tfarrow commit`.
pub(crate) fn commit(args: &args::Commit) -> Result<Outcome> {
    let plan = read_plan(&args.plan, Plan::from_json)?;
    let settings = args.store.iter().map(|text| setting(text));
    let plan =
        settings.into_iter().try_fold(plan, |plan, (key, value)| plan.with_store_option(key, value))?;
    let done = tfarrow::commit(&args.output, &plan, None)?;
    let lost = [
        (done.skipped, "records skipped"),
        (done.nulled, "records nulled"),
        (done.nulled_values, "values nulled"),
    ];
    let lost: String = lost
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("; {count} {what}"))
        .collect();
    note(&format!(
        "{} rows in {} parts in {} ({:.1} MB) committed{lost}",
        done.rows,
        done.parts,
        args.output.display(),
        megabytes(done.bytes)
    ));
    Ok(if lost.is_empty() { Outcome::Done } else { Outcome::Damaged })
}
