//! `StructuredValue`: the element spec as `dataset_spec.pb` holds it.
//!
//! The message is `tensorflow/core/protobuf/struct.proto`. A dict's fields stand in no particular
//! order; [`ElementSpec::dict`] brings them into TensorFlow's.

use super::dtype::DType;
use super::shape::Shape;
use super::spec::{ElementSpec, MAX_DEPTH, is_ragged};
use super::tensor_proto::{dtype_of, malformed, parse_shape};
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, Fault, LEN, VARINT, WireError};

/// A decoded `StructuredValue`.
#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// Python's `None`, or nothing at all.
    None,
    /// A number, text or other plain value that no spec needs.
    Plain,
    Int(i64),
    Text(String),
    Shape(Shape),
    DType(DType),
    Tensor(DType, Shape),
    TypeSpec {
        class: u64,
        state: Box<Node>,
        name: String,
    },
    List(Vec<Node>),
    Tuple(Vec<Node>),
    Dict(Vec<(String, Node)>),
    NamedTuple(String, Vec<(String, Node)>),
}

/// Reads an element spec from a serialized `StructuredValue`.
///
/// # Errors
/// The message is malformed, nests too deeply, or holds something that no dataset element can be
/// read from: an iterator, a `TensorArray`, a type that is not TensorFlow's own.
pub(crate) fn parse(message: &[u8]) -> Result<ElementSpec> {
    if message.is_empty() {
        return Err(Error::corrupt("empty element spec"));
    }
    to_spec(&node(message, MAX_DEPTH)?, "", false)
}

fn wire(e: WireError) -> Error {
    malformed("StructuredValue", e)
}

/// Visits the fields of a message: number and content; varints as their value.
fn fields<'a>(message: &'a [u8], mut visit: impl FnMut(u32, Item<'a>, u64) -> Result<()>) -> Result<()> {
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (field, VARINT) => visit(field, Item::Varint(cursor.varint().map_err(wire)?), 0)?,
            (field, LEN) => {
                let bytes = cursor.bytes().map_err(wire)?;
                let base = (cursor.position() - bytes.len()) as u64;
                visit(field, Item::Bytes(bytes), base).map_err(|e| e.rebase(base))?;
            }
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    Ok(())
}

enum Item<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| wire(WireError::new(0, Fault::NotUtf8)))
}

fn shape(message: &[u8]) -> Result<Shape> {
    let (mut dims, mut unknown) = (Vec::new(), false);
    parse_shape(message, &mut unknown, |size| {
        if dims.len() == 254 {
            return Err(Error::limit("shape of more than 254 dimensions"));
        }
        match size {
            -1 => dims.push(None),
            size => match u64::try_from(size) {
                Ok(size) => dims.push(Some(size)),
                Err(_) => {
                    return Err(Error::corrupt("invalid dimension").expected("-1 or more", size.to_string()));
                }
            },
        }
        Ok(())
    })?;
    Ok(if unknown { Shape::UnknownRank } else { Shape::Dims(dims) })
}

fn node(message: &[u8], depth: usize) -> Result<Node> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Error::limit("element spec nests too deeply")
            .expected(format!("at most {MAX_DEPTH} levels"), "more"));
    };
    let mut out = Node::None;
    fields(message, |field, item, _| {
        out = match (field, item) {
            (1, _) => Node::None,
            (12, Item::Varint(zigzag)) => {
                Node::Int((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
            }
            (13, Item::Bytes(bytes)) => Node::Text(text(bytes)?),
            (31, Item::Bytes(bytes)) => Node::Shape(shape(bytes)?),
            (32, Item::Varint(number)) => Node::DType(dtype_of(number)?),
            (33 | 35, Item::Bytes(bytes)) => tensor(bytes)?,
            (34, Item::Bytes(bytes)) => type_spec(bytes, depth)?,
            (51, Item::Bytes(bytes)) => Node::List(values(bytes, depth)?),
            (52, Item::Bytes(bytes)) => Node::Tuple(values(bytes, depth)?),
            (53, Item::Bytes(bytes)) => Node::Dict(pairs(bytes, 1, depth)?.1),
            (54, Item::Bytes(bytes)) => {
                let (name, fields) = pairs(bytes, 2, depth)?;
                Node::NamedTuple(name, fields)
            }
            _ => Node::Plain,
        };
        Ok(())
    })?;
    Ok(out)
}

fn tensor(message: &[u8]) -> Result<Node> {
    let (mut dtype, mut dims) = (0, Shape::scalar());
    fields(message, |field, item, _| {
        match (field, item) {
            (2, Item::Bytes(bytes)) => dims = shape(bytes)?,
            (3, Item::Varint(number)) => dtype = number,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Node::Tensor(dtype_of(dtype)?, dims))
}

fn type_spec(message: &[u8], depth: usize) -> Result<Node> {
    let (mut class, mut state, mut name) = (0, Node::None, String::new());
    fields(message, |field, item, _| {
        match (field, item) {
            (1, Item::Varint(number)) => class = number,
            (2, Item::Bytes(bytes)) => state = node(bytes, depth)?,
            (3, Item::Bytes(bytes)) => name = text(bytes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Node::TypeSpec { class, state: Box::new(state), name })
}

fn values(message: &[u8], depth: usize) -> Result<Vec<Node>> {
    let mut out = Vec::new();
    fields(message, |field, item, _| {
        if let (1, Item::Bytes(bytes)) = (field, item) {
            out.push(node(bytes, depth)?);
        }
        Ok(())
    })?;
    Ok(out)
}

/// Key and value messages in field `number`, and the text in field 1 if that is another one.
fn pairs(message: &[u8], number: u32, depth: usize) -> Result<(String, Vec<(String, Node)>)> {
    let (mut name, mut out): (String, Vec<(String, Node)>) = (String::new(), Vec::new());
    fields(message, |field, item, _| {
        let Item::Bytes(bytes) = item else { return Ok(()) };
        if field == number {
            let (mut key, mut value) = (String::new(), Node::None);
            fields(bytes, |field, item, _| {
                match (field, item) {
                    (1, Item::Bytes(bytes)) => key = text(bytes)?,
                    (2, Item::Bytes(bytes)) => value = node(bytes, depth)?,
                    _ => {}
                }
                Ok(())
            })?;
            out.push((key, value));
        } else if field == 1 {
            name = text(bytes)?;
        }
        Ok(())
    })?;
    Ok((name, out))
}

/// `expanded` says that composite tensors stand as the plain tensors they consist of, as they do
/// inside extension types.
fn to_spec(node: &Node, path: &str, expanded: bool) -> Result<ElementSpec> {
    let child = |name: &str, node: &Node| {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        to_spec(node, &path, expanded)
    };
    let items = |nodes: &[Node]| {
        nodes.iter().enumerate().map(|(i, node)| child(&i.to_string(), node)).collect::<Result<Vec<_>>>()
    };
    let named = |fields: &[(String, Node)]| {
        fields.iter().map(|(name, node)| Ok((name.clone(), child(name, node)?))).collect::<Result<Vec<_>>>()
    };
    Ok(match node {
        Node::Tensor(dtype, shape) => ElementSpec::tensor(*dtype, shape.clone()),
        Node::List(nodes) => ElementSpec::List(items(nodes)?),
        Node::Tuple(nodes) => ElementSpec::Tuple(items(nodes)?),
        Node::Dict(fields) => {
            let mut fields = named(fields)?;
            // Of a key that occurs twice the last one counts, as in every protobuf map.
            fields.reverse();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields.dedup_by(|a, b| a.0 == b.0);
            ElementSpec::Dict(fields)
        }
        Node::NamedTuple(name, fields) => {
            ElementSpec::NamedTuple { name: name.clone(), fields: named(fields)? }
        }
        Node::TypeSpec { class, state, name } => of_type(*class, state, name, path, expanded)?,
        // Plain Python values are part of the type, not of the data.
        Node::None | Node::Plain | Node::Int(_) | Node::Text(_) | Node::Shape(_) | Node::DType(_) => {
            ElementSpec::None
        }
    })
}

fn of_type(class: u64, state: &Node, name: &str, path: &str, expanded: bool) -> Result<ElementSpec> {
    let bad = || {
        Error::corrupt("invalid type spec")
            .expected("the state of its class", format!("another one for `{name}`"))
            .in_column(path)
    };
    let state = match state {
        Node::Tuple(nodes) | Node::List(nodes) => nodes.as_slice(),
        _ => return Err(bad()),
    };
    let shape_at = |i| match state.get(i) {
        Some(Node::Shape(shape)) => Ok(shape.clone()),
        _ => Err(bad()),
    };
    let dtype_at = |i| match state.get(i) {
        Some(Node::DType(dtype)) => Ok(*dtype),
        _ => Err(bad()),
    };
    let inner = |i| state.get(i).ok_or_else(bad).and_then(|node| to_spec(node, path, expanded));
    Ok(match class {
        1 if expanded => expanded_sparse(dtype_at(1)?, &shape_at(0)?),
        1 => ElementSpec::Sparse { dtype: dtype_at(1)?, shape: shape_at(0)? },
        2 => {
            let (shape, indices) = (shape_at(0)?, shape_at(4)?);
            let values = match (&shape, &indices) {
                (Shape::Dims(dims), Shape::Dims(indices)) => {
                    Shape::Dims(indices.iter().chain(dims.get(1..).unwrap_or_default()).copied().collect())
                }
                _ => Shape::UnknownRank,
            };
            let mut fields = vec![
                ("values".to_owned(), ElementSpec::tensor(dtype_at(1)?, values)),
                ("indices".to_owned(), ElementSpec::tensor(dtype_at(2)?, indices)),
            ];
            if let Some(Node::DType(dtype)) = state.get(3) {
                let rank = Shape::Dims(vec![shape.rank().map(|rank| rank as u64)]);
                fields.push(("dense_shape".to_owned(), ElementSpec::tensor(*dtype, rank)));
            }
            ElementSpec::NamedTuple { name: "IndexedSlices".to_owned(), fields }
        }
        3 => {
            let (shape, dtype, row_splits_dtype) = (shape_at(0)?, dtype_at(1)?, dtype_at(3)?);
            let ragged_rank = match state.get(2) {
                Some(Node::Int(rank)) => usize::try_from(*rank).ok(),
                _ => None,
            };
            let ragged_rank =
                ragged_rank.filter(|rank| is_ragged(&shape, *rank, row_splits_dtype)).ok_or_else(bad)?;
            if expanded {
                expanded_ragged(dtype, &shape, ragged_rank, row_splits_dtype)
            } else {
                ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype }
            }
        }
        5 => ElementSpec::Dataset(Box::new(inner(0)?)),
        7 => ElementSpec::Optional(Box::new(inner(0)?)),
        10 => {
            let rows = match shape_at(0)? {
                Shape::Dims(dims) => dims.first().copied().flatten(),
                Shape::UnknownRank => None,
            };
            let shape = Shape::Dims(vec![rows.and_then(|rows| rows.checked_add(1))]);
            let dtype = state
                .iter()
                .find_map(|node| match node {
                    Node::DType(dtype) => Some(*dtype),
                    _ => None,
                })
                .ok_or_else(bad)?;
            ElementSpec::NamedTuple {
                name: "RowPartition".to_owned(),
                fields: vec![("row_splits".to_owned(), ElementSpec::tensor(dtype, shape))],
            }
        }
        12 if name == "tf.NoneTensorSpec" => ElementSpec::None,
        13 => {
            let mut fields = Vec::with_capacity(state.len());
            for field in state {
                let (Node::Tuple(pair) | Node::List(pair)) = field else { return Err(bad()) };
                let [Node::Text(key), value] = pair.as_slice() else { return Err(bad()) };
                let path = if path.is_empty() { key.clone() } else { format!("{path}/{key}") };
                fields.push((key.clone(), to_spec(value, &path, true)?));
            }
            let name = name.strip_suffix(".Spec").unwrap_or(name).to_owned();
            ElementSpec::NamedTuple { name, fields }
        }
        class => {
            let name = match class {
                4 => "TensorArray",
                6 => "iterator",
                8 => "PerReplica value",
                9 => "variable",
                _ => name,
            };
            return Err(Error::unsupported(format!("component of type `{name}` cannot be read"))
                .in_column(if path.is_empty() { "value" } else { path })
                .with_hint("map it to tensors before saving (`TensorArray.stack()`, for one)"));
        }
    })
}

fn expanded_ragged(dtype: DType, shape: &Shape, ragged_rank: usize, splits: DType) -> ElementSpec {
    if ragged_rank == 0 {
        return ElementSpec::tensor(dtype, shape.clone());
    }
    let flat = match shape {
        Shape::UnknownRank => Shape::UnknownRank,
        Shape::Dims(dims) => {
            let inner = dims.get(ragged_rank + 1..).unwrap_or_default();
            Shape::Dims([None].into_iter().chain(inner.iter().copied()).collect())
        }
    };
    let splits = ElementSpec::tensor(splits, Shape::Dims(vec![None]));
    ElementSpec::NamedTuple {
        name: "RaggedTensor".to_owned(),
        fields: vec![
            ("flat_values".to_owned(), ElementSpec::tensor(dtype, flat)),
            ("nested_row_splits".to_owned(), ElementSpec::Tuple(vec![splits; ragged_rank])),
        ],
    }
}

fn expanded_sparse(dtype: DType, shape: &Shape) -> ElementSpec {
    let rank = shape.rank().map(|rank| rank as u64);
    let int64 = |dims| ElementSpec::tensor(DType::Int64, Shape::Dims(dims));
    ElementSpec::NamedTuple {
        name: "SparseTensor".to_owned(),
        fields: vec![
            ("indices".to_owned(), int64(vec![None, rank])),
            ("values".to_owned(), ElementSpec::tensor(dtype, Shape::Dims(vec![None]))),
            ("dense_shape".to_owned(), int64(vec![rank])),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn as_tensorflow_writes_them() {
        let spec = |hex| parse(&unhex(hex)).unwrap();
        assert_eq!(spec("8a02041200 1809"), ElementSpec::tensor(DType::Int64, Shape::scalar()));
        assert_eq!(spec("8a020612021801 1807"), ElementSpec::tensor(DType::String, Shape::UnknownRank));
        let two_any = Shape::Dims(vec![Some(2), None]);
        assert_eq!(
            spec("8a0219 0a026e6d 1211 12020802 120b08ffffffffffffffffff01 1801"),
            ElementSpec::tensor(DType::Float32, two_any)
        );
        // The dict has `s` before `i`.
        let dict = spec("aa031c 0a0c0a0173 12078a020412001807 0a0c0a0169 12078a020412001809");
        let paths: Vec<_> = dict.components().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["i", "s"]);
        assert_eq!(spec("92021a 080c 1203a20300 1a11 74662e4e6f6e6554656e736f7253706563"), ElementSpec::None);
    }

    #[test]
    fn depth_is_bounded() {
        let mut message = unhex("8a020412001809");
        for _ in 0..200 {
            let mut item = vec![0x0a];
            crate::wire::proto::put_varint(&mut item, message.len() as u64);
            item.extend(&message);
            message = vec![0xa2, 0x03];
            crate::wire::proto::put_varint(&mut message, item.len() as u64);
            message.extend(&item);
        }
        assert_eq!(parse(&message).unwrap_err().kind(), crate::error::ErrorKind::Limit);
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64)) {
            drop(parse(&bytes));
        }
    }
}
