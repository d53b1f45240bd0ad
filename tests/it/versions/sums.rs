//! A conversation is read page by page, and its tokens are known without reading it.

use plandex::context::estimate_tokens;

use crate::crash_points::{TWO_FILES, project};
use crate::support::Sandbox;

/// Conversation and context cost what their texts do.
#[track_caller]
fn check(sandbox: &Sandbox, what: &str) {
    let current = sandbox.ok(&["current", "--json"]).json();
    let convo = sandbox.ok(&["convo", "--json"]).json();
    let texts = convo["messages"].as_array().unwrap().iter();
    let said: u64 = texts
        .map(|message| estimate_tokens(message["text"].as_str().unwrap()))
        .sum();
    assert_eq!(current["convoTokens"], said, "{what}");
    let shown = &sandbox.ok(&["ls", "--json"]).json()["totalTokens"];
    assert_eq!(&current["contextTokens"], shown, "{what}");
}

#[test]
fn the_tokens_of_a_branch_are_those_of_what_it_holds() {
    let sandbox = project();
    let reply = sandbox.write_beside("reply.md", TWO_FILES);
    check(&sandbox, "nothing said");
    for command in [
        &["tell", TWO_FILES] as &[&str],
        &["rewind"],
        &["rewind", "--undo"],
        &[
            "tell",
            "--no-build",
            "--reply",
            reply.to_str().unwrap(),
            "again",
        ],
        &["checkout", "-b", "side"],
        &["chat", "--reply", reply.to_str().unwrap(), "and now?"],
        &["rm", "a.txt"],
        &["rewind", "2"],
    ] {
        sandbox.ok(command);
        check(&sandbox, &command.join(" "));
    }
}

#[test]
fn a_long_conversation_is_read_in_pages() {
    let sandbox = project();
    let database = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    // Of which nobody counted the tokens, as in a database of the first version.
    database
        .execute(
            "WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 1200)
             INSERT INTO convo_messages (id, branch_id, number, role, source, text, state,
                created_at, completed_at)
             SELECT 'message-' || n, (SELECT id FROM branches), n, 'user', 'user', 'it is ' || n,
                'complete', 1, 1 FROM many",
            [],
        )
        .unwrap();
    drop(database);
    check(&sandbox, "nobody counted");
    let plain = |range: &[&str]| sandbox.ok(&[&["convo", "-p"], range].concat()).stdout;
    let expected = |from: usize, to: usize| -> String {
        (from..=to)
            .map(|number| format!("it is {number}\n"))
            .collect()
    };
    assert_eq!(plain(&[]), expected(1, 1200));
    assert_eq!(plain(&["499-502"]), expected(499, 502));
    assert_eq!(plain(&["1199-"]), expected(1199, 1200));
    let refused = sandbox.run(&["convo", "1201"]);
    assert!(
        refused.stderr.contains("the last one is 1200"),
        "{refused:?}"
    );
}
