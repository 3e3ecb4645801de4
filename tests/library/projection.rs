//! Columns of sources that are open: the same as if they had been asked for before, without opening or
//! decoding anything else.

#![cfg(all(feature = "gzip", feature = "parquet"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use crate::common::repo;
use arrow::array::RecordBatch;
use tfarrow::options::{RecordKind, Structure};
use tfarrow::schema::{Cast, FeatureSpec};
use tfarrow::source::Source;
use tfarrow::{Batches, Conversion, ReaderBuilder, conformance};

const DIGITS: &str = "examples/data/digits/digits.tfrecord-*";

fn saved(name: &str) -> ReaderBuilder {
    ReaderBuilder::new(repo(&format!("tests/golden/saved/{name}/data")))
}

fn names(source: &Arc<dyn Source>) -> Vec<String> {
    source.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn read(source: &Arc<dyn Source>) -> tfarrow::Result<Vec<RecordBatch>> {
    Batches::new(source.clone(), ReaderBuilder::new("").read_options(), 1)?.collect()
}

#[test]
fn tables_conform() {
    let folder = tempfile::tempdir().unwrap();
    let digits = ReaderBuilder::new(repo(DIGITS)).with_take(40);
    let tfds = ReaderBuilder::new(repo("tests/golden/tfds/wide_tfrecord")).with_split("all");
    let tfds = tfds.with_class_names(true);
    for (name, builder) in [("digits", digits), ("ragged", saved("ragged_r1_batched")), ("tfds", tfds)] {
        for extension in ["arrow", "arrows", "parquet"] {
            let path = folder.path().join(format!("{name}.{extension}"));
            Conversion::new(builder.clone()).write(&path).unwrap();
            let source = ReaderBuilder::new(&path).build_source().unwrap();
            conformance::check(&source).unwrap_or_else(|e| panic!("{name}.{extension}: {e}"));
        }
    }
}

#[test]
fn columns_that_were_renamed_and_cast_conform() {
    let digits = ReaderBuilder::new(repo(DIGITS)).with_cast(Cast::parse("label=int8").unwrap());
    let own = names(&digits.build_source().unwrap());
    // Each gets the name of another one.
    let builder = (0..own.len()).fold(digits, |builder, at| {
        builder.with_rename(own[at].as_str(), own[(at + 1) % own.len()].as_str())
    });
    conformance::check(&builder.build_source().unwrap()).unwrap();
}

#[test]
fn structures_are_projected_by_path() {
    let flat = saved("nested").build_source().unwrap();
    let paths = names(&flat);
    let outer = paths.iter().find_map(|path| path.split_once('/')).unwrap().0;
    let under: Vec<&String> = paths.iter().filter(|path| path.starts_with(&format!("{outer}/"))).collect();
    assert_eq!(names(&flat.project(&[outer]).unwrap()).iter().collect::<Vec<_>>(), under);
    let first = under[0].as_str();
    let projected = flat.project(&[first]).unwrap();
    // Only what is left of it is under the name.
    assert_eq!(names(&projected.project(&[outer]).unwrap()), [first]);
    let reopened = saved("nested").with_columns([first]).build_source().unwrap();
    assert_eq!(projected.schema(), reopened.schema());
    assert_eq!(projected.element_spec(), reopened.element_spec());
    assert_eq!(read(&projected).unwrap(), read(&reopened).unwrap());
    let error = flat.project(&["outr/x", first]).unwrap_err().to_string();
    assert!(error.contains("no column `outr/x`"), "{error}");
    let nested = saved("nested").with_structure(Structure::Nested).build_source().unwrap();
    conformance::check(&nested).unwrap();
}

#[test]
fn what_was_excluded_does_not_come_back() {
    let source = ReaderBuilder::new(repo(DIGITS)).with_exclude(["label"]).build_source().unwrap();
    let error = source.project(&["label", "pixels"]).unwrap_err().to_string();
    assert!(error.contains("no column `label`"), "{error}");
    let raw = ReaderBuilder::new(repo(DIGITS)).with_record(RecordKind::Raw).build_source().unwrap();
    assert_eq!(names(&raw.project(&["record"]).unwrap()), ["record"]);
    assert!(raw.project(&["label"]).is_err());
}

#[test]
fn what_is_not_asked_for_is_not_decoded() {
    // No value of `pixels` is what its spec says, which is seen where they are decoded.
    let wrong = FeatureSpec::parse("pixels:int64[64]").unwrap();
    let source = ReaderBuilder::new(repo(DIGITS)).with_feature(wrong).build_source().unwrap();
    assert!(read(&source).unwrap_err().to_string().contains("pixels"));
    let label = source.project(&["label"]).unwrap();
    let rows: usize = read(&label).unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 1797);
}
