//! Circles of waits: two scripts that take two plans in crossing order, and three in a ring.

use plandex::store::tickets::State;

use crate::support::{Background, Sandbox};

use super::nesting::script;
use super::{SOON, error_type, holds, is_free, project};

/// The schedule's rows in milliseconds (SEED.md 5.5).
const ROWS: [(u64, u64); 6] = [
    (210, 390),
    (420, 780),
    (840, 1_560),
    (1_680, 3_120),
    (3_360, 6_240),
    (6_720, 12_480),
];

/// The retries that were printed, each within its row; how many.
pub(super) fn retries(stderr: &str) -> usize {
    let said = stderr.lines().filter_map(|line| {
        let rest = line.strip_prefix("Retry ")?;
        let (number, rest) = rest.split_once("/6: Will retry in ")?;
        let delay: u64 = rest.strip_suffix("ms")?.parse().ok()?;
        Some((number.parse::<usize>().ok()?, delay))
    });
    let mut count = 0;
    for (number, delay) in said {
        count += 1;
        assert_eq!(number, count, "{stderr}");
        let (least, most) = ROWS[number - 1];
        assert!((least..=most).contains(&delay), "{delay} ms\n{stderr}");
    }
    count
}

/// Plans "work", "p2", … and for each a script that holds it and, told to, wants the next.
fn ring(sandbox: &Sandbox, count: usize) -> Vec<Background<'_>> {
    let plans: Vec<String> = (0..count)
        .map(|nth| match nth {
            0 => "work".to_owned(),
            _ => format!("p{nth}"),
        })
        .collect();
    for plan in &plans[1..] {
        sandbox.ok(&["new", "--name", plan]);
    }
    let text = r#"read go
        "$P" exec --plan "$WANTED" $FLAGS -- echo both; code=$?
        echo "inner: $code"; exit $code"#;
    let mut scripts = Vec::new();
    for (nth, plan) in plans.iter().enumerate() {
        let run = script(sandbox, &["--plan", plan], text);
        let run = run.env("WANTED", &plans[(nth + 1) % count]);
        let holder = run.env("FLAGS", "").held_stdin().start();
        holds(sandbox, &holder);
        scripts.push(holder);
    }
    scripts
}

/// Tells all scripts but the last to go on, each when the one before waits; then the last.
fn close_ring(sandbox: &Sandbox, scripts: &mut [Background<'_>]) {
    let last = scripts.len() - 1;
    for (nth, one) in scripts.iter_mut().enumerate() {
        one.say("go\n");
        if nth == last {
            one.until_says("Retry 1/6");
        } else {
            sandbox.until_queue("it waits", |all| {
                all.iter().filter(|t| t.state == State::Waiting).count() == nth + 1
            });
        }
    }
}

/// The last one spends its retries and reports the circle; the others finish, undisturbed.
fn is_spent(sandbox: &Sandbox, mut scripts: Vec<Background<'_>>) {
    close_ring(sandbox, &mut scripts);
    let pids: Vec<u32> = scripts.iter().map(Background::pid).collect();
    let loser = scripts.pop().unwrap().finish().exits(75);
    assert_eq!(retries(&loser.stderr), 6, "{loser}");
    assert!(loser.stdout.contains("inner: 75"), "{loser}");
    let loser = loser.says("deadlock detected").says("nothing was changed");
    // The whole chain, by the holders' pids.
    for pid in pids {
        assert!(loser.stderr.contains(&format!("pid {pid} ")), "{loser}");
    }
    for one in scripts {
        let outcome = one.finish().ok();
        assert_eq!(retries(&outcome.stderr), 0, "{outcome}");
        assert!(outcome.stdout.contains("both\ninner: 0"), "{outcome}");
        assert!(!outcome.stderr.contains("deadlock"), "{outcome}");
    }
    is_free(sandbox);
    assert!(sandbox.dump().contains("outcome=\"deadlock\""));
}

#[test]
fn two_in_crossing_order() {
    let sandbox = project();
    let scripts = ring(&sandbox, 2);
    is_spent(&sandbox, scripts);
}

#[test]
fn a_chain_of_three() {
    let sandbox = project();
    let scripts = ring(&sandbox, 3);
    is_spent(&sandbox, scripts);
}

/// The circle is gone before the schedule is spent: who gave way finishes too.
#[test]
fn who_gave_way_finishes_when_the_circle_is_gone() {
    let sandbox = project();
    let mut scripts = ring(&sandbox, 2);
    close_ring(&sandbox, &mut scripts);
    let retrying = scripts.pop().unwrap();
    let other = scripts.pop().unwrap();
    let holder = other.pid();
    other.signal(rustix::process::Signal::TERM);
    let ended = other.finish();
    assert_eq!(ended.code, Some(143), "{ended}");
    let outcome = retrying.finish().ok();
    assert!(outcome.stdout.contains("both\ninner: 0"), "{outcome}");
    assert!(retries(&outcome.stderr) < 6, "{outcome}");
    assert!(sandbox.tickets().iter().all(|ticket| ticket.pid != holder));
    is_free(&sandbox);
}

/// The deadline ends the retries as it ends every other wait.
#[test]
fn the_deadline_ends_the_retries() {
    let sandbox = project();
    sandbox.ok(&["new", "--name", "p1"]);
    let text = r#"read go
        "$P" exec --plan "$WANTED" $FLAGS -- echo both; code=$?
        echo "inner: $code"; exit $code"#;
    let start = |plan: &str, wanted: &str, flags: &str| {
        let run = script(&sandbox, &["--plan", plan], text);
        let run = run.env("WANTED", wanted).env("FLAGS", flags);
        let holder = run.held_stdin().start();
        holds(&sandbox, &holder);
        holder
    };
    let mut first = start("work", "p1", "--wait forever");
    let mut second = start("p1", "work", "--wait 1s --json");
    first.say("go\n");
    sandbox.until_queue("it waits", |all| {
        all.iter().any(|t| t.state == State::Waiting)
    });
    second.say("go\n");
    let outcome = second.wait(SOON).exits(75);
    assert_eq!(error_type(&outcome.stderr), "deadlock");
    assert!(
        outcome
            .stderr
            .contains("context canceled while waiting to retry"),
        "{outcome}"
    );
    first.finish().ok();
}

/// Without patience there is nothing to wait for, so nothing to give way to.
#[test]
fn without_waiting_it_is_a_conflict() {
    let sandbox = project();
    sandbox.ok(&["new", "--name", "p1"]);
    let text = r#"read go; "$P" exec --plan "$WANTED" $FLAGS -- echo both"#;
    let start = |plan: &str, wanted: &str, flags: &str| {
        let run = script(&sandbox, &["--plan", plan], text);
        let run = run.env("WANTED", wanted).env("FLAGS", flags);
        let holder = run.held_stdin().start();
        holds(&sandbox, &holder);
        holder
    };
    let mut first = start("work", "p1", "--wait forever");
    let mut second = start("p1", "work", "--no-wait");
    first.say("go\n");
    sandbox.until_queue("it waits", |all| {
        all.iter().any(|t| t.state == State::Waiting)
    });
    second.say("go\n");
    let refused = second.wait(SOON).exits(75).says("lock conflict");
    assert_eq!(retries(&refused.stderr), 0, "{refused}");
    first.finish().ok();
}
