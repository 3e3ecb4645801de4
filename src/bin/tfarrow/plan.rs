//! From what was typed to what is meant: every option checked, nothing read yet.

use std::path::Path;

use tfarrow::{
    BFloat16Storage, BoolStorage, Cast, Error, ErrorKind, FeatureSpec, InferRecords, OnError, ReaderBuilder,
    RecordKind, Result, Selection, SinkOptions, TensorLayout, parse_features,
};

use crate::args::{self, BFloat16, Bool, Convert, Inputs, Layout, Reading, Record, Storing, Structure};

fn invalid(option: &str, expected: &str, found: &str) -> Error {
    Error::new(ErrorKind::Config, format!("invalid {option}")).expected(expected, format!("`{found}`"))
}

/// The reader that the options describe.
pub(crate) fn reader(inputs: &Inputs, reading: &Reading, storing: &Storing) -> Result<ReaderBuilder> {
    let mut builder = ReaderBuilder::new(&inputs.inputs)
        .with_exclude(reading.exclude.iter().cloned())
        .with_infer_records(infer_records(&reading.infer_records)?)
        .with_record(match reading.record {
            Record::Auto => RecordKind::Auto,
            Record::Example => RecordKind::Example,
            Record::Sequence => RecordKind::Sequence,
            Record::Raw => RecordKind::Raw,
            Record::Message => RecordKind::Message,
            Record::Elwc => RecordKind::Elwc,
            Record::Event => RecordKind::Event,
        })
        .with_selection(Selection {
            skip: reading.skip,
            shard: reading.shard.as_deref().map(shard).transpose()?,
            take: reading.take,
        })
        .with_batch_rows(reading.batch_rows)
        .with_max_record_bytes(reading.max_record_bytes)
        .with_on_error(match reading.on_error {
            args::OnError::Fail => OnError::Fail,
            args::OnError::Skip => OnError::Skip,
            args::OnError::Null => OnError::Null,
        })
        .with_class_names(storing.class_names)
        .with_decode_images(storing.decode_images)
        .with_lenient(reading.lenient)
        .with_utf8(storing.utf8.iter().cloned())
        .with_names(storing.names.iter().cloned())
        .with_unbatch(storing.unbatch)
        .with_structure(match storing.structure {
            Structure::Flat => tfarrow::Structure::Flat,
            Structure::Nested => tfarrow::Structure::Nested,
        })
        .with_tensor_layout(match storing.tensor_layout {
            Layout::Extension => TensorLayout::Extension,
            Layout::Nested => TensorLayout::Nested,
            Layout::Flat => TensorLayout::Flat,
        })
        .with_bool(match storing.bool {
            Bool::Boolean => BoolStorage::Boolean,
            Bool::Uint8 => BoolStorage::UInt8,
        })
        .with_bfloat16(match storing.bfloat16 {
            BFloat16::Float32 => BFloat16Storage::Float32,
            BFloat16::Raw => BFloat16Storage::Raw,
        });
    if let Some(path) = &reading.libtensorflow {
        builder = builder.with_libtensorflow(path);
    }
    let threads = reading.threads.map(|threads| u8::try_from(threads).unwrap_or(u8::MAX));
    if let Some(threads) = reading.tensorflow_threads.or(threads) {
        builder = builder.with_tensorflow_threads(threads);
    }
    if let Some(path) = &reading.proto {
        builder = builder.with_proto(path);
    }
    if let Some(message) = &reading.message {
        builder = builder.with_message(message);
    }
    if !reading.proto_path.is_empty() {
        builder = builder.with_proto_path(&reading.proto_path);
    }
    if reading.proto_defaults {
        builder = builder.with_proto_defaults(true);
    }
    if let Some(split) = &reading.split {
        builder = builder.with_split(split);
    }
    if let Some(sequence) = &reading.explode {
        builder = builder.with_explode(sequence);
    }
    if let Some(columns) = &reading.columns {
        builder = builder.with_columns(columns.iter().cloned());
    }
    for rename in &reading.rename {
        match rename.split_once('=') {
            Some((old, new)) if !old.is_empty() && !new.is_empty() => builder = builder.with_rename(old, new),
            _ => return Err(invalid("--rename", "OLD=NEW", rename)),
        }
    }
    for cast in &storing.cast {
        builder = builder.with_cast(Cast::parse(cast)?);
    }
    if let Some(path) = &reading.features_file {
        builder = builder.with_features(features(path)?);
    }
    for feature in &reading.features {
        builder = builder.with_feature(FeatureSpec::parse(feature)?);
    }
    Ok(builder)
}

/// The specs in a features file.
fn features(path: &Path) -> Result<Vec<FeatureSpec>> {
    let name = || path.to_string_lossy().into_owned();
    let text = std::fs::read_to_string(path).map_err(|e| {
        let kind = match e.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Error::new(kind, "cannot read features").with_cause(e).in_source(name())
    })?;
    parse_features(&text).map_err(|e| e.in_source(name()))
}

/// How the output is to be written.
pub(crate) fn sink(args: &Convert) -> Result<SinkOptions> {
    let number = |n: Option<usize>| n.map(|n| n.to_string());
    let flag = |given: bool| given.then(|| true.to_string());
    let given = [
        ("format", args.format.clone()),
        ("compression", args.compression.clone()),
        ("row_group_rows", number(args.row_group_rows)),
        ("parquet_encodings", args.parquet_encodings.clone()),
        ("overwrite", flag(args.overwrite)),
        ("string_bytes", number(args.string_bytes)),
        ("one_batch", flag(args.one_batch)),
        ("shards", number(args.shards)),
    ];
    let mut options = SinkOptions::new();
    for (key, text) in given {
        if let Some(text) = text {
            options = options.set(key, &text)?;
        }
    }
    args.encoding.iter().try_fold(options, |options, text| options.set("encoding", text))
}

/// The number of threads to use.
pub(crate) fn threads(reading: &Reading) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    reading.threads.unwrap_or_else(cores)
}

fn infer_records(text: &str) -> Result<InferRecords> {
    match text {
        "all" => Ok(InferRecords::All),
        n => n
            .parse()
            .map(InferRecords::First)
            .map_err(|_| invalid("--infer-records", "a number or `all`", text)),
    }
}

fn shard(text: &str) -> Result<(u64, u64)> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.filter(|(i, n)| i < n).ok_or_else(|| invalid("--shard", "I/N with I from 0 to N−1", text))
}
