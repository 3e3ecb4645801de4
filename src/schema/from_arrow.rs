//! The way back: which TensorFlow elements the columns of an Arrow schema are.
//!
//! | column | component |
//! | --- | --- |
//! | what tfarrow wrote, under its own name | as `tfarrow.element_spec` says, structure included |
//! | what tfarrow wrote, under another name | the tensor or sparse tensor that its field metadata says |
//! | `arrow.fixed_shape_tensor`, `arrow.variable_shape_tensor` | tensor of that shape |
//! | integer, float, Boolean, strings and bytes | scalar; a dictionary is what its values are |
//! | `List` of values, or of fixed-size lists | tensor whose first dimension is unknown |
//! | `List` of `List`s | ragged tensor |
//! | `FixedSizeList`s | tensor |
//! | `Struct` | dict |
//! | anything else | none: the column holds no tensors |

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};

use super::ELEMENT_SPEC;
use super::mapping::{MappingOptions, TF_KIND, value_type};
use crate::error::{Error, Result};
use crate::options::{BFloat16Storage, BoolStorage, Phrase};
use crate::tensor::extension::{FixedShapeTensor, TF_DTYPE, TF_SHAPE, VariableShapeTensor};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// A component and where its column stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The component's path.
    pub(crate) path: String,
    /// The component.
    pub(crate) spec: ElementSpec,
    /// The column, and members of structs in it.
    pub(crate) place: Vec<usize>,
}

/// The spec of elements with these columns: the one in the schema's metadata, if it has one whose
/// components are there, with the dtypes that the columns have now; otherwise a dict that is derived
/// from their types, or the one tensor called `value`.
///
/// # Errors
/// A column holds no tensors.
pub(crate) fn element_spec(schema: &Schema) -> Result<ElementSpec> {
    if let Some(kept) = kept(schema, |_| false) {
        return Ok(kept);
    }
    let mut fields = Vec::new();
    for field in schema.fields() {
        fields.push((field.name().clone(), derive(field).map_err(|e| e.in_column(field.name().as_str()))?));
    }
    Ok(of_columns(fields))
}

/// As [`element_spec`], of those columns alone that hold tensors.
pub(crate) fn element_spec_of_tensors(schema: &Schema) -> ElementSpec {
    let derived = |field: &FieldRef| Some((field.name().clone(), derive(field).ok()?));
    kept(schema, |field| derive(field).is_err())
        .unwrap_or_else(|| of_columns(schema.fields().iter().filter_map(derived).collect()))
}

fn of_columns(fields: Vec<(String, ElementSpec)>) -> ElementSpec {
    match fields.as_slice() {
        [(name, spec)] if name == "value" && spec.is_leaf() => spec.clone(),
        _ => ElementSpec::dict(fields),
    }
}

/// The spec in the metadata, if every one of its components has a column and every column is one of
/// them, but for those that are `beside` them.
fn kept(schema: &Schema, beside: impl Fn(&Field) -> bool) -> Option<ElementSpec> {
    let json = serde_json::from_str(schema.metadata().get(ELEMENT_SPEC)?).ok()?;
    let spec = ElementSpec::from_json(&json).ok()?;
    let places = places(&spec, schema)?;
    let used = |column: usize| places.iter().any(|place| place.place.first() == Some(&column));
    if !schema.fields().iter().enumerate().all(|(column, field)| used(column) || beside(field)) {
        return None;
    }
    let mut places = places.into_iter();
    let mut leaf = |leaf: &ElementSpec| {
        let place = places.next()?;
        let field = field_at(schema.fields(), &place.place)?;
        if holds(leaf, field.data_type()) {
            return Some(leaf.clone());
        }
        // A cast changes the dtype, not the shape.
        let dtype = value_dtype(values_type(field.data_type())).ok()?;
        match leaf {
            ElementSpec::Tensor { shape, .. } => Some(ElementSpec::tensor(dtype, shape.clone())),
            _ => derive(field).ok(),
        }
    };
    map_leaves(&spec, &mut leaf)
}

/// `spec` with another component in the place of each.
fn map_leaves(
    spec: &ElementSpec,
    leaf: &mut dyn FnMut(&ElementSpec) -> Option<ElementSpec>,
) -> Option<ElementSpec> {
    let mut pairs = |fields: &[(String, ElementSpec)]| {
        let mapped = fields.iter().map(|(name, spec)| Some((name.clone(), map_leaves(spec, leaf)?)));
        mapped.collect::<Option<Vec<_>>>()
    };
    Some(match spec {
        ElementSpec::None => ElementSpec::None,
        ElementSpec::Dict(fields) => ElementSpec::Dict(pairs(fields)?),
        ElementSpec::NamedTuple { name, fields } => {
            ElementSpec::NamedTuple { name: name.clone(), fields: pairs(fields)? }
        }
        ElementSpec::Tuple(items) => {
            ElementSpec::Tuple(items.iter().map(|item| map_leaves(item, leaf)).collect::<Option<_>>()?)
        }
        ElementSpec::List(items) => {
            ElementSpec::List(items.iter().map(|item| map_leaves(item, leaf)).collect::<Option<_>>()?)
        }
        other => leaf(other)?,
    })
}

/// Where the components of `spec` stand in `schema`; `None` if they do not, or there are none.
pub(crate) fn places(spec: &ElementSpec, schema: &Schema) -> Option<Vec<Place>> {
    let mut out = Vec::new();
    for (path, spec) in spec.components() {
        let place = match schema.fields().iter().position(|field| *field.name() == path) {
            Some(column) => vec![column],
            None => nested_place(&path, schema.fields())?,
        };
        out.push(Place { path, spec: spec.clone(), place });
    }
    (!out.is_empty()).then_some(out)
}

/// The column `path`, or the member of structs at it.
pub(super) fn nested_place(path: &str, fields: &Fields) -> Option<Vec<usize>> {
    for (i, field) in fields.iter().enumerate() {
        if field.name() == path {
            return Some(vec![i]);
        }
        let Some(rest) = path.strip_prefix(field.name().as_str()).and_then(|rest| rest.strip_prefix('/'))
        else {
            continue;
        };
        if let DataType::Struct(inner) = field.data_type() {
            let mut place = vec![i];
            place.extend(nested_place(rest, inner)?);
            return Some(place);
        }
    }
    None
}

/// The field at `place`: a column, or a member of structs in it.
pub(crate) fn field_at<'a>(fields: &'a Fields, place: &[usize]) -> Option<&'a FieldRef> {
    let (first, rest) = place.split_first()?;
    let field = fields.get(*first)?;
    match (rest, field.data_type()) {
        ([], _) => Some(field),
        (rest, DataType::Struct(inner)) => field_at(inner, rest),
        _ => None,
    }
}

/// The type at the bottom of lists; of the data of a variable-shape tensor.
fn values_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            values_type(item.data_type())
        }
        DataType::Struct(fields) => match fields.first() {
            Some(data) if data.name() == "data" => values_type(data.data_type()),
            _ => data_type,
        },
        other => other,
    }
}

/// Whether a column of `data_type` can hold the component `spec`.
fn holds(spec: &ElementSpec, data_type: &DataType) -> bool {
    let stores = |dtype: DType, stored: &DataType| {
        let mut options = MappingOptions::default();
        let mut types = Vec::new();
        for bfloat16 in [BFloat16Storage::Float32, BFloat16Storage::Raw] {
            for bool_storage in [BoolStorage::Boolean, BoolStorage::UInt8] {
                for text in [false, true] {
                    (options.bfloat16, options.bool_storage) = (bfloat16, bool_storage);
                    types.extend(value_type(dtype, &options, text, true));
                }
            }
        }
        types.iter().any(|data_type| values_type(data_type) == stored)
    };
    match (spec, data_type) {
        (ElementSpec::Optional(inner), _) => holds(inner, data_type),
        (ElementSpec::Tensor { dtype, .. } | ElementSpec::Ragged { dtype, .. }, _) => {
            stores(*dtype, values_type(data_type))
        }
        (ElementSpec::Sparse { dtype, .. }, DataType::Struct(parts)) => match parts.as_ref() {
            [_, values, _] => stores(*dtype, values_type(values.data_type())),
            _ => false,
        },
        (ElementSpec::Sparse { .. }, _) => false,
        _ => true,
    }
}

/// The component that a column of an unknown past is.
///
/// # Errors
/// It holds no tensors.
fn derive(field: &Field) -> Result<ElementSpec> {
    if let Some(said) = said(field).filter(|spec| holds(spec, field.data_type())) {
        return Ok(said);
    }
    let dims = |sizes: Vec<usize>| Shape::Dims(sizes.into_iter().map(|size| Some(size as u64)).collect());
    if let (Some(tensor), DataType::FixedSizeList(item, _)) =
        (FixedShapeTensor::from_field(field)?, field.data_type())
    {
        in_order(tensor.permutation.as_deref())?;
        return Ok(ElementSpec::tensor(value_dtype(item.data_type())?, dims(tensor.shape)));
    }
    if let (Some(tensor), DataType::Struct(parts)) =
        (VariableShapeTensor::from_field(field)?, field.data_type())
        && let [data, shape] = parts.as_ref()
        && let (DataType::List(item) | DataType::LargeList(item), DataType::FixedSizeList(_, rank)) =
            (data.data_type(), shape.data_type())
    {
        in_order(tensor.permutation.as_deref())?;
        let uniform = tensor.uniform_shape.unwrap_or_default();
        let size = |i| uniform.get(i).copied().flatten().map(|size| size as u64);
        let shape = Shape::Dims((0..usize::try_from(*rank).unwrap_or(0)).map(size).collect());
        return Ok(ElementSpec::tensor(value_dtype(item.data_type())?, shape));
    }
    // Lists outside of fixed-size lists outside of values.
    let (mut inner, mut any, mut fixed) = (field.data_type(), 0, Vec::new());
    loop {
        match inner {
            DataType::List(item) | DataType::LargeList(item) if fixed.is_empty() => {
                any += 1;
                inner = item.data_type();
            }
            DataType::FixedSizeList(item, size) => {
                fixed.push(u64::try_from(*size).ok());
                inner = item.data_type();
            }
            DataType::Struct(members) if any == 0 && fixed.is_empty() && !members.is_empty() => {
                let members = members.iter().map(|member| Ok((member.name().clone(), derive(member)?)));
                return Ok(ElementSpec::dict(members.collect::<Result<_>>()?));
            }
            other => {
                let dtype = value_dtype(other)?;
                let shape = Shape::Dims(std::iter::repeat_n(None, any).chain(fixed).collect());
                return Ok(match any {
                    0 | 1 => ElementSpec::tensor(dtype, shape),
                    n => ElementSpec::Ragged {
                        dtype,
                        shape,
                        ragged_rank: n - 1,
                        row_splits_dtype: DType::Int64,
                    },
                });
            }
        }
    }
}

/// The tensor or sparse tensor that the field metadata of this crate says.
fn said(field: &Field) -> Option<ElementSpec> {
    let text = |key: &str| field.metadata().get(key).map(String::as_str);
    let dtype = DType::from_name(text(TF_DTYPE)?)?;
    let shape = Shape::from_text(text(TF_SHAPE)?)?;
    match text(TF_KIND)? {
        "tensor" => Some(ElementSpec::tensor(dtype, shape)),
        "sparse" => Some(ElementSpec::Sparse { dtype, shape }),
        _ => None,
    }
}

/// Refuses tensors whose dimensions are to be shown in another order than that of their values.
fn in_order(permutation: Option<&[usize]>) -> Result<()> {
    match permutation.is_none_or(|order| order.iter().copied().eq(0..order.len())) {
        true => Ok(()),
        false => Err(Error::unsupported("tensors whose dimensions are permuted")
            .with_hint(Phrase::new("write them in row-major order, or leave the column out with {exclude}"))),
    }
}

/// The dtype of values that are stored as `data_type`.
///
/// # Errors
/// They are no tensor's.
pub(super) fn value_dtype(data_type: &DataType) -> Result<DType> {
    Ok(match data_type {
        DataType::Boolean => DType::Bool,
        DataType::Int8 => DType::Int8,
        DataType::Int16 => DType::Int16,
        DataType::Int32 => DType::Int32,
        DataType::Int64 => DType::Int64,
        DataType::UInt8 => DType::UInt8,
        DataType::UInt16 => DType::UInt16,
        DataType::UInt32 => DType::UInt32,
        DataType::UInt64 => DType::UInt64,
        DataType::Float16 => DType::Float16,
        DataType::Float32 => DType::Float32,
        DataType::Float64 => DType::Float64,
        DataType::Dictionary(_, values) => return value_dtype(values),
        other if is_bytes(other) => DType::String,
        other => {
            return Err(Error::unsupported(format!("column of type {other} is no tensor"))
                .with_hint(Phrase::new("leave it out with {exclude}, or write Arrow or Parquet")));
        }
    })
}

/// Whether values of `data_type` are strings or bytes.
fn is_bytes(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary, LargeUtf8, Utf8, Utf8View};
    matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

/// The type in which a column of tensors is stored: with offsets of 32 bits and without views, as
/// everything that this crate makes, lists with children called `item`, everything nullable.
/// `None` if something in it is no tensor's.
pub(crate) fn stored_type(data_type: &DataType) -> Option<DataType> {
    let child = |field: &FieldRef, name: &str| {
        let own = Field::new(name, stored_type(field.data_type())?, true);
        Some(Arc::new(own.with_metadata(field.metadata().clone())))
    };
    Some(match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) => DataType::List(child(item, "item")?),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(child(item, "item")?, *size),
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|field| child(field, field.name()));
            DataType::Struct(fields.collect::<Option<Fields>>()?)
        }
        other => {
            value_dtype(other).ok()?;
            other.clone()
        }
    })
}

/// A column of tensors as those take it who write tensors: in its [`stored_type`], dictionaries and
/// bytes of a fixed width given as their values. What is no tensor's stays as it is.
///
/// # Errors
/// A column has more than 32-bit offsets can count.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    let plain = plain_type(array.data_type());
    if plain == *array.data_type() { Ok(array.clone()) } else { Ok(cast(array, &plain)?) }
}

/// The type of what [`plain`] gives.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    fn values(data_type: DataType) -> DataType {
        let child = |field: FieldRef| {
            let data_type = values(field.data_type().clone());
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        };
        match data_type {
            DataType::FixedSizeBinary(_) => DataType::Binary,
            DataType::Dictionary(_, of) => stored_type(&of).map_or(*of, values),
            DataType::List(item) => DataType::List(child(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(child(item), size),
            DataType::Struct(fields) => DataType::Struct(fields.iter().cloned().map(child).collect()),
            other => other,
        }
    }
    stored_type(data_type).map_or_else(|| data_type.clone(), values)
}
