//! A version read back: what its tree says of each row. The other half of [`tree`].

use std::collections::BTreeMap;
use std::str;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::tree::{self, BranchAbout, PlanAbout};
use crate::repo::{PlanRepo, TreeEntry, Version};
use crate::store::branch_settings::BranchSetting;
use crate::store::changes::{Build, Change, Fate};
use crate::store::contexts::{Context, Detail, Kind as ContextKind, Origin};
use crate::store::messages::{Kind, Message, Role, State};
use crate::store::rows::Rows;
use crate::store::summaries::Summary;

/// What a version holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The plan, as it was then.
    pub plan: Option<PlanAbout>,
    /// The branch that it is a version of; `None` in versions made before schema version 2.
    pub branch: Option<BranchAbout>,
    /// The branch's rows.
    pub rows: Rows,
}

impl Content {
    /// The rows of the version for a branch that has those of `before`. Versions made before schema
    /// version 2 have no builds, so what is known of them stays, of messages that the version has.
    pub fn rows_after(self, before: &Rows) -> Rows {
        let mut rows = self.rows;
        if self.branch.is_none() {
            let is_kept = |build: &&Build| {
                let is_new = rows.builds.iter().all(|known| known.id != build.id);
                is_new && rows.messages.iter().any(|said| said.id == build.message_id)
            };
            let kept: Vec<Build> = before.builds.iter().filter(is_kept).cloned().collect();
            rows.builds.extend(kept);
            rows.sort();
        }
        rows
    }
}

/// Reads `version` as one of the branch `branch_id`.
pub fn read(repo: &PlanRepo, version: &Version, branch_id: &str) -> Result<Content> {
    read_files(repo, version, branch_id, repo.files(version, "")?)
}

/// Whether `version` tells all rows of its branch. Those made before schema version 2 told neither
/// their branch nor its builds.
pub fn is_whole(repo: &PlanRepo, version: &Version) -> Result<bool> {
    Ok(repo.file(version, tree::BRANCH)?.is_some())
}

/// Reads what two versions of the branch `branch_id` do not have in common: what `one` holds that is
/// not, or not so, in `other`, and what `other` holds likewise. Takes as long as that is much, however
/// large the versions are.
pub fn differing(
    repo: &PlanRepo,
    one: &Version,
    other: &Version,
    branch_id: &str,
) -> Result<[Content; 2]> {
    let [ours, theirs] = repo.differing(one, other, tree::is_thing)?;
    Ok([
        read_files(repo, one, branch_id, ours)?,
        read_files(repo, other, branch_id, theirs)?,
    ])
}

fn read_files(
    repo: &PlanRepo,
    version: &Version,
    branch_id: &str,
    files: Vec<TreeEntry>,
) -> Result<Content> {
    let mut reader = Reader {
        repo,
        branch_id,
        content: Content::default(),
        things: BTreeMap::new(),
    };
    for file in files {
        reader
            .file(&file.path, &file.id)
            .with_context(|| format!("reading {} of version {version}", file.path))?;
    }
    reader
        .finish()
        .with_context(|| format!("reading version {version}"))
}

/// The files of a context or a pending change: their names and blobs.
type Files = BTreeMap<String, String>;

struct Reader<'r> {
    repo: &'r PlanRepo,
    branch_id: &'r str,
    content: Content,
    /// By room and id; versions of before have them elsewhere, or in two places.
    things: BTreeMap<(bool, String), Files>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, blob: &str) -> Result<()> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [tree::PLAN] => self.content.plan = Some(self.json(blob)?),
            [tree::BRANCH] => self.content.branch = Some(self.json(blob)?),
            [tree::SETTINGS] => {
                let pairs: BTreeMap<String, String> = self.json(blob)?;
                let settings = pairs.into_iter();
                self.content.rows.settings = settings
                    .map(|(name, value)| BranchSetting { name, value })
                    .collect();
            }
            ["conversation", .., name] => {
                let message = self.message(name, blob)?;
                self.content.rows.messages.push(message);
            }
            ["summary", name] => {
                let summary = self.summary(name, blob)?;
                self.content.rows.summaries.push(summary);
            }
            ["builds", .., name] => {
                let build = self.build(name, blob)?;
                self.content.rows.builds.push(build);
            }
            [room @ (tree::CONTEXT | tree::PENDING), .., id, name] => {
                let key = (room == tree::PENDING, id.to_owned());
                let files = self.things.entry(key).or_default();
                files.insert(name.to_owned(), blob.to_owned());
            }
            // A newer plandex's.
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Content> {
        for ((is_pending, id), files) in std::mem::take(&mut self.things) {
            // Half a thing, in versions made before schema version 2 of a fork that removed it.
            let Some(about) = files.get("about.json") else {
                continue;
            };
            if is_pending {
                let change = self.pending(&id, about, &files)?;
                self.content.rows.pending.push(change);
            } else {
                let entry = self.context(&id, about, &files)?;
                self.content.rows.contexts.push(entry);
            }
        }
        self.content.rows.sort();
        Ok(self.content)
    }

    fn json<T: for<'de> Deserialize<'de>>(&self, blob: &str) -> Result<T> {
        Ok(serde_json::from_slice(&self.repo.blob(blob)?)?)
    }

    /// A text with a head of fields.
    fn headed(&self, blob: &str) -> Result<(BTreeMap<String, String>, String)> {
        let text = String::from_utf8(self.repo.blob(blob)?)?;
        let (head, text) = text.split_once("\n\n").context("it has no head")?;
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok((fields.collect(), text.to_owned()))
    }

    fn message(&self, name: &str, blob: &str) -> Result<Message> {
        let (number, role) = name
            .strip_suffix(".md")
            .and_then(|name| name.split_once('-'))
            .context("it is no message")?;
        let (mut fields, text) = self.headed(blob)?;
        let mut field = |name: &str| fields.remove(name).unwrap_or_default();
        Ok(Message {
            id: field("id"),
            branch_id: self.branch_id.to_owned(),
            number: number.parse()?,
            role: match role {
                "user" => Role::User,
                "assistant" => Role::Assistant,
                other => bail!("nobody is called {other}"),
            },
            kind: Kind::parse(&field("kind")),
            source: field("source"),
            text,
            state: State::parse(&field("state")),
            is_kept: field("kept") == "1",
            created_at: field("created").parse()?,
            completed_at: Some(field("completed").parse()?).filter(|at| *at != 0),
        })
    }

    fn summary(&self, name: &str, blob: &str) -> Result<Summary> {
        let up_to = name.strip_suffix(".md").context("it is no summary")?;
        let (mut fields, text) = self.headed(blob)?;
        let mut field = |name: &str| fields.remove(name).unwrap_or_default();
        Ok(Summary {
            id: field("id"),
            up_to: up_to.parse()?,
            source: field("source"),
            text,
            created_at: field("created").parse()?,
        })
    }

    fn build(&self, name: &str, blob: &str) -> Result<Build> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct About {
            message_id: String,
            run: String,
            path: String,
            status: String,
            report: Option<String>,
            created_at: i64,
        }
        let about: About = self.json(blob)?;
        let id = name.strip_suffix(".json").context("it is no build")?;
        Ok(Build {
            id: id.to_owned(),
            message_id: about.message_id,
            stream_id: about.run,
            path: about.path,
            fate: Fate::parse(&about.status, about.report),
            created_at: about.created_at,
        })
    }

    fn context(&self, id: &str, about: &str, files: &Files) -> Result<Context> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct About {
            kind: String,
            name: String,
            path: Option<String>,
            url: Option<String>,
            link: Option<String>,
            detail: Option<String>,
            #[serde(default)]
            forced: bool,
            listing: Option<String>,
            hash: String,
            size: i64,
            mtime_ns: i64,
            tokens: i64,
            created_at: i64,
            updated_at: i64,
        }
        let about: About = self.json(about)?;
        Ok(Context {
            id: id.to_owned(),
            branch_id: self.branch_id.to_owned(),
            kind: ContextKind::parse(&about.kind),
            name: about.name,
            path: about.path,
            origin: Origin {
                url: about.url,
                link: about.link,
                detail: about.detail.as_deref().and_then(Detail::parse),
                is_forced: about.forced,
                listing: about.listing,
            },
            blob: files.get("body").context("a context has no body")?.clone(),
            hash: about.hash,
            size: about.size,
            mtime_ns: about.mtime_ns,
            tokens: about.tokens,
            created_at: about.created_at,
            updated_at: about.updated_at,
        })
    }

    fn pending(&self, id: &str, about: &str, files: &Files) -> Result<Change> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct About {
            path: String,
            base_hash: Option<String>,
            target_hash: Option<String>,
            message_id: String,
            executable: Option<bool>,
            moved_from: Option<String>,
            added: i64,
            removed: i64,
            notes: String,
            created_at: i64,
        }
        let about: About = self.json(about)?;
        Ok(Change {
            id: id.to_owned(),
            branch_id: self.branch_id.to_owned(),
            message_id: about.message_id,
            path: about.path,
            base_hash: about.base_hash,
            base_blob: files.get("base").cloned(),
            blob: files.get("content").cloned(),
            target_hash: about.target_hash,
            executable: about.executable,
            moved_from: about.moved_from,
            added: about.added,
            removed: about.removed,
            notes: about.notes,
            created_at: about.created_at,
        })
    }
}
