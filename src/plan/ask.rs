//! What a model is asked: the briefing of a branch, gathered from its rows.

use anyhow::Result;

use super::briefing::{self, Line, Shown, Turned};
use crate::context::estimate_tokens;
use crate::model::{Message, Request, Role};
use crate::project::Project;
use crate::store::{contexts, messages};

/// The messages to send for `prompt`, as of now. `recorded` is the prompt's own number if it is
/// part of the conversation already: it is then sent once.
pub fn lines(
    project: &Project,
    plan_id: &str,
    branch_id: &str,
    prompt: &str,
    recorded: Option<i64>,
) -> Result<Vec<Line>> {
    let (entries, mut said) = project.store.read(|tx| {
        Ok((
            contexts::of_branch(tx, branch_id)?,
            messages::of_branch(tx, branch_id)?,
        ))
    })?;
    if let Some(number) = recorded {
        said.retain(|message| message.number < number);
    }
    let repo = project.repo(plan_id)?;
    let shown = entries
        .into_iter()
        .map(|entry| {
            let body = repo.blob(&entry.blob)?;
            Ok(Shown {
                name: entry.name,
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let said: Vec<Turned> = said
        .into_iter()
        .map(|message| Turned {
            role: message.role,
            text: message.text,
            state: message.state,
        })
        .collect();
    Ok(briefing::briefing(&shown, &said, prompt))
}

/// `lines` as a model takes them, with their tokens counted.
pub fn request(lines: Vec<Line>) -> Request {
    let estimate = |line: &Line| estimate_tokens(&line.content);
    let estimate = lines.iter().map(estimate).sum();
    let messages = lines.into_iter().map(|line| {
        let role = match line.role {
            "system" => Role::System,
            "assistant" => Role::Assistant,
            _ => Role::User,
        };
        Message::new(role, line.content)
    });
    Request {
        messages: messages.collect(),
        estimate,
        ..Request::default()
    }
}
