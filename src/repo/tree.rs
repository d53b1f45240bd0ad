//! The tree of a version: what a list of changes makes of it, and what is in it.
//!
//! Changes are applied one after the other to a tree in memory, whose directories are read from
//! the parent version when a change first goes through them; the rest keeps its name and is not
//! even looked at. A directory that becomes empty goes: git has no empty directories.

use std::collections::BTreeMap;
use std::str;

use anyhow::{Context as _, Result, bail, ensure};
use gix::ObjectId;
use gix::objs::tree::{Entry, EntryKind, EntryMode, EntryRef};
use gix::objs::{Kind, Tree, TreeRef, WriteTo as _};

use super::objects::{HASH, NewObjects, Objects};
use super::{TreeChange, TreeEntry};

/// The longest path: git complains above it.
const PATH_BYTES_MAX: usize = 4096;

/// The deepest path: a directory in a directory is a call in a call here.
const PATH_PARTS_MAX: usize = 256;

/// Applies `changes` to the tree `base`; adds every object that this makes to `new`.
pub(super) fn edit<'a>(
    objects: &Objects,
    base: Option<ObjectId>,
    changes: &'a [TreeChange],
    new: &mut NewObjects<'a>,
) -> Result<ObjectId> {
    let mut root = base
        .map(|id| Directory::read(objects, id))
        .transpose()?
        .unwrap_or_default();
    for change in changes {
        match change {
            TreeChange::Put { path, bytes } => root.put(objects, path, bytes)?,
            TreeChange::Remove { path } => root.remove(objects, path)?,
        }
    }
    let bytes = root.encode(new)?;
    new.add(Kind::Tree, bytes.into())
}

/// A directory that a change went through.
#[derive(Default)]
struct Directory<'a>(BTreeMap<String, Node<'a>>);

enum Node<'a> {
    /// As in the parent version.
    Kept {
        mode: EntryMode,
        id: ObjectId,
    },
    /// Put by a change.
    File(&'a [u8]),
    Directory(Directory<'a>),
}

impl<'a> Directory<'a> {
    fn read(objects: &Objects, id: ObjectId) -> Result<Self> {
        let bytes = objects.read(&id, Kind::Tree)?;
        let mut entries = BTreeMap::new();
        for entry in decode(&bytes, &id)?.entries {
            let name = text(entry.filename)?.to_owned();
            entries.insert(
                name,
                Node::Kept {
                    mode: entry.mode,
                    id: entry.oid.to_owned(),
                },
            );
        }
        Ok(Self(entries))
    }

    fn put(&mut self, objects: &Objects, path: &str, bytes: &'a [u8]) -> Result<()> {
        let (parents, name) = split(path)?;
        let mut directory = self;
        for part in parents {
            let node = directory
                .0
                .entry(part.to_owned())
                .or_insert_with(Node::empty);
            if node.open(objects)?.is_none() {
                *node = Node::empty();
            }
            let Node::Directory(next) = node else {
                bail!("{part:?} did not become a directory")
            };
            directory = next;
        }
        directory.0.insert(name.to_owned(), Node::File(bytes));
        Ok(())
    }

    fn remove(&mut self, objects: &Objects, path: &str) -> Result<()> {
        let (parents, name) = split(path)?;
        let mut directory = self;
        for part in parents {
            let Some(node) = directory.0.get_mut(part) else {
                return Ok(());
            };
            let Some(next) = node.open(objects)? else {
                return Ok(());
            };
            directory = next;
        }
        directory.0.remove(name);
        Ok(())
    }

    /// Adds what was put below this directory to `new`; encodes the directory itself.
    fn encode(self, new: &mut NewObjects<'a>) -> Result<Vec<u8>> {
        let mut entries = Vec::with_capacity(self.0.len());
        for (name, node) in self.0 {
            let Some((mode, oid)) = node.add_to(new)? else {
                continue;
            };
            entries.push(Entry {
                mode,
                filename: name.into(),
                oid,
            });
        }
        // By git's order, in which a directory's name ends in a slash.
        entries.sort();
        let mut bytes = Vec::new();
        Tree { entries }.write_to(&mut bytes)?;
        Ok(bytes)
    }
}

impl<'a> Node<'a> {
    fn empty() -> Self {
        Node::Directory(Directory::default())
    }

    /// Opens the directory that this node is, reading it if need be; `None` if it is a file.
    fn open(&mut self, objects: &Objects) -> Result<Option<&mut Directory<'a>>> {
        if let Node::Kept { mode, id } = self {
            if !mode.is_tree() {
                return Ok(None);
            }
            *self = Node::Directory(Directory::read(objects, *id)?);
        }
        match self {
            Node::Directory(directory) => Ok(Some(directory)),
            Node::File(_) | Node::Kept { .. } => Ok(None),
        }
    }

    /// Adds what was put here to `new`; `None` for a directory that became empty.
    fn add_to(self, new: &mut NewObjects<'a>) -> Result<Option<(EntryMode, ObjectId)>> {
        Ok(match self {
            Node::Kept { mode, id } => Some((mode, id)),
            Node::File(bytes) => Some((EntryKind::Blob.into(), new.add(Kind::Blob, bytes.into())?)),
            Node::Directory(directory) => {
                let bytes = directory.encode(new)?;
                if bytes.is_empty() {
                    return Ok(None);
                }
                Some((EntryKind::Tree.into(), new.add(Kind::Tree, bytes.into())?))
            }
        })
    }
}

/// Something at a path of a version.
pub(super) struct Found {
    pub(super) id: ObjectId,
    pub(super) is_tree: bool,
}

impl Found {
    fn new(entry: &EntryRef<'_>) -> Self {
        Self {
            id: entry.oid.to_owned(),
            is_tree: entry.mode.is_tree(),
        }
    }
}

/// Finds what is at `path` under the tree `root`; `""` is the root itself.
pub(super) fn find(objects: &Objects, root: ObjectId, path: &str) -> Result<Option<Found>> {
    let mut found = Found {
        id: root,
        is_tree: true,
    };
    if path.is_empty() {
        return Ok(Some(found));
    }
    for part in path.split('/') {
        if !found.is_tree {
            return Ok(None);
        }
        let bytes = objects.read(&found.id, Kind::Tree)?;
        let tree = decode(&bytes, &found.id)?;
        let Some(entry) = tree.entries.iter().find(|entry| entry.filename == part) else {
            return Ok(None);
        };
        found = Found::new(entry);
    }
    Ok(Some(found))
}

/// Lists the files at and below `start`, which is at `path`, in git's order.
pub(super) fn files(objects: &Objects, start: Found, path: &str) -> Result<Vec<TreeEntry>> {
    let mut files = Vec::new();
    let mut ahead = vec![(start, path.to_owned())];
    while let Some((found, path)) = ahead.pop() {
        if !found.is_tree {
            files.push(TreeEntry {
                path,
                id: found.id.to_string(),
            });
            continue;
        }
        let bytes = objects.read(&found.id, Kind::Tree)?;
        for entry in decode(&bytes, &found.id)?.entries.iter().rev() {
            ahead.push((Found::new(entry), join(&path, text(entry.filename)?)));
        }
    }
    Ok(files)
}

/// Lists the files of each of two trees that the other has not, or not with that content; of a
/// directory that `is_unit` and is not the same in both, all files. What both have is not looked into.
pub(super) fn differing(
    objects: &Objects,
    roots: [ObjectId; 2],
    is_unit: impl Fn(&str) -> bool,
) -> Result<[Vec<TreeEntry>; 2]> {
    let mut listed = [Vec::new(), Vec::new()];
    let mut ahead = vec![(String::new(), roots.map(Some))];
    while let Some((path, trees)) = ahead.pop() {
        let mut names: BTreeMap<String, [Option<Found>; 2]> = BTreeMap::new();
        for (side, tree) in trees.iter().enumerate() {
            let Some(tree) = tree else { continue };
            let bytes = objects.read(tree, Kind::Tree)?;
            for entry in decode(&bytes, tree)?.entries {
                let both = names.entry(text(entry.filename)?.to_owned()).or_default();
                both[side] = Some(Found::new(&entry));
            }
        }
        for (name, both) in names {
            let [ours, theirs] = both.each_ref().map(|found| Some(found.as_ref()?.id));
            if ours == theirs {
                continue;
            }
            let path = join(&path, &name);
            let mut below = [None, None];
            for (side, found) in both.into_iter().enumerate() {
                match found {
                    Some(found) if found.is_tree && !is_unit(&path) => below[side] = Some(found.id),
                    Some(found) => listed[side].extend(files(objects, found, &path)?),
                    None => {}
                }
            }
            ahead.push((path, below));
        }
    }
    Ok(listed)
}

/// Decodes the tree `id`.
pub(super) fn decode<'a>(bytes: &'a [u8], id: &ObjectId) -> Result<TreeRef<'a>> {
    TreeRef::from_bytes(bytes, HASH).with_context(|| format!("decoding tree {id}"))
}

/// Puts `name` under the directory `path`; `""` is the root.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    }
}

fn text(name: &[u8]) -> Result<&str> {
    str::from_utf8(name).with_context(|| format!("the file name {}", name.escape_ascii()))
}

/// Splits a path that is going to be written into its directories and its last part.
fn split(path: &str) -> Result<(Vec<&str>, &str)> {
    ensure!(
        path.len() <= PATH_BYTES_MAX,
        "a path of {} bytes is too long",
        path.len()
    );
    ensure!(!path.contains('\0'), "the path {path:?} contains a NUL");
    let mut parts: Vec<&str> = path.split('/').collect();
    ensure!(
        parts.len() <= PATH_PARTS_MAX,
        "a path of {} parts is too deep",
        parts.len()
    );
    for part in &parts {
        gix::validate::path::component((*part).into(), None, PROTECT)
            .with_context(|| format!("the path {path:?} cannot be stored"))?;
    }
    let name = parts.pop().unwrap_or_default();
    Ok((parts, name))
}

/// What `git fsck --strict` complains of, and nothing else: no version is ever checked out by us.
const PROTECT: gix::validate::path::component::Options = gix::validate::path::component::Options {
    protect_windows: false,
    protect_hfs: true,
    protect_ntfs: true,
};
