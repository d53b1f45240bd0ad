//! Tickets: the queue that is the lock. Permits are minted here and nowhere else.
//!
//! Every change of a row ends with the grant step, in the same transaction. The grant step needs
//! to look only at the first in line: reads that run together stand in one block, so whoever
//! stands behind a ticket that must wait must wait too (the rule is `lock::rules`; a property test
//! holds this SQL to it).

use anyhow::{Result, bail};
use rusqlite::{OptionalExtension as _, Row, named_params, params};

use super::{ReadTx, StoreError, TicketTx, audit};
use crate::platform::bell::Ring;
use crate::platform::clock::{self, Frame};
use audit::Outcome;

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

const COLUMNS: &str = "id, place, state, fence, plan_id, scope, branch, reason, doorbell, owner_id, \
     actor, pid, pid_ns, process_start, host, command, queued_at, granted_at, last_heartbeat_at, \
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

/// The proof that a ticket was granted: made by the granting SQL only, never copied.
#[derive(Debug)]
pub struct Proof {
    ticket: i64,
    fence: i64,
    plan_id: String,
    branch: Option<String>,
}

impl Proof {
    /// The ticket's number.
    pub fn ticket(&self) -> i64 {
        self.ticket
    }

    /// The number of this grant, larger than every earlier one's.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// The plan that is held.
    pub fn plan_id(&self) -> &str {
        &self.plan_id
    }

    /// The branch of a read.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }
}

mod sealed {
    /// Made from a proof, which only the granting SQL makes.
    pub trait Mint: Sized + Send + Sync + 'static {
        fn mint(proof: super::Proof) -> Self;
    }
}

/// A held ticket in the type system. There is no other way to one than the granting SQL:
///
/// ```compile_fail
/// use plandex::store::tickets::WritePermit;
/// let forged = WritePermit { proof: todo!() };
/// ```
///
/// ```compile_fail
/// fn twice(permit: &plandex::store::tickets::WritePermit) -> plandex::store::tickets::WritePermit {
///     permit.clone()
/// }
/// ```
///
/// and a read permit does not open the writing door:
///
/// ```compile_fail
/// use plandex::store::{Store, tickets::ReadPermit};
/// fn write(store: &Store, permit: &ReadPermit) {
///     let _ = store.write(permit, |_| Ok(()));
/// }
/// ```
pub trait Permit: sealed::Mint {
    /// The scope its ticket has.
    const SCOPE: Scope;

    /// The proof inside.
    fn proof(&self) -> &Proof;
}

macro_rules! permit {
    ($(#[$doc:meta])* $name:ident, $scope:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[must_use]
        pub struct $name {
            proof: Proof,
        }

        impl sealed::Mint for $name {
            fn mint(proof: Proof) -> Self {
                Self { proof }
            }
        }

        impl Permit for $name {
            const SCOPE: Scope = $scope;
            fn proof(&self) -> &Proof {
                &self.proof
            }
        }
    };
}

permit! {
    /// The plan is ours alone.
    WritePermit, Scope::Write
}
permit! {
    /// The branch stands still while we look.
    ReadPermit, Scope::Read
}
permit! {
    /// A read ticket under which context may be added.
    AppendPermit, Scope::Read
}

/// What became of a new ticket.
#[derive(Debug)]
pub enum Placed<P> {
    /// It is held already.
    Held(P),
    /// It waits.
    Waiting(i64),
    /// It was refused, and there is no row: `queue.max` tickets wait already.
    QueueFull(i64),
    /// It was refused, and there is no row: it would have had to wait.
    Conflict,
}

/// What to do with a new ticket that cannot be granted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It waits in line.
    Queue,
    /// It is not inserted.
    Refuse,
}

/// The conflict predicate of `lock::rules` in SQL: `e` keeps the ticket (`:scope`, `:branch`) out.
const CONFLICTS: &str =
    "NOT (e.scope = 'r' AND :scope = 'r' AND e.branch IS NOT NULL AND e.branch IS :branch)";

/// Inserts a ticket: held at once if nothing in line conflicts with it, else waiting or refused.
pub fn place<P: Permit>(
    tx: &TicketTx<'_>,
    new: &NewTicket,
    on_conflict: OnConflict,
) -> Result<Placed<P>> {
    debug_assert_eq!(new.scope, P::SCOPE);
    let mut blocked = tx.sql().prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM repo_locks e WHERE e.plan_id = :plan AND e.parent IS NULL
            AND e.state IN ('granted', 'held', 'condemned', 'waiting') AND {CONFLICTS})"
    ))?;
    let conflict: bool = blocked.query_row(
        named_params! {":plan": new.plan_id, ":scope": new.scope.letter(), ":branch": new.branch},
        |row| row.get(0),
    )?;
    if !conflict {
        let now = clock::wall_ms();
        let fence = audit::granted(tx, new, now, now)?;
        let ticket = insert(tx, new, State::Held, fence, Some(now))?;
        audit::set_ticket(tx, fence, ticket)?;
        let (plan_id, branch) = (new.plan_id.clone(), new.branch.clone());
        return Ok(Placed::Held(P::mint(Proof {
            ticket,
            fence,
            plan_id,
            branch,
        })));
    }
    if on_conflict == OnConflict::Refuse {
        return Ok(Placed::Conflict);
    }
    let waiting: i64 = tx
        .sql()
        .prepare_cached(
            "SELECT count(*) FROM repo_locks
             WHERE plan_id = ?1 AND parent IS NULL AND state = 'waiting'",
        )?
        .query_row([&new.plan_id], |row| row.get(0))?;
    let most = super::settings::queue_max(tx)?;
    if waiting >= most {
        return Ok(Placed::QueueFull(most));
    }
    Ok(Placed::Waiting(insert(tx, new, State::Waiting, 0, None)?))
}

fn insert(
    tx: &TicketTx<'_>,
    new: &NewTicket,
    state: State,
    fence: i64,
    granted_at: Option<i64>,
) -> Result<i64> {
    let frame = Frame::here();
    let doorbell = if state == State::Held {
        &new.owner.doorbell
    } else {
        &new.doorbell
    };
    let now = clock::wall_ms();
    tx.sql()
        .prepare_cached(
            "INSERT INTO repo_locks (state, fence, plan_id, scope, branch, reason, doorbell,
                owner_id, actor, pid, pid_ns, process_start, host, command, queued_at, granted_at,
                last_heartbeat_at, lease_stamp, boot_id, time_ns)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?15,
                ?17, ?18, ?19)",
        )?
        .execute(params![
            state.word(),
            fence,
            new.plan_id,
            new.scope.letter(),
            new.branch,
            new.reason,
            doorbell,
            new.owner.id,
            new.owner.actor,
            new.owner.pid,
            new.owner.pid_ns,
            new.owner.process_start,
            new.owner.host,
            new.owner.command,
            now,
            granted_at,
            clock::monotonic_ms(),
            frame.boot_id,
            frame.time_ns,
        ])?;
    Ok(tx.sql().last_insert_rowid())
}

/// The grant step: grants the head of the line while it conflicts with no granted ticket, and
/// rings the granted and the one then first in line. Returns how many were granted.
pub fn grant(tx: &TicketTx<'_>, plan_id: &str) -> Result<usize> {
    let mut granted = 0;
    loop {
        let head = tx
            .sql()
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM repo_locks
                 WHERE plan_id = ?1 AND parent IS NULL AND state = 'waiting'
                 ORDER BY place LIMIT 1"
            ))?
            .query_row([plan_id], Ticket::from_row)
            .optional()?;
        let Some(head) = head else { return Ok(granted) };
        if is_blocked(tx, &head)? {
            tx.ring(&head.doorbell, Ring::Look);
            return Ok(granted);
        }
        let now = clock::wall_ms();
        let fence = audit::granted_ticket(tx, &head, now)?;
        tx.sql()
            .prepare_cached(
                "UPDATE repo_locks SET state = 'granted', fence = ?2, granted_at = ?3,
                    lease_stamp = ?4 WHERE id = ?1",
            )?
            .execute(params![head.id, fence, now, clock::monotonic_ms()])?;
        tx.ring(&head.doorbell, Ring::Granted);
        granted += 1;
    }
}

fn is_blocked(tx: &ReadTx<'_>, ticket: &Ticket) -> Result<bool> {
    Ok(tx
        .sql()
        .prepare_cached(&format!(
            "SELECT EXISTS (SELECT 1 FROM repo_locks e WHERE e.plan_id = :plan AND e.parent IS NULL
                AND e.state IN ('granted', 'held', 'condemned') AND {CONFLICTS})"
        ))?
        .query_row(
            named_params! {":plan": ticket.plan_id, ":scope": ticket.scope.letter(),
            ":branch": ticket.branch},
            |row| row.get(0),
        )?)
}

/// Confirms a grant: the owner takes its turn up. `None` if it is not granted (any more).
pub fn confirm<P: Permit>(tx: &TicketTx<'_>, id: i64, owner: &Owner) -> Result<Option<P>> {
    let row = tx
        .sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'held', doorbell = ?3, lease_stamp = ?4,
                last_heartbeat_at = ?5
             WHERE id = ?1 AND owner_id = ?2 AND state = 'granted' AND scope = ?6
             RETURNING fence, plan_id, branch",
        )?
        .query_row(
            params![
                id,
                owner.id,
                owner.doorbell,
                clock::monotonic_ms(),
                clock::wall_ms(),
                P::SCOPE.letter()
            ],
            |row| {
                let (fence, plan_id, branch) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Proof {
                    ticket: id,
                    fence,
                    plan_id,
                    branch,
                })
            },
        )
        .optional()?;
    Ok(row.map(P::mint))
}

/// Releases a held ticket, keyed by id and fence, and grants the next. `false` if it was lost.
pub fn release(tx: &TicketTx<'_>, proof: &Proof, outcome: Outcome) -> Result<bool> {
    let deleted = tx
        .sql()
        .prepare_cached("DELETE FROM repo_locks WHERE id = ?1 AND fence = ?2 AND state = 'held'")?
        .execute(params![proof.ticket, proof.fence])?;
    if deleted == 0 {
        return Ok(false);
    }
    audit::ended(tx, proof.fence, outcome)?;
    grant(tx, &proof.plan_id)?;
    Ok(true)
}

/// Takes a ticket that was never confirmed out of the line, granted or not.
pub fn leave(tx: &TicketTx<'_>, id: i64, outcome: Outcome) -> Result<()> {
    if let Some(ticket) = by_id(tx, id)? {
        remove(tx, &ticket, outcome)?;
        grant(tx, &ticket.plan_id)?;
    }
    Ok(())
}

/// Puts a parked ticket of `owner` back to waiting in its place.
pub fn rejoin(tx: &TicketTx<'_>, id: i64, owner: &Owner) -> Result<()> {
    let plan: Option<String> = tx
        .sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'waiting', fence = 0, granted_at = NULL
             WHERE id = ?1 AND owner_id = ?2 AND state = 'parked' RETURNING plan_id",
        )?
        .query_row(params![id, owner.id], |row| row.get(0))
        .optional()?;
    if let Some(plan) = plan {
        grant(tx, &plan)?;
    }
    Ok(())
}

/// Removes the tickets of `plan_id` whose owners `is_alive` denies, then grants. Parked tickets
/// without an owner are kept places and stay.
pub fn remove_dead(
    tx: &TicketTx<'_>,
    plan_id: &str,
    is_alive: &dyn Fn(&str) -> bool,
) -> Result<usize> {
    let mut removed = 0;
    for ticket in line(tx, plan_id)? {
        let is_kept_place = ticket.state == State::Parked && ticket.owner_id.is_empty();
        if !is_kept_place && !is_alive(&ticket.owner_id) {
            remove(tx, &ticket, Outcome::OwnerDied)?;
            removed += 1;
        }
    }
    if removed > 0 {
        grant(tx, plan_id)?;
    }
    Ok(removed)
}

/// Parks the grants of `plan_id` that nobody confirmed within `limit_ms`, then grants the next.
pub fn park_unconfirmed(tx: &TicketTx<'_>, plan_id: &str, limit_ms: i64) -> Result<usize> {
    let overdue: Vec<Ticket> = line(tx, plan_id)?
        .into_iter()
        .filter(|ticket| ticket.state == State::Granted)
        .filter(|ticket| {
            ticket
                .silence_ms()
                .is_some_and(|silence| silence > limit_ms)
        })
        .collect();
    for ticket in &overdue {
        audit::ended(tx, ticket.fence, Outcome::Unconfirmed)?;
        tx.sql()
            .prepare_cached("UPDATE repo_locks SET state = 'parked' WHERE id = ?1")?
            .execute([ticket.id])?;
        tx.ring(&ticket.doorbell, Ring::Look);
    }
    if !overdue.is_empty() {
        grant(tx, plan_id)?;
    }
    Ok(overdue.len())
}

/// Condemns a held ticket whose lease is over, if its stamp is still `seen_stamp`: the second
/// look, so that a stall of the whole machine expires nobody. Its fence fails from here on.
pub fn condemn(tx: &TicketTx<'_>, id: i64, seen_stamp: i64, lease_ms: i64) -> Result<bool> {
    let changed = tx
        .sql()
        .prepare_cached(
            "UPDATE repo_locks SET state = 'condemned'
             WHERE id = ?1 AND state = 'held' AND lease_stamp = ?2 AND ?3 - lease_stamp > ?4",
        )?
        .execute(params![id, seen_stamp, clock::monotonic_ms(), lease_ms])?;
    Ok(changed == 1)
}

/// Removes a condemned ticket, after what its owner started is gone, and grants the next.
pub fn remove_condemned(tx: &TicketTx<'_>, id: i64) -> Result<()> {
    if let Some(ticket) = by_id(tx, id)?
        && ticket.state == State::Condemned
    {
        remove(tx, &ticket, Outcome::LeaseExpired)?;
        grant(tx, &ticket.plan_id)?;
    }
    Ok(())
}

/// Removes a ticket by the words of a person (`doctor --fix`), if it still carries `fence`.
pub fn remove_forced(tx: &TicketTx<'_>, id: i64, fence: i64) -> Result<bool> {
    match by_id(tx, id)? {
        Some(ticket) if ticket.fence == fence => {
            remove(tx, &ticket, Outcome::Forced)?;
            tx.ring(&ticket.doorbell, Ring::Look);
            grant(tx, &ticket.plan_id)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn remove(tx: &TicketTx<'_>, ticket: &Ticket, outcome: Outcome) -> Result<()> {
    tx.sql()
        .prepare_cached("DELETE FROM repo_locks WHERE id = ?1")?
        .execute([ticket.id])?;
    if ticket.state.blocks() && ticket.fence != 0 {
        audit::ended(tx, ticket.fence, outcome)
    } else {
        audit::gave_up(tx, ticket, outcome)
    }
}

/// Renews the leases of all tickets that `owner_id` holds; returns those still there, with
/// whether somebody asked them to stop.
pub fn beat(tx: &TicketTx<'_>, owner_id: &str) -> Result<Vec<(i64, bool)>> {
    let mut update = tx.sql().prepare_cached(
        "UPDATE repo_locks SET last_heartbeat_at = ?2, lease_stamp = ?3
         WHERE owner_id = ?1 AND state = 'held' RETURNING id, cancel_requested",
    )?;
    let rows = update.query_map(
        params![owner_id, clock::wall_ms(), clock::monotonic_ms()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The held tickets of `owner_id` with whether somebody asked them to stop.
pub fn held_by(tx: &ReadTx<'_>, owner_id: &str) -> Result<Vec<(i64, bool)>> {
    let mut select = tx.sql().prepare_cached(
        "SELECT id, cancel_requested FROM repo_locks WHERE owner_id = ?1 AND state = 'held'",
    )?;
    let rows = select.query_map([owner_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Asks the running and waiting operations of a plan that change it to stop; returns them.
pub fn request_cancel(tx: &TicketTx<'_>, plan_id: &str) -> Result<Vec<Ticket>> {
    let asked: Vec<Ticket> = line(tx, plan_id)?
        .into_iter()
        .filter(|ticket| ticket.scope == Scope::Write && ticket.state != State::Condemned)
        .filter(|ticket| ticket.state.blocks())
        .collect();
    for ticket in &asked {
        tx.sql()
            .prepare_cached("UPDATE repo_locks SET cancel_requested = 1 WHERE id = ?1")?
            .execute([ticket.id])?;
        tx.ring(&ticket.doorbell, Ring::Look);
    }
    Ok(asked)
}

/// All tickets of `plan_id` (not those below a hold) in the order of the line.
pub fn line(tx: &ReadTx<'_>, plan_id: &str) -> Result<Vec<Ticket>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM repo_locks WHERE plan_id = ?1 AND parent IS NULL ORDER BY place, id"
    ))?;
    let rows = select.query_map([plan_id], Ticket::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All tickets of all plans, plan by plan in the order of the line.
pub fn all(tx: &ReadTx<'_>) -> Result<Vec<Ticket>> {
    let mut select = tx.sql().prepare_cached(&format!(
        "SELECT {COLUMNS} FROM repo_locks ORDER BY plan_id, place, id"
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

/// Fails with [`StoreError::LockLost`] unless the ticket is held with its fence.
pub(super) fn check_fence(tx: &super::transaction::Tx<'_>, proof: &Proof) -> Result<()> {
    let held: bool = tx
        .connection()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM repo_locks
                WHERE id = ?1 AND fence = ?2 AND plan_id = ?3 AND state = 'held')",
        )?
        .query_row(params![proof.ticket, proof.fence, proof.plan_id], |row| {
            row.get(0)
        })?;
    if !held {
        bail!(StoreError::LockLost {
            ticket: proof.ticket
        });
    }
    Ok(())
}
