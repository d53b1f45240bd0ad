//! Every command explains itself, and what it shows can be typed.

use clap::Command;

use super::*;

/// Columns of the help of a command, for which it asks where there is no terminal.
const WIDTH: usize = 100;

/// Every command that people see, with the words that call it.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn below(at: &[String], command: &Command, all: &mut Vec<(Vec<String>, Command)>) {
        for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            // That of a command's own commands is clap's.
            if !at.is_empty() && one.get_name() == "help" {
                continue;
            }
            let path = [at, &[one.get_name().to_owned()]].concat();
            below(&path, one, all);
            all.push((path, one.clone()));
        }
    }
    let mut whole = overview::command();
    whole.build();
    let mut all = Vec::new();
    below(&[], &whole, &mut all);
    all
}

/// The lines of its examples, each without its remark.
fn examples(command: &Command) -> Vec<String> {
    let help = command.get_after_long_help().or(command.get_after_help());
    let help = help.map(ToString::to_string);
    let help = help.unwrap_or_default();
    let part = help
        .split("\n\n")
        .find_map(|part| part.strip_prefix("Examples:\n"));
    let lines = part.unwrap_or_default().lines();
    lines
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split("   ").next().unwrap_or_default())
        .map(|line| line.split("  ").next().unwrap_or_default().to_owned())
        .collect()
}

/// The plandex commands of a line for a shell: each as its words, operators apart from them.
fn calls(line: &str) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    for segment in segments(line) {
        let start = segment.iter().position(|word| word == "plandex");
        let leads = |word: &String| {
            word.contains('=') || ["do", "then", "if", "while", "xargs"].contains(&word.as_str())
        };
        if let Some(start) = start
            && segment[..start].iter().all(leads)
        {
            calls.push(segment[start..].to_vec());
        }
    }
    calls
}

/// Words between `;`, `|`, `&` and parentheses; redirections are left out.
fn segments(line: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut is_target = false;
    for c in line.chars().chain([' ']) {
        if quote == Some(c) {
            quote = None;
        } else if quote.is_some() {
            word.get_or_insert_default().push(c);
        } else if c == '\'' || c == '"' {
            quote = Some(c);
            word.get_or_insert_default();
        } else if c.is_whitespace() || ";|&()<>".contains(c) {
            if let Some(word) = word.take()
                && !std::mem::take(&mut is_target)
                && let Some(segment) = all.last_mut()
            {
                segment.push(word);
            }
            match c {
                '<' | '>' => is_target = true,
                ';' | '|' | '&' | '(' | ')' => {
                    is_target = false;
                    all.push(Vec::new());
                }
                _ => {}
            }
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    all
}

#[test]
fn every_command_has_examples_that_can_be_typed() {
    let commands = commands();
    assert!(commands.len() > 45, "only {} commands", commands.len());
    for (path, command) in commands {
        let calls: Vec<Vec<String>> = examples(&command)
            .iter()
            .flat_map(|line| calls(line))
            .collect();
        let names: Vec<&str> = command.get_name_and_visible_aliases();
        let is_own = |call: &Vec<String>| call.iter().any(|word| names.contains(&word.as_str()));
        assert!(
            calls.iter().any(is_own),
            "{path:?} has no example of itself: {calls:?}"
        );
        for call in calls {
            if let Err(error) = overview::command().try_get_matches_from(&call) {
                assert!(
                    !error.use_stderr(),
                    "{path:?}: {call:?} is no command: {error}"
                );
            }
        }
    }
}

#[test]
fn every_command_is_explained_in_lines_that_fit() {
    for (path, mut command) in commands() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(!about.is_empty(), "{path:?} does not say what it does");
        for (arg, help) in command
            .get_arguments()
            .map(|arg| (arg.get_id(), arg.get_help()))
        {
            assert!(
                help.is_some(),
                "{path:?}: {arg} does not say what it is for"
            );
        }
        let texts = [command.render_help(), command.render_long_help()];
        for line in texts.iter().flat_map(|text| {
            let text = text.to_string();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        }) {
            assert!(line.chars().count() <= WIDTH, "{path:?}: {line:?}");
        }
    }
}

#[test]
fn a_line_for_a_shell_is_taken_apart() {
    let line = "X=1 plandex cd 'a b' && (plandex tell -f p </dev/null | cat plandex); \
                source <(plandex ls)";
    let expected = ["plandex cd,a b", "plandex tell,-f,p", "plandex ls"].map(|call| {
        let words = call
            .split(',')
            .flat_map(|word| match word.strip_prefix("plandex ") {
                Some(rest) => vec!["plandex".to_owned(), rest.to_owned()],
                None => vec![word.to_owned()],
            });
        words.collect::<Vec<_>>()
    });
    assert_eq!(calls(line), expected);
}
