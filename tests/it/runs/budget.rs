//! The model's window: what is told in short, and what is refused before anything is sent.

use super::{answered, asking, project, request, rows, sent, stream};
use crate::support::{Answer, ModelServer, Sandbox};

/// A project whose model takes `window` tokens, 100 of them for the reply.
fn with_window(window: u64) -> Sandbox {
    let sandbox = project();
    let config = format!("context-window = {window}\nreply-reserve = 100\n");
    std::fs::write(sandbox.state_dir().join("config.toml"), config).unwrap();
    sandbox
}

/// Says so many things, each of some hundred tokens.
fn talk(sandbox: &Sandbox, turns: usize) {
    for turn in 1..=turns {
        let words = format!("Word {turn} of many others. ").repeat(40);
        let question = format!("question {turn}");
        answered(sandbox, &["tell", &question], &format!("{words}\n")).ok();
    }
}

fn played(text: &str) -> Answer {
    Answer::stream(stream(text, "stop"))
}

#[test]
fn a_conversation_that_outgrew_the_window_is_told_in_short() {
    let sandbox = with_window(2800);
    talk(&sandbox, 12);
    let nobody = ModelServer::start([played("never")]);
    let would = asking(&sandbox, &nobody, &["tell", "next", "--print-prompt"]);
    let would = would.finish().ok();
    assert!(nobody.asked().is_empty());
    assert!(would.stderr.contains("would be made"), "{would}");
    let server = ModelServer::start([played("All in short."), played("Answer.\n")]);
    let told = asking(&sandbox, &server, &["tell", "next"]).finish().ok();
    assert!(told.stderr.contains("summarizing messages 1 to "), "{told}");
    assert_eq!(told.stdout, "Answer.\n");
    let first = request(&server, 0);
    assert!(
        first[0].1.contains("You shorten the conversation"),
        "{first:?}"
    );
    assert!(first[1].1.contains("question 1"), "{first:?}");
    assert!(!first[1].1.contains("question 12"), "{first:?}");
    let second = request(&server, 1);
    assert!(
        second[1].1.contains("in short:\n\nAll in short."),
        "{second:?}"
    );
    let all: String = second.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        !all.contains("Word 1 of") && all.contains("question 12"),
        "{all}"
    );
    assert!(second.last().unwrap().1.ends_with("next"), "{second:?}");
    // It is kept, in its table and in the plan's tree, and printed.
    let kept = rows(&sandbox, "SELECT up_to || ' ' || text FROM summaries");
    assert_eq!(kept.len(), 1);
    assert!(kept[0].ends_with(" All in short."), "{kept:?}");
    let summary = sandbox.ok(&["summary"]);
    assert!(summary.stdout.contains("All in short."), "{summary}");
    let json = sandbox.ok(&["summary", "--json"]).json();
    assert_eq!(json["summary"], "All in short.");
    let log = sandbox.ok(&["log"]).stdout;
    assert!(log.contains("Summary of messages 1 to "), "{log}");
    // The next time it is there already, and shown without asking anybody.
    let args = ["tell", "more", "--print-prompt", "--json"];
    let shown = asking(&sandbox, &server, &args).finish().ok().json();
    let shown = shown["messages"].as_array().unwrap().clone();
    assert!(
        shown[1]["content"]
            .as_str()
            .unwrap()
            .contains("All in short."),
        "{shown:?}"
    );
    asking(&sandbox, &server, &["tell", "more"]).finish().ok();
    assert_eq!(server.asked().len(), 3);
    let third = request(&server, 2);
    let shown: Vec<&str> = shown
        .iter()
        .map(|m| m["content"].as_str().unwrap())
        .collect();
    let third: Vec<&str> = third.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(shown, third);
}

#[test]
fn a_context_that_does_not_fit_is_refused_before_anything_is_sent_or_stored() {
    let sandbox = with_window(600);
    sandbox.write("big.txt", "many words of a large file\n".repeat(100));
    sandbox.ok(&["load", "big.txt"]);
    let before = super::rows(&sandbox, "SELECT count(*) FROM convo_messages");
    let server = ModelServer::start([played("never")]);
    let refused = asking(&sandbox, &server, &["tell", "x"]).finish().exits(5);
    assert!(
        refused.stderr.contains("the context is too long: ~"),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("the largest: big.txt ~"),
        "{refused}"
    );
    assert!(refused.stderr.contains("takes 500"), "{refused}");
    let json = asking(&sandbox, &server, &["tell", "x", "--json"])
        .finish()
        .exits(5);
    assert!(json.stderr.contains("\"context_too_long\""), "{json}");
    assert!(server.asked().is_empty());
    assert_eq!(
        super::rows(&sandbox, "SELECT count(*) FROM convo_messages"),
        before
    );
    assert_eq!(super::rows(&sandbox, "SELECT count(*) FROM streams"), ["0"]);
}

#[test]
fn a_summary_that_fails_ends_the_run_and_the_prompt_is_kept() {
    let sandbox = with_window(2800);
    talk(&sandbox, 12);
    let server = ModelServer::start([Answer::error(400, "not today"), played("Fine.\n")]);
    let failed = asking(&sandbox, &server, &["tell", "next"])
        .finish()
        .exits(5);
    assert!(failed.stderr.contains("not today"), "{failed}");
    assert_eq!(server.asked().len(), 1);
    asking(&sandbox, &server, &["continue"]).finish().ok();
    let sent = request(&server, server.asked().len() - 1);
    assert!(sent.last().unwrap().1.ends_with("next"), "{sent:?}");
}

#[test]
fn a_summary_can_be_asked_for_but_not_of_nobody() {
    let sandbox = project();
    answered(&sandbox, &["tell", "why?"], "Because.\n").ok();
    let before = sandbox.dump();
    let refused = sandbox.run(&["summary"]).exits(4);
    assert!(
        refused.stderr.contains("`plandex summary` needs one"),
        "{refused}"
    );
    assert_eq!(sandbox.dump(), before);
    let server = ModelServer::start([played("They asked why.")]);
    let made = asking(&sandbox, &server, &["summary"]).finish().ok();
    assert!(made.stdout.contains("They asked why."), "{made}");
    assert_eq!(sandbox.ok(&["summary"]).stdout, made.stdout);
    let audit = "SELECT scope || ' ' || reason FROM repo_locks_audit ORDER BY id DESC LIMIT 1";
    assert_eq!(rows(&sandbox, audit), ["w summarize conversation"]);
    // What it holds already is not asked for again.
    asking(&sandbox, &server, &["summary", "--make"])
        .finish()
        .ok();
    assert_eq!(server.asked().len(), 1);
    // A conversation that fits is sent whole, whatever there is in short.
    let all = sent(&sandbox, &["tell", "next"]);
    assert!(
        all[1]["content"].as_str().unwrap().contains("why?"),
        "{all:?}"
    );
}
