//! Builders: rows in, Arrow arrays out.

pub(crate) mod assemble;
pub(crate) mod component;
mod dense;
pub(crate) mod element;
pub(crate) mod elwc;
mod encoded;
pub(crate) mod event;
pub(crate) mod feature;
mod image;
mod leaf;
mod lists;
pub(crate) mod message;
pub(crate) mod nested;
mod ragged;
pub(crate) mod record;
mod slot;
mod sparse;
mod steps;
mod transform;
pub(crate) mod values;
