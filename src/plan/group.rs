//! Which file each edit of a reply means, and which files must wait for others.

use std::collections::BTreeMap;

use anyhow::Result;

use super::build::FailedFile;
use super::edits::{self, Edit, EditBody, EditFailure, PathMatch, Reason};
use super::sheet::{Sheets, Unbuilt};

/// The edits of one file in a reply.
#[derive(Debug)]
pub(super) struct Group {
    /// The file; as labelled if the label means no one file.
    pub(super) path: String,
    /// Its edits in their order.
    pub(super) edits: Vec<Edit>,
    /// The name that it is to get.
    pub(super) target: Option<String>,
    /// Why nothing of it can be built, and a sentence about that.
    pub(super) refused: Option<(Reason, Option<String>)>,
}

impl Group {
    /// The lines of the reply at which its first edit stands and at which it gets its new name.
    pub(super) fn lines(&self) -> (usize, usize) {
        let first = self.edits.first().map_or(0, |edit| edit.line);
        let moves = |edit: &&Edit| matches!(edit.body, EditBody::Move { .. });
        let moved = self.edits.iter().rev().find(moves);
        (first, moved.map_or(0, |edit| edit.line))
    }

    /// The failure of all its edits for one reason.
    pub(super) fn refused(&self, reason: Reason, note: Option<&str>) -> FailedFile {
        let of = self.edits.len();
        let failures = self
            .edits
            .iter()
            .enumerate()
            .map(|(index, edit)| EditFailure {
                path: self.path.clone(),
                edit: index + 1,
                of,
                format: edit.format,
                reason,
                searched_lines: Vec::new(),
                closest: None,
                candidates: Vec::new(),
                stale: false,
                loaded_at: None,
                tiers_tried: Vec::new(),
                note: note.map(str::to_owned),
            });
        FailedFile {
            path: self.path.clone(),
            failures: failures.collect(),
        }
    }
}

/// The edits of each path in the order of the reply, by path; and each path that decides about
/// another one is read.
pub(super) fn by_path(sheets: &mut Sheets, edits: &[Edit]) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    // Only a name without a directory is looked up among all that was shown.
    let is_bare = |edit: &Edit| !edit.path.trim_start_matches("./").contains('/');
    let shown = match edits.iter().any(is_bare) {
        true => sheets.disk.shown()?,
        false => Vec::new(),
    };
    let names = sheets.names(&shown);
    for edit in edits {
        // A bare name that is there at the root means that file.
        let is_bare = !edit.path.contains('/');
        let is_there = is_bare && sheets.holds(&edit.path) != Some(false);
        let here = (is_there && sheets.disk.has(&edit.path)).then_some(edit.path.as_str());
        let resolved = match here {
            Some(path) => PathMatch::File(path.to_owned()),
            None => edits::resolve_path(&edit.path, &names),
        };
        let (path, refused) = match resolved {
            PathMatch::File(path) => {
                let is_unsafe = edits::check_path(&path).is_err();
                (path, is_unsafe.then_some((Reason::UnsafePath, None)))
            }
            PathMatch::Several(several) => {
                let note = format!("it may be {}", several.join(" or "));
                (edit.path.clone(), Some((Reason::Ambiguous, Some(note))))
            }
        };
        let group = groups.entry(path.clone()).or_insert_with(|| Group {
            path,
            edits: Vec::new(),
            target: None,
            refused,
        });
        if let EditBody::Move { to } = &edit.body {
            let to = to.strip_prefix("./").unwrap_or(to);
            group.target = (to != group.path).then(|| to.to_owned());
        }
        group.edits.push(edit.clone());
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    for group in &mut groups {
        look(sheets, group)?;
    }
    Ok(groups)
}

/// Reads what is pending of a group's file, and what stands where it is to go.
fn look(sheets: &mut Sheets, group: &mut Group) -> Result<()> {
    if group.refused.is_some() {
        return Ok(());
    }
    sheets.open_pending(&group.path)?;
    let Some(target) = &group.target else {
        return Ok(());
    };
    let why = |reason: &str| Some(format!("it cannot become {target}: {reason}"));
    if let Err(refusal) = edits::check_path(target) {
        group.refused = Some((Reason::UnsafePath, why(&refusal.to_string())));
        return Ok(());
    }
    // Both sides of a move are known from here on.
    for path in [&group.path, target] {
        match sheets.sheet(path) {
            Ok(_) => {}
            Err(Unbuilt::Refused(reason)) if path == target => {
                let note = why("what is there is no file that can be replaced");
                group.refused = Some((reason, note));
            }
            Err(Unbuilt::Refused(reason)) => group.refused = Some((reason, None)),
            Err(Unbuilt::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Whether no other file of the reply has to do with this one.
pub(super) fn is_alone(groups: &[Group], number: usize) -> bool {
    let group = &groups[number];
    let is_target = |other: &Group| other.target.as_ref() == Some(&group.path);
    group.target.is_none() && !groups.iter().any(is_target)
}

/// The numbers of the groups in the order they are built: what only gets its file by a move of
/// this reply comes after that.
pub(super) fn waves(groups: &[Group], sheets: &Sheets) -> Vec<Vec<usize>> {
    let source = |number: usize| {
        let path = &groups[number].path;
        let is_free = sheets.get(path).is_none_or(|sheet| sheet.content.is_none());
        let is_source = |other: &Group| other.target.as_ref() == Some(path);
        groups.iter().position(is_source).filter(|_| is_free)
    };
    let mut left: Vec<usize> = (0..groups.len()).collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let waits = |number: &usize| source(*number).is_some_and(|other| left.contains(&other));
        let (later, now): (Vec<usize>, Vec<usize>) = left.iter().partition(|number| waits(number));
        // Files that wait for each other are all not there: each fails by itself.
        let (later, now) = if now.is_empty() {
            (now, later)
        } else {
            (later, now)
        };
        waves.push(now);
        left = later;
    }
    waves
}
