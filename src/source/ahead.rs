//! Where partitions are read in order, the next ones are begun while one is read.

use std::ops::Range;
use std::sync::Arc;

use super::records::Piece;
use super::{InputFile, ReadOptions, Source};
use crate::input::{Expect, Input, Stretch, Turns};

impl ReadOptions {
    /// With what is told of the `partitions` of `source`, which are read in about this order: as they are,
    /// unless files of it take a while to answer.
    pub(crate) fn in_turn(
        self,
        source: &Arc<dyn Source>,
        partitions: impl Iterator<Item = usize> + Send + 'static,
    ) -> Self {
        let asked = source.clone();
        self.with_turns(first_of(source.as_ref()), || {
            partitions.flat_map(move |partition| stretches(asked.in_order(partition)))
        })
    }

    /// As [`in_turn`](Self::in_turn), with all partitions.
    pub(crate) fn all_in_turn(self, source: &dyn Source) -> Self {
        self.with_turns(first_of(source), || {
            let partitions = 0..source.partitions().len();
            let all: Vec<_> =
                partitions.flat_map(|partition| stretches(source.in_order(partition))).collect();
            all.into_iter()
        })
    }

    /// As [`in_turn`](Self::in_turn), with pieces of files that are looked at in this order, and read later.
    pub(crate) fn sampling(self, pieces: &[Piece], expect: Option<Expect>) -> Self {
        let first = pieces.first().map(Piece::in_order).unwrap_or_default();
        let with = self.with_turns(first.first().map(|(file, _)| file), || {
            let all: Vec<_> = pieces.iter().flat_map(|piece| stretches(piece.in_order())).collect();
            all.into_iter()
        });
        let turns = with.turns.and_then(Arc::into_inner).map(|turns| turns.keeping(expect));
        Self { turns: turns.map(Arc::new), ..with }
    }

    fn with_turns<I: Iterator<Item = Stretch> + Send + 'static>(
        mut self,
        first: Option<&InputFile>,
        stretches: impl FnOnce() -> I,
    ) -> Self {
        let answers_slowly = first.and_then(InputFile::input).is_some_and(|input| input.openings() > 1);
        if self.turns.is_none() && answers_slowly {
            self.turns = Some(Arc::new(Turns::new(stretches())));
        }
        self
    }
}

fn first_of(source: &dyn Source) -> Option<&InputFile> {
    source.partitions().iter().find_map(|partition| partition.inputs.first())
}

fn stretches(read: Vec<(InputFile, Range<u64>)>) -> impl Iterator<Item = Stretch> {
    read.into_iter().filter_map(|(file, range)| Some((file.input()?.clone(), range)))
}

/// All of `inputs`, whose length is known.
pub(crate) fn whole<'a>(inputs: impl Iterator<Item = &'a Input>) -> Vec<(InputFile, Range<u64>)> {
    let files = inputs.map(InputFile::of);
    files.filter_map(|file| file.bytes.map(|bytes| (file, 0..bytes))).collect()
}
