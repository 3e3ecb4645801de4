//! Reading a source as record batches: options, threads, order.

mod batches;
mod builder;
pub mod conformance;
mod made;
mod open;
mod rebatch;
mod select;
mod settings;

pub use batches::Batches;
pub(crate) use batches::PartItem;
pub use builder::ReaderBuilder;
pub use open::{ArrowReader, Reader, read};
