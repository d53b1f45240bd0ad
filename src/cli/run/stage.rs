//! What a run is at right now, in true words. Pure: time is given.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::platform::clock;
use crate::ui::{Signs, render};

/// So long without a word is worth saying.
const STALLED_MS: i64 = 5_000;

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

    /// How long it has lasted when it is first told of, by the event's words ("30 s").
    pub(super) fn age_ms(&self, detail: Option<&str>) -> i64 {
        let seconds = match (self, detail) {
            (Self::KeepAlives, Some(detail)) => detail.trim_end_matches(" s").parse().ok(),
            _ => None,
        };
        seconds.map_or(0, |seconds: i64| seconds.saturating_mul(1000))
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
pub(super) struct Seen {
    pub(super) stage: Option<Stage>,
    /// Monotonic milliseconds of its beginning, of the stage's, and of the last news.
    pub(super) begun_ms: i64,
    pub(super) stage_ms: i64,
    pub(super) news_ms: i64,
    /// When a log last heard of it.
    pub(super) said_ms: i64,
    pub(super) has_said_stalled: bool,
    pub(super) idle_limit_ms: Option<u64>,
    pub(super) tokens: u64,
    pub(super) files: BTreeSet<String>,
    /// The file that is being written, and its lines so far.
    pub(super) current: Option<(String, usize)>,
    pub(super) thought: String,
}

impl Seen {
    /// The run is at `stage` now, and has been for `age_ms`; whether that is another one.
    pub(super) fn turn_to(&mut self, stage: Stage, now_ms: i64, age_ms: i64) -> bool {
        self.news_ms = now_ms;
        self.has_said_stalled = false;
        let is_new = self.stage.as_ref() != Some(&stage);
        if is_new {
            self.stage = Some(stage);
            self.stage_ms = now_ms - age_ms;
        }
        is_new
    }

    pub(super) fn is_stalled(&self, now_ms: i64) -> bool {
        let is_at_work = matches!(self.stage, Some(Stage::Replying | Stage::Thinking));
        is_at_work && now_ms - self.news_ms >= STALLED_MS
    }

    /// The stage in words: what it is, and what of it changes with time.
    pub(super) fn words(&self, now_ms: i64) -> Option<(String, String)> {
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
                // Rounded up: "in 0s" would be over.
                let left = (until_ms - now_ms).max(0) as u64;
                let left = render::age(Duration::from_secs(left.div_ceil(1000)));
                (format!("{why}: retry {attempt}/{max} in"), left)
            }
        })
    }

    /// The lines of SEED.md 8.2.1's tree, each in the pieces that it may be broken into.
    pub(super) fn tree(&self, now_ms: i64, signs: &Signs) -> Vec<Vec<String>> {
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
    pub(super) fn heartbeat(&self, now_ms: i64) -> Option<String> {
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
    fn a_silence_is_as_long_as_it_was_when_it_was_told_of() {
        let mut seen = Seen::default();
        let age_ms = Stage::KeepAlives.age_ms(Some("30 s"));
        assert!(seen.turn_to(Stage::KeepAlives, 100_000, age_ms));
        let words = seen.words(101_000);
        let expected = ("only keep-alives for".to_owned(), "31s".to_owned());
        assert_eq!(words, Some(expected));
        // Told of again, it is the same silence.
        assert!(!seen.turn_to(Stage::KeepAlives, 130_000, 60_000));
        assert_eq!(seen.stage_ms, 70_000);
        assert_eq!(Stage::Waiting.age_ms(Some("30 s")), 0);
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
            shown(&seen, 8_600, &UNICODE),
            ["Rate limited: retry 2/3 in 1s"]
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
        seen.files = ["a", "b"].map(str::to_owned).into();
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
