//! The words of a `.proto` file.

use crate::error::{Error, Result};

/// What is said of a file that breaks the grammar.
pub(super) const UNSOUND: &str = "not a sound .proto file";

/// A word of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or keyword.
    Ident(&'a str),
    /// A number, as it is written.
    Number(&'a str),
    /// What stands between the quotes of a string, with its escapes.
    Text(&'a str),
    Symbol(char),
    End,
}

impl Token<'_> {
    fn describe(self) -> String {
        match self {
            Token::Ident(text) | Token::Number(text) => format!("`{text}`"),
            Token::Text(text) => format!("\"{text}\""),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end of the file".to_owned(),
        }
    }
}

/// Reads a file word by word.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    /// What to call the file.
    name: &'a str,
    source: &'a str,
    /// Where the next word is looked for.
    at: usize,
    /// The next word, and where it begins.
    token: Token<'a>,
    start: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer of `source`, called `name` in errors.
    ///
    /// # Errors
    /// The file begins with what is no word.
    pub(super) fn new(name: &'a str, source: &'a str) -> Result<Self> {
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut lexer = Self { name, source, at: 0, token: Token::End, start: 0 };
        lexer.advance()?;
        Ok(lexer)
    }

    /// The next word, which is left in place.
    pub(super) fn peek(&self) -> Token<'a> {
        self.token
    }

    /// Where the next word begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Takes the next word.
    ///
    /// # Errors
    /// What follows is no word.
    pub(super) fn next(&mut self) -> Result<Token<'a>> {
        let token = self.token;
        self.advance()?;
        Ok(token)
    }

    /// Whether the next word is `symbol`, which is then taken.
    pub(super) fn take_symbol(&mut self, symbol: char) -> Result<bool> {
        self.take(Token::Symbol(symbol))
    }

    fn take(&mut self, token: Token<'_>) -> Result<bool> {
        let found = self.token == token;
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn symbol(&mut self, symbol: char) -> Result<()> {
        match self.take_symbol(symbol)? {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{symbol}`"))),
        }
    }

    pub(super) fn ident(&mut self) -> Result<&'a str> {
        match self.token {
            Token::Ident(text) => {
                self.advance()?;
                Ok(text)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Strings that stand side by side, put together and without their escapes.
    pub(super) fn text(&mut self) -> Result<Vec<u8>> {
        let Token::Text(_) = self.token else { return Err(self.unexpected("a string")) };
        let mut bytes = Vec::new();
        while let Token::Text(text) = self.token {
            let part = super::unescape(text.as_bytes()).ok_or_else(|| self.unexpected("a string"))?;
            bytes.extend_from_slice(&part);
            self.advance()?;
        }
        Ok(bytes)
    }

    /// The error of a word that does not belong where it stands.
    #[cold]
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        self.error(self.start, UNSOUND).expected(expected, self.token.describe())
    }

    #[cold]
    pub(super) fn error(&self, at: usize, what: &str) -> Error {
        let before = self.source.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::config(what).in_source(format!("{}:{line}:{column}", self.name))
    }

    /// An error at the next word.
    #[cold]
    pub(super) fn fault(&self, what: &str) -> Error {
        self.error(self.start, what)
    }

    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Passes over blanks and comments.
    fn pass_blanks(&mut self) -> Result<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{b}', '\u{c}']);
            self.at += rest.len() - trimmed.len();
            if let Some(comment) = trimmed.strip_prefix("//") {
                self.at += 2 + comment.find('\n').unwrap_or(comment.len());
            } else if let Some(comment) = trimmed.strip_prefix("/*") {
                let end = comment.find("*/");
                self.at += 4 + end.ok_or_else(|| self.error(self.at, "a comment is not closed"))?;
            } else {
                return Ok(());
            }
        }
    }

    fn advance(&mut self) -> Result<()> {
        self.pass_blanks()?;
        self.start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            self.token = Token::End;
            return Ok(());
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let second_is_digit = rest.get(1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        let (token, length) = if first == '"' || first == '\'' {
            let inner = self.quoted(first)?;
            (Token::Text(inner), inner.len() + 2)
        } else if first.is_ascii_digit() || first == '.' && second_is_digit {
            let text = number(rest);
            (Token::Number(text), text.len())
        } else if is_word(first) {
            let text = rest.split(|c| !is_word(c)).next().unwrap_or_default();
            (Token::Ident(text), text.len())
        } else if first.is_ascii_graphic() {
            (Token::Symbol(first), 1)
        } else {
            return Err(self.error(self.at, "a character that no .proto file has"));
        };
        self.token = token;
        self.at += length;
        Ok(())
    }

    /// What stands before the closing `quote` of a string that begins here.
    fn quoted(&self, quote: char) -> Result<&'a str> {
        let inner = self.rest().get(1..).unwrap_or_default();
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => return Ok(inner.get(..at).unwrap_or_default()),
                _ => {}
            }
        }
        Err(self.error(self.at, "a string is not closed"))
    }
}

/// The number at the beginning of `text`: digits, letters and points, and the signs of exponents.
fn number(text: &str) -> &str {
    let hex = text.starts_with("0x") || text.starts_with("0X");
    let mut before = ' ';
    let end = text.find(|c: char| {
        let sign = (c == '+' || c == '-') && (before == 'e' || before == 'E') && !hex;
        before = c;
        !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign)
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}
