//! What pipelines built in Rust are made of: arrays and strings.

use arrow::array::Array;
use arrow::buffer::Buffer;
use ndarray::{Array as NdArray, Dimension};

use crate::error::{Error, Result};
use crate::tensor::scalar::Scalar;
use crate::tf::dtype::DType;
use crate::tf::graph_def::strings_content;
use crate::tf::spec::ElementSpec;

/// The values of one component: an array, or strings.
#[derive(Debug, Clone)]
pub struct Values {
    pub(super) dtype: DType,
    pub(super) dims: Vec<u64>,
    /// Plain values; of strings, their lengths as varints and then their bytes.
    pub(super) bytes: Buffer,
}

impl Values {
    /// A vector of strings, which may be any bytes.
    #[must_use]
    pub fn strings<S: AsRef<[u8]>>(values: &[S]) -> Self {
        let bytes = Buffer::from_vec(strings_content(values));
        Self { dtype: DType::String, dims: vec![values.len() as u64], bytes }
    }
}

impl<T: Scalar, D: Dimension> From<NdArray<T, D>> for Values {
    /// Takes over an array's memory if it is in standard order; copies it otherwise.
    fn from(array: NdArray<T, D>) -> Self {
        let dims = array.shape().iter().map(|size| *size as u64).collect();
        let len = array.len();
        let (values, offset) = match array.is_standard_layout() {
            true => array.into_raw_vec_and_offset(),
            false => (array.iter().copied().collect(), None),
        };
        let column = T::array(values, offset.unwrap_or(0) * T::PARTS, len * T::PARTS).to_data();
        let bytes = column.buffers().first().cloned().unwrap_or_else(|| Buffer::from_vec(Vec::<u8>::new()));
        let width = T::DTYPE.item_bytes().unwrap_or(0);
        let start = column.offset() * (width / T::PARTS.max(1));
        Self { dtype: T::DTYPE, dims, bytes: bytes.slice_with_length(start, len * width) }
    }
}

impl<T: Scalar> From<Vec<T>> for Values {
    fn from(values: Vec<T>) -> Self {
        NdArray::from_vec(values).into()
    }
}

impl From<Vec<&str>> for Values {
    fn from(values: Vec<&str>) -> Self {
        Self::strings(&values)
    }
}

/// One component, a tuple of them, or a dict.
#[derive(Debug, Clone)]
pub struct Components(Structure);

#[derive(Debug, Clone)]
enum Structure {
    One(Values),
    Tuple(Vec<Values>),
    Dict(Vec<(String, Values)>),
}

impl<V: Into<Values>> From<V> for Components {
    fn from(values: V) -> Self {
        Self(Structure::One(values.into()))
    }
}

impl<A: Into<Values>, B: Into<Values>> From<(A, B)> for Components {
    fn from((a, b): (A, B)) -> Self {
        Self(Structure::Tuple(vec![a.into(), b.into()]))
    }
}

impl<K: Into<String>, const N: usize> From<[(K, Values); N]> for Components {
    fn from(fields: [(K, Values); N]) -> Self {
        Self(Structure::Dict(fields.into_iter().map(|(key, values)| (key.into(), values)).collect()))
    }
}

impl<K: Into<String>> From<Vec<(K, Values)>> for Components {
    fn from(fields: Vec<(K, Values)>) -> Self {
        Self(Structure::Dict(fields.into_iter().map(|(key, values)| (key.into(), values)).collect()))
    }
}

impl Components {
    /// The values in flatten order, and the spec that `spec_of` makes of them.
    pub(super) fn flatten(
        self,
        spec_of: &dyn Fn(&Values) -> Result<ElementSpec>,
    ) -> Result<(Vec<Values>, ElementSpec)> {
        Ok(match self.0 {
            Structure::One(values) => {
                let spec = spec_of(&values)?;
                (vec![values], spec)
            }
            Structure::Tuple(items) => {
                let specs = items.iter().map(spec_of).collect::<Result<_>>()?;
                (items, ElementSpec::Tuple(specs))
            }
            Structure::Dict(mut fields) => {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                if let Some(pair) = fields.windows(2).find(|pair| match pair {
                    [a, b] => a.0 == b.0,
                    _ => false,
                }) {
                    let key = pair.first().map_or("", |(key, _)| key.as_str());
                    return Err(Error::config(format!("two components are called `{key}`")));
                }
                let specs = fields.iter().map(|(key, values)| Ok((key.clone(), spec_of(values)?)));
                let spec = ElementSpec::Dict(specs.collect::<Result<_>>()?);
                (fields.into_iter().map(|(_, values)| values).collect(), spec)
            }
        })
    }
}
