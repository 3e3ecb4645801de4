//! Kinds of files that are met in place of data, and are not read.

/// A kind of file that is not read.
pub(crate) struct ForeignKind {
    /// What it is, with its article.
    pub(crate) name: &'static str,
    is: fn(&[u8]) -> bool,
    /// What to do instead.
    pub(crate) hint: &'static str,
}

const UNPACK: &str = "unpack it, and name the files that were in it";
const CONVERT: &str = "write it as Parquet or Arrow with the tools that read it";
pub(super) const DECOMPRESS: &str = "decompress it first";

/// Kinds of files that are met in place of data, so that they are called by their name.
pub(crate) static FOREIGN: [ForeignKind; 23] = [
    ForeignKind {
        name: "a Git LFS pointer, which stands for the file",
        is: |first| first.starts_with(b"version https://git-lfs.github.com/spec/"),
        hint: "fetch the file itself: `git lfs pull`",
    },
    ForeignKind {
        name: "a web page",
        is: |first| {
            let begin = text_of(first).to_ascii_lowercase();
            begin.starts_with("<!doctype html") || begin.starts_with("<html")
        },
        hint: "download the file again: a server may send a page where a login is wanted or nothing is found",
    },
    ForeignKind {
        name: "an XML document",
        is: |first| text_of(first).starts_with("<?xml"),
        hint: "look at it: a server may send one in place of a file, to say what is wrong",
    },
    ForeignKind {
        name: "an encrypted Parquet file",
        is: |first| first.starts_with(b"PARE"),
        hint: "write it without encryption",
    },
    ForeignKind {
        name: "a Feather file of version 1",
        is: |first| first.starts_with(b"FEA1"),
        hint: "write it with version 2",
    },
    ForeignKind {
        name: "an Arrow stream from before Arrow 0.15",
        is: is_old_stream,
        hint: "write it with a newer Arrow",
    },
    ForeignKind {
        name: "an .npz archive of NumPy",
        is: |first| first.starts_with(b"PK\x03\x04") && first.get(30..).is_some_and(names_npy),
        hint: CONVERT,
    },
    ForeignKind {
        name: "a ZIP archive",
        is: |first| first.starts_with(b"PK\x03\x04") || first.starts_with(b"PK\x05\x06"),
        hint: UNPACK,
    },
    ForeignKind { name: "a tar archive", is: |first| first.get(257..262) == Some(b"ustar"), hint: UNPACK },
    ForeignKind { name: "an .npy file of NumPy", is: |first| first.starts_with(b"\x93NUMPY"), hint: CONVERT },
    ForeignKind { name: "an HDF5 file", is: |first| first.starts_with(b"\x89HDF\r\n"), hint: CONVERT },
    ForeignKind { name: "an ORC file", is: |first| first.starts_with(b"ORC"), hint: CONVERT },
    ForeignKind { name: "an Avro file", is: |first| first.starts_with(b"Obj\x01"), hint: CONVERT },
    ForeignKind {
        name: "an SQLite database",
        is: |first| first.starts_with(b"SQLite format 3\0"),
        hint: CONVERT,
    },
    ForeignKind {
        name: "a Python pickle",
        is: |first| matches!(first, [0x80, 4 | 5, 0x95, _, _, _, _, _, 0, ..]),
        hint: CONVERT,
    },
    ForeignKind { name: "a PDF document", is: |first| first.starts_with(b"%PDF-"), hint: CONVERT },
    ForeignKind {
        name: "an image",
        is: |first| first.starts_with(b"\x89PNG\r\n") || first.starts_with(&[0xff, 0xd8, 0xff]),
        hint: "name files of records or tables",
    },
    ForeignKind {
        name: "a file compressed by zstd",
        is: |first| first.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
        hint: DECOMPRESS,
    },
    ForeignKind {
        name: "a file compressed by bzip2",
        is: |first| matches!(first, [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..]),
        hint: DECOMPRESS,
    },
    ForeignKind {
        name: "a file compressed by xz",
        is: |first| first.starts_with(b"\xfd7zXZ\0"),
        hint: DECOMPRESS,
    },
    ForeignKind { name: "JSON text", is: |first| text_of(first).starts_with(['{', '[']), hint: CONVERT },
    ForeignKind {
        name: "text of separated values (CSV)",
        is: |first| {
            let text = text_of(first);
            let mut lines = text.lines().map(|line| line.matches([',', ';', '\t']).count());
            lines.next().is_some_and(|n| n > 0 && lines.next().is_none_or(|next| next == n))
        },
        hint: CONVERT,
    },
    ForeignKind {
        name: "plain text",
        is: |first| !text_of(first).is_empty(),
        hint: "name files of records or tables",
    },
];

/// The kind of file that begins with `first`, if it is one that is not read.
pub(crate) fn foreign(first: &[u8]) -> Option<&'static ForeignKind> {
    FOREIGN.iter().find(|kind| (kind.is)(first))
}

/// The beginning of a file if that is text, without the white space before it.
fn text_of(first: &[u8]) -> &str {
    let text = match std::str::from_utf8(first) {
        Ok(text) => text,
        // The last letter may be cut.
        Err(error) if error.error_len().is_none() => {
            first.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok()).unwrap_or("")
        }
        Err(_) => "",
    };
    let printable = |c: char| !c.is_control() || c.is_whitespace();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.chars().all(printable) { text.trim_start() } else { "" }
}

/// Whether the name of the first file in a ZIP archive, which begins here, ends as those of arrays do.
fn names_npy(rest: &[u8]) -> bool {
    rest.get(..64.min(rest.len())).unwrap_or_default().windows(4).any(|part| part == b".npy")
}

/// Whether this is a message of a schema, with its length and nothing before it.
fn is_old_stream(first: &[u8]) -> bool {
    let length =
        first.first_chunk::<4>().and_then(|length| usize::try_from(u32::from_le_bytes(*length)).ok());
    length
        .filter(|length| *length > 0)
        .and_then(|length| first.get(4..length.checked_add(4)?))
        .and_then(|message| arrow_ipc::root_as_message(message).ok())
        .is_some_and(|message| message.header_type() == arrow_ipc::MessageHeader::Schema)
}
