//! Which kinds of input and of output heed an option: lists that the table names.

use super::{InputKind, OutputKind};

pub(super) const ANY: &[InputKind] = InputKind::ALL;
pub(super) const RECORDS: &[InputKind] =
    &[InputKind::Examples, InputKind::RawRecords, InputKind::Messages, InputKind::Elwc, InputKind::Events];
pub(super) const MESSAGES: &[InputKind] = &[InputKind::Messages];
/// Features whose types are learnt, or said.
pub(super) const EXAMPLES: &[InputKind] = &[InputKind::Examples, InputKind::Elwc];
/// What has classes by name.
pub(super) const CLASSES: &[InputKind] = &[InputKind::Messages, InputKind::Tfds];
pub(super) const TFDS: &[InputKind] = &[InputKind::Tfds];
pub(super) const PIPELINE: &[InputKind] = &[InputKind::Pipeline];
/// Elements with a structure of their own.
pub(super) const ELEMENTS: &[InputKind] =
    &[InputKind::Saved, InputKind::Cache, InputKind::Elements, InputKind::Pipeline];
/// Elements whose parts may have parts.
pub(super) const STRUCTURED: &[InputKind] = &[
    InputKind::Messages,
    InputKind::Events,
    InputKind::Tfds,
    InputKind::Saved,
    InputKind::Elements,
    InputKind::Pipeline,
];
/// Elements that can be cut into slices.
pub(super) const BATCHED: &[InputKind] = &[InputKind::Saved, InputKind::Cache, InputKind::Pipeline];
/// What is learnt from values.
pub(super) const INFERRED: &[InputKind] =
    &[InputKind::Examples, InputKind::Elwc, InputKind::Events, InputKind::Saved, InputKind::Cache];
/// Whatever becomes columns here; tables have columns already.
pub(super) const MAPPED: &[InputKind] = &[
    InputKind::Examples,
    InputKind::Elwc,
    InputKind::Tfds,
    InputKind::Saved,
    InputKind::Cache,
    InputKind::Elements,
    InputKind::Pipeline,
];
/// Whose bytes can be read as text.
pub(super) const TEXTS: &[InputKind] = &[
    InputKind::Examples,
    InputKind::Messages,
    InputKind::Elwc,
    InputKind::Tfds,
    InputKind::Saved,
    InputKind::Cache,
    InputKind::Elements,
    InputKind::Pipeline,
];
pub(super) const STORED: &[InputKind] = &[
    InputKind::Examples,
    InputKind::RawRecords,
    InputKind::Messages,
    InputKind::Elwc,
    InputKind::Events,
    InputKind::Tfds,
    InputKind::Saved,
    InputKind::Cache,
    InputKind::ArrowTable,
    InputKind::ParquetTable,
];
/// Records that have lengths and checksums.
pub(super) const FRAMED: &[InputKind] = &[
    InputKind::Examples,
    InputKind::RawRecords,
    InputKind::Messages,
    InputKind::Elwc,
    InputKind::Events,
    InputKind::Tfds,
    InputKind::Saved,
    InputKind::Cache,
];

/// Files of rows, with what stands before and behind them in a list.
macro_rules! files {
    ([$($before:ident)?] $($after:ident)*) => {
        &[
            $(OutputKind::$before,)?
            OutputKind::Parquet,
            OutputKind::IpcFile,
            OutputKind::IpcStream,
            OutputKind::Npy,
            OutputKind::Npz,
            OutputKind::Npyd,
            OutputKind::TfRecord,
            OutputKind::Saved,
            $(OutputKind::$after,)*
        ]
    };
}

/// Files that can be parts in a folder, and what else there is of parts.
macro_rules! parts {
    ($($after:ident)*) => {
        &[
            OutputKind::Parquet,
            OutputKind::IpcFile,
            OutputKind::IpcStream,
            OutputKind::Npy,
            OutputKind::Npz,
            OutputKind::TfRecord,
            $(OutputKind::$after,)*
        ]
    };
}

/// Outputs of rows.
pub(super) const ROWS: &[OutputKind] = files!([Batches] Head Report Plan);
/// Outputs of rows that are made at once.
pub(super) const HERE: &[OutputKind] = files!([Batches] Head Report);
/// Outputs of rows, and the columns alone.
pub(super) const COLUMNS: &[OutputKind] = files!([Batches] Head Report Schema Plan);
/// Whatever has or counts rows.
pub(super) const COUNTED: &[OutputKind] = files!([Batches] Head Report Schema Count Plan);
pub(super) const EVERYTHING: &[OutputKind] = OutputKind::ALL;
/// Outputs that are files or folders.
pub(super) const FILES: &[OutputKind] = files!([]);
/// Outputs that may be there already.
pub(super) const REPLACED: &[OutputKind] = files!([] Report Plan);
/// Files that can be parts in a folder.
pub(super) const WRITTEN: &[OutputKind] = parts!();
/// The same, and what says which parts there will be.
pub(super) const PARTS: &[OutputKind] = parts!(Plan);
pub(super) const COMPRESSED: &[OutputKind] = &[
    OutputKind::Parquet,
    OutputKind::IpcFile,
    OutputKind::IpcStream,
    OutputKind::Npz,
    OutputKind::TfRecord,
    OutputKind::Saved,
];
pub(super) const NUMPY: &[OutputKind] = &[OutputKind::Npy, OutputKind::Npz, OutputKind::Npyd];
pub(super) const TFRECORD: &[OutputKind] = &[OutputKind::TfRecord];
