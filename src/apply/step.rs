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
        (Some(from), Some(to)) => swap(place, slot, from, Some(to)),
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
        Content::File { hash, .. } => swap(place, slot, hash, None),
        Content::Other => Ok(Step::Kept("is not a file any more".to_owned())),
    }
}

/// Swaps the two, and swaps them back if it was not `from` that came out. `to` is what the slot
/// had, where that is ours.
fn swap(place: &Spot, slot: &Spot, from: &str, to: Option<&str>) -> io::Result<Step> {
    match exchange(place, slot)? {
        Exchanged::Done => {}
        Exchanged::Gone => return Ok(Step::Changed("is gone".to_owned())),
        Exchanged::Taken => return replaced(slot, Some(from)),
    }
    let came_out = content::read(slot);
    if let Ok((content, stamp)) = &came_out
        && content.is(Some(from))
    {
        return Ok(Step::Done(*stamp));
    }
    // Not what it was to be, or not to be read: it goes back first, whatever it is.
    let back = exchange(place, slot)?;
    came_out?;
    match back {
        Exchanged::Done => {}
        // The user removed the file meanwhile: so it stays, and what they had is kept.
        Exchanged::Gone => return Ok(Step::Kept("was changed and then removed".to_owned())),
        Exchanged::Taken => return kept(replaced(slot, to)?),
    }
    let (now_in_slot, _) = content::read(slot)?;
    if to.is_none_or(|to| now_in_slot.is(Some(to))) {
        return Ok(Step::Changed("was changed".to_owned()));
    }
    // Somebody wrote onto ours between the two: theirs is the newest.
    match exchange(place, slot)? {
        Exchanged::Done => Ok(Step::Kept("was changed twice".to_owned())),
        Exchanged::Gone => Ok(Step::Kept("was changed and then removed".to_owned())),
        Exchanged::Taken => kept(replaced(slot, None)?),
    }
}

enum Exchanged {
    /// Each has what the other had.
    Done,
    /// The place has nothing.
    Gone,
    /// By the stand-in only: while the place was free, somebody made a new file there. What had
    /// been there is aside.
    Taken,
}

fn exchange(place: &Spot, slot: &Spot) -> io::Result<Exchanged> {
    match place.exchange(slot) {
        Ok(Exchange::Done) => Ok(Exchanged::Done),
        Ok(Exchange::Unknown) => stand_in(place, slot),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            gone(slot, error)?;
            Ok(Exchanged::Gone)
        }
        Err(error) => Err(error),
    }
}

/// Exchanges without RENAME_EXCHANGE: what is at the place goes aside, what is in the slot takes
/// the place if that is still free, and what is aside goes into the slot.
///
/// The place is free for a moment. The other order (a second name for the original, then a rename
/// over the first) has no such moment, but loses a file that somebody else renames there in
/// between: nobody could tell that it was ever there.
fn stand_in(place: &Spot, slot: &Spot) -> io::Result<Exchanged> {
    let aside = aside(slot);
    if slot.look()? == Entry::Absent {
        return Err(io::ErrorKind::NotFound.into());
    }
    match place.rename_over(&aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Exchanged::Gone),
        Err(error) => return Err(error),
    }
    match slot.rename_new(place) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Exchanged::Taken),
        Err(error) => {
            put(place, &aside)?;
            return Err(error);
        }
    }
    aside.rename_over(slot)?;
    Ok(Exchanged::Done)
}

/// The second half of a stand-in that found the place taken: what is aside was replaced by its own
/// owner. It goes if it is `known`, else it is kept.
fn replaced(slot: &Spot, known: Option<&str>) -> io::Result<Step> {
    let aside = aside(slot);
    let (content, _) = content::read(&aside)?;
    if known.is_some() && content.is(known) {
        aside.remove()?;
        return Ok(Step::Changed("was changed".to_owned()));
    }
    aside.rename_new(&slot.with_suffix(".kept"))?;
    Ok(Step::Kept("was changed twice".to_owned()))
}

/// A step after which the slot has somebody's own content, however else it ended.
fn kept(step: Step) -> io::Result<Step> {
    Ok(match step {
        Step::Done(_) => Step::Kept("was changed".to_owned()),
        Step::Changed(why) | Step::Kept(why) => Step::Kept(why),
    })
}

/// Where an original is while it is swapped without RENAME_EXCHANGE.
fn aside(slot: &Spot) -> Spot {
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
        Entry::File(_) | Entry::Directory | Entry::Symlink | Entry::Special => {
            Ok(Step::Changed("is gone".to_owned()))
        }
    }
}

/// Ends what a kill inside a step left: a second name of what has one already, or something that
/// was only to be aside for a moment.
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
        return Ok(());
    }
    if is_at_place(&aside)? {
        return aside.remove();
    }
    if slot.look()? == Entry::Absent {
        return aside.rename_over(slot);
    }
    if let Some(place) = place
        && place.look()? == Entry::Absent
    {
        return aside.rename_new(place);
    }
    // Its owner replaced it themselves while it was aside.
    if content.is(base) || content.is(target) {
        aside.remove()
    } else {
        aside.rename_new(&slot.with_suffix(".kept"))
    }
}
