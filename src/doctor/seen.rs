//! What the tables say, with who of it lives.
//!
//! An operation that ends properly first removes its ticket and then frees its owner file. A look
//! that reads the row before and the file after sees a dead owner where nobody died. So what looks
//! dead is looked at once more: a row that is still there was left by a death.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::lock::owner;
use crate::platform::clock;
use crate::store::applies::{self, Apply};
use crate::store::branches::{self, Branch};
use crate::store::plans::{self, Plan};
use crate::store::settings::{self, Intervals};
use crate::store::streams::{self, Stream};
use crate::store::tickets::{self, Scope, State, Ticket};
use crate::store::{ReadTx, Store};

/// A ticket and whether its owner lives.
pub(super) struct Seat {
    pub(super) ticket: Ticket,
    pub(super) owner_lives: bool,
}

impl Seat {
    /// Whether somebody alive keeps others out with it.
    pub(super) fn is_at_work(&self) -> bool {
        self.owner_lives && self.ticket.state.blocks()
    }

    /// Whether somebody alive waits in line with it.
    pub(super) fn is_waiting(&self) -> bool {
        self.owner_lives && self.ticket.state == State::Waiting
    }

    /// Its living owner's pid and start time, if that process can be seen from here.
    fn process(&self) -> Option<(u32, i64)> {
        let visible = self.owner_lives && self.ticket.pid_ns == clock::namespace("pid");
        visible.then_some((self.ticket.pid, self.ticket.process_start))
    }

    /// Out of line and nobody's: the place that a wait which timed out comes back to.
    pub(super) fn is_kept_place(&self) -> bool {
        self.ticket.state == State::Parked && self.ticket.owner_id.is_empty()
    }

    fn is_dead(&self) -> bool {
        !self.owner_lives && !self.is_kept_place()
    }
}

/// A live plan with its live branches.
pub(super) struct PlanSeen {
    pub(super) plan: Plan,
    pub(super) branches: Vec<Branch>,
}

/// What was read, of one plan or of all.
pub(super) struct Seen {
    /// The names of all live plans, whatever was asked for.
    pub(super) names: BTreeMap<String, String>,
    /// The live plans asked for.
    pub(super) plans: Vec<PlanSeen>,
    /// Their tickets, and those of plans that are gone.
    pub(super) seats: Vec<Seat>,
    /// The applies that no living operation works on.
    pub(super) interrupted: Vec<Apply>,
    /// The branches whose status claims work that no living operation does.
    pub(super) stuck: Vec<Branch>,
    pub(super) owners: Owners,
    pub(super) intervals: Intervals,
}

/// Who lives and what they do, of all plans.
pub(super) struct Owners {
    /// The owner files that are locked.
    pub(super) living: Vec<String>,
    /// Those that tickets name, dead or alive.
    pub(super) named: BTreeSet<String>,
    /// The living ones that tickets tell the process of, seen from here: pid and start time.
    pub(super) processes: BTreeSet<(u32, i64)>,
    /// Runs that have not ended and whose ticket lives.
    pub(super) running_streams: usize,
    /// Waiting tickets of the living.
    pub(super) waiting: usize,
}

impl Seen {
    /// Reads the tables and looks for the owners; `plan_id` leaves out the other plans.
    pub(super) fn gather(store: &Store, plan_id: Option<&str>) -> Result<Self> {
        let rows = Rows::read(store, plan_id)?;
        Self::judge(rows, store.dir(), plan_id).confirm(store, plan_id)
    }

    /// Looks once more if something looks dead, and keeps of it what was dead both times.
    pub(super) fn confirm(self, store: &Store, plan_id: Option<&str>) -> Result<Self> {
        let is_calm = self.interrupted.is_empty()
            && self.stuck.is_empty()
            && !self.seats.iter().any(Seat::is_dead);
        if is_calm {
            return Ok(self);
        }
        let rows = Rows::read(store, plan_id)?;
        let mut second = Self::judge(rows, store.dir(), plan_id);
        second.keep_what_was_dead_in(&self);
        Ok(second)
    }

    pub(super) fn keep_what_was_dead_in(&mut self, first: &Self) {
        self.seats.retain(|seat| {
            let was_dead = |other: &Seat| {
                let (one, two) = (&other.ticket, &seat.ticket);
                other.is_dead() && (one.id, one.fence) == (two.id, two.fence)
            };
            !seat.is_dead() || first.seats.iter().any(was_dead)
        });
        self.interrupted
            .retain(|apply| first.interrupted.iter().any(|other| other.id == apply.id));
        self.stuck.retain(|branch| {
            let same = |other: &Branch| (&other.id, other.status) == (&branch.id, branch.status);
            first.stuck.iter().any(same)
        });
    }

    /// Looks for the owners that `rows` name.
    pub(super) fn judge(rows: Rows, dir: &Path, plan_id: Option<&str>) -> Self {
        let wanted = |id: &str| plan_id.is_none_or(|plan| plan == id);
        let named: BTreeSet<String> = rows.tickets.iter().map(|t| t.owner_id.clone()).collect();
        // One look per owner, so that its tickets agree.
        let alive: BTreeSet<&String> = named.iter().filter(|id| owner::is_alive(dir, id)).collect();
        let seat = |ticket: Ticket| Seat {
            owner_lives: alive.contains(&ticket.owner_id),
            ticket,
        };
        let mut seats: Vec<Seat> = rows.tickets.into_iter().map(seat).collect();
        let holds = |id: i64| {
            let mut seats = seats.iter();
            seats.any(|seat| seat.ticket.id == id && seat.is_at_work())
        };
        let is_backed = |branch: &Branch| {
            let writes = |seat: &Seat| seat.ticket.scope == Scope::Write && seat.is_at_work();
            let mut seats = seats.iter();
            seats.any(|seat| seat.ticket.plan_id == branch.plan_id && writes(seat))
        };
        let (mut interrupted, mut stuck) = (rows.applies, rows.claiming);
        interrupted.retain(|apply| wanted(&apply.plan_id) && !holds(apply.ticket));
        stuck.retain(|branch| wanted(&branch.plan_id) && !is_backed(branch));
        let running = rows.unfinished.iter().filter(|run| holds(run.ticket));
        let owners = Owners {
            running_streams: running.count(),
            waiting: seats.iter().filter(|seat| seat.is_waiting()).count(),
            processes: seats.iter().filter_map(Seat::process).collect(),
            living: owner::living(dir),
            named,
        };
        seats.retain(|seat| wanted(&seat.ticket.plan_id));
        let (names, plans, intervals) = (rows.names, rows.plans, rows.intervals);
        Self {
            names,
            plans,
            seats,
            interrupted,
            stuck,
            owners,
            intervals,
        }
    }

    /// The plan's name; its id if it is gone.
    pub(super) fn name(&self, plan_id: &str) -> String {
        let name = self.names.get(plan_id);
        name.cloned().unwrap_or_else(|| plan_id.to_owned())
    }

    /// Whether somebody alive works on the plan.
    pub(super) fn is_at_work(&self, plan_id: &str) -> bool {
        let mut seats = self.seats.iter();
        seats.any(|seat| seat.ticket.plan_id == plan_id && seat.is_at_work())
    }
}

/// What one snapshot of the tables gives: the plans asked for, and all of the rest.
pub(super) struct Rows {
    names: BTreeMap<String, String>,
    plans: Vec<PlanSeen>,
    /// The branches whose status claims work.
    claiming: Vec<Branch>,
    /// Their runs that have not ended.
    unfinished: Vec<Stream>,
    tickets: Vec<Ticket>,
    applies: Vec<Apply>,
    intervals: Intervals,
}

impl Rows {
    pub(super) fn read(store: &Store, plan_id: Option<&str>) -> Result<Self> {
        let wanted = |id: &str| plan_id.is_none_or(|plan| plan == id);
        store.read(|tx| Self::read_in(tx, &wanted))
    }

    fn read_in(tx: &ReadTx<'_>, wanted: &dyn Fn(&str) -> bool) -> Result<Self> {
        let live = plans::live(tx)?;
        let names = live.iter().map(|plan| (plan.id.clone(), plan.name.clone()));
        let names = names.collect();
        let mut plans = Vec::new();
        for plan in live.into_iter().filter(|plan| wanted(&plan.id)) {
            let branches = branches::of_plan(tx, &plan.id)?;
            plans.push(PlanSeen { plan, branches });
        }
        let claiming = branches::at_work(tx)?;
        let mut unfinished = Vec::new();
        for branch in &claiming {
            unfinished.extend(streams::unfinished(tx, &branch.id)?);
        }
        let unsettled = [applies::UNDECIDED, applies::UNSETTLED].concat();
        Ok(Self {
            names,
            plans,
            claiming,
            unfinished,
            tickets: tickets::all(tx)?,
            applies: applies::standing(tx, &unsettled)?,
            intervals: settings::intervals(tx)?,
        })
    }
}
