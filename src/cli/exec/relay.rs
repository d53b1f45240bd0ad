//! Signals on their way to the command.
//!
//! While there is no command, a signal means us: it ends the wait. While there is one, it means
//! the command, each time it comes, and exec lives for as long as the command does. At a terminal
//! the command hears INT, QUIT and TSTP by itself, because it stays in our process group.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use parking_lot::Mutex;

use crate::cli::operate;
use crate::platform::process::{self, GroupSignal};
use crate::platform::signal::{self, Signal};
use crate::project::Project;

/// All that is listened to. USR1 is not passed on: it asks plandex itself what it waits for.
const HEARD: [Signal; 6] = [
    Signal::Interrupt,
    Signal::Terminate,
    Signal::HangUp,
    Signal::Suspend,
    Signal::Quit,
    Signal::User2,
];

/// How far a signal reaches.
#[derive(Debug)]
pub(super) enum Reach {
    /// To the process group that the command leads.
    Group,
    /// The command is in our own group, with the script that runs us: to the command itself, and
    /// to all that have this owner file open.
    Terminal(PathBuf),
}

#[derive(Debug)]
struct Running {
    pid: u32,
    reach: Reach,
}

/// Where signals go.
pub(super) struct Relay {
    project: Arc<Project>,
    phase: Mutex<Phase>,
}

#[derive(Debug, Default)]
struct Phase {
    running: Option<Running>,
    told_to_end: bool,
}

impl Relay {
    pub(super) fn new(project: &Arc<Project>) -> Self {
        Self {
            project: Arc::clone(project),
            phase: Mutex::default(),
        }
    }

    /// Starts to listen, until the watch is dropped.
    pub(super) fn listen(self: &Arc<Self>) -> Result<signal::Watch> {
        let relay = Arc::clone(self);
        signal::watch_these(&HEARD, move |heard| relay.hear(heard))
    }

    /// The command runs as `pid`, which is not waited for before [`Relay::over`].
    pub(super) fn begin(&self, pid: u32, reach: Reach) {
        self.phase.lock().running = Some(Running { pid, reach });
    }

    /// The command has ended: its pid may soon be another's.
    pub(super) fn over(&self) {
        self.phase.lock().running = None;
    }

    /// Whether a signal that asks for an end was passed on.
    pub(super) fn told_to_end(&self) -> bool {
        self.phase.lock().told_to_end
    }

    /// Sends `signal` to the command, if it runs.
    pub(super) fn pass_on(&self, signal: GroupSignal) {
        let mut phase = self.phase.lock();
        let Some(running) = &phase.running else {
            return;
        };
        match &running.reach {
            Reach::Group => process::signal_group(running.pid, signal),
            Reach::Terminal(owner_path) => {
                process::signal_process(running.pid, signal);
                process::with_open(owner_path)
                    .into_iter()
                    .filter(|pid| *pid != running.pid)
                    .for_each(|pid| process::signal_if_open(pid, owner_path, signal));
            }
        }
        let is_end = !matches!(
            signal,
            GroupSignal::User2 | GroupSignal::Suspend | GroupSignal::Continue
        );
        phase.told_to_end |= is_end;
    }

    fn hear(&self, heard: Signal) {
        let on_terminal = match &self.phase.lock().running {
            None => return operate::heed(&self.project, heard),
            Some(running) => matches!(running.reach, Reach::Terminal(_)),
        };
        match heard {
            // The terminal sent it to the command too.
            Signal::Interrupt | Signal::Quit if on_terminal => {}
            Signal::Interrupt => self.pass_on(GroupSignal::Interrupt),
            Signal::Quit => self.pass_on(GroupSignal::Quit),
            Signal::Terminate => self.pass_on(GroupSignal::Terminate),
            Signal::HangUp => self.pass_on(GroupSignal::HangUp),
            Signal::User2 => self.pass_on(GroupSignal::User2),
            Signal::Suspend => {
                if !on_terminal {
                    self.pass_on(GroupSignal::Suspend);
                }
                operate::heed(&self.project, heard);
                // Awake again. At a terminal the shell woke the whole group already.
                self.pass_on(GroupSignal::Continue);
            }
        }
    }
}
