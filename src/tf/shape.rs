//! Shapes with unknown dimensions and unknown rank.

use std::fmt;

/// The shape of a component: known, partly known, or of unknown rank (`tf.TensorShape`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Nothing is known, not even the rank.
    UnknownRank,
    /// One entry a dimension; `None` where the size is unknown.
    Dims(Vec<Option<u64>>),
}

impl Shape {
    /// The shape of a scalar, `[]`.
    #[must_use]
    pub fn scalar() -> Self {
        Shape::Dims(Vec::new())
    }

    /// A shape with every dimension known.
    #[must_use]
    pub fn known(dims: &[u64]) -> Self {
        Shape::Dims(dims.iter().copied().map(Some).collect())
    }

    /// The number of dimensions, if known.
    #[must_use]
    pub fn rank(&self) -> Option<usize> {
        match self {
            Shape::UnknownRank => None,
            Shape::Dims(dims) => Some(dims.len()),
        }
    }

    /// The sizes, if every one is known.
    #[must_use]
    pub fn as_known(&self) -> Option<Vec<u64>> {
        match self {
            Shape::UnknownRank => None,
            Shape::Dims(dims) => dims.iter().copied().collect(),
        }
    }

    /// The number of values of a tensor of this shape; `None` if a dimension is unknown or the
    /// product overflows. A scalar has one.
    #[must_use]
    pub fn num_elements(&self) -> Option<u64> {
        self.as_known()?.into_iter().try_fold(1u64, u64::checked_mul)
    }

    /// Whether a tensor of the known shape `dims` has this shape.
    #[must_use]
    pub fn accepts(&self, dims: &[u64]) -> bool {
        match self {
            Shape::UnknownRank => true,
            Shape::Dims(expected) => {
                expected.len() == dims.len()
                    && expected.iter().zip(dims).all(|(e, d)| e.is_none_or(|e| e == *d))
            }
        }
    }

    /// Reads the JSON text of a shape, as field metadata has it: `[3,null]`, or `null` for unknown
    /// rank.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match serde_json::from_str(text).ok()? {
            serde_json::Value::Null => Some(Shape::UnknownRank),
            serde_json::Value::Array(dims) => {
                let dim = |dim: &serde_json::Value| match dim {
                    serde_json::Value::Null => Some(None),
                    dim => dim.as_u64().map(Some),
                };
                dims.iter().map(dim).collect::<Option<_>>().map(Shape::Dims)
            }
            _ => None,
        }
    }

    /// The shape without its first dimension; `None` for a scalar. Unknown rank stays unknown.
    #[must_use]
    pub fn inner(&self) -> Option<Self> {
        match self {
            Shape::UnknownRank => Some(Shape::UnknownRank),
            Shape::Dims(dims) => dims.split_first().map(|(_, rest)| Shape::Dims(rest.to_vec())),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::UnknownRank => f.write_str("<unknown>"),
            Shape::Dims(dims) => {
                f.write_str("[")?;
                for (i, dim) in dims.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    match dim {
                        Some(dim) => write!(f, "{dim}")?,
                        None => f.write_str("?")?,
                    }
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_checked() {
        assert_eq!(Shape::scalar().num_elements(), Some(1));
        assert_eq!(Shape::known(&[2, 3]).num_elements(), Some(6));
        assert_eq!(Shape::known(&[0, 3]).num_elements(), Some(0));
        assert_eq!(Shape::known(&[u64::MAX, 2]).num_elements(), None);
        assert_eq!(Shape::Dims(vec![None, Some(2)]).num_elements(), None);
    }

    #[test]
    fn unknown_dimensions_accept_any_size() {
        let shape = Shape::Dims(vec![None, Some(3)]);
        assert!(shape.accepts(&[7, 3]));
        assert!(!shape.accepts(&[7, 4]));
        assert!(!shape.accepts(&[3]));
        assert!(Shape::UnknownRank.accepts(&[1, 2, 3]));
        assert_eq!(shape.to_string(), "[?, 3]");
    }
}
