//! A terminal with a shell on it, into which a document's commands are typed.
//!
//! The shell's prompt carries a mark that nobody sees, with the exit code of the command before:
//! that is how the test knows that a command has ended, and how.

use std::num::NonZero;
use std::path::PathBuf;

use super::same;
use crate::support::{OnTerminal, SOON, Sandbox, poll};

/// Columns; what a document shows is no wider.
const COLUMNS: u16 = 100;
/// More rows than any block has.
const ROWS: u16 = 500;

/// The mark before the prompt; the exit code stands between the two.
const MARK: (&str, &str) = ("\x1b]0;", "\x07");
/// The mark before the prompt of a line that goes on.
const GOES_ON: &str = "\x1b]1;\x07";

pub(super) struct Terminal<'s> {
    sandbox: &'s Sandbox,
    shell: OnTerminal<'s>,
    /// How many commands have ended.
    ended: usize,
    /// The command that has been started and not waited for.
    at_work: Option<String>,
}

/// A command of a block: what is typed, and what the document shows below it.
pub(super) struct Step<'t> {
    pub(super) lines: Vec<&'t str>,
    pub(super) shown: Vec<&'t str>,
}

/// The commands of a console block.
pub(super) fn steps(text: &str) -> Result<Vec<Step<'_>>, String> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                lines: vec![command],
                shown: Vec::new(),
            });
            continue;
        }
        let Some(step) = steps.last_mut() else {
            return Err("a console block begins with `$ `".to_owned());
        };
        match line.strip_prefix("> ").or((line == ">").then_some("")) {
            Some(more) if step.shown.is_empty() => step.lines.push(more),
            Some(_) | None => step.shown.push(line),
        }
    }
    // An empty line between two commands is for the eye.
    for step in &mut steps {
        while step.shown.last().is_some_and(|line| line.is_empty()) {
            step.shown.pop();
        }
    }
    Ok(steps)
}

/// A question and its answer: `Apply? [y/N] y`, `Choice [1/2/3]: 3`.
fn question(line: &str) -> Option<(&str, &str)> {
    let end = match line.rfind("]: ") {
        Some(at) if line.contains('[') => at + 2,
        _ if line.contains("? [") => line.rfind("] ")? + 1,
        _ => return None,
    };
    Some((&line[..end], &line[end + 1..]))
}

/// plandex and the sandbox's own programs, found by their names.
pub(super) fn search_path(sandbox: &Sandbox) -> std::ffi::OsString {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_plandex"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = [
        own.parent().unwrap().to_owned(),
        sandbox.place().join("bin"),
    ];
    std::env::join_paths(first.into_iter().chain(std::env::split_paths(&path))).unwrap()
}

impl<'s> Terminal<'s> {
    pub(super) fn new(sandbox: &'s Sandbox, cwd: &std::path::Path) -> Self {
        let prompt = format!("{}$?{}$ ", MARK.0, MARK.1);
        let shell = sandbox
            .program("sh", ["-i"])
            .cwd(cwd)
            .env("PATH", search_path(sandbox))
            .env("PS1", prompt)
            .env("PS2", format!("{GOES_ON}> "))
            .on_terminal(COLUMNS);
        let mut terminal = Self {
            sandbox,
            shell,
            ended: 0,
            at_work: None,
        };
        terminal.until_prompt();
        terminal
    }

    /// Types a command and waits for its end; its exit code and what stands below it.
    pub(super) fn run(&mut self, step: &Step<'_>) -> (i32, Vec<String>) {
        self.begin(step);
        self.answer(step);
        let code = self.until_prompt();
        self.at_work = None;
        (code, self.rows())
    }

    /// Types a command, unless it is at work already, and waits until what stands below it is what
    /// the document shows.
    pub(super) fn see(&mut self, step: &Step<'_>) -> Result<(), String> {
        if !self.is_at_work(step) {
            self.begin(step);
        }
        let shows = || same::compare(&step.shown, &self.rows()).ok();
        match poll(SOON, shows) {
            Some(()) => Ok(()),
            None => {
                same::compare(&step.shown, &self.rows()).map_err(|error| self.differs(step, &error))
            }
        }
    }

    /// What is not as the document says.
    pub(super) fn differs(&self, step: &Step<'_>, difference: &str) -> String {
        let command = step.lines.join("\n");
        let seen = self.rows().join("\n");
        format!("`{command}`: {difference}\nand the terminal shows\n{seen}\n")
    }

    /// Whether the step is the command that is still at work here.
    pub(super) fn is_at_work(&self, step: &Step<'_>) -> bool {
        self.at_work.as_deref() == Some(&step.lines.join("\n"))
    }

    /// Whether a command is at work here.
    pub(super) fn is_busy(&self) -> bool {
        self.at_work.is_some()
    }

    /// Waits for the end of the command at work.
    pub(super) fn end(&mut self) -> (i32, Vec<String>) {
        let code = self.until_prompt();
        self.at_work = None;
        (code, self.rows())
    }

    /// Types keys, `^D` and `^C` among them.
    pub(super) fn keys(&mut self, keys: &str) {
        let keys = keys.replace("^D", "\x04").replace("^C", "\x03");
        self.shell.type_in(&keys);
    }

    fn begin(&mut self, step: &Step<'_>) {
        assert!(
            self.at_work.is_none(),
            "{:?} is still at work in this terminal",
            self.at_work
        );
        self.at_work = Some(step.lines.join("\n"));
        for (index, line) in step.lines.iter().enumerate() {
            self.shell.type_in(&format!("{line}\n"));
            if index + 1 < step.lines.len() {
                let what = format!("the shell asks for more after {line:?}");
                self.sandbox.until(&what, || {
                    (self.since_prompt().matches(GOES_ON).count() > index).then_some(())
                });
            }
        }
    }

    /// Answers the questions that the document shows with their answers.
    fn answer(&mut self, step: &Step<'_>) {
        for line in &step.shown {
            let Some((question, answer)) = question(line) else {
                continue;
            };
            self.sandbox
                .until(&format!("somebody asks {question:?}"), || {
                    let rows = self.rows();
                    rows.iter()
                        .any(|row| row.trim_end() == question)
                        .then_some(())
                });
            self.shell.type_in(&format!("{answer}\n"));
        }
    }

    /// Waits until the shell asks for a command; the exit code of the one before.
    fn until_prompt(&mut self) -> i32 {
        let number = self.ended;
        let code = self
            .sandbox
            .until(&format!("prompt {number} of a terminal"), || {
                let raw = self.shell.raw();
                let mark = raw.split(MARK.0).nth(number + 1)?;
                let (code, prompt) = mark.split_once(MARK.1)?;
                prompt.starts_with("$ ").then(|| code.parse().unwrap())
            });
        self.ended += 1;
        code
    }

    /// What was drawn since the last command's prompt.
    fn since_prompt(&self) -> String {
        let raw = self.shell.raw();
        let from = if self.at_work.is_some() {
            self.ended
        } else {
            self.ended - 1
        };
        let pieces: Vec<&str> = raw.split(MARK.0).collect();
        pieces.get(from).copied().unwrap_or_default().to_owned()
    }

    /// The rows below the command typed last.
    fn rows(&self) -> Vec<String> {
        let drawn = self.since_prompt();
        let last_line = drawn.rfind(GOES_ON).unwrap_or(0);
        let Some(echo) = drawn[last_line..].find('\n') else {
            return Vec::new();
        };
        let size = |count| NonZero::new(count).unwrap();
        let mut parser = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
        parser.process(&drawn.as_bytes()[last_line + echo + 1..]);
        let screen = parser.screen();
        let mut rows: Vec<String> = Vec::new();
        let mut goes_on = false;
        for (index, row) in (0..ROWS).zip(screen.rows(0, COLUMNS)) {
            match rows.last_mut().filter(|_| goes_on) {
                // A line that is longer than the terminal is wide.
                Some(last) => last.push_str(row.trim_end()),
                None => rows.push(row.trim_end().to_owned()),
            }
            goes_on = screen.row_wrapped(index);
        }
        let filled = rows.iter().rposition(|row| !row.is_empty());
        rows.truncate(filled.map_or(0, |last| last + 1));
        // Where the shell stands is somewhere in a reader's home.
        let home = self.sandbox.place().join("home");
        let shown = [
            (self.sandbox.root(), "/home/you/project"),
            (home.as_path(), "/home/you"),
        ];
        for row in &mut rows {
            for (path, name) in shown {
                *row = row.replace(&*path.to_string_lossy(), name);
            }
        }
        rows
    }
}
