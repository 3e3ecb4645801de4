//! A live pipeline of w6's shape against a bare loop over `IteratorGetNext`.
//!
//!     LIBTENSORFLOW=… cargo bench --features tensorflow --bench live
//!     python benches/live.py       # the same pipeline through Python's iterators
//!
//! `LIBTENSORFLOW` is what `--libtensorflow` takes; rows are set with `ROWS` (1,000,000).

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_wrap, clippy::cast_possible_truncation)]

use std::time::Instant;

use ndarray::Array2;
use tensorflow::{Code, DataType, Graph, Operation, Session, SessionOptions, SessionRunArgs, Shape, Tensor};
use tfarrow::ReaderBuilder;
use tfarrow::live::{Dataset, Values};

const BATCH: usize = 1024;
const WIDTH: usize = 128;

fn shape(dims: &[Option<i64>]) -> Shape {
    Shape::new(Some(dims.to_vec()))
}

/// `TensorSliceDataset` → `BatchDatasetV2` → `PrefetchDataset` → `IteratorV2`.
fn bare(x: &Tensor<f32>, y: &Tensor<i64>) -> (f64, usize) {
    let mut graph = Graph::new();
    let rows = Some(x.dims()[0] as i64);
    let types = [DataType::Float, DataType::Int64];
    let one = [shape(&[Some(WIDTH as i64)]), shape(&[])];
    let many = [shape(&[None, Some(WIDTH as i64)]), shape(&[None])];
    let placeholder = |graph: &mut Graph, name: &str, dtype, shape: Shape| {
        let mut op = graph.new_operation("Placeholder", name).unwrap();
        op.set_attr_type("dtype", dtype).unwrap();
        op.set_attr_shape("shape", &shape).unwrap();
        op.finish().unwrap()
    };
    let px = placeholder(&mut graph, "x", DataType::Float, shape(&[rows, Some(WIDTH as i64)]));
    let py = placeholder(&mut graph, "y", DataType::Int64, shape(&[rows]));
    let slices = {
        let mut op = graph.new_operation("TensorSliceDataset", "slices").unwrap();
        op.add_input_list(&[px.output(0), py.output(0)]);
        op.set_attr_type_list("Toutput_types", &types).unwrap();
        op.set_attr_shape_list("output_shapes", &one).unwrap();
        op.finish().unwrap()
    };
    let int64 = |graph: &mut Graph, name: &str, value: i64| {
        let mut op = graph.new_operation("Const", name).unwrap();
        op.set_attr_type("dtype", DataType::Int64).unwrap();
        op.set_attr_tensor("value", Tensor::<i64>::from(value)).unwrap();
        op.finish().unwrap()
    };
    let size = int64(&mut graph, "size", BATCH as i64);
    let keep = {
        let mut op = graph.new_operation("Const", "keep").unwrap();
        op.set_attr_type("dtype", DataType::Bool).unwrap();
        op.set_attr_tensor("value", Tensor::<bool>::from(false)).unwrap();
        op.finish().unwrap()
    };
    let step = |graph: &mut Graph, op: &str, inputs: &[&Operation]| {
        let mut description = graph.new_operation(op, op).unwrap();
        inputs.iter().for_each(|input| description.add_input(input.output(0)));
        description.set_attr_type_list("output_types", &types).unwrap();
        description.set_attr_shape_list("output_shapes", &many).unwrap();
        if op == "IteratorV2" {
            description.set_attr_string("shared_name", "bare").unwrap();
            description.set_attr_string("container", "").unwrap();
        }
        description.finish().unwrap()
    };
    let batches = step(&mut graph, "BatchDatasetV2", &[&slices, &size, &keep]);
    let ahead = int64(&mut graph, "ahead", 2);
    let prefetch = step(&mut graph, "PrefetchDataset", &[&batches, &ahead]);
    let iterator = step(&mut graph, "IteratorV2", &[]);
    let make = {
        let mut op = graph.new_operation("MakeIterator", "make").unwrap();
        op.add_input(prefetch.output(0));
        op.add_input(iterator.output(0));
        op.finish().unwrap()
    };
    let next = step(&mut graph, "IteratorGetNext", &[&iterator]);
    let session = Session::new(&SessionOptions::new(), &graph).unwrap();
    let mut start = SessionRunArgs::new();
    start.add_feed(&px, 0, x);
    start.add_feed(&py, 0, y);
    start.add_target(&make);
    session.run(&mut start).unwrap();
    let mut run = SessionRunArgs::new();
    let tokens = (run.request_fetch(&next, 0), run.request_fetch(&next, 1));
    let (begin, mut count) = (Instant::now(), 0);
    loop {
        match session.run(&mut run) {
            Ok(()) => {
                let (x, y) = (run.fetch::<f32>(tokens.0).unwrap(), run.fetch::<i64>(tokens.1).unwrap());
                count += usize::from(!x.is_empty() && !y.is_empty());
            }
            Err(status) if status.code() == Code::OutOfRange => break,
            Err(status) => panic!("{status}"),
        }
    }
    (begin.elapsed().as_secs_f64(), count)
}

fn ours(dataset: &Dataset, library: &str) -> (f64, usize) {
    let reader = ReaderBuilder::from_dataset(dataset.clone())
        .with_libtensorflow(library)
        .with_batch_rows(BATCH)
        .build()
        .unwrap();
    let begin = Instant::now();
    let count = reader.map(|batch| batch.unwrap().num_rows()).filter(|rows| *rows > 0).count();
    (begin.elapsed().as_secs_f64(), count)
}

fn main() {
    let Ok(library) = std::env::var("LIBTENSORFLOW") else {
        println!("skipped: LIBTENSORFLOW is not set");
        return;
    };
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000usize);
    let array = Array2::from_shape_fn((rows, WIDTH), |(i, j)| (i ^ j) as f32);
    let labels: Vec<i64> = (0..).take(rows).collect();
    let fields = [("x", Values::from(array.clone())), ("y", Values::from(labels.clone()))];
    let dataset = Dataset::from_tensor_slices(fields).unwrap();
    // Loads the library.
    ours(&dataset.take(1), &library);
    let x = Tensor::new(&[rows as u64, WIDTH as u64]).with_values(array.as_slice().unwrap()).unwrap();
    let y = Tensor::new(&[rows as u64]).with_values(&labels).unwrap();
    let bytes = (rows * (WIDTH * 4 + 8)) as f64;
    for _ in 0..5 {
        for (name, (seconds, batches)) in [("bare loop", bare(&x, &y)), ("tfarrow", ours(&dataset, &library))]
        {
            let (each, rate) = (seconds / batches as f64 * 1e6, bytes / seconds / 1e6);
            println!(
                "{name:10} {batches} batches of {BATCH}×{WIDTH}: {seconds:.3} s, {each:.1} µs a batch, {rate:.0} MB/s"
            );
        }
    }
}
