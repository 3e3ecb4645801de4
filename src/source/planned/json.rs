//! Sources in parts as JSON, and the files that they name.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::DictionaryTracker;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::features::specs_from_json;
use super::{DescriptorFile, Features, Learnt, LearntTfds, PlannedPart, RecordsIn, RecordsOf};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Input, Names};
use crate::schema::feature::FeatureSpec;
use crate::source::table::Kind as Table;
use crate::source::{InputFile, Partition, PartitionRange};
use crate::tf::spec::ElementSpec;

/// The error of what is no plan.
#[cold]
pub(crate) fn invalid(expected: &str, found: &Value) -> Error {
    let found: String = found.to_string().chars().take(80).collect();
    Error::corrupt("invalid plan").expected(expected, found)
}

/// A JSON object that is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a>(&'a Map<String, Value>);

impl<'a> Object<'a> {
    pub(crate) fn of(value: &'a Value, what: &str) -> Result<Self> {
        value.as_object().map(Self).ok_or_else(|| invalid(what, value))
    }

    pub(crate) fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key)
    }

    pub(crate) fn needed(self, key: &str) -> Result<&'a Value> {
        let missing = || invalid(&format!("`{key}`"), &Value::Object(self.0.clone()));
        self.0.get(key).ok_or_else(missing)
    }

    pub(crate) fn text(self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Value::as_str)
    }

    pub(crate) fn needed_text(self, key: &str) -> Result<&'a str> {
        let value = self.needed(key)?;
        value.as_str().ok_or_else(|| invalid(&format!("`{key}` as text"), value))
    }

    pub(crate) fn number(self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(Value::as_u64)
    }

    pub(crate) fn flag(self, key: &str) -> bool {
        self.0.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(crate) fn list(self, key: &str) -> Result<&'a [Value]> {
        let value = self.needed(key)?;
        value.as_array().map(Vec::as_slice).ok_or_else(|| invalid(&format!("`{key}` as a list"), value))
    }

    fn range(self, key: &str) -> Result<Option<Range<u64>>> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        match (value.get(0).and_then(Value::as_u64), value.get(1).and_then(Value::as_u64)) {
            (Some(start), Some(end)) if start <= end => Ok(Some(start..end)),
            _ => Err(invalid("a range", value)),
        }
    }
}

/// How inputs that are named as data are found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// The stores that they may be of.
    pub(crate) names: &'a Names,
    /// The folder that local names are relative to.
    pub(crate) folder: &'a Path,
}

impl Reading<'_> {
    /// The file that `of` is, which must be in the state that it was in.
    ///
    /// # Errors
    /// It is not, or is not there.
    pub(crate) fn input(&self, of: &InputFile) -> Result<Input> {
        let place = self.names.place_in(self.folder, &of.name)?;
        let Some(stat) = place.stat().map_err(|e| e.in_source(of.name.clone()))? else {
            return Err(Error::new(ErrorKind::NotFound, "input is gone since it was planned")
                .in_source(of.name.clone()));
        };
        let (bytes, version) = (stat.bytes, stat.version.clone());
        let input = place.input(Some(stat)).called(of.name.clone());
        if of.bytes.is_some() && bytes != of.bytes || of.version.is_some() && version != of.version {
            return Err(changed(of, &InputFile::in_state(&input, bytes, version)));
        }
        Ok(input)
    }
}

/// The error of an input that is not what it was when it was planned.
#[cold]
pub(crate) fn changed(then: &InputFile, now: &InputFile) -> Error {
    let state = |file: &InputFile| {
        let bytes = file.bytes.map_or("an unknown number of".to_owned(), |bytes| bytes.to_string());
        format!("{bytes} bytes, {}", file.version.as_deref().unwrap_or("no version"))
    };
    Error::new(ErrorKind::Io, "input changed since it was planned")
        .expected(state(then), state(now))
        .with_hint("plan anew")
        .in_source(then.name.clone())
}

fn file_to_json(file: &InputFile) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(&*file.name));
    if let Some(bytes) = file.bytes {
        object.insert("bytes".to_owned(), json!(bytes));
    }
    if let Some(version) = &file.version {
        object.insert("version".to_owned(), json!(&**version));
    }
    Value::Object(object)
}

fn file_from_json(value: &Value) -> Result<InputFile> {
    let object = Object::of(value, "a file")?;
    let mut file = InputFile::named(object.needed_text("name")?);
    file.bytes = object.number("bytes");
    file.version = object.text("version").map(Into::into);
    Ok(file)
}

impl PlannedPart {
    /// The part as a JSON object; what most have is left out.
    pub(crate) fn to_json(&self) -> Value {
        let Partition { name, inputs, range, bytes, rows } = &self.partition;
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        if self.partition.name != self.as_if(range).name {
            put("name", json!(&**name));
        }
        put("files", inputs.iter().map(file_to_json).collect());
        match range {
            PartitionRange::All => {}
            PartitionRange::Records(records) => drop(put("records", json!([records.start, records.end]))),
            PartitionRange::Batches(batches) => drop(put("batches", json!([batches.start, batches.end]))),
            PartitionRange::RowGroups(groups) => drop(put("row_groups", json!([groups.start, groups.end]))),
            PartitionRange::Frames { first, records, bytes } => {
                put("frames", json!([bytes.start, bytes.end]));
                put("first_record", json!(first));
                if let Some(records) = records {
                    put("frame_records", json!(records));
                }
            }
        }
        if *bytes != self.as_if(range).bytes {
            put("bytes", json!(bytes));
        }
        if let Some(rows) = rows {
            put("rows", json!(rows));
        }
        if self.elements != *rows {
            put("elements", json!(self.elements));
        }
        if self.first_element > 0 {
            put("first_element", json!(self.first_element));
        }
        if self.to_end {
            put("to_end", json!(true));
        }
        Value::Object(object)
    }

    /// What the partition would be called, and how large it would be, if nothing else was said.
    fn as_if(&self, range: &PartitionRange) -> Partition {
        let first = self.partition.inputs.first().map_or_else(|| "".into(), |input| input.name.clone());
        match range {
            PartitionRange::All => Partition::new(first, self.partition.inputs.clone()),
            range => Partition::new(format!("{first}{range}"), self.partition.inputs.clone()),
        }
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let object = Object::of(value, "a part of an input")?;
        let inputs = object.list("files")?.iter().map(file_from_json).collect::<Result<Vec<_>>>()?;
        let range = if let Some(bytes) = object.range("frames")? {
            let first = object.number("first_record").unwrap_or(0);
            PartitionRange::Frames { first, records: object.number("frame_records"), bytes }
        } else if let Some(records) = object.range("records")? {
            PartitionRange::Records(records)
        } else if let Some(batches) = object.range("batches")? {
            PartitionRange::Batches(batches)
        } else if let Some(groups) = object.range("row_groups")? {
            PartitionRange::RowGroups(groups)
        } else {
            PartitionRange::All
        };
        let rows = object.number("rows");
        let part = Self {
            partition: Partition::new("", inputs),
            elements: object.get("elements").map_or(rows, Value::as_u64),
            first_element: object.number("first_element").unwrap_or(0),
            to_end: object.flag("to_end"),
        };
        let as_if = part.as_if(&range);
        let name = object.text("name").map_or_else(|| as_if.name.clone(), Into::into);
        let bytes = object.get("bytes").map_or(as_if.bytes, Value::as_u64);
        let partition = Partition { name, ..as_if }.with_rows(rows).with_range(range, bytes);
        Ok(Self { partition, ..part })
    }

    /// The same, whose files are known where they lie: then it can be seen whether they change.
    ///
    /// # Errors
    /// A file is not what it was.
    pub(crate) fn found(&self, reading: &Reading<'_>) -> Result<Partition> {
        let find = |file: &InputFile| {
            let input = reading.input(file)?;
            Ok(InputFile::in_state(&input, file.bytes, file.version.clone()))
        };
        let inputs = self.partition.inputs.iter().map(find).collect::<Result<_>>()?;
        Ok(Partition { inputs, ..self.partition.clone() })
    }
}

/// A schema, exactly: as a message of Arrow IPC, in base64.
pub(crate) fn schema_to_text(schema: &Schema) -> String {
    let mut dictionaries = DictionaryTracker::new(false);
    let mut encoder = IpcSchemaEncoder::new().with_dictionary_tracker(&mut dictionaries);
    BASE64_STANDARD.encode(encoder.schema_to_fb(schema).finished_data())
}

/// Reads what [`schema_to_text`] gives.
///
/// # Errors
/// It is something else.
pub(crate) fn schema_from_text(text: &str) -> Result<SchemaRef> {
    let damaged = || Error::corrupt("invalid plan").expected("a schema of Arrow IPC in base64", "other text");
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| damaged())?;
    let message = arrow_ipc::root_as_schema(&bytes).map_err(|_| damaged())?;
    crate::source::ipc_schema::read(message)
}

const TFDS_FORMATS: [&str; 4] = ["tfrecord", "array_record", "parquet", "riegeli"];

fn tfds_format(object: Object<'_>) -> Result<&'static str> {
    let format = object.needed_text("format")?;
    let known = TFDS_FORMATS.into_iter().find(|known| *known == format);
    known.ok_or_else(|| invalid("a format of TFDS", &json!(format)))
}

const TABLES: [(&str, Table); 3] =
    [("arrow", Table::IpcFile), ("arrow_stream", Table::IpcStream), ("parquet", Table::Parquet)];

impl Learnt {
    /// What was learnt, as a JSON object.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Learnt::Records { files, records } => {
                let mut object = Map::new();
                let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
                match files {
                    RecordsIn::TfRecord { compressed } => {
                        put("as", json!("tfrecord"));
                        put("compressed", json!(compressed));
                    }
                    RecordsIn::ArrayRecord => drop(put("as", json!("array_record"))),
                    RecordsIn::Tfds(format) => {
                        put("as", json!("tfds_records"));
                        put("format", json!(format));
                    }
                }
                match records {
                    RecordsOf::Raw => drop(put("records", json!("raw"))),
                    RecordsOf::Events => drop(put("records", json!("event"))),
                    RecordsOf::Examples(features) => {
                        put("records", json!("example"));
                        put("example", features.to_json());
                    }
                    RecordsOf::Elwc { context, examples } => {
                        put("records", json!("elwc"));
                        put("context", context.to_json());
                        put("example", examples.to_json());
                    }
                    RecordsOf::Messages(files) => {
                        let files = files.iter().map(|file| {
                            let bytes = BASE64_STANDARD.encode(&file.bytes);
                            json!({"import": file.import, "name": file.name, "bytes": bytes})
                        });
                        put("records", json!("message"));
                        put("descriptor", files.collect());
                    }
                }
                Value::Object(object)
            }
            Learnt::Tfds(tfds) => {
                let LearntTfds { folder, full_name, format, features, guessed, labels } = &**tfds;
                let guessed: Vec<Value> = guessed.iter().map(FeatureSpec::to_json).collect();
                let labels: Vec<Value> = labels.iter().map(|(label, names)| json!([label, names])).collect();
                json!({
                    "as": "tfds",
                    "folder": &**folder,
                    "name": full_name,
                    "format": format,
                    "features": features,
                    "guessed": guessed,
                    "labels": labels,
                })
            }
            Learnt::Table { kind, schema } => {
                let name = TABLES.iter().find(|(_, known)| known == kind).map_or("", |(name, _)| name);
                json!({"as": name, "schema": schema_to_text(schema)})
            }
            Learnt::Saved { kind, is_save, spec, dtypes } => json!({
                "as": "saved",
                "kind": kind,
                "is_save": is_save,
                "spec": spec.to_json(),
                "dtypes": dtypes,
            }),
            Learnt::Whole { name, spec } => json!({
                "as": "whole",
                "name": &**name,
                "spec": spec.as_ref().map(|(spec, _)| spec.to_json()),
                "lead": spec.as_ref().map(|(_, lead)| lead),
            }),
        }
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let object = Object::of(value, "a source")?;
        let form = object.needed_text("as")?;
        if let Some((_, kind)) = TABLES.into_iter().find(|(name, _)| *name == form) {
            return Ok(Learnt::Table { kind, schema: schema_from_text(object.needed_text("schema")?)? });
        }
        let files = match form {
            "tfrecord" => RecordsIn::TfRecord { compressed: object.flag("compressed") },
            "array_record" => RecordsIn::ArrayRecord,
            "tfds_records" => RecordsIn::Tfds(tfds_format(object)?),
            "tfds" => return tfds_from_json(object),
            "saved" => {
                let dtypes = object.list("dtypes")?.iter().filter_map(Value::as_str).map(str::to_owned);
                return Ok(Learnt::Saved {
                    kind: object.needed_text("kind")?.to_owned(),
                    is_save: object.flag("is_save"),
                    spec: ElementSpec::from_json(object.needed("spec")?)?,
                    dtypes: dtypes.collect(),
                });
            }
            "whole" => {
                let spec = object.get("spec").filter(|spec| !spec.is_null());
                let lead = object.number("lead").and_then(|lead| usize::try_from(lead).ok()).unwrap_or(0);
                let spec = spec.map(ElementSpec::from_json).transpose()?.map(|spec| (spec, lead));
                return Ok(Learnt::Whole { name: object.needed_text("name")?.into(), spec });
            }
            _ => return Err(invalid("a known kind of source", value)),
        };
        let features = |key| Features::from_json(object.needed(key)?);
        let records = match object.needed_text("records")? {
            "raw" => RecordsOf::Raw,
            "event" => RecordsOf::Events,
            "example" => RecordsOf::Examples(features("example")?),
            "elwc" => RecordsOf::Elwc { context: features("context")?, examples: features("example")? },
            "message" => {
                let file = |file: &Value| {
                    let file = Object::of(file, "a descriptor")?;
                    let text = file.needed_text("bytes")?;
                    let bytes = BASE64_STANDARD.decode(text);
                    Ok(DescriptorFile {
                        import: file.needed_text("import")?.to_owned(),
                        name: file.needed_text("name")?.to_owned(),
                        bytes: bytes.map_err(|_| invalid("base64", &json!(text)))?.into(),
                    })
                };
                RecordsOf::Messages(object.list("descriptor")?.iter().map(file).collect::<Result<_>>()?)
            }
            other => return Err(invalid("a kind of records", &json!(other))),
        };
        Ok(Learnt::Records { files, records })
    }
}

fn tfds_from_json(object: Object<'_>) -> Result<Learnt> {
    let label = |pair: &Value| {
        let name = pair.get(0).and_then(Value::as_str).ok_or_else(|| invalid("a label", pair))?;
        let names = pair.get(1).and_then(Value::as_array);
        let names = names.map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Ok((name.to_owned(), names))
    };
    Ok(Learnt::Tfds(Arc::new(LearntTfds {
        folder: object.needed_text("folder")?.into(),
        full_name: object.needed_text("name")?.to_owned(),
        format: tfds_format(object)?,
        features: object.needed("features")?.clone(),
        guessed: specs_from_json(object.needed("guessed")?)?,
        labels: object.list("labels")?.iter().map(label).collect::<Result<_>>()?,
    })))
}
