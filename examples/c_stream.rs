//! A dataset for other languages: a shared library that opens one as an Arrow C stream.
//!
//! ```text
//! cargo build --example c_stream
//! python tests/python/check_c_stream.py target/debug/examples/libc_stream.so \
//!     'examples/data/digits/digits.tfrecord-*'
//! ```
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use tfarrow::arrow::ffi_stream::FFI_ArrowArrayStream;
use tfarrow::{ReaderBuilder, export_stream};

/// Opens `input` and returns its stream, which is to be given back to [`tfarrow_free`]; null, and a
/// message in `error`, if that fails. The message is to be given back to [`tfarrow_free_error`].
///
/// # Safety
/// `input` is a C string, and `error` is null or can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfarrow_open(
    input: *const c_char,
    error: *mut *mut c_char,
) -> *mut FFI_ArrowArrayStream {
    // SAFETY: the caller gives a C string.
    let input = unsafe { CStr::from_ptr(input) }.to_string_lossy().into_owned();
    match ReaderBuilder::new([input]).build() {
        Ok(reader) => Box::into_raw(Box::new(export_stream(reader.into_arrow()))),
        Err(e) => {
            if !error.is_null() {
                let message = CString::new(e.to_string().replace('\0', " ")).unwrap_or_default();
                // SAFETY: the caller says that `error` can be written to.
                unsafe { error.write(message.into_raw()) };
            }
            ptr::null_mut()
        }
    }
}

/// Frees a stream; releases it first if nobody else has taken it over.
///
/// # Safety
/// `stream` comes from [`tfarrow_open`] and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfarrow_free(stream: *mut FFI_ArrowArrayStream) {
    // SAFETY: the pointer comes from `Box::into_raw` in `tfarrow_open`.
    drop(unsafe { Box::from_raw(stream) });
}

/// Frees a message.
///
/// # Safety
/// `error` comes from [`tfarrow_open`] and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tfarrow_free_error(error: *mut c_char) {
    // SAFETY: the pointer comes from `CString::into_raw` in `tfarrow_open`.
    drop(unsafe { CString::from_raw(error) });
}
