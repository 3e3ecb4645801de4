//! TensorBoard's events on their way to columns: a row for every value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, Float32Builder, Float64Builder, Int64Builder, ListArray, ListBuilder,
    RecordBatch, RecordBatchOptions, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};

use crate::error::{Error, Result};
use crate::options::Phrase;
use crate::schema::event::EventPlan;
use crate::tensor::extension::item;
use crate::tf::dtype::DType;
use crate::tf::event::{self, Audio, Head, Histogram, Image, Metadata};
use crate::tf::tensor_proto::{Data, Tensor};
use crate::wire::proto::{Fault, WireError};

/// What a row takes apart from its values.
const ROW_BYTES: usize = 160;

/// A value, parsed, so that nothing can fail once it is appended.
enum Content<'a> {
    None,
    Scalar(f64),
    Text(&'a str),
    Image { size: Option<(i64, i64)>, encoded: Vec<&'a [u8]> },
    Histogram { summary: Option<Histogram>, buckets: Vec<[f64; 3]> },
    Audio { summary: Option<Audio<'a>>, encoded: Vec<&'a [u8]> },
    Tensor(Tensor<'a>),
}

struct Row<'a> {
    tag: &'a str,
    plugin: &'a str,
    content: Content<'a>,
    metadata: Metadata<'a>,
}

/// Builds batches from records of `tensorflow.Event`.
#[derive(Debug)]
pub(crate) struct EventDecoder {
    plan: Arc<EventPlan>,
    /// The file that records are read from.
    file: Arc<str>,
    rows: usize,
    /// About what the rows take.
    bytes: usize,
    wall_time: Float64Builder,
    step: Int64Builder,
    files: StringBuilder,
    tag: StringBuilder,
    plugin: StringBuilder,
    value: Float64Builder,
    text: StringBuilder,
    image: ImageColumns,
    histogram: HistogramColumns,
    audio: AudioColumns,
    tensor: TensorColumns,
    metadata: MetadataColumns,
}

#[derive(Debug, Default)]
struct ImageColumns {
    width: Int64Builder,
    height: Int64Builder,
    encoded: ListBuilder<BinaryBuilder>,
}

#[derive(Debug, Default)]
struct HistogramColumns {
    /// Least and greatest value, number, sum, and sum of squares.
    summary: [Float64Builder; 5],
    /// Left and right edges, and counts.
    buckets: [Float64Builder; 3],
    ends: Vec<i32>,
    there: Vec<bool>,
}

#[derive(Debug, Default)]
struct AudioColumns {
    sample_rate: Float32Builder,
    channels: Int64Builder,
    frames: Int64Builder,
    encoded: ListBuilder<BinaryBuilder>,
}

#[derive(Debug, Default)]
struct TensorColumns {
    dtype: StringBuilder,
    shape: ListBuilder<Int64Builder>,
    content: BinaryBuilder,
    strings: ListBuilder<BinaryBuilder>,
}

#[derive(Debug, Default)]
struct MetadataColumns {
    display_name: StringBuilder,
    description: StringBuilder,
    plugin_data: BinaryBuilder,
}

impl EventDecoder {
    /// An empty decoder.
    pub(crate) fn new(plan: Arc<EventPlan>) -> Self {
        Self {
            plan,
            file: "".into(),
            rows: 0,
            bytes: 0,
            wall_time: Float64Builder::new(),
            step: Int64Builder::new(),
            files: StringBuilder::new(),
            tag: StringBuilder::new(),
            plugin: StringBuilder::new(),
            value: Float64Builder::new(),
            text: StringBuilder::new(),
            image: ImageColumns::default(),
            histogram: HistogramColumns::default(),
            audio: AudioColumns::default(),
            tensor: TensorColumns::default(),
            metadata: MetadataColumns::default(),
        }
    }

    /// The records that follow are of the file `name`.
    pub(crate) fn begin_file(&mut self, name: &Arc<str>) {
        self.file = name.clone();
    }

    /// Appends the values of one record, each as a row. Nothing is appended if it fails.
    ///
    /// # Errors
    /// The record is not an event, or one of its values is not sound.
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<()> {
        let (head, values) = event::parse(record).map_err(not_an_event)?;
        let rows = values.iter().map(row).collect::<Result<Vec<_>>>()?;
        for row in &rows {
            self.push(head, row);
        }
        self.bytes = self.bytes.saturating_add(record.len()).saturating_add(rows.len() * ROW_BYTES);
        Ok(())
    }

    /// Appends a row that is null in every column.
    pub(crate) fn push_null(&mut self) {
        self.rows += 1;
        self.wall_time.append_null();
        self.step.append_null();
        self.files.append_null();
        self.tag.append_null();
        self.plugin.append_null();
        self.value.append_null();
        self.text.append_null();
        self.image.push(None, None);
        self.histogram.push(None);
        self.audio.push(None, None);
        self.tensor.push(None);
        self.metadata.push(Metadata::default());
    }

    pub(crate) fn is_full(&self, limit: usize) -> bool {
        self.bytes >= limit
    }

    fn push(&mut self, head: Head, row: &Row<'_>) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.rows += 1;
        self.wall_time.append_value(head.wall_time);
        self.step.append_value(head.step);
        self.files.append_value(&self.file);
        self.tag.append_value(row.tag);
        self.plugin.append_option(some(row.plugin));
        let content = &row.content;
        self.value.append_option(if let Content::Scalar(value) = content { Some(*value) } else { None });
        self.text.append_option(if let Content::Text(text) = content { Some(*text) } else { None });
        match content {
            Content::Image { size, encoded } => self.image.push(*size, Some(encoded)),
            _ => self.image.push(None, None),
        }
        match content {
            Content::Histogram { summary, buckets } => self.histogram.push(Some((summary.as_ref(), buckets))),
            _ => self.histogram.push(None),
        }
        match content {
            Content::Audio { summary, encoded } => self.audio.push(summary.as_ref(), Some(encoded)),
            _ => self.audio.push(None, None),
        }
        match content {
            Content::Tensor(tensor) => {
                self.bytes = self.bytes.saturating_add(tensor.len().saturating_mul(8));
                self.tensor.push(Some(tensor));
            }
            _ => self.tensor.push(None),
        }
        self.metadata.push(row.metadata);
    }

    /// The rows as a batch; the decoder is then empty.
    ///
    /// # Errors
    /// None that can be expected.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let mut leaves: Vec<ArrayRef> = vec![
            Arc::new(self.wall_time.finish()),
            Arc::new(self.step.finish()),
            Arc::new(self.files.finish()),
            Arc::new(self.tag.finish()),
            Arc::new(self.plugin.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.text.finish()),
            Arc::new(self.image.width.finish()),
            Arc::new(self.image.height.finish()),
            Arc::new(self.image.encoded.finish()),
        ];
        self.histogram.finish(&mut leaves)?;
        let rest: [ArrayRef; 11] = [
            Arc::new(self.audio.sample_rate.finish()),
            Arc::new(self.audio.channels.finish()),
            Arc::new(self.audio.frames.finish()),
            Arc::new(self.audio.encoded.finish()),
            Arc::new(self.tensor.dtype.finish()),
            Arc::new(self.tensor.shape.finish()),
            Arc::new(self.tensor.content.finish()),
            Arc::new(self.tensor.strings.finish()),
            Arc::new(self.metadata.display_name.finish()),
            Arc::new(self.metadata.description.finish()),
            Arc::new(self.metadata.plugin_data.finish()),
        ];
        leaves.extend(rest);
        let mut columns = Vec::with_capacity(self.plan.columns.len());
        for (places, parts) in &self.plan.columns {
            let mut arrays: Vec<ArrayRef> = places.iter().filter_map(|at| leaves.get(*at).cloned()).collect();
            match parts {
                Some(parts) => columns.push(Arc::new(structs(parts, arrays, rows)?) as ArrayRef),
                None => columns.extend(arrays.pop()),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.plan.schema.clone(), columns, &options)?)
    }
}

/// Structs that are null where all of their parts are.
fn structs(parts: &Fields, arrays: Vec<ArrayRef>, rows: usize) -> Result<StructArray> {
    let there = |row| arrays.iter().any(|array| array.is_valid(row));
    let nulls: NullBuffer = (0..rows).map(there).collect();
    Ok(StructArray::try_new(parts.clone(), arrays, Some(nulls))?)
}

impl ImageColumns {
    fn push(&mut self, size: Option<(i64, i64)>, encoded: Option<&Vec<&[u8]>>) {
        self.width.append_option(size.map(|(width, _)| width));
        self.height.append_option(size.map(|(_, height)| height));
        push_list(&mut self.encoded, encoded);
    }
}

fn push_list(list: &mut ListBuilder<BinaryBuilder>, items: Option<&Vec<&[u8]>>) {
    for item in items.into_iter().flatten() {
        list.values().append_value(item);
    }
    list.append(items.is_some());
}

impl HistogramColumns {
    fn push(&mut self, histogram: Option<(Option<&Histogram>, &Vec<[f64; 3]>)>) {
        let summary = histogram.and_then(|(summary, _)| summary);
        let parts = summary.map(|h| [h.min, h.max, h.num, h.sum, h.sum_squares]);
        for (at, column) in self.summary.iter_mut().enumerate() {
            column.append_option(parts.and_then(|parts| parts.get(at).copied()));
        }
        for bucket in histogram.into_iter().flat_map(|(_, buckets)| buckets) {
            for (column, value) in self.buckets.iter_mut().zip(bucket) {
                column.append_value(*value);
            }
        }
        let [lefts, ..] = &self.buckets;
        self.ends.push(i32::try_from(arrow::array::ArrayBuilder::len(lefts)).unwrap_or(i32::MAX));
        self.there.push(histogram.is_some());
    }

    fn finish(&mut self, out: &mut Vec<ArrayRef>) -> Result<()> {
        out.extend(self.summary.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        let names = ["left", "right", "count"];
        let fields: Fields = names.iter().map(|name| Field::new(*name, DataType::Float64, true)).collect();
        let columns = self.buckets.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let buckets = StructArray::try_new(fields, columns, None)?;
        let offsets = std::iter::once(0).chain(self.ends.drain(..)).collect::<Vec<i32>>();
        let nulls: NullBuffer = self.there.drain(..).collect();
        let item = item(buckets.data_type().clone());
        let offsets = OffsetBuffer::new(offsets.into());
        out.push(Arc::new(ListArray::try_new(item, offsets, Arc::new(buckets), Some(nulls))?));
        Ok(())
    }
}

impl AudioColumns {
    fn push(&mut self, summary: Option<&Audio<'_>>, encoded: Option<&Vec<&[u8]>>) {
        self.sample_rate.append_option(summary.map(|audio| audio.sample_rate));
        self.channels.append_option(summary.map(|audio| audio.channels));
        self.frames.append_option(summary.map(|audio| audio.frames));
        push_list(&mut self.encoded, encoded);
    }
}

impl TensorColumns {
    fn push(&mut self, tensor: Option<&Tensor<'_>>) {
        self.dtype.append_option(tensor.map(|tensor| tensor.dtype().name()));
        for size in tensor.into_iter().flat_map(Tensor::dims) {
            self.shape.values().append_value(i64::try_from(*size).unwrap_or(i64::MAX));
        }
        self.shape.append(tensor.is_some());
        match tensor.map(Tensor::data) {
            Some(Data::Bytes(bytes)) => self.content.append_value(bytes),
            _ => self.content.append_null(),
        }
        match tensor.map(Tensor::data) {
            Some(Data::Strings(strings) | Data::Variants(strings)) => {
                push_list(&mut self.strings, Some(&strings.iter().collect()));
            }
            _ => push_list(&mut self.strings, None),
        }
    }
}

impl MetadataColumns {
    fn push(&mut self, metadata: Metadata<'_>) {
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned());
        self.display_name.append_option(text(metadata.display_name));
        self.description.append_option(text(metadata.description));
        self.plugin_data.append_option((!metadata.content.is_empty()).then_some(metadata.content));
    }
}

fn row<'a>(value: &event::Value<'a>) -> Result<Row<'a>> {
    let text = |bytes: &'a [u8]| {
        std::str::from_utf8(bytes).map_err(|_| not_an_event(WireError::new(0, Fault::NotUtf8)))
    };
    let tag = text(value.tag)?;
    let said = text(value.metadata.plugin)?;
    let (plugin, content) = match value.data {
        event::Data::None => ("", Content::None),
        event::Data::Scalar(value) => ("scalars", Content::Scalar(f64::from(value))),
        event::Data::Image(message) => {
            let image = Image::parse(message).map_err(not_an_event)?;
            let size = Some((i64::from(image.width), i64::from(image.height)));
            ("images", Content::Image { size, encoded: vec![image.encoded] })
        }
        event::Data::Histogram(message) => {
            let histogram = Histogram::parse(message).map_err(not_an_event)?;
            let buckets = histogram.buckets().collect();
            ("histograms", Content::Histogram { summary: Some(histogram), buckets })
        }
        event::Data::Audio(message) => {
            let audio = Audio::parse(message).map_err(not_an_event)?;
            ("audio", Content::Audio { summary: Some(audio), encoded: vec![audio.encoded] })
        }
        event::Data::Tensor(message) => {
            let tensor = Tensor::parse(message).map_err(|e| e.without_offset().in_column(tag))?;
            ("", content_of(said, tensor))
        }
    };
    let plugin = if said.is_empty() { plugin } else { said };
    Ok(Row { tag, plugin, content, metadata: value.metadata })
}

/// What a tensor is for the plugin that shows it, if it has the form that the plugin's tensors have.
fn content_of<'a>(plugin: &str, tensor: Tensor<'a>) -> Content<'a> {
    let found = match (plugin, tensor.data()) {
        ("scalars" | "", Data::Bytes(bytes)) if tensor.len() == 1 && tensor.dims().is_empty() => {
            number(tensor.dtype(), bytes).map(Content::Scalar)
        }
        ("text", Data::Strings(strings)) if strings.len() == 1 => {
            let text = strings.iter().next().and_then(|text| std::str::from_utf8(text).ok());
            text.map(Content::Text)
        }
        ("images", Data::Strings(strings)) if strings.len() >= 2 && tensor.dims().len() == 1 => {
            let mut parts = strings.iter();
            let mut size = || std::str::from_utf8(parts.next()?).ok()?.parse::<i64>().ok();
            match (size(), size()) {
                (Some(width), Some(height)) => {
                    Some(Content::Image { size: Some((width, height)), encoded: parts.collect() })
                }
                _ => None,
            }
        }
        ("histograms", Data::Bytes(bytes)) if matches!(tensor.dims(), [_, 3]) => {
            let width = tensor.dtype().item_bytes().unwrap_or(1);
            let numbers: Option<Vec<f64>> =
                bytes.chunks_exact(width).map(|bytes| number(tensor.dtype(), bytes)).collect();
            numbers.map(|numbers| {
                let (buckets, _) = numbers.as_chunks::<3>();
                Content::Histogram { summary: None, buckets: buckets.to_vec() }
            })
        }
        ("audio", Data::Strings(strings)) if matches!(tensor.dims(), [_] | [_, 2]) => {
            // Beside each clip stands a label, which is no longer in use.
            let step = if tensor.dims().len() == 2 { 2 } else { 1 };
            Some(Content::Audio { summary: None, encoded: strings.iter().step_by(step).collect() })
        }
        _ => None,
    };
    found.unwrap_or(Content::Tensor(tensor))
}

/// A number of `dtype`, where float64 holds it exactly.
fn number(dtype: DType, bytes: &[u8]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "compared with what it was")]
    fn exact(value: i64) -> Option<f64> {
        (value.unsigned_abs() <= 1 << 53).then_some(value as f64)
    }
    macro_rules! read {
        ($native:ty) => {
            <$native>::from_le_bytes(bytes.try_into().ok()?)
        };
    }
    match dtype {
        DType::Float64 => Some(read!(f64)),
        DType::Float32 => Some(f64::from(read!(f32))),
        DType::Float16 => Some(f64::from(half::f16::from_bits(read!(u16)))),
        DType::BFloat16 => Some(f64::from(half::bf16::from_bits(read!(u16)))),
        DType::Int8 => Some(f64::from(read!(i8))),
        DType::Int16 => Some(f64::from(read!(i16))),
        DType::Int32 => Some(f64::from(read!(i32))),
        DType::Int64 => exact(read!(i64)),
        DType::UInt8 | DType::Bool => Some(f64::from(read!(u8))),
        DType::UInt16 => Some(f64::from(read!(u16))),
        DType::UInt32 => Some(f64::from(read!(u32))),
        DType::UInt64 => exact(i64::try_from(read!(u64)).ok()?),
        _ => None,
    }
}

fn not_an_event(error: WireError) -> Error {
    Error::corrupt(format!("record is not a TensorBoard event: {}", error.fault))
        .at_offset(error.at as u64)
        .with_hint(Phrase::new("pass {record=raw} for records of other kinds"))
}
