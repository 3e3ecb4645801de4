//! The classic programs as `tf.data` pipelines that are built in Rust and run by TensorFlow.
//!
//! ```text
//! cargo run --features tensorflow --example live_pipelines
//! ```
//!
//! libtensorflow is found in the active Python environment, or where `TENSORFLOW_DIR` says.
#![allow(clippy::print_stdout, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use tfarrow::ReaderBuilder;
use tfarrow::array::tensor;
use tfarrow::live::{Dataset, Values};
use tfarrow::ndarray::{Array2, Array3, Ix1, Ix2, Ix3};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// `tf.data.Dataset.from_tensor_slices(x)`, as one array again.
fn single_array() -> Result<()> {
    let x = Array2::from_shape_fn((100, 4), |(i, j)| (i * 4 + j) as f32);
    let dataset = Dataset::from_tensor_slices(x)?;
    let mut arrays = ReaderBuilder::from_dataset(dataset).to_arrays()?;
    let x = arrays.take::<f32>("value")?.into_dimensionality::<Ix2>()?;
    println!("single array: {:?}, sum {}", x.shape(), x.sum());
    Ok(())
}

/// `.batch(32)`: chunks that are views of TensorFlow's memory, the last one smaller.
fn batched_chunks() -> Result<()> {
    let x = Array2::from_shape_fn((100, 4), |(i, j)| (i * 4 + j) as f32);
    let dataset = Dataset::from_tensor_slices(x)?.batch(32, false)?;
    for batch in ReaderBuilder::from_dataset(dataset).with_unbatch(true).with_batch_rows(32).build()? {
        let batch = batch?;
        let chunk = tensor(&batch, "value")?.view_as::<f32, Ix2>()?;
        println!("chunk: {:?}, first {}", chunk.shape(), chunk[[0, 0]]);
    }
    Ok(())
}

/// A dict of features, one of them text.
fn dictionary_features() -> Result<()> {
    let images = Array3::from_shape_fn((6, 2, 2), |(i, ..)| i as u8);
    let dataset = Dataset::from_tensor_slices([
        ("image", Values::from(images)),
        ("label", Values::from((0..6).collect::<Vec<i64>>())),
        ("name", Values::strings(&["a", "b", "c", "d", "e", "f"])),
    ])?;
    for batch in ReaderBuilder::from_dataset(dataset.shuffle(6, Some(1))?).build()? {
        let batch = batch?;
        let images = tensor(&batch, "image")?.view_as::<u8, Ix3>()?;
        let labels = tensor(&batch, "label")?.view_as::<i64, Ix1>()?;
        let together =
            images.outer_iter().zip(labels).all(|(image, label)| i64::from(image[[1, 1]]) == *label);
        println!(
            "dictionary: {:?}, {:?}, together: {together}",
            images.shape(),
            batch.schema().field(2).name()
        );
    }
    Ok(())
}

/// `.repeat().batch(32, drop_remainder=True).take(3)`.
fn first_three_batches() -> Result<()> {
    let dataset = Dataset::range(0, 50, 1)?.repeat(None).batch(32, true)?.take(3);
    for batch in ReaderBuilder::from_dataset(dataset).build()? {
        let batch = batch?;
        // An element is a row: each row is a batch of 32.
        let rows = tensor(&batch, "value")?.view_as::<i64, Ix2>()?;
        println!("first batches: {:?}, last number {}", rows.shape(), rows[[2, 31]]);
    }
    Ok(())
}

fn main() -> Result<()> {
    single_array()?;
    batched_chunks()?;
    dictionary_features()?;
    first_three_batches()
}
