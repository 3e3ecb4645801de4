use std::path::Path;

use super::*;
use crate::tf::descriptor::link::Files;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/messages"))
}

fn compile(name: &str, source: &str) -> Result<Files> {
    Files::from_text(name, source.as_bytes(), &mut |import| {
        let path = folder().join(import);
        Ok(std::fs::read(&path).ok().map(|bytes| (import.to_owned(), bytes)))
    })
}

/// Messages and enums of `files`, by name.
fn described(files: &Files) -> std::collections::BTreeMap<String, String> {
    let pool = &files.pool;
    let name_of = |kind: &crate::tf::descriptor::Kind| match kind {
        crate::tf::descriptor::Kind::Message(index) => pool.messages[*index].name.clone(),
        crate::tf::descriptor::Kind::Group(index) => format!("group {}", pool.messages[*index].name),
        crate::tf::descriptor::Kind::Enum(index) => pool.enums[*index].name.clone(),
        scalar => format!("{scalar:?}"),
    };
    let messages = pool.messages.iter().map(|message| {
        let fields = message.fields.iter().map(|field| {
            let kind = name_of(&field.kind);
            format!(
                "{} {kind} {} repeated={} presence={} oneof={:?} default={:?}\n",
                field.number, field.name, field.repeated, field.presence, field.oneof, field.default
            )
        });
        let oneofs = message.fields.iter().filter_map(|field| field.oneof).max().map_or(0, |most| most + 1);
        let head = format!(
            "oneofs={oneofs} map={} extensible={} extensions={}\n",
            message.map_entry, message.extensible, message.extensions
        );
        (message.name.clone(), head + &fields.collect::<String>())
    });
    let enums = pool.enums.iter().map(|e| (e.name.clone(), format!("closed={} {:?}", e.closed, e.values)));
    // The files that everybody has differ from one release of protoc to the next.
    messages.chain(enums).filter(|(name, _)| name.starts_with("golden.")).collect()
}

#[test]
fn text_says_what_protoc_makes_of_it() {
    for name in ["two", "three", "edition", "delimited"] {
        let source = std::fs::read_to_string(folder().join(name).with_extension("proto")).unwrap();
        let text = compile(name, &source).unwrap_or_else(|e| panic!("{name}: {e}"));
        let set = std::fs::read(folder().join(name).with_extension("pb")).unwrap();
        let set = Files::from_set(&set).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (ours, theirs) = (described(&text), described(&set));
        for (message, theirs) in &theirs {
            assert_eq!(ours.get(message), Some(theirs), "{name}: {message}");
        }
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let names = |files: &Files| {
            files.top_level.iter().map(|i| files.pool.messages[*i].name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&text), names(&set));
    }
}

#[test]
fn faults_name_their_line() {
    for (source, expected) in [
        ("syntax = \"proto3\";\nmessage A {\n  int32 x = ;\n}", "a.proto:3:13"),
        ("message A { int32 x = 1 }", "expected `;`, found `}`"),
        ("message A {", "found the end of the file"),
        ("massage A {}", "expected a statement, found `massage` (a.proto:1:1)"),
        ("/* open", "a comment is not closed (a.proto:1:1)"),
        ("import \"open;\n", "a string is not closed"),
        ("syntax = \"proto4\";", "syntax that is not known"),
        ("message A { int32 x = 99999999999; }", "the number of a field"),
        ("message A { int32 x = 1; int32 y = 1; }", "number of a field that is none or used twice (A.y)"),
        ("message A { int32 x = 0; }", "number of a field that is none"),
        ("message A { Missing x = 1; }", "type `Missing` is declared nowhere (A.x)"),
        ("import \"nowhere.proto\"; message A { B x = 1; }", "`with_proto_path`: nowhere.proto is not found"),
        ("message A {} message A {}", "`A` is declared twice"),
        ("message A { optional int32 x = 1 [default = \"x\"]; }", "default of another type"),
        ("enum E { A = 99999999999; }", "no int32"),
        ("message A { map<float, int32> m = 1; }", "map without a key"),
        ("message A { \u{e9} }", "a character that no .proto file has (a.proto:1:13)"),
    ] {
        let error = compile("a.proto", source).unwrap_err().to_string();
        assert!(error.contains(expected), "{source}: {error}");
    }
    let deep = "message A {".repeat(200);
    assert!(compile("a.proto", &deep).unwrap_err().to_string().contains("too deeply"));
}

#[test]
fn imports_for_options_alone_are_not_missed() {
    let files = compile(
        "a.proto",
        "syntax = \"proto3\"; import \"google/api/field.proto\"; message A { int32 x = 1 [(api.f) = {a: 1}]; }",
    );
    assert_eq!(files.unwrap().root(None).unwrap(), 0);
}

#[test]
fn the_message_of_records_is_named_or_the_only_one() {
    let files = compile("a.proto", "package p; message A { message B {} } message C {}").unwrap();
    let error = files.root(None).unwrap_err().to_string();
    assert!(error.contains("`with_message`, one of: p.A, p.C"), "{error}");
    assert_eq!(files.root(Some("p.A.B")).unwrap(), 1);
    assert_eq!(files.root(Some(".p.C")).unwrap(), 2);
    let error = files.root(Some("A")).unwrap_err().to_string();
    assert!(error.contains("no message `A`") && error.contains("did you mean `p.A`?"), "{error}");
}

#[test]
fn escapes() {
    for (text, expected) in [
        (r"\n\x41\101\0\\", Some(b"\nAA\0\\".to_vec())),
        (r"\u00e9\U0001F600", Some("é😀".as_bytes().to_vec())),
        (r"\400", None),
        (r"\q", None),
        ("\\", None),
        (r"\x", None),
    ] {
        assert_eq!(unescape(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(integer("0x7F"), Some(127));
    assert_eq!(integer("-017"), Some(-15));
    assert_eq!(integer("18446744073709551615"), Some(u64::MAX.into()));
    assert_eq!(integer("1.5"), None);
}
