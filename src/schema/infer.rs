//! Inference: what the features of the first records hold.

use std::collections::HashMap;

use super::feature::FeatureSpec;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::tf::dtype::DType;
use crate::tf::example::{self, Feature, FeatureVisitor, Kind, VisitError, unsound_example};
use crate::tf::shape::Shape;
use crate::wire::proto::WireError;

/// How many distinct features a dataset may have.
const MAX_FEATURES: usize = 100_000;

/// The bytes of a record of empty features, at most.
const MAX_EMPTY: usize = 2;

/// What was seen of one feature or feature list.
#[derive(Debug, Clone)]
struct Seen {
    name: String,
    /// Nobody asks what it holds: it has a spec, or is not read.
    settled: bool,
    /// The kind that it had first.
    first: Kind,
    /// What it is where it is of bytes, of float and of int64.
    kinds: [SeenAs; 3],
    /// Where its observation stands in the record, if it has one.
    place: usize,
}

/// What was seen of one feature or feature list where it is of one kind.
#[derive(Debug, Clone, Copy)]
struct SeenAs {
    /// Records in which it is of that kind.
    records: u64,
    /// Records in which it has at least one value (for lists: one step with a kind).
    filled: u64,
    fewest: usize,
    most: usize,
    /// Whether every value is text: UTF-8 without a NUL, which no text has.
    utf8: bool,
}

impl Default for SeenAs {
    fn default() -> Self {
        Self { records: 0, filled: 0, fewest: usize::MAX, most: 0, utf8: true }
    }
}

impl Seen {
    /// The kind that it has in most records, the first of several.
    fn kind(&self) -> Kind {
        let most = self.kinds.iter().map(|seen| seen.records).max().unwrap_or(0);
        let first = std::iter::once(self.first).chain(Kind::OF_VALUES);
        first.into_iter().find(|kind| self.of(*kind).is_some_and(|s| s.records == most)).unwrap_or(Kind::None)
    }

    /// What was seen of it where it is of `kind`; `None` if that was nowhere.
    fn of(&self, kind: Kind) -> Option<&SeenAs> {
        let index = Kind::OF_VALUES.iter().position(|of| *of == kind)?;
        self.kinds.get(index).filter(|seen| seen.records > 0)
    }
}

/// What one record holds of a feature, or of all steps of a feature list.
#[derive(Debug, Clone, Copy)]
struct Observation {
    slot: usize,
    kind: Kind,
    /// Another kind that a step has.
    other: Option<Kind>,
    fewest: usize,
    most: usize,
    utf8: bool,
}

/// What was seen of the features, or of the feature lists.
#[derive(Debug, Default)]
struct Table {
    slots: HashMap<Vec<u8>, usize>,
    seen: Vec<Seen>,
    record: Vec<Observation>,
    /// The features of the last record, in its order.
    expected: Vec<usize>,
}

/// Which features need not be inferred.
pub(crate) type Settled<'a> = dyn Fn(&str) -> bool + 'a;

/// What is known of records beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lists {
    /// There are no feature lists.
    #[default]
    Refuse,
    /// There may be feature lists.
    Find,
    /// The records are `SequenceExample`.
    Read,
}

/// Collects what records hold, and says which feature specs fit them all.
#[derive(Default)]
pub(crate) struct Inference<'a> {
    features: Table,
    lists: Table,
    mode: Lists,
    settled: Option<&'a Settled<'a>>,
    /// Whether a feature may be of several kinds: the one of most records counts.
    kinds_differ: bool,
    records: u64,
    /// What the first record without features has beside them.
    bare: Option<String>,
    ints: Vec<i64>,
    floats: Vec<f32>,
}

impl<'a> Inference<'a> {
    /// Nothing seen yet. What `settled` says of a feature's name saves looking at its values.
    pub(crate) fn new(mode: Lists, settled: &'a Settled<'a>) -> Self {
        Self { mode, settled: Some(settled), ..Self::default() }
    }

    /// Whether a feature may be of several kinds, of which that of most records counts. Default: no, a
    /// second kind is an error.
    pub(crate) fn with_kinds_that_differ(mut self, kinds_differ: bool) -> Self {
        self.kinds_differ = kinds_differ;
        self
    }

    /// Whether a record held a feature as `spec` says, as far as its kind goes.
    pub(crate) fn has_seen(&self, spec: &FeatureSpec) -> bool {
        let table = if spec.feature_list { &self.lists } else { &self.features };
        let slot = table.slots.get(spec.name.as_bytes());
        let seen = slot.and_then(|slot| table.seen.get(*slot));
        seen.is_some_and(|seen| seen.of(spec.wire_kind()).is_some())
    }

    /// Records observed so far.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Whether the records are `SequenceExample`, by what was said or seen of them.
    pub(crate) fn is_sequence(&self) -> bool {
        self.mode == Lists::Read
    }

    /// Whether any record held a feature or a feature list.
    pub(crate) fn has_names(&self) -> bool {
        !self.features.seen.is_empty() || !self.lists.seen.is_empty()
    }

    /// The names of all features or of all feature lists.
    pub(crate) fn names(&self, feature_lists: bool) -> impl Iterator<Item = &str> {
        let table = if feature_lists { &self.lists } else { &self.features };
        table.seen.iter().map(|seen| seen.name.as_str())
    }

    /// Takes one serialized Example or SequenceExample into account.
    ///
    /// # Errors
    /// The record is not a sound message, or one of its features is of another kind than in an
    /// earlier record.
    pub(crate) fn observe(&mut self, record: &[u8]) -> Result<()> {
        self.features.record.clear();
        self.lists.record.clear();
        match example::visit_example(record, self) {
            Ok(()) => {}
            Err(VisitError::Wire(error)) => return Err(unsound_example(error)),
            Err(VisitError::Visitor(error)) => return Err(error),
        }
        // A record that contradicts earlier ones leaves no trace.
        if !self.kinds_differ {
            self.features.check()?;
            self.lists.check()?;
        }
        self.features.settle(false);
        self.lists.settle(true);
        self.records += 1;
        if record.len() > MAX_EMPTY && self.bare.is_none() && !self.has_names() {
            self.bare = Some(example::fields(record));
        }
        Ok(())
    }

    /// Refuses records of which no column can be made, though they hold something. `whole`: there are no
    /// more of them.
    ///
    /// # Errors
    /// There are such records, or no feature of them holds a value.
    pub(crate) fn check_columns(&self, whole: bool) -> Result<()> {
        if let Some(name) = self.names(false).chain(self.names(true)).next() {
            let records = self.records;
            let what = format!("no feature holds a value in {records} records, so that none has a type");
            let hint = Phrase::new(if whole {
                "pass {feature=_} if that is its type"
            } else {
                "pass {infer_records=all} to look at every record, or {feature=_} if that is its type"
            });
            return Err(Error::mismatch(what).in_column(name).with_hint(hint.pair(name, "int64?")));
        }
        self.bare.as_ref().map_or(Ok(()), |fields| Err(example::not_an_example(fields)))
    }

    /// The specs that fit every record observed: features in the order of their names, then
    /// feature lists. A feature that never had a kind has no type, and gets no spec.
    pub(crate) fn finish(&self) -> Vec<FeatureSpec> {
        let mut specs: Vec<_> = self.features.seen.iter().filter_map(|s| self.spec(s, false)).collect();
        specs.extend(self.lists.seen.iter().filter_map(|s| self.spec(s, true)));
        specs.sort_by(|a, b| (a.feature_list, &a.name).cmp(&(b.feature_list, &b.name)));
        specs
    }

    fn spec(&self, seen: &Seen, feature_list: bool) -> Option<FeatureSpec> {
        let kind = seen.kind();
        let seen_as = seen.of(kind).copied().unwrap_or_default();
        let dtype = match kind {
            Kind::None => return None,
            Kind::Bytes => DType::String,
            Kind::Float => DType::Float32,
            Kind::Int64 => DType::Int64,
        };
        // A step without values is not the same as a step that is missing.
        let always = feature_list || seen_as.filled == self.records;
        let shape = if seen_as.filled == 0 || feature_list && seen_as.fewest == 0 {
            Shape::Dims(vec![None])
        } else if seen_as.most == 1 {
            Shape::scalar()
        } else if seen_as.fewest == seen_as.most && always {
            Shape::known(&[seen_as.most as u64])
        } else {
            Shape::Dims(vec![None])
        };
        let mut spec = FeatureSpec::values(seen.name.clone(), dtype, shape);
        spec.feature_list = feature_list;
        // Without a single value there is no evidence of text.
        spec.text = kind == Kind::Bytes && seen_as.utf8 && seen_as.most > 0;
        Some(spec)
    }

    /// How many values a feature has, and whether they are text, if it `may_be_text`.
    fn count(&mut self, feature: Feature<'_>, may_be_text: bool) -> Result<(usize, bool), WireError> {
        let mut utf8 = may_be_text;
        let values = match feature.kind {
            Kind::None => 0,
            Kind::Int64 => {
                self.ints.clear();
                example::extend_int64s(feature.list, &mut self.ints)?;
                self.ints.len()
            }
            Kind::Float => {
                self.floats.clear();
                example::extend_floats(feature.list, &mut self.floats)?;
                self.floats.len()
            }
            Kind::Bytes => {
                let mut values = 0;
                example::for_each_bytes(feature.list, |bytes| {
                    values += 1;
                    utf8 = utf8 && simdutf8::basic::from_utf8(bytes).is_ok() && !bytes.contains(&0);
                    Ok::<_, WireError>(())
                })?;
                values
            }
        };
        Ok((values, utf8))
    }

    fn feature_list(&mut self, key: &[u8], list: &[u8]) -> Result<()> {
        let slot = self.lists.slot(key, self.settled)?;
        let is_settled = self.lists.is_settled(slot);
        let mut all =
            Observation { slot, kind: Kind::None, other: None, fewest: usize::MAX, most: 0, utf8: true };
        let steps = example::for_each_step(list, |step| {
            if step.kind == Kind::None {
                return Ok(());
            }
            if all.kind == Kind::None {
                all.kind = step.kind;
            }
            if is_settled {
                return Ok(());
            }
            if all.kind != step.kind {
                all.other = Some(step.kind);
                return Ok(());
            }
            let (values, utf8) = self.count(step, self.lists.may_be_text(slot))?;
            all.fewest = all.fewest.min(values);
            all.most = all.most.max(values);
            all.utf8 &= utf8;
            Ok(())
        });
        steps.map_err(|e| match e {
            VisitError::Wire(e) | VisitError::Visitor(e) => {
                unsound_example(e).in_column(&*String::from_utf8_lossy(key))
            }
        })?;
        self.lists.observe(all);
        Ok(())
    }
}

impl Table {
    /// A key that occurs twice counts as it was last.
    fn observe(&mut self, observation: Observation) {
        let place = self.seen.get(observation.slot).map_or(0, |seen| seen.place);
        match self.record.get_mut(place).filter(|earlier| earlier.slot == observation.slot) {
            Some(earlier) => *earlier = observation,
            None => {
                if let Some(seen) = self.seen.get_mut(observation.slot) {
                    seen.place = self.record.len();
                }
                self.record.push(observation);
            }
        }
    }

    /// Whether what one record held is of the kinds that earlier ones held.
    fn check(&self) -> Result<()> {
        for observation in &self.record {
            let Some(seen) = self.seen.get(observation.slot) else { continue };
            if observation.kind == Kind::None || seen.settled {
                continue;
            }
            let before = if seen.first == Kind::None { observation.kind } else { seen.first };
            let other = observation.other.unwrap_or(observation.kind);
            if let Some(now) = [other, observation.kind].into_iter().find(|kind| *kind != before) {
                return Err(changes_kind(&seen.name, before, now));
            }
        }
        Ok(())
    }

    /// Takes over what one record held. A feature without values may be a scalar that is missing;
    /// a step without values is a list.
    fn settle(&mut self, feature_lists: bool) {
        for observation in &self.record {
            let Some(seen) = self.seen.get_mut(observation.slot) else { continue };
            // A list of several kinds is of none.
            if observation.kind == Kind::None || observation.other.is_some() {
                continue;
            }
            if seen.first == Kind::None {
                seen.first = observation.kind;
            }
            let settled = seen.settled;
            let index = Kind::OF_VALUES.iter().position(|kind| *kind == observation.kind);
            let Some(seen) = index.and_then(|index| seen.kinds.get_mut(index)) else { continue };
            seen.records += 1;
            if !settled && (observation.most > 0 || feature_lists) {
                seen.filled += 1;
                seen.fewest = seen.fewest.min(observation.fewest);
                seen.most = seen.most.max(observation.most);
                seen.utf8 &= observation.utf8;
            }
        }
    }

    fn is_settled(&self, slot: usize) -> bool {
        self.seen.get(slot).is_some_and(|seen| seen.settled)
    }

    /// Whether every value of bytes was text so far.
    fn may_be_text(&self, slot: usize) -> bool {
        self.seen.get(slot).and_then(|seen| seen.of(Kind::Bytes)).is_none_or(|seen_as| seen_as.utf8)
    }

    fn slot(&mut self, key: &[u8], settled: Option<&Settled<'_>>) -> Result<usize> {
        // Most writers keep to one order: what came at this place last is compared first.
        let position = self.record.len();
        let expected = self.expected.get(position).copied();
        if let Some(slot) =
            expected.filter(|slot| self.seen.get(*slot).is_some_and(|s| s.name.as_bytes() == key))
        {
            return Ok(slot);
        }
        if let Some(&slot) = self.slots.get(key) {
            match self.expected.get_mut(position) {
                Some(expected) => *expected = slot,
                None => self.expected.push(slot),
            }
            return Ok(slot);
        }
        let name = example::check_name(key)?;
        if self.seen.len() >= MAX_FEATURES {
            return Err(Error::limit("too many features")
                .expected(format!("at most {MAX_FEATURES}"), "more")
                .with_hint(Phrase::new("pass {record=raw} if the records are something else")));
        }
        let slot = self.seen.len();
        self.slots.insert(key.to_vec(), slot);
        self.seen.push(Seen {
            name: name.to_owned(),
            settled: settled.is_some_and(|settled| settled(name)),
            first: Kind::None,
            kinds: [SeenAs::default(); 3],
            place: usize::MAX,
        });
        Ok(slot)
    }
}

impl FeatureVisitor for Inference<'_> {
    type Error = Error;

    fn feature(&mut self, key: &[u8], feature: Feature<'_>) -> Result<()> {
        let slot = self.features.slot(key, self.settled)?;
        let (values, utf8) = match self.features.is_settled(slot) {
            true => (0, true),
            false => self
                .count(feature, self.features.may_be_text(slot))
                .map_err(|e| unsound_example(e).in_column(&*String::from_utf8_lossy(key)))?,
        };
        self.features.observe(Observation {
            slot,
            kind: feature.kind,
            other: None,
            fewest: values,
            most: values,
            utf8,
        });
        Ok(())
    }

    fn feature_lists(&mut self, lists: &[u8]) -> Result<bool, VisitError<Error>> {
        if self.mode != Lists::Read && !example::holds_feature_lists(lists) {
            return Ok(false);
        }
        match self.mode {
            Lists::Refuse => return Err(VisitError::Visitor(unexpected_feature_lists())),
            Lists::Find => self.mode = Lists::Read,
            Lists::Read => {}
        }
        example::for_each_feature_list(lists, |key, list| self.feature_list(key, list))?;
        Ok(example::has_entries(lists))
    }

    fn no_features(&mut self, record: &[u8]) -> Result<()> {
        Err(example::other_fields(record))
    }
}

/// What helps where a feature is of several kinds.
pub(crate) fn kinds_differ(name: &str) -> Phrase {
    Phrase::new("pass {on_error=null-value} for null where it does not fit, or {exclude=_} to leave it out")
        .name(name)
}

#[cold]
fn changes_kind(name: &str, before: Kind, now: Kind) -> Error {
    Error::mismatch("feature changes its kind")
        .expected(before.name(), now.name())
        .in_column(name)
        .with_hint(kinds_differ(name))
}

/// The error of an Example that is a `SequenceExample`.
#[cold]
pub(crate) fn unexpected_feature_lists() -> Error {
    Error::mismatch("record has feature lists, as a SequenceExample has them, and was taken for an Example")
        .with_hint(Phrase::new("pass {record=sequence}"))
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
