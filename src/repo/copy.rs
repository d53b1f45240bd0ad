//! What there is to copy of a repository while others write to it.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use super::PlanRepo;

/// How often the packs are listed: each time but the first needs a fold by another process in the
/// last milliseconds, and a fold needs many versions.
const LISTINGS_MAX: u32 = 8;

/// A file of a repository, opened: it can be read to its end though its name may go meanwhile.
#[derive(Debug)]
pub struct Held {
    /// Its path below the repository's directory, parts separated by `/`.
    pub path: String,
    /// The file.
    pub file: File,
}

impl PlanRepo {
    /// Opens the files that hold every object which was in a version before this call. Refs are not
    /// among them: rows say where branches stand.
    pub fn hold_objects(&self) -> Result<Vec<Held>> {
        let mut listings = 0;
        loop {
            let names = self.object_files()?;
            let opened: Option<Vec<Held>> = names
                .iter()
                .map(|path| {
                    let file = File::open(self.path().join(path)).ok()?;
                    let path = path.clone();
                    Some(Held { path, file })
                })
                .collect();
            // A fold names its copy before it removes what it copied: nothing was missed if all of
            // the list is there and nothing has come since.
            if let Some(held) = opened
                && self.object_files()? == names
            {
                return Ok(held);
            }
            listings += 1;
            ensure!(
                listings < LISTINGS_MAX,
                "the packs of {} do not stand still",
                self.path().display()
            );
        }
    }

    /// The names of all packs, their indices, and loose objects.
    fn object_files(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for dir in self.object_dirs()? {
            let place = self.path().join(&dir);
            let list = || std::fs::read_dir(&place)?.collect::<std::io::Result<Vec<_>>>();
            for entry in list().with_context(|| format!("listing {}", place.display()))? {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_pack = name.starts_with("pack-")
                    && (name.ends_with(".pack") || name.ends_with(".idx"));
                let is_loose = name.len() == 38 && name.bytes().all(|b| b.is_ascii_hexdigit());
                if is_pack || is_loose {
                    found.push(format!("{dir}/{name}"));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn object_dirs(&self) -> Result<Vec<String>> {
        let mut dirs = vec!["objects/pack".to_owned()];
        let objects: PathBuf = self.path().join("objects");
        let list = || std::fs::read_dir(&objects)?.collect::<std::io::Result<Vec<_>>>();
        for entry in list().with_context(|| format!("listing {}", objects.display()))? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
                dirs.push(format!("objects/{name}"));
            }
        }
        Ok(dirs)
    }
}
