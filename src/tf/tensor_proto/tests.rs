use super::*;
use crate::tf::spec::ElementSpec;
use proptest::prelude::*;
use serde_json::Value as Json;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// Every case that `tf.io.parse_tensor` was asked about.
#[test]
fn tensorflow_agrees() {
    let text = std::fs::read_to_string("tests/golden/tensorproto/cases.json").unwrap();
    let cases: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 150);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let message = unhex(case["serialized_hex"].as_str().unwrap());
        let parsed = Tensor::parse(&message);
        if case.get("error").is_some() {
            assert!(parsed.is_err(), "{name}");
            continue;
        }
        let tensor = parsed.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            tensor.dtype().name(),
            case["dtype"].as_str().unwrap().replace("half", "float16"),
            "{name}"
        );
        let result = &case["result"];
        if result["kind"] != "tensor" {
            continue;
        }
        let dims: Vec<u64> = serde_json::from_value(result["shape"].clone()).unwrap();
        assert_eq!(tensor.dims(), dims, "{name}");
        match tensor.data() {
            Data::Bytes(bytes) => assert_eq!(bytes[..], unhex(result["hex"].as_str().unwrap()), "{name}"),
            Data::Strings(strings) => {
                let expected: Vec<String> = serde_json::from_value(result["values_hex"].clone()).unwrap();
                let found: Vec<_> = strings.iter().map(<[u8]>::to_vec).collect();
                let expected: Vec<_> = expected.iter().map(|s| unhex(s)).collect();
                assert_eq!(found, expected, "{name}");
            }
            Data::Variants(_) => panic!("{name}"),
        }
    }
}

#[test]
fn small_messages_cannot_ask_for_much_memory() {
    // int8, shape [2^30], one value.
    let bomb = [0x08, 0x06, 0x12, 0x08, 0x12, 0x06, 0x08, 0x80, 0x80, 0x80, 0x80, 0x04, 0x3a, 0x01, 0x01];
    assert_eq!(Tensor::parse(&bomb).unwrap_err().kind(), crate::error::ErrorKind::Limit);
    // string, shape [2^20], one value of 1,000 bytes.
    let mut bomb = vec![0x08, 0x07, 0x12, 0x06, 0x12, 0x04, 0x08, 0x80, 0x80, 0x40, 0x42, 0xe8, 0x07];
    bomb.extend([b'x'; 1000]);
    assert_eq!(Tensor::parse(&bomb).unwrap_err().kind(), crate::error::ErrorKind::Limit);
}

#[test]
fn packed_floats_and_content_are_borrowed() {
    let message =
        [0x08, 0x01, 0x12, 0x04, 0x12, 0x02, 0x08, 0x02, 0x2a, 0x08, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40];
    let tensor = Tensor::parse(&message).unwrap();
    assert!(matches!(tensor.data(), Data::Bytes(Cow::Borrowed(_))));
    let long = Dims::new(&[1, 2, 3, 4, 5, 6]);
    assert_eq!(&*long, [1, 2, 3, 4, 5, 6]);
    assert_eq!(long.num_elements(), Some(720));
}

#[test]
fn split_fields_are_concatenated() {
    // float_val packed [1.0], then unpacked 2.0, then packed [3.0].
    let message = [
        0x08, 0x01, 0x12, 0x04, 0x12, 0x02, 0x08, 0x03, 0x2a, 0x04, 0, 0, 0x80, 0x3f, 0x2d, 0, 0, 0, 0x40,
        0x2a, 0x04, 0, 0, 0x40, 0x40,
    ];
    let tensor = Tensor::parse(&message).unwrap();
    let Data::Bytes(bytes) = tensor.data() else { panic!() };
    assert_eq!(bytes[..], [1f32, 2.0, 3.0].map(f32::to_le_bytes).concat());
}

#[derive(Clone, PartialEq, prost::Message)]
struct DimProto {
    #[prost(int64, tag = "1")]
    size: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ShapeProto {
    #[prost(message, repeated, tag = "2")]
    dim: Vec<DimProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TensorMessage {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<ShapeProto>,
    #[prost(bytes, tag = "4")]
    content: Vec<u8>,
    #[prost(float, repeated, tag = "5")]
    float_val: Vec<f32>,
    #[prost(int32, repeated, tag = "7")]
    int_val: Vec<i32>,
    #[prost(bytes, repeated, tag = "8")]
    string_val: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "10")]
    int64_val: Vec<i64>,
}

proptest! {
    #[test]
    fn what_another_writer_makes_is_read(
        dims in proptest::collection::vec(0i64..5, 0..4),
        ints in proptest::collection::vec(any::<i64>(), 1..30),
        kind in 0..4,
    ) {
        let len = usize::try_from(dims.iter().product::<i64>()).unwrap();
        let shape = ShapeProto { dim: dims.iter().map(|&size| DimProto { size }).collect() };
        let filled = |i: usize| *ints.get(i).or(ints.last()).unwrap();
        let mut message = TensorMessage { shape: Some(shape), ..Default::default() };
        let expected: Vec<u8> = match kind {
            0 => {
                message.dtype = 1;
                message.float_val = ints.iter().map(|&v| v as f32).collect();
                (0..len).flat_map(|i| (filled(i) as f32).to_le_bytes()).collect()
            }
            1 => {
                message.dtype = 5;
                message.int_val = ints.iter().map(|&v| v as i32).collect();
                (0..len).flat_map(|i| (filled(i) as i16).to_le_bytes()).collect()
            }
            2 => {
                message.dtype = 9;
                message.int64_val = ints.clone();
                (0..len).flat_map(|i| filled(i).to_le_bytes()).collect()
            }
            _ => {
                message.dtype = 9;
                message.content = (0..len).flat_map(|i| filled(i).to_le_bytes()).collect();
                message.content.clone()
            }
        };
        let bytes = prost::Message::encode_to_vec(&message);
        let tensor = Tensor::parse(&bytes).unwrap();
        prop_assert_eq!(tensor.len(), len);
        let Data::Bytes(found) = tensor.data() else { panic!() };
        prop_assert_eq!(&found[..], &expected[..]);
    }

    #[test]
    fn strings_in_both_forms(values in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..9), 0..9)) {
        let shape = ShapeProto { dim: vec![DimProto { size: values.len() as i64 }] };
        let mut content = Vec::new();
        for value in &values { crate::wire::proto::put_varint(&mut content, value.len() as u64); }
        for value in &values { content.extend(value); }
        for (content, string_val) in [(content, vec![]), (vec![], values.clone())] {
            let message = TensorMessage {
                dtype: 7, shape: Some(shape.clone()), content, string_val, ..Default::default()
            };
            let bytes = prost::Message::encode_to_vec(&message);
            let tensor = Tensor::parse(&bytes).unwrap();
            let Data::Strings(found) = tensor.data() else { panic!() };
            prop_assert_eq!(found.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), values.clone());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(tensor) = Tensor::parse(&bytes)
            && let Data::Variants(_) = tensor.data()
        {
            let spec = ElementSpec::Sparse { dtype: DType::Int64, shape: crate::tf::shape::Shape::UnknownRank };
            drop(crate::tf::variant::decode(&spec, tensor));
        }
    }
}
