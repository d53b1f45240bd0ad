//! `chat`: an answer, and never a change.

use super::{answered, file, pending, project, sent, stopped};

#[test]
fn its_edits_are_never_built() {
    let sandbox = project();
    let answer = format!("You could write:\n\n{}\nOr not.\n", file("a.txt", "a"));
    let outcome = answered(&sandbox, &["chat", "how?"], &answer).ok();
    // All of it is text, the edit included.
    assert_eq!(outcome.stdout, answer);
    assert_eq!(outcome.stderr, "");
    assert_eq!(pending(&sandbox), [""; 0]);
    assert!(sandbox.ok(&["build"]).stderr.contains("Nothing to build"));
    answered(&sandbox, &["tell", "something else"], &file("b.txt", "b")).ok();
    assert_eq!(pending(&sandbox), ["b.txt"]);
    let kinds = super::rows(&sandbox, "SELECT kind FROM convo_messages ORDER BY number");
    assert_eq!(kinds, ["chat", "chat", "tell", "tell"]);
    let convo = sandbox.ok(&["convo"]).stdout;
    assert!(convo.contains("#1 user, chat  "), "{convo}");
    assert!(convo.contains("#3 user  "), "{convo}");
    let audit = "SELECT DISTINCT reason FROM repo_locks_audit WHERE scope = 'w' ORDER BY id";
    let reasons = super::rows(&sandbox, audit);
    assert!(reasons.contains(&"chat".to_owned()), "{reasons:?}");
}

#[test]
fn what_cannot_be_read_as_an_edit_is_no_mistake_in_an_answer() {
    let sandbox = project();
    let answer = "src/lib.rs\n<<<<<<< SEARCH\nhello\n";
    let outcome = answered(&sandbox, &["ch", "how?"], answer).ok();
    assert_eq!(outcome.stdout, answer);
    assert!(!outcome.stderr.contains("warning"), "{outcome}");
    let json = answered(&sandbox, &["chat", "how?", "--json"], &file("a.txt", "a")).ok();
    assert!(json.stdout.contains("\"kind\":\"chat\""), "{json}");
    assert!(!json.stdout.contains("\"file."), "{json}");
}

#[test]
fn a_stopped_answer_goes_on_as_an_answer() {
    let sandbox = project();
    stopped(&sandbox, &["chat", "how?"], "You could\n").exits(130);
    let sent = sent(&sandbox, &["continue"]);
    assert!(!sent[0]["content"].as_str().unwrap().contains("SEARCH"));
    answered(&sandbox, &["continue"], &file("a.txt", "a")).ok();
    assert_eq!(pending(&sandbox), [""; 0]);
    assert!(sandbox.ok(&["build"]).stderr.contains("Nothing to build"));
}

#[test]
fn without_a_model_there_is_nobody_to_ask() {
    let sandbox = project();
    let before = sandbox.dump();
    for text in ["why?", &file("a.txt", "a")] {
        let refused = sandbox.run(&["chat", text]).exits(4);
        assert!(
            refused.stderr.contains("`plandex chat` needs one"),
            "{refused}"
        );
    }
    assert_eq!(sandbox.dump(), before);
}
