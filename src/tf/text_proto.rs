//! Protobuf's text format, read without a schema: a tree of named fields with the place of each.
//!
//! The rules are those of <https://protobuf.dev/reference/protobuf/textformat-spec/>, without
//! extensions and `Any`.

use super::spec::MAX_DEPTH;
use crate::error::{Error, Result};

/// Where something stands in the text, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A message: its fields in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// What a field is set to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A number, the name of an enum value, `true` or `false`; as it is written.
    Word(String),
    /// A string, its escapes undone.
    Text(Vec<u8>),
    /// A message.
    Message(Message),
}

impl Message {
    /// Reads a whole text.
    ///
    /// # Errors
    /// The text breaks a rule of the format, or nests deeper than 64 levels; the message names
    /// line and column.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parser =
            Parser { chars: text.char_indices().peekable(), text, place: Place { line: 1, column: 1 } };
        parser.message(None, MAX_DEPTH)
    }

    /// Every field called `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    /// The last field called `name`: that is the one that counts.
    pub(crate) fn last(&self, name: &str) -> Option<&Field> {
        self.fields.iter().rev().find(|field| field.name == name)
    }
}

impl Field {
    /// The value as a message.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn message(&self) -> Result<&Message> {
        match &self.value {
            Value::Message(message) => Ok(message),
            _ => Err(self.wrong("a message in braces")),
        }
    }

    /// The value as text.
    ///
    /// # Errors
    /// It is no string, or not UTF-8.
    pub(crate) fn text(&self) -> Result<&str> {
        match &self.value {
            Value::Text(text) => std::str::from_utf8(text).map_err(|_| self.wrong("UTF-8 text")),
            _ => Err(self.wrong("a quoted string")),
        }
    }

    /// The value as the name of an enum value.
    ///
    /// # Errors
    /// It is no bare word.
    pub(crate) fn word(&self) -> Result<&str> {
        match &self.value {
            Value::Word(word) => Ok(word),
            _ => Err(self.wrong("a name without quotes")),
        }
    }

    /// The value as a number.
    ///
    /// # Errors
    /// It is no number.
    pub(crate) fn number<T: std::str::FromStr>(&self) -> Result<T> {
        self.word()?.parse().map_err(|_| self.wrong("a number"))
    }

    /// An error about this field.
    pub(crate) fn wrong(&self, expected: &str) -> Error {
        let found = match &self.value {
            Value::Word(word) => format!("`{word}`"),
            Value::Text(text) => format!("\"{}\"", text.escape_ascii()),
            Value::Message(_) => "a message".to_owned(),
        };
        at(Error::config(format!("invalid `{}`", self.name)).expected(expected, found), self.place)
    }
}

/// Names the line and column of an error.
pub(crate) fn at(error: Error, place: Place) -> Error {
    error.with_cause(format!("line {}, column {}", place.line, place.column))
}

struct Parser<'a> {
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
    text: &'a str,
    place: Place,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn next(&mut self) -> Option<char> {
        let (_, c) = self.chars.next()?;
        if c == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(c)
    }

    fn error(&mut self, expected: &str) -> Error {
        let found = match self.peek() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end".to_owned(),
        };
        at(Error::config("text proto is malformed").expected(expected, found), self.place)
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek() {
            if c == '#' {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            } else if c.is_whitespace() {
                self.next();
            } else {
                break;
            }
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    /// Fields up to `close`, or to the end.
    fn message(&mut self, close: Option<char>, depth: usize) -> Result<Message> {
        let depth = depth.checked_sub(1);
        let depth = depth.ok_or_else(|| at(Error::limit("text proto nests too deeply"), self.place))?;
        let mut message = Message::default();
        loop {
            self.skip_space();
            match (self.peek(), close) {
                (None, None) => return Ok(message),
                (Some(c), Some(close)) if c == close => {
                    self.next();
                    return Ok(message);
                }
                _ => {}
            }
            self.field(&mut message, depth)?;
            if !self.eat(',') {
                self.eat(';');
            }
        }
    }

    fn field(&mut self, message: &mut Message, depth: usize) -> Result<()> {
        let place = self.place;
        let name = self.bare(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() {
            return Err(self.error("a field's name"));
        }
        let colon = self.eat(':');
        self.skip_space();
        if self.peek() == Some('[') {
            self.next();
            while !self.eat(']') {
                let value = self.value(depth, true)?;
                message.fields.push(Field { name: name.clone(), value, place });
                if !self.eat(',') && self.peek() != Some(']') {
                    return Err(self.error("`,` or `]`"));
                }
            }
            return Ok(());
        }
        let value = self.value(depth, colon)?;
        message.fields.push(Field { name, value, place });
        Ok(())
    }

    fn value(&mut self, depth: usize, colon: bool) -> Result<Value> {
        self.skip_space();
        match self.peek() {
            Some('{') => {
                self.next();
                Ok(Value::Message(self.message(Some('}'), depth)?))
            }
            Some('<') => {
                self.next();
                Ok(Value::Message(self.message(Some('>'), depth)?))
            }
            _ if !colon => Err(self.error("`:` or `{`")),
            Some('"' | '\'') => {
                let mut text = Vec::new();
                // Strings that follow one another are one.
                while let Some(quote @ ('"' | '\'')) = self.peek() {
                    self.next();
                    self.string(quote, &mut text)?;
                    self.skip_space();
                }
                Ok(Value::Text(text))
            }
            _ => {
                let word = self.bare(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.'));
                if word.is_empty() { Err(self.error("a value")) } else { Ok(Value::Word(word)) }
            }
        }
    }

    fn bare(&mut self, allowed: impl Fn(char) -> bool) -> String {
        let start = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        while self.peek().is_some_and(&allowed) {
            self.next();
        }
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        self.text.get(start..end).unwrap_or_default().to_owned()
    }

    fn string(&mut self, quote: char, out: &mut Vec<u8>) -> Result<()> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err(self.error("the string's end")),
                Some(c) if c == quote => {
                    self.next();
                    return Ok(());
                }
                Some('\\') => {
                    self.next();
                    self.escape(out)?;
                }
                Some(c) => {
                    self.next();
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let simple = match self.peek() {
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 11,
            Some(c @ ('\\' | '\'' | '"' | '?')) => c as u8,
            Some('x' | 'X') => {
                self.next();
                return self.digits(16, 2, out);
            }
            Some('0'..='7') => return self.digits(8, 3, out),
            Some('u') => return self.unicode(4, out),
            Some('U') => return self.unicode(8, out),
            _ => return Err(self.error("an escape")),
        };
        self.next();
        out.push(simple);
        Ok(())
    }

    fn digits(&mut self, radix: u32, most: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut value = 0u32;
        let mut count = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)).filter(|_| count < most) {
            value = value * radix + digit;
            count += 1;
            self.next();
        }
        match u8::try_from(value) {
            Ok(byte) if count > 0 => {
                out.push(byte);
                Ok(())
            }
            _ => Err(self.error("an escaped byte")),
        }
    }

    fn unicode(&mut self, digits: usize, out: &mut Vec<u8>) -> Result<()> {
        self.next();
        let mut value = 0u32;
        for _ in 0..digits {
            let digit = self.peek().and_then(|c| c.to_digit(16));
            let digit = digit.ok_or_else(|| self.error("a hexadecimal digit"))?;
            value = value.wrapping_mul(16).wrapping_add(digit);
            self.next();
        }
        let c = char::from_u32(value).ok_or_else(|| self.error("a character"))?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_a_field() {
        let text = r#"
            # a comment
            name: "a\"b" 'c\x41\101é\u00e9' ;
            count: -3, sizes: [1, 2 , 3]
            inner { deep < flag: true > } other: { x: 1.5e3 }
            empty: []
        "#;
        let message = Message::parse(text).unwrap();
        assert_eq!(message.last("name").unwrap().text().unwrap(), "a\"bcAAéé");
        assert_eq!(message.last("count").unwrap().number::<i64>().unwrap(), -3);
        let sizes: Vec<u32> = message.all("sizes").map(|f| f.number().unwrap()).collect();
        assert_eq!(sizes, [1, 2, 3]);
        let inner = message.last("inner").unwrap().message().unwrap();
        let deep = inner.last("deep").unwrap().message().unwrap();
        assert_eq!(deep.last("flag").unwrap().word().unwrap(), "true");
        assert_eq!(message.last("other").unwrap().place, Place { line: 5, column: 43 });
    }

    #[test]
    fn faults_are_located() {
        for (text, part) in [
            ("a {\n  b: 1\n", "expected a field's name, found the end"),
            ("a\n b: 1", "expected `:` or `{`"),
            ("a: 'x", "the string's end"),
            ("a: \"\\q\"", "line 1, column 6"),
            ("a: \"\\777\"", "an escaped byte"),
            ("a: }", "line 1, column 4"),
            ("}", "a field's name"),
            ("a: [1 2]", "`,` or `]`"),
        ] {
            let message = Message::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(Message::parse(&"a {".repeat(1000)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "[a-z:{}<>\\[\\]\"'\\\\,; \n#0-9xuU]{0,40}") {
            let _ = Message::parse(&text);
        }
    }
}
