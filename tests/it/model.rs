//! The lock protocol, exhausted by a model checker over the functions that production runs.
//!
//! Three processes (each may die and be started again) take tickets on two branches of one plan,
//! to read or to write, wherever and as often as they like. Every transaction is one step, and
//! between any two steps any process may be stopped, resumed or killed, and time may pass.
//! Nothing is counted down: each fault may strike any number of times, and the graph of states is
//! finite all the same because fences are kept as ranks. The shortest way to some states needs a
//! fault twice; those are asked for by name, so that a model that cannot reach them fails.
//!
//! Time. A ticket's silence is one of three: renewed, longer than the grace, longer than the
//! lease. A lease runs out while its owner does not run, or while the gate is shut (a process
//! stopped inside it, a stall of the whole machine: nobody commits). When a grace passes with the
//! gate open, every running heart has had its turn: a heart at the gate gets in within
//! milliseconds, so the grace waits for it. A waiter that finds the gate shut when its grace is
//! over forgets its first look (`lock::wait` gives up at the gate after half a grace).
//!
//! A waiter's decisions are taken on a snapshot that may be old when its transaction runs, so a
//! waiter here may run any transaction whose own condition holds, not only the one it would
//! choose. What it chooses decides whether the line moves at all, and is used for that: from every
//! state, running processes alone, with every stopped one left stopped, must serve all that wait.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Instant;

use plandex::lock::rules::{self, Claim, Lease, Standing};
use plandex::store::tickets::{Scope, State};
use stateright::{Checker, Model, Property};

const PROCESSES: usize = 3;
/// What a process may ask for. A read of the root conflicts as a write does.
const CLAIMS: [Claim<'static>; 3] = [
    Claim {
        scope: Scope::Read,
        branch: Some("main"),
    },
    Claim {
        scope: Scope::Read,
        branch: Some("feature"),
    },
    Claim {
        scope: Scope::Write,
        branch: None,
    },
];

/// Where the write stands among them.
const WRITE: usize = 2;

const RENEWED: i64 = 0;
const OVER_GRACE: i64 = 1;
const OVER_LEASE: i64 = 2;
/// The limits that silence is compared with.
const GRACE: i64 = RENEWED;
const LEASE: i64 = OVER_GRACE;
/// A renewal makes every look at the stamp before it void, so the stamps need not differ here.
const STAMP: i64 = 0;

/// What is left out of the protocol, to see that the model would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
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
}

struct Protocol {
    fault: Fault,
    /// States from which everybody is known to be served.
    served: Mutex<HashSet<u64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Look {
    None,
    /// Seen over, less than a grace ago.
    First,
    /// Seen over, a grace ago.
    Ripe,
}

/// A row of `repo_locks`; its place in line is its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row {
    state: State,
    claim: usize,
    /// The rank of the fence among those that anybody remembers; 0 before the grant.
    fence: i64,
    /// `None` if its owner file is free.
    owner: Option<usize>,
    silence: i64,
    /// Whether its owner stood still while that silence grew.
    hung: bool,
    looks: [Look; PROCESSES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Work {
    claim: usize,
    fence: i64,
    /// Whether a conflicting later grant has written since.
    overtaken: bool,
    /// Whether the heartbeat has cancelled it.
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Phase {
    Idle,
    Waiting,
    Working(Work),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Process {
    running: bool,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Gate {
    Open,
    Shut,
}

/// What may never be done, noted by the step that does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Crime {
    StaleWrite,
    Inversion,
    CondemnedAlive,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    line: Vec<Row>,
    processes: [Process; PROCESSES],
    gate: Gate,
    crime: Option<Crime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// By a process: the transactions of `lock`.
    Acquire(usize, usize),
    Confirm(usize),
    Rejoin(usize),
    Leave(usize),
    Write(usize),
    Release(usize),
    Beat(usize),
    Look(usize, usize),
    Condemn(usize, usize),
    /// By whichever waiter.
    RemoveCondemned(usize),
    RemoveDead,
    Park,
    /// To a process.
    Stop(usize),
    Resume(usize),
    Kill(usize),
    /// Time.
    GatePasses(Gate),
    GracePasses,
    LeasePasses(usize),
}

impl World {
    fn new() -> Self {
        let idle = Process {
            running: true,
            phase: Phase::Idle,
        };
        Self {
            line: Vec::new(),
            processes: [idle; PROCESSES],
            gate: Gate::Open,
            crime: None,
        }
    }

    fn standings(&self) -> Vec<Standing<'static>> {
        let standing = |row: &Row| Standing {
            state: row.state,
            claim: CLAIMS[row.claim],
        };
        self.line.iter().map(standing).collect()
    }

    /// The row that `process` waits for or works under.
    fn row_of(&self, process: usize) -> Option<usize> {
        self.line.iter().position(|row| row.owner == Some(process))
    }

    fn is_running(&self, owner: Option<usize>) -> bool {
        owner.is_some_and(|process| self.processes[process].running)
    }

    fn runs_in(&self, process: usize, phase: Phase) -> bool {
        self.processes[process]
            == Process {
                running: true,
                phase,
            }
    }

    fn work(&self, process: usize) -> Option<Work> {
        match self.processes[process].phase {
            Phase::Working(work) => Some(work),
            Phase::Idle | Phase::Waiting => None,
        }
    }

    fn next_fence(&self) -> i64 {
        let rows = self.line.iter().map(|row| row.fence);
        let works = (0..PROCESSES).filter_map(|process| Some(self.work(process)?.fence));
        rows.chain(works).max().unwrap_or(0) + 1
    }

    fn commit(&mut self, crime: Crime, committed: bool) {
        if committed && self.crime.is_none() {
            self.crime = Some(crime);
        }
    }

    /// Whether a ticket that waits, unparked, before `index` conflicts with the one there.
    fn overtakes(&self, index: usize) -> bool {
        let me = CLAIMS[self.line[index].claim];
        self.line[..index]
            .iter()
            .any(|row| row.state == State::Waiting && rules::conflicts(CLAIMS[row.claim], me))
    }

    /// The grant step, which ends every transaction that took something out of the way.
    fn grant(&mut self) {
        for index in rules::grantable(&self.standings()) {
            self.line[index].fence = self.next_fence();
            self.line[index].state = State::Granted;
            self.line[index].silence = RENEWED;
            self.commit(Crime::Inversion, self.overtakes(index));
        }
    }

    fn remove(&mut self, index: usize) {
        self.line.remove(index);
        self.grant();
    }

    fn remove_dead(&mut self) {
        let before = self.line.len();
        self.line.retain(|row| row.owner.is_some());
        if self.line.len() < before {
            self.grant();
        }
    }

    fn place(&mut self, process: usize, claim: usize) {
        self.remove_dead();
        self.line.push(Row {
            state: State::Waiting,
            claim,
            fence: 0,
            owner: Some(process),
            silence: RENEWED,
            hung: false,
            looks: [Look::None; PROCESSES],
        });
        let last = self.line.len() - 1;
        if rules::grantable(&self.standings()).contains(&last) {
            self.line[last].fence = self.next_fence();
            self.commit(Crime::Inversion, self.overtakes(last));
            self.hold(process, last);
        } else {
            self.processes[process].phase = Phase::Waiting;
        }
    }

    fn hold(&mut self, process: usize, index: usize) {
        let row = &mut self.line[index];
        row.state = State::Held;
        row.silence = RENEWED;
        self.processes[process].phase = Phase::Working(Work {
            claim: row.claim,
            fence: row.fence,
            overtaken: false,
            told: false,
        });
        self.forget_looks_of(process);
    }

    /// One fenced transaction on plan data.
    fn write(&mut self, process: usize, work: Work, fault: Fault) {
        let row = self.row_of(process).map(|index| &self.line[index]);
        let row = row.map(|row| (row.state, row.fence));
        if !rules::may_write(row, work.fence) && fault != Fault::NoFenceCheck {
            self.tell(process);
            return;
        }
        self.commit(Crime::StaleWrite, work.overtaken);
        for other in 0..PROCESSES {
            if let Phase::Working(theirs) = &mut self.processes[other].phase
                && theirs.fence < work.fence
                && rules::conflicts(CLAIMS[theirs.claim], CLAIMS[work.claim])
            {
                theirs.overtaken = true;
            }
        }
    }

    /// A release that is refused ends the process, and its owner file is free.
    fn release(&mut self, process: usize, work: Work) {
        let held = |row: &Row| row.state == State::Held && row.fence == work.fence;
        match self.row_of(process) {
            Some(index) if held(&self.line[index]) => {
                self.processes[process].phase = Phase::Idle;
                self.remove(index);
            }
            _ => self.kill(process),
        }
    }

    fn leave(&mut self, process: usize) {
        self.processes[process].phase = Phase::Idle;
        self.forget_looks_of(process);
        if let Some(index) = self.row_of(process) {
            self.remove(index);
        }
    }

    fn beat(&mut self, process: usize) {
        match self.row_of(process) {
            Some(index) if self.line[index].state == State::Held => self.renew(index),
            _ => self.tell(process),
        }
    }

    fn renew(&mut self, index: usize) {
        let row = &mut self.line[index];
        (row.silence, row.hung, row.looks) = (RENEWED, false, [Look::None; PROCESSES]);
    }

    fn tell(&mut self, process: usize) {
        if let Phase::Working(work) = &mut self.processes[process].phase {
            work.told = true;
        }
    }

    fn condemn(&mut self, index: usize) {
        let was_alive = !self.line[index].hung;
        self.commit(Crime::CondemnedAlive, was_alive);
        self.renew(index);
        self.line[index].state = State::Condemned;
    }

    fn park_overdue(&mut self) {
        for row in &mut self.line {
            if rules::is_overdue(row.state, row.silence, GRACE) {
                (row.state, row.fence, row.silence) = (State::Parked, 0, RENEWED);
            }
        }
        self.grant();
    }

    fn kill(&mut self, process: usize) {
        self.processes[process] = Process {
            running: true,
            phase: Phase::Idle,
        };
        self.forget_looks_of(process);
        for row in &mut self.line {
            if row.owner == Some(process) {
                row.owner = None;
            }
        }
    }

    fn forget_looks_of(&mut self, process: usize) {
        for row in &mut self.line {
            row.looks[process] = Look::None;
        }
    }

    fn grace_passes(&mut self, fault: Fault) {
        let looks_count = self.gate == Gate::Open || fault == Fault::LooksPastTheGate;
        let grown = if looks_count { Look::Ripe } else { Look::None };
        for index in 0..self.line.len() {
            let stands_still = !self.is_running(self.line[index].owner);
            let row = &mut self.line[index];
            row.hung |= row.silence == OVER_LEASE && stands_still;
            if row.state == State::Granted {
                row.silence = OVER_GRACE;
            }
            for look in &mut row.looks {
                if *look != Look::None {
                    *look = grown;
                }
            }
        }
    }

    fn lease_passes(&mut self, index: usize) {
        let stands_still = !self.is_running(self.line[index].owner);
        self.line[index].silence = OVER_LEASE;
        self.line[index].hung = stands_still;
    }

    /// Names the processes in the order of their rows, those without one last: which of them is
    /// which is never asked for.
    fn name_by_place(&mut self) {
        let mut order: [usize; PROCESSES] = std::array::from_fn(|process| process);
        let key = |process: &usize| {
            let place = self.row_of(*process).unwrap_or(usize::MAX);
            (place, self.processes[*process])
        };
        if order.is_sorted_by_key(key) {
            return;
        }
        order.sort_by_key(key);
        let mut names = [0; PROCESSES];
        for (name, process) in order.into_iter().enumerate() {
            names[process] = name;
        }
        self.processes = order.map(|process| self.processes[process]);
        for row in &mut self.line {
            row.owner = row.owner.map(|process| names[process]);
            row.looks = order.map(|process| row.looks[process]);
        }
    }

    /// Fences as ranks: only their order is ever asked for.
    fn rank_fences(&mut self) {
        let works = self.processes.iter_mut().filter_map(|process| {
            let Phase::Working(work) = &mut process.phase else {
                return None;
            };
            Some(&mut work.fence)
        });
        let rows = self.line.iter_mut().map(|row| &mut row.fence);
        let mut fences: Vec<&mut i64> = rows.chain(works).filter(|fence| **fence > 0).collect();
        fences.sort_unstable();
        let (mut before, mut rank) = (0, 0);
        for fence in fences {
            rank += i64::from(*fence != before);
            before = *fence;
            *fence = rank;
        }
    }
}

impl Protocol {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            served: Mutex::default(),
        }
    }

    /// Writes alone show every fault, and the shortest way to it the soonest.
    fn claims(&self) -> Range<usize> {
        match self.fault {
            Fault::None => 0..CLAIMS.len(),
            _ => WRITE..CLAIMS.len(),
        }
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
        if world.line.iter().any(|row| row.owner.is_none()) {
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
        if tended
            .iter()
            .any(|other| world.line[*other].owner.is_none())
        {
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
    fn everybody_is_served(&self, world: &World) -> bool {
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
        let mut properties = always();
        properties.extend(sometimes());
        properties
    }
}

fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no stale write", |_, world: &World| {
            world.crime != Some(Crime::StaleWrite)
        }),
        Property::always("no inversion", |_, world: &World| {
            world.crime != Some(Crime::Inversion)
        }),
        Property::always("nobody alive is condemned", |_, world: &World| {
            world.crime != Some(Crime::CondemnedAlive)
        }),
        Property::always("no two in conflict", |_, world: &World| {
            let granted = || world.line.iter().filter(|row| row.state.blocks());
            granted().enumerate().all(|(nth, one)| {
                granted()
                    .skip(nth + 1)
                    .all(|other| !rules::conflicts(CLAIMS[one.claim], CLAIMS[other.claim]))
            })
        }),
        Property::always("no idle line", |_, world: &World| {
            rules::grantable(&world.standings()).is_empty()
        }),
        Property::always("no lost ticket", |_, world: &World| {
            no_ticket_is_lost(world)
        }),
        Property::always("everybody is served", |protocol: &Protocol, world| {
            protocol.everybody_is_served(world)
        }),
    ]
}

/// Every row is known to the living process it belongs to, every waiting process has its row, and
/// what a process gave up on is on its way out.
fn no_ticket_is_lost(world: &World) -> bool {
    let mut rows = world.line.iter().filter(|row| row.owner.is_some());
    let rows_are_right = rows.all(|row| {
        let phase = row.owner.map(|process| world.processes[process].phase);
        match phase {
            Some(Phase::Waiting) => !matches!(row.state, State::Held | State::Condemned),
            Some(Phase::Working(work)) => {
                matches!(row.state, State::Held | State::Condemned) && row.fence == work.fence
            }
            Some(Phase::Idle) | None => false,
        }
    });
    let waiters_have_rows = (0..PROCESSES).all(|process| {
        let rows = world.line.iter();
        let mine = rows.filter(|row| row.owner == Some(process));
        match world.processes[process].phase {
            Phase::Waiting => mine.count() == 1,
            Phase::Working(_) => mine.count() <= 1,
            Phase::Idle => mine.count() == 0,
        }
    });
    rows_are_right && waiters_have_rows
}

fn sometimes() -> Vec<Property<Protocol>> {
    fn count(world: &World, what: fn(&Row) -> bool) -> usize {
        world.line.iter().filter(|row| what(row)).count()
    }
    fn works(world: &World, what: fn(Work) -> bool) -> usize {
        let works = (0..PROCESSES).filter_map(|process| world.work(process));
        works.filter(|work| what(*work)).count()
    }
    vec![
        Property::sometimes("three reads of one branch", |_, world: &World| {
            count(world, |row| row.state == State::Held) == 3
        }),
        Property::sometimes("killed twice", |_, world: &World| {
            count(world, |row| row.owner.is_none()) == 2
        }),
        Property::sometimes("stopped twice", |_, world: &World| {
            let mut processes = world.processes.iter();
            processes.all(|process| !process.running)
        }),
        Property::sometimes("expired twice", |_, world: &World| {
            count(world, |row| row.state == State::Condemned) == 2
        }),
        Property::sometimes("resumed twice, too late", |_, world: &World| {
            works(world, |work| work.told && work.overtaken) == 2
        }),
        Property::sometimes("passed over twice", |_, world: &World| {
            count(world, |row| row.state == State::Parked) == 2
        }),
    ]
}

#[test]
fn the_protocol_holds_in_every_state() {
    let begun = Instant::now();
    let checker = Protocol::new(Fault::None)
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    let states = checker.unique_state_count();
    eprintln!(
        "lock model: {states} states, {} steps, {} deep, {:.1} s",
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    checker.assert_properties();
    assert!(
        states >= 100_000,
        "{states} states are too few to mean anything"
    );
}

/// The model is tested by what it must notice: the shortest way to break `property` without the
/// part of the protocol that `fault` leaves out, and the state it ends in.
fn counterexample(fault: Fault, property: &'static str) -> (Vec<Step>, World) {
    // Deepened step by step: within one depth the checker keeps whichever it finds last.
    let found = (2..20).find_map(|depth| {
        let checker = Protocol::new(fault)
            .checker()
            .target_max_depth(depth)
            .spawn_bfs()
            .join();
        let path = checker.discovery(property)?;
        Some((path, checker.unique_state_count()))
    });
    let (path, states) = found.expect("the model notices the fault");
    let end = path.last_state().clone();
    let steps = path.into_actions();
    eprintln!("lock model, {fault:?}: not \"{property}\" ({states} states): {steps:?}");
    (steps, end)
}

#[test]
fn without_the_fence_check_a_stale_write_is_found() {
    let (steps, _) = counterexample(Fault::NoFenceCheck, "no stale write");
    assert!(matches!(steps.last(), Some(Step::Write(_))));
    assert!(steps.iter().any(|step| matches!(step, Step::Condemn(..))));
}

#[test]
fn without_the_second_look_a_stall_condemns_the_living() {
    let (steps, _) = counterexample(Fault::NoSecondLook, "nobody alive is condemned");
    assert!(steps.contains(&Step::GatePasses(Gate::Shut)));
    assert!(!steps.iter().any(|step| matches!(step, Step::Stop(_))));
}

#[test]
fn with_looks_past_the_gate_a_stall_condemns_the_living() {
    let (steps, _) = counterexample(Fault::LooksPastTheGate, "nobody alive is condemned");
    assert!(steps.contains(&Step::GracePasses));
    assert!(!steps.iter().any(|step| matches!(step, Step::Stop(_))));
}

#[test]
fn without_parking_somebody_starves_behind_a_stopped_waiter() {
    let (_, end) = counterexample(Fault::NoParking, "everybody is served");
    assert!(is_stopped(&end, first_in_line(&end)));
}

#[test]
fn if_only_the_first_looks_after_holders_somebody_starves_behind_a_stopped_waiter() {
    let (_, end) = counterexample(Fault::FirstAloneTends, "everybody is served");
    assert!(is_stopped(&end, first_in_line(&end)));
    assert!(end.line.iter().any(|row| row.state == State::Held));
}

fn first_in_line(world: &World) -> &Row {
    let is_in_line = |row: &&Row| matches!(row.state, State::Waiting | State::Granted);
    world
        .line
        .iter()
        .find(is_in_line)
        .expect("somebody starves")
}

fn is_stopped(world: &World, row: &Row) -> bool {
    row.owner.is_some() && !world.is_running(row.owner)
}
