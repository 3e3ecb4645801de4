//! Goes through a dataset batch by batch: only one batch is in memory at a time.
//!
//! ```text
//! cargo run --example stream_batches -- 'examples/data/digits/digits.tfrecord-*'
//! ```

use tfarrow::ReaderBuilder;
use tfarrow::arrow::array::AsArray;
use tfarrow::arrow::datatypes::Float32Type;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = std::env::args().nth(1).ok_or("usage: stream_batches INPUT")?;
    let reader = ReaderBuilder::new([input]).with_batch_rows(500).build()?;
    for field in reader.schema().fields() {
        println!("{}: {}", field.name(), field.data_type());
    }
    for batch in reader {
        let batch = batch?;
        // The mean of every value of a tensor column, for as many rows as this batch has.
        let pixels = batch.column_by_name("pixels").ok_or("no column `pixels`")?.as_fixed_size_list();
        let values = pixels.values().as_primitive::<Float32Type>().values();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        println!("{} rows, mean pixel {mean:.3}", batch.num_rows());
    }
    Ok(())
}
