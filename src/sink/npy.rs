//! NumPy files: one column as `.npy`, several as a folder of them (`.npyd/`).
//!
//! Rows are written as they come, behind a header with room for any number of them; at the end the
//! number is filled in. `numpy.load(…, mmap_mode="r")` opens what comes out.

use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use arrow::datatypes::{DataType, Field, Schema};

use super::atomic::{AtomicFile, AtomicFolder, FolderFile};
use super::{Sink, SinkOptions};
use crate::error::{Error, Result};
use crate::input::{FileKind, Place};
use crate::options::Phrase;
use crate::schema::from_arrow;
use crate::tensor::dense::Dense;
use crate::tensor::numpy::{NumpyStorage, NumpyType};

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// Headers end at a multiple of this, so that mapped values are aligned.
const ALIGNMENT: usize = 64;
/// How many values are converted at a time where bytes are not written as they lie.
const CHUNK: usize = 1 << 14;

/// One column on its way into a `.npy` file.
pub(super) struct NpyWriter<W> {
    output: W,
    field: Field,
    numpy: NumpyType,
    rows: u64,
}

impl<W: Write + Seek> NpyWriter<W> {
    /// Begins the file of column `field`, strings being `string_bytes` wide.
    ///
    /// # Errors
    /// NumPy cannot hold the column, or the output cannot be written.
    pub(super) fn new(mut output: W, field: &Field, string_bytes: Option<usize>) -> Result<Self> {
        let field = field.clone().with_data_type(from_arrow::plain_type(field.data_type()));
        let numpy = numpy_type(&field, string_bytes)?;
        output.write_all(&header(&numpy, 0)).map_err(cannot_write)?;
        Ok(Self { output, field, numpy, rows: 0 })
    }

    /// Writes the rows of `array`.
    ///
    /// # Errors
    /// There is a null, a string is too long, or the output cannot be written.
    pub(super) fn write(&mut self, array: &ArrayRef) -> Result<()> {
        let array = from_arrow::plain(array).map_err(|e| e.in_column(self.field.name().as_str()))?;
        self.write_rows(array.as_ref()).map_err(|e| e.in_column(self.field.name().as_str()))?;
        self.rows += array.len() as u64;
        Ok(())
    }

    fn write_rows(&mut self, array: &dyn Array) -> Result<()> {
        let dense = Dense::of_column(&self.field, array)?
            .ok_or_else(|| Error::corrupt("a batch does not have the type of its schema"))?;
        dense.refuse_nulls(0, dense.rows).map_err(|e| {
            e.with_hint(Phrase::new(
                "NumPy arrays have no nulls: leave the column out with {exclude}, or give missing features a \
                 default with {feature}",
            ))
        })?;
        let values = dense.values.slice(0, dense.rows * dense.row_values);
        match self.numpy.storage {
            NumpyStorage::Same => {
                let data = values.to_data();
                let width = values.data_type().primitive_width().unwrap_or(0);
                let (start, len) = (data.offset() * width, values.len() * width);
                let bytes = data.buffers().first().and_then(|bytes| bytes.get(start..start + len));
                self.output.write_all(bytes.unwrap_or_default()).map_err(cannot_write)
            }
            NumpyStorage::Bits => {
                let bits = values.as_boolean().values();
                for start in (0..bits.len()).step_by(CHUNK) {
                    let bytes: Vec<u8> =
                        bits.slice(start, CHUNK.min(bits.len() - start)).iter().map(u8::from).collect();
                    self.output.write_all(&bytes).map_err(cannot_write)?;
                }
                Ok(())
            }
            NumpyStorage::Padded => self.write_strings(&values),
        }
    }

    fn write_strings(&mut self, values: &dyn Array) -> Result<()> {
        let wide: &dyn Array = values;
        match values.data_type() {
            DataType::Utf8 => wide
                .as_string::<i32>()
                .iter()
                .try_for_each(|v| self.write_string(v.unwrap_or_default().as_bytes())),
            DataType::LargeUtf8 => wide
                .as_string::<i64>()
                .iter()
                .try_for_each(|v| self.write_string(v.unwrap_or_default().as_bytes())),
            DataType::LargeBinary => {
                wide.as_binary::<i64>().iter().try_for_each(|v| self.write_string(v.unwrap_or_default()))
            }
            _ => wide.as_binary::<i32>().iter().try_for_each(|v| self.write_string(v.unwrap_or_default())),
        }
    }

    fn write_string(&mut self, value: &[u8]) -> Result<()> {
        let padding = self.numpy.bytes.checked_sub(value.len()).ok_or_else(|| {
            Error::mismatch("a string longer than its fixed width")
                .expected(format!("at most {} bytes", self.numpy.bytes), value.len().to_string())
                .with_hint("ask for a larger width")
        })?;
        if value.last() == Some(&0) {
            return Err(Error::mismatch("a string that ends in a zero byte, which NumPy would drop")
                .with_hint(Phrase::new("leave the column out with {exclude}, or write Parquet or Arrow")));
        }
        self.output.write_all(value).map_err(cannot_write)?;
        const ZEROS: [u8; 64] = [0; 64];
        let mut left = padding;
        while left > 0 {
            let some = left.min(ZEROS.len());
            self.output.write_all(ZEROS.get(..some).unwrap_or_default()).map_err(cannot_write)?;
            left -= some;
        }
        Ok(())
    }

    /// Fills in the number of rows and returns the output, with everything handed to it.
    ///
    /// # Errors
    /// The output cannot be written.
    pub(super) fn finish(mut self) -> Result<W> {
        self.output.flush().map_err(cannot_write)?;
        self.output.seek(SeekFrom::Start(0)).map_err(cannot_write)?;
        self.output.write_all(&header(&self.numpy, self.rows)).map_err(cannot_write)?;
        self.output.flush().map_err(cannot_write)?;
        Ok(self.output)
    }

    fn header_bytes(&self) -> u64 {
        header(&self.numpy, 0).len() as u64
    }
}

/// The header of a file of `rows` rows; its length does not depend on them.
fn header(numpy: &NumpyType, rows: u64) -> Vec<u8> {
    let text = |rows: u64| {
        let sizes: String = numpy.shape.iter().map(|size| format!(" {size},")).collect();
        format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({rows},{sizes}), }}", numpy.descr)
    };
    let longest = MAGIC.len() + 2 + text(u64::MAX).len() + 1;
    let total = longest.next_multiple_of(ALIGNMENT);
    let text_bytes = total - MAGIC.len() - 2;
    let mut header = MAGIC.to_vec();
    // A shape of a thousand dimensions, which Arrow's metadata could state, would not fit.
    header.extend_from_slice(&u16::try_from(text_bytes).unwrap_or(u16::MAX).to_le_bytes());
    header.extend_from_slice(text(rows).as_bytes());
    header.resize(total - 1, b' ');
    header.push(b'\n');
    header
}

fn numpy_type(field: &Field, string_bytes: Option<usize>) -> Result<NumpyType> {
    let empty = new_empty_array(field.data_type());
    let dense = Dense::of_column(field, &empty)?;
    let permuted = dense.as_ref().is_some_and(|dense| dense.permutation.is_some());
    let numpy = dense.as_ref().filter(|_| !permuted).and_then(|dense| NumpyType::of(dense, string_bytes));
    numpy.ok_or_else(|| {
        let is_string =
            dense.is_some_and(|dense| matches!(dense.values.data_type(), DataType::Binary | DataType::Utf8));
        let error = Error::unsupported("a column that a NumPy array cannot hold")
            .expected("numbers or bools, every row of one shape", field.data_type().to_string())
            .in_column(field.name().as_str());
        error.with_hint(Phrase::new(if is_string {
            "leave it out with {exclude}, or give strings a fixed width with {string_bytes}"
        } else {
            "leave it out with {exclude}, or write Parquet or Arrow"
        }))
    })
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::io("cannot write output", error)
}

/// The path of a column's file within a folder or archive: its name, `/` and all, and `.npy`.
///
/// # Errors
/// The name leads out of the folder.
pub(super) fn member(field: &Field) -> Result<PathBuf> {
    let name = field.name();
    let safe = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let whole =
        name.split('/').all(|part| !part.is_empty() && part != "." && !part.contains(['\\', '\0', ':']));
    if !safe || !whole {
        return Err(Error::config("a column whose name cannot be a file's")
            .in_column(name.as_str())
            .with_hint(Phrase::new("give it another name with {rename}")));
    }
    Ok(PathBuf::from(format!("{name}.npy")))
}

/// Refuses two columns of one name.
pub(super) fn refuse_duplicates(schema: &Schema) -> Result<()> {
    for (at, field) in schema.fields().iter().enumerate() {
        if schema.fields().iter().take(at).any(|other| other.name() == field.name()) {
            return Err(Error::config("two columns of one name").in_column(field.name().as_str()));
        }
    }
    Ok(())
}

/// Writes one column as a `.npy` file.
pub(crate) struct NpySink {
    writer: NpyWriter<BufWriter<AtomicFile>>,
}

impl NpySink {
    pub(crate) fn new(file: AtomicFile, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        refuse_compression(options, ".npy files")?;
        let [field] = schema.fields().as_ref() else {
            return Err(Error::config("a .npy file holds one column")
                .expected("1", schema.fields().len().to_string())
                .with_hint(Phrase::new("choose one with {columns}, or write .npz or .npyd")));
        };
        Ok(Self { writer: NpyWriter::new(BufWriter::new(file), field, options.string_bytes)? })
    }
}

impl Sink for NpySink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        batch.columns().first().map_or(Ok(()), |array| self.writer.write(array))
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        // The header is written twice, and counted twice.
        let header = self.writer.header_bytes();
        let file = self.writer.finish()?.into_inner().map_err(|e| cannot_write(e.into_error()))?;
        Ok(file.persist()?.saturating_sub(header))
    }
}

/// Whether `folder` and the folders in it hold `.npy` files and nothing else.
pub(super) fn is_npyd(folder: &Place) -> bool {
    folder.list().is_ok_and(|entries| {
        entries.iter().all(|(place, stat)| match stat.kind {
            FileKind::Folder => is_npyd(place),
            _ => place.path().extension().is_some_and(|end| end == "npy"),
        })
    })
}

/// Writes a folder with one `.npy` file a column, which appears when all of them are whole.
pub(crate) struct NpydSink {
    folder: AtomicFolder,
    writers: Vec<NpyWriter<BufWriter<FolderFile>>>,
}

impl NpydSink {
    pub(crate) fn new(folder: AtomicFolder, schema: &Schema, options: &SinkOptions) -> Result<Self> {
        refuse_compression(options, ".npyd folders")?;
        refuse_duplicates(schema)?;
        let mut writers = Vec::new();
        for field in schema.fields() {
            let file = folder.create_file(&member(field)?, true);
            let file = file.map_err(|e| e.in_column(field.name().as_str()))?;
            writers.push(NpyWriter::new(BufWriter::new(file), field, options.string_bytes)?);
        }
        Ok(Self { folder, writers })
    }
}

impl Sink for NpydSink {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writers.iter_mut().zip(batch.columns()).try_for_each(|(writer, array)| writer.write(array))
    }

    fn finish(mut self: Box<Self>) -> Result<u64> {
        let mut bytes = 0;
        for writer in std::mem::take(&mut self.writers) {
            let mut file = writer.finish()?.into_inner().map_err(|e| cannot_write(e.into_error()))?;
            bytes += file.seek(SeekFrom::End(0)).map_err(cannot_write)?;
            self.folder.keep(file);
        }
        self.folder.persist()?;
        Ok(bytes)
    }
}

fn refuse_compression(options: &SinkOptions, of: &str) -> Result<()> {
    match options.compression {
        None | Some(super::OutputCompression::None) => Ok(()),
        Some(other) => Err(Error::config(format!("compression not possible in {of}"))
            .expected("none", format!("{other:?}").to_lowercase())
            .with_hint("a .npz archive can be compressed with gzip")),
    }
}
