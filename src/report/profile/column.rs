//! What is seen of one column, batch by batch.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Field};
use serde_json::Value;

use super::classes::Classes;
use super::counter::Counter;
use super::leaf::{self, BytesLeaf, Leaf, number_leaf};
use super::numbers::Accumulated;
use super::summary::{ColumnProfile, Lengths, TopValue};
use crate::error::Result;
use crate::report::description::type_in_full;

/// Shapes that are listed.
const SHAPES: usize = 20;

/// How much a column may keep.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Different values that are counted one by one.
    pub(super) distinct: usize,
    /// Numbers of the choice that quantiles are made of, where not all are counted.
    pub(super) sample: usize,
}

impl Limits {
    /// What every column may keep where there are so many, nested ones included.
    pub(super) fn of(columns: usize) -> Self {
        /// Of all columns together: some 100 MB of each.
        const VALUES: usize = 1 << 21;
        const NUMBERS: usize = 1 << 23;
        let columns = columns.max(1);
        Self { distinct: (VALUES / columns).clamp(64, 4096), sample: (NUMBERS / columns).clamp(512, 1 << 16) }
    }
}

/// A column, or what is nested in one.
pub(super) struct Column {
    name: String,
    data_type: DataType,
    feature: Option<String>,
    classes: Option<Classes>,
    rows: u64,
    missing: u64,
    body: Body,
}

enum Body {
    /// Numbers and truth values.
    Numbers(Box<dyn Leaf>),
    /// Text and bytes.
    Bytes(Box<BytesLeaf>),
    /// Values of another type, which are made numbers or text first.
    Cast(DataType, Box<Body>),
    List {
        unit: &'static str,
        lengths: Accumulated<u64>,
        item: Box<Column>,
    },
    /// Lists of one size.
    Fixed(Box<Column>),
    /// A tensor of a shape of its own.
    Shaped {
        shapes: Counter<Box<str>>,
        data: Box<Column>,
    },
    Struct(Vec<Column>),
    /// A type of which nothing more is said.
    Other,
}

/// How many columns there are in `field`, itself included.
pub(super) fn columns_in(field: &Field) -> usize {
    1 + match field.data_type() {
        DataType::Struct(fields) => fields.iter().map(|f| columns_in(f)).sum(),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            columns_in(item)
        }
        DataType::Map(entries, _) => columns_in(entries),
        _ => 0,
    }
}

impl Column {
    /// A column of `field`. What `nested` in a list or a tensor is more than rows, so that less is
    /// asked of each value.
    pub(super) fn new(field: &Field, nested: bool, limits: Limits) -> Self {
        let metadata = |name: &str| field.metadata().get(name).cloned();
        let classes = Classes::of(field);
        let tensor = metadata("ARROW:extension:name");
        let feature =
            metadata("tfds.feature").or_else(|| metadata("tf.kind").filter(|kind| kind != "tensor"));
        let distinct = if nested && classes.is_none() { 0 } else { limits.distinct };
        let item = |inner: &Field| {
            // A sequence of labels has the names of its classes at its item, or at itself.
            let mut item = Column::new(inner, true, limits);
            if item.classes.is_none() && classes.is_some() {
                let named = inner.clone().with_metadata(Classes::metadata(field));
                item = Column::new(&named, true, limits);
            }
            Box::new(item)
        };
        let body = match field.data_type() {
            DataType::List(inner) | DataType::LargeList(inner) | DataType::Map(inner, _) => Body::List {
                unit: unit(field, feature.as_deref()),
                lengths: Accumulated::new(limits.distinct, limits.sample),
                item: item(inner),
            },
            DataType::FixedSizeList(inner, _) => Body::Fixed(item(inner)),
            DataType::Struct(fields) => match (tensor.as_deref(), fields.find("data")) {
                (Some("arrow.variable_shape_tensor"), Some((_, data))) => {
                    let item = match data.data_type() {
                        DataType::List(inner) => item(inner),
                        _ => item(data),
                    };
                    Body::Shaped { shapes: Counter::new(limits.distinct), data: item }
                }
                _ => Body::Struct(fields.iter().map(|f| Column::new(f, nested, limits)).collect()),
            },
            other => leaf_body(other, distinct, limits),
        };
        Self {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            feature,
            classes,
            rows: 0,
            missing: 0,
            body,
        }
    }

    /// Looks at the values of `array`.
    ///
    /// # Errors
    /// A kernel of Arrow fails.
    pub(super) fn add(&mut self, array: &ArrayRef) -> Result<()> {
        let nulls = array.logical_nulls();
        let missing = nulls.as_ref().map_or(0, |nulls| nulls.null_count());
        self.rows += array.len() as u64;
        self.missing += missing as u64;
        if missing == array.len() {
            return Ok(());
        }
        match nulls {
            Some(nulls) if missing > 0 => {
                let there = BooleanArray::new(nulls.inner().clone(), None);
                self.body.add(&filter(array, &there)?)
            }
            _ => self.body.add(array),
        }
    }

    /// What was seen.
    pub(super) fn finish(self) -> ColumnProfile {
        let mut profile = ColumnProfile::default();
        match self.body {
            Body::List { unit, lengths, item } => {
                profile = absorb(item.finish());
                let (values, whole) = lengths.sorted();
                let numbers = leaf::numbers(&lengths.moments, &values, whole, &leaf::plain);
                profile.lengths = Some(Lengths { unit, numbers, values });
            }
            Body::Fixed(item) => profile = absorb(item.finish()),
            Body::Shaped { shapes, data } => {
                profile = absorb(data.finish());
                profile.shapes = texts(&shapes, SHAPES);
            }
            Body::Struct(fields) => profile.fields = fields.into_iter().map(Column::finish).collect(),
            body => body.finish(&mut profile, self.classes.as_ref(), &self.data_type),
        }
        profile.name = self.name;
        profile.data_type = type_in_full(&self.data_type);
        profile.feature = self.feature;
        profile.classes = self.classes.or(profile.classes);
        profile.class_names = profile.classes.as_ref().map(Classes::names);
        profile.is_class = profile.classes.is_some() || self.data_type == DataType::Boolean;
        (profile.rows, profile.missing) = (self.rows, self.missing);
        profile
    }
}

/// What is said of a list from what is said of its items: all of it, unless these have lengths or
/// fields of their own.
fn absorb(item: ColumnProfile) -> ColumnProfile {
    let is_simple = item.lengths.is_none() && item.fields.is_empty() && item.shapes.is_empty();
    match (is_simple, item.fields.is_empty()) {
        (true, _) => item,
        // A list of structs has their fields.
        (false, false) if item.lengths.is_none() => {
            ColumnProfile { fields: item.fields, ..ColumnProfile::default() }
        }
        _ => ColumnProfile { media: item.media.clone(), fields: vec![item], ..ColumnProfile::default() },
    }
}

pub(super) fn texts(counter: &Counter<Box<str>>, most: usize) -> Vec<TopValue> {
    let (top, _) = counter.top(most);
    top.into_iter()
        .map(|top| TopValue { value: Value::from(&*top.value), count: top.count, key: None })
        .collect()
}

/// What the lengths of a list's values count.
fn unit(field: &Field, feature: Option<&str>) -> &'static str {
    match (feature, field.name().as_str()) {
        (Some("Video"), _) => "frames",
        (Some("Audio"), _) => "samples",
        (_, "steps") => "steps",
        (Some("Dataset" | "dataset"), _) => "elements",
        _ => "values",
    }
}

fn leaf_body(data_type: &DataType, distinct: usize, limits: Limits) -> Body {
    let through = |to: DataType| {
        let body = leaf_body(&to, distinct, limits);
        Body::Cast(to, Box::new(body))
    };
    match data_type {
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Body::Bytes(Box::new(BytesLeaf::new(data_type, limits))),
        DataType::Dictionary(_, values) => through((**values).clone()),
        DataType::Date32 | DataType::Time32(_) => through(DataType::Int32),
        DataType::Date64 | DataType::Time64(_) | DataType::Timestamp(..) | DataType::Duration(_) => {
            through(DataType::Int64)
        }
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => through(DataType::Float64),
        other => number_leaf(other, distinct, limits.sample).map_or(Body::Other, Body::Numbers),
    }
}

impl Body {
    /// Looks at values, none of which is null.
    fn add(&mut self, array: &ArrayRef) -> Result<()> {
        match self {
            Body::Numbers(leaf) => leaf.add(array),
            Body::Bytes(leaf) => leaf.add(array),
            Body::Cast(to, body) => {
                let array = cast(array, to)?;
                // A value that has no place in the other type is left out.
                match array.logical_nulls() {
                    Some(nulls) if nulls.null_count() > 0 => {
                        body.add(&filter(&array, &BooleanArray::new(nulls.inner().clone(), None))?)?;
                    }
                    _ => body.add(&array)?,
                }
            }
            Body::List { lengths, item, .. } => {
                let (offsets, values): (Vec<u64>, ArrayRef) = match array.data_type() {
                    DataType::LargeList(_) => spans(array.as_list::<i64>()),
                    DataType::Map(..) => {
                        let map = array.as_map();
                        let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
                        spans_of(map.value_offsets(), &entries)
                    }
                    _ => spans(array.as_list::<i32>()),
                };
                lengths.add(&offsets);
                item.add(&values)?;
            }
            Body::Fixed(item) => item.add(array.as_fixed_size_list().values())?,
            Body::Shaped { shapes, data } => {
                let parts = array.as_struct();
                if let Some(shape) = parts.column_by_name("shape") {
                    leaf::add_shapes(shape, shapes);
                }
                if let Some(values) = parts.column_by_name("data") {
                    match values.as_list_opt::<i32>() {
                        Some(list) => data.add(&spans(list).1)?,
                        None => data.add(values)?,
                    }
                }
            }
            Body::Struct(fields) => {
                for (field, column) in fields.iter_mut().zip(array.as_struct().columns()) {
                    field.add(column)?;
                }
            }
            Body::Other => {}
        }
        Ok(())
    }

    fn finish(self, profile: &mut ColumnProfile, names: Option<&Classes>, data_type: &DataType) {
        match self {
            Body::Numbers(leaf) => leaf.finish(profile, names, data_type),
            Body::Bytes(leaf) => leaf.finish(profile),
            Body::Cast(_, body) => body.finish(profile, names, data_type),
            _ => {}
        }
    }
}

/// The lengths of lists, and the values in them.
fn spans<O: arrow::array::OffsetSizeTrait>(list: &arrow::array::GenericListArray<O>) -> (Vec<u64>, ArrayRef) {
    spans_of(list.value_offsets(), list.values())
}

fn spans_of<O: arrow::array::OffsetSizeTrait>(offsets: &[O], values: &ArrayRef) -> (Vec<u64>, ArrayRef) {
    let lengths = offsets
        .windows(2)
        .map(|pair| match pair {
            [from, to] => (*to - *from).as_usize() as u64,
            _ => 0,
        })
        .collect();
    let (first, last) =
        (offsets.first().map_or(0, |o| o.as_usize()), offsets.last().map_or(0, |o| o.as_usize()));
    (lengths, values.slice(first, last.saturating_sub(first)))
}
