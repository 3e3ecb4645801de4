//! Builders: rows in, Arrow arrays out.

#[cfg(feature = "ndarray")]
pub(crate) mod array;
mod assemble;
pub(crate) mod component;
mod dense;
pub(crate) mod element;
pub(crate) mod encode;
pub(crate) mod feature;
mod leaf;
mod lists;
mod ragged;
pub(crate) mod record;
mod sparse;
pub(crate) mod values;
