//! One operation from the terminal's side: submits it, shows its wait and its events, hears
//! signals, returns its reply.
//!
//! The worker does the work; this thread alone prints. Events come over a bounded channel.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, Sender, select};

use super::run::background;
use super::session::Cli;
use super::waiting::{About, PlanDeleted, WaitText};
use crate::apply::git;
use crate::lock::operation::{self, Operation};
use crate::lock::{Notice, Patience};
use crate::platform::cancel::Reason;
use crate::platform::signal::{self, Signal};
use crate::platform::threads;
use crate::project::{Project, Turn};
use crate::store::tickets::Permit;
use crate::ui::Ui;
use crate::workers::{self, Params};

/// So many events may wait to be printed.
const BUFFERED: usize = 256;
/// And so many of them at the most while the operation itself still waits.
const UNHEARD: usize = 16;

/// What a ticket is taken for.
pub(super) struct Job<'a, P> {
    pub(super) project: &'a Arc<Project>,
    pub(super) plan_id: &'a str,
    /// The branch of a read; `None` is the root, and right for writes.
    pub(super) branch: Option<&'a str>,
    pub(super) operation: Operation<P>,
}

enum Said<E> {
    Notice(Notice),
    /// The turn was had (ticket, fence), and what a dead operation left is repaired.
    Started(i64, i64),
    Event(E),
}

/// Runs `work` as an operation; `show` is called with each of its events, from this thread.
pub(super) fn operate<P, E, T>(
    cli: &Cli,
    job: &Job<'_, P>,
    work: impl FnOnce(&P, &Turn<'_>, &mut dyn FnMut(E)) -> Result<T> + Send + 'static,
    show: impl FnMut(E),
) -> Result<T>
where
    P: Permit,
    E: Send + 'static,
    T: Send + 'static,
{
    // The signals of a line are heard by its batch.
    let signals = match cli.is_line() {
        true => None,
        false => Some(hear_signals(cli, job.project)?),
    };
    operate_hearing(cli, job, signals, work, show)
}

/// As [`operate`], with `signals` (or nobody at all) hearing them until the operation is over.
pub(super) fn operate_hearing<P, E, T>(
    cli: &Cli,
    job: &Job<'_, P>,
    signals: Option<signal::Watch>,
    work: impl FnOnce(&P, &Turn<'_>, &mut dyn FnMut(E)) -> Result<T> + Send + 'static,
    mut show: impl FnMut(E),
) -> Result<T>
where
    P: Permit,
    E: Send + 'static,
    T: Send + 'static,
{
    cli.begin_stream();
    mend_index(cli, job.project);
    let cancel = job.project.cancel.child()?;
    let (sender, said) = crossbeam_channel::bounded(BUFFERED);
    let waits: Sender<Said<E>> = sender.clone();
    let patience = cli.patience(job.project)?;
    let params = Params {
        plan_id: job.plan_id.to_owned(),
        branch: job.branch.map(str::to_owned),
        operation: job.operation,
        patience,
        cancel,
        // A filling channel means that this thread is busy printing: it will hear of the next
        // look. What is left of it is for the work, which holds the plan and must not be kept.
        on_wait: Box::new(move |notice| {
            if waits.len() < UNHEARD {
                waits.try_send(Said::Notice(notice.clone())).ok();
            }
        }),
    };
    let is_undelete = job.operation.reason() == operation::UNDELETE.reason();
    let pending = workers::submit(job.project, params, move |permit: &P, turn| {
        let proof = permit.proof();
        sender
            .send(Said::Started(proof.ticket(), proof.fence()))
            .ok();
        if !is_undelete {
            PlanDeleted::check(turn.project, turn.plan_id)?;
        }
        work(permit, turn, &mut |event| {
            // This thread outlives the operation, so somebody always listens.
            sender.send(Said::Event(event)).ok();
        })
    })?;
    let about = About::new(
        job.plan_id,
        job.branch,
        job.operation.reason(),
        job.operation.scope().word(),
    );
    let mut wait = WaitText::new(cli, job.project, about, patience);
    let say_repaired = || {
        for line in job.project.take_repaired() {
            cli.ui.note(format!("Repaired: {line}"));
        }
    };
    let has_ticket = |ticket, position| background::has_ticket(cli, ticket, position);
    let ears = Ears {
        has_ticket: &has_ticket,
        started: &say_repaired,
    };
    let result = listen(&said, pending.reply(), &mut wait, &ears, &mut show);
    // A reader repairs before it waits for its own turn, and may not have got it.
    say_repaired();
    drop(signals);
    result.map_err(|error| wait.refused(error))
}

/// Takes out of git's index what a killed `apply --commit` left there. What cannot be mended now is
/// at the next command.
fn mend_index(cli: &Cli, project: &Project) {
    let waiting = git::Waiting {
        patience: Patience::None,
        cancel: &project.cancel,
    };
    if let Ok(1..) = git::mend(&project.root, project.dir(), &waiting) {
        let what = "an interrupted commit's new files are out of git's index again";
        cli.ui.note(format!("Repaired: {what}"));
    }
}

/// Who hears of the turn besides the text of the wait.
struct Ears<'a> {
    /// There is a ticket, at a position while it waits.
    has_ticket: &'a dyn Fn(i64, Option<usize>),
    /// The turn was had.
    started: &'a dyn Fn(),
}

fn listen<E, T>(
    said: &Receiver<Said<E>>,
    reply: &Receiver<Result<T>>,
    wait: &mut WaitText<'_>,
    ears: &Ears<'_>,
    show: &mut impl FnMut(E),
) -> Result<T> {
    let mut hear = |heard: Said<E>, wait: &mut WaitText<'_>| match heard {
        Said::Notice(notice) => {
            if let Notice::Waiting(waiting) = &notice {
                (ears.has_ticket)(waiting.ticket, Some(waiting.position));
            }
            wait.hear(notice);
        }
        Said::Started(ticket, fence) => {
            (ears.has_ticket)(ticket, None);
            wait.over(ticket, fence);
            (ears.started)();
        }
        Said::Event(event) => show(event),
    };
    let _waits = threads::waits("its operation");
    loop {
        select! {
            recv(said) -> heard => match heard {
                Ok(heard) => hear(heard, wait),
                // The work is done and its sender gone: the reply is on its way.
                Err(_) => return reply.recv().context("the worker is gone")?,
            },
            recv(reply) -> result => {
                // What was said before the reply is shown before it.
                said.try_iter().for_each(|heard| hear(heard, wait));
                return result.context("the worker is gone")?;
            },
            default(wait.due()) => wait.show(),
        }
    }
}

/// Turns signals into the project's cancel flag; Ctrl-Z stops the process between transactions.
pub(super) fn hear_signals(cli: &Cli, project: &Arc<Project>) -> Result<signal::Watch> {
    let (ui, project) = (cli.ui.clone(), Arc::clone(project));
    signal::watch(move |heard| heed(&ui, &project, heard))
}

/// What a signal means to plandex itself.
pub(super) fn heed(ui: &Ui, project: &Project, heard: Signal) {
    let cancel = &project.cancel;
    match heard {
        // The second Ctrl-C or TERM: whatever is at work is rolled back by the next process.
        Signal::Interrupt if cancel.is_set() => signal::exit_now(130),
        Signal::Interrupt => cancel.set(Reason::Interrupted),
        Signal::Terminate if cancel.reason() == Some(Reason::Terminated) => signal::exit_now(143),
        Signal::Terminate => cancel.set(Reason::Terminated),
        Signal::HangUp => cancel.set(Reason::HungUp),
        Signal::Suspend => {
            let quiet = project.store.quiet();
            ui.leave_terminal();
            signal::stop_self();
            drop(quiet);
        }
        Signal::Quit | Signal::User2 => signal::end_by(heard),
    }
}
