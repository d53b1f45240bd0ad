//! `hook install` and `hook uninstall`, and that what they install works.

use serde_json::Value;

use super::lines;
use crate::support::{Sandbox, needs};

const FOREIGN: &str = "{\n\t\"model\": \"x\",\n\t\"hooks\": {\n\t\t\"SessionStart\": [{\"hooks\": \
    [{\"type\": \"command\", \"command\": \"theirs\"}]}]\n\t}\n}";

fn command(text: &str, event: &str) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    let groups = value["hooks"][event].as_array().unwrap();
    let hook = &groups.last().unwrap()["hooks"][0];
    assert_eq!(hook["type"], "command");
    hook["command"].as_str().unwrap().to_owned()
}

#[test]
fn a_project_s_settings() {
    let sandbox = Sandbox::new();
    let path = sandbox.write(".claude/settings.json", FOREIGN);
    let below = sandbox.root().join("src");
    let said = sandbox
        .plandex(["hook", "install"])
        .cwd(&below)
        .finish()
        .ok();
    assert!(
        said.stdout.starts_with("Installed hooks in "),
        "{}",
        said.text()
    );
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(command(&text, "SessionStart"), "plandex hook capture start");
    assert_eq!(command(&text, "SessionEnd"), "plandex hook capture end");
    let again = sandbox
        .ok(&["hook", "install", "--project", "--json"])
        .json();
    assert_eq!(
        (&again["installed"], &again["changed"]),
        (&true.into(), &false.into())
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    sandbox.ok(&["hook", "uninstall"]);
    assert_eq!(sandbox.read(".claude/settings.json"), FOREIGN);
    let again = sandbox.ok(&["hook", "uninstall"]);
    assert!(again.stdout.contains("There are no hooks"), "{again}");
}

#[test]
fn the_user_s_settings_and_what_they_run() {
    let sandbox = Sandbox::new();
    let path = sandbox.place().join("home/.claude/settings.json");
    sandbox.ok(&["hook", "uninstall", "--user"]);
    sandbox.ok(&["hook", "install", "--user"]);
    assert!(!sandbox.root().join(".claude").exists());
    let text = std::fs::read_to_string(&path).unwrap();
    // As a host runs them.
    for (event, reason) in [("SessionStart", "a"), ("SessionEnd", "b")] {
        let input = serde_json::json!({"session_id": "s", "reason": reason});
        let command = command(&text, event);
        let ran = sandbox
            .program("sh", ["-c", &command])
            .stdin(&input.to_string())
            .finish()
            .ok();
        assert_eq!(ran.stdout, "");
    }
    let lines = lines(&sandbox.root().join("logs/session_s.jsonl"));
    assert_eq!(
        (&lines[0]["type"], &lines[1]["reason"]),
        (&"session_start".into(), &"b".into())
    );
    let removed = sandbox.ok(&["hook", "uninstall", "--user"]);
    assert!(removed.stdout.starts_with("Removed "), "{removed}");
    assert!(!path.exists());
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let sandbox = Sandbox::new();
    let text = "{\n  // a remark\n  \"hooks\": {}\n}";
    sandbox.write(".claude/settings.json", text);
    for word in ["install", "uninstall"] {
        let outcome = sandbox.run(&["hook", word]).exits(1);
        outcome
            .says("settings.json is left as it is")
            .says("not JSON");
        assert_eq!(sandbox.read(".claude/settings.json"), text);
    }
}

#[test]
fn installs_at_once_are_one() {
    let sandbox = Sandbox::new();
    sandbox.write(".claude/settings.json", FOREIGN);
    let all: Vec<_> = (0..16)
        .map(|_| sandbox.start(&["hook", "install"]))
        .collect();
    for one in all {
        one.finish().ok();
    }
    let text = sandbox.read(".claude/settings.json");
    assert_eq!(text.matches("hook capture start").count(), 1);
    assert_eq!(text.matches("hook capture end").count(), 1);
    sandbox.ok(&["hook", "uninstall"]);
    assert_eq!(sandbox.read(".claude/settings.json"), FOREIGN);
}

/// The shims at the top of the tree call, and do nothing else.
#[test]
fn the_shims_call() {
    needs!("sh");
    let hooks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks");
    let text = std::fs::read_to_string(hooks.join("hooks.json")).unwrap();
    let sandbox = Sandbox::without_git();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_plandex"));
    let path = std::env::join_paths(
        std::iter::once(binary.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    for (event, kind) in [
        ("SessionStart", "session_start"),
        ("SessionEnd", "session_end"),
    ] {
        let ran = sandbox
            .program("sh", ["-c", &command(&text, event)])
            .env("CLAUDE_PLUGIN_ROOT", hooks.parent().unwrap())
            .env("PATH", &path)
            .stdin(&format!("{{\"session_id\": \"{kind}\"}}"))
            .finish()
            .ok();
        assert_eq!(ran.stdout, "");
        let log = sandbox.root().join(format!("logs/session_{kind}.jsonl"));
        assert_eq!(lines(&log)[0]["type"], kind);
    }
    for name in ["plandex-hook", "plandex-hook.cmd"] {
        let text = std::fs::read_to_string(hooks.join(name)).unwrap();
        assert!(
            text.contains("plandex hook capture ") && text.lines().count() <= 3,
            "{text}"
        );
    }
}
