//! A page to look at: one HTML file that loads nothing and runs nothing but its own few lines.

mod cards;
mod chart;
mod samples;
mod sections;
mod text;
mod thumb;

use super::compare::Comparison;
use super::profile::Profile;
use sections::Sections;
use text::escape;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Bytes of a page unless told otherwise.
const MAX_BYTES: usize = 2_000_000;

/// A page about a dataset, or about two side by side.
///
/// The page is one file that loads nothing, from anywhere: a content security policy forbids it, and
/// allows no script but the page's own. All text of the data's is escaped. It is at most 2 MB unless
/// told otherwise: of very many columns, or of large images, the first are shown, and the page says so.
///
/// ```
/// use tfarrow::ReaderBuilder;
/// use tfarrow::report::{Page, Profile};
///
/// let builder = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]);
/// let profile = Profile::of(&builder.build_source()?, builder.read_options(), 1)?;
/// let html = Page::new(&profile, "digits").to_html();
/// assert!(html.starts_with("<!doctype html>") && html.len() < 2_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Page<'a> {
    profile: &'a Profile,
    title: String,
    other: Option<(&'a Profile, String)>,
    max_bytes: usize,
}

/// What the sections of a page speak of.
#[derive(Clone, Copy)]
struct Subject<'a> {
    profile: &'a Profile,
    title: &'a str,
    other: Option<Other<'a>>,
}

/// The dataset that the first is compared with.
#[derive(Clone, Copy)]
struct Other<'a> {
    profile: &'a Profile,
    title: &'a str,
    comparison: &'a Comparison,
}

impl<'a> Page<'a> {
    /// A page about `profile`.
    #[must_use]
    pub fn new(profile: &'a Profile, title: impl Into<String>) -> Self {
        Self { profile, title: title.into(), other: None, max_bytes: MAX_BYTES }
    }

    /// Shows `other` beside it, and which columns differ.
    #[must_use]
    pub fn with_other(mut self, other: &'a Profile, title: impl Into<String>) -> Self {
        self.other = Some((other, title.into()));
        self
    }

    /// Bytes that the page has at most. Default: 2,000,000; fewer than 100,000 are taken for so many.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let comparison = self.other.as_ref().map(|(other, _)| Comparison::of(self.profile, other));
        let other = self.other.as_ref().zip(comparison.as_ref());
        let subject = Subject {
            profile: self.profile,
            title: &self.title,
            other: other.map(|((profile, title), comparison)| Other { profile, title, comparison }),
        };
        let policy = format!(
            "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; \
             form-action 'none'",
            crate::wire::sha256::digest(STYLE.as_bytes()),
            crate::wire::sha256::digest(SCRIPT.as_bytes())
        );
        let frame = STYLE.len() + SCRIPT.len() + 4000;
        let room = self.max_bytes.max(100_000).saturating_sub(frame);
        let body = Sections::new(subject, room).into_html();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"tfarrow {}\">\n\
             <title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n\
             <script>{SCRIPT}</script>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION"),
            escape(&crate::text::fit(&self.title, 200)),
        )
    }
}
