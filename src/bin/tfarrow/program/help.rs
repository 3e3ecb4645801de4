//! `tfarrow completions` and `tfarrow man`: what shells and `man` are told of the arguments.

use clap_complete::Shell;
use clap_mangen::Man;
use tfarrow::{Error, ErrorKind, Result};

use crate::program::args;
use crate::program::commands::print;

/// `tfarrow completions`.
pub(crate) fn completions(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "tfarrow", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// `tfarrow man`: the page of `command`, or of the program.
pub(crate) fn man(command: Option<&str>) -> Result<()> {
    let mut program = args::command();
    program.build();
    let page = match command {
        None => program,
        Some(name) => {
            let found = program.find_subcommand(name).ok_or_else(|| unknown(name, &program))?;
            // `man tfarrow-convert`, as of other programs with commands.
            let page = found.get_display_name().unwrap_or(name).to_owned();
            found.clone().name(page)
        }
    };
    let mut text = Vec::new();
    let written = Man::new(page).render(&mut text);
    written.map_err(|e| Error::new(ErrorKind::Io, "cannot make a man page").with_cause(e))?;
    print(&String::from_utf8_lossy(&text))
}

fn unknown(name: &str, program: &clap::Command) -> Error {
    let names: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    Error::new(ErrorKind::Config, format!("no command `{name}`"))
        .with_hint(format!("there are {}", names.join(", ")))
}
