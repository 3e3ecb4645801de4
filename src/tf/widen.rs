//! Narrow floats and their values as `f32`, which holds all of them exactly.

use super::dtype::DType;

/// The value of each byte of an 8-bit (or, in its low half, 4-bit) float; `None` for other dtypes.
pub(crate) fn table(dtype: DType) -> Option<Box<[f32; 256]>> {
    let of: fn(u8) -> f32 = match dtype {
        DType::Float8E5M2 => |b| float8(b, 2, 15, Special::Ieee),
        DType::Float8E4M3FN => |b| float8(b, 3, 7, Special::NanAtTop),
        DType::Float8E4M3FNUZ => |b| float8(b, 3, 8, Special::NanAtNegativeZero),
        DType::Float8E4M3B11FNUZ => |b| float8(b, 3, 11, Special::NanAtNegativeZero),
        DType::Float8E5M2FNUZ => |b| float8(b, 2, 16, Special::NanAtNegativeZero),
        DType::Float4E2M1FN => float4,
        _ => return None,
    };
    let mut table = Box::new([0f32; 256]);
    for (byte, value) in (0..=u8::MAX).zip(table.iter_mut()) {
        *value = of(byte);
    }
    Some(table)
}

/// Which bit patterns are no finite numbers.
#[derive(Clone, Copy, PartialEq)]
enum Special {
    /// The top exponent: infinity and NaN.
    Ieee,
    /// All bits but the sign set: NaN.
    NanAtTop,
    /// Only the sign set: NaN.
    NanAtNegativeZero,
}

fn float8(byte: u8, mantissa_bits: u32, bias: i32, special: Special) -> f32 {
    let magnitude = byte & 0x7f;
    let exponent = i32::from(magnitude >> mantissa_bits);
    let mantissa = magnitude & ((1 << mantissa_bits) - 1);
    let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
    match special {
        Special::Ieee if exponent == 31 && mantissa == 0 => return sign * f32::INFINITY,
        Special::Ieee if exponent == 31 => return f32::NAN,
        Special::NanAtTop if magnitude == 0x7f => return f32::NAN,
        Special::NanAtNegativeZero if byte == 0x80 => return f32::NAN,
        _ => {}
    }
    let scale = f32::from(1u8 << mantissa_bits);
    let fraction = f32::from(mantissa) / scale;
    // Powers of two from 2⁻¹⁷ to 2¹⁶: every step is exact.
    let power = |e: i32| 2f32.powi(e);
    let value =
        if exponent == 0 { fraction * power(1 - bias) } else { (1.0 + fraction) * power(exponent - bias) };
    sign * value
}

fn float4(byte: u8) -> f32 {
    let magnitude = match byte & 7 {
        0 => 0.0,
        1 => 0.5,
        2 => 1.0,
        3 => 1.5,
        4 => 2.0,
        5 => 3.0,
        6 => 4.0,
        _ => 6.0,
    };
    if byte & 8 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let of = |dtype, byte: u8| table(dtype).unwrap()[usize::from(byte)];
        // The largest finite values and the smallest positive ones, from the OCP and Graphcore
        // definitions.
        assert_eq!(of(DType::Float8E5M2, 0x7b), 57344.0);
        assert_eq!(of(DType::Float8E5M2, 0x01), 2f32.powi(-16));
        assert_eq!(of(DType::Float8E5M2, 0xfc), f32::NEG_INFINITY);
        assert_eq!(of(DType::Float8E4M3FN, 0x7e), 448.0);
        assert_eq!(of(DType::Float8E4M3FN, 0x01), 2f32.powi(-9));
        assert!(of(DType::Float8E4M3FN, 0xff).is_nan());
        assert_eq!(of(DType::Float8E4M3FNUZ, 0x7f), 240.0);
        assert!(of(DType::Float8E4M3FNUZ, 0x80).is_nan());
        assert_eq!(of(DType::Float8E4M3B11FNUZ, 0x7f), 30.0);
        assert_eq!(of(DType::Float8E5M2FNUZ, 0x7f), 57344.0);
        assert_eq!(of(DType::Float8E5M2FNUZ, 0x01), 2f32.powi(-17));
        assert_eq!(of(DType::Float4E2M1FN, 0x0f), -6.0);
        // e5m2 is the upper half of a binary16.
        for byte in 0..=u8::MAX {
            let half = half::f16::from_bits(u16::from(byte) << 8).to_f32();
            let found = of(DType::Float8E5M2, byte);
            assert!(half == found || half.is_nan() && found.is_nan());
        }
    }
}
