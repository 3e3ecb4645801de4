//! Reading a source as record batches: options, threads, order.

mod batches;
mod builder;
pub mod conformance;
mod made;
mod open;
mod rebatch;
mod select;
mod settings;
mod stored;

pub use batches::Batches;
pub(crate) use batches::PartItem;
pub use builder::ReaderBuilder;
pub use open::{ArrowReader, Reader, read};
pub(crate) use stored::{not_planned, of_reading};
