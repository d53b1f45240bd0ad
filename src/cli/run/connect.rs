//! `connect`: a run as its own terminal shows it, from any other, from its first event to its end.
//!
//! A follower takes no ticket and writes nothing. It reads the run's stored events page by page, so
//! that it needs little memory and no run waits for it; between two reads it sleeps until the runner
//! touches its owner file, which it does after each commit, or ends.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;

use super::super::args::Stream as StreamArgs;
use super::super::exit::ExitCode;
use super::super::follow::Follower;
use super::super::frame;
use super::super::session::Cli;
use super::away::{self, Away};
use super::find::{self, Found};
use super::show::RunView;
use crate::lock::owner;
use crate::lock::rules::{self, Standing};
use crate::plan::{Event, Recorded};
use crate::platform::cancel::Reason;
use crate::platform::process;
use crate::platform::touch::Watch;
use crate::project::Project;
use crate::store::streams::{self, Kept, Stream};
use crate::store::tickets::{self, State, Ticket};
use crate::store::{ReadTx, StoreError, branches};

/// So many events are read at once.
const PAGE: i64 = 64;
/// Between two tries to read what could not be read, and for how long they go on.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_FOR: Duration = Duration::from_secs(30);
/// How long a ticket that went without a run may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// `plandex connect`
#[derive(Debug, Args)]
#[command(
    after_help = "RUN is the number that `plandex tell --bg` and `plandex ps` print, or the id (or its \
        beginning) that is the `turn` of each event. Without RUN and PLAN, of the chosen plan and branch: the \
        run that is at work or waits; if there is none, how the last one ended (--replay shows all of it \
        again). A RUN that is named is always shown from its beginning. The newest 20 runs of a branch can \
        be.\n\n\
        Looking on changes nothing and slows nobody. Ctrl-C ends only the looking (130); `plandex stop` stops the \
        run. The exit code is the run's own; 1 if its process died. With --json the lines are those that the \
        run's own terminal has, with the same `turn` and `event` numbers.\n\n\
        Examples:\n  plandex tell --bg -f prompt.md\n  plandex connect\n  plandex connect 42 --json | jq -c .type"
)]
pub(in super::super) struct Connect {
    /// The run, or the plan.
    #[arg(value_name = "RUN|PLAN")]
    run: Option<String>,
    /// The branch of the plan.
    branch: Option<String>,
    /// Show the whole run, if it has ended too.
    #[arg(long)]
    replay: bool,
    #[command(flatten)]
    stream: StreamArgs,
}

/// `plandex connect`
pub(in super::super) fn connect(cli: &Cli, args: &Connect) -> Result<ExitCode> {
    let project = cli.open()?;
    let wanted = (args.run.as_deref(), args.branch.as_deref());
    let found = find::find(&project, wanted)?;
    let follower = Follower::new(cli, &project)?;
    cli.stream_about(frame::About {
        plan: Some(found.plan.name.clone()),
        plan_id: Some(found.plan.id.clone()),
        branch: found.branch.clone(),
        ..frame::About::default()
    });
    cli.begin_stream();
    if found.is_over_unasked() && !args.replay {
        return ended(cli, &project, &found);
    }
    let mut connected = Connected {
        cli,
        project: &project,
        follower,
        view: RunView::new(cli, args.stream),
        run: found.run.as_ref().map(|run| run.id.clone()),
        ticket: found.ticket,
        owner: None,
        shown: 0,
        last: None,
        position: None,
        vanished: None,
        found: &found,
    };
    connected.follow()
}

/// How the last run ended, for who asked for none in particular.
fn ended(cli: &Cli, project: &Project, found: &Found) -> Result<ExitCode> {
    let run = found.run.as_ref().context("no run was found")?;
    let last = project.store.read(|tx| streams::verdict(tx, &run.id))?;
    let last = last.and_then(|kept| Recorded::read(&run.id, &kept));
    away::last_one(cli, &found.plan.name, found.branch(), run);
    if let (Some(last), true) = (&last, cli.json) {
        RunView::new(cli, StreamArgs { deltas: false }).show(last);
    }
    let code = away::verdict(cli, run, last.as_ref().map(|last| &last.event));
    if !cli.json {
        cli.ui
            .hint("see all of it again with `plandex connect --replay`");
    }
    Ok(code)
}

/// The runner: what tells of its news, and what of its end.
struct Owner {
    id: String,
    touched: Option<Watch>,
    exit: Option<OwnedFd>,
}

impl Owner {
    fn of(project: &Project, ticket: &Ticket) -> Self {
        let path = owner::path(project.dir(), &ticket.owner_id);
        Self {
            id: ticket.owner_id.clone(),
            touched: Watch::of(&path),
            exit: process::exit_watch(ticket.pid, ticket.process_start),
        }
    }
}

/// What one look finds.
struct Look {
    run: Option<Stream>,
    ticket: Option<Ticket>,
    /// Its place in line, if it waits.
    position: Option<usize>,
    events: Vec<Kept>,
}

/// One who looks on.
struct Connected<'a> {
    cli: &'a Cli,
    project: &'a Project,
    found: &'a Found,
    follower: Follower<'a>,
    view: RunView<'a>,
    /// The run, once there is one.
    run: Option<String>,
    ticket: i64,
    owner: Option<Owner>,
    /// The number of the last event that was shown.
    shown: i64,
    last: Option<Event>,
    /// The place in line that was told last.
    position: Option<usize>,
    /// Since when there is neither a ticket nor a run.
    vanished: Option<Instant>,
}

impl Connected<'_> {
    fn follow(&mut self) -> Result<ExitCode> {
        // Until the run's end, or the follower's.
        loop {
            if let Some(touched) = self.owner.as_ref().and_then(|owner| owner.touched.as_ref()) {
                touched.drain();
            }
            let mut look = self.look()?;
            let was_stopped = self.follower.take_stopped();
            if was_stopped {
                // What was seen may be from before.
                look = self.look()?;
            }
            // Of a run that died meanwhile, its end is told.
            if was_stopped && !self.is_dead(&look) {
                self.resumed(Away::Suspended, &look);
            }
            if let Some(code) = self.take(&look) {
                return Ok(code);
            }
            let is_more = look.events.len() as i64 >= PAGE;
            // Looked at once more after each new watch: what came before it rings nobody.
            if self.watch(&look) || is_more {
                continue;
            }
            if let Some(code) = self.follower.until_told(&self.bells())? {
                let is_called_off = code == ExitCode::from(Reason::Interrupted);
                if let (true, Some(ticket)) = (is_called_off, &look.ticket) {
                    away::leaves(self.cli, &self.found.plan.name, ticket);
                }
                return Ok(code);
            }
        }
    }

    fn bells(&self) -> Vec<BorrowedFd<'_>> {
        let Some(owner) = &self.owner else {
            return Vec::new();
        };
        // Without a watch of its news, its end alone is not enough.
        let touched = owner.touched.as_ref().map(|touched| touched.as_fd());
        let exit = owner.exit.as_ref().map(|exit| exit.as_fd());
        match touched {
            Some(touched) => std::iter::once(touched).chain(exit).collect(),
            None => Vec::new(),
        }
    }

    /// Watches the ticket's owner, if it is not watched yet; whether that is new.
    fn watch(&mut self, look: &Look) -> bool {
        let Some(ticket) = &look.ticket else {
            return false;
        };
        let is_known = |owner: &Owner| owner.id == ticket.owner_id;
        if ticket.owner_id.is_empty() || self.owner.as_ref().is_some_and(is_known) {
            return false;
        }
        self.owner = Some(Owner::of(self.project, ticket));
        true
    }

    /// Looks, and goes on trying if that fails.
    fn look(&mut self) -> Result<Look> {
        let failed = match self.read() {
            Ok(look) => return Ok(look),
            Err(error) => error,
        };
        // What was replaced or is damaged does not come back by itself.
        if failed.is::<StoreError>() && !matches!(failed.downcast_ref(), Some(StoreError::Busy(_)))
        {
            return Err(failed);
        }
        away::lost_sight(self.cli, &failed);
        let until = Instant::now() + RETRY_FOR;
        // At most until then.
        loop {
            let ended = self.follower.pause(RETRY)?;
            match self.read() {
                Ok(look) => {
                    self.resumed(Away::ReadFailed, &look);
                    return Ok(look);
                }
                Err(error) if ended.is_some() || Instant::now() >= until => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn read(&self) -> Result<Look> {
        let (run, ticket, shown) = (self.run.as_deref(), self.ticket, self.shown);
        self.project
            .store
            .read(|tx| look(tx, run, ticket, shown))
            .context("reading the run's events")
    }

    /// Shows what was found; how the command ends, if this is the end.
    fn take(&mut self, look: &Look) -> Option<ExitCode> {
        let Some(run) = &look.run else {
            return self.before_the_run(look);
        };
        if self.run.is_none() {
            self.run = Some(run.id.clone());
        }
        for kept in &look.events {
            self.shown = kept.number;
            if let Some(recorded) = Recorded::read(&run.id, kept) {
                self.view.show(&recorded);
                if recorded.event.is_verdict() {
                    self.last = Some(recorded.event);
                }
            }
            if self.cli.ui.stdout_closed() {
                return Some(ExitCode::OutputClosed);
            }
        }
        if look.events.len() as i64 >= PAGE {
            return None;
        }
        if run.finished_at.is_some() {
            return Some(away::verdict(self.cli, run, self.last.as_ref()));
        }
        if !self.is_dead(look) {
            return None;
        }
        let pid = look.ticket.as_ref().map(|ticket| ticket.pid);
        Some(away::died(self.cli, &self.standing(run), pid))
    }

    /// Asked for only when it is said: each event's way to the reader is short.
    fn standing<'l>(&'l self, run: &'l Stream) -> away::Standing<'l> {
        let read = self.project.store.read(|tx| {
            let branch = branches::by_id(tx, &run.branch_id)?;
            Ok((branch, streams::files(tx, &run.id)?))
        });
        let (branch, files) = read.unwrap_or_default();
        away::Standing {
            plan: &self.found.plan.name,
            run,
            status: branch.map_or("", |branch| branch.status.word()),
            files,
        }
    }

    fn resumed(&self, reason: Away, look: &Look) {
        if let Some(run) = &look.run {
            away::resumed(self.cli, reason, &self.standing(run));
        }
    }

    /// Nothing has begun: the ticket waits, or is gone.
    fn before_the_run(&mut self, look: &Look) -> Option<ExitCode> {
        let is_alive = look.ticket.is_some() && !self.is_dead(look);
        if self.run.is_none() && is_alive {
            self.vanished = None;
            self.say_waits(look);
            return None;
        }
        // Its process may be about to say why; and a run that came to nothing is taken back.
        self.run = None;
        let since = *self.vanished.get_or_insert_with(Instant::now);
        if since.elapsed() < LAST_WORDS {
            return None;
        }
        Some(away::came_to_nothing(self.cli, self.ticket))
    }

    fn say_waits(&mut self, look: &Look) {
        if let Some(position) = look.position
            && self.position != Some(position)
        {
            self.position = Some(position);
            away::waits(self.cli, self.ticket, position);
        }
    }

    /// Whether nobody is left who could go on with the run.
    fn is_dead(&self, look: &Look) -> bool {
        if look
            .run
            .as_ref()
            .is_some_and(|run| run.finished_at.is_some())
        {
            return false;
        }
        let Some(ticket) = &look.ticket else {
            return true;
        };
        if ticket.state == State::Waiting || ticket.is_kept_place() {
            return false;
        }
        if owner::is_alive(self.project.dir(), &ticket.owner_id) {
            return false;
        }
        // It may have ended well between the look at the rows and that at its file.
        let again = self.read();
        again.is_ok_and(|again| {
            again.events.is_empty()
                && again
                    .run
                    .as_ref()
                    .is_some_and(|run| run.finished_at.is_none())
        })
    }
}

fn look(tx: &ReadTx<'_>, run: Option<&str>, ticket: i64, shown: i64) -> Result<Look> {
    let run = match run {
        Some(id) => streams::by_id(tx, id)?,
        None => streams::of_ticket(tx, ticket)?,
    };
    let ticket = tickets::by_id(tx, ticket)?;
    let events = match &run {
        Some(run) => streams::after(tx, &run.id, shown, PAGE)?,
        None => Vec::new(),
    };
    let position = match &ticket {
        Some(ticket) if run.is_none() => position(tx, ticket)?,
        _ => None,
    };
    Ok(Look {
        run,
        ticket,
        position,
        events,
    })
}

fn position(tx: &ReadTx<'_>, ticket: &Ticket) -> Result<Option<usize>> {
    let mut line = tickets::of_plan(tx, &ticket.plan_id)?;
    line.retain(|one| one.below == ticket.below);
    let standings: Vec<Standing<'_>> = line.iter().map(Standing::from).collect();
    let place = line.iter().position(|one| one.id == ticket.id);
    let waits = ticket.state == State::Waiting;
    Ok(place
        .filter(|_| waits)
        .and_then(|place| rules::position(&standings, place)))
}
