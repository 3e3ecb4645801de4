//! Reads a TFRecord stream in blocks of whole frames.
//!
//! Frames stay where they were read: a block is shared by the units that hold some of its frames,
//! and its buffer goes back to a pool when the last of them is done.

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::Progress;
use super::foreign::foreign;
use super::snappy_reader::SnappyReader;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::wire::compress::{self, Compression};
use crate::wire::tfrecord::{self, FrameFault};

/// Bytes read at a time; few for the fuzzer, whose inputs are to have several blocks.
const BLOCK_BYTES: usize = if cfg!(fuzzing) { 1 << 9 } else { 1 << 20 };
/// Buffers kept for reuse.
const POOLED_BUFFERS: usize = 32;
/// Buffers larger than this are not kept: they were made for one large record.
const POOLED_BYTES: usize = 4 * BLOCK_BYTES;

/// How far beyond the largest record the next sound frame is looked for after damage.
const RESYNC_BYTES: u64 = 64 << 20;

/// Buffers that were read into before: reading into them costs no page faults.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Mutex<Vec<Vec<u8>>>);

impl BufferPool {
    fn take(&self) -> Vec<u8> {
        let pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| vec![0; BLOCK_BYTES])
    }

    fn put(&self, buffer: Vec<u8>) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < POOLED_BUFFERS && (BLOCK_BYTES..=POOLED_BYTES).contains(&buffer.len()) {
            buffers.push(buffer);
        }
    }
}

/// A filled buffer; given back to its pool when dropped.
#[derive(Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    pool: Arc<BufferPool>,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.put(std::mem::take(&mut self.bytes));
    }
}

impl Block {
    /// Reads `len` bytes, which the caller knows to be there.
    ///
    /// # Errors
    /// The input cannot be read, or ends before.
    #[cfg(feature = "array-record")]
    pub(crate) fn read(reader: &mut impl Read, len: usize, pool: &Arc<BufferPool>) -> std::io::Result<Self> {
        let mut bytes = pool.take();
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        reader.read_exact(bytes.get_mut(..len).unwrap_or_default())?;
        Ok(Self { bytes, pool: pool.clone() })
    }

    /// What was read; more than that, as buffers are reused.
    #[cfg(feature = "array-record")]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whole frames that lie one after the other in one block.
#[derive(Debug, Clone)]
pub(crate) struct FrameRun {
    block: Arc<Block>,
    range: Range<usize>,
    /// What the frames were read from.
    pub(crate) source: Arc<str>,
    /// Where the first frame begins in the (decompressed) stream.
    pub(crate) offset: u64,
    /// The number of the first record in the stream.
    pub(crate) first_record: u64,
    /// How many frames there are.
    pub(crate) records: usize,
}

impl FrameRun {
    /// The frames' bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.block.bytes.get(self.range.clone()).unwrap_or_default()
    }

    /// The frames, which were measured when they were read.
    #[inline]
    pub(crate) fn frames(&self) -> tfrecord::Measured<'_> {
        tfrecord::Measured(self.bytes())
    }

    /// The same frames, each in a run of its own.
    pub(crate) fn split(&self) -> Vec<FrameRun> {
        let mut out = Vec::with_capacity(self.records);
        let (mut start, mut offset) = (self.range.start, self.offset);
        for frame in self.frames() {
            out.push(FrameRun {
                range: start..start + frame.len(),
                offset,
                first_record: self.first_record + out.len() as u64,
                records: 1,
                ..self.clone()
            });
            start += frame.len();
            offset += frame.len() as u64;
        }
        out
    }

    /// Adds the frames of `next`, if they follow on the last one in the same block.
    pub(crate) fn append(&mut self, next: &FrameRun) -> bool {
        let follows = self.range.end == next.range.start && Arc::ptr_eq(&self.block, &next.block);
        if follows {
            self.range.end = next.range.end;
            self.records += next.records;
        }
        follows
    }

    /// Adds the frame that follows the last one.
    #[inline]
    fn extend(&mut self, frame: usize) {
        self.range.end += frame;
        self.records += 1;
    }
}

/// Counts the bytes that are read through it.
struct Counted {
    inner: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.progress.add_bytes(n as u64);
        Ok(n)
    }
}

/// One stream of frames.
pub(crate) struct FrameReader {
    reader: Box<dyn Read + Send>,
    source: Arc<str>,
    pool: Arc<BufferPool>,
    compression: Compression,
    max_record_bytes: u64,
    block: Arc<Block>,
    /// Where the next frame begins in the block.
    at: usize,
    /// How much of the block is filled.
    filled: usize,
    end_of_input: bool,
    /// Why the stream could not be read on: told when everything before it has been given out.
    broken: Option<std::io::Error>,
    /// How long the stream is, where that is known: that of a plain file.
    stream_bytes: Option<u64>,
    /// Where the next frame begins in the stream.
    offset: u64,
    /// The number of the next record.
    record: u64,
}

impl FrameReader {
    /// Opens `input`, recognising its compression from its first bytes.
    ///
    /// # Errors
    /// The input cannot be opened or read, or is compressed in a way that is not built in.
    pub(crate) fn open(
        input: &Input,
        pool: &Arc<BufferPool>,
        max_record_bytes: u64,
        progress: &Arc<Progress>,
    ) -> Result<Self> {
        Self::new(input.name(), input.open()?, pool, max_record_bytes, progress)
    }

    /// As [`open`](Self::open), but a stream that can be read once is read again afterwards.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_to_sample(
        input: &Input,
        pool: &Arc<BufferPool>,
        max_record_bytes: u64,
    ) -> Result<Self> {
        Self::new(input.name(), input.open_to_sample()?, pool, max_record_bytes, &Arc::default())
    }

    /// As [`open`](Self::open), of the frames of a plain file that lie in `bytes`, the first of which
    /// is the record `first`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_at(
        input: &Input,
        bytes: Range<u64>,
        first: u64,
        pool: &Arc<BufferPool>,
        max_record_bytes: u64,
        progress: &Arc<Progress>,
    ) -> Result<Self> {
        let stream = Box::new(input.opened(None)?.forward(bytes.clone()));
        let mut reader = Self::new(input.name(), (stream, None), pool, max_record_bytes, progress)?;
        (reader.offset, reader.record) = (bytes.start, first);
        reader.stream_bytes = Some(bytes.end);
        Ok(reader)
    }

    fn new(
        source: Arc<str>,
        (inner, mut stream_bytes): (Box<dyn Read + Send>, Option<u64>),
        pool: &Arc<BufferPool>,
        max_record_bytes: u64,
        progress: &Arc<Progress>,
    ) -> Result<Self> {
        let mut reader: Box<dyn Read + Send> = Box::new(Counted { inner, progress: progress.clone() });
        let mut bytes = pool.take();
        let mut filled = 0;
        let mut end_of_input = false;
        while filled < compress::SNIFF_BYTES && !end_of_input {
            let n = read_some(&mut *reader, bytes.get_mut(filled..).unwrap_or_default())
                .map_err(|e| Error::io("cannot read input", e).in_source(source.clone()))?;
            filled += n;
            end_of_input = n == 0;
        }
        let first = bytes.get(..filled).unwrap_or_default();
        // What is nothing known is read as it is, so that the error says what is wrong with it.
        let compression = compress::sniff(first).unwrap_or(Compression::None);
        if compression != Compression::None {
            let whole = std::io::Cursor::new(first.to_vec()).chain(reader);
            reader =
                decompress(compression, whole, max_record_bytes).map_err(|e| e.in_source(source.clone()))?;
            filled = 0;
            end_of_input = false;
            stream_bytes = None;
        }
        let block = Arc::new(Block { bytes, pool: pool.clone() });
        Ok(Self {
            reader,
            source,
            pool: pool.clone(),
            compression,
            max_record_bytes,
            block,
            at: 0,
            filled,
            end_of_input,
            broken: None,
            stream_bytes,
            offset: 0,
            record: 0,
        })
    }

    /// What is read.
    pub(crate) fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The stream's compression.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Steps over the next frame and adds it to `run`, if it follows on it, or begins a new run
    /// with it, after giving the old one to `runs`. `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream is damaged, cut short or cannot be read. There is then no next frame.
    #[inline]
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let rest = self.block.bytes.get(self.at..self.filled).unwrap_or_default();
            match tfrecord::frame_bytes(rest, self.max_record_bytes) {
                Ok(Some(whole)) => match usize::try_from(whole) {
                    Ok(frame) if frame <= rest.len() => {
                        let frame =
                            Frame { start: self.at, bytes: frame, offset: self.offset, record: self.record };
                        self.at += frame.bytes;
                        self.offset += whole;
                        self.record += 1;
                        return Ok(Some(frame));
                    }
                    Ok(frame) => {
                        if !self.refill(frame) {
                            return Err(self.ended(whole));
                        }
                    }
                    Err(_) => return Err(self.ended(whole)),
                },
                Ok(None) => {
                    if !self.refill(tfrecord::HEADER_BYTES) {
                        if self.filled == self.at && self.broken.is_none() {
                            return Ok(None);
                        }
                        return Err(self.ended(tfrecord::HEADER_BYTES as u64));
                    }
                }
                Err(fault) => return Err(self.frame_error(fault)),
            }
        }
    }

    /// The run that begins with `frame`, which must be the one read last.
    #[inline]
    pub(crate) fn begin_run(&self, frame: &Frame) -> FrameRun {
        FrameRun {
            block: self.block.clone(),
            range: frame.start..frame.start + frame.bytes,
            source: self.source.clone(),
            offset: frame.offset,
            first_record: frame.record,
            records: 1,
        }
    }

    /// Adds `frame`, the one read last, to `run` if it follows on it in the same block.
    #[inline]
    pub(crate) fn extend_run(&self, run: &mut FrameRun, frame: &Frame) -> bool {
        let follows = run.range.end == frame.start && Arc::ptr_eq(&run.block, &self.block);
        if follows {
            run.extend(frame.bytes);
        }
        follows
    }

    /// The next frames, as far as they lie in one block: at least one, at most `records`, of about
    /// `bytes` bytes; `Ok(None)` at the end of the stream. What is wrong with the frame after them is
    /// told the next time.
    ///
    /// # Errors
    /// As [`next_frame`](Self::next_frame).
    pub(crate) fn next_run(&mut self, records: usize, bytes: usize) -> Result<Option<FrameRun>> {
        let Some(frame) = self.next_frame()? else { return Ok(None) };
        let mut run = self.begin_run(&frame);
        while run.records < records && run.range.len() < bytes {
            let rest = self.block.bytes.get(self.at..self.filled).unwrap_or_default();
            let Ok(Some(whole)) = tfrecord::frame_bytes(rest, self.max_record_bytes) else { break };
            let Some(frame) = usize::try_from(whole).ok().filter(|frame| *frame <= rest.len()) else { break };
            self.at += frame;
            self.offset += whole;
            self.record += 1;
            run.extend(frame);
        }
        Ok(Some(run))
    }

    /// Goes on after an error of [`next_frame`](Self::next_frame): looks for the next frame whose
    /// length and record both agree with their CRCs, which `next_frame` then gives. `false` if there
    /// is none.
    ///
    /// The search goes no further than 64 MiB and the largest record from the damage, and holds no
    /// more than the largest record in memory. What is damaged counts as one record. A record that
    /// is only too long, in a file long enough to hold it, is stepped over.
    ///
    /// # Errors
    /// The input cannot be read, for a reason other than damage.
    #[cold]
    pub(crate) fn resync(&mut self) -> Result<bool> {
        self.record += 1;
        let rest = self.block.bytes.get(self.at..self.filled).unwrap_or_default();
        if let Ok(Some(whole)) = tfrecord::frame_bytes(rest, u64::MAX) {
            let end = self.offset.checked_add(whole);
            let too_long = whole > self.max_record_bytes;
            if too_long && end.is_some_and(|end| self.stream_bytes.is_some_and(|bytes| end <= bytes)) {
                return self.discard(whole);
            }
        }
        let limit = self.max_record_bytes.saturating_add(RESYNC_BYTES);
        // Candidates cost as much as their records are long: hostile ones must not add up.
        let mut budget = limit.saturating_mul(2);
        let start = self.offset;
        self.step(1);
        while self.offset - start <= limit {
            let rest = self.block.bytes.get(self.at..self.filled).unwrap_or_default();
            let Some((at, whole)) = tfrecord::find_header(rest, self.max_record_bytes) else {
                self.step(rest.len().saturating_sub(tfrecord::HEADER_BYTES - 1));
                if !self.refill(tfrecord::HEADER_BYTES) {
                    break;
                }
                continue;
            };
            let present = rest.len() - at;
            self.step(at);
            let Some(left) = budget.checked_sub(whole) else { break };
            budget = left;
            let frame = usize::try_from(whole).unwrap_or(usize::MAX);
            if frame <= present || !self.end_of_input && self.refill(frame) {
                let frame = self.block.bytes.get(self.at..self.at + frame).unwrap_or_default();
                if tfrecord::record_of(frame, true).is_ok() {
                    return Ok(true);
                }
            }
            self.step(1);
        }
        let broken = self.broken.take().map(|e| self.read_error(e)).filter(|e| !e.is_data());
        self.at = self.filled;
        self.end_of_input = true;
        broken.map_or(Ok(false), Err)
    }

    fn step(&mut self, bytes: usize) {
        self.at += bytes;
        self.offset += bytes as u64;
    }

    /// Steps over `bytes` bytes, which are not kept.
    fn discard(&mut self, bytes: u64) -> Result<bool> {
        let mut left = bytes;
        loop {
            let present = (self.filled - self.at) as u64;
            let now = usize::try_from(left.min(present)).unwrap_or(0);
            self.step(now);
            left -= now as u64;
            if left == 0 {
                return Ok(true);
            }
            if !self.refill(1) {
                return Err(self.ended(left));
            }
        }
    }

    /// Makes `needed` bytes available from the next frame on; `false` if the stream ends before.
    fn refill(&mut self, needed: usize) -> bool {
        let rest = self.block.bytes.get(self.at..self.filled).unwrap_or_default();
        let mut bytes = self.pool.take();
        let kept = rest.len();
        if bytes.len() < kept {
            bytes.resize(kept.saturating_add(BLOCK_BYTES), 0);
        }
        if let Some(head) = bytes.get_mut(..kept) {
            head.copy_from_slice(rest);
        }
        let mut filled = kept;
        while filled < needed && !self.end_of_input {
            if filled == bytes.len() {
                // A length may lie: room grows only as bytes arrive.
                let grown = bytes.len().saturating_mul(2).min(needed.max(BLOCK_BYTES));
                bytes.resize(grown, 0);
            }
            filled += self.read_into(bytes.get_mut(filled..).unwrap_or_default());
        }
        // Reading on costs less than coming back for a few bytes.
        while filled < BLOCK_BYTES && !self.end_of_input {
            filled += self.read_into(bytes.get_mut(filled..).unwrap_or_default());
        }
        self.block = Arc::new(Block { bytes, pool: self.pool.clone() });
        self.at = 0;
        self.filled = filled;
        filled >= needed
    }

    /// Reads some bytes; 0 at the end of the stream, or where it cannot be read on.
    fn read_into(&mut self, buf: &mut [u8]) -> usize {
        let n = read_some(&mut *self.reader, buf).unwrap_or_else(|error| {
            self.broken = Some(error);
            0
        });
        self.end_of_input = n == 0;
        n
    }

    fn place(&self, error: Error) -> Error {
        error.at_offset(self.offset).at_record(self.record).in_source(self.source.clone())
    }

    /// The error of a stream that ends where `needed` bytes should be.
    #[cold]
    fn ended(&mut self, needed: u64) -> Error {
        if let Some(error) = self.broken.take() {
            return self.read_error(error);
        }
        let present = (self.filled - self.at) as u64;
        let truncated = || Error::corrupt(FrameFault::Truncated { needed, present }.to_string());
        self.place(self.not_records().unwrap_or_else(truncated))
    }

    #[cold]
    fn frame_error(&self, fault: FrameFault) -> Error {
        self.place(self.not_records().unwrap_or_else(|| fault.into_error(self.offset == 0)))
    }

    /// What a stream is that does not begin as records do, if it is something that is known.
    fn not_records(&self) -> Option<Error> {
        const FIRST_BYTES: usize = 512;
        let first = self.block.bytes.get(self.at..self.filled).filter(|_| self.offset == 0)?;
        let kind = foreign(first.get(..FIRST_BYTES).unwrap_or(first))?;
        Some(Error::corrupt(format!("no TFRecord file, but {}", kind.name)).with_hint(kind.hint))
    }

    #[cold]
    fn read_error(&self, error: std::io::Error) -> Error {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        let of_decoder = matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof);
        if self.compression == Compression::None || !of_decoder {
            return self.place(Error::io("cannot read input", error));
        }
        let name = match self.compression {
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            _ => "zlib",
        };
        self.place(Error::corrupt(format!("corrupt {name} stream")).with_cause(error))
    }
}

/// A frame that was stepped over, in the reader's current block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    start: usize,
    /// Its size, header and footer included.
    pub(crate) bytes: usize,
    /// Where it begins in the stream.
    pub(crate) offset: u64,
    /// Its record's number in the stream.
    pub(crate) record: u64,
}

fn read_some(reader: &mut (dyn Read + Send), buf: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match reader.read(buf) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn decompress(
    compression: Compression,
    reader: impl Read + Send + 'static,
    max_record_bytes: u64,
) -> Result<Box<dyn Read + Send>> {
    #[cfg(feature = "gzip")]
    const INPUT_BYTES: usize = 256 << 10;
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Snappy => Box::new(SnappyReader::new(reader, max_record_bytes)),
        #[cfg(feature = "gzip")]
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(
            std::io::BufReader::with_capacity(INPUT_BYTES, reader),
        )),
        #[cfg(feature = "gzip")]
        Compression::Zlib => Box::new(flate2::bufread::ZlibDecoder::new(std::io::BufReader::with_capacity(
            INPUT_BYTES,
            reader,
        ))),
        #[cfg(not(feature = "gzip"))]
        Compression::Gzip | Compression::Zlib => {
            return Err(Error::unsupported(format!("{compression:?} input"))
                .with_hint("build tfarrow with the feature `gzip`"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tfrecord::{put_frame, record_of};

    fn records_of(bytes: &[u8], cap: u64) -> Result<Vec<Vec<u8>>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let input = Input::local(file.path());
        let mut reader = FrameReader::open(&input, &Arc::default(), cap, &Arc::default())?;
        let mut records = Vec::new();
        while let Some(frame) = reader.next_frame()? {
            let run = reader.begin_run(&frame);
            records.push(record_of(run.bytes(), true).unwrap().to_vec());
        }
        Ok(records)
    }

    #[test]
    fn records_of_any_size_cross_block_borders() {
        let sizes = [0, 1, 700_000, 700_000, 3 << 20, 5, BLOCK_BYTES - 16, BLOCK_BYTES, 10];
        let records: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
        let mut file = Vec::new();
        records.iter().for_each(|r| put_frame(&mut file, r));
        assert_eq!(records_of(&file, 1 << 30).unwrap(), records);
    }

    #[test]
    fn every_cut_is_an_error_but_those_between_records() {
        let mut file = Vec::new();
        put_frame(&mut file, b"one");
        let border = file.len();
        put_frame(&mut file, b"two");
        for cut in 0..file.len() {
            let result = records_of(&file[..cut], 100);
            if cut == 0 || cut == border {
                assert!(result.is_ok());
            } else {
                let error = result.unwrap_err();
                assert!(error.to_string().contains("truncated record"), "{cut}: {error}");
                let expected = if cut > border { (1, border as u64) } else { (0, 0) };
                let location = error.location();
                assert_eq!((location.record.unwrap(), location.offset.unwrap()), expected);
            }
        }
    }

    #[test]
    fn a_huge_length_reserves_nothing() {
        let length = (1u64 << 40).to_le_bytes();
        let mut file = length.to_vec();
        file.extend(crate::wire::crc::masked_crc32c(&length).to_le_bytes());
        file.extend([0; 100]);
        assert!(records_of(&file, u64::MAX).unwrap_err().to_string().contains("truncated record"));
        assert!(records_of(&file, 1 << 30).unwrap_err().to_string().contains("with_max_record_bytes"));
    }
}
