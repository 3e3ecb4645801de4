//! Options by key: set from text, and told as they are.

use std::path::PathBuf;

use super::ReaderBuilder;
use crate::error::{Error, Result};
use crate::options::{self, InvalidValue, flag, number, split_names, split_pair};
use crate::schema::cast::Cast;
use crate::schema::feature::FeatureSpec;
use crate::schema::features_file::parse_features;
use crate::source::Selection;

/// What is set instead of a feature to let all be missing.
const ALL_OPTIONAL: [&str; 2] = ["*?", "*:?"];

impl ReaderBuilder {
    /// Sets the option `key` to what `text` says, as the command does: see
    /// [`OPTIONS`](crate::options::OPTIONS) for the keys. Names and pairs (`columns`, `cast`, …) are
    /// added to those that were set before; of others the last one counts.
    ///
    /// In a list, a name that holds a comma stands in double quotes, and so does in a pair a name
    /// that holds the sign between the two.
    ///
    /// ```
    /// use tfarrow::ReaderBuilder;
    ///
    /// let builder = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"])
    ///     .set("columns", "label,pixels")?
    ///     .set("batch_rows", "512")?
    ///     .set("cast", "label=int8")?;
    /// # builder.build_source()?;
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such option of reading, the text is no value of it, or a file that it names cannot
    /// be read.
    pub fn set(self, key: &str, text: &str) -> Result<Self> {
        let names = |key| split_names(text).map_err(|what| invalid_names(key, what, text));
        let Selection { skip, shard, take } = self.read.selection;
        let select = |builder: Self, selection| Ok(builder.with_selection(selection));
        match key {
            "columns" => {
                let mut columns = self.open.projection.columns.clone().unwrap_or_default();
                columns.extend(names("columns")?);
                Ok(self.with_columns(columns))
            }
            "exclude" => {
                let mut columns = self.open.projection.exclude.clone();
                columns.extend(names("exclude")?);
                Ok(self.with_exclude(columns))
            }
            "rename" => {
                let (old, new) = split_pair(text)
                    .map_err(|what| InvalidValue::new("rename", format!("OLD=NEW ({what})"), text))?;
                Ok(self.with_rename(old, new))
            }
            "feature" if ALL_OPTIONAL.contains(&text) => Ok(self.with_optional_features()),
            "feature" => Ok(self.with_feature(FeatureSpec::parse(text)?)),
            "features" => self.with_features_file(text),
            "infer_records" => Ok(self.with_infer_records(text.parse()?)),
            "record" => Ok(self.with_record(text.parse()?)),
            "proto" => Ok(self.with_proto(text)),
            "message" => Ok(self.with_message(text)),
            "proto_path" => Ok(self.with_proto_path([text])),
            "proto_defaults" => Ok(self.with_proto_defaults(flag("proto_defaults", text)?)),
            "split" => Ok(self.with_split(text)),
            "explode" => Ok(self.with_explode(text)),
            "lenient" => Ok(self.with_lenient(flag("lenient", text)?)),
            "take" => {
                let take = Some(number("take", text, 0)?);
                select(self, Selection { skip, shard, take })
            }
            "skip" => {
                let skip = number("skip", text, 0)?;
                select(self, Selection { skip, shard, take })
            }
            "shard" => {
                let shard = Some(options::shard(text)?);
                select(self, Selection { skip, shard, take })
            }
            "store" => {
                let (key, value) = options::split_setting("store", text)?;
                self.with_store_option(key, value)
            }
            "libtensorflow" => Ok(self.with_libtensorflow(PathBuf::from(text))),
            "tensorflow_threads" => {
                let threads: usize = number("tensorflow_threads", text, 1)?;
                Ok(self.with_tensorflow_threads(u8::try_from(threads).unwrap_or(u8::MAX)))
            }
            "batch_rows" => Ok(self.with_batch_rows(number("batch_rows", text, 1)?)),
            "batch_bytes" => Ok(self.with_batch_bytes(number("batch_bytes", text, 1)?)),
            "max_record_bytes" => Ok(self.with_max_record_bytes(number("max_record_bytes", text, 0)?)),
            "check_crc" => Ok(self.with_check_crc(flag("check_crc", text)?)),
            "on_error" => Ok(self.with_on_error(text.parse()?)),
            "threads" => Ok(self.with_threads(number("threads", text, 1)?)),
            "utf8" => Ok(self.with_utf8(names("utf8")?)),
            "cast" => Ok(Cast::parse_list(text)?.into_iter().fold(self, Self::with_cast)),
            "names" => Ok(self.with_names(names("names")?)),
            "unbatch" => Ok(self.with_unbatch(flag("unbatch", text)?)),
            "structure" => Ok(self.with_structure(text.parse()?)),
            "tensor_layout" => Ok(self.with_tensor_layout(text.parse()?)),
            "class_names" => Ok(self.with_class_names(flag("class_names", text)?)),
            "decode_images" => Ok(self.with_decode_images(flag("decode_images", text)?)),
            "bool" => Ok(self.with_bool(text.parse()?)),
            "bfloat16" => Ok(self.with_bfloat16(text.parse()?)),
            "task_bytes" => Ok(self.with_task_bytes(number("task_bytes", text, 1)?)),
            "rows_per_file" => Ok(self.with_part_rows(number("rows_per_file", text, 1)?)),
            _ => Err(Error::unknown_option(key, "reading")),
        }
    }

    /// Leaves out so many elements at the beginning. Default: none.
    #[must_use]
    pub fn with_skip(self, elements: u64) -> Self {
        let selection = Selection { skip: elements, ..self.read.selection };
        self.with_selection(selection)
    }

    /// Of every `count` elements after those skipped, takes the one numbered `index`, from 0. Default:
    /// all.
    #[must_use]
    pub fn with_shard(self, index: u64, count: u64) -> Self {
        let selection = Selection { shard: Some((index, count)), ..self.read.selection };
        self.with_selection(selection)
    }

    /// Takes so many elements at most. Default: all.
    #[must_use]
    pub fn with_take(self, elements: u64) -> Self {
        let selection = Selection { take: Some(elements), ..self.read.selection };
        self.with_selection(selection)
    }

    /// Says what every feature holds by a file: a JSON object of names and types, TFDS's
    /// `features.json`, or a `schema.pbtxt` of TensorFlow Metadata. Nothing is inferred, and other
    /// features are left out.
    ///
    /// # Errors
    /// The file cannot be read, or is none of these.
    pub fn with_features_file(self, path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let name = || path.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|e| Error::io("cannot read features", e).in_source(name()))?;
        let features = parse_features(&text).map_err(|e| e.in_source(name()))?;
        // What was said of single features still counts.
        let single = self.open.features.clone();
        let single = if self.open.features_complete { Vec::new() } else { single };
        Ok(single.into_iter().fold(self.with_features(features), Self::with_feature))
    }
}

fn invalid_names(key: &'static str, what: &str, text: &str) -> InvalidValue {
    InvalidValue::new(key, format!("names between commas ({what})"), text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::options::{OPTIONS, Topic};

    #[test]
    fn every_option_of_reading_can_be_set() {
        for option in
            OPTIONS.iter().filter(|o| matches!(o.topic, Topic::Reading | Topic::Storing | Topic::Library))
        {
            let error = ReaderBuilder::new(["a"]).set(option.key, "\u{0}").err();
            let unknown = error.is_some_and(|e| e.to_string().contains("no option"));
            assert!(!unknown, "{}", option.key);
        }
        let error = ReaderBuilder::new(["a"]).set("batch_row", "1").unwrap_err().to_string();
        assert!(error.contains("did you mean `batch_rows`?"), "{error}");
    }

    #[test]
    fn what_is_set_is_known_to_be_set() {
        let builder = ReaderBuilder::new(["a"]).set("bool", "boolean").unwrap().set("take", "3").unwrap();
        let given: Vec<_> = builder.open.given.options().map(|option| option.key).collect();
        assert_eq!(given, ["take", "bool"]);
    }

    #[test]
    fn names_are_added_to_those_before() {
        let builder =
            ReaderBuilder::new(["a"]).set("columns", r#""a,b""#).unwrap().set("columns", "c").unwrap();
        assert_eq!(builder.settings()["columns"], json!(["a,b", "c"]));
        let builder = builder.set("cast", r#""a,b"=int8,float64:float32"#).unwrap();
        assert_eq!(builder.settings()["cast"], json!([r#""a,b"=int8"#, "float64:float32"]));
        assert!(ReaderBuilder::new(["a"]).set("columns", "a,").is_err());
    }
}
