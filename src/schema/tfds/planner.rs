//! From features to wire columns, fields and nodes.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use serde_json::json;

use super::{Node, TFDS_FEATURE, TfdsOptions, Transform, Wire, join, label_of};
use crate::error::{Error, Result};
use crate::options::{Phrase, TensorLayout};
use crate::schema::FeaturePlan;
use crate::schema::feature::{FeatureSpec, Missing};
use crate::schema::mapping::{self, MappingOptions, with_metadata};
use crate::tensor::extension::CLASS_NAMES;
use crate::tensor::extension::item;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::tfds::{Feature, FeatureKind, TensorEncoding};

/// Collects the wire columns of the features that are planned with it.
pub(super) struct Planner<'a> {
    pub(super) options: &'a TfdsOptions<'a>,
    pub(super) wire: Vec<(FeatureSpec, FieldRef)>,
    pub(super) keys: HashSet<String>,
}

impl Planner<'_> {
    /// The plan of the wire columns.
    pub(super) fn finish(self) -> FeaturePlan {
        let (features, fields): (Vec<_>, Vec<_>) = self.wire.into_iter().unzip();
        let names = features.iter().map(|feature: &FeatureSpec| feature.name.clone()).collect();
        let plan = FeaturePlan::of(names, features, fields, true, "tfds");
        FeaturePlan { null_values: self.options.null_values, ..plan }
    }

    /// The field and the node of a feature; `None` if there is nothing to store. `rank` sequences
    /// stand around it, the innermost `plain` of them with nothing in between.
    pub(super) fn plan(
        &mut self,
        name: &str,
        path: &str,
        label: &str,
        feature: &Feature,
        rank: usize,
        plain: usize,
    ) -> Result<Option<(Field, Node)>> {
        let (field, node) = match &feature.kind {
            FeatureKind::Dict(parts) => {
                let (mut fields, mut children) = (Vec::new(), Vec::new());
                for (part, inner) in parts {
                    let label = label_of(label, part);
                    let planned = self.plan(part, &join(path, part), &label, inner, rank, 0)?;
                    if let Some((field, node)) = planned {
                        fields.push(field);
                        children.push(node);
                    }
                }
                if children.is_empty() {
                    return Ok(None);
                }
                let fields = Fields::from(fields);
                (Field::new(name, DataType::Struct(fields.clone()), true), Node::Struct { fields, children })
            }
            FeatureKind::Sequence { feature: inner, length } => {
                if let (0, Some(merged)) = (rank, merge(feature)) {
                    return self.plan(name, path, label, &merged, rank, plain);
                }
                match self.sequence(name, path, label, feature, inner, *length, rank, plain)? {
                    Some(planned) => planned,
                    None => return Ok(None),
                }
            }
            FeatureKind::Video { dtype, shape } => self.video(name, path, *dtype, shape, rank, plain)?,
            _ => self.leaf(name, path, label, feature, rank, plain)?,
        };
        Ok(Some((with_metadata(field, TFDS_FEATURE, &feature.class), node)))
    }

    #[allow(clippy::too_many_arguments)]
    fn sequence(
        &mut self,
        name: &str,
        path: &str,
        label: &str,
        feature: &Feature,
        inner: &Feature,
        length: Option<u64>,
        rank: usize,
        plain: usize,
    ) -> Result<Option<(Field, Node)>> {
        let Some((mut field, mut node)) = self.plan("item", path, label, inner, rank + 1, plain + 1)? else {
            return Ok(None);
        };
        let is_dataset = feature.class == "Dataset";
        if is_dataset && !matches!(node, Node::Struct { .. }) {
            // The elements of a dataset are always structs.
            let fields = Fields::from(vec![field.with_name("value")]);
            field = Field::new("item", DataType::Struct(fields.clone()), true);
            node = Node::Struct { fields, children: vec![node] };
        }
        let is_struct = matches!(node, Node::Struct { .. });
        // Each item's own description stands at the item.
        let field = Arc::new(field.with_name("item"));
        let size = length.filter(|n| *n > 0 && !is_struct).and_then(|n| i32::try_from(n).ok());
        let data_type = match size {
            Some(size) => DataType::FixedSizeList(field.clone(), size),
            None => DataType::List(field.clone()),
        };
        let kind = if is_dataset || is_struct { "dataset" } else { "sequence" };
        let column = with_metadata(Field::new(name, data_type, true), mapping::TF_KIND, kind);
        let node =
            Node::List { path: path.into(), item: Box::new(node), field, length, fixed: size.is_some() };
        Ok(Some((column, node)))
    }

    fn video(
        &mut self,
        name: &str,
        path: &str,
        dtype: DType,
        shape: &Shape,
        rank: usize,
        plain: usize,
    ) -> Result<(Field, Node)> {
        let frames = match shape {
            Shape::Dims(dims) if dims.len() == 4 => dims.first().copied().flatten(),
            _ => None,
        };
        if self.options.decode_images {
            let shape = if shape.rank() == Some(4) { shape.clone() } else { Shape::Dims(vec![None; 4]) };
            let field = self.tensor_field(name, path, dtype, &shape, false, plain)?;
            let binary = Field::new("item", DataType::Binary, true);
            let wire =
                self.add(path, rank + 1, DType::String, &Shape::scalar(), &binary, Missing::Null, false)?;
            let data_type = field.data_type().clone();
            return Ok((field, Node::Frames { path: path.into(), wire, dtype, shape, data_type }));
        }
        let frame = Feature {
            class: "Image".to_owned(),
            description: String::new(),
            kind: FeatureKind::Image { dtype, shape: Shape::Dims(vec![None; 3]) },
        };
        let planned = self.sequence(name, path, "", &frame, &frame, frames, rank, plain)?;
        planned.ok_or_else(|| Error::unsupported("video without frames").in_column(path))
    }

    fn leaf(
        &mut self,
        name: &str,
        path: &str,
        label: &str,
        feature: &Feature,
        rank: usize,
        plain: usize,
    ) -> Result<(Field, Node)> {
        let scalar = Shape::scalar();
        let binary = || Field::new(name, DataType::Binary, true);
        let mut keep_nulls = false;
        let (field, wire, transform) = match &feature.kind {
            FeatureKind::Text => {
                let field = self.tensor_field(name, path, DType::String, &scalar, true, plain)?;
                let wire = self.add(path, rank, DType::String, &scalar, &field, Missing::Error, true)?;
                (field, wire, Transform::None)
            }
            FeatureKind::AudioFile => {
                let field = self.tensor_field(name, path, DType::String, &scalar, false, plain)?;
                let wire = self.add(path, rank, DType::String, &scalar, &field, Missing::Error, false)?;
                (field, wire, Transform::None)
            }
            FeatureKind::ClassLabel => self.class_label(name, path, label, rank, plain)?,
            FeatureKind::Image { dtype, shape } if self.options.decode_images => {
                let field = self.tensor_field(name, path, *dtype, shape, false, plain)?;
                let wire = self.add(path, rank, DType::String, &scalar, &binary(), Missing::Error, false)?;
                (field, wire, Transform::Image { dtype: *dtype, shape: shape.clone() })
            }
            FeatureKind::Image { .. } => {
                let field = self.tensor_field(name, path, DType::String, &scalar, false, plain)?;
                let wire = self.add(path, rank, DType::String, &scalar, &field, Missing::Error, false)?;
                (field, wire, Transform::None)
            }
            FeatureKind::Tensor { dtype, shape, encoding, optional } => {
                keep_nulls = *optional && rank == 0;
                self.tensor(name, path, (*dtype, shape, *encoding), *optional, rank, plain)?
            }
            _ => {
                return Err(Error::unsupported(format!("feature of unknown class `{}`", feature.class))
                    .in_column(path)
                    .with_hint(Phrase::new("leave it out with {exclude}")));
            }
        };
        let data_type = field.data_type().clone();
        Ok((field, Node::Leaf { path: path.into(), wire, transform, data_type, keep_nulls }))
    }

    fn class_label(
        &mut self,
        name: &str,
        path: &str,
        label: &str,
        rank: usize,
        plain: usize,
    ) -> Result<(Field, Wire, Transform)> {
        let scalar = Shape::scalar();
        let stored = self.tensor_field(name, path, DType::Int64, &scalar, false, plain)?;
        let wire = self.add(path, rank, DType::Int64, &scalar, &stored, Missing::Error, false)?;
        let Some(names) = (self.options.labels)(label)? else { return Ok((stored, wire, Transform::None)) };
        let mut field = with_metadata(stored, CLASS_NAMES, &json!(names).to_string());
        if !self.options.class_names {
            return Ok((field, wire, Transform::None));
        }
        field =
            field.with_data_type(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)));
        let names: ArrayRef = Arc::new(StringArray::from(names));
        Ok((field, wire, Transform::ClassNames(names)))
    }

    fn tensor(
        &mut self,
        name: &str,
        path: &str,
        (dtype, shape, encoding): (DType, &Shape, TensorEncoding),
        optional: bool,
        rank: usize,
        plain: usize,
    ) -> Result<(Field, Wire, Transform)> {
        let text = self.options.mapping.is_text(path);
        let mut field = self.tensor_field(name, path, dtype, shape, text, plain)?;
        if optional {
            field = with_metadata(field, mapping::TF_KIND, "optional");
        }
        let unknown = match shape {
            Shape::Dims(dims) => dims.iter().filter(|dim| dim.is_none()).count(),
            Shape::UnknownRank => 0,
        };
        let missing = if optional { Missing::Null } else { Missing::Error };
        if encoding != TensorEncoding::None {
            let (key, sizes) = if unknown > 1 {
                let dims = Shape::known(&[shape.rank().unwrap_or(0) as u64]);
                let field = self.plain_field("item", DType::Int64, &dims)?;
                let key = join(path, "shape");
                let sizes = self.add(&key, rank, DType::Int64, &dims, &field, missing.clone(), false)?;
                (join(path, "value"), Some(sizes))
            } else {
                (path.to_owned(), None)
            };
            let binary = Field::new("item", DataType::Binary, true);
            let wire = self.add(&key, rank, DType::String, &Shape::scalar(), &binary, missing, false)?;
            let zlib = encoding == TensorEncoding::Zlib;
            return Ok((field, wire, Transform::Raw { dtype, shape: shape.clone(), zlib, sizes }));
        }
        if unknown > 1 || unknown > 0 && rank > 0 {
            return Err(Error::unsupported("tensor with several unknown dimensions and no encoding")
                .expected("at most one", shape.to_string())
                .in_column(path)
                .with_hint(Phrase::new("TFDS cannot read it either; leave it out with {exclude}")));
        }
        let first_is_known = matches!(shape, Shape::Dims(dims) if dims.first().is_some_and(Option::is_some));
        let missing = if unknown > 0 { Missing::Null } else { missing };
        if unknown > 0 && first_is_known {
            let list = Shape::Dims(vec![None]);
            let value = mapping::value_type(dtype, self.options.mapping, text, true);
            let value = value
                .ok_or_else(|| Error::unsupported(format!("values of dtype {dtype}")).in_column(path))?;
            let stored = Field::new(name, DataType::List(item(value)), true);
            let wire = self.add(path, rank, dtype, &list, &stored, missing, text)?;
            return Ok((field, wire, Transform::Reshape { dtype, shape: shape.clone() }));
        }
        let wire = self.add(path, rank, dtype, shape, &field, missing, text)?;
        Ok((field, wire, Transform::None))
    }

    /// The field that the mapping gives a tensor. Inside lists of lists it is lists all the way.
    fn tensor_field(
        &self,
        name: &str,
        path: &str,
        dtype: DType,
        shape: &Shape,
        text: bool,
        plain: usize,
    ) -> Result<Field> {
        let mut mapping = self.options.mapping.clone();
        mapping.utf8.clear();
        if text {
            mapping.utf8.insert(path.to_owned());
        }
        if plain > 1 && mapping.tensor_layout == TensorLayout::Extension {
            mapping.tensor_layout = TensorLayout::Nested;
        }
        let field = mapping::field(name, path, &ElementSpec::tensor(dtype, shape.clone()), &mapping)?;
        field.ok_or_else(|| Error::unsupported("feature that makes no column").in_column(path))
    }

    fn plain_field(&self, name: &str, dtype: DType, shape: &Shape) -> Result<Field> {
        let spec = ElementSpec::tensor(dtype, shape.clone());
        let options = MappingOptions { tensor_layout: TensorLayout::Flat, ..MappingOptions::default() };
        let field = mapping::field(name, name, &spec, &options)?;
        field.ok_or_else(|| Error::unsupported("feature that makes no column"))
    }

    /// Adds the wire columns of values of `shape` with `rank` sequences around them, which are
    /// stored as `field`.
    #[allow(clippy::too_many_arguments)]
    fn add(
        &mut self,
        key: &str,
        rank: usize,
        dtype: DType,
        shape: &Shape,
        field: &Field,
        missing: Missing,
        text: bool,
    ) -> Result<Wire> {
        if rank == 0 {
            let values = self.add_key(key, dtype, shape.clone(), field.clone(), missing, text)?;
            return Ok(Wire { values, lengths: Vec::new(), rank });
        }
        let Shape::Dims(dims) = shape else {
            return Err(Error::unsupported("tensor of unknown rank in a sequence").in_column(key));
        };
        let shape = Shape::Dims(std::iter::once(None).chain(dims.iter().copied()).collect());
        let list = DataType::List(Arc::new(field.clone().with_name("item")));
        let list = Field::new(key, list, true);
        if rank == 1 {
            let values = self.add_key(key, dtype, shape, list, Missing::Null, text)?;
            return Ok(Wire { values, lengths: Vec::new(), rank });
        }
        let values =
            self.add_key(&join(key, "ragged_flat_values"), dtype, shape, list, Missing::Null, text)?;
        let lengths = (0..rank - 1)
            .map(|level| {
                let key = format!("{key}/ragged_row_lengths_{level}");
                let field = Field::new(&key, DataType::List(item(DataType::Int64)), true);
                self.add_key(&key, DType::Int64, Shape::Dims(vec![None]), field, Missing::Null, false)
            })
            .collect::<Result<_>>()?;
        Ok(Wire { values, lengths, rank })
    }

    fn add_key(
        &mut self,
        key: &str,
        dtype: DType,
        shape: Shape,
        field: Field,
        missing: Missing,
        text: bool,
    ) -> Result<usize> {
        if !self.keys.insert(key.to_owned()) {
            return Err(Error::unsupported("two features with the same key")
                .in_column(key)
                .with_hint(Phrase::new("leave one of them out with {exclude}")));
        }
        let spec = FeatureSpec { text, missing, wraps: true, ..FeatureSpec::values(key, dtype, shape) };
        self.wire.push((spec, Arc::new(field.with_name(key))));
        Ok(self.wire.len() - 1)
    }
}

/// A sequence of a known length of plain tensors of a known shape is a tensor.
fn merge(feature: &Feature) -> Option<Feature> {
    let FeatureKind::Sequence { feature: inner, length: Some(length) } = &feature.kind else { return None };
    let FeatureKind::Tensor { dtype, shape, encoding: TensorEncoding::None, optional: false } = &inner.kind
    else {
        return None;
    };
    let known = shape.as_known()?;
    let dims = std::iter::once(*length).chain(known).map(Some).collect();
    if feature.class == "Dataset" {
        return None;
    }
    Some(Feature {
        kind: FeatureKind::Tensor {
            dtype: *dtype,
            shape: Shape::Dims(dims),
            encoding: TensorEncoding::None,
            optional: false,
        },
        ..feature.clone()
    })
}
