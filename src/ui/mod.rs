//! The terminal: the only room that writes to stdout and stderr, and that reads answers.
//!
//! The one hard rule: text from outside reaches a person escaped, whoever prints it and wherever
//! it goes (HAZARDS.md H17). So there is one sink, [`Ui`], and no other way out. stdout carries
//! the data that was asked for; everything else goes to stderr. With `--json` stdout carries JSON
//! and nothing but JSON: lines meant for people then go to stderr.
//!
//! Printing never fails and never panics, because whoever prints may hold a ticket. What became
//! of stdout is remembered instead, for the exit code.
//!
//! A write to a terminal may block for ever (Ctrl-S). Nothing here holds a lock of this room
//! longer than its one write, and nobody may print while a transaction is open.

mod ask;
pub mod escape;
mod live;
mod pager;
pub mod render;
mod sink;
mod style;
mod table;
mod ticking;

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use crate::config::Environment;
use crate::platform::cancel::Cancel;
use crate::platform::{terminal, wait};

pub use ask::{Choice, Chosen, Confirmed, Preset};
pub use live::{Bar, Progress};
pub use style::{ASCII, Colour, Signs, Style, Text, UNICODE};
pub use table::{Frame, Table};
pub use ticking::Ticking;

use ask::{Input, Keyboard};
use live::Screen;
use sink::{Ended, Sink};

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColourChoice {
    /// On a terminal, unless `NO_COLOR` is set; or `CLICOLOR_FORCE` is.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What decides how a command prints.
#[derive(Debug, Clone)]
pub struct UiSettings<'a> {
    /// The environment of this process.
    pub environment: &'a Environment,
    /// `--color`.
    pub colour: ColourChoice,
    /// `--json`: stdout carries JSON and nothing else, and nobody is asked.
    pub json: bool,
    /// `--quiet`: no notes, hints and progress; results, warnings, errors and questions stay.
    pub quiet: bool,
    /// Ends a question when set.
    pub cancel: Option<Cancel>,
}

impl<'a> UiSettings<'a> {
    /// The settings of a command without flags.
    pub fn new(environment: &'a Environment) -> Self {
        Self {
            environment,
            colour: ColourChoice::Auto,
            json: false,
            quiet: false,
            cancel: None,
        }
    }
}

/// How a sink beside another one prints.
#[derive(Debug, Clone, Copy)]
pub struct Printing {
    /// `--json`.
    pub json: bool,
    /// `--quiet`.
    pub quiet: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Lines that are rewritten in place.
    Live,
    /// A line now and then.
    Plain,
    /// Not at all.
    Silent,
}

/// The one way out to a person or a pipe. Clones are the same sink; any thread may print.
#[derive(Clone)]
pub struct Ui(Arc<Inner>);

struct Inner {
    stdout: Sink,
    stderr: Arc<Sink>,
    keyboard: Keyboard,
    /// Where live lines are drawn; made by the first of them.
    screen: OnceLock<Screen>,
    stdout_columns: Columns,
    stderr_columns: Columns,
    stdout_colour: Colour,
    stderr_colour: Colour,
    signs: &'static Signs,
    manner: Manner,
    can_redraw: bool,
    json: bool,
    quiet: bool,
    can_ask: bool,
    cancel: Option<Cancel>,
}

/// The width of a terminal now; `None` for a stream that is no terminal.
type Columns = Option<fn() -> usize>;

/// The three streams of a process, and which of them are terminals.
struct Streams {
    stdin: Box<dyn Input>,
    stdin_is_terminal: bool,
    stdout: Box<dyn Write + Send>,
    stdout_columns: Columns,
    stderr: Box<dyn Write + Send>,
    stderr_columns: Columns,
}

/// The width of a terminal that does not tell.
const COLUMNS_DEFAULT: usize = 80;

impl Streams {
    fn of_process() -> Self {
        fn stdout_columns() -> usize {
            terminal::columns(io::stdout().as_fd()).unwrap_or(COLUMNS_DEFAULT)
        }
        fn stderr_columns() -> usize {
            terminal::columns(io::stderr().as_fd()).unwrap_or(COLUMNS_DEFAULT)
        }
        Self {
            stdin_is_terminal: io::stdin().is_terminal(),
            stdin: Box::new(io::stdin()),
            stdout_columns: io::stdout().is_terminal().then_some(stdout_columns as _),
            stdout: Box::new(io::stdout()),
            stderr_columns: io::stderr().is_terminal().then_some(stderr_columns as _),
            stderr: Box::new(io::stderr()),
        }
    }
}

impl Ui {
    /// The sink over this process's streams.
    pub fn new(settings: &UiSettings<'_>) -> Self {
        Self::over(Streams::of_process(), settings)
    }

    /// A sink like this one over other streams, for what is kept and passed on whole: nobody is
    /// asked there, and nothing is rewritten in place.
    pub fn beside(
        &self,
        stdout: impl Write + Send + 'static,
        stderr: impl Write + Send + 'static,
        printing: Printing,
    ) -> Self {
        let ours = &self.0;
        Self(Arc::new(Inner {
            stdout: Sink::new(Box::new(stdout)),
            stderr: Arc::new(Sink::new(Box::new(stderr))),
            keyboard: Keyboard::new(Box::new(io::stdin())),
            screen: OnceLock::new(),
            stdout_columns: ours.stdout_columns,
            stderr_columns: ours.stderr_columns,
            stdout_colour: ours.stdout_colour,
            stderr_colour: ours.stderr_colour,
            signs: ours.signs,
            manner: match printing.quiet {
                true => Manner::Silent,
                false => Manner::Plain,
            },
            json: printing.json,
            quiet: printing.quiet,
            can_ask: false,
            can_redraw: false,
            cancel: None,
        }))
    }

    /// Passes on what a sink like this one, or a program of the user's, has written: as it is.
    pub fn pass_on(&self, stdout: &[u8], stderr: &[u8]) {
        let print = || {
            if !stdout.is_empty() {
                self.0.stdout.write_bytes(stdout);
            }
            if !stderr.is_empty() {
                self.0.stderr.write_bytes(stderr);
            }
        };
        match self.0.screen.get() {
            Some(screen) => screen.above(print),
            None => print(),
        }
    }

    fn over(streams: Streams, settings: &UiSettings<'_>) -> Self {
        let environment = settings.environment;
        let is_dumb = environment.has_dumb_terminal();
        let colour = |columns: Columns| colour(settings, columns.is_some() && !is_dumb);
        let manner = if settings.quiet {
            Manner::Silent
        } else if streams.stderr_columns.is_none() || is_dumb || environment.ci || settings.json {
            Manner::Plain
        } else {
            Manner::Live
        };
        Self(Arc::new(Inner {
            stdout: Sink::new(streams.stdout),
            stderr: Arc::new(Sink::new(streams.stderr)),
            keyboard: Keyboard::new(streams.stdin),
            screen: OnceLock::new(),
            stdout_columns: streams.stdout_columns,
            stderr_columns: streams.stderr_columns,
            stdout_colour: colour(streams.stdout_columns),
            stderr_colour: colour(streams.stderr_columns),
            signs: if environment.has_utf8_locale() {
                &UNICODE
            } else {
                &ASCII
            },
            manner,
            can_redraw: !is_dumb && !environment.ci,
            json: settings.json,
            quiet: settings.quiet,
            can_ask: streams.stdin_is_terminal
                && streams.stderr_columns.is_some()
                && !settings.json,
            cancel: settings.cancel.clone(),
        }))
    }

    /// Prints a result for people on stdout, and a newline.
    pub fn line(&self, text: impl Into<Text>) {
        self.data(&text.into().plain("\n"));
    }

    /// Prints a table of results for people on stdout, never wider than the terminal.
    pub fn table(&self, table: &Table) {
        let columns = if self.0.json {
            self.0.stderr_columns
        } else {
            self.0.stdout_columns
        };
        self.data(&Text::from(table.shown(columns.map(|columns| columns()))));
    }

    /// Prints a whole body as it is (but escaped) on stdout: a file, a message. No newline is
    /// added on a pipe; on a terminal one that is missing at the end is.
    pub fn raw(&self, body: &[u8]) {
        let mut shown = escape::bytes(body);
        let is_cut = !shown.is_empty() && !shown.ends_with('\n');
        if is_cut && self.0.stdout_columns.is_some() {
            shown.push('\n');
        }
        self.data_shown(&shown);
    }

    /// Prints one compact JSON document and a newline on stdout; its strings are escaped so that
    /// a terminal is safe, and read back as they were.
    pub fn json(&self, document: &impl Serialize) {
        self.to_stdout(&compact(document));
    }

    /// Prints one compact JSON document and a newline on stderr: an error for a program.
    pub fn json_error(&self, document: &impl Serialize) {
        self.to_stderr(&compact(document));
    }

    /// Says something beside the result, on stderr; `--quiet` does not.
    pub fn note(&self, text: impl Into<Text>) {
        if !self.0.quiet {
            self.say(text.into());
        }
    }

    /// Prints `warning: …` on stderr.
    pub fn warning(&self, text: impl Into<Text>) {
        self.say(
            Text::styled(Style::Yellow, "warning:")
                .plain(" ")
                .join(text),
        );
    }

    /// Prints `error: …` on stderr.
    pub fn error(&self, text: impl Into<Text>) {
        self.say(Text::styled(Style::Red, "error:").plain(" ").join(text));
    }

    /// Says on stderr, in whole sentences, what did not happen and why; `--quiet` says it too.
    pub fn refusal(&self, text: impl Into<Text>) {
        self.say(text.into());
    }

    /// Prints `hint: …` with a next command on stderr; `--quiet` does not.
    pub fn hint(&self, text: impl Into<Text>) {
        self.note(Text::styled(Style::Cyan, "hint:").plain(" ").join(text));
    }

    /// Whether whoever read stdout has closed it: the exit code is 141, and no work for output is
    /// worth doing any more.
    pub fn stdout_closed(&self) -> bool {
        self.0.stdout.ended() == Some(&Ended::Closed)
    }

    /// Why stdout could not be written (a full disk), if so: the result is incomplete and the
    /// command has failed.
    pub fn stdout_failure(&self) -> Option<&str> {
        match self.0.stdout.ended()? {
            Ended::Closed => None,
            Ended::Failed(reason) => Some(reason),
        }
    }

    /// Whether what stands on the terminal behind stdout can be replaced by something newer.
    pub fn can_redraw(&self) -> bool {
        self.0.stdout_columns.is_some() && self.0.can_redraw && !self.0.json
    }

    /// Empties the terminal behind stdout, if it [can be](Self::can_redraw).
    pub fn clear_screen(&self) {
        if self.can_redraw() {
            self.to_stdout("\x1b[H\x1b[2J");
        }
    }

    /// Whether nobody reads stdout any more, though nothing was written to it since: what a
    /// follower that has nothing to say asks.
    pub fn reader_is_gone(&self) -> bool {
        self.stdout_closed() || wait::is_hung_up(io::stdout().as_fd())
    }

    /// The signs that this locale can show.
    pub fn signs(&self) -> &'static Signs {
        self.0.signs
    }

    /// The width of the terminal behind stdout; `None` if it is no terminal: nothing is cut then.
    pub fn width(&self) -> Option<usize> {
        self.0.stdout_columns.map(|columns| columns())
    }

    /// The width of the terminal behind stderr; `None` if it is no terminal.
    pub fn stderr_width(&self) -> Option<usize> {
        self.0.stderr_columns.map(|columns| columns())
    }

    /// Whether lines on stderr can be rewritten in place: a terminal that takes more than text,
    /// outside CI, where nobody asked for silence or JSON.
    pub fn is_live(&self) -> bool {
        self.0.manner == Manner::Live
    }

    /// Whether only results, warnings and errors are printed.
    pub fn is_quiet(&self) -> bool {
        self.0.quiet
    }

    /// The height of the terminal behind stdout; `None` if it is no terminal or does not tell.
    pub fn height(&self) -> Option<usize> {
        terminal::rows(io::stdout().as_fd()).filter(|_| self.0.stdout_columns.is_some())
    }

    /// Whether results are to be printed with [`json`](Self::json).
    pub fn is_json(&self) -> bool {
        self.0.json
    }

    fn say(&self, text: Text) {
        self.to_stderr(&text.plain("\n").shown(self.0.stderr_colour));
    }

    /// Results for people: on stderr with `--json`, where stdout is for the program.
    fn data(&self, text: &Text) {
        let colour = if self.0.json {
            self.0.stderr_colour
        } else {
            self.0.stdout_colour
        };
        self.data_shown(&text.shown(colour));
    }

    fn data_shown(&self, shown: &str) {
        match (self.0.json, self.0.quiet) {
            (false, _) => self.to_stdout(shown),
            (true, false) => self.to_stderr(shown),
            (true, true) => {}
        }
    }

    fn to_stdout(&self, shown: &str) {
        match self.0.screen.get() {
            Some(screen) if self.0.stdout_columns.is_some() => {
                screen.above(|| self.0.stdout.write(shown));
            }
            _ => self.0.stdout.write(shown),
        }
    }

    fn to_stderr(&self, shown: &str) {
        match self.0.screen.get() {
            Some(screen) => screen.above(|| self.0.stderr.write(shown)),
            None => self.0.stderr.write(shown),
        }
    }

    // What the other files of this room need.

    fn prompt(&self, text: &Text) {
        if let Some(screen) = self.0.screen.get() {
            screen.hide();
        }
        self.0.stderr.write(&text.shown(self.0.stderr_colour));
    }

    /// Whether somebody sits at a terminal who can be asked, and no program reads in their place.
    pub fn can_ask(&self) -> bool {
        self.0.can_ask
    }

    fn keyboard(&self) -> &Keyboard {
        &self.0.keyboard
    }

    fn cancel(&self) -> Option<&Cancel> {
        self.0.cancel.as_ref()
    }

    fn manner(&self) -> Manner {
        self.0.manner
    }

    fn screen(&self) -> &Screen {
        let columns = self.0.stderr_columns.unwrap_or(|| COLUMNS_DEFAULT);
        let new = || Screen::new(Arc::clone(&self.0.stderr), columns);
        self.0.screen.get_or_init(new)
    }
}

impl fmt::Debug for Ui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ui").finish_non_exhaustive()
    }
}

/// Whether styles are written to a stream, of which `is_terminal` says if it shows them.
fn colour(settings: &UiSettings<'_>, is_terminal: bool) -> Colour {
    let environment = settings.environment;
    let is_on = match settings.colour {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto if environment.no_color => false,
        ColourChoice::Auto => environment.clicolor_force || is_terminal,
    };
    if is_on { Colour::On } else { Colour::Off }
}

/// A document on one line. What cannot be serialised (a map with keys that are no strings) is a
/// mistake of ours, and said as JSON, so that a reader never waits for a line that does not come.
fn compact(document: &impl Serialize) -> String {
    let text = serde_json::to_string(document)
        .unwrap_or_else(|error| serde_json::json!({ "error": error.to_string() }).to_string());
    format!("{}\n", escape::json(&text))
}

#[cfg(test)]
mod tests;
