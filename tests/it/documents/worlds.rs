//! Where a document's commands are run: each world is a place of its own.

use std::path::PathBuf;

use crate::support::Sandbox;

/// A change as a message, which the provider "literal" takes as it is.
const CHANGE: &str = "Say it politely.\n\nsrc/lib.rs\n<<<<<<< SEARCH\n    \"hello\"\n=======\n    \
                      \"good day\"\n>>>>>>> REPLACE\n";

/// Another, of a file that is not there yet.
const PROMPT: &str = "Add a farewell.\n\n```rust path=src/farewell.rs\npub fn farewell() -> &'static \
                      str {\n    \"farewell\"\n}\n```\n";

const MAKEFILE: &str = "deploy report docs test:\n\t@echo $@\n";

/// Makes the world `name` in a sandbox that holds nothing; returns where its commands are typed.
pub(super) fn make(name: &str, sandbox: &Sandbox) -> PathBuf {
    match name {
        "empty" => return sandbox.place().join("home"),
        "project" => project(sandbox),
        "pending" => {
            project(sandbox);
            sandbox.ok(&["tell", "-f", "change.md"]);
        }
        name => panic!("there is no world {name:?}"),
    }
    sandbox.root().to_owned()
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
