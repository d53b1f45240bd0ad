//! Work on many things at once, told of in their order.
//!
//! A job of a pool never waits for another job of the same pool, so these are threads of their
//! own, as many as there are processors, which end with the call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::platform::panic::{self, Panicked};

/// So many results may wait for one before them.
const AHEAD: usize = 64;

/// Does `work` for each of the numbers below `count`, several at once, and calls `done` on this
/// thread with each result in the order of the numbers, as early as that allows. A panic is the
/// result of its own piece of work alone.
pub(super) fn each_in_order<R: Send>(
    name: &str,
    count: usize,
    work: impl Fn(usize) -> R + Sync,
    mut done: impl FnMut(usize, Result<R, Panicked>),
) {
    let most = thread::available_parallelism().map_or(1, usize::from);
    if most.min(count) < 2 {
        (0..count).for_each(|number| done(number, panic::contain(|| work(number))));
        return;
    }
    let next = AtomicUsize::new(0);
    let (sender, results) = crossbeam_channel::bounded(AHEAD);
    let run = |sender: crossbeam_channel::Sender<(usize, Result<R, Panicked>)>| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            // The one who listens stays until all are done.
            sender.send((number, panic::contain(|| work(number)))).ok();
        }
    };
    thread::scope(|scope| {
        let run = &run;
        for thread in 1..=most.min(count) {
            let sender = sender.clone();
            let builder = thread::Builder::new().name(format!("{name}-{thread}"));
            // Where no thread is to be had, this one does what is left.
            drop(builder.spawn_scoped(scope, move || run(sender)));
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut turn = 0;
        for (number, result) in &results {
            early.insert(number, result);
            while let Some(result) = early.remove(&turn) {
                done(turn, result);
                turn += 1;
            }
        }
        // No thread at all could be started.
        while turn < count {
            let number = turn;
            done(number, panic::contain(|| work(number)));
            turn += 1;
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_first() {
        for count in [0, 1, 2, 7, 300] {
            let mut heard = Vec::new();
            each_in_order(
                "test",
                count,
                |number| number * 2,
                |number, result| {
                    heard.push((number, result.unwrap()));
                },
            );
            let all: Vec<_> = (0..count).map(|number| (number, number * 2)).collect();
            assert_eq!(heard, all);
        }
    }

    #[test]
    fn two_are_at_work_at_once() {
        if thread::available_parallelism().map_or(1, usize::from) < 2 {
            return;
        }
        let (met, came) = (Mutex::new(0), Condvar::new());
        let meet = |_| {
            let mut met = met.lock().unwrap();
            *met += 1;
            came.notify_all();
            let limit = std::time::Duration::from_secs(20);
            let alone = came.wait_timeout_while(met, limit, |met| *met < 2);
            !alone.unwrap().1.timed_out()
        };
        let mut both = Vec::new();
        each_in_order("test", 2, meet, |_, result| both.push(result.unwrap()));
        assert_eq!(both, [true, true]);
    }

    #[test]
    fn a_panic_is_the_result_of_its_own_work() {
        let mut heard = Vec::new();
        let work = |number: usize| {
            assert!(number != 2, "two is too much");
            number
        };
        each_in_order("test", 5, work, |number, result| {
            heard.push(result.map_err(|panicked| (number, panicked.message)));
        });
        let two = Err((2, "two is too much".to_owned()));
        assert_eq!(heard, [Ok(0), Ok(1), two, Ok(3), Ok(4)]);
    }
}
