//! BMP, as TensorFlow reads it: 8, 24 or 32 bits a pixel, not compressed, no byte too many.
//!
//! TensorFlow takes the bytes of an 8-bit image for gray and looks at no palette; nor does it look
//! at the masks of a 32-bit one.

use super::{Accept, Header, Request, admit, damaged, not_given, part, sixteen_bits, u32_at};
use crate::error::{Error, Result};

const FORMAT: &str = "BMP";

pub(super) fn decode(bytes: &[u8], request: Request, accept: Accept<'_>) -> Result<(Header, Vec<u8>)> {
    let cut = || super::cut(FORMAT);
    let signed = |at| u32_at(bytes, at).map(u32::cast_signed).ok_or_else(cut);
    let (pixels_at, width, height) = (signed(10)?, signed(18)?, signed(22)?);
    let bits = signed(28)? & 0xffff;
    let found = match bits {
        8 => 1,
        24 => 3,
        32 => 4,
        _ => {
            return Err(Error::mismatch("BMP image of a kind that is not decoded")
                .expected("8, 24 or 32 bits a pixel", bits.to_string()));
        }
    };
    let channels = match request.channels.unwrap_or(found) {
        wanted if request.channels.is_none() || matches!(wanted, 3 | 4) => wanted,
        wanted => return Err(not_given(FORMAT, "channels", "3 or 4", wanted)),
    };
    let (Ok(pixels_at), Ok(width @ 1..)) = (usize::try_from(pixels_at), usize::try_from(width)) else {
        return Err(damaged(FORMAT, "a size in its header is negative or zero"));
    };
    let rows = height.unsigned_abs() as usize;
    if rows == 0 {
        return Err(damaged(FORMAT, "its height is zero"));
    }
    let header = Header {
        format: FORMAT,
        frames: None,
        height: rows as u64,
        width: width as u64,
        channels,
        bits: request.bits.unwrap_or(8),
    };
    let size = admit(&header, accept)?;
    let item = usize::from(found);
    let row_bytes = width.saturating_mul(item).next_multiple_of(4);
    let expected = row_bytes.saturating_mul(rows);
    let data = bytes.get(pixels_at..).ok_or_else(cut)?;
    match data.len() {
        len if len < expected => return Err(cut()),
        len if len > expected => {
            let what = format!("it has {len} bytes of pixels instead of {expected}");
            return Err(damaged(FORMAT, what));
        }
        _ => {}
    }
    let mut out = Vec::with_capacity(size);
    for row in 0..rows {
        let from = if height < 0 { row } else { rows - 1 - row };
        let row = part(data, from * row_bytes, width * item).ok_or_else(cut)?;
        for pixel in row.chunks_exact(item) {
            match (pixel, channels) {
                (&[gray], 1) => out.push(gray),
                (&[gray], 3) => out.extend([gray; 3]),
                (&[gray], _) => out.extend([gray, gray, gray, 0xff]),
                (&[blue, green, red, ..], 3) => out.extend([red, green, blue]),
                (&[blue, green, red], _) => out.extend([red, green, blue, 0xff]),
                (&[blue, green, red, alpha], _) => out.extend([red, green, blue, alpha]),
                _ => {}
            }
        }
    }
    Ok((header, if header.bits == 16 { sixteen_bits(&out, 256) } else { out }))
}
