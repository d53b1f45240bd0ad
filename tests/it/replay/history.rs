//! What this repository's own commits did to its text files.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::perturb::Dice;

/// One file in one commit, before and after.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) path: String,
    /// `None`: the commit made the file.
    pub(super) before: Option<String>,
    /// `None`: the commit removed the file.
    pub(super) after: Option<String>,
}

/// All different changes of text files, in an order that does not change; or why there is no
/// history here.
pub(super) fn changes() -> Result<Vec<Change>, String> {
    let raw = git(&[
        "log",
        "--no-merges",
        "--root",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--format=",
    ])?;
    let mut touched = BTreeSet::new();
    for line in raw.lines() {
        let Some((meta, path)) = line.split_once('\t') else {
            continue;
        };
        let fields: Vec<&str> = meta.split(' ').collect();
        let [old_mode, new_mode, old, new, _] = fields[..] else {
            return Err(format!("git log says {line:?}"));
        };
        let is_plain = |mode: &str| {
            mode.trim_start_matches(':').starts_with("100") || mode.ends_with("000000")
        };
        // A quoted path is not one that a label would give.
        if is_plain(old_mode) && is_plain(new_mode) && old != new && !path.starts_with('"') {
            touched.insert((path.to_owned(), old.to_owned(), new.to_owned()));
        }
    }
    let blobs = blobs(
        touched
            .iter()
            .flat_map(|(_, old, new)| [old.as_str(), new.as_str()]),
    )?;
    let text = |id: &str| match blobs.get(id) {
        Some(bytes) => String::from_utf8(bytes.clone())
            .ok()
            .filter(|text| !text.contains('\0'))
            .map(Some),
        None => Some(None),
    };
    let changes = touched.iter().filter_map(|(path, old, new)| {
        Some(Change {
            path: path.clone(),
            before: text(old)?,
            after: text(new)?,
        })
    });
    Ok(changes.collect())
}

fn git(args: &[&str]) -> Result<String, String> {
    let output = command(args)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn command(args: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("git");
    command
        .args(["-c", "core.quotePath=false"])
        .args(args)
        .current_dir(root);
    command
}

/// The contents of blobs, by one git that reads them all.
fn blobs<'i>(ids: impl Iterator<Item = &'i str>) -> Result<HashMap<String, Vec<u8>>, String> {
    let ids: BTreeSet<&str> = ids
        .filter(|id| id.bytes().any(|byte| byte != b'0'))
        .collect();
    let list: String = ids.iter().map(|id| format!("{id}\n")).collect();
    let mut child = command(&["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut blobs = HashMap::new();
    std::thread::scope(|scope| {
        // While one side writes the other must read: neither pipe holds it all.
        scope.spawn(move || drop(stdin.write_all(list.as_bytes())));
        for id in &ids {
            let mut head = String::new();
            stdout.read_line(&mut head).unwrap();
            let size = head
                .trim_end()
                .rsplit(' ')
                .next()
                .and_then(|size| size.parse().ok());
            let Some(size) = size else {
                // Beyond where a shallow clone ends.
                continue;
            };
            let mut content = vec![0; size];
            stdout.read_exact(&mut content).unwrap();
            stdout.read_exact(&mut [0]).unwrap();
            blobs.insert((*id).to_owned(), content);
        }
    });
    child.wait().map_err(|error| error.to_string())?;
    Ok(blobs)
}

/// Changes of the sources as they are here: some lines go, some are new, some others.
pub(super) fn made_up() -> Vec<Change> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut open = vec![root.join("src")];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => open.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let changes = files.iter().map(|file| {
        let path = file
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let before = std::fs::read_to_string(file).unwrap();
        let mut dice = Dice::of(&path);
        let mut after = String::new();
        for line in before.lines() {
            match dice.below(60) {
                0 => {}
                1 => after.extend([format!("{line}\n    let made_up = {};\n", dice.below(9))]),
                2 => after.extend([format!("{line} // changed\n")]),
                _ => after.extend([format!("{line}\n")]),
            }
        }
        let (before, after) = (Some(before), Some(after));
        Change {
            path,
            before,
            after,
        }
    });
    changes.collect()
}
