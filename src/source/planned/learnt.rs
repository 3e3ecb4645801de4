//! What opening a source learnt.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde_json::Value;

use crate::schema::feature::FeatureSpec;
use crate::source::table;
use crate::tf::spec::ElementSpec;

/// What the parts of a source have in common, beyond the options that it was opened with.
#[derive(Debug, Clone)]
pub(crate) enum Learnt {
    /// Files of records.
    Records {
        /// What the files are.
        files: RecordsIn,
        /// What the records are.
        records: RecordsOf,
    },
    /// A TFDS dataset.
    Tfds(Arc<LearntTfds>),
    /// Tables, whose columns are those of the first file.
    Table { kind: table::Kind, schema: SchemaRef },
    /// Shards of stored elements that are read one by one.
    Saved { kind: String, is_save: bool, spec: ElementSpec, dtypes: Vec<String> },
    /// What is opened as a whole, by its name; of a store without a spec, what its elements are, and how
    /// many components in front are not the user's.
    Whole { name: Arc<str>, spec: Option<(ElementSpec, usize)> },
}

/// Files of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordsIn {
    /// TFRecord files, compressed as a whole or not.
    TfRecord {
        compressed: bool,
    },
    ArrayRecord,
    /// The shards of a TFDS dataset, in the format of this name.
    Tfds(&'static str),
}

/// What records are.
#[derive(Debug, Clone)]
pub(crate) enum RecordsOf {
    Raw,
    Examples(Features),
    Elwc {
        context: Features,
        examples: Features,
    },
    Events,
    /// Messages that these files declare, the first of which was named.
    Messages(Vec<DescriptorFile>),
}

/// What features hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Features {
    /// Those that were given or inferred.
    pub(crate) specs: Vec<FeatureSpec>,
    /// Whether the records are `SequenceExample`s.
    pub(crate) sequence: bool,
}

/// A file of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescriptorFile {
    /// What imports it, or nothing.
    pub(crate) import: String,
    /// What to call it.
    pub(crate) name: String,
    pub(crate) bytes: Arc<[u8]>,
}

/// A TFDS dataset's metadata.
#[derive(Debug, Clone)]
pub(crate) struct LearntTfds {
    /// Where it lies.
    pub(crate) folder: Arc<str>,
    /// Its name, config and version.
    pub(crate) full_name: String,
    /// The name of the format of its files.
    pub(crate) format: &'static str,
    /// Its `features.json`.
    pub(crate) features: Value,
    /// What features of unknown classes hold.
    pub(crate) guessed: Vec<FeatureSpec>,
    /// The names of classes, by what label files are called; none where there is no file.
    pub(crate) labels: Vec<(String, Option<Vec<String>>)>,
}
