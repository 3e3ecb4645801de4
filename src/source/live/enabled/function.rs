//! Functions of SavedModels, mapped over datasets.

use std::path::Path;
use std::sync::Arc;

use super::Dataset;
use super::build::{Draft, same_model, signatures};
use super::folder::read_capped;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Place;
use crate::tf::graph_def::{Function, Node};
use crate::tf::saved_model::{self, Argument, Port, Signature};
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// What `tf.saved_model.save` calls the message in its folder.
const MODEL: &str = "saved_model.pb";
/// Protobuf's own limit.
const MAX_MODEL_BYTES: u64 = (1 << 31) - 1;

/// A signature of a SavedModel: a function from tensors to tensors that TensorFlow runs, with the
/// model's variables and lookup tables.
#[derive(Debug, Clone)]
pub struct ModelFunction {
    folder: Arc<Path>,
    name: Arc<str>,
    signature: Arc<Signature>,
}

impl ModelFunction {
    /// The function of the signature `name` (`serving_default`, if the model was saved without
    /// giving one) of the model that `tf.saved_model.save` wrote to `folder`. Its variables are not
    /// read before a pipeline runs.
    ///
    /// # Errors
    /// The folder holds no SavedModel, it is damaged, it has no such signature, or the signature
    /// takes or gives something else than dense tensors.
    pub fn from_saved_model(folder: impl AsRef<Path>, name: &str) -> Result<Self> {
        let folder = folder.as_ref();
        let place = |e: Error| e.in_source(folder.to_string_lossy());
        let path = Place::local(folder).join(MODEL);
        if !path.is_file() {
            return Err(place(Error::new(ErrorKind::NotFound, "no SavedModel").expected(MODEL, "none")));
        }
        let signature = saved_model::signature(&read_capped(&path, MAX_MODEL_BYTES)?, name).map_err(place)?;
        let folder = folder.canonicalize().map_err(|e| place(Error::io("cannot open SavedModel", e)))?;
        Ok(Self { folder: folder.into(), name: name.into(), signature: Arc::new(signature) })
    }

    /// What it takes: a dict of tensors.
    #[must_use]
    pub fn input_spec(&self) -> ElementSpec {
        spec_of(&self.signature.inputs)
    }

    /// What it gives: a dict of tensors.
    #[must_use]
    pub fn output_spec(&self) -> ElementSpec {
        spec_of(&self.signature.outputs)
    }

    /// That elements of `spec` can be given to the function.
    fn check(&self, spec: &ElementSpec) -> Result<()> {
        let inputs = &self.signature.inputs;
        let differ = || {
            Error::config(format!("the elements are not what `{}` takes", self.name))
                .expected(self.input_spec().to_json().to_string(), spec.to_json().to_string())
        };
        let given: Vec<&ElementSpec> = match (spec, inputs.as_slice()) {
            (ElementSpec::Tensor { .. }, [_]) => vec![spec],
            (ElementSpec::Dict(fields), inputs)
                if fields.len() == inputs.len()
                    && fields.iter().zip(inputs).all(|((key, _), input)| *key == input.key) =>
            {
                fields.iter().map(|(_, spec)| spec).collect()
            }
            _ => return Err(differ()),
        };
        for (given, input) in given.into_iter().zip(inputs) {
            let ElementSpec::Tensor { dtype, shape } = given else { return Err(differ()) };
            if *dtype == input.dtype && fits(shape, &input.shape) {
                continue;
            }
            let batched = match shape {
                Shape::Dims(dims) => Shape::Dims([&[None][..], dims].concat()),
                Shape::UnknownRank => Shape::UnknownRank,
            };
            return Err(match *dtype == input.dtype && fits(&batched, &input.shape) {
                true => differ().with_hint("it takes batches: call `batch` before `map`"),
                false => differ(),
            });
        }
        Ok(())
    }

    /// The function as tf.data calls it: with an element's components, then what it captured.
    fn wrapper(&self, name: &str) -> Function {
        let Signature { inputs, outputs, op, attributes, arguments, results } = &*self.signature;
        let mut function = Function::new(name);
        for (i, input) in inputs.iter().enumerate() {
            function.argument(&format!("component_{i}"), input.dtype);
        }
        let mut call = Node::new("call", op);
        for (i, argument) in arguments.iter().enumerate() {
            match argument {
                Argument::Input(input) => call = call.input(&format!("component_{input}")),
                Argument::Captured { dtype, .. } => {
                    let captured = format!("captured_{i}");
                    function.argument(&captured, *dtype);
                    call = call.input(&captured);
                }
            }
        }
        function.node(attributes.iter().fold(call, |call, attribute| call.attr_entry(attribute)));
        for (i, (output, result)) in outputs.iter().zip(results).enumerate() {
            function.result(&format!("result_{i}"), output.dtype, &format!("call:output:{result}"));
        }
        function
    }
}

fn spec_of(ports: &[Port]) -> ElementSpec {
    let fields =
        ports.iter().map(|port| (port.key.clone(), ElementSpec::tensor(port.dtype, port.shape.clone())));
    ElementSpec::Dict(fields.collect())
}

/// Whether a tensor of the shape `given` may be of the shape `wanted`.
fn fits(given: &Shape, wanted: &Shape) -> bool {
    match (given, wanted) {
        (Shape::Dims(given), Shape::Dims(wanted)) => {
            given.len() == wanted.len()
                && given.iter().zip(wanted).all(|pair| !matches!(pair, (Some(a), Some(b)) if a != b))
        }
        _ => true,
    }
}

impl Dataset {
    /// What `function` makes of each element: a dict with a key for each of its outputs. Elements
    /// are dicts with the function's inputs, or a single tensor for a function of one input.
    ///
    /// # Errors
    /// The elements are not what the function takes; another SavedModel is used in the pipeline.
    pub fn map(&self, function: &ModelFunction) -> Result<Self> {
        function.check(self.element_spec())?;
        same_model(self.model(), Some(&function.folder))?;
        let mut draft = Draft::new("MapDataset").dataset(self);
        let name = draft.name("function");
        draft = draft.function(function.wrapper(&name));
        let mut captured = Vec::new();
        for argument in &function.signature.arguments {
            if let Argument::Captured { node, output, dtype } = argument {
                draft = draft.captured(node, *output);
                captured.push(*dtype);
            }
        }
        let spec = function.output_spec();
        let outputs = signatures(&spec);
        Ok(draft.model(&function.folder).finish("MapDataset", spec, |node| {
            node.attr_func("f", &name)
                .attr_types("Targuments", captured)
                .attr_bool("preserve_cardinality", true)
                .outputs(&outputs)
        }))
    }
}
