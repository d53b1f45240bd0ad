//! The oracle: the rows of every branch against the tree of its head, read by plain git.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, Row};
use serde_json::{Value, json};

use crate::crash_points::{git, heads};
use crate::support::Sandbox;

/// Said of a branch whose first version is of schema version 1, which had no such file.
pub(crate) const OLD: &str = "a branch of version 1";
const BRANCH: &str = "branch.json";

/// The files of a version, with what is in them.
pub(crate) fn files(sandbox: &Sandbox, repo: &Path, version: &str) -> BTreeMap<String, String> {
    let listed = git(sandbox, repo, &["ls-tree", "-r", "-z", version]).ok();
    let entries: Vec<(String, String)> = listed
        .stdout
        .split_terminator('\0')
        .map(|line| {
            let (about, path) = line.split_once('\t').unwrap();
            let id = about.split(' ').nth(2).unwrap();
            (path.to_owned(), id.to_owned())
        })
        .collect();
    let mut files = BTreeMap::new();
    for (path, id) in entries {
        let content = git(sandbox, repo, &["cat-file", "blob", &id]).ok().stdout;
        files.insert(path, content);
    }
    files
}

/// Each live branch's rows and the tree of its head say the same.
#[track_caller]
pub(crate) fn check(sandbox: &Sandbox, what: &str) {
    check_those(sandbox, what, |_| true);
}

/// As [`check`], of the branches called so.
#[track_caller]
pub(crate) fn check_branch(sandbox: &Sandbox, name: &str, what: &str) {
    check_those(sandbox, what, |branch| branch == name);
}

#[track_caller]
fn check_those(sandbox: &Sandbox, what: &str, is_wanted: impl Fn(&str) -> bool) {
    let connection = Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    for (repo, branch) in heads(sandbox) {
        if !is_wanted(&branch.name) {
            continue;
        }
        let head = branch.head.unwrap();
        let found = shown(&files(sandbox, &repo, &head));
        let mut expected = rows(sandbox, &connection, &repo, &branch.id);
        if what == OLD {
            let is_new = |name: &String| name == BRANCH || name.starts_with("builds/");
            expected.retain(|name, _| found.contains_key(name) || !is_new(name));
        }
        assert_eq!(
            found.keys().collect::<BTreeSet<_>>(),
            expected.keys().collect::<BTreeSet<_>>(),
            "{what}: branch {} (left: in the tree, right: in the rows)",
            branch.name
        );
        for (name, of_tree) in &found {
            assert_eq!(
                *of_tree, expected[name],
                "{what}: branch {}: {name} (left: in the tree, right: in the rows)",
                branch.name
            );
        }
    }
}

/// What a tree says, an entry for each thing, as [`rows`] names and words it.
fn shown(files: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let mut things: BTreeMap<String, Value> = BTreeMap::new();
    for (path, content) in files {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            ["conversation" | "summary", .., name] => {
                let (head, text) = content.split_once("\n\n").unwrap();
                let mut thing = json!({"text": text});
                for line in head.lines() {
                    let (field, value) = line.split_once(": ").unwrap();
                    thing[field] = value.into();
                }
                things.insert(format!("{}/{name}", parts[0]), thing);
            }
            ["builds", .., name] => {
                let about: Value = serde_json::from_str(content).unwrap();
                things.insert(format!("builds/{name}"), about);
            }
            ["settings.json" | "branch.json"] => {
                let about: Value = serde_json::from_str(content).unwrap();
                things.insert(path.clone(), about);
            }
            [kind @ ("context" | "pending"), .., id, file] => {
                let thing = things.entry(format!("{kind}/{id}")).or_insert(json!({}));
                if file == "about.json" {
                    thing["about"] = serde_json::from_str(content).unwrap();
                } else {
                    thing[file] = content.as_str().into();
                }
            }
            // The plan's own.
            [_] => {}
            _ => panic!("{path} is nothing that a version has"),
        }
    }
    things
}

fn rows(
    sandbox: &Sandbox,
    connection: &Connection,
    repo: &Path,
    branch: &str,
) -> BTreeMap<String, Value> {
    let mut things = said(connection, branch);
    let content = |id: String| git(sandbox, repo, &["cat-file", "blob", &id]).ok().stdout;
    things.extend(shown_to_it(connection, branch, &content));
    things.extend(pending(connection, branch, &content));
    things.extend(about(connection, branch));
    things
}

/// Messages and summaries.
fn said(connection: &Connection, branch: &str) -> BTreeMap<String, Value> {
    let mut things = BTreeMap::new();
    each(
        connection,
        "SELECT * FROM convo_messages WHERE branch_id = ?1 AND state <> 'open'",
        branch,
        |row| {
            let number: i64 = row.get_unwrap("number");
            let role = text(row, "role");
            let thing = json!({
                "id": text(row, "id"),
                "kind": text(row, "kind"),
                "source": text(row, "source"),
                "state": text(row, "state"),
                "kept": row.get_unwrap::<_, i64>("kept").to_string(),
                "created": row.get_unwrap::<_, i64>("created_at").to_string(),
                "completed": row.get_unwrap::<_, i64>("completed_at").to_string(),
                "text": text(row, "text"),
            });
            things.insert(format!("conversation/{number:06}-{role}.md"), thing);
        },
    );
    each(
        connection,
        "SELECT * FROM summaries WHERE branch_id = ?1",
        branch,
        |row| {
            let up_to: i64 = row.get_unwrap("up_to");
            let thing = json!({
                "id": text(row, "id"),
                "source": text(row, "source"),
                "created": row.get_unwrap::<_, i64>("created_at").to_string(),
                "text": text(row, "text"),
            });
            things.insert(format!("summary/{up_to:06}.md"), thing);
        },
    );
    things
}

/// The branch itself, its builds and its settings.
fn about(connection: &Connection, branch: &str) -> BTreeMap<String, Value> {
    let mut things = BTreeMap::new();
    each(
        connection,
        "SELECT * FROM plan_builds WHERE branch_id = ?1",
        branch,
        |row| {
            let mut thing = json!({
                "messageId": text(row, "message_id"),
                "run": text(row, "stream_id"),
                "path": text(row, "path"),
                "status": text(row, "status"),
                "createdAt": row.get_unwrap::<_, i64>("created_at"),
            });
            if let Some(report) = row.get_unwrap::<_, Option<String>>("error") {
                thing["report"] = report.into();
            }
            things.insert(format!("builds/{}.json", text(row, "id")), thing);
        },
    );
    let mut settings = json!({});
    each(
        connection,
        "SELECT * FROM branch_settings WHERE branch_id = ?1",
        branch,
        |row| settings[text(row, "name")] = text(row, "value").into(),
    );
    if settings != json!({}) {
        things.insert("settings.json".to_owned(), settings);
    }
    each(
        connection,
        "SELECT * FROM branches WHERE id = ?1",
        branch,
        |row| {
            let mut thing = json!({
                "name": text(row, "name"),
                "createdAt": row.get_unwrap::<_, i64>("created_at"),
            });
            if let Some(parent) = row.get_unwrap::<_, Option<String>>("parent_id") {
                thing["parentId"] = parent.into();
            }
            things.insert("branch.json".to_owned(), thing);
        },
    );
    things
}

fn shown_to_it(
    connection: &Connection,
    branch: &str,
    content: &dyn Fn(String) -> String,
) -> BTreeMap<String, Value> {
    let mut things = BTreeMap::new();
    each(
        connection,
        "SELECT * FROM contexts WHERE branch_id = ?1",
        branch,
        |row| {
            let about = json!({
                "kind": text(row, "kind"),
                "name": text(row, "name"),
                "path": row.get_unwrap::<_, Option<String>>("path"),
                "hash": text(row, "hash"),
                "size": row.get_unwrap::<_, i64>("size"),
                "mtimeNs": row.get_unwrap::<_, i64>("mtime_ns"),
                "tokens": row.get_unwrap::<_, i64>("tokens"),
                "createdAt": row.get_unwrap::<_, i64>("created_at"),
                "updatedAt": row.get_unwrap::<_, i64>("updated_at"),
            });
            let thing = json!({"about": about, "body": content(text(row, "blob"))});
            things.insert(format!("context/{}", text(row, "id")), thing);
        },
    );
    things
}

fn pending(
    connection: &Connection,
    branch: &str,
    content: &dyn Fn(String) -> String,
) -> BTreeMap<String, Value> {
    let mut things = BTreeMap::new();
    each(
        connection,
        "SELECT * FROM pending_changes WHERE branch_id = ?1 AND state = 'pending'",
        branch,
        |row| {
            let mut about = json!({
                "path": text(row, "path"),
                "baseHash": row.get_unwrap::<_, Option<String>>("base_hash"),
                "targetHash": row.get_unwrap::<_, Option<String>>("target_hash"),
                "messageId": text(row, "message_id"),
                "added": row.get_unwrap::<_, i64>("added"),
                "removed": row.get_unwrap::<_, i64>("removed"),
                "notes": text(row, "notes"),
                "createdAt": row.get_unwrap::<_, i64>("created_at"),
            });
            if let Some(executable) = row.get_unwrap::<_, Option<bool>>("executable") {
                about["executable"] = executable.into();
            }
            if let Some(from) = row.get_unwrap::<_, Option<String>>("moved_from") {
                about["movedFrom"] = from.into();
            }
            let mut thing = json!({"about": about});
            if let Some(blob) = row.get_unwrap::<_, Option<String>>("blob") {
                thing["content"] = content(blob).into();
            }
            if let Some(blob) = row.get_unwrap::<_, Option<String>>("base_blob") {
                thing["base"] = content(blob).into();
            }
            things.insert(format!("pending/{}", text(row, "id")), thing);
        },
    );
    things
}

fn each(connection: &Connection, sql: &str, branch: &str, mut then: impl FnMut(&Row<'_>)) {
    let mut select = connection.prepare(sql).unwrap();
    let mut rows = select.query([branch]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        then(row);
    }
}

fn text(row: &Row<'_>, column: &str) -> String {
    row.get_unwrap(column)
}
