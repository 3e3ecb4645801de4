//! The folder that tasks write into, while they are not committed.
//!
//! `_tasks.json` says of which plan the tasks are and how they write; `_done-NNNNN.json` stands for each
//! that is done. Both are gone when the manifest is there.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Head;
use super::task::TaskPart;
use crate::convert::conversion::extension_of_parts;
use crate::convert::folder::{format_of_parts, is_of_tasks, is_part, is_partial, part_name, remove};
use crate::convert::manifest::{self, DONE, MANIFEST, PROGRESS, Part, TASKS, replace};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{Place, Stat};
use crate::options::Phrase;
use crate::sink::{SinkOptions, put_beside_parts};
use crate::source::Selection;
use crate::source::planned::{Object, invalid};
use crate::wire::sha256;

/// How parts are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Output {
    /// The extension of the parts.
    pub(super) extension: String,
    /// Everything that the bytes of a part depend on, besides what is read.
    pub(super) settings: Map<String, Value>,
    /// What tells it from others.
    pub(super) digest: String,
}

impl Output {
    /// How `options` have the parts of a plan written into `folder`.
    ///
    /// # Errors
    /// An option is not for parts, or the plan's tasks make none.
    pub(super) fn new(head: &Head, folder: &Path, options: &SinkOptions) -> Result<Self> {
        let extension = extension_of_parts(folder, options);
        let format = format_of_parts(&extension)?;
        options.check(format.kind())?;
        let read = head.builder.read_options();
        if options.shards.is_some() || read.part_rows.is_none() && read.selection != Selection::default() {
            return Err(refused(options.shards.is_some()));
        }
        Ok(Self::of(extension.clone(), manifest::settings(&Map::new(), options, &extension)))
    }

    fn of(extension: String, settings: Map<String, Value>) -> Self {
        let digest = sha256::digest(Value::Object(settings.clone()).to_string().as_bytes());
        Self { extension, settings, digest }
    }

    /// How the parts of a folder that holds a manifest were written; `None` if it holds none.
    ///
    /// # Errors
    /// The manifest cannot be read.
    pub(super) fn of_manifest(folder: &TaskFolder) -> Result<Option<Self>> {
        let Some(manifest) = folder.read(MANIFEST)? else { return Ok(None) };
        let Some(options) = manifest.get("options").and_then(Value::as_object) else { return Ok(None) };
        let keys = manifest::settings(&Map::new(), &SinkOptions::new(), "");
        let settings: Map<String, Value> = options
            .iter()
            .filter(|(key, _)| keys.contains_key(*key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let extension = settings.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Some(Self::of(extension, settings)))
    }

    /// What the part of a task is called.
    pub(super) fn part_name(&self, index: usize, head: &Head) -> String {
        let of = head.builder.read_options().part_rows.is_none().then_some(head.tasks);
        part_name(index, of, &self.extension)
    }
}

#[cold]
fn refused(shards: bool) -> Error {
    match shards {
        true => Error::config(Phrase::new("{shards} is for one output, and a task writes a part of several")),
        false => Error::config("rows cannot be chosen where each partition makes a part")
            .with_hint(Phrase::new("plan with {rows_per_file} N beside {take}, {skip} or {shard}")),
    }
}

/// A folder that tasks of one plan write into.
#[derive(Debug)]
pub(super) struct TaskFolder {
    place: Place,
}

/// The largest file that tells of tasks, or of parts.
const MOST_BYTES: u64 = 1 << 30;

/// What a task finds.
#[derive(Debug)]
pub(super) enum Begun {
    /// Tasks of the same plan, or none yet.
    Tasks(TaskFolder),
    /// The plan's parts, which are committed.
    Committed(Vec<Part>),
}

impl TaskFolder {
    /// Makes the folder ready for tasks of the plan of `head` that write as `output` says.
    ///
    /// # Errors
    /// It holds something else, or cannot be written to.
    pub(super) fn begin(place: &Place, head: &Head, output: &Output, options: &SinkOptions) -> Result<Begun> {
        let folder = Self { place: place.clone() };
        let mark = json!({"plan": head.id, "output": output.settings, "tasks": head.tasks});
        let overwrite = options.overwrite;
        let exists = |what: &str, hint: &'static str| {
            Error::new(ErrorKind::AlreadyExists, what).in_source(folder.name()).with_hint(Phrase::new(hint))
        };
        match folder.read(TASKS)? {
            Some(found) if found == mark => return Ok(Begun::Tasks(folder)),
            Some(_) if !overwrite => {
                let what = "output folder holds tasks of another plan, or written in another way";
                return Err(exists(what, "pass {overwrite} to begin again, or name another folder"));
            }
            found => {
                if let Some(parts) = folder.committed(head, output)? {
                    return Ok(Begun::Committed(parts));
                }
                let names = folder.list()?;
                let holds = |name: &str| names.iter().any(|n| n == name);
                if !overwrite && holds(MANIFEST) {
                    return Err(exists("output folder holds a conversion already", "pass {overwrite}"));
                }
                if !overwrite && holds(PROGRESS) {
                    let hint = "pass {overwrite} to begin again, or name another folder";
                    return Err(exists("output folder holds a conversion that was interrupted", hint));
                }
                let foreign =
                    |name: &String| !is_partial(name) && !is_of_tasks(name) && !name.starts_with('_');
                if !overwrite && names.iter().any(foreign) {
                    // Another task may have begun meanwhile.
                    return match folder.read(TASKS)? {
                        Some(now) if now == mark => Ok(Begun::Tasks(folder)),
                        _ => Err(exists("output folder is not empty", "pass {overwrite} to write into it")),
                    };
                }
                if found.is_some() || holds(MANIFEST) || holds(PROGRESS) {
                    // What another plan left must not be taken for ours.
                    for name in names.iter().filter(|name| name.starts_with(DONE)) {
                        remove(&folder.place.join(name))?;
                    }
                    remove(&folder.place.join(MANIFEST))?;
                    remove(&folder.place.join(PROGRESS))?;
                }
            }
        }
        if let Some(path) = folder.place.local_path() {
            std::fs::create_dir_all(path)
                .map_err(|e| Error::io("cannot create output folder", e).in_source(folder.name()))?;
        }
        let format = format_of_parts(&output.extension)?;
        put_beside_parts(&folder.place, format, &head.schema, options)?;
        folder.put(TASKS, &mark)?;
        Ok(Begun::Tasks(folder))
    }

    /// Makes the folder ready to be committed without any part; gives how these would be written.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(super) fn begin_empty(&self, head: &Head) -> Result<Output> {
        let options = SinkOptions::new();
        let output = Output::new(head, self.place.path(), &options)?;
        Self::begin(&self.place, head, &output, &options).map(|_| output)
    }

    /// The folder as it is, to be committed.
    pub(super) fn at(place: Place) -> Self {
        Self { place }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn name(&self) -> String {
        self.place.name().to_string()
    }

    /// How the tasks of the plan of `head` write; `None` if there are none.
    ///
    /// # Errors
    /// They are of another plan.
    pub(super) fn output(&self, head: &Head) -> Result<Option<Output>> {
        let Some(mark) = self.read(TASKS)? else { return Ok(None) };
        let object = Object::of(&mark, "what tasks say of themselves")?;
        if object.text("plan") != Some(head.id.as_str()) {
            return Err(Error::config("output folder holds tasks of another plan").in_source(self.name()));
        }
        let settings = object.needed("output")?;
        let settings = settings.as_object().ok_or_else(|| invalid("settings", settings))?.clone();
        let extension = settings.get("format").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Some(Output::of(extension, settings)))
    }

    /// The parts that were committed of the plan of `head`, written as `output` says.
    pub(super) fn committed(&self, head: &Head, output: &Output) -> Result<Option<Vec<Part>>> {
        let Some(manifest) = self.read(MANIFEST)? else { return Ok(None) };
        let described = head.described(output, Vec::new(), crate::options::Dialect::default());
        let inputs = described.inputs_of_same(&manifest);
        let same = inputs.is_some_and(|inputs| sha256::digest(inputs.to_string().as_bytes()) == head.inputs);
        let parts = manifest.get("parts").and_then(Value::as_array).filter(|_| same);
        Ok(parts.map(|parts| parts.iter().filter_map(Part::from_json).collect()))
    }

    /// The part of a task that is done, if its file is still there as it was written.
    pub(super) fn done(&self, index: usize, name: &str) -> Option<Part> {
        let value = self.read(&done_name(index)).ok().flatten()?;
        let part = TaskPart::from_json(&value).ok()?.part;
        let stat = self.place.join(name).stat_now().ok().flatten();
        (part.index == index && part.name == name && part.is_whole(&self.place, stat.as_ref()))
            .then_some(part)
    }

    /// Says that a task is done.
    ///
    /// # Errors
    /// That cannot be written.
    pub(super) fn put_done(&self, part: &TaskPart) -> Result<()> {
        let name = done_name(part.index());
        self.put(&name, &part.to_json())?;
        // Others may have done and committed it meanwhile.
        match self.place.join(TASKS).stat_now()? {
            Some(_) => Ok(()),
            None => remove(&self.place.join(name)),
        }
    }

    /// What the tasks say that are done.
    ///
    /// # Errors
    /// The folder cannot be listed, or such a file is damaged.
    pub(super) fn all_done(&self) -> Result<Vec<TaskPart>> {
        let names = self.list()?;
        let done = names.iter().filter(|name| is_of_tasks(name) && name.starts_with(DONE));
        let read = |name: &String| {
            let value = self.read(name)?.unwrap_or_default();
            TaskPart::from_json(&value).map_err(|e| e.in_source(self.place.join(name).name()))
        };
        done.map(read).collect()
    }

    /// Removes what is no part of what was committed.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(super) fn clear(&self, parts: &[Part]) -> Result<()> {
        let own: std::collections::HashSet<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let names = self.list()?;
        let stale = |name: &&String| {
            let part = is_part(name) && !own.contains(name.as_str());
            part || is_partial(name) || is_of_tasks(name) && *name != TASKS
        };
        for name in names.iter().filter(stale) {
            remove(&self.place.join(name))?;
        }
        // As long as it is there, this is done again.
        remove(&self.place.join(TASKS))
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.stats()?.into_iter().map(|(name, _)| name).collect())
    }

    /// What lies in the folder now, by name.
    ///
    /// # Errors
    /// It cannot be listed.
    pub(super) fn stats(&self) -> Result<Vec<(String, Stat)>> {
        if self.place.local_path().is_some() && self.place.stat_now()?.is_none() {
            return Ok(Vec::new());
        }
        match self.place.list_now() {
            Ok(entries) => Ok(entries.into_iter().map(|(place, stat)| (place.file_name(), stat)).collect()),
            // A store has no empty folders.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A JSON file of the folder, if it is there.
    fn read(&self, name: &str) -> Result<Option<Value>> {
        let place = self.place.join(name);
        let Some(stat) = place.stat_now()? else { return Ok(None) };
        let text = place.open(Some(&stat))?.read_to_end(MOST_BYTES)?;
        let value = serde_json::from_slice(&text);
        value.map(Some).map_err(|e| Error::corrupt("file is no JSON").with_cause(e).in_source(place.name()))
    }

    fn put(&self, name: &str, value: &Value) -> Result<()> {
        replace(&self.place.join(name), &format!("{value}\n"))
    }
}

fn done_name(index: usize) -> String {
    format!("{DONE}{index:05}.json")
}
