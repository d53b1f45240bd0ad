//! An operation's turn on a plan, and how it makes versions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Project, SelectError, content, tree};
use crate::platform::cancel::Cancel;
use crate::platform::clock;
use crate::repo::{PlanRepo, TreeChange, Version};
use crate::store::branches::{self, Branch, NewBranch, Status};
use crate::store::changes;
use crate::store::messages::{self, Message, State};
use crate::store::plans;
use crate::store::rows::{self, Rows};
use crate::store::tickets::{AppendPermit, Proof, WritePermit};
use crate::store::{AppendTx, WriteTx, new_id};

/// What a turn was taken for, as its versions tell it.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    operation: &'static str,
    ticket: i64,
    fence: i64,
}

impl Purpose {
    pub(crate) fn new(operation: &'static str, proof: &Proof) -> Self {
        Self {
            operation,
            ticket: proof.ticket(),
            fence: proof.fence(),
        }
    }
}

/// The trailer of a version that tells which apply it ends.
pub const APPLY: &str = "Apply";

/// How the last run of a branch ended, as far as its last message tells.
pub(crate) fn status_after(last: Option<&Message>) -> Status {
    match last.map(|message| message.state) {
        None => Status::Draft,
        Some(State::Stopped) => Status::Stopped,
        Some(State::Error) => Status::Error,
        Some(State::Interrupted) => Status::Interrupted,
        Some(State::Open | State::Complete | State::Truncated | State::Refused) => Status::Ready,
    }
}

/// An operation's turn on a plan: what its work is given.
pub struct Turn<'p> {
    /// The project.
    pub project: &'p Arc<Project>,
    /// The plan.
    pub plan_id: &'p str,
    /// Set when the work must end.
    pub cancel: Cancel,
    /// How long the turn was waited for.
    pub waited: Duration,
    purpose: Purpose,
}

impl<'p> Turn<'p> {
    pub(crate) fn new(
        project: &'p Arc<Project>,
        plan_id: &'p str,
        cancel: Cancel,
        waited: Duration,
        purpose: Purpose,
    ) -> Self {
        Self {
            project,
            plan_id,
            cancel,
            waited,
            purpose,
        }
    }

    /// The plan's repository.
    pub fn repo(&self) -> Result<PlanRepo> {
        self.project.repo(self.plan_id)
    }

    /// The live branch called `name`.
    pub fn branch(&self, name: &str) -> Result<Branch> {
        let found = self
            .project
            .store
            .read(|tx| branches::by_name(tx, self.plan_id, name))?;
        found.ok_or_else(|| SelectError::NoBranch(name.to_owned()).into())
    }

    /// Makes the next version of `branch`: `changes` to its tree, and `rows` in the transaction
    /// that moves its head. Nothing is acknowledged before both are on the disk.
    pub fn advance<T>(
        &self,
        permit: &WritePermit,
        branch: &Branch,
        changes: &[TreeChange],
        message: &str,
        rows: impl FnOnce(&WriteTx<'_>) -> Result<T>,
    ) -> Result<T> {
        let repo = self.repo()?;
        let next = self.commit(&repo, branch.head.as_deref(), changes, message)?;
        let version = next.to_string();
        let value = self.project.store.write(permit, |tx| {
            if !branches::move_head(tx, &branch.id, branch.head.as_deref(), &version)? {
                bail!(
                    "branch \"{}\" moved under its own write ticket",
                    branch.name
                );
            }
            plans::touch(tx, self.plan_id)?;
            rows(tx)
        })?;
        self.mirror(&repo, &branch.id);
        Ok(value)
    }

    /// As [`Turn::advance`] under a read ticket: `prepare` makes the tree edit for the branch as it
    /// stands, and if another load moved the head meanwhile, it is made again on top of that.
    pub fn append<E>(
        &self,
        permit: &AppendPermit,
        branch_name: &str,
        message: &str,
        prepare: impl Fn(&Branch) -> Result<(Vec<TreeChange>, E)>,
        rows: impl Fn(&AppendTx<'_>, &E) -> Result<()>,
    ) -> Result<E> {
        let repo = self.repo()?;
        // Bounded by the loads that run at the same time: each round, one of them got through.
        loop {
            let branch = self.branch(branch_name)?;
            let (changes, edit) = prepare(&branch)?;
            let next = self.commit(&repo, branch.head.as_deref(), &changes, message)?;
            let version = next.to_string();
            let moved = self.project.store.append(permit, |tx| {
                if !branches::move_head(tx, &branch.id, branch.head.as_deref(), &version)? {
                    return Ok(false);
                }
                rows(tx, &edit)?;
                Ok(true)
            })?;
            if moved {
                self.mirror(&repo, &branch.id);
                return Ok(edit);
            }
        }
    }

    pub(super) fn commit(
        &self,
        repo: &PlanRepo,
        head: Option<&str>,
        changes: &[TreeChange],
        message: &str,
    ) -> Result<Version> {
        let parent = head.map(str::parse::<Version>).transpose()?;
        self.commit_on(repo, parent.as_ref(), parent.as_ref(), changes, message)
    }

    fn commit_on(
        &self,
        repo: &PlanRepo,
        base: Option<&Version>,
        parent: Option<&Version>,
        changes: &[TreeChange],
        message: &str,
    ) -> Result<Version> {
        repo.commit_on(
            base,
            parent,
            changes,
            self.project.author(),
            &self.signed(message),
            clock::wall_ms(),
        )
    }

    /// A version's message with what made it: trailers that `git log` shows and `log` reads.
    fn signed(&self, message: &str) -> String {
        let Purpose {
            operation,
            ticket,
            fence,
        } = &self.purpose;
        let command = self.project.command_line();
        let trailers =
            format!("Operation: {operation}\nCommand: {command}\nTicket: {ticket}\nFence: {fence}");
        // A message of its own trailers has one paragraph of them all.
        let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
        let is_trailer = |line: &str| line.split_once(": ").is_some_and(|(key, _)| key == APPLY);
        let gap = if last.lines().all(is_trailer) {
            "\n"
        } else {
            "\n\n"
        };
        format!("{}{gap}{trailers}", message.trim_end())
    }

    /// Forks `from` into the new branch `name`, with a version of its own. Fails if a live branch
    /// of the plan has that name.
    pub fn fork(&self, permit: &WritePermit, from: &Branch, name: &str) -> Result<()> {
        let repo = self.repo()?;
        let (id, created_at) = (new_id(), clock::wall_ms());
        let about = tree::BranchAbout {
            name: name.to_owned(),
            parent_id: Some(from.id.clone()),
            created_at,
        };
        let message = format!("New branch {name}, from {}", from.name);
        let mut own = vec![tree::branch(&about)];
        let head = from.head.as_deref().map(str::parse).transpose()?;
        let is_whole = head.map(|head| content::is_whole(&repo, &head));
        if !is_whole.transpose()?.unwrap_or(false) {
            let builds = self
                .project
                .store
                .read(|tx| changes::builds(tx, &from.id))?;
            own.extend(builds.iter().map(tree::build));
        }
        let head = self.commit(&repo, from.head.as_deref(), &own, &message)?;
        let head = head.to_string();
        let fork = NewBranch {
            id: &id,
            name,
            head: &head,
            created_at,
        };
        self.project
            .store
            .write(permit, |tx| branches::fork(tx, from, &fork))?;
        self.mirror(&repo, &id);
        Ok(())
    }

    /// Makes a version of `branch` whose content is that of `to`, an earlier one (of this branch or
    /// another of the plan), and the rows what it holds. The plan's and the branch's own names are
    /// as they are now.
    pub fn restore(
        &self,
        permit: &WritePermit,
        branch: &Branch,
        to: &Version,
        message: &str,
        finish: impl FnOnce(&WriteTx<'_>) -> Result<()>,
    ) -> Result<Version> {
        let repo = self.repo()?;
        let is_whole = content::is_whole(&repo, to)?;
        let [from, rows] = self.rows_between(&repo, branch, to)?;
        let plan = self
            .project
            .store
            .read(|tx| plans::by_id(tx, self.plan_id))?;
        let plan = plan.context("the plan is gone")?;
        let mut own = vec![
            tree::plan(&tree::PlanAbout::from(&plan)),
            tree::branch(&tree::BranchAbout::from(branch)),
        ];
        if !is_whole {
            own.extend(rows.builds.iter().map(tree::build));
        }
        let head = branch.head.as_deref().map(str::parse).transpose()?;
        let next = self.commit_on(&repo, Some(to), head.as_ref(), &own, message)?;
        let version = next.to_string();
        self.project.store.write(permit, |tx| {
            if !branches::move_head(tx, &branch.id, branch.head.as_deref(), &version)? {
                bail!(
                    "branch \"{}\" moved under its own write ticket",
                    branch.name
                );
            }
            plans::touch(tx, self.plan_id)?;
            rows::change(tx, &branch.id, &from, &rows)?;
            let last = messages::last(tx, &branch.id)?;
            branches::set_status(tx, &branch.id, status_after(last.as_ref()), None)?;
            finish(tx)
        })?;
        self.mirror(&repo, &branch.id);
        Ok(next)
    }

    /// The rows of `branch` as it stands, and those of its version `to`. Where both versions tell all
    /// rows, they are only those that differ.
    fn rows_between(&self, repo: &PlanRepo, branch: &Branch, to: &Version) -> Result<[Rows; 2]> {
        if let Some(head) = branch.head.as_deref().map(str::parse).transpose()?
            && content::is_whole(repo, &head)?
            && content::is_whole(repo, to)?
        {
            let both = content::differing(repo, &head, to, &branch.id)?;
            return Ok(both.map(|content| content.rows));
        }
        let store = &self.project.store;
        let before = store.read(|tx| Rows::of_branch(tx, &branch.id))?;
        let rows = content::read(repo, to, &branch.id)?.rows_after(&before);
        Ok([before, rows])
    }

    /// Makes the ref follow the row. The row is read again after: if it moved meanwhile, once
    /// more. A ref that could not be written lags, which the next writer mends.
    pub(super) fn mirror(&self, repo: &PlanRepo, branch_id: &str) {
        let row = || -> Result<Option<String>> {
            let branch = self
                .project
                .store
                .read(|tx| branches::by_id(tx, branch_id))?;
            Ok(branch.and_then(|branch| branch.head))
        };
        let mut shown = None;
        // Bounded: each round needs another writer's move in between.
        while let Ok(Some(head)) = row() {
            if shown.as_ref() == Some(&head) {
                break;
            }
            let Ok(version) = head.parse::<Version>() else {
                break;
            };
            if repo.mirror(branch_id, &version).is_err() {
                break;
            }
            shown = Some(head);
        }
    }

    /// Makes every ref of the plan follow its row; returns the names of those that lagged.
    pub fn mend_mirrors(&self, _permit: &WritePermit) -> Result<Vec<String>> {
        let repo = self.repo()?;
        let mut mended = Vec::new();
        for branch in self
            .project
            .store
            .read(|tx| branches::of_plan(tx, self.plan_id))?
        {
            let shown = repo
                .mirrored(&branch.id)?
                .map(|version| version.to_string());
            if shown != branch.head {
                self.mirror(&repo, &branch.id);
                mended.push(branch.name);
            }
        }
        Ok(mended)
    }
}
