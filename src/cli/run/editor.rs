//! A prompt that is written in an editor, because none was given and somebody sits at a terminal.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

use super::super::report::{CalledOff, UsageError};
use super::super::session::Cli;
use crate::lock::owner::TOKEN_VARIABLE;
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::process::{self, GroupSignal};
use crate::platform::signal::{self, Signal};
use crate::platform::{detached, file};
use crate::project::Project;

/// The next command when there is no editor.
const NAME_ONE: &str = "set PLANDEX_EDITOR, `plandex set-config --user editor …`, VISUAL or EDITOR; or \
    `plandex tell \"what to do\"`";

/// What was written, and the file that it was written in: removed when this is dropped.
pub(super) struct Written {
    pub(super) text: String,
    file: NamedTempFile,
}

impl Written {
    /// Keeps the file although the command failed; returns where it is, if that could be done.
    pub(super) fn keep(self) -> Option<PathBuf> {
        self.file.keep().ok().map(|(_, path)| path)
    }
}

/// Opens the editor on an empty file and waits for it. Fails with [`CalledOff`] if nothing was
/// written, or if the editor says that it failed.
pub(super) fn write(cli: &Cli, project: &Project) -> Result<Written> {
    let settings = cli.settings(project)?;
    let (line, _) = cli.environment.editor(settings.editor.as_deref());
    let file = new_file(cli, project)?;
    let status = run(cli, &line, file.path())?;
    // Editors replace the file: what is at the path now was written.
    let read = std::fs::read_to_string(file.path());
    match status.code() {
        Some(126 | 127) => {
            let words = format!("the editor `{line}` cannot be run");
            return Err(UsageError::new(words, NAME_ONE).into());
        }
        _ if status.success() => {}
        code => {
            let how = code.map_or_else(
                || {
                    format!(
                        "was ended by signal {}",
                        status.signal().unwrap_or_default()
                    )
                },
                |code| format!("exited with {code}"),
            );
            return Err(CalledOff(format!("the editor `{line}` {how}: nothing was asked")).into());
        }
    }
    let text = read.with_context(|| format!("reading the prompt {}", file.path().display()))?;
    if text.trim().is_empty() {
        return Err(CalledOff("the prompt is empty: nothing was asked".to_owned()).into());
    }
    Ok(Written { text, file })
}

/// A file of this user's alone, in no directory of the project: there it would be one of its files.
fn new_file(cli: &Cli, project: &Project) -> Result<NamedTempFile> {
    let usual = tempfile::env::temp_dir();
    let others = ["/tmp", "/var/tmp"].map(PathBuf::from);
    let home = cli.environment.home.clone();
    let places: Vec<PathBuf> = std::iter::once(usual.clone())
        .chain(others)
        .chain(home)
        .collect();
    let root = project
        .root
        .canonicalize()
        .unwrap_or_else(|_| project.root.clone());
    let is_outside = |dir: &&PathBuf| {
        let dir = dir.canonicalize();
        dir.is_ok_and(|dir| dir.is_dir() && !dir.starts_with(&root))
    };
    let dir = places.iter().find(is_outside).unwrap_or(&usual);
    let mut file = tempfile::Builder::new()
        .prefix("plandex-prompt-")
        .suffix(".md")
        .tempfile_in(dir)
        .with_context(|| format!("making a file for the prompt in {}", dir.display()))?;
    // tempfile makes it 0600; said once more, because what is asked is nobody else's.
    file.flush()?;
    file::make_private(file.path())?;
    Ok(file)
}

/// Runs the editor on the terminal. Ctrl-C is the editor's own; whoever ends plandex ends it, too.
fn run(cli: &Cli, line: &str, path: &Path) -> Result<ExitStatus> {
    let cancel = Cancel::new()?;
    let editor = Arc::new(AtomicU32::new(0));
    let (heard, pid) = (cancel.clone(), Arc::clone(&editor));
    let end = move |reason| {
        heard.set(reason);
        match pid.load(Ordering::SeqCst) {
            0 => {}
            pid => process::signal_process(pid, GroupSignal::Terminate),
        }
    };
    let signals = signal::watch(move |signal| match signal {
        Signal::Interrupt | Signal::Quit | Signal::User2 => {}
        Signal::Terminate => end(Reason::Terminated),
        Signal::HangUp => end(Reason::HungUp),
        Signal::Suspend => signal::stop_self(),
    })?;
    detached::hand_down_nothing();
    let mut child = Command::new("/bin/sh")
        // As git does: the line is the shell's, the file one word behind it.
        .args(["-c", &format!("{line} \"$@\""), line])
        .arg(path)
        .current_dir(&cli.cwd)
        // It takes part in nobody's turn.
        .env_remove(TOKEN_VARIABLE)
        .spawn()
        .with_context(|| format!("starting the editor `{line}`"))?;
    editor.store(child.id(), Ordering::SeqCst);
    let status = child.wait().context("waiting for the editor")?;
    editor.store(0, Ordering::SeqCst);
    drop(signals);
    match cancel.reason() {
        Some(reason) => Err(crate::lock::LockError::Cancelled(reason).into()),
        None => Ok(status),
    }
}
