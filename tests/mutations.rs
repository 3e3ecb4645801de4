//! Mutations of sound files end in an error or in records that were there before, and never in a
//! panic or in more memory than the records need.

#![allow(unsafe_code)] // an allocator that counts
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use common::repo;
use tfarrow::ReaderBuilder;
use tfarrow::options::{OnError, RecordKind};
use tfarrow::source::ReadOptions;

/// More than any fixture, read once, needs.
const MEMORY: usize = 192 << 20;

struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator; only sizes are added up.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    /// One to three changes of the kinds that disks, networks and people make.
    fn mutate(&mut self, sound: &[u8]) -> Vec<u8> {
        let mut bytes = sound.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            let end = (at + self.below(64)).min(bytes.len());
            match self.below(8) {
                _ if bytes.is_empty() => bytes.push(0),
                0 | 1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes[at] = [0, 0x7f, 0x80, 0xff][self.below(4)],
                3 => bytes.truncate(at),
                4 => drop(bytes.drain(at..end)),
                5 => bytes[at..end].fill(0),
                6 => {
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                _ => {
                    let value = [u64::MAX, 1 << 62, 1 << 31, 0][self.below(4)].to_le_bytes();
                    for (byte, new) in bytes[at..].iter_mut().zip(value) {
                        *byte = new;
                    }
                }
            }
        }
        bytes
    }
}

/// The records of a file, by its name; none if it cannot be read.
fn records(path: &Path, on_error: OnError) -> Option<Vec<Vec<u8>>> {
    let builder = ReaderBuilder::new([path.to_str().unwrap()])
        .with_record(RecordKind::Raw)
        .with_on_error(on_error)
        .with_max_record_bytes(16 << 20);
    let mut records = Vec::new();
    for batch in builder.build().ok()? {
        let batch = batch.ok()?;
        let column = batch.column(0).as_binary::<i32>();
        records.extend(
            (0..column.len()).filter(|row| column.is_valid(*row)).map(|row| column.value(row).to_vec()),
        );
    }
    Some(records)
}

/// Reads the file in every way.
fn read_all(path: &Path) {
    for on_error in [OnError::Fail, OnError::Skip, OnError::Null] {
        let builder = ReaderBuilder::new([path.to_str().unwrap()])
            .with_record(RecordKind::Auto)
            .with_on_error(on_error)
            .with_max_record_bytes(16 << 20);
        // An error is as good as a result.
        if let Ok(reader) = builder.build() {
            reader.take_while(Result::is_ok).for_each(drop);
        }
        if on_error == OnError::Fail {
            drop(builder.count());
            let source = builder.build_to_verify().unwrap();
            source.verify(0, &ReadOptions::default(), &mut |_| Ok(())).unwrap();
        }
    }
}

/// How often each fixture is mutated: `default` times, unless `TFARROW_TEST_MUTATIONS` says it.
fn times(default: usize) -> usize {
    std::env::var("TFARROW_TEST_MUTATIONS").map_or(default, |times| times.parse().unwrap())
}

/// Whether `fixture` is to be mutated: `TFARROW_TEST_FIXTURE` may name a part of its path.
fn is_wanted(fixture: &Path) -> bool {
    let part = std::env::var("TFARROW_TEST_FIXTURE").unwrap_or_default();
    fixture.to_str().unwrap().contains(&part)
}

/// Asserts that fixtures were not lost on the way.
fn assert_many(mutated: usize, expected: usize) {
    assert!(mutated > expected || std::env::var("TFARROW_TEST_FIXTURE").is_ok(), "only {mutated} fixtures");
}

/// Memory is counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs `read`, which may take no more memory than any fixture needs.
fn in_bounded_memory(what: &dyn Display, read: impl FnOnce()) {
    let before = USED.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    read();
    let peak = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    assert!(peak < MEMORY, "{what}: {peak} bytes");
}

#[test]
fn mutated_files_give_an_error_or_sound_records() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut fixtures = Vec::new();
    for folder in ["tests/golden/examples", "tests/golden/quirks", "tests/golden/tfrecord"] {
        for entry in fs::read_dir(repo(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_file = path.metadata().is_ok_and(|m| m.is_file() && m.len() > 0);
            if is_file && path.extension().is_none_or(|extension| extension != "json") {
                fixtures.push(path);
            }
        }
    }
    fixtures.push(repo("examples/data/digits/digits.tfrecord-00001-of-00002"));
    fixtures.retain(|fixture| is_wanted(fixture));
    fixtures.sort();
    let dir = common::Dir::new();
    let path = dir.path("mutated");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut mutated = 0;
    for fixture in fixtures {
        let sound = fs::read(&fixture).unwrap();
        // What a damaged file holds is not known for sure.
        let Some(known) = records(&fixture, OnError::Fail) else { continue };
        let known: HashSet<Vec<u8>> = known.into_iter().collect();
        mutated += 1;
        // Large files take long enough with fewer, in a build without optimisations.
        for round in 0..times(if sound.len() > 20_000 { 3 } else { 30 }) {
            fs::write(&path, random.mutate(&sound)).unwrap();
            in_bounded_memory(&format!("{}, {round}", fixture.display()), || {
                read_all(&path);
                for on_error in [OnError::Fail, OnError::Skip, OnError::Null] {
                    for record in records(&path, on_error).unwrap_or_default() {
                        assert!(known.contains(&record), "{}, {round}: a wrong record", fixture.display());
                    }
                }
            });
        }
    }
    assert_many(mutated, 30);
}

/// Every file under `path`.
fn files_under(path: &Path, out: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files_under(&entry.unwrap().path(), out);
        }
    } else {
        out.push(path.to_path_buf());
    }
}

/// The fixtures that are folders, or files of other kinds than TFRecord: what to open, and what may
/// be mutated.
fn other_fixtures() -> Vec<(PathBuf, PathBuf)> {
    let mut fixtures = Vec::new();
    let entries = |folder: &str| {
        let paths = fs::read_dir(repo(folder)).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_none_or(|e| e != "json")).collect::<Vec<_>>()
    };
    for folder in ["saved", "saved_tf212"] {
        let folders = entries(&format!("tests/golden/{folder}")).into_iter().map(|path| path.join("data"));
        fixtures.extend(folders.map(|path| (path.clone(), path)));
    }
    for folder in ["distributed", "snapshot", "corrupt", "tfds", "array_record"] {
        fixtures
            .extend(entries(&format!("tests/golden/{folder}")).into_iter().map(|path| (path.clone(), path)));
    }
    for index in entries("tests/golden/cache").into_iter().filter(|p| p.extension().unwrap() == "index") {
        fixtures.push((index.clone(), index.parent().unwrap().to_path_buf()));
    }
    fixtures.retain(|(open, _)| open.exists() && is_wanted(open));
    fixtures.sort();
    fixtures
}

#[test]
fn mutated_folders_give_an_error_or_rows() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut mutated = 0;
    for (fixture, root) in other_fixtures() {
        let dir = common::Dir::new();
        let mut files = Vec::new();
        files_under(&root, &mut files);
        let stem = fixture.file_stem().unwrap();
        // Cache files lie in one folder.
        files.retain(|file| {
            root == fixture
                || file
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(&format!("{}.", stem.to_str().unwrap()))
        });
        files.sort();
        let base = root.parent().unwrap();
        let copy = |file: &Path| dir.path(file.strip_prefix(base).unwrap().to_str().unwrap());
        for file in &files {
            fs::create_dir_all(copy(file).parent().unwrap()).unwrap();
            fs::copy(file, copy(file)).unwrap();
        }
        let opened = copy(&fixture);
        let large = files.iter().any(|file| file.metadata().unwrap().len() > 20_000);
        files.retain(|file| file.metadata().unwrap().len() > 0);
        mutated += 1;
        for round in 0..times(if large { 2 } else { 6 }) {
            let Some(file) = files.get(random.below(files.len())) else { break };
            let sound = fs::read(file).unwrap();
            fs::write(copy(file), random.mutate(&sound)).unwrap();
            in_bounded_memory(&format!("{}, {round}", file.display()), || read_source(&opened));
            fs::write(copy(file), sound).unwrap();
        }
    }
    assert_many(mutated, 130);
}

/// Reads whatever is at `path` in every way.
fn read_source(path: &Path) {
    let builder = ReaderBuilder::new([path.to_str().unwrap()]).with_max_record_bytes(16 << 20);
    for on_error in [OnError::Fail, OnError::Skip] {
        if let Ok(reader) = builder.clone().with_on_error(on_error).build() {
            reader.take_while(Result::is_ok).for_each(drop);
        }
    }
    drop(builder.count());
    if let Ok(source) = builder.build_to_verify() {
        for partition in 0..source.partitions().len() {
            drop(source.verify(partition, &ReadOptions::default(), &mut |_| Ok(())));
        }
    }
}
