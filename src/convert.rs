//! From a source to a sink.

pub(crate) mod conversion;
pub(crate) mod folder;
pub(crate) mod manifest;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::reader::Batches;
use crate::sink::Sink;
use crate::source::{ReadOptions, Source};

pub use conversion::{Conversion, Converted};

/// What a conversion did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Rows converted.
    pub rows: u64,
    /// Batches converted.
    pub batches: u64,
    /// Bytes written; 0 where nothing is, or where they go to a stream.
    pub bytes_written: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Reads all of `source` with `threads` threads and writes it to `sink`; with no sink, everything
/// is read and converted, and nothing is written.
///
/// The output does not depend on the number of threads. Memory is bounded by the size of a batch
/// times the number of threads (and by what the sink holds back, such as a Parquet row group).
///
/// # Errors
/// The source cannot be read or is damaged, or the sink cannot be written. The sink's output does
/// not appear then.
pub fn convert(
    source: &Arc<dyn Source>,
    sink: Option<Box<dyn Sink>>,
    options: &ReadOptions,
    threads: usize,
) -> Result<Summary> {
    let start = Instant::now();
    let mut sink = sink;
    let mut rows = 0;
    let mut batches = 0;
    for batch in Batches::new(source.clone(), options, threads)? {
        let batch = batch?;
        if let Some(sink) = &mut sink {
            sink.write(&batch)?;
        }
        rows += batch.num_rows() as u64;
        batches += 1;
    }
    let bytes_written = sink.map_or(Ok(0), Sink::finish)?;
    Ok(Summary { rows, batches, bytes_written, elapsed: start.elapsed() })
}
