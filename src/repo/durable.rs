//! Objects that last.
//!
//! Each object is compressed into a file with a temporary name and synced; only when all are on
//! the disk do they get their names, and then the directories that hold these names are synced.
//! So no crash leaves a short or empty object under a good name, an object of that name from
//! before a crash is replaced whatever it holds, and a file whose sync failed is thrown away, so
//! that a retry does not find its pages in memory and believe them. A version of many objects is
//! one pack instead, for the same rule with three syncs ([`super::pack`]).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;
use gix::ObjectId;
use gix::zlib::Compression;
use gix::zlib::stream::deflate;

use super::objects::{NewObject, NewObjects};
use super::pack;
use crate::platform::file;

/// More objects than this are written as one pack.
pub(super) const LOOSE_MAX: usize = 64;

/// How many syncs are asked for at once: the file system answers several with one flush.
/// Measured on ext4: 4 and 16 are slower.
const SYNCS_AT_ONCE: usize = 8;

/// Writes all of `objects` to the directory `dir` of a repository's objects, durably.
pub(super) fn write(dir: &Path, objects: &NewObjects<'_>) -> Result<()> {
    if objects.len() > LOOSE_MAX {
        pack::write(dir, objects)
    } else {
        write_loose(dir, objects)
    }
}

fn write_loose(dir: &Path, objects: &NewObjects<'_>) -> Result<()> {
    // First all writes, then all syncs: the first sync's journal entry then carries all of them.
    let staged = objects
        .iter()
        .map(|object| stage(dir, &object))
        .collect::<Result<Vec<_>>>()?;
    in_parallel(&staged, |object| {
        file::sync_file(&object.file, &object.at.path)
    })?;
    let mut dirs = BTreeSet::from([dir.to_owned()]);
    for Staged { id, at, .. } in staged {
        let (parent, name) = loose_place(dir, &id);
        file::create_dir_private(&parent)?;
        at.publish(&parent.join(name))?;
        dirs.insert(parent);
    }
    // The fan-out directories may be new, or left by a crash before their own sync: so `dir` too.
    let dirs: Vec<PathBuf> = dirs.into_iter().collect();
    in_parallel(&dirs, |dir| file::sync_dir(dir))
}

/// An object that is written but not yet on the disk, nor under its name.
struct Staged {
    id: ObjectId,
    at: Temporary,
    file: File,
}

fn stage(dir: &Path, object: &NewObject<'_>) -> Result<Staged> {
    let mut out = deflate::Write::new(Vec::new(), Compression::BEST_SPEED);
    out.write_all(&gix::objs::encode::loose_header(
        object.kind,
        object.bytes.len() as u64,
    ))?;
    out.write_all(object.bytes)?;
    out.flush()?;
    let at = Temporary::new(dir, "tmp_obj_");
    let file = file::write_new(&at.path, &out.into_inner(), 0o444)?;
    Ok(Staged {
        id: object.id,
        at,
        file,
    })
}

/// Where git keeps the loose object `id`: the directory of its first two digits, and its name.
pub(super) fn loose_place(dir: &Path, id: &ObjectId) -> (PathBuf, String) {
    let hex = id.to_string();
    let (first, rest) = hex.split_at(2);
    (dir.join(first), rest.to_owned())
}

/// A file without its final name; gone with this value unless it was published.
///
/// The name starts with `tmp_`, which git too takes for a leftover.
pub(super) struct Temporary {
    pub(super) path: PathBuf,
    published: bool,
}

impl Temporary {
    pub(super) fn new(dir: &Path, prefix: &str) -> Self {
        let path = dir.join(format!("{prefix}{}", uuid::Uuid::now_v7().simple()));
        Self {
            path,
            published: false,
        }
    }

    /// Gives the file its name, replacing what has it.
    pub(super) fn publish(mut self, name: &Path) -> Result<()> {
        file::rename(&self.path, name)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is swept later.
            drop(file::remove_file(&self.path));
        }
    }
}

/// Does `work` for every item on a few threads. Stops at the first error.
///
/// If the system gives no threads, the caller's own does it all.
pub(super) fn in_parallel<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    let run = &run;
    thread::scope(|scope| {
        let spawn = |n: usize| {
            thread::Builder::new()
                .name(format!("repo-sync-{n}"))
                .spawn_scoped(scope, run)
                .ok()
        };
        let threads = SYNCS_AT_ONCE.min(items.len());
        let helpers: Vec<_> = (1..threads).map_while(spawn).collect();
        let ours = run();
        helpers.into_iter().fold(ours, |done, helper| {
            let theirs = helper
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            done.and(theirs)
        })
    })
}
