//! What a waiter is told: the line, the estimate, retries, whether its place is kept.

use super::*;

/// Waits for at most `patience` and returns everything that was said.
fn notices(process: &Process, patience: Duration) -> (Vec<Notice>, Result<Hold<WritePermit>>) {
    let mut said = Vec::new();
    let request = process.request(Patience::within(patience));
    let result = process
        .locks
        .acquire(&request, &mut |notice: &Notice| said.push(notice.clone()));
    (said, result)
}

fn waitings(said: &[Notice]) -> Vec<&Waiting> {
    said.iter()
        .filter_map(|notice| match notice {
            Notice::Waiting(waiting) => Some(waiting),
            Notice::Retrying(_) => None,
        })
        .collect()
}

/// Writes down that an operation held its ticket for so long.
fn held_for(project: &Project, plan: &str, seconds: i64) {
    project
        .outside()
        .execute(
            "INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, reason, actor, pid,
                command, queued_at, granted_at, ended_at, outcome)
             VALUES (?1, 0, 1, 'w', 'tell execution', '', 1, '', 0, 0, ?2 * 1000, 'released')",
            rusqlite::params![plan, seconds],
        )
        .unwrap();
}

#[test]
fn the_estimate_comes_from_what_such_operations_took() {
    let project = Project::new(STEADY);
    let (holder, waiter) = (project.process(), project.process());
    let hold = holder.hold();
    let wait = Duration::from_millis(450);
    // Nothing is known, then too little, then enough of other plans, then of this one.
    for (plan, seconds, known) in [
        ("another", 1_000, None),
        ("another", 2_000, None),
        ("another", 3_000, Some(2_000)),
        (PLAN, 100, Some(1_000)),
        (PLAN, 200, Some(1_000)),
        (PLAN, 300, Some(200)),
    ] {
        held_for(&project, plan, seconds);
        let (said, result) = notices(&waiter, wait);
        assert!(matches!(lock_error(result), LockError::Timeout { .. }));
        let said = waitings(&said);
        assert_eq!(said[0].estimate, None, "told at once, so not looked up");
        let last = said.last().unwrap().estimate;
        match (last, known) {
            (Some(last), Some(known)) => {
                let known = Duration::from_secs(known);
                // Less by how long it has run.
                assert!(last <= known && last + AMPLE > known, "{last:?} {known:?}");
            }
            (last, known) => assert_eq!((last, known), (None, None)),
        }
    }
    hold.release(Outcome::Released).unwrap();
}

#[test]
fn the_line_is_counted() {
    let project = Project::new(STEADY);
    let [holder, reader, second] = [(); 3].map(|()| project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let cancel = reader.cancel.clone();
        let (locks, line) = (&reader.locks, &holder);
        let reads = scope.spawn(move || {
            let request = Request {
                plan_id: PLAN,
                branch: Some("main"),
                operation: operation::DIFF,
                patience: Patience::within(AMPLE),
                cancel: &cancel,
            };
            locks.acquire(&request, &mut |_| {}).map(drop)
        });
        line.until(&[State::Held, State::Waiting]);
        let (said, result) = notices(&second, Duration::from_millis(50));
        assert!(matches!(lock_error(result), LockError::Timeout { .. }));
        let told = waitings(&said)[0];
        assert_eq!((told.position, told.total), (3, 3));
        let (readers, writers) = (1, 1);
        assert_eq!(told.ahead, Ahead { readers, writers });
        assert!(told.left.unwrap() <= Duration::from_millis(50));
        hold.release(Outcome::Released).unwrap();
        reads.join().unwrap().unwrap();
    });
}

#[test]
fn a_place_is_kept_for_whoever_can_be_told() {
    let project = Project::new(STEADY);
    let holder = project.process();
    let hold = holder.hold();
    for (actor, keeps) in [("", None), ("ann", Some(tickets::KEPT))] {
        let store = Arc::new(Store::open(project.dir.path(), Connections::One).unwrap());
        let locks = Locks::new(store, actor, "a test").unwrap();
        let patience = Patience::within(Duration::from_millis(50));
        let error = lock_error(locks.acquire(&holder.request(patience), &mut |_| {}));
        let LockError::Timeout { kept, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(kept, keeps);
    }
    assert_eq!(holder.states(), [State::Held, State::Parked]);
    hold.release(Outcome::Released).unwrap();
}

/// Past the gate, where nobody gives turns: the schedule, until the transaction gets through.
#[test]
fn a_conflicted_transaction_is_retried_and_says_so() {
    let project = Project::new(STEADY);
    let process = project.process();
    let outside = project.outside();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut said = Vec::new();
    let request = process.request(Patience::within(AMPLE));
    let hold = process.locks.acquire(&request, &mut |notice: &Notice| {
        if let Notice::Retrying(retry) = notice {
            if retry.attempt == 2 {
                outside.execute_batch("ROLLBACK").unwrap();
            }
            said.push(retry.clone());
        }
    });
    drop(hold.unwrap());
    let told: Vec<_> = said
        .iter()
        .map(|retry| (retry.attempt, retry.of, retry.why))
        .collect();
    assert_eq!(told, [(1, 6, RetryReason::Busy), (2, 6, RetryReason::Busy)]);
    for (row, retry) in said.iter().enumerate() {
        let row = u32::try_from(row).unwrap();
        let (least, most) = (backoff::delay(row, -1.0), backoff::delay(row, 1.0));
        assert!((least..=most).contains(&retry.delay), "{:?}", retry.delay);
    }
    assert_eq!(process.states(), []);
}

/// A hold that is lost while a ticket below it waits: the ticket is lost with it, and never becomes
/// one of the plan's own line.
#[test]
fn a_wait_below_a_hold_that_is_lost_ends_as_lost() {
    let project = Project::new(STEADY);
    let [outer, first, second] = [(); 3].map(|()| project.process());
    let cancel = &outer.cancel;
    let request = Request {
        plan_id: PLAN,
        branch: None,
        operation: operation::EXEC,
        patience: Patience::None,
        cancel,
    };
    let hold = outer.locks.acquire(&request, &mut |_| {}).unwrap();
    let ticket = hold.permit().proof().ticket();
    let token = outer.locks.token_of(ticket);
    assert!(token.is_some());
    let below = |process: Process| {
        let locks = process.locks.below(token.clone());
        Process { locks, ..process }
    };
    let (first, second) = (below(first), below(second));
    let inner = first.hold();
    std::thread::scope(|scope| {
        let waits = line_up(scope, &second, Patience::within(AMPLE));
        let of_plan = || outer.store.read(|tx| tickets::of_plan(tx, PLAN)).unwrap();
        eventually(|| of_plan().len() == 3);
        assert_eq!(outer.states(), [State::Held]);
        let sql = "DELETE FROM repo_locks WHERE id = ?1";
        assert_eq!(project.outside().execute(sql, [ticket]).unwrap(), 1);
        assert!(is_lost(waits.join().unwrap()));
        assert_eq!(of_plan(), []);
    });
    assert!(is_lost(first.store.write(inner.permit(), |_| Ok(()))));
    assert!(is_lost(inner.release(Outcome::Released)));
    assert!(is_lost(hold.release(Outcome::Released)));
}
