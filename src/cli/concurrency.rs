//! `plandex help concurrency`: what waits for what.
//!
//! Nothing of it is a second list: scopes are those of the operations, which exclude each other is
//! asked of the lock's rules, and a test runs every command and compares its tickets with this.

use serde::Serialize;

use super::exit::ExitCode;
use super::overview;
use crate::lock::operation::{self, Operation};
use crate::lock::rules::{Claim, conflicts};
use crate::store::tickets::{Permit, Scope};

/// What a command stands in the line of a plan for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Write,
    ReadBranch,
    ReadRoot,
}

impl Takes {
    const ALL: [Self; 3] = [Self::Write, Self::ReadBranch, Self::ReadRoot];

    fn words(self) -> &'static str {
        match self {
            Self::Write => "write the plan",
            Self::ReadBranch => "read a branch",
            Self::ReadRoot => "read the plan",
        }
    }

    /// As the rules see it, for a read of the branch `branch`.
    fn claim(self, branch: &str) -> Claim<'_> {
        let (scope, branch) = match self {
            Self::Write => (Scope::Write, None),
            Self::ReadBranch => (Scope::Read, Some(branch)),
            Self::ReadRoot => (Scope::Read, None),
        };
        Claim { scope, branch }
    }
}

/// A command that takes a ticket.
struct Row {
    command: &'static str,
    reason: &'static str,
    takes: Takes,
}

fn row<P: Permit>(command: &'static str, operation: Operation<P>) -> Row {
    Row {
        command,
        reason: operation.reason(),
        takes: match operation.scope() {
            Scope::Write => Takes::Write,
            Scope::Read => Takes::ReadBranch,
        },
    }
}

fn rows() -> Vec<Row> {
    vec![
        row("tell", operation::TELL),
        row("continue", operation::CONTINUE),
        row("chat", operation::CHAT),
        row("build", operation::BUILD),
        row("summary --make", operation::SUMMARIZE),
        row("apply", operation::APPLY),
        row("reject", operation::REJECT),
        row("rm", operation::REMOVE),
        row("clear", operation::CLEAR),
        row("update", operation::UPDATE),
        row("rewind", operation::REWIND),
        row("checkout -b", operation::CREATE_BRANCH),
        row("delete-branch", operation::DELETE_BRANCH),
        row("set-model", operation::SET_MODEL),
        row("rename", operation::RENAME),
        row("archive", operation::ARCHIVE),
        row("unarchive", operation::UNARCHIVE),
        row("delete-plan", operation::DELETE_PLAN),
        row("undelete", operation::UNDELETE),
        row("exec", operation::EXEC),
        row("doctor --fix", operation::REPAIR),
        row("doctor --rebuild", operation::REBUILD),
        row("load", operation::LOAD),
        row("diff", operation::DIFF),
        row("exec --read", operation::EXEC_READ),
        Row {
            takes: Takes::ReadRoot,
            ..row("exec --read --root", operation::EXEC_READ)
        },
    ]
}

/// What else takes none, of commands that take one.
const WITHOUT: [&str; 7] = [
    "apply --dry-run",
    "diff --snapshot",
    "tell --print-prompt",
    "chat --print-prompt",
    "continue --print-prompt",
    "checkout NAME",
    "summary",
];

/// What takes the tickets of the commands in it.
const AS_THEIRS: &str = "batch";

/// A command as the JSON shows it: with its flags; scope "w", "r", or none for no ticket.
#[derive(Debug, Serialize)]
pub(super) struct Ticket {
    command: String,
    /// As it stands in tickets and in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    /// Of a read: "branch" or "plan".
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'static str>,
}

/// Every command, and what it takes.
pub(super) fn tickets() -> Vec<Ticket> {
    let taking = rows().into_iter().map(|row| Ticket {
        command: row.command.to_owned(),
        reason: Some(row.reason),
        scope: Some(row.takes.claim("").scope.letter()),
        of: match row.takes {
            Takes::Write => None,
            Takes::ReadBranch => Some("branch"),
            Takes::ReadRoot => Some("plan"),
        },
    });
    let without = without().into_iter().map(|command| Ticket {
        command,
        reason: None,
        scope: None,
        of: None,
    });
    taking.chain(without).collect()
}

/// The commands that take no ticket.
fn without() -> Vec<String> {
    let rows = rows();
    let takes = |name: &str| {
        let of = |command: &str| command.split(' ').next() == Some(name);
        rows.iter().any(|row| row.command == name) || WITHOUT.iter().any(|command| of(command))
    };
    let names = overview::names().filter(|name| *name != AS_THEIRS && !takes(name));
    names.chain(WITHOUT).map(str::to_owned).collect()
}

/// Columns that the text has.
const WIDTH: usize = 78;

/// The topic.
pub(super) fn text() -> String {
    let rows = rows();
    let mut text = String::from(LINE);
    for takes in Takes::ALL {
        let commands = rows.iter().filter(|row| row.takes == takes);
        let commands: Vec<&str> = commands.map(|row| row.command).collect();
        list(&mut text, takes.words(), &commands);
    }
    let without = without();
    list(
        &mut text,
        "take no ticket",
        &without.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    text.push_str(
        "\nThose without a ticket never wait for an operation; `batch` takes the tickets\n\
         of the commands in it. Of two operations on one plan, the later one\n\n",
    );
    matrix(&mut text);
    text.push_str(AFTER);
    for code in [ExitCode::NotAcquired, ExitCode::LockLost] {
        list(&mut text, &format!("exit {}", code.code()), &[code.words()]);
    }
    text.push_str(END);
    text
}

/// A heading and what belongs to it, in as many lines as that takes.
fn list(text: &mut String, heading: &str, words: &[&str]) {
    let mut line = format!("  {heading:<16}");
    let mut is_first = true;
    for (number, word) in words.iter().enumerate() {
        let comma = if number + 1 < words.len() { "," } else { "" };
        // A command is not torn from its flags; words of a sentence stand alone.
        let pieces: Vec<&str> = match words.len() {
            1 => word.split(' ').collect(),
            _ => vec![word],
        };
        for piece in pieces {
            let piece = format!("{piece}{comma}");
            if !is_first && line.chars().count() + 1 + piece.chars().count() > WIDTH {
                text.push_str(&line);
                text.push('\n');
                line = " ".repeat(18);
            }
            line.push(' ');
            line.push_str(&piece);
            is_first = false;
        }
    }
    text.push_str(&line);
    text.push('\n');
}

/// Who waits for whom.
fn matrix(text: &mut String) {
    let columns: [(&str, Takes, &str); 4] = [
        ("same branch", Takes::ReadBranch, "one"),
        ("other branch", Takes::ReadBranch, "another"),
        ("the plan", Takes::ReadRoot, ""),
        ("writes", Takes::Write, ""),
    ];
    let mut line = format!("  {:<24}", "earlier");
    for (heading, ..) in columns {
        line.push_str(&format!("{heading:<14}").to_string());
    }
    text.push_str(line.trim_end());
    text.push('\n');
    for (heading, earlier) in [
        ("reads a branch", Takes::ReadBranch),
        ("reads the plan", Takes::ReadRoot),
        ("writes", Takes::Write),
    ] {
        let mut line = format!("  {heading:<24}");
        for (_, later, branch) in columns {
            let waits = conflicts(earlier.claim("one"), later.claim(branch));
            let word = if waits { "waits" } else { "runs too" };
            line.push_str(&format!("{word:<14}").to_string());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

const LINE: &str = "\
What waits for what

Each plan has one line, first in, first out; plans never wait for each other.
A command that needs the plan takes a ticket at the end of the line, and works
when nothing that conflicts with it is before it:

";

const AFTER: &str = "
Waiting. A wait of more than 0.4 s says who holds the plan, since when, the
position and when it gives up. `--wait 2m` (or `forever`, or 0; else
PLANDEX_WAIT, the setting `wait`, 30s) says how long, `--no-wait` not to. Who
gave up keeps the place for 60 s: the same command of the same terminal or
PLANDEX_ACTOR goes on where it stood. Nothing is changed by a wait that ended.

";

const END: &str = "
Holding. A killed process frees its turn at once. One that hangs is replaced
when it has shown no sign of life for the lease (`lock.lease`, a minute); what
it does after that is refused. `plandex stop` asks what runs to end, `plandex
locks release ID` ends a ticket whose owner is gone or hangs.

Scripts. `plandex exec -- COMMAND` runs any program with the plan held; its
exit code is the command's. plandex commands inside it join its turn. Take
several plans in the same order everywhere; a circle of waits is told, not
waited for.

Examples:
  plandex locks --explain                   who waits for whom
  plandex exec --wait forever -- make       as long as it takes
  plandex exec --no-wait -E 0 -- make       only if nobody is at it
  plandex exec --read -- make docs          together with other readers
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_operation_is_in_the_table() {
        let known: BTreeSet<&str> = rows().iter().map(|row| row.reason).collect();
        let all: BTreeSet<&str> = operation::TITLES
            .iter()
            .map(|(reason, _)| *reason)
            .collect();
        assert_eq!(known, all);
    }

    #[test]
    fn the_matrix_is_that_of_the_rules() {
        let mut text = String::new();
        matrix(&mut text);
        assert_eq!(
            text,
            "  earlier                 same branch   other branch  the plan      writes\n  \
             reads a branch          runs too      waits         waits         waits\n  \
             reads the plan          waits         waits         waits         waits\n  \
             writes                  waits         waits         waits         waits\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        for line in text().lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
