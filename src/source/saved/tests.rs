//! Folders that TensorFlow wrote, and what TensorFlow reads from them.

use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Int32Type, Int64Type};
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::error::ErrorKind;
use crate::options::{BFloat16Storage, BoolStorage, TensorLayout};
use crate::schema::Projection;
use crate::schema::mapping::MappingOptions;
use crate::source::{Decoded, Selection};
use crate::tf::shape::Shape;

mod expected;
use expected::{expected_columns, sha256};

fn golden(name: &str) -> PathBuf {
    Path::new("tests/golden").join(name)
}

fn open_saved(path: &Path, options: &OpenOptions) -> Result<SavedSource> {
    let place = Place::local(path);
    match find_folder(&place)? {
        Some(folder) => open_folder(&folder, options),
        None => match find_cache(&place) {
            Some(prefix) => open_cache(&prefix, options),
            None => Err(Error::unsupported("not a stored dataset")),
        },
    }
}

fn read_json(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn batches_with(source: &SavedSource, read: &ReadOptions) -> Result<Vec<RecordBatch>> {
    let mut out = Vec::new();
    let mut units = source.units(0..source.partitions().len(), read)?;
    crate::source::drain(units.as_mut(), &mut |decoded| {
        if let Decoded::Batch(batch) = decoded {
            out.push(batch);
        }
        Ok(())
    })?;
    Ok(out)
}

/// Everything that is wrong with a source, also what cannot be read at all.
fn damage(source: &SavedSource) -> Vec<Failure> {
    let mut found = Vec::new();
    for partition in 0..source.partitions().len() {
        let verified = source.verify(partition, &ReadOptions::default(), &mut |failure| {
            found.push(failure);
            Ok(())
        });
        found.extend(verified.err().map(Failure::from));
    }
    found
}

fn batches(path: &Path, options: &OpenOptions) -> Result<Vec<RecordBatch>> {
    let read = ReadOptions { batch_rows: 3, ..Default::default() };
    batches_with(&open_saved(path, options)?, &read)
}

/// A leaf value as hex of its little-endian bytes.
fn leaf(array: &dyn Array, row: usize) -> Json {
    let data = array.to_data();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let long = |bytes: &[u8]| match bytes.len() {
        0..=2048 => json!(hex(bytes)),
        len => json!({"len": len, "sha256": sha256(bytes)}),
    };
    match array.data_type() {
        DataType::Boolean => json!(if array.as_boolean().value(row) { "01" } else { "00" }),
        DataType::Binary => long(array.as_binary::<i32>().value(row)),
        DataType::Utf8 => long(array.as_string::<i32>().value(row).as_bytes()),
        other => {
            let width = other.primitive_width().unwrap();
            let at = (data.offset() + row) * width;
            json!(hex(&data.buffers()[0].as_slice()[at..at + width]))
        }
    }
}

/// A value with its lists as lists.
fn plain(array: &ArrayRef, row: usize) -> Json {
    if array.is_null(row) {
        return Json::Null;
    }
    let all = |items: ArrayRef| (0..items.len()).map(|i| plain(&items, i)).collect::<Json>();
    match array.data_type() {
        DataType::List(_) => all(array.as_list::<i32>().value(row)),
        DataType::FixedSizeList(..) => all(array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns).map(|(f, c)| (f.name().clone(), plain(c, row)));
            Json::Object(members.collect::<Map<_, _>>())
        }
        _ => leaf(array, row),
    }
}

/// Flat values as nested lists of this shape.
fn reshape(values: &[Json], dims: &[u64]) -> Json {
    let Some((first, rest)) = dims.split_first() else { return values[0].clone() };
    let width = usize::try_from(rest.iter().product::<u64>()).unwrap();
    (0..usize::try_from(*first).unwrap())
        .map(|i| reshape(&values[i * width..(i + 1) * width], rest))
        .collect()
}

/// What a column's row is in the form of the expected values.
fn canonical(spec: &ElementSpec, array: &ArrayRef, row: usize) -> Json {
    if array.is_null(row) {
        return Json::Null;
    }
    let (dtype, shape) = match spec {
        ElementSpec::Optional(inner) => return canonical(inner, array, row),
        ElementSpec::Tensor { dtype, shape } | ElementSpec::Ragged { dtype, shape, ragged_rank: 0, .. } => {
            (*dtype, shape)
        }
        ElementSpec::Ragged { .. } => return plain(array, row),
        ElementSpec::Sparse { .. } => {
            let parts = array.as_struct();
            let numbers = |column: &ArrayRef| match column.data_type() {
                DataType::List(_) => column.as_list::<i32>().value(row),
                _ => column.as_fixed_size_list().value(row),
            };
            let ints = |array: &ArrayRef| array.as_primitive::<Int64Type>().values().to_vec();
            let indices = numbers(parts.column(0));
            let index = |i| match indices.data_type() {
                DataType::List(_) => ints(&indices.as_list::<i32>().value(i)),
                _ => ints(&indices.as_fixed_size_list().value(i)),
            };
            return json!({
                "indices": (0..indices.len()).map(index).collect::<Vec<_>>(),
                "values": plain(parts.column(1), row),
                "dense_shape": ints(&numbers(parts.column(2))),
            });
        }
        structure => {
            let columns = array.as_struct().columns();
            let children = structure.children();
            let children = children.iter().filter(|(_, spec)| **spec != ElementSpec::None);
            let members = children
                .zip(columns)
                .map(|((name, spec), column)| (name.clone(), canonical(spec, column, row)));
            return Json::Object(members.collect::<Map<_, _>>());
        }
    };
    let complex = matches!(dtype, DType::Complex64 | DType::Complex128);
    let pair = |values: &[Json]| match complex {
        true => values.as_chunks::<2>().0.iter().map(|[re, im]| json!([re, im])).collect::<Vec<_>>(),
        false => values.to_vec(),
    };
    let flat = |value: Json| match value {
        Json::Array(values) if values.iter().all(Json::is_array) && complex => values,
        Json::Array(values) => pair(&values),
        _ => panic!(),
    };
    match (shape, array.data_type()) {
        (Shape::UnknownRank, _) => {
            let sizes = array.as_struct().column(1).as_list::<i32>().value(row);
            let sizes: Vec<u64> =
                sizes.as_primitive::<Int64Type>().values().iter().map(|n| *n as u64).collect();
            reshape(&flat(plain(array.as_struct().column(0), row)), &sizes)
        }
        (Shape::Dims(dims), DataType::Struct(_)) => {
            let sizes = array.as_struct().column(1).as_fixed_size_list().value(row);
            let sizes: Vec<u64> =
                sizes.as_primitive::<Int32Type>().values().iter().map(|n| *n as u64).collect();
            assert!(!complex || sizes.last() == Some(&2));
            reshape(&flat(plain(array.as_struct().column(0), row)), &sizes[..dims.len()])
        }
        (Shape::Dims(dims), _) if dims.is_empty() => plain(array, row),
        (Shape::Dims(dims), DataType::FixedSizeList(item, _)) if !item.data_type().is_nested() => {
            let dims: Vec<u64> = dims.iter().map(|d| d.unwrap()).collect();
            reshape(&flat(plain(array, row)), &dims)
        }
        (Shape::Dims(dims), _) => match shape.as_known() {
            Some(known) if dims.contains(&Some(0)) => reshape(&[], &known),
            _ => plain(array, row),
        },
    }
}

/// Reads `path` and gives each row's columns by path.
fn rows(path: &Path, options: &OpenOptions) -> Result<Vec<Map<String, Json>>> {
    let source = open_saved(path, options)?;
    let plan = source.shared.plan.clone();
    let mut rows = Vec::new();
    for batch in batches(path, options)? {
        assert_eq!(batch.schema(), source.schema());
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            assert_eq!(field.data_type(), column.data_type());
        }
        for row in 0..batch.num_rows() {
            let columns = plan.columns.iter().zip(batch.columns());
            rows.push(columns.map(|(c, array)| (c.path.clone(), canonical(&c.spec, array, row))).collect());
        }
    }
    Ok(rows)
}

fn expected_rows(elements: &Json) -> Vec<Map<String, Json>> {
    elements.as_array().unwrap().iter().map(expected_columns).collect()
}

fn check(folder: &Path, options: &OpenOptions) {
    let name = folder.display();
    let expected = read_json(&folder.join("expected.json"));
    let found = rows(&folder.join("data"), options).unwrap_or_else(|e| panic!("{name}: {e}"));
    let source = open_saved(&folder.join("data"), options).unwrap();
    assert_eq!(source.cardinality(), Cardinality::Known(found.len() as u64), "{name}");
    assert_eq!(source.count(&Arc::default()).unwrap(), found.len() as u64, "{name}");
    assert!(damage(&source).is_empty(), "{name}");
    match expected.get("elements") {
        Some(elements) => {
            let expected = expected_rows(elements);
            assert_eq!(found.len(), expected.len(), "{name}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{name}: element {i}");
            }
        }
        None => {
            assert_eq!(json!(found.len()), expected["elements_count"], "{name}");
            assert_eq!(found[..3], expected_rows(&expected["elements_first3"])[..], "{name}");
            assert_eq!(found[found.len() - 3..], expected_rows(&expected["elements_last3"])[..], "{name}");
        }
    }
}

/// Folders that hold no readable elements, or that TensorFlow itself cannot read.
const SPECIAL: [&str; 5] = [
    "checkpointed",
    "dtypes_float8_e5m2_savefails",
    "nested_dataset_window_unreadable",
    "snappy_block_gt_256k",
    "tensor_array",
];

fn folders(top: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(golden(top)).unwrap();
    let mut folders: Vec<_> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

#[test]
fn saved_folders_have_the_elements_that_tensorflow_loads() {
    for folder in folders("saved").into_iter().chain(folders("saved_tf212")) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        if !SPECIAL.contains(&name) {
            check(&folder, &OpenOptions::default());
        }
    }
}

#[test]
fn every_layout_has_the_same_values() {
    for tensor_layout in [TensorLayout::Nested, TensorLayout::Flat] {
        for name in [
            "dtypes_2x4",
            "dtypes_scalar",
            "dtypes_batched_partial",
            "unknown_dims_and_rank",
            "zero_size_tensors",
            "ragged_all_dtypes",
        ] {
            let mapping = MappingOptions { tensor_layout, ..Default::default() };
            check(&golden("saved").join(name), &OpenOptions { mapping, ..Default::default() });
        }
    }
}

#[test]
fn raw_forms() {
    let mapping = MappingOptions {
        bool_storage: BoolStorage::UInt8,
        bfloat16: BFloat16Storage::Raw,
        ..Default::default()
    };
    let options = OpenOptions { mapping, ..Default::default() };
    let batch = batches(&golden("saved/dtypes_vec3/data"), &options).unwrap().remove(0);
    let values = |name: &str| {
        let column = batch.column_by_name(name).unwrap().as_fixed_size_list().values().clone();
        (column.data_type().clone(), column.len())
    };
    assert_eq!(values("bfloat16").0, DataType::UInt16);
    assert_eq!(values("bool").0, DataType::UInt8);
}

#[test]
fn what_tensorflow_wrote_but_cannot_load_is_read() {
    let found = rows(&golden("saved/checkpointed/data"), &OpenOptions::default()).unwrap();
    let expected: Vec<Json> = (0..20i64)
        .map(|i| json!(i.to_le_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>()))
        .collect();
    assert_eq!(found.iter().map(|row| row["value"].clone()).collect::<Vec<_>>(), expected);
    let options = OpenOptions::default();
    let batch = batches(&golden("saved/snappy_block_gt_256k/data"), &options).unwrap().remove(0);
    let values = batch.column(0).as_fixed_size_list().values().as_primitive::<Float32Type>().clone();
    assert_eq!(values.len() % 80_000, 0);
    assert!(values.iter().all(|v| v == Some(0.0)));
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    for (name, kind, words) in [
        ("saved/tensor_array", ErrorKind::Unsupported, "TensorArray"),
        ("saved/nested_dataset_window_unreadable", ErrorKind::Unsupported, "without its data"),
        ("saved/dtypes_float8_e5m2_savefails", ErrorKind::Corrupt, "not written to its end"),
    ] {
        let error = open_saved(&golden(name).join("data"), &OpenOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.location().source.is_some(), "{error}");
    }
}

#[test]
fn distributed_saves() {
    let expected = read_json(&golden("distributed/expected.json"));
    for folder in folders("distributed") {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let mut found = rows(&folder, &OpenOptions::default()).unwrap();
        let mut wanted = expected_rows(&expected[name]["elements_any_order"]);
        let key = |row: &Map<String, Json>| Json::Object(row.clone()).to_string();
        found.sort_by_key(key);
        wanted.sort_by_key(key);
        assert_eq!(found, wanted, "{name}");
        let source = open_saved(&folder, &OpenOptions::default()).unwrap();
        assert_eq!(source.cardinality(), Cardinality::Known(found.len() as u64));
    }
}

#[test]
fn an_unfinished_distributed_save_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden("distributed/none"), folder.path());
    std::fs::remove_file(folder.path().join("DONE")).unwrap();
    let error = open_saved(folder.path(), &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("not finished"), "{error}");
    std::fs::write(folder.path().join("ERROR"), "code: 13 message: \"disk full\"").unwrap();
    let error = open_saved(folder.path(), &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
}

/// Without a spec there are no names: columns are called by their position.
fn by_position(rows: &[Map<String, Json>]) -> Vec<Vec<Json>> {
    rows.iter().map(|row| row.values().cloned().collect()).collect()
}

#[test]
fn snapshots_of_both_generations() {
    let expected = read_json(&golden("snapshot/expected.json"));
    for folder in folders("snapshot") {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let found = rows(&folder, &OpenOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let wanted = expected_rows(&expected[name]["elements"]);
        let (mut found, mut wanted) = (by_position(&found), by_position(&wanted));
        if name == "snapshot_shard_func" {
            // TensorFlow takes turns among the shards that the user made.
            found.sort_by_key(|row| json!(row).to_string());
            wanted.sort_by_key(|row| json!(row).to_string());
        }
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn caches() {
    let expected = read_json(&golden("cache/expected.json"));
    for (name, case) in expected.as_object().unwrap() {
        let path = golden("cache").join(name);
        if !golden("cache").join(format!("{name}.index")).exists() {
            // TensorFlow was stopped while it wrote.
            continue;
        }
        assert!(find_cache(&Place::local(&path)).is_some(), "{name}");
        assert!(find_cache(&Place::local(golden("cache").join(format!("{name}.index")))).is_some());
        let found = rows(&path, &OpenOptions::default());
        let wanted = expected_rows(&case["elements"]);
        if wanted.is_empty() {
            assert_eq!(found.unwrap_err().kind(), ErrorKind::Unsupported);
            continue;
        }
        let found = found.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(by_position(&found), by_position(&wanted), "{name}");
        let source = open_saved(&path, &OpenOptions::default()).unwrap();
        assert!(damage(&source).is_empty());
    }
}

#[test]
fn damage_is_never_a_shorter_dataset() {
    // These are sound, or need not be: TensorFlow's reader was told a wrong compression, or the
    // damage is in what is not read, or the spec is learnt from the tensors.
    let sound = ["extra_shard_dir_bad_name", "gzip_read_as_none", "snappy_read_as_gzip", "spec_missing"];
    for folder in folders("corrupt") {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let found = batches(&folder, &OpenOptions::default());
        if sound.contains(&name) {
            let rows: usize = found.unwrap().iter().map(RecordBatch::num_rows).sum();
            assert_eq!(rows, 4, "{name}");
            continue;
        }
        let error = found.expect_err(name);
        assert!(error.location().source.is_some(), "{name}: {error}");
        assert!(!matches!(error.kind(), ErrorKind::Io | ErrorKind::Mismatch), "{name}: {error}");
        if let Ok(source) = open_saved(&folder, &OpenOptions::default()) {
            assert!(!damage(&source).is_empty(), "{name}");
        }
    }
}

#[test]
fn damage_is_located() {
    let error = batches(&golden("corrupt/data_bit"), &OpenOptions::default()).unwrap_err();
    // Element 1 begins with the third record.
    assert_eq!(error.location().record, Some(1));
    assert_eq!(error.location().offset, Some(69 + 12 - 12), "{error}");
    assert!(error.location().source.as_ref().unwrap().ends_with(".snapshot"));
    let error = batches(&golden("corrupt/trunc_between_components"), &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("ends inside an element"), "{error}");
    let error = batches(&golden("corrupt/trunc_between_elements"), &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("expected 4 elements by the metadata, found 2"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            drop(std::fs::copy(entry.path(), target))
        }
    }
}

#[test]
fn a_missing_shard_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    copy(&golden("saved/shards3/data"), folder.path());
    let run =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_dir()).unwrap();
    std::fs::remove_dir_all(run.join("00000001.shard")).unwrap();
    let error = batches(folder.path(), &OpenOptions::default()).unwrap_err();
    assert!(error.to_string().contains("a shard is missing"), "{error}");
    // A part of the rows does not tell.
    let read =
        ReadOptions { selection: Selection { take: Some(2), ..Default::default() }, ..Default::default() };
    let source = open_saved(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(batches_with(&source, &read).unwrap()[0].num_rows(), 2);
}

#[test]
fn unbatching_gives_the_rows_of_the_batches() {
    let unbatch = OpenOptions { unbatch: true, ..Default::default() };
    for name in [
        "batched_partial_last",
        "batched_drop_remainder",
        "dtypes_batched_partial",
        "ragged_in_dict",
        "ragged_r1_batched",
        "ragged_r1_from_tensors",
        "ragged_r1_batched_twice",
        "ragged_r2_batched",
        "ragged_string_batched",
        "ragged_uniform_inner_batched",
        "ragged_uniform_outer",
        "sparse_batched",
        "sparse_3d_batched",
        "sparse_all_empty",
        "sparse_batched_varying_dense_shape",
        "padded_batch",
        "strings_vec",
    ] {
        let data = golden("saved").join(name).join("data");
        let found = rows(&data, &unbatch).unwrap_or_else(|e| panic!("{name}: {e}"));
        let batched = rows(&data, &OpenOptions::default()).unwrap();
        let mut wanted = Vec::new();
        for element in &batched {
            let size = |value: &Json| match value {
                Json::Array(items) => items.len(),
                sparse => usize::try_from(sparse["dense_shape"][0].as_u64().unwrap()).unwrap(),
            };
            for i in 0..size(element.values().next().unwrap()) {
                let slice = |value: &Json| match value {
                    Json::Array(items) => items[i].clone(),
                    sparse => {
                        let indices = sparse["indices"].as_array().unwrap();
                        let mine = indices.iter().zip(sparse["values"].as_array().unwrap());
                        let mine: Vec<_> = mine.filter(|(index, _)| index[0] == json!(i)).collect();
                        json!({
                            "indices": mine.iter().map(|(index, _)| json!(index.as_array().unwrap()[1..])).collect::<Json>(),
                            "values": mine.iter().map(|(_, value)| (*value).clone()).collect::<Json>(),
                            "dense_shape": sparse["dense_shape"].as_array().unwrap()[1..],
                        })
                    }
                };
                wanted.push(element.iter().map(|(k, v)| (k.clone(), slice(v))).collect::<Map<_, _>>());
            }
        }
        assert_eq!(found, wanted, "{name}");
        let source = open_saved(&data, &unbatch).unwrap();
        assert_eq!(source.count(&Arc::default()).unwrap(), wanted.len() as u64, "{name}");
        for (skip, shard, take) in [(0, None, Some(2)), (1, Some((1, 2)), None), (2, Some((0, 3)), Some(1))] {
            let read = ReadOptions {
                batch_rows: 2,
                selection: Selection { skip, shard, take },
                ..Default::default()
            };
            let selected: usize =
                batches_with(&source, &read).unwrap().iter().map(RecordBatch::num_rows).sum();
            let (index, count) = shard.unwrap_or((0, 1));
            let of = (0..wanted.len() as u64).skip(skip as usize).enumerate();
            let expected = of.filter(|(i, _)| *i as u64 % count == index).count();
            assert_eq!(selected, expected.min(take.map_or(usize::MAX, |t| t as usize)), "{name}");
        }
    }
    let error = open_saved(&golden("saved/scalar_int64/data"), &unbatch).unwrap_err();
    assert!(error.to_string().contains("unbatch"), "{error}");
}

#[test]
fn batches_are_full_and_the_order_is_that_of_the_shards() {
    let source = open_saved(&golden("saved/shards_uneven/data"), &OpenOptions::default()).unwrap();
    assert!(source.partitions().len() > 1);
    let read = ReadOptions { batch_rows: 2, ..Default::default() };
    let sizes: Vec<_> = batches_with(&source, &read).unwrap().iter().map(RecordBatch::num_rows).collect();
    assert!(sizes[..sizes.len() - 1].iter().all(|n| *n == 2));
}

#[test]
fn projection_reads_only_what_is_asked_for() {
    let projection = Projection { columns: None, exclude: vec!["r".into()] };
    let options = OpenOptions { projection, ..Default::default() };
    let source = open_saved(&golden("saved/ragged_in_dict/data"), &options).unwrap();
    let names: Vec<_> = source.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["s", "x"]);
}

/// Random structures, written and loaded by TensorFlow.
#[test]
fn random_structures_are_what_tensorflow_loads() {
    let Some(python) = std::env::var_os("TFARROW_TEST_PYTHON").filter(|path| !path.is_empty()) else {
        let required = ["CI", "TFARROW_REQUIRE_PYTHON"].iter().any(|name| std::env::var_os(name).is_some());
        assert!(!required, "TFARROW_TEST_PYTHON is not set; run ./test.sh");
        eprintln!("skipped: TFARROW_TEST_PYTHON is not set (./test.sh sets it)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let seed = std::env::var("TFARROW_TEST_SEED").unwrap_or_else(|_| "0".to_owned());
    let output = std::process::Command::new(python)
        .args(["tests/python/make_saved.py", folder.path().to_str().unwrap(), "--seed", &seed])
        .env("TF_CPP_MIN_LOG_LEVEL", "3")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let spec = read_json(&path.join("expected.json"))["element_spec"].to_string();
        eprintln!("{name}: {spec}");
        check(&path, &OpenOptions::default());
        let mapping = MappingOptions { tensor_layout: TensorLayout::Nested, ..Default::default() };
        check(&path, &OpenOptions { mapping, ..Default::default() });
    }
}
