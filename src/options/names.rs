//! Names as text: in lists, in pairs; quoted as in CSV where a name holds what stands between names.

/// Encloses a name that holds a sign; twice within one, it stands for itself.
const QUOTE: char = '"';
const NOT_CLOSED: &str = "a double quote is not closed";

/// The names in `text`, between commas.
///
/// # Errors
/// What is wrong, in a few words.
pub(crate) fn split_names(text: &str) -> Result<Vec<String>, &'static str> {
    let mut names = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (name, after) = match unquote(text)? {
            Some((name, "")) => (name, None),
            Some((name, after)) => {
                (name, Some(after.strip_prefix(',').ok_or("no comma after a quoted name")?))
            }
            None => match text.split_once(',') {
                Some((name, after)) => (name.to_owned(), Some(after)),
                None => (text.to_owned(), None),
            },
        };
        if name.is_empty() {
            return Err("a name is empty");
        }
        names.push(name);
        rest = after;
    }
    Ok(names)
}

/// The two names of `OLD=NEW`.
///
/// # Errors
/// What is wrong, in a few words.
pub(crate) fn split_pair(text: &str) -> Result<(String, String), &'static str> {
    const SIGN: &str = "no equals sign between two names";
    let (old, after) = match unquote(text)? {
        Some((old, after)) => (old, after.strip_prefix('=').ok_or(SIGN)?),
        None => text.split_once('=').map(|(old, new)| (old.to_owned(), new)).ok_or(SIGN)?,
    };
    let new = match unquote(after)? {
        Some((new, "")) => new,
        Some(_) => return Err("something follows a quoted name"),
        None if after.contains('=') => return Err("a name that holds an equals sign needs double quotes"),
        None => after.to_owned(),
    };
    if old.is_empty() || new.is_empty() { Err("a name is empty") } else { Ok((old, new)) }
}

/// A name, the sign after it and the word after that: `x=float32`, `float64:float32`.
pub(crate) type Assignment = (String, char, String);

/// The assignments in `text`, between commas: each of `=` or, where there is none, of `:`. The last
/// sign of an assignment counts, so that a name may hold others.
///
/// # Errors
/// What is wrong, in a few words.
pub(crate) fn split_assignments(text: &str) -> Result<Vec<Assignment>, &'static str> {
    const SIGN: &str = "no sign after a name";
    let mut assignments = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let quoted = unquote(text)?;
        let (item, after) = match quoted.as_ref().map_or(text, |(_, after)| after).split_once(',') {
            Some((item, after)) => (item, Some(after)),
            None => (quoted.as_ref().map_or(text, |(_, after)| after), None),
        };
        assignments.push(match quoted {
            Some((name, _)) => match (item.strip_prefix('='), item.strip_prefix(':')) {
                (Some(word), _) => (name, '=', word.to_owned()),
                (None, Some(word)) => (name, ':', word.to_owned()),
                (None, None) => return Err(SIGN),
            },
            None => match (item.rsplit_once('='), item.rsplit_once(':')) {
                (Some((name, word)), _) => (name.to_owned(), '=', word.to_owned()),
                (None, Some((name, word))) => (name.to_owned(), ':', word.to_owned()),
                (None, None) => return Err(SIGN),
            },
        });
        rest = after;
    }
    match assignments.iter().any(|(name, _, word)| name.is_empty() || word.is_empty()) {
        true => Err("a name is empty"),
        false => Ok(assignments),
    }
}

/// `name` where the `signs` have a meaning: quoted if it must be.
pub(crate) fn quote_name(name: &str, signs: &[char]) -> String {
    if name.is_empty() || name.starts_with(QUOTE) || name.contains(signs) {
        format!("{QUOTE}{}{QUOTE}", name.replace(QUOTE, "\"\""))
    } else {
        name.to_owned()
    }
}

/// The quoted name that `text` begins with, and what follows it; `None` if it begins with none.
fn unquote(text: &str) -> Result<Option<(String, &str)>, &'static str> {
    let Some(mut rest) = text.strip_prefix(QUOTE) else { return Ok(None) };
    let mut name = String::new();
    loop {
        let (part, after) = rest.split_once(QUOTE).ok_or(NOT_CLOSED)?;
        name.push_str(part);
        match after.strip_prefix(QUOTE) {
            Some(after) => {
                name.push(QUOTE);
                rest = after;
            }
            None => return Ok(Some((name, after))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names() {
        let of = |text: &str| split_names(text).map(|names| names.join("|"));
        assert_eq!(of("a,b").unwrap(), "a|b");
        assert_eq!(of(r#""a,b",c=d,e"f"#).unwrap(), r#"a,b|c=d|e"f"#);
        assert_eq!(of(r#""say ""a""""#).unwrap(), r#"say "a""#);
        for wrong in ["", "a,", ",a", r#""a"#, r#""a"b"#, r#""""#] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pairs_of_names() {
        let of = |text: &str| split_pair(text).map(|(old, new)| format!("{old}|{new}"));
        assert_eq!(of("a,b=c").unwrap(), "a,b|c");
        assert_eq!(of(r#""a=b"=c"#).unwrap(), "a=b|c");
        assert_eq!(of(r#"a="b=c""#).unwrap(), "a|b=c");
        for wrong in ["a", "a=", "=b", "a=b=c", r#""a=b""#, r#"a="b"c"#] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn assignments() {
        let of = |text: &str| {
            let all = split_assignments(text)?;
            Ok::<_, &str>(all.into_iter().map(|(n, s, w)| format!("{n} {s} {w}")).collect::<Vec<_>>())
        };
        assert_eq!(of("float64:float32,x=int8").unwrap(), ["float64 : float32", "x = int8"]);
        assert_eq!(of("a=b:c=int8").unwrap(), ["a=b:c = int8"]);
        assert_eq!(of(r#""a,b"=int8,"c:d"=raw"#).unwrap(), ["a,b = int8", "c:d = raw"]);
        for wrong in ["", "x", "x=", "=int8", "x=int8,", r#""x"int8"#, r#""x=int8"#] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_that_need_it_are_quoted() {
        for name in ["a", "a,b", "\"a\"", "a\"b", "c=d", ""] {
            let text = quote_name(name, &[',']);
            assert_eq!(
                split_names(&format!("{text},z")).ok(),
                (!name.is_empty()).then(|| vec![name.to_owned(), "z".to_owned()])
            );
        }
    }
}
