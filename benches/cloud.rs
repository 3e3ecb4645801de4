//! Object stores against the local disk, with 30 ms to the first byte of every answer.
//!
//! ```text
//! TFARROW_BENCH_DATA=FOLDER cargo bench --features cloud --bench cloud   # FOLDER holds w2/, w4/ …
//! cargo bench --features cloud --bench cloud                             # files made here
//! ```
//!
//! A server in a process of its own answers as S3 does, from files on this disk: listings, and ranges of
//! objects after a pause, on a loopback link. It takes processor time of the same machine, so that the
//! share of the local rate is less than it is where the store is elsewhere. What the link gives is what
//! eight threads get that fetch the same bytes, a few megabytes a request, and do nothing with them. Each
//! line is the median of five runs; memory is the highest of all runs so far.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::type_complexity
)]

mod common;

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tfarrow::{Conversion, ReaderBuilder};

const FIRST_BYTE: Duration = Duration::from_millis(30);
/// What it is in the curve.
const LATENCIES: [u64; 5] = [0, 10, 30, 100, 300];
const RUNS: usize = 5;
const SHARDS: usize = 1000;
/// Says to this program that it is the server, and of which folder; and how many milliseconds it waits.
const SERVES: &str = "TFARROW_BENCH_SERVES";
const WAITS: &str = "TFARROW_BENCH_WAITS";

fn main() {
    if let Some(folder) = std::env::var_os(SERVES) {
        let waits = std::env::var(WAITS).unwrap().parse().unwrap();
        serve(PathBuf::from(folder), Duration::from_millis(waits));
    }
    let made = tempfile::tempdir().unwrap();
    let given = std::env::var_os("TFARROW_BENCH_DATA").map(PathBuf::from);
    let folder = given.clone().unwrap_or_else(|| made.path().to_owned());
    if given.is_none() {
        for (name, rows, features) in
            [("w2", 90_000, common::embedding as fn(u64) -> Vec<Vec<u8>>), ("w4", 300_000, common::tokens)]
        {
            std::fs::create_dir(folder.join(name)).unwrap();
            common::file(&folder.join(name), "one.tfrecord", rows, features);
        }
    }
    println!(
        "| | MB | local MB/s | link MB/s | store MB/s | of local | of what the link allows | requests | peak MB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for name in ["w2", "w4"] {
        measure(&folder, name, name);
    }
    let split = tempfile::tempdir().unwrap();
    std::fs::create_dir(split.path().join("w2")).unwrap();
    for file in 0..8 {
        common::file(&split.path().join("w2"), &format!("{file}.tfrecord"), 90_000 / 8, common::embedding);
    }
    measure(split.path(), "w2", "w2 in 8 files");
    let shards = tempfile::tempdir().unwrap();
    let here = shards.path().join("shards");
    std::fs::create_dir(&here).unwrap();
    for shard in 0..SHARDS {
        common::file(&here, &format!("s-{shard:05}.tfrecord"), 20, common::embedding);
    }
    measure(shards.path(), "shards", &format!("{SHARDS} shards"));
    let server = Server::start(&here, FIRST_BYTE);
    let before = tfarrow_cloud::requests();
    let count = median(|| {
        let shards = server.reader(vec!["s3://bench/".to_owned()]);
        assert_eq!(shards.count().unwrap(), 20 * SHARDS as u64);
    });
    let requests = (tfarrow_cloud::requests() - before) / (RUNS as u64 + 1);
    println!(
        "| {SHARDS} shards counted | | | | {:.2} s | | | {requests} | {} |",
        count.as_secs_f64(),
        peak_megabytes()
    );
    println!(
        "\n| ms to the first byte | w2, schema, ms | w2 to Parquet, MB/s | w4, schema, ms | w4 to Parquet, MB/s |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for latency in LATENCIES {
        let cells = ["w2", "w4"].map(|name| curve(&folder, name, Duration::from_millis(latency)));
        println!("| {latency} | {} | {} |", cells[0], cells[1]);
    }
}

/// How long it takes to a schema, and how fast the files in `folder/name` become Parquet.
fn curve(folder: &Path, name: &str, latency: Duration) -> String {
    let server = Server::start(folder, latency);
    let files = tfrecords(&folder.join(name));
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let reader = server.reader_of(folder, &files);
    let schema = median(|| drop(reader.build_source().unwrap()));
    let write = median(|| write(&reader));
    format!("{:.0} | {:.0}", schema.as_secs_f64() * 1e3, bytes as f64 / 1e6 / write.as_secs_f64())
}

fn write(builder: &ReaderBuilder) {
    let output = tempfile::tempdir().unwrap();
    Conversion::new(builder.clone()).write(output.path().join("out.parquet")).unwrap();
}

/// Reads the files in `folder/name` from there and from here, and prints what that took.
fn measure(folder: &Path, name: &str, called: &str) {
    let server = Server::start(folder, FIRST_BYTE);
    let files = tfrecords(&folder.join(name));
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    let there = server.reader_of(folder, &files);
    let here = ReaderBuilder::new(&files).with_threads(2);
    let link = median(|| server.fetch(folder, &files));
    let ways: [(&str, &dyn Fn(&ReaderBuilder)); 2] = [("to memory", &read), ("to Parquet", &write)];
    for (what, run) in ways {
        let before = tfarrow_cloud::requests();
        let far = median(|| run(&there));
        let requests = (tfarrow_cloud::requests() - before) / (RUNS as u64 + 1);
        let peak = peak_megabytes();
        let near = median(|| run(&here));
        let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
        let (near, far, link) = (rate(near), rate(far), rate(link));
        println!(
            "| {called} {what} | {:.0} | {near:.0} | {link:.0} | {far:.0} | {:.0} % | {:.0} % | {requests} | {peak} |",
            bytes as f64 / 1e6,
            100.0 * far / near,
            100.0 * far / near.min(link)
        );
    }
    let before = tfarrow_cloud::requests();
    let schema = median(|| drop(there.build_source().unwrap()));
    let requests = (tfarrow_cloud::requests() - before) / (RUNS as u64 + 1);
    println!("| {called}, schema | | | | {:.0} ms | | | {requests} | |", schema.as_secs_f64() * 1e3);
}

/// The next of what several threads take.
fn next<T>(of: &std::sync::Mutex<impl Iterator<Item = T>>) -> Option<T> {
    of.lock().unwrap().next()
}

fn tfrecords(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.is_file() && file.to_string_lossy().contains("tfrecord"));
    files.sort();
    files
}

fn read(builder: &ReaderBuilder) {
    let rows: usize = builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert!(rows > 0);
}

/// The median of some runs, after one that does not count.
fn median(mut run: impl FnMut()) -> Duration {
    run();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[RUNS / 2]
}

fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1000
}

struct Server {
    child: std::process::Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path, waits: Duration) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(SERVES, folder)
            .env(WAITS, waits.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = [0; 2];
        child.stdout.as_mut().unwrap().read_exact(&mut port).unwrap();
        Self { child, port: u16::from_le_bytes(port) }
    }

    /// Fetches all bytes of `files`, in `folder`, and does nothing with them.
    fn fetch(&self, folder: &Path, files: &[PathBuf]) {
        const PART: u64 = 4 << 20;
        let parts = files.iter().flat_map(|file| {
            let key = file.strip_prefix(folder).unwrap().to_str().unwrap();
            let bytes = file.metadata().unwrap().len();
            (0..bytes).step_by(PART as usize).map(move |at| (key, at..bytes.min(at + PART)))
        });
        let parts = std::sync::Mutex::new(parts);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
                    let mut buffer = vec![0; 256 << 10];
                    while let Some((key, range)) = next(&parts) {
                        let asked = format!(
                            "GET /bench/{key} HTTP/1.1\r\nRange: bytes={}-{}\r\n\r\n",
                            range.start,
                            range.end - 1
                        );
                        stream.write_all(asked.as_bytes()).unwrap();
                        let mut head = Vec::new();
                        let mut left = range.end - range.start;
                        while left > 0 {
                            let n = stream.read(&mut buffer).unwrap();
                            assert!(n > 0);
                            if !head.ends_with(b"\r\n\r\n") {
                                head.extend_from_slice(&buffer[..n]);
                                let body = head.windows(4).position(|at| at == b"\r\n\r\n").map(|at| at + 4);
                                if let Some(body) = body {
                                    left -= (head.len() - body) as u64;
                                    head.truncate(body);
                                }
                            } else {
                                left -= n as u64;
                            }
                        }
                    }
                });
            }
        });
    }

    /// Reads `files`, which lie in `folder`.
    fn reader_of(&self, folder: &Path, files: &[PathBuf]) -> ReaderBuilder {
        let names = files.iter().map(|file| {
            let key = file.strip_prefix(folder).unwrap().to_str().unwrap();
            format!("s3://bench/{key}")
        });
        self.reader(names.collect())
    }

    fn reader(&self, names: Vec<String>) -> ReaderBuilder {
        let builder = ReaderBuilder::new(names).with_threads(2);
        [
            ("aws_endpoint", format!("http://127.0.0.1:{}", self.port)),
            ("aws_allow_http", "true".to_owned()),
            ("skip_signature", "true".to_owned()),
        ]
        .iter()
        .fold(builder, |builder, (key, value)| builder.with_store_option(key, value).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn serve(folder: PathBuf, waits: Duration) -> ! {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    std::io::stdout().write_all(&listener.local_addr().unwrap().port().to_le_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
    for stream in listener.incoming() {
        let folder = folder.clone();
        std::thread::spawn(move || answer(stream.unwrap(), &folder, waits));
    }
    unreachable!()
}

/// Answers the requests of one connection.
fn answer(mut stream: TcpStream, folder: &Path, waits: Duration) {
    stream.set_nodelay(true).unwrap();
    let (mut held, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let end = loop {
            if let Some(end) = held.windows(4).position(|at| at == b"\r\n\r\n") {
                break end + 4;
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(n) => held.extend_from_slice(&buffer[..n]),
            }
        };
        let head = String::from_utf8_lossy(&held[..end]).into_owned();
        held.drain(..end);
        std::thread::sleep(waits);
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let sent = match target.split_once('?') {
            Some((_, query)) if query.contains("list-type=2") => list(&mut stream, folder),
            _ => send(&mut stream, folder.join(target.trim_start_matches("/bench/")), &head, &mut buffer),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn list(stream: &mut TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut objects = String::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        objects.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"1\"</ETag>\
             <Size>{}</Size></Contents>",
            entry.file_name().to_string_lossy(),
            entry.metadata()?.len()
        ));
    }
    let body = format!("<ListBucketResult><IsTruncated>false</IsTruncated>{objects}</ListBucketResult>");
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn send(stream: &mut TcpStream, path: PathBuf, head: &str, buffer: &mut [u8]) -> std::io::Result<()> {
    let Ok(mut file) = std::fs::File::open(path)
        .and_then(|f| if f.metadata()?.is_file() { Ok(f) } else { Err(std::io::ErrorKind::NotFound.into()) })
    else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let bytes = file.metadata()?.len();
    let range = head.to_ascii_lowercase();
    let range = range.split_once("range: bytes=").unwrap().1.split("\r\n").next().unwrap().to_owned();
    let (start, last) = range.split_once('-').unwrap();
    let (start, last): (u64, u64) = (start.parse().unwrap(), last.parse::<u64>().unwrap().min(bytes - 1));
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Range: bytes {start}-{last}/{bytes}\r\nContent-Length: {}\r\n\r\n",
        last + 1 - start
    )?;
    file.seek(SeekFrom::Start(start))?;
    let mut rest = file.take(last + 1 - start);
    loop {
        match rest.read(buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}
