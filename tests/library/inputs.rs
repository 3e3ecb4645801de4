//! Inputs that are no local files: bytes, readers, pipes, stores; and the names that readers take.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use tfarrow::input::{Entry, ReadAt, Stat, Store};
use tfarrow::options::{OnError, RecordKind};
use tfarrow::{ErrorKind as Kind, ReaderBuilder, Result};

use crate::common::{golden, repo, tfarrow};

const SHARD: &str = "examples/data/digits/digits.tfrecord-00000-of-00002";

fn batches(builder: &ReaderBuilder) -> Result<Vec<RecordBatch>> {
    builder.build()?.collect()
}

/// A file of every kind.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = vec![repo(SHARD), golden("zlib.tfrecord").into()];
    for name in ["d.arrow", "d.arrows", "d.parquet", "d.tfrecord.gz"] {
        let path = folder.join(name);
        tfarrow(&["convert", SHARD, "-o", path.to_str().unwrap()]).success();
        files.push(path);
    }
    files
}

#[test]
fn a_name_or_a_list_of_names_is_taken_as_text_or_path() {
    let path = repo(SHARD);
    let text = path.to_str().unwrap();
    for builder in [
        ReaderBuilder::new(text),
        ReaderBuilder::new(text.to_owned()),
        ReaderBuilder::new(path.as_path()),
        ReaderBuilder::new(&path),
        ReaderBuilder::new(path.clone()),
        ReaderBuilder::new([text]),
        ReaderBuilder::new([path.clone()]),
        ReaderBuilder::new(vec![path.as_path()]),
        ReaderBuilder::new(&[text.to_owned()][..]),
        ReaderBuilder::new(format!("file://{text}")),
    ] {
        assert_eq!(builder.count().unwrap(), 898);
    }
}

#[test]
fn the_document_lists_the_kinds_that_are_recognised() {
    let document = std::fs::read_to_string(repo("docs/inputs.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let listed: Vec<String> = rows.filter(|row| !row.ends_with("| known by |")).map(str::to_owned).collect();
    let kinds: Vec<String> =
        tfarrow::source::input_kinds().map(|(name, known_by)| format!("| {name} | {known_by} |")).collect();
    assert_eq!(listed, kinds);
}

#[test]
fn bytes_are_read_as_files_are() {
    let folder = tempfile::tempdir().unwrap();
    for path in files(folder.path()) {
        let bytes = std::fs::read(&path).unwrap();
        let expected = batches(&ReaderBuilder::new(&path)).unwrap();
        for builder in [
            ReaderBuilder::from_bytes(bytes.as_slice()),
            ReaderBuilder::from_bytes(bytes::Bytes::from(bytes.clone())),
            ReaderBuilder::from_bytes(bytes.clone()),
        ] {
            assert!(batches(&builder).unwrap() == expected, "{}", path.display());
            let rows: usize = expected.iter().map(RecordBatch::num_rows).sum();
            assert_eq!(builder.count().unwrap(), rows as u64);
            assert_eq!(builder.count_checked().unwrap(), rows as u64);
        }
        let cut = ReaderBuilder::from_bytes(&bytes[..bytes.len() - 1]);
        assert!(batches(&cut).is_err() || path.extension().is_some_and(|e| e == "arrows"));
    }
    assert_eq!(ReaderBuilder::from_bytes(Vec::<u8>::new()).count().unwrap(), 0);
}

/// Gives a few bytes at a time, as a slow connection does.
struct Trickle(io::Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 31 % 8191;
        let most = buf.len().min(self.1 + 1);
        self.0.read(&mut buf[..most])
    }
}

#[test]
fn readers_are_read_as_files_are_and_once() {
    let folder = tempfile::tempdir().unwrap();
    for path in files(folder.path()) {
        let expected = batches(&ReaderBuilder::new(&path)).unwrap();
        let reader = || Trickle(io::Cursor::new(std::fs::read(&path).unwrap()), 17);
        let builder = ReaderBuilder::from_reader(reader());
        // Looking at it takes nothing away.
        let schema = builder.build_source().unwrap().schema();
        assert_eq!(schema, expected[0].schema());
        assert!(batches(&builder).unwrap() == expected, "{}", path.display());
        let threads = ReaderBuilder::from_reader(reader()).with_threads(3);
        assert!(batches(&threads).unwrap() == expected, "{}", path.display());
        let records = !["arrow", "arrows", "parquet"].iter().any(|e| path.extension() == Some(e.as_ref()));
        if records {
            // What was read is gone, and that is said.
            let error = batches(&builder).unwrap_err().to_string();
            assert!(error.contains("can be read once"), "{error}");
        } else {
            assert!(batches(&builder).unwrap() == expected);
        }
        let all = ReaderBuilder::from_reader(reader()).count_checked().unwrap();
        assert_eq!(all, ReaderBuilder::new(&path).count().unwrap());
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_named_by_path_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let expected = batches(&ReaderBuilder::new(SHARD)).unwrap();
    let feed = || {
        let fifo = fifo.clone();
        std::thread::spawn(move || std::fs::write(fifo, std::fs::read(repo(SHARD)).unwrap()).unwrap())
    };
    let feeder = feed();
    assert!(batches(&ReaderBuilder::new(&fifo)).unwrap() == expected);
    feeder.join().unwrap();
    let feeder = feed();
    assert_eq!(ReaderBuilder::new(&fifo).count_checked().unwrap(), 898);
    feeder.join().unwrap();
}

/// Files in memory that are read as from far away, and what was asked of them.
#[derive(Debug, Default)]
struct Far {
    files: BTreeMap<PathBuf, Arc<Vec<u8>>>,
    asked: Arc<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    lists: AtomicUsize,
    stats: AtomicUsize,
    opens: AtomicUsize,
    bytes: AtomicUsize,
    opened_at_a_time: AtomicUsize,
    most_at_a_time: AtomicUsize,
    streams: AtomicUsize,
    announced: AtomicUsize,
    /// Files that were begun before they were read, and that were read, in this order.
    order: Mutex<Vec<(Order, PathBuf)>>,
    /// Whether connections break after some bytes.
    breaks: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Begun,
    Read,
}

#[derive(Debug)]
struct FarFile {
    path: PathBuf,
    bytes: Arc<Vec<u8>>,
    stat: Stat,
    asked: Arc<Asked>,
}

/// Bytes after which a broken connection ends.
const BREAK: u64 = 50_000;

impl Far {
    fn of_folder(folder: &Path, asked: &Arc<Asked>) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.to_path_buf()];
        while let Some(current) = folders.pop() {
            for entry in std::fs::read_dir(current).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = Arc::new(std::fs::read(&path).unwrap());
                    files.insert(Path::new("bucket").join(path.strip_prefix(folder).unwrap()), bytes);
                }
            }
        }
        Self { files, asked: asked.clone() }
    }

    fn stat_of(&self, path: &Path) -> Option<Stat> {
        if let Some(bytes) = self.files.get(path) {
            return Some(Stat::file(bytes.len() as u64).with_version(format!("\"{:x}\"", bytes.len())));
        }
        self.files.keys().any(|file| file.starts_with(path)).then(Stat::folder)
    }
}

impl Store for Far {
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        self.asked.lists.fetch_add(1, Ordering::Relaxed);
        let below = self.files.keys().filter_map(|path| path.strip_prefix(folder).ok());
        let mut names: Vec<_> = below.filter_map(|path| path.iter().next()).collect();
        names.dedup();
        Ok(names
            .into_iter()
            .map(|name| Entry::new(name, self.stat_of(&folder.join(name)).unwrap()))
            .collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.asked.stats.fetch_add(1, Ordering::Relaxed);
        self.stat_of(path).ok_or(ErrorKind::NotFound.into())
    }

    fn open(&self, path: &Path, known: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
        let stat = match known {
            Some(known) => known.clone(),
            None => self.stat(path)?,
        };
        assert_eq!(Some(&stat), self.stat_of(path).as_ref(), "{}", path.display());
        self.asked.opens.fetch_add(1, Ordering::Relaxed);
        let now = self.asked.opened_at_a_time.fetch_add(1, Ordering::SeqCst) + 1;
        self.asked.most_at_a_time.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(2));
        self.asked.opened_at_a_time.fetch_sub(1, Ordering::SeqCst);
        let bytes = self.files.get(path).ok_or(ErrorKind::NotFound)?.clone();
        Ok(Arc::new(FarFile { path: path.to_owned(), bytes, stat, asked: self.asked.clone() }))
    }

    fn openings(&self) -> usize {
        8
    }
}

impl FarFile {
    fn check(&self, end: u64) -> io::Result<()> {
        match self.asked.breaks.load(Ordering::Relaxed) && end > BREAK {
            // As TLS and HTTP libraries tell of it.
            true => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
            false => Ok(()),
        }
    }
}

impl ReadAt for FarFile {
    fn stat(&self) -> io::Result<Stat> {
        Ok(self.stat.clone())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        // Less than is asked for, as it comes.
        let most = buf.len().min(60_000);
        self.check(offset + most as u64)?;
        let read = self.bytes.read_at(offset, &mut buf[..most])?;
        self.asked.bytes.fetch_add(read, Ordering::Relaxed);
        Ok(read)
    }

    fn open_sequential(&self, range: Range<u64>) -> io::Result<Option<Box<dyn Read + Send>>> {
        self.asked.streams.fetch_add(1, Ordering::Relaxed);
        self.asked.order.lock().unwrap().push((Order::Read, self.path.clone()));
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(self.bytes.len());
        let bytes = self.bytes[usize::try_from(range.start).unwrap().min(end)..end].to_vec();
        match self.check(end as u64) {
            Ok(()) => Ok(Some(Box::new(io::Cursor::new(bytes)))),
            Err(error) => {
                let broken = io::Cursor::new(bytes).take(BREAK).chain(Broken(Some(error)));
                Ok(Some(Box::new(broken)))
            }
        }
    }

    fn read_ahead(&self, range: Range<u64>, bytes: u64) {
        assert!(bytes > 0 && range.start < range.end && range.end <= self.bytes.len() as u64);
        self.asked.order.lock().unwrap().push((Order::Begun, self.path.clone()));
    }

    fn will_read(&self, ranges: &[Range<u64>]) {
        assert!(ranges.iter().all(|range| range.end <= self.bytes.len() as u64));
        self.asked.announced.fetch_add(ranges.len(), Ordering::Relaxed);
    }
}

struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or(ErrorKind::NotConnected.into()))
    }
}

fn far(name: &str, folder: &Path, asked: &Arc<Asked>) -> ReaderBuilder {
    ReaderBuilder::new(format!("far://bucket{name}"))
        .with_store("far", Arc::new(Far::of_folder(folder, asked)))
}

/// Datasets of every kind: the folder of each, and its name there. `folder` takes some.
fn datasets(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    files(folder);
    let mut datasets = vec![
        (repo("examples/data/digits"), "/*.tfrecord-*"),
        (repo("tests/golden/saved/shards3"), "/data"),
        (repo("tests/golden/saved/compression_SNAPPY"), "/data"),
        (repo("tests/golden/tfds/wide_tfrecord"), ""),
        (folder.to_path_buf(), "/d.arrow"),
        (folder.to_path_buf(), "/d.arrows"),
        (folder.to_path_buf(), "/d.parquet"),
        (folder.to_path_buf(), "/**/d.tfrecord.gz"),
    ];
    if cfg!(feature = "array-record") {
        datasets.push((repo("tests/golden/tfds/wide_array_record"), ""));
        datasets.push((repo("tests/golden/tfds/wide_parquet"), ""));
    }
    datasets
}

/// The options of a dataset in `root`.
fn set(builder: ReaderBuilder, root: &Path) -> ReaderBuilder {
    match root.to_str().unwrap().contains("tfds") {
        true => builder.with_split("train"),
        false => builder,
    }
}

#[test]
fn every_kind_of_dataset_is_read_from_a_store_as_from_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (root, name) in datasets(folder.path()) {
        let local = set(ReaderBuilder::new(format!("{}{name}", root.display())), &root);
        let expected = batches(&local).unwrap();
        let asked = Arc::default();
        let builder = set(far(name, &root, &asked), &root);
        assert!(batches(&builder).unwrap() == expected, "{}{name}", root.display());
        assert_eq!(builder.count_checked().unwrap(), local.count().unwrap(), "{name}");
        let source = builder.build_source().unwrap();
        for partition in source.partitions() {
            assert!(partition.name.starts_with("far://bucket"), "{}", partition.name);
            for file in &partition.inputs {
                assert!(file.name.starts_with("far://bucket/"), "{}", file.name);
                assert!(file.bytes.is_some() && file.version.as_deref().is_some_and(|v| v.starts_with('"')));
            }
        }
        let [streams, announced] = [&asked.streams, &asked.announced].map(|n| n.load(Ordering::Relaxed));
        assert!(streams > 0 || announced > 0, "{name}");
    }
}

#[test]
fn a_projected_source_asks_for_nothing_again_and_reads_less() {
    let folder = tempfile::tempdir().unwrap();
    for (root, name) in datasets(folder.path()) {
        let asked: Arc<Asked> = Arc::default();
        let builder = set(far(name, &root, &asked), &root);
        let source = builder.build_source().unwrap();
        let all = || {
            let counters = [&asked.lists, &asked.stats, &asked.opens, &asked.streams, &asked.bytes];
            counters.map(|counter| counter.load(Ordering::Relaxed))
        };
        let opened = all();
        let schema = source.schema();
        let mut columns = schema.fields().iter().map(|field| field.name().as_str());
        let first = columns.next().unwrap();
        let column = columns.find(|name| *name == "label").unwrap_or(first);
        let projected = source.project(&[column]).unwrap();
        assert_eq!(all(), opened, "{name}");
        let read = |source: &Arc<dyn tfarrow::source::Source>| {
            let before = all()[4];
            let read = tfarrow::Batches::new(source.clone(), builder.read_options(), 1).unwrap();
            let batches: Vec<RecordBatch> = read.collect::<Result<_, _>>().unwrap();
            (batches, all()[4] - before)
        };
        let (batches_of_it, bytes) = read(&projected);
        assert_eq!([all()[0], all()[1]], [opened[0], opened[1]], "{name}");
        let reopened = batches(&builder.clone().with_columns([column])).unwrap();
        assert!(batches_of_it == reopened, "{name}: {column}");
        if name == "/d.parquet" {
            let (_, whole) = read(&source);
            assert!(bytes * 4 < whole, "{bytes} of {whole} bytes for {column}");
        }
    }
}

#[test]
fn nothing_that_was_listed_is_asked_for_again_and_shards_are_opened_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let shard = folder.path().join("x.parquet");
    tfarrow(&["convert", SHARD, "-o", shard.to_str().unwrap()]).success();
    for index in 0..40 {
        std::fs::copy(&shard, folder.path().join(format!("part-{index:02}"))).unwrap();
    }
    let asked: Arc<Asked> = Arc::default();
    let builder = far("/part-*", folder.path(), &asked);
    let rows: usize = batches(&builder).unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 40 * 898);
    // The name itself, whether it is a cache, and its folder; then one listing.
    let (stats, lists) = (asked.stats.load(Ordering::Relaxed), asked.lists.load(Ordering::Relaxed));
    assert!(stats <= 6 && lists == 1, "{stats} and {lists}");
    assert!(asked.most_at_a_time.load(Ordering::Relaxed) > 1);
    assert!(asked.announced.load(Ordering::Relaxed) >= 40);
}

/// Copies of a file, as shards of a folder.
fn copies(folder: &Path, file: &Path, name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    for index in 0..6 {
        std::fs::copy(file, folder.join(format!("{index}.{name}"))).unwrap();
    }
}

#[test]
fn what_is_read_next_is_begun_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    files(folder);
    let mut inputs = vec![
        (repo("tests/golden/saved/shards3"), "/data"),
        (repo("tests/golden/saved/compression_SNAPPY"), "/data"),
        (repo("tests/golden/tfds/wide_tfrecord"), ""),
    ];
    for name in ["d.arrow", "d.arrows", "d.tfrecord.gz"] {
        let shards = folder.join(format!("{name}.copies"));
        copies(&shards, &folder.join(name), name);
        inputs.push((shards, "/*"));
    }
    copies(&folder.join("plain"), &repo(SHARD), "tfrecord");
    inputs.push((folder.join("plain"), "/*"));
    if cfg!(feature = "array-record") {
        inputs.push((repo("tests/golden/tfds/wide_array_record"), ""));
        let file = repo("tests/golden/array_record/big_records.array_record");
        copies(&folder.join("array_record"), &file, "array_record");
        inputs.push((folder.join("array_record"), "/*"));
    }
    for (root, name) in inputs {
        for threads in [1, 2] {
            let what = format!("{}{name} with {threads} threads", root.display());
            let asked: Arc<Asked> = Arc::default();
            let builder = set(far(name, &root, &asked), &root).with_threads(threads);
            // Of records nothing is looked at beforehand: that is kept, and not read again.
            let are_records =
                ["array_record", "plain", "d.tfrecord.gz.copies"].iter().any(|end| root.ends_with(end));
            let builder = if are_records { builder.with_record(RecordKind::Raw) } else { builder };
            let source = builder.build_source().unwrap();
            asked.order.lock().unwrap().clear();
            let read = tfarrow::Batches::new(source.clone(), builder.read_options(), threads).unwrap();
            assert!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>() > 0);
            let order = asked.order.lock().unwrap().clone();
            let mut read: Vec<&PathBuf> =
                order.iter().filter(|(order, _)| *order == Order::Read).map(|(_, path)| path).collect();
            assert_eq!(read.len(), source.partitions().len(), "{what}");
            // As many as there are threads may be the first.
            read.drain(..threads.min(read.len()));
            for path in read {
                let first = order.iter().find(|(_, of)| of == path).unwrap();
                assert_eq!(first.0, Order::Begun, "{what}: {}", path.display());
            }
        }
    }
}

#[test]
fn who_reads_little_has_little_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let record = vec![b'x'; 100_000];
    let file = folder.path().join("file");
    std::fs::write(&file, crate::common::tfrecord(&vec![record; 100])).unwrap();
    copies(&folder.path().join("files"), &file, "tfrecord");
    let asked: Arc<Asked> = Arc::default();
    let builder = far("/*", &folder.path().join("files"), &asked).with_record(RecordKind::Raw);
    let first = builder.clone().with_take(20).build().unwrap().map(|batch| batch.unwrap().num_rows());
    assert_eq!(first.sum::<usize>(), 20);
    assert!(asked.order.lock().unwrap().iter().all(|(order, _)| *order == Order::Read));
}

#[test]
fn a_connection_that_breaks_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    std::fs::copy(repo(SHARD), folder.path().join("d.tfrecord")).unwrap();
    for name in ["/d.tfrecord", "/d.arrow", "/d.arrows", "/d.tfrecord.gz", "/d.parquet"] {
        let bytes = std::fs::metadata(folder.path().join(&name[1..])).unwrap().len();
        assert!(bytes > BREAK, "{name}");
        let asked: Arc<Asked> = Arc::default();
        let builder = far(name, folder.path(), &asked).with_on_error(OnError::Skip);
        let source = builder.build_source();
        asked.breaks.store(true, Ordering::Relaxed);
        let error = match source {
            Ok(_) => batches(&builder).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), Kind::Io, "{name}: {error}");
        assert!(error.to_string().contains("the connection was closed"), "{name}: {error}");
        assert!(error.to_string().contains("far://bucket/"), "{name}: {error}");
    }
}

/// A store that says itself what is wrong.
#[derive(Debug)]
struct Closed;

impl Store for Closed {
    fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
        Err(ErrorKind::PermissionDenied.into())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let error = tfarrow::Error::new(Kind::Config, "no credentials for the store").with_hint("log in");
        if path.ends_with("secret") { Err(error.into()) } else { Ok(Stat::folder()) }
    }

    fn open(&self, _: &Path, _: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
        Err(ErrorKind::PermissionDenied.into())
    }
}

#[test]
fn what_a_store_says_is_told() {
    let error = |name| {
        let builder = ReaderBuilder::new(name).with_store("closed", Arc::new(Closed));
        builder.with_record(RecordKind::Raw).build().unwrap_err()
    };
    let told = error("closed://secret");
    assert_eq!(
        (told.kind(), told.hint().map(ToString::to_string).as_deref()),
        (Kind::Config, Some("log in"))
    );
    assert!(told.to_string().contains("no credentials for the store (closed://secret)"), "{told}");
    let told = error("CLOSED://x").to_string();
    assert!(told.contains("permission denied") || told.contains("no known kind"), "{told}");
}
