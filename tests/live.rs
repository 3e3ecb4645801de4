//! Live pipelines: exported from Python, run by the wheel's libtensorflow, compared with what
//! TensorFlow's own iterator gives.

#![cfg(all(feature = "cli", feature = "tensorflow"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::{Dir, Table, command, python, repo, run_python, tfarrow};
use tfarrow::{Cardinality, ErrorKind, ReaderBuilder, Selection, conformance};

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
    assert!(compared > 20, "{compared}");
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
    assert!(error.to_string().contains("--take"), "{error}");
    let selection = Selection { take: Some(10), ..Selection::default() };
    let batches = reader(dir, "endless").with_selection(selection).build().unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10);
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
        builder
            .build()
            .and_then(|mut batches| batches.try_for_each(|batch| batch.map(drop).map_err(Into::into)))
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
    assert_eq!(printed.text(), std::fs::read_to_string(repo("python/tfarrow_export.py")).unwrap());
    if let Some(python) = python() {
        run_python(python, "live.py", &["refuse"]);
    }
}
