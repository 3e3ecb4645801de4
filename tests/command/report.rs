//! `tfarrow report`: the numbers, the page, and what neither does.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;

use crate::common::{
    DIGITS, Dir, assert_names, example, golden, int_example, python, run_python, tfarrow, tfrecord,
};
use serde_json::{Value, json};

fn report_json(args: &[&str]) -> Value {
    serde_json::from_str(tfarrow(&[&["report", "--json"], args].concat()).success().text()).unwrap()
}

fn column<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap()
}

/// The kinds of the alerts of a column, or of those of none.
fn alerts(report: &Value, name: Option<&str>) -> BTreeSet<String> {
    let of = |alert: &&Value| alert["column"].as_str() == name;
    let kind = |alert: &Value| alert["kind"].as_str().unwrap().to_owned();
    report["alerts"].as_array().unwrap().iter().filter(of).map(kind).collect()
}

fn page(args: &[&str]) -> String {
    let dir = Dir::new();
    let output = dir.arg("report.html");
    tfarrow(&[&["report", "-o", &output], args].concat()).success();
    fs::read_to_string(output).unwrap()
}

#[test]
fn the_json_has_what_the_contract_says() {
    let report = report_json(&[DIGITS]);
    assert_eq!(report["rows"], 1797);
    assert_eq!((&report["alerts"], &report["damage"]), (&json!([]), &json!([])));
    let keys = [
        "name",
        "type",
        "missing",
        "zeros",
        "distinct",
        "min",
        "max",
        "mean",
        "std",
        "quantiles",
        "histogram",
        "lengths",
        "top",
    ];
    for column in report["columns"].as_array().unwrap() {
        assert!(keys.iter().all(|key| column.get(key).is_some()), "{column}");
    }
    // scikit-learn's digits: load_digits().target, .data.min(), .data.max().
    let label = column(&report, "label");
    assert_eq!((&label["distinct"], &label["min"], &label["max"]), (&json!(10), &json!(0), &json!(9)));
    assert_eq!(label["zeros"], 178);
    assert_eq!(label["quantiles"]["0.5"], 4.0);
    assert_eq!(label["top"][0], json!({"value": 3, "count": 183}));
    let pixels = column(&report, "pixels");
    assert_eq!(
        (&pixels["min"], &pixels["max"], &pixels["zeros"]),
        (&json!(0.0), &json!(16.0), &json!(56272))
    );
    assert_eq!(column(&report, "writer")["missing"], 257);
    assert!(report.get("compare").is_none());
}

#[test]
fn the_report_is_the_same_on_any_number_of_threads() {
    for args in [&["--json"][..], &["-o", "-"]] {
        let with =
            |threads| tfarrow(&[&["report", DIGITS, "--threads", threads], args].concat()).success().stdout;
        let one = with("1");
        assert!(one.len() > 1000);
        for threads in ["2", "5"] {
            assert!(with(threads) == one, "{args:?}, {threads} threads");
        }
    }
}

#[test]
fn many_batches_and_damage_are_the_same_on_any_number_of_threads() {
    let dir = Dir::new();
    for file in 0..3u64 {
        let records: Vec<Vec<u8>> = (0..400 + file)
            .map(|i| {
                let byte = u8::try_from(i * 31 % 251).unwrap();
                example(&[("blob", &[byte; 7000]), ("kind", &[b'a' + byte % 7]), ("n", &[byte, b'0'])])
            })
            .collect();
        let mut bytes = tfrecord(&records);
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(dir.path(&format!("{file}.tfrecord")), bytes).unwrap();
    }
    let all = dir.arg("*.tfrecord");
    let with = |threads| {
        let run = tfarrow(&["report", &all, "--json", "--threads", threads]);
        assert_eq!(run.code, Some(1));
        run.stdout
    };
    let one = with("1");
    let report: Value = serde_json::from_slice(&one).unwrap();
    assert_eq!((&report["rows"], &report["damaged"]), (&json!(1200), &json!(3)));
    assert_eq!(column(&report, "blob")["lengths"]["mean"], 7000.0);
    for threads in ["2", "3", "8"] {
        assert!(with(threads) == one, "{threads} threads");
    }
}

#[test]
fn so_many_rows_are_looked_at() {
    let report = report_json(&[DIGITS, "--rows", "100"]);
    assert_eq!(report["rows"], 100);
    assert_eq!(report_json(&[DIGITS, "--rows", "all"])["rows"], 1797);
    let run = tfarrow(&["report", DIGITS, "--json", "--rows", "many"]);
    assert_eq!(run.code, Some(2));
    assert_names(&run.stderr, &["--rows", "'many'", "a number or `all`"]);
}

#[test]
fn an_existing_page_stays_unless_told_otherwise() {
    let dir = Dir::new();
    let output = dir.arg("report.html");
    fs::write(&output, "mine").unwrap();
    let message = tfarrow(&["report", DIGITS, "-o", &output]).failure();
    assert_names(&message, &["report.html", "--overwrite"]);
    assert_eq!(fs::read(&output).unwrap(), b"mine");
    tfarrow(&["report", DIGITS, "-o", &output, "--overwrite"]).success();
    assert!(fs::read_to_string(&output).unwrap().starts_with("<!doctype html>"));
    let json = dir.arg("report.json");
    assert!(tfarrow(&["report", DIGITS, "-o", &json, "--json"]).success().stdout.is_empty());
    assert!(serde_json::from_slice::<Value>(&fs::read(json).unwrap()).is_ok());
    assert_eq!(dir.names(), ["report.html", "report.json"]);
}

#[test]
fn damage_is_listed_and_the_rest_is_looked_at() {
    let dir = Dir::new();
    let mut bytes = tfrecord(&[int_example("x", 1), int_example("x", 2), int_example("x", 3)]);
    let at = bytes.len() / 3 + 14;
    bytes[at] ^= 1;
    fs::write(dir.path("d.tfrecord"), bytes).unwrap();
    let path = dir.arg("d.tfrecord");
    let run = tfarrow(&["report", &path, "--json"]);
    assert_eq!(run.code, Some(1));
    let report: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&report["rows"], &report["damaged"]), (&json!(2), &json!(1)));
    assert_eq!(report["damage"][0]["record"], 1);
    assert_eq!(column(&report, "x")["mean"], 2.0);
    assert!(alerts(&report, None).contains("damage"));
    let run = tfarrow(&["report", &path, "-o", &dir.arg("d.html")]);
    assert_eq!(run.code, Some(1));
    assert_names(&fs::read_to_string(dir.path("d.html")).unwrap(), &["id=\"damage\"", "record 1, byte"]);
    // Told to stop, it does.
    assert_names(&tfarrow(&["report", &path, "--json", "--on-error", "fail"]).failure(), &["record 1"]);
}

#[test]
fn alerts_say_what_is_wrong() {
    let dir = Dir::new();
    let record = |i: u64| {
        let label: &[u8] = if i.is_multiple_of(20) { b"rare" } else { b"often" };
        let mut features = vec![("label", label), ("same", b"x")];
        if i.is_multiple_of(10) {
            features.push(("gone", b"y"));
        }
        example(&features)
    };
    fs::write(dir.path("a.tfrecord"), tfrecord(&(0..400).map(record).collect::<Vec<_>>())).unwrap();
    let report = report_json(&[&dir.arg("a.tfrecord")]);
    assert_eq!(alerts(&report, Some("label")), ["imbalanced".to_owned()].into());
    assert_eq!(alerts(&report, Some("same")), ["constant".to_owned()].into());
    assert_eq!(alerts(&report, Some("gone")), ["constant".to_owned(), "missing".to_owned()].into());
    assert_eq!(alerts(&report, None), ["duplicates".to_owned()].into());
    let text = report["alerts"].as_array().unwrap().iter().find(|a| a["kind"] == "imbalanced").unwrap();
    assert_eq!(text["text"], "95.0 % of the values are “often”.");
}

#[test]
fn what_differs_most_comes_first() {
    let dir = Dir::new();
    let write = |name: &str, letters: &[&str]| {
        let records: Vec<_> = letters
            .iter()
            .enumerate()
            .map(|(i, letter)| {
                let number = [b'0' + u8::try_from(i % 2).unwrap()];
                example(&[("letter", letter.as_bytes()), ("parity", &number)])
            })
            .collect();
        fs::write(dir.path(name), tfrecord(&records)).unwrap();
        dir.arg(name)
    };
    let one = write("one.tfrecord", &["a", "a", "b", "b"]);
    let other = write("other.tfrecord", &["a", "b", "c", "c"]);
    let report = report_json(&[&one, "--compare", &other]);
    let columns = report["compare"]["columns"].as_array().unwrap();
    assert_eq!((&columns[0]["name"], &columns[0]["distance"]), (&json!("letter"), &json!(0.5)));
    assert_eq!(columns[0]["new"], json!([{"value": "c", "count": 2}]));
    assert_eq!((&columns[1]["name"], &columns[1]["distance"]), (&json!("parity"), &json!(0.0)));
    let html = page(&[&one, "--compare", &other]);
    assert_names(&html, &["id=\"differences\"", "one.tfrecord", "other.tfrecord", "0.500"]);
    // Two splits of one dataset.
    let folder = "tests/golden/tfds/mini_one/mini/one/0.0.1";
    let args = [folder, "--split", "train", "--compare-split", "validation"];
    assert_eq!(report_json(&args)["compare"]["rows"], json!([7, 1]));
    assert_names(&page(&args), &["<title>one 0.0.1, train</title>"]);
    // The same rows do not differ, however long their values.
    let long = |i: usize| "lorem ipsum ".repeat(i % 20 + 1);
    let records: Vec<_> = (0..100).map(|i| example(&[("text", long(i).as_bytes())])).collect();
    fs::write(dir.path("long.tfrecord"), tfrecord(&records)).unwrap();
    let same = report_json(&[&dir.arg("long.tfrecord"), "--compare", &dir.arg("long.tfrecord")]);
    assert_eq!(same["compare"]["columns"][0]["distance"], 0.0);
}

#[test]
fn nothing_of_the_data_is_markup() {
    let dir = Dir::new();
    let evil = "<script>alert(1)</script>\"'&\u{1b}[31m\u{202e}";
    let records = [example(&[(evil, evil.as_bytes()), ("plain", b"</table><img src=x onerror=alert(2)>")])];
    fs::write(dir.path("e.tfrecord"), tfrecord(&records)).unwrap();
    let html = page(&[&dir.arg("e.tfrecord"), "--title", evil]);
    assert_eq!(html.matches("<script>").count(), 1, "only the page's own");
    for markup in ["<script>alert", "<img src=x", "\u{1b}", "\u{202e}", "onerror=alert(2)>"] {
        assert!(!html.contains(markup), "{}", markup.escape_debug());
    }
    assert_names(&html, &["&lt;script&gt;alert(1)&lt;/script&gt;", "default-src 'none'"]);
    assert!(!html.contains("http://") && !html.contains("https://"));
}

#[test]
fn a_page_stays_small_and_the_json_has_all() {
    let dir = Dir::new();
    let names: Vec<String> = (0..6000).map(|i| format!("column-{i:05}")).collect();
    let records: Vec<_> = (0..3u8)
        .map(|row| {
            let value = [b'a' + row].repeat(300);
            let values = names.iter().map(|name| {
                let value: &[u8] = if name == "column-05999" { b"same" } else { &value };
                (name.as_str(), value)
            });
            example(&values.collect::<Vec<_>>())
        })
        .collect();
    fs::write(dir.path("w.tfrecord"), tfrecord(&records)).unwrap();
    let path = dir.arg("w.tfrecord");
    let html = page(&[&path]);
    assert!(html.len() <= 2_000_000, "{}", html.len());
    assert_names(&html, &["more columns: see the JSON", "column-00000"]);
    // What is said of a column without a card leads nowhere.
    assert_names(
        &html,
        &["<span class=\"col\"><bdi>column-05999</bdi></span> <span><bdi>Every value is the same"],
    );
    let targets: BTreeSet<&str> =
        html.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for link in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(targets.contains(link), "#{link}");
    }
    assert_eq!(report_json(&[&path])["columns"].as_array().unwrap().len(), 6000);
}

#[test]
fn nothing_is_a_report_too() {
    let report = report_json(&["tests/golden/tfrecord/empty.tfrecord"]);
    assert_eq!(report["rows"], 0);
    assert_eq!(alerts(&report, None), ["no_rows".to_owned()].into());
    assert_names(&page(&["tests/golden/tfrecord/empty.tfrecord"]), &["There are no rows."]);
    // Without an output there is no page.
    let run = tfarrow(&["report", &golden("lists.tfrecord")]);
    assert_eq!(run.code, Some(2));
    assert_names(&run.stderr, &["--output"]);
}

#[test]
fn every_golden_dataset_has_a_report() {
    for folder in ["tests/golden/saved", "tests/golden/tfds"] {
        let mut folders = vec![crate::common::repo(folder)];
        while let Some(folder) = folders.pop() {
            let is_dataset =
                ["dataset_spec.pb", "dataset_info.json"].iter().any(|name| folder.join(name).exists());
            if is_dataset {
                let run = tfarrow(&["report", folder.to_str().unwrap(), "--split", "all", "--json"]);
                let run = if run.code == Some(2) {
                    tfarrow(&["report", folder.to_str().unwrap(), "--json"])
                } else {
                    run
                };
                let readable = tfarrow(&["head", folder.to_str().unwrap()]).code != Some(2);
                assert!(run.code != Some(2) || !readable, "{}: {}", folder.display(), run.stderr);
                continue;
            }
            folders.extend(fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()));
        }
    }
}

#[test]
fn numbers_are_those_of_pandas_scikit_learn_and_tfds() {
    let Some(python) = python() else { return };
    run_python(python, "check_report.py", &[env!("CARGO_BIN_EXE_tfarrow")]);
}

/// Whether there is a browser to look at pages with. `TFARROW_REQUIRE_CHROMIUM` makes it a failure
/// that there is none.
#[test]
fn pages_work_in_a_browser() {
    let Some(python) = python() else { return };
    run_python(python, "check_page.py", &[env!("CARGO_BIN_EXE_tfarrow")]);
}
