//! Where a reply is asked for, as values: made by [`super::choose()`], or by a test.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Number;

use super::Provider;
use crate::config::Secret;
use crate::store::ratios::EVEN;

/// The provider of a run, who chose it, and what else was set for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Whom to ask.
    pub provider: Provider,
    /// What decided it: "--provider", "PLANDEX_COMMAND", "OPENROUTER_API_KEY", a file's path, …
    pub source: String,
    /// What should be said about the choice before it is used.
    pub warnings: Vec<String>,
    /// Whom to ask once if the first fails before anything of its reply came.
    pub fallback: Option<Box<Self>>,
    /// How long to wait for what.
    pub limits: Limits,
    /// The model's window in tokens, if it is known.
    pub window: Option<u64>,
    /// Tokens of the window that are kept for the reply.
    pub reserve: u64,
    /// What the model counts where we estimate 1,000 tokens ([`crate::store::ratios`]).
    pub permille: u32,
}

impl Chosen {
    /// A provider that needs nothing else.
    pub fn new(provider: Provider, source: impl Into<String>) -> Self {
        Self {
            provider,
            source: source.into(),
            warnings: Vec::new(),
            fallback: None,
            limits: Limits::default(),
            window: None,
            reserve: RESERVE_DEFAULT,
            permille: EVEN,
        }
    }

    /// The provider and its model: "openrouter/x", "command", "literal".
    pub fn name(&self) -> String {
        match &self.provider {
            Provider::Endpoint(endpoint) => format!("{}/{}", endpoint.name, endpoint.model),
            Provider::Command(program) => format!("command {}", program.shown()),
            Provider::Literal | Provider::ReplyFile(_) | Provider::ReplyInput => {
                self.provider.word().to_owned()
            }
        }
    }

    /// The estimated tokens that the model has room for beside its reply, if its window is known.
    pub fn room(&self) -> Option<u64> {
        let counted = self.window?.saturating_sub(self.reserve);
        let room = counted.saturating_mul(u64::from(EVEN)) / u64::from(self.permille.max(1));
        Some(room)
    }

    /// One line for people: "model openrouter/x, from OPENROUTER_API_KEY".
    pub fn describe(&self) -> String {
        format!("model {}, from {}", self.name(), self.source)
    }
}

impl From<Provider> for Chosen {
    fn from(provider: Provider) -> Self {
        Self::new(provider, "the command line")
    }
}

/// The tokens kept for the reply when nobody said how many.
pub const RESERVE_DEFAULT: u64 = 4096;

/// The language that an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions, which most servers speak.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
}

/// An HTTP endpoint and the model to ask there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The provider's word: "openai", "openrouter", "anthropic", "ollama".
    pub name: &'static str,
    /// What it speaks.
    pub dialect: Dialect,
    /// The base URL, without a slash at its end; it holds no key.
    pub base: String,
    /// The model.
    pub model: String,
    /// The key, if there is one; local servers need none.
    pub key: Option<Key>,
    /// Further headers, such as `OpenAI-Organization`.
    pub headers: Vec<(&'static str, String)>,
    /// The most tokens of a reply. Sent only if it was set (Anthropic's must be sent).
    pub max_tokens: Option<u64>,
    /// The name of that field, which servers disagree on.
    pub max_tokens_field: MaxTokensField,
    /// The temperature. Sent only if it was set: some models take none.
    pub temperature: Option<Number>,
}

/// What the most tokens of a reply are called in an OpenAI request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaxTokensField {
    /// `max_completion_tokens`: today's name.
    #[default]
    Completion,
    /// `max_tokens`: the only one that older servers know.
    Plain,
}

/// A key and how it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// `x-api-key: …`
    Header(Secret),
}

impl Key {
    /// The key itself.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Bearer(secret) | Self::Header(secret) => secret,
        }
    }
}

/// A program that reads the prompt and prints the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What to run.
    pub words: Words,
    /// Where to run it.
    pub dir: PathBuf,
    /// How many plandex commands this one already runs below (`PLANDEX_DEPTH`).
    pub depth: u32,
}

/// A program's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// A line for `sh -c`.
    Shell(OsString),
    /// A program and its arguments; never empty.
    Argv(Vec<OsString>),
}

impl Program {
    /// The program for people: its first word alone, since arguments may hold anything.
    pub fn shown(&self) -> String {
        let first = match &self.words {
            Words::Shell(line) => line.to_string_lossy().into_owned(),
            Words::Argv(words) => words
                .first()
                .map_or_else(String::new, |word| word.to_string_lossy().into_owned()),
        };
        let is_setting = |word: &&str| word.contains('=');
        let word = first.split_whitespace().find(|word| !is_setting(word));
        word.unwrap_or("?").to_owned()
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For the first byte of the answer: a local model may have to be loaded first.
    pub first_byte: Duration,
    /// Without any byte, once there was one.
    pub idle: Duration,
    /// For the usage that may follow the end of a reply.
    pub after_finish: Duration,
    /// The longest pause that an endpoint may ask for; longer ones fail at once.
    pub max_wait: Duration,
    /// The first pause before a request is sent again; each next one is twice as long, up to
    /// [`Self::pause_max`].
    pub pause: Duration,
    /// The longest pause of our own.
    pub pause_max: Duration,
    /// How often a request is sent at most.
    pub attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(120),
            after_finish: Duration::from_secs(10),
            max_wait: Duration::from_secs(60),
            pause: Duration::from_millis(500),
            pause_max: Duration::from_secs(8),
            attempts: 3,
        }
    }
}
