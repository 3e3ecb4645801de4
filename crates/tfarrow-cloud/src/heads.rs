//! Beginnings of objects, kept from when they were looked at to when they are read.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use tfarrow_store::Stat;

/// Bytes that are kept of all together.
const KEPT_BYTES: usize = 16 << 20;
/// What is kept of each when that is too little: by so much most files are recognised.
const SHORT_BYTES: usize = 4 << 10;

/// Beginnings, by name and version.
#[derive(Default)]
pub(crate) struct Heads {
    heads: HashMap<String, (Stat, Bytes)>,
    /// The names of those that are long, and of those that were cut short, the latest last. A name that is
    /// kept anew is there more than once.
    long: VecDeque<String>,
    short: VecDeque<String>,
    bytes: usize,
}

impl Heads {
    /// Keeps how `name` begins; then of earlier ones less is kept, or nothing.
    pub(crate) fn keep(&mut self, name: &str, stat: &Stat, head: Bytes) {
        self.forget(name);
        self.bytes += head.len();
        let names = if head.len() > SHORT_BYTES { &mut self.long } else { &mut self.short };
        names.push_back(name.to_owned());
        self.heads.insert(name.to_owned(), (stat.clone(), head));
        while self.bytes > KEPT_BYTES {
            // The latest is read next.
            if self.long.len() > 1
                && let Some(name) = self.long.pop_front()
            {
                self.shorten(name);
            } else if let Some(name) = self.short.pop_front() {
                self.forget(&name);
            } else {
                return;
            }
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some((_, head)) = self.heads.remove(name) {
            self.bytes -= head.len();
        }
    }

    fn shorten(&mut self, name: String) {
        let Some((_, head)) = self.heads.get_mut(&name) else { return };
        if let Some(short) = head.get(..SHORT_BYTES) {
            self.bytes -= head.len() - SHORT_BYTES;
            // A part of it would keep all of it.
            *head = Bytes::copy_from_slice(short);
            self.short.push_back(name);
        }
    }

    /// How `name` begins in this version, if that is kept.
    pub(crate) fn of(&self, name: &str, stat: &Stat) -> Option<Bytes> {
        self.heads.get(name).filter(|(of, _)| of == stat).map(|(_, head)| head.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_less_is_kept_and_of_more_nothing() {
        let mut heads = Heads::default();
        let stat = Stat::file(1 << 20);
        let head = |number: usize| Bytes::from(vec![u8::try_from(number).unwrap_or(u8::MAX); 64 << 10]);
        for number in 0..20_000 {
            heads.keep(&number.to_string(), &stat, head(number));
            assert!(heads.bytes <= KEPT_BYTES);
        }
        let found = |number: usize| heads.of(&number.to_string(), &stat).map(|head| head.len());
        assert_eq!(found(19_999), Some(64 << 10));
        assert_eq!(found(18_000), Some(SHORT_BYTES));
        assert_eq!(found(0), None);
        assert!(heads.of("18000", &stat).unwrap() == head(18_000).slice(..SHORT_BYTES));
        assert!(heads.of("19999", &Stat::file(5)).is_none());
        // A small one that is kept again and again takes no more room.
        for _ in 0..10 {
            heads.keep("small", &stat, Bytes::from_static(b"x"));
        }
        let held: usize = heads.heads.values().map(|(_, head)| head.len()).sum();
        assert_eq!(held, heads.bytes);
    }
}
