//! Random records read by tfarrow and by `prost`, a conforming protobuf decoder: every feature must
//! come out the same, however the message was written.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::collections::{BTreeMap, HashMap};
use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Int64Type};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use tfarrow::options::RecordKind;
use tfarrow::schema::FeatureSpec;
use tfarrow::{DType, ReaderBuilder, Shape};

// tensorflow/core/example/{example,feature}.proto

#[derive(Clone, PartialEq, Message)]
struct BytesList {
    #[prost(bytes = "vec", repeated, tag = "1")]
    value: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct FloatList {
    #[prost(float, repeated, tag = "1")]
    value: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct Int64List {
    #[prost(int64, repeated, tag = "1")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
#[allow(clippy::enum_variant_names)] // the names of the message
enum Kind {
    #[prost(message, tag = "1")]
    BytesList(BytesList),
    #[prost(message, tag = "2")]
    FloatList(FloatList),
    #[prost(message, tag = "3")]
    Int64List(Int64List),
}

#[derive(Clone, PartialEq, Message)]
struct Feature {
    #[prost(oneof = "Kind", tags = "1, 2, 3")]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Message)]
struct Features {
    #[prost(map = "string, message", tag = "1")]
    feature: HashMap<String, Feature>,
}

#[derive(Clone, PartialEq, Message)]
struct FeatureList {
    #[prost(message, repeated, tag = "1")]
    feature: Vec<Feature>,
}

#[derive(Clone, PartialEq, Message)]
struct FeatureLists {
    #[prost(map = "string, message", tag = "1")]
    feature_list: HashMap<String, FeatureList>,
}

#[derive(Clone, PartialEq, Message)]
struct SequenceExample {
    #[prost(message, optional, tag = "1")]
    context: Option<Features>,
    #[prost(message, optional, tag = "2")]
    feature_lists: Option<FeatureLists>,
}

// Messages written by hand, in every way that the wire format allows.

fn varint(out: &mut Vec<u8>, mut value: u64, pad: bool) {
    let mut bytes = 1;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
        bytes += 1;
    }
    if pad && bytes < 9 {
        // Not the shortest form, and allowed.
        out.extend([value as u8 | 0x80, 0]);
    } else {
        out.push(value as u8);
    }
}

fn delimited(field: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, field << 3 | 2, false);
    varint(&mut out, body.len() as u64, false);
    out.extend(body);
    out
}

/// A field that no message here knows.
fn unknown() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![Just(15u64), Just(100), Just(5000)];
    (field, 0u8..5, any::<u64>(), vec(any::<u8>(), 0..6)).prop_map(|(field, wire, number, bytes)| {
        let mut out = Vec::new();
        let tag = |out: &mut Vec<u8>, wire: u64| varint(out, field << 3 | wire, false);
        match wire {
            0 => {
                tag(&mut out, 0);
                varint(&mut out, number, true);
            }
            1 => {
                tag(&mut out, 1);
                out.extend(number.to_le_bytes());
            }
            2 => out = delimited(field, &bytes),
            3 => {
                tag(&mut out, 5);
                out.extend((number as u32).to_le_bytes());
            }
            _ => {
                tag(&mut out, 3);
                out.extend(delimited(7, &bytes));
                tag(&mut out, 4);
            }
        }
        out
    })
}

/// Pieces of a message in the order given, with unknown fields among them.
fn scattered(pieces: Vec<Vec<u8>>, unknown: Vec<(Index, Vec<u8>)>) -> Vec<u8> {
    let mut pieces = pieces;
    for (at, field) in unknown {
        let at = at.index(pieces.len() + 1);
        pieces.insert(at, field);
    }
    pieces.concat()
}

fn with_unknown(pieces: impl Strategy<Value = Vec<Vec<u8>>>) -> impl Strategy<Value = Vec<u8>> {
    (pieces, vec((any::<Index>(), unknown()), 0..2)).prop_map(|(pieces, unknown)| scattered(pieces, unknown))
}

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -2i64..200, Just(i64::MIN), Just(i64::MAX)]
}

/// A list of one kind: runs of packed and unpacked values.
fn list(kind: u64) -> BoxedStrategy<Vec<u8>> {
    match kind {
        1 => with_unknown(vec(vec(any::<u8>(), 0..5).prop_map(|value| delimited(1, &value)), 0..4)).boxed(),
        2 => {
            let run = (vec(any::<f32>(), 0..4), any::<bool>()).prop_map(|(values, packed)| {
                if packed {
                    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                    return delimited(1, &bytes);
                }
                values.iter().flat_map(|v| [&[0x0d][..], &v.to_le_bytes()].concat()).collect()
            });
            with_unknown(vec(run, 0..3)).boxed()
        }
        _ => {
            let run = (vec((int(), any::<bool>()), 0..4), any::<bool>()).prop_map(|(values, packed)| {
                let mut out = Vec::new();
                for (value, pad) in values {
                    if !packed {
                        out.push(0x08);
                    }
                    varint(&mut out, value.cast_unsigned(), pad);
                }
                if packed { delimited(1, &out) } else { out }
            });
            with_unknown(vec(run, 0..3)).boxed()
        }
    }
}

/// A feature, which may say nothing, one thing, or several things.
fn feature() -> impl Strategy<Value = Vec<u8>> {
    let one = (1u64..=3).prop_flat_map(|kind| list(kind).prop_map(move |list| delimited(kind, &list)));
    with_unknown(vec(one, 0..3))
}

/// A map entry: key and value in either order, or one of them missing, or the value in two parts.
fn entry(value: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just(""), Just("a"), Just("b"), Just("c/d"), Just("é")];
    (name, vec(value, 0..3), any::<bool>(), any::<bool>()).prop_map(|(name, values, swap, no_key)| {
        let key = if no_key && name.is_empty() { Vec::new() } else { delimited(1, name.as_bytes()) };
        let values: Vec<u8> = values.iter().flat_map(|value| delimited(2, value)).collect();
        delimited(1, &if swap { [values, key].concat() } else { [key, values].concat() })
    })
}

fn example() -> impl Strategy<Value = Vec<u8>> {
    let features = with_unknown(vec(entry(feature().boxed()), 0..6));
    with_unknown(vec(features.prop_map(|features| delimited(1, &features)), 0..3))
}

fn sequence_example() -> impl Strategy<Value = Vec<u8>> {
    let steps = with_unknown(vec(feature().prop_map(|feature| delimited(1, &feature)), 0..4));
    let lists = with_unknown(vec(entry(steps.boxed()), 0..4));
    let features = with_unknown(vec(entry(feature().boxed()), 0..3));
    let parts = prop_oneof![
        lists.prop_map(|lists| delimited(2, &lists)),
        features.prop_map(|features| delimited(1, &features)),
    ];
    with_unknown(vec(parts, 0..4))
}

// What came out, in a form that both sides can be brought to.

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Missing,
    Bytes(Vec<Vec<u8>>),
    /// As bits: a NaN is equal to itself.
    Floats(Vec<u32>),
    Ints(Vec<i64>),
}

impl Values {
    fn of(feature: &Feature) -> Self {
        match &feature.kind {
            None => Values::Missing,
            Some(Kind::BytesList(list)) => Values::Bytes(list.value.clone()),
            Some(Kind::FloatList(list)) => Values::Floats(list.value.iter().map(|v| v.to_bits()).collect()),
            Some(Kind::Int64List(list)) => Values::Ints(list.value.clone()),
        }
    }

    fn dtype(&self) -> Option<DType> {
        Some(match self {
            Values::Missing => return None,
            Values::Bytes(_) => DType::String,
            Values::Floats(_) => DType::Float32,
            Values::Ints(_) => DType::Int64,
        })
    }

    fn read(column: &ArrayRef, row: usize) -> Self {
        let lists = column.as_list::<i32>();
        if lists.is_null(row) {
            return Values::Missing;
        }
        let values = lists.value(row);
        match values.data_type() {
            DataType::Binary => {
                Values::Bytes(values.as_binary::<i32>().iter().map(|v| v.unwrap().to_vec()).collect())
            }
            DataType::Float32 => Values::Floats(
                values.as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect(),
            ),
            _ => Values::Ints(values.as_primitive::<Int64Type>().values().to_vec()),
        }
    }
}

fn crc(data: &[u8]) -> [u8; 4] {
    (crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)).to_le_bytes()
}

/// A TFRecord file of these records.
fn file(records: &[Vec<u8>]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for record in records {
        let length = (record.len() as u64).to_le_bytes();
        for part in [&length[..], &crc(&length), record, &crc(record)] {
            file.write_all(part).unwrap();
        }
    }
    file
}

fn list_spec(name: &str, dtype: DType) -> FeatureSpec {
    FeatureSpec::values(name, dtype, Shape::Dims(vec![None]))
}

/// Reads one record, which stands there twice, as two rows of these features: where a feature is in
/// the first record is where it is looked for in the second.
fn read(record: &[u8], specs: Vec<FeatureSpec>, kind: RecordKind) -> HashMap<String, ArrayRef> {
    let file = file(&[record.to_vec(), record.to_vec()]);
    let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
    let builder = ReaderBuilder::new([file.path().to_str().unwrap()]).with_record(kind);
    let mut reader = builder.with_features(specs).build().unwrap();
    let batch = reader.next().unwrap().unwrap();
    assert_eq!(batch.num_rows(), 2);
    names.into_iter().map(|name| (name.clone(), batch.column_by_name(&name).unwrap().clone())).collect()
}

/// Why a record that protobuf reads is none that anybody writes, if it is not.
fn refused(record: &[u8]) -> Option<String> {
    let file = file(&[record.to_vec()]);
    let builder = ReaderBuilder::new([file.path().to_str().unwrap()]).with_record(RecordKind::Sequence);
    let known = |error: &tfarrow::Error| {
        let kinds = ["no key and value", "a feature's name is a message itself", "and no features"];
        Some(error.message()).filter(|why| kinds.iter().any(|kind| why.contains(kind)))
    };
    let specs = [FeatureSpec::parse("nobody asks for this:int64?").unwrap()];
    let mut reader = match builder.with_features(specs).build() {
        Ok(reader) => reader,
        Err(error) => return known(&error),
    };
    known(&reader.next()?.err()?)
}

/// Compares every feature of a record.
fn compare_features(record: &[u8], decoded: &SequenceExample) -> Result<(), TestCaseError> {
    let features = decoded.context.clone().unwrap_or_default().feature;
    let expected: BTreeMap<_, _> = features.iter().map(|(name, f)| (name, Values::of(f))).collect();
    let typed = expected.iter().filter_map(|(name, values)| Some(list_spec(name, values.dtype()?)));
    let specs: Vec<_> = typed.collect();
    if specs.is_empty() {
        return Ok(());
    }
    // Each on its own, and all together.
    for specs in specs.iter().map(|spec| vec![spec.clone()]).chain([specs.clone()]) {
        for (name, column) in read(record, specs, RecordKind::Sequence) {
            for row in 0..2 {
                prop_assert_eq!(&Values::read(&column, row), &expected[&name], "feature {}", name);
            }
        }
    }
    Ok(())
}

/// Compares every feature list of a record whose steps are of one kind.
fn compare_feature_lists(record: &[u8], decoded: &SequenceExample) -> Result<(), TestCaseError> {
    let lists = decoded.feature_lists.clone().unwrap_or_default().feature_list;
    let mut specs = Vec::new();
    let mut expected = HashMap::new();
    for (name, list) in &lists {
        let steps: Vec<_> = list.feature.iter().map(Values::of).collect();
        let mut dtypes = steps.iter().filter_map(Values::dtype);
        let first = dtypes.next().unwrap_or(DType::Int64);
        if dtypes.all(|dtype| dtype == first) {
            specs.push(list_spec(name, first).in_feature_lists());
            expected.insert(name.clone(), steps);
        }
    }
    if specs.is_empty() {
        return Ok(());
    }
    for (name, column) in read(record, specs, RecordKind::Sequence) {
        let steps = column.as_list::<i32>().value(0);
        let found: Vec<_> = (0..steps.len()).map(|step| Values::read(&steps, step)).collect();
        prop_assert_eq!(&found, &expected[&name], "feature list {}", name);
    }
    Ok(())
}

/// Cases of `tests/golden/proto` that prost refuses and other decoders accept.
const STRICTER_IN_PROST: [&str; 2] = [
    // Bits above the 64th are dropped by all others.
    "varint_10_bytes_high_bits",
    // A field of another wire type is an unknown field.
    "int64_wrong_wire_type",
];

/// Cases in which TensorFlow's own parser does not do what protobuf says.
const OTHERWISE_IN_TENSORFLOW: [&str; 6] = [
    "int64_mixed_packed_unpacked",
    "int64_list_split_in_two",
    "float_packed_bad_len",
    "two_kinds_in_feature_b",
    "dup_key_second_empty",
    "malformed_len_huge",
];

#[test]
fn every_golden_case_is_read_as_protobuf_reads_it() {
    let (mut compared, mut refused, mut as_tensorflow) = (0, 0, 0);
    for file in ["example_cases.json", "sequence_example_cases.json"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/proto").join(file);
        let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            for hex in case["serialized_hex"].as_array().unwrap() {
                let record = bytes_of(hex.as_str().unwrap());
                match SequenceExample::decode(record.as_slice()) {
                    Ok(decoded) => {
                        compare_features(&record, &decoded).unwrap();
                        compare_feature_lists(&record, &decoded).unwrap();
                        compared += 1;
                    }
                    Err(_) if STRICTER_IN_PROST.contains(&name) => {}
                    Err(error) => {
                        let read = read_all(&record);
                        assert!(read.is_err(), "{name}: prost: {error}; read all the same");
                        refused += 1;
                    }
                }
            }
            let tensorflow = &case["parse_single_example"]["result"]["a"]["values"];
            let is_list = case["spec"] == "a: VarLen int64";
            if is_list && tensorflow["dtype"] == "int64" && !OTHERWISE_IN_TENSORFLOW.contains(&name) {
                let record = bytes_of(case["serialized_hex"][0].as_str().unwrap());
                let column = &read(&record, vec![list_spec("a", DType::Int64)], RecordKind::Example)["a"];
                let expected = bytes_of(tensorflow["hex"].as_str().unwrap());
                let expected: Vec<i64> =
                    expected.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
                match Values::read(column, 0) {
                    Values::Missing => assert!(expected.is_empty(), "{name}"),
                    values => assert_eq!(values, Values::Ints(expected), "{name}"),
                }
                as_tensorflow += 1;
            }
        }
    }
    assert!(compared > 70 && refused > 2 && as_tensorflow > 10, "{compared} {refused} {as_tensorflow}");
}

fn read_all(record: &[u8]) -> tfarrow::Result<Vec<arrow::array::RecordBatch>> {
    let file = file(&[record.to_vec()]);
    let builder = ReaderBuilder::new([file.path().to_str().unwrap()]).with_record(RecordKind::Sequence);
    builder.build()?.collect()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn examples_are_read_as_protobuf_reads_them(record in example()) {
        compare_features(&record, &SequenceExample::decode(record.as_slice()).unwrap())?;
    }

    #[test]
    fn sequence_examples_are_read_as_protobuf_reads_them(record in sequence_example()) {
        let decoded = SequenceExample::decode(record.as_slice()).unwrap();
        compare_features(&record, &decoded)?;
        compare_feature_lists(&record, &decoded)?;
    }

    #[test]
    fn mutated_records_are_read_as_protobuf_reads_them_or_refused(
        mut record in sequence_example(),
        mutations in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        for (at, byte) in mutations {
            if !record.is_empty() {
                let at = at.index(record.len());
                // Wire types stay: prost does not look at those of map entries.
                record[at] = byte & !7 | record[at] & 7;
            }
        }
        if let Ok(decoded) = SequenceExample::decode(record.as_slice()) {
            if refused(&record).is_none() {
                compare_features(&record, &decoded)?;
                compare_feature_lists(&record, &decoded)?;
            }
        } else {
            // prost is stricter than others about fields of an unexpected wire type; what counts
            // is that this ends.
            drop(read_all(&record));
        }
    }
}
