//! Git finds nothing wrong with any repository after any command that writes to one.

use super::trees;
use crate::crash_points::{TWO_FILES, check_sound, project};

#[test]
fn every_command_that_writes_leaves_sound_repositories() {
    let sandbox = project();
    sandbox.write("b.txt", "b\n");
    let reply = sandbox.write_beside("reply.md", TWO_FILES);
    let reply = reply.to_str().unwrap();
    let later = "c.txt\n```\n<<<<<<< SEARCH\n=======\nmade later\n>>>>>>> REPLACE\n```\n";
    let later = sandbox.write_beside("later.md", later);
    let later = later.to_str().unwrap();
    let saved = sandbox.place().join("saved");
    let saved = saved.to_str().unwrap();
    let commands: &[&[&str]] = &[
        &["load", "b.txt"],
        &["load", "-n", "a note"],
        &["rm", "b.txt"],
        &["tell", "--reply", reply, "change them"],
        &["reject", "-y", "a.txt"],
        &["tell", TWO_FILES],
        &["apply", "-y"],
        &["apply", "--undo", "-y"],
        &["apply", "-y"],
        &["rewind"],
        &["rewind", "--undo"],
        &["tell", "--no-build", "--reply", later, "later"],
        &["chat", "--reply", later, "what is it?"],
        &["build"],
        &["set-model", "literal"],
        &["checkout", "-b", "side"],
        &["load", "b.txt"],
        &["clear"],
        &["update", "-y"],
        &["checkout", "main"],
        &["delete-branch", "-y", "side"],
        &["new", "-n", "other"],
        &["rename", "another"],
        &["archive", "another"],
        &["unarchive", "another"],
        &["delete-plan", "-y", "another"],
        &["undelete", "another"],
        &["exec", "--", "true"],
        &["backup", saved],
        &["doctor"],
    ];
    for command in commands {
        sandbox.ok(command);
        check_sound(&sandbox, &command.join(" "));
        trees::check(&sandbox, &command.join(" "));
    }
}
