//! A fork has the things of the branch that it was forked from, under the same ids.

use super::trees;
use crate::crash_points::{TWO_FILES, project};

#[test]
fn what_is_done_in_a_fork_is_done_to_its_tree() {
    let sandbox = project();
    sandbox.write("b.txt", "b\n");
    sandbox.ok(&["load", "b.txt"]);
    sandbox.ok(&["tell", TWO_FILES]);
    sandbox.ok(&["checkout", "-b", "side"]);
    trees::check(&sandbox, "forked");
    sandbox.write("b.txt", "b, changed\n");
    sandbox.ok(&["load", "b.txt"]);
    trees::check(&sandbox, "loaded again in the fork");
    sandbox.ok(&["apply", "--yes"]);
    trees::check(&sandbox, "applied in the fork");
    let left = sandbox.ok(&["diff", "--json", "--branch", "main"]).stdout;
    assert!(
        left.contains("new/dir/b.txt"),
        "main's are pending still: {left}"
    );
    sandbox.ok(&["checkout", "-b", "twig"]);
    sandbox.ok(&[
        "tell",
        TWO_FILES
            .replace("ONE", "one")
            .replace("one\n=======\none", "ONE\n=======\none")
            .as_str(),
    ]);
    trees::check(&sandbox, "told in a fork of the fork");
}
