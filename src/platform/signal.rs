//! Signals as events: one named thread turns them into calls of one closure.
//!
//! A signal never runs code of ours in the middle of a write transaction: INT, TERM and HUP only
//! set a flag, and TSTP stops the process from the signal thread, after the caller's closure has
//! made sure that no transaction is open (HAZARDS.md H25, H34).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};

use super::{log, threads};

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

/// Keeps SIGUSR1 from ending this process: somebody asks what it waits for, and a command that has
/// no [`watch`] has no answer. A handler, not "ignored", which programs started here would inherit.
pub fn survive_questions() -> Result<()> {
    // The flag is read by nobody: it is the smallest handler there is.
    signal_hook::flag::register(SIGUSR1, Arc::new(AtomicBool::new(false)))
        .context("installing the handler of SIGUSR1")?;
    Ok(())
}

/// Calls `heard` for each signal, from a thread named "signals".
pub fn watch(mut heard: impl FnMut(Signal) + Send + 'static) -> Result<Watch> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGUSR1])
        .context("installing signal handlers")?;
    let handle = signals.handle();
    let thread = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGINT => heard(Signal::Interrupt),
                    SIGTERM => heard(Signal::Terminate),
                    SIGHUP => heard(Signal::HangUp),
                    // Printed from here, never from the handler, and nothing is stopped by it.
                    SIGUSR1 => log::asked(&threads::report()),
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
