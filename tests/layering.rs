//! Who may use whom in `src/`: a layer uses the layers below it, never those above.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the lowest to the highest. `docs/DESIGN.md` says what each is for.
const LAYERS: [&str; 19] = [
    "text", "options", "error", "input", "wire", "tf", "tensor", "schema", "column", "encode", "source",
    "array", "reader", "sink", "convert", "plan", "report", "ffi", "fuzzing",
];

/// Words that must not occur in the code of a layer.
const FORBIDDEN: [(&str, &[&str]); 3] = [
    ("wire", &["arrow::", "arrow_", "parquet::"]),
    ("tf", &["arrow::", "arrow_", "parquet::"]),
    ("sink", &["crate::tf", "crate::wire"]),
];

#[test]
fn every_layer_uses_only_those_below_it() {
    let exported = exported_items();
    let mut wrong = Vec::new();
    for file in sources("src") {
        let Some(layer) = layer_of(&file) else { continue };
        let code = code_of(&file);
        let Some(rank) = LAYERS.iter().position(|name| *name == layer) else {
            wrong.push(format!("{}: `{layer}` is not a layer; add it to LAYERS", file.display()));
            continue;
        };
        for used in used_from_crate(&code) {
            // A layer is itself, whatever modules of others are called.
            let itself = LAYERS.contains(&used.as_str());
            let module = exported.get(&used).filter(|_| !itself).unwrap_or(&used);
            match LAYERS.iter().position(|name| name == module) {
                Some(other) if other <= rank => {}
                Some(_) => wrong.push(format!("{}: `{layer}` uses `{module}`", file.display())),
                None => wrong.push(format!("{}: `crate::{used}` is of no layer", file.display())),
            }
        }
        if code.contains("super::super::") {
            wrong.push(format!("{}: `super::super::`; write `crate::`", file.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn layers_do_not_mention_what_is_not_theirs() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        // The project's own name is not Arrow's.
        let code = code_of(&file).replace("tfarrow", "");
        for (layer, words) in FORBIDDEN {
            for word in words.iter().filter(|_| layer_of(&file).as_deref() == Some(layer)) {
                if code.contains(word) {
                    wrong.push(format!("{}: mentions `{word}`", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What reaches files without [`input`](LAYERS): what is read of a user's data is read through that.
/// Sinks and conversions have files of their own.
#[test]
fn input_alone_opens_lists_and_looks_at_files() {
    const WORDS: [&str; 3] = ["std::fs", "fs::", "read_dir("];
    const LAYERS: [&str; 6] = ["wire", "tf", "schema", "column", "source", "reader"];
    // Where TensorFlow itself is looked for, and files that options name.
    const OTHERS: [&str; 2] = ["src/source/live/enabled/library.rs", "src/reader/settings.rs"];
    let mut wrong = Vec::new();
    for file in sources("src") {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        let in_layer = layer_of(&file).is_some_and(|layer| LAYERS.contains(&&*layer));
        if !in_layer || OTHERS.contains(&&*path) || path.contains("/tests/") {
            continue;
        }
        let code = code_of(&file);
        wrong.extend(
            WORDS.iter().filter(|word| code.contains(**word)).map(|word| format!("{path}: `{word}`")),
        );
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What waits for a network is in one crate, which is handed out in one place and told of signals in
/// another; what it and the library have in common needs the standard library alone.
#[test]
fn one_crate_talks_to_networks() {
    const NETWORKS: [&str; 5] = ["tokio", "object_store", "reqwest", "async fn", ".await"];
    const USERS: [&str; 2] = ["src/input/stores.rs", "src/sink/atomic/mod.rs"];
    let mut wrong = Vec::new();
    for file in ["src", "crates/tfarrow-store", "python/src"].into_iter().flat_map(sources) {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        let code = code_of(&file);
        let words = NETWORKS.iter().filter(|word| code.contains(**word));
        wrong.extend(words.map(|word| format!("{path}: `{word}`")));
        if code.contains("tfarrow_cloud") && !USERS.contains(&&*path) {
            wrong.push(format!("{path}: `tfarrow_cloud`"));
        }
    }
    let cargo = fs::read_to_string(root().join("crates/tfarrow-store/Cargo.toml")).unwrap();
    if cargo.contains("dependencies") {
        wrong.push("crates/tfarrow-store has dependencies".to_owned());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn options_are_spelled_at_the_edge() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        // How the command spells options is for those who speak to it.
        let edge = layer_of(&file).is_none() || file.ends_with("options/phrase.rs");
        let code = if edge { String::new() } else { code_of(&file) };
        for line in code.lines() {
            let flag = line.match_indices("--").find(|(at, _)| {
                let flag: String =
                    line[at + 2..].chars().take_while(|c| *c == '-' || c.is_alphanumeric()).collect();
                line[..*at].contains('"') && tfarrow::options::find(&flag.replace('-', "_")).is_some()
            });
            if flag.is_some() {
                wrong.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "name options by their keys, in a Phrase:\n{}", wrong.join("\n"));
}

#[test]
fn every_option_that_a_text_names_exists() {
    let mut named = BTreeSet::new();
    for file in sources("src") {
        let code = code_of(&file);
        for (at, _) in code.match_indices("Phrase::new(").chain(code.match_indices(".then(")) {
            let argument = in_parentheses(&code[at..]);
            if argument.contains("format!") || argument.contains("||") {
                continue;
            }
            for template in argument.split('"').skip(1).step_by(2) {
                let options = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
                named.extend(options.map(|(option, _)| option.split('=').next().unwrap().to_owned()));
            }
        }
    }
    assert!(named.len() > 15, "{named:?}");
    let unknown: Vec<_> = named.iter().filter(|key| tfarrow::options::find(key).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// What stands between the first parenthesis of `code` and the one that closes it.
fn in_parentheses(code: &str) -> &str {
    let (mut depth, mut quoted) = (0, false);
    for (at, letter) in code.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 1 => return &code[..at],
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    code
}

#[test]
fn the_program_uses_the_public_library() {
    for file in sources("src/bin") {
        let code = code_of(&file);
        for word in ["#[path", "include!(", "tfarrow::__"] {
            assert!(!code.contains(word), "{}: `{word}`", file.display());
        }
    }
}

#[test]
fn paths_are_found_however_they_are_written() {
    let code = "use crate::wire::crc;\nuse crate::{\n    error::{Error, Result},\n    tf::{self, dtype::DType},\n};\n\
                fn f() -> crate::Shape { crate::schema::plan() }\npub(crate) fn g() {}";
    assert_eq!(used_from_crate(code), ["Shape", "error", "schema", "tf", "wire"]);
}

/// The layer a file belongs to; `None` for the crate's root, its prose and the program.
fn layer_of(file: &Path) -> Option<String> {
    let inner = file.strip_prefix(root().join("src")).unwrap();
    let first = inner.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.trim_end_matches(".rs");
    (!["lib", "cookbook", "bin"].contains(&name)).then(|| name.to_owned())
}

/// The code of a file without comments and without its tests.
fn code_of(file: &Path) -> String {
    if file.file_name().is_some_and(|name| name == "tests.rs") {
        return String::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The first names after `crate::`, groups taken apart; sorted.
fn used_from_crate(code: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(names_of_group(group)),
            None => used.push(first_name(rest)),
        }
    }
    used.sort();
    used.dedup();
    used
}

/// The first names of the members of `{…}`, of which the opening brace is gone.
fn names_of_group(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut member) = (0, String::new());
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first_name(&std::mem::take(&mut member))),
            _ if depth == 0 => member.push(letter),
            _ => {}
        }
    }
    names.push(first_name(&member));
    names.retain(|name| !name.is_empty());
    names
}

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The items that `src/lib.rs` exports, each with the module it comes from.
fn exported_items() -> BTreeMap<String, String> {
    let code = code_of(&root().join("src/lib.rs"));
    let mut items = BTreeMap::new();
    for statement in code.split("pub use ").skip(1) {
        let path = statement.split(';').next().unwrap();
        let module = first_name(path);
        for name in path.split(|letter: char| !letter.is_alphanumeric() && letter != '_') {
            items.insert(name.to_owned(), module.clone());
        }
    }
    items
}

/// The Rust files in a folder of the repository and below.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
