//! The room from its door: real directories, real files.

mod arguments;
mod changing;
mod freshness;
mod ignoring;
mod listings;
mod oracle;
mod renewing;
mod selectors;
mod skipping;
mod tokens;

use std::fs::File;
use std::io::Write as _;
use std::mem::MaybeUninit;

use rustix::fs::inotify;
use tempfile::TempDir;

use super::*;
use crate::store::contexts::Context;

/// A project in a temporary directory.
pub(super) struct Project {
    dir: TempDir,
    pub(super) cancel: Cancel,
}

impl Project {
    /// A project with these files, each with some text of its own.
    pub(super) fn with(files: &[&str]) -> Self {
        let project = Self {
            dir: TempDir::new().unwrap(),
            cancel: Cancel::new().unwrap(),
        };
        for file in files {
            project.put(file, format!("this is {file}\n"));
        }
        project
    }

    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(super) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = File::create(path).unwrap();
        file.write_all(content.as_ref()).unwrap();
    }

    /// The files in `directories` that anybody opened while `work` ran.
    pub(super) fn opened<T>(
        &self,
        directories: &[&str],
        work: impl FnOnce() -> T,
    ) -> (Vec<String>, T) {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        for directory in directories {
            inotify::add_watch(&watch, self.at(directory), inotify::WatchFlags::OPEN).unwrap();
        }
        let result = work();
        let mut names = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(watch, &mut buffer);
        while let Ok(event) = events.next() {
            let name = event
                .file_name()
                .map(|name| name.to_str().unwrap().to_owned());
            names.extend(name.filter(|_| !event.events().contains(inotify::ReadFlags::ISDIR)));
        }
        names.sort();
        names.dedup();
        (names, result)
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source {
            root: self.root(),
            cwd: self.root(),
            cancel: &self.cancel,
        }
    }

    pub(super) fn gather(&self, arguments: &[&str], options: &LoadOptions) -> Result<Gathered> {
        gather(&self.source(), &owned(arguments), options, &mut |_| {})
    }

    /// The paths that a load gives, and what it skips as "path: reason word".
    pub(super) fn paths(&self, arguments: &[&str], options: &LoadOptions) -> (Vec<String>, String) {
        let gathered = self.gather(arguments, options).unwrap();
        assert_eq!(gathered.warnings, [""; 0]);
        (paths_of(&gathered), skipped_of(&gathered))
    }

    pub(super) fn refusal(&self, arguments: &[&str], options: &LoadOptions) -> ContextError {
        let refused = self.gather(arguments, options).unwrap_err();
        refused.downcast().unwrap()
    }
}

/// The row of an item that was loaded at `loaded_at_ms`.
pub(super) fn entry_of(item: &Loaded, loaded_at_ms: i64) -> Context {
    Context {
        id: format!("id of {}", item.name),
        branch_id: "branch".to_owned(),
        kind: item.kind,
        name: item.name.clone(),
        path: item.path.clone(),
        origin: item.origin.clone(),
        blob: String::new(),
        hash: item.hash.clone(),
        size: item.size as i64,
        mtime_ns: item.mtime_ns,
        tokens: item.tokens as i64,
        created_at: loaded_at_ms,
        updated_at: loaded_at_ms,
    }
}

pub(super) fn owned(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|word| (*word).to_owned()).collect()
}

pub(super) fn paths_of(gathered: &Gathered) -> Vec<String> {
    let paths = gathered.loaded.iter().map(|item| item.path.clone());
    paths.map(Option::unwrap).collect()
}

pub(super) fn skipped_of(gathered: &Gathered) -> String {
    let line = |skipped: &Skipped| format!("{}: {}", skipped.path, skipped.reason.word());
    let lines: Vec<String> = gathered.skipped.iter().map(line).collect();
    lines.join(", ")
}

pub(super) fn plain() -> LoadOptions {
    LoadOptions::default()
}

pub(super) fn recursive() -> LoadOptions {
    LoadOptions {
        directories: Directories::Load,
        max_items: 1_000_000,
        ..LoadOptions::default()
    }
}

pub(super) fn forced() -> LoadOptions {
    LoadOptions {
        ignored: Ignored::Include,
        ..recursive()
    }
}
