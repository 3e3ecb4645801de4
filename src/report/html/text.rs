//! Text and numbers on a page: everything of the data's is escaped.

use serde_json::Value;

use crate::report::numbers::grouped;
pub(super) use crate::report::numbers::{count, decimal};
use crate::text::{fit, printable};

/// Characters of a name that are shown.
const NAME: usize = 100;

/// `text` as the text of an element or of an attribute.
pub(super) fn escape(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A text of the data's of at most so many columns: its direction does not turn what is around it.
pub(super) fn data(text: &str, columns: usize) -> String {
    format!("<bdi>{}</bdi>", escape(&fit(text, columns)))
}

/// A name, cut if it is long.
pub(super) fn name(text: &str) -> String {
    let shown = if text.is_empty() { "(no name)" } else { text };
    data(shown, NAME)
}

/// A name in an attribute, cut if it is long.
pub(super) fn plain_name(text: &str) -> String {
    escape(&fit(text, NAME))
}

/// A JSON value as text.
pub(super) fn value(value: &Value, columns: usize) -> String {
    match value {
        Value::String(text) if text.is_empty() => "<i>empty</i>".to_owned(),
        Value::String(text) => data(text, columns),
        Value::Number(number) => {
            let text = number.to_string();
            match number.as_f64() {
                Some(f) if !number.is_i64() && !number.is_u64() => decimal(f),
                _ => grouped(&text),
            }
        }
        other => escape(&other.to_string()),
    }
}

/// Bytes in the unit that suits them.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// A unit in the singular.
pub(super) fn one(unit: &str) -> &str {
    unit.strip_suffix('s').unwrap_or(unit)
}

/// So many of a thing.
pub(super) fn many(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(
            escape("<b a='x' b=\"y\">&\u{1b}\u{202e}"),
            "&lt;b a=&#39;x&#39; b=&quot;y&quot;&gt;&amp;\\u{1b}\\u{202e}"
        );
        assert_eq!(name(""), "<bdi>(no name)</bdi>");
    }
}
