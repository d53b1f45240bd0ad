//! A version's tree: what the plan's repository holds of each row, readable by plain git.
//!
//! ```text
//! plan.json                        the plan's name
//! conversation/000001-user.md      one file a message: a head of `field: value` lines, a blank
//!                                  line, the text
//! summary/000012.md                the same of what the messages up to that one were about
//! context/<id>/about.json          what was loaded, from where, when
//! context/<id>/body                the content at that moment
//! pending/<id>/about.json          path, base and target hash of a change not yet applied
//! pending/<id>/content             the new content (absent for a deletion)
//! pending/<id>/base                the content that it was built on (absent for a new file, and
//!                                  where it is not kept)
//! ```
//!
//! Whoever changes a row changes its file here in the same version, so that a branch's rows can be
//! made again from its tree.

use serde::Serialize;

use crate::repo::TreeChange;
use crate::store::changes::Change;
use crate::store::contexts::{Context, Detail};
use crate::store::messages::Message;
use crate::store::summaries::Summary;

/// The plan itself.
pub fn plan(name: &str) -> TreeChange {
    #[derive(Serialize)]
    struct About<'a> {
        name: &'a str,
    }
    TreeChange::Put {
        path: "plan.json".to_owned(),
        bytes: json(&About { name }),
    }
}

/// One message.
pub fn message(message: &Message) -> TreeChange {
    let path = format!(
        "conversation/{:06}-{}.md",
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

/// One context entry with its body.
pub fn context(entry: &Context, body: Vec<u8>) -> [TreeChange; 2] {
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
    let at = |name: &str| format!("context/{}/{name}", entry.id);
    [
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
pub fn without_context(id: &str) -> TreeChange {
    TreeChange::Remove {
        path: format!("context/{id}"),
    }
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
    let at = |name: &str| format!("pending/{}/{name}", change.id);
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
    let path = format!("pending/{}", change.id);
    vec![TreeChange::Remove { path }]
}

fn json(about: &impl Serialize) -> Vec<u8> {
    // Structs of strings and numbers always serialise.
    let mut bytes = serde_json::to_vec_pretty(about).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
