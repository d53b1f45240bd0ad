//! Tickets: the queue that is the lock. Permits are minted here and nowhere else.

mod asked;
mod below;
mod kept;
mod permit;
mod queue;
mod said;

use anyhow::Result;
use rusqlite::{OptionalExtension as _, Row, params};

pub use asked::{ToStop, request_cancel};
pub use below::{Line, has_waiting_behind, is_honoured, line_of_new, tokens_beside};
pub use kept::{KEPT, keep_place};
pub use permit::{AppendPermit, Permit, Proof, ReadPermit, WritePermit};
pub use queue::{
    OnConflict, Placed, beat, condemn, confirm, enter, grant, held_by, leave, park_unconfirmed,
    place, rejoin, release, remove_condemned, remove_dead, remove_forced,
};

use super::{ReadTx, history};
use crate::config::LockToken;
use crate::platform::clock::{self, Frame};

/// Whether an operation reads or changes a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Runs together with other reads of the same branch.
    Read,
    /// Runs alone on its plan.
    Write,
}

impl Scope {
    /// The letter in the table.
    pub fn letter(self) -> &'static str {
        match self {
            Self::Read => "r",
            Self::Write => "w",
        }
    }

    /// The word for people and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Where a ticket stands (`schema.sql` says what each means).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// In line.
    Waiting,
    /// Its turn, unconfirmed.
    Granted,
    /// Confirmed by its owner.
    Held,
    /// Out of line.
    Parked,
    /// Fenced off, still blocking.
    Condemned,
}

impl State {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Granted => "granted",
            Self::Held => "held",
            Self::Parked => "parked",
            Self::Condemned => "condemned",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "granted" => Self::Granted,
            "parked" => Self::Parked,
            "condemned" => Self::Condemned,
            _ => Self::Held,
        }
    }

    /// Whether a ticket in this state keeps conflicting ones out, wherever they stand.
    pub fn blocks(self) -> bool {
        matches!(self, Self::Granted | Self::Held | Self::Condemned)
    }
}

/// One row of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The ticket's number.
    pub id: i64,
    /// Its order in line.
    pub place: i64,
    /// Where it stands.
    pub state: State,
    /// The number of its grant; 0 before it.
    pub fence: i64,
    /// The plan.
    pub plan_id: String,
    /// Read or write.
    pub scope: Scope,
    /// The branch of a read.
    pub branch: Option<String>,
    /// The operation's stable reason.
    pub reason: String,
    /// The hold that its command runs below, on whatever plan.
    pub parent: Option<i64>,
    /// The hold of the same plan that it queues below; 0 for the plan's own line.
    pub below: i64,
    /// Where its owner hears of changes.
    pub doorbell: String,
    /// The owner file that proves its owner alive.
    pub owner_id: String,
    /// Who it is for (PLANDEX_ACTOR or a terminal), if known.
    pub actor: String,
    /// The owner's pid, in its own pid namespace.
    pub pid: u32,
    /// That namespace.
    pub pid_ns: i64,
    /// When that process started, in clock ticks since boot.
    pub process_start: i64,
    /// The machine's name.
    pub host: String,
    /// The command as typed.
    pub command: String,
    /// Wall time of its arrival.
    pub queued_at: i64,
    /// Wall time of its grant.
    pub granted_at: Option<i64>,
    /// Wall time of its last heartbeat.
    pub last_heartbeat_at: i64,
    /// Monotonic time of its last proof of life.
    pub lease_stamp: i64,
    /// The clock that the stamp is of.
    pub frame: Frame,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
}

const COLUMNS: &str = "id, place, state, fence, plan_id, scope, branch, reason, parent, below, doorbell, \
     owner_id, actor, pid, pid_ns, process_start, host, command, queued_at, granted_at, last_heartbeat_at, \
     lease_stamp, boot_id, time_ns, cancel_requested";

impl Ticket {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let state: String = row.get("state")?;
        let scope: String = row.get("scope")?;
        Ok(Self {
            id: row.get("id")?,
            place: row.get("place")?,
            state: State::parse(&state),
            fence: row.get("fence")?,
            plan_id: row.get("plan_id")?,
            scope: if scope == "r" {
                Scope::Read
            } else {
                Scope::Write
            },
            branch: row.get("branch")?,
            reason: row.get("reason")?,
            parent: row.get("parent")?,
            below: row.get("below")?,
            doorbell: row.get("doorbell")?,
            owner_id: row.get("owner_id")?,
            actor: row.get("actor")?,
            pid: row.get("pid")?,
            pid_ns: row.get("pid_ns")?,
            process_start: row.get("process_start")?,
            host: row.get("host")?,
            command: row.get("command")?,
            queued_at: row.get("queued_at")?,
            granted_at: row.get("granted_at")?,
            last_heartbeat_at: row.get("last_heartbeat_at")?,
            lease_stamp: row.get("lease_stamp")?,
            frame: Frame {
                boot_id: row.get("boot_id")?,
                time_ns: row.get("time_ns")?,
            },
            cancel_requested: row.get("cancel_requested")?,
        })
    }

    /// Milliseconds since its last proof of life on the monotonic clock; `None` if its stamp is of
    /// another clock, where only the owner file can tell.
    pub fn silence_ms(&self) -> Option<i64> {
        let here = Frame::here();
        let comparable = self.frame == *here && !here.boot_id.is_empty();
        comparable.then(|| clock::monotonic_ms() - self.lease_stamp)
    }
}

/// A ticket that does not exist yet.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// The plan.
    pub plan_id: String,
    /// Read or write.
    pub scope: Scope,
    /// The branch of a read.
    pub branch: Option<String>,
    /// The operation's stable reason.
    pub reason: String,
    /// Where its owner hears of changes while it waits.
    pub doorbell: String,
    /// Whose it is.
    pub owner: Owner,
    /// The hold that its process says it runs below.
    pub token: Option<LockToken>,
    /// The random part of the token that its own command is given; empty if it runs none.
    pub hold_token: String,
}

/// The process a ticket belongs to.
#[derive(Debug, Clone, Default)]
pub struct Owner {
    /// The name of the owner file.
    pub id: String,
    /// The owner's own doorbell, for held tickets.
    pub doorbell: String,
    /// PLANDEX_ACTOR or the terminal.
    pub actor: String,
    /// The pid and its namespace.
    pub pid: u32,
    /// The pid namespace.
    pub pid_ns: i64,
    /// When the process started, in clock ticks since boot.
    pub process_start: i64,
    /// The machine's name.
    pub host: String,
    /// The command as typed.
    pub command: String,
}

/// All tickets of one line, in its order: given a plan, its own line without those below a hold.
pub fn line<'a>(tx: &ReadTx<'_>, line: impl Into<Line<'a>>) -> Result<Vec<Ticket>> {
    let line = line.into();
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM repo_locks WHERE plan_id = ?1 AND below = ?2 ORDER BY id"
    ))?;
    let rows = select.query_map(params![line.plan_id, line.below], Ticket::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All tickets of a plan, in whatever line of it.
pub fn of_plan(tx: &ReadTx<'_>, plan_id: &str) -> Result<Vec<Ticket>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM repo_locks WHERE plan_id = ?1 ORDER BY id"
    ))?;
    let rows = select.query_map([plan_id], Ticket::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All tickets of all plans, plan by plan in the order of the line.
pub fn all(tx: &ReadTx<'_>) -> Result<Vec<Ticket>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM repo_locks ORDER BY plan_id, id"
    ))?;
    let rows = select.query_map([], Ticket::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The ticket `id`, if it is still there.
pub fn by_id(tx: &ReadTx<'_>, id: i64) -> Result<Option<Ticket>> {
    Ok(tx
        .sql()
        .prepare_cached(&format!("SELECT {COLUMNS} FROM repo_locks WHERE id = ?1"))?
        .query_row([id], Ticket::from_row)
        .optional()?)
}

/// Whether any ticket names the owner file `owner_id`.
pub fn names_owner(tx: &ReadTx<'_>, owner_id: &str) -> Result<bool> {
    Ok(tx
        .sql()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM repo_locks WHERE owner_id = ?1)")?
        .query_row([owner_id], |row| row.get(0))?)
}

/// Fails with [`super::StoreError::LockLost`] unless the ticket is held with its fence, and so is every
/// hold above it.
pub(super) fn check_fence(tx: &super::transaction::Tx<'_>, proof: &Proof) -> Result<()> {
    let sql = if proof.has_parent {
        "WITH RECURSIVE up (parent, state) AS (
            SELECT parent, state FROM repo_locks WHERE id = ?1 AND fence = ?2 AND plan_id = ?3
            UNION
            SELECT r.parent, r.state FROM up JOIN repo_locks r ON r.id = up.parent)
         SELECT total(parent IS NULL) = 1 AND total(state <> 'held') = 0 FROM up"
    } else {
        "SELECT EXISTS (SELECT 1 FROM repo_locks
            WHERE id = ?1 AND fence = ?2 AND plan_id = ?3 AND state = 'held')"
    };
    let held: bool = tx
        .connection()
        .prepare_cached(sql)?
        .query_row(params![proof.ticket, proof.fence, proof.plan_id], |row| {
            row.get(0)
        })?;
    if !held {
        let by = history::forced_by(&ReadTx(tx), proof.fence)?;
        return Err(history::lost(proof.ticket, by.as_deref()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
