//! What moves with time even if nothing else happens.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use parking_lot::Mutex;

use crate::platform::threads;

/// A value that is also looked at every so often, by a thread of its own, until this is dropped.
pub struct Ticking<T> {
    value: Arc<Mutex<T>>,
    /// Ends the ticking when it is dropped.
    ticks: Option<(Sender<()>, JoinHandle<()>)>,
}

impl<T: Send + 'static> Ticking<T> {
    /// Calls `tick` with the value after each `every` from now on. Where no thread can be had,
    /// nothing but [`with`](Self::with) moves it.
    pub fn new(value: T, every: Duration, tick: fn(&mut T)) -> Self {
        let value = Arc::new(Mutex::new(value));
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let ours = Arc::clone(&value);
        let ticking = std::thread::Builder::new()
            .name("live".to_owned())
            .spawn(move || {
                loop {
                    let heard = {
                        let _waits = threads::waits("the next second");
                        stopped.recv_timeout(every)
                    };
                    match heard {
                        Err(RecvTimeoutError::Timeout) => tick(&mut ours.lock()),
                        _ => return,
                    }
                }
            });
        Self {
            value,
            ticks: ticking.ok().map(|thread| (stop, thread)),
        }
    }

    /// Looks at the value, or changes it.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.value.lock())
    }
}

impl<T> Drop for Ticking<T> {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticks.take() {
            drop(stop);
            // One that panicked has nothing more to show.
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ticks_until_it_is_dropped() {
        let (sender, ticks) = crossbeam_channel::unbounded();
        let ticking = Ticking::new((0, sender), Duration::from_millis(1), |(count, sender)| {
            *count += 1;
            sender.send(*count).ok();
        });
        for expected in 1..=3 {
            let limit = Duration::from_secs(20);
            assert_eq!(ticks.recv_timeout(limit), Ok(expected));
        }
        assert!(ticking.with(|(count, _)| *count) >= 3);
        drop(ticking);
        // Its sender is gone with it: nothing can come any more.
        while ticks.try_recv().is_ok() {}
        assert!(ticks.recv().is_err());
    }
}
