//! What the footer of a Parquet file says, put right where the Parquet crate goes by it too closely.

use std::collections::HashSet;
use std::sync::Arc;

use ::parquet::arrow::ARROW_SCHEMA_META_KEY;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use ::parquet::basic::{ConvertedType, Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, ParquetStatisticsPolicy,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow_ipc::root_as_message;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::source::ipc_schema;
use crate::source::parquet_file::ParquetFile;

/// Reads the footer of `file`, and gives the schema that the file is to be given in: that of what is
/// read is another where the crate needs it.
///
/// # Errors
/// It cannot be read, or is damaged.
pub(super) fn read(file: &ParquetFile) -> Result<(ArrowReaderMetadata, Schema), ParquetError> {
    // Nobody asks for statistics.
    let options = || {
        ArrowReaderOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
    };
    let mut metadata = ArrowReaderMetadata::load(file, options())?;
    if let Some(counted) = with_counted_rows(metadata.metadata()) {
        metadata = ArrowReaderMetadata::try_new(Arc::new(counted), options())?;
    }
    let mut schema = readable(metadata.schema(), written_schema(metadata.metadata()).as_deref());
    if is_of_spark(metadata.metadata()) {
        schema = with_int96_in_microseconds(&schema, metadata.metadata());
    }
    let read_as = with_wide_keys(&schema);
    if read_as != **metadata.schema() {
        let options = options().with_schema(Arc::new(read_as));
        metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)?;
    }
    Ok((metadata, schema))
}

/// Whether Spark wrote the file, whose points in time have microseconds, and any year.
fn is_of_spark(metadata: &ParquetMetaData) -> bool {
    let pairs = metadata.file_metadata().key_value_metadata();
    pairs.is_some_and(|pairs| pairs.iter().any(|pair| pair.key.starts_with("org.apache.spark.")))
}

/// The columns that may hold text of which the Parquet file does not say that it is UTF-8: JSON, enums,
/// and what the Arrow schema in the file calls text. The Parquet crate makes text of such bytes unseen.
pub(super) fn unchecked_text(metadata: &ArrowReaderMetadata) -> HashSet<String> {
    let columns = metadata.parquet_schema().columns().iter();
    let unchecked = columns.filter(|column| column.converted_type() != ConvertedType::UTF8);
    unchecked.filter_map(|column| column.path().parts().first().cloned()).collect()
}

/// The columns of the Parquet file that hold INT96, and metadata to read them in microseconds, if what
/// `schema` gives is in nanoseconds: these hold the years 1677 to 2262, and others come out wrong.
///
/// # Errors
/// None that can be expected.
pub(super) fn int96_in_nanoseconds(
    metadata: &ArrowReaderMetadata,
) -> Result<Option<(Vec<usize>, ArrowReaderMetadata)>, ParquetError> {
    let schema = with_int96_in_microseconds(metadata.schema(), metadata.metadata());
    if schema == **metadata.schema() {
        return Ok(None);
    }
    let columns = metadata.parquet_schema().columns().iter().enumerate();
    let leaves = columns.filter(|(_, column)| column.physical_type() == Type::INT96).map(|(leaf, _)| leaf);
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    let coarse = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options)?;
    Ok(Some((leaves.collect(), coarse)))
}

fn with_int96_in_microseconds(schema: &Schema, metadata: &ParquetMetaData) -> Schema {
    /// `leaf` is the number of the next Parquet column.
    fn retyped(field: &FieldRef, is_int96: &[bool], leaf: &mut usize) -> FieldRef {
        let mut inner = |field: &FieldRef| retyped(field, is_int96, leaf);
        let data_type = match field.data_type() {
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
            DataType::List(item) => DataType::List(inner(item)),
            DataType::LargeList(item) => DataType::LargeList(inner(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
            DataType::Map(item, sorted) => DataType::Map(inner(item), *sorted),
            other => {
                let int96 = is_int96.get(*leaf).copied().unwrap_or(false);
                *leaf += 1;
                match other {
                    DataType::Timestamp(TimeUnit::Nanosecond, zone) if int96 => {
                        DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                    }
                    other => other.clone(),
                }
            }
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    }
    let columns = metadata.file_metadata().schema_descr().columns();
    let is_int96: Vec<bool> = columns.iter().map(|column| column.physical_type() == Type::INT96).collect();
    let mut leaf = 0;
    let fields: Fields = schema.fields().iter().map(|field| retyped(field, &is_int96, &mut leaf)).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// `schema` with dictionaries whose keys count more than 16 bits do: the crate refuses one that has
/// exactly as many values as its keys can count.
fn with_wide_keys(schema: &Schema) -> Schema {
    fn field(of: &FieldRef) -> FieldRef {
        let data_type = match of.data_type() {
            DataType::Dictionary(keys, values) if keys.primitive_width().is_some_and(|width| width < 4) => {
                DataType::Dictionary(Box::new(DataType::Int32), values.clone())
            }
            DataType::List(item) => DataType::List(field(item)),
            DataType::LargeList(item) => DataType::LargeList(field(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
            DataType::Map(item, sorted) => DataType::Map(field(item), *sorted),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
            _ => return of.clone(),
        };
        Arc::new(of.as_ref().clone().with_data_type(data_type))
    }
    let fields: Fields = schema.fields().iter().map(field).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// The metadata with the rows of its row groups added up, if it says another number of rows: the
/// crate would read no more than that.
fn with_counted_rows(metadata: &ParquetMetaData) -> Option<ParquetMetaData> {
    let rows = metadata.row_groups().iter().map(|group| group.num_rows()).try_fold(0i64, i64::checked_add)?;
    let file = metadata.file_metadata();
    if file.num_rows() == rows {
        return None;
    }
    let file = FileMetaData::new(
        file.version(),
        rows,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    Some(ParquetMetaDataBuilder::new(file).set_row_groups(metadata.row_groups().to_vec()).build())
}

/// The schema that the file was written from, if its writer kept it.
fn written_schema(metadata: &ParquetMetaData) -> Option<SchemaRef> {
    const PREFIX_BYTES: usize = 8;
    let pairs = metadata.file_metadata().key_value_metadata()?;
    let encoded = pairs.iter().find(|pair| pair.key == ARROW_SCHEMA_META_KEY)?.value.as_ref()?;
    let bytes = BASE64_STANDARD.decode(encoded).ok()?;
    let message = if bytes.starts_with(&[0xff; 4]) { bytes.get(PREFIX_BYTES..)? } else { &bytes };
    ipc_schema::read(root_as_message(message).ok()?.header_as_schema()?).ok()
}

/// `schema` without what cannot be read so, and with the time zones that were written.
fn readable(schema: &Schema, written: Option<&Schema>) -> Schema {
    let fields = readable_fields(schema.fields(), written.map(Schema::fields));
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn readable_fields(fields: &Fields, written: Option<&Fields>) -> Fields {
    let same = written.filter(|written| written.len() == fields.len());
    let each = |(at, field): (usize, &FieldRef)| readable_field(field, same.and_then(|same| same.get(at)));
    fields.iter().enumerate().map(each).collect()
}

fn readable_field(field: &FieldRef, written: Option<&FieldRef>) -> FieldRef {
    let data_type = readable_type(field.data_type(), written.map(|field| field.data_type()));
    match data_type == *field.data_type() {
        true => field.clone(),
        false => Arc::new(field.as_ref().clone().with_data_type(data_type)),
    }
}

fn readable_type(data_type: &DataType, written: Option<&DataType>) -> DataType {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct, Timestamp};
    let item = |field: &FieldRef| readable_field(field, written.and_then(item_of));
    match (data_type, written) {
        // Seconds are stored as milliseconds, and the zone is lost on the way.
        (Timestamp(unit, Some(_)), Some(Timestamp(_, Some(zone)))) => Timestamp(*unit, Some(zone.clone())),
        // Dictionaries are read of strings and numbers only.
        (DataType::Dictionary(_, values), _) => match values.as_ref() {
            DataType::FixedSizeBinary(_) => values.as_ref().clone(),
            decimal if decimal.is_decimal() => decimal.clone(),
            _ => data_type.clone(),
        },
        (List(field), _) => List(item(field)),
        (LargeList(field), _) => LargeList(item(field)),
        (FixedSizeList(field, size), _) => FixedSizeList(item(field), *size),
        (Map(field, sorted), _) => Map(item(field), *sorted),
        (Struct(fields), written) => {
            let written = match written {
                Some(Struct(written)) => Some(written),
                _ => None,
            };
            Struct(readable_fields(fields, written))
        }
        _ => data_type.clone(),
    }
}

/// What lists and maps hold.
fn item_of(data_type: &DataType) -> Option<&Arc<Field>> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => Some(item),
        _ => None,
    }
}
