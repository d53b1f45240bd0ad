//! 64 processes at once, each several times: none lost, none out of order, never two together.

use crate::support::{Background, Sandbox};

use super::{audited, is_free};
use plandex::store::audit::Entry;
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
    let outcome = |entry: &Entry| entry.outcome.clone().unwrap_or_default();
    let (released, others): (Vec<_>, Vec<_>) =
        audit.iter().partition(|entry| outcome(entry) == "released");
    assert_eq!(released.len(), PROCESSES * TURNS);
    // Whom a loaded machine kept from taking up its grant was parked, and had its turn after all.
    for parked in &others {
        assert_eq!(outcome(parked), "unconfirmed", "{parked:?}");
        let turns = released
            .iter()
            .filter(|entry| entry.ticket == parked.ticket);
        assert_eq!(turns.count(), 1, "{parked:?}");
    }
    // The number of a grant is its row's; whoever came first was granted first, and so were those
    // that were parked.
    let mut first = Vec::new();
    for entry in &audit {
        if !first.contains(&entry.ticket) {
            first.push(entry.ticket);
        }
    }
    assert!(first.is_sorted(), "{first:?}");
}
