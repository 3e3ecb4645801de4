//! What went wrong with a request, in words without secrets.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};
use tfarrow_store::{Hint, StoreError};

/// Letters of a server's message that are shown.
const SHOWN: usize = 200;

/// Why a request failed for good.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// How long that took.
    pub(crate) elapsed: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// The server refused.
    Status {
        status: u16,
        /// What the server calls it, and says of it.
        code: Option<String>,
        message: Option<String>,
        /// Where a bucket is, if the server says that it is elsewhere.
        region: Option<String>,
    },
    /// There was no connection, or it broke.
    Connection(HttpErrorKind, String),
    /// There was no answer within this time.
    Silence(Duration),
    /// The object is not what it was.
    Changed { expected: String, found: String },
    /// What came is not what was asked for.
    Answer(String),
}

impl Failure {
    pub(crate) fn once(cause: Cause) -> Self {
        Self { cause, tries: 1, elapsed: Duration::ZERO }
    }

    /// What is asked for cannot be done.
    pub(crate) fn unable() -> Self {
        Self::once(Cause::Answer("it cannot be written to".to_owned()))
    }

    /// Whether there is no such object. Azure says so within the answer about several.
    pub(crate) fn is_absence(&self) -> bool {
        match &self.cause {
            Cause::Status { status, .. } => *status == 404,
            Cause::Answer(said) => said.contains("(code: 404)"),
            _ => false,
        }
    }

    /// Whether the store does not know the condition that something is not there.
    pub(crate) fn is_unknown_condition(&self) -> bool {
        match &self.cause {
            Cause::Status { status, .. } => *status == 501,
            Cause::Answer(said) => said.contains("not yet implemented"),
            _ => false,
        }
    }

    /// The status that the server answered.
    pub(crate) fn status(&self) -> Option<u16> {
        match &self.cause {
            Cause::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What `object_store` says, of which what the server said is found again.
    pub(crate) fn of(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(failure) = inner.downcast_ref::<Failure>() {
                return failure.clone();
            }
            if let Some(broken) = inner.downcast_ref::<HttpError>()
                && broken.source().is_none_or(|source| !source.is::<Failure>())
            {
                return Self::once(Cause::Connection(broken.kind(), innermost(broken)));
            }
            cause = inner.source();
        }
        // Display would name the URL, in which there may be a signature.
        Self::once(Cause::Answer(innermost(&error)))
    }

    /// The error, for `what` was done.
    pub(crate) fn into_error(self, what: &str, advice: Option<Hint>) -> io::Error {
        let kind = match &self.cause {
            // What there is no place for is not just absent.
            Cause::Status { code: Some(code), .. }
                if ["NoSuchBucket", "ContainerNotFound"].contains(&&**code) =>
            {
                io::ErrorKind::Other
            }
            Cause::Status { status: 404, .. } => io::ErrorKind::NotFound,
            Cause::Status { status: 401 | 403, .. } => io::ErrorKind::PermissionDenied,
            Cause::Status { status: 412 | 409, .. } => io::ErrorKind::AlreadyExists,
            Cause::Silence(_) => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        let kind = if matches!(self.cause, Cause::Changed { .. }) { io::ErrorKind::Other } else { kind };
        let hint = advice.or_else(|| self.hint());
        let said = if what.is_empty() { self.to_string() } else { format!("{what}: {self}") };
        let error = StoreError::new(said);
        hint.map_or(error.clone(), |hint| error.with_hint(hint)).of_kind(kind)
    }

    fn hint(&self) -> Option<Hint> {
        let text = |text: &str| Some(Hint::Text(text.to_owned()));
        match &self.cause {
            Cause::Status { region: Some(region), .. } => {
                Some(Hint::option("the bucket is in another region: pass ", "aws_region", region, ""))
            }
            Cause::Status { code: Some(code), .. } if is_expired(code) => {
                text("renew the credentials in the environment, and begin again")
            }
            Cause::Status { status, .. } if is_passing(*status) => {
                text("the server is overloaded or out of order: try again later, or with fewer threads")
            }
            Cause::Connection(HttpErrorKind::Unknown, said) if said.contains("scheme") => {
                Some(Hint::option("for an endpoint without TLS pass ", "allow_http", "true", ""))
            }
            Cause::Connection(..) | Cause::Silence(_) => {
                text("look at the network and the endpoint, and try again")
            }
            Cause::Changed { .. } => text("read it again when nobody writes to it"),
            _ => None,
        }
    }
}

fn is_expired(code: &str) -> bool {
    ["ExpiredToken", "RequestExpired", "TokenRefreshRequired", "ExpiredTokenException"].contains(&code)
}

/// Whether a server that answers so may answer otherwise soon.
pub(crate) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Whether a connection that broke so may hold the next time.
pub(crate) fn is_passing_kind(kind: HttpErrorKind) -> bool {
    !matches!(kind, HttpErrorKind::Unknown)
}

/// What the last of a chain of errors says.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    shortened(&last.to_string())
}

/// What a server's error document says: the text of its elements `Code` and `Message`, or of its members.
pub(crate) fn said(body: &[u8]) -> (Option<String>, Option<String>) {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, after) = text.split_once(&format!("<{name}>"))?;
        let (inside, _) = after.split_once("</")?;
        Some(shortened(inside)).filter(|inside| !inside.is_empty())
    };
    (element("Code"), element("Message"))
}

fn shortened(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = words.chars().take(SHOWN).collect();
    if cut.len() < words.len() { format!("{cut}…") } else { cut }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Status { status, code, message, .. } => {
                write!(f, "the server answered {status}")?;
                match (code, message) {
                    (Some(code), Some(message)) => write!(f, " {code} ({message})")?,
                    (Some(said), None) | (None, Some(said)) => write!(f, " ({said})")?,
                    (None, None) => {}
                }
            }
            Cause::Connection(HttpErrorKind::Connect, said) => write!(f, "no connection ({said})")?,
            Cause::Connection(_, said) => write!(f, "the connection broke ({said})")?,
            Cause::Silence(time) => write!(f, "no answer within {} s", time.as_secs())?,
            Cause::Changed { expected, found } => {
                write!(f, "the object changed while it was read: expected {expected}, found {found}")?;
            }
            Cause::Answer(said) => f.write_str(said)?,
        }
        match self.tries {
            0 | 1 => Ok(()),
            tries => write!(f, ", tried {tries} times in {:.1} s", self.elapsed.as_secs_f64()),
        }
    }
}

impl Error for Failure {}
