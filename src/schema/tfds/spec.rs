//! The element specs that TensorFlow would give TFDS features.

use super::{EPISODE_INDEX, STEP_INDEX};
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::tfds::{Feature, FeatureKind};

/// The element spec that TensorFlow would give the feature.
pub(super) fn spec_of(feature: &Feature, decode_images: bool) -> ElementSpec {
    let string = |dims: Vec<Option<u64>>| ElementSpec::tensor(DType::String, Shape::Dims(dims));
    match &feature.kind {
        FeatureKind::Dict(parts) => ElementSpec::dict(
            parts.iter().map(|(name, part)| (name.clone(), spec_of(part, decode_images))).collect(),
        ),
        FeatureKind::Tensor { dtype, shape, optional, .. } => {
            let tensor = ElementSpec::tensor(*dtype, shape.clone());
            if *optional { ElementSpec::Optional(Box::new(tensor)) } else { tensor }
        }
        FeatureKind::ClassLabel => ElementSpec::tensor(DType::Int64, Shape::scalar()),
        FeatureKind::Image { dtype, shape } | FeatureKind::Video { dtype, shape } if decode_images => {
            ElementSpec::tensor(*dtype, shape.clone())
        }
        FeatureKind::Video { shape, .. } => match shape {
            Shape::Dims(dims) => string(vec![dims.first().copied().flatten()]),
            Shape::UnknownRank => string(vec![None]),
        },
        FeatureKind::Text | FeatureKind::AudioFile | FeatureKind::Image { .. } | FeatureKind::Unknown => {
            string(Vec::new())
        }
        FeatureKind::Sequence { feature: inner, length } => {
            let is_list = matches!(&inner.kind, FeatureKind::Sequence { .. } | FeatureKind::Video { .. });
            let outer = |shape: &Shape| match shape {
                Shape::Dims(dims) => {
                    Shape::Dims(std::iter::once(*length).chain(dims.iter().copied()).collect())
                }
                Shape::UnknownRank => Shape::UnknownRank,
            };
            match spec_of(inner, decode_images) {
                spec if feature.class == "Dataset" => ElementSpec::Dataset(Box::new(spec)),
                ElementSpec::Tensor { dtype, shape } if !is_list => ElementSpec::tensor(dtype, outer(&shape)),
                ElementSpec::Tensor { dtype, shape } => ElementSpec::Ragged {
                    dtype,
                    shape: outer(&shape),
                    ragged_rank: 1,
                    row_splits_dtype: DType::Int64,
                },
                ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype } => ElementSpec::Ragged {
                    dtype,
                    shape: outer(&shape),
                    ragged_rank: ragged_rank + 1,
                    row_splits_dtype,
                },
                other => ElementSpec::Dataset(Box::new(other)),
            }
        }
    }
}

/// The spec of rows that are the items of the sequence at `path`.
pub(super) fn exploded_spec(spec: ElementSpec, path: &str) -> ElementSpec {
    fn inner(spec: ElementSpec, path: &str) -> ElementSpec {
        let ElementSpec::Dict(parts) = spec else {
            return match spec {
                ElementSpec::Dataset(element) if path.is_empty() => *element,
                ElementSpec::Tensor { dtype, shape } if path.is_empty() => {
                    ElementSpec::tensor(dtype, shape.inner().unwrap_or_else(Shape::scalar))
                }
                other => other,
            };
        };
        let below = |name: &str| match path.strip_prefix(name)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        };
        let parts = parts.into_iter().map(|(name, part)| match below(&name) {
            Some(rest) => (name, inner(part, rest)),
            None => (name, part),
        });
        ElementSpec::Dict(parts.collect())
    }
    let mut spec = inner(spec, path);
    if let ElementSpec::Dict(parts) = &mut spec {
        let index = || ElementSpec::tensor(DType::Int64, Shape::scalar());
        parts.extend([EPISODE_INDEX, STEP_INDEX].map(|name| (name.to_owned(), index())));
        parts.sort_by(|a, b| a.0.cmp(&b.0));
    }
    spec
}
