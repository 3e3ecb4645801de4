//! A feature whose values stand in a list, on its way to being a column.

use arrow::array::{ArrayRef, NullBufferBuilder};

use arrow::datatypes::{DataType, Field};

use super::assemble::{wrap_fixed, wrap_list, wrap_variable_shape};
use super::values::{Scratch, ValueError, Values, room_after};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Phrase;
use crate::schema::feature::{DefaultValue, FeatureSpec, Missing};
use crate::schema::infer::kinds_differ;
use crate::tf::dtype::DType;
use crate::tf::example::{Kind, unsound_example};
use crate::tf::shape::Shape;

/// How many values a record has.
#[derive(Debug)]
enum Count {
    /// Exactly one.
    One,
    /// Exactly so many.
    Fixed(usize),
    /// Any number of items of `stride` values; `offsets` count items.
    List { stride: usize, offsets: Vec<i32> },
    /// As `List`, stored flat with each row's shape; `offsets` count values.
    Shaped { stride: usize, inner: Vec<i32>, offsets: Vec<i32>, shapes: Vec<i32> },
}

/// Builds the column of one feature.
#[derive(Debug)]
pub(crate) struct FeatureColumn {
    spec: FeatureSpec,
    kind: Kind,
    data_type: DataType,
    value_type: DataType,
    count: Count,
    values: Values,
    nulls: NullBufferBuilder,
    rows: usize,
    capacity: usize,
    /// Values and their bytes that the next rows are expected to take.
    room: (usize, usize),
    /// Bytes that a missing row takes, at most.
    missing_bytes: usize,
    scratch: Scratch,
}

/// The type at the bottom of nested lists: that of the values.
fn leaf_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(item) | DataType::FixedSizeList(item, _) => leaf_type(item.data_type()),
        DataType::Struct(fields) => fields.first().map_or(data_type, |f| leaf_type(f.data_type())),
        other => other,
    }
}

fn offsets(capacity: usize) -> Vec<i32> {
    let mut offsets = Vec::with_capacity(capacity + 1);
    offsets.push(0);
    offsets
}

impl FeatureColumn {
    /// An empty builder for `spec` as the column `field`, with room for `capacity` rows.
    ///
    /// # Errors
    /// The shape is too large for a row.
    pub(crate) fn new(spec: &FeatureSpec, field: &Field, capacity: usize) -> Result<Self> {
        let data_type = field.data_type().clone();
        let value_type = leaf_type(&data_type).clone();
        let too_large = || Error::limit("feature too large for a row").in_column(spec.name.as_str());
        let size = |dims: &[Option<u64>]| -> Result<usize> {
            let product = dims.iter().flatten().try_fold(1u64, |a, b| a.checked_mul(*b));
            product
                .and_then(|p| i32::try_from(p).ok())
                .and_then(|p| usize::try_from(p).ok())
                .ok_or_else(too_large)
        };
        let count = match &spec.shape {
            Shape::Dims(dims) if dims.is_empty() => Count::One,
            Shape::Dims(dims) if !dims.contains(&None) => match size(dims)? {
                // A tensor without values is an empty list: fixed-size lists of 0 break readers.
                0 => Count::List { stride: 0, offsets: offsets(capacity) },
                n => Count::Fixed(n),
            },
            Shape::Dims(dims) => {
                let stride = size(dims)?;
                if matches!(data_type, DataType::Struct(_)) {
                    let inner =
                        dims.iter().skip(1).flatten().map(|d| i32::try_from(*d)).collect::<Result<_, _>>();
                    let inner = inner.map_err(|_| too_large())?;
                    Count::Shaped { stride, inner, offsets: offsets(capacity), shapes: Vec::new() }
                } else {
                    Count::List { stride, offsets: offsets(capacity) }
                }
            }
            Shape::UnknownRank => {
                return Err(Error::unsupported("feature of unknown rank").in_column(spec.name.as_str()));
            }
        };
        let values = match count {
            Count::Fixed(n) => {
                Values::with_capacity(&value_type, n.saturating_mul(capacity).min(1 << 20), 0)?
            }
            _ => Values::with_capacity(&value_type, capacity, 0)?,
        };
        let missing_values = match (&count, &spec.missing) {
            (Count::One, _) => 1,
            (Count::Fixed(n), _) => *n,
            (Count::List { stride, .. } | Count::Shaped { stride, .. }, Missing::Default(_)) => *stride,
            (Count::List { .. } | Count::Shaped { .. }, _) => 0,
        };
        let missing_bytes = missing_values.saturating_mul(match &spec.missing {
            Missing::Default(DefaultValue::Bytes(bytes)) => bytes.len() + size_of::<i32>(),
            _ => size_of::<u64>(),
        });
        Ok(Self {
            spec: spec.clone(),
            kind: spec.wire_kind(),
            data_type,
            value_type,
            count,
            values,
            nulls: NullBufferBuilder::new(capacity),
            rows: 0,
            capacity,
            room: (0, 0),
            missing_bytes,
            scratch: Scratch::new(spec.wraps),
        })
    }

    /// The feature's key.
    #[inline]
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Rows appended so far.
    #[inline]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether a record must have the feature.
    pub(crate) fn is_required(&self) -> bool {
        self.spec.missing.is_error()
    }

    /// Bytes that `rows` rows take, of which those that are not set yet are missing.
    pub(crate) fn byte_len(&self, rows: usize) -> usize {
        let missing = rows.saturating_sub(self.rows).saturating_mul(self.missing_bytes);
        self.values.byte_len().saturating_add(missing)
    }

    /// Sets row `row` from the serialized `list` of the kind `kind`. Rows before it that were not
    /// set are filled as missing; if it was set already (a key that occurs twice), this replaces
    /// it.
    #[inline]
    pub(crate) fn set(&mut self, row: usize, kind: Kind, list: &[u8]) -> Result<()> {
        if self.rows < row {
            self.fill(row)?;
        } else if self.rows > row {
            self.truncate(row);
        }
        if kind != self.kind {
            return if kind == Kind::None { self.without_value() } else { Err(wrong_kind(&self.spec, kind)) };
        }
        if matches!(self.count, Count::One) {
            let float = self.spec.dtype == DType::Float32 && self.values.push_single_float(list);
            let pushed = float || self.values.push_single(list).map_err(|e| self.value_error(e))?;
            if pushed {
                self.nulls.append_non_null();
                self.rows += 1;
                return Ok(());
            }
        }
        self.set_any(list)
    }

    fn set_any(&mut self, list: &[u8]) -> Result<()> {
        let (before, required) = (self.values.len(), self.is_required());
        let found = self
            .values
            .extend_from_list(list, self.spec.dtype, &mut self.scratch)
            .map_err(|e| self.value_error(e))?;
        match &mut self.count {
            Count::One if found == 1 => {}
            // Present, but without a value: missing, for a scalar.
            Count::One if found == 0 && !required && !self.spec.feature_list => return Ok(()),
            Count::One | Count::Fixed(_) if found == 0 && self.spec.missing == Missing::NullAtKey => {
                return self.without_value();
            }
            Count::Fixed(n) if found == *n => {}
            Count::List { stride: 0, offsets } if found == 0 => offsets.push(0),
            Count::List { stride, offsets } if *stride > 0 && found % *stride == 0 => {
                let items = self.values.len() / *stride;
                match i32::try_from(items) {
                    Ok(items) => offsets.push(items),
                    Err(_) => return Err(self.value_error(ValueError::TooLong)),
                }
            }
            Count::Shaped { stride, inner, offsets, shapes } if *stride > 0 && found % *stride == 0 => {
                match (i32::try_from(self.values.len()), i32::try_from(found / *stride)) {
                    (Ok(end), Ok(outer)) => {
                        offsets.push(end);
                        shapes.push(outer);
                        shapes.extend_from_slice(inner);
                    }
                    _ => return Err(self.value_error(ValueError::TooLong)),
                }
            }
            _ => {
                self.values.truncate(before);
                return Err(self.wrong_count(found));
            }
        }
        self.nulls.append_non_null();
        self.rows += 1;
        Ok(())
    }

    /// Sets the next row from a feature that is there, but has no value: it is missing, unless its key
    /// is what counts.
    #[cold]
    fn without_value(&mut self) -> Result<()> {
        match self.spec.missing {
            Missing::NullAtKey => self.push_missing(None).map_err(|e| self.value_error(e)),
            _ => Ok(()),
        }
    }

    /// Fills the rows from the last one set up to `rows` with what a missing feature gives.
    ///
    /// # Errors
    /// The feature is required, or its default does not fit.
    pub(crate) fn fill(&mut self, rows: usize) -> Result<()> {
        while self.rows < rows {
            let default = match &self.spec.missing {
                Missing::Error | Missing::NullAtKey => return Err(missing_feature(&self.spec)),
                Missing::Null => None,
                Missing::Default(default) => Some(default.clone()),
            };
            self.push_missing(default.as_ref()).map_err(|e| self.value_error(e))?;
        }
        Ok(())
    }

    /// Makes row `rows - 1` null, whatever a missing feature gives otherwise; rows before it that
    /// were not set are filled.
    ///
    /// # Errors
    /// A row before it is missing, or the column would outgrow 32-bit offsets.
    pub(crate) fn push_null(&mut self, rows: usize) -> Result<()> {
        self.fill(rows.saturating_sub(1))?;
        self.push_missing(None).map_err(|e| self.value_error(e))
    }

    fn push_missing(&mut self, default: Option<&DefaultValue>) -> Result<(), ValueError> {
        let n = match &self.count {
            Count::One => 1,
            Count::Fixed(n) => *n,
            Count::List { stride, .. } | Count::Shaped { stride, .. } if default.is_some() => *stride,
            Count::List { .. } | Count::Shaped { .. } => 0,
        };
        match default {
            Some(default) => self.values.push_default(default, n, self.spec.dtype)?,
            None => self.values.push_zeros(n),
        }
        match &mut self.count {
            Count::One | Count::Fixed(_) => {}
            Count::List { offsets, .. } => {
                let items = i32::from(default.is_some());
                offsets.push(offsets.last().copied().unwrap_or(0).saturating_add(items));
            }
            Count::Shaped { inner, offsets, shapes, .. } => {
                let end = i32::try_from(self.values.len()).map_err(|_| ValueError::TooLong)?;
                offsets.push(end);
                shapes.push(i32::from(default.is_some()));
                shapes.extend_from_slice(inner);
            }
        }
        self.nulls.append(default.is_some());
        self.rows += 1;
        Ok(())
    }

    /// Drops all rows but the first `rows`, and what a failed [`set`](Self::set) left behind.
    pub(crate) fn truncate(&mut self, rows: usize) {
        let rows = rows.min(self.rows);
        let keep = |offset: Option<&i32>| offset.and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
        let values = match &mut self.count {
            Count::One => rows,
            Count::Fixed(n) => rows * *n,
            Count::List { stride, offsets } => {
                offsets.truncate(rows + 1);
                keep(offsets.last()) * *stride
            }
            Count::Shaped { inner, offsets, shapes, .. } => {
                offsets.truncate(rows + 1);
                shapes.truncate(rows * (inner.len() + 1));
                keep(offsets.last())
            }
        };
        self.values.truncate(values);
        self.nulls.truncate(rows);
        self.rows = rows;
    }

    /// Takes as much room as the rows before took.
    pub(crate) fn make_room(&mut self) {
        let (values, bytes) = std::mem::take(&mut self.room);
        self.values.reserve(values, bytes);
    }

    /// The rows as an array; the builder is then empty.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let (values, bytes) = self.values.size_hint();
        self.room = (room_after(values), room_after(bytes));
        let fresh = Values::with_capacity(&self.value_type, 0, 0)?;
        let values = std::mem::replace(&mut self.values, fresh);
        let nulls = self.nulls.finish();
        let rows = std::mem::take(&mut self.rows);
        match &mut self.count {
            Count::One => values.finish(nulls),
            Count::Fixed(_) => wrap_fixed(values.finish(None)?, &self.data_type, rows, nulls),
            Count::List { offsets: taken, .. } => {
                let taken = std::mem::replace(taken, offsets(self.capacity));
                wrap_list(values.finish(None)?, taken, &self.data_type, nulls)
            }
            Count::Shaped { offsets: taken, shapes, .. } => {
                let taken = std::mem::replace(taken, offsets(self.capacity));
                let shapes = std::mem::take(shapes);
                wrap_variable_shape(values.finish(None)?, taken, shapes, &self.data_type, nulls)
            }
        }
    }

    #[cold]
    fn wrong_count(&self, found: usize) -> Error {
        let expected = match &self.count {
            Count::One => "exactly 1".to_owned(),
            Count::Fixed(n) => format!("exactly {n}"),
            Count::List { stride, .. } | Count::Shaped { stride, .. } => format!("a multiple of {stride}"),
        };
        let mut list = self.spec.clone();
        list.shape = Shape::Dims(vec![None]);
        list.missing = Missing::Null;
        Error::mismatch("feature with another number of values")
            .expected(expected, found.to_string())
            .in_column(self.name())
            .with_hint(
                Phrase::new("pass {feature=_} to read it as a list").pair(self.name(), list.to_string()),
            )
    }

    #[cold]
    fn value_error(&self, error: ValueError) -> Error {
        let error = match error {
            ValueError::Wire(error) => unsound_example(error),
            ValueError::DoesNotFit(value) => {
                Error::mismatch("value out of range").expected(self.spec.dtype.name(), value).with_hint(
                    Phrase::new("pass {feature=_} to keep it as it is stored")
                        .pair(self.name(), if self.kind == Kind::Float { "float32" } else { "int64" }),
                )
            }
            ValueError::NotUtf8 => {
                let mut binary = self.spec.clone();
                binary.text = false;
                Error::mismatch("value is not UTF-8").expected("text", "other bytes").with_hint(
                    Phrase::new("pass {feature=_} to keep bytes").pair(self.name(), binary.to_string()),
                )
            }
            ValueError::TooLong => Error::limit("column outgrows 32-bit offsets")
                .expected("at most 2³¹−1 bytes a batch", "more")
                .with_hint(Phrase::new("pass a smaller {batch_rows}")),
        };
        error.in_column(self.name())
    }
}

/// The error of a record without a feature that it must have.
#[cold]
pub(super) fn missing_feature(spec: &FeatureSpec) -> Error {
    let (what, place) = match spec.feature_list {
        true => ("step of a feature list has no value", "a step"),
        false => ("feature is missing", "it"),
    };
    let mut optional = spec.clone();
    optional.missing = Missing::Null;
    Error::new(ErrorKind::MissingFeature, what).in_column(spec.name.as_str()).with_hint(
        Phrase::new("pass {feature=_} for null where ")
            .pair(spec.name.as_str(), optional.to_string())
            .text(format!("{place} is missing"))
            .then(", or {feature=*?} for null wherever a feature is"),
    )
}

/// The error of a feature that holds another kind of list than its spec says.
#[cold]
pub(super) fn wrong_kind(spec: &FeatureSpec, found: Kind) -> Error {
    let ty = match found {
        Kind::Bytes => "binary",
        Kind::Float => "float32",
        _ => "int64",
    };
    let brackets = if spec.is_list() { "[]" } else { "" };
    let name = &spec.name;
    Error::mismatch("feature of the wrong kind")
        .expected(spec.wire_kind().name(), found.name())
        .in_column(name.as_str())
        .with_hint(match spec.seen {
            // Another type would not fit the others.
            true => kinds_differ(name),
            false => Phrase::new("pass {feature=_} if that is its type")
                .pair(name.as_str(), format!("{ty}{brackets}")),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::mapping::{self, MappingOptions};
    use crate::wire::proto::put_varint;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int64Type;

    fn ints(values: &[i64]) -> Vec<u8> {
        let mut packed = Vec::new();
        values.iter().for_each(|v| put_varint(&mut packed, *v as u64));
        let mut list = vec![0x0a];
        put_varint(&mut list, packed.len() as u64);
        list.extend(packed);
        list
    }

    fn column(text: &str) -> FeatureColumn {
        let spec = FeatureSpec::parse(&format!("x:{text}")).unwrap();
        let field =
            mapping::field("x", "x", &spec.element_spec(), &MappingOptions::default()).unwrap().unwrap();
        FeatureColumn::new(&spec, &field, 4).unwrap()
    }

    #[test]
    fn scalars_lists_and_nulls() {
        let mut scalar = column("int64?");
        scalar.set(1, Kind::Int64, &ints(&[5])).unwrap();
        scalar.set(2, Kind::Int64, &ints(&[])).unwrap();
        scalar.set(3, Kind::None, &[]).unwrap();
        scalar.fill(4).unwrap();
        let array = scalar.finish().unwrap();
        let values: Vec<_> = array.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [None, Some(5), None, None]);

        let mut list = column("int64[]");
        list.set(0, Kind::Int64, &ints(&[1, 2])).unwrap();
        list.set(1, Kind::Int64, &ints(&[])).unwrap();
        list.fill(3).unwrap();
        let array = list.finish().unwrap();
        let array = array.as_list::<i32>();
        assert_eq!((array.value(0).len(), array.value(1).len()), (2, 0));
        assert!(array.is_valid(1) && array.is_null(2));
    }

    #[test]
    fn a_row_set_twice_is_replaced() {
        for text in ["int64[]", "int64[2]", "int64[?,2]"] {
            let mut column = column(text);
            column.set(0, Kind::Int64, &ints(&[1, 2])).unwrap();
            column.set(1, Kind::Int64, &ints(&[3, 4])).unwrap();
            column.set(1, Kind::Int64, &ints(&[5, 6])).unwrap();
            let array = column.finish().unwrap();
            assert_eq!(array.len(), 2, "{text}");
            let data = match array.data_type() {
                DataType::List(_) => array.as_list::<i32>().values().clone(),
                DataType::FixedSizeList(..) => array.as_fixed_size_list().values().clone(),
                _ => array.as_struct().column(0).as_list::<i32>().values().clone(),
            };
            assert_eq!(data.as_primitive::<Int64Type>().values(), &[1, 2, 5, 6], "{text}");
        }
    }

    #[test]
    fn contradictions_name_what_mends_them() {
        let mut fixed = column("int64[2]");
        let error = fixed.set(0, Kind::Int64, &ints(&[1, 2, 3])).unwrap_err().to_string();
        assert!(
            error.contains("expected exactly 2, found 3")
                && error.contains(r#".set("feature", "x:int64[]")"#),
            "{error}"
        );
        fixed.truncate(0);
        fixed.set(0, Kind::Int64, &ints(&[1, 2])).unwrap();
        assert!(fixed.set(1, Kind::Float, &[]).unwrap_err().to_string().contains(r#""x:float32""#));
        let mut required = column("int64");
        assert!(required.fill(1).unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn defaults_fill_missing_rows() {
        let mut column = column("int64=7");
        column.set(1, Kind::Int64, &ints(&[1])).unwrap();
        column.fill(3).unwrap();
        let array = column.finish().unwrap();
        assert_eq!(array.as_primitive::<Int64Type>().values(), &[7, 1, 7]);
        assert_eq!(array.null_count(), 0);
    }
}
