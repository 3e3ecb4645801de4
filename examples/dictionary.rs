//! A dataset of dictionaries: one array a key, whatever the keys are.
//!
//! ```text
//! cargo run --example dictionary -- 'examples/data/digits/digits.tfrecord-*'
//! ```
#![allow(clippy::print_stdout)]

use tfarrow::ReaderBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = std::env::args().nth(1).ok_or("usage: dictionary INPUT")?;
    // Images are encoded and writers are text: neither is an array of numbers.
    let reader = ReaderBuilder::new([input]).with_exclude(["image", "writer"]).build()?;
    let arrays = reader.to_arrays()?;
    for name in arrays.names() {
        if let (Some(dtype), Some(shape)) = (arrays.dtype(name), arrays.shape(name)) {
            println!("{name}: {dtype} {shape:?}");
        }
    }
    Ok(())
}
