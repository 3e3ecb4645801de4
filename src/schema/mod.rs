//! The plan: which Arrow column each component of an element becomes.

pub(crate) mod mapping;
