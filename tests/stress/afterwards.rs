//! What is left when everybody has gone: all that was acknowledged, nothing torn, nothing extra.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use plandex::store::{Integrity, audit, branches, contexts, plans, tickets};
use serde_json::Value;

use crate::lane::{Kind, Operation, ledger};
use crate::support::Sandbox;
use crate::{BRANCHES, PLANS, queue};

/// Checks everything that can be seen from outside, after `doctor --fix`.
pub(crate) fn check(sandbox: &Sandbox, operations: &[Operation]) -> Vec<String> {
    let mut found = heal(sandbox);
    found.extend(check_store(sandbox));
    found.extend(check_repositories(
        &sandbox.state_dir().join("plans"),
        sandbox,
    ));
    for plan in PLANS {
        let text = std::fs::read_to_string(ledger(sandbox, plan)).unwrap_or_default();
        let ours = |operation: &&Operation| {
            matches!(operation.kind, Kind::Exec | Kind::ExecRead) && operation.plan == plan
        };
        let acknowledged = tokens(operations.iter().filter(ours));
        found.extend(crate::ledger::check(&text, &acknowledged));
        for branch in BRANCHES {
            found.extend(check_branch(sandbox, operations, plan, branch));
        }
    }
    found
}

fn tokens<'o>(operations: impl Iterator<Item = &'o Operation>) -> BTreeSet<&'o str> {
    operations
        .filter(|operation| operation.is_acknowledged())
        .map(|operation| operation.token.as_str())
        .collect()
}

/// `doctor --fix` makes everything well, and then says so. What a killed `exec` had started may
/// outlive it for a moment, and holds its owner file.
fn heal(sandbox: &Sandbox) -> Vec<String> {
    let mut found = Vec::new();
    let owners = || {
        let files = std::fs::read_dir(sandbox.state_dir().join("owners"));
        files.unwrap().count()
    };
    let is_well = || sandbox.run(&["doctor", "--fix", "--json"]).code == Some(0);
    let healed = crate::support::poll(Duration::from_secs(20), || {
        (is_well() && owners() == 0).then_some(())
    });
    if healed.is_none() {
        let outcome = sandbox.run(&["doctor", "--fix", "--verbose"]);
        found.push(format!("doctor --fix leaves problems:\n{outcome}"));
    }
    let outcome = sandbox.run(&["doctor", "--json"]);
    let healthy = serde_json::from_str::<Value>(&outcome.stdout)
        .is_ok_and(|report| report["healthy"] == true && outcome.code == Some(0));
    if !healthy {
        found.push(format!(
            "doctor finds problems after its own repair:\n{outcome}"
        ));
    }
    let owners = owners();
    if owners > 0 {
        found.push(format!("{owners} files are left in owners/"));
    }
    found
}

/// The database itself: sound, no ticket left, and an audit without overlap or inversion.
fn check_store(sandbox: &Sandbox) -> Vec<String> {
    let store = sandbox.store();
    let mut found: Vec<String> = store
        .integrity(Integrity::Full)
        .unwrap()
        .into_iter()
        .map(|problem| format!("integrity: {problem}"))
        .collect();
    let seen = store.read(|tx| {
        let mut audits = Vec::new();
        for plan in plans::live(tx)? {
            audits.push(audit::history(tx, &plan.id, i64::MAX)?);
        }
        Ok((tickets::all(tx)?, audits))
    });
    let (left, audits) = seen.unwrap();
    // The places of waits that timed out in the last minute block nobody.
    for ticket in left.into_iter().filter(|ticket| !ticket.is_kept_place()) {
        found.push(format!(
            "ticket {} of {} is left",
            ticket.id, ticket.command
        ));
    }
    for entries in audits {
        found.extend(queue::check(&entries));
    }
    found
}

/// Every plan's repository passes git's own check.
fn check_repositories(plans: &Path, sandbox: &Sandbox) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(plans).unwrap().flatten() {
        let path = entry.path();
        let arguments = [
            "--git-dir",
            path.to_str().unwrap(),
            "fsck",
            "--full",
            "--strict",
        ];
        let outcome = sandbox.program("git", arguments).finish();
        let complaints = outcome
            .stderr
            .lines()
            .any(|line| !line.contains("dangling"));
        if outcome.code != Some(0) || complaints {
            found.push(format!("git fsck: {outcome}"));
        }
    }
    found
}

/// The conversation, the versions, the context and the files of one branch.
fn check_branch(
    sandbox: &Sandbox,
    operations: &[Operation],
    plan: &str,
    branch: &str,
) -> Vec<String> {
    let ours = |kind: Kind| {
        let is_ours = move |operation: &&Operation| {
            operation.kind == kind && operation.plan == plan && operation.branch == branch
        };
        operations.iter().filter(is_ours)
    };
    let on = |command: &[&str]| {
        let arguments = [&["--plan", plan, "--branch", branch], command].concat();
        sandbox.run(&arguments)
    };
    let convo = on(&["convo", "--json"]).ok().json();
    let messages: Vec<Said> = convo["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(Said::new)
        .collect();
    let told = tokens(ours(Kind::Tell));
    let all: BTreeSet<&str> = ours(Kind::Tell)
        .map(|operation| operation.token.as_str())
        .collect();
    let place = format!("{plan}/{branch}");
    let mut found = check_messages(&place, &messages, &told, &all);
    let versions = on(&["log", "--limit", "1000000", "--json"]).ok().json();
    let versions = versions["versions"].as_array().map_or(0, Vec::len);
    if versions < told.len() {
        found.push(format!(
            "{place}: {} tells are acknowledged and {versions} versions there",
            told.len()
        ));
    }
    let notes: BTreeSet<String> = notes(sandbox, plan, branch);
    for load in ours(Kind::Load).filter(|load| load.is_acknowledged()) {
        if load.shown.contains("--note") && !notes.contains(&load.token) {
            found.push(format!(
                "{place}: the note {} is acknowledged and lost",
                load.token
            ));
        }
    }
    let applied = on(&["apply", "--yes", "--json"]);
    if applied.code != Some(0) {
        found.push(format!("{place}: the last apply fails:\n{applied}"));
    }
    let paths: BTreeSet<&str> = ours(Kind::Tell)
        .map(|operation| operation.path.as_str())
        .collect();
    for path in paths {
        let content = std::fs::read_to_string(sandbox.root().join(path)).ok();
        found.extend(check_file(path, content.as_deref(), &messages));
    }
    found
}

/// What was said, and how far it came.
struct Said {
    role: String,
    state: String,
    text: String,
}

impl Said {
    fn new(message: &Value) -> Self {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        Self {
            role: text("role"),
            state: text("state"),
            text: text("text"),
        }
    }
}

/// Each acknowledged prompt once, each other one at most once, none that was never given, and
/// after each prompt its reply.
fn check_messages(
    place: &str,
    messages: &[Said],
    acknowledged: &BTreeSet<&str>,
    all: &BTreeSet<&str>,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut prompts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in messages.iter().filter(|message| message.role == "user") {
        *prompts.entry(message.text.trim()).or_default() += 1;
    }
    for token in acknowledged {
        if !prompts.contains_key(token) {
            found.push(format!(
                "{place}: {token} is acknowledged and not in the conversation"
            ));
        }
    }
    for (token, count) in &prompts {
        if *count > 1 {
            found.push(format!(
                "{place}: {token} is in the conversation {count} times"
            ));
        }
        if !all.contains(token) {
            found.push(format!(
                "{place}: {token:?} is in the conversation and nobody said it"
            ));
        }
    }
    for pair in messages.chunks(2) {
        let (prompt, reply) = (&pair[0], pair.get(1));
        let token = prompt.text.trim();
        let is_pair = prompt.role == "user" && reply.is_some_and(|reply| reply.role == "assistant");
        if !is_pair {
            found.push(format!(
                "{place}: {token} and its reply do not stand together"
            ));
            break;
        }
        let state = reply.map_or("", |reply| reply.state.as_str());
        let text = reply.map_or("", |reply| reply.text.as_str());
        let is_whole = text.contains(&format!("\n{token}\n"));
        if acknowledged.contains(token) && !(state == "complete" && is_whole) {
            found.push(format!(
                "{place}: {token} is acknowledged and its reply is {state}"
            ));
        }
        if state == "open" {
            found.push(format!("{place}: the reply to {token} was never ended"));
        }
    }
    found
}

/// A file is what the last whole reply for it says. A reply that was cut off may have come far
/// enough to count.
fn check_file(path: &str, content: Option<&str>, messages: &[Said]) -> Vec<String> {
    let marker = format!(":{path}\n");
    let mut may_be: Vec<Option<String>> = vec![None];
    for reply in messages
        .iter()
        .filter(|message| message.role == "assistant")
    {
        let Some((_, rest)) = reply.text.split_once(&marker) else {
            continue;
        };
        let said = rest.lines().next().map(|token| format!("{token}\n"));
        if reply.state == "complete" {
            may_be.clear();
        }
        may_be.push(said);
    }
    let is = content.map(str::to_owned);
    if may_be.contains(&is) {
        Vec::new()
    } else {
        vec![format!("{path}: holds {is:?}, and may hold {may_be:?}")]
    }
}

fn notes(sandbox: &Sandbox, plan: &str, branch: &str) -> BTreeSet<String> {
    let store = sandbox.store();
    let repo_of = |plan_id: &str| {
        plandex::repo::PlanRepo::open(
            &sandbox
                .state_dir()
                .join("plans")
                .join(format!("{plan_id}.git")),
        )
        .unwrap()
    };
    let (plan_id, entries) = store
        .read(|tx| {
            let plan = plans::by_name(tx, plan)?.unwrap();
            let branch = branches::by_name(tx, &plan.id, branch)?.unwrap();
            Ok((plan.id, contexts::of_branch(tx, &branch.id)?))
        })
        .unwrap();
    let repo = repo_of(&plan_id);
    entries
        .iter()
        .map(|entry| {
            String::from_utf8_lossy(&repo.blob(&entry.blob).unwrap())
                .trim()
                .to_owned()
        })
        .collect()
}

/// Shows that the checks find what they are for.
pub(crate) fn prove() {
    let said = |role: &str, state: &str, text: &str| Said {
        role: role.to_owned(),
        state: state.to_owned(),
        text: text.to_owned(),
    };
    let turn = |token: &str, state: &str| {
        let reply = format!("I write p.\n\n```txt:p\n{token}\n```\n");
        [
            said("user", "complete", token),
            said("assistant", state, &reply),
        ]
    };
    let check = |turns: &[[Said; 2]], acknowledged: &[&str], all: &[&str]| {
        let messages: Vec<Said> = turns
            .iter()
            .flatten()
            .map(|one| said(&one.role, &one.state, &one.text))
            .collect();
        let set = |tokens: &[&'static str]| tokens.iter().copied().collect();
        let leak = |tokens: &[&str]| -> Vec<&'static str> {
            tokens
                .iter()
                .map(|token| &*token.to_string().leak())
                .collect()
        };
        check_messages("p", &messages, &set(&leak(acknowledged)), &set(&leak(all))).len()
    };
    let two = [turn("a", "complete"), turn("b", "interrupted")];
    assert_eq!(check(&two, &["a"], &["a", "b", "c"]), 0);
    assert_eq!(
        check(&two, &["a", "b"], &["a", "b"]),
        1,
        "a cut reply was acknowledged"
    );
    assert_eq!(check(&two, &["a", "c"], &["a", "b", "c"]), 1, "c is lost");
    assert_eq!(check(&two, &["a"], &["a"]), 1, "nobody said b");
    assert_eq!(
        check(
            &[turn("a", "complete"), turn("a", "complete")],
            &["a"],
            &["a"]
        ),
        1
    );
    assert_eq!(check(&[turn("a", "open")], &[], &["a"]), 1);
    let mixed = [said("user", "complete", "a"), said("user", "complete", "b")];
    assert_eq!(check(&[mixed], &[], &["a", "b"]), 1);

    let messages: Vec<Said> = [
        turn("a", "complete"),
        turn("b", "complete"),
        turn("c", "stopped"),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert_eq!(check_file("p", Some("b\n"), &messages), [""; 0]);
    assert_eq!(check_file("p", Some("c\n"), &messages), [""; 0]);
    assert_eq!(check_file("p", Some("a\n"), &messages).len(), 1);
    assert_eq!(check_file("p", Some("b\nc\n"), &messages).len(), 1);
    assert_eq!(check_file("p", None, &messages).len(), 1);
}
