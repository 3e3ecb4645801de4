//! The text of `.proto` files: proto2, proto3 and editions.
//!
//! What is read is what records are laid out by. Options, services and what extensions hold are
//! passed over; only what breaks the grammar is an error, with its line.

mod lexer;
#[cfg(test)]
mod tests;

use self::lexer::{Lexer, Token};
use super::file::{
    Edition, EnumDecl, Features, FieldDecl, File, Label, Literal, MessageDecl, Scalar, TypeDecl,
};
use super::set::MAX_NESTING;
use crate::error::{Error, Result};

/// The declarations of the text `source` of the file that is called `name`.
///
/// # Errors
/// It is not text, or breaks the grammar.
pub(super) fn parse(name: &str, source: &[u8]) -> Result<File> {
    let source = simdutf8::basic::from_utf8(source)
        .map_err(|_| Error::config("a .proto file that is not text").in_source(name))?;
    let mut parser = Parser { lexer: Lexer::new(name, source)?, file: File::default() };
    parser.file()?;
    let mut file = parser.file;
    file.name = name.to_owned();
    Ok(file)
}

/// A whole number as it is written: decimal, hexadecimal or octal.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    let value = i128::from(value.ok()?);
    Some(if negative { -value } else { value })
}

/// The bytes that `text` stands for, which is escaped as in C; none if an escape is none.
pub(super) fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        let (value, taken) = match escape {
            b'n' => (b'\n', 1),
            b't' => (b'\t', 1),
            b'r' => (b'\r', 1),
            b'a' => (7, 1),
            b'b' => (8, 1),
            b'f' => (12, 1),
            b'v' => (11, 1),
            b'\\' | b'\'' | b'"' | b'?' => (escape, 1),
            b'x' | b'X' => {
                let (value, digits) = digits(after, 16, 2)?;
                (u8::try_from(value).ok()?, digits + 1)
            }
            b'0'..=b'7' => {
                let (value, digits) = digits(rest, 8, 3)?;
                (u8::try_from(value).ok()?, digits)
            }
            b'u' | b'U' => {
                let (value, digits) = digits(after, 16, if escape == b'u' { 4 } else { 8 })?;
                out.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after.get(digits..)?;
                continue;
            }
            _ => return None,
        };
        out.push(value);
        rest = rest.get(taken..)?;
    }
    Some(out)
}

/// The number that `text` begins with, of `most` digits at most, and how many it has.
fn digits(text: &[u8], radix: u32, most: usize) -> Option<(u32, usize)> {
    let count = text.iter().take(most).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let digits = std::str::from_utf8(text.get(..count)?).ok()?;
    Some((u32::from_str_radix(digits, radix).ok()?, count))
}

/// The value of an option, as far as it is looked at.
#[derive(Debug)]
enum OptionValue {
    /// A word, or a number with its sign.
    Word(String),
    Text(Vec<u8>),
    /// `{ … }`: its words that are the values of names.
    Message(Vec<(String, String)>),
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    file: File,
}

impl Parser<'_> {
    fn file(&mut self) -> Result<()> {
        loop {
            match self.lexer.peek() {
                Token::End => return Ok(()),
                Token::Symbol(';') => self.lexer.symbol(';')?,
                _ => self.statement()?,
            }
        }
    }

    fn statement(&mut self) -> Result<()> {
        let start = self.lexer.start();
        let word = self.lexer.ident()?;
        match word {
            "syntax" | "edition" => {
                self.lexer.symbol('=')?;
                let value = self.lexer.text()?;
                self.file.edition = edition(word, &value)
                    .ok_or_else(|| self.lexer.fault(&format!("{word} that is not known")))?;
                self.lexer.symbol(';')
            }
            "package" => {
                self.file.package = self.path()?;
                self.lexer.symbol(';')
            }
            "import" => {
                // public, weak or option: the last brings no types.
                let options_only = match self.lexer.peek() {
                    Token::Ident(_) => self.lexer.ident()? == "option",
                    _ => false,
                };
                let name = self.lexer.text()?;
                if !options_only {
                    self.file.imports.push(String::from_utf8_lossy(&name).into_owned());
                }
                self.lexer.symbol(';')
            }
            "option" => {
                let mut features = self.file.features;
                self.option_statement(&mut features)?;
                self.file.features = features;
                Ok(())
            }
            "export" | "local" => Ok(()),
            "message" => {
                let message = self.message(0)?;
                self.file.messages.push(message);
                Ok(())
            }
            "enum" => {
                let declared = self.enumeration()?;
                self.file.enums.push(declared);
                Ok(())
            }
            "extend" => {
                let mut inner = MessageDecl::default();
                self.extend(&mut inner, 0)?;
                self.file.extended.append(&mut inner.extended);
                self.file.messages.append(&mut inner.messages);
                Ok(())
            }
            "service" => {
                self.lexer.ident()?;
                self.pass_block()
            }
            _ => {
                let error = self.lexer.error(start, lexer::UNSOUND);
                Err(error.expected("a statement", format!("`{word}`")))
            }
        }
    }

    /// A name with points in it, which may begin with one.
    fn path(&mut self) -> Result<String> {
        let mut path = String::new();
        if self.lexer.take_symbol('.')? {
            path.push('.');
        }
        loop {
            path.push_str(self.lexer.ident()?);
            if !self.lexer.take_symbol('.')? {
                return Ok(path);
            }
            path.push('.');
        }
    }

    /// Passes over `{ … }`.
    fn pass_block(&mut self) -> Result<()> {
        self.lexer.symbol('{')?;
        let mut depth = 1;
        while depth > 0 {
            match self.lexer.next()? {
                Token::Symbol('{') => depth += 1,
                Token::Symbol('}') => depth -= 1,
                Token::End => return Err(self.lexer.unexpected("`}`")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Passes over everything up to `;`.
    fn pass_statement(&mut self) -> Result<()> {
        loop {
            match self.lexer.peek() {
                Token::Symbol(';') => return self.lexer.symbol(';'),
                Token::Symbol('[') => self.field_options(&mut FieldDecl::default())?,
                Token::End | Token::Symbol('{' | '}') => return Err(self.lexer.unexpected("`;`")),
                _ => drop(self.lexer.next()?),
            }
        }
    }

    /// The name of an option: `deprecated`, `features.enum_type`, `(my.option).field`.
    fn option_name(&mut self) -> Result<String> {
        let mut name = String::new();
        loop {
            if self.lexer.take_symbol('(')? {
                name.push('(');
                name.push_str(&self.path()?);
                name.push(')');
                self.lexer.symbol(')')?;
            } else {
                name.push_str(self.lexer.ident()?);
            }
            if !self.lexer.take_symbol('.')? {
                return Ok(name);
            }
            name.push('.');
        }
    }

    fn option_value(&mut self) -> Result<OptionValue> {
        Ok(match self.lexer.peek() {
            Token::Text(_) => OptionValue::Text(self.lexer.text()?),
            Token::Symbol('{') => OptionValue::Message(self.aggregate()?),
            _ => OptionValue::Word(self.word()?),
        })
    }

    /// A name or number, with its sign.
    fn word(&mut self) -> Result<String> {
        let sign = if self.lexer.take_symbol('-')? { "-" } else { "" };
        self.lexer.take_symbol('+')?;
        match self.lexer.peek() {
            Token::Ident(text) | Token::Number(text) => {
                self.lexer.next()?;
                Ok(format!("{sign}{text}"))
            }
            _ => Err(self.lexer.unexpected("a value")),
        }
    }

    /// `{ name: WORD … }`, of which what nests is passed over.
    fn aggregate(&mut self) -> Result<Vec<(String, String)>> {
        self.lexer.symbol('{')?;
        let mut pairs = Vec::new();
        let mut depth = 1;
        let mut name = None;
        while depth > 0 {
            match self.lexer.next()? {
                Token::Symbol('{' | '<') => depth += 1,
                Token::Symbol('}' | '>') => depth -= 1,
                Token::End => return Err(self.lexer.unexpected("`}`")),
                Token::Ident(word) if depth == 1 => match name.take() {
                    Some(name) => pairs.push((name, word.to_owned())),
                    None if self.lexer.peek() == Token::Symbol(':') => name = Some(word.to_owned()),
                    None => {}
                },
                Token::Symbol(':') => {}
                _ => name = None,
            }
        }
        Ok(pairs)
    }

    /// Takes over the feature that an option sets, if it sets one.
    fn feature(features: &mut Features, name: &str, value: &OptionValue) {
        match (name.strip_prefix("features"), value) {
            (Some(feature), OptionValue::Word(word)) => {
                if let Some(feature) = feature.strip_prefix('.') {
                    features.set(feature, word);
                }
            }
            (Some(""), OptionValue::Message(pairs)) => {
                pairs.iter().for_each(|(name, word)| features.set(name, word));
            }
            _ => {}
        }
    }

    /// What follows on `option`.
    fn option_statement(&mut self, features: &mut Features) -> Result<()> {
        let name = self.option_name()?;
        self.lexer.symbol('=')?;
        let value = self.option_value()?;
        Self::feature(features, &name, &value);
        self.lexer.symbol(';')
    }

    /// `[name = value, …]`.
    fn field_options(&mut self, field: &mut FieldDecl) -> Result<()> {
        self.lexer.symbol('[')?;
        loop {
            let name = self.option_name()?;
            // What extension ranges declare is written so, too.
            if !self.lexer.take_symbol('=')? {
                self.lexer.symbol(':')?;
            }
            let value = self.option_value()?;
            Self::feature(&mut field.features, &name, &value);
            match (name.as_str(), value) {
                ("default", OptionValue::Word(word)) => field.default = Some(Literal::Written(word)),
                ("default", OptionValue::Text(bytes)) => field.default = Some(Literal::Bytes(bytes)),
                _ => {}
            }
            if self.lexer.take_symbol(']')? {
                return Ok(());
            }
            self.lexer.symbol(',')?;
        }
    }

    /// What follows on `message`, or on the number of a group.
    fn message(&mut self, depth: usize) -> Result<MessageDecl> {
        let name = self.lexer.ident()?.to_owned();
        let mut message = MessageDecl { name, ..MessageDecl::default() };
        self.message_body(&mut message, depth)?;
        Ok(message)
    }

    fn message_body(&mut self, message: &mut MessageDecl, depth: usize) -> Result<()> {
        if depth >= MAX_NESTING {
            return Err(self.lexer.fault("messages are declared within messages too deeply"));
        }
        self.lexer.symbol('{')?;
        while !self.lexer.take_symbol('}')? {
            if self.lexer.take_symbol(';')? {
                continue;
            }
            self.member(message, depth)?;
        }
        Ok(())
    }

    /// A statement of a message. Its keywords may be the names of types, too: what follows tells.
    fn member(&mut self, message: &mut MessageDecl, depth: usize) -> Result<()> {
        if self.lexer.peek() == Token::Symbol('.') {
            return self.field(message, None, None, depth);
        }
        let word = self.lexer.ident()?;
        let follows_name = matches!(self.lexer.peek(), Token::Ident(_));
        match word {
            "message" if follows_name => {
                let inner = self.message(depth + 1)?;
                if self.lexer.peek() == Token::Symbol('=') {
                    return Err(self.lexer.unexpected("`}`"));
                }
                message.messages.push(inner);
                Ok(())
            }
            "enum" if follows_name => {
                let declared = self.enumeration()?;
                message.enums.push(declared);
                Ok(())
            }
            "export" | "local" if follows_name => Ok(()),
            "oneof" if follows_name => self.oneof(message, depth),
            "extend" if follows_name || self.lexer.peek() == Token::Symbol('.') => {
                self.extend(message, depth)
            }
            "extensions" => {
                message.extensible = true;
                self.pass_statement()
            }
            "reserved" => self.pass_statement(),
            "option" if follows_name || self.lexer.peek() == Token::Symbol('(') => {
                let mut features = message.features;
                self.option_statement(&mut features)?;
                message.features = features;
                Ok(())
            }
            "map" if self.lexer.peek() == Token::Symbol('<') => self.map(message),
            "optional" | "required" | "repeated" => {
                let label = match word {
                    "optional" => Label::Optional,
                    "required" => Label::Required,
                    _ => Label::Repeated,
                };
                let before = message.fields.len();
                self.field(message, None, Some(label), depth)?;
                let optional = label == Label::Optional && self.file.edition == Edition::Proto3;
                if let Some(field) = message.fields.get_mut(before) {
                    field.proto3_optional = optional;
                }
                Ok(())
            }
            _ => self.field(message, Some(word), None, depth),
        }
    }

    /// A field whose type begins with the word `first`, if that was taken.
    fn field(
        &mut self,
        message: &mut MessageDecl,
        first: Option<&str>,
        label: Option<Label>,
        depth: usize,
    ) -> Result<()> {
        let mut path = match first {
            Some(first) => first.to_owned(),
            None => self.path()?,
        };
        while first.is_some() && self.lexer.take_symbol('.')? {
            path.push('.');
            path.push_str(self.lexer.ident()?);
        }
        let name = self.lexer.ident()?.to_owned();
        let mut field = FieldDecl { label: label.unwrap_or_default(), ..FieldDecl::default() };
        self.lexer.symbol('=')?;
        field.number = self.field_number()?;
        if self.lexer.peek() == Token::Symbol('[') {
            self.field_options(&mut field)?;
        }
        if path == "group" && self.lexer.peek() == Token::Symbol('{') {
            let mut group = MessageDecl { name: name.clone(), ..MessageDecl::default() };
            self.message_body(&mut group, depth + 1)?;
            message.messages.push(group);
            field.name = name.to_ascii_lowercase();
            field.kind = TypeDecl::Group(name);
            message.fields.push(field);
            return Ok(());
        }
        self.lexer.symbol(';')?;
        field.kind = type_of(&path);
        field.name = name;
        message.fields.push(field);
        Ok(())
    }

    fn field_number(&mut self) -> Result<u32> {
        let Token::Number(text) = self.lexer.peek() else {
            return Err(self.lexer.unexpected("the number of a field"));
        };
        let number = integer(text).and_then(|number| u32::try_from(number).ok());
        let number = number.ok_or_else(|| self.lexer.unexpected("the number of a field"))?;
        self.lexer.next()?;
        Ok(number)
    }

    /// What follows on `map`: a field of entries, and the message that they are.
    fn map(&mut self, message: &mut MessageDecl) -> Result<()> {
        self.lexer.symbol('<')?;
        let key = self.path()?;
        self.lexer.symbol(',')?;
        let value = self.path()?;
        self.lexer.symbol('>')?;
        let name = self.lexer.ident()?.to_owned();
        self.lexer.symbol('=')?;
        let mut field = FieldDecl { name, label: Label::Repeated, ..FieldDecl::default() };
        field.number = self.field_number()?;
        if self.lexer.peek() == Token::Symbol('[') {
            self.field_options(&mut field)?;
        }
        self.lexer.symbol(';')?;
        let part = |name: &str, number, path: &str| FieldDecl {
            name: name.to_owned(),
            number,
            kind: type_of(path),
            ..FieldDecl::default()
        };
        let entry = MessageDecl {
            name: entry_name(&field.name),
            fields: vec![part("key", 1, &key), part("value", 2, &value)],
            map_entry: true,
            ..MessageDecl::default()
        };
        field.kind = TypeDecl::Named(entry.name.clone());
        message.messages.push(entry);
        message.fields.push(field);
        Ok(())
    }

    /// What follows on `oneof`.
    fn oneof(&mut self, message: &mut MessageDecl, depth: usize) -> Result<()> {
        let name = self.lexer.ident()?.to_owned();
        self.lexer.symbol('{')?;
        let oneof = message.oneofs.len();
        let mut features = Features::default();
        while !self.lexer.take_symbol('}')? {
            if self.lexer.take_symbol(';')? {
                continue;
            }
            if self.lexer.peek() == Token::Ident("option") {
                self.lexer.ident()?;
                // A message may be called so, too.
                if !matches!(self.lexer.peek(), Token::Symbol('.')) {
                    self.option_statement(&mut features)?;
                    continue;
                }
                self.field(message, Some("option"), None, depth)?;
            } else {
                self.field(message, None, None, depth)?;
            }
            if let Some(field) = message.fields.last_mut() {
                field.oneof = Some(oneof);
            }
        }
        message.oneofs.push((name, features));
        Ok(())
    }

    /// What follows on `extend`: fields of another message, which are passed over. The messages that
    /// groups among them declare are kept.
    fn extend(&mut self, message: &mut MessageDecl, depth: usize) -> Result<()> {
        let extended = self.path()?;
        let mut inner = MessageDecl::default();
        self.message_body(&mut inner, depth + 1)?;
        message.extended.extend(inner.fields.iter().map(|_| extended.clone()));
        message.messages.append(&mut inner.messages);
        Ok(())
    }

    /// What follows on `enum`.
    fn enumeration(&mut self) -> Result<EnumDecl> {
        let mut decl = EnumDecl { name: self.lexer.ident()?.to_owned(), ..EnumDecl::default() };
        self.lexer.symbol('{')?;
        while !self.lexer.take_symbol('}')? {
            if self.lexer.take_symbol(';')? {
                continue;
            }
            let name = self.lexer.ident()?;
            let is_value = self.lexer.peek() == Token::Symbol('=');
            match name {
                "option" if !is_value => self.option_statement(&mut decl.features)?,
                "reserved" if !is_value => self.pass_statement()?,
                _ => {
                    self.lexer.symbol('=')?;
                    let number = integer(&self.word()?).and_then(|number| i32::try_from(number).ok());
                    let wrong = || self.lexer.fault("number of an enum that is no int32");
                    decl.values.push((name.to_owned(), number.ok_or_else(wrong)?));
                    if self.lexer.peek() == Token::Symbol('[') {
                        self.field_options(&mut FieldDecl::default())?;
                    }
                    self.lexer.symbol(';')?;
                }
            }
        }
        Ok(decl)
    }
}

fn edition(word: &str, value: &[u8]) -> Option<Edition> {
    match (word, value) {
        ("syntax", b"proto2") => Some(Edition::Proto2),
        ("syntax", b"proto3") => Some(Edition::Proto3),
        ("edition", year) => {
            let year: u32 = std::str::from_utf8(year).ok()?.parse().ok()?;
            (year >= 2023).then_some(Edition::Year(year))
        }
        _ => None,
    }
}

fn type_of(path: &str) -> TypeDecl {
    match Scalar::from_name(path) {
        Some(scalar) => TypeDecl::Scalar(scalar),
        None => TypeDecl::Named(path.to_owned()),
    }
}

/// What the entries of the map `name` are called: `my_map` becomes `MyMapEntry`.
fn entry_name(name: &str) -> String {
    let mut entry: String = name
        .split('_')
        .flat_map(|part| {
            let mut chars = part.chars();
            chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars)
        })
        .collect();
    entry.push_str("Entry");
    entry
}
