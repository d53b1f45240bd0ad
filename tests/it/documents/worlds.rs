//! Where a document's commands are run: each world is a place of its own.

use std::path::PathBuf;

use crate::support::{Background, Sandbox, holds, waits};

/// A change as a message, which the provider "literal" takes as it is.
const CHANGE: &str = "Say it politely.\n\nsrc/lib.rs\n<<<<<<< SEARCH\n    \"hello\"\n=======\n    \
                      \"good day\"\n>>>>>>> REPLACE\n";

/// Another, of a file that is not there yet.
const PROMPT: &str = "Add a farewell.\n\n```rust path=src/farewell.rs\npub fn farewell() -> &'static \
                      str {\n    \"farewell\"\n}\n```\n";

const MAKEFILE: &str = "all deploy report docs test:\n\t@echo $@\n";

/// A world: where its commands are typed, and who is at work in it besides them.
pub(super) struct World<'s> {
    pub(super) cwd: PathBuf,
    _others: Vec<Background<'s>>,
}

/// Makes the world `name` in a sandbox that holds nothing.
pub(super) fn make<'s>(name: &str, sandbox: &'s Sandbox) -> World<'s> {
    let mut others = Vec::new();
    if name != "empty" {
        project(sandbox);
    }
    match name {
        "empty" | "project" => {}
        "pending" => drop(sandbox.ok(&["tell", "-f", "change.md"])),
        "held" => others.push(holder(sandbox)),
        "suspended" => {
            let holder = holder(sandbox);
            let run = sandbox.plandex(["load", "-r", "src"]);
            let waiter = run.env("PLANDEX_WAIT", "forever").start();
            waits(sandbox, &waiter);
            holder.stop();
            others.extend([holder, waiter]);
        }
        "dead" => drop(holder(sandbox).kill()),
        name => panic!("there is no world {name:?}"),
    }
    let cwd = match name {
        "empty" => sandbox.place().join("home"),
        _ => sandbox.root().to_owned(),
    };
    World {
        cwd,
        _others: others,
    }
}

/// A CI job that holds the plan until the world ends.
fn holder(sandbox: &Sandbox) -> Background<'_> {
    sandbox.write("Makefile", "deploy:\n\t@cat\n");
    let run = sandbox.plandex(["exec", "--", "make", "deploy"]);
    let holder = run.env("PLANDEX_ACTOR", "ci-7").held_stdin().start();
    holds(sandbox, &holder);
    holder
}

/// A repository with sources, a Makefile, messages, and the plan "work", which was shown `src`.
fn project(sandbox: &Sandbox) {
    sandbox.write("README.md", "# Scratch\n");
    sandbox.write("src/main.rs", "fn main() {\n    println!(\"hi\");\n}\n");
    sandbox.write(
        "src/lib.rs",
        "pub fn greeting() -> &'static str {\n    \"hello\"\n}\n",
    );
    sandbox.write("Makefile", MAKEFILE);
    sandbox.git(&["init", "--quiet", "--initial-branch", "main"]);
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "start"]);
    sandbox.write("change.md", CHANGE);
    sandbox.write("reply.md", CHANGE);
    sandbox.write("prompt.md", PROMPT);
    some_model(sandbox);
    sandbox.ok(&["new", "--name", "work"]);
    sandbox.ok(&["load", "-r", "src"]);
}

/// A program that reads a prompt and prints a reply.
fn some_model(sandbox: &Sandbox) {
    let program = sandbox.place().join("bin/some-model");
    let write = "mkdir -p \"$(dirname \"$1\")\" && printf '#!/bin/sh\\ncat >/dev/null\\nprintf \"%%s\" \"$REPLY\"\\n' \
                 >\"$1\" && sed -i \"1a REPLY='$2'\" \"$1\" && chmod 755 \"$1\"";
    let reply = "src/main.rs\\n<<<<<<< SEARCH\\n    println!(\"hi\");\\n=======\\n    println!(\"hello\");\\n>>>>>>> REPLACE\\n";
    let run = sandbox.program("sh", ["-c", write, "sh"]);
    run.args([program.to_str().unwrap(), reply]).finish().ok();
}
