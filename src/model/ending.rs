//! What the end of a stream means: one table, because a reply that is cut off and taken for whole
//! becomes a truncated file (HAZARDS.md H16).

/// Why a model stopped, in the words of no particular provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was done.
    Stop,
    /// A limit of length was reached.
    Length,
    /// The reply was filtered, or the model refused.
    Refused,
    /// The provider failed.
    Error,
    /// It wants to call a tool, and was offered none.
    Tool,
    /// A word that we do not know.
    Other(String),
}

impl Reason {
    /// The meaning of a `finish_reason` or `stop_reason`.
    ///
    /// Sources: the API references of OpenAI ("stop", "length", "content_filter", "tool_calls",
    /// "function_call") and Anthropic ("end_turn", "stop_sequence", "max_tokens",
    /// "model_context_window_exceeded", "refusal", "tool_use", "pause_turn"), and what compatible
    /// servers send in their place ("eos", "eos_token", "error", Gemini's "SAFETY" and its kin).
    pub(super) fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" | "complete" => Self::Stop,
            "length" | "max_tokens" | "model_context_window_exceeded" => Self::Length,
            "content_filter" | "refusal" | "safety" | "recitation" | "blocklist"
            | "prohibited_content" | "spii" => Self::Refused,
            "error" => Self::Error,
            "tool_calls" | "function_call" | "tool_use" | "pause_turn" => Self::Tool,
            _ => Self::Other(word.to_owned()),
        }
    }
}

/// How the transport ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// Ended in order, as far as HTTP can say; or was left by us after the end.
    Clean,
    /// Reset, or ended inside a chunk or before the announced length.
    Broken,
}

/// What was seen of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// The reason that was given.
    pub(super) reason: Option<Reason>,
    /// Whether the stream's own end mark came (`[DONE]`, `message_stop`).
    pub(super) is_done: bool,
    /// How the transport ended.
    pub(super) transport: Transport,
    /// Whether any text of the reply came.
    pub(super) has_text: bool,
}

/// What a stream's end means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The reply is whole.
    Complete,
    /// The stream was closed in order without a reason that we know: whole only if no block is
    /// left open.
    Unmarked,
    /// The model reached its limit: text is kept, only closed blocks are built.
    Length,
    /// Nothing is to be built.
    Refused,
    /// The provider said that it failed.
    Reported,
    /// It asks for a tool.
    Tool,
    /// The stream ended in order, and nothing says that the reply did.
    Truncated,
    /// The connection was lost.
    Lost,
    /// The reply is over and empty.
    Empty,
}

/// Judges the end of a stream.
pub(super) fn verdict(seen: &Seen) -> Verdict {
    match (&seen.reason, seen.is_done, seen.transport) {
        (Some(Reason::Stop), _, _) if seen.has_text => Verdict::Complete,
        (Some(Reason::Stop), _, _) => Verdict::Empty,
        (Some(Reason::Length), _, _) => Verdict::Length,
        (Some(Reason::Refused), _, _) => Verdict::Refused,
        (Some(Reason::Error), _, _) => Verdict::Reported,
        (Some(Reason::Tool), _, _) => Verdict::Tool,
        (Some(Reason::Other(_)), _, _) | (None, true, _) if seen.has_text => Verdict::Unmarked,
        (Some(Reason::Other(_)), _, _) => Verdict::Empty,
        (None, true, _) | (None, false, Transport::Clean) => Verdict::Truncated,
        (None, false, Transport::Broken) => Verdict::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_table() {
        use Transport::{Broken, Clean};
        use Verdict as V;
        // What "any" stands for in a row.
        let done = |only: Option<bool>| only.map_or(vec![false, true], |one| vec![one]);
        let ends = |only: Option<Transport>| only.map_or(vec![Clean, Broken], |one| vec![one]);
        type Row = (
            Option<&'static str>,
            Option<bool>,
            Option<Transport>,
            bool,
            Verdict,
        );
        let rows: [Row; 17] = [
            (Some("stop"), None, None, true, V::Complete),
            (Some("end_turn"), None, None, true, V::Complete),
            (Some("stop_sequence"), None, None, true, V::Complete),
            (Some("stop"), None, None, false, V::Empty),
            (Some("length"), None, None, true, V::Length),
            (Some("length"), None, None, false, V::Length),
            (Some("max_tokens"), None, None, true, V::Length),
            (Some("content_filter"), None, None, true, V::Refused),
            (Some("refusal"), None, None, false, V::Refused),
            (Some("error"), None, None, true, V::Reported),
            (Some("tool_calls"), None, None, true, V::Tool),
            (Some("whatever"), None, None, true, V::Unmarked),
            (Some("whatever"), None, None, false, V::Empty),
            (None, Some(true), None, true, V::Unmarked),
            (None, Some(true), None, false, V::Truncated),
            (None, Some(false), Some(Clean), true, V::Truncated),
            (None, Some(false), Some(Broken), true, V::Lost),
        ];
        for (reason, is_done, transport, has_text, expected) in rows {
            for is_done in done(is_done) {
                for transport in ends(transport) {
                    let seen = Seen {
                        reason: reason.map(Reason::of),
                        is_done,
                        transport,
                        has_text,
                    };
                    assert_eq!(verdict(&seen), expected, "{seen:?}");
                }
            }
        }
    }
}
