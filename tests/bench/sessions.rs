//! What a session's start costs: `hook capture`, cold, from start to exit.

use std::fs::File;

use super::commands::in_turn;
use super::figure::{Figure, Wanted};
use super::place::Place;

/// Beside the Python script that does the same work, each with a log of its own.
pub(crate) fn capture(place: &Place) -> Vec<Figure> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/capture.py");
    let told = |session: &str| {
        let path = place.beside(session);
        let input = serde_json::json!({
            "session_id": session, "transcript_path": "/not/yet.jsonl", "cwd": place.root(),
            "hook_event_name": "SessionStart", "source": "startup",
        });
        std::fs::write(&path, input.to_string()).unwrap();
        path
    };
    let inputs = ["ours", "theirs"].map(told);
    let [ours, python] = in_turn(place.count(200), || {
        let mut ours = place.plandex();
        ours.args(["hook", "capture", "start"]);
        ours.stdin(File::open(&inputs[0]).unwrap());
        let mut python = place.command("python3");
        python.arg(script).stdin(File::open(&inputs[1]).unwrap());
        [ours, python]
    });
    vec![Figure::medians(
        "hook capture",
        "µs",
        &ours,
        "python3, the same work",
        &python,
        Wanted::AtMost(0.5),
    )]
}
