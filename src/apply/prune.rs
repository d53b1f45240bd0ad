//! How long originals are kept: with the newest few applies that are done, whatever their plans, so
//! that `apply --undo` reaches back as far; undos count as applies, for they keep what they replaced.

use anyhow::Result;

use super::Turn;
use super::content::{self, Content};
use super::journal::{self, Journal, is_to_move};
use super::leftovers;
use crate::store::Store;
use crate::store::applies::{self, FINISHED, State};

/// So many applies that are done keep their originals.
const KEPT: usize = 5;

/// Removes the originals and the rows of all but the newest applies. What cannot be removed now is
/// removed by a later apply, so nothing here is an error.
pub(super) fn prune(store: &Store, turn: &Turn) {
    let Ok(mut finished) = store.read(|tx| applies::standing(tx, FINISHED)) else {
        return;
    };
    finished.reverse();
    let mut kept = 0;
    // One that was given up keeps nothing, and takes no other's place.
    finished.retain(|apply| {
        kept += usize::from(apply.state == State::Done);
        kept > KEPT
    });
    for apply in finished {
        if let Ok(journal) = Journal::load(store, turn.lock(), turn.root(), apply) {
            drop(clear(&journal));
        }
    }
}

/// Removes what an apply kept, unless somebody who had an original open wrote to it since, and
/// forgets the apply if nothing of it is left.
fn clear(journal: &Journal<'_>) -> Result<()> {
    for file in journal.files.iter().filter(|file| is_to_move(file)) {
        let Some(kept) = journal.private_spot(file) else {
            continue;
        };
        let (content, _) = content::read(&kept)?;
        let is_known =
            content.is(file.base_hash.as_deref()) || content.is(file.target_hash.as_deref());
        if content != Content::Absent && is_known {
            kept.remove()?;
        }
    }
    let (store, id) = (journal.store, &journal.apply.id);
    leftovers::remove_dir(store, journal.root, id);
    if !journal::applies_dir(store).join(id).exists() {
        store.journal(journal.lock, |tx| applies::forget(tx, id))?;
    }
    Ok(())
}
