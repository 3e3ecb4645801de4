//! Requests that are tried again: beneath `object_store`, whose own retries see no `Retry-After` and
//! count for nobody.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};

use crate::failure::{Cause, Failure, innermost, is_passing, is_passing_kind, said};

/// How often a request is tried, unless it is said otherwise.
pub(crate) const TRIES: u32 = 8;
/// How often a server is tried that cannot be reached.
const CONNECTS: u32 = 4;
/// The first pause between two tries; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The longest pause that a server is granted that asks for one.
const LONGEST_ASKED: Duration = Duration::from_secs(30);
/// How long an answer may take to begin, and a small one to end.
const ANSWER: Duration = Duration::from_secs(30);
/// How long it may take where something is sent first.
const SENDING: Duration = Duration::from_secs(300);
/// Bytes of an answer that is an error.
const ERROR_BYTES: usize = 64 << 10;

/// Requests that were made in this process, each try counted: for tests and benchmarks.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// How many requests this process made of all stores so far, each try of one counted.
#[must_use]
pub fn requests() -> u64 {
    REQUESTS.load(Ordering::Relaxed)
}

/// The pause before try `tries + 1`.
pub(crate) fn pause(tries: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    // Those who failed together do not come back together.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    pause.mul_f64(0.5 + f64::from(now.subsec_nanos() % 1000) / 2000.0)
}

/// Connects to servers; clients that are alike share their connections.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) tries: u32,
}

/// The clients of this process, by their options.
static CLIENTS: Mutex<Option<(u32, HashMap<String, HttpClient>)>> = Mutex::new(None);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let process = std::process::id();
        let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.as_ref().is_none_or(|(of, _)| *of != process)
            && let Some(old) = clients.replace((process, HashMap::new()))
        {
            // Their connections are another process's.
            std::mem::forget(old);
        }
        let (_, clients) = clients.get_or_insert_with(|| (process, HashMap::new()));
        let key = format!("{options:?}");
        let inner = match clients.get(&key) {
            Some(client) => client.clone(),
            None => {
                let client = ReqwestConnector::default().connect(options)?;
                clients.insert(key, client.clone());
                client
            }
        };
        Ok(HttpClient::new(Service { inner, tries: self.tries, wait_until: Arc::default() }))
    }
}

/// Makes requests of one store.
#[derive(Debug)]
struct Service {
    inner: HttpClient,
    tries: u32,
    /// Until when the server asked not to be asked.
    wait_until: Arc<Mutex<Option<Instant>>>,
}

/// What came of one try.
enum Outcome {
    Done(HttpResponse),
    Failed(Cause, Option<Duration>),
}

impl Service {
    async fn attempt(&self, request: HttpRequest) -> Outcome {
        REQUESTS.fetch_add(1, Ordering::Relaxed);
        let limit = if request.body().content_length() > 0 { SENDING } else { ANSWER };
        // What has no range is small: it is read here, and so tried again as a whole.
        let is_small = !request.headers().contains_key("range");
        let response = match tokio::time::timeout(limit, self.inner.execute(request)).await {
            Err(_) => return Outcome::Failed(Cause::Silence(limit), None),
            Ok(Err(error)) => return broken(&error),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if status.is_success() || status.as_u16() == 304 {
            return match is_small {
                true => whole(response).await,
                false => Outcome::Done(response),
            };
        }
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let asked = header("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let region = header("x-amz-bucket-region").filter(|_| matches!(status.as_u16(), 301 | 307 | 400));
        let status = status.as_u16();
        let body = tokio::time::timeout(ANSWER, response.into_body().bytes()).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let (code, message) = said(body.get(..body.len().min(ERROR_BYTES)).unwrap_or_default());
        Outcome::Failed(Cause::Status { status, code, message, region }, asked)
    }

    /// Waits as long as the server asked to be left alone.
    async fn wait(&self) {
        let until = *self.wait_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = until.and_then(|until| until.checked_duration_since(Instant::now())) {
            tokio::time::sleep(left).await;
        }
    }
}

fn broken(error: &HttpError) -> Outcome {
    Outcome::Failed(Cause::Connection(error.kind(), innermost(error)), None)
}

/// Whether an answer is an error document, whatever its status.
fn is_error(body: &[u8]) -> bool {
    let text = body.trim_ascii_start();
    let root = match text.strip_prefix(b"<?xml") {
        Some(rest) => rest.iter().position(|byte| *byte == b'>').and_then(|end| rest.get(end + 1..)),
        None => Some(text),
    };
    root.is_some_and(|root| root.trim_ascii_start().starts_with(b"<Error>"))
}

/// Reads the body of an answer that is small.
async fn whole(response: HttpResponse) -> Outcome {
    let (parts, body) = response.into_parts();
    match tokio::time::timeout(ANSWER, body.bytes()).await {
        Err(_) => Outcome::Failed(Cause::Silence(ANSWER), None),
        Ok(Err(error)) => {
            let kind = if is_passing_kind(error.kind()) { error.kind() } else { HttpErrorKind::Interrupted };
            Outcome::Failed(Cause::Connection(kind, innermost(&error)), None)
        }
        // A store may find out after it answered that it cannot do what it was asked for.
        Ok(Ok(body)) if is_error(&body) => {
            let (code, message) = said(&body);
            let passes = ["InternalError", "SlowDown", "ServiceUnavailable"];
            let status = if code.as_deref().is_some_and(|code| passes.contains(&code)) { 503 } else { 400 };
            Outcome::Failed(Cause::Status { status, code, message, region: None }, None)
        }
        Ok(Ok(body)) => Outcome::Done(HttpResponse::from_parts(parts, body.into())),
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            self.wait().await;
            tries += 1;
            let (cause, asked) = match self.attempt(request.clone()).await {
                Outcome::Done(response) => return Ok(response),
                Outcome::Failed(cause, asked) => (cause, asked),
            };
            let most = match &cause {
                Cause::Status { status, .. } if is_passing(*status) => self.tries,
                Cause::Connection(HttpErrorKind::Connect, _) => self.tries.min(CONNECTS),
                Cause::Connection(kind, _) if is_passing_kind(*kind) => self.tries,
                Cause::Silence(_) => self.tries.min(CONNECTS),
                _ => 1,
            };
            if tries >= most {
                let failure = Failure { cause, tries, elapsed: begun.elapsed() };
                return Err(HttpError::new(HttpErrorKind::Unknown, failure));
            }
            match asked {
                Some(asked) => {
                    let until = Instant::now() + asked.min(LONGEST_ASKED);
                    let mut wait_until = self.wait_until.lock().unwrap_or_else(PoisonError::into_inner);
                    *wait_until = wait_until.max(Some(until));
                }
                None => tokio::time::sleep(pause(tries)).await,
            }
        }
    }
}
