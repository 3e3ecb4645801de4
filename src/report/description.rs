//! What a dataset is, before any of it is read.

use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use serde_json::{Value, json};

use super::table;
use crate::schema::message::{MESSAGE, PROTO_TYPE};
use crate::source::{Cardinality, Partition, Source};
use crate::tf::spec::ElementSpec;

/// What a dataset is: its kind, structure, columns, parts and length.
///
/// ```
/// use tfarrow::ReaderBuilder;
/// use tfarrow::report::Description;
///
/// let source = ReaderBuilder::new(["examples/data/digits/digits.tfrecord-*"]).build_source()?;
/// let description = Description::of(source.as_ref());
/// assert_eq!(description.partitions.len(), 2);
/// assert_eq!(description.to_json()["columns"][1]["name"], "label");
/// print!("{}", description.to_text());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Description {
    /// What kind of input it is, in a few words.
    pub kind: String,
    /// How many elements it has.
    pub cardinality: Cardinality,
    /// The structure of its elements.
    pub element_spec: ElementSpec,
    /// The schema of its batches.
    pub schema: SchemaRef,
    /// Its parts, in the order of their rows.
    pub partitions: Vec<Partition>,
    /// What is worth knowing of its columns beyond their types.
    pub notes: Vec<String>,
}

impl Description {
    /// What `source` is.
    #[must_use]
    pub fn of(source: &dyn Source) -> Self {
        Self {
            kind: source.kind().to_owned(),
            cardinality: source.cardinality(),
            element_spec: source.element_spec().clone(),
            schema: source.schema(),
            partitions: source.partitions().to_vec(),
            notes: source.notes().to_vec(),
        }
    }

    /// The description as a JSON object with the members `source`, `cardinality` (a number,
    /// `"infinite"` or null), `element_spec`, `columns` (each `name`, `type`, `nullable`,
    /// `metadata`), `partitions` (each `name`, `bytes`, `rows`) and `notes`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let columns: Vec<Value> = self
            .schema
            .fields()
            .iter()
            .map(|field| {
                json!({
                    "name": field.name(),
                    "type": type_in_full(field.data_type()),
                    "nullable": field.is_nullable(),
                    "metadata": field.metadata(),
                })
            })
            .collect();
        let partitions: Vec<Value> = self
            .partitions
            .iter()
            .map(|p| json!({"name": &*p.name, "bytes": p.bytes, "rows": p.rows}))
            .collect();
        let cardinality = match self.cardinality {
            Cardinality::Known(rows) => json!(rows),
            Cardinality::Infinite => json!("infinite"),
            Cardinality::Unknown => Value::Null,
        };
        json!({
            "source": self.kind,
            "cardinality": cardinality,
            "element_spec": self.element_spec.to_json(),
            "columns": columns,
            "partitions": partitions,
            "notes": self.notes,
        })
    }

    /// The description as text for a terminal: a few lines, a table of components and one of columns.
    /// What is nested stands below what holds it, two spaces further in. Of messages, the columns have
    /// the types that their descriptor declares beside them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes: Option<u64> = self.partitions.iter().map(|p| p.bytes).sum();
        let size = bytes.map(|bytes| format!(", {}", megabytes(bytes))).unwrap_or_default();
        let mut out = format!(
            "source:      {}\npartitions:  {}{size}\ncardinality: {}\n\n",
            super::printable(&self.kind),
            self.partitions.len(),
            self.cardinality
        );
        let is_message = self.schema.metadata().contains_key(MESSAGE);
        if !is_message {
            let mut rows = Vec::new();
            for (path, spec) in self.element_spec.components() {
                component(&path, spec, 0, &mut rows);
            }
            out.push_str(&table::render(&["component", "element spec"], &rows));
            out.push('\n');
        }
        let mut rows = Vec::new();
        for field in self.schema.fields() {
            column(field, 0, &mut rows);
        }
        let declared = if is_message { "protobuf type" } else { "extension type" };
        out.push_str(&table::render(&["column", "Arrow type", declared], &rows));
        for (at, note) in self.notes.iter().enumerate() {
            let before = if at == 0 { "\n" } else { "" };
            out.push_str(&format!("{before}note: {}\n", super::printable(note)));
        }
        out
    }
}

#[allow(clippy::cast_precision_loss)] // for display
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn indented(name: &str, depth: usize) -> String {
    format!("{}{name}", "  ".repeat(depth))
}

/// The lines of a component and of what it holds.
fn component(name: &str, spec: &ElementSpec, depth: usize, rows: &mut Vec<Vec<String>>) {
    let (text, inner) = describe(spec);
    rows.push(vec![indented(name, depth), text]);
    for (path, spec) in inner.map(ElementSpec::components).unwrap_or_default() {
        component(&path, spec, depth + 1, rows);
    }
}

/// A component in a few words, and the structure that it holds elements of.
fn describe(spec: &ElementSpec) -> (String, Option<&ElementSpec>) {
    match spec {
        ElementSpec::Tensor { dtype, shape } => (format!("{dtype} {shape}"), None),
        ElementSpec::Ragged { dtype, shape, ragged_rank, .. } => {
            (format!("ragged {dtype} {shape}, ragged rank {ragged_rank}"), None)
        }
        ElementSpec::Sparse { dtype, shape } => (format!("sparse {dtype} {shape}"), None),
        ElementSpec::Optional(inner) if inner.is_leaf() => {
            let (text, held) = describe(inner);
            (format!("optional {text}"), held)
        }
        ElementSpec::Dataset(inner) if inner.is_leaf() => {
            let (text, held) = describe(inner);
            (format!("dataset of {text}"), held)
        }
        ElementSpec::Optional(inner) => ("optional".to_owned(), Some(inner)),
        ElementSpec::Dataset(inner) => ("dataset".to_owned(), Some(inner)),
        other => (other.to_json().to_string(), None),
    }
}

/// The lines of a column and of the fields that it holds.
fn column(field: &Field, depth: usize, rows: &mut Vec<Vec<String>>) {
    let declared = ["ARROW:extension:name", PROTO_TYPE].into_iter().find_map(|key| field.metadata().get(key));
    let mut extension = declared.cloned().unwrap_or_default();
    if let Some(parameters) = field.metadata().get("ARROW:extension:metadata") {
        extension = format!("{extension} {parameters}");
    }
    // The parts of a tensor are how it is stored, not what it holds: one line has them.
    if extension.starts_with("arrow.variable_shape_tensor") {
        rows.push(vec![indented(field.name(), depth), type_in_full(field.data_type()), extension]);
        return;
    }
    let (text, inner) = type_and_fields(field.data_type());
    rows.push(vec![indented(field.name(), depth), text, extension]);
    for field in inner.into_iter().flatten() {
        column(field, depth + 1, rows);
    }
}

/// A type in a few words, and the fields that it holds.
fn type_and_fields(data_type: &DataType) -> (String, Option<&Fields>) {
    let list = |name: &str, item: &'_ Field, size: &str| {
        let (text, _) = type_and_fields(item.data_type());
        format!("{name}<{text}>{size}")
    };
    match data_type {
        DataType::List(item) => (list("List", item, ""), fields_of(item)),
        DataType::LargeList(item) => (list("LargeList", item, ""), fields_of(item)),
        DataType::FixedSizeList(item, n) => (list("FixedSizeList", item, &format!("[{n}]")), fields_of(item)),
        DataType::Map(entries, _) => ("Map".to_owned(), fields_of(entries)),
        DataType::Struct(fields) => ("Struct".to_owned(), Some(fields)),
        other => (other.to_string(), None),
    }
}

fn fields_of(item: &Field) -> Option<&Fields> {
    type_and_fields(item.data_type()).1
}

/// A type in one line, whatever its length.
pub(super) fn type_in_full(data_type: &DataType) -> String {
    match data_type {
        DataType::List(item) => format!("List<{}>", type_in_full(item.data_type())),
        DataType::FixedSizeList(item, n) => format!("FixedSizeList<{}>[{n}]", type_in_full(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|f| format!("{}: {}", f.name(), type_in_full(f.data_type()))).collect();
            format!("Struct<{}>", fields.join(", "))
        }
        other => other.to_string(),
    }
}
