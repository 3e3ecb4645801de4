//! Feature specs: what a feature of `tf.train.Example` holds, and the short form in which users
//! write it (`NAME:TYPE`).

use std::fmt;

use crate::error::{Error, Result};
pub(crate) use crate::options::{Phrase, nearest};
use crate::tf::dtype::DType;
use crate::tf::example::Kind;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// How many dimensions a feature may have; TensorFlow's limit is the same.
const MAX_RANK: usize = 254;

/// How a feature's tensor stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// As the values of a list.
    Values,
    /// As the little-endian bytes of the tensor, in one bytes value.
    Raw,
    /// As a serialized `TensorProto`, in one bytes value (`tf.io.serialize_tensor`).
    Tensor,
    /// As an encoded PNG, JPEG, BMP or GIF, in one bytes value; the shape is
    /// `[height, width, channels]`.
    Image,
}

impl fmt::Display for Encoding {
    /// The word that options have for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Values => "values",
            Encoding::Raw => "raw",
            Encoding::Tensor => "tensor",
            Encoding::Image => "image",
        })
    }
}

/// What a record without the feature gives.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Missing {
    /// Null.
    Null,
    /// An error.
    Error,
    /// Null where the record has the feature's key, but no value; an error where it has not even the
    /// key. That is what `presence { min_fraction: 1 }` of TensorFlow Metadata counts.
    NullAtKey,
    /// This value, repeated to fill the shape.
    Default(DefaultValue),
}

impl Missing {
    /// Makes null of what is an error.
    pub(crate) fn allow(&mut self) {
        if self.is_error() {
            *self = Missing::Null;
        }
    }

    /// Whether a record without the feature's key is an error.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Missing::Error | Missing::NullAtKey)
    }
}

/// A default value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DefaultValue {
    /// For integers and bool.
    Int64(i64),
    /// For floats. What is wider than the values that a feature holds is rounded to them.
    Float(f64),
    /// For strings and binary.
    Bytes(Vec<u8>),
}

/// What one feature holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FeatureSpec {
    /// The feature's key.
    pub name: String,
    /// How its tensor is encoded.
    pub encoding: Encoding,
    /// The dtype of its column.
    pub dtype: DType,
    /// For [`DType::String`]: the values are text, and are checked to be UTF-8.
    pub text: bool,
    /// The shape of a record's tensor: `[]` for exactly one value, `[?]` for a list of any length,
    /// `[?, 2]` for any number of rows of two.
    pub shape: Shape,
    /// What a record without it gives.
    pub missing: Missing,
    /// Whether it is one of a `SequenceExample`'s feature lists. All the rest then describes a
    /// step of the list; a record without the list gives null.
    pub feature_list: bool,
    /// Whether records hold the feature as the spec says: where it is of another kind elsewhere, the
    /// spec is not what is wrong.
    pub(crate) seen: bool,
    /// Whether uint64 values stand as the int64 of the same bits.
    pub(crate) wraps: bool,
    /// Whether it was said of a list that it may be missing: from every record that is looked at, too.
    pub(crate) optional: bool,
}

impl FeatureSpec {
    /// Values of `dtype` in `shape`; missing is null.
    #[must_use]
    pub fn values(name: impl Into<String>, dtype: DType, shape: Shape) -> Self {
        Self {
            name: name.into(),
            encoding: Encoding::Values,
            dtype,
            text: false,
            shape,
            missing: Missing::Null,
            feature_list: false,
            seen: false,
            wraps: false,
            optional: false,
        }
    }

    /// The same for a feature list of a `SequenceExample`, whose steps this spec describes.
    #[must_use]
    pub fn in_feature_lists(mut self) -> Self {
        self.feature_list = true;
        self
    }

    /// Reads the form `NAME:TYPE`. The name ends at the last colon that
    /// is followed by a type.
    ///
    /// ```
    /// use tfarrow::schema::{FeatureSpec, Missing};
    /// use tfarrow::{DType, Shape};
    ///
    /// let spec = FeatureSpec::parse("box:float32[?,4]?")?;
    /// assert_eq!(spec.dtype, DType::Float32);
    /// assert_eq!(spec.shape, Shape::Dims(vec![None, Some(4)]));
    /// assert_eq!(spec.missing, Missing::Null);
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no colon, or what follows it is no type.
    pub fn parse(text: &str) -> Result<Self> {
        // A default may hold colons, a name too: take the first split whose right side is a type.
        let mut first = None;
        for (at, _) in text.match_indices(':') {
            let (name, rest) = (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
            match Self::parse_type(name, rest) {
                Ok(spec) if !name.is_empty() => return Ok(spec),
                Ok(_) => {}
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| {
            Error::config("invalid feature")
                .expected("NAME:TYPE", format!("`{text}`"))
                .with_hint(Phrase::new("for example {feature} label:int64"))
        }))
    }

    /// Reads TYPE for the feature `name`: `int64`, `float32[3,4]`, `int64[]`, `int64[?,2]`,
    /// `raw<uint8>[64,64,3]`, `tensor<float32>[?,3]`, `tensor<int64>[...]` (of any rank),
    /// `image[?,?,3]`, `image<uint16>[64,64,1]`, each with `?` (null where missing), `?key` (null where the
    /// record has the feature's key, but no value) or `=VALUE` (this value where missing, repeated to
    /// fill the shape) after it.
    ///
    /// # Errors
    /// The text is no such type, or the default does not fit the dtype.
    pub fn parse_type(name: &str, text: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::config(format!("invalid type `{text}` for feature `{name}`: {what}"))
                .with_hint("write a type like int64, float32[3,4], int64[], string?, raw<uint8>[64,64,3], tensor<float32>[?,3] \
                 or image")
        };
        let (body, default) = match text.split_once('=') {
            Some((body, default)) => (body, Some(default)),
            None => (text, None),
        };
        let (body, nullable) = match (body.strip_suffix("?key"), body.strip_suffix('?')) {
            (Some(body), _) => (body, Some(Missing::NullAtKey)),
            (None, Some(body)) => (body, Some(Missing::Null)),
            (None, None) => (body, None),
        };
        if nullable.is_some() && default.is_some() {
            return Err(bad("`?` and `=` exclude each other"));
        }
        let (head, dims) = match body.split_once('[') {
            Some((head, dims)) => {
                let dims = dims.strip_suffix(']').ok_or_else(|| bad("`[` is not closed"))?;
                (head, Some(dims))
            }
            None => (body, None),
        };
        let (encoding, scalar) = match head.split_once('<') {
            Some((wrapper, dtype)) => {
                let dtype = dtype.strip_suffix('>').ok_or_else(|| bad("`<` is not closed"))?;
                match wrapper {
                    "raw" => (Encoding::Raw, dtype),
                    "tensor" => (Encoding::Tensor, dtype),
                    "image" => (Encoding::Image, dtype),
                    _ => return Err(bad("only raw<…>, tensor<…> and image<…> take a dtype in brackets")),
                }
            }
            None if head == "image" => (Encoding::Image, "uint8"),
            None => (Encoding::Values, head),
        };
        let (dtype, text_values) = match scalar {
            "string" | "utf8" | "text" => (DType::String, true),
            "binary" | "bytes" => (DType::String, false),
            "float" => (DType::Float32, false),
            "double" => (DType::Float64, false),
            "half" => (DType::Float16, false),
            other => match DType::from_name(other) {
                Some(dtype) => (dtype, false),
                None => {
                    let names = DType::ALL.iter().map(|d| d.name()).chain(["string", "binary", "image"]);
                    return Err(match nearest(other, names) {
                        Some(near) => bad(&format!("no dtype `{other}`; did you mean `{near}`?")),
                        None => bad(&format!("no dtype `{other}`")),
                    });
                }
            },
        };
        let shape = match (dims, encoding) {
            (None, Encoding::Image) => Shape::Dims(vec![None, None, None]),
            (None, _) => Shape::scalar(),
            (Some(""), _) => Shape::Dims(vec![None]),
            (Some("..."), Encoding::Tensor) => Shape::UnknownRank,
            (Some(dims), _) => {
                let dims = dims.split(',').map(|dim| match dim.trim() {
                    "?" | "None" => Ok(None),
                    dim => dim.parse::<u64>().map(Some).map_err(|_| bad("a dimension is a number or `?`")),
                });
                Shape::Dims(dims.collect::<Result<_>>()?)
            }
        };
        let mut spec = Self {
            name: name.to_owned(),
            encoding,
            dtype,
            text: text_values,
            shape,
            missing: Missing::Error,
            feature_list: false,
            seen: false,
            wraps: false,
            optional: false,
        };
        spec.check().map_err(|what| bad(&what))?;
        spec.optional = nullable == Some(Missing::Null) && spec.is_list();
        spec.missing = match default {
            Some(_) if spec.encoding != Encoding::Values && spec.is_list() => {
                return Err(bad("a default needs a shape without `?`"));
            }
            Some(default) => Missing::Default(
                spec.parse_default(default).ok_or_else(|| bad("the default does not fit the dtype"))?,
            ),
            None if spec.is_list() => nullable.unwrap_or(Missing::Null),
            None => nullable.unwrap_or(Missing::Error),
        };
        Ok(spec)
    }

    /// Whether the feature may be missing from every record. A list, which is null where it is
    /// missing, may only if that was said.
    pub(crate) fn is_optional(&self) -> bool {
        match self.missing {
            Missing::Error => false,
            Missing::Null => self.optional || !self.is_list(),
            Missing::NullAtKey | Missing::Default(_) => true,
        }
    }

    /// Says what cannot be: a dtype or shape that the encoding cannot hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Shape::Dims(dims) = &self.shape else { return Ok(()) };
        if self.encoding != Encoding::Tensor && dims.len() > MAX_RANK {
            return Err(format!("more than {MAX_RANK} dimensions"));
        }
        if matches!(self.dtype, DType::Resource | DType::Variant) {
            return Err(format!("a feature cannot hold {} values", self.dtype));
        }
        if self.encoding == Encoding::Values {
            if matches!(self.dtype, DType::Complex64 | DType::Complex128) || self.is_float8() {
                return Err(format!("a feature cannot hold {} values", self.dtype));
            }
            if dims.iter().skip(1).any(Option::is_none) {
                return Err("only the first dimension of a list of values can vary".to_owned());
            }
        }
        if self.encoding == Encoding::Raw && dims.iter().filter(|d| d.is_none()).count() > 1 {
            return Err("only one dimension of raw bytes can vary".to_owned());
        }
        if self.encoding == Encoding::Raw && self.dtype.item_bytes().is_none() {
            return Err(format!("raw bytes cannot hold {}", self.dtype));
        }
        if self.encoding == Encoding::Image && !matches!(dims.len(), 3 | 4) {
            return Err(
                "an image has the shape [height, width, channels], or [frames, height, width, channels]"
                    .to_owned(),
            );
        }
        if self.encoding == Encoding::Image && !matches!(self.dtype, DType::UInt8 | DType::UInt16) {
            return Err("an image is decoded to uint8 or uint16".to_owned());
        }
        Ok(())
    }

    fn is_float8(&self) -> bool {
        matches!(
            self.dtype,
            DType::Float8E5M2
                | DType::Float8E4M3FN
                | DType::Float8E4M3FNUZ
                | DType::Float8E4M3B11FNUZ
                | DType::Float8E5M2FNUZ
                | DType::Float4E2M1FN
        )
    }

    fn parse_default(&self, text: &str) -> Option<DefaultValue> {
        let is_float =
            matches!(self.dtype, DType::Float16 | DType::Float32 | DType::Float64 | DType::BFloat16);
        Some(match self.dtype {
            DType::String => DefaultValue::Bytes(text.as_bytes().to_vec()),
            DType::Complex64 | DType::Complex128 => return None,
            _ if self.is_float8() => return None,
            // A feature's own floats are float32: the default is one, too.
            _ if is_float && self.encoding == Encoding::Values => {
                DefaultValue::Float(text.parse::<f32>().ok()?.into())
            }
            _ if is_float => DefaultValue::Float(text.parse().ok()?),
            DType::Bool if text == "true" => DefaultValue::Int64(1),
            DType::Bool if text == "false" => DefaultValue::Int64(0),
            _ => DefaultValue::Int64(text.parse().ok()?),
        })
    }

    /// Which list of a `Feature` holds it.
    pub(crate) fn wire_kind(&self) -> Kind {
        if self.encoding != Encoding::Values {
            return Kind::Bytes;
        }
        match self.dtype {
            DType::String => Kind::Bytes,
            DType::Float16 | DType::Float32 | DType::Float64 | DType::BFloat16 => Kind::Float,
            _ => Kind::Int64,
        }
    }

    /// Whether the number of values may differ from record to record.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.shape.as_known().is_none()
    }

    /// The component that the feature becomes.
    pub(crate) fn element_spec(&self) -> ElementSpec {
        if !self.feature_list {
            return ElementSpec::tensor(self.dtype, self.shape.clone());
        }
        let Shape::Dims(step) = &self.shape else {
            return ElementSpec::tensor(self.dtype, Shape::UnknownRank);
        };
        let dims = std::iter::once(None).chain(step.iter().copied()).collect();
        match step.iter().rposition(Option::is_none) {
            None => ElementSpec::tensor(self.dtype, Shape::Dims(dims)),
            Some(last) => ElementSpec::Ragged {
                dtype: self.dtype,
                shape: Shape::Dims(dims),
                ragged_rank: last + 1,
                row_splits_dtype: DType::Int64,
            },
        }
    }
}

impl fmt::Display for FeatureSpec {
    /// The form that [`FeatureSpec::parse_type`] reads, without the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dtype = match self.dtype {
            DType::String if !self.text => "binary",
            other => other.name(),
        };
        match self.encoding {
            Encoding::Values => f.write_str(dtype)?,
            Encoding::Raw => write!(f, "raw<{dtype}>")?,
            Encoding::Tensor => write!(f, "tensor<{dtype}>")?,
            Encoding::Image if self.dtype == DType::UInt8 => f.write_str("image")?,
            Encoding::Image => write!(f, "image<{dtype}>")?,
        }
        match &self.shape {
            Shape::Dims(dims) if dims.is_empty() => {}
            Shape::Dims(dims) if self.encoding == Encoding::Image && dims.iter().all(Option::is_none) => {}
            Shape::Dims(dims) if dims.as_slice() == [None] => f.write_str("[]")?,
            Shape::Dims(dims) => {
                let dims: Vec<_> = dims.iter().map(|d| d.map_or("?".to_owned(), |d| d.to_string())).collect();
                write!(f, "[{}]", dims.join(","))?;
            }
            Shape::UnknownRank => f.write_str("[...]")?,
        }
        match &self.missing {
            Missing::Null if self.is_list() && !self.optional => Ok(()),
            Missing::Null => f.write_str("?"),
            Missing::Error => Ok(()),
            Missing::NullAtKey => f.write_str("?key"),
            Missing::Default(DefaultValue::Int64(v)) => write!(f, "={v}"),
            Missing::Default(DefaultValue::Float(v)) => write!(f, "={v}"),
            Missing::Default(DefaultValue::Bytes(v)) => write!(f, "={}", String::from_utf8_lossy(v)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types() {
        for (text, encoding, dtype, shape, missing) in [
            ("int64", Encoding::Values, DType::Int64, Shape::scalar(), Missing::Error),
            ("string?", Encoding::Values, DType::String, Shape::scalar(), Missing::Null),
            ("string?key", Encoding::Values, DType::String, Shape::scalar(), Missing::NullAtKey),
            ("int64[]?key", Encoding::Values, DType::Int64, Shape::Dims(vec![None]), Missing::NullAtKey),
            ("float32[3,4]", Encoding::Values, DType::Float32, Shape::known(&[3, 4]), Missing::Error),
            ("int64[]", Encoding::Values, DType::Int64, Shape::Dims(vec![None]), Missing::Null),
            ("int64[?,2]", Encoding::Values, DType::Int64, Shape::Dims(vec![None, Some(2)]), Missing::Null),
            ("raw<uint8>[64,64,3]", Encoding::Raw, DType::UInt8, Shape::known(&[64, 64, 3]), Missing::Error),
            (
                "tensor<float32>[?,3]?",
                Encoding::Tensor,
                DType::Float32,
                Shape::Dims(vec![None, Some(3)]),
                Missing::Null,
            ),
            ("image", Encoding::Image, DType::UInt8, Shape::Dims(vec![None; 3]), Missing::Null),
            (
                "int64=-1",
                Encoding::Values,
                DType::Int64,
                Shape::scalar(),
                Missing::Default(DefaultValue::Int64(-1)),
            ),
            (
                "image<uint16>[?,?,1]",
                Encoding::Image,
                DType::UInt16,
                Shape::Dims(vec![None, None, Some(1)]),
                Missing::Null,
            ),
            (
                "raw<float64>[2]=0.1",
                Encoding::Raw,
                DType::Float64,
                Shape::known(&[2]),
                Missing::Default(DefaultValue::Float(0.1)),
            ),
            (
                "bool=true",
                Encoding::Values,
                DType::Bool,
                Shape::scalar(),
                Missing::Default(DefaultValue::Int64(1)),
            ),
            (
                "string=a:b?",
                Encoding::Values,
                DType::String,
                Shape::scalar(),
                Missing::Default(DefaultValue::Bytes(b"a:b?".to_vec())),
            ),
        ] {
            let spec = FeatureSpec::parse(&format!("a:b/c:{text}")).unwrap();
            assert_eq!((&*spec.name, spec.encoding, spec.dtype), ("a:b/c", encoding, dtype), "{text}");
            assert_eq!((spec.shape.clone(), spec.missing.clone()), (shape, missing), "{text}");
            let again = FeatureSpec::parse_type("a:b/c", &spec.to_string()).unwrap();
            assert_eq!(again, spec, "{text}");
        }
    }

    #[test]
    fn typos_are_answered() {
        for (text, part) in [
            ("label:flaot32", "did you mean `float32`?"),
            ("label", "expected NAME:TYPE"),
            ("x:float32[3", "is not closed"),
            ("x:int64[2,?]", "only the first dimension"),
            ("x:int64?=3", "exclude each other"),
            ("x:int64=a", "does not fit"),
            ("x:raw<string>[3]", "raw bytes cannot hold"),
            ("x:image[3,4]", "[height, width, channels]"),
            ("x:image<float32>", "uint8 or uint16"),
            ("x:raw<uint8>[]=0", "a default needs a shape"),
            ("x:tensor<variant>", "cannot hold variant"),
        ] {
            let message = FeatureSpec::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert_eq!(nearest("lable", ["image", "label"]), Some("label"));
        assert_eq!(nearest("zzz", ["image", "label"]), None);
    }
}
