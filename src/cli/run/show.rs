//! A run as people and programs see it: live by the terminal that started it, and replayed.
//!
//! Prose goes to stdout as it comes, the edits in it fold into a line each on stderr. What is
//! folded is read from the reply's text itself, so that a replay shows what the live run did.

use serde::Serialize;

use super::super::args::Stream;
use super::super::session::Cli;
use crate::plan::reply::{Ending, ReplyEvent, ReplyParser};
use crate::plan::{BuiltFile, Event, Op, Recorded, Told, edits};
use crate::store::messages;
use crate::ui::{Style, Text, render};

/// Shows one run's events in their order.
pub(super) struct RunView<'c> {
    cli: &'c Cli,
    stream: Stream,
    parser: ReplyParser,
    /// The reply so far, for the event that holds all of it.
    text: String,
    /// Whether there is a reply to read from.
    is_reply: bool,
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
            parser: ReplyParser::new(),
            text: String::new(),
            is_reply: false,
        }
    }

    /// Shows the next event.
    pub(super) fn show(&mut self, recorded: &Recorded) {
        if self.cli.json {
            self.print(recorded);
        } else {
            self.tell(&recorded.event);
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

    fn tell(&mut self, event: &Event) {
        let ui = &self.cli.ui;
        match event {
            Event::Text { text } => {
                self.is_reply = true;
                let heard = self.parser.push(text);
                self.hear(heard);
            }
            Event::Replied { finish, .. } => {
                let ending = match finish.as_str() {
                    "stop" => Ending::Complete,
                    _ => Ending::CutOff,
                };
                let heard = std::mem::take(&mut self.parser).finish(ending);
                self.hear(heard);
            }
            Event::File { built, failed, .. } => {
                if let Some(file) = built {
                    ui.note(built_line(self.cli, file));
                }
                for failure in failed.iter().flat_map(|file| &file.failures) {
                    ui.warning(edits::describe(failure));
                }
            }
            Event::Warning {
                message,
                line,
                path,
                ..
            } => {
                let path = path.as_deref().unwrap_or_default();
                ui.warning(match line {
                    Some(line) => format!("reply line {line}: {path} {message}"),
                    None => message.clone(),
                });
            }
            Event::FileStarted { path, .. } if !self.is_reply => {
                ui.note(format!("building {path}"));
            }
            Event::Retrying {
                attempt,
                max,
                delay_ms,
                kind,
                message,
                ..
            } => {
                if ["transport", "timeout"].contains(&kind.as_str()) {
                    ui.note("Connection lost. Reconnecting...");
                }
                let seconds = *delay_ms as f64 / 1000.0;
                ui.note(format!(
                    "{message}; attempt {attempt}/{max} in {seconds:.1} s"
                ));
            }
            // Read from the text itself, or told by whoever ends the command.
            Event::Started { .. }
            | Event::Phase { .. }
            | Event::Thinking { .. }
            | Event::FileStarted { .. }
            | Event::FileLines { .. }
            | Event::Completed { .. }
            | Event::Failed { .. } => {}
        }
    }

    fn hear(&self, heard: Vec<ReplyEvent>) {
        let ui = &self.cli.ui;
        for event in heard {
            match event {
                ReplyEvent::Prose(text) => ui.raw(text.as_bytes()),
                ReplyEvent::FileStarted { path, .. } => ui.note(format!("building {path}")),
                // Both are events of their own.
                ReplyEvent::FileLines { .. } | ReplyEvent::Edit(_) | ReplyEvent::Malformed(_) => {}
            }
        }
    }
}

fn built_line(cli: &Cli, file: &BuiltFile) -> Text {
    let signs = cli.ui.signs();
    let (added, removed) = (file.added as u64, file.removed as u64);
    let mut line = Text::styled(Style::Green, signs.ok)
        .plain(format!(" {} ", file.path))
        .join(render::stats(added, removed, signs));
    if file.op == Op::Unchanged {
        return Text::styled(Style::Dim, signs.skipped)
            .plain(format!(" {} has that content already", file.path));
    }
    if file.tier != edits::Tier::Exact {
        line = line.then(Style::Yellow, format!("  matched {}", file.tier));
    }
    for warning in &file.warnings {
        line = line.then(Style::Yellow, format!("  {warning}"));
    }
    if file.auto_run {
        line = line.then(
            Style::Yellow,
            "  tools run this file by themselves: read it first",
        );
    }
    line
}

/// What a run came to, and the next command.
pub(super) fn conclude(cli: &Cli, told: &Told) {
    let failed = told.failed.len() + told.malformed.len();
    came_to(cli, told.state.word(), (told.built.len(), failed));
}

/// The same for a run whose reply ended in `state`, with so many files (or blocks) built and failed.
pub(super) fn came_to(cli: &Cli, state: &str, (built, failed): (usize, usize)) {
    if cli.json {
        return;
    }
    let ui = &cli.ui;
    if state == messages::State::Stopped.word() {
        ui.note("Stopped: what came of the reply is kept, see `plandex convo`");
    }
    let files = |count: usize| render::counted(count as u64, "file");
    match (built, failed) {
        (0, 0) => ui.note("No changes"),
        (0, failed) => ui.note(format!("No file was built, {failed} failed")),
        (built, 0) => ui.note(format!("{} pending", files(built))),
        (built, failed) => ui.note(format!("{} pending, {failed} failed", files(built))),
    }
    if built > 0 {
        ui.hint("look with `plandex diff`, write them with `plandex apply`");
    } else if failed > 0 {
        ui.hint("mend the edits and `plandex tell` again; nothing else was changed");
    }
}
