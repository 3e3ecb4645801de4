//! What a `.proto` file declares, before its names are resolved: what the text and its compiled form,
//! a `FileDescriptorProto`, have in common, as far as records are read by it.

/// What stands at the head of a file: its syntax or edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Edition {
    #[default]
    Proto2,
    Proto3,
    /// 2023 or later.
    Year(u32),
}

impl Edition {
    /// What holds where nothing else is said.
    pub(crate) fn features(self) -> Features {
        let (presence, closed) = match self {
            Edition::Proto2 => (Presence::Explicit, true),
            Edition::Proto3 => (Presence::Implicit, false),
            Edition::Year(_) => (Presence::Explicit, false),
        };
        Features { presence: Some(presence), closed_enum: Some(closed), delimited: Some(false) }
    }
}

/// Whether a field can be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It can: absent is not the same as the default value.
    Explicit,
    /// Absent is the default value.
    Implicit,
}

/// The features of an edition that decide how records are read, as far as they are set. How repeated
/// fields are encoded is none of them, because both ways are read everywhere; nor is the validation
/// of UTF-8, because text columns hold nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Features {
    pub(crate) presence: Option<Presence>,
    /// Whether numbers that an enum does not name are unknown fields.
    pub(crate) closed_enum: Option<bool>,
    /// Whether a message stands between tags rather than behind its length.
    pub(crate) delimited: Option<bool>,
}

impl Features {
    /// These, and what `outer` sets of those that are not set.
    pub(crate) fn within(self, outer: Self) -> Self {
        Self {
            presence: self.presence.or(outer.presence),
            closed_enum: self.closed_enum.or(outer.closed_enum),
            delimited: self.delimited.or(outer.delimited),
        }
    }

    /// Sets the feature `name` to `value`, as an edition's text writes them.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        match (name, value) {
            ("field_presence", "IMPLICIT") => self.presence = Some(Presence::Implicit),
            ("field_presence", _) => self.presence = Some(Presence::Explicit),
            ("enum_type", _) => self.closed_enum = Some(value == "CLOSED"),
            ("message_encoding", _) => self.delimited = Some(value == "DELIMITED"),
            _ => {}
        }
    }
}

/// A file.
#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    /// What others import it as.
    pub(crate) name: String,
    pub(crate) package: String,
    pub(crate) imports: Vec<String>,
    pub(crate) edition: Edition,
    pub(crate) features: Features,
    pub(crate) messages: Vec<MessageDecl>,
    pub(crate) enums: Vec<EnumDecl>,
    /// The types that it extends.
    pub(crate) extended: Vec<String>,
}

/// A message.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageDecl {
    pub(crate) name: String,
    pub(crate) fields: Vec<FieldDecl>,
    pub(crate) messages: Vec<MessageDecl>,
    pub(crate) enums: Vec<EnumDecl>,
    /// The names of its oneofs, and the features that are set there.
    pub(crate) oneofs: Vec<(String, Features)>,
    pub(crate) features: Features,
    /// Whether it is the entry of a map.
    pub(crate) map_entry: bool,
    /// Whether others may extend it.
    pub(crate) extensible: bool,
    pub(crate) extended: Vec<String>,
}

/// How often a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Label {
    #[default]
    Optional,
    Required,
    Repeated,
}

/// A field of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldDecl {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) label: Label,
    pub(crate) kind: TypeDecl,
    pub(crate) default: Option<Literal>,
    /// Its oneof, by position.
    pub(crate) oneof: Option<usize>,
    /// `optional` in proto3.
    pub(crate) proto3_optional: bool,
    pub(crate) features: Features,
}

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum TypeDecl {
    /// None that is known.
    #[default]
    Missing,
    Scalar(Scalar),
    /// A message or enum, to be looked up.
    Named(String),
    /// A message between tags.
    Group(String),
}

/// The types that are not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Double,
    Float,
    Int64,
    UInt64,
    Int32,
    Fixed64,
    Fixed32,
    Bool,
    String,
    Bytes,
    UInt32,
    SFixed32,
    SFixed64,
    SInt32,
    SInt64,
}

impl Scalar {
    /// Names, and numbers in descriptors.
    const ALL: [(Scalar, &'static str, u64); 15] = [
        (Scalar::Double, "double", 1),
        (Scalar::Float, "float", 2),
        (Scalar::Int64, "int64", 3),
        (Scalar::UInt64, "uint64", 4),
        (Scalar::Int32, "int32", 5),
        (Scalar::Fixed64, "fixed64", 6),
        (Scalar::Fixed32, "fixed32", 7),
        (Scalar::Bool, "bool", 8),
        (Scalar::String, "string", 9),
        (Scalar::Bytes, "bytes", 12),
        (Scalar::UInt32, "uint32", 13),
        (Scalar::SFixed32, "sfixed32", 15),
        (Scalar::SFixed64, "sfixed64", 16),
        (Scalar::SInt32, "sint32", 17),
        (Scalar::SInt64, "sint64", 18),
    ];

    /// What the language calls it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scalar, ..)| *scalar == self).map_or("", |(_, name, _)| name)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n, _)| *n == name).map(|(scalar, ..)| *scalar)
    }

    pub(super) fn from_number(number: u64) -> Option<Self> {
        Self::ALL.iter().find(|(.., n)| *n == number).map(|(scalar, ..)| *scalar)
    }

    /// Whether it may be the key of a map.
    pub(crate) fn is_key(self) -> bool {
        !matches!(self, Scalar::Double | Scalar::Float | Scalar::Bytes)
    }
}

/// A declared default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    /// As a descriptor writes it: bytes are escaped.
    Written(String),
    /// The bytes of a string.
    Bytes(Vec<u8>),
}

/// An enum.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnumDecl {
    pub(crate) name: String,
    pub(crate) values: Vec<(String, i32)>,
    pub(crate) features: Features,
}
