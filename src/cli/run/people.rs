//! A run for people. Prose goes to stdout as it comes, line by line; the edits in it fold into a
//! line a file on stderr, where also stands what is going on right now. What is folded is read
//! from the reply's text itself.
//!
//! What a model thinks aloud is no part of its reply: on a terminal its last words stand in the
//! live lines, and `--verbose` prints all of it, dim, on stderr. With `--verbose` nothing is
//! folded.

use super::super::session::Cli;
use super::live::Live;
use super::stage::Stage;
use crate::plan::reply::{Ending, ReplyEvent, ReplyParser};
use crate::plan::{BuiltFile, Event, FailedFile, Op, edits};
use crate::ui::{Style, Text, render};

/// Shows one run to people.
pub(super) struct People<'c> {
    cli: &'c Cli,
    live: Live,
    parser: ReplyParser,
    /// The beginning of a line whose end has not come, where nothing is folded.
    line: String,
    /// The same of what is thought.
    thought: String,
    is_chat: bool,
    /// Whether there is a reply to read from.
    is_reply: bool,
}

impl<'c> People<'c> {
    pub(super) fn new(cli: &'c Cli) -> Self {
        Self {
            cli,
            live: Live::new(&cli.ui),
            parser: ReplyParser::new(),
            line: String::new(),
            thought: String::new(),
            is_chat: false,
            is_reply: false,
        }
    }

    /// Whether the text is shown as it is.
    fn is_raw(&self) -> bool {
        self.is_chat || self.cli.verbosity() > 0
    }

    /// Shows the next event.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Started {
                kind,
                idle_limit_ms,
                ..
            } => {
                self.is_chat = kind == "chat";
                self.live.begin(*idle_limit_ms);
            }
            Event::Phase {
                phase,
                detail: Some(words),
            } if phase == "command" => {
                // What the command says on its stderr.
                self.cli.ui.note(Text::styled(Style::Dim, words.trim_end()));
            }
            Event::Phase { phase, detail } => {
                self.live.phase(phase, detail.as_deref());
            }
            Event::Retrying { .. } => self.retrying(event),
            Event::Thinking { text } => self.think(text),
            Event::Text { text } => self.text(text),
            Event::FileStarted { path, .. } => self.file_started(path),
            Event::Replied { finish, .. } => self.replied(finish),
            Event::Again {
                attempt,
                max,
                paths,
                ..
            } => {
                self.is_reply = false;
                let paths = paths.join(", ");
                self.cli
                    .ui
                    .note(format!("asking again for {paths} ({attempt} of {max})"));
            }
            Event::File {
                path,
                built,
                failed,
                ..
            } => {
                self.live.clear();
                self.file(path, built.as_ref(), failed.as_ref());
            }
            Event::Warning {
                message,
                line: Some(line),
                path,
                ..
            } => {
                let path = path.as_deref().unwrap_or_default();
                let words = format!("reply line {line}: {path} {message}");
                self.cli.ui.warning(words);
            }
            Event::Warning { message, .. } => self.cli.ui.warning(message.as_str()),
            // Read from the text itself, or told by whoever ends the command.
            Event::FileLines { .. } => {}
            Event::Completed { .. } | Event::Failed { .. } => self.live.clear(),
        }
    }

    /// The request failed and is made again.
    fn retrying(&self, event: &Event) {
        let Event::Retrying {
            attempt,
            max,
            delay_ms,
            kind,
            message,
            ..
        } = event
        else {
            return;
        };
        self.cli.ui.note(message.as_str());
        if ["transport", "timeout"].contains(&kind.as_str()) {
            self.cli.ui.note("Connection lost. Reconnecting...");
        }
        let stage = Stage::retrying(kind, (*attempt, *max), *delay_ms);
        self.live.turn_to(stage);
    }

    /// A file was built, or could not be.
    fn file(&self, path: &str, built: Option<&BuiltFile>, failed: Option<&FailedFile>) {
        let ui = &self.cli.ui;
        if let Some(file) = built {
            ui.note(built_line(self.cli, file));
        }
        if let Some(file) = failed {
            let failed = Text::styled(Style::Red, ui.signs().failed);
            ui.note(failed.plain(format!(" {path}")));
            if let Some((last, others)) = file.failures.split_last() {
                others
                    .iter()
                    .for_each(|failure| ui.warning(edits::describe(failure)));
                let remedy = edits::remedy(&file.failures);
                ui.warning(format!("{}  {remedy}\n", edits::describe(last)));
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.is_reply = true;
        self.live.text(text);
        if self.is_raw() {
            let lines = whole_lines(&mut self.line, text);
            if !lines.is_empty() {
                self.cli.ui.raw(lines.as_bytes());
            }
            return;
        }
        let heard = self.parser.push(text);
        self.read(heard);
    }

    fn replied(&mut self, finish: &str) {
        self.live.clear();
        if !self.line.is_empty() {
            self.cli.ui.raw(std::mem::take(&mut self.line).as_bytes());
        }
        if !self.thought.is_empty() {
            let rest = std::mem::take(&mut self.thought);
            self.cli.ui.note(Text::styled(Style::Dim, rest));
        }
        let ending = match finish {
            "stop" => Ending::Complete,
            _ => Ending::CutOff,
        };
        let heard = std::mem::take(&mut self.parser).finish(ending);
        self.read(heard);
    }

    /// Words that are no part of the reply.
    fn think(&mut self, text: &str) {
        self.live.thought(text);
        if self.cli.verbosity() == 0 {
            return;
        }
        for line in whole_lines(&mut self.thought, text).lines() {
            self.cli.ui.note(Text::styled(Style::Dim, line));
        }
    }

    /// A file that the run tells of beside the text: where there is none, it is all there is.
    fn file_started(&self, path: &str) {
        if !self.is_reply {
            self.cli.ui.note(format!("building {path}"));
        }
    }

    fn read(&self, heard: Vec<ReplyEvent>) {
        for event in heard {
            match event {
                ReplyEvent::Prose(text) => self.cli.ui.raw(text.as_bytes()),
                ReplyEvent::FileStarted { path, .. } => {
                    // On a terminal the live lines say it, with how far it has come.
                    if !self.cli.ui.is_live() {
                        self.cli.ui.note(format!("building {path}"));
                    }
                    self.live.file(&path, 0);
                }
                ReplyEvent::FileLines { path, lines } => self.live.file(&path, lines),
                // Events of their own.
                ReplyEvent::Edit(_) | ReplyEvent::Malformed(_) => self.live.no_file(),
            }
        }
    }
}

/// The lines that `text` completes; what is left of it is kept in `line`.
fn whole_lines(line: &mut String, text: &str) -> String {
    // Looked for in what is new only: a line may be very long.
    let Some(end) = text.rfind('\n') else {
        line.push_str(text);
        return String::new();
    };
    let (lines, rest) = text.split_at(end + 1);
    let mut whole = std::mem::replace(line, rest.to_owned());
    whole.push_str(lines);
    whole
}

fn built_line(cli: &Cli, file: &BuiltFile) -> Text {
    let signs = cli.ui.signs();
    let (added, removed) = (file.added as u64, file.removed as u64);
    let name = match &file.moved_to {
        Some(to) => format!("{} {} {to}", file.path, signs.arrow),
        None => file.path.clone(),
    };
    let quiet = match file.op {
        Op::Unchanged => Some("has that content already"),
        Op::Undone => Some("is as the project has it again: nothing of it is pending any more"),
        Op::Add | Op::Update | Op::Delete | Op::Rename => None,
    };
    if let Some(words) = quiet {
        return Text::styled(Style::Dim, signs.skipped).plain(format!(" {name} {words}"));
    }
    let mut line = Text::styled(Style::Green, signs.ok)
        .plain(format!(" {name} "))
        .join(render::stats(added, removed, signs));
    if file.op == Op::Delete {
        line = line.plain("  deleted");
    }
    if file.overwrites {
        line = line.then(Style::Yellow, "  takes the place of a file that is there");
    }
    if file.tier != edits::Tier::Exact {
        line = line.then(Style::Yellow, format!("  matched {}", file.tier));
    }
    for warning in &file.warnings {
        line = line.then(Style::Yellow, format!("  {warning}"));
    }
    let is_program = file.executable == Some(true);
    if is_program {
        line = line.then(Style::Yellow, "  becomes a program: read it first");
    } else if file.auto_run {
        line = line.then(
            Style::Yellow,
            "  tools run this file by themselves: read it first",
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_given_out_when_they_are_whole() {
        let mut line = String::new();
        assert_eq!(whole_lines(&mut line, "a"), "");
        assert_eq!(whole_lines(&mut line, "b\nc\nd"), "ab\nc\n");
        assert_eq!(whole_lines(&mut line, "\n"), "d\n");
        assert_eq!(line, "");
    }
}
