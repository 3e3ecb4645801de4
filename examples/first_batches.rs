//! The first batches of a dataset, all of one size: `ds.batch(n, drop_remainder=True).take(k)`.
//! Nothing behind them is read, but what TFRecord files hold is learnt from their first 10,000 records: less with
//! `with_infer_records`, nothing with `with_features`.
//!
//! ```text
//! cargo run --example first_batches -- 'examples/data/digits/digits.tfrecord-*'
//! ```
#![allow(clippy::print_stdout)]

use tfarrow::ReaderBuilder;
use tfarrow::array::tensor;
use tfarrow::ndarray::Ix1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = std::env::args().nth(1).ok_or("usage: first_batches INPUT")?;
    let reader = ReaderBuilder::new([input]).with_batch_rows(32).build()?;
    for batch in reader.drop_remainder(32).take(3) {
        let batch = batch?;
        let labels = tensor(&batch, "label")?.view_as::<i64, Ix1>()?;
        let sum: i64 = labels.iter().sum();
        println!("{} labels, which sum up to {sum}", labels.len());
    }
    Ok(())
}
