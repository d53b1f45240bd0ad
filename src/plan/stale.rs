//! Whether what the model is shown is still true: right before it is asked, and before its edits are
//! built (SEED.md 2.1.3, 2.1.4). A person is told once; that an edit fits the file as it is now, the
//! build sees to itself.

use std::collections::BTreeSet;

use anyhow::Result;

use super::event::Event;
use crate::context::{self, Freshness, Source};
use crate::project::Turn;
use crate::store::contexts::{self, Context};

/// The entries that are looked at, and those of which it is known that they are outdated.
pub(super) struct Watched {
    entries: Vec<Context>,
    known: BTreeSet<String>,
}

impl Watched {
    /// What the branch holds, as its briefing is made. What is outdated already was decided on before
    /// the run.
    pub(super) fn of(turn: &Turn<'_>, branch_id: &str) -> Result<Self> {
        let store = &turn.project.store;
        let entries = store.read(|tx| contexts::of_branch(tx, branch_id))?;
        let mut watched = Self {
            entries,
            known: BTreeSet::new(),
        };
        drop(watched.news(turn, "")?);
        Ok(watched)
    }

    /// Nothing is looked at, where nobody is shown anything.
    pub(super) fn nothing() -> Self {
        Self {
            entries: Vec::new(),
            known: BTreeSet::new(),
        }
    }

    /// A warning for each entry that became outdated since it was last looked; `when` says what it
    /// changed before.
    pub(super) fn news(&mut self, turn: &Turn<'_>, when: &str) -> Result<Vec<Event>> {
        let root = &turn.project.root;
        let source = Source {
            root,
            cwd: root,
            cancel: &turn.cancel,
        };
        let fresh = context::freshness(&source, &self.entries)?;
        let mut news = Vec::new();
        for (entry, fresh) in self.entries.iter().zip(fresh) {
            let what = match fresh {
                Some(Freshness::Changed) => "changed",
                Some(Freshness::Missing) => "was removed",
                Some(Freshness::Fresh | Freshness::Unknown(_)) | None => continue,
            };
            if self.known.insert(entry.id.clone()) {
                news.push(Event::Warning {
                    code: "context_changed".to_owned(),
                    message: format!("{} {what} {when}", entry.name),
                    line: None,
                    path: entry.path.clone(),
                });
            }
        }
        Ok(news)
    }
}
