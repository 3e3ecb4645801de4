//! The program, to be called: by `main`, and by the command that comes with the Python package, which
//! is built from these files too. It uses the public library alone.

mod args;
mod commands;
mod damage;
mod help;
mod plan;
mod progress;
mod report;
mod tasks;

use std::ffi::OsString;

use damage::Outcome;
use tfarrow::options::Dialect;

/// Everything was converted.
const DONE: u8 = 0;
/// It was done, but there are records that could not be read.
const DAMAGED: u8 = 1;
/// Nothing was, or not all, and the output was not made.
const FAILED: u8 = 2;

/// Does what the arguments say, the first of which is the program's own name; returns the exit
/// status. Arguments that cannot be understood, and calls for help, end the process.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let result = commands::run(args::parse(arguments));
    if commands::was_interrupted() {
        return commands::INTERRUPTED;
    }
    match result {
        Ok(Outcome::Done) => DONE,
        Ok(Outcome::Damaged) => DAMAGED,
        // Whoever read our output has seen enough.
        Err(error) if error.is_broken_pipe() => DONE,
        Err(error) => {
            commands::note(&format!("tfarrow: error: {}", error.say(Dialect::Command)));
            FAILED
        }
    }
}
