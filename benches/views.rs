//! What arrays cost: opening and viewing a mapped file, collecting batches, writing NumPy files.
//! Each is beside the least that it could cost: `memcpy`, and a plain write of the same bytes.
//!
//! ```text
//! cargo bench --bench views
//! ```
#![allow(unsafe_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_precision_loss)]

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch, RecordBatchIterator};
use arrow::datatypes::Float32Type;
use arrow::ipc::writer::FileWriter;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array;
use tfarrow::DType;
use tfarrow::array::{ArrayCollector, BatchBuilder, IpcMap, tensor};
use tfarrow::sink::{SinkOptions, open_sink};

/// 8 MiB a batch.
const ROWS: usize = 2048;
const COLUMNS: usize = 1024;
const BATCHES: usize = 32;
const MEGABYTE: usize = 1 << 20;

fn batch(k: usize) -> RecordBatch {
    let values = Array::from_shape_fn((ROWS, COLUMNS), |(i, j)| (k + i * j) as f32);
    BatchBuilder::new().with_array("x", values).build().unwrap()
}

fn values(batch: &RecordBatch) -> &[f32] {
    batch.column(0).as_fixed_size_list().values().as_primitive::<Float32Type>().values()
}

fn write_ipc(path: &Path, batch: &RecordBatch, batches: usize) {
    let mut writer = FileWriter::try_new(File::create(path).unwrap(), &batch.schema()).unwrap();
    for _ in 0..batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
}

/// Opening a file, taking its last batch and viewing it, by the size of the file.
fn open(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("open_and_view");
    let batch = batch(0);
    for megabytes in [16, 128, 1024] {
        let path = folder.path().join(format!("{megabytes}.arrow"));
        write_ipc(&path, &batch, megabytes / 8);
        group.bench_function(BenchmarkId::from_parameter(format!("{megabytes}MB")), |b| {
            b.iter(|| {
                // SAFETY: nothing changes the file.
                let map = unsafe { IpcMap::map(&path) }.unwrap();
                let last = map.batch(map.num_batches() - 1).unwrap();
                let view = tensor(&last, "x").unwrap().view::<f32>().unwrap();
                black_box(view[[ROWS - 1, COLUMNS - 1]])
            });
        });
        // The batch alone, of a file that is open.
        // SAFETY: nothing changes the file.
        let map = unsafe { IpcMap::map(&path) }.unwrap();
        group.bench_function(BenchmarkId::new("batch", format!("{megabytes}MB")), |b| {
            b.iter(|| black_box(map.batch(map.num_batches() / 2).unwrap()));
        });
        std::fs::remove_file(&path).unwrap();
    }
    let column = tensor(&batch, "x").unwrap();
    group.bench_function("view", |b| b.iter(|| black_box(&column).view::<f32>().unwrap()));
    group.bench_function("tensor_and_view", |b| {
        b.iter(|| black_box(tensor(&batch, "x").unwrap().view::<f32>().unwrap()));
    });
    group.finish();
}

/// Batches in memory to one array, beside copying their values to one vector.
fn collect(c: &mut Criterion) {
    let batches: Vec<RecordBatch> = (0..BATCHES).map(batch).collect();
    let reader = || RecordBatchIterator::new(batches.clone().into_iter().map(Ok), batches[0].schema());
    let mut group = c.benchmark_group("to_arrays");
    group.sample_size(10).throughput(Throughput::Bytes((BATCHES * 8 * MEGABYTE) as u64));
    group.bench_function("memcpy", |b| {
        b.iter(|| {
            let mut all: Vec<f32> = Vec::with_capacity(BATCHES * ROWS * COLUMNS);
            for batch in &batches {
                all.extend_from_slice(values(batch));
            }
            black_box(all)
        });
    });
    let known = ArrayCollector::new().with_rows(BATCHES * ROWS);
    group.bench_function("rows_known", |b| b.iter(|| black_box(known.collect(reader()).unwrap())));
    let unknown = ArrayCollector::new();
    group.bench_function("rows_unknown", |b| b.iter(|| black_box(unknown.collect(reader()).unwrap())));
    let cast = known.clone().with_cast(DType::Float32, DType::Float16);
    group.bench_function("cast_to_float16", |b| b.iter(|| black_box(cast.collect(reader()).unwrap())));
    group.finish();
}

/// Batches in memory to a NumPy file, beside writing their bytes.
fn write(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let batches: Vec<RecordBatch> = (0..BATCHES).map(batch).collect();
    let mut group = c.benchmark_group("npy");
    group.sample_size(10).throughput(Throughput::Bytes((BATCHES * 8 * MEGABYTE) as u64));
    group.bench_function("raw_write", |b| {
        b.iter(|| {
            let mut file = File::create(folder.path().join("raw")).unwrap();
            for batch in &batches {
                let data = batch.column(0).to_data();
                file.write_all(data.child_data()[0].buffers()[0].as_slice()).unwrap();
            }
        });
    });
    for extension in ["npy", "npyd", "npz"] {
        let path = folder.path().join("x").with_extension(extension);
        let options = SinkOptions::new().with_overwrite(true);
        group.bench_function(extension, |b| {
            b.iter(|| {
                let mut sink = open_sink(&path, &batches[0].schema(), &options).unwrap();
                for batch in &batches {
                    sink.write(batch).unwrap();
                }
                sink.finish().unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, open, collect, write);
criterion_main!(benches);
