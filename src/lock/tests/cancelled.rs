//! Ends that come from the caller: cancelled, or out of time.

use super::*;

/// SEED.md B.3 ContextCancellation: while queued, waiting and working, the lock is gone after it
/// and the next proceeds.
mod context_cancellation {
    use super::*;

    #[test]
    fn operation_respects_cancellation() {
        let project = Project::new(STEADY);
        let [holder, queued, waiting, next] = [(); 4].map(|()| project.process());
        let hold = holder.hold();

        queued.cancel.set(Reason::Interrupted);
        let error = lock_error(queued.acquire(Patience::within(AMPLE)));
        assert!(matches!(error, LockError::Cancelled(Reason::Interrupted)));
        assert_eq!(holder.states(), [State::Held]);

        std::thread::scope(|scope| {
            let waits = line_up(scope, &waiting, Patience::within(AMPLE));
            holder.until(&[State::Held, State::Waiting]);
            let behind = line_up(scope, &next, Patience::within(AMPLE));
            holder.until(&[State::Held, State::Waiting, State::Waiting]);
            waiting.cancel.set(Reason::Terminated);
            let error = lock_error(waits.join().unwrap());
            assert!(matches!(error, LockError::Cancelled(Reason::Terminated)));
            assert_eq!(holder.states(), [State::Held, State::Waiting]);

            holder.cancel.set(Reason::Interrupted);
            drop(hold);
            drop(behind.join().unwrap().unwrap());
        });
        assert_eq!(next.states(), []);
    }

    #[test]
    fn operation_respects_timeout() {
        let project = Project::new(STEADY);
        let [holder, queued, waiting, next] = [(); 4].map(|()| project.process());
        let short = Duration::from_millis(150);

        let gate = project.shut_gate();
        let begun = Instant::now();
        let error = queued.acquire(Patience::within(short)).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(StoreError::Busy(_))),
            "{error:#}"
        );
        assert!(begun.elapsed() >= short && begun.elapsed() < AMPLE / 2);
        drop(gate);
        assert_eq!(queued.states(), []);

        // The deadline is the wait's: work that began before it goes on after it.
        let deadline = Instant::now() + short;
        let hold = holder.acquire(Patience::Until(deadline)).unwrap();
        eventually(|| Instant::now() > deadline);
        holder.store.write(hold.permit(), |_| Ok(())).unwrap();

        let error = lock_error(waiting.acquire(Patience::within(short)));
        assert!(matches!(error, LockError::Timeout { .. }), "{error}");
        assert_eq!(holder.states(), [State::Held]);
        hold.release(Outcome::Released).unwrap();
        next.hold().release(Outcome::Released).unwrap();
    }
}

#[test]
fn a_turn_that_comes_with_the_cancellation_is_given_on() {
    let project = Project::new(STEADY);
    let (holder, first, second) = (project.process(), project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let suspended = Suspended::line_up(scope, &first, Patience::within(AMPLE));
        hold.release(Outcome::Released).unwrap();
        assert_eq!(holder.states(), [State::Granted]);
        let waits = line_up(scope, &second, Patience::within(AMPLE));
        first.cancel.set(Reason::Interrupted);
        // Its turn may have been taken up in the same moment: then the work ends as cancelled.
        drop(suspended.resume());
        drop(waits.join().unwrap().unwrap());
    });
    assert_eq!(holder.states(), []);
}

#[test]
fn stop_is_heard_by_who_works() {
    let project = Project::new(Intervals {
        heartbeat: AMPLE,
        lease: AMPLE * 10,
    });
    let (holder, other) = (project.process(), project.process());
    let hold = holder.hold();
    let asked = other
        .store
        .tickets(AMPLE, |tx| {
            tickets::request_cancel(tx, PLAN, tickets::ToStop::Writing)
        })
        .unwrap();
    assert_eq!(asked.len(), 1);
    let (reason, after) = holder.until_cancelled();
    assert_eq!(reason, Reason::Stopped);
    assert!(
        after < AMPLE / 2,
        "the doorbell was not heard before the next beat"
    );
    hold.release(Outcome::Cancelled).unwrap();
}

/// A process is stopped inside the gate when a waiter finds something to do for the line.
#[test]
fn a_shut_gate_keeps_nobody_from_hearing_a_cancellation() {
    let project = Project::new(STEADY);
    let (holder, waiter) = (project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let waits = line_up(scope, &waiter, Patience::Forever);
        holder.until(&[State::Held, State::Waiting]);
        let sql = "UPDATE repo_locks SET owner_id = 'dead' WHERE state = 'held'";
        let outside = project.outside();
        let gate = project.shut_gate();
        outside.execute(sql, []).unwrap();
        waiter.cancel.set(Reason::Interrupted);
        let begun = Instant::now();
        let error = lock_error(waits.join().unwrap());
        assert!(
            matches!(error, LockError::Cancelled(Reason::Interrupted)),
            "{error}"
        );
        assert!(begun.elapsed() < AMPLE / 2);
        drop(gate);
    });
    assert!(hold.release(Outcome::Released).is_ok());
}
