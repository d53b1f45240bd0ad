//! A prompt by argument, file, pipe and editor.

use std::time::Duration;

use super::{new_file, with_plans};
use crate::support::Sandbox;

const SOON: Duration = Duration::from_secs(30);

/// An editor that writes `text`, and leaves beside the sandbox what it was given.
fn editor(sandbox: &Sandbox, text: &str) -> String {
    let text = sandbox.write_beside("typed", text);
    let seen = sandbox.place().join("seen");
    let script = format!(
        "#!/bin/sh\n{{ echo \"$@\"; stat -c %a \"$1\"; ls -l /proc/self/fd; env; }} > '{}'\ncp '{}' \"$1\"\n",
        seen.display(),
        text.display()
    );
    let path = sandbox.write_beside("editor", &script);
    format!("sh {}", path.display())
}

fn prompts(sandbox: &Sandbox) -> Vec<String> {
    let convo = sandbox.ok(&["convo", "--json"]).json();
    let messages = convo["messages"].as_array().unwrap().clone();
    let said = messages.iter().filter(|message| message["role"] == "user");
    said.map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_prompt_is_given_as_argument_file_or_pipe() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    let file = sandbox.write_beside("prompt", &new_file("b.txt"));
    sandbox.ok(&["tell", "-f", file.to_str().unwrap()]);
    sandbox
        .plandex(["tell"])
        .stdin(&new_file("c.txt"))
        .finish()
        .ok();
    sandbox
        .plandex(["tell", "-"])
        .stdin(&new_file("d.txt"))
        .finish()
        .ok();
    let expected = ["a.txt", "b.txt", "c.txt", "d.txt"].map(new_file);
    assert_eq!(prompts(&sandbox), expected);
    // Nobody is at a terminal: no editor.
    sandbox
        .plandex(["tell"])
        .env("PLANDEX_EDITOR", "false")
        .finish()
        .exits(2)
        .says("the prompt is empty");
}

#[test]
fn on_a_terminal_it_is_written_in_the_editor() {
    let sandbox = with_plans(&["auth"]);
    let line = editor(&sandbox, &new_file("a.txt"));
    let mut terminal = sandbox
        .plandex(["tell"])
        .env("PLANDEX_EDITOR", &line)
        .env("VISUAL", "false")
        .on_terminal(100);
    terminal.wait(SOON).ok();
    assert_eq!(prompts(&sandbox), [new_file("a.txt")]);
    let seen = std::fs::read_to_string(sandbox.place().join("seen")).unwrap();
    let mut lines = seen.lines();
    let path = std::path::PathBuf::from(lines.next().unwrap());
    assert!(!path.starts_with(sandbox.root()), "{path:?}");
    assert!(!path.exists(), "{path:?} is left");
    assert_eq!(lines.next(), Some("600"));
    for ours in ["plandex.db", "write.lock", "owners/", "PLANDEX_LOCK_TOKEN"] {
        assert!(!seen.contains(ours), "the editor has {ours}\n{seen}");
    }
    // The settings' editor is over VISUAL.
    sandbox.ok(&[
        "set-config",
        "editor",
        &editor(&sandbox, &new_file("b.txt")),
    ]);
    let mut terminal = sandbox
        .plandex(["tell"])
        .env("VISUAL", "false")
        .on_terminal(100);
    terminal.wait(SOON).ok();
    assert_eq!(prompts(&sandbox).len(), 2);
}

#[test]
fn what_is_not_written_is_not_asked() {
    let sandbox = with_plans(&["auth"]);
    for (line, code, said) in [
        (
            editor(&sandbox, " \n"),
            9,
            "the prompt is empty: nothing was asked",
        ),
        ("false".to_owned(), 9, "exited with 1: nothing was asked"),
        ("no-such-editor".to_owned(), 2, "cannot be run"),
    ] {
        let mut terminal = sandbox
            .plandex(["tell"])
            .env("EDITOR", &line)
            .on_terminal(100);
        terminal.wait(SOON).exits(code);
        let screen = terminal.screen().text();
        assert!(screen.contains(said), "{screen}");
    }
    assert_eq!(prompts(&sandbox), [""; 0]);
    let left = std::fs::read_dir(sandbox.place().join("tmp")).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().contains("prompt")),
        "{names:?}"
    );
}

/// What was written by hand is kept if it could not be asked.
#[test]
fn a_prompt_that_could_not_be_asked_is_kept() {
    let sandbox = with_plans(&["auth"]);
    let mut held = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    crate::support::holds(&sandbox, &held);
    let line = editor(&sandbox, &new_file("a.txt"));
    let mut terminal = sandbox
        .plandex(["tell", "--no-wait"])
        .env("PLANDEX_EDITOR", &line)
        .on_terminal(200);
    terminal.wait(SOON).exits(75);
    let screen = terminal.screen().text();
    let kept = screen
        .lines()
        .find_map(|line| line.strip_prefix("What you wrote is kept in "));
    let kept = kept.unwrap_or_else(|| panic!("{screen}")).to_owned();
    held.close_stdin();
    held.wait(SOON);
    sandbox.ok(&["tell", "-f", &kept]);
    assert_eq!(prompts(&sandbox), [new_file("a.txt")]);
}
