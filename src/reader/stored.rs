//! Options as data, so that the same is read elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ReaderBuilder;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::cast::Cast;
use crate::schema::feature::FeatureSpec;
use crate::schema::mapping::MappingOptions;
use crate::source::options::OpenOptions;
use crate::source::planned::{self, Learnt, Planned, PlannedPart, Reading, invalid};
use crate::source::{ReadOptions, Selection, Source};

/// Options of which rows and columns do not depend.
const OF_A_MACHINE: [&str; 2] = ["libtensorflow", "tensorflow_threads"];

/// The options that say which of the rows are read, and how, by their keys.
pub(crate) fn of_reading(read: &ReadOptions) -> impl Iterator<Item = (String, Value)> {
    // Every field is named, so that none that is added is forgotten.
    let ReadOptions {
        batch_rows,
        batch_bytes,
        selection: Selection { skip, shard, take },
        progress: _,
        on_error,
        report: _,
        part_rows,
        turns: _,
    } = read;
    keyed([
        ("batch_rows", json!(batch_rows)),
        ("batch_bytes", json!(batch_bytes)),
        ("skip", json!(skip)),
        ("shard", json!(shard.map(|(index, count)| [index, count]))),
        ("take", json!(take)),
        ("on_error", json!(on_error.to_string())),
        ("rows_per_file", json!(part_rows)),
    ])
}

fn keyed<const N: usize>(options: [(&str, Value); N]) -> impl Iterator<Item = (String, Value)> {
    options.map(|(key, value)| (key.to_owned(), value)).into_iter()
}

impl ReaderBuilder {
    /// The options that differ from their defaults, by their keys: [`from_stored`](Self::from_stored) has
    /// the same. Threads are none of them.
    pub(crate) fn stored(&self) -> Map<String, Value> {
        self.of_opening().chain(of_reading(&self.read)).collect()
    }

    /// The options that say what is read, by their keys.
    fn of_opening(&self) -> impl Iterator<Item = (String, Value)> {
        // Every field is named, so that none that is added is forgotten.
        let OpenOptions {
            record,
            infer,
            features,
            features_complete,
            // The specs say it themselves.
            features_optional: _,
            projection,
            mapping,
            casts,
            max_record_bytes,
            check_crc,
            names,
            unbatch,
            split,
            class_names,
            decode_images,
            lenient,
            explode,
            proto,
            message,
            proto_path,
            proto_defaults,
            libtensorflow,
            given,
            output: _,
            on_error: _,
            to_verify: _,
            tensorflow_threads,
        } = &self.open;
        // Otherwise they are as many as there are threads.
        let tensorflow_threads = given.has("tensorflow_threads").then_some(tensorflow_threads);
        let MappingOptions { tensor_layout, bool_storage, bfloat16, structure, utf8, rename } = mapping;
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let specs: Vec<Value> = features.iter().map(FeatureSpec::to_json).collect();
        keyed([
            ("record", json!(record.to_string())),
            ("infer_records", json!(infer.to_string())),
            ("features", json!(features_complete.then_some(&specs))),
            ("feature", json!(if *features_complete { &[] } else { specs.as_slice() })),
            ("columns", json!(projection.columns)),
            ("exclude", json!(projection.exclude)),
            ("rename", json!(rename.iter().map(|(old, new)| [old, new]).collect::<Vec<_>>())),
            ("utf8", json!(utf8)),
            ("tensor_layout", json!(tensor_layout.to_string())),
            ("bool", json!(bool_storage.to_string())),
            ("bfloat16", json!(bfloat16.to_string())),
            ("structure", json!(structure.to_string())),
            ("cast", json!(casts.iter().map(ToString::to_string).collect::<Vec<_>>())),
            ("names", json!(names)),
            ("unbatch", json!(unbatch)),
            ("split", json!(split)),
            ("class_names", json!(class_names)),
            ("decode_images", json!(decode_images)),
            ("lenient", json!(lenient)),
            ("explode", json!(explode)),
            ("proto", json!(proto.as_ref().map(text))),
            ("message", json!(message)),
            ("proto_path", json!(proto_path.iter().map(text).collect::<Vec<_>>())),
            ("proto_defaults", json!(proto_defaults)),
            ("libtensorflow", json!(libtensorflow.as_ref().map(text))),
            ("tensorflow_threads", json!(tensorflow_threads)),
            ("max_record_bytes", json!(max_record_bytes)),
            ("check_crc", json!(check_crc)),
        ])
    }

    /// What the options say of the rows and columns that come out, by the options' keys: equal
    /// settings and equal input give equal rows.
    #[must_use]
    pub fn settings(&self) -> Map<String, Value> {
        self.of_opening().filter(|(key, _)| !OF_A_MACHINE.contains(&key.as_str())).collect()
    }

    /// Those of the [stored](Self::stored) options that are not as a new builder has them.
    pub(crate) fn stored_changes(&self) -> Map<String, Value> {
        let plain = ReaderBuilder::new([""; 0]).stored();
        self.stored().into_iter().filter(|(key, value)| plain.get(key) != Some(value)).collect()
    }

    /// A builder without inputs that has these [stored](Self::stored_changes) options.
    ///
    /// # Errors
    /// An option is not known, or its value is none.
    pub(crate) fn from_stored(options: &Map<String, Value>) -> Result<Self> {
        let mut builder = ReaderBuilder::new([""; 0]);
        for (key, value) in options {
            builder = builder.with_stored(key, value)?;
        }
        Ok(builder)
    }

    fn with_stored(self, key: &str, value: &Value) -> Result<Self> {
        let wrong = || invalid(&format!("a value of the option `{key}`"), value);
        let names = |value: &Value| -> Result<Vec<String>> {
            let list = value.as_array().ok_or_else(wrong)?;
            list.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        };
        let specs = || -> Result<Vec<FeatureSpec>> {
            value.as_array().ok_or_else(wrong)?.iter().map(FeatureSpec::from_json).collect()
        };
        match key {
            "features" => Ok(self.with_features(specs()?)),
            "feature" => Ok(specs()?.into_iter().fold(self, Self::with_feature)),
            "columns" => Ok(self.with_columns(names(value)?)),
            "exclude" => Ok(self.with_exclude(names(value)?)),
            "utf8" => Ok(self.with_utf8(names(value)?)),
            "names" => Ok(self.with_names(names(value)?)),
            "proto_path" => Ok(self.with_proto_path(names(value)?)),
            "cast" => {
                let casts = names(value)?.iter().map(|text| Cast::parse(text)).collect::<Result<Vec<_>>>()?;
                Ok(casts.into_iter().fold(self, Self::with_cast))
            }
            "rename" => {
                let pairs = value.as_array().ok_or_else(wrong)?;
                pairs.iter().try_fold(self, |builder, pair| match names(pair)?.as_slice() {
                    [old, new] => Ok(builder.with_rename(old, new)),
                    _ => Err(wrong()),
                })
            }
            "shard" => match (value.get(0).and_then(Value::as_u64), value.get(1).and_then(Value::as_u64)) {
                (Some(index), Some(count)) if index < count => Ok(self.with_shard(index, count)),
                _ => Err(wrong()),
            },
            _ => match value {
                Value::String(text) => self.set(key, text),
                Value::Number(_) | Value::Bool(_) => self.set(key, &value.to_string()),
                _ => Err(wrong()),
            },
        }
    }

    /// About how many bytes of input a task has, if that was said.
    pub(crate) fn task_bytes(&self) -> Option<u64> {
        self.task_bytes
    }

    /// The largest record that is read.
    pub(crate) fn max_record_bytes(&self) -> u64 {
        self.open.max_record_bytes
    }

    /// The same options and stores, without the inputs and without a selection.
    pub(crate) fn without_inputs(&self) -> Self {
        let mut builder = Self::of(self.inputs.stores());
        (builder.open, builder.read) = (self.open.clone(), self.read.clone());
        builder
    }

    /// Refuses to be told twice how large a part is.
    ///
    /// # Errors
    /// It was.
    pub(crate) fn check_sizes(&self) -> Result<()> {
        if self.open.given.has("task_bytes") && self.read.part_rows.is_some() {
            let what = Phrase::new("both {rows_per_file} and {task_bytes} say how large a part is");
            return Err(Error::config(what).with_hint("leave one of them out"));
        }
        Ok(())
    }

    /// Opens `parts` of a source of which `learnt` is known; relative names are in `folder`.
    ///
    /// # Errors
    /// An input is not what it was, or is damaged.
    pub(crate) fn open_parts(
        &self,
        learnt: &Learnt,
        parts: &[PlannedPart],
        folder: &Path,
    ) -> Result<Arc<dyn Source>> {
        planned::open(learnt, parts, &Reading { names: &self.inputs, folder }, &self.open)
    }

    /// `source`, which this builder built, in partitions of about
    /// [`task_bytes`](Self::with_task_bytes), if that was said, as a [`Plan`](crate::Plan) has tasks.
    ///
    /// # Errors
    /// A file cannot be read where it is to be cut, or there are to be parts of so many rows as well.
    pub fn cut(&self, source: Arc<dyn Source>) -> Result<Arc<dyn Source>> {
        let Some(bytes) = self.task_bytes else { return Ok(source) };
        self.check_sizes()?;
        let Planned { learnt, parts } = source.planned(Some(bytes))?.ok_or_else(|| not_planned(&*source))?;
        match parts.len() == source.partitions().len() {
            true => Ok(source),
            false => self.open_parts(&learnt, &parts, Path::new("")),
        }
    }
}

/// The error of a source that can be read here alone.
#[cold]
pub(crate) fn not_planned(source: &dyn Source) -> Error {
    Error::unsupported(format!("a plan of {}", source.kind()))
        .with_hint("what is made as it is read can be read in its own process only: store it first")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OPTIONS;
    use crate::schema::feature::Missing;

    /// A value of every option, so that none is lost on its way.
    fn value_of(key: &str) -> Option<&'static str> {
        Some(match key {
            "columns" | "exclude" | "utf8" | "names" => r#"a,"b,c""#,
            "rename" => r#""x=y"=z"#,
            "feature" => "f:raw<uint8>[2,?]=7?",
            "infer_records" => "all",
            "record" => "sequence",
            "proto" | "proto_path" | "libtensorflow" => "some/where",
            "message" => "a.B",
            "split" => "train[:10%]",
            "explode" => "steps",
            "shard" => "1/3",
            "on_error" => "null",
            "structure" | "tensor_layout" => "nested",
            "bool" => "uint8",
            "bfloat16" => "raw",
            "cast" => r#""a,b"=int8,float64:float32"#,
            "check_crc" => "false",
            "proto_defaults" | "lenient" | "unbatch" | "class_names" | "decode_images" => "true",
            "tensorflow_threads" | "take" | "skip" | "batch_rows" | "batch_bytes" | "max_record_bytes"
            | "rows_per_file" => "17",
            _ => return None,
        })
    }

    #[test]
    fn options_go_both_ways() {
        // These say how a machine does it, or where else options stand.
        const ELSEWHERE: [&str; 4] = ["threads", "task_bytes", "features", "store"];
        let builder = ReaderBuilder::new(["in"]);
        for option in OPTIONS.iter().filter(|option| {
            builder.clone().set(option.key, "\0").err().is_none_or(|e| !e.to_string().contains("no option"))
        }) {
            if ELSEWHERE.contains(&option.key) {
                continue;
            }
            let text = value_of(option.key).unwrap_or_else(|| panic!("no value of {}", option.key));
            let changed = match option.key {
                "feature" => builder.clone().with_feature(FeatureSpec::parse("f:raw<uint8>[2,3]").unwrap()),
                key => builder.clone().set(key, text).unwrap(),
            };
            let stored = changed.stored_changes();
            assert_eq!(stored.len(), 1, "{}: {stored:?}", option.key);
            let again = ReaderBuilder::from_stored(&stored).unwrap();
            assert_eq!(again.stored(), changed.stored(), "{}", option.key);
            assert_eq!(again.settings(), changed.settings(), "{}", option.key);
        }
        let complete = builder.with_features([FeatureSpec::parse("x:int64[]").unwrap()]);
        let again = ReaderBuilder::from_stored(&complete.stored_changes()).unwrap();
        assert_eq!(again.settings(), complete.settings());
    }

    #[test]
    fn settings_tell_features_apart_whose_types_read_the_same() {
        let settings = |change: fn(&mut FeatureSpec)| {
            let mut spec = FeatureSpec::parse("x:int64[]").unwrap();
            change(&mut spec);
            ReaderBuilder::new(["a"]).with_feature(spec).settings()
        };
        let plain = settings(|_| ());
        assert_ne!(settings(|spec| spec.missing = Missing::Error), plain);
        assert_ne!(settings(|spec| spec.feature_list = true), plain);
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for (key, value) in [
            ("nothing", json!(1)),
            ("columns", json!(3)),
            ("shard", json!([3, 3])),
            ("rename", json!([["a"]])),
            ("batch_rows", json!([])),
        ] {
            let options = Map::from_iter([(key.to_owned(), value)]);
            assert!(ReaderBuilder::from_stored(&options).is_err(), "{key}");
        }
    }
}
