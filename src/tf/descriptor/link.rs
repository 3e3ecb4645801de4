//! From declarations to messages that know each other.

use std::collections::{HashMap, HashSet};

use super::file::{
    EnumDecl, Features, FieldDecl, File, Label, Literal, MessageDecl, Presence, Scalar, TypeDecl,
};
use super::{DefaultValue, Enum, Field, Kind, Message, Pool, set, text, well_known};
use crate::error::{Error, Result};
use crate::options::Phrase;

/// The highest number of a field.
const MAX_NUMBER: u32 = (1 << 29) - 1;
/// How many messages, enums and fields files may declare together.
const MAX_DECLARATIONS: usize = 1_000_000;
/// How many files others may import.
const MAX_FILES: usize = 10_000;

/// Finds what a `.proto` file imports: the bytes of the file of that name, and what to call it; none if
/// there is none.
pub(crate) type FindImport<'a> = dyn FnMut(&str) -> Result<Option<(String, Vec<u8>)>> + 'a;

/// Linked files, and which of their messages records may hold.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) pool: Pool,
    /// The messages at the top of the files that no other imports.
    pub(crate) top_level: Vec<usize>,
    by_name: HashMap<String, usize>,
}

impl Files {
    /// Reads a `FileDescriptorSet`.
    ///
    /// # Errors
    /// It is not one, or does not say all that records are read by.
    pub(crate) fn from_set(bytes: &[u8]) -> Result<Self> {
        let files = set::parse(bytes)?;
        let imported: HashSet<&str> =
            files.iter().flat_map(|file| &file.imports).map(String::as_str).collect();
        let roots: Vec<bool> = files.iter().map(|file| !imported.contains(file.name.as_str())).collect();
        // A set without imports may leave out the files that everybody has.
        let mut known = files.clone();
        known.extend(missing_well_known(&files)?);
        link(&known, &roots)
    }

    /// Compiles the text of a `.proto` file, called `name` in errors, and what it imports.
    ///
    /// # Errors
    /// The text is not a `.proto` file, an import is not found, or a type is declared nowhere.
    pub(crate) fn from_text(name: &str, source: &[u8], find: &mut FindImport<'_>) -> Result<Self> {
        let mut files = vec![text::parse(name, source)?];
        let mut seen: HashSet<String> = HashSet::new();
        let mut missing = Vec::new();
        let mut next = 0;
        while let Some(imports) = files.get(next).map(|file| file.imports.clone()) {
            for import in imports {
                if !seen.insert(import.clone()) {
                    continue;
                }
                if seen.len() > MAX_FILES {
                    return Err(Error::limit("too many imports").in_source(name));
                }
                match find(&import)? {
                    Some((path, bytes)) => files.push(text::parse(&path, &bytes)?),
                    None => match well_known::file(&import)? {
                        Some(file) => files.push(file),
                        None => missing.push(import),
                    },
                }
            }
            next += 1;
        }
        // What is imported for options alone is not missed.
        link(&files, &[true]).map_err(|error| match missing.as_slice() {
            [] => error,
            missing => error.with_hint(
                Phrase::new("name the folder that imports begin in with {proto_path}: ")
                    .text(format!("{} is not found", missing.join(", "))),
            ),
        })
    }

    /// The message that records hold: `name` with its package, or the only one there is.
    ///
    /// # Errors
    /// There is no such message, or several and no name.
    pub(crate) fn root(&self, name: Option<&str>) -> Result<usize> {
        let name_of = |index: &usize| self.pool.message(*index).map_or("", |m| m.name.as_str());
        let names = || self.top_level.iter().map(name_of).collect::<Vec<_>>();
        let Some(name) = name else {
            return match self.top_level.as_slice() {
                [only] => Ok(*only),
                [] => Err(Error::config("no message is declared at the top of the file")
                    .with_hint(Phrase::new("say which one the records hold with {message}"))),
                _ => Err(Error::config("several messages are declared").with_hint(
                    Phrase::new("say which one the records hold with {message}, one of: ")
                        .text(listed(&names())),
                )),
            };
        };
        let name = name.strip_prefix('.').unwrap_or(name);
        if let Some(index) = self.by_name.get(name) {
            return Ok(*index);
        }
        let ends = |full: &&str| full.rsplit('.').next() == name.rsplit('.').next();
        let near: Vec<&str> = self.by_name.keys().map(String::as_str).filter(ends).collect();
        let error = Error::config(format!("no message `{name}`"));
        Err(match near.as_slice() {
            [near] => error.with_hint(format!("did you mean `{near}`?")),
            _ => error.with_hint(format!("there are: {}", listed(&names()))),
        })
    }
}

fn listed(names: &[&str]) -> String {
    const MOST: usize = 40;
    let mut text = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(", …");
    }
    text
}

/// The files that everybody has which `files` import but do not hold.
fn missing_well_known(files: &[File]) -> Result<Vec<File>> {
    let mut seen: HashSet<String> = files.iter().map(|file| file.name.clone()).collect();
    let mut wanted: Vec<String> = files.iter().flat_map(|file| file.imports.clone()).collect();
    let mut found = Vec::new();
    while let Some(name) = wanted.pop() {
        if seen.insert(name.clone())
            && let Some(file) = well_known::file(&name)?
        {
            wanted.extend(file.imports.iter().cloned());
            found.push(file);
        }
    }
    Ok(found)
}

/// What a full name stands for.
#[derive(Clone, Copy)]
enum Symbol {
    Message(usize),
    Enum(usize),
}

/// A message whose fields are still to be linked.
struct Pending<'a> {
    decl: &'a MessageDecl,
    name: String,
    features: Features,
}

#[derive(Default)]
struct Linker<'a> {
    symbols: HashMap<String, Symbol>,
    pending: Vec<Pending<'a>>,
    enums: Vec<Enum>,
    extended: Vec<(String, &'a str)>,
    declarations: usize,
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// Links `files`; what stands at the top of those that `roots` says are roots can be records.
fn link(files: &[File], roots: &[bool]) -> Result<Files> {
    let mut linker = Linker::default();
    let mut top_level = Vec::new();
    let mut names = HashSet::new();
    for (index, file) in files.iter().enumerate() {
        if !names.insert(file.name.as_str()) && !file.name.is_empty() {
            continue;
        }
        let features = file.features.within(file.edition.features());
        let root = roots.get(index).copied().unwrap_or_default();
        for decl in &file.messages {
            if root {
                top_level.push(linker.pending.len());
            }
            linker.declare(decl, &file.package, features)?;
        }
        for decl in &file.enums {
            linker.declare_enum(decl, &file.package, features)?;
        }
        linker.extended.extend(file.extended.iter().map(|name| (file.package.clone(), name.as_str())));
    }
    let mut messages = Vec::with_capacity(linker.pending.len());
    for pending in &linker.pending {
        messages.push(linker.message(pending)?);
    }
    for (scope, extended) in &linker.extended {
        if let Some(Symbol::Message(index)) = linker.resolve(scope, extended)
            && let Some(message) = messages.get_mut(index)
        {
            message.extensions += 1;
        }
    }
    check_maps(&messages)?;
    let by_name = messages.iter().enumerate().filter(|(_, message)| !message.map_entry);
    let by_name = by_name.map(|(index, message)| (message.name.clone(), index)).collect();
    Ok(Files { pool: Pool { messages, enums: linker.enums }, top_level, by_name })
}

/// Entries of maps must be such, since they are read without looking again.
fn check_maps(messages: &[Message]) -> Result<()> {
    for message in messages.iter().filter(|message| message.map_entry) {
        let field = |number| {
            let mut fields = message.fields.iter().filter(move |field| field.number == number);
            fields.next().filter(|field| !field.repeated)
        };
        let key = field(1).is_some_and(|key| matches!(key.kind, Kind::Scalar(scalar) if scalar.is_key()));
        if !key || field(2).is_none_or(|value| matches!(value.kind, Kind::Group(_))) {
            return Err(Error::corrupt("map without a key or value").in_source(message.name.as_str()));
        }
    }
    Ok(())
}

impl<'a> Linker<'a> {
    fn add(&mut self, name: String, symbol: Symbol) -> Result<()> {
        self.declarations += 1;
        if self.declarations > MAX_DECLARATIONS {
            return Err(Error::limit("too many declarations"));
        }
        match self.symbols.insert(name.clone(), symbol) {
            None => Ok(()),
            Some(_) => Err(Error::corrupt(format!("`{name}` is declared twice"))),
        }
    }

    fn declare(&mut self, decl: &'a MessageDecl, scope: &str, outer: Features) -> Result<()> {
        let name = join(scope, &decl.name);
        let features = decl.features.within(outer);
        self.add(name.clone(), Symbol::Message(self.pending.len()))?;
        self.pending.push(Pending { decl, name: name.clone(), features });
        for inner in &decl.messages {
            self.declare(inner, &name, features)?;
        }
        for inner in &decl.enums {
            self.declare_enum(inner, &name, features)?;
        }
        self.extended.extend(decl.extended.iter().map(|extended| (name.clone(), extended.as_str())));
        Ok(())
    }

    fn declare_enum(&mut self, decl: &EnumDecl, scope: &str, outer: Features) -> Result<()> {
        let name = join(scope, &decl.name);
        self.add(name.clone(), Symbol::Enum(self.enums.len()))?;
        self.declarations += decl.values.len();
        let closed = decl.features.within(outer).closed_enum.unwrap_or_default();
        self.enums.push(Enum { name, values: decl.values.clone(), closed });
        Ok(())
    }

    /// What `name` stands for where it is used in `scope`: the innermost scope counts in which its
    /// first part is declared.
    fn resolve(&self, scope: &str, name: &str) -> Option<Symbol> {
        if let Some(full) = name.strip_prefix('.') {
            return self.symbols.get(full).copied();
        }
        let mut scope = Some(scope);
        while let Some(outer) = scope {
            if let Some(symbol) = self.symbols.get(&join(outer, name)) {
                return Some(*symbol);
            }
            scope = match outer.rfind('.') {
                Some(at) => outer.get(..at),
                None if outer.is_empty() => None,
                None => Some(""),
            };
        }
        None
    }

    fn message(&self, pending: &Pending<'_>) -> Result<Message> {
        let decl = pending.decl;
        let mut fields = Vec::with_capacity(decl.fields.len());
        let (mut numbers, mut names) = (HashSet::new(), HashSet::new());
        for field in &decl.fields {
            let wrong = |what: &str| {
                let field = format!("{}.{}", pending.name, field.name);
                Err(Error::corrupt(what.to_owned()).in_source(field))
            };
            if field.name.is_empty() || !names.insert(field.name.as_str()) {
                return wrong("name of a field that is empty or used twice");
            }
            if field.number == 0 || field.number > MAX_NUMBER || !numbers.insert(field.number) {
                return wrong("number of a field that is none or used twice");
            }
            if field.oneof.is_some_and(|oneof| oneof >= decl.oneofs.len()) {
                return wrong("field of a oneof that does not exist");
            }
            fields.push(self.field(field, pending)?);
        }
        Ok(Message {
            name: pending.name.clone(),
            fields,
            oneofs: decl.oneofs.iter().map(|(name, _)| name.clone()).collect(),
            map_entry: decl.map_entry,
            extensible: decl.extensible,
            extensions: 0,
        })
    }

    fn field(&self, decl: &FieldDecl, pending: &Pending<'_>) -> Result<Field> {
        let full_name = || format!("{}.{}", pending.name, decl.name);
        let outer = match decl.oneof.and_then(|oneof| pending.decl.oneofs.get(oneof)) {
            Some((_, features)) => features.within(pending.features),
            None => pending.features,
        };
        let features = decl.features.within(outer);
        let kind = match &decl.kind {
            TypeDecl::Scalar(scalar) => Kind::Scalar(*scalar),
            TypeDecl::Missing => return Err(Error::corrupt("field without a type").in_source(full_name())),
            TypeDecl::Named(name) | TypeDecl::Group(name) => {
                let symbol = self.resolve(&pending.name, name).ok_or_else(|| {
                    let name = name.strip_prefix('.').unwrap_or(name);
                    Error::config(format!("type `{name}` is declared nowhere"))
                        .in_source(full_name())
                        .with_hint("write the descriptors with protoc --include_imports")
                })?;
                let group = matches!(decl.kind, TypeDecl::Group(_));
                match symbol {
                    Symbol::Enum(index) => Kind::Enum(index),
                    Symbol::Message(index) if group => Kind::Group(index),
                    // Maps and what they hold are never delimited.
                    Symbol::Message(index)
                        if features.delimited == Some(true)
                            && !pending.decl.map_entry
                            && !self.is_map_entry(index) =>
                    {
                        Kind::Group(index)
                    }
                    Symbol::Message(index) => Kind::Message(index),
                }
            }
        };
        let repeated = decl.label == Label::Repeated;
        let presence = !repeated
            && (decl.oneof.is_some()
                || decl.proto3_optional
                || decl.label == Label::Required
                || matches!(kind, Kind::Message(_) | Kind::Group(_))
                || features.presence != Some(Presence::Implicit));
        let default = match &decl.default {
            Some(literal) if !repeated => {
                let default = self.default_value(kind, literal);
                let wrong =
                    || Error::corrupt("default of another type than the field").in_source(full_name());
                Some(default.ok_or_else(wrong)?)
            }
            _ => None,
        };
        let oneof = decl.oneof.filter(|_| !decl.proto3_optional);
        Ok(Field { name: decl.name.clone(), number: decl.number, kind, repeated, presence, oneof, default })
    }

    fn is_map_entry(&self, message: usize) -> bool {
        self.pending.get(message).is_some_and(|pending| pending.decl.map_entry)
    }

    fn default_value(&self, kind: Kind, literal: &Literal) -> Option<DefaultValue> {
        let scalar = match kind {
            Kind::Scalar(scalar) => scalar,
            Kind::Enum(index) => {
                let Literal::Written(name) = literal else { return None };
                let values = &self.enums.get(index)?.values;
                let (_, number) = values.iter().find(|(value, _)| value == name)?;
                return Some(DefaultValue::Int(i64::from(*number)));
            }
            Kind::Message(_) | Kind::Group(_) => return None,
        };
        let written = match (scalar, literal) {
            (Scalar::String | Scalar::Bytes, Literal::Bytes(bytes)) => {
                return Some(DefaultValue::Bytes(bytes.clone()));
            }
            (Scalar::String, Literal::Written(text)) => {
                return Some(DefaultValue::Bytes(text.clone().into()));
            }
            (Scalar::Bytes, Literal::Written(text)) => {
                return text::unescape(text.as_bytes()).map(DefaultValue::Bytes);
            }
            (_, Literal::Written(text)) => text.as_str(),
            (_, Literal::Bytes(_)) => return None,
        };
        match scalar {
            Scalar::Double | Scalar::Float => {
                let value = match written {
                    "inf" => f64::INFINITY,
                    "-inf" => f64::NEG_INFINITY,
                    "nan" | "-nan" => f64::NAN,
                    other => other.parse().ok()?,
                };
                Some(DefaultValue::Float(value))
            }
            Scalar::Bool => match written {
                "true" => Some(DefaultValue::Bool(true)),
                "false" => Some(DefaultValue::Bool(false)),
                _ => None,
            },
            Scalar::UInt32 | Scalar::Fixed32 => {
                let value = text::integer(written)?;
                u32::try_from(value).ok().map(|value| DefaultValue::UInt(value.into()))
            }
            Scalar::UInt64 | Scalar::Fixed64 => {
                u64::try_from(text::integer(written)?).ok().map(DefaultValue::UInt)
            }
            Scalar::Int32 | Scalar::SInt32 | Scalar::SFixed32 => {
                let value = text::integer(written)?;
                i32::try_from(value).ok().map(|value| DefaultValue::Int(value.into()))
            }
            _ => i64::try_from(text::integer(written)?).ok().map(DefaultValue::Int),
        }
    }
}
