//! What a session is called, and where its log is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::platform::{digest, file};

/// An id that is longer gets a shorter stand-in: a file's name may have 255 bytes.
const ID_MAX: usize = 128;
/// How much of a longer one the stand-in keeps.
const KEPT: usize = 64;
/// How often another number is drawn for a session without an id.
const DRAWS: usize = 100;

/// Where a session's entries go, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: String,
    /// What the host called it, if that was something else.
    pub(super) original: Option<Value>,
    pub(super) log: PathBuf,
}

impl Session {
    /// The session that the host calls `given`, with its log in `logs`. One that it does not name
    /// gets a name, and a file, that no other has.
    pub(super) fn of(given: &Value, logs: &Path) -> Result<Self> {
        let name = match given {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        };
        let is_named = !name.is_empty() && !name.eq_ignore_ascii_case("unknown");
        let (id, log) = if is_named {
            let id = safe(&name);
            let log = path(logs, &id);
            (id, log)
        } else {
            unnamed(logs)?
        };
        let is_same = given.as_str() == Some(&id);
        Ok(Self {
            original: (!is_same && !given.is_null()).then(|| given.clone()),
            id,
            log,
        })
    }
}

fn path(logs: &Path, id: &str) -> PathBuf {
    logs.join(format!("session_{id}.jsonl"))
}

/// The id as it may stand in a file's name. What has to be changed gets a part of its digest, so
/// that two ids stay two files, and one stays one.
fn safe(id: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if id.len() <= ID_MAX && id.chars().all(is_safe) {
        return id.to_owned();
    }
    let kept = id.chars().take(KEPT);
    let mut changed: String = kept.map(|c| if is_safe(c) { c } else { '_' }).collect();
    changed.push('_');
    changed.push_str(&digest::sha256_hex(id.as_bytes())[..8]);
    changed
}

/// A name that is drawn, and its file, made here: whoever draws the same finds it there.
fn unnamed(logs: &Path) -> Result<(String, PathBuf)> {
    std::fs::create_dir_all(logs).with_context(|| format!("creating {}", logs.display()))?;
    for _ in 0..DRAWS {
        // The end of such an id is drawn; its beginning is the time.
        let drawn = uuid::Uuid::now_v7().simple().to_string();
        let id = format!("fallback_{}", &drawn[drawn.len() - 8..]);
        let log = path(logs, &id);
        match file::write_new(&log, b"", 0o600) {
            Ok(_) => return Ok((id, log)),
            Err(_) if log.symlink_metadata().is_ok() => {}
            Err(error) => return Err(error),
        }
    }
    bail!("no free name for a session in {}", logs.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_becomes_a_file_s_name() {
        let logs = Path::new("/x");
        for id in ["a", "0d4fae5c-6e5f-4be1-8be0-f3ac6a1ab5d0", "a.b_c-d", ".."] {
            let session = Session::of(&Value::from(id), logs).unwrap();
            assert_eq!((session.id.as_str(), session.original), (id, None));
            assert_eq!(session.log, logs.join(format!("session_{id}.jsonl")));
        }
        let long = "x".repeat(10 << 10);
        for id in [
            "../../etc/passwd",
            "a\nb",
            "a b",
            "größe",
            "a\0b",
            long.as_str(),
        ] {
            let session = Session::of(&Value::from(id), logs).unwrap();
            assert_eq!(session.original, Some(Value::from(id)));
            assert_eq!(session.log.parent(), Some(logs), "{id}");
            assert!(session.log.as_os_str().len() < 100, "{id}");
            assert_eq!(session, Session::of(&Value::from(id), logs).unwrap());
        }
        let both = ["a b", "a\tb"].map(|id| Session::of(&Value::from(id), logs).unwrap().id);
        assert_ne!(both[0], both[1]);
        let number = Session::of(&Value::from(42), logs).unwrap();
        assert_eq!(
            (number.id.as_str(), number.original),
            ("42", Some(Value::from(42)))
        );
    }

    #[test]
    fn a_session_without_a_name_gets_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let logs = dir.path().join("logs");
        for given in [
            Value::Null,
            "unknown".into(),
            " ".into(),
            serde_json::json!({}),
        ] {
            let session = Session::of(&given, &logs).unwrap();
            let drawn = session.id.strip_prefix("fallback_").unwrap();
            assert!(drawn.len() == 8 && drawn.chars().all(|c| c.is_ascii_hexdigit()));
            assert!(session.log.exists());
            assert_eq!(session.original.is_some(), !given.is_null());
        }
        assert_eq!(std::fs::read_dir(&logs).unwrap().count(), 4);
    }
}
