//! Counting records: hopping from frame to frame.

use std::sync::Arc;

use super::Progress;
use super::blocks::{BufferPool, FrameReader};
use crate::error::{Error, Result};
use crate::input::{Input, Opened, changed};
use crate::wire::tfrecord::{self, FrameFault, HEADER_BYTES};

/// Bytes read at a time where frames are small.
const READ_BYTES: usize = 256 << 10;
/// Bytes read at a time where frames are large: of most only the header is needed.
const HOP_BYTES: usize = 4 << 10;
/// Frames from this size on are large.
const LARGE_FRAME: u64 = 64 << 10;

/// The number of records in `input`: its frames are hopped over; lengths are checked, data is not.
/// Of a file that is `plain`, not compressed, the data of large frames is not even read.
///
/// # Errors
/// The stream is damaged or cannot be read.
pub(crate) fn count_records(
    input: &Input,
    plain: bool,
    max_record_bytes: u64,
    progress: &Arc<Progress>,
) -> Result<u64> {
    // What answers slowly is read in order: a hop would wait for an answer.
    if plain && !input.is_once() && input.openings() == 1 {
        let file = input.opened(None)?;
        // What the kernel makes up on reading says 0.
        if file.bytes() > 0 {
            let bytes = file.bytes();
            let hops = Hops { file, bytes, max_record_bytes, at: 0, records: 0 };
            let records = hops.count(input).map_err(|e| e.in_source(input.name()))?;
            progress.add_bytes(bytes);
            return Ok(records);
        }
    }
    let pool: Arc<BufferPool> = Arc::default();
    let mut reader = FrameReader::open(input, &pool, max_record_bytes, progress)?;
    let mut records = 0;
    while reader.next_frame()?.is_some() {
        records += 1;
    }
    Ok(records)
}

/// A plain file that is hopped through.
struct Hops {
    file: Opened,
    bytes: u64,
    max_record_bytes: u64,
    /// Where the next frame begins.
    at: u64,
    records: u64,
}

impl Hops {
    fn count(mut self, input: &Input) -> Result<u64> {
        let mut buffer = vec![0; READ_BYTES];
        let mut wanted = READ_BYTES;
        while self.at < self.bytes {
            let filled = self.fill(buffer.get_mut(..wanted).unwrap_or_default())?;
            let mut rest = buffer.get(..filled).unwrap_or_default();
            let last = loop {
                match tfrecord::frame_bytes(rest, self.max_record_bytes) {
                    Ok(Some(whole)) => {
                        let left = self.bytes - self.at;
                        if whole > left {
                            return Err(self.fault(FrameFault::Truncated { needed: whole, present: left }));
                        }
                        self.at += whole;
                        self.records += 1;
                        match usize::try_from(whole).ok().and_then(|n| rest.get(n..)) {
                            Some(after) => rest = after,
                            None => break whole,
                        }
                    }
                    Ok(None) if self.bytes - self.at < HEADER_BYTES as u64 && self.at < self.bytes => {
                        let present = self.bytes - self.at;
                        let needed = HEADER_BYTES as u64;
                        return Err(self.fault(FrameFault::Truncated { needed, present }));
                    }
                    Ok(None) => break 0,
                    Err(fault) => return Err(self.fault(fault)),
                }
            };
            wanted = if last >= LARGE_FRAME { HOP_BYTES } else { READ_BYTES };
        }
        let found = input.stat_now().bytes.unwrap_or(self.bytes);
        if found != self.bytes {
            return Err(self.error(std::io::Error::other(changed(self.bytes, found))));
        }
        Ok(self.records)
    }

    /// Fills `buffer` from where the next frame begins, as far as the file goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.bytes - self.at).unwrap_or(usize::MAX);
        let filled = left.min(buffer.len());
        let read = self.file.read_exact_at(self.at, buffer.get_mut(..filled).unwrap_or_default());
        read.map_err(|e| e.at_record(self.records)).map(|()| filled)
    }

    fn error(&self, error: std::io::Error) -> Error {
        Error::io("cannot read input", error).at_offset(self.at).at_record(self.records)
    }

    fn fault(&self, fault: FrameFault) -> Error {
        fault.into_error(self.at == 0).at_offset(self.at).at_record(self.records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tfrecord::put_frame;

    fn count(bytes: &[u8]) -> Result<u64> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        count_records(&Input::local(file.path()), true, 1 << 30, &Arc::default())
    }

    #[test]
    fn large_and_small_frames_are_counted() {
        let sizes = [0, 5, 300_000, 5, 5, 70_000, READ_BYTES - 16, READ_BYTES - 20, 1 << 20, 3];
        let mut file = Vec::new();
        for size in sizes {
            put_frame(&mut file, &vec![1; size]);
        }
        assert_eq!(count(&file).unwrap(), sizes.len() as u64);
        assert_eq!(count(&[]).unwrap(), 0);
        for (cut, record) in [(1, 9), (4, 9), (18, 9), (20, 8), (25, 8)] {
            let error = count(&file[..file.len() - cut]).unwrap_err();
            assert!(error.to_string().contains("truncated record"), "{error}");
            assert_eq!(error.location().record, Some(record), "{cut} bytes are missing");
        }
        assert_eq!(count(&file[..file.len() - 19]).unwrap(), 9);
    }
}
