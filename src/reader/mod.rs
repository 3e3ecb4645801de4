//! Reading a source as record batches: options, threads, order.

mod batches;
mod builder;
pub mod conformance;
mod made;
mod open;
mod rebatch;
pub(crate) mod remainder;
mod select;
mod settings;

pub use batches::Batches;
pub(crate) use batches::PartItem;
pub use builder::ReaderBuilder;
pub use open::Reader;
