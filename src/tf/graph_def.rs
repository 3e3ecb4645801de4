//! `GraphDef`: what is needed of a serialized `tf.data` pipeline, and messages that add nodes to it.
//!
//! Protobuf messages that follow one another merge, so that nodes and functions are added to a
//! graph by appending bytes. The messages are `tensorflow/core/framework/graph.proto`,
//! `node_def.proto`, `attr_value.proto` and `function.proto`.

use super::dtype::DType;
use super::shape::Shape;
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, LEN, VARINT, WireError, put_varint};

/// The name of the dataset's node in `graph`: the input of the only node of type `_Retval`.
///
/// # Errors
/// The bytes are no graph, or it has no or several such nodes.
pub(crate) fn dataset_output(graph: &[u8]) -> Result<String> {
    let wire = |e: WireError| Error::corrupt(format!("invalid GraphDef: {}", e.fault)).at_offset(e.at as u64);
    let mut found = None;
    let mut cursor = Cursor::new(graph);
    while !cursor.is_empty() {
        match cursor.tag().map_err(wire)? {
            (1, LEN) => {
                let node = cursor.bytes().map_err(wire)?;
                if let Some(input) = retval_input(node).map_err(wire)?
                    && found.replace(input).is_some()
                {
                    return Err(
                        Error::unsupported("graph with several results").expected("one _Retval node", "more")
                    );
                }
            }
            (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
        }
    }
    let input = found.ok_or_else(|| {
        Error::corrupt("graph without a dataset")
            .expected("one _Retval node", "none")
            .with_hint("export the pipeline with what `tfarrow python-helper` prints")
    })?;
    String::from_utf8(input.to_vec()).map_err(|_| Error::corrupt("node name is not UTF-8"))
}

/// The first input of the node, if it is a `_Retval`.
fn retval_input(node: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let (mut op, mut input) = (&b""[..], None);
    let mut cursor = Cursor::new(node);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (2, LEN) => op = cursor.bytes()?,
            (3, LEN) => {
                let name = cursor.bytes()?;
                input.get_or_insert(name);
            }
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(input.filter(|_| op == b"_Retval"))
}

/// Appends a length-delimited field.
fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(field << 3 | LEN));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
fn put_int(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field << 3 | VARINT));
    put_varint(out, value);
}

fn dtype_number(dtype: DType) -> u64 {
    u64::try_from(dtype.number()).unwrap_or(0)
}

/// `TensorShapeProto`.
fn shape_proto(shape: &Shape) -> Vec<u8> {
    let mut out = Vec::new();
    match shape {
        Shape::UnknownRank => put_int(&mut out, 3, 1),
        Shape::Dims(dims) => {
            for dim in dims {
                let mut size = Vec::new();
                put_int(&mut size, 1, dim.unwrap_or(u64::MAX));
                put_bytes(&mut out, 2, &size);
            }
        }
    }
    out
}

/// A serialized `TensorProto` of these values, which are little-endian bytes, or for strings their
/// lengths as varints and then their bytes.
pub(crate) fn tensor_proto(dtype: DType, dims: &[u64], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 32);
    put_int(&mut out, 1, dtype_number(dtype));
    put_bytes(&mut out, 2, &shape_proto(&Shape::known(dims)));
    if !content.is_empty() {
        put_bytes(&mut out, 4, content);
    }
    out
}

/// The content of a string tensor for [`tensor_proto`].
pub(crate) fn strings_content<S: AsRef<[u8]>>(values: &[S]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|value| put_varint(&mut out, value.as_ref().len() as u64));
    values.iter().for_each(|value| out.extend_from_slice(value.as_ref()));
    out
}

/// The options of a dataset that are set; all others are TensorFlow's to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DatasetOptions {
    pub(crate) deterministic: Option<bool>,
    pub(crate) autotune: Option<bool>,
    pub(crate) private_threads: Option<u8>,
    pub(crate) intra_op_threads: Option<u8>,
}

impl DatasetOptions {
    /// `Options` of `dataset_options.proto`.
    pub(crate) fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(deterministic) = self.deterministic {
            put_int(&mut out, 1, u64::from(deterministic));
        }
        let mut threading = Vec::new();
        if let Some(threads) = self.intra_op_threads {
            put_int(&mut threading, 1, u64::from(threads));
        }
        if let Some(threads) = self.private_threads {
            put_int(&mut threading, 2, u64::from(threads));
        }
        if !threading.is_empty() {
            put_bytes(&mut out, 5, &threading);
        }
        if let Some(enabled) = self.autotune {
            let mut autotune = Vec::new();
            put_int(&mut autotune, 1, u64::from(enabled));
            put_bytes(&mut out, 7, &autotune);
        }
        out
    }
}

/// A node: `NodeDef`.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    message: Vec<u8>,
}

impl Node {
    /// A node called `name` of the operation `op`.
    pub(crate) fn new(name: &str, op: &str) -> Self {
        let mut message = Vec::new();
        put_bytes(&mut message, 1, name.as_bytes());
        put_bytes(&mut message, 2, op.as_bytes());
        Self { message }
    }

    /// A constant.
    pub(crate) fn constant(name: &str, dtype: DType, tensor: &[u8]) -> Self {
        let mut value = Vec::with_capacity(tensor.len() + 8);
        put_bytes(&mut value, 8, tensor);
        Self::new(name, "Const").attr_type("dtype", dtype).attr("value", &value)
    }

    /// A constant int64 scalar.
    pub(crate) fn int64(name: &str, value: i64) -> Self {
        Self::constant(name, DType::Int64, &tensor_proto(DType::Int64, &[], &value.to_le_bytes()))
    }

    /// Adds an input: `node`, `node:1`, `^control`.
    pub(crate) fn input(mut self, input: &str) -> Self {
        put_bytes(&mut self.message, 3, input.as_bytes());
        self
    }

    /// Adds an attribute; `value` is an `AttrValue`.
    fn attr(mut self, name: &str, value: &[u8]) -> Self {
        let mut entry = Vec::with_capacity(value.len() + name.len() + 12);
        put_bytes(&mut entry, 1, name.as_bytes());
        put_bytes(&mut entry, 2, value);
        put_bytes(&mut self.message, 5, &entry);
        self
    }

    /// Adds an attribute as it stands in another node.
    pub(crate) fn attr_entry(mut self, entry: &[u8]) -> Self {
        put_bytes(&mut self.message, 5, entry);
        self
    }

    pub(crate) fn attr_bytes(self, name: &str, bytes: &[u8]) -> Self {
        let mut value = Vec::new();
        put_bytes(&mut value, 2, bytes);
        self.attr(name, &value)
    }

    pub(crate) fn attr_int(self, name: &str, int: i64) -> Self {
        let mut value = Vec::new();
        put_int(&mut value, 3, int.cast_unsigned());
        self.attr(name, &value)
    }

    pub(crate) fn attr_bool(self, name: &str, flag: bool) -> Self {
        let mut value = Vec::new();
        put_int(&mut value, 5, u64::from(flag));
        self.attr(name, &value)
    }

    pub(crate) fn attr_type(self, name: &str, dtype: DType) -> Self {
        let mut value = Vec::new();
        put_int(&mut value, 6, dtype_number(dtype));
        self.attr(name, &value)
    }

    pub(crate) fn attr_shape(self, name: &str, shape: &Shape) -> Self {
        let mut value = Vec::new();
        put_bytes(&mut value, 7, &shape_proto(shape));
        self.attr(name, &value)
    }

    pub(crate) fn attr_func(self, name: &str, function: &str) -> Self {
        let (mut func, mut value) = (Vec::new(), Vec::new());
        put_bytes(&mut func, 1, function.as_bytes());
        put_bytes(&mut value, 10, &func);
        self.attr(name, &value)
    }

    pub(crate) fn attr_types(self, name: &str, dtypes: impl IntoIterator<Item = DType>) -> Self {
        let mut list = Vec::new();
        dtypes.into_iter().for_each(|dtype| put_int(&mut list, 6, dtype_number(dtype)));
        let mut value = Vec::new();
        put_bytes(&mut value, 1, &list);
        self.attr(name, &value)
    }

    pub(crate) fn attr_shapes<'s>(self, name: &str, shapes: impl IntoIterator<Item = &'s Shape>) -> Self {
        let mut list = Vec::new();
        shapes.into_iter().for_each(|shape| put_bytes(&mut list, 7, &shape_proto(shape)));
        let mut value = Vec::new();
        put_bytes(&mut value, 1, &list);
        self.attr(name, &value)
    }

    /// Adds the attributes `output_types` and `output_shapes`.
    pub(crate) fn outputs(self, components: &[(DType, Shape)]) -> Self {
        self.attr_types("output_types", components.iter().map(|(dtype, _)| *dtype))
            .attr_shapes("output_shapes", components.iter().map(|(_, shape)| shape))
    }
}

/// A function: `FunctionDef`.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    name: String,
    arguments: Vec<(String, DType)>,
    nodes: Vec<Node>,
    results: Vec<(String, DType, String)>,
}

impl Function {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), arguments: Vec::new(), nodes: Vec::new(), results: Vec::new() }
    }

    pub(crate) fn argument(&mut self, name: &str, dtype: DType) {
        self.arguments.push((name.to_owned(), dtype));
    }

    /// Adds a node; its inputs are written `argument` or `node:output:0`.
    pub(crate) fn node(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Adds a result; `from` is written as inputs are.
    pub(crate) fn result(&mut self, name: &str, dtype: DType, from: &str) {
        self.results.push((name.to_owned(), dtype, from.to_owned()));
    }

    fn message(&self) -> Vec<u8> {
        let arg = |name: &str, dtype: DType| {
            let mut arg = Vec::new();
            put_bytes(&mut arg, 1, name.as_bytes());
            put_int(&mut arg, 3, dtype_number(dtype));
            arg
        };
        let mut signature = Vec::new();
        put_bytes(&mut signature, 1, self.name.as_bytes());
        for (name, dtype) in &self.arguments {
            put_bytes(&mut signature, 2, &arg(name, *dtype));
        }
        for (name, dtype, _) in &self.results {
            put_bytes(&mut signature, 3, &arg(name, *dtype));
        }
        let mut out = Vec::new();
        put_bytes(&mut out, 1, &signature);
        for node in &self.nodes {
            put_bytes(&mut out, 3, &node.message);
        }
        for (name, _, from) in &self.results {
            let mut entry = Vec::new();
            put_bytes(&mut entry, 1, name.as_bytes());
            put_bytes(&mut entry, 2, from.as_bytes());
            put_bytes(&mut out, 4, &entry);
        }
        out
    }
}

/// Adds nodes and functions to a serialized graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct GraphBuilder {
    bytes: Vec<u8>,
}

impl GraphBuilder {
    /// A builder that begins with the graph `bytes`.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Adds a node; gives nothing back, its name is known.
    pub(crate) fn node(&mut self, node: &Node) {
        put_bytes(&mut self.bytes, 1, &node.message);
    }

    /// Adds a function to the graph's library.
    pub(crate) fn function(&mut self, function: &Function) {
        let mut library = Vec::new();
        put_bytes(&mut library, 1, &function.message());
        put_bytes(&mut self.bytes, 2, &library);
    }

    /// The whole graph.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dataset_is_what_is_returned() {
        let mut graph = GraphBuilder::default();
        graph.node(&Node::int64("n", -1));
        graph.node(&Node::new("range", "RangeDataset").input("n"));
        assert!(dataset_output(&graph.clone().finish()).is_err());
        graph.node(&Node::new("dataset", "_Retval").input("range:0").attr_type("T", DType::Variant));
        assert_eq!(dataset_output(&graph.clone().finish()).unwrap(), "range:0");
        let whole = graph.clone().finish();
        for cut in 1..whole.len() {
            // Never a panic; a cut between nodes may leave a sound graph.
            let _ = dataset_output(&whole[..cut]);
        }
        graph.node(&Node::new("other", "_Retval").input("range"));
        assert!(dataset_output(&graph.finish()).unwrap_err().to_string().contains("several results"));
        assert!(dataset_output(b"\xff\xff").is_err());
    }

    #[test]
    fn unknown_sizes_are_minus_one() {
        let mut minus_one = vec![0x12, 11, 0x08];
        minus_one.extend([0xff; 9]);
        minus_one.push(1);
        assert_eq!(shape_proto(&Shape::Dims(vec![None])), minus_one);
        assert_eq!(shape_proto(&Shape::UnknownRank), [0x18, 1]);
        assert_eq!(shape_proto(&Shape::known(&[3])), [0x12, 2, 0x08, 3]);
    }
}
