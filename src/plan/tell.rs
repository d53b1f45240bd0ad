//! One run: begin → stream → build → finish, in a straight line.
//!
//! The prompt is recorded (durably) before the reply is asked for, the reply is kept in batches
//! while it arrives, and one fenced transaction at the end completes the conversation, adds the
//! pending changes and moves the branch's head. Whatever stops it in between, what came is kept.

use std::time::Instant;

use anyhow::{Context as _, Result};

use super::ask;
use super::build::{self, BuiltFile, FailedFile, Outcome};
use super::event::{Event, Recorded};
use super::listen::{Reply, listen};
use super::record::Recorder;
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use crate::model::{Chosen, Provider, Request};
use crate::platform::cancel::Reason;
use crate::platform::digest;
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
pub struct Answer(pub(super) Chosen);

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
    let run = begin(turn, permit, &branch, tell, request.as_ref())?;
    let mut recorder = Recorder::new(turn, permit, &run.first, listener);
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
    finish(turn, permit, &branch, &run, reply, outcome, recorder)
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

fn started(turn: &Turn<'_>, prompt: &Message, tell: &Tell, request: Option<&Request>) -> Event {
    let chosen = &tell.answer.0;
    Event::Started {
        number: prompt.number,
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
        prompt_sha256: digest::sha256_hex(prompt.text.as_bytes()),
        prompt_tokens_estimate: request.map_or(0, |request| request.estimate),
    }
}

/// The rows of a run that is under way.
struct Run {
    prompt: Message,
    reply: Message,
    stream: String,
    /// The run's first event, recorded with the prompt.
    first: Recorded,
    since: Instant,
}

fn begin(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    tell: &Tell,
    request: Option<&Request>,
) -> Result<Run> {
    turn.project
        .store
        .write(permit, |tx| {
            let (id, source) = (&branch.id, tell.answer.word());
            let text = tell.prompt.text();
            let prompt = messages::add(tx, id, Role::User, "user", text, State::Complete)?;
            let reply = messages::add(tx, id, Role::Assistant, source, "", State::Open)?;
            let stream = streams::start(tx, id, permit.proof().ticket(), &reply.id)?;
            let first = Recorded::first(&stream, started(turn, &prompt, tell, request));
            streams::add(tx, &stream, &[first.kept()?])?;
            branches::set_status(tx, id, Status::Replying, None)?;
            Ok(Run {
                prompt,
                reply,
                stream,
                first,
                since: Instant::now(),
            })
        })
        .context("recording the prompt")
}

/// Completes the conversation, adds the pending changes and moves the head, all at once.
fn finish(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    run: &Run,
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
    recorder.say(verdict(run, &answer, &reply, &outcome));
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
            exit_code: None,
        };
    }
    let (built, failed) = outcome.counts();
    Event::Completed {
        number: run.prompt.number,
        state: answer.state.word().to_owned(),
        built,
        failed,
        malformed: reply.malformed.len(),
        stopped: reply.stopped.map(|reason| reason.word().to_owned()),
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
