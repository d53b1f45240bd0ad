//! MODEL.md 1.4's verdicts as a whole run has them: what is kept, what is built, how it exits.

use super::{asking, chunk, file, finished, messages, pending, project, request, stream};
use crate::support::{Answer, Cut, ModelServer};

/// One file whole, one left open.
fn half() -> String {
    format!(
        "First.\n\n{}\n```text path=b.txt\nhalf of it\n",
        file("a.txt", "a")
    )
}

#[test]
fn a_reply_cut_off_at_its_length_builds_what_is_whole_and_is_gone_on_with() {
    let sandbox = project();
    let cut = Answer::stream(stream(&half(), "length"));
    let rest = Answer::stream(stream(&file("b.txt", "whole"), "stop"));
    let server = ModelServer::start([cut, rest]);
    let told = asking(&sandbox, &server, &["tell", "x"]).finish().exits(6);
    assert!(
        told.stderr
            .contains("Error: the reply was cut off at its limit"),
        "{told}"
    );
    assert!(
        told.stderr.contains("Completed: 1/2 file changes"),
        "{told}"
    );
    assert!(
        told.stderr.contains("go on with `plandex continue`"),
        "{told}"
    );
    assert_eq!(pending(&sandbox), ["a.txt"]);
    assert_eq!(messages(&sandbox)[1]["state"], "truncated");
    assert_eq!(messages(&sandbox)[1]["text"], half().as_str());
    asking(&sandbox, &server, &["continue"]).finish().ok();
    let sent = request(&server, 1);
    assert_eq!(sent[2], ("assistant".to_owned(), half()));
    assert!(sent[3].1.contains("exactly where it ends"), "{sent:?}");
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
}

#[test]
fn a_refused_reply_builds_nothing_now_or_later() {
    let sandbox = project();
    let server = ModelServer::start([Answer::stream(stream(&half(), "content_filter"))]);
    let told = asking(&sandbox, &server, &["tell", "x"]).finish().exits(6);
    assert!(told.stderr.contains("filtered or refused"), "{told}");
    assert!(
        told.stderr.contains("Completed: 0/2 file changes"),
        "{told}"
    );
    assert_eq!(pending(&sandbox), [""; 0]);
    let build = sandbox.ok(&["build"]);
    assert!(build.stderr.contains("Nothing to build"), "{build}");
    let sent = super::sent(&sandbox, &["continue"]);
    let instruction = sent[3]["content"].as_str().unwrap();
    assert!(!instruction.contains("were taken"), "{instruction}");
    assert!(
        instruction.contains("edits of a.txt, b.txt were not"),
        "{instruction}"
    );
}

#[test]
fn a_lost_connection_keeps_the_part_and_builds_what_is_whole() {
    let sandbox = project();
    let body = stream(&half(), "stop");
    let cut = Answer::stream(body.clone()).cut(body.len() - finished("stop").len(), Cut::Reset);
    let server = ModelServer::start([cut]);
    let told = asking(&sandbox, &server, &["tell", "x"]).finish();
    assert!([Some(5), Some(6)].contains(&told.code), "{told}");
    assert!(
        told.stderr
            .contains("Operation failed after partial completion."),
        "{told}"
    );
    assert!(told.stderr.contains("`plandex continue`"), "{told}");
    assert_eq!(pending(&sandbox), ["a.txt"]);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_refused_key_is_no_model() {
    let sandbox = project();
    let server = ModelServer::start([Answer::error(401, "invalid api key")]);
    let told = asking(&sandbox, &server, &["tell", "x"]).finish().exits(4);
    assert!(told.stderr.starts_with("model openai/m"), "{told}");
    assert!(
        told.stderr.contains("Operation failed.\n\nError: "),
        "{told}"
    );
    assert!(!told.stderr.contains("file changes"), "{told}");
    // The prompt is kept: the same can be asked again without typing it.
    let again = Answer::stream(stream("Answer.\n", "stop"));
    let server = ModelServer::start([again]);
    asking(&sandbox, &server, &["continue"]).finish().ok();
    let sent = request(&server, 0);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert_eq!(sent[1].1, "x");
}

#[test]
fn what_is_thought_is_no_part_of_the_reply() {
    let body = chunk(&serde_json::json!({"reasoning_content": "```text path=no.txt\nno\n```\n"}))
        + &stream(&file("a.txt", "a"), "stop");
    for args in [&["tell", "x"][..], &["tell", "x", "-v"]] {
        let sandbox = project();
        let server = ModelServer::start([Answer::stream(body.clone())]);
        let told = asking(&sandbox, &server, args).finish().ok();
        assert_eq!(pending(&sandbox), ["a.txt"]);
        assert_eq!(messages(&sandbox)[1]["text"], file("a.txt", "a").as_str());
        assert!(!told.stdout.contains("no.txt"), "{told}");
        // Told on stderr, to those who want to know all.
        assert_eq!(told.stderr.contains("no.txt"), args.len() == 3, "{told}");
    }
}

#[test]
fn a_log_names_each_stage_once_and_a_pause_with_its_length() {
    let sandbox = project();
    let busy = Answer::error(429, "slow down").header("retry-after", "1");
    let body = chunk(&serde_json::json!({"reasoning": "Hm.\n"})) + &stream("Yes.\n", "stop");
    let server = ModelServer::start([busy, Answer::stream(body)]);
    let told = asking(&sandbox, &server, &["tell", "x"]).finish().ok();
    let mut rest = told.stderr.as_str();
    for words in [
        "connecting to 127.0.0.1",
        "waiting for first token\n",
        "slow down",
        "rate limited: retry 2/3 in ",
        "connecting to 127.0.0.1",
        "waiting for first token\n",
        "thinking\n",
        "replying\n",
        "No changes\n",
    ] {
        let at = rest.find(words);
        assert!(at.is_some(), "{words:?} in {told}");
        rest = &rest[at.unwrap() + words.len()..];
    }
    assert_eq!(told.stdout, "Yes.\n");
}
