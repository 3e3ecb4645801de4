//! A dataset that does not fit in memory, chunk by chunk: each one is an array of shape
//! `[rows, 64]` that borrows the batch.
//!
//! ```text
//! cargo run --example chunk_by_chunk -- 'examples/data/digits/digits.tfrecord-*'
//! ```
#![allow(clippy::print_stdout)]

use tfarrow::ReaderBuilder;
use tfarrow::array::tensor;
use tfarrow::ndarray::{Array1, Axis, Ix2};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = std::env::args().nth(1).ok_or("usage: chunk_by_chunk INPUT")?;
    let mut sum = Array1::<f32>::zeros(64);
    let mut rows = 0;
    for batch in ReaderBuilder::new([input]).with_columns(["pixels"]).with_batch_rows(500).build()? {
        let batch = batch?;
        let pixels = tensor(&batch, "pixels")?.view_as::<f32, Ix2>()?;
        println!("chunk of {:?}", pixels.shape());
        sum += &pixels.sum_axis(Axis(0));
        rows += pixels.nrows();
    }
    println!("mean of {rows} rows: {:.3}", sum.sum() / 64. / rows as f32);
    Ok(())
}
