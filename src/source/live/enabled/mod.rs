//! Pipelines in a build with TensorFlow's bindings.

mod build;
mod columns;
mod folder;
mod function;
mod library;
mod options;
mod runner;
mod stage;
mod tensor;
mod units;
mod values;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::SchemaRef;

use self::columns::Columns;
use self::runner::{Fed, Loaded, Model, Running};
use self::stage::Wanted;
use self::units::LiveUnits;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::source::options::OpenOptions;
use crate::source::planned::{Learnt, Planned, PlannedPart};
use crate::source::{Cardinality, InputFile, Partition, PartitionRange, ReadOptions, Source, Units};
use crate::tf::graph_def::GraphBuilder;
use crate::tf::spec::ElementSpec;

pub use self::build::Dataset;
pub(crate) use self::folder::open_pipeline;
pub use self::function::ModelFunction;
pub use self::options::DataOptions;
pub use self::values::{Components, Values};

/// A serialized dataset and what it needs to run.
#[derive(Debug)]
struct Pipeline {
    /// What to call it in messages.
    name: String,
    /// A `GraphDef`.
    graph: Vec<u8>,
    /// The dataset's node in it.
    output: String,
    /// Tensors that stand beside the graph.
    feeds: Arc<Vec<Fed>>,
    /// A model whose functions and variables the graph uses.
    model: Option<Model>,
    element_spec: ElementSpec,
    /// The files it was read from.
    inputs: Vec<InputFile>,
}

/// How TensorFlow is found and run.
#[derive(Debug, Clone, Default)]
struct Runtime {
    library: Option<PathBuf>,
    /// Threads for TensorFlow's operations; 0 for one a core.
    threads: u8,
}

/// A dataset that TensorFlow makes as it is read.
#[derive(Debug)]
pub(crate) struct LiveSource {
    shared: Arc<Shared>,
    partitions: Vec<Partition>,
    options: OpenOptions,
}

/// What a source and its running pipelines have in common.
#[derive(Debug)]
struct Shared {
    pipeline: Arc<Pipeline>,
    runtime: Runtime,
    columns: Columns,
    cardinality: OnceLock<Cardinality>,
}

impl LiveSource {
    fn new(pipeline: Pipeline, runtime: Runtime, options: &OpenOptions) -> Result<Self> {
        let specs = stage::leaves(&pipeline.element_spec);
        if specs.is_empty() {
            return Err(Error::unsupported("elements without components"));
        }
        let partitions = vec![
            // How much the pipeline will read says nothing here.
            Partition::new(pipeline.name.as_str(), pipeline.inputs.clone())
                .with_range(PartitionRange::All, None),
        ];
        let columns = Columns::new(&pipeline.element_spec, specs, options)?;
        let (pipeline, cardinality) = (Arc::new(pipeline), OnceLock::new());
        let shared = Arc::new(Shared { pipeline, runtime, columns, cardinality });
        Ok(Self { shared, partitions, options: options.clone() })
    }
}

impl Shared {
    fn load(&self, graph: GraphBuilder) -> Result<Loaded> {
        library::ensure(self.runtime.library.as_deref())?;
        Loaded::new(
            &graph.finish(),
            self.pipeline.feeds.clone(),
            self.pipeline.model.as_ref(),
            self.runtime.threads,
        )
    }

    /// The number of elements, as the dataset itself tells it.
    fn cardinality(&self) -> Result<Cardinality> {
        if let Some(known) = self.cardinality.get() {
            return Ok(*known);
        }
        let mut graph = GraphBuilder::new(self.pipeline.graph.clone());
        let node = stage::add_cardinality(&mut graph, &self.pipeline.output);
        let found = self.load(graph)?.cardinality(&node)?;
        Ok(*self.cardinality.get_or_init(|| found))
    }

    /// Starts the pipeline, `past` selected elements in.
    fn start(&self, options: &ReadOptions, past: u64) -> Result<Running> {
        if self.cardinality()? == Cardinality::Infinite && options.selection.take.is_none() {
            return Err(Error::config("the dataset has no end")
                .with_hint(Phrase::new("say how many rows to take with {take}")));
        }
        let mut read = vec![false; self.columns.specs.len()];
        for (number, _) in self.columns.plan.columns.iter().flat_map(|column| &column.components) {
            if let Some(read) = read.get_mut(*number) {
                *read = true;
            }
        }
        let wanted = Wanted {
            selection: options.selection,
            past,
            unbatch: self.columns.unbatch,
            batch_rows: options.batch_rows.max(1),
            batch_bytes: options.batch_bytes,
            read,
        };
        let mut graph = GraphBuilder::new(self.pipeline.graph.clone());
        let stage = stage::add(&mut graph, &self.pipeline.output, &self.pipeline.element_spec, &wanted)?;
        Running::start(self.load(graph)?, &stage)
    }

    /// Which of the `most` elements from number `first` on fails, found by making them again one
    /// by one; `None` where none fails the second time.
    fn find_failure(&self, options: &ReadOptions, first: u64, most: usize) -> Option<u64> {
        let options = ReadOptions { batch_rows: 1, ..options.clone() };
        let mut running = self.start(&options, first).ok()?;
        for element in (first..).take(most) {
            match running.next() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(_) => return Some(element),
            }
        }
        None
    }
}

impl Source for LiveSource {
    fn kind(&self) -> &str {
        "tf.data pipeline"
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.shared.columns.plan.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.shared.columns.plan.schema.clone()
    }

    /// Unknown also where TensorFlow cannot be loaded.
    fn cardinality(&self) -> Cardinality {
        match self.shared.cardinality() {
            Ok(Cardinality::Infinite) => Cardinality::Infinite,
            Ok(known) if !self.shared.columns.unbatch => known,
            _ => Cardinality::Unknown,
        }
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let options = self.options.projected(columns)?;
        let Shared { pipeline, runtime, columns, cardinality } = self.shared.as_ref();
        let shared = Arc::new(Shared {
            columns: Columns::new(&pipeline.element_spec, columns.specs.clone(), &options)?,
            pipeline: pipeline.clone(),
            runtime: runtime.clone(),
            cardinality: cardinality.clone(),
        });
        Ok(Arc::new(Self { shared, partitions: self.partitions.clone(), options }))
    }

    /// A folder is opened as a whole; a pipeline that was built here stays here.
    fn planned(&self, _: Option<u64>) -> Result<Option<Planned>> {
        let pipeline = &self.shared.pipeline;
        let learnt = Learnt::Whole { name: pipeline.name.as_str().into(), spec: None };
        let parts = self.partitions.iter().map(PlannedPart::of).collect();
        Ok((!pipeline.inputs.is_empty()).then_some(Planned { learnt, parts }))
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        let name = self.shared.pipeline.name.as_str();
        let running = match partitions.contains(&0) {
            true => Some(self.shared.start(options, 0).map_err(|e| e.in_source(name))?),
            false => None,
        };
        Ok(Box::new(LiveUnits::new(running, self.shared.clone(), options)))
    }
}

#[cfg(test)]
mod tests;
