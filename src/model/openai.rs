//! A request in OpenAI's dialect: <https://platform.openai.com/docs/api-reference/chat>.
//!
//! The body is kept small, because strict servers refuse fields that they do not know. What a
//! server refuses by name is left out when it is asked again.

use serde::Serialize;
use serde_json::Number;

use super::endpoint::{Endpoint, MaxTokensField};
use super::{Kind, Message, ModelError};

/// What is left out or said otherwise because the endpoint wants it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manners {
    asks_usage: bool,
    max_tokens_field: MaxTokensField,
}

impl Manners {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self {
            asks_usage: true,
            max_tokens_field: endpoint.max_tokens_field,
        }
    }

    /// Whether `error` names something that can be said otherwise; then it is, once.
    pub(super) fn adapt(&mut self, error: &ModelError) -> bool {
        if !matches!(error.status, Some(400 | 422)) || error.kind != Kind::BadRequest {
            return false;
        }
        let before = *self;
        if error.message.contains("stream_options") || error.message.contains("include_usage") {
            self.asks_usage = false;
        }
        let names_new = error.message.contains("max_completion_tokens");
        let names_old = error.message.replace("max_completion_tokens", "");
        self.max_tokens_field = match (names_new, names_old.contains("max_tokens")) {
            // "Unsupported parameter: 'max_tokens' … Use 'max_completion_tokens' instead."
            (true, true) => MaxTokensField::Completion,
            (true, false) => MaxTokensField::Plain,
            (false, _) => self.max_tokens_field,
        };
        *self != before
    }
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Where it goes.
pub(super) fn url(endpoint: &Endpoint) -> String {
    format!("{}/chat/completions", endpoint.base)
}

/// The request's body.
pub(super) fn body(
    endpoint: &Endpoint,
    messages: &[Message],
    manners: Manners,
) -> serde_json::Result<Vec<u8>> {
    let max_as = |field| {
        endpoint
            .max_tokens
            .filter(|_| manners.max_tokens_field == field)
    };
    serde_json::to_vec(&Body {
        model: &endpoint.model,
        messages,
        stream: true,
        stream_options: manners.asks_usage.then_some(StreamOptions {
            include_usage: true,
        }),
        max_completion_tokens: max_as(MaxTokensField::Completion),
        max_tokens: max_as(MaxTokensField::Plain),
        temperature: endpoint.temperature.as_ref(),
    })
}
