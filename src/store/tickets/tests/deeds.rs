//! A queue in memory, driven by the rules alone, beside the one in the database.

use proptest::sample::Index;

use super::*;

/// One thing that is done to the queue; tickets are chosen among those there are.
#[derive(Debug, Clone)]
enum Deed {
    Place(Wanted, OnConflict),
    /// With the token of a ticket that is there.
    PlaceBelow(Wanted, Index, OnConflict),
    /// The wait ends, and the place is kept.
    Keep(Index),
    Confirm(Index),
    Release(Index),
    Leave(Index),
    Rejoin(Index),
    RejoinAsAnother(Index),
    /// In the line of a ticket.
    Park(Index),
    RemoveDead(Index, usize),
    Condemn(Index),
    CondemnLate(Index),
    RemoveCondemned(Index),
    RemoveForced(Index),
}

fn deeds() -> impl Strategy<Value = Deed> {
    let index = any::<Index>;
    let on_conflict = || prop_oneof![3 => Just(OnConflict::Queue), 1 => Just(OnConflict::Refuse)];
    prop_oneof![
        8 => (new_rows(), on_conflict()).prop_map(|(row, how)| Deed::Place(row, how)),
        8 => (new_rows(), index(), on_conflict())
            .prop_map(|(row, hold, how)| Deed::PlaceBelow(row, hold, how)),
        3 => index().prop_map(Deed::Keep),
        6 => index().prop_map(Deed::Confirm),
        6 => index().prop_map(Deed::Release),
        2 => index().prop_map(Deed::Leave),
        4 => index().prop_map(Deed::Rejoin),
        1 => index().prop_map(Deed::RejoinAsAnother),
        2 => index().prop_map(Deed::Park),
        1 => (index(), 0..OWNERS).prop_map(|(row, owner)| Deed::RemoveDead(row, owner)),
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
    parent: Option<i64>,
    below: i64,
    /// Parked, and nobody's.
    kept: bool,
}

/// A line as the rules have it: plan and hold.
type Key = (usize, i64);

impl Wanted {
    fn line(&self) -> Key {
        (self.plan, self.below)
    }
}

fn line_at((plan, below): Key) -> Line<'static> {
    let plan_id = PLANS[plan];
    Line { plan_id, below }
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
        parent: None,
        below: 0,
        kept: false,
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
    fn in_line(&self, line: Key) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        rows.filter(|(_, row)| row.line() == line)
            .map(|(index, _)| index)
            .collect()
    }

    fn grantable(&self, line: Key) -> Vec<usize> {
        let indices = self.in_line(line);
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

    fn grant(&mut self, line: Key) {
        for index in self.grantable(line) {
            self.rows[index].state = State::Granted;
            self.granted.push(self.rows[index].id);
        }
    }

    fn waiting(&self, line: Key) -> usize {
        let rows = self.rows.iter().filter(|row| row.line() == line);
        rows.filter(|row| row.state == State::Waiting).count()
    }

    fn row(&self, id: i64) -> Option<&Wanted> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The row of `id` and those of the holds above it, nearest first.
    fn up(&self, id: i64) -> Vec<&Wanted> {
        let mut up: Vec<&Wanted> = self.row(id).into_iter().collect();
        while let Some(above) = up.last().and_then(|row| self.row(row.parent?)) {
            up.push(above);
        }
        up
    }

    /// A row goes, and what is below it; the lines of that are granted in order, but not its own.
    fn fell(&mut self, index: usize) -> Key {
        let gone = self.rows[index].clone();
        let ids: Vec<i64> = self.rows.iter().map(|row| row.id).collect();
        let falls = |id: &i64| self.up(*id).iter().any(|row| row.id == gone.id);
        let fallen: Vec<i64> = ids.into_iter().filter(falls).collect();
        let mut lines: Vec<Key> = Vec::new();
        for row in self.rows.iter().filter(|row| fallen.contains(&row.id)) {
            if row.id != gone.id && !fallen.contains(&row.below) {
                lines.push(row.line());
            }
        }
        self.rows.retain(|row| !fallen.contains(&row.id));
        lines.sort_by_key(|(plan, below)| (PLANS[*plan], *below));
        lines.dedup();
        lines.into_iter().for_each(|line| self.grant(line));
        gone.line()
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
        let line = self.fell(index);
        self.grant(line);
    }

    fn permit_of(&self, id: i64) -> Option<&AnyPermit> {
        let mut permits = self.permits.iter();
        permits.rfind(|permit| permit.proof().ticket() == id)
    }

    /// Does one deed to both; `tx` is the database's side.
    fn carry_out(&mut self, tx: &TicketTx<'_>, deed: &Deed) -> Result<()> {
        self.granted.clear();
        match deed {
            Deed::Place(row, on_conflict) => self.place(tx, row, None, *on_conflict),
            Deed::PlaceBelow(row, hold, on_conflict) => {
                let hold = self.choose(hold, &[State::Held, State::Granted]);
                self.place(tx, row, hold, *on_conflict)
            }
            Deed::Keep(index) => self.keep(tx, index),
            Deed::Confirm(index) => self.confirm(tx, index),
            Deed::Release(index) => self.release(tx, index),
            Deed::Condemn(index) => self.condemn(tx, index, 0),
            Deed::CondemnLate(index) => self.condemn(tx, index, 1),
            Deed::Leave(index) => self.leave(tx, index),
            Deed::Rejoin(index) => self.rejoin(tx, index, 0),
            Deed::RejoinAsAnother(index) => self.rejoin(tx, index, 1),
            Deed::Park(index) => self.park(tx, index),
            Deed::RemoveDead(index, dead) => self.remove_dead(tx, index, *dead),
            Deed::RemoveCondemned(index) => self.remove_condemned(tx, index),
            Deed::RemoveForced(index) => self.remove_forced(tx, index),
        }
    }

    /// Where `row` stands with the token of the row `hold`; `None` if it is refused.
    fn footing(&self, row: &Wanted, hold: Option<usize>) -> Option<(Option<i64>, i64)> {
        let hold = hold.map(|index| &self.rows[index]);
        let is_honoured = |hold: &&Wanted| matches!(hold.state, State::Held | State::Granted);
        let Some(hold) = hold.filter(is_honoured) else {
            return Some((None, 0));
        };
        let same_plan = self.up(hold.id);
        let same_plan = same_plan.iter().find(|above| above.plan == row.plan);
        if same_plan.is_some_and(|above| above.scope == Scope::Read) && row.scope == Scope::Write {
            return None;
        }
        Some((Some(hold.id), same_plan.map_or(0, |above| above.id)))
    }

    fn place(
        &mut self,
        tx: &TicketTx<'_>,
        row: &Wanted,
        hold: Option<usize>,
        on_conflict: OnConflict,
    ) -> Result<()> {
        let mut new = new_ticket(row.plan, row.scope, row.branch, row.owner);
        new.token = hold.map(|hold| LockToken::new(self.rows[hold].id, SECRET));
        let Some((parent, below)) = self.footing(row, hold) else {
            assert!(matches!(place_any(tx, &new, on_conflict)?, (None, None)));
            return Ok(());
        };
        let line = (row.plan, below);
        let waiting = self.waiting(line);
        let had = self.rows.iter().position(|old| {
            let same = (old.owner, old.scope, old.branch) == (row.owner, row.scope, row.branch);
            old.kept && same && (old.plan, old.parent, old.below) == (row.plan, parent, below)
        });
        self.rows.push(Wanted {
            parent,
            below,
            ..row.clone()
        });
        let last = self.rows.len() - 1;
        let is_held = self.grantable(line).contains(&last);
        let has_room = had.is_some() || below != 0 || waiting < QUEUE_MAX as usize;
        let has_row = is_held || (has_room && on_conflict == OnConflict::Queue);
        let (permit, ticket) = place_any(tx, &new, on_conflict)?;
        assert_eq!((permit.is_some(), ticket.is_some()), (is_held, has_row));
        if is_held {
            self.rows[last].state = State::Held;
            self.granted.extend(ticket);
        }
        match (ticket, had) {
            (Some(ticket), Some(had)) if !is_held => {
                self.rows.pop();
                assert_eq!(ticket, self.rows[had].id);
                (self.rows[had].state, self.rows[had].kept) = (State::Waiting, false);
                self.grant(line);
            }
            (Some(ticket), had) => {
                self.rows[last].id = ticket;
                // It needs its kept place no more.
                had.map(|had| self.rows.remove(had));
            }
            (None, _) => drop(self.rows.pop()),
        }
        self.permits.extend(permit);
        Ok(())
    }

    fn keep(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Waiting]) else {
            return Ok(());
        };
        let may = matches!(self.rows[row].state, State::Waiting | State::Parked);
        assert_eq!(keep_place(tx, self.rows[row].id)?, may);
        if may {
            (self.rows[row].state, self.rows[row].kept) = (State::Parked, true);
            self.grant(self.rows[row].line());
        }
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
        let state = self.rows[row].state;
        assert_eq!(released, state == State::Held);
        if matches!(state, State::Held | State::Condemned) {
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
        if self.rows[row].state == State::Parked && stranger == 0 && !self.rows[row].kept {
            self.rows[row].state = State::Waiting;
            self.grant(self.rows[row].line());
        }
        Ok(())
    }

    fn park(&mut self, tx: &TicketTx<'_>, index: &Index) -> Result<()> {
        let Some(row) = self.choose(index, &[State::Granted]) else {
            return Ok(());
        };
        let line = self.rows[row].line();
        let mut parked = 0;
        for index in self.in_line(line) {
            if self.rows[index].state == State::Granted {
                self.rows[index].state = State::Parked;
                parked += 1;
            }
        }
        assert_eq!(park_unconfirmed(tx, line_at(line), -1)?, parked);
        self.grant(line);
        Ok(())
    }

    fn remove_dead(&mut self, tx: &TicketTx<'_>, index: &Index, dead: usize) -> Result<()> {
        let Some(row) = self.choose(index, &[]) else {
            return Ok(());
        };
        let line = self.rows[row].line();
        let is_dead = |row: &Wanted| row.line() == line && row.owner == dead && !row.kept;
        let ids: Vec<i64> = self
            .rows
            .iter()
            .filter(|row| is_dead(row))
            .map(|row| row.id)
            .collect();
        for id in &ids {
            let index = self.rows.iter().position(|row| row.id == *id);
            self.fell(index.expect("nothing in its own line fell with another"));
        }
        let removed = remove_dead(tx, line_at(line), &|id| id != owner_named(dead).id)?;
        assert_eq!(removed, ids.len());
        self.grant(line);
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
        let mut lines: Vec<Key> = self.rows.iter().map(Wanted::line).collect();
        lines.sort_unstable();
        lines.dedup();
        for key in lines {
            let line = line(tx, line_at(key))?;
            let found: Vec<_> = line
                .iter()
                .map(|row| (row.id, row.state, row.parent))
                .collect();
            let wanted: Vec<_> = self
                .in_line(key)
                .into_iter()
                .map(|index| &self.rows[index])
                .map(|row| (row.id, row.state, row.parent))
                .collect();
            assert_eq!(found, wanted);
            assert_eq!(rules::grantable(&standings(&line)), [0_usize; 0]);
        }
        assert_eq!(all(tx)?.len(), self.rows.len());
        // A deed grants in the order of the fences, all of them newer than any.
        for id in &self.granted {
            let fence = by_id(tx, *id)?.map_or(0, |ticket| ticket.fence);
            assert!(fence > self.newest, "{fence} after {}", self.newest);
            self.newest = fence;
        }
        for permit in &self.permits {
            let proof = permit.proof();
            let row = by_id(tx, proof.ticket())?.map(|ticket| (ticket.state, ticket.fence));
            let mut above = self.up(proof.ticket()).into_iter().skip(1);
            let may_write =
                rules::may_write(row, proof.fence()) && above.all(|hold| hold.state == State::Held);
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
