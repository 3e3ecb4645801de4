//! Which columns of a table are read, and as which types.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options, take_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::element::pruned;
use crate::schema::{ELEMENT_SPEC, SOURCE, VERSION, from_arrow, unknown_column};
use crate::source::options::OpenOptions;
use crate::tensor::extension::{FixedShapeTensor, VariableShapeTensor, is_of_others, without_extension};
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
    /// An option names a column that does not exist, or two columns have the same name.
    pub(super) fn new(schema: &Schema, options: &OpenOptions, source: &str) -> Result<Self> {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
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
            let own = own_field(field).map_err(|e| e.in_column(field.name().as_str()))?;
            if !taken.insert(own.name().clone()) {
                return Err(Error::unsupported(format!("two columns are named `{}`", own.name())));
            }
            fields.push(Arc::new(own));
        }
        // What others keep there is theirs: the index of pandas, say.
        let mut metadata: HashMap<String, String> = schema.metadata().clone();
        metadata.remove(ELEMENT_SPEC);
        for (key, otherwise) in [(VERSION, env!("CARGO_PKG_VERSION")), (SOURCE, source)] {
            let kept = schema.metadata().get(key).map_or(otherwise, String::as_str);
            metadata.insert(key.to_owned(), kept.to_owned());
        }
        if let Some(spec) = pruned_spec(schema, &wanted) {
            metadata.insert(ELEMENT_SPEC.to_owned(), spec.to_json().to_string());
        }
        let read_as = Schema::new_with_metadata(fields.clone(), metadata.clone());
        let element_spec = from_arrow::element_spec_of_tensors(&read_as);
        metadata.insert(ELEMENT_SPEC.to_owned(), element_spec.to_json().to_string());
        let mut names = HashSet::new();
        for field in &mut fields {
            let name = options.mapping.column_name(field.name());
            if !names.insert(name.to_owned()) {
                return Err(Error::config(format!("two columns would be named `{name}`"))
                    .with_hint(Phrase::new("give one of them another name with {rename}")));
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

    /// The columns of the plan from what was read: one batch, or several where offsets of 32 bits
    /// cannot count what one holds.
    ///
    /// # Errors
    /// A row does not fit the columns' types.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<Vec<RecordBatch>> {
        match (self.apply_whole(batch), batch.num_rows()) {
            (Ok(batch), _) => Ok(vec![batch]),
            (Err(error), 0 | 1) => Err(error),
            (Err(_), rows) => {
                let half = |from: usize, to: usize| {
                    // Taken, not sliced: offsets begin anew.
                    let rows = UInt64Array::from_iter_values(from as u64..to as u64);
                    self.apply(&take_record_batch(batch, &rows)?)
                };
                let mut batches = half(0, rows / 2)?;
                batches.extend(half(rows / 2, rows)?);
                Ok(batches)
            }
        }
    }

    fn apply_whole(&self, batch: &RecordBatch) -> Result<RecordBatch> {
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

/// Whether there is a union of no types in a type: no value can be of it.
fn is_of_nothing(data_type: &DataType) -> bool {
    let is = |field: &FieldRef| is_of_nothing(field.data_type());
    match data_type {
        DataType::Union(types, _) => types.is_empty() || types.iter().any(|(_, field)| is(field)),
        DataType::Struct(fields) => fields.iter().any(is),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => is(item),
        DataType::Dictionary(_, value) => is_of_nothing(value),
        _ => false,
    }
}

/// A column as tfarrow has it: one of tensors as tfarrow stores them, any other as it is. Nullable.
fn own_field(field: &Field) -> Result<Field> {
    if is_of_nothing(field.data_type()) {
        // Arrow's own code has no value for it, and panics where one is needed.
        return Err(Error::unsupported("union of no types"));
    }
    let data_type = match is_others(field)? {
        true => None,
        false => from_arrow::stored_type(field.data_type()),
    };
    let data_type = data_type.unwrap_or_else(|| field.data_type().clone());
    let own = field.clone().with_data_type(data_type).with_nullable(true);
    // Other writers' metadata has members that readers stumble over.
    let clean = match own.data_type() {
        DataType::FixedSizeList(item, _) => match FixedShapeTensor::from_field(&own)? {
            Some(tensor) => {
                let permutation = tensor.permutation.filter(|order| !is_in_order(order));
                FixedShapeTensor { permutation, ..tensor }.field(own.name(), item.data_type().clone())?
            }
            None => return Ok(own),
        },
        DataType::Struct(parts) => match (VariableShapeTensor::from_field(&own)?, parts.as_ref()) {
            (Some(tensor), [data, shape]) => match (data.data_type(), shape.data_type()) {
                (DataType::List(item), DataType::FixedSizeList(_, rank)) => {
                    let rank = usize::try_from(*rank).unwrap_or(0);
                    let permutation = tensor.permutation.filter(|order| !is_in_order(order));
                    let tensor = VariableShapeTensor { permutation, ..tensor };
                    tensor.field(own.name(), item.data_type().clone(), rank)?
                }
                _ => return Ok(without_extension(own)),
            },
            (Some(_), _) => return Ok(without_extension(own)),
            (None, _) => return Ok(own),
        },
        _ => return Ok(own),
    };
    let mut metadata = own.metadata().clone();
    metadata.extend(clean.metadata().clone());
    Ok(own.with_metadata(metadata))
}

/// Whether something in the column is no tensor's: it then stays as it is, all of it. So does what
/// has an extension type of others, whose storage is for them to say, and lists of structs.
fn is_others(field: &Field) -> Result<bool> {
    if is_of_others(field) {
        return Ok(true);
    }
    let permutation = FixedShapeTensor::from_field(field)?.and_then(|tensor| tensor.permutation);
    let varying = VariableShapeTensor::from_field(field)?;
    let permutation = permutation.or(varying.and_then(|tensor| tensor.permutation));
    if permutation.is_some_and(|order| !is_in_order(&order)) {
        return Ok(true);
    }
    Ok(match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let is_structure = matches!(item.data_type(), DataType::Struct(_))
                && VariableShapeTensor::from_field(item)?.is_none();
            is_structure || is_others(item)?
        }
        DataType::Struct(fields) => {
            let mut others = false;
            for field in fields {
                others |= is_others(field)?;
            }
            others
        }
        other => from_arrow::stored_type(other).is_none(),
    })
}

/// Whether dimensions are shown as they lie.
fn is_in_order(permutation: &[usize]) -> bool {
    permutation.iter().copied().eq(0..permutation.len())
}
