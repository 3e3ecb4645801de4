//! Counting records, and finding where a file can be cut: hopping from frame to frame.

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
            let mut hops = Hops { file, bytes, max_record_bytes, at: 0, records: 0 };
            hops.hop(input, &mut |_, _| {}).map_err(|e| e.in_source(input.name()))?;
            progress.add_bytes(bytes);
            return Ok(hops.records);
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

/// Where a plain file of frames can be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// Records, and where each of them begins: the first one, and those that parts begin with.
    pub(crate) begins: Vec<(u64, u64)>,
    /// How many records there are; `None` where one is damaged, which is none of `begins`, nor is any
    /// record behind it.
    pub(crate) records: Option<u64>,
    /// How long the file is.
    pub(crate) bytes: u64,
}

/// Where `input`, a file of frames, can be cut into parts of about `part_bytes`, and into such as begin
/// with the records `at`, which are in order. The frames are hopped over, unless an index lies beside
/// the file: `NAME.idx`, lines of offset and size.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn cuts(input: &Input, part_bytes: u64, at: &[u64], max_record_bytes: u64) -> Result<Cuts> {
    let file = input.opened(None)?;
    let bytes = file.bytes();
    let mut cutter = Cutter { begins: Vec::new(), part_bytes: part_bytes.max(1), at };
    if let Some(index) = index_beside(input)? {
        return index.cuts(&file, cutter, max_record_bytes).map_err(|e| e.in_source(index.name));
    }
    let mut hops = Hops { file, bytes, max_record_bytes, at: 0, records: 0 };
    let records = match hops.hop(input, &mut |record, offset| cutter.pass(record, offset)) {
        Ok(()) => Some(hops.records),
        // Whoever reads the part that it is in is told of it.
        Err(error) if error.is_data() => None,
        Err(error) => return Err(error.in_source(input.name())),
    };
    Ok(Cuts { begins: cutter.begins, records, bytes })
}

/// Notes where parts begin.
struct Cutter<'a> {
    begins: Vec<(u64, u64)>,
    part_bytes: u64,
    /// Records that a part must begin with.
    at: &'a [u64],
}

impl Cutter<'_> {
    /// The record numbered `record` begins at `offset`.
    fn pass(&mut self, record: u64, offset: u64) {
        let asked = self.at.first() == Some(&record);
        if asked {
            self.at = self.at.get(1..).unwrap_or_default();
        }
        let full = self.begins.last().is_none_or(|(_, begin)| offset - begin >= self.part_bytes);
        if asked || full {
            self.begins.push((record, offset));
        }
    }
}

/// The largest index that is read.
const MAX_INDEX_BYTES: u64 = 1 << 30;

/// An index that others made: a line a record, where its frame begins and how long it is.
struct Index {
    name: Arc<str>,
    text: String,
}

/// The index that lies beside a file, if there is one.
fn index_beside(input: &Input) -> Result<Option<Index>> {
    let Some(place) = input.place().map(|place| place.with_suffix(".idx")) else { return Ok(None) };
    let Some(bytes) = place.read(MAX_INDEX_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes)
        .map_err(|e| Error::corrupt("index is no text").with_cause(e).in_source(place.name()))?;
    Ok(Some(Index { name: place.name(), text }))
}

impl Index {
    /// What it says, checked against the file where that is to be cut, and at its end.
    fn cuts(&self, file: &Opened, mut cutter: Cutter<'_>, max_record_bytes: u64) -> Result<Cuts> {
        let wrong = |expected: String, found: &str| {
            Error::corrupt("index that is not of its file")
                .expected(expected, found)
                .with_hint("remove it, or make it anew")
        };
        let (mut end, mut records) = (0u64, 0u64);
        for line in self.text.lines() {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
            let (Some(Ok(offset)), Some(Ok(size)), None) = (numbers.next(), numbers.next(), numbers.next())
            else {
                return Err(wrong("two numbers a line".to_owned(), line).at_record(records));
            };
            if offset != end {
                return Err(wrong(format!("a record at byte {end}"), line).at_record(records));
            }
            let before = cutter.begins.len();
            cutter.pass(records, offset);
            end = offset.saturating_add(size);
            if end > file.bytes() {
                let expected = format!("{} bytes", file.bytes());
                return Err(wrong(expected, &format!("a record that ends at {end}")).at_record(records));
            }
            if cutter.begins.len() > before || end == file.bytes() {
                let mut header = [0; HEADER_BYTES];
                file.read_exact_at(offset, &mut header)?;
                if !matches!(tfrecord::frame_bytes(&header, max_record_bytes), Ok(Some(whole)) if whole == size)
                {
                    return Err(wrong("the size of a record".to_owned(), line).at_record(records));
                }
            }
            records += 1;
        }
        if end != file.bytes() {
            return Err(wrong(format!("{} bytes", file.bytes()), &end.to_string()));
        }
        Ok(Cuts { begins: cutter.begins, records: Some(records), bytes: end })
    }
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
    /// Goes to the end of the file, and gives `visit` the number and the place of every frame.
    fn hop(&mut self, input: &Input, visit: &mut dyn FnMut(u64, u64)) -> Result<()> {
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
                        visit(self.records, self.at);
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
        Ok(())
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

    /// A file of 100 records of 34 bytes in their frames, and the folder that it lies in.
    fn file_of_100() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tfrecord");
        let mut file = Vec::new();
        (0..100u8).for_each(|n| put_frame(&mut file, &[n; 18]));
        std::fs::write(&path, &file).unwrap();
        (folder, path, file)
    }

    #[test]
    fn a_file_is_cut_where_frames_begin() {
        let (_folder, path, bytes) = file_of_100();
        let found = cuts(&Input::local(&path), 340, &[5, 10], 1 << 30).unwrap();
        let records: Vec<u64> = found.begins.iter().map(|(record, _)| *record).collect();
        assert_eq!(records, [0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
        assert!(found.begins.iter().all(|(record, offset)| *offset == record * 34));
        assert_eq!((found.records, found.bytes), (Some(100), 3400));
        // Nothing is cut behind a length that is damaged.
        let mut damaged = bytes;
        damaged[34 * 25] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let found = cuts(&Input::local(&path), 340, &[], 1 << 30).unwrap();
        assert_eq!(found.begins, [(0, 0), (10, 340), (20, 680)]);
        assert_eq!((found.records, found.bytes), (None, 3400));
    }

    #[test]
    fn an_index_of_others_is_used_and_checked() {
        let (folder, path, bytes) = file_of_100();
        let hopped = cuts(&Input::local(&path), 500, &[7], 1 << 30).unwrap();
        let index = folder.path().join("x.tfrecord.idx");
        let lines: Vec<String> = (0..100).map(|n| format!("{} 34\n", n * 34)).collect();
        std::fs::write(&index, lines.concat()).unwrap();
        assert_eq!(cuts(&Input::local(&path), 500, &[7], 1 << 30).unwrap(), hopped);
        for (wrong, said) in [
            (lines[..99].concat(), "3400 bytes"),
            (lines.concat() + "3400 34\n", "ends at 3434"),
            (lines.concat().replace("510 34", "510 33"), "the size of a record"),
            (lines.concat().replace("510", "x"), "two numbers"),
        ] {
            std::fs::write(&index, wrong).unwrap();
            let error = cuts(&Input::local(&path), 500, &[], 1 << 30).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("x.tfrecord.idx"), "{error}");
        }
        // Of another file of the same length.
        std::fs::write(&index, lines.concat()).unwrap();
        let mut other = Vec::new();
        put_frame(&mut other, &vec![0; bytes.len() - 16]);
        std::fs::write(&path, other).unwrap();
        assert!(cuts(&Input::local(&path), 500, &[], 1 << 30).is_err());
    }
}
