//! Text of the data's, shown to people: nothing in it commands the terminal, and its width is what
//! a terminal gives it.

use std::borrow::Cow;
use std::fmt::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether a character is not seen but acts: control characters (C0, C1, DEL), line and paragraph
/// separators, those that turn the direction of text, and those that are nothing at all. The joiners
/// that scripts and emoji need are not among them.
pub(crate) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every character escaped that acts on a terminal instead of being seen: `\n`,
/// `\u{1b}`, `\u{202e}`. Other text is as it was, and is not copied.
///
/// ```
/// assert_eq!(tfarrow::report::printable("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
/// assert_eq!(tfarrow::report::printable("naïve 東京 👩‍🚀"), "naïve 東京 👩‍🚀");
/// ```
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) { Cow::Owned(Printable(text).to_string()) } else { Cow::Borrowed(text) }
}

/// Displays a text as [`printable`] gives it.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| acts(*c)) {
            let (seen, after) = rest.split_at(at);
            f.write_str(seen)?;
            write!(f, "{}", c.escape_default())?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

/// JSON whose strings hold no character that acts on a terminal; line breaks between its parts stay.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    let hidden = |c: char| c != '\n' && acts(c);
    if !json.chars().any(hidden) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The columns of a terminal that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` with spaces after it, so that it takes `columns` columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// As much of `text` as takes at most `columns` columns, with `…` where something was cut off. What
/// is joined to the character before it stays with it.
pub(crate) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    const JOINER: char = '\u{200d}';
    let (mut taken, mut joined) = (0, false);
    for (at, c) in text.char_indices() {
        let own = c.width().unwrap_or(0);
        if taken + own > columns && own > 0 && !joined {
            return Cow::Owned(format!("{}…", text.get(..at).unwrap_or_default()));
        }
        if !joined {
            taken += own;
        }
        joined = c == JOINER;
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\u{1b}]0;owned\u{7}", "\\u{1b}]0;owned\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("\u{202e}gpj.exe\u{2066}", "\\u{202e}gpj.exe\\u{2066}"),
            ("a\u{2028}b\u{2029}c\u{85}", "a\\u{2028}b\\u{2029}c\\u{85}"),
            ("\u{e0041}\u{feff}\u{7f}", "\\u{e0041}\\u{feff}\\u{7f}"),
            // Joiners of Persian and of emoji are text.
            ("می\u{200c}خواهم 👩\u{200d}🚀 é", "می\u{200c}خواهم 👩\u{200d}🚀 é"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"a\u{9b}": ["\u{202e}x", "\u{1b}", "\u{e0041}", "東"]});
        let text = format!("{value:#}");
        let shown = printable_json(&text);
        assert!(!shown.chars().any(|c| c != '\n' && acts(c)), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn width_is_that_of_a_terminal() {
        for (text, columns) in [("abc", 3), ("東京", 4), ("e\u{301}", 1), ("👩\u{200d}🚀", 2), ("ﬀ", 1)]
        {
            assert_eq!(width(text), columns, "{text}");
            assert_eq!(width(&pad(text, 9)), 9, "{text}");
        }
        assert_eq!(fit("abcdef", 3), "abc…");
        assert_eq!(fit("abc", 3), "abc");
        assert_eq!(fit("東京都", 5), "東京…");
        assert_eq!(fit("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}e\u{301}…");
        assert_eq!(fit("👩\u{200d}🚀!!", 2), "👩\u{200d}🚀…");
    }
}
