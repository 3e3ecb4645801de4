//! Small images for a page: as they are, if they are small, else made smaller.

use crate::report::profile::samples::ImageData;
use crate::wire::sha256::base64;

/// Bytes of an encoded image that is shown as it is.
const AS_IT_IS: usize = 4096;
/// The longer side of an image that is made smaller.
const SIDE: u32 = 80;
/// Pixels of an image that is decoded to be made smaller.
const PIXELS: u64 = 40_000_000;

/// An image for a page, or why there is none.
#[derive(Debug, Clone)]
pub(super) enum Thumb {
    Shown {
        uri: String,
        width: u32,
        height: u32,
    },
    Not(&'static str),
    /// The page has no room for it.
    NoRoom,
}

/// Pixels of one byte a channel, row by row: grey, grey with alpha, colour, colour with alpha.
struct Pixels {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
    channels: u8,
}

/// What to show of an image.
pub(super) fn thumb(data: &ImageData) -> Thumb {
    match data {
        ImageData::Pixels { bytes, width, height, channels } => {
            shrink(&Pixels { bytes: bytes.clone(), width: *width, height: *height, channels: *channels })
        }
        ImageData::Encoded { bytes, mime, width, height } => {
            let as_it_is = || Thumb::Shown {
                uri: format!("data:{mime};base64,{}", base64(bytes)),
                width: *width,
                height: *height,
            };
            if u64::from(*width) * u64::from(*height) > PIXELS {
                return Thumb::Not("too large to show");
            }
            match decode(bytes) {
                Decoded::Pixels(_) if bytes.len() <= AS_IT_IS => as_it_is(),
                Decoded::Pixels(pixels) => shrink(&pixels),
                Decoded::Unknown if bytes.len() <= 8 * AS_IT_IS => as_it_is(),
                Decoded::Unknown => Thumb::Not("not decoded here"),
                Decoded::Damaged => Thumb::Not("does not decode"),
            }
        }
        ImageData::Large => Thumb::Not("too large to show"),
        ImageData::Other { bytes: 0 } => Thumb::Not("nothing there"),
        ImageData::Other { .. } => Thumb::Not("not an image"),
    }
}

#[cfg_attr(not(feature = "image"), allow(dead_code))] // without decoders, nothing is known
enum Decoded {
    Pixels(Pixels),
    Damaged,
    /// Of a format that is not decoded here.
    Unknown,
}

/// The pixels of an image, of an animation those of its first frame.
#[cfg(feature = "image")]
fn decode(bytes: &[u8]) -> Decoded {
    use crate::error::ErrorKind;
    use crate::wire::image::{self, Request};
    let mut pixels = Vec::new();
    let request = Request { channels: None, bits: Some(8) };
    let header = match image::decode(bytes, request, &mut pixels, &mut |_| Ok(())) {
        Ok(header) => header,
        Err(error) if error.kind() == ErrorKind::Corrupt => return Decoded::Damaged,
        Err(_) => return Decoded::Unknown,
    };
    match (u32::try_from(header.width), u32::try_from(header.height)) {
        (Ok(width), Ok(height)) if (1..=4).contains(&header.channels) => {
            Decoded::Pixels(Pixels { bytes: pixels, width, height, channels: header.channels })
        }
        _ => Decoded::Unknown,
    }
}

#[cfg(not(feature = "image"))]
fn decode(_: &[u8]) -> Decoded {
    Decoded::Unknown
}

/// Makes an image smaller, each pixel the mean of those it stands for, and encodes it.
fn shrink(from: &Pixels) -> Thumb {
    let (width, height) = (from.width.max(1), from.height.max(1));
    let longer = width.max(height);
    let scaled = |side: u32| {
        if longer <= SIDE {
            side
        } else {
            (u64::from(side) * u64::from(SIDE) / u64::from(longer)).max(1).try_into().unwrap_or(1)
        }
    };
    let (to_width, to_height) = (scaled(width), scaled(height));
    let channels = usize::from(from.channels);
    let mut bytes = Vec::new();
    for y in 0..to_height {
        let rows = span(y, to_height, height);
        for x in 0..to_width {
            let columns = span(x, to_width, width);
            let mut sums = [0u64; 4];
            let mut count = 0u64;
            for row in rows.clone() {
                for column in columns.clone() {
                    let at = (row as usize * width as usize + column as usize) * channels;
                    let pixel = from.bytes.get(at..at + channels).unwrap_or_default();
                    sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
                    count += 1;
                }
            }
            let mean =
                sums.iter().take(channels).map(|sum| u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
            bytes.extend(mean);
        }
    }
    let png = png(&bytes, to_width, to_height, from.channels);
    Thumb::Shown {
        uri: format!("data:image/png;base64,{}", base64(&png)),
        width: to_width,
        height: to_height,
    }
}

/// The pixels that pixel `at` of `to` stands for, of `from`.
fn span(at: u32, to: u32, from: u32) -> std::ops::Range<u32> {
    let place = |at: u32| u32::try_from(u64::from(at) * u64::from(from) / u64::from(to)).unwrap_or(from);
    let start = place(at);
    start..place(at + 1).max(start + 1)
}

/// Pixels as a PNG file.
fn png(bytes: &[u8], width: u32, height: u32, channels: u8) -> Vec<u8> {
    let color = match channels {
        1 => 0,
        2 => 4,
        3 => 2,
        _ => 6,
    };
    let stride = width as usize * usize::from(channels);
    let mut raw = Vec::with_capacity(bytes.len() + height as usize);
    let mut above = vec![0; stride];
    for row in bytes.chunks(stride.max(1)) {
        // Differences from the row above are smaller numbers.
        raw.push(2);
        raw.extend(row.iter().zip(&above).map(|(value, above)| value.wrapping_sub(*above)));
        above = row.to_vec();
    }
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, color, 0, 0, 0]);
    for (name, body) in [(b"IHDR", header), (b"IDAT", zlib(&raw)), (b"IEND", Vec::new())] {
        let start = out.len();
        out.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
        out.extend(name);
        out.extend(body);
        let crc = crc32(out.get(start + 4..).unwrap_or_default());
        out.extend(crc.to_be_bytes());
    }
    out
}

/// A ZLIB stream of `bytes`.
#[cfg(feature = "gzip")]
fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to memory does not fail.
    let written = encoder.write_all(bytes);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}

/// A ZLIB stream of `bytes` as they are.
#[cfg(not(feature = "gzip"))]
fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(0);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    out.extend((b << 16 | a).to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(all(test, feature = "image"))]
mod tests {
    use super::*;

    fn pixels(width: u32, height: u32, channels: u8) -> ImageData {
        let bytes = (0..width * height * u32::from(channels)).map(|i| (i % 251) as u8).collect();
        ImageData::Pixels { bytes, width, height, channels }
    }

    #[test]
    fn images_that_are_made_are_images() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        for (channels, width, height) in [(1, 8, 8), (3, 5, 9), (4, 80, 3)] {
            let ImageData::Pixels { bytes, .. } = pixels(width, height, channels) else { unreachable!() };
            let png = png(&bytes, width, height, channels);
            let Decoded::Pixels(back) = decode(&png) else { panic!("{channels} channels") };
            assert_eq!((back.width, back.height, back.channels), (width, height, channels));
            assert!(back.bytes == bytes);
        }
    }

    #[test]
    fn large_images_are_made_small_and_others_are_named() {
        let Thumb::Shown { width, height, .. } = thumb(&pixels(800, 400, 3)) else { panic!() };
        assert_eq!((width, height), (80, 40));
        let Thumb::Shown { width, height, .. } = thumb(&pixels(3000, 1, 1)) else { panic!() };
        assert_eq!((width, height), (80, 1));
        let damaged = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10\x08\0\0\0\0".to_vec();
        let damaged = ImageData::Encoded { bytes: damaged, mime: "image/png", width: 32, height: 16 };
        assert!(matches!(thumb(&damaged), Thumb::Not("does not decode")));
    }
}
