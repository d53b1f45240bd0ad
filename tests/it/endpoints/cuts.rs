//! Recorded replies cut at every single byte, in every way: none is taken for whole.

use std::sync::atomic::{AtomicUsize, Ordering};

use plandex::model::{Chosen, Kind};

use super::recorded::*;
use super::{Heard, anthropic, ask, openai};
use crate::support::{Answer, Cut, ModelServer};

/// Cuts `body` everywhere; `ended_at` is where the reason of the end is complete.
fn cut_everywhere(body: &str, ended_at: usize, text: &str, chosen: fn(&str) -> Chosen) {
    let next = AtomicUsize::new(0);
    let cuts = [Cut::Clean, Cut::Unterminated, Cut::Reset];
    // The cuts of a stream need not wait for each other.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let (at, how) = (number / cuts.len(), cuts[number % cuts.len()]);
                    if at >= body.len() {
                        return;
                    }
                    let answer = Answer::stream(body).cut(at, how);
                    let server = ModelServer::start([answer]);
                    check(&ask(&chosen(&server.base())), at, how, ended_at, text);
                }
            });
        }
    });
}

fn check(heard: &Heard, at: usize, how: Cut, ended_at: usize, text: &str) {
    let shown = format!("cut at {at} {how:?}: {heard:?}");
    assert!(text.starts_with(&heard.text), "{shown}");
    match &heard.end {
        // A reset may take bytes with it that were sent.
        Ok(_) => assert!(at >= ended_at && heard.text == text, "{shown}"),
        Err(error) => {
            assert!(at < ended_at || how == Cut::Reset, "{shown}");
            let expected = match how {
                Cut::Clean if error.partial => Kind::Truncated,
                Cut::Clean | Cut::Unterminated | Cut::Reset => Kind::Transport,
            };
            assert_eq!(error.kind, expected, "{shown}");
            let has_begun = !heard.text.is_empty() || !heard.thinking.is_empty();
            assert_eq!(error.partial, has_begun, "{shown}");
        }
    }
}

/// The first byte at which `mark` has come with the brace that closes its chunk.
fn end_of(body: &str, mark: &str) -> usize {
    let at = body.find(mark).unwrap();
    at + body[at..].find('\n').unwrap()
}

#[test]
fn fences_across_chunks() {
    let body = fences();
    // A line's end may be a CR whose LF is still to come; none of these has one.
    let ended_at = end_of(&body, "\"finish_reason\":\"stop\"");
    cut_everywhere(&body, ended_at, FENCES_TEXT, openai);
}

#[test]
fn anthropics_events() {
    let ended_at = end_of(ANTHROPIC, "\"stop_reason\":\"end_turn\"");
    cut_everywhere(ANTHROPIC, ended_at, ANTHROPIC_TEXT, anthropic);
}

#[test]
fn usage_in_odd_places() {
    let ended_at = end_of(ODD_USAGE, "\"finish_reason\":\"stop\"") - 1;
    cut_everywhere(ODD_USAGE, ended_at, ODD_TEXT, openai);
}
