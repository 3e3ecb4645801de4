//! `SavedModel`: as much of it as is needed to call one of its signatures.
//!
//! The messages are `saved_model.proto`, `meta_graph.proto` and `node_def.proto`. What
//! `tf.saved_model.save` writes gives each signature a node that calls a function of the graph's
//! library: with the signature's inputs, which are placeholders, and with what the function
//! captured (variables, lookup tables, constants), which are nodes of the graph.

use super::dtype::DType;
use super::shape::Shape;
use super::tensor_proto::{dtype_of, malformed, parse_shape};
use crate::error::{Error, ErrorKind, Result};
use crate::wire::proto::{Cursor, LEN, VARINT, WireError};

/// The tag of the graph that is for inference, which is the only one that TensorFlow 2 writes.
pub(crate) const SERVE: &str = "serve";

/// An input or output of a signature.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Port {
    pub(crate) key: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Shape,
    /// The node's name and the number of its output.
    tensor: (String, usize),
}

/// What the called function is given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Argument {
    /// The signature's input of this number.
    Input(usize),
    /// An output of a node of the model's graph.
    Captured { node: String, output: usize, dtype: DType },
}

/// A signature, and the call that it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    /// In the order of their keys, as the outputs are.
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// `PartitionedCall` or `StatefulPartitionedCall`.
    pub(crate) op: String,
    /// The call's attributes: entries of a `NodeDef`'s map.
    pub(crate) attributes: Vec<Vec<u8>>,
    pub(crate) arguments: Vec<Argument>,
    /// Of each of the signature's outputs: which of the call's it is.
    pub(crate) results: Vec<usize>,
}

fn wire(e: WireError) -> Error {
    malformed("SavedModel", e)
}

/// Visits the length-delimited and varint fields of a message.
fn fields<'a>(message: &'a [u8], mut visit: impl FnMut(u32, &'a [u8], u64) -> Result<()>) -> Result<()> {
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (field, LEN) => visit(field, cursor.bytes().map_err(wire)?, 0)?,
            (field, VARINT) => visit(field, b"", cursor.varint().map_err(wire)?)?,
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    Ok(())
}

/// The key and value of an entry of a map.
fn entry(message: &[u8]) -> Result<(String, &[u8])> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    fields(message, |field, bytes, _| {
        match field {
            1 => key = bytes,
            2 => value = bytes,
            _ => {}
        }
        Ok(())
    })?;
    Ok((text(key)?, value))
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::corrupt("name in a SavedModel is not UTF-8"))
}

/// `node:1`, `node`, as a name and a number.
fn tensor_name(name: &str) -> Result<(String, usize)> {
    let Some((node, output)) = name.rsplit_once(':') else { return Ok((name.to_owned(), 0)) };
    let output = output.parse().map_err(|_| Error::corrupt(format!("invalid tensor name `{name}`")))?;
    Ok((node.to_owned(), output))
}

/// `TensorInfo`.
fn port(key: String, message: &[u8]) -> Result<Port> {
    let (mut name, mut dtype, mut shape) = (None, 0, Shape::UnknownRank);
    fields(message, |field, bytes, number| {
        match field {
            1 => name = Some(text(bytes)?),
            2 => dtype = number,
            3 => {
                let (mut dims, mut unknown) = (Vec::new(), false);
                parse_shape(bytes, &mut unknown, |size| {
                    dims.push(u64::try_from(size).ok());
                    Ok(())
                })?;
                shape = if unknown { Shape::UnknownRank } else { Shape::Dims(dims) };
            }
            _ => {}
        }
        Ok(())
    })?;
    let Some(name) = name else {
        return Err(Error::unsupported(format!("`{key}` of the signature is not a dense tensor"))
            .with_hint("save the model with a signature of dense tensors"));
    };
    Ok(Port { key, dtype: dtype_of(dtype)?, shape, tensor: tensor_name(&name)? })
}

/// The inputs or outputs of a `SignatureDef`.
fn ports(signature: &[u8], which: u32) -> Result<Vec<Port>> {
    let mut ports = Vec::new();
    fields(signature, |field, bytes, _| {
        if field == which {
            let (key, info) = entry(bytes)?;
            ports.push(port(key, info)?);
        }
        Ok(())
    })?;
    ports.sort_by(|a: &Port, b| a.key.cmp(&b.key));
    Ok(ports)
}

/// The parts of a `MetaGraphDef` that are used.
#[derive(Default)]
struct MetaGraph<'a> {
    tags: Vec<String>,
    graph: &'a [u8],
    signatures: Vec<(String, &'a [u8])>,
}

fn meta_graph(message: &[u8]) -> Result<MetaGraph<'_>> {
    let mut found = MetaGraph::default();
    fields(message, |field, bytes, _| {
        match field {
            1 => fields(bytes, |field, bytes, _| {
                if field == 4 {
                    found.tags.push(text(bytes)?);
                }
                Ok(())
            })?,
            2 => found.graph = bytes,
            5 => found.signatures.push(entry(bytes)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// What is used of a `NodeDef`.
#[derive(Default)]
struct Node {
    op: String,
    inputs: Vec<String>,
    attributes: Vec<Vec<u8>>,
    input_types: Vec<DType>,
}

/// The node called `name` of a `GraphDef`.
fn node(graph: &[u8], name: &str) -> Result<Node> {
    let mut found = None;
    fields(graph, |field, bytes, _| {
        if field != 1 {
            return Ok(());
        }
        let mut is_it = false;
        fields(bytes, |field, bytes, _| {
            is_it |= field == 1 && bytes == name.as_bytes();
            Ok(())
        })?;
        if is_it {
            found = Some(bytes);
        }
        Ok(())
    })?;
    let message = found.ok_or_else(|| Error::corrupt(format!("SavedModel without its node `{name}`")))?;
    let mut node = Node::default();
    fields(message, |field, bytes, _| {
        match field {
            2 => node.op = text(bytes)?,
            3 => node.inputs.push(text(bytes)?),
            5 => {
                let (key, value) = entry(bytes)?;
                if key == "Tin" {
                    node.input_types = types(value)?;
                }
                // Shapes of a node of the graph, which mean nothing in a function.
                if key != "_output_shapes" {
                    node.attributes.push(bytes.to_vec());
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(node)
}

/// The list of types in an `AttrValue`.
fn types(value: &[u8]) -> Result<Vec<DType>> {
    let mut types = Vec::new();
    fields(value, |field, list, _| {
        if field != 1 {
            return Ok(());
        }
        fields(list, |field, packed, number| match (field, packed) {
            (6, b"") if number > 0 => {
                types.push(dtype_of(number)?);
                Ok(())
            }
            (6, packed) => {
                let mut packed = Cursor::new(packed);
                while !packed.is_empty() {
                    types.push(dtype_of(packed.varint().map_err(wire)?)?);
                }
                Ok(())
            }
            _ => Ok(()),
        })
    })?;
    Ok(types)
}

/// The signature `key` of a serialized `SavedModel`.
///
/// # Errors
/// The message is damaged; it has no graph to serve with or no such signature; the signature is not
/// the call of one function, as those that TensorFlow 2 saves are.
pub(crate) fn signature(model: &[u8], key: &str) -> Result<Signature> {
    let mut graphs = Vec::new();
    fields(model, |field, bytes, _| {
        if field == 2 {
            graphs.push(meta_graph(bytes)?);
        }
        Ok(())
    })?;
    let graph = graphs.into_iter().find(|graph| graph.tags.as_slice() == [SERVE]);
    let graph = graph.ok_or_else(|| Error::unsupported("SavedModel without a graph tagged `serve`"))?;
    let Some((_, signature)) = graph.signatures.iter().find(|(name, _)| name == key) else {
        let names = graph.signatures.iter().map(|(name, _)| name.as_str());
        let mut names: Vec<&str> = names.filter(|name| !name.starts_with("__")).collect();
        names.sort_unstable();
        return Err(Error::new(ErrorKind::NotFound, format!("SavedModel has no signature `{key}`"))
            .expected(format!("one of: {}", names.join(", ")), key));
    };
    let (inputs, outputs) = (ports(signature, 1)?, ports(signature, 2)?);
    let odd = || {
        Error::unsupported(format!("signature `{key}` is not the call of a function"))
            .with_hint("save the model with tf.saved_model.save of TensorFlow 2")
    };
    let called = outputs.first().map(|output| output.tensor.0.clone()).ok_or_else(odd)?;
    if outputs.iter().any(|output| output.tensor.0 != called) {
        return Err(odd());
    }
    let call = node(graph.graph, &called)?;
    if !matches!(call.op.as_str(), "PartitionedCall" | "StatefulPartitionedCall") {
        return Err(odd());
    }
    let mut arguments = Vec::new();
    for (i, name) in call.inputs.iter().filter(|name| !name.starts_with('^')).enumerate() {
        let (node, output) = tensor_name(name)?;
        let input = inputs.iter().position(|input| input.tensor.0 == node && input.tensor.1 == output);
        arguments.push(match input {
            Some(input) => Argument::Input(input),
            None => {
                let dtype = call.input_types.get(i).copied();
                let dtype = dtype.ok_or_else(|| Error::corrupt("call with too few input types"))?;
                Argument::Captured { node, output, dtype }
            }
        });
    }
    let results = outputs.iter().map(|output| output.tensor.1).collect();
    Ok(Signature { inputs, outputs, op: call.op, attributes: call.attributes, arguments, results })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn info(name: &str) -> Vec<u8> {
        // DT_FLOAT, shape [?, 3].
        let shape =
            [field(2, &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]), field(2, &[8, 3])].concat();
        [field(1, name.as_bytes()), vec![0x10, 1], field(3, &shape)].concat()
    }

    fn mapped(key: &str, value: &[u8]) -> Vec<u8> {
        [field(1, key.as_bytes()), field(2, value)].concat()
    }

    fn model() -> Vec<u8> {
        let types = mapped("Tin", &field(1, &field(6, &[1, 20])));
        let call = [
            field(1, b"call"),
            field(2, b"StatefulPartitionedCall"),
            field(3, b"x"),
            field(3, b"weights:1"),
            field(3, b"^after"),
            field(5, &types),
        ]
        .concat();
        let signature =
            [field(1, &mapped("x", &info("x:0"))), field(2, &mapped("y", &info("call:2")))].concat();
        let graph = field(1, &call);
        let meta =
            [field(1, &field(4, b"serve")), field(2, &graph), field(5, &mapped("f", &signature))].concat();
        // Longer than one byte can say.
        let mut out = vec![0x12];
        crate::wire::proto::put_varint(&mut out, meta.len() as u64);
        [out, meta].concat()
    }

    #[test]
    fn a_signature_is_a_call() {
        let signature = signature(&model(), "f").unwrap();
        assert_eq!(signature.op, "StatefulPartitionedCall");
        let captured = Argument::Captured { node: "weights".into(), output: 1, dtype: DType::Resource };
        assert_eq!(signature.arguments, [Argument::Input(0), captured]);
        assert_eq!(signature.results, [2]);
        assert_eq!(signature.inputs[0].shape, Shape::Dims(vec![None, Some(3)]));
        assert_eq!(signature.outputs[0].dtype, DType::Float32);
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = signature(&model(), "g").unwrap_err();
        assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("one of: f"), "{error}");
        assert!(signature(b"", "f").is_err());
    }

    #[test]
    fn no_cut_is_a_panic() {
        let whole = model();
        for cut in 0..whole.len() {
            signature(&whole[..cut], "f").unwrap_err();
        }
    }
}
