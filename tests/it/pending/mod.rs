//! What is pending: shown, given up, wanted by several plans.

mod diff;
mod patch;
mod reject;
mod who;

use std::fmt::Write as _;

use crate::support::Sandbox;

/// A block that replaces `from` (nothing: a new file) with `to`.
fn edit(path: &str, from: &str, to: &str) -> String {
    let mut block = format!("{path}\n```\n<<<<<<< SEARCH\n");
    for line in from.lines() {
        writeln!(block, "{line}").unwrap();
    }
    write!(block, "=======\n{to}\n>>>>>>> REPLACE\n```\n").unwrap();
    block
}

fn tell(sandbox: &Sandbox, plan: &str, edits: &[String]) {
    let prompt = sandbox.write_beside("prompt", &edits.join("\n"));
    sandbox.ok(&["tell", "--plan", plan, "-f", prompt.to_str().unwrap()]);
}

/// A project with two plans, on which the same file and one of its own are pending.
fn two_plans() -> Sandbox {
    let sandbox = Sandbox::new();
    for (plan, word) in [("one", "first"), ("two", "second")] {
        sandbox.ok(&["new", "-n", plan]);
        let own = edit(&format!("{plan}.txt"), "", "x");
        let both = edit("src/lib.rs", "    \"hello\"", &format!("    \"{word}\""));
        tell(&sandbox, plan, &[both, own]);
    }
    sandbox
}
