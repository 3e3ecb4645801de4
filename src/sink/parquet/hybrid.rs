//! Runs and bit-packed groups, mixed: how Parquet stores levels and the indices of dictionaries.

/// Groups of eight values that stand together bit-packed, at most. Their header is then one byte, as
/// other writers have it.
const MOST_GROUPS: usize = 63;
/// Values in a group, and the fewest that are a run.
const GROUP: usize = 8;

fn put_varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Levels of at most two bits, which come in runs.
#[derive(Debug)]
pub(super) struct Levels {
    width: u32,
    /// The run that goes on.
    level: u8,
    run: usize,
    out: Vec<u8>,
    /// Whole groups, packed, that wait for their header.
    groups: Vec<u8>,
    /// The group that is begun, and how many values it has.
    group: u32,
    filled: usize,
    bits: u32,
}

impl Levels {
    /// For levels of `width` bits, 1 or 2.
    pub(super) fn new(width: u32) -> Self {
        Self { width, level: 0, run: 0, out: Vec::new(), groups: Vec::new(), group: 0, filled: 0, bits: 0 }
    }

    /// Adds `level`, `count` times.
    pub(super) fn put(&mut self, level: u8, count: usize) {
        if level != self.level {
            self.end_run();
            self.level = level;
        }
        self.run += count;
    }

    fn end_run(&mut self) {
        let (level, mut count) = (self.level, std::mem::take(&mut self.run));
        if self.filled > 0 || count < GROUP {
            let more = count.min(GROUP - self.filled);
            self.fill(level, more);
            count -= more;
        }
        if count >= GROUP {
            self.end_groups();
            put_varint(count << 1, &mut self.out);
            self.out.push(level);
        } else {
            self.fill(level, count);
        }
    }

    /// Adds `count` values to the group that is begun, which has room for them.
    fn fill(&mut self, level: u8, count: usize) {
        for _ in 0..count {
            self.group |= u32::from(level) << self.bits;
            self.bits += self.width;
            self.filled += 1;
        }
        if self.filled == GROUP {
            let bytes = self.group.to_le_bytes();
            self.groups.extend(bytes.iter().take(self.width as usize));
            (self.group, self.filled, self.bits) = (0, 0, 0);
            if self.groups.len() == MOST_GROUPS * self.width as usize {
                self.end_groups();
            }
        }
    }

    fn end_groups(&mut self) {
        if !self.groups.is_empty() {
            put_varint((self.groups.len() / self.width as usize) << 1 | 1, &mut self.out);
            self.out.append(&mut self.groups);
        }
    }

    /// Ends the levels: appends them to `page` behind their length, and is empty again.
    pub(super) fn end(&mut self, page: &mut Vec<u8>) {
        self.end_run();
        if self.filled > 0 {
            // What is behind the last value is not looked at.
            self.fill(0, GROUP - self.filled);
        }
        self.end_groups();
        let length = u32::try_from(self.out.len()).unwrap_or(u32::MAX);
        page.extend_from_slice(&length.to_le_bytes());
        page.append(&mut self.out);
    }
}

/// Bits that hold every index of a dictionary of `entries`. At least one: not every reader knows of
/// none.
pub(super) fn index_width(entries: usize) -> u32 {
    (usize::BITS - entries.saturating_sub(1).leading_zeros()).max(1)
}

/// Appends indices of `width` bits to `page`, behind the width.
pub(super) fn put_indices(indices: &[u32], width: u32, page: &mut Vec<u8>) {
    page.push(width.to_le_bytes()[0]);
    page.reserve(indices.len() * width as usize / 8 + indices.len() / (GROUP * MOST_GROUPS) + 16);
    let mut rest = indices;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|index| *index == first).count();
        if run >= GROUP {
            put_varint(run << 1, page);
            page.extend(first.to_le_bytes().iter().take(width.div_ceil(8) as usize));
            rest = rest.get(run..).unwrap_or_default();
            continue;
        }
        let (groups, _) = rest.as_chunks::<GROUP>();
        let is_run = |group: &&[u32; GROUP]| group.iter().all(|index| *index == group[0]);
        // The first group is no run: it does not begin with eight of one value.
        let count = groups.iter().take(MOST_GROUPS).skip(1).position(|group| is_run(&group));
        let count = count.map_or(groups.len().min(MOST_GROUPS), |at| at + 1).max(1);
        let values = (count * GROUP).min(rest.len());
        put_varint(count << 1 | 1, page);
        let (literal, behind) = rest.split_at(values);
        pack(literal, count * GROUP, width, page);
        rest = behind;
    }
}

/// Appends indices of eight bits to `page`, behind the width.
pub(super) fn put_byte_indices(indices: &[u8], page: &mut Vec<u8>) {
    page.push(8);
    page.reserve(indices.len() + indices.len() / (GROUP * MOST_GROUPS) + 16);
    for part in indices.chunks(GROUP * MOST_GROUPS) {
        match part {
            [first, rest @ ..] if part.len() >= GROUP && rest.iter().all(|index| index == first) => {
                put_varint(part.len() << 1, page);
                page.push(*first);
            }
            _ => {
                let groups = part.len().div_ceil(GROUP);
                put_varint(groups << 1 | 1, page);
                page.extend_from_slice(part);
                page.extend(std::iter::repeat_n(0, groups * GROUP - part.len()));
            }
        }
    }
}

/// Appends `values` of `width` bits, and zeros until there are `padded`.
fn pack(values: &[u32], padded: usize, width: u32, out: &mut Vec<u8>) {
    let end = out.len() + padded * width as usize / 8;
    let (mut bits, mut filled) = (0_u64, 0);
    for value in values {
        bits |= u64::from(*value) << filled;
        filled += width;
        if filled >= 32 {
            let [a, b, c, d, ..] = bits.to_le_bytes();
            out.extend_from_slice(&[a, b, c, d]);
            bits >>= 32;
            filled -= 32;
        }
    }
    out.extend(bits.to_le_bytes().iter().take(filled.div_ceil(8) as usize));
    out.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what is written here, in the simplest way.
    fn read(bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let (mut at, mut out) = (0, Vec::new());
        while out.len() < count {
            let (mut header, mut shift) = (0_usize, 0);
            loop {
                header |= usize::from(bytes[at] & 0x7f) << shift;
                shift += 7;
                at += 1;
                if bytes[at - 1] & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let size = width.div_ceil(8) as usize;
                let mut value = [0; 4];
                value[..size].copy_from_slice(&bytes[at..at + size]);
                out.extend(std::iter::repeat_n(u32::from_le_bytes(value), header >> 1));
                at += size;
            } else {
                let bit = |i: usize| u32::from(bytes[at + i / 8] >> (i % 8) & 1);
                let width = width as usize;
                for i in 0..(header >> 1) * 8 {
                    out.push((0..width).map(|b| bit(i * width + b) << b).sum());
                }
                at += (header >> 1) * width;
            }
        }
        assert_eq!(at, bytes.len());
        out.truncate(count);
        out
    }

    fn random(seed: &mut u64) -> u32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) as u32
    }

    #[test]
    fn levels_come_back() {
        for width in [1, 2] {
            for seed in 0..200 {
                let mut state = seed;
                let (mut levels, mut expected) = (Levels::new(width), Vec::new());
                for _ in 0..random(&mut state) % 60 {
                    let level = (random(&mut state) % (1 << width)) as u8;
                    let most = [3, 12, 600][(random(&mut state) % 3) as usize];
                    let count = (random(&mut state) % most) as usize;
                    levels.put(level, count);
                    expected.extend(std::iter::repeat_n(u32::from(level), count));
                }
                let mut page = Vec::new();
                levels.end(&mut page);
                let (length, bytes) = page.split_at(4);
                assert_eq!(u32::from_le_bytes(length.try_into().unwrap()) as usize, bytes.len());
                assert_eq!(read(bytes, width, expected.len()), expected);
            }
        }
    }

    #[test]
    fn indices_come_back() {
        for width in 1..=20 {
            for seed in 0..40 {
                let mut state = seed;
                let mut expected = Vec::new();
                for _ in 0..random(&mut state) % 40 {
                    let value = random(&mut state) % (1 << width);
                    match random(&mut state) % 3 {
                        0 => expected.extend(std::iter::repeat_n(value, random(&mut state) as usize % 30)),
                        _ => expected
                            .extend((0..random(&mut state) % 90).map(|_| random(&mut state) % (1 << width))),
                    }
                }
                let mut page = Vec::new();
                put_indices(&expected, width, &mut page);
                assert_eq!(u32::from(page[0]), width);
                assert_eq!(read(&page[1..], width, expected.len()), expected);
            }
        }
    }

    #[test]
    fn byte_indices_come_back() {
        for seed in 0..60 {
            let mut state = seed;
            let mut expected = Vec::new();
            for _ in 0..random(&mut state) % 8 {
                let value = random(&mut state) as u8;
                match random(&mut state) % 2 {
                    0 => expected.extend(std::iter::repeat_n(value, random(&mut state) as usize % 2000)),
                    _ => expected.extend((0..random(&mut state) % 900).map(|_| random(&mut state) as u8)),
                }
            }
            let mut page = Vec::new();
            put_byte_indices(&expected, &mut page);
            let found = read(&page[1..], 8, expected.len());
            assert_eq!(found, expected.iter().map(|index| u32::from(*index)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn widths_hold_every_index() {
        assert_eq!([0, 1, 2, 3, 256, 257].map(index_width), [1, 1, 1, 2, 8, 9]);
    }
}
