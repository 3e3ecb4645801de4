//! Converting to a folder of part files.

use std::path::Path;

use tfarrow::sink::{Format, SinkOptions};
use tfarrow::source::Progress;
use tfarrow::{Error, ErrorKind, FolderOptions, ReaderBuilder, Result, convert_to_folder};

use crate::program::args::Convert;
use crate::program::commands::{megabytes, on_interrupt, summarise, tell_choice};
use crate::program::damage::{self, Outcome};
use crate::program::progress::Bar;

/// Whether part files are to be written into `path`, unless its format is a folder by itself.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.to_string_lossy().ends_with(['/', std::path::MAIN_SEPARATOR]) || path.is_dir()
}

/// The extension of the part files, if `path` is to be a folder of them.
///
/// # Errors
/// An option needs a folder, and `path` is none.
pub(crate) fn extension(path: &Path, args: &Convert) -> Result<Option<String>> {
    // What the folder's own name says of a format: `train.parquet/`.
    let named = Format::from_path(path).ok().filter(|_| path != Path::new("-"));
    let format = args.input.value("format").map(Format::from_name).transpose()?;
    // These are folders by themselves.
    let folder_format = matches!(format.or(named), Some(Format::Npyd | Format::Saved));
    if folder_format || !is_folder(path) {
        if ["rows_per_file", "task_bytes", "resume"].iter().any(|key| args.input.has(key)) {
            let what = "--rows-per-file, --task-bytes and --resume are for an output folder";
            return Err(Error::new(ErrorKind::Config, what)
                .in_source(path.to_string_lossy().into_owned())
                .with_hint("end the output's name in /"));
        }
        return Ok(None);
    }
    Ok(Some(match (args.input.value("format"), named) {
        (Some(format), _) => format.trim_start_matches('.').to_owned(),
        (None, Some(_)) => path.extension().unwrap_or_default().to_string_lossy().into_owned(),
        (None, None) => "parquet".to_owned(),
    }))
}

/// Converts to part files of the format `extension` in `folder`.
pub(crate) fn convert(
    folder: &Path,
    extension: String,
    args: &Convert,
    builder: ReaderBuilder,
    sink: SinkOptions,
    progress: &std::sync::Arc<Progress>,
) -> Result<Outcome> {
    on_interrupt()?;
    let source = builder.cut(builder.build_source()?)?;
    let options = FolderOptions {
        extension,
        threads: builder.threads(),
        sink,
        resume: args.input.has("resume"),
        settings: builder.settings(),
    };
    let bar = Bar::start(args.progress, progress.clone(), source.partitions().iter().map(|p| p.bytes).sum());
    let read = builder.read_options();
    let summary = convert_to_folder(&source, folder, read, &options);
    bar.finish();
    read.report.flush()?;
    let summary = summary.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::Config => error,
        _ if error.hint().is_some() => error,
        _ => error.with_hint("parts that are whole stay, and --resume makes the others"),
    })?;
    let outcome = damage::tell(&read.report, read.on_error);
    tell_choice(source.as_ref());
    let kept = if summary.kept > 0 { format!(", {} of them kept", summary.kept) } else { String::new() };
    let done = format!(
        "to {} parts in {} ({:.1} MB{kept})",
        summary.parts,
        folder.display(),
        megabytes(summary.bytes)
    );
    summarise(summary.rows, &done, progress, summary.elapsed, &read.report);
    Ok(outcome)
}
