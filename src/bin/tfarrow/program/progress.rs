//! The progress bar: bytes, rows, rate and time left, on standard error.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tfarrow::source::Progress;

use crate::program::args;

const INTERVAL: Duration = Duration::from_millis(100);

/// A bar that a thread of its own keeps up to date.
pub(crate) struct Bar {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// Shows a bar, if it is to be shown.
    pub(crate) fn start(when: args::Progress, progress: Arc<Progress>) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let show = match when {
            args::Progress::Always => true,
            args::Progress::Never => false,
            args::Progress::Auto => std::io::stderr().is_terminal(),
        };
        if !show {
            return Self { stop, thread: None };
        }
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || run(&stop, &progress)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

fn run(stop: &AtomicBool, progress: &Progress) {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = |template| ProgressStyle::with_template(template).ok();
    if let Some(style) = style("{spinner} {decimal_bytes} {msg} {decimal_bytes_per_sec} {elapsed}") {
        bar.set_style(style);
    }
    while !stop.load(Ordering::Relaxed) {
        // It is known once the input is open.
        if let (None, Some(bytes)) = (bar.length(), progress.total_bytes()) {
            bar.set_length(bytes);
            let template =
                "{wide_bar} {decimal_bytes}/{decimal_total_bytes} {msg} {decimal_bytes_per_sec} {eta}";
            if let Some(style) = style(template) {
                bar.set_style(style);
            }
        }
        bar.set_position(progress.bytes());
        bar.set_message(format!("{} rows", progress.rows()));
        std::thread::park_timeout(INTERVAL);
    }
    bar.finish_and_clear();
}
