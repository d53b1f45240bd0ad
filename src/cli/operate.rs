//! One operation from the terminal's side: submits it, shows its wait and its events, hears
//! signals, returns its reply.
//!
//! The worker does the work; this thread alone prints. Events come over a bounded channel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, Sender, select};
use serde::Serialize;

use super::session::Cli;
use crate::lock::operation::{self, Operation};
use crate::lock::{Notice, Retry, Waiting};
use crate::platform::cancel::Reason;
use crate::platform::signal::{self, Signal};
use crate::platform::threads;
use crate::project::{Project, Turn};
use crate::store::tickets::Permit;
use crate::ui::render;
use crate::workers::{self, Params};

/// A wait shorter than this is nobody's concern.
const SILENT: Duration = Duration::from_millis(400);
/// So many events may wait to be printed.
const BUFFERED: usize = 256;

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
    /// The turn was had, and what a dead operation left is repaired.
    Started,
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
        false => Some(hear_signals(job.project)?),
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
    let cancel = job.project.cancel.child()?;
    let (sender, said) = crossbeam_channel::bounded(BUFFERED);
    let waits: Sender<Said<E>> = sender.clone();
    let params = Params {
        plan_id: job.plan_id.to_owned(),
        branch: job.branch.map(str::to_owned),
        operation: job.operation,
        patience: cli.patience(job.project)?,
        cancel,
        // A full channel means that this thread is busy printing: it will hear of the next look.
        on_wait: Box::new(move |notice| {
            waits.try_send(Said::Notice(notice.clone())).ok();
        }),
    };
    let pending = workers::submit(job.project, params, move |permit: &P, turn| {
        sender.send(Said::Started).ok();
        work(permit, turn, &mut |event| {
            // This thread outlives the operation, so somebody always listens.
            sender.send(Said::Event(event)).ok();
        })
    })?;
    let mut wait = WaitText::new(cli, job.project);
    let say_repaired = || {
        for line in job.project.take_repaired() {
            cli.ui.note(format!("Repaired: {line}"));
        }
    };
    let result = listen(&said, pending.reply(), &mut wait, &say_repaired, &mut show);
    // A reader repairs before it waits for its own turn, and may not have got it.
    say_repaired();
    drop(signals);
    result
}

fn listen<E, T>(
    said: &Receiver<Said<E>>,
    reply: &Receiver<Result<T>>,
    wait: &mut WaitText<'_>,
    started: &impl Fn(),
    show: &mut impl FnMut(E),
) -> Result<T> {
    let mut hear = |heard: Said<E>, wait: &mut WaitText<'_>| match heard {
        Said::Notice(Notice::Waiting(waiting)) => wait.look(waiting),
        Said::Notice(Notice::Retrying(retry)) => wait.retry(&retry),
        Said::Started => {
            wait.over();
            started();
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
fn hear_signals(project: &Arc<Project>) -> Result<signal::Watch> {
    let project = Arc::clone(project);
    signal::watch(move |heard| heed(&project, heard))
}

/// What a signal means to plandex itself.
pub(super) fn heed(project: &Project, heard: Signal) {
    let cancel = &project.cancel;
    match heard {
        // The second Ctrl-C: whatever is at work is rolled back by the next process.
        Signal::Interrupt if cancel.is_set() => signal::exit_now(130),
        Signal::Interrupt => cancel.set(Reason::Interrupted),
        Signal::Terminate => cancel.set(Reason::Terminated),
        Signal::HangUp => cancel.set(Reason::HungUp),
        Signal::Suspend => {
            let quiet = project.store.quiet();
            signal::stop_self();
            drop(quiet);
        }
        Signal::Quit | Signal::User2 => signal::end_by(heard),
    }
}

/// What a person reads while the operation waits.
struct WaitText<'a> {
    cli: &'a Cli,
    project: &'a Project,
    begun: Instant,
    latest: Option<Waiting>,
    shown: Option<(i64, usize)>,
}

impl<'a> WaitText<'a> {
    fn new(cli: &'a Cli, project: &'a Project) -> Self {
        Self {
            cli,
            project,
            begun: Instant::now(),
            latest: None,
            shown: None,
        }
    }

    fn look(&mut self, waiting: Waiting) {
        self.latest = Some(waiting);
        if self.begun.elapsed() >= SILENT {
            self.show();
        }
    }

    /// SEED.md 4.1.1.
    fn retry(&self, retry: &Retry) {
        let (attempt, of, delay) = (retry.attempt, retry.of, retry.delay.as_millis());
        let ui = &self.cli.ui;
        if attempt == 1 {
            ui.note("Another operation is in progress on this plan. Waiting...");
        }
        ui.note(format!("Retry {attempt}/{of}: Will retry in {delay}ms"));
    }

    /// When to look whether something is to be shown.
    fn due(&self) -> Duration {
        match self.shown {
            None => SILENT
                .saturating_sub(self.begun.elapsed())
                .max(Duration::from_millis(1)),
            Some(_) => Duration::from_secs(3600),
        }
    }

    /// Prints the wait, once and whenever the holder or the position changed.
    fn show(&mut self) {
        if self.begun.elapsed() < SILENT {
            return;
        }
        let Some(waiting) = &self.latest else {
            self.shown = self.shown.or(Some((0, 0)));
            return;
        };
        let holder = waiting.running().next();
        let now = (holder.map_or(0, |ticket| ticket.id), waiting.position);
        if self.shown == Some(now) {
            return;
        }
        self.shown = Some(now);
        if self.cli.json {
            self.cli.ui.json_error(&LockWaiting::new(waiting));
            return;
        }
        let ui = &self.cli.ui;
        ui.note("Waiting for another operation to complete...");
        if let Some(ticket) = holder {
            let title = operation::title_of(&ticket.reason);
            let on = ticket
                .branch
                .as_ref()
                .map(|b| format!(" on branch '{b}'"))
                .unwrap_or_default();
            let who = if self.cli.is_ours(self.project, ticket) {
                "yours, "
            } else {
                ""
            };
            let since = render::age(super::session::since(ticket.granted_at.unwrap_or_default()));
            let beat = render::age(super::session::since(ticket.last_heartbeat_at));
            ui.note(format!(
                "  Current operation: {title}{on} ({who}{}, pid {}, since {since}, heartbeat {beat} ago)",
                ticket.command, ticket.pid
            ));
        }
        let total = waiting
            .line
            .iter()
            .filter(|ticket| ticket.state != crate::store::tickets::State::Parked);
        ui.note(format!(
            "  Position in queue: {} of {}",
            waiting.position,
            total.count()
        ));
        let left = waiting.left.map_or("never".to_owned(), |left| {
            format!("in {}", render::age(left))
        });
        ui.note(format!(
            "  Gives up: {left}. Press Ctrl+C to cancel and try later."
        ));
    }

    /// The wait is over: says how long it took, if it was shown at all.
    fn over(&mut self) {
        if self.latest.take().is_some() && self.shown.is_some() && !self.cli.json {
            let waited = self.begun.elapsed().as_secs();
            self.cli
                .ui
                .note(format!("Operation started after waiting {waited} seconds."));
        }
    }
}

/// The wait as a line of JSON on stderr.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LockWaiting {
    r#type: &'static str,
    ticket: i64,
    position: usize,
    waited_ms: u128,
    holder: Option<Holder>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    pid: u32,
    command: String,
    actor: String,
    state: &'static str,
    held_seconds: u64,
}

impl LockWaiting {
    fn new(waiting: &Waiting) -> Self {
        Self {
            r#type: "lock.waiting",
            ticket: waiting.ticket,
            position: waiting.position,
            waited_ms: waiting.waited.as_millis(),
            holder: waiting.running().next().map(|ticket| Holder {
                pid: ticket.pid,
                command: ticket.command.clone(),
                actor: ticket.actor.clone(),
                state: ticket.state.word(),
                held_seconds: super::session::since(ticket.granted_at.unwrap_or_default())
                    .as_secs(),
            }),
        }
    }
}
