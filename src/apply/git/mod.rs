//! `apply --commit`: what was written becomes a commit of the user's repository, made by git itself:
//! hooks, signing, worktrees and whatever else git does are git's.
//!
//! The one hard rule: a commit holds the paths that were written and nothing else. Git makes it from
//! the newest HEAD and these paths alone (`commit --only`), whatever else is staged; a file that had
//! changes of the user's own that were not committed is left out. If the commit fails, the index is
//! as it was. A busy `index.lock` is somebody's: it is waited for and never removed.

mod note;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub use note::mend;

use super::Reported;
use crate::lock::Patience;
use crate::platform::cancel::Cancel;
use crate::platform::crash::crash_point;
use crate::platform::wait;

/// Variables that would send git to another repository, index, object store or configuration than
/// the one it finds by itself, or change what a path means. Who commits, how git asks and which
/// files it reads its settings from stay the user's.
const SCRUBBED: [&str; 24] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DEFAULT_HASH",
    "GIT_DIR",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];
/// So many bytes of paths go on one command line.
const ARGUMENTS_MAX: usize = 64 << 10;
const FIRST_SLEEP: Duration = Duration::from_millis(20);
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// Why there is no commit.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The git command cannot be run.
    #[error("git cannot be run: {0}")]
    NoGit(io::Error),
    /// The project is in no work tree of git's.
    #[error("the project is not in a git work tree")]
    NoRepository,
    /// Somebody else was at work in the repository for as long as was waited.
    #[error("the git repository is locked by somebody else: {0}")]
    Locked(String),
    /// What is about to be done cannot be recorded.
    #[error("a commit cannot be recorded: {0:#}")]
    Unrecorded(anyhow::Error),
    /// Git, or a hook of the user's, said no.
    #[error("git did not commit")]
    Refused {
        /// All that was said.
        said: String,
    },
}

/// How long somebody else's lock is waited for.
pub struct Waiting<'w> {
    /// Until when.
    pub patience: Patience,
    /// Ends the wait when set.
    pub cancel: &'w Cancel,
}

/// What became of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The commit; `None` if there was nothing to commit.
    pub hash: Option<String>,
    /// The paths that are in it.
    pub paths: Vec<String>,
    /// The paths that are not, and why.
    pub left_out: Vec<Reported>,
}

/// What git has of paths before they are written.
#[derive(Debug)]
pub struct Before {
    /// Paths with changes of the user's own.
    dirty: HashSet<String>,
}

/// Looks at the repository around `root`, before `paths` are written.
///
/// Fails if there is none, or no git.
pub fn look(root: &Path, paths: &[&str]) -> Result<Before, GitError> {
    let inside = run(root, &["rev-parse", "--is-inside-work-tree"], &[])?;
    if !inside.status.success() || inside.stdout.trim_ascii() != b"true" {
        return Err(GitError::NoRepository);
    }
    let words = [
        "--no-optional-locks",
        "--literal-pathspecs",
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--untracked-files=all",
    ];
    let prefix = run(root, &["rev-parse", "--show-prefix"], &[])?;
    let prefix = String::from_utf8_lossy(prefix.stdout.trim_ascii_end()).into_owned();
    let mut dirty = HashSet::new();
    for entry in asked(root, &words, paths)? {
        // `XY path`; from the top of the work tree.
        let path = entry.get(3..).unwrap_or_default();
        dirty.insert(path.strip_prefix(&prefix).unwrap_or(path).to_owned());
    }
    Ok(Before { dirty })
}

/// Commits `written` with the `message` of what is committed: those that were clean before and that git does not ignore.
/// `before` is from before they were written; a busy repository is waited for as `patience` says.
/// What a kill in between leaves is on record in `state_dir`, for [`mend`].
pub fn commit(
    (root, state_dir): (&Path, &Path),
    before: &Before,
    written: &[String],
    message: impl FnOnce(&[&str]) -> String,
    patience: &Waiting<'_>,
) -> Result<Committed, GitError> {
    let (paths, new, left_out) = sorted(root, before, written)?;
    let mut committed = Committed {
        left_out,
        ..Committed::default()
    };
    if paths.is_empty() {
        return Ok(committed);
    }
    let mut note = None;
    if !new.is_empty() {
        note = Some(note::Note::write(state_dir, &new).map_err(GitError::Unrecorded)?);
        let words = [
            "--literal-pathspecs",
            "add",
            "--intent-to-add",
            FROM_STDIN,
            NUL,
        ];
        let added = patiently(root, &words, &listed(&new), patience);
        if let Err(error) = added.and_then(|added| refused_unless(&added)) {
            ended(note)?;
            return Err(error);
        }
    }
    crash_point("git.before");
    let message = format!("--message={}", message(&paths));
    let words = [
        "--literal-pathspecs",
        "commit",
        "--only",
        &message,
        FROM_STDIN,
        NUL,
    ];
    let made = patiently(root, &words, &listed(&paths), patience);
    crash_point("git.after");
    let made = made.and_then(|made| refused_unless(&made));
    if let Err(error) = made {
        forget(root, &new, patience)?;
        ended(note)?;
        let words = [
            "--no-optional-locks",
            "--literal-pathspecs",
            "status",
            "--porcelain",
            "-z",
        ];
        let is_nothing =
            matches!(error, GitError::Refused { .. }) && asked(root, &words, &paths)?.is_empty();
        return if is_nothing {
            Ok(committed)
        } else {
            Err(error)
        };
    }
    ended(note)?;
    let head = run(root, &["rev-parse", "--verify", "--quiet", "HEAD"], &[])?;
    committed.hash = Some(String::from_utf8_lossy(head.stdout.trim_ascii()).into_owned());
    committed.paths = paths.into_iter().map(str::to_owned).collect();
    Ok(committed)
}

fn ended(note: Option<note::Note>) -> Result<(), GitError> {
    note.map_or(Ok(()), note::Note::end)
        .map_err(GitError::Unrecorded)
}

/// Of what was written: what is committed, what of that git does not know yet, and what is left out.
type Sorted<'w> = (Vec<&'w str>, Vec<&'w str>, Vec<Reported>);

fn sorted<'w>(root: &Path, before: &Before, written: &'w [String]) -> Result<Sorted<'w>, GitError> {
    let mut left_out = Vec::new();
    let (dirty, clean): (Vec<&str>, Vec<&str>) = written
        .iter()
        .map(String::as_str)
        .partition(|path| before.dirty.contains(*path));
    let leave = |path: &str, why: &str| Reported {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let had = |path: &&str| leave(path, "had changes that were not committed");
    left_out.extend(dirty.iter().map(had));
    let words = [
        "--no-optional-locks",
        "--literal-pathspecs",
        "ls-files",
        "-z",
    ];
    let tracked: HashSet<String> = asked(root, &words, &clean)?.into_iter().collect();
    let is_tracked = |path: &&str| tracked.contains(*path);
    let (mut paths, untracked): (Vec<&str>, Vec<&str>) = clean.into_iter().partition(is_tracked);
    let there = |path: &&str| root.join(path).symlink_metadata().is_ok();
    let new: Vec<&str> = untracked.into_iter().filter(there).collect();
    let ignored = ignored(root, &new)?;
    let (ignored, new): (Vec<&str>, Vec<&str>) =
        new.into_iter().partition(|path| ignored.contains(*path));
    let is_ignored = |path: &&str| leave(path, "is ignored by git");
    left_out.extend(ignored.iter().map(is_ignored));
    paths.extend(&new);
    paths.sort_unstable();
    Ok((paths, new, left_out))
}

const FROM_STDIN: &str = "--pathspec-from-file=-";
const NUL: &str = "--pathspec-file-nul";

/// Takes paths that were announced out of the index again: those that are in it and neither in HEAD
/// nor, by somebody (a hook) who really added them since, in what is to be committed.
fn forget(root: &Path, new: &[&str], patience: &Waiting<'_>) -> Result<(), GitError> {
    if new.is_empty() {
        return Ok(());
    }
    let known = |words: &[&str]| -> Result<HashSet<String>, GitError> {
        let words = [&["--no-optional-locks", "--literal-pathspecs"], words].concat();
        Ok(asked(root, &words, new)?.into_iter().collect())
    };
    let in_index = known(&["ls-files", "-z"])?;
    let added = known(&["diff", "--cached", "--name-only", "--relative", "-z"])?;
    let head = run(root, &["rev-parse", "--verify", "--quiet", "HEAD"], &[])?;
    let committed = match head.status.success() {
        true => known(&["ls-tree", "-z", "--name-only", "HEAD"])?,
        false => HashSet::new(),
    };
    let is_announced = |path: &&str| {
        in_index.contains(*path) && !added.contains(*path) && !committed.contains(*path)
    };
    let ours: Vec<&str> = new.iter().copied().filter(is_announced).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let words = ["update-index", "--force-remove", "-z", "--stdin"];
    refused_unless(&patiently(root, &words, &listed(&ours), patience)?)
}

fn ignored(root: &Path, paths: &[&str]) -> Result<HashSet<String>, GitError> {
    if paths.is_empty() {
        return Ok(HashSet::new());
    }
    let output = run(root, &["check-ignore", "-z", "--stdin"], &listed(paths))?;
    // 1: none of them is.
    if output.status.code() != Some(1) {
        refused_unless(&output)?;
    }
    Ok(entries(&output).into_iter().collect())
}

/// The entries that git prints for `paths`, asked for a part of them at a time.
fn asked(root: &Path, words: &[&str], paths: &[&str]) -> Result<Vec<String>, GitError> {
    let mut found = Vec::new();
    let mut rest = paths;
    while !rest.is_empty() {
        let mut length = 0;
        let fitting = rest.iter().take_while(|path| {
            length += path.len() + 1;
            length < ARGUMENTS_MAX
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        let all = [words, &["--"], now].concat();
        let output = run(root, &all, &[])?;
        refused_unless(&output)?;
        found.extend(entries(&output));
        rest = later;
    }
    Ok(found)
}

fn entries(output: &Output) -> Vec<String> {
    output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| String::from_utf8_lossy(entry).into_owned())
        .collect()
}

fn listed(paths: &[&str]) -> Vec<u8> {
    paths
        .iter()
        .flat_map(|path| [path.as_bytes(), b"\0"].concat())
        .collect()
}

fn refused_unless(output: &Output) -> Result<(), GitError> {
    if output.status.success() {
        return Ok(());
    }
    Err(GitError::Refused { said: said(output) })
}

fn said(output: &Output) -> String {
    let streams = [&output.stdout, &output.stderr];
    let texts = streams.map(|stream| String::from_utf8_lossy(stream).trim_end().to_owned());
    let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
    texts.join("\n")
}

/// Runs git again for as long as somebody else has the lock of the index or of a branch.
fn patiently(
    root: &Path,
    words: &[&str],
    input: &[u8],
    patience: &Waiting<'_>,
) -> Result<Output, GitError> {
    let mut sleep = FIRST_SLEEP;
    // Bounded by the patience.
    loop {
        let output = run(root, words, input)?;
        let Some(lock) = locked(&output) else {
            return Ok(output);
        };
        let left = patience.patience.left();
        if left.is_some_and(|left| left.is_zero()) || patience.cancel.is_set() {
            return Err(GitError::Locked(lock));
        }
        let limit = left.map_or(sleep, |left| left.min(sleep));
        // Readable means cancelled, which the next round sees.
        wait::readable(&[patience.cancel.as_fd()], limit)
            .map_err(|error| GitError::NoGit(io::Error::other(error)))?;
        sleep = (sleep * 2).min(LONGEST_SLEEP);
    }
}

/// The line in which git names a lock that somebody else has. The file's name is in it whatever the
/// language is.
fn locked(output: &Output) -> Option<String> {
    if output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .find(|line| line.contains(".lock'") && line.contains("File exists"))?;
    Some(
        line.trim_start_matches("fatal: ")
            .trim_end_matches('.')
            .to_owned(),
    )
}

/// Runs git in `root` to its end.
fn run(root: &Path, words: &[&str], input: &[u8]) -> Result<Output, GitError> {
    let mut command = Command::new("git");
    command
        .args(words)
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in SCRUBBED {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(GitError::NoGit)?;
    let stdin = child.stdin.take();
    // Written beside the reading: either pipe may be full.
    let output = std::thread::scope(|scope| {
        let feed = std::thread::Builder::new()
            .name("git input".to_owned())
            .spawn_scoped(scope, move || {
                if let Some(mut stdin) = stdin {
                    // Who reads no input has no use for it.
                    drop(stdin.write_all(input));
                }
            });
        let output = child.wait_with_output();
        feed.and(output)
    });
    output.map_err(GitError::NoGit)
}

/// The message of a commit that nobody wrote one for: the plan, and the paths.
pub fn message(plan: &str, paths: &[&str]) -> String {
    const SHOWN: usize = 50;
    let noun = if paths.len() == 1 { "file" } else { "files" };
    let mut text = match paths {
        [one] => format!("{plan}: {one}\n"),
        _ => format!("{plan}: {} {noun}\n", paths.len()),
    };
    if paths.len() > 1 {
        for path in paths.iter().take(SHOWN) {
            text.push_str("\n- ");
            text.push_str(path);
        }
        if paths.len() > SHOWN {
            write!(text, "\n- and {} more", paths.len() - SHOWN).ok();
        }
        text.push('\n');
    }
    text
}
