//! Which plan and branch a command works on: flag, environment, this terminal, the project.

use anyhow::Result;

use super::Project;
use crate::store::ReadTx;
use crate::store::branches::{self, Branch};
use crate::store::plans::{self, Plan};
use crate::store::selections::{self, Selection};

/// Why no plan or branch is selected.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// Nothing was chosen yet.
    #[error("no plan is selected")]
    Nothing,
    /// What was chosen is deleted by now.
    #[error("plan \"{plan}\", which {chooser} had chosen, was deleted{by}")]
    Deleted {
        /// The plan's name.
        plan: String,
        /// Whose choice it was: "this terminal", "the project".
        chooser: &'static str,
        /// " by …", or nothing if that is not known.
        by: String,
    },
    /// The branch that was chosen is deleted by now.
    #[error(
        "branch \"{branch}\", which {chooser} had chosen, is no branch of plan \"{plan}\" any more"
    )]
    BranchGone {
        /// The branch.
        branch: String,
        /// Its plan's name.
        plan: String,
        /// Whose choice it was.
        chooser: &'static str,
    },
    /// A live plan has that name already.
    #[error("there is already a plan \"{0}\"")]
    Taken(String),
    /// No live plan has that name or id.
    #[error("there is no plan \"{0}\"")]
    NoPlan(String),
    /// The plan has no such live branch.
    #[error("the plan has no branch \"{0}\"")]
    NoBranch(String),
    /// More than one plan begins so.
    #[error("\"{name}\" fits more than one plan: {fits}")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it fits.
        fits: String,
    },
}

/// What decided the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedBy {
    /// A flag or the environment.
    Named,
    /// This terminal's choice.
    Terminal,
    /// The project's choice.
    Project,
    /// Nobody: the branch that every plan begins with.
    Default,
}

impl DecidedBy {
    /// The words for people and JSON.
    pub fn words(self) -> &'static str {
        match self {
            Self::Named => "flag or environment",
            Self::Terminal => "this terminal",
            Self::Project => "project",
            Self::Default => "default",
        }
    }
}

/// A plan and a branch of it.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The plan.
    pub plan: Plan,
    /// The branch.
    pub branch: Branch,
    /// What decided the plan.
    pub decided_by: DecidedBy,
    /// What decided the branch.
    pub branch_by: DecidedBy,
}

/// A choice that was made, with its plan, live or deleted.
struct Choice {
    plan: Plan,
    branch: String,
    by: DecidedBy,
}

impl Choice {
    fn of(tx: &ReadTx<'_>, terminal: &str, by: DecidedBy) -> Result<Option<Self>> {
        let Some(Selection { plan_id, branch }) = selections::of(tx, terminal)? else {
            return Ok(None);
        };
        // A pruned plan is as one that was never chosen.
        let plan = plans::by_id(tx, &plan_id)?;
        Ok(plan.map(|plan| Self { plan, branch, by }))
    }

    /// Who made it.
    fn chooser(&self) -> &'static str {
        match self.by {
            DecidedBy::Terminal => "this terminal",
            DecidedBy::Named | DecidedBy::Project | DecidedBy::Default => "the project",
        }
    }
}

impl Project {
    /// The selected plan and branch. Fails with a [`SelectError`].
    pub fn selected(&self) -> Result<Selected> {
        self.store.read(|tx| self.selected_in(tx))
    }

    /// As [`Self::selected`] but on the branch `branch`, whatever was chosen.
    pub fn selected_on(&self, branch: &str) -> Result<Selected> {
        self.store.read(|tx| self.selected_with(tx, Some(branch)))
    }

    fn selected_in(&self, tx: &ReadTx<'_>) -> Result<Selected> {
        self.selected_with(tx, self.session.branch.as_deref())
    }

    fn selected_with(&self, tx: &ReadTx<'_>, named_branch: Option<&str>) -> Result<Selected> {
        let session = &self.session;
        let of_terminal = match &session.terminal {
            Some(terminal) => Choice::of(tx, terminal, DecidedBy::Terminal)?,
            None => None,
        };
        let chosen = match of_terminal {
            Some(chosen) => Some(chosen),
            None => Choice::of(tx, selections::PROJECT, DecidedBy::Project)?,
        };
        let (plan, decided_by) = match (&session.plan, &chosen) {
            (Some(name), _) => (find_plan(tx, name)?, DecidedBy::Named),
            // Never another plan in its place: what a terminal had chosen is not what another has.
            (None, Some(chosen)) if chosen.plan.deleted_at.is_some() => {
                return Err(deleted(chosen).into());
            }
            (None, Some(chosen)) => (chosen.plan.clone(), chosen.by),
            (None, None) => return Err(SelectError::Nothing.into()),
        };
        let kept = chosen.filter(|chosen| chosen.plan.id == plan.id);
        let (name, branch_by) = match (named_branch, &kept) {
            (Some(name), _) => (name.to_owned(), DecidedBy::Named),
            (None, Some(kept)) => (kept.branch.clone(), kept.by),
            (None, None) => ("main".to_owned(), DecidedBy::Default),
        };
        let found = branches::by_name(tx, &plan.id, &name)?;
        let branch = found.ok_or_else(|| match &kept {
            Some(kept) if named_branch.is_none() => SelectError::BranchGone {
                branch: name.clone(),
                plan: plan.name.clone(),
                chooser: kept.chooser(),
            },
            _ => SelectError::NoBranch(name.clone()),
        })?;
        Ok(Selected {
            plan,
            branch,
            decided_by,
            branch_by,
        })
    }
}

fn deleted(chosen: &Choice) -> SelectError {
    let by = chosen.plan.deleted_by.as_ref().filter(|by| !by.is_empty());
    SelectError::Deleted {
        plan: chosen.plan.name.clone(),
        chooser: chosen.chooser(),
        by: by.map(|by| format!(" by {by}")).unwrap_or_default(),
    }
}

/// Finds a live plan by name, by id, by its number in `plans`, or by a beginning that only it has.
pub fn find_plan(tx: &ReadTx<'_>, name: &str) -> Result<Plan> {
    if let Some(plan) = exactly(tx, name)? {
        return Ok(plan);
    }
    let live = plans::live(tx)?;
    let (archived, mut all): (Vec<Plan>, Vec<Plan>) = live
        .into_iter()
        .partition(|plan| plan.archived_at.is_some());
    let open = all.len();
    // `plans` does not list archived ones, so they have no number there.
    all.extend(archived);
    let number = name.parse::<usize>().ok();
    let is_named = |plan: &Plan| plan.name == name || plan.id == name;
    if number.is_some_and(|number| number > open) && !all.iter().any(is_named) {
        return Err(SelectError::NoPlan(name.to_owned()).into());
    }
    Ok(find_among(&all, name)?.clone())
}

/// The live plan of this name or id, without a look at the others.
fn exactly(tx: &ReadTx<'_>, name: &str) -> Result<Option<Plan>> {
    if let Some(plan) = plans::by_name(tx, name)? {
        return Ok(Some(plan));
    }
    let plan = plans::by_id(tx, name)?;
    Ok(plan.filter(|plan| plan.deleted_at.is_none()))
}

/// As [`find_plan`] among `listed`, in the order in which they are numbered.
pub fn find_among<'a>(listed: &'a [Plan], name: &str) -> Result<&'a Plan, SelectError> {
    let exact = listed
        .iter()
        .find(|plan| plan.name == name || plan.id == name);
    let numbered = || {
        let number: usize = name.parse().ok()?;
        listed.get(number.checked_sub(1)?)
    };
    if let Some(plan) = exact.or_else(numbered) {
        return Ok(plan);
    }
    let begins = |plan: &&Plan| !name.is_empty() && plan.name.starts_with(name);
    let fits: Vec<&Plan> = listed.iter().filter(begins).collect();
    match fits.as_slice() {
        [] => Err(SelectError::NoPlan(name.to_owned())),
        [plan] => Ok(plan),
        many => {
            let fits: Vec<&str> = many.iter().map(|plan| plan.name.as_str()).collect();
            let (name, fits) = (name.to_owned(), fits.join(", "));
            Err(SelectError::Ambiguous { name, fits })
        }
    }
}

impl Project {
    /// Finds a live plan as `cd` does.
    pub fn find_plan(&self, name: &str) -> Result<Plan> {
        self.store.read(|tx| find_plan(tx, name))
    }
}
