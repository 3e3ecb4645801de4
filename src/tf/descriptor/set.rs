//! `FileDescriptorSet`: what `protoc --descriptor_set_out` writes, and any runtime can.
//!
//! The messages are defined by `google/protobuf/descriptor.proto`; of their fields these are read
//! which say how records are laid out.

use super::file::{
    Edition, EnumDecl, Features, FieldDecl, File, Label, Literal, MessageDecl, Presence, Scalar, TypeDecl,
};
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, Fault, LEN, VARINT, WireError};

/// How deep messages may be declared within messages.
pub(super) const MAX_NESTING: usize = 100;

/// The value of a field of a descriptor.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a wire type that no field of descriptors has.
    Other,
}

impl<'a> Value<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }
}

/// Gives every field of `message` to `take`.
fn fields<'a>(
    message: &'a [u8],
    mut take: impl FnMut(u32, Value<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut cursor = Cursor::new(message);
    while !cursor.is_empty() {
        let (field, wire_type) = cursor.tag()?;
        let value = match wire_type {
            VARINT => Value::Number(cursor.varint()?),
            LEN => Value::Bytes(cursor.bytes()?),
            other => {
                cursor.skip(field, other)?;
                Value::Other
            }
        };
        take(field, value)?;
    }
    Ok(())
}

/// Sets `text` to `value`, if that is one.
fn set_text(text: &mut String, value: Value<'_>) -> Result<(), WireError> {
    if let Some(bytes) = value.bytes() {
        *text = owned_text(bytes)?;
    }
    Ok(())
}

fn owned_text(bytes: &[u8]) -> Result<String, WireError> {
    simdutf8::basic::from_utf8(bytes).map(str::to_owned).map_err(|_| WireError::new(0, Fault::NotUtf8))
}

/// The files of a serialized `FileDescriptorSet`.
///
/// # Errors
/// It is not one: no sound message, or one without a file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let read = fields(bytes, |field, value| {
        if let (1, Some(bytes)) = (field, value.bytes()) {
            files.push(file(bytes)?);
        }
        Ok(())
    });
    let what = match read {
        Ok(()) if files.iter().any(|file| !file.messages.is_empty()) => return Ok(files),
        Ok(()) => "no file in it declares a message".to_owned(),
        Err(error) => error.fault.to_string(),
    };
    Err(Error::corrupt(format!("not a FileDescriptorSet: {what}"))
        .with_hint("write one with protoc --include_imports -o, or name a .proto file"))
}

fn file(bytes: &[u8]) -> Result<File, WireError> {
    let mut file = File::default();
    let mut features = Features::default();
    fields(bytes, |field, value| {
        match (field, value) {
            (1, _) => set_text(&mut file.name, value)?,
            (2, _) => set_text(&mut file.package, value)?,
            (3, Value::Bytes(bytes)) => file.imports.push(owned_text(bytes)?),
            (4, Value::Bytes(bytes)) => file.messages.push(message(bytes, 0)?),
            (5, Value::Bytes(bytes)) => file.enums.push(enumeration(bytes)?),
            (7, Value::Bytes(bytes)) => file.extended.extend(extendee(bytes)?),
            (8, Value::Bytes(bytes)) => options(bytes, 50, &mut features, |_, _| ())?,
            (12, Value::Bytes(b"proto3")) => file.edition = Edition::Proto3,
            (14, Value::Number(number)) => match u32::try_from(number) {
                Ok(998) => file.edition = Edition::Proto2,
                Ok(999) => file.edition = Edition::Proto3,
                Ok(number) if number >= 1000 => file.edition = Edition::Year(number.saturating_add(1023)),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    })?;
    file.features = features;
    Ok(file)
}

/// Reads the features in field `number` of an options message, and gives its other numbers to
/// `take`.
fn options(
    bytes: &[u8],
    number: u32,
    features: &mut Features,
    mut take: impl FnMut(u32, u64),
) -> Result<(), WireError> {
    fields(bytes, |field, value| {
        match value {
            Value::Bytes(bytes) if field == number => feature_set(bytes, features)?,
            Value::Number(value) => take(field, value),
            _ => {}
        }
        Ok(())
    })
}

fn feature_set(bytes: &[u8], features: &mut Features) -> Result<(), WireError> {
    fields(bytes, |field, value| {
        match (field, value.number()) {
            (1, Some(2)) => features.presence = Some(Presence::Implicit),
            (1, Some(1 | 3)) => features.presence = Some(Presence::Explicit),
            (2, Some(kind @ 1..=2)) => features.closed_enum = Some(kind == 2),
            (5, Some(kind @ 1..=2)) => features.delimited = Some(kind == 2),
            _ => {}
        }
        Ok(())
    })
}

fn message(bytes: &[u8], depth: usize) -> Result<MessageDecl, WireError> {
    if depth >= MAX_NESTING {
        return Err(WireError::new(0, Fault::BadGroup));
    }
    let mut decl = MessageDecl::default();
    let mut features = Features::default();
    fields(bytes, |number, value| {
        match (number, value) {
            (1, _) => set_text(&mut decl.name, value)?,
            (2, Value::Bytes(bytes)) => decl.fields.push(field(bytes)?),
            (3, Value::Bytes(bytes)) => decl.messages.push(message(bytes, depth + 1)?),
            (4, Value::Bytes(bytes)) => decl.enums.push(enumeration(bytes)?),
            (5, Value::Bytes(_)) => decl.extensible = true,
            (6, Value::Bytes(bytes)) => decl.extended.extend(extendee(bytes)?),
            (7, Value::Bytes(bytes)) => options(bytes, 12, &mut features, |option, value| {
                decl.map_entry = if option == 7 { value != 0 } else { decl.map_entry };
            })?,
            (8, Value::Bytes(bytes)) => {
                let (mut name, mut features) = (String::new(), Features::default());
                fields(bytes, |field, value| match (field, value) {
                    (1, _) => set_text(&mut name, value),
                    (2, Value::Bytes(bytes)) => options(bytes, 1, &mut features, |_, _| ()),
                    _ => Ok(()),
                })?;
                decl.oneofs.push((name, features));
            }
            _ => {}
        }
        Ok(())
    })?;
    decl.features = features;
    Ok(decl)
}

/// The type that an extension extends.
fn extendee(bytes: &[u8]) -> Result<Option<String>, WireError> {
    let mut name = None;
    fields(bytes, |field, value| {
        if let (2, Some(bytes)) = (field, value.bytes()) {
            name = Some(owned_text(bytes)?);
        }
        Ok(())
    })?;
    Ok(name)
}

fn field(bytes: &[u8]) -> Result<FieldDecl, WireError> {
    const GROUP: u64 = 10;
    let mut decl = FieldDecl::default();
    let mut features = Features::default();
    let (mut kind, mut type_name) = (0, String::new());
    fields(bytes, |field, value| {
        match (field, value) {
            (1, _) => set_text(&mut decl.name, value)?,
            (3, Value::Number(number)) => decl.number = u32::try_from(number).unwrap_or(u32::MAX),
            (4, Value::Number(label)) => {
                decl.label = match label {
                    2 => Label::Required,
                    3 => Label::Repeated,
                    _ => Label::Optional,
                };
            }
            (5, Value::Number(number)) => kind = number,
            (6, _) => set_text(&mut type_name, value)?,
            (7, Value::Bytes(bytes)) => decl.default = Some(Literal::Written(owned_text(bytes)?)),
            (8, Value::Bytes(bytes)) => options(bytes, 21, &mut features, |_, _| ())?,
            (9, Value::Number(index)) => decl.oneof = usize::try_from(index).ok(),
            (17, Value::Number(optional)) => decl.proto3_optional = optional != 0,
            _ => {}
        }
        Ok(())
    })?;
    decl.features = features;
    decl.kind = match (Scalar::from_number(kind), kind) {
        (Some(scalar), _) => TypeDecl::Scalar(scalar),
        (None, GROUP) => TypeDecl::Group(type_name),
        (None, _) if type_name.is_empty() => TypeDecl::Missing,
        (None, _) => TypeDecl::Named(type_name),
    };
    Ok(decl)
}

fn enumeration(bytes: &[u8]) -> Result<EnumDecl, WireError> {
    let mut decl = EnumDecl::default();
    let mut features = Features::default();
    fields(bytes, |number, value| {
        match (number, value) {
            (1, _) => set_text(&mut decl.name, value)?,
            (2, Value::Bytes(bytes)) => {
                let (mut name, mut number) = (String::new(), 0);
                fields(bytes, |field, value| {
                    match (field, value) {
                        (1, _) => set_text(&mut name, value)?,
                        (2, Value::Number(value)) => number = low_int32(value),
                        _ => {}
                    }
                    Ok(())
                })?;
                decl.values.push((name, number));
            }
            (3, Value::Bytes(bytes)) => options(bytes, 7, &mut features, |_, _| ())?,
            _ => {}
        }
        Ok(())
    })?;
    decl.features = features;
    Ok(decl)
}

/// An int32 on the wire: the lower half of the varint.
fn low_int32(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}
