//! One run: begin → stream → build → finish, in a straight line.
//!
//! The prompt is recorded (durably) before the reply is asked for, the reply is kept in batches
//! while it arrives, and one fenced transaction at the end completes the conversation, adds the
//! pending changes and moves the branch's head. Whatever stops it in between, what came is kept.

use std::time::Instant;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::ask;
use super::build::{self, BuiltFile, FailedFile, Outcome};
use super::edits::{Edit, Reason as EditReason};
use super::event::{Event, Recorded};
use super::record::{BATCH_EVERY, Recorder};
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use crate::model::{self, Chosen, Delta, Finish, Kind, ModelError, Provider, Request};
use crate::platform::cancel::Reason;
use crate::platform::{digest, threads};
use crate::project::{Turn, tree};
use crate::store::branches::{self, Branch, Status};
use crate::store::messages::{self, Message, Role, State};
use crate::store::tickets::{Permit as _, WritePermit};
use crate::store::{WriteTx, history, plans, streams};

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
    pub fn new(chosen: Chosen, prompt: &Prompt) -> Result<Self> {
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

/// Runs `tell` under its turn, reporting to `listener` what is stored, as it goes.
///
/// A cancelled run keeps what came of the reply and returns it as [`State::Stopped`]; a run whose
/// lock was lost writes nothing more and fails with [`crate::store::StoreError::LockLost`].
pub fn tell(
    turn: &Turn<'_>,
    permit: &WritePermit,
    tell: &Tell,
    listener: &mut dyn FnMut(Recorded),
) -> Result<Told> {
    let branch = turn.branch(&tell.branch)?;
    let request = request(turn, &branch, tell)?;
    let run = begin(turn, permit, &branch, tell)?;
    let mut recorder = Recorder::new(turn, permit, run.stream.clone(), listener);
    recorder.say(started(turn, &run, tell, request.as_ref()));
    let reply = match listen(turn, tell, request.as_ref(), &mut recorder) {
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
        recorder.say(event);
    }
    finish(turn, permit, &branch, run, reply, outcome, recorder)
}

/// What is asked, as the branch stands; `None` if no one is asked anything.
fn request(turn: &Turn<'_>, branch: &Branch, tell: &Tell) -> Result<Option<Request>> {
    if tell.answer.0.provider == Provider::Literal {
        return Ok(None);
    }
    let prompt = tell.prompt.text();
    let lines = ask::lines(turn.project, turn.plan_id, &branch.id, prompt, None)?;
    let plan = turn
        .project
        .store
        .read(|tx| plans::by_id(tx, turn.plan_id))?;
    Ok(Some(Request {
        plan: plan.map_or_else(String::new, |plan| plan.name),
        branch: branch.name.clone(),
        ..ask::request(lines)
    }))
}

fn started(turn: &Turn<'_>, run: &Run, tell: &Tell, request: Option<&Request>) -> Event {
    let chosen = &tell.answer.0;
    Event::Started {
        number: run.prompt.number,
        waited_ms: u64::try_from(turn.waited.as_millis()).unwrap_or(u64::MAX),
        provider: chosen.provider.word().to_owned(),
        model: match &chosen.provider {
            Provider::Endpoint(endpoint) => Some(endpoint.model.clone()),
            Provider::Literal
            | Provider::ReplyFile(_)
            | Provider::ReplyInput
            | Provider::Command(_) => None,
        },
        provider_source: Some(chosen.source.clone()),
        prompt_sha256: digest::sha256_hex(run.prompt.text.as_bytes()),
        prompt_tokens_estimate: request.map_or(0, |request| request.estimate),
    }
}

/// The rows of a run that is under way.
struct Run {
    prompt: Message,
    reply: Message,
    stream: String,
    since: Instant,
}

/// What was heard of a reply.
struct Reply {
    text: String,
    source: String,
    state: State,
    edits: Vec<Edit>,
    malformed: Vec<Malformed>,
    stopped: Option<Reason>,
    failure: Option<ModelError>,
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
                since: Instant::now(),
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
    tell: &Tell,
    request: Option<&Request>,
    recorder: &mut Recorder<'_>,
) -> Result<Reply> {
    let mut ear = Ear {
        parser: ReplyParser::new(),
        edits: Vec::new(),
        malformed: Vec::new(),
    };
    recorder.store()?;
    let Some(request) = request else {
        ear.hear(tell.prompt.text(), recorder);
        let (edits, malformed) = ear.end(Ending::Complete, recorder);
        return Ok(Reply {
            text: String::new(),
            source: "literal".to_owned(),
            state: State::Complete,
            edits,
            malformed,
            stopped: None,
            failure: None,
        });
    };
    let deltas = model::stream(&tell.answer.0, request, &turn.cancel)?;
    let mut text = String::new();
    let (over, failure) = loop {
        if turn.cancel.is_set() {
            break (None, None);
        }
        match next_delta(&deltas) {
            Ok(Delta::Text(more)) => {
                text.push_str(&more);
                recorder.say(Event::Text { text: more.clone() });
                ear.hear(&more, recorder);
            }
            Ok(Delta::Thinking(text)) => recorder.say(Event::Thinking { text }),
            Ok(Delta::Phase(phase)) => recorder.say(phase.into()),
            Ok(Delta::Finished(finished)) => break (Some(finished), None),
            Ok(Delta::Failed(error)) => break (None, Some(error)),
            Err(RecvTimeoutError::Timeout) => {}
            // The reader ends without a word only when it was called off.
            Err(RecvTimeoutError::Disconnected) => break (None, None),
        }
        recorder.keep_up()?;
    };
    let state = ear.state(over.as_ref().map(|over| over.finish), failure.as_ref());
    if text.trim().is_empty() && state == State::Complete {
        return Err(TellError::EmptyReply.into());
    }
    let ending = match state {
        State::Complete => Ending::Complete,
        State::Open
        | State::Stopped
        | State::Truncated
        | State::Refused
        | State::Error
        | State::Interrupted => Ending::CutOff,
    };
    let (mut edits, malformed) = ear.end(ending, recorder);
    if state == State::Refused {
        edits.clear();
    }
    recorder.say(Event::Replied {
        finish: finish_word(state).to_owned(),
        usage: over.as_ref().and_then(|over| over.usage),
    });
    let source = over.map_or_else(|| tell.answer.word().to_owned(), |over| over.provenance);
    Ok(Reply {
        text,
        source,
        state,
        edits,
        malformed,
        stopped: turn.cancel.reason(),
        failure,
    })
}

fn finish_word(state: State) -> &'static str {
    match state {
        State::Open | State::Complete => "stop",
        State::Truncated => "length",
        State::Refused => "content_filter",
        State::Stopped => "cancelled",
        State::Error | State::Interrupted => "error",
    }
}

/// Turns text into edits as it arrives.
struct Ear {
    parser: ReplyParser,
    edits: Vec<Edit>,
    malformed: Vec<Malformed>,
}

impl Ear {
    fn hear(&mut self, text: &str, recorder: &mut Recorder<'_>) {
        let heard = self.parser.push(text);
        self.take(heard, recorder);
    }

    /// What a reply that ended so is (see [`Finish`]).
    fn state(&self, finish: Option<Finish>, failure: Option<&ModelError>) -> State {
        match (finish, failure.map(|failure| failure.kind)) {
            // Complete without its source's word, but not if it breaks off in an edit.
            (Some(Finish::UnmarkedEnd), _) if self.parser.is_in_block() => State::Truncated,
            (Some(Finish::Stop | Finish::UnmarkedEnd), _) => State::Complete,
            (Some(Finish::Length), _) | (None, Some(Kind::Truncated)) => State::Truncated,
            (Some(Finish::Refused), _) | (None, Some(Kind::Refused)) => State::Refused,
            (None, Some(_)) => State::Error,
            (None, None) => State::Stopped,
        }
    }

    fn end(mut self, ending: Ending, recorder: &mut Recorder<'_>) -> (Vec<Edit>, Vec<Malformed>) {
        let heard = std::mem::take(&mut self.parser).finish(ending);
        self.take(heard, recorder);
        // A block that was misread or cut off may have swallowed part of another of the same file,
        // or belong to it: nothing of that file is built.
        let is_suspect = |edit: &Edit| {
            self.malformed
                .iter()
                .any(|found| found.path.as_ref() == Some(&edit.path))
        };
        self.edits.retain(|edit| !is_suspect(edit));
        // What the cut left open is no mistake of the reply's.
        if ending == Ending::CutOff {
            self.malformed
                .retain(|found| found.reason != EditReason::Incomplete);
        }
        (self.edits, self.malformed)
    }

    fn take(&mut self, heard: Vec<ReplyEvent>, recorder: &mut Recorder<'_>) {
        for event in heard {
            match event {
                // It is in the text as it came.
                ReplyEvent::Prose(_) => {}
                ReplyEvent::FileStarted { path, format } => {
                    recorder.say(Event::FileStarted { path, format });
                }
                ReplyEvent::FileLines { path, lines } => {
                    recorder.say(Event::FileLines { path, lines });
                }
                ReplyEvent::Edit(edit) => self.edits.push(edit),
                ReplyEvent::Malformed(found) => {
                    recorder.say(Event::Warning {
                        code: "malformed".to_owned(),
                        message: found.message.clone(),
                        line: Some(found.line),
                        path: found.path.clone(),
                    });
                    self.malformed.push(found);
                }
            }
        }
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
    mut recorder: Recorder<'_>,
) -> Result<Told> {
    let mut answer = Message {
        source: reply.source.clone(),
        text: reply.text.clone(),
        ..run.reply.clone()
    };
    answer.state = reply.state;
    answer.completed_at = Some(crate::platform::clock::wall_ms());
    let mut files = vec![tree::message(&run.prompt), tree::message(&answer)];
    files.extend(outcome.tree_changes());
    let (status, ended) = match reply.state {
        State::Stopped => (Status::Stopped, "stopped"),
        State::Error => (Status::Error, "error"),
        State::Open | State::Complete | State::Truncated | State::Refused | State::Interrupted => {
            (Status::Ready, "ready")
        }
    };
    let error = reply.failure.as_ref().map(|error| format!("{error:#}"));
    let report = report(&reply.malformed, &outcome);
    recorder.say(verdict(&run, &answer, &reply, &outcome));
    let last_words = recorder.unstored_rows()?;
    turn.advance(
        permit,
        branch,
        &files,
        &headline(&run.prompt, &outcome),
        |tx| {
            messages::complete(tx, &answer)?;
            outcome.record(tx)?;
            streams::add(tx, recorder.run(), &last_words)?;
            streams::finish(tx, &run.stream, ended, Some(&report))?;
            branches::set_status(tx, &branch.id, status, error.as_deref())
        },
    )?;
    recorder.tell();
    if let Some(failure) = reply.failure {
        return Err(anyhow::Error::from(failure).context(TellError::ReplyFailed));
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

/// The run's last event.
fn verdict(run: &Run, answer: &Message, reply: &Reply, outcome: &Outcome) -> Event {
    if let Some(failure) = &reply.failure {
        return Event::Failed {
            kind: failure.kind.word().to_owned(),
            message: failure.message.clone(),
            hint: failure.hint.clone(),
            partial: !answer.text.is_empty(),
        };
    }
    let (built, failed) = outcome.counts();
    Event::Completed {
        number: run.prompt.number,
        state: answer.state.word().to_owned(),
        built,
        failed,
        malformed: reply.malformed.len(),
        duration_ms: u64::try_from(run.since.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
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
