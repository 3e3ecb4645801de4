//! The files of `Dataset.cache(filename)`: a TensorBundle with one entry a component of each
//! element.
//!
//! `<filename>.index` is a [table](crate::wire::table) of `BundleEntryProto`s, its keys
//! `"%7d_%*d"`: element and component. `<filename>.data-00000-of-00001` holds the values: plain
//! ones as they are; strings as varint lengths, their CRC, and the bytes; variants each as a
//! varint length, the message and a CRC. The container is `tensorflow/core/util/tensor_bundle`.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::payload::{Owned, OwnedPart, Stored};
use super::stream::StreamOptions;
use crate::error::{Error, Result};
use crate::input::{Forward, Opened, Place};
use crate::options::Phrase;
use crate::source::Progress;
use crate::tf::dtype::DType;
use crate::tf::tensor_proto::{Dims, Strings, Tensor, dtype_of, malformed, parse_shape};
use crate::wire::crc::{mask, masked_crc32c};
use crate::wire::proto::{Cursor, FIXED32, LEN, VARINT};
use crate::wire::table;

/// The largest index to read.
const MAX_INDEX_BYTES: u64 = 1 << 32;

/// One component of one element, as the index has it.
#[derive(Debug, Clone)]
struct Entry {
    dtype: DType,
    dims: Dims,
    shard: u64,
    offset: u64,
    bytes: u64,
    crc: u32,
}

/// The index of cache files.
#[derive(Debug)]
pub(super) struct CacheIndex {
    entries: Vec<Entry>,
    /// Components an element.
    pub(super) components: usize,
    shards: u64,
}

impl CacheIndex {
    /// Reads `<prefix>.index`.
    pub(super) fn read(prefix: &Place) -> Result<Self> {
        let path = prefix.with_suffix(".index");
        let name = path.name();
        let bytes = path.open(None)?.read_to_end(MAX_INDEX_BYTES)?;
        let mut index = CacheIndex { entries: Vec::new(), components: 0, shards: 1 };
        let mut element = 0u64;
        let mut component = 0u64;
        let mut components = None;
        table::visit(&bytes, &mut |key, value| {
            if key.is_empty() {
                index.shards = header(value).map_err(|e| e.message())?;
                return Ok(());
            }
            let found = parse_key(key).ok_or_else(|| {
                format!("not a cache, but another bundle: it has the key `{}`", key.escape_ascii())
            })?;
            if component > 0 && found == (element + 1, 0) {
                if *components.get_or_insert(component) != component {
                    return Err(format!("element {element} has {component} components"));
                }
                (element, component) = found;
            }
            if found != (element, component) {
                return Err(format!("component {component} of element {element} is missing"));
            }
            component += 1;
            index.entries.push(entry(value).map_err(|e| e.message())?);
            Ok(())
        })
        .map_err(|e| {
            Error::corrupt(format!("damaged index: {}", e.what)).at_offset(e.at).in_source(name.clone())
        })?;
        let components = *components.get_or_insert(component);
        if component != components {
            return Err(Error::corrupt("the last element of the index is incomplete").in_source(name.clone()));
        }
        index.components = usize::try_from(components).unwrap_or(0);
        Ok(index)
    }

    /// The number of elements.
    pub(super) fn elements(&self) -> u64 {
        self.entries.len().checked_div(self.components).unwrap_or(0) as u64
    }

    /// The dtypes of the first element's components.
    pub(super) fn dtypes(&self) -> Vec<DType> {
        self.entries.iter().take(self.components).map(|entry| entry.dtype).collect()
    }
}

fn parse_key(key: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(key).ok()?;
    let (element, component) = text.split_once('_')?;
    Some((element.trim_start().parse().ok()?, component.trim_start().parse().ok()?))
}

fn header(value: &[u8]) -> Result<u64> {
    let wire = |e| malformed("BundleHeaderProto", e);
    let mut shards = 0;
    let mut cursor = Cursor::new(value);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (1, VARINT) => shards = cursor.varint().map_err(wire)?,
            (2, VARINT) if cursor.varint().map_err(wire)? != 0 => {
                return Err(Error::unsupported("bundle of a big-endian machine"));
            }
            (2, VARINT) => {}
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    if shards > 100_000 {
        return Err(Error::limit("bundle of too many shards"));
    }
    Ok(shards)
}

fn entry(value: &[u8]) -> Result<Entry> {
    let wire = |e| malformed("BundleEntryProto", e);
    let mut dtype = 0;
    let mut entry =
        Entry { dtype: DType::UInt8, dims: Dims::default(), shard: 0, offset: 0, bytes: 0, crc: 0 };
    let mut cursor = Cursor::new(value);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (1, VARINT) => dtype = cursor.varint().map_err(wire)?,
            (2, LEN) => parse_shape(cursor.bytes().map_err(wire)?, &mut false, |size| {
                let size = u64::try_from(size).map_err(|_| Error::corrupt("invalid tensor shape"))?;
                if entry.dims.len() >= 254 {
                    return Err(Error::limit("tensor of more than 254 dimensions"));
                }
                entry.dims.push(size);
                Ok(())
            })?,
            (3, VARINT) => entry.shard = cursor.varint().map_err(wire)?,
            (4, VARINT) => entry.offset = cursor.varint().map_err(wire)?,
            (5, VARINT) => entry.bytes = cursor.varint().map_err(wire)?,
            (6, FIXED32) => entry.crc = u32::from_le_bytes(cursor.fixed32().map_err(wire)?),
            (7, _) => return Err(Error::unsupported("bundle with sliced tensors")),
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    entry.dtype = dtype_of(dtype)?;
    Ok(entry)
}

/// Reads the elements of cache files.
pub(super) struct CacheReader {
    index: Arc<CacheIndex>,
    prefix: Place,
    source: Arc<str>,
    progress: Arc<Progress>,
    max_record_bytes: u64,
    check_crc: bool,
    /// The data file that is open, and its shard.
    file: Option<(u64, Opened)>,
    /// The bytes of that file from a place on.
    bytes: Option<(u64, BufReader<Forward>)>,
    number: u64,
}

impl CacheReader {
    /// Opens the files that begin with `prefix`.
    pub(super) fn open(prefix: &Place, options: &StreamOptions) -> Result<Self> {
        Ok(Self {
            index: Arc::new(CacheIndex::read(prefix)?),
            prefix: prefix.clone(),
            source: prefix.name(),
            progress: options.progress.clone(),
            max_record_bytes: options.max_record_bytes,
            check_crc: options.check_crc,
            file: None,
            bytes: None,
            number: 0,
        })
    }

    /// The next element; `None` at the end.
    pub(super) fn next_element(&mut self) -> Result<Option<Owned>> {
        let start = usize::try_from(self.number).unwrap_or(usize::MAX).saturating_mul(self.index.components);
        let index = self.index.clone();
        let entries = index.entries.get(start..).unwrap_or_default();
        let entries = entries.get(..index.components).filter(|entries| !entries.is_empty());
        let Some(entries) = entries else { return Ok(None) };
        let mut owned = Owned {
            source: self.source.clone(),
            number: self.number,
            offset: entries.first().map_or(0, |entry| entry.offset),
            bytes: Vec::new(),
            parts: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            let begin = owned.bytes.len();
            self.read(entry, &mut owned.bytes).map_err(|e| {
                e.at_offset(entry.offset).at_record(self.number).in_source(self.source.clone())
            })?;
            let kind = match entry.dtype.item_bytes() {
                Some(_) => Stored::Plain(entry.dtype, entry.dims.clone()),
                None => Stored::Bundle(entry.dtype, entry.dims.clone()),
            };
            owned.parts.push(OwnedPart { range: begin..owned.bytes.len(), kind });
        }
        self.number += 1;
        Ok(Some(owned))
    }

    /// Passes over the next element.
    pub(super) fn skip_element(&mut self) {
        self.number += 1;
    }

    fn read(&mut self, entry: &Entry, out: &mut Vec<u8>) -> Result<()> {
        let fail = |e| Error::io("cannot read data", e);
        if self.file.as_ref().is_none_or(|(shard, _)| *shard != entry.shard) {
            let suffix = format!(".data-{:05}-of-{:05}", entry.shard, self.index.shards);
            self.file = Some((entry.shard, self.prefix.with_suffix(&suffix).open(None)?));
            self.bytes = None;
        }
        let Some((_, file)) = &self.file else { return Ok(()) };
        let end = entry.offset.checked_add(entry.bytes).filter(|end| *end <= file.bytes());
        let Some(end) = end else {
            return Err(Error::corrupt("the data file is cut short").expected(
                format!("at least {} bytes", entry.offset.saturating_add(entry.bytes)),
                file.bytes().to_string(),
            ));
        };
        if entry.bytes > self.max_record_bytes {
            return Err(Error::limit("component too large")
                .expected(format!("at most {} bytes", self.max_record_bytes), entry.bytes.to_string())
                .with_hint(Phrase::new("raise {max_record_bytes} if the file is sound")));
        }
        let begin = out.len();
        let (at, bytes) = match &mut self.bytes {
            Some((at, bytes)) if *at == entry.offset => (at, bytes),
            other => {
                let rest = file.forward(entry.offset..file.bytes());
                let (at, bytes) = other.insert((entry.offset, BufReader::with_capacity(1 << 18, rest)));
                (at, bytes)
            }
        };
        bytes.take(entry.bytes).read_to_end(out).map_err(fail)?;
        *at = end;
        self.progress.add_bytes(entry.bytes);
        let bytes = out.get(begin..).unwrap_or_default();
        let crc = match entry.dtype.item_bytes() {
            Some(_) if !self.check_crc => return Ok(()),
            Some(_) => masked_crc32c(bytes),
            None => mask(split(entry.dtype, &entry.dims, bytes)?.1),
        };
        if self.check_crc && crc != entry.crc {
            return Err(Error::corrupt("corrupt component")
                .expected(format!("CRC {:#010x}", entry.crc), format!("{crc:#010x}")));
        }
        Ok(())
    }
}

/// The strings or variants of a bundle's tensor.
pub(super) fn bundle_tensor(dtype: DType, dims: Dims, bytes: &[u8]) -> Result<Tensor<'_>> {
    let items = Strings::from_slices(split(dtype, &dims, bytes)?.0);
    if dtype == DType::Variant {
        Tensor::from_variants(dims, items)
    } else {
        Tensor::from_strings(dims, items)
    }
}

/// Splits the bytes of strings or variants; gives the CRC of all that the writer counted, too.
fn split<'a>(dtype: DType, dims: &Dims, bytes: &'a [u8]) -> Result<(Vec<&'a [u8]>, u32)> {
    let wire = |e| malformed("bundle entry", e);
    let bad = || Error::corrupt("corrupt component: the CRC of its lengths does not hold");
    // Every value takes a byte at least.
    let len = dims.num_elements().filter(|len| *len <= bytes.len());
    let len = len.ok_or_else(|| Error::corrupt("bundle entry does not fill its shape"))?;
    let mut cursor = Cursor::new(bytes);
    let mut items = Vec::with_capacity(len);
    let mut crc = 0;
    match dtype {
        DType::String => {
            let mut lengths = Vec::with_capacity(len);
            for _ in 0..len {
                let length = cursor.varint().map_err(wire)?;
                crc = match u32::try_from(length) {
                    Ok(length) => crc32c::crc32c_append(crc, &length.to_le_bytes()),
                    Err(_) => crc32c::crc32c_append(crc, &length.to_le_bytes()),
                };
                lengths.push(length);
            }
            let stored = cursor.fixed32().map_err(wire)?;
            if u32::from_le_bytes(stored) != mask(crc) {
                return Err(bad());
            }
            crc = crc32c::crc32c_append(crc, &stored);
            for length in lengths {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let item = cursor.take(length).map_err(wire)?;
                crc = crc32c::crc32c_append(crc, item);
                items.push(item);
            }
        }
        DType::Variant => {
            for _ in 0..len {
                let item = cursor.bytes().map_err(wire)?;
                crc = crc32c::crc32c_append(crc, &(item.len() as u64).to_le_bytes());
                crc = crc32c::crc32c_append(crc, item);
                let stored = cursor.fixed32().map_err(wire)?;
                if u32::from_le_bytes(stored) != mask(crc) {
                    return Err(bad());
                }
                crc = crc32c::crc32c_append(crc, &stored);
                items.push(item);
            }
        }
        other => return Err(Error::unsupported(format!("bundle entry of dtype {other}"))),
    }
    if !cursor.is_empty() {
        return Err(Error::corrupt("bundle entry is longer than its values"));
    }
    Ok((items, crc))
}
