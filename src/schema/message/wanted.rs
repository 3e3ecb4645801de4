//! Which parts of a message are asked for.

use crate::schema::{Projection, is_under};

/// The columns that are asked for, by path. A path may end within a list of messages: then the structs
/// have these fields alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a>(pub(super) &'a Projection);

impl<'a> Wanted<'a> {
    /// Whether the part at `path`, or a part of it, is asked for.
    pub(super) fn part(self, path: &str) -> bool {
        let covers = |name: &str| name == path || is_under(path, name);
        let excluded = self.0.exclude.iter().any(|name| covers(name));
        let asked = |columns: &Vec<String>| columns.iter().any(|name| covers(name) || is_under(name, path));
        !excluded && self.0.columns.as_ref().is_none_or(asked)
    }

    /// Where the column at `path` stands among those asked for.
    pub(super) fn rank(self, path: &str) -> usize {
        let columns = self.0.columns.as_deref().unwrap_or_default();
        let concerns = |name: &String| name == path || is_under(path, name) || is_under(name, path);
        columns.iter().position(concerns).unwrap_or(0)
    }

    /// What is asked for or excluded.
    pub(super) fn names(self) -> impl Iterator<Item = &'a String> {
        self.0.columns.iter().flatten().chain(&self.0.exclude)
    }
}
