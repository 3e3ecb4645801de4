//! Values of dtype variant: ragged and sparse tensors, optionals, as `tf.data` stores them.
//!
//! A variant is a `VariantTensorDataProto` (`tensorflow/core/framework/tensor.proto`): a type name,
//! metadata and tensors. Which tensors, and how a batch of variants is one value, is decided by
//! `RaggedTensorToVariant`, `SerializeManySparse` and `OptionalVariant`.

use super::dtype::DType;
use super::shape::Shape;
use super::spec::ElementSpec;
use super::tensor_proto::{Data, Tensor, malformed};
use crate::error::{Error, Result};
use crate::wire::proto::{Cursor, LEN};

/// How many lists or rows may stand for no values at all; their number is not backed by input.
const MAX_EMPTY: u64 = 1 << 24;

/// One component's value.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// A dense tensor.
    Tensor(Tensor<'a>),
    /// A ragged tensor.
    Ragged(Ragged<'a>),
    /// A sparse tensor.
    Sparse(Sparse<'a>),
    /// A value that may be absent: the components of what it holds, in flatten order.
    Optional(Option<Vec<Value<'a>>>),
    /// A dataset: its elements, each the components in flatten order.
    #[allow(dead_code)] // for sources that hold nested datasets as values; saves hold none
    Dataset(Vec<Vec<Value<'a>>>),
}

impl Value<'_> {
    /// Makes it fast to take slices of strings out of the middle.
    pub(crate) fn index(&mut self) {
        match self {
            Value::Tensor(tensor) => tensor.index(),
            Value::Ragged(ragged) => ragged.values.iter_mut().for_each(Tensor::index),
            Value::Sparse(sparse) => sparse.values.iter_mut().for_each(Tensor::index),
            Value::Optional(_) | Value::Dataset(_) => {}
        }
    }
}

/// A ragged tensor whose splits fit each other and the values.
#[derive(Debug, Clone)]
pub(crate) struct Ragged<'a> {
    /// Row splits, outermost first; at least one.
    pub(crate) splits: Vec<Vec<i64>>,
    /// The flat values: these tensors, one after the other along the first dimension.
    pub(crate) values: Vec<Tensor<'a>>,
}

/// A sparse tensor whose parts fit each other.
#[derive(Debug, Clone)]
pub(crate) struct Sparse<'a> {
    /// Coordinates, `dense_shape.len()` a value.
    pub(crate) indices: Vec<i64>,
    /// The values: these vectors, one after the other.
    pub(crate) values: Vec<Tensor<'a>>,
    /// The shape of the dense tensor.
    pub(crate) dense_shape: Vec<i64>,
}

/// A parsed `VariantTensorDataProto`.
struct Variant<'a> {
    type_name: &'a [u8],
    metadata: &'a [u8],
    tensors: Vec<&'a [u8]>,
}

impl<'a> Variant<'a> {
    fn parse(message: &'a [u8]) -> Result<Self> {
        let wire = |e| malformed("VariantTensorDataProto", e);
        let mut variant = Variant { type_name: b"", metadata: b"", tensors: Vec::new() };
        let mut cursor = Cursor::new(message);
        while !cursor.is_empty() {
            match cursor.tag().map_err(wire)? {
                (1, LEN) => variant.type_name = cursor.bytes().map_err(wire)?,
                (2, LEN) => variant.metadata = cursor.bytes().map_err(wire)?,
                (3, LEN) => variant.tensors.push(cursor.bytes().map_err(wire)?),
                (field, wire_type) => cursor.skip(field, wire_type).map_err(wire)?,
            }
        }
        Ok(variant)
    }

    fn of_type(message: &'a [u8], expected: &[&str]) -> Result<Self> {
        let variant = Self::parse(message)?;
        if expected.iter().any(|name| name.as_bytes() == variant.type_name) {
            return Ok(variant);
        }
        let found = String::from_utf8_lossy(variant.type_name).into_owned();
        if found == DATASET_WRAPPER {
            return Err(Error::unsupported("TensorFlow stored a nested dataset here without its data")
                .with_hint("save it flattened, or batched, instead"));
        }
        Err(Error::mismatch("variant of another type")
            .expected(format!("`{}`", expected.join("` or `")), format!("`{found}`")))
    }

    fn tensor(&self, i: usize) -> Result<Tensor<'a>> {
        let message = self.tensors.get(i).copied().ok_or_else(|| {
            Error::corrupt("variant with too few tensors")
                .expected(format!("more than {i}"), self.tensors.len().to_string())
        })?;
        Tensor::parse(message).map_err(|e| Error::new(e.kind(), "invalid tensor in a variant").with_cause(e))
    }
}

const RAGGED: &str = "RaggedTensorVariant";
const TENSOR: &str = "tensorflow::Tensor";
const OPTIONAL: &str = "tensorflow::data::Optional";
const OLD_OPTIONAL: &str = "tensorflow::OptionalVariant";
const DATASET_WRAPPER: &str = "tensorflow::DatasetVariantWrapper";

/// What kind of value the variants of `tensor` hold, told from their type name alone: for formats
/// that store no element spec.
pub(crate) fn type_name<'a>(tensor: &Tensor<'a>) -> Option<&'a [u8]> {
    let Data::Variants(items) = tensor.data() else { return None };
    Variant::parse(items.iter().next()?).ok().map(|variant| variant.type_name)
}

/// The number of row splits in the first variant of a ragged `tensor`, its flat values, and the
/// dtype of the splits (int64 where there are none).
pub(crate) fn ragged_parts<'a>(tensor: &Tensor<'a>) -> Option<(usize, Tensor<'a>, DType)> {
    let Data::Variants(items) = tensor.data() else { return None };
    let variant = Variant::parse(items.iter().next()?).ok()?;
    let splits = variant.tensors.len().checked_sub(1)?;
    let dtype = if splits == 0 { DType::Int64 } else { variant.tensor(0).ok()?.dtype() };
    Some((splits, variant.tensor(splits).ok()?, dtype))
}

/// The dtype and rank of the first sparse tensor in `tensor`.
pub(crate) fn sparse_parts(tensor: &Tensor<'_>) -> Option<(DType, usize)> {
    let Data::Variants(items) = tensor.data() else { return None };
    let mut items = items.iter().skip(1);
    let values = Variant::parse(items.next()?).ok()?.tensor(0).ok()?;
    let shape = Variant::parse(items.next()?).ok()?.tensor(0).ok()?;
    Some((values.dtype(), shape.len()))
}

/// Reads one component of spec `spec` from the tensor that stands for it.
///
/// # Errors
/// The tensor is of another dtype, shape or type than the spec's, or its parts contradict each
/// other.
pub(crate) fn decode<'a>(spec: &ElementSpec, tensor: Tensor<'a>) -> Result<Value<'a>> {
    match spec {
        ElementSpec::Tensor { dtype, shape } => dense(tensor, *dtype, shape).map(Value::Tensor),
        ElementSpec::Ragged { dtype, shape, ragged_rank, row_splits_dtype } => {
            ragged(&tensor, *dtype, shape, *ragged_rank, *row_splits_dtype)
        }
        ElementSpec::Sparse { dtype, shape } => sparse(&tensor, *dtype, shape).map(Value::Sparse),
        ElementSpec::Optional(inner) => optional(&tensor, inner),
        ElementSpec::Dataset(_) => {
            let item = scalar_variant(&tensor)?;
            Variant::of_type(item, &[])?;
            Err(Error::unsupported("nested dataset in a stored element"))
        }
        _ => Err(Error::unsupported("a structure is not one component")),
    }
}

fn dense<'a>(tensor: Tensor<'a>, dtype: DType, shape: &Shape) -> Result<Tensor<'a>> {
    check_dense(&tensor, dtype, shape)?;
    Ok(tensor)
}

/// Checks that `tensor` is what a dense spec says.
pub(crate) fn check_dense(tensor: &Tensor<'_>, dtype: DType, shape: &Shape) -> Result<()> {
    if tensor.dtype() != dtype {
        return Err(Error::mismatch("tensor of another dtype").expected(dtype.name(), tensor.dtype().name()));
    }
    if !shape.accepts(tensor.dims()) {
        return Err(Error::mismatch("tensor of another shape")
            .expected(shape.to_string(), Shape::known(tensor.dims()).to_string()));
    }
    Ok(())
}

fn variants<'t, 'a>(tensor: &'t Tensor<'a>) -> Result<&'t super::tensor_proto::Strings<'a>> {
    match tensor.data() {
        Data::Variants(items) => Ok(items),
        _ => Err(Error::mismatch("tensor of another dtype").expected("variant", tensor.dtype().name())),
    }
}

fn scalar_variant<'a>(tensor: &Tensor<'a>) -> Result<&'a [u8]> {
    let items = variants(tensor)?;
    match (tensor.dims(), items.iter().next()) {
        ([], Some(item)) => Ok(item),
        (dims, _) => {
            Err(Error::mismatch("variant tensor of another shape")
                .expected("[]", Shape::known(dims).to_string()))
        }
    }
}

fn inner_shape(shape: &Shape, from: usize) -> Option<&[Option<u64>]> {
    match shape {
        Shape::UnknownRank => None,
        Shape::Dims(dims) => Some(dims.get(from..).unwrap_or_default()),
    }
}

fn ragged<'a>(
    tensor: &Tensor<'a>,
    dtype: DType,
    shape: &Shape,
    ragged_rank: usize,
    row_splits_dtype: DType,
) -> Result<Value<'a>> {
    let items = variants(tensor)?;
    let batch = tensor.dims();
    let Some(stored_rank) = ragged_rank.checked_sub(batch.len()) else {
        return Err(Error::mismatch("ragged value batched more often than its spec says")
            .expected(format!("at most {ragged_rank} times"), batch.len().to_string()));
    };
    let mut splits = outer_splits(batch)?;
    // Deeper levels of a batch are those of its items, one after the other; `start` says where
    // an item's rows begin at each level.
    let first_stored = splits.len();
    let cumulative = first_stored.checked_sub(1).filter(|_| !batch.is_empty());
    splits.resize_with(ragged_rank, || vec![0i64]);
    let mut values = Vec::with_capacity(items.len().min(1 << 12));
    for item in items.iter() {
        let variant = Variant::of_type(item, &[RAGGED])?;
        if variant.tensors.len() != stored_rank + 1 {
            return Err(Error::mismatch("ragged value of another ragged rank")
                .expected(stored_rank.to_string(), variant.tensors.len().saturating_sub(1).to_string()));
        }
        let mut rows = None;
        let mut inner_len = None;
        for (level, all) in (0..stored_rank).zip(splits.get_mut(first_stored..).unwrap_or_default()) {
            let (lists, len) = append_splits(all, &variant.tensor(level)?, row_splits_dtype, inner_len)?;
            rows = rows.or(Some(lists));
            inner_len = Some(len);
        }
        let flat = variant.tensor(stored_rank)?;
        check_flat(&flat, dtype, shape, ragged_rank, inner_len, values.first())?;
        if let Some(all) = cumulative.and_then(|i| splits.get_mut(i)) {
            let flat_rows = || flat.dims().first().and_then(|n| i64::try_from(*n).ok());
            let rows = rows.or_else(flat_rows).unwrap_or(0);
            all.push(all.last().copied().unwrap_or(0).saturating_add(rows));
        }
        values.push(flat);
    }
    if let (Some(expected), Some(found)) = (
        inner_shape(shape, 0).and_then(|dims| dims.first().copied().flatten()),
        splits.first().map(|splits| splits.len() as u64 - 1),
    ) && expected != found
    {
        return Err(Error::mismatch("ragged value with another number of rows")
            .expected(expected.to_string(), found.to_string()));
    }
    if ragged_rank > 0 {
        return Ok(Value::Ragged(Ragged { splits, values }));
    }
    let flat = values.pop().ok_or_else(|| Error::corrupt("ragged value without values"))?;
    dense(flat, dtype, shape).map(Value::Tensor)
}

/// The row splits that a batch of variants stands for: uniform ones, and the beginning of the one
/// that counts the rows of the items.
fn outer_splits(batch: &[u64]) -> Result<Vec<Vec<i64>>> {
    let mut splits = Vec::new();
    let mut lists = 1u64;
    for pair in batch.windows(2) {
        let &[outer, size] = pair else { continue };
        lists = lists.checked_mul(outer).filter(|lists| *lists <= MAX_EMPTY).ok_or_else(|| {
            Error::limit("batch of variants too large").expected("2²⁴ rows", format!("{batch:?}"))
        })?;
        let step = i64::try_from(size).unwrap_or(i64::MAX);
        splits.push((0..=lists.cast_signed()).map(|i| i.saturating_mul(step)).collect());
    }
    if !batch.is_empty() {
        splits.push(vec![0]);
    }
    Ok(splits)
}

/// Appends one item's row splits behind those of the items before it; gives the number of lists
/// and of what they hold. `expected` is the number of lists that the level above holds.
fn append_splits(
    all: &mut Vec<i64>,
    stored: &Tensor<'_>,
    dtype: DType,
    expected: Option<i64>,
) -> Result<(i64, i64)> {
    let bad = |what: &str| Error::corrupt(format!("invalid row splits: {what}"));
    if stored.dtype() != dtype {
        return Err(
            Error::mismatch("row splits of another dtype").expected(dtype.name(), stored.dtype().name())
        );
    }
    let ([_], Some(splits)) = (stored.dims(), stored.to_i64s()) else {
        return Err(bad("they are not a vector of int32 or int64"));
    };
    let Some((first, rest)) = splits.split_first() else { return Err(bad("there are none")) };
    if *first != 0 {
        return Err(bad("the first is not 0"));
    }
    let lists = i64::try_from(rest.len()).unwrap_or(i64::MAX);
    if expected.is_some_and(|expected| expected != lists) {
        return Err(bad("their number does not fit the level above"));
    }
    if splits.windows(2).any(|pair| pair.first() > pair.last()) {
        return Err(bad("they decrease"));
    }
    let base = all.last().copied().unwrap_or(0);
    let last = splits.last().copied().unwrap_or(0);
    if base.checked_add(last).is_none() {
        return Err(bad("they are above 2⁶³−1"));
    }
    all.extend(rest.iter().map(|split| base + split));
    Ok((lists, last))
}

fn check_flat(
    flat: &Tensor<'_>,
    dtype: DType,
    shape: &Shape,
    ragged_rank: usize,
    expected_rows: Option<i64>,
    first: Option<&Tensor<'_>>,
) -> Result<()> {
    if flat.dtype() != dtype {
        return Err(
            Error::mismatch("flat values of another dtype").expected(dtype.name(), flat.dtype().name())
        );
    }
    if ragged_rank == 0 {
        return Ok(());
    }
    let Some((rows, inner)) = flat.dims().split_first() else {
        return Err(Error::corrupt("flat values are a scalar"));
    };
    if expected_rows.is_some_and(|expected| u64::try_from(expected) != Ok(*rows)) {
        return Err(Error::corrupt("row splits do not end where the values do")
            .expected(format!("{} values", expected_rows.unwrap_or(0)), rows.to_string()));
    }
    let expected = match inner_shape(shape, ragged_rank + 1) {
        Some(dims) => Shape::Dims(dims.to_vec()),
        None => Shape::UnknownRank,
    };
    let same = first.is_none_or(|first| first.dims().get(1..) == Some(inner));
    if !expected.accepts(inner) || !same {
        return Err(Error::mismatch("flat values of another inner shape")
            .expected(expected.to_string(), Shape::known(inner).to_string()));
    }
    Ok(())
}

fn sparse<'a>(tensor: &Tensor<'a>, dtype: DType, shape: &Shape) -> Result<Sparse<'a>> {
    let items = variants(tensor)?;
    let Some((&3, batch)) = tensor.dims().split_last() else {
        return Err(Error::mismatch("variant tensor of another shape")
            .expected("a last dimension of 3", Shape::known(tensor.dims()).to_string()));
    };
    let mut items = items.iter();
    let mut out = Sparse { indices: Vec::new(), values: Vec::new(), dense_shape: Vec::new() };
    let mut coordinates: Vec<i64> = vec![0; batch.len()];
    let mut tail: Option<Vec<i64>> = None;
    while let (Some(indices), Some(values), Some(dense_shape)) = (items.next(), items.next(), items.next()) {
        let part = |item| Variant::of_type(item, &[TENSOR])?.tensor(0);
        let (indices, values, part_shape) = (part(indices)?, part(values)?, part(dense_shape)?);
        let part_shape = sparse_part(&indices, &values, &part_shape, dtype)?;
        append_coordinates(&mut out.indices, &coordinates, &indices, &part_shape)?;
        match &mut tail {
            None => tail = Some(part_shape),
            Some(tail) if tail.len() == part_shape.len() => {
                tail.iter_mut().zip(&part_shape).for_each(|(a, b)| *a = (*a).max(*b));
            }
            Some(tail) => {
                return Err(Error::corrupt("sparse tensors of different ranks in one batch")
                    .expected(tail.len().to_string(), part_shape.len().to_string()));
            }
        }
        out.values.push(values);
        for (coordinate, size) in coordinates.iter_mut().zip(batch).rev() {
            *coordinate += 1;
            if i64::try_from(*size).is_ok_and(|size| *coordinate < size) {
                break;
            }
            *coordinate = 0;
        }
    }
    out.dense_shape.extend(batch.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)));
    let rank = shape.rank().unwrap_or(batch.len());
    let tail = tail.unwrap_or_else(|| vec![0; rank.saturating_sub(batch.len())]);
    out.dense_shape.extend(tail);
    let dims: Vec<u64> = out.dense_shape.iter().map(|size| size.unsigned_abs()).collect();
    if !shape.accepts(&dims) {
        return Err(Error::mismatch("sparse tensor of another dense shape")
            .expected(shape.to_string(), Shape::known(&dims).to_string()));
    }
    Ok(out)
}

/// Checks the three tensors of one sparse tensor; gives its dense shape.
fn sparse_part(
    indices: &Tensor<'_>,
    values: &Tensor<'_>,
    dense_shape: &Tensor<'_>,
    dtype: DType,
) -> Result<Vec<i64>> {
    let bad = |what: &str| Error::corrupt(format!("invalid sparse tensor: {what}"));
    if values.dtype() != dtype {
        return Err(
            Error::mismatch("sparse values of another dtype").expected(dtype.name(), values.dtype().name())
        );
    }
    if indices.dtype() != DType::Int64 || dense_shape.dtype() != DType::Int64 {
        return Err(bad("indices and dense shape are not int64"));
    }
    let (&[n, rank], &[count], &[dims]) = (indices.dims(), values.dims(), dense_shape.dims()) else {
        return Err(bad("indices are not a matrix, or values or dense shape not a vector"));
    };
    if n != count || rank != dims {
        return Err(bad("indices, values and dense shape do not fit each other")
            .expected(format!("indices of shape [{count}, {dims}]"), format!("[{n}, {rank}]")));
    }
    let dense_shape = dense_shape.to_i64s().unwrap_or_default();
    if dense_shape.iter().any(|size| *size < 0) {
        return Err(bad("a dimension is negative"));
    }
    Ok(dense_shape)
}

fn append_coordinates(
    out: &mut Vec<i64>,
    batch: &[i64],
    indices: &Tensor<'_>,
    dense_shape: &[i64],
) -> Result<()> {
    let indices = indices.to_i64s().unwrap_or_default();
    if dense_shape.is_empty() {
        return Ok(());
    }
    for row in indices.chunks_exact(dense_shape.len()) {
        if row.iter().zip(dense_shape).any(|(index, size)| *index < 0 || index >= size) {
            return Err(Error::corrupt("sparse index outside the dense shape")
                .expected(format!("below {dense_shape:?}"), format!("{row:?}")));
        }
        out.extend_from_slice(batch);
        out.extend_from_slice(row);
    }
    Ok(())
}

fn optional<'a>(tensor: &Tensor<'a>, inner: &ElementSpec) -> Result<Value<'a>> {
    let variant = Variant::of_type(scalar_variant(tensor)?, &[OPTIONAL, OLD_OPTIONAL])?;
    match variant.metadata {
        [0] => return Ok(Value::Optional(None)),
        [1] => {}
        other => {
            return Err(Error::corrupt("invalid optional")
                .expected("one byte of metadata, 0 or 1", format!("{} bytes", other.len())));
        }
    }
    let mut values = Vec::new();
    let mut next = 0;
    decode_flat(inner, &variant, &mut next, &mut values)?;
    if next != variant.tensors.len() {
        return Err(Error::corrupt("optional with another number of components")
            .expected(next.to_string(), variant.tensors.len().to_string()));
    }
    Ok(Value::Optional(Some(values)))
}

fn decode_flat<'a>(
    spec: &ElementSpec,
    variant: &Variant<'a>,
    next: &mut usize,
    out: &mut Vec<Value<'a>>,
) -> Result<()> {
    match spec {
        ElementSpec::None => {}
        ElementSpec::Dict(fields) | ElementSpec::NamedTuple { fields, .. } => {
            for (_, field) in fields {
                decode_flat(field, variant, next, out)?;
            }
        }
        ElementSpec::Tuple(items) | ElementSpec::List(items) => {
            for item in items {
                decode_flat(item, variant, next, out)?;
            }
        }
        leaf => {
            out.push(decode(leaf, variant.tensor(*next)?)?);
            *next += 1;
        }
    }
    Ok(())
}

/// The number of elements that `tensor` holds along its first dimension, which is that of the
/// batch; `None` for a value that has none.
pub(crate) fn leading_dim(spec: &ElementSpec, tensor: &Tensor<'_>) -> Option<u64> {
    match (spec, tensor.dims()) {
        (ElementSpec::Ragged { .. }, []) => {
            let Data::Variants(items) = tensor.data() else { return None };
            let variant = Variant::parse(items.iter().next()?).ok()?;
            let outermost = variant.tensor(0).ok()?;
            let entries = *outermost.dims().first()?;
            if variant.tensors.len() == 1 { Some(entries) } else { entries.checked_sub(1) }
        }
        (ElementSpec::Sparse { .. }, [_]) => {
            let Data::Variants(items) = tensor.data() else { return None };
            let shape = Variant::parse(items.iter().nth(2)?).ok()?.tensor(0).ok()?;
            shape.to_i64s()?.first().and_then(|rows| u64::try_from(*rows).ok())
        }
        (_, dims) => dims.first().copied(),
    }
}
