//! One plan and its line: who holds it, who waits for it.

use std::time::Duration;

use plandex::store::tickets::State;

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
