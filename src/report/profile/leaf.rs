//! What is seen of numbers, truth values, text and bytes.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};

use super::classes::Classes;
use super::column::Limits;
use super::counter::{Counter, Frequent};
use super::media::{self, Found, Media};
use super::numbers::{Accumulated, ByteCounts, Moments, Number, moments_of};
use super::random::{hash, mix};
use super::summary::{
    CLASSES, ColumnProfile, Distinct, Histogram, Lengths, Numbers, QUANTILES, TopValue, number, quantile,
    whole_number,
};

/// Frequent values that are kept; where there are few, all of them.
const TOP: usize = 20;
const LISTED: usize = 100;

/// Values without nulls, of one type.
pub(super) trait Leaf: Send {
    fn add(&mut self, array: &ArrayRef);

    fn finish(self: Box<Self>, profile: &mut ColumnProfile, names: Option<&Classes>, data_type: &DataType);
}

/// What sees numbers of this type: those that occur up to `distinct` are counted one by one.
pub(super) fn number_leaf(data_type: &DataType, distinct: usize, sample: usize) -> Option<Box<dyn Leaf>> {
    fn primitive<T: ArrowPrimitiveType<Native: Number>>(distinct: usize, sample: usize) -> Box<dyn Leaf> {
        Box::new(PrimitiveLeaf::<T>(Accumulated::new(distinct, sample)))
    }
    Some(match data_type {
        DataType::Boolean => Box::new(BoolLeaf([0, 0])),
        DataType::Int8 | DataType::UInt8 => Box::new(ByteLeaf(ByteCounts::new())),
        DataType::Int16 => primitive::<Int16Type>(distinct, sample),
        DataType::UInt16 => primitive::<UInt16Type>(distinct, sample),
        DataType::Int32 => primitive::<Int32Type>(distinct, sample),
        DataType::UInt32 => primitive::<UInt32Type>(distinct, sample),
        DataType::Int64 => primitive::<Int64Type>(distinct, sample),
        DataType::UInt64 => primitive::<UInt64Type>(distinct, sample),
        DataType::Float16 => primitive::<Float16Type>(distinct, sample),
        DataType::Float32 => primitive::<Float32Type>(distinct, sample),
        DataType::Float64 => primitive::<Float64Type>(distinct, sample),
        _ => return None,
    })
}

/// A number as JSON.
pub(super) fn plain<T: Number>(value: T) -> Value {
    value.whole().map_or_else(|| number(value.as_f64()), whole_number)
}

/// Numbers of a date or a time as its text, others as they are.
fn shown<T: Number>(value: T, data_type: &DataType) -> Value {
    if !data_type.is_temporal() {
        return plain(value);
    }
    let text = || -> Option<String> {
        let whole = Int64Array::from(vec![i64::try_from(value.whole()?).ok()?]);
        let narrow = match data_type {
            DataType::Date32 | DataType::Time32(_) => cast(&whole, &DataType::Int32).ok()?,
            _ => std::sync::Arc::new(whole),
        };
        let time = cast(&narrow, data_type).ok()?;
        let formatter = ArrayFormatter::try_new(time.as_ref(), &FormatOptions::default()).ok()?;
        formatter.value(0).try_to_string().ok()
    };
    text().map_or_else(|| plain(value), Value::from)
}

/// What is said of numbers with these moments, of which `sorted` is all, or a choice.
pub(super) fn numbers<T: Number>(
    moments: &Moments<T>,
    sorted: &[(f64, u64)],
    whole: bool,
    show: &dyn Fn(T) -> Value,
) -> Numbers {
    let sampled: u64 = sorted.iter().map(|(_, count)| count).sum();
    let quantiles = QUANTILES.iter().filter_map(|q| Some((*q, quantile(sorted, sampled, *q)?))).collect();
    let ends = moments.range.map(|(least, greatest)| (least.as_f64(), greatest.as_f64()));
    let is_whole = moments.range.is_some_and(|(least, _)| least.whole().is_some());
    let histogram = ends.and_then(|ends| Histogram::of(sorted, moments.count, is_whole, ends));
    Numbers {
        count: moments.count,
        zeros: moments.zeros,
        nan: moments.nan,
        infinite: moments.infinite,
        range: moments.range.map(|(least, greatest)| (show(least), show(greatest))),
        mean: (moments.count > 0).then_some(moments.mean).filter(|mean| mean.is_finite()),
        std: moments.deviation().filter(|std| std.is_finite()),
        quantiles,
        histogram,
        sampled: if whole { moments.count } else { sampled },
    }
}

/// A class by its name, where it has one.
fn class<T: Number>(value: T, names: Option<&Classes>) -> Option<Value> {
    names?.name(i64::try_from(value.whole()?).ok()?).map(Value::from)
}

/// Puts what is known of numbers into `profile`.
fn put<T: Number>(
    profile: &mut ColumnProfile,
    moments: &Moments<T>,
    counter: Option<&Counter<T>>,
    (values, whole): (Vec<(f64, u64)>, bool),
    names: Option<&Classes>,
    data_type: &DataType,
) {
    profile.numbers = Some(numbers(moments, &values, whole, &|value| shown(value, data_type)));
    let show = |value: T| class(value, names).unwrap_or_else(|| shown(value, data_type));
    if let Some(counter) = counter {
        let (count, exact) = counter.distinct();
        profile.distinct = Some(Distinct { count, exact });
        let most = if names.is_some() || count <= CLASSES { LISTED } else { TOP };
        let (top, exact) = counter.top(most);
        let top = top.into_iter();
        profile.top =
            top.map(|top| TopValue { value: show(top.value), count: top.count, key: None }).collect();
        profile.top_is_exact = exact;
    } else if whole {
        // Every one of them was kept: they can be counted.
        let mut often: Vec<&(f64, u64)> = values.iter().collect();
        often.dedup_by(|a, b| a.0 == b.0);
        profile.distinct = Some(Distinct { count: often.len() as u64, exact: true });
    }
    profile.values = values;
}

struct PrimitiveLeaf<T: ArrowPrimitiveType<Native: Number>>(Accumulated<T::Native>);

impl<T: ArrowPrimitiveType<Native: Number>> Leaf for PrimitiveLeaf<T> {
    fn add(&mut self, array: &ArrayRef) {
        if let Some(array) = array.as_primitive_opt::<T>() {
            self.0.add(array.values());
        }
    }

    fn finish(self: Box<Self>, profile: &mut ColumnProfile, names: Option<&Classes>, data_type: &DataType) {
        let sorted = self.0.sorted();
        put(profile, &self.0.moments, self.0.counter.as_ref(), sorted, names, data_type);
    }
}

/// Numbers of one byte.
struct ByteLeaf(ByteCounts);

impl Leaf for ByteLeaf {
    fn add(&mut self, array: &ArrayRef) {
        if let Some(array) = array.as_primitive_opt::<UInt8Type>() {
            self.0.add(array.values());
        } else if let Some(array) = array.as_primitive_opt::<Int8Type>() {
            self.0.add(array.values().inner().as_slice());
        }
    }

    fn finish(self: Box<Self>, profile: &mut ColumnProfile, names: Option<&Classes>, data_type: &DataType) {
        if *data_type == DataType::Int8 {
            put_counts(profile, self.0.counts(u8::cast_signed), names, data_type);
        } else {
            put_counts(profile, self.0.counts(|byte| byte), names, data_type);
        }
    }
}

/// Puts numbers of which every one was counted into `profile`.
fn put_counts<T: Number>(
    profile: &mut ColumnProfile,
    mut counts: Vec<(T, u64)>,
    names: Option<&Classes>,
    data_type: &DataType,
) {
    counts.sort_by(|a, b| a.0.as_f64().total_cmp(&b.0.as_f64()));
    let mut counter = Counter::new(256);
    counts.iter().for_each(|(value, count)| counter.add(mix(value.key()), *count, || *value));
    let values = counts.iter().map(|(value, count)| (value.as_f64(), *count)).collect();
    put(profile, &moments_of(&counts), Some(&counter), (values, true), names, data_type);
}

/// How often false and true occur.
struct BoolLeaf([u64; 2]);

impl Leaf for BoolLeaf {
    fn add(&mut self, array: &ArrayRef) {
        if let Some(array) = array.as_boolean_opt() {
            let yes = array.values().count_set_bits() as u64;
            let [no_before, yes_before] = self.0;
            self.0 = [no_before + array.len() as u64 - yes, yes_before + yes];
        }
    }

    fn finish(self: Box<Self>, profile: &mut ColumnProfile, _: Option<&Classes>, data_type: &DataType) {
        let counts = [0u8, 1].into_iter().zip(self.0).filter(|(_, count)| *count > 0).collect();
        put_counts(profile, counts, None, data_type);
        for top in &mut profile.top {
            top.value = json!(top.value == json!(1));
        }
    }
}

/// Text and bytes.
pub(super) struct BytesLeaf {
    is_text: bool,
    /// Whether bytes could be text, all of them.
    may_be_text: bool,
    lengths: Accumulated<u64>,
    values: Counter<Box<[u8]>>,
    formats: Counter<Box<str>>,
    shapes: Counter<Box<str>>,
    seconds: Accumulated<f64>,
    kinds: [u64; 3],
    count: u64,
    /// Values of which not every byte was looked at.
    skimmed: bool,
}

/// Bytes of a value that are kept to show it.
const LABEL: usize = 120;
/// Values of more bytes are told apart by some of them: the first, the last, some between.
const SKIMMED: usize = 4096;
const ENDS: usize = 512;

impl BytesLeaf {
    pub(super) fn new(data_type: &DataType, limits: Limits) -> Self {
        let is_text = matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        Self {
            is_text,
            may_be_text: true,
            lengths: Accumulated::new(limits.distinct, limits.sample),
            values: Counter::new(limits.distinct),
            formats: Counter::new(64),
            shapes: Counter::new(limits.distinct),
            seconds: Accumulated::new(limits.distinct, limits.sample),
            kinds: [0; 3],
            count: 0,
            skimmed: false,
        }
    }

    pub(super) fn add(&mut self, array: &ArrayRef) {
        let mut lengths = Vec::with_capacity(array.len());
        match array.data_type() {
            DataType::Utf8 => {
                array.as_string::<i32>().iter().flatten().for_each(|v| self.text(v, &mut lengths))
            }
            DataType::LargeUtf8 => {
                array.as_string::<i64>().iter().flatten().for_each(|v| self.text(v, &mut lengths));
            }
            DataType::Utf8View => {
                array.as_string_view().iter().flatten().for_each(|v| self.text(v, &mut lengths));
            }
            DataType::Binary => {
                array.as_binary::<i32>().iter().flatten().for_each(|v| self.bytes(v, &mut lengths))
            }
            DataType::LargeBinary => {
                array.as_binary::<i64>().iter().flatten().for_each(|v| self.bytes(v, &mut lengths));
            }
            DataType::BinaryView => {
                array.as_binary_view().iter().flatten().for_each(|v| self.bytes(v, &mut lengths));
            }
            DataType::FixedSizeBinary(_) => {
                array.as_fixed_size_binary().iter().flatten().for_each(|v| self.bytes(v, &mut lengths));
            }
            _ => {}
        }
        self.count += lengths.len() as u64;
        self.lengths.add(&lengths);
    }

    fn text(&mut self, value: &str, lengths: &mut Vec<u64>) {
        lengths.push(characters(value.as_bytes()));
        self.value(value.as_bytes());
    }

    fn bytes(&mut self, value: &[u8], lengths: &mut Vec<u64>) {
        lengths.push(value.len() as u64);
        let found = media::find(value);
        let mut format = |name: &'static str| self.formats.add(hash(name.as_bytes()), 1, || name.into());
        match found {
            Some(Found::Image { format: name, width, height, .. }) => {
                format(name);
                let key = mix(u64::from(width) << 32 | u64::from(height));
                self.shapes.add(key, 1, || format!("{height} × {width}").into());
            }
            Some(Found::Sound { format: name, seconds }) => {
                format(name);
                self.seconds.add(seconds.as_slice());
            }
            Some(Found::Video { format: name }) => format(name),
            None => {
                if self.may_be_text {
                    self.may_be_text = !value.contains(&0) && simdutf8::basic::from_utf8(value).is_ok();
                }
            }
        }
        let kind = found.map(|found| match found {
            Found::Image { .. } => 0,
            Found::Sound { .. } => 1,
            Found::Video { .. } => 2,
        });
        if let Some(count) = kind.and_then(|kind| self.kinds.get_mut(kind)) {
            *count += 1;
            self.may_be_text = false;
        }
        self.value(value);
    }

    fn value(&mut self, value: &[u8]) {
        let key = if value.len() <= SKIMMED {
            hash(value)
        } else {
            self.skimmed = true;
            skim(value)
        };
        self.values.add(key, 1, || value.get(..LABEL).unwrap_or(value).into());
    }

    pub(super) fn finish(self, profile: &mut ColumnProfile) {
        let unit = if self.is_text { "characters" } else { "bytes" };
        let (values, whole) = self.lengths.sorted();
        let lengths = numbers(&self.lengths.moments, &values, whole, &plain);
        profile.lengths = Some(Lengths { unit, numbers: lengths, values });
        let (count, exact) = self.values.distinct();
        profile.distinct = Some(Distinct { count, exact: exact && !self.skimmed });
        profile.shapes = super::column::texts(&self.shapes, TOP);
        let kinds = ["image", "sound", "video"].into_iter().zip(self.kinds);
        let (kind, most) = kinds.max_by_key(|(_, count)| *count).unwrap_or(("image", 0));
        // A value or two that happen to begin as images do make no images of a column.
        if most > 0 && most * 2 > self.count {
            let (seconds, whole) = self.seconds.sorted();
            let seconds = (!seconds.is_empty()).then(|| Lengths {
                unit: "seconds",
                numbers: numbers(&self.seconds.moments, &seconds, whole, &plain),
                values: seconds,
            });
            let formats = super::column::texts(&self.formats, TOP);
            profile.media = Some(Media { kind, formats, other: self.count - most, seconds });
            return;
        }
        profile.shapes.clear();
        let most = if count <= CLASSES { LISTED } else { TOP };
        let (top, exact) = self.values.top(most);
        let is_text = self.is_text || self.may_be_text;
        let show = |top: Frequent<Box<[u8]>>| TopValue {
            value: Value::from(label(&top.value, is_text)),
            count: top.count,
            key: Some(top.key),
        };
        profile.top = top.into_iter().map(show).collect();
        profile.top_is_exact = exact;
    }
}

/// The beginning of a value as text, or as hexadecimal digits.
fn label(value: &[u8], is_text: bool) -> String {
    let cut = value.len() == LABEL;
    let mut text = if is_text {
        let text = String::from_utf8_lossy(value);
        // The last character may have been cut.
        if cut { text.trim_end_matches('\u{fffd}').to_owned() } else { text.into_owned() }
    } else {
        value.iter().take(LABEL / 8).map(|byte| format!("{byte:02x}")).collect()
    };
    if cut || (!is_text && value.len() > LABEL / 8) {
        text.push('…');
    }
    text
}

/// The number of characters of UTF-8 text.
fn characters(text: &[u8]) -> u64 {
    /// So many that a byte holds their number.
    const RUN: usize = 192;
    let begins = |byte: &u8| u8::from(byte.cast_signed() >= -0x40);
    text.chunks(RUN).map(|run| u64::from(run.iter().map(begins).sum::<u8>())).sum()
}

/// A hash of some of the bytes of a long value.
fn skim(value: &[u8]) -> u64 {
    let ends = [value.get(..ENDS), value.get(value.len().saturating_sub(ENDS)..)];
    let mut key = mix(value.len() as u64);
    for end in ends.into_iter().flatten() {
        key = mix(key ^ hash(end));
    }
    for part in value.chunks(value.len() / 64 + 1) {
        key = mix(key ^ hash(part.get(..8).unwrap_or(part)));
    }
    key
}

/// Counts the shapes in the shape column of a variable-shape tensor.
pub(super) fn add_shapes(shapes: &ArrayRef, counter: &mut Counter<Box<str>>) {
    let Some(list) = shapes.as_fixed_size_list_opt() else { return };
    for row in 0..list.len() {
        let dims = list.value(row);
        let Some(dims) = dims.as_primitive_opt::<arrow::datatypes::Int32Type>() else { return };
        let mut key = 0;
        for dim in dims.values() {
            key = mix(key ^ u64::from(dim.cast_unsigned()));
        }
        counter.add(key, 1, || {
            let dims: Vec<String> = dims.values().iter().map(ToString::to_string).collect();
            dims.join(" × ").into()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted() {
        for text in ["", "abc", "東京👩\u{200d}🚀é", &"ß".repeat(1000)] {
            assert_eq!(characters(text.as_bytes()), text.chars().count() as u64, "{text}");
        }
    }

    #[test]
    fn long_values_are_told_apart_by_some_of_their_bytes() {
        let value = vec![7; 1 << 20];
        assert_eq!(skim(&value), skim(&value.clone()));
        for at in [0, 511, (1 << 20) - 1] {
            let mut other = value.clone();
            other[at] = 8;
            assert_ne!(skim(&value), skim(&other), "{at}");
        }
        assert_ne!(skim(&value), skim(&value[1..]));
    }
}
