//! What a run is at right now, in true words: on a terminal lines that are rewritten each second
//! (SEED.md 8.2.1, without its percentage, which nobody can know), elsewhere a line when it
//! changes and one every fifteen seconds.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use parking_lot::Mutex;

use crate::context::estimate_tokens;
use crate::platform::{clock, threads};
use crate::ui::{Progress, Signs, Ui, render};

/// Between two rewrites.
const TICK: Duration = Duration::from_secs(1);
/// A log hears of a run that goes on at least this often.
const HEARTBEAT_MS: i64 = 15_000;
/// A run that is over sooner shows no live lines.
const SILENT_MS: i64 = 400;
/// So long without a word is worth saying.
const STALLED_MS: i64 = 5_000;
/// So much of what was thought last is kept to be shown, in bytes.
const THOUGHT_MAX: usize = 400;

/// What is being done or waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// To this host, or for this command.
    Connecting(String),
    /// The request is sent.
    Waiting,
    /// The model thinks aloud.
    Thinking,
    /// The reply arrives.
    Replying,
    /// Bytes come, but none of a reply.
    KeepAlives,
    /// It failed, and is asked again.
    Retrying {
        /// Why, for people: "rate limited".
        why: &'static str,
        attempt: u32,
        max: u32,
        /// Monotonic milliseconds.
        until_ms: i64,
    },
    /// These messages are being told in short.
    Summarizing(String),
}

impl Stage {
    /// The stage of an event's words; `None` for one that this version does not know.
    pub(super) fn of(phase: &str, detail: Option<&str>) -> Option<Self> {
        let detail = detail.unwrap_or_default().to_owned();
        Some(match phase {
            "connecting" => Self::Connecting(detail),
            "waiting" => Self::Waiting,
            "thinking" => Self::Thinking,
            "replying" => Self::Replying,
            "keep-alives" => Self::KeepAlives,
            "summarizing" => Self::Summarizing(detail),
            _ => return None,
        })
    }

    /// The pause before the next attempt.
    pub(super) fn retrying(kind: &str, (attempt, max): (u32, u32), delay_ms: u64) -> Self {
        Self::Retrying {
            why: match kind {
                "rate" => "rate limited",
                "overloaded" => "overloaded",
                "transport" | "timeout" => "connection lost",
                _ => "failed",
            },
            attempt,
            max,
            until_ms: clock::monotonic_ms() + i64::try_from(delay_ms).unwrap_or(i64::MAX / 2),
        }
    }
}

/// What is known of a run that goes on.
#[derive(Debug, Default)]
struct Seen {
    stage: Option<Stage>,
    /// Monotonic milliseconds of its beginning, of the stage's, and of the last news.
    begun_ms: i64,
    stage_ms: i64,
    news_ms: i64,
    /// When a log last heard of it.
    said_ms: i64,
    has_said_stalled: bool,
    idle_limit_ms: Option<u64>,
    tokens: u64,
    files: Vec<String>,
    /// The file that is being written, and its lines so far.
    current: Option<(String, usize)>,
    thought: String,
}

impl Seen {
    fn is_stalled(&self, now_ms: i64) -> bool {
        let is_at_work = matches!(self.stage, Some(Stage::Replying | Stage::Thinking));
        is_at_work && now_ms - self.news_ms >= STALLED_MS
    }

    /// The stage in words: what it is, and what of it changes with time.
    fn words(&self, now_ms: i64) -> Option<(String, String)> {
        let stage = self.stage.as_ref()?;
        if self.is_stalled(now_ms) {
            let silent = seconds(now_ms - self.news_ms);
            let limit = self.idle_limit_ms.map(|limit| limit / 1000);
            let limit = limit.map_or_else(String::new, |limit| format!(" (limit {limit}s)"));
            return Some(("stalled".to_owned(), format!("{silent}{limit}")));
        }
        let since = seconds(now_ms - self.stage_ms);
        Some(match stage {
            Stage::Connecting(to) => (format!("connecting to {to}"), since),
            Stage::Waiting => ("waiting for first token".to_owned(), since),
            Stage::Thinking => ("thinking".to_owned(), since),
            Stage::Replying => ("replying".to_owned(), since),
            Stage::KeepAlives => ("only keep-alives for".to_owned(), since),
            Stage::Summarizing(what) => (format!("summarizing {what}"), since),
            Stage::Retrying {
                why,
                attempt,
                max,
                until_ms,
            } => {
                let left = seconds((until_ms - now_ms).max(0));
                (format!("{why}: retry {attempt}/{max} in"), left)
            }
        })
    }

    /// The lines of SEED.md 8.2.1's tree, each in the pieces that it may be broken into.
    fn tree(&self, now_ms: i64, signs: &Signs) -> Vec<Vec<String>> {
        let Some((what, when)) = self.words(now_ms) else {
            return Vec::new();
        };
        let head = match self.stage {
            Some(Stage::Thinking | Stage::Replying | Stage::Summarizing(_) | Stage::Waiting)
                if !self.is_stalled(now_ms) =>
            {
                format!("{}... ({when})", capital(&what))
            }
            _ => format!("{} {when}", capital(&what)),
        };
        let (mut leaves, mut more) = (Vec::new(), Vec::new());
        if self.tokens > 0 {
            leaves.push(format!("Tokens so far: ~{}", render::count(self.tokens)));
        }
        if !self.files.is_empty() {
            leaves.push(format!("Files: {}", self.files.len()));
        }
        match &self.current {
            Some((path, 0)) => leaves.push(format!("Current: building {path}")),
            Some((path, lines)) => {
                leaves.push(format!("Current: building {path}"));
                more.push(format!("  {lines} lines"));
            }
            None => {
                let thought = self.thought.lines().next_back().unwrap_or_default().trim();
                if self.stage == Some(Stage::Thinking) && !thought.is_empty() {
                    leaves.push(format!("Current: {thought}"));
                }
            }
        }
        let (branch, last) = match signs.ok.is_ascii() {
            true => ("|- ", "`- "),
            false => ("├─ ", "└─ "),
        };
        let count = leaves.len();
        let leaf = |(at, leaf): (usize, String)| match at + 1 == count {
            true => format!("{last}{leaf}"),
            false => format!("{branch}{leaf}"),
        };
        let leaves = leaves.into_iter().enumerate().map(leaf);
        let mut tree: Vec<Vec<String>> = std::iter::once(head)
            .chain(leaves)
            .map(|line| vec![line])
            .collect();
        if let Some(last) = tree.last_mut() {
            last.append(&mut more);
        }
        tree
    }

    /// What a log hears of a run that goes on.
    fn heartbeat(&self, now_ms: i64) -> Option<String> {
        let (what, when) = self.words(now_ms)?;
        let mut line = format!("still {what} {when}");
        if self.tokens > 0 {
            line.push_str(&format_args!(", ~{} tokens", render::count(self.tokens)).to_string());
        }
        if !self.files.is_empty() {
            let files = render::counted(self.files.len() as u64, "file");
            line.push_str(&format_args!(", {files}").to_string());
        }
        Some(line)
    }
}

fn seconds(ms: i64) -> String {
    render::age(Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::{ASCII, UNICODE};

    /// The tree where there is room for each of its lines.
    fn shown(seen: &Seen, now_ms: i64, signs: &Signs) -> Vec<String> {
        let tree = seen.tree(now_ms, signs).into_iter();
        tree.map(|pieces| pieces.concat()).collect()
    }

    fn seen(stage: Stage) -> Seen {
        Seen {
            stage: Some(stage),
            begun_ms: 0,
            stage_ms: 0,
            news_ms: 2_000,
            idle_limit_ms: Some(120_000),
            ..Seen::default()
        }
    }

    #[test]
    fn each_stage_has_its_true_words() {
        let of = |phase, detail| Stage::of(phase, detail).unwrap();
        for (stage, now_ms, head) in [
            (of("connecting", Some("h:1")), 3_000, "Connecting to h:1 3s"),
            (
                of("waiting", None),
                12_000,
                "Waiting for first token... (12s)",
            ),
            (of("thinking", None), 3_000, "Thinking... (3s)"),
            (of("replying", None), 4_000, "Replying... (4s)"),
            (of("replying", None), 33_000, "Stalled 31s (limit 120s)"),
            (of("thinking", None), 33_000, "Stalled 31s (limit 120s)"),
            (
                of("keep-alives", Some("7 s")),
                40_000,
                "Only keep-alives for 40s",
            ),
        ] {
            assert_eq!(shown(&seen(stage), now_ms, &UNICODE), [head]);
        }
        assert_eq!(Stage::of("singing", None), None);
    }

    #[test]
    fn a_pause_counts_down() {
        let stage = Stage::Retrying {
            why: "rate limited",
            attempt: 2,
            max: 3,
            until_ms: 9_000,
        };
        let seen = seen(stage);
        assert_eq!(
            shown(&seen, 1_000, &UNICODE),
            ["Rate limited: retry 2/3 in 8s"]
        );
        assert_eq!(
            shown(&seen, 99_000, &UNICODE),
            ["Rate limited: retry 2/3 in 0s"]
        );
    }

    #[test]
    fn the_tree_holds_what_was_counted() {
        let mut seen = seen(Stage::Replying);
        seen.tokens = 1234;
        seen.files = vec!["a".to_owned(), "b".to_owned()];
        seen.current = Some(("src/a.rs".to_owned(), 140));
        let expected = [
            "Replying... (3s)",
            "├─ Tokens so far: ~1,234",
            "├─ Files: 2",
            "└─ Current: building src/a.rs  140 lines",
        ];
        assert_eq!(shown(&seen, 3_000, &UNICODE), expected);
        assert!(shown(&seen, 3_000, &ASCII).concat().is_ascii());
        let beat = seen.heartbeat(3_000).unwrap();
        assert_eq!(beat, "still replying 3s, ~1,234 tokens, 2 files");
    }

    #[test]
    fn the_last_line_of_a_thought_stands_apart() {
        let mut seen = seen(Stage::Thinking);
        seen.thought = "first\nthe file b\n".to_owned();
        let tree = shown(&seen, 3_000, &UNICODE);
        assert_eq!(tree, ["Thinking... (3s)", "└─ Current: the file b"]);
    }
}
