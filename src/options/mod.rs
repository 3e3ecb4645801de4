//! Every option, once: its key, the form of its value, what it is for, and which kinds of input and
//! of output heed it.
//!
//! The command's arguments, the settings in a manifest, the hints of errors and the keywords of
//! other languages are all made from [`OPTIONS`].

mod heeding;
mod names;
mod nearest;
mod phrase;
mod table;
mod values;

use std::collections::BTreeSet;
use std::fmt;

pub(crate) use names::{quote_name, split_assignments, split_names, split_pair};
pub(crate) use nearest::nearest;
pub use phrase::{Dialect, Phrase};
pub use table::OPTIONS;
pub use values::{
    BFloat16Storage, BoolStorage, InferRecords, InvalidValue, OnError, ParquetEncodings, RecordKind,
    Structure, TensorLayout,
};
pub(crate) use values::{flag, listed, number, shard, split_setting};

/// One option.
#[derive(Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// Its name, as `batch_rows`. The command's flag is the same with dashes.
    pub key: &'static str,
    /// What its value looks like.
    pub form: Form,
    /// The value that counts where none is given, in the option's own form; none where it is said
    /// in [`help`](Self::help) or where there is nothing to say.
    pub default: Option<&'static str>,
    /// What it is for: one or two lines without a full stop.
    pub help: &'static str,
    /// What it belongs to.
    pub topic: Topic,
    /// The kinds of input that heed it.
    pub inputs: &'static [InputKind],
    /// The kinds of output that heed it.
    pub outputs: &'static [OutputKind],
}

/// The form of an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// Given or not: `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number, at least the given one. The text is what help calls it.
    Number(&'static str, u64),
    /// One value; the text is what help calls it.
    Text(&'static str),
    /// A path; the text is what help calls it.
    Path(&'static str),
    /// Names between commas, as a line of CSV; given again, it adds to them.
    Names(&'static str),
    /// Two names with a sign between them; given again, it adds another pair.
    Pairs {
        /// What help calls them.
        placeholder: &'static str,
        /// What stands between the two.
        sign: char,
    },
}

/// What an option belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Topic {
    /// What is read.
    Reading,
    /// How it is stored in columns.
    Storing,
    /// How an output is written.
    Writing,
    /// How a conversion goes on.
    Converting,
    /// What the command has no argument for.
    Library,
}

macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $kind:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $kind,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$kind),*];
        }

        impl fmt::Display for $name {
            /// What it is called, in the plural.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$kind => $text,)*
                })
            }
        }
    };
}

kinds! {
    /// A kind of input, as far as options differ.
    InputKind {
        /// TFRecord and ArrayRecord files of `tf.train.Example` or `SequenceExample`.
        Examples = "files of tf.train.Example",
        /// The same files, whose records are kept as they are.
        RawRecords = "records that are kept as they are (raw)",
        /// The same files, whose records are messages that a descriptor declares.
        Messages = "records that are protobuf messages",
        /// TF-Ranking's lists of examples.
        Elwc = "ELWC files",
        /// TensorBoard's event files.
        Events = "TensorBoard event files",
        /// TFDS datasets.
        Tfds = "TFDS datasets",
        /// Folders of `Dataset.save` and `Dataset.snapshot`.
        Saved = "Dataset.save folders",
        /// Files of `Dataset.cache`.
        Cache = "Dataset.cache files",
        /// Arrow IPC files and streams.
        ArrowTable = "Arrow files",
        /// Parquet files.
        ParquetTable = "Parquet files",
        /// Elements that a caller delivers.
        Elements = "elements that a caller delivers",
        /// Pipelines that TensorFlow runs.
        Pipeline = "live pipelines",
    }
}

kinds! {
    /// A kind of output, as far as options differ.
    OutputKind {
        /// Batches in memory.
        Batches = "batches in memory",
        /// Parquet files.
        Parquet = "Parquet files",
        /// Arrow IPC files.
        IpcFile = "Arrow IPC files",
        /// Arrow IPC streams.
        IpcStream = "Arrow streams",
        /// `.npy` files.
        Npy = ".npy files",
        /// `.npz` archives.
        Npz = ".npz archives",
        /// Folders of `.npy` files.
        Npyd = ".npyd folders",
        /// TFRecord files.
        TfRecord = "TFRecord files",
        /// Folders that `Dataset.load` opens.
        Saved = "saved datasets",
        /// The first rows, shown as a table.
        Head = "`head`",
        /// What is in a dataset, as a page or as JSON.
        Report = "`report`",
        /// Tasks for several machines.
        Plan = "`plan`",
        /// What a dataset holds and which columns it becomes.
        Schema = "`schema`",
        /// The number of records.
        Count = "`count`",
        /// What is damaged.
        Verify = "`verify`",
    }
}

impl InputKind {
    /// Several of them, in words.
    pub(crate) fn list(kinds: &[Self]) -> String {
        listed(&kinds.iter().map(ToString::to_string).collect::<Vec<_>>(), "and")
    }
}

impl OutputKind {
    /// Several of them, in words.
    pub(crate) fn list(kinds: &[Self]) -> String {
        let files = |kind: &&Self| {
            !matches!(
                kind,
                Self::Head | Self::Report | Self::Plan | Self::Schema | Self::Count | Self::Verify
            )
        };
        let all = Self::ALL.iter().filter(files).all(|kind| kinds.contains(kind));
        let mut words: Vec<String> = if all { vec!["rows of any format".to_owned()] } else { Vec::new() };
        words.extend(kinds.iter().filter(|kind| !all || !files(kind)).map(ToString::to_string));
        listed(&words, "and")
    }
}

/// The option called `key`.
#[must_use]
pub fn find(key: &str) -> Option<&'static OptionInfo> {
    OPTIONS.iter().find(|option| option.key == key)
}

/// What is said of a key that no option has: the nearest one, if one is near.
#[must_use]
pub fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(key, OPTIONS.iter().map(|option| option.key))
}

/// The keys of the options that were set, as against those that have their default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given(BTreeSet<&'static str>);

impl Given {
    /// Notes that the option `key` of the table was set.
    pub(crate) fn set(&mut self, key: &'static str) {
        debug_assert!(find(key).is_some(), "no option `{key}`");
        self.0.insert(key);
    }

    /// Whether the option `key` was set.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// Those that were set, in the order of the table.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static OptionInfo> {
        OPTIONS.iter().filter(|option| self.has(option.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_words_and_differ() {
        let mut keys: Vec<_> = OPTIONS.iter().map(|option| option.key).collect();
        assert!(
            keys.iter()
                .all(|key| key.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit()))
        );
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), OPTIONS.len());
    }

    #[test]
    fn every_option_is_heeded_by_something() {
        for option in OPTIONS {
            assert!(!option.inputs.is_empty() && !option.outputs.is_empty(), "{}", option.key);
            assert!(!option.help.ends_with('.'), "{}", option.key);
        }
    }

    #[test]
    fn defaults_are_of_their_form() {
        for option in OPTIONS {
            let Some(default) = option.default else { continue };
            match option.form {
                Form::Choice(words) => assert!(words.contains(&default), "{}", option.key),
                Form::Number(_, least) => assert!(default.parse::<u64>().unwrap() >= least, "{}", option.key),
                _ => {}
            }
        }
    }
}
