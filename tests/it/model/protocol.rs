//! Which steps may be taken in a state, and which a fair run would take.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Mutex;

use plandex::lock::rules::{self, Lease};
use plandex::store::tickets::State;
use stateright::{Model, Property};

use super::world::*;

/// What is left out of the protocol, to see that the model would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// A write does not ask whether its ticket is still held.
    NoFenceCheck,
    /// The first look at a lease that is over condemns.
    NoSecondLook,
    /// A grant that nobody confirms stays.
    NoParking,
    /// Looks taken while the gate is shut count.
    LooksPastTheGate,
    /// Only the first in line looks after those that hold.
    FirstAloneTends,
    /// Whoever comes takes up any place that is out of line.
    TakesAnyPlace,
}

pub(super) struct Protocol {
    fault: Fault,
    /// The first of the claims that are made; the others follow in the order of `CLAIMS`.
    first_claim: usize,
    /// Whether a wait that times out may leave its place behind, one at a time.
    keeps: bool,
    /// States from which everybody is known to be served.
    served: Mutex<HashSet<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// By a process: the transactions of `lock`.
    Acquire(usize, usize),
    Confirm(usize),
    Rejoin(usize),
    Leave(usize),
    Keep(usize),
    TakeUp(usize, usize),
    Write(usize),
    Release(usize),
    Beat(usize),
    Look(usize, usize),
    Condemn(usize, usize),
    /// By whichever waiter.
    RemoveCondemned(usize),
    RemoveDead,
    Park,
    /// By whoever comes: a place that was kept for a minute.
    Forget(usize),
    /// To a process.
    Stop(usize),
    Resume(usize),
    Kill(usize),
    /// Time.
    GatePasses(Gate),
    GracePasses,
    LeasePasses(usize),
}

fn is_dead(row: &Row) -> bool {
    row.owner.is_none() && !row.kept
}

impl Protocol {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            fault,
            // Writes alone show every fault, and the shortest way to it the soonest.
            first_claim: if fault == Fault::None { 0 } else { WRITE },
            keeps: false,
            served: Mutex::default(),
        }
    }

    /// With kept places, and with one branch fewer to read.
    pub(super) fn keeping() -> Self {
        Self {
            first_claim: 1,
            keeps: true,
            ..Self::new(Fault::None)
        }
    }

    fn claims(&self) -> Range<usize> {
        self.first_claim..CLAIMS.len()
    }

    fn judge(&self, row: &Row, by: usize) -> Lease {
        let looked = row.looks[by] == Look::Ripe || self.fault == Fault::NoSecondLook;
        rules::judge(row.silence, LEASE, STAMP, looked.then_some(STAMP))
    }

    /// The transactions that `process` may run now.
    fn transactions(&self, world: &World, process: usize, steps: &mut Vec<Step>) {
        match world.processes[process].phase {
            Phase::Idle => {
                steps.extend(self.claims().map(|claim| Step::Acquire(process, claim)));
                let takes_any = self.fault == Fault::TakesAnyPlace;
                let is_free = |row: &Row| row.kept || (takes_any && row.state == State::Parked);
                let free = world.line.iter().position(is_free);
                steps.extend(free.map(|index| Step::TakeUp(process, index)));
            }
            Phase::Working(_) => {
                steps.extend([
                    Step::Write(process),
                    Step::Release(process),
                    Step::Beat(process),
                ]);
            }
            Phase::Waiting => {
                steps.push(Step::Leave(process));
                let state = world.row_of(process).map(|me| world.line[me].state);
                let is_out_of_turn = matches!(state, Some(State::Waiting | State::Parked));
                if self.keeps && is_out_of_turn && !world.line.iter().any(|row| row.kept) {
                    steps.push(Step::Keep(process));
                }
                match world.row_of(process).map(|me| world.line[me].state) {
                    Some(State::Granted) => steps.push(Step::Confirm(process)),
                    Some(State::Parked) => steps.push(Step::Rejoin(process)),
                    Some(State::Waiting | State::Held | State::Condemned) | None => {}
                }
                let is_over = |row: &Row| self.judge(row, process) == Lease::Over;
                for (index, row) in world.line.iter().enumerate() {
                    if row.state == State::Held && is_over(row) {
                        steps.push(Step::Condemn(process, index));
                    }
                }
            }
        }
    }

    /// The first looks that `process` may take.
    fn looks(&self, world: &World, process: usize, steps: &mut Vec<Step>) {
        let me = world.row_of(process).map(|me| world.line[me].state);
        if !world.runs_in(process, Phase::Waiting) || me != Some(State::Waiting) {
            return;
        }
        for (index, row) in world.line.iter().enumerate() {
            let is_first = self.judge(row, process) == Lease::FirstLook;
            if row.state == State::Held && is_first && row.looks[process] == Look::None {
                steps.push(Step::Look(process, index));
            }
        }
    }

    /// What any running waiter may do for the line.
    fn tending(&self, world: &World, steps: &mut Vec<Step>) {
        if !(0..PROCESSES).any(|process| world.runs_in(process, Phase::Waiting)) {
            return;
        }
        let is_overdue = |row: &Row| rules::is_overdue(row.state, row.silence, GRACE);
        if world.line.iter().any(is_dead) {
            steps.push(Step::RemoveDead);
        }
        if self.fault != Fault::NoParking && world.line.iter().any(is_overdue) {
            steps.push(Step::Park);
        }
        for (index, row) in world.line.iter().enumerate() {
            if row.state == State::Condemned {
                steps.push(Step::RemoveCondemned(index));
            }
        }
    }

    fn to_processes(world: &World, steps: &mut Vec<Step>) {
        for process in 0..PROCESSES {
            let is_idle = world.processes[process].phase == Phase::Idle;
            if !world.processes[process].running {
                steps.push(Step::Resume(process));
            } else if !is_idle {
                steps.push(Step::Stop(process));
            }
            if !is_idle {
                steps.push(Step::Kill(process));
            }
        }
    }

    fn time(world: &World, steps: &mut Vec<Step>) {
        let is_late = |row: &Row| row.silence == OVER_LEASE && world.is_running(row.owner);
        if world.gate == Gate::Shut {
            steps.push(Step::GatePasses(Gate::Open));
        } else if world.line.iter().any(|row| row.state == State::Held) {
            // While nothing is held, a shut gate only delays.
            steps.push(Step::GatePasses(Gate::Shut));
        }
        if world.gate == Gate::Shut || !world.line.iter().any(is_late) {
            steps.push(Step::GracePasses);
        }
        for (index, row) in world.line.iter().enumerate() {
            let may_fall_silent = world.gate == Gate::Shut || !world.is_running(row.owner);
            if row.state == State::Held && row.silence == RENEWED && may_fall_silent {
                steps.push(Step::LeasePasses(index));
            }
        }
    }

    /// What a running waiter does after a look at the line, as `lock::wait` decides it.
    fn duty(&self, world: &World, process: usize) -> Option<Step> {
        let me = world.row_of(process)?;
        match world.line[me].state {
            State::Granted => return Some(Step::Confirm(process)),
            State::Parked => return Some(Step::Rejoin(process)),
            State::Held | State::Condemned => return None,
            State::Waiting => {}
        }
        let standings = world.standings();
        let is_first = rules::watched(&standings, me) == rules::tended(&standings, me);
        let tended = if is_first || self.fault != Fault::FirstAloneTends {
            rules::tended(&standings, me)
        } else {
            rules::watched(&standings, me)
        };
        if tended.iter().any(|other| is_dead(&world.line[*other])) {
            return Some(Step::RemoveDead);
        }
        tended.into_iter().find_map(|other| {
            let row = &world.line[other];
            let is_overdue = rules::is_overdue(row.state, row.silence, GRACE);
            match (row.state, self.judge(row, process)) {
                (State::Granted, _) if is_overdue && self.fault != Fault::NoParking => {
                    Some(Step::Park)
                }
                (State::Condemned, _) => Some(Step::RemoveCondemned(other)),
                (State::Held, Lease::Over) => Some(Step::Condemn(process, other)),
                (State::Held, Lease::FirstLook) if row.looks[process] == Look::None => {
                    Some(Step::Look(process, other))
                }
                _ => None,
            }
        })
    }

    /// The next step of a run in which nothing more goes wrong and nobody stopped is resumed.
    fn fair_step(&self, world: &World) -> Option<World> {
        let mut steps = Vec::new();
        if world.gate == Gate::Shut {
            steps.push(Step::GatePasses(Gate::Open));
        }
        let running = || (0..PROCESSES).filter(|process| world.processes[*process].running);
        let works = |process: &usize| world.work(*process).is_some();
        steps.extend(running().filter(works).map(Step::Beat));
        steps.extend(running().filter_map(|process| self.duty(world, process)));
        steps.extend(running().filter(works).map(Step::Release));
        let mut time = Vec::new();
        Self::time(world, &mut time);
        time.retain(|step| !matches!(step, Step::GatePasses(_)));
        steps.extend(time);
        steps
            .into_iter()
            .find_map(|step| self.next_state(world, step))
    }

    fn somebody_runs_and_waits(world: &World) -> bool {
        (0..PROCESSES).any(|process| world.runs_in(process, Phase::Waiting))
    }

    /// Whether everybody that runs and waits is served without another fault.
    pub(super) fn everybody_is_served(&self, world: &World) -> bool {
        let mut way = Vec::new();
        let mut here = world.clone();
        while Self::somebody_runs_and_waits(&here) {
            let mut hasher = DefaultHasher::new();
            here.hash(&mut hasher);
            let name = hasher.finish();
            if self
                .served
                .lock()
                .expect("no panics inside")
                .contains(&name)
            {
                break;
            }
            let Some(next) = self.fair_step(&here) else {
                return false;
            };
            if way.contains(&name) {
                return false;
            }
            way.push(name);
            here = next;
        }
        self.served.lock().expect("no panics inside").extend(way);
        true
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let is_open = world.gate == Gate::Open;
        for process in (0..PROCESSES).filter(|process| world.processes[*process].running) {
            if is_open {
                self.transactions(world, process, steps);
            }
            if is_open || self.fault == Fault::LooksPastTheGate {
                self.looks(world, process, steps);
            }
        }
        if is_open {
            self.tending(world, steps);
        }
        if is_open {
            let kept = world.line.iter().position(|row| row.kept);
            steps.extend(kept.map(Step::Forget));
            Self::to_processes(world, steps);
        }
        Self::time(world, steps);
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Acquire(process, claim) => world.place(process, claim),
            Step::Confirm(process) => {
                let index = world.row_of(process)?;
                world.hold(process, index);
            }
            Step::Rejoin(process) => {
                let index = world.row_of(process)?;
                world.line[index].state = State::Waiting;
                world.grant();
            }
            Step::Leave(process) => world.leave(process),
            Step::Keep(process) => world.keep(process),
            Step::TakeUp(process, index) => world.take_up(process, index),
            Step::Forget(index) => world.remove(index),
            Step::Write(process) => world.write(process, before.work(process)?, self.fault),
            Step::Release(process) => world.release(process, before.work(process)?),
            Step::Beat(process) => world.beat(process),
            Step::Look(process, index) => world.line[index].looks[process] = Look::First,
            Step::Condemn(_, index) => world.condemn(index),
            Step::RemoveCondemned(index) => world.remove(index),
            Step::RemoveDead => world.remove_dead(),
            Step::Park => world.park_overdue(),
            Step::Stop(process) => world.processes[process].running = false,
            Step::Resume(process) => world.processes[process].running = true,
            Step::Kill(process) => world.kill(process),
            Step::GatePasses(gate) => world.gate = gate,
            Step::GracePasses => world.grace_passes(self.fault),
            Step::LeasePasses(index) => world.lease_passes(index),
        }
        world.rank_fences();
        if self.fault == Fault::None {
            world.name_by_place();
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = super::always();
        properties.extend(super::sometimes());
        properties
    }
}
