//! Ending the ticket of an owner that hangs: condemn it, kill what it started, remove it.
//!
//! Each step is taken up by whoever finds it half done: the first waiter in line, or
//! `doctor --fix`. The owner itself is not killed: its fence fails from the first step on.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::retry::is_busy;
use super::{operation, owner, rules};
use crate::platform::cancel::Cancel;
use crate::platform::process::{Killing, Process};
use crate::platform::{clock, process, wait};
use crate::store::settings::Intervals;
use crate::store::tickets::{self, State, Ticket};
use crate::store::{Store, TicketTx, settings};

/// How often a look is tried that others keep from being sure.
const LOOKS: u32 = 10;
/// How long what a condemned owner started may take to die of SIGKILL.
const DYING: Duration = Duration::from_secs(5);
/// How long an owner that is robbed has to end what it runs: its own five seconds between TERM and
/// KILL, and one to be woken.
const GRACE: Duration = Duration::from_secs(6);
/// So many rounds are made at least.
const ROUNDS_LEAST: u32 = 4;
/// Between two looks at whether the owner has ended it.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at whether it died.
const TICK: Duration = Duration::from_millis(10);

/// What became of a ticket whose lease was found over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hung {
    /// It is removed, and the next in line is granted.
    Replaced,
    /// It was renewed: its owner lives, and it was left alone.
    CameBack,
    /// It was gone already.
    Gone,
    /// The gate kept us waiting at one of the two looks each time, so that silence proves nothing; it
    /// was left alone.
    Unsure,
    /// What its owner started cannot be seen from here or does not die, or we were called off; it
    /// still blocks.
    Stays,
}

/// Ends the held ticket `id` if its owner hangs, as a waiter would: two looks at its lease, the
/// grace apart, the second one inside the transaction that condemns it. Where others keep it from
/// looking it looks again, a few times.
pub fn replace_hung(store: &Store, id: i64, cancel: &Cancel) -> Result<Hung> {
    for _ in 1..LOOKS {
        let ended = try_replace_hung(store, id, cancel)?;
        if ended != Hung::Unsure {
            return Ok(ended);
        }
    }
    try_replace_hung(store, id, cancel)
}

fn try_replace_hung(store: &Store, id: i64, cancel: &Cancel) -> Result<Hung> {
    let (intervals, found) =
        store.read(|tx| Ok((settings::intervals(tx)?, tickets::by_id(tx, id)?)))?;
    let Some(ticket) = found else {
        return Ok(Hung::Gone);
    };
    if ticket.state != State::Condemned {
        let lease = i64::try_from(intervals.lease.as_millis()).unwrap_or(i64::MAX);
        let silence = ticket.silence_ms().unwrap_or(0);
        let first = rules::judge(silence, lease, ticket.lease_stamp, None);
        if ticket.state != State::Held || first == rules::Lease::Alive {
            return Ok(Hung::CameBack);
        }
        if is_out_of_sight(&ticket) {
            return Ok(Hung::Stays);
        }
        // Both looks go through the gate without having been kept from it: while nobody can write,
        // no heart can beat, and silence proves nothing.
        if at_once(store, &intervals, |_| Ok(()))?.is_none() {
            return Ok(Hung::Unsure);
        }
        wait::readable(&[cancel.as_fd()], intervals.grace())?;
        if cancel.is_set() {
            return Ok(Hung::Stays);
        }
        let seen = ticket.lease_stamp;
        match at_once(store, &intervals, |tx| {
            tickets::condemn(tx, id, seen, lease)
        })? {
            Some(true) => {}
            Some(false) => return Ok(Hung::CameBack),
            None => return Ok(Hung::Unsure),
        }
    }
    if see_to_its_end(store, &ticket, cancel)? {
        Ok(Hung::Replaced)
    } else {
        Ok(Hung::Stays)
    }
}

/// Removes a condemned ticket as whoever waits behind it would, as soon as its owner's time is over;
/// `false` if what its owner started cannot be seen from here or does not die, or if it is called off.
pub(super) fn see_to_its_end(store: &Store, ticket: &Ticket, cancel: &Cancel) -> Result<bool> {
    let until = Instant::now() + GRACE + super::GATE_PATIENCE;
    while !is_out_of_sight(ticket) && !cancel.is_set() && Instant::now() < until {
        match end_condemned(store, ticket, cancel, DYING) {
            // It is condemned, and that stays so: nobody is to be told that nothing was changed.
            Err(error) if is_busy(&error) => {}
            Ok(false) if !is_in_grace(store, ticket)? => break,
            Ok(false) => {}
            done => return done,
        }
        wait::readable(&[cancel.as_fd()], LOOK)?;
    }
    Ok(false)
}

/// One look; `None` if the gate kept it waiting.
fn at_once<T>(
    store: &Store,
    intervals: &Intervals,
    look: impl FnOnce(&TicketTx<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let (asked, limit) = (Instant::now(), intervals.grace() / 2);
    store.tickets(super::GATE_PATIENCE, |tx| {
        if asked.elapsed() > limit {
            Ok(None)
        } else {
            look(tx).map(Some)
        }
    })
}

/// Kills what a condemned owner started (not the owner itself), then removes its ticket. `false`
/// if something of it still lives after `patience`, or its owner has yet some time to end it.
pub(super) fn end_condemned(
    store: &Store,
    ticket: &Ticket,
    cancel: &Cancel,
    patience: Duration,
) -> Result<bool> {
    // What is out of sight is not killed either: whoever owns it might be among it.
    if is_out_of_sight(ticket) {
        return Ok(false);
    }
    if is_command(ticket) {
        if is_in_grace(store, ticket)?
            && let Some(started) = Started::of(store, ticket)?
            && started.owner_lives()
            && !started.members(&[]).is_empty()
        {
            return Ok(false);
        }
        if !kill_started(store, ticket, cancel, patience.min(DYING))? {
            return Ok(false);
        }
    }
    store.tickets(patience, |tx| tickets::remove_condemned(tx, ticket.id))?;
    Ok(true)
}

/// Kills what the owner of `ticket` started, but not the owner; `false` if something of it still lives
/// after `limit`, or cannot be seen.
fn kill_started(store: &Store, ticket: &Ticket, cancel: &Cancel, limit: Duration) -> Result<bool> {
    let until = Instant::now() + limit;
    let mut killing = Killing::default();
    let mut seen_empty = false;
    // Some rounds however short the limit, which bounds the others: to stop, to kill, to see.
    for round in 0_u32.. {
        let Some(started) = Started::of(store, ticket)? else {
            killing.spare();
            return Ok(true);
        };
        let is_empty = !killing.round(|stopped| started.members(stopped));
        // While a look through /proc goes on, a process may start another behind its back and end.
        // The lock on the file misses none, but an owner that lives keeps it too: looked at twice.
        let is_gone = if started.owner_lives() {
            std::mem::replace(&mut seen_empty, is_empty)
        } else {
            !owner::is_alive(store.dir(), &ticket.owner_id)
        };
        if is_empty && is_gone {
            return Ok(true);
        }
        // Where nothing can be seen and the file is held all the same, looking on helps nobody.
        let is_over = is_empty || Instant::now() >= until;
        if cancel.is_set() || (round >= ROUNDS_LEAST && is_over) {
            break;
        }
        wait::readable(&[cancel.as_fd()], TICK)?;
    }
    Ok(false)
}

/// What the owner of a ticket started under it, and how it is found.
struct Started {
    /// Everything that the owner's commands started has this open, or a mark from in it.
    path: PathBuf,
    marked: Vec<Process>,
    /// Whose descendants they are too: the owner's, while it lives.
    root: u32,
    /// What the other commands know themselves by that the owner runs (the lines of a batch).
    others: Vec<String>,
}

impl Started {
    /// `None` if the ticket is gone: then its owner, or somebody else, has seen to it.
    fn of(store: &Store, ticket: &Ticket) -> Result<Option<Self>> {
        // The owner itself is left alone, as long as it is that very process: its pid may be
        // another's by now.
        let owner_lives = process::is_running(ticket.pid, ticket.process_start);
        let root = if owner_lives {
            ticket.pid
        } else {
            process::NOBODY
        };
        let (found, others) = store.read(|tx| {
            let found = tickets::by_id(tx, ticket.id)?;
            Ok((found, tickets::tokens_beside(tx, ticket)?))
        })?;
        if found.is_none() {
            return Ok(None);
        }
        // What a dead owner ran ends as a whole.
        let others = if owner_lives { others } else { Vec::new() };
        Ok(Some(Self {
            path: owner::path(store.dir(), &ticket.owner_id),
            marked: owner::left_running(store.dir(), &ticket.owner_id),
            root,
            others: others.iter().map(ToString::to_string).collect(),
        }))
    }

    fn owner_lives(&self) -> bool {
        self.root != process::NOBODY
    }

    /// All that lives of it, and of the processes `known`.
    fn members(&self, known: &[Process]) -> Vec<Process> {
        let known = [known, &self.marked].concat();
        let mut family = process::family(&self.path, self.root, &known);
        if !self.others.is_empty() {
            // Looked at last: who started one of them meanwhile is spared with it.
            let others: Vec<&str> = self.others.iter().map(String::as_str).collect();
            let others = process::with_variable(owner::TOKEN_VARIABLE, &others);
            let spared = process::family(Path::new(""), process::NOBODY, &others);
            family.retain(|process| !spared.iter().any(|spared| spared.is(process)));
        }
        family
    }
}

/// Whether somebody condemned the ticket by force so lately that its owner may still be at ending
/// what it runs. Who hangs had a whole lease for it.
fn is_in_grace(store: &Store, ticket: &Ticket) -> Result<bool> {
    let lease = store.read(settings::intervals)?.lease;
    let grace = i64::try_from(GRACE.min(lease).as_millis()).unwrap_or(i64::MAX);
    Ok(ticket.silence_ms().is_some_and(|silence| silence < grace))
}

/// Whether it is a command's whose processes cannot be seen from this pid namespace. No fence
/// reaches an arbitrary program, so while the owner file is held its lease does not end.
pub fn is_out_of_sight(ticket: &Ticket) -> bool {
    ticket.pid_ns != clock::namespace("pid") && is_command(ticket)
}

/// Whether the ticket is an `exec`'s: its owner file is inherited by a command of the user's.
pub(super) fn is_command(ticket: &Ticket) -> bool {
    operation::is_command(&ticket.reason)
}
