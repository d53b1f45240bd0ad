//! What a run is at, shown: on a terminal lines that are rewritten each second (SEED.md 8.2.1,
//! without its percentage, which nobody can know), elsewhere a line when it changes and one every
//! fifteen seconds.

use std::time::Duration;

use super::stage::{Seen, Stage};
use crate::context::estimate_tokens;
use crate::platform::clock;
use crate::ui::{Progress, Ticking, Ui};

/// Between two rewrites.
const TICK: Duration = Duration::from_secs(1);
/// A log hears of a run that goes on at least this often.
const HEARTBEAT_MS: i64 = 15_000;
/// A run that is over sooner shows no live lines.
const SILENT_MS: i64 = 400;
/// So much of what was thought last is kept to be shown, in bytes.
const THOUGHT_MAX: usize = 400;

/// The live part of a run's output; nothing before the run begins, and gone when dropped.
pub(super) struct Live {
    ui: Ui,
    board: Option<Ticking<Board>>,
}

/// Where it is shown what is known.
struct Board {
    ui: Ui,
    progress: Progress,
    seen: Seen,
}

impl Live {
    pub(super) fn new(ui: &Ui) -> Self {
        Self {
            ui: ui.clone(),
            board: None,
        }
    }

    /// The run begins. From now on time is told without events, too.
    pub(super) fn begin(&mut self, idle_limit_ms: Option<u64>) {
        let now_ms = clock::monotonic_ms();
        let board = Board {
            progress: self.ui.progress(),
            ui: self.ui.clone(),
            seen: Seen {
                begun_ms: now_ms,
                news_ms: now_ms,
                said_ms: now_ms,
                idle_limit_ms,
                ..Seen::default()
            },
        };
        self.board = Some(Ticking::new(board, TICK, Board::tick));
    }

    fn with(&self, change: impl FnOnce(&mut Board)) {
        if let Some(board) = &self.board {
            board.with(change);
        }
    }

    /// The run is at `stage` now.
    pub(super) fn turn_to(&self, stage: Stage) {
        self.with(|board| board.turn_to(stage, 0));
    }

    /// The run is where the words of an event say; nothing if they are not known here.
    pub(super) fn phase(&self, phase: &str, detail: Option<&str>) {
        if let Some(stage) = Stage::of(phase, detail) {
            let age_ms = stage.age_ms(detail);
            self.with(|board| board.turn_to(stage, age_ms));
        }
    }

    /// More of the reply came.
    pub(super) fn text(&self, text: &str) {
        self.with(|board| {
            board.seen.tokens += estimate_tokens(text);
            if board.seen.stage.is_some() {
                board.turn_to(Stage::Replying, 0);
            } else {
                // A reply that nobody announced: it needs no line of its own in a log.
                let now_ms = clock::monotonic_ms();
                board.seen.turn_to(Stage::Replying, now_ms, 0);
            }
            board.draw();
        });
    }

    /// More of what is thought came.
    pub(super) fn thought(&self, text: &str) {
        self.with(|board| {
            board.turn_to(Stage::Thinking, 0);
            let seen = &mut board.seen;
            seen.tokens += estimate_tokens(text);
            seen.thought.push_str(text);
            let excess = seen.thought.len().saturating_sub(THOUGHT_MAX);
            let from = seen.thought.ceil_char_boundary(excess);
            seen.thought.drain(..from);
            board.draw();
        });
    }

    /// The reply is at this line of this file.
    pub(super) fn file(&self, path: &str, lines: usize) {
        self.with(|board| {
            if !board.seen.files.contains(path) {
                board.seen.files.insert(path.to_owned());
            }
            board.seen.current = Some((path.to_owned(), lines));
            board.draw();
        });
    }

    /// The reply is in no file any more.
    pub(super) fn no_file(&self) {
        self.with(|board| board.seen.current = None);
    }

    /// Nothing goes on, until the next stage.
    pub(super) fn clear(&self) {
        self.with(|board| {
            board.seen.stage = None;
            board.seen.current = None;
            board.progress.clear();
        });
    }
}

impl Board {
    fn turn_to(&mut self, stage: Stage, age_ms: i64) {
        let now_ms = clock::monotonic_ms();
        if !self.seen.turn_to(stage, now_ms, age_ms) {
            return;
        }
        // Another stage is said at once.
        if self.ui.is_live() {
            self.progress.clear();
            self.draw();
            return;
        }
        self.seen.said_ms = now_ms;
        if let Some((what, when)) = self.seen.words(now_ms) {
            // What has just begun has no age yet; a pause and a silence have their length.
            self.ui.note(
                match [" in", " for"].iter().any(|end| what.ends_with(end)) {
                    true => format!("{what} {when}"),
                    false => what,
                },
            );
        }
    }

    fn draw(&self) {
        let now_ms = clock::monotonic_ms();
        if !self.ui.is_live() || now_ms - self.seen.begun_ms < SILENT_MS {
            return;
        }
        let tree = self.seen.tree(now_ms, self.ui.signs());
        if !tree.is_empty() {
            self.progress.stand(&tree, "");
        }
    }

    fn tick(&mut self) {
        self.draw();
        if self.ui.is_live() {
            return;
        }
        let now_ms = clock::monotonic_ms();
        let seen = &mut self.seen;
        let has_stalled = seen.is_stalled(now_ms) && !seen.has_said_stalled;
        let is_due = now_ms - seen.said_ms >= HEARTBEAT_MS;
        let line = match (has_stalled, is_due) {
            (true, _) => seen
                .words(now_ms)
                .map(|(what, when)| format!("{what} {when}")),
            (false, true) => seen.heartbeat(now_ms),
            (false, false) => None,
        };
        if let Some(line) = line {
            seen.has_said_stalled |= has_stalled;
            seen.said_ms = now_ms;
            self.ui.note(line);
        }
    }
}
