//! One opened project: where it is, its database, its tickets, its plans' repositories.
//!
//! The one hard rule: every change of a plan goes through [`Turn::advance`]: objects are durable,
//! then one fenced transaction moves the head and changes the rows, then the ref mirrors it. A
//! crash in between leaves an unreferenced commit or a lagging ref, both harmless and repaired;
//! never a row that points nowhere.

pub mod backup;
pub mod content;
mod describe;
mod find;
mod select;
pub mod tree;
mod turn;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

pub use find::{Place, ProjectError, find, place_for_new};
pub use select::{DecidedBy, SelectError, Selected, find_among, find_plan};
pub use turn::{APPLY, Turn};
pub(crate) use turn::{Purpose, status_after};

use crate::config::LockToken;
use crate::lock::{self, LockError, Locks, Notice, Patience, operation, owner};
use crate::platform::cancel::Cancel;
use crate::repo::PlanRepo;
use crate::store::branches::{self, Status};
use crate::store::plans::{self, NewPlan, Plan};
use crate::store::selections::{self, Selection};
use crate::store::tickets::{self, Scope, WritePermit};
use crate::store::{ChooseTx, Connections, Store, StoreError};
use crate::workers::Workers;

/// Mends what a dead operation left on a plan; returns a line for each thing it did. Given by the
/// rooms above, run by whoever is granted a write ticket, before its own work.
pub type Repair = fn(&Turn<'_>, &WritePermit) -> Result<Vec<String>>;

/// Who works on a project, and how.
#[derive(Clone)]
pub struct Session {
    /// The plan named by flag or environment.
    pub plan: Option<String>,
    /// The branch named by flag or environment.
    pub branch: Option<String>,
    /// This terminal, if there is one.
    pub terminal: Option<String>,
    /// Who the tickets are for.
    pub actor: String,
    /// The command as typed.
    pub command: String,
    /// The hold that this process runs below, if somebody says so.
    pub lock_token: Option<LockToken>,
    /// How many connections are kept.
    pub connections: Connections,
    /// What is run after each grant for writing.
    pub repairs: &'static [Repair],
}

/// One opened project.
pub struct Project {
    /// The user's directory tree.
    pub root: PathBuf,
    /// The database.
    pub store: Arc<Store>,
    /// Set when the whole process must end; operations get children of it.
    pub cancel: Cancel,
    session: Session,
    locks: Locks,
    workers: Workers,
    /// What repairs said, until somebody asks.
    repaired: parking_lot::Mutex<Vec<String>>,
}

/// Where a new plan's name comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// From whoever made it.
    Given,
    /// From nobody: its first prompt will name it.
    Draft,
}

/// The author of versions that no actor is known for.
const AUTHOR: &str = "plandex";

impl Project {
    /// Opens the project at `place`.
    pub fn open(place: &Place, session: Session) -> Result<Arc<Self>> {
        let store = Store::open(&place.dir, session.connections)?;
        Self::with(place, store, session)
    }

    /// Opens the project at `place`, creating its state directory if need be.
    pub fn create(place: &Place, session: Session) -> Result<Arc<Self>> {
        let store = Store::create(&place.dir, session.connections)?;
        let project = Self::with(place, store, session)?;
        find::record_root(&project.store, place)?;
        Ok(project)
    }

    fn with(place: &Place, store: Store, session: Session) -> Result<Arc<Self>> {
        let store = Arc::new(store);
        let locks = Locks::new(Arc::clone(&store), &session.actor, &session.command)?
            .below(session.lock_token.clone());
        Ok(Arc::new(Self {
            root: place.root.clone(),
            store,
            cancel: Cancel::new()?,
            session,
            locks,
            workers: Workers::default(),
            repaired: parking_lot::Mutex::default(),
        }))
    }

    /// The same opened project (one database, one owner, one queue) for another piece of work of
    /// this process: with its own selection and its own cancel flag, which is set with this one's.
    pub fn beside(&self, plan: Option<String>, branch: Option<String>) -> Result<Arc<Self>> {
        let session = Session {
            plan,
            branch,
            ..self.session.clone()
        };
        Ok(Arc::new(Self {
            root: self.root.clone(),
            store: Arc::clone(&self.store),
            cancel: self.cancel.child()?,
            session,
            locks: self.locks.clone(),
            workers: self.workers.clone(),
            repaired: parking_lot::Mutex::default(),
        }))
    }

    /// This process's tickets.
    pub fn locks(&self) -> &Locks {
        &self.locks
    }

    /// This process's queues.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Who works on it, and how.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// Where the repository of a plan is.
    pub fn repo_path(&self, plan_id: &str) -> PathBuf {
        self.dir().join("plans").join(format!("{plan_id}.git"))
    }

    /// Opens the repository of a plan.
    pub fn repo(&self, plan_id: &str) -> Result<PlanRepo> {
        PlanRepo::open(&self.repo_path(plan_id))
    }

    /// Creates the plan `name` with its repository and its branch "main", and makes it this
    /// terminal's (and, for scripts, the project's) choice. Fails with [`SelectError::Taken`] if
    /// a live plan has the name, and with a [`LockError`] if the database stays busy for too long.
    pub fn new_plan(
        &self,
        name: &str,
        patience: Patience,
        on_wait: &mut dyn FnMut(&Notice),
    ) -> Result<Plan> {
        self.make_plan(name, Naming::Given, patience, on_wait)
    }

    /// As [`Self::new_plan`] for a plan that nobody named: its first prompt will.
    pub fn new_draft(
        &self,
        name: &str,
        patience: Patience,
        on_wait: &mut dyn FnMut(&Notice),
    ) -> Result<Plan> {
        self.make_plan(name, Naming::Draft, patience, on_wait)
    }

    fn make_plan(
        &self,
        name: &str,
        naming: Naming,
        patience: Patience,
        on_wait: &mut dyn FnMut(&Notice),
    ) -> Result<Plan> {
        if self.store.read(|tx| plans::by_name(tx, name))?.is_some() {
            return Err(SelectError::Taken(name.to_owned()).into());
        }
        let new = NewPlan::draw();
        // The repository first: a row never points at what is not there. If the process dies in
        // between, a repository without a row is left, which doctor lists.
        let repo = PlanRepo::create(&self.repo_path(&new.id), &new.branch_id)?;
        let about = tree::PlanAbout {
            name: name.to_owned(),
            created_at: new.created_at,
            is_draft: naming == Naming::Draft,
            archived_at: None,
            deleted_at: None,
            deleted_by: None,
        };
        let main = tree::BranchAbout {
            name: "main".to_owned(),
            parent_id: None,
            created_at: new.created_at,
        };
        let head = repo
            .commit(
                None,
                &[tree::plan(&about), tree::branch(&main)],
                self.author(),
                &format!("New plan {name}\n\nCommand: {}", self.command_line()),
                new.created_at,
            )
            .context("recording the plan's first version")?;
        let version = head.to_string();
        let created = self.choosing(patience, on_wait, |tx| {
            // Looked at again inside: another process may have taken the name meanwhile.
            if plans::by_name(tx, name)?.is_some() {
                return Err(SelectError::Taken(name.to_owned()).into());
            }
            match naming {
                Naming::Given => plans::create(tx, &new, name, &version)?,
                Naming::Draft => plans::create_draft(tx, &new, name, &version)?,
            }
            let selection = Selection {
                plan_id: new.id.clone(),
                branch: "main".to_owned(),
            };
            self.choose_in(tx, &selection)
        });
        if let Err(error) = created {
            let is_busy = matches!(error.downcast_ref(), Some(StoreError::Busy(_)));
            if is_busy || error.is::<SelectError>() || error.is::<LockError>() {
                // No row will ever point at it. What cannot be removed is listed by doctor.
                drop(std::fs::remove_dir_all(self.repo_path(&new.id)));
            }
            return Err(error);
        }
        // The plan is there. A ref that could not be written lags, which the next writer mends.
        drop(repo.mirror(&new.branch_id, &head));
        let plan = self.store.read(|tx| plans::by_id(tx, &new.id))?;
        plan.context("reading the new plan back")
    }

    /// Notes the choice of this terminal; without a terminal, the project's. Fails with a
    /// [`LockError`] if the database stays busy for too long.
    pub fn choose(
        &self,
        selection: &Selection,
        patience: Patience,
        on_wait: &mut dyn FnMut(&Notice),
    ) -> Result<()> {
        self.choosing(patience, on_wait, |tx| self.choose_in(tx, selection))
    }

    fn choosing<T>(
        &self,
        patience: Patience,
        on_wait: &mut dyn FnMut(&Notice),
        work: impl Fn(&ChooseTx<'_>) -> Result<T>,
    ) -> Result<T> {
        lock::retrying(patience, &self.cancel, on_wait, |gate, busy| {
            self.store.choose_trying(gate, busy, &work)
        })
    }

    fn choose_in(&self, tx: &ChooseTx<'_>, selection: &Selection) -> Result<()> {
        let terminal = self
            .session
            .terminal
            .as_deref()
            .unwrap_or(selections::PROJECT);
        // The first choice of all is the project's too, so that scripts find a plan; and the first
        // one after its plan was deleted.
        let of_project = match selections::of(tx, selections::PROJECT)? {
            Some(chosen) => plans::by_id(tx, &chosen.plan_id)?,
            None => None,
        };
        if of_project.is_none_or(|plan| plan.deleted_at.is_some()) {
            selections::choose(tx, selections::PROJECT, selection)?;
        }
        selections::choose(tx, terminal, selection)
    }

    /// Whether the plan bears traces of an operation that died: a status that claims work, which
    /// no living write ticket backs, or an apply whose rows are not settled.
    pub fn needs_repair(&self, plan_id: &str) -> Result<bool> {
        self.store.read(|tx| {
            let mut claimed = branches::of_plan(tx, plan_id)?.into_iter();
            if !claimed.any(|branch| branch.status.claims_work()) {
                return Ok(false);
            }
            // A command that holds the plan claims nothing by itself: those below it do.
            let backed = tickets::of_plan(tx, plan_id)?.iter().any(|ticket| {
                ticket.scope == Scope::Write
                    && ticket.state.blocks()
                    && !operation::is_command(&ticket.reason)
                    && owner::is_alive(self.dir(), &ticket.owner_id)
            });
            Ok(!backed)
        })
    }

    /// What a branch of the plan is doing, or how its last run ended: one whose process died says in
    /// its row that it is at work until the next writer repairs it.
    pub fn status_now(&self, plan_id: &str, status: Status) -> Result<Status> {
        if status.claims_work() && self.needs_repair(plan_id)? {
            return Ok(Status::Interrupted);
        }
        Ok(status)
    }

    /// Runs the repairs under a fresh write permit.
    pub(crate) fn repair(&self, permit: &WritePermit, turn: &Turn<'_>) -> Result<()> {
        for repair in self.session.repairs {
            let lines = repair(turn, permit).context("repairing what a dead operation left")?;
            self.repaired.lock().extend(lines);
        }
        Ok(())
    }

    /// What was repaired since this was last asked, a line each.
    pub fn take_repaired(&self) -> Vec<String> {
        std::mem::take(&mut *self.repaired.lock())
    }

    /// The command of this process, on one line and of a bounded length, as versions tell it.
    fn command_line(&self) -> String {
        const LONGEST: usize = 200;
        let command = &self.session.command;
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut line = words.join(" ");
        if line.len() > LONGEST {
            line.truncate(line.floor_char_boundary(LONGEST));
            line.push('…');
        }
        line
    }

    fn author(&self) -> &str {
        if self.session.actor.is_empty() {
            AUTHOR
        } else {
            &self.session.actor
        }
    }
}
