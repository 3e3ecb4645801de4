//! GIF, as TensorFlow reads it: as large as the largest frame, colour without alpha, each frame
//! painted over the one before, black where nothing was painted.

use ::gif::{ColorOutput, DecodeOptions, Decoder, DecodingError, Frame, MemoryLimit};

use super::{Accept, Header, Request, admit, damaged, not_given, sixteen_bits};
use crate::error::{Error, Result};

const FORMAT: &str = "GIF";

/// How many pixels a byte of a file can stand for: a code of 12 bits is a string of 4,096 at most.
const PIXELS_PER_BYTE: u64 = 2731;
/// Pixels that a file may have whatever its size.
const PIXELS: u64 = 1 << 20;

pub(super) fn decode(bytes: &[u8], request: Request, accept: Accept<'_>) -> Result<(Header, Vec<u8>)> {
    if let Some(wanted) = request.channels.filter(|wanted| *wanted != 3) {
        return Err(not_given(FORMAT, "channels", "3", wanted));
    }
    let (mut frames, mut width, mut height, mut pixels) = (0u64, 0u64, 0u64, 0u64);
    let mut decoder = open(bytes, true)?;
    while let Some(frame) = decoder.next_frame_info().map_err(failed)? {
        if frame.width == 0 || frame.height == 0 {
            return Err(damaged(FORMAT, "a frame has no pixels"));
        }
        let size = (u64::from(frame.width), u64::from(frame.height));
        (width, height) = (width.max(size.0), height.max(size.1));
        pixels = pixels.saturating_add(size.0 * size.1);
        frames += 1;
    }
    if frames == 0 {
        return Err(damaged(FORMAT, "it has no frame"));
    }
    let bits = request.bits.unwrap_or(8);
    let header = Header { format: FORMAT, frames: Some(frames), height, width, channels: 3, bits };
    let size = admit(&header, accept)?;
    let screen = u64::from(decoder.width()) * u64::from(decoder.height());
    let pixels = pixels.max(screen);
    let most = (bytes.len() as u64).saturating_mul(PIXELS_PER_BYTE).max(PIXELS);
    if pixels > most {
        return Err(Error::limit("GIF image is too large for its file").expected(
            format!("at most {most} pixels in {} bytes", bytes.len()),
            format!("{pixels} pixels"),
        ));
    }
    let frame_bytes = usize::try_from(width * height * 3).unwrap_or(usize::MAX);
    let mut out: Vec<u8> = Vec::with_capacity(size);
    let mut decoder = open(bytes, false)?;
    let mut indices = Vec::new();
    while let Some(frame) = decoder.next_frame_info().map_err(failed)?.cloned() {
        let start = out.len();
        match start.checked_sub(frame_bytes) {
            Some(before) => out.extend_from_within(before..),
            None => out.resize(frame_bytes, 0),
        }
        indices.clear();
        indices.resize(usize::from(frame.width) * usize::from(frame.height), 0);
        decoder.read_into_buffer(&mut indices).map_err(failed)?;
        let palette = decoder.palette().map_err(failed)?;
        let canvas = out.get_mut(start..).unwrap_or_default();
        paint(canvas, usize::try_from(width).unwrap_or(usize::MAX), &frame, &indices, palette)?;
    }
    Ok((header, if bits == 16 { sixteen_bits(&out, 256) } else { out }))
}

fn open(bytes: &[u8], skim: bool) -> Result<Decoder<&[u8]>> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Unlimited); // frames are checked before they are read
    options.skip_frame_decoding(skim);
    options.read_info(bytes).map_err(failed)
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::UnexpectedEof => super::cut(FORMAT),
        other => damaged(FORMAT, other),
    }
}

/// Paints the pixels of a frame that are not transparent and within the canvas.
fn paint(canvas: &mut [u8], width: usize, frame: &Frame<'_>, indices: &[u8], palette: &[u8]) -> Result<()> {
    let (palette, _) = palette.as_chunks::<3>();
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let canvas_rows = canvas.chunks_exact_mut(width.saturating_mul(3)).skip(top);
    for (row, canvas_row) in indices.chunks_exact(usize::from(frame.width)).zip(canvas_rows) {
        let pixels = canvas_row.as_chunks_mut::<3>().0.iter_mut().skip(left);
        for (index, pixel) in row.iter().zip(pixels) {
            if frame.transparent == Some(*index) {
                continue;
            }
            let Some(colour) = palette.get(usize::from(*index)) else {
                return Err(damaged(FORMAT, format!("a pixel has colour {index} of {}", palette.len())));
            };
            *pixel = *colour;
        }
    }
    Ok(())
}
