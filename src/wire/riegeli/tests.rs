use super::array_record::{Index, footer_offset, postscript_offset, read_index};
use super::*;
use proptest::prelude::*;
use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/array_record");

fn index(file: &[u8]) -> Result<Index> {
    let last = postscript_offset(file.len() as u64)?;
    let footer = footer_offset(&file[last as usize..], last)?;
    read_index(&file[footer as usize..last as usize], footer)
}

/// Every record of an ArrayRecord file.
pub(crate) fn records(file: &[u8]) -> Result<Vec<Vec<u8>>> {
    let index = index(file)?;
    let mut decoder = ChunkDecoder::default();
    let mut out = Vec::new();
    for chunk in 0..index.chunks() {
        assert_eq!(index.first_record(chunk), out.len() as u64);
        let begin = index.offset(chunk);
        let end = index.offset(chunk + 1);
        let records = decoder.decode(&file[begin as usize..end as usize], begin, 1 << 30)?;
        out.extend((0..records.len()).map(|i| records.get(i).unwrap().to_vec()));
    }
    assert_eq!(index.records, out.len() as u64);
    Ok(out)
}

/// A record as `expected.json` writes it.
pub(crate) fn is_record(expected: &Value, record: &[u8]) -> bool {
    match expected.as_str() {
        Some(hex) => *hex == record.iter().map(|b| format!("{b:02x}")).collect::<String>(),
        None => expected["len"].as_u64() == Some(record.len() as u64),
    }
}

#[test]
fn files_of_every_option_hold_the_records_that_were_written() {
    let text = std::fs::read(format!("{GOLDEN}/expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let mut sound = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let file = std::fs::read(format!("{GOLDEN}/{name}")).unwrap();
        let result = records(&file);
        // The writer's own reader opens a file whose index was cut off, and finds no records.
        let Some(wanted) = expected["records"].as_array().filter(|_| !name.starts_with("truncated")) else {
            assert!(result.is_err(), "{name}");
            continue;
        };
        let found = result.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.len(), wanted.len(), "{name}");
        for (record, wanted) in found.iter().zip(wanted) {
            assert!(is_record(wanted, record), "{name}");
        }
        assert_eq!(index(&file).unwrap().writer_options, expected["writer_options_string"], "{name}");
        sound += 1;
    }
    assert!(sound >= 14, "{sound}");
}

#[test]
fn the_end_of_a_run_counts_block_headers() {
    assert_eq!(end_of(0, 40), Some(64));
    assert_eq!(end_of(64, 100), Some(164));
    assert_eq!(end_of(64, BLOCK_BYTES - 64), Some(BLOCK_BYTES));
    assert_eq!(end_of(64, BLOCK_BYTES - 64 + 1), Some(BLOCK_BYTES + 25));
    assert_eq!(end_of(BLOCK_BYTES, 1), Some(BLOCK_BYTES + 25));
    assert_eq!(end_of(64, u64::MAX), None);
}

#[test]
fn no_cut_and_no_flipped_bit_goes_unnoticed() {
    let file = std::fs::read(format!("{GOLDEN}/transpose_zstd_g4.array_record")).unwrap();
    let sound = records(&file).unwrap();
    let index = index(&file).unwrap();
    let end = index.offset(index.chunks()) as usize;
    for at in 64..end {
        let mut bad = file.clone();
        bad[at] ^= 1;
        // Only padding after a chunk may differ without a difference.
        assert!(records(&bad).is_err() || records(&bad).unwrap() == sound, "byte {at}");
    }
    for cut in [0, 63, 64, 1000, file.len() - 1, file.len() - BLOCK_BYTES as usize] {
        assert!(records(&file[..cut]).is_err(), "{cut}");
    }
}

proptest! {
    /// Hashes keep damage away from the decoders; here they get it.
    #[test]
    fn damaged_data_is_an_error_or_records(
        name in prop::sample::select(vec![
            "simple_zstd_g4", "simple_brotli_g4", "simple_snappy_g4", "simple_uncompressed_g4",
            "transpose_zstd_g4", "transpose_uncompressed_g4", "transpose_mixed", "transpose_brotli_g4"]),
        chunk in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let file = std::fs::read(format!("{GOLDEN}/{name}.array_record")).unwrap();
        let index = index(&file).unwrap();
        let chunk = chunk.index(index.chunks());
        let begin = index.offset(chunk) as usize;
        let header: [u8; 40] = file[begin..begin + 40].try_into().unwrap();
        let header = ChunkHeader::parse(&header).unwrap();
        let mut data = file[begin + 40..begin + 40 + header.data_size as usize].to_vec();
        for (at, byte) in edits {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let mut codecs = Codecs::default();
        let (mut sizes, mut values, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let result = match header.chunk_type {
            ChunkType::Transposed =>
                transposed::decode(&data, &header, &mut codecs, &mut values, &mut ends).map(|()| values.len()),
            _ => decode_simple(&data, &header, &mut codecs, &mut sizes, &mut values, &mut ends).map(<[u8]>::len),
        };
        if let Ok(len) = result {
            prop_assert_eq!(len as u64, header.decoded_size);
            prop_assert_eq!(ends.len() as u64, header.records);
            prop_assert_eq!(ends.last().copied().unwrap_or(0), len);
        }
    }
}
