//! Signals as events: one named thread turns them into calls of one closure.
//!
//! A signal never runs code of ours in the middle of a write transaction: INT, TERM and HUP only
//! set a flag, and TSTP stops the process from the signal thread, after the caller's closure has
//! made sure that no transaction is open (HAZARDS.md H25, H34).
//!
//! A handler cannot be taken back: a signal that nobody watches for any more would do nothing. So
//! the thread outlives its watch, and from then on does what would have happened without one: a
//! command that only prints by then, into a pipe that nobody reads, still ends.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

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
    /// Ctrl-\\.
    Quit,
    /// SIGUSR2: whatever the program makes of it.
    User2,
}

const NUMBERS: [(Signal, i32); 6] = [
    (Signal::Interrupt, SIGINT),
    (Signal::Terminate, SIGTERM),
    (Signal::HangUp, SIGHUP),
    (Signal::Suspend, SIGTSTP),
    (Signal::Quit, SIGQUIT),
    (Signal::User2, SIGUSR2),
];

/// What every operation listens to.
const USUAL: [Signal; 4] = [
    Signal::Interrupt,
    Signal::Terminate,
    Signal::HangUp,
    Signal::Suspend,
];

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

/// How many watches there are in this process, and how many there have been: the thread of the
/// last one sees to the signals that nobody watches for.
static LIVING: AtomicUsize = AtomicUsize::new(0);
static BEGUN: AtomicUsize = AtomicUsize::new(0);

impl Drop for Watch {
    fn drop(&mut self) {
        let mut ear = self.ear.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = ear.take();
        drop(ear);
        LIVING.fetch_sub(1, Ordering::SeqCst);
        drop(heard);
    }
}

/// Calls `heard` for each INT, TERM, HUP and TSTP, from a thread named "signals".
pub fn watch(heard: impl FnMut(Signal) + Send + 'static) -> Result<Watch> {
    watch_these(&USUAL, heard)
}

/// Calls `heard` for each of the signals `wanted`, from a thread named "signals", which also answers
/// SIGUSR1 with what each thread waits for: never from the handler, and without stopping anything.
///
/// A signal that this process was started to ignore (`nohup`, `command &` in a script) stays
/// ignored, by it and by the programs that it runs.
pub fn watch_these(wanted: &[Signal], heard: impl FnMut(Signal) + Send + 'static) -> Result<Watch> {
    let ignored = ignored();
    let numbers = NUMBERS
        .iter()
        .filter(|(signal, number)| wanted.contains(signal) && !is_in(ignored, *number))
        .map(|(_, number)| number)
        .chain([&SIGUSR1]);
    let mut signals = Signals::new(numbers).context("installing signal handlers")?;
    let ear: Arc<Ear> = Arc::new(Mutex::new(Some(Box::new(heard))));
    let theirs = Arc::clone(&ear);
    LIVING.fetch_add(1, Ordering::SeqCst);
    let nth = BEGUN.fetch_add(1, Ordering::SeqCst) + 1;
    let watch = Watch { ear };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            // For as long as the process lives.
            for number in signals.forever() {
                // Once, however many watches there were.
                if number == SIGUSR1 && nth == BEGUN.load(Ordering::SeqCst) {
                    log::asked(&threads::report());
                }
                if let Some((signal, _)) = NUMBERS.iter().find(|(_, known)| *known == number) {
                    tell(&theirs, nth, *signal, number);
                }
            }
        })
        .context("starting the signal thread")?;
    Ok(watch)
}

fn tell(ear: &Ear, nth: usize, signal: Signal, number: i32) {
    // A closure that panicked has said so itself.
    let mut ear = ear.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(heard) = ear.as_mut() {
        heard(signal);
        return;
    }
    drop(ear);
    let is_last = BEGUN.load(Ordering::SeqCst) == nth && LIVING.load(Ordering::SeqCst) == 0;
    match signal {
        _ if !is_last => {}
        Signal::Interrupt | Signal::Terminate | Signal::HangUp => exit_now(128 + number),
        Signal::Suspend => stop_self(),
        Signal::Quit => end_by(signal),
        // Asked of a command that is over by now.
        Signal::User2 => {}
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

/// The signals that this process ignores, a bit each, as the kernel lists them; none where it does
/// not.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

fn ignored_in(status: &str) -> u64 {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .unwrap_or_default();
    u64::from_str_radix(mask.trim(), 16).unwrap_or_default()
}

fn is_in(mask: u64, number: i32) -> bool {
    let bit = u32::try_from(number - 1).unwrap_or(u32::MAX);
    1_u64.checked_shl(bit).is_some_and(|bit| mask & bit != 0)
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

/// Ends this process as `signal` would without a handler.
pub fn end_by(signal: Signal) {
    if let Some((_, number)) = NUMBERS.iter().find(|(known, _)| *known == signal) {
        // It fails only for signals that have no default, and none of ours is one.
        drop(signal_hook::low_level::emulate_default_handler(*number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_is_ignored() {
        // SIGHUP is 1, SIGINT 2, SIGPIPE 13.
        let mask = ignored_in("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n");
        assert!(is_in(mask, SIGHUP) && is_in(mask, 13));
        assert!(!is_in(mask, SIGINT) && !is_in(mask, SIGTERM));
        assert_eq!(ignored_in("SigIgn:\tnonsense\n"), 0);
        assert_eq!(ignored_in(""), 0);
    }

    #[test]
    fn a_thread_hears_each_signal_that_is_wanted() {
        let (said, heard) = std::sync::mpsc::channel();
        let watch =
            watch_these(&[Signal::User2], move |signal| said.send(signal).unwrap()).unwrap();
        signal_hook::low_level::raise(SIGUSR2).unwrap();
        let limit = std::time::Duration::from_secs(10);
        assert_eq!(heard.recv_timeout(limit), Ok(Signal::User2));
        drop(watch);
    }
}
