//! One run: begin → stream → build → finish, in a straight line.
//!
//! The prompt is recorded (durably) before the reply is asked for, the reply is kept in batches
//! while it arrives, and one fenced transaction at the end completes the conversation, adds the
//! pending changes and moves the branch's head. Whatever stops it in between, what came is kept.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::ask;
use super::build::{self, BuiltFile, FailedFile, Outcome};
use super::edits::{Edit, Reason as EditReason};
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use crate::model::{self, Chosen, Delta, Finish, Kind, Provider, Request};
use crate::platform::cancel::Reason;
use crate::platform::threads;
use crate::project::{Turn, tree};
use crate::store::branches::{self, Branch, Status};
use crate::store::messages::{self, Message, Role, State};
use crate::store::tickets::{Permit as _, WritePermit};
use crate::store::{WriteTx, history, streams};

/// Text is stored at least this often while a reply arrives.
const BATCH_EVERY: Duration = Duration::from_millis(100);
/// And at least every so many bytes.
const BATCH_BYTES: usize = 4096;

/// What a person asked for; never blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt(String);

impl Prompt {
    /// Takes a prompt. Fails with [`TellError::EmptyPrompt`] if there is nothing in it.
    pub fn new(text: String) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(TellError::EmptyPrompt.into());
        }
        Ok(Self(text))
    }

    /// The text as given.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Where the reply comes from, checked before a turn is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(Chosen);

impl Answer {
    /// Fails with [`TellError::NoModel`] if no model is configured and the message itself holds no
    /// edit: then nothing is stored and nobody is made to wait.
    pub fn new(chosen: impl Into<Chosen>, prompt: &Prompt) -> Result<Self> {
        let chosen = chosen.into();
        if chosen.provider == Provider::Literal {
            let mut parser = ReplyParser::new();
            let mut events = parser.push(prompt.text());
            events.extend(parser.finish(Ending::Complete));
            let any = events
                .iter()
                .any(|event| matches!(event, ReplyEvent::Edit(_) | ReplyEvent::Malformed(_)));
            if !any {
                return Err(TellError::NoModel.into());
            }
        }
        Ok(Self(chosen))
    }

    /// The provider's word.
    pub fn word(&self) -> &'static str {
        self.0.provider.word()
    }
}

/// Why a tell came to nothing; callers branch on it.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The prompt was blank.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// No model is configured, and the message holds no edit to take.
    #[error("no model is configured, and the message holds no edit")]
    NoModel,
    /// The reply ended without a word.
    #[error("the reply is empty")]
    EmptyReply,
    /// The source of the reply failed; what came of it is kept.
    #[error("the reply could not be read to its end; what came of it is kept")]
    ReplyFailed,
}

/// What is to be told, to which branch.
#[derive(Debug, Clone)]
pub struct Tell {
    /// The branch's name.
    pub branch: String,
    /// What was asked for.
    pub prompt: Prompt,
    /// Where the reply comes from.
    pub answer: Answer,
}

/// Something that happened in a run, for people and for JSON.
#[derive(Debug, Clone)]
pub enum Event {
    /// The turn was taken, the prompt is recorded.
    Started {
        /// Milliseconds waited for the turn.
        waited_ms: u128,
    },
    /// More of the reply's prose (whole lines).
    Prose(String),
    /// An edit to this path begins in the reply.
    FileStarted(String),
    /// A file was built.
    Built(BuiltFile),
    /// A file could not be built.
    Failed(FailedFile),
    /// A block that could not be read.
    Malformed(Malformed),
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Told {
    /// How the reply ended.
    pub state: State,
    /// The number of the prompt in the conversation.
    pub number: i64,
    /// What was built.
    pub built: Vec<BuiltFile>,
    /// What could not be built.
    pub failed: Vec<FailedFile>,
    /// Blocks that could not be read.
    pub malformed: Vec<Malformed>,
    /// Why it was stopped, if it was.
    pub stopped: Option<Reason>,
}

impl Told {
    /// Whether every edit of the reply is pending now.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty() && self.malformed.is_empty()
    }
}

/// Runs `tell` under its turn, reporting to `events` as it goes.
///
/// A cancelled run keeps what came of the reply and returns it as [`State::Stopped`]; a run whose
/// lock was lost writes nothing more and fails with [`crate::store::StoreError::LockLost`].
pub fn tell(
    turn: &Turn<'_>,
    permit: &WritePermit,
    tell: &Tell,
    events: &mut dyn FnMut(Event),
) -> Result<Told> {
    let branch = turn.branch(&tell.branch)?;
    let run = begin(turn, permit, &branch, tell)?;
    events(Event::Started {
        waited_ms: turn.waited.as_millis(),
    });
    let reply = match listen(turn, permit, &run, tell, events) {
        Ok(reply) => reply,
        Err(error) => {
            abandon(turn, permit, &branch, &run).ok();
            return Err(error);
        }
    };
    if turn.cancel.reason() == Some(Reason::LockLost) {
        let proof = permit.proof();
        let store = &turn.project.store;
        let by = store.read(|tx| history::forced_by(tx, proof.fence()));
        return Err(history::lost(proof.ticket(), by.ok().flatten().as_deref()));
    }
    turn.project.store.write(permit, |tx| {
        branches::set_status(tx, &branch.id, Status::Building, None)
    })?;
    let outcome = build::build(turn, &branch, &run.reply.id, &reply.edits)?;
    for event in outcome.events() {
        events(event);
    }
    finish(turn, permit, &branch, run, reply, outcome)
}

/// The rows of a run that is under way.
struct Run {
    prompt: Message,
    reply: Message,
    stream: String,
}

/// What was heard of a reply.
struct Reply {
    text: String,
    source: String,
    state: State,
    edits: Vec<Edit>,
    malformed: Vec<Malformed>,
    stopped: Option<Reason>,
    failure: Option<anyhow::Error>,
}

fn begin(turn: &Turn<'_>, permit: &WritePermit, branch: &Branch, tell: &Tell) -> Result<Run> {
    turn.project
        .store
        .write(permit, |tx| {
            let (id, source) = (&branch.id, tell.answer.word());
            let text = tell.prompt.text();
            let prompt = messages::add(tx, id, Role::User, "user", text, State::Complete)?;
            let reply = messages::add(tx, id, Role::Assistant, source, "", State::Open)?;
            let stream = streams::start(tx, id, permit.proof().ticket(), &reply.id)?;
            branches::set_status(tx, id, Status::Replying, None)?;
            Ok(Run {
                prompt,
                reply,
                stream,
            })
        })
        .context("recording the prompt")
}

/// What comes of the reply within a batch's time.
fn next_delta(deltas: &Receiver<Delta>) -> std::result::Result<Delta, RecvTimeoutError> {
    let _waits = threads::waits("more of the reply");
    deltas.recv_timeout(BATCH_EVERY)
}

/// Listens to the reply to its end, or until it is stopped.
fn listen(
    turn: &Turn<'_>,
    permit: &WritePermit,
    run: &Run,
    tell: &Tell,
    events: &mut dyn FnMut(Event),
) -> Result<Reply> {
    let mut ear = Ear {
        parser: ReplyParser::new(),
        edits: Vec::new(),
        malformed: Vec::new(),
    };
    if tell.answer.0.provider == Provider::Literal {
        ear.hear(tell.prompt.text(), &mut |event| {
            // The prose is the user's own message: nobody reads it back to them.
            if !matches!(event, Event::Prose(_)) {
                events(event);
            }
        });
        let (edits, malformed, _) = ear.end(Ending::Complete, &mut |_| {});
        let (text, source) = (String::new(), "literal".to_owned());
        let state = State::Complete;
        return Ok(Reply {
            text,
            source,
            state,
            edits,
            malformed,
            stopped: None,
            failure: None,
        });
    }
    let (prompt, before) = (&run.prompt, Some(run.prompt.number));
    let lines = ask::lines(
        turn.project,
        turn.plan_id,
        &prompt.branch_id,
        &prompt.text,
        before,
    )?;
    let request = Request {
        branch: tell.branch.clone(),
        ..ask::request(lines)
    };
    let deltas = model::stream(&tell.answer.0, &request, &turn.cancel)?;
    let mut batch = Batch {
        stored: 0,
        last: Instant::now(),
    };
    let mut text = String::new();
    let mut finish = Finish::Stop;
    let (mut state, source, failure) = loop {
        if turn.cancel.is_set() {
            break (State::Stopped, None, None);
        }
        match next_delta(&deltas) {
            Ok(Delta::Text(more)) => {
                ear.hear(&more, events);
                text.push_str(&more);
            }
            // Streams and phases are shown by the terminal that will follow them.
            Ok(Delta::Thinking(_) | Delta::Phase(_)) => {}
            Ok(Delta::Finished(finished)) => {
                finish = finished.finish;
                let state = match finish {
                    Finish::Stop | Finish::UnmarkedEnd => State::Complete,
                    Finish::Length | Finish::Refused => State::Truncated,
                };
                break (state, Some(finished.provenance), None);
            }
            Ok(Delta::Failed(error)) => {
                let state = match error.kind {
                    Kind::Truncated => State::Truncated,
                    _ => State::Error,
                };
                break (state, None, Some(error));
            }
            Err(RecvTimeoutError::Timeout) => {}
            // The reader ends without a word only when it was called off.
            Err(RecvTimeoutError::Disconnected) => break (State::Stopped, None, None),
        }
        batch.store(turn, permit, run, &text)?;
    };
    if turn.cancel.is_set() {
        model::wait_for_end(&tell.answer.0, &deltas);
    }
    let is_empty = text.trim().is_empty();
    if is_empty && state == State::Complete {
        return Err(TellError::EmptyReply.into());
    }
    // An end that nobody marked is believed only if it leaves no block open.
    let ending = if state == State::Complete && finish == Finish::Stop {
        Ending::Complete
    } else {
        Ending::CutOff
    };
    let (mut edits, malformed, is_open) = ear.end(ending, events);
    if finish == Finish::UnmarkedEnd && is_open {
        state = State::Truncated;
    }
    if finish == Finish::Refused {
        edits.clear();
    }
    let failure = failure.map(|error| {
        let is_partial = error.partial || error.kind == Kind::Source;
        let error = anyhow::Error::from(error);
        if is_partial {
            error.context(TellError::ReplyFailed)
        } else {
            error
        }
    });
    let source = source.unwrap_or_else(|| tell.answer.word().to_owned());
    let stopped = turn.cancel.reason();
    Ok(Reply {
        text,
        source,
        state,
        edits,
        malformed,
        stopped,
        failure,
    })
}

/// Turns text into edits as it arrives.
struct Ear {
    parser: ReplyParser,
    edits: Vec<Edit>,
    malformed: Vec<Malformed>,
}

impl Ear {
    fn hear(&mut self, text: &str, events: &mut dyn FnMut(Event)) {
        let heard = self.parser.push(text);
        self.take(heard, events);
    }

    /// The edits, the blocks that could not be read, and whether the end left one open.
    fn end(
        mut self,
        ending: Ending,
        events: &mut dyn FnMut(Event),
    ) -> (Vec<Edit>, Vec<Malformed>, bool) {
        let heard = std::mem::take(&mut self.parser).finish(ending);
        self.take(heard, events);
        let is_incomplete = |found: &Malformed| found.reason == EditReason::Incomplete;
        let is_open = self.malformed.iter().any(is_incomplete);
        // A block that the cut left open is no mistake of the reply's.
        if ending == Ending::CutOff {
            self.malformed
                .retain(|found| found.reason != EditReason::Incomplete);
        }
        // A block that was misread may have swallowed part of another of the same file: nothing of
        // that file is built.
        let is_suspect = |edit: &Edit| {
            self.malformed
                .iter()
                .any(|found| found.path.as_ref() == Some(&edit.path))
        };
        self.edits.retain(|edit| !is_suspect(edit));
        (self.edits, self.malformed, is_open)
    }

    fn take(&mut self, heard: Vec<ReplyEvent>, events: &mut dyn FnMut(Event)) {
        for event in heard {
            match event {
                ReplyEvent::Prose(text) => events(Event::Prose(text)),
                ReplyEvent::FileStarted { path, .. } => events(Event::FileStarted(path)),
                ReplyEvent::FileLines { .. } => {}
                ReplyEvent::Edit(edit) => self.edits.push(edit),
                ReplyEvent::Malformed(found) => {
                    events(Event::Malformed(found.clone()));
                    self.malformed.push(found);
                }
            }
        }
    }
}

/// Stores the reply's text as it grows.
struct Batch {
    stored: usize,
    last: Instant,
}

impl Batch {
    fn store(
        &mut self,
        turn: &Turn<'_>,
        permit: &WritePermit,
        run: &Run,
        text: &str,
    ) -> Result<()> {
        let new = &text[self.stored..];
        let is_due = new.len() >= BATCH_BYTES || self.last.elapsed() >= BATCH_EVERY;
        if new.is_empty() || !is_due {
            return Ok(());
        }
        turn.project
            .store
            .note(permit, |tx| streams::add_text(tx, &run.stream, new))?;
        self.stored = text.len();
        self.last = Instant::now();
        Ok(())
    }
}

/// Completes the conversation, adds the pending changes and moves the head, all at once.
fn finish(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    run: Run,
    reply: Reply,
    outcome: Outcome,
) -> Result<Told> {
    let mut answer = Message {
        source: reply.source,
        text: reply.text,
        ..run.reply
    };
    answer.state = reply.state;
    answer.completed_at = Some(crate::platform::clock::wall_ms());
    let mut files = vec![tree::message(&run.prompt), tree::message(&answer)];
    files.extend(outcome.tree_changes());
    let (status, ended) = match reply.state {
        State::Stopped => (Status::Stopped, "stopped"),
        State::Error => (Status::Error, "error"),
        State::Open | State::Complete | State::Truncated | State::Interrupted => {
            (Status::Ready, "ready")
        }
    };
    let error = reply.failure.as_ref().map(|error| format!("{error:#}"));
    let report = report(&reply.malformed, &outcome);
    turn.advance(
        permit,
        branch,
        &files,
        &headline(&run.prompt, &outcome),
        |tx| {
            messages::complete(tx, &answer)?;
            outcome.record(tx)?;
            streams::finish(tx, &run.stream, ended, Some(&report))?;
            branches::set_status(tx, &branch.id, status, error.as_deref())
        },
    )?;
    if let Some(failure) = reply.failure {
        return Err(failure);
    }
    let (built, failed) = outcome.into_files();
    Ok(Told {
        state: reply.state,
        number: run.prompt.number,
        built,
        failed,
        malformed: reply.malformed,
        stopped: reply.stopped,
    })
}

/// Takes back a run that came to nothing: nothing of it stays in the conversation.
fn abandon(turn: &Turn<'_>, permit: &WritePermit, branch: &Branch, run: &Run) -> Result<()> {
    turn.project.store.write(permit, |tx: &WriteTx<'_>| {
        messages::withdraw(tx, &[&run.reply.id, &run.prompt.id])?;
        streams::withdraw(tx, &run.stream)?;
        branches::set_status(tx, &branch.id, branch.status, branch.error.as_deref())
    })
}

/// The version's message: what a person reads in `log`.
fn headline(prompt: &Message, outcome: &Outcome) -> String {
    let first = prompt
        .text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let short: String = first.trim().chars().take(60).collect();
    let (built, failed) = outcome.counts();
    let mut line = format!("Tell #{}: {short}\n\n{built} built", prompt.number);
    if failed > 0 {
        line.push_str(&format_args!(", {failed} failed").to_string());
    }
    line
}

/// What `status` shows of the run until the next one starts, as JSON.
fn report(malformed: &[Malformed], outcome: &Outcome) -> String {
    let (built, failed) = outcome.counts();
    let errors: Vec<String> = malformed
        .iter()
        .map(|found| format!("line {}: {}", found.line, found.message))
        .chain(outcome.failures())
        .collect();
    serde_json::json!({"built": built, "failed": failed, "errors": errors}).to_string()
}
