//! How long what happened in a run is kept.

use plandex::store::streams;

use super::{file, lines, project, raw, types};

/// The newest runs keep their events, older ones only how they ended.
#[test]
fn only_the_newest_runs_keep_their_events() {
    let sandbox = project();
    let all = usize::try_from(streams::RUNS_KEPT).unwrap() + 3;
    let tells: String = (1..=all)
        .map(|number| {
            let text = serde_json::json!(["tell", file("a.txt", &number.to_string())]);
            format!("{text}\n")
        })
        .collect();
    sandbox.plandex(["batch", "-"]).stdin(&tells).finish().ok();
    let connection = raw(&sandbox);
    let mut select = connection
        .prepare(
            "SELECT (SELECT count(*) FROM stream_events e WHERE e.stream_id = s.id) FROM streams s
             ORDER BY s.started_at, s.id",
        )
        .unwrap();
    let counts: Vec<i64> = select
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(counts.len(), all);
    assert!(counts[..3].iter().all(|count| *count == 1), "{counts:?}");
    assert!(counts[3..].iter().all(|count| *count > 3), "{counts:?}");
    // How they ended is known.
    let first = lines(&sandbox.ok(&["connect", "1", "--json"]).stdout);
    assert_eq!(
        types(&first),
        ["session.started", "turn.completed", "session.ended"]
    );
}

/// A long run's events go in pieces, so that no run that starts waits for it.
#[test]
fn a_long_run_is_forgotten_in_pieces() {
    let sandbox = project();
    sandbox.ok(&["tell", &file("a.txt", "0")]);
    raw(&sandbox)
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 1799)
             INSERT INTO stream_events (stream_id, number, at, kind, payload)
             SELECT (SELECT id FROM streams), i, 1, 'message.delta', '{}' FROM n",
            [],
        )
        .unwrap();
    let left = || {
        raw(&sandbox)
            .query_row(
                "SELECT count(*) FROM stream_events WHERE number >= 100",
                [],
                |row| row.get::<_, i64>(0),
            )
            .unwrap()
    };
    for number in 1..streams::RUNS_KEPT {
        sandbox.ok(&["tell", &file("a.txt", &number.to_string())]);
    }
    assert_eq!(left(), 1_700);
    sandbox.ok(&["tell", &file("a.txt", "x")]);
    // Its own few events were among the first thousand.
    let rest = left();
    assert!((700..720).contains(&rest), "{rest}");
    sandbox.ok(&["tell", &file("a.txt", "y")]);
    assert_eq!(left(), 0);
}
