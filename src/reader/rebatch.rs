//! Batches of a set number of rows, made from batches of any number.

use arrow::array::{Array, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;

use crate::error::Result;

/// No batch grows past this: the offsets of its columns have 32 bits.
const MAX_BYTES: usize = 1 << 30;

/// Collects rows and gives them out `batch_rows` at a time, or fewer where they take `batch_bytes`
/// bytes or more. Rows that come in one batch and leave in one are not copied.
///
/// What is given out depends on the rows alone, not on the batches in which they come.
#[derive(Debug)]
pub(crate) struct Rebatch {
    schema: SchemaRef,
    batch_rows: usize,
    batch_bits: u64,
    held: Vec<RecordBatch>,
    held_rows: usize,
    held_bits: u64,
}

impl Rebatch {
    pub(crate) fn new(schema: SchemaRef, batch_rows: usize, batch_bytes: usize) -> Self {
        Self {
            schema,
            batch_rows: batch_rows.max(1),
            batch_bits: batch_bytes.clamp(1, MAX_BYTES) as u64 * 8,
            held: Vec::new(),
            held_rows: 0,
            held_bits: 0,
        }
    }

    /// Batches of exactly `batch_rows` rows, whatever they take.
    pub(crate) fn exact(schema: SchemaRef, batch_rows: usize) -> Self {
        Self { batch_bits: u64::MAX, ..Self::new(schema, batch_rows, MAX_BYTES) }
    }

    /// Adds the rows of `batch`.
    pub(crate) fn push(&mut self, batch: RecordBatch) {
        if batch.num_rows() > 0 {
            self.held_rows += batch.num_rows();
            self.held_bits += batch_bits(&batch, 0, batch.num_rows());
            self.held.push(batch);
        }
    }

    /// The next whole batch, or at the end (`last`) what is left.
    ///
    /// # Errors
    /// The rows cannot be put together.
    pub(crate) fn pop(&mut self, last: bool) -> Result<Option<RecordBatch>> {
        let whole = self.held_rows >= self.batch_rows || self.held_bits >= self.batch_bits;
        if self.held_rows == 0 || !whole && !last {
            return Ok(None);
        }
        let mut wanted = self.batch_rows.min(self.held_rows);
        let mut room = self.batch_bits;
        let mut parts = Vec::new();
        let mut rest = Vec::new();
        for batch in self.held.drain(..) {
            let take = if room == 0 { 0 } else { rows_within(&batch, wanted, room) };
            if take > 0 {
                let bits = batch_bits(&batch, 0, take);
                room = room.saturating_sub(bits);
                self.held_bits = self.held_bits.saturating_sub(bits);
                self.held_rows -= take;
                parts.push(if take == batch.num_rows() { batch.clone() } else { batch.slice(0, take) });
            }
            if take < batch.num_rows() {
                rest.push(batch.slice(take, batch.num_rows() - take));
            }
            wanted -= take;
        }
        self.held = rest;
        if let [only] = parts.as_slice() {
            return Ok(Some(only.clone()));
        }
        concat_batches(&self.schema, &parts).map(Some).or_else(|error| match error {
            // Together they have more values than the keys of a dictionary can count.
            ArrowError::DictionaryKeyOverflowError => {
                let first = parts.remove(0);
                self.give_back(parts);
                Ok(Some(first))
            }
            other => Err(other.into()),
        })
    }

    /// Holds `parts` again, before all others.
    fn give_back(&mut self, mut parts: Vec<RecordBatch>) {
        for part in &parts {
            self.held_rows += part.num_rows();
            self.held_bits += batch_bits(part, 0, part.num_rows());
        }
        parts.append(&mut self.held);
        self.held = parts;
    }
}

/// How many of the first `wanted` rows of `batch` it takes to fill `room` bits: all, if they do not.
fn rows_within(batch: &RecordBatch, wanted: usize, room: u64) -> usize {
    let wanted = wanted.min(batch.num_rows());
    if batch_bits(batch, 0, wanted) < room {
        return wanted;
    }
    let (mut few, mut enough) = (0, wanted);
    while few + 1 < enough {
        let middle = few + (enough - few) / 2;
        if batch_bits(batch, 0, middle) < room {
            few = middle;
        } else {
            enough = middle;
        }
    }
    enough
}

/// Bits that some rows take, nulls aside: the sum of what each row takes.
fn batch_bits(batch: &RecordBatch, from: usize, rows: usize) -> u64 {
    batch.columns().iter().map(|column| bits(column.as_ref(), from, rows)).sum()
}

fn bits(array: &dyn Array, from: usize, rows: usize) -> u64 {
    const OFFSET_BITS: u64 = 32;
    const VIEW_BITS: u64 = 128;
    let (many, to) = (rows as u64, from + rows);
    fn span<O: OffsetSizeTrait>(offsets: &[O], from: usize, to: usize) -> (usize, usize) {
        let at = |row: usize| offsets.get(row).map_or(0, |offset| offset.as_usize());
        (at(from), at(to).saturating_sub(at(from)))
    }
    let lengths = |views: &[u128]| -> u64 {
        // The length stands in the lowest bits.
        let length = |view: &u128| u64::try_from(view & u128::from(u32::MAX)).unwrap_or(0);
        views.get(from..to).unwrap_or_default().iter().map(|view| length(view) * 8).sum()
    };
    match array.data_type() {
        DataType::Boolean => many,
        DataType::Null => 0,
        DataType::Binary => {
            span(array.as_binary::<i32>().value_offsets(), from, to).1 as u64 * 8 + many * OFFSET_BITS
        }
        DataType::Utf8 => {
            span(array.as_string::<i32>().value_offsets(), from, to).1 as u64 * 8 + many * OFFSET_BITS
        }
        DataType::LargeBinary => {
            span(array.as_binary::<i64>().value_offsets(), from, to).1 as u64 * 8 + many * 2 * OFFSET_BITS
        }
        DataType::LargeUtf8 => {
            span(array.as_string::<i64>().value_offsets(), from, to).1 as u64 * 8 + many * 2 * OFFSET_BITS
        }
        DataType::BinaryView => lengths(array.as_binary_view().views()) + many * VIEW_BITS,
        DataType::Utf8View => lengths(array.as_string_view().views()) + many * VIEW_BITS,
        DataType::FixedSizeBinary(size) => many * u64::try_from(*size).unwrap_or(0) * 8,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (start, items) = span(list.value_offsets(), from, to);
            bits(list.values().as_ref(), start, items) + many * OFFSET_BITS
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (start, items) = span(list.value_offsets(), from, to);
            bits(list.values().as_ref(), start, items) + many * 2 * OFFSET_BITS
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (start, items) = span(map.value_offsets(), from, to);
            bits(map.entries(), start, items) + many * OFFSET_BITS
        }
        DataType::FixedSizeList(..) => {
            let list = array.as_fixed_size_list();
            let size = usize::try_from(list.value_length()).unwrap_or(0);
            bits(list.values().as_ref(), from * size, rows * size)
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|column| bits(column.as_ref(), from, rows)).sum()
        }
        DataType::Dictionary(key, _) => many * width(key),
        other => many * width(other),
    }
}

/// Bits of a value of a fixed width; 64 for what has none: unions, runs, views of lists.
fn width(data_type: &DataType) -> u64 {
    data_type.primitive_width().map_or(64, |bytes| bytes as u64 * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BinaryArray, Int32Array};
    use arrow::datatypes::Int32Type;
    use std::sync::Arc;

    #[test]
    fn rows_keep_their_order_and_only_the_last_batch_is_short() {
        let batch = |range: std::ops::Range<i32>| {
            let column: ArrayRef = Arc::new(Int32Array::from_iter_values(range));
            RecordBatch::try_from_iter([("x", column)]).unwrap()
        };
        let mut rebatch = Rebatch::new(batch(0..1).schema(), 4, usize::MAX);
        let mut out = Vec::new();
        for part in [batch(0..1), batch(1..1), batch(1..11), batch(11..14)] {
            rebatch.push(part);
            while let Some(whole) = rebatch.pop(false).unwrap() {
                out.push(whole);
            }
        }
        out.extend(rebatch.pop(true).unwrap());
        assert!(rebatch.pop(true).unwrap().is_none());
        assert_eq!(out.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4, 4, 4, 2]);
        let values: Vec<i32> =
            out.iter().flat_map(|b| b.column(0).as_primitive::<Int32Type>().values().to_vec()).collect();
        assert_eq!(values, (0..14).collect::<Vec<_>>());
        assert_eq!(out[1].column(0).len(), 4);
    }

    #[test]
    fn large_rows_end_a_batch_wherever_they_came_from() {
        let sizes = [10, 10, 90, 5, 5, 200, 1, 1, 1, 1, 96, 4];
        let column: ArrayRef = Arc::new(BinaryArray::from_iter_values(sizes.map(|n| vec![7u8; n])));
        let all = RecordBatch::try_from_iter([("x", column)]).unwrap();
        // With its offset a row takes 4 bytes more.
        let expected = [3, 3, 5, 1];
        for cut in 1..sizes.len() {
            let mut rebatch = Rebatch::new(all.schema(), 6, 100);
            let mut rows = Vec::new();
            for part in [all.slice(0, cut), all.slice(cut, sizes.len() - cut)] {
                rebatch.push(part);
                while let Some(batch) = rebatch.pop(false).unwrap() {
                    rows.push(batch.num_rows());
                }
            }
            rows.extend(rebatch.pop(true).unwrap().map(|batch| batch.num_rows()));
            assert_eq!(rows, expected, "cut at {cut}");
        }
    }

    #[test]
    fn whole_batches_pass_through_and_the_rest_is_dropped() {
        let batch = |len: i32| {
            let column: ArrayRef = Arc::new(Int32Array::from_iter_values(0..len));
            RecordBatch::try_from_iter([("x", column)]).unwrap()
        };
        let address = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].as_ptr();
        let batches = [batch(4), batch(1), batch(2), batch(6)];
        let mut rebatch = Rebatch::exact(batches[0].schema(), 4);
        let mut out = Vec::new();
        for batch in batches.clone() {
            rebatch.push(batch);
            while let Some(whole) = rebatch.pop(false).unwrap() {
                out.push(whole);
            }
        }
        assert_eq!(out.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [4, 4, 4]);
        assert_eq!(address(&out[0]), address(&batches[0]));
    }
}
