//! Writes the messages of stored datasets, in the forms in which TensorFlow writes them.

use super::dtype::DType;
use super::shape::Shape;
use super::spec::ElementSpec;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::wire::proto::{LEN, VARINT, put_varint};

fn put_tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    put_varint(out, u64::from(field << 3 | wire_type));
}

fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    put_tag(out, field, VARINT);
    put_varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_tag(out, field, LEN);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn dtype_number(dtype: DType) -> u64 {
    u64::from(dtype.number().unsigned_abs())
}

fn shape_message(dims: impl IntoIterator<Item = Option<u64>>) -> Vec<u8> {
    let mut out = Vec::new();
    for dim in dims {
        let mut message = Vec::new();
        match dim {
            None => put_number(&mut message, 1, u64::MAX),
            Some(0) => {}
            Some(size) => put_number(&mut message, 1, size),
        }
        put_bytes(&mut out, 2, &message);
    }
    out
}

fn spec_shape(shape: &Shape) -> Vec<u8> {
    match shape {
        Shape::UnknownRank => vec![3 << 3, 1],
        Shape::Dims(dims) => shape_message(dims.iter().copied()),
    }
}

/// A `TensorProto` that holds `content`: the values of a fixed width, or what [`list`] gives.
pub(crate) fn tensor(dtype: DType, dims: &[u64], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 32);
    put_number(&mut out, 1, dtype_number(dtype));
    put_bytes(&mut out, 2, &shape_message(dims.iter().copied().map(Some)));
    if !content.is_empty() {
        put_bytes(&mut out, 4, content);
    }
    out
}

/// The content of a tensor of strings or variants.
pub(crate) fn list<'a>(values: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let mut out = Vec::new();
    values.clone().for_each(|value| put_varint(&mut out, value.len() as u64));
    values.for_each(|value| out.extend_from_slice(value));
    out
}

fn variant(type_name: &str, metadata: &[u8], tensors: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, type_name.as_bytes());
    if !metadata.is_empty() {
        put_bytes(&mut out, 2, metadata);
    }
    tensors.iter().for_each(|tensor| put_bytes(&mut out, 3, tensor));
    out
}

fn variant_tensor(dims: &[u64], variants: &[Vec<u8>]) -> Vec<u8> {
    tensor(DType::Variant, dims, &list(variants.iter().map(Vec::as_slice)))
}

/// The tensor of a ragged value: its row splits' tensors, outermost first, and its flat values'.
pub(crate) fn ragged(tensors: &[Vec<u8>]) -> Vec<u8> {
    variant_tensor(&[], &[variant("RaggedTensorVariant", &[], tensors)])
}

/// The tensor of a sparse value: of its indices, values and dense shape.
pub(crate) fn sparse(tensors: [Vec<u8>; 3]) -> Vec<u8> {
    variant_tensor(&[3], &tensors.map(|tensor| variant("tensorflow::Tensor", &[], &[tensor])))
}

/// The tensor of an optional: of the components of what it holds.
pub(crate) fn optional(tensors: Option<&[Vec<u8>]>) -> Vec<u8> {
    let metadata = [u8::from(tensors.is_some())];
    variant_tensor(&[], &[variant("tensorflow::data::Optional", &metadata, tensors.unwrap_or_default())])
}

/// The serialized `StructuredValue` of `spec`: what `dataset_spec.pb` holds.
///
/// # Errors
/// The spec holds a nested dataset, whose data cannot be stored.
pub(crate) fn element_spec(spec: &ElementSpec) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match spec {
        ElementSpec::None => {
            let mut type_spec = Vec::new();
            put_number(&mut type_spec, 1, 12);
            put_bytes(&mut type_spec, 2, &structure(52, &[]));
            put_bytes(&mut type_spec, 3, b"tf.NoneTensorSpec");
            put_bytes(&mut out, 34, &type_spec);
        }
        ElementSpec::Tensor { dtype, shape } => {
            let mut tensor_spec = Vec::new();
            put_bytes(&mut tensor_spec, 2, &spec_shape(shape));
            put_number(&mut tensor_spec, 3, dtype_number(*dtype));
            put_bytes(&mut out, 33, &tensor_spec);
        }
        ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype } => {
            let zigzag = (*ragged_rank as u64) << 1;
            let state = [
                shape_value(shape),
                number_value(32, dtype_number(*dtype)),
                number_value(12, zigzag),
                number_value(32, dtype_number(*row_splits_dtype)),
            ];
            put_bytes(&mut out, 34, &type_spec(3, &state, "RaggedTensorSpec", *ragged_rank as u64 + 1));
        }
        ElementSpec::Sparse { dtype, shape } => {
            let state = [shape_value(shape), number_value(32, dtype_number(*dtype))];
            put_bytes(&mut out, 34, &type_spec(1, &state, "SparseTensorSpec", 3));
        }
        ElementSpec::Optional(inner) => {
            put_bytes(&mut out, 34, &type_spec(7, &[element_spec(inner)?], "OptionalSpec", 1));
        }
        ElementSpec::Dataset(_) => {
            return Err(Error::unsupported("nested dataset: TensorFlow stores it without its data")
                .with_hint(Phrase::new("leave it out with {exclude}")));
        }
        ElementSpec::Tuple(items) => {
            return Ok(structure(52, &items.iter().map(element_spec).collect::<Result<Vec<_>>>()?));
        }
        ElementSpec::List(items) => {
            return Ok(structure(51, &items.iter().map(element_spec).collect::<Result<Vec<_>>>()?));
        }
        ElementSpec::Dict(fields) => {
            let mut dict = Vec::new();
            pairs(&mut dict, 1, fields)?;
            put_bytes(&mut out, 53, &dict);
        }
        ElementSpec::NamedTuple { name, fields } => {
            let mut tuple = Vec::new();
            put_bytes(&mut tuple, 1, name.as_bytes());
            pairs(&mut tuple, 2, fields)?;
            put_bytes(&mut out, 54, &tuple);
        }
    }
    Ok(out)
}

fn pairs(out: &mut Vec<u8>, field: u32, fields: &[(String, ElementSpec)]) -> Result<()> {
    for (key, spec) in fields {
        let mut pair = Vec::new();
        put_bytes(&mut pair, 1, key.as_bytes());
        put_bytes(&mut pair, 2, &element_spec(spec)?);
        put_bytes(out, field, &pair);
    }
    Ok(())
}

/// A list (51) or tuple (52) of values.
fn structure(field: u32, values: &[Vec<u8>]) -> Vec<u8> {
    let mut list = Vec::new();
    values.iter().for_each(|value| put_bytes(&mut list, 1, value));
    let mut out = Vec::new();
    put_bytes(&mut out, field, &list);
    out
}

fn shape_value(shape: &Shape) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 31, &spec_shape(shape));
    out
}

fn number_value(field: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, field, value);
    out
}

fn type_spec(class: u64, state: &[Vec<u8>], name: &str, components: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(&mut out, 1, class);
    put_bytes(&mut out, 2, &structure(52, state));
    put_bytes(&mut out, 3, name.as_bytes());
    put_number(&mut out, 4, components);
    out
}

/// The serialized `SnapshotMetadataRecord` of a finished save.
pub(crate) fn snapshot_metadata(
    run_id: &str,
    created_micros: u64,
    dtypes: &[DType],
    elements: u64,
) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 2, run_id.as_bytes());
    put_number(&mut out, 3, created_micros);
    put_number(&mut out, 4, 2);
    let mut packed = Vec::new();
    dtypes.iter().for_each(|dtype| put_varint(&mut packed, dtype_number(*dtype)));
    put_bytes(&mut out, 5, &packed);
    if elements > 0 {
        put_number(&mut out, 6, elements);
    }
    put_number(&mut out, 1000, 1);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tf::snapshot::Metadata;
    use crate::tf::structured_value;

    #[test]
    fn specs_round_trip() {
        let tensor = |dims: &[Option<u64>]| ElementSpec::tensor(DType::Float32, Shape::Dims(dims.to_vec()));
        let spec = ElementSpec::Tuple(vec![
            ElementSpec::dict(vec![
                ("a".into(), tensor(&[None, Some(0), Some(3)])),
                ("b".into(), ElementSpec::Optional(Box::new(tensor(&[])))),
            ]),
            ElementSpec::NamedTuple {
                name: "Point".into(),
                fields: vec![
                    ("y".into(), ElementSpec::None),
                    ("x".into(), ElementSpec::Sparse { dtype: DType::Int8, shape: Shape::UnknownRank }),
                ],
            },
            ElementSpec::List(vec![ElementSpec::Ragged {
                dtype: DType::String,
                shape: Shape::Dims(vec![Some(2), None, None]),
                ragged_rank: 2,
                row_splits_dtype: DType::Int32,
            }]),
        ]);
        assert_eq!(structured_value::parse(&element_spec(&spec).unwrap()).unwrap(), spec);
        assert!(element_spec(&ElementSpec::Dataset(Box::new(spec))).is_err());
    }

    #[test]
    fn metadata_round_trips() {
        let bytes = snapshot_metadata("7", 5, &[DType::Int64, DType::String], 300);
        let metadata = Metadata::parse(&bytes).unwrap();
        assert_eq!((metadata.run_id.as_str(), metadata.version, metadata.num_elements), ("7", 2, 300));
        assert_eq!(metadata.dtypes, [DType::Int64, DType::String]);
        assert!(metadata.finalized);
    }
}
