//! The least and the greatest value of a column in a row group: readers pass over row groups by them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// Strings that are longer are no bounds that help anybody.
const MOST_BYTES: usize = 64;

/// The least and the greatest value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bounds {
    Signed(i64, i64),
    Unsigned(u64, u64),
    Float(f64, f64),
    Bytes(Vec<u8>, Vec<u8>),
    /// There was no value.
    None,
    /// There is none: a value is not a number, and not every reader thinks of that where the bounds of a row group
    /// lie within what is asked for (DuckDB 2.0 takes all rows then).
    Unknown,
}

/// What `f` makes of each of `a` and what stands at its place in `b`. No iterator does that: where they are zipped is
/// called, not inlined, in builds without link-time optimisation.
#[inline]
fn each_of<T: Copy>(a: [T; 8], b: &[T; 8], f: impl Fn(T, T) -> T) -> [T; 8] {
    let ([a0, a1, a2, a3, a4, a5, a6, a7], [b0, b1, b2, b3, b4, b5, b6, b7]) = (a, *b);
    [f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3), f(a4, b4), f(a5, b5), f(a6, b6), f(a7, b7)]
}

/// Of several numbers at a time, as a comparison takes longer than it takes to begin the next. There is no NaN.
fn least_and_greatest<T: Copy + PartialOrd>(numbers: &[T]) -> Option<(T, T)> {
    let first = *numbers.first()?;
    let (lanes, rest) = numbers.as_chunks::<8>();
    let (mut least, mut greatest) = ([first; 8], [first; 8]);
    let lesser = |a: T, b: T| if b < a { b } else { a };
    let greater = |a: T, b: T| if b > a { b } else { a };
    for numbers in lanes {
        least = each_of(least, numbers, lesser);
        greatest = each_of(greatest, numbers, greater);
    }
    let least = least.iter().chain(rest).copied().reduce(lesser)?;
    let greatest = greatest.iter().chain(rest).copied().reduce(greater)?;
    Some((least, greatest))
}

impl Bounds {
    /// Those of `values`, which has no nulls. Of strings there are none: see [`Bounds::of_strings`].
    pub(super) fn of_numbers(values: &dyn Array) -> Self {
        macro_rules! integers {
            ($type:ty, $bounds:ident) => {{
                let values = values.as_primitive::<$type>().values();
                least_and_greatest(values)
                    .map_or(Bounds::None, |(least, greatest)| Bounds::$bounds(least.into(), greatest.into()))
            }};
        }
        match values.data_type() {
            DataType::Int8 => integers!(Int8Type, Signed),
            DataType::Int16 => integers!(Int16Type, Signed),
            DataType::Int32 => integers!(Int32Type, Signed),
            DataType::Int64 => integers!(Int64Type, Signed),
            DataType::UInt8 => integers!(UInt8Type, Unsigned),
            DataType::UInt16 => integers!(UInt16Type, Unsigned),
            DataType::UInt32 => integers!(UInt32Type, Unsigned),
            DataType::UInt64 => integers!(UInt64Type, Unsigned),
            DataType::Float32 => floats::<Float32Type>(values),
            DataType::Float64 => floats::<Float64Type>(values),
            _ => Bounds::None,
        }
    }

    /// Those of `strings`.
    pub(super) fn of_strings<'a>(strings: impl Iterator<Item = &'a [u8]>) -> Self {
        let head = |string: &[u8]| match string.first_chunk::<8>() {
            Some(head) => u64::from_be_bytes(*head),
            None => {
                string.iter().zip([56, 48, 40, 32, 24, 16, 8]).map(|(b, shift)| u64::from(*b) << shift).sum()
            }
        };
        let mut bounds: Option<[(u64, &[u8]); 2]> = None;
        for string in strings {
            let string = (head(string), string);
            match &mut bounds {
                None => bounds = Some([string, string]),
                // Most are told apart by their heads.
                Some([least, greatest]) => {
                    if string < *least {
                        *least = string;
                    } else if string > *greatest {
                        *greatest = string;
                    }
                }
            }
        }
        bounds.map_or(Bounds::None, |[(_, least), (_, greatest)]| {
            Bounds::Bytes(least.to_vec(), greatest.to_vec())
        })
    }

    /// Takes in those of other values.
    pub(super) fn extend(&mut self, other: Bounds) {
        match (self, other) {
            (_, Bounds::None) | (Bounds::Unknown, _) => {}
            (own @ Bounds::None, other) => *own = other,
            (Bounds::Signed(least, greatest), Bounds::Signed(a, b)) => {
                (*least, *greatest) = ((*least).min(a), (*greatest).max(b));
            }
            (Bounds::Unsigned(least, greatest), Bounds::Unsigned(a, b)) => {
                (*least, *greatest) = ((*least).min(a), (*greatest).max(b));
            }
            (Bounds::Float(least, greatest), Bounds::Float(a, b)) => {
                (*least, *greatest) = (least.min(a), greatest.max(b));
            }
            (Bounds::Bytes(least, greatest), Bounds::Bytes(a, b)) => {
                if a < *least {
                    *least = a;
                }
                if b > *greatest {
                    *greatest = b;
                }
            }
            (own, _) => *own = Bounds::Unknown,
        }
    }

    /// What Parquet keeps of values of `data_type`, `null_count` rows being null.
    pub(super) fn statistics(self, data_type: &DataType, null_count: u64) -> Option<Statistics> {
        macro_rules! kept {
            ($bounds:expr) => {{
                let (least, greatest) = $bounds.map_or((None, None), |(a, b)| (Some(a), Some(b)));
                Statistics::from(ValueStatistics::new(least, greatest, None, Some(null_count), false))
            }};
        }
        // Parquet stores unsigned numbers in the bits of signed ones.
        let long = match self {
            Bounds::Signed(least, greatest) => Some((least, greatest)),
            Bounds::Unsigned(least, greatest) => Some((least.cast_signed(), greatest.cast_signed())),
            _ => None,
        };
        let short = |n: i64| {
            let [a, b, c, d, ..] = n.to_le_bytes();
            i32::from_le_bytes([a, b, c, d])
        };
        Some(match (data_type, self) {
            (DataType::Int64 | DataType::UInt64, _) => kept!(long),
            (DataType::Int8 | DataType::Int16 | DataType::Int32, _)
            | (DataType::UInt8 | DataType::UInt16 | DataType::UInt32, _) => {
                kept!(long.map(|(least, greatest)| (short(least), short(greatest))))
            }
            (DataType::Float32, bounds) => {
                #[allow(clippy::cast_possible_truncation)] // they are float32 values
                let narrow = |(least, greatest)| (least as f32, greatest as f32);
                kept!(bounds.zeros_of_both_signs().map(narrow))
            }
            (DataType::Float64, bounds) => kept!(bounds.zeros_of_both_signs()),
            (DataType::Utf8 | DataType::Binary, Bounds::Bytes(least, greatest))
                if least.len().max(greatest.len()) <= MOST_BYTES =>
            {
                kept!(Some((ByteArray::from(least), ByteArray::from(greatest))))
            }
            (DataType::Utf8 | DataType::Binary, _) => kept!(None::<(ByteArray, ByteArray)>),
            _ => return None,
        })
    }

    /// Bounds of floats that hold whichever zero there is.
    fn zeros_of_both_signs(self) -> Option<(f64, f64)> {
        match self {
            Bounds::Float(least, greatest) => {
                Some((if least == 0.0 { -0.0 } else { least }, if greatest == 0.0 { 0.0 } else { greatest }))
            }
            _ => None,
        }
    }
}

/// The bounds of floats.
fn floats<T: ArrowPrimitiveType<Native: Into<f64> + PartialOrd>>(values: &dyn Array) -> Bounds {
    let values = values.as_primitive::<T>().values();
    if values.iter().fold(false, |any, value| any | is_nan(value)) {
        return Bounds::Unknown;
    }
    least_and_greatest(values)
        .map_or(Bounds::None, |(least, greatest)| Bounds::Float(least.into(), greatest.into()))
}

#[allow(clippy::eq_op)] // that is what a NaN is
fn is_nan<N: PartialOrd>(number: &N) -> bool {
    number != number
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Int64Array, UInt32Array};

    #[test]
    fn numbers_have_bounds() {
        let bounds = |values: &dyn Array| Bounds::of_numbers(values);
        assert_eq!(bounds(&Int64Array::from(vec![3, -7, 5])), Bounds::Signed(-7, 5));
        assert_eq!(bounds(&UInt32Array::from(vec![3, u32::MAX])), Bounds::Unsigned(3, u64::from(u32::MAX)));
        let nan = f32::NAN;
        assert_eq!(bounds(&Float32Array::from(vec![1.0, -2.0, 0.5])), Bounds::Float(-2.0, 1.0));
        assert_eq!(bounds(&Float32Array::from(vec![1.0, nan, -2.0])), Bounds::Unknown);
        let mut some = Bounds::Unknown;
        some.extend(Bounds::Float(1.0, 2.0));
        assert_eq!(some, Bounds::Unknown);
        assert_eq!(bounds(&Int64Array::from(Vec::<i64>::new())), Bounds::None);
    }

    #[test]
    fn bounds_of_strings_are_those_of_their_bytes() {
        let strings: [&[u8]; 6] = [b"b", b"", b"b\0", b"aaaaaaaab", b"aaaaaaaaa", b"\xff"];
        let bounds = Bounds::of_strings(strings.into_iter().skip(2));
        assert_eq!(bounds, Bounds::Bytes(b"aaaaaaaaa".to_vec(), b"\xff".to_vec()));
        let mut all = bounds;
        all.extend(Bounds::of_strings(strings.into_iter()));
        assert_eq!(all, Bounds::Bytes(Vec::new(), b"\xff".to_vec()));
    }

    #[test]
    fn either_zero_is_within_the_bounds() {
        let Some(Statistics::Double(kept)) = Bounds::Float(0.0, -0.0).statistics(&DataType::Float64, 0)
        else {
            panic!("no statistics")
        };
        assert!(kept.min_opt().unwrap().is_sign_negative() && kept.max_opt().unwrap().is_sign_positive());
    }
}
