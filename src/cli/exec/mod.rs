//! `exec`: any program, run while its plan is held.

mod child;
mod relay;

use std::ffi::OsString;
use std::fs::File;
use std::sync::Arc;

use anyhow::Result;

use super::args;
use super::exit::ExitCode;
use super::operate::{Job, operate_hearing};
use super::report::{self, UsageError};
use super::session::Cli;
use crate::lock::LockError;
use crate::lock::operation::{self, Operation};
use crate::project::Turn;
use crate::store::history;
use crate::store::tickets::{Permit, Proof};
use child::Program;
use relay::Relay;

/// The shell of `--shell`: the same for everybody, whatever SHELL says, so that a script means the
/// same in a terminal and in CI.
const SHELL: &str = "/bin/sh";

/// Why the command could not be run; its own end is not an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecError {
    /// There is no such program.
    #[error("{0}: command not found")]
    NotFound(String),
    /// There is one, and it cannot be run.
    #[error("{0}")]
    CannotRun(String),
}

/// `plandex exec [--read [--root]] [--shell] -- COMMAND…`
pub(super) fn exec(cli: &Cli, args: &args::Exec) -> Result<ExitCode> {
    // The caller may choose what "not acquired" is called, even 0: then it asked for it.
    let not_acquired = args
        .conflict_exit_code
        .map_or(ExitCode::NotAcquired, ExitCode::Command);
    match held(cli, args) {
        Ok(code) => Ok(code),
        Err(error) => Ok(report::error_called(cli, &error, not_acquired)),
    }
}

fn held(cli: &Cli, args: &args::Exec) -> Result<ExitCode> {
    let program = program(args)?;
    if args.read {
        run_as(cli, args, operation::EXEC_READ, program)
    } else {
        run_as(cli, args, operation::EXEC, program)
    }
}

/// What is run: the words as they are, or a shell that is given one string or its standard input.
fn program(args: &args::Exec) -> Result<Program> {
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    match (args.shell, args.program.as_slice()) {
        (false, [name, arguments @ ..]) => Ok(Program::new(name.clone(), arguments.to_vec())),
        (true, []) => Ok(Program::new(SHELL.into(), words(&["-s"]))),
        (true, [script]) => {
            let mut arguments = words(&["-c"]);
            arguments.push(script.clone());
            Ok(Program::new(SHELL.into(), arguments))
        }
        (true, _) => Err(UsageError::new(
            "--shell takes one string",
            "quote the whole script: `plandex exec --shell 'make && make test'`",
        )
        .into()),
        (false, []) => {
            Err(UsageError::new("there is no command to run", "`plandex exec -- COMMAND…`").into())
        }
    }
}

fn run_as<P: Permit>(
    cli: &Cli,
    args: &args::Exec,
    operation: Operation<P>,
    program: Program,
) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let on_branch = args.read && !args.root;
    let job = Job {
        project: &project,
        plan_id: selected.plan.id.as_str(),
        branch: on_branch.then_some(selected.branch.name.as_str()),
        operation,
    };
    let relay = Arc::new(Relay::new(&cli.ui, &project));
    let signals = match cli.is_line() {
        true => None,
        false => Some(relay.listen()?),
    };
    let output = cli.output_files()?;
    operate_hearing(
        cli,
        &job,
        signals,
        move |permit, turn, _: &mut dyn FnMut(())| {
            run(&program, turn, &relay, (permit.proof(), output))
        },
        |()| {},
    )
}

/// Runs the command and waits for it, in the worker thread: the parent-death signal follows the
/// thread that spawns, and this one lives until the command has ended.
fn run(
    program: &Program,
    turn: &Turn<'_>,
    relay: &Relay,
    (proof, output): (&Proof, Option<[File; 2]>),
) -> Result<ExitCode> {
    if let Some(reason) = turn.cancel.reason() {
        return Err(LockError::Cancelled(reason).into());
    }
    let Some(status) = child::run(program, turn, relay, (proof, output))? else {
        let store = &turn.project.store;
        let by = store.read(|tx| history::forced_by(tx, proof.fence()));
        return Err(history::lost(proof.ticket(), by.ok().flatten().as_deref()));
    };
    Ok(ExitCode::Command(child::code_of(status)))
}
