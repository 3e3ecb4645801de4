//! The threads that wait for the network: two for the process, begun when the first is needed.
//!
//! Threads do not outlive a fork. A process that finds itself to be another than the one that began
//! them begins its own, and what was built upon the old ones is built anew ([`PerProcess`]).

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Threads of the runtime.
const THREADS: usize = 2;

/// What a process made for itself, and a child of it makes anew.
#[derive(Debug)]
pub(crate) struct PerProcess<T>(Mutex<Option<(u32, Arc<T>)>>);

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Forgets it: it is made anew when it is needed.
    pub(crate) fn reset(&self) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((process, old)) = kept.take()
            && process != std::process::id()
        {
            std::mem::forget(old);
        }
    }

    /// What this process has, made with `make` if it has none.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn get<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((process, value)) = &*kept
            && *process == std::process::id()
        {
            return Ok(value.clone());
        }
        let value = Arc::new(make()?);
        if let Some((_, old)) = kept.replace((std::process::id(), value.clone())) {
            // Its threads are another process's: there is nobody to wait for.
            std::mem::forget(old);
        }
        Ok(value)
    }
}

static RUNTIME: PerProcess<Runtime> = PerProcess::new();

/// What runs tasks in this process.
///
/// # Errors
/// No thread can be begun.
pub(crate) fn handle() -> io::Result<Handle> {
    let begin = || {
        Builder::new_multi_thread().worker_threads(THREADS).thread_name("tfarrow-cloud").enable_all().build()
    };
    Ok(RUNTIME.get(begin)?.handle().clone())
}

/// Begins a task.
///
/// # Errors
/// No thread can be begun.
pub(crate) fn spawn<F>(task: F) -> io::Result<JoinHandle<F::Output>>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    Ok(handle()?.spawn(task))
}

/// Runs a task to its end. The caller may be in a runtime of its own.
///
/// # Errors
/// No thread can be begun, or the task did not end.
pub(crate) fn run<F>(task: F) -> io::Result<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let (done, wait) = mpsc::channel();
    let task = spawn(async move {
        // Whoever waits no longer needs no answer.
        drop(done.send(task.await));
    })?;
    wait.recv().map_err(|_| {
        drop(task);
        io::Error::other("the connection's thread ended")
    })
}
