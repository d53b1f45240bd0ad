//! While 32 other processes work, doctor repairs in a loop: no living lock is taken, nothing false
//! is found, and nobody fails.

use std::time::Duration;

use super::{check_report, kinds};
use crate::support::{Sandbox, raw};

const CROWD: usize = 32;
/// What each of them does, one after the other.
const TURNS: usize = 4;

/// What may be seen of living work on a machine with too few processors: never a dead lock, a stuck
/// status or a damage.
const FAIR: [&str; 4] = [
    "heartbeat_missed",
    "queue_backlog",
    "long_running_operation",
    "disk_space",
];

/// A worker: its number and its turns are the arguments, plandex is $0.
const WORK: &str = "set -e
        for turn in $(seq $2); do
            \"$0\" exec --plan plan-$(($1 % 4)) --wait 200s -- true
            \"$0\" tell --plan plan-$(($1 % 4)) --wait 200s \"set it

n-$1-$turn.txt
\\`\\`\\`
<<<<<<< SEARCH
=======
$turn
>>>>>>> REPLACE
\\`\\`\\`
\" > /dev/null
            \"$0\" apply -y --plan plan-$(($1 % 4)) --wait 200s > /dev/null
        done";

#[test]
fn doctor_repairs_nothing_while_32_processes_work() {
    let sandbox = Sandbox::in_memory(Duration::from_secs(240));
    sandbox.write("a.txt", "one\n");
    for plan in 0..4 {
        sandbox.ok(&["new", "-n", &format!("plan-{plan}")]);
    }
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let (number, turns) = (number.to_string(), TURNS.to_string());
        let args = ["-c", WORK, env!("CARGO_BIN_EXE_plandex"), &number, &turns];
        crowd.push(sandbox.program("sh", args).start());
    }
    let mut looks = 0;
    let mut busy_looks = 0;
    while crowd.iter_mut().any(|worker| worker.is_running()) {
        let (outcome, document) = check_report(sandbox.run(&["doctor", "--fix", "--json"]));
        for kind in kinds(&document) {
            assert!(FAIR.contains(&kind), "look {looks}: {kind}\n{outcome}");
        }
        assert_eq!(
            document["fixedIssues"],
            serde_json::json!([]),
            "look {looks}\n{outcome}"
        );
        assert_eq!(
            document["staleLocks"],
            serde_json::json!([]),
            "look {looks}\n{outcome}"
        );
        looks += 1;
        let held = document["activeLocks"].as_array().unwrap().len();
        busy_looks += usize::from(held > 0);
    }
    for worker in crowd {
        worker.finish().ok();
    }
    assert!(
        busy_looks >= 3,
        "{busy_looks} of {looks} looks saw anybody at work"
    );
    // Nobody was deposed: each grant ended by its owner's own doing, or came too late for one that
    // had no processor to run on, which puts it back into its place.
    let ends: Vec<String> = {
        let connection = raw(&sandbox);
        let mut select = connection
            .prepare("SELECT DISTINCT outcome FROM repo_locks_audit ORDER BY outcome")
            .unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let is_fair = |end: &String| matches!(end.as_str(), "released" | "unconfirmed");
    assert!(ends.iter().all(is_fair), "{ends:?}");
    for number in 0..CROWD {
        for turn in 1..=TURNS {
            let path = format!("n-{number}-{turn}.txt");
            assert_eq!(sandbox.read(&path), format!("{turn}\n"), "{path}");
        }
    }
    super::clean(&sandbox);
    eprintln!("{looks} looks, {busy_looks} of them at somebody's work");
}
