//! What can be typed, exactly as it is typed. Nothing here looks at files.

use std::path::PathBuf;

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Turn TensorFlow datasets into files that pandas, polars, pyarrow and DuckDB open at once.
#[derive(Debug, Parser)]
#[command(
    name = "tfarrow",
    version,
    about = "Turn TensorFlow datasets into files that pandas, polars, pyarrow and DuckDB open at once.",
    long_about = "Turn TensorFlow datasets into files that pandas, polars, pyarrow and DuckDB open at once.\n\n\
        Reads TFRecord files of tf.train.Example (plain, GZIP or ZLIB, one file or many shards), TFDS folders, \
        ArrayRecord files and Dataset.save folders, and writes Parquet, Arrow IPC or NumPy files: every \
        feature becomes a typed column, and tensors become tensor columns. TensorFlow is not needed.",
    after_help = "Examples:\n  \
        tfarrow convert 'train-*.tfrecord' -o train.parquet\n  \
        tfarrow head train-00000-of-00008.tfrecord\n  \
        tfarrow schema train.tfrecord --json\n\n\
        Exit status: 0 when everything was converted, 1 when records were skipped or nulled \
        (or verify found damage), 2 when it failed."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Convert a dataset to Parquet, Arrow IPC, or a stream
    Convert(Box<Convert>),
    /// Show what the dataset holds and which columns it becomes
    Schema(Schema),
    /// Show the first rows as a table
    Head(Head),
    /// Count the records, without decoding them
    Count(Count),
    /// Read everything, check every checksum, and list what is damaged
    Verify(Verify),
    /// Print tfarrow_export.py, which exports tf.data pipelines from Python
    PythonHelper,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Inputs {
    /// Files, quoted globs ('train-*.tfrecord'), folders, or - for standard input
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<std::ffi::OsString>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "What to read")]
pub(crate) struct Reading {
    /// Read these columns only, in this order; others are not decoded
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,

    /// Leave these columns out
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) exclude: Vec<String>,

    /// Give a column another name
    #[arg(long, value_name = "OLD=NEW")]
    pub(crate) rename: Vec<String>,

    /// Say what a feature holds, in place of what would be inferred: int64, float32[3,4], int64[],
    /// string?, binary, uint8=0, raw<uint8>[64,64,3], tensor<float32>[?,3], image (repeatable)
    #[arg(long = "feature", value_name = "NAME:TYPE")]
    pub(crate) features: Vec<String>,

    /// A file that says what every feature holds, so that nothing is inferred: a JSON object of
    /// names and types, or a schema.pbtxt of TensorFlow Metadata
    #[arg(long = "features", value_name = "FILE")]
    pub(crate) features_file: Option<PathBuf>,

    /// Records to read to learn the columns, or `all`
    #[arg(long, value_name = "N|all", default_value = "10000")]
    pub(crate) infer_records: String,

    /// What the records are: tf.train.Example, SequenceExample, the message that --proto describes,
    /// TF-Ranking's ELWC, TensorBoard's events, or anything, of which `raw` keeps the bytes in one
    /// column; `auto` tells Examples, ELWC and events apart
    #[arg(long, value_enum, default_value_t = Record::Auto)]
    pub(crate) record: Record,

    /// What describes the message that the records hold: a .proto file, or a FileDescriptorSet as
    /// protoc --include_imports -o writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) proto: Option<PathBuf>,

    /// The message that the records hold [default: the only one at the top of the file]
    #[arg(long, value_name = "PACKAGE.NAME")]
    pub(crate) message: Option<String>,

    /// A folder in which to look for what a .proto file imports, after the one that it is in
    /// (repeatable)
    #[arg(long, value_name = "DIR")]
    pub(crate) proto_path: Vec<PathBuf>,

    /// Where a field of a message is absent, take the default that is declared for it rather than null
    #[arg(long)]
    pub(crate) proto_defaults: bool,

    /// Splits of a TFDS dataset to read, as TFDS writes them: train, train[:10%], train+test, all
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,

    /// Make a row of every item of this sequence of a TFDS dataset, mostly `steps`
    #[arg(long, value_name = "SEQUENCE")]
    pub(crate) explode: Option<String>,

    /// Read what can be read of a TFDS dataset: features of unknown classes as what they are
    /// encoded as, shards of another length
    #[arg(long)]
    pub(crate) lenient: bool,

    /// Rows to read at most
    #[arg(long, value_name = "N")]
    pub(crate) take: Option<u64>,

    /// Rows to leave out at the beginning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: u64,

    /// Of every N rows, read the one numbered I (from 0)
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<String>,

    /// Where libtensorflow is, for live pipelines: the file or a folder [default: searched]
    #[arg(long, value_name = "PATH")]
    pub(crate) libtensorflow: Option<PathBuf>,

    /// Threads that TensorFlow runs live pipelines with [default: as many as --threads]
    #[arg(long, value_name = "N")]
    pub(crate) tensorflow_threads: Option<u8>,

    /// Rows in a batch
    #[arg(long, value_name = "N", default_value = "1024", value_parser = at_least_one)]
    pub(crate) batch_rows: usize,

    /// Refuse records longer than this
    #[arg(long, value_name = "N", default_value_t = tfarrow::DEFAULT_MAX_RECORD_BYTES)]
    pub(crate) max_record_bytes: u64,

    /// What to do with records that are damaged or do not fit: stop, leave the row out, or put a
    /// row of nulls in its place
    #[arg(long, value_enum, default_value_t = OnError::Fail)]
    pub(crate) on_error: OnError,

    /// Threads to read and decode with [default: one a core]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "How to store it")]
pub(crate) struct Storing {
    /// Read these bytes columns as text
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub(crate) utf8: Vec<String>,

    /// Cast numbers: every column of a dtype (float64:float32), or one column (label=int32)
    #[arg(long, value_name = "FROM:TO|COLUMN=TO", value_delimiter = ',')]
    pub(crate) cast: Vec<String>,

    /// Names for the positions of a tuple, or for a single tensor
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) names: Vec<String>,

    /// Make every slice along the first dimension of a batched element a row
    #[arg(long)]
    pub(crate) unbatch: bool,

    /// Whether nested structures become columns by path, or structs
    #[arg(long, value_enum, default_value_t = Structure::Flat)]
    pub(crate) structure: Structure,

    /// How tensors are stored: as canonical tensor columns, as lists of lists, or as flat lists
    #[arg(long, value_enum, default_value_t = Layout::Extension)]
    pub(crate) tensor_layout: Layout,

    /// Store the class labels of a TFDS dataset by name, as a dictionary column
    #[arg(long)]
    pub(crate) class_names: bool,

    /// Decode the images and videos of a TFDS dataset
    #[arg(long)]
    pub(crate) decode_images: bool,

    /// How bool tensors are stored
    #[arg(long, value_enum, default_value_t = Bool::Boolean)]
    pub(crate) bool: Bool,

    /// How bfloat16 and float8 values are stored
    #[arg(long, value_enum, default_value_t = BFloat16::Float32)]
    pub(crate) bfloat16: BFloat16,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Convert {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Where to write: a name that ends in .parquet, .arrow, .feather, .ipc, .arrows, .npy, .npz,
    /// .npyd (a folder of .npy files), .tfrecord or .tfrecord.gz, - for an Arrow stream on standard
    /// output, or a folder (a name that ends in /) for a part file per input file
    #[arg(short, long, value_name = "OUTPUT", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,

    /// Replace the output if it exists
    #[arg(long)]
    pub(crate) overwrite: bool,

    /// Write part files of at most so many rows; the output is a folder
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) rows_per_file: Option<usize>,

    /// The format, where the name does not say it: parquet (the default for part files), arrow,
    /// arrows, npy, npz, npyd, tfrecord, or saved (a folder that tf.data.Dataset.load opens)
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,

    /// Go on with a conversion to a folder that was interrupted
    #[arg(long, conflicts_with_all = ["overwrite", "dry_run"])]
    pub(crate) resume: bool,

    /// Read and convert everything, write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// none, lz4, zstd[:LEVEL], snappy, gzip[:LEVEL] or zlib[:LEVEL] [default: zstd for Parquet, none
    /// for others]
    #[arg(long, value_name = "CODEC")]
    pub(crate) compression: Option<String>,

    /// TFRecord: write so many shards, NAME-00000-of-0000N.tfrecord, dealing the rows to them in turn
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) shards: Option<usize>,

    /// TFRecord: how a column's tensors are encoded: as values, as raw bytes (tf.io.decode_raw), or as
    /// a TensorProto (tf.io.parse_tensor) [default: as values where these can hold them]
    #[arg(long, value_name = "COLUMN=values|raw|tensor", value_delimiter = ',')]
    pub(crate) encoding: Vec<String>,

    /// Rows in a Parquet row group
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) row_group_rows: Option<usize>,

    /// Which encodings a Parquet file may use: those that every reader of the last three years opens, or
    /// the smallest [default: compatible]
    #[arg(long, value_name = "compatible|compact")]
    pub(crate) parquet_encodings: Option<String>,

    /// Width of strings in NumPy arrays, in bytes [default: strings are refused]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) string_bytes: Option<usize>,

    /// Store all rows of an Arrow IPC file in one batch, so that a mapped column is one array; holds
    /// all rows in memory while converting
    #[arg(long)]
    pub(crate) one_batch: bool,

    /// Write every record that was skipped or nulled to a file, as one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Show a progress bar
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,

    #[command(flatten)]
    pub(crate) reading: Reading,

    #[command(flatten)]
    pub(crate) storing: Storing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Schema {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Print one JSON object
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) reading: Reading,

    #[command(flatten)]
    pub(crate) storing: Storing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Head {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Rows to show
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 10)]
    pub(crate) rows: u64,

    #[command(flatten)]
    pub(crate) reading: Reading,

    #[command(flatten)]
    pub(crate) storing: Storing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Count {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Splits of a TFDS dataset to count
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,

    /// Read every record and see that there are as many as the input's metadata says
    #[arg(long)]
    pub(crate) check: bool,

    /// Refuse records longer than this
    #[arg(long, value_name = "N", default_value_t = tfarrow::DEFAULT_MAX_RECORD_BYTES)]
    pub(crate) max_record_bytes: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Print one JSON object
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) json: bool,

    /// Refuse records longer than this
    #[arg(long, value_name = "N", default_value_t = tfarrow::DEFAULT_MAX_RECORD_BYTES)]
    pub(crate) max_record_bytes: u64,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a number, at least 1".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Record {
    Auto,
    Example,
    Sequence,
    Raw,
    Message,
    Elwc,
    Event,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Structure {
    Flat,
    Nested,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    Fail,
    Skip,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    Extension,
    Nested,
    Flat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bool {
    Boolean,
    Uint8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BFloat16 {
    Float32,
    Raw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    Auto,
    Always,
    Never,
}
