//! `dataset_info.json`: the dataset's name, its files' format, its splits and their shards.

use serde_json::Value;

use super::integer;
use crate::error::{Error, Result};

/// The most shards a split may have.
const MAX_SHARDS: usize = 1 << 22;

/// The format of a dataset's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    TfRecord,
    ArrayRecord,
    Parquet,
    Riegeli,
}

impl FileFormat {
    /// Its name, which file names hold as well.
    pub(crate) fn name(self) -> &'static str {
        match self {
            FileFormat::TfRecord => "tfrecord",
            FileFormat::ArrayRecord => "array_record",
            FileFormat::Parquet => "parquet",
            FileFormat::Riegeli => "riegeli",
        }
    }

    fn from_name(name: &str) -> Result<Self> {
        [FileFormat::TfRecord, FileFormat::ArrayRecord, FileFormat::Parquet, FileFormat::Riegeli]
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| {
                Error::unsupported("file format of a TFDS dataset")
                    .expected("tfrecord, array_record, parquet or riegeli", format!("`{name}`"))
            })
    }
}

/// What `dataset_info.json` says.
#[derive(Debug, Clone)]
pub(crate) struct DatasetInfo {
    pub(crate) name: String,
    pub(crate) config: String,
    pub(crate) version: String,
    /// The format of the files, and others in which they may be there as well.
    pub(crate) formats: Vec<FileFormat>,
    pub(crate) splits: Vec<SplitInfo>,
}

/// A split and its shards.
#[derive(Debug, Clone)]
pub(crate) struct SplitInfo {
    pub(crate) name: String,
    template: String,
    pub(crate) shards: usize,
    /// How many examples each shard holds; nothing for datasets so old that they do not say.
    pub(crate) lengths: Option<Vec<u64>>,
}

const DEFAULT_TEMPLATE: &str = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}";

fn bad(what: &str) -> Error {
    Error::corrupt(format!("invalid dataset_info.json: {what}"))
}

fn text(value: &Value, camel: &str, snake: &str) -> String {
    let found = value.get(camel).or_else(|| value.get(snake));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A name that becomes part of a file name.
fn plain_name(name: &str) -> Result<()> {
    let plain = !name.is_empty() && name != ".." && !name.contains(['/', '\\', '\0']);
    if plain {
        Ok(())
    } else {
        Err(bad("a name cannot be part of a file name")
            .expected("letters, digits, _ and -", format!("`{name}`")))
    }
}

impl DatasetInfo {
    /// Reads a `dataset_info.json`.
    ///
    /// # Errors
    /// The JSON is no dataset's, or names a file format that does not exist.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let name = text(value, "name", "name");
        plain_name(&name)?;
        let mut formats = match text(value, "fileFormat", "file_format").as_str() {
            "" => vec![FileFormat::TfRecord],
            format => vec![FileFormat::from_name(format)?],
        };
        let others = value.get("alternativeFileFormats").and_then(Value::as_array);
        let others = others.into_iter().flatten().filter_map(Value::as_str);
        // What cannot be read is no loss where there is something else.
        formats.extend(others.filter_map(|format| FileFormat::from_name(format).ok()));
        let splits = value.get("splits").and_then(Value::as_array);
        let splits = splits.into_iter().flatten().map(SplitInfo::from_json).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name,
            config: text(value, "configName", "config_name"),
            version: text(value, "version", "version"),
            formats,
            splits,
        })
    }

    /// How TFDS calls it: `name/config/version`.
    pub(crate) fn full_name(&self) -> String {
        [&self.name, &self.config, &self.version]
            .map(String::as_str)
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
    }
}

impl SplitInfo {
    fn from_json(value: &Value) -> Result<Self> {
        let name = text(value, "name", "name");
        plain_name(&name)?;
        let number = |value: &Value| integer(value).and_then(|n| u64::try_from(n).ok());
        let lengths = value.get("shardLengths").or_else(|| value.get("shard_lengths"));
        let mut lengths = match lengths.and_then(Value::as_array).filter(|lengths| !lengths.is_empty()) {
            None => None,
            Some(lengths) => {
                let lengths: Option<Vec<u64>> = lengths.iter().map(number).collect();
                Some(lengths.ok_or_else(|| bad("a shard length is no number"))?)
            }
        };
        let shards = value.get("numShards").or_else(|| value.get("num_shards")).and_then(number);
        let shards = match &lengths {
            Some(lengths) => lengths.len(),
            None => shards.and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
        };
        if shards > MAX_SHARDS {
            return Err(Error::limit("split with too many shards")
                .expected(format!("at most {MAX_SHARDS}"), shards.to_string()));
        }
        let statistics = value.get("statistics");
        let examples = statistics.and_then(|s| s.get("numExamples").or_else(|| s.get("num_examples")));
        if let (None, 1, Some(examples)) = (&lengths, shards, examples.and_then(number)) {
            lengths = Some(vec![examples]);
        }
        let total = lengths.iter().flatten().try_fold(0u64, |sum, length| sum.checked_add(*length));
        if total.is_none_or(|total| i64::try_from(total).is_err()) {
            return Err(bad("shard lengths add up to too much"));
        }
        let template = match text(value, "filepathTemplate", "filepath_template") {
            template if template.is_empty() => DEFAULT_TEMPLATE.to_owned(),
            template => template,
        };
        Ok(Self { name, template, shards, lengths })
    }

    /// The number of examples, if known.
    pub(crate) fn examples(&self) -> Option<u64> {
        // That the sum fits was seen when the lengths were read.
        self.lengths.as_ref().map(|lengths| lengths.iter().sum())
    }

    /// The name of the file of the shard `shard`, relative to the dataset's folder.
    ///
    /// # Errors
    /// The template names a file outside of the folder, or a variable that does not exist.
    pub(crate) fn file_name(&self, dataset: &str, format: FileFormat, shard: usize) -> Result<String> {
        let count = self.shards;
        let digits = count.to_string().len().max(5);
        let (index, count) = (format!("{shard:0digits$}"), format!("{count:0digits$}"));
        // `${NAME}` is written as well.
        let mut name = self.template.replace("${", "{");
        for (variable, value) in [
            ("{DATASET}", dataset),
            ("{SPLIT}", &self.name),
            ("{FILEFORMAT}", format.name()),
            ("{SHARD_X_OF_Y}", &format!("{index}-of-{count}")),
            ("{SHARD_INDEX}", &index),
            ("{NUM_SHARDS}", &count),
        ] {
            name = name.replace(variable, value);
        }
        let outside = name.starts_with(['/', '\\'])
            || name.contains(['\0', ':', '{'])
            || name.split(['/', '\\']).any(|part| part == "..");
        if outside {
            return Err(bad("a file name template leads nowhere")
                .expected("a name within the folder", format!("`{}`", self.template)));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn split(value: &Value) -> Result<SplitInfo> {
        SplitInfo::from_json(value)
    }

    #[test]
    fn file_names_follow_the_template() {
        let plain = split(&json!({"name": "train", "shardLengths": ["2", 3]})).unwrap();
        assert_eq!(plain.examples(), Some(5));
        let name =
            |split: &SplitInfo, shard| split.file_name("wide", FileFormat::ArrayRecord, shard).unwrap();
        assert_eq!(name(&plain, 1), "wide-train.array_record-00001-of-00002");
        let template = "{SPLIT}/{SHARD_INDEX}.{FILEFORMAT}@{NUM_SHARDS}";
        let other =
            split(&json!({"name": "a-b", "shardLengths": vec!["1"; 100_000], "filepathTemplate": template}));
        assert_eq!(name(&other.unwrap(), 7), "a-b/000007.array_record@100000");
    }

    #[test]
    fn files_outside_of_the_folder_are_not_opened() {
        for template in ["../{SPLIT}", "/etc/{SPLIT}", "a/../../b", "{NOTHING}"] {
            let split = split(&json!({"name": "train", "shardLengths": [1], "filepathTemplate": template}));
            assert!(split.unwrap().file_name("x", FileFormat::TfRecord, 0).is_err(), "{template}");
        }
        for name in ["..", "a/b", ""] {
            assert!(split(&json!({"name": name, "shardLengths": [1]})).is_err(), "{name}");
        }
    }

    #[test]
    fn older_datasets_say_less() {
        let old = split(&json!({"name": "train", "numShards": "1", "statistics": {"numExamples": "60000"}}))
            .unwrap();
        assert_eq!((old.shards, old.examples()), (1, Some(60_000)));
        let older = split(&json!({"name": "train", "numShards": "3"})).unwrap();
        assert_eq!((older.shards, older.examples()), (3, None));
        let huge = u64::MAX / 2;
        assert!(split(&json!({"name": "train", "shardLengths": [huge, huge, huge]})).is_err());
    }
}
