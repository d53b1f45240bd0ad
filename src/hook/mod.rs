//! What an agent's sessions leave: a line for each start and each end, in `logs/` of its project.
//!
//! The one hard rule: a session is never held up and never loses a line to another. Each entry is one
//! append of one whole line below an exclusive lock on the log itself, the lock that the hook's
//! Python ancestor took, so both may write to one file; a lock that somebody keeps for longer than a
//! second is done without. Nothing is asked of the host but its JSON, and none of its fields must be
//! there.

mod capture;
mod experiment;
mod git;
mod read;
mod session;
mod settings;
mod write;

#[cfg(test)]
mod tests;

pub use capture::{Captured, Event, INPUT_MAX, Surroundings, capture, is_whole};
pub use read::{Entries, read_logs};
pub use settings::{Change, Commands, Whose, install, uninstall};
pub use write::{Appended, LOCK_WAIT, write_log_entry_atomic};
