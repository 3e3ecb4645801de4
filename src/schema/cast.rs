//! Casts of whole columns: to which types, and the values' way there.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, GenericListViewArray, MapArray,
    OffsetSizeTrait, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::feature::nearest;
use super::from_arrow::{nested_place, value_dtype};
use super::mapping::{MappingOptions, TF_DTYPE, TF_KIND, value_type, with_metadata};
use super::unknown_column;
use crate::error::{Error, Result};
use crate::options::{Phrase, quote_name, split_assignments};
use crate::tensor::extension::{VariableShapeTensor, is_of_others, without_extension};
use crate::tf::dtype::DType;

/// Which values to cast, and to what: a column, or every column of a dtype.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    from: From,
    to: DType,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    DType(DType),
    Column(String),
}

impl Cast {
    /// Casts every number of the dtype `from`, wherever it stands: in scalar columns, tensors,
    /// lists and structs.
    ///
    /// # Errors
    /// `to` (or `from`) is no number or bool that Arrow can hold as such.
    pub fn every(from: DType, to: DType) -> Result<Self> {
        check(from, "cast from")?;
        check(to, "cast to")?;
        Ok(Self { from: From::DType(from), to })
    }

    /// Casts the numbers of one column.
    ///
    /// # Errors
    /// `to` is no number or bool that Arrow can hold as such.
    pub fn column(column: impl Into<String>, to: DType) -> Result<Self> {
        check(to, "cast to")?;
        Ok(Self { from: From::Column(column.into()), to })
    }

    /// Reads the forms `FROM:TO` and `COLUMN=TO`.
    ///
    /// ```
    /// use tfarrow::schema::Cast;
    /// use tfarrow::DType;
    ///
    /// assert_eq!(Cast::parse("float64:float32")?, Cast::every(DType::Float64, DType::Float32)?);
    /// assert_eq!(Cast::parse("label=uint8")?, Cast::column("label", DType::UInt8)?);
    /// # Ok::<(), tfarrow::Error>(())
    /// ```
    ///
    /// # Errors
    /// The text is of neither form, or names no dtype of numbers.
    pub fn parse(text: &str) -> Result<Self> {
        let mut casts = Self::parse_list(text)?;
        match (casts.pop(), casts.is_empty()) {
            (Some(cast), true) => Ok(cast),
            _ => Err(Error::config("invalid cast").expected("one cast", format!("`{text}`"))),
        }
    }

    /// Reads such forms between commas. A name that holds a comma stands in double quotes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>> {
        let assignments = split_assignments(text).map_err(|what| {
            Error::config("invalid cast")
                .expected(format!("FROM:TO or COLUMN=TO ({what})"), format!("`{text}`"))
                .with_hint("for example float64:float32 or label=int32")
        })?;
        let cast = |(name, sign, to): (String, char, String)| match sign {
            '=' => Self::column(name, dtype(&to)?),
            _ => Self::every(dtype(&name)?, dtype(&to)?),
        };
        assignments.into_iter().map(cast).collect()
    }
}

impl fmt::Display for Cast {
    /// The form that [`parse`](Self::parse) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            From::DType(from) => write!(f, "{from}:{}", self.to),
            From::Column(column) => write!(f, "{}={}", quote_name(column, &[',']), self.to),
        }
    }
}

fn dtype(name: &str) -> Result<DType> {
    let name = match name {
        "half" => "float16",
        "float" => "float32",
        "double" => "float64",
        other => other,
    };
    DType::from_name(name).ok_or_else(|| {
        let error = Error::config(format!("no dtype `{name}` to cast"));
        match nearest(name, DType::ALL.iter().filter(|d| is_number(**d)).map(|d| d.name())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

/// Whether values of `dtype` are numbers (or bools) of an Arrow type of their own.
fn is_number(dtype: DType) -> bool {
    matches!(
        dtype,
        DType::Bool
            | DType::Int8
            | DType::Int16
            | DType::Int32
            | DType::Int64
            | DType::UInt8
            | DType::UInt16
            | DType::UInt32
            | DType::UInt64
            | DType::Float16
            | DType::Float32
            | DType::Float64
    )
}

fn check(dtype: DType, what: &str) -> Result<()> {
    if is_number(dtype) {
        return Ok(());
    }
    Err(Error::config(format!("cannot {what} {dtype}"))
        .expected("bool, an integer of 8 to 64 bits or a float of 16 to 64", dtype.name()))
}

/// The casts of a dataset's columns.
#[derive(Debug)]
pub(crate) struct CastPlan {
    /// The schema after the casts.
    pub(crate) schema: SchemaRef,
    /// The columns to be cast.
    columns: Vec<usize>,
}

impl CastPlan {
    /// Plans `casts` of the columns of `schema`; where several concern the same values, the last
    /// one counts.
    ///
    /// # Errors
    /// There is no such column, or it holds no numbers.
    pub(crate) fn new(schema: &Schema, casts: &[Cast], options: &MappingOptions) -> Result<Self> {
        Self::of(schema, casts, options, false)
    }

    /// As [`new`](Self::new), where only some of the columns are left: casts of others are passed over.
    ///
    /// # Errors
    /// A column holds no numbers.
    pub(crate) fn of_some(schema: &Schema, casts: &[Cast], options: &MappingOptions) -> Result<Self> {
        Self::of(schema, casts, options, true)
    }

    fn of(schema: &Schema, casts: &[Cast], options: &MappingOptions, of_some: bool) -> Result<Self> {
        let mut fields: Vec<FieldRef> = schema.fields().to_vec();
        for cast in casts {
            let From::DType(from) = cast.from else { continue };
            let mut concerned = false;
            for (field, original) in fields.iter_mut().zip(schema.fields()) {
                if let Some(changed) = target(original, None, Some(from), cast.to, options)? {
                    concerned = true;
                    *field = Arc::new(changed);
                }
            }
            if !concerned && !of_some {
                return Err(Error::config(format!("no column holds {from} values to cast")));
            }
        }
        // What is said of a column itself counts more.
        for cast in casts {
            let From::Column(column) = &cast.from else { continue };
            let place = match nested_place(options.column_name(column), schema.fields()) {
                Some(place) => place,
                None if of_some => continue,
                None => {
                    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                    return Err(unknown_column(column, &names));
                }
            };
            let (Some((first, inner)), originals) = (place.split_first(), schema.fields()) else { continue };
            if let (Some(field), Some(original)) = (fields.get_mut(*first), originals.get(*first)) {
                let cast = member_cast(field, original, inner, cast.to, options);
                *field = Arc::new(cast.map_err(|e| e.in_column(column.as_str()))?);
            }
        }
        let changed = fields.iter().zip(schema.fields()).enumerate();
        let columns = changed.filter(|(_, (a, b))| a.data_type() != b.data_type()).map(|(i, _)| i).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Ok(Self { schema, columns })
    }

    /// Casts the columns of a batch.
    ///
    /// # Errors
    /// A value does not fit its new type; the error says which and where.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.apply_or_null(batch, &mut Err)
    }

    /// As [`apply`](Self::apply), but columns of whose values one does not fit go to `lost`, and are
    /// null if that is content: for batches of one row.
    ///
    /// # Errors
    /// `lost` fails.
    pub(crate) fn apply_or_null(
        &self,
        batch: &RecordBatch,
        lost: &mut dyn FnMut(Error) -> Result<()>,
    ) -> Result<RecordBatch> {
        let mut columns = batch.columns().to_vec();
        for &place in &self.columns {
            let (Some(column), Some(field)) = (columns.get_mut(place), self.schema.fields().get(place))
            else {
                continue;
            };
            let to = field.data_type();
            *column = match cast(column, to) {
                Ok(cast) => cast,
                Err(error) => {
                    lost(locate(column, to, error).in_column(field.name().as_str()))?;
                    new_null_array(to, batch.num_rows())
                }
            };
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

fn not_numbers(field: &Field) -> Error {
    Error::config("column cannot be cast")
        .expected("numbers or bools", field.data_type().to_string())
        .with_hint(Phrase::new("{utf8} reads bytes as text, {bfloat16} says how narrow floats are stored"))
}

/// `field` with the numbers at `place` in it cast, as they are in `original`.
fn member_cast(
    field: &Field,
    original: &Field,
    place: &[usize],
    to: DType,
    options: &MappingOptions,
) -> Result<Field> {
    match (place.split_first(), field.data_type(), original.data_type()) {
        (Some((member, inner)), DataType::Struct(fields), DataType::Struct(originals)) => {
            let mut fields = fields.to_vec();
            if let (Some(field), Some(original)) = (fields.get_mut(*member), originals.get(*member)) {
                *field = Arc::new(member_cast(field, original, inner, to, options)?);
            }
            Ok(field.clone().with_data_type(DataType::Struct(fields.into())))
        }
        _ => target(original, None, None, to, options)?.ok_or_else(|| not_numbers(original)),
    }
}

/// The field with its values of the dtype `from` (any numbers if none) cast to `to`; `None` if it
/// has none. `outer` is the dtype that an outer field has.
fn target(
    field: &Field,
    outer: Option<DType>,
    from: Option<DType>,
    to: DType,
    options: &MappingOptions,
) -> Result<Option<Field>> {
    let dtype = field.metadata().get(TF_DTYPE).and_then(|name| DType::from_name(name)).or(outer);
    // What numbers mean that are stored for a type of others is not known.
    let is_others = is_of_others(field);
    if is_others && from.is_some() {
        return Ok(None);
    }
    // The values of a tensor or sparse tensor that is a struct stand beside its shape.
    let values = match field.metadata().get(TF_KIND).map(String::as_str) {
        _ if VariableShapeTensor::from_field(field)?.is_some() => Some("data"),
        _ if dtype.is_none() => None,
        Some("tensor") => Some("data"),
        Some("sparse") => Some("values"),
        Some("optional") => match field.data_type() {
            DataType::Struct(fields) if fields.find("dense_shape").is_some() => Some("values"),
            _ => Some("data"),
        },
        _ => None,
    };
    let item = |item: &FieldRef| Ok::<_, Error>(target(item, dtype, from, to, options)?.map(Arc::new));
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            let mut changed = false;
            let cast = fields.iter().map(|child| {
                let cast = match values.is_none_or(|values| values == child.name()) {
                    true => item(child)?,
                    false => None,
                };
                changed |= cast.is_some();
                Ok(cast.unwrap_or_else(|| child.clone()))
            });
            let fields: Fields = cast.collect::<Result<Vec<_>>>()?.into();
            changed.then_some(DataType::Struct(fields))
        }
        DataType::List(list) => item(list)?.map(DataType::List),
        DataType::LargeList(list) => item(list)?.map(DataType::LargeList),
        DataType::ListView(list) => item(list)?.map(DataType::ListView),
        DataType::LargeListView(list) => item(list)?.map(DataType::LargeListView),
        DataType::FixedSizeList(list, n) => item(list)?.map(|item| DataType::FixedSizeList(item, *n)),
        DataType::RunEndEncoded(ends, values) => {
            item(values)?.map(|values| DataType::RunEndEncoded(ends.clone(), values))
        }
        // Keys that become equal would be lost.
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(pair) => match pair.as_ref() {
                [key, value] => item(value)?.map(|value| {
                    let pair = DataType::Struct(vec![key.clone(), value].into());
                    DataType::Map(Arc::new(entries.as_ref().clone().with_data_type(pair)), *sorted)
                }),
                _ => None,
            },
            _ => None,
        },
        DataType::Dictionary(keys, values) => {
            let values = Field::new("", values.as_ref().clone(), true);
            let values = target(&values, dtype, from, to, options)?;
            values.map(|values| DataType::Dictionary(keys.clone(), Box::new(values.data_type().clone())))
        }
        leaf => {
            // Where TensorFlow said nothing, numbers are what they are stored as.
            let own = dtype.or_else(|| value_dtype(leaf).ok());
            // Numbers that are only part of a value (a complex number), or its bits, are not cast.
            let holds_numbers = leaf.is_numeric() || *leaf == DataType::Boolean;
            let is_value = match own.filter(|_| holds_numbers) {
                Some(own) => {
                    is_number(own) && from.is_none_or(|from| from == own)
                        || from.is_none() && is_widened(own, leaf)
                }
                None => from.is_none() && leaf.is_decimal(),
            };
            let in_tensor = outer.is_some();
            let to = value_type(to, options, false, in_tensor).filter(|_| is_value);
            to.filter(|to| can_cast_types(leaf, to))
        }
    };
    let Some(data_type) = data_type else { return Ok(None) };
    let mut field = field.clone();
    if is_others && *field.data_type() != data_type {
        field = without_extension(field);
    }
    let field = field.with_data_type(data_type);
    let has_dtype = field.metadata().contains_key(TF_DTYPE);
    Ok(Some(if has_dtype { with_metadata(field, TF_DTYPE, to.name()) } else { field }))
}

/// Whether `leaf` holds numbers that stand for values of a dtype that Arrow has no type for.
fn is_widened(dtype: DType, leaf: &DataType) -> bool {
    match leaf {
        DataType::Float32 => !matches!(dtype, DType::Complex64 | DType::Complex128),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => true,
        DataType::UInt8 => matches!(dtype, DType::QUInt8 | DType::UInt4 | DType::UInt2),
        DataType::UInt16 => dtype == DType::QUInt16,
        _ => false,
    }
}

/// Casts the values at the bottom of `array`; what lies around them is not copied.
fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let wrong = || Error::unsupported("cast").expected(to.to_string(), array.data_type().to_string());
    match to {
        DataType::List(item) => cast_list(array.as_list_opt::<i32>().ok_or_else(wrong)?, item),
        DataType::LargeList(item) => cast_list(array.as_list_opt::<i64>().ok_or_else(wrong)?, item),
        DataType::ListView(item) => cast_views(array.as_list_view_opt::<i32>().ok_or_else(wrong)?, item),
        DataType::LargeListView(item) => cast_views(array.as_list_view_opt::<i64>().ok_or_else(wrong)?, item),
        DataType::Map(entries, sorted) => {
            let map = array.as_map_opt().ok_or_else(wrong)?;
            let pairs: ArrayRef = Arc::new(map.entries().clone());
            let pairs = cast(&pairs, entries.data_type())?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let pairs = pairs.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted)?))
        }
        DataType::Dictionary(_, values) => {
            let dictionary = array.as_any_dictionary_opt().ok_or_else(wrong)?;
            Ok(dictionary.with_values(cast(dictionary.values(), values)?))
        }
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list_opt().ok_or_else(wrong)?;
            let values = cast(list.values(), item.data_type())?;
            let nulls = list.nulls().cloned();
            Ok(Arc::new(FixedSizeListArray::try_new_with_length(
                item.clone(),
                *size,
                values,
                nulls,
                list.len(),
            )?))
        }
        DataType::Struct(fields) => {
            let parts = array.as_struct_opt().ok_or_else(wrong)?;
            let columns =
                fields.iter().zip(parts.columns()).map(|(field, part)| cast(part, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let nulls = parts.nulls().cloned();
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, parts.len())?))
        }
        _ => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            match cast_with_options(array, to, &options) {
                Ok(cast) => Ok(cast),
                Err(_) => Err(does_not_fit(array, to)),
            }
        }
    }
}

fn cast_list<O: OffsetSizeTrait>(list: &GenericListArray<O>, item: &FieldRef) -> Result<ArrayRef> {
    let (first, last) = (list.offsets().first().copied(), list.offsets().last().copied());
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    let (start, len) = (first.as_usize(), last.as_usize().saturating_sub(first.as_usize()));
    let values = cast(&list.values().slice(start, len), item.data_type())?;
    let offsets = match start {
        0 => list.offsets().clone(),
        _ => OffsetBuffer::new(ScalarBuffer::from_iter(list.offsets().iter().map(|o| *o - first))),
    };
    Ok(Arc::new(GenericListArray::try_new(item.clone(), offsets, values, list.nulls().cloned())?))
}

fn cast_views<O: OffsetSizeTrait>(list: &GenericListViewArray<O>, item: &FieldRef) -> Result<ArrayRef> {
    let values = cast(list.values(), item.data_type())?;
    let (offsets, sizes, nulls) = (list.offsets().clone(), list.sizes().clone(), list.nulls().cloned());
    Ok(Arc::new(GenericListViewArray::try_new(item.clone(), offsets, sizes, values, nulls)?))
}

/// The error of the first value that does not fit.
#[cold]
fn does_not_fit(array: &ArrayRef, to: &DataType) -> Error {
    let value = cast_with_options(array, to, &CastOptions::default()).ok().and_then(|cast| {
        let first = (0..array.len()).find(|i| array.is_valid(*i) && cast.is_null(*i))?;
        arrow::util::display::array_value_to_string(array, first).ok()
    });
    Error::mismatch("value does not fit its cast").expected(to.to_string(), value.unwrap_or_default())
}

/// Adds the row at which a cast fails.
#[cold]
fn locate(array: &ArrayRef, to: &DataType, error: Error) -> Error {
    let failing = (0..array.len()).find_map(|row| Some((row, cast(&array.slice(row, 1), to).err()?)));
    match failing {
        Some((row, error)) => error.at_row(row as u64),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::feature::FeatureSpec;
    use crate::schema::mapping;
    use arrow::array::{Float32Array, Int64Array, ListArray};
    use arrow::datatypes::{Float32Type, Int32Type};

    fn schema(types: &[(&str, &str)]) -> Schema {
        let fields = types.iter().map(|(name, ty)| {
            let spec = FeatureSpec::parse_type(name, ty).unwrap().element_spec();
            mapping::field(name, name, &spec, &MappingOptions::default()).unwrap().unwrap()
        });
        Schema::new(fields.collect::<Vec<_>>())
    }

    fn plan(types: &[(&str, &str)], casts: &[&str]) -> Result<CastPlan> {
        let casts: Vec<_> = casts.iter().map(|c| Cast::parse(c).unwrap()).collect();
        CastPlan::new(&schema(types), &casts, &MappingOptions::default())
    }

    #[test]
    fn a_dtype_is_cast_wherever_it_stands() {
        let types = [
            ("scalar", "float64"),
            ("fixed", "raw<float64>[2,3]"),
            ("varying", "tensor<float64>[?,3]"),
            ("anything", "tensor<float64>[...]"),
            ("list", "float64[]"),
            ("complex", "tensor<complex128>[2]"),
            ("other", "int64"),
        ];
        let plan = plan(&types, &["float64:float32"]).unwrap();
        let names: Vec<String> = plan.schema.fields().iter().map(|f| f.data_type().to_string()).collect();
        for (name, found) in types.iter().zip(&names) {
            let has = |part: &str| found.contains(part);
            match name.0 {
                "complex" => assert!(has("Float64") && !has("Float32"), "{found}"),
                "other" => assert_eq!(found, "Int64"),
                _ => assert!(has("Float32") && !has("Float64"), "{name:?}: {found}"),
            }
        }
        assert!(names[2].contains("Int32") && names[3].contains("Int64"), "shapes are not cast: {names:?}");
        assert_eq!(plan.schema.field(1).metadata()["ARROW:extension:metadata"], r#"{"shape":[2,3]}"#);
        assert_eq!(plan.schema.field(0).metadata()[TF_DTYPE], "float32");
        assert_eq!(plan.columns, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_column_counts_more_than_its_dtype() {
        let plan = plan(&[("a", "int64"), ("b", "int64")], &["b=float32", "int64:int32"]).unwrap();
        assert_eq!(plan.schema.field(0).data_type(), &DataType::Int32);
        assert_eq!(plan.schema.field(1).data_type(), &DataType::Float32);
    }

    #[test]
    fn what_cannot_be_cast_is_refused() {
        let types = [("label", "int64"), ("text", "string"), ("c", "tensor<complex64>")];
        for (cast, part) in [
            ("lable=int8", "did you mean `label`?"),
            ("text=int8", "cannot be cast"),
            ("c=float32", "cannot"),
        ] {
            let message = plan(&types, &[cast]).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        for (text, part) in [
            ("x", "FROM:TO"),
            ("x=flot32", "float32"),
            ("string:int8", "string"),
            ("a=complex64", "complex64"),
        ] {
            let message = Cast::parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn values_that_do_not_fit_are_located() {
        let types = [("x", "int64"), ("l", "int64[]")];
        let plan = plan(&types, &["int64:int8"]).unwrap();
        let lists = |values: Vec<Vec<i64>>| -> ArrayRef {
            let lists = values.into_iter().map(|v| Some(v.into_iter().map(Some)));
            Arc::new(ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(lists))
        };
        let batch = |x: Vec<Option<i64>>, l| {
            let x: ArrayRef = Arc::new(Int64Array::from(x));
            let fields = schema(&types);
            RecordBatch::try_new(Arc::new(fields), vec![x, lists(l)]).unwrap()
        };
        let good = batch(vec![Some(1), None, Some(-128)], vec![vec![], vec![1, 2], vec![3]]);
        let cast = plan.apply(&good).unwrap();
        assert_eq!(cast.column(1).data_type().to_string(), cast.schema().field(1).data_type().to_string());
        assert_eq!(plan.apply(&good.slice(1, 2)).unwrap(), cast.slice(1, 2));
        for (bad, column) in [
            (batch(vec![Some(1), Some(2), Some(300)], vec![vec![], vec![], vec![]]), "x"),
            (batch(vec![None, None, None], vec![vec![1], vec![], vec![7, 300]]), "l"),
        ] {
            let error = plan.apply(&bad).unwrap_err();
            assert!(error.to_string().contains("expected Int8, found 300"), "{error}");
            assert_eq!(error.location().row, Some(2));
            assert_eq!(error.location().column.as_deref(), Some(column));
        }
    }

    #[test]
    fn floats_lose_precision_and_no_more() {
        let from: ArrayRef = Arc::new(Float32Array::from(vec![1.5, -2.5, 16_777_217.0]));
        let to = cast(&from, &DataType::Int32).unwrap();
        assert_eq!(to.as_primitive::<Int32Type>().values(), &[1, -2, 16_777_216]);
        let nan: ArrayRef = Arc::new(Float32Array::from(vec![f32::NAN]));
        assert!(cast(&nan, &DataType::Int32).is_err());
        let big: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
        let to = cast(&big, &DataType::Float32).unwrap();
        assert_eq!(to.as_primitive::<Float32Type>().value(0), i64::MAX as f32);
    }
}
