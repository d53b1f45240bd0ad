//! The queue of one process, through the library: many threads, one plan.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use parking_lot::Mutex;
use plandex::lock::{Patience, operation};
use plandex::platform::cancel::Cancel;
use plandex::project::{Place, Project, Session};
use plandex::store::Connections;
use plandex::store::tickets::{Permit as _, WritePermit};
use plandex::workers::{self, Params};

use crate::support::Sandbox;

use super::{SOON, audited, project};

/// The project as a program would open it that uses the library.
pub(super) fn open(sandbox: &Sandbox) -> Arc<Project> {
    let place = Place {
        root: sandbox.root().to_owned(),
        dir: sandbox.state_dir(),
    };
    let session = Session {
        plan: None,
        branch: None,
        terminal: None,
        actor: "library".to_owned(),
        command: "a test".to_owned(),
        lock_token: None,
        connections: Connections::Pool,
        repairs: &[plandex::plan::repair],
    };
    Project::open(&place, session).unwrap()
}

/// What an operation for writing is submitted with; it waits for as long as it takes.
pub(crate) fn writing(plan_id: &str) -> Params<WritePermit> {
    Params {
        plan_id: plan_id.to_owned(),
        branch: None,
        operation: operation::TELL,
        patience: Patience::Forever,
        cancel: Cancel::new().unwrap(),
        on_wait: Box::new(|_| {}),
    }
}

mod concurrent_queue_access_stress {
    use super::*;

    /// SEED.md 7.1.1: each runs once, each caller is answered, and the order is the tickets'.
    #[test]
    fn concurrent_operation_addition() {
        let sandbox = project();
        let project = open(&sandbox);
        let plan = project.selected().unwrap().plan.id;
        let submitted = Mutex::new(Vec::new());
        let ran = Arc::new(Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for thread in 0..100_usize {
                let (project, plan, submitted, ran) = (&project, &plan, &submitted, &ran);
                scope.spawn(move || {
                    let pending = {
                        let mut line = submitted.lock();
                        line.push(thread);
                        let ran = Arc::clone(ran);
                        workers::submit(project, writing(plan), move |permit, _| {
                            let proof = permit.proof();
                            ran.lock().push((thread, proof.ticket(), proof.fence()));
                            Ok(thread)
                        })
                    };
                    assert_eq!(pending.unwrap().wait().unwrap(), thread);
                });
            }
        });
        let ran = ran.lock().clone();
        let threads: Vec<usize> = ran.iter().map(|(thread, _, _)| *thread).collect();
        assert_eq!(threads, *submitted.lock());
        assert_eq!(threads.len(), 100);
        assert!(ran.is_sorted_by(|one, next| one.1 < next.1 && one.2 < next.2));
        let (_, threads) = project.workers().load();
        assert!((1..=64).contains(&threads), "{threads} threads");
        sandbox.until("the queue is gone", || {
            (project.workers().load().0 == 0).then_some(())
        });
        drop(project);
        assert!(sandbox.tickets().is_empty());
        let audit = audited(&sandbox);
        assert_eq!(audit.len(), 100);
        assert!(
            audit
                .iter()
                .all(|entry| entry.outcome.as_deref() == Some("released"))
        );
    }
}

mod channel_patterns {
    use super::*;

    /// The caller is gone before the reply: the worker neither blocks nor is lost.
    #[test]
    fn buffered_error_channel_prevents_leak() {
        let sandbox = project();
        let project = open(&sandbox);
        let plan = project.selected().unwrap().plan.id;
        for _ in 0..10 {
            let (go, gone) = bounded::<()>(0);
            let (started, runs) = bounded(1);
            let pending = workers::submit(&project, writing(&plan), move |_, _| {
                started.send(()).unwrap();
                gone.recv().ok();
                anyhow::bail!("nobody hears this")
            });
            let pending: workers::Pending<()> = pending.unwrap();
            runs.recv_timeout(SOON).unwrap();
            drop(pending);
            drop(go);
            let next = workers::submit(&project, writing(&plan), |_, _| Ok(7)).unwrap();
            assert_eq!(next.reply().recv_timeout(SOON).unwrap().unwrap(), 7);
        }
        assert_eq!(project.workers().load().1, 1, "one thread did it all");
    }

    /// The caller stops waiting; the operation runs on to its end and the next one follows.
    #[test]
    fn done_channel_pattern_with_timeout() {
        let sandbox = project();
        let project = open(&sandbox);
        let plan = project.selected().unwrap().plan.id;
        let (go, gone) = bounded::<()>(0);
        let pending = workers::submit(&project, writing(&plan), move |_, _| {
            gone.recv().ok();
            Ok("late")
        });
        let pending = pending.unwrap();
        let soon = Duration::from_millis(50);
        let over = pending.reply().recv_timeout(soon);
        assert!(matches!(over, Err(RecvTimeoutError::Timeout)));
        let next = workers::submit(&project, writing(&plan), |_, _| Ok("next")).unwrap();
        let over = next.reply().recv_timeout(soon);
        assert!(
            matches!(over, Err(RecvTimeoutError::Timeout)),
            "it ran beside the first"
        );
        drop(go);
        assert_eq!(pending.wait().unwrap(), "late");
        assert_eq!(next.reply().recv_timeout(SOON).unwrap().unwrap(), "next");
        assert_eq!(project.workers().load().1, 1);
    }

    /// A panic is that operation's error, and takes nobody along.
    #[test]
    fn a_panic_is_one_operations_error() {
        let sandbox = project();
        let project = open(&sandbox);
        let plan = project.selected().unwrap().plan.id;
        let broken =
            workers::exec_repo_operation(&project, writing(&plan), |_, _| -> anyhow::Result<()> {
                panic!("out of its mind")
            });
        let words = format!("{:#}", broken.unwrap_err());
        assert!(words.contains("out of its mind"), "{words}");
        let next = workers::exec_repo_operation(&project, writing(&plan), |_, _| Ok(7));
        assert_eq!(next.unwrap(), 7);
        assert_eq!(project.workers().load().1, 1);
    }
}
