//! `plandex help`: the commands, in groups.

use clap::{Command, CommandFactory as _};

use super::args::Arguments;

/// Which commands stand together. A test holds this against the commands there are.
pub(super) const GROUPS: [(&str, &[&str]); 9] = [
    (
        "Plans",
        &[
            "new",
            "plans",
            "cd",
            "current",
            "rename",
            "archive",
            "unarchive",
            "delete-plan",
            "undelete",
        ],
    ),
    (
        "What a plan is shown",
        &["load", "ls", "show", "rm", "clear", "update"],
    ),
    (
        "Asking",
        &["tell", "continue", "chat", "build", "convo", "summary"],
    ),
    ("Pending changes", &["diff", "apply", "reject", "who"]),
    (
        "Branches and versions",
        &["branches", "checkout", "delete-branch", "log", "rewind"],
    ),
    (
        "Who works, who waits",
        &["status", "ps", "locks", "connect", "stop", "events"],
    ),
    ("Settings", &["config", "set-config", "models", "set-model"]),
    (
        "Scripts and care",
        &["exec", "batch", "hook", "doctor", "backup", "restore"],
    ),
    ("Help", &["help", "man", "completions"]),
];

/// Columns that the overview has; wider ones are not easier to read.
const WIDTH: usize = 80;
/// Where what a command does begins.
const INDENT: usize = 17;

/// The command line, with its commands in groups: what this program parses, and what completions,
/// manual pages and the test of the documents are made of.
pub fn command() -> Command {
    let command = Arguments::command();
    let groups = groups(&command);
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{groups}Options of every command:\n\
         {{options}}\n\nSee `plandex help COMMAND` for its options, examples and exit codes, and\n\
         `plandex help concurrency` for what waits for what."
    ))
}

/// The names of the commands, group by group.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|(_, names)| *names).copied()
}

fn groups(command: &Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        text.push_str(heading);
        text.push_str(":\n");
        for command in names
            .iter()
            .filter_map(|name| command.find_subcommand(name))
        {
            let about = command.get_about().map(ToString::to_string);
            let mut words = about.unwrap_or_default();
            let aliases: Vec<&str> = command.get_visible_aliases().collect();
            if !aliases.is_empty() {
                words = format!("{words} [{}]", aliases.join(", "));
            }
            line(&mut text, command.get_name(), &words);
        }
        text.push('\n');
    }
    text
}

/// A name and what it stands for, in as many lines as that takes.
fn line(text: &mut String, name: &str, words: &str) {
    let mut line = format!("  {name:<width$}", width = INDENT - 3);
    let mut is_first = true;
    for word in words.split(' ') {
        if !is_first && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = " ".repeat(INDENT - 1);
        }
        line.push(' ');
        line.push_str(word);
        is_first = false;
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let whole = command();
        let there: BTreeSet<&str> = whole
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(Command::get_name)
            .collect();
        let listed: Vec<&str> = names().collect();
        let once: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(once.len(), listed.len(), "a command is listed twice");
        assert_eq!(once, there);
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for line in groups(&command()).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }
}
