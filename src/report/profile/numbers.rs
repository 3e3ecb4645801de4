//! Numbers, seen once: what is exact about them, and a choice of them for the rest.

use half::f16;

use super::counter::Counter;
use super::random::{Reservoir, mix};

/// Values of a run that are summed before their sums are joined: they stay in the fastest cache.
const CHUNK: usize = 2048;
/// Values that are looked at side by side: a loop over so many becomes instructions for several at a time.
const LANES: usize = 64;
/// Bytes of a run from which on they are counted in pairs.
const MANY_BYTES: usize = 1 << 16;

/// A type of numbers.
pub(super) trait Number: Copy + PartialOrd + Send + Sync + 'static {
    fn as_f64(self) -> f64;
    /// The number as a whole one, exactly, if it is of a type of such.
    fn whole(self) -> Option<i128>;
    /// Equal for equal numbers.
    fn key(self) -> u64;
    fn is_zero(self) -> bool;
    /// The least and the greatest of `first` and numbers none of which is NaN.
    fn ends(numbers: &[Self], first: Self) -> (Self, Self);
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            #[inline]
            fn as_f64(self) -> f64 {
                self as f64
            }

            fn whole(self) -> Option<i128> {
                Some(i128::from(self))
            }

            #[inline]
            #[allow(clippy::cast_sign_loss, clippy::cast_lossless)] // any one-to-one mapping will do
            fn key(self) -> u64 {
                self as u64
            }

            #[inline]
            fn is_zero(self) -> bool {
                self == 0
            }

            fn ends(numbers: &[Self], first: Self) -> (Self, Self) {
                // Two at a time: most processors have no instruction for several that are so long.
                let (mut least, mut greatest) = ((first, first), (first, first));
                let (pairs, rest) = numbers.as_chunks::<2>();
                for [one, other] in pairs {
                    least = (least.0.min(*one), least.1.min(*other));
                    greatest = (greatest.0.max(*one), greatest.1.max(*other));
                }
                let last = rest.first().copied().unwrap_or(first);
                (least.0.min(least.1).min(last), greatest.0.max(greatest.1).max(last))
            }
        }
    )*};
}

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Number for $type {
            #[inline]
            fn as_f64(self) -> f64 {
                f64::from(self)
            }

            fn whole(self) -> Option<i128> {
                None
            }

            #[inline]
            fn key(self) -> u64 {
                // Both zeros are one number, and so is every NaN.
                let value = f64::from(self) + 0.0;
                if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
            }

            #[inline]
            fn is_zero(self) -> bool {
                self == <$type>::from(0i8)
            }

            fn ends(numbers: &[Self], first: Self) -> (Self, Self) {
                let lower = |a: Self, b: Self| if a < b { a } else { b };
                let higher = |a: Self, b: Self| if a > b { a } else { b };
                let (mut least, mut greatest) = ([first; LANES], [first; LANES]);
                let (runs, rest) = numbers.as_chunks::<LANES>();
                for run in runs {
                    for ((least, greatest), value) in least.iter_mut().zip(&mut greatest).zip(run) {
                        *least = lower(*value, *least);
                        *greatest = higher(*value, *greatest);
                    }
                }
                let least = least.iter().chain(rest).fold(first, |low, value| lower(*value, low));
                let greatest = greatest.iter().chain(rest).fold(first, |high, value| higher(*value, high));
                (least, greatest)
            }
        }
    )*};
}

/// The sum of the distances of numbers from `from`, and that of their squares.
#[inline]
fn distances<T: Number>(numbers: &[T], from: f64) -> (f64, f64) {
    let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
    let distance = |value: &T| value.as_f64() - from;
    let mut rest = numbers;
    // Four runs at a time take a quarter of the loads and stores of sums.
    while let Some((four, after)) = rest.split_first_chunk::<{ 4 * LANES }>() {
        rest = after;
        let (runs, _) = four.as_chunks::<LANES>();
        let [a, b, c, d] = runs else { continue };
        let values = a.iter().zip(b).zip(c.iter().zip(d));
        for ((sum, square), ((a, b), (c, d))) in sums.iter_mut().zip(&mut squares).zip(values) {
            let (a, b, c, d) = (distance(a), distance(b), distance(c), distance(d));
            *sum += (a + b) + (c + d);
            *square += (a * a + b * b) + (c * c + d * d);
        }
    }
    for run in rest.chunks(LANES) {
        for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(run) {
            let distance = distance(value);
            *sum += distance;
            *square += distance * distance;
        }
    }
    (sums.iter().sum(), squares.iter().sum())
}

whole_numbers!(i8, u8, i16, u16, i32, u32, i64, u64);
floats!(f16, f32, f64);

/// What is exact: number, mean and spread, least and greatest.
#[derive(Debug, Clone)]
pub(super) struct Moments<T> {
    /// Finite numbers.
    pub(super) count: u64,
    pub(super) mean: f64,
    /// The sum of the squares of the distances from the mean.
    squares: f64,
    pub(super) range: Option<(T, T)>,
    pub(super) zeros: u64,
    pub(super) nan: u64,
    pub(super) infinite: u64,
}

impl<T: Number> Moments<T> {
    pub(super) fn new() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0, range: None, zeros: 0, nan: 0, infinite: 0 }
    }

    pub(super) fn add(&mut self, values: &[T]) {
        for chunk in values.chunks(CHUNK) {
            self.add_chunk(chunk);
        }
    }

    fn add_chunk(&mut self, chunk: &[T]) {
        let Some(first) = chunk.first() else { return };
        // Sums of distances from about the mean lose no digits.
        let shift = if self.count > 0 { self.mean } else { first.as_f64() };
        let shift = if shift.is_finite() { shift } else { 0.0 };
        let (sum, square) = distances(chunk, shift);
        if !sum.is_finite() {
            return self.add_finite(chunk);
        }
        let (low, high) = T::ends(chunk, *first);
        self.widen(low, high);
        if low.as_f64() <= 0.0 && high.as_f64() >= 0.0 {
            let zeros: u32 = chunk.iter().map(|value| u32::from(value.is_zero())).sum();
            self.zeros += u64::from(zeros);
        }
        let count = chunk.len() as f64;
        let squares = square - sum * sum / count;
        // What is too large for a number is not nothing.
        let squares = if squares.is_nan() { f64::INFINITY } else { squares };
        self.join(chunk.len() as u64, shift + sum / count, squares);
    }

    /// As [`add_chunk`](Self::add_chunk), of values some of which are not finite, or whose sum is not.
    fn add_finite(&mut self, chunk: &[T]) {
        let mut finite = Vec::with_capacity(chunk.len());
        for value in chunk {
            let number = value.as_f64();
            if number.is_nan() {
                self.nan += 1;
            } else if number.is_infinite() {
                self.infinite += 1;
            } else {
                finite.push(*value);
            }
        }
        if finite.len() < chunk.len() {
            return self.add_chunk(&finite);
        }
        for value in finite {
            self.zeros += u64::from(value.is_zero());
            self.widen(value, value);
            self.join(1, value.as_f64(), 0.0);
        }
    }

    fn widen(&mut self, low: T, high: T) {
        self.range = Some(match self.range {
            None => (low, high),
            Some((least, greatest)) => {
                (if low < least { low } else { least }, if high > greatest { high } else { greatest })
            }
        });
    }

    /// Adds so many numbers of this mean and these squares (Chan, Golub and LeVeque).
    pub(super) fn join(&mut self, count: u64, mean: f64, squares: f64) {
        let (before, added) = (self.count as f64, count as f64);
        self.count += count;
        let all = self.count as f64;
        let distance = mean - self.mean;
        self.mean += distance * (added / all);
        let apart = if before > 0.0 { distance * distance * before * (added / all) } else { 0.0 };
        self.squares += squares.max(0.0) + apart;
    }

    /// The standard deviation of a sample: divided by one less than there are numbers.
    pub(super) fn deviation(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }
}

/// Numbers of one type.
#[derive(Debug)]
pub(super) struct Accumulated<T> {
    pub(super) moments: Moments<T>,
    /// Which numbers there are; `None` where they are too many to ask for.
    pub(super) counter: Option<Counter<T>>,
    pub(super) sample: Reservoir<f64>,
}

impl<T: Number> Accumulated<T> {
    /// Counts the different numbers up to `distinct` of them, if that is not 0, and keeps `sample`.
    pub(super) fn new(distinct: usize, sample: usize) -> Self {
        Self {
            moments: Moments::new(),
            counter: (distinct > 0).then(|| Counter::new(distinct)),
            sample: Reservoir::new(sample, 17),
        }
    }

    pub(super) fn add(&mut self, values: &[T]) {
        self.moments.add(values);
        if let (Some(counter), Some(first)) = (&mut self.counter, values.first()) {
            // What is no number is no value either, as in pandas.
            if first.as_f64().is_nan() || values.iter().any(|value| value.key() != first.key()) {
                for value in values.iter().filter(|value| !value.as_f64().is_nan()) {
                    counter.add(mix(value.key()), 1, || *value);
                }
            } else {
                // Lengths mostly are of one kind.
                counter.add(mix(first.key()), values.len() as u64, || *first);
            }
        }
        self.sample.offer(values.len(), |at| values.get(at).map_or(f64::NAN, |value| value.as_f64()));
    }

    /// Finite numbers with how often each occurs, in order; whether they are all there are, and not
    /// a choice of them.
    pub(super) fn sorted(&self) -> (Vec<(f64, u64)>, bool) {
        let exact = self.counter.as_ref().and_then(Counter::exact);
        let (mut all, whole): (Vec<(f64, u64)>, bool) = match exact {
            Some(counts) => (counts.map(|(value, count)| (value.as_f64(), count)).collect(), true),
            None => (self.sample.items.iter().map(|value| (*value, 1)).collect(), self.sample.is_whole()),
        };
        all.retain(|(value, _)| value.is_finite());
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        (all, whole)
    }
}

/// Bytes, each of which is counted: everything about them is exact.
#[derive(Debug)]
pub(super) struct ByteCounts {
    counts: [u64; 256],
    /// How often each pair of bytes occurs, the first as the lower byte: half as many steps where there are
    /// many bytes.
    pairs: Option<Box<[u32; 1 << 16]>>,
    /// How many pairs were counted: no more than fit into each count.
    paired: u32,
}

impl ByteCounts {
    pub(super) fn new() -> Self {
        Self { counts: [0; 256], pairs: None, paired: 0 }
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        if bytes.len() < MANY_BYTES {
            return self.add_singly(bytes);
        }
        for run in bytes.chunks(1 << 30) {
            let (words, rest) = run.as_chunks::<8>();
            self.add_in_pairs(words);
            self.add_singly(rest);
        }
    }

    fn add_singly(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(count) = self.counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
        }
    }

    fn add_in_pairs(&mut self, words: &[[u8; 8]]) {
        let added = u32::try_from(words.len() * 4).unwrap_or(u32::MAX);
        if self.paired.checked_add(added).is_none() {
            self.counts = self.singly();
            (self.pairs, self.paired) = (None, 0);
        }
        self.paired += added;
        let table = || vec![0; 1 << 16].into_boxed_slice().try_into().ok();
        if self.pairs.is_none() {
            self.pairs = table();
        }
        let Some(pairs) = &mut self.pairs else { return };
        for word in words {
            let word = u64::from_le_bytes(*word);
            for shift in [0, 16, 32, 48] {
                if let Some(count) = pairs.get_mut(usize::from(low_half(word >> shift))) {
                    *count += 1;
                }
            }
        }
    }

    /// How often each byte occurs, in pairs or not.
    fn singly(&self) -> [u64; 256] {
        let mut counts = self.counts;
        for (pair, count) in (0..=u16::MAX).zip(self.pairs.iter().flat_map(|pairs| pairs.iter())) {
            for byte in pair.to_le_bytes() {
                if let Some(all) = counts.get_mut(usize::from(byte)) {
                    *all += u64::from(*count);
                }
            }
        }
        counts
    }

    /// The bytes that occur, as numbers that `read` makes of them, with how often they do.
    pub(super) fn counts<T: Number>(&self, read: impl Fn(u8) -> T) -> Vec<(T, u64)> {
        let bytes = 0..=u8::MAX;
        bytes
            .zip(self.singly())
            .filter(|(_, count)| *count > 0)
            .map(|(byte, count)| (read(byte), count))
            .collect()
    }
}

#[allow(clippy::cast_possible_truncation)] // of two bytes, the other six are left out
fn low_half(word: u64) -> u16 {
    word as u16
}

/// [`Moments`] of numbers that are counted.
pub(super) fn moments_of<T: Number>(counts: &[(T, u64)]) -> Moments<T> {
    let mut moments = Moments::new();
    for (value, count) in counts {
        let number = value.as_f64();
        moments.zeros += if number == 0.0 { *count } else { 0 };
        moments.widen(*value, *value);
        moments.join(*count, number, 0.0);
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lose_no_digits() {
        // Mean 1e9 + 49,999.5 and the variance of 0 to 99,999, whatever the offset.
        let values: Vec<f64> = (0..100_000).map(|i| 1e9 + f64::from(i)).collect();
        let mut moments = Moments::new();
        moments.add(&values);
        assert!((moments.mean - 1_000_049_999.5).abs() < 1e-4, "{}", moments.mean);
        let n = 100_000f64;
        let exact = ((n * n - 1.0) / 12.0 * n / (n - 1.0)).sqrt();
        assert!((moments.deviation().unwrap() / exact - 1.0).abs() < 1e-9);
        assert_eq!(moments.range, Some((1e9, 1_000_099_999.0)));
    }

    #[test]
    fn what_is_not_finite_is_counted_apart() {
        let mut moments = Moments::new();
        moments.add(&[f32::NAN, 1.0, f32::INFINITY, 3.0, 0.0, -0.0, f32::NEG_INFINITY]);
        assert_eq!((moments.nan, moments.infinite, moments.zeros, moments.count), (1, 2, 2, 4));
        assert_eq!((moments.mean, moments.range), (1.0, Some((0.0, 3.0))));
        let mut nothing = Moments::new();
        nothing.add(&[f64::NAN; 5]);
        assert_eq!((nothing.range, nothing.count, nothing.deviation()), (None, 0, None));
    }

    #[test]
    fn holes_and_runs_of_any_length_change_nothing() {
        for length in [1, 63, 64, 65, 255, 256, 300, 2047, 2048, 5000] {
            let values: Vec<f32> = (0..length).map(|i| (i * 37 % 1000) as f32 - 500.0).collect();
            let with_holes: Vec<f32> = values.iter().flat_map(|v| [*v, f32::NAN]).collect();
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / f64::from(length);
            let squares: f64 = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
            let least = values.iter().copied().reduce(f32::min).unwrap();
            let greatest = values.iter().copied().reduce(f32::max).unwrap();
            for (values, holes) in [(&values, 0), (&with_holes, length)] {
                let mut moments = Moments::new();
                moments.add(values);
                assert_eq!((moments.count, moments.nan), (length as u64, holes as u64));
                assert_eq!(moments.range, Some((least, greatest)), "{length}");
                assert_eq!(moments.zeros, (values.iter().filter(|v| **v == 0.0).count()) as u64);
                assert!((moments.mean - mean).abs() < 1e-9, "{length}: {} and {mean}", moments.mean);
                assert!((moments.squares - squares).abs() < 1e-6 * squares.max(1.0), "{length}");
            }
            let whole: Vec<i64> = values.iter().map(|v| *v as i64).collect();
            let mut moments = Moments::new();
            moments.add(&whole);
            assert_eq!(moments.range, Some((least as i64, greatest as i64)));
        }
        // Numbers whose sum is none.
        let mut moments = Moments::new();
        moments.add(&[f64::MAX; 100]);
        assert_eq!((moments.count, moments.infinite, moments.mean), (100, 0, f64::MAX));
        // Numbers whose squares are none have a spread, which is none either; equal ones have none.
        for (values, finite) in [([1e200, 3e200], false), ([1e200, 1e200], true)] {
            let mut moments = Moments::new();
            moments.add(&values);
            assert_eq!(
                moments.deviation().filter(|std| std.is_finite()),
                finite.then_some(0.0),
                "{values:?}"
            );
        }
    }

    #[test]
    fn many_bytes_are_counted_as_few_are() {
        let many: Vec<u8> =
            (0..200_003u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x7f).collect();
        let mut expected = [0u64; 256];
        let mut bytes = ByteCounts::new();
        // The last time, pairs have no room for so many more.
        for (run, paired) in [(&many[..100], 0), (&many, 0), (&many[..70_001], 50_000), (&many, u32::MAX - 9)]
        {
            run.iter().for_each(|byte| expected[usize::from(*byte)] += 1);
            bytes.paired = bytes.paired.max(paired);
            bytes.add(run);
            assert!(bytes.singly() == expected, "{} bytes", run.len());
        }
    }

    #[test]
    fn bytes_are_numbers() {
        let mut bytes = ByteCounts::new();
        bytes.add(&[0, 1, 1, 255, 3, 3, 3]);
        assert_eq!(bytes.counts(|b| b), [(0, 1), (1, 2), (3, 3), (255, 1)]);
        let moments = moments_of(&bytes.counts(|b| b));
        assert_eq!((moments.count, moments.zeros, moments.range), (7, 1, Some((0, 255))));
        assert!((moments.mean - 266.0 / 7.0).abs() < 1e-12);
        assert_eq!(moments_of(&bytes.counts(u8::cast_signed)).range, Some((-1, 3)));
    }
}
