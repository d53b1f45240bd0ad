//! Signals as events: one named thread turns them into calls of one closure.
//!
//! A signal never runs code of ours in the middle of a write transaction: INT, TERM and HUP only
//! set a flag, and TSTP stops the process from the signal thread, after the caller's closure has
//! made sure that no transaction is open (HAZARDS.md H25, H34).

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

impl Drop for Watch {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic in the closure was printed by its own thread.
            drop(thread.join());
        }
    }
}

/// Calls `heard` for each signal, from a thread named "signals".
pub fn watch(mut heard: impl FnMut(Signal) + Send + 'static) -> Result<Watch> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP]).context("installing signal handlers")?;
    let handle = signals.handle();
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
