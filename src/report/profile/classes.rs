//! What classes are called, where the metadata of a field says so.

use std::collections::{BTreeMap, HashMap};

use arrow::datatypes::Field;
use serde_json::Value;

/// A JSON array of the names of a TFDS `ClassLabel`, from the class 0 on.
const TFDS: &str = "tfds.class_names";
/// A JSON object of the numbers of a protobuf enum, by name.
const ENUM: &str = "proto.enum";

/// Names of classes, by number.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Classes(BTreeMap<i64, String>);

impl Classes {
    /// The classes that the metadata of `field` names.
    pub(super) fn of(field: &Field) -> Option<Self> {
        let metadata = field.metadata();
        let names: BTreeMap<i64, String> = if let Some(names) = metadata.get(TFDS) {
            let names: Vec<Value> = serde_json::from_str(names).ok()?;
            let named = |(number, name): (i64, Value)| Some((number, name.as_str()?.to_owned()));
            (0..).zip(names).map(named).collect::<Option<_>>()?
        } else {
            let Value::Object(numbers) = serde_json::from_str(metadata.get(ENUM)?).ok()? else { return None };
            let mut names = BTreeMap::new();
            for (name, number) in numbers {
                // Of several names for one number, the first one is meant.
                names.entry(number.as_i64()?).or_insert(name);
            }
            names
        };
        (!names.is_empty()).then_some(Self(names))
    }

    /// The metadata of `field` that names classes.
    pub(super) fn metadata(field: &Field) -> HashMap<String, String> {
        let named = |key: &str| Some((key.to_owned(), field.metadata().get(key)?.clone()));
        [TFDS, ENUM].into_iter().filter_map(named).collect()
    }

    pub(super) fn name(&self, number: i64) -> Option<&str> {
        self.0.get(&number).map(String::as_str)
    }

    /// The names, in the order of their numbers.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.values().cloned().collect()
    }

    /// Which of the [names](Self::names) it is.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.0.values().position(|of_class| of_class == name)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    #[test]
    fn classes_have_the_names_of_their_metadata() {
        let classes = |key: &str, text: &str| {
            let metadata = HashMap::from([(key.to_owned(), text.to_owned())]);
            Classes::of(&Field::new("x", DataType::Int32, true).with_metadata(metadata))
        };
        let labels = classes(TFDS, r#"["cat", "dog"]"#).unwrap();
        assert_eq!((labels.name(0), labels.name(1), labels.name(2)), (Some("cat"), Some("dog"), None));
        let colors = classes(ENUM, r#"{"RED": 0, "GREEN": 1, "LIME": 1, "BELOW": -5}"#).unwrap();
        assert_eq!(colors.names(), ["BELOW", "RED", "GREEN"]);
        assert_eq!((colors.name(-5), colors.len()), (Some("BELOW"), 3));
        for (key, text) in [(TFDS, "[1]"), (TFDS, "no"), (TFDS, "[]"), (ENUM, "[]"), (ENUM, r#"{"a": "b"}"#)]
        {
            assert_eq!(classes(key, text), None, "{text}");
        }
    }
}
