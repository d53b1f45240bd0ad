//! Reading what was found, several files at once, and judging what is in them.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, anyhow};

use super::estimate_tokens;
use super::walk::{Asked, Found};
use super::{
    ContextError, Counting, FILE_BYTES_MAX, Gathered, Ground, Ignored, Image, Kind, LoadOptions,
    Loaded, Origin, Progress, SkipReason, Skipped,
};
use crate::platform::digest::sha256_hex;
use crate::platform::snapshot::Unread;

/// A NUL in this much of a file's beginning makes it binary (git's rule).
const BINARY_PROBE_BYTES: usize = 8000;
/// A longer line was not typed by anybody.
const LINE_CHARACTERS_MAX: usize = 20_000;
/// With fewer files than this, another thread costs more than it saves.
const FILES_PER_THREAD_MIN: usize = 32;
const THREADS_MAX: usize = 8;
/// The longest name that is made of a note's text.
const NAME_CHARACTERS_MAX: usize = 40;

/// `progress` hears of every so many files.
const TOLD_EVERY: usize = 32;
/// So many files may be read and not yet be put with the others.
const BUFFERED: usize = 64;

/// Reads all files of `found`; both lists are sorted by path.
pub(super) fn read_all(
    ground: &Ground<'_>,
    found: Found,
    options: &LoadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Gathered> {
    let files: Vec<(String, Asked)> = found.files.into_iter().collect();
    let mut skipped = found.skipped;
    let reading = Reading {
        ground,
        files: &files,
        limit: options.max_file_bytes.min(FILE_BYTES_MAX),
        options,
        next: AtomicUsize::new(0),
        total: AtomicU64::new(0),
    };
    let mut gathered = Gathered::default();
    let mut done = 0;
    let total = files.len();
    reading.run(&mut |path, outcome| {
        match outcome {
            Ok(read) => {
                if read.is_converted {
                    let notice = format!("{path} is UTF-16; it is shown as UTF-8");
                    gathered.warnings.push(notice);
                }
                gathered.loaded.push(read.item);
            }
            Err(reason) => {
                skipped.insert(path.to_owned(), reason);
            }
        }
        done += 1;
        if done % TOLD_EVERY == 0 || done == total {
            progress(Progress {
                done: done as u64,
                total: total as u64,
            });
        }
    })?;
    gathered
        .loaded
        .sort_unstable_by(|one, other| one.path.cmp(&other.path));
    gathered.warnings.sort_unstable();
    gathered.skipped = skipped
        .into_iter()
        .map(|(path, reason)| Skipped { path, reason })
        .collect();
    Ok(gathered)
}

/// Reads the one file `path` (relative to the root), as it was named.
pub(super) fn read_one(
    ground: &Ground<'_>,
    path: &str,
    options: &LoadOptions,
) -> Result<Result<Loaded, SkipReason>, ContextError> {
    let reading = Reading {
        ground,
        files: &[],
        limit: options.max_file_bytes.min(FILE_BYTES_MAX),
        options,
        next: AtomicUsize::new(0),
        total: AtomicU64::new(0),
    };
    let outcome = reading.read(path, Asked::ByName)?;
    Ok(outcome.map(|read| read.item))
}

/// A file that was read.
struct Read {
    item: Loaded,
    /// Whether its body is not what the file holds byte for byte.
    is_converted: bool,
}

type Outcome = Result<Read, SkipReason>;

/// What the reading threads share: each takes the next file until none is left.
struct Reading<'a> {
    ground: &'a Ground<'a>,
    files: &'a [(String, Asked)],
    limit: u64,
    options: &'a LoadOptions,
    next: AtomicUsize,
    total: AtomicU64,
}

impl<'a> Reading<'a> {
    /// Gives each file to `take`, in any order, from this thread.
    fn run(&self, take: &mut dyn FnMut(&'a str, Outcome)) -> Result<()> {
        let useful = self.files.len() / FILES_PER_THREAD_MIN;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(THREADS_MAX).min(useful);
        if threads < 2 {
            return Ok(self.work(&mut |path, outcome| {
                take(path, outcome);
                true
            })?);
        }
        std::thread::scope(|scope| {
            let (sender, read) = crossbeam_channel::bounded(BUFFERED);
            let mut workers = Vec::with_capacity(threads);
            for number in 0..threads {
                let sender = sender.clone();
                let worker = std::thread::Builder::new()
                    .name(format!("load {number}"))
                    .spawn_scoped(scope, move || {
                        self.work(&mut |path, outcome| sender.send((path, outcome)).is_ok())
                    })
                    .context("starting a thread to read files")?;
                workers.push(worker);
            }
            drop(sender);
            for (path, outcome) in read {
                take(path, outcome);
            }
            for worker in workers {
                let done = worker.join();
                done.map_err(|_panic| anyhow!("a reading thread panicked"))??;
            }
            Ok(())
        })
    }

    /// Reads one file after the other, until none is left or `give` wants no more.
    fn work(&self, give: &mut dyn FnMut(&'a str, Outcome) -> bool) -> Result<(), ContextError> {
        while let Some((path, asked)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.ground.cancel.is_set() {
                return Err(ContextError::Cancelled);
            }
            let outcome = self.read(path, *asked)?;
            let bytes = outcome.as_ref().map_or(0, |read| read.item.size);
            let total_max = self.options.max_total_bytes;
            if self.total.fetch_add(bytes, Ordering::Relaxed) + bytes > total_max {
                return Err(ContextError::TooMuch(total_max));
            }
            if !give(path, outcome) {
                break;
            }
        }
        Ok(())
    }

    fn read(&self, path: &str, asked: Asked) -> Result<Outcome, ContextError> {
        let Ground { tree, cancel, .. } = self.ground;
        let version = match tree.read(Path::new(path), self.limit, cancel) {
            Ok(version) => version,
            Err(Unread::Cancelled) => return Err(ContextError::Cancelled),
            Err(unread) => return Ok(Err(self.reason(&unread))),
        };
        Ok(judge(version.bytes, asked, self.options).map(|mut read| {
            path.clone_into(&mut read.item.name);
            read.item.path = Some(path.to_owned());
            read.item.mtime_ns = version.mtime_ns;
            read.item.origin.is_forced = self.options.ignored == Ignored::Include;
            read
        }))
    }

    fn reason(&self, unread: &Unread) -> SkipReason {
        match unread {
            Unread::NotAFile(kind) => SkipReason::NotAFile(*kind),
            Unread::TooLarge { bytes } => SkipReason::TooLarge {
                bytes: *bytes,
                limit: self.limit,
            },
            Unread::Changing => SkipReason::Changing,
            Unread::Io(_) | Unread::Cancelled => SkipReason::Unreadable(unread.to_string()),
        }
    }
}

/// An item that was made of `body`.
pub(super) fn item(kind: Kind, name: String, body: Vec<u8>, tokens: u64) -> Loaded {
    Loaded {
        kind,
        name,
        path: None,
        origin: Origin::default(),
        size: body.len() as u64,
        mtime_ns: 0,
        hash: sha256_hex(&body),
        tokens,
        body,
    }
}

/// Judges a file's content: what is shown of it, or why nothing is.
fn judge(bytes: Vec<u8>, asked: Asked, options: &LoadOptions) -> Outcome {
    if let Some(image) = Image::sniff(&bytes) {
        if asked == Asked::Found {
            return Err(SkipReason::Image);
        }
        let tokens = image.tokens(options.detail, Counting::Tiles);
        let mut item = item(Kind::Image, String::new(), bytes, tokens);
        item.origin.detail = Some(options.detail);
        return Ok(Read {
            item,
            is_converted: false,
        });
    }
    if let Some(text) = of_utf16(&bytes) {
        let tokens = judge_text(&text, asked)?;
        let mut item = item(Kind::File, String::new(), text.into_bytes(), tokens);
        // By these it is told whether the file has changed.
        item.size = bytes.len() as u64;
        item.hash = sha256_hex(&bytes);
        return Ok(Read {
            item,
            is_converted: true,
        });
    }
    let tokens = judge_text(text_of(&bytes)?, asked)?;
    Ok(Read {
        item: item(Kind::File, String::new(), bytes, tokens),
        is_converted: false,
    })
}

/// The estimated tokens of a text, or why it is not shown.
fn judge_text(text: &str, asked: Asked) -> Result<u64, SkipReason> {
    match long_line(text) {
        Some(characters) if asked != Asked::ByName => Err(SkipReason::LongLines { characters }),
        _ => Ok(estimate_tokens(text)),
    }
}

fn text_of(body: &[u8]) -> Result<&str, SkipReason> {
    if of_utf16(body).is_some() {
        return Err(SkipReason::Utf16);
    }
    let beginning = body.get(..BINARY_PROBE_BYTES).unwrap_or(body);
    if beginning.contains(&0) {
        return Err(SkipReason::Binary);
    }
    std::str::from_utf8(body).map_err(|_error| SkipReason::NotUtf8)
}

/// The text of `body` if it begins as UTF-16 does and is UTF-16 to its end; without its mark.
fn of_utf16(body: &[u8]) -> Option<String> {
    let unit: fn([u8; 2]) -> u16 = match body {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (pairs, rest) = body.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let units = pairs.iter().skip(1).map(|pair| unit(*pair));
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .ok()
        // What is full of zeros is no text in any encoding.
        .filter(|text| !text.contains('\0'))
}

/// The length of the first line that is too long for a person.
fn long_line(text: &str) -> Option<u64> {
    if text.len() <= LINE_CHARACTERS_MAX {
        return None;
    }
    text.split('\n')
        // A character has at least one byte: most lines need no counting.
        .filter(|line| line.len() > LINE_CHARACTERS_MAX)
        .map(|line| line.chars().count())
        .find(|characters| *characters > LINE_CHARACTERS_MAX)
        .map(|characters| characters as u64)
}

/// A remark of the user's, called by its first line.
pub fn note(text: &str) -> Result<Loaded, ContextError> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.ok_or_else(|| ContextError::Empty("the note".to_owned()))?;
    let mut name: String = first.chars().take(NAME_CHARACTERS_MAX).collect();
    if name.len() < first.len() {
        name.push('…');
    }
    let body = text.as_bytes().to_vec();
    Ok(item(Kind::Note, name, body, estimate_tokens(text)))
}

/// What somebody piped in, called `name`. Refused if it is empty or no text.
pub fn piped(name: &str, body: Vec<u8>) -> Result<Loaded, ContextError> {
    if body.is_empty() {
        return Err(ContextError::Empty(name.to_owned()));
    }
    let tokens = text_of(&body)
        .map(estimate_tokens)
        .map_err(|reason| ContextError::NotText {
            name: name.to_owned(),
            reason,
        })?;
    Ok(item(Kind::Piped, name.to_owned(), body, tokens))
}
