//! Locks that are lost: by a hand, a stall, a database that cannot be written.

use super::*;

/// SEED.md 7.2.1: a row written by hand is a lock without an owner; it is removed and the operation
/// proceeds.
#[test]
fn lock_cleanup_after_crash() {
    let project = Project::new(STEADY);
    let process = project.process();
    for scope in ["w", "r"] {
        let sql = "INSERT INTO repo_locks (plan_id, scope) VALUES (?1, ?2)";
        project.outside().execute(sql, [PLAN, scope]).unwrap();
        assert_eq!(process.states(), [State::Held]);
        let hold = process.acquire(Patience::None).unwrap();
        let ticket = hold.permit().proof().ticket();
        assert_eq!(
            process.line().iter().map(|row| row.id).collect::<Vec<_>>(),
            [ticket]
        );
    }
    let history = process
        .store
        .read(|tx| audit::history(tx, PLAN, 10))
        .unwrap();
    let died = |entry: &&audit::Entry| entry.outcome.as_deref() == Some("owner died");
    assert_eq!(history.iter().filter(died).count(), 2);
}

#[test]
fn a_row_deleted_under_its_holder_ends_the_work() {
    let project = Project::new(STEADY);
    let process = project.process();
    let hold = process.hold();
    process.store.write(hold.permit(), |_| Ok(())).unwrap();
    project
        .outside()
        .execute("DELETE FROM repo_locks", [])
        .unwrap();
    let wrote = process.store.write(hold.permit(), |_| -> Result<()> {
        panic!("nothing may be written");
    });
    assert!(is_lost(wrote));
    let (reason, after) = process.until_cancelled();
    assert_eq!(reason, Reason::LockLost);
    // One beat is enough; the rest is for a busy machine.
    assert!(
        after < STEADY.heartbeat * 2 + Duration::from_secs(5),
        "{after:?}"
    );
    assert!(is_lost(hold.release(Outcome::Released)));
    drop(project.process().hold());
}

/// SEED.md 7.2.2: an outside program holds the database's write lock, so that beats really fail;
/// the work ends and the next proceeds.
#[test]
fn heartbeat_failure_recovery() {
    let project = Project::new(QUICK);
    let (process, next) = (project.process(), project.process());
    let hold = process.hold();
    let outside = project.outside();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (reason, after) = process.until_cancelled();
    assert_eq!(reason, Reason::LockLost);
    assert!(after > QUICK.heartbeat, "one failed beat is not the end");
    outside.execute_batch("ROLLBACK").unwrap();
    drop(hold);
    drop(next.hold());
    assert_eq!(next.states(), []);
}

#[test]
fn an_owner_that_hangs_is_condemned_and_cannot_write_any_more() {
    let project = Project::new(QUICK);
    let (hung, next) = (project.process(), project.process());
    let hold = hung.hold();
    hung.hang(&hold);
    let successor = next.hold();
    assert!(successor.permit().proof().fence() > hold.permit().proof().fence());
    assert!(successor.waited() >= QUICK.lease);
    let wrote = hung.store.write(hold.permit(), |_| -> Result<()> {
        panic!("nothing may be written");
    });
    assert!(is_lost(wrote));
    // Awake again, it hears of it at the next beat, and its release takes nothing from the other.
    hung.wake(&hold);
    assert_eq!(hung.until_cancelled().0, Reason::LockLost);
    assert!(is_lost(hold.release(Outcome::Released)));
    next.store.write(successor.permit(), |_| Ok(())).unwrap();
    successor.release(Outcome::Released).unwrap();
    let history = next.store.read(|tx| audit::history(tx, PLAN, 10)).unwrap();
    let outcomes: Vec<_> = history
        .iter()
        .filter_map(|entry| entry.outcome.as_deref())
        .collect();
    assert_eq!(outcomes, ["released", "lease expired"]);
}

#[test]
fn a_release_never_removes_a_successor() {
    let project = Project::new(STEADY);
    let (process, other) = (project.process(), project.process());
    let hold = process.hold();
    // The very same row, granted once more: only the fence tells.
    let sql = "UPDATE repo_locks SET fence = fence + 1 WHERE state = 'held'";
    project.outside().execute(sql, []).unwrap();
    assert!(is_lost(process.store.write(hold.permit(), |_| Ok(()))));
    assert!(is_lost(hold.release(Outcome::Released)));
    assert_eq!(process.states(), [State::Held]);
    let error = lock_error(other.acquire(Patience::None));
    assert!(matches!(error, LockError::Conflict { .. }), "{error}");
}

/// While the gate is shut no heart can beat, so silence proves nothing: whoever waited at the
/// gate to condemn must look again.
#[test]
fn a_shut_gate_expires_nobody() {
    // A grace in which a heart gets its turn on a busy machine too.
    let intervals = Intervals {
        heartbeat: Duration::from_millis(300),
        lease: Duration::from_millis(1500),
    };
    let project = Project::new(intervals);
    let (holder, waiter) = (project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let waits = line_up(scope, &waiter, Patience::within(AMPLE));
        for _ in 0..3 {
            holder.until(&[State::Held, State::Waiting]);
            let silence = || holder.line()[0].silence_ms().unwrap();
            let is_long_over = intervals.lease + intervals.grace() * 4;
            let gate = project.shut_gate();
            eventually(|| u128::try_from(silence()).unwrap() > is_long_over.as_millis());
            drop(gate);
            eventually(|| u128::try_from(silence()).unwrap() < intervals.lease.as_millis());
        }
        holder.store.write(hold.permit(), |_| Ok(())).unwrap();
        assert!(!holder.cancel.is_set());
        hold.release(Outcome::Released).unwrap();
        drop(waits.join().unwrap().unwrap());
    });
}

/// A ticket that could not be released must not live on by the beats for another one.
#[test]
fn a_ticket_that_could_not_be_released_expires() {
    let project = Project::new(QUICK);
    let (process, next) = (project.process(), project.process());
    let other = Request {
        plan_id: "another plan",
        ..process.request(Patience::None)
    };
    let other = process.locks.acquire(&other, &mut |_| {}).unwrap();
    let hold = process.hold();
    let gate = project.shut_gate();
    let error = hold.release(Outcome::Released).unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(StoreError::Busy(_))),
        "{error:#}"
    );
    drop(gate);
    drop(next.hold());
    other.release(Outcome::Released).unwrap();
}
