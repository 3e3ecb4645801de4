//! Tries every hint of a refusal as it stands: no hint may lead to another refusal of what it says.

use std::path::Path;

use tfarrow::options::{Form, OPTIONS, OptionInfo};

/// An option that a hint names, and its value.
#[derive(Debug)]
struct Hint {
    option: &'static OptionInfo,
    value: Option<String>,
    /// It is to be taken out of the arguments.
    leave: bool,
}

/// Tries what `message`, the error of a run with `args`, says that helps.
#[track_caller]
pub(crate) fn try_hints(args: &[String], message: &str) {
    for hint in hints(message) {
        let flag = format!("--{}", hint.option.key.replace('_', "-"));
        // These change what the test is about to look at.
        if ["overwrite", "resume"].contains(&hint.option.key) {
            continue;
        }
        let dir = super::Dir::new();
        let mut args = without(args, &hint, &flag);
        if let Some(at) = args.iter().position(|arg| arg == "-o" || arg == "--output")
            && let Some(out) = args.get_mut(at + 1)
            && out.as_str() != "-"
        {
            let folder = out.ends_with('/');
            let name = Path::new(&*out).file_name().map_or("out".into(), |name| name.to_string_lossy());
            *out = dir.arg(&format!("{name}{}", if folder { "/" } else { "" }));
        }
        if !hint.leave {
            args.push(flag.clone());
            args.extend(hint.value.clone());
        }
        let run = super::command(&args).output().unwrap();
        let told = String::from_utf8(run.stderr).unwrap();
        let refused = told.contains(&format!("`{flag}` is"))
            || told.contains(&format!("{flag} is not for"))
            || told.contains("unexpected argument")
            || told.contains("invalid value")
            || told.trim_end() == message;
        assert!(!refused, "the hint is refused: {message}\n{args:?}\n{told}");
    }
}

/// The arguments without what the hint says in another way, or takes away.
fn without(args: &[String], hint: &Hint, flag: &str) -> Vec<String> {
    let left = |pair: &str| pair.rsplit_once([':', '=']).map(|(name, _)| name.to_owned());
    let replaced = |value: Option<&String>| match hint.option.form {
        Form::Pairs { .. } => value.and_then(|pair| left(pair)) == hint.value.as_deref().and_then(left),
        Form::Names(_) => false,
        _ => true,
    };
    let mut out = Vec::new();
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        if arg == flag && replaced(args.peek().copied()) {
            if hint.option.form != Form::Flag {
                args.next();
            }
        } else {
            out.push(arg.clone());
        }
    }
    out
}

/// What a message names after its first part: what is wrong.
fn hints(message: &str) -> Vec<Hint> {
    let Some((_, hint)) = message.split_once("; ") else { return Vec::new() };
    let mut out = Vec::new();
    for (at, _) in hint.match_indices("--") {
        let (before, rest) = (&hint[..at], &hint[at + 2..]);
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-' && c != '8').unwrap_or(rest.len());
        let key = rest[..end].replace('-', "_");
        let Some(option) = OPTIONS.iter().find(|option| option.key == key) else { continue };
        let leave = before.ends_with("leave out ");
        let value = value(rest[end..].strip_prefix(' ').unwrap_or_default(), option);
        // What to leave out of a file, say, is not said where it is not known.
        if leave || option.form == Form::Flag || value.is_some() {
            out.push(Hint { option, value, leave });
        }
    }
    out
}

/// The value that stands at the beginning of `text`, if one does.
fn value(text: &str, option: &OptionInfo) -> Option<String> {
    let word = if let Some(quoted) = text.strip_prefix("$'") {
        unescaped(quoted.split_once('\'')?.0)
    } else if let Some(quoted) = text.strip_prefix('\'') {
        quoted.split_once('\'')?.0.to_owned()
    } else {
        text.split([' ', ',', ';', ')']).next()?.trim_end_matches(['.', ':']).to_owned()
    };
    let word = word.as_str();
    let is_value = match option.form {
        Form::Flag => false,
        Form::Choice(words) => words.contains(&word),
        Form::Number(..) => word.parse::<u64>().is_ok(),
        Form::Pairs { sign, .. } => word.contains(sign) || word.contains(':'),
        Form::Text(_) if option.key == "infer_records" => word == "all",
        Form::Names(_) => !["or", "to", "if", "and", "for", "where", "instead", "N"].contains(&word),
        _ => false,
    };
    (is_value && !word.is_empty()).then(|| word.to_owned())
}

/// As a shell reads the inside of `$'…'`.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let digits = match after.as_bytes().first() {
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let (code, after) = after.split_at(1 + digits);
        out.push_str(&match u32::from_str_radix(&code[1..], 16) {
            Ok(code) => char::from_u32(code).unwrap().to_string(),
            Err(_) => code.to_owned(),
        });
        rest = after;
    }
    out + rest
}
