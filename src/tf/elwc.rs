//! `ExampleListWithContext` (ELWC), what TF-Ranking learns from: the examples of a list, and what they
//! have in common.
//!
//! The message is `tensorflow.serving.ExampleListWithContext` of `tensorflow_serving/apis/input.proto`:
//! `repeated Example examples = 1; Example context = 2;`.

use super::example;
use crate::wire::proto::{Cursor, LEN, WireError};

const EXAMPLES: u32 = 1;
const CONTEXT: u32 = 2;

/// A part of an ELWC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// The next of its examples.
    Example(&'a [u8]),
    /// The context, or more of it, which is merged: the bytes of all are one message.
    Context(&'a [u8]),
}

/// Gives the parts of a record to `take`, and the byte at which each begins.
///
/// # Errors
/// The record is not a sound message, or `take` fails.
pub(crate) fn visit<'a, E: From<WireError>>(
    record: &'a [u8],
    mut take: impl FnMut(Part<'a>, usize) -> Result<(), E>,
) -> Result<(), E> {
    let mut cursor = Cursor::new(record);
    while !cursor.is_empty() {
        let (field, wire_type) = cursor.tag()?;
        if wire_type != LEN || field != EXAMPLES && field != CONTEXT {
            cursor.skip(field, wire_type)?;
            continue;
        }
        let bytes = cursor.bytes()?;
        let begin = cursor.position() - bytes.len();
        take(if field == EXAMPLES { Part::Example(bytes) } else { Part::Context(bytes) }, begin)?;
    }
    Ok(())
}

/// Whether a record is an ELWC and cannot be an Example: whatever it holds is an example of several
/// levels, and an Example has one level less.
pub(crate) fn fits(record: &[u8]) -> bool {
    let mut features = 0;
    let mut cursor = Cursor::new(record);
    while !cursor.is_empty() {
        match cursor.tag().and_then(|tag| Ok((tag, cursor.bytes()?))) {
            Ok(((EXAMPLES | CONTEXT, LEN), bytes)) => match example::strict_features(bytes) {
                Some(found) => features += found,
                None => return false,
            },
            _ => return false,
        }
    }
    features > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, body: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(body.len()).unwrap()], body].concat()
    }

    /// An Example with one feature of int64.
    fn example(key: &[u8]) -> Vec<u8> {
        let feature = field(3, &field(1, &[7]));
        field(1, &field(1, &[field(1, key), field(2, &feature)].concat()))
    }

    #[test]
    fn parts_come_in_order() {
        let record =
            [field(1, &example(b"a")), field(2, &example(b"q")), vec![0x18, 1], field(1, b"")].concat();
        let mut parts = Vec::new();
        visit(&record, |part, _| {
            parts.push(part);
            Ok::<_, WireError>(())
        })
        .unwrap();
        let (a, q) = (example(b"a"), example(b"q"));
        assert_eq!(parts, [Part::Example(&a), Part::Context(&q), Part::Example(b"")]);
    }

    #[test]
    fn examples_are_told_from_lists_of_them() {
        assert!(fits(&[field(1, &example(b"a")), field(2, &example(b"q"))].concat()));
        assert!(fits(&field(2, &example(b"q"))) && fits(&[field(1, b""), field(1, &example(b"a"))].concat()));
        for other in [example(b"a"), Vec::new(), field(1, b""), field(2, b"text"), vec![0x08, 1]] {
            assert!(!fits(&other), "{other:?}");
        }
        // A SequenceExample: a context of features, and feature lists.
        let steps = field(1, &[field(1, b"k"), field(2, &field(1, &field(3, &field(1, &[7]))))].concat());
        assert!(!fits(&field(2, &steps)));
        assert!(!fits(&[example(b"c"), field(2, &steps)].concat()));
    }
}
