//! `apply` while the machine fails it: killed, refused, cut off its power, raced; and its recovery
//! likewise. What is left is all old or all new, and nothing that anybody wrote is lost.

mod acts;
mod calls;
#[path = "../../editor/mod.rs"]
mod editor;
mod killed;
mod power;
mod races;
#[cfg_attr(not(target_arch = "x86_64"), path = "untraced.rs")]
mod tracer;

use std::collections::BTreeMap;
use std::path::PathBuf;

use plandex::store::applies;

use crate::crash_points::{files, without_tables};
use crate::support::Sandbox;

const APPLY: &[&str] = &["apply", "-y"];
/// A looking command that mends first what it meets.
const REPAIR: &[&str] = &["diff", "--json"];

/// What a kill left, once recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Old,
    New,
}

/// The project's files and the plan's rows of one end; the journal is looked at by itself.
#[derive(Debug, PartialEq, Eq)]
struct End {
    files: BTreeMap<PathBuf, String>,
    rows: String,
}

impl End {
    fn of(sandbox: &Sandbox) -> Self {
        Self {
            files: files(sandbox),
            rows: without_tables(sandbox, &["repo_locks_audit", "applies", "apply_files"]),
        }
    }
}

/// What an apply leaves that was never begun, and one that was never disturbed.
struct Ends {
    old: End,
    new: End,
}

impl Ends {
    #[track_caller]
    fn of(untouched: &Sandbox, after: &Sandbox) -> Self {
        let (old, new) = (End::of(untouched), End::of(after));
        assert_ne!(old.files, new.files);
        assert_ne!(old.rows, new.rows);
        Self { old, new }
    }

    /// Files and rows are those of one end, and the journal says so too.
    #[track_caller]
    fn left(&self, sandbox: &Sandbox, what: &str) -> Left {
        let end = End::of(sandbox);
        let left = if end == self.new {
            Left::New
        } else {
            assert_eq!(end, self.old, "{what}: neither old nor new");
            Left::Old
        };
        let store = sandbox.store();
        let (undecided, finished) = store
            .read(|tx| {
                Ok((
                    applies::standing(tx, applies::UNDECIDED)?,
                    applies::standing(tx, applies::FINISHED)?,
                ))
            })
            .unwrap();
        assert!(undecided.is_empty(), "{what}: {undecided:?}");
        // What is kept in the state directory belongs to an apply that is on record.
        for entry in std::fs::read_dir(sandbox.state_dir().join("apply")).unwrap() {
            let name = entry.unwrap().file_name();
            let is_known = finished.iter().any(|apply| *apply.id == *name);
            assert!(is_known, "{what}: {name:?} is nobody's");
        }
        left
    }
}
