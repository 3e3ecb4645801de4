//! The Arrow C data interface: schemas, arrays and streams in capsules.
#![allow(unsafe_code)]

use arrow::array::{Array, RecordBatch, RecordBatchReader, StructArray};
use arrow::datatypes::Schema;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use tfarrow::Error;

use crate::error::raise;

pub(crate) fn schema<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let exported = FFI_ArrowSchema::try_from(schema).map_err(|e| raise(py, &e.into()))?;
    PyCapsule::new_with_value(py, exported, c"arrow_schema")
}

/// The schema and the array of a batch, which is a struct of its columns.
pub(crate) fn array<'py>(
    py: Python<'py>,
    batch: &RecordBatch,
) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
    let columns = StructArray::from(batch.clone());
    let exported = FFI_ArrowArray::new(&columns.to_data());
    Ok((schema(py, batch.schema_ref())?, PyCapsule::new_with_value(py, exported, c"arrow_array")?))
}

pub(crate) fn stream<'py>(
    py: Python<'py>,
    reader: impl RecordBatchReader + Send + 'static,
) -> PyResult<Bound<'py, PyCapsule>> {
    let exported = FFI_ArrowArrayStream::new(Box::new(reader));
    PyCapsule::new_with_value(py, exported, c"arrow_array_stream")
}

/// A reader of what an object's `__arrow_c_stream__` gives.
pub(crate) fn reader(object: &Bound<'_, PyAny>) -> PyResult<ArrowArrayStreamReader> {
    let py = object.py();
    if !object.hasattr("__arrow_c_stream__")? {
        return Err(PyTypeError::new_err(format!(
            "expected Arrow data (an object with __arrow_c_stream__: a pyarrow table or reader, a polars or \
             pandas frame, a tfarrow.Dataset), found {}",
            object.get_type().name()?
        )));
    }
    let capsule = object.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
    // SAFETY: a capsule of that name holds a valid stream; reading takes it out and leaves a released
    // one behind, which is what the capsule's own destructor expects.
    let reader = unsafe { ArrowArrayStreamReader::from_raw(pointer.as_ptr().cast()) };
    reader.map_err(|e| raise(py, &Error::from(e)))
}
