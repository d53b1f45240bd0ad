//! A version's tree: what the plan's repository holds of each row, readable by plain git.
//!
//! ```text
//! plan.json                           the plan's name, and whether it is archived or deleted
//! settings.json                       what `set-model` chose (absent if nothing)
//! branch.json                         the branch's name, and the branch that it was forked from
//! conversation/0000/000001-user.md    one file a message, a directory a hundred: a head of
//!                                     `field: value` lines, a blank line, the text
//! builds/<xx>/<id>.json               what became of a reply's edits to one path
//! summary/000012.md                   what the messages up to that one were about, as a message
//! context/<xx>/<id>/about.json        what was loaded, from where, when
//! context/<xx>/<id>/body              the content at that moment
//! pending/<xx>/<id>/about.json        path, base and target hash of a change not yet applied
//! pending/<xx>/<id>/content           the new content (absent for a deletion)
//! pending/<xx>/<id>/base              the content that it was built on (absent for a new file,
//!                                     and where it is not kept)
//! ```
//!
//! `<xx>` are the last two digits of the id: a version writes every directory that it goes through,
//! so none may be long. Versions made before schema version 2 have no such directories (nor
//! branch.json and builds); a thing that is put or removed leaves its old place.
//!
//! Whoever changes a row changes its file here in the same version, so that a branch's rows can be
//! made again from its tree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::repo::TreeChange;
use crate::store::branch_settings::BranchSetting;
use crate::store::branches::Branch;
use crate::store::changes::{Build, Change};
use crate::store::contexts::{Context, Detail};
use crate::store::messages::Message;
use crate::store::plans::Plan;
use crate::store::summaries::Summary;

/// The plan itself: what of its row is not found elsewhere in its repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanAbout {
    /// Its name.
    pub name: String,
    /// Wall time of its making; 0 in versions made before schema version 2.
    #[serde(default)]
    pub created_at: i64,
    /// Whether nobody named it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_draft: bool,
    /// When it was archived (wall milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<i64>,
    /// When it was deleted (wall milliseconds).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<i64>,
    /// Who deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<String>,
}

impl From<&Plan> for PlanAbout {
    fn from(plan: &Plan) -> Self {
        Self {
            name: plan.name.clone(),
            created_at: plan.created_at,
            is_draft: plan.is_draft,
            archived_at: plan.archived_at,
            deleted_at: plan.deleted_at,
            deleted_by: plan.deleted_by.clone(),
        }
    }
}

/// Where [`plan`] is.
pub const PLAN: &str = "plan.json";
/// Where [`settings`] are.
pub const SETTINGS: &str = "settings.json";

/// The plan itself.
pub fn plan(about: &PlanAbout) -> TreeChange {
    TreeChange::Put {
        path: PLAN.to_owned(),
        bytes: json(about),
    }
}

/// The branch itself: what of its row is not found elsewhere in its repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchAbout {
    /// Its name.
    pub name: String,
    /// The branch that it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Wall time of its making.
    pub created_at: i64,
}

impl From<&Branch> for BranchAbout {
    fn from(branch: &Branch) -> Self {
        Self {
            name: branch.name.clone(),
            parent_id: branch.parent_id.clone(),
            created_at: branch.created_at,
        }
    }
}

/// Where [`branch`] is.
pub const BRANCH: &str = "branch.json";

/// The branch itself.
pub fn branch(about: &BranchAbout) -> TreeChange {
    TreeChange::Put {
        path: BRANCH.to_owned(),
        bytes: json(about),
    }
}

/// Below which context entries are.
pub const CONTEXT: &str = "context";
/// Below which pending changes are.
pub const PENDING: &str = "pending";

/// What `set-model` chose for the branch; nothing chosen, no file.
pub fn settings(chosen: &[BranchSetting]) -> TreeChange {
    let path = SETTINGS.to_owned();
    if chosen.is_empty() {
        return TreeChange::Remove { path };
    }
    let pairs = chosen
        .iter()
        .map(|one| (one.name.as_str(), one.value.as_str()));
    let map: BTreeMap<&str, &str> = pairs.collect();
    TreeChange::Put {
        path,
        bytes: json(&map),
    }
}

/// One message.
pub fn message(message: &Message) -> TreeChange {
    let path = format!(
        "conversation/{:04}/{:06}-{}.md",
        message.number / 100,
        message.number,
        message.role.word()
    );
    let mut text = String::new();
    for (field, value) in [
        ("id", message.id.as_str()),
        ("kind", message.kind.word()),
        ("source", message.source.as_str()),
        ("state", message.state.word()),
        ("kept", if message.is_kept { "1" } else { "0" }),
        ("created", &message.created_at.to_string()),
        (
            "completed",
            &message.completed_at.unwrap_or_default().to_string(),
        ),
    ] {
        text.push_str(field);
        text.push_str(": ");
        text.push_str(&value.replace('\n', " "));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&message.text);
    TreeChange::Put {
        path,
        bytes: text.into_bytes(),
    }
}

/// One summary.
pub fn summary(summary: &Summary) -> TreeChange {
    let source = summary.source.replace('\n', " ");
    let head = format!(
        "id: {}\nsource: {source}\ncreated: {}\n\n",
        summary.id, summary.created_at
    );
    TreeChange::Put {
        path: format!("summary/{:06}.md", summary.up_to),
        bytes: (head + &summary.text).into_bytes(),
    }
}

/// One build.
pub fn build(build: &Build) -> TreeChange {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct About<'a> {
        message_id: &'a str,
        run: &'a str,
        path: &'a str,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        report: Option<&'a str>,
        created_at: i64,
    }
    let about = About {
        message_id: &build.message_id,
        run: &build.stream_id,
        path: &build.path,
        status: build.fate.word(),
        report: build.error(),
        created_at: build.created_at,
    };
    TreeChange::Put {
        path: format!("{}.json", place("builds", &build.id)),
        bytes: json(&about),
    }
}

/// Where the thing `id` is below `room`.
fn place(room: &str, id: &str) -> String {
    let digits = id.get(id.len().saturating_sub(2)..).unwrap_or("00");
    format!("{room}/{digits}/{id}")
}

/// Whether a directory is all of one context entry or of one pending change, of any schema version.
pub(super) fn is_thing(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    // The directories between a room and its things have names of two digits.
    matches!(parts[..], [CONTEXT | PENDING, .., id] if id.len() > 2)
}

/// The removal of the thing `id` from where it was before schema version 2.
fn without_old(room: &str, id: &str) -> TreeChange {
    TreeChange::Remove {
        path: format!("{room}/{id}"),
    }
}

/// One context entry with its body.
pub fn context(entry: &Context, body: Vec<u8>) -> [TreeChange; 3] {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct About<'a> {
        kind: &'static str,
        name: &'a str,
        path: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        link: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'static str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        forced: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        listing: Option<&'a str>,
        hash: &'a str,
        size: i64,
        mtime_ns: i64,
        tokens: i64,
        created_at: i64,
        updated_at: i64,
    }
    let about = About {
        kind: entry.kind.word(),
        name: &entry.name,
        path: entry.path.as_deref(),
        url: entry.origin.url.as_deref(),
        link: entry.origin.link.as_deref(),
        detail: entry.origin.detail.map(Detail::word),
        forced: entry.origin.is_forced,
        listing: entry.origin.listing.as_deref(),
        hash: &entry.hash,
        size: entry.size,
        mtime_ns: entry.mtime_ns,
        tokens: entry.tokens,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
    };
    let place = place(CONTEXT, &entry.id);
    let at = |name: &str| format!("{place}/{name}");
    [
        without_old(CONTEXT, &entry.id),
        TreeChange::Put {
            path: at("about.json"),
            bytes: json(&about),
        },
        TreeChange::Put {
            path: at("body"),
            bytes: body,
        },
    ]
}

/// The removal of a context entry.
pub fn without_context(id: &str) -> [TreeChange; 2] {
    let path = place(CONTEXT, id);
    [TreeChange::Remove { path }, without_old(CONTEXT, id)]
}

/// One pending change with its new content (`None` for a deletion, or to leave it as it is) and what
/// it was built on (`None` to leave that as it is, if the change still has it).
pub fn pending(
    change: &Change,
    content: Option<Vec<u8>>,
    base: Option<Vec<u8>>,
) -> Vec<TreeChange> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct About<'a> {
        path: &'a str,
        base_hash: Option<&'a str>,
        target_hash: Option<&'a str>,
        message_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        executable: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        moved_from: Option<&'a str>,
        added: i64,
        removed: i64,
        notes: &'a str,
        created_at: i64,
    }
    let about = About {
        path: &change.path,
        base_hash: change.base_hash.as_deref(),
        target_hash: change.target_hash.as_deref(),
        message_id: &change.message_id,
        executable: change.executable,
        moved_from: change.moved_from.as_deref(),
        added: change.added,
        removed: change.removed,
        notes: &change.notes,
        created_at: change.created_at,
    };
    let place = place(PENDING, &change.id);
    let at = |name: &str| format!("{place}/{name}");
    let mut files = vec![TreeChange::Put {
        path: at("about.json"),
        bytes: json(&about),
    }];
    files.extend(content.map(|bytes| TreeChange::Put {
        path: at("content"),
        bytes,
    }));
    match (base, &change.base_blob) {
        (Some(bytes), _) => files.push(TreeChange::Put {
            path: at("base"),
            bytes,
        }),
        (None, None) => files.push(TreeChange::Remove { path: at("base") }),
        (None, Some(_)) => {}
    }
    files
}

/// The removal of a pending change that ended.
pub fn without_pending(change: &Change) -> Vec<TreeChange> {
    let path = place(PENDING, &change.id);
    vec![
        TreeChange::Remove { path },
        without_old(PENDING, &change.id),
    ]
}

fn json(about: &impl Serialize) -> Vec<u8> {
    // Structs of strings and numbers always serialise.
    let mut bytes = serde_json::to_vec_pretty(about).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
