//! Reads rows of ArrayRecord files by number, in any order: `random_rows COUNT FILE...`. The files'
//! index says where each one is; nothing else is read.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::Instant;

use tfarrow::arrow::array::AsArray;
use tfarrow::options::RecordKind;
use tfarrow::source::{Cardinality, Selection};
use tfarrow::{Batches, ReaderBuilder, Result};

fn run(count: u64, files: &[String]) -> Result<()> {
    let builder = ReaderBuilder::new(files).with_record(RecordKind::Raw);
    let source = builder.build_source()?;
    let Cardinality::Known(rows) = source.cardinality() else { return Ok(()) };
    let start = Instant::now();
    let mut bytes = 0;
    // Multiples of a large odd number, modulo the number of rows, are scattered.
    for row in (0..count).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % rows.max(1)) {
        let mut options = builder.read_options().clone();
        options.selection = Selection::default().with_skip(row).with_take(1);
        for batch in Batches::new(source.clone(), &options, 1)? {
            bytes += batch?.column(0).as_binary::<i32>().value(0).len();
        }
    }
    eprintln!("{:.3} s", start.elapsed().as_secs_f64());
    println!("{count} of {rows} records, {bytes} bytes");
    Ok(())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let count = args.next().and_then(|count| count.parse().ok());
    let files: Vec<String> = args.collect();
    let (Some(count), false) = (count, files.is_empty()) else {
        eprintln!("usage: random_rows COUNT FILE...");
        return ExitCode::from(2);
    };
    match run(count, &files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
