//! Elements that a caller delivers: datasets that run elsewhere, such as `tf.data` in Python.
//!
//! The caller knows the structure of the elements and gives the values of their components, many
//! elements at a time, in the few forms of [`Component`]. What becomes of them is decided here, as
//! for every other source.

mod component;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

pub use self::component::{Component, Delivery, Values};
use self::component::{count, too_few};
use super::options::OpenOptions;
use super::piece::split;
use super::{Cardinality, Decoded, Partition, ReadOptions, Selection, Source, Unit, Units};
use crate::column::assemble::InPlace;
use crate::column::component::ComponentBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::element::{ElementColumn, ElementPlan};
use crate::tf::dims::Dims;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::variant::Value;

/// A dataset that the caller runs.
pub trait Elements: fmt::Debug + Send + Sync {
    /// Begins to deliver elements.
    ///
    /// # Errors
    /// The dataset cannot be run.
    fn start(&self, wanted: &Wanted) -> Result<Box<dyn Deliveries>>;

    /// How many elements there are, before any selection.
    fn cardinality(&self) -> Cardinality {
        Cardinality::Unknown
    }
}

/// What is wanted of a dataset.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Wanted {
    /// The elements that are delivered; others are not.
    pub selection: Selection,
    /// Elements in a batch of columns: best delivered together, where that takes no more than
    /// [`batch_bytes`](Self::batch_bytes).
    pub batch_rows: usize,
    /// Bytes of elements after which a batch is ended early.
    pub batch_bytes: usize,
    /// For each component, in flatten order: whether its values are read. For others anything may
    /// be delivered.
    pub components: Vec<bool>,
}

/// A dataset as it runs.
pub trait Deliveries: Send {
    /// The next elements; `None` at the end.
    ///
    /// # Errors
    /// The dataset failed.
    fn next(&mut self) -> Result<Option<Delivery>>;
}

/// A source of [`Elements`].
#[derive(Debug)]
pub(crate) struct ElementsSource {
    spec: ElementSpec,
    elements: Arc<dyn Elements>,
    options: OpenOptions,
    plan: Arc<ElementPlan>,
    /// How many components an element has.
    components: usize,
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
        let components = components(spec).len();
        if components == 0 {
            return Err(Error::unsupported("elements without components"));
        }
        let mut partition = Partition::new("dataset", Vec::new());
        if let Cardinality::Known(rows) = elements.cardinality() {
            partition.rows = Some(rows);
        }
        let (spec, options) = (spec.clone(), options.clone());
        Ok(Self { spec, elements, options, plan: Arc::new(plan), components, partitions: [partition] })
    }
}

impl ElementsSource {
    fn wanted(&self, options: &ReadOptions) -> Wanted {
        let mut components = vec![false; self.components];
        for (number, _) in self.plan.columns.iter().flat_map(|column| &column.components) {
            if let Some(wanted) = components.get_mut(*number) {
                *wanted = true;
            }
        }
        Wanted {
            selection: options.selection,
            batch_rows: options.batch_rows.max(1),
            batch_bytes: options.record_bytes(),
            components,
        }
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

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let options = self.options.projected(columns)?;
        Ok(Arc::new(Self::new(&self.spec, self.elements.clone(), &options)?))
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        if self.elements.cardinality() == Cardinality::Infinite && options.selection.take.is_none() {
            return Err(Error::config("the dataset has no end").with_hint("say how many rows to take"));
        }
        let deliveries = match partitions.contains(&0) {
            true => Some(self.elements.start(&self.wanted(options))?),
            false => None,
        };
        let (plan, options) = (self.plan.clone(), options.clone());
        Ok(Box::new(ElementUnits { deliveries, at_hand: None, plan, options, element: 0 }))
    }
}

type Piece = super::piece::Piece<Delivery>;

/// The first stage: elements are delivered, and put together to batches.
struct ElementUnits {
    deliveries: Option<Box<dyn Deliveries>>,
    /// What was delivered and not given out yet.
    at_hand: Option<Piece>,
    plan: Arc<ElementPlan>,
    options: ReadOptions,
    /// Elements delivered so far.
    element: u64,
}

impl ElementUnits {
    /// Rows that were delivered; `None` at the end.
    fn deliver(&mut self) -> Result<Option<Piece>> {
        let Some(deliveries) = &mut self.deliveries else { return Ok(None) };
        let Some(delivery) = deliveries.next().map_err(|e| e.at_record(self.element))? else {
            self.deliveries = None;
            return Ok(None);
        };
        let first_element = self.element;
        self.element += delivery.rows as u64;
        self.options.progress.add_bytes(delivery.bytes());
        Ok(Some(Piece { rows: 0..delivery.rows, delivered: Arc::new(delivery), first_element }))
    }

    fn cut(&mut self) -> Result<Option<ElementUnit>> {
        let (mut pieces, mut rows, mut bytes) = (Vec::new(), 0, 0);
        let most = self.options.batch_rows.max(1);
        while rows < most && bytes < self.options.record_bytes() as u64 {
            let at_hand = self.at_hand.take();
            let Some(mut piece) = at_hand.map_or_else(|| self.deliver(), |piece| Ok(Some(piece)))? else {
                break;
            };
            let now = piece.rows.len().min(most - rows);
            if now < piece.rows.len() {
                let rest = piece.rows.start + now..piece.rows.end;
                self.at_hand = Some(piece.with_rows(rest));
                piece.rows.end = piece.rows.start + now;
            }
            rows += now;
            bytes += piece.delivered.bytes();
            pieces.push(piece);
        }
        let (plan, options) = (self.plan.clone(), self.options.clone());
        Ok((rows > 0).then_some(ElementUnit { pieces, plan, options }))
    }
}

impl Units for ElementUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let unit = self.cut();
        if unit.is_err() {
            (self.deliveries, self.at_hand) = (None, None);
        }
        Ok(unit?.map(|unit| Box::new(unit) as Box<dyn Unit>))
    }
}

/// The second stage: elements become columns.
struct ElementUnit {
    pieces: Vec<Piece>,
    plan: Arc<ElementPlan>,
    options: ReadOptions,
}

impl Unit for ElementUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        self.emit(&self.pieces, emit).map(|()| None)
    }
}

impl ElementUnit {
    /// Gives the rows as a batch; as several where 32-bit offsets would overflow.
    fn emit(&self, pieces: &[Piece], emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<()> {
        let rows: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
        match self.batch(pieces, rows) {
            Err(error) if error.kind() == ErrorKind::Limit && rows > 1 => {
                let (first, second) = split(pieces, rows / 2);
                self.emit(&first, emit)?;
                self.emit(&second, emit)
            }
            batch => {
                emit(batch?.into())?;
                self.options.progress.add_rows(rows as u64);
                Ok(())
            }
        }
    }

    fn batch(&self, pieces: &[Piece], rows: usize) -> Result<RecordBatch> {
        let columns = self.plan.columns.iter().map(|column| self.column(column, pieces));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options).map_err(Error::from)
    }

    fn column(&self, column: &ElementColumn, pieces: &[Piece]) -> Result<ArrayRef> {
        if let ([piece], [(number, spec)], true) =
            (pieces, column.components.as_slice(), column.spec.is_leaf())
            && let Some(component) = piece.delivered.components.get(*number)
            && let Some(array) = in_place(column, spec, component, piece)?
        {
            return Ok(array);
        }
        let mut builder = ComponentBuilder::for_field(
            column.field.clone(),
            &column.path,
            &column.spec,
            &self.plan.options,
        )?;
        for piece in pieces {
            piece.append(column, &mut builder).map_err(|e| e.in_column(column.path.as_str()))?;
        }
        builder.finish()
    }
}

impl Piece {
    fn append(&self, column: &ElementColumn, builder: &mut ComponentBuilder) -> Result<()> {
        if let Some(values) = self.stacked(column)? {
            let appended = builder.append_slices_flat(&mut values.iter(), self.rows.clone());
            return appended.map_err(|e| e.at_record(self.first_element));
        }
        for row in self.rows.clone() {
            let values = column.components.iter().map(|(number, spec)| {
                let component = self.delivered.components.get(*number).ok_or_else(too_few)?;
                component.value(spec, row)
            });
            let values = values.collect::<Result<Vec<_>>>();
            values
                .and_then(|values| builder.append_flat(&mut values.iter()))
                .map_err(|e| e.at_record(self.first_element + row as u64))?;
        }
        Ok(())
    }

    /// The values of all delivered rows in one tensor a component, where all were delivered so.
    fn stacked(&self, column: &ElementColumn) -> Result<Option<Vec<Value<'_>>>> {
        let mut all = Vec::new();
        for (number, spec) in &column.components {
            let (Some(Component::Stacked { shape, values }), ElementSpec::Tensor { dtype, shape: expected }) =
                (self.delivered.components.get(*number), spec)
            else {
                return Ok(None);
            };
            if !expected.accepts(shape) {
                return Err(Error::mismatch("tensor of another shape")
                    .expected(expected.to_string(), Shape::known(shape).to_string()));
            }
            let mut dims = Dims::new(&[self.delivered.rows as u64]);
            shape.iter().for_each(|n| dims.push(*n));
            let len = count(&dims).ok_or_else(too_few)?;
            let mut value = Value::Tensor(values.tensor(*dtype, dims, 0..len)?);
            value.index();
            all.push(value);
        }
        Ok(Some(all))
    }
}

/// The column over the memory that was delivered, if its values lie there as Arrow stores them.
fn in_place(
    column: &ElementColumn,
    spec: &ElementSpec,
    component: &Component,
    piece: &Piece,
) -> Result<Option<ArrayRef>> {
    let (delivered, rows) = (piece.delivered.rows, &piece.rows);
    let (
        ElementSpec::Tensor { dtype, shape },
        Component::Stacked { shape: found, values: Values::Numbers(values) },
    ) = (spec, component)
    else {
        return Ok(None);
    };
    let data_type = column.field.data_type();
    let Some(rows_in_place) = InPlace::of(*dtype, shape, data_type) else { return Ok(None) };
    if shape.as_known().as_deref() != Some(found.as_slice()) {
        return Ok(None);
    }
    let per_row = rows_in_place.row_bytes;
    if per_row.checked_mul(delivered) != Some(values.len()) {
        return Err(Error::mismatch("tensors that do not fill their shape")
            .expected(format!("{delivered} rows of {per_row} bytes"), format!("{} bytes", values.len()))
            .in_column(column.path.as_str()));
    }
    rows_in_place.column(values, rows.clone(), data_type)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float32Type, Int32Type};

    use arrow::buffer::Buffer;

    use super::*;
    use crate::tf::dtype::DType;

    /// Gives the same elements over and over.
    #[derive(Debug, Clone)]
    struct Ready(Vec<Delivery>);

    impl Elements for Ready {
        fn start(&self, _: &Wanted) -> Result<Box<dyn Deliveries>> {
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
