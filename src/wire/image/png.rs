//! PNG, as TensorFlow reads it: palettes are expanded; a colour that is marked as transparent makes
//! an alpha channel in palettes alone, unless one is asked for.

use std::io::Cursor;

use ::png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::{Accept, Header, MAX_DECODED_BYTES, Request, admit, damaged, not_given, sixteen_bits};
use crate::error::{Error, Result};

const FORMAT: &str = "PNG";

const SIGNATURE_BYTES: usize = 8;

pub(super) fn decode(
    bytes: &[u8],
    request: Request,
    pixels: &mut Vec<u8>,
    accept: Accept<'_>,
) -> Result<Header> {
    let limits = Limits { bytes: usize::try_from(MAX_DECODED_BYTES).unwrap_or(usize::MAX) };
    check_chunks(bytes)?;
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(failed)?;
    let info = reader.info();
    let (width, height) = info.size();
    let (colour, depth) = (info.color_type, info.bit_depth as u8);
    let (expanded, expanded_depth) = reader.output_color_type();
    let found = Layout { channels: channels_of(expanded), deep: expanded_depth == BitDepth::Sixteen };
    let own = if colour == ColorType::Indexed { found.channels } else { channels_of(colour) };
    let channels = match request.channels.unwrap_or(own) {
        wanted @ 1..=4 => wanted,
        wanted => return Err(not_given(FORMAT, "channels", "1 to 4", wanted)),
    };
    let bits = request.bits.unwrap_or(if found.deep { 16 } else { 8 });
    let header = Header {
        format: FORMAT,
        frames: None,
        height: u64::from(height),
        width: u64::from(width),
        channels,
        bits,
    };
    let becomes_gray = found.channels > 2 && channels < 3;
    let gamma = info.gamma().filter(|_| becomes_gray);
    let gray = Gray { deep: found.deep, tables: gamma.and_then(|gamma| Tables::of(gamma.into_scaled())) };
    if found.deep && gray.tables.is_some() {
        return Err(Error::mismatch("PNG image of 16-bit colours with a gamma cannot become gray"));
    }
    admit(&header, accept)?;
    // What it expands to is checked, too: it may be larger than what is asked for.
    let expanded = Header { channels: found.channels, bits: if found.deep { 16 } else { 8 }, ..header };
    let size = admit(&expanded, &mut |_| Ok(()))?;
    pixels.resize(size, 0);
    reader.next_frame(pixels).map_err(failed)?;
    reader.finish().map_err(failed)?;
    if channels != found.channels {
        // The opaque alpha that is added has as many bits as the file's values have.
        *pixels = found.convert(pixels, channels, u16::MAX >> (16 - depth.min(16)), &gray);
    }
    match (found.deep, bits) {
        (false, 16) => *pixels = sixteen_bits(pixels, 257),
        (true, 16) => pixels.as_chunks_mut::<2>().0.iter_mut().for_each(|value| value.reverse()),
        (true, _) => *pixels = pixels.as_chunks::<2>().0.iter().map(|[high, _]| *high).collect(),
        (false, _) => {}
    }
    Ok(header)
}

fn channels_of(colour: ColorType) -> u8 {
    u8::try_from(colour.samples()).unwrap_or(4)
}

fn failed(error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            super::cut(FORMAT)
        }
        DecodingError::LimitsExceeded => Error::limit("PNG image is too large")
            .expected(format!("at most {MAX_DECODED_BYTES} bytes decoded"), "more"),
        other => damaged(FORMAT, other),
    }
}

/// How the pixels that were read are laid out; 16 bits in big-endian order.
struct Layout {
    channels: u8,
    deep: bool,
}

impl Layout {
    /// The pixels with another number of channels: gray is repeated, colour becomes its luma, alpha
    /// is dropped or added.
    fn convert(&self, pixels: &[u8], channels: u8, opaque: u16, gray: &Gray) -> Vec<u8> {
        let item = if self.deep { 2 } else { 1 };
        let from = usize::from(self.channels) * item;
        let mut out = Vec::with_capacity(pixels.len() / from * usize::from(channels) * item);
        let mut give = |value: u16| match self.deep {
            true => out.extend(value.to_be_bytes()),
            false => out.extend(value.to_be_bytes().last()),
        };
        let mut values = [0u16; 4];
        for pixel in pixels.chunks_exact(from) {
            for (value, bytes) in values.iter_mut().zip(pixel.chunks_exact(item)) {
                *value = bytes.iter().fold(0, |value, byte| (value << 8) | u16::from(*byte));
            }
            let [first, second, third, fourth] = values;
            let (colour, alpha) = match self.channels {
                1 => ([first; 3], opaque),
                2 => ([first; 3], second),
                3 => ([first, second, third], opaque),
                _ => ([first, second, third], fourth),
            };
            match channels {
                3 | 4 => colour.into_iter().for_each(&mut give),
                _ => give(gray.of(colour)),
            }
            if channels.is_multiple_of(2) {
                give(alpha);
            }
        }
        out
    }
}

/// The gray that colours become, in libpng's arithmetic and with TensorFlow's weights.
struct Gray {
    deep: bool,
    tables: Option<Tables>,
}

impl Gray {
    fn of(&self, [red, green, blue]: [u16; 3]) -> u16 {
        if red == green && red == blue {
            return red;
        }
        let sum =
            |red, green, blue| 9797 * u32::from(red) + 19234 * u32::from(green) + 3737 * u32::from(blue);
        match &self.tables {
            Some(Tables { linear, gamma }) => {
                let [red, green, blue] = [red, green, blue].map(|value| look_up(linear, u32::from(value)));
                look_up(gamma, (sum(red, green, blue) + (1 << 14)) >> 15)
            }
            None if self.deep => u16::try_from((sum(red, green, blue) + (1 << 14)) >> 15).unwrap_or(u16::MAX),
            None => u16::try_from(sum(red, green, blue) >> 15).unwrap_or(u16::MAX),
        }
    }
}

/// Values of 8 bits made linear, and linear ones given their gamma again.
struct Tables {
    linear: [u8; 256],
    gamma: [u8; 256],
}

impl Tables {
    /// The tables of a gamma in 100,000ths; none if it is as good as 1.
    fn of(gamma: u32) -> Option<Self> {
        if gamma == 0 || gamma.abs_diff(100_000) <= 5_000 {
            return None;
        }
        let reciprocal = (1e10 / f64::from(gamma)).round();
        Some(Self { linear: power(reciprocal), gamma: power(f64::from(gamma)) })
    }
}

fn power(exponent: f64) -> [u8; 256] {
    let mut table = [0; 256];
    for (value, out) in (0u8..=255).zip(&mut table) {
        let power = (f64::from(value) / 255.0).powf(exponent / 1e5);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 255
        let rounded = (255.0 * power).round() as u8;
        *out = rounded;
    }
    table
}

fn look_up(table: &[u8; 256], at: u32) -> u16 {
    usize::try_from(at).ok().and_then(|at| table.get(at)).map_or(255, |value| u16::from(*value))
}

/// Checks what the decoder does not: that there is no chunk that no reader may pass over, and that
/// the last one is there.
fn check_chunks(bytes: &[u8]) -> Result<()> {
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    loop {
        let (Some((len, after)), Some(name)) = (rest.split_first_chunk(), rest.get(4..8)) else {
            return Err(super::cut(FORMAT));
        };
        if !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(damaged(FORMAT, "a chunk has no name"));
        }
        let is_critical = name.first().is_some_and(u8::is_ascii_uppercase);
        if is_critical && ![&b"IHDR"[..], b"PLTE", b"IDAT", b"IEND"].contains(&name) {
            return Err(damaged(FORMAT, format!("it has an unknown chunk `{}`", name.escape_ascii())));
        }
        // The name and the checksum stand around the data.
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX).saturating_add(8);
        rest = after.get(len..).ok_or_else(|| super::cut(FORMAT))?;
        if name == b"IEND" {
            return Ok(());
        }
    }
}
