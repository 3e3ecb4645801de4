//! A proxy between tfarrow and a server: it counts requests, and does to answers what networks and
//! overloaded servers do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// What happens to a request or its answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    None,
    /// The answer comes this much later.
    Wait(Duration),
    /// The server answers so, with this code, and asks for a pause of so many seconds.
    Status(u16, &'static str, Option<u64>),
    /// The bucket is in this region.
    Elsewhere(&'static str),
    /// The connection breaks after so many bytes of the body.
    Cut(usize),
    /// The last bytes of the body wait until the gate opens.
    Hold(Arc<Gate>),
    /// The head promises so many bytes more than come.
    Longer(usize),
    /// The head, in small letters, is changed: the first text for the second.
    Head(&'static str, &'static str),
    /// The body is another one.
    Body(Vec<u8>),
    /// This is the answer; the server is not asked.
    Answer(Vec<u8>),
}

/// How long a gate is waited for that does not open: less than a reader waits for bytes.
const NEVER: Duration = Duration::from_secs(20);
/// Bytes that wait.
const HELD_BYTES: usize = 100;

/// What opens once.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    changed: Condvar,
    missed: AtomicBool,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let is_open = self.is_open.lock().unwrap();
        let waited = self.changed.wait_timeout_while(is_open, NEVER, |is_open| !*is_open).unwrap();
        self.missed.fetch_or(waited.1.timed_out(), Ordering::SeqCst);
    }

    /// Whether it was waited for in vain.
    pub(crate) fn was_missed(&self) -> bool {
        self.missed.load(Ordering::SeqCst)
    }
}

/// A request as its first line and its header says, and those that came before it.
pub(crate) struct Request<'a> {
    /// Method and target.
    pub(crate) line: &'a str,
    pub(crate) head: &'a str,
    before: &'a [String],
}

impl Request<'_> {
    /// If it is such a request, the how manieth it is.
    pub(crate) fn seen_of(&self, method: &str, part: &str) -> Option<usize> {
        let is_such = |line: &str| line.starts_with(method) && line.contains(part);
        is_such(self.line).then(|| 1 + self.before.iter().filter(|line| is_such(line)).count())
    }
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    lines: Arc<Mutex<Vec<String>>>,
    /// The most answers that were waited for one after the other.
    rounds: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

type Rule = dyn Fn(&Request<'_>) -> Fault + Send + Sync;

impl Proxy {
    /// A proxy of the server at `upstream`, on which `rule` decides.
    pub(crate) fn new(upstream: u16, rule: impl Fn(&Request<'_>) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (lines, ended): (Arc<Mutex<Vec<String>>>, Arc<AtomicBool>) = Default::default();
        let rule: Arc<Rule> = Arc::new(rule);
        let (seen, stop) = (lines.clone(), ended.clone());
        let rounds: Arc<AtomicUsize> = Arc::default();
        let done = rounds.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, done, rule) = (seen.clone(), done.clone(), rule.clone());
                std::thread::spawn(move || {
                    // A connection that breaks is what this is about.
                    drop(stream.and_then(|stream| serve(stream, upstream, &seen, &done, &*rule)));
                });
            }
        });
        Self { port, lines, rounds, ended }
    }

    /// How many requests there were, by their first line, with every range behind it.
    pub(crate) fn count(&self, is_such: impl Fn(&str) -> bool) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| is_such(line)).count()
    }

    /// How many answers were waited for one after the other, if each took a while.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.load(Ordering::SeqCst)
    }

    /// All requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// Reads a head and what came behind it; none if the connection ended.
fn read_head(stream: &mut TcpStream, held: &mut Vec<u8>) -> std::io::Result<Option<String>> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if let Some(end) = held.windows(4).position(|at| at == b"\r\n\r\n") {
            let rest = held.split_off(end + 4);
            let head = std::mem::replace(held, rest);
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            n => held.extend_from_slice(&buffer[..n]),
        }
    }
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A head with its fields in small letters.
fn small(head: &str) -> String {
    let (status, fields) = head.split_once("\r\n").unwrap();
    format!("{status}\r\n{}", fields.to_ascii_lowercase())
}

fn serve(
    mut client: TcpStream,
    upstream: u16,
    seen: &Mutex<Vec<String>>,
    done: &AtomicUsize,
    rule: &Rule,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut held = Vec::new();
    while let Some(head) = read_head(&mut client, &mut held)? {
        if header(&head, "expect").is_some() {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let wanted = header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
        while held.len() < wanted {
            let mut buffer = vec![0; 64 << 10];
            match client.read(&mut buffer)? {
                0 => return Ok(()),
                n => held.extend_from_slice(&buffer[..n]),
            }
        }
        let rest = held.split_off(wanted);
        let body = std::mem::replace(&mut held, rest);
        let line = head.lines().next().unwrap_or_default().rsplit_once(' ').unwrap_or_default().0.to_owned();
        let round = done.load(Ordering::SeqCst) + 1;
        let fault = {
            let mut seen = seen.lock().unwrap();
            let before = seen.clone();
            seen.push(format!("{line} {}", header(&head, "range").unwrap_or_default()));
            drop(seen);
            rule(&Request { line: &line, head: &head, before: &before })
        };
        if let Fault::Status(status, code, pause) = fault {
            let body = format!("<Error><Code>{code}</Code><Message>{code} of the test</Message></Error>");
            let pause = pause.map(|pause| format!("Retry-After: {pause}\r\n")).unwrap_or_default();
            let answer =
                format!("HTTP/1.1 {status} X\r\n{pause}Content-Length: {}\r\n\r\n{body}", body.len());
            client.write_all(answer.as_bytes())?;
            continue;
        }
        if let Fault::Elsewhere(region) = fault {
            let head =
                format!("HTTP/1.1 301 X\r\nx-amz-bucket-region: {region}\r\nContent-Length: 0\r\n\r\n");
            client.write_all(head.as_bytes())?;
            continue;
        }
        if let Fault::Answer(body) = &fault {
            client
                .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())?;
            client.write_all(body)?;
            continue;
        }
        let mut server = TcpStream::connect(("127.0.0.1", upstream))?;
        let lines =
            head.trim_end().lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let sent: String = lines.map(|line| format!("{line}\r\n")).collect();
        server.write_all(format!("{sent}Connection: close\r\n\r\n").as_bytes())?;
        server.write_all(&body)?;
        let mut answer = Vec::new();
        let mut from_server = read_head(&mut server, &mut answer)?.unwrap_or_default();
        server.read_to_end(&mut answer)?;
        match &fault {
            Fault::Wait(time) => std::thread::sleep(*time),
            Fault::Head(before, after) => {
                from_server = small(&from_server);
                assert!(from_server.contains(before), "no {before} in {from_server}");
                from_server = from_server.replace(before, after);
            }
            Fault::Body(other) => {
                let (before, now) = (answer.len(), other.len());
                let head = small(&from_server);
                from_server =
                    head.replace(&format!("content-length: {before}"), &format!("content-length: {now}"));
                answer = other.clone();
            }
            Fault::Longer(more) => {
                let bytes = answer.len();
                let head = small(&from_server);
                from_server = head.replace(
                    &format!("content-length: {bytes}"),
                    &format!("content-length: {}", bytes + more),
                );
            }
            _ => {}
        }
        let lines = from_server
            .trim_end()
            .lines()
            .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let sent: String = lines.map(|line| format!("{line}\r\n")).collect();
        client.write_all(format!("{sent}\r\n").as_bytes())?;
        let most = if let Fault::Cut(bytes) = fault { bytes.min(answer.len()) } else { answer.len() };
        done.fetch_max(round, Ordering::SeqCst);
        if !line.starts_with("HEAD") {
            let mut answer = &answer[..most];
            if let Fault::Hold(gate) = &fault {
                let (first, held) = answer.split_at(answer.len().saturating_sub(HELD_BYTES));
                client.write_all(first)?;
                gate.wait();
                answer = held;
            }
            client.write_all(answer)?;
        }
        if matches!(fault, Fault::Cut(_) | Fault::Longer(_)) {
            return client.shutdown(Shutdown::Both);
        }
    }
    Ok(())
}
