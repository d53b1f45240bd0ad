//! Errors into words, hints and exit codes: the only place.

mod runs;

use anyhow::Error;
use serde::Serialize;

use super::args::Global;
use super::context::Halt;
use super::exec::ExecError;
use super::exit::ExitCode;
use super::session::{Cli, SCHEMA_VERSION};
use super::waiting::{ConcurrencyError, PlanDeleted, Refused};
use crate::apply::ApplyError;
use crate::config::{self, Environment};
use crate::context::{ContextError, SelectorError};
use crate::lock::{LockError, RetryReason};
use crate::plan::rewind::NoTarget;
use crate::platform::cancel::Reason;
use crate::platform::panic::Panicked;
use crate::project::backup::RestoreError;
use crate::project::{ProjectError, SelectError};
use crate::store::StoreError;
use crate::store::settings::SettingError;
use crate::ui::{Ui, UiSettings};

pub(super) use runs::run_ended;

/// The next command after a panic.
const PANICKED: &str = "this is a mistake in plandex; nothing half done was kept, and \
    `PLANDEX_LOG=queue` shows where it happened";

/// Bad input found by a command itself.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct UsageError {
    message: String,
    hint: Option<String>,
}

impl UsageError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

/// There was nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("{what} needs a confirmation, and there is no terminal to ask on")]
pub(super) struct Unasked {
    pub(super) what: &'static str,
    pub(super) hint: &'static str,
}

/// Whoever was asked for something gave nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct CalledOff(pub(super) String);

/// What an error means to whoever called.
struct Verdict {
    code: ExitCode,
    /// The stable word in JSON.
    kind: &'static str,
    hint: Option<String>,
}

impl Verdict {
    fn new(code: ExitCode, kind: &'static str, hint: &str) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self { code, kind, hint }
    }
}

/// clap's own words, on its own stream; with `--json` their first sentence.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help goes to a pager's closed pipe as often as not: that is no failure.
        error.print().ok();
        return ExitCode::Done;
    }
    if config::has_word("--json") {
        let text = error.to_string();
        let said = text.split("\n\n").next().unwrap_or_default();
        let said = said.trim_start_matches("error: ").split_whitespace();
        let message = said.collect::<Vec<_>>().join(" ");
        return early_json(&UsageError::new(message, "see `plandex --help`").into());
    }
    error.print().ok();
    ExitCode::Usage
}

/// An error before there is a command.
pub(super) fn early(error: &Error, global: &Global) -> ExitCode {
    if global.json {
        return early_json(error);
    }
    // What is wrong may be the environment.
    let environment = Environment::read().unwrap_or_default();
    let ui = Ui::new(&UiSettings::new(&environment));
    ui.error(format!("{error:#}"));
    ExitCode::Usage
}

fn early_json(error: &Error) -> ExitCode {
    let verdict = Verdict {
        code: ExitCode::Usage,
        kind: "usage",
        hint: error
            .downcast_ref::<UsageError>()
            .and_then(|usage| usage.hint.clone()),
    };
    let environment = Environment::default();
    let ui = Ui::new(&UiSettings {
        json: true,
        ..UiSettings::new(&environment)
    });
    ui.json_error(&document(error, &verdict));
    verdict.code
}

/// Prints an error with its next command; returns the exit code it has.
pub(super) fn error(cli: &Cli, error: &Error) -> ExitCode {
    error_called(cli, error, ExitCode::NotAcquired)
}

/// As [`error`], with a code of the caller's for "not acquired".
pub(super) fn error_called(cli: &Cli, error: &Error, not_acquired: ExitCode) -> ExitCode {
    let verdict = judge(error);
    if error.is::<Panicked>() {
        cli.note_panic();
    }
    let code = if verdict.code == ExitCode::NotAcquired {
        not_acquired
    } else {
        verdict.code
    };
    let refused = error.downcast_ref::<Refused>();
    if cli.ui.is_quiet() && verdict.code == ExitCode::NotAcquired && code == ExitCode::Command(0) {
        // The caller called it a success, and wants to hear of errors only.
    } else if cli.json {
        let mut document = document(error, &verdict);
        document.exit_code = code.code();
        cli.ui.json_error(&document);
    } else if let Some(text) = refused.and_then(|refused| refused.given_up(cli, error)) {
        cli.ui.refusal(text);
    } else {
        cli.ui.error(words(error));
        if let Some(hint) = &verdict.hint {
            cli.ui.hint(hint.clone());
        }
    }
    code
}

/// An error as it is kept for somebody who comes later.
pub(super) struct Summary {
    pub(super) code: ExitCode,
    pub(super) kind: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What [`error`] would print.
pub(super) fn summary(error: &Error) -> Summary {
    let verdict = judge(error);
    Summary {
        code: verdict.code,
        kind: verdict.kind,
        message: words(error),
        hint: verdict.hint,
    }
}

/// The chain of causes as one line, after it how a lock came to be lost; a cause that only repeats
/// its effect is left out.
fn words(error: &Error) -> String {
    let refused = error.downcast_ref::<Refused>();
    let explained = refused.and_then(|refused| refused.explained(error));
    let mut line = String::new();
    for text in error.chain().map(ToString::to_string).chain(explained) {
        // What an error was about has no words of its own.
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

fn judge(error: &Error) -> Verdict {
    let declined = ExitCode::Declined;
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        return Verdict {
            code: ExitCode::Usage,
            kind: "usage",
            hint: usage.hint.clone(),
        };
    }
    let own = error
        .downcast_ref()
        .map(restore)
        .or_else(|| error.downcast_ref().map(no_target))
        .or_else(|| error.downcast_ref().map(selector))
        .or_else(|| error.downcast_ref().map(|halt: &Halt| from(halt.verdict())));
    if let Some(verdict) = own {
        return verdict;
    }
    if let Some(unasked) = error.downcast_ref::<Unasked>() {
        return Verdict::new(declined, "unconfirmed", unasked.hint);
    }
    if error.is::<CalledOff>() {
        return Verdict::new(declined, "declined", "");
    }
    if error.is::<Panicked>() {
        return Verdict::new(ExitCode::Failed, "panicked", PANICKED);
    }
    if error.is::<PlanDeleted>() {
        let hint = "list the plans with `plandex plans`";
        return Verdict::new(ExitCode::Failed, "plan_deleted", hint);
    }
    let found = error
        .downcast_ref()
        .map(lock)
        .or_else(|| error.downcast_ref().map(store))
        .or_else(|| error.downcast_ref().map(project))
        .or_else(|| error.downcast_ref().map(select))
        .or_else(|| error.downcast_ref().map(runs::model))
        .or_else(|| error.downcast_ref().map(runs::tell))
        .or_else(|| error.downcast_ref().map(runs::too_long))
        .or_else(|| error.downcast_ref().map(runs::no_images))
        .or_else(|| error.downcast_ref().map(apply))
        .or_else(|| {
            error
                .downcast_ref()
                .map(|e| from(super::apply::not_undoable(e)))
        })
        .or_else(|| error.downcast_ref().map(|e| from(super::apply::unknown(e))))
        .or_else(|| error.downcast_ref().map(|e| from(super::apply::git(e))))
        .or_else(|| error.downcast_ref().map(setting))
        .or_else(|| error.downcast_ref().map(exec))
        .or_else(|| error.downcast_ref().map(context));
    found.unwrap_or_else(|| Verdict::new(ExitCode::Failed, "failed", machine(error)))
}

fn restore(error: &RestoreError) -> Verdict {
    from(match error {
        RestoreError::Exists(_) => (ExitCode::Usage, "exists", "`--force` moves it aside first"),
        RestoreError::Busy(_) => {
            let hint = "`plandex ps`, `plandex stop`; nothing was changed";
            (ExitCode::NotAcquired, "busy", hint)
        }
        RestoreError::Damaged { .. } => {
            let hint = "another backup; nothing was changed";
            (ExitCode::Failed, "damaged", hint)
        }
    })
}

fn no_target(_: &NoTarget) -> Verdict {
    let hint = "`plandex log` lists the versions; nothing was changed";
    Verdict::new(ExitCode::Usage, "no_version", hint)
}

fn selector(_: &SelectorError) -> Verdict {
    let hint = "list what is loaded with `plandex ls`; nothing was changed";
    Verdict::new(ExitCode::Usage, "usage", hint)
}

/// The next command after a refusal of the machine itself.
fn machine(error: &Error) -> &'static str {
    use std::io::ErrorKind as K;
    let kind = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    match kind {
        Some(K::StorageFull | K::QuotaExceeded) => {
            "free some space, then run the command again; nothing that was reported is lost"
        }
        Some(K::ReadOnlyFilesystem | K::PermissionDenied) => {
            "make it writable, then run the command again"
        }
        Some(_) => "look with `plandex doctor`",
        None => "",
    }
}

fn lock(error: &LockError) -> Verdict {
    let (code, kind, hint) = match error {
        LockError::Timeout { .. } => (ExitCode::NotAcquired, "lock_timeout", ""),
        LockError::Conflict { .. } => (
            ExitCode::NotAcquired,
            "lock_conflict",
            "nothing was changed; wait for it with `--wait 30s`, or look with `plandex status`",
        ),
        LockError::QueueFull { .. } => (
            ExitCode::NotAcquired,
            "queue_full",
            "nothing was changed; try again later, or look with `plandex locks`",
        ),
        LockError::Cancelled(reason) => (ExitCode::from(*reason), "cancelled", ""),
        LockError::Deadlock { .. } => (
            ExitCode::NotAcquired,
            "deadlock",
            "nothing was changed; take the plans in the same order everywhere, then try again",
        ),
        LockError::RetryEnded {
            reason: None,
            why: RetryReason::Deadlock,
            ..
        } => (
            ExitCode::NotAcquired,
            "deadlock",
            "nothing was changed; take the plans in the same order everywhere, then try again",
        ),
        LockError::Spent { .. } | LockError::RetryEnded { reason: None, .. } => (
            ExitCode::NotAcquired,
            "lock_timeout",
            "nothing was changed; try again, or look with `plandex doctor`",
        ),
        LockError::RetryEnded {
            reason: Some(reason),
            ..
        } => (ExitCode::from(*reason), "cancelled", ""),
        LockError::WriteBelowRead { .. } => (
            ExitCode::Usage,
            "write_below_read",
            "run the outer command without `--read`",
        ),
        LockError::Removed => (
            ExitCode::Failed,
            "removed",
            "nothing was changed; look with `plandex status`, then try again",
        ),
    };
    Verdict::new(code, kind, hint)
}

fn store(error: &StoreError) -> Verdict {
    let (code, kind, hint) = match error {
        StoreError::Missing(_) => (
            ExitCode::Failed,
            "no_project",
            "create one with `plandex new`",
        ),
        StoreError::TooNew { .. } => (
            ExitCode::Unsafe,
            "too_new",
            "use the plandex that wrote it, or a newer one",
        ),
        StoreError::OldSqlite(_) | StoreError::ForeignOwner { .. } => (
            ExitCode::Unsafe,
            "unsafe",
            "run `plandex doctor` for the details",
        ),
        StoreError::UnsafeFileSystem { .. } => (
            ExitCode::Unsafe,
            "unsafe_file_system",
            "set PLANDEX_DIR to a directory on a local disk, then `plandex new`",
        ),
        StoreError::LockLost { .. } => (
            ExitCode::LockLost,
            "heartbeat_lost",
            "look with `plandex status` before you try again",
        ),
        StoreError::Busy(_) => (
            ExitCode::NotAcquired,
            "lock_timeout",
            "nothing was changed; try again, or look with `plandex doctor`",
        ),
        StoreError::Damaged { .. } => (
            ExitCode::Failed,
            "damaged",
            "the plans' versions are in .plandex/plans; run `plandex doctor` for what is left",
        ),
        StoreError::Full(_) => (
            ExitCode::Failed,
            "disk_full",
            "free some space, then run `plandex doctor`",
        ),
        StoreError::Replaced(_) | StoreError::Failed(_) => (
            ExitCode::Failed,
            "failed",
            "run `plandex doctor`, then try again",
        ),
    };
    Verdict::new(code, kind, hint)
}

fn project(error: &ProjectError) -> Verdict {
    let hint = match error {
        ProjectError::NotFound(_) | ProjectError::NotAtDir(_) => "create one with `plandex new`",
        ProjectError::BadPlace { .. } => "go to a directory of your own, then `plandex new`",
    };
    Verdict::new(ExitCode::Failed, "no_project", hint)
}

fn select(error: &SelectError) -> Verdict {
    let (kind, hint) = match error {
        SelectError::Deleted { .. } => (
            "no_plan",
            "choose another with `plandex cd NAME`, or get it back with `plandex undelete NAME`",
        ),
        SelectError::BranchGone { .. } => {
            ("no_branch", "choose another with `plandex checkout NAME`")
        }
        SelectError::Nothing => ("no_plan", "`plandex new`, or `plandex cd NAME`"),
        SelectError::Taken(_) => ("taken", "choose another name, or `plandex cd NAME`"),
        SelectError::NoPlan(_) => ("no_plan", "list them with `plandex plans`"),
        SelectError::NoBranch(_) => ("no_branch", "list them with `plandex branches`"),
        SelectError::Ambiguous { .. } => ("ambiguous", "give more of the name"),
    };
    Verdict::new(ExitCode::Usage, kind, hint)
}

fn apply(error: &ApplyError) -> Verdict {
    from(super::apply::verdict(error))
}

fn from((code, kind, hint): (ExitCode, &'static str, &'static str)) -> Verdict {
    Verdict::new(code, kind, hint)
}

fn setting(error: &SettingError) -> Verdict {
    match error {
        SettingError::LeaseTooShort => {
            let hint = "see both with `plandex config`; change the other one first";
            Verdict::new(ExitCode::Usage, "usage", hint)
        }
        SettingError::InUse(_) => {
            let hint = "nothing was changed; look with `plandex locks`, then try again";
            Verdict::new(ExitCode::NotAcquired, "in_use", hint)
        }
    }
}

fn exec(error: &ExecError) -> Verdict {
    match error {
        ExecError::NotFound(_) => Verdict::new(ExitCode::NotFound, "not_found", ""),
        ExecError::CannotRun(_) => Verdict::new(ExitCode::CannotRun, "cannot_run", ""),
    }
}

fn context(error: &ContextError) -> Verdict {
    let hint = super::context::hint(error);
    Verdict::new(ExitCode::Usage, "usage", hint)
}

/// An error as JSON on stderr; a lock's carries what ConcurrencyError has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    r#type: &'static str,
    message: String,
    exit_code: u8,
    safe_to_retry: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(flatten)]
    concurrency: Option<ConcurrencyError>,
}

fn document(error: &Error, verdict: &Verdict) -> Document {
    let is_safe = verdict.code == ExitCode::NotAcquired;
    let refused = error.downcast_ref::<Refused>();
    Document {
        schema_version: SCHEMA_VERSION,
        r#type: verdict.kind,
        message: words(error),
        exit_code: verdict.code.code(),
        safe_to_retry: is_safe,
        hint: verdict.hint.clone(),
        concurrency: refused.map(|refused| refused.document(error, is_safe)),
    }
}

/// How a command that was called off ends.
pub(super) fn stopped(reason: Reason) -> ExitCode {
    ExitCode::from(reason)
}
