//! A scratch project to measure in, and processes that play a role in it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use plandex::lock::Patience;
use plandex::project::{Project, Session};
use plandex::store::Connections;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::roles::WORD;

/// A git repository with a plan in it.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) plan_id: String,
    pub(crate) quick: bool,
}

impl Place {
    /// Creates a plan; its id.
    pub(crate) fn new_plan(&self, name: &str) -> String {
        let plan = self
            .project()
            .new_plan(name, Patience::Forever, &mut |_| {});
        plan.unwrap().id
    }

    pub(crate) fn new(quick: bool) -> Self {
        // Below target/, which is on a disk where /tmp may not be.
        let dir = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap();
        let mut place = Self {
            dir,
            plan_id: String::new(),
            quick,
        };
        std::fs::create_dir_all(place.root().join("src")).unwrap();
        for number in 0..10 {
            let path = place.root().join(format!("src/file{number}.rs"));
            std::fs::write(path, "fn main() {}\n".repeat(20)).unwrap();
        }
        place.git(&["init", "--quiet", "--initial-branch", "main"]);
        place.git(&["add", "--all"]);
        place.git(&["commit", "--quiet", "--message", "start"]);
        place.plan_id = place.new_plan("bench");
        place
    }

    /// `many` samples, or a fifth of them where a quick look is wanted.
    pub(crate) fn count(&self, many: usize) -> usize {
        if self.quick { many.div_ceil(5) } else { many }
    }

    /// `long`, or a fifth of it where a quick look is wanted.
    pub(crate) fn span(&self, long: Duration) -> Duration {
        if self.quick { long / 5 } else { long }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root().join(".plandex")
    }

    /// A file that is not the project's.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The project, through the library.
    pub(crate) fn project(&self) -> Arc<Project> {
        let place = plandex::project::Place {
            root: self.root(),
            dir: self.state_dir(),
        };
        let session = Session {
            plan: None,
            branch: None,
            terminal: None,
            actor: "bench".to_owned(),
            command: "bench".to_owned(),
            lock_token: None,
            connections: Connections::One,
            repairs: &[],
        };
        Project::create(&place, session).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let status = self.command("git").args(arguments).status().unwrap();
        assert!(status.success(), "git {arguments:?}");
    }

    /// A program in the project, with nothing of the user's settings, silent.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "bench")
            .env("GIT_AUTHOR_EMAIL", "bench@localhost")
            .env("GIT_COMMITTER_NAME", "bench")
            .env("GIT_COMMITTER_EMAIL", "bench@localhost")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The binary, as [`Place::command`].
    pub(crate) fn plandex(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_plandex"))
    }

    /// Starts this program again in a role; it waits for [`Player::go`].
    pub(crate) fn play(&self, role: &str, kind: Kind, plan_id: &str, arguments: &[u64]) -> Player {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([WORD, role, kind.word()])
            .arg(self.dir.path())
            .arg(plan_id)
            .args(arguments.iter().map(u64::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut player = Player {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(player.line(), "ready");
        player
    }

    pub(crate) fn players(
        &self,
        count: usize,
        role: &str,
        kind: Kind,
        arguments: &[u64],
    ) -> Vec<Player> {
        (0..count)
            .map(|_| self.play(role, kind, &self.plan_id, arguments))
            .collect()
    }

    /// Lets `players` go at the same moment, soon; returns that moment and what each printed, line
    /// by line.
    pub(crate) fn together(mut players: Vec<Player>) -> (u64, Vec<Vec<Vec<u64>>>) {
        let start = now() + 100_000_000;
        players.iter_mut().for_each(|player| player.go_at(start));
        (start, players.into_iter().map(Player::numbers).collect())
    }
}

/// What stands for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A ticket.
    Ticket,
    /// A bare flock.
    Flock,
    /// A flock, and rows in SQLite that say who waits for it and who holds it.
    FlockWithRows,
}

const KINDS: [(Kind, &str); 3] = [
    (Kind::Ticket, "ticket"),
    (Kind::Flock, "flock"),
    (Kind::FlockWithRows, "rows"),
];

impl Kind {
    fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).unwrap().1
    }

    pub(crate) fn parse(word: &str) -> Self {
        KINDS.iter().find(|(_, known)| *known == word).unwrap().0
    }
}

/// This program in a role.
pub(crate) struct Player {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Player {
    pub(crate) fn go(&mut self) {
        self.go_at(0);
    }

    /// Lets it begin at a moment of [`now`].
    fn go_at(&mut self, moment: u64) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(format!("{moment}\n").as_bytes()).unwrap();
    }

    /// The next line it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(mut self) {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// All it prints until its end.
    fn numbers(mut self) -> Vec<Vec<u64>> {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        drop(self.stdin.take());
        assert!(self.child.wait().unwrap().success());
        text.lines()
            .map(|line| line.split(' ').map(|word| word.parse().unwrap()).collect())
            .collect()
    }
}

/// Nanoseconds of the clock that all processes share.
pub(crate) fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

/// Sleeps until a moment of [`now`].
pub(crate) fn sleep_until(moment: u64) {
    std::thread::sleep(Duration::from_nanos(moment.saturating_sub(now())));
}

/// Microseconds between two of them.
pub(crate) fn micros(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}

/// Waits until `look` says so: what is measured must first be in place.
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(30);
    while !look() {
        assert!(
            std::time::Instant::now() < end,
            "waited in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether process `pid` sleeps.
pub(crate) fn sleeps(pid: u32) -> bool {
    plandex::platform::process::stat(pid).is_some_and(|stat| stat.state == 'S')
}

pub(crate) fn lock_file(dir: &Path) -> std::fs::File {
    let options = std::fs::File::options().create(true).append(true).clone();
    options.open(dir.join("flock")).unwrap()
}
