//! Encoding of one column of a row group: plain values, or a dictionary and indices.
//!
//! The library of Parquet encodes any column; this does what most columns are in fewer steps: levels
//! from runs rather than from an array of them, a dictionary made once, pages of one compression
//! context, bounds from the dictionary, nothing of what nobody reads.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use bytes::{Buf, Bytes};
use parquet::basic::{Compression, Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, PageEncodingStats};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::codec::Codec;
use super::dictionary::{NotWorthIt, Numbers, Strings};
use super::hybrid::{index_width, put_byte_indices, put_indices};
use super::leaf::{Leaf, Nesting, PageLevels, nesting};
use super::parquet_error;
use super::statistics::Bounds;
use crate::error::{Error, Result};

/// Bytes of a page, about, before it is compressed.
const PAGE_BYTES: usize = 1 << 20;
/// The encoding of values by their places in a dictionary.
const INDICES: Encoding = Encoding::RLE_DICTIONARY;

/// How a column is encoded.
#[derive(Debug, Clone)]
pub(super) struct ColumnPlan {
    descriptor: ColumnDescPtr,
    data_type: DataType,
    nesting: Nesting,
    values: Values,
    compression: Compression,
}

/// How values are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Plain,
    /// By a dictionary of what there is, or plain if that is too much.
    Dictionary,
    /// By a dictionary of all 256 bytes, in which each is its own index.
    Bytes,
}

/// Values of a column of a batch.
type Piece<'a> = (&'a Leaf, Range<usize>);

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storage {
    /// As they lie, so many bytes each.
    Bytes(usize),
    /// As 32-bit integers.
    Widened { bytes: usize, signed: bool },
    /// Behind their lengths.
    Strings,
}

fn storage(data_type: &DataType) -> Option<Storage> {
    Some(match data_type {
        DataType::Int8 => Storage::Widened { bytes: 1, signed: true },
        DataType::Int16 => Storage::Widened { bytes: 2, signed: true },
        DataType::UInt8 => Storage::Widened { bytes: 1, signed: false },
        DataType::UInt16 => Storage::Widened { bytes: 2, signed: false },
        DataType::Int32 | DataType::UInt32 | DataType::Float32 => Storage::Bytes(4),
        DataType::Int64 | DataType::UInt64 | DataType::Float64 => Storage::Bytes(8),
        DataType::Utf8 | DataType::Binary => Storage::Strings,
        _ => return None,
    })
}

impl ColumnPlan {
    /// The plan for a column of `data_type`, which Parquet knows as `descriptor`; `None` if the
    /// library is to encode it.
    pub(super) fn new(
        data_type: &DataType,
        descriptor: ColumnDescPtr,
        dictionary: bool,
        compression: Compression,
    ) -> Option<Self> {
        let (nesting, leaf) = nesting(data_type)?;
        let values = match storage(leaf)? {
            _ if !dictionary => Values::Plain,
            Storage::Widened { bytes: 1, .. } => Values::Bytes,
            _ => Values::Dictionary,
        };
        // Whatever is null here can be null there.
        let levels = match nesting {
            Nesting::Flat => (1, 0),
            Nesting::Lists => (3, 1),
        };
        let fits = (descriptor.max_def_level(), descriptor.max_rep_level()) == levels;
        (fits && Codec::exists(compression)).then(|| Self {
            descriptor,
            data_type: leaf.clone(),
            nesting,
            values,
            compression,
        })
    }

    /// Whether the rows of a row group can be encoded in parts, side by side.
    pub(super) fn is_divisible(&self) -> bool {
        self.values != Values::Dictionary
    }

    /// Encodes the column, or a part of it that is the `first` or not: `arrays` that follow each other.
    ///
    /// # Errors
    /// A page cannot be compressed.
    pub(super) fn encode(&self, arrays: &[ArrayRef], first: bool, codec: &mut Codec) -> Result<Pages> {
        let leaves = arrays.iter().map(Leaf::new).collect::<Result<Vec<_>>>()?;
        let mut pages = Pages {
            nulls: leaves.iter().map(|leaf| leaf.null_count() as u64).sum(),
            rows: leaves.iter().map(|leaf| leaf.len() as u64).sum(),
            ..Pages::default()
        };
        if self.values == Values::Dictionary
            && let Ok(dictionary) = Dictionary::new(&self.data_type, &leaves)
        {
            let Dictionary { page, entries, indices, bounds } = dictionary;
            pages.put_dictionary(page, entries, codec)?;
            pages.bounds = bounds;
            let width = self.index_width(entries);
            let mut at = 0;
            let bytes = |_: &Leaf, values: usize| values * width as usize / 8;
            self.put_pages(&leaves, bytes, INDICES, &mut pages, codec, &mut |pieces, page| {
                let values = pieces.iter().map(|(_, values)| values.len()).sum::<usize>();
                put_indices(indices.get(at..at + values).unwrap_or_default(), width, page);
                at += values;
            })?;
            return Ok(pages);
        }
        if self.nesting == Nesting::Flat {
            for leaf in &leaves {
                pages.bounds.extend(match leaf.values().data_type() {
                    DataType::Utf8 | DataType::Binary => {
                        Bounds::of_strings(strings(leaf.values()).into_iter())
                    }
                    _ => Bounds::of_numbers(leaf.values().as_ref()),
                });
            }
        }
        let Some(storage) = storage(&self.data_type) else { return Ok(pages) };
        if self.values == Values::Bytes {
            if first {
                let mut page = Vec::with_capacity(4 * 256);
                put_wide(&(0..=u8::MAX).collect::<Vec<_>>(), storage, &mut page);
                pages.put_dictionary(page, 256, codec)?;
            }
            self.put_pages(&leaves, |_, values| values, INDICES, &mut pages, codec, &mut |pieces, page| {
                let data: Vec<_> =
                    pieces.iter().map(|(leaf, values)| (leaf.values().to_data(), values)).collect();
                let bytes = data.iter().map(|(data, values)| value_bytes(data, 1, (*values).clone()));
                put_byte_indices(&bytes.collect::<Vec<_>>().concat(), page);
            })?;
            return Ok(pages);
        }
        let bytes = |leaf: &Leaf, values: usize| match storage {
            Storage::Bytes(width) => values * width,
            Storage::Widened { .. } => values * 4,
            Storage::Strings => {
                values * 4 + string_bytes(leaf.values()) * values / leaf.values().len().max(1)
            }
        };
        self.put_pages(&leaves, bytes, Encoding::PLAIN, &mut pages, codec, &mut |pieces, page| {
            for (leaf, values) in pieces {
                put_plain(leaf.values(), values.clone(), storage, page);
            }
        })?;
        Ok(pages)
    }

    /// The bits of the indices of a dictionary of `entries`.
    fn index_width(&self, entries: usize) -> u32 {
        /// Indices of more bits are rounded up to whole bytes where bytes are coded by how often they occur: what
        /// occurs often is then the same bytes each time. Token lists are a twentieth smaller so, evenly spread
        /// values as large as before.
        const LOOSE_BITS: u32 = 12;
        let width = index_width(entries);
        match self.compression {
            Compression::ZSTD(_) if width > LOOSE_BITS => width.next_multiple_of(8),
            _ => width,
        }
    }

    /// Cuts rows into pages, of which `put` appends the values; `bytes` says how many these are.
    fn put_pages<'a>(
        &self,
        leaves: &'a [Leaf],
        bytes: impl Fn(&Leaf, usize) -> usize,
        encoding: Encoding,
        pages: &mut Pages,
        codec: &mut Codec,
        put: &mut dyn FnMut(&[Piece<'a>], &mut Vec<u8>),
    ) -> Result<()> {
        let mut levels = PageLevels::new(self.nesting);
        let mut pieces: Vec<Piece<'a>> = Vec::new();
        let mut held = 0;
        let mut end = |levels: &mut PageLevels, pieces: &mut Vec<_>, held: &mut usize| {
            let mut page = Vec::with_capacity(*held + *held / 8 + 1024);
            let count = levels.end(&mut page);
            put(pieces, &mut page);
            pieces.clear();
            *held = 0;
            pages.put(page, count, encoding, codec)
        };
        for leaf in leaves {
            let (mut row, mut value) = (0, 0);
            let total = bytes(leaf, leaf.values().len()).max(1);
            while row < leaf.len() {
                // As many rows as fill the page, taking them to be of one size.
                let room = PAGE_BYTES.saturating_sub(held);
                let rows = (leaf.len().saturating_mul(room) / total).clamp(1, leaf.len() - row);
                let values = leaf.put_levels(row..row + rows, &mut levels);
                pieces.push((leaf, value..value + values));
                held += bytes(leaf, values);
                row += rows;
                value += values;
                if held >= PAGE_BYTES - PAGE_BYTES / 16 {
                    end(&mut levels, &mut pieces, &mut held)?;
                }
            }
        }
        if !pieces.is_empty() {
            end(&mut levels, &mut pieces, &mut held)?;
        }
        Ok(())
    }

    /// What is known of the column when all parts of it are encoded, and their bytes.
    ///
    /// # Errors
    /// It cannot be said in Parquet's metadata.
    pub(super) fn close(&self, parts: Vec<Pages>) -> Result<(Unread, ColumnCloseResult)> {
        let mut whole = Pages::default();
        for part in parts {
            whole.extend(part);
        }
        let Pages { bytes, dictionary, uncompressed, levels, counts, bounds, nulls, rows } = whole;
        let compressed = bytes.size();
        let signed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let mut encodings = vec![Encoding::RLE, Encoding::PLAIN];
        let mut encoding_stats = Vec::new();
        if dictionary.is_some() {
            encodings.push(INDICES);
            let (page_type, encoding) = (PageType::DICTIONARY_PAGE, Encoding::PLAIN);
            encoding_stats.push(PageEncodingStats { page_type, encoding, count: 1 });
        }
        let encoding = if dictionary.is_some() { INDICES } else { Encoding::PLAIN };
        encoding_stats.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count: counts });
        let mut metadata = ColumnChunkMetaData::builder(self.descriptor.clone())
            .set_compression(self.compression)
            .set_encodings(encodings)
            .set_page_encoding_stats(encoding_stats)
            .set_num_values(signed(levels))
            .set_total_compressed_size(signed(compressed))
            .set_total_uncompressed_size(signed(uncompressed))
            .set_dictionary_page_offset(dictionary.map(|_| 0))
            .set_data_page_offset(signed(dictionary.unwrap_or(0)));
        if self.nesting == Nesting::Flat
            && let Some(statistics) = bounds.statistics(&self.data_type, nulls)
        {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: compressed as u64,
            rows_written: rows,
            metadata: metadata.build().map_err(parquet_error)?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((Unread(Mutex::new(bytes)), close))
    }
}

/// Pages of a column, compressed and behind their headers, and what is known of them.
#[derive(Debug)]
pub(super) struct Pages {
    bytes: PageBytes,
    /// The bytes of the dictionary in front of the others.
    dictionary: Option<usize>,
    uncompressed: usize,
    levels: usize,
    /// How many hold data.
    counts: i32,
    bounds: Bounds,
    nulls: u64,
    rows: u64,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            bytes: PageBytes::default(),
            dictionary: None,
            uncompressed: 0,
            levels: 0,
            counts: 0,
            bounds: Bounds::None,
            nulls: 0,
            rows: 0,
        }
    }
}

impl Pages {
    fn put_dictionary(&mut self, page: Vec<u8>, entries: usize, codec: &mut Codec) -> Result<()> {
        let num_values = u32::try_from(entries).unwrap_or(u32::MAX);
        self.put_page(page, codec, |buf| Page::DictionaryPage {
            buf,
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        })?;
        self.dictionary = Some(self.bytes.size());
        Ok(())
    }

    fn put(&mut self, page: Vec<u8>, levels: usize, encoding: Encoding, codec: &mut Codec) -> Result<()> {
        let num_values = u32::try_from(levels).unwrap_or(u32::MAX);
        self.put_page(page, codec, |buf| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.levels += levels;
        self.counts += 1;
        Ok(())
    }

    fn put_page(&mut self, page: Vec<u8>, codec: &mut Codec, of: impl FnOnce(Bytes) -> Page) -> Result<()> {
        const HEADER_BYTES: usize = 64;
        let uncompressed = page.len();
        let page = CompressedPage::new(of(Bytes::from(codec.compress(page)?)), uncompressed);
        let mut bytes = Vec::with_capacity(page.compressed_size() + HEADER_BYTES);
        let mut sink = TrackedWrite::new(&mut bytes);
        let written = SerializedPageWriter::new(&mut sink).write_page(page).map_err(parquet_error)?;
        sink.flush().map_err(|e| Error::io("cannot write a Parquet page", e))?;
        drop(sink);
        self.bytes.0.push_back(Bytes::from(bytes));
        self.uncompressed += written.uncompressed_size;
        Ok(())
    }

    /// Puts pages behind these.
    fn extend(&mut self, other: Pages) {
        if self.bytes.0.is_empty() {
            self.dictionary = other.dictionary;
        }
        self.bytes.0.extend(other.bytes.0);
        self.uncompressed += other.uncompressed;
        self.levels += other.levels;
        self.counts += other.counts;
        self.bounds.extend(other.bounds);
        self.nulls += other.nulls;
        self.rows += other.rows;
    }
}

/// Pages behind their headers, one after the other.
#[derive(Debug, Default)]
pub(super) struct PageBytes(VecDeque<Bytes>);

impl PageBytes {
    fn size(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }
}

/// Pages that are read once, and are no more where they were read.
pub(super) struct Unread(Mutex<PageBytes>);

impl Unread {
    fn lock(&self) -> MutexGuard<'_, PageBytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Length for Unread {
    fn len(&self) -> u64 {
        self.lock().size() as u64
    }
}

impl ChunkReader for Unread {
    type T = PageBytes;

    fn get_read(&self, start: u64) -> parquet::errors::Result<PageBytes> {
        let mut rest = std::mem::take(&mut *self.lock());
        std::io::copy(&mut (&mut rest).take(start), &mut std::io::sink())?;
        Ok(rest)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Read for PageBytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(page) = self.0.front_mut() else { return Ok(0) };
        let n = page.as_ref().read(buffer)?;
        page.advance(n);
        if page.is_empty() {
            self.0.pop_front();
        }
        Ok(n)
    }
}

/// Every value of a column once, and an index for each.
struct Dictionary {
    /// The entries as a page holds them.
    page: Vec<u8>,
    entries: usize,
    indices: Vec<u32>,
    bounds: Bounds,
}

/// Gives the numbers of an array to `$do`, as 64-bit ones that are equal where these are: of signed
/// ones the bits, behind zeros.
macro_rules! with_numbers {
    ($bytes:expr, $width:expr, $numbers:ident => $do:expr) => {
        match $width {
            1 => {
                let $numbers = $bytes.iter().map(|byte| u64::from(*byte));
                $do
            }
            2 => {
                let $numbers = $bytes.as_chunks::<2>().0.iter().map(|b| u64::from(u16::from_le_bytes(*b)));
                $do
            }
            4 => {
                let $numbers = $bytes.as_chunks::<4>().0.iter().map(|b| u64::from(u32::from_le_bytes(*b)));
                $do
            }
            _ => {
                let $numbers = $bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b));
                $do
            }
        }
    };
}

impl Dictionary {
    fn new(data_type: &DataType, leaves: &[Leaf]) -> std::result::Result<Self, NotWorthIt> {
        let mut indices = Vec::with_capacity(leaves.iter().map(|leaf| leaf.values().len()).sum());
        let storage = storage(data_type).ok_or(NotWorthIt)?;
        if storage == Storage::Strings {
            let mut strings_seen = Strings::new();
            for leaf in leaves {
                strings_seen.extend(strings(leaf.values()).into_iter(), &mut indices)?;
            }
            let (entries, bounds) = (strings_seen.len(), Bounds::of_strings(strings_seen.iter()));
            return Ok(Self { page: strings_seen.into_page(), entries, indices, bounds });
        }
        let mut bounds = Bounds::None;
        leaves.iter().for_each(|leaf| bounds.extend(Bounds::of_numbers(leaf.values().as_ref())));
        let width = match storage {
            Storage::Widened { bytes, .. } | Storage::Bytes(bytes) => bytes,
            Storage::Strings => return Err(NotWorthIt),
        };
        // As with_numbers gives them: where they are signed and of both signs, these are far apart.
        let mask = u64::MAX >> (64 - 8 * width);
        let (least, greatest) = match bounds {
            _ if width < 4 => (0, mask),
            Bounds::Signed(least, greatest) if width == 8 || least >= 0 => {
                (least.cast_unsigned(), greatest.cast_unsigned())
            }
            Bounds::Unsigned(least, greatest) => (least, greatest),
            _ => (0, u64::MAX),
        };
        let mut numbers_seen = Numbers::new(width, least, greatest);
        for leaf in leaves {
            let data = leaf.values().to_data();
            let bytes = value_bytes(&data, width, 0..data.len());
            with_numbers!(bytes, width, numbers => numbers_seen.extend(numbers, &mut indices)?);
        }
        let entries = numbers_seen.entries();
        let narrow = entries.iter().flat_map(|entry| entry.to_le_bytes().into_iter().take(width));
        let mut page = Vec::with_capacity(entries.len() * width.max(4));
        match storage {
            Storage::Widened { .. } => put_wide(&narrow.collect::<Vec<_>>(), storage, &mut page),
            _ => page.extend(narrow),
        }
        Ok(Self { page, entries: entries.len(), indices, bounds })
    }
}

/// The bytes of values of `width` bytes.
fn value_bytes(data: &arrow::array::ArrayData, width: usize, values: Range<usize>) -> &[u8] {
    let range = (data.offset() + values.start) * width..(data.offset() + values.end) * width;
    data.buffers().first().and_then(|buffer| buffer.as_slice().get(range)).unwrap_or_default()
}

/// The offsets and bytes of strings.
fn string_parts(array: &ArrayRef) -> (&[i32], &[u8]) {
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            (array.value_offsets(), array.value_data())
        }
        _ => {
            let array = array.as_binary::<i32>();
            (array.value_offsets(), array.value_data())
        }
    }
}

fn strings(array: &ArrayRef) -> impl IntoIterator<Item = &[u8]> {
    let (offsets, bytes) = string_parts(array);
    offsets.iter().zip(offsets.iter().skip(1)).map(move |(begin, end)| {
        let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
        bytes.get(at(*begin)..at(*end)).unwrap_or_default()
    })
}

fn string_bytes(array: &ArrayRef) -> usize {
    let (offsets, _) = string_parts(array);
    let bytes = offsets.last().copied().unwrap_or(0) - offsets.first().copied().unwrap_or(0);
    usize::try_from(bytes).unwrap_or(0)
}

/// Appends values of `array` to a page, as they are.
fn put_plain(array: &ArrayRef, values: Range<usize>, storage: Storage, page: &mut Vec<u8>) {
    match storage {
        Storage::Bytes(width) => page.extend_from_slice(value_bytes(&array.to_data(), width, values)),
        Storage::Widened { bytes: width, .. } => {
            put_wide(value_bytes(&array.to_data(), width, values), storage, page);
        }
        Storage::Strings => {
            let array = array.slice(values.start, values.len());
            page.reserve(array.len() * 4 + string_bytes(&array));
            for string in strings(&array) {
                page.extend_from_slice(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_le_bytes());
                page.extend_from_slice(string);
            }
        }
    }
}

/// Appends narrow integers to a page as 32-bit ones.
fn put_wide(bytes: &[u8], storage: Storage, page: &mut Vec<u8>) {
    let Storage::Widened { bytes: width, signed } = storage else { return };
    page.reserve(bytes.len() / width * 4);
    with_numbers!(bytes, width, numbers => numbers.for_each(|number| {
        let [a, b, ..] = number.to_le_bytes();
        let wide = match (width, signed) {
            (1, true) => i32::from(i8::from_le_bytes([a])),
            (_, true) => i32::from(i16::from_le_bytes([a, b])),
            _ => i32::from(u16::from_le_bytes([a, b])),
        };
        page.extend_from_slice(&wide.to_le_bytes());
    }));
}
