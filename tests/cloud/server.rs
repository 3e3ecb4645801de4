//! The servers that the tests start, and a few requests to them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tfarrow::ReaderBuilder;

use crate::common::repo;

/// A server in Python: moto, which is an S3, or one of files. It ends when this process does, which holds
/// its standard input.
pub(crate) struct Server {
    pub(crate) port: u16,
    _child: Child,
    _open: ChildStdin,
}

/// The S3 of this process; none, with a word of why, where it was not set up.
pub(crate) fn s3() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| run("object_store.py", &[])).as_ref()
}

/// What stands in for Google's store in this process.
pub(crate) fn google() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| run("object_store.py", &["google"])).as_ref()
}

/// A web server of the files in `folder`.
pub(crate) fn web(folder: &Path, how: &[&str]) -> Option<Server> {
    run("web_server.py", &[&[folder.to_str().unwrap()], how].concat())
}

/// Runs a script that is a server.
fn run(script: &str, args: &[&str]) -> Option<Server> {
    let Some(python) = std::env::var_os("TFARROW_TEST_MOTO").filter(|path| !path.is_empty()) else {
        assert!(std::env::var_os("CI").is_none(), "TFARROW_TEST_MOTO is not set; run ./test.sh");
        eprintln!("skipped: TFARROW_TEST_MOTO is not set (./test.sh sets it)");
        return None;
    };
    let mut child = Command::new(python)
        .arg(repo("tests/python").join(script))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let open = child.stdin.take().unwrap();
    Some(Server { port: line.trim().parse().expect("a port"), _child: child, _open: open })
}

impl Server {
    /// A new bucket.
    pub(crate) fn bucket(&self) -> Bucket {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bucket{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let bucket = Bucket { port: self.port, name };
        assert_eq!(bucket.request("PUT", "", b"").0, 200);
        bucket
    }
}

/// A bucket of the S3.
pub(crate) struct Bucket {
    pub(crate) port: u16,
    pub(crate) name: String,
}

impl Bucket {
    fn request(&self, method: &str, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
        request(self.port, method, &format!("/{}{target}", self.name), body)
    }

    /// Puts an object there.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let (status, said) = self.request("PUT", &format!("/{key}"), bytes);
        assert_eq!(status, 200, "{key}: {}", String::from_utf8_lossy(&said));
    }

    /// Puts a file there, or a folder and all below.
    pub(crate) fn put_path(&self, key: &str, path: &Path) {
        if !path.is_dir() {
            return self.put(key, &std::fs::read(path).unwrap());
        }
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            self.put_path(&format!("{key}/{}", entry.file_name().to_str().unwrap()), &entry.path());
        }
    }

    /// What an object holds, if it is there.
    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        match self.request("GET", &format!("/{key}"), b"") {
            (200, bytes) => Some(bytes),
            (404, _) => None,
            (status, _) => panic!("{key}: {status}"),
        }
    }

    /// Takes an object away.
    pub(crate) fn delete(&self, key: &str) {
        assert_eq!(self.request("DELETE", &format!("/{key}"), b"").0, 204, "{key}");
    }

    /// The keys that begin so, sorted.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let (status, bytes) = self.request("GET", &format!("?list-type=2&prefix={prefix}"), b"");
        assert_eq!(status, 200);
        between(&String::from_utf8(bytes).unwrap(), "Key")
    }

    /// The keys of uploads that were begun and neither ended nor given up.
    pub(crate) fn uploads(&self) -> Vec<String> {
        let (status, bytes) = self.request("GET", "?uploads", b"");
        assert_eq!(status, 200);
        between(&String::from_utf8(bytes).unwrap(), "Key")
    }

    /// The name of an object.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// What leads to this S3, as options.
    pub(crate) fn options(&self) -> [(&'static str, String); 4] {
        options(self.port)
    }

    /// What leads to this S3, as arguments of the command.
    pub(crate) fn args(&self) -> Vec<String> {
        let pairs = self.options();
        pairs.into_iter().flat_map(|(key, value)| ["--store".to_owned(), format!("{key}={value}")]).collect()
    }

    /// A reader of `name`.
    pub(crate) fn reader(&self, name: &str) -> ReaderBuilder {
        reader(name, &self.options())
    }
}

/// What leads to an S3 at `port`. That there is a signature counts, and nobody looks at it.
pub(crate) fn options(port: u16) -> [(&'static str, String); 4] {
    [
        ("aws_endpoint", format!("http://127.0.0.1:{port}")),
        ("aws_allow_http", "true".to_owned()),
        ("aws_access_key_id", "key".to_owned()),
        ("aws_secret_access_key", "hush".to_owned()),
    ]
}

pub(crate) fn reader(name: &str, options: &[(&str, String)]) -> ReaderBuilder {
    let builder = ReaderBuilder::new(name);
    options.iter().fold(builder, |builder, (key, value)| builder.with_store_option(key, value).unwrap())
}

/// The text of every element called `name`.
fn between(text: &str, name: &str) -> Vec<String> {
    let begin = format!("<{name}>");
    let parts = text.split(&*begin).skip(1);
    parts.filter_map(|part| part.split_once('<')).map(|(inside, _)| inside.to_owned()).collect()
}

/// One request over a connection of its own: the status and the body.
pub(crate) fn request(port: u16, method: &str, target: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {}\r\n\
         x-amz-acl: public-read\r\nAuthorization: AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").expect("a head");
    let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
    (status, answer.split_off(end + 4))
}
