//! One plan and its line: who holds it, who waits for it.

use std::time::Duration;

use plandex::platform::file_lock::{self, Attempt};
use plandex::store::tickets::State;
use rustix::process::{Pid, Signal, kill_process};

use super::{Background, Sandbox};

/// Much longer than anything takes that is waited for, much shorter than a lease of 60 s.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A project with the plan "work".
pub(crate) fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "--name", "work"]);
    sandbox
}

/// A connection of the test's own, for what no plandex would do.
pub(crate) fn raw(sandbox: &Sandbox) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

/// The ticket of `process` once it is held, and not just granted.
pub(crate) fn holds(sandbox: &Sandbox, process: &Background<'_>) -> i64 {
    until_state(sandbox, process.pid(), State::Held)
}

/// The ticket of `process` once it waits in line.
pub(crate) fn waits(sandbox: &Sandbox, process: &Background<'_>) -> i64 {
    until_state(sandbox, process.pid(), State::Waiting)
}

/// The ticket of process `pid` once it is in `state`.
pub(crate) fn until_state(sandbox: &Sandbox, pid: u32, state: State) -> i64 {
    let what = format!("the ticket of pid {pid} is {}", state.word());
    let line = sandbox.until_queue(&what, |line| {
        line.iter()
            .any(|ticket| ticket.pid == pid && ticket.state == state)
    });
    let ticket = line.iter().find(|ticket| ticket.pid == pid);
    ticket.map_or(0, |ticket| ticket.id)
}

/// Stops `process` at a moment when it is in no transaction: one that is stopped inside the gate
/// keeps everybody out, which is another story.
pub(crate) fn suspend(sandbox: &Sandbox, process: &Background<'_>) {
    sandbox.until("it stands still outside the gate", || {
        process.stop();
        if gate_is_free(sandbox) {
            return Some(());
        }
        process.cont();
        None
    });
}

fn gate_is_free(sandbox: &Sandbox) -> bool {
    let gate = std::fs::File::open(sandbox.state_dir().join("write.lock")).unwrap();
    file_lock::try_exclusive(&gate).unwrap() == Attempt::Locked
}

/// Why nothing is suspended.
pub(crate) enum Awake {
    /// No process can be traced here.
    Untraceable,
    /// Its heart was beating at that moment: it would keep everybody out, which is another story.
    Beating,
}

/// Runs `test` in one project after the other until its process was not [`Awake::Beating`].
macro_rules! suspending {
    ($test:expr) => {
        for tries in 0.. {
            match $test() {
                Ok(()) => break,
                Err($crate::support::Awake::Beating) => assert!(tries < 20, "beating each time"),
                Err($crate::support::Awake::Untraceable) => {
                    $crate::support::skip!("processes cannot be traced here");
                }
            }
        }
    };
}

pub(crate) use suspending;

/// `plandex ARGS…` that holds the plan and is suspended at the first of these system `calls`: its
/// tracer, and its own process to be woken.
pub(crate) fn suspended_at<'s>(
    sandbox: &'s Sandbox,
    calls: &str,
    args: &[&str],
) -> Result<(Background<'s>, Pid), Awake> {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:signal=SIGSTOP:when=1");
    let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let plandex = [env!("CARGO_BIN_EXE_plandex")];
    let run = sandbox.program("strace", [&strace[..], &plandex, args].concat());
    let tracer = run.start();
    let pid = sandbox.until("it holds the plan", || {
        if tracer.stderr().contains("PTRACE") {
            return Some(None);
        }
        let line = sandbox.tickets();
        let held = line.iter().find(|ticket| ticket.state == State::Held);
        held.map(|ticket| Pid::from_raw(ticket.pid.cast_signed()))
    });
    let pid = pid.ok_or(Awake::Untraceable)?;
    sandbox.until("it stands still", || {
        let stat = plandex::platform::process::stat(pid.as_raw_nonzero().get().cast_unsigned())?;
        matches!(stat.state, 'T' | 't').then_some(())
    });
    if gate_is_free(sandbox) {
        return Ok((tracer, pid));
    }
    kill_process(pid, Signal::KILL).unwrap();
    Err(Awake::Beating)
}
