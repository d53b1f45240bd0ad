//! One state of the protocol, and what each transaction makes of it.

use plandex::lock::rules::{self, Claim, Standing};
use plandex::store::tickets::{Scope, State};

use super::protocol::Fault;

pub(super) const PROCESSES: usize = 3;
/// What a process may ask for. A read of the root conflicts as a write does.
pub(super) const CLAIMS: [Claim<'static>; 3] = [
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
pub(super) const WRITE: usize = 2;

pub(super) const RENEWED: i64 = 0;
pub(super) const OVER_GRACE: i64 = 1;
pub(super) const OVER_LEASE: i64 = 2;
/// The limits that silence is compared with.
pub(super) const GRACE: i64 = RENEWED;
pub(super) const LEASE: i64 = OVER_GRACE;
/// A renewal makes every look at the stamp before it void, so the stamps need not differ here.
pub(super) const STAMP: i64 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Look {
    None,
    /// Seen over, less than a grace ago.
    First,
    /// Seen over, a grace ago.
    Ripe,
}

/// A row of `repo_locks`; its place in line is its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) claim: usize,
    /// The rank of the fence among those that anybody remembers; 0 before the grant.
    pub(super) fence: i64,
    /// `None` if its owner file is free, or it is a kept place.
    pub(super) owner: Option<usize>,
    /// The place of a wait that timed out.
    pub(super) kept: bool,
    pub(super) silence: i64,
    /// Whether its owner stood still while that silence grew.
    pub(super) hung: bool,
    pub(super) looks: [Look; PROCESSES],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Work {
    pub(super) claim: usize,
    pub(super) fence: i64,
    /// Whether a conflicting later grant has written since.
    pub(super) overtaken: bool,
    /// Whether the heartbeat has cancelled it.
    pub(super) told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Idle,
    Waiting,
    Working(Work),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Process {
    pub(super) running: bool,
    pub(super) phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Gate {
    Open,
    Shut,
}

/// What may never be done, noted by the step that does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Crime {
    StaleWrite,
    Inversion,
    CondemnedAlive,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) line: Vec<Row>,
    pub(super) processes: [Process; PROCESSES],
    pub(super) gate: Gate,
    pub(super) crime: Option<Crime>,
}

impl World {
    pub(super) fn new() -> Self {
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

    pub(super) fn standings(&self) -> Vec<Standing<'static>> {
        let standing = |row: &Row| Standing {
            state: row.state,
            claim: CLAIMS[row.claim],
        };
        self.line.iter().map(standing).collect()
    }

    /// The row that `process` waits for or works under.
    pub(super) fn row_of(&self, process: usize) -> Option<usize> {
        self.line.iter().position(|row| row.owner == Some(process))
    }

    pub(super) fn is_running(&self, owner: Option<usize>) -> bool {
        owner.is_some_and(|process| self.processes[process].running)
    }

    pub(super) fn runs_in(&self, process: usize, phase: Phase) -> bool {
        self.processes[process]
            == Process {
                running: true,
                phase,
            }
    }

    pub(super) fn work(&self, process: usize) -> Option<Work> {
        match self.processes[process].phase {
            Phase::Working(work) => Some(work),
            Phase::Idle | Phase::Waiting => None,
        }
    }

    pub(super) fn next_fence(&self) -> i64 {
        let rows = self.line.iter().map(|row| row.fence);
        let works = (0..PROCESSES).filter_map(|process| Some(self.work(process)?.fence));
        rows.chain(works).max().unwrap_or(0) + 1
    }

    pub(super) fn commit(&mut self, crime: Crime, committed: bool) {
        if committed && self.crime.is_none() {
            self.crime = Some(crime);
        }
    }

    /// Whether a ticket that waits, unparked, before `index` conflicts with the one there.
    pub(super) fn overtakes(&self, index: usize) -> bool {
        let me = CLAIMS[self.line[index].claim];
        self.line[..index]
            .iter()
            .any(|row| row.state == State::Waiting && rules::conflicts(CLAIMS[row.claim], me))
    }

    /// The grant step, which ends every transaction that took something out of the way.
    pub(super) fn grant(&mut self) {
        for index in rules::grantable(&self.standings()) {
            self.line[index].fence = self.next_fence();
            self.line[index].state = State::Granted;
            self.line[index].silence = RENEWED;
            self.commit(Crime::Inversion, self.overtakes(index));
        }
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.line.remove(index);
        self.grant();
    }

    pub(super) fn remove_dead(&mut self) {
        let before = self.line.len();
        self.line.retain(|row| row.owner.is_some() || row.kept);
        if self.line.len() < before {
            self.grant();
        }
    }

    pub(super) fn place(&mut self, process: usize, claim: usize) {
        self.remove_dead();
        self.line.push(Row {
            state: State::Waiting,
            claim,
            fence: 0,
            owner: Some(process),
            kept: false,
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

    pub(super) fn hold(&mut self, process: usize, index: usize) {
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
    pub(super) fn write(&mut self, process: usize, work: Work, fault: Fault) {
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
    pub(super) fn release(&mut self, process: usize, work: Work) {
        let ours = |row: &Row| row.fence == work.fence;
        match self
            .row_of(process)
            .map(|index| (index, self.line[index].state))
        {
            Some((index, State::Held)) if ours(&self.line[index]) => {
                self.processes[process].phase = Phase::Idle;
                self.remove(index);
            }
            Some((index, State::Condemned)) if ours(&self.line[index]) => {
                self.remove(index);
                self.kill(process);
            }
            _ => self.kill(process),
        }
    }

    pub(super) fn leave(&mut self, process: usize) {
        self.processes[process].phase = Phase::Idle;
        self.forget_looks_of(process);
        if let Some(index) = self.row_of(process) {
            self.remove(index);
        }
    }

    /// A wait times out, and its place is kept.
    pub(super) fn keep(&mut self, process: usize) {
        self.processes[process].phase = Phase::Idle;
        self.forget_looks_of(process);
        if let Some(index) = self.row_of(process) {
            let row = &mut self.line[index];
            (row.owner, row.kept, row.fence) = (None, true, 0);
            (row.silence, row.looks) = (RENEWED, [Look::None; PROCESSES]);
            row.state = State::Parked;
            self.grant();
        }
    }

    /// The same command of the same actor comes again.
    pub(super) fn take_up(&mut self, process: usize, index: usize) {
        let claim = self.line[index].claim;
        let mut there = self.standings();
        there.retain(|standing| standing.state != State::Parked);
        let conflicts = |standing: &Standing<'_>| rules::conflicts(standing.claim, CLAIMS[claim]);
        if there.iter().any(conflicts) {
            let row = &mut self.line[index];
            (row.owner, row.kept, row.state) = (Some(process), false, State::Waiting);
            self.processes[process].phase = Phase::Waiting;
            self.remove_dead();
            self.grant();
        } else {
            // Nothing is in the way: it needs the place no more.
            self.line.remove(index);
            self.place(process, claim);
        }
    }

    pub(super) fn beat(&mut self, process: usize) {
        match self.row_of(process) {
            Some(index) if self.line[index].state == State::Held => self.renew(index),
            _ => self.tell(process),
        }
    }

    pub(super) fn renew(&mut self, index: usize) {
        let row = &mut self.line[index];
        (row.silence, row.hung, row.looks) = (RENEWED, false, [Look::None; PROCESSES]);
    }

    pub(super) fn tell(&mut self, process: usize) {
        if let Phase::Working(work) = &mut self.processes[process].phase {
            work.told = true;
        }
    }

    pub(super) fn condemn(&mut self, index: usize) {
        let was_alive = !self.line[index].hung;
        self.commit(Crime::CondemnedAlive, was_alive);
        self.renew(index);
        self.line[index].state = State::Condemned;
    }

    pub(super) fn park_overdue(&mut self) {
        for row in &mut self.line {
            if rules::is_overdue(row.state, row.silence, GRACE) {
                (row.state, row.fence, row.silence) = (State::Parked, 0, RENEWED);
            }
        }
        self.grant();
    }

    pub(super) fn kill(&mut self, process: usize) {
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

    pub(super) fn forget_looks_of(&mut self, process: usize) {
        for row in &mut self.line {
            row.looks[process] = Look::None;
        }
    }

    pub(super) fn grace_passes(&mut self, fault: Fault) {
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

    pub(super) fn lease_passes(&mut self, index: usize) {
        let stands_still = !self.is_running(self.line[index].owner);
        self.line[index].silence = OVER_LEASE;
        self.line[index].hung = stands_still;
    }

    /// Names the processes in the order of their rows, those without one last: which of them is
    /// which is never asked for.
    pub(super) fn name_by_place(&mut self) {
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
    pub(super) fn rank_fences(&mut self) {
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
