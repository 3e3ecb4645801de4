//! Options that are one of a few words, and how the values of options are read from text.

use std::fmt;
use std::str::FromStr;

/// A text that is no value of its option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValue {
    /// The option.
    pub(crate) key: &'static str,
    /// What it takes.
    pub(crate) expected: String,
    /// What was given.
    pub(crate) found: String,
}

impl InvalidValue {
    pub(crate) fn new(key: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { key, expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: expected {}, found `{}`", self.key, self.expected, self.found)
    }
}

impl std::error::Error for InvalidValue {}

/// An enum whose values are words, the values of the option `$key`.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident of $key:literal {
        $($(#[$doc:meta])* $value:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $value,)*
        }

        impl $name {
            /// The words for them.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl fmt::Display for $name {
            /// The word that [`FromStr`] reads.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$value => $word,)*
                })
            }
        }

        impl FromStr for $name {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                match text {
                    $($word => Ok($name::$value),)*
                    _ => Err(InvalidValue::new($key, listed(Self::WORDS, "or"), text)),
                }
            }
        }
    };
}

/// `a, b or c`, with `and` for the word before the last.
pub(crate) fn listed<S: AsRef<str>>(words: &[S], and: &str) -> String {
    match words {
        [] => String::new(),
        [word] => word.as_ref().to_owned(),
        [words @ .., last] => {
            let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
            format!("{} {and} {}", words.join(", "), last.as_ref())
        }
    }
}

words! {
    /// What the records of a TFRecord file are.
    RecordKind of "record" {
        /// `tf.train.Example` or `SequenceExample`: the latter if one of the records read for
        /// inference has feature lists.
        #[default]
        Auto = "auto",
        /// Serialized `tf.train.Example`. A record with feature lists is an error: they would be lost.
        Example = "example",
        /// Serialized `tf.train.SequenceExample`: the features of the context, and a list column for
        /// each feature list.
        Sequence = "sequence",
        /// Anything: one `record` column of their bytes.
        Raw = "raw",
        /// A message of any protobuf, which a descriptor describes.
        Message = "message",
        /// `ExampleListWithContext`, which TF-Ranking reads: the features of the context, and a list of
        /// structs of the examples'.
        Elwc = "elwc",
        /// TensorBoard's events: a row for every value of a summary.
        Event = "event",
    }
}

words! {
    /// What to do with a record that is damaged or does not fit the schema.
    OnError of "on_error" {
        /// Stop with an error.
        #[default]
        Fail = "fail",
        /// Leave the row out and go on.
        Skip = "skip",
        /// Put a row of nulls in its place and go on.
        ///
        /// Where the length of a record is damaged, it is not known how many records were lost: one row
        /// stands for everything up to the next sound record.
        Null = "null",
        /// Put null in place of a value that cannot be read or does not fit its column, and keep the
        /// rest of the row; a row of nulls where all of a record is damaged.
        NullValue = "null-value",
    }
}

words! {
    /// How tensors of a known shape (and of a known rank) are stored.
    TensorLayout of "tensor_layout" {
        /// The canonical extension types over flat lists.
        #[default]
        Extension = "extension",
        /// Lists of lists, fixed-size where the size is known; no extension type.
        Nested = "nested",
        /// One flat list a row (with its shape beside it where it varies); no extension type.
        Flat = "flat",
    }
}

words! {
    /// How bool tensors are stored. Scalar bool components are always Boolean.
    BoolStorage of "bool" {
        /// Arrow Boolean, one bit a value.
        #[default]
        Boolean = "boolean",
        /// UInt8, 0 or 1: the form that can be viewed without a copy.
        UInt8 = "uint8",
    }
}

words! {
    /// Which encodings and types a Parquet file may use.
    ParquetEncodings of "parquet_encodings" {
        /// What every mainstream reader of the last three years opens: plain values and dictionaries;
        /// TensorFlow's `half` as Float32, which holds every one of its values.
        #[default]
        Compatible = "compatible",
        /// The smallest: BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED and FLOAT16 too. Spark reads such files
        /// from version 4.3 on, DuckDB from 2.0, pyarrow from 17.
        Compact = "compact",
    }
}

words! {
    /// How bfloat16 and float8 values are stored.
    BFloat16Storage of "bfloat16" {
        /// Widened to Float32, which is exact.
        #[default]
        Float32 = "float32",
        /// Their bits, as UInt16 (bfloat16) or UInt8 (float8).
        Raw = "raw",
    }
}

words! {
    /// Whether structures are flattened to columns named by path, or kept as Arrow structs.
    Structure of "structure" {
        /// One column a component, named by its path.
        #[default]
        Flat = "flat",
        /// One column a top-level part; inner structures are structs.
        Nested = "nested",
    }
}

/// How many records are read to infer a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InferRecords {
    /// The first so many.
    First(u64),
    /// Every one.
    All,
}

impl Default for InferRecords {
    fn default() -> Self {
        InferRecords::First(10_000)
    }
}

impl fmt::Display for InferRecords {
    /// A number or `all`, as [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InferRecords::First(records) => write!(f, "{records}"),
            InferRecords::All => f.write_str("all"),
        }
    }
}

impl FromStr for InferRecords {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "all" => Ok(InferRecords::All),
            _ => text
                .parse()
                .map(InferRecords::First)
                .map_err(|_| InvalidValue::new("infer_records", "a number or `all`", text)),
        }
    }
}

/// A number of at least `least`.
pub(crate) fn number<T: FromStr + PartialOrd + fmt::Display>(
    key: &'static str,
    text: &str,
    least: T,
) -> Result<T, InvalidValue> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| InvalidValue::new(key, format!("a number, at least {least}"), text))
}

/// `true` or `false`.
pub(crate) fn flag(key: &'static str, text: &str) -> Result<bool, InvalidValue> {
    text.parse().map_err(|_| InvalidValue::new(key, "true or false", text))
}

/// `KEY=VALUE`. What has no such form is not shown: it may be a secret.
pub(crate) fn split_setting<'a>(
    key: &'static str,
    text: &'a str,
) -> Result<(&'a str, &'a str), InvalidValue> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts.ok_or_else(|| InvalidValue::new(key, "KEY=VALUE", "…"))
}

/// `I/N`, I from 0.
pub(crate) fn shard(text: &str) -> Result<(u64, u64), InvalidValue> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.filter(|(i, n)| i < n).ok_or_else(|| InvalidValue::new("shard", "I/N with I from 0 to N−1", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in RecordKind::WORDS {
            assert_eq!(word.parse::<RecordKind>().unwrap().to_string(), *word);
        }
        for word in OnError::WORDS {
            assert_eq!(word.parse::<OnError>().unwrap().to_string(), *word);
        }
        let error = "skipp".parse::<OnError>().unwrap_err().to_string();
        assert_eq!(error, "invalid on_error: expected fail, skip, null or null-value, found `skipp`");
    }

    #[test]
    fn numbers_have_a_least() {
        assert_eq!(number::<u64>("batch_rows", "5", 1).unwrap(), 5);
        for wrong in ["0", "-1", "x", "", "1.5"] {
            assert!(number::<u64>("batch_rows", wrong, 1).is_err(), "{wrong}");
        }
        assert_eq!(shard("0/4").unwrap(), (0, 4));
        for wrong in ["4/4", "1", "a/b", "0/0"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }
}
