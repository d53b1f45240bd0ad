//! What a project's git stands at, read from its files: a session's start is no time for a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::platform::{clock, file};

/// How far up a repository is looked for.
const ABOVE: usize = 64;
/// How many names that stand for names are followed.
const NAMES: usize = 5;
/// A ref or a pointer is never longer.
const SMALL: u64 = 4096;

/// The commit and branch that a directory's repository stands at. What is not known is null: no
/// repository, no commit yet, no branch (detached), refs kept in another form than files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Metadata {
    pub(super) base_commit: Option<String>,
    pub(super) branch: Option<String>,
    /// When it was looked at.
    pub(super) timestamp: String,
}

/// What the repository of `dir` stands at. Never fails, never waits for anybody.
pub(super) fn look(dir: &Path) -> Metadata {
    let (base_commit, branch) = stand(dir).unwrap_or_default();
    Metadata {
        base_commit,
        branch,
        timestamp: clock::stamp(),
    }
}

fn stand(dir: &Path) -> Option<(Option<String>, Option<String>)> {
    let git_dir = dir.ancestors().take(ABOVE).find_map(git_dir)?;
    let head = small(&git_dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else {
        return Some((commit(&head), None));
    };
    // Where refs are kept in one table, HEAD says this instead.
    if name == "refs/heads/.invalid" {
        return Some((None, None));
    }
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    Some((resolve(&git_dir, name), branch))
}

/// The repository whose work tree begins at `dir`: a directory, or a file that names one.
fn git_dir(dir: &Path) -> Option<PathBuf> {
    let dot = dir.join(".git");
    let found = if std::fs::metadata(&dot).ok()?.is_dir() {
        dot
    } else {
        dir.join(small(&dot)?.strip_prefix("gitdir: ")?)
    };
    found.join("HEAD").exists().then_some(found)
}

/// The commit that the ref `name` stands for.
fn resolve(git_dir: &Path, name: &str) -> Option<String> {
    // A linked work tree shares its branches.
    let common = small(&git_dir.join("commondir")).map(|path| git_dir.join(path));
    let common = common.unwrap_or_else(|| git_dir.to_owned());
    let mut name = name.to_owned();
    for _ in 0..NAMES {
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(&name).components().all(is_plain) {
            return None;
        }
        let loose = small(&git_dir.join(&name)).or_else(|| small(&common.join(&name)));
        let Some(text) = loose else {
            return packed(&common, &name);
        };
        match text.strip_prefix("ref: ") {
            Some(next) => name = next.to_owned(),
            None => return commit(&text),
        }
    }
    None
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let refs = file::open_at_once(&common.join("packed-refs")).ok()?;
    let lines = BufReader::new(refs).lines().map_while(Result::ok);
    let mut found = lines.filter_map(|line| {
        let (id, of) = line.split_once(' ')?;
        (of == name).then(|| commit(id))
    });
    found.next().flatten()
}

fn commit(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|c| c.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

/// The beginning of a file's first line; `None` if there is no such file, or it is no text.
fn small(path: &Path) -> Option<String> {
    let mut text = String::new();
    let opened = file::open_at_once(path).ok()?;
    if !opened.metadata().ok()?.is_file() {
        return None;
    }
    opened.take(SMALL).read_to_string(&mut text).ok()?;
    text.lines().next().map(|line| line.trim_end().to_owned())
}
