//! Tasks of a plan, from a store and to one, whose workers are killed.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use crate::common::{Dir, assert_names, command, example, tfarrow, tfrecord};
use crate::proxy::{Fault, Proxy};
use crate::server::{Bucket, options, s3};

fn run(bucket: &Bucket, args: &[&str]) -> crate::common::Run {
    let store = bucket.args();
    tfarrow(&[args, &store.iter().map(String::as_str).collect::<Vec<_>>()].concat())
}

#[test]
#[cfg(unix)]
fn a_worker_that_is_killed_leaves_nothing_that_counts() {
    let Some(server) = s3() else { return };
    let (bucket, dir) = (server.bucket(), Dir::new());
    for shard in 0..2u8 {
        let record = |i: usize| example(&[("x", &vec![shard * 100 + i as u8; 1 << 20])]);
        bucket.put(&format!("in/{shard}.tfrecord"), &tfrecord(&(0..30).map(record).collect::<Vec<_>>()));
    }
    let (input, plan, out) = (bucket.url("in/*.tfrecord"), dir.arg("plan.json"), bucket.url("out/"));
    run(&bucket, &["plan", &input, "-o", &plan]).success();
    let task = |number: &'static str| {
        let args = [plan.as_str(), number, "-o", out.as_str(), "--format", "arrow", "--progress", "never"];
        [&["task"][..], &args].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // It is killed while it sends the second part of its upload.
    let stands = Arc::new(Barrier::new(2));
    let wait = stands.clone();
    let proxy = Proxy::new(server.port, move |request| match request.seen_of("PUT", "partNumber=2") {
        Some(1) => {
            wait.wait();
            Fault::Wait(Duration::from_secs(60))
        }
        _ => Fault::None,
    });
    let store = options(proxy.port).map(|(key, value)| format!("--store={key}={value}"));
    let mut killed = command(&[&task("1")[..], &store].concat()).spawn().unwrap();
    stands.wait();
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().code(), None);
    // What it began is an upload that nobody sees, and that a rule of the bucket clears.
    let part = "out/part-00001-of-00002.arrow";
    assert_eq!(bucket.uploads(), [part]);
    assert_eq!(bucket.keys("out/part"), [""; 0]);
    // Others do theirs, and what is missing is not committed.
    let again = |number| run(&bucket, &task(number).iter().map(String::as_str).collect::<Vec<_>>()).success();
    again("0");
    let commit = || run(&bucket, &["commit", &plan, &out]);
    assert_names(&commit().failure(), &["parts are missing: those of 1 of 2 tasks, 1"]);
    assert!(bucket.get("out/_manifest.json").is_none());
    // Done again, and once more, it counts once.
    again("1");
    again("1");
    commit().success();
    assert_eq!(bucket.reader(&out).count().unwrap(), 60);
    assert_eq!(
        bucket.keys("out/"),
        ["out/_manifest.json", "out/part-00000-of-00002.arrow", "out/part-00001-of-00002.arrow"]
    );
    run(&bucket, &["convert", &input, "-o", &dir.arg("here/"), "--format", "arrow"]).success();
    for name in ["part-00000-of-00002.arrow", "part-00001-of-00002.arrow"] {
        let here = std::fs::read(dir.path("here").join(name)).unwrap();
        assert!(bucket.get(&format!("out/{name}")).unwrap() == here, "{name}");
    }
    assert_eq!(bucket.uploads(), [part]);
}
