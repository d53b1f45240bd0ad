//! The queue of this process: one line per plan, worked off by crossbeam worker threads.
//!
//! [`exec_repo_operation`] is the only way to do repository work (SEED.md 5.1). In process it keeps
//! one first-in-first-out queue per plan and hands runnable operations to worker threads; at most
//! one group per plan occupies workers, so a plan that waits never holds up another plan's. A group
//! is what [`rules::next_batch`] says. All of it changes under one mutex, so a wake-up cannot be
//! lost between "the queue is empty" and "nobody works on it".
//!
//! The caller hears "done" only after the state is committed and the ticket released: the next
//! command of a script never meets the old lock. A panic becomes that operation's error and takes
//! neither the worker nor its neighbours down. A job never waits for another job.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, anyhow};
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use crate::lock::operation::{self, Operation};
use crate::lock::rules::{self, Claim};
use crate::lock::{LockError, Notice, Patience, Request};
use crate::platform::cancel::{Cancel, Reason};
use crate::project::{Project, Turn};
use crate::store::StoreError;
use crate::store::audit::Outcome;
use crate::store::tickets::{Permit, Scope, WritePermit};

/// So many worker threads at the most: reads of one branch really run at the same time.
const THREADS_MAX: usize = 64;

/// What an operation works on, and how.
pub struct Params<P> {
    /// The plan.
    pub plan_id: String,
    /// The branch of a read; `None` is the root.
    pub branch: Option<String>,
    /// What is to be done.
    pub operation: Operation<P>,
    /// How long to wait for the turn.
    pub patience: Patience,
    /// Calls the wait and the work off.
    pub cancel: Cancel,
    /// Told of the line while the operation waits in it, and of retries; called from the worker.
    pub on_wait: Box<dyn FnMut(&Notice) + Send>,
}

/// An operation that was submitted; its reply comes when everything is committed and released.
#[must_use]
pub struct Pending<T> {
    reply: Receiver<Result<T>>,
}

impl<T> Pending<T> {
    /// Waits for the reply.
    pub fn wait(self) -> Result<T> {
        self.reply.recv().context("the worker is gone")?
    }

    /// The channel that the reply comes on, for `select!`.
    pub fn reply(&self) -> &Receiver<Result<T>> {
        &self.reply
    }
}

/// Does repository work: waits for the turn, runs `work` under its permit, releases, replies.
///
/// Fails with what `work` failed with, with a [`crate::lock::LockError`] if the turn could not be
/// had, or with [`crate::store::StoreError::LockLost`] if it was lost meanwhile.
pub fn exec_repo_operation<P: Permit, T: Send + 'static>(
    project: &Arc<Project>,
    params: Params<P>,
    work: impl FnOnce(&P, &Turn<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    submit(project, params, work)?.wait()
}

/// As [`exec_repo_operation`], but returns at once; the caller may give up waiting at any time.
pub fn submit<P: Permit, T: Send + 'static>(
    project: &Arc<Project>,
    params: Params<P>,
    work: impl FnOnce(&P, &Turn<'_>) -> Result<T> + Send + 'static,
) -> Result<Pending<T>> {
    let (sender, reply) = crossbeam_channel::bounded(1);
    let place = Place {
        plan_id: params.plan_id.clone(),
        scope: params.operation.scope(),
        branch: params
            .branch
            .clone()
            .filter(|_| params.operation.scope() == Scope::Read),
    };
    // The job must not keep the project (and with it the workers) alive by itself.
    let shared = Arc::clone(project);
    let run = Box::new(move || {
        let result = run(&shared, params, work);
        drop(shared);
        // A caller that is gone needs no reply; the channel has room for one, so this never blocks.
        sender.try_send(result).ok();
    });
    project.workers().submit(Job { place, run })?;
    Ok(Pending { reply })
}

fn run<P: Permit, T>(
    project: &Arc<Project>,
    mut params: Params<P>,
    work: impl FnOnce(&P, &Turn<'_>) -> Result<T>,
) -> Result<T> {
    if params.operation.scope() == Scope::Read {
        repair_before_reading(project, &mut params)?;
    }
    let request = Request {
        plan_id: &params.plan_id,
        branch: params.branch.as_deref(),
        operation: params.operation,
        patience: params.patience,
        cancel: &params.cancel,
    };
    let hold = project.locks().acquire(&request, &mut *params.on_wait)?;
    let turn = Turn::new(
        project,
        &params.plan_id,
        params.cancel.clone(),
        hold.waited(),
    );
    let result = contain(|| {
        if let Some(permit) = (hold.permit() as &dyn Any).downcast_ref::<WritePermit>() {
            project.repair(permit, &turn)?;
        }
        work(hold.permit(), &turn)
    });
    let cancelled = params
        .cancel
        .reason()
        .is_some_and(|reason| reason != Reason::LockLost);
    let outcome = if cancelled {
        Outcome::Cancelled
    } else {
        Outcome::Released
    };
    let ticket = hold.permit().proof().ticket();
    let released = hold.release(outcome);
    let value = result.map_err(|error| lost_if_busy(error, ticket))?;
    match released.map_err(|error| lost_if_busy(error, ticket)) {
        Err(error) if is_lost(&error) => Err(error),
        // The work is committed. A ticket that cannot be deleted now (a full disk) falls with its
        // owner file, which needs no room.
        Ok(()) | Err(_) => Ok(value),
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::LockLost { .. }))
}

/// "Busy" means that nothing was changed and that it is safe to try again, which is true only until
/// the turn is had: afterwards, a write that could not be made in time is a lock that was lost.
fn lost_if_busy(error: Error, ticket: i64) -> Error {
    if matches!(error.downcast_ref(), Some(StoreError::Busy(_))) {
        error.context(StoreError::LockLost { ticket })
    } else {
        error
    }
}

/// A reader that meets what a dead operation left takes a write turn for it first.
fn repair_before_reading<P>(project: &Arc<Project>, params: &mut Params<P>) -> Result<()> {
    if !project.needs_repair(&params.plan_id)? {
        return Ok(());
    }
    let request = Request {
        plan_id: &params.plan_id,
        branch: None,
        operation: operation::REPAIR,
        patience: params.patience,
        cancel: &params.cancel,
    };
    let hold = match project.locks().acquire(&request, &mut *params.on_wait) {
        // Below a command that only reads, the next writer repairs.
        Err(error) if is_below_read(&error) => return Ok(()),
        hold => hold?,
    };
    let turn = Turn::new(
        project,
        &params.plan_id,
        params.cancel.clone(),
        hold.waited(),
    );
    let repaired = contain(|| project.repair(hold.permit(), &turn));
    hold.release(Outcome::Released)?;
    repaired
}

fn is_below_read(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(LockError::WriteBelowRead { .. }))
}

/// Runs `work`; a panic becomes its error.
fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Err(anyhow!("the operation panicked: {what}"))
    })
}

struct Place {
    plan_id: String,
    scope: Scope,
    branch: Option<String>,
}

impl Place {
    fn claim(&self) -> Claim<'_> {
        Claim {
            scope: self.scope,
            branch: self.branch.as_deref(),
        }
    }
}

struct Job {
    place: Place,
    run: Box<dyn FnOnce() + Send>,
}

/// The queues and worker threads of one opened project.
pub struct Workers {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
}

struct Shared {
    queues: Mutex<Queues>,
    jobs: Receiver<Job>,
}

#[derive(Default)]
struct Queues {
    plans: HashMap<String, PlanQueue>,
    threads: usize,
    /// Jobs handed out that no thread has finished.
    busy: usize,
}

#[derive(Default)]
struct PlanQueue {
    waiting: VecDeque<Job>,
    running: usize,
}

impl Default for Workers {
    fn default() -> Self {
        // Not bounded by itself: it never holds more than the submissions, and whoever submits
        // waits for its replies.
        let (jobs, receiver) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            jobs: receiver,
        });
        Self { shared, jobs }
    }
}

impl Workers {
    fn submit(&self, job: Job) -> Result<()> {
        let mut queues = self.shared.queues.lock();
        let plan = job.place.plan_id.clone();
        queues
            .plans
            .entry(plan.clone())
            .or_default()
            .waiting
            .push_back(job);
        self.hand_out(&mut queues, &plan)
    }

    /// Hands the next group of `plan` to the workers, if none of the plan runs.
    fn hand_out(&self, queues: &mut Queues, plan: &str) -> Result<()> {
        for job in queues.next_group(plan) {
            queues.busy += 1;
            if queues.busy > queues.threads && queues.threads < THREADS_MAX {
                self.start_thread()?;
                queues.threads += 1;
            }
            self.jobs
                .send(job)
                .map_err(|_| anyhow!("the workers are gone"))?;
        }
        Ok(())
    }

    fn start_thread(&self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let workers = Self {
            shared: Arc::clone(&self.shared),
            jobs: self.jobs.clone(),
        };
        std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || {
                while let Ok(job) = shared.jobs.recv() {
                    let plan = job.place.plan_id.clone();
                    (job.run)();
                    workers.finished(&plan);
                }
            })
            .context("starting a worker thread")?;
        Ok(())
    }

    fn finished(&self, plan: &str) {
        let mut queues = self.shared.queues.lock();
        queues.busy -= 1;
        if let Some(queue) = queues.plans.get_mut(plan) {
            queue.running -= 1;
        }
        // A thread that cannot be started leaves the job to those that run.
        self.hand_out(&mut queues, plan).ok();
    }

    /// How many plans have a queue now, and how many threads were started.
    pub fn load(&self) -> (usize, usize) {
        let queues = self.shared.queues.lock();
        (queues.plans.len(), queues.threads)
    }
}

impl Queues {
    fn next_group(&mut self, plan: &str) -> Vec<Job> {
        let Some(queue) = self.plans.get_mut(plan) else {
            return Vec::new();
        };
        if queue.running > 0 {
            return Vec::new();
        }
        let claims: Vec<Claim<'_>> = queue.waiting.iter().map(|job| job.place.claim()).collect();
        let count = rules::next_batch(&claims);
        queue.running = count;
        let group = queue.waiting.drain(..count).collect();
        if count == 0 {
            self.plans.remove(plan);
        }
        group
    }
}
