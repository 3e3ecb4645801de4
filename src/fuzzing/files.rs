//! Decoders that read files, by the front door.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use serde_json::json;

use super::Input;
use crate::options::{OnError, RecordKind};
use crate::reader::ReaderBuilder;
use crate::schema::feature::FeatureSpec;
use crate::source::ReadOptions;
use crate::tf::dtype::DType;
use crate::tf::spec::ElementSpec;
use crate::tf::{encode, example as examples, structured_value};
use crate::wire::crc::masked_crc32c;
use crate::wire::proto::put_varint;
use crate::wire::tfrecord::{self, HEADER_BYTES, put_frame};

/// More than a fuzzed record has, and little enough for resynchronisation to be tried.
const MAX_RECORD_BYTES: u64 = 1 << 20;

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

/// A folder of this thread's own, made empty.
pub(super) fn folder() -> PathBuf {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder"));
        let path = folder.path().join("input");
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).expect("a folder");
        path
    })
}

pub(super) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

fn builder(path: &Path) -> ReaderBuilder {
    ReaderBuilder::new([path.to_str().expect("a path")]).with_max_record_bytes(MAX_RECORD_BYTES)
}

/// Everything that comes out, as one batch; `None` after an error.
pub(super) fn read(builder: &ReaderBuilder) -> Option<RecordBatch> {
    let reader = builder.build().ok()?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().ok()?;
    for batch in &batches {
        for column in batch.columns() {
            column.to_data().validate_full().expect("a sound column");
        }
    }
    Some(concat_batches(&schema, &batches).expect("batches of one schema"))
}

/// Reads in batches of several sizes; the rows are the same.
pub(super) fn read_in_batches(builder: &ReaderBuilder) -> Option<RecordBatch> {
    let all = read(builder);
    let singly = read(&builder.clone().with_batch_rows(1));
    assert_eq!(all, singly, "batches of one row");
    // Threads cost more than all the rest.
    if all.as_ref().is_some_and(|all| all.num_rows() % 8 == 5) {
        let threaded = read(&builder.clone().with_batch_rows(3).with_threads(2));
        assert_eq!(all, threaded, "batches of three rows, and two threads");
    }
    all
}

/// `bytes` as frames, of which those that `mask` names get CRCs that hold.
fn repaired(bytes: &[u8], mask: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0usize;
    for frame in 0.. {
        let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>).copied() else { break };
        let repair = mask >> (frame % 8) & 1 != 0;
        if let Some(crc) = bytes.get_mut(at + 8..at + HEADER_BYTES).filter(|_| repair) {
            crc.copy_from_slice(&masked_crc32c(&length).to_le_bytes());
        }
        let body = at + HEADER_BYTES;
        let end = usize::try_from(u64::from_le_bytes(length)).ok().and_then(|n| n.checked_add(body));
        let Some(end) = end.filter(|end| end.saturating_add(4) <= bytes.len()) else { break };
        if repair {
            let crc = masked_crc32c(&bytes[body..end]);
            bytes[end..end + 4].copy_from_slice(&crc.to_le_bytes());
        }
        at = end + 4;
    }
    bytes
}

/// The frames that a decoder finds that is given so many bytes at a time, and whether it ends with
/// an error.
fn pushed(bytes: &[u8], at_a_time: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut found, mut pending) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(at_a_time) {
        pending.extend_from_slice(piece);
        loop {
            match tfrecord::frame_bytes(&pending, MAX_RECORD_BYTES).map(|bytes| bytes.map(usize::try_from)) {
                Ok(Some(Ok(whole))) if whole <= pending.len() => found.push(pending.drain(..whole).collect()),
                Ok(_) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

fn records(batch: &RecordBatch) -> Vec<Vec<u8>> {
    let column = batch.column(0).as_binary::<i32>();
    column.iter().flatten().map(<[u8]>::to_vec).collect()
}

/// TFRecord framing and compression: the same records whatever pieces the bytes come in, and what
/// the ways of reading say of a file agrees.
pub fn frames(data: &[u8]) {
    let mut input = Input(data);
    let (mask, wrap) = (input.byte(), input.byte());
    let bytes = repaired(input.rest(), mask);
    let whole = pushed(&bytes, usize::MAX);
    for at_a_time in [1, 7, 61] {
        assert_eq!(pushed(&bytes, at_a_time), whole, "{at_a_time} bytes at a time");
    }
    if let Some((at, frame)) = tfrecord::find_header(&bytes, MAX_RECORD_BYTES) {
        assert_eq!(tfrecord::frame_bytes(&bytes[at..], MAX_RECORD_BYTES), Ok(Some(frame)));
    }
    let path = folder().join("f");
    write(&path, &bytes);
    let builder = builder(&path).with_record(RecordKind::Raw);
    let skipped = read(&builder.clone().with_on_error(OnError::Skip).with_batch_rows(2)).map(|b| records(&b));
    let nulls = read_in_batches(&builder.clone().with_on_error(OnError::Null));
    assert_eq!(nulls.as_ref().map(records), skipped);
    let mut damaged = 0;
    // The bytes may be those of another kind of file.
    let Ok(source) = builder.build_to_verify() else { return };
    let mut found = |_| {
        damaged += 1;
        Ok(())
    };
    let verified = source.verify(0, &ReadOptions::default(), &mut found).ok();
    // What looks like Examples is looked into, so that fewer records are sound than can be read.
    let rows = nulls.as_ref().map(RecordBatch::num_rows);
    let verified = verified.map(|verified| verified.records as usize);
    assert_eq!(verified.map(|records| records + damaged), rows);
    assert!(verified <= skipped.as_ref().map(Vec::len));
    let sound = read(&builder).map(|b| records(&b));
    let counted = builder.count().ok();
    if let Some(sound) = &sound {
        assert_eq!(Some(sound), skipped.as_ref());
        assert_eq!(rows, Some(sound.len()));
        assert_eq!(counted, Some(sound.len() as u64));
    } else {
        assert!(damaged > 0 || skipped.is_none(), "an error without damage");
    }
    // What is told from the first bytes is another matter.
    let Some(wrapped) = wrapped(&bytes, wrap).filter(|_| tfrecord::is_header(&bytes)) else { return };
    write(&path, &wrapped);
    let unwrapped = read(&builder.with_on_error(OnError::Skip)).map(|b| records(&b));
    assert_eq!(unwrapped, skipped);
}

/// `bytes` in Snappy blocks or gzip members of some size; `None` for as they are.
fn wrapped(bytes: &[u8], wrap: u8) -> Option<Vec<u8>> {
    let size = usize::from(wrap >> 2) + HEADER_BYTES;
    match wrap & 3 {
        1 => Some(snappy_stream(bytes, size)),
        #[cfg(feature = "gzip")]
        2 => {
            use std::io::Write;
            let mut out = Vec::new();
            for member in bytes.chunks(size * 16) {
                let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
                encoder.write_all(member).and_then(|()| encoder.try_finish()).expect("a gzip member");
                drop(encoder);
            }
            Some(out)
        }
        _ => None,
    }
}

fn snappy_stream(bytes: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        let block = snap::raw::Encoder::new().compress_vec(piece).expect("a block");
        out.extend(u32::try_from(block.len()).expect("a small block").to_be_bytes());
        out.extend(block);
    }
    out
}

fn tfrecord_of(records: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    records.iter().for_each(|record| put_frame(&mut out, record));
    out
}

/// `Example` and `SequenceExample`: a record that is read is sound, and what is not asked for does
/// not change what is.
pub fn example(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let records = input.parts();
    let path = folder().join("f");
    write(&path, &tfrecord_of(&records));
    let kind = match flags & 3 {
        0 | 1 => RecordKind::Auto,
        2 => RecordKind::Example,
        _ => RecordKind::Sequence,
    };
    let builder = builder(&path).with_record(kind);
    if flags & 4 != 0 {
        read_in_batches(&builder.clone().with_on_error(OnError::Skip));
        read_in_batches(&builder.clone().with_on_error(OnError::Null));
    }
    drop(builder.build_to_verify().expect("a file").verify(0, &ReadOptions::default(), &mut |_| Ok(())));
    let Some(all) = read_in_batches(&builder) else { return };
    assert_eq!(all.num_rows(), records.len());
    for record in &records {
        assert!(examples::check(record).is_ok());
    }
    let mut names: Vec<String> = all.schema().fields().iter().map(|f| f.name().clone()).collect();
    names.retain(|name| !name.is_empty());
    if let Some(name) = names.get(usize::from(flags >> 3) % names.len().max(1)) {
        let one = read(&builder.clone().with_columns([name.as_str()])).expect("what could be read before");
        assert_eq!(one.column_by_name(name), all.column_by_name(name), "{name}");
    }
}

/// Specs of features whose values are bytes that are decoded.
const ENCODED: [&str; 12] = [
    "tensor<float32>[...]?",
    "tensor<int64>[?]?",
    "tensor<string>[?,2]?",
    "tensor<uint8>[2,2]",
    "tensor<bfloat16>[...]?",
    "tensor<bool>[3]?",
    "raw<int16>[2]",
    "raw<float32>[?,2]?",
    "image?",
    "image<uint16>[?,?,1]?",
    "image[?,?,4]?",
    "image[2,2,3]?",
];

/// Serialized tensors, raw values and images in bytes features.
pub fn encoded(data: &[u8]) {
    let mut input = Input(data);
    let spec = ENCODED[usize::from(input.byte()) % ENCODED.len()];
    let field = |out: &mut Vec<u8>, number: u8, body: &[u8]| {
        out.push(number << 3 | 2);
        put_varint(out, body.len() as u64);
        out.extend_from_slice(body);
    };
    let nested = |body: &[u8], path: &[u8]| {
        path.iter().fold(body.to_vec(), |body, number| {
            let mut out = Vec::new();
            field(&mut out, *number, &body);
            out
        })
    };
    let record = |value: &&[u8]| {
        let mut entry = Vec::new();
        field(&mut entry, 1, b"x");
        field(&mut entry, 2, &nested(value, &[1, 1]));
        nested(&entry, &[1, 1])
    };
    let records: Vec<Vec<u8>> = input.parts().iter().map(record).collect();
    let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let path = folder().join("f");
    write(&path, &tfrecord_of(&records));
    let spec = FeatureSpec::parse(&format!("x:{spec}")).expect("a spec");
    let builder = builder(&path).with_feature(spec);
    let skipped = read_in_batches(&builder.clone().with_on_error(OnError::Skip));
    if let Some(all) = read(&builder) {
        assert_eq!(Some(all), skipped);
    }
}

/// Folders that `tf.data` stored, whole and distributed, of both versions.
pub fn saved_folder(data: &[u8]) {
    let mut input = Input(data);
    let (flags, mask) = (input.byte(), input.byte());
    let (spec, metadata) = (input.part(), input.part());
    let shard = if flags & 4 == 0 { repaired(input.rest(), mask) } else { input.rest().to_vec() };
    let shard = if flags & 8 == 0 { shard } else { snappy_stream(&shard, 64 + usize::from(mask)) };
    let folder = folder();
    if !spec.is_empty() {
        write(&folder.join("dataset_spec.pb"), spec);
    }
    match flags & 3 {
        3 => {
            write(&folder.join("snapshot.metadata"), b"compression: \"\"\n");
            write(&folder.join("DONE"), b"");
            write(&folder.join(format!("chunks/chunk_0_0_{}", mask & 15)), &shard);
        }
        version => {
            let metadata = match metadata {
                [] => {
                    // Field 4 is the version; what comes last counts.
                    let mut metadata = encode::snapshot_metadata("1", 0, &dtypes(spec), 0);
                    metadata.extend([4 << 3, if version == 1 { 1 } else { 2 }]);
                    metadata
                }
                given => given.to_vec(),
            };
            write(&folder.join("snapshot.metadata"), &metadata);
            let run = match crate::tf::snapshot::Metadata::parse(&metadata) {
                Ok(metadata) if metadata.run_id.len() < 64 => metadata.run_id,
                _ => "1".to_owned(),
            };
            write(&folder.join(&run).join("00000000.snapshot"), &shard);
            write(&folder.join(&run).join("00000000.shard/00000000.snapshot"), &shard);
        }
    }
    let builder = builder(&folder).with_unbatch(flags & 16 != 0);
    let all = read_in_batches(&builder);
    if flags & 16 == 0
        && let Some(all) = all
        && let Ok(count) = builder.count()
    {
        assert_eq!(count, all.num_rows() as u64);
    }
    if let Ok(source) = builder.build_to_verify() {
        (0..source.partitions().len()).for_each(|at| {
            drop(source.verify(at, &ReadOptions::default(), &mut |_| Ok(())));
        });
    }
}

/// What a spec's components are stored as.
fn dtypes(spec: &[u8]) -> Vec<DType> {
    let Ok(spec) = structured_value::parse(spec) else { return Vec::new() };
    let stored = |spec: &ElementSpec| match spec {
        ElementSpec::Tensor { dtype, .. } => *dtype,
        _ => DType::Variant,
    };
    spec.components().iter().map(|(_, spec)| stored(spec)).collect()
}

/// The files of `Dataset.cache`: an index whose blocks' CRCs hold, and data.
pub fn cache_files(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let (index, block) = (input.part(), input.part());
    let index = if flags & 1 == 0 { index.to_vec() } else { table(index, block, flags >> 1 & 1) };
    let folder = folder();
    write(&folder.join("c.index"), &index);
    write(&folder.join("c.data-00000-of-00001"), input.rest());
    let builder = builder(&folder.join("c.index"));
    read_in_batches(&builder);
    drop(builder.count());
}

/// A table of one block of entries and a block of the index.
fn table(entries: &[u8], index: &[u8], compression: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |body: &[u8], compression: u8| {
        let at = out.len();
        out.extend_from_slice(body);
        out.push(compression);
        let crc = masked_crc32c(&out[at..]);
        out.extend(crc.to_le_bytes());
        (at as u64, body.len() as u64)
    };
    let entries = put(entries, compression);
    let index = if index.is_empty() {
        // One entry: nothing shared, no key, the block's handle; then one restart.
        let mut handle = Vec::new();
        put_varint(&mut handle, entries.0);
        put_varint(&mut handle, entries.1);
        let mut body = vec![0, 0, handle.len() as u8];
        body.extend(handle);
        body.extend([0, 0, 0, 0, 1, 0, 0, 0]);
        put(&body, 0)
    } else {
        put(index, 0)
    };
    let mut footer = vec![0, 0];
    put_varint(&mut footer, index.0);
    put_varint(&mut footer, index.1);
    footer.resize(40, 0);
    out.extend(footer);
    out.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    out
}

/// A folder of TFDS with one shard of Examples.
pub fn tfds_folder(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let features = input.part();
    let records = input.parts();
    let folder = folder();
    write(&folder.join("features.json"), features);
    let info = json!({
        "name": "d", "version": "1.0.0", "fileFormat": "tfrecord",
        "splits": [{"name": "train", "shardLengths": [records.len().to_string()]}],
    });
    write(&folder.join("dataset_info.json"), info.to_string().as_bytes());
    write(&folder.join("d-train.tfrecord-00000-of-00001"), &tfrecord_of(&records));
    let mut builder = builder(&folder)
        .with_lenient(flags & 1 != 0)
        .with_class_names(flags & 2 != 0)
        .with_decode_images(flags & 4 != 0);
    if flags & 8 != 0 {
        builder = builder.with_explode("steps");
    }
    read_in_batches(&builder.clone().with_on_error(OnError::Skip));
    if let Some(all) = read_in_batches(&builder)
        && flags & 8 == 0
    {
        assert_eq!(all.num_rows(), records.len());
    }
}
