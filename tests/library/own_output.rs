//! Outputs in a store of the caller's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tfarrow::input::{Entry, ReadAt, Stat, Store, Upload, Written};
use tfarrow::sink::SinkOptions;
use tfarrow::{Conversion, ErrorKind as Kind, ReaderBuilder};

use crate::common::Dir;

type Files = Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>;

/// A place of names and bytes.
#[derive(Debug, Clone, Default)]
struct Shelf(Files);

/// A file that is not there yet.
struct Writing {
    files: Files,
    path: PathBuf,
    bytes: Vec<u8>,
    replace: bool,
}

impl Write for Writing {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Writing {
    fn finish(self: Box<Self>) -> io::Result<Written> {
        let mut files = self.files.lock().unwrap();
        if !self.replace && files.contains_key(&self.path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let bytes = self.bytes.len() as u64;
        files.insert(self.path, self.bytes);
        Ok(Written::new(bytes, None))
    }
}

impl Store for Shelf {
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let files = self.0.lock().unwrap();
        let below = files.keys().filter_map(|path| path.strip_prefix(folder).ok());
        let mut names: Vec<PathBuf> = below.filter_map(|path| path.iter().next().map(Into::into)).collect();
        names.dedup();
        drop(files);
        names.iter().map(|name| Ok(Entry::new(name, self.stat(&folder.join(name))?))).collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let files = self.0.lock().unwrap();
        match files.get(path) {
            Some(bytes) => Ok(Stat::file(bytes.len() as u64)),
            None if files.keys().any(|other| other.starts_with(path)) => Ok(Stat::folder()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn open(&self, path: &Path, _: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(self.0.lock().unwrap().get(path).ok_or(ErrorKind::NotFound)?.clone()))
    }

    fn create(&self, path: &Path, replace: bool) -> io::Result<Box<dyn Upload>> {
        Ok(Box::new(Writing { files: self.0.clone(), path: path.to_owned(), bytes: Vec::new(), replace }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().remove(path);
        Ok(())
    }
}

#[test]
fn outputs_go_to_a_store_of_ones_own_as_to_the_disk() {
    let dir = Dir::new();
    let shelf = Shelf::default();
    for (name, columns) in [
        ("d.parquet", &["label", "pixels", "writer"][..]),
        ("d.npy", &["label"]),
        ("d.npyd", &["label", "pixels"]),
        ("d.tfrecord", &["label"]),
        ("parts/", &["label"]),
    ] {
        let reader =
            ReaderBuilder::new("examples/data/digits/digits.tfrecord-*").with_columns(columns.to_vec());
        let to = |options: SinkOptions| {
            Conversion::new(reader.clone()).with_sink(options.with_store("shelf", Arc::new(shelf.clone())))
        };
        let there = format!("shelf://out/{name}");
        assert_eq!(to(SinkOptions::new()).write(&there).unwrap().rows, 1797, "{name}");
        to(SinkOptions::new()).write(dir.path(name)).unwrap();
        let error = to(SinkOptions::new()).write(&there).unwrap_err();
        assert_eq!(error.kind(), Kind::AlreadyExists, "{name}: {error}");
        assert!(error.to_string().contains("shelf://out/"), "{error}");
        to(SinkOptions::new().with_overwrite(true)).write(&there).unwrap();
    }
    let files = shelf.0.lock().unwrap();
    let mut compared = 0;
    for (path, bytes) in files.iter() {
        let name = path.strip_prefix("out").unwrap().to_str().unwrap();
        // Who writes to the disk finds the parts there, not in a store.
        if !name.ends_with("_manifest.json") {
            assert!(*bytes == std::fs::read(dir.path(name)).unwrap(), "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 8, "{:?}", files.keys());
}

#[test]
fn a_store_that_cannot_be_written_to_says_so() {
    #[derive(Debug)]
    struct Closed;

    impl Store for Closed {
        fn list(&self, _: &Path) -> io::Result<Vec<Entry>> {
            Ok(Vec::new())
        }

        fn stat(&self, _: &Path) -> io::Result<Stat> {
            Err(ErrorKind::NotFound.into())
        }

        fn open(&self, _: &Path, _: Option<&Stat>) -> io::Result<Arc<dyn ReadAt>> {
            Err(ErrorKind::NotFound.into())
        }
    }

    let reader = ReaderBuilder::new("examples/data/digits/digits.tfrecord-*");
    let options = SinkOptions::new().with_store("closed", Arc::new(Closed));
    let error = Conversion::new(reader).with_sink(options).write("closed://x.arrow").unwrap_err().to_string();
    assert!(error.contains("cannot be written to") && error.contains("closed://x.arrow"), "{error}");
}
