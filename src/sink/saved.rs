//! `Dataset.save` folders, for `tf.data.Dataset.load` to open.
//!
//! One shard, compressed as a whole if that is asked for; `Dataset.load` has to be told of it
//! (`compression="GZIP"`, `"SNAPPY"`). The element spec is the one in the schema's metadata, so that what
//! came out of TensorFlow goes back as it was; columns of other origin make a dict.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::atomic::{AtomicFolder, FolderFile};
use super::{OutputCompression, Sink, SinkOptions};
use crate::encode::element::ElementEncoder;
use crate::error::{Error, Result};
use crate::input::{FileKind, Place};

/// The name of the data folder. TensorFlow takes a random number, so that saves can share a folder;
/// here there is only one.
const RUN_ID: &str = "1";

/// The folder of the only shard, and its only file.
const SHARD_FOLDER: &str = "00000000.shard";
const SHARD_FILE: &str = "00000000.snapshot";
/// Bytes in a Snappy block. `Dataset.load` reads none that decode to more than 256 KiB; elements may
/// go on from block to block.
const SNAPPY_BYTES: usize = 128 << 10;

/// Whether `folder` holds a save and nothing else.
pub(super) fn is_saved(folder: &Place) -> bool {
    folder.list().is_ok_and(|entries| {
        entries.iter().all(|(place, stat)| {
            let name = place.file_name();
            let run = name.bytes().all(|byte| byte.is_ascii_digit()) && stat.kind == FileKind::Folder;
            run || name == "dataset_spec.pb" || name == "snapshot.metadata"
        })
    })
}

/// Writes a `Dataset.save` folder.
pub(crate) struct SavedSink {
    folder: AtomicFolder,
    encoder: ElementEncoder,
    compression: OutputCompression,
    shard: Option<Shard<BufWriter<FolderFile>>>,
    frames: Vec<u8>,
    elements: u64,
    written: u64,
}

impl SavedSink {
    /// Begins a folder for batches of `schema`.
    ///
    /// # Errors
    /// A column cannot be stored, the compression is none of TensorFlow's, or the folder cannot be
    /// written to.
    pub(crate) fn new(folder: AtomicFolder, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        let compression = options.compression.unwrap_or(OutputCompression::None);
        // Says now what cannot be.
        Shard::new(std::io::sink(), compression)?;
        let encoder = ElementEncoder::new(schema)?;
        folder.create_folder(Path::new(RUN_ID))?;
        Ok(Self { folder, encoder, compression, shard: None, frames: Vec::new(), elements: 0, written: 0 })
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.folder.create_file(Path::new(name), false)?;
        file.write_all(bytes).map_err(cannot_write)?;
        self.folder.keep(file);
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// The bytes of a shard on their way to a file.
enum Shard<W: Write> {
    Plain(W),
    /// Blocks of raw Snappy data, each after its length.
    Snappy {
        file: W,
        encoder: Box<snap::raw::Encoder>,
        held: Vec<u8>,
    },
    #[cfg(feature = "gzip")]
    Gzip(Box<flate2::write::GzEncoder<W>>),
}

impl<W: Write> Shard<W> {
    fn new(file: W, compression: OutputCompression) -> Result<Self> {
        match compression {
            OutputCompression::None => Ok(Shard::Plain(file)),
            OutputCompression::Snappy => {
                Ok(Shard::Snappy { file, encoder: Box::new(snap::raw::Encoder::new()), held: Vec::new() })
            }
            #[cfg(feature = "gzip")]
            OutputCompression::Gzip(level) => {
                let level = match level.map(u32::try_from) {
                    None => flate2::Compression::default(),
                    Some(Ok(level @ 0..=9)) => flate2::Compression::new(level),
                    Some(_) => {
                        return Err(Error::config("no such level of compression")
                            .expected("0 to 9", compression.to_string()));
                    }
                };
                Ok(Shard::Gzip(Box::new(flate2::write::GzEncoder::new(file, level))))
            }
            #[cfg(not(feature = "gzip"))]
            OutputCompression::Gzip(_) => {
                Err(Error::unsupported("GZIP output").with_hint("build tfarrow with the feature `gzip`"))
            }
            other => Err(Error::config("compression not possible in Dataset.save folders")
                .expected("none, snappy or gzip[:LEVEL]", other.to_string())),
        }
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Shard::Plain(file) => file.write_all(bytes),
            Shard::Snappy { file, encoder, held } => {
                while held.len() + bytes.len() >= SNAPPY_BYTES {
                    let (now, rest) = bytes.split_at(SNAPPY_BYTES - held.len());
                    held.extend_from_slice(now);
                    bytes = rest;
                    put_block(file, encoder, held)?;
                }
                held.extend_from_slice(bytes);
                Ok(())
            }
            #[cfg(feature = "gzip")]
            Shard::Gzip(file) => file.write_all(bytes),
        }
    }

    fn finish(self) -> std::io::Result<W> {
        let mut file = match self {
            Shard::Plain(file) => file,
            Shard::Snappy { mut file, mut encoder, mut held } => {
                if !held.is_empty() {
                    put_block(&mut file, &mut encoder, &mut held)?;
                }
                file
            }
            #[cfg(feature = "gzip")]
            Shard::Gzip(file) => file.finish()?,
        };
        file.flush()?;
        Ok(file)
    }
}

/// Writes what is held as a block; nothing is held then.
fn put_block(
    file: &mut impl Write,
    encoder: &mut snap::raw::Encoder,
    held: &mut Vec<u8>,
) -> std::io::Result<()> {
    let block = encoder.compress_vec(held).map_err(std::io::Error::other)?;
    let length = u32::try_from(block.len()).map_err(std::io::Error::other)?;
    file.write_all(&length.to_be_bytes())?;
    file.write_all(&block)?;
    held.clear();
    Ok(())
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::io("cannot write output", error)
}

impl Sink for SavedSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.frames.clear();
        self.encoder.encode(batch, &mut self.frames)?;
        let shard = match &mut self.shard {
            Some(shard) => shard,
            None => {
                let name = Path::new(RUN_ID).join(SHARD_FOLDER).join(SHARD_FILE);
                let file = self.folder.create_file(&name, false)?;
                self.shard.insert(Shard::new(BufWriter::new(file), self.compression)?)
            }
        };
        shard.write_all(&self.frames).map_err(cannot_write)?;
        self.elements += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        if let Some(shard) = self.shard.take() {
            let file = shard.finish().map_err(cannot_write)?;
            let file = file.into_inner().map_err(|e| cannot_write(e.into_error()))?;
            self.written += file.written();
            self.folder.keep(file);
        }
        let spec = self.encoder.spec_message()?;
        self.put("dataset_spec.pb", &spec)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_micros());
        let now = u64::try_from(now).unwrap_or(0);
        let metadata = self.encoder.metadata_message(RUN_ID, now, self.elements);
        self.put("snapshot.metadata", &metadata)?;
        let written = self.written;
        self.folder.persist()?;
        Ok(written)
    }
}

// Many of the files they read are compressed.
#[cfg(feature = "gzip")]
#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::reader::ReaderBuilder;
    use crate::sink::{Format, SinkOptions, open_sink};

    fn save(input: &Path, output: &Path) -> Result<Vec<RecordBatch>> {
        save_all(ReaderBuilder::new([input.to_str().unwrap()]), output)
    }

    fn save_all(builder: ReaderBuilder, output: &Path) -> Result<Vec<RecordBatch>> {
        save_as(builder, output, None)
    }

    fn save_as(
        builder: ReaderBuilder,
        output: &Path,
        compression: Option<OutputCompression>,
    ) -> Result<Vec<RecordBatch>> {
        let reader = builder.build()?;
        let options = SinkOptions { format: Some(Format::Saved), compression, ..Default::default() };
        let mut sink = open_sink(output, &reader.source().schema(), &options)?;
        let mut batches = Vec::new();
        for batch in reader {
            let batch = batch?;
            sink.write(&batch)?;
            batches.push(batch);
        }
        sink.finish()?;
        Ok(batches)
    }

    fn read(input: &Path) -> Vec<RecordBatch> {
        ReaderBuilder::new([input.to_str().unwrap()]).build().unwrap().map(Result::unwrap).collect()
    }

    fn golden() -> Vec<PathBuf> {
        let mut folders: Vec<_> =
            std::fs::read_dir("tests/golden/saved").unwrap().map(|e| e.unwrap().path()).collect();
        folders.sort();
        let lost = ["tensor_array", "nested_dataset_window_unreadable", "dtypes_float8_e5m2_savefails"];
        folders.retain(|folder| !lost.contains(&folder.file_name().unwrap().to_str().unwrap()));
        folders
    }

    #[test]
    fn what_was_saved_is_saved_as_it_was() {
        let out = tempfile::tempdir().unwrap();
        for folder in golden() {
            let output = out.path().join(folder.file_name().unwrap());
            let before = save(&folder.join("data"), &output).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
            assert_eq!(read(&output), before, "{folder:?}");
        }
    }

    #[test]
    fn compressed_as_tensorflow_compresses() {
        let out = tempfile::tempdir().unwrap();
        let digits = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).with_columns(["pixels"]);
        let size = |name: &str| {
            let shard = out.path().join(name).join(RUN_ID).join(SHARD_FOLDER).join(SHARD_FILE);
            std::fs::read(shard).unwrap().len()
        };
        let mut rows = Vec::new();
        for compression in ["none", "gzip", "gzip:1", "snappy"] {
            let chosen = OutputCompression::parse(compression).unwrap();
            save_as(digits.clone(), &out.path().join(compression), Some(chosen)).unwrap();
            rows.push(read(&out.path().join(compression)));
        }
        assert!(rows.iter().all(|other| *other == rows[0]));
        assert!(
            size("none") > 3 * SNAPPY_BYTES && size("gzip") < size("snappy") && size("snappy") < size("none")
        );
        for compression in ["lz4", "zstd:3", "zlib", "gzip:12"] {
            let chosen = OutputCompression::parse(compression).unwrap();
            let error = save_as(digits.clone(), &out.path().join("x"), Some(chosen)).unwrap_err().to_string();
            assert!(error.contains(compression) && !out.path().join("x").exists(), "{error}");
        }
    }

    #[test]
    fn columns_of_other_origin_make_a_dict() {
        let out = tempfile::tempdir().unwrap();
        let output = out.path().join("digits");
        let digits = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-00000-of-00002"]);
        let error = save_all(digits.clone(), &output).unwrap_err();
        assert!(error.to_string().contains("null"), "{error}");
        assert!(!output.exists());
        let before = save_all(digits.with_exclude(["writer"]), &output).unwrap();
        let after = read(&output);
        assert_eq!(
            after.iter().map(RecordBatch::num_rows).sum::<usize>(),
            before.iter().map(RecordBatch::num_rows).sum::<usize>()
        );
        assert_eq!(after[0].schema().fields().len(), before[0].schema().fields().len());
    }

    /// TensorFlow loads what we save as what it saved.
    #[test]
    fn tensorflow_loads_what_we_save() {
        let Some(python) = std::env::var_os("TFARROW_TEST_PYTHON").filter(|path| !path.is_empty()) else {
            let required =
                ["CI", "TFARROW_REQUIRE_PYTHON"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!required, "TFARROW_TEST_PYTHON is not set; run ./test.sh");
            eprintln!("skipped: TFARROW_TEST_PYTHON is not set (./test.sh sets it)");
            return;
        };
        let run = |script: &str, folder: &Path| {
            let output = std::process::Command::new(&python)
                .args([script, folder.to_str().unwrap()])
                .env("TF_CPP_MIN_LOG_LEVEL", "3")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        };
        let out = tempfile::tempdir().unwrap();
        run("tests/python/make_saved.py", out.path());
        for entry in std::fs::read_dir(out.path()).unwrap() {
            let folder = entry.unwrap().path();
            let input = ReaderBuilder::new([folder.join("data").to_str().unwrap()]);
            for compression in ["none", "gzip", "snappy"] {
                let chosen = OutputCompression::parse(compression).unwrap();
                save_as(input.clone(), &folder.join(format!("back_{compression}")), Some(chosen)).unwrap();
            }
        }
        run("tests/python/check_saved.py", out.path());
    }
}
