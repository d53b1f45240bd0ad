//! A prompt becomes pending changes.
//!
//! The one hard rule: nothing here touches the project's files. A tell reads them, builds new
//! contents from the reply's edits, and leaves those pending in the plan; only `apply` writes.

pub mod ask;
pub mod briefing;
mod build;
mod due;
pub mod edits;
mod event;
mod fix;
mod group;
pub mod history;
mod lines;
mod listen;
mod outcome;
mod parallel;
mod patch;
pub mod pending;
mod place;
mod rebuild;
mod record;
mod repair;
pub mod reply;
mod report;
pub mod rewind;
mod run;
mod sheet;
mod stale;
mod summary;
mod tell;
mod twins;

#[cfg(test)]
mod tests;

pub use build::{BuiltFile, FailedFile, Op};
pub use event::{Event, FileStatus, Recorded};
pub use rebuild::rebuild;
pub use repair::repair;
pub use report::Report;
pub use summary::{Summarized, summarize};
pub use tell::{Answer, Building, Prompt, Task, Tell, TellError, Told, tell};
