//! What `tf.data` stores: `Dataset.save` folders, distributed saves, `Dataset.snapshot` folders of
//! both generations, and the files of `Dataset.cache(filename)`.
//!
//! Shards come in the order of their names, one after the other, whatever the number of threads
//! and CPUs.

mod cache;
mod infer;
mod layout;
mod legacy;
mod payload;
mod stream;
mod units;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;

use self::layout::{Form, Layout, Shard};
use self::stream::{Stream, StreamOptions};
use super::ahead;
use super::blocks::BufferPool;
use super::options::OpenOptions;
use super::planned::{Learnt, Planned, PlannedPart};
use super::report::Failure;
use super::{Cardinality, InputFile, Partition, Progress, ReadOptions, Source, Units, UnitsAre, Verified};
use crate::column::element::ElementBuilder;
use crate::error::{Error, Result};
use crate::input::Place;
use crate::options::Phrase;
use crate::schema::element::ElementPlan;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::unbatch::unbatched;

pub(crate) use self::layout::{find_cache, find_folder};

/// A stored dataset.
#[derive(Debug)]
pub(crate) struct SavedSource {
    kind: String,
    form: Form,
    is_save: bool,
    /// What its elements are, as they are stored.
    stored: ElementSpec,
    /// Whether its spec was lost, and learnt from its elements.
    learnt: bool,
    shared: Arc<Shared>,
    partitions: Vec<Partition>,
    compressed: bool,
    /// The spec of a row.
    row_spec: ElementSpec,
    options: OpenOptions,
}

/// What reading and decoding have in common.
#[derive(Debug)]
struct Shared {
    name: String,
    plan: Arc<ElementPlan>,
    /// The specs of the stored components.
    specs: Vec<ElementSpec>,
    /// Components in front that are not the user's.
    lead: usize,
    shards: Vec<Shard>,
    stream: StreamOptions,
    /// Elements were dealt to the shards in turn, with their number in front.
    dealt: bool,
    unbatch: bool,
    check_crc: bool,
    /// How many elements the writer counted.
    elements: Option<u64>,
    /// How many elements each partition turned out to have.
    found: Mutex<Vec<Option<u64>>>,
    builders: Mutex<Vec<ElementBuilder>>,
}

/// Opens the folder of a stored dataset, which was [found](find_folder).
///
/// # Errors
/// The folder is not complete, contradicts itself, or was written by a version that is not known;
/// or an option does not fit the dataset.
pub(crate) fn open_folder(folder: &Place, options: &OpenOptions) -> Result<SavedSource> {
    open_folder_known(folder, None, options)
}

/// As [`open_folder`], where it is known what the elements are, and how many components in front are not
/// the user's.
///
/// # Errors
/// As there.
pub(crate) fn open_folder_known(
    folder: &Place,
    known: Option<&(ElementSpec, usize)>,
    options: &OpenOptions,
) -> Result<SavedSource> {
    open(layout::of_folder(folder)?, known, options).map_err(|e| e.in_source(folder.name()))
}

/// Opens cache files, which were [found](find_cache) by their prefix.
///
/// # Errors
/// As [`open_folder`].
pub(crate) fn open_cache(prefix: &Place, options: &OpenOptions) -> Result<SavedSource> {
    open_cache_known(prefix, None, options)
}

/// As [`open_cache`], where it is known what the elements are.
///
/// # Errors
/// As there.
pub(crate) fn open_cache_known(
    prefix: &Place,
    known: Option<&(ElementSpec, usize)>,
    options: &OpenOptions,
) -> Result<SavedSource> {
    open(layout::of_cache(prefix), known, options).map_err(|e| e.in_source(prefix.name()))
}

/// Opens `partitions`, shards that are read one by one, whose elements are known.
///
/// # Errors
/// A shard cannot be read, or an option does not fit.
pub(crate) fn open_parts(
    kind: &str,
    is_save: bool,
    spec: &ElementSpec,
    dtypes: &[String],
    partitions: Vec<Partition>,
    options: &OpenOptions,
) -> Result<SavedSource> {
    let dtypes = dtypes.iter().map(|name| {
        DType::from_name(name).ok_or_else(|| Error::corrupt(format!("no dtype is called `{name}`")))
    });
    let shard = |partition: &Partition| Shard {
        name: partition.name.to_string(),
        files: partition.inputs.iter().filter_map(InputFile::input).cloned().collect(),
        inputs: partition.inputs.clone(),
        elements: partition.rows.filter(|_| !options.unbatch),
    };
    let layout = Layout {
        name: partitions.first().map_or_else(String::new, |first| first.name.to_string()),
        kind: kind.to_owned(),
        form: Form::Frames,
        prefix: None,
        shards: partitions.iter().map(shard).collect(),
        spec: Some(spec.clone()),
        dtypes: dtypes.collect::<Result<_>>()?,
        // Nobody reads all of them here.
        elements: None,
        is_save,
    };
    open(layout, None, options)
}

fn open(
    mut layout: Layout,
    known: Option<&(ElementSpec, usize)>,
    options: &OpenOptions,
) -> Result<SavedSource> {
    if options.given.has("infer_records") && layout.spec.is_some() {
        return Err(Error::config(Phrase::new("nothing is inferred, and {infer_records} is for inference"))
            .with_hint("the folder says itself what its elements are"));
    }
    if layout.form == Form::Cache {
        describe_cache(&mut layout)?;
    }
    let mut stream = StreamOptions {
        form: layout.form,
        prefix: layout.prefix.clone(),
        components: layout.dtypes.len(),
        dtypes: layout.dtypes.clone(),
        max_record_bytes: options.max_record_bytes,
        check_crc: options.check_crc,
        pool: Arc::<BufferPool>::default(),
        progress: Arc::default(),
        turns: None,
    };
    let mut lead = 0;
    let spec = match (&layout.spec, known) {
        (Some(spec), _) => spec.clone(),
        (None, Some((spec, known_lead))) => {
            lead = *known_lead;
            spec.clone()
        }
        (None, None) => {
            lead = usize::from(!layout.is_save && are_dealt(&layout, &stream)?);
            let components = match options.to_verify {
                // What is not decoded may be anything: it is enough to know how many there are.
                true => {
                    let any = ElementSpec::tensor(DType::String, Shape::UnknownRank);
                    vec![any; layout.dtypes.len().saturating_sub(lead)]
                }
                false => {
                    let streams: Vec<Stream> = match lead {
                        0 => layout.shards.iter().map(|shard| Stream::new(shard, &stream)).collect(),
                        _ => vec![Stream::dealt(&layout.shards, &stream)],
                    };
                    let (streams, empty) = (streams.into_iter(), stream.payload());
                    let (limit, on_error) = (options.infer, options.on_error);
                    infer::infer(streams, &empty, &layout.dtypes, lead, limit, on_error)?
                }
            };
            infer::element(components)
        }
    };
    let specs: Vec<ElementSpec> = spec.components().into_iter().map(|(_, spec)| spec.clone()).collect();
    if specs.is_empty() {
        return Err(Error::unsupported("elements without components"));
    }
    stream.components = specs.len() + lead;
    let row_spec = if options.unbatch { unbatched(&spec)? } else { spec.clone() };
    let plan = plan(&row_spec, options)?;
    let dealt = lead > 0;
    let partitions = if dealt {
        let inputs = layout.shards.iter().flat_map(|shard| shard.inputs.iter().cloned());
        vec![Partition::new(layout.name.as_str(), inputs.collect())]
    } else {
        let only = layout.shards.len() == 1;
        let rows =
            |shard: &Shard| shard.elements.or(layout.elements.filter(|_| only)).filter(|_| !options.unbatch);
        let partition =
            |shard: &Shard| Partition::new(shard.name.as_str(), shard.inputs.clone()).with_rows(rows(shard));
        layout.shards.iter().map(partition).collect()
    };
    let compressed = match layout.shards.first() {
        Some(shard) => stream::is_compressed(shard, &stream)?,
        None => false,
    };
    Ok(SavedSource {
        kind: layout.kind,
        form: layout.form,
        is_save: layout.is_save,
        stored: spec,
        learnt: layout.is_save && layout.spec.is_none(),
        compressed,
        row_spec,
        options: options.clone(),
        shared: Arc::new(Shared {
            name: layout.name,
            plan: Arc::new(plan),
            specs,
            lead,
            found: Mutex::new(vec![None; partitions.len()]),
            shards: layout.shards,
            stream,
            dealt,
            unbatch: options.unbatch,
            check_crc: options.check_crc,
            elements: layout.elements,
            builders: Mutex::default(),
        }),
        partitions,
    })
}

/// Plans the columns of rows of this spec.
///
/// # Errors
/// A component cannot be stored, or was not; or an option does not fit.
fn plan(row_spec: &ElementSpec, options: &OpenOptions) -> Result<ElementPlan> {
    let OpenOptions { mapping, projection, names, .. } = options;
    let plan = ElementPlan::new(row_spec, mapping, projection, names, "saved")?;
    refuse_lost_data(&plan)?;
    Ok(plan)
}

/// Reads the dtypes and the number of elements from a cache's index.
fn describe_cache(layout: &mut Layout) -> Result<()> {
    let Some(prefix) = &layout.prefix else { return Ok(()) };
    let index = cache::CacheIndex::read(prefix)?;
    layout.dtypes = index.dtypes();
    layout.elements = Some(index.elements());
    if layout.dtypes.is_empty() {
        return Err(Error::unsupported("cache of no elements: it stores neither names nor dtypes"));
    }
    Ok(())
}

/// Whether a snapshot's elements were dealt to its shards in turn, with their number in front.
/// Nothing says so: the numbers themselves must.
fn are_dealt(layout: &Layout, stream: &StreamOptions) -> Result<bool> {
    if layout.form != Form::Frames || layout.dtypes.len() < 2 || layout.dtypes.first() != Some(&DType::Int64)
    {
        return Ok(false);
    }
    let shards = layout.shards.len() as u64;
    for (shard, first) in layout.shards.iter().zip(0..) {
        let mut elements = Stream::new(shard, stream);
        for expected in [first, first + shards] {
            let mut payload = stream.payload();
            if !elements.next(Some(&mut payload))? {
                break;
            }
            if stream::leading_number(&payload).ok() != Some(expected) {
                return Ok(false);
            }
        }
    }
    Ok(!layout.shards.is_empty())
}

/// TensorFlow stores a nested dataset as a wrapper without its data.
fn refuse_lost_data(plan: &ElementPlan) -> Result<()> {
    fn holds_dataset(spec: &ElementSpec) -> bool {
        match spec {
            ElementSpec::Dataset(_) => true,
            ElementSpec::Optional(inner) => holds_dataset(inner),
            other => other.children().into_iter().any(|(_, child)| holds_dataset(child)),
        }
    }
    match plan.columns.iter().find(|column| holds_dataset(&column.spec)) {
        Some(column) => Err(Error::unsupported("nested dataset: TensorFlow stores it without its data")
            .in_column(column.path.as_str())
            .with_hint(Phrase::new("save it batched instead of windowed, or leave it out with {exclude}"))),
        None => Ok(()),
    }
}

impl SavedSource {
    /// The streams of `partitions`.
    fn streams(&self, partitions: Range<usize>, read: &ReadOptions) -> Vec<(usize, Stream)> {
        let (progress, turns) = (read.progress.clone(), read.turns.clone());
        let options = StreamOptions { progress, turns, ..self.shared.stream.clone() };
        if self.shared.dealt {
            let whole = || (0, Stream::dealt(&self.shared.shards, &options));
            return partitions.contains(&0).then(whole).into_iter().collect();
        }
        let end = partitions.end.min(self.shared.shards.len());
        let start = partitions.start.min(end);
        let shards = self.shared.shards.get(start..end).unwrap_or_default();
        (start..).zip(shards.iter().map(|shard| Stream::new(shard, &options))).collect()
    }

    /// The number of elements: from the metadata, or by stepping over them.
    ///
    /// # Errors
    /// A shard is damaged where its elements are cut.
    pub(crate) fn count(&self, progress: &Arc<Progress>) -> Result<u64> {
        if let (Some(elements), false) = (self.shared.elements, self.shared.unbatch) {
            return Ok(elements);
        }
        let read = ReadOptions::default().with_progress(progress.clone());
        let mut elements = 0;
        for (_, mut stream) in self.streams(0..self.partitions.len(), &read) {
            if self.shared.unbatch {
                let mut payload = self.shared.stream.payload();
                while stream.next(Some(&mut payload))? {
                    elements += units::slices(&self.shared, &payload)?;
                    payload = self.shared.stream.payload();
                }
            } else {
                while stream.next(None)? {
                    elements += 1;
                }
            }
        }
        Ok(elements)
    }

    /// The elements of the partitions before `partition`, as far as they can be stepped over.
    fn elements_before(&self, partition: usize) -> u64 {
        let mut elements = 0;
        for (_, mut stream) in self.streams(0..partition, &ReadOptions::default()) {
            while let Ok(true) = stream.next(None) {
                elements += 1;
            }
        }
        elements
    }
}

impl Shared {
    /// The same with other columns.
    fn with_plan(&self, plan: ElementPlan) -> Self {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            name: self.name.clone(),
            plan: Arc::new(plan),
            specs: self.specs.clone(),
            shards: self.shards.clone(),
            stream: self.stream.clone(),
            found: Mutex::new(found),
            builders: Mutex::default(),
            ..*self
        }
    }

    fn wrong_number(&self, expected: u64, found: u64) -> Error {
        let what = if found < expected {
            "elements are missing: a shard is missing or cut short"
        } else {
            "more elements than were written: the folder mixes several saves"
        };
        Error::corrupt(what)
            .expected(format!("{expected} elements by the metadata"), found.to_string())
            .in_source(self.name.as_str())
    }
}

impl Source for SavedSource {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn choice(&self) -> Option<&str> {
        self.learnt.then_some("the element spec from the elements themselves: `dataset_spec.pb` is missing")
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.shared.plan.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.shared.plan.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        match self.shared.elements.filter(|_| !self.shared.unbatch) {
            Some(elements) => Cardinality::Known(elements),
            None => Cardinality::Unknown,
        }
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn units_are(&self) -> UnitsAre {
        UnitsAre { heavy: self.compressed, cut_by_parts: true, varying: false }
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let options = self.options.projected(columns)?;
        let plan = plan(&self.row_spec, &options).map_err(|e| e.in_source(self.shared.name.as_str()))?;
        let shared = Arc::new(self.shared.with_plan(plan));
        let (partitions, row_spec) = (self.partitions.clone(), self.row_spec.clone());
        let (kind, stored) = (self.kind.clone(), self.stored.clone());
        Ok(Arc::new(Self { kind, stored, shared, partitions, row_spec, options, ..*self }))
    }

    fn in_order(&self, partition: usize) -> Vec<(InputFile, Range<u64>)> {
        let shards = &self.shared.shards;
        if !self.shared.dealt {
            return shards.get(partition).map(|shard| ahead::whole(shard.files.iter())).unwrap_or_default();
        }
        // The first files of all shards are read at a time, then the second ones.
        let rounds = shards.iter().map(|shard| shard.files.len()).max().unwrap_or(0);
        let round = |at| shards.iter().filter_map(move |shard| shard.files.get(at));
        ahead::whole((0..rounds).flat_map(round))
    }

    /// Shards of frames are read one by one.
    fn planned(&self, _: Option<u64>) -> Result<Option<Planned>> {
        let stream = &self.shared.stream;
        let learnt = match self.form == Form::Frames && !self.shared.dealt {
            true => Learnt::Saved {
                kind: self.kind.clone(),
                is_save: self.is_save,
                spec: self.stored.clone(),
                dtypes: stream.dtypes.iter().map(|dtype| dtype.name().to_owned()).collect(),
            },
            false => Learnt::Whole {
                name: self.shared.name.as_str().into(),
                spec: Some((self.stored.clone(), self.shared.lead)),
            },
        };
        Ok(Some(Planned { learnt, parts: self.partitions.iter().map(PlannedPart::of).collect() }))
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        let streams = self.streams(partitions, options);
        Ok(Box::new(units::SavedUnits::new(self.shared.clone(), streams, options)))
    }

    /// A shard is not read further where the place of its next element is lost. Elements are not
    /// decoded.
    fn verify(
        &self,
        partition: usize,
        options: &ReadOptions,
        damage: &mut dyn FnMut(Failure) -> Result<()>,
    ) -> Result<Verified> {
        let (mut elements, mut damaged) = (0u64, 0u64);
        for (_, mut stream) in self.streams(partition..partition + 1, options) {
            loop {
                let mut payload = self.shared.stream.payload();
                let found = match stream.next(Some(&mut payload)) {
                    Ok(true) => payload.visit(true, &mut |element| element.map(|_| ())),
                    Ok(false) => break,
                    Err(error) if error.is_data() => match stream.pass_over(error) {
                        Ok(error) => Err(error),
                        Err(error) => {
                            damaged += 1;
                            damage(error.into())?;
                            break;
                        }
                    },
                    Err(error) => return Err(error),
                };
                match found {
                    Ok(()) => elements += 1,
                    Err(error) => {
                        damaged += 1;
                        damage(error.into())?;
                    }
                }
            }
        }
        // Only the number of all elements is written down: the last partition tells.
        if let (Some(expected), true) =
            (self.shared.elements, damaged == 0 && partition + 1 == self.partitions.len())
        {
            let found = elements + self.elements_before(partition);
            if found != expected {
                damage(self.shared.wrong_number(expected, found).into())?;
            }
        }
        Ok(Verified { records: elements, what: "elements".to_owned(), looked_into: true })
    }
}

// Many of the files they read are compressed.
#[cfg(feature = "gzip")]
#[cfg(test)]
mod tests;
