//! The rows of a run that is under way, and how they come to their end.

use std::time::Instant;

use anyhow::{Context as _, Error, Result};

use super::build::{self, Due};
use super::due;
use super::event::{Event, Recorded};
use super::listen::Reply;
use super::outcome::Outcome;
use super::record::Recorder;
use super::report::Tally;
use super::tell::{Task, Tell, Told};
use crate::model::Provider;
use crate::platform::cancel::Reason;
use crate::platform::{clock, digest};
use crate::project::{Turn, tree};
use crate::repo::TreeChange;
use crate::store::branches::{self, Branch, Status};
use crate::store::messages::{self, Kind, Message, NewMessage, Role, State};
use crate::store::summaries::{self, Summary};
use crate::store::tickets::{Permit as _, WritePermit};
use crate::store::{WriteTx, history, streams};

/// What a run begins with.
pub(super) struct Opening<'a> {
    pub(super) tell: &'a Tell,
    /// What its reply is said for.
    pub(super) kind: Kind,
    /// The tokens of what is sent.
    pub(super) estimate: u64,
}

/// A run that is under way.
pub(super) struct Run<'r> {
    turn: &'r Turn<'r>,
    permit: &'r WritePermit,
    /// As its last version left it.
    pub(super) branch: Branch,
    /// As it was before.
    before: (Status, Option<String>),
    /// The reply that is written now.
    pub(super) reply: Message,
    /// The prompt, until it is in a version.
    prompt: Option<Message>,
    /// The prompt's number; the reply's if there is no prompt.
    number: i64,
    /// What the run is, in its versions.
    title: String,
    stream: String,
    since: Instant,
    tally: Tally,
    pub(super) recorder: Recorder<'r>,
}

impl<'r> Run<'r> {
    /// Records the prompt and begins the run.
    pub(super) fn begin(
        turn: &'r Turn<'r>,
        permit: &'r WritePermit,
        branch: Branch,
        opening: &Opening<'_>,
        listener: &'r mut dyn FnMut(Recorded),
    ) -> Result<Self> {
        let Opening { tell, kind, .. } = *opening;
        let text = match &tell.task {
            Task::Tell(prompt) | Task::Chat(prompt) => Some(prompt.text()),
            Task::Continue => None,
        };
        let begun = turn.project.store.write(permit, |tx| {
            let id = &branch.id;
            let new = |role, source, text, state| NewMessage {
                role,
                kind,
                source,
                text,
                state,
            };
            let add = |text| messages::add(tx, id, &new(Role::User, "user", text, State::Complete));
            let prompt = text.map(add).transpose()?;
            let open = new(Role::Assistant, tell.answer.word(), "", State::Open);
            let reply = messages::add(tx, id, &open)?;
            let stream = streams::start(tx, id, permit.proof().ticket(), Some(&reply.id))?;
            let number = prompt.as_ref().map_or(reply.number, |prompt| prompt.number);
            let first = Recorded::first(&stream, started(turn, number, opening));
            streams::add(tx, &stream, &[first.kept()?])?;
            branches::set_status(tx, id, Status::Replying, None)?;
            Ok((prompt, reply, number, first))
        });
        let (prompt, reply, number, first) = begun.context("recording the prompt")?;
        Ok(Self {
            turn,
            permit,
            before: (branch.status, branch.error.clone()),
            branch,
            number,
            title: title(&tell.task, number),
            since: Instant::now(),
            tally: Tally::default(),
            stream: first.run.clone(),
            recorder: Recorder::new(turn, permit, &first, listener),
            prompt,
            reply,
        })
    }

    /// Fails if the lock was lost: nothing more may be written.
    pub(super) fn check_lock(&self) -> Result<()> {
        check_lock(self.turn, self.permit)
    }

    /// Builds the reply's edits, after those that were kept for later.
    pub(super) fn build(&mut self, due: Due) -> Result<Outcome> {
        let store = &self.turn.project.store;
        store.write(self.permit, |tx| {
            branches::set_status(tx, &self.branch.id, Status::Building, None)
        })?;
        let mut dues = store.read(|tx| due::unbuilt(tx, &self.branch.id))?;
        dues.push(due);
        let recorder = &mut self.recorder;
        build::build(self.turn, &self.branch, &self.stream, &dues, &mut |event| {
            recorder.say(event);
            recorder.keep_up()
        })
    }

    /// Ends a run whose edits are built later, or never.
    pub(super) fn keep(mut self, reply: Reply) -> Result<Told> {
        // What answers a chat holds no edits, whatever it looks like.
        if self.reply.kind == Kind::Chat {
            self.tally.chat();
        } else {
            self.reply.is_kept = true;
            self.tally.keep(&reply);
        }
        self.finish(reply, None)
    }

    /// Ends a run whose reply was never asked for.
    pub(super) fn end_without(self, reply: Reply) -> Result<Told> {
        self.check_lock()?;
        self.finish(reply, None)
    }

    /// Keeps a summary that was made for this run.
    pub(super) fn keep_summary(&mut self, summary: &Summary) -> Result<()> {
        keep_summary(self.turn, self.permit, &self.branch, summary)?;
        self.branch = self.turn.branch(&self.branch.name)?;
        Ok(())
    }

    /// Completes the conversation, adds the pending changes and moves the head, all at once.
    pub(super) fn finish(mut self, reply: Reply, outcome: Option<&Outcome>) -> Result<Told> {
        self.tally.reply(&reply);
        if let Some(outcome) = outcome {
            self.tally.outcome(outcome);
        }
        let answer = self.answer(&reply);
        let (status, ended) = match reply.state {
            State::Stopped => (Status::Stopped, "stopped"),
            State::Error => (Status::Error, "error"),
            State::Open
            | State::Complete
            | State::Truncated
            | State::Refused
            | State::Interrupted => (Status::Ready, "ready"),
        };
        let report = self.tally.report();
        let error = reply.failure.as_ref().map(|error| format!("{error:#}"));
        let verdict = self.verdict(&reply);
        self.recorder.say(verdict);
        let last_words = self.recorder.unstored_rows()?;
        let (files, message) = self.version(&answer, outcome);
        self.turn
            .advance(self.permit, &self.branch, &files, &message, |tx| {
                messages::complete(tx, &answer)?;
                outcome.map_or(Ok(()), |outcome| outcome.record(tx))?;
                streams::add(tx, self.recorder.run(), &last_words)?;
                streams::finish(tx, &self.stream, ended, Some(&report.stored()))?;
                branches::set_status(tx, &self.branch.id, status, error.as_deref())
            })?;
        self.recorder.tell();
        Ok(self.told(reply.state, reply.stopped, reply.failure))
    }

    /// Completes the reply and what was built of it, and begins the next reply of the same run,
    /// which is asked for `paths`.
    pub(super) fn next_reply(
        &mut self,
        reply: &Reply,
        outcome: &Outcome,
        (attempt, max): (u32, u32),
        paths: Vec<String>,
    ) -> Result<()> {
        self.tally.reply(reply);
        self.tally.outcome(outcome);
        let answer = self.answer(reply);
        self.recorder.store()?;
        let after = self.recorder.number();
        let (files, message) = self.version(&answer, Some(outcome));
        let next = NewMessage {
            role: Role::Assistant,
            kind: Kind::Fix,
            source: &reply.source,
            text: "",
            state: State::Open,
        };
        let id = &self.branch.id;
        let next = self
            .turn
            .advance(self.permit, &self.branch, &files, &message, |tx| {
                messages::complete(tx, &answer)?;
                outcome.record(tx)?;
                let next = messages::add(tx, id, &next)?;
                streams::next_reply(tx, &self.stream, &next.id, after)?;
                branches::set_status(tx, id, Status::Replying, None)?;
                Ok(next)
            })?;
        self.branch = self.turn.branch(&self.branch.name)?;
        self.prompt = None;
        self.title = format!("Fix #{}", next.number);
        self.recorder.say(Event::Again {
            number: next.number,
            kind: next.kind.word().to_owned(),
            attempt,
            max,
            paths,
        });
        self.reply = next;
        Ok(())
    }

    /// Ends a run whose last reply, a fix, came to nothing: what was built before stays.
    pub(super) fn give_up_fixing(mut self, error: &Error) -> Result<Told> {
        self.check_lock()?;
        self.tally.error(format!("{error:#}"));
        let report = self.tally.report();
        let stopped = self.turn.cancel.reason();
        let completed = self.completed(State::Complete, stopped);
        self.recorder.say(completed);
        let last_words = self.recorder.unstored_rows()?;
        self.turn.project.store.write(self.permit, |tx| {
            messages::withdraw(tx, &self.branch.id, &[&self.reply.id])?;
            streams::add(tx, self.recorder.run(), &last_words)?;
            streams::finish(tx, &self.stream, "ready", Some(&report.stored()))?;
            branches::set_status(tx, &self.branch.id, Status::Ready, None)
        })?;
        self.recorder.tell();
        Ok(self.told(State::Complete, stopped, None))
    }

    /// Takes back a run that came to nothing: nothing of it stays in the conversation. Returns
    /// why.
    pub(super) fn abandon(self, error: Error) -> Error {
        let (status, before) = &self.before;
        let taken_back = self
            .turn
            .project
            .store
            .write(self.permit, |tx: &WriteTx<'_>| {
                messages::withdraw(tx, &self.branch.id, &[&self.reply.id])?;
                if let Some(prompt) = &self.prompt {
                    messages::withdraw(tx, &self.branch.id, &[&prompt.id])?;
                }
                streams::withdraw(tx, &self.stream)?;
                branches::set_status(tx, &self.branch.id, *status, before.as_deref())
            });
        // The next writer's repair does it otherwise; why it failed matters more.
        drop(taken_back);
        error
    }

    fn told(
        self,
        state: State,
        stopped: Option<Reason>,
        failure: Option<crate::model::ModelError>,
    ) -> Told {
        Told {
            state,
            number: self.number,
            report: self.tally.report(),
            failed: self.tally.failed(),
            malformed: self.tally.malformed().to_vec(),
            stopped,
            failure,
        }
    }

    /// The reply as it is kept.
    fn answer(&self, reply: &Reply) -> Message {
        let source = match reply.source.as_str() {
            "" => self.reply.source.clone(),
            source => source.to_owned(),
        };
        Message {
            source,
            text: reply.text.clone(),
            state: reply.state,
            completed_at: Some(clock::wall_ms()),
            ..self.reply.clone()
        }
    }

    /// The next version: its tree changes, and what a person reads of it in `log`.
    fn version(&self, answer: &Message, outcome: Option<&Outcome>) -> (Vec<TreeChange>, String) {
        let mut files: Vec<TreeChange> = self.prompt.iter().map(tree::message).collect();
        files.push(tree::message(answer));
        let mut line = self.title.clone();
        if let Some(outcome) = outcome {
            files.extend(outcome.tree_changes());
            line.push_str(&counted(outcome));
        }
        (files, line)
    }

    /// The run's last event.
    fn verdict(&self, reply: &Reply) -> Event {
        match &reply.failure {
            Some(failure) => Event::Failed {
                kind: failure.kind.word().to_owned(),
                message: failure.message.clone(),
                hint: failure.hint.clone(),
                partial: !reply.text.is_empty(),
                exit_code: None,
            },
            None => self.completed(reply.state, reply.stopped),
        }
    }

    fn completed(&self, state: State, stopped: Option<Reason>) -> Event {
        let report = self.tally.report();
        Event::Completed {
            number: self.number,
            state: state.word().to_owned(),
            built: report.built,
            failed: report.failed,
            malformed: self.tally.malformed().len(),
            kept: report.kept,
            stopped: stopped.map(|reason| reason.word().to_owned()),
            duration_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// What a version's message says of what was built.
pub(super) fn counted(outcome: &Outcome) -> String {
    let (built, failed) = outcome.counts();
    match failed {
        0 => format!("\n\n{built} built"),
        failed => format!("\n\n{built} built, {failed} failed"),
    }
}

/// Fails if the lock was lost: nothing more may be written.
pub(super) fn check_lock(turn: &Turn<'_>, permit: &WritePermit) -> Result<()> {
    if turn.cancel.reason() != Some(Reason::LockLost) {
        return Ok(());
    }
    let proof = permit.proof();
    let store = &turn.project.store;
    let by = store.read(|tx| history::forced_by(tx, proof.fence()));
    Err(history::lost(proof.ticket(), by.ok().flatten().as_deref()))
}

/// Keeps a summary: its row, and its file in a version of its own.
pub(super) fn keep_summary(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    summary: &Summary,
) -> Result<()> {
    let files = [tree::summary(summary)];
    let title = format!("Summary of messages 1 to {}", summary.up_to);
    turn.advance(permit, branch, &files, &title, |tx| {
        summaries::put(tx, &branch.id, summary)
    })
}

fn started(turn: &Turn<'_>, number: i64, opening: &Opening<'_>) -> Event {
    let tell = opening.tell;
    let chosen = tell.answer.chosen();
    let prompt = match &tell.task {
        Task::Tell(prompt) | Task::Chat(prompt) => prompt.text(),
        Task::Continue => "",
    };
    Event::Started {
        kind: match opening.kind {
            Kind::Chat => "chat".to_owned(),
            Kind::Tell | Kind::Continue | Kind::Fix => tell.task.word().to_owned(),
        },
        number,
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
        prompt_sha256: digest::sha256_hex(prompt.as_bytes()),
        prompt_tokens_estimate: opening.estimate,
        idle_limit_ms: match chosen.provider {
            Provider::Endpoint(_) | Provider::Command(_) => {
                u64::try_from(chosen.limits.idle.as_millis()).ok()
            }
            Provider::Literal | Provider::ReplyFile(_) | Provider::ReplyInput => None,
        },
    }
}

/// What a version of a run is called: what a person reads in `log`.
fn title(task: &Task, number: i64) -> String {
    let (word, text) = match task {
        Task::Tell(prompt) => ("Tell", prompt.text()),
        Task::Chat(prompt) => ("Chat", prompt.text()),
        Task::Continue => return format!("Continue #{number}"),
    };
    let first = text.lines().find(|line| !line.trim().is_empty());
    let first = first.unwrap_or_default().trim();
    let short: String = first.chars().take(60).collect();
    format!("{word} #{number}: {short}")
}
