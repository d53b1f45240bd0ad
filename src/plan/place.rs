//! Where built files go: all files of a reply at once, so that `a` may take the name of `b` while
//! `b` takes another; and what does not go together.

use std::collections::BTreeMap;

use anyhow::Result;

use super::build::{BuiltFile, FailedFile, Op};
use super::edits::{self, Built, Reason};
use super::group::{Group, is_alone};
use super::sheet::{Sheet, Sheets, Unbuilt};
use super::twins::Names;

/// A file as its edits made it.
#[derive(Debug)]
pub(super) struct Made {
    /// The content; `None` if the file goes.
    pub(super) content: Option<Vec<u8>>,
    /// The name that it gets.
    pub(super) target: Option<String>,
    executable: Option<bool>,
    /// What is said of it.
    pub(super) file: BuiltFile,
}

impl Made {
    /// What `built` makes of the file `sheet` of `group`.
    pub(super) fn new(group: &Group, sheet: &Sheet, built: Built, sheets: &Sheets) -> Self {
        let path = &group.path;
        let has_content = built.content.is_some();
        let target = group.target.clone().filter(|_| has_content);
        let kept = sheet.executable.filter(|_| sheet.content.is_some());
        let executable = built.executable.or(kept).filter(|_| has_content);
        let is_same = target.is_none()
            && built.content == sheet.content
            && built.executable.is_none_or(|wanted| {
                let origin = sheet.moved_from.as_ref().unwrap_or(path);
                let now = sheet.executable;
                now.unwrap_or_else(|| sheets.disk.is_executable(origin)) == wanted
            });
        let after = changed(sheet, built.content.clone(), executable);
        let op = match &built.content {
            _ if is_same => Op::Unchanged,
            _ if target.is_some() => Op::Rename,
            _ if after.is_as_the_project(&sheets.disk, path) => Op::Undone,
            None => Op::Delete,
            Some(_) if sheet.content.is_none() => Op::Add,
            Some(_) => Op::Update,
        };
        let becomes_program = built.executable == Some(true) && op != Op::Unchanged;
        let file = BuiltFile {
            path: path.clone(),
            op,
            overwrites: false,
            executable: built.executable.filter(|_| op != Op::Unchanged),
            added: built.lines.added,
            removed: built.lines.removed,
            tier: built.tier,
            warnings: built.warnings,
            auto_run: becomes_program || edits::is_auto_run(target.as_ref().unwrap_or(path)),
            moved_to: target.clone(),
        };
        Self {
            content: built.content,
            target,
            executable,
            file,
        }
    }
}

/// A sheet with another content under the same name.
fn changed(sheet: &Sheet, content: Option<Vec<u8>>, executable: Option<bool>) -> Sheet {
    let moved_from = sheet.moved_from.clone();
    let stays = content.is_some() && sheet.content.is_some();
    Sheet {
        content,
        executable,
        moved_from: moved_from.filter(|_| stays),
        base_hash: sheet.base_hash.clone(),
        base: sheet.base.clone(),
        stale: sheet.stale,
    }
}

/// Fails the files of one wave that do not go together with others of it, or with those that were
/// `placed` before in the same reply.
pub(super) fn settle(
    groups: &[Group],
    verdicts: &mut BTreeMap<usize, Result<Made, FailedFile>>,
    placed: &[String],
    sheets: &Sheets,
    names: &mut Names,
) {
    settle_clashes(groups, verdicts, placed);
    for (number, verdict) in verdicts.iter_mut() {
        let group = &groups[*number];
        if is_alone(groups, *number) {
            continue;
        }
        let checked = match &*verdict {
            Ok(made) => names.check(sheets, made, &group.path),
            Err(_) => continue,
        };
        if let Err(refusal) = checked {
            *verdict = Err(group.refused(refusal.reason, Some(&refusal.note)));
        }
    }
    // What was refused by its name may have been to make room.
    settle_clashes(groups, verdicts, placed);
    note_overwriting(groups, verdicts, sheets);
}

fn settle_clashes(
    groups: &[Group],
    verdicts: &mut BTreeMap<usize, Result<Made, FailedFile>>,
    placed: &[String],
) {
    // Each round fails one more file.
    loop {
        let clashes = clashes(groups, verdicts, placed);
        if clashes.is_empty() {
            break;
        }
        for (number, note) in clashes {
            let refused = groups[number].refused(Reason::Overlap, Some(&note));
            verdicts.insert(number, Err(refused));
        }
    }
}

/// The first files found that cannot get their names or keep their contents, each with the reason.
fn clashes(
    groups: &[Group],
    verdicts: &BTreeMap<usize, Result<Made, FailedFile>>,
    placed: &[String],
) -> Vec<(usize, String)> {
    let has_others = |path: &str| format!("{path} has other edits in this reply");
    for (number, verdict) in verdicts {
        let group = &groups[*number];
        let target = verdict.as_ref().ok().and_then(|made| made.target.as_ref());
        let Some(target) = target else { continue };
        if placed.contains(target) {
            return vec![(*number, has_others(target))];
        }
        for (other, verdict) in verdicts.iter().filter(|(other, _)| *other != number) {
            let there = &groups[*other];
            let is_same = |made: &Made| made.target.as_ref() == Some(target);
            if verdict.as_ref().is_ok_and(is_same) {
                let becomes = |path: &str| format!("{path} is to become {target}, too");
                return vec![
                    (*number, becomes(&there.path)),
                    (*other, becomes(&group.path)),
                ];
            }
            if there.path != *target {
                continue;
            }
            let Ok(made) = verdict else {
                let note = format!("{target} is in its place, and the edits of that did not fit");
                return vec![(*number, note)];
            };
            let is_removed = made.content.is_none() && there.lines().0 <= group.lines().1;
            if made.target.is_none() && !is_removed {
                let becomes = format!("{} is to become this file in the same reply", group.path);
                return vec![(*number, has_others(target)), (*other, becomes)];
            }
        }
    }
    Vec::new()
}

/// Notes which files take the place of others.
fn note_overwriting(
    groups: &[Group],
    verdicts: &mut BTreeMap<usize, Result<Made, FailedFile>>,
    sheets: &Sheets,
) {
    let leaves = |path: &String| {
        let mut all = verdicts.iter();
        all.any(|(number, verdict)| {
            let is_leaving = |made: &Made| made.target.is_some() || made.content.is_none();
            groups[*number].path == *path && verdict.as_ref().is_ok_and(is_leaving)
        })
    };
    let has_content = |path: &String| {
        let sheet = sheets.get(path);
        sheet.is_some_and(|sheet| sheet.content.is_some())
    };
    let overwriting: Vec<usize> = verdicts
        .iter()
        .filter(|(_, verdict)| {
            let target = verdict.as_ref().ok().and_then(|made| made.target.as_ref());
            target.is_some_and(|target| has_content(target) && !leaves(target))
        })
        .map(|(number, _)| *number)
        .collect();
    for number in overwriting {
        if let Some(Ok(made)) = verdicts.get_mut(&number) {
            made.file.overwrites = true;
        }
    }
}

/// Puts all files of a wave where they go.
pub(super) fn place(
    groups: &[Group],
    verdicts: &BTreeMap<usize, Result<Made, FailedFile>>,
    placed: &mut Vec<String>,
    sheets: &mut Sheets,
) -> Result<()> {
    let mut carried = Vec::new();
    for (number, verdict) in verdicts {
        let Ok(made) = verdict else { continue };
        let path = &groups[*number].path;
        let sheet = opened(sheets, path)?;
        if let Some(target) = &made.target {
            let was_there = sheet.base_hash.is_some().then(|| path.clone());
            let origin = sheet.moved_from.take().or(was_there);
            *sheet = changed(sheet, None, None);
            carried.push((target, made, origin));
        } else if made.file.op != Op::Unchanged {
            *sheet = changed(sheet, made.content.clone(), made.executable);
            placed.extend(made.content.is_some().then(|| path.clone()));
        }
    }
    for (target, made, origin) in carried {
        // A file that was never written brings its mode along, which is that of a new one.
        let loses_mode = origin.is_none() && sheets.disk.is_executable(target);
        let sheet = opened(sheets, target)?;
        sheet.content.clone_from(&made.content);
        sheet.executable = made.executable.or(loses_mode.then_some(false));
        // Back under its own name, it was never moved.
        sheet.moved_from = origin.filter(|origin| origin != target);
        placed.push(target.clone());
    }
    Ok(())
}

fn opened<'s>(sheets: &'s mut Sheets, path: &str) -> Result<&'s mut Sheet> {
    match sheets.sheet(path) {
        Ok(sheet) => Ok(sheet),
        Err(Unbuilt::Failed(error)) => Err(error),
        Err(Unbuilt::Refused(_)) => anyhow::bail!("{path} changed its kind while it was built"),
    }
}
