//! What an endpoint says instead of a reply, as a kind of failure.
//!
//! Servers agree on neither status nor shape: the same unknown model is a 404 here and a 400 there,
//! a spent quota is a 429, a prompt that is too long a 400, a 500, or an event in the middle of a
//! 200. So the words are looked at first and the status after them.

use serde_json::Value;

use super::failure::{Kind, ModelError, shown};

/// How much of a web page's title is shown, in characters.
const TITLE: usize = 120;

/// What words of an error mean, the first that fits.
const WORDS: [(&str, Kind); 22] = [
    ("insufficient_quota", Kind::Billing),
    ("exceeded your current quota", Kind::Billing),
    ("insufficient credits", Kind::Billing),
    ("billing", Kind::Billing),
    ("context length", Kind::ContextTooLong),
    ("context_length_exceeded", Kind::ContextTooLong),
    ("maximum context", Kind::ContextTooLong),
    ("exceed_context_size_error", Kind::ContextTooLong),
    ("exceeds the available context size", Kind::ContextTooLong),
    ("context window", Kind::ContextTooLong),
    ("too many tokens", Kind::ContextTooLong),
    ("input is too long", Kind::ContextTooLong),
    ("prompt is too long", Kind::ContextTooLong),
    ("invalid_api_key", Kind::Auth),
    // LiteLLM without a database, for a key that it does not know.
    ("no connected db", Kind::Auth),
    ("incorrect api key", Kind::Auth),
    ("authentication_error", Kind::Auth),
    ("model_not_found", Kind::NotFound),
    ("overloaded", Kind::Overloaded),
    // Azure, for a prompt that its filter refuses.
    ("content_filter", Kind::Refused),
    ("content management policy", Kind::Refused),
    ("rate_limit", Kind::Rate),
];

/// What an error object says.
struct Said {
    message: String,
    /// `type` and `code`, which hold what the message may not.
    marks: String,
    /// A status that stands inside.
    status: Option<u16>,
    /// llama.cpp's counts: tokens of the prompt, and of the window.
    counts: Option<(u64, u64)>,
}

/// The failure that a body with this status tells of.
pub(super) fn of_body(status: u16, body: &str) -> ModelError {
    let parsed = serde_json::from_str(body).ok();
    let plain = parsed.as_ref().and_then(said);
    // Some proxies wrap an error into the stream that was asked for.
    let found = plain.or_else(|| {
        let mut data = body.lines().filter_map(|line| line.strip_prefix("data:"));
        data.find_map(|data| said(&serde_json::from_str(data).ok()?))
    });
    let found = found.unwrap_or_else(|| Said {
        message: title(body),
        marks: String::new(),
        status: None,
        counts: None,
    });
    failure(Some(status), &found)
}

/// The failure that an object in a stream reports, if it reports one.
pub(super) fn reported(object: &Value) -> Option<ModelError> {
    let has_error = object.get("error").is_some_and(|error| !error.is_null());
    let is_error = object.get("object").and_then(Value::as_str) == Some("error")
        || object.get("type").and_then(Value::as_str) == Some("error");
    if !has_error && !is_error {
        return None;
    }
    said(object).map(|said| failure(None, &said))
}

/// The failure that an `error` field of a choice tells of.
pub(super) fn of_error(error: &Value) -> Option<ModelError> {
    of_field(error).map(|said| failure(None, &said))
}

/// The message of every known shape of an error body.
fn said(body: &Value) -> Option<Said> {
    // Google's compatible endpoint wraps it into an array.
    let body = body.get(0).unwrap_or(body);
    match body.get("error") {
        Some(error) if !error.is_null() => of_field(error),
        _ => of_field(body),
    }
}

fn of_field(error: &Value) -> Option<Said> {
    if let Some(text) = error.as_str() {
        return Some(Said {
            message: text.to_owned(),
            marks: String::new(),
            status: None,
            counts: None,
        });
    }
    let text = |field: &str| error.get(field).and_then(Value::as_str);
    let nested = error.get("metadata").and_then(|more| more.get("raw"));
    let message = text("message").or_else(|| text("detail"))?;
    let message = match nested.and_then(Value::as_str) {
        Some(raw) => format!("{message}: {raw}"),
        None => message.to_owned(),
    };
    let code = error.get("code");
    let number = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let count = |field: &str| error.get(field).and_then(Value::as_u64);
    let marks = [text("type"), text("code"), text("param")];
    Some(Said {
        message,
        marks: marks.into_iter().flatten().collect::<Vec<_>>().join(" "),
        status: number
            .and_then(|number| u16::try_from(number).ok())
            .filter(|status| (400..600).contains(status)),
        counts: count("n_prompt_tokens").zip(count("n_ctx")),
    })
}

/// The kind is decided by the words, then by the status.
fn failure(status: Option<u16>, said: &Said) -> ModelError {
    let status = status.filter(|status| *status >= 400).or(said.status);
    let text = format!("{} {}", said.message, said.marks).to_lowercase();
    let by_words = WORDS.iter().find(|(words, _)| text.contains(words));
    let kind = by_words.map_or_else(|| of_status(status), |(_, kind)| *kind);
    let mut message = said.message.clone();
    if let Some((prompt, window)) = said.counts {
        message = format!("{message} (the prompt has {prompt} tokens, the window {window})");
    }
    let mut error = ModelError::new(kind, message);
    error.status = status;
    // These say that nothing would change.
    if matches!(status, Some(501 | 505)) {
        error.should_retry = Some(false);
    }
    error
}

/// What a status means when no words say more.
fn of_status(status: Option<u16>) -> Kind {
    match status {
        None => Kind::Reported,
        Some(401 | 403) => Kind::Auth,
        Some(402) => Kind::Billing,
        Some(404) => Kind::NotFound,
        Some(408 | 409 | 425) => Kind::Overloaded,
        Some(413) => Kind::ContextTooLong,
        Some(429) => Kind::Rate,
        Some(500..=599) => Kind::Overloaded,
        Some(_) => Kind::BadRequest,
    }
}

/// A web page's title, or the beginning of any other text.
pub(super) fn title(body: &str) -> String {
    let lower = body.to_ascii_lowercase();
    let between = || {
        let open = lower.find("<title")?;
        let start = open + lower[open..].find('>')? + 1;
        let end = start + lower[start..].find("</")?;
        Some(&body[start..end])
    };
    match between() {
        Some(title) => format!("a web page titled {:?}", shown(title, TITLE)),
        None if lower.contains("<html") => "a web page".to_owned(),
        None if body.trim().is_empty() => "no explanation".to_owned(),
        None => shown(body, 2 * TITLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_an_error_is_understood() {
        for body in [
            r#"{"error":{"message":"it broke","type":"x","param":null,"code":"y"}}"#,
            r#"{"error":{"message":"it broke","code":500}}"#,
            r#"{"error":"it broke"}"#,
            r#"{"message":"it broke"}"#,
            r#"{"detail":"it broke"}"#,
            r#"{"object":"error","message":"it broke","type":"x","code":500}"#,
            r#"[{"error":{"message":"it broke","code":500}}]"#,
            r#"{"type":"error","error":{"type":"api_error","message":"it broke"}}"#,
            r#"{"error":{"code":500,"message":"it broke","metadata":{}}}"#,
            "data: {\"error\":{\"message\":\"it broke\"}}\n\ndata: [DONE]\n\n",
            "it broke",
        ] {
            let error = of_body(500, body);
            assert_eq!(error.message, "it broke", "{body}");
            assert_eq!((error.kind, error.status), (Kind::Overloaded, Some(500)));
        }
        let html = "<html><head><TITLE lang=en>502 Bad\nGateway</title></head><body>long</body>";
        assert_eq!(
            of_body(502, html).message,
            "a web page titled \"502 Bad Gateway\""
        );
        assert_eq!(of_body(502, "").message, "no explanation");
    }

    #[test]
    fn the_kind_is_in_the_words_then_in_the_status() {
        let of = |status: u16, message: &str| {
            of_body(
                status,
                &serde_json::json!({"error": {"message": message}}).to_string(),
            )
            .kind
        };
        for (status, message, kind) in [
            (401, "no", Kind::Auth),
            (403, "no", Kind::Auth),
            (402, "pay", Kind::Billing),
            (
                429,
                "You exceeded your current quota, please check",
                Kind::Billing,
            ),
            (429, "slow down", Kind::Rate),
            (404, "no such model", Kind::NotFound),
            (408, "x", Kind::Overloaded),
            (409, "x", Kind::Overloaded),
            (425, "x", Kind::Overloaded),
            (413, "x", Kind::ContextTooLong),
            (
                400,
                "This model's maximum context length is 8192 tokens",
                Kind::ContextTooLong,
            ),
            (500, "Input is too long", Kind::ContextTooLong),
            (400, "unknown field", Kind::BadRequest),
            (422, "x", Kind::BadRequest),
            (
                400,
                "triggering Azure OpenAI's content management policy",
                Kind::Refused,
            ),
            (500, "x", Kind::Overloaded),
            (503, "Loading model", Kind::Overloaded),
            (529, "x", Kind::Overloaded),
        ] {
            assert_eq!(of(status, message), kind, "{status} {message}");
        }
        assert!(!of_body(501, "x").is_passing() && !of_body(505, "x").is_passing());
        assert!(of_body(502, "x").is_passing() && of_body(529, "x").is_passing());
        let quota = r#"{"error":{"message":"sorry","code":"insufficient_quota"}}"#;
        assert_eq!(of_body(429, quota).kind, Kind::Billing);
    }

    #[test]
    fn llama_cpps_counts_are_shown() {
        let body = r#"{"error":{"code":400,"message":"the request exceeds the available context size",
            "type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}"#;
        let error = reported(&serde_json::from_str(body).unwrap()).unwrap();
        assert_eq!(
            (error.kind, error.status),
            (Kind::ContextTooLong, Some(400))
        );
        assert!(error.message.contains("9000") && error.message.contains("4096"));
    }
}
