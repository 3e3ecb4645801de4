//! What a folder of part files says about itself: while it is made, and when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::input::{FileKind, Input, Place, Stat, side_by_side};
use crate::options::{Dialect, Phrase};
use crate::reader::of_reading;
use crate::sink::SinkOptions;
use crate::source::report::{Failure, Lost};
use crate::source::{InputFile, Partition, PartitionRange, ReadOptions, Source};

/// The file that says that a folder is whole, and what is in it.
pub(crate) const MANIFEST: &str = "_manifest.json";
/// The file that holds which parts are whole while others are not: JSON lines, the plan first.
pub(crate) const PROGRESS: &str = "_progress.jsonl";
/// The folder that holds the same of parts that became whole since that file was written, a file each,
/// where a file cannot be added to.
const ADDED: &str = "_progress";
/// The largest of these files.
const MOST_BYTES: u64 = 1 << 30;
/// The file that says of which plan the tasks are that write into a folder.
pub(crate) const TASKS: &str = "_tasks.json";
/// What the names begin with of the files by which tasks say that they are done.
pub(crate) const DONE: &str = "_done-";
/// The layout of manifests.
const LAYOUT: u64 = 2;
/// Failures of a part that are kept for a later run to tell of.
pub(crate) const KEPT_FAILURES: usize = 10_000;

fn io(what: &str, place: &Place) -> impl FnOnce(std::io::Error) -> Error {
    let (what, name) = (what.to_owned(), place.name());
    move |error| Error::io(what, error).in_source(name)
}

/// A part file that is whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// CRC-32C of the file.
    pub(crate) crc32c: u32,
    /// What its store says of it: changes whenever it does. None on this machine, where the checksum is
    /// cheap.
    pub(crate) version: Option<Arc<str>>,
    pub(crate) lost: Lost,
    pub(crate) failures: Vec<Failure>,
}

impl Part {
    /// As the manifest has it.
    pub(crate) fn to_json(&self) -> Value {
        let mut json = json!({
            "part": self.index,
            "name": self.name,
            "rows": self.rows,
            "bytes": self.bytes,
            "crc32c": format!("{:08x}", self.crc32c),
            "skipped": self.lost.skipped,
            "nulled": self.lost.nulled,
            "nulled_values": self.lost.nulled_values,
        });
        if let (Some(version), Some(json)) = (&self.version, json.as_object_mut()) {
            json.insert("version".to_owned(), json!(&**version));
        }
        json
    }

    /// With what is told of failures.
    pub(crate) fn to_full_json(&self, dialect: Dialect) -> Value {
        let mut value = self.to_json();
        if let Some(value) = value.as_object_mut() {
            let failures = self.failures.iter().map(|failure| failure.to_json(dialect)).collect();
            value.insert("failures".to_owned(), Value::Array(failures));
        }
        value
    }

    fn to_line(&self, dialect: Dialect) -> String {
        format!("{}\n", self.to_full_json(dialect))
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let failures = value.get("failures").and_then(Value::as_array);
        Some(Self {
            index: number("part").and_then(|n| usize::try_from(n).ok())?,
            name: text("name")?.to_owned(),
            rows: number("rows")?,
            bytes: number("bytes")?,
            crc32c: text("crc32c").and_then(|hex| u32::from_str_radix(hex, 16).ok())?,
            version: text("version").map(Into::into),
            lost: Lost {
                skipped: number("skipped")?,
                nulled: number("nulled")?,
                nulled_values: number("nulled_values")?,
            },
            failures: failures.map(|all| all.iter().map(Failure::from_json).collect()).unwrap_or_default(),
        })
    }

    /// Whether the file is there as it was written.
    pub(crate) fn is_whole(&self, folder: &Place, stat: Option<&Stat>) -> bool {
        let place = folder.join(&self.name);
        let same = || checksum(&place).is_ok_and(|(bytes, crc)| bytes == self.bytes && crc == self.crc32c);
        stat.is_some_and(|stat| stat.kind == FileKind::File && stat.bytes == Some(self.bytes))
            && (self.version.is_some() && stat.is_some_and(|stat| stat.version == self.version) || same())
    }
}

/// The size and CRC-32C of a file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn checksum(place: &Place) -> Result<(u64, u32)> {
    const READ_BYTES: usize = 1 << 20;
    let (mut file, _) = place.clone().input(None).open()?;
    let mut buffer = vec![0; READ_BYTES];
    let (mut bytes, mut crc) = (0, 0);
    loop {
        let n = file.read(&mut buffer).map_err(io("cannot read part back", place))?;
        if n == 0 {
            return Ok((bytes, crc));
        }
        bytes += n as u64;
        crc = crc32c::crc32c_append(crc, buffer.get(..n).unwrap_or_default());
    }
}

/// Everything that the bytes of the parts depend on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    inputs: Vec<Value>,
    options: Map<String, Value>,
    schema: Value,
    /// How options are spelled in what is told of failures.
    dialect: Dialect,
}

/// What the bytes of parts depend on, besides the input: settings of reading and of writing.
pub(crate) fn options(read: &ReadOptions, settings: &Map<String, Value>) -> Map<String, Value> {
    settings.clone().into_iter().chain(of_reading(read)).collect()
}

/// Settings of reading and of writing part files with this extension.
pub(crate) fn settings(
    reading: &Map<String, Value>,
    sink: &SinkOptions,
    extension: &str,
) -> Map<String, Value> {
    let mut settings = reading.clone();
    settings.extend(sink.settings());
    settings.insert("format".to_owned(), json!(extension));
    settings
}

impl Plan {
    pub(crate) fn new(source: &dyn Source, read: &ReadOptions, settings: &Map<String, Value>) -> Self {
        let inputs = source.partitions().iter().map(describe).collect();
        Self::of(inputs, options(read, settings), &source.schema(), read.report.dialect())
    }

    /// Of these inputs, each as [`describe`] tells of it, with [these options](options).
    pub(crate) fn of(
        inputs: Vec<Value>,
        options: Map<String, Value>,
        schema: &Schema,
        dialect: Dialect,
    ) -> Self {
        Self { inputs, options, schema: describe_schema(schema), dialect }
    }

    /// The same whose inputs are as `then` has them, if that is a manifest, or a plan, of the same options
    /// and columns.
    pub(crate) fn inputs_of_same<'a>(&self, then: &'a Value) -> Option<&'a Value> {
        let own = self.to_json();
        let same = |key| then.get(key) == own.get(key);
        (["layout", "tfarrow", "options", "schema"].into_iter().all(same)).then(|| then.get("inputs"))?
    }

    /// Refuses to go on if the input of a partition is not what it was.
    pub(crate) fn check_input(&self, source: &dyn Source, partition: usize) -> Result<()> {
        let Some(described) = source.partitions().get(partition) else { return Ok(()) };
        let inputs: Vec<InputFile> = described.inputs.iter().map(InputFile::now).collect();
        let now = describe_partition(described, &inputs);
        match self.inputs.get(partition) {
            Some(then) if *then != now => {
                Err(Error::new(ErrorKind::Io, "input changed while it was converted")
                    .expected(short(then, &now), short(&now, then))
                    .in_source(now.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "layout": LAYOUT,
            "tfarrow": env!("CARGO_PKG_VERSION"),
            "inputs": self.inputs,
            "options": self.options,
            "schema": self.schema,
        })
    }

    /// What differs from the plan that a folder was begun with, in words; empty if nothing does.
    fn differences(&self, then: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let now = self.to_json();
        for key in ["layout", "tfarrow"] {
            let (then, now) = (then.get(key), now.get(key));
            if then != now {
                found.push(format!("version of {key} was {} and is {}", show(then), show(now)));
            }
        }
        let inputs = then.get("inputs").and_then(Value::as_array).cloned().unwrap_or_default();
        if inputs.len() != self.inputs.len() {
            found.push(format!("there were {} inputs and are {}", inputs.len(), self.inputs.len()));
        } else {
            for (then, now) in inputs.iter().zip(&self.inputs).filter(|(then, now)| then != now) {
                found.push(format!("input was {} and is {}", short(then, now), short(now, then)));
            }
        }
        let none = Map::new();
        let options = then.get("options").and_then(Value::as_object).unwrap_or(&none);
        for key in options.keys().chain(self.options.keys().filter(|key| !options.contains_key(*key))) {
            let (then, now) = (options.get(key), self.options.get(key));
            if then != now {
                found.push(format!("{key} was {} and is {}", show(then), show(now)));
            }
        }
        if found.is_empty() && then.get("schema") != Some(&self.schema) {
            found.push("columns are not what they were".to_owned());
        }
        found
    }
}

fn show(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => other.to_string(),
    }
}

/// What a manifest says of a partition.
pub(crate) fn describe(partition: &Partition) -> Value {
    describe_partition(partition, &partition.inputs)
}

/// A partition that reads `inputs`, which are in this state.
fn describe_partition(partition: &Partition, inputs: &[InputFile]) -> Value {
    let range = |what: &str, range: &Range<u64>| json!({what: [range.start, range.end]});
    let range = match &partition.range {
        PartitionRange::All => Value::Null,
        PartitionRange::Records(records) => range("records", records),
        PartitionRange::Frames { first, records, .. } => {
            json!({"records": [first, records.map(|records| first.saturating_add(records))]})
        }
        PartitionRange::Batches(batches) => range("batches", batches),
        PartitionRange::RowGroups(groups) => range("row_groups", groups),
    };
    let files = inputs
        .iter()
        .map(|file| json!({"name": &*file.name, "bytes": file.bytes, "version": file.version.as_deref()}));
    json!({"name": &*partition.name, "range": range, "files": files.collect::<Vec<_>>()})
}

/// An input in a few words: of its files, those that are not the same as in `other`.
fn short(input: &Value, other: &Value) -> String {
    let files = |input: &Value| input.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
    let others = files(other);
    let shown: Vec<String> = files(input)
        .iter()
        .filter(|file| !others.contains(file))
        .map(|file| {
            let part = |name| show(file.get(name));
            format!("{} of {} bytes, {}", part("name"), part("bytes"), part("version"))
        })
        .collect();
    match shown.is_empty() {
        true => show(input.get("name")),
        false => shown.join(" and "),
    }
}

pub(crate) fn describe_schema(schema: &Schema) -> Value {
    let sorted = |metadata: &std::collections::HashMap<String, String>| {
        let mut pairs: Vec<_> = metadata.iter().collect();
        pairs.sort();
        pairs.into_iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Map<_, _>>()
    };
    let fields = schema.fields().iter().map(|field| {
        json!({
            "name": field.name(),
            "type": field.data_type().to_string(),
            "nullable": field.is_nullable(),
            "metadata": sorted(field.metadata()),
        })
    });
    json!({"fields": fields.collect::<Vec<_>>(), "metadata": sorted(schema.metadata())})
}

/// What a folder holds before anything is written to it.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing of a conversion.
    Nothing,
    /// Parts of the same conversion.
    Parts(Vec<Part>),
}

/// Looks at what an earlier run left in `folder`.
///
/// # Errors
/// It was another conversion, or its files cannot be read.
pub(crate) fn look(folder: &Place, plan: &Plan) -> Result<Found> {
    let read = |name: &str| read(&folder.join(name));
    let (begun, parts): (Option<Value>, Vec<Part>) = if let Some(text) = read(MANIFEST)? {
        let manifest: Option<Value> = serde_json::from_str(&text).ok();
        let parts = manifest.as_ref().and_then(|m| m.get("parts")).and_then(Value::as_array);
        let parts = parts.map(|all| all.iter().filter_map(Part::from_json).collect());
        (manifest, parts.unwrap_or_default())
    } else if let Some(text) = read(PROGRESS)? {
        let mut lines = text.lines().map(serde_json::from_str::<Value>);
        // A line that a kill cut short is of a part that is then made again.
        let begun = lines.next().and_then(std::result::Result::ok);
        let lines = lines.map_while(std::result::Result::ok);
        let mut parts: Vec<Part> = lines.filter_map(|line| Part::from_json(&line)).collect();
        if folder.local_path().is_none() {
            parts.extend(added(folder)?);
        }
        (begun, parts)
    } else {
        return Ok(Found::Nothing);
    };
    // The plan is written before any part, all at once: without it there is no part.
    let Some(begun) = begun else { return Ok(Found::Nothing) };
    let differences = plan.differences(&begun);
    if differences.is_empty() {
        return Ok(Found::Parts(parts));
    }
    Err(Error::config(format!("cannot resume: {}", differences.join("; ")))
        .in_source(folder.name())
        .with_hint(Phrase::new("pass {overwrite} instead of {resume} to begin again")))
}

/// What was added to the record of parts that are whole where a file cannot be added to: a file each.
fn added(folder: &Place) -> Result<Vec<Part>> {
    let entries = folder.join(ADDED).list_now().unwrap_or_default().into_iter();
    let inputs: Vec<Input> = entries.map(|(place, stat)| place.input(Some(stat))).collect();
    let read = |input: &Input| input.opened(None)?.read_to_end(MOST_BYTES);
    let parts = side_by_side(&inputs, read)?.into_iter();
    Ok(parts.filter_map(|line| Part::from_json(&serde_json::from_slice(&line).ok()?)).collect())
}

fn read(place: &Place) -> Result<Option<String>> {
    let Some(bytes) = place.read(MOST_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| Error::corrupt("not UTF-8").in_source(place.name()))
}

/// The record of parts that are whole, to be added to.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Where it can be added to.
    file: Option<File>,
    folder: Place,
    /// How options are spelled in what is told of failures.
    dialect: Dialect,
}

impl Progress {
    /// Begins the file anew with what is whole already.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn begin(folder: &Place, plan: &Plan, parts: &[Part]) -> Result<Self> {
        let place = folder.join(PROGRESS);
        let mut text = format!("{}\n", plan.to_json());
        parts.iter().for_each(|part| text.push_str(&part.to_line(plan.dialect)));
        replace(&place, &text)?;
        let open = |path| OpenOptions::new().append(true).open(path);
        let file = place.local_path().map(open).transpose().map_err(io("cannot write progress", &place))?;
        if file.is_none() {
            forget_added(folder)?;
        }
        Ok(Self { file, folder: folder.clone(), dialect: plan.dialect })
    }

    /// Adds a part.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn add(&mut self, part: &Part) -> Result<()> {
        let line = part.to_line(self.dialect);
        match &mut self.file {
            Some(file) => {
                let place = self.folder.join(PROGRESS);
                file.write_all(line.as_bytes()).map_err(io("cannot write progress", &place))
            }
            None => replace(&self.folder.join(ADDED).join(format!("part-{:05}.json", part.index)), &line),
        }
    }
}

/// Writes the manifest and removes what was needed before there was one.
///
/// # Errors
/// The manifest cannot be written.
pub(crate) fn finish(folder: &Place, plan: &Plan, parts: &[Part]) -> Result<()> {
    put_manifest(folder, plan, parts)?;
    folder.join(PROGRESS).remove("cannot remove progress")?;
    if folder.local_path().is_none() { forget_added(folder) } else { Ok(()) }
}

/// Writes the manifest.
///
/// # Errors
/// It cannot be written.
pub(crate) fn put_manifest(folder: &Place, plan: &Plan, parts: &[Part]) -> Result<()> {
    let mut manifest = plan.to_json();
    if let Some(manifest) = manifest.as_object_mut() {
        let sum = |of: fn(&Part) -> u64| json!(parts.iter().map(of).sum::<u64>());
        manifest.insert("rows".to_owned(), sum(|p| p.rows));
        manifest.insert("bytes".to_owned(), sum(|p| p.bytes));
        manifest.insert("skipped".to_owned(), sum(|p| p.lost.skipped));
        manifest.insert("nulled".to_owned(), sum(|p| p.lost.nulled));
        manifest.insert("nulled_values".to_owned(), sum(|p| p.lost.nulled_values));
        manifest.insert("parts".to_owned(), parts.iter().map(Part::to_json).collect());
    }
    replace(&folder.join(MANIFEST), &format!("{manifest:#}\n"))
}

/// Removes what was added to the record of parts.
fn forget_added(folder: &Place) -> Result<()> {
    let entries = folder.join(ADDED).list_now().unwrap_or_default();
    entries.into_iter().try_for_each(|(place, _)| place.remove("cannot remove progress"))
}

/// Puts `text` into the file `place`, all at once.
pub(crate) fn replace(place: &Place, text: &str) -> Result<()> {
    let mut file = crate::sink::atomic::AtomicFile::create(place, true)?;
    file.write_all(text.as_bytes()).map_err(io("cannot write output", place))?;
    file.persist_synced()?;
    Ok(())
}
