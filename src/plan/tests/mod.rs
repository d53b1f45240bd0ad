//! A plan on a project of its own, to which edits are given as a reply would give them.

mod building;
mod git;
mod model;
mod moving;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::{self, Due, FailedFile};
use super::edits::{Edit, EditBody, Format};
use super::event::{Event, FileStatus};
use crate::lock::{Patience, operation};
use crate::platform::cancel::Cancel;
use crate::project::{Place, Project, Session};
use crate::store::branches::{self, Branch};
use crate::store::changes::{self, Change};
use crate::store::messages::{self, Kind, NewMessage, Role, State};
use crate::store::tickets::WritePermit;
use crate::store::{Connections, new_id, plans::Plan};
use crate::workers::{self, Params};

/// A project with one plan.
pub(super) struct Bench {
    pub(super) root: PathBuf,
    project: Arc<Project>,
    plan: Plan,
    _dir: tempfile::TempDir,
}

/// What a turn came to.
pub(super) struct Turned {
    pub(super) events: Vec<(FileStatus, String)>,
    pub(super) failed: Vec<FailedFile>,
    pub(super) built: Vec<build::BuiltFile>,
}

impl Bench {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("project");
        std::fs::create_dir(&root).unwrap();
        let place = Place {
            dir: root.join(".plandex"),
            root: root.clone(),
        };
        let session = Session {
            plan: None,
            branch: None,
            terminal: None,
            actor: String::new(),
            command: "test".to_owned(),
            lock_token: None,
            connections: Connections::One,
            repairs: &[],
        };
        let project = Project::create(&place, session).unwrap();
        let plan = project.new_plan("test", Patience::Forever, &mut |_| {});
        let bench = Self {
            plan: plan.unwrap(),
            root,
            project,
            _dir: dir,
        };
        for (path, text) in files {
            bench.write(path, text);
        }
        bench
    }

    #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn chmod(&self, path: &str, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.root.join(path), mode).unwrap();
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn branch(&self) -> Branch {
        let main = self
            .project
            .store
            .read(|tx| branches::by_name(tx, &self.plan.id, "main"));
        main.unwrap().unwrap()
    }

    pub(super) fn pending(&self) -> Vec<Change> {
        let id = self.branch().id;
        self.project
            .store
            .read(|tx| changes::pending(tx, &id))
            .unwrap()
    }

    /// The pending change of a path.
    #[track_caller]
    pub(super) fn change(&self, path: &str) -> Change {
        let pending = self.pending();
        let change = pending.into_iter().find(|change| change.path == path);
        change.unwrap_or_else(|| panic!("nothing is pending of {path}"))
    }

    /// What is pending, each path with its new content.
    pub(super) fn contents(&self) -> BTreeMap<String, Option<String>> {
        let repo = self.project.repo(&self.plan.id).unwrap();
        let text = |blob: &String| String::from_utf8(repo.blob(blob).unwrap()).unwrap();
        let pending = self.pending().into_iter();
        pending
            .map(|change| (change.path.clone(), change.blob.as_ref().map(text)))
            .collect()
    }

    /// The text of a blob of the plan's repository.
    pub(super) fn blob(&self, id: &str) -> String {
        let repo = self.project.repo(&self.plan.id).unwrap();
        String::from_utf8(repo.blob(id).unwrap()).unwrap()
    }

    /// What is pending, as git takes it.
    pub(super) fn patch(&self) -> Vec<u8> {
        let files = super::pending::diff(&self.project, &self.branch()).unwrap();
        files.iter().flat_map(|file| file.patch.clone()).collect()
    }

    /// Gives up what is pending of a path; returns the paths that this ended.
    pub(super) fn reject(&self, path: &str) -> Vec<String> {
        let params = self.params();
        let path = path.to_owned();
        let work = move |permit: &WritePermit, turn: &crate::project::Turn<'_>| {
            super::pending::reject(turn, permit, "main", &|change| change.path == path)
        };
        let ended = workers::exec_repo_operation(&self.project, params, work).unwrap();
        ended.into_iter().map(|change| change.path).collect()
    }

    fn params(&self) -> Params<WritePermit> {
        Params {
            plan_id: self.plan.id.clone(),
            branch: None,
            operation: operation::BUILD,
            patience: Patience::Forever,
            cancel: Cancel::new().unwrap(),
            on_wait: Box::new(|_| {}),
        }
    }

    /// The files of the newest version below `under`.
    pub(super) fn version_files(&self, under: &str) -> Vec<String> {
        let repo = self.project.repo(&self.plan.id).unwrap();
        let head = self.branch().head.unwrap().parse().unwrap();
        let files = repo.files(&head, under).unwrap();
        files.into_iter().map(|file| file.path).collect()
    }

    /// Builds the edits as those of one reply.
    pub(super) fn turn(&self, edits: Vec<Edit>) -> Turned {
        self.turns(vec![edits])
    }

    /// Builds the edits of several replies in one run.
    pub(super) fn turns(&self, replies: Vec<Vec<Edit>>) -> Turned {
        let params = self.params();
        let work = move |permit: &WritePermit, turn: &crate::project::Turn<'_>| {
            let branch = turn.branch("main")?;
            let mut dues = Vec::new();
            for edits in replies {
                let reply = NewMessage {
                    role: Role::Assistant,
                    kind: Kind::Tell,
                    source: "test",
                    text: "",
                    state: State::Complete,
                };
                let store = &turn.project.store;
                let reply = store.write(permit, |tx| messages::add(tx, &branch.id, &reply))?;
                dues.push(Due {
                    message_id: reply.id,
                    edits,
                });
            }
            let (mut events, mut built) = (Vec::new(), Vec::new());
            let outcome = build::build(turn, &branch, &new_id(), &dues, &mut |event| {
                if let Event::File {
                    status,
                    path,
                    built: file,
                    ..
                } = event
                {
                    events.push((status, path));
                    built.extend(file);
                }
                Ok(())
            })?;
            turn.advance(permit, &branch, &outcome.tree_changes(), "Test", |tx| {
                outcome.record(tx)
            })?;
            let failed = outcome.failed().cloned().collect();
            Ok(Turned {
                events,
                failed,
                built,
            })
        };
        workers::exec_repo_operation(&self.project, params, work).unwrap()
    }
}

/// An edit at a line of its own.
pub(super) fn edit(path: &str, line: usize, body: EditBody) -> Edit {
    Edit {
        path: path.to_owned(),
        format: Format::ApplyPatch,
        line,
        body,
        other_readings: Vec::new(),
    }
}

pub(super) fn whole(path: &str, line: usize, content: &str) -> Edit {
    let content = content.to_owned();
    edit(path, line, EditBody::Whole { content })
}

pub(super) fn replace(path: &str, line: usize, search: &str, replace: &str) -> Edit {
    let (search, replace) = (search.to_owned(), replace.to_owned());
    edit(path, line, EditBody::Replace { search, replace })
}

pub(super) fn delete(path: &str, line: usize) -> Edit {
    edit(path, line, EditBody::Delete { old: None })
}

pub(super) fn rename(path: &str, line: usize, to: &str) -> Edit {
    let to = to.to_owned();
    edit(path, line, EditBody::Move { to })
}

pub(super) fn mode(path: &str, line: usize, executable: bool) -> Edit {
    edit(path, line, EditBody::Executable { executable })
}

/// The contents as literals.
pub(super) fn texts<const N: usize>(
    of: [(&str, Option<&str>); N],
) -> BTreeMap<String, Option<String>> {
    let owned = of.into_iter();
    owned
        .map(|(path, text)| (path.to_owned(), text.map(str::to_owned)))
        .collect()
}

/// Whether a file of the project is a program.
pub(super) fn is_program(path: &Path) -> bool {
    let meta = std::fs::metadata(path);
    meta.is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
}
