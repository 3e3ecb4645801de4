//! LevelDB tables: sorted keys and values in blocks, as TensorFlow uses them for the index of a
//! TensorBundle.
//!
//! | part | content |
//! | --- | --- |
//! | blocks | entries, then restart offsets (u32 each) and their number (u32) |
//! | after each block | a type byte (0 plain, 1 Snappy), a masked CRC-32C (u32) of block and type |
//! | last 48 bytes | handles of the meta index and the index, padded to 40, and a magic number |
//!
//! An entry is three varints (key bytes shared with the entry before, key bytes that follow, value
//! bytes), then the key's rest and the value. The index block's values are handles: offset and
//! size, varints. The format is `tensorflow/core/lib/io/table_format.txt`.

use std::borrow::Cow;

use super::crc::masked_crc32c;
use super::proto::Cursor;
use super::snappy;

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER_BYTES: usize = 48;
const TRAILER_BYTES: usize = 5;
/// The largest decompressed block to accept; writers cut blocks at 256 KiB.
const MAX_BLOCK_BYTES: u64 = 64 << 20;

/// What is wrong with a table, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TableError {
    pub(crate) at: u64,
    pub(crate) what: String,
}

impl TableError {
    pub(crate) fn new(at: u64, what: impl Into<String>) -> Self {
        Self { at, what: what.into() }
    }
}

/// Takes a key and its value, and says what is wrong with them.
type Visit<'v, E> = &'v mut dyn FnMut(&[u8], &[u8]) -> Result<(), E>;

/// Whether `last` are the last bytes of a table.
pub(crate) fn is_table(last: &[u8]) -> bool {
    last.len() >= FOOTER_BYTES
        && last.last_chunk::<8>().is_some_and(|magic| u64::from_le_bytes(*magic) == MAGIC)
}

/// Gives every key and value of `table` to `visit`, in order.
///
/// # Errors
/// The table is damaged, or `visit` says that an entry is wrong.
pub(crate) fn visit(table: &[u8], visit: Visit<'_, String>) -> Result<(), TableError> {
    if !is_table(table) {
        return Err(TableError::new(0, "not a table: the magic number at its end is missing"));
    }
    let at = table.len() - FOOTER_BYTES;
    let mut footer = Cursor::new(table.get(at..).unwrap_or_default());
    let bad = |_| TableError::new(at as u64, "damaged footer");
    let _meta_index = (footer.varint().map_err(bad)?, footer.varint().map_err(bad)?);
    let index = (footer.varint().map_err(bad)?, footer.varint().map_err(bad)?);
    let index_at = index.0;
    let index = block(table, index)?;
    entries(&index, index_at, &mut |_, handle| {
        let mut handle = Cursor::new(handle);
        let bad = |_| TableError::new(index_at, "damaged block handle");
        let handle = (handle.varint().map_err(bad)?, handle.varint().map_err(bad)?);
        let data = block(table, handle)?;
        entries(&data, handle.0, &mut |key, value| {
            visit(key, value).map_err(|what| TableError::new(handle.0, what))
        })
    })
}

/// The block that `handle` (offset, size) names, checked.
fn block(table: &[u8], handle: (u64, u64)) -> Result<Cow<'_, [u8]>, TableError> {
    let bad = |what: &str| TableError::new(handle.0, what);
    let range = || {
        let start = usize::try_from(handle.0).ok()?;
        let end = start.checked_add(usize::try_from(handle.1).ok()?)?;
        Some((table.get(start..end)?, table.get(start..end.checked_add(TRAILER_BYTES)?)?))
    };
    let (block, with_trailer) = range().ok_or_else(|| bad("a block lies outside of the file"))?;
    let Some((checked, crc)) = with_trailer.split_last_chunk::<4>() else {
        return Err(bad("a block lies outside of the file"));
    };
    if masked_crc32c(checked) != u32::from_le_bytes(*crc) {
        return Err(bad("the CRC of a block does not hold"));
    }
    match checked.last() {
        Some(0) => Ok(Cow::Borrowed(block)),
        Some(1) => {
            let mut out = Vec::new();
            snappy::decode(block, MAX_BLOCK_BYTES, &mut out).map_err(|what| bad(&what))?;
            Ok(Cow::Owned(out))
        }
        _ => Err(bad("a block of unknown compression")),
    }
}

fn entries(block: &[u8], at: u64, visit: Visit<'_, TableError>) -> Result<(), TableError> {
    let bad = || TableError::new(at, "damaged block");
    let (rest, restarts) = block.split_last_chunk::<4>().ok_or_else(bad)?;
    let restarts = usize::try_from(u32::from_le_bytes(*restarts)).ok().and_then(|n| n.checked_mul(4));
    let end = restarts.and_then(|bytes| rest.len().checked_sub(bytes)).ok_or_else(bad)?;
    let mut cursor = Cursor::new(rest.get(..end).unwrap_or_default());
    let mut key: Vec<u8> = Vec::new();
    while !cursor.is_empty() {
        let mut next = || cursor.varint().ok().and_then(|n| usize::try_from(n).ok()).ok_or_else(bad);
        let (shared, suffix, value) = (next()?, next()?, next()?);
        if shared > key.len() {
            return Err(bad());
        }
        key.truncate(shared);
        key.extend_from_slice(cursor.take(suffix).map_err(|_| bad())?);
        visit(&key, cursor.take(value).map_err(|_| bad())?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_tables_are_errors() {
        let mut table = vec![0xffu8; 40];
        table.extend(MAGIC.to_le_bytes());
        assert!(visit(&table, &mut |_, _| Ok(())).is_err());
        // Handles of blocks that are not there.
        let mut table = vec![0u8, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 5];
        table.resize(40, 0);
        table.extend(MAGIC.to_le_bytes());
        let error = visit(&table, &mut |_, _| Ok(())).unwrap_err();
        assert!(error.what.contains("outside"));
        assert!(visit(b"short", &mut |_, _| Ok(())).is_err());
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_blocks_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            drop(entries(&bytes, 0, &mut |_, _| Ok(())));
        }
    }
}
