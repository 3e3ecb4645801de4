//! Sources in parts: what opening one learnt, and parts of it that can be read on their own, as data
//! that can be sent elsewhere. A source that is opened of such parts recognises and learns nothing,
//! and opens nothing but what these name.

mod features;
mod json;
mod learnt;
mod open;

use std::fmt;

pub(crate) use self::json::{Object, Reading, changed, invalid, schema_from_text, schema_to_text};
pub(crate) use self::learnt::{DescriptorFile, Features, Learnt, LearntTfds, RecordsIn, RecordsOf};
pub(crate) use self::open::open;
use super::Partition;

/// A source as data.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What its parts have in common.
    pub(crate) learnt: Learnt,
    /// All of it, in the order of its rows.
    pub(crate) parts: Vec<PlannedPart>,
}

/// A part of a source, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPart {
    /// Where it lies, and what is known of it.
    pub(crate) partition: Partition,
    /// Its number of elements, where that is known: rows, unless an element makes any number of them.
    pub(crate) elements: Option<u64>,
    /// The number of its first element among the source's, as far as elements have numbers.
    pub(crate) first_element: u64,
    /// Whether its file must end after it.
    pub(crate) to_end: bool,
}

impl PlannedPart {
    /// A partition whose rows are its elements.
    pub(crate) fn of(partition: &Partition) -> Self {
        Self { elements: partition.rows, partition: partition.clone(), first_element: 0, to_end: false }
    }
}

impl fmt::Display for PlannedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.partition.name)
    }
}
