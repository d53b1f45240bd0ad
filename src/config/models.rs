//! What files, flags and the environment may say about models; `model::choose` weighs it.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::secret::Secret;
use super::wait::{Wait, parse_wait};

/// Who says something about models, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// The command line.
    Flags,
    /// `PLANDEX_…`.
    #[default]
    Environment,
    /// The plan's own settings.
    Plan,
    /// The project's settings file, which may have come with the project: it is not trusted with
    /// where keys go or what is run.
    Project(PathBuf),
    /// The user's settings file.
    User(PathBuf),
}

impl Origin {
    /// What a person would look for: "--model", "PLANDEX_MODEL", a file's path.
    pub fn of(&self, key: &str) -> String {
        match self {
            Self::Flags => format!("--{key}"),
            Self::Environment => {
                format!("PLANDEX_{}", key.to_ascii_uppercase().replace('-', "_"))
            }
            Self::Plan => "the plan's settings".to_owned(),
            Self::Project(path) | Self::User(path) => path.display().to_string(),
        }
    }
}

/// What one of them says; `None` where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelSettings {
    /// Who.
    pub origin: Origin,
    /// `provider`.
    pub provider: Option<String>,
    /// `model`.
    pub model: Option<String>,
    /// `base-url`.
    pub base_url: Option<String>,
    /// `api-key` or `api-key-env`.
    pub key: Option<KeySource>,
    /// Whether the key stands in a file that others than its owner can read.
    pub is_exposed: bool,
    /// `command`.
    pub command: Option<CommandWords>,
    /// `fallback`: PROVIDER/MODEL, or a model of the same provider.
    pub fallback: Option<String>,
    /// `context-window` in tokens.
    pub context_window: Option<u64>,
    /// `reply-reserve` in tokens.
    pub reply_reserve: Option<u64>,
    /// `max-tokens` of a reply.
    pub max_tokens: Option<u64>,
    /// `temperature`.
    pub temperature: Option<Number>,
    /// `first-byte-wait`: how long the first byte of an answer is waited for.
    pub first_byte: Option<Duration>,
    /// `idle-wait`: how long nothing at all may come.
    pub idle: Option<Duration>,
    /// `max-wait`: the longest pause that an endpoint may ask for.
    pub max_wait: Option<Duration>,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Here.
    Key(Secret),
    /// In this environment variable.
    Variable(String),
}

/// A command as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CommandWords {
    /// A line for the shell.
    Shell(String),
    /// A program and its arguments; never empty.
    Argv(Vec<String>),
}

/// What the environment says about models, ours and the providers' own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelEnvironment {
    /// `PLANDEX_PROVIDER`, `_MODEL`, `_BASE_URL`, `_API_KEY`, `_COMMAND`, `_FALLBACK`.
    pub ours: ModelSettings,
    /// `PLANDEX_DEPTH`: how many commands of plandex's this process runs below.
    pub depth: u32,
    /// `OPENAI_BASE_URL`.
    pub openai_base_url: Option<String>,
    /// `OPENAI_API_BASE`: its former name.
    pub openai_api_base: Option<String>,
    /// `OPENAI_API_KEY`.
    pub openai_api_key: Option<Secret>,
    /// `OPENAI_MODEL`.
    pub openai_model: Option<String>,
    /// `OPENAI_ORG_ID`.
    pub openai_organization: Option<String>,
    /// `OPENAI_PROJECT_ID`.
    pub openai_project: Option<String>,
    /// `OPENROUTER_API_KEY`.
    pub openrouter_api_key: Option<Secret>,
    /// `ANTHROPIC_BASE_URL`.
    pub anthropic_base_url: Option<String>,
    /// `ANTHROPIC_API_KEY`.
    pub anthropic_api_key: Option<Secret>,
    /// `ANTHROPIC_AUTH_TOKEN`.
    pub anthropic_auth_token: Option<Secret>,
    /// `ANTHROPIC_MODEL`.
    pub anthropic_model: Option<String>,
    /// `OLLAMA_HOST`.
    pub ollama_host: Option<String>,
}

impl ModelEnvironment {
    /// Reads it; `set` gives a variable's value unless it is empty. Fails on a variable that is not
    /// UTF-8 or makes no sense; a key is never quoted.
    pub(super) fn read(set: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let text = |name: &str| {
            let value = set(name).map(OsString::into_string).transpose();
            value.map_err(|_| anyhow!("{name} is not UTF-8"))
        };
        let key = |name: &str| anyhow::Ok(text(name)?.as_deref().and_then(Secret::new));
        let depth = match text("PLANDEX_DEPTH")? {
            None => 0,
            Some(text) => text
                .parse()
                .map_err(|_| anyhow!("reading PLANDEX_DEPTH: {text:?} is not a number"))?,
        };
        Ok(Self {
            ours: ModelSettings {
                origin: Origin::Environment,
                provider: text("PLANDEX_PROVIDER")?,
                model: text("PLANDEX_MODEL")?,
                base_url: text("PLANDEX_BASE_URL")?,
                key: key("PLANDEX_API_KEY")?.map(KeySource::Key),
                command: text("PLANDEX_COMMAND")?.map(CommandWords::Shell),
                fallback: text("PLANDEX_FALLBACK")?,
                ..ModelSettings::default()
            },
            depth,
            openai_base_url: text("OPENAI_BASE_URL")?,
            openai_api_base: text("OPENAI_API_BASE")?,
            openai_api_key: key("OPENAI_API_KEY")?,
            openai_model: text("OPENAI_MODEL")?,
            openai_organization: text("OPENAI_ORG_ID")?,
            openai_project: text("OPENAI_PROJECT_ID")?,
            openrouter_api_key: key("OPENROUTER_API_KEY")?,
            anthropic_base_url: text("ANTHROPIC_BASE_URL")?,
            anthropic_api_key: key("ANTHROPIC_API_KEY")?,
            anthropic_auth_token: key("ANTHROPIC_AUTH_TOKEN")?,
            anthropic_model: text("ANTHROPIC_MODEL")?,
            ollama_host: text("OLLAMA_HOST")?,
        })
    }
}

/// The key in the environment variable `name`, which the user's settings name.
#[expect(
    clippy::disallowed_methods,
    reason = "the room that reads the environment"
)]
pub fn secret_variable(name: &str) -> Option<Secret> {
    let value = std::env::var_os(name)?;
    value.to_str().and_then(Secret::new)
}

#[derive(Debug)]
pub(super) struct FileSecret(pub(super) Secret);

impl<'de> Deserialize<'de> for FileSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let secret = Secret::new(&text);
        secret
            .map(Self)
            .ok_or_else(|| de::Error::custom("the key is empty"))
    }
}

#[derive(Debug)]
pub(super) struct FileCommand(pub(super) CommandWords);

impl<'de> Deserialize<'de> for FileCommand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CommandVisitor;
        impl<'de> Visitor<'de> for CommandVisitor {
            type Value = FileCommand;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line for the shell, or a list of a program and its arguments")
            }

            fn visit_str<E: de::Error>(self, line: &str) -> Result<FileCommand, E> {
                if line.trim().is_empty() {
                    return Err(E::invalid_value(de::Unexpected::Str(line), &self));
                }
                Ok(FileCommand(CommandWords::Shell(line.to_owned())))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<FileCommand, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element::<String>()? {
                    words.push(word);
                }
                if words.is_empty() {
                    return Err(de::Error::invalid_length(0, &self));
                }
                Ok(FileCommand(CommandWords::Argv(words)))
            }
        }
        deserializer.deserialize_any(CommandVisitor)
    }
}

#[derive(Debug)]
pub(super) struct FileDuration(pub(super) Duration);

impl<'de> Deserialize<'de> for FileDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer) {
            Ok(Written::Seconds(seconds)) => seconds.to_string(),
            Ok(Written::Text(text)) => text,
            Err(_) => return Err(de::Error::custom(DURATION)),
        };
        parse_duration(&text)
            .map(Self)
            .map_err(|_| de::Error::custom(DURATION))
    }
}

const DURATION: &str = "expected a time such as \"90s\", \"5m\" or seconds";

/// A time that is limited and not zero: "90s", "5m", "1h30m", seconds.
pub fn parse_duration(text: &str) -> Result<Duration> {
    match parse_wait(text)? {
        Wait::For(limit) if !limit.is_zero() => Ok(limit),
        Wait::No | Wait::For(_) | Wait::Forever => Err(anyhow!("{DURATION}, not {text:?}")),
    }
}
