//! Handing batches to other languages in the same process, without a copy: the Arrow C stream
//! interface.

use arrow::array::RecordBatchReader;
use arrow::ffi_stream::FFI_ArrowArrayStream;

/// A reader as a C stream, which any Arrow library in the process can take: pyarrow, polars, DuckDB,
/// nanoarrow, in Python through a PyCapsule.
///
/// O(1). Batches are read when the other side asks for them, on its thread, and their buffers are
/// shared, not copied. Whoever receives the structure must call its `release` when done with it;
/// dropping it here does. Errors of the reader reach the other side as messages.
///
/// The program `examples/c_stream.rs` and the script `tests/python/check_c_stream.py` show both
/// ends.
///
/// ```
/// use tfarrow::arrow::ffi_stream::ArrowArrayStreamReader;
/// use tfarrow::{ReaderBuilder, export_stream};
///
/// let reader = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).build()?;
/// let stream = export_stream(reader.into_arrow());
/// // The other side, which here is Rust too:
/// let mut rows = 0;
/// for batch in ArrowArrayStreamReader::try_new(stream)? {
///     rows += batch?.num_rows();
/// }
/// assert_eq!(rows, 1797);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn export_stream(reader: impl RecordBatchReader + Send + 'static) -> FFI_ArrowArrayStream {
    FFI_ArrowArrayStream::new(Box::new(reader))
}
