//! The files that every protobuf compiler brings along, as far as records can hold their messages.

use super::file::File;
use super::text;
use crate::error::Result;

/// Files that hold options alone, which are passed over.
const OPTIONS_ONLY: [&str; 3] = [
    "google/protobuf/cpp_features.proto",
    "google/protobuf/go_features.proto",
    "google/protobuf/java_features.proto",
];

const FILES: [(&str, &str); 11] = [
    ("google/protobuf/any.proto", include_str!("well_known/any.proto")),
    ("google/protobuf/api.proto", include_str!("well_known/api.proto")),
    ("google/protobuf/descriptor.proto", include_str!("well_known/descriptor.proto")),
    ("google/protobuf/duration.proto", include_str!("well_known/duration.proto")),
    ("google/protobuf/empty.proto", include_str!("well_known/empty.proto")),
    ("google/protobuf/field_mask.proto", include_str!("well_known/field_mask.proto")),
    ("google/protobuf/source_context.proto", include_str!("well_known/source_context.proto")),
    ("google/protobuf/struct.proto", include_str!("well_known/struct.proto")),
    ("google/protobuf/timestamp.proto", include_str!("well_known/timestamp.proto")),
    ("google/protobuf/type.proto", include_str!("well_known/type.proto")),
    ("google/protobuf/wrappers.proto", include_str!("well_known/wrappers.proto")),
];

/// The file that is imported as `name`, if it is one of these.
///
/// # Errors
/// None: they are sound.
pub(super) fn file(name: &str) -> Result<Option<File>> {
    if OPTIONS_ONLY.contains(&name) {
        return Ok(Some(File { name: name.to_owned(), ..File::default() }));
    }
    match FILES.iter().find(|(known, _)| *known == name) {
        Some((_, source)) => text::parse(name, source.as_bytes()).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sound() {
        for (name, _) in FILES {
            let file = file(name).unwrap().unwrap();
            assert_eq!(file.package, "google.protobuf");
            assert!(!file.messages.is_empty(), "{name}");
            assert!(file.imports.iter().all(|import| super::file(import).unwrap().is_some()));
        }
    }
}
