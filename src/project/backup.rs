//! `backup` and `restore`: a whole project's state in one file, and back.
//!
//! The archive is a tar: the manifest, a copy of the database by SQLite itself, the objects of each
//! plan's repository, and last the count and the digest of all before. The database is copied first
//! and the objects are opened after, so no row of the copy points at what is not in the archive,
//! whoever works meanwhile. Nothing counts before it is whole: the archive gets its name when it is
//! on the disk, and a restore puts everything under a passing name, checks the digest, the database
//! and every version, and only then gives it the place.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::platform::digest::Hasher;
use crate::platform::{clock, file};
use crate::repo::{Depth, Held, PlanRepo};
use crate::store::branches::{self, Standing};
use crate::store::{Connections, Integrity, SCHEMA_VERSION, Store, tickets};

const MANIFEST: &str = "plandex-backup.json";
const DATABASE: &str = crate::store::FILES[0];
const CONFIG: &str = "config.toml";
const END: &str = "end.json";
/// The form of the archive.
const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    form: u32,
    plandex: String,
    schema_version: i64,
    /// Wall milliseconds.
    made_at: i64,
    plans: usize,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct End {
    files: u64,
    sha256: String,
}

/// Why there is nothing restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// There is a project already.
    #[error("there is a plandex project in {} already", .0.display())]
    Exists(PathBuf),
    /// Operations run or wait on it.
    #[error("{0} of the project in this place run or wait")]
    Busy(String),
    /// The archive is not what a backup made.
    #[error("{} is not a whole backup: {problem}", .path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a backup or a restore came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archived {
    /// How many plans, deleted ones among them.
    pub plans: usize,
    /// How many files are in the archive.
    pub files: u64,
    /// Where the project that was in the place is now.
    pub moved_aside: Option<PathBuf>,
}

/// Writes the whole state of the project whose database `store` is to the new file `to` (0600),
/// while others work. `hear` is called with how many of how many plans are done.
///
/// Fails if `to` exists.
pub fn backup(store: &Store, to: &Path, hear: &mut dyn FnMut(usize, usize)) -> Result<Archived> {
    ensure!(!to.exists(), "{} exists already", to.display());
    let unfinished = file::temporary_beside(to);
    let database = store
        .dir()
        .join(format!(".backup-{}.tmp", clock::wall_ms()));
    let written = write(store, &database, &unfinished, hear);
    // What cannot be removed now is swept later.
    drop(std::fs::remove_file(&database));
    let named = written.and_then(|archived| {
        ensure!(!to.exists(), "{} exists by now", to.display());
        file::rename(&unfinished, to)?;
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty());
        file::sync_dir(dir.unwrap_or_else(|| Path::new(".")))?;
        Ok(archived)
    });
    if named.is_err() {
        drop(std::fs::remove_file(&unfinished));
    }
    named
}

fn write(
    store: &Store,
    database: &Path,
    to: &Path,
    hear: &mut dyn FnMut(usize, usize),
) -> Result<Archived> {
    store.copy_to(database)?;
    // From here on the copy says what there is: what comes later is not in this backup.
    let plans = store_of_copy(database)?;
    let out = file::write_new(to, b"", 0o600)?;
    let mut archive = Writer::new(out);
    let manifest = Manifest {
        form: FORM,
        plandex: env!("CARGO_PKG_VERSION").to_owned(),
        schema_version: SCHEMA_VERSION,
        made_at: clock::wall_ms(),
        plans: plans.len(),
    };
    archive.add_json(MANIFEST, &manifest)?;
    archive.add_file(DATABASE, File::open(database)?)?;
    let config = store.dir().join(CONFIG);
    if config.exists() {
        archive.add_file(CONFIG, File::open(&config)?)?;
    }
    for (done, (plan_id, of_plan)) in plans.iter().enumerate() {
        hear(done, plans.len());
        let path = store.dir().join("plans").join(format!("{plan_id}.git"));
        add_plan(&mut archive, plan_id, &path, of_plan)
            .with_context(|| format!("backing up the plan {plan_id}"))?;
    }
    hear(plans.len(), plans.len());
    let files = archive.files;
    let out = archive.finish()?;
    file::sync_file(&out, to)?;
    Ok(Archived {
        plans: plans.len(),
        files,
        moved_aside: None,
    })
}

/// The plans of a database copy with all their branches, deleted ones too.
fn store_of_copy(database: &Path) -> Result<Vec<(String, Vec<Standing>)>> {
    crate::store::looking_at(database, branches::by_plan)
}

fn add_plan(archive: &mut Writer, plan_id: &str, path: &Path, of_plan: &[Standing]) -> Result<()> {
    let repo = PlanRepo::open(path)?;
    let held = repo.hold_objects()?;
    let at = |name: &str| format!("plans/{plan_id}.git/{name}");
    for name in ["HEAD", "config"] {
        archive.add_file(&at(name), File::open(path.join(name))?)?;
    }
    // From the copied rows, whose heads they are; a deleted branch has no ref.
    for branch in of_plan.iter().filter(|branch| !branch.is_deleted) {
        if let Some(head) = &branch.head {
            let name = at(&format!("refs/heads/{}", branch.id));
            archive.add_bytes(&name, format!("{head}\n").as_bytes())?;
        }
    }
    for Held { path, file } in held {
        archive.add_file(&at(&path), file)?;
    }
    Ok(())
}

struct Writer {
    tar: tar::Builder<File>,
    digest: Hasher,
    files: u64,
}

impl Writer {
    fn new(out: File) -> Self {
        Self {
            tar: tar::Builder::new(out),
            digest: Hasher::default(),
            files: 0,
        }
    }

    fn add_json(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(value)?;
        bytes.push(b'\n');
        self.add_bytes(name, &bytes)
    }

    fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.add(name, bytes.len() as u64, bytes)
    }

    fn add_file(&mut self, name: &str, file: File) -> Result<()> {
        let length = file.metadata()?.len();
        self.add(name, length, file)
    }

    fn add(&mut self, name: &str, length: u64, content: impl Read) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(length);
        header.set_mode(0o600);
        let seconds = u64::try_from(clock::wall_ms() / 1000).unwrap_or_default();
        header.set_mtime(seconds);
        note(&mut self.digest, name, length);
        let content = Heard {
            from: content.take(length),
            digest: &mut self.digest,
        };
        self.tar
            .append_data(&mut header, name, content)
            .with_context(|| format!("archiving {name}"))?;
        self.files += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<File> {
        let digest = std::mem::take(&mut self.digest).finish();
        let end = End {
            files: self.files,
            sha256: digest,
        };
        self.add_json(END, &end)?;
        let mut out = self.tar.into_inner()?;
        out.flush()?;
        Ok(out)
    }
}

/// What of an entry but its content counts for the digest.
fn note(digest: &mut Hasher, name: &str, length: u64) {
    digest.update(name.as_bytes());
    digest.update(&[0]);
    digest.update(&length.to_be_bytes());
}

/// Reads on, and the digest hears it.
struct Heard<'d, R> {
    from: R,
    digest: &'d mut Hasher,
}

impl<R: Read> Read for Heard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.digest.update(&buffer[..length]);
        Ok(length)
    }
}

/// What a restore does with a project that is in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leaves it, and restores nothing.
    Refuse,
    /// Gives it another name, if nobody works on it.
    MoveAside,
}

/// Makes the project at `place` what the archive `from` says. Fails with [`RestoreError`], and then
/// everything is as before.
pub fn restore(place: &Place, from: &Path, existing: Existing) -> Result<Archived> {
    let has_project = place.dir.join(DATABASE).exists() || place.dir.join("plans").exists();
    if has_project && existing == Existing::Refuse {
        return Err(RestoreError::Exists(place.dir.clone()).into());
    }
    let unfinished = file::temporary_beside(&place.dir);
    let restored = unpack(from, &unfinished).and_then(|mut archived| {
        if place.dir.exists() {
            archived.moved_aside = move_aside(&place.dir)?;
        }
        file::rename(&unfinished, &place.dir)?;
        let parent = place.dir.parent().unwrap_or_else(|| Path::new("."));
        file::sync_dir(parent)?;
        Ok(archived)
    });
    if restored.is_err() {
        drop(std::fs::remove_dir_all(&unfinished));
    }
    restored
}

/// Gives the state directory another name. With a database that can be opened it is done inside a
/// transaction that finds no ticket: whoever comes later finds that it is gone.
fn move_aside(dir: &Path) -> Result<Option<PathBuf>> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let aside = dir.with_file_name(format!("{name}-before-{}", clock::wall_ms()));
    let Ok(store) = Store::open(dir, Connections::One) else {
        file::rename(dir, &aside)?;
        return Ok(Some(aside));
    };
    let mut moved = false;
    let result = store.tickets(Duration::from_secs(5), |tx| {
        let mut all = tickets::all(tx)?;
        all.retain(|ticket| !ticket.owner_id.is_empty());
        if !all.is_empty() {
            let noun = if all.len() == 1 {
                "operation"
            } else {
                "operations"
            };
            return Err(RestoreError::Busy(format!("{} {noun}", all.len())).into());
        }
        file::rename(dir, &aside)?;
        moved = true;
        Ok(())
    });
    // The commit of nothing fails where the file has another name by now.
    if moved {
        Ok(Some(aside))
    } else {
        result.map(|()| None)
    }
}

fn unpack(from: &Path, to: &Path) -> Result<Archived> {
    let damaged = |problem: String| RestoreError::Damaged {
        path: from.to_owned(),
        problem,
    };
    let archive = File::open(from).with_context(|| format!("opening {}", from.display()))?;
    file::create_dir_private(to)?;
    for name in ["plans", "owners", "apply"] {
        file::create_dir_private(&to.join(name))?;
    }
    file::write_atomic(&to.join(".gitignore"), b"*\n", 0o600)?;
    let archived = entries(archive, to).map_err(|error| damaged(format!("{error:#}")))?;
    file::sync_file_system(to)?;
    check(to).map_err(|error| damaged(format!("{error:#}")))?;
    Ok(archived)
}

fn entries(archive: File, to: &Path) -> Result<Archived> {
    let mut tar = tar::Archive::new(archive);
    let mut digest = Hasher::default();
    let mut archived = Archived::default();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = entry
            .path()?
            .to_str()
            .context("a name that is no text")?
            .to_owned();
        if name == END {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            let found = End {
                files: archived.files,
                sha256: digest.finish(),
            };
            ensure!(
                serde_json::from_str::<End>(&text)? == found,
                "its digest differs"
            );
            return Ok(archived);
        }
        let length = entry.size();
        note(&mut digest, &name, length);
        let mut content = Heard {
            from: &mut entry,
            digest: &mut digest,
        };
        if name == MANIFEST {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            let manifest: Manifest = serde_json::from_str(&text)?;
            ensure!(
                manifest.form <= FORM && manifest.schema_version <= SCHEMA_VERSION,
                "it was made by a newer plandex ({})",
                manifest.plandex
            );
            archived.plans = manifest.plans;
        } else {
            let path = place_of(&name, to)?;
            let mut out = file::write_new(&path, b"", 0o600)?;
            let written = std::io::copy(&mut content, &mut out)?;
            ensure!(written == length, "{name} is cut off");
        }
        archived.files += 1;
    }
    bail!("its end is missing")
}

/// Where an entry goes; only what a backup writes goes anywhere.
fn place_of(name: &str, to: &Path) -> Result<PathBuf> {
    let path = Path::new(name);
    let is_plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let is_ours = matches!(name, DATABASE | CONFIG) || name.starts_with("plans/");
    ensure!(is_plain && is_ours, "{name:?} is nothing that a backup has");
    let place = to.join(path);
    if let Some(parent) = path.parent() {
        let mut dir = to.to_owned();
        for part in parent.components() {
            dir.push(part);
            file::create_dir_private(&dir)?;
        }
    }
    Ok(place)
}

/// Whether what was unpacked is whole: the database is sound, and every version of every branch can
/// be read.
fn check(dir: &Path) -> Result<()> {
    let store = Store::open(dir, Connections::One)?;
    let problems = store.integrity(Integrity::Full)?;
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    store.forget_processes()?;
    for (plan_id, of_plan) in store.read(branches::by_plan)? {
        let path = dir.join("plans").join(format!("{plan_id}.git"));
        // Directories that were empty are no entries.
        for name in ["objects/pack", "refs/heads"] {
            std::fs::create_dir_all(path.join(name))?;
        }
        let repo = PlanRepo::open(&path)?;
        for branch in of_plan {
            let Some(head) = &branch.head else { continue };
            if let Some(damage) = repo.verify(&head.parse()?, Depth::Full).first() {
                bail!("{}: {}", damage.place, damage.problem);
            }
        }
    }
    store.checkpoint()
}
