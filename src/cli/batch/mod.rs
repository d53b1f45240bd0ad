//! `batch`: many commands in one process, over its queue and its workers.
//!
//! Each line is the command it would be by itself, on a thread of its own that waits for the
//! line's operation; the operation goes through the queue of the one opened project like any
//! other. What may run at the same time is decided before a line starts, by the rules of the
//! queue: a plan's lines run in their order, reads of one branch together. So a `tell` is over
//! before the `apply` behind it looks for what is pending.

mod lines;
mod order;
mod outcome;
mod run;

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION, own_file};
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::signal::{self, Signal};
use crate::platform::{stdin, threads};
use crate::project::{Place, Project, Session};
use crate::store::{self, Connections};
use crate::ui::render;
use outcome::Tally;

/// The largest batch, in bytes.
const FILE_MAX: u64 = 64 << 20;
/// So many malformed lines are named.
const NAMED_MAX: usize = 20;

/// `plandex batch`
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(super) struct Batch {
    /// The file with the commands, one a line; "-" for standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// Run every line, whatever becomes of the others (the default).
    #[arg(long, conflicts_with = "fail_fast")]
    keep_going: bool,
    /// Start no more lines once one has failed; those that run are finished.
    #[arg(long)]
    fail_fast: bool,
}

const HELP: &str = "\
Lines:
  A line is a plandex command without the word `plandex`, in words as a shell splits them
  (quotes and backslashes work, nothing is expanded, `#` begins a comment), or in JSON:
    tell -f prompt.md --plan auth
    [\"load\", \"src/lib.rs\", \"--plan\", \"auth\"]
    {\"args\": [\"exec\", \"--\", \"make\"], \"plan\": \"auth\", \"branch\": \"main\", \"wait\": \"2m\", \"id\": 7}
  Blank lines are skipped. All lines are checked first: if one is malformed, it is named with its
  number, nothing runs, and the exit code is 2. Flags of the batch (--plan, --branch, --wait,
  --json, --quiet) hold for every line that does not say otherwise.

Order:
  The lines of one plan run in their order; reads of one branch (diff, load, exec --read, and what
  only looks) that stand together run at the same time, up to 64. Lines of different plans do not
  wait for each other. new, cd, checkout and doctor --fix wait for all lines before them, and all
  after them wait. plans, ps, locks, events, stop and doctor run at once. At most 128 lines run at a
  time. What goes on until it is stopped (--watch, --follow) is no line of a batch.

Output:
  A line's output is kept until the line has ended and then printed whole. Standard input is empty
  for every line. With --json each line is one object on stdout as it ends (line.completed), then
  comes the verdict (batch.completed), between session.started and session.ended.

Exit code:
  The worst of the lines': 79, 69, 1 (and every code not named here), 2, 5, 6, 4, 143, 130, 129,
  141, 10, 3, 7, 9, 75; 0 if all are done. Ctrl-C, TERM and HUP cancel what runs, the rest is
  reported as not run, and the code is 130, 143 or 129.

Examples:
  plandex batch jobs.txt
  printf 'tell -f %s\\n' prompts/*.md | plandex batch - --plan auth
  plandex batch jobs.txt --json | jq 'select(.exitCode == 75) | .args'";

/// What the lines of a batch share: one opened project, so one owner, one heart, one queue.
pub(super) struct Together {
    project: OnceLock<Arc<Project>>,
    /// Set when the whole batch is to end.
    cancel: Cancel,
}

impl Together {
    fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            project: OnceLock::new(),
            cancel: Cancel::new()?,
        }))
    }

    /// The project that the batch works on, opened by the first line that needs it.
    pub(super) fn open(&self, cli: &Cli) -> Result<Arc<Project>> {
        match self.project.get() {
            Some(project) => Ok(Arc::clone(project)),
            None => Ok(self.keep(cli.open_alone(Connections::Pool)?)),
        }
    }

    /// As [`open`](Self::open), creating it at `place` if it is not there yet.
    pub(super) fn create(&self, cli: &Cli, place: &Place) -> Result<Arc<Project>> {
        if let Some(project) = self.project.get() {
            return Ok(Arc::clone(project));
        }
        let session = Session {
            connections: Connections::Pool,
            ..cli.session()
        };
        Ok(self.keep(Project::create(place, session)?))
    }

    fn keep(&self, project: Arc<Project>) -> Arc<Project> {
        // Two lines may have opened it at once: the second one is closed again, unused.
        let kept = Arc::clone(self.project.get_or_init(|| project));
        if let Some(reason) = self.cancel.reason() {
            kept.cancel.set(reason);
        }
        kept
    }

    fn end(&self, reason: Reason) {
        // In this order: who opens the project meanwhile looks at the flag after it is kept.
        self.cancel.set(reason);
        if let Some(project) = self.project.get() {
            project.cancel.set(reason);
        }
    }
}

/// `plandex batch FILE|-`
pub(super) fn batch(cli: &Cli, args: &Batch) -> Result<ExitCode> {
    let name = match args.file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => args.file.display().to_string(),
    };
    let lines = match lines::parse(&read(cli, args)?) {
        Ok(lines) => lines,
        Err(malformed) => {
            for found in malformed.iter().take(NAMED_MAX) {
                cli.ui
                    .error(format!("{name}:{}: {}", found.number, found.problem));
            }
            let count = render::counted(malformed.len() as u64, "malformed line");
            let message = format!("{count} in {name}; nothing was run");
            return Err(
                UsageError::new(message, "`plandex batch --help` shows what a line is").into(),
            );
        }
    };
    // Nobody can know which of the lines would read it.
    stdin::give_up()?;
    let together = Together::new()?;
    let watch = hear_signals(&together)?;
    cli.begin_stream();
    let policy = match args.fail_fast {
        true => run::Policy::FailFast,
        false => run::Policy::KeepGoing,
    };
    let (tally, worst) = run::run(cli, &together, &lines, policy);
    drop(watch);
    let code = match together.cancel.reason() {
        Some(reason) => ExitCode::from(reason),
        None if worst == 0 => ExitCode::Done,
        None => ExitCode::Command(worst),
    };
    conclude(cli, &tally, code);
    Ok(code)
}

fn conclude(cli: &Cli, tally: &Tally, code: ExitCode) {
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            schema_version: u32,
            r#type: &'static str,
            exit_code: u8,
            counts: &'a Tally,
        }
        cli.ui.json(&cli.stamped(&Document {
            schema_version: SCHEMA_VERSION,
            r#type: "batch.completed",
            exit_code: code.code(),
            counts: tally,
        }));
    } else {
        cli.ui.note(tally.words());
    }
}

fn read(cli: &Cli, args: &Batch) -> Result<Vec<u8>> {
    let unreadable = |problem: String| {
        UsageError::new(
            format!("cannot read the batch {}: {problem}", args.file.display()),
            "`plandex batch FILE`, or pipe it in with `plandex batch -`",
        )
    };
    let bytes = if args.file.as_os_str() == "-" {
        let _waits = threads::waits("standard input");
        limited(std::io::stdin().lock())
    } else {
        let path = cli.cwd.join(&args.file);
        if let Ok(place) = cli.place()
            && std::fs::metadata(&path).is_ok_and(|meta| store::is_own_file(&place.dir, &meta))
        {
            return Err(own_file(&path.display().to_string()));
        }
        std::fs::File::open(&path).and_then(limited)
    };
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > FILE_MAX {
        let most = render::size(FILE_MAX);
        return Err(unreadable(format!("it is longer than {most}")).into());
    }
    Ok(bytes)
}

/// Reads to the end, or one byte more than a batch may have.
fn limited(source: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Turns signals into the end of what runs; Ctrl-Z stops the process between transactions.
fn hear_signals(together: &Arc<Together>) -> Result<signal::Watch> {
    let together = Arc::clone(together);
    signal::watch(move |heard| match heard {
        // The second Ctrl-C: whatever is at work is rolled back by the next process.
        Signal::Interrupt if together.cancel.is_set() => signal::exit_now(130),
        Signal::Interrupt => together.end(Reason::Interrupted),
        Signal::Terminate => together.end(Reason::Terminated),
        Signal::HangUp => together.end(Reason::HungUp),
        Signal::Suspend => {
            let quiet = together.project.get().map(|project| project.store.quiet());
            signal::stop_self();
            drop(quiet);
        }
        // Not listened to.
        Signal::Quit | Signal::User2 => {}
    })
}
