//! `--fix-tries`: hunks that did not fit are asked for again, and nothing else is.

use rustix::process::Signal;

use super::{SOON, asking, file, messages, pending, project, request, rows, stream};
use crate::support::{Answer, ModelServer, Sandbox};

fn hunk(search: &str, replace: &str) -> String {
    format!("src/two.rs\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n")
}

/// A project whose `src/two.rs` has two lines to change.
fn two_lines() -> Sandbox {
    let sandbox = project();
    sandbox.write("src/two.rs", "let first = 1;\nlet second = 2;\n");
    sandbox
}

/// One file good, and one of two hunks of another that does not fit.
fn reply() -> String {
    file("a.txt", "a")
        + "\n"
        + &hunk("let first = 1;", "let first = 10;")
        + "\n"
        + &hunk("let secund = 2;", "let second = 20;")
}

fn played(text: &str) -> Answer {
    Answer::stream(stream(text, "stop"))
}

#[test]
fn what_did_not_fit_is_asked_for_again_and_built_with_what_did() {
    let sandbox = two_lines();
    let fixed = hunk("let second = 2;", "let second = 20;");
    let server = ModelServer::start([played(&reply()), played(&fixed)]);
    let told = asking(&sandbox, &server, &["tell", "x"]).finish().ok();
    assert!(
        told.stderr.contains("asking again for src/two.rs (1 of 2)"),
        "{told}"
    );
    assert!(told.stderr.ends_with("`plandex apply`\n"), "{told}");
    assert!(!told.stderr.contains("Operation failed"), "{told}");
    assert_eq!(server.asked().len(), 2);
    let (role, question) = request(&server, 1).pop().unwrap();
    assert_eq!(role, "user");
    assert!(question.contains("All others are done"), "{question}");
    assert!(question.contains("let secund = 2;"), "{question}");
    assert!(question.contains("let second = 2;"), "{question}");
    assert!(!question.contains("let first"), "{question}");
    // Both replies are messages, the question is nobody's; one ticket, one run.
    let kinds = rows(
        &sandbox,
        "SELECT kind || ' ' || role FROM convo_messages ORDER BY number",
    );
    assert_eq!(kinds, ["tell user", "tell assistant", "fix assistant"]);
    assert_eq!(messages(&sandbox)[2]["text"], fixed.as_str());
    assert_eq!(rows(&sandbox, "SELECT count(*) FROM streams"), ["1"]);
    let tells = "SELECT count(*) FROM repo_locks_audit WHERE reason = 'tell execution'";
    assert_eq!(rows(&sandbox, tells), ["1"]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(
        sandbox.read("src/two.rs"),
        "let first = 10;\nlet second = 20;\n"
    );
    assert_eq!(sandbox.read("a.txt"), "a\n");
}

#[test]
fn it_is_asked_so_often_and_no_more_and_what_was_built_stays() {
    let wrong = hunk("let secnd = 2;", "let second = 20;");
    for (args, asked) in [
        (&["tell", "x"][..], 3),
        (&["tell", "x", "--fix-tries", "1"], 2),
        (&["tell", "x", "--fix-tries", "0"], 1),
    ] {
        let sandbox = two_lines();
        let server = ModelServer::start([played(&reply()), played(&wrong)]);
        let told = asking(&sandbox, &server, args).finish().exits(3);
        assert_eq!(server.asked().len(), asked, "{told}");
        assert_eq!(pending(&sandbox), ["a.txt"]);
        assert!(
            told.stderr.contains("Completed: 1/2 file changes"),
            "{told}"
        );
        // A later build tries what was tried last, with the hunk that did fit.
        if asked == 2 {
            sandbox.write("src/two.rs", "let first = 1;\nlet secnd = 2;\n");
            sandbox.ok(&["build"]);
            sandbox.ok(&["apply", "-y"]);
            assert_eq!(
                sandbox.read("src/two.rs"),
                "let first = 10;\nlet second = 20;\n"
            );
        }
    }
}

#[test]
fn it_stops_when_it_is_told_to() {
    let sandbox = two_lines();
    let (held, hold) = played(&hunk("let second = 2;", "let second = 20;")).hold(40);
    let server = ModelServer::start([played(&reply()), held]);
    let mut run = asking(&sandbox, &server, &["tell", "x"]).start();
    hold.reached();
    run.signal(Signal::INT);
    let stopped = run.wait(SOON).exits(130);
    assert!(stopped.stderr.contains("`plandex continue`"), "{stopped}");
    assert_eq!(pending(&sandbox), ["a.txt"]);
    let states = rows(&sandbox, "SELECT state FROM convo_messages ORDER BY number");
    assert_eq!(states, ["complete", "complete", "stopped"]);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_model_that_fails_then_leaves_what_was_built() {
    let sandbox = two_lines();
    let refused = Answer::error(400, "no more of this");
    let server = ModelServer::start([played(&reply()), refused]);
    let failed = asking(&sandbox, &server, &["tell", "x"]).finish().exits(5);
    assert!(failed.stderr.contains("Error: "), "{failed}");
    assert!(failed.stderr.contains("no more of this"), "{failed}");
    assert!(
        failed.stderr.contains("Completed: 1/2 file changes"),
        "{failed}"
    );
    assert_eq!(pending(&sandbox), ["a.txt"]);
    // What is gone on from is the reply that there is.
    let sent = super::sent(&sandbox, &["continue"]);
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert_eq!(sent[2]["content"], reply().as_str());
    let last = sent[3]["content"].as_str().unwrap();
    assert!(last.starts_with("Go on: "), "{last}");
}

/// Killed in the second reply: the first is whole, and what it built stays.
#[test]
fn a_death_in_a_fix_keeps_the_first_reply() {
    let sandbox = two_lines();
    let (held, hold) = played("Again.\nAnd more.\n").hold(100);
    let server = ModelServer::start([played(&reply()), held]);
    let run = asking(&sandbox, &server, &["tell", "x"]).start();
    hold.reached();
    run.kill();
    sandbox.run(&["diff"]);
    assert_eq!(pending(&sandbox), ["a.txt"]);
    let said = messages(&sandbox);
    assert_eq!(said[1]["state"], "complete");
    assert_eq!(said[1]["text"], reply().as_str());
    assert_eq!(said[2]["state"], "interrupted");
    assert!(
        !said[2]["text"].as_str().unwrap().contains("let first"),
        "{said:?}"
    );
}
