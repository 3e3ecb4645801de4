//! Hashes and chance, the same on every machine and in every run.

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Every bit of `x` in every bit of the result.
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A hash of bytes: no defence against those who look for collisions, which cost a wrong count.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = (bytes.len() as u64).wrapping_mul(ODD);
    let (blocks, rest) = bytes.as_chunks::<32>();
    if !blocks.is_empty() {
        // Four side by side: a multiplication does not wait for the one before it.
        let (mut a, mut b, mut c, mut d) = (!state, state ^ 1, state ^ 2, state ^ 3);
        let next = |lane: u64, word: &[u8; 8]| fold(lane ^ u64::from_le_bytes(*word));
        for block in blocks {
            let [w, x, y, z] = block.as_chunks::<8>().0 else { continue };
            (a, b, c, d) = (next(a, w), next(b, x), next(c, y), next(d, z));
        }
        state = [a, b, c, d].into_iter().fold(state, |state, lane| fold(state ^ lane));
    }
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    mix(fold(state ^ u64::from_le_bytes(last)))
}

#[allow(clippy::cast_possible_truncation)] // both halves are taken
fn fold(x: u64) -> u64 {
    let wide = u128::from(x ^ 0x2d35_8dcc_aa6c_78a5) * u128::from(ODD);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// A generator of pseudo-random numbers from a fixed seed (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ ODD))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(ODD);
        mix(self.0)
    }

    /// A number from 0 to `end`, which it is not.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()) * (end as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number between 0 and 1, neither of which it is.
    pub(super) fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
}

/// The whole number at or below `x`, within the range of its type.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` stays within the range
pub(super) fn whole(x: f64) -> u64 {
    x as u64
}

/// [`whole`] of what counts items in memory.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` stays within the range
pub(super) fn index(x: f64) -> usize {
    x as usize
}

/// So many items of a run, chosen by chance with the same probability each, however many there are
/// (Li's algorithm L: what is not chosen is stepped over).
#[derive(Debug, Clone)]
pub(super) struct Reservoir<T> {
    pub(super) items: Vec<T>,
    capacity: usize,
    pub(super) seen: u64,
    /// The number of the next item that is chosen, once there are enough.
    next: u64,
    weight: f64,
    random: Random,
}

impl<T> Reservoir<T> {
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        let capacity = capacity.max(1);
        Self { items: Vec::new(), capacity, seen: 0, next: 0, weight: 1.0, random: Random::new(seed) }
    }

    /// Whether every item that was offered is there.
    pub(super) fn is_whole(&self) -> bool {
        self.seen == self.items.len() as u64
    }

    /// Offers `count` items; `get` gives those that are chosen, by their number in this run.
    pub(super) fn offer(&mut self, count: usize, mut get: impl FnMut(usize) -> T) {
        let filling = (self.capacity - self.items.len()).min(count);
        self.items.extend((0..filling).map(&mut get));
        if filling > 0 && self.items.len() == self.capacity {
            self.next = self.seen + filling as u64;
            self.step();
        }
        let end = self.seen + count as u64;
        while self.items.len() == self.capacity && self.next < end {
            let at = usize::try_from(self.next - self.seen).unwrap_or(usize::MAX);
            let place = self.random.below(self.capacity);
            if let Some(item) = self.items.get_mut(place) {
                *item = get(at);
            }
            self.next += 1;
            self.step();
        }
        self.seen = end;
    }

    /// Steps over the items that are not chosen.
    fn step(&mut self) {
        self.weight *= (self.random.unit().ln() / self.capacity as f64).exp();
        let skipped = (self.random.unit().ln() / (-self.weight).ln_1p()).floor();
        self.next = self.next.saturating_add(whole(skipped));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservoir_has_all_of_few_and_an_even_choice_of_many() {
        let mut few = Reservoir::new(10, 1);
        few.offer(4, |i| i);
        few.offer(3, |i| i + 4);
        assert!(few.is_whole());
        assert_eq!(few.items, [0, 1, 2, 3, 4, 5, 6]);
        // Runs of any length give the same choice.
        let mut one = Reservoir::new(1000, 1);
        one.offer(1_000_000, |i| i);
        let mut many = Reservoir::new(1000, 1);
        for run in 0..1000 {
            many.offer(1000, |i| run * 1000 + i);
        }
        assert_eq!(one.items, many.items);
        // The mean of 1,000 of 0 to 999,999 has a standard deviation of 9,129.
        let mean = one.items.iter().sum::<usize>() as f64 / 1000.0;
        assert!((mean - 500_000.0).abs() < 30_000.0, "{mean}");
        let early = one.items.iter().filter(|i| **i < 100_000).count();
        assert!((60..140).contains(&early), "{early}");
    }

    #[test]
    fn hashes_differ() {
        let mut seen = std::collections::HashSet::new();
        for length in 0..300 {
            assert!(seen.insert(hash(&vec![0; length])));
        }
        // Wherever a byte is another one, or stands in another place.
        let long: Vec<u8> = (0..200).collect();
        for at in 0..long.len() {
            let mut other = long.clone();
            other[at] ^= 1;
            assert!(seen.insert(hash(&other)), "{at}");
            if at >= 8 {
                let mut other = long.clone();
                other.swap(at, at - 8);
                assert!(seen.insert(hash(&other)), "{at}");
            }
        }
        for i in 1..100_000u64 {
            assert!(seen.insert(hash(&i.to_le_bytes())));
            assert!(seen.insert(hash(format!("id-{i}").as_bytes())));
        }
    }
}
