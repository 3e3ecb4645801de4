//! The table.

use super::heeding::*;
use super::{
    BFloat16Storage, BoolStorage, Form, InputKind, OnError, OptionInfo, OutputKind, ParquetEncodings,
    RecordKind, Structure, TensorLayout, Topic,
};

use Topic::{Converting, Library, Reading, Storing, Writing};

const fn option(
    topic: Topic,
    key: &'static str,
    form: Form,
    inputs: &'static [InputKind],
    outputs: &'static [OutputKind],
    help: &'static str,
) -> OptionInfo {
    OptionInfo { key, form, default: None, help, topic, inputs, outputs }
}

const fn with_default(default: &'static str, option: OptionInfo) -> OptionInfo {
    OptionInfo { default: Some(default), ..option }
}

/// All options, in the order in which help lists them.
pub const OPTIONS: &[OptionInfo] = &[
    option(
        Reading,
        "columns",
        Form::Names("A,B"),
        ANY,
        COLUMNS,
        "Read these columns only, in this order; others are not decoded. A name that holds a comma stands \
         in double quotes",
    ),
    option(Reading, "exclude", Form::Names("A,B"), ANY, COLUMNS, "Leave these columns out"),
    option(
        Reading,
        "rename",
        Form::Pairs { placeholder: "OLD=NEW", sign: '=' },
        ANY,
        COLUMNS,
        "Give a column another name (repeatable). A name that holds = stands in double quotes",
    ),
    option(
        Reading,
        "feature",
        Form::Pairs { placeholder: "NAME:TYPE", sign: ':' },
        EXAMPLES,
        COLUMNS,
        "Say what a feature holds, in place of what would be inferred: int64, float32[3,4], int64[], \
         string?, binary, uint8=0, raw<uint8>[64,64,3], tensor<float32>[?,3], image (repeatable)",
    ),
    option(
        Reading,
        "features",
        Form::Path("FILE"),
        EXAMPLES,
        COLUMNS,
        "A file that says what every feature holds, so that nothing is inferred: a JSON object of names \
         and types, or a schema.pbtxt of TensorFlow Metadata",
    ),
    with_default(
        "10000",
        option(
            Reading,
            "infer_records",
            Form::Text("N|all"),
            INFERRED,
            COLUMNS,
            "Records to read to learn the columns, or `all`",
        ),
    ),
    with_default(
        "auto",
        option(
            Reading,
            "record",
            Form::Choice(RecordKind::WORDS),
            RECORDS,
            EVERYTHING,
            "What the records are: tf.train.Example, SequenceExample, the message that a descriptor describes, \
             TF-Ranking's ELWC, TensorBoard's events, or anything, of which `raw` keeps the bytes in one \
             column; `auto` tells Examples, ELWC and events apart",
        ),
    ),
    option(
        Reading,
        "proto",
        Form::Path("FILE"),
        MESSAGES,
        EVERYTHING,
        "What describes the message that the records hold: a .proto file, or a FileDescriptorSet as \
         protoc --include_imports -o writes it",
    ),
    option(
        Reading,
        "message",
        Form::Text("PACKAGE.NAME"),
        MESSAGES,
        EVERYTHING,
        "The message that the records hold [default: the only one at the top of the file]",
    ),
    option(
        Reading,
        "proto_path",
        Form::Path("DIR"),
        MESSAGES,
        EVERYTHING,
        "A folder in which to look for what a .proto file imports, after the one that it is in (repeatable)",
    ),
    option(
        Reading,
        "proto_defaults",
        Form::Flag,
        MESSAGES,
        COLUMNS,
        "Where a field of a message is absent, take the default that is declared for it rather than null",
    ),
    option(
        Reading,
        "split",
        Form::Text("NAME"),
        TFDS,
        EVERYTHING,
        "Splits of a TFDS dataset to read, as TFDS writes them: train, train[:10%], train+test, all",
    ),
    option(
        Reading,
        "explode",
        Form::Text("SEQUENCE"),
        TFDS,
        COUNTED,
        "Make a row of every item of this sequence of a TFDS dataset, mostly `steps`",
    ),
    option(
        Reading,
        "lenient",
        Form::Flag,
        TFDS,
        COLUMNS,
        "Read what can be read of a TFDS dataset: features of unknown classes as what they are encoded as, \
         shards of another length",
    ),
    option(Reading, "take", Form::Number("N", 0), ANY, COUNTED, "Rows to read at most"),
    with_default(
        "0",
        option(Reading, "skip", Form::Number("N", 0), ANY, COUNTED, "Rows to leave out at the beginning"),
    ),
    option(
        Reading,
        "shard",
        Form::Text("I/N"),
        ANY,
        COUNTED,
        "Of every N rows, read the one numbered I (from 0)",
    ),
    option(
        Reading,
        "store",
        Form::Pairs { placeholder: "KEY=VALUE", sign: '=' },
        STORED,
        EVERYTHING,
        "How s3://, gs://, az:// and https:// names are reached: a key of the store, such as aws_endpoint, \
         aws_region or skip_signature=true (repeatable). Credentials come from the environment",
    ),
    option(
        Reading,
        "libtensorflow",
        Form::Path("PATH"),
        PIPELINE,
        COUNTED,
        "Where libtensorflow is, for live pipelines: the file or a folder [default: searched]",
    ),
    option(
        Reading,
        "tensorflow_threads",
        Form::Number("N", 1),
        PIPELINE,
        COUNTED,
        "Threads that TensorFlow runs live pipelines with [default: as many as threads]",
    ),
    with_default("1024", option(Reading, "batch_rows", Form::Number("N", 1), ANY, ROWS, "Rows in a batch")),
    with_default(
        "1073741824",
        option(
            Reading,
            "max_record_bytes",
            Form::Number("N", 0),
            FRAMED,
            EVERYTHING,
            "Refuse records longer than this",
        ),
    ),
    with_default(
        "fail",
        option(
            Reading,
            "on_error",
            Form::Choice(OnError::WORDS),
            STORED,
            COLUMNS,
            "What to do with records that are damaged or do not fit: stop, leave the row out, put a row of \
             nulls in its place, or null for the values alone that do not fit",
        ),
    ),
    option(
        Reading,
        "threads",
        Form::Number("N", 1),
        ANY,
        HERE,
        "Threads to read and decode with [default: one a core]",
    ),
    with_default(
        "true",
        option(
            Library,
            "check_crc",
            Form::Flag,
            FRAMED,
            ROWS,
            "Whether the CRC of every record's data is checked; lengths always are",
        ),
    ),
    with_default(
        "268435456",
        option(
            Library,
            "batch_bytes",
            Form::Number("N", 1),
            ANY,
            ROWS,
            "Bytes of input after which a batch is ended early; of files of records, 16 MiB at most",
        ),
    ),
    option(
        Storing,
        "utf8",
        Form::Names("COLUMNS"),
        TEXTS,
        COLUMNS,
        "Read these bytes columns as text; all for every one",
    ),
    option(
        Storing,
        "cast",
        Form::Pairs { placeholder: "FROM:TO|COLUMN=TO", sign: '=' },
        ANY,
        COLUMNS,
        "Cast numbers: every column of a dtype (float64:float32), or one column (label=int32). A name that \
         holds a comma stands in double quotes",
    ),
    option(
        Storing,
        "names",
        Form::Names("NAMES"),
        ELEMENTS,
        COLUMNS,
        "Names for the positions of a tuple, or for a single tensor",
    ),
    option(
        Storing,
        "unbatch",
        Form::Flag,
        BATCHED,
        COUNTED,
        "Make every slice along the first dimension of a batched element a row",
    ),
    with_default(
        "flat",
        option(
            Storing,
            "structure",
            Form::Choice(Structure::WORDS),
            STRUCTURED,
            COLUMNS,
            "Whether nested structures become columns by path, or structs",
        ),
    ),
    with_default(
        "extension",
        option(
            Storing,
            "tensor_layout",
            Form::Choice(TensorLayout::WORDS),
            MAPPED,
            COLUMNS,
            "How tensors are stored: as canonical tensor columns, as lists of lists, or as flat lists",
        ),
    ),
    option(
        Storing,
        "class_names",
        Form::Flag,
        CLASSES,
        COLUMNS,
        "Store class labels of a TFDS dataset, and enums of messages, by name: as dictionary columns",
    ),
    option(
        Storing,
        "decode_images",
        Form::Flag,
        TFDS,
        COLUMNS,
        "Decode the images and videos of a TFDS dataset",
    ),
    with_default(
        "boolean",
        option(
            Storing,
            "bool",
            Form::Choice(BoolStorage::WORDS),
            MAPPED,
            COLUMNS,
            "How bool tensors are stored",
        ),
    ),
    with_default(
        "float32",
        option(
            Storing,
            "bfloat16",
            Form::Choice(BFloat16Storage::WORDS),
            MAPPED,
            COLUMNS,
            "How bfloat16 and float8 values are stored",
        ),
    ),
    option(Writing, "overwrite", Form::Flag, ANY, REPLACED, "Replace the output if it exists"),
    option(
        Converting,
        "rows_per_file",
        Form::Number("N", 1),
        ANY,
        PARTS,
        "Write part files of at most so many rows; the output is a folder",
    ),
    option(
        Converting,
        "task_bytes",
        Form::Number("N", 1),
        ANY,
        PARTS,
        "Bytes of input in a task, about; larger files that can be cut make several tasks, or part files \
         [default: 268435456 for plans; a folder has a part file per partition]",
    ),
    option(
        Writing,
        "format",
        Form::Text("FORMAT"),
        ANY,
        FILES,
        "The format, where the name does not say it: parquet (the default for part files), arrow, arrows, \
         npy, npz, npyd, tfrecord, or saved (a folder that tf.data.Dataset.load opens)",
    ),
    option(
        Converting,
        "resume",
        Form::Flag,
        ANY,
        WRITTEN,
        "Go on with a conversion to a folder that was interrupted",
    ),
    option(
        Writing,
        "compression",
        Form::Text("CODEC"),
        ANY,
        COMPRESSED,
        "none, lz4, zstd[:LEVEL], snappy, gzip[:LEVEL] or zlib[:LEVEL] [default: zstd for Parquet, none for \
         others]",
    ),
    option(
        Writing,
        "shards",
        Form::Number("N", 1),
        ANY,
        TFRECORD,
        "TFRecord: write so many shards, NAME-00000-of-0000N.tfrecord, dealing the rows to them in turn",
    ),
    option(
        Writing,
        "encoding",
        Form::Pairs { placeholder: "COLUMN=values|raw|tensor", sign: '=' },
        ANY,
        TFRECORD,
        "TFRecord: how a column's tensors are encoded: as values, as raw bytes (tf.io.decode_raw), or as a \
         TensorProto (tf.io.parse_tensor) [default: as values where these can hold them]",
    ),
    option(
        Writing,
        "row_group_rows",
        Form::Number("N", 1),
        ANY,
        &[OutputKind::Parquet],
        "Rows in a Parquet row group",
    ),
    with_default(
        "compatible",
        option(
            Writing,
            "parquet_encodings",
            Form::Choice(ParquetEncodings::WORDS),
            ANY,
            &[OutputKind::Parquet],
            "Which encodings a Parquet file may use: those that every reader of the last three years opens, or \
             the smallest",
        ),
    ),
    option(
        Writing,
        "string_bytes",
        Form::Number("N", 1),
        ANY,
        NUMPY,
        "Width of strings in NumPy arrays, in bytes [default: strings are refused]",
    ),
    option(
        Writing,
        "one_batch",
        Form::Flag,
        ANY,
        &[OutputKind::IpcFile],
        "Store all rows of an Arrow IPC file in one batch, so that a mapped column is one array; holds all \
         rows in memory while converting",
    ),
];
