//! From a descriptor to the tree of a plan, field by field.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, FieldRef, Fields};
use serde_json::{Map, Value};

use super::wanted::Wanted;
use super::{
    Absent, Content, EnumLeaf, FieldNode, Framing, Leaf, MessageNode, MessageOptions, PROTO_ENUM,
    PROTO_ONEOF, PROTO_TYPE,
};
use crate::error::{Error, Result};
use crate::options::{Phrase, Structure};
use crate::schema::mapping::with_metadata;
use crate::schema::{Projection, unknown_column};
use crate::tensor::extension::item;
use crate::tf::descriptor::{Enum, Field, Kind, Message, Pool, Scalar};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// How often a message may stand within itself.
const MAX_LEVELS: usize = 2;
/// How deep messages may nest; Python's runtime reads no deeper ones.
const MAX_DEPTH: usize = 100;
/// How many fields a plan may have.
const MAX_FIELDS: usize = 100_000;
/// How many paths are looked at to find what a name that does not exist was meant to be.
const MAX_SUGGESTIONS: usize = 10_000;

/// Checks that what is asked for or excluded exists.
///
/// # Errors
/// It does not.
pub(super) fn check_names(pool: &Pool, root: usize, options: MessageOptions<'_>) -> Result<()> {
    for name in Wanted(options.projection).names() {
        let mut builder = Builder::new(pool, options);
        if !builder.exists(root, name) {
            let all = Projection::default();
            let options = MessageOptions { projection: &all, ..options };
            builder = Builder { most: MAX_SUGGESTIONS, ..Builder::new(pool, options) };
            // Where there are too many, the first ones do.
            drop(builder.root(root));
            let paths: Vec<&str> = builder.paths.iter().map(String::as_str).collect();
            return Err(unknown_column(name, &paths));
        }
    }
    Ok(())
}

/// What a field's type means for its column.
enum Meaning<'a> {
    Leaf(Leaf),
    Message(usize, Framing),
    Map(&'a Message),
}

/// Builds the tree of a plan.
pub(super) struct Builder<'a> {
    pool: &'a Pool,
    options: MessageOptions<'a>,
    /// The messages that the one at hand stands in, with itself.
    within: Vec<usize>,
    enums: HashMap<usize, Arc<EnumLeaf>>,
    fields: usize,
    most: usize,
    /// The paths of what has been planned.
    paths: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(pool: &'a Pool, options: MessageOptions<'a>) -> Self {
        Self {
            pool,
            options,
            within: Vec::new(),
            enums: HashMap::new(),
            fields: 0,
            most: MAX_FIELDS,
            paths: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The tree of the records.
    ///
    /// # Errors
    /// It would have too many fields.
    pub(super) fn root(&mut self, root: usize) -> Result<(MessageNode, ElementSpec)> {
        self.message(root, "", true)
    }

    /// Whether `path` is the path of a field.
    fn exists(&mut self, root: usize, path: &str) -> bool {
        self.within.push(root);
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let Some(message) = self.within.last().and_then(|index| self.pool.message(*index)) else { break };
            let Some(field) = message.fields.iter().find(|field| field.name == part) else { return false };
            let inner = match self.meaning(field) {
                Meaning::Message(index, _) => Some(index),
                Meaning::Leaf(_) => None,
                Meaning::Map(entry) => match (parts.next(), entry_field(entry, 2).map(|f| self.meaning(f))) {
                    (Some("value"), Some(Meaning::Message(index, _))) => Some(index),
                    (None | Some("key" | "value"), _) => None,
                    _ => return false,
                },
            };
            match inner {
                Some(index) => self.within.push(index),
                None => return parts.peek().is_none(),
            }
        }
        true
    }

    fn message(&mut self, index: usize, path: &str, flat: bool) -> Result<(MessageNode, ElementSpec)> {
        let pool = self.pool;
        let mut node = MessageNode { fields: Vec::new(), oneofs: 0, flat };
        let Some(message) = pool.message(index) else { return Ok((node, ElementSpec::None)) };
        node.oneofs = message.oneofs.len();
        if message.extensible || message.extensions > 0 {
            self.note(match message.extensions {
                0 => format!("extensions of {} are passed over", message.name),
                n => format!("extensions of {} are passed over ({n} are declared)", message.name),
            });
        }
        self.within.push(index);
        let wanted = Wanted(self.options.projection);
        let mut specs = Vec::new();
        let mut passed = Vec::new();
        for field in &message.fields {
            let path = if path.is_empty() { field.name.clone() } else { format!("{path}/{}", field.name) };
            if !wanted.part(&path) {
                passed.push(field);
                continue;
            }
            let oneof = field.oneof.and_then(|oneof| message.oneofs.get(oneof));
            if let Some((field, spec)) = self.field(field, &path, flat, oneof)? {
                specs.push((field.name.to_string(), spec));
                node.fields.push(field);
            }
        }
        self.within.pop();
        // Another member of a oneof displaces those that are asked for.
        for field in passed.into_iter().filter(|field| field.oneof.is_some()) {
            if node.fields.iter().any(|other| other.oneof == field.oneof) {
                let leaf = match self.meaning(field) {
                    Meaning::Leaf(leaf) => leaf,
                    Meaning::Message(_, framing) => Leaf::Opaque(framing),
                    Meaning::Map(_) => continue,
                };
                let (name, number, oneof) = (field.name.as_str().into(), field.number, field.oneof);
                let unused = Arc::new(ArrowField::new("", DataType::Null, true));
                let content = Content::Passed(leaf);
                node.fields.push(FieldNode { name, number, oneof, content, field: unused });
            }
        }
        Ok((node, ElementSpec::NamedTuple { name: message.name.clone(), fields: specs }))
    }

    fn note(&mut self, note: String) {
        const MOST: usize = 50;
        if self.notes.len() < MOST && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn field(
        &mut self,
        field: &Field,
        path: &str,
        flat: bool,
        oneof: Option<&String>,
    ) -> Result<Option<(FieldNode, ElementSpec)>> {
        self.fields += 1;
        if self.fields > self.most {
            let name = self.within.first().and_then(|root| self.pool.message(*root));
            let name = name.map_or("", |message| message.name.as_str());
            return Err(Error::limit(format!("message with too many fields within fields: `{name}`"))
                .expected(format!("at most {}", self.most), "more")
                .with_hint(Phrase::new("ask for some of them with {columns}")));
        }
        self.paths.push(path.to_owned());
        let (content, data_type, spec) = match (self.meaning(field), field.repeated) {
            (Meaning::Leaf(leaf), repeated) => {
                let leaf = self.as_text(leaf, path);
                if let Leaf::Opaque(_) = leaf {
                    self.note(format!("{path} is the message {} as it is", self.type_name(field)));
                }
                let spec = spec_of(&leaf, repeated);
                if repeated {
                    let list = DataType::List(item(leaf.data_type()));
                    (Content::Many(leaf), list, spec)
                } else {
                    let absent = self.absent(field, &leaf);
                    let data_type = leaf.data_type();
                    (Content::One(leaf, absent), data_type, spec)
                }
            }
            (Meaning::Message(index, framing), true) => {
                let (node, spec) = self.message(index, path, false)?;
                if node.fields.is_empty() {
                    return Ok(None);
                }
                let list = DataType::List(item(struct_of(&node)));
                (Content::Messages(node, framing), list, ElementSpec::Dataset(Box::new(spec)))
            }
            (Meaning::Message(index, framing), false) => {
                let flat = flat && self.options.mapping.structure == Structure::Flat;
                let (node, spec) = self.message(index, path, flat)?;
                if node.fields.is_empty() {
                    return Ok(None);
                }
                let data_type = struct_of(&node);
                (Content::Message(node, framing), data_type, spec)
            }
            (Meaning::Map(entry), _) => match self.map(entry, path)? {
                Some(map) => map,
                None => return Ok(None),
            },
        };
        let mut column = ArrowField::new(&field.name, data_type, true);
        column = with_metadata(column, PROTO_TYPE, &self.declared(field));
        if let Some(oneof) = oneof {
            column = with_metadata(column, PROTO_ONEOF, oneof);
        }
        if let Kind::Enum(index) = field.kind
            && let Some(declared) = self.pool.enums.get(index)
        {
            column = with_metadata(column, PROTO_ENUM, &numbers_by_name(declared));
        }
        let node = FieldNode {
            name: field.name.as_str().into(),
            number: field.number,
            oneof: field.oneof,
            content,
            field: Arc::new(column),
        };
        Ok(Some((node, spec)))
    }

    fn map(&mut self, entry: &Message, path: &str) -> Result<Option<(Content, DataType, ElementSpec)>> {
        let (Some(key), Some(value)) = (entry_field(entry, 1), entry_field(entry, 2)) else {
            return Ok(None);
        };
        let Meaning::Leaf(key) = self.meaning(key) else { return Ok(None) };
        let value_path = format!("{path}/value");
        let Some((mut value, value_spec)) = self.field(value, &value_path, false, None)? else {
            return Ok(None);
        };
        if let Content::One(_, absent) = &mut value.content {
            // An entry without a value has the default one.
            *absent = Absent::Zero;
        }
        let key_field = ArrowField::new("key", key.data_type(), false);
        let fields = Fields::from(vec![Arc::new(key_field), value.field.clone()]);
        let entries = Arc::new(ArrowField::new("entries", DataType::Struct(fields), false));
        let spec = ElementSpec::NamedTuple {
            name: entry.name.clone(),
            fields: vec![("key".to_owned(), spec_of(&key, false)), ("value".to_owned(), value_spec)],
        };
        let content = Content::Map { key, value: Box::new(value) };
        Ok(Some((content, DataType::Map(entries, false), ElementSpec::Dataset(Box::new(spec)))))
    }

    fn meaning(&mut self, field: &Field) -> Meaning<'a> {
        let (index, framing) = match field.kind {
            Kind::Scalar(scalar) => return Meaning::Leaf(Leaf::Scalar(scalar)),
            Kind::Enum(index) => return Meaning::Leaf(Leaf::Enum(self.enumeration(index))),
            Kind::Message(index) => (index, Framing::Length),
            Kind::Group(index) => (index, Framing::Group),
        };
        let Some(message) = self.pool.message(index) else {
            return Meaning::Leaf(Leaf::Opaque(framing));
        };
        if message.map_entry && field.repeated {
            return Meaning::Map(message);
        }
        if framing == Framing::Length
            && let Some(leaf) = well_known(message)
        {
            return Meaning::Leaf(leaf);
        }
        let levels = self.within.iter().filter(|outer| **outer == index).count();
        if levels >= MAX_LEVELS || self.within.len() >= MAX_DEPTH || message.fields.is_empty() {
            return Meaning::Leaf(Leaf::Opaque(framing));
        }
        Meaning::Message(index, framing)
    }

    /// Bytes are text where somebody says so.
    fn as_text(&self, leaf: Leaf, path: &str) -> Leaf {
        match leaf {
            Leaf::Scalar(Scalar::Bytes) if self.options.mapping.is_text(path) => Leaf::Scalar(Scalar::String),
            other => other,
        }
    }

    fn absent(&self, field: &Field, leaf: &Leaf) -> Absent {
        match (&field.default, leaf) {
            (Some(default), _) if self.options.defaults && field.oneof.is_none() => {
                Absent::Default(default.clone())
            }
            (_, Leaf::Scalar(_) | Leaf::Enum(_)) if !field.presence => Absent::Zero,
            _ => Absent::Null,
        }
    }

    fn enumeration(&mut self, index: usize) -> Arc<EnumLeaf> {
        let by_name = self.options.class_names;
        let pool = self.pool;
        let leaf = self.enums.entry(index).or_insert_with(|| {
            let declared = pool.enums.get(index);
            let values = declared.map_or(&[][..], |declared| declared.values.as_slice());
            let mut numbers: Vec<(i32, i32)> = Vec::with_capacity(values.len());
            let mut names: Vec<String> = Vec::with_capacity(values.len());
            let mut seen = std::collections::HashSet::new();
            for (name, number) in values {
                if seen.insert(*number) {
                    numbers.push((*number, i32::try_from(names.len()).unwrap_or(i32::MAX)));
                    names.push(name.clone());
                }
            }
            numbers.sort_unstable();
            let closed = declared.is_some_and(|declared| declared.closed);
            Arc::new(EnumLeaf { numbers, names, closed, by_name })
        });
        leaf.clone()
    }

    fn type_name(&self, field: &Field) -> &'a str {
        match field.kind {
            Kind::Scalar(scalar) => scalar.name(),
            Kind::Enum(index) => self.pool.enums.get(index).map_or("", |declared| declared.name.as_str()),
            Kind::Message(index) | Kind::Group(index) => {
                self.pool.message(index).map_or("", |message| message.name.as_str())
            }
        }
    }

    /// A field's type as it is declared: `repeated int32`, `map<string, pkg.Name>`.
    fn declared(&self, field: &Field) -> String {
        let name = self.type_name(field);
        let entry = match field.kind {
            Kind::Message(index) => self.pool.message(index).filter(|message| message.map_entry),
            _ => None,
        };
        match (entry, field.repeated) {
            (Some(entry), true) => {
                let part = |number| entry_field(entry, number).map_or("", |field| self.type_name(field));
                format!("map<{}, {}>", part(1), part(2))
            }
            (_, true) => format!("repeated {name}"),
            (_, false) => name.to_owned(),
        }
    }
}

fn entry_field(entry: &Message, number: u32) -> Option<&Field> {
    entry.fields.iter().find(|field| field.number == number)
}

fn struct_of(node: &MessageNode) -> DataType {
    let asked = node.fields.iter().filter(|field| !matches!(field.content, Content::Passed(_)));
    DataType::Struct(asked.map(|field| field.field.clone()).collect::<Vec<FieldRef>>().into())
}

/// The leaf that a message is which everybody reads as a value; none if it is another message, or is
/// not what it should be.
fn well_known(message: &Message) -> Option<Leaf> {
    let name = message.name.strip_prefix("google.protobuf.")?;
    let is = |number: u32, scalar: Scalar| {
        let field = message.fields.iter().find(|field| field.number == number);
        field.is_some_and(|field| field.kind == Kind::Scalar(scalar) && !field.repeated)
    };
    let wrapper =
        |scalar: Scalar| (message.fields.len() == 1 && is(1, scalar)).then_some(Leaf::Wrapper(scalar));
    let time = message.fields.len() == 2 && is(1, Scalar::Int64) && is(2, Scalar::Int32);
    match name {
        "Timestamp" if time => Some(Leaf::Timestamp),
        "Duration" if time => Some(Leaf::Duration),
        "DoubleValue" => wrapper(Scalar::Double),
        "FloatValue" => wrapper(Scalar::Float),
        "Int64Value" => wrapper(Scalar::Int64),
        "UInt64Value" => wrapper(Scalar::UInt64),
        "Int32Value" => wrapper(Scalar::Int32),
        "UInt32Value" => wrapper(Scalar::UInt32),
        "BoolValue" => wrapper(Scalar::Bool),
        "StringValue" => wrapper(Scalar::String),
        "BytesValue" => wrapper(Scalar::Bytes),
        _ => None,
    }
}

fn numbers_by_name(declared: &Enum) -> String {
    let numbers = declared.values.iter().map(|(name, number)| (name.clone(), Value::from(*number)));
    Value::Object(numbers.collect::<Map<_, _>>()).to_string()
}

/// The spec of a value, or of a list of them.
fn spec_of(leaf: &Leaf, repeated: bool) -> ElementSpec {
    let dtype = match leaf {
        Leaf::Scalar(scalar) | Leaf::Wrapper(scalar) => match scalar {
            Scalar::Double => DType::Float64,
            Scalar::Float => DType::Float32,
            Scalar::Int64 | Scalar::SFixed64 | Scalar::SInt64 => DType::Int64,
            Scalar::UInt64 | Scalar::Fixed64 => DType::UInt64,
            Scalar::Int32 | Scalar::SFixed32 | Scalar::SInt32 => DType::Int32,
            Scalar::UInt32 | Scalar::Fixed32 => DType::UInt32,
            Scalar::Bool => DType::Bool,
            Scalar::String | Scalar::Bytes => DType::String,
        },
        Leaf::Enum(leaf) if leaf.by_name => DType::String,
        Leaf::Enum(_) => DType::Int32,
        Leaf::Timestamp | Leaf::Duration => DType::Int64,
        Leaf::Opaque(_) => DType::String,
    };
    let shape = if repeated { Shape::Dims(vec![None]) } else { Shape::scalar() };
    ElementSpec::tensor(dtype, shape)
}
