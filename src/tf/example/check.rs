//! What is an Example, and what only looks like one.
//!
//! Protobuf passes over fields that it does not know, so that records of nearly any message parse
//! as an Example that holds nothing. Such a record is none: it has bytes, but no features. Messages
//! that hold Examples in field 1 (`ExampleListWithContext`, say) parse as one whose names are
//! messages themselves.

use super::{
    Feature, FeatureVisitor, Kind, VisitError, extend_floats, extend_int64s, for_each_bytes,
    for_each_feature_list, for_each_step, holds_feature_lists, visit_example,
};
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::wire::proto::{Cursor, WireError};

/// How many of a record's fields an error lists.
const FIELDS: usize = 5;

/// What a record that was [checked](check) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// A message without anything in it, or with empty features.
    Empty,
    Example,
    SequenceExample,
}

/// Checks that `record` is a sound `tf.train.Example` or `SequenceExample`, down to the last value.
///
/// # Errors
/// It is not.
pub(crate) fn check(record: &[u8]) -> Result<Checked> {
    let mut check = Check::default();
    match visit_example(record, &mut check) {
        Ok(()) if check.lists => Ok(Checked::SequenceExample),
        Ok(()) if check.features => Ok(Checked::Example),
        Ok(()) => Ok(Checked::Empty),
        Err(VisitError::Wire(error)) => Err(unsound_example(error)),
        Err(VisitError::Visitor(error)) => Err(error),
    }
}

#[derive(Default)]
struct Check {
    features: bool,
    lists: bool,
    floats: Vec<f32>,
    ints: Vec<i64>,
}

impl Check {
    fn values(&mut self, feature: Feature<'_>) -> Result<()> {
        self.floats.clear();
        self.ints.clear();
        match feature.kind {
            Kind::None => Ok(()),
            Kind::Bytes => for_each_bytes(feature.list, |_| Ok::<_, WireError>(())),
            Kind::Float => extend_floats(feature.list, &mut self.floats),
            Kind::Int64 => extend_int64s(feature.list, &mut self.ints),
        }
        .map_err(unsound_example)
    }
}

impl FeatureVisitor for Check {
    type Error = Error;

    fn feature(&mut self, name: &[u8], feature: Feature<'_>) -> Result<()> {
        self.features = true;
        check_name(name)?;
        self.values(feature)
    }

    fn feature_lists(&mut self, lists: &[u8]) -> Result<bool, VisitError<Error>> {
        // Of an Example this is an unknown field, which may hold anything.
        if !holds_feature_lists(lists) {
            return Ok(false);
        }
        self.lists = true;
        for_each_feature_list(lists, |_, list| match for_each_step(list, |step| self.values(step)) {
            Ok(()) => Ok(()),
            Err(VisitError::Wire(error)) => Err(unsound_example(error)),
            Err(VisitError::Visitor(error)) => Err(error),
        })?;
        Ok(true)
    }

    fn no_features(&mut self, record: &[u8]) -> Result<()> {
        Err(other_fields(record))
    }
}

/// The name of a feature or a feature list.
///
/// # Errors
/// It is not text, or is a message itself; then the record is no Example.
pub(crate) fn check_name(name: &[u8]) -> Result<&str> {
    match std::str::from_utf8(name) {
        Ok(_) if is_message(name) => Err(not_an_example("a feature's name is a message itself")),
        Ok(name) => Ok(name),
        Err(_) => Err(not_an_example("a feature's name is not text")),
    }
}

/// Whether a name is a message whose first field is one, as the entry of a map is. Names of people's
/// making do not begin with a line break and go on with a length that fits.
fn is_message(name: &[u8]) -> bool {
    let mut cursor = Cursor::new(name);
    while !cursor.is_empty() {
        match cursor.tag() {
            Ok((field, wire_type)) if cursor.skip(field, wire_type).is_ok() => {}
            _ => return false,
        }
    }
    name.first() == Some(&super::ENTRY)
}

/// The error of a record that has bytes, but neither features nor feature lists.
#[cold]
pub(crate) fn other_fields(record: &[u8]) -> Error {
    not_an_example(&fields(record))
}

/// Which fields a record without features has.
#[cold]
pub(crate) fn fields(record: &[u8]) -> String {
    let mut fields: Vec<u32> = Vec::new();
    let mut cursor = Cursor::new(record);
    while let Ok((field, wire_type)) = cursor.tag() {
        if !fields.contains(&field) {
            fields.push(field);
        }
        if cursor.skip(field, wire_type).is_err() || fields.len() > FIELDS {
            break;
        }
    }
    let mut listed: Vec<String> = fields.iter().take(FIELDS).map(u32::to_string).collect();
    if fields.len() > FIELDS {
        listed.push("…".to_owned());
    }
    let fields = if listed.len() == 1 { "field" } else { "fields" };
    format!("it has {fields} {} and no features", listed.join(", "))
}

/// The error of a record whose bytes break a rule of protobuf's encoding where an Example follows it.
#[cold]
pub(crate) fn unsound_example(error: WireError) -> Error {
    other_kind(Error::corrupt(format!("record is not a tf.train.Example: {}", error.fault)))
}

/// The error of a sound record of another kind.
#[cold]
pub(crate) fn not_an_example(why: &str) -> Error {
    other_kind(Error::mismatch(format!("record is not a tf.train.Example: {why}")))
}

fn other_kind(error: Error) -> Error {
    error.with_hint(Phrase::new(
        "pass {record=raw} to keep records of other kinds as bytes, or {record=message} with {proto} to read them",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(record: &[u8]) -> String {
        check(record).unwrap_err().message()
    }

    #[test]
    fn records_without_features_are_examples_if_they_hold_nothing() {
        for record in [&b""[..], b"\x0a\x00"] {
            assert_eq!(check(record).unwrap(), Checked::Empty, "{record:?}");
        }
        // With an unknown field beside, and one within.
        assert_eq!(check(b"\x0a\x00\x38\x01").unwrap(), Checked::Empty);
        assert_eq!(check(b"\x38\x01\x0a\x00").unwrap(), Checked::Empty);
        assert_eq!(check(b"\x0a\x09\x38\x01\x0a\x05\x0a\x01a\x12\x00").unwrap(), Checked::Example);
        assert_eq!(
            refused(b"\x38\x01\x08\x01\x38\x02"),
            "record is not a tf.train.Example: it has fields 7, 1 and no features"
        );
        assert_eq!(
            refused(b"\x0a\x02\x38\x01"),
            "record is not a tf.train.Example: it has field 1 and no features"
        );
        let many: Vec<u8> = (1..10).flat_map(|field| [field << 3, 0]).collect();
        assert!(refused(&many).ends_with("fields 1, 2, 3, 4, 5, … and no features"));
    }

    #[test]
    fn names_are_text_and_no_messages() {
        assert!(check_name("déjà\u{1b}[2J\n".as_bytes()).is_ok());
        assert!(check_name(b"").is_ok());
        // A line break, and what cannot be a length, or is none of what follows.
        for name in ["\n", "\nname", "\n\x04name of something", "\n\x04nam"] {
            assert!(check_name(name.as_bytes()).is_ok(), "{name:?}");
        }
        assert!(check_name(b"\xff").unwrap_err().message().ends_with("name is not text"));
        for name in ["\n\x04name", "\n\x00", "\n\x01a\x12\x07\x1a\x05\n\x03\x01\x02\x03"] {
            assert!(
                check_name(name.as_bytes()).unwrap_err().message().ends_with("message itself"),
                "{name:?}"
            );
        }
    }

    #[test]
    fn an_entry_without_key_and_value_is_none() {
        assert_eq!(check(b"\x0a\x02\x0a\x00").unwrap(), Checked::Example);
        for entry in [&b"\x38\x01"[..], b"\x0a\x01a\x10\x01"] {
            let features = [&[0x0a, entry.len() as u8][..], entry].concat();
            let record = [&[0x0a, features.len() as u8][..], &features].concat();
            assert!(refused(&record).ends_with("no key and value"), "{entry:?}");
        }
    }
}
