//! The lines of a batch: words as a shell would split them, or JSON; each checked before any runs.

use clap::{CommandFactory as _, FromArgMatches as _};
use serde::Deserialize;

use super::super::args::{Arguments, Command, Global};
use super::super::session;
use super::order;
use crate::config;

/// One command of a batch.
#[derive(Debug)]
pub(super) struct Line {
    /// Its place in the file, from 1.
    pub(super) number: usize,
    /// What its author calls it (JSON lines only).
    pub(super) id: Option<serde_json::Value>,
    /// The words, without the program's name.
    pub(super) words: Vec<String>,
    pub(super) global: Global,
    pub(super) command: Command,
}

impl Line {
    /// The command as it could be typed.
    pub(super) fn typed(&self) -> String {
        let words = self.words.iter().map(|word| config::quoted(word));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A line that is no command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) number: usize,
    pub(super) problem: String,
}

/// A line as JSON object; the array alone is its `args`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    args: Vec<String>,
    plan: Option<String>,
    branch: Option<String>,
    wait: Option<String>,
    id: Option<serde_json::Value>,
}

impl Object {
    fn of(args: Vec<String>) -> Self {
        Self {
            args,
            plan: None,
            branch: None,
            wait: None,
            id: None,
        }
    }

    /// The words with what the other fields say as flags, before a program's own arguments.
    fn words(self) -> (Vec<String>, Option<serde_json::Value>) {
        let mut words = Vec::new();
        for (flag, value) in [
            ("--plan", self.plan),
            ("--branch", self.branch),
            ("--wait", self.wait),
        ] {
            if let Some(value) = value {
                words.push(format!("{flag}={value}"));
            }
        }
        let mut args = self.args;
        // What is pasted from a shell begins with the program.
        if args.first().is_some_and(|word| word == "plandex") {
            args.remove(0);
        }
        words.extend(args);
        (words, self.id)
    }
}

/// All commands of `text`, or every line that is none.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Line>, Vec<Malformed>> {
    let mut parser = Parser(Arguments::command());
    let (mut lines, mut malformed) = (Vec::new(), Vec::new());
    for (index, bytes) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        match parser.line(number, bytes) {
            Ok(line) => lines.extend(line),
            Err(problem) => malformed.push(Malformed { number, problem }),
        }
    }
    if malformed.is_empty() {
        Ok(lines)
    } else {
        Err(malformed)
    }
}

struct Parser(clap::Command);

impl Parser {
    /// `None` for a blank line or a comment.
    fn line(&mut self, number: usize, bytes: &[u8]) -> Result<Option<Line>, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        if text.contains('\0') {
            return Err("it holds a NUL byte".to_owned());
        }
        let text = text.trim_matches([' ', '\t', '\r', '\u{feff}']);
        let object = match text.chars().next() {
            None | Some('#') => return Ok(None),
            Some('[') => Object::of(json(text)?),
            Some('{') => json(text)?,
            Some(_) => Object::of(split(text)?),
        };
        let (words, id) = object.words();
        if words.is_empty() {
            return Err("there is no command in it".to_owned());
        }
        let (global, command) = self.command(&words)?;
        Ok(Some(Line {
            number,
            id,
            words,
            global,
            command,
        }))
    }

    fn command(&mut self, words: &[String]) -> Result<(Global, Command), String> {
        let all = std::iter::once("plandex").chain(words.iter().map(String::as_str));
        let found = self.0.try_get_matches_from_mut(all);
        let arguments = found.and_then(|matches| Arguments::from_arg_matches(&matches));
        let Arguments {
            mut global,
            command,
        } = arguments.map_err(|error| first_line(&error))?;
        global.json |= command.is_request();
        session::wait(&global).map_err(|error| format!("{error:#}"))?;
        if let Some(why) = order::not_in_a_batch(&command) {
            return Err(why.to_owned());
        }
        Ok((global, command))
    }
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("{error} (wanted: [\"tell\", …] or {{\"args\": [\"tell\", …], \"plan\": …}})")
    })
}

/// What clap says first: "unrecognized subcommand 'tel'".
fn first_line(error: &clap::Error) -> String {
    if !error.use_stderr() {
        return "it asks for help, which does nothing".to_owned();
    }
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let words: Vec<&str> = lines.map(str::trim).collect();
    let words = words.join(" ");
    words.strip_prefix("error: ").unwrap_or(&words).to_owned()
}

/// Splits words as a POSIX shell does; nothing is expanded, and a `#` that begins a word begins a
/// comment.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' => words.extend(word.take()),
            '#' if word.is_none() => break,
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(unclosed('\'')),
                    }
                }
            }
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => {
                    return Err("it ends in a backslash, and a command is one line".to_owned());
                }
            },
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '`' => return Err(no_shell(c)),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    loop {
        match chars.next() {
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err(unclosed('"')),
            },
            Some(c) => word.push(c),
            None => return Err(unclosed('"')),
        }
    }
}

fn unclosed(quote: char) -> String {
    format!("the {quote} is never closed (a line break in a word can be written in JSON: \"\\n\")")
}

/// A shell would do something here, and we would not.
fn no_shell(sign: char) -> String {
    format!(
        "{sign} means nothing here, as no shell reads it: put it in quotes, or use `exec -- sh -c '…'`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn words_of(line: &str, expected: &[&str]) {
        let lines = parse(line.as_bytes()).unwrap();
        let words: Vec<&str> = lines
            .iter()
            .flat_map(|line| &line.words)
            .map(String::as_str)
            .collect();
        assert_eq!(words, expected, "{line}");
    }

    #[track_caller]
    fn problem_of(line: &str, expected: &str) {
        let malformed = parse(line.as_bytes()).unwrap_err();
        assert_eq!(malformed.len(), 1, "{malformed:?}");
        assert!(malformed[0].problem.contains(expected), "{malformed:?}");
    }

    #[test]
    fn lines_may_be_words_or_json_and_nothing_is_expanded() {
        words_of("tell 'a  b'", &["tell", "a  b"]);
        words_of(r#"tell "a \"b\" $c \n \\""#, &["tell", r#"a "b" $c \n \"#]);
        words_of(r"tell a\ b\'c", &["tell", "a b'c"]);
        words_of("tell 'it'\\''s' # because", &["tell", "it's"]);
        words_of("tell '' ", &["tell", ""]);
        words_of("tell a#b\r", &["tell", "a#b"]);
        words_of("  plandex convo", &["convo"]);
        words_of("", &[]);
        words_of("# plandex convo", &[]);
        words_of(r#"["tell", "two\nlines"]"#, &["tell", "two\nlines"]);
        words_of(
            r#"{"args": ["convo"], "plan": "a", "branch": "b", "wait": "0", "id": 7}"#,
            &["--plan=a", "--branch=b", "--wait=0", "convo"],
        );
        words_of(
            "exec -- sh -c 'a; b | c'",
            &["exec", "--", "sh", "-c", "a; b | c"],
        );
    }

    #[test]
    fn every_malformed_line_is_named_and_numbered() {
        problem_of("tel x", "unrecognized subcommand 'tel'");
        problem_of("checkout", "<NAME>");
        problem_of("tell 'x", "never closed");
        problem_of("tell \"x\\", "never closed");
        problem_of("tell x\\", "backslash");
        problem_of("convo | wc", "| means nothing here");
        problem_of("convo > file", "> means nothing here");
        problem_of("batch -", "cannot hold a batch");
        for endless in ["ps --watch", "locks --watch", "events --follow"] {
            problem_of(endless, "go on until it is stopped");
        }
        problem_of("tell --help", "asks for help");
        problem_of("tell x --wait soon", "--wait");
        problem_of(r#"["tell", 7]"#, "wanted");
        problem_of(r#"{"args": ["convo"], "plam": "a"}"#, "plam");
        problem_of("[]", "no command");
        problem_of("tell a\0b", "NUL");
        let malformed = parse(b"convo\n\ntel\nconvo\n\xff\n").unwrap_err();
        let numbers: Vec<usize> = malformed.iter().map(|found| found.number).collect();
        assert_eq!(numbers, [3, 5]);
    }

    #[test]
    fn a_line_can_be_typed_again() {
        let lines = parse(b"convo\ntell 'a  b' --plan x\n").unwrap();
        let typed: Vec<String> = lines.iter().map(Line::typed).collect();
        assert_eq!(typed, ["convo", "tell 'a  b' --plan x"]);
        assert_eq!(lines[1].number, 2);
    }
}
