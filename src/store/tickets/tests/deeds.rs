//! A queue in memory, driven by the rules alone, beside the one in the database.

use proptest::sample::Index;

use super::*;

/// One thing that is done to the queue; tickets are chosen among those there are.
#[derive(Debug, Clone)]
enum Deed {
    Place(Wanted, OnConflict),
    Confirm(Index),
    Release(Index),
    Leave(Index),
    Rejoin(Index),
    RejoinAsAnother(Index),
    Park(usize),
    RemoveDead(usize, usize),
    Condemn(Index),
    CondemnLate(Index),
    RemoveCondemned(Index),
    RemoveForced(Index),
}

fn deeds() -> impl Strategy<Value = Deed> {
    let index = any::<Index>;
    let on_conflict = prop_oneof![3 => Just(OnConflict::Queue), 1 => Just(OnConflict::Refuse)];
    prop_oneof![
        8 => (new_rows(), on_conflict).prop_map(|(row, on_conflict)| Deed::Place(row, on_conflict)),
        6 => index().prop_map(Deed::Confirm),
        6 => index().prop_map(Deed::Release),
        2 => index().prop_map(Deed::Leave),
        4 => index().prop_map(Deed::Rejoin),
        1 => index().prop_map(Deed::RejoinAsAnother),
        2 => (0..PLANS.len()).prop_map(Deed::Park),
        1 => (0..PLANS.len(), 0..OWNERS).prop_map(|(plan, owner)| Deed::RemoveDead(plan, owner)),
        2 => index().prop_map(Deed::Condemn),
        1 => index().prop_map(Deed::CondemnLate),
        2 => index().prop_map(Deed::RemoveCondemned),
        1 => index().prop_map(Deed::RemoveForced),
    ]
}

/// A row as the rules alone would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    id: i64,
    plan: usize,
    scope: Scope,
    branch: Option<&'static str>,
    owner: usize,
    state: State,
}

fn new_rows() -> impl Strategy<Value = Wanted> {
    let parts = (0..PLANS.len(), scopes(), branches(), 0..OWNERS);
    parts.prop_map(|(plan, scope, branch, owner)| Wanted {
        id: 0,
        plan,
        scope,
        branch,
        owner,
        state: State::Waiting,
    })
}

/// The queue in memory beside the one in the database.
#[derive(Default)]
struct Beside {
    rows: Vec<Wanted>,
    /// The tickets granted by the last deed, in order.
    granted: Vec<i64>,
    permits: Vec<AnyPermit>,
    /// The largest fence so far.
    newest: i64,
}

impl Beside {
    fn in_plan(&self, plan: usize) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| row.plan == plan)
            .map(|(index, _)| index)
            .collect()
    }

    fn grantable(&self, plan: usize) -> Vec<usize> {
        let indices = self.in_plan(plan);
        let standing = |index: &usize| {
            let row = &self.rows[*index];
            let (scope, branch) = (row.scope, row.branch);
            Standing {
                state: row.state,
                claim: Claim { scope, branch },
            }
        };
        let line: Vec<Standing<'_>> = indices.iter().map(standing).collect();
        let grantable = rules::grantable(&line).into_iter();
        grantable.map(|index| indices[index]).collect()
    }

    fn grant(&mut self, plan: usize) {
        for index in self.grantable(plan) {
            self.rows[index].state = State::Granted;
            self.granted.push(self.rows[index].id);
        }
    }

    fn waiting(&self, plan: usize) -> usize {
        let rows = self.rows.iter().filter(|row| row.plan == plan);
        rows.filter(|row| row.state == State::Waiting).count()
    }

    /// The row that a deed means: one in a state of `states` where there is one, else any.
    fn choose(&self, index: &Index, states: &[State]) -> Option<usize> {
        let fits = |row: &usize| states.contains(&self.rows[*row].state);
        let fitting: Vec<usize> = (0..self.rows.len()).filter(fits).collect();
        match (fitting.len(), self.rows.len()) {
            (0, 0) => None,
            (0, all) => Some(index.index(all)),
            (some, _) => Some(fitting[index.index(some)]),
        }
    }

    fn remove(&mut self, index: usize) {
        let row = self.rows.remove(index);
        self.grant(row.plan);
    }

    fn permit_of(&self, id: i64) -> Option<&AnyPermit> {
        let mut permits = self.permits.iter();
        permits.rfind(|permit| permit.proof().ticket() == id)
    }

    /// Does one deed to both; `tx` is the database's side.
    fn carry_out(&mut self, tx: &TicketTx<'_>, deed: &Deed) -> Result<()> {
        self.granted.clear();
        match deed {
            Deed::Place(row, on_conflict) => self.place(tx, row, *on_conflict),
            Deed::Confirm(index) => self.confirm(tx, index),
            Deed::Release(index) => self.release(tx, index),
            Deed::Condemn(index) => self.condemn(tx, index, 0),
            Deed::CondemnLate(index) => self.condemn(tx, index, 1),
            Deed::Leave(index) => self.leave(tx, index),
            Deed::Rejoin(index) => self.rejoin(tx, index, 0),
            Deed::RejoinAsAnother(index) => self.rejoin(tx, index, 1),
            Deed::Park(plan) => self.park(tx, *plan),
            Deed::RemoveDead(plan, dead) => self.remove_dead(tx, *plan, *dead),
            Deed::RemoveCondemned(index) => self.remove_condemned(tx, index),
            Deed::RemoveForced(index) => self.remove_forced(tx, index),
        }
    }

    fn place(&mut self, tx: &TicketTx<'_>, row: &Wanted, on_conflict: OnConflict) -> Result<()> {
        let new = new_ticket(row.plan, row.scope, row.branch, row.owner);
        let waiting = self.waiting(row.plan);
        self.rows.push(row.clone());
        let last = self.rows.len() - 1;
        let is_held = self.grantable(row.plan).contains(&last);
        let has_room = on_conflict == OnConflict::Queue && waiting < QUEUE_MAX as usize;
        let (permit, ticket) = place_any(tx, &new, on_conflict)?;
        assert_eq!(
            (permit.is_some(), ticket.is_some()),
            (is_held, is_held || has_room)
        );
        if is_held {
            self.rows[last].state = State::Held;
            self.granted.extend(ticket);
        }
        match ticket {
            Some(ticket) => self.rows[last].id = ticket,
            None => drop(self.rows.pop()),
        }
        self.permits.extend(permit);
        Ok(())
    }

    fn confirm(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Granted]) else {
            return Ok(());
        };
        let (id, owner) = (self.rows[row].id, owner_named(self.rows[row].owner));
        let permit = match self.rows[row].scope {
            Scope::Read => confirm(tx, id, &owner)?.map(AnyPermit::Read),
            Scope::Write => confirm(tx, id, &owner)?.map(AnyPermit::Write),
        };
        assert_eq!(permit.is_some(), self.rows[row].state == State::Granted);
        if permit.is_some() {
            self.rows[row].state = State::Held;
        }
        self.permits.extend(permit);
        Ok(())
    }

    /// Releases with any permit that was ever given for the row.
    fn release(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Held]) else {
            return Ok(());
        };
        let Some(permit) = self.permit_of(self.rows[row].id) else {
            return Ok(());
        };
        let released = release(tx, permit.proof(), Outcome::Released)?;
        assert_eq!(released, self.rows[row].state == State::Held);
        if released {
            self.remove(row);
        }
        Ok(())
    }

    /// Condemns, by a look that is `late` renewals old.
    fn condemn(&mut self, tx: &TicketTx<'_>, index: &Index, late: i64) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Held]) else {
            return Ok(());
        };
        let id = self.rows[row].id;
        let stamp = by_id(tx, id)?.map_or(0, |ticket| ticket.lease_stamp);
        let changed = condemn(tx, id, stamp - late, -1)?;
        assert_eq!(changed, self.rows[row].state == State::Held && late == 0);
        if changed {
            self.rows[row].state = State::Condemned;
        }
        Ok(())
    }

    fn remove_condemned(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Condemned]) else {
            return Ok(());
        };
        remove_condemned(tx, self.rows[row].id)?;
        if self.rows[row].state == State::Condemned {
            self.remove(row);
        }
        Ok(())
    }

    fn leave(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Waiting, State::Granted, State::Parked]) else {
            return Ok(());
        };
        leave(tx, self.rows[row].id, Outcome::TimedOut)?;
        self.remove(row);
        Ok(())
    }

    fn rejoin(&mut self, tx: &TicketTx<'_>, index: &Index, stranger: usize) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Parked]) else {
            return Ok(());
        };
        let owner = owner_named(self.rows[row].owner + stranger);
        rejoin(tx, self.rows[row].id, &owner)?;
        if self.rows[row].state == State::Parked && stranger == 0 {
            self.rows[row].state = State::Waiting;
            self.grant(self.rows[row].plan);
        }
        Ok(())
    }

    fn park(&mut self, tx: &TicketTx<'_>, plan: usize) -> Result<()> {
        let mut parked = 0;
        for index in self.in_plan(plan) {
            if self.rows[index].state == State::Granted {
                self.rows[index].state = State::Parked;
                parked += 1;
            }
        }
        assert_eq!(park_unconfirmed(tx, PLANS[plan], -1)?, parked);
        self.grant(plan);
        Ok(())
    }

    fn remove_dead(&mut self, tx: &TicketTx<'_>, plan: usize, dead: usize) -> Result<()> {
        let before = self.rows.len();
        self.rows
            .retain(|row| row.plan != plan || row.owner != dead);
        let removed = remove_dead(tx, PLANS[plan], &|id| id != owner_named(dead).id)?;
        assert_eq!(removed, before - self.rows.len());
        self.grant(plan);
        Ok(())
    }

    fn remove_forced(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &STATES) else {
            return Ok(());
        };
        let id = self.rows[row].id;
        let fence = by_id(tx, id)?.map_or(0, |ticket| ticket.fence);
        assert!(!remove_forced(tx, id, fence + 1)?);
        assert!(remove_forced(tx, id, fence)?);
        self.remove(row);
        Ok(())
    }

    /// Compares both sides after a deed.
    fn compare(&mut self, tx: &TicketTx<'_>) -> Result<()> {
        for (plan, name) in PLANS.iter().enumerate() {
            let line = line(tx, name)?;
            let found: Vec<_> = line.iter().map(|row| (row.id, row.state)).collect();
            let wanted = self.in_plan(plan).into_iter();
            let wanted: Vec<_> = wanted
                .map(|index| (self.rows[index].id, self.rows[index].state))
                .collect();
            assert_eq!(found, wanted);
            assert_eq!(rules::grantable(&standings(&line)), [0_usize; 0]);
        }
        // A deed on one line grants in the order of the fences, all of them newer than any.
        for id in &self.granted {
            let fence = by_id(tx, *id)?.map_or(0, |ticket| ticket.fence);
            assert!(fence > self.newest, "{fence} after {}", self.newest);
            self.newest = fence;
        }
        for permit in &self.permits {
            let proof = permit.proof();
            let row = by_id(tx, proof.ticket())?.map(|ticket| (ticket.state, ticket.fence));
            let may_write = rules::may_write(row, proof.fence());
            assert_eq!(check_fence(tx.0, proof).is_ok(), may_write);
        }
        Ok(())
    }
}

#[test]
fn whatever_is_done_the_line_is_as_the_rules_have_it() {
    let (_dir, store) = store();
    let newest = std::cell::Cell::new(0);
    let check = |deeds: Vec<Deed>| {
        change(&store, clear);
        let mut beside = Beside {
            newest: newest.get(),
            ..Beside::default()
        };
        for deed in &deeds {
            change(&store, |tx| beside.carry_out(tx, deed));
            change(&store, |tx| beside.compare(tx));
        }
        newest.set(beside.newest);
        Ok(())
    };
    runner(200).run(&vec(deeds(), 1..60), check).unwrap();
}
