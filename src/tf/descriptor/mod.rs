//! Descriptors of protobuf messages: what `.proto` files and compiled `FileDescriptorSet`s say of the
//! records that hold such messages.
//!
//! A file is read from either form into the same [declarations](file::File); [`Pool::link`] resolves
//! their names and the features of their editions. Whatever is read is checked: names that are
//! nowhere declared, numbers that occur twice, nesting without end.

mod file;
mod link;
mod set;
mod text;
mod well_known;

pub(crate) use self::file::Scalar;
pub(crate) use self::link::Files;

/// Messages and enums that know each other.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) messages: Vec<Message>,
    pub(crate) enums: Vec<Enum>,
}

/// A message.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// With its package.
    pub(crate) name: String,
    /// In the order in which they are declared.
    pub(crate) fields: Vec<Field>,
    /// The names of its oneofs.
    pub(crate) oneofs: Vec<String>,
    /// Whether it is the entry of a map: fields 1 and 2 are there, and are what they should be.
    pub(crate) map_entry: bool,
    /// Whether others may extend it.
    pub(crate) extensible: bool,
    /// How many extensions of it are declared, as far as is known.
    pub(crate) extensions: usize,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    /// Whether absent is not the same as the default value.
    pub(crate) presence: bool,
    /// The oneof of the message that it is a member of.
    pub(crate) oneof: Option<usize>,
    /// The value that is declared for where it is absent.
    pub(crate) default: Option<DefaultValue>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Scalar(Scalar),
    /// An enum of the pool.
    Enum(usize),
    /// A message of the pool, behind its length.
    Message(usize),
    /// A message of the pool, between tags.
    Group(usize),
}

/// A declared default, as the field's type stores it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DefaultValue {
    Int(i64),
    UInt(u64),
    Float(f64),
    Bool(bool),
    Bytes(Vec<u8>),
}

/// An enum.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: String,
    /// Names and numbers, in the order in which they are declared.
    pub(crate) values: Vec<(String, i32)>,
    /// Whether other numbers are unknown fields.
    pub(crate) closed: bool,
}

impl Pool {
    /// The message of that number, which must be one of this pool.
    pub(crate) fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(index)
    }
}
