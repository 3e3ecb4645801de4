//! WebP. Animations are put together here, in the arithmetic of libwebp, with four channels whatever
//! they have.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::{Accept, Header, MAX_DECODED_BYTES, Request, admit, cut, damaged, not_given, part, u32_at};
use crate::error::{Error, Result};

const FORMAT: &str = "WebP";

/// Bytes before the first chunk: `RIFF`, the length of the rest, `WEBP`.
const RIFF_HEADER: usize = 12;
/// Bytes of a chunk before its data: its name, the data's length.
const CHUNK_HEADER: usize = 8;
/// Bytes of a frame before its chunks.
const FRAME_HEADER: usize = 16;

/// `VP8X`: the image has alpha, the image is an animation.
const HAS_ALPHA: u32 = 1 << 4;
const IS_ANIMATION: u32 = 1 << 1;
/// `VP8 `, the first byte: that the image is to be shown, and its version; 14 bits of each size.
const IS_SHOWN: u8 = 1 << 4;
const VERSION: u8 = 7 << 1;
const LAST_VERSION: u8 = 3 << 1;
const SIZE: u32 = 0x3fff;
/// `ANMF`: the frame replaces what it covers; what it covers is cleared afterwards.
const REPLACES: u32 = 1 << 1;
const IS_CLEARED: u32 = 1;

pub(super) fn decode(bytes: &[u8], request: Request, accept: Accept<'_>) -> Result<(Header, Vec<u8>)> {
    if let Some(bits) = request.bits.filter(|bits| *bits != 8) {
        return Err(not_given(FORMAT, "bits a channel", "8", bits));
    }
    let len = u32_at(bytes, 4).map_or(0, |len| len as usize).saturating_add(CHUNK_HEADER);
    let bytes = bytes.get(..len).ok_or_else(|| cut(FORMAT))?;
    let chunks = bytes.get(RIFF_HEADER..).ok_or_else(|| cut(FORMAT))?;
    match Chunks(chunks).next().transpose()? {
        Some(Chunk { name: b"VP8X", data }) if flags_of(data) & IS_ANIMATION != 0 => {
            animation(chunks, data, request, accept)
        }
        Some(Chunk { name: b"VP8X", data }) => still(chunks, Some(data), request, accept),
        Some(Chunk { name: b"VP8 " | b"VP8L", .. }) => still(chunks, None, request, accept),
        Some(_) => Err(damaged(FORMAT, "it begins with no image")),
        None => Err(cut(FORMAT)),
    }
}

fn flags_of(extended: &[u8]) -> u32 {
    u32_at(extended, 0).unwrap_or(0)
}

/// Width and height of the canvas.
fn size_of(extended: &[u8]) -> Option<(usize, usize)> {
    Some((u24_at(extended, 4)? + 1, u24_at(extended, 7)? + 1))
}

/// An image of one frame, and its extended header, if it has one.
fn still(
    chunks: &[u8],
    extended: Option<&[u8]>,
    request: Request,
    accept: Accept<'_>,
) -> Result<(Header, Vec<u8>)> {
    let has_alpha = extended.is_some_and(|extended| flags_of(extended) & HAS_ALPHA != 0);
    let mut image = Image::new(chunks, has_alpha)?;
    if extended.is_some_and(|extended| size_of(extended) != Some(image.size())) {
        return Err(damaged(FORMAT, "the image has another size than its header says"));
    }
    let channels = image.channels();
    if let Some(wanted) = request.channels.filter(|wanted| *wanted != channels) {
        return Err(not_given(FORMAT, "channels", &channels.to_string(), wanted));
    }
    let (width, height) = image.size();
    let (height, width) = (height as u64, width as u64);
    let header = Header { format: FORMAT, frames: Some(1), height, width, channels, bits: 8 };
    admit(&header, accept)?;
    Ok((header, image.read()?))
}

fn animation(
    chunks: &[u8],
    extended: &[u8],
    request: Request,
    accept: Accept<'_>,
) -> Result<(Header, Vec<u8>)> {
    if let Some(wanted) = request.channels.filter(|wanted| *wanted != 4) {
        return Err(not_given(FORMAT, "channels", "4 in an animation", wanted));
    }
    let (mut frames, mut is_declared) = (Vec::new(), false);
    for chunk in Chunks(chunks) {
        match chunk? {
            Chunk { name: b"ANIM", .. } => is_declared = true,
            Chunk { name: b"ANMF", data } => frames.push(Frame::parse(data)?),
            _ => {}
        }
    }
    let (Some((width, height)), [_, ..], true) = (size_of(extended), frames.as_slice(), is_declared) else {
        return Err(damaged(FORMAT, "an animation without a frame"));
    };
    let canvas = Rect { left: 0, top: 0, width, height };
    let header = Header {
        format: FORMAT,
        frames: Some(frames.len() as u64),
        height: canvas.height as u64,
        width: canvas.width as u64,
        channels: 4,
        bits: 8,
    };
    let mut out = Vec::with_capacity(admit(&header, accept)?);
    // What is there before the next frame, and which part of it the last frame cleared.
    let mut below = vec![[0u8; 4]; canvas.width * canvas.height];
    let mut cleared: Option<Rect> = None;
    let mut last_is_key = true;
    for (number, frame) in frames.iter().enumerate() {
        if !canvas.holds(frame.rect) {
            return Err(damaged(FORMAT, "a frame reaches beyond the canvas"));
        }
        let mut image = Image::new(frame.chunks, false)?;
        if image.size() != (frame.rect.width, frame.rect.height) {
            return Err(damaged(FORMAT, "a frame has another size than its header says"));
        }
        let item = usize::from(image.channels());
        let pixels = image.read()?;
        let whole = frame.rect == canvas;
        // A key frame does not depend on what came before it.
        let is_key = number == 0
            || whole && (frame.replaces || item == 3)
            || cleared.is_some_and(|rect| rect == canvas || last_is_key);
        if is_key {
            below.fill([0; 4]);
        }
        let mut shown = below.clone();
        let blends = !is_key && !frame.replaces;
        for (y, row) in pixels.chunks_exact(frame.rect.width * item).enumerate() {
            let y = frame.rect.top + y;
            let row = row.chunks_exact(item).map(|pixel| match *pixel {
                [red, green, blue] => [red, green, blue, 0xff],
                [red, green, blue, alpha] => [red, green, blue, alpha],
                _ => [0; 4],
            });
            let shown = shown.iter_mut().skip(y * canvas.width + frame.rect.left);
            for (x, (pixel, shown)) in row.zip(shown).enumerate() {
                let is_clear = || cleared.is_some_and(|rect| rect.has(frame.rect.left + x, y));
                *shown = if blends && pixel[3] != 0xff && !is_clear() { blend(pixel, *shown) } else { pixel };
            }
        }
        out.extend_from_slice(shown.as_flattened());
        cleared = frame.is_cleared.then_some(frame.rect);
        if frame.is_cleared {
            for y in frame.rect.top..frame.rect.top + frame.rect.height {
                let row = shown.iter_mut().skip(y * canvas.width + frame.rect.left);
                row.take(frame.rect.width).for_each(|pixel| *pixel = [0; 4]);
            }
        }
        (below, last_is_key) = (shown, is_key);
    }
    Ok((header, out))
}

/// A pixel over another, neither multiplied by its alpha.
fn blend(over: [u8; 4], under: [u8; 4]) -> [u8; 4] {
    let [alpha, under_alpha] = [over, under].map(|pixel| u32::from(pixel[3]));
    if alpha == 0 {
        return under;
    }
    let weight = (under_alpha * (256 - alpha)) >> 8;
    let both = alpha + weight;
    let scale = (1 << 24) / both;
    let mut out = [0, 0, 0, u8::try_from(both).unwrap_or(u8::MAX)];
    for (out, (over, under)) in out.iter_mut().zip(over.into_iter().zip(under)).take(3) {
        let sum = u32::from(over) * alpha + u32::from(under) * weight;
        *out = u8::try_from((u64::from(sum) * u64::from(scale)) >> 24).unwrap_or(u8::MAX);
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Rect {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Rect {
    fn holds(self, other: Self) -> bool {
        other.left + other.width <= self.left + self.width
            && other.top + other.height <= self.top + self.height
    }

    fn has(self, x: usize, y: usize) -> bool {
        (self.left..self.left + self.width).contains(&x) && (self.top..self.top + self.height).contains(&y)
    }
}

/// A frame of an animation, not decoded.
struct Frame<'a> {
    rect: Rect,
    replaces: bool,
    is_cleared: bool,
    chunks: &'a [u8],
}

impl<'a> Frame<'a> {
    fn parse(data: &'a [u8]) -> Result<Self> {
        let numbers = [0, 3, 6, 9, 12].map(|at| u24_at(data, at));
        let ([Some(left), Some(top), Some(width), Some(height), Some(_)], Some(flags), Some(chunks)) =
            (numbers, data.get(FRAME_HEADER - 1), data.get(FRAME_HEADER..))
        else {
            return Err(damaged(FORMAT, "a frame without its header"));
        };
        if !matches!(chunks.first_chunk(), Some(b"ALPH" | b"VP8 " | b"VP8L")) {
            return Err(damaged(FORMAT, "a frame begins with no image"));
        }
        let rect = Rect { left: 2 * left, top: 2 * top, width: width + 1, height: height + 1 };
        let is = |flag| u32::from(*flags) & flag != 0;
        Ok(Self { rect, replaces: is(REPLACES), is_cleared: is(IS_CLEARED), chunks })
    }
}

/// One image, in a file of its own without anything that is not needed to decode it.
struct Image(WebPDecoder<Cursor<Vec<u8>>>);

impl Image {
    /// The image among `chunks`; it has alpha if they say so, or if `has_alpha` does.
    fn new(chunks: &[u8], has_alpha: bool) -> Result<Self> {
        let (mut alpha, mut image) = (None, None);
        for chunk in Chunks(chunks) {
            let chunk = chunk?;
            match chunk.name {
                b"ALPH" if image.is_none() => alpha = Some(chunk),
                b"VP8 " | b"VP8L" if image.is_none() => image = Some(chunk),
                _ => {}
            }
        }
        let Some(image) = image else { return Err(damaged(FORMAT, "it has no image")) };
        let mut parts = b"WEBP".to_vec();
        if image.name == b"VP8 " {
            // Three bytes of flags and a length, three that never change, and the size.
            let (Some(tag), Some(size)) = (image.data.first(), part(image.data, 6, 4)) else {
                return Err(cut(FORMAT));
            };
            if tag & IS_SHOWN == 0 || tag & VERSION > LAST_VERSION {
                return Err(damaged(FORMAT, "it holds no image to be shown"));
            }
            if has_alpha || alpha.is_some() {
                let mut extended = HAS_ALPHA.to_le_bytes().to_vec();
                for size in size.as_chunks::<2>().0 {
                    let size = (u32::from(u16::from_le_bytes(*size)) & SIZE).saturating_sub(1);
                    extended.extend(size.to_le_bytes().iter().take(3));
                }
                Chunk { name: b"VP8X", data: &extended }.write(&mut parts)?;
            }
            if let Some(alpha) = alpha {
                alpha.write(&mut parts)?;
            }
        }
        image.write(&mut parts)?;
        let mut file = Vec::with_capacity(CHUNK_HEADER + parts.len());
        Chunk { name: b"RIFF", data: &parts }.write(&mut file)?;
        Ok(Self(WebPDecoder::new(Cursor::new(file)).map_err(failed)?))
    }

    /// Width and height.
    fn size(&self) -> (usize, usize) {
        let (width, height) = self.0.dimensions();
        (width as usize, height as usize)
    }

    fn channels(&self) -> u8 {
        if self.0.has_alpha() { 4 } else { 3 }
    }

    fn read(&mut self) -> Result<Vec<u8>> {
        let size = self.0.output_buffer_size().filter(|size| *size as u64 <= MAX_DECODED_BYTES);
        let mut pixels = vec![0; size.ok_or_else(|| Error::limit("WebP image is too large"))?];
        self.0.read_image(&mut pixels).map_err(failed)?;
        Ok(pixels)
    }
}

/// A part of a RIFF file.
struct Chunk<'a> {
    name: &'a [u8; 4],
    data: &'a [u8],
}

impl Chunk<'_> {
    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let len = u32::try_from(self.data.len()).map_err(|_| Error::limit("WebP chunk is too large"))?;
        out.extend(self.name);
        out.extend(len.to_le_bytes());
        out.extend(self.data);
        out.resize(out.len().next_multiple_of(2), 0);
        Ok(())
    }
}

/// The chunks in some bytes, each of which must be whole.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.0);
        if rest.is_empty() {
            return None;
        }
        let chunk = || {
            let name = rest.first_chunk()?;
            let len = usize::try_from(u32_at(rest, 4)?).ok()?;
            let data = part(rest, CHUNK_HEADER, len)?;
            Some((Chunk { name, data }, rest.get(CHUNK_HEADER + len.next_multiple_of(2)..)))
        };
        let Some((chunk, rest)) = chunk() else { return Some(Err(cut(FORMAT))) };
        self.0 = rest.unwrap_or_default();
        Some(Ok(chunk))
    }
}

/// A little-endian number of three bytes.
fn u24_at(bytes: &[u8], at: usize) -> Option<usize> {
    let [low, middle, high] = *bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes([low, middle, high, 0])).ok()
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => cut(FORMAT),
        other => damaged(FORMAT, other),
    }
}
