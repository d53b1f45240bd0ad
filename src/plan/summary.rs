//! A conversation in short, in the words of the model that is asked for it.

use anyhow::Result;
use crossbeam_channel::RecvTimeoutError;

use super::ask::{self, Talk};
use super::briefing::Line;
use super::event::Event;
use super::record::BATCH_EVERY;
use super::run::{check_lock, keep_summary};
use super::tell::{TellError, to_ask};
use crate::context::estimate_tokens;
use crate::model::{self, Chosen, Delta, Kind, ModelError, Provider, Request};
use crate::platform::cancel::Reason;
use crate::platform::threads;
use crate::project::Turn;
use crate::store::summaries::Summary;
use crate::store::tickets::WritePermit;

const RULES: &str = "\
You shorten the conversation of a person with a programming assistant, for the assistant to go on \
from. Keep what was asked, what was decided and why, which files were changed and how, and what is \
still to be done. Leave out code, greetings and repetition. Write plain text, at most 300 words.";

/// Bytes of text that are surely no more than one token each, for a message that has to be cut.
const BYTES_A_TOKEN: u64 = 2;

/// What came of asking for a summary.
pub(super) enum Condensed {
    /// It is made, and not kept yet.
    Made(Summary),
    /// The model failed.
    Failed(ModelError),
    /// It was called off.
    Stopped,
}

/// Asks `chosen` for a summary of what was said up to and with the message `up_to`.
pub(super) fn condense(
    turn: &Turn<'_>,
    talk: &Talk,
    up_to: i64,
    chosen: &Chosen,
    say: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Condensed> {
    say(Event::Phase {
        phase: "summarizing".to_owned(),
        detail: Some(format!("messages 1 to {up_to}")),
    })?;
    let request = ask::request(lines(talk, up_to, ask::room(chosen)));
    ask_for(turn, chosen, &request, up_to, say)
}

/// What is asked: everything that the summary is to hold, as one text.
fn lines(talk: &Talk, up_to: i64, room: Option<u64>) -> Vec<Line> {
    let (summary, said) = talk.to_condense(up_to);
    let mut pieces: Vec<(String, &str)> = Vec::new();
    if let Some(summary) = summary {
        pieces.push(("What was said before, in short".to_owned(), &summary.text));
    }
    for message in said {
        let head = format!("#{} {}", message.number, message.role.word());
        pieces.push((head, &message.text));
    }
    let share = room.map(|room| room / (pieces.len() as u64 + 1));
    let text: Vec<String> = pieces
        .into_iter()
        .map(|(head, text)| format!("# {head}\n\n{}\n", shortened(text, share)))
        .collect();
    let line = |role, content| Line {
        role,
        content,
        images: Vec::new(),
    };
    vec![
        line("system", RULES.to_owned()),
        line("user", text.join("\n")),
    ]
}

/// A text of at most `tokens`: its beginning and its end.
fn shortened(text: &str, tokens: Option<u64>) -> String {
    let Some(tokens) = tokens.filter(|tokens| estimate_tokens(text) > *tokens) else {
        return text.to_owned();
    };
    let half = usize::try_from(tokens * BYTES_A_TOKEN / 2).unwrap_or(usize::MAX);
    let head = &text[..text.floor_char_boundary(half)];
    let tail = &text[text.ceil_char_boundary(text.len().saturating_sub(half))..];
    format!("{head}\n[…]\n{tail}")
}

fn ask_for(
    turn: &Turn<'_>,
    chosen: &Chosen,
    request: &Request,
    up_to: i64,
    say: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Condensed> {
    let deltas = model::stream(chosen, request, &turn.cancel)?;
    let mut text = String::new();
    loop {
        if turn.cancel.is_set() {
            return Ok(Condensed::Stopped);
        }
        let next = {
            let _waits = threads::waits("a summary");
            deltas.recv_timeout(BATCH_EVERY)
        };
        match next {
            Ok(Delta::Text(more)) => text.push_str(&more),
            // Not the reply's.
            Ok(Delta::Thinking(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Delta::Phase(phase)) => say(phase.into())?,
            Ok(Delta::Failed(error)) => return Ok(Condensed::Failed(error)),
            Ok(Delta::Finished(_)) if text.trim().is_empty() => {
                let words = "the model gave an empty summary";
                return Ok(Condensed::Failed(ModelError::new(Kind::Empty, words)));
            }
            Ok(Delta::Finished(over)) => {
                let text = text.trim().to_owned();
                return Ok(Condensed::Made(Summary::new(up_to, over.provenance, text)));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Condensed::Stopped),
        }
    }
}

/// What `summary` came to.
pub enum Summarized {
    /// It is kept.
    Made(Summary),
    /// It was called off, and nothing was changed.
    Stopped(Option<Reason>),
    /// Nothing has been said that is not in the last summary already, or nothing at all.
    Nothing,
}

/// Makes a summary of the whole conversation of the branch called `branch`, and keeps it.
pub fn summarize(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &str,
    chosen: &Chosen,
) -> Result<Summarized> {
    if chosen.provider == Provider::Literal {
        return Err(TellError::NeedsModel("summary").into());
    }
    let branch = turn.branch(branch)?;
    let talk = Talk::of(turn.project, turn.plan_id, &branch.id)?;
    let up_to = talk.newest();
    if talk.to_condense(up_to).1.is_empty() {
        return Ok(Summarized::Nothing);
    }
    let lines = lines(&talk, up_to, ask::room(chosen));
    let request = to_ask(turn, &branch, lines)?;
    let made = ask_for(turn, chosen, &request, up_to, &mut |_| Ok(()))?;
    check_lock(turn, permit)?;
    match made {
        Condensed::Failed(error) => Err(error.into()),
        Condensed::Stopped => Ok(Summarized::Stopped(turn.cancel.reason())),
        Condensed::Made(summary) => {
            keep_summary(turn, permit, &branch, &summary)?;
            Ok(Summarized::Made(summary))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = format!("begin {} end", "ß ".repeat(5000));
        let short = shortened(&text, Some(100));
        assert!(short.starts_with("begin ") && short.ends_with(" end"));
        assert!(short.len() <= 210, "{}", short.len());
        assert_eq!(shortened("short", Some(100)), "short");
        assert_eq!(shortened(&text, None), text);
    }
}
