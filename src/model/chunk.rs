//! One event of an OpenAI stream as pieces of a reply.
//!
//! The fields are those of <https://platform.openai.com/docs/api-reference/chat-streaming>, read
//! loosely, because compatible servers leave out, null and misplace nearly all of them. One chunk
//! may carry text, the reason of the end and the usage at once: the pieces come in that order.

use serde_json::Value;

use super::ending::Reason;
use super::failure::{Kind, ModelError, shown};
use super::refusal;

/// A piece of a reply, in the words of no particular provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text of the reply.
    Text(String),
    /// What the model thinks.
    Thinking(String),
    /// Why the model stopped.
    Reason(Reason),
    /// Tokens so far; what is not said is 0.
    Usage { input: u64, output: u64 },
    /// The stream's own end mark: nothing that follows matters.
    Done,
    /// The provider reports a failure.
    Failure(ModelError),
}

/// How much of what cannot be read is quoted, in characters.
const QUOTED: usize = 200;

/// The pieces of one event's data, added to `pieces`. Fails if it is no JSON object.
pub(super) fn pieces(data: &str, pieces: &mut Vec<Piece>) -> Result<(), ModelError> {
    let data = data.trim();
    if data.starts_with("[DONE]") {
        pieces.push(Piece::Done);
        return Ok(());
    }
    if data.is_empty() {
        return Ok(());
    }
    let chunk = object(data)?;
    let has_choices = chunk
        .get("choices")
        .is_some_and(|choices| !choices.is_null());
    if !has_choices && let Some(failure) = refusal::reported(&chunk) {
        pieces.push(Piece::Failure(failure));
        return Ok(());
    }
    of_object(chunk, "delta", pieces);
    Ok(())
}

/// The pieces of a whole completion, which a server sends that does not stream.
pub(super) fn completion(body: &str, pieces: &mut Vec<Piece>) -> Result<(), ModelError> {
    let whole = object(body)?;
    let has_choices = whole.get("choices").is_some_and(Value::is_array);
    if !has_choices {
        if let Some(failure) = refusal::reported(&whole) {
            pieces.push(Piece::Failure(failure));
            return Ok(());
        }
        return Err(unreadable(body));
    }
    of_object(whole, "message", pieces);
    pieces.push(Piece::Done);
    Ok(())
}

/// `data` as a JSON object.
pub(super) fn object(data: &str) -> Result<Value, ModelError> {
    serde_json::from_str::<Value>(data)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| unreadable(data))
}

fn unreadable(data: &str) -> ModelError {
    let quoted = shown(data, QUOTED);
    let message = format!("the endpoint sent what is no reply: {quoted}");
    ModelError::new(Kind::Protocol, message)
}

/// `content` is where a choice has its text: "delta" or "message".
fn of_object(mut chunk: Value, content: &str, pieces: &mut Vec<Piece>) {
    let usage = chunk.get("usage").and_then(usage);
    let choice = chunk.get_mut("choices").and_then(|all| all.get_mut(0));
    if let Some(choice) = choice {
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        let mut reason = reason.filter(|word| !word.is_empty()).map(Reason::of);
        let error = choice.get("error").and_then(refusal::of_error);
        if let Some(delta) = choice.get_mut(content) {
            for field in ["reasoning_content", "reasoning"] {
                if let Some(text) = delta.get_mut(field).and_then(text) {
                    pieces.push(Piece::Thinking(text));
                    break;
                }
            }
            if let Some(text) = delta.get_mut("content").and_then(text) {
                pieces.push(Piece::Text(text));
            }
            if delta.get_mut("refusal").and_then(text).is_some() {
                reason = Some(Reason::Refused);
            }
            let is_call = |field: &str| match delta.get(field) {
                Some(Value::Array(calls)) => !calls.is_empty(),
                Some(Value::Object(call)) => !call.is_empty(),
                _ => false,
            };
            if is_call("tool_calls") || is_call("function_call") {
                reason = Some(Reason::Tool);
            }
        }
        pieces.extend(error.map(Piece::Failure));
        pieces.extend(reason.map(Piece::Reason));
    }
    pieces.extend(usage);
}

/// A text: a string, or the texts of an array of parts; `None` if there is nothing in it.
fn text(value: &mut Value) -> Option<String> {
    match value {
        Value::String(text) => Some(std::mem::take(text)).filter(|text| !text.is_empty()),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            Some(texts.collect::<String>()).filter(|text| !text.is_empty())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

fn usage(usage: &Value) -> Option<Piece> {
    let count = |field: &str| usage.get(field).and_then(Value::as_u64).unwrap_or_default();
    let (input, output) = (count("prompt_tokens"), count("completion_tokens"));
    (input > 0 || output > 0).then_some(Piece::Usage { input, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: &[Piece]) {
        let mut found = Vec::new();
        pieces(data, &mut found).unwrap();
        assert_eq!(found, expected, "{data}");
    }

    fn said(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn text_is_found_and_its_absence_is_no_mistake() {
        check(r#"{"choices":[{"delta":{"content":"a"}}]}"#, &[said("a")]);
        for nothing in [
            "{}",
            r#"{"choices":null}"#,
            r#"{"choices":[]}"#,
            r#"{"choices":[null]}"#,
            r#"{"choices":[{}]}"#,
            r#"{"choices":[{"delta":{}}]}"#,
            r#"{"choices":[{"delta":null,"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"choices":[{"delta":{"content":null,"tool_calls":[]}}]}"#,
            r#"{"choices":{},"prompt_filter_results":[]}"#,
            r#"{"choices":[{"delta":{"content":7}}]}"#,
            "",
        ] {
            check(nothing, &[]);
        }
    }

    #[test]
    fn text_reason_and_usage_of_one_chunk_come_in_that_order() {
        let data = r#"{"usage":{"prompt_tokens":3,"completion_tokens":2},
            "choices":[{"finish_reason":"stop","delta":{"content":"end"}}]}"#;
        let (input, output) = (3, 2);
        let usage = Piece::Usage { input, output };
        check(data, &[said("end"), Piece::Reason(Reason::Stop), usage]);
    }

    #[test]
    fn thinking_refusals_and_tools_are_told_apart() {
        for field in ["reasoning", "reasoning_content"] {
            let data = format!(r#"{{"choices":[{{"delta":{{"{field}":"hm","content":"a"}}}}]}}"#);
            check(&data, &[Piece::Thinking("hm".to_owned()), said("a")]);
        }
        let parts = r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"x":1}]}}]}"#;
        check(parts, &[said("a")]);
        let refusal = r#"{"choices":[{"delta":{"refusal":"no"},"finish_reason":"stop"}]}"#;
        check(refusal, &[Piece::Reason(Reason::Refused)]);
        let call = r#"{"choices":[{"delta":{"tool_calls":[{"id":"1"}]}}]}"#;
        check(call, &[Piece::Reason(Reason::Tool)]);
    }

    #[test]
    fn an_error_in_the_stream_is_one() {
        for data in [
            r#"{"error":{"message":"overloaded","code":503}}"#,
            r#"{"error":"overloaded"}"#,
            r#"{"error":{"message":"overloaded"},"choices":null}"#,
            r#"{"choices":[{"delta":{},"error":{"message":"overloaded","code":502}}]}"#,
        ] {
            let mut found = Vec::new();
            pieces(data, &mut found).unwrap();
            let [Piece::Failure(error)] = found.as_slice() else {
                panic!("{data}: {found:?}");
            };
            assert!(error.message.contains("overloaded"), "{error:?}");
        }
        check("[DONE]", &[Piece::Done]);
        check(" [DONE] \n", &[Piece::Done]);
    }

    #[test]
    fn what_is_no_object_is_a_protocol_error_that_quotes_it() {
        let deep = "[".repeat(100_000);
        for data in [
            "overloaded",
            "[1]",
            "\"x\"",
            "7",
            "{\"a\":",
            &deep,
            r#"{"a":"\ud800"}"#,
        ] {
            let error = pieces(data, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind, Kind::Protocol);
            assert!(error.message.chars().count() < 250, "{error}");
        }
    }

    #[test]
    fn a_completion_in_one_piece_is_read() {
        let body = r#"{"choices":[{"message":{"content":"all"},"finish_reason":"length"}]}"#;
        let mut found = Vec::new();
        completion(body, &mut found).unwrap();
        assert_eq!(
            found,
            [said("all"), Piece::Reason(Reason::Length), Piece::Done]
        );
        assert!(completion("{\"status\":\"fine\"}", &mut found).is_err());
    }
}
