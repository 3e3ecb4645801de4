//! Object stores and web servers as places that tfarrow reads from and writes to: `s3://`, `gs://`,
//! `az://`, `abfss://`, `https://` and `http://`.
//!
//! Nobody needs to call this crate: tfarrow does, built with its feature `cloud`. It is the one place
//! where there are asynchronous tasks. Two threads of the process wait for the network ([`runtime`]
//! tells of forks); everything else blocks, as files do.
//!
//! * Requests are tried again beneath `object_store`, so that `Retry-After` is heeded and tries are
//!   counted (`service`).
//! * What is read in order is fetched before, through a window of requests (`window`); footers and
//!   beginnings are fetched as pieces that are kept (`object`), and what was announced side by side
//!   (`announced`).
//! * Every request says which version of the object it means, and every answer is looked at for it.
//! * No URL of a request and no value of an option is shown: there may be secrets in them (`failure`).
//!
//! [`runtime`]: self

mod announced;
mod bucket;
mod failure;
mod heads;
mod in_flight;
mod object;
mod options;
mod runtime;
mod service;
mod store;
mod upload;
mod window;

use std::sync::Arc;

use tfarrow_store::Store;

pub use options::{StoreOptions, is_key, known_keys, schemes, takes_key};
pub use service::requests;
pub use upload::give_up_uploads;

/// The store that names of `scheme` lie in; none if no scheme of this name leads to one. Nothing is
/// asked for yet, and environment variables are read when the first file is.
#[must_use]
pub fn store(scheme: &str, options: &StoreOptions) -> Option<Arc<dyn Store>> {
    let kind = options::Kind::of(scheme)?;
    Some(Arc::new(store::CloudStore::new(kind, scheme, options.clone())))
}
