//! What reading everything found.

use serde_json::{Value, json};

use super::printable;
use crate::error::{ErrorKind, Result};
use crate::options::Dialect;
use crate::source::report::Failure;
use crate::source::{ReadOptions, Source, Verified};

/// What reading one partition found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartVerified {
    /// What the partition is called: mostly a path.
    pub name: String,
    /// Its size in bytes of input, where known.
    pub bytes: Option<u64>,
    /// Sound records, rows, examples or elements: `what` says which.
    pub records: u64,
    /// What `records` counts, in the plural.
    pub what: String,
    /// Whether they were looked into. Of records of another kind than this crate knows only the
    /// checksums were checked.
    pub looked_into: bool,
    /// How many places are damaged.
    pub damaged: u64,
    /// The first of them.
    pub damage: Vec<Failure>,
}

/// What reading every partition of a dataset found.
///
/// ```
/// use tfarrow::ReaderBuilder;
/// use tfarrow::report::Verification;
///
/// let source = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).build_to_verify()?;
/// let verification = Verification::of(source.as_ref(), 10, &mut |_| Ok(()))?;
/// assert_eq!((verification.records(), verification.damaged()), (1797, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// What kind of input it is, in a few words.
    pub kind: String,
    /// Its partitions, in order.
    pub parts: Vec<PartVerified>,
}

impl Verification {
    /// Reads all of `source`, which was [opened to be
    /// verified](crate::ReaderBuilder::build_to_verify), and checks every checksum; keeps `listed`
    /// failures a partition, and gives each partition to `each` when it was read.
    ///
    /// A partition that is not there is damage of the dataset, and the others are read.
    ///
    /// # Errors
    /// A partition cannot be read, for a reason other than damage, or `each` fails.
    pub fn of(
        source: &dyn Source,
        listed: usize,
        each: &mut dyn FnMut(&PartVerified) -> Result<()>,
    ) -> Result<Self> {
        let options = ReadOptions::default().all_in_turn(source);
        let mut parts = Vec::new();
        for (index, partition) in source.partitions().iter().enumerate() {
            let mut part = PartVerified {
                name: partition.name.to_string(),
                bytes: partition.bytes,
                records: 0,
                what: source.row_name().to_owned(),
                looked_into: true,
                damaged: 0,
                damage: Vec::new(),
            };
            let mut add = |failure| {
                part.damaged += 1;
                if part.damage.len() < listed {
                    part.damage.push(failure);
                }
                Ok(())
            };
            match source.verify(index, &options, &mut add) {
                Ok(Verified { records, what, looked_into }) => {
                    (part.records, part.what, part.looked_into) = (records, what, looked_into);
                }
                Err(error) if error.kind() == ErrorKind::NotFound => add(error.into())?,
                Err(error) => return Err(error),
            }
            each(&part)?;
            parts.push(part);
        }
        Ok(Self { kind: source.kind().to_owned(), parts })
    }

    /// Sound records of all partitions.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }

    /// Damaged places of all partitions.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.parts.iter().map(|part| part.damaged).sum()
    }

    /// All of it as a JSON object with the members `records`, `damaged` and `files`, each with
    /// `name`, `bytes`, `records`, `what`, `looked_into`, `damaged` and `damage`: see
    /// [`Failure::to_json`].
    /// Hints spell options as `dialect` does.
    #[must_use]
    pub fn to_json(&self, dialect: Dialect) -> Value {
        let files: Vec<Value> = self.parts.iter().map(|part| part.to_json(dialect)).collect();
        json!({"records": self.records(), "damaged": self.damaged(), "files": files})
    }

    /// All of it in one line: `8 rows of 1 Parquet file: sound`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let what = self.parts.iter().find(|part| part.records > 0).or(self.parts.first());
        let counted = counted(self.records(), what.map_or("records", |part| &part.what));
        let looked_into = self.parts.iter().all(|part| part.looked_into);
        let verdict = verdict(self.damaged(), looked_into);
        format!("{counted} of {}: {verdict}\n", printable(&self.container()))
    }

    /// What the records are in, with its number.
    fn container(&self) -> String {
        let mut files: Vec<&str> = self.parts.iter().map(|part| file_of(&part.name)).collect();
        files.dedup();
        let count = files.len() as u64;
        for kind in ["files", "streams", "shards"] {
            if let Some((before, _)) = self.kind.split_once(&format!(" {kind}")) {
                return counted(count, &format!("{before} {kind}"));
            }
        }
        format!("1 {}", self.kind)
    }
}

/// The file that a partition is a part of.
fn file_of(partition: &str) -> &str {
    match partition.rsplit_once('#') {
        Some((file, part)) if part.bytes().all(|b| b.is_ascii_digit()) => file,
        _ => partition,
    }
}

impl PartVerified {
    /// The partition as a JSON object: see [`Verification::to_json`].
    #[must_use]
    pub fn to_json(&self, dialect: Dialect) -> Value {
        json!({
            "name": self.name,
            "bytes": self.bytes,
            "records": self.records,
            "what": self.what,
            "looked_into": self.looked_into,
            "damaged": self.damaged,
            "damage": self.damage.iter().map(|failure| failure.to_json(dialect)).collect::<Vec<_>>(),
        })
    }

    /// The partition as text: a line, and one for each failure that is listed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let counted = counted(self.records, &self.what);
        let verdict = verdict(self.damaged, self.looked_into);
        let mut out = format!("{}: {counted}: {verdict}\n", printable(&self.name));
        for failure in &self.damage {
            // The file was named already: where in it, then what.
            let mut place = failure.location.clone();
            place.source = None;
            let text = format!("{place}: {}", printable(&failure.message));
            out.push_str(&format!("  {}\n", text.trim_start_matches(": ")));
        }
        let more = self.damaged.saturating_sub(self.damage.len() as u64);
        if more > 0 {
            out.push_str(&format!("  {more} more\n"));
        }
        out
    }
}

/// So many of what is called `plural`, such as `records of tf.train.Example` or `Parquet files`.
fn counted(count: u64, plural: &str) -> String {
    if count != 1 {
        return format!("{count} {plural}");
    }
    let (noun, rest) = plural.split_once(" of ").unwrap_or((plural, ""));
    let of = if rest.is_empty() { "" } else { " of " };
    format!("1 {}{of}{rest}", noun.strip_suffix('s').unwrap_or(noun))
}

fn verdict(damaged: u64, looked_into: bool) -> String {
    match damaged {
        0 if looked_into => "sound".to_owned(),
        // What they hold may be anything.
        0 => "checksums hold, contents unknown".to_owned(),
        _ => format!("{damaged} damaged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, records: u64, what: &str) -> PartVerified {
        PartVerified {
            name: name.to_owned(),
            bytes: None,
            records,
            what: what.to_owned(),
            looked_into: true,
            damaged: 0,
            damage: Vec::new(),
        }
    }

    #[test]
    fn sentences_count_what_they_name() {
        let sentence = |kind: &str, parts: &[PartVerified]| {
            Verification { kind: kind.to_owned(), parts: parts.to_vec() }.to_text()
        };
        let rows = [part("a#0", 4, "rows"), part("a#1", 4, "rows")];
        assert_eq!(sentence("Parquet files", &rows), "8 rows of 1 Parquet file: sound\n");
        let both = [part("a", 1, "records of tf.train.Example"), part("b", 0, "records")];
        assert_eq!(
            sentence("TFRecord files of tfrecord", &both),
            "1 record of tf.train.Example of 2 TFRecord files: sound\n"
        );
        let shards = [part("a", 2, "examples"), part("b", 1, "examples")];
        assert_eq!(
            sentence("TFDS dataset x/1.0.0", &shards),
            "3 examples of 1 TFDS dataset x/1.0.0: sound\n"
        );
        let mut other = part("a", 1, "records of another kind");
        other.looked_into = false;
        let unknown = "checksums hold, contents unknown";
        assert_eq!(other.to_text(), format!("a: 1 record of another kind: {unknown}\n"));
        assert_eq!(
            sentence("TFRecord files of raw records", &[other]),
            format!("1 record of another kind of 1 TFRecord file: {unknown}\n")
        );
    }

    #[test]
    fn what_files_say_is_escaped() {
        let mut part = part("\u{1b}]0;x\u{7}", 1, "rows");
        let error = crate::Error::corrupt("bad \u{9b}2J").in_column("\u{202e}c").in_source("\u{1b}");
        (part.damaged, part.damage) = (2, vec![error.into()]);
        assert_eq!(
            part.to_text(),
            "\\u{1b}]0;x\\u{7}: 1 row: 2 damaged\n  column `\\u{202e}c`: bad \\u{9b}2J\n  1 more\n"
        );
    }
}
