//! The command: started, watched, and ended with all that it started.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::ExecError;
use super::relay::{Family, Reach, Relay, Running};
use crate::lock::owner::TOKEN_VARIABLE;
use crate::platform::cancel::Reason;
use crate::platform::process::{self, GroupSignal, Killing, Process};
use crate::platform::{threads, wait};
use crate::project::Turn;
use crate::store::tickets::{self, Proof, State, Ticket};

/// Between TERM and KILL for a command that must end.
const GRACE: Duration = Duration::from_secs(5);
/// How long SIGKILL may take: what is in the middle of an uninterruptible system call ends after.
const DYING: Duration = Duration::from_secs(5);
/// Between two looks at the row of a command that was told to stop.
const LOOK: Duration = Duration::from_secs(1);
/// A limit that only bounds a wait which other things end.
const HOUR: Duration = Duration::from_secs(3600);
/// Between two looks at what is left of a command.
const TICK: Duration = Duration::from_millis(10);

/// A program and its arguments.
#[derive(Debug)]
pub(super) struct Program {
    name: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    pub(super) fn new(name: OsString, arguments: Vec<OsString>) -> Self {
        Self { name, arguments }
    }
}

/// The command's own exit code, or 128 and its signal.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| 128 + signal);
    let code = status.code().or_else(signal);
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Runs `program` to its end, under the hold that `proof` proves; `None` if the lock was lost.
/// Fails with an [`ExecError`] if it cannot be started.
///
/// A command that ends by itself may leave a daemon behind, which holds nothing. One that was told
/// to end, or that a signal ended, leaves nothing: what it started is ended too, before the turn
/// is given on.
///
/// `output` is set for a line of a batch, whose command writes there. All lines' commands have the
/// same owner file open, so such a command is told from the others' by its output.
pub(super) fn run(
    program: &Program,
    turn: &Turn<'_>,
    relay: &Relay,
    (proof, output): (&Proof, Option<[File; 2]>),
) -> Result<Option<ExitStatus>> {
    let locks = turn.project.locks();
    let (owner, owner_path) = (locks.owner_file()?, locks.owner_path()?);
    let kept = process::kept_high(&owner)?;
    let mut command = Command::new(&program.name);
    command.args(&program.arguments);
    let token = locks.token_of(proof.ticket());
    if let Some(token) = &token {
        command.env(TOKEN_VARIABLE, token.to_string());
        locks.command_runs(token)?;
    }
    let mark = output
        .as_ref()
        .map(|[stdout, _]| process::kept_high(stdout));
    let mark = mark.transpose()?;
    // A line's command hears its batch, not the terminal.
    let on_terminal = output.is_none() && process::shares_terminal();
    if let Some([stdout, stderr]) = output {
        command.stdout(stdout).stderr(stderr);
    }
    if !on_terminal {
        // Its own group, so that one signal reaches all that it starts. On a terminal it stays in
        // ours, which the terminal's signals reach by themselves.
        command.process_group(0);
    }
    process::bind_to_us(&mut command, kept.as_fd());
    if let Some(mark) = &mark {
        process::bind_to_us(&mut command, mark.as_fd());
    }
    let family = Family::of(mark.as_ref(), owner_path);
    let watched = Watched { turn, relay, proof };
    let mut holds = Ok(false);
    let child = relay.begin(|| {
        // No fence reaches a program. Who was suspended and robbed starts none, and one that is
        // started is seen by whoever robs.
        let may_run = || {
            holds = watched.holds();
            matches!(holds, Ok(true))
        };
        let child = process::spawn_if(&mut command, may_run)
            .map_err(|error| why_not(&program.name, &error))?;
        let running = child.as_ref().map(|child| Running {
            pid: child.id(),
            reach: if on_terminal {
                Reach::Family
            } else {
                Reach::Group
            },
            family: family.clone(),
        });
        Ok((child, running))
    })?;
    let Some(child) = child else {
        relay.over();
        return holds.map(|_| None);
    };
    let ended = watched.until_end(child);
    relay.over();
    let ended = ended.inspect_err(|_| {
        // It cannot be watched any more, and the turn is about to be given on.
        end_what_is_left(&family, &[], Instant::now());
    })?;
    watched.leave_nothing(&family, &ended);
    if let Some(token) = &token {
        // What the file says matters only if this process dies before it removes it.
        locks.command_ended(token).ok();
    }
    let (status, lost_at) = ended;
    Ok(lost_at.is_none().then_some(status))
}

fn why_not(name: &OsString, error: &std::io::Error) -> ExecError {
    let shown = name.to_string_lossy();
    let path = Path::new(name);
    if error.kind() != ErrorKind::NotFound {
        return ExecError::CannotRun(format!("{shown}: {error}"));
    }
    // As shells have it: a script that is there, and whose interpreter is not.
    if shown.contains('/') && path.exists() {
        return ExecError::CannotRun(format!("{shown}: its interpreter was not found"));
    }
    if shown.is_empty() {
        return ExecError::NotFound("''".to_owned());
    }
    ExecError::NotFound(shown.into_owned())
}

/// A command that runs, and what tells that it must end.
struct Watched<'a> {
    turn: &'a Turn<'a>,
    relay: &'a Relay,
    proof: &'a Proof,
}

impl Watched<'_> {
    /// Waits for the command's end, and for the word that it must end before: `stop`, or the loss
    /// of the lock, whose moment is returned too. Signals go their own way, through the relay.
    fn until_end(&self, mut child: Child) -> Result<(ExitStatus, Option<Instant>)> {
        let Some(exit) = process::end_of(&child) else {
            let status = child.wait().context("waiting for the command")?;
            return Ok((status, None));
        };
        let exit = exit.as_fd();
        let _waits = threads::waits("its command");
        // Each round lasts until something happens or an hour is over.
        while !wait::readable(&[exit, self.turn.cancel.as_fd()], HOUR)?.contains(&true) {}
        let mut lost_at = None;
        if let (false, Some(reason)) = (has_ended(exit, Duration::ZERO)?, self.turn.cancel.reason())
        {
            let mut is_lost = reason == Reason::LockLost;
            if !is_lost {
                self.relay.pass_on(signal_for(reason));
            }
            // The first reason given stays: a loss that comes after a `stop` is seen in the row.
            while !is_lost && !has_ended(exit, LOOK)? {
                is_lost = self.is_row_gone();
            }
            if is_lost {
                lost_at = Some(Instant::now());
                self.end_after_loss(exit)?;
            }
        }
        // Reaped only when nobody signals its pid any more.
        self.relay.over();
        let status = child.wait().context("waiting for the command")?;
        Ok((status, lost_at))
    }

    /// Ends what is left of a command that did not end by itself.
    fn leave_nothing(&self, family: &Family, (status, lost_at): &(ExitStatus, Option<Instant>)) {
        let told = self.relay.told();
        if told.is_none() && status.signal().is_none() {
            return;
        }
        let started = told.unwrap_or_default();
        let grace = lost_at.unwrap_or_else(Instant::now) + GRACE;
        end_what_is_left(family, &started, grace);
    }

    /// Nobody may work under a lock that is lost: five seconds, then KILL.
    fn end_after_loss(&self, exit: BorrowedFd<'_>) -> Result<()> {
        self.relay.end_all();
        if !has_ended(exit, GRACE)? {
            self.relay.pass_on(GroupSignal::Kill);
            while !has_ended(exit, HOUR)? {}
        }
        Ok(())
    }

    /// Whether the ticket is held no more. A database that cannot be read proves nothing.
    fn is_row_gone(&self) -> bool {
        self.holds().is_ok_and(|holds| !holds)
    }

    /// Whether the ticket is still held, by the same grant.
    fn holds(&self) -> Result<bool> {
        let store = &self.turn.project.store;
        let row = store.read(|tx| tickets::by_id(tx, self.proof.ticket()))?;
        let is_ours =
            |ticket: Ticket| ticket.state == State::Held && ticket.fence == self.proof.fence();
        Ok(row.is_some_and(is_ours))
    }
}

fn has_ended(exit: BorrowedFd<'_>, limit: Duration) -> Result<bool> {
    Ok(wait::readable(&[exit], limit)?.contains(&true))
}

fn signal_for(reason: Reason) -> GroupSignal {
    match reason {
        Reason::Interrupted => GroupSignal::Interrupt,
        Reason::HungUp => GroupSignal::HangUp,
        Reason::Terminated | Reason::Stopped | Reason::GivenUp | Reason::LockLost => {
            GroupSignal::Terminate
        }
    }
}

/// TERM for what is left of the command, and of whom it had `started` before, and KILL after
/// `grace`.
fn end_what_is_left(family: &Family, started: &[Process], grace: Instant) {
    let mut known = started.to_vec();
    let mut told: Vec<Process> = Vec::new();
    let mut killing = Killing::default();
    // Bounded: SIGKILL leaves nothing but what the kernel does not let go of.
    loop {
        let now = Instant::now();
        let is_left = if now >= grace {
            killing.round(|stopped| family.members(&[&known, stopped].concat()))
        } else {
            let family = family.members(&known);
            for process in &family {
                if !told.iter().any(|known| known.is(process)) {
                    process.signal(GroupSignal::Terminate);
                    told.push(*process);
                }
            }
            known.clone_from(&told);
            known.extend(started);
            !family.is_empty()
        };
        if !is_left || now >= grace + DYING {
            return;
        }
        // With nothing to hear, this is a pause.
        wait::readable(&[], TICK).ok();
    }
}
