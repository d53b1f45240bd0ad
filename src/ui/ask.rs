//! Questions to the person at the terminal.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use parking_lot::Mutex;

use super::Ui;
use super::style::Text;
use crate::platform::cancel::Cancel;
use crate::platform::wait;

/// The answer to a yes-or-no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Yes.
    Yes,
    /// No; also the end of input, and three answers in a row that were neither.
    No,
    /// Nobody is there to ask (or `--json`: a program reads): nothing was printed.
    NotATerminal,
    /// The command was cancelled while the question stood (Ctrl-C).
    Cancelled,
}

/// What an empty answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// `[Y/n]`
    Yes,
    /// `[y/N]`
    No,
}

/// One entry of a menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// The small letter that chooses it as its number does; unique in its menu.
    pub letter: char,
    /// What it does.
    pub title: &'a str,
}

/// The answer to a menu; places count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// This entry, for the case that was asked about.
    This(usize),
    /// This entry, for this case and all that remain (a capital letter).
    AllThatRemain(usize),
    /// No entry: the end of input, or three answers in a row that were none of them.
    Nothing,
    /// Nobody is there to ask (or `--json`: a program reads): nothing was printed.
    NotATerminal,
    /// The command was cancelled while the question stood (Ctrl-C).
    Cancelled,
}

/// How often a question is put before it counts as not answered.
const ATTEMPTS: usize = 3;

impl Ui {
    /// Asks a yes-or-no question on stderr and reads the answer from stdin, if both are terminals.
    ///
    /// Waits for as long as it takes: never call it in a transaction or under a ticket.
    pub fn confirm(&self, question: impl Into<Text>, preset: Preset) -> Confirmed {
        if !self.can_ask() {
            return Confirmed::NotATerminal;
        }
        let hint = match preset {
            Preset::Yes => "[Y/n]",
            Preset::No => "[y/N]",
        };
        let prompt = question.into().plain(format!(" {hint} "));
        for _ in 0..ATTEMPTS {
            let answer = match self.answer_to(&prompt) {
                Answer::Line(line) => line.trim().to_lowercase(),
                Answer::End => return Confirmed::No,
                Answer::Cancelled => return Confirmed::Cancelled,
            };
            match (answer.as_str(), preset) {
                ("y" | "yes", _) | ("", Preset::Yes) => return Confirmed::Yes,
                ("n" | "no", _) | ("", Preset::No) => return Confirmed::No,
                _ => self.prompt(&"Please answer y or n.\n".into()),
            }
        }
        Confirmed::No
    }

    /// Asks for one of `choices` on stderr and reads the answer from stdin, if both are terminals.
    ///
    /// An answer is a number, or the entry's letter; a capital letter decides all that remain.
    /// Waits for as long as it takes: never call it in a transaction or under a ticket.
    pub fn choose(&self, question: impl Into<Text>, choices: &[Choice<'_>]) -> Chosen {
        if !self.can_ask() {
            return Chosen::NotATerminal;
        }
        self.prompt(&menu(question.into(), choices));
        let prompt = Text::from(prompt(choices));
        for _ in 0..ATTEMPTS {
            let answer = match self.answer_to(&prompt) {
                Answer::Line(line) => line,
                Answer::End => return Chosen::Nothing,
                Answer::Cancelled => return Chosen::Cancelled,
            };
            match pick(answer.trim(), choices) {
                Some(chosen) => return chosen,
                None => self.prompt(&"That is none of the options.\n".into()),
            }
        }
        Chosen::Nothing
    }

    fn answer_to(&self, prompt: &Text) -> Answer {
        self.prompt(prompt);
        let answer = self.keyboard().read_line(self.cancel());
        if !matches!(answer, Answer::Line(_)) {
            // The answer's own newline is missing: what follows starts on a line of its own.
            self.prompt(&"\n".into());
        }
        answer
    }
}

fn menu(question: Text, choices: &[Choice<'_>]) -> Text {
    let entries = choices.iter().enumerate();
    let head = question.plain("\nOptions:\n");
    entries.fold(head, |menu, (place, choice)| {
        menu.plain(format!("  {}. {}\n", place + 1, choice.title))
    })
}

/// `Choice [1/2/3 or o/s/a, a capital letter for all that remain]: `
fn prompt(choices: &[Choice<'_>]) -> String {
    let numbers: Vec<String> = (1..=choices.len())
        .map(|number| number.to_string())
        .collect();
    let letters: Vec<String> = choices
        .iter()
        .map(|choice| choice.letter.to_string())
        .collect();
    format!(
        "Choice [{} or {}, a capital letter for all that remain]: ",
        numbers.join("/"),
        letters.join("/")
    )
}

fn pick(answer: &str, choices: &[Choice<'_>]) -> Option<Chosen> {
    let is_capital = |c: char, choice: &Choice<'_>| choice.letter.to_uppercase().eq([c]);
    let mut chars = answer.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        if let Some(place) = choices.iter().position(|choice| choice.letter == c) {
            return Some(Chosen::This(place));
        }
        if let Some(place) = choices.iter().position(|choice| is_capital(c, choice)) {
            return Some(Chosen::AllThatRemain(place));
        }
    }
    let number: usize = answer.parse().ok()?;
    (1..=choices.len())
        .contains(&number)
        .then(|| Chosen::This(number - 1))
}

/// Where answers come from: a stream that can be read and polled.
pub(super) trait Input: Read + AsFd + Send {}

impl<T: Read + AsFd + Send> Input for T {}

/// Lines that a person types.
pub(super) struct Keyboard(Mutex<Typed>);

struct Typed {
    from: Box<dyn Input>,
    /// Read, but not yet asked for.
    ahead: Vec<u8>,
}

/// What became of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A line without its end.
    Line(String),
    /// No more input (Ctrl-D, or the terminal is gone).
    End,
    /// The command was cancelled first.
    Cancelled,
}

impl Keyboard {
    pub(super) fn new(from: Box<dyn Input>) -> Self {
        Self(Mutex::new(Typed {
            from,
            ahead: Vec::new(),
        }))
    }

    /// Waits for the next line, or until `cancel` is set.
    pub(super) fn read_line(&self, cancel: Option<&Cancel>) -> Answer {
        let mut typed = self.0.lock();
        // Without a bound: a person answers when they like.
        loop {
            if let Some(line) = typed.next_line() {
                return Answer::Line(line);
            }
            if cancel.is_some_and(Cancel::is_set) {
                return Answer::Cancelled;
            }
            match typed.wait(cancel) {
                Heard::Input if typed.read_more() => {}
                Heard::Nothing => {}
                // A hung-up terminal ends the input and cancels at once; the reason wins.
                Heard::Input if cancel.is_some_and(Cancel::is_set) => return Answer::Cancelled,
                Heard::Input | Heard::Failure => return Answer::End,
            }
        }
    }
}

enum Heard {
    Input,
    /// Time passed, or the cancel flag was set: look again.
    Nothing,
    Failure,
}

/// Large enough that std's own buffer of stdin is passed by, where a poll would not see a line.
const CHUNK_BYTES: usize = 8 * 1024;

impl Typed {
    fn next_line(&mut self) -> Option<String> {
        let end = self.ahead.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.ahead.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn wait(&self, cancel: Option<&Cancel>) -> Heard {
        const LOOK_AGAIN: Duration = Duration::from_secs(3_600);
        let mut watched = vec![self.from.as_fd()];
        watched.extend(cancel.map(AsFd::as_fd));
        match wait::readable(&watched, LOOK_AGAIN) {
            Ok(readable) if readable[0] => Heard::Input,
            Ok(_) => Heard::Nothing,
            Err(_) => Heard::Failure,
        }
    }

    /// Reads what is there; false at the end of input. An answer too long to be one is dropped.
    fn read_more(&mut self) -> bool {
        let mut chunk = vec![0; CHUNK_BYTES];
        match self.from.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                if self.ahead.len() >= CHUNK_BYTES {
                    self.ahead.clear();
                }
                self.ahead.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock),
        }
    }
}
