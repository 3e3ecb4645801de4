//! TensorFlow's dtypes, with the numbers of `tensorflow/core/framework/types.proto`.

use std::fmt;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $bytes:literal;)*) => {
        /// A TensorFlow dtype.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DType {
            $($(#[$doc])* $variant,)*
        }

        impl DType {
            /// Every dtype, in the order of its number.
            pub const ALL: &'static [DType] = &[$(DType::$variant,)*];

            /// TensorFlow's number for it (`DataType` in `types.proto`).
            #[must_use]
            pub fn number(self) -> i32 {
                match self { $(DType::$variant => $number,)* }
            }

            /// The dtype with TensorFlow's number `number`; `None` if there is none, or if it is
            /// a reference type.
            #[must_use]
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(DType::$variant),)* _ => None }
            }

            /// TensorFlow's name for it, as `tf.DType.name` gives it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// The dtype that TensorFlow calls `name`.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(DType::$variant),)* _ => None }
            }

            /// Bytes of one value in memory and in `tensor_content`; `None` for string, resource
            /// and variant. Four-bit and two-bit types take a whole byte.
            #[must_use]
            pub fn item_bytes(self) -> Option<usize> {
                match self { $(DType::$variant => if $bytes == 0 { None } else { Some($bytes) },)* }
            }
        }
    };
}

dtypes! {
    /// IEEE 754 binary32.
    Float32 = 1, "float32", 4;
    /// IEEE 754 binary64.
    Float64 = 2, "float64", 8;
    /// Signed, 32 bits.
    Int32 = 3, "int32", 4;
    /// Unsigned, 8 bits.
    UInt8 = 4, "uint8", 1;
    /// Signed, 16 bits.
    Int16 = 5, "int16", 2;
    /// Signed, 8 bits.
    Int8 = 6, "int8", 1;
    /// Bytes of any length; not necessarily text.
    String = 7, "string", 0;
    /// Two float32: real, imaginary.
    Complex64 = 8, "complex64", 8;
    /// Signed, 64 bits.
    Int64 = 9, "int64", 8;
    /// One byte, 0 or 1.
    Bool = 10, "bool", 1;
    /// Quantized, stored as int8.
    QInt8 = 11, "qint8", 1;
    /// Quantized, stored as uint8.
    QUInt8 = 12, "quint8", 1;
    /// Quantized, stored as int32.
    QInt32 = 13, "qint32", 4;
    /// The upper half of a float32.
    BFloat16 = 14, "bfloat16", 2;
    /// Quantized, stored as int16.
    QInt16 = 15, "qint16", 2;
    /// Quantized, stored as uint16.
    QUInt16 = 16, "quint16", 2;
    /// Unsigned, 16 bits.
    UInt16 = 17, "uint16", 2;
    /// Two float64: real, imaginary.
    Complex128 = 18, "complex128", 16;
    /// IEEE 754 binary16; TensorFlow's name is `half` or `float16`.
    Float16 = 19, "float16", 2;
    /// A handle to something inside one process.
    Resource = 20, "resource", 0;
    /// A value of a C++ type: ragged, sparse, optional, dataset.
    Variant = 21, "variant", 0;
    /// Unsigned, 32 bits.
    UInt32 = 22, "uint32", 4;
    /// Unsigned, 64 bits.
    UInt64 = 23, "uint64", 8;
    /// 8-bit float, 5 exponent and 2 mantissa bits.
    Float8E5M2 = 24, "float8_e5m2", 1;
    /// 8-bit float, 4 exponent and 3 mantissa bits, no infinities.
    Float8E4M3FN = 25, "float8_e4m3fn", 1;
    /// 8-bit float, 4 and 3 bits, no negative zero, no infinities.
    Float8E4M3FNUZ = 26, "float8_e4m3fnuz", 1;
    /// 8-bit float, 4 and 3 bits, bias 11, no negative zero, no infinities.
    Float8E4M3B11FNUZ = 27, "float8_e4m3b11fnuz", 1;
    /// 8-bit float, 5 and 2 bits, no negative zero, no infinities.
    Float8E5M2FNUZ = 28, "float8_e5m2fnuz", 1;
    /// Signed, 4 bits in the low half of a byte, sign-extended.
    Int4 = 29, "int4", 1;
    /// Unsigned, 4 bits in the low half of a byte.
    UInt4 = 30, "uint4", 1;
    /// Signed, 2 bits in the low part of a byte, sign-extended.
    Int2 = 31, "int2", 1;
    /// Unsigned, 2 bits in the low part of a byte.
    UInt2 = 32, "uint2", 1;
    /// 4-bit float in the low half of a byte.
    Float4E2M1FN = 33, "float4_e2m1fn", 1;
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_go_both_ways() {
        for &dtype in DType::ALL {
            assert_eq!(DType::from_number(dtype.number()), Some(dtype));
            assert_eq!(DType::from_name(dtype.name()), Some(dtype));
        }
        assert_eq!(DType::from_number(0), None);
        assert_eq!(DType::from_number(101), None);
    }
}
