//! Transposed chunks: the values of protobuf messages, field by field, and a state machine that
//! puts them together again, last record first.
//!
//! The data is a compression byte, a header (with its length before it), buckets of buffers, and
//! the transitions of the state machine. The output is produced backwards; here it is written
//! forwards with every piece reversed, and turned around at the end.

use std::borrow::Cow;

use super::ChunkHeader;
use super::codec::{Codec, Codecs};
use crate::error::{Error, Result};
use crate::wire::proto::Cursor;

/// Inline values of varint fields: subtypes from here on.
const INLINE: u8 = 10;
const LAST_INLINE: u8 = INLINE + 0x7f;
/// The largest header, and the most transitions.
const MAX_HEADER_BYTES: u64 = 1 << 28;
/// Steps for every byte that comes in or goes out: a machine that takes more does nothing useful.
const STEPS_PER_BYTE: usize = 16;

#[cold]
fn bad(what: &str) -> Error {
    Error::corrupt(format!("corrupt transposed chunk: {what}"))
}

/// What a state does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Nothing,
    /// A record that is no message.
    Opaque,
    StartOfSubmessage,
    StartOfMessage,
    /// A varint of so many bytes.
    Varint(u8),
    InlineVarint(u8),
    /// A value of so many bytes.
    Fixed(u8),
    /// A length and so many bytes.
    Bytes,
    /// A tag alone: groups.
    Tag,
    EndOfSubmessage,
}

#[derive(Debug, Clone, Copy)]
struct State {
    action: Action,
    tag: u32,
    buffer: usize,
    next: usize,
    /// Whether the state is left without a transition byte.
    implicit: bool,
}

/// Reads the varints of the header.
struct HeaderReader<'a>(Cursor<'a>);

impl HeaderReader<'_> {
    fn number(&mut self) -> Result<u64> {
        self.0.varint().map_err(|_| bad("its header ends early"))
    }

    /// A count of things that take at least a byte each in `rest` bytes.
    fn count(&mut self, rest: usize) -> Result<usize> {
        let count = self.number()?;
        usize::try_from(count).ok().filter(|n| *n <= rest).ok_or_else(|| bad("a count is too large"))
    }

    fn numbers(&mut self, count: usize) -> Result<Vec<u64>> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// Decodes the data of a transposed chunk: the records' bytes to `out`, where each ends to `ends`.
pub(super) fn decode(
    data: &[u8],
    header: &ChunkHeader,
    codecs: &mut Codecs,
    out: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) -> Result<()> {
    out.clear();
    let (codec, rest) = data.split_first().ok_or_else(|| bad("no compression type"))?;
    let codec = Codec::from_byte(*codec)?;
    let mut cursor = Cursor::new(rest);
    let packed = cursor.bytes().map_err(|_| bad("the header reaches past its end"))?;
    let rest = rest.get(cursor.position()..).unwrap_or_default();
    let head = codecs.decompress_owned(codec, packed, MAX_HEADER_BYTES)?;
    let mut reader = HeaderReader(Cursor::new(&head));

    let num_buckets = reader.count(head.len())?;
    let num_buffers = reader.count(head.len())?;
    let bucket_sizes = reader.numbers(num_buckets)?;
    let buffer_sizes = reader.numbers(num_buffers)?;
    let states = read_states(&mut reader, &head, num_buffers)?;
    let first = reader.number()?;
    if !reader.0.is_empty() {
        return Err(bad("bytes after its header"));
    }

    let (buckets, transitions) = read_buckets(codec, codecs, rest, &bucket_sizes, &buffer_sizes)?;
    let buffers = cut_buffers(&buckets, &buffer_sizes)?;
    // Every transition leads to a byte of output, or to a state that leads on to one.
    let cap = header.records.saturating_add(header.decoded_size).saturating_mul(4).saturating_add(64);
    let transitions = codecs.decompress_owned(codec, transitions, cap.min(MAX_HEADER_BYTES))?;
    if states.is_empty() {
        return match (header.records, header.decoded_size, transitions.len()) {
            (0, 0, 0) => Ok(()),
            _ => Err(bad("records without states")),
        };
    }
    let first = usize::try_from(first).ok().filter(|first| *first < states.len());
    let first = first.ok_or_else(|| bad("there is no such first state"))?;
    Machine { states: &states, buffers, limit: header.decoded_size, out, open: Vec::new(), ends }
        .run(first, &transitions)?;
    if ends.len() as u64 != header.records || out.len() as u64 != header.decoded_size {
        return Err(bad("records are not as many or as long as its header says").expected(
            format!("{} of {} bytes", header.records, header.decoded_size),
            format!("{} of {} bytes", ends.len(), out.len()),
        ));
    }
    turn_around(out, ends)
}

fn read_states(reader: &mut HeaderReader<'_>, head: &[u8], num_buffers: usize) -> Result<Vec<State>> {
    let num_states = reader.count(head.len())?;
    let tags = reader.numbers(num_states)?;
    let nexts = reader.numbers(num_states)?;
    let mut states = Vec::with_capacity(num_states);
    for (tag, next) in tags.into_iter().zip(nexts) {
        let tag = u32::try_from(tag).map_err(|_| bad("a tag is too large"))?;
        let next = usize::try_from(next).map_err(|_| bad("a state is too large"))?;
        let (next, implicit) = match next.checked_sub(num_states) {
            None => (next, false),
            Some(next) => (next, true),
        };
        if next >= num_states {
            return Err(bad("a state leads to none"));
        }
        let action = match (tag, tag & 7) {
            (0, _) => Action::Nothing,
            (1, _) => Action::Opaque,
            (2, _) => Action::StartOfSubmessage,
            (3, _) => Action::StartOfMessage,
            (0..8, _) | (_, 7) => return Err(bad("a tag is invalid")),
            // The subtype follows.
            (_, 0) => Action::Varint(0),
            (_, 1) => Action::Fixed(8),
            (_, 2) => Action::Bytes,
            (_, 5) => Action::Fixed(4),
            (_, 6) => Action::EndOfSubmessage,
            _ => Action::Tag,
        };
        let tag = if action == Action::EndOfSubmessage { tag - 4 } else { tag };
        states.push(State { action, tag, buffer: 0, next, implicit });
    }
    for state in states.iter_mut().filter(|state| matches!(state.action, Action::Varint(_))) {
        let subtype = reader.0.take(1).map_err(|_| bad("its header ends early"))?;
        state.action = match subtype {
            [subtype @ 0..INLINE] => Action::Varint(*subtype + 1),
            [subtype @ INLINE..=LAST_INLINE] => Action::InlineVarint(*subtype - INLINE),
            _ => return Err(bad("a subtype is invalid")),
        };
    }
    for state in &mut states {
        let has_buffer =
            matches!(state.action, Action::Opaque | Action::Varint(_) | Action::Fixed(_) | Action::Bytes);
        if has_buffer {
            let buffer = usize::try_from(reader.number()?).ok().filter(|b| *b < num_buffers);
            state.buffer = buffer.ok_or_else(|| bad("there is no such buffer"))?;
        }
    }
    refuse_endless(&states)?;
    Ok(states)
}

/// States that lead to each other without a transition byte would never end.
fn refuse_endless(states: &[State]) -> Result<()> {
    // 0: not seen; otherwise the number of the walk in which a state was seen.
    let mut seen = vec![0usize; states.len()];
    for start in 0..states.len() {
        let walk = start + 1;
        let mut at = start;
        while let (Some(state), Some(mark)) = (states.get(at), seen.get_mut(at)) {
            if *mark == walk {
                return Err(bad("its states never end"));
            }
            if *mark != 0 || !state.implicit {
                break;
            }
            *mark = walk;
            at = state.next;
        }
    }
    Ok(())
}

/// Buckets of buffers.
type Buckets<'a> = Vec<Cow<'a, [u8]>>;

/// Decompresses the buckets; what follows them is returned as well.
fn read_buckets<'a>(
    codec: Codec,
    codecs: &mut Codecs,
    mut rest: &'a [u8],
    bucket_sizes: &[u64],
    buffer_sizes: &[u64],
) -> Result<(Buckets<'a>, &'a [u8])> {
    let mut left = buffer_sizes.iter().try_fold(0u64, |sum, size| sum.checked_add(*size));
    let mut buckets = Vec::with_capacity(bucket_sizes.len());
    for size in bucket_sizes {
        let (packed, after) = usize::try_from(*size)
            .ok()
            .and_then(|size| rest.split_at_checked(size))
            .ok_or_else(|| bad("a bucket reaches past its end"))?;
        rest = after;
        let bucket = codecs.decompress_owned(codec, packed, left.unwrap_or(0))?;
        left = left.and_then(|left| left.checked_sub(bucket.len() as u64));
        buckets.push(bucket);
    }
    if left != Some(0) {
        return Err(bad("buckets and buffers differ in size"));
    }
    Ok((buckets, rest))
}

/// Buffers are slices of the buckets, one after the other, none across a border.
fn cut_buffers<'b>(buckets: &'b [Cow<'_, [u8]>], sizes: &[u64]) -> Result<Vec<&'b [u8]>> {
    let mut buckets = buckets.iter();
    let mut rest: &[u8] = &[];
    sizes
        .iter()
        .map(|size| {
            let size = usize::try_from(*size).map_err(|_| bad("a buffer is too large"))?;
            while rest.is_empty() && size > 0 {
                rest = buckets.next().ok_or_else(|| bad("a buffer reaches past the buckets"))?;
            }
            let (buffer, after) =
                rest.split_at_checked(size).ok_or_else(|| bad("a buffer reaches past its bucket"))?;
            rest = after;
            Ok(buffer)
        })
        .collect()
}

struct Machine<'a> {
    states: &'a [State],
    /// What is left of each buffer.
    buffers: Vec<&'a [u8]>,
    /// The most bytes that may come out.
    limit: u64,
    /// The output from its end, every piece reversed.
    out: &'a mut Vec<u8>,
    /// Submessages that are not complete: where they end, and their tag.
    open: Vec<(usize, u32)>,
    /// The size of the output at the beginning of each record, the last one first.
    ends: &'a mut Vec<usize>,
}

impl<'a> Machine<'a> {
    fn run(&mut self, first: usize, transitions: &[u8]) -> Result<()> {
        let states = self.states;
        let state = |at: usize| states.get(at).copied().ok_or_else(|| bad("there is no such state"));
        let mut current = state(first)?;
        let mut run = u32::from(current.implicit);
        let input = transitions.len().saturating_add(states.len());
        let mut transitions = transitions.iter();
        let mut steps = 0usize;
        loop {
            self.step(&current)?;
            steps += 1;
            if steps / STEPS_PER_BYTE > input.saturating_add(self.out.len()) {
                return Err(bad("its states do nothing"));
            }
            let at = current.next;
            if run == 0 {
                let Some(byte) = transitions.next() else { break };
                current = state(at + usize::from(byte >> 2))?;
                run = u32::from(byte & 3) + u32::from(current.implicit);
            } else {
                current = state(at)?;
                run -= u32::from(!current.implicit);
            }
        }
        if !self.open.is_empty() || self.ends.last().copied().unwrap_or(0) != self.out.len() {
            return Err(bad("a message is not complete"));
        }
        Ok(())
    }

    fn step(&mut self, state: &State) -> Result<()> {
        match state.action {
            Action::Nothing => Ok(()),
            Action::Opaque => {
                let lengths = self.buffers.len().checked_sub(1).ok_or_else(|| bad("no lengths"))?;
                let length = self.take_varint(lengths)?;
                let bytes = self.take(state.buffer, length)?;
                self.prepend(bytes)?;
                self.start_message()
            }
            Action::StartOfMessage => self.start_message(),
            Action::StartOfSubmessage => {
                let (end, tag) = self.open.pop().ok_or_else(|| bad("a submessage begins that never ends"))?;
                let length = self.out.len() - end;
                self.prepend_varint(length as u64)?;
                self.prepend_varint(u64::from(tag))
            }
            Action::EndOfSubmessage => {
                self.open.push((self.out.len(), state.tag));
                Ok(())
            }
            Action::Varint(bytes) => {
                let value = self.take(state.buffer, u64::from(bytes))?;
                let mut varint = [0u8; 10];
                let varint = varint.get_mut(..value.len()).unwrap_or_default();
                varint.copy_from_slice(value);
                // The bits that say that more follows were left out.
                let last = varint.len().saturating_sub(1);
                varint.iter_mut().take(last).for_each(|byte| *byte |= 0x80);
                self.prepend(varint)?;
                self.prepend_varint(u64::from(state.tag))
            }
            Action::InlineVarint(value) => {
                self.prepend(&[value])?;
                self.prepend_varint(u64::from(state.tag))
            }
            Action::Fixed(bytes) => {
                let value = self.take(state.buffer, u64::from(bytes))?;
                self.prepend(value)?;
                self.prepend_varint(u64::from(state.tag))
            }
            Action::Bytes => {
                let buffer = self.buffers.get(state.buffer).copied().unwrap_or_default();
                let mut cursor = Cursor::new(buffer);
                let body = cursor.bytes().map_err(|_| bad("a value reaches past its buffer"))?;
                let with_length = buffer.get(..cursor.position()).unwrap_or_default();
                self.take(state.buffer, with_length.len() as u64)?;
                debug_assert!(body.len() <= with_length.len());
                self.prepend(with_length)?;
                self.prepend_varint(u64::from(state.tag))
            }
            Action::Tag => self.prepend_varint(u64::from(state.tag)),
        }
    }

    fn start_message(&mut self) -> Result<()> {
        if !self.open.is_empty() {
            return Err(bad("a message begins inside a submessage"));
        }
        self.ends.push(self.out.len());
        Ok(())
    }

    fn take(&mut self, buffer: usize, bytes: u64) -> Result<&'a [u8]> {
        let short = || bad("a buffer ends early");
        let buffer = self.buffers.get_mut(buffer).ok_or_else(short)?;
        let bytes = usize::try_from(bytes).map_err(|_| short())?;
        let (value, rest) = buffer.split_at_checked(bytes).ok_or_else(short)?;
        *buffer = rest;
        Ok(value)
    }

    fn take_varint(&mut self, buffer: usize) -> Result<u64> {
        let short = || bad("a buffer ends early");
        let buffer = self.buffers.get_mut(buffer).ok_or_else(short)?;
        let mut cursor = Cursor::new(buffer);
        let value = cursor.varint().map_err(|_| short())?;
        *buffer = buffer.get(cursor.position()..).unwrap_or_default();
        Ok(value)
    }

    fn prepend(&mut self, bytes: &[u8]) -> Result<()> {
        if (self.out.len() + bytes.len()) as u64 > self.limit {
            return Err(bad("records are longer than its header says"));
        }
        self.out.extend(bytes.iter().rev());
        Ok(())
    }

    fn prepend_varint(&mut self, value: u64) -> Result<()> {
        let mut varint = Vec::with_capacity(10);
        crate::wire::proto::put_varint(&mut varint, value);
        self.prepend(&varint)
    }
}

/// Brings output that was written from its end into order.
fn turn_around(out: &mut [u8], ends: &mut Vec<usize>) -> Result<()> {
    out.reverse();
    // Where a record begins, the one before it ends; the first one begins at the beginning.
    let total = out.len();
    let mut forward = Vec::with_capacity(ends.len());
    if ends.pop().is_none() {
        return Ok(());
    }
    for begin in ends.iter().rev() {
        forward.push(total.checked_sub(*begin).ok_or_else(|| bad("records overlap"))?);
    }
    forward.push(total);
    *ends = forward;
    Ok(())
}
