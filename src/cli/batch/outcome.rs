//! What became of each line, and of the whole batch.

use serde::Serialize;
use serde_json::Value;

use super::super::session::SCHEMA_VERSION;
use super::lines::Line;

/// The exit codes by badness, the worst first; whatever is not listed counts as 1. README.md has
/// this list.
const WORST_FIRST: [u8; 16] = [79, 69, 1, 2, 5, 6, 4, 143, 130, 129, 141, 10, 3, 7, 9, 75];

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// Exit code 0.
    Done,
    /// Another one.
    Failed,
    /// Ended by a signal or by `plandex stop`.
    Cancelled,
    /// A mistake of ours ended it.
    Panicked,
    /// It was never started.
    NotRun,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
            Self::NotRun => "not_run",
        }
    }
}

/// The worst of `codes`; 0 if all are.
pub(super) fn worst(codes: impl Iterator<Item = u8>) -> u8 {
    let as_one = WORST_FIRST.iter().position(|code| *code == 1).unwrap_or(0);
    let badness = |code: &u8| {
        let place = WORST_FIRST.iter().position(|listed| listed == code);
        place.unwrap_or(as_one)
    };
    // The first of equals: min_by_key keeps it.
    codes
        .filter(|code| *code != 0)
        .min_by_key(badness)
        .unwrap_or(0)
}

/// One line's result as a line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LineDocument<'a> {
    schema_version: u32,
    r#type: &'static str,
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    args: &'a [String],
    status: &'static str,
    exit_code: Option<u8>,
    duration_ms: Option<u64>,
    /// What it printed on stdout, each document for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<Vec<Value>>,
    /// The same as text, if it is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr: Option<String>,
    /// The error, as `--json` commands print it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

impl<'a> LineDocument<'a> {
    pub(super) fn not_run(line: &'a Line) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            r#type: "line.completed",
            line: line.number,
            id: line.id.as_ref(),
            args: &line.words,
            status: Status::NotRun.word(),
            exit_code: None,
            duration_ms: None,
            documents: None,
            stdout: None,
            stderr: None,
            error: None,
        }
    }

    pub(super) fn ended(
        line: &'a Line,
        (status, code): (Status, u8),
        duration_ms: u64,
        stdout: &[u8],
        stderr: &[u8],
    ) -> Self {
        let documents = documents(stdout);
        let text = |bytes: &[u8]| {
            let is_empty = bytes.is_empty();
            (!is_empty).then(|| String::from_utf8_lossy(bytes).into_owned())
        };
        Self {
            status: status.word(),
            exit_code: Some(code),
            duration_ms: Some(duration_ms),
            stdout: documents.is_none().then(|| text(stdout)).flatten(),
            error: error(stderr).filter(|_| code != 0),
            stderr: text(stderr),
            documents,
            ..Self::not_run(line)
        }
    }
}

/// The documents that `stdout` consists of; `None` if it holds anything else, or nothing.
fn documents(stdout: &[u8]) -> Option<Vec<Value>> {
    let parsed = serde_json::Deserializer::from_slice(stdout).into_iter::<Value>();
    let all: Vec<Value> = parsed.collect::<Result<_, _>>().ok()?;
    let are_ours = all.iter().all(Value::is_object);
    (are_ours && !all.is_empty()).then_some(all)
}

/// The last line of `stderr`, if it is an error of ours.
fn error(stderr: &[u8]) -> Option<Value> {
    let last = stderr
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty())?;
    let document: Value = serde_json::from_slice(last).ok()?;
    document.get("exitCode").is_some().then_some(document)
}

/// "3, 5-9" of rising numbers.
pub(super) fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let words = ranges.into_iter().map(|(first, last)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

/// The verdict: the last line of JSON.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tally {
    pub(super) lines: usize,
    pub(super) done: usize,
    pub(super) failed: usize,
    pub(super) cancelled: usize,
    pub(super) panicked: usize,
    pub(super) not_run: usize,
}

impl Tally {
    pub(super) fn add(&mut self, status: Status) {
        self.lines += 1;
        *match status {
            Status::Done => &mut self.done,
            Status::Failed => &mut self.failed,
            Status::Cancelled => &mut self.cancelled,
            Status::Panicked => &mut self.panicked,
            Status::NotRun => &mut self.not_run,
        } += 1;
    }

    /// "3 of 5 lines done, 1 failed, 1 not run".
    pub(super) fn words(&self) -> String {
        let mut words = format!("{} of {} lines done", self.done, self.lines);
        for (count, what) in [
            (self.failed, "failed"),
            (self.cancelled, "cancelled"),
            (self.panicked, "panicked"),
            (self.not_run, "not run"),
        ] {
            if count > 0 {
                words.extend([", ", &count.to_string(), " ", what]);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_code_is_the_most_harmful_not_the_largest() {
        for (codes, expected) in [
            (&[0, 0][..], 0),
            (&[], 0),
            (&[0, 75], 75),
            (&[75, 9], 9),
            (&[10, 75, 3], 10),
            (&[143, 5], 5),
            (&[2, 1, 75], 1),
            (&[75, 42, 1], 42),
            (&[1, 42], 1),
            (&[127, 69], 69),
            (&[1, 79, 143], 79),
        ] {
            assert_eq!(worst(codes.iter().copied()), expected, "{codes:?}");
        }
    }

    #[test]
    fn output_is_documents_only_if_it_is_nothing_else() {
        assert_eq!(documents(b"{\"a\":1}\n{\"b\":2}\n").unwrap().len(), 2);
        for other in [&b""[..], b"7\n", b"{\"a\":1}\nwords\n", b"\xff", b"[1]\n"] {
            assert_eq!(documents(other), None);
        }
        assert!(error(b"note\n{\"type\":\"busy\",\"exitCode\":75}\n\n").is_some());
        assert!(error(b"{\"type\":\"lock.waiting\"}\n").is_none());
        assert!(error(b"").is_none());
    }

    #[test]
    fn numbers_that_stand_together_are_a_range() {
        assert_eq!(ranges([3, 5, 6, 7, 9].into_iter()), "3, 5-7, 9");
        assert_eq!(ranges(std::iter::empty()), "");
    }

    #[test]
    fn the_tally_says_what_there_was() {
        let mut tally = Tally::default();
        for status in [Status::Done, Status::Done, Status::Failed, Status::NotRun] {
            tally.add(status);
        }
        assert_eq!(tally.words(), "2 of 4 lines done, 1 failed, 1 not run");
    }
}
