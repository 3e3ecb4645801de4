//! Numbers, seen once: what is exact about them, and a choice of them for the rest.

use half::f16;

use super::counter::Counter;
use super::random::{Reservoir, mix};

/// Values of a run that are summed before their sums are joined: they stay in the fastest cache.
const CHUNK: usize = 1024;
/// Values that are looked at side by side.
const LANES: usize = 4;

/// A type of numbers.
pub(super) trait Number: Copy + PartialOrd + Send + Sync + 'static {
    fn as_f64(self) -> f64;
    /// The number as a whole one, exactly, if it is of a type of such.
    fn whole(self) -> Option<i128>;
    /// Equal for equal numbers.
    fn key(self) -> u64;
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
        }
    )*};
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
        let mut sums = [0.0f64; LANES];
        let mut squares = [0.0f64; LANES];
        let mut zeros = [0u64; LANES];
        let (mut least, mut greatest) = ([*first; LANES], [*first; LANES]);
        let (groups, rest) = chunk.as_chunks::<LANES>();
        let mut look = |lane: usize, value: T, distance: f64| {
            let lanes = (sums.get_mut(lane), squares.get_mut(lane), zeros.get_mut(lane));
            let ends = (least.get_mut(lane), greatest.get_mut(lane));
            if let ((Some(sum), Some(square), Some(zero)), (Some(least), Some(greatest))) = (lanes, ends) {
                *sum += distance;
                *square += distance * distance;
                *zero += u64::from(value.as_f64() == 0.0);
                *least = if value < *least { value } else { *least };
                *greatest = if value > *greatest { value } else { *greatest };
            }
        };
        for group in groups {
            for (lane, value) in group.iter().enumerate() {
                look(lane, *value, value.as_f64() - shift);
            }
        }
        for value in rest {
            look(0, *value, value.as_f64() - shift);
        }
        let sum: f64 = sums.iter().sum();
        let square: f64 = squares.iter().sum();
        if !sum.is_finite() {
            return self.add_finite(chunk);
        }
        self.zeros += zeros.iter().sum::<u64>();
        let (mut low, mut high) = (*first, *first);
        for value in least.into_iter().chain(greatest) {
            low = if value < low { value } else { low };
            high = if value > high { value } else { high };
        }
        self.widen(low, high);
        let count = chunk.len() as f64;
        self.join(chunk.len() as u64, shift + sum / count, square - sum * sum / count);
    }

    /// As [`add_chunk`](Self::add_chunk), of values some of which are not finite, or whose sum is not.
    fn add_finite(&mut self, chunk: &[T]) {
        for value in chunk {
            let number = value.as_f64();
            if number.is_nan() {
                self.nan += 1;
            } else if number.is_infinite() {
                self.infinite += 1;
            } else {
                self.zeros += u64::from(number == 0.0);
                self.widen(*value, *value);
                self.join(1, number, 0.0);
            }
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
        self.squares += squares.max(0.0) + distance * distance * before * (added / all);
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
        if let Some(counter) = &mut self.counter {
            // What is no number is no value either, as in pandas.
            for value in values.iter().filter(|value| !value.as_f64().is_nan()) {
                counter.add(mix(value.key()), 1, || *value);
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
pub(super) struct ByteCounts([u64; 256]);

impl ByteCounts {
    pub(super) fn new() -> Self {
        Self([0; 256])
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        // Four counts of each, so that equal bytes one after the other do not wait for each other.
        let mut counts = [[0u32; 256]; 4];
        for chunk in bytes.chunks(1 << 30) {
            let (groups, rest) = chunk.as_chunks::<4>();
            for group in groups {
                for (counts, byte) in counts.iter_mut().zip(group) {
                    if let Some(count) = counts.get_mut(usize::from(*byte)) {
                        *count += 1;
                    }
                }
            }
            for byte in rest {
                if let Some(count) = self.0.get_mut(usize::from(*byte)) {
                    *count += 1;
                }
            }
            for counts in &mut counts {
                for (all, count) in self.0.iter_mut().zip(counts) {
                    *all += u64::from(std::mem::take(count));
                }
            }
        }
    }

    /// The bytes that occur, as numbers that `read` makes of them, with how often they do.
    pub(super) fn counts<T: Number>(&self, read: impl Fn(u8) -> T) -> Vec<(T, u64)> {
        let bytes = 0..=u8::MAX;
        bytes
            .zip(&self.0)
            .filter(|(_, count)| **count > 0)
            .map(|(byte, count)| (read(byte), *count))
            .collect()
    }
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
