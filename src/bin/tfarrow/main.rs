//! The `tfarrow` command.

mod allocator;
mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    ExitCode::from(program::run(std::env::args_os()))
}
