//! JPEG, by the fast integer transform, with smooth upsampling: TensorFlow's defaults.

use super::libjpeg::{Colours, Decompress, Failure};
use super::{Accept, Header, MAX_DECODED_BYTES, Request, admit, cut, damaged, not_given, sixteen_bits};
use crate::error::{Error, Result};

const FORMAT: &str = "JPEG";

/// The markers of an arithmetically coded image.
const ARITHMETIC: [&[u8]; 2] = [&[0xff, 0xc9], &[0xff, 0xca]];
/// Blocks that a bit of such an image may stand for.
const ARITHMETIC_BLOCKS_PER_BIT: u64 = 16;
/// Bytes that libjpeg holds for each block of an image of several scans.
const BLOCK_BYTES: u64 = 128;

pub(super) fn decode(
    bytes: &[u8],
    request: Request,
    pixels: &mut Vec<u8>,
    accept: Accept<'_>,
) -> Result<Header> {
    let mut jpeg = Decompress::new(bytes).map_err(failed)?;
    let components = jpeg.components();
    let channels = request.channels.unwrap_or(components.min(3));
    let colours = match channels {
        1 => Colours::Gray,
        3 if jpeg.is_cmyk() => Colours::Cmyk,
        3 => Colours::Rgb,
        2 if request.channels.is_none() => {
            return Err(Error::mismatch("JPEG image of a kind that is not decoded")
                .expected("1, 3 or 4 components", components.to_string()));
        }
        wanted => return Err(not_given(FORMAT, "channels", "1 or 3", wanted)),
    };
    let (width, height) = jpeg.size();
    let bits = request.bits.unwrap_or(8);
    let header = Header {
        format: FORMAT,
        frames: None,
        height: u64::from(height),
        width: u64::from(width),
        channels,
        bits,
    };
    let size = admit(&header, accept)?;
    let blocks = jpeg.blocks();
    check_blocks(blocks, bytes)?;
    if jpeg.has_several_scans() && blocks.saturating_mul(BLOCK_BYTES) > MAX_DECODED_BYTES {
        return Err(Error::limit("JPEG image of several scans is too large")
            .expected(format!("at most {} blocks", MAX_DECODED_BYTES / BLOCK_BYTES), blocks.to_string()));
    }
    jpeg.start(colours).map_err(failed)?;
    pixels.resize(size / usize::from(bits / 8), 0);
    match colours {
        Colours::Cmyk => read_cmyk(&mut jpeg, pixels)?,
        _ => {
            let mut rest = pixels.as_mut_slice();
            while !rest.is_empty() {
                let read = jpeg.read_rows(rest).map_err(failed)?;
                rest = rest.get_mut(read..).filter(|_| read > 0).ok_or_else(|| cut(FORMAT))?;
            }
        }
    }
    jpeg.finish().map_err(failed)?;
    if bits == 16 {
        *pixels = sixteen_bits(pixels, 256);
    }
    Ok(header)
}

/// Compares the number of blocks with the bytes that they are made of.
fn check_blocks(blocks: u64, bytes: &[u8]) -> Result<()> {
    let bits = (bytes.len() as u64).saturating_mul(8);
    if blocks <= bits {
        return Ok(());
    }
    // A block takes a bit at the least, unless it is coded arithmetically, without bounds.
    if !bytes.windows(2).any(|pair| ARITHMETIC.contains(&pair)) {
        return Err(cut(FORMAT));
    }
    let most = bits.saturating_mul(ARITHMETIC_BLOCKS_PER_BIT);
    if blocks > most {
        return Err(Error::limit("JPEG image is too large for its file")
            .expected(format!("at most {most} blocks in {} bytes", bytes.len()), blocks.to_string()));
    }
    Ok(())
}

/// Rows of four inks as colours.
fn read_cmyk(jpeg: &mut Decompress<'_>, pixels: &mut [u8]) -> Result<()> {
    // Programs that leave Adobe's marker write the inks inverted.
    let inverted = jpeg.has_adobe_marker();
    let (width, _) = jpeg.size();
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    let mut row = vec![0; width.saturating_mul(4)];
    for out in pixels.chunks_exact_mut(width.saturating_mul(3)) {
        if jpeg.read_rows(&mut row).map_err(failed)? == 0 {
            return Err(cut(FORMAT));
        }
        for (inks, colours) in row.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<3>().0) {
            let [cyan, magenta, yellow, black] = inks.map(|ink| if inverted { ink } else { 255 - ink });
            *colours = [cyan, magenta, yellow]
                .map(|ink| u8::try_from(u32::from(ink) * u32::from(black) / 255).unwrap_or(u8::MAX));
        }
    }
    Ok(())
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::Cut => cut(FORMAT),
        Failure::TooManyScans(most) => {
            Error::limit("JPEG image has too many scans").expected(format!("at most {most}"), "more")
        }
        Failure::Unwindless => Error::unsupported("JPEG image cannot be decoded")
            .with_hint("libjpeg needs a program that is built with panic = \"unwind\""),
        Failure::Damaged(how) => damaged(FORMAT, how),
    }
}
