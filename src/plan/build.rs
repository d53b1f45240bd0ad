//! Edits into new file contents, file by file, several at once: what fits becomes pending, what
//! does not is reported with the closest place, and neither disturbs the other.
//!
//! The edits of one reply are all made of what was there before it: `a` may become `b` while `b`
//! becomes `c`. Only a file that gets its name in the reply is built after the one it comes from.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::edits::{self, Built, Edit, EditFailure, Reason};
use super::event::Event;
use super::group::{self, Group};
use super::outcome::Outcome;
use super::parallel;
use super::place::{self, Made};
use super::sheet::{Sheet, Sheets, Unbuilt};
use super::twins::Names;
use crate::platform::log;
use crate::platform::panic::Panicked;
use crate::project::Turn;
use crate::store::branches::Branch;

/// A file that was built and is pending now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltFile {
    /// The path in the project; of a file that gets another name, the one it has.
    pub path: String,
    /// What is done to it.
    pub op: Op,
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// Whether another file has that name and goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overwrites: bool,
    /// Whether it is to be a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
    /// The loosest match tier that was needed.
    pub tier: edits::Tier,
    /// What a person should be told.
    pub warnings: Vec<edits::BuildWarning>,
    /// Whether tools run this file by themselves (HAZARDS.md H15).
    pub auto_run: bool,
}

/// What a build does to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// There was none.
    Add,
    /// Its content or its mode changes.
    Update,
    /// It goes.
    Delete,
    /// It gets another name.
    Rename,
    /// It has that very content already.
    Unchanged,
    /// It becomes what the project has: nothing is pending of it any more.
    Undone,
}

/// A file that could not be built: none of its edits is pending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedFile {
    /// The path as the reply gave it.
    pub path: String,
    /// Each edit that did not fit.
    pub failures: Vec<EditFailure>,
}

/// The edits of one reply, to be built now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// The reply.
    pub(super) message_id: String,
    /// Its edits in their order.
    pub(super) edits: Vec<Edit>,
}

/// Builds all files that the edits of `dues` touch, each reply on top of those before it, and
/// says what became of each file as it is known, in the order of their names. Only a failure to
/// read the plan is an error here.
pub(super) fn build(
    turn: &Turn<'_>,
    branch: &Branch,
    stream_id: &str,
    dues: &[Due],
    say: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Outcome> {
    let mut sheets = Sheets::open(turn, branch)?;
    let mut outcome = Outcome::new(&branch.id, stream_id);
    let mut names = Names::open(&turn.project.root)?;
    for due in dues {
        let mut reply = Reply {
            groups: group::by_path(&mut sheets, &due.edits)?,
            sheets: &mut sheets,
            names: &mut names,
            outcome: &mut outcome,
            message_id: &due.message_id,
            say,
        };
        let waves = group::waves(&reply.groups, reply.sheets);
        let mut placed = Vec::new();
        for wave in waves {
            reply.build(&wave, &mut placed)?;
        }
    }
    outcome.settle(&mut sheets)?;
    Ok(outcome)
}

/// A reply on its way.
struct Reply<'a> {
    groups: Vec<Group>,
    sheets: &'a mut Sheets,
    names: &'a mut Names,
    outcome: &'a mut Outcome,
    message_id: &'a str,
    say: &'a mut dyn FnMut(Event) -> Result<()>,
}

/// What a thread makes of one file: what it was built on, if that had to be read, and the file.
type Work = Result<(Option<Sheet>, Result<Built, Vec<EditFailure>>), Unbuilt>;

impl Reply<'_> {
    /// Builds the files with these numbers, and puts them where they go. `placed` are the paths
    /// that were given a content in this reply already.
    fn build(&mut self, wave: &[usize], placed: &mut Vec<String>) -> Result<()> {
        let mut verdicts: BTreeMap<usize, Result<Made, FailedFile>> = BTreeMap::new();
        let mut error = None;
        let (groups, sheets) = (&self.groups, &*self.sheets);
        let (names, say) = (&mut *self.names, &mut *self.say);
        let mut read = Vec::new();
        parallel::each_in_order(
            "build",
            wave.len(),
            |at| build_one(&groups[wave[at]], sheets),
            |at, result| {
                let number = wave[at];
                let group = &groups[number];
                let mut verdict = match verdict(group, sheets, result) {
                    Ok((fresh, verdict)) => {
                        read.extend(fresh.map(|sheet| (group.path.clone(), sheet)));
                        verdict
                    }
                    Err(failed) => {
                        error.get_or_insert(failed);
                        return;
                    }
                };
                // What other files have a say in is decided when they are all built.
                if error.is_none() && group::is_alone(groups, number) {
                    verdict = verdict.and_then(|made| {
                        names.check(sheets, &made, &group.path).map_err(|refusal| {
                            group.refused(refusal.reason, Some(&refusal.note))
                        })?;
                        Ok(made)
                    });
                    let told = say(Outcome::tell(&verdict));
                    error = error.take().or(told.err());
                }
                verdicts.insert(number, verdict);
            },
        );
        if let Some(error) = error {
            return Err(error);
        }
        for (path, sheet) in read {
            self.sheets.put(&path, sheet);
        }
        place::settle(&self.groups, &mut verdicts, placed, self.sheets, self.names);
        for (number, verdict) in &verdicts {
            if !group::is_alone(&self.groups, *number) {
                (self.say)(Outcome::tell(verdict))?;
            }
        }
        for (number, verdict) in &verdicts {
            let group = &self.groups[*number];
            self.outcome.note(self.message_id, group, verdict)?;
        }
        place::place(&self.groups, &verdicts, placed, self.sheets)
    }
}

fn build_one(group: &Group, sheets: &Sheets) -> Work {
    if group.refused.is_some() {
        return Ok((None, Err(Vec::new())));
    }
    let fresh = match sheets.get(&group.path) {
        Some(_) => None,
        None => Some(sheets.disk.sheet(&group.path)?),
    };
    let sheet = fresh.as_ref().or_else(|| sheets.get(&group.path));
    let content = sheet.and_then(|sheet| sheet.content.as_deref());
    let built = edits::build_file(&group.path, content, &group.edits);
    Ok((fresh, built))
}

/// What became of one file, as far as it alone decides; and what was read for it.
fn verdict(
    group: &Group,
    sheets: &Sheets,
    work: Result<Work, Panicked>,
) -> Result<(Option<Sheet>, Result<Made, FailedFile>)> {
    if let Some((reason, note)) = &group.refused {
        return Ok((None, Err(group.refused(*reason, note.as_deref()))));
    }
    let (fresh, built) = match work {
        Ok(Ok(work)) => work,
        Ok(Err(Unbuilt::Refused(reason))) => return Ok((None, Err(group.refused(reason, None)))),
        Ok(Err(Unbuilt::Failed(error))) => return Err(error),
        Err(panicked) => {
            log::panicked(&panicked);
            let note = format!("{panicked}");
            return Ok((None, Err(group.refused(Reason::Internal, Some(&note)))));
        }
    };
    let none = Sheet::default();
    let sheet = fresh
        .as_ref()
        .or_else(|| sheets.get(&group.path))
        .unwrap_or(&none);
    let verdict = match built {
        Ok(built) => Ok(Made::new(group, sheet, built, sheets)),
        Err(mut failures) => {
            for failure in &mut failures {
                failure.stale = sheet.stale.is_some();
                failure.loaded_at = sheet.stale;
                if failure.reason == Reason::FileMissing
                    && let Some(to) = sheets.moved_to(&group.path)
                {
                    let note = format!("it is {to} by now: the edits must name it so");
                    failure.note = Some(note);
                }
            }
            let path = group.path.clone();
            Err(FailedFile { path, failures })
        }
    };
    Ok((fresh, verdict))
}
