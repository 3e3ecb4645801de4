//! What makes a dataset of the parts that tasks wrote.

use std::collections::HashMap;
use std::path::Path;

use super::folder::{Output, TaskFolder};
use super::task::{Task, TaskPart};
use super::{Head, Plan};
use crate::convert::manifest::{self, Part};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{FileKind, Stat, is_url};
use crate::options::{Dialect, OnError, Phrase};
use crate::sink::SinkOptions;
use crate::source::Selection;

/// Tasks that are named where several are missing.
const NAMED: usize = 10;

/// What was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// Rows in all parts.
    pub rows: u64,
    /// Bytes of all parts.
    pub bytes: u64,
    /// Parts.
    pub parts: usize,
    /// Records that were left out.
    pub skipped: u64,
    /// Records in whose place stands a row of nulls.
    pub nulled: u64,
    /// Values in whose place stands a null.
    pub nulled_values: u64,
}

/// Makes a dataset of the part files of all tasks of `plan` in `folder`: writes `_manifest.json`, and
/// removes what the tasks left beside their parts. The parts are those that are given, or, with none, those
/// that tasks say in the folder that they wrote. To commit again what is committed does nothing.
///
/// # Errors
/// The part of a task is missing, or is of another plan or was written in another way than the others; or
/// the folder cannot be written to.
pub fn commit(folder: impl AsRef<Path>, plan: &Plan, parts: Option<&[TaskPart]>) -> Result<Committed> {
    let folder = folder.as_ref();
    // What is said of stores is not for local folders.
    let store = if is_url(folder.as_os_str()) { plan.store.clone() } else { SinkOptions::new() };
    let folder = TaskFolder::at(store.place(folder)?);
    let head = &plan.head;
    if plan.tasks.iter().any(Task::is_selected) && head.builder.read_options().part_rows.is_none() {
        return Err(Error::config("tasks of selected rows write no parts"));
    }
    let given = match parts {
        Some(parts) => parts.to_vec(),
        None => folder.all_done()?,
    };
    let output = match folder.output(head)? {
        Some(output) => output,
        // Of nothing, a dataset of no part.
        None if head.tasks == 0 && given.is_empty() => folder.begin_empty(head)?,
        None => return committed_before(&folder, head, &given),
    };
    let parts = all_parts(&folder, head, &output, given)?;
    check_rows(head, &parts)?;
    let inputs = plan.inputs().map(|part| manifest::describe(&part.partition)).collect();
    let described = head.described(&output, inputs, Dialect::default());
    manifest::put_manifest(folder.place(), &described, &parts)?;
    folder.clear(&parts)?;
    Ok(summary(&parts))
}

/// What there is where no task says anything: a dataset that was committed already, or one without tasks.
fn committed_before(folder: &TaskFolder, head: &Head, given: &[TaskPart]) -> Result<Committed> {
    let output = Output::of_manifest(folder)?;
    if let Some(output) = &output
        && let Some(parts) = folder.committed(head, output)?
    {
        let known =
            |given: &TaskPart| given.plan == head.id && parts.iter().any(|p| p.name == given.part.name);
        return match given.iter().find(|given| !known(given)) {
            None => Ok(summary(&parts)),
            Some(foreign) => Err(foreign_part(folder, foreign)),
        };
    }
    Err(Error::new(ErrorKind::NotFound, "no task of the plan has written into this folder")
        .in_source(folder.name())
        .with_hint(Phrase::new("do its tasks first")))
}

#[cold]
fn foreign_part(folder: &TaskFolder, part: &TaskPart) -> Error {
    Error::config(format!("part of another plan, or written in another way: {}", part.name()))
        .in_source(folder.name())
}

/// The parts of all tasks, in order.
fn all_parts(folder: &TaskFolder, head: &Head, output: &Output, given: Vec<TaskPart>) -> Result<Vec<Part>> {
    let mut parts: Vec<Option<Part>> = vec![None; head.tasks];
    for given in given {
        let own = given.plan == head.id
            && given.output == output.digest
            && given.part.name == output.part_name(given.part.index, head);
        match parts.get_mut(given.part.index) {
            Some(slot) if own => match slot {
                // A task that was done twice made the same file.
                Some(part) if (part.bytes, part.crc32c) != (given.part.bytes, given.part.crc32c) => {
                    return Err(Error::config(format!("two different parts of one task: {}", given.name()))
                        .in_source(folder.name()));
                }
                slot => *slot = Some(given.part),
            },
            _ => return Err(foreign_part(folder, &given)),
        }
    }
    let stats: HashMap<String, Stat> = folder.stats()?.into_iter().collect();
    let missing: Vec<String> = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| part.as_ref().is_none_or(|part| !is_there(&stats, part)))
        .map(|(index, _)| index.to_string())
        .collect();
    if !missing.is_empty() {
        let more = missing.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named: Vec<String> = missing.iter().take(NAMED).cloned().collect();
        return Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "parts are missing: those of {} of {} tasks, {}{more}",
                missing.len(),
                head.tasks,
                named.join(", ")
            ),
        )
        .in_source(folder.name())
        .with_hint("do these tasks, and commit again"));
    }
    Ok(parts.into_iter().flatten().collect())
}

fn is_there(stats: &HashMap<String, Stat>, part: &Part) -> bool {
    stats.get(&part.name).is_some_and(|stat| stat.kind == FileKind::File && stat.bytes == Some(part.bytes))
}

/// Refuses parts that hold together another number of rows than the input says it has.
fn check_rows(head: &Head, parts: &[Part]) -> Result<()> {
    let read = head.builder.read_options();
    let found: u64 = parts.iter().map(|part| part.rows).sum();
    match head.rows {
        Some(rows)
            if rows != found && read.on_error == OnError::Fail && read.selection == Selection::default() =>
        {
            Err(Error::corrupt("elements are missing, or there are more than the input says")
                .expected(rows.to_string(), found.to_string())
                .with_hint("a shard is missing, or cut short"))
        }
        _ => Ok(()),
    }
}

fn summary(parts: &[Part]) -> Committed {
    let sum = |of: fn(&Part) -> u64| parts.iter().map(of).sum();
    Committed {
        rows: sum(|part| part.rows),
        bytes: sum(|part| part.bytes),
        parts: parts.len(),
        skipped: sum(|part| part.lost.skipped),
        nulled: sum(|part| part.lost.nulled),
        nulled_values: sum(|part| part.lost.nulled_values),
    }
}
