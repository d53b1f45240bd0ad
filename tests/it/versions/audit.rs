//! Every command once, and what it leaves in the audit: its scope, its branch, its reason. What
//! only looks leaves nothing.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::crash_points::{TWO_FILES, project};
use crate::support::Sandbox;

/// A ticket of the plan's line: read or write, the branch of a read, why.
type Ticket = (&'static str, Option<&'static str>, &'static str);

const NONE: &[Ticket] = &[];

const fn write(reason: &'static str) -> Ticket {
    ("w", None, reason)
}

const fn read(reason: &'static str) -> Ticket {
    ("r", Some("main"), reason)
}

/// What is not run here, and why.
const NOT_RUN: [(&str, &str); 5] = [
    ("help", "it has no project (shell/)"),
    ("man", "it has no project (shell/)"),
    (
        "connect",
        "it follows a run that another process makes; a looking command (follow/)",
    ),
    (
        "restore",
        "it puts another project in the place of this one (backup.rs)",
    ),
    ("completions", "it has no project (shell/)"),
];

/// In this order, in one project: each line is a command with the tickets that it takes.
const COMMANDS: &[(&[&str], &[Ticket])] = &[
    (&["new", "-n", "other"], NONE),
    (&["plans"], NONE),
    (&["cd", "1"], NONE),
    (&["current"], NONE),
    (&["rename", "work"], &[write("rename plan")]),
    (&["archive", "other"], &[write("archive plan")]),
    (&["unarchive", "other"], &[write("unarchive plan")]),
    (&["delete-plan", "-y", "other"], &[write("delete plan")]),
    (&["undelete", "other"], &[write("undelete plan")]),
    (&["branches"], NONE),
    (&["checkout", "-b", "side"], &[write("create branch")]),
    (&["checkout", "main"], NONE),
    (&["delete-branch", "-y", "side"], &[write("delete branch")]),
    (&["load", "b.txt"], &[read("load context")]),
    (&["load", "-n", "a note"], &[read("load context")]),
    (&["ls"], NONE),
    (&["show", "b.txt"], NONE),
    (&["rm", "b.txt"], &[write("remove context")]),
    (
        &["exec", "--", "sh", "-c", "echo more >> a.txt"],
        &[write("exec")],
    ),
    (&["update", "--yes"], &[write("update context")]),
    (&["clear"], &[write("clear context")]),
    (
        &["tell", "--no-build", TWO_FILES],
        &[write("tell execution")],
    ),
    (&["build"], &[write("build changes")]),
    (&["chat", "--reply", "{reply}", "why?"], &[write("chat")]),
    (
        &["continue", "--reply", "{reply}"],
        &[write("continue execution")],
    ),
    (&["convo"], NONE),
    (
        &[
            "summary",
            "--make",
            "--command",
            "cat > /dev/null; echo short",
        ],
        &[write("summarize conversation")],
    ),
    (&["summary"], NONE),
    (&["log"], NONE),
    (&["diff"], &[read("view diffs")]),
    (&["diff", "--snapshot"], NONE),
    (&["who", "a.txt"], NONE),
    (&["reject", "-y", "a.txt"], &[write("reject changes")]),
    (&["apply", "--dry-run"], NONE),
    (&["apply", "--yes"], &[write("apply changes")]),
    (&["rewind"], &[write("rewind plan")]),
    (&["status"], NONE),
    (&["ps"], NONE),
    (&["locks"], NONE),
    (&["events"], NONE),
    (&["stop"], NONE),
    (&["exec", "--", "true"], &[write("exec")]),
    (&["exec", "--read", "--", "true"], &[read("exec read")]),
    (&["config"], NONE),
    (&["set-config", "auto-build", "true"], NONE),
    (&["models"], NONE),
    (&["set-model", "literal"], &[write("set model")]),
    (&["doctor"], NONE),
    (
        &["doctor", "--rebuild", "--plan", "work"],
        &[write("rebuild rows")],
    ),
    (&["backup", "{backup}"], NONE),
    (&["batch", "{batch}"], &[write("exec")]),
    (&["hook", "log"], NONE),
];

fn newest(connection: &Connection) -> i64 {
    let sql = "SELECT coalesce(max(id), 0) FROM repo_locks_audit";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn tickets_after(connection: &Connection, id: i64) -> Vec<(String, Option<String>, String)> {
    let sql = "SELECT scope, branch, reason FROM repo_locks_audit WHERE id > ?1 ORDER BY id";
    let mut select = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows = select.query_map([id], row).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The commands that `--help` lists.
fn listed(sandbox: &Sandbox) -> BTreeSet<String> {
    let help = sandbox.ok(&["--help"]).stdout;
    let (_, after) = help.split_once("\n\nPlans:\n").unwrap();
    let (list, _) = after.split_once("\n\nOptions of every command:\n").unwrap();
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names = list.lines().filter(is_name);
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn each_command_takes_the_tickets_that_its_operation_says() {
    let sandbox = project();
    sandbox.write("b.txt", "b\n");
    let reply = sandbox.write_beside("reply", "Because.\n");
    let batch = sandbox.write_beside("lines", "exec -- true\nstatus\n");
    let backup = sandbox.place().join("io/backup");
    let given = |word: &str| match word {
        "{reply}" => reply.to_str().unwrap().to_owned(),
        "{batch}" => batch.to_str().unwrap().to_owned(),
        "{backup}" => backup.to_str().unwrap().to_owned(),
        word => word.to_owned(),
    };
    let connection = Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    for (args, expected) in COMMANDS {
        let before = newest(&connection);
        let args: Vec<String> = args.iter().map(|word| given(word)).collect();
        sandbox.plandex(&args).finish().ok();
        let found = tickets_after(&connection, before);
        let expected: Vec<_> = expected
            .iter()
            .map(|(scope, branch, reason)| {
                let branch = branch.map(str::to_owned);
                ((*scope).to_owned(), branch, (*reason).to_owned())
            })
            .collect();
        assert_eq!(found, expected, "{args:?}");
    }
}

#[test]
fn no_command_is_missing_from_the_table() {
    let sandbox = Sandbox::without_git();
    let run = COMMANDS.iter().map(|(args, _)| args[0]);
    let known: BTreeSet<String> = run
        .chain(NOT_RUN.iter().map(|(name, _)| *name))
        .map(str::to_owned)
        .collect();
    let listed = listed(&sandbox);
    assert!(listed.len() > 40, "{listed:?}");
    assert_eq!(known, listed);
}

/// What `plandex help concurrency` says of commands that are not in the table as it says them.
const SAID_ONLY: [(&str, &str); 5] = [
    (
        "exec --read --root",
        "as `exec --read`, of no branch (exec/)",
    ),
    (
        "doctor --fix",
        "it repairs what is broken (doctor's own tests)",
    ),
    ("tell --print-prompt", "it asks nobody (plans/prompt.rs)"),
    ("chat --print-prompt", "as tell's"),
    ("continue --print-prompt", "as tell's"),
];

#[test]
fn help_says_of_each_command_the_tickets_that_it_takes() {
    let sandbox = Sandbox::without_git();
    let topic = sandbox.ok(&["help", "concurrency", "--json"]).json();
    let said: Vec<(Vec<String>, serde_json::Value)> = topic["tickets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ticket| {
            let words = ticket["command"].as_str().unwrap().split(' ');
            let words = words.filter(|word| *word != "NAME").map(str::to_owned);
            (words.collect(), ticket.clone())
        })
        .collect();
    let mut seen = BTreeSet::new();
    // A batch takes the tickets of its lines.
    for (args, tickets) in COMMANDS.iter().filter(|(args, _)| args[0] != "batch") {
        // What says most of the line: `exec --read` rather than `exec`.
        let fits = |words: &[String]| {
            words[0] == args[0] && words.iter().all(|word| args.contains(&word.as_str()))
        };
        let (words, ticket) = said
            .iter()
            .filter(|(words, _)| fits(words))
            .max_by_key(|(words, _)| words.len())
            .unwrap_or_else(|| panic!("{args:?} is not in `plandex help concurrency`"));
        seen.insert(words.join(" "));
        let told = ticket["scope"].as_str().map(|scope| {
            let branch = (ticket["of"] == "branch").then_some("main");
            (scope, branch, ticket["reason"].as_str().unwrap())
        });
        assert_eq!(
            told.as_ref().map(std::slice::from_ref).unwrap_or(NONE),
            *tickets,
            "{args:?}"
        );
    }
    let apart = NOT_RUN.iter().chain(&SAID_ONLY).map(|(name, _)| *name);
    seen.extend(apart.map(str::to_owned));
    let all: BTreeSet<String> = said.iter().map(|(words, _)| words.join(" ")).collect();
    assert_eq!(all, seen);
}
