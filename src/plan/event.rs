//! What happens in a run, as one kind of object: it is stored with the run, printed as a line of
//! JSON, shown to people, and replayed by `connect` (MODEL.md §7). Types and fields are only ever
//! added; whoever reads them ignores what it does not know.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::build::{BuiltFile, FailedFile};
use super::edits::Format;
use crate::model::{self, Usage};
use crate::platform::clock;
use crate::store::streams::Kept;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Event {
    /// The turn was taken, the prompt is recorded.
    #[serde(rename = "turn.started")]
    Started {
        /// "tell", "chat", "continue" or "build".
        #[serde(default = "tell_word")]
        kind: String,
        /// The number of the prompt in the conversation; of the reply if there is no prompt.
        number: i64,
        /// Milliseconds waited for the turn.
        waited_ms: u64,
        /// Who answers: the provider's word.
        provider: String,
        /// The model's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Where the choice of both comes from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider_source: Option<String>,
        /// Of the prompt's text.
        prompt_sha256: String,
        /// Of everything that is sent; 0 if nothing is.
        prompt_tokens_estimate: u64,
        /// The longest silence in a reply, if there is a limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idle_limit_ms: Option<u64>,
    },
    /// What the request for a reply is at: "connecting", "waiting", "thinking", "replying", …
    #[serde(rename = "request.phase")]
    Phase {
        /// The word.
        phase: String,
        /// To whom, or for how long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The request failed before the reply began, and is made again.
    #[serde(rename = "request.retrying")]
    Retrying {
        /// The attempt that comes, from 2.
        attempt: u32,
        /// How many there are at the most.
        max: u32,
        /// Until then.
        delay_ms: u64,
        /// The HTTP status, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        /// The kind of failure.
        kind: String,
        /// The same for people.
        message: String,
    },
    /// More of what the model thinks aloud: no part of the reply.
    #[serde(rename = "reasoning.delta")]
    Thinking {
        /// The text as it came.
        text: String,
    },
    /// More of the reply.
    #[serde(rename = "message.delta")]
    Text {
        /// The text as it came, edits included.
        text: String,
    },
    /// An edit to a file begins in the reply.
    #[serde(rename = "file.started")]
    FileStarted {
        /// As labelled.
        path: String,
        /// The construct it is written in.
        format: Format,
    },
    /// So many lines of the edit have come.
    #[serde(rename = "file.progress")]
    FileLines {
        /// As labelled.
        path: String,
        /// The lines.
        lines: usize,
    },
    /// Another reply of the same run begins: to hunks that did not fit.
    #[serde(rename = "message.started")]
    Again {
        /// Its number in the conversation.
        number: i64,
        /// "fix".
        kind: String,
        /// The try, from 1.
        attempt: u32,
        /// How many there are at the most.
        max: u32,
        /// The files that it is about.
        paths: Vec<String>,
    },
    /// The reply is over.
    #[serde(rename = "message.completed")]
    Replied {
        /// "stop", "length", "content_filter", "cancelled" or "error".
        finish: String,
        /// What it cost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
    /// A file was built, or could not be.
    #[serde(rename = "file.completed")]
    File {
        /// What became of it.
        status: FileStatus,
        /// The path in the project; as the reply gave it if it failed.
        path: String,
        /// The build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        built: Option<BuiltFile>,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<FailedFile>,
    },
    /// Something a person should know.
    #[serde(rename = "warning")]
    Warning {
        /// A stable word: "malformed" for a block that could not be read.
        code: String,
        /// A fragment.
        message: String,
        /// The line of the reply.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        /// The file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
    /// The run is over, and its version stands.
    #[serde(rename = "turn.completed")]
    Completed {
        /// The number of the prompt in the conversation.
        number: i64,
        /// How the reply ended: a message's state.
        state: String,
        /// Files built.
        built: usize,
        /// Files that could not be built.
        failed: usize,
        /// Blocks that could not be read.
        malformed: usize,
        /// Why it was stopped, if it was: "interrupted", "terminated", "hung_up" or "stopped".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped: Option<String>,
        /// Files whose edits are kept for `build`.
        #[serde(default, skip_serializing_if = "is_zero")]
        kept: usize,
        /// From the turn on.
        duration_ms: u64,
    },
    /// The run failed.
    #[serde(rename = "turn.failed")]
    Failed {
        /// A stable word.
        kind: String,
        /// What happened.
        message: String,
        /// The next command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// Whether part of a reply is kept.
        partial: bool,
        /// How the command that ran it ended, where its kind does not say so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<u8>,
    },
}

impl Event {
    /// Whether it is the last one of its run.
    pub fn is_verdict(&self) -> bool {
        matches!(self, Self::Completed { .. } | Self::Failed { .. })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn tell_word() -> String {
    "tell".to_owned()
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileStatus {
    /// It is pending.
    Built,
    /// It has that content already.
    Unchanged,
    /// None of its edits is pending.
    Failed,
}

impl From<model::Phase> for Event {
    fn from(phase: model::Phase) -> Self {
        let at = |phase: &str, detail| Self::Phase {
            phase: phase.to_owned(),
            detail,
        };
        match phase {
            model::Phase::Connecting { host } => at("connecting", Some(host)),
            model::Phase::Waiting => at("waiting", None),
            model::Phase::Streaming => at("replying", None),
            model::Phase::KeepAlives { silent } => {
                at("keep-alives", Some(format!("{} s", silent.as_secs())))
            }
            model::Phase::Retrying {
                attempt,
                max,
                delay,
                status,
                kind,
                message,
            } => Self::Retrying {
                attempt,
                max,
                delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                status,
                kind: kind.word().to_owned(),
                message,
            },
            model::Phase::Fallback { to, error } => Self::Warning {
                code: "fallback".to_owned(),
                message: format!("{error}; asking {to} instead"),
                line: None,
                path: None,
            },
            model::Phase::CommandSays { words } => at("command", Some(words)),
            model::Phase::Warning { code, message } => Self::Warning {
                code: code.to_owned(),
                message,
                line: None,
                path: None,
            },
        }
    }
}

/// An event with its place in its run.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The run.
    pub run: String,
    /// Counted from 1 in its run.
    pub number: i64,
    /// Wall milliseconds.
    pub at: i64,
    /// What happened.
    pub event: Event,
}

impl Recorded {
    /// The first event of the run `run`.
    pub(super) fn first(run: &str, event: Event) -> Self {
        Self {
            run: run.to_owned(),
            number: 1,
            at: clock::wall_ms(),
            event,
        }
    }

    /// As it is stored.
    pub fn kept(&self) -> anyhow::Result<Kept> {
        let mut fields = Map::new();
        if let Value::Object(object) = serde_json::to_value(&self.event)? {
            fields = object;
        }
        let kind = fields.remove("type");
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        Ok(Kept {
            number: self.number,
            at: self.at,
            kind: kind.to_owned(),
            payload: serde_json::to_string(&fields)?,
        })
    }

    /// What is stored of the run `run`, read back; `None` for a type that this version does not
    /// know.
    pub fn read(run: &str, kept: &Kept) -> Option<Self> {
        let mut fields: Map<String, Value> = serde_json::from_str(&kept.payload).ok()?;
        fields.insert("type".to_owned(), kept.kind.clone().into());
        Some(Self {
            run: run.to_owned(),
            number: kept.number,
            at: kept.at,
            event: serde_json::from_value(Value::Object(fields)).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(event: Event) -> Recorded {
        Recorded {
            run: "r".to_owned(),
            number: 7,
            at: 1,
            event,
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let events = [
            Event::Text {
                text: "a\u{1b}\"\n".to_owned(),
            },
            Event::FileStarted {
                path: "a b.rs".to_owned(),
                format: Format::SearchReplace,
            },
            Event::Replied {
                finish: "stop".to_owned(),
                usage: Some(Usage {
                    input: 1,
                    output: 2,
                    estimated: true,
                }),
            },
        ];
        for event in events {
            let one = recorded(event);
            let kept = one.kept().unwrap();
            assert!(!kept.payload.contains("\"type\""), "{}", kept.payload);
            assert_eq!(Recorded::read("r", &kept), Some(one));
        }
    }

    #[test]
    fn an_event_of_a_later_version_is_passed_over() {
        let kept = Kept {
            number: 1,
            at: 1,
            kind: "message.sung".to_owned(),
            payload: "{}".to_owned(),
        };
        assert_eq!(Recorded::read("r", &kept), None);
    }
}
