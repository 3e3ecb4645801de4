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

impl From<Vec<bool>> for Values {
    fn from(values: Vec<bool>) -> Self {
        let bytes: Vec<u8> = values.into_iter().map(u8::from).collect();
        Self { dtype: DType::Bool, dims: vec![bytes.len() as u64], bytes: Buffer::from_vec(bytes) }
    }
}

impl From<Vec<&str>> for Values {
    fn from(values: Vec<&str>) -> Self {
        Self::strings(&values)
    }
}

impl From<Vec<String>> for Values {
    fn from(values: Vec<String>) -> Self {
        Self::strings(&values)
    }
}

/// One component, or a tuple or a dict of others, which may be tuples and dicts again: arrays, vectors,
/// pairs and longer tuples, and arrays or vectors of names and what is called so.
#[derive(Debug, Clone)]
pub struct Components(Structure);

#[derive(Debug, Clone)]
enum Structure {
    One(Values),
    Tuple(Vec<Components>),
    Dict(Vec<(String, Components)>),
}

impl<V: Into<Values>> From<V> for Components {
    fn from(values: V) -> Self {
        Self(Structure::One(values.into()))
    }
}

/// Tuples of these generic parameters.
macro_rules! tuples {
    ($($($item:ident)*;)*) => {$(
        impl<$($item: Into<Components>),*> From<($($item,)*)> for Components {
            #[allow(non_snake_case)] // the names of the types are those of the values
            fn from(($($item,)*): ($($item,)*)) -> Self {
                Self(Structure::Tuple(vec![$($item.into()),*]))
            }
        }
    )*};
}

tuples! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
}

impl<K: Into<String>, V: Into<Components>, const N: usize> From<[(K, V); N]> for Components {
    fn from(fields: [(K, V); N]) -> Self {
        fields.into_iter().collect::<Vec<_>>().into()
    }
}

impl<K: Into<String>, V: Into<Components>> From<Vec<(K, V)>> for Components {
    fn from(fields: Vec<(K, V)>) -> Self {
        Self(Structure::Dict(fields.into_iter().map(|(key, values)| (key.into(), values.into())).collect()))
    }
}

impl Components {
    /// The values in flatten order, and the spec that `spec_of` makes of them.
    pub(super) fn flatten(
        self,
        spec_of: &dyn Fn(&Values) -> Result<ElementSpec>,
    ) -> Result<(Vec<Values>, ElementSpec)> {
        let mut values = Vec::new();
        let spec = self.flatten_into(spec_of, &mut values)?;
        Ok((values, spec))
    }

    fn flatten_into(
        self,
        spec_of: &dyn Fn(&Values) -> Result<ElementSpec>,
        out: &mut Vec<Values>,
    ) -> Result<ElementSpec> {
        Ok(match self.0 {
            Structure::One(values) => {
                let spec = spec_of(&values)?;
                out.push(values);
                spec
            }
            Structure::Tuple(items) => {
                let specs = items.into_iter().map(|item| item.flatten_into(spec_of, out));
                ElementSpec::Tuple(specs.collect::<Result<_>>()?)
            }
            Structure::Dict(mut fields) => {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                let twice = fields.windows(2).find_map(|pair| match pair {
                    [a, b] if a.0 == b.0 => Some(a.0.as_str()),
                    _ => None,
                });
                if let Some(key) = twice {
                    return Err(Error::config(format!("two components are called `{key}`")));
                }
                let specs = fields.into_iter().map(|(key, item)| Ok((key, item.flatten_into(spec_of, out)?)));
                ElementSpec::Dict(specs.collect::<Result<_>>()?)
            }
        })
    }
}
