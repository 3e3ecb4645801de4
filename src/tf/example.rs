//! `tf.train.Example` and `SequenceExample`, visited in place: keys and values are slices of the
//! record.
//!
//! The messages are defined by `tensorflow/core/example/{example,feature}.proto`. The rules are
//! protobuf's: fields in any order, unknown fields skipped, packed and unpacked lists, a repeated
//! message field merged. A map key that occurs twice is visited twice; the last one counts.
//!
//! Many messages of other kinds can be read by these rules, as messages of unknown fields: what is
//! an Example, and what is not, stands in [`check`].

mod check;

use std::borrow::Cow;

pub(crate) use self::check::{
    Checked, check, check_name, fields, not_an_example, other_fields, unsound_example,
};

use crate::wire::proto::{self, Cursor, FIXED32, Fault, LEN, VARINT, WireError};
use crate::wire::varints;

/// Which list of a `Feature` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// No list: the feature is there, but says nothing.
    None,
    /// `bytes_list`.
    Bytes,
    /// `float_list`.
    Float,
    /// `int64_list`.
    Int64,
}

impl Kind {
    /// The kinds that have values.
    pub(crate) const OF_VALUES: [Kind; 3] = [Kind::Bytes, Kind::Float, Kind::Int64];

    /// The dtype's name in TensorFlow's terms.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::None => "no value",
            Kind::Bytes => "bytes",
            Kind::Float => "float",
            Kind::Int64 => "int64",
        }
    }
}

/// One feature of a record: its kind and the serialized list of that kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feature<'a> {
    pub(crate) kind: Kind,
    /// A serialized `BytesList`, `FloatList` or `Int64List`.
    pub(crate) list: &'a [u8],
}

/// What a visitor's run ended with.
#[derive(Debug)]
pub(crate) enum VisitError<E> {
    /// The record is not a sound message.
    Wire(WireError),
    /// The visitor refused a feature.
    Visitor(E),
}

/// Takes the features of a record, in the order in which they stand there.
pub(crate) trait FeatureVisitor {
    /// What the visitor can fail with.
    type Error;

    /// One feature. `key` is what stands in the record, which should be UTF-8.
    fn feature(&mut self, key: &[u8], feature: Feature<'_>) -> Result<(), Self::Error>;

    /// Takes the first of `entries`, which are what is left of the serialized features, as far as it
    /// knows beforehand what they are; returns how many bytes it took. Only for entries in the form
    /// in which writers write them; see [`PlainEntry`].
    ///
    /// # Errors
    /// As [`feature`](Self::feature).
    #[inline]
    fn take_expected(&mut self, _entries: &[u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }

    /// What stands in field 2: the serialized `FeatureLists` of a `SequenceExample`, or an unknown
    /// field of an `Example`. Returns which it was.
    fn feature_lists(&mut self, lists: &[u8]) -> Result<bool, VisitError<Self::Error>>;

    /// The record that was visited has bytes, but neither features nor feature lists.
    fn no_features(&mut self, record: &[u8]) -> Result<(), Self::Error>;
}

/// Visits every feature of a serialized `tf.train.Example`, or of the context of a
/// `SequenceExample`, whose feature lists are given as a whole.
///
/// # Errors
/// The bytes break a rule of protobuf's encoding, or the visitor fails.
pub(crate) fn visit_example<V: FeatureVisitor>(
    record: &[u8],
    visitor: &mut V,
) -> Result<(), VisitError<V::Error>> {
    let mut cursor = Cursor::new(record);
    let mut is_example = record.is_empty();
    while !cursor.is_empty() {
        let (field, wire_type) = cursor.tag().map_err(VisitError::Wire)?;
        if field == 1 && wire_type == LEN {
            let features = cursor.bytes().map_err(VisitError::Wire)?;
            let base = cursor.position() - features.len();
            visit_features(features, base, visitor)?;
            is_example |= has_entries(features);
        } else if field == 2 && wire_type == LEN {
            let lists = cursor.bytes().map_err(VisitError::Wire)?;
            let base = cursor.position() - lists.len();
            is_example |= visitor.feature_lists(lists).map_err(|e| match e {
                VisitError::Wire(e) => VisitError::Wire(e.rebase(base)),
                other => other,
            })?;
        } else {
            cursor.skip(field, wire_type).map_err(VisitError::Wire)?;
        }
    }
    if is_example { Ok(()) } else { visitor.no_features(record).map_err(VisitError::Visitor) }
}

/// The tag of an entry of `Features` or `FeatureLists`.
const ENTRY: u8 = 1 << 3 | 2;

/// Whether serialized `Features` or `FeatureLists` hold an entry, or nothing at all: what holds other
/// fields alone is of another kind.
#[inline]
pub(crate) fn has_entries(map: &[u8]) -> bool {
    map.first().is_none_or(|tag| *tag == ENTRY) || has_later_entry(map)
}

/// As [`has_entries`], of what begins with an unknown field, as no writer makes it.
#[cold]
fn has_later_entry(map: &[u8]) -> bool {
    let mut cursor = Cursor::new(map);
    while let Ok((field, wire_type)) = cursor.tag() {
        if field == 1 && wire_type == LEN {
            return true;
        }
        if cursor.skip(field, wire_type).is_err() {
            break;
        }
    }
    false
}

/// Visits every feature of a serialized `Features` that begins at byte `base` of its record.
pub(crate) fn visit_features<V: FeatureVisitor>(
    features: &[u8],
    base: usize,
    visitor: &mut V,
) -> Result<(), VisitError<V::Error>> {
    let mut cursor = Cursor::new(features);
    loop {
        let taken = visitor.take_expected(cursor.rest()).map_err(VisitError::Visitor)?;
        cursor.take(taken).map_err(|e| VisitError::Wire(e.rebase(base)))?;
        if cursor.is_empty() {
            return Ok(());
        }
        let (field, wire_type) = cursor.tag().map_err(|e| VisitError::Wire(e.rebase(base)))?;
        if field != 1 || wire_type != LEN {
            cursor.skip(field, wire_type).map_err(|e| VisitError::Wire(e.rebase(base)))?;
            continue;
        }
        let entry = cursor.bytes().map_err(|e| VisitError::Wire(e.rebase(base)))?;
        let base = base + (cursor.position() - entry.len());
        let (key, value) = map_entry(entry).map_err(|e| VisitError::Wire(e.rebase(base)))?;
        // The value ends where the entry ends, but for messages written in unusual order.
        let base = base + (entry.len() - value.len().min(entry.len()));
        let value = feature(&value).map_err(|e| VisitError::Wire(e.rebase(base)))?;
        visitor.feature(key, Feature { kind: value.0, list: &value.1 }).map_err(VisitError::Visitor)?;
    }
}

/// Visits every entry of a serialized `FeatureLists`: its key and a serialized `FeatureList`.
///
/// # Errors
/// The bytes break a rule of protobuf's encoding, or `take` fails.
pub(crate) fn for_each_feature_list<E>(
    lists: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), VisitError<E>> {
    let mut cursor = Cursor::new(lists);
    while !cursor.is_empty() {
        let (field, wire_type) = cursor.tag().map_err(VisitError::Wire)?;
        if field != 1 || wire_type != LEN {
            cursor.skip(field, wire_type).map_err(VisitError::Wire)?;
            continue;
        }
        let entry = cursor.bytes().map_err(VisitError::Wire)?;
        let base = cursor.position() - entry.len();
        let (key, list) = map_entry(entry).map_err(|e| VisitError::Wire(e.rebase(base)))?;
        take(key, &list).map_err(VisitError::Visitor)?;
    }
    Ok(())
}

/// Visits every step of a serialized `FeatureList`.
///
/// # Errors
/// The bytes break a rule of protobuf's encoding, or `take` fails.
pub(crate) fn for_each_step<E>(
    list: &[u8],
    mut take: impl FnMut(Feature<'_>) -> Result<(), E>,
) -> Result<(), VisitError<E>> {
    let mut cursor = Cursor::new(list);
    while !cursor.is_empty() {
        let (field, wire_type) = cursor.tag().map_err(VisitError::Wire)?;
        if field != 1 || wire_type != LEN {
            cursor.skip(field, wire_type).map_err(VisitError::Wire)?;
            continue;
        }
        let step = cursor.bytes().map_err(VisitError::Wire)?;
        let base = cursor.position() - step.len();
        let (kind, list) = feature(step).map_err(|e| VisitError::Wire(e.rebase(base)))?;
        take(Feature { kind, list: &list }).map_err(VisitError::Visitor)?;
    }
    Ok(())
}

/// Whether the bytes of field 2 are `FeatureLists` with at least one list, and not an unknown
/// field that happens to have that number.
pub(crate) fn holds_feature_lists(lists: &[u8]) -> bool {
    let mut found = false;
    let sound = for_each_feature_list(lists, |key, list| {
        found = true;
        let steps = for_each_step(list, |_| Ok::<_, ()>(()));
        if steps.is_ok() && check_name(key).is_ok() { Ok(()) } else { Err(()) }
    });
    sound.is_ok() && found
}

/// Key and value of a `map<string, message>` entry. A missing key is empty, as is a missing value;
/// what has neither, but other fields, is no entry, nor is what has a number in their place.
#[inline]
pub(crate) fn map_entry(entry: &[u8]) -> Result<(&[u8], Cow<'_, [u8]>), WireError> {
    let mut cursor = Cursor::new(entry);
    if cursor.peek() == Some(0x0a) {
        cursor.take(1)?;
        let key = cursor.bytes()?;
        if cursor.peek() == Some(0x12) {
            cursor.take(1)?;
            let value = cursor.bytes()?;
            if cursor.is_empty() {
                return Ok((key, Cow::Borrowed(value)));
            }
        }
    }
    unusual_map_entry(entry)
}

/// Recognises the entries of one key in the form in which writers write them: the key, then the
/// value, and nothing else.
#[derive(Debug)]
pub(crate) struct PlainEntry {
    /// What stands before the value's length.
    prefix: Box<[u8]>,
    /// The first eight bytes of the prefix, as a number, and which of its bits count.
    head: u64,
    mask: u64,
    /// The last eight bytes of a longer prefix.
    tail: u64,
}

impl PlainEntry {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut prefix = vec![0x0a];
        proto::put_varint(&mut prefix, key.len() as u64);
        prefix.extend_from_slice(key);
        prefix.push(0x12);
        let mut head = [0; 8];
        let mut mask = [0; 8];
        for ((byte, head), mask) in prefix.iter().zip(&mut head).zip(&mut mask) {
            (*head, *mask) = (*byte, 0xff);
        }
        let tail = prefix.last_chunk::<8>().copied().unwrap_or_default();
        Self {
            prefix: prefix.into(),
            head: u64::from_le_bytes(head),
            mask: u64::from_le_bytes(mask),
            tail: u64::from_le_bytes(tail),
        }
    }

    /// The bytes that the first of `entries` takes, with its tag and length, and its value, if it is
    /// one of this key.
    #[inline]
    pub(crate) fn split<'a>(&self, entries: &'a [u8]) -> Option<(usize, &'a [u8])> {
        // What is short, as most entries are, is compared as a number or two.
        if let [0x0a, len @ ..0x80, entry @ ..] = entries
            && let Some(head) = entry.first_chunk()
        {
            if u64::from_le_bytes(*head) & self.mask != self.head {
                return None;
            }
            let prefix = self.prefix.len();
            if prefix > 8 {
                let tail = entry.get(prefix - 8..prefix)?.first_chunk()?;
                if u64::from_le_bytes(*tail) != self.tail
                    || prefix > 16 && entry.get(8..prefix - 8)? != self.prefix.get(8..prefix - 8)?
                {
                    return None;
                }
            }
            let len = usize::from(*len);
            let value_len = *entry.get(prefix)?;
            if value_len < 0x80 {
                let value = entry.get(prefix + 1..len)?;
                return (value.len() == usize::from(value_len)).then_some((2 + len, value));
            }
        }
        self.split_any(entries)
    }

    fn split_any<'a>(&self, entries: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let mut cursor = Cursor::new(entries.strip_prefix(&[0x0a])?);
        let entry = cursor.bytes().ok()?;
        let mut value = Cursor::new(entry.strip_prefix(&*self.prefix)?);
        let bytes = value.bytes().ok()?;
        value.is_empty().then(|| (1 + cursor.position(), bytes))
    }
}

#[cold]
fn unusual_map_entry(entry: &[u8]) -> Result<(&[u8], Cow<'_, [u8]>), WireError> {
    let mut key: Option<&[u8]> = None;
    let mut value: Option<Cow<'_, [u8]>> = None;
    let mut cursor = Cursor::new(entry);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => key = Some(cursor.bytes()?),
            (2, LEN) => merge(&mut value, cursor.bytes()?),
            (1 | 2, _) => return Err(WireError::new(cursor.position(), Fault::NotAnEntry)),
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    if key.is_none() && value.is_none() && !entry.is_empty() {
        return Err(WireError::new(0, Fault::NotAnEntry));
    }
    Ok((key.unwrap_or_default(), value.unwrap_or_default()))
}

/// Merges two messages: the serialized forms one after the other.
fn merge<'a>(value: &mut Option<Cow<'a, [u8]>>, more: &'a [u8]) {
    match value {
        Some(value) => value.to_mut().extend_from_slice(more),
        None => *value = Some(Cow::Borrowed(more)),
    }
}

/// As [`feature`], if it has the form in which writers write it: one list, or nothing.
#[inline]
pub(crate) fn plain_feature(feature: &[u8]) -> Option<Feature<'_>> {
    let (kind, list) = match feature {
        [] => return Some(Feature { kind: Kind::None, list: &[] }),
        [0x0a, list @ ..] => (Kind::Bytes, list),
        [0x12, list @ ..] => (Kind::Float, list),
        [0x1a, list @ ..] => (Kind::Int64, list),
        _ => return None,
    };
    if let [len @ ..0x80, list @ ..] = list
        && list.len() == usize::from(*len)
    {
        return Some(Feature { kind, list });
    }
    let mut cursor = Cursor::new(list);
    let list = cursor.bytes().ok()?;
    cursor.is_empty().then_some(Feature { kind, list })
}

/// The kind of a serialized `Feature` and its list.
#[inline]
pub(crate) fn feature(feature: &[u8]) -> Result<(Kind, Cow<'_, [u8]>), WireError> {
    let mut cursor = Cursor::new(feature);
    let kind = match cursor.peek() {
        Some(0x0a) => Kind::Bytes,
        Some(0x12) => Kind::Float,
        Some(0x1a) => Kind::Int64,
        None => return Ok((Kind::None, Cow::Borrowed(&[]))),
        Some(_) => return unusual_feature(feature),
    };
    cursor.take(1)?;
    let list = cursor.bytes()?;
    if cursor.is_empty() { Ok((kind, Cow::Borrowed(list))) } else { unusual_feature(feature) }
}

/// The lists are a `oneof`: the last kind counts, and lists of that kind since the kind last
/// changed are merged.
#[cold]
fn unusual_feature(feature: &[u8]) -> Result<(Kind, Cow<'_, [u8]>), WireError> {
    let mut kind = Kind::None;
    let mut list: Option<Cow<'_, [u8]>> = None;
    let mut cursor = Cursor::new(feature);
    while !cursor.is_empty() {
        let found = match cursor.tag()? {
            (1, LEN) => Kind::Bytes,
            (2, LEN) => Kind::Float,
            (3, LEN) => Kind::Int64,
            (field, wire_type) => {
                cursor.skip(field, wire_type)?;
                continue;
            }
        };
        if found != kind {
            kind = found;
            list = None;
        }
        merge(&mut list, cursor.bytes()?);
    }
    Ok((kind, list.unwrap_or_default()))
}

/// The packed bytes of a list that is one packed run and nothing else, as every writer makes it.
#[inline]
fn single_packed_run(list: &[u8]) -> Option<&[u8]> {
    if list.first() != Some(&0x0a) {
        return None;
    }
    let mut cursor = Cursor::new(list);
    cursor.take(1).ok()?;
    let run = cursor.bytes().ok()?;
    cursor.is_empty().then_some(run)
}

/// Appends the values of a serialized `FloatList`.
///
/// # Errors
/// The list is not sound; `out` may then have grown.
#[inline]
pub(crate) fn extend_floats(list: &[u8], out: &mut Vec<f32>) -> Result<(), WireError> {
    if let Some(run) = single_packed_run(list) {
        return extend_packed_floats(run, out);
    }
    let mut cursor = Cursor::new(list);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => {
                let run = cursor.bytes()?;
                let base = cursor.position() - run.len();
                extend_packed_floats(run, out).map_err(|e| e.rebase(base))?;
            }
            (1, FIXED32) => out.push(f32::from_le_bytes(cursor.fixed32()?)),
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(())
}

#[inline]
fn extend_packed_floats(run: &[u8], out: &mut Vec<f32>) -> Result<(), WireError> {
    let (values, rest) = run.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(WireError::new(run.len() - rest.len(), Fault::RaggedPacked));
    }
    out.extend(values.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    Ok(())
}

/// The value of a `FloatList` of exactly one value, written as writers do; `None` says that the
/// list must be read with [`extend_floats`].
#[inline]
pub(crate) fn single_float(list: &[u8]) -> Option<f32> {
    match *list {
        [0x0a, 4, a, b, c, d] | [0x0d, a, b, c, d] => Some(f32::from_le_bytes([a, b, c, d])),
        _ => None,
    }
}

/// Appends the values of a serialized `Int64List`.
///
/// # Errors
/// The list is not sound; `out` may then have grown.
#[inline]
pub(crate) fn extend_int64s(list: &[u8], out: &mut Vec<i64>) -> Result<(), WireError> {
    if let Some(run) = single_packed_run(list) {
        return varints::extend_varints(run, out);
    }
    let mut cursor = Cursor::new(list);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => {
                let run = cursor.bytes()?;
                let base = cursor.position() - run.len();
                varints::extend_varints(run, out).map_err(|e| e.rebase(base))?;
            }
            (1, VARINT) => out.push(cursor.varint()?.cast_signed()),
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(())
}

/// The value of an `Int64List` of exactly one value, written as writers do; `None` says that the
/// list must be read with [`extend_int64s`].
#[inline]
pub(crate) fn single_int64(list: &[u8]) -> Option<i64> {
    let run = match list {
        [0x0a, len, run @ ..] if usize::from(*len) == run.len() => run,
        [0x08, run @ ..] => run,
        _ => return None,
    };
    let mut cursor = Cursor::new(run);
    let value = cursor.varint().ok()?;
    cursor.is_empty().then_some(value.cast_signed())
}

/// Gives every value of a serialized `BytesList` to `take`.
///
/// # Errors
/// The list is not sound, or `take` fails.
#[inline]
pub(crate) fn for_each_bytes<'a, E: From<WireError>>(
    list: &'a [u8],
    mut take: impl FnMut(&'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::new(list);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LEN) => take(cursor.bytes()?)?,
            (field, wire_type) => cursor.skip(field, wire_type)?,
        }
    }
    Ok(())
}

/// The value of a `BytesList` of exactly one value; `None` says that the list must be read with
/// [`for_each_bytes`].
#[inline]
pub(crate) fn single_bytes(list: &[u8]) -> Option<&[u8]> {
    single_packed_run(list)
}

/// How many features a serialized Example has, if nothing about it is out of the ordinary: no unknown
/// fields, and every entry with a key that is text and one list. For telling messages apart that could
/// pass for each other.
pub(crate) fn strict_features(example: &[u8]) -> Option<usize> {
    fn fields<'a>(message: &'a [u8], mut take: impl FnMut(u32, &'a [u8]) -> Option<()>) -> Option<()> {
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag() {
                Ok((field, LEN)) => take(field, cursor.bytes().ok()?)?,
                _ => return None,
            }
        }
        Some(())
    }
    let mut found = 0;
    fields(example, |field, features| {
        (field == 1).then_some(())?;
        fields(features, |field, entry| {
            (field == 1).then_some(())?;
            let (mut key, mut value) = (false, false);
            fields(entry, |field, part| match field {
                1 => {
                    key = simdutf8::basic::from_utf8(part).is_ok();
                    key.then_some(())
                }
                2 => {
                    value = true;
                    fields(part, |kind, _| (1..=3).contains(&kind).then_some(()))
                }
                _ => None,
            })?;
            found += 1;
            (key && value).then_some(())
        })
    })?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the fast comparison recognises is what the parser reads.
    #[test]
    fn plain_entries_are_recognised_with_keys_and_values_of_every_length() {
        for key_len in (0..40).chain([126, 127, 128, 300]) {
            let key: Vec<u8> = (0..key_len).map(|i| b'a' + (i % 26) as u8).collect();
            let plain = PlainEntry::new(&key);
            for value_len in [0, 1, 5, 80, 120, 127, 128, 20_000] {
                let mut entry = vec![0x0a];
                proto::put_varint(&mut entry, key.len() as u64);
                entry.extend_from_slice(&key);
                entry.push(0x12);
                proto::put_varint(&mut entry, value_len);
                entry.resize(entry.len() + value_len as usize, 7);
                let mut entries = vec![0x0a];
                proto::put_varint(&mut entries, entry.len() as u64);
                entries.extend_from_slice(&entry);
                let whole = entries.len();
                assert_eq!(
                    plain.split(&entries).map(|(bytes, value)| (bytes, value.len())),
                    Some((whole, value_len as usize)),
                    "{key_len} {value_len}"
                );
                entries.extend_from_slice(b"\x0a\x03\x0a\x01x");
                assert_eq!(
                    plain.split(&entries).map(|(bytes, value)| (bytes, value.len())),
                    Some((whole, value_len as usize)),
                    "{key_len} {value_len}"
                );
                for cut in [0, 1, 2, whole / 2, whole - 1] {
                    assert_eq!(plain.split(&entries[..cut]), None, "{key_len} {value_len} {cut}");
                }
                // No other byte up to the value may differ.
                for at in 0..whole - value_len as usize {
                    let mut other = entries.clone();
                    other[at] ^= 1;
                    assert_eq!(plain.split(&other), None, "{key_len} {value_len} {at}");
                }
            }
        }
    }

    /// An entry that holds a second key is not the first key's.
    #[test]
    fn an_entry_with_more_than_key_and_value_is_not_plain() {
        let entry = b"\x0a\x01a\x12\x00\x0a\x01b";
        let mut entries = vec![0x0a, entry.len() as u8];
        entries.extend_from_slice(entry);
        assert_eq!(PlainEntry::new(b"a").split(&entries), None);
        assert_eq!(map_entry(entry).unwrap().0, b"b");
    }

    #[derive(Default)]
    struct Collect(Vec<(String, Kind, Vec<i64>)>);

    impl FeatureVisitor for Collect {
        type Error = WireError;
        fn feature_lists(&mut self, lists: &[u8]) -> Result<bool, VisitError<WireError>> {
            for_each_feature_list(lists, |key, list| {
                let key = String::from_utf8_lossy(key).into_owned();
                for_each_step(list, |step| self.feature(key.as_bytes(), step)).map_err(|e| match e {
                    VisitError::Wire(e) | VisitError::Visitor(e) => e,
                })
            })?;
            Ok(true)
        }
        fn no_features(&mut self, _: &[u8]) -> Result<(), WireError> {
            Ok(())
        }
        fn feature(&mut self, key: &[u8], feature: Feature<'_>) -> Result<(), WireError> {
            let mut values = Vec::new();
            match feature.kind {
                Kind::Int64 => extend_int64s(feature.list, &mut values)?,
                Kind::Float => {
                    let mut floats = Vec::new();
                    extend_floats(feature.list, &mut floats)?;
                    values.extend(floats.iter().map(|f| *f as i64));
                }
                Kind::Bytes => for_each_bytes(feature.list, |b| {
                    values.push(b.len() as i64);
                    Ok::<_, WireError>(())
                })?,
                Kind::None => {}
            }
            self.0.push((String::from_utf8_lossy(key).into_owned(), feature.kind, values));
            Ok(())
        }
    }

    fn visit(record: &[u8]) -> Result<Vec<(String, Kind, Vec<i64>)>, WireError> {
        let mut collect = Collect::default();
        match visit_example(record, &mut collect) {
            Ok(()) => Ok(collect.0),
            Err(VisitError::Wire(e) | VisitError::Visitor(e)) => Err(e),
        }
    }

    /// `{tag}{len}{body}`, for bodies under 128 bytes.
    fn field(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, u8::try_from(body.len()).unwrap()];
        out.extend(body);
        out
    }

    fn example(entries: &[Vec<u8>]) -> Vec<u8> {
        field(0x0a, &entries.iter().flat_map(|e| field(0x0a, e)).collect::<Vec<_>>())
    }

    #[test]
    fn canonical_and_unpacked_lists() {
        let packed = field(0x1a, &field(0x0a, &[1, 0xac, 0x02, 3]));
        let unpacked = field(0x1a, &[0x08, 1, 0x08, 0xac, 0x02, 0x0a, 1, 3]);
        for value in [packed, unpacked] {
            let entry = [field(0x0a, b"a"), field(0x12, &value)].concat();
            assert_eq!(visit(&example(&[entry])).unwrap(), [("a".into(), Kind::Int64, vec![1, 300, 3])]);
        }
    }

    #[test]
    fn value_before_key_and_unknown_fields() {
        let value = field(0x1a, &field(0x0a, &[7]));
        let entry = [field(0x12, &value), field(0x1a, b"??"), field(0x0a, b"k")].concat();
        assert_eq!(visit(&example(&[entry])).unwrap(), [("k".into(), Kind::Int64, vec![7])]);
    }

    #[test]
    fn the_last_kind_wins_and_equal_kinds_merge() {
        let ints = |v| field(0x1a, &field(0x0a, &[v]));
        let floats = field(0x12, &field(0x0a, &2.0f32.to_le_bytes()));
        for (value, kind, expected) in [
            ([ints(1), ints(2)].concat(), Kind::Int64, vec![1, 2]),
            ([ints(1), floats.clone()].concat(), Kind::Float, vec![2]),
            ([ints(1), floats, ints(3)].concat(), Kind::Int64, vec![3]),
            (Vec::new(), Kind::None, vec![]),
            (field(0x1a, b""), Kind::Int64, vec![]),
        ] {
            let entry = [field(0x0a, b"k"), field(0x12, &value)].concat();
            assert_eq!(visit(&example(&[entry])).unwrap(), [("k".into(), kind, expected)]);
        }
    }

    #[test]
    fn damage_is_located_within_the_record() {
        // The float list's packed run has 3 bytes.
        let value = field(0x12, &field(0x0a, &[0, 0, 0]));
        let entry = [field(0x0a, b"k"), field(0x12, &value)].concat();
        assert_eq!(visit(&example(&[entry])).unwrap_err().fault, Fault::RaggedPacked);
        // A length beyond the buffer, which TensorFlow takes for an empty example.
        let error = visit(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
        assert_eq!(error, WireError::new(1, Fault::LengthPastEnd));
    }
}
