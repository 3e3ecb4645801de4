//! Decoders that take a message as a whole.

use arrow::datatypes::{DataType, Field};
use serde_json::{Value as Json, json};

use super::{Input, text};
#[cfg(feature = "image")]
use crate::error::Error;
use crate::schema::Projection;
use crate::schema::cast::Cast;
use crate::schema::feature::{FeatureSpec, Missing};
use crate::schema::features_file::parse_features;
use crate::schema::mapping::MappingOptions;
use crate::schema::tfds::{TfdsOptions, TfdsPlan};
use crate::tensor::extension::{
    EXTENSION_METADATA, EXTENSION_NAME, FixedShapeTensor, VariableShapeTensor, item,
};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::snapshot::{DistributedMetadata, Metadata};
use crate::tf::spec::ElementSpec;
use crate::tf::tensor_proto::{Data, Tensor};
use crate::tf::tfds::info::DatasetInfo;
use crate::tf::tfds::{Feature, split as splits};
use crate::tf::variant::{self as variants, Value};
use crate::tf::{encode, graph_def as graphs, structured_value};
#[cfg(feature = "image")]
use crate::wire::image::{self as images, Header, Request};
use crate::wire::snappy as blocks;

/// Values that are compared one by one: a message can stand for far more.
const COMPARED: usize = 1 << 16;

/// `TensorProto`: what is read, written and read again is the same.
pub fn tensor_proto(data: &[u8]) {
    let Ok(mut tensor) = Tensor::parse(data) else { return };
    let product = tensor.dims().iter().try_fold(1u64, |a, b| a.checked_mul(*b));
    assert_eq!(product, Some(tensor.len() as u64));
    tensor.index();
    drop(tensor.to_i64s());
    let (content, strings) = match tensor.data() {
        Data::Bytes(bytes) => {
            assert_eq!(tensor.dtype().item_bytes().map(|n| n * tensor.len()), Some(bytes.len()));
            (bytes.to_vec(), None)
        }
        Data::Strings(strings) | Data::Variants(strings) => {
            assert_eq!(strings.len(), tensor.len());
            if tensor.len() > COMPARED {
                return;
            }
            let middle = strings.len() / 2;
            assert!(strings.range(middle..strings.len()).eq(strings.iter().skip(middle)));
            (encode::list(strings.iter()), Some(strings))
        }
    };
    let written = encode::tensor(tensor.dtype(), tensor.dims(), &content);
    let again = Tensor::parse(&written).expect("what was written");
    assert_eq!((again.dtype(), again.dims()), (tensor.dtype(), tensor.dims()));
    match (again.data(), strings) {
        (Data::Bytes(bytes), None) => assert_eq!(**bytes, content),
        (Data::Strings(again) | Data::Variants(again), Some(strings)) => {
            assert!(again.iter().eq(strings.iter()));
        }
        _ => panic!("another kind of data"),
    }
}

/// Specs that variants are read as.
fn variant_spec(choice: u8) -> ElementSpec {
    let any = |rank: usize| Shape::Dims(vec![None; rank]);
    let ragged = |dtype, shape, ragged_rank, row_splits_dtype| ElementSpec::Ragged {
        dtype,
        shape,
        ragged_rank,
        row_splits_dtype,
    };
    let tensor = ElementSpec::tensor(DType::Int64, Shape::UnknownRank);
    match choice % 12 {
        0 => ragged(DType::Float32, any(2), 1, DType::Int64),
        1 => ragged(DType::Int64, any(2), 1, DType::Int64),
        2 => ragged(DType::Int32, any(3), 2, DType::Int32),
        3 => ragged(DType::String, any(4), 3, DType::Int64),
        4 => ragged(DType::Float32, Shape::UnknownRank, 1, DType::Int64),
        5 => ragged(DType::Int64, any(1), 0, DType::Int64),
        6 => ElementSpec::Sparse { dtype: DType::Int64, shape: Shape::UnknownRank },
        7 => ElementSpec::Sparse { dtype: DType::Float32, shape: any(2) },
        8 => ElementSpec::Sparse { dtype: DType::String, shape: any(3) },
        9 => ElementSpec::Optional(Box::new(tensor)),
        10 => ElementSpec::Optional(Box::new(ElementSpec::Tuple(vec![
            ragged(DType::Float32, any(2), 1, DType::Int64),
            ElementSpec::Sparse { dtype: DType::Int64, shape: any(1) },
            ElementSpec::Optional(Box::new(tensor)),
        ]))),
        _ => ElementSpec::Dataset(Box::new(tensor)),
    }
}

/// `VariantTensorDataProto`: ragged and sparse values and optionals fit together when they are read.
pub fn variant(data: &[u8]) {
    let mut input = Input(data);
    let spec = variant_spec(input.byte());
    let Ok(tensor) = Tensor::parse(input.rest()) else { return };
    drop((variants::type_name(&tensor), variants::ragged_parts(&tensor), variants::sparse_parts(&tensor)));
    variants::leading_dim(&spec, &tensor);
    let Ok(mut value) = variants::decode(&spec, tensor) else { return };
    value.index();
    check_value(&value);
}

fn check_value(value: &Value<'_>) {
    match value {
        Value::Tensor(_) | Value::Dataset(_) | Value::Optional(None) => {}
        Value::Optional(Some(values)) => values.iter().for_each(check_value),
        Value::Ragged(ragged) => {
            let first = |tensor: &Tensor<'_>| tensor.dims().first().copied().unwrap_or_default();
            let values: u64 = ragged.values.iter().map(first).sum();
            let mut inner = ragged.splits.iter().skip(1).map(|splits| splits.len() as i64 - 1);
            for splits in &ragged.splits {
                assert_eq!(splits.first(), Some(&0));
                assert!(splits.is_sorted());
                let rows = inner.next().unwrap_or(values as i64);
                assert_eq!(splits.last(), Some(&rows));
            }
        }
        Value::Sparse(sparse) => {
            let values: usize = sparse.values.iter().map(Tensor::len).sum();
            assert_eq!(sparse.indices.len(), values * sparse.dense_shape.len());
            for at in sparse.indices.chunks(sparse.dense_shape.len().max(1)) {
                assert!(at.iter().zip(&sparse.dense_shape).all(|(at, size)| (0..*size).contains(at)));
            }
        }
    }
}

/// Element specs, as `StructuredValue` and as JSON: what is read is what is written.
pub fn element_spec(data: &[u8]) {
    let spec = match data {
        [b'{' | b'[' | b'"', ..] => {
            let Ok(json) = serde_json::from_slice(data) else { return };
            ElementSpec::from_json(&json)
        }
        _ => structured_value::parse(data),
    };
    let Ok(spec) = spec else { return };
    let again = ElementSpec::from_json(&spec.to_json()).expect("JSON that was written");
    assert_eq!(again, spec);
    if let Ok(written) = encode::element_spec(&spec) {
        assert_eq!(structured_value::parse(&written).expect("a message that was written"), spec);
    }
    drop(crate::tf::unbatch::unbatched(&spec));
}

/// `snapshot.metadata` of saves and, as text, of distributed saves.
pub fn snapshot(data: &[u8]) {
    drop(DistributedMetadata::parse(data));
    let Ok(metadata) = Metadata::parse(data) else { return };
    let Ok(elements) = u64::try_from(metadata.num_elements) else { return };
    let written = encode::snapshot_metadata(&metadata.run_id, 0, &metadata.dtypes, elements);
    let again = Metadata::parse(&written).expect("what was written");
    assert_eq!((again.dtypes, again.num_elements), (metadata.dtypes, metadata.num_elements));
    assert_eq!(again.run_id, metadata.run_id);
}

/// Raw Snappy blocks: what is told from the first bytes is what decoding gives.
pub fn snappy(data: &[u8]) {
    const CAP: u64 = 1 << 20;
    let mut decoded = Vec::new();
    let is_sound = blocks::decode(data, CAP, &mut decoded).is_ok();
    let mut stream = u32::try_from(data.len()).expect("a small input").to_be_bytes().to_vec();
    stream.extend(data);
    let first = blocks::first_bytes::<12>(&stream);
    if is_sound {
        assert!(decoded.len() as u64 <= CAP);
        assert_eq!(first.as_ref(), decoded.first_chunk());
    }
    let _ = blocks::first_bytes::<12>(data);
}

/// Encoded images, with channels and bits asked for: what comes out is as large as was told, the same
/// again, and nothing comes out of one that is not accepted.
#[cfg(feature = "image")]
pub fn image(data: &[u8]) {
    const MOST_PIXELS: u64 = 1 << 20;
    let mut input = Input(data);
    let asked = input.byte();
    let channels = [None, Some(1), Some(2), Some(3), Some(4)].get(usize::from(asked & 7)).copied().flatten();
    let request = Request {
        channels,
        bits: [None, Some(8), Some(16)].get(usize::from(asked >> 3 & 3)).copied().flatten(),
    };
    let bytes = input.rest();
    let decode = || {
        let (mut told, mut pixels) = (None, Vec::new());
        let decoded = images::decode(bytes, request, &mut pixels, &mut |header| {
            told = Some(*header);
            // More would tell the fuzzer nothing, and take long.
            let pixels =
                header.frames.unwrap_or(1).saturating_mul(header.height.saturating_mul(header.width));
            if pixels > MOST_PIXELS { Err(Error::limit("image is too large")) } else { Ok(()) }
        });
        let header = decoded.ok()?;
        assert_eq!(Some(header), told);
        let Header { frames, height, width, channels, bits, .. } = header;
        assert!(
            request.channels.is_none_or(|asked| asked == channels)
                && request.bits.is_none_or(|asked| asked == bits)
        );
        let size = frames.unwrap_or(1) * height * width * u64::from(channels) * u64::from(bits / 8);
        assert_eq!(pixels.len() as u64, size);
        Some((header, pixels))
    };
    assert!(decode() == decode());
    let refuse = &mut |_: &Header| Err(Error::limit("image is not accepted"));
    assert!(images::decode(bytes, request, &mut Vec::new(), refuse).is_err());
}

/// `features.json` and `dataset_info.json` of TFDS, up to the plan of the columns.
pub fn tfds_metadata(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let Ok(json) = serde_json::from_slice::<Json>(input.rest()) else { return };
    if let Ok(info) = DatasetInfo::from_json(&json) {
        drop(info.full_name());
        for split in &info.splits {
            for format in &info.formats {
                let Ok(name) = split.file_name(&info.name, *format, 0) else { continue };
                assert!(!name.starts_with('/') && name.split(['/', '\\']).all(|part| part != ".."));
            }
        }
    }
    let Ok(feature) = Feature::from_json(&json, flags & 1 != 0) else { return };
    let options = TfdsOptions {
        mapping: &MappingOptions::default(),
        projection: &Projection::default(),
        class_names: flags & 2 != 0,
        decode_images: flags & 4 != 0,
        explode: (flags & 8 != 0).then_some("steps"),
        null_values: flags & 16 != 0,
        labels: &|_| Ok(Some(vec!["a".to_owned(), "b".to_owned()])),
    };
    if let Ok(plan) = TfdsPlan::new(&feature, &options) {
        // Exploding adds two columns that no feature stands for.
        assert!(plan.schema.fields().len() >= plan.columns.len());
    }
}

/// Slices of splits lie within them.
pub fn split(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let info = json!({"name": "d", "splits": [
        {"name": "train", "shardLengths": ["300", "301", "399"]},
        {"name": "test", "shardLengths": ["7"]},
        {"name": "empty", "shardLengths": ["0", "0"]},
        {"name": "unknown"},
    ]});
    let info = DatasetInfo::from_json(&info).expect("an info");
    for slice in splits::parse(text, &info.splits).into_iter().flatten() {
        let examples = info.splits[slice.split].examples();
        let to = slice.to.or(examples).unwrap_or(u64::MAX);
        assert!(slice.from <= to && to <= examples.unwrap_or(u64::MAX), "{text}: {slice:?}");
    }
}

/// Feature files: JSON, or a `schema.pbtxt`. A spec is what its text says.
pub fn features_file(data: &[u8]) {
    let Some(text) = text(data) else { return };
    for spec in parse_features(text).into_iter().flatten() {
        check_spec(spec);
    }
}

/// `NAME:TYPE`, and what else is written on the command line in such a form.
pub fn feature_spec(data: &[u8]) {
    let Some(text) = text(data) else { return };
    drop(Cast::parse(text));
    if let Ok(spec) = FeatureSpec::parse(text) {
        check_spec(spec);
    }
}

fn check_spec(mut spec: FeatureSpec) {
    let text = spec.to_string();
    let again = FeatureSpec::parse_type(&spec.name, &text).expect("a type that was written");
    // What the text of a type does not say.
    spec.feature_list = false;
    if spec.is_list() && spec.missing == Missing::Error {
        spec.missing = Missing::Null;
    }
    assert_eq!(again, spec, "{text}");
    drop(spec.element_spec());
}

/// The metadata of tensor columns, as any writer of Arrow may have put it.
pub fn extension(data: &[u8]) {
    let mut input = Input(data);
    let choice = input.byte();
    let fixed = |n| DataType::FixedSizeList(item(DataType::Float32), n);
    let storage = match choice >> 1 & 7 {
        0 => fixed(6),
        1 => fixed(0),
        2 => fixed(1),
        3 => VariableShapeTensor::storage(DataType::UInt8, 2).expect("a storage type"),
        4 => VariableShapeTensor::storage(DataType::Utf8, 0).expect("a storage type"),
        5 => DataType::List(item(DataType::Int64)),
        6 => DataType::FixedSizeList(item(fixed(3)), 2),
        _ => DataType::Int64,
    };
    let kind = if choice & 1 == 0 { "arrow.fixed_shape_tensor" } else { "arrow.variable_shape_tensor" };
    let metadata = String::from_utf8_lossy(input.rest()).into_owned();
    let metadata = [(EXTENSION_NAME.to_owned(), kind.to_owned()), (EXTENSION_METADATA.to_owned(), metadata)];
    let field = Field::new("x", storage, true).with_metadata(metadata.into());
    if let Ok(Some(tensor)) = FixedShapeTensor::from_field(&field) {
        let again = tensor.field("x", DataType::Float32).expect("a type that fits its storage");
        assert_eq!(FixedShapeTensor::from_field(&again).expect("what was written"), Some(tensor));
    }
    if let Ok(Some(tensor)) = VariableShapeTensor::from_field(&field) {
        let again = tensor.field("x", DataType::UInt8, 2).expect("a type");
        let again = VariableShapeTensor::from_field(&again).expect("what was written").expect("a tensor");
        assert_eq!((again.dim_names, again.permutation), (tensor.dim_names, tensor.permutation));
    }
    #[cfg(feature = "ndarray")]
    {
        use crate::array::column::TensorColumn;
        const ROWS: usize = 2;
        let array = arrow::array::new_null_array(field.data_type(), ROWS);
        let Ok(column) = TensorColumn::try_new(&field, &*array) else { return };
        assert_eq!(column.len(), ROWS);
        drop((column.view::<f32>(), column.row::<u8>(0), column.ragged(), column.bytes()));
        drop((column.view_masked::<f32>(), column.sparse()));
    }
}

/// `GraphDef`: the name of the dataset's node is a name.
pub fn graph_def(data: &[u8]) {
    if let Ok(name) = graphs::dataset_output(data) {
        assert!(!name.is_empty());
    }
}

/// A Riegeli chunk, or the index of an ArrayRecord file, whose hashes hold.
///
/// Chunks decode to the same records wherever they stand in a file.
#[cfg(feature = "array-record")]
pub fn riegeli(data: &[u8]) {
    use crate::wire::riegeli::{ChunkDecoder, array_record};
    const CAP: u64 = 1 << 20;
    let mut input = Input(data);
    let (kind, records) = (input.byte(), input.number());
    let size = input.number() << 8 | usize::from(input.byte());
    if kind == b'i' {
        let begin = size as u64;
        let raw = chunk(b'r', records, input.0.len(), input.rest(), begin);
        let Ok(index) = array_record::read_index(&raw, begin) else { return };
        for chunk in 0..index.chunks() {
            let (first, next) = (index.first_record(chunk), index.first_record(chunk + 1));
            assert!(first <= next && index.offset(chunk) < index.offset(chunk + 1));
            if first < next {
                assert_eq!((index.chunk_of(first), index.chunk_of(next - 1)), (chunk, chunk));
            }
        }
        return;
    }
    let data = input.rest();
    let decode = |begin: u64| {
        let raw = chunk(kind, records, size, data, begin);
        let mut decoder = ChunkDecoder::default();
        let decoded = decoder.decode(&raw, begin, CAP).ok()?;
        Some((0..decoded.len()).map(|i| decoded.get(i).expect("a record").to_vec()).collect::<Vec<_>>())
    };
    let found = decode(64);
    if let Some(found) = &found {
        assert!(found.len() == records || found.is_empty());
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), if found.is_empty() { 0 } else { size });
    }
    // Block headers stand between the bytes of one that lies across a border.
    assert_eq!(decode((1 << 16) - 50), found);
}

/// A chunk as it stands at `begin` in a file, with block headers where they belong.
#[cfg(feature = "array-record")]
fn chunk(kind: u8, records: usize, size: usize, data: &[u8], begin: u64) -> Vec<u8> {
    use crate::wire::riegeli::{BLOCK_BYTES, BLOCK_HEADER_BYTES, hash};
    let words = [data.len() as u64, hash(data), u64::from(kind) | (records as u64) << 8, size as u64];
    let words: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    let chunk = [&hash(&words).to_le_bytes()[..], &words, data].concat();
    let mut raw = Vec::with_capacity(chunk.len() + 64);
    for byte in chunk {
        while (begin + raw.len() as u64) % BLOCK_BYTES < BLOCK_HEADER_BYTES {
            raw.push(0);
        }
        raw.push(byte);
    }
    raw
}
