//! TensorFlow's `half` where a file format has no such type that its readers know.
//!
//! Most readers of Parquet refuse a whole file for one column of FLOAT16. Float32 holds all of its
//! values, and the field metadata goes on to say what they are, so that the way back is exact too.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::mapping::TF_DTYPE;
use crate::tf::dtype::DType;

/// `schema` with the values that TensorFlow calls `half` as Float32.
pub(crate) fn widened(schema: &Schema) -> Schema {
    with_halves_as(schema, &DataType::Float16, &DataType::Float32)
}

/// The schema of which `schema` is [`widened`].
pub(crate) fn narrowed(schema: &Schema) -> Schema {
    with_halves_as(schema, &DataType::Float32, &DataType::Float16)
}

fn with_halves_as(schema: &Schema, from: &DataType, to: &DataType) -> Schema {
    let fields = schema.fields().iter().map(|field| Arc::new(retyped(field, false, from, to)));
    Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone())
}

/// `field` with the leaves of type `from` that are halves as `to`; `outer` says that an outer field
/// calls its values so.
fn retyped(field: &Field, outer: bool, from: &DataType, to: &DataType) -> Field {
    let said = field.metadata().get(TF_DTYPE);
    let half = said.map_or(outer, |name| name == DType::Float16.name());
    let inner = |field: &Arc<Field>| Arc::new(retyped(field, half, from, to));
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        leaf if half && leaf == from => to.clone(),
        other => other.clone(),
    };
    field.clone().with_data_type(data_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::mapping::with_metadata;

    #[test]
    fn halves_are_told_from_other_numbers_by_their_metadata() {
        let halves = |leaf: DataType| {
            let tensor = DataType::FixedSizeList(Arc::new(Field::new("item", leaf.clone(), true)), 2);
            let ragged = DataType::List(Arc::new(Field::new("item", tensor.clone(), true)));
            let said = |name: &str, data_type| {
                with_metadata(Field::new(name, data_type, true), TF_DTYPE, DType::Float16.name())
            };
            let steps = DataType::Struct(vec![said("x", tensor.clone())].into());
            let float = with_metadata(Field::new("float", DataType::Float32, true), TF_DTYPE, "float32");
            Schema::new(vec![
                said("scalar", leaf),
                said("ragged", ragged),
                Field::new("steps", DataType::List(Arc::new(Field::new("item", steps, true))), true),
                float,
                Field::new("others", DataType::Float16, true),
                Field::new("other floats", DataType::Float32, true),
            ])
        };
        let (half, float) = (halves(DataType::Float16), halves(DataType::Float32));
        assert_eq!(widened(&half), float);
        assert_eq!(narrowed(&float), half);
    }
}
