//! Starts lines when their turn has come, and reports each as it ends.
//!
//! One thread decides and prints; the lines run on threads of their own and send back how they
//! ended. Nothing waits for anything here but for the end of a line.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossbeam_channel::Sender;

use super::super::exit::ExitCode;
use super::super::session::Cli;
use super::Together;
use super::lines::Line;
use super::order::{self, Order};
use super::outcome::{self, LineDocument, Status, Tally};
use crate::platform::{log, panic, threads};
use crate::store::tickets::Scope;
use crate::ui::{Bar, Style, Text, render};
use crate::workers::{GROUP_MAX, Place, Queues};

/// So many lines run at a time.
const RUNNING_MAX: usize = 2 * GROUP_MAX;
/// So much of a line is shown when it has ended.
const SHOWN_COLUMNS: usize = 60;

/// What a failed line means to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Nothing.
    KeepGoing,
    /// No more lines are started.
    FailFast,
}

/// How a line ended, and what it printed.
struct Ended {
    /// Its index.
    index: usize,
    code: ExitCode,
    panicked: bool,
    took: Duration,
    output: Option<[File; 2]>,
}

/// Runs `lines`; returns what became of them, and the worst exit code.
pub(super) fn run(
    cli: &Cli,
    together: &Arc<Together>,
    lines: &[Line],
    policy: Policy,
) -> (Tally, u8) {
    let progress = cli.ui.progress();
    let mut batch = Batch {
        cli,
        together,
        lines,
        policy,
        next: 0,
        queues: Queues::default(),
        ready: VecDeque::new(),
        plans: vec![None; lines.len()],
        reported: vec![false; lines.len()],
        running: 0,
        is_alone: false,
        is_ending: false,
        codes: Vec::new(),
        tally: Tally::default(),
        bar: progress.bar(lines.len() as u64, "lines"),
    };
    std::thread::scope(|scope| {
        // Bounded by the lines that run: none of them ever waits to be heard.
        let (ended, heard) = crossbeam_channel::bounded(RUNNING_MAX);
        loop {
            batch.admit();
            while let Some(index) = batch.start_next() {
                let (line, ended) = (&lines[index], ended.clone());
                let thread = std::thread::Builder::new().name(format!("line {}", line.number));
                let started = thread.spawn_scoped(scope, {
                    let ended = ended.clone();
                    move || run_line(cli, together, line, index, &ended)
                });
                if let Err(error) = started {
                    batch.cannot_start(index, &error);
                }
            }
            if batch.running == 0 {
                break;
            }
            let _waits = threads::waits("the end of a line");
            // This function keeps a sender, so somebody always can answer.
            if let Ok(ended) = heard.recv() {
                batch.ended(&ended);
            }
        }
    });
    batch.report_not_run();
    (batch.tally, outcome::worst(batch.codes.into_iter()))
}

struct Batch<'b> {
    cli: &'b Cli,
    together: &'b Arc<Together>,
    lines: &'b [Line],
    policy: Policy,
    /// The first line that is in no queue yet.
    next: usize,
    queues: Queues<usize>,
    /// Lines whose turn has come.
    ready: VecDeque<usize>,
    /// The plan in whose line each one stands.
    plans: Vec<Option<String>>,
    reported: Vec<bool>,
    running: usize,
    /// A line that must be alone runs.
    is_alone: bool,
    is_ending: bool,
    codes: Vec<u8>,
    tally: Tally,
    bar: Bar,
}

impl Batch<'_> {
    /// Puts lines into their queues, up to the next that must be alone.
    fn admit(&mut self) {
        self.is_ending |= self.together.cancel.is_set();
        while !self.is_ending && !self.is_alone && self.next < self.lines.len() {
            let index = self.next;
            match order::of(&self.lines[index].command) {
                Order::Alone => {
                    if self.running > 0 || !self.ready.is_empty() || self.queues.plans() > 0 {
                        return;
                    }
                    self.is_alone = true;
                    self.ready.push_back(index);
                }
                Order::AtOnce => self.ready.push_back(index),
                Order::OfPlan(scope) => self.enqueue(index, scope, Wanted::Branch),
                Order::OfWholePlan => self.enqueue(index, Scope::Read, Wanted::Root),
            }
            self.next += 1;
        }
    }

    fn enqueue(&mut self, index: usize, scope: Scope, wanted: Wanted) {
        match self.place(index, scope, wanted) {
            Ok(place) => {
                let plan = place.plan_id.clone();
                self.plans[index] = Some(plan.clone());
                self.queues.push(place, index);
                self.ready.extend(self.queues.next_group(&plan));
            }
            // It has no plan: it says so itself.
            Err(_) => self.ready.push_back(index),
        }
    }

    /// The plan and branch that are selected for a line, now that all before it that could change
    /// that are over.
    fn place(&self, index: usize, scope: Scope, wanted: Wanted) -> Result<Place> {
        let global = &self.lines[index].global;
        let session = self.cli.session();
        let project = self.together.open(self.cli)?.beside(
            global.plan.clone().or(session.plan),
            global.branch.clone().or(session.branch),
        )?;
        let selected = project.selected()?;
        Ok(Place {
            plan_id: selected.plan.id,
            scope,
            branch: (wanted == Wanted::Branch).then_some(selected.branch.name),
        })
    }

    /// The next line that is to be started now.
    fn start_next(&mut self) -> Option<usize> {
        self.is_ending |= self.together.cancel.is_set();
        if self.is_ending || self.running >= RUNNING_MAX {
            return None;
        }
        let index = self.ready.pop_front()?;
        self.running += 1;
        Some(index)
    }

    fn cannot_start(&mut self, index: usize, error: &std::io::Error) {
        let number = self.lines[index].number;
        self.cli
            .ui
            .error(format!("line {number} cannot be started: {error}"));
        self.ended(&Ended {
            index,
            code: ExitCode::Failed,
            panicked: false,
            took: Duration::ZERO,
            output: None,
        });
    }

    fn ended(&mut self, ended: &Ended) {
        self.running -= 1;
        self.is_alone = false;
        if let Some(plan) = self.plans[ended.index].take() {
            self.queues.finished(&plan);
            self.ready.extend(self.queues.next_group(&plan));
        }
        let code = ended.code.code();
        if code != 0 {
            self.codes.push(code);
            self.is_ending |= self.policy == Policy::FailFast;
        }
        let status = status(ended);
        self.tally.add(status);
        self.reported[ended.index] = true;
        self.report(ended, status);
        self.bar.advance();
    }

    fn report(&self, ended: &Ended, status: Status) {
        let line = &self.lines[ended.index];
        let whole = |file: &File| read_whole(file).context("reading what a line printed");
        let output = ended
            .output
            .as_ref()
            .map(|[stdout, stderr]| anyhow::Ok((whole(stdout)?, whole(stderr)?)));
        let (stdout, stderr) = match output.transpose() {
            Ok(output) => output.unwrap_or_default(),
            Err(error) => {
                self.cli
                    .ui
                    .error(format!("line {}: {error:#}", line.number));
                Default::default()
            }
        };
        let code = ended.code.code();
        if self.cli.json {
            let took_ms = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
            let document = LineDocument::ended(line, (status, code), took_ms, &stdout, &stderr);
            self.cli.ui.json(&self.cli.stamped(&document));
            return;
        }
        let signs = self.cli.ui.signs();
        let shown = render::truncated(&line.typed(), SHOWN_COLUMNS, signs);
        let took = format!("{:.1} s", ended.took.as_secs_f64());
        match status {
            Status::Done => self.cli.ui.note(
                Text::styled(Style::Green, signs.ok)
                    .plain(format!(" line {}: {shown} ({took})", line.number)),
            ),
            Status::Failed | Status::Cancelled | Status::Panicked | Status::NotRun => {
                let (number, became) = (line.number, status.word());
                self.cli.ui.error(format!(
                    "line {number}: {shown}: {became}, exit {code} ({took})"
                ));
            }
        }
        self.cli.ui.pass_on(&stdout, &stderr);
    }

    /// The lines that were never started, in their order.
    fn report_not_run(&mut self) {
        let left: Vec<&Line> = self
            .lines
            .iter()
            .zip(&self.reported)
            .filter_map(|(line, reported)| (!reported).then_some(line))
            .collect();
        left.iter().for_each(|_| self.tally.add(Status::NotRun));
        if self.cli.json {
            for line in left {
                let document = LineDocument::not_run(line);
                self.cli.ui.json(&self.cli.stamped(&document));
            }
        } else if !left.is_empty() {
            let numbers = outcome::ranges(left.iter().map(|line| line.number));
            let word = if left.len() == 1 { "line" } else { "lines" };
            self.cli.ui.error(format!("not run: {word} {numbers}"));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Branch,
    Root,
}

fn status(ended: &Ended) -> Status {
    match ended.code.code() {
        _ if ended.panicked => Status::Panicked,
        0 => Status::Done,
        // HUP, INT, TERM or `stop`; a line's command passes its own on.
        129 | 130 | 143 => Status::Cancelled,
        _ => Status::Failed,
    }
}

/// All of what was written to `file`, whoever's position in it is where.
fn read_whole(file: &File) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// One line, on its own thread, from its surroundings to its exit code.
fn run_line(cli: &Cli, together: &Arc<Together>, line: &Line, index: usize, ended: &Sender<Ended>) {
    let begun = Instant::now();
    log::queue(|| format!("line {} begins", line.number));
    let outcome = panic::contain(|| -> Result<(ExitCode, bool, [File; 2])> {
        let new = || tempfile::tempfile().context("making a place for what a line prints");
        let output = [new()?, new()?];
        let [stdout, stderr] = &output;
        let cli = cli.line(&line.global, line.typed(), together, [stdout, stderr])?;
        let result = super::super::dispatch(&cli, &line.command);
        let code = super::super::conclude(&cli, result);
        Ok((code, cli.has_panicked(), output))
    });
    let (code, panicked, output) = match outcome {
        Ok(Ok((code, panicked, output))) => (code, panicked, Some(output)),
        Ok(Err(error)) => {
            cli.ui.error(format!("line {}: {error:#}", line.number));
            (ExitCode::Failed, false, None)
        }
        Err(panicked) => {
            log::panicked(&panicked);
            cli.ui.error(format!("line {}: {panicked}", line.number));
            (ExitCode::Failed, true, None)
        }
    };
    let took = begun.elapsed();
    log::queue(|| {
        format!(
            "line {} ends: exit {} after {took:?}",
            line.number,
            code.code()
        )
    });
    // There is room for every line that runs.
    ended
        .send(Ended {
            index,
            code,
            panicked,
            took,
            output,
        })
        .ok();
}
