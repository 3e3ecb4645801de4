//! A batch of records on its way to being columns.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{NullBufferBuilder, RecordBatch, RecordBatchOptions};
use arrow::datatypes::DataType;

use super::slot::Slot;
use super::values::{Values, room_after};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Phrase;
use crate::schema::FeaturePlan;
use crate::schema::feature::{DefaultValue, Encoding, FeatureSpec, Missing};
use crate::schema::infer::unexpected_feature_lists;
use crate::tf::example::{self, Feature, FeatureVisitor, Kind, PlainEntry, VisitError, unsound_example};
use crate::tf::shape::Shape;

/// How many keys that are not asked for are remembered, so that hostile input cannot fill memory.
const MAX_IGNORED_KEYS: usize = 10_000;
/// How much more room a value can take in a column than in a record: a varint of one byte becomes
/// an int64.
const MAX_GROWTH: usize = 8;
/// Room that the columns of an empty decoder may take together.
const INITIAL_BYTES: usize = 64 << 20;
/// Rows for which there is room at first, however many columns there are.
const INITIAL_ROWS: usize = 16;

/// A key met in records and what to do with its feature.
#[derive(Debug)]
struct Key {
    name: Box<[u8]>,
    /// What its entries look like.
    entry: PlainEntry,
    /// The column, or none if the feature was not asked for.
    column: Option<usize>,
}

/// The keys of features, or of feature lists, and where they stood in the last record.
#[derive(Debug, Default)]
struct Keys {
    keys: Vec<Key>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The keys of the last record, in its order: most writers never change it, so the next
    /// record's keys are compared with these before anything is hashed.
    expected: Vec<usize>,
    position: usize,
    wanted: usize,
}

impl Keys {
    fn add(&mut self, name: Box<[u8]>, column: Option<usize>) -> usize {
        let key = self.keys.len();
        self.wanted += usize::from(column.is_some());
        self.by_name.insert(name.clone(), key);
        self.keys.push(Key { entry: PlainEntry::new(&name), name, column });
        key
    }

    /// The column of the next key of a record; `None` if it is not asked for. For a name never met
    /// before, `check` says whether it is to be ignored from now on, too.
    #[inline]
    fn next(&mut self, name: &[u8], check: impl FnOnce() -> Result<bool>) -> Result<Option<usize>> {
        let expected = self.expected.get(self.position).copied();
        let key = match expected.filter(|key| self.keys.get(*key).is_some_and(|key| *key.name == *name)) {
            Some(key) => key,
            None => self.look_up(name, check)?,
        };
        self.position += 1;
        Ok(self.keys.get(key).and_then(|key| key.column))
    }

    #[cold]
    fn look_up(&mut self, name: &[u8], check: impl FnOnce() -> Result<bool>) -> Result<usize> {
        let key = match self.by_name.get(name) {
            Some(&key) => key,
            None => {
                let ignore = check()?;
                if !ignore || self.keys.len() >= self.wanted + MAX_IGNORED_KEYS {
                    return Ok(usize::MAX);
                }
                self.add(name.into(), None)
            }
        };
        let room = self.expected.len() == self.position && self.position < self.keys.len();
        match self.expected.get_mut(self.position) {
            Some(expected) => *expected = key,
            None if room => self.expected.push(key),
            None => {}
        }
        Ok(key)
    }
}

/// Builds batches from records of either kind.
#[derive(Debug)]
pub(crate) enum RecordDecoder {
    /// Records are `tf.train.Example` or `SequenceExample`.
    Example(Box<ExampleDecoder>),
    /// Records are kept as bytes.
    Raw(RawDecoder),
}

impl RecordDecoder {
    /// A decoder with room for `capacity` rows.
    ///
    /// # Errors
    /// A feature of the plan cannot be built.
    pub(crate) fn new(plan: &Arc<FeaturePlan>, raw: bool, capacity: usize) -> Result<Self> {
        Ok(if raw {
            RecordDecoder::Raw(RawDecoder::new(plan.clone(), capacity)?)
        } else {
            RecordDecoder::Example(Box::new(ExampleDecoder::new(plan.clone(), capacity)?))
        })
    }

    /// Rows appended since the last batch.
    pub(crate) fn rows(&self) -> usize {
        match self {
            RecordDecoder::Example(decoder) => decoder.rows,
            RecordDecoder::Raw(decoder) => decoder.values.len(),
        }
    }

    /// Appends one record as a row.
    ///
    /// # Errors
    /// The record contradicts the plan.
    #[inline]
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<()> {
        match self {
            RecordDecoder::Example(decoder) => decoder.append(record),
            RecordDecoder::Raw(decoder) => decoder.append(record),
        }
    }

    /// Undoes an [`append`](Self::append) that failed.
    pub(crate) fn rollback(&mut self) {
        match self {
            RecordDecoder::Example(decoder) => decoder.rollback(),
            RecordDecoder::Raw(_) => {}
        }
    }

    /// What of the records appended could not be read as the values of their columns, and is null,
    /// where the plan says so.
    pub(crate) fn take_lost(&mut self) -> Vec<Error> {
        match self {
            RecordDecoder::Example(decoder) => std::mem::take(&mut decoder.losses.errors),
            RecordDecoder::Raw(_) => Vec::new(),
        }
    }

    /// Appends a row whose columns are all null.
    ///
    /// # Errors
    /// A column would outgrow 32-bit offsets.
    pub(crate) fn push_null(&mut self) -> Result<()> {
        match self {
            RecordDecoder::Example(decoder) => decoder.push_null(),
            RecordDecoder::Raw(decoder) => decoder.push_null(),
        }
    }

    /// Whether the rows take at least `limit` bytes. Cheap enough to be asked after every row.
    #[inline]
    pub(crate) fn is_full(&mut self, limit: usize) -> bool {
        match self {
            RecordDecoder::Example(decoder) => decoder.is_full(limit),
            RecordDecoder::Raw(decoder) => decoder.values.byte_len() >= limit,
        }
    }

    /// The rows as a batch; the decoder is then empty.
    ///
    /// # Errors
    /// A column cannot be built.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        match self {
            RecordDecoder::Example(decoder) => decoder.finish(),
            RecordDecoder::Raw(decoder) => decoder.finish(),
        }
    }
}

/// Builds batches of one column that holds the records as they are.
#[derive(Debug)]
pub(crate) struct RawDecoder {
    plan: Arc<FeaturePlan>,
    values: Values,
    nulls: NullBufferBuilder,
    /// Values and their bytes that the next rows are expected to take.
    room: (usize, usize),
}

impl RawDecoder {
    fn new(plan: Arc<FeaturePlan>, capacity: usize) -> Result<Self> {
        let values = Values::with_capacity(&DataType::Binary, 0, 0)?;
        Ok(Self { plan, values, nulls: NullBufferBuilder::new(capacity), room: (capacity, 0) })
    }

    fn append(&mut self, record: &[u8]) -> Result<()> {
        self.push(record, true)
    }

    fn push_null(&mut self) -> Result<()> {
        self.push(&[], false)
    }

    fn push(&mut self, record: &[u8], valid: bool) -> Result<()> {
        let (values, bytes) = std::mem::take(&mut self.room);
        self.values.reserve(values, bytes);
        self.values.push_bytes(record).map_err(|_| {
            Error::limit("column outgrows 32-bit offsets")
                .in_column("record")
                .with_hint(Phrase::new("pass a smaller {batch_rows}"))
        })?;
        self.nulls.append(valid);
        Ok(())
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let (values, bytes) = self.values.size_hint();
        self.room = (room_after(values), room_after(bytes));
        let fresh = Values::with_capacity(&DataType::Binary, 0, 0)?;
        let values = std::mem::replace(&mut self.values, fresh).finish(self.nulls.finish())?;
        Ok(RecordBatch::try_new(self.plan.schema.clone(), vec![values])?)
    }
}

/// What of the records could not be read as their columns' values, and is null.
#[derive(Debug, Default)]
struct Losses {
    /// Whether anything may be.
    allowed: bool,
    errors: Vec<Error>,
}

impl Losses {
    /// Puts null in place of the value in row `row` that `column` refused.
    ///
    /// # Errors
    /// `error`, if nothing may be null instead, or the row may begin the next batch.
    #[cold]
    fn put_null(&mut self, column: &mut Slot, row: usize, error: Error) -> Result<()> {
        if !self.allowed || error.kind() == ErrorKind::Limit && row > 0 {
            return Err(error);
        }
        column.truncate(row);
        column.push_null(row + 1)?;
        self.errors.push(error);
        Ok(())
    }

    /// Leaves out the values of a feature that has no column.
    ///
    /// # Errors
    /// `error`, if nothing may be lost.
    #[cold]
    fn leave_out(&mut self, error: Error) -> Result<()> {
        if !self.allowed {
            return Err(error);
        }
        self.errors.push(error);
        Ok(())
    }
}

/// Builds batches from serialized `tf.train.Example` or `SequenceExample` records.
#[derive(Debug)]
pub(crate) struct ExampleDecoder {
    plan: Arc<FeaturePlan>,
    columns: Vec<Slot>,
    losses: Losses,
    required: Vec<usize>,
    features: Keys,
    lists: Keys,
    rows: usize,
    /// No more than what the rows take, unless a column [expands](FeatureColumn::expands).
    at_most: usize,
    /// What a row takes of which the record holds nothing, at most.
    row_overhead: usize,
    /// Whether records hold columns in forms that may grow by any factor.
    expands: bool,
}

impl ExampleDecoder {
    /// A decoder with room for `capacity` rows.
    ///
    /// # Errors
    /// A feature of the plan cannot be built.
    pub(crate) fn new(plan: Arc<FeaturePlan>, capacity: usize) -> Result<Self> {
        let fixed: usize = plan.features.iter().map(fixed_bytes).fold(0, usize::saturating_add);
        let capacity = capacity.min((INITIAL_BYTES / fixed.max(1)).max(INITIAL_ROWS));
        let columns = plan
            .features
            .iter()
            .zip(&plan.fields)
            .map(|(spec, field)| Slot::new(spec, field, capacity))
            .collect::<Result<Vec<_>>>()?;
        let required = columns.iter().enumerate().filter(|(_, c)| c.is_required()).map(|(i, _)| i).collect();
        let mut decoder = Self {
            at_most: 0,
            row_overhead: fixed,
            losses: Losses { allowed: plan.null_values, errors: Vec::new() },
            expands: plan.features.iter().any(|spec| spec.encoding != Encoding::Values || spec.feature_list),
            plan,
            columns,
            required,
            features: Keys::default(),
            lists: Keys::default(),
            rows: 0,
        };
        for (column, slot) in decoder.columns.iter().enumerate() {
            let keys = if slot.is_feature_list() { &mut decoder.lists } else { &mut decoder.features };
            keys.add(slot.name().as_bytes().into(), Some(column));
        }
        Ok(decoder)
    }

    /// Whether the rows take at least `limit` bytes. The columns are asked only when they might.
    #[inline]
    pub(crate) fn is_full(&mut self, limit: usize) -> bool {
        if self.at_most < limit && !self.expands {
            return false;
        }
        let bytes = self.columns.iter().map(|column| column.byte_len(self.rows));
        self.at_most = bytes.fold(0, usize::saturating_add);
        self.at_most >= limit
    }

    /// Appends one record as a row.
    ///
    /// # Errors
    /// The record is no Example, or contradicts the plan; [`rollback`](Self::rollback) then undoes
    /// what of it was appended.
    #[inline]
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<()> {
        if self.rows == 0 {
            self.columns.iter_mut().for_each(Slot::make_room);
        }
        self.features.position = 0;
        self.lists.position = 0;
        match example::visit_example(record, self) {
            Ok(()) => {}
            Err(VisitError::Wire(error)) => return Err(unsound_example(error)),
            Err(VisitError::Visitor(error)) => {
                if !self.append_last(record)? {
                    return Err(error);
                }
            }
        }
        if !self.losses.errors.is_empty() {
            self.append_last(record)?;
        }
        let rows = self.rows + 1;
        for &column in &self.required {
            if let Some(column) = self.columns.get_mut(column).filter(|c| c.rows() < rows) {
                column.fill(rows).or_else(|e| self.losses.put_null(column, self.rows, e))?;
            }
        }
        self.rows = rows;
        let grown = record.len().saturating_mul(MAX_GROWTH).saturating_add(self.row_overhead);
        self.at_most = self.at_most.saturating_add(grown);
        Ok(())
    }

    /// Appends a row whose columns are all null.
    ///
    /// # Errors
    /// A column would outgrow 32-bit offsets.
    pub(crate) fn push_null(&mut self) -> Result<()> {
        self.rows += 1;
        self.at_most = self.at_most.saturating_add(self.row_overhead);
        self.columns.iter_mut().try_for_each(|column| column.push_null(self.rows))
    }

    /// What cannot be appended does not matter if its key occurs again: the last one counts. Tries
    /// again with the last ones alone; `false` if no key occurs again.
    #[cold]
    fn append_last(&mut self, record: &[u8]) -> Result<bool> {
        let mut last = LastOnly { sequence: self.plan.sequence, ..LastOnly::default() };
        if example::visit_example(record, &mut last).is_err() || !last.repeated {
            return Ok(false);
        }
        self.rollback();
        self.features.position = 0;
        self.lists.position = 0;
        for (key, (kind, list)) in &last.features {
            self.feature(key, Feature { kind: *kind, list })?;
        }
        for (key, list) in &last.lists {
            self.feature_list(key, list)?;
        }
        Ok(true)
    }

    fn feature_list(&mut self, name: &[u8], list: &[u8]) -> Result<()> {
        let (ignore, losses) = (self.plan.ignore_others, &mut self.losses);
        let column = self.lists.next(name, || {
            let name = example::check_name(name)?;
            if !ignore && has_values(list) {
                losses.leave_out(unknown_feature(name))?;
            }
            Ok(ignore)
        })?;
        match column.and_then(|column| self.columns.get_mut(column)) {
            Some(column) => {
                let set = column.set_steps(self.rows, list);
                set.or_else(|e| self.losses.put_null(column, self.rows, e))
            }
            None => Ok(()),
        }
    }

    /// Drops all rows but the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows = self.rows.min(rows);
        self.rollback();
    }

    /// Rows appended since the last batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Undoes an [`append`](Self::append) that failed.
    pub(crate) fn rollback(&mut self) {
        self.losses.errors.clear();
        for column in &mut self.columns {
            column.truncate(self.rows);
        }
    }

    /// The rows as a batch; the decoder is then empty.
    ///
    /// # Errors
    /// A column cannot be built.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.at_most = 0;
        let arrays = self
            .columns
            .iter_mut()
            .map(|column| {
                column.fill(rows)?;
                column.finish()
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), arrays, &options)?)
    }
}

/// A feature that the schema does not know, where every feature is asked for.
#[cold]
fn unknown_feature(name: &str) -> Error {
    Error::mismatch("feature that was in no record read for the schema").in_column(name).with_hint(
        Phrase::new("pass {infer_records=all} to look at every record, or {columns} to leave it out"),
    )
}

/// What one row of a feature takes at least, and at most where its record holds nothing of it.
fn fixed_bytes(spec: &FeatureSpec) -> usize {
    const BYTES_PER_VALUE: usize = 8;
    const OFFSETS_AND_NULLS: usize = 16;
    let values = match &spec.shape {
        Shape::Dims(dims) => dims
            .iter()
            .flatten()
            .fold(1usize, |product, dim| product.saturating_mul(usize::try_from(*dim).unwrap_or(usize::MAX))),
        Shape::UnknownRank => 1,
    };
    let default = match &spec.missing {
        Missing::Default(DefaultValue::Bytes(bytes)) => bytes.len(),
        _ => 0,
    };
    values.saturating_mul(BYTES_PER_VALUE.saturating_add(default)).saturating_add(OFFSETS_AND_NULLS)
}

impl FeatureVisitor for ExampleDecoder {
    type Error = Error;

    #[inline]
    fn feature(&mut self, name: &[u8], feature: Feature<'_>) -> Result<()> {
        let (ignore, losses) = (self.plan.ignore_others, &mut self.losses);
        let column = self.features.next(name, || {
            let name = example::check_name(name)?;
            if !ignore && feature.kind != Kind::None {
                losses.leave_out(unknown_feature(name))?;
            }
            Ok(ignore)
        })?;
        match column.and_then(|column| self.columns.get_mut(column)) {
            Some(column) => {
                let set = column.set(self.rows, feature.kind, feature.list);
                set.or_else(|e| self.losses.put_null(column, self.rows, e))
            }
            None => Ok(()),
        }
    }

    /// Most records have the keys of the last one, in its order: such entries are compared with what
    /// is expected, and set, or passed over if they are not asked for.
    #[inline]
    fn take_expected(&mut self, entries: &[u8]) -> Result<usize> {
        let Keys { keys, expected, position, .. } = &mut self.features;
        let mut taken = 0;
        let (column, error) = 'refused: {
            while let Some(key) = expected.get(*position).and_then(|key| keys.get(*key))
                && let Some((bytes, value)) =
                    entries.get(taken..).and_then(|entries| key.entry.split(entries))
            {
                if let Some(column) = key.column.and_then(|column| self.columns.get_mut(column)) {
                    let Some(Feature { kind, list }) = example::plain_feature(value) else { break };
                    if let Err(error) = column.set(self.rows, kind, list) {
                        taken += bytes;
                        *position += 1;
                        // Dealt with outside of the loop, which is where most of the time goes.
                        break 'refused (column, error);
                    }
                }
                taken += bytes;
                *position += 1;
            }
            return Ok(taken);
        };
        self.losses.put_null(column, self.rows, error)?;
        Ok(taken)
    }

    fn feature_lists(&mut self, lists: &[u8]) -> Result<bool, VisitError<Error>> {
        if !self.plan.sequence {
            return match example::holds_feature_lists(lists) {
                true => Err(VisitError::Visitor(unexpected_feature_lists())),
                false => Ok(false),
            };
        }
        if !self.plan.ignore_others || self.lists.wanted > 0 {
            example::for_each_feature_list(lists, |name, list| self.feature_list(name, list))?;
        }
        Ok(example::has_entries(lists))
    }

    #[cold]
    fn no_features(&mut self, record: &[u8]) -> Result<()> {
        Err(example::other_fields(record))
    }
}

/// The last feature and feature list of every key of a record.
#[derive(Debug, Default)]
struct LastOnly {
    sequence: bool,
    features: BTreeMap<Vec<u8>, (Kind, Vec<u8>)>,
    lists: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether a key occurred twice.
    repeated: bool,
}

impl FeatureVisitor for LastOnly {
    type Error = Error;

    fn feature(&mut self, key: &[u8], feature: Feature<'_>) -> Result<()> {
        let value = (feature.kind, feature.list.to_vec());
        self.repeated |= self.features.insert(key.to_vec(), value).is_some();
        Ok(())
    }

    fn feature_lists(&mut self, lists: &[u8]) -> Result<bool, VisitError<Error>> {
        if !self.sequence {
            return match example::holds_feature_lists(lists) {
                true => Err(VisitError::Visitor(unexpected_feature_lists())),
                false => Ok(false),
            };
        }
        example::for_each_feature_list(lists, |key, list| {
            self.repeated |= self.lists.insert(key.to_vec(), list.to_vec()).is_some();
            Ok(())
        })?;
        Ok(example::has_entries(lists))
    }

    fn no_features(&mut self, record: &[u8]) -> Result<()> {
        Err(example::other_fields(record))
    }
}

/// Whether a step of a serialized `FeatureList` says of which kind it is.
fn has_values(list: &[u8]) -> bool {
    let mut found = false;
    let steps = example::for_each_step(list, |step| {
        found |= step.kind != Kind::None;
        Ok::<_, ()>(())
    });
    found || steps.is_err()
}
