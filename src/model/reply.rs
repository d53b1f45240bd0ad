//! A reply that somebody else produced: a file or standard input, read as it arrives.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use crossbeam_channel::Sender;

use super::{Delta, Finish, Finished, Kind, ModelError};
use crate::platform::cancel::Cancel;
use crate::platform::digest::Hasher;
use crate::platform::{file, threads, wait};

/// The longest reply, in bytes (MODEL.md 1.2).
const REPLY_MAX: usize = 64 << 20;
/// A blocked read is looked at this often even if nothing happens; it only bounds the poll.
const POLL: Duration = Duration::from_secs(60);
/// So long after the end of a pipe a signal is still heard: a Ctrl-C ends the whole pipeline, and
/// its writer may be gone before plandex has heard of it.
const AFTER_END: Duration = Duration::from_millis(50);

pub(super) fn from_file(path: &Path, cancel: &Cancel, sender: Sender<Delta>) -> Result<()> {
    // A pipe whose writer comes later must not keep the operation from being called off.
    let file = file::open_at_once(path).context("opening the reply")?;
    let is_dir = file.metadata().is_ok_and(|meta| meta.is_dir());
    anyhow::ensure!(!is_dir, "the reply {} is a directory", path.display());
    start(file, format!("reply:{}", path.display()), cancel, sender)
}

pub(super) fn from_stdin(cancel: &Cancel, sender: Sender<Delta>) -> Result<()> {
    // A duplicate, so that no lock of std's buffered handle is held while the read blocks.
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .context("reading standard input")?;
    start(File::from(input), "reply:-".to_owned(), cancel, sender)
}

fn start(source: File, name: String, cancel: &Cancel, sender: Sender<Delta>) -> Result<()> {
    let cancel = cancel.clone();
    std::thread::Builder::new()
        .name("reply".to_owned())
        .spawn(move || {
            let last = match pump(source, &cancel, &sender) {
                Ok(Some(digest)) => Delta::Finished(Finished {
                    finish: Finish::Stop,
                    usage: None,
                    provenance: format!("{name} {digest}"),
                }),
                Ok(None) => return,
                Err(error) => Delta::Failed(ModelError::new(Kind::Source, format!("{error:#}"))),
            };
            // A receiver that is gone has given the reply up.
            sender.send(last).ok();
        })
        .context("starting the reply thread")?;
    Ok(())
}

/// Sends text as it arrives; `None` if it was called off, else the SHA-256 of the whole.
fn pump(mut source: File, cancel: &Cancel, sender: &Sender<Delta>) -> Result<Option<String>> {
    let mut hasher = Hasher::default();
    let mut decoder = Utf8::default();
    let mut buffer = vec![0_u8; 64 << 10];
    let mut total = 0;
    loop {
        // A regular file is always readable, so this costs one call a block there.
        let ready = {
            let _waits = threads::waits("more of the reply");
            wait::readable(&[source.as_fd(), cancel.as_fd()], POLL)?
        };
        if cancel.is_set() {
            return Ok(None);
        }
        if ready.first() != Some(&true) {
            continue;
        }
        let read = match source.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // Another reader of the same pipe was faster.
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            read => read.context("reading the reply")?,
        };
        if read == 0 {
            let is_pipe = source
                .metadata()
                .is_ok_and(|meta| meta.file_type().is_fifo());
            if is_pipe && is_called_off(cancel, AFTER_END)? {
                return Ok(None);
            }
            decoder.finish()?;
            return Ok(Some(hasher.finish()));
        }
        total += read;
        anyhow::ensure!(
            total <= REPLY_MAX,
            "the reply is longer than {REPLY_MAX} bytes"
        );
        hasher.update(&buffer[..read]);
        let text = decoder.push(&buffer[..read])?;
        if !text.is_empty() && sender.send(Delta::Text(text)).is_err() {
            return Ok(None);
        }
    }
}

/// Whether `cancel` is set within `limit`.
fn is_called_off(cancel: &Cancel, limit: Duration) -> Result<bool> {
    let begun = Instant::now();
    while !cancel.is_set() {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        wait::readable(&[cancel.as_fd()], left)?;
    }
    Ok(true)
}

/// Decodes UTF-8 that arrives in pieces, which may end inside a character.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    pending: Vec<u8>,
    seen: usize,
}

impl Utf8 {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<String> {
        self.pending.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.pending) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(self.invalid(error.valid_up_to())),
        };
        let rest = self.pending.split_off(whole);
        let text = std::mem::replace(&mut self.pending, rest);
        self.seen += text.len();
        String::from_utf8(text).map_err(|_| self.invalid(0))
    }

    pub(super) fn finish(&self) -> Result<()> {
        if self.pending.is_empty() {
            Ok(())
        } else {
            Err(self.invalid(0))
        }
    }

    fn invalid(&self, at: usize) -> anyhow::Error {
        anyhow!("the reply is not UTF-8 at byte {}", self.seen + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_a_text_gives_the_same_text() {
        let whole = "aß漢😀\n";
        for at in 0..=whole.len() {
            let (one, two) = whole.as_bytes().split_at(at);
            let mut decoder = Utf8::default();
            let text = decoder.push(one).unwrap() + &decoder.push(two).unwrap();
            decoder.finish().unwrap();
            assert_eq!(text, whole);
        }
    }

    #[test]
    fn a_broken_or_cut_character_is_an_error_with_its_place() {
        let error = Utf8::default().push(b"ab\xffc").unwrap_err();
        assert!(error.to_string().contains("byte 2"), "{error}");
        let mut cut = Utf8::default();
        cut.push("ab漢".as_bytes().split_last().unwrap().1).unwrap();
        assert!(cut.finish().is_err());
    }
}
