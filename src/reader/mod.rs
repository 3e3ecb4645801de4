//! Reading a source as record batches: options, threads, order.

mod batches;
mod builder;
pub mod conformance;
mod rebatch;
mod select;

pub use batches::Batches;
pub use builder::{Reader, ReaderBuilder};
