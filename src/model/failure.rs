//! What can go wrong between a prompt and a whole reply, as one type that callers branch on.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// The longest message of an endpoint that is shown, in characters.
const SHOWN_MAX: usize = 600;

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No model is named, or its settings contradict each other.
    NotConfigured,
    /// The key was refused, or none was given where one is needed.
    Auth,
    /// No credit, or the quota is spent: asking again does not help.
    Billing,
    /// There is no such model, or nothing at this address.
    NotFound,
    /// The endpoint refuses the request as it is.
    BadRequest,
    /// Too many requests.
    Rate,
    /// The endpoint is overloaded or broken for now.
    Overloaded,
    /// The prompt does not fit into the model's window.
    ContextTooLong,
    /// The endpoint answered something that is no reply in its protocol.
    Protocol,
    /// The endpoint reported an error in the middle of its reply.
    Reported,
    /// The connection failed or was lost.
    Transport,
    /// The reply ended without its end being said: it may be cut off anywhere.
    Truncated,
    /// The endpoint filtered or refused the reply.
    Refused,
    /// The reply ended as a whole one, with nothing in it.
    Empty,
    /// Nothing came for too long.
    Timeout,
    /// The command failed.
    Command,
    /// The file or the standard input that was to bring the reply failed.
    Source,
}

impl Kind {
    /// The stable word for JSON and for the conversation.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Auth => "auth",
            Self::Billing => "billing",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::Rate => "rate",
            Self::Overloaded => "overloaded",
            Self::ContextTooLong => "context_too_long",
            Self::Protocol => "protocol",
            Self::Reported => "reported",
            Self::Transport => "transport",
            Self::Truncated => "truncated",
            Self::Refused => "refused",
            Self::Empty => "empty",
            Self::Timeout => "timeout",
            Self::Command => "command",
            Self::Source => "reply_failed",
        }
    }

    /// Whether the same request may succeed when it is sent again a little later.
    pub fn is_passing(self) -> bool {
        match self {
            Self::Rate | Self::Overloaded | Self::Transport | Self::Timeout => true,
            Self::NotConfigured
            | Self::Auth
            | Self::Billing
            | Self::NotFound
            | Self::BadRequest
            | Self::ContextTooLong
            | Self::Protocol
            | Self::Reported
            | Self::Truncated
            | Self::Refused
            | Self::Empty
            | Self::Command
            | Self::Source => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Why there is no whole reply.
///
/// Its message is one line, bounded, and never holds a key: what an endpoint said is quoted with
/// all keys of this request taken out of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ModelError {
    /// What to branch on.
    pub kind: Kind,
    /// For people: a lower-case fragment.
    pub message: String,
    /// The HTTP status, if an endpoint gave one.
    pub status: Option<u16>,
    /// What to do next.
    pub hint: Option<String>,
    /// Whether part of the reply came before.
    pub partial: bool,
    /// How long the endpoint asks to wait, if it does.
    pub(super) wait: Option<Duration>,
    /// Whether the endpoint itself says that asking again helps, or does not.
    pub(super) should_retry: Option<bool>,
}

impl ModelError {
    /// A failure of this kind, with nothing else known.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: shown(&message.into(), SHOWN_MAX),
            status: None,
            hint: None,
            partial: false,
            wait: None,
            should_retry: None,
        }
    }

    /// With the next command.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the HTTP status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Whether the same request may be sent again. Nobody may once content has come.
    pub fn is_passing(&self) -> bool {
        !self.partial && self.should_retry.unwrap_or_else(|| self.kind.is_passing())
    }
}

/// `text` as one line of at most `limit` characters.
pub(super) fn shown(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    for c in text.trim().chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c == ' ' && line.ends_with(' ') {
            continue;
        }
        if count == limit {
            line.push('…');
            break;
        }
        count += 1;
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_bounded_line() {
        let error = ModelError::new(Kind::Protocol, "a\n\n b\u{1b}[31m");
        assert_eq!(error.message, "a b\\u{1b}[31m");
        let long = ModelError::new(Kind::Protocol, "漢".repeat(5000));
        assert_eq!(long.message.chars().count(), SHOWN_MAX + 1);
    }

    #[test]
    fn nothing_is_passing_after_content() {
        let mut error = ModelError::new(Kind::Rate, "x");
        assert!(error.is_passing());
        error.should_retry = Some(false);
        assert!(!error.is_passing());
        error.should_retry = Some(true);
        error.partial = true;
        assert!(!error.is_passing());
        assert!(!ModelError::new(Kind::Auth, "x").is_passing());
    }
}
