//! Rows as a table of text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::table;
use crate::error::Result;
use crate::text::{fit, printable, width};

/// How much of a value is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Columns of a terminal that a value takes before it is cut.
    pub(super) value: usize,
    /// Columns that a list or a struct takes before it is cut.
    pub(super) nested: usize,
}

impl Room {
    /// What is left after so many columns.
    fn less(self, used: usize) -> Self {
        Self { nested: self.nested.saturating_sub(used), ..self }
    }
}

/// In a table on a terminal.
const TERMINAL: Room = Room { value: 40, nested: 80 };
/// Values of a list that are shown.
const SHOWN: usize = 8;
/// Bytes of a value that are shown where it is no text.
const BYTES: usize = 10;
/// Bytes of a value that are looked at for whether it is text.
const LOOKED_AT: usize = 1024;

/// The rows of `batches`, all of `schema`, as a table of text. Long values are cut; of lists, the
/// first values are shown; bytes are hexadecimal digits unless all that a column shows are text.
///
/// # Errors
/// A value cannot be displayed.
pub fn rows_to_text(schema: &Schema, batches: &[RecordBatch]) -> Result<String> {
    let header: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let formats: Vec<Format> = (0..header.len())
        .map(|index| Format::of(&batches.iter().map(|batch| batch.column(index).clone()).collect::<Vec<_>>()))
        .collect();
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch
                .columns()
                .iter()
                .zip(&formats)
                .map(|(column, format)| format.cell(column, row, TERMINAL));
            rows.push(cells.collect::<Result<Vec<_>>>()?);
        }
    }
    Ok(table::render(&header, &rows))
}

/// One value as text, in so much room.
///
/// # Errors
/// It cannot be displayed.
pub(super) fn value_to_text(array: &ArrayRef, row: usize, room: Room) -> Result<String> {
    Format::of(&[array.slice(row, 1)]).cell(array, row, room)
}

/// How values are shown.
#[derive(Debug)]
enum Format {
    /// As Arrow has it.
    Plain,
    Text,
    Hex,
    List(Box<Format>),
    Struct(Vec<(String, Format)>),
}

impl Format {
    /// How to show the values of these arrays, which have one type. Only what is shown decides.
    fn of(arrays: &[ArrayRef]) -> Self {
        let Some(data_type) = arrays.first().map(|array| array.data_type().clone()) else {
            return Format::Plain;
        };
        match data_type {
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                let mut values =
                    arrays.iter().flat_map(|array| (0..array.len()).filter_map(|i| bytes(array, i)));
                if values.all(is_text) { Format::Text } else { Format::Hex }
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => {
                let lists = arrays.iter().flat_map(|array| (0..array.len()).filter_map(|i| items(array, i)));
                let shown: Vec<ArrayRef> = lists.map(|list| list.slice(0, list.len().min(SHOWN))).collect();
                Format::List(Box::new(Format::of(&shown)))
            }
            DataType::Struct(fields) => {
                let child = |index: usize| -> Vec<ArrayRef> {
                    arrays.iter().filter_map(|a| a.as_struct_opt()?.columns().get(index).cloned()).collect()
                };
                let formats =
                    fields.iter().enumerate().map(|(i, f)| (f.name().clone(), Format::of(&child(i))));
                Format::Struct(formats.collect())
            }
            _ => Format::Plain,
        }
    }

    /// The value at `row` as the text of a cell.
    fn cell(&self, array: &ArrayRef, row: usize, room: Room) -> Result<String> {
        // What is nested has cut its values; together they may still be long.
        let text = self.value(array, row, room)?;
        Ok(match self {
            Format::List(_) | Format::Struct(_) => fit(&text, room.nested).into_owned(),
            _ => text,
        })
    }

    /// The value at `row`; what is nested ends when it is wider than `room`.
    fn value(&self, array: &ArrayRef, row: usize, room: Room) -> Result<String> {
        if array.is_null(row) {
            return Ok("null".to_owned());
        }
        Ok(match self {
            Format::Text => text(bytes(array, row).unwrap_or_default(), room.value),
            Format::Hex => hex(bytes(array, row).unwrap_or_default()),
            Format::List(format) => {
                let values = items(array, row).unwrap_or_else(|| array.slice(0, 0));
                let mut parts = Vec::new();
                let mut used = 0;
                let shown = values.len().min(SHOWN);
                for i in 0..shown {
                    let part = format.value(&values, i, room.less(used))?;
                    used += width(&part) + 2;
                    parts.push(part);
                    if used > room.nested {
                        break;
                    }
                }
                if values.len() > parts.len() {
                    parts.push(format!("… {} values", values.len()));
                }
                format!("[{}]", parts.join(", "))
            }
            Format::Struct(fields) => {
                let columns = array.as_struct_opt().map(|s| s.columns()).unwrap_or_default();
                let mut parts = Vec::new();
                let mut used = 0;
                for ((name, format), column) in fields.iter().zip(columns) {
                    let part =
                        format!("{}: {}", printable(name), format.value(column, row, room.less(used))?);
                    used += width(&part) + 2;
                    parts.push(part);
                    if used > room.nested {
                        break;
                    }
                }
                format!("{{{}}}", parts.join(", "))
            }
            Format::Plain => {
                let options = FormatOptions::default().with_null("null").with_display_error(true);
                let one = in_utc(array.slice(row, 1))?;
                let formatter = ArrayFormatter::try_new(one.as_ref(), &options)?;
                let value = formatter.value(0).to_string();
                fit(&printable(&value), room.value).into_owned()
            }
        })
    }
}

/// Times in zones that have a name as times in UTC: their offsets are known to a database only. What
/// a dictionary or runs stand for is given as it is.
fn in_utc(array: ArrayRef) -> Result<ArrayRef> {
    let to = match array.data_type() {
        DataType::Timestamp(unit, Some(zone)) if !zone.starts_with(['+', '-']) => {
            return Ok(cast(&array, &DataType::Timestamp(*unit, Some("+00:00".into())))?);
        }
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        _ => return Ok(array),
    };
    in_utc(cast(&array, &to)?)
}

/// The items of the list at `row`.
fn items(array: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::List(_) => Some(array.as_list_opt::<i32>()?.value(row)),
        DataType::LargeList(_) => Some(array.as_list_opt::<i64>()?.value(row)),
        DataType::FixedSizeList(..) => Some(array.as_fixed_size_list_opt()?.value(row)),
        DataType::Map(..) => Some(Arc::new(array.as_map_opt()?.value(row))),
        _ => None,
    }
}

/// The bytes at `row`.
fn bytes(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Binary => Some(array.as_binary_opt::<i32>()?.value(row)),
        DataType::LargeBinary => Some(array.as_binary_opt::<i64>()?.value(row)),
        DataType::BinaryView => Some(array.as_binary_view_opt()?.value(row)),
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary_opt()?.value(row)),
        _ => None,
    }
}

/// Whether what is shown of `value` is text: UTF-8 without control characters but line breaks and tabs.
fn is_text(value: &[u8]) -> bool {
    let text = match value.get(..LOOKED_AT) {
        None => std::str::from_utf8(value),
        // The last character may be cut.
        Some(start) => match std::str::from_utf8(start) {
            Err(error) if error.error_len().is_none() => {
                std::str::from_utf8(start.get(..error.valid_up_to()).unwrap_or_default())
            }
            other => other,
        },
    };
    text.is_ok_and(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')))
}

fn text(value: &[u8], room: usize) -> String {
    let start = value.get(..LOOKED_AT).unwrap_or(value);
    let text = String::from_utf8_lossy(start);
    fit(&printable(&text), room).into_owned()
}

fn hex(value: &[u8]) -> String {
    let shown: String = value.iter().take(BYTES).map(|b| format!("{b:02x}")).collect();
    if value.len() > BYTES { format!("{shown}… {} bytes", value.len()) } else { shown }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryArray, DictionaryArray, Int8Array, StringArray, TimestampMillisecondArray, TimestampSecondArray,
    };
    use arrow::datatypes::Int8Type;

    use super::*;

    fn one_column(array: ArrayRef) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable([("v", array, true)]).unwrap();
        rows_to_text(&batch.schema(), &[batch]).unwrap()
    }

    #[test]
    fn points_in_time_are_shown_in_utc_whatever_their_zone() {
        let times = TimestampSecondArray::from(vec![0, 1_709_209_815]).with_timezone("Europe/Berlin");
        let expected = ["v", "────────────────────", "1970-01-01T00:00:00Z", "2024-02-29T12:30:15Z"];
        let lines = |array| one_column(array).lines().map(str::to_owned).collect::<Vec<_>>();
        let times: ArrayRef = Arc::new(times);
        assert_eq!(lines(times.clone()), expected);
        let keys = Int8Array::from(vec![0, 1]);
        assert_eq!(lines(Arc::new(DictionaryArray::<Int8Type>::new(keys, times))), expected);
    }

    #[test]
    fn bytes_are_text_where_all_are() {
        let text = one_column(Arc::new(BinaryArray::from(vec![&b"hello"[..], "東".as_bytes()])));
        assert_eq!(text, "v\n─────\nhello\n東\n");
        let mixed = one_column(Arc::new(BinaryArray::from(vec![&b"hello"[..], b"\xff\0"])));
        assert_eq!(mixed, "v\n──────────\n68656c6c6f\nff00\n");
        // NUL is no text.
        assert!(one_column(Arc::new(BinaryArray::from(vec![&b"a\0"[..]]))).contains("6100"));
    }

    #[test]
    fn times_in_named_zones_are_shown_in_utc() {
        for zone in ["UTC", "Europe/Berlin", "+00:00"] {
            let times = TimestampMillisecondArray::from(vec![1_709_208_000_123]).with_timezone(zone);
            assert!(one_column(Arc::new(times)).contains("2024-02-29T12:00:00.123Z"), "{zone}");
        }
    }

    #[test]
    fn what_is_cut_ends_at_a_character() {
        let long = "東".repeat(1000);
        let shown = one_column(Arc::new(BinaryArray::from(vec![long.as_bytes()])));
        assert!(shown.contains(&format!("{}…", "東".repeat(20))), "{shown}");
        let shown = one_column(Arc::new(StringArray::from(vec!["a\u{1b}[31m\n"])));
        assert!(shown.ends_with("a\\u{1b}[31m\\n\n"), "{shown}");
    }
}
