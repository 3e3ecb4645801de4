//! The values of components as a caller delivers them.

use std::borrow::Cow;
use std::ops::Range;

use arrow::buffer::Buffer;

use super::components;
use crate::error::{Error, Result};
use crate::tf::dims::Dims;
use crate::tf::dtype::DType;
use crate::tf::spec::ElementSpec;
use crate::tf::tensor_proto::{Strings, Tensor};
use crate::tf::variant::{self, Ragged, Sparse, Value};

/// Consecutive elements.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How many elements there are.
    pub rows: usize,
    /// The values of each component, in the flatten order of the element spec.
    pub components: Vec<Component>,
}

/// The values of one component in consecutive elements.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Component {
    /// Tensors of one shape, stacked: values of the shape `[rows, shape…]`, row-major. Where Arrow
    /// stores such values as they are, the column is this memory and nothing is copied.
    Stacked {
        /// The shape of one row.
        shape: Vec<u64>,
        /// The values of all rows.
        values: Values,
    },
    /// Tensors of different shapes.
    Variable {
        /// The values of all rows, one after the other, each row-major.
        values: Values,
        /// `rows + 1` positions in `values`, the first one 0.
        value_splits: Vec<i64>,
        /// The shapes of all rows, one after the other.
        shapes: Vec<i64>,
        /// `rows + 1` positions in `shapes`, the first one 0.
        shape_splits: Vec<i64>,
    },
    /// Ragged tensors.
    Ragged {
        /// The flat values of all rows, one after the other.
        values: Values,
        /// `rows + 1` positions in the flat values, the first one 0; each counts a value of
        /// `inner_shape`.
        value_splits: Vec<i64>,
        /// The shape of one flat value: the dimensions after the ragged ones.
        inner_shape: Vec<u64>,
        /// For each level, outermost first: the row splits of all rows, one after the other, and
        /// `rows + 1` positions in these.
        row_splits: Vec<(Vec<i64>, Vec<i64>)>,
    },
    /// Sparse tensors.
    Sparse {
        /// The indices of all rows, as many a value as the shape has dimensions.
        indices: Vec<i64>,
        /// The values of all rows.
        values: Values,
        /// `rows + 1` positions in `values`, the first one 0.
        value_splits: Vec<i64>,
        /// The dense shapes of all rows, one after the other.
        dense_shapes: Vec<i64>,
    },
    /// Values that may be absent. For an absent one the components have some value of their spec.
    Optional {
        /// Whether each row has a value.
        present: Vec<bool>,
        /// The components of what it holds, in flatten order.
        components: Vec<Component>,
    },
    /// Datasets, each the deliveries of its elements.
    Dataset(Vec<Vec<Delivery>>),
}

/// The values of tensors.
#[derive(Debug, Clone)]
pub enum Values {
    /// Little-endian values of the component's dtype, each [`DType::item_bytes`] wide.
    Numbers(Buffer),
    /// Strings: `n + 1` offsets into the bytes, the first one 0.
    Strings {
        /// Where each string begins, and where the last one ends.
        offsets: Vec<i64>,
        /// The strings, one after the other.
        bytes: Buffer,
    },
}

pub(super) fn too_few() -> Error {
    Error::mismatch("element with too few components")
}

/// What lies between two of the positions `splits`.
fn between(splits: &[i64], at: usize) -> Result<Range<usize>> {
    let position = |i: usize| splits.get(i).and_then(|at| usize::try_from(*at).ok());
    match (position(at), position(at + 1)) {
        (Some(start), Some(end)) if start <= end => Ok(start..end),
        _ => Err(Error::mismatch("positions that do not rise, or too few of them")),
    }
}

/// A part of a list.
fn part<T>(values: &[T], range: Range<usize>) -> Result<&[T]> {
    values.get(range).ok_or_else(|| Error::mismatch("values that are shorter than what is said of them"))
}

fn sizes(shape: &[i64]) -> Result<Dims> {
    let sizes = shape.iter().map(|n| u64::try_from(*n)).collect::<std::result::Result<Vec<_>, _>>();
    sizes.map(|sizes| Dims::new(&sizes)).map_err(|_| Error::mismatch("shape with a size below 0"))
}

impl Delivery {
    /// Bytes that the values take.
    pub(super) fn bytes(&self) -> u64 {
        self.components.iter().map(Component::bytes).sum()
    }
}

impl Component {
    /// Bytes that the values take.
    fn bytes(&self) -> u64 {
        match self {
            Component::Stacked { values, .. }
            | Component::Variable { values, .. }
            | Component::Ragged { values, .. }
            | Component::Sparse { values, .. } => values.bytes(),
            Component::Optional { components, .. } => components.iter().map(Component::bytes).sum(),
            Component::Dataset(rows) => rows.iter().flatten().map(Delivery::bytes).sum(),
        }
    }

    /// The value of row `row`.
    pub(super) fn value(&self, spec: &ElementSpec, row: usize) -> Result<Value<'_>> {
        match (self, spec) {
            (Component::Optional { present, components: parts }, ElementSpec::Optional(inner)) => {
                if !*present.get(row).ok_or_else(too_few)? {
                    return Ok(Value::Optional(None));
                }
                let specs = components(inner);
                let values = specs.iter().zip(parts).map(|(spec, part)| part.value(spec, row));
                values.collect::<Result<_>>().map(|values| Value::Optional(Some(values)))
            }
            (Component::Dataset(rows), ElementSpec::Dataset(inner)) => {
                let specs = components(inner);
                let mut elements = Vec::new();
                for delivery in rows.get(row).ok_or_else(too_few)? {
                    for row in 0..delivery.rows {
                        let parts = specs.iter().zip(&delivery.components);
                        let values = parts.map(|(spec, part)| part.value(spec, row));
                        elements.push(values.collect::<Result<Vec<_>>>()?);
                    }
                }
                Ok(Value::Dataset(elements))
            }
            (Component::Stacked { shape, values }, ElementSpec::Tensor { dtype, .. }) => {
                let dims = Dims::new(shape);
                let range =
                    count(&dims).and_then(|n| Some(row.checked_mul(n)?..row.checked_add(1)?.checked_mul(n)?));
                variant::decode(spec, values.tensor(*dtype, dims, range.ok_or_else(too_few)?)?)
            }
            (
                Component::Variable { values, value_splits, shapes, shape_splits },
                ElementSpec::Tensor { dtype, .. },
            ) => {
                let dims = sizes(part(shapes, between(shape_splits, row)?)?)?;
                variant::decode(spec, values.tensor(*dtype, dims, between(value_splits, row)?)?)
            }
            (
                Component::Ragged { values, value_splits, inner_shape, row_splits },
                ElementSpec::Ragged { dtype, ragged_rank, .. },
            ) if row_splits.len() == *ragged_rank => {
                let flat = between(value_splits, row)?;
                let mut splits = Vec::with_capacity(row_splits.len());
                for (all, positions) in row_splits {
                    splits.push(part(all, between(positions, row)?)?.to_vec());
                }
                check_splits(&splits, flat.len())?;
                let mut dims = Dims::new(&[flat.len() as u64]);
                inner_shape.iter().for_each(|n| dims.push(*n));
                let inner = count(&Dims::new(inner_shape)).ok_or_else(too_few)?;
                let range = flat.start.checked_mul(inner).zip(flat.end.checked_mul(inner));
                let (start, end) = range.ok_or_else(too_few)?;
                let flat = values.tensor(*dtype, dims, start..end)?;
                Ok(match ragged_rank {
                    0 => Value::Tensor(flat),
                    _ => Value::Ragged(Ragged { splits, values: vec![flat] }),
                })
            }
            (
                Component::Sparse { indices, values, value_splits, dense_shapes },
                ElementSpec::Sparse { dtype, .. },
            ) => {
                let range = between(value_splits, row)?;
                let rows = value_splits.len().saturating_sub(1).max(1);
                let rank = dense_shapes.len() / rows;
                let of =
                    |range: Range<usize>| range.start.saturating_mul(rank)..range.end.saturating_mul(rank);
                let dense_shape = part(dense_shapes, of(row..row + 1))?.to_vec();
                let indices = part(indices, of(range.clone()))?.to_vec();
                let inside = |index: &[i64]| index.iter().zip(&dense_shape).all(|(i, n)| (0..*n).contains(i));
                if rank > 0 && !indices.chunks(rank).all(inside) {
                    return Err(Error::mismatch("sparse tensor with an index outside of its shape"));
                }
                let values = values.tensor(*dtype, Dims::new(&[range.len() as u64]), range)?;
                Ok(Value::Sparse(Sparse { indices, values: vec![values], dense_shape }))
            }
            _ => Err(Error::mismatch("value of another kind than its spec says")),
        }
    }
}

/// The number of values of a shape.
pub(super) fn count(dims: &Dims) -> Option<usize> {
    dims.num_elements()
}

/// Row splits must divide each other, and the innermost ones `flat` values.
fn check_splits(splits: &[Vec<i64>], flat: usize) -> Result<()> {
    let lengths = splits.iter().skip(1).map(|inner| inner.len().saturating_sub(1)).chain([flat]);
    for (splits, divided) in splits.iter().zip(lengths) {
        let ends = splits.first() == Some(&0)
            && splits.last().and_then(|n| usize::try_from(*n).ok()) == Some(divided);
        if !ends || !splits.is_sorted() {
            return Err(Error::mismatch("row splits that do not divide the values"));
        }
    }
    Ok(())
}

impl Values {
    fn bytes(&self) -> u64 {
        match self {
            Values::Numbers(bytes) | Values::Strings { bytes, .. } => bytes.len() as u64,
        }
    }

    /// The values in `range` as a tensor.
    pub(super) fn tensor(&self, dtype: DType, dims: Dims, range: Range<usize>) -> Result<Tensor<'_>> {
        match self {
            Values::Numbers(bytes) => {
                let width = dtype.item_bytes().ok_or_else(|| {
                    Error::mismatch("values of another kind").expected(dtype.name(), "numbers")
                })?;
                let range = range.start.saturating_mul(width)..range.end.saturating_mul(width);
                Tensor::from_bytes(dtype, dims, Cow::Borrowed(part(bytes, range)?))
            }
            Values::Strings { offsets, bytes } if dtype == DType::String => {
                let strings = range.map(|i| part(bytes, between(offsets, i)?)).collect::<Result<Vec<_>>>()?;
                Tensor::from_strings(dims, Strings::from_slices(strings))
            }
            Values::Strings { .. } => {
                Err(Error::mismatch("values of another kind").expected(dtype.name(), "strings"))
            }
        }
    }
}
