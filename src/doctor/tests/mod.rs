//! Doctor on projects that are really damaged: every issue type is made, found, mended or honestly
//! left.

mod database;
mod json;
mod locks;
mod looking;
mod repositories;
mod text;
mod work;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::{Fixed, Issue, Kind, Options, Recovery, Report, Severity, examine, fix};
use crate::lock::{Patience, operation};
use crate::platform::cancel::Cancel;
use crate::platform::{clock, file, file_lock, process};
use crate::project::{Place, Project, Repair, Session, Turn};
use crate::store::branches::{self, Branch, Status};
use crate::store::plans::Plan;
use crate::store::tickets::{self, NewTicket, OnConflict, Placed, Scope, WritePermit};
use crate::store::{Connections, Store};
use crate::workers::{Params, exec_repo_operation};

/// A project of its own with one plan, "demo".
struct Sandbox {
    home: tempfile::TempDir,
    place: Place,
    plan: Plan,
}

impl Sandbox {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("project");
        let dir = root.join(".plandex");
        std::fs::create_dir_all(root.join(".git")).unwrap();
        put(&root.join(".git/HEAD"), b"ref: refs/heads/trunk\n");
        let place = Place { root, dir };
        let project = Project::create(&place, session()).unwrap();
        let plan = project
            .new_plan("demo", Patience::Forever, &mut |_| {})
            .unwrap();
        Self { home, place, plan }
    }

    fn project(&self) -> Arc<Project> {
        Project::open(&self.place, session()).unwrap()
    }

    fn store(&self) -> Store {
        Store::open(&self.place.dir, Connections::One).unwrap()
    }

    fn examine(&self) -> Report {
        examine(&self.place, &Options::default()).unwrap()
    }

    fn fix(&self, report: &Report) -> Fixed {
        self.fix_with(report, &[])
    }

    fn fix_with(&self, report: &Report, recoveries: &[Recovery]) -> Fixed {
        fix(&self.project(), report, recoveries)
    }

    /// Damages rows from outside, as a person with another program would.
    fn sql(&self, sql: &str) {
        let database = rusqlite::Connection::open(self.path("plandex.db")).unwrap();
        database.busy_timeout(Duration::from_secs(5)).unwrap();
        database.execute_batch(sql).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.dir.join(name)
    }

    fn repo(&self) -> PathBuf {
        self.path(&format!("plans/{}.git", self.plan.id))
    }

    fn branch(&self) -> Branch {
        let store = self.store();
        let found = store.read(|tx| branches::by_name(tx, &self.plan.id, "main"));
        found.unwrap().unwrap()
    }

    /// Does `work` under the plan's write ticket.
    fn write(
        &self,
        work: impl FnOnce(&WritePermit, &Turn<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let params = Params {
            plan_id: self.plan.id.clone(),
            branch: None,
            operation: operation::TELL,
            patience: Patience::within(Duration::from_secs(30)),
            cancel: Cancel::new().unwrap(),
            on_wait: Box::new(|_| {}),
        };
        exec_repo_operation(&self.project(), params, work)
    }

    /// Leaves the status that a run has which dies while its reply comes in.
    fn leave_replying(&self) {
        let branch = self.branch();
        self.write(move |permit, turn| {
            let store = &turn.project.store;
            store.write(permit, |tx| {
                branches::set_status(tx, &branch.id, Status::Replying, None)
            })
        })
        .unwrap();
    }

    /// Puts a ticket of `owner` in line, which nobody works under.
    fn ticket(&self, owner: &tickets::Owner, scope: Scope) -> i64 {
        let new = NewTicket {
            plan_id: self.plan.id.clone(),
            scope,
            branch: (scope == Scope::Read).then(|| "main".to_owned()),
            reason: operation::TELL.reason().to_owned(),
            doorbell: String::new(),
            owner: owner.clone(),
            token: None,
            hold_token: String::new(),
        };
        let placed = self.store().tickets(Duration::from_secs(5), |tx| {
            if scope == Scope::Write {
                let placed = tickets::place::<WritePermit>(tx, &new, OnConflict::Queue)?;
                Ok(number(&placed))
            } else {
                let placed = tickets::place::<tickets::ReadPermit>(tx, &new, OnConflict::Queue)?;
                Ok(number(&placed))
            }
        });
        placed.unwrap()
    }

    fn tickets(&self) -> Vec<i64> {
        let all = self.store().read(tickets::all).unwrap();
        all.into_iter().map(|ticket| ticket.id).collect()
    }
}

fn number<P: tickets::Permit>(placed: &Placed<P>) -> i64 {
    match placed {
        Placed::Held(permit) => permit.proof().ticket(),
        Placed::Waiting(ticket) => *ticket,
        Placed::QueueFull(_) | Placed::Conflict | Placed::WriteBelowRead(_) => panic!("refused"),
    }
}

/// A living owner that does nothing: its file is locked by a descriptor that no process of the
/// lock room knows.
struct Living {
    row: tickets::Owner,
    _locked: File,
}

impl Living {
    fn new(sandbox: &Sandbox) -> Self {
        let id = crate::store::new_id();
        let file = file::open_private(&sandbox.path("owners").join(&id)).unwrap();
        file_lock::exclusive(&file).unwrap();
        let pid = std::process::id();
        let row = tickets::Owner {
            id,
            pid,
            pid_ns: clock::namespace("pid"),
            process_start: process::stat(pid).unwrap().start_ticks,
            host: process::host(),
            command: "plandex tell".to_owned(),
            ..tickets::Owner::default()
        };
        Self { row, _locked: file }
    }
}

/// What the rooms above mend on a grant: here, the status alone.
const REPAIRS: &[Repair] = &[set_interrupted, work::settle_applies];

fn set_interrupted(turn: &Turn<'_>, permit: &WritePermit) -> Result<Vec<String>> {
    let store = &turn.project.store;
    let of_plan = store.read(|tx| branches::of_plan(tx, turn.plan_id))?;
    let mut lines = Vec::new();
    for branch in of_plan.iter().filter(|branch| branch.status.claims_work()) {
        store.write(permit, |tx| {
            branches::set_status(tx, &branch.id, Status::Interrupted, None)
        })?;
        lines.push(format!("branch {} is interrupted", branch.name));
    }
    Ok(lines)
}

fn session() -> Session {
    Session {
        plan: None,
        branch: None,
        terminal: None,
        actor: String::new(),
        command: "plandex doctor".to_owned(),
        lock_token: None,
        connections: Connections::One,
        repairs: REPAIRS,
    }
}

/// The only issue, which is of `kind` and `severity`.
#[track_caller]
fn only(report: &Report, kind: Kind, severity: Severity) -> &Issue {
    let told = serde_json::to_string_pretty(report).unwrap();
    assert_eq!(report.issues.len(), 1, "{told}");
    let issue = &report.issues[0];
    assert_eq!((issue.kind, issue.severity), (kind, severity), "{told}");
    assert_eq!(report.healthy, severity < Severity::Warning, "{told}");
    assert!(issue.suggestion.is_some(), "{told}");
    issue
}

/// Nothing is wrong at all.
#[track_caller]
fn clean(report: &Report) {
    let told = serde_json::to_string_pretty(report).unwrap();
    assert!(report.healthy && report.issues.is_empty(), "{told}");
}

#[track_caller]
fn check<'r>(report: &'r Report, name: &str) -> &'r super::Check {
    let found = report.checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no check {name}: {:?}", report.checks))
}

fn put(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Makes `path` look as if it had been left an hour ago.
fn age(path: &Path) {
    let hour_ago = std::time::UNIX_EPOCH
        + Duration::from_millis(u64::try_from(clock::wall_ms()).unwrap())
        - Duration::from_secs(3600);
    let times = std::fs::FileTimes::new().set_modified(hour_ago);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// A process of another program that has `path` open until it is told something or ended.
fn holding(path: &Path) -> std::process::Child {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};
    let mut other = Command::new("sh")
        .args(["-c", "exec 3<\"$1\"; echo open; read answer", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = other.stdout.as_mut().unwrap();
    std::io::BufReader::new(out).read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    other
}
