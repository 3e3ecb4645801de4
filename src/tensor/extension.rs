//! The canonical tensor extension types, with metadata that every reader takes.
//!
//! arrow-rs 59 writes absent members as `null` and calls one of them `permutations`; pyarrow and
//! pandas refuse files written so, and arrow-rs in turn refuses what pyarrow writes. Here absent
//! members are left out, and both spellings are read. The types are defined in
//! <https://arrow.apache.org/docs/format/CanonicalExtensions.html>.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Field metadata key that holds an extension type's name.
pub(crate) const EXTENSION_NAME: &str = "ARROW:extension:name";
/// Field metadata key that holds an extension type's parameters.
pub(crate) const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// Field metadata key: the component's dtype, by TensorFlow's name.
pub(crate) const TF_DTYPE: &str = "tf.dtype";
/// Field metadata key: the component's shape, as JSON.
pub(crate) const TF_SHAPE: &str = "tf.shape";

/// Field metadata key: the names of a ClassLabel's classes, as a JSON list.
pub(crate) const CLASS_NAMES: &str = "tfds.class_names";

const FIXED_SHAPE: &str = "arrow.fixed_shape_tensor";
const VARIABLE_SHAPE: &str = "arrow.variable_shape_tensor";

/// `arrow.fixed_shape_tensor`: every row a tensor of the same shape, row-major, stored as
/// `FixedSizeList<T>[product of shape]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FixedShapeTensor {
    /// The shape of one row, as stored.
    pub shape: Vec<usize>,
    /// Names of the dimensions.
    pub dim_names: Option<Vec<String>>,
    /// The order in which the stored dimensions are to be shown.
    pub permutation: Option<Vec<usize>>,
}

/// `arrow.variable_shape_tensor`: rows of one rank and any shape, stored as
/// `Struct<data: List<T>, shape: FixedSizeList<Int32>[rank]>`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariableShapeTensor {
    /// Sizes that are the same in every row; `None` where they vary.
    pub uniform_shape: Option<Vec<Option<usize>>>,
    /// Names of the dimensions.
    pub dim_names: Option<Vec<String>>,
    /// The order in which the stored dimensions are to be shown.
    pub permutation: Option<Vec<usize>>,
}

impl FixedShapeTensor {
    /// A row-major tensor type of this shape.
    #[must_use]
    pub fn new(shape: Vec<usize>) -> Self {
        Self { shape, dim_names: None, permutation: None }
    }

    /// The nullable field `name` that stores rows of `value_type` in this shape.
    ///
    /// # Errors
    /// The product of the shape is above `i32::MAX`.
    pub fn field(&self, name: &str, value_type: DataType) -> Result<Field> {
        let product = list_size(&self.shape)?;
        let storage = DataType::FixedSizeList(item(value_type), product);
        let mut members = Map::new();
        members.insert("shape".to_owned(), json!(self.shape));
        put_common(&mut members, self.dim_names.as_deref(), self.permutation.as_deref());
        Ok(extension_field(name, storage, FIXED_SHAPE, members))
    }

    /// The tensor type of `field`; `None` if it has another extension type or none.
    ///
    /// # Errors
    /// The metadata is no JSON object with a shape, or the shape does not fit the storage type.
    pub fn from_field(field: &Field) -> Result<Option<Self>> {
        let Some(members) = extension_members(field, FIXED_SHAPE)? else { return Ok(None) };
        let shape =
            sizes(members.get("shape")).ok_or_else(|| bad_metadata(field, "a list of sizes as `shape`"))?;
        let stored = match field.data_type() {
            DataType::FixedSizeList(_, size) => usize::try_from(*size).ok(),
            other => {
                return Err(bad_metadata(field, "FixedSizeList storage")
                    .expected("FixedSizeList storage", other.to_string()));
            }
        };
        let product = shape.iter().try_fold(1usize, |a, b| a.checked_mul(*b));
        if product != stored {
            return Err(bad_metadata(field, &format!("a shape of {stored:?} values")));
        }
        Ok(Some(Self { shape, dim_names: names(&members), permutation: permutation(&members) }))
    }
}

impl VariableShapeTensor {
    /// A row-major tensor type with these sizes where they are the same in every row.
    #[must_use]
    pub fn new(uniform_shape: Vec<Option<usize>>) -> Self {
        Self { uniform_shape: Some(uniform_shape), dim_names: None, permutation: None }
    }

    /// The storage type of tensors of `rank` dimensions.
    ///
    /// # Errors
    /// The rank is above `i32::MAX`.
    pub fn storage(value_type: DataType, rank: usize) -> Result<DataType> {
        let rank = i32::try_from(rank).map_err(|_| Error::limit("tensor rank above 2³¹−1"))?;
        let data = Field::new("data", DataType::List(item(value_type)), true);
        let shape = Field::new("shape", DataType::FixedSizeList(item(DataType::Int32), rank), true);
        Ok(DataType::Struct(vec![data, shape].into()))
    }

    /// The nullable field `name` that stores rows of `value_type` and `rank` dimensions.
    ///
    /// # Errors
    /// The rank is above `i32::MAX`.
    pub fn field(&self, name: &str, value_type: DataType, rank: usize) -> Result<Field> {
        let storage = Self::storage(value_type, rank)?;
        let mut members = Map::new();
        if let Some(uniform) = self.uniform_shape.as_ref().filter(|u| u.iter().any(Option::is_some)) {
            members.insert("uniform_shape".to_owned(), json!(uniform));
        }
        put_common(&mut members, self.dim_names.as_deref(), self.permutation.as_deref());
        Ok(extension_field(name, storage, VARIABLE_SHAPE, members))
    }

    /// The tensor type of `field`; `None` if it has another extension type or none.
    ///
    /// # Errors
    /// The metadata is not a JSON object.
    pub fn from_field(field: &Field) -> Result<Option<Self>> {
        let Some(members) = extension_members(field, VARIABLE_SHAPE)? else { return Ok(None) };
        let uniform_shape = members
            .get("uniform_shape")
            .and_then(Value::as_array)
            .map(|dims| dims.iter().map(|d| d.as_u64().and_then(|d| usize::try_from(d).ok())).collect());
        Ok(Some(Self { uniform_shape, dim_names: names(&members), permutation: permutation(&members) }))
    }
}

/// Whether `field` has an extension type that is none of the two above: what its values mean, and how
/// they are stored, is for others to say.
pub(crate) fn is_of_others(field: &Field) -> bool {
    let name = field.metadata().get(EXTENSION_NAME).map(String::as_str);
    name.is_some_and(|name| name != FIXED_SHAPE && name != VARIABLE_SHAPE)
}

/// A field whose storage is no longer that of its extension type.
pub(crate) fn without_extension(field: Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.remove(EXTENSION_NAME);
    metadata.remove(EXTENSION_METADATA);
    field.with_metadata(metadata)
}

/// The nullable list child that pyarrow itself makes: without nullability it loses tensor types
/// through Parquet.
pub(crate) fn item(value_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", value_type, true))
}

/// The product of `shape` as the size of a `FixedSizeList`.
pub(crate) fn list_size(shape: &[usize]) -> Result<i32> {
    shape
        .iter()
        .try_fold(1usize, |a, b| a.checked_mul(*b))
        .and_then(|product| i32::try_from(product).ok())
        .ok_or_else(|| {
            Error::limit("tensor too large for a row").expected("at most 2³¹−1 values", format!("{shape:?}"))
        })
}

fn put_common(members: &mut Map<String, Value>, dim_names: Option<&[String]>, permutation: Option<&[usize]>) {
    if let Some(dim_names) = dim_names {
        members.insert("dim_names".to_owned(), json!(dim_names));
    }
    if let Some(permutation) = permutation {
        members.insert("permutation".to_owned(), json!(permutation));
    }
}

fn extension_field(name: &str, storage: DataType, extension: &str, members: Map<String, Value>) -> Field {
    Field::new(name, storage, true).with_metadata(
        [
            (EXTENSION_NAME.to_owned(), extension.to_owned()),
            (EXTENSION_METADATA.to_owned(), Value::Object(members).to_string()),
        ]
        .into(),
    )
}

fn extension_members(field: &Field, extension: &str) -> Result<Option<Map<String, Value>>> {
    if field.metadata().get(EXTENSION_NAME).map(String::as_str) != Some(extension) {
        return Ok(None);
    }
    let text = field.metadata().get(EXTENSION_METADATA).map_or("", String::as_str);
    if text.is_empty() {
        return Ok(Some(Map::new()));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(Some(members)),
        _ => Err(bad_metadata(field, "a JSON object")),
    }
}

fn bad_metadata(field: &Field, expected: &str) -> Error {
    let found = field.metadata().get(EXTENSION_METADATA).cloned().unwrap_or_default();
    Error::corrupt("invalid tensor extension metadata")
        .expected(expected, format!("`{found}`"))
        .in_column(field.name().as_str())
}

fn sizes(value: Option<&Value>) -> Option<Vec<usize>> {
    value?.as_array()?.iter().map(|d| d.as_u64().and_then(|d| usize::try_from(d).ok())).collect()
}

fn names(members: &Map<String, Value>) -> Option<Vec<String>> {
    members.get("dim_names")?.as_array()?.iter().map(|n| n.as_str().map(str::to_owned)).collect()
}

fn permutation(members: &Map<String, Value>) -> Option<Vec<usize>> {
    sizes(members.get("permutation")).or_else(|| sizes(members.get("permutations")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_members_are_left_out() {
        let field = FixedShapeTensor::new(vec![2, 3]).field("x", DataType::Float32).unwrap();
        assert_eq!(field.metadata()[EXTENSION_METADATA], r#"{"shape":[2,3]}"#);
        assert_eq!(field.data_type(), &DataType::FixedSizeList(item(DataType::Float32), 6));
        let field = VariableShapeTensor::new(vec![None, Some(2)]).field("x", DataType::Int8, 2).unwrap();
        assert_eq!(field.metadata()[EXTENSION_METADATA], r#"{"uniform_shape":[null,2]}"#);
    }

    #[test]
    fn metadata_of_other_writers_is_read() {
        for (text, expected) in [
            (r#"{"shape":[2,3],"dim_names":null,"permutations":null}"#, None),
            (r#"{"shape":[2,3],"permutation":[1,0],"extra":1}"#, Some(vec![1, 0])),
            (r#"{"shape":[2,3],"permutations":[1,0]}"#, Some(vec![1, 0])),
        ] {
            let field = FixedShapeTensor::new(vec![2, 3]).field("x", DataType::Float32).unwrap();
            let mut metadata = field.metadata().clone();
            metadata.insert(EXTENSION_METADATA.into(), text.into());
            let tensor = FixedShapeTensor::from_field(&field.with_metadata(metadata)).unwrap().unwrap();
            assert_eq!(tensor.shape, [2, 3]);
            assert_eq!(tensor.permutation, expected);
        }
    }

    #[test]
    fn a_shape_that_does_not_fit_its_storage_is_refused() {
        let field = FixedShapeTensor::new(vec![2, 3]).field("x", DataType::Float32).unwrap();
        let mut metadata = field.metadata().clone();
        metadata.insert(EXTENSION_METADATA.into(), r#"{"shape":[5]}"#.into());
        assert!(FixedShapeTensor::from_field(&field.with_metadata(metadata)).is_err());
        assert!(FixedShapeTensor::new(vec![1 << 16, 1 << 16]).field("x", DataType::Int8).is_err());
    }
}
