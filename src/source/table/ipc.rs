//! Arrow IPC files and streams: where their batches are, and what is in them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayData, RecordBatch};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{self as ipc, MessageHeader, root_as_footer, root_as_message};

use super::{Part, count};
use crate::error::{Error, Result};
use crate::input::{Forward, Input, Opened, Stat};
use crate::options::Phrase;
use crate::source::guard::no_panic;
use crate::source::ipc_schema;
use crate::source::{InputFile, PartitionRange, Progress, ReadOptions};

/// The magic bytes at the end of a file and the length of the footer before them.
const TRAILER_BYTES: u64 = 10;
/// The magic bytes at the beginning, padded.
const MAGIC_BYTES: u64 = 8;
/// The marker before a message, and the length of its metadata.
const PREFIX_BYTES: u64 = 8;
/// The marker before a message.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// About how much of a file makes a partition.
const PARTITION_BYTES: u64 = 64 << 20;

/// The record batches of one file or stream.
#[derive(Debug)]
pub(super) struct IpcTable {
    inner: Arc<Inner>,
    /// The batches of each partition.
    parts: Vec<Vec<Message>>,
}

#[derive(Debug)]
struct Inner {
    input: Input,
    name: Arc<str>,
    stat: Stat,
    schema: SchemaRef,
    /// One; more where the dictionaries of a stream change.
    decoders: Vec<Decoder>,
    /// Bytes that a batch may decode to where it is compressed.
    max_batch_bytes: u64,
}

/// What decodes batches, and the dictionaries that it was given.
#[derive(Debug)]
struct Decoder {
    inner: FileDecoder,
    version: ipc::MetadataVersion,
    dictionaries: Vec<(ipc::Block, Buffer)>,
}

impl Decoder {
    fn new(schema: &SchemaRef, version: ipc::MetadataVersion) -> Self {
        Self { inner: FileDecoder::new(schema.clone(), version), version, dictionaries: Vec::new() }
    }

    fn add_dictionary(&mut self, block: ipc::Block, bytes: Buffer) -> Result<()> {
        self.inner
            .read_dictionary(&block, &bytes)
            .map_err(|e| damaged("damaged dictionary").with_cause(e))?;
        self.dictionaries.push((block, bytes));
        Ok(())
    }

    /// What decodes these columns of `schema` only.
    fn project(&self, schema: &SchemaRef, columns: &[usize]) -> Result<Self> {
        let mut projected = Self::new(schema, self.version);
        projected.inner = projected.inner.with_projection(columns.to_vec());
        for (block, bytes) in &self.dictionaries {
            projected.add_dictionary(*block, bytes.clone())?;
        }
        Ok(projected)
    }
}

/// Where a message is, and the rows that it says it has.
#[derive(Debug, Clone, Copy)]
struct Message {
    number: u64,
    block: ipc::Block,
    bytes: u64,
    rows: u64,
    /// The decoder with its dictionaries.
    decoder: usize,
}

fn damaged(what: &str) -> Error {
    Error::corrupt(what)
}

/// An input whose messages are looked at.
struct Messages {
    file: Opened,
    input: Input,
    /// What was read last: messages are small and mostly near each other.
    window: Vec<u8>,
    /// Where that begins.
    window_at: u64,
}

/// Bytes that are read at a time where messages are looked at.
const WINDOW_BYTES: u64 = 8 << 10;

impl Messages {
    fn new(input: &Input) -> Result<Self> {
        let file = input.opened(None)?;
        Ok(Self { file, input: input.clone(), window: Vec::new(), window_at: 0 })
    }

    /// The bytes at `start`, which must all lie within the file.
    fn read(&mut self, start: u64, bytes: u64, what: &str) -> Result<Vec<u8>> {
        let total = self.file.bytes();
        let within = start.checked_add(bytes).is_some_and(|end| end <= total);
        let len = usize::try_from(bytes).ok().filter(|_| within).ok_or_else(|| {
            damaged(what)
                .expected(format!("{bytes} bytes"), total.saturating_sub(start).to_string())
                .at_offset(start)
        })?;
        if let Some(found) = self.windowed(start, len) {
            return Ok(found);
        }
        if bytes < WINDOW_BYTES {
            self.window.resize(usize::try_from(WINDOW_BYTES.min(total - start)).unwrap_or(len), 0);
            self.file.read_exact_at(start, &mut self.window)?;
            self.window_at = start;
            return Ok(self.windowed(start, len).unwrap_or_default());
        }
        let mut out = vec![0; len];
        self.file.read_exact_at(start, &mut out)?;
        Ok(out)
    }

    /// The bytes at `start`, if they were read already.
    fn windowed(&self, start: u64, len: usize) -> Option<Vec<u8>> {
        let begin = usize::try_from(start.checked_sub(self.window_at)?).ok()?;
        self.window.get(begin..begin.checked_add(len)?).map(<[u8]>::to_vec)
    }

    /// The message whose metadata takes `metadata` bytes from `start`, its prefix included.
    fn message(&mut self, start: u64, metadata: u64) -> Result<Vec<u8>> {
        self.read(start, metadata.max(PREFIX_BYTES), "truncated message")
    }
}

/// Refuses nulls among the items of a list view that has none: whoever puts batches together would, and
/// nobody who decodes them does.
fn check_views(data: &ArrayData) -> Result<()> {
    if let (DataType::ListView(item) | DataType::LargeListView(item), [items]) =
        (data.data_type(), data.child_data())
        && !item.is_nullable()
        && items.null_count() > 0
    {
        return Err(damaged("damaged batch").expected("items that are not null", "null"));
    }
    data.child_data().iter().try_for_each(check_views)
}

/// The metadata of a message without what stands before it.
fn metadata(message: &[u8]) -> &[u8] {
    match message.strip_prefix(&CONTINUATION) {
        Some(rest) => rest.get(4..).unwrap_or_default(),
        None => message.get(4..).unwrap_or_default(),
    }
}

fn not_a_message(error: impl std::fmt::Display, offset: u64) -> Error {
    damaged("damaged message").with_cause(error.to_string()).at_offset(offset)
}

impl IpcTable {
    /// Opens an IPC file by its footer.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged where it says what is in it.
    pub(super) fn open_file(input: &Input, max_batch_bytes: u64) -> Result<Self> {
        let mut file = Messages::new(input)?;
        let not_whole = || {
            damaged("Arrow IPC file without its end")
                .expected("a footer", "none: the file is cut short, or its writer did not finish it")
        };
        let end = file.file.bytes().checked_sub(TRAILER_BYTES).ok_or_else(not_whole)?;
        let trailer = file.read(end, TRAILER_BYTES, "truncated file")?;
        let trailer: [u8; 10] = trailer.try_into().map_err(|_| not_whole())?;
        let footer_bytes = read_footer_length(trailer).map_err(|_| not_whole())? as u64;
        let start =
            end.checked_sub(footer_bytes).filter(|start| *start >= MAGIC_BYTES).ok_or_else(not_whole)?;
        let footer = file.read(start, footer_bytes, "truncated footer")?;
        let footer = root_as_footer(&footer).map_err(|e| not_a_message(e, start))?;
        ipc_schema::check_version(footer.version())?;
        let schema = footer.schema().ok_or_else(|| damaged("no schema in an Arrow IPC file's footer"))?;
        let schema = ipc_schema::read(schema)?;
        let mut decoder = Decoder::new(&schema, footer.version());
        for block in footer.dictionaries().iter().flatten() {
            file.read_dictionary(&mut decoder, block, max_batch_bytes)?;
        }
        let blocks = footer.recordBatches();
        let headers = blocks.iter().flatten().filter_map(|block| place(block).ok());
        let headers: Vec<_> = headers.map(|(start, bytes, _)| start..start.saturating_add(bytes)).collect();
        file.file.file.will_read(&headers);
        let mut messages = Vec::new();
        for (number, block) in (0..).zip(blocks.iter().flatten()) {
            let (start, metadata_bytes, bytes) = place(block)?;
            let message = file.message(start, metadata_bytes)?;
            let message = root_as_message(metadata(&message)).map_err(|e| not_a_message(e, start))?;
            let rows = rows_of(&message, start)?;
            messages.push(Message { number, block: *block, bytes, rows, decoder: 0 });
        }
        Ok(Self::new(file, schema, vec![decoder], messages, max_batch_bytes))
    }

    /// Opens an IPC stream: hops over its messages.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged where it says what is in it.
    pub(super) fn open_stream(input: &Input, max_batch_bytes: u64) -> Result<Self> {
        let mut file = Messages::new(input)?;
        let mut at = 0;
        let mut table: Option<(SchemaRef, StreamDecoders)> = None;
        let mut messages = Vec::new();
        let bytes_of_file = file.file.bytes();
        while at < bytes_of_file {
            let prefix = file.read(at, PREFIX_BYTES, "truncated stream")?;
            let length = prefix
                .strip_prefix(&CONTINUATION)
                .and_then(|rest| rest.first_chunk::<4>())
                .map(|length| u64::from(u32::from_le_bytes(*length)))
                .ok_or_else(|| {
                    damaged("damaged stream").expected("a message", "something else").at_offset(at)
                })?;
            if length == 0 {
                break;
            }
            let bytes = file.message(at, PREFIX_BYTES + length)?;
            let message = root_as_message(metadata(&bytes)).map_err(|e| not_a_message(e, at))?;
            let block = i32::try_from(PREFIX_BYTES + length)
                .ok()
                .zip(i64::try_from(at).ok())
                .map(|(metadata, offset)| ipc::Block::new(offset, metadata, message.bodyLength()))
                .ok_or_else(|| damaged("damaged stream").at_offset(at))?;
            let (_, _, whole) = place(&block)?;
            if at.checked_add(whole).is_none_or(|end| end > bytes_of_file) {
                return Err(damaged("truncated stream")
                    .expected(format!("{whole} bytes"), (bytes_of_file - at).to_string())
                    .at_offset(at));
            }
            match (message.header_type(), &mut table) {
                (MessageHeader::Schema, None) => {
                    ipc_schema::check_version(message.version())?;
                    let schema =
                        message.header_as_schema().ok_or_else(|| damaged("stream without a schema"))?;
                    let schema = ipc_schema::read(schema)?;
                    table = Some((schema.clone(), StreamDecoders::new(schema, message.version())));
                }
                (MessageHeader::DictionaryBatch, Some((_, decoders))) => {
                    let dictionary = message.header_as_dictionary_batch();
                    let dictionary = dictionary.ok_or_else(|| damaged("damaged dictionary").at_offset(at))?;
                    let block = DictionaryBlock { id: dictionary.id(), delta: dictionary.isDelta(), block };
                    decoders.add(block);
                }
                (MessageHeader::RecordBatch, Some((_, decoders))) => {
                    let (number, rows) = (messages.len() as u64, rows_of(&message, at)?);
                    let decoder = decoders.current(&mut file, max_batch_bytes)?;
                    messages.push(Message { number, block, bytes: whole, rows, decoder });
                }
                _ => return Err(damaged("message out of place in a stream").at_offset(at)),
            }
            at += whole;
        }
        let (schema, decoders) = table.ok_or_else(|| damaged("stream without a schema"))?;
        Ok(Self::new(file, schema, decoders.all, messages, max_batch_bytes))
    }

    fn new(
        file: Messages,
        schema: SchemaRef,
        decoders: Vec<Decoder>,
        messages: Vec<Message>,
        max_batch_bytes: u64,
    ) -> Self {
        let Messages { file: Opened { stat, name, .. }, input, .. } = file;
        let mut parts: Vec<Vec<Message>> = vec![Vec::new()];
        let mut held = 0;
        for message in messages {
            if held >= PARTITION_BYTES {
                parts.push(Vec::new());
                held = 0;
            }
            held += message.bytes;
            if let Some(part) = parts.last_mut() {
                part.push(message);
            }
        }
        let inner = Inner { input, name, stat, schema, decoders, max_batch_bytes };
        Self { inner: Arc::new(inner), parts }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// Every partition.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.parts.iter().map(|messages| part_of(messages)).collect()
    }

    /// Parts of the partition `part`, each of about `bytes`.
    pub(super) fn parts_within(&self, part: usize, bytes: u64) -> Vec<Part> {
        let messages = self.parts.get(part).map(Vec::as_slice).unwrap_or_default();
        let mut parts: Vec<Vec<Message>> = Vec::new();
        let mut held = bytes;
        for message in messages {
            if held >= bytes || held.saturating_add(message.bytes) > bytes {
                parts.push(Vec::new());
                held = 0;
            }
            held = held.saturating_add(message.bytes);
            if let Some(part) = parts.last_mut() {
                part.push(*message);
            }
        }
        parts.iter().map(|messages| part_of(messages)).collect()
    }

    /// Makes these ranges the partitions; gives their numbers.
    ///
    /// # Errors
    /// One is not of this file.
    pub(super) fn cut(&mut self, ranges: &[&PartitionRange]) -> Result<Vec<usize>> {
        let all: Vec<Message> = std::mem::take(&mut self.parts).into_iter().flatten().collect();
        for range in ranges {
            let part: Vec<Message> = match range {
                PartitionRange::All => all.clone(),
                PartitionRange::Batches(batches) => {
                    all.iter().filter(|message| batches.contains(&message.number)).copied().collect()
                }
                _ => Vec::new(),
            };
            let expected = match range {
                PartitionRange::Batches(batches) => batches.end.saturating_sub(batches.start),
                _ => part.len() as u64,
            };
            if part.len() as u64 != expected || matches!(range, PartitionRange::RowGroups(_)) {
                return Err(Error::corrupt("file without the planned record batches"));
            }
            self.parts.push(part);
        }
        Ok((0..ranges.len()).collect())
    }

    /// The same file, of which these columns only are decoded.
    ///
    /// # Errors
    /// None that opening it did not have.
    pub(super) fn project(&self, columns: &[usize]) -> Result<Self> {
        let parts = self.parts.clone();
        let Inner { input, name, stat, schema, decoders, max_batch_bytes } = self.inner.as_ref();
        if columns.len() == schema.fields().len() {
            return Ok(Self { inner: self.inner.clone(), parts });
        }
        let projected = decoders.iter().map(|decoder| decoder.project(schema, columns));
        let inner = Inner {
            input: input.clone(),
            name: name.clone(),
            stat: stat.clone(),
            schema: schema.clone(),
            decoders: projected.collect::<Result<Vec<_>>>()?,
            max_batch_bytes: *max_batch_bytes,
        };
        Ok(Self { inner: Arc::new(inner), parts })
    }

    /// The batches of partition `part`.
    ///
    /// # Errors
    /// The file cannot be opened, or is not what it was.
    pub(super) fn blocks(&self, part: usize, options: &ReadOptions) -> Result<Blocks> {
        let messages = self.parts.get(part).cloned().unwrap_or_default();
        let input = self.inner.input.in_turn(options.turns.as_ref());
        let file = input.opened(Some(&self.inner.stat))?.forward(self.range(part));
        Ok(Blocks { inner: self.inner.clone(), file, messages: messages.into_iter() })
    }

    /// The file, and where the batches of partition `part` lie.
    pub(super) fn in_order(&self, part: usize) -> (InputFile, Range<u64>) {
        (InputFile::of(&self.inner.input), self.range(part))
    }

    fn range(&self, part: usize) -> Range<u64> {
        // The blocks of others need not be in order.
        let (mut start, mut end) = (u64::MAX, 0);
        let messages = self.parts.get(part).into_iter().flatten();
        for (from, _, bytes) in messages.filter_map(|message| place(&message.block).ok()) {
            (start, end) = (start.min(from), end.max(from.saturating_add(bytes)));
        }
        start.min(end)..end.min(self.inner.stat.bytes.unwrap_or(0))
    }
}

/// The part that `messages` are.
fn part_of(messages: &[Message]) -> Part {
    let sum = |of: fn(&Message) -> u64| messages.iter().map(of).fold(0u64, u64::saturating_add);
    let first = messages.first().map_or(0, |message| message.number);
    let range = PartitionRange::Batches(first..first + messages.len() as u64);
    Part { range, rows: sum(|message| message.rows), bytes: sum(|message| message.bytes) }
}

/// A dictionary of a stream, or values that are added to one.
#[derive(Debug, Clone, Copy)]
struct DictionaryBlock {
    id: i64,
    delta: bool,
    block: ipc::Block,
}

/// The decoders of a stream: a new one for the first batch, and after dictionaries have changed.
struct StreamDecoders {
    schema: SchemaRef,
    version: ipc::MetadataVersion,
    all: Vec<Decoder>,
    /// The dictionaries that count now.
    blocks: Vec<DictionaryBlock>,
    /// Whether the last decoder does not have them.
    changed: bool,
    /// Bytes of dictionaries in all decoders.
    bytes: u64,
}

impl StreamDecoders {
    fn new(schema: SchemaRef, version: ipc::MetadataVersion) -> Self {
        Self { schema, version, all: Vec::new(), blocks: Vec::new(), changed: true, bytes: 0 }
    }

    fn add(&mut self, dictionary: DictionaryBlock) {
        if !dictionary.delta {
            self.blocks.retain(|block| block.id != dictionary.id);
        }
        self.blocks.push(dictionary);
        self.changed = true;
    }

    /// The number of the decoder of a batch that comes now.
    fn current(&mut self, file: &mut Messages, max_batch_bytes: u64) -> Result<usize> {
        if std::mem::take(&mut self.changed) {
            let mut decoder = Decoder::new(&self.schema, self.version);
            for dictionary in &self.blocks {
                let (start, _, bytes) = place(&dictionary.block)?;
                self.bytes = self.bytes.saturating_add(bytes);
                // All of them are held at a time.
                if self.bytes > max_batch_bytes && !self.all.is_empty() {
                    return Err(Error::limit("dictionaries that change too often within a stream")
                        .expected(format!("at most {max_batch_bytes} bytes"), self.bytes.to_string())
                        .at_offset(start)
                        .with_hint(Phrase::new(
                            "write it as an IPC file or Parquet, or raise {max_record_bytes}",
                        )));
                }
                file.read_dictionary(&mut decoder, &dictionary.block, max_batch_bytes)?;
            }
            self.all.push(decoder);
        }
        Ok(self.all.len().saturating_sub(1))
    }
}

impl Messages {
    fn read_dictionary(
        &mut self,
        decoder: &mut Decoder,
        block: &ipc::Block,
        max_batch_bytes: u64,
    ) -> Result<()> {
        let (start, metadata_bytes, bytes) = place(block)?;
        let buffer = Buffer::from_vec(self.read(start, bytes, "truncated dictionary")?);
        check_expansion(&buffer, metadata_bytes, max_batch_bytes).map_err(|e| e.at_offset(start))?;
        decoder.add_dictionary(*block, buffer).map_err(|e| e.at_offset(start))
    }
}

/// Where a block begins, the bytes of its metadata, and all its bytes.
fn place(block: &ipc::Block) -> Result<(u64, u64, u64)> {
    let number = |n: i64| u64::try_from(n).ok();
    let place = || {
        let start = number(block.offset())?;
        let metadata = number(block.metaDataLength().into()).filter(|bytes| *bytes >= PREFIX_BYTES)?;
        Some((start, metadata, metadata.checked_add(number(block.bodyLength())?)?))
    };
    place().ok_or_else(|| damaged("batch that does not lie within its file"))
}

fn rows_of(message: &ipc::Message<'_>, offset: u64) -> Result<u64> {
    let batch = message.header_as_record_batch();
    batch
        .and_then(|batch| u64::try_from(batch.length()).ok())
        .ok_or_else(|| damaged("no record batch where one should be").at_offset(offset))
}

/// Refuses a compressed batch that says it decodes to more than `cap` bytes: memory would be taken
/// for it before that is found out.
fn check_expansion(message: &[u8], metadata_bytes: u64, cap: u64) -> Result<()> {
    let parsed = root_as_message(metadata(message)).map_err(|e| not_a_message(e, 0))?;
    let batch = match parsed.header_type() {
        MessageHeader::DictionaryBatch => parsed.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => parsed.header_as_record_batch(),
    };
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    let mut total = 0u64;
    for buffer in batch.buffers().iter().flatten() {
        let start = u64::try_from(buffer.offset()).ok().and_then(|offset| offset.checked_add(metadata_bytes));
        let length = start
            .and_then(|start| usize::try_from(start).ok())
            .filter(|_| buffer.length() > 0)
            .and_then(|start| message.get(start..)?.first_chunk::<8>())
            .map(|length| i64::from_le_bytes(*length));
        // −1: not compressed.
        total = total.saturating_add(length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0));
    }
    if total > cap {
        return Err(Error::limit("batch too large once it is decompressed")
            .expected(format!("at most {cap} bytes"), total.to_string())
            .with_hint(Phrase::new("raise {max_record_bytes} if the file is sound")));
    }
    Ok(())
}

/// Batches that are to be read.
pub(super) struct Blocks {
    inner: Arc<Inner>,
    file: Forward,
    messages: std::vec::IntoIter<Message>,
}

impl Blocks {
    /// Reads the next batch.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn next_block(&mut self, progress: &Progress) -> Result<Option<Block>> {
        let Some(message) = self.messages.next() else { return Ok(None) };
        let (start, _, bytes) = place(&message.block)?;
        let fail = |e: Error| e.at_offset(start).in_source(self.inner.name.clone());
        let within = start.checked_add(bytes).is_some_and(|end| end <= self.inner.stat.bytes.unwrap_or(0));
        let len = usize::try_from(bytes)
            .ok()
            .filter(|_| within)
            .ok_or_else(|| fail(damaged("batch that does not lie within its file")))?;
        let mut buffer = MutableBuffer::from_len_zeroed(len);
        let read = self.file.read_exact_at(start, buffer.as_slice_mut());
        read.map_err(|e| fail(Error::io("cannot read input", e)))?;
        count(progress, bytes);
        Ok(Some(Block { inner: self.inner.clone(), message, bytes: buffer.into() }))
    }
}

/// A batch that was read and is to be decoded.
pub(super) struct Block {
    inner: Arc<Inner>,
    message: Message,
    bytes: Buffer,
}

impl Block {
    /// The columns that are asked for, in the order of the file.
    ///
    /// # Errors
    /// The batch is damaged.
    pub(super) fn decode(&self) -> Result<RecordBatch> {
        let decode = || {
            let (_, metadata_bytes, _) = place(&self.message.block)?;
            check_expansion(&self.bytes, metadata_bytes, self.inner.max_batch_bytes)?;
            let decoder = self.inner.decoders.get(self.message.decoder);
            let decoder = decoder.ok_or_else(|| damaged("batch before its schema"))?;
            let batch = decoder.inner.read_record_batch(&self.message.block, &self.bytes);
            let batch = batch
                .map_err(|e| damaged("damaged batch").with_cause(e))?
                .ok_or_else(|| damaged("no record batch where one should be"))?;
            for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
                check_views(&column.to_data()).map_err(|e| e.in_column(field.name().as_str()))?;
            }
            Ok(batch)
        };
        no_panic("damaged batch", decode).map_err(|e| self.place(e))
    }

    /// Names the batch as the place of `error`.
    pub(super) fn place(&self, error: Error) -> Error {
        let offset = u64::try_from(self.message.block.offset()).unwrap_or(0);
        error.at_offset(offset).at_record(self.message.number).in_source(self.inner.name.clone())
    }
}
