//! From fetched tensors to Arrow columns: TensorFlow's own memory where the values lie in it as
//! Arrow wants them, copies otherwise.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};

use super::runner::{Delivered, Fetched};
use super::tensor::PlainTensor;
use crate::column::assemble::InPlace;
use crate::column::component::ComponentBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Phrase;
use crate::schema::element::{ElementColumn, ElementPlan};
use crate::source::options::OpenOptions;
use crate::source::piece::split;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::tensor_proto::{Dims, Strings, Tensor};
use crate::tf::unbatch::unbatched;
use crate::tf::variant::{self, Value};

pub(super) type Piece = crate::source::piece::Piece<Delivered>;

/// Makes batches of a plan's columns.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) plan: Arc<ElementPlan>,
    /// The specs of the pipeline's components, in flatten order.
    pub(super) specs: Vec<ElementSpec>,
    /// The rows of an element are slices of it.
    pub(super) unbatch: bool,
}

impl Columns {
    /// The columns of elements of `spec`, with the components `specs`.
    ///
    /// # Errors
    /// A component cannot be stored, or an option does not fit.
    pub(super) fn new(spec: &ElementSpec, specs: Vec<ElementSpec>, options: &OpenOptions) -> Result<Self> {
        let row_spec = if options.unbatch { unbatched(spec)? } else { spec.clone() };
        let OpenOptions { mapping, projection, names, unbatch, .. } = options;
        let plan = ElementPlan::new(&row_spec, mapping, projection, names, "pipeline")?;
        Ok(Self { plan: Arc::new(plan), specs, unbatch: *unbatch })
    }

    /// Makes a batch of `pieces`; more than one where 32-bit offsets would overflow.
    ///
    /// # Errors
    /// A value is not what the element spec says, or `emit` fails.
    pub(super) fn emit(
        &self,
        pieces: &[Piece],
        emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let rows: usize = pieces.iter().map(|piece| piece.rows.len()).sum();
        match self.batch(pieces) {
            Err(error) if error.kind() == ErrorKind::Limit && rows > 1 => {
                let (first, second) = split(pieces, rows / 2);
                self.emit(&first, emit)?;
                self.emit(&second, emit)
            }
            batch => emit(batch?),
        }
    }

    fn batch(&self, pieces: &[Piece]) -> Result<RecordBatch> {
        let rows = pieces.iter().map(|piece| piece.rows.len()).sum();
        let columns = self.plan.columns.iter();
        let arrays = columns.map(|column| self.column(column, pieces)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.plan.schema.clone(), arrays, &options).map_err(Error::from)
    }

    fn column(&self, column: &ElementColumn, pieces: &[Piece]) -> Result<ArrayRef> {
        if let ([piece], [(number, _)], true) = (pieces, column.components.as_slice(), column.spec.is_leaf())
            && let Some(Fetched::Plain(tensor)) = piece.delivered.components.get(*number)
            && let Some(array) = self.in_place(column, tensor, piece)?
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
            self.append(&mut builder, column, piece).map_err(|e| {
                let slices = if self.unbatch { 0 } else { builder.rows() as u64 };
                e.at_record(piece.first_element + slices).in_column(column.path.as_str())
            })?;
        }
        builder.finish()
    }

    /// The column over TensorFlow's own memory, if the values lie in it as Arrow stores them.
    fn in_place(
        &self,
        column: &ElementColumn,
        tensor: &PlainTensor,
        piece: &Piece,
    ) -> Result<Option<ArrayRef>> {
        let ElementSpec::Tensor { dtype, shape } = &column.spec else { return Ok(None) };
        let Some(sizes) = shape.as_known() else { return Ok(None) };
        let data_type = column.field.data_type();
        let Some(rows_in_place) = InPlace::of(*dtype, shape, data_type) else { return Ok(None) };
        let Some((leading, inner)) = tensor.dims().split_first() else { return Ok(None) };
        if inner != sizes {
            return Err(Error::mismatch("tensor of another shape")
                .expected(shape.to_string(), Shape::known(inner).to_string())
                .at_record(piece.first_element)
                .in_column(column.path.as_str()));
        }
        if *leading < piece.rows.end as u64 {
            return Err(Error::mismatch("components of different batch sizes")
                .expected(format!("at least {} rows", piece.rows.end), leading.to_string())
                .in_column(column.path.as_str()));
        }
        rows_in_place.column(&tensor.buffer(), piece.rows.clone(), data_type)
    }

    fn append(&self, builder: &mut ComponentBuilder, column: &ElementColumn, piece: &Piece) -> Result<()> {
        let fetched = |number: usize| {
            let spec = self.specs.get(number);
            spec.zip(piece.delivered.components.get(number))
                .ok_or_else(|| Error::corrupt("element with too few components"))
        };
        if self.unbatch {
            let values = column.components.iter().map(|(number, _)| {
                let (spec, fetched) = fetched(*number)?;
                let mut value = fetched.element(spec, 0)?;
                value.index();
                Ok(value)
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            return builder.append_slices_flat(&mut values.iter(), piece.rows.clone());
        }
        let stacked = column.components.iter().map(|(number, _)| {
            let (_, fetched) = fetched(*number)?;
            fetched.stacked()
        });
        if let Some(values) = stacked.collect::<Result<Option<Vec<Value<'_>>>>>()? {
            return builder.append_slices_flat(&mut values.iter(), piece.rows.clone());
        }
        for row in piece.rows.clone() {
            let values = column.components.iter().map(|(number, _)| {
                let (spec, fetched) = fetched(*number)?;
                fetched.row(spec, row)
            });
            let values = values.collect::<Result<Vec<_>>>()?;
            builder.append_flat(&mut values.iter())?;
        }
        Ok(())
    }

    /// The number of rows of a delivery; with `unbatch`, of slices of its one element.
    ///
    /// # Errors
    /// The element has no leading dimension, or not the same one in all components.
    pub(super) fn rows(&self, delivered: &Delivered) -> Result<usize> {
        if !self.unbatch {
            return Ok(delivered.elements);
        }
        let mut rows = None;
        for (number, spec) in self
            .plan
            .columns
            .iter()
            .flat_map(|column| &column.components)
            .map(|(n, _)| (*n, self.specs.get(*n)))
        {
            let (Some(fetched), Some(spec)) = (delivered.components.get(number), spec) else { continue };
            let found = fetched.leading(spec)?;
            let expected = *rows.get_or_insert(found);
            if expected != found {
                return Err(Error::mismatch("components of different batch sizes")
                    .expected(expected.to_string(), found.to_string())
                    .with_hint(Phrase::new("leave out {unbatch}, or this column with {exclude}")));
            }
        }
        Ok(rows.unwrap_or(0))
    }
}

impl Fetched {
    /// The value of a whole batch, if it is in one tensor.
    fn stacked(&self) -> Result<Option<Value<'_>>> {
        Ok(match self {
            Fetched::Plain(tensor) if !tensor.dims().is_empty() => Some(Value::Tensor(tensor.tensor()?)),
            Fetched::Strings(tensor) if !tensor.dims().is_empty() => Some(Value::Tensor(tensor.tensor()?)),
            _ => None,
        })
    }

    /// The value of one element of a batch.
    fn row(&self, spec: &ElementSpec, row: usize) -> Result<Value<'_>> {
        match self {
            Fetched::Plain(tensor) => slice(&tensor.tensor()?, row),
            Fetched::Strings(tensor) => slice(&tensor.tensor()?, row),
            other => other.element(spec, row),
        }
    }

    /// The value of an element that was delivered whole, or serialized as number `row`.
    fn element(&self, spec: &ElementSpec, row: usize) -> Result<Value<'_>> {
        match self {
            Fetched::Plain(tensor) => variant::decode(spec, tensor.tensor()?),
            Fetched::Strings(tensor) => variant::decode(spec, tensor.tensor()?),
            Fetched::Serialized(tensors) => variant::decode(spec, Tensor::parse(tensors.get(row))?),
            Fetched::Wrapped(tensors) => {
                let optional = ElementSpec::Optional(Box::new(spec.clone()));
                match variant::decode(&optional, Tensor::parse(tensors.get(row))?)? {
                    Value::Optional(Some(values)) => {
                        values.into_iter().next().ok_or_else(|| Error::corrupt("optional without a value"))
                    }
                    _ => Err(Error::corrupt("optional without a value")),
                }
            }
            Fetched::Dataset(deliveries) => {
                let ElementSpec::Dataset(inner) = spec else {
                    return Err(Error::corrupt("dataset where none is expected"));
                };
                let specs = super::stage::leaves(inner);
                let mut elements = Vec::new();
                for delivered in deliveries {
                    for row in 0..delivered.elements {
                        let parts = specs.iter().zip(&delivered.components);
                        let values = parts.map(|(spec, part)| part.inner_row(spec, row, delivered.elements));
                        elements.push(values.collect::<Result<Vec<_>>>()?);
                    }
                }
                Ok(Value::Dataset(elements))
            }
            Fetched::Unread => Err(Error::corrupt("component that was not read")),
        }
    }

    /// As [`row`](Self::row); a dataset that itself holds datasets delivers its elements whole.
    fn inner_row(&self, spec: &ElementSpec, row: usize, elements: usize) -> Result<Value<'_>> {
        let whole = |dims: &[u64]| match spec {
            ElementSpec::Tensor { shape, .. } => elements == 1 && shape.accepts(dims),
            _ => false,
        };
        match self {
            Fetched::Plain(tensor) if whole(tensor.dims()) => self.element(spec, row),
            Fetched::Strings(tensor) if whole(tensor.dims()) => self.element(spec, row),
            _ => self.row(spec, row),
        }
    }

    /// The leading dimension of an element that is a batch.
    fn leading(&self, spec: &ElementSpec) -> Result<usize> {
        let none = || Error::mismatch("element has no dimension to split it along");
        let leading = match self {
            Fetched::Plain(tensor) => tensor.dims().first().copied(),
            Fetched::Strings(tensor) => tensor.dims().first().copied(),
            Fetched::Serialized(tensors) => variant::leading_dim(spec, &Tensor::parse(tensors.get(0))?),
            Fetched::Wrapped(_) => match self.element(spec, 0)? {
                Value::Tensor(tensor) => tensor.dims().first().copied(),
                _ => None,
            },
            Fetched::Dataset(_) | Fetched::Unread => None,
        };
        leading.and_then(|n| usize::try_from(n).ok()).ok_or_else(none)
    }
}

/// One slice of a batched tensor, as an element's value.
fn slice<'a>(tensor: &Tensor<'a>, row: usize) -> Result<Value<'a>> {
    let out = || Error::mismatch("batch with too few elements");
    let (batch, dims) = tensor.dims().split_first().ok_or_else(out)?;
    let per_row = tensor.len().checked_div(usize::try_from(*batch).unwrap_or(usize::MAX)).ok_or_else(out)?;
    let range = row * per_row..(row + 1) * per_row;
    let dims = Dims::new(dims);
    Ok(Value::Tensor(match tensor.data() {
        crate::tf::tensor_proto::Data::Strings(strings) => {
            Tensor::from_strings(dims, Strings::from_slices(strings.range(range).collect()))?
        }
        _ => {
            let bytes = tensor.bytes_of(range).ok_or_else(out)?.to_vec();
            Tensor::from_bytes(tensor.dtype(), dims, bytes.into())?
        }
    }))
}
