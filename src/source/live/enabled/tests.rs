use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int64Type};
use ndarray::{Array2, Array3};

use super::build::Dataset;
use super::columns::{Columns, Piece};
use super::runner::Fetched;
use super::stage::{self, Wanted};
use super::values::Values;
use super::*;
use crate::schema::element::ElementPlan;
use crate::source::{Decoded, Selection};
use crate::wire::compress::Compression;

/// The folder of the test Python's packages; `None` without a test Python.
fn packages() -> Option<PathBuf> {
    let Some(python) = std::env::var_os("TFARROW_TEST_PYTHON").filter(|path| !path.is_empty()) else {
        let required = ["CI", "TFARROW_REQUIRE_PYTHON"].iter().any(|name| std::env::var_os(name).is_some());
        assert!(!required, "TFARROW_TEST_PYTHON is not set; run ./test.sh");
        return None;
    };
    let print = "import sysconfig; print(sysconfig.get_path('platlib'))";
    let output = std::process::Command::new(python).args(["-c", print]).output().unwrap();
    Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()))
}

fn options() -> Option<OpenOptions> {
    Some(OpenOptions { libtensorflow: Some(packages()?), ..OpenOptions::default() })
}

fn read(dataset: &Dataset, options: &OpenOptions, batch_rows: usize) -> Vec<RecordBatch> {
    let source = dataset.source(options).unwrap();
    let options = ReadOptions { batch_rows, ..ReadOptions::default() };
    let mut units = source.units(0..1, &options).unwrap();
    let mut batches = Vec::new();
    while let Some(unit) = units.next_unit().unwrap() {
        let rest = unit.decode(&mut |decoded| {
            let Decoded::Batch(batch) = decoded else { panic!("{decoded:?}") };
            batches.push(batch);
            Ok(())
        });
        assert!(rest.unwrap().is_none());
    }
    batches
}

fn int64s(dataset: &Dataset, options: &OpenOptions) -> Vec<i64> {
    let batches = read(dataset, options, 1024);
    let values = batches.iter().map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    values.collect::<Vec<_>>().concat()
}

fn floats(batch: &RecordBatch) -> &[f32] {
    batch.column(0).as_fixed_size_list().values().as_primitive::<Float32Type>().values()
}

#[test]
fn the_classic_programs() {
    let Some(options) = options() else { return };
    // A single array.
    let array = Array2::from_shape_fn((5, 3), |(i, j)| (10 * i + j) as f32);
    let dataset = Dataset::from_tensor_slices(array).unwrap();
    let batches = read(&dataset, &options, 1024);
    assert_eq!(batches.len(), 1);
    assert_eq!(floats(&batches[0])[..4], [0.0, 1.0, 2.0, 10.0]);

    // Batched chunks with a partial last batch.
    let chunks = dataset.batch(2, false).unwrap();
    let unbatched = OpenOptions { unbatch: true, ..options.clone() };
    let rows: Vec<_> = read(&chunks, &unbatched, 2).iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, [2, 2, 1]);

    // Dictionary features, strings among them.
    let images = Array3::from_shape_fn((4, 2, 2), |(i, ..)| i as u8);
    let names = Values::from(vec!["a", "b", "c", "d"]);
    let fields = [("name", names), ("image", images.into()), ("label", vec![3i64, 1, 2, 0].into())];
    let dataset = Dataset::from_tensor_slices(fields).unwrap();
    let batches = read(&dataset, &options, 3);
    let schema = batches[0].schema();
    let columns: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["image", "label", "name"]);
    assert_eq!(batches[1].column(2).as_binary::<i32>().value(0), b"d");
    assert_eq!(batches[0].column(0).as_fixed_size_list().value(2).len(), 4);

    // The first three batches of something endless.
    let endless = Dataset::range(0, 7, 1).unwrap().repeat(None).batch(4, true).unwrap().take(3);
    assert_eq!(int64s(&endless.unbatch().unwrap(), &options), [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]);
}

#[test]
fn every_operation_does_what_it_does_in_tensorflow() {
    let Some(options) = options() else { return };
    let range = |start, stop| Dataset::range(start, stop, 1).unwrap();
    assert_eq!(int64s(&range(0, 10).skip(2).shard(1, 3).unwrap(), &options), [3, 6, 9]);
    assert_eq!(int64s(&range(0, 2).concatenate(&range(8, 10)).unwrap(), &options), [0, 1, 8, 9]);
    assert_eq!(int64s(&Dataset::range(5, 0, -2).unwrap().prefetch(1), &options), [5, 3, 1]);
    let twice = range(0, 3);
    let zipped = Dataset::zip(&[twice.clone(), twice.skip(1)]).unwrap();
    let batch = &read(&zipped, &options, 10)[0];
    assert_eq!(batch.schema().field(1).name(), "1");
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values()[..], [1, 2]);
    // As `tf.data.Dataset.range(10).shuffle(5, seed=42)` in TensorFlow 2.21.
    let shuffled = int64s(&range(0, 10).shuffle(5, Some(42)).unwrap(), &options);
    assert_eq!(shuffled, int64s(&range(0, 10).shuffle(5, Some(42)).unwrap(), &options));
    assert_ne!(shuffled, (0..10).collect::<Vec<_>>());
    let records = Dataset::tf_record(&["tests/golden/tfrecord/small.tfrecord"], Compression::None).unwrap();
    let whole: usize = read(&records, &options, 100).iter().map(RecordBatch::num_rows).sum();
    let expected = std::fs::read_to_string("tests/golden/tfrecord/expected.json").unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(whole, expected["small.tfrecord"]["records"].as_array().unwrap().len());
}

#[test]
fn options_do_not_change_the_elements() {
    let Some(options) = options() else { return };
    let numbers = Dataset::range(0, 50, 1).unwrap();
    let set = DataOptions::new()
        .with_deterministic(true)
        .with_autotune(false)
        .with_private_threads(1)
        .with_max_intra_op_parallelism(1);
    let with = numbers.with_options(&set);
    assert_eq!(with.element_spec(), numbers.element_spec());
    assert_eq!(int64s(&with.prefetch(2), &options), (0..50).collect::<Vec<_>>());
    assert!(crate::tf::graph_def::DatasetOptions::default().message().is_empty());
}

#[test]
fn errors_in_a_rust_pipeline_carry_tensorflows_words() {
    let Some(options) = options() else { return };
    let missing = Dataset::tf_record(&["no/such/file"], Compression::None).unwrap();
    let source = missing.source(&options).unwrap();
    let error = source.units(0..1, &ReadOptions::default()).unwrap().next_unit().err().unwrap();
    assert_eq!(error.kind(), crate::error::ErrorKind::NotFound);
    assert!(error.to_string().contains("no/such/file"), "{error}");
    assert_eq!(error.location().record, Some(0));
}

/// How many threads this process has.
#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
#[cfg(target_os = "linux")]
fn pipelines_that_are_done_leave_no_threads_behind() {
    let Some(options) = options() else { return };
    let private = DataOptions::new().with_private_threads(4);
    let dataset = Dataset::range(0, 10, 1).unwrap().with_options(&private);
    int64s(&dataset, &options);
    let before = threads();
    for _ in 0..100 {
        // The half that is left over is never made.
        let source = dataset.source(&options).unwrap();
        let options = ReadOptions { batch_rows: 5, ..ReadOptions::default() };
        assert!(source.units(0..1, &options).unwrap().next_unit().unwrap().is_some());
    }
    // Other tests run beside this one.
    let after = threads();
    assert!(after < before + 100, "{before} threads, then {after}");
}

/// A running pipeline of 128 float32 a row, and the columns of its batches.
fn running(options: &OpenOptions, rows: usize, repeat: u64) -> (Running, Columns) {
    let array = Array2::from_shape_fn((rows, 128), |(i, _)| i as f32);
    let dataset = Dataset::from_tensor_slices(array).unwrap().repeat(Some(repeat));
    let spec = dataset.element_spec().clone();
    let pipeline = dataset.pipeline(&Runtime { library: options.libtensorflow.clone(), threads: 0 }).unwrap();
    let mut graph = GraphBuilder::new(pipeline.graph);
    let wanted = Wanted {
        selection: Selection::default(),
        past: 0,
        unbatch: false,
        batch_rows: rows,
        batch_bytes: usize::MAX,
        read: vec![true],
    };
    let stage = stage::add(&mut graph, &pipeline.output, &spec, &wanted).unwrap();
    library::ensure(options.libtensorflow.as_deref()).unwrap();
    let loaded = Loaded::new(&graph.finish(), pipeline.feeds, None, 0).unwrap();
    let plan = ElementPlan::new(&spec, &options.mapping, &options.projection, &[], "pipeline").unwrap();
    let columns = Columns { plan: Arc::new(plan), specs: vec![spec], unbatch: false };
    (Running::start(loaded, &stage).unwrap(), columns)
}

#[test]
fn columns_are_tensorflows_memory_and_outlive_the_session() {
    let Some(options) = options() else { return };
    let (mut running, columns) = running(&options, 64, 2);
    let delivered = Arc::new(running.next().unwrap().unwrap());
    let Fetched::Plain(tensor) = &delivered.components[0] else { panic!("{delivered:?}") };
    let start = tensor.bytes().as_ptr();
    let mut batches = Vec::new();
    let mut emit = |batch| {
        batches.push(batch);
        Ok(())
    };
    let piece = |rows| Piece { delivered: delivered.clone(), rows, first_element: 0 };
    columns.emit(&[piece(0..64)], &mut emit).unwrap();
    columns.emit(&[piece(10..20)], &mut emit).unwrap();
    assert_eq!(floats(&batches[0]).as_ptr().cast(), start);
    assert_eq!(floats(&batches[1]).as_ptr().cast(), start.wrapping_add(10 * 128 * 4));
    drop(delivered);
    drop(running);
    assert_eq!(floats(&batches[1]).to_vec(), (10..20).flat_map(|i| [i as f32; 128]).collect::<Vec<_>>());
    assert_eq!(floats(&batches[0])[63 * 128], 63.0);
}

/// Resident memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
#[cfg(target_os = "linux")]
fn memory_does_not_grow_with_the_number_of_batches() {
    let Some(options) = options() else { return };
    // A leaked tensor a batch would be 1.6 GB.
    const BATCHES: usize = 100_000;
    let (mut running, columns) = running(&options, 32, BATCHES as u64);
    let mut before = 0;
    let mut count = 0;
    while let Some(delivered) = running.next().unwrap() {
        let piece = Piece { delivered: Arc::new(delivered), rows: 0..32, first_element: 0 };
        columns
            .emit(&[piece], &mut |batch| {
                assert_eq!(floats(&batch)[128], 1.0);
                Ok(())
            })
            .unwrap();
        count += 1;
        if count == BATCHES / 10 {
            before = resident_bytes();
        }
    }
    assert_eq!(count, BATCHES);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
}
