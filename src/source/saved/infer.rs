//! The spec of elements whose folder has none: dtypes, and the shapes that were met.

use super::payload::Payload;
use super::stream::Stream;
use crate::error::{Error, Result};
use crate::options::{InferRecords, OnError};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::tensor_proto::Tensor;
use crate::tf::variant;

/// Learns the specs of the components from the first elements of `streams`; `lead` is the number
/// of components in front that are not the user's. What `on_error` tolerates is passed over: it is
/// told of when it is read again.
///
/// # Errors
/// The elements cannot be read, or hold something that cannot be told without its spec.
pub(super) fn infer(
    streams: impl Iterator<Item = Stream>,
    empty: &Payload,
    dtypes: &[DType],
    lead: usize,
    limit: InferRecords,
    on_error: OnError,
) -> Result<Vec<ElementSpec>> {
    let mut specs: Vec<Option<ElementSpec>> = vec![None; dtypes.len().saturating_sub(lead)];
    let mut seen = 0u64;
    let enough = |seen| matches!(limit, InferRecords::First(limit) if seen >= limit);
    for mut stream in streams {
        while !enough(seen) {
            let mut payload = empty.clone();
            match stream.next(Some(&mut payload)) {
                Ok(true) => seen += 1,
                Ok(false) => break,
                Err(error) if on_error.tolerates(&error) => match stream.pass_over(error) {
                    Ok(_) => continue,
                    Err(_) => break,
                },
                Err(error) => return Err(error),
            }
            let visited = payload.visit(true, &mut |element| {
                let element = element?;
                let mut found = Vec::with_capacity(specs.len());
                for (i, known) in specs.iter().enumerate() {
                    let spec = spec_of(&element.tensor(lead + i)?).map_err(|e| {
                        e.in_column(if dtypes.len() - lead == 1 { "value".to_owned() } else { i.to_string() })
                    })?;
                    found.push(Some(match known {
                        None => spec,
                        Some(known) => merge(known.clone(), spec)?,
                    }));
                }
                specs = found;
                Ok(())
            });
            match visited {
                Err(error) if on_error.tolerates(&error) => {}
                other => other?,
            }
        }
    }
    // Without elements only the dtypes are known.
    let unseen = |dtype: &DType| ElementSpec::tensor(*dtype, Shape::UnknownRank);
    Ok(specs
        .into_iter()
        .zip(dtypes.get(lead..).unwrap_or_default())
        .map(|(spec, dtype)| spec.unwrap_or_else(|| unseen(dtype)))
        .collect())
}

/// Components as an element: a tuple, or the one there is.
pub(super) fn element(mut specs: Vec<ElementSpec>) -> ElementSpec {
    match specs.len() {
        1 => specs.remove(0),
        _ => ElementSpec::Tuple(specs),
    }
}

fn spec_of(tensor: &Tensor<'_>) -> Result<ElementSpec> {
    let Some(name) = variant::type_name(tensor) else {
        if tensor.dtype() == DType::Variant {
            return Err(Error::unsupported("batch of no variants: its spec cannot be told"));
        }
        return Ok(ElementSpec::tensor(tensor.dtype(), Shape::known(tensor.dims())));
    };
    let spec = match name {
        b"RaggedTensorVariant" => variant::ragged_parts(tensor).map(|(splits, flat, row_splits_dtype)| {
            let ragged_rank = splits + tensor.dims().len();
            let inner = if ragged_rank == 0 { 0 } else { 1 };
            let ragged = if ragged_rank == 0 { 0 } else { ragged_rank + 1 };
            let sizes = flat.dims().get(inner..).unwrap_or_default().iter().copied().map(Some);
            let shape = Shape::Dims(std::iter::repeat_n(None, ragged).chain(sizes).collect());
            ElementSpec::Ragged { dtype: flat.dtype(), shape, ragged_rank, row_splits_dtype }
        }),
        b"tensorflow::Tensor" => variant::sparse_parts(tensor).map(|(dtype, rank)| {
            let rank = rank + tensor.dims().len().saturating_sub(1);
            ElementSpec::Sparse { dtype, shape: Shape::Dims(vec![None; rank]) }
        }),
        _ => None,
    };
    spec.ok_or_else(|| {
        Error::unsupported(format!(
            "component of type `{}` cannot be told without its spec",
            name.escape_ascii()
        ))
    })
}

fn merge(known: ElementSpec, found: ElementSpec) -> Result<ElementSpec> {
    match (known, found) {
        (ElementSpec::Tensor { dtype, shape }, ElementSpec::Tensor { dtype: other, shape: more })
            if dtype == other =>
        {
            Ok(ElementSpec::Tensor { dtype, shape: merge_shapes(shape, &more) })
        }
        (
            ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype },
            ElementSpec::Ragged { dtype: other, shape: more, ragged_rank: rank, .. },
        ) if dtype == other && ragged_rank == rank => {
            let shape = merge_shapes(shape, &more);
            Ok(ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype })
        }
        (known, found) if known == found => Ok(known),
        (known, found) => Err(Error::mismatch("elements of different specs")
            .expected(known.to_json().to_string(), found.to_json().to_string())),
    }
}

fn merge_shapes(known: Shape, more: &Shape) -> Shape {
    match (known, more) {
        (Shape::Dims(known), Shape::Dims(more)) if known.len() == more.len() => {
            Shape::Dims(known.iter().zip(more).map(|(a, b)| a.filter(|_| a == b)).collect())
        }
        _ => Shape::UnknownRank,
    }
}
