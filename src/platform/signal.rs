//! Signals as events: one named thread turns them into calls of one closure.
//!
//! A signal never runs code of ours in the middle of a write transaction: INT, TERM and HUP only
//! set a flag, and TSTP stops the process from the signal thread, after the caller's closure has
//! made sure that no transaction is open (HAZARDS.md H25, H34).
//!
//! A handler cannot be taken back: a signal that nobody watches for any more would do nothing. So
//! after the last watch a thread of its own does what would have happened without one: a command
//! that only prints by then, into a pipe that nobody reads, still ends.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::{Handle, Signals};

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

/// Keeps the watch alive; dropping it ends the thread.
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How many watches there are.
static WATCHES: AtomicUsize = AtomicUsize::new(0);

impl Drop for Watch {
    fn drop(&mut self) {
        // Before this one hears nothing any more, so that no signal falls between the two.
        end_unwatched();
        WATCHES.fetch_sub(1, Ordering::SeqCst);
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in the closure was printed by its own thread.
            drop(thread.join());
        }
    }
}

/// From the end of the first watch on, whatever is heard while there is none ends the process (or
/// stops it, for Ctrl-Z).
fn end_unwatched() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP]) else {
            // As it was without this: the signals are heard by nobody.
            return;
        };
        let thread = std::thread::Builder::new().name("last signals".to_owned());
        let begun = thread.spawn(move || {
            for signal in signals.forever() {
                match signal {
                    _ if WATCHES.load(Ordering::SeqCst) > 0 => {}
                    SIGTSTP => stop_self(),
                    signal => exit_now(128 + signal),
                }
            }
        });
        drop(begun);
    });
}

/// Calls `heard` for each signal, from a thread named "signals".
pub fn watch(mut heard: impl FnMut(Signal) + Send + 'static) -> Result<Watch> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP]).context("installing signal handlers")?;
    let handle = signals.handle();
    WATCHES.fetch_add(1, Ordering::SeqCst);
    let thread = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGINT => heard(Signal::Interrupt),
                    SIGTERM => heard(Signal::Terminate),
                    SIGHUP => heard(Signal::HangUp),
                    _ => heard(Signal::Suspend),
                }
            }
        })
        .context("starting the signal thread")?;
    Ok(Watch {
        handle,
        thread: Some(thread),
    })
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
