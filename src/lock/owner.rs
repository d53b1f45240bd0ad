//! Proof of life: a file under `owners/` that a process keeps locked from before its first ticket
//! until its end.
//!
//! Whoever finds the file free or missing knows that the owner is dead, whatever killed it, and
//! without pids: no pid reuse, no container confusion. Only the sweeper takes the lock
//! exclusively; everybody else looks with a shared try-lock, so that looks do not disturb looks.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use parking_lot::Mutex;

use crate::platform::bell::{self, Bell};
use crate::platform::file_lock::{self, Attempt};
use crate::platform::process::Process;
use crate::platform::{clock, file, process};
use crate::store::{Store, new_id, tickets};

/// This process as an owner of tickets.
#[derive(Debug)]
pub(super) struct Owner {
    /// What its tickets' rows say of it.
    pub(super) row: tickets::Owner,
    /// The owner file, locked.
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Where it hears of its held tickets.
    pub(super) bell: Option<Bell>,
    /// The tokens of the commands that it runs, which stand in the file, a line each.
    pub(super) marks: Mutex<Vec<String>>,
}

/// The variable that a command, and all that it starts, knows its hold by.
pub const TOKEN_VARIABLE: &str = "PLANDEX_LOCK_TOKEN";

impl Owner {
    /// Creates and locks an owner file in the state directory `dir`.
    pub(super) fn create(dir: &Path, actor: &str, command: &str) -> Result<Self> {
        loop {
            let id = new_id();
            let path = dir.join("owners").join(&id);
            let file = file::open_private(&path)?;
            file_lock::exclusive(&file).with_context(|| format!("locking {}", path.display()))?;
            // A sweeper may have unlinked it between the two calls: then it proves nothing.
            if file.metadata()?.nlink() == 0 {
                continue;
            }
            let bell = Bell::bind(&bell::name_for(rand::random()));
            let doorbell = bell
                .as_ref()
                .map(|bell| bell.name().to_owned())
                .unwrap_or_default();
            let pid = std::process::id();
            let row = tickets::Owner {
                id,
                doorbell,
                actor: actor.to_owned(),
                pid,
                pid_ns: clock::namespace("pid"),
                process_start: process::stat(pid).map_or(0, |stat| stat.start_ticks),
                host: process::host(),
                command: command.to_owned(),
            };
            return Ok(Self {
                row,
                file,
                path,
                bell,
                marks: Mutex::default(),
            });
        }
    }
}

impl Owner {
    /// Notes in the file that a command runs with `token`, so that what is left of it can be found
    /// when nobody is left to ask.
    pub(super) fn mark(&self, token: &str) -> Result<()> {
        let mut marks = self.marks.lock();
        marks.push(token.to_owned());
        self.write(&marks)
    }

    /// The command has ended: what it left behind holds nothing.
    pub(super) fn unmark(&self, token: &str) -> Result<()> {
        let mut marks = self.marks.lock();
        marks.retain(|mark| mark != token);
        self.write(&marks)
    }

    fn write(&self, marks: &[String]) -> Result<()> {
        let text: String = marks.iter().map(|mark| format!("{mark}\n")).collect();
        let written = self.file.set_len(0).and_then(|()| {
            let mut file = &self.file;
            file.rewind()?;
            file.write_all(text.as_bytes())
        });
        written.with_context(|| format!("writing {}", self.path.display()))
    }
}

/// What a dead owner's commands left running, by the tokens in its file; this process excluded.
pub(super) fn left_running(dir: &Path, id: &str) -> Vec<Process> {
    let text = std::fs::read_to_string(path(dir, id)).unwrap_or_default();
    let marks: Vec<&str> = text.lines().collect();
    if marks.is_empty() {
        return Vec::new();
    }
    process::with_variable(TOKEN_VARIABLE, &marks)
}

/// Where the owner file `id` is.
pub fn path(dir: &Path, id: &str) -> PathBuf {
    dir.join("owners").join(id)
}

/// Whether the owner `id` lives: its file is there and locked, or its commands have left something
/// running that has closed it.
pub fn is_alive(dir: &Path, id: &str) -> bool {
    // An id with a slash was never ours; a row written by hand may say anything.
    if id.is_empty() || id.contains('/') {
        return false;
    }
    match File::open(path(dir, id)) {
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        Ok(file) => {
            !matches!(file_lock::try_shared(&file), Ok(Attempt::Locked))
                || !left_running(dir, id).is_empty()
        }
    }
}

/// The ids of all owner files whose owners live.
pub fn living(dir: &Path) -> Vec<String> {
    ids(dir)
        .into_iter()
        .filter(|id| is_alive(dir, id))
        .collect()
}

/// The ids of all owner files that are free: what dead processes left.
pub fn leftovers(dir: &Path) -> Vec<String> {
    ids(dir)
        .into_iter()
        .filter(|id| !is_alive(dir, id))
        .collect()
}

/// Removes the owner files of dead processes that no ticket names; returns how many.
pub fn sweep(store: &Store) -> Result<usize> {
    let mut swept = 0;
    for id in leftovers(store.dir()) {
        let path = path(store.dir(), &id);
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if !matches!(file_lock::try_exclusive(&file), Ok(Attempt::Locked)) {
            continue;
        }
        // Asked in a write transaction: no ticket can be inserted between the look and the unlink.
        store.tickets(std::time::Duration::from_secs(2), |tx| {
            if !tickets::names_owner(tx, &id)? {
                file::remove_file(&path)?;
                swept += 1;
            }
            Ok(())
        })?;
    }
    Ok(swept)
}

fn ids(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir.join("owners")) else {
        return Vec::new();
    };
    let mut ids: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    ids.sort();
    ids
}
