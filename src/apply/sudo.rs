//! Paths that this user may not write, written through sudo: one command a path.
//!
//! The one hard rule: sudo is given a content, a name and a directory that it already stands in,
//! nothing that a shell or a link could make into something else. What is there is looked at before
//! and after; what it had is kept first.
//!
//! There is no swap here: between the look and the command nobody but the system decides. A path
//! is therefore judged by what it has in the end, also after a kill: the new content, the old one,
//! or neither, which is reported with where the old one is kept.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::content::{self, Content};
use super::journal::{self, Journal, dirs, existing, is_to_move};
use super::{
    Applied, ApplyError, Classified, Commit, Contents, Decision, Turn, is_of_one_path, stage,
    words, write,
};
use crate::platform::cancel::Cancel;
use crate::platform::crash::crash_point;
use crate::platform::root::{Descent, Dir, Opened, Spot, copy_attributes, split};
use crate::store::Store;
use crate::store::applies::{self, ApplyFile, FileState, SlotPlace, State};
use crate::store::tickets::WritePermit;

/// So much of what sudo said is told.
const SAID_MAX: usize = 300;

/// Writes the changes of `decision` through sudo, each by a command of its own; one that fails
/// leaves the others alone.
pub(super) fn apply(
    store: &Store,
    permit: &WritePermit,
    turn: &Turn,
    decision: &Decision,
    contents: &Contents<'_>,
    commit: &mut Commit<'_>,
    cancel: &Cancel,
) -> Result<Applied> {
    let mut changes: Vec<&Classified> = decision.write.iter().chain(&decision.already).collect();
    // A file that is moved is at its new place before it goes from its old one.
    changes.sort_by_key(|one| one.change.target_hash.is_none());
    if changes.is_empty() {
        return Ok(Applied {
            skipped: decision.skip.iter().map(super::decide::reported).collect(),
            ..Applied::default()
        });
    }
    let mut journal = stage::open_by_sudo(store, permit, turn, &changes)?;
    let id = journal.apply.id.clone();
    let staged = stage_all(&mut journal, &changes, contents)
        .and_then(|()| store.write(permit, |tx| applies::start_writing(tx, &id, &journal.files)));
    if let Err(error) = staged {
        journal.abandon()?;
        drop(store.write(permit, |tx| applies::finish(tx, &id, State::Undone)));
        return Err(error);
    }
    journal.apply.state = State::Writing;
    for (index, one) in changes.iter().enumerate() {
        journal.fail_halves();
        if journal.files[index].state != FileState::Planned {
            continue;
        }
        let (state, error) = match cancel.reason() {
            Some(_) => (
                FileState::Failed,
                Some("was not tried: cancelled".to_owned()),
            ),
            None => write_one(&journal, index, one)
                .with_context(|| format!("writing {} through sudo", one.change.path))?,
        };
        let file = &mut journal.files[index];
        (file.state, file.error) = (state, error);
    }
    journal.sync_dirs()?;
    let in_place: Vec<String> = journal
        .files
        .iter()
        .filter(|file| file.state == FileState::Written)
        .map(|file| file.change_id.clone())
        .collect();
    decide(&mut journal)?;
    let applied = write::applied(&journal, decision);
    if in_place.is_empty() {
        store.write(permit, |tx| applies::finish(tx, &id, State::Undone))?;
        return match cancel.reason() {
            Some(reason) => Err(ApplyError::Cancelled(reason).into()),
            None => Ok(applied),
        };
    }
    commit(&id, &in_place)
        .context("the files are written; the plan follows with its next operation")?;
    Ok(applied)
}

/// Whether an apply is one through sudo.
pub(super) fn is_by_sudo(journal: &Journal<'_>) -> bool {
    let by_sudo = |file: &ApplyFile| file.slot == SlotPlace::Sudo;
    journal.files.iter().any(by_sudo)
}

/// Ends one that was left: each path is what it is.
pub(super) fn judge(journal: &mut Journal<'_>) -> Result<()> {
    for index in 0..journal.files.len() {
        let file = &journal.files[index];
        if file.state == FileState::Planned {
            let seen = match journal.at_place(file) {
                Err(error) if is_of_one_path(&error) => (FileState::Left, Some(words(&error))),
                content => became(journal, file, &content?),
            };
            let file = &mut journal.files[index];
            (file.state, file.error) = seen;
        }
    }
    journal.sync_dirs()?;
    decide(journal)
}

/// Records what became of every path.
fn decide(journal: &mut Journal<'_>) -> Result<()> {
    let is_written = |file: &ApplyFile| file.state == FileState::Written;
    let state = match journal.files.iter().any(is_written) {
        true => State::FilesDone,
        false => State::FilesUndone,
    };
    journal.decide(state)?;
    journal.clear_private();
    Ok(())
}

fn became(journal: &Journal<'_>, file: &ApplyFile, now: &Content) -> (FileState, Option<String>) {
    if now.is(file.target_hash.as_deref()) {
        (FileState::Written, None)
    } else if now.is(file.base_hash.as_deref()) {
        (FileState::Failed, Some("was not written".to_owned()))
    } else {
        let why = match file.base_hash {
            Some(_) => journal.kept_original(file, "has neither its old content nor its new one"),
            None => "was made by somebody else".to_owned(),
        };
        (FileState::Left, Some(why))
    }
}

/// Puts every new content where sudo takes it from, and keeps every old one.
fn stage_all(
    journal: &mut Journal<'_>,
    changes: &[&Classified],
    contents: &Contents<'_>,
) -> Result<()> {
    let private = stage::make_private(journal)
        .map_err(|error| stage::named(journal, error, "the new files"))?;
    journal.private = Some(private);
    for (index, one) in changes.iter().enumerate() {
        let file = &journal.files[index];
        if !is_to_move(file) {
            continue;
        }
        let bytes = stage::new_content(journal, one, contents)?;
        match stage_one(journal, file, bytes.as_deref()) {
            Ok(()) => {}
            Err(error) if is_of_one_path(&error) => {
                let file = &mut journal.files[index];
                (file.state, file.error) = (FileState::Failed, Some(words(&error)));
            }
            Err(error) => return Err(stage::named(journal, error, &one.change.path)),
        }
    }
    if let Some(private) = &journal.private {
        private.sync().context("syncing the apply's directory")?;
    }
    Ok(())
}

fn stage_one(journal: &Journal<'_>, file: &ApplyFile, bytes: Option<&[u8]>) -> io::Result<()> {
    if let (Some(bytes), Some(given)) = (bytes, journal.slot(file)?) {
        let mut given = given.create(0o600)?;
        given.write_all(bytes)?;
        stage::sync_file(&given)?;
    }
    if file.base_hash.is_some()
        && let Some(kept) = journal.private_spot(file)
        && let Descent::Open(place) = journal.root.spot(&file.path)?
        && let Opened::File(mut original, _) = place.open()?
    {
        let mut copy = kept.create(0o600)?;
        content::hash(&mut original, &mut copy)?;
        copy_attributes(&original, &copy)?;
        stage::sync_file(&copy)?;
    }
    Ok(())
}

/// Writes one path, after a last look at it, and looks at what it has then.
fn write_one(
    journal: &Journal<'_>,
    index: usize,
    one: &Classified,
) -> Result<(FileState, Option<String>)> {
    let file = &journal.files[index];
    if !journal.at_place(file)?.is(file.base_hash.as_deref()) {
        return Ok((FileState::Left, Some("was changed".to_owned())));
    }
    // The directory is held open, and the command stands in it: no name leads there a second time.
    let Some((below, dir)) = nearest(journal, file)? else {
        return Ok((FileState::Left, Some("was moved".to_owned())));
    };
    let command = arguments(journal, file, one, &below, &dir)?;
    crash_point("sudo.before");
    let said = run(&command, &dir);
    crash_point("sudo.after");
    let now = journal.at_place(file)?;
    let (state, why) = became(journal, file, &now);
    Ok(match (state, said) {
        (FileState::Written, _) => (state, None),
        (state, Err(error)) if state == FileState::Failed => (state, Some(error)),
        other => (other.0, why),
    })
}

/// The deepest directory of a path that is there, and the rest of the path below it.
fn nearest(
    journal: &Journal<'_>,
    file: &ApplyFile,
) -> io::Result<Option<(String, std::sync::Arc<Dir>)>> {
    let dir = dirs(&file.path)[existing(file)];
    Ok(match journal.root.dir(dir)? {
        Descent::Open(opened) => {
            let rest = file.path[dir.len()..].trim_start_matches('/');
            Some((format!("./{rest}"), opened))
        }
        Descent::Missing | Descent::Refused(_) => None,
    })
}

/// `install` for a new content, `rm` for a deletion; the mode and the owner are those of the file
/// that is replaced, or was moved, else of what is usual in that directory.
fn arguments(
    journal: &Journal<'_>,
    file: &ApplyFile,
    one: &Classified,
    to: &str,
    dir: &Dir,
) -> Result<Vec<OsString>> {
    if one.change.target_hash.is_none() {
        return Ok(["rm", "-f", "--", to].map(OsString::from).into());
    }
    let given = journal::applies_dir(journal.store)
        .join(&journal.apply.id)
        .join(format!("{}.new", file.number));
    let looked = facts(journal, one)?;
    let (mode, owner, group) = match looked {
        Some(facts) => facts,
        None => {
            let (owner, group) = dir.owner()?;
            (0o644, owner, group)
        }
    };
    let mode = match one.change.executable {
        Some(true) => mode | ((mode & 0o444) >> 2),
        Some(false) => mode & !0o111,
        None => mode,
    };
    let mut command: Vec<OsString> = Vec::new();
    for word in ["install", "-m", &format!("{mode:o}")] {
        command.push(word.into());
    }
    for word in ["-o", &owner.to_string(), "-g", &group.to_string()] {
        command.push(word.into());
    }
    if !split(to.trim_start_matches("./")).0.is_empty() {
        command.push("-D".into());
    }
    for word in ["-T", "--"] {
        command.push(word.into());
    }
    command.push(given.into_os_string());
    command.push(to.into());
    Ok(command)
}

/// Mode, owner and group of the file that a path had, or was moved from.
fn facts(journal: &Journal<'_>, one: &Classified) -> io::Result<Option<(u32, u32, u32)>> {
    let of = |spot: &Spot| -> io::Result<Option<(u32, u32, u32)>> {
        Ok(match spot.open()? {
            Opened::File(file, stamp) => {
                let meta = file.metadata()?;
                Some((stamp.mode & 0o777, meta.uid(), meta.gid()))
            }
            Opened::Other(_) => None,
        })
    };
    for path in [Some(&one.change.path), one.change.moved_from.as_ref()] {
        if let Some(path) = path
            && let Descent::Open(spot) = journal.root.spot(path)?
            && let Some(found) = of(&spot)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Runs `sudo COMMAND…` in `dir`; what it said, if it failed.
fn run(command: &[OsString], dir: &Dir) -> Result<(), String> {
    // The child opens it by our descriptor before that is closed on exec.
    let here = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsFd::as_fd(dir).as_raw_fd()
    );
    let done = Command::new("sudo")
        .args(command)
        .current_dir(Path::new(&here))
        .stdin(Stdio::null())
        .output();
    let done = match done {
        Ok(done) if done.status.success() => return Ok(()),
        Ok(done) => done,
        Err(error) => return Err(format!("sudo cannot be run: {}", words(&error))),
    };
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.trim().replace('\n', "; ");
    let end = said.floor_char_boundary(SAID_MAX.min(said.len()));
    Err(match said.is_empty() {
        true => format!("sudo failed ({})", done.status),
        false => format!("sudo: {}", &said[..end]),
    })
}
