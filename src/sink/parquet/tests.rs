//! What is encoded here is read by the library of Parquet.

use std::sync::Arc;

use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::file::metadata::ParquetMetaData;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, FixedSizeListArray, Float32Array, Int64Array,
    ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{concat_batches, interleave};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use crate::options::ParquetEncodings;
use crate::sink::{OutputCompression, SinkOptions, open_sink};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    /// Whether each of `len` places is valid, by one of several kinds of gaps.
    fn nulls(&mut self, len: usize) -> Option<NullBuffer> {
        match self.below(4) {
            0 => None,
            1 => Some((0..len).map(|_| self.below(2) == 0).collect()),
            2 => Some((0..len).map(|i| i % 100 > 2).collect()),
            _ => Some((0..len).map(|_| self.below(400) > 0).collect()),
        }
    }
}

/// Values of a type, of which `few` differ, or nearly all.
fn values(random: &mut Random, data_type: &DataType, len: usize, few: bool) -> ArrayRef {
    fn numbers<T: ArrowPrimitiveType>(bits: Vec<u64>, of: impl Fn(u64) -> T::Native) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::from_iter_values(bits.into_iter().map(of)))
    }
    let pool: Vec<u64> = (0..if few { 50 } else { len }).map(|_| random.next() >> random.below(40)).collect();
    let bits: Vec<u64> = (0..len).map(|_| pool[random.below(pool.len())]).collect();
    let text = |n: u64| "é".repeat(n as usize % 9) + &n.to_string();
    let array = match data_type {
        DataType::Int8 => numbers::<Int8Type>(bits, |n| n as i8),
        DataType::Int16 => numbers::<Int16Type>(bits, |n| n as i16),
        DataType::Int32 => numbers::<Int32Type>(bits, |n| n as i32),
        DataType::Int64 => numbers::<Int64Type>(bits, |n| n as i64 - 1000),
        DataType::UInt8 => numbers::<UInt8Type>(bits, |n| n as u8),
        DataType::UInt16 => numbers::<UInt16Type>(bits, |n| n as u16),
        DataType::UInt32 => numbers::<UInt32Type>(bits, |n| n as u32),
        DataType::UInt64 => numbers::<UInt64Type>(bits, |n| n << 20),
        DataType::Float32 => numbers::<Float32Type>(bits, |n| n as f32 - 1e6),
        DataType::Float64 => numbers::<Float64Type>(bits, |n| n as f64 - 1e6),
        DataType::Utf8 => Arc::new(StringArray::from_iter_values(bits.into_iter().map(text))),
        DataType::Binary => {
            let bytes = bits.into_iter().map(|n| n.to_le_bytes()[..n as usize % 9].to_vec());
            Arc::new(BinaryArray::from_iter_values(bytes))
        }
        other => panic!("{other}"),
    };
    let data = array.to_data().into_builder().nulls(random.nulls(len));
    arrow::array::make_array(data.build().unwrap())
}

const TYPES: [DataType; 12] = [
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float32,
    DataType::Float64,
    DataType::Utf8,
    DataType::Binary,
];

/// A batch with values, lists and fixed-size lists of every type.
fn batch(random: &mut Random, rows: usize, few: bool) -> RecordBatch {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for data_type in TYPES {
        let item = Arc::new(Field::new("item", data_type.clone(), true));
        columns.push((format!("{data_type}"), values(random, &data_type, rows, few)));
        let most = [3, 40][random.below(2)];
        let lengths: Vec<usize> = (0..rows).map(|_| random.below(most)).collect();
        let items = values(random, &data_type, lengths.iter().sum(), few);
        // Lists that are null have items here, which Arrow allows.
        let (offsets, nulls) = (OffsetBuffer::from_lengths(lengths), random.nulls(rows));
        let lists = ListArray::new(item.clone(), offsets, items, nulls);
        columns.push((format!("{data_type} list"), Arc::new(lists)));
        let items = values(random, &data_type, rows * 3, few);
        let lists = FixedSizeListArray::new(item, 3, items, random.nulls(rows));
        columns.push((format!("{data_type} fixed"), Arc::new(lists)));
    }
    // Arrays of a batch may be slices of others.
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    batch.slice(rows / 7, rows - rows / 7 - rows / 9)
}

fn write(
    batches: &[RecordBatch],
    schema: &Schema,
    options: &SinkOptions,
) -> (Vec<u8>, RecordBatch, ParquetMetaData) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let mut sink = open_sink(&path, schema, options).unwrap();
    for batch in batches {
        sink.write(batch).unwrap();
    }
    sink.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes.clone())).unwrap();
    let metadata = builder.metadata().as_ref().clone();
    let back: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    let back = back.into_iter().map(|b| RecordBatch::try_new(schema.clone(), b.columns().to_vec()).unwrap());
    (bytes, concat_batches(&schema, &back.collect::<Vec<_>>()).unwrap(), metadata)
}

#[test]
fn every_type_comes_back_whatever_its_nulls() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let few = seed % 2 == 0;
        let batches: Vec<RecordBatch> = (0..3).map(|_| batch(&mut random, 500, few)).collect();
        let schema = batches[0].schema();
        let expected = concat_batches(&schema, &batches).unwrap();
        let options = SinkOptions::new().with_row_group_rows([1 << 20, 270][random.below(2)]);
        let codecs = [OutputCompression::Zstd(None), OutputCompression::None, OutputCompression::Snappy];
        let options = options.with_compression(codecs[random.below(3)]);
        let mut files = Vec::new();
        for threads in [1, 3] {
            let (bytes, back, _) = write(&batches, &schema, &options.clone().with_threads(threads));
            for (field, (found, expected)) in
                schema.fields().iter().zip(back.columns().iter().zip(expected.columns()))
            {
                assert_eq!(found, expected, "seed {seed}, {}", field.name());
            }
            files.push(bytes);
        }
        assert!(files.iter().all(|bytes| *bytes == files[0]), "it depends on the number of threads");
        let compact = options.with_parquet_encodings(ParquetEncodings::Compact);
        assert_eq!(write(&batches, &schema, &compact).1.columns(), expected.columns());
    }
}

#[test]
fn columns_of_many_pages_come_back() {
    let mut random = Random(1);
    // A column of values that are plain, one of a dictionary, and one of which the first rows promise
    // a dictionary that the others do not keep; more than can be one page, or one part.
    let plain: Float32Array = (0..1_200_000).map(|_| Some(random.next() as f32)).collect();
    let few: Int64Array =
        (0..400_000).map(|_| (random.below(50) > 0).then(|| random.below(900) as i64)).collect();
    let promise: Vec<String> =
        (0..400_000).map(|i: u64| format!("{}", if i < 20_000 { i % 9 } else { i } * 1_000_003)).collect();
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let plain = FixedSizeListArray::new(item, 3, Arc::new(plain), None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("plain", Arc::new(plain)),
        ("few", Arc::new(few)),
        ("promise", Arc::new(StringArray::from(promise))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let batches: Vec<RecordBatch> =
        [0..1000, 1000..300_000, 300_000..400_000].map(|rows| batch.slice(rows.start, rows.len())).into();
    let (_, back, metadata) = write(&batches, &batch.schema(), &SinkOptions::new().with_threads(2));
    assert_eq!(back, batch);
    let dictionaries = |column: usize| {
        let groups = metadata.row_groups().iter();
        groups.map(|group| group.column(column).dictionary_page_offset().is_some()).collect::<Vec<_>>()
    };
    assert!(dictionaries(0).iter().all(|has| !has) && dictionaries(1).iter().all(|has| *has));
    assert!(dictionaries(2).iter().all(|has| !has));
}

#[test]
fn bounds_and_nulls_are_told() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(-3), Some(5)]));
    let text: ArrayRef = Arc::new(StringArray::from(vec![None, Some("b"), Some("a"), None]));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("t", text)]).unwrap();
    let (_, _, metadata) = write(std::slice::from_ref(&batch), &batch.schema(), &SinkOptions::new());
    let statistics = |column: usize| metadata.row_group(0).column(column).statistics().unwrap();
    assert_eq!((statistics(0).null_count_opt(), statistics(1).null_count_opt()), (Some(1), Some(2)));
    assert_eq!(statistics(0).min_bytes_opt().unwrap(), (-3_i64).to_le_bytes());
    assert_eq!(statistics(0).max_bytes_opt().unwrap(), 5_i64.to_le_bytes());
    assert_eq!(statistics(1).min_bytes_opt().unwrap(), b"a");
    assert_eq!(statistics(1).max_bytes_opt().unwrap(), b"b");
}

#[test]
fn rows_can_be_taken_apart() {
    // What has no rows, or nothing but nulls.
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, None]));
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![None, Some(vec![])]));
    let batch = RecordBatch::try_from_iter([("nulls", nulls), ("lists", lists)]).unwrap();
    for rows in 0..=2 {
        let (_, back, _) = write(&[batch.slice(0, rows)], &batch.schema(), &SinkOptions::new());
        assert_eq!(back, batch.slice(0, rows));
    }
    let mixed = interleave(&[batch.column(1).as_ref()], &[(0, 1), (0, 0)]).unwrap();
    let batch = RecordBatch::try_from_iter([("lists", mixed)]).unwrap();
    assert_eq!(write(std::slice::from_ref(&batch), &batch.schema(), &SinkOptions::new()).1, batch);
}
