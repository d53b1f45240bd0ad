//! Files that last: every durable effect on a path goes through one of these doors.
//!
//! Each door names its path in its error and passes a crash point, so that a test can kill the
//! process at every step. A rename that is not followed by a sync of its directory may be undone
//! by a power cut; an fsync that fails is final (HAZARDS.md H19, H20).

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::crash::crash_point;

/// Makes the content of `file` durable; `path` is for the error only.
pub fn sync_file(file: &File, path: &Path) -> Result<()> {
    crash_point("file.sync");
    file.sync_all()
        .with_context(|| format!("syncing {}", path.display()))
}

/// Makes the names in the directory `path` durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    crash_point("dir.sync");
    let dir = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    dir.sync_all()
        .with_context(|| format!("syncing {}", path.display()))
}

/// Makes everything on the file system that holds `path` durable: one call instead of one a file.
pub fn sync_file_system(path: &Path) -> Result<()> {
    crash_point("dir.sync");
    let dir = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    rustix::fs::syncfs(&dir).with_context(|| format!("syncing {}", path.display()))
}

/// Renames `from` to `to`, replacing it. Durable only after [`sync_dir`] of the directory.
#[expect(clippy::disallowed_methods, reason = "the one owner of rename")]
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    crash_point("file.rename.before");
    std::fs::rename(from, to)
        .with_context(|| format!("renaming {} to {}", from.display(), to.display()))?;
    crash_point("file.rename.after");
    Ok(())
}

/// Removes the file `path`; a file that is not there is no error.
pub fn remove_file(path: &Path) -> Result<()> {
    crash_point("file.remove");
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Replaces `path` by `bytes` in one durable step: temporary file beside it, sync, rename, sync
/// of the directory. `mode` is the permission of the new file.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, mode)
        .and_then(|file| sync_file(&file, &temporary))
        .and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // The error that matters is the first one; a leftover is swept later.
        drop(std::fs::remove_file(&temporary));
    }
    written?;
    sync_dir(dir)
}

/// A name in the same directory that no other process uses: `.<name>.<uuid>.tmp`.
pub fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", uuid::Uuid::now_v7().simple()));
    path.with_file_name(name)
}

/// Creates the file `path`, which must not exist (nor be a link), and writes `bytes` to it.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<File> {
    crash_point("file.create");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(bytes)
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(file)
}

/// Opens `path` for reading and writing, creating it with mode 0600; never truncates it.
pub fn open_private(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

/// Opens `path` for appending, and for reading what is there, creating it with mode 0600. Neither a
/// link nor a pipe nor anything but a plain file is taken.
pub fn open_log(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path);
    let file = match opened {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            bail!(
                "{} is a symbolic link, which a log may not be",
                path.display()
            );
        }
        opened => opened.with_context(|| format!("opening {}", path.display()))?,
    };
    let metadata = file
        .metadata()
        .with_context(|| format!("looking at {}", path.display()))?;
    ensure!(
        metadata.is_file(),
        "{} is not a plain file, which a log must be",
        path.display()
    );
    Ok(file)
}

/// Makes the file `path` readable and writable for its owner alone.
pub fn make_private(path: &Path) -> Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, mode)
        .with_context(|| format!("changing the mode of {}", path.display()))
}

/// Opens `path` for reading without waiting: a pipe that nobody writes to yet opens at once, and its
/// reads are to be waited for with a poll.
pub fn open_at_once(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

/// Creates the directory `path` with mode 0700; one that exists is no error.
pub fn create_dir_private(path: &Path) -> Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("creating {}", path.display()))
        }
        _ => Ok(()),
    }
}
