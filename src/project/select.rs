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
}

impl DecidedBy {
    /// The words for people and JSON.
    pub fn words(self) -> &'static str {
        match self {
            Self::Named => "flag or environment",
            Self::Terminal => "this terminal",
            Self::Project => "project",
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
    /// What decided it.
    pub decided_by: DecidedBy,
}

impl Project {
    /// The selected plan and branch. Fails with a [`SelectError`].
    pub fn selected(&self) -> Result<Selected> {
        self.store.read(|tx| self.selected_in(tx))
    }

    fn selected_in(&self, tx: &ReadTx<'_>) -> Result<Selected> {
        let session = &self.session;
        let of_terminal = match &session.terminal {
            Some(terminal) => live(tx, selections::of(tx, terminal)?)?,
            None => None,
        };
        let chosen = match of_terminal {
            Some(found) => Some((found, DecidedBy::Terminal)),
            None => live(tx, selections::of(tx, selections::PROJECT)?)?
                .map(|found| (found, DecidedBy::Project)),
        };
        let (plan, kept_branch, decided_by) = match (&session.plan, chosen) {
            (Some(name), chosen) => {
                let plan = find_plan(tx, name)?;
                let kept = chosen.filter(|((chosen, _), _)| chosen.id == plan.id);
                (plan, kept.map(|((_, branch), _)| branch), DecidedBy::Named)
            }
            (None, Some(((plan, branch), by))) => (plan, Some(branch), by),
            (None, None) => return Err(SelectError::Nothing.into()),
        };
        let name = session
            .branch
            .clone()
            .or(kept_branch)
            .unwrap_or_else(|| "main".to_owned());
        let branch = branches::by_name(tx, &plan.id, &name)?.ok_or(SelectError::NoBranch(name))?;
        Ok(Selected {
            plan,
            branch,
            decided_by,
        })
    }
}

/// The plan of a choice, if it still lives.
fn live(tx: &ReadTx<'_>, selection: Option<Selection>) -> Result<Option<(Plan, String)>> {
    let Some(Selection { plan_id, branch }) = selection else {
        return Ok(None);
    };
    let plan = plans::by_id(tx, &plan_id)?.filter(|plan| plan.deleted_at.is_none());
    Ok(plan.map(|plan| (plan, branch)))
}

/// Finds a live plan by name, by id, by its number in `plans`, or by a beginning that only it has.
pub fn find_plan(tx: &ReadTx<'_>, name: &str) -> Result<Plan> {
    let live = plans::live(tx)?;
    let exact = live
        .iter()
        .find(|plan| plan.name == name || plan.id == name);
    let numbered = || {
        let number: usize = name.parse().ok()?;
        live.get(number.checked_sub(1)?)
    };
    if let Some(plan) = exact.or_else(numbered) {
        return Ok(plan.clone());
    }
    let fits: Vec<&Plan> = live
        .iter()
        .filter(|plan| plan.name.starts_with(name))
        .collect();
    match fits.as_slice() {
        [] => Err(SelectError::NoPlan(name.to_owned()).into()),
        [plan] => Ok((*plan).clone()),
        many => {
            let fits: Vec<&str> = many.iter().map(|plan| plan.name.as_str()).collect();
            let (name, fits) = (name.to_owned(), fits.join(", "));
            Err(SelectError::Ambiguous { name, fits }.into())
        }
    }
}

impl Project {
    /// Finds a live plan as `cd` does.
    pub fn find_plan(&self, name: &str) -> Result<Plan> {
        self.store.read(|tx| find_plan(tx, name))
    }
}
