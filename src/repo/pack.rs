//! Many objects as one pack: two files and one directory to sync, however many objects.
//!
//! Every object is stored whole, none as a delta: this is about the disk's flushes, not its space
//! (`git gc` in the repository repacks it, if anyone wants). The index is version 1: the same
//! lookup as version 2 without the table of checksums of compressed bytes, which serves only to
//! copy them unread from pack to pack.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use gix::ObjectId;
use gix::hash::Hasher;
use gix::objs::Kind;
use gix::odb::pack::data::{self, entry::Header};
use gix::zlib::stream::deflate::{Compress, FlushCompress};
use gix::zlib::{Compression, Status};

use super::durable::{self, Temporary};
use super::objects::{HASH, NewObjects};
use crate::platform::file;

/// Writes all of `objects` as one pack in the directory `dir` of a repository's objects, durably.
pub(super) fn write(dir: &Path, objects: &NewObjects<'_>) -> Result<()> {
    let dir = dir.join("pack");
    let mut pack = Hashed::create(&dir, "tmp_pack_")?;
    let offsets = write_objects(&mut pack, objects)?;
    let (pack, name) = pack.finish()?;
    let mut index = Hashed::create(&dir, "tmp_idx_")?;
    write_index(&mut index, &offsets, &name)?;
    let (index, _) = index.finish()?;
    let files = [pack, index];
    durable::in_parallel(&files, |(written, at)| file::sync_file(written, &at.path))?;
    // A pack counts from the moment its index is there, so the index comes last.
    let [(_, pack), (_, index)] = files;
    pack.publish(&dir.join(format!("pack-{name}.pack")))?;
    index.publish(&dir.join(format!("pack-{name}.idx")))?;
    file::sync_dir(&dir)
}

/// Writes the pack but for its trailer. Returns each object's place in it.
fn write_objects(pack: &mut Hashed, objects: &NewObjects<'_>) -> Result<Vec<(ObjectId, u32)>> {
    let count = u32::try_from(objects.len()).context("too many objects for one version")?;
    pack.write(&data::header::encode(data::Version::V2, count))?;
    let mut offsets = Vec::with_capacity(objects.len());
    let mut compressor = Compress::new(Compression::BEST_SPEED);
    let mut entry = Vec::new();
    for object in objects.iter() {
        let offset = u32::try_from(pack.written).context("over 4 GiB in one version")?;
        offsets.push((object.id, offset));
        entry.clear();
        header(object.kind).write_to(object.bytes.len() as u64, &mut entry)?;
        compress(&mut compressor, object.bytes, &mut entry)?;
        pack.write(&entry)?;
    }
    Ok(offsets)
}

/// Writes the index but for its trailer: how many names start below each byte, then each object's
/// offset and name, sorted by name, then the pack's own name.
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

/// Appends `bytes`, compressed as one stream, to `out`.
fn compress(compressor: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    compressor.reset();
    let start = out.len();
    loop {
        let consumed = usize::try_from(compressor.total_in())?;
        let filled = start + usize::try_from(compressor.total_out())?;
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

/// A temporary file whose bytes are hashed and counted as they are written.
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
    fn finish(mut self) -> Result<((File, Temporary), ObjectId)> {
        let hash = self.hasher.clone().try_finalize()?;
        self.append(hash.as_slice())?;
        let file = self
            .out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let file = file.with_context(|| format!("writing {}", self.at.path.display()))?;
        Ok(((file, self.at), hash))
    }
}
