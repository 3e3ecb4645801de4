//! What can be typed, exactly as it is typed. Nothing here looks at files.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command as ClapCommand, value_parser};
use clap_complete::Shell;
use tfarrow::options::{Form, OPTIONS, OptionInfo, OutputKind, Topic};

const ABOUT: &str =
    "Turn TensorFlow datasets into files that pandas, polars, pyarrow and DuckDB open at once.";
const LONG_ABOUT: &str = "Turn TensorFlow datasets into files that pandas, polars, pyarrow and DuckDB open at once.\n\n\
    Reads TFRecord files of tf.train.Example (plain, GZIP or ZLIB, one file or many shards), TFDS folders, \
    ArrayRecord files and Dataset.save folders, and writes Parquet, Arrow IPC or NumPy files: every \
    feature becomes a typed column, and tensors become tensor columns. TensorFlow is not needed.";
const AFTER_HELP: &str = "Examples:\n  \
    tfarrow convert 'train-*.tfrecord' -o train.parquet\n  \
    tfarrow head train-00000-of-00008.tfrecord\n  \
    tfarrow schema train.tfrecord --json\n\n\
    Exit status: 0 when everything was converted, 1 when records were skipped or nulled \
    (or verify found damage), 2 when it failed.";

/// What was typed.
#[derive(Debug)]
pub(crate) enum Command {
    Convert(Convert),
    Schema(Show),
    Head(Head),
    Count(Count),
    Verify(Show),
    Report(Report),
    Plan(Plan),
    Task(Task),
    Commit(Commit),
    PythonHelper,
    Completions(Shell),
    /// The page of a command, or of the program.
    Man(Option<String>),
}

/// What is read, and the options of the table that were typed.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) inputs: Vec<OsString>,
    /// What else the command reads or writes, by name.
    pub(crate) others: Vec<OsString>,
    /// Keys and values, in the order of the table.
    pub(crate) options: Vec<(&'static OptionInfo, String)>,
}

impl Input {
    /// Whether the option `key` was typed.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// What was typed for the option `key`, the last time.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.options.iter().rfind(|(option, _)| option.key == key).map(|(_, text)| text.as_str())
    }
}

#[derive(Debug)]
pub(crate) struct Convert {
    pub(crate) input: Input,
    pub(crate) output: Option<PathBuf>,
    pub(crate) dry_run: bool,
    pub(crate) report: Option<PathBuf>,
    pub(crate) progress: Progress,
}

/// A command that shows what there is, as text or as JSON.
#[derive(Debug)]
pub(crate) struct Show {
    pub(crate) input: Input,
    pub(crate) json: bool,
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) input: Input,
    pub(crate) rows: u64,
}

#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) input: Input,
    pub(crate) check: bool,
}

#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) input: Input,
    pub(crate) output: Option<PathBuf>,
    /// Rows to look at; all if none.
    pub(crate) rows: Option<u64>,
    pub(crate) compare: Option<OsString>,
    pub(crate) compare_split: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) json: bool,
    pub(crate) progress: Progress,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) input: Input,
    pub(crate) output: PathBuf,
}

/// A task of a plan.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) plan: PathBuf,
    pub(crate) number: usize,
    pub(crate) output: PathBuf,
    /// What is written, and how; no input.
    pub(crate) input: Input,
    pub(crate) report: Option<PathBuf>,
    pub(crate) progress: Progress,
}

#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) plan: PathBuf,
    pub(crate) output: PathBuf,
    /// Settings of the store that the folder is in.
    pub(crate) store: Vec<String>,
}

/// When a progress bar is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Auto,
    Always,
    Never,
}

/// Reads the arguments of this process; ends it where they are wrong or ask for help.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Command {
    understood(&command().get_matches_from(arguments))
}

/// The program's arguments.
pub(crate) fn command() -> ClapCommand {
    let commands = [
        ClapCommand::new("convert")
            .about("Convert a dataset to Parquet, Arrow IPC, or a stream")
            .arg(inputs())
            .args(for_converting())
            .args(from_table(&[
                OutputKind::Parquet,
                OutputKind::IpcFile,
                OutputKind::Npy,
                OutputKind::TfRecord,
            ])),
        ClapCommand::new("schema")
            .about("Show what the dataset holds and which columns it becomes")
            .args([inputs(), json()])
            .args(from_table(&[OutputKind::Schema])),
        ClapCommand::new("head")
            .about("Show the first rows as a table")
            .args([inputs(), rows()])
            .args(from_table(&[OutputKind::Head])),
        ClapCommand::new("count")
            .about("Count the records, without decoding them")
            .args([inputs(), check()])
            .args(from_table(&[OutputKind::Count])),
        ClapCommand::new("verify")
            .about("Read everything, check every checksum, and list what is damaged")
            .args([inputs(), json()])
            .args(from_table(&[OutputKind::Verify])),
        ClapCommand::new("report")
            .about("Make a page to look at: what is in every column, images, rows, and what is wrong")
            .args([inputs(), json(), progress()])
            .args(for_reporting())
            .args(from_table(&[OutputKind::Report])),
        ClapCommand::new("plan")
            .about("Plan a conversion in tasks for several machines")
            .args([inputs(), plan_output()])
            .args(from_table(&[OutputKind::Plan])),
        ClapCommand::new("task")
            .about("Do one task of a plan: write its part file into a folder")
            .args([plan(), number(), task_output(), report_file(), progress()])
            .args(of_tasks()),
        ClapCommand::new("commit")
            .about("Make a dataset of the parts of all tasks of a plan, once they are done")
            .args([plan(), committed()])
            .args(OPTIONS.iter().filter(|option| option.key == "store").map(argument)),
        ClapCommand::new("python-helper")
            .about("Print tfarrow_export.py, which exports tf.data pipelines from Python"),
        ClapCommand::new("completions").about("Print a shell's completions of this program").arg(shell()),
        ClapCommand::new("man").about("Print the man page of this program, or of a command").arg(page()),
    ];
    ClapCommand::new("tfarrow")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(AFTER_HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(commands)
}

/// The arguments for the options of the table, in its order. Those that none of `outputs` heeds are
/// not listed: who types them is told what they are for.
fn from_table(outputs: &[OutputKind]) -> impl Iterator<Item = Arg> {
    OPTIONS.iter().filter(|option| option.topic != Topic::Library).map(|option| {
        let heeded = outputs.iter().any(|output| option.outputs.contains(output));
        argument(option).hide(!heeded)
    })
}

/// The arguments of a task: the options of writing. Those of reading are said when it is planned; who
/// types them is told so.
fn of_tasks() -> impl Iterator<Item = Arg> {
    let options = OPTIONS.iter().filter(|option| option.topic != Topic::Library);
    options.map(|option| argument(option).hide(!is_of_tasks(option)))
}

/// Whether an option says how a task is done, and not what it reads.
pub(crate) fn is_of_tasks(option: &OptionInfo) -> bool {
    let of_writing = option.topic == Topic::Writing && option.key != "shards";
    of_writing || matches!(option.key, "threads" | "store")
}

fn argument(option: &'static OptionInfo) -> Arg {
    let arg = Arg::new(option.key).long(option.key.replace('_', "-")).help(option.help);
    let arg = match option.topic {
        Topic::Reading => arg.help_heading("What to read"),
        Topic::Storing => arg.help_heading("How to store it"),
        _ => arg,
    };
    let arg = match option.form {
        Form::Flag => return arg.action(ArgAction::SetTrue),
        Form::Choice(words) => {
            arg.value_name(option.key.to_uppercase()).value_parser(PossibleValuesParser::new(words))
        }
        Form::Number(placeholder, _) | Form::Text(placeholder) | Form::Path(placeholder) => {
            arg.value_name(placeholder)
        }
        Form::Names(placeholder) | Form::Pairs { placeholder, .. } => {
            arg.value_name(placeholder).action(ArgAction::Append)
        }
        _ => arg,
    };
    match option.default {
        Some(default) => arg.default_value(default),
        None => arg,
    }
}

fn inputs() -> Arg {
    Arg::new("inputs")
        .value_name("INPUT")
        .required(true)
        .num_args(1..)
        .value_parser(value_parser!(OsString))
        .help("Files, quoted globs ('train-*.tfrecord'), folders, URLs (s3://, https://), or - for standard input")
}

fn shell() -> Arg {
    Arg::new("shell")
        .value_name("SHELL")
        .required(true)
        .value_parser(value_parser!(Shell))
        .help("Which shell")
}

fn page() -> Arg {
    Arg::new("command").value_name("COMMAND").help("Which command")
}

fn plan() -> Arg {
    Arg::new("plan")
        .value_name("PLAN")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("The plan, as `tfarrow plan` wrote it")
}

fn number() -> Arg {
    Arg::new("number")
        .value_name("N")
        .required(true)
        .value_parser(value_parser!(usize))
        .help("Which task, from 0")
}

fn plan_output() -> Arg {
    Arg::new("output")
        .short('o')
        .long("output")
        .value_name("PLAN")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("Where to write the plan; - for standard output")
}

fn task_output() -> Arg {
    Arg::new("output")
        .short('o')
        .long("output")
        .value_name("DIR")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("The folder to write the part file into, the same for all tasks")
}

fn committed() -> Arg {
    Arg::new("output")
        .value_name("DIR")
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("The folder that the tasks wrote into")
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print one JSON object")
}

fn rows() -> Arg {
    Arg::new("rows")
        .short('n')
        .long("rows")
        .value_name("ROWS")
        .value_parser(value_parser!(u64))
        .default_value("10")
        .help("Rows to show")
}

fn check() -> Arg {
    Arg::new("check")
        .long("check")
        .action(ArgAction::SetTrue)
        .help("Read every record and see that there are as many as the input's metadata says")
}

/// Arguments of reports.
fn for_reporting() -> [Arg; 5] {
    [
        Arg::new("output")
            .short('o')
            .long("output")
            .value_name("OUTPUT")
            .required_unless_present("json")
            .value_parser(value_parser!(PathBuf))
            .help("Where to write the page, or the JSON; - for standard output"),
        Arg::new("rows")
            .long("rows")
            .value_name("N|all")
            .default_value("all")
            .value_parser(rows_or_all)
            .help("Rows to look at, the first ones"),
        Arg::new("compare")
            .long("compare")
            .value_name("OTHER")
            .value_parser(value_parser!(OsString))
            .help("Another dataset, to be compared with: which columns differ, the most different first"),
        Arg::new("compare_split")
            .long("compare-split")
            .value_name("NAME")
            .help("Splits of the other dataset, or of the same one, to be compared with"),
        Arg::new("title")
            .long("title")
            .value_name("TEXT")
            .conflicts_with("json")
            .help("The title of the page [default: the name of the input]"),
    ]
}

/// So many rows; none for all of them.
fn rows_or_all(text: &str) -> Result<Option<u64>, String> {
    match text {
        "all" => Ok(None),
        n => n.parse().map(Some).map_err(|_| "expected a number or `all`".to_owned()),
    }
}

fn progress() -> Arg {
    Arg::new("progress")
        .long("progress")
        .value_name("WHEN")
        .value_parser(PossibleValuesParser::new(["auto", "always", "never"]))
        .default_value("auto")
        .help("Show a progress bar")
}

/// Arguments of conversions that concern this program alone.
fn for_converting() -> [Arg; 4] {
    [
        Arg::new("output")
            .short('o')
            .long("output")
            .value_name("OUTPUT")
            .required_unless_present("dry_run")
            .value_parser(value_parser!(PathBuf))
            .help(
                "Where to write: a name that ends in .parquet, .arrow, .feather, .ipc, .arrows, .npy, .npz, \
                 .npyd (a folder of .npy files), .tfrecord or .tfrecord.gz, - for an Arrow stream on standard \
                 output, or a folder (a name that ends in /) for a part file per input file",
            ),
        Arg::new("dry_run")
            .long("dry-run")
            .action(ArgAction::SetTrue)
            .conflicts_with("resume")
            .help("Read and convert everything, write nothing"),
        report_file(),
        progress(),
    ]
}

fn report_file() -> Arg {
    Arg::new("report")
        .long("report")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Write every record that was skipped or nulled to a file, as one JSON object a line")
}

fn understood(matches: &ArgMatches) -> Command {
    match matches.subcommand() {
        Some(("convert", matches)) => Command::Convert(Convert {
            input: input(matches),
            output: matches.get_one("output").cloned(),
            dry_run: matches.get_flag("dry_run"),
            report: matches.get_one("report").cloned(),
            progress: when(matches),
        }),
        Some(("schema", matches)) => Command::Schema(show(matches)),
        Some(("head", matches)) => Command::Head(Head {
            input: input(matches),
            rows: matches.get_one("rows").copied().unwrap_or(10),
        }),
        Some(("count", matches)) => {
            Command::Count(Count { input: input(matches), check: matches.get_flag("check") })
        }
        Some(("verify", matches)) => Command::Verify(show(matches)),
        Some(("report", matches)) => Command::Report(Report {
            input: input(matches),
            output: matches.get_one("output").cloned(),
            rows: matches.get_one::<Option<u64>>("rows").copied().flatten(),
            compare: matches.get_one("compare").cloned(),
            compare_split: matches.get_one("compare_split").cloned(),
            title: matches.get_one("title").cloned(),
            json: matches.get_flag("json"),
            progress: when(matches),
        }),
        Some(("plan", matches)) => {
            Command::Plan(Plan { input: input(matches), output: path(matches, "output") })
        }
        Some(("task", matches)) => Command::Task(Task {
            plan: path(matches, "plan"),
            number: matches.get_one("number").copied().unwrap_or(0),
            output: path(matches, "output"),
            input: input(matches),
            report: matches.get_one("report").cloned(),
            progress: when(matches),
        }),
        Some(("commit", matches)) => {
            let store = matches.get_many("store").unwrap_or_default().cloned().collect();
            Command::Commit(Commit { plan: path(matches, "plan"), output: path(matches, "output"), store })
        }
        Some(("completions", matches)) => {
            Command::Completions(matches.get_one("shell").copied().unwrap_or(Shell::Bash))
        }
        Some(("man", matches)) => Command::Man(matches.get_one("command").cloned()),
        _ => Command::PythonHelper,
    }
}

/// An argument that must be there.
fn path(matches: &ArgMatches, name: &str) -> PathBuf {
    matches.get_one::<PathBuf>(name).cloned().unwrap_or_default()
}

fn when(matches: &ArgMatches) -> Progress {
    match matches.get_one::<String>("progress").map(String::as_str) {
        Some("always") => Progress::Always,
        Some("never") => Progress::Never,
        _ => Progress::Auto,
    }
}

fn show(matches: &ArgMatches) -> Show {
    Show { input: input(matches), json: matches.get_flag("json") }
}

fn input(matches: &ArgMatches) -> Input {
    let mut options = Vec::new();
    for option in OPTIONS.iter().filter(|option| option.topic != Topic::Library) {
        if matches.value_source(option.key) != Some(ValueSource::CommandLine) {
            continue;
        }
        match option.form {
            Form::Flag => options.push((option, matches.get_flag(option.key).to_string())),
            _ => {
                let texts = matches.get_many::<String>(option.key).unwrap_or_default();
                options.extend(texts.map(|text| (option, text.clone())));
            }
        }
    }
    let names = |id| matches.try_get_many::<OsString>(id).ok().flatten().unwrap_or_default().cloned();
    let output =
        matches.try_get_one::<PathBuf>("output").ok().flatten().map(|path| path.clone().into_os_string());
    let others = names("compare").chain(output).collect();
    Input { inputs: names("inputs").collect(), others, options }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        command().debug_assert();
    }
}
