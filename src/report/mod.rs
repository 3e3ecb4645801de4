//! What there is to say about a dataset, as data: a [`Description`] of its structure, a
//! [`Verification`] of its files. Each gives itself as text for a terminal and as JSON.
//!
//! Text holds nothing of the data's that acts on a terminal: see [`printable`]. Tables are aligned
//! by the width that a terminal gives their text.

mod compare;
mod description;
mod html;
mod numbers;
mod profile;
mod rows;
mod table;
mod verification;

pub use crate::text::printable;
pub use compare::{ColumnComparison, Comparison};
pub use description::Description;
pub use html::Page;
pub use profile::{
    Alert, ColumnProfile, Distinct, Histogram, ImageGrid, Lengths, Media, Numbers, Profile, SampleImage,
    SampleRow, Scale, TopValue,
};
pub use rows::rows_to_text;
pub use verification::{PartVerified, Verification};

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::sink::SinkOptions;
use crate::sink::atomic::AtomicFile;

/// Writes `text` to a file that appears under its name when it is whole. Of `options`, those count that
/// say where it lies and whether it may be replaced.
///
/// # Errors
/// The file exists and is not to be replaced, or it cannot be written.
pub fn write_file(path: &Path, text: &str, options: &SinkOptions) -> Result<()> {
    let place = options.place(path)?;
    let mut file = AtomicFile::create(&place, options.overwrite)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.flush());
    let named = |e| Error::io("cannot write output", e).in_source(place.name());
    written.map_err(named)?;
    file.persist().map(drop)
}

/// `value` in lines, as the program prints it: what acts on a terminal is escaped within strings.
///
/// ```
/// use tfarrow::report::json_to_text;
/// assert_eq!(json_to_text(&serde_json::json!("\u{202e}")), "\"\\u202e\"\n");
/// ```
#[must_use]
pub fn json_to_text(value: &Value) -> String {
    format!("{}\n", crate::text::printable_json(&format!("{value:#}")))
}
