//! From a source to a folder of part files, which can be interrupted and gone on with.
//!
//! Every part is written beside its name and renamed when whole; then it is recorded in
//! `_progress.jsonl`. When all are there, `_manifest.json` takes that file's place. Whatever moment
//! a run is killed at, the next one keeps the parts that are recorded and still have their size and
//! checksum, and makes the others again, with the same bytes as an undisturbed run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value};

use super::Converted;
use super::manifest::{self, DONE, Found, KEPT_FAILURES, MANIFEST, PROGRESS, Part, Plan, Progress, TASKS};
use crate::error::{Error, ErrorKind, Result};
use crate::input::{FileKind, Place, Stat};
use crate::options::Phrase;
use crate::reader::{Batches, PartItem};
use crate::sink::atomic::Witness;
use crate::sink::{Format, Sink, SinkOptions, open_part, put_beside_parts};
use crate::source::report::Report;
use crate::source::{ReadOptions, Selection, Source};

/// How a folder of part files is written.
#[derive(Debug)]
pub(super) struct FolderOptions {
    /// The extension of the parts, which names their format: `parquet`, `arrow` ….
    pub(super) extension: String,
    /// How each part is written, and with how many threads. `overwrite` is about the folder: whether a
    /// conversion in it is begun again.
    pub(super) sink: SinkOptions,
    /// Whether a conversion that was begun in the folder is gone on with.
    pub(super) resume: bool,
    /// What else the parts depend on, by name: a resumed run must have the same.
    pub(super) settings: Map<String, Value>,
}

/// Reads all of `source` and writes it to part files in `folder`: one for each partition, or for
/// each [`part_rows`](ReadOptions::part_rows) elements. `_manifest.json` appears when all are whole.
///
/// The parts do not depend on the number of threads, nor on how often the conversion was
/// interrupted. Failures of the parts that are kept are counted in the report as well; of each part
/// the first 10,000 are told of.
///
/// # Errors
/// The source cannot be read or is damaged, a part cannot be written, the folder holds something
/// else, or `resume` is set and input or options are not what they were. Parts that are whole stay.
pub(super) fn convert_to_folder(
    source: &Arc<dyn Source>,
    folder: &Path,
    read: &ReadOptions,
    options: &FolderOptions,
) -> Result<Converted> {
    let start = Instant::now();
    let place = options.sink.place(folder)?;
    let job = Job::new(source, &place, read, options)?;
    let mut whole = job.prepare()?;
    if read.part_rows.is_some() {
        // A part that is missing is made again, and so is what comes after it.
        let first = whole.iter().enumerate().take_while(|(at, part)| *at == part.index).count();
        whole.truncate(first);
    }
    let kept = whole.len();
    let progress = Mutex::new(Progress::begin(&place, &job.plan, &whole)?);
    // What is recorded anew need not be recorded as whole.
    remove(&place.join(MANIFEST))?;
    put_beside_parts(&place, job.format, &source.schema(), &options.sink)?;
    let mut parts = if read.part_rows.is_some() {
        job.by_rows(whole, &progress)?
    } else {
        job.by_partition(whole, &progress)?
    };
    parts.sort_by_key(|part| part.index);
    for part in &parts {
        read.report.add_part(part.rows, part.lost, &part.failures)?;
    }
    drop(progress);
    manifest::finish(&place, &job.plan, &parts)?;
    Ok(Converted {
        rows: parts.iter().map(|p| p.rows).sum(),
        bytes_written: parts.iter().map(|p| p.bytes).sum(),
        parts: Some(parts.len()),
        kept,
        elapsed: start.elapsed(),
        source: source.clone(),
    })
}

struct Job<'a> {
    source: &'a Arc<dyn Source>,
    folder: &'a Place,
    read: &'a ReadOptions,
    options: &'a FolderOptions,
    format: Format,
    plan: Plan,
}

impl<'a> Job<'a> {
    fn new(
        source: &'a Arc<dyn Source>,
        folder: &'a Place,
        read: &'a ReadOptions,
        options: &'a FolderOptions,
    ) -> Result<Self> {
        let format = format_of_parts(&options.extension)?;
        check_parts(source.as_ref(), read, &options.sink)?;
        let settings = manifest::settings(&options.settings, &options.sink, &options.extension);
        let plan = Plan::new(source.as_ref(), read, &settings);
        Ok(Self { source, folder, read, options, format, plan })
    }

    /// Makes the folder ready; returns the parts in it that are whole.
    fn prepare(&self) -> Result<Vec<Part>> {
        let cannot = |e| Error::io("cannot create output folder", e).in_source(self.folder.name());
        if let Some(path) = self.folder.local_path() {
            std::fs::create_dir_all(path).map_err(cannot)?;
        }
        let entries = match self.folder.stat_now()? {
            None => Vec::new(),
            Some(stat) if stat.kind == FileKind::Folder => self.folder.list()?,
            Some(_) => return Err(Error::config("output folder is a file").in_source(self.folder.name())),
        };
        let stats: HashMap<String, Stat> =
            entries.into_iter().map(|(place, stat)| (place.file_name(), stat)).collect();
        let holds = |name: &str| stats.contains_key(name);
        let exists = |what: &str, hint: &'static str| {
            Error::new(ErrorKind::AlreadyExists, what)
                .in_source(self.folder.name())
                .with_hint(Phrase::new(hint))
        };
        let found = match self.options.resume {
            true => manifest::look(self.folder, &self.plan)?,
            false => Found::Nothing,
        };
        let mut whole = Vec::new();
        if let Found::Parts(parts) = found {
            whole = parts;
            // Parts are recorded in any order; each must be there, under the name it would get.
            whole.sort_by_key(|part| part.index);
            whole.dedup_by_key(|part| part.index);
            whole.retain(|part| {
                part.name == self.name(part.index) && part.is_whole(self.folder, stats.get(&part.name))
            });
        } else if !self.options.sink.overwrite {
            if holds(MANIFEST) {
                return Err(exists("output folder holds a conversion already", "pass {overwrite}"));
            }
            if holds(TASKS) {
                let hint = "commit them, or pass {overwrite} to begin again";
                return Err(exists("output folder holds tasks of a plan that were not committed", hint));
            }
            if holds(PROGRESS) {
                let hint = "pass {resume} to go on with it, or {overwrite} to begin again";
                return Err(exists("output folder holds a conversion that was interrupted", hint));
            }
            if !stats.keys().all(|name| is_partial(name)) {
                return Err(exists("output folder is not empty", "pass {overwrite} to write into it"));
            }
        } else {
            remove(&self.folder.join(MANIFEST))?;
        }
        // What is not whole must not be taken for a part: neither by readers nor by us.
        for name in stats.keys() {
            if (is_part(name) || is_partial(name) || is_of_tasks(name))
                && whole.iter().all(|part| part.name != *name)
            {
                remove(&self.folder.join(name))?;
            }
        }
        Ok(whole)
    }

    fn name(&self, index: usize) -> String {
        let of = self.read.part_rows.is_none().then_some(self.source.partitions().len());
        part_name(index, of, &self.options.extension)
    }

    /// The sink of part `index`, and what tells of the part when it is whole if it lies elsewhere.
    fn sink(&self, index: usize, threads: usize) -> Result<(Box<dyn Sink>, Arc<Witness>)> {
        let witness: Arc<Witness> = Arc::default();
        let mut options = self.options.sink.clone().with_overwrite(true).with_threads(threads);
        options.witness = Some(witness.clone());
        Ok((open_part(&self.folder.join(self.name(index)), &self.source.schema(), &options)?, witness))
    }

    /// Ends part `index`, which is whole.
    fn part(&self, index: usize, rows: u64, report: &Report, witness: &Witness) -> Result<Part> {
        end_part(self.folder, self.name(index), (index, rows), report, witness)
    }

    /// Each partition makes a part; several are made at a time.
    fn by_partition(&self, whole: Vec<Part>, progress: &Mutex<Progress>) -> Result<Vec<Part>> {
        let made = |index| whole.iter().any(|part| part.index == index);
        let left: Vec<usize> = (0..self.source.partitions().len()).filter(|index| !made(*index)).collect();
        let workers = self.options.sink.threads.clamp(1, left.len().max(1));
        let threads = (self.options.sink.threads / workers).max(1);
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let read = self.read.clone().in_turn(self.source, left.clone().into_iter());
        let done: Mutex<Vec<(usize, Result<Part>)>> = Mutex::default();
        let work = || {
            while !failed.load(Ordering::Relaxed)
                && let Some(&index) = left.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let result = self.partition(index, &read, threads).and_then(|part| {
                    progress.lock().unwrap_or_else(PoisonError::into_inner).add(&part)?;
                    Ok(part)
                });
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The first failure in the order of the input is the one to tell.
        done.sort_by_key(|(index, _)| *index);
        let mut parts = whole;
        for (_, result) in done {
            parts.push(result?);
        }
        Ok(parts)
    }

    fn partition(&self, index: usize, read: &ReadOptions, threads: usize) -> Result<Part> {
        let report = Arc::new(Report::new(KEPT_FAILURES));
        let read = ReadOptions { report: report.clone(), ..read.clone() };
        let (mut sink, witness) = self.sink(index, threads)?;
        let mut rows = 0;
        for batch in Batches::of_partitions(self.source.clone(), index..index + 1, &read, threads)? {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            sink.write(&batch)?;
        }
        self.plan.check_input(self.source.as_ref(), index)?;
        sink.finish()?;
        self.part(index, rows, &report, &witness)
    }

    /// So many elements make a part; they are made one after the other.
    fn by_rows(&self, mut parts: Vec<Part>, progress: &Mutex<Progress>) -> Result<Vec<Part>> {
        let first = parts.len();
        let elements = (first as u64).saturating_mul(self.read.part_rows.unwrap_or(0));
        let Selection { skip, shard, take } = self.read.selection;
        let stride = shard.map_or(1, |(_, count)| count);
        let selection = Selection {
            skip: skip.saturating_add(elements.saturating_mul(stride)),
            shard,
            take: take.map(|take| take.saturating_sub(elements)),
        };
        let threads = self.options.sink.threads;
        let mut report = Arc::new(Report::new(KEPT_FAILURES));
        let read = ReadOptions { report: report.clone(), selection, ..self.read.clone() };
        let mut batches = Batches::new(self.source.clone(), &read, threads)?;
        let mut sink: Option<(Box<dyn Sink>, Arc<Witness>)> = None;
        let (mut index, mut rows) = (first, 0);
        loop {
            let item = batches.next_item()?;
            match item {
                PartItem::Batch(batch) => {
                    if sink.is_none() {
                        sink = Some(self.sink(index, threads)?);
                    }
                    rows += batch.num_rows() as u64;
                    if let Some((sink, _)) = &mut sink {
                        sink.write(&batch)?;
                    }
                    continue;
                }
                // The last part may be whole already; without any row there is one part.
                PartItem::End if sink.is_none() && report.is_clean() && index > 0 => break,
                PartItem::End | PartItem::EndOfPart => {}
            }
            if matches!(item, PartItem::End) {
                (0..self.source.partitions().len())
                    .try_for_each(|input| self.plan.check_input(self.source.as_ref(), input))?;
            }
            let (open, witness) = sink.take().map_or_else(|| self.sink(index, threads), Ok)?;
            open.finish()?;
            let part = self.part(index, rows, &report, &witness)?;
            progress.lock().unwrap_or_else(PoisonError::into_inner).add(&part)?;
            parts.push(part);
            if matches!(item, PartItem::End) {
                break;
            }
            (index, rows) = (index + 1, 0);
            report = Arc::new(Report::new(KEPT_FAILURES));
            batches.set_report(report.clone());
        }
        Ok(parts)
    }
}

/// The format of part files with this extension.
///
/// # Errors
/// It is that of none.
pub(crate) fn format_of_parts(extension: &str) -> Result<Format> {
    match Format::from_path(&PathBuf::from("part").with_extension(extension))? {
        Format::Npyd => {
            Err(Error::config("a part file cannot be a folder").expected("a file format", "npyd"))
        }
        format => Ok(format),
    }
}

/// Refuses to make part files of `source` in a way that there is not.
///
/// # Errors
/// Rows are chosen or counted where that is not done, or the output is cut twice.
pub(crate) fn check_parts(source: &dyn Source, read: &ReadOptions, sink: &SinkOptions) -> Result<()> {
    if sink.shards.is_some() {
        let what = Phrase::new("{shards} is for one output, and this one is a folder of parts");
        return Err(Error::config(what).with_hint(Phrase::new("pass {rows_per_file} N to cut it")));
    }
    match read.part_rows {
        None if read.selection != Selection::default() => {
            Err(Error::config("rows cannot be chosen where each partition makes a part")
                .with_hint(Phrase::new("pass {rows_per_file} N with {take}, {skip} or {shard}")))
        }
        Some(_) if !source.units_are().cut_by_parts => {
            Err(Error::unsupported(format!("parts of so many rows of {}", source.kind()))
                .with_hint(Phrase::new("leave {rows_per_file} out")))
        }
        _ => Ok(()),
    }
}

/// What the part `index` is called, of so many if that is known beforehand.
pub(crate) fn part_name(index: usize, of: Option<usize>, extension: &str) -> String {
    match of {
        None => format!("part-{index:05}.{extension}"),
        Some(parts) => format!("part-{index:05}-of-{parts:05}.{extension}"),
    }
}

/// Ends a part, which is whole and lies in `folder` as `name`: its number, and how many rows it has.
///
/// # Errors
/// It cannot be read back.
pub(crate) fn end_part(
    folder: &Place,
    name: String,
    (index, rows): (usize, u64),
    report: &Report,
    witness: &Witness,
) -> Result<Part> {
    let place = folder.join(&name);
    let (bytes, crc32c, version) = match (place.local_path(), witness.take()) {
        (Some(path), _) => {
            let cannot = |e| Error::io("cannot write output", e).in_source(place.name());
            std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(cannot)?;
            let (bytes, crc32c) = manifest::checksum(&place)?;
            (bytes, crc32c, None)
        }
        (None, Some(stored)) => (stored.bytes, stored.crc32c, stored.version),
        (None, None) => {
            let (bytes, crc32c) = manifest::checksum(&place)?;
            (bytes, crc32c, None)
        }
    };
    let (lost, failures) = (report.lost(), report.failures());
    Ok(Part { index, name, rows, bytes, crc32c, version, lost, failures })
}

/// Removes a file, if it is there.
pub(crate) fn remove(place: &Place) -> Result<()> {
    place.remove("cannot remove what is left of an earlier run")
}

/// Whether a file of this name is a part.
pub(crate) fn is_part(name: &str) -> bool {
    const DIGITS: usize = 5;
    let rest = name.strip_prefix("part-").unwrap_or_default();
    rest.chars().take_while(char::is_ascii_digit).count() >= DIGITS
}

/// Whether a file of this name is what tasks of a plan tell of themselves.
pub(crate) fn is_of_tasks(name: &str) -> bool {
    name == TASKS || name.strip_prefix(DONE).is_some_and(|rest| rest.ends_with(".json"))
}

/// Whether a file of this name is what a killed run left of a file that was not whole.
pub(crate) fn is_partial(name: &str) -> bool {
    let name = name.strip_prefix('.').filter(|name| name.ends_with(".tmp")).unwrap_or_default();
    is_part(name)
        || [MANIFEST, PROGRESS, TASKS, DONE, "_features.json"].iter().any(|own| name.starts_with(own))
}
