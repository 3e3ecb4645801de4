//! Plans: tasks that read, and write, together what one machine does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use tfarrow::options::{OnError, RecordKind};
use tfarrow::plan::TaskPart;
use tfarrow::schema::FeatureSpec;
use tfarrow::sink::{SinkOptions, open_sink};
use tfarrow::source::Selection;
use tfarrow::{Conversion, ErrorKind, Plan, ReaderBuilder, Result, Task, commit};

use crate::common::{DIGITS, Dir, golden, repo, tfrecord};
use crate::options::samples;

fn digits() -> ReaderBuilder {
    ReaderBuilder::new(repo(DIGITS))
}

/// All rows in one batch.
fn rows_of(builder: &ReaderBuilder) -> Result<RecordBatch> {
    let reader = builder.build()?;
    let schema = reader.source().schema();
    let batches = reader.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// All rows of all tasks, each sent elsewhere as text.
fn rows_of_tasks(plan: &Plan) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    for task in plan.tasks() {
        for batch in Task::from_json(&task.to_json())?.batches(1)? {
            batches.push(batch?);
        }
    }
    Ok(concat_batches(&plan.schema(), &batches)?)
}

/// The files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
    };
    entries.map(file).collect()
}

fn write_all(plan: &Plan, folder: &Path, options: &SinkOptions) -> Result<Vec<TaskPart>> {
    plan.tasks()
        .iter()
        .map(|task| Task::from_json(&task.to_json())?.write(folder, &options.clone().with_threads(2)))
        .collect()
}

/// The files that tasks make, and those of one machine.
#[track_caller]
fn assert_same_files(builder: &ReaderBuilder, options: &SinkOptions) -> Plan {
    let dir = Dir::new();
    let expected = Conversion::new(builder.clone()).with_sink(options.clone());
    let converted = expected.write(dir.path("expected/")).unwrap();
    let plan = Plan::from_json(&Plan::new(builder).unwrap().to_json()).unwrap();
    let mut parts = write_all(&plan, &dir.path("found"), options).unwrap();
    parts.reverse();
    let committed = commit(dir.path("found"), &plan, Some(&parts)).unwrap();
    assert_eq!(committed.rows, converted.rows);
    assert_eq!(Some(committed.parts), converted.parts);
    let (expected, found) = (files(&dir.path("expected")), files(&dir.path("found")));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name}");
    }
    plan
}

#[test]
fn tasks_read_what_one_machine_reads_of_every_kind_of_input() {
    let dir = Dir::new();
    let (mut tasks, mut samples_read) = (0, 0);
    for (kind, samples) in samples(&dir) {
        for sample in samples {
            let builder = sample.builder("").unwrap();
            let Ok(expected) = rows_of(&builder) else { continue };
            if sample.made.is_some() {
                let error = Plan::new(&builder).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                continue;
            }
            let plan = Plan::new(&builder.clone().with_task_bytes(100)).unwrap();
            let again = Plan::from_json(&plan.to_json()).unwrap();
            assert_eq!(again.to_json(), plan.to_json(), "{}", sample.input);
            assert_eq!(again.schema(), plan.schema());
            let found = rows_of_tasks(&again).unwrap_or_else(|e| panic!("{kind} {}: {e}", sample.input));
            assert!(found == expected, "{kind} {}", sample.input);
            tasks += plan.tasks().len();
            samples_read += 1;
        }
    }
    assert!(samples_read > 60 && tasks > samples_read + 50, "{tasks} tasks of {samples_read} inputs");
}

#[test]
fn tasks_of_selected_rows_are_those_of_one_machine() {
    let mut selection = Selection::default();
    for (skip, shard, take) in [(3, Some((1, 3)), None), (0, None, Some(7)), (30, Some((0, 2)), Some(4))] {
        let dir = Dir::new();
        (selection.skip, selection.shard, selection.take) = (skip, shard, take);
        for (kind, samples) in samples(&dir) {
            for sample in samples.iter().take(8) {
                let builder = sample.builder("take").unwrap().with_selection(selection);
                let Ok(expected) = rows_of(&builder) else { continue };
                if sample.made.is_some() {
                    continue;
                }
                let plan = Plan::new(&builder.clone().with_task_bytes(300)).unwrap();
                let found = rows_of_tasks(&plan).unwrap();
                assert!(found == expected, "{kind} {}: {selection:?}", sample.input);
            }
        }
    }
}

#[test]
fn parts_are_those_of_one_machine() {
    let gzip = [golden("gzip.tfrecord.gz"), golden("gzip_members.tfrecord")];
    for builder in [
        digits(),
        digits().with_columns(["label"]).with_batch_rows(100),
        digits().with_task_bytes(60_000),
        ReaderBuilder::new(&gzip[..1]),
        ReaderBuilder::new(repo("tests/golden/array_record/many_small.array_record"))
            .with_record(RecordKind::Raw)
            .with_task_bytes(500),
        ReaderBuilder::new(repo("tests/golden/saved/shards3")),
        ReaderBuilder::new(repo("tests/golden/tfds/wide_tfrecord")).with_split("all").with_task_bytes(1000),
    ] {
        for options in [
            SinkOptions::new(),
            SinkOptions::new().set("format", "arrow").unwrap().set("compression", "zstd").unwrap(),
            SinkOptions::new().set("format", "tfrecord.gz").unwrap(),
        ] {
            // Not every column has a place in every format.
            let dir = Dir::new();
            if Conversion::new(builder.clone()).with_sink(options.clone()).write(dir.path("x/")).is_ok() {
                assert_same_files(&builder, &options);
            }
        }
    }
    assert_eq!(assert_same_files(&digits(), &SinkOptions::new()).tasks().len(), 2);
    let cut = assert_same_files(&digits().with_task_bytes(60_000), &SinkOptions::new());
    assert!(cut.tasks().len() > 5, "{}", cut.tasks().len());
}

#[test]
fn parts_of_so_many_rows_are_those_of_one_machine() {
    let select = |skip, shard, take| {
        let mut selection = Selection::default();
        (selection.skip, selection.shard, selection.take) = (skip, shard, take);
        selection
    };
    for (selection, rows, tasks) in [
        (Selection::default(), 500, 4),
        (select(100, Some((1, 3)), None), 200, 3),
        (select(0, None, Some(1000)), 250, 4),
        (select(5000, None, None), 10, 1),
    ] {
        let builder = digits().with_selection(selection).with_part_rows(rows);
        let plan = assert_same_files(&builder, &SinkOptions::new());
        assert_eq!(plan.tasks().len(), tasks, "{selection:?}");
    }
    let shards = ["0", "1", "2"].map(|n| golden(&format!("sharded.tfrecord-0000{n}-of-00003")));
    assert_same_files(&ReaderBuilder::new(&shards).with_part_rows(2), &SinkOptions::new());
    let error = Plan::new(&digits().with_part_rows(3).with_task_bytes(100)).unwrap_err().to_string();
    assert!(error.contains("with_rows_per_file") && error.contains("with_task_bytes"), "{error}");
}

/// Records of which some are damaged, and how many there are.
fn damaged(dir: &Dir) -> PathBuf {
    let example =
        |n: u8| vec![0x0a, 14, 0x0a, 12, 0x0a, 1, b'n', 0x12, 7, 0x1a, 5, 0x0a, 3, 0x80 | n, 0x80, 1];
    let records: Vec<Vec<u8>> = (0..100).map(example).collect();
    let mut bytes = tfrecord(&records);
    let frame = bytes.len() / 100;
    bytes[frame * 20 + 20] ^= 1;
    bytes[frame * 70 + 3] ^= 1;
    let path = dir.path("damaged.tfrecord");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_lost_is_told_of_as_on_one_machine() {
    let dir = Dir::new();
    let input = damaged(&dir);
    for on_error in [OnError::Skip, OnError::Null] {
        for bytes in [u64::MAX, 500] {
            let builder = ReaderBuilder::new(&input).with_on_error(on_error).with_task_bytes(bytes);
            let plan = assert_same_files(&builder, &SinkOptions::new());
            assert_eq!(plan.tasks().len(), if bytes == 500 { 5 } else { 1 });
            let parts =
                write_all(&plan, &dir.path(&format!("{on_error}{bytes}")), &SinkOptions::new()).unwrap();
            let failures: Vec<_> =
                parts.iter().flat_map(|p| p.to_json()["failures"].as_array().unwrap().clone()).collect();
            let places: Vec<_> = failures.iter().map(|f| f["record"].as_u64().unwrap()).collect();
            assert_eq!(places, [20, 70]);
        }
    }
    // Where nothing is tolerated, the task that holds it fails, and says where.
    let builder = ReaderBuilder::new(&input)
        .with_record(RecordKind::Example)
        .with_features([FeatureSpec::parse("n:int64").unwrap()]);
    let plan = Plan::new(&builder.with_task_bytes(500)).unwrap();
    let failed: Vec<_> =
        plan.tasks().iter().filter_map(|task| task.batches(1).unwrap().find_map(Result::err)).collect();
    let places: Vec<_> = failed.iter().map(|error| error.location().record.unwrap()).collect();
    assert_eq!(places, [20, 70]);
    assert!(failed[0].location().offset.is_some());
}

#[test]
fn a_task_names_its_own_part_and_is_small() {
    let dir = Dir::new();
    let bytes = std::fs::read(repo("examples/data/digits/digits.tfrecord-00000-of-00002")).unwrap();
    for n in 0..300 {
        std::fs::write(dir.path(&format!("a-{n:05}-of-00300")), &bytes[..]).unwrap();
    }
    let plan = Plan::new(&ReaderBuilder::new(dir.path("a-*"))).unwrap();
    assert_eq!(plan.tasks().len(), 300);
    let task = plan.tasks()[17].to_json();
    assert!(task.len() < 8_000, "{}", task.len());
    assert!(task.contains("a-00017-of-00300") && !task.contains("a-00018-of-00300"));
    assert_eq!(Task::of_plan(&plan.to_json(), 17).unwrap().unwrap().to_json(), task);
    // However it is written.
    let value: serde_json::Value = serde_json::from_str(&plan.to_json()).unwrap();
    assert_eq!(Task::of_plan(&format!("{value:#}"), 17).unwrap().unwrap().to_json(), task);
    assert!(Task::of_plan(&plan.to_json(), 300).unwrap().is_none());
    // Other files need not be there.
    for n in (0..300).filter(|n| *n != 17) {
        std::fs::remove_file(dir.path(&format!("a-{n:05}-of-00300"))).unwrap();
    }
    let rows: usize =
        Task::from_json(&task).unwrap().batches(1).unwrap().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(rows, 898);
    let error = plan.tasks()[18].batches(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("a-00018-of-00300"), "{error}");
}

#[test]
fn an_input_that_changed_is_refused_by_name() {
    let dir = Dir::new();
    let source = repo("examples/data/digits/digits.tfrecord-00000-of-00002");
    let (path, out) = (dir.path("x.tfrecord"), dir.path("out"));
    std::fs::copy(&source, &path).unwrap();
    let plan = Plan::new(&ReaderBuilder::new(&path)).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    for error in [
        plan.tasks()[0].batches(1).unwrap_err(),
        plan.tasks()[0].write(&out, &SinkOptions::new()).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("changed since it was planned") && text.contains("x.tfrecord"), "{text}");
    }
    assert!(!out.join("part-00000-of-00001.parquet").exists());
}

#[test]
fn missing_and_foreign_parts_are_refused() {
    let dir = Dir::new();
    let (out, options) = (dir.path("out"), SinkOptions::new());
    let plan = Plan::new(&digits()).unwrap();
    assert_eq!(commit(&out, &plan, None).unwrap_err().kind(), ErrorKind::NotFound);
    let parts = write_all(&plan, &out, &options).unwrap();
    let error = commit(&out, &plan, Some(&parts[..1])).unwrap_err().to_string();
    assert!(error.contains("1 of 2 tasks, 1"), "{error}");
    let other = Plan::new(&digits().with_columns(["label"])).unwrap();
    let foreign = write_all(&other, &dir.path("other"), &options).unwrap();
    let mixed = [parts[0].clone(), foreign[1].clone()];
    assert!(commit(&out, &plan, Some(&mixed)).unwrap_err().to_string().contains("another plan"));
    assert!(commit(&out, &other, Some(&foreign)).unwrap_err().to_string().contains("another plan"));
    let zstd = SinkOptions::new().set("compression", "zstd:1").unwrap();
    let otherwise = write_all(&plan, &dir.path("otherwise"), &zstd).unwrap();
    let mixed = [parts[0].clone(), otherwise[1].clone()];
    assert!(commit(&out, &plan, Some(&mixed)).unwrap_err().to_string().contains("another way"));
    let error = plan.tasks()[0].write(&out, &zstd).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert!(!out.join("_manifest.json").exists());
    // A part that is gone is missing, whatever is said of it.
    std::fs::remove_file(out.join(parts[1].name())).unwrap();
    assert!(commit(&out, &plan, Some(&parts)).unwrap_err().to_string().contains("missing"));
    let again = plan.tasks()[1].write(&out, &options).unwrap();
    assert_eq!(again, parts[1]);
    assert_eq!(commit(&out, &plan, None).unwrap().rows, 1797);
    // Once more, by a driver that does not know.
    assert_eq!(commit(&out, &plan, Some(&parts)).unwrap().rows, 1797);
    assert_eq!(commit(&out, &plan, None).unwrap().parts, 2);
    assert!(commit(&out, &plan, Some(&foreign)).is_err());
    // A straggler changes nothing.
    let before = files(&out);
    assert_eq!(plan.tasks()[0].write(&out, &options).unwrap(), parts[0]);
    assert_eq!(files(&out), before);
}

#[test]
fn an_output_that_holds_something_else_is_refused() {
    let dir = Dir::new();
    let (out, plan) = (dir.path("out"), Plan::new(&digits()).unwrap());
    let (options, overwrite) = (SinkOptions::new(), SinkOptions::new().with_overwrite(true));
    let refused = |plan: &Plan| {
        let error = plan.tasks()[1].write(&out, &SinkOptions::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert!(error.hint().is_some());
    };
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("notes"), "mine").unwrap();
    refused(&plan);
    std::fs::remove_file(out.join("notes")).unwrap();
    Conversion::new(digits().with_columns(["label"])).write(dir.path("out/")).unwrap();
    refused(&plan);
    write_all(&plan, &out, &overwrite).unwrap();
    refused(&Plan::new(&digits().with_columns(["label"])).unwrap());
    // The command sees that, too.
    let error = Conversion::new(digits()).write(dir.path("out/")).unwrap_err();
    assert!(error.to_string().contains("tasks of a plan that were not committed"), "{error}");
    commit(&out, &plan, None).unwrap();
    let expected = dir.path("expected/");
    Conversion::new(digits()).write(&expected).unwrap();
    assert_eq!(files(&out), files(&expected));
    // And replaces tasks that were not committed.
    let other = Plan::new(&digits().with_columns(["label"])).unwrap();
    write_all(&other, &out, &overwrite).unwrap();
    Conversion::new(digits()).with_sink(overwrite).write(&out).unwrap();
    assert_eq!(files(&out), files(&expected));
    drop(options);
}

#[test]
fn tasks_done_at_once_and_twice_make_one_dataset() {
    let dir = Dir::new();
    let plan = Arc::new(Plan::new(&digits().with_task_bytes(30_000)).unwrap());
    let out = dir.path("out");
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let (plan, out) = (plan.clone(), out.clone());
            std::thread::spawn(move || {
                let tasks = plan.tasks();
                (0..tasks.len())
                    .map(|n| tasks[(n + thread * 2) % tasks.len()].write(&out, &SinkOptions::new()).unwrap())
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let parts: Vec<TaskPart> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(commit(&out, &plan, Some(&parts)).unwrap().rows, 1797);
    let expected = dir.path("expected/");
    Conversion::new(digits().with_task_bytes(30_000)).write(&expected).unwrap();
    assert_eq!(files(&out), files(&expected));
}

#[test]
fn an_input_of_no_rows_is_an_empty_dataset() {
    let dir = Dir::new();
    let empty = RecordBatch::new_empty(rows_of(&digits()).unwrap().schema());
    for name in ["empty.arrow", "empty.parquet"] {
        let path = dir.path(name);
        let mut sink = open_sink(&path, &empty.schema(), &SinkOptions::new()).unwrap();
        sink.write(&empty).unwrap();
        sink.finish().unwrap();
        let plan = assert_same_files(&ReaderBuilder::new(&path), &SinkOptions::new());
        assert_eq!(rows_of_tasks(&plan).unwrap().num_rows(), 0);
    }
}

#[test]
fn plans_of_other_versions_and_of_nothing_are_refused() {
    let text = Plan::new(&digits()).unwrap().to_json();
    for (from, to, said) in [
        ("\"version\":1", "\"version\":2", "another version"),
        ("{\"version\"", "{\"x\"", "`version`"),
        ("\"task\":1", "\"task\":0", "tasks in order"),
        ("\"as\":\"tfrecord\"", "\"as\":\"tfrecords\"", "known kind"),
        ("\"tasks\":[", "\"task\":[", "`tasks`"),
    ] {
        let wrong = text.replace(from, to);
        assert_ne!(wrong, text, "{from}");
        let error = Plan::from_json(&wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(Plan::from_json("").is_err() && Plan::from_json("[]").is_err());
    // Whatever is missing, nothing panics.
    for end in (0..text.len()).step_by(97).filter(|end| text.is_char_boundary(*end)) {
        assert!(Plan::from_json(&text[..end]).is_err());
    }
    let error =
        Plan::new(&ReaderBuilder::from_bytes(std::fs::read(golden("fixed.tfrecord")).unwrap())).unwrap_err();
    assert!(error.to_string().contains("no name"), "{error}");
}
