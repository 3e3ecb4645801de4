//! Finding and loading libtensorflow at run time.

#![allow(unsafe_code)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::options::Phrase;

/// Functions of the C API that are called.
const FUNCTIONS: [&str; 33] = [
    "TF_Version",
    "TF_NewStatus",
    "TF_DeleteStatus",
    "TF_SetStatus",
    "TF_GetCode",
    "TF_Message",
    "TF_NewBuffer",
    "TF_NewBufferFromString",
    "TF_DeleteBuffer",
    "TF_AllocateTensor",
    "TF_DeleteTensor",
    "TF_TensorType",
    "TF_NumDims",
    "TF_Dim",
    "TF_TensorByteSize",
    "TF_TensorData",
    "TF_StringGetDataPointer",
    "TF_StringGetSize",
    "TF_NewGraph",
    "TF_DeleteGraph",
    "TF_GraphOperationByName",
    "TF_NewImportGraphDefOptions",
    "TF_DeleteImportGraphDefOptions",
    "TF_ImportGraphDefOptionsAddInputMapping",
    "TF_GraphImportGraphDef",
    "TF_NewSessionOptions",
    "TF_DeleteSessionOptions",
    "TF_SetConfig",
    "TF_NewSession",
    "TF_LoadSessionFromSavedModel",
    "TF_DeleteSession",
    "TF_CloseSession",
    "TF_SessionRun",
];

/// What the library is called: in TensorFlow's Python package, and in the C distribution.
const NAMES: &[&str] = if cfg!(target_os = "macos") {
    &["libtensorflow_cc.2.dylib", "libtensorflow.2.dylib", "libtensorflow.dylib"]
} else {
    &["libtensorflow_cc.so.2", "libtensorflow.so.2", "libtensorflow.so"]
};
/// The name that the bindings look for.
const LINK_NAME: &str = if cfg!(target_os = "macos") { "libtensorflow.dylib" } else { "libtensorflow.so" };
/// The environment variable by which the bindings are told where the library is.
const FOLDER_VARIABLE: &str = "TENSORFLOW_DIR";
const PATH_VARIABLE: &str = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };

const LOG_VARIABLE: &str = "TF_CPP_MIN_LOG_LEVEL";

fn how_to_get() -> Phrase {
    Phrase::new(
        "install it with `pip install tensorflow-cpu`, or name the library or its folder with {libtensorflow} \
         or TENSORFLOW_DIR",
    )
}

/// The library that was loaded; there can be only one in a process.
static LOADED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Loads libtensorflow, unless it was loaded before.
///
/// # Errors
/// There is none where it is looked for, it cannot be loaded, it is too old, or another one than
/// the one asked for was loaded before.
pub(super) fn ensure(wanted: Option<&Path>) -> Result<()> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = loaded.as_ref() {
        return match wanted.map(|wanted| in_folder(wanted).unwrap_or_else(|| wanted.to_path_buf())) {
            Some(other) if real(&other) != *path => {
                Err(Error::config("another libtensorflow is loaded already")
                    .expected(other.to_string_lossy(), path.to_string_lossy()))
            }
            _ => Ok(()),
        };
    }
    let path = real(&locate(wanted)?);
    load(&path).map_err(|e| e.in_source(path.to_string_lossy()))?;
    *loaded = Some(path);
    Ok(())
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// The library in `place`: the place itself if it is a file, otherwise by name in the folder, in
/// its `lib`, or in a `tensorflow` package in it.
fn in_folder(place: &Path) -> Option<PathBuf> {
    if place.is_file() {
        return Some(place.to_path_buf());
    }
    [place.to_path_buf(), place.join("lib"), place.join("tensorflow")]
        .iter()
        .flat_map(|folder| NAMES.iter().map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

/// Looks for the library: where the user says, in `TENSORFLOW_DIR`, on the library path, in the
/// active Python environment, and in the package folders of the Python on the path.
fn locate(wanted: Option<&Path>) -> Result<PathBuf> {
    let missing = |what: String| Error::new(ErrorKind::NotFound, what).with_hint(how_to_get());
    if let Some(wanted) = wanted {
        return in_folder(wanted).ok_or_else(|| missing(format!("no libtensorflow at {}", wanted.display())));
    }
    let mut looked = Vec::new();
    let mut try_place = |what: &str, place: PathBuf| {
        let found = in_folder(&place);
        if found.is_none() {
            looked.push(format!("{} ({what})", place.display()));
        }
        found
    };
    if let Some(folder) = env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty())
        && let Some(found) = try_place(FOLDER_VARIABLE, folder.into())
    {
        return Ok(found);
    }
    let listed = env::var_os(PATH_VARIABLE).unwrap_or_default();
    for folder in env::split_paths(&listed).filter(|folder| !folder.as_os_str().is_empty()) {
        if let Some(found) = try_place(PATH_VARIABLE, folder) {
            return Ok(found);
        }
    }
    for folder in ["/usr/local/lib", "/usr/lib"] {
        if let Some(found) = try_place("library folder", folder.into()) {
            return Ok(found);
        }
    }
    for folder in python_folders() {
        if let Some(found) = try_place("Python packages", folder) {
            return Ok(found);
        }
    }
    Err(missing(format!("no libtensorflow found; looked in {}", looked.join(", "))))
}

/// The package folders of the active Python environment, then of the Python on the path.
/// TensorFlow is not imported.
fn python_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        let Some(prefix) = env::var_os(variable).filter(|value| !value.is_empty()) else { continue };
        let versions = std::fs::read_dir(PathBuf::from(prefix).join("lib")).into_iter().flatten().flatten();
        let mut versions: Vec<PathBuf> = versions
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
            .map(|entry| entry.path().join("site-packages"))
            .collect();
        versions.sort();
        folders.extend(versions);
    }
    for python in ["python3", "python"] {
        let output = Command::new(python)
            .args(["-c", "import sys; print('\\n'.join(p for p in sys.path if 'packages' in p))"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        if let Ok(output) = output {
            folders.extend(String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from));
            break;
        }
    }
    let mut seen = std::collections::HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// Loads the library at `path` for good and hands it to the bindings.
fn load(path: &Path) -> Result<()> {
    let _quiet = Quiet::new();
    // SAFETY: loading runs the library's initializers; it is the library that the user names or
    // installed as TensorFlow.
    let library = unsafe { libloading::Library::new(path) }.map_err(|e| {
        Error::new(ErrorKind::Unsupported, "cannot load libtensorflow").with_cause(e).with_hint(how_to_get())
    })?;
    // Neither a library that is used nor one that is refused can be unloaded safely: TensorFlow's
    // threads and registries may outlive every value of ours.
    let library = std::mem::ManuallyDrop::new(library);
    // The bindings panic when they call what is not there.
    for function in FUNCTIONS {
        // SAFETY: the symbol is looked up and not used.
        if let Err(error) = unsafe { library.get::<unsafe extern "C" fn()>(function.as_bytes()) } {
            return Err(Error::unsupported(format!("libtensorflow has no {function}; it is too old"))
                .with_cause(error)
                .with_hint("TensorFlow 2.10 or later is needed: `pip install tensorflow-cpu`"));
        }
    }
    let links = link_folder(path)?;
    let before = env::var_os(FOLDER_VARIABLE);
    set_variable(FOLDER_VARIABLE, Some(links.path().as_os_str()));
    let result = tensorflow::library::load();
    set_variable(FOLDER_VARIABLE, before.as_deref());
    result
        .map_err(|e| Error::unsupported(format!("cannot load libtensorflow: {e}")).with_hint(how_to_get()))?;
    super::runner::warm_up()
}

/// A folder in which the library has the name that the bindings look for, beside the libraries
/// that it needs.
fn link_folder(path: &Path) -> Result<tempfile::TempDir> {
    let io = |e| Error::io("cannot make a folder of links to libtensorflow", e);
    let folder = tempfile::tempdir().map_err(io)?;
    link(path, &folder.path().join(LINK_NAME)).map_err(io)?;
    let beside = path.parent().and_then(|parent| std::fs::read_dir(parent).ok());
    for entry in beside.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("libtensorflow_framework.") {
            link(&entry.path(), &folder.path().join(entry.file_name())).map_err(io)?;
        }
    }
    Ok(folder)
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::hard_link(from, to)
}

/// Keeps TensorFlow's messages off standard error, unless the user chose a level. Some are written
/// when the library begins to work, whatever the level: for that long, standard error is turned off.
struct Quiet {
    #[cfg(unix)]
    stderr: Option<std::os::fd::OwnedFd>,
}

impl Quiet {
    #[cfg(unix)]
    fn new() -> Self {
        use std::os::fd::{AsFd, AsRawFd};

        if env::var_os(LOG_VARIABLE).is_some() {
            return Self { stderr: None };
        }
        set_variable(LOG_VARIABLE, Some("3".as_ref()));
        let kept = std::io::stderr().as_fd().try_clone_to_owned();
        let nothing = std::fs::OpenOptions::new().write(true).open("/dev/null");
        let (Ok(kept), Ok(nothing)) = (kept, nothing) else { return Self { stderr: None } };
        // SAFETY: both are open descriptors; standard error goes on to be one.
        let turned_off = unsafe { libc::dup2(nothing.as_raw_fd(), libc::STDERR_FILENO) } >= 0;
        Self { stderr: turned_off.then_some(kept) }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        if env::var_os(LOG_VARIABLE).is_none() {
            set_variable(LOG_VARIABLE, Some("3".as_ref()));
        }
        Self {}
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        use std::os::fd::AsRawFd;

        if let Some(kept) = &self.stderr {
            // SAFETY: as above.
            unsafe { libc::dup2(kept.as_raw_fd(), libc::STDERR_FILENO) };
        }
    }
}

fn set_variable(name: &str, value: Option<&std::ffi::OsStr>) {
    // SAFETY: Rust's own readers of the environment are locked out meanwhile. TensorFlow's threads
    // do not exist yet; that no other C code reads the environment at the same time is what
    // `ReaderBuilder::build_source` asks of its caller in its documentation.
    unsafe {
        match value {
            Some(value) => env::set_var(name, value),
            None => env::remove_var(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_says_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = locate(Some(folder.path())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(&*folder.path().to_string_lossy()), "{error}");
        assert!(error.to_string().contains("pip install tensorflow-cpu"), "{error}");
    }

    #[test]
    fn packages_are_found_in_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("tensorflow");
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join(NAMES[0]), b"").unwrap();
        assert_eq!(in_folder(folder.path()), Some(package.join(NAMES[0])));
        let error = load(&package.join(NAMES[0])).unwrap_err();
        assert!(error.to_string().contains("cannot load libtensorflow"), "{error}");
    }
}
