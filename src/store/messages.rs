//! A branch's conversation: inserted, completed once, never otherwise changed.

use anyhow::{Result, ensure};
use rusqlite::{OptionalExtension as _, Row, params};

use super::tokens::estimate_tokens;
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

    /// What the row with this word says.
    pub fn parse(word: &str) -> Self {
        WORDS
            .iter()
            .find(|(_, known)| *known == word)
            .map_or(Self::Error, |(state, _)| *state)
    }
}

/// What a message was said for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A prompt for changes, or the reply to it.
    Tell,
    /// A question, or the reply to it: its edits are never built.
    Chat,
    /// A reply that goes on where the one before it ended.
    Continue,
    /// A reply that gives edits again that did not fit.
    Fix,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Tell, "tell"),
    (Kind::Chat, "chat"),
    (Kind::Continue, "continue"),
    (Kind::Fix, "fix"),
];

impl Kind {
    /// The word in the table and for people.
    pub fn word(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("tell", |(_, word)| word)
    }

    /// What the row with this word says; what is not known here is never built.
    pub fn parse(word: &str) -> Self {
        KINDS
            .iter()
            .find(|(_, known)| *known == word)
            .map_or(Self::Chat, |(kind, _)| *kind)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// UUIDv7; a fork's message has that of the message it was forked from.
    pub id: String,
    /// The branch.
    pub branch_id: String,
    /// Counted from 1 in its branch.
    pub number: i64,
    /// Who speaks.
    pub role: Role,
    /// What it was said for.
    pub kind: Kind,
    /// Where the text came from: "user", "literal", "reply:FILE sha256", a provider.
    pub source: String,
    /// The text, or as much of it as came.
    pub text: String,
    /// How far it has come.
    pub state: State,
    /// Whether its edits were left for a later build.
    pub is_kept: bool,
    /// Wall time of its start.
    pub created_at: i64,
    /// Wall time of its end.
    pub completed_at: Option<i64>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let (role, state): (String, String) = (row.get("role")?, row.get("state")?);
    let kind: String = row.get("kind")?;
    Ok(Message {
        id: row.get("id")?,
        branch_id: row.get("branch_id")?,
        number: row.get("number")?,
        role: if role == "user" {
            Role::User
        } else {
            Role::Assistant
        },
        kind: Kind::parse(&kind),
        source: row.get("source")?,
        text: row.get("text")?,
        state: State::parse(&state),
        is_kept: row.get("kept")?,
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

/// The messages of a branch whose numbers are `from` and those up to `to`, at most `limit`, in order.
pub fn numbered(
    tx: &ReadTx<'_>,
    branch_id: &str,
    (from, to): (i64, i64),
    limit: i64,
) -> Result<Vec<Message>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM convo_messages WHERE branch_id = ?1 AND number BETWEEN ?2 AND ?3
         ORDER BY number LIMIT ?4",
    )?;
    let rows = select.query_map(params![branch_id, from, to, limit], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The estimated tokens of a branch's messages with a number below `below`. Only what comes after
/// the newest message that knows them is counted.
pub fn tokens(tx: &ReadTx<'_>, branch_id: &str, below: i64) -> Result<u64> {
    let known: Option<(i64, i64)> = tx
        .sql()
        .prepare_cached(
            "SELECT number, tokens_to FROM convo_messages
             WHERE branch_id = ?1 AND number < ?2 AND tokens_to IS NOT NULL
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row(params![branch_id, below], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (number, sum) = known.unwrap_or((0, 0));
    let mut select = tx.sql().prepare_cached(
        "SELECT text FROM convo_messages WHERE branch_id = ?1 AND number > ?2 AND number < ?3",
    )?;
    let rows = select.query_map(params![branch_id, number, below], |row| {
        Ok(estimate_tokens(row.get_ref(0)?.as_str()?))
    })?;
    let after: u64 = rows.sum::<rusqlite::Result<u64>>()?;
    Ok(sum.unsigned_abs() + after)
}

/// What a message writes of them: those before it, and its own unless it is open.
fn tokens_to(tx: &ReadTx<'_>, message: &Message) -> Result<Option<i64>> {
    if message.state == State::Open {
        return Ok(None);
    }
    let before = tokens(tx, &message.branch_id, message.number)?;
    let all = before + estimate_tokens(&message.text);
    Ok(Some(i64::try_from(all)?))
}

/// The messages of a branch that are still open: of a run at work, or of one that died.
pub fn open_of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Message>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM convo_messages WHERE branch_id = ?1 AND state = 'open' ORDER BY number",
    )?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The replies of a branch that may hold edits of which none was built yet, in order: those whose
/// edits were kept, and one that was interrupted as long as nothing but a reply that goes on from
/// it comes after it (whoever asked anew has given it up). What was refused or said in a chat is
/// never built.
pub fn unbuilt(tx: &ReadTx<'_>, branch_id: &str) -> Result<Vec<Message>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM convo_messages m
         WHERE branch_id = ?1 AND role = 'assistant' AND kind <> 'chat' AND state <> 'refused'
           AND number IN
               (SELECT number FROM convo_messages WHERE branch_id = ?1 AND kept = 1
                UNION ALL SELECT number FROM
                   (SELECT number, state FROM convo_messages
                    WHERE branch_id = ?1 AND state <> 'open' ORDER BY number DESC LIMIT 1)
                WHERE state = 'interrupted')
           AND NOT EXISTS (SELECT 1 FROM plan_builds b WHERE b.branch_id = m.branch_id
                           AND b.message_id = m.id)
         ORDER BY number",
    )?;
    let rows = select.query_map([branch_id], from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The message of a branch with this number.
pub fn by_number(tx: &ReadTx<'_>, branch_id: &str, number: i64) -> Result<Option<Message>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM convo_messages WHERE branch_id = ?1 AND number = ?2")?;
    Ok(select
        .query_row(params![branch_id, number], from_row)
        .optional()?)
}

/// The message of a branch with this id.
pub fn by_id(tx: &ReadTx<'_>, branch_id: &str, id: &str) -> Result<Option<Message>> {
    let mut select = tx
        .sql()
        .prepare_cached("SELECT * FROM convo_messages WHERE branch_id = ?1 AND id = ?2")?;
    Ok(select.query_row([branch_id, id], from_row).optional()?)
}

/// The newest message of a branch.
pub fn last(tx: &ReadTx<'_>, branch_id: &str) -> Result<Option<Message>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT * FROM convo_messages WHERE branch_id = ?1 ORDER BY number DESC LIMIT 1",
    )?;
    Ok(select.query_row([branch_id], from_row).optional()?)
}

/// A message as it is added.
#[derive(Debug, Clone, Copy)]
pub struct NewMessage<'a> {
    /// Who speaks.
    pub role: Role,
    /// What it is said for.
    pub kind: Kind,
    /// Where the text comes from.
    pub source: &'a str,
    /// The text; empty for a reply that is still to come.
    pub text: &'a str,
    /// How far it has come.
    pub state: State,
}

/// Adds the next message of a branch; returns it.
pub fn add(tx: &WriteTx<'_>, branch_id: &str, new: &NewMessage<'_>) -> Result<Message> {
    let number: i64 = tx
        .sql()
        .prepare_cached(
            "SELECT coalesce(max(number), 0) + 1 FROM convo_messages WHERE branch_id = ?1",
        )?
        .query_row([branch_id], |row| row.get(0))?;
    let now = clock::wall_ms();
    let message = Message {
        id: new_id(),
        branch_id: branch_id.to_owned(),
        number,
        role: new.role,
        kind: new.kind,
        source: new.source.to_owned(),
        text: new.text.to_owned(),
        state: new.state,
        is_kept: false,
        created_at: now,
        completed_at: (new.state != State::Open).then_some(now),
    };
    tx.sql()
        .prepare_cached(
            "INSERT INTO convo_messages (id, branch_id, number, role, kind, source, text, state,
                created_at, completed_at, tokens_to)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            message.id,
            branch_id,
            number,
            new.role.word(),
            new.kind.word(),
            new.source,
            new.text,
            new.state.word(),
            now,
            message.completed_at,
            tokens_to(tx, &message)?,
        ])?;
    Ok(message)
}

/// Adds a whole message as it is in a version.
pub fn put(tx: &WriteTx<'_>, message: &Message) -> Result<()> {
    tx.sql()
        .prepare_cached(
            "INSERT INTO convo_messages (id, branch_id, number, role, kind, source, text, state,
                kept, created_at, completed_at, tokens_to)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            message.id,
            message.branch_id,
            message.number,
            message.role.word(),
            message.kind.word(),
            message.source,
            message.text,
            message.state.word(),
            message.is_kept,
            message.created_at,
            message.completed_at,
            tokens_to(tx, message)?,
        ])?;
    Ok(())
}

/// Completes the open message of `whole`'s branch and id with its text, source, state and whether
/// its edits are kept; fails if it is complete already.
pub fn complete(tx: &WriteTx<'_>, whole: &Message) -> Result<()> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE convo_messages
             SET source = ?2, text = ?3, state = ?4, completed_at = ?5, kept = ?6, tokens_to = ?8
             WHERE id = ?1 AND branch_id = ?7 AND state = 'open'",
        )?
        .execute(params![
            whole.id,
            whole.source,
            whole.text,
            whole.state.word(),
            whole.completed_at,
            whole.is_kept,
            whole.branch_id,
            tokens_to(tx, whole)?,
        ])?;
    ensure!(changed == 1, "message {} is complete already", whole.id);
    Ok(())
}

/// Takes back messages of a branch, of a run that came to nothing.
pub fn withdraw(tx: &WriteTx<'_>, branch_id: &str, ids: &[&str]) -> Result<()> {
    for id in ids {
        tx.sql()
            .prepare_cached("DELETE FROM convo_messages WHERE branch_id = ?1 AND id = ?2")?
            .execute([branch_id, id])?;
    }
    Ok(())
}
