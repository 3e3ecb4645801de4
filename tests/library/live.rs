//! Live pipelines: exported from Python, run by the wheel's libtensorflow, compared with what
//! TensorFlow's own iterator gives.

#![cfg(all(feature = "cli", feature = "tensorflow"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::common::{Dir, Table, command, python, repo, run_python, tfarrow};
use crate::options::{Sample, wrong};
use tfarrow::array::tensor;
use tfarrow::arrow::array::{Array, BinaryArray, BooleanArray, Float32Array, Int64Array, UInt8Array};
use tfarrow::live::{Components, DataOptions, Dataset, ModelFunction, Values};
use tfarrow::options::InputKind;
use tfarrow::source::{Cardinality, Selection};
use tfarrow::{ErrorKind, ReaderBuilder, conformance};

/// Where the exported pipelines are.
struct Exported(PathBuf);

impl Exported {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn arg(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// The exported pipelines; they are made once.
fn exported() -> Option<&'static Exported> {
    static EXPORTED: OnceLock<Option<Exported>> = OnceLock::new();
    let made = EXPORTED.get_or_init(|| {
        let python = python()?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live");
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        run_python(python, "live.py", &["make", folder.to_str().unwrap()]);
        Some(Exported(folder))
    });
    made.as_ref()
}

fn library(dir: &Exported) -> String {
    std::fs::read_to_string(dir.path("libtensorflow")).unwrap()
}

/// The names of the exported pipelines that end and do not fail.
fn names(dir: &Exported) -> Vec<String> {
    let folders = std::fs::read_dir(dir.path("")).unwrap();
    let names = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| dir.path(&format!("{name}/graph.pb")).is_file())
        .filter(|name| name != "endless" && name != "failing")
        .collect();
    names.sort();
    assert!(names.len() > 25, "{names:?}");
    names
}

fn reader(dir: &Exported, name: &str) -> ReaderBuilder {
    ReaderBuilder::new([dir.arg(name)]).with_libtensorflow(library(dir))
}

#[test]
fn values_are_those_of_tensorflows_own_iterator() {
    let Some(dir) = exported() else { return };
    let out = Dir::new();
    for name in names(dir) {
        let rows = if name == "map" { "7" } else { "1024" };
        let (input, output) = (dir.arg(&name), out.arg(&format!("{name}.arrow")));
        let options = ["--libtensorflow", &library(dir), "--batch-rows", rows];
        let mut convert = command(&[&["convert", &input, "-o", &output], &options[..]].concat());
        let done = convert.env_remove("TF_CPP_MIN_LOG_LEVEL").output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{name}: {said}");
        // TensorFlow is quiet unless it is told otherwise.
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
    }
    if let Some(python) = python() {
        run_python(python, "live.py", &["check", &out.arg("")]);
    }
}

#[test]
fn the_schema_is_that_of_the_saved_dataset() {
    let Some(dir) = exported() else { return };
    let mut compared = 0;
    for name in names(dir) {
        if !dir.path(&format!("{name}.saved")).is_dir() {
            continue;
        }
        let live = reader(dir, &name).build_source().unwrap().schema();
        let saved = ReaderBuilder::new([dir.arg(&format!("{name}.saved"))]).build_source().unwrap().schema();
        assert_eq!(live.fields(), saved.fields(), "{name}");
        assert_eq!(
            live.metadata()["tfarrow.element_spec"],
            saved.metadata()["tfarrow.element_spec"],
            "{name}"
        );
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
}

#[test]
fn pipelines_keep_the_promises_of_every_source() {
    let Some(dir) = exported() else { return };
    for name in ["map", "filter", "strings", "two_unknown", "ragged", "windows", "empty", "large"] {
        let mut builder = reader(dir, name);
        if name == "large" {
            builder = builder.with_columns(["i"]);
        }
        let source = builder.build_source().unwrap();
        conformance::check(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let batched = reader(dir, "batched").with_unbatch(true).build_source().unwrap();
    conformance::check(&batched).unwrap();
}

#[test]
fn batches_that_the_pipeline_made_are_taken_apart() {
    let Some(dir) = exported() else { return };
    let out = Dir::new();
    let convert = |name: &str, options: &[&str]| {
        let (input, output) = (dir.arg(name), out.arg(&format!("{name}.arrow")));
        let library = library(dir);
        let fixed = ["convert", &input, "-o", &output, "--overwrite", "--libtensorflow", &library];
        tfarrow(&[&fixed[..], options].concat()).success();
        Table::open(&out.path(&format!("{name}.arrow")))
    };
    let expected: Vec<_> = (0..1000).map(serde_json::Value::from).collect();
    assert_eq!(convert("batched", &["--unbatch", "--batch-rows", "100"]).values("value"), expected);
    let some = convert("batched", &["--unbatch", "--skip", "130", "--shard", "1/3", "--take", "40"]);
    assert_eq!(some.values("value"), (0..40).map(|i| serde_json::json!(131 + 3 * i)).collect::<Vec<_>>());
    let ragged = convert("ragged_batch", &["--unbatch"]);
    assert_eq!(ragged.values("value").len(), 9);
    assert_eq!(ragged.values("value")[2], serde_json::json!([3, 3, 3]));
}

#[test]
fn a_dataset_without_end_needs_a_number() {
    let Some(dir) = exported() else { return };
    let source = reader(dir, "endless").build_source().unwrap();
    assert_eq!(source.cardinality(), Cardinality::Infinite);
    let error = reader(dir, "endless").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("with_take"), "{error}");
    let selection = Selection::default().with_take(10);
    let batches = reader(dir, "endless").with_selection(selection).build().unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10);
}

#[test]
fn options_act_on_a_live_pipeline_or_are_refused() {
    let Some(dir) = exported() else { return };
    let names = ["map", "nested", "dtypes", "strings", "shuffled_batches"];
    let sample = |name: &str| Sample::new(dir.arg(name)).with("libtensorflow", library(dir));
    let samples: Vec<_> = names.into_iter().map(sample).collect();
    let wrong = wrong(InputKind::Pipeline, &samples, &Dir::new());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn errors_carry_tensorflows_message_and_the_elements_number() {
    let Some(dir) = exported() else { return };
    for rows in [1, 300, 1024] {
        let mut batches = reader(dir, "failing").with_batch_rows(rows).build().unwrap();
        let error = batches.find_map(Result::err).unwrap().to_string();
        assert!(error.contains("bang") && error.contains("record 1500"), "{error}");
        assert!(batches.next().is_none());
    }
}

#[test]
fn counting_asks_the_dataset() {
    let Some(dir) = exported() else { return };
    assert_eq!(reader(dir, "map").count().unwrap(), 100);
    assert_eq!(reader(dir, "filter").count().unwrap(), 1000);
}

#[test]
fn damaged_folders_are_errors() {
    let Some(dir) = exported() else { return };
    let bad = Dir::new();
    let copy = |file: &str, from: &str| std::fs::copy(dir.path(from), bad.path(file)).unwrap();
    let graph = std::fs::read(dir.path("large/graph.pb")).unwrap();
    copy("element_spec.json", "large/element_spec.json");
    copy("constants.json", "large/constants.json");
    copy("constant-00000.bin", "large/constant-00000.bin");
    let open = |bytes: &[u8]| {
        std::fs::write(bad.path("graph.pb"), bytes).unwrap();
        let builder = ReaderBuilder::new([bad.arg("")]).with_libtensorflow(library(dir));
        builder.build().and_then(|mut batches| batches.try_for_each(|batch| batch.map(drop)))
    };
    open(&graph).unwrap();
    for cut in (0..graph.len()).step_by(graph.len() / 40) {
        open(&graph[..cut]).unwrap_err();
    }
    std::fs::write(bad.path("constant-00000.bin"), b"short").unwrap();
    let error = open(&graph).unwrap_err();
    assert!(error.to_string().contains("constant-00000.bin"), "{error}");
    let list = std::fs::read_to_string(bad.path("constants.json")).unwrap();
    std::fs::write(bad.path("constants.json"), list.replace("constant-", "../constant-")).unwrap();
    let error = open(&graph).unwrap_err();
    assert!(error.to_string().contains("without a folder"), "{error}");
    // A spec that promises what the graph does not deliver.
    copy("element_spec.json", "map/element_spec.json");
    let error = open(&std::fs::read(dir.path("filter/graph.pb")).unwrap()).unwrap_err();
    assert!(error.to_string().contains("folder"), "{error}");
}

#[test]
fn the_helper_is_printed_and_refuses_python_code() {
    let printed = tfarrow(&["python-helper"]).success();
    assert_eq!(printed.text(), std::fs::read_to_string(repo("src/source/live/tfarrow_export.py")).unwrap());
    if let Some(python) = python() {
        run_python(python, "live.py", &["refuse"]);
    }
}

/// The folder with a saved model; it is made once.
fn model() -> Option<&'static Exported> {
    static MODEL: OnceLock<Option<Exported>> = OnceLock::new();
    let made = MODEL.get_or_init(|| {
        let python = python()?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live-model");
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        run_python(python, "live.py", &["model", folder.to_str().unwrap()]);
        Some(Exported(folder))
    });
    made.as_ref()
}

fn function(dir: &Exported, name: &str) -> ModelFunction {
    ModelFunction::from_saved_model(dir.path("model"), name).unwrap()
}

/// `dataset` of three numbers and a name, in batches of `rows`.
fn named_rows(rows: u64) -> Dataset {
    let x = ndarray::Array2::from_shape_fn((5, 3), |(i, j)| (3 * i + j) as f32);
    let names = Values::from(vec!["b", "a", "?", "b", "a"]);
    let dataset = Dataset::from_tensor_slices([("x", Values::from(x)), ("name", names)]).unwrap();
    dataset.batch(rows, false).unwrap()
}

#[test]
fn components_are_nested_as_in_python() {
    let Some(dir) = exported() else { return };
    let names = vec!["a".to_owned(), "b".to_owned()];
    let features =
        [("x", Components::from(vec![1f32, 2.])), ("of", ([("name", names)], vec![true, false]).into())];
    let dataset = Dataset::from_tensor_slices((features, vec![3i64, 4], vec![5u8, 6])).unwrap();
    let reader = ReaderBuilder::from_dataset(dataset).with_libtensorflow(library(dir));
    let source = reader.build_source().unwrap();
    let columns: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(columns, ["0/of/0/name", "0/of/1", "0/x", "1", "2"]);
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    assert_eq!(batch.column(0).as_ref(), &BinaryArray::from(vec![&b"a"[..], b"b"]) as &dyn Array);
    assert_eq!(batch.column(1).as_ref(), &BooleanArray::from(vec![true, false]) as &dyn Array);
    assert_eq!(batch.column(2).as_ref(), &Float32Array::from(vec![1., 2.]) as &dyn Array);
    assert_eq!(batch.column(3).as_ref(), &Int64Array::from(vec![3, 4]) as &dyn Array);
    assert_eq!(batch.column(4).as_ref(), &UInt8Array::from(vec![5, 6]) as &dyn Array);
}

#[test]
fn map_runs_a_saved_models_function_with_its_variables_and_tables() {
    let (Some(dir), Some(model)) = (exported(), model()) else { return };
    let mapped = named_rows(2).map(&function(model, "serving_default")).unwrap();
    let spec = mapped.element_spec().to_json().to_string();
    assert_eq!(
        spec,
        r#"{"dict":{"id":{"tensor":{"dtype":"int64","shape":[null]}},"y":{"tensor":{"dtype":"float32","shape":[null,2]}}}}"#
    );
    let reader = ReaderBuilder::from_dataset(mapped.prefetch(1)).with_libtensorflow(library(dir));
    let mut arrays = reader.with_unbatch(true).to_arrays().unwrap();
    let expected = std::fs::read_to_string(model.path("model.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let y = arrays.take::<f32>("y").unwrap();
    let rows: Vec<Vec<f32>> = y.outer_iter().map(|row| row.iter().copied().collect()).collect();
    assert_eq!(serde_json::json!(rows), expected["y"]);
    assert_eq!(
        serde_json::json!(arrays.take::<i64>("id").unwrap().into_raw_vec_and_offset().0),
        expected["id"]
    );
}

#[test]
fn two_functions_of_one_model_are_mapped_one_after_the_other_and_side_by_side() {
    let (Some(dir), Some(model)) = (exported(), model()) else { return };
    let square = function(model, "square");
    let squares = Dataset::range(0, 4, 1).unwrap().map(&square).unwrap();
    let both =
        Dataset::zip(&[squares, named_rows(1).map(&function(model, "serving_default")).unwrap()]).unwrap();
    let source = ReaderBuilder::from_dataset(both).with_libtensorflow(library(dir)).build_source().unwrap();
    assert_eq!(source.cardinality(), Cardinality::Known(4));
    conformance::check(&source).unwrap();
    let names: Vec<_> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["0/square", "0/text", "1/id", "1/y"]);
}

#[test]
fn a_map_that_cannot_be_is_an_error_before_anything_runs() {
    let Some(model) = model() else { return };
    let config = |dataset: Result<Dataset, tfarrow::Error>, words: &str| {
        let error = dataset.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let predict = function(model, "serving_default");
    let numbers = Dataset::range(0, 3, 1).unwrap();
    config(numbers.map(&predict), "what `serving_default` takes");
    config(numbers.batch(2, false).unwrap().map(&function(model, "square")), "\"shape\":[]");
    let wide = ndarray::Array2::<f32>::zeros((5, 4));
    let names = Values::from(vec!["a"; 5]);
    let wide = Dataset::from_tensor_slices([("x", Values::from(wide)), ("name", names)]).unwrap();
    config(wide.batch(2, false).unwrap().map(&predict), "[null,4]");
    config(named_rows(2).unbatch().unwrap().map(&predict), "call `batch` before `map`");
    // The other model is the same one in another place.
    let copy = Dir::new();
    std::fs::copy(model.path("model/saved_model.pb"), copy.path("saved_model.pb")).unwrap();
    let other = ModelFunction::from_saved_model(copy.path(""), "square").unwrap();
    let here = numbers.map(&function(model, "square")).unwrap();
    config(here.concatenate(&numbers.map(&other).unwrap()), "one SavedModel only");
    config(Dataset::zip(&[here, numbers.map(&other).unwrap()]), "one SavedModel only");

    let open = |folder: PathBuf, name: &str| ModelFunction::from_saved_model(folder, name).unwrap_err();
    let error = open(model.path("model"), "predict");
    assert!(error.to_string().contains("one of: fails, serving_default, square"), "{error}");
    assert_eq!(open(model.path(""), "square").kind(), ErrorKind::NotFound);
    let bytes = std::fs::read(model.path("model/saved_model.pb")).unwrap();
    for cut in (0..bytes.len()).step_by(bytes.len() / 200) {
        std::fs::write(copy.path("saved_model.pb"), &bytes[..cut]).unwrap();
        open(copy.path(""), "square");
    }
}

#[test]
fn a_function_that_fails_and_a_model_without_its_variables_say_so() {
    let (Some(dir), Some(model)) = (exported(), model()) else { return };
    let run = |dataset: Dataset| {
        let reader = ReaderBuilder::from_dataset(dataset).with_libtensorflow(library(dir));
        reader.build().and_then(|mut batches| batches.try_for_each(|batch| batch.map(drop)))
    };
    let numbers = Dataset::range(0, 9, 1).unwrap();
    let error = run(numbers.map(&function(model, "fails")).unwrap()).unwrap_err().to_string();
    assert!(error.contains("too large") && error.contains("record 5"), "{error}");
    let copy = Dir::new();
    std::fs::copy(model.path("model/saved_model.pb"), copy.path("saved_model.pb")).unwrap();
    let alone = ModelFunction::from_saved_model(copy.path(""), "square").unwrap();
    let error = run(numbers.map(&alone).unwrap()).unwrap_err().to_string();
    assert!(error.contains("cannot load the SavedModel") && error.contains(&*copy.arg("")), "{error}");
}

#[test]
fn take_asks_for_nothing_behind_it() {
    let Some(dir) = exported() else { return };
    // Element 1500 of the pipeline fails.
    let selection = Selection::default().with_take(1500);
    let batches = reader(dir, "failing").with_selection(selection).build().unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 1500);
    let behind = Selection::default().with_skip(1501);
    let failed = reader(dir, "failing").with_selection(behind).build().unwrap().any(|batch| batch.is_err());
    // Skipped elements are made, unless TensorFlow can do without.
    assert!(failed);
}

#[test]
fn threads_and_options_are_settable_and_do_not_change_the_rows() {
    let Some(dir) = exported() else { return };
    let out = Dir::new();
    let mut outputs = Vec::new();
    for options in [&["--threads", "1"][..], &["--tensorflow-threads", "1"], &["--tensorflow-threads", "3"]] {
        let (input, output) = (dir.arg("cached"), out.arg(&format!("{}.arrow", outputs.len())));
        let fixed = ["convert", &input, "-o", &output, "--libtensorflow", &library(dir)];
        tfarrow(&[&fixed[..], options].concat()).success();
        outputs.push(std::fs::read(&output).unwrap());
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
    let options = DataOptions::new().with_private_threads(1).with_autotune(false).with_deterministic(true);
    let dataset = Dataset::range(0, 20, 1).unwrap().with_options(&options);
    let reader =
        ReaderBuilder::from_dataset(dataset).with_libtensorflow(library(dir)).with_tensorflow_threads(1);
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let numbers = tensor(&batch, "value").unwrap().view_as::<i64, ndarray::Ix1>().unwrap().to_vec();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_missing_or_wrong_library_says_where_it_was_looked_for_and_how_to_get_one() {
    let Some(dir) = exported() else { return };
    let empty = Dir::new();
    let run = |library: Option<&str>, variable: &str| {
        let input = dir.arg("map");
        let mut command = command(&["head", &input]);
        for name in ["VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH"] {
            command.env_remove(name);
        }
        command.env("PATH", empty.arg("")).env("TENSORFLOW_DIR", variable);
        if let Some(library) = library {
            command.args(["--libtensorflow", library]);
        }
        let done = command.output().unwrap();
        assert_eq!(done.status.code(), Some(2));
        String::from_utf8(done.stderr).unwrap()
    };
    let said = run(None, &empty.arg("there"));
    for words in ["no libtensorflow found; looked in", "there (TENSORFLOW_DIR)", "/usr/lib (library folder)"]
    {
        assert!(said.contains(words), "{said}");
    }
    assert!(said.contains("pip install tensorflow-cpu") && said.contains("--libtensorflow"), "{said}");
    assert!(run(Some(&empty.arg("")), "").contains("no libtensorflow at"));
    // A library without the functions: too old, or not TensorFlow's C API at all.
    let framework = Path::new(&library(dir)).join("libtensorflow_framework.so.2");
    let said = run(framework.to_str(), "");
    assert!(said.contains("has no TF_") && said.contains("too old") && said.contains("2.10"), "{said}");
    std::fs::write(empty.path("text.so"), "no library").unwrap();
    assert!(run(Some(&empty.arg("text.so")), "").contains("cannot load libtensorflow"));
}

#[test]
fn the_classic_programs_run_as_examples() {
    let Some(dir) = exported() else { return };
    let output = std::process::Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--features", "tensorflow", "--example", "live_pipelines"])
        .env("TENSORFLOW_DIR", library(dir))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = "single array: [100, 4], sum 79800\n\
                    chunk: [32, 4], first 0\nchunk: [32, 4], first 128\nchunk: [32, 4], first 256\n\
                    chunk: [4, 4], first 384\n\
                    dictionary: [6, 2, 2], \"name\", together: true\n\
                    first batches: [3, 32], last number 45\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
