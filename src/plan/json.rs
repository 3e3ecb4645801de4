//! Plans and tasks as text: JSON, of a version that is written down in `docs/clusters.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::share::Share;
use super::{Head, Plan, Task};
use crate::convert::manifest::{describe_schema, replace};
use crate::error::{Error, Result};
use crate::input::Place;
use crate::reader::ReaderBuilder;
use crate::sink::SinkOptions;
use crate::source::planned::{Learnt, Object, PlannedPart, invalid, schema_from_text, schema_to_text};

/// What a plan's tasks begin with, one a line.
const TASKS: &str = "\"tasks\":[\n";
/// The version of the form.
const VERSION: u64 = 1;

impl Head {
    /// The beginning of an object with the members that all tasks have in common.
    fn open_text(&self) -> String {
        let head = json!({
            "version": VERSION,
            "tfarrow": env!("CARGO_PKG_VERSION"),
            "id": self.id,
            "kind": self.kind,
            "rows": self.rows,
            "folder": self.folder.to_string_lossy(),
            "options": self.builder.stored_changes(),
            "source": self.learnt.to_json(),
            "columns": describe_schema(&self.schema).get("fields"),
            "schema": schema_to_text(&self.schema),
            "inputs_digest": self.inputs,
            "of": self.tasks,
        });
        let text = head.to_string();
        format!("{},\n", text.strip_suffix('}').unwrap_or(&text))
    }

    fn from_json(object: Object<'_>) -> Result<Self> {
        match object.number("version") {
            Some(VERSION) => {}
            Some(other) => {
                return Err(Error::unsupported("plan of another version")
                    .expected(VERSION.to_string(), other.to_string())
                    .with_hint("plan anew, with the tfarrow that does the tasks"));
            }
            None => return Err(invalid("`version`", &Value::Null)),
        }
        let written_by = object.needed_text("tfarrow")?;
        if written_by != env!("CARGO_PKG_VERSION") {
            return Err(Error::unsupported("plan of another version of tfarrow")
                .expected(env!("CARGO_PKG_VERSION"), written_by)
                .with_hint("plan anew, with the tfarrow that does the tasks"));
        }
        let options = object.needed("options")?;
        let options = options.as_object().ok_or_else(|| invalid("`options` as an object", options))?;
        let builder = ReaderBuilder::from_stored(options)?.without_inputs();
        let tasks = object.number("of").and_then(|tasks| usize::try_from(tasks).ok());
        Ok(Self {
            id: object.needed_text("id")?.to_owned(),
            kind: object.needed_text("kind")?.to_owned(),
            folder: PathBuf::from(object.needed_text("folder")?),
            builder,
            learnt: Learnt::from_json(object.needed("source")?)?,
            schema: schema_from_text(object.needed_text("schema")?)?,
            tasks: tasks.ok_or_else(|| invalid("`of`", &Value::Null))?,
            inputs: object.needed_text("inputs_digest")?.to_owned(),
            rows: object.number("rows"),
        })
    }
}

impl Plan {
    /// The plan as text: JSON with a list `tasks`, one a line.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = self.head.open_text();
        if let Some(parts) = &self.inputs {
            let parts: Value = parts.iter().map(PlannedPart::to_json).collect();
            text.push_str(&format!("\"inputs\":{parts},\n"));
        }
        text.push_str(TASKS);
        for (at, task) in self.tasks.iter().enumerate() {
            text.push_str(if at > 0 { ",\n" } else { "" });
            text.push_str(&task.own_text());
        }
        text.push_str("\n]}\n");
        text
    }

    /// Writes the text to the file `path`, which appears whole or not at all; what is there is replaced.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        replace(&Place::local(path.as_ref()), &self.to_json())
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    ///
    /// # Errors
    /// It is something else, or of another version.
    pub fn from_json(text: &str) -> Result<Self> {
        let value = parse(text)?;
        let object = Object::of(&value, "a plan")?;
        let head = Arc::new(Head::from_json(object)?);
        let tasks = tasks(object, &head)?;
        if tasks.len() != head.tasks || tasks.iter().enumerate().any(|(at, task)| task.index != at) {
            return Err(Error::corrupt("invalid plan")
                .expected(format!("{} tasks in order", head.tasks), format!("{} of them", tasks.len()))
                .with_hint("a single task of a plan is read as a task"));
        }
        let parts = object.get("inputs").and_then(Value::as_array);
        let inputs = parts.map(|parts| parts.iter().map(PlannedPart::from_json).collect()).transpose()?;
        Ok(Self { head, tasks, inputs, store: SinkOptions::new() })
    }
}

impl Task {
    /// The task as text: its plan's, with this one task alone.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{}{TASKS}{}\n]}}\n", self.head.open_text(), self.own_text())
    }

    /// Reads what [`to_json`](Self::to_json) gives.
    ///
    /// # Errors
    /// It is something else, or of another version.
    pub fn from_json(text: &str) -> Result<Self> {
        let value = parse(text)?;
        let object = Object::of(&value, "a task")?;
        let head = Arc::new(Head::from_json(object)?);
        let mut tasks = tasks(object, &head)?.into_iter();
        match (tasks.next(), tasks.next()) {
            (Some(task), None) => Ok(task),
            _ => Err(Error::corrupt("invalid task").expected("one task", "none, or several")),
        }
    }

    /// The task `number` of the plan that `text` is; `None` if it has fewer. Of the plan's own text, no other
    /// task is read.
    ///
    /// # Errors
    /// It is no plan, or of another version.
    pub fn of_plan(text: &str, number: usize) -> Result<Option<Self>> {
        // No line ends within a text of JSON, so that what stands there is no value.
        if let Some((head, tasks)) = text.split_once(TASKS)
            && let Some(own) = tasks.lines().nth(number)
            && let Ok(task) = Self::from_json(&format!("{head}{TASKS}{}\n]}}", own.trim_end_matches(',')))
            && task.index == number
        {
            return Ok(Some(task));
        }
        Ok(Plan::from_json(text)?.tasks.get(number).cloned())
    }

    fn own_text(&self) -> String {
        let mut value = json!({"task": self.index});
        if let (Some(value), Value::Object(share)) = (value.as_object_mut(), self.share.to_json()) {
            value.extend(share);
        }
        value.to_string()
    }
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::corrupt("plan is no JSON").with_cause(e))
}

fn tasks(object: Object<'_>, head: &Arc<Head>) -> Result<Vec<Task>> {
    let task = |value: &Value| {
        let index = Object::of(value, "a task")?.number("task").and_then(|n| usize::try_from(n).ok());
        let index =
            index.filter(|index| *index < head.tasks).ok_or_else(|| invalid("a task's number", value))?;
        Ok(Task { head: head.clone(), index, share: Share::from_json(value)? })
    };
    object.list("tasks")?.iter().map(task).collect()
}
