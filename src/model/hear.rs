//! A stream's pieces become deltas, and its end a verdict.

use crossbeam_channel::Sender;

use super::chunk::Piece;
use super::ending::{self, Reason, Seen, Transport, Verdict};
use super::think::{Run, Splitter};
use super::{Delta, Finish, Finished, Kind, ModelError, Phase, Usage};

/// The longest reply, in bytes of text and of thinking together.
const REPLY_MAX: usize = 64 << 20;
/// A prompt this long is compared with what the endpoint says it read, in tokens.
const COMPARED_FROM: u64 = 500;

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Listens to one reply.
pub(super) struct Hearing<'a> {
    deltas: &'a Sender<Delta>,
    splitter: Splitter,
    /// Runs that were heard since the last [`Self::flush`].
    runs: Vec<Run>,
    heard: usize,
    text_bytes: usize,
    has_begun: bool,
    reason: Option<Reason>,
    is_done: bool,
    input: u64,
    output: u64,
    failure: Option<ModelError>,
}

impl<'a> Hearing<'a> {
    pub(super) fn new(deltas: &'a Sender<Delta>) -> Self {
        Self {
            deltas,
            splitter: Splitter::default(),
            runs: Vec::new(),
            heard: 0,
            text_bytes: 0,
            has_begun: false,
            reason: None,
            is_done: false,
            input: 0,
            output: 0,
            failure: None,
        }
    }

    /// Whether the model said why it stopped.
    pub(super) fn has_ended(&self) -> bool {
        self.reason.is_some()
    }

    /// Whether nothing that follows matters.
    pub(super) fn is_over(&self) -> bool {
        self.is_done || self.failure.is_some()
    }

    /// Takes a piece.
    pub(super) fn hear(&mut self, piece: Piece) {
        if self.is_over() {
            return;
        }
        match piece {
            Piece::Text(text) if self.has_room(text.len()) => {
                let runs = &mut self.runs;
                self.splitter.push(&text, &mut |run| join(runs, run));
            }
            Piece::Thinking(text) if self.has_room(text.len()) => {
                join(&mut self.runs, Run::Thinking(text));
            }
            Piece::Text(_) | Piece::Thinking(_) => {}
            // The first word stays, but for a refusal, which is never taken back.
            Piece::Reason(Reason::Refused) => self.reason = Some(Reason::Refused),
            Piece::Reason(reason) => {
                self.reason.get_or_insert(reason);
            }
            Piece::Usage { input, output } => {
                // Gateways say 0 first and the truth at the end.
                self.input = if input > 0 { input } else { self.input };
                self.output = if output > 0 { output } else { self.output };
            }
            Piece::Done => self.is_done = true,
            Piece::Failure(error) => self.fail(error),
        }
    }

    /// The stream cannot be read on. Once the model has said why it stopped, that changes nothing.
    pub(super) fn fail(&mut self, error: ModelError) {
        if self.reason.is_none() && self.failure.is_none() {
            self.failure = Some(error);
        }
    }

    /// Counts so many bytes more; once they are too many, the reply has failed.
    fn has_room(&mut self, bytes: usize) -> bool {
        self.heard += bytes;
        if self.heard > REPLY_MAX {
            let message = format!("the reply is longer than {REPLY_MAX} bytes");
            self.failure = Some(ModelError::new(Kind::Protocol, message));
        }
        self.heard <= REPLY_MAX
    }

    /// Sends what was heard since. Returns whether there was anything.
    pub(super) fn flush(&mut self) -> Result<bool, Gone> {
        let runs = std::mem::take(&mut self.runs);
        let has_any = !runs.is_empty();
        if has_any && !std::mem::replace(&mut self.has_begun, true) {
            self.send(Delta::Phase(Phase::Streaming))?;
        }
        for run in runs {
            let delta = match run {
                Run::Text(text) => {
                    self.text_bytes += text.len();
                    Delta::Text(text)
                }
                Run::Thinking(text) => Delta::Thinking(text),
            };
            self.send(delta)?;
        }
        Ok(has_any)
    }

    fn send(&self, delta: Delta) -> Result<(), Gone> {
        self.deltas.send(delta).map_err(|_| Gone)
    }

    /// The stream is over: sends what is left of it, and judges. `lost` says how the connection
    /// broke, if it did; `estimate` is how many tokens the prompt has by our own count.
    pub(super) fn end(
        mut self,
        lost: Option<ModelError>,
        provenance: String,
        estimate: u64,
    ) -> Result<Result<Finished, ModelError>, Gone> {
        let mut runs = std::mem::take(&mut self.runs);
        self.splitter.finish(&mut |run| join(&mut runs, run));
        self.runs = runs;
        self.flush()?;
        let partial = self.has_begun;
        if let Some(mut failure) = self.failure.take() {
            failure.partial = partial;
            return Ok(Err(failure));
        }
        let usage = self.usage(estimate);
        self.compare(&usage, estimate)?;
        let seen = Seen {
            reason: self.reason.clone(),
            is_done: self.is_done,
            transport: if lost.is_some() {
                Transport::Broken
            } else {
                Transport::Clean
            },
            has_text: self.text_bytes > 0,
        };
        let finish = match ending::verdict(&seen) {
            Verdict::Complete => Finish::Stop,
            Verdict::Unmarked => Finish::UnmarkedEnd,
            Verdict::Length => Finish::Length,
            Verdict::Refused => Finish::Refused,
            other @ (Verdict::Reported
            | Verdict::Tool
            | Verdict::Truncated
            | Verdict::Lost
            | Verdict::Empty) => {
                let mut failure = self.no_reply(&other, lost);
                failure.partial = partial;
                return Ok(Err(failure));
            }
        };
        Ok(Ok(Finished {
            finish,
            usage: Some(usage),
            provenance,
        }))
    }

    fn no_reply(&self, verdict: &Verdict, lost: Option<ModelError>) -> ModelError {
        let of = |kind, words: &str| ModelError::new(kind, words);
        match verdict {
            Verdict::Reported => of(Kind::Reported, "the endpoint says that it failed"),
            Verdict::Tool => of(
                Kind::Protocol,
                "the endpoint answered with a tool call, and was offered no tool",
            ),
            Verdict::Empty if self.has_begun => of(
                Kind::Empty,
                "the reply is empty: the model has only thought",
            ),
            Verdict::Empty => of(Kind::Empty, "the reply is empty")
                .hint("some servers answer so when the prompt does not fit into their window"),
            // Nothing at all came: the connection is at fault, and may be tried again.
            Verdict::Truncated | Verdict::Lost if !self.has_begun && !self.is_done => lost
                .unwrap_or_else(|| {
                    of(
                        Kind::Transport,
                        "the connection ended before anything of the reply came",
                    )
                }),
            Verdict::Lost => lost.unwrap_or_else(|| of(Kind::Transport, "the connection was lost")),
            Verdict::Truncated
            | Verdict::Complete
            | Verdict::Unmarked
            | Verdict::Length
            | Verdict::Refused => of(
                Kind::Truncated,
                "the reply ended without saying that it is whole",
            ),
        }
    }

    /// What the endpoint counted, else what we estimate.
    fn usage(&self, estimate: u64) -> Usage {
        let estimated = self.input == 0 || self.output == 0;
        let or = |counted: u64, ours: u64| if counted > 0 { counted } else { ours };
        Usage {
            input: or(self.input, estimate),
            // Four bytes a token, which is near enough for a figure that is marked.
            output: or(self.output, (self.heard as u64).div_ceil(4)),
            estimated,
        }
    }

    /// Some servers (Ollama among them) cut a prompt that does not fit, and answer the rest.
    fn compare(&self, usage: &Usage, estimate: u64) -> Result<(), Gone> {
        let is_short = self.input > 0 && usage.input * 10 < estimate * 6;
        if is_short && estimate >= COMPARED_FROM {
            let message = format!(
                "the endpoint read {} tokens of a prompt of ~{estimate}: its window may be too \
                 small and the prompt cut off (for Ollama, set OLLAMA_CONTEXT_LENGTH and restart \
                 it)",
                usage.input
            );
            self.send(Delta::Phase(Phase::Warning {
                code: "prompt_truncated",
                message,
            }))?;
        }
        Ok(())
    }
}

/// Adds a run, joined to the last one if it is of its kind.
fn join(runs: &mut Vec<Run>, run: Run) {
    match (runs.last_mut(), run) {
        (Some(Run::Text(last)), Run::Text(more))
        | (Some(Run::Thinking(last)), Run::Thinking(more)) => last.push_str(&more),
        (_, run) => runs.push(run),
    }
}
