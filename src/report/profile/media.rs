//! Images, sound and video, recognised by their first bytes; nothing is decoded.

use serde_json::{Value, json};

use super::summary::{Lengths, TopValue};

/// What the bytes of a column are, by their content.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Media {
    /// `image`, `sound` or `video`.
    pub kind: &'static str,
    /// The formats, the most frequent first.
    pub formats: Vec<TopValue>,
    /// Values that are of no such format, or whose header says nothing.
    pub other: u64,
    /// How long sounds are, in seconds, of those whose header says so.
    pub seconds: Option<Lengths>,
}

impl Media {
    pub(super) fn to_json(&self) -> Value {
        let formats: Value =
            self.formats.iter().map(|f| json!({"value": f.value, "count": f.count})).collect();
        let seconds = self.seconds.as_ref().map(Lengths::to_json);
        json!({"kind": self.kind, "formats": formats, "other": self.other, "seconds": seconds})
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Found {
    /// An image of so many pixels in width and height.
    Image {
        format: &'static str,
        mime: &'static str,
        width: u32,
        height: u32,
    },
    /// Sound of so many seconds, where its header says so.
    Sound {
        format: &'static str,
        seconds: Option<f64>,
    },
    Video {
        format: &'static str,
    },
}

/// What `bytes` are, as far as their header says.
pub(crate) fn find(bytes: &[u8]) -> Option<Found> {
    let image = |format, mime, size: Option<(u32, u32)>| {
        let (width, height) = size.filter(|(width, height)| *width > 0 && *height > 0)?;
        Some(Found::Image { format, mime, width, height })
    };
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => image("PNG", "image/png", png_size(bytes)),
        [0xff, 0xd8, 0xff, ..] => image("JPEG", "image/jpeg", jpeg_size(bytes)),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => {
            image("GIF", "image/gif", le16(bytes, 6).zip(le16(bytes, 8)))
        }
        [b'B', b'M', ..] => image("BMP", "image/bmp", bmp_size(bytes)),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            image("WebP", "image/webp", webp_size(bytes))
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => {
            Some(Found::Sound { format: "WAV", seconds: wav_seconds(bytes) })
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => {
            Some(Found::Video { format: "AVI" })
        }
        [b'f', b'L', b'a', b'C', ..] => Some(Found::Sound { format: "FLAC", seconds: flac_seconds(bytes) }),
        [b'O', b'g', b'g', b'S', 0, ..] => Some(Found::Sound { format: "Ogg", seconds: None }),
        [b'I', b'D', b'3', 2..=4, ..] => Some(Found::Sound { format: "MP3", seconds: None }),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Found::Video { format: "MP4" }),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => Some(Found::Video { format: "Matroska" }),
        _ => None,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|b| u32::from(u16::from_be_bytes(b)))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|b| u32::from(u16::from_le_bytes(b)))
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(|[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]))
}

fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16) != Some(b"IHDR") {
        return None;
    }
    be32(bytes, 16).zip(be32(bytes, 20))
}

/// Of the first frame header.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    /// Segments before the frame header; more are no image's.
    const SEGMENTS: usize = 1000;
    let mut at = 2usize;
    for _ in 0..SEGMENTS {
        while bytes.get(at) == Some(&0xff) && bytes.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        let [0xff, marker] = array(bytes, at)? else { return None };
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            return be16(bytes, at + 7).zip(be16(bytes, at + 5));
        }
        let length = be16(bytes, at + 2)?;
        at = at.checked_add(2)?.checked_add(usize::try_from(length).ok()?)?;
    }
    None
}

fn bmp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match le32(bytes, 14)? {
        12 => le16(bytes, 18).zip(le16(bytes, 20)),
        40..=124 => {
            let height = array(bytes, 22).map(i32::from_le_bytes)?;
            le32(bytes, 18).zip(Some(height.unsigned_abs()))
        }
        _ => None,
    }
}

fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => le24(bytes, 24).zip(le24(bytes, 27)).map(|(w, h)| (w + 1, h + 1)),
        b"VP8L" => le32(bytes, 21).map(|bits| ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)),
        b"VP8 " => le16(bytes, 26).zip(le16(bytes, 28)).map(|(w, h)| (w & 0x3fff, h & 0x3fff)),
        _ => None,
    }
}

/// Bytes of data by bytes a second.
fn wav_seconds(bytes: &[u8]) -> Option<f64> {
    /// Chunks before the data; more are no sound's.
    const CHUNKS: usize = 100;
    let (mut at, mut rate) = (12usize, None);
    for _ in 0..CHUNKS {
        let name: [u8; 4] = array(bytes, at)?;
        let length = usize::try_from(le32(bytes, at + 4)?).ok()?;
        match &name {
            b"fmt " => rate = le32(bytes, at + 16),
            b"data" => {
                // A header that was written before the data was says too much.
                let length = length.min(bytes.len().saturating_sub(at + 8));
                return rate.filter(|rate| *rate > 0).map(|rate| length as f64 / f64::from(rate));
            }
            _ => {}
        }
        at = at.checked_add(8)?.checked_add(length)?.checked_add(length % 2)?;
    }
    None
}

/// Samples by samples a second.
fn flac_seconds(bytes: &[u8]) -> Option<f64> {
    let bits = array(bytes, 18).map(u64::from_be_bytes)?;
    let (rate, samples) = (bits >> 44, bits & 0xf_ffff_ffff);
    (rate > 0 && samples > 0).then(|| samples as f64 / rate as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(bytes: &[u8]) -> Option<(&'static str, u32, u32)> {
        match find(bytes)? {
            Found::Image { format, width, height, .. } => Some((format, width, height)),
            _ => None,
        }
    }

    #[test]
    fn headers_say_what_images_are() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10";
        assert_eq!(size(png), Some(("PNG", 32, 16)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x0b\x08\0\x40\0\x80";
        assert_eq!(size(jpeg), Some(("JPEG", 128, 64)));
        assert_eq!(size(b"GIF89a\x05\0\x06\0"), Some(("GIF", 5, 6)));
        let webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x0f\0\0\x07\0\0";
        assert_eq!(size(webp), Some(("WebP", 16, 8)));
        let mut bmp = b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0\x07\0\0\0".to_vec();
        bmp.extend((-9i32).to_le_bytes());
        assert_eq!(size(&bmp), Some(("BMP", 7, 9)));
    }

    #[test]
    fn what_is_cut_or_of_another_kind_is_no_image() {
        for bytes in
            [&b""[..], b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BMW", b"GIF89a\0\0\0\0", b"RIFF1234WEBPVP8X"]
        {
            assert_eq!(size(bytes), None, "{bytes:?}");
        }
        // Lengths that lie end somewhere.
        let mut jpeg = b"\xff\xd8".to_vec();
        jpeg.extend(b"\xff\xe0\0\0".repeat(5000));
        assert_eq!(size(&jpeg), None);
    }

    #[test]
    fn sounds_have_a_length() {
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wav.extend(8000u32.to_le_bytes());
        wav.extend(16000u32.to_le_bytes());
        wav.extend(b"\x02\0\x10\0data");
        wav.extend(32000u32.to_le_bytes());
        assert_eq!(find(&wav), Some(Found::Sound { format: "WAV", seconds: Some(0.0) }));
        wav.extend([0; 32000]);
        assert_eq!(find(&wav), Some(Found::Sound { format: "WAV", seconds: Some(2.0) }));
    }
}
