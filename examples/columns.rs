//! Hands columns to one's own code: two features of every record, as plain Rust values.
//!
//! ```text
//! cargo run --example columns -- 'examples/data/digits/digits.tfrecord-*'
//! ```

use std::collections::BTreeMap;

use tfarrow::ReaderBuilder;
use tfarrow::arrow::array::{Array, AsArray};
use tfarrow::arrow::datatypes::Int64Type;
use tfarrow::schema::FeatureSpec;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = std::env::args().nth(1).ok_or("usage: columns INPUT")?;
    // With the features given nothing has to be inferred, and no other feature is decoded.
    let reader = ReaderBuilder::new([input])
        .with_features([FeatureSpec::parse("label:int64")?, FeatureSpec::parse("writer:string?")?])
        .with_columns(["label", "writer"])
        .build()?;
    let mut digits: BTreeMap<i64, usize> = BTreeMap::new();
    let mut unsigned = 0;
    for batch in reader {
        let batch = batch?;
        let labels = batch.column(0).as_primitive::<Int64Type>();
        let writers = batch.column(1).as_string::<i32>();
        for row in 0..batch.num_rows() {
            *digits.entry(labels.value(row)).or_default() += 1;
            unsigned += usize::from(writers.is_null(row));
        }
    }
    for (digit, count) in digits {
        println!("digit {digit}: {count}");
    }
    println!("without a writer: {unsigned}");
    Ok(())
}
