//! The in-process queue under many threads, through the library (SEED.md B.3, 7.1.3).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::bounded;
use plandex::lock::Patience;
use plandex::project::{Place, Project, Session};
use plandex::store::Connections;
use plandex::workers;

use crate::queue::workers::writing;
use crate::support::Sandbox;

/// Much longer than anything here takes.
const SOON: Duration = Duration::from_secs(120);

/// A project in memory with `count` plans; their ids.
fn project(count: usize) -> (Sandbox, Arc<Project>, Vec<String>) {
    let sandbox = Sandbox::in_memory(Duration::from_secs(300));
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
        connections: Connections::Pool,
        lock_token: None,
        repairs: &[],
    };
    let project = Project::create(&place, session).unwrap();
    let new = |number| {
        let name = format!("p{number}");
        let plan = project.new_plan(&name, Patience::Forever, &mut |_| {});
        plan.unwrap().id
    };
    let plans = (0..count).map(new).collect();
    (sandbox, project, plans)
}

mod concurrent_queue_access_stress {
    use super::*;

    /// 100 threads submit the first operation of ten new plans: exactly ten queues.
    #[test]
    fn concurrent_queue_creation() {
        const PLANS: usize = 10;
        let (_sandbox, project, plans) = project(PLANS);
        let (go, gate) = bounded::<()>(0);
        let (started, first) = bounded(100);
        let submitted = AtomicUsize::new(0);
        let waiting: Vec<workers::Pending<usize>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|thread| {
                    let (project, plans, submitted) = (&project, &plans, &submitted);
                    let (gate, started) = (gate.clone(), started.clone());
                    scope.spawn(move || {
                        let plan = &plans[thread % PLANS];
                        let pending = workers::submit(project, writing(plan), move |_, _| {
                            started.send(thread).unwrap();
                            // Closed when all were submitted.
                            gate.recv().ok();
                            Ok(thread)
                        });
                        submitted.fetch_add(1, Ordering::SeqCst);
                        pending.unwrap()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(submitted.load(Ordering::SeqCst), 100);
        // One of each plan runs, nine wait behind it, and there are as many queues as plans.
        for _ in 0..PLANS {
            first.recv_timeout(SOON).unwrap();
        }
        assert!(first.is_empty());
        assert_eq!(project.workers().load(), (PLANS, PLANS));
        drop(go);
        let mut answers: Vec<usize> = waiting.into_iter().map(|one| one.wait().unwrap()).collect();
        answers.sort_unstable();
        assert_eq!(answers, (0..100).collect::<Vec<_>>());
    }
}

mod stress_queue_map_access {
    use super::*;

    /// SEED.md B.3 StressQueueMapAccess: 100 threads × 50 submissions over 20 plans are 20 queues and
    /// 5,000 results, and each plan's operations never overlap.
    #[test]
    fn high_volume_queue_map_access() {
        const PLANS: usize = 20;
        let (sandbox, project, plans) = project(PLANS);
        let inside: Arc<Vec<AtomicUsize>> =
            Arc::new((0..PLANS).map(|_| AtomicUsize::new(0)).collect());
        let most = AtomicUsize::new(0);
        let results: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|thread| {
                    let (project, plans, inside, most) = (&project, &plans, &inside, &most);
                    scope.spawn(move || {
                        let submit = |step: usize| {
                            let at = (thread * 50 + step) % PLANS;
                            let inside = Arc::clone(inside);
                            let pending =
                                workers::submit(project, writing(&plans[at]), move |_, _| {
                                    let before = inside[at].fetch_add(1, Ordering::SeqCst);
                                    let after = inside[at].fetch_sub(1, Ordering::SeqCst);
                                    anyhow::ensure!((before, after) == (0, 1), "two at once");
                                    Ok(at)
                                });
                            most.fetch_max(project.workers().load().0, Ordering::SeqCst);
                            (at, pending.unwrap())
                        };
                        let pending: Vec<_> = (0..50).map(submit).collect();
                        let right =
                            |(at, one): (usize, workers::Pending<usize>)| one.wait().unwrap() == at;
                        pending
                            .into_iter()
                            .filter_map(|one| right(one).then_some(()))
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(results, 5_000);
        assert_eq!(most.load(Ordering::SeqCst), PLANS);
        sandbox.until("the queues are gone", || {
            (project.workers().load().0 == 0).then_some(())
        });
        assert!(sandbox.tickets().is_empty());
    }
}

/// The threads of a project end with it.
#[test]
fn workers_end_with_their_project() {
    let (sandbox, project, plans) = project(3);
    let tasks: Vec<String> = plans
        .iter()
        .map(|plan| {
            let task = workers::exec_repo_operation(&project, writing(plan), |_, _| {
                Ok(format!(
                    "/proc/self/task/{}",
                    plandex::platform::threads::id()
                ))
            });
            task.unwrap()
        })
        .collect();
    let is_there = |task: &String| std::path::Path::new(task).exists();
    assert!(tasks.iter().all(is_there));
    drop(project);
    sandbox.until("its workers are gone", || {
        (!tasks.iter().any(is_there)).then_some(())
    });
}
