//! Work on numbered samples, on all cores.
//!
//! Numbers are handed out in order, one to each thread when it becomes free. So threads never work far apart,
//! which suits data that are read from a file. Results do not depend on the number of threads, and of several
//! errors the one with the smallest number is reported.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::error::{Error, Result};

/// Gives each thread a state, and hands out the numbers of a range to the threads. For states whose sum does
/// not depend on which thread did what.
pub fn by_worker<S: Send>(
    range: Range<usize>,
    fresh: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(range.start);
    let workers = rayon::current_num_threads().min(range.len());
    let states: Vec<Result<S, (usize, Error)>> = (0..workers)
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut state = fresh();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= range.end {
                    return Ok(state);
                }
                if let Err(error) = work(&mut state, index) {
                    // All smaller numbers have been handed out, so an error in one of them will be found.
                    next.fetch_max(range.end, Ordering::Relaxed);
                    return Err((index, error));
                }
            }
        })
        .collect();
    let (mut whole, mut first) = (Vec::with_capacity(workers), None::<(usize, Error)>);
    for state in states {
        match state {
            Ok(state) => whole.push(state),
            Err(error) if first.as_ref().is_none_or(|first| error.0 < first.0) => first = Some(error),
            Err(_) => {}
        }
    }
    match first {
        Some((_, error)) => Err(error),
        None => Ok(whole),
    }
}

/// The results for the numbers of a range, in their order. Each thread has its own working memory.
pub fn in_order<M: Send, T: Send>(
    range: Range<usize>,
    memory: impl Fn() -> M + Sync,
    work: impl Fn(&mut M, usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let fresh = || (memory(), Vec::new());
    let states = by_worker(range, fresh, |(memory, results), index| {
        results.push((index, work(memory, index)?));
        Ok(())
    })?;
    let mut results: Vec<(usize, T)> = states.into_iter().flat_map(|(_, results)| results).collect();
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Adds up results in the order of their numbers, for sums that round. At any time, only a few results wait
/// for one before them.
pub fn fold<T: Send, A: Send>(
    range: Range<usize>,
    start: A,
    work: impl Fn(usize) -> Result<T> + Sync,
    add: impl Fn(&mut A, T) + Sync,
) -> Result<A> {
    let sum = Mutex::new((range.start, BTreeMap::new(), start));
    by_worker(
        range,
        || (),
        |(), index| {
            let result = work(index)?;
            let (next, waiting, sum) = &mut *sum.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.insert(index, result);
            while let Some(result) = waiting.remove(next) {
                add(sum, result);
                *next += 1;
            }
            Ok(())
        },
    )?;
    Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner).2)
}

/// At most `most` samples, spread evenly over the data set, because data are often sorted.
pub fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> + Clone {
    let count = len.min(most);
    (0..count).map(move |i| i * len / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools() -> impl Iterator<Item = rayon::ThreadPool> {
        [1, 2, 7].into_iter().map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap())
    }

    #[test]
    fn results_have_the_order_of_the_numbers() {
        for pool in pools() {
            let slow = |index: usize| {
                std::thread::sleep(std::time::Duration::from_micros((index as u64 * 37) % 100));
                Ok(index)
            };
            let ordered = pool.install(|| in_order(3..200, || (), |(), index| slow(index))).unwrap();
            assert_eq!(ordered, (3..200).collect::<Vec<_>>());
            let folded = pool.install(|| fold(3..200, Vec::new(), slow, Vec::push)).unwrap();
            assert_eq!(folded, ordered);
            assert!(pool.install(|| in_order(5..5, || (), |(), index| slow(index))).unwrap().is_empty());
        }
    }

    #[test]
    fn the_first_error_is_reported() {
        for pool in pools() {
            let work = |index: usize| match index % 10 {
                9 => Err(Error::input(format!("{index}"))),
                _ => Ok(()),
            };
            let error = pool.install(|| fold(0..100, (), work, |(), ()| ())).unwrap_err();
            assert_eq!(error.message, "9");
        }
    }
}
