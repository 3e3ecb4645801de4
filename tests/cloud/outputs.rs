//! Outputs in a store: whole or not at all, and the same bytes as on the disk.

use std::collections::BTreeMap;
use std::path::Path;

use tfarrow::ReaderBuilder;

use crate::common::{Dir, Run, assert_names, command, repo, tfarrow};
use crate::proxy::{Fault, Proxy};
use crate::server::{Bucket, options, s3};

const DIGITS: &str = "examples/data/digits/digits.tfrecord-*-of-*";

fn convert(bucket: &Bucket, args: &[&str]) -> Run {
    let store = bucket.args();
    let store = store.iter().map(String::as_str);
    let args: Vec<&str> =
        ["convert", "--progress", "never"].into_iter().chain(args.iter().copied()).chain(store).collect();
    tfarrow(&args)
}

/// Asserts that what is below `folder` in the bucket is what is below it here.
pub(crate) fn assert_written_alike(bucket: &Bucket, dir: &Dir, folder: &str) {
    let compared = |all: BTreeMap<String, Vec<u8>>| -> BTreeMap<String, Vec<u8>> {
        // The time at which it was saved is in it.
        let all = all.into_iter().filter(|(name, _)| !name.ends_with("snapshot.metadata"));
        all.map(|(name, bytes)| match name.ends_with("_manifest.json") {
            // It says what stores say of parts, and where the input was.
            true => {
                let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                let crcs = manifest["parts"].as_array().unwrap().iter().map(|p| p["crc32c"].to_string());
                (name, crcs.collect::<String>().into_bytes())
            }
            false => (name, bytes),
        })
        .collect()
    };
    let (there, here) =
        (compared(objects(bucket, &format!("{folder}/"))), compared(files(&dir.path(folder))));
    assert_eq!(there.keys().collect::<Vec<_>>(), here.keys().collect::<Vec<_>>(), "{folder}");
    assert!(there == here, "{folder}");
}

/// All objects below `prefix`, by what stands behind it.
fn objects(bucket: &Bucket, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let keys = bucket.keys(prefix).into_iter();
    keys.map(|key| (key[prefix.len()..].to_owned(), bucket.get(&key).unwrap())).collect()
}

/// All files below `folder`.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, name) =
            entry.map(|entry| (entry.path(), entry.file_name().into_string().unwrap())).unwrap();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn every_format_is_written_as_on_the_disk() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    for (name, more) in [
        ("d.parquet", &[][..]),
        ("d.arrow", &[]),
        ("d.feather", &["--one-batch"]),
        ("d.arrows", &["--compression", "zstd"]),
        ("d.npy", &["--columns", "pixels"]),
        ("d.npz", &["--columns", "pixels,label"]),
        ("d.npyd", &["--columns", "pixels,label"]),
        ("d.tfrecord.gz", &[]),
        ("s.tfrecord", &["--shards", "3"]),
        ("saved", &["--format", "saved", "--columns", "label,pixels"]),
        ("parts/", &["--format", "arrow"]),
        ("rows/", &["--rows-per-file", "500"]),
    ] {
        let here = dir.arg(&format!("{name}.d/{name}"));
        std::fs::create_dir_all(dir.path(&format!("{name}.d"))).unwrap();
        tfarrow(&[&["convert", DIGITS, "-o", &here, "--progress", "never"], more].concat()).success();
        let there = bucket.url(&format!("{name}.d/{name}"));
        convert(&bucket, &[&[DIGITS, "-o", &there], more].concat()).success();
        assert_written_alike(&bucket, &dir, &format!("{name}.d"));
    }
    assert_eq!(bucket.uploads(), [""; 0]);
}

#[test]
fn what_is_there_is_replaced_only_if_that_is_asked_for() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    for (name, more) in [
        ("d.parquet", &[][..]),
        ("d.npy", &["--columns", "label"]),
        ("d.npyd", &["--columns", "label"]),
        ("saved", &["--format", "saved", "--columns", "label"]),
        ("parts/", &[]),
        ("s.tfrecord", &["--shards", "2"]),
    ] {
        let there = bucket.url(name);
        let args = [&[DIGITS, "-o", &there], more].concat();
        convert(&bucket, &args).success();
        let before = objects(&bucket, name.trim_end_matches(".tfrecord"));
        let said = convert(&bucket, &args).failure();
        assert_names(
            &said,
            &["exists already", "--overwrite", bucket.url("").as_str()]
                .map(|s| if s == "exists already" && name == "parts/" { "already" } else { s }),
        );
        assert_eq!(objects(&bucket, name.trim_end_matches(".tfrecord")), before);
        convert(
            &bucket,
            &[&args[..], &["--overwrite", "--take", "10"]]
                .concat()
                .iter()
                .filter(|a| name != "parts/" || !["--take", "10"].contains(a))
                .copied()
                .collect::<Vec<_>>(),
        )
        .success();
    }
    // A folder of other things is not ours.
    bucket.put("mine/thesis.txt", b"theirs");
    let said = convert(
        &bucket,
        &[DIGITS, "-o", &bucket.url("mine"), "--format", "saved", "--columns", "label", "--overwrite"],
    );
    assert_names(&said.failure(), &["other files"]);
    // What had more files than what replaces it leaves none behind.
    convert(&bucket, &[DIGITS, "-o", &bucket.url("n.npyd"), "--columns", "label,pixels"]).success();
    convert(&bucket, &[DIGITS, "-o", &bucket.url("n.npyd"), "--columns", "label", "--overwrite"]).success();
    assert_eq!(bucket.keys("n.npyd/"), ["n.npyd/label.npy"]);
    let web = format!("http://127.0.0.1:{}/{}/x.parquet", server.port, bucket.name);
    assert_names(
        &tfarrow(&["convert", DIGITS, "-o", &web]).failure(),
        &["web server is no place to write to"],
    );
}

/// Records that come to more than one part of an upload.
fn large(dir: &Dir) -> String {
    let mut random = 1u64;
    let records: Vec<Vec<u8>> = (0..30)
        .map(|_| {
            let bytes = std::iter::repeat_with(|| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            });
            crate::common::example(&[("x", &bytes.take(1 << 20).collect::<Vec<u8>>())])
        })
        .collect();
    std::fs::write(dir.path("large.tfrecord"), crate::common::tfrecord(&records)).unwrap();
    dir.arg("large.tfrecord")
}

#[test]
fn a_large_file_goes_in_parts_and_appears_when_it_is_whole() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    let large = large(&dir);
    tfarrow(&["convert", &large, "-o", &dir.arg("l.arrow")]).success();
    // One of the parts is refused twice, and one connection breaks.
    let proxy = Proxy::new(server.port, |request| match request.seen_of("PUT", "partNumber=2") {
        Some(1) => Fault::Status(503, "SlowDown", Some(0)),
        Some(2) => Fault::Cut(0),
        _ => Fault::None,
    });
    convert_through(&proxy, &bucket, &large, "l.arrow").success();
    assert!(proxy.count(|request| request.contains("partNumber=")) >= 5);
    assert!(bucket.get("l.arrow").unwrap() == std::fs::read(dir.path("l.arrow")).unwrap());
    // If it cannot be sent, nothing is left: neither an object nor parts of one.
    let proxy = Proxy::new(server.port, |request| match request.seen_of("PUT", "partNumber=3") {
        Some(_) => Fault::Status(403, "AccessDenied", None),
        None => Fault::None,
    });
    let said = convert_through(&proxy, &bucket, &large, "no.arrow").failure();
    assert_names(&said, &["no.arrow", "403 AccessDenied"]);
    assert_eq!(bucket.keys("no.arrow"), [""; 0]);
    assert_eq!(bucket.uploads(), [""; 0]);
}

#[test]
fn what_appears_while_it_is_written_stays() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    let large = large(&dir);
    // A small object is put on the condition that there is none; before a large one is whole, it is looked at.
    for (input, key, mark) in
        [(DIGITS, "small.parquet", "small.parquet"), (&large, "large.arrow", "partNumber=3")]
    {
        let others = Bucket { port: server.port, name: bucket.name.clone() };
        let proxy = Proxy::new(server.port, move |request| {
            if request.seen_of("PUT", mark) == Some(1) {
                others.put(key, b"theirs");
            }
            Fault::None
        });
        let said = convert_through(&proxy, &bucket, input, key).failure();
        assert_names(&said, &[key, "exists already", "--overwrite"]);
        assert_eq!(bucket.get(key).unwrap(), b"theirs");
        assert_eq!(bucket.uploads(), [""; 0]);
    }
}

fn convert_through(proxy: &Proxy, bucket: &Bucket, input: &str, key: &str) -> Run {
    let url = bucket.url(key);
    let store = options(proxy.port).map(|(key, value)| format!("--store={key}={value}"));
    let args =
        [&["convert", input, "-o", &url, "--progress", "never"][..], &store.each_ref().map(String::as_str)]
            .concat();
    tfarrow(&args)
}

#[test]
#[cfg(unix)]
fn ctrl_c_gives_up_what_is_not_whole() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    let large = large(&dir);
    let stands = std::sync::Arc::new(std::sync::Barrier::new(2));
    let wait = stands.clone();
    let proxy = Proxy::new(server.port, move |request| match request.seen_of("PUT", "partNumber=2") {
        Some(1) => {
            wait.wait();
            Fault::Wait(std::time::Duration::from_secs(60))
        }
        _ => Fault::None,
    });
    let url = bucket.url("l.arrow");
    let mut args = vec!["convert".to_owned(), large, "-o".to_owned(), url];
    args.extend(options(proxy.port).map(|(key, value)| format!("--store={key}={value}")));
    let mut child = command(&args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    stands.wait();
    assert_eq!(bucket.uploads(), ["l.arrow"]);
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(bucket.keys("l.arrow"), [""; 0]);
    assert_eq!(bucket.uploads(), [""; 0]);
}

#[test]
fn parts_that_are_whole_stay_and_the_others_are_made() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let whole = bucket.url("whole/");
    convert(&bucket, &[DIGITS, "-o", &whole, "--rows-per-file", "300"]).success();
    let expected = objects(&bucket, "whole/");
    // The fourth part cannot be written.
    let proxy = Proxy::new(server.port, |request| match request.seen_of("PUT", "part-00003.parquet") {
        Some(_) => Fault::Status(403, "AccessDenied", None),
        None => Fault::None,
    });
    let args = |port: u16, more: &[&str]| {
        let url = bucket.url("out/");
        let store = options(port).map(|(key, value)| format!("--store={key}={value}"));
        let fixed = ["convert", DIGITS, "-o", &url, "--rows-per-file", "300", "--progress", "never"];
        tfarrow(&[&fixed[..], more, &store.each_ref().map(String::as_str)].concat())
    };
    let said = args(proxy.port, &[]).failure();
    assert_names(&said, &["part-00003.parquet", "403", "--resume"]);
    assert_eq!(
        bucket.keys("out/part"),
        ["out/part-00000.parquet", "out/part-00001.parquet", "out/part-00002.parquet"]
    );
    assert!(bucket.get("out/_manifest.json").is_none() && bucket.get("out/_progress.jsonl").is_some());
    assert_names(&args(server.port, &[]).failure(), &["interrupted", "--resume"]);
    let watched = Proxy::new(server.port, |_| Fault::None);
    let said = args(watched.port, &["--resume"]).success().stderr;
    assert_names(&said, &["3 of them kept"]);
    assert_eq!(
        watched.count(|request| request.starts_with("PUT") && request.contains("part-00001.parquet")),
        0
    );
    let mut found = objects(&bucket, "out/");
    // Where the parts lie is not in them; their manifests tell when they were written, which is now.
    let name = "_manifest.json";
    let of =
        |all: &BTreeMap<String, Vec<u8>>| serde_json::from_slice::<serde_json::Value>(&all[name]).unwrap();
    assert_eq!(of(&found)["parts"], of(&expected)["parts"]);
    found.insert(name.to_owned(), expected[name].clone());
    assert!(found == expected, "{:?}", found.keys());
    // Another part of the same size is no part of it.
    let part = bucket.get("out/part-00002.parquet").unwrap();
    bucket.put("out/part-00002.parquet", &vec![0; part.len()]);
    assert_names(&args(server.port, &["--resume"]).success().stderr, &["2 of them kept"]);
    assert!(bucket.get("out/part-00002.parquet").unwrap() == part);
    let manifest = String::from_utf8(bucket.get("out/_manifest.json").unwrap()).unwrap();
    assert!(!manifest.contains("hush") && !manifest.contains("127.0.0.1"), "{manifest}");
}

#[test]
fn what_was_written_is_read_back() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    convert(&bucket, &[DIGITS, "-o", &bucket.url("parts/")]).success();
    assert_eq!(bucket.reader(&bucket.url("parts/")).count().unwrap(), 1797);
    convert(&bucket, &[&bucket.url("parts/"), "-o", &bucket.url("d.arrow")]).success();
    let rows = |builder: ReaderBuilder| {
        builder.build().unwrap().map(|batch| batch.unwrap()).map(|batch| batch.num_rows()).sum::<usize>()
    };
    assert_eq!(rows(bucket.reader(&bucket.url("d.arrow"))), 1797);
    let dir = Dir::new();
    let report = bucket.url("report.html");
    let store = bucket.args();
    let store: Vec<&str> = store.iter().map(String::as_str).collect();
    let digits = repo("examples/data/digits").join("digits.tfrecord-00000-of-00002");
    tfarrow(&[&["report", digits.to_str().unwrap(), "-o", &report][..], &store].concat()).success();
    tfarrow(&["report", digits.to_str().unwrap(), "-o", &dir.arg("report.html")]).success();
    assert!(bucket.get("report.html").unwrap() == std::fs::read(dir.path("report.html")).unwrap());
    assert_names(
        &tfarrow(&[&["report", digits.to_str().unwrap(), "-o", &report][..], &store].concat()).failure(),
        &["exists"],
    );
}
