//! Where partitions are read in order, the next ones are begun while one is read.

use std::sync::Arc;

use super::{InputFile, ReadOptions, Source};
use crate::input::{Input, Stretch, Turns};

impl ReadOptions {
    /// With what is told of the `partitions` of `source`, which are read in about this order: as they are,
    /// unless files of it take a while to answer.
    pub(crate) fn in_turn(
        mut self,
        source: &Arc<dyn Source>,
        partitions: impl Iterator<Item = usize> + Send + 'static,
    ) -> Self {
        if self.turns.is_none() && answers_slowly(source.as_ref()) {
            let source = source.clone();
            let stretches = partitions.flat_map(move |partition| stretches(source.as_ref(), partition));
            self.turns = Some(Arc::new(Turns::new(stretches)));
        }
        self
    }

    /// As [`in_turn`](Self::in_turn), with all partitions.
    pub(crate) fn all_in_turn(mut self, source: &dyn Source) -> Self {
        if self.turns.is_none() && answers_slowly(source) {
            let all: Vec<_> =
                (0..source.partitions().len()).flat_map(|partition| stretches(source, partition)).collect();
            self.turns = Some(Arc::new(Turns::new(all.into_iter())));
        }
        self
    }
}

/// Whether it takes a while until a file answers.
fn answers_slowly(source: &dyn Source) -> bool {
    let first = source.partitions().iter().find_map(|partition| partition.inputs.first());
    first.and_then(InputFile::input).is_some_and(|input| input.openings() > 1)
}

fn stretches(source: &dyn Source, partition: usize) -> Vec<Stretch> {
    let read = source.in_order(partition).into_iter();
    read.filter_map(|(file, range)| Some((file.input()?.clone(), range))).collect()
}

/// All of `inputs`, whose length is known.
pub(crate) fn whole<'a>(inputs: impl Iterator<Item = &'a Input>) -> Vec<(InputFile, std::ops::Range<u64>)> {
    let files = inputs.map(InputFile::of);
    files.filter_map(|file| file.bytes.map(|bytes| (file, 0..bytes))).collect()
}
