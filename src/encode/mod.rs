//! The way back: rows of Arrow columns as what TensorFlow reads.

pub(crate) mod element;
pub(crate) mod example;
