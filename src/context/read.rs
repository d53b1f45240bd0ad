//! Reading what was found, several files at once, and judging what is in them.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, anyhow};

use super::tokens::estimate_tokens;
use super::walk::{Asked, Found};
use super::{ContextError, FILE_BYTES_MAX, Ground, Kind, LoadOptions, Loaded, SkipReason, Skipped};
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

/// Reads all files of `found`; both lists are sorted by path.
pub(super) fn read_all(
    ground: &Ground<'_>,
    found: Found,
    options: &LoadOptions,
) -> Result<(Vec<Loaded>, Vec<Skipped>)> {
    let files: Vec<(String, Asked)> = found.files.into_iter().collect();
    let mut skipped = found.skipped;
    let reading = Reading {
        ground,
        files: &files,
        limit: options.max_file_bytes.min(FILE_BYTES_MAX),
        total_max: options.max_total_bytes,
        next: AtomicUsize::new(0),
        total: AtomicU64::new(0),
    };
    let mut loaded = Vec::with_capacity(files.len());
    for (path, outcome) in reading.run()? {
        match outcome {
            Ok(item) => loaded.push(item),
            Err(reason) => {
                skipped.insert(path.clone(), reason);
            }
        }
    }
    loaded.sort_unstable_by(|one: &Loaded, other| one.path.cmp(&other.path));
    let skipped = skipped
        .into_iter()
        .map(|(path, reason)| Skipped { path, reason })
        .collect();
    Ok((loaded, skipped))
}

type Outcome<'a> = (&'a String, Result<Loaded, SkipReason>);

/// What the reading threads share: each takes the next file until none is left.
struct Reading<'a> {
    ground: &'a Ground<'a>,
    files: &'a [(String, Asked)],
    limit: u64,
    total_max: u64,
    next: AtomicUsize,
    total: AtomicU64,
}

impl<'a> Reading<'a> {
    fn run(&self) -> Result<Vec<Outcome<'a>>> {
        let useful = self.files.len() / FILES_PER_THREAD_MIN;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.min(THREADS_MAX).min(useful);
        if threads < 2 {
            return Ok(self.work()?);
        }
        std::thread::scope(|scope| {
            let mut workers = Vec::with_capacity(threads);
            for number in 0..threads {
                let worker = std::thread::Builder::new()
                    .name(format!("load {number}"))
                    .spawn_scoped(scope, || self.work())
                    .context("starting a thread to read files")?;
                workers.push(worker);
            }
            let mut outcomes = Vec::with_capacity(self.files.len());
            for worker in workers {
                let done = worker.join();
                outcomes.extend(done.map_err(|_panic| anyhow!("a reading thread panicked"))??);
            }
            Ok(outcomes)
        })
    }

    fn work(&self) -> Result<Vec<Outcome<'a>>, ContextError> {
        let mut outcomes = Vec::new();
        while let Some((path, asked)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.ground.cancel.is_set() {
                return Err(ContextError::Cancelled);
            }
            let outcome = self.read(path, *asked)?;
            let bytes = outcome.as_ref().map_or(0, |item| item.size);
            if self.total.fetch_add(bytes, Ordering::Relaxed) + bytes > self.total_max {
                return Err(ContextError::TooMuch(self.total_max));
            }
            outcomes.push((path, outcome));
        }
        Ok(outcomes)
    }

    fn read(&self, path: &str, asked: Asked) -> Result<Result<Loaded, SkipReason>, ContextError> {
        let Ground { tree, cancel, .. } = self.ground;
        let version = match tree.read(Path::new(path), self.limit, cancel) {
            Ok(version) => version,
            Err(Unread::Cancelled) => return Err(ContextError::Cancelled),
            Err(unread) => return Ok(Err(self.reason(&unread))),
        };
        Ok(judge(&version.bytes, asked).map(|tokens| Loaded {
            mtime_ns: version.mtime_ns,
            path: Some(path.to_owned()),
            ..item(Kind::File, path.to_owned(), version.bytes, tokens)
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

fn item(kind: Kind, name: String, body: Vec<u8>, tokens: u64) -> Loaded {
    Loaded {
        kind,
        name,
        path: None,
        size: body.len() as u64,
        mtime_ns: 0,
        hash: sha256_hex(&body),
        tokens,
        body,
    }
}

/// Judges a file's content: its estimated tokens, or why it is not shown.
fn judge(body: &[u8], asked: Asked) -> Result<u64, SkipReason> {
    let text = text_of(body)?;
    if asked == Asked::Found
        && let Some(characters) = long_line(text)
    {
        return Err(SkipReason::LongLines { characters });
    }
    Ok(estimate_tokens(text))
}

fn text_of(body: &[u8]) -> Result<&str, SkipReason> {
    if is_utf16(body) {
        return Err(SkipReason::Utf16);
    }
    let beginning = body.get(..BINARY_PROBE_BYTES).unwrap_or(body);
    if beginning.contains(&0) {
        return Err(SkipReason::Binary);
    }
    std::str::from_utf8(body).map_err(|_error| SkipReason::NotUtf8)
}

/// Whether `body` begins as UTF-16 does and is UTF-16 to its end.
fn is_utf16(body: &[u8]) -> bool {
    let unit: fn([u8; 2]) -> u16 = match body {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => return false,
    };
    let (pairs, rest) = body.as_chunks::<2>();
    rest.is_empty() && char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).all(|c| c.is_ok())
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
