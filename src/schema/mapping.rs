//! From TensorFlow's type specs to Arrow fields: the table of the README, in one place.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{DataType, Field, Fields};
use serde_json::json;

use crate::error::{Error, Result};
use crate::options::{BFloat16Storage, BoolStorage, Phrase, Structure, TensorLayout};
use crate::tensor::extension::{FixedShapeTensor, VariableShapeTensor, item, list_size};
pub(crate) use crate::tensor::extension::{TF_DTYPE, TF_SHAPE};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// Field metadata key: what the component is: `tensor`, `ragged`, `sparse`, `optional`, `dataset`.
pub(crate) const TF_KIND: &str = "tf.kind";

/// What stands for every component of bytes among those that are to be read as text.
const ALL: &str = "all";

/// The choices that the mapping leaves to the user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MappingOptions {
    pub(crate) tensor_layout: TensorLayout,
    pub(crate) bool_storage: BoolStorage,
    pub(crate) bfloat16: BFloat16Storage,
    pub(crate) structure: Structure,
    /// Paths of string components that hold text, every value to be validated; [`ALL`] for every one.
    pub(crate) utf8: BTreeSet<String>,
    /// New names for columns, by path.
    pub(crate) rename: Vec<(String, String)>,
}

impl MappingOptions {
    /// What the column at `path` is called.
    pub(crate) fn column_name<'a>(&'a self, path: &'a str) -> &'a str {
        self.rename.iter().find(|(old, _)| old == path).map_or(path, |(_, new)| new)
    }

    /// The path of the column that is called `name`.
    pub(crate) fn path_of<'a>(&'a self, name: &'a str) -> &'a str {
        self.rename.iter().find(|(_, new)| new == name).map_or(name, |(old, _)| old)
    }

    /// Whether every bytes component is to be read as text.
    pub(crate) fn all_text(&self) -> bool {
        self.utf8.contains(ALL)
    }

    /// Whether the component at `path` is to be read as text, if it is of bytes.
    pub(crate) fn is_text(&self, path: &str) -> bool {
        self.all_text() || self.utf8.contains(path)
    }

    /// The components that are to be read as text, as far as they are named.
    pub(crate) fn text_columns(&self) -> impl Iterator<Item = &String> {
        self.utf8.iter().filter(|name| *name != ALL)
    }
}

/// The Arrow type of one value of `dtype`; `None` for resource and variant.
///
/// `in_tensor` says that the value stands in a tensor or list, where bool has a choice of storage.
pub(crate) fn value_type(
    dtype: DType,
    options: &MappingOptions,
    text: bool,
    in_tensor: bool,
) -> Option<DataType> {
    let raw = options.bfloat16 == BFloat16Storage::Raw;
    Some(match dtype {
        DType::Bool if in_tensor && options.bool_storage == BoolStorage::UInt8 => DataType::UInt8,
        DType::Bool => DataType::Boolean,
        DType::Int8 | DType::QInt8 | DType::Int4 | DType::Int2 => DataType::Int8,
        DType::UInt8 | DType::QUInt8 | DType::UInt4 | DType::UInt2 => DataType::UInt8,
        DType::Int16 | DType::QInt16 => DataType::Int16,
        DType::UInt16 | DType::QUInt16 => DataType::UInt16,
        DType::Int32 | DType::QInt32 => DataType::Int32,
        DType::UInt32 => DataType::UInt32,
        DType::Int64 => DataType::Int64,
        DType::UInt64 => DataType::UInt64,
        DType::Float16 => DataType::Float16,
        DType::Float32 => DataType::Float32,
        DType::Float64 => DataType::Float64,
        DType::BFloat16 if raw => DataType::UInt16,
        DType::Float8E5M2
        | DType::Float8E4M3FN
        | DType::Float8E4M3FNUZ
        | DType::Float8E4M3B11FNUZ
        | DType::Float8E5M2FNUZ
        | DType::Float4E2M1FN
            if raw =>
        {
            DataType::UInt8
        }
        DType::BFloat16
        | DType::Float8E5M2
        | DType::Float8E4M3FN
        | DType::Float8E4M3FNUZ
        | DType::Float8E4M3B11FNUZ
        | DType::Float8E5M2FNUZ
        | DType::Float4E2M1FN => DataType::Float32,
        DType::Complex64 => DataType::FixedSizeList(item(DataType::Float32), 2),
        DType::Complex128 => DataType::FixedSizeList(item(DataType::Float64), 2),
        DType::String if text => DataType::Utf8,
        DType::String => DataType::Binary,
        DType::Resource | DType::Variant => return None,
    })
}

/// The nullable field `name` for the component or structure `spec`; `None` where there is nothing
/// to store (`None`, and structures of nothing else). `path` is where it stands, for errors and
/// for choices by path.
///
/// # Errors
/// The spec holds a resource or variant, or a tensor too large for one row.
pub(crate) fn field(
    name: &str,
    path: &str,
    spec: &ElementSpec,
    options: &MappingOptions,
) -> Result<Option<Field>> {
    let text = options.is_text(path);
    match spec {
        ElementSpec::None => Ok(None),
        ElementSpec::Tensor { dtype, shape } => {
            tensor_field(name, path, *dtype, shape, text, options).map(Some)
        }
        ElementSpec::Ragged { dtype, shape, ragged_rank: 0, .. } => {
            tensor_field(name, path, *dtype, shape, text, options).map(Some)
        }
        ElementSpec::Ragged { dtype, shape, ragged_rank, .. } => {
            let value = list_value(*dtype, path, text, options)?;
            let dims = match shape {
                Shape::UnknownRank => &[][..],
                Shape::Dims(dims) => dims.as_slice(),
            };
            let inner = dims.get(ragged_rank + 1..).unwrap_or_default();
            let mut data_type = nest(value, inner)?;
            for _ in 0..=*ragged_rank {
                data_type = DataType::List(item(data_type));
            }
            Ok(Some(describe(Field::new(name, data_type, true), "ragged", *dtype, shape)))
        }
        ElementSpec::Sparse { dtype, shape } => {
            let value = list_value(*dtype, path, text, options)?;
            let int64 = item(DataType::Int64);
            let coordinates = match shape.rank().filter(|rank| *rank > 0).map(i32::try_from) {
                Some(Ok(rank)) => DataType::FixedSizeList(int64, rank),
                _ => DataType::List(int64),
            };
            let fields = Fields::from(vec![
                Field::new("indices", DataType::List(item(coordinates.clone())), true),
                Field::new("values", DataType::List(item(value)), true),
                Field::new("dense_shape", coordinates, true),
            ]);
            Ok(Some(describe(Field::new(name, DataType::Struct(fields), true), "sparse", *dtype, shape)))
        }
        ElementSpec::Optional(inner) => {
            let field = field(name, path, inner, options)?;
            Ok(field.map(|f| with_metadata(f, TF_KIND, "optional")))
        }
        ElementSpec::Dataset(inner) => {
            let fields = if inner.is_leaf() {
                field("value", &format!("{path}/value"), inner, options)?.into_iter().collect()
            } else {
                struct_fields(path, inner, options)?
            };
            let list = DataType::List(item(DataType::Struct(fields)));
            Ok(Some(with_metadata(Field::new(name, list, true), TF_KIND, "dataset")))
        }
        ElementSpec::Dict(_)
        | ElementSpec::Tuple(_)
        | ElementSpec::List(_)
        | ElementSpec::NamedTuple { .. } => {
            let fields = struct_fields(path, spec, options)?;
            if fields.is_empty() {
                return Ok(None);
            }
            Ok(Some(Field::new(name, DataType::Struct(fields), true)))
        }
    }
}

fn struct_fields(path: &str, spec: &ElementSpec, options: &MappingOptions) -> Result<Fields> {
    let mut fields = Vec::new();
    for (name, child) in spec.children() {
        fields.extend(field(&name, &format!("{path}/{name}"), child, options)?);
    }
    Ok(fields.into())
}

fn tensor_field(
    name: &str,
    path: &str,
    dtype: DType,
    shape: &Shape,
    text: bool,
    options: &MappingOptions,
) -> Result<Field> {
    let refuse = || unsupported(dtype, path);
    let field = match shape {
        Shape::UnknownRank => {
            let value = list_value(dtype, path, text, options)?;
            let fields = Fields::from(vec![
                Field::new("data", DataType::List(item(value)), true),
                Field::new("shape", DataType::List(item(DataType::Int64)), true),
            ]);
            Field::new(name, DataType::Struct(fields), true)
        }
        Shape::Dims(dims) if dims.is_empty() => {
            Field::new(name, value_type(dtype, options, text, false).ok_or_else(refuse)?, true)
        }
        Shape::Dims(dims)
            if dims.as_slice() == [None] || dims.contains(&Some(0)) && !dims.contains(&None) =>
        {
            let value = list_value(dtype, path, text, options)?;
            Field::new(name, DataType::List(item(value)), true)
        }
        Shape::Dims(dims) => {
            let (value, parts) = flat_value(dtype, text, options).ok_or_else(refuse)?;
            let sizes = || dims.iter().copied().chain(parts).map(|d| d.map(usize::try_from).transpose());
            let sizes: Vec<Option<usize>> = sizes()
                .collect::<Result<_, _>>()
                .map_err(|_| Error::limit("dimension above the address space").in_column(path))?;
            let known: Option<Vec<usize>> = sizes.iter().copied().collect();
            let is_string = dtype == DType::String;
            match (known, options.tensor_layout) {
                (Some(sizes), TensorLayout::Extension) if !is_string => {
                    FixedShapeTensor::new(sizes).field(name, value).map_err(|e| e.in_column(path))?
                }
                (Some(sizes), TensorLayout::Flat) if !is_string => {
                    Field::new(name, DataType::FixedSizeList(item(value), list_size(&sizes)?), true)
                }
                (Some(_), _) | (None, TensorLayout::Nested) => {
                    let value = list_value(dtype, path, text, options)?;
                    Field::new(name, nest(value, dims).map_err(|e| e.in_column(path))?, true)
                }
                (None, TensorLayout::Extension) if !is_string => {
                    let rank = sizes.len();
                    VariableShapeTensor::new(sizes).field(name, value, rank)?
                }
                (None, _) => Field::new(name, VariableShapeTensor::storage(value, sizes.len())?, true),
            }
        }
    };
    Ok(describe(field, "tensor", dtype, shape))
}

fn unsupported(dtype: DType, path: &str) -> Error {
    Error::unsupported(format!("component of dtype {dtype} cannot be stored"))
        .in_column(path)
        .with_hint(Phrase::new("leave it out with {exclude}, or map it to a tensor in the pipeline"))
}

/// The type of a value inside a list: complex numbers are pairs.
fn list_value(dtype: DType, path: &str, text: bool, options: &MappingOptions) -> Result<DataType> {
    value_type(dtype, options, text, true).ok_or_else(|| unsupported(dtype, path))
}

/// The primitive type of a tensor's buffer, and the extra trailing dimension of complex numbers.
fn flat_value(dtype: DType, text: bool, options: &MappingOptions) -> Option<(DataType, Option<Option<u64>>)> {
    Some(match dtype {
        DType::Complex64 => (DataType::Float32, Some(Some(2))),
        DType::Complex128 => (DataType::Float64, Some(Some(2))),
        _ => (value_type(dtype, options, text, true)?, None),
    })
}

/// Lists of lists of `value`: fixed-size where a size is known (and not 0, which readers refuse).
fn nest(value: DataType, dims: &[Option<u64>]) -> Result<DataType> {
    dims.iter().rev().try_fold(value, |inner, dim| match dim {
        None | Some(0) => Ok(DataType::List(item(inner))),
        Some(size) => match i32::try_from(*size) {
            Ok(size) => Ok(DataType::FixedSizeList(item(inner), size)),
            Err(_) => Err(Error::limit("dimension above 2³¹−1").expected("at most 2³¹−1", size.to_string())),
        },
    })
}

fn describe(field: Field, kind: &str, dtype: DType, shape: &Shape) -> Field {
    let shape = match shape {
        Shape::UnknownRank => json!(null),
        Shape::Dims(dims) => json!(dims),
    };
    let field = with_metadata(field, TF_DTYPE, dtype.name());
    let field = with_metadata(field, TF_SHAPE, &shape.to_string());
    with_metadata(field, TF_KIND, kind)
}

pub(crate) fn with_metadata(field: Field, key: &str, value: &str) -> Field {
    let mut metadata: HashMap<String, String> = field.metadata().clone();
    metadata.insert(key.to_owned(), value.to_owned());
    field.with_metadata(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::extension::{EXTENSION_METADATA, EXTENSION_NAME};

    fn map(spec: &ElementSpec, options: &MappingOptions) -> Field {
        field("x", "x", spec, options).unwrap().unwrap()
    }

    fn tensor(dtype: DType, dims: &[Option<u64>]) -> ElementSpec {
        ElementSpec::tensor(dtype, Shape::Dims(dims.to_vec()))
    }

    fn storage(dtype: DType, dims: &[Option<u64>]) -> String {
        map(&tensor(dtype, dims), &MappingOptions::default()).data_type().to_string()
    }

    fn list(of: DataType) -> DataType {
        DataType::List(item(of))
    }

    fn fixed(of: DataType, n: i32) -> DataType {
        DataType::FixedSizeList(item(of), n)
    }

    #[test]
    fn static_shapes() {
        let options = MappingOptions::default();
        assert_eq!(storage(DType::QInt16, &[]), "Int16");
        assert_eq!(storage(DType::BFloat16, &[]), "Float32");
        assert_eq!(map(&tensor(DType::Complex64, &[]), &options).data_type(), &fixed(DataType::Float32, 2));
        let complex = map(&tensor(DType::Complex64, &[Some(3), Some(4)]), &options);
        assert_eq!(complex.data_type(), &fixed(DataType::Float32, 24));
        assert_eq!(complex.metadata()[EXTENSION_METADATA], r#"{"shape":[3,4,2]}"#);
        assert_eq!(complex.metadata()[TF_SHAPE], "[3,4]");
        let strings = map(&tensor(DType::String, &[Some(2), Some(3)]), &options);
        assert_eq!(strings.data_type(), &fixed(fixed(DataType::Binary, 3), 2));
        assert!(!strings.metadata().contains_key(EXTENSION_NAME));
        assert_eq!(
            map(&tensor(DType::Int8, &[Some(0), Some(3)]), &options).data_type(),
            &list(DataType::Int8)
        );
    }

    #[test]
    fn layouts() {
        let spec = tensor(DType::UInt8, &[Some(2), Some(3)]);
        let nested = MappingOptions { tensor_layout: TensorLayout::Nested, ..Default::default() };
        assert_eq!(map(&spec, &nested).data_type(), &fixed(fixed(DataType::UInt8, 3), 2));
        let flat = MappingOptions { tensor_layout: TensorLayout::Flat, ..Default::default() };
        assert_eq!(map(&spec, &flat).data_type(), &fixed(DataType::UInt8, 6));
        assert!(!map(&spec, &flat).metadata().contains_key(EXTENSION_NAME));
        let varying = tensor(DType::UInt8, &[None, Some(3)]);
        assert_eq!(map(&varying, &nested).data_type(), &list(fixed(DataType::UInt8, 3)));
        let extension = map(&varying, &MappingOptions::default());
        assert_eq!(extension.metadata()[EXTENSION_METADATA], r#"{"uniform_shape":[null,3]}"#);
    }

    #[test]
    fn ragged_sparse_and_nested() {
        let options = MappingOptions::default();
        let ragged = ElementSpec::Ragged {
            dtype: DType::Int32,
            shape: Shape::Dims(vec![None, None, Some(3)]),
            ragged_rank: 1,
            row_splits_dtype: DType::Int64,
        };
        assert_eq!(map(&ragged, &options).data_type(), &list(list(fixed(DataType::Int32, 3))));
        let sparse = ElementSpec::Sparse { dtype: DType::Float32, shape: Shape::Dims(vec![None, None]) };
        let DataType::Struct(fields) = map(&sparse, &options).data_type().clone() else { panic!() };
        assert_eq!(fields[0].data_type(), &list(fixed(DataType::Int64, 2)));
        assert_eq!(fields[2].data_type(), &fixed(DataType::Int64, 2));
        let steps = ElementSpec::Dataset(Box::new(tensor(DType::UInt8, &[Some(4), Some(4)])));
        let DataType::List(child) = map(&steps, &options).data_type().clone() else { panic!() };
        let DataType::Struct(fields) = child.data_type() else { panic!() };
        assert!(fields[0].metadata().contains_key(EXTENSION_NAME));
        assert!(field("x", "x", &tensor(DType::Variant, &[]), &options).is_err());
    }
}
