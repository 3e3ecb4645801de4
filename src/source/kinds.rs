//! The kinds of input, and how each is recognised: one row a kind.
//!
//! A name is looked at once. If it is that of a stored dataset, a row of [`DATASETS`] knows it by
//! the files that lie there. Otherwise the first bytes of every file that is meant are read, once,
//! and the rows of [`FILES`] are asked in order; then those of [`FOREIGN`](super::foreign::FOREIGN),
//! which are not read but called by their name. To add a kind of input, add a folder to this module and a row here.

use std::io::Read;
use std::sync::Arc;

#[cfg(feature = "array-record")]
use super::array_record;
use super::count::count_records;
use super::foreign::{DECOMPRESS, foreign};
use super::message;
use super::options::OpenOptions;
use super::records::{self, Piece, RecordFile, RecordFiles};
use super::table::{self, Kind as Table};
use super::tfds::{self, TfdsSource};
use super::{Cardinality, Decoded, ReadOptions, Selection, Source, drain, live, saved};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{self, Input, Place, Stat};
use crate::options::{InputKind, RecordKind};
use crate::tf::spec::ElementSpec;
use crate::wire::compress::{self, Compression};
use crate::wire::tfrecord;

/// First bytes that are looked at: as many as one read gives, enough for a schema's message.
const FIRST_BYTES: usize = 4 << 10;
/// Bytes of what is compressed in a file that are looked at.
const INNER_BYTES: usize = 512;

/// A kind of stored dataset: what lies where one name says.
#[derive(Debug)]
pub(crate) struct DatasetKind {
    /// What it is called.
    pub(crate) name: &'static str,
    /// How it is recognised.
    pub(crate) known_by: &'static str,
    /// Which options it heeds.
    options: InputKind,
    /// The dataset that a name means, of which this is known; `None` if it is not of this kind.
    find: fn(&Place, Option<&Stat>) -> Result<Option<Place>>,
    /// Opens the dataset that was found by this name.
    open: fn(&Place, &Place, &OpenOptions) -> Result<Arc<dyn Source>>,
    /// The number of its elements: what its metadata says, or by reading every one.
    count: fn(&Place, &OpenOptions, &ReadOptions, Check) -> Result<u64>,
}

type OpenFiles = fn(&[Probe], &OpenOptions) -> Result<Arc<dyn Source>>;

/// A kind of file.
#[derive(Debug)]
pub(crate) struct FileKind {
    /// What such files are called.
    pub(crate) name: &'static str,
    /// How they are recognised.
    pub(crate) known_by: &'static str,
    /// Which options such files heed.
    options: fn(&OpenOptions) -> InputKind,
    is: fn(&Probe) -> bool,
    open: OpenFiles,
    /// The number of their rows or records.
    count: fn(&[Probe], &OpenOptions, &ReadOptions, Check) -> Result<u64>,
}

/// How elements are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// By an index or metadata where there is one, by hopping from one to the next otherwise.
    Claims,
    /// By reading every one, and checking what can be.
    Everything,
}

/// The kinds of stored datasets, in the order in which they are looked for.
pub(crate) static DATASETS: [DatasetKind; 4] = [
    DatasetKind {
        name: "tf.data pipeline",
        known_by: "a folder with `graph.pb` and `element_spec.json`",
        options: InputKind::Pipeline,
        find: |place, stat| Ok(in_folder(stat).then(|| place.clone()).filter(live::looks_like_pipeline)),
        open: |folder, _, options| live::open_pipeline(folder, options),
        count: |folder, options, read, _| count_source(live::open_pipeline(folder, options)?.as_ref(), read),
    },
    DatasetKind {
        name: "Dataset.save, distributed save, Dataset.snapshot",
        known_by: "a folder with `snapshot.metadata` or `dataset_spec.pb`, or one that holds one such folder",
        options: InputKind::Saved,
        find: |place, stat| if in_folder(stat) { saved::find_folder(place) } else { Ok(None) },
        open: |folder, _, options| Ok(Arc::new(saved::open_folder(folder, options)?)),
        count: |folder, options, read, check| count_saved(&saved::open_folder(folder, options)?, read, check),
    },
    DatasetKind {
        name: "Dataset.cache",
        known_by: "NAME.index, a table of TensorFlow's, named with or without `.index`",
        options: InputKind::Cache,
        find: |place, stat| {
            let is_index = place.path().extension().is_some_and(|extension| extension == "index");
            let may_be = stat.is_none_or(|stat| stat.kind == input::FileKind::File && is_index);
            Ok(if may_be { saved::find_cache(place) } else { None })
        },
        open: |prefix, _, options| Ok(Arc::new(saved::open_cache(prefix, options)?)),
        count: |prefix, options, read, check| count_saved(&saved::open_cache(prefix, options)?, read, check),
    },
    DatasetKind {
        name: "TFDS",
        known_by: "a folder with `dataset_info.json`, or one that holds such a folder a version or config",
        options: InputKind::Tfds,
        find: |place, stat| if in_folder(stat) { tfds::find(place) } else { Ok(None) },
        open: |folder, named, options| match message::is_asked_for(options) {
            true => Ok(Arc::new(message::open(RecordFiles::of_tfds(folder, options)?, options)?)),
            false => Ok(Arc::new(TfdsSource::open(folder, named, options)?)),
        },
        count: |folder, options, read, check| match check {
            Check::Claims => tfds::count(folder, options),
            Check::Everything => records::count(tfds::pieces(folder, options)?.0, options, read),
        },
    },
];

/// The kinds of files, in the order in which they are asked.
pub(crate) static FILES: [FileKind; 5] = [
    FileKind {
        name: "TFRecord files",
        known_by: "the CRC of the first record's length, after undoing GZIP, ZLIB or Snappy; an empty file",
        options: OpenOptions::kind_of_records,
        is: |probe| probe.compression == Some(Compression::None) || probe.is_compressed_tfrecord(),
        open: |probes, options| {
            let files = RecordFiles::frames(&inputs_of(probes), probes.iter().any(Probe::is_compressed));
            Ok(Arc::new(message::open_any(files, options)?))
        },
        count: count_frames,
    },
    FileKind {
        name: "ArrayRecord files",
        known_by: "the signature of Riegeli files",
        options: OpenOptions::kind_of_records,
        is: |probe| probe.first.starts_with(&RIEGELI),
        #[cfg(feature = "array-record")]
        open: |probes, options| {
            let files = RecordFiles::array_records(&inputs_of(probes))?;
            Ok(Arc::new(message::open_any(files, options)?))
        },
        #[cfg(feature = "array-record")]
        count: |probes, options, read, check| match check {
            Check::Claims => {
                let files = array_record::open_files(&inputs_of(probes))?;
                Ok(files.iter().map(|file| file.index.records).fold(0, u64::saturating_add))
            }
            Check::Everything => records::count(pieces(probes, RecordFile::ChunksAt), options, read),
        },
        #[cfg(not(feature = "array-record"))]
        open: |_, _| Err(no_array_record()),
        #[cfg(not(feature = "array-record"))]
        count: |_, _, _, _| Err(no_array_record()),
    },
    FileKind {
        name: "Arrow IPC files",
        known_by: "`ARROW1`",
        options: |_| InputKind::ArrowTable,
        is: |probe| probe.first.starts_with(b"ARROW1"),
        open: |probes, options| Ok(Arc::new(table::open(&inputs_of(probes), Table::IpcFile, options)?)),
        count: |probes, options, read, check| count_table(probes, Table::IpcFile, options, read, check),
    },
    FileKind {
        name: "Arrow IPC streams",
        known_by: "the marker of a message and its length",
        options: |_| InputKind::ArrowTable,
        is: |probe| matches!(*probe.first, [0xff, 0xff, 0xff, 0xff, _, _, 0 | 1, 0, ..]),
        open: |probes, options| Ok(Arc::new(table::open(&inputs_of(probes), Table::IpcStream, options)?)),
        count: |probes, options, read, check| count_table(probes, Table::IpcStream, options, read, check),
    },
    FileKind {
        name: "Parquet files",
        known_by: "`PAR1`",
        options: |_| InputKind::ParquetTable,
        is: |probe| probe.first.starts_with(b"PAR1"),
        open: |probes, options| Ok(Arc::new(table::open(&inputs_of(probes), Table::Parquet, options)?)),
        count: |probes, options, read, check| count_table(probes, Table::Parquet, options, read, check),
    },
];

/// The beginning of every Riegeli file.
const RIEGELI: [u8; 8] = [0x83, 0xaf, 0x70, 0xd1, 0x0d, 0x88, 0x4a, 0x3f];

/// An input and its first bytes.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) input: Input,
    first: Vec<u8>,
    /// What the bytes are as a TFRecord stream, if they can be one.
    compression: Option<Compression>,
    /// The first bytes of what is compressed.
    inner: Vec<u8>,
}

impl Probe {
    /// Reads the first bytes of `input`.
    ///
    /// # Errors
    /// It cannot be read.
    fn new(input: &Input) -> Result<Self> {
        let first = input.first_bytes(FIRST_BYTES)?;
        let compression = compress::sniff(&first);
        let inner = match compression {
            Some(compression @ (Compression::Gzip | Compression::Zlib)) => inflated(compression, &first),
            _ => Vec::new(),
        };
        Ok(Self { input: input.clone(), first, compression, inner })
    }

    fn is_compressed(&self) -> bool {
        self.compression.is_some_and(|compression| compression != Compression::None)
    }

    fn is_compressed_tfrecord(&self) -> bool {
        match self.compression {
            Some(Compression::Gzip | Compression::Zlib) => tfrecord::is_header(&self.inner),
            Some(Compression::Snappy) => true,
            _ => false,
        }
    }

    /// The kind of file; TFRecord if nothing is known, so that reading it says what is wrong with it.
    ///
    /// # Errors
    /// It is of a kind that is not read.
    fn kind(&self, to_verify: bool) -> Result<&'static FileKind> {
        let [records, ..] = &FILES;
        if let Some(kind) = FILES.iter().find(|kind| (kind.is)(self)) {
            return Ok(kind);
        }
        // What took a shard's place is damage.
        if to_verify {
            return Ok(records);
        }
        let refuse = |what: String, hint: &str| {
            Err(Error::unsupported(what).in_source(self.input.name()).with_hint(hint))
        };
        if let Some(kind) = foreign(&self.first) {
            return refuse(format!("input is {}", kind.name), kind.hint);
        }
        if self.inner.is_empty() {
            return Ok(records);
        }
        let inner = Probe {
            input: self.input.clone(),
            first: self.inner.clone(),
            compression: None,
            inner: Vec::new(),
        };
        match (FILES.iter().find(|kind| (kind.is)(&inner)), foreign(&self.inner)) {
            (Some(kind), _) => refuse(format!("{} that are compressed as a whole", kind.name), DECOMPRESS),
            (None, Some(kind)) => refuse(format!("input is {}, compressed", kind.name), kind.hint),
            (None, None) => Ok(records),
        }
    }
}

/// The beginning of what `first` begins to hold.
fn inflated(compression: Compression, first: &[u8]) -> Vec<u8> {
    let mut inner = vec![0; INNER_BYTES];
    let mut filled = 0;
    #[cfg(feature = "gzip")]
    let mut reader: Box<dyn Read + '_> = match compression {
        Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(first)),
        _ => Box::new(flate2::bufread::ZlibDecoder::new(first)),
    };
    #[cfg(not(feature = "gzip"))]
    let mut reader = {
        let _ = (compression, first);
        std::io::empty()
    };
    // It ends in the middle: what came before that is what there is.
    while let Some(free) = inner.get_mut(filled..).filter(|free| !free.is_empty())
        && let Ok(n) = reader.read(free)
        && n > 0
    {
        filled += n;
    }
    inner.truncate(filled);
    inner
}

fn in_folder(stat: Option<&Stat>) -> bool {
    stat.is_some_and(|stat| stat.kind == input::FileKind::Folder)
}

/// What was named.
#[derive(Debug)]
pub(crate) enum Found {
    /// A stored dataset: its kind, where it is, and what was named.
    Dataset(&'static DatasetKind, Place, Place),
    /// Files, all of one kind.
    Files(&'static FileKind, Vec<Probe>),
}

/// The stored dataset that `place` is, of which `stat` is known.
///
/// # Errors
/// What lies there cannot be told, or is several datasets.
pub(crate) fn dataset(place: &Place, stat: Option<&Stat>) -> Result<Option<Found>> {
    for kind in &DATASETS {
        if let Some(found) = (kind.find)(place, stat)? {
            return Ok(Some(Found::Dataset(kind, found, place.clone())));
        }
    }
    Ok(None)
}

/// Opens the stored dataset that lies at `place`, of which is known, if its store does not say it, what
/// its elements are and how many components in front are not the user's.
///
/// # Errors
/// It is none, or is damaged.
pub(crate) fn open_known(
    place: &Place,
    spec: Option<&(ElementSpec, usize)>,
    options: &OpenOptions,
) -> Result<Arc<dyn Source>> {
    let stat = place.stat()?;
    match dataset(place, stat.as_ref())? {
        Some(Found::Dataset(kind, found, _)) if kind.options == InputKind::Saved => {
            Ok(Arc::new(saved::open_folder_known(&found, spec, options)?))
        }
        Some(Found::Dataset(kind, found, _)) if kind.options == InputKind::Cache => {
            Ok(Arc::new(saved::open_cache_known(&found, spec, options)?))
        }
        Some(Found::Dataset(kind, found, named)) => (kind.open)(&found, &named, options),
        _ => {
            Err(Error::new(ErrorKind::NotFound, "input is gone since it was planned").in_source(place.name()))
        }
    }
}

/// Looks at files, which must all be of one kind.
///
/// # Errors
/// They are of several kinds, or of one that is not read; or one cannot be read.
pub(crate) fn files(inputs: &[Input], to_verify: bool) -> Result<Found> {
    let look = |input: &Input| {
        let probe = Probe::new(input)?;
        // An encrypted table by itself took no shard's place, and is not damaged.
        let is_encrypted = inputs.len() == 1 && probe.first.starts_with(b"PARE");
        let kind = probe.kind(to_verify && !is_encrypted)?;
        let found = if probe.first.is_empty() { "an empty file" } else { kind.name };
        // Of many files these would be all the memory.
        Ok((kind, found, Probe { first: Vec::new(), inner: Vec::new(), ..probe }))
    };
    let mut kind: Option<&'static FileKind> = None;
    let mut probes = Vec::with_capacity(inputs.len());
    for (other, found, probe) in crate::input::side_by_side(inputs, look)? {
        match kind {
            None => kind = Some(other),
            Some(kind) if std::ptr::eq(kind, other) => {}
            // An empty file may be a shard without records, and nothing else.
            Some(kind) => {
                return Err(Error::config("inputs of different kinds")
                    .expected(kind.name, found)
                    .in_source(probe.input.name()));
            }
        }
        probes.push(probe);
    }
    let kind = kind.ok_or_else(|| Error::config("no input is named"))?;
    Ok(Found::Files(kind, probes))
}

/// The kinds of input that are recognised, in the order in which they are looked for: what each is
/// called, and what it is known by.
pub fn input_kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    let datasets = DATASETS.iter().map(|kind| (kind.name, kind.known_by));
    datasets.chain(FILES.iter().map(|kind| (kind.name, kind.known_by)))
}

impl Found {
    /// Refuses options that it does not heed.
    fn check(&self, options: &OpenOptions) -> Result<()> {
        match self {
            // What its records are can be said, too.
            Found::Dataset(kind, ..) if kind.options == InputKind::Tfds && message::is_asked_for(options) => {
                options.check_one_of(options.kind_of_records(), &[InputKind::Tfds])
            }
            Found::Dataset(kind, ..) => options.check(kind.options),
            // What records are that nothing is said of, they tell themselves.
            Found::Files(kind, _) => match (kind.options)(options) {
                InputKind::Examples if options.record == RecordKind::Auto => {
                    options.check_one_of(InputKind::Examples, &[InputKind::Elwc, InputKind::Events])
                }
                known => options.check(known),
            },
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// It is damaged, or an option does not fit it.
    pub(crate) fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Source>> {
        self.check(options)?;
        match self {
            Found::Dataset(kind, found, named) => (kind.open)(found, named, options),
            Found::Files(kind, probes) => (kind.open)(probes, options),
        }
    }

    /// The number of its elements.
    ///
    /// # Errors
    /// It is damaged, as far as it is read.
    pub(crate) fn count(&self, options: &OpenOptions, read: &ReadOptions, check: Check) -> Result<u64> {
        self.check(options)?;
        match self {
            Found::Dataset(kind, found, _) => (kind.count)(found, options, read, check),
            Found::Files(kind, probes) => (kind.count)(probes, options, read, check),
        }
    }

    /// Whether it is records of a stream, which can be read once.
    pub(crate) fn is_once(&self) -> bool {
        let [records, ..] = &FILES;
        match self {
            Found::Files(kind, probes) => {
                std::ptr::eq(*kind, records) && probes.iter().any(|probe| probe.input.is_once())
            }
            Found::Dataset(..) => false,
        }
    }
}

fn inputs_of(probes: &[Probe]) -> Vec<Input> {
    probes.iter().map(|probe| probe.input.clone()).collect()
}

fn pieces(probes: &[Probe], file: fn(Input) -> RecordFile) -> Vec<Piece> {
    inputs_of(probes).into_iter().map(file).map(Piece::whole).collect()
}

fn count_frames(probes: &[Probe], options: &OpenOptions, read: &ReadOptions, check: Check) -> Result<u64> {
    match check {
        Check::Claims => {
            let counts = input::side_by_side_of(
                probes,
                |probe| &probe.input,
                |probe| {
                    count_records(
                        &probe.input,
                        !probe.is_compressed(),
                        options.max_record_bytes,
                        &read.progress,
                    )
                },
            )?;
            Ok(counts.into_iter().fold(0, u64::saturating_add))
        }
        Check::Everything => records::count(pieces(probes, RecordFile::Frames), options, read),
    }
}

fn count_table(
    probes: &[Probe],
    kind: Table,
    options: &OpenOptions,
    read: &ReadOptions,
    check: Check,
) -> Result<u64> {
    let table = table::open(&inputs_of(probes), kind, options)?;
    match check {
        Check::Claims => Ok(table.rows()),
        Check::Everything => count_rows(&table, read),
    }
}

fn count_saved(saved: &saved::SavedSource, read: &ReadOptions, check: Check) -> Result<u64> {
    match check {
        Check::Claims => saved.count(&read.progress),
        Check::Everything => count_rows(saved, read),
    }
}

#[cfg(not(feature = "array-record"))]
fn no_array_record() -> Error {
    Error::unsupported("ArrayRecord input").with_hint("build tfarrow with the feature `array-record`")
}

/// The elements of `source`, as it says itself or, if it cannot, by making every one.
///
/// # Errors
/// It cannot be read.
pub(crate) fn count_source(source: &dyn Source, read: &ReadOptions) -> Result<u64> {
    match source.cardinality() {
        Cardinality::Known(rows) => Ok(rows),
        _ => count_rows(source, read),
    }
}

/// The rows of `source`, every one of which is decoded.
fn count_rows(source: &dyn Source, read: &ReadOptions) -> Result<u64> {
    let options = ReadOptions { selection: Selection::default(), ..read.clone() };
    let mut units = source.units(0..source.partitions().len(), &options)?;
    let mut rows = 0;
    drain(units.as_mut(), &mut |decoded| {
        if let Decoded::Batch(batch) = decoded {
            rows += batch.num_rows() as u64;
        }
        Ok(())
    })?;
    Ok(rows)
}
