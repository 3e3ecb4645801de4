//! Reads a dataset from a place of one's own: here a ZIP-like map of names to bytes.
//!
//! ```console
//! $ cargo run --example own_store -- FOLDER
//! ```

use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tfarrow::ReaderBuilder;
use tfarrow::input::{Entry, ReadAt, Stat, Store};

#[derive(Debug)]
struct Shelf(BTreeMap<PathBuf, Vec<u8>>);

impl Store for Shelf {
    fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        let inside = self.0.iter().filter(|(path, _)| path.parent() == Some(folder));
        let entry = |(path, bytes): (&PathBuf, &Vec<u8>)| {
            Entry::new(path.file_name().unwrap_or_default(), Stat::file(bytes.len() as u64))
        };
        Ok(inside.map(entry).collect())
    }

    fn stat(&self, path: &Path) -> Result<Stat> {
        match self.0.get(path) {
            Some(bytes) => Ok(Stat::file(bytes.len() as u64)),
            None if self.0.keys().any(|other| other.starts_with(path)) => Ok(Stat::folder()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn open(&self, path: &Path, _: Option<&Stat>) -> Result<Arc<dyn ReadAt>> {
        let bytes = self.0.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(bytes.clone()))
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name a folder of shards")?;
    let mut shelf = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        shelf.insert(Path::new("data").join(entry.file_name()), std::fs::read(entry.path())?);
    }
    // A file, a pattern or a folder, as of any other store.
    let builder = ReaderBuilder::new("shelf://data/*.tfrecord-*").with_store("shelf", Arc::new(Shelf(shelf)));
    let mut rows = 0;
    for batch in builder.build()? {
        rows += batch?.num_rows();
    }
    println!("{rows} rows");
    Ok(())
}
