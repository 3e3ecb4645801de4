//! The way back: rows of Arrow columns as the components of TensorFlow elements.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};

use crate::error::{Error, Result};
use crate::schema::ELEMENT_SPEC;
use crate::tensor::extension::{FixedShapeTensor, VariableShapeTensor};
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
    components: Vec<Component>,
}

/// A component and where its column stands: the column, and members of structs in it.
#[derive(Debug)]
struct Component {
    path: String,
    spec: ElementSpec,
    place: Vec<usize>,
}

impl ElementEncoder {
    /// An encoder of batches of `schema`: with the element spec in its metadata if it has one that
    /// fits the columns, and otherwise with one that is derived from their types.
    ///
    /// # Errors
    /// A column is of a type that is no tensor's.
    pub(crate) fn new(schema: &Schema) -> Result<Self> {
        let kept = schema.metadata().get(ELEMENT_SPEC).and_then(|text| serde_json::from_str(text).ok());
        let kept = kept.and_then(|json| ElementSpec::from_json(&json).ok());
        let spec = match kept.filter(|spec| places(spec, schema).is_some()) {
            Some(spec) => spec,
            None => derive(schema)?,
        };
        let components = places(&spec, schema).ok_or_else(|| Error::unsupported("columns without a spec"))?;
        // Says now what cannot be stored.
        encode::element_spec(&spec)?;
        Ok(Self { spec, components })
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
        let dtype = |component: &Component| match &component.spec {
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
    pub(crate) fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.components.len());
        for component in &self.components {
            let mut place = component.place.iter();
            let first = place.next().and_then(|i| batch.columns().get(*i)).cloned();
            let array =
                place.try_fold(first, |array, i| Some(array?.as_struct_opt()?.columns().get(*i).cloned()));
            columns.push(array.flatten().ok_or_else(|| Error::unsupported("batch of another schema"))?);
        }
        for row in 0..batch.num_rows() {
            for (component, array) in self.components.iter().zip(&columns) {
                let message = component_message(&component.spec, array, row)
                    .map_err(|e| e.in_column(component.path.as_str()).at_record(row as u64))?;
                put_frame(out, &message);
            }
        }
        Ok(())
    }
}

/// Where the components of `spec` stand in `schema`; `None` if they do not.
fn places(spec: &ElementSpec, schema: &Schema) -> Option<Vec<Component>> {
    let mut out = Vec::new();
    for (path, spec) in spec.components() {
        let place = match schema.fields().iter().position(|field| *field.name() == path) {
            Some(column) => vec![column],
            None => nested_place(&path, schema.fields())?,
        };
        out.push(Component { path, spec: spec.clone(), place });
    }
    (!out.is_empty()).then_some(out)
}

fn nested_place(path: &str, fields: &arrow::datatypes::Fields) -> Option<Vec<usize>> {
    for (i, field) in fields.iter().enumerate() {
        if field.name() == path {
            return Some(vec![i]);
        }
        let Some(rest) = path.strip_prefix(field.name().as_str()).and_then(|rest| rest.strip_prefix('/'))
        else {
            continue;
        };
        if let DataType::Struct(inner) = field.data_type() {
            let mut place = vec![i];
            place.extend(nested_place(rest, inner)?);
            return Some(place);
        }
    }
    None
}

/// The spec of columns that no spec stands beside: a dict, or the one tensor called `value`.
fn derive(schema: &Schema) -> Result<ElementSpec> {
    let mut fields = Vec::new();
    for field in schema.fields() {
        fields.push((
            field.name().clone(),
            derive_field(field).map_err(|e| e.in_column(field.name().as_str()))?,
        ));
    }
    match fields.as_slice() {
        [(name, spec)] if name == "value" => Ok(spec.clone()),
        _ => Ok(ElementSpec::dict(fields)),
    }
}

fn derive_field(field: &Field) -> Result<ElementSpec> {
    let dims = |sizes: Vec<usize>| Shape::Dims(sizes.into_iter().map(|size| Some(size as u64)).collect());
    if let (Some(tensor), DataType::FixedSizeList(item, _)) =
        (FixedShapeTensor::from_field(field)?, field.data_type())
    {
        return Ok(ElementSpec::tensor(value_dtype(item.data_type())?, dims(tensor.shape)));
    }
    if let (Some(tensor), DataType::Struct(parts)) =
        (VariableShapeTensor::from_field(field)?, field.data_type())
        && let [data, shape] = parts.as_ref()
        && let (DataType::List(item), DataType::FixedSizeList(_, rank)) =
            (data.data_type(), shape.data_type())
    {
        let uniform = tensor.uniform_shape.unwrap_or_default();
        let size = |i| uniform.get(i).copied().flatten().map(|size| size as u64);
        let shape = Shape::Dims((0..usize::try_from(*rank).unwrap_or(0)).map(size).collect());
        return Ok(ElementSpec::tensor(value_dtype(item.data_type())?, shape));
    }
    // Lists outside of fixed-size lists outside of values.
    let (mut inner, mut any, mut fixed) = (field.data_type(), 0, Vec::new());
    loop {
        match inner {
            DataType::List(item) if fixed.is_empty() => {
                any += 1;
                inner = item.data_type();
            }
            DataType::FixedSizeList(item, size) => {
                fixed.push(u64::try_from(*size).ok());
                inner = item.data_type();
            }
            DataType::Struct(members) if any == 0 && fixed.is_empty() => {
                let members = members.iter().map(|member| Ok((member.name().clone(), derive_field(member)?)));
                return Ok(ElementSpec::dict(members.collect::<Result<_>>()?));
            }
            other => {
                let dtype = value_dtype(other)?;
                let shape = Shape::Dims(std::iter::repeat_n(None, any).chain(fixed).collect());
                return Ok(match any {
                    0 | 1 => ElementSpec::tensor(dtype, shape),
                    n => ElementSpec::Ragged {
                        dtype,
                        shape,
                        ragged_rank: n - 1,
                        row_splits_dtype: DType::Int64,
                    },
                });
            }
        }
    }
}

fn value_dtype(data_type: &DataType) -> Result<DType> {
    Ok(match data_type {
        DataType::Boolean => DType::Bool,
        DataType::Int8 => DType::Int8,
        DataType::Int16 => DType::Int16,
        DataType::Int32 => DType::Int32,
        DataType::Int64 => DType::Int64,
        DataType::UInt8 => DType::UInt8,
        DataType::UInt16 => DType::UInt16,
        DataType::UInt32 => DType::UInt32,
        DataType::UInt64 => DType::UInt64,
        DataType::Float16 => DType::Float16,
        DataType::Float32 => DType::Float32,
        DataType::Float64 => DType::Float64,
        DataType::Utf8 | DataType::Binary => DType::String,
        other => return Err(Error::unsupported(format!("column of type {other} is no tensor"))),
    })
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
            .with_hint("fill the nulls, or leave the column out with --exclude"));
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

fn dense_message(dtype: DType, shape: &Shape, array: &ArrayRef, row: usize) -> Result<Vec<u8>> {
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
fn content(dtype: DType, leaf: &ArrayRef, start: usize, len: usize) -> Result<Vec<u8>> {
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
