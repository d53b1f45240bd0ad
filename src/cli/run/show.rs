//! A run as people and programs see it: live by the terminal that started it, and replayed.
//!
//! Nothing but the run's events decides what is shown, so that a replay shows what the live run
//! did.

use serde::Serialize;

use super::super::args::Stream;
use super::super::session::Cli;
use super::people::People;
use crate::plan::{Event, Recorded};

/// Shows one run's events in their order.
pub(super) struct RunView<'c> {
    cli: &'c Cli,
    stream: Stream,
    people: People<'c>,
    /// The reply so far, for the event that holds all of it.
    text: String,
}

/// An event of a run as a line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunLine<'a> {
    /// The run.
    turn: &'a str,
    /// The event's number in the run: the same in every process that prints it.
    event: i64,
    #[serde(flatten)]
    what: &'a Event,
    /// The whole reply, where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl<'c> RunView<'c> {
    pub(super) fn new(cli: &'c Cli, stream: Stream) -> Self {
        Self {
            cli,
            stream,
            people: People::new(cli),
            text: String::new(),
        }
    }

    /// Shows the next event.
    pub(super) fn show(&mut self, recorded: &Recorded) {
        if self.cli.json {
            self.print(recorded);
        } else {
            self.people.hear(&recorded.event);
        }
    }

    fn print(&mut self, recorded: &Recorded) {
        if let Event::Text { text } = &recorded.event {
            self.text.push_str(text);
        }
        let is_delta = matches!(recorded.event, Event::Text { .. } | Event::Thinking { .. });
        if is_delta && !self.stream.deltas {
            return;
        }
        let is_end = matches!(recorded.event, Event::Replied { .. });
        let line = RunLine {
            turn: &recorded.run,
            event: recorded.number,
            what: &recorded.event,
            text: is_end.then(|| std::mem::take(&mut self.text)),
        };
        self.cli.ui.json(&self.cli.stamped_at(recorded.at, &line));
    }
}
