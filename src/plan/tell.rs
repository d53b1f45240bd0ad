//! One run: begin → stream → build → finish, in a straight line.
//!
//! The prompt is recorded (durably) before the reply is asked for, the reply is kept in batches
//! while it arrives, and one fenced transaction at the end completes the conversation, adds the
//! pending changes and moves the branch's head. Whatever stops it in between, what came is kept.
//! Hunks that did not fit may be asked for again under the same turn: each such reply is a message
//! with a transaction of its own.

use anyhow::Result;

use super::ask::{self, Fit, Question, Talk};
use super::build::FailedFile;
use super::event::Recorded;
use super::fix;
use super::listen::{Reply, Source, listen};
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use super::report::Report;
use super::run::{Opening, Run};
use super::stale::Watched;
use super::summary::{self, Condensed};
use crate::model::{Chosen, ModelError, Provider, Request};
use crate::platform::cancel::Reason;
use crate::project::Turn;
use crate::store::branches::Branch;
use crate::store::messages::{Kind, State};
use crate::store::tickets::WritePermit;
use crate::store::{WriteTx, plans, ratios};

/// How often a model is asked again for hunks that did not fit, if nobody says how often.
const FIX_TRIES: u32 = 2;

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

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Change files as the prompt says.
    Tell(Prompt),
    /// Answer, and change nothing.
    Chat(Prompt),
    /// Go on where the last reply ended.
    Continue,
}

impl Task {
    fn question(&self) -> Question {
        match self {
            Self::Tell(prompt) => Question::Tell(prompt.text().to_owned()),
            Self::Chat(prompt) => Question::Chat(prompt.text().to_owned()),
            Self::Continue => Question::Continue,
        }
    }

    /// The command.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tell(_) => "tell",
            Self::Chat(_) => "chat",
            Self::Continue => "continue",
        }
    }
}

/// Where the reply comes from, checked before a turn is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(Chosen);

impl Answer {
    /// Fails with [`TellError::NoModel`] if no model is configured and the message itself holds no
    /// edit, or is not to be read for any: then nothing is stored and nobody is made to wait.
    pub fn new(chosen: Chosen, task: &Task) -> Result<Self> {
        if chosen.provider != Provider::Literal {
            return Ok(Self(chosen));
        }
        let Task::Tell(prompt) = task else {
            return Err(TellError::NeedsModel(task.word()).into());
        };
        let mut parser = ReplyParser::new();
        let mut events = parser.push(prompt.text());
        events.extend(parser.finish(Ending::Complete));
        let any = events
            .iter()
            .any(|event| matches!(event, ReplyEvent::Edit(_) | ReplyEvent::Malformed(_)));
        match any {
            true => Ok(Self(chosen)),
            false => Err(TellError::NoModel.into()),
        }
    }

    /// The provider's word.
    pub fn word(&self) -> &'static str {
        self.0.provider.word()
    }

    /// Whom to ask.
    pub fn chosen(&self) -> &Chosen {
        &self.0
    }

    /// How often hunks that did not fit are asked for again, if nobody says how often: as often as
    /// it makes sense to ask whoever answers.
    pub fn fix_tries(&self) -> u32 {
        match self.0.provider {
            Provider::Endpoint(_) | Provider::Command(_) => FIX_TRIES,
            Provider::Literal | Provider::ReplyFile(_) | Provider::ReplyInput => 0,
        }
    }
}

/// Why a run came to nothing; callers branch on it.
#[derive(Debug, thiserror::Error)]
pub enum TellError {
    /// The prompt was blank.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// No model is configured, and the message holds no edit to take.
    #[error("no model is configured, and the message holds no edit")]
    NoModel,
    /// No model is configured, and this cannot be done without one.
    #[error("no model is configured, and `plandex {0}` needs one")]
    NeedsModel(&'static str),
    /// There is no reply that could be gone on from.
    #[error("nothing to continue: there is no reply on this branch")]
    NothingToContinue,
    /// The reply ended without a word.
    #[error("the reply is empty")]
    EmptyReply,
    /// The source of the reply failed; what came of it is kept.
    #[error("the reply could not be read to its end; what came of it is kept")]
    ReplyFailed,
}

/// When the edits of a reply are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Building {
    /// At the end of the run.
    AtOnce,
    /// By `build`, or the next run that builds.
    Later,
}

/// A run as it is asked for.
#[derive(Debug, Clone)]
pub struct Tell {
    /// The branch's name.
    pub branch: String,
    /// What is to be done.
    pub task: Task,
    /// Where the reply comes from.
    pub answer: Answer,
    /// When its edits are built.
    pub building: Building,
    /// How often hunks that did not fit are asked for again.
    pub fix_tries: u32,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Told {
    /// How the (last) reply ended.
    pub state: State,
    /// The number of the prompt in the conversation; of the reply if there was no prompt.
    pub number: i64,
    /// What was done, what remains, and every error.
    pub report: Report,
    /// What could not be built.
    pub failed: Vec<FailedFile>,
    /// Blocks that could not be read.
    pub malformed: Vec<Malformed>,
    /// Why it was stopped, if it was.
    pub stopped: Option<Reason>,
    /// What ended the reply, if it failed.
    pub failure: Option<ModelError>,
}

impl Told {
    /// Whether every edit of the reply is pending now, or kept for later.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty() && self.malformed.is_empty()
    }
}

/// Runs `tell`, `chat` or `continue` under its turn, reporting to `listener` what is stored, as it
/// goes.
///
/// A cancelled run keeps what came of the reply and returns it as [`State::Stopped`], a failed one
/// as [`State::Error`]; a run whose lock was lost writes nothing more and fails with
/// [`crate::store::StoreError::LockLost`].
pub fn tell(
    turn: &Turn<'_>,
    permit: &WritePermit,
    tell: &Tell,
    listener: &mut dyn FnMut(Recorded),
) -> Result<Told> {
    let branch = turn.branch(&tell.branch)?;
    ask::check_images(turn.project, &branch.id, tell.answer.chosen())?;
    let watched = match tell.answer.chosen().provider.is_shown_nothing() {
        true => Watched::nothing(),
        false => Watched::of(turn, &branch.id)?,
    };
    let asked = Asked::new(turn, &branch, tell)?;
    let estimate = asked.request.as_ref().map_or(0, |request| request.estimate);
    let opening = Opening {
        tell,
        kind: asked.kind,
        estimate,
    };
    let mut run = Run::begin(turn, permit, branch, &opening, listener)?;
    let request = match asked.condensed(turn, tell, &mut run) {
        Ok(Ready::Request(request)) => request,
        Ok(Ready::Over(reply)) => return run.end_without(*reply),
        Err(error) => return Err(run.abandon(error)),
    };
    rounds(turn, permit, tell, run, request, watched)
}

/// The reply, and as many more as hunks that did not fit are asked for.
fn rounds(
    turn: &Turn<'_>,
    permit: &WritePermit,
    tell: &Tell,
    mut run: Run<'_>,
    mut request: Option<Request>,
    mut watched: Watched,
) -> Result<Told> {
    let mut halves = Vec::new();
    let mut attempt = 0;
    loop {
        if request.is_some() {
            for warning in watched.news(turn, "after it was loaded, before the model was asked")? {
                run.recorder.say(warning);
            }
        }
        let source = match (&request, &tell.task) {
            (Some(request), _) => Source::Asked(tell.answer.chosen(), request, run.reply.kind),
            (None, Task::Tell(prompt)) => Source::Message(prompt.text()),
            (None, task) => return Err(TellError::NeedsModel(task.word()).into()),
        };
        let reply = match listen(turn, &source, &mut run.recorder) {
            Ok(reply) => reply,
            Err(error) if attempt > 0 => return run.give_up_fixing(&error),
            Err(error) => return Err(run.abandon(error)),
        };
        run.check_lock()?;
        if let (Some(request), Some(counted)) = (&request, reply.counted) {
            let model = tell.answer.chosen().name();
            let learn = |tx: &WriteTx<'_>| ratios::learn(tx, &model, request.estimate, counted);
            turn.project.store.write(permit, learn)?;
        }
        if tell.building == Building::Later || run.reply.kind == Kind::Chat {
            return run.keep(reply);
        }
        let due = fix::joined(&run.reply.id, &halves, &reply.edits);
        let tried = due.edits.clone();
        if request.is_some() {
            for warning in watched.news(turn, "while the model answered")? {
                run.recorder.say(warning);
            }
        }
        let outcome = run.build(due)?;
        let failed = outcome.failed_of(&run.reply.id);
        let is_whole = reply.state == State::Complete && !turn.cancel.is_set();
        if failed.is_empty() || attempt == tell.fix_tries || !is_whole {
            return run.finish(reply, Some(&outcome));
        }
        attempt += 1;
        halves = fix::halves(&failed, &tried);
        let paths = failed.iter().map(|file| file.path.clone()).collect();
        run.next_reply(&reply, &outcome, (attempt, tell.fix_tries), paths)?;
        let talk = Talk::of(turn.project, turn.plan_id, &run.branch.id)?;
        let question = Question::Fix(fix::question(&failed));
        // What no longer fits is not asked for: the good edits stay pending.
        let fit = match talk.fit(&question, tell.answer.chosen()) {
            Ok(Fit::Condensed(_)) => Fit::Summary,
            Ok(fit) => fit,
            Err(error) => return run.give_up_fixing(&error.into()),
        };
        request = Some(to_ask(turn, &run.branch, talk.lines(&question, &fit))?);
    }
}

/// What is asked, as the branch stands before the run.
struct Asked {
    kind: Kind,
    question: Question,
    fit: Fit,
    /// `None` if no one is asked anything.
    talk: Option<Talk>,
    request: Option<Request>,
}

/// What comes before the reply is listened to.
enum Ready {
    /// The request; `None` if no one is asked anything.
    Request(Option<Request>),
    /// It ended before it was asked for.
    Over(Box<Reply>),
}

impl Asked {
    fn new(turn: &Turn<'_>, branch: &Branch, tell: &Tell) -> Result<Self> {
        let question = tell.task.question();
        if tell.answer.chosen().provider == Provider::Literal {
            return Ok(Self {
                kind: Kind::Tell,
                question,
                fit: Fit::Whole,
                talk: None,
                request: None,
            });
        }
        // A reply that is there already is to no briefing, however long that were.
        if tell.answer.chosen().provider.is_shown_nothing() && question != Question::Continue {
            return Ok(Self {
                kind: match question {
                    Question::Chat(_) => Kind::Chat,
                    Question::Tell(_) | Question::Continue | Question::Fix(_) => Kind::Tell,
                },
                question,
                fit: Fit::Whole,
                talk: None,
                request: Some(to_ask(turn, branch, Vec::new())?),
            });
        }
        let talk = Talk::of(turn.project, turn.plan_id, &branch.id)?;
        if question == Question::Continue && talk.last_reply().is_none() {
            return Err(TellError::NothingToContinue.into());
        }
        let fit = talk.fit(&question, tell.answer.chosen())?;
        let lines = talk.lines(&question, &fit);
        Ok(Self {
            kind: talk.kind(&question),
            request: Some(to_ask(turn, branch, lines)?),
            talk: Some(talk),
            question,
            fit,
        })
    }

    /// The request, once the summary that it needs is made.
    fn condensed(self, turn: &Turn<'_>, tell: &Tell, run: &mut Run<'_>) -> Result<Ready> {
        let (Some(talk), Fit::Condensed(up_to)) = (self.talk, self.fit) else {
            return Ok(Ready::Request(self.request));
        };
        let chosen = tell.answer.chosen();
        let made = summary::condense(turn, &talk, up_to, chosen, &mut |event| {
            run.recorder.say(event);
            run.recorder.keep_up()
        })?;
        let summary = match made {
            Condensed::Made(summary) => summary,
            Condensed::Failed(error) => return Ok(Ready::Over(Box::new(Reply::failed(error)))),
            Condensed::Stopped => return Ok(Ready::Over(Box::new(Reply::stopped(turn)))),
        };
        run.check_lock()?;
        run.keep_summary(&summary)?;
        let lines = talk
            .with_summary(summary)
            .lines(&self.question, &Fit::Summary);
        Ok(Ready::Request(Some(to_ask(turn, &run.branch, lines)?)))
    }
}

/// `lines` as they are sent for a branch.
pub(super) fn to_ask(
    turn: &Turn<'_>,
    branch: &Branch,
    lines: Vec<super::briefing::Line>,
) -> Result<Request> {
    let store = &turn.project.store;
    let plan = store.read(|tx| plans::by_id(tx, turn.plan_id))?;
    Ok(Request {
        plan: plan.map_or_else(String::new, |plan| plan.name),
        branch: branch.name.clone(),
        ..ask::request(lines)
    })
}
