//! Signals on their way to the command.
//!
//! While there is no command, a signal means us: it ends the wait. While there is one, it means
//! the command, each time it comes, and exec lives for as long as the command does. At a terminal
//! the command hears INT, QUIT and TSTP by itself, because it stays in our process group.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use parking_lot::Mutex;

use crate::cli::operate;
use crate::platform::process::{self, GroupSignal, Process};
use crate::platform::signal::{self, Signal};
use crate::project::Project;
use crate::ui::Ui;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the process group that the command leads.
    Group,
    /// The command is in our own group, with the script that runs us: to the command, and to each
    /// process that it started.
    Family,
}

/// The command.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) reach: Reach,
    /// What belongs to it.
    pub(super) family: Family,
}

/// How what a command started is found.
#[derive(Debug, Clone)]
pub(super) struct Family {
    /// What it, and all that it starts, has open, and no other command.
    pub(super) path: PathBuf,
    /// Whose descendants belong to it too: this process's, unless it runs other commands beside.
    pub(super) root: u32,
}

impl Family {
    /// Of a command, told by its own `mark`, or else by the owner file.
    pub(super) fn of(mark: Option<&OwnedFd>, owner_path: PathBuf) -> Self {
        let (path, root) = match mark {
            Some(mark) => (process::path_of(mark), process::NOBODY),
            None => (owner_path, std::process::id()),
        };
        Self { path, root }
    }

    /// All that lives of it, and of the processes `known`.
    pub(super) fn members(&self, known: &[Process]) -> Vec<Process> {
        process::family(&self.path, self.root, known)
    }
}

impl Running {
    fn family(&self) -> Vec<Process> {
        self.family.members(&[])
    }
}

/// Where signals go.
pub(super) struct Relay {
    ui: Ui,
    project: Arc<Project>,
    phase: Mutex<Phase>,
}

#[derive(Debug, Default)]
struct Phase {
    running: Option<Running>,
    /// Whether there was a command, and it has ended.
    is_over: bool,
    /// Whom the command had started when it was last told to end.
    told: Option<Vec<Process>>,
}

impl Relay {
    pub(super) fn new(ui: &Ui, project: &Arc<Project>) -> Self {
        Self {
            ui: ui.clone(),
            project: Arc::clone(project),
            phase: Mutex::default(),
        }
    }

    /// Starts to listen, until the watch is dropped.
    pub(super) fn listen(self: &Arc<Self>) -> Result<signal::Watch> {
        let relay = Arc::clone(self);
        signal::watch_these(&HEARD, move |heard| relay.hear(heard))
    }

    /// Starts the command by `start`; its pid is not waited for before [`Relay::over`]. A signal
    /// that comes meanwhile is heard when it is clear whom it means.
    pub(super) fn begin<T>(
        &self,
        start: impl FnOnce() -> Result<(T, Option<Running>)>,
    ) -> Result<T> {
        let mut phase = self.phase.lock();
        let (started, running) = start()?;
        phase.running = running;
        Ok(started)
    }

    /// The command has ended: its pid may soon be another's.
    pub(super) fn over(&self) {
        let mut phase = self.phase.lock();
        phase.running = None;
        phase.is_over = true;
    }

    /// Whom the command had started when it was told to end by a signal; `None` if it was not.
    pub(super) fn told(&self) -> Option<Vec<Process>> {
        self.phase.lock().told.clone()
    }

    /// Sends `signal` to the command, if it runs.
    pub(super) fn pass_on(&self, signal: GroupSignal) {
        let mut phase = self.phase.lock();
        let Some(running) = &phase.running else {
            return;
        };
        let is_end = !matches!(
            signal,
            GroupSignal::User2 | GroupSignal::Suspend | GroupSignal::Continue
        );
        let in_family = running.reach == Reach::Family;
        // Looked at before the signal, which makes orphans.
        let family = if is_end || in_family {
            running.family()
        } else {
            Vec::new()
        };
        if in_family {
            process::signal_process(running.pid, signal);
            let others = family.iter().filter(|process| process.pid != running.pid);
            others.for_each(|process| process.signal(signal));
        } else {
            process::signal_group(running.pid, signal);
        }
        if is_end {
            phase.told.get_or_insert_default().extend(family);
        }
    }

    /// TERM for the whole family of the command, inside its group and outside.
    pub(super) fn end_all(&self) {
        self.pass_on(GroupSignal::Terminate);
        let phase = self.phase.lock();
        let Some(running) = phase.running.as_ref() else {
            return;
        };
        if running.reach == Reach::Group {
            let group = i64::from(running.pid);
            let told = phase.told.iter().flatten();
            told.filter(|process| process.group != group)
                .for_each(|process| process.signal(GroupSignal::Terminate));
        }
    }

    fn hear(&self, heard: Signal) {
        let on_terminal = {
            let phase = self.phase.lock();
            match &phase.running {
                Some(running) => running.reach == Reach::Family,
                // Meant for a command that is over by now; we still have its turn to give back.
                None if phase.is_over && matches!(heard, Signal::User2 | Signal::Quit) => return,
                // Not let go of before: no command starts between the look and the deed.
                None => return operate::heed(&self.ui, &self.project, heard),
            }
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
                operate::heed(&self.ui, &self.project, heard);
                // Awake again. At a terminal the shell woke the whole group already.
                self.pass_on(GroupSignal::Continue);
            }
        }
    }
}
