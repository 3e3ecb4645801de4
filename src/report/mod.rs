//! What there is to say about a dataset, as data: a [`Description`] of its structure, a
//! [`Verification`] of its files. Each gives itself as text for a terminal and as JSON.
//!
//! Text holds nothing of the data's that acts on a terminal: see [`printable`]. Tables are aligned
//! by the width that a terminal gives their text.

mod description;
mod rows;
mod table;
mod verification;

pub use crate::text::printable;
pub use description::Description;
pub use rows::rows_to_text;
pub use verification::{PartVerified, Verification};

use serde_json::Value;

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
