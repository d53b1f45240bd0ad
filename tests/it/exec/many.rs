//! 64 processes at once, each several times: none lost, none out of order, never two together.

use crate::support::{Background, Sandbox};

use super::{audited, is_free};
use std::time::Duration;

const PROCESSES: usize = 64;
const TURNS: usize = 3;

/// What a turn does: adds one to a number in a file, in two steps that nothing else protects.
const ADD: &str = "read n < ../tmp/number; echo $((n + 1)) > ../tmp/number";

#[test]
fn sixty_four_processes_have_their_turns_in_order_and_none_is_lost() {
    let sandbox = Sandbox::in_memory(Duration::from_secs(240));
    sandbox.ok(&["new", "--name", "work"]);
    sandbox.write_beside("number", "0\n");
    let script = format!(
        "i=0; while [ $i -lt {TURNS} ]; do \
         \"$0\" exec --wait 10m -- sh -c '{ADD}' || exit; i=$((i + 1)); done"
    );
    let start = || {
        let run = sandbox.program("sh", ["-c", script.as_str()]);
        run.args([env!("CARGO_BIN_EXE_plandex")]).start()
    };
    let all: Vec<Background<'_>> = (0..PROCESSES).map(|_| start()).collect();
    for mut process in all {
        process.wait(Duration::from_secs(240)).ok();
    }
    let number = std::fs::read_to_string(sandbox.place().join("tmp/number")).unwrap();
    assert_eq!(number, format!("{}\n", PROCESSES * TURNS));
    is_free(&sandbox);
    let audit = audited(&sandbox);
    assert_eq!(audit.len(), PROCESSES * TURNS);
    // The number of a grant is its row's; whoever came first was granted first.
    let inversions = audit.windows(2).filter(|two| two[0].ticket > two[1].ticket);
    assert_eq!(inversions.count(), 0);
    let ends = audit.iter().map(|entry| entry.outcome.as_deref());
    assert!(ends.into_iter().all(|end| end == Some("released")));
}
