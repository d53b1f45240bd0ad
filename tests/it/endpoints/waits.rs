//! How long is waited for what: stalls, drips, keep-alives, dead servers, and the word to stop.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use plandex::model::{self, Delta, Kind, Phase};
use plandex::platform::cancel::{Cancel, Reason};

use super::recorded::*;
use super::{LIMIT, ask, asked, openai, request};
use crate::support::{Answer, Cut, ModelServer};

const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_stalled_stream_ends_after_its_idle_time_and_keeps_what_came() {
    let body = fences();
    let at = body.len() / 2;
    let (answer, _hold) = Answer::stream(body).hold(at);
    let server = ModelServer::start([answer]);
    let mut chosen = openai(&server.base());
    chosen.limits.idle = SHORT;
    let begun = Instant::now();
    let heard = ask(&chosen);
    assert!(begun.elapsed() >= SHORT && begun.elapsed() < LIMIT);
    let error = heard.end.unwrap_err();
    assert_eq!((error.kind, error.partial), (Kind::Timeout, true));
    assert!(!heard.text.is_empty() && FENCES_TEXT.starts_with(&heard.text));
}

#[test]
fn a_drip_that_is_slower_than_any_total_is_heard_to_its_end() {
    let server = ModelServer::start([Answer::stream(ODD_USAGE).drip(Duration::from_millis(6))]);
    let mut chosen = openai(&server.base());
    // Much less than the whole takes, much more than a pause.
    let limit = Duration::from_secs(2);
    (chosen.limits.idle, chosen.limits.first_byte) = (limit, limit);
    let begun = Instant::now();
    let heard = ask(&chosen);
    assert_eq!(heard.text, ODD_TEXT);
    assert!(heard.end.is_ok() && begun.elapsed() > chosen.limits.idle);
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut chosen = openai(&format!("http://{}/v1", silent.local_addr().unwrap()));
    (chosen.limits.first_byte, chosen.limits.attempts) = (SHORT, 3);
    let heard = ask(&chosen);
    assert_eq!(heard.end.unwrap_err().kind, Kind::Timeout);
    assert_eq!(heard.phases.last(), Some(&Phase::Waiting));
    // It may be at work, and be paid for it.
    let connects = |phase: &&Phase| matches!(phase, Phase::Connecting { .. });
    assert_eq!(heard.phases.iter().filter(connects).count(), 1);
    // Headers and nothing after them.
    let (answer, hold) = Answer::stream("data: x\n\n").hold(0);
    let server = ModelServer::start([answer]);
    let mut chosen = openai(&server.base());
    chosen.limits.first_byte = SHORT;
    assert_eq!(ask(&chosen).end.unwrap_err().kind, Kind::Timeout);
    hold.release();
}

#[test]
fn nobody_there_is_told_as_such_and_tried_again() {
    let port = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().port()
    };
    let mut chosen = openai(&format!("http://127.0.0.1:{port}/v1"));
    chosen.limits.attempts = 2;
    let heard = ask(&chosen);
    let error = heard.end.unwrap_err();
    assert_eq!(error.kind, Kind::Transport);
    assert!(error.message.contains("refused the connection"), "{error}");
    let connects = heard
        .phases
        .iter()
        .filter(|phase| matches!(phase, Phase::Connecting { .. }));
    assert_eq!(connects.count(), 2);
    let error = ask(&openai("http://no-such-host.invalid/v1"))
        .end
        .unwrap_err();
    assert!(
        matches!(error.kind, Kind::Transport | Kind::Timeout),
        "{error}"
    );
}

#[test]
fn after_the_reason_nothing_is_waited_for_long() {
    let body = fences();
    let at = body.find("data: {\"choices\":[],\"usage\"").unwrap();
    let (answer, hold) = Answer::stream(body).hold(at);
    let server = ModelServer::start([answer]);
    let mut chosen = openai(&server.base());
    chosen.limits.after_finish = SHORT;
    let heard = ask(&chosen);
    assert_eq!(heard.text, FENCES_TEXT);
    assert!(heard.end.unwrap().usage.unwrap().estimated);
    hold.release();
}

#[test]
fn keep_alives_keep_a_stream_and_are_told_of() {
    let body = ": alive\n\n".repeat(800) + &fences();
    // Seven seconds of comments, then the reply.
    let pause = Duration::from_millis(1);
    let server = ModelServer::start([Answer::stream(body).drip(pause)]);
    let mut chosen = openai(&server.base());
    (chosen.limits.idle, chosen.limits.first_byte) = (SHORT * 10, SHORT * 10);
    let heard = ask(&chosen);
    assert_eq!(heard.text, FENCES_TEXT);
    let told = heard.phases.iter().any(
        |phase| matches!(phase, Phase::KeepAlives { silent } if *silent >= Duration::from_secs(5)),
    );
    assert!(told, "{:?}", heard.phases);
}

#[test]
fn the_word_to_stop_ends_every_kind_of_wait_at_once() {
    let body = fences();
    let mid_character = body.find('ß').unwrap() + 1;
    // Before the first byte, in the first chunk, in a character, in the reason, after it.
    let places = [
        0,
        40,
        mid_character,
        body.find("\"stop\"").unwrap() + 3,
        body.find("data: {\"choices\":[],").unwrap(),
    ];
    for at in places {
        let (answer, hold) = Answer::stream(body.clone()).hold(at);
        let server = ModelServer::start([answer]);
        stopped(&openai(&server.base()), || hold.reached());
    }
    // Before any header, and in a pause before it is asked again.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let chosen = openai(&format!("http://{}/v1", silent.local_addr().unwrap()));
    stopped(&chosen, || {
        drop(silent.accept().unwrap());
    });
    let busy = Answer::error(429, "slow down").header("retry-after", "50");
    let server = ModelServer::start([busy]);
    let mut chosen = openai(&server.base());
    chosen.limits.attempts = 3;
    stopped(&chosen, || {
        let asked = crate::support::poll(LIMIT, || (!server.asked().is_empty()).then_some(()));
        asked.unwrap();
    });
}

/// Asks, waits until `ready`, calls it off; it must then end without a word.
#[track_caller]
fn stopped(chosen: &model::Chosen, ready: impl FnOnce()) {
    let cancel = Cancel::new().unwrap();
    let deltas = model::stream(chosen, &request(), &cancel).unwrap();
    ready();
    let begun = Instant::now();
    cancel.set(Reason::Stopped);
    let is_end = |delta: &Delta| matches!(delta, Delta::Finished(_) | Delta::Failed(_));
    let rest: Vec<Delta> = deltas.iter().collect();
    assert!(!rest.iter().any(is_end), "{rest:?}");
    // Generous for a busy machine, and far below every limit that could end it otherwise.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_reader_that_is_slow_is_no_stall_of_the_servers() {
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"0123456789\"}}]}\n\n".repeat(2000);
    let body = chunk
        + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server =
        ModelServer::start([Answer::stream(body).framed(crate::support::Framing::Chunked(60))]);
    let mut chosen = openai(&server.base());
    chosen.limits.idle = SHORT * 4;
    let cancel = Cancel::new().unwrap();
    let deltas = model::stream(&chosen, &request(), &cancel).unwrap();
    // Longer than the idle time, while the channel is full and nothing is read.
    let mut text = 0;
    for (number, delta) in deltas.iter().enumerate() {
        if number == 3 {
            std::thread::sleep(SHORT * 8);
        }
        match delta {
            Delta::Text(more) => text += more.len(),
            Delta::Failed(error) => panic!("{error:?}"),
            Delta::Thinking(_) | Delta::Phase(_) | Delta::Finished(_) => {}
        }
    }
    assert_eq!(text, 20_000);
}

#[test]
fn a_proxy_is_never_between_us_and_this_machine() {
    // The variables are this process's own and cannot be set here: the binary's test does.
    let server = ModelServer::start([Answer::stream(fences()).cut(usize::MAX, Cut::Clean)]);
    assert_eq!(asked(&server).text, FENCES_TEXT);
}
