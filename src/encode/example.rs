//! Rows of Arrow columns as records of `tf.train.Example`.
//!
//! The lengths of a row's features are added up first, so that the record is then written once,
//! where it stays. What is written is what TensorFlow's own serializer writes: values packed, a map
//! entry with key before value.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float32Array, Int64Array, RecordBatch};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Int64Type, Schema, UInt16Type, UInt64Type};

use super::element::{column_at, content, dense_message};
use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::feature::{Encoding, FeatureSpec, Missing};
use crate::schema::from_arrow::{self, Place, field_at};
use crate::tf::dtype::DType;
use crate::tf::example::Kind;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::wire::proto::put_varint;
use crate::wire::tfrecord::put_frame_with;

/// Turns rows into frames of `tf.train.Example`.
#[derive(Debug)]
pub(crate) struct ExampleEncoder {
    columns: Vec<Column>,
    /// Rows encoded so far.
    rows: u64,
    /// What the features of the row at hand take.
    sizes: Vec<Option<Size>>,
}

#[derive(Debug)]
struct Column {
    spec: FeatureSpec,
    place: Vec<usize>,
    /// The key of the map entry, as it is written.
    key: Vec<u8>,
}

/// What one feature of one row takes.
#[derive(Debug, Clone)]
struct Size {
    /// Its values in the column.
    start: usize,
    len: usize,
    /// Bytes of what is packed, or of the one bytes value.
    inner: usize,
    /// Bytes of the list around that.
    list: usize,
    /// A value that had to be put together.
    made: Option<Vec<u8>>,
}

impl ExampleEncoder {
    /// An encoder of batches of `schema`, with the encodings that `chosen` names for columns in
    /// place of their own.
    ///
    /// # Errors
    /// A column cannot be a feature, or `chosen` names none.
    pub(crate) fn new(schema: &Schema, chosen: &[(String, Encoding)]) -> Result<Self> {
        let mut columns = Vec::new();
        let places = match schema.fields().is_empty() {
            true => Vec::new(),
            false => from_arrow::places(&from_arrow::element_spec(schema)?, schema)
                .ok_or_else(|| Error::unsupported("columns without a spec"))?,
        };
        let paths: Vec<&str> = places.iter().map(|place| place.path.as_str()).collect();
        if let Some((name, _)) = chosen.iter().find(|(name, _)| !paths.contains(&name.as_str())) {
            return Err(crate::schema::unknown_column(name, &paths));
        }
        for place in &places {
            let chosen = chosen.iter().find(|(name, _)| *name == place.path).map(|(_, encoding)| *encoding);
            let field = field_at(schema.fields(), &place.place)
                .ok_or_else(|| Error::unsupported("columns without a spec"))?;
            let data_type = from_arrow::plain_type(field.data_type());
            let spec = feature(place, &data_type, chosen).map_err(|e| e.in_column(place.path.as_str()))?;
            let mut key = vec![LIST];
            put_varint(&mut key, spec.name.len() as u64);
            key.extend_from_slice(spec.name.as_bytes());
            columns.push(Column { spec, place: place.place.clone(), key });
        }
        Ok(Self { columns, rows: 0, sizes: Vec::new() })
    }

    /// What the features hold, for whoever reads the records.
    pub(crate) fn features(&self) -> impl Iterator<Item = &FeatureSpec> {
        self.columns.iter().map(|column| &column.spec)
    }

    /// Gives the frame of every row of `batch` to `take`, in order, in a buffer that is used again.
    ///
    /// # Errors
    /// A value cannot be stored, or `take` fails.
    pub(crate) fn encode(
        &mut self,
        batch: &RecordBatch,
        frame: &mut Vec<u8>,
        take: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let mut data = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let array = column_at(batch, &column.place)?;
            data.push(Data::new(&column.spec, array).map_err(|e| e.in_column(column.spec.name.as_str()))?);
        }
        for row in 0..batch.num_rows() {
            self.sizes.clear();
            let mut total = 0;
            for (column, data) in self.columns.iter().zip(&data) {
                let size = data
                    .size(&column.spec, row)
                    .map_err(|e| e.in_column(column.spec.name.as_str()).at_row(self.rows))?;
                if let Some(size) = &size {
                    let entry = column.entry_bytes(size);
                    total += 1 + varint_bytes(entry) + entry;
                }
                self.sizes.push(size);
            }
            put_frame_with(frame, 1 + varint_bytes(total) + total, |out| {
                put_length(out, LIST, total);
                for ((column, data), size) in self.columns.iter().zip(&data).zip(&self.sizes) {
                    if let Some(size) = size {
                        column.put(data, size, out);
                    }
                }
            });
            take(frame)?;
            self.rows += 1;
        }
        Ok(())
    }
}

/// The tag of field 1, of bytes: a list's values, a map entry, its key.
const LIST: u8 = 1 << 3 | 2;
/// The tag of field 2, of bytes: a map entry's value.
const VALUE: u8 = 2 << 3 | 2;

impl Column {
    /// The tag of the list in its feature.
    fn kind_tag(&self) -> u8 {
        match self.spec.wire_kind() {
            Kind::Float => 2 << 3 | 2,
            Kind::Int64 => 3 << 3 | 2,
            _ => LIST,
        }
    }

    /// Bytes of the map entry.
    fn entry_bytes(&self, size: &Size) -> usize {
        let feature = 1 + varint_bytes(size.list) + size.list;
        self.key.len() + 1 + varint_bytes(feature) + feature
    }

    fn put(&self, data: &Data, size: &Size, out: &mut Vec<u8>) {
        put_length(out, LIST, self.entry_bytes(size));
        out.extend_from_slice(&self.key);
        put_length(out, VALUE, 1 + varint_bytes(size.list) + size.list);
        put_length(out, self.kind_tag(), size.list);
        data.put(size, out);
    }
}

fn put_length(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    put_varint(out, length as u64);
}

/// Bytes of a length as a varint.
fn varint_bytes(length: usize) -> usize {
    wide_varint_bytes(length as u64)
}

#[inline]
fn wide_varint_bytes(value: u64) -> usize {
    const BITS: u32 = 7;
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(BITS) as usize
}

/// The feature that a column becomes.
///
/// # Errors
/// It cannot be one.
fn feature(place: &Place, data_type: &DataType, chosen: Option<Encoding>) -> Result<FeatureSpec> {
    let saved =
        || Phrase::new("leave it out with {exclude}, or write a Dataset.save folder with {format=saved}");
    let component = match &place.spec {
        ElementSpec::Optional(inner) => inner.as_ref(),
        other => other,
    };
    let (dtype, shape) = match component {
        ElementSpec::Tensor { dtype, shape } | ElementSpec::Ragged { dtype, shape, ragged_rank: 0, .. } => {
            (*dtype, shape)
        }
        ElementSpec::Ragged { .. } => {
            return Err(Error::unsupported("lists of lists: a feature holds one list").with_hint(saved()));
        }
        ElementSpec::Sparse { .. } => {
            return Err(Error::unsupported("sparse tensor: a feature holds one list").with_hint(saved()));
        }
        _ => return Err(Error::unsupported("structure: a feature holds one list").with_hint(saved())),
    };
    let encoding = match chosen {
        Some(Encoding::Image) => {
            return Err(Error::config("images are not encoded").expected("values, raw or tensor", "image"));
        }
        Some(chosen) => chosen,
        None => own_encoding(dtype, shape),
    };
    if dtype == DType::Float64 && encoding == Encoding::Values {
        let path = &place.path;
        return Err(Error::unsupported("float64 values: a feature holds float32").with_hint(
            Phrase::new(
                "round them with {cast=_} (those of every column: {cast=float64:float32}), or keep their bytes \
                 with {encoding=_}",
            )
            .pair(path, "float32")
            .pair(path, "raw"),
        ));
    }
    let mut spec = FeatureSpec::values(place.path.as_str(), dtype, shape.clone());
    spec.encoding = encoding;
    spec.text = has_text(data_type);
    spec.missing = Missing::Null;
    spec.check().map_err(|what| {
        Error::unsupported(what)
            .with_hint(Phrase::new("choose another with {encoding=_}").pair(&place.path, "tensor"))
    })?;
    if encoding != Encoding::Tensor && *shape == Shape::UnknownRank {
        return Err(Error::unsupported("values of unknown rank")
            .with_hint(Phrase::new("pass {encoding=_}").pair(&place.path, "tensor")));
    }
    Ok(spec)
}

/// How a tensor is encoded unless something else is chosen: as values where they can be read back
/// as what they were, and otherwise as bytes.
fn own_encoding(dtype: DType, shape: &Shape) -> Encoding {
    let dims = match shape {
        Shape::UnknownRank => return Encoding::Tensor,
        Shape::Dims(dims) => dims,
    };
    // The shape of a value stands in a TensorProto, and nowhere else.
    if dims.len() > 1 && dims.contains(&None) {
        return Encoding::Tensor;
    }
    match dtype {
        // As int64 values they would take up to twice the space, and many times the time.
        DType::UInt8 if !dims.is_empty() && !dims.contains(&None) => Encoding::Raw,
        DType::Complex64 | DType::Complex128 => Encoding::Raw,
        // `tf.io.decode_raw` does not know them.
        DType::Float8E5M2
        | DType::Float8E4M3FN
        | DType::Float8E4M3FNUZ
        | DType::Float8E4M3B11FNUZ
        | DType::Float8E5M2FNUZ
        | DType::Float4E2M1FN => Encoding::Tensor,
        _ => Encoding::Values,
    }
}

fn has_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 => true,
        DataType::List(item) | DataType::FixedSizeList(item, _) => has_text(item.data_type()),
        DataType::Struct(parts) => parts.first().is_some_and(|data| has_text(data.data_type())),
        _ => false,
    }
}

/// A column of a batch, ready to be written.
struct Data {
    rows: Rows,
    values: Values,
}

enum Values {
    /// `unsigned`: bits of uint64, of which those that int64 cannot hold are refused.
    Ints {
        values: Int64Array,
        unsigned: bool,
    },
    Floats(Float32Array),
    Bytes(BinaryArray),
    /// Bytes of `width` a value.
    Raw {
        bytes: Buffer,
        width: usize,
    },
    /// Values that are stored wider than they are.
    Wide(DType, ArrayRef),
    Tensor(ArrayRef),
}

/// Which values make up a row.
struct Rows {
    nulls: Option<NullBuffer>,
    offsets: Option<OffsetBuffer<i32>>,
    levels: Vec<Level>,
    leaf_nulls: Option<NullBuffer>,
}

/// A fixed-size list on the way to the values.
struct Level {
    size: usize,
    nulls: Option<NullBuffer>,
}

impl Rows {
    /// The rows of `array`, and the values at the bottom of it.
    fn new(array: &ArrayRef) -> Result<(Self, ArrayRef)> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let some = |array: &ArrayRef| array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        // Of a tensor whose shape varies, the data.
        let (mut nulls, mut leaf) = match array.as_struct_opt().map(|parts| parts.columns()) {
            Some([data, _]) => (NullBuffer::union(nulls.as_ref(), data.nulls()), data.clone()),
            _ => (nulls, array.clone()),
        };
        nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        let mut rows = Self { nulls, offsets: None, levels: Vec::new(), leaf_nulls: None };
        let mut outermost = true;
        loop {
            let own = if outermost { None } else { some(&leaf) };
            leaf = match leaf.data_type() {
                DataType::List(_) if outermost => {
                    let list = leaf.as_list::<i32>();
                    rows.offsets = Some(list.offsets().clone());
                    list.values().clone()
                }
                DataType::FixedSizeList(_, size) => {
                    let size = usize::try_from(*size).unwrap_or(0);
                    rows.levels.push(Level { size, nulls: own });
                    leaf.as_fixed_size_list().values().clone()
                }
                DataType::List(_) | DataType::Struct(_) => {
                    return Err(Error::unsupported("lists of lists: a feature holds one list"));
                }
                _ => {
                    rows.leaf_nulls = own;
                    return Ok((rows, leaf));
                }
            };
            outermost = false;
        }
    }

    /// The values of row `row`: the first one and how many; `None` for a null.
    #[inline]
    fn range(&self, row: usize) -> Result<Option<(usize, usize)>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        let (mut start, mut len) = match &self.offsets {
            None => (row, 1),
            Some(offsets) => {
                let at = |i: usize| offsets.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
                (at(row), at(row + 1).saturating_sub(at(row)))
            }
        };
        for level in &self.levels {
            no_nulls(level.nulls.as_ref(), start, len)?;
            (start, len) = (start * level.size, len * level.size);
        }
        no_nulls(self.leaf_nulls.as_ref(), start, len)?;
        Ok(Some((start, len)))
    }
}

#[inline]
fn no_nulls(nulls: Option<&NullBuffer>, start: usize, len: usize) -> Result<()> {
    match nulls {
        Some(nulls) if nulls.slice(start, len).null_count() > 0 => {
            Err(Error::mismatch("null within a list: a feature holds values only")
                .with_hint(Phrase::new("fill the nulls, or leave the column out with {exclude}")))
        }
        _ => Ok(()),
    }
}

impl Data {
    fn new(spec: &FeatureSpec, array: ArrayRef) -> Result<Self> {
        if spec.encoding == Encoding::Tensor {
            let nulls = array.nulls().cloned();
            let rows = Rows { nulls, offsets: None, levels: Vec::new(), leaf_nulls: None };
            return Ok(Self { rows, values: Values::Tensor(array) });
        }
        let (rows, leaf) = Rows::new(&array)?;
        let values = match (spec.encoding, spec.wire_kind()) {
            (Encoding::Raw, _) => raw(spec.dtype, leaf)?,
            (_, Kind::Int64) => match leaf.data_type() {
                DataType::UInt64 => {
                    let values = leaf.as_primitive::<UInt64Type>().unary::<_, Int64Type>(u64::cast_signed);
                    Values::Ints { values, unsigned: true }
                }
                _ => {
                    let values = cast(&leaf, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
                    Values::Ints { values, unsigned: false }
                }
            },
            (_, Kind::Float) => Values::Floats(match leaf.data_type() {
                // Bits of bfloat16.
                DataType::UInt16 => leaf
                    .as_primitive::<UInt16Type>()
                    .unary::<_, Float32Type>(|bits| f32::from_bits(u32::from(bits) << 16)),
                _ => cast(&leaf, &DataType::Float32)?.as_primitive::<Float32Type>().clone(),
            }),
            _ => Values::Bytes(cast(&leaf, &DataType::Binary)?.as_binary::<i32>().clone()),
        };
        Ok(Self { rows, values })
    }

    /// What row `row` takes; `None` where it is null, and the feature is missing.
    fn size(&self, spec: &FeatureSpec, row: usize) -> Result<Option<Size>> {
        let Some((start, len)) = self.rows.range(row)? else { return Ok(None) };
        let mut size = Size { start, len, inner: 0, list: 0, made: None };
        match &self.values {
            Values::Ints { values, unsigned } => {
                let values = values.values().get(start..start + len).unwrap_or_default();
                if let (true, Some(low)) = (*unsigned, values.iter().min().filter(|low| **low < 0)) {
                    return Err(Error::mismatch("value above 2⁶³−1: a feature holds int64")
                        .expected(format!("at most {}", i64::MAX), low.cast_unsigned().to_string())
                        .with_hint(
                            Phrase::new("pass {encoding=_} to keep them").pair(&spec.name, "tensor"),
                        ));
                }
                size.inner = values.iter().map(|v| wide_varint_bytes(v.cast_unsigned())).sum();
                size.list = packed(size.inner);
            }
            Values::Floats(_) => {
                size.inner = len * size_of::<f32>();
                size.list = packed(size.inner);
            }
            Values::Bytes(values) => {
                let lengths = (start..start + len).map(|i| values.value(i).len());
                size.list = lengths.map(|n| 1 + varint_bytes(n) + n).sum();
            }
            Values::Raw { width, .. } => {
                size.inner = len * width;
                size.list = 1 + varint_bytes(size.inner) + size.inner;
            }
            Values::Wide(dtype, leaf) => size.make(content(*dtype, leaf, start, len)?),
            Values::Tensor(array) => size.make(dense_message(spec.dtype, &spec.shape, array, row)?),
        }
        Ok(Some(size))
    }

    /// Writes the list.
    fn put(&self, size: &Size, out: &mut Vec<u8>) {
        let range = size.start..size.start + size.len;
        match &self.values {
            Values::Ints { values, .. } if size.len > 0 => {
                put_length(out, LIST, size.inner);
                for value in values.values().get(range).unwrap_or_default() {
                    put_varint(out, value.cast_unsigned());
                }
            }
            Values::Floats(values) if size.len > 0 => {
                put_length(out, LIST, size.inner);
                for value in values.values().get(range).unwrap_or_default() {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
            Values::Ints { .. } | Values::Floats(_) => {}
            Values::Bytes(values) => range.for_each(|i| {
                let value = values.value(i);
                put_length(out, LIST, value.len());
                out.extend_from_slice(value);
            }),
            Values::Raw { bytes, width } => {
                put_length(out, LIST, size.inner);
                let start = size.start * width;
                out.extend_from_slice(bytes.get(start..start + size.inner).unwrap_or_default());
            }
            Values::Wide(..) | Values::Tensor(_) => {
                put_length(out, LIST, size.inner);
                out.extend_from_slice(size.made.as_deref().unwrap_or_default());
            }
        }
    }
}

impl Size {
    fn make(&mut self, value: Vec<u8>) {
        self.inner = value.len();
        self.list = 1 + varint_bytes(self.inner) + self.inner;
        self.made = Some(value);
    }
}

/// Bytes of a list of packed values; an empty one has no field at all.
fn packed(inner: usize) -> usize {
    if inner == 0 { 0 } else { 1 + varint_bytes(inner) + inner }
}

/// The bytes of numbers, as `tf.io.decode_raw` reads them.
fn raw(dtype: DType, leaf: ArrayRef) -> Result<Values> {
    let leaf = match leaf.data_type() {
        DataType::Boolean => cast(&leaf, &DataType::UInt8)?,
        _ => leaf,
    };
    let stored = leaf.data_type().primitive_width();
    let complex = matches!(dtype, DType::Complex64 | DType::Complex128);
    let width = dtype.item_bytes().map(|bytes| if complex { bytes / 2 } else { bytes });
    match stored {
        Some(width_in_column) if Some(width_in_column) == width => {
            let data = leaf.to_data();
            let bytes = data.buffers().first().cloned().unwrap_or_default();
            let start = (data.offset() * width_in_column).min(bytes.len());
            Ok(Values::Raw { bytes: bytes.slice(start), width: width_in_column })
        }
        Some(_) => Ok(Values::Wide(dtype, leaf)),
        None => Err(Error::unsupported(format!("raw bytes of a column of {}", leaf.data_type()))),
    }
}
