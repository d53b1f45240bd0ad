//! Programs as a person runs them: what goes in, what comes out, how it ended.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::sandbox::Sandbox;
use super::terminal::{self, OnTerminal};
use super::watchdog::{LIMIT, Started, poll};

/// What the program reads.
enum Stdin {
    Nothing,
    Text(String),
    Held,
}

/// A program about to be started in a sandbox.
#[must_use]
pub(crate) struct Run<'s> {
    sandbox: &'s Sandbox,
    command: Command,
    shown: String,
    stdin: Stdin,
    /// The program's end of a terminal, which is then all three of its streams.
    terminal: Option<OwnedFd>,
}

impl<'s> Run<'s> {
    pub(super) fn new(sandbox: &'s Sandbox, program: &OsStr, shown: &str) -> Self {
        let mut command = Command::new(program);
        command.current_dir(sandbox.root());
        Self {
            sandbox,
            command,
            shown: shown.to_owned(),
            stdin: Stdin::Nothing,
            terminal: None,
        }
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            self.shown.push(' ');
            self.shown.push_str(&quoted(arg.as_ref()));
            self.command.arg(arg);
        }
        self
    }

    /// Sets a variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it in another directory than the project's root.
    pub(crate) fn cwd(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives it `text` to read, through a pipe, and then the end.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = Stdin::Text(text.to_owned());
        self
    }

    /// Gives it a pipe that stays open until [`Background::close_stdin`].
    pub(crate) fn held_stdin(mut self) -> Self {
        self.stdin = Stdin::Held;
        self
    }

    /// Starts it as the leader of a session on a terminal of its own, `columns` wide.
    #[track_caller]
    pub(crate) fn on_terminal(mut self, columns: u16) -> OnTerminal<'s> {
        let (ours, theirs) = terminal::pair(columns);
        self.terminal = Some(theirs);
        if !self.command.get_envs().any(|(name, _)| name == "TERM") {
            self.command.env("TERM", "xterm-256color");
        }
        OnTerminal::new(self.start(), ours, columns)
    }

    /// Starts it and returns at once.
    #[track_caller]
    pub(crate) fn start(mut self) -> Background<'s> {
        heed_signals();
        let number = self.sandbox.roll().count() + 1;
        let io = self.sandbox.place().join("io");
        let (stdout, stderr) = (
            io.join(format!("{number}.out")),
            io.join(format!("{number}.err")),
        );
        self.sandbox.isolate(&mut self.command);
        self.command
            .stdout(std::fs::File::create(&stdout).unwrap())
            .stderr(std::fs::File::create(&stderr).unwrap())
            .stdin(match self.stdin {
                Stdin::Nothing => Stdio::null(),
                Stdin::Text(_) | Stdin::Held => Stdio::piped(),
            });
        match self.terminal.take() {
            Some(tty) => put_on(&mut self.command, tty),
            None => {
                self.command.process_group(0);
            }
        }
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start `{}`: {error}", self.shown),
        };
        let mut stdin = child.stdin.take();
        if let Stdin::Text(text) = self.stdin {
            let mut pipe = stdin.take().expect("it is piped");
            // Its own thread: a program that reads nothing must not hang the test, and one that
            // ends before it has read all is not at fault.
            std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        }
        let started = Started {
            pid: child.id(),
            shown: self.shown,
            stdout,
            stderr,
            ended: false.into(),
        };
        Background {
            sandbox: self.sandbox,
            started: self.sandbox.roll().add(started),
            child,
            stdin,
            status: None,
        }
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn finish(self) -> Outcome {
        self.start().finish()
    }
}

/// Makes `command` the leader of a new session with `tty` as its terminal and all its streams.
#[expect(
    unsafe_code,
    reason = "a session can only be begun between fork and exec"
)]
fn put_on(command: &mut Command, tty: OwnedFd) {
    command
        .stdin(tty.try_clone().unwrap())
        .stdout(tty.try_clone().unwrap())
        .stderr(tty);
    // SAFETY: only system calls that are safe after a fork, on the standard input that is open by
    // then.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(std::io::stdin())?;
            Ok(())
        });
    }
}

/// A program that runs.
#[must_use]
pub(crate) struct Background<'s> {
    sandbox: &'s Sandbox,
    started: Arc<Started>,
    child: Child,
    stdin: Option<ChildStdin>,
    status: Option<ExitStatus>,
}

impl Background<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.started.pid
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        self.sandbox
    }

    pub(super) fn stdout_path(&self) -> &Path {
        &self.started.stdout
    }

    /// Writes to its held-open standard input.
    #[track_caller]
    pub(crate) fn say(&mut self, text: &str) {
        let pipe = self.stdin.as_mut().expect("started with held_stdin()");
        pipe.write_all(text.as_bytes()).unwrap();
        pipe.flush().unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What it has printed to stdout so far.
    pub(crate) fn stdout(&self) -> String {
        lossy(&self.started.stdout)
    }

    /// What it has printed to stderr so far.
    pub(crate) fn stderr(&self) -> String {
        lossy(&self.started.stderr)
    }

    /// Waits until it has said `words` on either stream.
    #[track_caller]
    pub(crate) fn until_says(&self, words: &str) {
        let what = format!("`{}` says {words:?}", self.started.shown);
        self.sandbox.until(&what, || {
            let said = self.stdout().contains(words) || self.stderr().contains(words);
            said.then_some(())
        });
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // A program that ended before the signal came is for the test to find out.
        rustix::process::kill_process(self.id(), signal).ok();
    }

    /// SIGKILL: what no program can prepare for.
    pub(crate) fn kill(self) -> Outcome {
        self.signal(Signal::KILL);
        self.finish()
    }

    /// SIGSTOP, and waits until it has stopped.
    #[track_caller]
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        self.sandbox
            .until(&format!("`{}` stops", self.started.shown), || {
                let stat = plandex::platform::process::stat(self.pid())?;
                matches!(stat.state, 'T' | 't').then_some(())
            });
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.status.is_none() && self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, with standard input closed.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        self.close_stdin();
        self.wait(LIMIT)
    }

    /// Waits for its end, with standard input as it is.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> Outcome {
        if !self.has_ended_within(limit) {
            let report = self.sandbox.report();
            panic!(
                "`{}` has not ended after {limit:?}\n{report}",
                self.started.shown
            );
        }
        let status = self.child.wait().unwrap();
        self.started.ended.store(true, Ordering::SeqCst);
        self.status = Some(status);
        Outcome {
            shown: self.started.shown.clone(),
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
            redact: self.sandbox.redactions(),
        }
    }

    fn has_ended_within(&self, limit: Duration) -> bool {
        if self.status.is_some() {
            return true;
        }
        // Not reaped yet, so the pid is still its own.
        let Ok(watch) = rustix::process::pidfd_open(self.id(), PidfdFlags::empty()) else {
            return true;
        };
        let ended = || {
            let mut fds = [PollFd::new(&watch, PollFlags::IN)];
            let slice = Timespec {
                tv_sec: 0,
                tv_nsec: 100_000_000,
            };
            let heard = rustix::event::poll(&mut fds, Some(&slice)).unwrap_or(0);
            (heard > 0 || self.sandbox.roll().is_overdue()).then_some(())
        };
        poll(limit, ended).is_some()
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap()
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        if self.status.is_none() {
            // The whole group: a test that failed leaves nothing running.
            rustix::process::kill_process_group(self.id(), Signal::KILL).ok();
            self.child.wait().ok();
            self.started.ended.store(true, Ordering::SeqCst);
        }
    }
}

/// How a program ended, and what it printed.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    shown: String,
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    redact: Vec<(String, &'static str)>,
}

impl Outcome {
    /// Fails the test unless it ended with exit code 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    /// Fails the test unless it ended with exit code `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{self}");
        self
    }

    /// Fails the test unless stderr holds `words`.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.stderr.contains(words),
            "{words:?} is not on stderr\n{self}"
        );
        self
    }

    /// The one JSON document on stdout.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_str(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("stdout is not one JSON document: {error}\n{self}"),
        }
    }

    /// Command, stdout, stderr and end as one text, with what differs from run to run redacted:
    /// what a test compares with the words it expects.
    pub(crate) fn text(&self) -> String {
        super::dump::redacted(&self.to_string(), &self.redact)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.shown)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                let end = if text.ends_with('\n') {
                    ""
                } else {
                    "[no newline]\n"
                };
                write!(f, "--- {name}\n{text}{end}")?;
            }
        }
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "--- exit {code}"),
            (None, Some(signal)) => writeln!(f, "--- signal {signal}"),
            (None, None) => writeln!(f, "--- no end"),
        }
    }
}

/// Programs ignore from their start what we ignore, and a harness that a script has put into the
/// background ignores INT and QUIT: with a handler here, they begin with the default.
fn heed_signals() {
    static HEEDED: std::sync::Once = std::sync::Once::new();
    HEEDED.call_once(|| {
        for signal in [Signal::INT, Signal::QUIT, Signal::HUP] {
            // What the signal does to the harness itself stays as it was by default.
            let never = Arc::new(std::sync::atomic::AtomicBool::new(true));
            signal_hook::flag::register_conditional_default(signal.as_raw(), never).unwrap();
        }
    });
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn quoted(arg: &OsStr) -> String {
    let text = arg.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
