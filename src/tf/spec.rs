//! The structure of a dataset's elements, its components, and its JSON form.

use serde_json::{Map, Value, json};

use super::dtype::DType;
use super::shape::Shape;
use crate::error::{Error, Result};

/// How deep a structure may nest when it is read from input.
pub(crate) const MAX_DEPTH: usize = 64;

/// A nested structure of components, as `tf.data.Dataset.element_spec` gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementSpec {
    /// A dense tensor (`tf.TensorSpec`).
    Tensor {
        /// The dtype of its values.
        dtype: DType,
        /// Its shape.
        shape: Shape,
    },
    /// A ragged tensor (`tf.RaggedTensorSpec`).
    Ragged {
        /// The dtype of its flat values.
        dtype: DType,
        /// Its shape; ragged dimensions are unknown.
        shape: Shape,
        /// The number of ragged dimensions counted as TensorFlow does: `row_splits` it has.
        ragged_rank: usize,
        /// The dtype of its row splits, int32 or int64.
        row_splits_dtype: DType,
    },
    /// A sparse tensor in coordinate form (`tf.SparseTensorSpec`).
    Sparse {
        /// The dtype of its values.
        dtype: DType,
        /// Its dense shape.
        shape: Shape,
    },
    /// A value that may be absent (`tf.OptionalSpec`).
    Optional(Box<ElementSpec>),
    /// A dataset inside an element (`tf.data.DatasetSpec`).
    Dataset(Box<ElementSpec>),
    /// Python's `None`: a place without a component.
    None,
    /// A dict; keys in TensorFlow's flatten order, sorted.
    Dict(Vec<(String, ElementSpec)>),
    /// A tuple.
    Tuple(Vec<ElementSpec>),
    /// A list.
    List(Vec<ElementSpec>),
    /// A named tuple; fields in declaration order.
    NamedTuple {
        /// The tuple's type name.
        name: String,
        /// Field names and their specs.
        fields: Vec<(String, ElementSpec)>,
    },
}

/// Whether ragged tensors can be so: a dimension more than there are row splits, which are int32 or
/// int64.
pub(crate) fn is_ragged(shape: &Shape, ragged_rank: usize, row_splits_dtype: DType) -> bool {
    let has_room = ragged_rank == 0 || shape.rank().is_none_or(|rank| ragged_rank < rank);
    matches!(row_splits_dtype, DType::Int32 | DType::Int64) && ragged_rank < MAX_DEPTH && has_room
}

impl ElementSpec {
    /// A dense tensor spec.
    #[must_use]
    pub fn tensor(dtype: DType, shape: Shape) -> Self {
        ElementSpec::Tensor { dtype, shape }
    }

    /// A dict with its keys brought into TensorFlow's order.
    #[must_use]
    pub fn dict(mut fields: Vec<(String, ElementSpec)>) -> Self {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        ElementSpec::Dict(fields)
    }

    /// Whether this is a component (or no component) rather than a structure of such.
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        !matches!(
            self,
            ElementSpec::Dict(_)
                | ElementSpec::Tuple(_)
                | ElementSpec::List(_)
                | ElementSpec::NamedTuple { .. }
        )
    }

    /// The named parts of a structure, in flatten order; empty for a leaf. Tuples and lists name
    /// their parts by position.
    #[must_use]
    pub fn children(&self) -> Vec<(String, &ElementSpec)> {
        match self {
            ElementSpec::Dict(fields) | ElementSpec::NamedTuple { fields, .. } => {
                fields.iter().map(|(name, spec)| (name.clone(), spec)).collect()
            }
            ElementSpec::Tuple(items) | ElementSpec::List(items) => {
                items.iter().enumerate().map(|(i, spec)| (i.to_string(), spec)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The components in flatten order, each with its path: the keys from the root joined by `/`.
    /// A dataset of a single component gives it the path `value`; `None` gives nothing.
    #[must_use]
    pub fn components(&self) -> Vec<(String, &ElementSpec)> {
        fn walk<'a>(path: &str, spec: &'a ElementSpec, out: &mut Vec<(String, &'a ElementSpec)>) {
            if spec.is_leaf() {
                if *spec != ElementSpec::None {
                    out.push((path.to_owned(), spec));
                }
                return;
            }
            for (name, child) in spec.children() {
                let child_path = if path.is_empty() { name } else { format!("{path}/{name}") };
                walk(&child_path, child, out);
            }
        }
        let mut out = Vec::new();
        walk(if self.is_leaf() { "value" } else { "" }, self, &mut out);
        out
    }

    /// The JSON form that stands in schema metadata under `tfarrow.element_spec` and in a pipeline
    /// folder's `element_spec.json`.
    ///
    /// Every spec is an object with one member that names its kind:
    /// `{"tensor": {"dtype": "uint8", "shape": [64, null]}}` (`"shape": null` for unknown rank),
    /// `{"ragged": {…, "ragged_rank": 1, "row_splits_dtype": "int64"}}`, `{"sparse": {…}}`,
    /// `{"optional": SPEC}`, `{"dataset": SPEC}`, `{"none": {}}`, `{"dict": {KEY: SPEC}}`,
    /// `{"tuple": [SPEC]}`, `{"list": [SPEC]}`,
    /// `{"namedtuple": {"name": NAME, "fields": [[KEY, SPEC]]}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        fn shape_json(shape: &Shape) -> Value {
            match shape {
                Shape::UnknownRank => Value::Null,
                Shape::Dims(dims) => dims.iter().map(|d| json!(d)).collect(),
            }
        }
        match self {
            ElementSpec::Tensor { dtype, shape } => {
                json!({"tensor": {"dtype": dtype.name(), "shape": shape_json(shape)}})
            }
            ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype } => json!({"ragged": {
                "dtype": dtype.name(),
                "shape": shape_json(shape),
                "ragged_rank": ragged_rank,
                "row_splits_dtype": row_splits_dtype.name(),
            }}),
            ElementSpec::Sparse { dtype, shape } => {
                json!({"sparse": {"dtype": dtype.name(), "shape": shape_json(shape)}})
            }
            ElementSpec::Optional(inner) => json!({"optional": inner.to_json()}),
            ElementSpec::Dataset(inner) => json!({"dataset": inner.to_json()}),
            ElementSpec::None => json!({"none": {}}),
            ElementSpec::Dict(fields) => {
                let fields: Map<String, Value> =
                    fields.iter().map(|(name, spec)| (name.clone(), spec.to_json())).collect();
                json!({"dict": fields})
            }
            ElementSpec::Tuple(items) => json!({"tuple": items.iter().map(Self::to_json).collect::<Value>()}),
            ElementSpec::List(items) => json!({"list": items.iter().map(Self::to_json).collect::<Value>()}),
            ElementSpec::NamedTuple { name, fields } => json!({"namedtuple": {
                "name": name,
                "fields": fields.iter().map(|(k, spec)| json!([k, spec.to_json()])).collect::<Value>(),
            }}),
        }
    }

    /// Reads the JSON form of [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// The value is not of that form, names an unknown dtype, or nests deeper than 64 levels.
    pub fn from_json(value: &Value) -> Result<Self> {
        Self::from_json_at(value, MAX_DEPTH)
    }

    fn from_json_at(value: &Value, depth: usize) -> Result<Self> {
        let bad = |found: &Value| {
            Error::corrupt("invalid element spec JSON")
                .expected("an object with one known member", shorten(&found.to_string()))
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Error::limit("element spec nests too deeply"));
        };
        let object = value.as_object().ok_or_else(|| bad(value))?;
        let mut members = object.iter();
        let (Some((kind, body)), None) = (members.next(), members.next()) else {
            return Err(bad(value));
        };
        let each = |items: &Value| -> Result<Vec<Self>> {
            let items = items.as_array().ok_or_else(|| bad(items))?;
            items.iter().map(|item| Self::from_json_at(item, depth)).collect()
        };
        Ok(match kind.as_str() {
            "tensor" => Self::tensor(dtype_of(body, "dtype")?, shape_of(body)?),
            "sparse" => ElementSpec::Sparse { dtype: dtype_of(body, "dtype")?, shape: shape_of(body)? },
            "ragged" => {
                let (shape, row_splits_dtype) = (shape_of(body)?, dtype_of(body, "row_splits_dtype")?);
                let ragged_rank = body.get("ragged_rank").and_then(Value::as_u64);
                let ragged_rank = ragged_rank
                    .and_then(|n| usize::try_from(n).ok())
                    .filter(|rank| is_ragged(&shape, *rank, row_splits_dtype))
                    .ok_or_else(|| bad(body))?;
                ElementSpec::Ragged { dtype: dtype_of(body, "dtype")?, shape, ragged_rank, row_splits_dtype }
            }
            "optional" => ElementSpec::Optional(Box::new(Self::from_json_at(body, depth)?)),
            "dataset" => ElementSpec::Dataset(Box::new(Self::from_json_at(body, depth)?)),
            "none" => ElementSpec::None,
            "tuple" => ElementSpec::Tuple(each(body)?),
            "list" => ElementSpec::List(each(body)?),
            "dict" => {
                let fields = body.as_object().ok_or_else(|| bad(body))?;
                let fields = fields
                    .iter()
                    .map(|(name, spec)| Ok((name.clone(), Self::from_json_at(spec, depth)?)))
                    .collect::<Result<Vec<_>>>()?;
                Self::dict(fields)
            }
            "namedtuple" => {
                let name = body.get("name").and_then(Value::as_str).ok_or_else(|| bad(body))?;
                let fields = body.get("fields").and_then(Value::as_array).ok_or_else(|| bad(body))?;
                let fields = fields
                    .iter()
                    .map(|pair| match (pair.get(0).and_then(Value::as_str), pair.get(1)) {
                        (Some(key), Some(spec)) => Ok((key.to_owned(), Self::from_json_at(spec, depth)?)),
                        _ => Err(bad(pair)),
                    })
                    .collect::<Result<Vec<_>>>()?;
                ElementSpec::NamedTuple { name: name.to_owned(), fields }
            }
            _ => return Err(bad(value)),
        })
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn dtype_of(body: &Value, member: &str) -> Result<DType> {
    let name = body.get(member).and_then(Value::as_str).unwrap_or_default();
    DType::from_name(name).ok_or_else(|| {
        Error::corrupt("invalid element spec JSON")
            .expected(format!("a dtype as `{member}`"), format!("`{name}`"))
    })
}

fn shape_of(body: &Value) -> Result<Shape> {
    let bad = || {
        Error::corrupt("invalid element spec JSON")
            .expected("`shape`: a list of sizes or null", "another value")
    };
    match body.get("shape") {
        Some(Value::Null) => Ok(Shape::UnknownRank),
        Some(Value::Array(dims)) => dims
            .iter()
            .map(|dim| match dim {
                Value::Null => Ok(None),
                dim => dim.as_u64().map(Some).ok_or_else(bad),
            })
            .collect::<Result<Vec<_>>>()
            .map(Shape::Dims),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ElementSpec {
        ElementSpec::Tuple(vec![
            ElementSpec::dict(vec![
                ("b".into(), ElementSpec::tensor(DType::Float32, Shape::Dims(vec![None, Some(3)]))),
                ("a".into(), ElementSpec::tensor(DType::String, Shape::UnknownRank)),
            ]),
            ElementSpec::NamedTuple {
                name: "Point".into(),
                fields: vec![
                    (
                        "y".into(),
                        ElementSpec::Optional(Box::new(ElementSpec::Sparse {
                            dtype: DType::Int64,
                            shape: Shape::known(&[4, 5]),
                        })),
                    ),
                    ("x".into(), ElementSpec::None),
                ],
            },
            ElementSpec::List(vec![ElementSpec::Dataset(Box::new(ElementSpec::Ragged {
                dtype: DType::BFloat16,
                shape: Shape::Dims(vec![None, None]),
                ragged_rank: 1,
                row_splits_dtype: DType::Int32,
            }))]),
        ])
    }

    #[test]
    fn json_round_trips() {
        let spec = sample();
        assert_eq!(ElementSpec::from_json(&spec.to_json()).unwrap(), spec);
    }

    #[test]
    fn components_have_paths_in_flatten_order() {
        let spec = sample();
        let paths: Vec<_> = spec.components().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["0/a", "0/b", "1/y", "2/0"]);
        let single = ElementSpec::tensor(DType::Int64, Shape::scalar());
        assert_eq!(single.components()[0].0, "value");
    }

    #[test]
    fn bad_json_is_an_error() {
        let mut deep = json!({"none": {}});
        for _ in 0..100 {
            deep = json!({"optional": deep});
        }
        for bad in [json!(1), json!({}), json!({"tensor": {"dtype": "int7", "shape": []}}), deep] {
            assert!(ElementSpec::from_json(&bad).is_err());
        }
    }

    #[test]
    fn a_ragged_spec_has_more_dimensions_than_row_splits() {
        let spec = |rank: u64, splits: &str| {
            ElementSpec::from_json(&json!({"ragged": {
                "dtype": "float32", "shape": [null, null], "ragged_rank": rank, "row_splits_dtype": splits,
            }}))
        };
        assert!(spec(1, "int64").is_ok() && spec(0, "int32").is_ok());
        assert!(spec(2, "int64").is_err() && spec(1, "float32").is_err());
    }
}
