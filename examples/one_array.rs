//! A dataset that fits in memory as one array, and one more for its labels.
//!
//! ```text
//! cargo run --example one_array -- 'examples/data/digits/digits.tfrecord-*'
//! ```
#![allow(clippy::print_stdout)]

use tfarrow::ReaderBuilder;
use tfarrow::array::ArrayCollector;
use tfarrow::ndarray::{Axis, Ix1, Ix2};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = std::env::args().nth(1).ok_or("usage: one_array INPUT")?;
    let builder = ReaderBuilder::new([input]).with_columns(["pixels", "label"]);
    // Counting hops from record to record; then every array is allocated once, at its full size.
    let rows = usize::try_from(builder.count()?)?;
    let mut arrays = ArrayCollector::new().with_rows(rows).collect(builder.build()?.into_arrow())?;
    let pixels = arrays.take::<f32>("pixels")?.into_dimensionality::<Ix2>()?;
    let labels = arrays.take::<i64>("label")?.into_dimensionality::<Ix1>()?;
    println!("pixels: {:?}, labels: {:?}", pixels.shape(), labels.shape());
    let mean = pixels.mean_axis(Axis(0)).ok_or("no rows")?;
    println!("brightest pixel: {:.3}", mean.iter().copied().fold(0., f32::max));
    Ok(())
}
