//! A prompt becomes pending changes.
//!
//! The one hard rule: nothing here touches the project's files. A tell reads them, builds new
//! contents from the reply's edits, and leaves those pending in the plan; only `apply` writes.

pub mod ask;
pub mod briefing;
mod build;
pub mod edits;
mod event;
pub mod history;
mod listen;
pub mod pending;
mod record;
mod repair;
pub mod reply;
mod tell;

pub use build::{BuiltFile, FailedFile, Op};
pub use event::{Event, FileStatus, Recorded};
pub use repair::repair;
pub use tell::{Answer, Prompt, Tell, TellError, Told, tell};
