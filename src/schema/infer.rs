//! Inference: what the features of the first records hold.

use std::collections::HashMap;

use super::feature::FeatureSpec;
use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::example::{self, Feature, FeatureVisitor, Kind, VisitError};
use crate::tf::shape::Shape;
use crate::wire::proto::WireError;

/// How many distinct features a dataset may have.
const MAX_FEATURES: usize = 100_000;

/// What was seen of one feature.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    kind: Kind,
    /// Records in which it has at least one value.
    filled: u64,
    /// Records in which its list is there, but empty.
    empty: u64,
    fewest: usize,
    most: usize,
    utf8: bool,
}

/// One feature of one record.
#[derive(Debug, Clone, Copy)]
struct Observation {
    slot: usize,
    kind: Kind,
    values: usize,
    utf8: bool,
}

/// Collects what records hold, and says which feature specs fit them all.
#[derive(Debug, Default)]
pub(crate) struct Inference {
    slots: HashMap<Vec<u8>, usize>,
    seen: Vec<Seen>,
    records: u64,
    record: Vec<Observation>,
    ints: Vec<i64>,
    floats: Vec<f32>,
}

impl Inference {
    /// Records observed so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Takes one serialized Example into account.
    ///
    /// # Errors
    /// The record is not a sound message, or one of its features is of another kind than in an
    /// earlier record.
    pub(crate) fn observe(&mut self, record: &[u8]) -> Result<()> {
        self.record.clear();
        match example::visit_example(record, self) {
            Ok(()) => {}
            Err(VisitError::Wire(error)) => return Err(not_an_example(error)),
            Err(VisitError::Visitor(error)) => return Err(error),
        }
        // A record that contradicts earlier ones leaves no trace.
        self.record.iter().try_for_each(|observation| self.check(*observation))?;
        for observation in std::mem::take(&mut self.record) {
            self.settle(observation);
        }
        self.records += 1;
        Ok(())
    }

    fn check(&self, observation: Observation) -> Result<()> {
        let Some(seen) = self.seen.get(observation.slot) else { return Ok(()) };
        if observation.kind == Kind::None || seen.kind == Kind::None || seen.kind == observation.kind {
            return Ok(());
        }
        Err(Error::mismatch("feature changes its kind")
            .expected(seen.kind.name(), observation.kind.name())
            .in_column(seen.name.as_str())
            .with_hint(format!("leave it out with --exclude {}", seen.name)))
    }

    fn settle(&mut self, observation: Observation) {
        let Some(seen) = self.seen.get_mut(observation.slot) else { return };
        if observation.kind == Kind::None {
            return;
        }
        seen.kind = observation.kind;
        if observation.values == 0 {
            seen.empty += 1;
        } else {
            seen.filled += 1;
            seen.fewest = seen.fewest.min(observation.values);
            seen.most = seen.most.max(observation.values);
            seen.utf8 &= observation.utf8;
        }
    }

    /// The specs that fit every record observed, in the order of their names. A feature that never
    /// had a kind has no type, and gets no spec.
    pub(crate) fn finish(&self) -> Vec<FeatureSpec> {
        let mut specs: Vec<FeatureSpec> = self.seen.iter().filter_map(|seen| self.spec(seen)).collect();
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        specs
    }

    fn spec(&self, seen: &Seen) -> Option<FeatureSpec> {
        let dtype = match seen.kind {
            Kind::None => return None,
            Kind::Bytes => DType::String,
            Kind::Float => DType::Float32,
            Kind::Int64 => DType::Int64,
        };
        let shape = if seen.filled == 0 {
            Shape::Dims(vec![None])
        } else if seen.most == 1 {
            Shape::scalar()
        } else if seen.fewest == seen.most && seen.filled == self.records {
            Shape::known(&[seen.most as u64])
        } else {
            Shape::Dims(vec![None])
        };
        let mut spec = FeatureSpec::values(seen.name.clone(), dtype, shape);
        // Without a single value there is no evidence of text.
        spec.text = seen.kind == Kind::Bytes && seen.utf8 && seen.filled > 0;
        Some(spec)
    }

    fn slot(&mut self, key: &[u8]) -> Result<usize> {
        if let Some(&slot) = self.slots.get(key) {
            return Ok(slot);
        }
        let Ok(name) = std::str::from_utf8(key) else {
            return Err(
                Error::corrupt("feature name is not UTF-8").expected("text", key.escape_ascii().to_string())
            );
        };
        if self.seen.len() >= MAX_FEATURES {
            return Err(Error::limit("too many features")
                .expected(format!("at most {MAX_FEATURES}"), "more")
                .with_hint("name the ones you want with --columns"));
        }
        let slot = self.seen.len();
        self.slots.insert(key.to_vec(), slot);
        self.seen.push(Seen {
            name: name.to_owned(),
            kind: Kind::None,
            filled: 0,
            empty: 0,
            fewest: usize::MAX,
            most: 0,
            utf8: true,
        });
        Ok(slot)
    }
}

impl FeatureVisitor for Inference {
    type Error = Error;

    fn feature(&mut self, key: &[u8], feature: Feature<'_>) -> Result<()> {
        let slot = self.slot(key)?;
        let mut utf8 = true;
        let counted: Result<usize, WireError> = match feature.kind {
            Kind::None => Ok(0),
            Kind::Int64 => {
                self.ints.clear();
                example::extend_int64s(feature.list, &mut self.ints).map(|()| self.ints.len())
            }
            Kind::Float => {
                self.floats.clear();
                example::extend_floats(feature.list, &mut self.floats).map(|()| self.floats.len())
            }
            Kind::Bytes => {
                let mut values = 0;
                example::for_each_bytes(feature.list, |bytes| {
                    values += 1;
                    utf8 = utf8 && simdutf8::basic::from_utf8(bytes).is_ok();
                    Ok::<_, WireError>(())
                })
                .map(|()| values)
            }
        };
        let name = || String::from_utf8_lossy(key).into_owned();
        let values = counted.map_err(|e| not_an_example(e).in_column(name()))?;
        let observation = Observation { slot, kind: feature.kind, values, utf8 };
        // A key that occurs twice counts as it was last.
        match self.record.iter_mut().find(|o| o.slot == slot) {
            Some(earlier) => *earlier = observation,
            None => self.record.push(observation),
        }
        Ok(())
    }
}

/// The error of a record that is no `tf.train.Example`.
pub(crate) fn not_an_example(error: WireError) -> Error {
    Error::corrupt(format!("record is not a tf.train.Example: {}", error.fault))
        .with_hint("pass --record raw for records of other kinds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto::put_varint;

    fn record(features: &[(&str, Option<Vec<i64>>)]) -> Vec<u8> {
        let field = |tag: u8, body: &[u8]| {
            let mut out = vec![tag];
            put_varint(&mut out, body.len() as u64);
            out.extend(body);
            out
        };
        let mut map = Vec::new();
        for (name, values) in features {
            let value = match values {
                None => Vec::new(),
                Some(values) => {
                    let mut packed = Vec::new();
                    values.iter().for_each(|v| put_varint(&mut packed, *v as u64));
                    field(0x1a, &field(0x0a, &packed))
                }
            };
            map.extend(field(0x0a, &[field(0x0a, name.as_bytes()), field(0x12, &value)].concat()));
        }
        field(0x0a, &map)
    }

    fn infer(records: &[Vec<u8>]) -> Vec<(String, Shape)> {
        let mut inference = Inference::default();
        records.iter().for_each(|r| inference.observe(r).unwrap());
        inference.finish().into_iter().map(|s| (s.name, s.shape)).collect()
    }

    #[test]
    fn scalars_fixed_shapes_and_lists() {
        let rows = [
            record(&[("b", Some(vec![1, 2])), ("a", Some(vec![1])), ("c", Some(vec![1, 2])), ("n", None)]),
            record(&[
                ("b", Some(vec![3, 4])),
                ("c", Some(vec![])),
                ("d", Some(vec![9])),
                ("e", Some(vec![])),
            ]),
        ];
        let list = Shape::Dims(vec![None]);
        assert_eq!(
            infer(&rows),
            [
                ("a".to_owned(), Shape::scalar()),
                ("b".to_owned(), Shape::known(&[2])),
                ("c".to_owned(), list.clone()),
                ("d".to_owned(), Shape::scalar()),
                ("e".to_owned(), list),
            ]
        );
    }

    #[test]
    fn fixed_only_if_in_every_record() {
        let rows = [record(&[("b", Some(vec![1, 2]))]), record(&[])];
        assert_eq!(infer(&rows), [("b".to_owned(), Shape::Dims(vec![None]))]);
    }

    #[test]
    fn a_repeated_key_counts_as_it_was_last() {
        let rows = [record(&[("a", Some(vec![1, 2, 3])), ("a", Some(vec![1]))])];
        assert_eq!(infer(&rows), [("a".to_owned(), Shape::scalar())]);
    }
}
