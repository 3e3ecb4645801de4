//! A session that iterates over a stage's elements.

use std::path::Path;
use std::sync::Arc;

use tensorflow::{
    Code, FetchToken, Graph, ImportGraphDefOptions, Operation, Output, SavedModelBundle, Session,
    SessionOptions, SessionRunArgs, Status,
};

use super::stage::{Component, Delivery, Form, Stage};
use super::tensor::{self, Feed, PlainTensor, StringTensor};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Cardinality;
use crate::tf::dtype::DType;
use crate::tf::graph_def::{GraphBuilder, Node};
use crate::tf::saved_model::SERVE;
use crate::tf::spec::ElementSpec;

/// A tensor that takes the place of a placeholder in the graph.
pub(super) struct Fed {
    /// The placeholder's name.
    pub(super) name: String,
    pub(super) tensor: Box<dyn Feed>,
}

impl std::fmt::Debug for Fed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fed").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A SavedModel whose graph a pipeline's graph is put behind.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) folder: Arc<Path>,
    /// The nodes of the model's graph, and of each the output, that the pipeline uses.
    pub(super) captured: Vec<(String, usize)>,
}

/// A component's values in one delivery.
#[derive(Debug)]
pub(super) enum Fetched {
    Unread,
    Plain(PlainTensor),
    Strings(StringTensor),
    /// Serialized tensors, one an element.
    Serialized(StringTensor),
    /// As serialized, each in an optional.
    Wrapped(StringTensor),
    /// The elements of a dataset, in the deliveries in which they came.
    Dataset(Vec<Delivered>),
}

/// What one step of an iterator delivered.
#[derive(Debug)]
pub(super) struct Delivered {
    /// How many elements.
    pub(super) elements: usize,
    /// One entry a component.
    pub(super) components: Vec<Fetched>,
}

/// What TensorFlow says went wrong, in its own words.
fn tf_error(what: &str, status: &Status) -> Error {
    let kind = match status.code() {
        Code::NotFound => ErrorKind::NotFound,
        Code::Cancelled => ErrorKind::Interrupted,
        Code::DataLoss => ErrorKind::Corrupt,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::ResourceExhausted => ErrorKind::Limit,
        _ => ErrorKind::Mismatch,
    };
    Error::new(kind, what).with_cause(status.to_string())
}

fn number(output: usize) -> i32 {
    i32::try_from(output).unwrap_or(i32::MAX)
}

fn missing_node(name: &str) -> Error {
    Error::corrupt(format!("graph without the node `{name}`"))
}

fn operation(graph: &Graph, name: &str) -> Result<Operation> {
    let found = graph.operation_by_name(name).map_err(|_| missing_node(name))?;
    found.ok_or_else(|| missing_node(name))
}

/// `ConfigProto`: `threads` for operations (0: one a core), and no GPU, from which every batch
/// would have to be copied back.
fn session_options(threads: u8) -> Result<SessionOptions> {
    let mut config = vec![0x0a, 7, 0x0a, 3, b'G', b'P', b'U', 0x10, 0];
    if threads > 0 {
        config.extend([0x10, threads.min(0x7f), 0x28, threads.min(0x7f)]);
    }
    let mut options = SessionOptions::new();
    options.set_config(&config).map_err(|e| tf_error("invalid session options", &e))?;
    Ok(options)
}

/// A graph in a session of its own.
#[derive(Debug)]
pub(super) struct Loaded {
    // Dropped first: it uses the graph.
    session: Session,
    graph: Graph,
    feeds: Arc<Vec<Fed>>,
}

impl Loaded {
    /// Imports `graph`, a serialized `GraphDef`; behind the graph of `model`, if it uses one.
    ///
    /// # Errors
    /// TensorFlow refuses the graph: it is damaged, or was written by a newer version, or uses
    /// operations that are not in the library. Or the model cannot be loaded.
    pub(super) fn new(
        graph: &[u8],
        feeds: Arc<Vec<Fed>>,
        model: Option<&Model>,
        threads: u8,
    ) -> Result<Self> {
        let options = session_options(threads)?;
        let mut imported = Graph::new();
        let mut import = ImportGraphDefOptions::new();
        let mut session = None;
        if let Some(Model { folder, captured }) = model {
            let place = |e: Error| e.in_source(folder.to_string_lossy());
            // Restores variables and fills lookup tables, too.
            let bundle = SavedModelBundle::load(&options, [SERVE], &mut imported, folder)
                .map_err(|e| place(tf_error("cannot load the SavedModel", &e)))?;
            session = Some(bundle.session);
            for (node, output) in captured {
                let from =
                    Output { operation: operation(&imported, node).map_err(place)?, index: number(*output) };
                import.add_input_mapping(node, *output, &from).map_err(|_| place(missing_node(node)))?;
            }
        }
        imported.import_graph_def(graph, &import).map_err(|e| {
            tf_error("TensorFlow refuses the pipeline's graph", &e)
                .with_hint("export it with a TensorFlow that is no newer than the libtensorflow that runs it")
        })?;
        let session = match session {
            Some(session) => session,
            None => Session::new(&options, &imported)
                .map_err(|e| tf_error("cannot open a TensorFlow session", &e))?,
        };
        Ok(Self { session, graph: imported, feeds })
    }

    fn feed<'l>(&'l self, args: &mut SessionRunArgs<'l>) -> Result<()> {
        for fed in self.feeds.iter() {
            fed.tensor.feed(args, &operation(&self.graph, &fed.name)?);
        }
        Ok(())
    }

    /// The cardinality that the node `name` tells.
    ///
    /// # Errors
    /// The dataset cannot be made.
    pub(super) fn cardinality(&self, name: &str) -> Result<Cardinality> {
        let mut args = SessionRunArgs::new();
        self.feed(&mut args)?;
        let token = args.request_fetch(&operation(&self.graph, name)?, 0);
        self.session.run(&mut args).map_err(|e| tf_error("the pipeline cannot be started", &e))?;
        let value = tensor::take_plain(&mut args, token, DType::Int64)?;
        let value = value.bytes().try_into().map_or(-2, i64::from_le_bytes);
        Ok(match value {
            -1 => Cardinality::Infinite,
            value => u64::try_from(value).map_or(Cardinality::Unknown, Cardinality::Known),
        })
    }
}

/// Runs next to nothing, so that what TensorFlow does once is done.
///
/// # Errors
/// TensorFlow does not work.
pub(super) fn warm_up() -> Result<()> {
    let mut graph = GraphBuilder::default();
    graph.node(&Node::int64("n", -2));
    Loaded::new(&graph.finish(), Arc::default(), None, 0)?.cardinality("n").map(drop)
}

/// A component that is fetched, and where its tensor is found after a run.
#[derive(Debug)]
struct Fetch {
    form: Form,
    dtype: DType,
    token: Option<FetchToken>,
    inner: Option<Reader>,
}

/// The prepared run that steps one iterator.
#[derive(Debug)]
struct Reader {
    args: SessionRunArgs<'static>,
    delivery: Delivery,
    fetches: Vec<Fetch>,
}

impl Reader {
    fn new(graph: &Graph, stage: &Stage) -> Result<Self> {
        let mut args = SessionRunArgs::new();
        let mut fetches = Vec::new();
        args.add_target(&operation(graph, &stage.next)?);
        for Component { spec, form, fetch: (node, output), inner } in &stage.components {
            let dtype = match spec {
                ElementSpec::Tensor { dtype, .. } => *dtype,
                _ => DType::Variant,
            };
            let mut fetch = Fetch { form: *form, dtype, token: None, inner: None };
            match (form, inner) {
                (Form::Unread, _) => {}
                (Form::Dataset, Some(inner)) => {
                    args.add_target(&operation(graph, &inner.make)?);
                    fetch.inner = Some(Self::new(graph, inner)?);
                }
                _ => fetch.token = Some(args.request_fetch(&operation(graph, node)?, *output)),
            }
            fetches.push(fetch);
        }
        Ok(Self { args, delivery: stage.delivery, fetches })
    }

    /// The next delivery; `None` at the end.
    fn step(&mut self, session: &Session) -> Result<Option<Delivered>> {
        match session.run(&mut self.args) {
            Ok(()) => {}
            Err(status) if status.code() == Code::OutOfRange => return Ok(None),
            Err(status) => return Err(tf_error("TensorFlow's pipeline failed", &status)),
        }
        let mut components = Vec::with_capacity(self.fetches.len());
        let mut elements = None;
        for fetch in &mut self.fetches {
            let fetched = match (fetch.token, &mut fetch.inner) {
                (Some(token), _) => take(&mut self.args, token, fetch.form, fetch.dtype)?,
                (None, Some(inner)) => Fetched::Dataset(inner.rest(session)?),
                (None, None) => Fetched::Unread,
            };
            if let Delivery::Batches(most) = self.delivery
                && let Some(found) = fetched.elements()
            {
                let expected = *elements.get_or_insert(found);
                if expected != found || found > most {
                    return Err(Error::mismatch("components of different batch sizes")
                        .expected(expected.to_string(), found.to_string()));
                }
            }
            components.push(fetched);
        }
        Ok(Some(Delivered { elements: elements.unwrap_or(1), components }))
    }

    /// Every delivery until the end.
    fn rest(&mut self, session: &Session) -> Result<Vec<Delivered>> {
        let mut all = Vec::new();
        while let Some(delivered) = self.step(session)? {
            all.push(delivered);
        }
        Ok(all)
    }
}

fn take(args: &mut SessionRunArgs<'static>, token: FetchToken, form: Form, dtype: DType) -> Result<Fetched> {
    Ok(match form {
        Form::Serialized => Fetched::Serialized(tensor::take_strings(args, token)?),
        Form::Wrapped => Fetched::Wrapped(tensor::take_strings(args, token)?),
        _ if dtype == DType::String => Fetched::Strings(tensor::take_strings(args, token)?),
        _ => Fetched::Plain(tensor::take_plain(args, token, dtype)?),
    })
}

impl Fetched {
    /// The size of the leading dimension.
    fn elements(&self) -> Option<usize> {
        let dims = match self {
            Fetched::Plain(tensor) => tensor.dims(),
            Fetched::Strings(tensor) | Fetched::Serialized(tensor) | Fetched::Wrapped(tensor) => {
                tensor.dims()
            }
            Fetched::Unread | Fetched::Dataset(_) => return None,
        };
        dims.first().and_then(|n| usize::try_from(*n).ok())
    }
}

/// A running pipeline.
#[derive(Debug)]
pub(super) struct Running {
    // Before the session, which must outlive it.
    reader: Reader,
    loaded: Loaded,
    ended: bool,
}

impl Running {
    /// Starts the iterator of `stage`.
    ///
    /// # Errors
    /// The graph lacks a node, or the pipeline fails as it starts.
    pub(super) fn start(loaded: Loaded, stage: &Stage) -> Result<Self> {
        let reader = Reader::new(&loaded.graph, stage)?;
        let mut args = SessionRunArgs::new();
        loaded.feed(&mut args)?;
        args.add_target(&operation(&loaded.graph, &stage.make)?);
        loaded.session.run(&mut args).map_err(|e| tf_error("the pipeline cannot be started", &e))?;
        drop(args);
        Ok(Self { reader, loaded, ended: false })
    }

    /// How many elements a delivery stacks at most.
    pub(super) fn stacked(&self) -> usize {
        match self.reader.delivery {
            Delivery::Batches(rows) => rows,
            Delivery::Elements => 1,
        }
    }

    /// The next delivery; `None` at the end.
    ///
    /// # Errors
    /// Whatever fails in the pipeline, in TensorFlow's words.
    pub(super) fn next(&mut self) -> Result<Option<Delivered>> {
        if self.ended {
            return Ok(None);
        }
        let delivered = self.reader.step(&self.loaded.session);
        self.ended = !matches!(delivered, Ok(Some(_)));
        delivered
    }
}
