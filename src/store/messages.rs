//! A branch's conversation: inserted, completed once, never otherwise changed.

use anyhow::{Result, ensure};
use rusqlite::{Row, params};

use super::{ReadTx, WriteTx, new_id};
use crate::platform::clock;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person (or script).
    User,
    /// The model, or whatever answered in its place.
    Assistant,
}

impl Role {
    /// The word in the table and for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Still coming in.
    Open,
    /// Whole.
    Complete,
    /// Stopped by somebody; partial.
    Stopped,
    /// Cut off by the provider; partial.
    Truncated,
    /// Filtered or refused by the provider: nothing of it is built.
    Refused,
    /// Ended by a failure; partial.
    Error,
    /// Its process died; partial.
    Interrupted,
}

const WORDS: [(State, &str); 7] = [
    (State::Open, "open"),
    (State::Complete, "complete"),
    (State::Stopped, "stopped"),
    (State::Truncated, "truncated"),
    (State::Refused, "refused"),
    (State::Error, "error"),
    (State::Interrupted, "interrupted"),
];

impl State {
    /// The word in the table and for people.
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("open", |(_, word)| word)
    }

    fn parse(word: &str) -> Self {
        WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map_or(Self::Error, |(state, _)| *state)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// UUIDv7.
    pub id: String,
    /// The branch.
    pub branch_id: String,
    /// Counted from 1 in its branch.
    pub number: i64,
    /// Who speaks.
    pub role: Role,
    /// Where the text came from: "user", "literal", "reply:FILE sha256", a provider.
    pub source: String,
    /// The text, or as much of it as came.
    pub text: String,
    /// How far it has come.
    pub state: State,
    /// Wall time of its start.
    pub created_at: i64,
    /// Wall time of its end.
    pub completed_at: Option<i64>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let (role, state): (String, String) = (row.get("role")?, row.get("state")?);
    Ok(Message {
        id: row.get("id")?,
        branch_id: row.get("branch_id")?,
        number: row.get("number")?,
        role: if role == "user" {
            Role::User
        } else {
            Role::Assistant
        },
        source: row.get("source")?,
        text: row.get("text")?,
        state: State::parse(&state),
        created_at: row.get("created_at")?,
        completed_at: row.get("completed_at")?,
    })
}

/// The conversation of a branch, in order.
pub fn of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Message>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM convo_messages WHERE branch_id = ?1 ORDER BY number")?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The messages of a branch that are still open: of a run at work, or of one that died.
pub fn open_of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Message>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM convo_messages WHERE branch_id = ?1 AND state = 'open' ORDER BY number",
    )?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds the next message of a branch; returns it.
pub fn add(
    tx: &WriteTx<'_>,
    branch_id: &str,
    role: Role,
    source: &str,
    text: &str,
    state: State,
) -> Result<Message> {
    let number: i64 = tx
        .sql()
        .prepare_cached(
            "SELECT coalesce(max(number), 0) + 1 FROM convo_messages WHERE branch_id = ?1",
        )?
        .query_row([branch_id], |row| row.get(0))?;
    let now = clock::wall_ms();
    let completed_at = (state != State::Open).then_some(now);
    let message = Message {
        id: new_id(),
        branch_id: branch_id.to_owned(),
        number,
        role,
        source: source.to_owned(),
        text: text.to_owned(),
        state,
        created_at: now,
        completed_at,
    };
    tx.sql()
        .prepare_cached(
            "INSERT INTO convo_messages (id, branch_id, number, role, source, text, state,
                created_at, completed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            message.id,
            branch_id,
            number,
            role.word(),
            source,
            text,
            state.word(),
            now,
            completed_at,
        ])?;
    Ok(message)
}

/// Completes the open message of `whole`'s id with its text, source and state; fails if it is
/// complete already.
pub fn complete(tx: &WriteTx<'_>, whole: &Message) -> Result<()> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE convo_messages SET source = ?2, text = ?3, state = ?4, completed_at = ?5
             WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![
            whole.id,
            whole.source,
            whole.text,
            whole.state.word(),
            whole.completed_at,
        ])?;
    ensure!(changed == 1, "message {} is complete already", whole.id);
    Ok(())
}

/// Takes back messages of a run that came to nothing.
pub fn withdraw(tx: &WriteTx<'_>, ids: &[&str]) -> Result<()> {
    for id in ids {
        tx.sql()
            .prepare_cached("DELETE FROM convo_messages WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(())
}
