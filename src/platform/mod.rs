//! This machine: files that last, locks the kernel keeps, clocks, processes, signals.
//!
//! The one hard rule: what differs between operating systems lives here and nowhere else, and so
//! does every call whose misuse loses data (rename without a sync, a wall clock in a lease, a
//! lock whose descriptor leaks into a child). Rooms above name these doors, never the calls.

pub mod bell;
pub mod cancel;
pub mod clock;
pub mod crash;
pub mod detached;
pub mod digest;
pub mod file;
pub mod file_lock;
pub mod fs_type;
pub mod log;
pub mod panic;
pub mod process;
pub mod root;
pub mod signal;
pub mod snapshot;
pub mod stdin;
#[cfg(test)]
pub mod stopping;
pub mod terminal;
pub mod threads;
pub mod touch;
pub mod wait;
