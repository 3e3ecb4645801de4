//! `tf.data` datasets of this process: what `tfarrow/_live.py` delivers, for the Rust library.

use std::sync::Arc;

use arrow::buffer::Buffer as ArrowBuffer;
use pyo3::exceptions::{PyKeyboardInterrupt, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyTuple};
use tfarrow::elements::{Component, Deliveries, Delivery, Elements, Values, Wanted};
use tfarrow::source::Cardinality;
use tfarrow::{Error, ErrorKind};

use crate::buffer;

/// `_live.Elements`, as a dataset that the library reads.
#[derive(Debug)]
pub(crate) struct PyElements {
    elements: Py<PyAny>,
    cardinality: Cardinality,
}

impl PyElements {
    pub(crate) fn new(elements: &Bound<'_, PyAny>) -> PyResult<Self> {
        let cardinality = match elements.call_method0("cardinality")?.extract::<i64>()? {
            -1 => Cardinality::Infinite,
            n => u64::try_from(n).map_or(Cardinality::Unknown, Cardinality::Known),
        };
        Ok(Self { elements: elements.clone().unbind(), cardinality })
    }
}

impl Elements for PyElements {
    fn start(&self, wanted: &Wanted) -> tfarrow::Result<Box<dyn Deliveries>> {
        Python::attach(|py| {
            let selection = &wanted.selection;
            let arguments = (
                selection.skip,
                selection.shard,
                selection.take,
                wanted.batch_rows,
                wanted.batch_bytes,
                wanted.components.clone(),
            );
            let started = self.elements.bind(py).call_method1("start", arguments)?;
            Ok(Box::new(PyDeliveries(started.cast_into::<PyIterator>()?.unbind())) as Box<dyn Deliveries>)
        })
        .map_err(failed)
    }

    fn cardinality(&self) -> Cardinality {
        self.cardinality
    }
}

/// An iterator of deliveries.
struct PyDeliveries(Py<PyIterator>);

impl Deliveries for PyDeliveries {
    fn next(&mut self) -> tfarrow::Result<Option<Delivery>> {
        Python::attach(|py| self.0.bind(py).clone().next().map(|item| delivery(&item?)).transpose())
            .map_err(failed)
    }
}

/// A Python exception as an error of the library; its first line says what happened.
fn failed(error: PyErr) -> Error {
    Python::attach(|py| {
        let kind = match error.is_instance_of::<PyKeyboardInterrupt>(py) {
            true => ErrorKind::Interrupted,
            false => ErrorKind::Mismatch,
        };
        let text = error.value(py).to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let name = error.get_type(py).name().map_or_else(|_| String::new(), |name| name.to_string());
        Error::new(kind, format!("the dataset failed: {name}: {line}"))
    })
}

fn delivery(item: &Bound<'_, PyAny>) -> PyResult<Delivery> {
    let (rows, components): (usize, Bound<'_, PyList>) = item.extract()?;
    let components = components.iter().map(|part| component(&part)).collect::<PyResult<_>>()?;
    Ok(Delivery { rows, components })
}

fn component(item: &Bound<'_, PyAny>) -> PyResult<Component> {
    if item.is_none() {
        // Nobody reads it.
        return Ok(Component::Dataset(Vec::new()));
    }
    let parts = item.cast::<PyTuple>()?;
    let part = |i: usize| parts.get_item(i);
    let integers = |i: usize| integers(&part(i)?);
    Ok(match part(0)?.extract::<String>()?.as_str() {
        "stacked" => Component::Stacked { shape: part(1)?.extract()?, values: values(&part(2)?)? },
        "variable" => Component::Variable {
            values: values(&part(1)?)?,
            value_splits: integers(2)?,
            shapes: integers(3)?,
            shape_splits: integers(4)?,
        },
        "ragged" => ragged(parts)?,
        "sparse" => Component::Sparse {
            indices: integers(1)?,
            values: values(&part(2)?)?,
            value_splits: integers(3)?,
            dense_shapes: integers(4)?,
        },
        "optional" => Component::Optional {
            present: buffer::bytes_of(&part(1)?)?.iter().map(|byte| *byte != 0).collect(),
            components: part(2)?
                .cast::<PyList>()?
                .iter()
                .map(|part| component(&part))
                .collect::<PyResult<_>>()?,
        },
        "dataset" => {
            let deliveries = part(1)?.cast::<PyList>()?.iter().map(|item| delivery(&item));
            Component::Dataset(vec![deliveries.collect::<PyResult<_>>()?])
        }
        other => return Err(PyTypeError::new_err(format!("component of kind {other}"))),
    })
}

/// Ragged tensors: the shapes of the flat values say how many each row has, and the shape of one.
fn ragged(parts: &Bound<'_, PyTuple>) -> PyResult<Component> {
    let shapes = integers(&parts.get_item(2)?)?;
    let levels = parts.get_item(3)?;
    let mut row_splits = Vec::new();
    for level in levels.cast::<PyList>()?.iter() {
        let (splits, positions): (Bound<'_, PyAny>, Bound<'_, PyAny>) = level.extract()?;
        row_splits.push((integers(&splits)?, integers(&positions)?));
    }
    let rows = row_splits.first().map_or(0, |(_, positions)| positions.len().saturating_sub(1));
    let rank = shapes.len().checked_div(rows).unwrap_or(1).max(1);
    let mut value_splits = vec![0];
    let mut inner_shape = Vec::new();
    for shape in shapes.chunks(rank) {
        let (count, inner) = shape.split_first().unwrap_or((&0, &[]));
        value_splits.push(value_splits.last().copied().unwrap_or(0) + count);
        inner_shape = inner.iter().map(|n| u64::try_from(*n).unwrap_or(0)).collect();
    }
    Ok(Component::Ragged { values: values(&parts.get_item(1)?)?, value_splits, inner_shape, row_splits })
}

/// Numbers in a buffer, shared; or the lengths and the bytes of strings.
fn values(item: &Bound<'_, PyAny>) -> PyResult<Values> {
    let Ok(strings) = item.cast::<PyTuple>() else { return buffer::shared(item).map(Values::Numbers) };
    let lengths = buffer::bytes_of(&strings.get_item(0)?)?;
    let mut end = 0i64;
    let lengths = lengths.as_chunks::<4>().0.iter().map(|length| i64::from(i32::from_le_bytes(*length)));
    let ends = lengths.map(|length| {
        end += length;
        end
    });
    let offsets = std::iter::once(0).chain(ends).collect();
    let joined = strings.get_item(1)?;
    let bytes = ArrowBuffer::from(joined.cast::<PyBytes>()?.as_bytes());
    Ok(Values::Strings { offsets, bytes })
}

/// The values of an int64 tensor.
fn integers(tensor: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    let bytes = buffer::bytes_of(tensor)?;
    Ok(bytes.as_chunks::<8>().0.iter().map(|value| i64::from_le_bytes(*value)).collect())
}

/// A dataset that is read by the library.
pub(crate) fn shared(elements: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Elements>> {
    Ok(Arc::new(PyElements::new(elements)?))
}
