//! Commits: how a version is recorded, and the list of those before it.

use anyhow::{Context as _, Result};
use gix::ObjectId;
use gix::actor::Signature;
use gix::date::Time;
use gix::objs::{Commit, CommitRef, Kind, WriteTo as _};

use super::objects::HASH;
use super::{PlanRepo, Version};

const NAME: &str = "plandex";
const EMAIL: &str = "plandex@localhost";

/// A version as the history shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Which version.
    pub version: Version,
    /// The versions it was made from, the line it continues first; empty for the first version.
    pub parents: Vec<Version>,
    /// When it was made: wall clock, milliseconds since 1970, whole seconds.
    pub time_ms: i64,
    /// Who made it: `Name <email>`.
    pub author: String,
    /// Why, without the final newline.
    pub message: String,
}

impl PlanRepo {
    /// Lists `head` and the versions before it along first parents, newest first, at most `limit`.
    pub fn log(&self, head: &Version, limit: usize) -> Result<Vec<LogEntry>> {
        self.history(head).take(limit).collect()
    }

    /// As [`Self::log`], one by one as they are asked for; ends after the first that cannot be
    /// read.
    pub fn history(&self, head: &Version) -> impl Iterator<Item = Result<LogEntry>> {
        let mut next = Some(*head);
        std::iter::from_fn(move || {
            let entry = self.entry(&next.take()?);
            next = entry
                .as_ref()
                .ok()
                .and_then(|entry| entry.parents.first().copied());
            Some(entry)
        })
    }

    /// One version as the history shows it.
    pub fn entry(&self, version: &Version) -> Result<LogEntry> {
        let bytes = self.objects.read(&version.0, Kind::Commit)?;
        decode(*version, &bytes)
            .with_context(|| format!("decoding version {version} in {}", self.path.display()))
    }
}

fn decode(version: Version, bytes: &[u8]) -> Result<LogEntry> {
    let commit = CommitRef::from_bytes(bytes, HASH)?;
    let author = commit.author()?;
    let message = commit.message.to_string();
    Ok(LogEntry {
        version,
        parents: commit.parents().map(Version).collect(),
        time_ms: commit.time()?.seconds.saturating_mul(1000),
        author: format!("{} <{}>", author.name, author.email),
        message: message.strip_suffix('\n').unwrap_or(&message).to_owned(),
    })
}

/// The tree and the parents of an encoded commit.
pub(super) fn links(commit: &[u8]) -> Result<(ObjectId, Vec<ObjectId>)> {
    let commit = CommitRef::from_bytes(commit, HASH)?;
    Ok((commit.tree(), commit.parents().collect()))
}

/// Encodes a commit. See [`PlanRepo::commit`] for `author` and `time_ms`.
pub(super) fn encode(
    tree: ObjectId,
    parents: Vec<ObjectId>,
    author: &str,
    message: &str,
    time_ms: i64,
) -> Result<Vec<u8>> {
    // Git refuses times before 1970.
    let time = Time {
        seconds: time_ms.div_euclid(1000).max(0),
        offset: 0,
    };
    let commit = Commit {
        tree,
        parents: parents.into(),
        author: signature(author, time),
        committer: Signature {
            name: NAME.into(),
            email: EMAIL.into(),
            time,
        },
        encoding: None,
        // Git's tools cut a message at a NUL.
        message: format!(
            "{}\n",
            message.trim_end_matches('\n').replace('\0', "\u{fffd}")
        )
        .into(),
        extra_headers: Vec::new(),
    };
    let mut bytes = Vec::new();
    commit.write_to(&mut bytes)?;
    Ok(bytes)
}

/// Makes a signature of `Name <email>` or a name; what git does not allow in one is left out.
fn signature(author: &str, time: Time) -> Signature {
    let clean = |text: &str| -> String {
        let kept: String = text
            .chars()
            .filter(|c| !c.is_control() && !matches!(c, '<' | '>'))
            .collect();
        kept.trim().to_owned()
    };
    let (name, email) = author.split_once('<').unwrap_or((author, ""));
    let (name, email) = (clean(name), clean(email));
    Signature {
        name: if name.is_empty() {
            NAME.to_owned()
        } else {
            name
        }
        .into(),
        email: if email.is_empty() {
            EMAIL.to_owned()
        } else {
            email
        }
        .into(),
        time,
    }
}
