//! Descriptors on disk: a `.proto` file with what it imports, or a `FileDescriptorSet`.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::input::Place;
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

/// Reads the descriptor at `path`. What a `.proto` file imports is looked for beside it, in
/// `proto_path`, and in the folders that it stands in.
///
/// # Errors
/// A file cannot be read, or is not a descriptor.
pub(super) fn load(path: &Path, proto_path: &[PathBuf]) -> Result<Files> {
    let bytes = read(path)?;
    let name = path.to_string_lossy();
    if !is_text(path, &bytes) {
        return Files::from_set(&bytes).map_err(|error| error.in_source(&*name));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let outer = folder.ancestors().skip(1).map(Path::to_owned);
    let roots: Vec<PathBuf> =
        std::iter::once(folder.to_owned()).chain(proto_path.iter().cloned()).chain(outer).collect();
    Files::from_text(&name, &bytes, &mut |import| {
        // Imports are relative, and never lead out of the folders that they are looked for in.
        let inside = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
        if !Path::new(import).components().all(inside) {
            return Ok(None);
        }
        match roots.iter().map(|root| root.join(import)).find(|path| Place::local(path).is_file()) {
            Some(path) => Ok(Some((path.to_string_lossy().into_owned(), read(&path)?))),
            None => Ok(None),
        }
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
