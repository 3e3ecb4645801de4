//! What a profile says of a column, and the same as JSON.

use serde_json::{Map, Number as JsonNumber, Value, json};

use super::classes::Classes;
use super::media::Media;
use super::random::index;

/// The quantiles that are given.
pub(super) const QUANTILES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Different values of a column of classes, at most.
pub(super) const CLASSES: u64 = 100;
/// Bars of a histogram, at most.
const BARS: usize = 24;
/// The share of values in one bar of a linear histogram, so that another scale is chosen.
const CROWDED: f64 = 0.8;

/// What a profile says of a column, or of what is nested in one.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ColumnProfile {
    /// Its name; `item` for what a list holds.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// What TensorFlow or TFDS call it, where that is known.
    pub feature: Option<String>,
    /// How many of it there are: rows, or items of the lists that hold it; nulls included.
    pub rows: u64,
    /// How many of these are null.
    pub missing: u64,
    /// Of numbers, or of the numbers in lists and tensors.
    pub numbers: Option<Numbers>,
    /// How many different values there are.
    pub distinct: Option<Distinct>,
    /// The most frequent values, the most frequent first.
    pub top: Vec<TopValue>,
    /// Whether `top` and its counts are exact; otherwise each count is what is certain of it.
    pub top_is_exact: bool,
    /// Lengths of lists, texts or bytes.
    pub lengths: Option<Lengths>,
    /// The shapes of tensors or images, the most frequent first.
    pub shapes: Vec<TopValue>,
    /// What its bytes are by their content: images, sound, video.
    pub media: Option<Media>,
    /// The names of its classes, in the order of their numbers: of a TFDS `ClassLabel`, 0 is the first.
    pub class_names: Option<Vec<String>>,
    /// The same, by number.
    pub(crate) classes: Option<Classes>,
    /// Whether its values are classes: of few different values, and called so.
    pub(crate) is_class: bool,
    /// What is nested in it.
    pub fields: Vec<ColumnProfile>,
    /// A choice of its numbers, or all, in order, with how often each occurs: for comparisons.
    pub(crate) values: Vec<(f64, u64)>,
}

/// What a profile says of numbers. Those that are not finite are counted, and otherwise left out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Numbers {
    /// Finite numbers.
    pub count: u64,
    /// Those that are zero.
    pub zeros: u64,
    /// NaN.
    pub nan: u64,
    /// Infinities of either sign.
    pub infinite: u64,
    /// The least and the greatest.
    pub range: Option<(Value, Value)>,
    /// Their mean.
    pub mean: Option<f64>,
    /// Their standard deviation, as that of a sample (divided by one less than there are).
    pub std: Option<f64>,
    /// Quantiles, between two numbers as NumPy and pandas give them.
    pub quantiles: Vec<(f64, f64)>,
    /// Their distribution.
    pub histogram: Option<Histogram>,
    /// How many of them the quantiles and the histogram are of: all, or a choice by chance.
    pub sampled: u64,
}

/// How many different values there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distinct {
    /// So many.
    pub count: u64,
    /// Whether that is exact; otherwise it is an estimate with a standard error of 1 %, or of 3 % in
    /// datasets of very many columns.
    pub exact: bool,
}

/// A value and how often it occurs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TopValue {
    /// The value: a number, a text (cut, if it is long), a truth value, the name of a class.
    pub value: Value,
    /// How often it occurs.
    pub count: u64,
    /// A hash of it, where the value is text or bytes: others may be shown alike.
    pub(crate) key: Option<u64>,
}

impl TopValue {
    /// Whether it is the same value as one of another dataset.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self.key, other.key) {
            (Some(key), Some(other)) => key == other,
            _ => self.value == other.value,
        }
    }
}

/// Lengths, and what they count.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lengths {
    /// `values`, `characters`, `bytes`, `frames`, `steps` …
    pub unit: &'static str,
    /// The lengths.
    pub numbers: Numbers,
    /// The lengths with how often each occurs, or a choice of them: for comparisons.
    pub(crate) values: Vec<(f64, u64)>,
}

/// How the bars of a histogram divide the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// Bars of one width.
    Linear,
    /// Bars of one ratio.
    Logarithmic,
    /// Bars of one width between the quantiles 0.01 and 0.99, and one on either side for the rest.
    Clipped,
}

impl Scale {
    /// The scale in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scale::Linear => "linear",
            Scale::Logarithmic => "logarithmic",
            Scale::Clipped => "clipped",
        }
    }
}

/// How many numbers are in each part of their range.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Histogram {
    /// Where bars begin and end: one more than there are bars. A bar holds its beginning; the last
    /// one its end, too.
    pub edges: Vec<f64>,
    /// Numbers in each bar; their sum is that of all finite numbers.
    pub counts: Vec<u64>,
    /// How the range is divided.
    pub scale: Scale,
    /// Whether the counts are exact; otherwise they are in proportion to those of a choice.
    pub exact: bool,
}

/// The quantile `q` of sorted numbers, `total` of them, between two as NumPy does it by default.
pub(crate) fn quantile(sorted: &[(f64, u64)], total: u64, q: f64) -> Option<f64> {
    let place = q * total.checked_sub(1)? as f64;
    let (low, part) = (place.floor(), place - place.floor());
    let mut before = 0.0;
    let mut lower = None;
    for (value, count) in sorted {
        before += *count as f64;
        if lower.is_none() && before > low {
            lower = Some(*value);
            if part == 0.0 {
                return lower;
            }
        }
        if let Some(lower) = lower
            && before > low + 1.0
        {
            return Some(lower + (value - lower) * part);
        }
    }
    lower.or_else(|| sorted.last().map(|(value, _)| *value))
}

impl Histogram {
    /// Of sorted numbers, which stand for `all`, of this range; `whole` numbers have bars of whole
    /// numbers.
    pub(super) fn of(sorted: &[(f64, u64)], all: u64, whole: bool, range: (f64, f64)) -> Option<Self> {
        let (least, greatest) = (sorted.first()?.0.min(range.0), sorted.last()?.0.max(range.1));
        let whole = whole || sorted.iter().all(|(value, _)| value.fract() == 0.0);
        let total: u64 = sorted.iter().map(|(_, count)| count).sum();
        let make = |edges: Vec<f64>, scale| Self::with(edges, scale, sorted, total, all);
        if least >= greatest {
            let half = if whole { 0.5 } else { (least.abs() / 2.0).max(0.5) };
            return Some(make(vec![least - half, least + half], Scale::Linear));
        }
        let spread = greatest - least;
        if !spread.is_finite() {
            return None;
        }
        if whole && spread < 2.0 * BARS as f64 {
            let edges = (0..=index(spread) + 1).map(|i| least - 0.5 + i as f64).collect();
            return Some(make(edges, Scale::Linear));
        }
        let bars = BARS.min(index((total as f64).sqrt()) + 3);
        let even = |from: f64, to: f64, bars: usize| -> Vec<f64> {
            let step = (to - from) / bars as f64;
            // Where numbers are so small that steps are rounded, they may lead too far.
            (0..=bars).map(|i| if i == bars { to } else { (from + step * i as f64).min(to) }).collect()
        };
        let linear = make(even(least, greatest, bars), Scale::Linear);
        let most = linear.counts.iter().copied().max().unwrap_or(0);
        if (most as f64) < CROWDED * all as f64 {
            return Some(linear);
        }
        if least > 0.0 && greatest / least > 100.0 {
            let (from, to) = (least.ln(), greatest.ln());
            let mut edges: Vec<f64> = even(from, to, bars).into_iter().map(f64::exp).collect();
            if let [first, .., last] = edges.as_mut_slice() {
                (*first, *last) = (least, greatest);
            }
            return Some(make(edges, Scale::Logarithmic));
        }
        let (low, high) = (quantile(sorted, total, 0.01)?, quantile(sorted, total, 0.99)?);
        if low < high {
            let mut edges = even(low, high, bars - 2);
            if least < low {
                edges.insert(0, least);
            }
            if greatest > high {
                edges.push(greatest);
            }
            return Some(make(edges, Scale::Clipped));
        }
        Some(linear)
    }

    fn with(edges: Vec<f64>, scale: Scale, sorted: &[(f64, u64)], total: u64, all: u64) -> Self {
        let bars = edges.len().saturating_sub(1).max(1);
        let mut counts = vec![0u64; bars];
        let mut bar = 0;
        for (value, count) in sorted {
            while bar + 1 < bars && edges.get(bar + 1).is_some_and(|end| value >= end) {
                bar += 1;
            }
            if let Some(counted) = counts.get_mut(bar) {
                *counted += count;
            }
        }
        let exact = total == all;
        if !exact && total > 0 {
            scale_to(&mut counts, total, all);
        }
        Self { edges, counts, scale, exact }
    }

    fn to_json(&self) -> Value {
        json!({
            "edges": self.edges,
            "counts": self.counts,
            "scale": self.scale.name(),
            "exact": self.exact,
        })
    }
}

/// Makes counts that sum to `total` sum to `all`, in proportion.
fn scale_to(counts: &mut [u64], total: u64, all: u64) {
    let (mut before, mut given) = (0u128, 0u128);
    for count in counts {
        before += u128::from(*count);
        let end = before * u128::from(all) / u128::from(total);
        *count = u64::try_from(end - given).unwrap_or(u64::MAX);
        given = end;
    }
}

/// A number as JSON; null if it is not finite.
pub(super) fn number(value: f64) -> Value {
    JsonNumber::from_f64(value).map_or(Value::Null, Value::Number)
}

/// A whole number as JSON: a text where no JSON number is as large.
pub(super) fn whole_number(value: i128) -> Value {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => json!(value),
        (_, Ok(value)) => json!(value),
        _ => json!(value.to_string()),
    }
}

fn tops(top: &[TopValue]) -> Value {
    top.iter().map(|t| json!({"value": t.value, "count": t.count})).collect()
}

impl Numbers {
    /// The members that speak of numbers, into `object`.
    fn put(&self, object: &mut Map<String, Value>) {
        let (least, greatest) = self.range.clone().unwrap_or_default();
        let optional = |value: Option<f64>| value.map_or(Value::Null, number);
        let quantiles: Map<String, Value> =
            self.quantiles.iter().map(|(q, value)| (q.to_string(), number(*value))).collect();
        let members = [
            ("count", json!(self.count)),
            ("zeros", json!(self.zeros)),
            ("nan", json!(self.nan)),
            ("infinite", json!(self.infinite)),
            ("min", least),
            ("max", greatest),
            ("mean", optional(self.mean)),
            ("std", optional(self.std)),
            ("quantiles", Value::Object(quantiles)),
            ("quantiles_of", json!(self.sampled)),
            ("histogram", self.histogram.as_ref().map_or(Value::Null, Histogram::to_json)),
        ];
        object.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
}

impl Lengths {
    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("unit".to_owned(), json!(self.unit));
        self.numbers.put(&mut object);
        Value::Object(object)
    }
}

impl ColumnProfile {
    /// The profile as a JSON object, of which docs/report.md explains every member.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
        put("name", json!(self.name));
        put("type", json!(self.data_type));
        put("feature", json!(self.feature));
        put("rows", json!(self.rows));
        put("missing", json!(self.missing));
        for name in ["count", "zeros", "nan", "infinite"] {
            put(name, Value::Null);
        }
        put("distinct", json!(self.distinct.map(|d| d.count)));
        put("distinct_exact", json!(self.distinct.map(|d| d.exact)));
        for name in ["min", "max", "mean", "std", "quantiles", "quantiles_of", "histogram"] {
            put(name, Value::Null);
        }
        put("lengths", self.lengths.as_ref().map_or(Value::Null, Lengths::to_json));
        put("top", tops(&self.top));
        put("top_exact", json!(self.top_is_exact));
        put("shapes", tops(&self.shapes));
        put("class_names", json!(self.class_names));
        put("media", self.media.as_ref().map_or(Value::Null, Media::to_json));
        put("fields", self.fields.iter().map(Self::to_json).collect());
        if let Some(numbers) = &self.numbers {
            numbers.put(&mut object);
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([1, 2, 2, 10], [0.1, 0.25, 0.5, 0.75, 0.99])
        let sorted = [(1.0, 1), (2.0, 2), (10.0, 1)];
        for (q, value) in [(0.1, 1.3), (0.25, 1.75), (0.5, 2.0), (0.75, 4.0), (0.99, 9.76)] {
            assert!((quantile(&sorted, 4, q).unwrap() - value).abs() < 1e-12, "{q}");
        }
        assert_eq!(quantile(&[(3.0, 1)], 1, 0.5), Some(3.0));
        assert_eq!(quantile(&[], 0, 0.5), None);
    }

    #[test]
    fn histograms_take_the_scale_that_the_data_asks_for() {
        let few: Vec<(f64, u64)> = (0..10).map(|i| (f64::from(i), 5)).collect();
        let histogram = Histogram::of(&few, 50, true, (0.0, 9.0)).unwrap();
        assert_eq!((histogram.counts, histogram.scale), (vec![5; 10], Scale::Linear));
        let powers: Vec<(f64, u64)> = (0..40).map(|i| (1.5f64.powi(i), 1)).collect();
        let histogram = Histogram::of(&powers, 40, false, (1.0, 1.0)).unwrap();
        assert_eq!((histogram.scale, histogram.counts.iter().sum::<u64>()), (Scale::Logarithmic, 40));
        let mut far: Vec<(f64, u64)> = (0..1000).map(|i| (f64::from(i) - 500.0, 1)).collect();
        far.push((1e9, 1));
        let histogram = Histogram::of(&far, 1001, false, (0.0, 0.0)).unwrap();
        assert_eq!((histogram.scale, histogram.counts.iter().sum::<u64>()), (Scale::Clipped, 1001));
        // Of a choice, counts are scaled, and their sum is right.
        let histogram = Histogram::of(&few, 777, true, (0.0, 9.0)).unwrap();
        assert_eq!((histogram.counts.iter().sum::<u64>(), histogram.exact), (777, false));
        let one = Histogram::of(&[(7.0, 3)], 3, true, (7.0, 7.0)).unwrap();
        assert_eq!((one.edges, one.counts), (vec![6.5, 7.5], vec![3]));
        assert_eq!(Histogram::of(&[(-f64::MAX, 1), (f64::MAX, 1)], 2, false, (0.0, 0.0)), None);
        // The smallest numbers there are.
        let smallest: Vec<(f64, u64)> = (0..7).map(|i| (f64::from_bits(i), 5)).collect();
        let histogram = Histogram::of(&smallest, 35, false, (0.0, f64::from_bits(6))).unwrap();
        assert!(histogram.edges.is_sorted(), "{:?}", histogram.edges);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 35);
    }
}
