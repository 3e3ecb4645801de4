//! Memory of Arrow arrays as Python's buffer protocol hands it on.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

use arrow::buffer::Buffer as ArrowBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Bytes of an Arrow buffer, read-only and not copied: `memoryview(buffer)` is the memory itself,
/// which lives as long as any view of it.
#[pyclass(frozen, module = "tfarrow._tfarrow")]
pub(crate) struct Buffer(ArrowBuffer);

impl From<ArrowBuffer> for Buffer {
    fn from(bytes: ArrowBuffer) -> Self {
        Self(bytes)
    }
}

#[pymethods]
impl Buffer {
    /// Where the bytes are.
    #[getter]
    fn address(&self) -> usize {
        self.0.as_ptr() as usize
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// # Safety
    /// Called by Python, with a `view` that is valid or null.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill"));
        }
        let bytes = &slf.get().0;
        // An empty buffer may point anywhere; Python wants an address all the same.
        let address = if bytes.is_empty() { ptr::dangling() } else { bytes.as_ptr() };
        let len = ffi::Py_ssize_t::try_from(bytes.len())?;
        // SAFETY: `view` is valid; the bytes are immutable and live as long as `slf`, which the view
        // holds a reference to; a writable view is refused by the call itself (readonly = 1).
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), address.cast_mut().cast::<c_void>(), len, 1, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// Memory of a Python object, held by its buffer protocol.
struct Held(Box<ffi::Py_buffer>);

// SAFETY: the memory is read-only as long as it is held, whichever thread reads it; it is given back
// with the GIL held.
unsafe impl Send for Held {}
// SAFETY: as above; there is no way to write through it.
unsafe impl Sync for Held {}

impl Held {
    fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: `object` is a Python object, the GIL is held, and `view` has a fixed address, as
        // it must have until it is released.
        let got = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *view, ffi::PyBUF_C_CONTIGUOUS) };
        if got == 0 { Ok(Self(view)) } else { Err(PyErr::fetch(object.py())) }
    }

    fn len(&self) -> usize {
        usize::try_from(self.0.len).unwrap_or(0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // When the interpreter ends, so does the memory.
        Python::try_attach(|_| {
            // SAFETY: the view was filled by `PyObject_GetBuffer` and is released once.
            unsafe { ffi::PyBuffer_Release(&mut *self.0) }
        });
    }
}

/// The memory of a C-contiguous buffer as an Arrow buffer: nothing is copied, and the object lives as
/// long as any slice of it. It must not be written to meanwhile, which TensorFlow's tensors are not.
pub(crate) fn shared(object: &Bound<'_, PyAny>) -> PyResult<ArrowBuffer> {
    let held = Held::new(object)?;
    let (address, len) = (held.0.buf.cast::<u8>(), held.len());
    let Some(address) = ptr::NonNull::new(address).filter(|_| len > 0) else {
        return Ok(ArrowBuffer::from_vec(Vec::<u8>::new()));
    };
    // SAFETY: the view says that `len` bytes are at `address`, which `held` keeps alive.
    Ok(unsafe { ArrowBuffer::from_custom_allocation(address, len, std::sync::Arc::new(held)) })
}

/// The bytes of a C-contiguous buffer, copied.
pub(crate) fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    shared(object).map(|bytes| bytes.to_vec())
}
