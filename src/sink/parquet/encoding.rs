//! Which encoding suits a Parquet column, told from its first values.
//!
//! A dictionary pays where values repeat, and costs a hash a value where they do not; the writer
//! would find that out only after a megabyte of distinct values, in every row group anew.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnDescPtr;

use super::dictionary::Strings;
use super::parquet_error;
use crate::error::Result;
use crate::options::ParquetEncodings;

/// Values of a column that are looked at.
const SAMPLE_VALUES: usize = 16 << 10;
/// A dictionary is used where a value occurs so many times on average.
const REPEATS: usize = 2;
/// As [`REPEATS`], where values take fewer bytes otherwise.
const REPEATS_COMPACTLY: usize = 8;

/// The first rows.
pub(super) struct Sample<'a> {
    pub(super) batches: &'a [RecordBatch],
    /// How many rows a row group is to have.
    pub(super) row_group_rows: usize,
}

impl Sample<'_> {
    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

/// What was chosen for a Parquet column.
#[derive(Debug)]
pub(super) struct Choice {
    /// The column of the schema that it is of.
    pub(super) root: usize,
    pub(super) descriptor: ColumnDescPtr,
    /// Whether a dictionary is tried.
    pub(super) dictionary: bool,
    /// The encoding without one.
    pub(super) encoding: Encoding,
}

/// Sets the encodings of every column, of those that `encodings` allows, from the rows in `sample`,
/// and says which they are.
pub(super) fn choose(
    mut properties: WriterPropertiesBuilder,
    schema: &Schema,
    sample: &Sample<'_>,
    compression: Compression,
    encodings: ParquetEncodings,
) -> Result<(WriterPropertiesBuilder, Vec<Choice>)> {
    let descriptor = ArrowSchemaConverter::new().convert(schema).map_err(parquet_error)?;
    let mut leaves: Vec<Leaf> = Vec::new();
    for field in schema.fields() {
        find_leaves(field.data_type(), false, &mut leaves);
    }
    for batch in sample.batches {
        let mut index = 0;
        for column in batch.columns() {
            collect(column, &mut index, &mut leaves);
        }
    }
    for leaf in &mut leaves {
        leaf.in_row_group = leaf.in_all.saturating_mul(sample.row_group_rows) / sample.rows().max(1);
    }
    let mut choices = Vec::with_capacity(leaves.len());
    for (index, (column, leaf)) in descriptor.columns().iter().zip(&leaves).enumerate() {
        let path = column.path();
        let compressed = compression != Compression::UNCOMPRESSED;
        // Readers decide by them which rows to skip; nobody looks for rows by the values of a
        // tensor. Of floats, only what is encoded here has bounds: the library's are bounds with NaN left out, which not
        // every reader thinks of.
        let is_float = matches!(leaf.data_type, DataType::Float16 | DataType::Float32 | DataType::Float64);
        if leaf.nested || is_float {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        let as_it_is = matches!(leaf.data_type, DataType::Boolean | DataType::Dictionary(..));
        let (dictionary, encoding) = match encodings {
            _ if as_it_is => (true, Encoding::PLAIN),
            ParquetEncodings::Compatible => (leaf.repeats(), Encoding::PLAIN),
            ParquetEncodings::Compact => (leaf.repeats_compactly(compressed), leaf.compact(compressed)),
        };
        if !as_it_is {
            properties = properties
                .set_column_dictionary_enabled(path.clone(), dictionary)
                .set_column_encoding(path.clone(), encoding);
        }
        let root = descriptor.get_column_root_idx(index);
        choices.push(Choice { root, descriptor: column.clone(), dictionary, encoding });
    }
    Ok((properties, choices))
}

/// A Parquet column and what was seen of its values.
struct Leaf {
    data_type: DataType,
    /// Whether it lies in a list.
    nested: bool,
    /// How many values were looked at, of how many in the sample, and how many a row group is to have.
    values: usize,
    in_all: usize,
    in_row_group: usize,
    distinct: Strings,
    /// Whether these were too many for a dictionary before all were seen.
    too_many: bool,
    places: Vec<u32>,
}

impl Leaf {
    /// Whether a dictionary pays where the values stand as they are otherwise.
    fn repeats(&self) -> bool {
        match self.data_type {
            // Plain, they would be stored as 32-bit integers.
            DataType::Int8 | DataType::UInt8 => true,
            DataType::Float16 | DataType::Float32 | DataType::Float64 if self.nested => false,
            // Compression takes the zeros out at less cost, and an index takes as much memory.
            DataType::Int16 | DataType::UInt16 if self.nested => false,
            _ => self.repeat(REPEATS),
        }
    }

    /// Whether a value occurs so many times in a row group on average.
    fn repeat(&self, times: usize) -> bool {
        let distinct = expected_distinct(self.distinct.len(), self.values, self.in_row_group);
        !self.too_many && distinct.saturating_mul(times) <= self.in_row_group
    }

    fn repeats_compactly(&self, compressed: bool) -> bool {
        match self.data_type {
            // These are stored as 32-bit integers: compression takes the zeros out at less cost
            // than a dictionary.
            DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::UInt16 if self.nested => {
                !compressed
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 if self.nested => false,
            _ => self.repeat(REPEATS_COMPACTLY),
        }
    }

    /// The smallest encoding where a dictionary is not used, or grew too large.
    fn compact(&self, compressed: bool) -> Encoding {
        match self.data_type {
            DataType::Float32 | DataType::Float64 if compressed => Encoding::BYTE_STREAM_SPLIT,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::UInt16
                if self.nested && compressed =>
            {
                Encoding::BYTE_STREAM_SPLIT
            }
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64 => Encoding::DELTA_BINARY_PACKED,
            _ => Encoding::PLAIN,
        }
    }
}

/// How many different values are expected among `count`, if `distinct` of those `seen` were, and they come from a
/// pool of which any is as likely as the others.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
fn expected_distinct(distinct: usize, seen: usize, count: usize) -> usize {
    let among = |pool: f64, count: usize| pool * (1.0 - (-(count as f64) / pool).exp());
    let (mut least, mut most) = (distinct as f64, (seen as f64).powi(2) + 1.0);
    for _ in 0..64 {
        let pool = f64::midpoint(least, most);
        match among(pool, seen) < distinct as f64 {
            true => least = pool,
            false => most = pool,
        }
    }
    among(most, count).round() as usize
}

fn find_leaves(data_type: &DataType, nested: bool, out: &mut Vec<Leaf>) {
    match data_type {
        DataType::Struct(fields) => fields.iter().for_each(|f| find_leaves(f.data_type(), nested, out)),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => find_leaves(item.data_type(), true, out),
        leaf => out.push(Leaf {
            data_type: leaf.clone(),
            nested,
            values: 0,
            in_all: 0,
            in_row_group: 0,
            distinct: Strings::new(),
            too_many: false,
            places: Vec::new(),
        }),
    }
}

/// Adds the values of the leaves of `array` to what was seen; `index` is the first leaf.
fn collect(array: &ArrayRef, index: &mut usize, leaves: &mut [Leaf]) {
    match array.data_type() {
        DataType::Struct(_) => {
            array.as_struct().columns().iter().for_each(|column| collect(column, index, leaves))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let bound = |offset: Option<&i32>| offset.and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
            let (first, last) = (bound(list.value_offsets().first()), bound(list.value_offsets().last()));
            collect(&list.values().slice(first, last - first), index, leaves);
        }
        DataType::LargeList(_) => collect(array.as_list::<i64>().values(), index, leaves),
        DataType::ListView(_) => collect(array.as_list_view::<i32>().values(), index, leaves),
        DataType::LargeListView(_) => collect(array.as_list_view::<i64>().values(), index, leaves),
        DataType::Map(..) => {
            array.as_map().entries().columns().iter().for_each(|column| collect(column, index, leaves));
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(*size).unwrap_or(0);
            collect(&list.values().slice(list.offset() * size, list.len() * size), index, leaves);
        }
        _ => {
            if let Some(leaf) = leaves.get_mut(*index) {
                leaf.see(array);
            }
            *index += 1;
        }
    }
}

impl Leaf {
    fn see(&mut self, array: &ArrayRef) {
        self.in_all += array.len();
        let room = if self.too_many { 0 } else { SAMPLE_VALUES.saturating_sub(self.values) };
        let array = array.slice(0, room.min(array.len()));
        let data = array.to_data();
        let valid = |row: &usize| array.is_valid(*row);
        match array.data_type() {
            DataType::Utf8 => {
                let array = array.as_string::<i32>();
                (0..array.len()).filter(valid).for_each(|row| self.insert(array.value(row).as_bytes()));
            }
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                (0..array.len()).filter(valid).for_each(|row| self.insert(array.value(row)));
            }
            other => {
                let Some(width) = other.primitive_width() else { return };
                let Some(buffer) = data.buffers().first() else { return };
                let bytes = buffer.get(data.offset() * width..).unwrap_or_default();
                for (row, value) in bytes.chunks_exact(width).take(array.len()).enumerate() {
                    if valid(&row) {
                        self.insert(value);
                    }
                }
            }
        }
    }

    fn insert(&mut self, value: &[u8]) {
        // The length and both ends of a long value tell values apart well enough.
        const END: usize = 64;
        self.values += 1;
        let mut key = [0; size_of::<usize>() + 2 * END];
        let key = match value.len() {
            0..=64 => value,
            len => {
                let ends = value.iter().take(END).chain(value.iter().rev().take(END));
                key.iter_mut().zip(len.to_le_bytes().iter().chain(ends)).for_each(|(to, from)| *to = *from);
                &key[..]
            }
        };
        self.places.clear();
        if self.distinct.extend(std::iter::once(key), &mut self.places).is_err() {
            self.too_many = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use parquet::file::properties::WriterProperties;
    use parquet::schema::types::ColumnPath;
    use std::sync::Arc;

    #[test]
    fn values_that_repeat_later_are_expected_to() {
        assert_eq!(expected_distinct(8, 8000, 80_000), 8);
        // Of a pool of 13,000.
        assert!((12_900..13_100).contains(&expected_distinct(6077, 8192, 77_000)));
        assert!(expected_distinct(8192, 8192, 77_000) > 76_900);
        assert_eq!(expected_distinct(0, 0, 0), 0);
    }

    #[test]
    fn dictionaries_where_values_repeat() {
        let label: ArrayRef = Arc::new(Int64Array::from_iter_values((0..1000).map(|i| i % 10)));
        let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
        let word: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("w{}", i % 7))));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|i| format!("text {i}"))));
        let batch =
            RecordBatch::try_from_iter([("label", label), ("id", id), ("word", word), ("text", text)])
                .unwrap();
        let chosen = |encodings| {
            let schema = batch.schema();
            let sample = Sample { batches: std::slice::from_ref(&batch), row_group_rows: 1000 };
            choose(WriterProperties::builder(), &schema, &sample, Compression::UNCOMPRESSED, encodings)
                .unwrap()
                .0
                .build()
        };
        for encodings in [ParquetEncodings::Compatible, ParquetEncodings::Compact] {
            let properties = chosen(encodings);
            let dictionary = |name: &str| properties.dictionary_enabled(&ColumnPath::from(name));
            assert_eq!([dictionary("label"), dictionary("word")], [true, true]);
            assert_eq!([dictionary("id"), dictionary("text")], [false, false]);
            let expected = match encodings {
                ParquetEncodings::Compatible => Encoding::PLAIN,
                ParquetEncodings::Compact => Encoding::DELTA_BINARY_PACKED,
            };
            assert_eq!(properties.encoding(&ColumnPath::from("id")), Some(expected));
        }
    }
}
