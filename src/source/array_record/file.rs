//! An ArrayRecord file: its index is read when it is opened, its chunks when they are needed.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::input::{Forward, Input, Opened, Stat};
use crate::options::Phrase;
use crate::source::blocks::{Block, BufferPool};
use crate::source::{InputFile, Progress, ReadOptions};
use crate::wire::riegeli::array_record::{self, Index};
use crate::wire::riegeli::{BLOCK_BYTES, ChunkDecoder, SIGNATURE};

/// Bytes read at a time, unless a chunk is larger.
const READ_BYTES: u64 = 1 << 20;

/// An ArrayRecord file and where its records are.
#[derive(Debug)]
pub(crate) struct ArrayRecordFile {
    input: Input,
    name: Arc<str>,
    stat: Stat,
    pub(crate) index: Index,
}

impl ArrayRecordFile {
    /// Opens the file and reads its index.
    ///
    /// # Errors
    /// The file cannot be read, or is no whole ArrayRecord file.
    pub(crate) fn open(input: &Input) -> Result<Self> {
        let name = input.name();
        let opened = input.opened(None)?;
        let index = read_index(&opened).map_err(|e| e.in_source(name.clone()))?;
        Ok(Self { input: input.clone(), name, stat: opened.stat, index })
    }

    /// What to call it in messages.
    pub(crate) fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    /// The file as a partition's input.
    pub(crate) fn input(&self) -> InputFile {
        InputFile::of(&self.input)
    }

    /// What is read where these records are: from the beginning of the file, if they begin there, so that
    /// this is known before the index is.
    pub(crate) fn read_for(&self, records: Range<u64>) -> Range<u64> {
        let Range { start, end } = self.range_of(records.clone());
        if records.start == 0 { 0..end } else { start..end }
    }

    /// Where the chunks of these records lie.
    fn range_of(&self, records: Range<u64>) -> Range<u64> {
        let begin = self.index.offset(self.index.chunk_of(records.start));
        let end = match records.end.checked_sub(1) {
            Some(last) => self.index.offset(self.index.chunk_of(last).saturating_add(1)),
            None => begin,
        };
        begin..end.max(begin)
    }

    /// Bytes of its records' chunks from the record `from` up to `to`.
    pub(crate) fn bytes_of(&self, from: u64, to: u64) -> u64 {
        let Range { start, end } = self.range_of(from..to);
        end - start
    }
}

fn read_index(file: &Opened) -> Result<Index> {
    let mut first = [0; SIGNATURE.len()];
    let not_one = || {
        Error::corrupt("not an ArrayRecord file")
            .expected("the signature of Riegeli files", "other bytes")
            .at_offset(0)
    };
    if file.bytes() < first.len() as u64 {
        return Err(not_one());
    }
    file.read_exact_at(0, &mut first)?;
    if !array_record::is_signature(&first) {
        return Err(not_one());
    }
    let last = array_record::postscript_offset(file.bytes())?;
    let block = read_range(file, last, BLOCK_BYTES)?;
    let footer = array_record::footer_offset(&block, last)?;
    // Padding may follow the footer, but no more than a block of it.
    let raw = read_range(file, footer, last - footer)?;
    array_record::read_index(&raw, footer)
}

/// Reads `len` bytes from `begin` on.
fn read_range(file: &Opened, begin: u64, len: u64) -> Result<Vec<u8>> {
    let present = file.bytes().saturating_sub(begin);
    if present < len {
        return Err(Error::corrupt("truncated file").expected(len.to_string(), present.to_string()));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(begin, &mut bytes)?;
    Ok(bytes)
}

/// Chunks of a file that were read, and which of their records are meant.
#[derive(Debug)]
pub(crate) struct ChunkRun {
    file: Arc<ArrayRecordFile>,
    block: Arc<Block>,
    /// The first chunk in the block.
    block_chunk: usize,
    /// The first record.
    first: u64,
    /// How many records there are.
    pub(crate) records: usize,
    max_record_bytes: u64,
}

impl ChunkRun {
    /// What the records were read from.
    pub(crate) fn source(&self) -> Arc<str> {
        self.file.name()
    }

    /// The number of the first record in its file.
    pub(crate) fn first_record(&self) -> u64 {
        self.first
    }

    /// Bytes of the chunks.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = self.file.bytes_of(self.first, self.first + self.records as u64);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The same records, those of each chunk in a run of their own.
    pub(crate) fn by_chunk(&self) -> Vec<ChunkRun> {
        let index = &self.file.index;
        let end = self.first + self.records as u64;
        let mut runs = Vec::new();
        let mut first = self.first;
        while first < end {
            let after = index.first_record(index.chunk_of(first) + 1).clamp(first + 1, end);
            let records = usize::try_from(after - first).unwrap_or(usize::MAX);
            runs.push(ChunkRun {
                file: self.file.clone(),
                block: self.block.clone(),
                block_chunk: self.block_chunk,
                first,
                records,
                max_record_bytes: self.max_record_bytes,
            });
            first = after;
        }
        runs
    }

    /// Checks and decodes the chunks and gives their records to `take`.
    ///
    /// # Errors
    /// A chunk is damaged, or `take` fails. Errors name the place.
    pub(crate) fn for_each(
        &self,
        decoder: &mut ChunkDecoder,
        take: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let index = &self.file.index;
        let block_begin = index.offset(self.block_chunk);
        let end = self.first + self.records as u64;
        let mut record = self.first;
        let mut chunk = index.chunk_of(record);
        while record < end {
            let begin = index.offset(chunk);
            let place = |e: Error, record| e.at_offset(begin).at_record(record).in_source(self.source());
            let bounds = |at: u64| usize::try_from(at.saturating_sub(block_begin)).unwrap_or(usize::MAX);
            let range = bounds(begin)..bounds(index.offset(chunk + 1));
            let raw = self.block.bytes().get(range).unwrap_or_default();
            let records = decoder.decode(raw, begin, self.max_record_bytes).map_err(|e| place(e, record))?;
            let first = index.first_record(chunk);
            let expected = index.first_record(chunk + 1) - first;
            if records.len() as u64 != expected {
                let error = Error::corrupt("chunk with another number of records than the index says")
                    .expected(expected.to_string(), records.len().to_string());
                return Err(place(error, record));
            }
            while record < end.min(first + expected) {
                let bytes = usize::try_from(record - first).ok().and_then(|i| records.get(i));
                take(bytes.unwrap_or_default()).map_err(|e| place(e, record))?;
                record += 1;
            }
            chunk += 1;
        }
        Ok(())
    }
}

/// Reads the chunks of a file, one after the other, or from a record on.
#[derive(Debug)]
pub(crate) struct ChunkStream {
    of: Arc<ArrayRecordFile>,
    chunks: Forward,
    pool: Arc<BufferPool>,
    progress: Arc<Progress>,
    max_record_bytes: u64,
    /// The next record.
    next: u64,
    /// The block read last and the chunks in it.
    last: Option<(Arc<Block>, Range<usize>)>,
}

impl ChunkStream {
    /// The file `of`, of which `records` are read.
    ///
    /// # Errors
    /// It cannot be opened, or is not what it was.
    pub(crate) fn open(
        of: &Arc<ArrayRecordFile>,
        records: Range<u64>,
        pool: &Arc<BufferPool>,
        max_record_bytes: u64,
        options: &ReadOptions,
    ) -> Result<Self> {
        let opened = of.input.in_turn(options.turns.as_ref()).opened(Some(&of.stat))?;
        Ok(Self {
            of: of.clone(),
            chunks: opened.forward(of.read_for(records)),
            pool: pool.clone(),
            progress: options.progress.clone(),
            max_record_bytes,
            next: 0,
            last: None,
        })
    }

    /// Steps over records without reading them; returns how many there were.
    pub(crate) fn skip(&mut self, records: u64) -> u64 {
        let skipped = records.min(self.of.index.records.saturating_sub(self.next));
        self.next += skipped;
        skipped
    }

    /// The next records: at least one, at most `records`, of about `bytes` bytes; `None` at the
    /// end of the file.
    pub(crate) fn next_run(&mut self, records: usize, bytes: usize) -> Result<Option<ChunkRun>> {
        let index = &self.of.index;
        let first = index.chunk_of(self.next);
        if first >= index.chunks() {
            return Ok(None);
        }
        let (block, chunks) = match &self.last {
            Some((block, chunks)) if chunks.contains(&first) => (block.clone(), chunks.clone()),
            _ => self.read(first, records as u64, bytes as u64)?,
        };
        let index = &self.of.index;
        let in_block = index.first_record(chunks.end).saturating_sub(self.next);
        let count = usize::try_from(in_block).unwrap_or(usize::MAX).min(records);
        let run = ChunkRun {
            file: self.of.clone(),
            block: block.clone(),
            block_chunk: chunks.start,
            first: self.next,
            records: count,
            max_record_bytes: self.max_record_bytes,
        };
        self.next += count as u64;
        self.last = Some((block, chunks));
        Ok(Some(run))
    }

    /// Reads chunks from `first` on, until they hold `records` records or take enough bytes.
    fn read(&mut self, first: usize, records: u64, bytes: u64) -> Result<(Arc<Block>, Range<usize>)> {
        let index = &self.of.index;
        let begin = index.offset(first);
        let wanted = self.next.saturating_add(records);
        let mut end = first + 1;
        while end < index.chunks()
            && index.first_record(end) < wanted
            && index.offset(end + 1).saturating_sub(begin) <= READ_BYTES.min(bytes)
        {
            end += 1;
        }
        let len = index.offset(end).saturating_sub(begin);
        // Padding to the border of a block may follow a chunk.
        let cap = self.max_record_bytes.saturating_add(READ_BYTES);
        if len > cap {
            return Err(Error::limit("chunk with too many bytes")
                .expected(format!("at most {cap}"), len.to_string())
                .with_hint(Phrase::new("raise {max_record_bytes} if the file is sound"))
                .at_offset(begin)
                .at_record(self.next)
                .in_source(self.of.name()));
        }
        let io = |e| Error::io("cannot read input", e).at_offset(begin).in_source(self.of.name());
        self.chunks.seek(begin).map_err(io)?;
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        let block = Block::read(&mut self.chunks, bytes, &self.pool).map_err(io)?;
        self.progress.add_bytes(len);
        Ok((Arc::new(block), first..end))
    }
}
