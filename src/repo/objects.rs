//! Objects in memory and out of the store. Nothing is returned that does not hash to its name.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use gix::hash::Kind as HashKind;
use gix::objs::{Find as _, Kind};
use gix::odb::{Header as _, loose};
use gix::{ObjectId, oid};

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

/// An object that is about to be written.
pub(super) struct NewObject<'a> {
    pub(super) id: ObjectId,
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}

/// The objects of a version that is being written, each once, sorted by name.
#[derive(Default)]
pub(super) struct NewObjects<'a>(BTreeMap<ObjectId, (Kind, Cow<'a, [u8]>)>);

impl<'a> NewObjects<'a> {
    pub(super) fn add(&mut self, kind: Kind, bytes: Cow<'a, [u8]>) -> Result<ObjectId> {
        let id = name_of(kind, &bytes)?;
        self.0.insert(id, (kind, bytes));
        Ok(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = NewObject<'_>> {
        self.0.iter().map(|(id, (kind, bytes))| NewObject {
            id: *id,
            kind: *kind,
            bytes,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
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

    /// The directory `objects` itself.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads and checks the object `id`, which must be of `kind`.
    pub(super) fn read(&self, id: &oid, kind: Kind) -> Result<Vec<u8>> {
        self.try_read(id, kind)
            .with_context(|| self.describe(id, kind))
    }

    fn try_read(&self, id: &oid, kind: Kind) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let found = self.find_anywhere(|store| {
            let found = match store {
                Source::Store(store) => store.try_find(id, &mut bytes)?,
                Source::Loose(loose) => loose.try_find(id, &mut bytes)?,
            };
            let Some(found) = found else { return Ok(None) };
            found.verify_checksum(id)?;
            Ok(Some(found.kind))
        })?;
        ensure!(found == kind, "it is a {found}");
        Ok(bytes)
    }

    /// Checks, by the first bytes alone, that `id` is there and of `kind`.
    pub(super) fn check_header(&self, id: &oid, kind: Kind) -> Result<()> {
        let check = || {
            let found = self.find_anywhere(|store| {
                Ok(match store {
                    Source::Store(store) => store.try_header(id)?.map(|header| header.kind()),
                    Source::Loose(loose) => loose.try_header(id)?.map(|(_, kind)| kind),
                })
            })?;
            ensure!(found == kind, "it is a {found}");
            Ok(())
        };
        check().with_context(|| self.describe(id, kind))
    }

    /// Reads back what was just written.
    pub(super) fn confirm(&self, new: &NewObject<'_>) -> Result<()> {
        let bytes = self.read(&new.id, new.kind)?;
        ensure!(bytes == new.bytes, "{} reads back differently", new.id);
        Ok(())
    }

    /// Looks with `look` in the store; failing that, in the store opened again (packs may have
    /// come or gone since); failing that, in the loose files alone (a damaged pack hides a good
    /// loose copy).
    fn find_anywhere<T>(
        &self,
        mut look: impl FnMut(&Source<'_>) -> Result<Option<T>>,
    ) -> Result<T> {
        if let Ok(Some(found)) = look(&Source::Store(&self.store.borrow())) {
            return Ok(found);
        }
        *self.store.borrow_mut() = open_store(&self.dir)?;
        let again = look(&Source::Store(&self.store.borrow()));
        if let Ok(Some(found)) = again {
            return Ok(found);
        }
        let loose = loose::Store::at(&self.dir, HASH);
        if let Ok(Some(found)) = look(&Source::Loose(&loose)) {
            return Ok(found);
        }
        match again {
            Err(damage) => Err(damage.context("it is damaged")),
            Ok(_) => bail!("it is missing"),
        }
    }

    fn describe(&self, id: &oid, kind: Kind) -> String {
        format!("reading {kind} {id} in {}", self.dir.display())
    }
}

/// Where to look for an object.
enum Source<'a> {
    /// Packs, then loose files.
    Store(&'a gix::odb::Handle),
    Loose(&'a loose::Store),
}

fn open_store(dir: &Path) -> Result<gix::odb::Handle> {
    gix::odb::at(dir, HASH).with_context(|| format!("opening {}", dir.display()))
}
