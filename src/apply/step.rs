//! One path's step from one content to the other, and back.
//!
//! The place is where the user sees the file; the slot holds what is not in place. A step moves
//! what is in the slot to the place and what is at the place to the slot, and then looks at what
//! came out. Going back is the same step with the contents exchanged.

use std::io;

use super::content::{self, Content};
use crate::platform::root::{Entry, Exchange, Spot, Stamp};

/// What a step came to.
#[derive(Debug)]
pub(super) enum Step {
    /// Done; the stamp of the file that came out, if one did.
    Done(Option<Stamp>),
    /// The place had something else: all is as it was before; why.
    Changed(String),
    /// As `Changed`, but somebody wrote to the place a second time meanwhile: that is in place,
    /// and what they had before is kept in the slot.
    Kept(String),
}

/// Brings `place` from the content `from` to the content `to`, which is in `slot`.
pub(super) fn step(
    place: &Spot,
    slot: &Spot,
    from: Option<&str>,
    to: Option<&str>,
) -> io::Result<Step> {
    match (from, to) {
        (Some(from), Some(to)) => swap(place, slot, from, to),
        (None, Some(_)) => put(place, slot),
        (Some(from), None) => take(place, slot, from),
        (None, None) => Ok(Step::Done(None)),
    }
}

/// Gives the place back to the user's own content, which came out into the slot. `ours` is what
/// stands at the place now.
pub(super) fn give_back(place: &Spot, slot: &Spot, ours: &Content) -> io::Result<Step> {
    match ours {
        Content::Absent => put(place, slot),
        Content::File(hash) => exchange_or_stand_in(place, slot, hash, None),
        Content::Other => Ok(Step::Kept("is not a file any more".to_owned())),
    }
}

fn swap(place: &Spot, slot: &Spot, from: &str, to: &str) -> io::Result<Step> {
    exchange_or_stand_in(place, slot, from, Some(to))
}

fn exchange_or_stand_in(
    place: &Spot,
    slot: &Spot,
    from: &str,
    to: Option<&str>,
) -> io::Result<Step> {
    match place.exchange(slot) {
        Ok(Exchange::Done) => {}
        Ok(Exchange::Unknown) => return stand_in(place, slot, from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return gone(slot, error),
        Err(error) => return Err(error),
    }
    let came_out = content::read(slot);
    if let Ok((content, stamp)) = &came_out
        && content.is(Some(from))
    {
        return Ok(Step::Done(*stamp));
    }
    // Not what it was to be, or not to be read: it goes back first, whatever it is.
    match place.exchange(slot) {
        Ok(_) => {}
        // The user removed the file meanwhile: so it stays, and what they had is kept.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            came_out?;
            return Ok(Step::Kept("was changed and then removed".to_owned()));
        }
        Err(error) => return Err(error),
    }
    came_out?;
    let (now_in_slot, _) = content::read(slot)?;
    if to.is_none_or(|to| now_in_slot.is(Some(to))) {
        return Ok(Step::Changed("was changed".to_owned()));
    }
    // Somebody wrote onto ours between the two exchanges: theirs is the newest.
    match place.exchange(slot) {
        Ok(_) => Ok(Step::Kept("was changed twice".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Step::Kept("was changed and then removed".to_owned()))
        }
        Err(error) => Err(error),
    }
}

/// Swaps without RENAME_EXCHANGE: the original gets a second name, is checked under it, and only
/// then loses its first one. Between the check and the rename somebody else's rename onto the
/// place would be lost; only such file systems have that moment.
fn stand_in(place: &Spot, slot: &Spot, from: &str) -> io::Result<Step> {
    let aside = aside(slot);
    match place.link(&aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return gone(slot, error),
        Err(error) => return Err(error),
    }
    let (content, stamp) = content::read(&aside)?;
    if !content.is(Some(from)) || !place.is_same_file(&aside)? {
        aside.remove()?;
        return Ok(Step::Changed("was changed".to_owned()));
    }
    slot.rename_over(place)?;
    aside.rename_over(slot)?;
    Ok(Step::Done(stamp))
}

/// The second name of an original while it is swapped without RENAME_EXCHANGE.
pub(super) fn aside(slot: &Spot) -> Spot {
    slot.with_suffix(".aside")
}

fn put(place: &Spot, slot: &Spot) -> io::Result<Step> {
    match slot.rename_new(place) {
        Ok(()) => Ok(Step::Done(None)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(Step::Changed("exists".to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => gone(slot, error),
        Err(error) => Err(error),
    }
}

fn take(place: &Spot, slot: &Spot, from: &str) -> io::Result<Step> {
    // Nobody but us makes the slot's name, so a plain rename, which every file system has, is safe
    // once the slot is seen to be free.
    if slot.look()? != Entry::Absent {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    match place.rename_over(slot) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Step::Changed("is gone".to_owned()));
        }
        Err(error) => return Err(error),
    }
    let came_out = content::read(slot);
    if let Ok((content, stamp)) = &came_out
        && content.is(Some(from))
    {
        return Ok(Step::Done(*stamp));
    }
    let put_back = put(place, slot)?;
    came_out?;
    Ok(match put_back {
        Step::Done(_) => Step::Changed("was changed".to_owned()),
        Step::Changed(_) | Step::Kept(_) => Step::Kept("was changed twice".to_owned()),
    })
}

/// ENOENT of a move: the place lost its file or its directory, or, which is an error, the slot did.
fn gone(slot: &Spot, error: io::Error) -> io::Result<Step> {
    match slot.look()? {
        Entry::Absent => Err(error),
        _ => Ok(Step::Changed("is gone".to_owned())),
    }
}

/// Ends what a kill inside a step left: a second name of what has one already.
pub(super) fn tidy(
    place: Option<&Spot>,
    slot: &Spot,
    base: Option<&str>,
    target: Option<&str>,
) -> io::Result<()> {
    let is_at_place = |spot: &Spot| match place {
        Some(place) => spot.is_same_file(place),
        None => Ok(false),
    };
    if is_at_place(slot)? {
        slot.remove()?;
    }
    let aside = aside(slot);
    let (content, _) = content::read(&aside)?;
    if content == Content::Absent {
        Ok(())
    } else if is_at_place(&aside)? {
        aside.remove()
    } else if slot.look()? == Entry::Absent {
        aside.rename_over(slot)
    } else if content.is(base) || content.is(target) {
        aside.remove()
    } else {
        // Somebody's own, which they replaced themselves while it had its second name.
        aside.rename_new(&slot.with_suffix(".kept"))
    }
}
