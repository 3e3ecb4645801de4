//! From what was typed to what is meant: every option checked, nothing read yet.

use std::ffi::OsString;
use std::path::Path;

use tfarrow::input::takes_store_key;
use tfarrow::options::{OutputKind, Topic};
use tfarrow::sink::SinkOptions;
use tfarrow::{ReaderBuilder, Result};

use crate::program::args::Input;

/// The reader that the options describe, for `output`.
pub(crate) fn reader(input: &Input, output: OutputKind) -> Result<ReaderBuilder> {
    let builder = ReaderBuilder::new(&input.inputs).for_output(output);
    let builder = builder.with_default_threads(cores());
    let of_reading = input.options.iter().filter(|(option, text)| match option.topic {
        _ if option.key == "store" => is_for(&input.inputs, &input.others, text),
        Topic::Reading | Topic::Storing => true,
        _ => matches!(option.key, "rows_per_file" | "task_bytes"),
    });
    of_reading.into_iter().try_fold(builder, |builder, (option, text)| builder.set(option.key, text))
}

/// Whether a setting of stores is for `names`. One that is for none of `others` either is theirs to
/// refuse.
fn is_for(names: &[OsString], others: &[OsString], setting: &str) -> bool {
    let key = setting.split('=').next().unwrap_or_default();
    let takes = |name: &OsString| takes_store_key(name, key);
    names.iter().any(takes) || !others.iter().any(takes)
}

/// How the output is to be written.
pub(crate) fn sink(input: &Input, output: Option<&Path>) -> Result<SinkOptions> {
    let takes = |text: &str| {
        let key = text.split('=').next().unwrap_or_default();
        output.is_some_and(|output| takes_store_key(output.as_os_str(), key))
    };
    let of_writing = input.options.iter().filter(|(option, text)| {
        option.topic == Topic::Writing || option.key == "threads" || option.key == "store" && takes(text)
    });
    of_writing.into_iter().try_fold(SinkOptions::new().with_threads(cores()), |options, (option, text)| {
        options.set(option.key, text)
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
