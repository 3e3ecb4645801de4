//! Builds the column of one component (or of a structure of components), element by element.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, NullBufferBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef};

use super::dense::Dense;
use super::lists::{Lists, too_long};
use super::ragged::{append_ragged, append_ragged_slices};
use super::sparse::SparseBuilder;
use crate::error::{Error, Result};
use crate::schema::mapping::{self, MappingOptions};
use crate::tf::dtype::DType;
use crate::tf::spec::ElementSpec;
use crate::tf::variant::Value;

/// A builder of the column that [`mapping::field`] gives for a spec.
///
/// After an error in an append, [`truncate`](Self::truncate) brings it back to a whole row.
#[derive(Debug)]
pub(crate) struct ComponentBuilder {
    field: FieldRef,
    path: Arc<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Dense(Box<Dense>),
    Ragged {
        dtype: DType,
        ragged_rank: usize,
        lists: Lists,
    },
    Sparse(Box<SparseBuilder>),
    /// An optional; its value is stored as if it were not, null where it is absent.
    Optional(Box<ComponentBuilder>),
    Dataset {
        offsets: Vec<i32>,
        nulls: NullBufferBuilder,
        elements: Box<StructBuilder>,
    },
    Struct(StructBuilder),
}

/// Several components of one element as an Arrow struct.
#[derive(Debug)]
struct StructBuilder {
    parts: Vec<Part>,
    nulls: NullBufferBuilder,
    rows: usize,
}

/// A member of a structure: a column, or a place that makes none.
#[derive(Debug)]
struct Part {
    builder: Option<ComponentBuilder>,
}

impl ComponentBuilder {
    /// An empty builder for `spec` as the column `field`, which may have been renamed or described
    /// further since the mapping made it; `path` is where it stands in the element.
    ///
    /// # Errors
    /// The field's type is not the mapping's for `spec`.
    pub(crate) fn for_field(
        field: FieldRef,
        path: &str,
        spec: &ElementSpec,
        options: &MappingOptions,
    ) -> Result<Self> {
        let wrong = || {
            Error::unsupported("column type does not fit its component")
                .expected("the type that the mapping gives", field.data_type().to_string())
                .in_column(path)
        };
        let kind = match spec {
            ElementSpec::Tensor { dtype, shape }
            | ElementSpec::Ragged { dtype, shape, ragged_rank: 0, .. } => {
                let dense = Dense::new(*dtype, shape, field.data_type()).map_err(|e| e.in_column(path))?;
                Kind::Dense(Box::new(dense))
            }
            ElementSpec::Ragged { dtype, ragged_rank, .. } => {
                let lists = Lists::new(*dtype, field.data_type(), None)?;
                if lists.depth() <= *ragged_rank {
                    return Err(wrong());
                }
                Kind::Ragged { dtype: *dtype, ragged_rank: *ragged_rank, lists }
            }
            ElementSpec::Sparse { dtype, shape } => {
                let DataType::Struct(fields) = field.data_type() else { return Err(wrong()) };
                let [indices, values, dense_shape] = fields.as_ref() else { return Err(wrong()) };
                Kind::Sparse(Box::new(SparseBuilder::new(
                    shape.rank(),
                    *dtype,
                    [indices.data_type(), values.data_type(), dense_shape.data_type()],
                )?))
            }
            ElementSpec::Optional(inner) => {
                Kind::Optional(Box::new(Self::for_field(field.clone(), path, inner, options)?))
            }
            ElementSpec::Dataset(inner) => {
                let DataType::List(item) = field.data_type() else { return Err(wrong()) };
                let DataType::Struct(fields) = item.data_type() else { return Err(wrong()) };
                let elements = if inner.is_leaf() {
                    StructBuilder::new(&[("value".to_owned(), inner)], fields, path, options)?
                } else {
                    StructBuilder::new(&inner.children(), fields, path, options)?
                };
                Kind::Dataset {
                    offsets: vec![0],
                    nulls: NullBufferBuilder::new(0),
                    elements: Box::new(elements),
                }
            }
            ElementSpec::None => return Err(wrong()),
            ElementSpec::Dict(_)
            | ElementSpec::Tuple(_)
            | ElementSpec::List(_)
            | ElementSpec::NamedTuple { .. } => {
                let DataType::Struct(fields) = field.data_type() else { return Err(wrong()) };
                Kind::Struct(StructBuilder::new(&spec.children(), fields, path, options)?)
            }
        };
        Ok(Self { field, path: path.into(), kind })
    }

    /// The number of rows.
    #[cfg(feature = "tensorflow")]
    pub(crate) fn rows(&self) -> usize {
        match &self.kind {
            Kind::Dense(dense) => dense.rows(),
            Kind::Ragged { lists, .. } => lists.rows(),
            Kind::Sparse(sparse) => sparse.rows(),
            Kind::Optional(inner) => inner.rows(),
            Kind::Dataset { offsets, .. } => offsets.len() - 1,
            Kind::Struct(parts) => parts.rows,
        }
    }

    /// Bytes that the rows take.
    pub(crate) fn byte_len(&self) -> usize {
        match &self.kind {
            Kind::Dense(dense) => dense.byte_len(),
            Kind::Ragged { lists, .. } => lists.byte_len(),
            Kind::Sparse(sparse) => sparse.byte_len(),
            Kind::Optional(inner) => inner.byte_len(),
            Kind::Dataset { elements, .. } => elements.byte_len(),
            Kind::Struct(parts) => parts.byte_len(),
        }
    }

    /// Makes room for as much as the last batch took, but no more than `most` bytes, which the
    /// input at hand should account for.
    pub(crate) fn reserve_as_before(&mut self, most: usize) {
        if let Kind::Dense(dense) = &mut self.kind {
            dense.reserve_as_before(most);
        }
    }

    /// Appends one element's value of a component that is no structure.
    ///
    /// # Errors
    /// The value is not what the spec says, or the column outgrows 32-bit offsets.
    #[inline]
    pub(crate) fn append(&mut self, value: &Value<'_>) -> Result<()> {
        let result = match (&mut self.kind, value) {
            (Kind::Dense(dense), Value::Tensor(tensor)) => dense.append(tensor),
            (Kind::Ragged { dtype, ragged_rank, lists }, Value::Ragged(ragged)) => {
                append_ragged(lists, *dtype, *ragged_rank, ragged)
            }
            (Kind::Sparse(builder), Value::Sparse(sparse)) => builder.append(sparse),
            (Kind::Optional(inner), Value::Optional(None)) => inner.append_null(),
            (Kind::Optional(inner), Value::Optional(Some(values))) => {
                let mut values = values.iter();
                inner.append_flat(&mut values).and_then(|()| expect_end(values.next()))
            }
            (Kind::Dataset { offsets, nulls, elements }, Value::Dataset(dataset)) => {
                append_dataset(offsets, nulls, elements, dataset)
            }
            _ => Err(Error::mismatch("value of another kind than its spec says")),
        };
        result.map_err(|e| e.in_column(self.path.clone()))
    }

    /// Appends one element's values of a component or structure, which are taken from `values` in
    /// flatten order.
    ///
    /// # Errors
    /// As [`append`](Self::append), or there are too few values.
    pub(crate) fn append_flat<'v, 'a: 'v>(
        &mut self,
        values: &mut dyn Iterator<Item = &'v Value<'a>>,
    ) -> Result<()> {
        match &mut self.kind {
            Kind::Struct(parts) => parts.append(values),
            _ => match values.next() {
                Some(value) => self.append(value),
                None => Err(too_few(&self.path)),
            },
        }
    }

    /// Appends a null row.
    ///
    /// # Errors
    /// The column outgrows 32-bit offsets or memory.
    pub(crate) fn append_null(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::Dense(dense) => dense.append_null(),
            Kind::Ragged { lists, .. } => lists.push_null(),
            Kind::Sparse(builder) => builder.append_null(),
            Kind::Optional(inner) => inner.append_null(),
            Kind::Dataset { offsets, nulls, .. } => {
                offsets.push(offsets.last().copied().unwrap_or(0));
                nulls.append_null();
                Ok(())
            }
            Kind::Struct(parts) => parts.append_null(),
        }
    }

    /// Appends slices of a batched value as rows: those in `rows` along its first dimension. The
    /// builder's spec is that of a slice.
    ///
    /// # Errors
    /// The value has no such dimension or is shorter, or as for [`append`](Self::append).
    pub(crate) fn append_slices(&mut self, value: &Value<'_>, rows: Range<usize>) -> Result<()> {
        let result = match (&mut self.kind, value) {
            (Kind::Dense(dense), Value::Tensor(tensor)) => dense.append_slices(tensor, rows),
            (Kind::Dense(dense), Value::Ragged(ragged)) => dense.append_ragged_rows(ragged, rows),
            (Kind::Ragged { dtype, ragged_rank, lists }, Value::Ragged(ragged)) => {
                append_ragged_slices(lists, *dtype, *ragged_rank, ragged, rows)
            }
            (Kind::Sparse(builder), Value::Sparse(sparse)) => builder.append_slices(sparse, rows),
            _ => Err(Error::unsupported("component that cannot be split into rows")),
        };
        result.map_err(|e| e.in_column(self.path.clone()))
    }

    /// As [`append_slices`](Self::append_slices), of a component or structure, whose values are
    /// taken from `values` in flatten order.
    ///
    /// # Errors
    /// As [`append_slices`](Self::append_slices), or there are too few values.
    pub(crate) fn append_slices_flat<'v, 'a: 'v>(
        &mut self,
        values: &mut dyn Iterator<Item = &'v Value<'a>>,
        rows: Range<usize>,
    ) -> Result<()> {
        match &mut self.kind {
            Kind::Struct(parts) => parts.append_slices(values, rows),
            _ => match values.next() {
                Some(value) => self.append_slices(value, rows),
                None => Err(too_few(&self.path)),
            },
        }
    }

    /// Drops all rows but the first `rows`, and what a failed append left behind.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.kind {
            Kind::Dense(dense) => dense.truncate(rows),
            Kind::Ragged { lists, .. } => lists.truncate(rows),
            Kind::Sparse(builder) => builder.truncate(rows),
            Kind::Optional(inner) => inner.truncate(rows),
            Kind::Dataset { offsets, nulls, elements } => {
                offsets.truncate(rows + 1);
                nulls.truncate(rows.min(nulls.len()));
                elements.truncate(offsets.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0));
            }
            Kind::Struct(parts) => parts.truncate(rows),
        }
    }

    /// The rows as an array of the field's type; the builder is then empty.
    ///
    /// # Errors
    /// arrow-rs refuses the array.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let data_type = self.field.data_type();
        match &mut self.kind {
            Kind::Dense(dense) => dense.finish(data_type),
            Kind::Ragged { lists, .. } => lists.finish(data_type),
            Kind::Sparse(builder) => builder.finish(data_type),
            Kind::Optional(inner) => inner.finish(),
            Kind::Dataset { offsets, nulls, elements } => {
                let DataType::List(item) = data_type else { return Err(wrong_type(data_type)) };
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                let child = elements.finish(item.data_type())?;
                Ok(Arc::new(ListArray::try_new(item.clone(), offsets, child, nulls.finish())?))
            }
            Kind::Struct(parts) => parts.finish(data_type),
        }
    }
}

pub(super) fn wrong_type(data_type: &DataType) -> Error {
    Error::unsupported(format!("column type {data_type}"))
}

fn append_dataset(
    offsets: &mut Vec<i32>,
    nulls: &mut NullBufferBuilder,
    elements: &mut StructBuilder,
    dataset: &[Vec<Value<'_>>],
) -> Result<()> {
    for element in dataset {
        let mut values = element.iter();
        elements.append(&mut values)?;
        expect_end(values.next())?;
    }
    offsets.push(i32::try_from(elements.rows).map_err(|_| too_long())?);
    nulls.append_non_null();
    Ok(())
}

fn too_few(path: &Arc<str>) -> Error {
    Error::corrupt("element with too few components").in_column(path.clone())
}

fn expect_end(next: Option<&Value<'_>>) -> Result<()> {
    match next {
        None => Ok(()),
        Some(_) => Err(Error::corrupt("element with too many components")),
    }
}

impl StructBuilder {
    fn new(
        children: &[(String, &ElementSpec)],
        fields: &arrow::datatypes::Fields,
        path: &str,
        options: &MappingOptions,
    ) -> Result<Self> {
        let mut fields = fields.iter();
        let mut parts = Vec::with_capacity(children.len());
        for (name, spec) in children {
            let path = format!("{path}/{name}");
            let builder = match mapping::field(name, &path, spec, options)? {
                None => None,
                Some(_) => {
                    let field = fields
                        .next()
                        .cloned()
                        .ok_or_else(|| Error::unsupported("struct column with too few fields"))?;
                    Some(ComponentBuilder::for_field(field, &path, spec, options)?)
                }
            };
            parts.push(Part { builder });
        }
        Ok(Self { parts, nulls: NullBufferBuilder::new(0), rows: 0 })
    }

    fn builders(&mut self) -> impl Iterator<Item = &mut ComponentBuilder> {
        self.parts.iter_mut().filter_map(|part| part.builder.as_mut())
    }

    fn byte_len(&self) -> usize {
        self.parts.iter().filter_map(|part| part.builder.as_ref()).map(ComponentBuilder::byte_len).sum()
    }

    fn append<'v, 'a: 'v>(&mut self, values: &mut dyn Iterator<Item = &'v Value<'a>>) -> Result<()> {
        self.builders().try_for_each(|builder| builder.append_flat(values))?;
        self.nulls.append_non_null();
        self.rows += 1;
        Ok(())
    }

    fn append_slices<'v, 'a: 'v>(
        &mut self,
        values: &mut dyn Iterator<Item = &'v Value<'a>>,
        rows: Range<usize>,
    ) -> Result<()> {
        self.builders().try_for_each(|builder| builder.append_slices_flat(values, rows.clone()))?;
        self.nulls.append_n_non_nulls(rows.len());
        self.rows += rows.len();
        Ok(())
    }

    fn append_null(&mut self) -> Result<()> {
        self.builders().try_for_each(ComponentBuilder::append_null)?;
        self.nulls.append_null();
        self.rows += 1;
        Ok(())
    }

    fn truncate(&mut self, rows: usize) {
        self.rows = rows.min(self.rows);
        self.nulls.truncate(self.rows);
        self.builders().for_each(|builder| builder.truncate(rows));
    }

    fn finish(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let DataType::Struct(fields) = data_type else { return Err(wrong_type(data_type)) };
        let rows = std::mem::take(&mut self.rows);
        let nulls = self.nulls.finish();
        let arrays = self.builders().map(ComponentBuilder::finish).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls, rows)?))
    }
}
