#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;

/// An image of each kind, by name; `tests/python/make_images.py` makes them.
fn golden() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "json"));
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

fn golden_image(name: &str) -> Vec<u8> {
    golden().into_iter().find(|(other, _)| other == name).unwrap().1
}

/// The header and a checksum of the pixels.
fn decode_any(bytes: &[u8]) -> Result<(Header, u32)> {
    let mut pixels = vec![7; 100]; // of another image
    let header = decode(bytes, Request::default(), &mut pixels, &mut |_| Ok(()))?;
    Ok((header, crc32c::crc32c(&pixels)))
}

/// Where we are stricter than TensorFlow, or it decodes what is not there.
const REFUSED: [&str; 1] = ["PNG image of 16-bit colours with a gamma cannot become gray"];

#[test]
fn every_kind_is_what_tensorflow_decodes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/images");
    let expected = fs::read(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let images = golden();
    assert_eq!(images.len(), expected.as_object().unwrap().len());
    let (mut wrong, mut pixels) = (Vec::new(), Vec::new());
    for (name, bytes) in images {
        for (asked, expected) in expected[&name].as_object().unwrap() {
            let (channels, bits) = asked.split_once('/').unwrap();
            let channels = channels.parse().ok().filter(|channels| *channels > 0);
            let request = Request { channels, bits: bits.parse().ok() };
            let found = match decode(&bytes, request, &mut pixels, &mut |_| Ok(())) {
                Ok(header) => {
                    let mut shape = vec![header.height, header.width, u64::from(header.channels)];
                    shape.splice(0..0, header.frames);
                    assert_eq!(
                        pixels.len() as u64,
                        shape.iter().product::<u64>() * u64::from(header.bits / 8)
                    );
                    json!({"shape": shape, "crc32c": crc32c::crc32c(&pixels)})
                }
                Err(e) => {
                    assert!(!REFUSED.contains(&&*e.message()), "{e}");
                    Value::Null
                }
            };
            if found != *expected {
                wrong.push(format!("{name} {asked}: {found}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_image_that_is_cut_anywhere_is_refused() {
    for (name, bytes) in golden() {
        if decode_any(&bytes).is_err() {
            continue; // what TensorFlow does not read either
        }
        let near_end = bytes.len().saturating_sub(24)..bytes.len();
        for len in near_end.chain((0..bytes.len()).step_by(41)) {
            let error = decode_any(&bytes[..len]).expect_err(&format!("{name}, {len} of {}", bytes.len()));
            assert!(
                [ErrorKind::Corrupt, ErrorKind::Mismatch].contains(&error.kind()),
                "{name}, {len}: {error}"
            );
        }
    }
}

#[test]
fn a_cut_image_is_not_whole_because_it_is_given_an_end() {
    for (name, bytes) in golden() {
        if !name.ends_with(".jpg") || name.starts_with("arithmetic") {
            continue;
        }
        // What is left of the last scan is its header and a byte.
        let scan = (0..bytes.len() - 1).rfind(|at| bytes[*at..*at + 2] == [0xff, 0xda]).unwrap();
        let header = usize::from(bytes[scan + 3]) + 2;
        let cut = [&bytes[..scan + header + 1], &[0xff, 0xd9]].concat();
        let error = decode_any(&cut).expect_err(&name);
        assert!(error.to_string().contains("it ends too soon"), "{name}: {error}");
    }
}

#[test]
fn what_follows_an_image_is_not_looked_at() {
    for (name, bytes) in golden() {
        if name.ends_with(".bmp") {
            continue; // whose size must be right
        }
        let more = [&bytes[..], b"\xff\xd9more"].concat();
        assert_eq!(decode_any(&bytes).ok(), decode_any(&more).ok(), "{name}");
    }
}

#[test]
fn sizes_are_refused_before_anything_is_reserved() {
    // The height and the width in the frame header of a JPEG.
    for name in ["gray.jpg", "progressive_gray.jpg", "arithmetic_progressive.jpg"] {
        let mut jpeg = golden_image(name);
        let at = (2..)
            .find(|at| jpeg[*at] == 0xff && (0xc0..=0xca).contains(&jpeg[at + 1]) && jpeg[at + 1] != 0xc4);
        let at = at.unwrap() + 5;
        jpeg[at..at + 4].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        let error = decode_any(&jpeg).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{name}: {error}");
        // 8,192 × 8,192 pixels are not too many, but there is nothing to make them of.
        jpeg[at..at + 4].copy_from_slice(&[0x20, 0, 0x20, 0]);
        let error = decode_any(&jpeg).unwrap_err().to_string();
        let said = ["it ends too soon", "too large for its file"];
        assert!(said.iter().any(|said| error.contains(said)), "{name}: {error}");
    }
    let mut webp = golden_image("animated_lossy.webp");
    webp[24..30].fill(0xff);
    assert_eq!(decode_any(&webp).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_jpeg_of_very_many_scans_is_refused() {
    let jpeg = golden_image("progressive_gray.jpg");
    // The first scan, up to the next marker, as often as one likes.
    let marker = |at: &usize| jpeg[*at] == 0xff && jpeg[*at + 1] != 0;
    let scan = (0..).find(|at| jpeg[*at..*at + 2] == [0xff, 0xda]).unwrap();
    let end = (scan + 2..).find(marker).unwrap();
    let with = |scans: usize| [&jpeg[..scan], &jpeg[scan..end].repeat(scans), &jpeg[end..]].concat();
    decode_any(&with(100)).unwrap();
    let error = decode_any(&with(600)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[test]
fn errors_of_libjpeg_say_what_is_wrong_and_end_here() {
    let mut jpeg = golden_image("444_75.jpg");
    let at = (0..jpeg.len()).find(|at| jpeg[*at..*at + 2] == [0xff, 0xc0]).unwrap();
    jpeg[at + 4] = 12;
    let error = decode_any(&jpeg).unwrap_err();
    assert!(error.to_string().ends_with("Unsupported JPEG data precision 12"), "{error}");
    // Ten thousand errors leave nothing behind.
    for _ in 0..10_000 {
        assert!(decode_any(&jpeg).is_err());
    }
}

#[test]
fn animations_without_alpha_have_four_channels() {
    // TensorFlow reserves three and writes four, so that it cannot be asked.
    let mut webp = golden_image("animated_lossy.webp");
    let (_, with) = decode_any(&webp).unwrap();
    webp[20] &= !0x10;
    let (header, without) = decode_any(&webp).unwrap();
    assert_eq!((header.channels, header.frames), (4, Some(4)));
    assert_eq!(with, without);
}
