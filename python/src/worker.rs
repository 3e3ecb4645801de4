//! Work that Ctrl-C can interrupt: it is done by a thread of its own, without the GIL, while the
//! caller's thread looks for signals.

use std::panic::AssertUnwindSafe;
use std::process;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::gone;

/// How often signals are looked for.
const TICK: Duration = Duration::from_millis(50);

/// How long a job that was told to end is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does `job` on a thread of its own; Python's other threads go on meanwhile.
///
/// # Errors
/// A signal's handler raised, as Ctrl-C's does. What the job does then goes on to its end, unheard,
/// unless it was told to stop.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    job: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || drop(sender.send(std::panic::catch_unwind(AssertUnwindSafe(job)))));
    match receive(py, receiver).1? {
        Ok(value) => Ok(value),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// As [`wait`], but `tick` is called now and then; when it or a signal's handler raises, `stop` tells
/// the job to end, which is waited for: what it had begun is cleared away then.
///
/// # Errors
/// As [`wait`], or `tick` raised.
pub(crate) fn wait_and_watch<T: Send + 'static>(
    py: Python<'_>,
    job: impl FnOnce() -> T + Send + 'static,
    mut tick: impl FnMut() -> PyResult<()>,
    stop: impl FnOnce(),
) -> PyResult<T> {
    let (sender, mut receiver) = channel();
    std::thread::spawn(move || drop(sender.send(std::panic::catch_unwind(AssertUnwindSafe(job)))));
    loop {
        let received;
        (receiver, received) = py.detach(move || {
            let received = receiver.recv_timeout(TICK);
            (receiver, received)
        });
        match received {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(raised) = py.check_signals().and_then(|()| tick()) {
                    stop();
                    py.detach(move || drop(receiver.recv_timeout(PATIENCE)));
                    return Err(raised);
                }
            }
        }
    }
}

/// Waits for what `receiver` brings.
///
/// # Errors
/// A signal's handler raised, or nothing will ever be sent.
fn receive<T: Send>(py: Python<'_>, mut receiver: Receiver<T>) -> (Receiver<T>, PyResult<T>) {
    loop {
        let received;
        (receiver, received) = py.detach(move || {
            let received = receiver.recv_timeout(TICK);
            (receiver, received)
        });
        match received {
            Ok(value) => return (receiver, Ok(value)),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(raised) = py.check_signals() {
                    return (receiver, Err(raised));
                }
            }
            Err(RecvTimeoutError::Disconnected) => return (receiver, Err(gone())),
        }
    }
}

/// An iterator that a thread of its own advances, when it is asked to.
///
/// In a process that was forked off that thread is not there, which is an error; dropping it there
/// does nothing. Dropping it elsewhere ends the thread, when it has done what it is at.
pub(crate) struct Worker<T> {
    process: u32,
    state: Mutex<State<T>>,
}

/// What passes between an iterator's thread and those who ask.
struct State<T> {
    requests: Sender<()>,
    /// `None` while somebody waits.
    results: Option<Receiver<Option<T>>>,
    /// A request was sent whose result nobody took.
    asked: bool,
}

impl<T: Send + 'static> Worker<T> {
    pub(crate) fn new(items: impl Iterator<Item = T> + Send + 'static) -> Self {
        let (requests, orders) = channel::<()>();
        let (sender, results) = channel();
        std::thread::spawn(move || {
            let mut items = items;
            while orders.recv().is_ok() {
                let item = items.next();
                if sender.send(item).is_err() {
                    break;
                }
            }
        });
        let state = State { requests, results: Some(results), asked: false };
        Self { process: process::id(), state: Mutex::new(state) }
    }

    /// The next item.
    ///
    /// # Errors
    /// A signal's handler raised; another thread is waiting for an item; this is another process.
    pub(crate) fn next(&self, py: Python<'_>) -> PyResult<Option<T>> {
        if self.process != process::id() {
            return Err(gone());
        }
        let receiver = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(receiver) = state.results.take() else {
                return Err(PyValueError::new_err("another thread is reading from this reader"));
            };
            if !std::mem::replace(&mut state.asked, true) {
                // If the thread is gone, waiting says so.
                let _ = state.requests.send(());
            }
            receiver
        };
        let (receiver, received) = receive(py, receiver);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.results = Some(receiver);
        let item = received?;
        state.asked = false;
        Ok(item)
    }
}
