//! Tables of the documents that the code has, too: each row here is one there.

use std::collections::BTreeSet;

use super::blocks::Document;
use super::words::parse;

/// Commands that the table of what waits for what does not have.
pub(super) fn check_table_of_waits(document: &Document) -> Vec<String> {
    let begins = document.rows.iter().position(|(_, cells)| {
        cells.first().is_some_and(|cell| cell == "command") && cells.len() == 3
    });
    let Some(begins) = begins else {
        return vec!["there is no table of what waits for what".to_owned()];
    };
    let first = document.rows[begins].0;
    let rows = document.rows[begins..].iter().enumerate();
    let rows = rows.take_while(|(index, (line, _))| *line == first + index);
    let mut there = BTreeSet::new();
    let command = plandex::cli::command();
    let mut found = Vec::new();
    for (_, (line, cells)) in rows.skip(2) {
        for text in cells[0].split('`').skip(1).step_by(2) {
            there.extend(text.split(' ').next().map(str::to_owned));
            if let Err(error) = parse(&command, &format!("plandex {text}")) {
                found.push(format!("line {line}: `{text}`: {error}"));
            }
        }
    }
    for command in command.get_subcommands() {
        let name = command.get_name();
        if !command.is_hide_set() && !there.contains(name) {
            found.push(format!(
                "`plandex {name}` is not in the table of what waits for what"
            ));
        }
    }
    found
}

/// Exit codes that the table of them does not have, and the other way round.
pub(super) fn check_exit_codes(document: &Document, source: &str) -> Vec<String> {
    let numbers = |text: &str| -> BTreeSet<u8> {
        let split = text.split(|c: char| !c.is_ascii_digit());
        split.filter_map(|number| number.parse().ok()).collect()
    };
    let (_, body) = source.split_once("fn code(self)").unwrap_or_default();
    let (_, body) = body.split_once("match self").unwrap_or_default();
    let codes = numbers(&body[..body.find("\n    }\n").unwrap_or(body.len())]);
    let is_heading = |(_, cells): &&(usize, Vec<String>)| cells[0] == "code";
    let Some((first, _)) = document.rows.iter().find(is_heading) else {
        return vec!["there is no table of exit codes".to_owned()];
    };
    let rows = document.rows.iter().filter(|(line, _)| line > first);
    let rows = rows
        .enumerate()
        .take_while(|(index, (line, _))| *line == first + 1 + index);
    let mut shown: BTreeSet<u8> = BTreeSet::new();
    for (_, (_, cells)) in rows {
        shown.extend(numbers(&cells[0].replace("128+n", "")));
    }
    let differ = codes.symmetric_difference(&shown);
    differ
        .map(|code| format!("exit code {code} is not on both sides"))
        .collect()
}

/// Operations that the table of scopes does not have under their permit, and those that are none.
pub(super) fn check_scopes(document: &Document, source: &str) -> Vec<String> {
    let code: String = source.split_whitespace().collect();
    let declared = code.split("pubconst").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(":Operation<")?;
        let (permit, _) = rest.split_once('>')?;
        Some((name.to_owned(), permit.to_owned()))
    });
    let declared: BTreeSet<(String, String)> = declared.collect();
    let mut shown = BTreeSet::new();
    for (_, cells) in &document.rows {
        let [_, _, permit, names] = cells.as_slice() else {
            continue;
        };
        let permit = permit.trim_matches('`');
        if permit.ends_with("Permit") {
            let names = names.split('`').skip(1).step_by(2);
            shown.extend(names.map(|name| (name.to_owned(), permit.to_owned())));
        }
    }
    let differ = declared.symmetric_difference(&shown);
    let mut found: Vec<String> = differ
        .map(|(name, permit)| format!("{name} with a {permit} is not on both sides"))
        .collect();
    if declared.len() < 20 {
        found.push(format!("only {} operations were found", declared.len()));
    }
    found
}

/// Words of the verbose log that the table of them does not have, and those that no line has.
pub(super) fn check_actions(document: &Document, source: &str) -> Vec<String> {
    let is_word = |text: &&str| text.len() > 2 && text.chars().all(|c| c.is_ascii_uppercase());
    let (_, body) = source.split_once("Self::Attempt =>").unwrap_or_default();
    let body = body.split("\n    }\n").next().unwrap_or_default();
    let logged: BTreeSet<&str> = body.split('"').filter(is_word).collect();
    let shown: BTreeSet<&str> = rows_below(document, "ACTION")
        .flat_map(|cells| cells[0].split(", "))
        .filter(is_word)
        .collect();
    let differ = logged.symmetric_difference(&shown);
    differ
        .map(|word| format!("{word} is not on both sides"))
        .collect()
}

/// Messages in the table of them that nothing says.
pub(super) fn check_messages(document: &Document, sources: &str) -> Vec<String> {
    let mut found = Vec::new();
    for cells in rows_below(document, "message") {
        for message in cells[0].split('"').skip(1).step_by(2) {
            // What a message puts in: numbers, and the word for the scope.
            let filled = message.replace(" read ", "\n").replace(" write ", "\n");
            let fixed = filled.split(|c: char| c.is_ascii_digit() || c == '\n');
            let missing = fixed
                .map(|part| {
                    part.trim()
                        .trim_end_matches("seconds")
                        .trim_start_matches('…')
                })
                .find(|part| !sources.contains(part.trim()));
            found.extend(missing.map(|part| format!("nothing says {part:?}")));
        }
    }
    if found.is_empty() && rows_below(document, "message").count() < 5 {
        found.push("there is no table of messages".to_owned());
    }
    found
}

/// The rows of the table whose first heading is `heading`.
fn rows_below<'d>(document: &'d Document, heading: &str) -> impl Iterator<Item = &'d Vec<String>> {
    let begins = document
        .rows
        .iter()
        .position(|(_, cells)| cells[0] == heading);
    let rows = &document.rows[begins.unwrap_or(document.rows.len())..];
    let first = rows.first().map_or(0, |(line, _)| *line);
    rows.iter()
        .enumerate()
        .take_while(move |(index, (line, _))| *line == first + index)
        .skip(2)
        .map(|(_, (_, cells))| cells)
}
