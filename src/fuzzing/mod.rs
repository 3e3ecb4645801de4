//! One function for each decoder of bytes that nobody vouches for.
//!
//! Each takes any bytes and returns; what must hold whatever they are is asserted. The fuzzer calls
//! them (`fuzz/`), and so do the tests, with the fuzzer's seeds and mutations of them. Bytes that
//! a checksum guards are given one that holds, since no fuzzer finds it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // of small inputs

mod files;
mod messages;
mod protos;
mod reports;
mod tables;
#[cfg(test)]
mod tests;

pub use files::{cache_files, encoded, example, frames, saved_folder, tfds_folder};
#[cfg(feature = "image")]
pub use messages::image;
#[cfg(feature = "array-record")]
pub use messages::riegeli;
pub use messages::{
    element_spec, extension, feature_spec, features_file, graph_def, snappy, snapshot, split, tensor_proto,
    tfds_metadata, variant,
};

pub use protos::{descriptor_set, elwc, event, message, proto_text};
pub use reports::report;
#[cfg(feature = "parquet")]
pub use tables::parquet;
pub use tables::{arrow_file, arrow_stream};

/// Takes fuzzed bytes apart. Where they end early, what is left is empty or zero.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    fn number(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    /// Bytes whose number stands before them, or what is left.
    fn part(&mut self) -> &'a [u8] {
        let bytes = self.number().min(self.0.len());
        self.0.split_off(..bytes).unwrap_or_default()
    }

    /// All parts, at most 64.
    fn parts(&mut self) -> Vec<&'a [u8]> {
        std::iter::from_fn(|| (!self.0.is_empty()).then(|| self.part())).take(64).collect()
    }

    fn rest(self) -> &'a [u8] {
        self.0
    }
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
