//! What is in a dataset, as a page and as numbers.

use std::sync::Arc;

use pyo3::prelude::*;
use tfarrow::options::Dialect;
use tfarrow::options::OnError;
use tfarrow::report::{Comparison, Page, Profile};
use tfarrow::source::{Progress, ReadOptions, Source};

use crate::error::OrRaise;
use crate::worker::wait_and_watch;

/// Rows to report on.
pub(crate) struct Part {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) options: ReadOptions,
    pub(crate) threads: usize,
}

impl Part {
    /// Reads the rows; those that cannot be read are told of, as the command does.
    fn profile(mut self) -> tfarrow::Result<Profile> {
        if self.options.on_error == OnError::Fail {
            self.options.on_error = OnError::Skip;
        }
        Profile::of(&self.source, &self.options, self.threads)
    }
}

/// The page and the JSON about `first`, beside `second` if there is one.
pub(crate) fn make(
    py: Python<'_>,
    title: String,
    first: Part,
    second: Option<(String, Part)>,
    progress: &Arc<Progress>,
    watch: Option<&Bound<'_, PyAny>>,
) -> PyResult<(String, String)> {
    let job = move || {
        let profile = first.profile()?;
        let mut json = profile.to_json(Dialect::Python);
        let page = Page::new(&profile, title);
        let html = match second {
            Some((title, other)) => {
                let other = other.profile()?;
                if let Some(object) = json.as_object_mut() {
                    object.insert("compare".to_owned(), Comparison::of(&profile, &other).to_json());
                }
                page.with_other(&other, title).to_html()
            }
            None => page.to_html(),
        };
        Ok((html, json.to_string()))
    };
    let tick = || match watch {
        Some(watch) => watch.call1((progress.bytes(), progress.total_bytes(), progress.rows())).map(drop),
        None => Ok(()),
    };
    wait_and_watch(py, job, tick, || progress.stop())?.or_raise(py)
}
