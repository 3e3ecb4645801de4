//! The next file is fetched while one is read, and no more than there is room for.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tfarrow::options::RecordKind;
use tfarrow::report::Verification;
use tfarrow::{Batches, Conversion, ReaderBuilder};

use crate::common::{Dir, example, tfarrow, tfrecord};
use crate::proxy::{Fault, Gate, Proxy, Request, header};
use crate::server::{Server, options, reader, s3};

/// Files that are alike in size, and hold bytes that cannot be compressed.
const FILES: usize = 5;

/// Writes the files of one kind; how their names end.
fn write(dir: &Dir, end: &str) {
    let mut random = 1u64;
    for file in 0..FILES {
        let records: Vec<Vec<u8>> = (0..20)
            .map(|_| {
                let bytes = std::iter::repeat_with(|| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (random >> 56) as u8
                });
                example(&[("x", &bytes.take(100_000).collect::<Vec<u8>>())])
            })
            .collect();
        std::fs::write(dir.path("records"), tfrecord(&records)).unwrap();
        let output = dir.arg(&format!("{file}.{end}"));
        tfarrow(&["convert", &dir.arg("records"), "-o", &output]).success();
    }
}

/// What is asked for of which file.
struct Watch {
    /// Whether they are opened already, so that what is asked for is read.
    reading: AtomicBool,
    bytes: Vec<u64>,
    /// Opened when something of the file of this number is asked for.
    asked: Vec<Arc<Gate>>,
    /// All of it.
    lines: Mutex<Vec<String>>,
}

impl Watch {
    /// Holds the last bytes of a file back until the file `after` files later is asked for.
    fn hold(&self, request: &Request<'_>, after: usize) -> Fault {
        let name = request.line.rsplit('/').next().unwrap_or_default();
        let file = name.split('.').next().and_then(|number| number.parse::<usize>().ok());
        let (Some(file), true) = (file, self.reading.load(Ordering::SeqCst)) else { return Fault::None };
        self.asked[file].open();
        let range = header(request.head, "range").unwrap_or_default();
        self.lines.lock().unwrap().push(format!("{name} {range}"));
        let last: Option<u64> = range.rsplit('-').next().and_then(|last| last.parse().ok());
        match self.asked.get(file + after) {
            Some(next) if last == Some(self.bytes[file] - 1) => Fault::Hold(next.clone()),
            _ => Fault::None,
        }
    }
}

fn check(server: &Server, end: &str, after: usize, read: impl Fn(ReaderBuilder, &AtomicBool)) {
    let (bucket, dir) = (server.bucket(), Dir::new());
    write(&dir, end);
    let mut bytes = Vec::new();
    for file in 0..FILES {
        let name = format!("{file}.{end}");
        bucket.put_path(&name, &dir.path(&name));
        bytes.push(dir.path(&name).metadata().unwrap().len());
    }
    let asked = std::iter::repeat_with(Arc::default).take(FILES).collect();
    let watch = Arc::new(Watch { reading: AtomicBool::new(false), bytes, asked, lines: Mutex::default() });
    let seen = watch.clone();
    let proxy = Proxy::new(server.port, move |request| seen.hold(request, after));
    let mut builder = reader(&bucket.url(&format!("*.{end}")), &options(proxy.port));
    if end.starts_with("tfrecord") {
        // What is looked at for its columns is kept, and not asked for again.
        builder = builder.with_record(RecordKind::Raw);
    }
    read(builder, &watch.reading);
    let mut lines = watch.lines.lock().unwrap().clone();
    assert!(!watch.asked.iter().any(|gate| gate.was_missed()), "{end}: {lines:#?}");
    // What was begun before is not asked for again.
    let all = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), all, "{end}: {lines:#?}");
    let starts = lines.iter().filter(|line| line.contains("bytes=65536-")).count();
    assert!(starts <= FILES, "{end}: {lines:#?}");
}

fn read(builder: ReaderBuilder, reading: &AtomicBool, threads: usize) {
    let source = builder.build_source().unwrap();
    reading.store(true, Ordering::SeqCst);
    let batches = Batches::new(source, builder.read_options(), threads).unwrap();
    let batches: Vec<RecordBatch> = batches.collect::<tfarrow::Result<_>>().unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20 * FILES);
}

#[test]
fn the_next_file_is_asked_for_before_the_last_bytes_of_this_one_came() {
    let Some(server) = s3() else { return };
    for end in ["tfrecord", "arrow", "arrows"] {
        for threads in [1, 2] {
            check(server, end, 1, |builder, reading| read(builder, reading, threads));
        }
    }
    // Of compressed files as many are read at a time as there are threads.
    check(server, "tfrecord.gz", 1, |builder, reading| read(builder, reading, 1));
    check(server, "tfrecord.gz", 2, |builder, reading| read(builder, reading, 2));
}

#[test]
fn so_it_is_where_partitions_are_verified_or_make_parts() {
    let Some(server) = s3() else { return };
    check(server, "tfrecord", 1, |builder, reading| {
        let source = builder.build_to_verify().unwrap();
        reading.store(true, Ordering::SeqCst);
        let found = Verification::of(source.as_ref(), 1, &mut |_| Ok(())).unwrap();
        assert_eq!((found.records(), found.damaged()), (20 * FILES as u64, 0));
    });
    check(server, "tfrecord", 2, |builder, reading| {
        let source = builder.build_source().unwrap();
        reading.store(true, Ordering::SeqCst);
        let dir = Dir::new();
        let made = Conversion::new(builder.with_threads(2)).with_source(source);
        assert_eq!(made.write(dir.arg("out/")).unwrap().parts, Some(FILES));
    });
}

/// A Parquet file of 24 columns of numbers that cannot be compressed, in row groups of so many rows.
fn wide(path: &Path, row_group_rows: usize) -> RecordBatch {
    const ROWS: usize = 200_000;
    let mut random = 1u64;
    let mut column = |name: usize| {
        let numbers = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 1).cast_signed()
        });
        let numbers = Int64Array::from_iter_values(numbers.take(ROWS));
        (format!("c{name:02}"), Arc::new(numbers) as ArrayRef)
    };
    let batch = RecordBatch::try_from_iter((0..24).map(&mut column)).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(row_group_rows))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    batch
}

/// How many bytes were asked for at a time, of files of so many.
fn ranges(proxy: &Proxy, bytes: u64) -> Vec<u64> {
    let ranges = proxy.lines().into_iter().filter_map(|line| {
        let (_, range) = line.split_once("bytes=")?;
        let (start, last) = range.split_once('-')?;
        Some(last.parse::<u64>().ok()?.min(bytes - 1) + 1 - start.parse::<u64>().ok()?)
    });
    ranges.collect()
}

#[test]
fn what_the_columns_were_inferred_from_is_fetched_once() {
    let Some(server) = s3() else { return };
    for end in ["tfrecord", "tfrecord.gz"] {
        let (bucket, dir) = (server.bucket(), Dir::new());
        write(&dir, end);
        // 10 MB: more than is kept in memory.
        let mut bytes = 0;
        for file in 0..FILES {
            let name = format!("{file}.{end}");
            bucket.put_path(&name, &dir.path(&name));
            bytes += dir.path(&name).metadata().unwrap().len();
        }
        for threads in [1, 2] {
            let proxy = Proxy::new(server.port, |_| Fault::None);
            let builder = reader(&bucket.url(&format!("*.{end}")), &options(proxy.port));
            read(builder, &AtomicBool::new(false), threads);
            let fetched: u64 = ranges(&proxy, u64::MAX).iter().sum();
            assert!(fetched <= bytes + bytes / 20, "{end}: {fetched} of {bytes}: {:#?}", proxy.lines());
        }
    }
}

#[test]
fn columns_of_parquet_are_fetched_once() {
    let Some(server) = s3() else { return };
    let (bucket, dir) = (server.bucket(), Dir::new());
    // Row groups of 10 MB are held; one of 38 MB is read in smaller requests.
    for (rows, most) in [(50_000, 20), (200_000, 150)] {
        let expected = wide(&dir.path("wide.parquet"), rows);
        let bytes = dir.path("wide.parquet").metadata().unwrap().len();
        bucket.put_path("wide.parquet", &dir.path("wide.parquet"));
        for threads in [1, 2] {
            let proxy = Proxy::new(server.port, |_| Fault::None);
            let found = reader(&bucket.url("wide.parquet"), &options(proxy.port)).with_threads(threads);
            let found: Vec<RecordBatch> = found.build().unwrap().map(|batch| batch.unwrap()).collect();
            let found = arrow::compute::concat_batches(&found[0].schema(), &found).unwrap();
            assert!(found.columns() == expected.columns(), "{rows}");
            let ranges = ranges(&proxy, bytes);
            let fetched: u64 = ranges.iter().sum();
            // The first bytes and the last are looked at beforehand.
            assert!(fetched < bytes + bytes / 20, "{rows}: {fetched} of {bytes}");
            assert!(ranges.len() <= most, "{rows}: {:#?}", proxy.lines());
        }
    }
}

#[test]
fn the_next_row_group_is_asked_for_before_the_last_bytes_of_this_one_came() {
    let Some(server) = s3() else { return };
    let (bucket, dir) = (server.bucket(), Dir::new());
    // Four row groups, a quarter of the file each.
    wide(&dir.path("wide.parquet"), 50_000);
    let bytes = dir.path("wide.parquet").metadata().unwrap().len();
    bucket.put_path("wide.parquet", &dir.path("wide.parquet"));
    let (reading, second): (Arc<AtomicBool>, Arc<Gate>) = Default::default();
    let (is_read, gate) = (reading.clone(), second.clone());
    let proxy = Proxy::new(server.port, move |request| {
        let range =
            header(request.head, "range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let start = range.and_then(|(start, _)| start.parse::<u64>().ok());
        match start.filter(|_| is_read.load(Ordering::SeqCst)) {
            Some(start) if start < bytes / 5 => Fault::Hold(gate.clone()),
            Some(_) => {
                gate.open();
                Fault::None
            }
            None => Fault::None,
        }
    });
    let builder = reader(&bucket.url("wide.parquet"), &options(proxy.port));
    let source = builder.build_source().unwrap();
    reading.store(true, Ordering::SeqCst);
    let batches = Batches::new(source, builder.read_options(), 1).unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 200_000);
    assert!(!second.was_missed(), "{:#?}", proxy.lines());
}
