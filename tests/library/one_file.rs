//! One file keeps every thread busy: its records are cut into units while it is read, and several
//! units are decoded at a time. Rows keep their order.

#![cfg(all(feature = "cli", feature = "array-record", feature = "parquet"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use crate::common::{Dir, repo, tfarrow};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, SchemaRef};
use tfarrow::options::RecordKind;
use tfarrow::source::{Cardinality, Decoded, Partition, ReadOptions, Source, Unit, Units, UnitsAre};
use tfarrow::{Batches, ElementSpec, ReaderBuilder, Result};

/// Where threads wait for another one to decode at the same time.
#[derive(Debug, Default)]
struct Meeting {
    present: Mutex<HashSet<ThreadId>>,
    changed: Condvar,
}

impl Meeting {
    /// Waits until two threads were here; a thread that stays alone panics.
    fn come(&self) {
        let mut present = self.present.lock().unwrap();
        present.insert(std::thread::current().id());
        self.changed.notify_all();
        let alone = |present: &mut HashSet<ThreadId>| present.len() < 2;
        let (present, _) = self.changed.wait_timeout_while(present, Duration::from_secs(60), alone).unwrap();
        assert!(present.len() >= 2, "no other thread decodes");
    }
}

/// A source whose units are decoded only when two threads have one.
#[derive(Debug)]
struct Met {
    inner: Arc<dyn Source>,
    meeting: Arc<Meeting>,
}

impl Source for Met {
    fn kind(&self) -> &str {
        self.inner.kind()
    }

    fn element_spec(&self) -> &ElementSpec {
        self.inner.element_spec()
    }

    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn cardinality(&self) -> Cardinality {
        self.inner.cardinality()
    }

    fn partitions(&self) -> &[Partition] {
        self.inner.partitions()
    }

    fn units_are(&self) -> UnitsAre {
        self.inner.units_are()
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Met { inner: self.inner.project(columns)?, meeting: self.meeting.clone() }))
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        let inner = self.inner.units(partitions, options)?;
        Ok(Box::new(MetUnits { inner, meeting: self.meeting.clone() }))
    }
}

struct MetUnits {
    inner: Box<dyn Units>,
    meeting: Arc<Meeting>,
}

impl Units for MetUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let unit = self.inner.next_unit()?;
        Ok(unit.map(|inner| Box::new(MetUnit { inner, meeting: self.meeting.clone() }) as Box<dyn Unit>))
    }
}

struct MetUnit {
    inner: Box<dyn Unit>,
    meeting: Arc<Meeting>,
}

impl Unit for MetUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        self.meeting.come();
        self.inner.decode(emit)
    }
}

/// The rows that the one file behind `builder` has, once two threads have decoded parts of it at
/// the same time and gave what one thread gives.
fn rows_of_two_threads(builder: &ReaderBuilder, batch_rows: usize) -> RecordBatch {
    let inner = builder.build_source().unwrap();
    let options = ReadOptions::default().with_batch_rows(batch_rows);
    let table = |source: Arc<dyn Source>, threads| {
        let batches = Batches::new(source, &options, threads).unwrap();
        concat_batches(&inner.schema(), &batches.map(Result::unwrap).collect::<Vec<_>>()).unwrap()
    };
    let met = Met { inner: inner.clone(), meeting: Arc::default() };
    let found = table(Arc::new(met), 2);
    assert!(found == table(inner.clone(), 1), "two threads give other rows than one");
    found
}

#[test]
fn units_of_one_file_are_decoded_at_the_same_time() {
    let digits = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-00000-of-00002"]);
    assert_eq!(rows_of_two_threads(&digits, 100).num_rows(), 898);
    for name in ["many_small", "simple_zstd_g4", "transpose_zstd_g4"] {
        let file = format!("tests/golden/array_record/{name}.array_record");
        let raw = ReaderBuilder::new([file]).with_record(RecordKind::Raw);
        assert!(rows_of_two_threads(&raw, 4).num_rows() > 4, "{name}");
    }
    for name in ["wide_tfrecord", "wide_array_record", "wide_parquet"] {
        let folder = format!("tests/golden/tfds/{name}");
        let shard = ReaderBuilder::new([folder]).with_split("train[1shard]");
        assert_eq!(shard.build_source().unwrap().partitions().len(), 1);
        assert_eq!(rows_of_two_threads(&shard, 1).num_rows(), 3, "{name}");
    }
}

/// A TFRecord file of `rows` Examples: a number, and `payload` bytes. Frames are written as they are
/// made.
fn large_file(path: &Path, rows: u32, payload: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for row in 0..rows {
        // As fixed-width text, so that no two rows are the same anywhere.
        let mut bytes = format!("{row:08}").into_bytes();
        bytes.resize(payload, b'.');
        let record = crate::common::example(&[("payload", &bytes)]);
        file.write_all(&crate::common::tfrecord(&[record])).unwrap();
    }
    file.flush().unwrap();
}

#[test]
fn a_large_tfrecord_file_is_read_by_several_threads_in_order() {
    const ROWS: u32 = 18_000;
    const PAYLOAD: usize = 4000;
    let dir = Dir::new();
    let input = dir.arg("large.tfrecord");
    large_file(Path::new(&input), ROWS, PAYLOAD);
    assert!(std::fs::metadata(&input).unwrap().len() > 64 << 20);

    // Rows of any number make a batch, and yet the file is more than one.
    let batches = rows_of_two_threads(&ReaderBuilder::new([input.as_str()]), 1_000_000);
    let payload = batches.column(0).as_string::<i32>();
    for (row, value) in (0..ROWS).zip(payload) {
        assert_eq!(value.unwrap()[..8], format!("{row:08}"));
    }
    for (skip, take) in [(0u32, 3u32), (17_000, 5), (17_999, 5)] {
        let (skip, take) = (skip.to_string(), take.to_string());
        let args = ["convert", &input, "-o", "-", "--threads", "2", "--skip", &skip, "--take", &take];
        let table = crate::common::Table::from_stream(tfarrow(&args).success().stdout);
        let first = table.values("payload")[0].as_str().unwrap()[..8].to_owned();
        assert_eq!(first, format!("{:08}", skip.parse::<u32>().unwrap()));
    }
}

#[test]
fn steps_of_one_shard_keep_their_order_on_any_number_of_threads() {
    let folder = repo("tests/golden/tfds/wide_array_record").to_str().unwrap().to_owned();
    let steps = ReaderBuilder::new([folder]).with_split("train").with_explode("ds");
    let rows = rows_of_two_threads(&steps, 2);
    let numbers = |column: &str| rows.column_by_name(column).unwrap().as_primitive::<Int64Type>().clone();
    let (episodes, steps) = (numbers("episode_index"), numbers("step_index"));
    let places: Vec<_> = episodes.values().iter().zip(steps.values()).collect();
    assert!(places.len() > 5 && places.is_sorted(), "{places:?}");
}
