//! How input is to be understood, whatever its kind.

use crate::error::{Error, Result};
use crate::options::{Given, InferRecords, InputKind, OnError, OutputKind, RecordKind};
use crate::schema::Projection;
use crate::schema::cast::Cast;
use crate::schema::feature::FeatureSpec;
use crate::schema::mapping::MappingOptions;

/// The largest record that is read unless another limit is set: 1 GiB.
pub const DEFAULT_MAX_RECORD_BYTES: u64 = 1 << 30;

/// How input is to be understood, whatever its kind; each source takes what concerns it.
#[derive(Debug, Clone)]
pub(crate) struct OpenOptions {
    /// The options that were set, whatever to.
    pub(crate) given: Given,
    pub(crate) record: RecordKind,
    pub(crate) infer: InferRecords,
    /// What the rows are read for.
    pub(crate) output: OutputKind,
    /// Specs that replace or add to what is inferred.
    pub(crate) features: Vec<FeatureSpec>,
    /// Whether `features` are all there are, so that nothing is inferred.
    pub(crate) features_complete: bool,
    /// Whether `features` may all be missing, whatever they say.
    pub(crate) features_optional: bool,
    pub(crate) projection: Projection,
    pub(crate) mapping: MappingOptions,
    pub(crate) casts: Vec<Cast>,
    pub(crate) max_record_bytes: u64,
    pub(crate) check_crc: bool,
    /// The splits of a TFDS dataset to read, as TFDS writes them.
    pub(crate) split: Option<String>,
    /// Class labels as dictionary columns.
    pub(crate) class_names: bool,
    pub(crate) decode_images: bool,
    /// Read what can be read: features of unknown classes, shards of another length.
    pub(crate) lenient: bool,
    /// The sequence whose items become rows.
    pub(crate) explode: Option<String>,
    /// Names for the top-level positions of a tuple.
    pub(crate) names: Vec<String>,
    /// Whether every slice along the first dimension of an element is a row.
    pub(crate) unbatch: bool,
    /// What to do with records that cannot be read for inference: all but [`OnError::Fail`] pass
    /// over them.
    pub(crate) on_error: OnError,
    /// Whether the source is only to be [verified](Source::verify): what is not needed for that,
    /// such as columns, need not be found out.
    pub(crate) to_verify: bool,
    /// What describes the message that records hold: a `.proto` file or a `FileDescriptorSet`.
    pub(crate) proto: Option<std::path::PathBuf>,
    /// The message, with its package.
    pub(crate) message: Option<String>,
    /// Folders in which imports are looked for.
    pub(crate) proto_path: Vec<std::path::PathBuf>,
    /// Whether absent fields have the default that is declared for them.
    pub(crate) proto_defaults: bool,
    /// Where libtensorflow is: the file or a folder; looked for if not given.
    pub(crate) libtensorflow: Option<std::path::PathBuf>,
    /// Threads for TensorFlow's operations; 0 for one a core.
    pub(crate) tensorflow_threads: u8,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            given: Given::default(),
            output: OutputKind::Batches,
            record: RecordKind::default(),
            infer: InferRecords::default(),
            features: Vec::new(),
            features_complete: false,
            features_optional: false,
            projection: Projection::default(),
            mapping: MappingOptions::default(),
            casts: Vec::new(),
            max_record_bytes: DEFAULT_MAX_RECORD_BYTES,
            check_crc: true,
            split: None,
            class_names: false,
            decode_images: false,
            lenient: false,
            explode: None,
            names: Vec::new(),
            unbatch: false,
            on_error: OnError::default(),
            to_verify: false,
            proto: None,
            message: None,
            proto_path: Vec::new(),
            proto_defaults: false,
            libtensorflow: None,
            tensorflow_threads: 0,
        }
    }
}

impl OpenOptions {
    /// Refuses options that were set and that an input of this kind, or the output, does not heed.
    ///
    /// # Errors
    /// There is one; the error says what it is for.
    pub(crate) fn check(&self, input: InputKind) -> Result<()> {
        self.check_one_of(input, &[])
    }

    /// As [`check`](Self::check), of an input that is of other kinds as well.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check_one_of(&self, input: InputKind, others: &[InputKind]) -> Result<()> {
        let heeds = |kind: &InputKind| *kind == input || others.contains(kind);
        for option in self.given.options() {
            if !option.inputs.iter().any(heeds) {
                return Err(Error::not_heeded(option, input, &InputKind::list(option.inputs)));
            }
            if !option.outputs.contains(&self.output) {
                return Err(Error::not_heeded(option, self.output, &OutputKind::list(option.outputs)));
            }
        }
        Ok(())
    }

    /// The same, where of what is open only `columns` are read: by their names or, as
    /// [`with_columns`](crate::ReaderBuilder::with_columns) takes them, by path.
    ///
    /// # Errors
    /// There is no such column.
    pub(crate) fn projected(&self, columns: &[&str]) -> Result<Self> {
        let columns: Vec<&str> = columns.iter().map(|name| self.mapping.path_of(name)).collect();
        Ok(Self { projection: self.projection.narrowed(&columns)?, ..self.clone() })
    }

    /// What files of records are, as far as options differ.
    pub(crate) fn kind_of_records(&self) -> InputKind {
        match self.record {
            RecordKind::Raw => InputKind::RawRecords,
            RecordKind::Message => InputKind::Messages,
            RecordKind::Elwc => InputKind::Elwc,
            RecordKind::Event => InputKind::Events,
            RecordKind::Auto if self.proto.is_some() => InputKind::Messages,
            RecordKind::Auto | RecordKind::Example | RecordKind::Sequence => InputKind::Examples,
        }
    }
}
