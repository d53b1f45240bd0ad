//! `exec`: any program, run while its plan is held.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::args;
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::session::Cli;
use crate::lock::operation;
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::process::{self, GroupSignal};
use crate::platform::wait;
use crate::project::Turn;
use crate::store::tickets::Permit as _;

/// Between TERM and KILL when the lock was lost.
const GRACE: Duration = Duration::from_secs(5);

/// How the command ended.
enum Ended {
    Status(ExitStatus),
    NotFound(String),
    CannotRun(String),
}

/// `plandex exec [--read [--root]] -- COMMAND…`
pub(super) fn exec(cli: &Cli, args: &args::Exec) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let plan_id = selected.plan.id.as_str();
    let program = args.program.clone();
    let output = cli.output_files()?;
    let work = move |ticket, turn: &Turn<'_>| run(turn, ticket, &program, output);
    let ended = if args.read {
        let branch = (!args.root).then_some(selected.branch.name.as_str());
        let job = Job {
            project: &project,
            plan_id,
            branch,
            operation: operation::EXEC_READ,
        };
        operate(
            cli,
            &job,
            move |permit, turn, _: &mut dyn FnMut(())| work(permit.proof().ticket(), turn),
            |()| {},
        )?
    } else {
        let job = Job {
            project: &project,
            plan_id,
            branch: None,
            operation: operation::EXEC,
        };
        operate(
            cli,
            &job,
            move |permit, turn, _: &mut dyn FnMut(())| work(permit.proof().ticket(), turn),
            |()| {},
        )?
    };
    Ok(match ended {
        Ended::Status(status) => code_of(status),
        Ended::NotFound(error) => {
            cli.ui.error(error);
            ExitCode::NotFound
        }
        Ended::CannotRun(error) => {
            cli.ui.error(error);
            ExitCode::CannotRun
        }
    })
}

fn code_of(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::Command(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs the command and waits for it, in the worker thread: the parent-death signal follows the
/// thread that spawns, and this one lives until the command has ended.
fn run(
    turn: &Turn<'_>,
    ticket: i64,
    program: &[std::ffi::OsString],
    output: Option<[File; 2]>,
) -> Result<Ended> {
    let (name, arguments) = program
        .split_first()
        .context("there is no command to run")?;
    let owner = turn.project.locks().owner_file()?;
    let on_terminal = std::io::stdin().is_terminal();
    let mut command = Command::new(name);
    command.args(arguments);
    if let Some([stdout, stderr]) = output {
        command.stdout(stdout).stderr(stderr);
    }
    if let Some(token) = turn.project.locks().token_of(ticket) {
        command.env("PLANDEX_LOCK_TOKEN", token.to_string());
    }
    if !on_terminal {
        // Its own group, so that one signal reaches all that it starts. On a terminal it stays in
        // ours, which the terminal's signals reach by themselves.
        command.process_group(0);
    }
    process::bind_to_us(&mut command, owner.as_fd());
    let shown = name.to_string_lossy();
    match command.spawn() {
        Ok(child) => Ok(Ended::Status(await_end(child, &turn.cancel, on_terminal)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Ended::NotFound(format!("{shown}: command not found")))
        }
        Err(error) => Ok(Ended::CannotRun(format!("{shown}: {error}"))),
    }
}

fn await_end(mut child: Child, cancel: &Cancel, on_terminal: bool) -> Result<ExitStatus> {
    let pid = child.id();
    let start = process::stat(pid).map_or(0, |stat| stat.start_ticks);
    let Some(exit) = process::exit_watch(pid, start) else {
        return child.wait().context("waiting for the command");
    };
    wait_for(&[exit.as_fd(), cancel.as_fd()])?;
    if let (None, Some(reason)) = (child.try_wait()?, cancel.reason()) {
        let group = |signal| match on_terminal {
            true => process::signal_process(pid, signal),
            false => process::signal_group(pid, signal),
        };
        match reason {
            // The terminal sent it to the command too.
            Reason::Interrupted if on_terminal => {}
            Reason::Interrupted => group(GroupSignal::Interrupt),
            Reason::HungUp => group(GroupSignal::HangUp),
            Reason::Terminated | Reason::Stopped | Reason::GivenUp | Reason::LockLost => {
                group(GroupSignal::Terminate);
            }
        }
        if reason == Reason::LockLost {
            // Nobody may work under a lock that is lost: it has five seconds to end.
            let until = Instant::now() + GRACE;
            while child.try_wait()?.is_none() && Instant::now() < until {
                wait::readable(
                    &[exit.as_fd()],
                    until.saturating_duration_since(Instant::now()),
                )?;
            }
            group(GroupSignal::Kill);
        }
    }
    child.wait().context("waiting for the command")
}

fn wait_for(fds: &[std::os::fd::BorrowedFd<'_>]) -> Result<()> {
    // Each round lasts until something happens or an hour is over.
    while !wait::readable(fds, Duration::from_secs(3600))?.contains(&true) {}
    Ok(())
}
