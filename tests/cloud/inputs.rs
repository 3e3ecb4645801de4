//! Every kind of input is read from a store as it is read from the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::StreamWriter;
use tfarrow::ReaderBuilder;
use tfarrow::options::RecordKind;

use crate::common::{Dir, assert_names, golden, repo, tfarrow};
use crate::proxy::{Fault, Proxy};
use crate::server::{options, reader, s3, web};

/// All batches, as the bytes of an Arrow stream; the schema's metadata may name the input.
fn read(builder: &ReaderBuilder) -> Vec<u8> {
    let reader = builder.build().unwrap();
    let schema = Arc::new(Schema::new(reader.source().schema().fields().clone()));
    let mut stream = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    for batch in reader {
        let columns = batch.unwrap().columns().to_vec();
        stream.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
    }
    stream.into_inner().unwrap()
}

/// Inputs of every kind: what to call them there, and where they are here.
fn inputs(dir: &Dir) -> Vec<(&'static str, PathBuf)> {
    let mut inputs = vec![
        ("plain.tfrecord", repo("examples/data/digits/digits.tfrecord-00000-of-00002")),
        ("zlib.tfrecord", golden("zlib.tfrecord").into()),
    ];
    let digits = "examples/data/digits/digits.tfrecord-00000-of-00002";
    for name in ["d.arrow", "d.arrows", "d.parquet", "d.tfrecord.gz"] {
        tfarrow(&["convert", digits, "-o", &dir.arg(name)]).success();
        inputs.push((name, dir.path(name)));
    }
    for (kind, folder) in [
        ("digits", "examples/data/digits"),
        ("events", "tests/golden/events"),
        ("saved", "tests/golden/saved/batched_partial_last/data"),
        ("distributed", "tests/golden/distributed"),
        ("snapshot", "tests/golden/snapshot"),
        ("array_record", "tests/golden/array_record"),
        ("cache", "tests/golden/cache"),
        ("tfds", "tests/golden/tfds"),
    ] {
        inputs.push((kind, repo(folder)));
    }
    inputs
}

/// All names below `folder` that can be opened on their own, but for damaged ones.
fn openable(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(path) = left.pop() {
        if ReaderBuilder::new(&path).build().is_ok_and(|reader| reader.into_iter().all(|b| b.is_ok())) {
            found.push(path);
        } else if path.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found.sort();
    found
}

#[test]
fn every_kind_is_read_from_a_bucket_as_from_the_disk() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    let mut compared = 0;
    for (name, path) in inputs(&dir) {
        bucket.put_path(name, &path);
        for local in openable(&path) {
            let inner = local.strip_prefix(&path).unwrap().to_str().unwrap();
            let key = if inner.is_empty() { name.to_owned() } else { format!("{name}/{inner}") };
            let mut there = bucket.reader(&bucket.url(&key));
            let mut here = ReaderBuilder::new(&local);
            if name == "events" {
                // It says where each event was read.
                (there, here) = (there.with_exclude(["file"]), here.with_exclude(["file"]));
            }
            assert!(read(&there) == read(&here), "{key}");
            assert_eq!(there.count().unwrap(), here.count().unwrap(), "{key}");
            assert_eq!(there.count_checked().unwrap(), here.count_checked().unwrap(), "{key}");
            let kind = |builder: &ReaderBuilder| builder.build_source().unwrap().kind().to_owned();
            assert_eq!(kind(&there), kind(&here), "{key}");
            compared += 1;
        }
    }
    assert!(compared > 30, "{compared}");
}

#[test]
fn names_patterns_and_folders_mean_what_they_mean_on_the_disk() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    bucket.put_path("digits", &repo("examples/data/digits"));
    bucket.put("empty.tfrecord", b"");
    bucket.put("a%20b/%C3%BC%2B%25.tfrecord", b"");
    let count = |name: &str| bucket.reader(&bucket.url(name)).count().map_err(|e| e.to_string());
    for name in
        ["digits/digits.tfrecord-*", "digits/*-of-00002", "**/digits.tfrecord-*", "digits/d*[01]-of-*"]
    {
        assert_eq!(count(name), Ok(1797), "{name}");
    }
    assert_eq!(count("empty.tfrecord"), Ok(0));
    assert_eq!(count("a b/ü+%.tfrecord"), Ok(0));
    for (name, parts) in [
        ("nothing", &["cannot open input", "not found"][..]),
        ("digits/nothing.tfrecord", &["not found"]),
        ("digits/no*", &["no file matches"]),
        ("digits", &["name the files to read", "/digits/"]),
    ] {
        let error = count(name).unwrap_err();
        assert_names(&error, parts);
        assert_names(&error, &[&bucket.url("")]);
    }
    // Reading leaves everything as it is.
    assert_eq!(
        bucket.keys("digits/").len(),
        std::fs::read_dir(repo("examples/data/digits")).unwrap().count()
    );
    assert_eq!((bucket.get("empty.tfrecord"), bucket.get("nothing")), (Some(Vec::new()), None));
    assert!(bucket.uploads().is_empty());
    let error = bucket.reader("s3://no-such-bucket/x").count().unwrap_err().to_string();
    assert_names(&error, &["NoSuchBucket", "s3://no-such-bucket/x"]);
}

#[test]
fn many_files_that_are_named_are_looked_at_side_by_side() {
    const FILES: usize = 300;
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    // All together are more than what is kept of their beginnings, and the columns are learnt from fifty.
    let record = |i: usize| crate::common::example(&[("x", &vec![i as u8; 3_000])]);
    let shard = crate::common::tfrecord(&(0..20).map(record).collect::<Vec<_>>());
    let names: Vec<String> = (0..FILES).map(|file| format!("s-{file:03}.tfrecord")).collect();
    for name in &names {
        bucket.put(name, &shard);
    }
    let proxy = Proxy::new(server.port, |_| Fault::Wait(Duration::from_millis(20)));
    let urls: Vec<String> = names.iter().map(|name| bucket.url(name)).collect();
    let builder = options(proxy.port).iter().fold(ReaderBuilder::new(urls), |builder, (key, value)| {
        builder.with_store_option(key, value).unwrap()
    });
    builder.build_source().unwrap();
    assert!(proxy.rounds() < 60, "{} rounds of {} requests", proxy.rounds(), proxy.lines().len());
    let rows: usize = builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, FILES * 20);
    assert!(proxy.rounds() < 200, "{} rounds of {} requests", proxy.rounds(), proxy.lines().len());
}

#[test]
fn inputs_of_several_places_are_read_in_one_call() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let shard = "examples/data/digits/digits.tfrecord-00001-of-00002";
    bucket.put_path("shard", &repo(shard));
    let there = bucket.url("shard");
    let web = format!("http://127.0.0.1:{}/{}/shard", server.port, bucket.name);
    let args = [&["count", shard, &there, &web][..], &["--check"]].concat();
    let store = bucket.args();
    let args: Vec<&str> = args.into_iter().chain(store.iter().map(String::as_str)).collect();
    assert_eq!(tfarrow(&args).success().text().trim(), (3 * 899).to_string());
}

#[test]
fn a_file_of_a_web_server_is_read_and_its_query_is_nobodys_business() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    let digits = "examples/data/digits/digits.tfrecord-00000-of-00002";
    tfarrow(&["convert", digits, "-o", &dir.arg("d.parquet")]).success();
    bucket.put_path("d.parquet", &dir.path("d.parquet"));
    let url = format!("http://127.0.0.1:{}/{}/d.parquet", server.port, bucket.name);
    let signed = format!("{url}?X-Amz-Signature=hush&x=*");
    let builder = ReaderBuilder::new(signed.as_str());
    assert!(read(&builder) == read(&ReaderBuilder::new(dir.path("d.parquet"))));
    let source = builder.build_source().unwrap();
    assert_eq!(&*source.partitions()[0].inputs[0].name, url);
    assert!(!format!("{builder:?}{:?}", source.partitions()).contains("hush"));
    assert!(!format!("{:?}", source.schema().metadata()).contains("hush"));
    let missing = url.replace("d.parquet", "none?Signature=hush");
    for args in
        [&["count", &missing][..], &["report", &missing, "--json"], &["convert", &missing, "-o", "x.arrow"]]
    {
        let said = tfarrow(args).failure();
        assert!(said.contains("/none") && !said.contains("hush"), "{said}");
    }
}

#[test]
fn options_of_stores_are_checked_and_their_values_kept_silent() {
    for (key, value, parts) in [
        ("aws_endpont", "hush", &["`aws_endpont`", "did you mean `aws_endpoint`?"][..]),
        ("google_base_url", "hush", &["`google_base_url` is no key of s3://"]),
        ("aws_allow_http", "hush", &["s3://bucket/x"]),
        ("max_retries", "hush", &["max_retries"]),
    ] {
        let said = tfarrow(&["count", "s3://bucket/x", "--store", &format!("{key}={value}")]).failure();
        assert_names(&said, parts);
        assert!(key == "aws_allow_http" || !said.contains("hush"), "{said}");
    }
    let said = tfarrow(&["count", "s3://bucket/x", "--store", "hush"]).failure();
    assert!(said.contains("KEY=VALUE") && !said.contains("hush"), "{said}");
    let said = tfarrow(&["count", "tests", "--store", "aws_region=x"]).failure();
    assert_names(&said, &["--store is for s3://"]);
}

#[test]
fn endpoints_and_regions_that_cannot_be_are_named() {
    for (name, key, values) in [
        (
            "s3://bucket/x",
            "aws_endpoint",
            &[
                "http://127.0.0.1:99999",
                "http://127.0.0.1:1,x=y",
                "127.0.0.1:80",
                "nonsense",
                "http://",
                "",
                "ftp://x",
            ][..],
        ),
        ("gs://bucket/x", "google_base_url", &["http://a:b", "nonsense"]),
        ("az://bucket/x", "azure_endpoint", &["http://a:b"]),
        ("s3://bucket/x", "aws_region", &["eu west"]),
    ] {
        for value in values {
            let setting = format!("{key}={value}");
            let said = tfarrow(
                &["count", name, "--store", &setting, "--store", "azure_storage_account_name=x"]
                    [..if name.starts_with("az") { 6 } else { 4 }],
            )
            .failure();
            let named = if key.starts_with("azure") { "invalid port number" } else { key };
            assert!(
                said.contains(named) && said.contains(name) && !said.contains("panicked"),
                "{value}: {said}"
            );
        }
    }
}

#[test]
fn settings_say_nothing_of_stores() {
    let builder = ReaderBuilder::new("s3://bucket/x").with_record(RecordKind::Raw);
    let settings = builder.settings();
    let with = builder.with_store_option("aws_secret_access_key", "hush").unwrap();
    assert_eq!(with.settings(), settings);
    assert!(!format!("{with:?}").contains("hush"));
}

#[test]
fn files_of_web_servers_of_several_kinds_are_read() {
    let digits = repo("examples/data/digits");
    let name = "digits.tfrecord-00000-of-00002";
    let here = read(&ReaderBuilder::new(digits.join(name)));
    for how in [&[][..], &["no-etag"], &["https"], &["https", "no-etag"]] {
        let Some(server) = web(&digits, how) else { return };
        let scheme = if how.contains(&"https") { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}/{name}", server.port);
        // The certificate is nobody's.
        let trusting = [("allow_invalid_certificates", "true".to_owned())];
        assert!(read(&reader(&url, &trusting)) == here, "{how:?}");
        let missing = reader(&url.replace("digits.tf", "no.tf"), &trusting).count().unwrap_err().to_string();
        assert_names(&missing, &["not found", "/no.tfrecord"]);
        if scheme == "https" {
            let error = reader(&url, &[("max_retries", "0".to_owned())]).count().unwrap_err().to_string();
            assert_names(&error, &["no connection", "certificate"]);
        }
        let folder = reader(&format!("{scheme}://127.0.0.1:{}/", server.port), &trusting).count();
        assert_names(&folder.unwrap_err().to_string(), &["127.0.0.1"]);
    }
    let Some(server) = web(&digits, &["no-ranges"]) else { return };
    let url = format!("http://127.0.0.1:{}/{name}", server.port);
    let error = reader(&url, &[]).count().unwrap_err().to_string();
    assert_names(&error, &["gives no parts of files", "standard input", name]);
    // Which is done so.
    let (_, bytes) = crate::server::request(server.port, "GET", &format!("/{name}"), b"");
    assert_eq!(crate::common::tfarrow_fed(&["count", "-"], bytes).success().text(), "898\n");
}
