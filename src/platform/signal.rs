//! Signals as events: one named thread turns them into calls of one closure.
//!
//! A signal never runs code of ours in the middle of a write transaction: INT, TERM and HUP only
//! set a flag, and TSTP stops the process from the signal thread, after the caller's closure has
//! made sure that no transaction is open (HAZARDS.md H25, H34).
//!
//! A handler cannot be taken back: a signal that nobody watches for any more would do nothing. So
//! the thread outlives its watch, and from then on does what would have happened without one: a
//! command that only prints by then, into a pipe that nobody reads, still ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

/// A signal that a person or the system sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// `kill`.
    Terminate,
    /// The terminal went away.
    HangUp,
    /// Ctrl-Z.
    Suspend,
}

/// Who hears the signals of a watch; nobody once it is over.
type Ear = Mutex<Option<Box<dyn FnMut(Signal) + Send>>>;

/// Keeps the watch alive; dropping it ends it, after the call that may be going on.
#[must_use]
pub struct Watch {
    ear: Arc<Ear>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// How many watches there are in this process.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

impl Drop for Watch {
    fn drop(&mut self) {
        let heard = self
            .ear
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        WATCHES.fetch_sub(1, Ordering::SeqCst);
        drop(heard);
    }
}

/// Calls `heard` for each signal, from a thread named "signals".
pub fn watch(heard: impl FnMut(Signal) + Send + 'static) -> Result<Watch> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP]).context("installing signal handlers")?;
    let ear: Arc<Ear> = Arc::new(Mutex::new(Some(Box::new(heard))));
    let theirs = Arc::clone(&ear);
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            // For as long as the process lives.
            for number in signals.forever() {
                tell(&theirs, number);
            }
        })
        .context("starting the signal thread")?;
    WATCHES.fetch_add(1, Ordering::SeqCst);
    Ok(Watch { ear })
}

fn tell(ear: &Ear, number: i32) {
    let signal = match number {
        SIGINT => Signal::Interrupt,
        SIGTERM => Signal::Terminate,
        SIGHUP => Signal::HangUp,
        _ => Signal::Suspend,
    };
    // A closure that panicked has said so itself.
    let mut ear = ear.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(heard) = ear.as_mut() {
        heard(signal);
        return;
    }
    drop(ear);
    // Another watch may have begun since; then it is that one's to hear.
    if WATCHES.load(Ordering::SeqCst) == 0 {
        match signal {
            Signal::Suspend => stop_self(),
            Signal::Interrupt | Signal::Terminate | Signal::HangUp => exit_now(128 + number),
        }
    }
}

/// Stops this process as Ctrl-Z would; returns when it is continued.
pub fn stop_self() {
    // SIGSTOP cannot fail for the process itself.
    drop(signal_hook::low_level::emulate_default_handler(SIGTSTP));
}

/// Ends this process at once, running no destructor: for the second Ctrl-C.
pub fn exit_now(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}
