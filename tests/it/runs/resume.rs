//! `continue`: after a reply that was stopped, failed, interrupted or simply whole.

use rustix::process::Signal;

use super::{answered, file, messages, pending, project, replying, sent, stopped};

/// One file whole, one left open.
fn half() -> String {
    format!(
        "First.\n\n{}\n```text path=b.txt\nhalf of it\n",
        file("a.txt", "a")
    )
}

#[test]
fn a_stopped_reply_is_gone_on_with_and_its_open_edit_is_not_half_applied() {
    let sandbox = project();
    let outcome = stopped(&sandbox, &["tell", "two files"], &half()).exits(130);
    assert!(outcome.stderr.contains("`plandex continue`"), "{outcome}");
    assert_eq!(pending(&sandbox), ["a.txt"]);
    let sent = sent(&sandbox, &["continue"]);
    let roles: Vec<&str> = sent.iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!(sent[2]["content"].as_str().unwrap(), half());
    let instruction = sent[3]["content"].as_str().unwrap();
    assert!(
        instruction.contains("exactly where it ends"),
        "{instruction}"
    );
    assert!(
        instruction.contains("edits of a.txt were taken"),
        "{instruction}"
    );
    assert!(
        instruction.contains("begin with all edits of b.txt"),
        "{instruction}"
    );
    answered(&sandbox, &["continue"], &file("b.txt", "whole")).ok();
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(sandbox.read("b.txt"), "whole\n");
    // The instruction is nobody's message.
    let said = messages(&sandbox);
    let shape: Vec<(&str, &str)> = said
        .iter()
        .map(|m| (m["role"].as_str().unwrap(), m["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("user", "complete"),
        ("assistant", "stopped"),
        ("assistant", "complete"),
    ];
    assert_eq!(shape, expected);
    let kinds = super::rows(&sandbox, "SELECT kind FROM convo_messages ORDER BY number");
    assert_eq!(kinds, ["tell", "tell", "continue"]);
    let log = sandbox.ok(&["log"]).stdout;
    assert!(log.contains("Continue #3"), "{log}");
    let audit = "SELECT scope FROM repo_locks_audit WHERE reason = 'continue execution'";
    assert_eq!(super::rows(&sandbox, audit), ["w"]);
}

#[test]
fn a_whole_reply_can_be_gone_on_with_under_its_alias() {
    let sandbox = project();
    answered(&sandbox, &["tell", "more"], &file("a.txt", "a")).ok();
    let sent = sent(&sandbox, &["c"]);
    let last = sent.last().unwrap()["content"].as_str().unwrap();
    assert!(
        last.starts_with("Go on: do what is still to be done"),
        "{last}"
    );
    answered(&sandbox, &["c"], &file("b.txt", "b")).ok();
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
}

#[test]
fn a_failed_reply_is_gone_on_with() {
    let sandbox = project();
    let reply = sandbox.place().join("bad.md");
    std::fs::write(
        &reply,
        [file("a.txt", "a").as_bytes(), b"b\xff\xff\n"].concat(),
    )
    .unwrap();
    let failed = sandbox
        .run(&["tell", "x", "--reply", reply.to_str().unwrap()])
        .exits(5);
    assert!(failed.stderr.contains("`plandex continue`"), "{failed}");
    answered(&sandbox, &["continue"], "Nothing else.\n").ok();
    assert_eq!(messages(&sandbox).len(), 3);
}

/// What the dead reply had whole is built by the run that goes on with it.
#[test]
fn an_interrupted_reply_is_gone_on_with() {
    let sandbox = project();
    let run = replying(&sandbox, &["tell", "two files"], &half());
    run.kill();
    // Who only looks repairs nothing, and is told what would be sent all the same.
    let unrepaired = sent(&sandbox, &["continue"]);
    assert_eq!(unrepaired.len(), 4, "{unrepaired:?}");
    let before = sandbox.run(&["diff"]);
    assert!(before.stderr.contains("Repaired:"), "{before}");
    assert_eq!(pending(&sandbox), [""; 0]);
    let sent = sent(&sandbox, &["continue"]);
    assert_eq!(sent, unrepaired);
    let instruction = sent.last().unwrap()["content"].as_str().unwrap();
    assert!(
        instruction.contains("edits of a.txt were taken"),
        "{instruction}"
    );
    answered(&sandbox, &["continue"], &file("b.txt", "whole")).ok();
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
}

/// Whoever asks anew has given the dead reply up.
#[test]
fn what_died_is_not_built_by_another_tell() {
    let sandbox = project();
    replying(&sandbox, &["tell", "two files"], &half()).kill();
    answered(&sandbox, &["tell", "again"], &file("c.txt", "c")).ok();
    assert_eq!(pending(&sandbox), ["c.txt"]);
    let nothing = sandbox.ok(&["build"]);
    assert!(nothing.stderr.contains("Nothing to build"), "{nothing}");
}

#[test]
fn without_a_model_it_says_the_ways_forward_and_changes_nothing() {
    let sandbox = project();
    answered(&sandbox, &["tell", "x"], "Words.\n").ok();
    let before = sandbox.dump();
    let refused = sandbox.run(&["continue"]).exits(4);
    assert!(refused.stderr.contains("--reply FILE"), "{refused}");
    assert_eq!(sandbox.dump(), before);
}

#[test]
fn nothing_to_continue_is_a_usage_error() {
    let sandbox = project();
    let before = sandbox.dump();
    for args in [&["continue"][..], &["continue", "--print-prompt"]] {
        let refused = sandbox.run(args).exits(2);
        assert!(refused.stderr.contains("nothing to continue"), "{refused}");
    }
    let json = sandbox.run(&["continue", "--json"]).exits(2);
    assert!(json.stderr.contains("\"nothing_to_continue\""), "{json}");
    assert_eq!(sandbox.dump(), before);
}

#[test]
fn a_stopped_continuation_can_be_gone_on_with_again() {
    let sandbox = project();
    stopped(&sandbox, &["tell", "x"], "One.\n").exits(130);
    stopped(&sandbox, &["continue"], "Two.\n").exits(130);
    let mut run = replying(&sandbox, &["continue"], "Three.\n");
    run.signal(Signal::TERM);
    run.wait(super::SOON).exits(143);
    let sent = sent(&sandbox, &["continue"]);
    let reply = sent[2]["content"].as_str().unwrap();
    for part in ["One.", "Two.", "Three."] {
        assert!(reply.contains(part), "{reply}");
    }
    assert!(reply.ends_with("Three.\n"), "{reply}");
}

#[test]
fn a_command_goes_on_with_what_it_is_given() {
    let sandbox = project();
    stopped(&sandbox, &["tell", "two files"], &half()).exits(130);
    let given = sandbox.place().join("given");
    let reply = sandbox.write_beside("rest.md", &file("b.txt", "whole"));
    let line = format!("cat > {}; cat {}", given.display(), reply.display());
    sandbox
        .plandex(["continue"])
        .env("PLANDEX_COMMAND", &line)
        .finish()
        .ok();
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
    let given = std::fs::read_to_string(given).unwrap();
    assert!(given.contains(&half()), "{given}");
    assert!(given.contains("exactly where it ends"), "{given}");
    let sources = super::rows(
        &sandbox,
        "SELECT source FROM convo_messages WHERE number = 3",
    );
    assert!(sources[0].starts_with("command"), "{sources:?}");
}
