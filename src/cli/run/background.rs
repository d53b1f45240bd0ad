//! A run in the background: the command starts itself once more, apart from the terminal, and ends
//! when that one has its ticket.
//!
//! Whatever is wrong before (usage, no plan, no model, a full queue) is found by the second process
//! and said on the first one's streams, which it has until its ticket exists; its exit code is the
//! first one's. Then it lets go of all three streams. What it does from there on is in the run's
//! events; an error that comes before there is a run is recorded as a run that failed.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::exit::ExitCode;
use super::super::report::{self, UsageError};
use super::super::session::{Cli, SCHEMA_VERSION};
use crate::config::{self, BACKGROUND, Environment};
use crate::lock::owner::TOKEN_VARIABLE;
use crate::plan::{Event, Recorded};
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::process::{self, GroupSignal};
use crate::platform::signal::{self, Signal};
use crate::platform::{clock, detached, log, stdin, wait};
use crate::project::Project;
use crate::store::messages::State;
use crate::store::streams;

/// The longest answer of the second process.
const ANSWER_MAX: u64 = 64 << 10;
/// A limit that only bounds a wait which other things end.
const HOUR: Duration = Duration::from_secs(3600);
/// How long the failure of a run may wait to be recorded.
const LAST_TRY: Duration = Duration::from_secs(5);

/// Whether a run goes on in the background.
#[derive(Debug, Clone, Copy, Args)]
pub(in super::super) struct Background {
    /// Return as soon as it has its place in line; it goes on apart from this terminal, and waits for
    /// its turn for as long as it takes unless --wait says otherwise.
    #[arg(long)]
    bg: bool,
}

impl Background {
    /// Whether --bg was given.
    pub(in super::super) fn is_asked(self) -> bool {
        self.bg
    }

    /// Whether this process is to start the one that goes on.
    pub(super) fn is_wanted(self, cli: &Cli) -> bool {
        self.bg && cli.detached().is_none()
    }
}

/// What the second process reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// At most the prompt, before it has a ticket.
    Prompt,
    /// The reply, for as long as it comes.
    Reply,
}

impl Input {
    pub(super) fn of_reply(is_piped: bool) -> Self {
        match is_piped {
            true => Self::Reply,
            false => Self::Prompt,
        }
    }
}

/// What the second process says when its ticket exists.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    pid: u32,
    ticket: i64,
    /// "held" or "waiting".
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// Starts this very command once more, apart from the terminal, and returns when it has a ticket, or
/// with its exit code if it comes to none.
pub(super) fn start(cli: &Cli, input: Input) -> Result<ExitCode> {
    cli.no_stream();
    if input == Input::Reply && std::io::stdin().is_terminal() {
        let words = "a run in the background cannot read its reply from a terminal";
        return Err(UsageError::new(words, "pipe the reply in, or give `--reply FILE`").into());
    }
    let cancel = Cancel::new()?;
    let heard = cancel.clone();
    let signals = signal::watch(move |signal| match signal {
        Signal::Interrupt => heard.set(Reason::Interrupted),
        Signal::Terminate => heard.set(Reason::Terminated),
        Signal::HangUp => heard.set(Reason::HungUp),
        Signal::Suspend => signal::stop_self(),
        // Not watched for.
        Signal::Quit | Signal::User2 => {}
    })?;
    let (program, arguments) = config::this_command()?;
    detached::hand_down_nothing();
    let mut child = Command::new(program)
        .args(arguments)
        .env(BACKGROUND, std::process::id().to_string())
        // Whoever holds the plan around this command does not wait for it.
        .env_remove(TOKEN_VARIABLE)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the run in the background")?;
    let answer = child.stdout.take().context("the run has no output")?;
    let answer = answered(&mut child, answer, &cancel)?;
    drop(signals);
    let Some(answer) = answer else {
        let status = child.wait().context("waiting for the run")?;
        let code = status.code().or(status.signal().map(|signal| 128 + signal));
        let code = code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return Ok(match cancel.reason() {
            Some(reason) => report::stopped(reason),
            None => ExitCode::Command(code),
        });
    };
    say(cli, &answer);
    Ok(ExitCode::Done)
}

/// What the second process says; `None` if it ended before. A command that is called off meanwhile
/// calls it off.
fn answered(child: &mut Child, answer: ChildStdout, cancel: &Cancel) -> Result<Option<Answer>> {
    // Each round lasts until something happens or an hour is over.
    while !wait::readable(&[answer.as_fd(), cancel.as_fd()], HOUR)?.contains(&true) {}
    if cancel.is_set() {
        process::signal_process(child.id(), GroupSignal::Terminate);
    }
    let mut line = String::new();
    BufReader::new(answer.take(ANSWER_MAX))
        .read_line(&mut line)
        .context("reading what the run says")?;
    if line.is_empty() || cancel.is_set() {
        return Ok(None);
    }
    let answer = serde_json::from_str(&line).context("understanding what the run says")?;
    Ok(Some(answer))
}

fn say(cli: &Cli, answer: &Answer) {
    if cli.json {
        let schema_version = SCHEMA_VERSION;
        return cli.ui.json(&Document {
            schema_version,
            answer,
        });
    }
    let (number, pid) = (answer.ticket, answer.pid);
    cli.ui.line(match answer.position {
        Some(position) => {
            format!("Run {number} waits in the background, position {position} (pid {pid})")
        }
        None => format!("Run {number} is at work in the background (pid {pid})"),
    });
    let plan = answer.plan.as_deref().unwrap_or_default();
    let is_waiting = answer.position.is_some();
    let end = end_it(plan, pid, is_waiting);
    cli.ui.hint(format!(
        "follow it with `plandex connect {number}`, see it with `plandex ps`, end it with {end}"
    ));
}

/// How a run is ended: `stop` is for what is at work, and would end what this one waits for.
pub(super) fn end_it(plan: &str, pid: u32, is_waiting: bool) -> String {
    match is_waiting {
        true => format!("`kill {pid}`"),
        false => format!("`plandex stop --plan {}`", config::quoted(plan)),
    }
}

/// A command that goes on in the background.
#[derive(Debug)]
pub(in super::super) struct Detached {
    /// The ticket it told of; 0 before.
    ticket: AtomicI64,
    keeps_input: AtomicBool,
}

impl Detached {
    /// Leaves the terminal, if this process was started to go on in the background.
    pub(in super::super) fn begin(environment: &Environment) -> Option<Self> {
        // Programs that it starts inherit the variable, and have another parent.
        if environment.background.is_none() || environment.background != detached::parent() {
            return None;
        }
        detached::begin_session();
        Some(Self {
            ticket: AtomicI64::new(0),
            keeps_input: AtomicBool::new(false),
        })
    }

    /// Its reply comes from standard input.
    pub(super) fn keep_input(&self) {
        self.keeps_input.store(true, Ordering::Relaxed);
    }
}

/// Tells the process that waits for it of the first ticket, and lets go of its streams.
pub(in super::super) fn has_ticket(cli: &Cli, ticket: i64, position: Option<usize>) {
    let Some(detached) = cli.detached() else {
        return;
    };
    if detached.ticket.swap(ticket, Ordering::Relaxed) != 0 {
        return;
    }
    let about = cli.about();
    cli.ui.json(&Answer {
        pid: std::process::id(),
        ticket,
        state: position.map_or("held", |_| "waiting").to_owned(),
        position,
        plan: about.plan,
        branch: about.branch,
    });
    // What cannot be let go of is kept, and does no harm but to who waits for its end.
    stdin::give_up_output().ok();
    if !detached.keeps_input.load(Ordering::Relaxed) {
        stdin::give_up().ok();
    }
}

/// Records why a run in the background failed, if there is no run to say so.
pub(super) fn failed(cli: &Cli, project: &Project, branch_id: &str, error: &Error) {
    let summary = report::summary(error);
    let report = json!({"errors": [summary.message]}).to_string();
    let event = Event::Failed {
        kind: summary.kind.to_owned(),
        message: summary.message,
        hint: summary.hint,
        partial: false,
        exit_code: Some(summary.code.code()),
    };
    over(cli, project, branch_id, ("error", &report), event);
}

/// Records that a run in the background had nothing to do.
pub(super) fn had_nothing_to_do(cli: &Cli, project: &Project, branch_id: &str) {
    let event = Event::Completed {
        number: 0,
        state: State::Complete.word().to_owned(),
        built: 0,
        failed: 0,
        malformed: 0,
        kept: 0,
        stopped: None,
        duration_ms: 0,
    };
    over(cli, project, branch_id, ("ready", "{}"), event);
}

fn over(cli: &Cli, project: &Project, branch_id: &str, ended: (&str, &str), event: Event) {
    let ticket = cli.detached().map(|one| one.ticket.load(Ordering::Relaxed));
    let Some(ticket) = ticket.filter(|ticket| *ticket != 0) else {
        return;
    };
    let last = Recorded {
        run: String::new(),
        number: 1,
        at: clock::wall_ms(),
        event,
    };
    let recorded = last.kept().and_then(|last| {
        let place = (branch_id, ticket);
        project
            .store
            .choose(LAST_TRY, |tx| streams::add_over(tx, place, ended, &last))
    });
    // Nobody is left to be told: the log is.
    if let Err(error) = recorded {
        log::queue(|| format!("how run {ticket} ended is not recorded: {error:#}"));
    }
}
