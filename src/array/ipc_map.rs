//! Memory-mapped Arrow IPC files: batches whose buffers are the file itself.
#![allow(unsafe_code)]

use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, root_as_footer, root_as_message};

use super::mapped;
use crate::error::{Error, Result};
use crate::source::guard::no_panic;
use crate::source::ipc_schema;

/// The magic bytes at the end of an IPC file and the length of the footer before them.
const TRAILER_BYTES: usize = 10;
/// The magic bytes at the beginning, padded.
const MAGIC_BYTES: usize = 8;
/// The marker before a message, and the length of its metadata.
const PREFIX_BYTES: usize = 8;

/// A memory-mapped Arrow IPC file (`.arrow`, `.feather`): opening it costs its footer, and batches
/// point into the map instead of being read.
///
/// Any batch can be taken at any time, and the file may be larger than memory: the operating system
/// reads pages when they are looked at and drops them when it needs the space.
///
/// Buffers that cannot be used as they lie in the file are copied, and [`MappedBatch`] says so:
/// those of files with compression, and those that are not aligned to their type. Files that
/// tfarrow writes without compression have neither.
///
/// ```
/// # use tfarrow::ndarray::Array;
/// # use tfarrow::array::{BatchBuilder, tensor};
/// use tfarrow::array::IpcMap;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("images.arrow");
/// # let batch = BatchBuilder::new().with_array("image", Array::<u8, _>::zeros((2, 28, 28))).build()?;
/// # let file = std::fs::File::create(&path)?;
/// # let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema())?;
/// # writer.write(&batch)?;
/// # writer.finish()?;
///
/// // SAFETY: nobody changes the file while it is mapped.
/// let map = unsafe { IpcMap::map(&path) }?;
/// for k in 0..map.num_batches() {
///     let batch = map.batch(k)?;
///     assert!(batch.is_zero_copy());
///     let images = tensor(&batch, "image")?.view::<u8>()?;
///     assert_eq!(images.shape(), [2, 28, 28]);
/// }
/// assert_eq!((map.num_rows()?, map.locate(1)?), (2, (0, 1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IpcMap {
    buffer: Buffer,
    decoder: FileDecoder,
    schema: SchemaRef,
    blocks: Vec<Block>,
    /// Where each batch ends, in rows; read when it is asked for.
    ends: OnceLock<Vec<usize>>,
    name: Arc<str>,
}

impl IpcMap {
    /// Maps the file at `path` and reads its footer (and its dictionaries, if it has any).
    ///
    /// # Safety
    /// The file must not be changed or truncated while the map or a batch of it exists, by this
    /// process or another: its bytes are taken for memory that stays as it is, and a batch is
    /// checked only once, when it is taken. A file that was written under another name and renamed
    /// when it was whole (as tfarrow does) is safe to replace: the map keeps the old one.
    ///
    /// # Errors
    /// The file cannot be opened or mapped, or it is no Arrow IPC file, or its footer is damaged.
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self> {
        let read = |buffer, name| no_panic("damaged Arrow IPC file", || Self::of_buffer(buffer, name));
        // SAFETY: the condition is this function's own.
        unsafe { mapped::map(path.as_ref(), read) }
    }

    fn of_buffer(buffer: Buffer, name: Arc<str>) -> Result<Self> {
        let not_ipc = || Error::corrupt("not an Arrow IPC file");
        if !buffer.starts_with(b"ARROW1") {
            let hint = "a file that begins in another way may be an IPC stream, which cannot be mapped";
            return Err(not_ipc().with_hint(hint));
        }
        let trailer = buffer.last_chunk::<TRAILER_BYTES>().ok_or_else(not_ipc)?;
        let end = buffer.len() - TRAILER_BYTES;
        let footer_bytes = read_footer_length(*trailer).map_err(|e| not_ipc().with_cause(e))?;
        let footer = end.checked_sub(footer_bytes).and_then(|start| buffer.get(start..end));
        let footer = footer.filter(|footer| footer.len() + MAGIC_BYTES <= end).ok_or_else(not_ipc)?;
        let footer = root_as_footer(footer).map_err(|e| not_ipc().with_cause(e.to_string()))?;
        ipc_schema::check_version(footer.version())?;
        let schema = footer.schema().ok_or_else(|| Error::corrupt("no schema in an IPC file's footer"))?;
        let schema = ipc_schema::read(schema)?;
        let mut decoder = FileDecoder::new(schema.clone(), footer.version());
        for block in footer.dictionaries().iter().flatten() {
            let message = message(&buffer, block)?;
            decoder.read_dictionary(block, &message)?;
        }
        let blocks = footer.recordBatches().iter().flatten().copied().collect();
        Ok(Self { buffer, decoder, schema, blocks, ends: OnceLock::new(), name })
    }

    /// The schema of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// How many batches there are.
    #[must_use]
    pub fn num_batches(&self) -> usize {
        self.blocks.len()
    }

    /// How many rows there are. The first call looks at the head of every batch.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn num_rows(&self) -> Result<usize> {
        Ok(self.ends()?.last().copied().unwrap_or(0))
    }

    /// Where row `row` is: the number of its batch, and its row there. O(log of the number of batches) but
    /// for the first call, which looks at the head of every batch.
    ///
    /// To read rows here and there, keep batches, or the views of their columns: taking one takes longer
    /// than reading a row of it.
    ///
    /// # Errors
    /// There is no such row, or the file is damaged.
    pub fn locate(&self, row: usize) -> Result<(usize, usize)> {
        let ends = self.ends()?;
        let batch = ends.partition_point(|end| *end <= row);
        if batch == ends.len() {
            let rows = ends.last().copied().unwrap_or(0);
            return Err(Error::config("no such row").expected(format!("less than {rows}"), row.to_string()));
        }
        let start = batch.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
        Ok((batch, row - start))
    }

    fn ends(&self) -> Result<&[usize]> {
        if let Some(ends) = self.ends.get() {
            return Ok(ends);
        }
        let damaged = |at: &Block| {
            let offset = u64::try_from(at.offset()).unwrap_or(0);
            Error::corrupt("no batch where the footer says there is one").at_offset(offset)
        };
        let rows_of = |block: &Block| -> Result<usize> {
            let message = message(&self.buffer, block)?;
            // The marker before a message and its length, or its length alone.
            let skipped = if message.starts_with(&[0xff; 4]) { PREFIX_BYTES } else { PREFIX_BYTES / 2 };
            let head = message.get(skipped..).and_then(|head| root_as_message(head).ok());
            let rows = head.and_then(|head| head.header_as_record_batch()).map(|batch| batch.length());
            rows.and_then(|rows| usize::try_from(rows).ok()).ok_or_else(|| damaged(block))
        };
        let (mut ends, mut end) = (Vec::with_capacity(self.blocks.len()), 0usize);
        for block in &self.blocks {
            let rows = rows_of(block).map_err(|e| e.in_source(self.name.clone()))?;
            end = end.checked_add(rows).ok_or_else(|| damaged(block).in_source(self.name.clone()))?;
            ends.push(end);
        }
        Ok(self.ends.get_or_init(|| ends))
    }

    /// The size of the file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Batch `index`. Its buffers point into the map, however large they are; of the values, only
    /// what has to be checked is looked at: offsets of lists and strings, and the text of Utf8.
    ///
    /// The batch keeps the map alive.
    ///
    /// # Errors
    /// There is no such batch, or it is damaged.
    pub fn batch(&self, index: usize) -> Result<MappedBatch> {
        let read = || {
            let block = self.blocks.get(index).ok_or_else(|| {
                Error::config("no such batch")
                    .expected(format!("less than {}", self.blocks.len()), index.to_string())
            })?;
            let message = message(&self.buffer, block)?;
            let batch = no_panic("damaged batch", || {
                let batch = self.decoder.read_record_batch(block, &message);
                batch.map_err(|e| Error::corrupt("damaged batch").with_cause(e))
            })?
            .ok_or_else(|| Error::corrupt("no batch where the footer says there is one"))?;
            Ok(MappedBatch::new(batch, &self.buffer))
        };
        read().map_err(|e: Error| e.in_source(self.name.clone()))
    }

    /// The batches from the first to the last.
    pub fn batches(&self) -> impl ExactSizeIterator<Item = Result<MappedBatch>> + '_ {
        (0..self.num_batches()).map(|index| self.batch(index))
    }
}

/// A batch of a mapped file, and which of its columns had to be copied. It is a [`RecordBatch`] by
/// dereference.
#[derive(Debug, Clone)]
pub struct MappedBatch {
    batch: RecordBatch,
    copied: Vec<usize>,
}

impl MappedBatch {
    fn new(batch: RecordBatch, map: &Buffer) -> Self {
        let map = map.as_ptr_range();
        let map = map.start.addr()..map.end.addr();
        let is_copied = |(_, column): &(usize, &Arc<dyn Array>)| !lies_within(&column.to_data(), &map);
        let copied = batch.columns().iter().enumerate().filter(is_copied).map(|(at, _)| at).collect();
        Self { batch, copied }
    }

    /// Whether every buffer of the batch points into the map.
    #[must_use]
    pub fn is_zero_copy(&self) -> bool {
        self.copied.is_empty()
    }

    /// The names of the columns of which something was copied: compressed, or not aligned.
    pub fn copied_columns(&self) -> impl Iterator<Item = &str> {
        let fields = self.batch.schema_ref().fields();
        self.copied.iter().filter_map(|at| fields.get(*at)).map(|field| field.name().as_str())
    }

    /// The batch.
    #[must_use]
    pub fn into_batch(self) -> RecordBatch {
        self.batch
    }
}

impl Deref for MappedBatch {
    type Target = RecordBatch;

    fn deref(&self) -> &RecordBatch {
        &self.batch
    }
}

/// Whether every buffer with anything in it lies in the memory at `map`.
fn lies_within(data: &ArrayData, map: &Range<usize>) -> bool {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    let is_inside = |buffer: &Buffer| {
        let start = buffer.as_ptr().addr();
        buffer.is_empty() || (map.start <= start && start + buffer.len() <= map.end)
    };
    data.buffers().iter().chain(nulls).all(is_inside)
        && data.child_data().iter().all(|child| lies_within(child, map))
}

/// The message of `block`, if it lies within the file.
fn message(file: &Buffer, block: &Block) -> Result<Buffer> {
    let range = || {
        let start = usize::try_from(block.offset()).ok()?;
        let metadata = usize::try_from(block.metaDataLength()).ok().filter(|len| *len >= MAGIC_BYTES)?;
        let body = usize::try_from(block.bodyLength()).ok()?;
        let len = metadata.checked_add(body)?;
        (start.checked_add(len)? <= file.len()).then_some((start, len))
    };
    let (start, len) = range().ok_or_else(|| {
        let offset = u64::try_from(block.offset()).unwrap_or(0);
        Error::corrupt("a batch that does not lie within its file").at_offset(offset)
    })?;
    Ok(file.slice_with_length(start, len))
}
