//! Which columns of a table are read, and as which types.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::schema::element::pruned;
use crate::schema::{ELEMENT_SPEC, SOURCE, VERSION, from_arrow, unknown_column};
use crate::source::options::OpenOptions;
use crate::tensor::extension::{FixedShapeTensor, VariableShapeTensor};
use crate::tf::spec::ElementSpec;

/// Columns of a file and what they become.
#[derive(Debug)]
pub(super) struct TablePlan {
    schema: SchemaRef,
    element_spec: ElementSpec,
    /// The columns to read, in the order of the file.
    read: Vec<usize>,
    /// Where each column of the schema stands among those that are read.
    order: Vec<usize>,
}

impl TablePlan {
    /// Plans the columns of a file of `schema` that `options` ask for; `source` is the kind of file.
    ///
    /// # Errors
    /// A column is of a type that is no tensor's, or an option names a column that does not exist.
    pub(super) fn new(schema: &Schema, options: &OpenOptions, source: &str) -> Result<Self> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        if names.is_empty() {
            return Err(Error::unsupported("table without columns"));
        }
        let renamed = options.mapping.rename.iter().map(|(old, _)| old);
        if let Some(name) = renamed.into_iter().find(|name| !names.contains(&name.as_str())) {
            return Err(unknown_column(name, &names));
        }
        let wanted = options.projection.apply(&names)?;
        let mut read = wanted.clone();
        read.sort_unstable();
        let order = wanted.iter().filter_map(|column| read.binary_search(column).ok()).collect();
        let (mut fields, mut taken): (Vec<FieldRef>, _) = (Vec::new(), HashSet::new());
        for column in &wanted {
            let Some(field) = schema.fields().get(*column) else { continue };
            let own = normal_field(field).map_err(|e| e.in_column(field.name().as_str()))?;
            if !taken.insert(own.name().clone()) {
                return Err(Error::unsupported(format!("two columns are named `{}`", own.name())));
            }
            fields.push(Arc::new(own));
        }
        let mut metadata: HashMap<String, String> = HashMap::new();
        for (key, otherwise) in [(VERSION, env!("CARGO_PKG_VERSION")), (SOURCE, source)] {
            let kept = schema.metadata().get(key).map_or(otherwise, String::as_str);
            metadata.insert(key.to_owned(), kept.to_owned());
        }
        if let Some(spec) = pruned_spec(schema, &wanted) {
            metadata.insert(ELEMENT_SPEC.to_owned(), spec.to_json().to_string());
        }
        let element_spec =
            from_arrow::element_spec(&Schema::new_with_metadata(fields.clone(), metadata.clone()))?;
        metadata.insert(ELEMENT_SPEC.to_owned(), element_spec.to_json().to_string());
        let mut names = HashSet::new();
        for field in &mut fields {
            let name = options.mapping.column_name(field.name());
            if !names.insert(name.to_owned()) {
                return Err(Error::config(format!("two columns would be named `{name}`"))
                    .with_hint("give one of them another name with --rename"));
            }
            if name != field.name() {
                *field = Arc::new(field.as_ref().clone().with_name(name));
            }
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        Ok(Self { schema, element_spec, read, order })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn element_spec(&self) -> &ElementSpec {
        &self.element_spec
    }

    /// The columns to read, in the order of the file.
    pub(super) fn read(&self) -> &[usize] {
        &self.read
    }

    /// The columns of the plan from what was read.
    ///
    /// # Errors
    /// A value does not fit the column's type.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.order.len());
        for (place, field) in self.order.iter().zip(self.schema.fields()) {
            let array = batch
                .columns()
                .get(*place)
                .ok_or_else(|| Error::corrupt("batch with fewer columns than its file"))?;
            columns.push(match array.data_type() == field.data_type() {
                true => array.clone(),
                false => cast_with_options(array, field.data_type(), &strict).map_err(|e| {
                    Error::mismatch("column that cannot be read as its type")
                        .with_cause(e)
                        .in_column(field.name().as_str())
                })?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The element spec that the file has, with only what the `wanted` columns hold.
fn pruned_spec(schema: &Schema, wanted: &[usize]) -> Option<ElementSpec> {
    let json = serde_json::from_str(schema.metadata().get(ELEMENT_SPEC)?).ok()?;
    let spec = ElementSpec::from_json(&json).ok()?;
    let places = from_arrow::places(&spec, schema)?;
    let is_wanted = |place: &from_arrow::Place| place.place.first().is_some_and(|c| wanted.contains(c));
    let read = places.iter().enumerate().filter(|(_, place)| is_wanted(place)).map(|(i, _)| i).collect();
    Some(pruned(&spec, &mut 0, &read))
}

/// Refuses a file whose columns are not those of the first one.
pub(super) fn check_same(first: &Schema, other: &Schema) -> Result<()> {
    let differ = |a: &Field, b: &Field| a.name() != b.name() || a.data_type() != b.data_type();
    let error = Error::mismatch("file with other columns than the first one");
    for (a, b) in first.fields().iter().zip(other.fields()) {
        if differ(a, b) {
            let show = |field: &Field| format!("`{}` of type {}", field.name(), field.data_type());
            return Err(error.expected(show(a), show(b)).in_column(a.name().as_str()));
        }
    }
    let (expected, found) = (first.fields().len(), other.fields().len());
    match expected == found {
        true => Ok(()),
        false => Err(error.expected(format!("{expected} columns"), found.to_string())),
    }
}

/// A column as tfarrow has it: nullable, lists with children called `item`, of 32-bit offsets.
fn normal_field(field: &Field) -> Result<Field> {
    let data_type = normal_type(field.data_type())?;
    if !can_cast_types(field.data_type(), &data_type) {
        return Err(refused(field.data_type()));
    }
    let own = Field::new(field.name(), data_type, true).with_metadata(field.metadata().clone());
    let tensor = FixedShapeTensor::from_field(&own)?;
    let varying = VariableShapeTensor::from_field(&own)?;
    let permutation = tensor.as_ref().and_then(|t| t.permutation.as_ref());
    let permutation = permutation.or(varying.as_ref().and_then(|t| t.permutation.as_ref()));
    if permutation.is_some_and(|order| !order.iter().copied().eq(0..order.len())) {
        return Err(Error::unsupported("tensors whose dimensions are permuted")
            .with_hint("write them in row-major order, or leave the column out with --exclude"));
    }
    // Other writers' metadata has members that readers stumble over.
    let clean = match (tensor, varying, own.data_type()) {
        (Some(tensor), _, DataType::FixedSizeList(item, _)) => {
            FixedShapeTensor { permutation: None, ..tensor }.field(own.name(), item.data_type().clone())?
        }
        (_, Some(tensor), DataType::Struct(parts)) => match parts.as_ref() {
            [data, shape] => match (data.data_type(), shape.data_type()) {
                (DataType::List(item), DataType::FixedSizeList(_, rank)) => {
                    let rank = usize::try_from(*rank).unwrap_or(0);
                    let tensor = VariableShapeTensor { permutation: None, ..tensor };
                    tensor.field(own.name(), item.data_type().clone(), rank)?
                }
                _ => return Err(refused(own.data_type())),
            },
            _ => return Err(refused(own.data_type())),
        },
        _ => return Ok(own),
    };
    if clean.data_type() != own.data_type() {
        return Err(refused(own.data_type()));
    }
    let mut metadata = own.metadata().clone();
    metadata.extend(clean.metadata().clone());
    Ok(own.with_metadata(metadata))
}

fn refused(data_type: &DataType) -> Error {
    Error::unsupported(format!("column of type {data_type} is no tensor"))
        .with_hint("leave it out with --exclude, or write it as numbers, strings, lists or structs")
}

fn normal_type(data_type: &DataType) -> Result<DataType> {
    let child = |field: &FieldRef, name: &str| -> Result<FieldRef> {
        let own = Field::new(name, normal_type(field.data_type())?, true);
        Ok(Arc::new(own.with_metadata(field.metadata().clone())))
    };
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary => data_type.clone(),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) => DataType::List(child(item, "item")?),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(child(item, "item")?, *size),
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|field| child(field, field.name()));
            DataType::Struct(fields.collect::<Result<Fields>>()?)
        }
        DataType::Dictionary(keys, values) if values.is_primitive() || has_bytes(values) => {
            DataType::Dictionary(keys.clone(), Box::new(normal_type(values)?))
        }
        other => return Err(refused(other)),
    })
}

fn has_bytes(data_type: &DataType) -> bool {
    use DataType::{Binary, LargeBinary, LargeUtf8, Utf8};
    matches!(data_type, Utf8 | Binary | LargeUtf8 | LargeBinary)
}
