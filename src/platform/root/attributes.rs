//! What a file keeps when its content is replaced: owner, permissions, extended attributes.

use std::fs::File;
use std::io;

use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use super::Dir;

/// Gives `to` the owner, the permission bits and the extended attributes of `from`.
///
/// Setuid, setgid and sticky bits and file capabilities are never carried over: the new content
/// was not vetted for them (HAZARDS.md H43). An owner or an attribute that this user may not set
/// is left out, but for the access list, without which the permission bits would mean more than
/// they did.
pub fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let (wanted, have) = (rustix::fs::fstat(from)?, rustix::fs::fstat(to)?);
    if wanted.st_gid != have.st_gid {
        rustix::fs::fchown(to, None, Some(Gid::from_raw(wanted.st_gid))).unwrap_or_default();
    }
    if wanted.st_uid != have.st_uid {
        rustix::fs::fchown(to, Some(Uid::from_raw(wanted.st_uid)), None).unwrap_or_default();
    }
    rustix::fs::fchmod(to, Mode::from_raw_mode(wanted.st_mode & 0o777))?;
    copy_xattrs(from, to)
}

/// Makes the file a program for everyone who may read it, or for nobody.
pub fn set_program(file: &File, is_program: bool) -> io::Result<()> {
    let mode = rustix::fs::fstat(file)?.st_mode & 0o777;
    let mode = if is_program {
        mode | ((mode & 0o444) >> 2)
    } else {
        mode & !0o111
    };
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

/// Gives the new file `to`, made elsewhere, the group that `dir` hands down (setgid), if it does.
pub fn inherit_group(dir: &Dir, to: &File) -> io::Result<()> {
    let facts = rustix::fs::fstat(&dir.fd)?;
    if Mode::from_raw_mode(facts.st_mode).contains(Mode::SGID) {
        // Left out where this user may not, as with the attributes of an old file.
        rustix::fs::fchown(to, None, Some(Gid::from_raw(facts.st_gid))).unwrap_or_default();
    }
    Ok(())
}

const ACCESS_LIST: &[u8] = b"system.posix_acl_access";

fn copy_xattrs(from: &File, to: &File) -> io::Result<()> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match rustix::fs::flistxattr(from, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0_u8; 64 << 10];
    for name in names[..length].split(|byte| *byte == 0) {
        if !name.starts_with(b"user.") && name != ACCESS_LIST && name != b"security.selinux" {
            continue;
        }
        let copied = rustix::fs::fgetxattr(from, name, value.as_mut_slice()).and_then(|length| {
            rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())
        });
        match copied {
            Err(error) if name == ACCESS_LIST => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
