//! What is read from a store, and what is written to one, is not held: memory is bounded by batches and
//! requests, not by the data.
#![cfg(target_os = "linux")]

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::{Arc, Barrier};

use crate::common::{Dir, command, example, tfrecord};
use crate::proxy::{Fault, Proxy};
use crate::server::{Bucket, options, s3};

/// Shards of so many records of so many bytes: 320 MB.
const SHARDS: usize = 32;
const RECORDS: usize = 100;
const RECORD_BYTES: usize = 100_000;
/// What may be used at most: 150 MB and three batches, which take 16 MiB of records each. A further
/// thread decodes one and encodes one.
const MOST_MB: usize = 150 + 3 * 17;
const THREAD_MB: usize = 2 * 17;

/// Shards in a bucket, of which there is one here: its name here.
fn shards(bucket: &Bucket, dir: &Dir) -> String {
    let record = |i: usize| example(&[("x", &vec![i as u8; RECORD_BYTES])]);
    let shard = tfrecord(&(0..RECORDS).map(record).collect::<Vec<_>>());
    std::fs::write(dir.path("shard.tfrecord"), &shard).unwrap();
    for number in 0..SHARDS {
        bucket.put(&format!("in/{number:05}.tfrecord"), &shard);
    }
    dir.arg("shard.tfrecord")
}

/// The most memory that a process has used so far, in megabytes, without the pages of the program itself,
/// which is larger here than one that is optimised.
fn peak(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<usize>().unwrap() / 1000
    };
    megabytes("VmHWM:") - megabytes("RssFile:")
}

#[test]
fn large_datasets_go_from_and_to_stores_in_little_memory() {
    let Some(server) = s3() else { return };
    let (bucket, dir) = (server.bucket(), Dir::new());
    let shard = shards(&bucket, &dir);
    // From the store; who reads the output stops shortly before its end.
    let there = bucket.url("in/*.tfrecord");
    let mut run = command(&["convert", &there, "-o", "-", "--format", "arrows", "--threads", "1"]);
    let mut child = run.args(bucket.args()).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let most = (SHARDS - 1) * RECORDS * RECORD_BYTES;
    std::io::copy(&mut (&mut output).take(most as u64), &mut std::io::sink()).unwrap();
    let used = peak(&child);
    assert!(used <= MOST_MB, "{used} MB");
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    assert!(child.wait().unwrap().success());
    // To the store, from files here and from there; the last request of all waits.
    let here = || vec![shard.clone(); SHARDS];
    let cases = [
        (here(), "out.arrow", 1),
        (vec![there.clone()], "1.parquet", 1),
        (here(), "2.parquet", 2),
        (vec![there], "3.parquet", 2),
    ];
    for (inputs, output, threads) in cases {
        let at_end = Arc::new(Barrier::new(2));
        let wait = at_end.clone();
        let proxy = Proxy::new(server.port, move |request| {
            if request.line.starts_with("POST") && request.line.contains("uploadId=") {
                wait.wait();
                wait.wait();
            }
            Fault::None
        });
        let mut run = command(&["convert", "--threads", &threads.to_string(), "--compression", "none"]);
        run.args(&inputs).args(["-o", &bucket.url(output)]);
        run.args(options(proxy.port).map(|(key, value)| format!("--store={key}={value}")));
        let mut child = run.spawn().unwrap();
        at_end.wait();
        let used = peak(&child);
        at_end.wait();
        assert!(child.wait().unwrap().success());
        assert!(used <= MOST_MB + (threads - 1) * THREAD_MB, "{output}: {used} MB");
        let rows = bucket.reader(&bucket.url(output)).count().unwrap();
        assert_eq!(rows, (SHARDS * RECORDS) as u64);
    }
}
