//! Messages of any protobuf as columns: the plan that records of them are decoded by.
//!
//! | protobuf | column |
//! | --- | --- |
//! | numbers, bool | the same width |
//! | string, bytes | Utf8, Binary |
//! | enum | Int32, or a dictionary of the names |
//! | message | its fields, by path; below lists and maps a struct |
//! | repeated, map | List, Map |
//! | Timestamp, Duration, wrappers | Timestamp and Duration of nanoseconds, the value |
//! | a message below the second level of itself, or without fields | Binary: the message as it is |

mod fields;
mod wanted;

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, TimeUnit};

use self::fields::Builder;
use self::wanted::Wanted;
use super::mapping::MappingOptions;
use super::{Projection, SOURCE, VERSION, unknown_column};
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::tf::descriptor::{DefaultValue, Files, Scalar};
use crate::tf::spec::ElementSpec;

/// Schema metadata key: the message that the records hold, with its package.
pub(crate) const MESSAGE: &str = "tfarrow.message";
/// Field metadata key: the type as the descriptor declares it.
pub(crate) const PROTO_TYPE: &str = "proto.type";
/// Field metadata key: the numbers of an enum by name, as a JSON object.
const PROTO_ENUM: &str = "proto.enum";
/// Field metadata key: the oneof that the field is a member of.
const PROTO_ONEOF: &str = "proto.oneof";

/// How the mapping is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageOptions<'a> {
    pub(crate) mapping: &'a MappingOptions,
    pub(crate) projection: &'a Projection,
    /// Enums as dictionaries of their names.
    pub(crate) class_names: bool,
    /// Absent fields have the default that is declared for them.
    pub(crate) defaults: bool,
}

/// How records of one message are decoded, and the columns that they become.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    /// The message, with its package.
    pub(crate) name: String,
    pub(crate) root: MessageNode,
    pub(crate) schema: SchemaRef,
    /// The fields as TensorFlow would see them: tensors, and datasets where there are lists of
    /// messages.
    pub(crate) element_spec: ElementSpec,
    /// For each column, where it stands among those of the tree.
    pub(crate) order: Vec<usize>,
    /// What does not become columns of its own, in words.
    pub(crate) notes: Vec<String>,
}

/// A message of the plan.
#[derive(Debug)]
pub(crate) struct MessageNode {
    pub(crate) fields: Vec<FieldNode>,
    /// How many oneofs the message has.
    pub(crate) oneofs: usize,
    /// Whether its fields are columns of their own; otherwise it is a struct.
    pub(crate) flat: bool,
}

/// A field of the plan.
#[derive(Debug)]
pub(crate) struct FieldNode {
    pub(crate) name: Box<str>,
    pub(crate) number: u32,
    pub(crate) oneof: Option<usize>,
    pub(crate) content: Content,
    /// The column, or the field of a struct.
    pub(crate) field: FieldRef,
}

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// What nobody asks for: a member of a oneof, whose other members it displaces.
    Passed(Leaf),
    One(Leaf, Absent),
    Many(Leaf),
    Message(MessageNode, Framing),
    Messages(MessageNode, Framing),
    Map {
        key: Leaf,
        /// `One` or `Message`.
        value: Box<FieldNode>,
    },
}

/// What stands for a field that is absent from a message.
#[derive(Debug, Clone)]
pub(crate) enum Absent {
    Null,
    /// Zero, or nothing.
    Zero,
    Default(DefaultValue),
}

/// How a message is told from what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length,
    Group,
}

/// A value that is one value of a column.
#[derive(Debug, Clone)]
pub(crate) enum Leaf {
    Scalar(Scalar),
    Enum(Arc<EnumLeaf>),
    Timestamp,
    Duration,
    /// The value of a message with nothing else in it.
    Wrapper(Scalar),
    /// A message as it is.
    Opaque(Framing),
}

/// An enum, as far as values are read by it.
#[derive(Debug)]
pub(crate) struct EnumLeaf {
    /// Numbers in their order, and the first name of each by its place in `names`.
    pub(crate) numbers: Vec<(i32, i32)>,
    pub(crate) names: Vec<String>,
    /// Whether a number without a name is an unknown field.
    pub(crate) closed: bool,
    /// Whether names stand for the numbers in the column.
    pub(crate) by_name: bool,
}

impl EnumLeaf {
    /// The place of the name of `number`.
    pub(crate) fn name_of(&self, number: i32) -> Option<i32> {
        let at = self.numbers.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.numbers.get(at).map(|(_, name)| *name)
    }
}

impl Leaf {
    /// The type of a column of such values.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Leaf::Scalar(scalar) | Leaf::Wrapper(scalar) => scalar_type(*scalar),
            Leaf::Enum(leaf) if leaf.by_name => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            Leaf::Enum(_) => DataType::Int32,
            Leaf::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Leaf::Duration => DataType::Duration(TimeUnit::Nanosecond),
            Leaf::Opaque(_) => DataType::Binary,
        }
    }
}

fn scalar_type(scalar: Scalar) -> DataType {
    match scalar {
        Scalar::Double => DataType::Float64,
        Scalar::Float => DataType::Float32,
        Scalar::Int64 | Scalar::SFixed64 | Scalar::SInt64 => DataType::Int64,
        Scalar::UInt64 | Scalar::Fixed64 => DataType::UInt64,
        Scalar::Int32 | Scalar::SFixed32 | Scalar::SInt32 => DataType::Int32,
        Scalar::UInt32 | Scalar::Fixed32 => DataType::UInt32,
        Scalar::Bool => DataType::Boolean,
        Scalar::String => DataType::Utf8,
        Scalar::Bytes => DataType::Binary,
    }
}

impl MessagePlan {
    /// Plans the columns of the message of the pool that `root` names.
    ///
    /// # Errors
    /// A column is asked for that does not exist, two would have the same name, or there would be
    /// too many.
    pub(crate) fn new(files: &Files, root: usize, options: MessageOptions<'_>, source: &str) -> Result<Self> {
        let wanted = Wanted(options.projection);
        fields::check_names(&files.pool, root, options)?;
        let mut builder = Builder::new(&files.pool, options);
        let (node, spec) = builder.root(root)?;
        let name = files.pool.message(root).map(|message| message.name.clone()).unwrap_or_default();
        let mut columns = Vec::new();
        columns_of(&node, "", &mut columns);
        if columns.is_empty() {
            let error = Error::config("no column is left to read");
            return Err(match files.pool.message(root).is_none_or(|message| message.fields.is_empty()) {
                true => Error::unsupported(format!("message without fields: `{name}`")),
                false => {
                    error.with_hint(Phrase::new("ask for fewer with {exclude} or for more with {columns}"))
                }
            });
        }
        let paths: Vec<&str> = columns.iter().map(|(path, _)| path.as_str()).collect();
        let renamed = options.mapping.rename.iter().map(|(old, _)| old);
        if let Some(name) = renamed.into_iter().find(|name| !paths.contains(&name.as_str())) {
            return Err(unknown_column(name, &paths));
        }
        let within = |name: &str, path: &str| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut texts = options.mapping.text_columns();
        if let Some(name) = texts.find(|name| !paths.iter().any(|path| within(name, path))) {
            return Err(unknown_column(name, &paths));
        }
        // In the order in which they were asked for, and otherwise as they are declared.
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|at| columns.get(*at).map_or(0, |(path, _)| wanted.rank(path)));
        let mut fields: Vec<FieldRef> = Vec::with_capacity(columns.len());
        for (path, field) in order.iter().filter_map(|at| columns.get(*at)) {
            let name = options.mapping.column_name(path);
            if fields.iter().any(|field| field.name() == name) {
                return Err(Error::config(format!("two columns would be named `{name}`"))
                    .with_hint(Phrase::new("give one of them another name with {rename}")));
            }
            fields.push(Arc::new(field.as_ref().clone().with_name(name)));
        }
        let schema = schema_of(fields, &name, source);
        Ok(Self { name, root: node, schema, element_spec: spec, order, notes: builder.notes })
    }
}

/// A schema of records of `message`, with this crate's metadata. There is no element spec in it: what
/// columns a message becomes is undone by its descriptor alone.
pub(super) fn schema_of(fields: Vec<FieldRef>, message: &str, source: &str) -> SchemaRef {
    let metadata = [
        (MESSAGE.to_owned(), message.to_owned()),
        (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (SOURCE.to_owned(), source.to_owned()),
    ];
    Arc::new(Schema::new_with_metadata(fields, metadata.into()))
}

/// The columns of `node`, which is flat, and their paths, in the order of its fields.
fn columns_of(node: &MessageNode, path: &str, out: &mut Vec<(String, FieldRef)>) {
    for field in &node.fields {
        let path = if path.is_empty() { field.name.to_string() } else { format!("{path}/{}", field.name) };
        match &field.content {
            Content::Passed(_) => {}
            Content::Message(node, _) if node.flat => columns_of(node, &path, out),
            _ => out.push((path, field.field.clone())),
        }
    }
}
