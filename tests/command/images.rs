//! Images in features and in TFDS datasets, as TensorFlow and TFDS decode them.

#![cfg(feature = "image")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use serde_json::{Value, json};

use crate::common::{
    Dir, Table, assert_names, example, json_file, python, repo, run_python, tfarrow, tfrecord,
};

/// An image of each kind, and what TensorFlow decodes it to, by name.
fn golden() -> BTreeMap<String, (Vec<u8>, Value)> {
    let expected = json_file("tests/golden/images/expected.json");
    let image = |name: &String| fs::read(repo("tests/golden/images").join(name)).unwrap();
    expected.as_object().unwrap().iter().map(|(name, e)| (name.clone(), (image(name), e.clone()))).collect()
}

/// Shapes and checksums of the images in a column of variable shape; null where it is null.
fn images(table: &Table, column: &str) -> Vec<Value> {
    let mut out = Vec::new();
    for batch in &table.batches {
        let images = batch.column_by_name(column).unwrap().as_struct();
        let [data, shapes] = ["data", "shape"].map(|part| images.column_by_name(part).unwrap());
        for row in 0..images.len() {
            if images.is_null(row) {
                out.push(Value::Null);
                continue;
            }
            let shape = shapes.as_fixed_size_list().value(row);
            let shape = shape.as_primitive::<Int32Type>().values().to_vec();
            let pixels = data.as_list::<i32>().value(row);
            let width = pixels.data_type().primitive_width().unwrap();
            let (data, at) = (pixels.to_data(), pixels.offset() * width);
            let bytes = &data.buffers()[0].as_slice()[at..at + pixels.len() * width];
            out.push(json!({"shape": shape, "crc32c": crc32c::crc32c(bytes)}));
        }
    }
    out
}

#[test]
fn jpegs_without_their_end_are_errors_and_can_be_passed_over() {
    let input = repo("tests/golden/quirks/cut_jpegs.tfrecord").to_str().unwrap().to_owned();
    let dir = Dir::new();
    let output = dir.arg("out.arrow");
    let convert = |extra: &[&str]| {
        let args = ["convert", &input, "-o", &output, "--feature", "im:image[?,?,3]", "--overwrite"];
        tfarrow(&[&args, extra].concat())
    };
    assert_names(&convert(&[]).failure(), &["record 1", "column `im`", "it ends too soon"]);
    let skipped = convert(&["--on-error", "skip"]);
    assert_eq!(skipped.code, Some(1), "{}", skipped.stderr);
    assert_eq!(Table::open(&dir.path("out.arrow")).rows(), 2);
    let nulled = convert(&["--on-error", "null"]);
    assert_eq!(nulled.code, Some(1), "{}", nulled.stderr);
    let values = images(&Table::open(&dir.path("out.arrow")), "im");
    assert_eq!(values.iter().map(Value::is_null).collect::<Vec<_>>(), [false, true, true, false]);
}

/// A TFDS folder whose one feature `image` is an image of this shape and dtype.
fn dataset(dir: &Dir, shape: &[i64], dtype: &str, records: &[Vec<u8>]) -> String {
    let feature = json!({
        "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
        "image": {"dtype": dtype, "shape": {"dimensions": shape.iter().map(i64::to_string).collect::<Vec<_>>()}},
    });
    let features = json!({
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {"features": {"image": feature}},
    });
    let info = json!({
        "name": "some", "version": "1.0.0", "fileFormat": "tfrecord",
        "splits": [{
            "name": "train", "numBytes": "1", "shardLengths": [records.len().to_string()],
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        }],
    });
    fs::write(dir.path("features.json"), features.to_string()).unwrap();
    fs::write(dir.path("dataset_info.json"), info.to_string()).unwrap();
    fs::write(dir.path("some-train.tfrecord-00000-of-00001"), tfrecord(records)).unwrap();
    dir.arg("")
}

#[test]
fn images_of_tfds_are_brought_to_the_channels_and_bits_of_the_feature() {
    let golden = golden();
    let still = |name: &str| !name.ends_with(".gif") && !name.ends_with(".webp");
    let still: Vec<_> = golden.iter().filter(|(name, _)| still(name)).collect();
    for (channels, dtype) in [(1, "uint8"), (3, "uint8"), (4, "uint8"), (3, "uint16")] {
        let asked = format!("{channels}/{}", &dtype[4..]);
        let known: Vec<_> =
            still.iter().filter(|(_, (_, expected))| expected.get(&asked).is_some()).collect();
        assert!(known.len() > 40);
        let records: Vec<_> = known.iter().map(|(_, (bytes, _))| example(&[("image", bytes)])).collect();
        let dir = Dir::new();
        let folder = dataset(&dir, &[-1, -1, channels], dtype, &records);
        let run = tfarrow(&["convert", &folder, "-o", "-", "--decode-images", "--on-error", "null"]);
        for (found, (name, (_, expected))) in
            images(&Table::from_stream(run.stdout), "image").iter().zip(&known)
        {
            let expected = &expected[&asked];
            assert_eq!(found, expected, "{name} {asked}");
        }
    }
}

#[test]
fn frames_are_the_first_of_four_dimensions() {
    let golden = golden();
    let is_animated = |name: &str| name.ends_with(".gif") || name.ends_with(".webp");
    let animated: Vec<_> = golden.iter().filter(|(name, _)| is_animated(name)).collect();
    let records: Vec<_> = animated.iter().map(|(_, (bytes, _))| example(&[("image", bytes)])).collect();
    let dir = Dir::new();
    let input = dir.arg("images.tfrecord");
    fs::write(&input, tfrecord(&records)).unwrap();
    let run = tfarrow(&["convert", &input, "-o", "-", "--feature", "image:image[?,?,?,?]"]).success();
    for (found, (name, (_, expected))) in
        images(&Table::from_stream(run.stdout), "image").iter().zip(&animated)
    {
        assert_eq!(*found, expected["0/8"], "{name}");
    }
    let (gif, _) = &golden["animated.gif"];
    fs::write(&input, tfrecord(&[example(&[("image", gif)])])).unwrap();
    let message = tfarrow(&["convert", &input, "--dry-run", "--feature", "image:image"]).failure();
    assert_names(&message, &["record 0", "column `image`", "several frames", "image[?,?,?,3]"]);
    let (jpeg, _) = &golden["444_75.jpg"];
    fs::write(&input, tfrecord(&[example(&[("image", jpeg)])])).unwrap();
    let message = tfarrow(&["convert", &input, "--dry-run", "--feature", "image:image[?,?,?,3]"]).failure();
    assert_names(&message, &["record 0", "column `image`", "JPEG images have no frames"]);
    // The same of TFDS.
    let folder = dataset(&dir, &[-1, -1, -1, 3], "uint8", &[example(&[("image", gif)])]);
    let run = tfarrow(&["convert", &folder, "-o", "-", "--decode-images"]).success();
    assert_eq!(images(&Table::from_stream(run.stdout), "image")[0], golden["animated.gif"].1["3/8"]);
}

#[test]
fn images_of_every_kind_and_their_mutations_are_what_tensorflow_decodes() {
    let Some(python) = python() else { return };
    run_python(python, "check_images.py", &[env!("CARGO_BIN_EXE_tfarrow")]);
}
