//! What became outdated: `update`, and runs that would send it.

use super::{asking, expect, names, project, reply, subject};
use crate::support::{Answer, ModelServer, Sandbox};

fn server(answers: usize) -> ModelServer {
    let answer = || Answer::stream(reply("Done.\n", 400));
    ModelServer::start((0..answers).map(|_| answer()).collect::<Vec<_>>())
}

/// What the model was told first, the `number`-th time.
fn told(server: &ModelServer, number: usize) -> String {
    let asked = server.asked();
    let content = &asked[number].body["messages"][0]["content"];
    content.as_str().unwrap().to_owned()
}

/// A project whose README.md was loaded and changed, and whose src/lib.rs was loaded and removed.
fn outdated() -> Sandbox {
    let sandbox = project();
    sandbox.ok(&["load", "README.md", "src/lib.rs", "src/main.rs"]);
    sandbox.write(
        "README.md",
        "# Scratch\n\nNow with another text that is longer.\n",
    );
    std::fs::remove_file(sandbox.root().join("src/lib.rs")).unwrap();
    sandbox
}

#[test]
fn update_lists_what_changed_and_what_is_gone_with_their_tokens() {
    let sandbox = outdated();
    expect(
        &sandbox.run(&["update"]),
        r"$ plandex update
--- stderr
M README.md  +1 token
D src/lib.rs  -15 tokens
error: update needs a confirmation, and there is no terminal to ask on
hint: `plandex update --yes`; nothing was changed
--- exit 9
",
    );
    assert_eq!(names(&sandbox).len(), 3);
    expect(
        &sandbox.run(&["u", "-y", "README.md"]),
        r"$ plandex u -y README.md
--- stdout
M README.md  +1 token
--- stderr
1 item updated; ~42 tokens loaded
--- exit 0
",
    );
    assert_eq!(subject(&sandbox), "Update README.md");
    let json = sandbox.ok(&["update", "--yes", "--json"]).json();
    assert_eq!(json["updated"][0]["name"], "src/lib.rs");
    assert_eq!(json["updated"][0]["change"], "deleted");
    assert_eq!(json["updated"][0]["tokenDelta"], -15);
    assert_eq!(names(&sandbox), ["README.md", "src/main.rs"]);
    let again = sandbox.ok(&["update"]);
    assert_eq!(
        (again.stdout.as_str(), again.stderr.as_str()),
        ("", "Nothing is outdated\n")
    );
}

#[test]
fn update_asks_on_a_terminal() {
    let sandbox = outdated();
    let mut asked = sandbox.plandex(["update"]).on_terminal(100);
    asked.until_shows("Update the context? [Y/n]");
    asked.type_in("n\n");
    asked.wait(std::time::Duration::from_secs(20)).exits(9);
    assert_eq!(names(&sandbox).len(), 3);
    let mut asked = sandbox.plandex(["update"]).on_terminal(100);
    asked.until_shows("Update the context? [Y/n]");
    asked.type_in("\n");
    asked.wait(std::time::Duration::from_secs(20)).exits(0);
    assert_eq!(names(&sandbox).len(), 2);
}

#[test]
fn a_tree_tells_its_paths() {
    let sandbox = project();
    sandbox.ok(&["load", "--tree", "src"]);
    sandbox.write("src/new.rs", "");
    std::fs::remove_file(sandbox.root().join("src/lib.rs")).unwrap();
    let updated = sandbox.ok(&["update", "--yes"]);
    let lines: Vec<&str> = updated.stdout.lines().collect();
    assert_eq!(
        lines[1..],
        ["  A src/new.rs", "  D src/lib.rs"],
        "{updated}"
    );
}

#[test]
fn a_run_renews_what_is_outdated_if_it_is_told_to() {
    let sandbox = outdated();
    let server = server(3);
    let flag = ["chat", "hi", "--auto-update-context"];
    let renewed = asking(&sandbox, &server, &flag).finish().ok();
    assert!(
        renewed
            .stderr
            .contains("Updated context:\nM README.md  +1 token\nD src/lib.rs"),
        "{renewed}"
    );
    let sent = told(&server, 0);
    assert!(
        sent.contains("another text that is longer") && !sent.contains("greeting()\n"),
        "{sent}"
    );
    assert_eq!(names(&sandbox), ["README.md", "src/main.rs"]);
    // The setting does the same.
    sandbox.write("README.md", "once more\n");
    let config = sandbox.state_dir().join("config.toml");
    std::fs::write(&config, "auto-update-context = true\n").unwrap();
    let json = asking(&sandbox, &server, &["chat", "hi", "--json"])
        .finish()
        .ok();
    assert!(
        json.stdout.contains("\"type\":\"context.updated\""),
        "{json}"
    );
    assert!(told(&server, 1).contains("once more"));
}

#[test]
fn a_run_that_may_not_renew_is_refused_where_nobody_can_be_asked() {
    let sandbox = outdated();
    let server = server(1);
    let config = sandbox.state_dir().join("config.toml");
    std::fs::write(&config, "auto-update-context = false\n").unwrap();
    let refused = asking(&sandbox, &server, &["chat", "hi"]).finish().exits(7);
    refused
        .says("Outdated context: 2 items\nM README.md  +1 token\nD src/lib.rs  -15 tokens\n")
        .says("error: the context is outdated: 2 items")
        .says("plandex update");
    assert!(server.asked().is_empty());
    assert!(sandbox.ok(&["convo"]).stdout.is_empty());
}

#[test]
fn without_a_word_about_it_a_run_says_so_and_goes_on_and_a_person_is_asked() {
    let sandbox = outdated();
    let server = server(2);
    let told_so = asking(&sandbox, &server, &["chat", "hi"]).finish().ok();
    assert!(
        told_so
            .stderr
            .contains("shown the context as it was loaded"),
        "{told_so}"
    );
    assert!(told(&server, 0).contains("A project to try things on."));
    let mut asked = asking(&sandbox, &server, &["chat", "hi"]).on_terminal(100);
    asked.until_shows("Update it first? [Y/n]");
    asked.type_in("y\n");
    asked.wait(std::time::Duration::from_secs(20)).exits(0);
    assert!(told(&server, 1).contains("another text that is longer"));
}

/// SEED.md 2.1.4: what changes while the model answers is told before its edits are built.
#[test]
fn what_changes_while_the_model_answers_is_told() {
    let sandbox = project();
    sandbox.ok(&["load", "README.md"]);
    let (answer, hold) = Answer::stream(reply("```text path=new.txt\nx\n```\n", 400)).hold(10);
    let server = ModelServer::start([answer]);
    let run = asking(&sandbox, &server, &["tell", "hi"]).start();
    hold.reached();
    sandbox.write("README.md", "changed meanwhile\n");
    hold.release();
    let ended = run.finish().ok();
    let words = "README.md changed while the model answered";
    assert_eq!(ended.stderr.matches(words).count(), 1, "{ended}");
}

#[test]
fn context_commands_wait_behind_a_run_and_say_why_they_gave_up() {
    let sandbox = project();
    sandbox.ok(&["load", "README.md", "src/lib.rs"]);
    sandbox.write("README.md", "changed\n");
    let (answer, hold) = Answer::stream(reply("Done.\n", 400)).hold(10);
    let server = ModelServer::start([answer]);
    let run = asking(&sandbox, &server, &["chat", "hi"]).start();
    hold.reached();
    for args in [
        &["rm", "1"][..],
        &["clear"],
        &["update", "--yes"],
        &["load", "src/main.rs"],
    ] {
        let mut late = sandbox.start(&[args, &["--wait", "500ms"]].concat());
        let over = late.wait(std::time::Duration::from_secs(20)).exits(75);
        let expected = "Cannot update context while plan is executing.\n\
            Wait for the current operation to complete, then try again.\n";
        assert!(over.stderr.contains(expected), "{over}");
    }
    // Looking waits for nobody.
    assert_eq!(names(&sandbox).len(), 2);
    // What waits long enough gets its turn.
    let queued = sandbox.start(&["rm", "src/lib.rs", "--wait", "20s"]);
    sandbox.until_queue("rm waits", |line| line.len() == 2);
    hold.release();
    run.finish().ok();
    queued.finish().ok();
    assert_eq!(names(&sandbox), ["README.md"]);
}
