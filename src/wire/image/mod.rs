//! Encoded images to pixels: JPEG, PNG, BMP, GIF and WebP, bit for bit as TensorFlow's decoders
//! give them.
//!
//! An image that is not whole is damaged, whatever could be made of the rest. Sizes are checked
//! before anything is reserved for them.

mod bmp;
mod gif;
mod jpeg;
mod libjpeg;
mod png;
mod webp;

use crate::error::{Error, Result};

/// How many bytes an image may decode to. A file of a few hundred bytes may ask for any number.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// What is asked of an image, as `tf.image.decode_image` is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Request {
    /// Channels a pixel; without, as many as the image has.
    pub(crate) channels: Option<u8>,
    /// Bits a channel, 8 or 16; without, 16 where the image has 16, and 8 else.
    pub(crate) bits: Option<u8>,
}

/// What an image decodes to, known before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The name of the format.
    pub(crate) format: &'static str,
    /// How many frames, in a format of animations.
    pub(crate) frames: Option<u64>,
    pub(crate) height: u64,
    pub(crate) width: u64,
    pub(crate) channels: u8,
    /// Bits a channel.
    pub(crate) bits: u8,
}

/// Says whether an image is wanted, before it is decoded.
pub(crate) type Accept<'a> = &'a mut dyn FnMut(&Header) -> Result<()>;

/// Decodes an image to `pixels`: rows from the top, 16 bits in little-endian order. What is in
/// `pixels` before is of no account but for its capacity.
///
/// # Errors
/// The bytes are no such image, are damaged or not whole, decode to too many bytes, cannot be
/// given as `request` says, or are not accepted.
pub(crate) fn decode(
    bytes: &[u8],
    request: Request,
    pixels: &mut Vec<u8>,
    accept: Accept<'_>,
) -> Result<Header> {
    let (header, decoded) = match bytes {
        [0xff, 0xd8, 0xff, ..] => return jpeg::decode(bytes, request, pixels, accept),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => {
            return png::decode(bytes, request, pixels, accept);
        }
        [b'G', b'I', b'F', b'8', ..] => gif::decode(bytes, request, accept)?,
        [b'B', b'M', ..] => bmp::decode(bytes, request, accept)?,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            webp::decode(bytes, request, accept)?
        }
        _ => {
            let first: Vec<_> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            let found = match first.as_slice() {
                [] => "no bytes".to_owned(),
                first => format!("bytes that begin with {}", first.join(" ")),
            };
            return Err(Error::mismatch("value is no image of a known format")
                .expected("JPEG, PNG, BMP, GIF or WebP", found));
        }
    };
    *pixels = decoded;
    Ok(header)
}

/// Lets the image be decoded, and says how many bytes its pixels take.
fn admit(header: &Header, accept: Accept<'_>) -> Result<usize> {
    accept(header)?;
    let Header { frames, height, width, channels, bits, .. } = *header;
    let factors = [frames.unwrap_or(1), height, width, u64::from(channels), u64::from(bits / 8)];
    let size = factors.iter().try_fold(1u64, |size, factor| size.checked_mul(*factor));
    match size.filter(|size| *size <= MAX_DECODED_BYTES).map(usize::try_from) {
        Some(Ok(size)) => Ok(size),
        _ => {
            let frames = frames.map(|frames| format!("{frames} frames of ")).unwrap_or_default();
            Err(Error::limit(format!("{} image is too large", header.format)).expected(
                format!("at most {MAX_DECODED_BYTES} bytes decoded"),
                format!("{frames}{width} × {height} pixels of {channels} channels"),
            ))
        }
    }
}

/// An image whose bytes contradict themselves, and how.
fn damaged(format: &str, how: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::corrupt(format!("{format} image cannot be decoded")).with_cause(how)
}

/// An image whose end is missing.
fn cut(format: &str) -> Error {
    damaged(format, "it ends too soon")
}

/// An image that can be decoded, but not with so many channels, or bits a channel.
fn not_given(format: &str, what: &str, can: &str, asked: u8) -> Error {
    Error::mismatch(format!("{format} image with another number of {what}")).expected(asked.to_string(), can)
}

/// Bytes as 16-bit values, each `factor` times itself.
fn sixteen_bits(bytes: &[u8], factor: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(2));
    bytes.iter().for_each(|byte| out.extend((u16::from(*byte) * factor).to_le_bytes()));
    out
}

/// The part of `bytes` from `at` on that is `len` long.
fn part(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..)?.get(..len)
}

/// A little-endian number of four bytes.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
