//! From a stream to a reply: its text, its edits, and how it ended.

use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::due;
use super::edits::{Edit, Reason as EditReason};
use super::event::Event;
use super::record::{BATCH_EVERY, Recorder};
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use super::tell::TellError;
use crate::model::{self, Chosen, Delta, Finish, Finished, Kind, ModelError, Provider, Request};
use crate::platform::cancel::Reason;
use crate::platform::threads;
use crate::project::Turn;
use crate::store::messages::{self, State};

/// Where the reply comes from.
pub(super) enum Source<'a> {
    /// The message itself holds the edits.
    Message(&'a str),
    /// Somebody is asked. What answers a chat is not read for edits.
    Asked(&'a Chosen, &'a Request, messages::Kind),
}

/// What was heard of a reply.
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) source: String,
    pub(super) state: State,
    /// The tokens that the model says it was sent.
    pub(super) counted: Option<u64>,
    pub(super) edits: Vec<Edit>,
    pub(super) malformed: Vec<Malformed>,
    /// Files, as labelled, that the reply broke off in or that it was refused for.
    pub(super) left: Vec<String>,
    pub(super) stopped: Option<Reason>,
    pub(super) failure: Option<ModelError>,
    /// Why it is not whole, if it is not and nobody stopped it.
    pub(super) why: Option<String>,
}

impl Reply {
    fn nothing(state: State) -> Self {
        Self {
            text: String::new(),
            source: String::new(),
            state,
            counted: None,
            edits: Vec::new(),
            malformed: Vec::new(),
            left: Vec::new(),
            stopped: None,
            failure: None,
            why: None,
        }
    }

    /// A reply of which nothing came because of `error`.
    pub(super) fn failed(error: ModelError) -> Self {
        Self {
            why: Some(error.message.clone()),
            failure: Some(error),
            ..Self::nothing(State::Error)
        }
    }

    /// A reply that was called off before it began.
    pub(super) fn stopped(turn: &Turn<'_>) -> Self {
        Self {
            stopped: turn.cancel.reason(),
            ..Self::nothing(State::Stopped)
        }
    }
}

/// What comes of the reply within a batch's time.
fn next_delta(deltas: &Receiver<Delta>) -> std::result::Result<Delta, RecvTimeoutError> {
    let _waits = threads::waits("more of the reply");
    deltas.recv_timeout(BATCH_EVERY)
}

/// Listens to the reply to its end, or until it is stopped.
pub(super) fn listen(
    turn: &Turn<'_>,
    source: &Source<'_>,
    recorder: &mut Recorder<'_>,
) -> Result<Reply> {
    let mut ear = Ear {
        parser: ReplyParser::new(),
        edits: Vec::new(),
        malformed: Vec::new(),
        left: Vec::new(),
        is_chat: matches!(source, Source::Asked(.., messages::Kind::Chat)),
    };
    recorder.store()?;
    let (chosen, request) = match source {
        Source::Asked(chosen, request, _) => (*chosen, *request),
        Source::Message(text) => {
            ear.hear(text, recorder);
            ear.end(State::Complete, recorder);
            return Ok(ear.reply(String::new(), "literal".to_owned(), State::Complete));
        }
    };
    let mut text = String::new();
    let (over, failure) = hear(turn, chosen, request, recorder, &mut ear, &mut text)?;
    let finish = over.as_ref().map(|over| over.finish);
    let state = ear.state(finish, failure.as_ref());
    if text.trim().is_empty() && state == State::Complete {
        return Err(TellError::EmptyReply.into());
    }
    ear.end(state, recorder);
    recorder.say(Event::Replied {
        finish: finish_word(state).to_owned(),
        usage: over.as_ref().and_then(|over| over.usage),
    });
    let usage = over.as_ref().and_then(|over| over.usage);
    let source = over.map_or_else(|| asked_of(chosen), |over| over.provenance);
    // What another model counted teaches nothing about this one.
    let is_asked = source == asked_of(chosen);
    Ok(Reply {
        counted: usage
            .filter(|usage| is_asked && !usage.estimated)
            .map(|usage| usage.input),
        stopped: turn.cancel.reason(),
        why: why(state, finish, failure.as_ref()),
        failure,
        ..ear.reply(text, source, state)
    })
}

/// Whom a reply that never said where it comes from was asked of, as of a message.
fn asked_of(chosen: &Chosen) -> String {
    match &chosen.provider {
        Provider::Endpoint(endpoint) => format!("{}:{}", endpoint.name, endpoint.model),
        Provider::Literal
        | Provider::ReplyFile(_)
        | Provider::ReplyInput
        | Provider::Command(_) => chosen.provider.word().to_owned(),
    }
}

/// Why a reply is not whole, for people.
fn why(state: State, finish: Option<Finish>, failure: Option<&ModelError>) -> Option<String> {
    let words = match (state, finish, failure) {
        (_, _, Some(failure)) => failure.message.clone(),
        (State::Truncated, Some(Finish::Length), _) => {
            "the reply was cut off at its limit of length".to_owned()
        }
        (State::Truncated, ..) => "the reply ended in the middle of an edit".to_owned(),
        (State::Refused, ..) => {
            "the reply was filtered or refused: nothing of it is built".to_owned()
        }
        _ => return None,
    };
    Some(words)
}

/// Hears the stream: its last word, or its failure; neither if it was called off.
fn hear(
    turn: &Turn<'_>,
    chosen: &Chosen,
    request: &Request,
    recorder: &mut Recorder<'_>,
    ear: &mut Ear,
    text: &mut String,
) -> Result<(Option<Finished>, Option<ModelError>)> {
    let deltas = model::stream(chosen, request, &turn.cancel)?;
    loop {
        if turn.cancel.is_set() {
            model::wait_for_end(chosen, &deltas);
            return Ok((None, None));
        }
        match next_delta(&deltas) {
            Ok(Delta::Text(more)) => {
                text.push_str(&more);
                recorder.say(Event::Text { text: more.clone() });
                ear.hear(&more, recorder);
            }
            Ok(Delta::Thinking(text)) => recorder.say(Event::Thinking { text }),
            Ok(Delta::Phase(phase)) => recorder.say(phase.into()),
            Ok(Delta::Finished(finished)) => return Ok((Some(finished), None)),
            Ok(Delta::Failed(error)) => return Ok((None, Some(error))),
            Err(RecvTimeoutError::Timeout) => {}
            // The reader ends without a word only when it was called off.
            Err(RecvTimeoutError::Disconnected) => return Ok((None, None)),
        }
        recorder.keep_up()?;
    }
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
    left: Vec<String>,
    is_chat: bool,
}

impl Ear {
    fn hear(&mut self, text: &str, recorder: &mut Recorder<'_>) {
        if self.is_chat {
            return;
        }
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

    /// The reply is over, and ended so.
    fn end(&mut self, state: State, recorder: &mut Recorder<'_>) {
        let ending = match state {
            State::Complete => Ending::Complete,
            State::Open
            | State::Stopped
            | State::Truncated
            | State::Refused
            | State::Error
            | State::Interrupted => Ending::CutOff,
        };
        let heard = std::mem::take(&mut self.parser).finish(ending);
        self.take(heard, recorder);
        if state == State::Refused {
            self.left.extend(self.edits.drain(..).map(|edit| edit.path));
        }
        let (edits, malformed) = (&mut self.edits, &self.malformed);
        edits.retain(|edit| !due::is_suspect(malformed, &edit.path));
        // What the cut left open is no mistake of the reply's.
        if ending == Ending::CutOff {
            self.left
                .extend(due::left_open(&self.malformed).map(str::to_owned));
            self.malformed
                .retain(|found| found.reason != EditReason::Incomplete);
        }
    }

    fn reply(self, text: String, source: String, state: State) -> Reply {
        Reply {
            text,
            source,
            edits: self.edits,
            malformed: self.malformed,
            left: self.left,
            ..Reply::nothing(state)
        }
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
