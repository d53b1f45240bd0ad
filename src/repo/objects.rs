//! Objects in memory and out of the store. Nothing is returned that does not hash to its name.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use gix::hash::Kind as HashKind;
use gix::objs::Kind;
use gix::odb::loose;
use gix::{ObjectId, oid};

use super::pack::{self, Object, Pack};
use crate::platform::file;

/// Every plan repository uses git's default hash.
pub(super) const HASH: HashKind = HashKind::Sha1;

/// How often to list the packs for one object. Each time but the first needs a fold by another
/// process in the last microseconds, and a fold needs many commits.
const LISTINGS_MAX: u32 = 8;

/// Parses 40 hexadecimal digits.
pub(super) fn parse_id(text: &str) -> Result<ObjectId> {
    ObjectId::from_hex(text.as_bytes()).with_context(|| format!("{text:?} is not an object id"))
}

/// Computes the name of an object.
pub(super) fn name_of(kind: Kind, bytes: &[u8]) -> Result<ObjectId> {
    Ok(gix::objs::compute_hash(HASH, kind, bytes)?)
}

/// The objects of a version that is being written, each once, sorted by id.
#[derive(Default)]
pub(super) struct NewObjects<'a>(BTreeMap<ObjectId, (Kind, Cow<'a, [u8]>)>);

impl<'a> NewObjects<'a> {
    pub(super) fn add(&mut self, kind: Kind, bytes: Cow<'a, [u8]>) -> Result<ObjectId> {
        let id = name_of(kind, &bytes)?;
        self.0.insert(id, (kind, bytes));
        Ok(id)
    }

    pub(super) fn ids(&self) -> Vec<ObjectId> {
        self.0.keys().copied().collect()
    }

    /// Writes them to a repository's packs, durably.
    pub(super) fn write(self, packs: &Path) -> Result<()> {
        let count = self.0.len();
        let objects = self.0.into_iter();
        let objects = objects.map(|(id, (kind, bytes))| Ok(Object { id, kind, bytes }));
        pack::write(packs, count, objects).map(drop)
    }
}

/// The objects of one repository, for reading: its packs, and loose files that git may have made.
///
/// gix's own object store is not used: it takes a pack that was replaced under its name for a bug
/// and panics, and it stops at the first damaged copy.
pub(super) struct Objects {
    dir: PathBuf,
    packs: RefCell<Vec<LazyPack>>,
}

/// A pack that is opened when an object is first looked for in it.
struct LazyPack {
    index: PathBuf,
    opened: OnceCell<Result<Pack>>,
}

impl Objects {
    /// `dir` is the directory `objects`. Nothing is read yet.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            packs: RefCell::default(),
        }
    }

    /// Where the packs are.
    pub(super) fn packs_dir(&self) -> PathBuf {
        self.dir.join("pack")
    }

    /// Reads and checks the object `id`, which must be of `kind`.
    pub(super) fn read(&self, id: &oid, kind: Kind) -> Result<Vec<u8>> {
        let check = |object: Object<'_>| {
            ensure!(object.kind == kind, "it is a {}", object.kind);
            Ok(object.bytes.into_owned())
        };
        let context = || format!("reading {kind} {id} in {}", self.dir.display());
        self.find(id).and_then(check).with_context(context)
    }

    /// Reads back the object `id`, which was just written to a pack.
    ///
    /// A loose file of that id goes: at best it is a second copy, at worst what a power cut left
    /// of one, which git would stumble over.
    pub(super) fn confirm(&self, id: &ObjectId) -> Result<()> {
        self.find(id)
            .with_context(|| format!("reading back {id}"))?;
        let loose = loose_path(&self.dir, id);
        if loose.exists() {
            file::remove_file(&loose)
        } else {
            Ok(())
        }
    }

    /// Looks for a good copy of `id`; if there is none, once more in the packs that are there now,
    /// for some may have come, gone or been written again since they were listed.
    fn find(&self, id: &oid) -> Result<Object<'static>> {
        let mut listings = 0;
        loop {
            let problem = match self.find_in_listed(id) {
                Ok(Some(object)) => return Ok(object),
                Ok(None) => anyhow!("it is missing"),
                Err(damage) => damage.context("it is damaged"),
            };
            // Somebody may have folded packs between the listing and the look, again and again.
            if listings == LISTINGS_MAX || (listings > 0 && self.listed_are_there()) {
                return Err(problem);
            }
            listings += 1;
            *self.packs.borrow_mut() = list_packs(&self.packs_dir())?;
        }
    }

    fn listed_are_there(&self) -> bool {
        self.packs.borrow().iter().all(|pack| pack.index.exists())
    }

    /// `None` if there is no copy; an error if there are copies, but none is good.
    fn find_in_listed(&self, id: &oid) -> Result<Option<Object<'static>>> {
        let mut damage = None;
        for pack in self.packs.borrow().iter() {
            match pack.read(id) {
                Ok(None) => {}
                Ok(Some(object)) => return Ok(Some(object)),
                Err(error) => damage = Some(error),
            }
        }
        match read_loose(&self.dir, id) {
            Ok(None) => damage.map_or(Ok(None), Err),
            other => other,
        }
    }
}

impl LazyPack {
    fn read(&self, id: &oid) -> Result<Option<Object<'static>>> {
        match self.opened.get_or_init(|| Pack::open(&self.index)) {
            Ok(pack) => pack.read(id),
            // It may have held the object.
            Err(error) => Err(anyhow!("{error:#}")),
        }
    }
}

/// Lists the packs in `dir`, the newest first: the head of a branch is what is read most.
fn list_packs(dir: &Path) -> Result<Vec<LazyPack>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let entry = entry?;
        let index = entry.path();
        if index
            .extension()
            .is_some_and(|extension| extension == "idx")
        {
            // None if it is gone already: the one who looks in it will see.
            let changed = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .ok();
            found.push((Reverse(changed), index));
        }
    }
    found.sort();
    let lazy = |(_, index)| LazyPack {
        index,
        opened: OnceCell::new(),
    };
    Ok(found.into_iter().map(lazy).collect())
}

fn read_loose(dir: &Path, id: &oid) -> Result<Option<Object<'static>>> {
    let mut bytes = Vec::new();
    let Some(object) = loose::Store::at(dir, HASH).try_find(id, &mut bytes)? else {
        return Ok(None);
    };
    object.verify_checksum(id)?;
    let kind = object.kind;
    Ok(Some(Object {
        id: id.to_owned(),
        kind,
        bytes: bytes.into(),
    }))
}

fn loose_path(dir: &Path, id: &oid) -> PathBuf {
    let hex = id.to_string();
    dir.join(&hex[..2]).join(&hex[2..])
}
