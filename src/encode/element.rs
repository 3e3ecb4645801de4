//! Rows of Arrow columns as the components of TensorFlow elements.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema};

use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::from_arrow::{self, Place};
use crate::tf::dtype::DType;
use crate::tf::encode;
use crate::tf::shape::Shape;
use crate::tf::spec::ElementSpec;
use crate::tf::widen;
use crate::wire::tfrecord::put_frame;

/// Turns rows into stored elements.
#[derive(Debug)]
pub(crate) struct ElementEncoder {
    spec: ElementSpec,
    components: Vec<Place>,
    /// Rows encoded so far.
    rows: u64,
}

impl ElementEncoder {
    /// An encoder of batches of `schema`: with the element spec in its metadata if it has one that
    /// fits the columns, and otherwise with one that is derived from their types.
    ///
    /// # Errors
    /// A column is of a type that is no tensor's.
    pub(crate) fn new(schema: &Schema) -> Result<Self> {
        let spec = from_arrow::element_spec(schema)?;
        let components =
            from_arrow::places(&spec, schema).ok_or_else(|| Error::unsupported("columns without a spec"))?;
        // Says now what cannot be stored.
        encode::element_spec(&spec)?;
        Ok(Self { spec, components, rows: 0 })
    }

    /// What `dataset_spec.pb` holds.
    ///
    /// # Errors
    /// The spec cannot be stored.
    pub(crate) fn spec_message(&self) -> Result<Vec<u8>> {
        encode::element_spec(&self.spec)
    }

    /// What `snapshot.metadata` holds.
    pub(crate) fn metadata_message(&self, run_id: &str, created_micros: u64, elements: u64) -> Vec<u8> {
        let dtype = |component: &Place| match &component.spec {
            ElementSpec::Tensor { dtype, .. } => *dtype,
            _ => DType::Variant,
        };
        let dtypes: Vec<DType> = self.components.iter().map(dtype).collect();
        encode::snapshot_metadata(run_id, created_micros, &dtypes, elements)
    }

    /// Appends the frames of every row of `batch` to `out`.
    ///
    /// # Errors
    /// A value cannot be stored: a null in a component that is not optional.
    pub(crate) fn encode(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = self.components.iter().map(|component| column_at(batch, &component.place));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            for (component, array) in self.components.iter().zip(&columns) {
                let message = component_message(&component.spec, array, row)
                    .map_err(|e| e.in_column(component.path.as_str()).at_row(self.rows + row as u64))?;
                put_frame(out, &message);
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

/// The column at `place` (see [`Place`]), [plain](from_arrow::plain); null where a struct around it
/// is.
///
/// # Errors
/// The batch has no such column.
pub(super) fn column_at(batch: &RecordBatch, place: &[usize]) -> Result<ArrayRef> {
    let missing = || Error::unsupported("batch of another schema");
    let (first, members) = place.split_first().ok_or_else(missing)?;
    let mut array = batch.columns().get(*first).cloned().ok_or_else(missing)?;
    for member in members {
        let parent = array.as_struct_opt().ok_or_else(missing)?;
        let child = parent.columns().get(*member).ok_or_else(missing)?;
        let nulls = NullBuffer::union(parent.nulls(), child.nulls());
        array = match parent.nulls() {
            None => child.clone(),
            Some(_) => make_array(child.to_data().into_builder().nulls(nulls).build()?),
        };
    }
    from_arrow::plain(&array)
}

/// The `TensorProto` of one component of one row.
fn component_message(spec: &ElementSpec, array: &ArrayRef, row: usize) -> Result<Vec<u8>> {
    if let ElementSpec::Optional(inner) = spec {
        if array.is_null(row) {
            return Ok(encode::optional(None));
        }
        let mut tensors = Vec::new();
        flat_messages(inner, array, row, &mut tensors)?;
        return Ok(encode::optional(Some(&tensors)));
    }
    if array.is_null(row) {
        return Err(Error::mismatch("null where TensorFlow has no such thing")
            .with_hint(Phrase::new("fill the nulls, or leave the column out with {exclude}")));
    }
    match spec {
        ElementSpec::Tensor { dtype, shape } => dense_message(*dtype, shape, array, row),
        ElementSpec::Ragged { dtype, shape, ragged_rank: 0, .. } => {
            Ok(encode::ragged(&[dense_message(*dtype, shape, array, row)?]))
        }
        ElementSpec::Ragged { dtype, ragged_rank, row_splits_dtype, .. } => {
            ragged_message(*dtype, *ragged_rank, *row_splits_dtype, array, row)
        }
        ElementSpec::Sparse { dtype, .. } => sparse_message(*dtype, array, row),
        _ => Err(Error::unsupported("component that cannot be stored")),
    }
}

fn flat_messages(spec: &ElementSpec, array: &ArrayRef, row: usize, out: &mut Vec<Vec<u8>>) -> Result<()> {
    if spec.is_leaf() {
        if *spec != ElementSpec::None {
            out.push(component_message(spec, array, row)?);
        }
        return Ok(());
    }
    let members =
        array.as_struct_opt().ok_or_else(|| Error::unsupported("structure that is no struct column"))?;
    for (name, child) in spec.children() {
        if let Some(column) = members.column_by_name(&name) {
            flat_messages(child, column, row, out)?;
        }
    }
    Ok(())
}

/// Values that lie one after the other in `leaf`.
struct Run {
    dims: Vec<u64>,
    leaf: ArrayRef,
    start: usize,
    len: usize,
}

fn is_pair(dtype: DType, data_type: &DataType) -> bool {
    matches!(dtype, DType::Complex64 | DType::Complex128)
        && matches!(data_type, DataType::FixedSizeList(item, 2) if item.data_type().is_primitive())
}

/// Goes down through the lists around the values of `len` items from `start`, noting their sizes.
fn descend(dtype: DType, array: ArrayRef, start: usize, len: usize) -> Result<Run> {
    let mut run = Run { dims: Vec::new(), leaf: array, start, len };
    loop {
        if is_pair(dtype, run.leaf.data_type()) {
            return Ok(run);
        }
        match run.leaf.data_type() {
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                let child = run.leaf.as_fixed_size_list().values().clone();
                run = Run {
                    dims: [run.dims, vec![size as u64]].concat(),
                    leaf: child,
                    start: run.start * size,
                    len: run.len * size,
                };
            }
            DataType::List(_) => {
                let list = run.leaf.as_list::<i32>();
                let offsets = list.value_offsets().get(run.start..=run.start + run.len).unwrap_or_default();
                let at = |offset: Option<&i32>| offset.and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
                let (first, last) = (at(offsets.first()), at(offsets.last()));
                let size = (last - first).checked_div(run.len).unwrap_or(0);
                if offsets.windows(2).any(|pair| at(pair.last()) - at(pair.first()) != size) {
                    return Err(Error::mismatch("lists of different lengths where a tensor is"));
                }
                let child = list.values().clone();
                run = Run {
                    dims: [run.dims, vec![size as u64]].concat(),
                    leaf: child,
                    start: first,
                    len: last - first,
                };
            }
            _ => return Ok(run),
        }
    }
}

pub(super) fn dense_message(dtype: DType, shape: &Shape, array: &ArrayRef, row: usize) -> Result<Vec<u8>> {
    let complex = matches!(dtype, DType::Complex64 | DType::Complex128);
    let mut run;
    if let DataType::Struct(_) = array.data_type() {
        let [data, sizes] = array.as_struct().columns() else {
            return Err(Error::unsupported("struct column that is no tensor"));
        };
        run = descend(dtype, data.clone(), row, 1)?;
        let sizes = match sizes.data_type() {
            DataType::List(_) => sizes.as_list::<i32>().value(row),
            _ => sizes.as_fixed_size_list().value(row),
        };
        run.dims = match sizes.data_type() {
            DataType::Int32 => sizes
                .as_primitive::<Int32Type>()
                .values()
                .iter()
                .map(|n| u64::from(n.unsigned_abs()))
                .collect(),
            _ => sizes.as_primitive::<Int64Type>().values().iter().map(|n| n.unsigned_abs()).collect(),
        };
        if complex && !is_pair(dtype, run.leaf.data_type()) {
            run.dims.pop();
        }
    } else {
        run = descend(dtype, array.clone(), row, 1)?;
        if let Some(known) = shape.as_known() {
            run.dims = known;
        }
    }
    if complex && run.leaf.data_type().is_primitive() {
        (run.start, run.len) = (run.start / 2, run.len / 2);
    }
    if !shape.accepts(&run.dims) || run.dims.iter().product::<u64>() != run.len as u64 {
        return Err(
            Error::mismatch("value of another shape").expected(shape.to_string(), format!("{:?}", run.dims))
        );
    }
    Ok(encode::tensor(dtype, &run.dims, &content(dtype, &run.leaf, run.start, run.len)?))
}

fn ragged_message(
    dtype: DType,
    ragged_rank: usize,
    row_splits_dtype: DType,
    array: &ArrayRef,
    row: usize,
) -> Result<Vec<u8>> {
    let wrong = || Error::unsupported("ragged component that is no list column");
    let (mut leaf, mut start, mut len) = (array.clone(), row, 1);
    let mut tensors = Vec::with_capacity(ragged_rank + 1);
    for level in 0..=ragged_rank {
        let list = leaf.as_list_opt::<i32>().ok_or_else(wrong)?;
        let offsets = list.value_offsets().get(start..=start + len).unwrap_or_default();
        let first = offsets.first().copied().unwrap_or(0);
        if level > 0 {
            let bytes: Vec<u8> = match row_splits_dtype {
                DType::Int32 => offsets.iter().flat_map(|o| (o - first).to_le_bytes()).collect(),
                _ => offsets.iter().flat_map(|o| i64::from(o - first).to_le_bytes()).collect(),
            };
            tensors.push(encode::tensor(row_splits_dtype, &[offsets.len() as u64], &bytes));
        }
        let last = offsets.last().copied().unwrap_or(0);
        let child = list.values().clone();
        start = usize::try_from(first).unwrap_or(0);
        len = usize::try_from(last - first).unwrap_or(0);
        leaf = child;
    }
    let run = descend(dtype, leaf, start, len)?;
    let dims = [vec![len as u64], run.dims].concat();
    tensors.push(encode::tensor(dtype, &dims, &content(dtype, &run.leaf, run.start, run.len)?));
    Ok(encode::ragged(&tensors))
}

fn sparse_message(dtype: DType, array: &ArrayRef, row: usize) -> Result<Vec<u8>> {
    let [indices, values, dense_shape] = array.as_struct_opt().map(|s| s.columns()).unwrap_or_default()
    else {
        return Err(Error::unsupported("sparse component that is no struct column"));
    };
    let int64 = |run: Run| Ok::<_, Error>((run.dims, content(DType::Int64, &run.leaf, run.start, run.len)?));
    let (dims, shape) = int64(descend(DType::Int64, dense_shape.clone(), row, 1)?)?;
    let (mut index_dims, index) = int64(descend(DType::Int64, indices.clone(), row, 1)?)?;
    if let (Some(last), Some(rank)) = (index_dims.get_mut(1), dims.first()) {
        *last = *rank;
    }
    let values = descend(dtype, values.clone(), row, 1)?;
    let bytes = content(dtype, &values.leaf, values.start, values.len)?;
    Ok(encode::sparse([
        encode::tensor(DType::Int64, &index_dims, &index),
        encode::tensor(dtype, &values.dims, &bytes),
        encode::tensor(DType::Int64, &dims, &shape),
    ]))
}

/// The content of a tensor of `len` values from `start` on.
pub(super) fn content(dtype: DType, leaf: &ArrayRef, start: usize, len: usize) -> Result<Vec<u8>> {
    let wrong = || Error::unsupported(format!("{dtype} values in a column of {}", leaf.data_type()));
    if is_pair(dtype, leaf.data_type()) {
        return content(dtype, leaf.as_fixed_size_list().values(), start, len);
    }
    match leaf.data_type() {
        DataType::Binary if dtype == DType::String => {
            let array = leaf.as_binary::<i32>();
            return Ok(encode::list((start..start + len).map(|i| array.value(i))));
        }
        DataType::Utf8 if dtype == DType::String => {
            let array = leaf.as_string::<i32>();
            return Ok(encode::list((start..start + len).map(|i| array.value(i).as_bytes())));
        }
        DataType::Boolean if dtype == DType::Bool => {
            let array = leaf.as_boolean();
            return Ok((start..start + len).map(|i| u8::from(array.value(i))).collect());
        }
        _ => {}
    }
    let (Some(stored), Some(width)) = (leaf.data_type().primitive_width(), dtype.item_bytes()) else {
        return Err(wrong());
    };
    let per_value = if matches!(dtype, DType::Complex64 | DType::Complex128) { 2 } else { 1 };
    let data = leaf.to_data();
    let begin = (data.offset() + start * per_value) * stored;
    let bytes =
        data.buffers().first().and_then(|b| b.as_slice().get(begin..begin + len * per_value * stored));
    let bytes = bytes.ok_or_else(wrong)?;
    if stored * per_value == width {
        return Ok(bytes.to_vec());
    }
    if *leaf.data_type() != DataType::Float32 {
        return Err(wrong());
    }
    // Narrow floats that were widened.
    let floats = bytes.as_chunks::<4>().0;
    if dtype == DType::BFloat16 {
        return Ok(floats.iter().flat_map(|f| [f[2], f[3]]).collect());
    }
    let table = widen::table(dtype).ok_or_else(wrong)?;
    let narrow = |bits: &[u8; 4]| {
        let value = f32::from_le_bytes(*bits);
        let same = |v: &&f32| v.to_bits() == value.to_bits() || v.is_nan() && value.is_nan();
        (0..=u8::MAX).zip(table.iter()).find(|(_, v)| same(v)).map(|(byte, _)| byte)
    };
    floats
        .iter()
        .map(narrow)
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| Error::mismatch(format!("value that is no {dtype}")))
}
