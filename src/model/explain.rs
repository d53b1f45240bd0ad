//! Answers that are no reply, in words for people.

use std::io::Read as _;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::failure::shown;
use super::http::{Answer, Post};
use super::watch::Watch;
use super::{Kind, ModelError, base, refusal, retry};
use crate::platform::clock;

/// The most of an error's body that is read, in bytes.
const REFUSAL_MAX: u64 = 64 << 10;
/// And for how long.
const REFUSAL_WAIT: Duration = Duration::from_secs(10);
/// Shorter ones are no keys but words such as "none", for servers that want any, and would be
/// found in many a text.
const KEY_MIN: usize = 8;
/// What stands in a key's place.
const HIDDEN: &str = "[hidden]";

/// Reads a body to its end: what came of it as text, and how the connection broke if it did.
pub(super) fn read(
    answer: Answer,
    watch: &Watch,
    max: u64,
    post: &Post<'_>,
) -> (String, Option<ModelError>) {
    watch.within(post.limits.first_byte);
    let mut bytes = Vec::new();
    let read = answer.into_reader().take(max + 1).read_to_end(&mut bytes);
    watch.pause();
    let broken = match read {
        _ if watch.is_late() => Some(late(post)),
        Err(error) => Some(lost(&error, watch, post)),
        Ok(_) if bytes.len() as u64 > max => Some(ModelError::new(
            Kind::Protocol,
            format!("the answer is longer than {max} bytes"),
        )),
        Ok(_) => None,
    };
    (String::from_utf8_lossy(&bytes).into_owned(), broken)
}

/// The beginning of a body that says why.
fn beginning(answer: Answer, watch: &Watch) -> String {
    watch.within(REFUSAL_WAIT);
    let mut bytes = Vec::new();
    // What came before it broke off is all there is to show.
    let body = answer.into_reader().take(REFUSAL_MAX);
    { body }.read_to_end(&mut bytes).ok();
    watch.pause();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A page for people came with 200: a captive portal, or a wrong address.
pub(super) fn web_page(answer: Answer, watch: &Watch) -> ModelError {
    let page = refusal::title(&beginning(answer, watch));
    let message = format!("the endpoint answered with {page}, not with a reply");
    ModelError::new(Kind::Protocol, message).hint("look whether the base URL is right")
}

/// The endpoint is said to be elsewhere, where the key was not meant to go.
pub(super) fn redirected(post: &Post<'_>, answer: &Answer) -> ModelError {
    let to = answer.header("location").unwrap_or_default();
    // A user name or password in it is nobody's business.
    let to = match to.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => to,
    };
    let message = format!(
        "{} redirects to {}, where nothing was sent",
        base::host(&post.url),
        if to.is_empty() {
            "nowhere".to_owned()
        } else {
            shown(&to, 200)
        }
    );
    ModelError::new(Kind::Protocol, message)
        .status(answer.status)
        .hint("if that is right, make it the base URL: `--base-url`, or `base-url` in the settings")
}

/// A status that is no success, with what its body and its headers say.
pub(super) fn refused(
    post: &Post<'_>,
    answer: Answer,
    watch: &Watch,
    is_plain: bool,
) -> ModelError {
    let status = answer.status;
    let header = |name: &str| answer.header(name);
    let should_retry = retry::should_retry(&header);
    let from_headers = retry::asked_wait(&header, "", clock::wall_ms());
    let body = if is_plain {
        beginning(answer, watch)
    } else {
        "[compressed]".to_owned()
    };
    let mut error = refusal::of_body(status, &body);
    if error.should_retry.is_none() || should_retry.is_some() {
        error.should_retry = should_retry;
    }
    error.wait = from_headers.or_else(|| retry::asked_wait(&|_| None, &body, clock::wall_ms()));
    error.message = format!(
        "{} answered {status}: {}",
        base::host(&post.url),
        error.message
    );
    error.hint = hint(&error, post.endpoint, status);
    error
}

fn hint(error: &ModelError, endpoint: &Endpoint, status: u16) -> Option<String> {
    let Endpoint { base, model, .. } = endpoint;
    let words = match error.kind {
        Kind::Auth if endpoint.key.is_none() => {
            "no key was sent; set PLANDEX_API_KEY, or `api-key-env` in the user's settings".into()
        }
        Kind::Auth => "look whether the key belongs to this endpoint".into(),
        Kind::NotFound if status == 404 && !base.ends_with("/v1") && !base.contains("/v1/") => {
            format!("did you mean `--base-url {base}/v1`?")
        }
        Kind::NotFound => format!("look whether the endpoint has the model {model:?}"),
        Kind::ContextTooLong => "show the plan less (look with `plandex ls`)".into(),
        Kind::Billing => "look at your account with the provider".into(),
        Kind::NotConfigured
        | Kind::BadRequest
        | Kind::Rate
        | Kind::Overloaded
        | Kind::Protocol
        | Kind::Reported
        | Kind::Transport
        | Kind::Truncated
        | Kind::Refused
        | Kind::Empty
        | Kind::Timeout
        | Kind::Command
        | Kind::Source => return None,
    };
    Some(words)
}

/// Nothing came for too long. Whoever took the request may still work on it: it is not sent again.
pub(super) fn late(post: &Post<'_>) -> ModelError {
    let host = base::host(&post.url);
    let message = format!("nothing more came from {host} in time");
    let mut error = ModelError::new(Kind::Timeout, message)
        .hint("wait longer with `first-byte-wait` and `idle-wait` in the settings");
    error.should_retry = Some(false);
    error
}

/// The connection broke in the middle of an answer.
pub(super) fn lost(error: &std::io::Error, watch: &Watch, post: &Post<'_>) -> ModelError {
    if watch.is_late() {
        return late(post);
    }
    let host = base::host(&post.url);
    let words = shown(&error.to_string(), 200);
    let message = format!("the connection to {host} was lost: {words}");
    ModelError::new(Kind::Transport, message)
}

/// Takes the endpoint's key out of an error, which may quote what was sent.
pub(super) fn without_key(mut error: ModelError, endpoint: &Endpoint) -> ModelError {
    if let Some(key) = &endpoint.key {
        let key = key.secret().expose();
        error.message = hidden(&error.message, key);
    }
    error
}

/// `text` without `key`, and without the beginning of it that a cut has left.
fn hidden(text: &str, key: &str) -> String {
    if key.len() < KEY_MIN {
        return text.to_owned();
    }
    let mut text = text.replace(key, HIDDEN);
    let lengths = key.char_indices().map(|(at, _)| at).rev();
    // A letter or two give nothing away, and would be found in any text.
    for length in lengths.filter(|length| *length > 2) {
        let cut = [&key[..length], "…"].concat();
        text = text.replace(&cut, &[HIDDEN, "…"].concat());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn a_key_is_hidden_whole_and_cut() {
        let key = "sk-canary-4711";
        for (text, expected) in [
            ("key sk-canary-4711 is bad", "key [hidden] is bad"),
            ("sk-canary-4711sk-canary-4711", "[hidden][hidden]"),
            ("a sk-canary-471… b", "a [hidden]… b"),
            ("a sk-…", "a [hidden]…"),
            ("a sk… and s…", "a sk… and s…"),
            ("sk-other", "sk-other"),
        ] {
            assert_eq!(hidden(text, key), expected);
        }
        assert_eq!(hidden("what is kept", "k"), "what is kept");
    }
}
