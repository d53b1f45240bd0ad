//! The rows of a branch as one value: those that its head's tree holds, too.

use std::collections::HashSet;

use anyhow::Result;
use rusqlite::params;

use super::branch_settings::{self, BranchSetting};
use super::changes::{self, Build, Change};
use super::contexts::{self, Context};
use super::messages::{self, Message, State};
use super::summaries::{self, Summary};
use super::{ReadTx, WriteTx};
use crate::platform::clock;

/// What a branch holds that a version of it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// Its context, in the order of the first load.
    pub contexts: Vec<Context>,
    /// Its conversation, in order; nothing that is still open.
    pub messages: Vec<Message>,
    /// Its builds, oldest first.
    pub builds: Vec<Build>,
    /// Its pending changes, by path.
    pub pending: Vec<Change>,
    /// What its conversation was about, by the last message told of.
    pub summaries: Vec<Summary>,
    /// What was set for it, by name.
    pub settings: Vec<BranchSetting>,
}

impl Rows {
    /// The rows of a branch as they are.
    pub fn of_branch(tx: &ReadTx<'_>, branch_id: &str) -> Result<Self> {
        let mut messages = messages::of_branch(tx, branch_id)?;
        messages.retain(|message| message.state != State::Open);
        let mut rows = Self {
            contexts: contexts::of_branch(tx, branch_id)?,
            messages,
            builds: changes::builds(tx, branch_id)?,
            pending: changes::pending(tx, branch_id)?,
            summaries: summaries::of_branch(tx, branch_id)?,
            settings: branch_settings::of_branch(tx, branch_id)?,
        };
        rows.sort();
        Ok(rows)
    }

    /// Puts everything in its order, so that equal rows are equal values.
    pub fn sort(&mut self) {
        self.contexts
            .sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        self.messages.sort_by_key(|message| message.number);
        self.builds
            .sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        self.pending.sort_by(|a, b| a.path.cmp(&b.path));
        self.summaries.sort_by_key(|summary| summary.up_to);
        self.settings.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// What differs from `other`, in words ("2 messages"); empty if nothing.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut words = Vec::new();
        let mut note = |count: usize, one: &str, many: &str| match count {
            0 => {}
            1 => words.push(format!("1 {one}")),
            count => words.push(format!("{count} {many}")),
        };
        note(
            differing(&self.contexts, &other.contexts, |c| &c.id),
            "context",
            "contexts",
        );
        note(
            differing(&self.messages, &other.messages, |m| &m.id),
            "message",
            "messages",
        );
        note(
            differing(&self.builds, &other.builds, |b| &b.id),
            "build",
            "builds",
        );
        note(
            differing(&self.pending, &other.pending, |c| &c.id),
            "pending change",
            "pending changes",
        );
        note(
            differing(&self.summaries, &other.summaries, |s| &s.id),
            "summary",
            "summaries",
        );
        note(
            differing(&self.settings, &other.settings, |s| &s.name),
            "setting",
            "settings",
        );
        words
    }
}

/// How many things are in one list and not, or otherwise, in the other.
fn differing<'r, T: PartialEq>(
    ours: &'r [T],
    theirs: &'r [T],
    key: impl Fn(&'r T) -> &'r String,
) -> usize {
    let known: std::collections::HashMap<&String, &T> =
        theirs.iter().map(|one| (key(one), one)).collect();
    let keys: HashSet<&String> = ours.iter().map(&key).collect();
    let changed = ours
        .iter()
        .filter(|one| known.get(key(one)).is_none_or(|other| **other != **one))
        .count();
    changed + known.keys().filter(|name| !keys.contains(*name)).count()
}

/// Makes the rows of a branch `to`, where they are not so already; see [`change`].
pub fn replace(tx: &WriteTx<'_>, branch_id: &str, to: &Rows) -> Result<()> {
    let from = Rows::of_branch(tx, branch_id)?;
    change(tx, branch_id, &from, to)
}

/// Puts `to` in place of `from`, which are rows of a branch, or those of them that differ. A pending
/// change that is not in `to` ends as replaced; one that ended and is in `to` is pending again.
pub fn change(tx: &WriteTx<'_>, branch_id: &str, from: &Rows, to: &Rows) -> Result<()> {
    replace_contexts(tx, branch_id, &from.contexts, &to.contexts)?;
    replace_said(tx, branch_id, from, to)?;
    replace_pending(tx, branch_id, &from.pending, &to.pending)?;
    if from.settings != to.settings {
        branch_settings::replace(tx, branch_id, &to.settings)?;
    }
    Ok(())
}

/// The things of `from` that are not the same in `to`, and those of `to` that are not in `from`.
fn changed<'r, T: PartialEq>(
    from: &'r [T],
    to: &'r [T],
    id: impl Fn(&T) -> &str,
) -> (Vec<&'r T>, Vec<&'r T>) {
    let by_id = |all: &'r [T]| -> std::collections::HashMap<String, &'r T> {
        all.iter().map(|one| (id(one).to_owned(), one)).collect()
    };
    let (old, new) = (by_id(from), by_id(to));
    let differs = |one: &T, others: &std::collections::HashMap<String, &'r T>| {
        others.get(id(one)).is_none_or(|other| *other != one)
    };
    let gone = from.iter().filter(|one| differs(one, &new)).collect();
    let come = to.iter().filter(|one| differs(one, &old)).collect();
    (gone, come)
}

fn replace_contexts(
    tx: &WriteTx<'_>,
    branch_id: &str,
    from: &[Context],
    to: &[Context],
) -> Result<()> {
    let (gone, come) = changed(from, to, |one| &one.id);
    gone.iter()
        .try_for_each(|one| contexts::remove(tx, branch_id, &one.id))?;
    come.iter().try_for_each(|one| contexts::put(tx, one))
}

fn replace_said(tx: &WriteTx<'_>, branch_id: &str, from: &Rows, to: &Rows) -> Result<()> {
    let (gone, come) = changed(&from.messages, &to.messages, |one| &one.id);
    let ids: Vec<&str> = gone.iter().map(|one| one.id.as_str()).collect();
    messages::withdraw(tx, branch_id, &ids)?;
    come.iter().try_for_each(|one| messages::put(tx, one))?;
    let (gone, come) = changed(&from.builds, &to.builds, |one| &one.id);
    for build in gone {
        delete(tx, "plan_builds", branch_id, &build.id)?;
    }
    come.iter()
        .try_for_each(|one| changes::record_build(tx, branch_id, one))?;
    let (gone, come) = changed(&from.summaries, &to.summaries, |one| &one.id);
    for summary in gone {
        delete(tx, "summaries", branch_id, &summary.id)?;
    }
    come.iter()
        .try_for_each(|one| summaries::put(tx, branch_id, one))
}

fn replace_pending(
    tx: &WriteTx<'_>,
    branch_id: &str,
    from: &[Change],
    to: &[Change],
) -> Result<()> {
    let (gone, come) = changed(from, to, |one| &one.id);
    for change in gone {
        tx.sql()
            .prepare_cached(
                "UPDATE pending_changes SET state = 'replaced', ended_at = ?3
                 WHERE branch_id = ?1 AND id = ?2",
            )?
            .execute(params![branch_id, change.id, clock::wall_ms()])?;
    }
    for change in come {
        // It may have ended since: it is pending again.
        delete(tx, "pending_changes", branch_id, &change.id)?;
        changes::put(tx, change)?;
    }
    Ok(())
}

fn delete(tx: &WriteTx<'_>, table: &'static str, branch_id: &str, id: &str) -> Result<()> {
    tx.sql()
        .prepare_cached(&format!(
            "DELETE FROM {table} WHERE branch_id = ?1 AND id = ?2"
        ))?
        .execute([branch_id, id])?;
    Ok(())
}
