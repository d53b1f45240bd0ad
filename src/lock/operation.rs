//! The operations: each one's scope, its stable reason, and its title for people.
//!
//! The scope is in the type: an operation over a [`WritePermit`] can only be run by code that was
//! given one. Scopes follow SEED.md 5.2. What only looks is not here, because it takes no ticket.

use std::marker::PhantomData;

use crate::store::tickets::{AppendPermit, Permit, ReadPermit, Scope, WritePermit};

/// A kind of work on a plan, done under a permit of type `P`.
#[derive(Debug)]
pub struct Operation<P> {
    reason: &'static str,
    title: &'static str,
    permit: PhantomData<fn() -> P>,
}

impl<P> Clone for Operation<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Operation<P> {}

impl<P: Permit> Operation<P> {
    const fn new(reason: &'static str, title: &'static str) -> Self {
        Self {
            reason,
            title,
            permit: PhantomData,
        }
    }

    /// The stable word in tickets, audit and JSON.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What people read.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// Read or write.
    pub fn scope(&self) -> Scope {
        P::SCOPE
    }
}

/// `tell`: the whole run, from the prompt to the pending changes.
pub const TELL: Operation<WritePermit> = Operation::new("tell execution", "Tell operation");
/// `chat`: a tell whose edits are never built.
pub const CHAT: Operation<WritePermit> = Operation::new("chat", "Chat operation");
/// `continue`: the whole run.
pub const CONTINUE: Operation<WritePermit> =
    Operation::new("continue execution", "Continue operation");
/// `summary --make`.
pub const SUMMARIZE: Operation<WritePermit> =
    Operation::new("summarize conversation", "Summarizing conversation");
/// `build`: replies into pending changes.
pub const BUILD: Operation<WritePermit> = Operation::new("build changes", "Building changes");
/// `load`: the one change made under a read ticket, because it only adds.
pub const LOAD: Operation<AppendPermit> = Operation::new("load context", "Load context");
/// `rm`.
pub const REMOVE: Operation<WritePermit> = Operation::new("remove context", "Remove context");
/// `clear`.
pub const CLEAR: Operation<WritePermit> = Operation::new("clear context", "Clear context");
/// `update`.
pub const UPDATE: Operation<WritePermit> = Operation::new("update context", "Update context");
/// `diff`.
pub const DIFF: Operation<ReadPermit> = Operation::new("view diffs", "View diffs");
/// `reject`.
pub const REJECT: Operation<WritePermit> = Operation::new("reject changes", "Rejecting changes");
/// `apply`.
pub const APPLY: Operation<WritePermit> = Operation::new("apply changes", "Applying changes");
/// `rewind`.
pub const REWIND: Operation<WritePermit> = Operation::new("rewind plan", "Rewind");
/// `checkout -b`.
pub const CREATE_BRANCH: Operation<WritePermit> = Operation::new("create branch", "Create branch");
/// `delete-branch`.
pub const DELETE_BRANCH: Operation<WritePermit> = Operation::new("delete branch", "Delete branch");
/// `set-model`.
pub const SET_MODEL: Operation<WritePermit> = Operation::new("set model", "Set model");
/// `rename`.
pub const RENAME: Operation<WritePermit> = Operation::new("rename plan", "Rename plan");
/// `archive`.
pub const ARCHIVE: Operation<WritePermit> = Operation::new("archive plan", "Archive plan");
/// `unarchive`.
pub const UNARCHIVE: Operation<WritePermit> = Operation::new("unarchive plan", "Unarchive plan");
/// `delete-plan`.
pub const DELETE_PLAN: Operation<WritePermit> = Operation::new("delete plan", "Delete plan");
/// `undelete`: the one operation on a plan that is deleted.
pub const UNDELETE: Operation<WritePermit> = Operation::new("undelete plan", "Undelete plan");
/// `exec`.
pub const EXEC: Operation<WritePermit> = Operation::new("exec", "Command");
/// `exec --read`.
pub const EXEC_READ: Operation<ReadPermit> = Operation::new("exec read", "Reading command");
/// `doctor --fix`, and a reader that met something to repair.
pub const REPAIR: Operation<WritePermit> = Operation::new("repair", "Repair");

/// `doctor --rebuild`: the rows of a plan's branches from its repository.
pub const REBUILD: Operation<WritePermit> = Operation::new("rebuild rows", "Rebuilding rows");

/// Whether an operation with this reason runs a command of the user's, which inherits the owner
/// file and may run plandex commands below the hold.
pub fn is_command(reason: &str) -> bool {
    reason == EXEC.reason || reason == EXEC_READ.reason
}

/// Whether an operation with this reason changes what a plan is shown.
pub fn is_context(reason: &str) -> bool {
    let all = [LOAD.reason, REMOVE.reason, CLEAR.reason, UPDATE.reason];
    all.contains(&reason)
}

/// Whether an operation with this reason is a run: it has a reply and events that can be followed.
pub fn is_run(reason: &str) -> bool {
    [TELL, CHAT, CONTINUE, BUILD]
        .iter()
        .any(|run| run.reason == reason)
}

/// Every operation's reason and title.
pub const TITLES: &[(&str, &str)] = &[
    (TELL.reason, TELL.title),
    (CHAT.reason, CHAT.title),
    (CONTINUE.reason, CONTINUE.title),
    (SUMMARIZE.reason, SUMMARIZE.title),
    (BUILD.reason, BUILD.title),
    (LOAD.reason, LOAD.title),
    (REMOVE.reason, REMOVE.title),
    (CLEAR.reason, CLEAR.title),
    (UPDATE.reason, UPDATE.title),
    (DIFF.reason, DIFF.title),
    (REJECT.reason, REJECT.title),
    (APPLY.reason, APPLY.title),
    (REWIND.reason, REWIND.title),
    (CREATE_BRANCH.reason, CREATE_BRANCH.title),
    (DELETE_BRANCH.reason, DELETE_BRANCH.title),
    (SET_MODEL.reason, SET_MODEL.title),
    (RENAME.reason, RENAME.title),
    (ARCHIVE.reason, ARCHIVE.title),
    (UNARCHIVE.reason, UNARCHIVE.title),
    (DELETE_PLAN.reason, DELETE_PLAN.title),
    (UNDELETE.reason, UNDELETE.title),
    (EXEC.reason, EXEC.title),
    (EXEC_READ.reason, EXEC_READ.title),
    (REPAIR.reason, REPAIR.title),
    (REBUILD.reason, REBUILD.title),
];

/// The title of the operation with this reason; the reason itself if it is not known here (a
/// newer plandex's).
pub fn title_of(reason: &str) -> &str {
    TITLES
        .iter()
        .find(|(known, _)| *known == reason)
        .map_or(reason, |(_, title)| title)
}
