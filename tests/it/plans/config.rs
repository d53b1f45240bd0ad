//! `config`, `set-config`: where settings are, what may stand there, and that they count.

use super::{expect, with_plans};
use crate::support::{Sandbox, holds, poll};
use std::time::Duration;

fn settings(sandbox: &Sandbox) -> Vec<[String; 3]> {
    let listed = sandbox.ok(&["config", "--json"]).json();
    let text = |one: &serde_json::Value, name: &str| one[name].as_str().unwrap().to_owned();
    let listed = listed["settings"].as_array().unwrap().clone();
    let shown = listed
        .iter()
        .map(|one| ["name", "value", "from"].map(|name| text(one, name)));
    shown.collect()
}

fn value(sandbox: &Sandbox, name: &str) -> [String; 2] {
    let [_, value, from] = settings(sandbox)
        .into_iter()
        .find(|one| one[0] == name)
        .unwrap();
    [value, from]
}

fn file(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.state_dir().join("config.toml")).unwrap_or_default()
}

fn user_file(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.place().join("home/.config/plandex/config.toml")
}

#[test]
fn everything_has_a_value_and_a_place_that_it_comes_from() {
    let sandbox = with_plans(&["auth"]);
    expect(
        &sandbox.run(&["config"]),
        "$ plandex config\n--- stdout\n\
         Setting                Value  From\n\
         auto-build             true   default\n\
         auto-apply             false  default\n\
         auto-commit            false  default\n\
         auto-update-context    false  default\n\
         auto-continue          false  default\n\
         skip-changes-menu      true   default\n\
         editor                 vi     default\n\
         wait                   30s    default\n\
         context.max-file-size  1 MiB  default\n\
         lock.heartbeat         3s     default\n\
         lock.lease             1m     default\n\
         queue.max              100    default\n--- exit 0\n",
    );
    expect(
        &sandbox.run(&["set-config", "wait", "2m"]),
        "$ plandex set-config wait 2m\n--- stdout\n\
         Set wait to 2m in [ROOT]/.plandex/config.toml\n--- exit 0\n",
    );
    assert_eq!(value(&sandbox, "wait")[0], "2m");
    // The user's is weaker, and that is said.
    sandbox
        .ok(&["set-config", "--user", "wait", "5m"])
        .says("config.toml is stronger: wait is 2m here");
    assert!(user_file(&sandbox).is_file());
    sandbox.ok(&["set-config", "--unset", "wait"]);
    assert_eq!(value(&sandbox, "wait")[0], "5m");
    let shown = sandbox
        .plandex(["config"])
        .env("PLANDEX_WAIT", "1s")
        .finish()
        .ok();
    let is_named = |line: &str| line.split_whitespace().eq(["wait", "1s", "PLANDEX_WAIT"]);
    assert!(shown.stdout.lines().any(is_named), "{shown}");
    let set = sandbox
        .ok(&["set-config", "auto-apply", "on", "--json"])
        .json();
    assert_eq!(set["name"], "auto-apply");
    assert_eq!(value(&sandbox, "auto-apply")[0], "true");
    // Outside a project there are the user's.
    let outside = sandbox
        .plandex(["config"])
        .cwd(sandbox.place())
        .finish()
        .ok();
    assert!(
        outside.stdout.contains("5m") && !outside.stdout.contains("lock.lease"),
        "{outside}"
    );
}

#[test]
fn remarks_stay_and_others_cannot_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = with_plans(&["auth"]);
    sandbox.write(
        ".plandex/config.toml",
        "# ours\nwait = \"1m\"   # long\n\n[context]\nmax-file-size = 5\n",
    );
    sandbox.ok(&["set-config", "wait", "90s"]);
    sandbox.ok(&["set-config", "auto-continue", "yes"]);
    assert_eq!(
        file(&sandbox),
        "# ours\nwait = \"90s\"   # long\nauto-continue = true\n\n[context]\nmax-file-size = 5\n"
    );
    sandbox.ok(&["set-config", "--user", "editor", "nano -w"]);
    let mode = std::fs::metadata(user_file(&sandbox))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_is_not_known_or_not_good_is_refused_with_what_is() {
    let sandbox = with_plans(&["auth"]);
    for (words, said) in [
        (
            &["auto-biuld", "true"][..],
            "the settings are auto-build, auto-apply",
        ),
        (&["auto-build", "maybe"], "takes true or false"),
        (&["wait", "soon"], "a time such as"),
        (&["context.max-file-size", "0"], "a size such as"),
        (&["lock.lease", "1s"], "at least five times"),
        (&["lock.heartbeat", "1ms"], "a time such as"),
        (&["lock.heartbeat", "forever"], "a time such as"),
        (&["queue.max", "0"], "a number from 1"),
        (&["--user", "lock.lease", "90s"], "not a setting of a user"),
        (&["--user", "queue.max", "9"], "not a setting of a user"),
        (&["--project", "editor", "vi"], "could run a program"),
        (&["model", "x"], "plandex set-model"),
        (&["wait"], "required"),
    ] {
        let outcome = sandbox.run(&[&["set-config"], words].concat()).exits(2);
        assert!(outcome.stderr.contains(said), "{outcome}");
        let json = sandbox
            .run(&[&["set-config", "--json"], words].concat())
            .exits(2);
        let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
        assert_eq!(error["type"], "usage", "{json}");
    }
    assert_eq!(file(&sandbox), "");
    sandbox.write(".plandex/config.toml", "wait = [\n");
    let before = file(&sandbox);
    sandbox
        .run(&["set-config", "wait", "1s"])
        .exits(2)
        .says("left as it is");
    assert_eq!(file(&sandbox), before);
}

#[test]
fn what_all_processes_agree_on_changes_only_while_nobody_works() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["set-config", "lock.lease", "2m"]);
    sandbox.ok(&["set-config", "lock.heartbeat", "500ms"]);
    sandbox.ok(&["set-config", "queue.max", "7"]);
    assert_eq!(
        value(&sandbox, "lock.heartbeat"),
        ["500ms", "the project's database"]
    );
    assert_eq!(
        value(&sandbox, "queue.max"),
        ["7", "the project's database"]
    );
    assert_eq!(file(&sandbox), "");
    let mut held = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    holds(&sandbox, &held);
    for words in [
        ["lock.lease", "3m"],
        ["queue.max", "9"],
        ["lock.heartbeat", "1s"],
    ] {
        sandbox
            .run(&[&["set-config"][..], &words].concat())
            .exits(75)
            .says("while no operation runs or waits");
    }
    held.close_stdin();
    held.wait(Duration::from_secs(30));
    sandbox.ok(&["set-config", "--unset", "queue.max"]);
    assert_eq!(value(&sandbox, "queue.max"), ["100", "default"]);
}

/// Each of many processes sets another key: none is lost.
#[test]
fn settings_changed_at_once_are_all_there() {
    let sandbox = with_plans(&["auth"]);
    let pairs = [
        ["auto-build", "false"],
        ["auto-apply", "true"],
        ["auto-commit", "true"],
        ["auto-update-context", "true"],
        ["auto-continue", "true"],
        ["skip-changes-menu", "false"],
        ["wait", "77s"],
        ["context.max-file-size", "3 MiB"],
    ];
    let started: Vec<_> = pairs
        .iter()
        .map(|pair| sandbox.start(&[&["set-config"], &pair[..]].concat()))
        .collect();
    for one in started {
        one.finish().ok();
    }
    for [name, expected] in pairs {
        let expected = if name == "wait" { "1m17s" } else { expected };
        assert_eq!(value(&sandbox, name)[0], expected, "{}", file(&sandbox));
    }
}

/// The settings that were there before count as ever: a wait ends when the file says so, and a
/// large file is left out.
#[test]
fn a_wait_and_a_size_that_are_set_are_kept_to() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["set-config", "context.max-file-size", "10"]);
    let loaded = sandbox.run(&["load", "src/lib.rs"]);
    assert!(loaded.text().contains("10"), "{loaded}");
    assert_eq!(
        sandbox.ok(&["current", "--json"]).json()["contextTokens"],
        0
    );
    sandbox.ok(&["set-config", "wait", "0"]);
    let mut held = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    holds(&sandbox, &held);
    sandbox.run(&["rename", "x"]).exits(75);
    held.close_stdin();
    assert!(
        poll(Duration::from_secs(30), || (!held.is_running())
            .then_some(()))
        .is_some()
    );
}
