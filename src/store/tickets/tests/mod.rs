//! The SQL of the queue held to `lock::rules`: on lines nobody would make, and step by step
//! through everything that can be done to a line.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::queue::*;
use super::*;
use crate::lock::rules::{self, Claim, Standing};
use crate::store::TicketTx;
use crate::store::audit::Outcome;
use crate::store::{Connections, Store, settings};

mod deeds;

const PLANS: [&str; 2] = ["one plan", "another"];
const BRANCHES: [Option<&str>; 3] = [Some("main"), Some("feature"), None];
const STATES: [State; 5] = [
    State::Waiting,
    State::Granted,
    State::Held,
    State::Parked,
    State::Condemned,
];
const OWNERS: usize = 3;
/// What every ticket here hands on: the number of the ticket tells the holds apart.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The lines of a plan that rows are put in: its own, and those below two holds.
const LINES: i64 = 3;
/// So few may wait that the bound is met.
const QUEUE_MAX: u32 = 4;

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    })
}

/// One database for all cases: an empty queue is as good as a new file.
fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create(dir.path(), Connections::One).unwrap();
    store
        .choose(Duration::from_secs(5), |tx| {
            settings::set_queue_max(tx, QUEUE_MAX)
        })
        .unwrap();
    (dir, store)
}

fn change<T>(store: &Store, work: impl FnOnce(&TicketTx<'_>) -> Result<T>) -> T {
    store.tickets(Duration::from_secs(5), work).unwrap()
}

fn clear(tx: &TicketTx<'_>) -> Result<()> {
    tx.sql().execute("DELETE FROM repo_locks", [])?;
    Ok(())
}

fn line_of(store: &Store, plan_id: &str, below: i64) -> Vec<Ticket> {
    store.read(|tx| line(tx, Line { plan_id, below })).unwrap()
}

fn standings(line: &[Ticket]) -> Vec<Standing<'_>> {
    line.iter().map(Standing::from).collect()
}

fn new_ticket(plan: usize, scope: Scope, branch: Option<&str>, owner: usize) -> NewTicket {
    NewTicket {
        plan_id: PLANS[plan].to_owned(),
        scope,
        branch: branch.map(str::to_owned),
        reason: "a test".to_owned(),
        doorbell: String::new(),
        owner: owner_named(owner),
        token: None,
        hold_token: SECRET.to_owned(),
    }
}

fn owner_named(owner: usize) -> Owner {
    Owner {
        id: format!("owner {owner}"),
        actor: format!("actor {owner}"),
        ..Owner::default()
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Read), Just(Scope::Write)]
}

fn branches() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(&BRANCHES[..])
}

/// A row as no history would leave it: plan, the hold it queues below, state, scope, branch.
type AnyRow = (usize, i64, State, Scope, Option<&'static str>);

/// Rows as no history would leave them: the rules are total, and so must the SQL be.
fn any_rows() -> impl Strategy<Value = Vec<AnyRow>> {
    let states = prop::sample::select(&STATES[..]);
    let row = (0..PLANS.len(), 0..LINES, states, scopes(), branches());
    vec(row, 0..16)
}

fn insert_rows(tx: &TicketTx<'_>, rows: &[AnyRow]) -> Result<()> {
    clear(tx)?;
    for (plan, below, state, scope, branch) in rows {
        let inserted = tx.sql().execute(
            "INSERT INTO repo_locks (plan_id, below, state, scope, branch, owner_id)
             VALUES (?1, ?2, ?3, ?4, ?5, 'somebody')",
            params![PLANS[*plan], below, state.word(), scope.letter(), branch],
        );
        // A second granted writer is refused by the schema, whatever the grant step says.
        if let Err(error) = inserted {
            let line = Line {
                plan_id: PLANS[*plan],
                below: *below,
            };
            let there = super::line(tx, line)?;
            let is_granted_writer = |row: &Ticket| row.scope == Scope::Write && row.state.blocks();
            assert!(there.iter().any(is_granted_writer), "{error}");
        }
    }
    Ok(())
}

#[test]
fn the_grant_step_grants_what_the_rules_say() {
    let (_dir, store) = store();
    let check = |(rows, below): (Vec<_>, i64)| {
        change(&store, |tx| insert_rows(tx, &rows));
        let before = line_of(&store, PLANS[0], below);
        let others = |plan: &'static str| (0..LINES).map(move |other| (plan, other));
        let others = || others(PLANS[0]).chain(others(PLANS[1]));
        let others = || others().filter(|line| *line != (PLANS[0], below));
        let beside: Vec<_> = others().map(|(plan, b)| line_of(&store, plan, b)).collect();
        let mut wanted = before.clone();
        for index in rules::grantable(&standings(&before)) {
            wanted[index].state = State::Granted;
        }
        let plan_id = PLANS[0];
        let granted = change(&store, |tx| grant(tx, Line { plan_id, below }));
        let after = line_of(&store, PLANS[0], below);
        let states = |line: &[Ticket]| {
            line.iter()
                .map(|row| (row.id, row.state))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(states(&after), states(&wanted));
        prop_assert_eq!(granted, rules::grantable(&standings(&before)).len());
        prop_assert!(rules::grantable(&standings(&after)).is_empty());
        let after: Vec<_> = others().map(|(plan, b)| line_of(&store, plan, b)).collect();
        prop_assert_eq!(after, beside);
        Ok(())
    };
    runner(400).run(&(any_rows(), 0..LINES), check).unwrap();
}

#[test]
fn a_new_ticket_is_held_at_once_if_the_rules_grant_it() {
    let (_dir, store) = store();
    let check = |(rows, scope, branch): (Vec<_>, Scope, Option<&'static str>)| {
        change(&store, |tx| insert_rows(tx, &rows));
        let before = line_of(&store, PLANS[0], 0);
        let mut line = standings(&before);
        line.push(Standing {
            state: State::Waiting,
            claim: Claim { scope, branch },
        });
        let wanted = rules::grantable(&line).contains(&before.len());
        let new = new_ticket(0, scope, branch, 0);
        let held = change(&store, |tx| {
            Ok(place_any(tx, &new, OnConflict::Refuse)?.0.is_some())
        });
        prop_assert_eq!(held, wanted, "{:?}", line);
        let after = line_of(&store, PLANS[0], 0);
        prop_assert_eq!(after.len(), before.len() + usize::from(wanted));
        Ok(())
    };
    let inputs = (any_rows(), scopes(), branches());
    runner(400).run(&inputs, check).unwrap();
}

/// A permit of either scope.
enum AnyPermit {
    Read(ReadPermit),
    Write(WritePermit),
}

impl AnyPermit {
    fn proof(&self) -> &Proof {
        match self {
            Self::Read(permit) => permit.proof(),
            Self::Write(permit) => permit.proof(),
        }
    }
}

/// The permit if it is held, and the number of the ticket if there is one.
fn place_any(
    tx: &TicketTx<'_>,
    new: &NewTicket,
    on_conflict: OnConflict,
) -> Result<(Option<AnyPermit>, Option<i64>)> {
    fn sort<P: Permit>(
        placed: Placed<P>,
        wrap: fn(P) -> AnyPermit,
    ) -> (Option<AnyPermit>, Option<i64>) {
        match placed {
            Placed::Held(permit) => {
                let ticket = permit.proof().ticket();
                (Some(wrap(permit)), Some(ticket))
            }
            Placed::Waiting(ticket) => (None, Some(ticket)),
            Placed::QueueFull(_) | Placed::Conflict | Placed::WriteBelowRead(_) => (None, None),
        }
    }
    Ok(match new.scope {
        Scope::Read => sort(place(tx, new, on_conflict)?, AnyPermit::Read),
        Scope::Write => sort(place(tx, new, on_conflict)?, AnyPermit::Write),
    })
}

/// A parked ticket without an owner is a kept place: nobody is dead for want of one, until it has
/// been kept for a minute.
#[test]
fn a_kept_place_survives_the_removal_of_the_dead_for_a_minute() {
    let (_dir, store) = store();
    let rows = STATES.map(|state| (0, 0, state, Scope::Read, Some("main")));
    change(&store, |tx| insert_rows(tx, &rows));
    let kept_since = |ago: i64| {
        let frame = Frame::here();
        change(&store, |tx| {
            let sql = "UPDATE repo_locks SET owner_id = '', lease_stamp = ?1, boot_id = ?2, \
                       time_ns = ?3 WHERE state = 'parked'";
            let stamp = clock::monotonic_ms() - ago;
            Ok(tx
                .sql()
                .execute(sql, params![stamp, frame.boot_id, frame.time_ns])?)
        })
    };
    assert_eq!(kept_since(0), 1);
    let removed = change(&store, |tx| remove_dead(tx, PLANS[0], &|_| false));
    assert_eq!(removed, STATES.len() - 1);
    let left = line_of(&store, PLANS[0], 0);
    assert!(matches!(&left[..], [row] if row.is_kept_place()));
    let sixty = i64::try_from(KEPT.as_millis()).unwrap();
    assert_eq!(kept_since(sixty - 10_000), 1);
    assert_eq!(change(&store, |tx| remove_dead(tx, PLANS[0], &|_| true)), 0);
    assert_eq!(kept_since(sixty + 1), 1);
    assert_eq!(change(&store, |tx| remove_dead(tx, PLANS[0], &|_| true)), 1);
    assert_eq!(line_of(&store, PLANS[0], 0), []);
}

/// Deleting a hold by hand takes what is below it along: the schema says so, whoever deletes.
#[test]
fn what_is_below_a_hold_falls_with_it_by_the_schema() {
    let (_dir, store) = store();
    let outer = change(&store, |tx| {
        let new = new_ticket(0, Scope::Write, None, 0);
        let (_, outer) = place_any(tx, &new, OnConflict::Queue)?;
        let mut inner = new_ticket(1, Scope::Write, None, 1);
        inner.token = outer.map(|id| LockToken::new(id, SECRET));
        place_any(tx, &inner, OnConflict::Queue)?;
        Ok(outer.unwrap())
    });
    assert_eq!(store.read(all).unwrap().len(), 2);
    change(&store, |tx| {
        Ok(tx
            .sql()
            .execute("DELETE FROM repo_locks WHERE id = ?1", [outer])?)
    });
    assert_eq!(store.read(all).unwrap(), []);
}

/// Looking for what falls with a hold reads no other ticket, though every deletion asks for it.
#[test]
fn what_falls_with_a_hold_is_found_by_its_index() {
    let (_dir, store) = store();
    let plan = change(&store, |tx| {
        let sql = "EXPLAIN QUERY PLAN SELECT id FROM repo_locks WHERE parent = 7";
        Ok(tx.sql().query_row(sql, [], |row| row.get::<_, String>(3))?)
    });
    assert!(plan.contains("repo_locks_parent"), "{plan}");
}

/// The second belt holds a row that is changed, too, and one line from another.
#[test]
fn a_line_has_one_granted_writer_whoever_writes_it() {
    let (_dir, store) = store();
    let rows = [
        (0, 0, State::Held, Scope::Write, None),
        (0, 0, State::Waiting, Scope::Write, None),
        (0, 1, State::Waiting, Scope::Write, None),
        (1, 0, State::Condemned, Scope::Write, None),
    ];
    change(&store, |tx| insert_rows(tx, &rows));
    assert_eq!(store.read(all).unwrap().len(), rows.len());
    let set = |state: &str, line: i64| {
        store.tickets(Duration::from_secs(5), |tx| {
            let sql = "UPDATE repo_locks SET state = ?1 WHERE state = 'waiting' AND below = ?2";
            Ok(tx.sql().execute(sql, params![state, line])?)
        })
    };
    for state in ["granted", "held", "condemned"] {
        let error = set(state, 0).unwrap_err();
        assert!(
            format!("{error:#}").contains("has a granted writer"),
            "{error:#}"
        );
    }
    assert_eq!(set("granted", 1).unwrap(), 1);
    assert_eq!(set("parked", 0).unwrap(), 1);
}

/// Rows that name each other as their hold (by hand: no history makes them) hang nobody.
#[test]
fn holds_in_a_circle_hang_nobody() {
    let (_dir, store) = store();
    let (permit, one) = change(&store, |tx| {
        let new = new_ticket(0, Scope::Write, None, 0);
        let (_, outer) = place_any(tx, &new, OnConflict::Queue)?;
        let mut inner = new_ticket(1, Scope::Write, None, 1);
        inner.token = outer.map(|id| LockToken::new(id, SECRET));
        let (permit, inner) = place_any(tx, &inner, OnConflict::Queue)?;
        let sql = "UPDATE repo_locks SET parent = ?2 WHERE id = ?1";
        tx.sql().execute(sql, params![outer, inner])?;
        Ok((permit.unwrap(), inner.unwrap()))
    });
    change(&store, |tx| {
        assert!(check_fence(tx.0, permit.proof()).is_err());
        assert!(is_honoured(tx, &LockToken::new(one, SECRET))?);
        remove_forced(tx, one, permit.proof().fence())
    });
    assert_eq!(store.read(all).unwrap(), []);
}
