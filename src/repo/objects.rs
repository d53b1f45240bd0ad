//! Objects in memory and out of the store. Nothing is returned that does not hash to its name.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use gix::hash::Kind as HashKind;
use gix::objs::{Find as _, Kind};
use gix::odb::{Header as _, loose};
use gix::{ObjectId, oid};

use super::pack::{self, Pack};
use crate::platform::file;

/// Every plan repository uses git's default hash.
pub(super) const HASH: HashKind = HashKind::Sha1;

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
        let objects = objects.map(|(id, (kind, bytes))| Ok(pack::Object { id, kind, bytes }));
        pack::write(packs, count, objects).map(drop)
    }
}

/// The object store of one repository, for reading.
pub(super) struct Objects {
    dir: PathBuf,
    store: RefCell<gix::odb::Handle>,
}

impl Objects {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
            store: RefCell::new(open_store(dir)?),
        })
    }

    /// Where the packs are.
    pub(super) fn packs(&self) -> PathBuf {
        self.dir.join("pack")
    }

    /// Reads and checks the object `id`, which must be of `kind`.
    pub(super) fn read(&self, id: &oid, kind: Kind) -> Result<Vec<u8>> {
        let check = |(found, bytes)| {
            ensure!(found == kind, "it is a {found}");
            Ok(bytes)
        };
        self.read_anywhere(id)
            .and_then(check)
            .with_context(|| self.describe(id, kind))
    }

    /// Reads back the object `id`, which was just written to a pack.
    ///
    /// A loose file of that id goes: at best it is a second copy, at worst what a power cut left
    /// of one, which git would stumble over.
    pub(super) fn confirm(&self, id: &ObjectId) -> Result<()> {
        self.read_anywhere(id)
            .map(drop)
            .with_context(|| format!("reading back {id}"))?;
        let hex = id.to_string();
        let loose = self.dir.join(&hex[..2]).join(&hex[2..]);
        if loose.exists() {
            file::remove_file(&loose)
        } else {
            Ok(())
        }
    }

    /// Checks, by the first bytes alone if these are good, that `id` is there and of `kind`.
    pub(super) fn check_header(&self, id: &oid, kind: Kind) -> Result<()> {
        match self.store.borrow().try_header(id) {
            Ok(Some(header)) if header.kind() == kind => return Ok(()),
            _ => {}
        }
        self.read(id, kind).map(drop)
    }

    /// Reads `id` from the store; failing that, from the store opened again (packs may have come
    /// or gone since); failing that, from each file alone (a damaged copy hides a good one).
    fn read_anywhere(&self, id: &oid) -> Result<(Kind, Vec<u8>)> {
        if let Ok(Some(found)) = read_from(&self.store.borrow(), id) {
            return Ok(found);
        }
        *self.store.borrow_mut() = open_store(&self.dir)?;
        let problem = match read_from(&self.store.borrow(), id) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => anyhow!("it is missing"),
            Err(damage) => damage.context("it is damaged"),
        };
        self.read_from_each_file(id).ok_or(problem)
    }

    fn read_from_each_file(&self, id: &oid) -> Option<(Kind, Vec<u8>)> {
        for entry in std::fs::read_dir(self.packs()).ok()?.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "idx")
                && let Ok(object) = Pack::open(&path).and_then(|pack| pack.read(id))
            {
                return Some((object.kind, object.bytes.into_owned()));
            }
        }
        let mut bytes = Vec::new();
        let object = loose::Store::at(&self.dir, HASH)
            .try_find(id, &mut bytes)
            .ok()??;
        object.verify_checksum(id).ok()?;
        Some((object.kind, bytes))
    }

    fn describe(&self, id: &oid, kind: Kind) -> String {
        format!("reading {kind} {id} in {}", self.dir.display())
    }
}

fn open_store(dir: &Path) -> Result<gix::odb::Handle> {
    gix::odb::at(dir, HASH).with_context(|| format!("opening {}", dir.display()))
}

fn read_from(store: &gix::odb::Handle, id: &oid) -> Result<Option<(Kind, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let Some(object) = store.try_find(id, &mut bytes)? else {
        return Ok(None);
    };
    object.verify_checksum(id)?;
    Ok(Some((object.kind, bytes)))
}
