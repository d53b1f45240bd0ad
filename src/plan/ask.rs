//! What a model is asked: the briefing of a branch, gathered from its rows, and whether it fits.

use anyhow::Result;

use super::briefing::{self, Line, Manner, Material, Seen, Shown, Tokens, Turned};
use super::due;
use crate::context::{Counting, Detail, Image, estimate_tokens};
use crate::model::{self, Chosen, Dialect, Picture, Provider, Request};
use crate::project::Project;
use crate::store::contexts::Context;
use crate::store::messages::{self, Kind, Message, Role, State};
use crate::store::summaries::{self, Summary};
use crate::store::{changes, contexts, streams};

/// So many of the newest messages are sent word by word, if they fit.
const VERBATIM: usize = 6;
/// Tokens left free for a summary that is still to be made.
const SUMMARY_ROOM: u64 = 1024;
/// So many of the largest entries are named when the context is too long.
const NAMED: usize = 3;

/// What is asked after a reply that is whole.
const REST: &str = "Go on: do what is still to be done, and repeat nothing.";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// To change files.
    Tell(String),
    /// To answer.
    Chat(String),
    /// To go on where the last reply ended.
    Continue,
    /// To give edits again that did not fit, in these words.
    Fix(String),
}

/// A branch as a model can be told of it.
#[derive(Debug, Clone)]
pub struct Talk {
    shown: Vec<Shown>,
    messages: Vec<Message>,
    summary: Option<Summary>,
    /// The files that are built of the last reply.
    taken: Vec<String>,
}

/// What of a conversation is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// All of it.
    Whole,
    /// The summary that there is, and what was said after it.
    Summary,
    /// A summary of everything up to and with this message, which is still to be made.
    Condensed(i64),
}

/// The context and the question alone are more than the model takes.
#[derive(Debug, thiserror::Error)]
#[error("the context is too long: ~{tokens} tokens, but the model takes {room}; {largest}")]
pub struct TooLong {
    tokens: u64,
    room: u64,
    largest: String,
}

impl Talk {
    /// The branch as it stands; a reply that is being written is no part of what was said.
    pub fn of(project: &Project, plan_id: &str, branch_id: &str) -> Result<Self> {
        let messages = project
            .store
            .read(|tx| messages::of_branch(tx, branch_id))?;
        let is_said = |message: &Message| message.state != State::Open;
        let said = messages.into_iter().filter(is_said).collect();
        Self::with(project, plan_id, branch_id, said)
    }

    /// The branch as it will stand once what its dead run left is repaired.
    pub fn of_dead(project: &Project, plan_id: &str, branch_id: &str) -> Result<Self> {
        let said = project.store.read(|tx| {
            let mut messages = messages::of_branch(tx, branch_id)?;
            let runs = streams::unfinished(tx, branch_id)?;
            for message in messages.iter_mut().filter(|one| one.state == State::Open) {
                let run = runs
                    .iter()
                    .find(|run| run.message_id.as_ref() == Some(&message.id));
                if let Some(run) = run {
                    message.text = streams::text(tx, &run.id)?;
                }
                message.state = State::Interrupted;
            }
            Ok(messages)
        })?;
        Self::with(project, plan_id, branch_id, said)
    }

    fn with(
        project: &Project,
        plan_id: &str,
        branch_id: &str,
        messages: Vec<Message>,
    ) -> Result<Self> {
        let (entries, summary, builds) = project.store.read(|tx| {
            Ok((
                contexts::of_branch(tx, branch_id)?,
                summaries::last(tx, branch_id)?,
                changes::builds(tx, branch_id)?,
            ))
        })?;
        let repo = project.repo(plan_id)?;
        let shown = entries
            .into_iter()
            .map(|entry| {
                let body = repo.blob(&entry.blob)?;
                let image = seen(&entry, &body);
                Ok(Shown {
                    name: entry.name,
                    body: match image {
                        Some(_) => String::new(),
                        None => String::from_utf8_lossy(&body).into_owned(),
                    },
                    image,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let last = messages.last().map(|message| message.id.clone());
        let taken = builds
            .into_iter()
            .filter(|build| Some(&build.message_id) == last.as_ref() && build.error().is_none())
            .map(|build| build.path)
            .collect();
        Ok(Self {
            shown,
            messages,
            summary,
            taken,
        })
    }

    /// The reply that `continue` goes on from.
    pub fn last_reply(&self) -> Option<&Message> {
        let last = self.messages.last();
        last.filter(|message| message.role == Role::Assistant)
    }

    /// What the next message is said for.
    pub fn kind(&self, question: &Question) -> Kind {
        match question {
            Question::Tell(_) => Kind::Tell,
            Question::Chat(_) => Kind::Chat,
            Question::Fix(_) => Kind::Fix,
            Question::Continue => match self.last_reply().map(|reply| reply.kind) {
                Some(Kind::Chat) => Kind::Chat,
                _ => Kind::Continue,
            },
        }
    }

    /// The messages to send for `question`.
    pub fn lines(&self, question: &Question, fit: &Fit) -> Vec<Line> {
        let (summary, after) = match (fit, &self.summary) {
            (Fit::Summary | Fit::Condensed(_), Some(summary)) => {
                (Some(summary.text.as_str()), summary.up_to)
            }
            _ => (None, 0),
        };
        self.lines_after(question, summary, after)
    }

    fn lines_after(&self, question: &Question, summary: Option<&str>, after: i64) -> Vec<Line> {
        let mut said: Vec<Turned> = self
            .messages
            .iter()
            .filter(|message| message.number > after)
            .map(|message| Turned {
                role: message.role,
                text: message.text.clone(),
                state: message.state,
            })
            .collect();
        let instruction = match question {
            Question::Tell(text) | Question::Chat(text) | Question::Fix(text) => text.clone(),
            Question::Continue => {
                // It is told of in the instruction.
                if let Some(last) = said.last_mut() {
                    last.state = State::Complete;
                }
                self.go_on()
            }
        };
        let material = Material {
            manner: match self.kind(question) {
                Kind::Chat => Manner::Words,
                Kind::Tell | Kind::Continue | Kind::Fix => Manner::Edits,
            },
            shown: &self.shown,
            summary,
            said: &said,
        };
        briefing::briefing(&material, &instruction)
    }

    /// The instruction to go on: never part of the conversation.
    fn go_on(&self) -> String {
        let Some(reply) = self.last_reply() else {
            return String::new();
        };
        if reply.text.trim().is_empty() {
            let spoken = |message: &&Message| !message.text.trim().is_empty();
            let before = self.messages.iter().rev().find(spoken);
            return match (reply.source.as_str(), before.map(|message| message.role)) {
                ("literal", _) => "The edits were taken from the message. Go on with what is left.",
                // The same is asked again.
                (_, Some(Role::User) | None) => "",
                (_, Some(Role::Assistant)) => REST,
            }
            .to_owned();
        }
        if reply.state == State::Complete {
            return REST.to_owned();
        }
        let mut text = "Your reply was cut off. Go on exactly where it ends: no introduction, and \
             repeat nothing that was said."
            .to_owned();
        if reply.kind == Kind::Chat {
            return text;
        }
        let read = due::read(&reply.text, reply.state);
        let is_taken = |label: &String| {
            let was_built = self.taken.iter().any(|path| due::is_of(path, label));
            // Not built yet: this run does it, unless the reply was refused.
            let may_be = reply.state != State::Refused && self.taken.is_empty();
            was_built || may_be && read.edits.iter().any(|edit| edit.path == *label)
        };
        let (taken, open): (Vec<String>, Vec<String>) =
            read.paths.iter().cloned().partition(is_taken);
        if !taken.is_empty() {
            text.push_str(
                &format_args!(" Your edits of {} were taken.", taken.join(", ")).to_string(),
            );
        }
        if !open.is_empty() {
            let open = open.join(", ");
            text.push_str(
                &format_args!(
                    " Your edits of {open} were not: begin with all edits of {open} again, \
                     each block from its first line."
                )
                .to_string(),
            );
        }
        text
    }

    /// What of the conversation is sent to `chosen`. Fails with [`TooLong`] if not even the
    /// question and its context have room.
    pub fn fit(&self, question: &Question, chosen: &Chosen) -> Result<Fit, TooLong> {
        let Some(room) = room(chosen) else {
            return Ok(Fit::Whole);
        };
        let tokens = |summary: Option<&str>, after| {
            estimate_for(&self.lines_after(question, summary, after), Some(chosen))
        };
        if tokens(None, 0) <= room {
            return Ok(Fit::Whole);
        }
        if let Some(summary) = &self.summary
            && tokens(Some(&summary.text), summary.up_to) <= room
        {
            return Ok(Fit::Summary);
        }
        // The reply that is gone on from cannot be told in short.
        let least = usize::from(*question == Question::Continue);
        for verbatim in (least..=VERBATIM.min(self.messages.len())).rev() {
            let condensed = self.messages.len() - verbatim;
            let Some(up_to) = condensed.checked_sub(1).map(|at| self.messages[at].number) else {
                continue;
            };
            if tokens(None, up_to) + SUMMARY_ROOM <= room {
                return Ok(Fit::Condensed(up_to));
            }
        }
        Err(self.too_long(question, room))
    }

    fn too_long(&self, question: &Question, room: u64) -> TooLong {
        let after = self.messages.last().map_or(0, |message| message.number);
        let after = after - i64::from(*question == Question::Continue);
        let mut entries: Vec<(u64, &str)> = self
            .shown
            .iter()
            .map(|entry| {
                let image = entry
                    .image
                    .as_ref()
                    .map_or(0, |image| image.tokens.by_tiles);
                (estimate_tokens(&entry.body) + image, entry.name.as_str())
            })
            .collect();
        entries.sort_unstable_by(|one, other| other.cmp(one));
        let named: Vec<String> = entries
            .iter()
            .take(NAMED)
            .map(|(tokens, name)| format!("{name} ~{tokens}"))
            .collect();
        TooLong {
            tokens: estimate(&self.lines_after(question, None, after)),
            room,
            largest: match named.is_empty() {
                true => "all of it is the message itself".to_owned(),
                false => format!("the largest: {}", named.join(", ")),
            },
        }
    }

    /// The same with a newer summary.
    pub(super) fn with_summary(self, summary: Summary) -> Self {
        let summary = Some(summary);
        Self { summary, ..self }
    }

    /// What was said up to and with the message `up_to` and is in no summary yet.
    pub(super) fn to_condense(&self, up_to: i64) -> (Option<&Summary>, Vec<&Message>) {
        let after = self.summary.as_ref().map_or(0, |summary| summary.up_to);
        let said = self
            .messages
            .iter()
            .filter(|message| message.number > after && message.number <= up_to);
        (self.summary.as_ref(), said.collect())
    }

    /// The number of the newest message; 0 if nothing was said.
    pub(super) fn newest(&self) -> i64 {
        self.messages.last().map_or(0, |message| message.number)
    }
}

/// An entry as an image, if it is one.
fn seen(entry: &Context, body: &[u8]) -> Option<Seen> {
    let image = Image::sniff(body).filter(|_| entry.kind == contexts::Kind::Image)?;
    let detail = entry.origin.detail.unwrap_or(Detail::High);
    Some(Seen {
        picture: Picture::new(image.media, detail.word(), body),
        tokens: Tokens {
            by_tiles: image.tokens(detail, Counting::Tiles),
            by_area: image.tokens(detail, Counting::Area),
        },
    })
}

/// The tokens that a model has for what it is sent, if its window is known.
pub(super) fn room(chosen: &Chosen) -> Option<u64> {
    chosen.room()
}

/// The tokens of messages, roughly.
pub(super) fn estimate(lines: &[Line]) -> u64 {
    estimate_for(lines, None)
}

/// The same as `chosen` counts images.
fn estimate_for(lines: &[Line], chosen: Option<&Chosen>) -> u64 {
    let is_by_area = chosen.is_some_and(|chosen| {
        matches!(&chosen.provider, Provider::Endpoint(endpoint)
            if endpoint.dialect == Dialect::Anthropic)
    });
    let image = |image: &Seen| match is_by_area {
        true => image.tokens.by_area,
        false => image.tokens.by_tiles,
    };
    lines
        .iter()
        .map(|line| estimate_tokens(&line.content) + line.images.iter().map(image).sum::<u64>())
        .sum()
}

/// Fails with [`NoImages`] if a model is shown images and whoever is asked cannot be.
pub fn check_images(project: &Project, branch_id: &str, chosen: &Chosen) -> Result<()> {
    if matches!(chosen.provider, Provider::Endpoint(_)) {
        return Ok(());
    }
    let names = project.store.read(|tx| contexts::images(tx, branch_id))?;
    if names.is_empty() {
        return Ok(());
    }
    Err(NoImages {
        provider: chosen.provider.word(),
        names: names.join(", "),
    }
    .into())
}

/// Whoever is asked takes no images.
#[derive(Debug, thiserror::Error)]
#[error("the provider \"{provider}\" takes no images, and the context holds {names}")]
pub struct NoImages {
    provider: &'static str,
    names: String,
}

/// `lines` as a model takes them, with their tokens counted.
pub fn request(lines: Vec<Line>) -> Request {
    let estimate = estimate(&lines);
    let messages = lines.into_iter().map(|line| {
        let role = match line.role {
            "system" => model::Role::System,
            "assistant" => model::Role::Assistant,
            _ => model::Role::User,
        };
        let pictures = line.images.into_iter().map(|image| image.picture);
        model::Message {
            pictures: pictures.collect(),
            ..model::Message::new(role, line.content)
        }
    });
    Request {
        messages: messages.collect(),
        estimate,
        ..Request::default()
    }
}
