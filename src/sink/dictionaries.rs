//! One dictionary for many batches, as an IPC file or a row group of Parquet has it: it grows, and
//! keys of later batches are those of it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, FixedSizeListArray, GenericListArray, MapArray,
    OffsetSizeTrait, RecordBatch, RecordBatchOptions, StructArray, UInt64Array, make_array,
};
use arrow::compute::{CastOptions, cast_with_options, concat, take};
use arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, FieldRef, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::row::{RowConverter, SortField};

use crate::error::{Error, Result};
use crate::options::Phrase;

/// Whether values of `data_type` are, or hold, those of a dictionary.
pub(super) fn has_dictionary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(..) => true,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => has_dictionary(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_dictionary(field.data_type())),
        DataType::Union(fields, _) => fields.iter().any(|(_, field)| has_dictionary(field.data_type())),
        _ => false,
    }
}

/// The dictionaries of a schema, in the order in which they are met.
#[derive(Debug, Default)]
pub(super) struct Dictionaries(Vec<Dictionary>);

/// One dictionary, with all values that were seen.
#[derive(Debug)]
struct Dictionary {
    values: ArrayRef,
    /// Where each value is, once there was another dictionary.
    places: Option<Places>,
    /// The other dictionary that came last, and where its values are in this one.
    last: Option<(ArrayRef, Vec<u64>)>,
}

#[derive(Debug)]
struct Places {
    rows: RowConverter,
    of: HashMap<Box<[u8]>, u64>,
}

impl Dictionaries {
    /// `batch` with these dictionaries in the place of its own; their values stay where they were, and
    /// new ones come after them.
    ///
    /// # Errors
    /// A dictionary has more values than its keys can count.
    pub(super) fn unify(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut met = 0;
        let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
            self.array(column, &mut met).map_err(|e| e.in_column(field.name().as_str()))
        });
        let columns = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
    }

    fn array(&mut self, array: &ArrayRef, met: &mut usize) -> Result<ArrayRef> {
        if !has_dictionary(array.data_type()) {
            return Ok(array.clone());
        }
        let nulls = || array.nulls().cloned();
        Ok(match array.data_type() {
            DataType::Dictionary(..) => self.dictionary(array, met)?,
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().map(|column| self.array(column, met));
                let columns = columns.collect::<Result<_>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls(), array.len())?)
            }
            DataType::List(item) => self.list(array.as_list::<i32>(), item, met)?,
            DataType::LargeList(item) => self.list(array.as_list::<i64>(), item, met)?,
            DataType::FixedSizeList(item, size) => {
                let values = self.array(array.as_fixed_size_list().values(), met)?;
                let (item, len) = (item.clone(), array.len());
                Arc::new(FixedSizeListArray::try_new_with_length(item, *size, values, nulls(), len)?)
            }
            DataType::Map(entries, sorted) => {
                let map = array.as_map();
                let pairs: ArrayRef = Arc::new(map.entries().clone());
                let pairs = self.array(&pairs, met)?.as_struct().clone();
                let offsets = map.offsets().clone();
                Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls(), *sorted)?)
            }
            _ => {
                let data = array.to_data();
                let children = data.child_data().iter().map(|child| {
                    let child = make_array(child.clone());
                    Ok(self.array(&child, met)?.to_data())
                });
                let children = children.collect::<Result<_>>()?;
                make_array(data.into_builder().child_data(children).build()?)
            }
        })
    }

    fn list<O: OffsetSizeTrait>(
        &mut self,
        list: &GenericListArray<O>,
        item: &FieldRef,
        met: &mut usize,
    ) -> Result<ArrayRef> {
        let values = self.array(list.values(), met)?;
        let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
        Ok(Arc::new(GenericListArray::try_new(item.clone(), offsets, values, nulls)?))
    }

    fn dictionary(&mut self, array: &ArrayRef, met: &mut usize) -> Result<ArrayRef> {
        let own = array.as_any_dictionary();
        let at = *met;
        *met += 1;
        let Some(dictionary) = self.0.get_mut(at) else {
            self.0.push(Dictionary { values: own.values().clone(), places: None, last: None });
            return Ok(array.clone());
        };
        if same(&dictionary.values, own.values()) {
            return Ok(own.with_values(dictionary.values.clone()));
        }
        let places = dictionary.places_of(own.values())?;
        let place = |key: usize| places.get(key).copied().unwrap_or_default();
        let keys = own.normalized_keys().into_iter().map(place);
        let keys = UInt64Array::new(keys.collect(), own.keys().nulls().cloned());
        with_keys(&keys, own.keys().data_type(), &dictionary.values)
    }
}

impl Dictionary {
    /// Where the values of `others` are; those that are new are added.
    fn places_of(&mut self, others: &ArrayRef) -> Result<&[u64]> {
        let known = self.last.as_ref().is_some_and(|(last, _)| same(last, others));
        if !known {
            let places = self.find(others)?;
            self.last = Some((others.clone(), places));
        }
        Ok(self.last.as_ref().map_or(&[], |(_, places)| places))
    }

    fn find(&mut self, others: &ArrayRef) -> Result<Vec<u64>> {
        let places = match &mut self.places {
            Some(places) => places,
            none => {
                let rows = RowConverter::new(vec![SortField::new(self.values.data_type().clone())])?;
                let mut places = Places { rows, of: HashMap::new() };
                let values = places.rows.convert_columns(std::slice::from_ref(&self.values))?;
                for (place, value) in (0..).zip(&values) {
                    places.of.entry(value.as_ref().into()).or_insert(place);
                }
                none.insert(places)
            }
        };
        let mut new = Vec::new();
        let mut found = Vec::with_capacity(others.len());
        let values = places.rows.convert_columns(std::slice::from_ref(others))?;
        for (at, value) in (0..).zip(&values) {
            let next = self.values.len() as u64 + new.len() as u64;
            let place = *places.of.entry(value.as_ref().into()).or_insert(next);
            if place == next {
                new.push(at);
            }
            found.push(place);
        }
        if !new.is_empty() {
            let new = take(others, &UInt64Array::from(new), None)?;
            self.values = concat(&[self.values.as_ref(), new.as_ref()])?;
        }
        Ok(found)
    }
}

/// Whether two dictionaries are one, or look the same.
fn same(a: &ArrayRef, b: &ArrayRef) -> bool {
    Arc::ptr_eq(a, b) || a.to_data().ptr_eq(&b.to_data()) || a == b
}

fn with_keys(keys: &UInt64Array, to: &DataType, values: &ArrayRef) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let keys = cast_with_options(keys, to, &strict).map_err(|_| {
        Error::limit(
            "a dictionary with more values than its keys can count, where an Arrow file has one for all",
        )
        .expected(format!("keys of type {to}"), format!("{} values", values.len()))
        .with_hint(Phrase::new(
            "write Parquet or an Arrow stream (.arrows), or leave the column out with {exclude}",
        ))
    })?;
    fn array<K: ArrowDictionaryKeyType>(keys: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef> {
        let keys = keys.as_primitive::<K>().clone();
        Ok(Arc::new(DictionaryArray::<K>::try_new(keys, values.clone())?))
    }
    match to {
        DataType::Int8 => array::<Int8Type>(&keys, values),
        DataType::Int16 => array::<Int16Type>(&keys, values),
        DataType::Int32 => array::<Int32Type>(&keys, values),
        DataType::Int64 => array::<Int64Type>(&keys, values),
        DataType::UInt8 => array::<UInt8Type>(&keys, values),
        DataType::UInt16 => array::<UInt16Type>(&keys, values),
        DataType::UInt32 => array::<UInt32Type>(&keys, values),
        _ => array::<UInt64Type>(&keys, values),
    }
}
