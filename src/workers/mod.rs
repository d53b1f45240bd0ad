//! The queue of this process: one line per plan, worked off by crossbeam worker threads.
//!
//! [`exec_repo_operation`] is the only way to do repository work (SEED.md 5.1). In process it keeps
//! one first-in-first-out queue per plan and hands runnable operations to worker threads; at most
//! one group per plan occupies workers, so a plan that waits never holds up another plan's. A group
//! is what [`next_batch`](crate::lock::rules::next_batch) says. All of it changes under one mutex,
//! so a wake-up cannot be lost between "the queue is empty" and "nobody works on it".
//!
//! The caller hears "done" only after the state is committed and the ticket released: the next
//! command of a script never meets the old lock. A panic becomes that operation's error and takes
//! neither the worker nor its neighbours down. A job never waits for another job.

mod queues;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::{Arc, Weak};
use std::time::Instant;

use anyhow::{Context as _, Error, Result, anyhow};
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use crate::lock::operation::{self, Operation};
use crate::lock::{LockError, Notice, Patience, Request};
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::{log, panic, threads};
use crate::project::{Project, Purpose, Turn};
use crate::store::StoreError;
use crate::store::audit::Outcome;
use crate::store::tickets::{Permit, Scope, WritePermit};

pub use queues::{GROUP_MAX, Place, Queues};

/// So many worker threads at the most: two whole groups of reads that wait for each other. A thread
/// that waits for its plan costs its stack and a few descriptors, of which a process has a thousand.
const THREADS_MAX: usize = 2 * GROUP_MAX;

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
        let _waits = threads::waits("the reply of its operation");
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
    let reason = params.operation.reason();
    // The job must not keep the project (and with it the workers) alive by itself.
    let shared = Arc::clone(project);
    let run = Box::new(move || {
        let (_reason, begun) = (log::working_for(reason), Instant::now());
        let plan_id = params.plan_id.clone();
        log::queue(|| format!("started: {reason} on plan {plan_id}"));
        // Whatever panics outside the work itself is an error of this operation too.
        let result = contain(|| run(&shared, params, work));
        drop(shared);
        // Before the reply: whoever hears it is told of nothing later.
        log::queue(|| {
            let took = begun.elapsed();
            format!("done: {reason} on plan {plan_id} after {took:?}")
        });
        // A caller that is gone needs no reply; the channel has room for one, so this never blocks.
        sender.try_send(result).ok();
    });
    project.workers().submit(place, Job { reason, run })?;
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
        Purpose::new(params.operation.reason(), hold.permit().proof()),
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
        Purpose::new(operation::REPAIR.reason(), hold.permit().proof()),
    );
    let repaired = contain(|| project.repair(hold.permit(), &turn));
    hold.release(Outcome::Released)?;
    repaired
}

fn is_below_read(error: &Error) -> bool {
    matches!(error.downcast_ref(), Some(LockError::WriteBelowRead { .. }))
}

/// Runs `work`; a panic becomes its error, and its backtrace goes to the log.
fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::contain(work).unwrap_or_else(|panicked| {
        log::panicked(&panicked);
        Err(panicked.into())
    })
}

struct Job {
    reason: &'static str,
    run: Box<dyn FnOnce() + Send>,
}

/// The queues and worker threads of one opened project; clones are the same ones.
#[derive(Clone)]
pub struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Mutex<State>,
    /// Dropped with the project, which ends the threads.
    jobs: Sender<Handed>,
    handed: Receiver<Handed>,
}

#[derive(Default)]
struct State {
    plans: Queues<Job>,
    threads: usize,
    /// Jobs handed out that no thread has finished.
    busy: usize,
}

/// A job on its way to a worker.
struct Handed {
    plan_id: String,
    job: Job,
}

impl Default for Workers {
    fn default() -> Self {
        // Not bounded by itself: it never holds more than the submissions, and whoever submits
        // waits for its replies.
        let (jobs, handed) = crossbeam_channel::unbounded();
        let shared = Shared {
            queues: Mutex::default(),
            jobs,
            handed,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Workers {
    fn submit(&self, place: Place, job: Job) -> Result<()> {
        let plan = place.plan_id.clone();
        log::queue(|| {
            format!(
                "submitted: {} lock on plan {plan}{}, {}",
                place.scope.word(),
                on_branch(place.branch.as_deref()),
                job.reason,
            )
        });
        let ready = {
            let mut state = self.shared.queues.lock();
            state.plans.push(place, job);
            Shared::next_group(&self.shared, &mut state, &plan)?
        };
        ready.hand_out(&self.shared, &plan)
    }

    /// How many plans have a queue now, and how many threads were started.
    pub fn load(&self) -> (usize, usize) {
        let state = self.shared.queues.lock();
        (state.plans.plans(), state.threads)
    }
}

fn on_branch(branch: Option<&str>) -> String {
    branch.map_or_else(String::new, |branch| format!(" branch {branch}"))
}

/// A group on its way to the workers, and how things stood when it was taken out of the line.
struct Ready {
    group: Vec<Job>,
    waiting: usize,
    plans: usize,
    threads: usize,
}

impl Ready {
    /// Not under the mutex: what is logged may have to wait for whoever reads it.
    fn hand_out(self, shared: &Shared, plan: &str) -> Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        log::queue(|| {
            format!(
                "batch: {} of plan {plan} handed out, {} wait behind; {} plans, {} workers",
                self.group.len(),
                self.waiting,
                self.plans,
                self.threads
            )
        });
        for job in self.group {
            let plan_id = plan.to_owned();
            shared
                .jobs
                .send(Handed { plan_id, job })
                .map_err(|_| anyhow!("the workers are gone"))?;
        }
        Ok(())
    }
}

impl Shared {
    /// Takes out what may run now of `plan`, with threads enough for it.
    fn next_group(shared: &Arc<Self>, state: &mut State, plan: &str) -> Result<Ready> {
        let group = state.plans.next_group(plan);
        for _ in &group {
            state.busy += 1;
            if state.busy > state.threads && state.threads < THREADS_MAX {
                // A thread that cannot be started leaves the job to those that run.
                match Self::start_thread(shared, state.threads + 1) {
                    Ok(()) => state.threads += 1,
                    Err(error) if state.threads == 0 => {
                        state.busy -= 1;
                        state.plans.finished(plan);
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
        }
        Ok(Ready {
            group,
            waiting: state.plans.waiting(plan),
            plans: state.plans.plans(),
            threads: state.threads,
        })
    }

    fn start_thread(shared: &Arc<Self>, number: usize) -> Result<()> {
        // Only the channel keeps it going: with the project, the sender and the thread are gone.
        let (handed, shared) = (shared.handed.clone(), Arc::downgrade(shared));
        std::thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(move || work_off(&handed, &shared))
            .context("starting a worker thread")?;
        Ok(())
    }

    fn finished(shared: &Arc<Self>, plan: &str) {
        let ready = {
            let mut state = shared.queues.lock();
            state.busy -= 1;
            state.plans.finished(plan);
            Self::next_group(shared, &mut state, plan)
        };
        // It fails only where no thread runs, and this one does.
        ready.and_then(|ready| ready.hand_out(shared, plan)).ok();
    }
}

/// What a worker does for life.
fn work_off(handed: &Receiver<Handed>, shared: &Weak<Shared>) {
    loop {
        let next = {
            let _waits = threads::waits("work");
            handed.recv()
        };
        let Ok(Handed { plan_id, job }) = next else {
            return;
        };
        (job.run)();
        if let Some(shared) = shared.upgrade() {
            Shared::finished(&shared, &plan_id);
        }
    }
}
