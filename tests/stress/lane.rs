//! One lane: commands drawn at random, one process after the other.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use plandex::platform::process;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::support::Sandbox;
use crate::{BRANCHES, PLANS};

/// No command waits longer than ten seconds, and nobody is stopped for longer than two.
const HANGS: Duration = Duration::from_secs(60);

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Tell,
    Load,
    Apply,
    Exec,
    ExecRead,
    Diff,
    Look,
    Stop,
    Doctor,
}

/// One command that was run, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    pub(crate) plan: &'static str,
    pub(crate) branch: &'static str,
    /// A word that no other operation has.
    pub(crate) token: String,
    /// Of a tell: the file it edits.
    pub(crate) path: String,
    pub(crate) shown: String,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stderr: String,
    /// What the adversary did to it.
    pub(crate) blows: Vec<Signal>,
    pub(crate) took: Duration,
    pub(crate) hung: bool,
}

impl Operation {
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.code == Some(0)
    }
}

/// A process that runs now.
pub(crate) struct Live {
    pid: Pid,
    blows: Vec<Signal>,
}

/// The process that a lane runs now, for the adversary.
#[derive(Default)]
pub(crate) struct Lane {
    live: Mutex<Option<Live>>,
}

impl Lane {
    /// Sends the lane's process a signal, if it runs one; the process that was hit.
    pub(crate) fn hit(&self, signal: Signal) -> Option<Pid> {
        let mut live = self.live.lock();
        let live = live.as_mut()?;
        rustix::process::kill_process(live.pid, signal).ok()?;
        live.blows.push(signal);
        Some(live.pid)
    }

    /// Continues the process `pid` if the lane still runs it.
    pub(crate) fn wake(&self, pid: Pid) {
        let live = self.live.lock();
        if live.as_ref().is_some_and(|live| live.pid == pid) {
            rustix::process::kill_process(pid, Signal::CONT).ok();
        }
    }

    /// Runs commands until it is over.
    pub(crate) fn run(
        &self,
        sandbox: &Sandbox,
        number: usize,
        seed: u64,
        over: &AtomicBool,
    ) -> Vec<Operation> {
        let mut rng = StdRng::seed_from_u64(seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9));
        let mut done = Vec::new();
        while !over.load(Ordering::SeqCst) {
            let token = format!("t{number}x{}", done.len());
            let (operation, arguments) = draw(sandbox, &mut rng, number, token);
            done.push(self.finish(sandbox, number, operation, &arguments));
        }
        done
    }

    fn finish(
        &self,
        sandbox: &Sandbox,
        number: usize,
        mut operation: Operation,
        arguments: &[String],
    ) -> Operation {
        let io = sandbox.place().join("io");
        let (out, err) = (
            io.join(format!("lane{number}.out")),
            io.join(format!("lane{number}.err")),
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_plandex"));
        command.args(arguments).current_dir(sandbox.root());
        command.env("PLANDEX_ACTOR", format!("lane {number}"));
        sandbox.isolate(&mut command);
        command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap());
        let begun = Instant::now();
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        *self.live.lock() = Some(Live {
            pid,
            blows: Vec::new(),
        });
        operation.hung = !has_ended(pid, HANGS);
        if operation.hung {
            let state = process::stat(child.id()).map_or('?', |stat| stat.state);
            eprintln!("hangs in state {state}: plandex {}", arguments.join(" "));
            child.kill().unwrap();
        }
        // Not reaped before the adversary can no longer reach it: its pid is its own until then.
        operation.blows = self
            .live
            .lock()
            .take()
            .map(|live| live.blows)
            .unwrap_or_default();
        let status = child.wait().unwrap();
        use std::os::unix::process::ExitStatusExt as _;
        operation.code = status.code();
        operation.signal = status.signal();
        operation.took = begun.elapsed();
        operation.shown = arguments.join(" ");
        operation.stderr = String::from_utf8_lossy(&std::fs::read(&err).unwrap()).into_owned();
        operation
    }
}

fn has_ended(pid: Pid, limit: Duration) -> bool {
    let watch = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let until = Instant::now() + limit;
    while Instant::now() < until {
        let mut fds = [PollFd::new(&watch, PollFlags::IN)];
        let slice = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        if rustix::event::poll(&mut fds, Some(&slice)).unwrap_or(0) > 0 {
            return true;
        }
    }
    false
}

/// Where the commands of `exec` on a plan write when they enter and leave.
pub(crate) fn ledger(sandbox: &Sandbox, plan: &str) -> PathBuf {
    sandbox.place().join(format!("{plan}.ledger"))
}

/// Enters, works a little, leaves; each line one write at the end of the file.
const WORK: &str = "printf '%s\\n' \"enter $2\" >>\"$1\"; sleep \"$3\"; \
                    printf '%s\\n' \"leave $2\" >>\"$1\"";

/// Draws a command and its arguments.
fn draw(
    sandbox: &Sandbox,
    rng: &mut StdRng,
    lane: usize,
    token: String,
) -> (Operation, Vec<String>) {
    let operation = Operation {
        kind: draw_kind(rng),
        plan: PLANS[rng.random_range(0..PLANS.len())],
        branch: BRANCHES[rng.random_range(0..BRANCHES.len())],
        token,
        path: String::new(),
        shown: String::new(),
        code: None,
        signal: None,
        stderr: String::new(),
        blows: Vec::new(),
        took: Duration::ZERO,
        hung: false,
    };
    let path = format!("{}-{}/lane{lane}.txt", operation.plan, operation.branch);
    let operation = Operation { path, ..operation };
    let patience = match rng.random_range(0..10) {
        0 => "--no-wait",
        1 => "--wait=200ms",
        _ => "--wait=10s",
    };
    let mut arguments = vec![
        "--plan",
        operation.plan,
        "--branch",
        operation.branch,
        patience,
    ];
    let drawn = draw_command(sandbox, rng, lane, &operation);
    arguments.extend(drawn.iter().map(String::as_str));
    let arguments = arguments.into_iter().map(str::to_owned).collect();
    (operation, arguments)
}

fn draw_kind(rng: &mut StdRng) -> Kind {
    match rng.random_range(0..100) {
        0..32 => Kind::Tell,
        32..42 => Kind::Load,
        42..52 => Kind::Apply,
        52..64 => Kind::Exec,
        64..80 => Kind::ExecRead,
        80..84 => Kind::Diff,
        84..94 => Kind::Look,
        94..97 => Kind::Stop,
        _ => Kind::Doctor,
    }
}

/// Draws the command's own words.
fn draw_command(
    sandbox: &Sandbox,
    rng: &mut StdRng,
    lane: usize,
    operation: &Operation,
) -> Vec<String> {
    let Operation {
        kind,
        plan,
        branch,
        token,
        path,
        ..
    } = operation;
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    match kind {
        Kind::Tell => {
            let text = format!("I write {path}.\n\n```txt:{path}\n{token}\n```\n");
            let reply = sandbox.write_beside(&format!("reply{lane}.md"), &text);
            words(&["tell", token, "--reply", reply.to_str().unwrap()])
        }
        Kind::Load if rng.random_range(0..4) == 0 => words(&["load", "--note", token]),
        Kind::Load => words(&["load", &format!("src/file{lane}.rs")]),
        Kind::Apply => words(&["apply", "--yes"]),
        Kind::Exec | Kind::ExecRead => {
            let (how, scope) = match (kind, rng.random_range(0..4)) {
                (Kind::Exec, _) => (["exec"].as_slice(), "w".to_owned()),
                (_, 0) => (["exec", "--read", "--root"].as_slice(), "root".to_owned()),
                _ => (["exec", "--read"].as_slice(), format!("r:{branch}")),
            };
            let pause = format!("0.0{:02}", rng.random_range(0..30));
            let file = ledger(sandbox, plan);
            let line = format!("{scope} {token}");
            let shell = [
                "--",
                "sh",
                "-c",
                WORK,
                "sh",
                file.to_str().unwrap(),
                &line,
                &pause,
            ];
            words(&[how, &shell].concat())
        }
        Kind::Diff => words(&["diff"]),
        Kind::Look => {
            let looks = [
                "status", "ps", "locks", "plans", "convo", "log", "ls", "branches",
            ];
            words(&[looks[rng.random_range(0..looks.len())], "--json"])
        }
        Kind::Stop => words(&["stop"]),
        Kind::Doctor => words(&["doctor", "--fix", "--json"]),
    }
}
