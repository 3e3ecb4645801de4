//! Splits as TFDS writes them: `train`, `train[:10%]`, `train[5:20]`, `train[2shard]`,
//! `train+test`, `all`.

use super::info::SplitInfo;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Phrase;

/// Examples of one split, counted over its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    /// The split's position in the dataset's list.
    pub(crate) split: usize,
    /// The first example.
    pub(crate) from: u64,
    /// The example after the last; `None` if the split does not say how many it has.
    pub(crate) to: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    Examples,
    Percent,
    Shards,
}

/// The slices that `text` names, in order.
///
/// # Errors
/// The text is no split, or names one that the dataset does not have.
pub(crate) fn parse(text: &str, splits: &[SplitInfo]) -> Result<Vec<Slice>> {
    let mut out = Vec::new();
    for part in text.split('+').map(str::trim) {
        // A split of that very name comes before a slice.
        if part == "all" && !splits.iter().any(|split| split.name == part) {
            out.extend((0..splits.len()).map(|split| whole(split, splits)));
            continue;
        }
        let (name, selector) = match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
            Some((name, selector)) => (name, Some(selector)),
            None => (part, None),
        };
        let split = splits.iter().position(|split| split.name == name);
        let split = split.ok_or_else(|| unknown(name, splits))?;
        out.push(match selector {
            None => whole(split, splits),
            Some(selector) => slice(part, split, selector, splits)?,
        });
    }
    Ok(out)
}

fn whole(split: usize, splits: &[SplitInfo]) -> Slice {
    Slice { split, from: 0, to: splits.get(split).and_then(SplitInfo::examples) }
}

/// The splits there are, for messages.
pub(crate) fn listed(splits: &[SplitInfo]) -> String {
    let describe = |split: &SplitInfo| match split.examples() {
        Some(examples) => format!("{} ({examples} examples)", split.name),
        None => split.name.clone(),
    };
    splits.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn unknown(name: &str, splits: &[SplitInfo]) -> Error {
    Error::new(ErrorKind::Config, format!("no split `{name}`"))
        .with_hint(format!("there are: {}", listed(splits)))
}

fn slice(text: &str, split: usize, selector: &str, splits: &[SplitInfo]) -> Result<Slice> {
    let bad = |expected: &str| {
        Error::config("invalid split")
            .expected(expected, format!("`{text}`"))
            .with_hint("write a split like train, train[:10%], train[5:20], train[2shard] or train+test")
    };
    let known = splits.get(split).and_then(|info| Some((info.lengths.as_ref()?, info.examples()?)));
    let (lengths, total) = known.ok_or_else(|| {
        Error::unsupported("part of a split that does not say how many examples it has")
            .with_hint(Phrase::new("read the whole split and use {skip} and {take}"))
    })?;
    let bound = |text: &str| -> Result<Option<(f64, Unit)>> {
        let (number, unit) = match (text.strip_suffix('%'), text.strip_suffix("shard")) {
            (Some(number), _) => (number, Unit::Percent),
            (_, Some(number)) => (number, Unit::Shards),
            _ => (text, Unit::Examples),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let number = number.replace('_', "");
        let value: f64 = number.parse().map_err(|_| bad("numbers between [ and ]"))?;
        if !value.is_finite() || (unit != Unit::Percent && value.fract() != 0.0) {
            return Err(bad("numbers between [ and ]"));
        }
        Ok(Some((value, unit)))
    };
    let (from, to) = match selector.split_once(':') {
        Some((from, to)) => (bound(from)?, bound(to)?),
        None => match bound(selector)? {
            Some((from, Unit::Shards)) => (Some((from, Unit::Shards)), Some((from + 1.0, Unit::Shards))),
            _ => return Err(bad("a slice with a colon")),
        },
    };
    // The unit may stand at one bound only.
    let unit = [from, to].into_iter().flatten().map(|(_, unit)| unit).find(|unit| *unit != Unit::Examples);
    let unit = match (from, to) {
        (None, None) => return Err(bad("at least one bound")),
        _ => unit.unwrap_or(Unit::Examples),
    };
    let (from, to) = (from.map(|(value, _)| value), to.map(|(value, _)| value));
    let examples = i64::try_from(total).unwrap_or(i64::MAX);
    let (from, to) = match unit {
        Unit::Examples => (from.map_or(0, whole_number), to.map_or(examples, whole_number)),
        Unit::Percent => {
            if from.into_iter().chain(to).any(|percent| percent.abs() > 100.0) {
                return Err(bad("percentages from -100 to 100"));
            }
            (from.map_or(0, |p| percent_of(p, total)), to.map_or(examples, |p| percent_of(p, total)))
        }
        Unit::Shards => {
            let upto = |shard: i64| {
                let count = i64::try_from(lengths.len()).unwrap_or(i64::MAX);
                let shards = if shard < 0 { shard.saturating_add(count).max(0) } else { shard.min(count) };
                let shards = usize::try_from(shards).unwrap_or(usize::MAX);
                let sum: u64 = lengths.iter().take(shards).sum();
                i64::try_from(sum).unwrap_or(i64::MAX)
            };
            let from = from.map_or(0, |shard| upto(whole_number(shard)));
            let to = to.map_or(examples, |shard| match whole_number(shard) {
                0 => examples,
                shard => upto(shard),
            });
            (from, to)
        }
    };
    if from.unsigned_abs() > total || to.unsigned_abs() > total {
        return Err(Error::config(format!("`{text}` reaches past the split")).expected(
            format!("at most {total} examples"),
            from.unsigned_abs().max(to.unsigned_abs()).to_string(),
        ));
    }
    let absolute = |bound: i64| if bound < 0 { bound + examples } else { bound };
    let (from, to) = (absolute(from).unsigned_abs(), absolute(to).unsigned_abs());
    Ok(Slice { split, from, to: Some(to.max(from)) })
}

/// The integer that a finite number without a fraction is; the outermost one if it is too large.
#[allow(clippy::cast_possible_truncation)] // saturates
fn whole_number(value: f64) -> i64 {
    value as i64
}

/// `percent` of `total`, rounded as Python rounds: halves to the even neighbour.
#[allow(clippy::cast_precision_loss)] // as TFDS computes it
fn percent_of(percent: f64, total: u64) -> i64 {
    whole_number((percent * total as f64 / 100.0).round_ties_even())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn splits() -> Vec<SplitInfo> {
        let info = json!({"name": "x", "splits": [
            {"name": "train", "shardLengths": ["10", "5", "10"]},
            {"name": "test", "shardLengths": ["3"]},
            {"name": "old", "numShards": "2"},
        ]});
        super::super::info::DatasetInfo::from_json(&info).unwrap().splits
    }

    #[test]
    fn slices_are_those_of_tfds() {
        // What tfds.core.splits._make_file_instructions gives for these.
        for (text, expected) in [
            ("train", vec![(0, 0, 25)]),
            ("train[:10%]", vec![(0, 0, 2)]),
            ("train[10%:30%]", vec![(0, 2, 8)]),
            ("train[-10%:]", vec![(0, 23, 25)]),
            ("train[50%:]", vec![(0, 12, 25)]),
            ("train[5:20]", vec![(0, 5, 20)]),
            ("train[-5:]", vec![(0, 20, 25)]),
            ("train[1_0:]", vec![(0, 10, 25)]),
            ("train[1shard]", vec![(0, 10, 15)]),
            ("train[-1shard]", vec![(0, 15, 25)]),
            ("train[:-1shard]", vec![(0, 0, 15)]),
            ("train[1shard:]", vec![(0, 10, 25)]),
            ("train[20:5]", vec![(0, 20, 20)]),
            ("test[:33.4%]+train[:5]", vec![(1, 0, 1), (0, 0, 5)]),
        ] {
            let found = parse(text, &splits()).unwrap();
            let found: Vec<_> = found.iter().map(|s| (s.split, s.from, s.to.unwrap())).collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(parse("all", &splits()).unwrap().len(), 3);
    }

    #[test]
    fn what_is_no_split_is_answered() {
        for (text, part) in [
            ("trian", "there are: train (25 examples), test (3 examples), old"),
            ("train[", "no split `train[`"),
            ("train[5]", "a slice with a colon"),
            ("train[:]", "at least one bound"),
            ("train[a:]", "numbers between"),
            ("train[1.5:]", "numbers between"),
            ("train[:26]", "at most 25 examples, found 26"),
            ("train[-3:-18446744073709551615]", "found 9223372036854775808"),
            ("train[:101%]", "percentages from -100 to 100"),
            ("old[:5]", "does not say how many"),
            ("train[nan:]", "numbers between"),
        ] {
            let error = parse(text, &splits()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
