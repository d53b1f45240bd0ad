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
    /// A regular file.
    File {
        /// Its SHA-256.
        hash: String,
        /// Whether its owner may run it.
        is_program: bool,
    },
    /// A directory, a link, or something special.
    Other,
}

impl Content {
    /// Whether it is what `mark` stands for; `None` stands for nothing.
    pub(super) fn is(&self, mark: Option<&str>) -> bool {
        match (self, mark) {
            (Self::Absent, None) => true,
            (Self::File { hash, is_program }, Some(mark)) => {
                let (wanted, bit) = split(mark);
                hash == wanted && bit.is_none_or(|bit| bit == *is_program)
            }
            (Self::Absent | Self::File { .. } | Self::Other, _) => false,
        }
    }
}

const PROGRAM: &str = "+x";
const NO_PROGRAM: &str = "-x";

/// The mark of a content: its SHA-256, and whether it is a program where only that tells the old
/// file from the new one.
pub(super) fn mark(hash: &str, is_program: bool) -> String {
    let bit = if is_program { PROGRAM } else { NO_PROGRAM };
    format!("{hash}{bit}")
}

/// The SHA-256 in a mark.
pub(super) fn unmarked(mark: &str) -> &str {
    split(mark).0
}

/// Whether a mark is of a program, where it says so.
pub(super) fn program_bit(mark: &str) -> Option<bool> {
    split(mark).1
}

fn split(mark: &str) -> (&str, Option<bool>) {
    if let Some(hash) = mark.strip_suffix(PROGRAM) {
        (hash, Some(true))
    } else if let Some(hash) = mark.strip_suffix(NO_PROGRAM) {
        (hash, Some(false))
    } else {
        (mark, None)
    }
}

/// Reads what `spot` has. The stamp of a file is from before it was read: whoever writes to it
/// later, or meanwhile, changes it.
pub(super) fn read(spot: &Spot) -> io::Result<(Content, Option<Stamp>)> {
    match spot.open()? {
        Opened::File(mut file, stamp) => {
            let hash = hash(&mut file, &mut io::sink())?;
            let is_program = stamp.is_program();
            Ok((Content::File { hash, is_program }, Some(stamp)))
        }
        Opened::Other(crate::platform::root::Entry::Absent) => Ok((Content::Absent, None)),
        Opened::Other(_) => Ok((Content::Other, None)),
    }
}

/// Copies `from` to `to` and returns the SHA-256 of what was copied.
pub(super) fn hash(from: &mut File, to: &mut dyn io::Write) -> io::Result<String> {
    let mut hasher = Hasher::default();
    // Room that nobody clears first: most files are much smaller.
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        let length = from.take(PIECE as u64).read_to_end(&mut piece)?;
        hasher.update(&piece);
        to.write_all(&piece)?;
        if length < PIECE {
            return Ok(hasher.finish());
        }
    }
}
