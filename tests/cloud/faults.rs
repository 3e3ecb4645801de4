//! What goes wrong between here and there: the bytes are right, or the error says what was tried.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use tfarrow::options::RecordKind;
use tfarrow::{ReaderBuilder, Result};

use crate::common::{Dir, assert_names, example, golden, repo, tfarrow, tfrecord};
use crate::proxy::{Fault, Proxy, Request};
use crate::server::{Bucket, Server, options, reader, s3};

/// Some millions of bytes of records, in an object and here.
struct Sample {
    bucket: Bucket,
    dir: Dir,
}

impl Sample {
    fn new(server: &Server) -> Self {
        let (bucket, dir) = (server.bucket(), Dir::new());
        let record = |i: usize| example(&[("x", &vec![(i % 251) as u8; 9_000 + i % 100])]);
        std::fs::write(dir.path("x.tfrecord"), tfrecord(&(0..900).map(record).collect::<Vec<_>>())).unwrap();
        tfarrow(&["convert", &dir.arg("x.tfrecord"), "-o", &dir.arg("x.parquet"), "--compression", "none"])
            .success();
        for name in ["x.tfrecord", "x.parquet"] {
            bucket.put_path(name, &dir.path(name));
        }
        Self { bucket, dir }
    }

    /// What is read of `name` through `proxy`.
    fn read(&self, proxy: &Proxy, name: &str, more: &[(&str, &str)]) -> Result<Vec<RecordBatch>> {
        let mut store: Vec<(&str, String)> = options(proxy.port).to_vec();
        store.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
        batches(&reader(&self.bucket.url(name), &store))
    }

    fn here(&self, name: &str) -> Vec<RecordBatch> {
        batches(&ReaderBuilder::new(self.dir.path(name))).unwrap()
    }
}

fn batches(builder: &ReaderBuilder) -> Result<Vec<RecordBatch>> {
    builder.build()?.collect()
}

/// The rows alone: metadata says where they were read.
fn rows(batches: &[RecordBatch]) -> Vec<Vec<arrow::array::ArrayRef>> {
    batches.iter().map(|batch| batch.columns().to_vec()).collect()
}

#[test]
fn what_passes_is_waited_for() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    type Rule = fn(&Request<'_>, usize) -> Fault;
    let rules: [(&str, Rule); 7] = [
        ("every third connection breaks before the answer", |_, n| {
            if n % 3 == 1 { Fault::Cut(0) } else { Fault::None }
        }),
        ("every other body breaks", |_, n| if n % 2 == 0 { Fault::Cut(70_001) } else { Fault::None }),
        ("500 each second time", |_, n| {
            if n % 2 == 0 { Fault::Status(500, "InternalError", None) } else { Fault::None }
        }),
        (
            "503, with a pause",
            |_, n| if n % 4 == 0 { Fault::Status(503, "SlowDown", Some(1)) } else { Fault::None },
        ),
        ("429", |_, n| if n % 3 == 0 { Fault::Status(429, "TooManyRequests", None) } else { Fault::None }),
        (
            "slow first bytes",
            |_, n| if n % 3 == 0 { Fault::Wait(Duration::from_millis(700)) } else { Fault::None },
        ),
        ("fewer bytes than promised", |_, n| if n % 3 == 0 { Fault::Longer(1000) } else { Fault::None }),
    ];
    for (what, rule) in rules {
        for name in ["x.tfrecord", "x.parquet"] {
            let count = AtomicUsize::new(0);
            let proxy =
                Proxy::new(server.port, move |request| rule(request, count.fetch_add(1, Ordering::Relaxed)));
            let there =
                sample.read(&proxy, name, &[]).unwrap_or_else(|error| panic!("{what}, {name}: {error}"));
            assert!(rows(&there) == rows(&sample.here(name)), "{what}, {name}");
        }
    }
}

#[test]
fn a_body_that_breaks_is_gone_on_with_at_the_next_byte() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    let proxy = Proxy::new(server.port, |request| match request.seen_of("GET", "x.tfrecord") {
        Some(_) => Fault::Cut(600_000),
        None => Fault::None,
    });
    let there = sample.read(&proxy, "x.tfrecord", &[]).unwrap();
    assert!(rows(&there) == rows(&sample.here("x.tfrecord")));
    // The first request was for a range of which 600,000 bytes came, and another went on behind these.
    let starts: Vec<u64> = proxy
        .lines()
        .iter()
        .filter_map(|line| line.split_once("bytes=")?.1.split_once('-')?.0.parse().ok())
        .collect();
    assert!(starts.iter().any(|start| starts.contains(&(start + 600_000))), "{starts:?}");
}

#[test]
fn what_does_not_pass_is_told() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    let url = sample.bucket.url("x.tfrecord");
    let few: &[(&str, &str)] = &[("max_retries", "2")];
    for (fault, parts) in [
        (
            Fault::Status(503, "SlowDown", None),
            &["503 SlowDown (SlowDown of the test)", "tried 3 times", "try again later"][..],
        ),
        (Fault::Status(503, "SlowDown", Some(0)), &["503 SlowDown", "tried 3 times"]),
        (Fault::Status(400, "ExpiredToken", None), &["400 ExpiredToken", "renew the credentials"]),
        (Fault::Status(403, "AccessDenied", None), &["403 AccessDenied"]),
        (Fault::Status(301, "PermanentRedirect", None), &["301"]),
        (Fault::Cut(0), &["connection broke", "tried 3 times", "look at the network"]),
    ] {
        let what = format!("{fault:?}");
        // The object is looked at, and then the server refuses.
        let proxy = Proxy::new(server.port, move |request| match request.seen_of("GET", "x.tfrecord") {
            Some(n) if n > 1 => fault.clone(),
            _ => Fault::None,
        });
        let begun = Instant::now();
        let error = sample.read(&proxy, "x.tfrecord", few).unwrap_err().to_string();
        assert_names(&error, parts);
        assert_names(&error, &[&url, "bytes "]);
        assert!(!error.contains("hush") && begun.elapsed() < Duration::from_secs(20), "{what}: {error}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = reader(&url, &options(nobody)).count().unwrap_err().to_string();
    assert_names(&error, &["no connection", &url, "tried 4 times", "the endpoint"]);
}

#[test]
fn a_public_bucket_needs_no_credentials_and_a_private_one_says_so() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    let store: Vec<_> = options(server.port).into_iter().take(2).collect();
    // Nobody set credentials in the environment of this test, which objects of the tests do not need.
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert!(std::env::var_os(variable).is_none(), "{variable} is set");
    }
    let begun = Instant::now();
    let builder = reader(&sample.bucket.url("x.tfrecord"), &store);
    assert_eq!(builder.count().unwrap(), 900);
    let proxy = Proxy::new(server.port, |request| {
        assert!(!request.head.contains("uthorization"));
        Fault::Status(403, "AccessDenied", None)
    });
    let store: Vec<_> = options(proxy.port).into_iter().take(2).collect();
    let error = reader(&sample.bucket.url("x.tfrecord"), &store).count().unwrap_err().to_string();
    assert_names(&error, &["403 AccessDenied", "there are no credentials", "AWS_ACCESS_KEY_ID"]);
    // Nobody waited for a metadata service.
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_an_error() {
    let Some(server) = s3() else { return };
    for same_size in [true, false] {
        let sample = Sample::new(server);
        let bytes = std::fs::read(sample.dir.path("x.tfrecord")).unwrap();
        let mut other = bytes.clone();
        if same_size {
            // A sound file, of other values.
            let record = |i: usize| example(&[("x", &vec![(i % 13) as u8; 9_000 + i % 100])]);
            other = tfrecord(&(0..900).map(record).collect::<Vec<_>>());
            assert_eq!(other.len(), bytes.len());
        } else {
            other.truncate(bytes.len() / 2);
        }
        let bucket = Bucket { port: server.port, name: sample.bucket.name.clone() };
        let proxy = Proxy::new(server.port, move |request| {
            if request.seen_of("GET", "x.tfrecord") == Some(3) {
                bucket.put("x.tfrecord", &other);
            }
            Fault::None
        });
        let error = sample.read(&proxy, "x.tfrecord", &[]).unwrap_err().to_string();
        assert_names(&error, &["changed while it was read", &sample.bucket.url("x.tfrecord")]);
    }
    // Where the server does not heed the condition, its answer is looked at.
    let sample = Sample::new(server);
    let proxy = Proxy::new(server.port, |request| match request.seen_of("GET", "x.tfrecord") {
        Some(n) if n > 2 => Fault::Head("etag: \"", "etag: \"0"),
        _ => Fault::None,
    });
    let error = sample.read(&proxy, "x.tfrecord", &[]).unwrap_err().to_string();
    assert_names(&error, &["changed while it was read"]);
}

#[test]
fn answers_that_are_not_what_was_asked_for_are_errors() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    for (fault, part) in [
        (Fault::Head("content-range: bytes ", "content-range: bytes 1"), "bytes"),
        (Fault::Head("content-range", "x-range"), "Content-Range"),
        (Fault::Head(" 206 ", " 200 "), "fetch it first"),
        (Fault::Body(b"<html>captive portal</html>".to_vec()), "bytes"),
    ] {
        let what = format!("{fault:?}");
        let proxy = Proxy::new(server.port, move |request| match request.seen_of("GET", "x.tfrecord") {
            Some(n) if n > 1 => fault.clone(),
            _ => Fault::None,
        });
        let error = sample.read(&proxy, "x.tfrecord", &[("max_retries", "1")]).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("x.tfrecord"), "{what}: {error}");
    }
}

#[test]
fn a_folder_of_a_hundred_thousand_objects_is_listed() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    let name = sample.bucket.name.clone();
    // Pages of a thousand, made as they are asked for.
    let proxy = Proxy::new(server.port, move |request| {
        if !request.line.contains("list-type=2") || !request.line.ends_with("prefix=many%2F") {
            return Fault::None;
        }
        let page: usize = match request.line.split_once("continuation-token=") {
            Some((_, token)) => token.split('&').next().unwrap().parse().unwrap(),
            None => 0,
        };
        let object = |n: usize| {
            format!(
                "<Contents><Key>many/part-{n:06}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                 <ETag>\"{n}\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                n % 7
            )
        };
        let objects: String = (page * 1000..(page + 1) * 1000).map(object).collect();
        let next = match page {
            99 => "<IsTruncated>false</IsTruncated>".to_owned(),
            _ => format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                page + 1
            ),
        };
        let head =
            "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
        let body =
            format!("{head}<Name>{name}</Name><Prefix>many/</Prefix>{next}{objects}</ListBucketResult>");
        Fault::Answer(body.into_bytes())
    });
    let folder = format!("{}many/part-0999*", sample.bucket.url(""));
    let error = reader(&folder, &options(proxy.port)).count().unwrap_err().to_string();
    // They are listed, and those that match are opened, of which there are none.
    assert_names(&error, &["many/part-0999"]);
    let pages = proxy.count(|line| line.contains("list-type=2"));
    assert!((100..110).contains(&pages), "{pages}");
    assert!(proxy.count(|line| line.contains("many/part-0999")) >= 1);
    assert_eq!(proxy.count(|line| line.contains("many/part-0998")), 0);
}

#[test]
fn few_round_trips_to_a_schema() {
    let Some(server) = s3() else { return };
    let bucket = server.bucket();
    let dir = Dir::new();
    let digits = "examples/data/digits/digits.tfrecord-00000-of-00002";
    for name in ["d.parquet", "d.arrow", "d.arrows"] {
        tfarrow(&["convert", digits, "-o", &dir.arg(name)]).success();
        bucket.put_path(name, &dir.path(name));
    }
    bucket.put_path("d.tfrecord", &repo(digits));
    bucket.put_path("a.array_record", &repo("tests/golden/array_record/simple_zstd_g4.array_record"));
    bucket.put_path("saved", &repo("tests/golden/saved/batched_partial_last/data"));
    bucket.put_path("tfds", &repo("tests/golden/tfds/wide_tfrecord/wide"));
    bucket.put_path("zlib.tfrecord", golden("zlib.tfrecord").as_ref());
    for name in
        ["d.parquet", "d.arrow", "d.arrows", "a.array_record", "d.tfrecord", "zlib.tfrecord", "saved", "tfds"]
    {
        let proxy = Proxy::new(server.port, |_| Fault::Wait(Duration::from_millis(60)));
        let builder = reader(&bucket.url(name), &options(proxy.port));
        let builder = if name == "a.array_record" { builder.with_record(RecordKind::Raw) } else { builder };
        builder.build_source().unwrap();
        assert!(proxy.rounds() <= 3, "{name}: {} rounds: {:#?}", proxy.rounds(), proxy.lines());
    }
}

#[test]
fn a_bucket_of_another_region_is_found_there() {
    let Some(server) = s3() else { return };
    let sample = Sample::new(server);
    let proxy = Proxy::new(server.port, |request| match request.head.contains("/eu-west-1/s3/") {
        true => Fault::None,
        false => Fault::Elsewhere("eu-west-1"),
    });
    assert!(rows(&sample.read(&proxy, "x.tfrecord", &[]).unwrap()) == rows(&sample.here("x.tfrecord")));
    let folder = reader(&sample.bucket.url("*.tfrecord"), &options(proxy.port));
    assert_eq!(folder.count().unwrap(), 900);
    // It is not looked for for ever.
    let proxy = Proxy::new(server.port, |_| Fault::Elsewhere("eu-west-1"));
    let error = sample.read(&proxy, "x.tfrecord", &[]).unwrap_err().to_string();
    assert_names(&error, &["301", "another region", "aws_region=eu-west-1"]);
}
