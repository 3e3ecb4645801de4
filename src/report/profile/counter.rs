//! How often values occur, and how many there are: exactly while they are few, by sketches after that.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::random::index;

/// How often each of the values occurs that were seen.
///
/// Up to `limit` values are counted one by one. After that, their number is estimated (HyperLogLog,
/// by Ertl's estimator), and only those are counted on that may be frequent (Misra and Gries): where
/// none is, none is.
#[derive(Debug)]
pub(super) struct Counter<L> {
    counts: HashMap<u64, (u64, L), BuildHasherDefault<Identity>>,
    limit: usize,
    total: u64,
    sketch: Option<Distinct>,
    /// What every count may be too low by.
    error: u64,
    /// No value is frequent.
    gave_up: bool,
}

/// A value that was seen often.
#[derive(Debug)]
pub(super) struct Frequent<L> {
    /// Its hash.
    pub(super) key: u64,
    pub(super) value: L,
    pub(super) count: u64,
}

/// Keys are hashes already.
#[derive(Debug, Default)]
pub(super) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// A value is frequent if it is one of so many.
const FREQUENT: u64 = 1000;

impl<L: Clone> Counter<L> {
    pub(super) fn new(limit: usize) -> Self {
        Self { counts: HashMap::default(), limit, total: 0, sketch: None, error: 0, gave_up: false }
    }

    /// Counts `times` occurrences of the value whose hash is `key`; `label` gives the value.
    #[inline]
    pub(super) fn add(&mut self, key: u64, times: u64, label: impl FnOnce() -> L) {
        self.total += times;
        if let Some(sketch) = &mut self.sketch {
            sketch.add(key);
            if self.gave_up {
                return;
            }
        }
        match self.counts.get_mut(&key) {
            Some((count, _)) => *count += times,
            None => self.insert(key, times, label()),
        }
    }

    fn insert(&mut self, key: u64, times: u64, label: L) {
        self.counts.insert(key, (times, label));
        if self.counts.len() <= self.limit || (self.sketch.is_some() && self.counts.len() <= 2 * self.limit) {
            return;
        }
        if self.sketch.is_none() {
            let mut sketch = Distinct::new(self.limit);
            self.counts.keys().for_each(|key| sketch.add(*key));
            self.sketch = Some(sketch);
        }
        let mut counts: Vec<u64> = self.counts.values().map(|(count, _)| *count).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        if most < 3 || most < self.total / FREQUENT {
            self.gave_up = true;
            self.counts = HashMap::default();
            return;
        }
        // What is left are at most half as many.
        let keep = self.limit / 2;
        let (_, cut, _) = counts.select_nth_unstable_by(keep, |a, b| b.cmp(a));
        let cut = *cut;
        self.error += cut;
        self.counts.retain(|_, (count, _)| {
            *count = count.saturating_sub(cut);
            *count > 0
        });
    }

    /// The number of values, and whether it is exact.
    pub(super) fn distinct(&self) -> (u64, bool) {
        match &self.sketch {
            Some(sketch) => (sketch.estimate().min(self.total), false),
            None => (self.counts.len() as u64, true),
        }
    }

    /// The values with their counts if every one of them is known.
    pub(super) fn exact(&self) -> Option<impl Iterator<Item = (L, u64)> + '_> {
        let all = self.counts.values().map(|(count, label)| (label.clone(), *count));
        self.sketch.is_none().then_some(all)
    }

    /// The most frequent values, at most `most` of them, and whether they and their counts are
    /// exact: otherwise counts are what is certain. Of equal counts, that of the lower key is first.
    pub(super) fn top(&self, most: usize) -> (Vec<Frequent<L>>, bool) {
        let mut all: Vec<_> = self.counts.iter().filter(|(_, (count, _))| *count > self.error).collect();
        all.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
        let top = all.into_iter().take(most);
        let top =
            top.map(|(key, (count, value))| Frequent { key: *key, value: value.clone(), count: *count });
        (top.collect(), self.sketch.is_none())
    }
}

/// An estimate of how many different hashes were seen.
#[derive(Debug)]
pub(super) struct Distinct {
    registers: Vec<u8>,
    bits: u32,
}

impl Distinct {
    /// One that is as exact as a counter of `limit` values is large: its standard error is 0.8 % for
    /// 4,096, 3 % for few.
    fn new(limit: usize) -> Self {
        let bits = (limit.max(1).ilog2() + 2).clamp(10, 14);
        Self { registers: vec![0; 1 << bits], bits }
    }

    fn add(&mut self, hash: u64) {
        let at = usize::try_from(hash >> (64 - self.bits)).unwrap_or(0);
        let rank = ((hash << self.bits) | (1 << (self.bits - 1))).leading_zeros() + 1;
        if let Some(register) = self.registers.get_mut(at) {
            *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
        }
    }

    fn estimate(&self) -> u64 {
        let m = self.registers.len() as f64;
        let q = 64 - self.bits as usize;
        let mut counts = vec![0.0; q + 2];
        for register in &self.registers {
            if let Some(count) = counts.get_mut(usize::from(*register)) {
                *count += 1.0;
            }
        }
        let of = |k: usize| counts.get(k).copied().unwrap_or(0.0);
        let mut z = m * tau(1.0 - of(q + 1) / m);
        for k in (1..=q).rev() {
            z = 0.5 * (z + of(k));
        }
        z += m * sigma(of(0) / m);
        index((m * m / (2.0 * std::f64::consts::LN_2 * z)).round()) as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random::mix;
    use super::*;

    #[test]
    fn few_are_counted_and_many_are_estimated() {
        for (different, tolerance) in
            [(5u64, 0.0), (4096, 0.0), (5000, 0.03), (50_000, 0.03), (2_000_000, 0.03)]
        {
            let mut counter = Counter::new(4096);
            for i in 0..different.max(1000) {
                counter.add(mix(i % different), 1, || i % different);
            }
            let (found, exact) = counter.distinct();
            assert_eq!(exact, different <= 4096);
            let off = (found as f64 - different as f64).abs() / different as f64;
            assert!(off <= tolerance, "{different}: {found}");
        }
    }

    #[test]
    fn what_is_frequent_among_many_is_found() {
        let mut counter = Counter::new(256);
        for i in 0..100_000u64 {
            let value = if i % 4 == 0 { 7 } else { 1000 + i };
            counter.add(mix(value), 1, || value);
        }
        let (top, exact) = counter.top(5);
        assert!(!exact);
        assert_eq!((top[0].key, top[0].value), (mix(7), 7));
        assert!((20_000..=25_000).contains(&top[0].count), "{top:?}");
        assert_eq!(top.len(), 1, "{top:?}");
        // Where every value is another, none is frequent.
        let mut ids = Counter::new(256);
        (0..100_000u64).for_each(|i| ids.add(mix(i), 1, || i));
        assert!(ids.top(5).0.is_empty());
        assert!(ids.gave_up);
    }
}
