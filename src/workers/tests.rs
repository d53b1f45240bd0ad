//! The queue under many threads, without another process: what ThreadSanitizer looks at.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::*;
use crate::project::{Place, Session};
use crate::store::Connections;
use crate::store::tickets::{Permit as _, ReadPermit};

/// Long enough for anything here to happen on a busy machine.
const AMPLE: Duration = Duration::from_secs(60);

fn place(home: &Path) -> Place {
    Place {
        root: home.to_owned(),
        dir: home.join(".plandex"),
    }
}

fn session() -> Session {
    Session {
        plan: None,
        branch: None,
        terminal: None,
        actor: "library".to_owned(),
        command: "a test".to_owned(),
        lock_token: None,
        connections: Connections::Pool,
        repairs: &[],
    }
}

/// A project with so many plans.
fn project(plans: usize) -> (tempfile::TempDir, Arc<Project>, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    let project = Project::create(&place(home.path()), session()).unwrap();
    let plans = (0..plans)
        .map(|number| {
            let name = format!("plan{number}");
            let plan = project.new_plan(&name, Patience::within(AMPLE), &mut |_| {});
            plan.unwrap().id
        })
        .collect();
    (home, project, plans)
}

fn params<P>(plan_id: &str, operation: Operation<P>, cancel: &Cancel) -> Params<P> {
    Params {
        plan_id: plan_id.to_owned(),
        branch: Some("main".to_owned()),
        operation,
        patience: Patience::within(AMPLE),
        cancel: cancel.clone(),
        on_wait: Box::new(|_| {}),
    }
}

/// SEED.md 7.1.1: 100 threads add reads of one branch; each runs once and is answered.
#[test]
fn queue_concurrent_access() {
    let (_home, project, plans) = project(1);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let cancel = Cancel::new().unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|number| {
                let (project, plan, cancel, ran) = (&project, &plans[0], &cancel, Arc::clone(&ran));
                scope.spawn(move || {
                    let params = params(plan, operation::DIFF, cancel);
                    let read = move |_: &ReadPermit, _: &Turn<'_>| {
                        ran.lock().push(number);
                        Ok(number)
                    };
                    exec_repo_operation(project, params, read).unwrap()
                })
            })
            .collect();
        for (number, thread) in threads.into_iter().enumerate() {
            assert_eq!(thread.join().unwrap(), number);
        }
    });
    let mut ran = ran.lock().clone();
    ran.sort_unstable();
    assert_eq!(ran, (0..100).collect::<Vec<_>>());
    assert!(project.workers().load().1 <= THREADS_MAX);
}

/// Reads, writes, panics, callers that leave and callers that cancel, all at once: no write runs
/// beside another of its plan, whoever waits is answered, and the queues end empty.
#[test]
fn whatever_callers_do_the_queues_end_empty() {
    const PLANS: usize = 3;
    let (_home, project, plans) = project(PLANS);
    let inside: Arc<Vec<Mutex<()>>> = Arc::new((0..PLANS).map(|_| Mutex::default()).collect());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..30)
            .map(|number: usize| {
                let (project, at, inside) = (&project, number % PLANS, &inside);
                let plan = &plans[at];
                scope.spawn(move || {
                    for step in 0..5 {
                        let cancel = Cancel::new().unwrap();
                        let inside = Arc::clone(inside);
                        let write = submit(
                            project,
                            params(plan, operation::TELL, &cancel),
                            move |permit: &WritePermit, _| {
                                let _alone =
                                    inside[at].try_lock().context("two writers at once")?;
                                assert!(!(number + step).is_multiple_of(7), "out of its mind");
                                Ok(permit.proof().fence())
                            },
                        )
                        .unwrap();
                        let read = submit(
                            project,
                            params(plan, operation::DIFF, &Cancel::new().unwrap()),
                            |_: &ReadPermit, _| Ok(7),
                        )
                        .unwrap();
                        match number / PLANS % 3 {
                            0 => drop(write),
                            1 => {
                                cancel.set(Reason::Stopped);
                                drop(write.wait());
                            }
                            _ => match write.wait() {
                                Ok(fence) => assert!(fence > 0),
                                Err(error) => {
                                    let words = format!("{error:#}");
                                    assert!(words.contains("out of its mind"), "{words}");
                                }
                            },
                        }
                        assert_eq!(read.wait().unwrap(), 7);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let until = Instant::now() + AMPLE;
    while project.workers().load().0 > 0 {
        assert!(Instant::now() < until, "a queue never ends");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// SEED.md 7.1.3: 100 threads, 10 operations each, on one plan that five openers of the project
/// share as five processes would: each is granted, none beside another, each with a higher fence
/// than the one before.
#[test]
fn stress_lock_acquisition() {
    const THREADS: usize = 100;
    const OPERATIONS: usize = 10;
    let (home, first, plans) = project(1);
    let mut openers = vec![first];
    openers.extend((1..5).map(|_| Project::open(&place(home.path()), session()).unwrap()));
    let (inside, fence) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (project, plan) = (&openers[thread % openers.len()], &plans[0]);
                let (inside, fence) = (&inside, &fence);
                scope.spawn(move || {
                    for _ in 0..OPERATIONS {
                        let (inside, fence) = (Arc::clone(inside), Arc::clone(fence));
                        let write = move |permit: &WritePermit, _: &Turn<'_>| {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                            let mine = permit.proof().fence();
                            assert!(fence.swap(mine, Ordering::SeqCst) < mine);
                            inside.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        };
                        let mut params = params(plan, operation::TELL, &Cancel::new().unwrap());
                        params.patience = Patience::Forever;
                        exec_repo_operation(project, params, write).unwrap();
                    }
                    OPERATIONS
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(granted, THREADS * OPERATIONS);
    let left = openers[0]
        .store
        .read(|tx| crate::store::tickets::line(tx, &plans[0]));
    assert!(left.unwrap().is_empty());
}
