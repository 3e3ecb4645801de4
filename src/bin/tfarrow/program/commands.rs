//! What the commands do.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tfarrow::options::OutputKind;
use tfarrow::report::{Description, json_to_text, printable, rows_to_text};
use tfarrow::sink::remove_partial_outputs;
use tfarrow::source::{Progress, Report, Source};
use tfarrow::{Conversion, Converted, Error, ErrorKind, Result};

use crate::program::args::{Command, Convert, Count, Head, Show};
use crate::program::damage::{self, Outcome};
use crate::program::help;
use crate::program::plan;
use crate::program::progress::Bar;
use crate::program::report;
use crate::program::tasks;

/// How shells see a process that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;
/// Whether a signal that ends the process has come.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Convert(args) => run_convert(&args),
        Command::Schema(args) => run_schema(&args).map(|()| Outcome::Done),
        Command::Head(args) => run_head(&args),
        Command::Count(args) => run_count(&args).map(|()| Outcome::Done),
        Command::Verify(args) => damage::verify(&args),
        Command::Report(args) => report::run(&args),
        Command::Plan(args) => tasks::plan(&args).map(|()| Outcome::Done),
        Command::Task(args) => tasks::task(&args),
        Command::Commit(args) => tasks::commit(&args),
        Command::Completions(shell) => help::completions(shell).map(|()| Outcome::Done),
        Command::Man(command) => help::man(command.as_deref()).map(|()| Outcome::Done),
        Command::PythonHelper => print(tfarrow::live::PYTHON_HELPER).map(|()| Outcome::Done),
    }
}

fn run_convert(args: &Convert) -> Result<Outcome> {
    let progress: Arc<Progress> = Arc::default();
    let output = args.output.as_deref();
    let builder = plan::reader(&args.input, OutputKind::Batches)?.with_progress(progress.clone());
    let sink = plan::sink(&args.input, output)?;
    // A list of what is damaged may be replaced.
    let sink = match output == Some(Path::new("-")) && args.report.is_some() {
        true => sink.with_overwrite(false),
        false => sink,
    };
    let conversion =
        |builder| Conversion::new(builder).with_sink(sink.clone()).with_resume(args.input.has("resume"));
    match output {
        Some(output) if !args.dry_run => conversion(builder.clone()).check(output)?,
        _ => conversion(builder.clone()).check_options(output)?,
    }
    let report = damage::report(args.report.as_deref(), args.input.has("overwrite"))?;
    let builder = builder.with_report(report.clone());
    let conversion = conversion(builder.clone());
    on_interrupt()?;
    let bar = Bar::start(args.progress, progress.clone());
    let converted = match output {
        Some(output) if !args.dry_run => conversion.write(output),
        _ => conversion.dry_run(output),
    };
    bar.finish();
    // What was found until something failed is worth having too.
    report.flush()?;
    let converted = converted?;
    let outcome = damage::tell(&report, builder.read_options().on_error);
    tell_choice(converted.source.as_ref());
    summarise(converted.rows, &told(args, &converted), &progress, converted.elapsed, &report);
    Ok(outcome)
}

/// Where the rows went.
fn told(args: &Convert, converted: &Converted) -> String {
    let size = megabytes(converted.bytes_written);
    match &args.output {
        Some(path) if !args.dry_run => match (converted.parts, converted.kept) {
            _ if path == Path::new("-") => "to standard output".to_owned(),
            (None, _) => format!("to {} ({size:.1} MB)", path.display()),
            (Some(parts), 0) => format!("to {parts} parts in {} ({size:.1} MB)", path.display()),
            (Some(parts), kept) => {
                format!("to {parts} parts in {} ({size:.1} MB, {kept} of them kept)", path.display())
            }
        },
        _ => "read, nothing written (dry run)".to_owned(),
    }
}

/// Which part of the input was read, where its name left that open.
pub(crate) fn tell_choice(source: &dyn Source) {
    if let Some(choice) = source.choice() {
        note(&format!("read {choice}"));
    }
}

/// The last line of a conversion.
pub(crate) fn summarise(rows: u64, done: &str, progress: &Progress, elapsed: Duration, report: &Report) {
    let seconds = elapsed.as_secs_f64();
    let read = megabytes(progress.bytes());
    let rate = if seconds > 0.0 { format!(", {:.0} MB/s", read / seconds) } else { String::new() };
    let lost = damage::summary(report);
    note(&format!("{rows} rows {done}: {read:.1} MB read in {seconds:.2} s{rate}{lost}"));
}

/// What is said of `--overwrite` where standard output is written to.
pub(crate) fn nothing_to_replace() -> Error {
    Error::new(
        ErrorKind::Config,
        "--overwrite is for files and folders; what is written goes to standard output",
    )
    .with_hint("leave --overwrite out, or name a file with -o")
}

/// Refuses an output that exists already.
pub(crate) fn refuse_existing(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::new(ErrorKind::AlreadyExists, "output exists already")
            .in_source(path.to_string_lossy().into_owned())
            .with_hint("pass --overwrite to replace it"));
    }
    Ok(())
}

/// A partial output must not outlive the process, whatever it is waiting for when it is told to end.
pub(crate) fn on_interrupt() -> Result<()> {
    ctrlc::set_handler(|| {
        IS_INTERRUPTED.store(true, Ordering::SeqCst);
        remove_partial_outputs();
        std::process::exit(i32::from(INTERRUPTED));
    })
    .map_err(|e| Error::new(ErrorKind::Io, "cannot watch for signals").with_cause(e))
}

/// Whether a signal has come that ends the process. If so, all that is not whole is gone.
pub(crate) fn was_interrupted() -> bool {
    let interrupted = IS_INTERRUPTED.load(Ordering::SeqCst);
    if interrupted {
        // Waits for the handler.
        remove_partial_outputs();
    }
    interrupted
}

#[allow(clippy::cast_precision_loss)] // for display
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

pub(crate) fn note(text: &str) {
    // Nobody is left to be told if standard error is gone.
    drop(writeln!(std::io::stderr(), "{}", printable(text)));
}

pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Error::new(ErrorKind::Io, "cannot write to standard output").with_cause(e))
}

fn run_schema(args: &Show) -> Result<()> {
    let source = plan::reader(&args.input, OutputKind::Schema)?.build_source()?;
    tell_choice(source.as_ref());
    let description = Description::of(source.as_ref());
    print(&if args.json { json_to_text(&description.to_json()) } else { description.to_text() })
}

fn run_head(args: &Head) -> Result<Outcome> {
    let builder = plan::reader(&args.input, OutputKind::Head)?;
    let mut selection = builder.read_options().selection;
    selection.take = Some(selection.take.map_or(args.rows, |take| take.min(args.rows)));
    let report = damage::report(None, false)?;
    let builder = builder.with_selection(selection).with_report(report.clone());
    let reader = builder.build()?;
    let source = reader.source().clone();
    let schema = reader.schema();
    let mut batches = Vec::new();
    for batch in reader {
        batches.push(batch?);
    }
    tell_choice(source.as_ref());
    print(&rows_to_text(&schema, &batches)?)?;
    Ok(damage::tell(&report, builder.read_options().on_error))
}

fn run_count(args: &Count) -> Result<()> {
    let builder = plan::reader(&args.input, OutputKind::Count)?;
    let records = if args.check { builder.count_checked()? } else { builder.count()? };
    print(&format!("{records}\n"))?;
    if !args.check {
        note("lengths or the input's own metadata were read, data was not: `tfarrow verify` checks it");
    }
    Ok(())
}
