//! Anthropic's dialect: <https://docs.anthropic.com/en/api/messages-streaming>.
//!
//! Events are told apart by the `type` in their data, not by the `event:` line, which gateways lose.
//! There is no `[DONE]`; `message_stop` is the end. Types that are not known are passed over, as
//! that page asks.

use serde::Serialize;
use serde_json::{Number, Value};

use super::chunk::{self, Piece};
use super::ending::Reason;
use super::endpoint::Endpoint;
use super::picture::Blocks;
use super::{Message, ModelError, Role, refusal};

/// The version of the API, a header that every request needs.
pub(super) const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
/// The most tokens of a reply when nobody said how many: the field must be sent.
const MAX_TOKENS_DEFAULT: u64 = 8192;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<String>,
    messages: Vec<Blocks<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a Number>,
}

/// Where it goes.
pub(super) fn url(endpoint: &Endpoint) -> String {
    // The base is named with and without the version by those who configure it.
    let base = endpoint.base.strip_suffix("/v1").unwrap_or(&endpoint.base);
    format!("{base}/v1/messages")
}

/// The request's body.
pub(super) fn body(endpoint: &Endpoint, messages: &[Message]) -> serde_json::Result<Vec<u8>> {
    let is_system = |message: &&Message| message.role == Role::System;
    let (system, said): (Vec<&Message>, Vec<&Message>) = messages.iter().partition(is_system);
    let system: Vec<&str> = system.iter().map(|one| one.content.as_str()).collect();
    serde_json::to_vec(&Body {
        model: &endpoint.model,
        max_tokens: endpoint.max_tokens.unwrap_or(MAX_TOKENS_DEFAULT),
        system: (!system.is_empty()).then(|| system.join("\n\n")),
        messages: said.into_iter().map(Blocks).collect(),
        stream: true,
        temperature: endpoint.temperature.as_ref(),
    })
}

/// The pieces of one event's data, added to `pieces`. Fails if it is no JSON object.
pub(super) fn pieces(data: &str, pieces: &mut Vec<Piece>) -> Result<(), ModelError> {
    if data.trim().is_empty() {
        return Ok(());
    }
    let mut event = chunk::object(data)?;
    match event.get("type").and_then(Value::as_str) {
        Some("message_start") => {
            let message = event.get("message");
            pieces.extend(message.and_then(|message| usage(message.get("usage")?)));
        }
        Some("content_block_start") => {
            let block = event.get("content_block");
            let kind = block.and_then(|block| block.get("type")?.as_str());
            if matches!(kind, Some("tool_use" | "server_tool_use")) {
                pieces.push(Piece::Reason(Reason::Tool));
            }
            pieces.extend(event.get_mut("content_block").and_then(text));
        }
        Some("content_block_delta") => pieces.extend(event.get_mut("delta").and_then(text)),
        Some("message_delta") => {
            let delta = event.get("delta");
            let reason = delta.and_then(|delta| delta.get("stop_reason")?.as_str());
            pieces.extend(reason.map(|word| Piece::Reason(Reason::of(word))));
            pieces.extend(event.get("usage").and_then(usage));
        }
        Some("message_stop") => pieces.push(Piece::Done),
        // Gateways send their errors in other shapes too.
        _ => pieces.extend(refusal::reported(&event).map(Piece::Failure)),
    }
    Ok(())
}

/// The pieces of a whole message, which a gateway sends that does not stream.
pub(super) fn completion(body: &str, pieces: &mut Vec<Piece>) -> Result<(), ModelError> {
    let mut message = chunk::object(body)?;
    if let Some(failure) = refusal::reported(&message) {
        pieces.push(Piece::Failure(failure));
        return Ok(());
    }
    if let Some(Value::Array(blocks)) = message.get_mut("content") {
        pieces.extend(blocks.iter_mut().filter_map(text));
    }
    let reason = message.get("stop_reason").and_then(Value::as_str);
    pieces.extend(reason.map(|word| Piece::Reason(Reason::of(word))));
    pieces.extend(message.get("usage").and_then(usage));
    pieces.push(Piece::Done);
    Ok(())
}

/// The text or thinking of a block or of a delta.
fn text(block: &mut Value) -> Option<Piece> {
    let mut take = |field: &str| match block.get_mut(field) {
        Some(Value::String(text)) if !text.is_empty() => Some(std::mem::take(text)),
        _ => None,
    };
    take("text")
        .map(Piece::Text)
        .or_else(|| take("thinking").map(Piece::Thinking))
}

fn usage(usage: &Value) -> Option<Piece> {
    let count = |field: &str| usage.get(field).and_then(Value::as_u64).unwrap_or_default();
    // What was read from the cache is part of the prompt too.
    let input = count("input_tokens")
        + count("cache_read_input_tokens")
        + count("cache_creation_input_tokens");
    let output = count("output_tokens");
    (input > 0 || output > 0).then_some(Piece::Usage { input, output })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    fn check(data: &str, expected: &[Piece]) {
        let mut found = Vec::new();
        pieces(data, &mut found).unwrap();
        assert_eq!(found, expected, "{data}");
    }

    #[test]
    fn each_event_is_told_by_its_type() {
        let said = |text: &str| Piece::Text(text.to_owned());
        let (input, output) = (8, 1);
        check(
            r#"{"message":{"usage":{"output_tokens":1,"input_tokens":8}},"type":"message_start"}"#,
            &[Piece::Usage { input, output }],
        );
        check(
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#,
            &[said("a")],
        );
        check(
            r#"{"type":"content_block_start","content_block":{"type":"text","text":""}}"#,
            &[],
        );
        check(
            r#"{"type":"content_block_delta","delta":{"thinking":"hm","type":"thinking_delta"}}"#,
            &[Piece::Thinking("hm".to_owned())],
        );
        for nothing in [
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_delta","delta":{"type":"signature_delta","signature":"x"}}"#,
            r#"{"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"x"}}"#,
            r#"{"type":"of_tomorrow"}"#,
            "{}",
            "",
        ] {
            check(nothing, &[]);
        }
        let (input, output) = (0, 5);
        check(
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
            &[Piece::Reason(Reason::Stop), Piece::Usage { input, output }],
        );
        check(r#"{"type":"message_stop"}"#, &[Piece::Done]);
    }

    #[test]
    fn an_error_event_has_its_kind() {
        let data = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let mut found = Vec::new();
        pieces(data, &mut found).unwrap();
        let [Piece::Failure(error)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::Overloaded, "Overloaded")
        );
    }
}
