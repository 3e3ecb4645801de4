//! Several inputs at a time, where each takes a while to answer.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Input;
use crate::error::Result;

/// Does the same with every input, of several at a time where their store wants that, and gives what
/// came of it in order.
///
/// # Errors
/// The first one, in the order of the inputs, that `f` gives.
pub(crate) fn side_by_side<T: Send>(
    inputs: &[Input],
    f: impl Fn(&Input) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    side_by_side_of(inputs, |input| input, f)
}

/// As [`side_by_side`], with what has an input each.
///
/// # Errors
/// As there.
pub(crate) fn side_by_side_of<I: Sync, T: Send>(
    inputs: &[I],
    input_of: fn(&I) -> &Input,
    f: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let openings = inputs.iter().map(|input| input_of(input).openings()).max();
    at_a_time(openings.unwrap_or(1), inputs, f)
}

/// Does the same with every item, with `most` at a time, and gives what came of it in order.
///
/// # Errors
/// The first one, in the order of the items, that `f` gives.
pub(super) fn at_a_time<I: Sync, T: Send>(
    most: usize,
    items: &[I],
    f: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let workers = most.min(items.len());
    if workers <= 1 {
        return items.iter().map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            let result = f(item);
            let failed = result.is_err();
            done.push((at, result));
            if failed {
                // What comes later need not be tried.
                next.fetch_add(items.len(), Ordering::Relaxed);
            }
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for thread in threads {
            match thread.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
