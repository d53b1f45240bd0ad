//! From a stream to a reply: its text, its edits, and how it ended.

use anyhow::Result;
use crossbeam_channel::{Receiver, RecvTimeoutError};

use super::edits::{Edit, Reason as EditReason};
use super::event::Event;
use super::record::{BATCH_EVERY, Recorder};
use super::reply::{Ending, Malformed, ReplyEvent, ReplyParser};
use super::tell::{Tell, TellError};
use crate::model::{self, Delta, Finish, Finished, Kind, ModelError, Request};
use crate::platform::cancel::Reason;
use crate::platform::threads;
use crate::project::Turn;
use crate::store::messages::State;

/// What was heard of a reply.
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) source: String,
    pub(super) state: State,
    pub(super) edits: Vec<Edit>,
    pub(super) malformed: Vec<Malformed>,
    pub(super) stopped: Option<Reason>,
    pub(super) failure: Option<ModelError>,
}

/// What comes of the reply within a batch's time.
fn next_delta(deltas: &Receiver<Delta>) -> std::result::Result<Delta, RecvTimeoutError> {
    let _waits = threads::waits("more of the reply");
    deltas.recv_timeout(BATCH_EVERY)
}

/// Listens to the reply to its end, or until it is stopped.
pub(super) fn listen(
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
    let mut text = String::new();
    let (over, failure) = hear(turn, tell, request, recorder, &mut ear, &mut text)?;
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

/// Hears the stream: its last word, or its failure; neither if it was called off.
fn hear(
    turn: &Turn<'_>,
    tell: &Tell,
    request: &Request,
    recorder: &mut Recorder<'_>,
    ear: &mut Ear,
    text: &mut String,
) -> Result<(Option<Finished>, Option<ModelError>)> {
    let deltas = model::stream(&tell.answer.0, request, &turn.cancel)?;
    loop {
        if turn.cancel.is_set() {
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
