//! The columns of TensorBoard's events: a row for every value of a summary.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef};

use super::mapping::MappingOptions;
use super::{Projection, message, unknown_column};
use crate::error::{Error, Result};
use crate::options::{Phrase, Structure};
use crate::tensor::extension::item;
use crate::tf::dtype::DType;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;

/// The message that event files hold.
pub(crate) const EVENT: &str = "tensorflow.Event";

/// The columns that values become, and which of them are asked for.
#[derive(Debug)]
pub(crate) struct EventPlan {
    pub(crate) schema: SchemaRef,
    pub(crate) element_spec: ElementSpec,
    /// For each column, the [`leaves`] that it is made of, and the struct that they make.
    pub(crate) columns: Vec<(Vec<usize>, Option<Fields>)>,
}

/// Everything that is known of a value, by path, in the order in which the decoder gives it.
fn leaves() -> Vec<(&'static str, DataType)> {
    let list = |inner| DataType::List(item(inner));
    let edges = ["left", "right", "count"].map(|name| Field::new(name, DataType::Float64, true));
    vec![
        ("wall_time", DataType::Float64),
        ("step", DataType::Int64),
        ("file", DataType::Utf8),
        ("tag", DataType::Utf8),
        ("plugin", DataType::Utf8),
        ("value", DataType::Float64),
        ("text", DataType::Utf8),
        ("image/width", DataType::Int64),
        ("image/height", DataType::Int64),
        ("image/encoded", list(DataType::Binary)),
        ("histogram/min", DataType::Float64),
        ("histogram/max", DataType::Float64),
        ("histogram/num", DataType::Float64),
        ("histogram/sum", DataType::Float64),
        ("histogram/sum_squares", DataType::Float64),
        ("histogram/buckets", list(DataType::Struct(Fields::from_iter(edges)))),
        ("audio/sample_rate", DataType::Float32),
        ("audio/channels", DataType::Int64),
        ("audio/frames", DataType::Int64),
        ("audio/encoded", list(DataType::Binary)),
        ("tensor/dtype", DataType::Utf8),
        ("tensor/shape", list(DataType::Int64)),
        ("tensor/content", DataType::Binary),
        ("tensor/strings", list(DataType::Binary)),
        ("metadata/display_name", DataType::Utf8),
        ("metadata/description", DataType::Utf8),
        ("metadata/plugin_data", DataType::Binary),
    ]
}

/// What a leaf would be as a tensor.
fn spec_of(data_type: &DataType) -> ElementSpec {
    let tensor = |dtype, shape| ElementSpec::tensor(dtype, shape);
    match data_type {
        DataType::List(item) => match item.data_type() {
            DataType::Struct(parts) => {
                let parts = parts.iter().map(|part| (part.name().clone(), spec_of(part.data_type())));
                ElementSpec::Dataset(Box::new(ElementSpec::Dict(parts.collect())))
            }
            DataType::Int64 => tensor(DType::Int64, Shape::Dims(vec![None])),
            _ => tensor(DType::String, Shape::Dims(vec![None])),
        },
        DataType::Float64 => tensor(DType::Float64, Shape::scalar()),
        DataType::Float32 => tensor(DType::Float32, Shape::scalar()),
        DataType::Int64 => tensor(DType::Int64, Shape::scalar()),
        _ => tensor(DType::String, Shape::scalar()),
    }
}

impl EventPlan {
    /// # Errors
    /// A column is asked for that does not exist, or two would have the same name.
    pub(crate) fn new(mapping: &MappingOptions, projection: &Projection, source: &str) -> Result<Self> {
        let leaves = leaves();
        let paths: Vec<&str> = leaves.iter().map(|(path, _)| *path).collect();
        if let Some((old, _)) = mapping.rename.iter().find(|(old, _)| {
            !paths.iter().any(|path| path == old || path.split('/').next() == Some(old.as_str()))
        }) {
            return Err(unknown_column(old, &paths));
        }
        let wanted = projection.apply(&paths)?;
        let mut columns: Vec<(String, Vec<usize>)> = Vec::new();
        for leaf in wanted {
            let path = paths.get(leaf).copied().unwrap_or_default();
            let name = match (mapping.structure, path.split_once('/')) {
                (Structure::Nested, Some((group, _))) => group,
                _ => path,
            };
            match columns.iter_mut().find(|(other, _)| other == name) {
                Some((_, leaves)) => leaves.push(leaf),
                None => columns.push((name.to_owned(), vec![leaf])),
            }
        }
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut specs = Vec::new();
        let mut made = Vec::new();
        for (name, places) in columns {
            let parts: Vec<(&str, &DataType)> =
                places.iter().filter_map(|at| leaves.get(*at)).map(|(path, ty)| (*path, ty)).collect();
            let is_struct =
                mapping.structure == Structure::Nested && parts.iter().all(|(p, _)| p.contains('/'));
            let (data_type, spec, inner) = if is_struct {
                let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                let inner: Fields =
                    parts.iter().map(|(path, ty)| Field::new(last(path), (*ty).clone(), true)).collect();
                let specs = parts.iter().map(|(path, ty)| (last(path), spec_of(ty))).collect();
                (DataType::Struct(inner.clone()), ElementSpec::Dict(specs), Some(inner))
            } else {
                let ty = parts.first().map_or(DataType::Null, |(_, ty)| (*ty).clone());
                let spec = spec_of(&ty);
                (ty, spec, None)
            };
            let column = mapping.column_name(&name);
            if fields.iter().any(|field| field.name() == column) {
                return Err(Error::config(format!("two columns would be named `{column}`"))
                    .with_hint(Phrase::new("give one of them another name with {rename}")));
            }
            fields.push(Arc::new(Field::new(column, data_type, true)));
            specs.push((name, spec));
            made.push((places, inner));
        }
        let schema = message::schema_of(fields, EVENT, source);
        Ok(Self { schema, element_spec: ElementSpec::Dict(specs), columns: made })
    }
}
