//! Reports: the numbers and the page, of columns of every type.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Int32Array, ListArray,
    MapArray, RecordBatch, RecordBatchOptions, RunArray, StringArray, StructArray, make_array,
    new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, IntervalUnit, Schema, SchemaRef, TimeUnit};
use serde_json::Value;

use super::Input;
use super::files::{folder, read, write};
use crate::options::Dialect;
use crate::reader::ReaderBuilder;
use crate::report::{Comparison, Page, Profile};

/// Rows that are worth the time: nulls take no bytes.
const MAX_ROWS: usize = 2_000;
/// The fewest bytes that a page may be told to have at most.
const SMALL_PAGE: usize = 100_000;
const PAGE: usize = 2_000_000;

/// Whatever the columns are, the numbers agree with each other and with those of other batches and
/// threads, and the page is markup of its own alone, of at most the bytes that it may have.
pub fn report(data: &[u8]) {
    let mut input = Input(data);
    let (kind, cut) = (input.byte(), input.byte());
    let batch = match kind & 3 {
        0 => file(input.rest(), "t.arrow"),
        1 => file(input.rest(), "t.arrows"),
        _ => Some(made(&mut input)),
    };
    let Some(batch) = batch.filter(|batch| batch.num_rows() <= MAX_ROWS) else { return };
    let Some(profile) = profile(&batch, batch.num_rows(), 1) else { return };
    let json = profile.to_json(Dialect::Command);
    check_numbers(&json);
    let rows = usize::from(cut % 16) + 1;
    let cut_up = self::profile(&batch, rows, 1 + usize::from(cut >> 6)).expect("as in one batch");
    check_same(&json, &cut_up.to_json(Dialect::Command), "");
    let part = batch.slice(0, rows.min(batch.num_rows()));
    let part = self::profile(&part, rows, 1).expect("as all of it");
    let compared = Comparison::of(&profile, &part);
    for column in &compared.columns {
        assert!((0.0..=1.0).contains(&column.distance), "{column:?}");
    }
    let title = String::from_utf8_lossy(data.get(..100).unwrap_or(data)).into_owned();
    let limit = if kind & 4 == 0 { PAGE } else { SMALL_PAGE };
    for page in [
        Page::new(&profile, title.clone()).with_max_bytes(limit),
        Page::new(&profile, title.clone()).with_other(&part, title.clone()).with_max_bytes(limit),
    ] {
        let html = page.to_html();
        assert!(html.len() <= limit, "{} bytes of {limit}", html.len());
        check_html(&html);
    }
}

fn file(bytes: &[u8], name: &str) -> Option<RecordBatch> {
    let path = folder().join(name);
    write(&path, bytes);
    let builder = ReaderBuilder::new([path.to_str().expect("a path")]);
    if builder.count().is_ok_and(|rows| rows > MAX_ROWS as u64) {
        return None;
    }
    read(&builder)
}

/// A profile of `batch` in batches of so many rows; `None` where Arrow itself cannot.
fn profile(batch: &RecordBatch, rows: usize, threads: usize) -> Option<Profile> {
    let starts = (0..batch.num_rows()).step_by(rows.max(1));
    let batches = starts.map(|start| Ok(batch.slice(start, rows.min(batch.num_rows() - start))));
    Profile::of_batches(&batch.schema(), batches, threads).ok()
}

/// A batch of columns that the bytes describe.
fn made(input: &mut Input<'_>) -> RecordBatch {
    let rows = usize::from(input.byte() % 48);
    let columns = usize::from(input.byte() % 6);
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = (0..columns).map(|_| column(input, rows, 3)).unzip();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options).expect("columns of their fields")
}

/// A short text or other bytes, of which some come often.
fn value(input: &mut Input<'_>) -> Vec<u8> {
    const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10\x08\0\0\0\0";
    match input.byte() {
        0 => IMAGE.to_vec(),
        1 => b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\x04\0\0\0abcd".to_vec(),
        2 => b"</table><script>alert(1)</script>\"'&\x1b\xe2\x80\xae".to_vec(),
        3 => "\u{301}".repeat(input.number() % 5000).into_bytes(),
        4 => vec![input.byte(); input.number() % 5000],
        5 => b"cat".to_vec(),
        6 => b"dog".to_vec(),
        length => {
            let length = usize::from(length % 32).min(input.0.len());
            input.0.split_off(..length).unwrap_or_default().to_vec()
        }
    }
}

fn text(input: &mut Input<'_>) -> String {
    String::from_utf8_lossy(&value(input)).into_owned()
}

/// A name, and what is said of the column: mostly nothing, else what decides how it is shown.
fn field(input: &mut Input<'_>, data_type: DataType) -> Field {
    const NAMES: [&str; 6] = ["label", "image", "steps", "data", "shape", "x"];
    let name = NAMES.get(usize::from(input.byte())).map_or_else(|| text(input), |name| (*name).to_owned());
    let features = ["Image", "ClassLabel", "Video", "Audio", "Text", "Dataset"];
    let mut metadata = Vec::new();
    let flags = input.byte();
    if flags & 1 != 0 {
        let of = input.byte();
        let feature = features.get(usize::from(of)).map_or_else(|| text(input), |of| (*of).to_owned());
        metadata.push(("tfds.feature", feature));
    }
    if flags & 2 != 0 {
        let names: Vec<String> = (0..input.byte() % 8).map(|_| text(input)).collect();
        metadata.push(("tfds.class_names", serde_json::json!(names).to_string()));
    }
    if flags & 4 != 0 {
        metadata.push(("proto.enum", format!("{{\"A\": {}, \"<b>\": 1}}", input.number())));
    }
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Field::new(name, data_type, true).with_metadata(metadata)
}

/// A column of so many rows, with nulls or without, of an array that may begin before them.
fn column(input: &mut Input<'_>, rows: usize, depth: usize) -> (Field, ArrayRef) {
    let before = usize::from(input.byte() % 3);
    let array = array(input, rows + before, depth).slice(before, rows);
    (field(input, array.data_type().clone()), array)
}

fn nulls(input: &mut Input<'_>, rows: usize) -> Option<NullBuffer> {
    match input.byte() % 4 {
        0 | 1 => None,
        2 => Some(NullBuffer::new_null(rows)),
        _ => Some((0..rows).map(|_| input.byte() & 1 == 0).collect()),
    }
}

/// Values of one width, of which some are where numbers end.
fn fixed(input: &mut Input<'_>, rows: usize, data_type: DataType, width: usize) -> ArrayRef {
    let mut bytes = Vec::new();
    for _ in 0..rows {
        let of = input.byte();
        let value: Vec<u8> = match of {
            0..64 => (0..width).map(|at| if at == 0 { of % 8 } else { 0 }).collect(),
            64 => vec![0xff; width],
            65 => (0..width).map(|at| if at + 1 == width { 0x80 } else { 0 }).collect(),
            66 => (0..width).map(|at| if at + 1 == width { 0x7f } else { 0xff }).collect(),
            // The infinities, and one.
            67 => [vec![0; width.saturating_sub(2)], vec![0x80, 0x7f]].concat(),
            68 => [vec![0; width.saturating_sub(2)], vec![0xf0, 0xff]].concat(),
            69 => [vec![0; width.saturating_sub(2)], vec![0xf0, 0x3f]].concat(),
            _ => (0..width).map(|_| input.byte()).collect(),
        };
        bytes.extend(value.into_iter().take(width));
    }
    let nulls = nulls(input, rows);
    let data = ArrayData::builder(data_type).len(rows).add_buffer(Buffer::from_vec(bytes)).nulls(nulls);
    make_array(data.align_buffers(true).build().expect("values of one width"))
}

fn lengths(input: &mut Input<'_>, rows: usize) -> Vec<usize> {
    (0..rows).map(|_| usize::from(input.byte() % 5)).collect()
}

fn array(input: &mut Input<'_>, rows: usize, depth: usize) -> ArrayRef {
    let kind = input.byte() % 48;
    let kind = if depth == 0 { kind % 30 } else { kind };
    let unit = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]
        [usize::from(kind % 4)];
    let (data_type, width) = match kind {
        0 => return new_null_array(&DataType::Null, rows),
        1 => {
            let values = (0..rows).map(|_| input.byte() & 1 != 0).collect();
            return Arc::new(BooleanArray::new(values, nulls(input, rows)));
        }
        2 => (DataType::Int8, 1),
        3 => (DataType::UInt8, 1),
        4 => (DataType::Int16, 2),
        5 => (DataType::UInt16, 2),
        6 => (DataType::Int32, 4),
        7 => (DataType::UInt32, 4),
        8 => (DataType::Int64, 8),
        9 => (DataType::UInt64, 8),
        10 => (DataType::Float16, 2),
        11 => (DataType::Float32, 4),
        12 => (DataType::Float64, 8),
        13 => (DataType::Date32, 4),
        14 => (DataType::Date64, 8),
        15 => (DataType::Time32(TimeUnit::Second), 4),
        16 => (DataType::Time64(TimeUnit::Nanosecond), 8),
        17 => (DataType::Timestamp(unit, None), 8),
        18 => (DataType::Timestamp(unit, Some("Europe/Berlin".into())), 8),
        19 => (DataType::Duration(unit), 8),
        20 => (DataType::Decimal128(38, 10), 16),
        21 => (DataType::Decimal256(76, -5), 32),
        22 => (DataType::Interval(IntervalUnit::MonthDayNano), 16),
        23 => (DataType::FixedSizeBinary(3), 3),
        24..30 => return bytes(input, rows, kind),
        _ => return nested(input, rows, kind, depth - 1),
    };
    fixed(input, rows, data_type, width)
}

/// Texts and bytes, in every form.
fn bytes(input: &mut Input<'_>, rows: usize, kind: u8) -> ArrayRef {
    let values: Vec<Option<Vec<u8>>> =
        (0..rows).map(|_| if input.byte().is_multiple_of(7) { None } else { Some(value(input)) }).collect();
    let lossy = values.iter().map(|v| v.as_ref().map(|v| String::from_utf8_lossy(v)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter(lossy));
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter(values));
    let (from, to) = match kind {
        24 => (texts, DataType::Utf8),
        25 => (texts, DataType::LargeUtf8),
        26 => (texts, DataType::Utf8View),
        27 => (bytes, DataType::Binary),
        28 => (bytes, DataType::LargeBinary),
        _ => (bytes, DataType::BinaryView),
    };
    cast(&from, &to).expect("the same in another form")
}

/// Columns of columns.
fn nested(input: &mut Input<'_>, rows: usize, kind: u8, depth: usize) -> ArrayRef {
    match kind {
        30..34 => {
            let lengths = lengths(input, rows);
            let (field, items) = column(input, lengths.iter().sum(), depth);
            let offsets = OffsetBuffer::from_lengths(lengths);
            let list = ListArray::new(Arc::new(field), offsets, items, nulls(input, rows));
            let large = DataType::LargeList(match list.data_type() {
                DataType::List(item) => item.clone(),
                other => unreachable!("{other}"),
            });
            if kind == 33 { cast(&list, &large).expect("the same in another form") } else { Arc::new(list) }
        }
        34 | 35 => {
            let size = usize::from(input.byte() % 70) + 1;
            let (field, items) = column(input, rows * size, depth);
            let size = i32::try_from(size).expect("a small number");
            Arc::new(FixedSizeListArray::new(Arc::new(field), size, items, nulls(input, rows)))
        }
        36..40 => {
            let members = usize::from(input.byte() % 4);
            let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
                (0..members).map(|_| column(input, rows, depth)).unzip();
            let nulls = nulls(input, rows);
            let fields = Fields::from(fields);
            Arc::new(StructArray::try_new_with_length(fields, arrays, nulls, rows).expect("a struct"))
        }
        40 => {
            let lengths = lengths(input, rows);
            let entries = lengths.iter().sum();
            let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..entries).map(|_| text(input))));
            let (value, values) = column(input, entries, depth);
            let value = value.with_name("value");
            let fields = Fields::from(vec![Field::new("key", DataType::Utf8, false), value]);
            let entries = StructArray::new(fields.clone(), vec![keys, values], None);
            let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(MapArray::new(field, offsets, entries, nulls(input, rows), false))
        }
        41 | 42 => {
            let values = array(input, rows, 0);
            let to = DataType::Dictionary(Box::new(DataType::Int16), Box::new(values.data_type().clone()));
            cast(&values, &to).unwrap_or(values)
        }
        43 => {
            let ends: Vec<i32> =
                (0..rows).step_by(3).map(|at| (at + 3).min(rows)).map(|end| end as i32).collect();
            let values = array(input, ends.len(), 0);
            let ends = Int32Array::from(ends);
            match RunArray::<Int32Type>::try_new(&ends, values.as_ref()) {
                Ok(runs) => Arc::new(runs),
                Err(_) => values,
            }
        }
        _ => tensor(input, rows, kind),
    }
}

/// Tensors, of one shape or of many, whose metadata may be wrong.
fn tensor(input: &mut Input<'_>, rows: usize, kind: u8) -> ArrayRef {
    let item = |data_type| Arc::new(Field::new_list_field(data_type, true));
    if kind < 46 {
        let values = fixed(input, rows * 16, DataType::UInt8, 1);
        return Arc::new(FixedSizeListArray::new(item(DataType::UInt8), 16, values, None));
    }
    let lengths = lengths(input, rows);
    let values = fixed(input, lengths.iter().sum(), DataType::Float32, 4);
    let data = ListArray::new(item(DataType::Float32), OffsetBuffer::from_lengths(lengths), values, None);
    let dims = fixed(input, rows * 2, DataType::Int32, 4);
    let shape = FixedSizeListArray::new(item(DataType::Int32), 2, dims, None);
    let arrays: Vec<ArrayRef> = vec![Arc::new(data), Arc::new(shape)];
    let field = |name, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
    let fields = Fields::from(vec![field("data", &arrays[0]), field("shape", &arrays[1])]);
    Arc::new(StructArray::try_new_with_length(fields, arrays, None, rows).expect("a struct"))
}

/// What the members of a profile say agrees.
fn check_numbers(json: &Value) {
    let rows = json["rows"].as_u64().expect("rows");
    let (equal, of) = (&json["duplicates"]["rows"], &json["duplicates"]["of"]);
    assert!(equal.as_u64() <= of.as_u64() && of.as_u64() <= Some(rows), "{equal} of {of}");
    for column in json["columns"].as_array().expect("columns") {
        assert_eq!(column["rows"].as_u64(), Some(rows), "{column}");
        check_column(column);
    }
}

fn check_column(column: &Value) {
    let rows = column["rows"].as_u64().expect("rows");
    let missing = column["missing"].as_u64().expect("missing");
    assert!(missing <= rows, "{column}");
    check_distribution(column);
    if !column["lengths"].is_null() {
        check_distribution(&column["lengths"]);
    }
    let counts: Vec<u64> = column["top"]
        .as_array()
        .expect("values")
        .iter()
        .map(|top| top["count"].as_u64().expect("a count"))
        .collect();
    assert!(counts.is_sorted_by(|a, b| a >= b), "{column}");
    if column["top_exact"] == true && column["distinct_exact"] == true {
        assert!(counts.len() as u64 <= column["distinct"].as_u64().expect("a number"), "{column}");
    }
    column["fields"].as_array().expect("fields").iter().for_each(check_column);
}

fn check_distribution(numbers: &Value) {
    let Some(count) = numbers["count"].as_u64() else { return };
    assert!(numbers["zeros"].as_u64() <= Some(count), "{numbers}");
    let quantiles = numbers["quantiles"].as_object().expect("quantiles").values();
    assert!(quantiles.filter_map(Value::as_f64).is_sorted(), "{numbers}");
    if let (Some(least), Some(greatest)) = (numbers["min"].as_f64(), numbers["max"].as_f64()) {
        assert!(least <= greatest && count > 0, "{numbers}");
        if let Some(mean) = numbers["mean"].as_f64() {
            let room = 1e-9 * least.abs().max(greatest.abs());
            assert!((least - room..=greatest + room).contains(&mean), "{numbers}");
        }
    }
    let histogram = &numbers["histogram"];
    if let Some(counts) = histogram["counts"].as_array() {
        assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), count, "{numbers}");
        let edges = histogram["edges"].as_array().expect("edges");
        assert_eq!(edges.len(), counts.len() + 1, "{numbers}");
        assert!(edges.iter().map(|e| e.as_f64().expect("an edge")).is_sorted(), "{numbers}");
    }
}

/// Two profiles of the same rows are the same, but for how their sums were rounded.
fn check_same(one: &Value, other: &Value, member: &str) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{member}");
            a.iter().for_each(|(key, value)| check_same(value, &b[key], key));
        }
        (Value::Array(a), Value::Array(b)) if member != "alerts" => {
            assert_eq!(a.len(), b.len(), "{member}: {one} and {other}");
            a.iter().zip(b).for_each(|(a, b)| check_same(a, b, member));
        }
        _ => assert!(one == other || matches!(member, "mean" | "std"), "{member}: {one} and {other}"),
    }
}

/// A page has no markup, no entity and no character that acts, but its own; every element ends, every
/// link leads somewhere.
fn check_html(html: &str) {
    const TAGS: [&str; 50] = [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "script",
        "nav",
        "main",
        "header",
        "section",
        "article",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "p",
        "a",
        "ul",
        "li",
        "b",
        "i",
        "span",
        "div",
        "bdi",
        "table",
        "caption",
        "colgroup",
        "col",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "path",
        "rect",
        "figure",
        "figcaption",
        "details",
        "summary",
        "dl",
        "dt",
        "dd",
        "img",
        "input",
        "button",
        "label",
    ];
    const ATTRIBUTES: [&str; 31] = [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "rel",
        "href",
        "class",
        "id",
        "aria-label",
        "aria-labelledby",
        "aria-hidden",
        "role",
        "tabindex",
        "hidden",
        "type",
        "autocomplete",
        "src",
        "alt",
        "title",
        "width",
        "height",
        "viewBox",
        "preserveAspectRatio",
        "d",
        "x",
        "y",
        "scope",
        "open",
        "colspan",
        "for",
    ];
    const EMPTY: [&str; 5] = ["meta", "link", "img", "input", "col"];
    let mut rest = html.strip_prefix("<!doctype html>").expect("a page");
    let (mut open, mut ids, mut links) = (Vec::new(), HashSet::new(), Vec::new());
    let mut scripts = 0;
    while let Some((before, after)) = rest.split_once('<') {
        check_text(before);
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "what ends");
            continue;
        }
        let (tag, is_whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        assert!(TAGS.contains(&name), "<{tag}>");
        while let Some((attribute, after)) = attributes.trim_start().split_once('=') {
            let attribute = attribute.rsplit(' ').next().unwrap_or_default();
            assert!(ATTRIBUTES.contains(&attribute), "{attribute} in <{tag}>");
            let after = after.strip_prefix('"').expect("a value in quotes");
            let (value, after) = after.split_once('"').expect("a value ends");
            check_text(value);
            match attribute {
                "id" => assert!(ids.insert(value), "{value} twice"),
                "href" if name == "a" => links.push(value.strip_prefix('#').expect("a link within the page")),
                "src" => assert!(value.starts_with("data:image/"), "{value}"),
                _ => {}
            }
            attributes = after;
        }
        assert!(["", "hidden", "open"].contains(&attributes.trim()), "<{tag}>");
        if matches!(name, "style" | "script") {
            scripts += 1;
            let (_, after) = rest.split_once(&format!("</{name}>")).expect("its end");
            rest = after;
        } else if !is_whole && !EMPTY.contains(&name) {
            open.push(name);
        }
    }
    check_text(rest);
    assert_eq!((open.len(), scripts), (0, 2));
    for link in links {
        assert!(ids.contains(link), "#{link} leads nowhere");
    }
}

fn check_text(text: &str) {
    const ENTITIES: [&str; 5] = ["amp;", "lt;", "gt;", "quot;", "#39;"];
    assert!(!text.contains(['<', '>']), "{text}");
    assert!(!text.chars().any(|c| c != '\n' && crate::text::acts(c)), "{text:?}");
    for entity in text.split('&').skip(1) {
        assert!(ENTITIES.iter().any(|known| entity.starts_with(known)), "&{entity}");
    }
}
