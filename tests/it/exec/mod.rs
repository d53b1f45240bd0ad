//! `plandex exec`: any program under the lock, and nothing of it after the lock is gone.

mod ends;
mod loss;
mod many;
mod refused;
mod signals;
mod surroundings;
mod terminal;
mod trees;

use crate::support::{Background, Sandbox};

pub(crate) use crate::queue::{
    SOON, audited, error_type, holds, is_free, project, quick_project, raw, suspend, waits, writer,
};

/// What a shell does that waits for its trap: in short steps, because a signal that comes just before
/// a step begins is heeded after it. It ends with its sandbox.
const IDLE: &str = "while :; do sleep 0.05; done";

/// An `exec` of `sh -c script` with its standard input held open, which has said "ready".
fn ready<'s>(sandbox: &'s Sandbox, script: &str) -> Background<'s> {
    let run = sandbox.plandex(["exec", "--", "sh", "-c", script]);
    let command = run.held_stdin().start();
    command.until_says("ready");
    command
}

/// What the test asks of processes whose number it does not know: each has a shared lock on
/// this file, by a descriptor that it inherits. The kernel says when the last of them is gone.
struct Marked {
    path: String,
}

impl Marked {
    fn new(sandbox: &Sandbox) -> Self {
        let path = sandbox.write_beside("marked", "");
        let path = path.to_str().unwrap().to_owned();
        Self { path }
    }

    /// What a script begins with so that it, and all that it starts, is marked.
    fn prelude(&self) -> String {
        format!("exec 9<{} && flock -s 9 || exit 90; ", self.path)
    }

    /// Whether nothing that is marked lives.
    fn all_gone(&self) -> bool {
        use plandex::platform::file_lock::{self, Attempt};
        let file = std::fs::File::open(&self.path).unwrap();
        file_lock::try_exclusive(&file).unwrap() == Attempt::Locked
    }

    /// The next one in line: it fails unless nothing that is marked lives when it has its turn.
    #[track_caller]
    fn next_finds_all_gone(&self, sandbox: &Sandbox) {
        let run = sandbox.plandex(["exec", "--wait", "20s", "--", "flock", "-n", "-E", "33"]);
        run.args([self.path.as_str(), "true"]).finish().ok();
        is_free(sandbox);
    }
}

/// The numbers that `process` has printed, one a line, once there are `count` of them.
fn pids(sandbox: &Sandbox, process: &Background<'_>, count: usize) -> Vec<u32> {
    sandbox.until("the processes have said their pids", || {
        let said = process.stdout();
        let pids: Vec<u32> = said
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect();
        (pids.len() == count && said.ends_with('\n')).then_some(pids)
    })
}

/// The kernel's letter for the state of `pid`; a process that is gone, or dead and not waited for
/// yet, has none.
fn state(pid: u32) -> Option<char> {
    let state = plandex::platform::process::stat(pid)?.state;
    (state != 'Z').then_some(state)
}
