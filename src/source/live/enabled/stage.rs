//! What is added to a dataset's graph so that its elements can be fetched: selection, batching,
//! a form for each component in which it can cross the C API, and the iterator.

use crate::error::{Error, Result};
use crate::source::Selection;
use crate::tf::dtype::DType;
use crate::tf::graph_def::{Function, GraphBuilder, Node};
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

use super::tensor::is_plain;

/// How deep datasets may nest.
const MAX_NESTING: usize = 8;
/// Elements in a batch that are of no known size.
const UNSIZED_ROWS: usize = 128;

/// How a component crosses from TensorFlow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all: it is not read.
    Unread,
    /// As it is: fixed-width values or strings.
    Plain,
    /// As a serialized `TensorProto` of it.
    Serialized,
    /// As a serialized `TensorProto` of an optional that holds it: TensorFlow serializes dtypes so
    /// for which it has no other way.
    Wrapped,
    /// As an iterator of its own.
    Dataset,
}

/// How elements come out of the iterator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// So many at a time, stacked.
    Batches(usize),
    /// One at a time, as they are.
    Elements,
}

/// A component of the elements that a stage delivers.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) spec: ElementSpec,
    pub(super) form: Form,
    /// Where it is fetched: a node and its output.
    pub(super) fetch: (String, i32),
    /// For [`Form::Dataset`]: how its elements are delivered.
    pub(super) inner: Option<Box<Stage>>,
}

/// An iterator and what it takes to read it.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) delivery: Delivery,
    pub(super) components: Vec<Component>,
    /// The node that starts the iterator.
    pub(super) make: String,
    /// The node that steps it.
    pub(super) next: String,
}

/// The dtype and shape with which a component stands in TensorFlow's own signatures.
pub(super) fn signature(spec: &ElementSpec) -> (DType, Shape) {
    match spec {
        ElementSpec::Tensor { dtype, shape } => (*dtype, shape.clone()),
        _ => (DType::Variant, Shape::UnknownRank),
    }
}

pub(super) fn leaves(spec: &ElementSpec) -> Vec<ElementSpec> {
    spec.components().into_iter().map(|(_, spec)| spec.clone()).collect()
}

/// How a component can be fetched.
fn form_of(spec: &ElementSpec, batched: bool) -> Form {
    match spec {
        ElementSpec::Tensor { dtype: DType::Variant | DType::Resource, .. } => Form::Unread,
        ElementSpec::Tensor { dtype, shape } => {
            if *dtype != DType::String && !is_plain(*dtype) {
                Form::Wrapped
            } else if batched && shape.as_known().is_none() {
                Form::Serialized
            } else {
                Form::Plain
            }
        }
        ElementSpec::Dataset(_) => Form::Dataset,
        _ => Form::Serialized,
    }
}

/// What a stage is to deliver.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) selection: Selection,
    /// How many of the selected elements to leave out at the beginning.
    pub(super) past: u64,
    /// Whether the elements are batches to be taken apart: they are then delivered one by one, and
    /// the selection is not applied.
    pub(super) unbatch: bool,
    pub(super) batch_rows: usize,
    pub(super) batch_bytes: usize,
    /// Which components are read.
    pub(super) read: Vec<bool>,
}

/// Adds what `wanted` asks for behind the dataset `source`, whose elements are of `spec`.
///
/// # Errors
/// The elements cannot be read.
pub(super) fn add(
    graph: &mut GraphBuilder,
    source: &str,
    spec: &ElementSpec,
    wanted: &Wanted,
) -> Result<Stage> {
    let mut stages = Stages { graph, count: 0 };
    stages.add(source, &leaves(spec), wanted, 0)
}

struct Stages<'g> {
    graph: &'g mut GraphBuilder,
    count: usize,
}

impl Stages<'_> {
    fn add(&mut self, source: &str, specs: &[ElementSpec], wanted: &Wanted, depth: usize) -> Result<Stage> {
        if depth > MAX_NESTING {
            return Err(Error::limit("datasets nest too deeply"));
        }
        let prefix = format!("tfarrow/{}", self.count);
        self.count += 1;
        let read = |i: usize| wanted.read.get(i).copied().unwrap_or(true);
        let nests =
            specs.iter().enumerate().any(|(i, spec)| read(i) && matches!(spec, ElementSpec::Dataset(_)));
        let batched = !wanted.unbatch && !nests;
        let forms: Vec<Form> = specs
            .iter()
            .enumerate()
            .map(|(i, spec)| if read(i) { form_of(spec, batched) } else { Form::Unread })
            .collect();

        let mut dataset = source.to_owned();
        let mut signatures: Vec<(DType, Shape)> = specs.iter().map(signature).collect();
        if !wanted.unbatch {
            dataset = self.select(&prefix, dataset, &signatures, &wanted.selection, wanted.past);
        }
        let mut delivery = Delivery::Elements;
        let mut positions: Vec<usize> = (0..specs.len()).collect();
        if batched {
            let whole = |(form, spec): (&Form, &ElementSpec)| match form {
                Form::Plain => true,
                Form::Unread => signature(spec).1.as_known().is_some() && signature(spec).0 != DType::Variant,
                _ => false,
            };
            if !forms.iter().zip(specs).all(whole) {
                dataset = self.transport(&prefix, &dataset, &mut signatures, &forms)?;
                let mut kept = 0;
                for (position, form) in positions.iter_mut().zip(&forms) {
                    *position = kept;
                    kept += usize::from(*form != Form::Unread);
                }
            }
            let rows = batch_rows(&signatures, &forms, wanted);
            dataset = self.batch(&prefix, &dataset, &mut signatures, rows);
            delivery = Delivery::Batches(rows);
        }
        dataset = self.prefetch(&prefix, &dataset, &signatures, depth);
        let (make, next) = self.iterate(&prefix, &dataset, &signatures);

        let mut components = Vec::with_capacity(specs.len());
        for ((spec, form), position) in specs.iter().zip(&forms).zip(positions) {
            let output = format!("{next}:{position}");
            let mut fetch = (next.clone(), i32::try_from(position).unwrap_or(i32::MAX));
            let mut inner = None;
            match form {
                Form::Serialized | Form::Wrapped if !batched => {
                    let node = format!("{next}/serialized_{position}");
                    let (dtype, _) = signature(spec);
                    self.serialize(&node, &output, dtype, *form);
                    fetch = (node, 0);
                }
                Form::Dataset => {
                    let ElementSpec::Dataset(spec) = spec else { continue };
                    let specs = leaves(spec);
                    let all = Wanted {
                        selection: Selection::default(),
                        past: 0,
                        unbatch: false,
                        read: vec![true; specs.len()],
                        ..wanted.clone()
                    };
                    inner = Some(Box::new(self.add(&output, &specs, &all, depth + 1)?));
                }
                _ => {}
            }
            components.push(Component { spec: spec.clone(), form: *form, fetch, inner });
        }
        Ok(Stage { delivery, components, make, next })
    }

    /// Adds a dataset operation on `input` with int64 constants as further inputs.
    fn operation(
        &mut self,
        name: &str,
        op: &str,
        input: &str,
        constants: &[u64],
        signatures: &[(DType, Shape)],
    ) -> Node {
        let mut node = Node::new(name, op).input(input);
        for (i, value) in constants.iter().enumerate() {
            let constant = format!("{name}/{i}");
            self.graph.node(&Node::int64(&constant, i64::try_from(*value).unwrap_or(i64::MAX)));
            node = node.input(&constant);
        }
        node.outputs(signatures)
    }

    fn select(
        &mut self,
        prefix: &str,
        dataset: String,
        signatures: &[(DType, Shape)],
        selection: &Selection,
        past: u64,
    ) -> String {
        let mut dataset = dataset;
        let mut steps = 0;
        let mut step = |stages: &mut Self, op: &str, constants: &[u64]| {
            let name = {
                steps += 1;
                format!("{prefix}/{op}_{steps}")
            };
            let node = stages.operation(&name, op, &dataset, constants, signatures);
            stages.graph.node(&node);
            dataset = name;
        };
        if selection.skip > 0 {
            step(self, "SkipDataset", &[selection.skip]);
        }
        if let Some((index, count)) = selection.shard {
            step(self, "ShardDataset", &[count, index]);
        }
        if let Some(take) = selection.take {
            step(self, "TakeDataset", &[take]);
        }
        if past > 0 {
            step(self, "SkipDataset", &[past]);
        }
        dataset
    }

    /// Maps each element to what can be stacked: components of unknown shape and variants to
    /// serialized tensors; what is not read is dropped.
    fn transport(
        &mut self,
        prefix: &str,
        dataset: &str,
        signatures: &mut Vec<(DType, Shape)>,
        forms: &[Form],
    ) -> Result<String> {
        let name = format!("{}_transport", prefix.replace('/', "_"));
        let mut function = Function::new(&name);
        let mut results = Vec::new();
        for (i, ((dtype, shape), form)) in signatures.iter().zip(forms).enumerate() {
            let argument = format!("component_{i}");
            function.argument(&argument, *dtype);
            let result = format!("result_{i}");
            match form {
                Form::Unread | Form::Dataset => {}
                Form::Plain => {
                    function.result(&result, *dtype, &argument);
                    results.push((*dtype, shape.clone()));
                }
                Form::Serialized | Form::Wrapped => {
                    let mut input = argument;
                    let mut dtype = *dtype;
                    if *form == Form::Wrapped {
                        let wrap = format!("wrap_{i}");
                        let node = Node::new(&wrap, "OptionalFromValue").input(&input);
                        function.node(node.attr_types("Toutput_types", [dtype]));
                        input = format!("{wrap}:optional:0");
                        dtype = DType::Variant;
                    }
                    let serialize = format!("serialize_{i}");
                    let node = Node::new(&serialize, "SerializeTensor").input(&input);
                    function.node(node.attr_type("T", dtype));
                    function.result(&result, DType::String, &format!("{serialize}:serialized:0"));
                    results.push((DType::String, Shape::scalar()));
                }
            }
        }
        if results.is_empty() {
            return Err(Error::unsupported("no component of the pipeline can be read"));
        }
        self.graph.function(&function);
        let map = format!("{prefix}/MapDataset");
        let node = Node::new(&map, "MapDataset")
            .input(dataset)
            .attr_func("f", &name)
            .attr_types("Targuments", [])
            .attr_bool("preserve_cardinality", true);
        self.graph.node(&node.outputs(&results));
        *signatures = results;
        Ok(map)
    }

    /// Serializes one component of an element that was fetched whole.
    fn serialize(&mut self, name: &str, output: &str, dtype: DType, form: Form) {
        let mut input = output.to_owned();
        let mut dtype = dtype;
        if form == Form::Wrapped {
            let wrap = format!("{name}/optional");
            let node = Node::new(&wrap, "OptionalFromValue").input(&input);
            self.graph.node(&node.attr_types("Toutput_types", [dtype]));
            input = wrap;
            dtype = DType::Variant;
        }
        self.graph.node(&Node::new(name, "SerializeTensor").input(&input).attr_type("T", dtype));
    }

    fn batch(
        &mut self,
        prefix: &str,
        dataset: &str,
        signatures: &mut [(DType, Shape)],
        rows: usize,
    ) -> String {
        for (_, shape) in signatures.iter_mut() {
            if let Shape::Dims(dims) = shape {
                dims.insert(0, None);
            }
        }
        let name = format!("{prefix}/BatchDatasetV2");
        let (size, keep) = (format!("{name}/size"), format!("{name}/drop_remainder"));
        self.graph.node(&Node::int64(&size, i64::try_from(rows).unwrap_or(i64::MAX)));
        let no = crate::tf::graph_def::tensor_proto(DType::Bool, &[], &[0]);
        self.graph.node(&Node::constant(&keep, DType::Bool, &no));
        let node = Node::new(&name, "BatchDatasetV2").input(dataset).input(&size).input(&keep);
        self.graph.node(&node.attr_bool("parallel_copy", false).outputs(signatures));
        name
    }

    /// Lets TensorFlow make the next batch while this one is used. Not for datasets inside of
    /// elements, which are mostly small.
    fn prefetch(
        &mut self,
        prefix: &str,
        dataset: &str,
        signatures: &[(DType, Shape)],
        depth: usize,
    ) -> String {
        if depth > 0 {
            return dataset.to_owned();
        }
        let name = format!("{prefix}/PrefetchDataset");
        let node = self.operation(&name, "PrefetchDataset", dataset, &[2], signatures);
        self.graph.node(&node.attr_int("slack_period", 0).attr_bool("legacy_autotune", true));
        name
    }

    fn iterate(&mut self, prefix: &str, dataset: &str, signatures: &[(DType, Shape)]) -> (String, String) {
        let iterator = format!("{prefix}/iterator");
        // With a shared name TensorFlow would run the functions of the dataset where they cannot call
        // stateful functions themselves.
        let node =
            Node::new(&iterator, "IteratorV2").attr_bytes("shared_name", b"").attr_bytes("container", b"");
        self.graph.node(&node.outputs(signatures));
        let make = format!("{prefix}/make");
        self.graph.node(&Node::new(&make, "MakeIterator").input(dataset).input(&iterator));
        let next = format!("{prefix}/next");
        self.graph.node(&Node::new(&next, "IteratorGetNext").input(&iterator).outputs(signatures));
        (make, next)
    }
}

/// How many elements to stack: as many as a batch has rows, unless they are so large, or of no
/// known size, that memory might not hold them.
fn batch_rows(signatures: &[(DType, Shape)], forms: &[Form], wanted: &Wanted) -> usize {
    let mut row_bytes = 0u64;
    for (dtype, shape) in signatures {
        let width = dtype.item_bytes().unwrap_or(24) as u64;
        row_bytes = row_bytes.saturating_add(shape.num_elements().unwrap_or(1).saturating_mul(width));
    }
    let most = (wanted.batch_bytes as u64).checked_div(row_bytes).unwrap_or(u64::MAX).max(1);
    let rows = wanted.batch_rows.min(usize::try_from(most).unwrap_or(usize::MAX));
    let unsized_parts = forms.iter().any(|form| matches!(form, Form::Serialized | Form::Wrapped));
    if unsized_parts { rows.min(UNSIZED_ROWS) } else { rows }.max(1)
}

/// Adds the node that tells the cardinality of `source`; gives its name.
pub(super) fn add_cardinality(graph: &mut GraphBuilder, source: &str) -> String {
    let name = "tfarrow/cardinality".to_owned();
    graph.node(&Node::new(&name, "DatasetCardinality").input(source).attr_bytes("cardinality_options", b""));
    name
}
