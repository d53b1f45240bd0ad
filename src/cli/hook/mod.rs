//! `hook capture`, `hook install`, `hook uninstall`, `hook log`.

mod capture;
mod log;
mod settings;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};

use super::args::Command;
use super::exit::ExitCode;
use super::session::Cli;
use crate::hook::Event;

pub(super) use capture::{capture, is_asked, wrong_words};

/// `plandex hook`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  plandex hook install      in this project's .claude/settings.json\n  plandex \
        hook log          what was noted\n  plandex hook uninstall    the settings as they were\n\n\
        See `plandex hook COMMAND --help` for each."
)]
pub(super) struct Hook {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Note that a session began or ended; an agent's host calls this.
    Capture(Capture),
    /// Have an agent's host call `hook capture` when a session begins and ends.
    Install(Install),
    /// Take that out of the host's settings again.
    Uninstall(Uninstall),
    /// Print what was noted of sessions.
    Log(Log),
}

/// `plandex hook capture`
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the host's JSON on standard input (session_id, transcript_path, cwd, source, reason; \
        any of them may be missing) and appends one line of JSON to logs/session_ID.jsonl in \
        CLAUDE_PROJECT_DIR, else in the session's directory. The line has the branch and commit that git \
        stands at and, in a lane of an A/B experiment (a directory named in a manifest.json above it, or \
        model_…), task_id, model_lane, experiment_root and model_name. Any number of processes may write \
        to one log. A session without an id, or with the id \"unknown\", gets one that is drawn \
        (fallback_ and 8 digits) and a log of its own.\n\n\
        Examples:\n  echo '{\"session_id\": \"s1\"}' | plandex hook capture start\n  echo \
        '{\"session_id\": \"s1\", \"reason\": \"exit\"}' | plandex hook capture end\n\n\
        Prints nothing on standard output. Waits at most 1 s for its input and 1 s for the log's lock; \
        then the line is appended without it, and standard error says so.\n\n\
        Exit codes: 0 the line is on the disk; 1 it is not, or the words were wrong. Never 2, which a \
        host takes for \"stop\"."
)]
pub(super) struct Capture {
    /// What happened to the session.
    event: EventWord,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum EventWord {
    /// It began, or went on.
    Start,
    /// It ended.
    End,
}

impl From<EventWord> for Event {
    fn from(word: EventWord) -> Self {
        match word {
            EventWord::Start => Self::Start,
            EventWord::End => Self::End,
        }
    }
}

/// Which settings file.
#[derive(Debug, Clone, Copy, Args)]
struct Where {
    /// The user's settings, ~/.claude/settings.json, for all projects.
    #[arg(long, conflicts_with = "project")]
    user: bool,
    /// This project's, .claude/settings.json at its root. This is the default.
    #[arg(long)]
    project: bool,
}

/// `plandex hook install`
#[derive(Debug, Args)]
#[command(
    after_help = "Adds two entries, under SessionStart and SessionEnd, and leaves every other byte of the file as \
        it is; a second install changes nothing. In the user's settings the command is this program's \
        path, in a project's, which others share, it is `plandex`. A file that is not JSON of the \
        host's shape is not touched.\n\n\
        Examples:\n  plandex hook install           this project\n  plandex hook install --user    all of \
        this user's projects\n\n\
        Exit codes: 0 the hooks are there; 1 they are not, and nothing was changed."
)]
pub(super) struct Install {
    #[command(flatten)]
    at: Where,
}

/// `plandex hook uninstall`
#[derive(Debug, Args)]
#[command(
    after_help = "Takes out what `plandex hook install` added, whatever path it names; the file is then as it was \
        before, but for what others changed meanwhile. Logs stay.\n\n\
        Examples:\n  plandex hook uninstall\n  plandex hook uninstall --user\n\n\
        Exit codes: 0 no such hooks are there; 1 they may be, and nothing was changed."
)]
pub(super) struct Uninstall {
    #[command(flatten)]
    at: Where,
}

/// `plandex hook log`
#[derive(Debug, Args)]
#[command(
    after_help = "Lists the entries of all sessions in logs/, the oldest first. Lines that are no entries (a \
        machine that stopped in the middle of one leaves such) are left out, and standard error says how \
        many there are and where the first one is.\n\n\
        Examples:\n  plandex hook log\n  plandex hook log logs/session_s1.jsonl\n  plandex hook log --json\n\n\
        Exit codes: 0 done, bad lines or not; 1 a log cannot be read."
)]
pub(super) struct Log {
    /// Logs to read; without any, all of logs/.
    #[arg(value_name = "LOG")]
    files: Vec<PathBuf>,
}

impl Command {
    /// The event to note, if that is what is to be done.
    pub(super) fn captured(&self) -> Option<Event> {
        let Self::Hook(Hook {
            action: Action::Capture(args),
        }) = self
        else {
            return None;
        };
        Some(args.event.into())
    }
}

/// `plandex hook …`
pub(super) fn hook(cli: &Cli, args: &Hook) -> Result<ExitCode> {
    match &args.action {
        // Without the rest of a command's surroundings, of which it needs none.
        Action::Capture(args) => Ok(capture(args.event.into())),
        Action::Install(args) => settings::install(cli, args.at),
        Action::Uninstall(args) => settings::uninstall(cli, args.at),
        Action::Log(args) => log::log(cli, &args.files),
    }
}
