//! Dictionaries of one column of a row group: every value once, and an index for each.

/// Bytes that a dictionary may have: readers hold them all the while.
const MOST_BYTES: usize = 1 << 20;
/// Values after which a dictionary must have turned out to be worth it.
const TRIAL: usize = 1 << 16;
/// Numbers that lie no farther apart than this are looked up in a table; others are hashed.
const TABLE: u64 = 1 << 17;

/// A multiplier that spreads bits well: the golden ratio's.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A dictionary that grew too large to be worth it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotWorthIt;

/// Whether `entries` of `bytes` are too many for `values`.
fn is_too_large(entries: usize, bytes: usize, values: usize) -> bool {
    bytes > MOST_BYTES || values >= TRIAL && entries > values / 2
}

/// A dictionary of numbers, in the order in which they came.
#[derive(Debug)]
pub(super) struct Numbers {
    width: usize,
    entries: Vec<u64>,
    places: Places,
}

#[derive(Debug)]
enum Places {
    /// Indices, one more than they are, by the distance from the least number.
    Table { least: u64, indices: Vec<u32> },
    /// Numbers and indices, one more than they are, by hash; a power of two of them.
    Hashed(Vec<(u64, u32)>),
}

impl Numbers {
    /// For numbers of `width` bytes between `least` and `greatest`, signed or not.
    pub(super) fn new(width: usize, least: u64, greatest: u64) -> Self {
        // Wraps rightly for signed numbers too.
        let range = greatest.wrapping_sub(least);
        let places = if range < TABLE {
            Places::Table { least, indices: vec![0; usize::try_from(range).unwrap_or(0) + 1] }
        } else {
            Places::Hashed(vec![(0, 0); 1 << 10])
        };
        Self { width, entries: Vec::new(), places }
    }

    /// Appends the indices of `numbers` to `indices`.
    ///
    /// # Errors
    /// The dictionary is too large.
    pub(super) fn extend(
        &mut self,
        numbers: impl Iterator<Item = u64>,
        indices: &mut Vec<u32>,
    ) -> Result<(), NotWorthIt> {
        let Self { width, entries, places } = self;
        for number in numbers {
            let next = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let index = match places {
                Places::Table { least, indices } => {
                    let place = usize::try_from(number.wrapping_sub(*least)).unwrap_or(usize::MAX);
                    let Some(index) = indices.get_mut(place) else { return Err(NotWorthIt) };
                    if *index == 0 {
                        entries.push(number);
                        *index = next + 1;
                    }
                    *index - 1
                }
                Places::Hashed(slots) => {
                    let index = find(slots, number, next);
                    if index == next {
                        entries.push(number);
                        if is_too_large(entries.len(), entries.len() * *width, indices.len()) {
                            return Err(NotWorthIt);
                        }
                        if entries.len() * 2 > slots.len() {
                            *slots = grown(slots);
                        }
                    }
                    index
                }
            };
            indices.push(index);
        }
        match is_too_large(entries.len(), entries.len() * *width, indices.len()) {
            true => Err(NotWorthIt),
            false => Ok(()),
        }
    }

    pub(super) fn entries(&self) -> &[u64] {
        &self.entries
    }
}

/// The index of `number`, which is `next` if it is new.
fn find(slots: &mut [(u64, u32)], number: u64, next: u32) -> u32 {
    let mask = slots.len() - 1;
    // The upper bits are spread best.
    let hash = number.wrapping_mul(SPREAD) >> 32;
    let mut place = usize::try_from(hash).unwrap_or(0) & mask;
    loop {
        match slots.get_mut(place) {
            Some((_, 0)) | None => break,
            Some((found, index)) if *found == number => return *index - 1,
            _ => place = (place + 1) & mask,
        }
    }
    if let Some(slot) = slots.get_mut(place) {
        *slot = (number, next + 1);
    }
    next
}

fn grown(slots: &[(u64, u32)]) -> Vec<(u64, u32)> {
    let mut more = vec![(0, 0); slots.len() * 4];
    for (number, index) in slots.iter().filter(|(_, index)| *index > 0) {
        find(&mut more, *number, *index - 1);
    }
    more
}

/// A dictionary of strings, in the order in which they came, each behind its length.
#[derive(Debug)]
pub(super) struct Strings {
    entries: Vec<Entry>,
    /// Hashes and indices, one more than they are; a power of two of them.
    slots: Vec<(u32, u32)>,
    /// The entries as Parquet stores them.
    page: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    /// The first eight bytes, or all and zeros.
    head: u64,
    begin: usize,
    len: usize,
}

impl Strings {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), slots: vec![(0, 0); 1 << 10], page: Vec::new() }
    }

    /// Appends the indices of `strings` to `indices`.
    ///
    /// # Errors
    /// The dictionary is too large.
    pub(super) fn extend<'a>(
        &mut self,
        strings: impl Iterator<Item = &'a [u8]>,
        indices: &mut Vec<u32>,
    ) -> Result<(), NotWorthIt> {
        for string in strings {
            let (head, hash) = hash(string);
            let index = match self.find(string, head, hash) {
                Ok(index) => index,
                Err(place) => {
                    let index = self.insert(string, head, hash, place);
                    if is_too_large(self.entries.len(), self.page.len(), indices.len()) {
                        return Err(NotWorthIt);
                    }
                    index
                }
            };
            indices.push(index);
        }
        Ok(())
    }

    /// The index of `string`, or the place where it is to go.
    fn find(&self, string: &[u8], head: u64, hash: u32) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            match self.slots.get(place) {
                Some((found, index)) if *index > 0 => {
                    let index = *index - 1;
                    if *found == hash
                        && let Some(entry) = self.entries.get(index as usize)
                        && entry.head == head
                        && entry.len == string.len()
                        && (entry.len <= 8 || self.bytes(entry) == string)
                    {
                        return Ok(index);
                    }
                }
                _ => return Err(place),
            }
            place = (place + 1) & mask;
        }
    }

    fn insert(&mut self, string: &[u8], head: u64, hash: u32, place: usize) -> u32 {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(string.len()).unwrap_or(u32::MAX);
        self.page.extend_from_slice(&len.to_le_bytes());
        self.entries.push(Entry { head, begin: self.page.len(), len: string.len() });
        self.page.extend_from_slice(string);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = (hash, index + 1);
        }
        if self.entries.len() * 2 > self.slots.len() {
            let mask = self.slots.len() * 4 - 1;
            let mut more = vec![(0, 0); mask + 1];
            for (hash, index) in self.slots.iter().filter(|(_, index)| *index > 0) {
                let mut place = *hash as usize & mask;
                while more.get(place).is_some_and(|(_, index)| *index > 0) {
                    place = (place + 1) & mask;
                }
                if let Some(slot) = more.get_mut(place) {
                    *slot = (*hash, *index);
                }
            }
            self.slots = more;
        }
        index
    }

    fn bytes(&self, entry: &Entry) -> &[u8] {
        self.page.get(entry.begin..entry.begin + entry.len).unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The strings, in the order of their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| self.bytes(entry))
    }

    /// The entries as a page holds them.
    pub(super) fn into_page(self) -> Vec<u8> {
        self.page
    }
}

/// The first eight bytes of `string` as a number, and a hash of all.
fn hash(string: &[u8]) -> (u64, u32) {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a ^ SPREAD) * u128::from(b ^ 0xd6e8_feb8_6659_fd93);
        let half = |half: u128| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0);
        half(product) ^ half(product >> 64)
    };
    let (head, tail) = match (string.first_chunk::<8>(), string.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(string).for_each(|(byte, from)| *byte = *from);
            (u64::from_le_bytes(bytes), 0)
        }
    };
    let mut state = fold(head, tail ^ string.len() as u64);
    if string.len() > 16 {
        let (chunks, _) = string.as_chunks::<8>();
        for chunk in chunks.iter().skip(1) {
            state = fold(state, u64::from_le_bytes(*chunk));
        }
    }
    (head, u32::try_from(state >> 32).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 20
    }

    #[test]
    fn numbers_come_back() {
        for (least, range) in [(0_u64, 10), (5_u64.wrapping_neg(), 11), (1 << 63, 50_000), (0, u64::MAX)] {
            let mut state = range;
            let pool: Vec<u64> = (0..3000).map(|_| least.wrapping_add(random(&mut state) % range)).collect();
            let numbers: Vec<u64> = (0..40_000).map(|i| pool[i * 7 % pool.len()]).collect();
            let mut dictionary = Numbers::new(8, least, least.wrapping_add(range));
            let mut indices = Vec::new();
            for part in numbers.chunks(999) {
                dictionary.extend(part.iter().copied(), &mut indices).unwrap();
            }
            let back: Vec<u64> = indices.iter().map(|i| dictionary.entries()[*i as usize]).collect();
            assert_eq!(back, numbers);
            let mut seen = HashMap::new();
            assert!(dictionary.entries().iter().all(|entry| seen.insert(*entry, ()).is_none()));
        }
    }

    #[test]
    fn strings_come_back() {
        let mut state = 7;
        let pool: Vec<Vec<u8>> = (0..3000)
            .map(|i: usize| {
                // Some differ in one byte only, or in zeros at the end.
                let mut string = vec![b'a'; i % 40];
                if let Some(byte) = string.get_mut(random(&mut state) as usize % 40) {
                    *byte = random(&mut state) as u8 % 3;
                }
                string
            })
            .collect();
        let strings: Vec<&[u8]> = (0..40_000).map(|i| &pool[i * 7 % pool.len()][..]).collect();
        let (mut dictionary, mut indices) = (Strings::new(), Vec::new());
        for part in strings.chunks(999) {
            dictionary.extend(part.iter().copied(), &mut indices).unwrap();
        }
        let entries: Vec<&[u8]> = dictionary.iter().collect();
        let back: Vec<&[u8]> = indices.iter().map(|i| entries[*i as usize]).collect();
        assert_eq!(back, strings);
        let mut seen = HashMap::new();
        assert!(entries.iter().all(|entry| seen.insert(*entry, ()).is_none()));
    }

    #[test]
    fn what_hardly_repeats_is_given_up() {
        let mut indices = Vec::new();
        let numbers = (0..100_000).map(|i: u64| i * 1_000_003);
        assert_eq!(Numbers::new(8, 0, u64::MAX).extend(numbers, &mut indices), Err(NotWorthIt));
        assert!(indices.len() <= TRIAL + 1);
        let strings: Vec<String> = (0..100_000).map(|i| format!("{i}")).collect();
        let strings = strings.iter().map(|string| string.as_bytes());
        assert_eq!(Strings::new().extend(strings, &mut Vec::new()), Err(NotWorthIt));
    }
}
