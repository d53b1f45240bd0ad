//! A project on the disk, a plan in its store, and somebody else's hands in both.

mod classes;
mod crashes;
mod editing;
#[path = "../../../tests/editor/mod.rs"]
mod editor;
mod guards;
mod meddling;
mod metadata;
mod paths;
mod power;
mod site;
mod turns;
mod writing;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::*;
use crate::platform::cancel::Cancel;
use crate::platform::digest::sha256_hex;
use crate::platform::root::Kernel;
use crate::store::applies::{self, FileState, State};
use crate::store::changes::{self, Change, Ended};
use crate::store::tickets::{self, NewTicket, Owner, Placed, Scope, WritePermit};
use crate::store::{Connections, Store, new_id, plans};

const PATIENCE: Duration = Duration::from_secs(10);

/// A project with one plan.
pub(super) struct Ground {
    pub(super) root: PathBuf,
    pub(super) store: Store,
    pub(super) plan: plans::NewPlan,
    pub(super) kernel: Kernel,
    /// The new contents, by change id: what the plan's repository has.
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    _dirs: Vec<tempfile::TempDir>,
}

impl Ground {
    pub(super) fn new() -> Self {
        let dir = in_memory();
        let (root, state) = (
            dir.path().join("project"),
            dir.path().join("project/.plandex"),
        );
        std::fs::create_dir(&root).unwrap();
        Self::at(&root, &state, vec![dir])
    }

    /// With the project on `other` and the state directory in memory.
    pub(super) fn on_two_mounts(other: &Mounted) -> Self {
        let there = tempfile::tempdir_in(&other.0).unwrap();
        let here = in_memory();
        let (root, state) = (there.path().join("project"), here.path().join("state"));
        std::fs::create_dir(&root).unwrap();
        Self::at(&root, &state, vec![here, there])
    }

    fn at(root: &Path, state: &Path, dirs: Vec<tempfile::TempDir>) -> Self {
        let store = Store::create(state, Connections::One).unwrap();
        let plan = plans::NewPlan::draw();
        store
            .choose(PATIENCE, |tx| {
                plans::create(tx, &plan, "test", "no version")
            })
            .unwrap();
        Self {
            root: root.to_owned(),
            store,
            plan,
            kernel: Kernel::Current,
            blobs: BTreeMap::new(),
            _dirs: dirs,
        }
    }

    pub(super) fn old_kernel(mut self) -> Self {
        self.kernel = Kernel::Old;
        self
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub(super) fn mode(&self, path: &str) -> u32 {
        std::fs::metadata(self.path(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    }

    pub(super) fn chmod(&self, path: &str, mode: u32) {
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A pending change in the store, from `base` to `target` (`None` for nothing).
    pub(super) fn change(
        &mut self,
        path: &str,
        base: Option<&str>,
        target: Option<&str>,
    ) -> Change {
        let hash = |text: Option<&str>| text.map(|text| sha256_hex(text.as_bytes()));
        let change = Change {
            id: new_id(),
            branch_id: self.plan.branch_id.clone(),
            message_id: "m".to_owned(),
            path: path.to_owned(),
            base_hash: hash(base),
            base_blob: None,
            blob: target.map(|_| "blob".to_owned()),
            target_hash: hash(target),
            executable: None,
            moved_from: None,
            added: 1,
            removed: 1,
            notes: "{}".to_owned(),
            created_at: 0,
        };
        if let Some(target) = target {
            self.blobs
                .insert(change.id.clone(), target.as_bytes().to_vec());
        }
        let permit = self.permit();
        self.store
            .write(&permit, |tx| changes::put(tx, &change))
            .unwrap();
        self.release(&permit);
        change
    }

    /// A write ticket, held until it is released.
    pub(super) fn permit(&self) -> WritePermit {
        let owner = Owner {
            id: "test".to_owned(),
            ..Owner::default()
        };
        let new = NewTicket {
            plan_id: self.plan.id.clone(),
            scope: Scope::Write,
            branch: None,
            reason: "apply".to_owned(),
            doorbell: String::new(),
            owner,
            token: None,
            hold_token: String::new(),
        };
        let placed = self
            .store
            .tickets(PATIENCE, |tx| {
                tickets::remove_dead(tx, &self.plan.id, &|_| false)?;
                tickets::place(tx, &new, tickets::OnConflict::Refuse)
            })
            .unwrap();
        let Placed::Held(permit) = placed else {
            panic!("the line is not empty: {placed:?}");
        };
        permit
    }

    pub(super) fn release(&self, permit: &WritePermit) {
        use tickets::Permit as _;
        self.store
            .tickets(PATIENCE, |tx| {
                tickets::release(tx, permit.proof(), crate::store::audit::Outcome::Released)
            })
            .unwrap();
    }

    pub(super) fn classify(&self) -> Vec<Classified> {
        let pending = self.pending();
        classify(&self.root, self.store.dir(), &pending).unwrap()
    }

    pub(super) fn pending(&self) -> Vec<Change> {
        self.store
            .read(|tx| changes::pending(tx, &self.plan.branch_id))
            .unwrap()
    }

    /// Takes the turn, classifies, decides, writes and commits, as the cli does.
    pub(super) fn apply(&self, on_conflict: OnConflict) -> Result<Applied> {
        let permit = self.permit();
        let turn = self.turn()?;
        let options = Options::all(on_conflict);
        let decision = plan_writes(self.classify(), &options)?;
        let applied = self.write_decision(&permit, &turn, &decision);
        self.release(&permit);
        applied
    }

    pub(super) fn turn(&self) -> Result<Turn> {
        let cancel = Cancel::new()?;
        Turn::take_as(
            &self.store,
            &self.root,
            Some(PATIENCE),
            &cancel,
            self.kernel,
        )
    }

    pub(super) fn write_decision(
        &self,
        permit: &WritePermit,
        turn: &Turn,
        decision: &Decision,
    ) -> Result<Applied> {
        apply(
            &self.store,
            permit,
            turn,
            decision,
            &|change| Ok(self.blobs.get(&change.id).cloned()),
            &mut |id, ids| self.commit(permit, id, ids),
            &Cancel::new()?,
        )
    }

    pub(super) fn commit(&self, permit: &WritePermit, id: &str, ids: &[String]) -> Result<()> {
        self.store.write(permit, |tx| {
            for id in ids {
                changes::end(tx, &self.plan.branch_id, id, Ended::Applied)?;
            }
            applies::finish(tx, id, State::Done)
        })
    }

    /// What the plan's next write turn does with the rows of applies whose files were decided.
    pub(super) fn settle(&self) {
        let permit = self.permit();
        self.store
            .write(&permit, |tx| {
                for (apply, files) in applies::unsettled(tx, &self.plan.id)? {
                    let is_done = apply.state == State::FilesDone;
                    for file in &files {
                        if is_done && file.state == FileState::Written {
                            changes::end(tx, &apply.branch_id, &file.change_id, Ended::Applied)?;
                        }
                    }
                    let end = if is_done { State::Done } else { State::Undone };
                    applies::finish(tx, &apply.id, end)?;
                }
                Ok(())
            })
            .unwrap();
        self.release(&permit);
    }

    pub(super) fn states(&self) -> Vec<State> {
        let all = [applies::UNDECIDED, applies::UNSETTLED, applies::FINISHED].concat();
        let found = self.store.read(|tx| applies::standing(tx, &all)).unwrap();
        found.into_iter().map(|apply| apply.state).collect()
    }

    /// Every file below the project, but for plandex's own, with its text; links as "-> target",
    /// directories as "/".
    pub(super) fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        list_into(&self.root, "", &mut tree);
        tree.retain(|path, _| !path.starts_with(".plandex/") && path != ".plandex");
        tree
    }

    /// Every file in the applies' own directories with its text.
    pub(super) fn kept(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        list_into(&self.store.dir().join("apply"), "", &mut tree);
        tree
    }
}

/// A directory in memory where there is such a place: nothing here needs a disk, and syncs take
/// time.
pub(super) fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A mount of its own, which only root can make; given back when dropped.
pub(super) struct Mounted(
    PathBuf,
    #[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir,
);

impl Mounted {
    /// Memory of `size` ("1m"); `None`, said aloud, where this user may not mount.
    pub(super) fn memory(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mount");
        std::fs::create_dir(&path).unwrap();
        let mut command = std::process::Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("tmpfs")
            .arg(&path);
        if !command.output().is_ok_and(|output| output.status.success()) {
            println!("skipped: no right to mount");
            return None;
        }
        Some(Self(path, dir))
    }

    /// What is free, in bytes.
    pub(super) fn free(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.0).unwrap();
        space.f_bavail * space.f_frsize
    }

    /// Waits until so many bytes are free. A child that another test starts has all that is open here,
    /// removed or not, until it runs its program.
    pub(super) fn until_free(&self, bytes: u64) {
        let until = std::time::Instant::now() + PATIENCE;
        while self.free() < bytes {
            assert!(std::time::Instant::now() < until, "{} bytes", self.free());
            std::thread::yield_now();
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        drop(done);
    }
}

fn list_into(dir: &Path, prefix: &str, tree: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            tree.insert(name.clone(), "/".to_owned());
            list_into(&entry.path(), &format!("{name}/"), tree);
        } else if kind.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap();
            tree.insert(name, format!("-> {}", target.display()));
        } else if kind.is_file() {
            // Plandex's database is never opened by anybody but SQLite.
            if !name.contains("plandex.db") {
                tree.insert(name, std::fs::read_to_string(entry.path()).unwrap());
            }
        } else {
            tree.insert(name, "special".to_owned());
        }
    }
}

/// The text of an error with all its causes.
pub(super) fn chain(error: &anyhow::Error) -> String {
    format!("{error:#}")
}
