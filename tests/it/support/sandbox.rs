//! One test's world: a project that is a git repository, a home, and nothing of the user's own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use plandex::store::settings::{self, Intervals};
use plandex::store::tickets::{self, Ticket};
use plandex::store::{Connections, Store};
use tempfile::TempDir;

use super::process::{Background, Outcome, Run};
use super::watchdog::{LIMIT, Roll, Watchdog, poll};

/// The variable that marks every process started in a sandbox.
const MARK: &str = "IT_SANDBOX";

/// The heartbeat and lease of a quickened project.
pub(crate) const QUICK: Intervals = Intervals {
    heartbeat: Duration::from_millis(60),
    lease: Duration::from_millis(600),
};

pub(crate) struct Sandbox {
    place: TempDir,
    root: PathBuf,
    roll: Arc<Roll>,
    _watchdog: Watchdog,
}

impl Sandbox {
    /// A git repository with a few source files in it.
    pub(crate) fn new() -> Self {
        let sandbox = Self::without_git();
        sandbox.write("README.md", "# Scratch\n\nA project to try things on.\n");
        sandbox.write(".gitignore", "/target\n");
        sandbox.write(
            "src/main.rs",
            "fn main() {\n    println!(\"{}\", scratch::greeting());\n}\n",
        );
        sandbox.write(
            "src/lib.rs",
            "pub fn greeting() -> &'static str {\n    \"hello\"\n}\n",
        );
        sandbox.git(&["init", "--quiet", "--initial-branch", "main"]);
        sandbox.git(&["add", "--all"]);
        sandbox.git(&["commit", "--quiet", "--message", "start"]);
        sandbox
    }

    /// An empty directory.
    pub(crate) fn without_git() -> Self {
        Self::with_limit(LIMIT)
    }

    /// An empty directory, for a test that may take up to `limit`.
    pub(crate) fn with_limit(limit: Duration) -> Self {
        // Not below this repository: a project is looked for upward from where one stands.
        Self::below(&std::env::temp_dir(), limit)
    }

    /// An empty directory in memory where the system has such a place: for a test of so many
    /// operations that it would measure the disk and nothing else.
    pub(crate) fn in_memory(limit: Duration) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            Self::below(memory, limit)
        } else {
            Self::with_limit(limit)
        }
    }

    fn below(parent: &Path, limit: Duration) -> Self {
        let place = tempfile::Builder::new()
            .prefix("plandex-it-")
            .tempdir_in(parent)
            .unwrap();
        let root = place.path().join("project");
        for dir in ["project", "home", "tmp", "io"] {
            std::fs::create_dir(place.path().join(dir)).unwrap();
        }
        let roll = Arc::new(Roll::default());
        let watchdog = Watchdog::start(Arc::clone(&roll), root.join(".plandex"), limit);
        Self {
            place,
            root,
            roll,
            _watchdog: watchdog,
        }
    }

    /// The project's root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory that everything of this sandbox is in; for what must lie outside the project.
    pub(crate) fn place(&self) -> &Path {
        self.place.path()
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root.join(".plandex")
    }

    /// Writes a file of the project.
    #[track_caller]
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes a file beside the project: a reply, a prompt.
    #[track_caller]
    pub(crate) fn write_beside(&self, name: &str, content: &str) -> PathBuf {
        let path = self.place().join("tmp").join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Reads a file of the project.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        match std::fs::read_to_string(self.root.join(path)) {
            Ok(text) => text,
            Err(error) => panic!("cannot read {path}: {error}"),
        }
    }

    /// `plandex ARGS…`, not started yet.
    pub(crate) fn plandex<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Run<'_> {
        let binary = OsStr::new(env!("CARGO_BIN_EXE_plandex"));
        Run::new(self, binary, "plandex").args(args)
    }

    /// Any other program, not started yet.
    pub(crate) fn program<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Run<'_> {
        Run::new(self, OsStr::new(name), name).args(args)
    }

    /// Runs `plandex ARGS…` to its end.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        self.plandex(args).finish()
    }

    /// Runs `plandex ARGS…`, which must exit 0.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> Outcome {
        self.run(args).ok()
    }

    /// Starts `plandex ARGS…`.
    #[track_caller]
    pub(crate) fn start(&self, args: &[&str]) -> Background<'_> {
        self.plandex(args).start()
    }

    /// Runs git in the project; it must succeed. Returns its stdout.
    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.program("git", args).finish().ok().stdout
    }

    /// The database, opened through the library. The test process has no other handle on it: no
    /// file of it may ever be opened by anything but SQLite.
    #[track_caller]
    pub(crate) fn store(&self) -> Store {
        Store::open(&self.state_dir(), Connections::One).unwrap()
    }

    /// Makes heartbeats and leases short, so that a test sees a lease end within a second.
    #[track_caller]
    pub(crate) fn quicken(&self) {
        let store = self.store();
        store
            .choose(Duration::from_secs(5), |tx| {
                settings::set_intervals(tx, QUICK)
            })
            .unwrap();
    }

    /// All tickets of all plans.
    #[track_caller]
    pub(crate) fn tickets(&self) -> Vec<Ticket> {
        self.store().read(tickets::all).unwrap()
    }

    /// Waits until the queue is as `is_so` says.
    #[track_caller]
    pub(crate) fn until_queue(&self, what: &str, is_so: impl Fn(&[Ticket]) -> bool) -> Vec<Ticket> {
        let store = self.store();
        self.until(what, || {
            let line = store.read(tickets::all).unwrap();
            is_so(&line).then_some(line)
        })
    }

    /// Asks `look` again and again until it answers, and fails with everybody's output if it
    /// does not.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let answer = poll(LIMIT, || {
            let answer = look();
            if answer.is_none() && self.roll.is_overdue() {
                return Some(None);
            }
            answer.map(Some)
        });
        match answer.flatten() {
            Some(answer) => answer,
            None => panic!("waited in vain until {what}\n{}", self.report()),
        }
    }

    /// Every process that was started, with what it printed, and the queue.
    pub(crate) fn report(&self) -> String {
        self.roll.report(&self.state_dir())
    }

    /// The whole database as text, ids and times redacted.
    #[track_caller]
    pub(crate) fn dump(&self) -> String {
        super::dump(&self.state_dir())
    }

    pub(super) fn roll(&self) -> &Roll {
        &self.roll
    }

    /// Gives a command this sandbox's environment and nothing of the user's.
    pub(crate) fn isolate(&self, command: &mut Command) {
        let given: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned)))
            .collect();
        command.env_clear();
        let home = self.place().join("home");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env("PATH", path)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_STATE_HOME", home.join(".state"))
            .env("TMPDIR", self.place().join("tmp"))
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("TERM", "dumb")
            .env("RUST_BACKTRACE", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "Somebody")
            .env("GIT_AUTHOR_EMAIL", "somebody@localhost")
            .env("GIT_COMMITTER_NAME", "Somebody")
            .env("GIT_COMMITTER_EMAIL", "somebody@localhost")
            .env(MARK, self.place());
        for (name, value) in given {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }

    /// Keeps everything on disk when the sandbox is gone; returns where it is.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.place.disable_cleanup(true);
        self.place().to_owned()
    }

    /// What of this sandbox's own is redacted in texts that are compared.
    pub(super) fn redactions(&self) -> Vec<(String, &'static str)> {
        vec![
            (self.root.to_string_lossy().into_owned(), "[ROOT]"),
            (self.place().to_string_lossy().into_owned(), "[PLACE]"),
        ]
    }

    /// Kills what was started in this sandbox and is in no process group of ours any more.
    fn kill_strays(&self) {
        let mark = format!("{MARK}={}", self.place().display());
        let Ok(processes) = std::fs::read_dir("/proc") else {
            return;
        };
        for entry in processes.flatten() {
            let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let marked = environment
                .split(|byte| *byte == 0)
                .any(|pair| pair == mark.as_bytes());
            if marked && let Some(pid) = rustix::process::Pid::from_raw(pid) {
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            }
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.roll.kill_all();
        self.kill_strays();
        if std::thread::panicking() {
            eprintln!("all processes of the test:\n{}", self.report());
        }
    }
}
