//! What a name has, by hash.

use std::fs::File;
use std::io::{self, Read as _};

use crate::platform::digest::Hasher;
use crate::platform::root::{Opened, Spot, Stamp};

const PIECE: usize = 128 << 10;

/// What a name has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing.
    Absent,
    /// A regular file with this SHA-256.
    File(String),
    /// A directory, a link, or something special.
    Other,
}

impl Content {
    /// Whether it is the content that `hash` stands for; `None` stands for nothing.
    pub(super) fn is(&self, hash: Option<&str>) -> bool {
        match (self, hash) {
            (Self::Absent, None) => true,
            (Self::File(have), Some(hash)) => have == hash,
            (Self::Absent | Self::File(_) | Self::Other, _) => false,
        }
    }
}

/// Reads what `spot` has. The stamp of a file is from before it was read: whoever writes to it
/// later, or meanwhile, changes it.
pub(super) fn read(spot: &Spot) -> io::Result<(Content, Option<Stamp>)> {
    match spot.open()? {
        Opened::File(mut file, stamp) => {
            let hash = hash(&mut file, &mut io::sink())?;
            Ok((Content::File(hash), Some(stamp)))
        }
        Opened::Other(crate::platform::root::Entry::Absent) => Ok((Content::Absent, None)),
        Opened::Other(_) => Ok((Content::Other, None)),
    }
}

/// Copies `from` to `to` and returns the SHA-256 of what was copied.
pub(super) fn hash(from: &mut File, to: &mut dyn io::Write) -> io::Result<String> {
    let mut hasher = Hasher::default();
    let mut piece = vec![0_u8; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(length) => {
                hasher.update(&piece[..length]);
                to.write_all(&piece[..length])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
