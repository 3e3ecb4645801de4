//! From what was typed to what is meant: every option checked, nothing read yet.

use tfarrow::options::{OutputKind, Topic};
use tfarrow::sink::{Format, SinkOptions};
use tfarrow::{ReaderBuilder, Result};

use crate::program::args::{Convert, Input};
use crate::program::folder;

/// The reader that the options describe, for `output`.
pub(crate) fn reader(input: &Input, output: OutputKind) -> Result<ReaderBuilder> {
    let builder = ReaderBuilder::new(&input.inputs).for_output(output);
    let builder = if input.has("threads") { builder } else { builder.with_default_threads(cores()) };
    let of_reading = input.options.iter().filter(|(option, _)| match option.topic {
        Topic::Reading | Topic::Storing => true,
        _ => option.key == "rows_per_file",
    });
    of_reading.into_iter().try_fold(builder, |builder, (option, text)| builder.set(option.key, text))
}

/// The kind of the output, which must heed the options of writing.
pub(crate) fn output_kind(args: &Convert, options: &SinkOptions) -> Result<OutputKind> {
    let kind = match (&args.output, args.input.value("format")) {
        (_, Some(format)) => Format::from_name(format)?.kind(),
        (Some(path), None) => match Format::from_path(path) {
            Ok(format) => format.kind(),
            // Part files are Parquet unless something says otherwise.
            Err(_) if folder::is_folder(path) => OutputKind::Parquet,
            Err(error) => return Err(error),
        },
        (None, None) => OutputKind::Batches,
    };
    options.check(kind)?;
    Ok(kind)
}

/// How the output is to be written.
pub(crate) fn sink(input: &Input) -> Result<SinkOptions> {
    let of_writing =
        input.options.iter().filter(|(option, _)| option.topic == Topic::Writing || option.key == "threads");
    of_writing
        .into_iter()
        .try_fold(SinkOptions::new(), |options, (option, text)| options.set(option.key, text))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
