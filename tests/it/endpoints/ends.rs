//! The truth table of endings, row by row, over real connections.

use plandex::model::{Finish, Kind, Usage};

use super::recorded::*;
use super::{anthropic, ask, asked, openai};
use crate::support::{Answer, Cut, Framing, ModelServer};

fn chunk(text: &str, reason: Option<&str>) -> String {
    let chunk = serde_json::json!({
        "choices": [{"delta": {"content": text}, "finish_reason": reason}],
    });
    format!("data: {chunk}\n\n")
}

#[test]
fn three_recorded_replies_are_heard_whole_in_every_framing() {
    let usage = Some(Usage {
        input: 31,
        output: 17,
        estimated: false,
    });
    let sizes = [1, 3, 4096].map(Framing::Chunked);
    for framing in sizes.into_iter().chain([Framing::Length, Framing::Close]) {
        for (body, text) in [(fences(), FENCES_TEXT), (ODD_USAGE.to_owned(), ODD_TEXT)] {
            let server = ModelServer::start([Answer::stream(body).framed(framing)]);
            let heard = asked(&server);
            let finished = heard.end.unwrap();
            assert_eq!((heard.text.as_str(), finished.finish), (text, Finish::Stop));
            assert_eq!(finished.usage, usage);
            assert_eq!(finished.provenance, "openai:some-model");
            let asked = &server.asked()[0];
            assert_eq!(asked.path, "/v1/chat/completions");
            assert_eq!(asked.body["messages"][0]["role"], "system");
            assert_eq!(asked.header("accept-encoding"), Some("identity"));
            assert_eq!(asked.body["max_tokens"], serde_json::Value::Null);
        }
        let server = ModelServer::start([Answer::stream(ANTHROPIC).framed(framing)]);
        let heard = ask(&anthropic(&server.base()));
        let finished = heard.end.unwrap();
        assert_eq!(
            (heard.text.as_str(), finished.finish),
            (ANTHROPIC_TEXT, Finish::Stop)
        );
        assert_eq!(heard.thinking, "Hm ß.");
        assert_eq!(
            finished.usage.map(|usage| (usage.input, usage.output)),
            Some((8, 5))
        );
        let asked = &server.asked()[0];
        assert_eq!(asked.path, "/v1/messages");
        assert_eq!(asked.body["system"], "You change files.");
        assert_eq!(asked.body["messages"].as_array().unwrap().len(), 1);
        assert!(asked.body["max_tokens"].as_u64().unwrap() > 0);
        assert_eq!(asked.header("x-api-key"), Some(super::CANARY));
        assert_eq!(asked.header("anthropic-version"), Some("2023-06-01"));
    }
}

/// The reason, whether `[DONE]` comes, how the connection ends, the text; what that is.
type Row<'a> = (
    Option<&'a str>,
    bool,
    &'a [Cut],
    &'a str,
    Result<Finish, Kind>,
);

#[test]
fn every_row_of_the_table_of_endings() {
    let all = [Cut::Clean, Cut::Unterminated, Cut::Reset];
    let done = "data: [DONE]\n\n";
    let finish = |finish| Ok(finish);
    let fails = |kind| Err(kind);
    let rows: [Row; 13] = [
        (Some("stop"), false, &all, "text", finish(Finish::Stop)),
        (Some("stop"), true, &all, "text", finish(Finish::Stop)),
        (Some("length"), false, &all, "text", finish(Finish::Length)),
        (Some("length"), true, &all, "text", finish(Finish::Length)),
        (
            Some("content_filter"),
            true,
            &all,
            "text",
            finish(Finish::Refused),
        ),
        (Some("error"), true, &all, "text", fails(Kind::Reported)),
        (
            Some("tool_calls"),
            true,
            &all,
            "text",
            fails(Kind::Protocol),
        ),
        (None, true, &all, "text", finish(Finish::UnmarkedEnd)),
        (None, true, &all, "", fails(Kind::Truncated)),
        (None, false, &all[..1], "text", fails(Kind::Truncated)),
        (None, false, &all[1..], "text", fails(Kind::Transport)),
        (Some("stop"), true, &all, "", fails(Kind::Empty)),
        (None, false, &all, "", fails(Kind::Transport)),
    ];
    for (reason, is_done, cuts, text, expected) in rows {
        let body = chunk(text, reason) + if is_done { done } else { "" };
        for cut in cuts {
            let answer = Answer::stream(body.clone()).cut(body.len(), *cut);
            let heard = asked(&ModelServer::start([answer]));
            let row = format!("{reason:?} {is_done} {cut:?} {text:?}: {:?}", heard.end);
            assert_eq!(heard.text, text, "{row}");
            match (&heard.end, expected) {
                (Ok(finished), Ok(finish)) => assert_eq!(finished.finish, finish, "{row}"),
                (Err(error), Err(kind)) => {
                    assert_eq!(error.kind, kind, "{row}");
                    assert_eq!(error.partial, !text.is_empty(), "{row}");
                }
                _ => panic!("{row}"),
            }
        }
    }
}

#[test]
fn a_closed_connection_is_truncated_whatever_its_framing_cannot_say() {
    let body = chunk("half", None);
    let closed = Answer::stream(body.clone()).framed(Framing::Close);
    let heard = asked(&ModelServer::start([closed]));
    assert_eq!(heard.end.unwrap_err().kind, Kind::Truncated);
    let short = Answer::stream(body.clone() + "xxxxxxxx").framed(Framing::Length);
    let heard = asked(&ModelServer::start([
        short.cut(body.len(), Cut::Unterminated)
    ]));
    let error = heard.end.unwrap_err();
    assert_eq!((error.kind, error.partial), (Kind::Transport, true));
}

#[test]
fn a_server_that_does_not_stream_is_understood() {
    let whole = r#"{"choices":[{"message":{"role":"assistant","content":"all <b>"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let json =
        |body: &str| ModelServer::start([Answer::of(200, "application/json; charset=utf-8", body)]);
    let heard = asked(&json(whole));
    assert_eq!(heard.text, "all <b>");
    assert_eq!(heard.end.unwrap().usage.unwrap().input, 3);
    let message = r#"{"type":"message","content":[{"type":"text","text":"all"}],"stop_reason":"max_tokens",
        "usage":{"input_tokens":3,"output_tokens":2}}"#;
    let heard = ask(&anthropic(&json(message).base()));
    assert_eq!(heard.text, "all");
    assert_eq!(heard.end.unwrap().finish, Finish::Length);
    // A stream that is called JSON is one.
    for media in ["application/json", "text/plain", "application/octet-stream"] {
        let server = ModelServer::start([Answer::of(200, media, fences())]);
        let heard = asked(&server);
        assert_eq!(heard.text, FENCES_TEXT);
        assert_eq!(heard.end.unwrap().finish, Finish::Stop);
    }
    let half = Answer::of(200, "application/json", chunk("half", None));
    let heard = asked(&ModelServer::start([half]));
    assert_eq!(heard.end.unwrap_err().kind, Kind::Truncated);
    let cut = Answer::of(200, "application/json", whole).cut(40, Cut::Clean);
    let heard = asked(&ModelServer::start([cut]));
    assert_eq!(heard.end.unwrap_err().kind, Kind::Protocol);
    let cut = Answer::of(200, "application/json", whole).cut(40, Cut::Reset);
    let heard = asked(&ModelServer::start([cut]));
    assert_eq!(heard.end.unwrap_err().kind, Kind::Transport);
}

#[test]
fn thinking_in_the_text_is_told_apart_and_only_thinking_is_an_empty_reply() {
    let body =
        chunk("<thi", None) + &chunk("nk>hm</think>\n\nans", None) + &chunk("wer", Some("stop"));
    let heard = asked(&ModelServer::start([Answer::stream(body)]));
    assert_eq!(
        (heard.thinking.as_str(), heard.text.as_str()),
        ("hm", "answer")
    );
    let body =
        "data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"},\"finish_reason\":\"stop\"}]}\n\n";
    let heard = asked(&ModelServer::start([Answer::stream(body)]));
    assert_eq!(heard.thinking, "hm");
    let error = heard.end.unwrap_err();
    assert_eq!((error.kind, error.partial), (Kind::Empty, true));
}

#[test]
fn a_prompt_that_was_read_in_part_is_warned_of() {
    let body = chunk("text", Some("stop"))
        + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":400,\"completion_tokens\":1}}\n\n";
    let server = ModelServer::start([Answer::stream(body)]);
    let cancel = plandex::platform::cancel::Cancel::new().unwrap();
    let mut request = super::request();
    request.estimate = 9000;
    let deltas = plandex::model::stream(&openai(&server.base()), &request, &cancel).unwrap();
    let all: Vec<_> = deltas.iter().collect();
    let warned = all.iter().any(|delta| {
        matches!(delta, plandex::model::Delta::Phase(plandex::model::Phase::Warning {
            code: "prompt_truncated", message,
        }) if message.contains("400") && message.contains("9000"))
    });
    assert!(warned, "{all:?}");
}
