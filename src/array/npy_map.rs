//! Memory-mapped `.npy` files.
#![allow(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayData, ArrayRef, make_array};
use arrow::buffer::Buffer;
use arrow::datatypes::DataType;
use ndarray::{ArrayView, ArrayViewD, Dimension, IxDyn, ShapeBuilder};

use super::mapped;
use crate::error::{Error, Result};
use crate::tensor::scalar::Scalar;
use crate::tf::dtype::DType;

/// What every `.npy` file begins with; the version follows, and the length of the header.
const MAGIC: &[u8] = b"\x93NUMPY";

/// A memory-mapped NumPy file (`.npy`): opening it costs its header, and views point into the map.
///
/// The file may be larger than memory. Numbers and bools (as `u8`) in the machine's byte order are
/// viewed as they lie, in NumPy's order of dimensions, Fortran's included.
///
/// ```
/// use tfarrow::ndarray::Ix2;
/// use tfarrow::array::NpyMap;
/// # let dir = tempfile::tempdir()?;
/// # let folder = dir.path().join("digits.npyd");
/// # let digits = tfarrow::read("examples/data/digits/digits.tfrecord-*").with_columns(["pixels"]);
/// # tfarrow::Conversion::new(digits).write(&folder)?;
///
/// // SAFETY: nobody changes the file while it is mapped.
/// let map = unsafe { NpyMap::map(folder.join("pixels.npy")) }?;
/// assert_eq!((map.shape(), map.descr()), (&[1797, 64][..], "<f4"));
/// let pixels = map.view_as::<f32, Ix2>()?;
/// assert_eq!(pixels.row(0).len(), 64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NpyMap {
    values: ArrayRef,
    dtype: Option<DType>,
    header: Header,
    name: Arc<str>,
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl NpyMap {
    /// Maps the file at `path` and reads its header.
    ///
    /// # Safety
    /// The file must not be changed or truncated while the map exists, by this process or another: its
    /// bytes are taken for memory that stays as it is.
    ///
    /// # Errors
    /// The file cannot be opened or mapped, is no `.npy` file or is cut short, or holds something else than
    /// numbers or bools in the machine's byte order.
    pub unsafe fn map(path: impl AsRef<Path>) -> Result<Self> {
        // SAFETY: the condition is this function's own.
        unsafe { mapped::map(path.as_ref(), |buffer, name| Self::of_buffer(&buffer, name)) }
    }

    fn of_buffer(file: &Buffer, name: Arc<str>) -> Result<Self> {
        let (header, start) = Header::read(file)?;
        let (data_type, dtype, parts) = header.values()?;
        let width = data_type.primitive_width().unwrap_or(1);
        let values = header.shape.iter().try_fold(parts, |product, size| product.checked_mul(*size));
        let bytes = values.and_then(|values| values.checked_mul(width));
        let present = file.len() - start;
        let bytes = bytes.filter(|bytes| *bytes <= present).ok_or_else(|| {
            let shape = &header.shape;
            Error::corrupt("`.npy` file that is cut short").expected(
                format!("values of {shape:?} times {} bytes", width * parts),
                format!("{present} bytes"),
            )
        })?;
        let memory = file.slice_with_length(start, bytes);
        if memory.as_ptr().align_offset(width) != 0 {
            return Err(Error::unsupported("values that are not aligned in their file")
                .with_hint("write it again with numpy.save"));
        }
        let data = ArrayData::builder(data_type).len(bytes / width).add_buffer(memory).build()?;
        Ok(Self { values: make_array(data), dtype, header, name })
    }

    /// The array's shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The type of its values, as NumPy spells it: `<f4`.
    #[must_use]
    pub fn descr(&self) -> &str {
        &self.header.descr
    }

    /// The array. O(1), borrowed.
    ///
    /// # Errors
    /// The values are not of type `T`.
    pub fn view<T: Scalar>(&self) -> Result<ArrayViewD<'_, T>> {
        let values = T::values(&*self.values, self.dtype).ok_or_else(|| {
            Error::mismatch("wrong type of values")
                .expected(T::NAME, self.header.descr.as_str())
                .in_source(self.name.clone())
        })?;
        let shape = IxDyn(&self.header.shape).set_f(self.header.is_fortran);
        ArrayViewD::from_shape(shape, values).map_err(super::column::internal)
    }

    /// As [`view`](Self::view), of a number of dimensions that is known.
    ///
    /// # Errors
    /// As there, or the array has another number of dimensions.
    pub fn view_as<T: Scalar, D: Dimension>(&self) -> Result<ArrayView<'_, T, D>> {
        let view = self.view::<T>()?;
        let found = view.ndim();
        view.into_dimensionality::<D>().map_err(|_| {
            let expected = D::NDIM.map_or_else(|| "another number".to_owned(), |ndim| ndim.to_string());
            Error::mismatch("another number of dimensions")
                .expected(expected, found.to_string())
                .in_source(self.name.clone())
        })
    }
}

impl Header {
    /// Reads the header of `file`, and says where the values begin.
    fn read(file: &[u8]) -> Result<(Self, usize)> {
        let none = || Error::corrupt("not a `.npy` file");
        let rest = file.strip_prefix(MAGIC).ok_or_else(none)?;
        let (text, before) = match rest {
            [1, _, a, b, text @ ..] => (text.get(..usize::from(u16::from_le_bytes([*a, *b]))), 4),
            [2 | 3, _, a, b, c, d, text @ ..] => {
                let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok();
                (length.and_then(|length| text.get(..length)), 6)
            }
            [] | [1..=3, ..] => return Err(none()),
            [version, ..] => return Err(Error::unsupported(format!("`.npy` file of version {version}"))),
        };
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let text = text.ok_or_else(|| Error::corrupt("`.npy` file without its header"))?;
        let damaged = || Error::corrupt("damaged header of a `.npy` file");
        let descr = value_of(text, "descr").ok_or_else(damaged)?;
        let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).ok_or_else(|| {
            Error::unsupported("`.npy` file of records")
                .with_hint("save one field of it: numpy.save(path, x[\"field\"])")
        })?;
        let is_fortran = value_of(text, "fortran_order").ok_or_else(damaged)?.starts_with("True");
        let shape = value_of(text, "shape").and_then(|shape| shape.strip_prefix('(')?.split_once(')'));
        let sizes = shape.ok_or_else(damaged)?.0.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape =
            sizes.map(|size| size.parse().ok()).collect::<Option<Vec<usize>>>().ok_or_else(damaged)?;
        let start = MAGIC.len() + before + text.len();
        Ok((Self { descr: descr.0.to_owned(), is_fortran, shape }, start))
    }

    /// The type of the values as they lie in the file, their dtype where that says more, and how many of
    /// them make a number.
    fn values(&self) -> Result<(DataType, Option<DType>, usize)> {
        let unsupported = |what: &str| {
            Error::unsupported(format!("`.npy` file of {what}"))
                .expected("numbers or bools", self.descr.as_str())
        };
        let foreign = if cfg!(target_endian = "big") { '<' } else { '>' };
        let Some(kind) = self.descr.strip_prefix(['<', '>', '|', '=']) else {
            return Err(unsupported("another type"));
        };
        if self.descr.starts_with(foreign) {
            return Err(unsupported("the other byte order").with_hint(
                "numpy.save(path, x.astype(x.dtype.newbyteorder(\"=\"))) writes the machine's own",
            ));
        }
        Ok(match kind {
            "b1" => (DataType::UInt8, Some(DType::Bool), 1),
            "u1" => (DataType::UInt8, None, 1),
            "u2" => (DataType::UInt16, None, 1),
            "u4" => (DataType::UInt32, None, 1),
            "u8" => (DataType::UInt64, None, 1),
            "i1" => (DataType::Int8, None, 1),
            "i2" => (DataType::Int16, None, 1),
            "i4" => (DataType::Int32, None, 1),
            "i8" => (DataType::Int64, None, 1),
            "f2" => (DataType::Float16, None, 1),
            "f4" => (DataType::Float32, None, 1),
            "f8" => (DataType::Float64, None, 1),
            "c8" => (DataType::Float32, Some(DType::Complex64), 2),
            "c16" => (DataType::Float64, Some(DType::Complex128), 2),
            // What tfarrow writes bfloat16 as.
            "V2" => (DataType::UInt16, Some(DType::BFloat16), 1),
            _ => return Err(unsupported("another type")),
        })
    }
}

/// What stands behind `key` in the text of a Python dict.
fn value_of<'a>(dict: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = dict.split_once(&format!("'{key}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

#[cfg(test)]
mod tests {
    use half::f16;
    use ndarray::{Ix1, Ix2, arr0, array};
    use num_complex::Complex;

    use super::*;

    fn map(name: &str) -> Result<NpyMap> {
        // SAFETY: the tests change no file that is mapped.
        unsafe { NpyMap::map(format!("tests/golden/npy/{name}.npy")) }
    }

    #[test]
    fn arrays_are_as_numpy_saved_them() {
        let fortran = map("f4_fortran").unwrap();
        let view = fortran.view::<f32>().unwrap();
        assert_eq!(view.shape(), [2, 3, 4]);
        assert_eq!((view[[0, 0, 1]], view[[1, 2, 3]]), (1., 23.));
        assert_eq!(view.iter().copied().collect::<Vec<_>>(), (0u8..24).map(f32::from).collect::<Vec<_>>());
        let complex = map("c8").unwrap();
        let expected = array![Complex::new(1f32, 2.), Complex::new(3., -4.)];
        assert_eq!(complex.view_as::<Complex<f32>, Ix1>().unwrap(), expected);
        assert_eq!(map("bool").unwrap().view_as::<u8, Ix2>().unwrap(), array![[1, 0], [0, 1]]);
        assert_eq!(map("i8_scalar").unwrap().view::<i64>().unwrap(), arr0(-7).into_dyn());
        assert_eq!(map("f2_empty").unwrap().view::<f16>().unwrap().shape(), [0, 5]);
        let second = map("i2_version2").unwrap();
        assert_eq!(second.view_as::<i16, Ix1>().unwrap(), array![-3, -2, -1, 0, 1, 2]);
        assert!(second.view::<u16>().unwrap_err().to_string().contains("expected u16, found <i2"));
        assert!(second.view_as::<i16, Ix2>().unwrap_err().to_string().contains("expected 2, found 1"));
    }

    #[test]
    fn what_cannot_be_viewed_is_refused() {
        for (name, said) in
            [("f8_big_endian", "the other byte order"), ("strings", "another type"), ("records", "records")]
        {
            let error = map(name).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(name), "{error}");
        }
        let whole = std::fs::read("tests/golden/npy/f4_fortran.npy").unwrap();
        for cut in 0..whole.len() {
            let part = Buffer::from(whole[..cut].to_vec());
            assert_eq!(NpyMap::of_buffer(&part, "x".into()).unwrap_err().kind(), crate::ErrorKind::Corrupt);
        }
        let text = String::from_utf8_lossy(&whole[10..128]).replace("(2, 3, 4)", "(4611686018427387904, 9)");
        let mut huge = whole[..8].to_vec();
        huge.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        huge.extend(text.as_bytes());
        let error = NpyMap::of_buffer(&Buffer::from(huge), "x".into()).unwrap_err().to_string();
        assert!(error.contains("cut short"), "{error}");
    }
}
