//! What endpoints answer in place of a reply, and what is made of it.

use std::time::Duration;

use plandex::model::{Chosen, Finish, Kind, Phase, Provider};

use super::recorded::*;
use super::{CANARY, Heard, anthropic, ask, asked, openai};
use crate::support::{Answer, Cut, Framing, ModelServer};

/// Asked up to three times, with pauses too short to notice.
fn patient(server: &ModelServer) -> Chosen {
    let mut chosen = openai(&server.base());
    chosen.limits.attempts = 3;
    chosen
}

fn retries(heard: &Heard) -> Vec<(Option<u16>, Kind, Duration)> {
    let retries = heard.phases.iter().filter_map(|phase| {
        let Phase::Retrying {
            status,
            kind,
            delay,
            ..
        } = phase
        else {
            return None;
        };
        Some((*status, *kind, *delay))
    });
    retries.collect()
}

#[test]
fn each_status_has_its_kind_and_is_asked_again_or_not() {
    for (status, message, kind, is_passing) in [
        (400, "no such field", Kind::BadRequest, false),
        (400, "No connected db.", Kind::Auth, false),
        (
            400,
            "maximum context length is 8",
            Kind::ContextTooLong,
            false,
        ),
        (401, "bad key", Kind::Auth, false),
        (402, "pay", Kind::Billing, false),
        (403, "no", Kind::Auth, false),
        (404, "no such model", Kind::NotFound, false),
        (408, "late", Kind::Overloaded, true),
        (409, "conflict", Kind::Overloaded, true),
        (413, "too big", Kind::ContextTooLong, false),
        (422, "bad", Kind::BadRequest, false),
        (425, "early", Kind::Overloaded, true),
        (429, "slow down", Kind::Rate, true),
        (429, "You exceeded your current quota", Kind::Billing, false),
        (500, "oops", Kind::Overloaded, true),
        (500, "the input is too long", Kind::ContextTooLong, false),
        (501, "never", Kind::Overloaded, false),
        (502, "bad", Kind::Overloaded, true),
        (503, "Loading model", Kind::Overloaded, true),
        (505, "never", Kind::Overloaded, false),
        (529, "overloaded_error", Kind::Overloaded, true),
    ] {
        let server = ModelServer::start([Answer::error(status, message)]);
        let heard = ask(&patient(&server));
        let error = heard.end.clone().unwrap_err();
        assert_eq!((error.kind, error.status), (kind, Some(status)), "{error}");
        assert!(error.message.contains(message), "{error}");
        let times = if is_passing { 3 } else { 1 };
        assert_eq!(server.asked().len(), times, "{status} {message}");
        assert_eq!(retries(&heard).len(), times - 1);
    }
}

#[test]
fn a_reply_after_two_refusals_is_whole_and_alone() {
    let server = ModelServer::start([
        Answer::error(503, "Loading model").header("retry-after-ms", "3"),
        Answer::stream("").cut(0, Cut::Reset),
        Answer::stream(fences()),
    ]);
    let heard = ask(&patient(&server));
    assert_eq!(heard.text, FENCES_TEXT);
    assert_eq!(heard.end.clone().unwrap().finish, Finish::Stop);
    let retries = retries(&heard);
    assert_eq!(
        retries[0],
        (Some(503), Kind::Overloaded, Duration::from_millis(3))
    );
    assert_eq!((retries[1].0, retries[1].1), (None, Kind::Transport));
}

#[test]
fn nothing_is_asked_again_once_a_byte_of_content_came() {
    let body = fences();
    let begun = body.find("\n\ndata:").unwrap();
    let begun = begun + 2 + body[begun + 2..].find("\n\n").unwrap() + 2;
    // A reset may take bytes with it that were sent, and then nothing has begun.
    for how in [Cut::Clean, Cut::Unterminated] {
        let half = Answer::stream(body.clone()).cut(begun, how);
        let server = ModelServer::start([half, Answer::stream(body.clone())]);
        let heard = ask(&patient(&server));
        let error = heard.end.clone().unwrap_err();
        assert!(error.partial && !error.is_passing(), "{error:?}");
        assert_eq!(server.asked().len(), 1);
        assert_eq!(retries(&heard), []);
    }
    let thought = "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n";
    let server = ModelServer::start([Answer::stream(thought)]);
    assert!(ask(&patient(&server)).end.unwrap_err().partial);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_wait_that_is_too_long_fails_at_once_and_says_so() {
    let server =
        ModelServer::start([Answer::error(429, "slow down").header("retry-after", "3600")]);
    let error = ask(&patient(&server)).end.unwrap_err();
    assert_eq!(error.kind, Kind::Rate);
    assert!(error.message.contains("3600 s"), "{error}");
    assert!(error.hint.unwrap().contains("--max-wait"));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn the_endpoints_own_word_about_retries_counts() {
    let server = ModelServer::start([Answer::error(503, "x").header("x-should-retry", "false")]);
    ask(&patient(&server)).end.unwrap_err();
    assert_eq!(server.asked().len(), 1);
    let once = Answer::error(400, "x").header("x-should-retry", "true");
    let server = ModelServer::start([once, Answer::stream(fences())]);
    ask(&patient(&server)).end.unwrap();
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_field_that_is_refused_by_name_is_left_out() {
    let refusal = "Unrecognized request argument supplied: stream_options";
    let server = ModelServer::start([Answer::error(400, refusal), Answer::stream(fences())]);
    let heard = asked(&server);
    assert_eq!(heard.text, FENCES_TEXT);
    assert_eq!(retries(&heard), []);
    let [first, second] = server.asked().try_into().unwrap();
    assert_eq!(first.body["stream_options"]["include_usage"], true);
    assert!(second.body.get("stream_options").is_none());
    // A server that refuses whatever it is sent is not asked for ever.
    let server = ModelServer::start([Answer::error(400, refusal)]);
    assert_eq!(asked(&server).end.unwrap_err().kind, Kind::BadRequest);
    assert_eq!(server.asked().len(), 2);

    let refusal = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
    let server = ModelServer::start([Answer::error(400, refusal), Answer::stream(fences())]);
    let mut chosen = openai(&server.base());
    if let Provider::Endpoint(endpoint) = &mut chosen.provider {
        endpoint.max_tokens = Some(99);
        endpoint.max_tokens_field = plandex::model::MaxTokensField::Plain;
    }
    ask(&chosen).end.unwrap();
    let [first, second] = server.asked().try_into().unwrap();
    assert_eq!(first.body["max_tokens"], 99);
    assert_eq!(second.body["max_completion_tokens"], 99);
    assert!(second.body.get("max_tokens").is_none());
}

#[test]
fn errors_inside_a_stream_are_errors_before_and_after_content() {
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let server = ModelServer::start([Answer::stream(overloaded), Answer::stream(ANTHROPIC)]);
    let mut chosen = anthropic(&server.base());
    chosen.limits.attempts = 2;
    let heard = ask(&chosen);
    assert_eq!(heard.text, ANTHROPIC_TEXT);
    assert_eq!(retries(&heard).len(), 1);

    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    for (tail, kind) in [
        (
            "data: {\"error\":{\"code\":502,\"message\":\"provider died\"}}\n\n",
            Kind::Overloaded,
        ),
        (
            "data: {\"error\":{\"message\":\"x\"},\"message\":\"x\"}\n\n",
            Kind::Reported,
        ),
        (
            "data: {\"error\":{\"message\":\"x\",\"type\":\"exceed_context_size_error\"}}\n\n",
            Kind::ContextTooLong,
        ),
        ("event: error\ndata: it broke\n\n", Kind::Reported),
        ("data: overloaded\n\n", Kind::Protocol),
        (
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}\n\n",
            Kind::Protocol,
        ),
        (
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1e999}}\n\n",
            Kind::Protocol,
        ),
    ] {
        let server = ModelServer::start([Answer::stream(format!("{chunk}{tail}"))]);
        let heard = ask(&patient(&server));
        let error = heard.end.unwrap_err();
        assert_eq!((error.kind, error.partial), (kind, true), "{tail}: {error}");
        assert_eq!(heard.text, "half");
        assert_eq!(server.asked().len(), 1);
    }
    let broken = ModelServer::start([Answer::stream("data: overloaded\n\n")]);
    assert!(
        asked(&broken)
            .end
            .unwrap_err()
            .message
            .contains("overloaded")
    );
}

#[test]
fn a_fallback_is_asked_once_when_nothing_came_and_only_then() {
    let refusing = || ModelServer::start([Answer::error(401, "bad key")]);
    let first = refusing();
    let second = ModelServer::start([Answer::stream(fences())]);
    let mut chosen = openai(&first.base());
    chosen.fallback = Some(Box::new(openai(&second.base())));
    let heard = ask(&chosen);
    assert_eq!(heard.text, FENCES_TEXT);
    let told = heard.phases.iter().any(|phase| {
        matches!(phase, Phase::Fallback { to, error } if to == "openai/some-model" && error.kind == Kind::Auth)
    });
    assert!(told, "{:?}", heard.phases);
    let failing = ModelServer::start([Answer::error(503, "busy")]);
    let mut next = patient(&failing);
    next.limits.attempts = 3;
    chosen.fallback = Some(Box::new(next));
    assert_eq!(ask(&chosen).end.unwrap_err().kind, Kind::Overloaded);
    assert_eq!(failing.asked().len(), 1);

    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    let half = ModelServer::start([Answer::stream(chunk)]);
    let unused = ModelServer::start([Answer::stream(fences())]);
    let mut chosen = openai(&half.base());
    chosen.fallback = Some(Box::new(openai(&unused.base())));
    assert_eq!(ask(&chosen).end.unwrap_err().kind, Kind::Truncated);
    assert_eq!(unused.asked().len(), 0);
}

#[test]
fn redirects_are_not_followed_and_no_key_goes_elsewhere() {
    let other = ModelServer::start([Answer::stream(fences())]);
    for status in [301, 302, 303, 307, 308] {
        let to = other.base().replace("http://", "http://user:pass@");
        let redirect = Answer::of(status, "text/html", "moved").header("location", &to);
        let heard = asked(&ModelServer::start([redirect]));
        let error = heard.end.unwrap_err();
        assert_eq!(error.status, Some(status));
        assert!(
            error.message.contains(&other.base()["http://".len()..]),
            "{error}"
        );
        assert!(!error.message.contains("pass"), "{error}");
    }
    assert_eq!(other.asked().len(), 0);
}

#[test]
fn errors_name_the_next_step_and_never_the_key() {
    let server = ModelServer::start([Answer::error(401, &format!("Incorrect API key: {CANARY}."))]);
    let error = asked(&server).end.unwrap_err();
    assert!(error.message.contains("[hidden]"), "{error}");
    assert_eq!(
        server.asked()[0].header("authorization"),
        Some(format!("Bearer {CANARY}").as_str())
    );

    let server = ModelServer::start([Answer::of(404, "text/html", "<title>Not Found</title>")]);
    let base = server.base();
    let bare = base.trim_end_matches("/v1");
    let error = ask(&openai(bare)).end.unwrap_err();
    assert!(error.hint.unwrap().contains(&base));
    assert!(error.message.contains("Not Found"));
    assert_eq!(server.asked()[0].path, "/chat/completions");

    let portal = Answer::of(
        200,
        "text/html",
        "<html><title>Hotel WiFi: log in</title></html>",
    );
    let error = asked(&ModelServer::start([portal])).end.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol);
    assert!(error.message.contains("Hotel WiFi"), "{error}");

    let text = Answer::of(200, "text/plain", "hello").framed(Framing::Length);
    let error = asked(&ModelServer::start([text])).end.unwrap_err();
    assert!(error.message.contains("no event stream"), "{error}");
}

#[test]
fn a_prompt_that_does_not_fit_is_not_sent() {
    let server = ModelServer::start([Answer::stream(fences())]);
    let mut chosen = openai(&server.base());
    (chosen.window, chosen.reserve) = (Some(1000), 989);
    let error = ask(&chosen).end.unwrap_err();
    assert_eq!(error.kind, Kind::ContextTooLong);
    assert!(
        error.message.contains("1001") && error.message.contains("1000"),
        "{error}"
    );
    assert_eq!(server.asked().len(), 0);
    chosen.reserve = 988;
    ask(&chosen).end.unwrap();
}
