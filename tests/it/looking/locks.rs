//! `locks` in all its forms, and `ps`.

use serde_json::Value;

use super::{SOON, holder, holds, is_well_formed, lines, project, raw, suspend, waiter, waits};
use crate::support::Sandbox;
use rustix::process::Signal;

#[test]
fn the_table_names_holder_and_waiters_and_what_became_of_them() {
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let next = waiter(&sandbox, "bob", &["--read", "--", "true"]);
    let table = sandbox.ok(&["locks"]).stdout;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 3, "{table}");
    for words in ["Ticket", "Heartbeat", "Who", "Command"] {
        assert!(rows[0].contains(words), "{table}");
    }
    let pid = held.pid().to_string();
    for words in ["held", "ann", "Command", "plandex exec -- cat", "ago", &pid] {
        assert!(rows[1].contains(words), "{words} in {table}");
    }
    for words in ["waiting, position 2", "bob", "Reading command (main)"] {
        assert!(rows[2].contains(words), "{words} in {table}");
    }
    suspend(&sandbox, &held);
    let table = sandbox.ok(&["locks"]).stdout;
    assert!(table.contains("held, suspended"), "{table}");
    let document = sandbox.ok(&["locks", "--json"]).json();
    is_well_formed(&document);
    let lock = &document["locks"][0];
    assert_eq!(lock["isSuspended"], true);
    assert_eq!(
        (&lock["actor"], &lock["pid"]),
        (&"ann".into(), &held.pid().into())
    );
    assert_eq!(document["locks"][1]["position"], 2);
    held.cont();
    drop(next);
    held.finish().ok();
}

/// A row that nobody's process backs any more says so, and stays: looking removes nothing.
#[test]
fn the_dead_are_called_dead() {
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let pid = held.pid();
    held.signal(Signal::KILL);
    let mut held = held;
    held.wait(SOON);
    let table = sandbox.ok(&["locks"]).stdout;
    assert!(table.contains("held, dead"), "{table}");
    let document = sandbox.ok(&["ps", "--json"]).json();
    assert_eq!(document["locks"][0]["isAlive"], false, "{document}");
    assert_eq!(document["locks"][0]["pid"], pid);
    assert_eq!(sandbox.tickets().len(), 1);
}

/// Its row stays until somebody comes on that line, but for people it is over.
#[test]
fn a_place_is_shown_for_as_long_as_it_is_kept() {
    let sandbox = project();
    let holder = holder(&sandbox, "ann");
    let wait = ["exec", "--wait", "100ms", "--", "true"];
    let late = sandbox.plandex(wait).env("PLANDEX_ACTOR", "bob");
    late.finish().exits(75);
    let locks = || sandbox.ok(&["locks"]).stdout;
    assert!(locks().contains("place kept"), "{}", locks());
    let age = "UPDATE repo_locks SET lease_stamp = lease_stamp - 61000 WHERE state = 'parked'";
    assert_eq!(raw(&sandbox).execute(age, []).unwrap(), 1);
    assert!(!locks().contains("place kept"), "{}", locks());
    holder.finish().ok();
}

#[test]
fn ps_shows_the_runs_of_all_plans_and_who_waits() {
    let sandbox = project();
    let one = holder(&sandbox, "ann");
    sandbox.ok(&["new", "--name", "other"]);
    let run = sandbox.plandex(["exec", "--plan", "other", "--read", "--", "cat"]);
    let two = run.held_stdin().start();
    holds(&sandbox, &two);
    let three = sandbox
        .plandex(["exec", "--plan", "work", "--wait", "forever", "--", "true"])
        .start();
    waits(&sandbox, &three);
    let table = sandbox.ok(&["ps"]).stdout;
    let row = |pid: u32| {
        let pid = pid.to_string();
        table
            .lines()
            .find(|line| line.starts_with(&pid))
            .unwrap_or_else(|| panic!("{pid} is not in\n{table}"))
            .to_owned()
    };
    for words in ["work", "held", "ann", "plandex exec -- cat"] {
        assert!(row(one.pid()).contains(words), "{table}");
    }
    for words in ["other", "main", "Reading command"] {
        assert!(row(two.pid()).contains(words), "{table}");
    }
    assert!(row(three.pid()).contains("waiting, position 2"), "{table}");
    let named = sandbox.ok(&["ps", "--plan", "other", "--json"]).json();
    is_well_formed(&named);
    assert_eq!(named["locks"].as_array().unwrap().len(), 1, "{named}");
    one.finish().ok();
    two.finish().ok();
}

#[test]
fn ps_names_the_branch_of_a_run() {
    let sandbox = project();
    sandbox.ok(&["checkout", "-b", "twig"]);
    let runner = super::teller(&sandbox, "thinking");
    let shown = sandbox.ok(&["ps"]).stdout;
    assert!(shown.lines().nth(1).unwrap().contains("twig"), "{shown}");
    let document = sandbox.ok(&["ps", "--json"]).json();
    is_well_formed(&document);
    assert_eq!(document["locks"][0]["runBranch"], "twig");
    drop(runner);
}

#[test]
fn explain_draws_who_waits_for_whom() {
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let one = waiter(&sandbox, "bob", &["--read", "--", "cat"]);
    let two = waiter(&sandbox, "cyd", &["--read", "--", "cat"]);
    let three = waiter(&sandbox, "dan", &["--", "cat"]);
    let ids: Vec<i64> = [&held, &one, &two, &three]
        .map(|process| {
            let tickets = sandbox.tickets();
            tickets
                .iter()
                .find(|ticket| ticket.pid == process.pid())
                .unwrap()
                .id
        })
        .into();
    let drawn = sandbox.ok(&["locks", "--explain"]).stdout;
    let rows: Vec<&str> = drawn.lines().collect();
    let begins = |row: usize, trunk: &str, id: i64| {
        let begin = format!("{trunk}{id} ");
        assert!(rows[row].starts_with(&begin), "{begin:?} in\n{drawn}");
    };
    begins(0, "", ids[0]);
    begins(1, "├─ ", ids[1]);
    begins(2, "└─ ", ids[2]);
    begins(3, "   └─ ", ids[3]);
    // That it comes after the holder too is said by those before it.
    let after = format!("), after {}, {}", ids[1], ids[2]);
    assert!(rows[3].ends_with(&after), "{drawn}");
    let ascii = sandbox.plandex(["locks", "--explain"]).env("LANG", "C");
    let ascii = ascii.finish().ok().stdout;
    assert!(ascii.is_ascii() && ascii.contains("   `- "), "{ascii}");
    let document = sandbox.ok(&["locks", "--explain", "--json"]).json();
    is_well_formed(&document);
    assert_eq!(document["circles"], serde_json::json!([]));
    let edges = document["edges"].as_array().unwrap();
    let last = edges.iter().find(|edge| edge["ticket"] == ids[3]).unwrap();
    assert_eq!(last["waitsFor"], serde_json::json!(ids[..3]));
    // What nobody waits for is over in a moment.
    for process in [held, one, two, three] {
        process.finish().ok();
    }
}

/// Two scripts that hold a plan each and want the other's: rows as `exec` inside `exec` leaves
/// them, with the last edge put in by hand, because plandex itself lets none in.
#[test]
fn explain_follows_the_chain_over_plans_and_finds_a_circle() {
    let sandbox = project();
    let work = sandbox.ok(&["status", "--json"]).json()["planId"].clone();
    let other = sandbox.ok(&["new", "--name", "other", "--json"]);
    drop(other);
    let other = sandbox.ok(&["status", "--json", "--plan", "other"]).json()["planId"].clone();
    let insert = |id: i64, plan: &Value, state: &str, parent: Option<i64>| {
        raw(&sandbox)
            .execute(
                "INSERT INTO repo_locks (id, plan_id, scope, state, parent, reason, command, pid)
                 VALUES (?1, ?2, 'w', ?3, ?4, 'exec', 'by hand', 1)",
                rusqlite::params![id, plan.as_str().unwrap(), state, parent],
            )
            .unwrap();
    };
    insert(1, &work, "held", None);
    insert(2, &other, "held", None);
    insert(3, &other, "waiting", Some(1));
    insert(6, &work, "waiting", None);
    let drawn = sandbox.ok(&["locks", "--explain"]).stdout;
    let heads: Vec<String> = drawn
        .lines()
        .map(|line| {
            line.split_inclusive(char::is_numeric)
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(heads, ["2", "└─ 3", "   └─ 1", "      └─ 6"], "{drawn}");
    assert!(
        drawn.lines().nth(2).unwrap().ends_with(", which runs 3"),
        "{drawn}"
    );
    insert(5, &work, "waiting", Some(2));
    let document = sandbox.ok(&["locks", "--explain", "--json"]).json();
    let mut circle: Vec<i64> = serde_json::from_value(document["circles"][0].clone()).unwrap();
    circle.sort_unstable();
    assert_eq!(circle, [1, 2, 3, 5], "{document}");
    let drawn = sandbox.ok(&["locks", "--explain"]).stdout;
    let all = drawn
        .lines()
        .filter(|line| line.contains("by hand"))
        .count();
    assert_eq!(all, 5, "{drawn}");
    let said = drawn.lines().last().unwrap();
    assert!(
        said.starts_with("In a circle: 1 runs 3 waits for 2 runs 5 waits for 1"),
        "{drawn}"
    );
}

/// Writers in line, each behind all before it: no staircase, and nothing said twice.
#[test]
fn explain_draws_a_long_line_in_a_few_columns() {
    let sandbox = project();
    let plan = sandbox.ok(&["status", "--json"]).json()["planId"].clone();
    for id in 1..=40 {
        let state = if id == 1 { "held" } else { "waiting" };
        raw(&sandbox)
            .execute(
                "INSERT INTO repo_locks (id, plan_id, scope, state, reason, command, pid)
                 VALUES (?1, ?2, 'w', ?3, 'exec', 'by hand', 1)",
                rusqlite::params![id, plan.as_str().unwrap(), state],
            )
            .unwrap();
    }
    let drawn = sandbox.ok(&["locks", "--explain"]).stdout;
    assert_eq!(drawn.lines().count(), 40, "{drawn}");
    let last = drawn.lines().last().unwrap();
    let begins = format!("{}└─ 40 ", " ".repeat(18));
    assert!(last.starts_with(&begins), "{drawn}");
    assert!(!drawn.contains("after"), "{drawn}");
}

#[test]
fn stats_are_of_what_the_audit_holds() {
    let sandbox = project();
    let empty = sandbox.ok(&["locks", "--stats"]);
    assert!(empty.stderr.contains("Nothing has ended yet"), "{empty}");
    let plan = raw(&sandbox)
        .query_row("SELECT id FROM plans", [], |row| row.get::<_, String>(0))
        .unwrap();
    let now = plandex::platform::clock::wall_ms();
    for nth in 1..=20 {
        let queued = now - 100_000 + nth * 1_000;
        raw(&sandbox)
            .execute(
                "INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, reason, actor,
                    pid, command, queued_at, granted_at, ended_at, outcome)
                 VALUES (?1, ?2, ?3, 'w', 'exec', '', 1, 'x', ?2 - ?3 * 10, ?2, ?2 + ?3 * 100,
                    CASE ?3 WHEN 20 THEN 'forced' ELSE 'released' END)",
                rusqlite::params![plan, queued, nth],
            )
            .unwrap();
    }
    let document = sandbox.ok(&["locks", "--stats", "--json"]).json();
    is_well_formed(&document);
    let of = &document["operations"][0];
    assert_eq!(
        (&of["reason"], &of["operations"]),
        (&"exec".into(), &20.into())
    );
    let spread = |name: &str| {
        let spread = &of[name];
        ["count", "p50", "p95", "max"].map(|field| spread[field].as_i64().unwrap())
    };
    assert_eq!(spread("waitMs"), [20, 100, 190, 200]);
    assert_eq!(spread("holdMs"), [19, 1_000, 1_900, 1_900]);
    assert_eq!(
        of["outcomes"],
        serde_json::json!({"forced": 1, "released": 19})
    );
    let table = sandbox.ok(&["locks", "--stats"]).stdout;
    for words in ["100 ms", "190 ms", "1.0 s", "1.9 s", "1 forced"] {
        assert!(table.contains(words), "{words} in {table}");
    }
    let none = sandbox
        .ok(&["locks", "--stats", "--since", "1s", "--json"])
        .json();
    assert_eq!(none["operations"], serde_json::json!([]));
}

/// SEED.md 6.4.
#[test]
fn the_three_queries_are_run_and_printed() {
    let sandbox = project();
    sandbox.ok(&["exec", "--", "true"]);
    let held = holder(&sandbox, "ann");
    let active = sandbox.ok(&["locks", "--sql", "active", "--json"]).json();
    is_well_formed(&active);
    let row = &active["rows"][0];
    assert_eq!(
        (&row["planName"], &row["scope"]),
        (&"work".into(), &"w".into())
    );
    assert!(row["age"].as_i64().unwrap() < 60_000, "{row}");
    let none = sandbox.ok(&["locks", "--sql", "expired"]);
    assert!(none.stderr.contains("No rows"), "{none}");
    raw(&sandbox)
        .execute(
            "UPDATE repo_locks SET lease_stamp = lease_stamp - 61000",
            [],
        )
        .unwrap();
    // A heartbeat may renew it before the query comes.
    sandbox.until("the lease is seen to be over", || {
        raw(&sandbox)
            .execute(
                "UPDATE repo_locks SET lease_stamp = lease_stamp - 61000",
                [],
            )
            .unwrap();
        let expired = sandbox.ok(&["locks", "--sql", "expired", "--json"]).json();
        (expired["rows"][0]["command"] == "plandex exec -- cat").then_some(())
    });
    let history = sandbox.ok(&["locks", "--sql", "history", "--json"]).json();
    let rows = history["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{history}");
    assert_eq!(rows[1]["outcome"], "released");
    let printed = sandbox.ok(&["locks", "--sql", "history", "--print"]).stdout;
    // What is printed is what runs.
    let found: i64 = raw(&sandbox)
        .prepare(printed.trim().trim_end_matches(';'))
        .unwrap()
        .query_map([], |row| row.get::<_, i64>("ticket"))
        .unwrap()
        .map(Result::unwrap)
        .last()
        .unwrap();
    assert_eq!(rows[1]["ticket"], found);
    let view = sandbox.ok(&["locks", "--sql", "active", "--print"]).stdout;
    assert!(view.starts_with("SELECT * FROM active_locks"), "{view}");
    drop(held);
}

#[test]
fn a_watch_on_a_pipe_prints_each_change_and_ends_by_ctrl_c() {
    let sandbox = project();
    let watches = [
        (&["locks", "--watch", "--json"][..], Signal::INT, 130),
        (&["ps", "--watch", "--json"], Signal::TERM, 143),
        (
            &["locks", "--explain", "--watch", "--json"],
            Signal::HUP,
            129,
        ),
    ];
    for (watch, signal, code) in watches {
        let mut watcher = sandbox.start(watch);
        let documents = |watcher: &crate::support::Background<'_>| {
            let text = watcher.stdout();
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            lines(&text[..whole])
        };
        let count = |documents: &[Value]| {
            documents
                .last()
                .map(|d| d["locks"].as_array().unwrap().len())
        };
        sandbox.until("an empty queue is shown", || {
            (count(&documents(&watcher)) == Some(0)).then_some(())
        });
        let held = holder(&sandbox, "ann");
        sandbox.until("the holder is shown", || {
            (count(&documents(&watcher)) == Some(1)).then_some(())
        });
        held.finish().ok();
        sandbox.until("its end is shown", || {
            (count(&documents(&watcher)) == Some(0)).then_some(())
        });
        let all = documents(&watcher);
        all.iter().for_each(is_well_formed);
        // Once each: nothing is repeated while nothing changes. A grant may be seen in between.
        assert!((3..=4).contains(&all.len()), "{}", watcher.stdout());
        assert!(watcher.is_running());
        watcher.signal(signal);
        watcher.wait(SOON).exits(code);
    }
}

#[test]
fn a_watcher_whose_reader_is_gone_ends() {
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let watches = [
        "locks --watch",
        "ps --watch",
        "locks --watch --explain",
        "events --follow --since 1h",
    ];
    for watch in watches {
        let script = format!("{{ \"$0\" {watch}; echo $? >&2; }} | head -n 1");
        let binary = env!("CARGO_BIN_EXE_plandex");
        let outcome = sandbox.program("sh", ["-c", &script, binary]).finish().ok();
        assert_eq!(outcome.stderr.trim(), "141", "{outcome}");
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome}");
    }
    held.finish().ok();
}

#[test]
fn what_does_not_go_together_is_refused() {
    let sandbox = project();
    for args in [
        &["locks", "--explain", "--stats"][..],
        &["locks", "--watch", "--stats"],
        &["locks", "--print"],
        &["locks", "--sql", "all"],
        &["locks", "--since", "1h"],
        &["locks", "--stats", "--since", "-5"],
        &["locks", "--stats", "--since=soon"],
        &["locks", "--timeline", "queue.png"],
        &["locks", "--force"],
        &["locks", "release"],
        &["locks", "release", "seven"],
        &["events", "--since", "1y"],
        &["ps", "--plan", "nobody"],
    ] {
        let outcome = sandbox.run(args).exits(2);
        assert_eq!(outcome.stdout, "", "{outcome}");
    }
    let none = sandbox.run(&["locks", "release", "99"]).exits(1);
    none.says("there is no ticket 99");
}

fn looks(sandbox: &Sandbox, width: usize, command: &str) -> Option<String> {
    super::terminal::screen(sandbox, width, command)
}

/// No line is wider than the terminal, and what matters is there.
#[test]
fn tables_fit_terminals_from_40_to_200_columns() {
    crate::support::needs!("script");
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let next = waiter(
        &sandbox,
        "a rather long name of an actor",
        &[
            "--",
            "sh",
            "-c",
            "echo a command that is wider than forty columns, and then some",
        ],
    );
    for width in [40, 60, 80, 109, 110, 140, 200] {
        for command in [
            "locks",
            "ps",
            "locks --explain",
            "status",
            "locks --stats",
            "locks --sql active",
            "locks --sql history",
            "events --since 1h",
        ] {
            let shown = looks(&sandbox, width, command).unwrap();
            for line in shown.lines() {
                let columns = line.chars().count();
                assert!(
                    columns <= width,
                    "{columns} columns of {width}: {line:?}\n{shown}"
                );
            }
            let words = [
                "held",
                "Running",
                "ann",
                "Command",
                "last_heartbeat_at",
                "lock.",
            ];
            assert!(
                words.iter().any(|word| shown.contains(word)),
                "{command}: {shown}"
            );
        }
    }
    drop(next);
    held.finish().ok();
}
