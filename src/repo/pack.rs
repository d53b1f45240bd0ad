//! Objects that last: every version is written as one pack.
//!
//! A pack is two files, the objects and their index. Both are written under temporary names and
//! synced; only then do they get their names, and then the directory that holds the names is
//! synced. So no crash leaves a short or empty file under a good name; a file whose sync failed
//! is thrown away, so that a retry does not find its pages in memory and believe them; and it is
//! three syncs however many objects there are, where one file for each object takes two each.
//!
//! Every object is stored whole, none as a delta: this is about the disk's flushes, not its space
//! (`git gc` in the repository repacks it, if anyone wants). The index is version 1: the same
//! lookup as version 2 without the table of checksums of compressed bytes, which serves only to
//! copy them unread from pack to pack. Git writes version 2, so version 1 marks a pack as ours.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, IntoInnerError, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, bail};
use gix::hash::Hasher;
use gix::objs::Kind;
use gix::odb::pack;
use gix::odb::pack::data::entry::Header;
use gix::zlib::stream::deflate::{Compress, FlushCompress};
use gix::zlib::{Compression, Status};
use gix::{ObjectId, oid};

use super::objects::HASH;
use crate::platform::file;

/// Shorter objects are not compressed: a compressor that begins anew clears its tables, which costs
/// more than all else that is done for the object. Most are trees, whose ids do not compress.
const STORED_MAX: usize = 1 << 10;

/// An object on its way into a pack.
pub(super) struct Object<'a> {
    pub(super) id: ObjectId,
    pub(super) kind: Kind,
    pub(super) bytes: Cow<'a, [u8]>,
}

/// Writes `objects`, which are `count` and sorted by id, as one pack in the directory `dir`;
/// makes it durable. Returns the path of its index.
pub(super) fn write<'a>(
    dir: &Path,
    count: usize,
    objects: impl Iterator<Item = Result<Object<'a>>>,
) -> Result<PathBuf> {
    let mut pack = Hashed::create(dir, "tmp_pack_")?;
    let offsets = write_objects(&mut pack, count, objects)?;
    let (pack, name) = pack.finish()?;
    let mut index = Hashed::create(dir, "tmp_idx_")?;
    write_index(&mut index, &offsets, &name)?;
    let (index, _) = index.finish()?;
    sync_both(&pack, &index)?;
    // A pack counts from the moment its index is there, so the index comes last.
    pack.at.publish(&dir.join(format!("pack-{name}.pack")))?;
    let path = dir.join(format!("pack-{name}.idx"));
    index.at.publish(&path)?;
    whole_or_gone(&path)?;
    file::sync_dir(dir)?;
    Ok(path)
}

/// Removes the pack with the index at `path`, whose objects are in another one.
pub(super) fn remove(path: &Path) -> Result<()> {
    file::remove_file(path)?;
    file::remove_file(&path.with_extension("pack"))?;
    whole_or_gone(path)
}

/// Two writers of the same objects write the same pack. One may fold it away while the other gives
/// its two files their names, one by one: of what that leaves, half a pack is removed. Whoever
/// gave or took a name looks, until it sees both or none, so the last one does.
fn whole_or_gone(path: &Path) -> Result<()> {
    let pack = path.with_extension("pack");
    loop {
        match (path.exists(), pack.exists()) {
            (true, true) | (false, false) => return Ok(()),
            (true, false) => file::remove_file(path)?,
            (false, true) => file::remove_file(&pack)?,
        }
    }
}

/// Syncs two files at once: a disk that is busy answers both with one flush.
fn sync_both(one: &Written, other: &Written) -> Result<()> {
    thread::scope(|scope| {
        let helper = thread::Builder::new().name("repo-sync".to_owned());
        let helper = helper.spawn_scoped(scope, || one.sync());
        let synced = other.sync();
        match helper {
            Ok(helper) => helper
                .join()
                .unwrap_or_else(|panic| resume_unwind(panic))
                .and(synced),
            // The system gives no threads: it takes longer.
            Err(_) => one.sync().and(synced),
        }
    })
}

/// Writes the pack but for its trailer. Returns each object's place in it.
fn write_objects<'a>(
    pack: &mut Hashed,
    count: usize,
    objects: impl Iterator<Item = Result<Object<'a>>>,
) -> Result<Vec<(ObjectId, u32)>> {
    let in_header = u32::try_from(count).context("too many objects for one pack")?;
    pack.write(&pack::data::header::encode(
        pack::data::Version::V2,
        in_header,
    ))?;
    let mut offsets = Vec::with_capacity(count);
    let mut compressor = Compress::new(Compression::BEST_SPEED);
    let mut entry = Vec::new();
    for object in objects {
        let Object { id, kind, bytes } = object?;
        offsets.push((
            id,
            u32::try_from(pack.written).context("a pack of over 4 GiB")?,
        ));
        entry.clear();
        header(kind).write_to(bytes.len() as u64, &mut entry)?;
        if bytes.len() <= STORED_MAX {
            store(&bytes, &mut entry)?;
        } else {
            compress(&mut compressor, &bytes, &mut entry)?;
        }
        pack.write(&entry)?;
    }
    Ok(offsets)
}

/// Writes the index but for its trailer: how many ids start with each byte or a lower one, then
/// each object's offset and id, sorted by id, then the pack's own hash.
fn write_index(index: &mut Hashed, offsets: &[(ObjectId, u32)], pack: &ObjectId) -> Result<()> {
    for first in 0..=u8::MAX {
        let up_to = offsets.partition_point(|(id, _)| id.first_byte() <= first);
        index.write(&u32::try_from(up_to)?.to_be_bytes())?;
    }
    for (id, offset) in offsets {
        index.write(&offset.to_be_bytes())?;
        index.write(id.as_slice())?;
    }
    index.write(pack.as_slice())
}

fn header(kind: Kind) -> Header {
    match kind {
        Kind::Tree => Header::Tree,
        Kind::Blob => Header::Blob,
        Kind::Commit => Header::Commit,
        Kind::Tag => Header::Tag,
    }
}

/// `bytes` as one zlib stream: what a binary patch holds.
pub fn deflated(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    compress(&mut Compress::new(Compression::BEST_SPEED), bytes, &mut out)?;
    Ok(out)
}

/// Appends `bytes`, at most [`STORED_MAX`], to `out` as one zlib stream (RFC 1950) of one block that is
/// not compressed (RFC 1951, 3.2.4).
fn store(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let length = u16::try_from(bytes.len())?;
    out.extend([0x78, 0x01, 0x01]);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    // Adler-32. So short a text does not overflow the sums.
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = low + u32::from(*byte);
        (low, high + low)
    });
    out.extend((((high % 65_521) << 16) | (low % 65_521)).to_be_bytes());
    Ok(())
}

/// Appends `bytes`, compressed as one stream, to `out`.
fn compress(compressor: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    compressor.reset();
    let start = out.len();
    loop {
        let consumed = usize::try_from(compressor.total_in())?;
        let filled = out.len();
        out.resize(filled + 4096 + (bytes.len() - consumed) / 2, 0);
        let status = compressor.compress(
            &bytes[consumed..],
            &mut out[filled..],
            FlushCompress::Finish,
        )?;
        out.truncate(start + usize::try_from(compressor.total_out())?);
        match status {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError if out.len() > filled => {}
            Status::Ok | Status::BufError => bail!("the compressor stopped"),
        }
    }
}

/// A file of a pack that is being written: hashed and counted as it grows.
struct Hashed {
    at: Temporary,
    out: BufWriter<File>,
    hasher: Hasher,
    written: u64,
}

impl Hashed {
    fn create(dir: &Path, prefix: &str) -> Result<Self> {
        let at = Temporary::new(dir, prefix);
        let out = BufWriter::with_capacity(1 << 16, file::write_new(&at.path, &[], 0o444)?);
        Ok(Self {
            at,
            out,
            hasher: gix::hash::hasher(HASH),
            written: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        self.append(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.out
            .write_all(bytes)
            .with_context(|| format!("writing {}", self.at.path.display()))
    }

    /// Ends the file with the hash of what is in it, as packs and indices do.
    fn finish(mut self) -> Result<(Written, ObjectId)> {
        let hash = self.hasher.clone().try_finalize()?;
        self.append(hash.as_slice())?;
        let file = self.out.into_inner().map_err(IntoInnerError::into_error);
        let file = file.with_context(|| format!("writing {}", self.at.path.display()))?;
        Ok((Written { at: self.at, file }, hash))
    }
}

/// A file of a pack that is written, but not yet on the disk.
struct Written {
    at: Temporary,
    file: File,
}

impl Written {
    fn sync(&self) -> Result<()> {
        file::sync_file(&self.file, &self.at.path)
    }
}

/// A file without its final name: removed with this value unless it was published.
///
/// The name starts with `tmp_`, which git too takes for a leftover.
struct Temporary {
    path: PathBuf,
    published: bool,
}

impl Temporary {
    fn new(dir: &Path, prefix: &str) -> Self {
        let path = dir.join(format!("{prefix}{}", uuid::Uuid::now_v7().simple()));
        Self {
            path,
            published: false,
        }
    }

    /// Gives the file its name, replacing what has it.
    fn publish(mut self, name: &Path) -> Result<()> {
        file::rename(&self.path, name)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is swept later.
            drop(file::remove_file(&self.path));
        }
    }
}

/// One pack, for reading.
pub(super) struct Pack(pack::Bundle);

impl Pack {
    /// Opens the pack with the index at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let bundle = pack::Bundle::at(path, HASH);
        bundle
            .map(Self)
            .with_context(|| format!("opening {}", path.display()))
    }

    /// Whether plandex wrote it.
    pub(super) fn is_ours(&self) -> bool {
        self.0.index.version() == pack::index::Version::V1
    }

    /// The ids of its objects, sorted.
    pub(super) fn ids(&self) -> impl Iterator<Item = ObjectId> {
        (0..self.0.index.num_objects()).map(|n| self.0.index.oid_at_index(n).to_owned())
    }

    /// Reads and checks the object `id`; `None` if it is not in this pack.
    pub(super) fn read(&self, id: &oid) -> Result<Option<Object<'static>>> {
        let read = || -> Result<_> {
            let mut bytes = Vec::new();
            let mut inflate = gix::zlib::Inflate::default();
            let found = self
                .0
                .find(id, &mut bytes, &mut inflate, &mut pack::cache::Never)?;
            let Some((object, _)) = found else {
                return Ok(None);
            };
            object.verify_checksum(id)?;
            let kind = object.kind;
            Ok(Some(Object {
                id: id.to_owned(),
                kind,
                bytes: bytes.into(),
            }))
        };
        read().with_context(|| format!("reading {id} in {}", self.0.pack.path().display()))
    }

    /// Reads and checks the object `id`, one of [`Pack::ids`].
    pub(super) fn read_own(&self, id: &oid) -> Result<Object<'static>> {
        self.read(id)?
            .with_context(|| format!("{id} is not in {}", self.0.pack.path().display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_a_stream_that_others_read() {
        for bytes in [
            vec![],
            b"x".to_vec(),
            vec![0xFF; STORED_MAX],
            (0..STORED_MAX).map(|at| at as u8).collect(),
        ] {
            let mut stream = Vec::new();
            store(&bytes, &mut stream).unwrap();
            let mut back = vec![0; STORED_MAX + 1];
            let mut inflate = gix::zlib::Inflate::default();
            let (status, read, written) = inflate.once(&stream, &mut back).unwrap();
            // The end of the stream is only reached if its checksum is right.
            assert_eq!(
                (status, read, &back[..written]),
                (Status::StreamEnd, stream.len(), &bytes[..])
            );
        }
    }

    #[test]
    fn either_sync_can_fail() {
        let dir = tempfile::tempdir().unwrap();
        let good = || {
            let at = Temporary::new(dir.path(), "tmp_");
            let file = file::write_new(&at.path, b"x", 0o600).unwrap();
            Written { at, file }
        };
        // A pipe cannot be synced.
        let bad = || {
            let (_, write) = std::io::pipe().unwrap();
            let file = File::from(std::os::fd::OwnedFd::from(write));
            Written {
                at: Temporary::new(dir.path(), "tmp_"),
                file,
            }
        };
        assert!(sync_both(&good(), &good()).is_ok());
        assert!(sync_both(&bad(), &good()).is_err());
        assert!(sync_both(&good(), &bad()).is_err());
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "unpublished files go"
        );
    }
}
