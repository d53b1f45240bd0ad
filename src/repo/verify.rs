//! What is wrong with a version: every object it needs is read and hashed.

use std::collections::HashSet;

use anyhow::Result;
use gix::ObjectId;
use gix::objs::Kind;

use super::objects::Objects;
use super::{PlanRepo, Version, history, tree};

/// How much of a version to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// This version alone. For after an unclean shutdown.
    Tip,
    /// This version and all before it.
    Full,
}

/// An object that is missing or not what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its id.
    pub object: String,
    /// Where it was met: a version, or a path in one.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl PlanRepo {
    /// Lists what is damaged in `version`; empty if nothing is.
    #[must_use]
    pub fn verify(&self, version: &Version, depth: Depth) -> Vec<Damage> {
        let mut look = Look {
            objects: &self.objects,
            seen: HashSet::new(),
            damage: vec![],
        };
        let mut versions = vec![version.0];
        while let Some(id) = versions.pop() {
            if !look.seen.insert(id) {
                continue;
            }
            let place = format!("version {id}");
            let commit = look.objects.read(&id, Kind::Commit);
            let Some(commit) = look.note(&id, &place, commit) else {
                continue;
            };
            let links = history::links(&commit);
            let Some((root, parents)) = look.note(&id, &place, links) else {
                continue;
            };
            look.tree(root, &place);
            if depth == Depth::Full {
                versions.extend(parents);
            }
        }
        look.damage
    }
}

struct Look<'a> {
    objects: &'a Objects,
    seen: HashSet<ObjectId>,
    damage: Vec<Damage>,
}

impl Look<'_> {
    /// Looks at the tree `root` and everything below it that was not looked at before.
    fn tree(&mut self, root: ObjectId, version: &str) {
        let mut trees = vec![(root, String::new())];
        while let Some((id, path)) = trees.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            let place = format!("{version}, directory /{path}");
            let bytes = self.objects.read(&id, Kind::Tree);
            let Some(bytes) = self.note(&id, &place, bytes) else {
                continue;
            };
            let Some(decoded) = self.note(&id, &place, tree::decode(&bytes, &id)) else {
                continue;
            };
            for entry in decoded.entries {
                let path = tree::join(&path, &entry.filename.to_string());
                if entry.mode.is_tree() {
                    trees.push((entry.oid.to_owned(), path));
                } else {
                    self.blob(entry.oid.to_owned(), &format!("{version}, file /{path}"));
                }
            }
        }
    }

    fn blob(&mut self, id: ObjectId, place: &str) {
        if self.seen.insert(id) {
            let looked = self.objects.read(&id, Kind::Blob);
            self.note(&id, place, looked);
        }
    }

    /// Passes a result on, or keeps its error as damage.
    fn note<T>(&mut self, id: &ObjectId, place: &str, result: Result<T>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let (object, place) = (id.to_string(), place.to_owned());
        self.damage.push(Damage {
            object,
            place,
            problem: format!("{error:#}"),
        });
        None
    }
}
