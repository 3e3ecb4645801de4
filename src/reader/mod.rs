//! Reading a source as record batches: options, threads, order.

mod batches;
mod builder;
mod rebatch;

pub use batches::Batches;
pub use builder::{Reader, ReaderBuilder};
