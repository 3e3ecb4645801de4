//! What each task reads.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::MAX_TASKS;
use crate::error::{Error, Result};
use crate::options::{OnError, Phrase};
use crate::reader::{Batches, ReaderBuilder};
use crate::source::planned::{Learnt, Object, PlannedPart, invalid};
use crate::source::report::Report;
use crate::source::{ReadOptions, Selection};

/// What a task reads: elements of parts that follow one on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) parts: Vec<PlannedPart>,
    /// Which elements of these parts.
    pub(super) selection: Selection,
    /// How many rows come before its own, where that is known.
    pub(super) rows_before: Option<u64>,
    /// How many rows it has, where that is known.
    pub(super) rows: Option<u64>,
}

/// What counts the elements of a part, where that is asked for.
pub(super) struct Count<'a> {
    pub(super) builder: &'a ReaderBuilder,
    pub(super) learnt: &'a Learnt,
    pub(super) folder: &'a Path,
    /// Whether elements are rows, which are known only when they are made.
    pub(super) varies: bool,
}

impl Count<'_> {
    /// How many elements, or rows where these vary, a selection counts in `part`.
    ///
    /// # Errors
    /// The part has to be read, and cannot be.
    fn of(&self, part: &PlannedPart) -> Result<u64> {
        let tolerant = self.builder.read_options().on_error != OnError::Fail;
        let known = if self.varies { part.partition.rows.filter(|_| !tolerant) } else { part.elements };
        match known {
            Some(known) => Ok(known),
            None => self.by_reading(part, tolerant),
        }
    }

    fn by_reading(&self, part: &PlannedPart, tolerant: bool) -> Result<u64> {
        if !self.varies
            && !tolerant
            && let Some(input) = part.partition.inputs.first().and_then(|input| input.input())
            && let Some(records) = self.frames(part, input)?
        {
            return Ok(records);
        }
        let source = self.builder.open_parts(self.learnt, std::slice::from_ref(part), self.folder)?;
        let report = std::sync::Arc::new(Report::new(0));
        let (selection, part_rows) = (Selection::default(), None);
        let options = ReadOptions {
            selection,
            part_rows,
            report: report.clone(),
            ..self.builder.read_options().clone()
        };
        let mut rows = 0;
        for batch in Batches::new(source, &options, 1)? {
            rows += batch?.num_rows() as u64;
        }
        // What was left out is an element, too.
        Ok(rows + if self.varies { 0 } else { report.skipped() })
    }

    /// The records of a file of frames, compressed or not.
    fn frames(&self, part: &PlannedPart, input: &crate::input::Input) -> Result<Option<u64>> {
        use crate::source::planned::RecordsIn;
        let frames = match self.learnt {
            Learnt::Records { files: RecordsIn::TfRecord { .. } | RecordsIn::Tfds("tfrecord"), .. } => true,
            Learnt::Tfds(tfds) => tfds.format == "tfrecord",
            _ => false,
        };
        if !frames || part.partition.range != crate::source::PartitionRange::All {
            return Ok(None);
        }
        let most = self.builder.max_record_bytes();
        crate::source::count::count_records(input, false, most, &Default::default()).map(Some)
    }
}

/// What the tasks read of `parts` that select elements, or are of so many rows each, as `read` says.
///
/// # Errors
/// A part has to be counted, and cannot be read.
pub(super) fn shares(parts: &[PlannedPart], read: &ReadOptions, count: &Count<'_>) -> Result<Vec<Share>> {
    match read.part_rows {
        Some(rows) => by_rows(parts, read.selection, rows, count),
        None if read.selection != Selection::default() => selected(parts, read.selection, count),
        None => Ok(whole(parts, read.on_error == OnError::Skip)),
    }
}

/// A task for each part.
fn whole(parts: &[PlannedPart], loses_rows: bool) -> Vec<Share> {
    let mut before = Some(0u64);
    let share = |part: &PlannedPart| {
        let rows = part.partition.rows.filter(|_| !loses_rows);
        let rows_before = before;
        before = before.and_then(|before| before.checked_add(rows?));
        Share { parts: vec![part.clone()], selection: Selection::default(), rows_before, rows }
    };
    parts.iter().map(share).collect()
}

/// The elements that a selection takes: `first`, and every `step`th after it.
struct Progression {
    first: u64,
    step: u64,
    most: u64,
}

impl Progression {
    fn of(selection: Selection) -> Self {
        let (index, step) = selection.shard.map_or((0, 1), |(index, count)| (index, count.max(1)));
        Self { first: selection.skip.saturating_add(index), step, most: selection.take.unwrap_or(u64::MAX) }
    }

    /// How many of its elements come before the element `element`.
    fn before(&self, element: u64) -> u64 {
        element.saturating_sub(self.first).div_ceil(self.step).min(self.most)
    }

    /// Its element number `number`.
    fn element(&self, number: u64) -> u64 {
        self.first.saturating_add(number.saturating_mul(self.step))
    }

    /// Selects `take` of its elements, from number `number` on, among the elements from `begin` on.
    fn select(&self, number: u64, begin: u64, take: Option<u64>) -> Selection {
        let shard = (self.step > 1).then_some((0, self.step));
        Selection { skip: self.element(number).saturating_sub(begin), shard, take }
    }
}

/// A task for each part that has elements of the selection.
fn selected(parts: &[PlannedPart], selection: Selection, count: &Count<'_>) -> Result<Vec<Share>> {
    let wanted = Progression::of(selection);
    let mut shares = Vec::new();
    let mut begin = 0u64;
    for part in parts {
        let taken = wanted.before(begin);
        if taken >= wanted.most {
            break;
        }
        // Damage ends what is read; the task that reads it tells of it.
        let elements = match count.of(part) {
            Err(error) if error.is_data() && count.builder.read_options().on_error == OnError::Fail => {
                u64::MAX
            }
            other => other?,
        };
        let end = begin.saturating_add(elements);
        let own = wanted.before(end) - taken;
        if own > 0 {
            let ends_here = taken + own >= wanted.most;
            let rows = Some(own).filter(|_| elements < u64::MAX && !count.varies);
            shares.push(Share {
                parts: vec![part.clone()],
                selection: wanted.select(taken, begin, ends_here.then_some(own)),
                rows_before: Some(taken),
                rows,
            });
        }
        begin = end;
    }
    Ok(shares)
}

/// A task for every `rows` elements of the selection; one at least.
fn by_rows(parts: &[PlannedPart], selection: Selection, rows: u64, count: &Count<'_>) -> Result<Vec<Share>> {
    let wanted = Progression::of(selection);
    // Where each part begins, and where the last one ends.
    let mut begins = vec![0u64];
    for part in parts {
        let begin = begins.last().copied().unwrap_or(0);
        // Beyond the last element nothing need be counted.
        let elements = if wanted.before(begin) >= wanted.most { 0 } else { count.of(part)? };
        begins.push(begin.saturating_add(elements));
    }
    let all = wanted.before(begins.last().copied().unwrap_or(0));
    let tasks = all.div_ceil(rows).max(1);
    if tasks > MAX_TASKS {
        return Err(Error::limit("too many tasks")
            .expected(format!("at most {MAX_TASKS}"), tasks.to_string())
            .with_hint(Phrase::new("raise {rows_per_file}")));
    }
    let mut shares = Vec::new();
    for task in 0..tasks {
        let first = task * rows;
        let own = rows.min(all - first);
        let (from, to) = (wanted.element(first), wanted.element(first + own.saturating_sub(1)));
        let at = |element: u64| begins.iter().skip(1).take_while(|end| **end <= element).count();
        let (from_part, to_part) = (at(from), at(to));
        let begin = begins.get(from_part).copied().unwrap_or(0);
        let range = if own == 0 { 0..0 } else { from_part..(to_part + 1).min(parts.len()) };
        shares.push(Share {
            parts: parts.get(range).unwrap_or_default().to_vec(),
            selection: wanted.select(first, begin, Some(own)),
            rows_before: Some(first),
            rows: Some(own),
        });
    }
    Ok(shares)
}

impl Share {
    /// What the task reads, as members of its JSON object; what most have is left out.
    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("inputs", self.parts.iter().map(PlannedPart::to_json).collect());
        let Selection { skip, shard, take } = self.selection;
        if skip > 0 {
            put("skip", json!(skip));
        }
        if let Some((index, count)) = shard {
            put("shard", json!([index, count]));
        }
        if let Some(take) = take {
            put("take", json!(take));
        }
        if let Some(rows) = self.rows_before.filter(|rows| *rows > 0) {
            put("rows_before", json!(rows));
        }
        if self.rows_before.is_none() {
            put("rows_before", Value::Null);
        }
        if let Some(rows) = self.rows {
            put("rows", json!(rows));
        }
        Value::Object(object)
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    pub(super) fn from_json(value: &Value) -> Result<Self> {
        let object = Object::of(value, "a task")?;
        let shard = match object.get("shard") {
            None => None,
            Some(pair) => match (pair.get(0).and_then(Value::as_u64), pair.get(1).and_then(Value::as_u64)) {
                (Some(index), Some(count)) if index < count => Some((index, count)),
                _ => return Err(invalid("a shard", pair)),
            },
        };
        let skip = object.number("skip").unwrap_or(0);
        Ok(Self {
            parts: object.list("inputs")?.iter().map(PlannedPart::from_json).collect::<Result<_>>()?,
            selection: Selection { skip, shard, take: object.number("take") },
            rows_before: object.get("rows_before").map_or(Some(0), Value::as_u64),
            rows: object.number("rows"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements that a selection takes of so many, by its definition.
    fn taken(selection: Selection, elements: u64) -> Vec<u64> {
        let after = (0..elements).skip(usize::try_from(selection.skip).unwrap());
        let (index, count) = selection.shard.unwrap_or((0, 1));
        let dealt = after.enumerate().filter(|(at, _)| *at as u64 % count == index).map(|(_, e)| e);
        dealt.take(selection.take.map_or(usize::MAX, |take| usize::try_from(take).unwrap())).collect()
    }

    fn parts(lengths: &[u64]) -> Vec<PlannedPart> {
        let part = |(at, length): (usize, &u64)| {
            let partition =
                crate::source::Partition::new(format!("{at}"), Vec::new()).with_rows(Some(*length));
            PlannedPart::of(&partition)
        };
        lengths.iter().enumerate().map(part).collect()
    }

    #[test]
    fn tasks_take_together_what_one_machine_takes() {
        let builder = ReaderBuilder::new([""; 0]);
        let learnt = Learnt::Whole { name: "x".into(), spec: None };
        let count = Count { builder: &builder, learnt: &learnt, folder: Path::new(""), varies: false };
        let lengths = [3, 0, 7, 1, 1, 10, 4];
        let parts = parts(&lengths);
        let all: u64 = lengths.iter().sum();
        let begins: Vec<u64> = (0..lengths.len()).map(|n| lengths[..n].iter().sum()).collect();
        for skip in [0, 1, 3, 9, 25, 40] {
            for shard in [None, Some((0, 1)), Some((0, 3)), Some((2, 3)), Some((7, 8))] {
                for take in [None, Some(0), Some(1), Some(5), Some(100)] {
                    let selection = Selection { skip, shard, take };
                    let expected = taken(selection, all);
                    let of = |share: &Share| -> Vec<u64> {
                        let Some(first) = share.parts.first() else { return Vec::new() };
                        let from: usize = first.partition.name.parse().unwrap();
                        let own: u64 = share.parts.iter().map(|part| part.elements.unwrap()).sum();
                        taken(share.selection, own).into_iter().map(|e| e + begins[from]).collect()
                    };
                    for part_rows in [None, Some(1), Some(4), Some(100)] {
                        let read = ReadOptions { selection, part_rows, ..ReadOptions::default() };
                        let shares = shares(&parts, &read, &count).unwrap();
                        let found: Vec<Vec<u64>> = shares.iter().map(of).collect();
                        assert_eq!(found.concat(), expected, "{selection:?} {part_rows:?}");
                        if let Some(rows) = part_rows {
                            let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
                            let expected: Vec<usize> =
                                expected.chunks(usize::try_from(rows).unwrap()).map(<[u64]>::len).collect();
                            assert!(sizes == expected || sizes == [0] && expected.is_empty(), "{sizes:?}");
                        }
                        let mut before = 0;
                        for (share, found) in shares.iter().zip(&found) {
                            assert!(share.rows_before.is_none_or(|rows| rows == before));
                            before += found.len() as u64;
                            assert_eq!(Share::from_json(&share.to_json()).unwrap(), *share);
                        }
                    }
                }
            }
        }
    }
}
