//! The spec of the rows that a batched element consists of.

use super::spec::ElementSpec;
use crate::error::{Error, Result};
use crate::options::Phrase;

/// The spec of one slice of what `spec` says, along the first dimension.
///
/// # Errors
/// A component has no first dimension, or is of a kind that has no slices.
pub(crate) fn unbatched(spec: &ElementSpec) -> Result<ElementSpec> {
    fn slice(spec: &ElementSpec, path: &str) -> Result<ElementSpec> {
        let refuse = || {
            Error::config("component cannot be split into rows")
                .expected("a tensor with a leading dimension", "another component")
                .in_column(if path.is_empty() { "value" } else { path })
                .with_hint(Phrase::new("leave out {unbatch}, or this column with {exclude}"))
        };
        let child = |name: &str, spec: &ElementSpec| {
            slice(spec, &if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") })
        };
        let named = |fields: &[(String, ElementSpec)]| {
            fields
                .iter()
                .map(|(name, spec)| Ok((name.clone(), child(name, spec)?)))
                .collect::<Result<Vec<_>>>()
        };
        let listed = |items: &[ElementSpec]| {
            items.iter().enumerate().map(|(i, spec)| child(&i.to_string(), spec)).collect::<Result<Vec<_>>>()
        };
        Ok(match spec {
            ElementSpec::Tensor { dtype, shape } => {
                ElementSpec::Tensor { dtype: *dtype, shape: shape.inner().ok_or_else(refuse)? }
            }
            ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype } => {
                let shape = shape.inner().ok_or_else(refuse)?;
                match ragged_rank {
                    0 | 1 => ElementSpec::Tensor { dtype: *dtype, shape },
                    n => ElementSpec::Ragged {
                        dtype: *dtype,
                        shape,
                        ragged_rank: n - 1,
                        row_splits_dtype: *row_splits_dtype,
                    },
                }
            }
            ElementSpec::Sparse { dtype, shape } => {
                ElementSpec::Sparse { dtype: *dtype, shape: shape.inner().ok_or_else(refuse)? }
            }
            ElementSpec::Optional(_) | ElementSpec::Dataset(_) => return Err(refuse()),
            ElementSpec::None => ElementSpec::None,
            ElementSpec::Dict(fields) => ElementSpec::Dict(named(fields)?),
            ElementSpec::NamedTuple { name, fields } => {
                ElementSpec::NamedTuple { name: name.clone(), fields: named(fields)? }
            }
            ElementSpec::Tuple(items) => ElementSpec::Tuple(listed(items)?),
            ElementSpec::List(items) => ElementSpec::List(listed(items)?),
        })
    }
    slice(spec, "")
}
