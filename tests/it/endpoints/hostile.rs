//! Endpoints that mean harm, or might as well.

use std::io::Write as _;
use std::time::Duration;

use plandex::model::{self, Delta, Finish, Kind};
use plandex::platform::cancel::Cancel;
use plandex::platform::process;

use super::recorded::fences;
use super::{ask, asked, openai, request};
use crate::support::{Answer, Framing, ModelServer};

fn chunk(text: &str) -> String {
    let chunk = serde_json::json!({"choices": [{"delta": {"content": text}}]});
    format!("data: {chunk}\n\n")
}

const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

#[test]
fn a_reply_without_an_end_is_bounded_and_so_is_the_memory_for_it() {
    // 1 MiB of text a chunk, for ever.
    let body = chunk(&"0123456789abcde\n".repeat(1 << 16));
    let server = ModelServer::start([Answer::stream(body).repeated(1 << 10)]);
    let before = process::resident_bytes(std::process::id()).unwrap();
    let cancel = Cancel::new().unwrap();
    let deltas = model::stream(&openai(&server.base()), &request(), &cancel).unwrap();
    let (mut bytes, mut most) = (0, before);
    let mut end = None;
    for delta in deltas {
        match delta {
            Delta::Text(text) => bytes += text.len(),
            Delta::Failed(error) => end = Some(error),
            Delta::Thinking(_) | Delta::Phase(_) | Delta::Finished(_) => {}
        }
        most = most.max(process::resident_bytes(std::process::id()).unwrap());
    }
    let error = end.unwrap();
    assert_eq!((error.kind, error.partial), (Kind::Protocol, true));
    assert!(error.message.contains("67108864"), "{error}");
    assert!(bytes <= 64 << 20);
    // Not the reply, which whoever listens keeps: the stream itself. Other tests of this process
    // take memory too.
    eprintln!(
        "64 MiB streamed: {} MiB more at most",
        (most - before) >> 20
    );
    assert!(most - before < 512 << 20, "{}", most - before);
}

#[test]
fn a_line_of_a_megabyte_is_a_line_and_one_without_an_end_is_refused() {
    let text = "x".repeat(1 << 20);
    let body = chunk(&text) + STOP;
    let heard = asked(&ModelServer::start([Answer::stream(body)]));
    assert_eq!(heard.text.len(), text.len());
    assert_eq!(heard.end.unwrap().finish, Finish::Stop);
    let endless = Answer::stream("data: ".to_owned() + &text).repeated(64);
    let error = asked(&ModelServer::start([endless])).end.unwrap_err();
    assert_eq!(error.kind, Kind::Protocol);
    assert!(error.message.contains("longer than"), "{error}");
}

#[test]
fn bytes_that_are_no_utf8_are_an_error_at_every_place() {
    let body = chunk("one") + &chunk("two");
    let first = chunk("one").len();
    let at = first + body[first..].find("two").unwrap();
    let corrupted = Answer::stream(body + STOP).corrupted(at, 0xff);
    let heard = asked(&ModelServer::start([corrupted]));
    let error = heard.end.unwrap_err();
    assert_eq!(
        (heard.text.as_str(), error.kind, error.partial),
        ("one", Kind::Protocol, true)
    );
    assert!(error.message.contains(&format!("byte {at}")), "{error}");
}

#[test]
fn a_compressed_answer_is_refused_unread() {
    // A gzip header and rubbish: were it unpacked, that would be another error.
    let bomb = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].repeat(1000);
    for status in [200, 500] {
        let answer = Answer::of(status, "text/event-stream", bomb.clone());
        let server = ModelServer::start([answer.header("content-encoding", "gzip")]);
        let error = asked(&server).end.unwrap_err();
        assert!(error.message.contains("compressed"), "{error}");
        assert!(matches!(error.kind, Kind::Protocol | Kind::Overloaded));
    }
}

#[test]
fn what_is_no_http_is_told_as_such() {
    for raw in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nxx",
        "HTTP/9.9 abc\r\n\r\n",
        "",
    ] {
        let error = asked(&ModelServer::start([Answer::raw(raw)]))
            .end
            .unwrap_err();
        assert!(
            matches!(error.kind, Kind::Protocol | Kind::Transport),
            "{raw:?} {error:?}"
        );
    }
    let mut endless = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    endless.resize(4 << 20, b'x');
    let error = asked(&ModelServer::start([Answer::raw(endless)]))
        .end
        .unwrap_err();
    assert!(
        matches!(error.kind, Kind::Protocol | Kind::Transport),
        "{error:?}"
    );
}

#[test]
fn errors_of_any_size_and_content_stay_one_line() {
    let long = format!(
        "\u{1b}]52;c;aGk=\u{7}\u{9b}31m\nline {}",
        "x".repeat(1 << 20)
    );
    for answer in [
        Answer::error(400, &long),
        Answer::of(400, "text/plain", long.clone()),
        Answer::stream(format!("data: {long}\n\n")),
    ] {
        let error = asked(&ModelServer::start([answer])).end.unwrap_err();
        let shown = error.to_string();
        assert!(
            shown.len() < 4000 && !shown.chars().any(char::is_control),
            "{shown}"
        );
    }
}

#[test]
fn data_after_the_end_and_repeated_ends_change_nothing() {
    let body = chunk("text") + STOP + &chunk(" more") + STOP + "data: [DONE]\n\n" + &chunk("late");
    let heard = asked(&ModelServer::start([Answer::stream(body)]));
    assert_eq!(heard.end.unwrap().finish, Finish::Stop);
    assert!(!heard.text.contains("late"), "{}", heard.text);
    // A refusal is not taken back by a later `stop`.
    let refused = "data: {\"choices\":[{\"delta\":{\"refusal\":\"no\"}}]}\n\n";
    let heard = asked(&ModelServer::start([Answer::stream(
        chunk("a") + refused + STOP,
    )]));
    assert_eq!(heard.end.unwrap().finish, Finish::Refused);
}

#[test]
fn a_connection_that_dies_after_a_length_was_announced_is_lost() {
    let body = chunk("half");
    let announced = Answer::stream(body.clone() + STOP).framed(Framing::Length);
    let at = body.len() + 3;
    let heard = asked(&ModelServer::start([
        announced.cut(at, crate::support::Cut::Unterminated)
    ]));
    assert_eq!(heard.end.unwrap_err().kind, Kind::Transport);
}

#[test]
fn a_server_that_takes_no_request_is_given_up() {
    // It accepts, and reads nothing: a prompt larger than the buffers between us stays unsent.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let chosen = openai(&format!("http://{}/v1", listener.local_addr().unwrap()));
    let mut large = request();
    large.messages[1].content = "x".repeat(64 << 20);
    let cancel = Cancel::new().unwrap();
    let deltas = model::stream(&chosen, &large, &cancel).unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    assert!(matches!(
        deltas.recv().unwrap(),
        Delta::Phase(model::Phase::Connecting { .. })
    ));
    cancel.set(plandex::platform::cancel::Reason::Stopped);
    assert!(deltas.recv_timeout(Duration::from_secs(5)).is_err());
    connection.write_all(b"late").ok();
}

#[test]
fn a_half_open_connection_ends_with_the_idle_time() {
    let (answer, hold) = Answer::stream(chunk("half")).hold(chunk("half").len());
    let server = ModelServer::start([answer]);
    let mut chosen = openai(&server.base());
    chosen.limits.idle = Duration::from_millis(200);
    let heard = ask(&chosen);
    assert_eq!(heard.text, "half");
    assert_eq!(heard.end.unwrap_err().kind, Kind::Timeout);
    hold.release();
}

#[test]
fn no_byte_that_is_changed_or_repeated_makes_up_an_end() {
    let body = fences();
    let unfinished = body
        .find("data: {\"choices\":[{\"index\":0,\"delta\":{},")
        .unwrap();
    let body = &body[..unfinished];
    let check = |answer: Answer, what: String| {
        let heard = asked(&ModelServer::start([answer]));
        assert!(heard.end.is_err(), "{what}: {heard:?}");
    };
    for at in (0..body.len()).step_by(11) {
        for byte in [b'\n', b'\r', b'"', b':', 0, 0x80, 0xff] {
            let answer = Answer::stream(body).corrupted(at, byte);
            check(answer, format!("{byte} at {at}"));
        }
        let end = (at + 97).min(body.len());
        for range in [at..at + 1, at..end] {
            let answer = Answer::stream(body).duplicated(range.clone());
            check(answer, format!("{range:?} twice"));
        }
    }
}
