//! Encoded images as tensors.
//!
//! Of a feature, what the file says is what comes out: another number of channels or another size
//! is a mismatch. Of a TFDS dataset, channels and bits are the dataset's, as `tf.image.decode_image`
//! is asked for them.

#[cfg(feature = "image")]
use crate::error::Error;
use crate::error::Result;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
#[cfg(feature = "image")]
use crate::wire::image::{self, Header, Request};

/// What a decoder of images keeps for the next one.
#[cfg(feature = "image")]
const KEPT_BYTES: usize = 16 << 20;

/// Decodes images one after the other, to memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Images {
    #[cfg(feature = "image")]
    pixels: Vec<u8>,
}

impl Images {
    /// The shape and the bytes (row-major, little-endian) of an encoded image, as the image has them.
    /// In a shape of four dimensions, the first is of frames.
    ///
    /// # Errors
    /// The bytes are no such image, are damaged or not whole, decode to too many bytes, are of several
    /// frames where one is expected, have another number of bits than `dtype`, or another size or
    /// number of channels than `shape`.
    #[cfg(feature = "image")]
    pub(super) fn decode(&mut self, bytes: &[u8], dtype: DType, shape: &Shape) -> Result<(Vec<u64>, &[u8])> {
        self.decode_as(bytes, Request::default(), dtype, shape)
    }

    /// As [`decode`](Self::decode), but with the channels of `shape` and the bits of `dtype`, as
    /// TensorFlow brings an image to them.
    ///
    /// # Errors
    /// As there; TensorFlow does not bring images of this format to so many channels or bits.
    #[cfg(feature = "image")]
    pub(super) fn decode_to(
        &mut self,
        bytes: &[u8],
        dtype: DType,
        shape: &Shape,
    ) -> Result<(Vec<u64>, &[u8])> {
        let channels = match shape {
            Shape::Dims(dims) => dims.last().copied().flatten().map(|n| u8::try_from(n).unwrap_or(u8::MAX)),
            Shape::UnknownRank => None,
        };
        let request = Request { channels, bits: Some(if dtype == DType::UInt16 { 16 } else { 8 }) };
        self.decode_as(bytes, request, dtype, shape)
    }

    #[cfg(feature = "image")]
    fn decode_as(
        &mut self,
        bytes: &[u8],
        request: Request,
        dtype: DType,
        shape: &Shape,
    ) -> Result<(Vec<u64>, &[u8])> {
        if self.pixels.capacity() > KEPT_BYTES {
            self.pixels = Vec::new();
        }
        let mut dims = Vec::new();
        image::decode(bytes, request, &mut self.pixels, &mut |header| {
            dims = check(header, dtype, shape)?;
            Ok(())
        })?;
        Ok((dims, &self.pixels))
    }

    #[cfg(not(feature = "image"))]
    pub(super) fn decode(&mut self, _: &[u8], _: DType, _: &Shape) -> Result<(Vec<u64>, &[u8])> {
        use crate::error::Error;
        Err(Error::unsupported("this build cannot decode images").with_hint("build with the feature `image`"))
    }

    #[cfg(not(feature = "image"))]
    pub(super) fn decode_to(
        &mut self,
        bytes: &[u8],
        dtype: DType,
        shape: &Shape,
    ) -> Result<(Vec<u64>, &[u8])> {
        self.decode(bytes, dtype, shape)
    }
}

/// The dimensions of an image that fits; checked before it is decoded.
#[cfg(feature = "image")]
fn check(header: &Header, dtype: DType, shape: &Shape) -> Result<Vec<u64>> {
    let Header { format, frames, height, width, channels, bits } = *header;
    let mut dims = vec![height, width, u64::from(channels)];
    if shape.rank() == Some(4) {
        let Some(frames) = frames else {
            return Err(Error::mismatch(format!("{format} images have no frames"))
                .expected(shape.to_string(), Shape::known(&dims).to_string()));
        };
        dims.insert(0, frames);
    } else if let Some(frames @ 2..) = frames {
        return Err(Error::mismatch(format!("{format} image of several frames"))
            .expected("one frame", frames.to_string())
            .with_hint(format!("its type is image[?,?,?,{channels}]")));
    }
    if !shape.accepts(&dims) {
        return Err(Error::mismatch(format!("{format} image of another shape"))
            .expected(format!("{shape}"), Shape::known(&dims).to_string()));
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
