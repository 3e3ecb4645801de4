//! Every option on every kind of input and of output: it acts, or it is refused by its name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field};
use serde_json::json;
use tfarrow::elements::{Component, Deliveries, Delivery, Elements, Values, Wanted};
use tfarrow::options::{Form, InputKind, OPTIONS, OptionInfo, OutputKind, Topic};
use tfarrow::sink::{Format, SinkOptions, open_sink};
use tfarrow::source::Selection;
use tfarrow::{DType, ElementSpec, Plan, ReaderBuilder, Result, Shape};

use crate::common::{Dir, repo, tfrecord};

/// What an option did.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Acted,
    Ignored,
    Refused,
}

/// A field with all that is in it. `Debug` gives metadata in another order each time.
fn written(field: &Field) -> String {
    let metadata: BTreeMap<_, _> = field.metadata().iter().collect();
    let children: Vec<String> = match field.data_type() {
        DataType::Struct(fields) => fields.iter().map(|f| written(f)).collect(),
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::FixedSizeList(f, _)
        | DataType::Map(f, _)
        | DataType::ListView(f)
        | DataType::LargeListView(f) => vec![written(f)],
        _ => Vec::new(),
    };
    let kind = field.data_type().to_string();
    let kind = if children.is_empty() { kind } else { kind.split('(').next().unwrap().to_owned() };
    format!("{} {kind} {} {metadata:?} {children:?}", field.name(), field.is_nullable())
}

/// An input, and the options without which it is not read.
pub(crate) struct Sample {
    pub(crate) input: String,
    /// What has no name: elements that are delivered.
    pub(crate) made: Option<ReaderBuilder>,
    base: Vec<(&'static str, String)>,
    /// What is not read as it is is there for these options.
    only: &'static [&'static str],
    /// What comes out as it is.
    plain: OnceCell<std::result::Result<String, String>>,
}

impl Sample {
    pub(crate) fn new(input: impl Into<String>) -> Self {
        Self { input: input.into(), made: None, base: Vec::new(), only: &[], plain: OnceCell::new() }
    }

    /// Elements that the caller delivers.
    fn elements() -> Self {
        let tensor = |dtype, shape: &[u64]| ElementSpec::tensor(dtype, Shape::known(shape));
        let spec = ElementSpec::Tuple(vec![
            ElementSpec::Dict(vec![
                ("flags".to_owned(), tensor(DType::Bool, &[2])),
                ("x".to_owned(), tensor(DType::Int64, &[2])),
            ]),
            tensor(DType::BFloat16, &[]),
            tensor(DType::String, &[]),
        ]);
        let made = ReaderBuilder::from_elements(spec, Arc::new(Delivered));
        Self { made: Some(made), ..Self::new("elements") }
    }

    /// The same as damaged, or as incomplete, as these options are for.
    fn only_for(mut self, only: &'static [&'static str]) -> Self {
        self.only = only;
        self
    }

    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.base.push((key, value.into()));
        self
    }

    pub(crate) fn builder(&self, but: &str) -> Result<ReaderBuilder> {
        let base = self.base.iter().filter(|(key, _)| *key != but);
        base.into_iter().try_fold(
            self.made.clone().unwrap_or_else(|| ReaderBuilder::new(&self.input)),
            |builder, (key, value)| builder.set(key, value),
        )
    }

    /// The names of the columns that are read, and of those of bytes or text.
    fn columns(&self) -> (Vec<String>, Vec<String>) {
        let Ok(source) = self.builder("").and_then(|builder| builder.build_source()) else {
            return Default::default();
        };
        let schema = source.schema();
        let bytes = schema.fields().iter().filter(|f| f.data_type().to_string().contains("Binary"));
        let bytes = bytes.map(|f| f.name().clone()).collect();
        (schema.fields().iter().map(|f| f.name().clone()).collect(), bytes)
    }

    /// What comes out: the schema, and the rows of each batch.
    fn read(&self, builder: &ReaderBuilder) -> Result<String> {
        let reader = builder.build()?;
        let mut out: String = reader.schema().fields().iter().map(|f| written(f)).collect();
        for batch in reader {
            out.push_str(&format!("{:?}", batch?.columns()));
        }
        Ok(out)
    }

    fn try_option(&self, option: &OptionInfo, value: &str) -> Outcome {
        let base = self.builder(option.key).unwrap();
        let needs_it = self.base.iter().any(|(key, _)| *key == option.key);
        let read = || self.read(&base).map_err(|e| e.to_string());
        let before = if needs_it { &read() } else { self.plain.get_or_init(read) };
        assert!(before.is_ok() || needs_it || !self.only.is_empty(), "{}: {before:?}", self.input);
        match base.set(option.key, value).and_then(|builder| self.read(&builder)) {
            Err(error) if is_refusal(&error, option) => Outcome::Refused,
            after if after.as_ref().map_err(ToString::to_string) == before.as_ref().map_err(Clone::clone) => {
                Outcome::Ignored
            }
            _ => Outcome::Acted,
        }
    }
}

/// Whether `error` says that the option is for something else, and what for.
fn is_refusal(error: &tfarrow::Error, option: &OptionInfo) -> bool {
    let text = error.to_string();
    let names = text.starts_with(&format!("`with_{}` is not for", option.key)) && text.contains("it is for ");
    // Of a kind that has nothing to infer, the schema is said to be known.
    names || option.key == "infer_records" && text.contains("nothing is inferred")
}

fn golden(name: &str) -> String {
    repo(&format!("tests/golden/{name}")).to_str().unwrap().to_owned()
}

fn folders(of: &str) -> Vec<String> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(repo(&format!("tests/golden/{of}"))).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
}

/// Four elements of bool, int64, bfloat16 and string tensors.
#[derive(Debug)]
struct Delivered;

impl Elements for Delivered {
    fn start(&self, wanted: &Wanted) -> Result<Box<dyn Deliveries>> {
        let Selection { skip, shard, take, .. } = wanted.selection;
        let (index, count) = shard.unwrap_or((0, 1));
        let rows = (skip..4).filter(|row| (row - skip) % count == index);
        let rows: Vec<u64> = rows.take(take.unwrap_or(4) as usize).collect();
        let deliver = |row: &u64| {
            let stacked = |shape: &[u64], values: Vec<u8>| Component::Stacked {
                shape: shape.to_vec(),
                values: Values::Numbers(Buffer::from_vec(values)),
            };
            let text =
                Values::Strings { offsets: vec![0, 1], bytes: Buffer::from_vec(vec![b'a' + *row as u8]) };
            // In flatten order, that of the keys.
            let components = vec![
                stacked(&[2], vec![1, (row % 2) as u8]),
                stacked(&[2], [row.to_le_bytes(), 7u64.to_le_bytes()].concat()),
                stacked(&[], vec![0x80, 0x3f]),
                Component::Stacked { shape: vec![], values: text },
            ];
            Delivery { rows: 1, components }
        };
        Ok(Box::new(Ready(rows.iter().map(deliver).collect::<Vec<_>>().into_iter())))
    }
}

struct Ready(std::vec::IntoIter<Delivery>);

impl Deliveries for Ready {
    fn next(&mut self) -> Result<Option<Delivery>> {
        Ok(self.0.next())
    }
}

/// A copy of the file or folder at `path`, in which the last byte of every file whose name holds `of` has
/// another bit: of a file of records, of the last record's CRC.
fn flipped(dir: &Dir, path: &str, of: &str) -> String {
    fn copy(from: &Path, to: &Path, of: &str) {
        if from.is_dir() {
            std::fs::create_dir_all(to).unwrap();
            for entry in std::fs::read_dir(from).unwrap().map(std::result::Result::unwrap) {
                copy(&entry.path(), &to.join(entry.file_name()), of);
            }
            return;
        }
        let mut bytes = std::fs::read(from).unwrap();
        if from.file_name().unwrap().to_str().unwrap().contains(of) {
            *bytes.last_mut().unwrap() ^= 1;
        }
        std::fs::write(to, bytes).unwrap();
    }
    let name = Path::new(path).file_name().unwrap().to_str().unwrap();
    let to = dir.path("flipped").join(format!("{name}-{of}"));
    std::fs::create_dir_all(&to).unwrap();
    copy(Path::new(path), &to.join(name), of);
    to.join(name).to_str().unwrap().to_owned()
}

/// Damages the middle of the sample's file.
fn overwritten(sample: Sample) -> Sample {
    let mut bytes = std::fs::read(&sample.input).unwrap();
    let eighth = bytes.len() / 8;
    bytes[3 * eighth..5 * eighth].fill(0xff);
    std::fs::write(&sample.input, bytes).unwrap();
    sample
}

/// Replaces a text in every file of this name.
fn replace(folder: &Path, file: &str, from: &str, to: &str) {
    for entry in std::fs::read_dir(folder).unwrap().map(std::result::Result::unwrap) {
        if entry.path().is_dir() {
            replace(&entry.path(), file, from, to);
        } else if entry.file_name() == file {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(entry.path(), text.replace(from, to)).unwrap();
        }
    }
}

/// Options about damage.
const DAMAGE: &[&str] = &["check_crc", "on_error"];

/// Inputs of each kind.
pub(crate) fn samples(dir: &Dir) -> Vec<(InputKind, Vec<Sample>)> {
    let digits = || repo("examples/data/digits/digits.tfrecord-00000-of-00002").to_str().unwrap().to_owned();
    let write = |name: &str, options: SinkOptions| {
        let path = dir.path(name);
        let reader = ReaderBuilder::new(&*digits()).set("take", "40").unwrap().build().unwrap();
        let mut sink = open_sink(&path, &reader.source().schema(), &options).unwrap();
        for batch in reader {
            sink.write(&batch.unwrap()).unwrap();
        }
        sink.finish().unwrap();
        Sample::new(path.to_str().unwrap())
    };
    let messages = dir.path("messages.tfrecord");
    // double_value = 1.5, bytes_value = "ab".
    let message = [&[9][..], &1.5f64.to_le_bytes(), &[0x7a, 2, b'a', b'b']].concat();
    std::fs::write(&messages, tfrecord(&[message, Vec::new()])).unwrap();
    let flags = tfarrow::array::BatchBuilder::new()
        .with_array("flags", ndarray::array![[0i64, 1], [1, 0]])
        .with_array("bits", ndarray::array![[0u8, 1, 2, 3], [4, 5, 6, 7]])
        .build()
        .unwrap();
    let small = dir.path("small.tfrecord");
    let options = SinkOptions::new().set("encoding", "bits=raw").unwrap();
    let mut sink = open_sink(&small, &flags.schema(), &options).unwrap();
    sink.write(&flags).unwrap();
    sink.finish().unwrap();
    let cache = ["all_dtypes", "batched_partial", "dict", "ragged", "range", "strings"];
    let mut caches: Vec<_> = cache.iter().map(|name| Sample::new(golden(&format!("cache/{name}")))).collect();
    let damaged = flipped(dir, &golden("cache"), "strings.data");
    caches.push(Sample::new(format!("{damaged}/strings")).only_for(DAMAGE));
    // What it imports is elsewhere.
    let moved = dir.path("three.proto");
    std::fs::copy(golden("messages/three.proto"), &moved).unwrap();
    let of_messages = |path: &str| {
        Sample::new(path)
            .with("record", "message")
            .with("proto", golden("messages/two.proto"))
            .with("message", "golden.two.Everything")
    };
    // A feature of a class that nobody knows.
    let unknown = PathBuf::from(flipped(dir, &golden("tfds/mini_two"), "nothing"));
    replace(&unknown, "features.json", "text_feature.Text", "my.lab.Words");
    let all = |folder: &str| folders(folder).into_iter().map(Sample::new).collect::<Vec<_>>();
    let mut saved = all("saved");
    saved.push(Sample::new(golden("corrupt/spec_missing/data")));
    saved.push(Sample::new(golden("corrupt/spec_missing")));
    // Some are there because they cannot be read.
    saved.retain(|sample| sample.builder("").and_then(|builder| sample.read(&builder)).is_ok());
    assert!(saved.len() > 50, "{}", saved.len());
    saved.push(Sample::new(golden("corrupt/data_crc_bit")).only_for(DAMAGE));
    vec![
        (
            InputKind::Examples,
            vec![
                Sample::new(digits()).with("take", "20"),
                Sample::new(golden("examples/count_changes.tfrecord")),
                Sample::new(golden("examples/lists.tfrecord")),
                Sample::new(golden("examples/text_changes.tfrecord")).with("on_error", "skip"),
                Sample::new(golden("examples/length_changes.tfrecord")).with("on_error", "skip"),
                Sample::new(small.to_str().unwrap())
                    .with("feature", "flags:bool[2]")
                    .with("feature", "bits:raw<bfloat16>[2]"),
                Sample::new(flipped(dir, &digits(), "tfrecord")).only_for(DAMAGE),
            ],
        ),
        (
            InputKind::RawRecords,
            vec![
                Sample::new(digits()).with("record", "raw").with("take", "20"),
                Sample::new(flipped(dir, &digits(), "digits")).with("record", "raw").only_for(DAMAGE),
            ],
        ),
        (
            InputKind::Messages,
            vec![
                Sample::new(messages.to_str().unwrap())
                    .with("record", "message")
                    .with("proto", golden("messages/three.proto"))
                    .with("message", "golden.three.Record"),
                of_messages(messages.to_str().unwrap()),
                of_messages(&flipped(dir, messages.to_str().unwrap(), "messages")).only_for(DAMAGE),
                Sample::new(messages.to_str().unwrap())
                    .with("record", "message")
                    .with("proto", moved.to_str().unwrap())
                    .with("message", "golden.three.Record")
                    .only_for(&["proto_path"]),
            ],
        ),
        (
            InputKind::Elwc,
            vec![
                Sample::new(golden("other/elwc.tfrecord")),
                Sample::new(golden("other/elwc.tfrecord"))
                    .with("feature", "flags:bool[2]=0")
                    .with("feature", "bits:raw<bfloat16>[2]?"),
                Sample::new(flipped(dir, &golden("other/elwc.tfrecord"), "elwc")).only_for(DAMAGE),
            ],
        ),
        (
            InputKind::Events,
            vec![
                Sample::new(golden("events/events.out.tfevents.tensorboardx")),
                Sample::new(flipped(dir, &golden("events/events.out.tfevents.tensorboardx"), "events"))
                    .only_for(DAMAGE),
            ],
        ),
        (
            InputKind::Tfds,
            vec![
                Sample::new(golden("tfds/wide_tfrecord")).with("split", "all"),
                Sample::new(golden("tfds/wide_array_record")).with("split", "all"),
                Sample::new(golden("tfds/quirk")).with("split", "all"),
                Sample::new(golden("tfds/mini_two")).with("split", "all"),
                Sample::new(flipped(dir, &golden("tfds/mini_two"), "tfrecord"))
                    .with("split", "all")
                    .only_for(DAMAGE),
                Sample::new(unknown.to_str().unwrap()).with("split", "all").only_for(&["lenient"]),
            ],
        ),
        (InputKind::Saved, saved),
        (InputKind::Cache, caches),
        (InputKind::Elements, vec![Sample::elements()]),
        (
            InputKind::ArrowTable,
            vec![
                write("t.arrow", SinkOptions::new()),
                write("t.arrows", SinkOptions::new()),
                overwritten(write("damaged.arrow", SinkOptions::new().set("compression", "zstd").unwrap()))
                    .only_for(DAMAGE),
            ],
        ),
        (
            InputKind::ParquetTable,
            vec![
                write("t.parquet", SinkOptions::new().with_row_group_rows(10)),
                overwritten(write("damaged.parquet", SinkOptions::new().with_row_group_rows(10)))
                    .only_for(DAMAGE),
            ],
        ),
    ]
}

/// Values that may act on an input whose columns are `columns`, of which `bytes` hold bytes.
fn values(option: &OptionInfo, dir: &Dir, (columns, bytes): &(Vec<String>, Vec<String>)) -> Vec<String> {
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let first = columns.first().map_or_else(|| "x".to_owned(), quoted);
    let last = columns.last().map_or_else(|| "x".to_owned(), quoted);
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match (option.key, option.form) {
        ("columns", _) => vec![first, "\"no such\"".to_owned()],
        ("exclude", _) => vec![last],
        ("rename", _) => vec![format!("{first}=renamed")],
        ("feature", _) if first == "\"\"" => text(&["x:binary[]"]),
        ("feature", _) => vec![format!("{}:binary[]", first.trim_matches('"'))],
        ("features", _) => {
            let path = dir.path("features.json");
            std::fs::write(&path, json!({ first.trim_matches('"'): "int64[]?" }).to_string()).unwrap();
            vec![path.to_str().unwrap().to_owned()]
        }
        ("infer_records", _) => text(&["1", "2", "3", "0"]),
        ("record", _) => text(&["raw", "sequence", "event"]),
        ("proto", _) => vec![golden("messages/two.proto")],
        ("message", _) => text(&["golden.three.Node"]),
        ("proto_path", _) => vec![golden("messages")],
        ("split", _) => text(&["train"]),
        ("explode", _) => text(&["steps", "points", "seq", "nosuch"]),
        ("shard", _) => text(&["0/2"]),
        ("utf8", _) => bytes.iter().map(quoted).chain(["\"no such\"".to_owned()]).collect(),
        ("cast", _) => text(&["int64:int32", "float32:float64", "uint8:int64", "int32:int64"]),
        ("names", _) => text(&["a", "a,b", "a,b,c"]),
        ("libtensorflow", _) => text(&["/nowhere"]),
        // That it reaches nothing here is an error, and so is a name that needs none: tests/cloud.
        ("store", _) => text(&["aws_region=x"]),
        ("batch_bytes" | "max_record_bytes", _) => text(&["1"]),
        ("skip" | "take" | "batch_rows" | "threads" | "tensorflow_threads", _) => text(&["1"]),
        ("check_crc", _) => text(&["false"]),
        (_, Form::Flag) => text(&["true"]),
        (_, Form::Choice(words)) => text(&words[1..]),
        (key, _) => panic!("no value for {key}"),
    }
}

/// Options that change no row: how much is done at a time, and where things are looked for.
const UNSEEN: [&str; 3] = ["threads", "libtensorflow", "tensorflow_threads"];

fn of_reading() -> impl Iterator<Item = &'static OptionInfo> {
    OPTIONS.iter().filter(|option| matches!(option.topic, Topic::Reading | Topic::Storing | Topic::Library))
}

#[test]
fn options_act_on_an_input_or_are_refused() {
    let dir = Dir::new();
    let wrong: Vec<_> =
        samples(&dir).iter().flat_map(|(kind, samples)| wrong(*kind, samples, &dir)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the options of reading on inputs of a kind.
pub(crate) fn wrong(kind: InputKind, samples: &[Sample], dir: &Dir) -> Vec<String> {
    let mut wrong = Vec::new();
    let columns: Vec<_> = samples.iter().map(Sample::columns).collect();
    for option in of_reading() {
        let mut acted = false;
        let of_option = |sample: &Sample| sample.only.is_empty() || sample.only.contains(&option.key);
        for (sample, columns) in samples.iter().zip(&columns).filter(|(sample, _)| of_option(sample)) {
            for value in values(option, dir, columns) {
                let outcome = sample.try_option(option, &value);
                acted |= outcome == Outcome::Acted;
                // These say that records are of another kind than they would be taken for.
                let tells = match kind {
                    InputKind::Examples => option.key == "proto",
                    InputKind::Elwc | InputKind::Events => ["proto", "features"].contains(&option.key),
                    InputKind::Tfds => option.key == "proto" || option.key == "record" && value == "event",
                    // A build without stores says so before anybody knows what is read.
                    InputKind::Elements | InputKind::Pipeline => {
                        option.key == "store" && cfg!(not(feature = "cloud"))
                    }
                    _ => false,
                };
                let heeds = option.inputs.contains(&kind) || tells;
                let may = match outcome {
                    Outcome::Refused => !heeds || option.key == "infer_records",
                    _ => heeds,
                };
                if !may {
                    wrong.push(format!("{kind}: {}={value} on {}: {outcome:?}", option.key, sample.input));
                }
            }
        }
        if option.inputs.contains(&kind) && !acted && !UNSEEN.contains(&option.key) {
            wrong.push(format!("{kind}: {} is ignored", option.key));
        }
    }
    wrong
}

#[test]
fn names_that_match_nothing_are_errors_on_every_kind_of_input() {
    let dir = Dir::new();
    for (kind, samples) in samples(&dir) {
        for (key, value) in [
            ("columns", "nosuch"),
            ("exclude", "nosuch"),
            ("rename", "nosuch=x"),
            ("utf8", "nosuch"),
            ("cast", "nosuch=int8"),
            ("split", "nosuch"),
            ("explode", "nosuch"),
            ("cast", "float16:float64"),
        ] {
            let option = tfarrow::options::find(key).unwrap();
            // Not all of a hundred: the first ones stand for the others.
            for sample in samples.iter().take(12) {
                let Ok(base) = sample.builder(key) else { continue };
                if base.build_source().is_err() || value == "float16:float64" && sample.columns().0.len() > 9
                {
                    continue;
                }
                let error = match base.set(key, value).and_then(|builder| builder.build_source()) {
                    Err(error) => error,
                    Ok(source) => {
                        panic!("{kind}, {key}={value} on {}: {:?}", sample.input, source.schema().fields())
                    }
                };
                let text = error.to_string();
                let told = text.contains("nosuch") || is_refusal(&error, option) || text.contains("float16");
                assert!(told && !text.contains("did you mean ``"), "{kind}, {key}={value}: {text}");
            }
        }
    }
}

#[test]
fn options_act_on_an_output_of_a_command_or_are_refused() {
    let dir = Dir::new();
    let samples = samples(&dir);
    for output in
        [OutputKind::Head, OutputKind::Plan, OutputKind::Schema, OutputKind::Count, OutputKind::Verify]
    {
        for option in of_reading() {
            let Some((_, of_kind)) = samples.iter().find(|(kind, _)| option.inputs.contains(kind)) else {
                continue;
            };
            let sample = &of_kind[0];
            let base = sample
                .base
                .iter()
                .filter(|(key, _)| ["record", "proto", "message"].contains(key) && *key != option.key);
            let base =
                base.fold(Sample::new(sample.input.clone()), |s, (key, value)| s.with(key, value.clone()));
            let base = base.builder("").unwrap();
            let value = values(option, &dir, &sample.columns()).remove(0);
            let builder = base.for_output(output).set(option.key, &value);
            let result = builder.and_then(|builder| match output {
                OutputKind::Count => builder.count().map(drop),
                OutputKind::Plan => Plan::new(&builder).map(drop),
                OutputKind::Verify => builder.build_to_verify().map(drop),
                _ => builder.build_source().map(drop),
            });
            let refused = result.as_ref().is_err_and(|error| is_refusal(error, option));
            assert_eq!(refused, !option.outputs.contains(&output), "{} for {output}: {result:?}", option.key);
        }
    }
}

fn bytes_of(path: &Path) -> Vec<u8> {
    if !path.is_dir() {
        return std::fs::read(path).unwrap_or_default();
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    entries
        .iter()
        .flat_map(|path| [path.file_name().unwrap().as_encoded_bytes().to_vec(), bytes_of(path)].concat())
        .collect()
}

#[test]
fn options_act_on_an_output_or_are_refused() {
    let numbers = Int64Array::from_iter_values((0..100).map(|n| n * n * 7919));
    let text = StringArray::from_iter_values((0..100).map(|n| format!("{}", n % 5)));
    let numbers = RecordBatch::try_from_iter([("x", Arc::new(numbers) as _)]).unwrap();
    let text = RecordBatch::try_from_iter([("x", Arc::new(text) as _)]).unwrap();
    let write = |format: Format, batch: &RecordBatch, options: &SinkOptions| -> Result<Vec<u8>> {
        let dir = Dir::new();
        let path = dir.path(&format!("x.{}", format.extension()));
        let mut sink = open_sink(&path, &batch.schema(), &options.clone().with_format(format))?;
        for start in [0, 50] {
            sink.write(&batch.slice(start, 50))?;
        }
        sink.finish()?;
        Ok(bytes_of(dir.path("").as_path()))
    };
    let formats = [
        Format::Parquet,
        Format::IpcFile,
        Format::IpcStream,
        Format::Npy,
        Format::Npz,
        Format::Npyd,
        Format::TfRecord,
        Format::Saved,
    ];
    for option in OPTIONS.iter().filter(|option| option.topic == Topic::Writing) {
        let values: &[&str] = match option.key {
            // Nothing is there to be overwritten, and every format is tried.
            "overwrite" | "format" => continue,
            "compression" => &["zstd", "gzip", "lz4", "snappy"],
            "encoding" => &["x=tensor"],
            "shards" => &["2"],
            "parquet_encodings" => &["compact"],
            _ if option.form == Form::Flag => &["true"],
            _ => &["10"],
        };
        for format in formats {
            let heeds = option.outputs.contains(&format.kind());
            let mut acted = false;
            for batch in [&numbers, &text] {
                let plain = write(format, batch, &SinkOptions::new()).ok();
                for value in values {
                    let options = SinkOptions::new().set(option.key, value).unwrap();
                    let written = write(format, batch, &options);
                    let refused = written.as_ref().is_err_and(|error| is_refusal(error, option));
                    assert_eq!(refused, !heeds, "{} on {format:?}: {:?}", option.key, written.err());
                    acted |= written.ok().is_some_and(|written| Some(written) != plain);
                }
            }
            assert_eq!(acted, heeds, "{} on {format:?}", option.key);
        }
    }
}
