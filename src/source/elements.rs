//! Elements that a caller delivers: datasets that run elsewhere, such as `tf.data` in Python.
//!
//! The caller knows the structure of the elements and gives the values of their components, many
//! elements at a time, in the few forms of [`Component`]. What becomes of them is decided here, as
//! for every other source.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, RecordBatch, RecordBatchOptions, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;

use super::options::OpenOptions;
use super::{Cardinality, Decoded, Partition, ReadOptions, Selection, Source, Unit, Units};
use crate::column::assemble::{innermost, is_stored_alike, wrap_fixed};
use crate::column::component::ComponentBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::element::{ElementColumn, ElementPlan};
use crate::tf::dims::Dims;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::tensor_proto::{Strings, Tensor};
use crate::tf::variant::{self, Ragged, Sparse, Value};

/// A dataset that the caller runs.
pub trait Elements: fmt::Debug + Send + Sync {
    /// Begins to deliver the elements that `selection` takes, `batch_rows` at a time where that can
    /// be.
    ///
    /// # Errors
    /// The dataset cannot be run.
    fn start(&self, selection: &Selection, batch_rows: usize) -> Result<Box<dyn Deliveries>>;

    /// How many elements there are, before any selection.
    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }
}

/// A dataset as it runs.
pub trait Deliveries: Send {
    /// The next elements; `None` at the end.
    ///
    /// # Errors
    /// The dataset failed.
    fn next(&mut self) -> Result<Option<Delivery>>;
}

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
    /// Values that may be absent. For an absent one `component` has some value of its spec.
    Optional {
        /// Whether each row has a value.
        present: Vec<bool>,
        /// The values.
        component: Box<Component>,
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

/// A source of [`Elements`].
#[derive(Debug)]
pub(crate) struct ElementsSource {
    elements: Arc<dyn Elements>,
    plan: Arc<ElementPlan>,
    partitions: [Partition; 1],
}

impl ElementsSource {
    /// # Errors
    /// A component cannot be stored, or an option does not fit the elements.
    pub(crate) fn new(
        spec: &ElementSpec,
        elements: Arc<dyn Elements>,
        options: &OpenOptions,
    ) -> Result<Self> {
        // As a saved dataset: what is read must not depend on the road that it took.
        let plan = ElementPlan::new(spec, &options.mapping, &options.projection, &options.names, "saved")?;
        if components(spec).is_empty() {
            return Err(Error::unsupported("elements without components"));
        }
        let mut partition = Partition::new("dataset", Vec::new());
        if let Cardinality::Known(rows) = elements.cardinality() {
            partition.rows = Some(rows);
        }
        Ok(Self { elements, plan: Arc::new(plan), partitions: [partition] })
    }
}

/// The components of a spec, in flatten order.
fn components(spec: &ElementSpec) -> Vec<ElementSpec> {
    match spec {
        ElementSpec::None => Vec::new(),
        leaf if leaf.is_leaf() => vec![leaf.clone()],
        _ => spec.children().into_iter().flat_map(|(_, child)| components(child)).collect(),
    }
}

impl Source for ElementsSource {
    fn kind(&self) -> &str {
        "tf.data dataset"
    }

    fn element_spec(&self) -> &ElementSpec {
        &self.plan.element_spec
    }

    fn schema(&self) -> SchemaRef {
        self.plan.schema.clone()
    }

    fn cardinality(&self) -> Cardinality {
        self.elements.cardinality()
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        if self.elements.cardinality() == Cardinality::Infinite && options.selection.take.is_none() {
            return Err(Error::config("the dataset has no end").with_hint("say how many rows to take"));
        }
        let deliveries = match partitions.contains(&0) {
            true => Some(self.elements.start(&options.selection, options.batch_rows.max(1))?),
            false => None,
        };
        let options = options.clone();
        Ok(Box::new(ElementUnits { deliveries, plan: self.plan.clone(), options, element: 0 }))
    }
}

/// The first stage: elements are delivered.
struct ElementUnits {
    deliveries: Option<Box<dyn Deliveries>>,
    plan: Arc<ElementPlan>,
    options: ReadOptions,
    /// Elements delivered so far.
    element: u64,
}

impl Units for ElementUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let Some(deliveries) = &mut self.deliveries else { return Ok(None) };
        let delivered = deliveries.next().map_err(|e| e.at_record(self.element));
        let Ok(Some(delivery)) = delivered else {
            self.deliveries = None;
            return delivered.map(|_| None);
        };
        let first_element = self.element;
        self.element += delivery.rows as u64;
        self.options.progress.add_bytes(delivery.components.iter().map(Component::bytes).sum());
        let (plan, options) = (self.plan.clone(), self.options.clone());
        Ok(Some(Box::new(ElementUnit { delivery, first_element, plan, options })))
    }
}

/// The second stage: elements become columns.
struct ElementUnit {
    delivery: Delivery,
    /// The number of the first element.
    first_element: u64,
    plan: Arc<ElementPlan>,
    options: ReadOptions,
}

impl Unit for ElementUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        self.emit(0..self.delivery.rows, emit).map(|()| None)
    }
}

impl ElementUnit {
    /// Gives the rows as a batch; as several where 32-bit offsets would overflow.
    fn emit(&self, rows: Range<usize>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<()> {
        match self.batch(&rows) {
            Err(error) if error.kind() == ErrorKind::Limit && rows.len() > 1 => {
                let middle = rows.start + rows.len() / 2;
                self.emit(rows.start..middle, emit)?;
                self.emit(middle..rows.end, emit)
            }
            batch => {
                emit(batch?.into())?;
                self.options.progress.add_rows(rows.len() as u64);
                Ok(())
            }
        }
    }

    fn batch(&self, rows: &Range<usize>) -> Result<RecordBatch> {
        let plan = &self.plan;
        let columns = plan.columns.iter().map(|column| self.column(column, rows));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(plan.schema.clone(), columns, &options).map_err(Error::from)
    }

    fn column(&self, column: &ElementColumn, rows: &Range<usize>) -> Result<ArrayRef> {
        if let ([(number, spec)], true) = (column.components.as_slice(), column.spec.is_leaf())
            && let Some(component) = self.delivery.components.get(*number)
            && let Some(array) = in_place(column, spec, component, self.delivery.rows, rows)?
        {
            return Ok(array);
        }
        let options = &self.plan.options;
        let mut builder =
            ComponentBuilder::for_field(column.field.clone(), &column.path, &column.spec, options)?;
        if let Some(values) = self.stacked(column)? {
            let appended = builder.append_slices_flat(&mut values.iter(), rows.clone());
            appended.map_err(|e| e.at_record(self.first_element).in_column(column.path.as_str()))?;
            return builder.finish();
        }
        for row in rows.clone() {
            let values = column.components.iter().map(|(number, spec)| {
                let component = self.delivery.components.get(*number).ok_or_else(too_few)?;
                component.value(spec, row)
            });
            let values = values.collect::<Result<Vec<_>>>();
            values
                .and_then(|values| builder.append_flat(&mut values.iter()))
                .map_err(|e| e.at_record(self.first_element + row as u64).in_column(column.path.as_str()))?;
        }
        builder.finish()
    }
}

impl ElementUnit {
    /// The values of all rows in one tensor a component, where all were delivered so.
    fn stacked(&self, column: &ElementColumn) -> Result<Option<Vec<Value<'_>>>> {
        let mut all = Vec::new();
        for (number, spec) in &column.components {
            let (Some(Component::Stacked { shape, values }), ElementSpec::Tensor { dtype, shape: expected }) =
                (self.delivery.components.get(*number), spec)
            else {
                return Ok(None);
            };
            if !expected.accepts(shape) {
                return Err(Error::mismatch("tensor of another shape")
                    .expected(expected.to_string(), Shape::known(shape).to_string())
                    .in_column(column.path.as_str()));
            }
            let mut dims = Dims::new(&[self.delivery.rows as u64]);
            shape.iter().for_each(|n| dims.push(*n));
            let len = count(&dims).ok_or_else(too_few)?;
            let mut value = Value::Tensor(values.tensor(*dtype, dims, 0..len)?);
            value.index();
            all.push(value);
        }
        Ok(Some(all))
    }
}

fn too_few() -> Error {
    Error::mismatch("element with too few components")
}

/// The column over the memory that was delivered, if its values lie there as Arrow stores them.
fn in_place(
    column: &ElementColumn,
    spec: &ElementSpec,
    component: &Component,
    delivered: usize,
    rows: &Range<usize>,
) -> Result<Option<ArrayRef>> {
    let (
        ElementSpec::Tensor { dtype, shape },
        Component::Stacked { shape: found, values: Values::Numbers(values) },
    ) = (spec, component)
    else {
        return Ok(None);
    };
    let Some(value_type) = innermost(column.field.data_type()).filter(|to| is_stored_alike(*dtype, to))
    else {
        return Ok(None);
    };
    let (Some(width), Some(item)) = (value_type.primitive_width(), dtype.item_bytes()) else {
        return Ok(None);
    };
    if shape.as_known().as_deref() != Some(found.as_slice()) {
        return Ok(None);
    }
    let per_row =
        shape.num_elements().and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_mul(item));
    let Some(per_row) = per_row.filter(|bytes| *bytes > 0) else { return Ok(None) };
    if per_row.checked_mul(delivered) != Some(values.len()) {
        return Err(Error::mismatch("tensors that do not fill their shape")
            .expected(format!("{delivered} rows of {per_row} bytes"), format!("{} bytes", values.len()))
            .in_column(column.path.as_str()));
    }
    if values.as_ptr().align_offset(width) != 0 {
        return Ok(None);
    }
    let buffer = values.slice_with_length(rows.start * per_row, rows.len() * per_row);
    let data = ArrayData::builder(value_type.clone()).len(buffer.len() / width).add_buffer(buffer).build()?;
    wrap_fixed(make_array(data), column.field.data_type(), rows.len(), None).map(Some)
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

impl Component {
    /// Bytes that the values take.
    fn bytes(&self) -> u64 {
        match self {
            Component::Stacked { values, .. }
            | Component::Variable { values, .. }
            | Component::Ragged { values, .. }
            | Component::Sparse { values, .. } => values.bytes(),
            Component::Optional { component, .. } => component.bytes(),
            Component::Dataset(rows) => {
                rows.iter().flatten().flat_map(|delivery| &delivery.components).map(Component::bytes).sum()
            }
        }
    }

    /// The value of row `row`.
    fn value(&self, spec: &ElementSpec, row: usize) -> Result<Value<'_>> {
        match (self, spec) {
            (Component::Optional { present, component }, ElementSpec::Optional(inner)) => {
                let present = present.get(row).ok_or_else(too_few)?;
                let value = present.then(|| component.value(inner, row)).transpose()?;
                Ok(Value::Optional(value.map(|value| vec![value])))
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
fn count(dims: &Dims) -> Option<usize> {
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
    fn tensor(&self, dtype: DType, dims: Dims, range: Range<usize>) -> Result<Tensor<'_>> {
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

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float32Type, Int32Type};

    use super::*;

    /// Gives the same elements over and over.
    #[derive(Debug, Clone)]
    struct Ready(Vec<Delivery>);

    impl Elements for Ready {
        fn start(&self, _: &Selection, _: usize) -> Result<Box<dyn Deliveries>> {
            Ok(Box::new(self.0.clone().into_iter()))
        }
    }

    impl Deliveries for std::vec::IntoIter<Delivery> {
        fn next(&mut self) -> Result<Option<Delivery>> {
            Ok(Iterator::next(self))
        }
    }

    fn column(spec: &ElementSpec, rows: usize, component: Component) -> Result<ArrayRef> {
        let ready = Ready(vec![Delivery { rows, components: vec![component] }]);
        let source = ElementsSource::new(spec, Arc::new(ready), &OpenOptions::default())?;
        let mut units = source.units(0..1, &ReadOptions::default())?;
        let unit = units.next_unit()?.unwrap();
        let mut column = None;
        unit.decode(&mut |decoded| {
            if let Decoded::Batch(batch) = decoded {
                column = Some(batch.column(0).clone());
            }
            Ok(())
        })?;
        assert!(units.next_unit()?.is_none());
        Ok(column.unwrap())
    }

    fn floats(values: &[f32]) -> Values {
        Values::Numbers(Buffer::from_vec(values.to_vec()))
    }

    #[test]
    fn stacked_numbers_are_the_memory_that_was_delivered() {
        let buffer = Buffer::from_vec(vec![1f32, 2., 3., 4., 5., 6.]);
        let spec = ElementSpec::tensor(DType::Float32, Shape::known(&[3]));
        let values = Values::Numbers(buffer.clone());
        let column = column(&spec, 2, Component::Stacked { shape: vec![3], values }).unwrap();
        let values = column.as_fixed_size_list().values().as_primitive::<Float32Type>().clone();
        assert_eq!(values.values().inner().as_ptr(), buffer.as_ptr());
        assert_eq!(column.len(), 2);
    }

    #[test]
    fn ragged_rows_are_lists() {
        let spec = ElementSpec::Ragged {
            dtype: DType::Float32,
            shape: Shape::Dims(vec![None, None]),
            ragged_rank: 1,
            row_splits_dtype: DType::Int64,
        };
        // [[1, 2], []] and [[3]].
        let component = |splits: Vec<i64>| Component::Ragged {
            values: floats(&[1., 2., 3.]),
            value_splits: vec![0, 2, 3],
            inner_shape: vec![],
            row_splits: vec![(splits, vec![0, 3, 5])],
        };
        let lists = column(&spec, 2, component(vec![0, 2, 2, 0, 1])).unwrap();
        let outer = lists.as_list::<i32>();
        assert_eq!(
            outer.value(0).as_list::<i32>().value(0).as_primitive::<Float32Type>().values(),
            &[1., 2.]
        );
        assert_eq!(outer.value(1).as_list::<i32>().value(0).as_primitive::<Float32Type>().values(), &[3.]);
        for wrong in [vec![0, 3, 2, 0, 1], vec![1, 2, 2, 0, 1], vec![0, 2, 2, 0, 9], vec![0, 2]] {
            assert!(column(&spec, 2, component(wrong)).is_err());
        }
    }

    #[test]
    fn tensors_keep_their_shapes_when_they_are_empty() {
        let spec = ElementSpec::tensor(DType::Float32, Shape::Dims(vec![None, None]));
        let component = Component::Variable {
            values: floats(&[1., 2.]),
            value_splits: vec![0, 2, 2],
            shapes: vec![1, 2, 0, 5],
            shape_splits: vec![0, 2, 4],
        };
        let column = column(&spec, 2, component).unwrap();
        let shapes = column.as_struct().column(1).as_fixed_size_list().value(1);
        assert_eq!(shapes.as_primitive::<Int32Type>().values(), &[0, 5]);
    }

    #[test]
    fn what_does_not_fit_its_spec_is_an_error() {
        let spec = ElementSpec::tensor(DType::Float32, Shape::known(&[2]));
        for (shape, values) in [
            (vec![3], floats(&[0.; 6])),
            (vec![2], floats(&[0.; 3])),
            (vec![u64::MAX], floats(&[0.; 4])),
            (vec![2], Values::Strings { offsets: vec![0, 1], bytes: Buffer::from_vec(vec![1u8]) }),
        ] {
            assert!(column(&spec, 2, Component::Stacked { shape, values }).is_err());
        }
    }
}
