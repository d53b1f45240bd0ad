//! `events`: what happens to locks and runs, as lines for people or as JSON.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};

use super::exit::ExitCode;
use super::follow::Follower;
use super::frame;
use super::locks;
use super::session::{Cli, SCHEMA_VERSION, clock_time};
use crate::lock::operation;
use crate::store::history::{self, Past, RunSeen, Said};
use crate::store::tickets::{self, State, Ticket};
use crate::store::{ReadTx, plans};
use crate::ui::render;

/// The longest time between two reads, for what changed without a commit (nothing does today).
const TICK: std::time::Duration = std::time::Duration::from_secs(60);
/// So many rows are read at once; what is left comes with the next read.
const BATCH: i64 = 1_000;
/// So many operations of the past are told, the newest.
const PAST: usize = 100_000;
/// What is told without --since and --follow.
const BACK: &str = "1h";
/// Narrower than this, a terminal is shown times without days.
const NARROW: usize = 100;
/// The columns of a type in lines for people: as many as "lock.unconfirmed" has.
const TYPE_WIDTH: usize = 16;
/// The longest piece of a reply that a line for people shows.
const WORDS: usize = 200;

/// `plandex events`
#[derive(Debug, Args)]
#[command(
    after_help = "Types: lock.waiting, lock.acquired, lock.released, lock.cancelled, lock.timeout, lock.lost, \
        lock.unconfirmed, lock.deadlock, run.started, run.ended, message.delta. More may come; ignore what you \
        do not know. With --json the first line is session.started and the last one session.ended. \
        Of all plans, unless --plan names one. Of the past at most the newest 100,000 operations are told.\n\n\
        A follower takes no lock and writes nothing. It looks at SQLite's change counter ten times a \
        second and reads only when it has moved. Ctrl-C ends it (130), so does the end of a pipe (141).\n\n\
        Examples:\n  plandex events --since 1h\n  plandex events --follow --json | jq -c 'select(.type == \"lock.lost\")'"
)]
pub(super) struct Events {
    /// Go on with what happens from now.
    #[arg(long, short)]
    follow: bool,
    /// Begin so far back ("90s", "1h", "7d"); else now with --follow, and an hour back without.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    since: Option<String>,
}

impl Events {
    /// Whether it goes on until it is stopped.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }
}

/// One thing that happened.
struct Event {
    at: i64,
    kind: String,
    plan_id: String,
    fields: Map<String, Value>,
    /// For people.
    words: String,
}

impl Event {
    /// By time; what happened in one millisecond, ticket by ticket: a lock is passed on in one
    /// transaction, and its end is told before the grant that came of it.
    fn order(&self) -> (i64, Option<i64>, u8) {
        let step = match self.kind.as_str() {
            "lock.waiting" => 0,
            "lock.acquired" => 1,
            "run.started" => 2,
            "run.ended" => 4,
            kind if kind.starts_with("lock.") => 5,
            _ => 3,
        };
        let ticket = self.fields.get("ticket").and_then(Value::as_i64);
        (self.at, ticket, step)
    }
}

/// What was read so far.
struct Reader {
    plan: Option<String>,
    names: HashMap<String, String>,
    audit: i64,
    said: i64,
    run: i64,
    /// Grants and runs whose end is still to come.
    open: BTreeSet<i64>,
    open_runs: BTreeSet<String>,
    known_runs: BTreeSet<String>,
    waiting: BTreeSet<i64>,
    /// Whether there was more than one read takes.
    is_behind: bool,
}

/// `plandex events [--follow] [--since D]`
pub(super) fn events(cli: &Cli, args: &Events) -> Result<ExitCode> {
    let since = args.since.as_deref().or((!args.follow).then_some(BACK));
    let from = since.map(locks::since_time).transpose()?;
    let project = cli.open()?;
    let mut follower = args
        .follow
        .then(|| Follower::new(cli, &project))
        .transpose()?;
    let plan = locks::named_plan(&project)?;
    let mut reader = project.store.read(|tx| Reader::begin(tx, plan, from))?;
    cli.stream_about(frame::About {
        root: Some(project.root.to_string_lossy().into_owned()),
        ..frame::About::default()
    });
    cli.begin_stream();
    let (mut code, mut from) = (None, from);
    // Until whoever follows has seen enough.
    while code.is_none() {
        let found = match from.take() {
            Some(from) => project.store.read(|tx| reader.past(tx, from))?,
            None => project.store.read(|tx| reader.news(tx))?,
        };
        for event in found {
            reader.tell(cli, event);
            if cli.ui.stdout_closed() {
                return Ok(ExitCode::OutputClosed);
            }
        }
        code = match &mut follower {
            _ if reader.is_behind => None,
            None => Some(ExitCode::Done),
            Some(follower) => follower.until_changed(TICK)?,
        };
    }
    Ok(code.unwrap_or(ExitCode::Done))
}

impl Reader {
    /// Stands at now; what is before `from` is behind.
    fn begin(tx: &ReadTx<'_>, plan: Option<String>, from: Option<i64>) -> Result<Self> {
        let all = tickets::all(tx)?;
        let fences = all.iter().filter(|ticket| ticket.state.blocks());
        let waits = all.iter().filter(|ticket| ticket.state == State::Waiting);
        let last_run = history::last_run(tx)?;
        let runs = history::runs_from(tx, last_run - history::RECENT, history::RECENT + 1)?;
        let open_runs = runs.iter().filter(|run| run.finished_at.is_none());
        Ok(Self {
            plan,
            names: HashMap::new(),
            audit: history::last_id(tx)?,
            said: history::said_before(tx, from.unwrap_or(i64::MAX))?,
            run: last_run,
            open: fences.map(|ticket| ticket.fence).collect(),
            open_runs: open_runs.map(|run| run.id.clone()).collect(),
            known_runs: runs.into_iter().map(|run| run.id).collect(),
            waiting: waits.map(|ticket| ticket.id).collect(),
            is_behind: false,
        })
    }

    /// What happened from `from` until the reader began.
    fn past(&mut self, tx: &ReadTx<'_>, from: i64) -> Result<Vec<Event>> {
        let mut found = Vec::new();
        let (rows, _) = history::since(tx, from, self.plan.as_deref(), PAST)?;
        for past in rows.iter().filter(|past| past.entry.id <= self.audit) {
            if past.entry.granted_at.is_some_and(|at| at >= from) {
                found.push(acquired(past));
            }
            // The others end while it follows.
            if !self.open.contains(&past.entry.id) {
                found.extend(ended(past));
            }
        }
        let runs = history::runs_from(tx, self.run - history::RECENT, history::RECENT + 1)?;
        for run in runs.iter().filter(|run| run.row <= self.run) {
            if run.started_at >= from {
                found.push(run_started(run));
            }
            if run.finished_at.is_some_and(|at| at >= from) && !self.open_runs.contains(&run.id) {
                found.extend(run_ended(run));
            }
        }
        found.extend(self.news(tx)?);
        self.sorted(tx, found)
    }

    /// What happened since the last read.
    fn news(&mut self, tx: &ReadTx<'_>) -> Result<Vec<Event>> {
        let mut found = Vec::new();
        let rows = history::after(tx, self.audit, BATCH)?;
        let words = history::said_after(tx, self.said, BATCH)?;
        let full = usize::try_from(BATCH).unwrap_or(usize::MAX);
        self.is_behind = rows.len() >= full || words.len() >= full;
        for past in rows {
            self.audit = past.entry.id;
            if past.entry.granted_at.is_some() {
                found.push(acquired(&past));
                self.open.insert(past.entry.id);
            } else {
                found.extend(ended(&past));
            }
        }
        for id in self.open.clone() {
            let past = history::by_id(tx, id)?;
            let is_over = past
                .as_ref()
                .is_none_or(|past| past.entry.outcome.is_some());
            if is_over {
                self.open.remove(&id);
                found.extend(past.as_ref().and_then(ended));
            }
        }
        self.runs(tx, &mut found)?;
        for said in words {
            self.said = said.id;
            if let Some(run) = history::run_by_id(tx, &said.stream_id)? {
                found.push(spoken(&run, &said));
            }
        }
        let all = tickets::all(tx)?;
        let waits: Vec<&Ticket> = all
            .iter()
            .filter(|ticket| ticket.state == State::Waiting)
            .collect();
        for ticket in &waits {
            if !self.waiting.contains(&ticket.id) {
                found.push(waiting(ticket));
            }
        }
        self.waiting = waits.iter().map(|ticket| ticket.id).collect();
        self.sorted(tx, found)
    }

    fn runs(&mut self, tx: &ReadTx<'_>, found: &mut Vec<Event>) -> Result<()> {
        for run in history::runs_from(tx, self.run, BATCH)? {
            self.run = run.row;
            if self.known_runs.insert(run.id.clone()) {
                found.push(run_started(&run));
                self.open_runs.insert(run.id);
            }
        }
        for id in self.open_runs.clone() {
            let run = history::run_by_id(tx, &id)?;
            if run.as_ref().is_none_or(|run| run.finished_at.is_some()) {
                self.open_runs.remove(&id);
                found.extend(run.as_ref().and_then(run_ended));
            }
        }
        Ok(())
    }

    /// In the order of their times, those of the named plan, and with the names of their plans.
    fn sorted(&mut self, tx: &ReadTx<'_>, mut found: Vec<Event>) -> Result<Vec<Event>> {
        if let Some(plan) = &self.plan {
            found.retain(|event| event.plan_id == *plan);
        }
        found.sort_by_key(Event::order);
        for event in &found {
            if !self.names.contains_key(&event.plan_id)
                && let Some(plan) = plans::by_id(tx, &event.plan_id)?
            {
                self.names.insert(plan.id, plan.name);
            }
        }
        Ok(found)
    }

    fn tell(&self, cli: &Cli, event: Event) {
        let name = self.names.get(&event.plan_id);
        if cli.json {
            let mut fields = event.fields;
            fields.insert("planId".to_owned(), event.plan_id.into());
            fields.insert("plan".to_owned(), name.cloned().into());
            fields.insert("type".to_owned(), event.kind.into());
            fields.insert("schemaVersion".to_owned(), SCHEMA_VERSION.into());
            cli.ui.json(&cli.stamped_at(event.at, &fields));
            return;
        }
        let plan = name.unwrap_or(&event.plan_id);
        let mut when = clock_time(event.at);
        let width = cli.ui.width();
        if width.is_some_and(|width| width < NARROW) {
            // The day is what a narrow terminal can do without.
            when = when.split(' ').next_back().unwrap_or_default().to_owned();
        }
        let line = format!("{when}  {plan}  {}", event.words);
        cli.ui.line(match width {
            Some(width) => render::truncated(&line, width, cli.ui.signs()),
            None => line,
        });
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn lock_event(at: i64, kind: &str, past: &Past, more: Value, words: &str) -> Event {
    let entry = &past.entry;
    let title = operation::title_of(&entry.reason);
    let mut fields = object(json!({
        "ticket": entry.ticket, "scope": scope(&entry.scope), "branch": entry.branch,
        "reason": entry.reason, "title": title, "actor": entry.actor, "pid": entry.pid,
        "command": entry.command, "fencingToken": entry.granted_at.map(|_| entry.id),
    }));
    fields.extend(object(more));
    let who = who(&entry.actor, entry.pid, &entry.command);
    Event {
        at,
        kind: kind.to_owned(),
        plan_id: entry.plan_id.clone(),
        fields,
        words: format!("{kind:<TYPE_WIDTH$}  {title}, {who}{words}"),
    }
}

fn scope(letter: &str) -> &'static str {
    if letter == "r" { "read" } else { "write" }
}

fn who(actor: &str, pid: u32, command: &str) -> String {
    match locks::actor(actor) {
        "" => format!("pid {pid} ({command})"),
        name => format!("{name}, pid {pid} ({command})"),
    }
}

fn acquired(past: &Past) -> Event {
    let at = past.entry.granted_at.unwrap_or(past.entry.queued_at);
    let waited = (at - past.entry.queued_at).max(0);
    let words = match waited {
        0 => String::new(),
        waited => format!(", waited {}", locks::span(waited)),
    };
    lock_event(
        at,
        "lock.acquired",
        past,
        json!({"waitedMs": waited}),
        &words,
    )
}

fn ended(past: &Past) -> Option<Event> {
    let entry = &past.entry;
    let (at, outcome) = (entry.ended_at?, entry.outcome.as_deref()?);
    let kind = match outcome {
        "released" => "lock.released",
        "cancelled" => "lock.cancelled",
        "timed out" => "lock.timeout",
        "unconfirmed" => "lock.unconfirmed",
        "deadlock" => "lock.deadlock",
        _ => "lock.lost",
    };
    let held = entry.granted_at.map(|granted| (at - granted).max(0));
    let waited = (entry.granted_at.unwrap_or(at) - entry.queued_at).max(0);
    let mut words = match held {
        Some(held) => format!(", held {}", locks::span(held)),
        None => format!(", waited {}", locks::span(waited)),
    };
    if !matches!(outcome, "released" | "timed out" | "cancelled") {
        words = format!("{words}, {outcome}");
    }
    if let Some(by) = &past.ended_by {
        words = format!("{words} by {by}");
    }
    let more = json!({
        "outcome": outcome, "waitedMs": waited, "heldMs": held, "endedBy": past.ended_by,
    });
    Some(lock_event(at, kind, past, more, &words))
}

fn waiting(ticket: &Ticket) -> Event {
    let title = operation::title_of(&ticket.reason);
    Event {
        at: ticket.queued_at,
        kind: "lock.waiting".to_owned(),
        plan_id: ticket.plan_id.clone(),
        fields: object(json!({
            "ticket": ticket.id, "scope": ticket.scope.word(), "branch": ticket.branch,
            "reason": ticket.reason, "title": title, "actor": ticket.actor, "pid": ticket.pid,
            "command": ticket.command,
        })),
        words: format!(
            "{:<TYPE_WIDTH$}  {title}, {}",
            "lock.waiting",
            who(&ticket.actor, ticket.pid, &ticket.command)
        ),
    }
}

fn run_event(at: i64, kind: &str, run: &RunSeen, more: Value, words: &str) -> Event {
    let mut fields = object(json!({
        "run": run.id, "branch": run.branch, "ticket": run.ticket,
    }));
    fields.extend(object(more));
    Event {
        at,
        kind: kind.to_owned(),
        plan_id: run.plan_id.clone(),
        fields,
        words: format!(
            "{kind:<TYPE_WIDTH$}  branch {}, ticket {}{words}",
            run.branch, run.ticket
        ),
    }
}

fn run_started(run: &RunSeen) -> Event {
    run_event(run.started_at, "run.started", run, json!({}), "")
}

fn run_ended(run: &RunSeen) -> Option<Event> {
    let (at, ended) = (run.finished_at?, run.ended.as_deref()?);
    let words = format!(", {ended}");
    Some(run_event(
        at,
        "run.ended",
        run,
        json!({"status": ended}),
        &words,
    ))
}

fn spoken(run: &RunSeen, said: &Said) -> Event {
    let fields: Map<String, Value> = serde_json::from_str(&said.payload).unwrap_or_default();
    let detail = ["text", "path", "message"]
        .iter()
        .find_map(|name| fields.get(*name).and_then(Value::as_str));
    let words = detail.map_or_else(String::new, |detail| {
        format!(
            ": {}",
            render::truncated(detail, WORDS, &crate::ui::UNICODE)
        )
    });
    run_event(said.at, &said.kind, run, fields.into(), &words)
}
