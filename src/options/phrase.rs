//! Texts that name options, and how the command, Rust and Python each say them.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::{Form, find, quote_name};
use crate::text::acts;

/// Who is spoken to: an option has another spelling for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// The command line: `--batch-rows 100`.
    Command,
    /// Rust: `.set("batch_rows", "100")`, or the setter's name, `with_batch_rows`.
    #[default]
    Rust,
    /// Python: `batch_rows=100`.
    Python,
}

/// A text that can name options and values for them, to be said in any [`Dialect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Cow<'static, str>),
    Option(&'static str, Setting),
}

/// What an option is to be set to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Setting {
    /// Only the option is named.
    None,
    /// Not known yet: [`Phrase::name`] and [`Phrase::pair`] say it.
    Open,
    Word(String),
    Pair(String, String),
}

impl Phrase {
    /// Reads a template: `{exclude}` names an option, `{format=saved}` with a value, `{feature=_}`
    /// with a value that is still to be given.
    pub(crate) fn new(template: &'static str) -> Self {
        Self(Vec::new()).then(template)
    }

    /// Goes on with another template.
    pub(crate) fn then(mut self, template: &'static str) -> Self {
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            let Some((option, after)) = after.split_once('}') else { break };
            if !text.is_empty() {
                self.0.push(Part::Text(Cow::Borrowed(text)));
            }
            self.0.push(match option.split_once('=') {
                None => Part::Option(option, Setting::None),
                Some((key, "_")) => Part::Option(key, Setting::Open),
                Some((key, value)) => Part::Option(key, Setting::Word(value.to_owned())),
            });
            rest = after;
        }
        if !rest.is_empty() {
            self.0.push(Part::Text(Cow::Borrowed(rest)));
        }
        self
    }

    /// Goes on with a text in which nothing has a meaning.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(Cow::Owned(text.into())));
        self
    }

    /// Goes on with the option `key`.
    pub(crate) fn option(mut self, key: &'static str) -> Self {
        self.0.push(Part::Option(key, Setting::None));
        self
    }

    /// Names the value of the first option that still needs one.
    pub(crate) fn name(self, name: impl Into<String>) -> Self {
        self.fill(Setting::Word(name.into()))
    }

    /// Names the pair that is the value of the first option that still needs one.
    pub(crate) fn pair(self, left: impl Into<String>, right: impl Into<String>) -> Self {
        self.fill(Setting::Pair(left.into(), right.into()))
    }

    fn fill(mut self, value: Setting) -> Self {
        let open = self.0.iter_mut().find_map(|part| match part {
            Part::Option(_, setting @ Setting::Open) => Some(setting),
            _ => None,
        });
        if let Some(setting) = open {
            *setting = value;
        }
        self
    }

    /// The text as `dialect` says it.
    #[must_use]
    pub fn say(&self, dialect: Dialect) -> String {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Option(key, setting) => say(&mut out, key, setting, dialect),
            }
        }
        out
    }

    /// The options that are named, each with the text for its value, if one is.
    pub fn options(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Option(key, setting) => Some((*key, written(key, setting))),
        })
    }
}

impl fmt::Display for Phrase {
    /// As Rust says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.say(Dialect::Rust))
    }
}

impl From<String> for Phrase {
    fn from(text: String) -> Self {
        Self(vec![Part::Text(text.into())])
    }
}

impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// The value as text, as [`set`](crate::ReaderBuilder::set) takes it.
fn written(key: &str, setting: &Setting) -> Option<String> {
    match (setting, find(key).map(|option| option.form)) {
        (Setting::None | Setting::Open, _) => None,
        (Setting::Word(name), Some(Form::Names(_))) => Some(quote_name(name, &[','])),
        (Setting::Word(word), _) => Some(word.clone()),
        (Setting::Pair(left, right), Some(Form::Pairs { sign, .. })) => {
            // The name of a feature ends where a type begins, and needs no quotes.
            let left = if sign == '=' { quote_name(left, &[',', '=']) } else { left.clone() };
            Some(format!("{left}{sign}{right}"))
        }
        (Setting::Pair(left, right), _) => Some(format!("{left}={right}")),
    }
}

fn say(out: &mut String, key: &str, setting: &Setting, dialect: Dialect) {
    let text = written(key, setting);
    // Writing to a string does not fail.
    let _ = match (dialect, text) {
        (Dialect::Command, None) => write!(out, "--{}", key.replace('_', "-")),
        (Dialect::Command, Some(text)) => {
            let _ = write!(out, "--{}", key.replace('_', "-"));
            if is_flag(key) { Ok(()) } else { write!(out, " {}", shell(&text, setting)) }
        }
        (Dialect::Rust, None) => write!(out, "`with_{key}`"),
        (Dialect::Rust, Some(text)) => write!(out, ".set({key:?}, {text:?})"),
        (Dialect::Python, None) => out.write_str(python_key(key)),
        (Dialect::Python, Some(text)) => write!(out, "{}={}", python_key(key), python(key, setting, &text)),
    };
}

fn is_flag(key: &str) -> bool {
    find(key).is_some_and(|option| option.form == Form::Flag)
}

/// `text` as a shell takes it for one word.
fn shell(text: &str, setting: &Setting) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=,+%@".contains(c);
    if matches!(setting, Setting::Word(_)) && !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else if text.chars().any(acts) {
        // What is not seen, escaped, which bash and others undo in this form only.
        format!("$'{}'", unseen(&text.replace('\\', r"\\").replace('\'', r"\'")))
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// `text` with the escapes of bash and Python in place of characters that act instead of being seen.
fn unseen(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Writing to a string does not fail.
        let _ = match u32::from(c) {
            _ if !acts(c) => out.write_char(c),
            code if code > 0xffff => write!(out, "\\U{code:08x}"),
            code => write!(out, "\\u{code:04x}"),
        };
    }
    out
}

/// In Python, single features and files of them are one keyword.
fn python_key(key: &str) -> &str {
    if key == "feature" { "features" } else { key }
}

fn python(key: &str, setting: &Setting, text: &str) -> String {
    let quoted = |text: &str| unseen(&serde_json::Value::from(text).to_string());
    match (setting, find(key).map(|option| option.form)) {
        (_, Some(Form::Flag)) => if text == "false" { "False" } else { "True" }.to_owned(),
        (_, Some(Form::Number(..))) => text.to_owned(),
        (Setting::Word(name), Some(Form::Names(_))) => format!("[{}]", quoted(name)),
        (Setting::Word(word), Some(Form::Pairs { sign, .. })) => match word.split_once(sign) {
            Some((left, right)) => format!("{{{}: {}}}", quoted(left), quoted(right)),
            None => quoted(word),
        },
        (Setting::Pair(left, right), _) => format!("{{{}: {}}}", quoted(left), quoted(right)),
        _ => quoted(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_own_spelling() {
        let said =
            |phrase: &Phrase| [Dialect::Command, Dialect::Rust, Dialect::Python].map(|d| phrase.say(d));
        let list = Phrase::new("pass {feature=_} to read it as a list").pair("v", "int64[]");
        assert_eq!(
            said(&list),
            [
                "pass --feature 'v:int64[]' to read it as a list",
                r#"pass .set("feature", "v:int64[]") to read it as a list"#,
                r#"pass features={"v": "int64[]"} to read it as a list"#,
            ]
        );
        let smaller = Phrase::new("pass a smaller {batch_rows}");
        assert_eq!(
            said(&smaller),
            ["pass a smaller --batch-rows", "pass a smaller `with_batch_rows`", "pass a smaller batch_rows"]
        );
        let out = Phrase::new("leave it out with {exclude=_}").name("a,b");
        assert_eq!(
            said(&out),
            [
                r#"leave it out with --exclude '"a,b"'"#,
                r#"leave it out with .set("exclude", "\"a,b\"")"#,
                r#"leave it out with exclude=["a,b"]"#,
            ]
        );
        let flag = Phrase::new("pass {lenient=true} or {infer_records=all}, {batch_rows=10}");
        assert_eq!(flag.say(Dialect::Command), "pass --lenient or --infer-records all, --batch-rows 10");
        assert_eq!(flag.say(Dialect::Python), r#"pass lenient=True or infer_records="all", batch_rows=10"#);
    }

    #[test]
    fn what_is_not_seen_is_escaped_so_that_it_can_be_pasted() {
        let phrase = Phrase::new("{exclude=_}").name("a\u{1b}[2J\\\u{9b}'\u{202e}\u{e0041}\n");
        assert_eq!(phrase.say(Dialect::Command), r"--exclude $'a\u001b[2J\\\u009b\'\u202e\U000e0041\u000a'");
        assert_eq!(phrase.say(Dialect::Python), r#"exclude=["a\u001b[2J\\\u009b'\u202e\U000e0041\n"]"#);
    }

    #[test]
    fn text_from_elsewhere_is_no_template() {
        let text = "{exclude} of \u{7b}names";
        assert_eq!(Phrase::from(text).to_string(), text);
        assert_eq!(Phrase::new("a ").text("{b").to_string(), "a {b");
    }

    #[test]
    fn quotes_reach_the_shell_as_they_are() {
        let phrase = Phrase::new("{rename=_}").pair("it's", "x");
        assert_eq!(phrase.say(Dialect::Command), r"--rename 'it'\''s=x'");
    }
}
