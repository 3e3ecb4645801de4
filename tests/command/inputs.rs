//! What names mean: folders of shards, patterns, and files that are something else.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::Write;

use crate::common::{DIGITS, DIGITS_ROWS, Dir, Table, assert_names, repo, tfarrow};

const SHARDS: [&str; 2] = ["digits.tfrecord-00000-of-00002", "digits.tfrecord-00001-of-00002"];

/// The digits, written as shards of this format into the folder `format`.
fn shards(dir: &Dir, format: &str) -> String {
    let folder = dir.path(format);
    fs::create_dir(&folder).unwrap();
    for (index, shard) in SHARDS.iter().enumerate() {
        let from = repo("examples/data/digits").join(shard);
        match format {
            "tfrecord" => drop(fs::copy(&from, folder.join(format!("part-{index}"))).unwrap()),
            _ => {
                let to = folder.join(format!("part-{index}.{format}"));
                tfarrow(&["convert", from.to_str().unwrap(), "-o", to.to_str().unwrap()]).success();
            }
        }
    }
    for hidden in [".part-0.crc", "_SUCCESS", "_manifest.json", ".DS_Store"] {
        fs::write(folder.join(hidden), b"{}").unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

#[test]
fn a_folder_of_shards_is_read_as_them_in_their_order() {
    let dir = Dir::new();
    let whole = tfarrow(&["convert", DIGITS, "-o", "-"]).success().stdout;
    let labels = Table::from_stream(whole).values("label");
    for format in ["tfrecord", "arrow", "arrows", "parquet"] {
        let folder = shards(&dir, format);
        for name in [folder.clone(), format!("{folder}/"), format!("{folder}/*"), format!("{folder}/part-*")]
        {
            assert_eq!(tfarrow(&["count", &name]).success().text(), format!("{DIGITS_ROWS}\n"), "{name}");
            let run = tfarrow(&["convert", &name, "-o", "-"]).success();
            assert_eq!(Table::from_stream(run.stdout).values("label"), labels, "{name}");
        }
        assert_names(tfarrow(&["verify", &folder]).success().text(), &["sound"]);
    }
    // What tfarrow writes to a folder, it reads from there; and several folders as one.
    let out = dir.arg("out/");
    tfarrow(&["convert", DIGITS, "-o", &out]).success();
    let both = ["count", &out, dir.path("parquet").to_str().unwrap()].map(str::to_owned);
    assert_eq!(tfarrow(&both).success().text(), format!("{}\n", 2 * DIGITS_ROWS));
}

#[test]
#[cfg(feature = "array-record")]
fn a_folder_of_array_records_is_read() {
    let dir = Dir::new();
    for name in ["a.array_record", "b.array_record"] {
        fs::copy(repo("tests/golden/array_record/many_small.array_record"), dir.path(name)).unwrap();
    }
    assert_eq!(tfarrow(&["count", &dir.arg("")]).success().text(), "4000\n");
}

#[test]
#[cfg(unix)]
fn a_shard_that_is_a_link_to_nowhere_is_not_left_out() {
    let dir = Dir::new();
    let folder = shards(&dir, "tfrecord");
    std::os::unix::fs::symlink("/nowhere/at-all", dir.path("tfrecord/part-2")).unwrap();
    for name in [folder.clone(), format!("{folder}/part-*")] {
        assert_names(&tfarrow(&["count", &name]).failure(), &["cannot open input", "part-2"]);
    }
}

/// The pattern that a hint gives as an example.
fn hinted(message: &str) -> String {
    message.rsplit_once('`').unwrap().0.rsplit_once('`').unwrap().1.to_owned()
}

#[test]
fn a_folder_of_several_kinds_says_so_and_its_hint_can_be_followed() {
    let dir = Dir::new();
    let tfrecord = shards(&dir, "tfrecord");
    fs::write(dir.path("tfrecord/README.md"), "# Digits\n").unwrap();
    let message = tfarrow(&["count", &tfrecord]).failure();
    assert_names(&message, &["README.md", "plain text"]);
    assert_eq!(tfarrow(&["count", &hinted(&message)]).success().text(), format!("{DIGITS_ROWS}\n"));
    let parquet = shards(&dir, "parquet");
    fs::copy(repo("examples/data/digits").join(SHARDS[0]), dir.path("parquet/a")).unwrap();
    let message = tfarrow(&["count", &parquet]).failure();
    assert_names(&message, &["different kinds", "Parquet files", "TFRecord files"]);
    assert_eq!(tfarrow(&["count", &hinted(&message)]).success().text(), format!("{DIGITS_ROWS}\n"));
    // Folders in it may be anything.
    fs::create_dir_all(dir.path("deep/x")).unwrap();
    fs::rename(dir.path("tfrecord"), dir.path("deep/x/y")).unwrap();
    fs::remove_file(dir.path("deep/x/y/README.md")).unwrap();
    let message = tfarrow(&["count", &dir.arg("deep")]).failure();
    assert_names(&message, &["folder of no known kind"]);
    assert_eq!(tfarrow(&["count", &hinted(&message)]).success().text(), format!("{DIGITS_ROWS}\n"));
    fs::create_dir(dir.path("empty")).unwrap();
    fs::write(dir.path("empty/_SUCCESS"), b"").unwrap();
    assert_names(&tfarrow(&["count", &dir.arg("empty")]).failure(), &["no file in it, but hidden ones"]);
    let saved = repo("tests/golden/saved/shards3");
    let message = tfarrow(&["count", saved.to_str().unwrap(), &parquet]).failure();
    assert_names(&message, &["stored dataset", "read it alone"]);
}

#[test]
fn what_is_no_data_is_called_by_its_name() {
    let dir = Dir::new();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let npz = [b"PK\x03\x04".as_slice(), &[0; 26], b"arr_0.npy"].concat();
    // A schema without fields, as pyarrow 0.14 and, with the option for it, every later one writes it.
    let old = {
        let schema = arrow::datatypes::Schema::empty();
        let options = arrow::ipc::writer::IpcWriteOptions::try_new(8, true, arrow::ipc::MetadataVersion::V4);
        let mut writer =
            arrow::ipc::writer::StreamWriter::try_new_with_options(Vec::new(), &schema, options.unwrap())
                .unwrap();
        writer.finish().unwrap();
        writer.into_inner().unwrap()
    };
    let csv = b"id,text\n1,a\n";
    for (bytes, named) in [
        (&b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"[..], "Git LFS pointer"),
        (b"\n<!DOCTYPE html>\n<html>", "web page"),
        (b"<?xml version=\"1.0\"?><Error/>", "XML"),
        (b"{\"a\": 1}\n", "JSON"),
        (csv, "CSV"),
        (b"hello\n", "plain text"),
        (&npz, ".npz"),
        (b"PK\x03\x04 and more", "ZIP"),
        (b"\x93NUMPY\x01\0", ".npy"),
        (&tar, "tar archive"),
        (&gzip(&tar), "tar archive, compressed"),
        (&gzip(csv), "CSV), compressed"),
        (&gzip(b"PAR1 and more"), "Parquet files that are compressed"),
        (&old, "before Arrow 0.15"),
        (b"FEA1 and more", "Feather file of version 1"),
        (b"PARE and more", "encrypted Parquet"),
        (b"ORC and more", "ORC"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ] {
        fs::write(dir.path("x"), bytes).unwrap();
        for command in ["count", "schema"] {
            let message = tfarrow(&[command, &dir.arg("x")]).failure();
            assert_names(&message, &[named, "/x"]);
        }
        // Among shards it stands in one's place: damage.
        let run = tfarrow(&[
            "verify",
            &repo("examples/data/digits").join(SHARDS[0]).to_string_lossy(),
            &dir.arg("x"),
        ]);
        assert_eq!(run.code, Some(1), "{named}: {}", run.stderr);
    }
    fs::write(dir.path("x"), b"version https://git-lfs.github.com/spec/v1\n").unwrap();
    assert_names(tfarrow(&["verify", &dir.arg("x")]).text(), &["no TFRecord file, but a Git LFS pointer"]);
    #[cfg(not(feature = "cloud"))]
    let message = tfarrow(&["count", "s3://bucket/x-*.tfrecord"]).failure();
    #[cfg(not(feature = "cloud"))]
    assert_names(&message, &["`s3://` cannot be reached by this build", "s3://bucket/x-*", "-F cloud"]);
}
