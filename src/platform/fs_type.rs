//! Which file system a directory is on, and whether SQLite's WAL is safe there.
//!
//! WAL needs one kernel and coherent shared memory. On network and VM-shared file systems it
//! corrupts silently, so those are refused by name; one that is not known is probed (HAZARDS.md
//! H18).

use std::path::Path;

use anyhow::{Context as _, Result};

/// What is known of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FsType {
    /// A local file system on which WAL is known to work; its name.
    Local(&'static str),
    /// A network or VM-shared file system, on which WAL corrupts; its name.
    Shared(&'static str),
    /// Not known; the magic number that statfs gives.
    Unknown(i64),
}

const LOCAL: &[(i64, &str)] = &[
    (0xEF53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x794C_7630, "overlayfs"),
    (0x2FC1_2FC1, "zfs"),
    (0xF2F5_2010, "f2fs"),
    (0xCA45_1A4E, "bcachefs"),
];

const SHARED: &[(i64, &str)] = &[
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse or virtiofs"),
    (0x00C3_6400, "ceph"),
    (0x5346_414F, "afs"),
    (0x0BD0_0BD0, "lustre"),
    (0x0116_1970, "gfs2"),
    (0x7461_636F, "ocfs2"),
    (0x786F_4256, "vboxsf"),
    (0xBACB_ACBC, "vmhgfs"),
];

/// The type of the file system that holds `path`.
pub fn of(path: &Path) -> Result<FsType> {
    let facts = rustix::fs::statfs(path)
        .with_context(|| format!("asking for the file system of {}", path.display()))?;
    Ok(classify(facts.f_type))
}

fn classify(magic: i64) -> FsType {
    let find = |table: &[(i64, &'static str)]| {
        table
            .iter()
            .find(|(known, _)| *known == magic & 0xFFFF_FFFF)
            .map(|(_, name)| *name)
    };
    match (find(LOCAL), find(SHARED)) {
        (Some(name), _) => FsType::Local(name),
        (None, Some(name)) => FsType::Shared(name),
        (None, None) => FsType::Unknown(magic),
    }
}

/// Free bytes for this user on the file system that holds `path`.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let facts = rustix::fs::statvfs(path)
        .with_context(|| format!("asking for the free space of {}", path.display()))?;
    Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_and_vm_shared_file_systems_are_named() {
        for (magic, name) in [
            (0x6969, "nfs"),
            (0x0102_1997, "9p"),
            (0x6573_5546, "fuse or virtiofs"),
        ] {
            assert_eq!(classify(magic), FsType::Shared(name));
        }
        // statfs gives a sign-extended word on some machines.
        assert_eq!(
            classify(0xFF53_4D42_u32.cast_signed().into()),
            FsType::Shared("cifs")
        );
        assert_eq!(classify(0xEF53), FsType::Local("ext4"));
        assert_eq!(classify(0x1234), FsType::Unknown(0x1234));
    }
}
