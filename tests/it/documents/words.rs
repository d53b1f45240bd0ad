//! Commands, flags, variables and settings that stand in sentences and tables.

use std::collections::{BTreeMap, BTreeSet};

use clap::Command;
use clap::error::ErrorKind;

use super::blocks::{Document, Span};

/// Programs whose flags are not ours.
const OTHERS: [&str; 12] = [
    "flock", "cargo", "git", "claude", "sudo", "less", "llm", "gh", "aider", "pueue", "curl", "cp",
];

/// What of the commands in sentences plandex would not take.
pub(super) fn check_commands(document: &Document) -> Vec<String> {
    let command = plandex::cli::command();
    let mut found = Vec::new();
    for span in &document.spans {
        for words in commands_in(&span.text) {
            for variant in variants(&words) {
                if let Err(error) = parse(&command, &variant) {
                    found.push(format!(
                        "{}:{}: `{variant}`: {error}",
                        document.name, span.line
                    ));
                }
            }
        }
    }
    found
}

/// The plandex commands of a span, without their variables and redirections.
fn commands_in(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for part in split_operators(text) {
        let words: Vec<&str> = part.split(' ').filter(|word| !word.is_empty()).collect();
        let is_setting = |word: &&&str| {
            word.split_once('=')
                .is_some_and(|(name, _)| is_capital(name))
        };
        let rest = &words[words.iter().take_while(is_setting).count()..];
        if rest.first() == Some(&"plandex") {
            commands.push(rest.join(" "));
        }
    }
    commands
}

fn is_capital(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The text at its shell operators; quotes are heeded.
fn split_operators(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quote = None;
    let words = text.split_inclusive(' ');
    let mut skip = false;
    for word in words {
        let bare = word.trim();
        let operator = quote.is_none() && ["|", "||", "&&", ";"].contains(&bare);
        let is_name = bare.len() > 2 && bare.ends_with('>');
        let redirection = quote.is_none() && bare.starts_with(['>', '<']) && !is_name;
        if operator {
            parts.push(String::new());
        } else if redirection {
            skip = [">", ">>", "<"].contains(&bare);
        } else if !std::mem::take(&mut skip) {
            parts.last_mut().unwrap().push_str(word);
        }
        for c in word.chars() {
            match quote {
                Some(open) if open == c => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                _ => {}
            }
        }
    }
    parts
}

/// All commands that a text with `[X]`, `a|b` and `…` stands for.
fn variants(text: &str) -> Vec<String> {
    if let Some(close) = text.find(']')
        && let Some(open) = text[..close].rfind('[')
    {
        let (before, inside, after) = (&text[..open], &text[open + 1..close], &text[close + 1..]);
        let with = format!("{before}{inside}{after}");
        let without = format!("{before}{after}");
        return [variants(&with), variants(&without)].concat();
    }
    let words: Vec<&str> = text.split(' ').collect();
    let place = |word: &&str| word.contains('|') && !word.starts_with(['\'', '"']);
    let Some(at) = words.iter().position(place) else {
        return vec![text.to_owned()];
    };
    let mut all = Vec::new();
    for choice in words[at].split('|') {
        let mut words = words.clone();
        words[at] = choice;
        all.extend(variants(&words.join(" ")));
    }
    all
}

/// What is missing where a sentence only names a command.
const IN_SHORT: [ErrorKind; 5] = [
    ErrorKind::DisplayHelp,
    ErrorKind::DisplayVersion,
    ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ErrorKind::MissingRequiredArgument,
    ErrorKind::MissingSubcommand,
];

pub(super) fn parse(command: &Command, text: &str) -> Result<(), String> {
    let words = words_of(text)
        .into_iter()
        .filter(|word| word != "…")
        .map(|word| filled(&word, text))
        .filter(|word| !word.is_empty());
    match command.clone().try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) if IN_SHORT.contains(&error.kind()) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            Err(text.lines().next().unwrap_or_default().to_owned())
        }
    }
}

/// What a placeholder stands for.
fn filled(word: &str, command: &str) -> String {
    let word = word.trim_end_matches('…');
    let (flag, value) = match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => (format!("{flag}="), value),
        _ => (String::new(), word),
    };
    let value = match value {
        "N" | "NUMBER" | "ID" => "1",
        "COMMAND" if command.starts_with("plandex help") => "tell",
        "D" | "DURATION" | "SINCE" => "1s",
        value => value,
    };
    format!("{flag}{value}")
}

/// Words as a shell splits them.
fn words_of(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut is_word) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match quote {
            Some(open) if open == c => quote = None,
            Some(_) => word.push(c),
            None if c == '\'' || c == '"' => (quote, is_word) = (Some(c), true),
            None if c == ' ' => {
                if is_word {
                    words.push(std::mem::take(&mut word));
                }
                is_word = false;
            }
            None => {
                word.push(c);
                is_word = true;
            }
        }
    }
    if is_word {
        words.push(word);
    }
    words
}

/// Flags that no command of their section has.
pub(super) fn check_flags(document: &Document) -> Vec<String> {
    let command = plandex::cli::command();
    let all = flags(&command);
    let mut sections: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for span in &document.spans {
        for name in all.keys() {
            if is_about(span, name) {
                sections.entry(span.section).or_default().insert(name);
            }
        }
    }
    let mut found = Vec::new();
    for span in &document.spans {
        let Some(flag) = flag_of(&span.text) else {
            continue;
        };
        if OTHERS.iter().any(|other| span.around.contains(other)) {
            continue;
        }
        let named = sections.get(&span.section).into_iter().flatten().copied();
        if !named.chain([""]).any(|name| all[name].contains(flag)) {
            let Document { name, .. } = document;
            found.push(format!(
                "{name}:{}: no command named in this section has {flag}",
                span.line
            ));
        }
    }
    found
}

fn is_about(span: &Span, name: &str) -> bool {
    let mut words = span.text.split(' ');
    let first = words.next();
    first == Some(name)
        || (span.text.contains("plandex ") && span.text.split(' ').any(|word| word == name))
}

fn flag_of(text: &str) -> Option<&str> {
    let flag = text.split([' ', '=', '|']).next()?;
    let letter = flag.trim_start_matches('-').chars().next()?;
    (flag.starts_with('-') && letter.is_alphabetic()).then_some(flag)
}

/// The flags of each command; "" for those of every command.
fn flags(command: &Command) -> BTreeMap<String, BTreeSet<String>> {
    let mut whole = command.clone();
    whole.build();
    let of = |command: &Command| {
        let mut flags = BTreeSet::from(["-h".to_owned(), "--help".to_owned()]);
        for argument in command.get_arguments() {
            flags.extend(argument.get_long().map(|long| format!("--{long}")));
            flags.extend(argument.get_short().map(|short| format!("-{short}")));
            flags.extend((argument.get_short() == Some('v')).then(|| "-vv".to_owned()));
        }
        flags
    };
    let mut all = BTreeMap::from([(String::new(), of(&whole))]);
    for command in whole.get_subcommands() {
        let mut flags = of(command);
        for below in command.get_subcommands() {
            flags.extend(of(below));
        }
        all.insert(command.get_name().to_owned(), flags);
    }
    all
}

#[test]
fn commands_in_sentences_are_parsed() {
    let check = |text: &str| {
        let document = super::blocks::read("X.md", text);
        [check_commands(&document), check_flags(&document)]
            .concat()
            .len()
    };
    let good = [
        "`plandex apply [FILES] --on-conflict abort|skip|overwrite|merge`",
        "`PLANDEX_PLAN=x plandex rewind N`, `plandex exec -c 'a | b' || exit 1`",
        "`some-model < p | plandex tell \"x\" --reply -`, `plandex tell -n \"a b\"` and `--fix-tries N`",
        "`plandex undelete`, `git push --force`, `plandex log > file`",
    ];
    for text in good {
        assert_eq!(check(text), 0, "{text}");
    }
    let bad = [
        "`plandex aply`",
        "`plandex apply --on-conflict abort|burn`",
        "`a | plandex tell --replay -`",
        "`plandex tell x` takes `--atomic`",
        "`plandex rewind N --fast`",
    ];
    for text in bad {
        assert_eq!(check(text), 1, "{text}");
    }
}

/// Variables of ours that the sources read and the document does not name.
pub(super) fn check_variables(document: &Document, variables: &BTreeSet<String>) -> Vec<String> {
    let named = |name: &str| {
        let mut spans = document.spans.iter();
        spans.any(|span| span.text.split([' ', '=']).any(|word| word == name))
    };
    let missing = variables.iter().filter(|name| !named(name));
    missing.map(|name| format!("{name} is not named")).collect()
}
