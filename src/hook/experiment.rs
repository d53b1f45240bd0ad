//! Whether a directory is a lane of an A/B experiment: the same task given to several models, each
//! in a directory of its own beside one `manifest.json`.
//!
//! ```text
//! experiment_root/
//!   manifest.json      {"task_id": "…", "assignments": {"model_a": "name", "model_b": "name"}}
//!   model_a/…          the lane that one model works in
//!   model_b/…
//! ```
//!
//! The root is the nearest directory above with a `manifest.json` that is an object with a `task_id`;
//! the lane is the directory below it that leads here, if `assignments` has it or it begins with
//! `model_`; the model's name is its assignment (a name, or an object with a `name` or `model`).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::platform::file;

/// How far up a manifest is looked for.
const ABOVE: usize = 64;
/// A manifest is never longer.
const MANIFEST_MAX: u64 = 1 << 20;

/// The place of a session in an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) task_id: String,
    pub(super) model_lane: String,
    pub(super) experiment_root: PathBuf,
    pub(super) model_name: Option<String>,
}

/// The lane that `dir` is in, if it is in one. Never fails.
pub(super) fn look(dir: &Path) -> Option<Lane> {
    let mut above = dir.ancestors().take(ABOVE);
    let mut below = above.next()?;
    for root in above {
        if let Some(manifest) = manifest(root) {
            return lane(root, below.file_name()?.to_str()?, &manifest);
        }
        below = root;
    }
    None
}

fn lane(root: &Path, name: &str, manifest: &Map<String, Value>) -> Option<Lane> {
    let assigned = manifest.get("assignments").and_then(|all| all.get(name));
    if assigned.is_none() && !name.starts_with("model_") {
        return None;
    }
    let named = |value: &Value| value.get("name").or(value.get("model")).and_then(text);
    Some(Lane {
        task_id: manifest.get("task_id").and_then(text)?,
        model_lane: name.to_owned(),
        experiment_root: root.to_owned(),
        model_name: assigned.and_then(|value| text(value).or_else(|| named(value))),
    })
}

fn text(value: &Value) -> Option<String> {
    let number = || value.as_i64().map(|number| number.to_string());
    value.as_str().map(str::to_owned).or_else(number)
}

/// The manifest in `root`, if that is one of an experiment: other things have files of that name.
fn manifest(root: &Path) -> Option<Map<String, Value>> {
    let opened = file::open_at_once(&root.join("manifest.json")).ok()?;
    if !opened.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    opened.take(MANIFEST_MAX).read_to_end(&mut bytes).ok()?;
    let fields: Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
    let is_one = fields.get("task_id").and_then(text).is_some();
    is_one.then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_found_from_below() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        let work = root.join("model_a/repo/src");
        std::fs::create_dir_all(&work).unwrap();
        let with = |text: &str| {
            crate::platform::file::write_atomic(
                &root.join("manifest.json"),
                text.as_bytes(),
                0o600,
            )
            .unwrap();
            look(&work)
        };
        let lane = |model_name: Option<&str>| {
            Some(Lane {
                task_id: "t-1".to_owned(),
                model_lane: "model_a".to_owned(),
                experiment_root: root.to_owned(),
                model_name: model_name.map(str::to_owned),
            })
        };
        assert_eq!(look(&work), None);
        for (text, found) in [
            (
                r#"{"task_id":"t-1","assignments":{"model_a":"big"}}"#,
                lane(Some("big")),
            ),
            (
                r#"{"task_id":"t-1","assignments":{"model_a":{"name":"big"}}}"#,
                lane(Some("big")),
            ),
            (
                r#"{"task_id":"t-1","assignments":{"model_b":"big"}}"#,
                lane(None),
            ),
            (r#"{"task_id":"t-1","assignments":[]}"#, lane(None)),
            (r#"{"task_id":"t-1"}"#, lane(None)),
            (r#"{"name":"an extension of a browser"}"#, None),
            (r#"{"task_id":null}"#, None),
            ("[1]", None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(with(text), found, "{text}");
        }
        with(r#"{"task_id":7,"assignments":{"left":"big"}}"#);
        assert_eq!(look(&root.join("left")).unwrap().task_id, "7");
        assert_eq!(look(&root.join("right")), None);
        assert_eq!(look(root), None);
    }
}
