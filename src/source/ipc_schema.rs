//! Schemas of Arrow IPC, checked before arrow-ipc takes them: it panics over what it does not know,
//! and does not look at the byte order.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::{self as ipc, DateUnit, Endianness, IntervalUnit, Precision, TimeUnit, Type, UnionMode};

use crate::error::{Error, Result};

/// Types of values that a union can have.
const MAX_UNION_TYPES: usize = 128;

/// The schema that `message` describes.
///
/// # Errors
/// The data is of the other byte order or of a type that is not known, or the schema is damaged.
pub(crate) fn read(message: ipc::Schema<'_>) -> Result<SchemaRef> {
    let order = message.endianness();
    if !order.equals_to_target_endianness() {
        return Err(match order {
            Endianness::Big => Error::unsupported("Arrow data in big-endian byte order")
                .with_hint("write it with a little-endian machine, or let pyarrow read and write it once"),
            Endianness::Little => Error::unsupported("Arrow data in little-endian byte order"),
            _ => damaged("a byte order"),
        });
    }
    for field in message.fields().ok_or_else(|| damaged("fields"))? {
        check(field).map_err(|e| e.in_column(field.name().unwrap_or_default()))?;
    }
    let schema = fb_to_schema(message);
    let fields: Fields = schema.fields().iter().map(with_sound_parts).collect();
    Ok(SchemaRef::new(Schema::new_with_metadata(fields, schema.metadata)))
}

/// The same with entries and keys of maps, and ends of runs, that cannot be null: some writers say otherwise,
/// and null they cannot be.
fn with_sound_parts(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Map(entries, sorted) => {
            let entries = with_sound_parts(entries).as_ref().clone().with_nullable(false);
            let pair = match entries.data_type() {
                DataType::Struct(pair) => pair.clone(),
                _ => Fields::empty(),
            };
            let keys = pair.iter().take(1).map(|key| Arc::new(key.as_ref().clone().with_nullable(false)));
            let pair = keys.chain(pair.iter().skip(1).cloned()).collect();
            DataType::Map(Arc::new(entries.with_data_type(DataType::Struct(pair))), *sorted)
        }
        DataType::RunEndEncoded(ends, values) => {
            let ends = Arc::new(ends.as_ref().clone().with_nullable(false));
            DataType::RunEndEncoded(ends, with_sound_parts(values))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(with_sound_parts).collect()),
        DataType::List(item) => DataType::List(with_sound_parts(item)),
        DataType::LargeList(item) => DataType::LargeList(with_sound_parts(item)),
        DataType::ListView(item) => DataType::ListView(with_sound_parts(item)),
        DataType::LargeListView(item) => DataType::LargeListView(with_sound_parts(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(with_sound_parts(item), *size),
        _ => return field.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// Refuses data of a version of the format that is not known.
///
/// # Errors
/// It is.
pub(crate) fn check_version(version: ipc::MetadataVersion) -> Result<()> {
    match version {
        ipc::MetadataVersion(0..=ipc::MetadataVersion::ENUM_MAX) => Ok(()),
        ipc::MetadataVersion(number) => {
            Err(Error::unsupported("Arrow data of a later version of the format")
                .expected("metadata version V5 at most", format!("number {number}")))
        }
    }
}

fn damaged(expected: &str) -> Error {
    Error::corrupt("damaged Arrow schema").expected(expected, "something else")
}

/// Refuses what `fb_to_schema` panics over.
fn check(field: ipc::Field<'_>) -> Result<()> {
    let children = field.children().map(|children| children.len());
    let has = |count: usize, what: &str| match children == Some(count) {
        true => Ok(()),
        false => Err(damaged(what)),
    };
    let when = |holds: Option<bool>, what: &str| match holds {
        Some(true) => Ok(()),
        _ => Err(damaged(what)),
    };
    let known_unit = |unit| {
        matches!(
            unit,
            TimeUnit::SECOND | TimeUnit::MILLISECOND | TimeUnit::MICROSECOND | TimeUnit::NANOSECOND
        )
    };
    let known_int = |int: ipc::Int<'_>| matches!(int.bitWidth(), 8 | 16 | 32 | 64);
    if let Some(dictionary) = field.dictionary() {
        when(dictionary.indexType().map(known_int), "a dictionary with an integer type for its keys")?;
    }
    match field.type_type() {
        Type::Null
        | Type::Bool
        | Type::Binary
        | Type::BinaryView
        | Type::LargeBinary
        | Type::Utf8
        | Type::Utf8View
        | Type::LargeUtf8
        | Type::Struct_ => {}
        Type::Int => when(field.type_as_int().map(known_int), "an integer of 8 to 64 bits")?,
        Type::FixedSizeBinary => {
            let width = field.type_as_fixed_size_binary().map(|binary| binary.byteWidth() >= 0);
            when(width, "a width of fixed-size binary")?;
        }
        Type::FloatingPoint => {
            let known =
                |precision| matches!(precision, Precision::HALF | Precision::SINGLE | Precision::DOUBLE);
            let float = field.type_as_floating_point().map(|float| known(float.precision()));
            when(float, "a float of 16 to 64 bits")?;
        }
        Type::Date => {
            let date = field.type_as_date().map(|date| date.unit());
            when(date.map(|unit| matches!(unit, DateUnit::DAY | DateUnit::MILLISECOND)), "a unit of dates")?;
        }
        Type::Time => {
            let time = field.type_as_time().map(|time| match time.bitWidth() {
                32 => matches!(time.unit(), TimeUnit::SECOND | TimeUnit::MILLISECOND),
                64 => matches!(time.unit(), TimeUnit::MICROSECOND | TimeUnit::NANOSECOND),
                _ => false,
            });
            when(time, "a unit of times, and its width")?;
        }
        Type::Timestamp => {
            when(field.type_as_timestamp().map(|time| known_unit(time.unit())), "a unit of timestamps")?;
        }
        Type::Duration => {
            when(field.type_as_duration().map(|time| known_unit(time.unit())), "a unit of durations")?;
        }
        Type::Interval => {
            let unit = field.type_as_interval().map(|interval| interval.unit());
            let known = [IntervalUnit::YEAR_MONTH, IntervalUnit::DAY_TIME, IntervalUnit::MONTH_DAY_NANO];
            when(unit.map(|unit| known.contains(&unit)), "a unit of intervals")?;
        }
        Type::Decimal => {
            let decimal = field.type_as_decimal().map(|decimal| {
                let digits = match decimal.bitWidth() {
                    32 => 9,
                    64 => 18,
                    128 => 38,
                    256 => 76,
                    _ => 0,
                };
                (1..=digits).contains(&decimal.precision()) && i8::try_from(decimal.scale()).is_ok()
            });
            when(decimal, "a decimal of 32 to 256 bits")?;
        }
        Type::List | Type::LargeList | Type::ListView | Type::LargeListView => has(1, "a list of one type")?,
        Type::FixedSizeList => {
            has(1, "a list of one type")?;
            when(field.type_as_fixed_size_list().map(|list| list.listSize() >= 0), "a size of lists")?;
        }
        Type::Map => {
            has(1, "a map of entries")?;
            let entries =
                field.children().filter(|children| !children.is_empty()).map(|children| children.get(0));
            let pairs = entries.map(|entries| {
                entries.type_type() == Type::Struct_ && entries.children().is_some_and(|pair| pair.len() == 2)
            });
            when(pairs, "a map of keys and values")?;
        }
        Type::RunEndEncoded => {
            has(2, "runs of values")?;
            let ends =
                field.children().filter(|children| !children.is_empty()).map(|children| children.get(0));
            let ends = ends.and_then(|ends| ends.type_as_int());
            when(
                ends.map(|int| matches!(int.bitWidth(), 16 | 32 | 64) && int.is_signed()),
                "integers for ends of runs",
            )?;
        }
        Type::Union => {
            let count = children.unwrap_or(0);
            let union = field.type_as_union().map(|union| {
                let ids: Option<Vec<i32>> = union.typeIds().map(|ids| ids.iter().collect());
                let sound = ids.is_none_or(|ids| {
                    let valid = |id: &i32| usize::try_from(*id).is_ok_and(|id| id < MAX_UNION_TYPES);
                    let once = |(at, id): (usize, &i32)| !ids.iter().take(at).any(|other| other == id);
                    ids.len() == count && ids.iter().all(valid) && ids.iter().enumerate().all(once)
                });
                matches!(union.mode(), UnionMode::Dense | UnionMode::Sparse)
                    && count <= MAX_UNION_TYPES
                    && sound
            });
            when(union, "a union of types, each with a number of its own")?;
        }
        Type(number) => {
            return Err(Error::unsupported(format!("Arrow type number {number}"))
                .with_hint("write the file with an older version of its program, or without that column"));
        }
    }
    field.children().into_iter().flatten().try_for_each(check)
}
