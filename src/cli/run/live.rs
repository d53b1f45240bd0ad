//! What a run is at, shown: on a terminal lines that are rewritten each second (SEED.md 8.2.1,
//! without its percentage, which nobody can know), elsewhere a line when it changes and one every
//! fifteen seconds.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use parking_lot::Mutex;

use super::stage::{Seen, Stage};
use crate::context::estimate_tokens;
use crate::platform::{clock, threads};
use crate::ui::{Progress, Ui};

/// Between two rewrites.
const TICK: Duration = Duration::from_secs(1);
/// A log hears of a run that goes on at least this often.
const HEARTBEAT_MS: i64 = 15_000;
/// A run that is over sooner shows no live lines.
const SILENT_MS: i64 = 400;
/// So much of what was thought last is kept to be shown, in bytes.
const THOUGHT_MAX: usize = 400;

/// The live part of a run's output; gone when dropped.
pub(super) struct Live {
    shared: Arc<Shared>,
    /// Ends the ticking when it is dropped.
    ticks: Option<(Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    ui: Ui,
    progress: Progress,
    seen: Mutex<Seen>,
}

impl Live {
    pub(super) fn new(ui: &Ui) -> Self {
        Self {
            shared: Arc::new(Shared {
                ui: ui.clone(),
                progress: ui.progress(),
                seen: Mutex::default(),
            }),
            ticks: None,
        }
    }

    /// The run begins. From now on time is told without events, too.
    pub(super) fn begin(&mut self, idle_limit_ms: Option<u64>) {
        let now_ms = clock::monotonic_ms();
        *self.shared.seen.lock() = Seen {
            begun_ms: now_ms,
            news_ms: now_ms,
            said_ms: now_ms,
            idle_limit_ms,
            ..Seen::default()
        };
        let (stop, stopped) = crossbeam_channel::bounded::<()>(0);
        let shared = Arc::clone(&self.shared);
        let ticking = std::thread::Builder::new()
            .name("live".to_owned())
            .spawn(move || {
                loop {
                    let _waits = threads::waits("the next second");
                    match stopped.recv_timeout(TICK) {
                        Err(RecvTimeoutError::Timeout) => shared.tick(),
                        _ => return,
                    }
                }
            });
        // Without the thread the lines move with the events only.
        self.ticks = ticking.ok().map(|thread| (stop, thread));
    }

    /// The run is at `stage` now.
    pub(super) fn turn_to(&self, stage: Option<Stage>) {
        let Some(stage) = stage else { return };
        let is_new = {
            let now_ms = clock::monotonic_ms();
            let mut seen = self.shared.seen.lock();
            seen.news_ms = now_ms;
            let is_new = seen.stage.as_ref() != Some(&stage);
            if is_new {
                seen.stage = Some(stage);
                seen.stage_ms = now_ms;
                seen.has_said_stalled = false;
                if !self.shared.ui.is_live() {
                    seen.said_ms = now_ms;
                }
            }
            is_new
        };
        if is_new {
            self.shared.changed();
        }
    }

    /// More of the reply came.
    pub(super) fn text(&self, text: &str) {
        let is_first = {
            let now_ms = clock::monotonic_ms();
            let mut seen = self.shared.seen.lock();
            seen.news_ms = now_ms;
            seen.tokens += estimate_tokens(text);
            // A reply that nobody announced: it needs no line of its own in a log.
            let is_first = seen.stage.is_none();
            if is_first {
                seen.stage = Some(Stage::Replying);
                seen.stage_ms = now_ms;
            }
            is_first
        };
        if !is_first {
            self.turn_to(Some(Stage::Replying));
        }
        self.shared.draw();
    }

    /// More of what is thought came.
    pub(super) fn thought(&self, text: &str) {
        self.turn_to(Some(Stage::Thinking));
        {
            let mut seen = self.shared.seen.lock();
            seen.tokens += estimate_tokens(text);
            seen.thought.push_str(text);
            let excess = seen.thought.len().saturating_sub(THOUGHT_MAX);
            let from = seen.thought.ceil_char_boundary(excess);
            seen.thought.drain(..from);
        }
        self.shared.draw();
    }

    /// The reply is at this line of this file.
    pub(super) fn file(&self, path: &str, lines: usize) {
        {
            let mut seen = self.shared.seen.lock();
            if !seen.files.iter().any(|known| known == path) {
                seen.files.push(path.to_owned());
            }
            seen.current = Some((path.to_owned(), lines));
        }
        self.shared.draw();
    }

    /// The reply is in no file any more.
    pub(super) fn no_file(&self) {
        self.shared.seen.lock().current = None;
    }

    /// Nothing goes on, until the next stage.
    pub(super) fn clear(&self) {
        let mut seen = self.shared.seen.lock();
        seen.stage = None;
        seen.current = None;
        drop(seen);
        self.shared.progress.clear();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticks.take() {
            drop(stop);
            // A thread that panicked has nothing more to show.
            thread.join().ok();
        }
        self.shared.progress.clear();
    }
}

impl Shared {
    /// The stage is another one: said at once.
    fn changed(&self) {
        if self.ui.is_live() {
            self.progress.clear();
            self.draw();
            return;
        }
        let words = self.seen.lock().words(clock::monotonic_ms());
        if let Some((what, when)) = words {
            // What has just begun has no age yet; a pause has its length.
            match what.ends_with(" in") {
                true => self.ui.note(format!("{what} {when}")),
                false => self.ui.note(what),
            }
        }
    }

    fn draw(&self) {
        if !self.ui.is_live() {
            return;
        }
        let now_ms = clock::monotonic_ms();
        let tree = {
            let seen = self.seen.lock();
            match now_ms - seen.begun_ms < SILENT_MS {
                true => Vec::new(),
                false => seen.tree(now_ms, self.ui.signs()),
            }
        };
        if !tree.is_empty() {
            self.progress.stand(&tree, "");
        }
    }

    fn tick(&self) {
        self.draw();
        if self.ui.is_live() {
            return;
        }
        let now_ms = clock::monotonic_ms();
        let line = {
            let mut seen = self.seen.lock();
            let has_stalled = seen.is_stalled(now_ms) && !seen.has_said_stalled;
            let is_due = now_ms - seen.said_ms >= HEARTBEAT_MS;
            if !has_stalled && !is_due {
                return;
            }
            seen.has_said_stalled |= has_stalled;
            seen.said_ms = now_ms;
            match has_stalled {
                true => seen
                    .words(now_ms)
                    .map(|(what, when)| format!("{what} {when}")),
                false => seen.heartbeat(now_ms),
            }
        };
        if let Some(line) = line {
            self.ui.note(line);
        }
    }
}
