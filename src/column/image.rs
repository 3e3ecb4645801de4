//! Encoded images as tensors: PNG, JPEG, BMP and GIF.
//!
//! What the file says is what comes out: gray is one channel, gray with alpha two, colour three,
//! colour with alpha four; palettes are expanded. Nothing is converted to what the spec asks for:
//! another number of channels or another size is a mismatch.

use crate::error::{Error, Result};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;

/// How many bytes an image may decode to. A file of a few hundred bytes may ask for any number.
#[cfg(feature = "image")]
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// How many pixels a byte of a GIF can stand for: a code of 12 bits is a string of 4,096 at most.
#[cfg(feature = "image")]
const GIF_PIXELS_PER_BYTE: u64 = 2731;
/// Pixels that a GIF may have whatever its size: its frame need not fill it.
#[cfg(feature = "image")]
const GIF_PIXELS: u64 = 1 << 20;

/// The shape and the bytes (row-major, little-endian) of an encoded image.
///
/// # Errors
/// The bytes are no such image or are damaged, are an animation, decode to too many bytes, have
/// another number of bits than `dtype`, or another size or number of channels than `shape`.
#[cfg(feature = "image")]
pub(super) fn decode(bytes: &[u8], dtype: DType, shape: &Shape) -> Result<([u64; 3], Vec<u8>)> {
    use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder};
    use image::{ImageFormat, Limits};
    use std::io::Cursor;

    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let found = || match bytes.iter().take(8).map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ") {
        none if none.is_empty() => "no bytes".to_owned(),
        first => format!("bytes that begin with {first}"),
    };
    let format = image::guess_format(bytes).ok();
    let input = Cursor::new(bytes);
    match format {
        Some(ImageFormat::Png) => read(PngDecoder::with_limits(input, limits), "PNG", dtype, shape),
        Some(ImageFormat::Jpeg) => read(JpegDecoder::new(input), "JPEG", dtype, shape),
        Some(ImageFormat::Bmp) => read(BmpDecoder::new(input), "BMP", dtype, shape),
        Some(ImageFormat::Gif) => read_gif(bytes.len() as u64, GifDecoder::new(input), limits, dtype, shape),
        _ => {
            Err(Error::mismatch("value is no image of a known format")
                .expected("PNG, JPEG, BMP or GIF", found()))
        }
    }
}

#[cfg(not(feature = "image"))]
pub(super) fn decode(_: &[u8], _: DType, _: &Shape) -> Result<([u64; 3], Vec<u8>)> {
    Err(Error::unsupported("this build cannot decode images").with_hint("build with the feature `image`"))
}

#[cfg(feature = "image")]
fn damaged(format: &str, error: image::ImageError) -> Error {
    match error {
        image::ImageError::Limits(_) => Error::limit(format!("{format} image is too large"))
            .expected(format!("at most {MAX_DECODED_BYTES} bytes decoded"), "more"),
        image::ImageError::Unsupported(e) => {
            Error::unsupported(format!("{format} image cannot be decoded")).with_cause(e)
        }
        other => Error::corrupt(format!("{format} image cannot be decoded")).with_cause(other),
    }
}

/// Checks what the header says before anything is decoded.
#[cfg(feature = "image")]
fn check(
    format: &str,
    (width, height): (u32, u32),
    channels: u8,
    bits: u16,
    dtype: DType,
    shape: &Shape,
) -> Result<[u64; 3]> {
    let dims = [u64::from(height), u64::from(width), u64::from(channels)];
    if !shape.accepts(&dims) {
        return Err(Error::mismatch(format!("{format} image of another shape"))
            .expected(format!("{shape}"), Shape::known(&dims).to_string()));
    }
    let size = dims.iter().try_fold(u64::from(bits / 8), |a, b| a.checked_mul(*b));
    if size.is_none_or(|size| size > MAX_DECODED_BYTES) {
        return Err(Error::limit(format!("{format} image is too large")).expected(
            format!("at most {MAX_DECODED_BYTES} bytes decoded"),
            format!("{width} × {height} pixels of {channels} channels"),
        ));
    }
    let wanted = if dtype == DType::UInt16 { 16 } else { 8 };
    if bits != wanted {
        let other = if bits == 16 { "image<uint16>" } else { "image" };
        let dims: Vec<_> = match shape {
            Shape::Dims(dims) => dims.iter().map(|d| d.map_or("?".to_owned(), |d| d.to_string())).collect(),
            Shape::UnknownRank => Vec::new(),
        };
        return Err(Error::mismatch(format!("{format} image of another depth"))
            .expected(format!("{wanted} bits a channel"), bits.to_string())
            .with_hint(format!("its type is {other}[{}]", dims.join(","))));
    }
    Ok(dims)
}

#[cfg(feature = "image")]
fn read<D: image::ImageDecoder>(
    decoder: image::ImageResult<D>,
    format: &str,
    dtype: DType,
    shape: &Shape,
) -> Result<([u64; 3], Vec<u8>)> {
    let decoder = decoder.map_err(|e| damaged(format, e))?;
    let color = decoder.color_type();
    let bits = color.bits_per_pixel() / u16::from(color.channel_count()).max(1);
    let dims = check(format, decoder.dimensions(), color.channel_count(), bits, dtype, shape)?;
    let size = usize::try_from(decoder.total_bytes()).map_err(|_| Error::limit("image too large"))?;
    let mut bytes = vec![0; size];
    decoder.read_image(&mut bytes).map_err(|e| damaged(format, e))?;
    if bits == 16 && cfg!(target_endian = "big") {
        bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|value| value.reverse());
    }
    Ok((dims, bytes))
}

/// A GIF is colour without alpha, as TensorFlow has it; a transparent pixel is black.
#[cfg(feature = "image")]
fn read_gif<R: std::io::BufRead + std::io::Seek>(
    file_bytes: u64,
    decoder: image::ImageResult<image::codecs::gif::GifDecoder<R>>,
    limits: image::Limits,
    dtype: DType,
    shape: &Shape,
) -> Result<([u64; 3], Vec<u8>)> {
    use image::{AnimationDecoder, ImageDecoder};
    let fail = |e| damaged("GIF", e);
    let mut decoder = decoder.map_err(fail)?;
    let dims = check("GIF", decoder.dimensions(), 3, 8, dtype, shape)?;
    let [height, width, _] = dims;
    let most = file_bytes.saturating_mul(GIF_PIXELS_PER_BYTE).max(GIF_PIXELS);
    if width.saturating_mul(height) > most {
        return Err(Error::limit("GIF image is too large for its file").expected(
            format!("at most {most} pixels in {file_bytes} bytes"),
            format!("{width} × {height} pixels"),
        ));
    }
    decoder.set_limits(limits).map_err(fail)?;
    let mut frames = decoder.into_frames();
    let first = frames.next().ok_or_else(|| Error::corrupt("GIF image without a frame"))?.map_err(fail)?;
    match frames.next() {
        None => {}
        Some(Err(e)) => return Err(fail(e)),
        Some(Ok(_)) => {
            return Err(Error::mismatch("GIF image of several frames").expected("one frame", "an animation"));
        }
    }
    let rgba = first.into_buffer();
    let mut bytes = Vec::with_capacity(rgba.len() / 4 * 3);
    for [r, g, b, a] in rgba.as_chunks::<4>().0 {
        bytes.extend(if *a == 0 { [0; 3] } else { [*r, *g, *b] });
    }
    Ok((dims, bytes))
}
