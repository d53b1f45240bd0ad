//! Waiting: order, deadlines, turns that nobody takes up.

use super::*;

/// SEED.md B.3 TimerDrainPattern: a deadline belongs to one wait, whatever became of it.
mod timer_drain_pattern {
    use super::*;

    const SHORT: Duration = Duration::from_millis(150);

    /// Waits in vain, and exactly as long as asked.
    fn time_out(process: &Process) {
        let begun = Instant::now();
        let error = lock_error(process.acquire(Patience::within(SHORT)));
        let LockError::Timeout {
            waited, waiting, ..
        } = error
        else {
            panic!("{error}");
        };
        assert!(waited >= SHORT && begun.elapsed() >= SHORT);
        assert!(begun.elapsed() < AMPLE / 2, "the deadline was not heard");
        assert_eq!(waiting.position, 2);
        assert_eq!(process.states(), [State::Held]);
    }

    #[test]
    fn drain_works_when_timer_fired_and_read() {
        let project = Project::new(STEADY);
        let (holder, waiter) = (project.process(), project.process());
        let hold = holder.hold();
        time_out(&waiter);
        time_out(&waiter);
        hold.release(Outcome::Released).unwrap();
        waiter.hold().release(Outcome::Released).unwrap();
    }

    #[test]
    fn drain_works_when_timer_has_not_fired() {
        let project = Project::new(STEADY);
        let (holder, waiter) = (project.process(), project.process());
        let hold = holder.hold();
        std::thread::scope(|scope| {
            let waits = line_up(scope, &waiter, Patience::within(AMPLE));
            holder.until(&[State::Held, State::Waiting]);
            hold.release(Outcome::Released).unwrap();
            drop(waits.join().unwrap().unwrap());
        });
        let hold = holder.hold();
        time_out(&waiter);
        drop(hold);
    }

    /// The deadline passes while the waiter stands still, and so does its turn: it takes the turn.
    #[test]
    fn drain_works_when_timer_fired_not_read() {
        let project = Project::new(STEADY);
        let (holder, waiter) = (project.process(), project.process());
        let hold = holder.hold();
        std::thread::scope(|scope| {
            let deadline = Instant::now() + SHORT;
            let waits = Suspended::line_up(scope, &waiter, Patience::Until(deadline));
            hold.release(Outcome::Released).unwrap();
            eventually(|| Instant::now() > deadline);
            assert_eq!(waiter.states(), [State::Granted]);
            waits.resume().unwrap().release(Outcome::Released).unwrap();
        });
        let hold = holder.hold();
        time_out(&waiter);
        hold.release(Outcome::Released).unwrap();
        waiter.hold().release(Outcome::Released).unwrap();
    }
}

#[test]
fn turns_come_in_the_order_of_arrival_with_rising_fences() {
    let project = Project::new(STEADY);
    let holder = project.process();
    let waiters: Vec<Process> = (0..8).map(|_| project.process()).collect();
    let hold = holder.hold();
    let turns = parking_lot::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (nth, waiter) in waiters.iter().enumerate() {
            let turns = &turns;
            threads.push(scope.spawn(move || {
                let hold = waiter.hold();
                let proof = hold.permit().proof();
                turns.lock().push((nth, proof.fence()));
                hold.release(Outcome::Released).unwrap();
            }));
            eventually(|| holder.line().len() == nth + 2);
        }
        hold.release(Outcome::Released).unwrap();
        // By hand: ThreadSanitizer does not see that a scope waits for its threads.
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let (order, fences): (Vec<usize>, Vec<i64>) = turns.into_inner().into_iter().unzip();
    assert_eq!(order, (0..8).collect::<Vec<_>>());
    assert!(
        fences.is_sorted_by(|earlier, later| earlier < later),
        "{fences:?}"
    );
    assert_eq!(holder.states(), []);
}

/// With a tick that outlasts the test, only the doorbell can tell.
#[test]
fn a_release_rings_for_the_next() {
    let project = Project::new(Intervals {
        heartbeat: AMPLE * 4,
        lease: AMPLE * 20,
    });
    let (holder, waiter) = (project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let (stands, standing) = mpsc::channel();
        let waits = scope.spawn(move || {
            let request = waiter.request(Patience::within(AMPLE));
            let on_wait = &mut |_: &Notice| {
                stands.send(()).ok();
            };
            waiter.locks.acquire(&request, on_wait).unwrap().waited()
        });
        standing.recv_timeout(AMPLE).unwrap();
        hold.release(Outcome::Released).unwrap();
        assert!(waits.join().unwrap() < AMPLE / 2, "nobody rang");
    });
}

#[test]
fn a_suspended_waiter_is_passed_over_and_served_later() {
    let project = Project::new(STEADY);
    let (holder, first, second) = (project.process(), project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let suspended = Suspended::line_up(scope, &first, Patience::within(AMPLE));
        let waits = line_up(scope, &second, Patience::within(AMPLE));
        holder.until(&[State::Held, State::Waiting, State::Waiting]);
        hold.release(Outcome::Released).unwrap();
        let hold = waits.join().unwrap().unwrap();
        assert_eq!(holder.states(), [State::Parked, State::Held]);
        let late = scope.spawn(|| suspended.resume());
        // It is back in its place, before the one that passed it.
        holder.until(&[State::Waiting, State::Held]);
        let passed = hold.permit().proof().fence();
        hold.release(Outcome::Released).unwrap();
        let hold = late.join().unwrap().unwrap();
        assert!(hold.permit().proof().fence() > passed);
    });
    let history = first.store.read(|tx| audit::history(tx, PLAN, 10)).unwrap();
    let outcomes: Vec<_> = history
        .iter()
        .rev()
        .map(|entry| entry.outcome.clone())
        .collect();
    let words = ["released", "unconfirmed", "released", "cancelled"];
    assert_eq!(outcomes, words.map(|word| Some(word.to_owned())));
}

/// The first in line is stopped when the holder dies: whoever stands behind it sees to the line.
#[test]
fn a_death_is_noticed_behind_a_suspended_waiter() {
    let project = Project::new(STEADY);
    let (holder, first, second) = (project.process(), project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let suspended = Suspended::line_up(scope, &first, Patience::within(AMPLE));
        let waits = line_up(scope, &second, Patience::within(AMPLE));
        holder.until(&[State::Held, State::Waiting, State::Waiting]);
        let sql = "UPDATE repo_locks SET owner_id = 'dead' WHERE state = 'held'";
        assert_eq!(project.outside().execute(sql, []).unwrap(), 1);
        drop(waits.join().unwrap().unwrap());
        drop(suspended.resume().unwrap());
    });
    assert!(is_lost(hold.release(Outcome::Released)));
}

/// As above, and the holder hangs.
#[test]
fn a_hung_holder_is_noticed_behind_a_suspended_waiter() {
    let project = Project::new(QUICK);
    let (holder, first, second) = (project.process(), project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let suspended = Suspended::line_up(scope, &first, Patience::within(AMPLE));
        let waits = line_up(scope, &second, Patience::within(AMPLE));
        holder.until(&[State::Held, State::Waiting, State::Waiting]);
        holder.hang(&hold);
        drop(waits.join().unwrap().unwrap());
        drop(suspended.resume().unwrap());
    });
    assert!(is_lost(hold.release(Outcome::Released)));
}

#[test]
fn a_row_removed_by_hand_hangs_nobody() {
    let project = Project::new(STEADY);
    let (holder, first, second) = (project.process(), project.process(), project.process());
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let suspended = Suspended::line_up(scope, &first, Patience::within(AMPLE));
        let waits = line_up(scope, &second, Patience::within(AMPLE));
        holder.until(&[State::Held, State::Waiting, State::Waiting]);
        let sql = "DELETE FROM repo_locks WHERE state = 'held'";
        assert_eq!(project.outside().execute(sql, []).unwrap(), 1);
        drop(waits.join().unwrap().unwrap());
        drop(suspended.resume().unwrap());
    });
    assert!(is_lost(hold.release(Outcome::Released)));
}

#[test]
fn a_full_queue_takes_no_more() {
    let project = Project::new(STEADY);
    let (holder, first, second) = (project.process(), project.process(), project.process());
    holder
        .store
        .choose(AMPLE, |tx| settings::set_queue_max(tx, 1))
        .unwrap();
    let hold = holder.hold();
    std::thread::scope(|scope| {
        let waits = line_up(scope, &first, Patience::within(AMPLE));
        holder.until(&[State::Held, State::Waiting]);
        let error = lock_error(second.acquire(Patience::within(AMPLE)));
        assert!(
            matches!(error, LockError::QueueFull { waiting: 1 }),
            "{error}"
        );
        assert_eq!(holder.states(), [State::Held, State::Waiting]);
        hold.release(Outcome::Released).unwrap();
        drop(waits.join().unwrap().unwrap());
    });
    second.hold().release(Outcome::Released).unwrap();
}

#[test]
fn without_patience_a_conflict_is_told_at_once() {
    let project = Project::new(STEADY);
    let (holder, other) = (project.process(), project.process());
    let hold = holder.hold();
    let LockError::Conflict { scope, ahead } = lock_error(other.acquire(Patience::None)) else {
        panic!("it was no conflict");
    };
    assert_eq!((scope, ahead.len()), ("write", 1));
    assert_eq!(ahead[0].id, hold.permit().proof().ticket());
    hold.release(Outcome::Released).unwrap();
    drop(other.acquire(Patience::None).unwrap());
}
