//! `tfarrow report`.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use tfarrow::Result;
use tfarrow::input::{is_url, shown};
use tfarrow::options::OnError;
use tfarrow::options::{Dialect, OutputKind};
use tfarrow::report::{Comparison, Page, Profile, json_to_text, write_file};
use tfarrow::source::Progress;

use crate::program::args::{Input, Report};
use crate::program::commands::{note, nothing_to_replace, on_interrupt, print, refuse_existing, tell_choice};
use crate::program::damage::Outcome;
use crate::program::plan;
use crate::program::progress::Bar;

pub(crate) fn run(args: &Report) -> Result<Outcome> {
    let overwrite = args.input.has("overwrite");
    let file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    match file {
        Some(path) if !overwrite && !is_url(path.as_os_str()) => refuse_existing(path)?,
        None if overwrite => return Err(nothing_to_replace()),
        _ => {}
    }
    on_interrupt()?;
    let profile = profile(args, &args.input)?;
    let other_input = other_input(args);
    let other = other_input.as_ref().map(|input| self::profile(args, input)).transpose()?;
    let text = if args.json {
        let mut json = profile.to_json(Dialect::Command);
        if let (Some(other), Some(object)) = (&other, json.as_object_mut()) {
            object.insert("compare".to_owned(), Comparison::of(&profile, other).to_json());
        }
        json_to_text(&json)
    } else {
        let page = Page::new(&profile, args.title.clone().unwrap_or_else(|| name_of(&args.input)));
        match (&other, &other_input) {
            (Some(other), Some(input)) => page.with_other(other, name_of(input)).to_html(),
            _ => page.to_html(),
        }
    };
    let damaged = profile.damaged + other.map_or(0, |other| other.damaged);
    match file {
        Some(path) => {
            write_file(path, &text, &plan::sink(&args.input, Some(path))?)?;
            let lost =
                if damaged > 0 { format!("; {damaged} records could not be read") } else { String::new() };
            let alerts = profile.alerts.len();
            let are = if alerts == 1 { "1 alert".to_owned() } else { format!("{alerts} alerts") };
            note(&format!("{} rows to {}: {are}{lost}", profile.rows, path.display()));
        }
        None => print(&text)?,
    }
    Ok(if damaged == 0 { Outcome::Done } else { Outcome::Damaged })
}

/// What is compared with, if anything: another input, or another split of the same; with the same
/// options.
fn other_input(args: &Report) -> Option<Input> {
    if args.compare.is_none() && args.compare_split.is_none() {
        return None;
    }
    let inputs: Vec<OsString> = match &args.compare {
        Some(other) => vec![other.clone()],
        None => args.input.inputs.clone(),
    };
    let mut options = args.input.options.clone();
    if let Some(split) = &args.compare_split {
        options.retain(|(option, _)| option.key != "split");
        options.extend(
            tfarrow::options::OPTIONS.iter().filter(|o| o.key == "split").map(|o| (o, split.clone())),
        );
    }
    let others = args.input.inputs.iter().chain(&args.input.others).cloned().collect();
    Some(Input { inputs, others, options })
}

/// Reads one of the datasets.
fn profile(args: &Report, input: &Input) -> Result<Profile> {
    let progress: Arc<Progress> = Arc::default();
    let mut builder = plan::reader(input, OutputKind::Report)?.with_progress(progress.clone());
    if !input.has("on_error") {
        builder = builder.with_default_on_error(OnError::Skip);
    }
    if let Some(rows) = args.rows {
        let mut selection = builder.read_options().selection;
        selection.take = Some(selection.take.map_or(rows, |take| take.min(rows)));
        builder = builder.with_selection(selection);
    }
    let source = builder.build_source()?;
    let bar = Bar::start(args.progress, progress);
    let profile = Profile::of(&source, builder.read_options(), builder.threads());
    bar.finish();
    tell_choice(source.as_ref());
    profile
}

/// What to call a dataset: the last part of its path, or the last two where that is a version, and the split.
fn name_of(input: &Input) -> String {
    let first = input.inputs.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let first = shown(&first);
    let first = Path::new(&*first);
    let last = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut name = last(first);
    let is_version = name.contains('.') && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if let Some(above) = first.parent().filter(|above| is_version && above.file_name().is_some()) {
        name = format!("{} {name}", last(above));
    }
    let more = match input.inputs.len() {
        0 | 1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    let split = input.value("split").map(|split| format!(", {split}")).unwrap_or_default();
    format!("{name}{more}{split}")
}
