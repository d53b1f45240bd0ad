//! Ask for a reply, get a stream.
//!
//! The one hard rule: a reply counts as finished only when its source said so. What ended for any
//! other reason is partial: it is kept, and never taken for the whole (HAZARDS.md H16).

mod reply;

use std::path::PathBuf;

use anyhow::Result;
use crossbeam_channel::Receiver;

use crate::platform::cancel::Cancel;

/// Where a reply comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    /// No model: the edits are taken from the message itself. It streams nothing.
    Literal,
    /// A file that holds the reply.
    ReplyFile(PathBuf),
    /// Standard input brings the reply.
    ReplyInput,
}

impl Provider {
    /// The word for people, JSON and the conversation.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Literal => "literal",
            Self::ReplyFile(_) | Self::ReplyInput => "reply",
        }
    }
}

/// One piece of a stream.
#[derive(Debug)]
pub enum Delta {
    /// More text.
    Text(String),
    /// The reply is whole. `provenance` says where it came from, with its SHA-256.
    Finished {
        /// For the conversation: `reply:<file> <sha256>`.
        provenance: String,
    },
    /// The source failed; what came before is partial.
    Failed(anyhow::Error),
}

/// How much of a stream may wait unread: its source is then not read on.
const BUFFERED: usize = 64;

/// Starts the stream of `provider`'s reply. A thread named "reply" reads it; setting `cancel` ends
/// it, also in the middle of a blocked read.
pub fn stream(provider: &Provider, cancel: &Cancel) -> Result<Receiver<Delta>> {
    let (sender, receiver) = crossbeam_channel::bounded(BUFFERED);
    match provider {
        Provider::Literal => {}
        Provider::ReplyFile(path) => reply::from_file(path, cancel, sender)?,
        Provider::ReplyInput => reply::from_stdin(cancel, sender)?,
    }
    Ok(receiver)
}
