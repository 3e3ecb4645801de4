//! Whether a Parquet file is encrypted, in whole or in part: the Parquet crate passes over what says
//! so, and takes what is encrypted for damage.

use ::parquet::file::reader::{ChunkReader, Length};

use crate::error::{Error, Result};
use crate::source::parquet_file::ParquetFile;
use crate::wire::thrift::{Thrift, Type};

/// The footer's length and the magic bytes behind it.
const TRAILER_BYTES: usize = 8;

/// Refuses a file that is encrypted.
///
/// # Errors
/// It is, or it cannot be read.
pub(super) fn refuse(file: &ParquetFile) -> Result<()> {
    let read = |start: u64, bytes: usize| {
        file.get_bytes(start, bytes).map_err(|e| Error::corrupt("damaged Parquet file").with_cause(e))
    };
    let refused = |what: &str| Err(Error::unsupported(what).with_hint("write it without encryption"));
    let Some(end) = file.len().checked_sub(TRAILER_BYTES as u64) else { return Ok(()) };
    let trailer = read(end, TRAILER_BYTES)?;
    if trailer.ends_with(b"PARE") {
        return refused("encrypted Parquet file");
    }
    let length = trailer.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let footer = end.checked_sub(length.into()).zip(usize::try_from(length).ok());
    match footer.filter(|_| trailer.ends_with(b"PAR1")) {
        Some((start, length)) if names_encryption(&read(start, length)?) => {
            refused("Parquet file with encrypted columns")
        }
        _ => Ok(()),
    }
}

/// Whether a footer names how something is encrypted: the file, or one of its columns. What is
/// damaged is for others to find.
fn names_encryption(footer: &[u8]) -> bool {
    const ROW_GROUPS: i16 = 4;
    const ENCRYPTION_ALGORITHM: i16 = 8;
    let mut found = false;
    Thrift::new(footer).fields(&mut |number, of, value| match (number, of) {
        (ROW_GROUPS, Type::LIST) => value.items(&mut |_, item| row_group(item, &mut found)),
        _ => {
            found |= number == ENCRYPTION_ALGORITHM;
            value.skip(of, false)
        }
    });
    found
}

fn row_group<'a>(item: Thrift<'a>, found: &mut bool) -> Option<Thrift<'a>> {
    const COLUMNS: i16 = 1;
    item.fields(&mut |number, of, value| match (number, of) {
        (COLUMNS, Type::LIST) => value.items(&mut |_, item| column(item, found)),
        _ => value.skip(of, false),
    })
}

fn column<'a>(item: Thrift<'a>, found: &mut bool) -> Option<Thrift<'a>> {
    const CRYPTO_METADATA: i16 = 8;
    const ENCRYPTED_METADATA: i16 = 9;
    item.fields(&mut |number, of, value| {
        *found |= matches!(number, CRYPTO_METADATA | ENCRYPTED_METADATA);
        value.skip(of, false)
    })
}
