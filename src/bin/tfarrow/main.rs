//! The `tfarrow` command.

mod allocator;
mod args;
mod commands;
mod damage;
mod folder;
mod plan;
mod progress;

use std::process::ExitCode;

use damage::Outcome;
use tfarrow::options::Dialect;

/// Everything was converted.
const DONE: u8 = 0;
/// It was done, but there are records that could not be read.
const DAMAGED: u8 = 1;
/// Nothing was, or not all, and the output was not made.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    let result = commands::run(args::parse());
    if commands::was_interrupted() {
        return ExitCode::from(commands::INTERRUPTED);
    }
    match result {
        Ok(Outcome::Done) => ExitCode::from(DONE),
        Ok(Outcome::Damaged) => ExitCode::from(DAMAGED),
        // Whoever read our output has seen enough.
        Err(error) if error.is_broken_pipe() => ExitCode::from(DONE),
        Err(error) => {
            commands::note(&format!("tfarrow: error: {}", error.say(Dialect::Command)));
            ExitCode::from(FAILED)
        }
    }
}
