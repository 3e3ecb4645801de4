//! NumPy archives: a ZIP file with one `.npy` file a column.
//!
//! A ZIP file holds one member after the other, while batches bring rows of every column at once:
//! each column is written to a file without a name beside the archive, and these are put together
//! at the end. So an archive takes its size in disk space twice while it is written.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::atomic::AtomicFile;
use super::npy::{NpyWriter, member, refuse_duplicates};
use super::{OutputCompression, Sink, SinkOptions, parent};
use crate::error::{Error, Result};
use crate::input::Place;

/// Writes a `.npz` archive.
pub(crate) struct NpzSink {
    file: AtomicFile,
    columns: Vec<(String, NpyWriter<BufWriter<File>>)>,
    options: SimpleFileOptions,
}

impl NpzSink {
    pub(crate) fn new(
        file: AtomicFile,
        target: &Place,
        schema: &Schema,
        options: &SinkOptions,
    ) -> Result<Self> {
        refuse_duplicates(schema)?;
        let (method, level) = match options.compression {
            None | Some(OutputCompression::None) => (CompressionMethod::Stored, None),
            Some(OutputCompression::Gzip(level)) => (CompressionMethod::Deflated, level.map(i64::from)),
            Some(other) => {
                return Err(Error::config("compression not possible in .npz archives")
                    .expected("none or gzip", format!("{other:?}").to_lowercase()));
            }
        };
        let zip = SimpleFileOptions::default().compression_method(method).compression_level(level);
        let mut columns = Vec::new();
        for field in schema.fields() {
            let name = member(field)?.to_string_lossy().into_owned();
            let spool = match target.local_path() {
                Some(path) => tempfile::tempfile_in(parent(path)),
                None => tempfile::tempfile(),
            };
            let spool = spool.map_err(|e| Error::io("cannot create output", e))?;
            columns.push((name, NpyWriter::new(BufWriter::new(spool), field, options.string_bytes)?));
        }
        Ok(Self { file, columns, options: zip })
    }
}

impl Sink for NpzSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.columns.iter_mut().zip(batch.columns()).try_for_each(|((_, writer), array)| writer.write(array))
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let cannot_write = |e: std::io::Error| Error::io("cannot write output", e);
        let cannot_zip = |e: zip::result::ZipError| cannot_write(e.into());
        let mut archive = ZipWriter::new(BufWriter::with_capacity(1 << 18, self.file));
        for (name, writer) in self.columns {
            let mut spool = writer.finish()?.into_inner().map_err(|e| cannot_write(e.into_error()))?;
            let bytes = spool.seek(SeekFrom::End(0)).map_err(cannot_write)?;
            spool.seek(SeekFrom::Start(0)).map_err(cannot_write)?;
            // A deflated member may come out a little larger than it went in.
            let large = bytes + (bytes >> 8) > u64::from(u32::MAX) - (1 << 16);
            archive.start_file(name, self.options.large_file(large)).map_err(cannot_zip)?;
            std::io::copy(&mut spool, &mut archive).map_err(cannot_write)?;
        }
        let output = archive.finish().map_err(cannot_zip)?;
        output.into_inner().map_err(|e| cannot_write(e.into_error()))?.persist()
    }
}
