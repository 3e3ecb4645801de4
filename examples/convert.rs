//! Converts TFRecord files to Parquet or Arrow IPC, with one thread a core.
//!
//! ```text
//! cargo run --release --example convert -- 'examples/data/digits/digits.tfrecord-*' digits.parquet
//! ```

use std::path::Path;
use std::process::ExitCode;

use tfarrow::sink::{SinkOptions, open_sink};
use tfarrow::{ReaderBuilder, Result, convert};

fn run(input: &str, output: &str) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let builder = ReaderBuilder::new([input]);
    let source = builder.build_source()?;
    let options = SinkOptions::new().with_overwrite(true).with_threads(threads);
    let sink = open_sink(Path::new(output), &source.schema(), &options)?;
    let summary = convert(&source, Some(sink), builder.read_options(), threads)?;
    println!("{} rows, {} bytes", summary.rows, summary.bytes_written);
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = args.as_slice() else {
        eprintln!("usage: convert INPUT OUTPUT");
        return ExitCode::from(2);
    };
    match run(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
