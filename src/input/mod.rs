//! Where bytes come from: local files, memory, streams that can be read once, and stores of others.
//!
//! Everything that is read of a user's data is read through this module; nothing outside of it
//! opens, lists or stats a path. A [`Store`] is a place where files lie. Implement it, and every
//! kind of input, folders and globs included, can be read from there: give it to
//! [`ReaderBuilder::with_store`](crate::ReaderBuilder::with_store).
//! `examples/own_store.rs` implements one in twenty lines.
//!
//! What a store that answers slowly may add: [`ReadAt::open_sequential`], a stream that reads ahead,
//! for what is read from its beginning to its end; [`ReadAt::will_read`], told of what is read next in
//! several places; [`ReadAt::read_ahead`], told of a file that is read after another;
//! [`Store::openings`], so that many files are opened side by side. An error that is a
//! [`tfarrow::Error`](crate::Error) inside keeps its kind and hint, and so does a [`StoreError`].

mod forward;
mod kept;
mod local;
mod memory;
mod names;
mod once;
mod place;
mod several;
mod stores;
mod turns;

pub use tfarrow_store::{Entry, FileKind, Hint, ReadAt, Stat, Store, StoreError, Upload, Written};

pub(crate) use self::forward::Forward;
pub(crate) use self::local::open as open_local;
pub(crate) use self::memory::Memory;
pub use self::names::IntoInputs;
pub(crate) use self::names::{Names, expand_folder};
pub(crate) use self::place::{Input, Opened, Place};
pub(crate) use self::several::{side_by_side, side_by_side_of};
pub(crate) use self::stores::Stores;
pub use self::stores::{is_url, shown, takes_store_key};
pub(crate) use self::turns::{Expect, Stretch, Turns};

/// What is said of a file whose length changed.
pub(crate) fn changed(expected: u64, found: u64) -> String {
    format!("the file changed while it was read: expected {expected} bytes, found {found}")
}
