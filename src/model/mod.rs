//! Ask for a reply, get a stream.
//!
//! The one hard rule: a reply counts as finished only when its source said so. What ended for any
//! other reason is partial: it is kept, and never taken for the whole (HAZARDS.md H16).

mod anthropic;
mod ask;
mod base;
mod choose;
mod chunk;
mod command;
mod ending;
mod endpoint;
mod explain;
mod failure;
mod fetch;
mod hear;
mod http;
mod openai;
mod picture;
mod plain;
mod refusal;
mod reply;
mod retry;
pub mod sse;
mod think;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::Receiver;
use serde::{Deserialize, Serialize};

pub use choose::{NAMES, Said, choose, provider};
pub use command::render;
pub use endpoint::{
    Chosen, Dialect, Endpoint, Key, Limits, MaxTokensField, Program, RESERVE_DEFAULT, Words,
};
pub use failure::{Kind, ModelError};
pub use fetch::{PAGE_BYTES_MAX, Page, fetch};
pub use picture::Picture;

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
    /// An HTTP endpoint.
    Endpoint(Endpoint),
    /// A program that reads the prompt and prints the reply.
    Command(Program),
}

impl Provider {
    /// Whether the answer is there already, so that nobody is shown the context.
    pub fn is_shown_nothing(&self) -> bool {
        matches!(self, Self::Literal | Self::ReplyFile(_) | Self::ReplyInput)
    }

    /// The word for people, JSON and the conversation.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Literal => "literal",
            Self::ReplyFile(_) | Self::ReplyInput => "reply",
            Self::Endpoint(endpoint) => endpoint.name,
            Self::Command(_) => "command",
        }
    }
}

/// One piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More text of the reply.
    Text(String),
    /// More of what the model thinks: shown apart, and no part of the reply.
    Thinking(String),
    /// What is being done or waited for.
    Phase(Phase),
    /// The source said that the reply is over; nothing follows.
    Finished(Finished),
    /// There is no whole reply; nothing follows. What came before is partial.
    Failed(ModelError),
}

/// What a stream is doing, told when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Being connected to this host (or, for a command, started).
    Connecting {
        /// The host and port, or the command.
        host: String,
    },
    /// The request was sent; nothing of the reply has come.
    Waiting,
    /// The reply's first piece has come.
    Streaming,
    /// Bytes arrive, but only keep-alives; repeated while it lasts.
    KeepAlives {
        /// How long nothing else has come.
        silent: Duration,
    },
    /// The request failed before anything of the reply came, and is sent again after `delay`.
    Retrying {
        /// The number of the attempt that follows, from 2.
        attempt: u32,
        /// How many attempts there are at most.
        max: u32,
        /// How long it waits before.
        delay: Duration,
        /// The HTTP status, if there was one.
        status: Option<u16>,
        /// What went wrong.
        kind: Kind,
        /// The same for people.
        message: String,
    },
    /// The first provider failed before anything of the reply came; another is asked.
    Fallback {
        /// Its description.
        to: String,
        /// Why the first failed.
        error: ModelError,
    },
    /// A command says something on its standard error.
    CommandSays {
        /// One line, without terminal sequences.
        words: String,
    },
    /// Something that a person should know, with a stable code.
    Warning {
        /// The stable word.
        code: &'static str,
        /// For people.
        message: String,
    },
}

/// How the source said that a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done.
    Stop,
    /// The model reached a limit of length: the reply is cut off.
    Length,
    /// The reply was filtered or refused: nothing of it is to be built.
    Refused,
    /// The stream was closed in order but no reason was given: complete if no block is left open.
    UnmarkedEnd,
}

impl Finish {
    /// The word in JSON: `stop`, `length`, `content_filter`, `unmarked_end`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Refused => "content_filter",
            Self::UnmarkedEnd => "unmarked_end",
        }
    }
}

/// What a reply cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the prompt.
    pub input: u64,
    /// Of the reply, thinking included.
    pub output: u64,
    /// Whether we counted, because the endpoint did not say.
    pub estimated: bool,
}

/// The end of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub finish: Finish,
    /// What it cost; `None` if nobody counts (`reply`, `command`).
    pub usage: Option<Usage>,
    /// For the conversation: `reply:FILE SHA256`, `openai:MODEL`, `command:PROGRAM`.
    pub provenance: String,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules and the context.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The word in a request.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a request. Serialised as OpenAI's dialect has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
    /// What is shown with it.
    pub pictures: Vec<Picture>,
}

impl Message {
    /// A message of text alone.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            pictures: Vec::new(),
        }
    }
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The conversation; the system message first, roles alternating after it.
    pub messages: Vec<Message>,
    /// How many tokens that is, roughly (`context::estimate_tokens`); 0 if nobody counted.
    pub estimate: u64,
    /// The plan's name, for a command.
    pub plan: String,
    /// The branch's name, for a command.
    pub branch: String,
}

impl fmt::Debug for Request {
    /// Without the messages: they are long, and nobody's business in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("messages", &self.messages.len())
            .field("estimate", &self.estimate)
            .finish_non_exhaustive()
    }
}

/// How much of a stream may wait unread: its source is then not read on.
const BUFFERED: usize = 64;

/// Starts the stream of the reply that `chosen` gives to `request`.
///
/// A thread named "reply" reads it; setting `cancel` ends it, also in the middle of a blocked read.
/// It then ends without a word. In any other case the last delta is `Finished` or `Failed`.
/// [`Provider::Literal`] streams nothing at all.
///
/// Fails only if the stream cannot be started; whatever an endpoint does comes as a delta.
pub fn stream(chosen: &Chosen, request: &Request, cancel: &Cancel) -> Result<Receiver<Delta>> {
    let (sender, receiver) = crossbeam_channel::bounded(BUFFERED);
    match &chosen.provider {
        Provider::Literal => {}
        Provider::ReplyFile(path) => reply::from_file(path, cancel, sender)?,
        Provider::ReplyInput => reply::from_stdin(cancel, sender)?,
        Provider::Endpoint(_) | Provider::Command(_) => {
            ask::start(chosen, request, cancel, sender)?;
        }
    }
    Ok(receiver)
}

/// Waits until a stream that was called off is over: until its command has ended, with all that it
/// started. Bounded by what ending a command takes at most.
pub fn wait_for_end(chosen: &Chosen, deltas: &Receiver<Delta>) {
    if !matches!(chosen.provider, Provider::Command(_)) {
        // A connection that was shut leaves nothing behind.
        return;
    }
    let end = Instant::now() + Duration::from_secs(3);
    while deltas.recv_deadline(end).is_ok() {}
}
