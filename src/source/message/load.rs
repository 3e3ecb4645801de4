//! Descriptors on disk: a `.proto` file with what it imports, or a `FileDescriptorSet`.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::input::Place;
use crate::source::planned::DescriptorFile;
use crate::tf::descriptor::Files;

/// The largest file that is taken for a descriptor.
const MAX_BYTES: u64 = 256 << 20;

fn read(path: &Path) -> Result<Vec<u8>> {
    let place = Place::local(path);
    let in_file = |error: Error| error.in_source(place.name());
    match place.read(MAX_BYTES).map_err(in_file)? {
        Some(bytes) => Ok(bytes),
        None => Err(in_file(Error::new(ErrorKind::NotFound, "descriptor does not exist"))),
    }
}

/// Reads the descriptor at `path`, and what a `.proto` file imports: that is looked for beside it, in
/// `proto_path`, and in the folders that it stands in.
///
/// # Errors
/// A file cannot be read, or is not a descriptor.
pub(super) fn read_all(path: &Path, proto_path: &[PathBuf]) -> Result<Vec<DescriptorFile>> {
    let bytes = read(path)?;
    let name = path.to_string_lossy().into_owned();
    let mut files = vec![DescriptorFile { import: String::new(), name, bytes: bytes.clone().into() }];
    if !is_text(path, &bytes) {
        return Ok(files);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let outer = folder.ancestors().skip(1).map(Path::to_owned);
    let roots: Vec<PathBuf> =
        std::iter::once(folder.to_owned()).chain(proto_path.iter().cloned()).chain(outer).collect();
    Files::from_text(&path.to_string_lossy(), &bytes, &mut |import| {
        // Imports are relative, and never lead out of the folders that they are looked for in.
        let inside = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
        if !Path::new(import).components().all(inside) {
            return Ok(None);
        }
        match roots.iter().map(|root| root.join(import)).find(|path| Place::local(path).is_file()) {
            Some(path) => {
                let (name, bytes) = (path.to_string_lossy().into_owned(), read(&path)?);
                let file = DescriptorFile {
                    import: import.to_owned(),
                    name: name.clone(),
                    bytes: bytes.clone().into(),
                };
                files.push(file);
                Ok(Some((name, bytes)))
            }
            None => Ok(None),
        }
    })?;
    Ok(files)
}

/// What files declare, the first of which was named and the others are imported.
///
/// # Errors
/// They are no descriptor.
pub(super) fn parse(files: &[DescriptorFile]) -> Result<Files> {
    let Some((root, imported)) = files.split_first() else {
        return Err(Error::config("no descriptor is named"));
    };
    if !is_text(Path::new(&root.name), &root.bytes) {
        return Files::from_set(&root.bytes).map_err(|error| error.in_source(root.name.as_str()));
    }
    Files::from_text(&root.name, &root.bytes, &mut |import| {
        let file = imported.iter().find(|file| file.import == import);
        Ok(file.map(|file| (file.name.clone(), file.bytes.to_vec())))
    })
}

/// Whether a descriptor is text: by its name, or because it begins as such files do.
fn is_text(path: &Path, bytes: &[u8]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("proto" | "protodevel") => true,
        Some("pb" | "desc" | "bin" | "protoset" | "fds") => false,
        // The first byte of a set is the tag of its first file, a line feed.
        _ => bytes.first() != Some(&b'\n') || Files::from_set(bytes).is_err() && bytes.is_ascii(),
    }
}
