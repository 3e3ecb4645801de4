//! In which types columns are stored, where Parquet does not have theirs.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date64Type, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit,
};
use parquet::arrow::ArrowSchemaConverter;

use super::parquet_error;
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::source::guard::no_panic;
use crate::tensor::extension::{is_of_others, without_extension};

const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// The schema that is stored for columns of `schema`: seconds as milliseconds and dates as days, as
/// pyarrow stores them; what is in a dictionary without views.
///
/// # Errors
/// Parquet has no place for a column.
pub(super) fn stored(schema: &Schema) -> Result<Schema> {
    let mut fields: Vec<FieldRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let refused = || {
            Error::unsupported(format!("Parquet has no place for a column of type {}", field.data_type()))
                .in_column(field.name().as_str())
                .with_hint(Phrase::new("leave it out with {exclude}, or write Arrow"))
        };
        let stored = stored_field(field).ok_or_else(refused)?;
        let alone = Schema::new(vec![stored.clone()]);
        no_panic("column", || ArrowSchemaConverter::new().convert(&alone).map_err(parquet_error))
            .map_err(|e| refused().with_cause(e.message()))?;
        fields.push(stored);
    }
    Ok(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn stored_field(field: &FieldRef) -> Option<FieldRef> {
    let data_type = stored_type(field.data_type())?;
    if data_type == *field.data_type() {
        return Some(field.clone());
    }
    let own = field.as_ref().clone();
    let own = if is_of_others(field) { without_extension(own) } else { own };
    Some(Arc::new(own.with_data_type(data_type)))
}

/// `None` if there is none.
fn stored_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Date64 => DataType::Date32,
        DataType::Union(..) | DataType::Interval(IntervalUnit::MonthDayNano) => return None,
        DataType::Struct(fields) => {
            let fields: Fields = fields.iter().map(stored_field).collect::<Option<_>>()?;
            if fields.is_empty() {
                return None;
            }
            DataType::Struct(fields)
        }
        DataType::List(item) => DataType::List(stored_field(item)?),
        DataType::LargeList(item) => DataType::LargeList(stored_field(item)?),
        DataType::ListView(item) => DataType::ListView(stored_field(item)?),
        DataType::LargeListView(item) => DataType::LargeListView(stored_field(item)?),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(stored_field(item)?, *size),
        DataType::Map(entries, sorted) => DataType::Map(stored_field(entries)?, *sorted),
        DataType::RunEndEncoded(ends, values) => DataType::RunEndEncoded(ends.clone(), stored_field(values)?),
        DataType::Dictionary(keys, values) => {
            let values = match values.as_ref() {
                DataType::Utf8View => DataType::Utf8,
                DataType::BinaryView => DataType::Binary,
                other => stored_type(other)?,
            };
            DataType::Dictionary(keys.clone(), Box::new(values))
        }
        other => other.clone(),
    })
}

/// `batch` in the types of `schema`.
///
/// # Errors
/// A value cannot be stored: a date that is no whole day, say.
pub(super) fn as_stored(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = schema.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, column)| match field.data_type() == column.data_type() {
        true => Ok(column.clone()),
        false => column_as_stored(field, column).map_err(|e| e.in_column(field.name().as_str())),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<_>>()?;
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

fn column_as_stored(field: &Field, column: &ArrayRef) -> Result<ArrayRef> {
    if let Some(dates) = column.as_primitive_opt::<Date64Type>() {
        let whole = |date: i64| date % DAY_MILLISECONDS == 0;
        if !dates.iter().flatten().all(whole) {
            return Err(Error::mismatch("a date that is no whole day, which Parquet cannot store"));
        }
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, field.data_type(), &options)
        .map_err(|e| Error::mismatch("a value that Parquet cannot store").with_cause(e))
}
