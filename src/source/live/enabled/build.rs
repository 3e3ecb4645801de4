//! Pipelines built in Rust: the operations of `tf.data.Dataset`, checked as they are put together
//! and run by TensorFlow.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::runner::{Fed, Model};
use super::stage::signature;
use super::values::{Components, Values};
use super::{DataOptions, LiveSource, Pipeline, Runtime, library, tensor};
use crate::error::{Error, Result};
use crate::source::Source;
use crate::source::options::OpenOptions;
use crate::tf::dtype::DType;
use crate::tf::graph_def::{Function, GraphBuilder, Node, strings_content, tensor_proto};
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::unbatch::unbatched;
use crate::wire::compress::Compression;

/// Values of at least so many bytes are handed to TensorFlow as tensors, not inside the graph.
const FED_BYTES: usize = 1 << 16;

/// What an operation adds to the graph.
#[derive(Debug)]
struct Operation {
    /// The name of the dataset's node.
    name: String,
    nodes: Vec<Node>,
    functions: Vec<Function>,
    constants: Vec<(String, Values)>,
    inputs: Vec<Arc<Operation>>,
    /// The outputs of a model's graph that the nodes use.
    captured: Vec<(String, usize)>,
}

/// A `tf.data` pipeline under construction. Nothing runs before it is
/// [read](crate::ReaderBuilder::from_dataset); structure and types are checked at once.
#[derive(Debug, Clone)]
pub struct Dataset {
    operation: Arc<Operation>,
    spec: ElementSpec,
    /// The folder of the SavedModel whose functions it uses.
    model: Option<Arc<Path>>,
}

/// Puts an operation together.
#[derive(Default)]
pub(super) struct Draft {
    name: String,
    nodes: Vec<Node>,
    functions: Vec<Function>,
    constants: Vec<(String, Values)>,
    inputs: Vec<Arc<Operation>>,
    captured: Vec<(String, usize)>,
    model: Option<Arc<Path>>,
    arguments: Vec<String>,
}

impl Draft {
    pub(super) fn new(op: &str) -> Self {
        // Names are unique in the process, so that graphs can be put together.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{op}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { name, ..Self::default() }
    }

    pub(super) fn dataset(mut self, input: &Dataset) -> Self {
        self.arguments.push(input.operation.name.clone());
        self.model = self.model.or_else(|| input.model.clone());
        self.inputs.push(input.operation.clone());
        self
    }

    fn argument_name(&self) -> String {
        format!("{}/argument_{}", self.name, self.arguments.len())
    }

    fn node(mut self, node: Node, name: String) -> Self {
        self.nodes.push(node);
        self.arguments.push(name);
        self
    }

    fn int64(self, value: i64) -> Self {
        let name = self.argument_name();
        self.node(Node::int64(&name, value), name)
    }

    fn size(self, value: u64) -> Self {
        self.int64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn flag(self, value: bool) -> Self {
        let name = self.argument_name();
        let tensor = tensor_proto(DType::Bool, &[], &[u8::from(value)]);
        self.node(Node::constant(&name, DType::Bool, &tensor), name)
    }

    fn strings<S: AsRef<[u8]>>(self, dims: &[u64], values: &[S]) -> Self {
        let name = self.argument_name();
        let tensor = tensor_proto(DType::String, dims, &strings_content(values));
        self.node(Node::constant(&name, DType::String, &tensor), name)
    }

    fn values(mut self, values: Values) -> Self {
        let name = self.argument_name();
        if values.dtype == DType::String || values.bytes.len() < FED_BYTES {
            let tensor = tensor_proto(values.dtype, &values.dims, values.bytes.as_slice());
            return self.node(Node::constant(&name, values.dtype, &tensor), name);
        }
        let shape = Shape::known(&values.dims);
        let node =
            Node::new(&name, "Placeholder").attr_type("dtype", values.dtype).attr_shape("shape", &shape);
        self.constants.push((name.clone(), values));
        self.node(node, name)
    }

    /// Adds a function to the graph's library.
    pub(super) fn function(mut self, function: Function) -> Self {
        self.functions.push(function);
        self
    }

    /// Runs with the graph of the SavedModel in `folder`.
    pub(super) fn model(mut self, folder: &Arc<Path>) -> Self {
        self.model = Some(folder.clone());
        self
    }

    /// An argument that is an output of a node in the model's graph.
    pub(super) fn captured(mut self, node: &str, output: usize) -> Self {
        self.captured.push((node.to_owned(), output));
        self.arguments.push(format!("{node}:{output}"));
        self
    }

    /// A name for something else of this operation, which is unique as its own is.
    pub(super) fn name(&self, what: &str) -> String {
        format!("{}_{what}", self.name)
    }

    /// The dataset: of the operation `op`, with what `attributes` adds to its node.
    pub(super) fn finish(
        mut self,
        op: &str,
        spec: ElementSpec,
        attributes: impl FnOnce(Node) -> Node,
    ) -> Dataset {
        let node = self.arguments.iter().fold(Node::new(&self.name, op), |node, name| node.input(name));
        self.nodes.push(attributes(node));
        let Self { name, nodes, functions, constants, inputs, captured, model, .. } = self;
        let operation = Operation { name, nodes, functions, constants, inputs, captured };
        Dataset { operation: Arc::new(operation), spec, model }
    }

    /// As [`finish`](Self::finish), for operations that are told what they put out.
    fn typed(self, op: &str, spec: ElementSpec) -> Dataset {
        let outputs = signatures(&spec);
        self.finish(op, spec, |node| node.outputs(&outputs))
    }
}

pub(super) fn signatures(spec: &ElementSpec) -> Vec<(DType, Shape)> {
    spec.components().into_iter().map(|(_, spec)| signature(spec)).collect()
}

fn at_least_one(what: &str, value: u64) -> Result<u64> {
    match value {
        0 => Err(Error::config(format!("invalid {what}")).expected("at least 1", "0")),
        value => Ok(value),
    }
}

/// `spec` with `change` made to each dense component's shape.
fn reshaped(spec: &ElementSpec, change: &dyn Fn(&Shape) -> Shape) -> Result<ElementSpec> {
    let fields = |fields: &[(String, ElementSpec)]| {
        let fields = fields.iter().map(|(key, spec)| Ok((key.clone(), reshaped(spec, change)?)));
        fields.collect::<Result<Vec<_>>>()
    };
    let items =
        |items: &[ElementSpec]| items.iter().map(|spec| reshaped(spec, change)).collect::<Result<Vec<_>>>();
    Ok(match spec {
        ElementSpec::Tensor { dtype, shape } => ElementSpec::tensor(*dtype, change(shape)),
        ElementSpec::Dict(parts) => ElementSpec::Dict(fields(parts)?),
        ElementSpec::NamedTuple { name, fields: parts } => {
            ElementSpec::NamedTuple { name: name.clone(), fields: fields(parts)? }
        }
        ElementSpec::Tuple(parts) => ElementSpec::Tuple(items(parts)?),
        ElementSpec::List(parts) => ElementSpec::List(items(parts)?),
        other => {
            return Err(Error::config("only dense tensors can be batched here")
                .expected("a tensor", other.to_json().to_string()));
        }
    })
}

impl Dataset {
    /// One element for each slice of `components` along their first dimension.
    ///
    /// # Errors
    /// A component is a scalar, the first dimensions differ, or two components have one name.
    pub fn from_tensor_slices(components: impl Into<Components>) -> Result<Self> {
        let (values, spec) = components.into().flatten(&|values| match values.dims.split_first() {
            Some((_, inner)) => Ok(ElementSpec::tensor(values.dtype, Shape::known(inner))),
            None => Err(Error::config("a scalar has no slices")),
        })?;
        let mut sizes = values.iter().filter_map(|values| values.dims.first());
        if let Some(first) = sizes.next()
            && let Some(other) = sizes.find(|size| *size != first)
        {
            return Err(Error::config("components of different lengths")
                .expected(first.to_string(), other.to_string()));
        }
        Self::of_values("TensorSliceDataset", values, spec)
    }

    /// A single element of `components`.
    ///
    /// # Errors
    /// Two components have one name.
    pub fn from_tensors(components: impl Into<Components>) -> Result<Self> {
        let whole = |values: &Values| Ok(ElementSpec::tensor(values.dtype, Shape::known(&values.dims)));
        let (values, spec) = components.into().flatten(&whole)?;
        Self::of_values("TensorDataset", values, spec)
    }

    fn of_values(op: &str, values: Vec<Values>, spec: ElementSpec) -> Result<Self> {
        let draft = values.into_iter().fold(Draft::new(op), Draft::values);
        if draft.arguments.is_empty() {
            return Err(Error::config("a dataset needs at least one component"));
        }
        let outputs = signatures(&spec);
        Ok(draft.finish(op, spec, |node| {
            node.attr_types("Toutput_types", outputs.iter().map(|(dtype, _)| *dtype))
                .attr_shapes("output_shapes", outputs.iter().map(|(_, shape)| shape))
        }))
    }

    /// The int64 scalars `start`, `start + step` and so on, below `stop` (above it, if `step` is
    /// negative).
    ///
    /// # Errors
    /// `step` is 0.
    pub fn range(start: i64, stop: i64, step: i64) -> Result<Self> {
        if step == 0 {
            return Err(Error::config("invalid step").expected("another number than 0", "0"));
        }
        let draft = Draft::new("RangeDataset").int64(start).int64(stop).int64(step);
        Ok(draft.typed("RangeDataset", ElementSpec::tensor(DType::Int64, Shape::scalar())))
    }

    /// The records of TFRecord files, one after the other, as TensorFlow reads them: string scalars.
    ///
    /// # Errors
    /// No file is named, or a name is not UTF-8.
    pub fn tf_record<P: AsRef<Path>>(files: &[P], compression: Compression) -> Result<Self> {
        if files.is_empty() {
            return Err(Error::config("no TFRecord file is named"));
        }
        let name = |path: &P| {
            path.as_ref().to_str().map(str::to_owned).ok_or_else(|| {
                Error::config("file name is not UTF-8").in_source(path.as_ref().to_string_lossy())
            })
        };
        let files = files.iter().map(name).collect::<Result<Vec<String>>>()?;
        let compression = match compression {
            Compression::None => "",
            Compression::Gzip => "GZIP",
            Compression::Zlib => "ZLIB",
            other => {
                return Err(Error::config("TensorFlow reads no such TFRecord files")
                    .expected("no compression, GZIP or ZLIB", format!("{other:?}")));
            }
        };
        let draft = Draft::new("TFRecordDataset")
            .strings(&[files.len() as u64], &files)
            .strings(&[], &[compression])
            .int64(256 << 10);
        let spec = ElementSpec::tensor(DType::String, Shape::scalar());
        Ok(draft.finish("TFRecordDataset", spec, |node| node))
    }

    /// The structure of the elements.
    #[must_use]
    pub fn element_spec(&self) -> &ElementSpec {
        &self.spec
    }

    /// `rows` elements stacked to one; the last element has what is left, or is dropped.
    ///
    /// # Errors
    /// `rows` is 0.
    pub fn batch(&self, rows: u64, drop_remainder: bool) -> Result<Self> {
        let leading = drop_remainder.then_some(at_least_one("batch size", rows)?);
        let spec = reshaped(&self.spec, &|shape| match shape {
            Shape::UnknownRank => Shape::UnknownRank,
            Shape::Dims(dims) => Shape::Dims([&[leading][..], dims].concat()),
        })?;
        let draft = Draft::new("BatchDatasetV2").dataset(self).size(rows).flag(drop_remainder);
        Ok(draft.typed("BatchDatasetV2", spec))
    }

    /// The slices of each element along its first dimension.
    ///
    /// # Errors
    /// A component has no first dimension.
    pub fn unbatch(&self) -> Result<Self> {
        let spec = unbatched(&self.spec)?;
        Ok(Draft::new("UnbatchDataset").dataset(self).typed("UnbatchDataset", spec))
    }

    /// The first `count` elements.
    #[must_use]
    pub fn take(&self, count: u64) -> Self {
        Draft::new("TakeDataset").dataset(self).size(count).typed("TakeDataset", self.spec.clone())
    }

    /// All but the first `count` elements.
    #[must_use]
    pub fn skip(&self, count: u64) -> Self {
        Draft::new("SkipDataset").dataset(self).size(count).typed("SkipDataset", self.spec.clone())
    }

    /// The elements whose number modulo `count` is `index`. (TensorFlow's `shard` has its arguments
    /// in the other order.)
    ///
    /// # Errors
    /// `index` is not below `count`.
    pub fn shard(&self, index: u64, count: u64) -> Result<Self> {
        if index >= count {
            return Err(
                Error::config("no such shard").expected(format!("an index below {count}"), index.to_string())
            );
        }
        let draft = Draft::new("ShardDataset").dataset(self).size(count).size(index);
        Ok(draft.typed("ShardDataset", self.spec.clone()))
    }

    /// The elements in random order, each drawn from the next `buffer` ones. With a seed the order
    /// is that of TensorFlow's `shuffle(buffer, seed=seed)`.
    ///
    /// # Errors
    /// `buffer` is 0.
    pub fn shuffle(&self, buffer: u64, seed: Option<u32>) -> Result<Self> {
        /// TensorFlow's own stand-in for a global seed that was not set.
        const GRAPH_SEED: i64 = 87_654_321;
        let (seed, seed2) = match seed {
            Some(seed) => (GRAPH_SEED, i64::from(seed)),
            None => (0, 0),
        };
        let draft = Draft::new("ShuffleDatasetV3").dataset(self).size(at_least_one("buffer", buffer)?);
        let draft = draft.int64(seed).int64(seed2);
        let generator = draft.argument_name();
        let draft = draft.node(Node::new(&generator, "DummySeedGenerator"), generator);
        let outputs = signatures(&self.spec);
        Ok(draft.finish("ShuffleDatasetV3", self.spec.clone(), |node| {
            node.attr_bool("reshuffle_each_iteration", true).outputs(&outputs)
        }))
    }

    /// The elements `count` times over; without end if `None`.
    #[must_use]
    pub fn repeat(&self, count: Option<u64>) -> Self {
        let count = count.map_or(-1, |count| i64::try_from(count).unwrap_or(i64::MAX));
        Draft::new("RepeatDataset").dataset(self).int64(count).typed("RepeatDataset", self.spec.clone())
    }

    /// Lets TensorFlow make up to `buffer` elements ahead.
    #[must_use]
    pub fn prefetch(&self, buffer: u64) -> Self {
        let draft = Draft::new("PrefetchDataset").dataset(self).size(buffer);
        draft.typed("PrefetchDataset", self.spec.clone())
    }

    /// These elements, then those of `other`.
    ///
    /// # Errors
    /// The elements have another structure, dtype or rank.
    pub fn concatenate(&self, other: &Dataset) -> Result<Self> {
        let spec = joined(&self.spec, &other.spec)?;
        same_model(self.model.as_ref(), other.model.as_ref())?;
        let draft = Draft::new("ConcatenateDataset").dataset(self).dataset(other);
        Ok(draft.typed("ConcatenateDataset", spec))
    }

    /// Tuples of one element of each dataset, as long as every one has elements.
    ///
    /// # Errors
    /// There are no datasets.
    pub fn zip(datasets: &[Dataset]) -> Result<Self> {
        if datasets.is_empty() {
            return Err(Error::config("no datasets to zip"));
        }
        let mut models = datasets.iter().filter_map(|dataset| dataset.model.as_ref());
        let first = models.next();
        models.try_for_each(|model| same_model(first, Some(model)))?;
        let spec = ElementSpec::Tuple(datasets.iter().map(|dataset| dataset.spec.clone()).collect());
        let count = i64::try_from(datasets.len()).unwrap_or(i64::MAX);
        let outputs = signatures(&spec);
        let draft = datasets.iter().fold(Draft::new("ZipDataset"), Draft::dataset);
        Ok(draft.finish("ZipDataset", spec, |node| node.attr_int("N", count).outputs(&outputs)))
    }

    /// These elements, made with `options`. Where several datasets of a pipeline set one, TensorFlow
    /// takes the last.
    #[must_use]
    pub fn with_options(&self, options: &DataOptions) -> Self {
        let message = options.0.message();
        let outputs = signatures(&self.spec);
        Draft::new("OptionsDataset").dataset(self).finish("OptionsDataset", self.spec.clone(), |node| {
            node.attr_bytes("serialized_options", &message).outputs(&outputs)
        })
    }

    /// The source that runs the pipeline.
    ///
    /// # Errors
    /// libtensorflow is needed for large values and cannot be loaded, or an option does not fit the
    /// elements.
    pub(crate) fn source(&self, options: &OpenOptions) -> Result<Arc<dyn Source>> {
        let runtime = Runtime { library: options.libtensorflow.clone(), threads: options.tensorflow_threads };
        let pipeline = self.pipeline(&runtime)?;
        Ok(Arc::new(LiveSource::new(pipeline, runtime, options)?))
    }

    /// The graph, the dataset's node in it, and the tensors that stand beside it.
    pub(super) fn pipeline(&self, runtime: &Runtime) -> Result<Pipeline> {
        let mut graph = GraphBuilder::default();
        let mut feeds = Vec::new();
        let mut captured = HashSet::new();
        let mut seen = HashSet::new();
        let mut waiting = vec![&self.operation];
        while let Some(operation) = waiting.pop() {
            if !seen.insert(operation.name.as_str()) {
                continue;
            }
            waiting.extend(&operation.inputs);
            captured.extend(operation.captured.iter().cloned());
            operation.nodes.iter().for_each(|node| graph.node(node));
            operation.functions.iter().for_each(|function| graph.function(function));
            for (name, values) in &operation.constants {
                library::ensure(runtime.library.as_deref())?;
                let tensor = tensor::new_feed(values.dtype, &values.dims, &mut |out| {
                    out.copy_from_slice(values.bytes.as_slice());
                    Ok(())
                })?;
                feeds.push(Fed { name: name.clone(), tensor });
            }
        }
        let model = self.model.as_ref();
        Ok(Pipeline {
            name: "pipeline".to_owned(),
            graph: graph.finish(),
            output: self.operation.name.clone(),
            feeds: Arc::new(feeds),
            model: model
                .map(|folder| Model { folder: folder.clone(), captured: captured.into_iter().collect() }),
            element_spec: self.spec.clone(),
            inputs: Vec::new(),
        })
    }

    pub(super) fn model(&self) -> Option<&Arc<Path>> {
        self.model.as_ref()
    }
}

/// Two models may have different functions of one name.
pub(super) fn same_model(left: Option<&Arc<Path>>, right: Option<&Arc<Path>>) -> Result<()> {
    match (left, right) {
        (Some(left), Some(right)) if left != right => {
            Err(Error::config("a pipeline can use the functions of one SavedModel only")
                .expected(left.to_string_lossy(), right.to_string_lossy())
                .with_hint("save both functions as signatures of one model"))
        }
        _ => Ok(()),
    }
}

/// The spec of elements of either of two datasets.
fn joined(left: &ElementSpec, right: &ElementSpec) -> Result<ElementSpec> {
    let differ = || {
        Error::config("the datasets have different elements")
            .expected(left.to_json().to_string(), right.to_json().to_string())
    };
    let fields = |left: &[(String, ElementSpec)], right: &[(String, ElementSpec)]| {
        if left.len() != right.len() {
            return Err(differ());
        }
        let pairs = left.iter().zip(right).map(|((key, left), (other, right))| match key == other {
            true => Ok((key.clone(), joined(left, right)?)),
            false => Err(differ()),
        });
        pairs.collect::<Result<Vec<_>>>()
    };
    Ok(match (left, right) {
        (
            ElementSpec::Tensor { dtype, shape: Shape::Dims(left) },
            ElementSpec::Tensor { dtype: other, shape: Shape::Dims(right) },
        ) if dtype == other && left.len() == right.len() => {
            let dims = left.iter().zip(right).map(|(left, right)| left.filter(|_| left == right));
            ElementSpec::tensor(*dtype, Shape::Dims(dims.collect()))
        }
        (ElementSpec::Dict(left), ElementSpec::Dict(right)) => ElementSpec::Dict(fields(left, right)?),
        (ElementSpec::Tuple(left), ElementSpec::Tuple(right)) if left.len() == right.len() => {
            let items = left.iter().zip(right).map(|(left, right)| joined(left, right));
            ElementSpec::Tuple(items.collect::<Result<_>>()?)
        }
        (left, right) if left == right => left.clone(),
        _ => return Err(differ()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn spec_of(dataset: &Dataset) -> String {
        dataset.element_spec().to_json().to_string()
    }

    #[test]
    fn pipelines_are_typed_as_they_are_built() {
        let numbers = Dataset::from_tensor_slices(array![[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]]).unwrap();
        assert_eq!(spec_of(&numbers), r#"{"tensor":{"dtype":"float32","shape":[2]}}"#);
        let batched = numbers.batch(2, false).unwrap();
        assert_eq!(spec_of(&batched), r#"{"tensor":{"dtype":"float32","shape":[null,2]}}"#);
        assert_eq!(batched.unbatch().unwrap().element_spec(), numbers.element_spec());
        let whole = numbers.batch(2, true).unwrap();
        assert_eq!(spec_of(&whole), r#"{"tensor":{"dtype":"float32","shape":[2,2]}}"#);
        let either = whole.concatenate(&numbers.batch(3, true).unwrap()).unwrap();
        assert_eq!(spec_of(&either), r#"{"tensor":{"dtype":"float32","shape":[null,2]}}"#);
    }

    #[test]
    fn what_cannot_be_is_an_error_before_anything_runs() {
        let numbers = Dataset::range(0, 10, 1).unwrap();
        for wrong in [
            Dataset::range(0, 10, 0),
            numbers.batch(0, false),
            numbers.unbatch(),
            numbers.shard(3, 3),
            numbers.shuffle(0, None),
            numbers.concatenate(&Dataset::from_tensors(vec![1.5f32]).unwrap()),
            Dataset::zip(&[]),
            Dataset::from_tensor_slices((vec![1i64, 2], vec![1f32])),
            Dataset::from_tensor_slices([("a", vec![1i64]), ("a", vec![2i64])]),
            Dataset::tf_record(&[] as &[&str], Compression::None),
        ] {
            assert_eq!(wrong.unwrap_err().kind(), crate::error::ErrorKind::Config);
        }
    }

    #[test]
    fn arrays_in_another_order_are_put_in_order() {
        let array = Array2::from_shape_vec((2, 3), vec![1i32, 2, 3, 4, 5, 6]).unwrap().reversed_axes();
        let values = Values::from(array);
        assert_eq!(values.dims, [3, 2]);
        assert_eq!(values.bytes.typed_data::<i32>(), [1, 4, 2, 5, 3, 6]);
        let array = array![1i32, 2, 3, 4].slice_move(ndarray::s![1..3]);
        assert_eq!(Values::from(array).bytes.typed_data::<i32>(), [2, 3]);
    }
}
