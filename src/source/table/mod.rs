//! Arrow IPC files, Arrow IPC streams and Parquet files: those that tfarrow wrote give back what was
//! read then, element spec included. Of those by others, columns of tensors are brought to the types
//! that tfarrow has, and all others are given as they are.
//!
//! Parts of a file are read in order and decoded on any thread: record batches of Arrow, row groups
//! of Parquet. Neither format has checksums of its data: what is damaged so that it still decodes is
//! not seen.

mod batches;
mod columns;
#[cfg(feature = "parquet")]
mod encryption;
#[cfg(feature = "parquet")]
mod footer;
mod ipc;
#[cfg(feature = "parquet")]
mod parquet;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;

pub(crate) use self::batches::{ArrowData, ArrowSource};
use self::columns::TablePlan;
use self::ipc::IpcTable;
#[cfg(feature = "parquet")]
use self::parquet::ParquetTable;
use super::guard::no_panic;
use super::options::OpenOptions;
#[cfg(feature = "parquet")]
use super::parquet_file::ParquetFile;
use super::planned::{Learnt, Planned, PlannedPart};
use super::{
    Cardinality, Decoded, InputFile, Partition, PartitionRange, Progress, ReadOptions, Source, Unit, Units,
    UnitsAre,
};
use crate::error::{Error, Result};
use crate::input::{Input, side_by_side};
use crate::tf::spec::ElementSpec;

/// What kind of table a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    IpcFile,
    IpcStream,
    Parquet,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::IpcFile => "Arrow IPC files",
            Kind::IpcStream => "Arrow IPC streams",
            Kind::Parquet => "Parquet files",
        }
    }

    /// What it is called in metadata.
    fn short_name(self) -> &'static str {
        match self {
            Kind::IpcFile | Kind::IpcStream => "arrow",
            Kind::Parquet => "parquet",
        }
    }
}

/// A part of a file.
struct Part {
    range: PartitionRange,
    rows: u64,
    bytes: u64,
}

/// Files of a table, all of one kind and with the same columns.
#[derive(Debug)]
pub(crate) struct TableSource {
    kind: Kind,
    options: OpenOptions,
    /// The schema of the first file.
    file_schema: SchemaRef,
    shared: Arc<Shared>,
    partitions: Vec<Partition>,
    rows: u64,
}

#[derive(Debug)]
struct Shared {
    plan: TablePlan,
    files: Vec<File>,
    /// Where each partition is: the file, and which part of it.
    parts: Vec<(usize, usize)>,
}

#[derive(Debug)]
enum File {
    Ipc(IpcTable),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetTable>),
}

impl File {
    fn open(input: &Input, kind: Kind, options: &OpenOptions) -> Result<Self> {
        match kind {
            Kind::IpcFile => IpcTable::open_file(input, options.max_record_bytes).map(File::Ipc),
            Kind::IpcStream => IpcTable::open_stream(input, options.max_record_bytes).map(File::Ipc),
            #[cfg(feature = "parquet")]
            Kind::Parquet => ParquetTable::open(input).map(|table| File::Parquet(Box::new(table))),
            #[cfg(not(feature = "parquet"))]
            Kind::Parquet => {
                Err(Error::unsupported("Parquet input").with_hint("build tfarrow with the feature `parquet`"))
            }
        }
    }

    fn schema(&self) -> &SchemaRef {
        match self {
            File::Ipc(table) => table.schema(),
            #[cfg(feature = "parquet")]
            File::Parquet(table) => table.schema(),
        }
    }

    /// Every part.
    fn parts(&self) -> Vec<Part> {
        match self {
            File::Ipc(table) => table.parts(),
            #[cfg(feature = "parquet")]
            File::Parquet(table) => table.parts(),
        }
    }

    /// Makes parts of these ranges, in place of those that there are; gives their numbers.
    ///
    /// # Errors
    /// A range is none of such a file.
    fn cut(&mut self, ranges: &[&PartitionRange]) -> Result<Vec<usize>> {
        match self {
            File::Ipc(table) => table.cut(ranges),
            #[cfg(feature = "parquet")]
            File::Parquet(table) => table.groups(ranges),
        }
    }

    /// Parts of the part `part` of about `part_bytes`, where that can be cut; else none.
    fn parts_within(&self, part: usize, part_bytes: Option<u64>) -> Vec<Part> {
        match (self, part_bytes) {
            (File::Ipc(table), Some(bytes)) => table.parts_within(part, bytes),
            // A row group is one part.
            _ => Vec::new(),
        }
    }

    /// The same file, of which these columns only are read.
    fn project(&self, columns: &[usize]) -> Result<Self> {
        Ok(match self {
            File::Ipc(table) => File::Ipc(table.project(columns)?),
            #[cfg(feature = "parquet")]
            File::Parquet(table) => File::Parquet(Box::new(table.project(columns))),
        })
    }
}

/// Opens `inputs`, which are tables of this kind.
///
/// # Errors
/// A file is damaged or has other columns than the first one, or an option does not fit it.
pub(crate) fn open(inputs: &[Input], kind: Kind, options: &OpenOptions) -> Result<TableSource> {
    let mut files = open_files(inputs, kind, options)?;
    let first = files.first().ok_or_else(|| Error::config("no input is named"))?;
    let file_schema = first.schema().clone();
    let plan = plan(&file_schema, &files, inputs, kind, options)?;
    let (mut partitions, mut parts, mut rows) = (Vec::new(), Vec::new(), 0u64);
    for (index, (file, input)) in files.iter_mut().zip(inputs).enumerate() {
        *file = file.project(plan.read()).map_err(|e| e.in_source(input.name()))?;
        let own = file.parts();
        let several = own.len() > 1;
        let state = InputFile::of(input);
        for (part, own) in own.into_iter().enumerate() {
            let range = if several { own.range } else { PartitionRange::All };
            let name = if several { format!("{}#{part}", input.name()).into() } else { input.name() };
            let partition = Partition::new(name, vec![state.clone()]).with_rows(Some(own.rows));
            partitions.push(partition.with_range(range, Some(own.bytes)));
            parts.push((index, part));
            rows = rows.saturating_add(own.rows);
        }
    }
    let (options, shared) = (options.clone(), Arc::new(Shared { plan, files, parts }));
    Ok(TableSource { kind, options, file_schema, shared, partitions, rows })
}

fn open_files(inputs: &[Input], kind: Kind, options: &OpenOptions) -> Result<Vec<File>> {
    side_by_side(inputs, |input| {
        let open = no_panic("damaged file", || File::open(input, kind, options));
        open.map_err(|e| e.in_source(input.name()))
    })
}

/// Plans the columns of `files`, which must all be of `schema`.
fn plan(
    schema: &SchemaRef,
    files: &[File],
    inputs: &[Input],
    kind: Kind,
    options: &OpenOptions,
) -> Result<TablePlan> {
    for (file, input) in files.iter().zip(inputs) {
        columns::check_same(schema, file.schema()).map_err(|e| e.in_source(input.name()))?;
    }
    TablePlan::new(schema, options, kind.short_name())
        .map_err(|e| e.in_source(inputs.first().map_or_else(|| "".into(), Input::name)))
}

/// Opens `partitions` of tables of this kind, the first of which is of `schema`.
///
/// # Errors
/// As [`open`], or a partition is no part of its file.
pub(crate) fn open_parts(
    kind: Kind,
    schema: &SchemaRef,
    partitions: &[Partition],
    options: &OpenOptions,
) -> Result<TableSource> {
    let mut inputs: Vec<Input> = Vec::new();
    let mut of: Vec<(usize, Vec<&PartitionRange>)> = Vec::new();
    for partition in partitions {
        let input = partition.inputs.first().and_then(InputFile::input);
        let input = input.ok_or_else(|| Error::corrupt("a part of a table is of one file"))?;
        if inputs.last().is_none_or(|last| last.name() != input.name()) {
            inputs.push(input.clone());
            of.push((inputs.len() - 1, Vec::new()));
        }
        if let Some((_, ranges)) = of.last_mut() {
            ranges.push(&partition.range);
        }
    }
    let mut files = open_files(&inputs, kind, options)?;
    let plan = plan(schema, &files, &inputs, kind, options)?;
    let mut parts = Vec::new();
    for (file, (index, ranges)) in files.iter_mut().zip(of) {
        let in_file = |e: Error| e.in_source(partition_name(&inputs, index));
        *file = file.project(plan.read()).map_err(in_file)?;
        let own = file.cut(&ranges).map_err(in_file)?;
        parts.extend(own.into_iter().map(|part| (index, part)));
    }
    let rows = partitions.iter().filter_map(|partition| partition.rows).fold(0, u64::saturating_add);
    let (options, shared) = (options.clone(), Arc::new(Shared { plan, files, parts }));
    let (file_schema, partitions) = (schema.clone(), partitions.to_vec());
    Ok(TableSource { kind, options, file_schema, shared, partitions, rows })
}

fn partition_name(inputs: &[Input], index: usize) -> Arc<str> {
    inputs.get(index).map_or_else(|| "".into(), Input::name)
}

impl TableSource {
    /// The number of rows, as the files say it.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

impl Source for TableSource {
    fn kind(&self) -> &str {
        self.kind.name()
    }

    fn element_spec(&self) -> &ElementSpec {
        self.shared.plan.element_spec()
    }

    fn schema(&self) -> SchemaRef {
        self.shared.plan.schema().clone()
    }

    fn cardinality(&self) -> Cardinality {
        Cardinality::Known(self.rows)
    }

    fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    fn units_are(&self) -> UnitsAre {
        UnitsAre { varying: true, ..UnitsAre::default() }
    }

    fn project(&self, columns: &[&str]) -> Result<Arc<dyn Source>> {
        let options = self.options.projected(columns)?;
        let Shared { files, parts, .. } = self.shared.as_ref();
        let plan = TablePlan::new(&self.file_schema, &options, self.kind.short_name())?;
        let files = files.iter().map(|file| file.project(plan.read())).collect::<Result<Vec<_>>>()?;
        let shared = Arc::new(Shared { plan, files, parts: parts.clone() });
        let (file_schema, partitions) = (self.file_schema.clone(), self.partitions.clone());
        Ok(Arc::new(Self { kind: self.kind, options, file_schema, shared, partitions, rows: self.rows }))
    }

    fn in_order(&self, partition: usize) -> Vec<(InputFile, Range<u64>)> {
        let place = self.shared.parts.get(partition);
        let file = place.and_then(|(file, part)| Some((self.shared.files.get(*file)?, *part)));
        match file {
            Some((File::Ipc(table), part)) => vec![table.in_order(part)],
            _ => Vec::new(),
        }
    }

    fn planned(&self, part_bytes: Option<u64>) -> Result<Option<Planned>> {
        let parts = self.partitions.iter().zip(&self.shared.parts).flat_map(|(partition, (file, part))| {
            let own = match self.shared.files.get(*file) {
                Some(file) if part_bytes.is_some_and(|most| partition.bytes.is_some_and(|b| b > most)) => {
                    file.parts_within(*part, part_bytes)
                }
                _ => Vec::new(),
            };
            if own.len() < 2 {
                return vec![PlannedPart::of(partition)];
            }
            let file = partition.inputs.first().map_or_else(|| "".into(), |input| input.name.clone());
            let cut = |own: Part| {
                let name = format!("{file}{}", own.range);
                let cut = Partition::new(name, partition.inputs.clone()).with_rows(Some(own.rows));
                PlannedPart::of(&cut.with_range(own.range, Some(own.bytes)))
            };
            own.into_iter().map(cut).collect()
        });
        let learnt = Learnt::Table { kind: self.kind, schema: self.file_schema.clone() };
        Ok(Some(Planned { learnt, parts: parts.collect() }))
    }

    fn units(&self, partitions: Range<usize>, options: &ReadOptions) -> Result<Box<dyn Units>> {
        let end = partitions.end.min(self.partitions.len());
        Ok(Box::new(TableUnits {
            shared: self.shared.clone(),
            next: partitions.start.min(end),
            end,
            pieces: None,
            #[cfg(feature = "parquet")]
            announced: None,
            options: options.clone(),
        }))
    }
}

/// The first stage: reads the bytes of batches; row groups are read where they are decoded.
struct TableUnits {
    shared: Arc<Shared>,
    next: usize,
    end: usize,
    /// What is left of the partition at hand.
    pieces: Option<ipc::Blocks>,
    /// The row group that comes next, which is fetched while others are decoded.
    #[cfg(feature = "parquet")]
    announced: Option<ParquetFile>,
    options: ReadOptions,
}

impl TableUnits {
    fn cut(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(blocks) = &mut self.pieces {
                if let Some(block) = blocks.next_block(&self.options.progress)? {
                    return Ok(Some(Piece::Block(block)));
                }
                self.pieces = None;
            }
            if self.next >= self.end {
                return Ok(None);
            }
            let place = self.shared.parts.get(self.next).copied();
            self.next += 1;
            let Some((file, part)) = place else { return Ok(None) };
            match self.shared.files.get(file) {
                Some(File::Ipc(table)) => self.pieces = Some(table.blocks(part, &self.options)?),
                #[cfg(feature = "parquet")]
                Some(File::Parquet(table)) => {
                    let announced = self.announced.take().or_else(|| table.announced(part));
                    self.announced = self.announce();
                    return Ok(Some(Piece::RowGroup { file, group: part, announced }));
                }
                None => return Ok(None),
            }
        }
    }
}

#[cfg(feature = "parquet")]
impl TableUnits {
    /// Announces the row group that comes next.
    fn announce(&self) -> Option<ParquetFile> {
        let (file, group) = self.shared.parts.get(self.next..self.end)?.first()?;
        match self.shared.files.get(*file)? {
            File::Parquet(table) => table.announced(*group),
            File::Ipc(_) => None,
        }
    }
}

impl Units for TableUnits {
    fn next_unit(&mut self) -> Result<Option<Box<dyn Unit>>> {
        let cut = self.cut();
        if !matches!(cut, Ok(Some(_))) {
            self.next = self.end;
            self.pieces = None;
            #[cfg(feature = "parquet")]
            {
                self.announced = None;
            }
        }
        let unit = |piece| TableUnit { shared: self.shared.clone(), piece, options: self.options.clone() };
        Ok(cut?.map(|piece| Box::new(unit(piece)) as Box<dyn Unit>))
    }
}

enum Piece {
    Block(ipc::Block),
    #[cfg(feature = "parquet")]
    RowGroup {
        file: usize,
        group: usize,
        announced: Option<ParquetFile>,
    },
    #[cfg(feature = "parquet")]
    Rest(parquet::GroupReader),
}

/// The second stage: a record batch of Arrow, or a row group of Parquet.
struct TableUnit {
    shared: Arc<Shared>,
    piece: Piece,
    options: ReadOptions,
}

impl TableUnit {
    /// Gives the next batches; returns what is left.
    fn decode_piece(
        piece: Piece,
        shared: &Shared,
        options: &ReadOptions,
        emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<Option<Piece>> {
        #[cfg(feature = "parquet")]
        let mut group = match piece {
            Piece::Block(block) => {
                let batches = shared.plan.apply(&block.decode()?).map_err(|e| block.place(e))?;
                batches.into_iter().try_for_each(emit)?;
                return Ok(None);
            }
            Piece::RowGroup { file, group, announced } => match shared.files.get(file) {
                Some(File::Parquet(table)) => table.group(group, announced, options)?,
                _ => return Ok(None),
            },
            Piece::Rest(group) => group,
        };
        #[cfg(not(feature = "parquet"))]
        {
            let _ = options;
            let Piece::Block(block) = piece;
            let batches = shared.plan.apply(&block.decode()?).map_err(|e| block.place(e))?;
            batches.into_iter().try_for_each(emit)?;
            Ok(None)
        }
        #[cfg(feature = "parquet")]
        {
            let mut bytes = 0;
            while let Some(batch) = group.next_batch()? {
                bytes += batch.get_array_memory_size();
                let batches = shared.plan.apply(&batch).map_err(|e| group.place(e))?;
                batches.into_iter().try_for_each(&mut *emit)?;
                if bytes >= parquet::DECODED_BYTES {
                    return Ok(Some(Piece::Rest(group)));
                }
            }
            Ok(None)
        }
    }
}

impl Unit for TableUnit {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(Decoded) -> Result<()>) -> Result<Option<Box<dyn Unit>>> {
        let Self { shared, piece, options } = *self;
        let mut failed = None;
        let result = {
            let emit = &mut |batch: RecordBatch| match emit(batch.into()) {
                Ok(()) => Ok(()),
                // Whoever takes the batches has failed, not the file.
                Err(error) => {
                    failed = Some(error);
                    Err(Error::config("stopped"))
                }
            };
            Self::decode_piece(piece, &shared, &options, emit)
        };
        if let Some(error) = failed {
            return Err(error);
        }
        match result {
            Ok(rest) => Ok(rest.map(|piece| Box::new(Self { shared, piece, options }) as Box<dyn Unit>)),
            // What is left of the batch or row group is lost, and counts as one record.
            Err(error) if options.on_error.tolerates(&error) => {
                if options.on_error.keeps_rows() {
                    let schema = shared.plan.schema();
                    let nulls = schema.fields().iter().map(|field| new_null_array(field.data_type(), 1));
                    emit(RecordBatch::try_new(schema.clone(), nulls.collect())?.into())?;
                }
                emit(error.into())?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Counts bytes that were read.
fn count(progress: &Progress, bytes: u64) {
    progress.add_bytes(bytes);
}

#[cfg(test)]
mod tests;
