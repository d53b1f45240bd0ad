//! Standard input, when somebody gave it something: a pipe, a socket or a file.
//!
//! A terminal is not read (its user waits for us), neither is /dev/null. Whether a pipe that
//! nobody writes to is waited for is the caller's decision: an inherited idle one must not be read
//! unless the user asked. Waiting always ends with the operation's [`Cancel`].

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::cancel::Cancel;

/// How long one poll lasts; only a bound, both descriptors end it at once.
const POLL: Duration = Duration::from_secs(60);

/// Standard input that is a pipe, a socket or a file. Its reads end when the operation is
/// cancelled, with an error of kind `Other` that says so.
#[derive(Debug)]
pub struct Piped {
    input: OwnedFd,
    cancel: Cancel,
}

/// Standard input, if it is a pipe, a socket or a regular file; nothing is read yet.
pub fn piped(cancel: &Cancel) -> io::Result<Option<Piped>> {
    of_descriptor(rustix::stdio::stdin(), cancel)
}

/// Puts the null device in the place of standard input, for this process and what it starts: from
/// here on it belongs to nobody.
pub fn give_up() -> io::Result<()> {
    let null = std::fs::File::open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdin(&null)?)
}

/// Puts the null device in the place of standard output and error: nobody is there to read them.
pub fn give_up_output() -> io::Result<()> {
    let null = std::fs::File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(rustix::stdio::dup2_stderr(&null)?)
}

fn of_descriptor(input: BorrowedFd<'_>, cancel: &Cancel) -> io::Result<Option<Piped>> {
    let kind = match rustix::fs::fstat(input) {
        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
        // Started with a closed standard input.
        Err(Errno::BADF) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let is_piped = matches!(
        kind,
        FileType::Fifo | FileType::RegularFile | FileType::Socket
    );
    if !is_piped {
        return Ok(None);
    }
    Ok(Some(Piped {
        input: rustix::io::fcntl_dupfd_cloexec(input, 3)?,
        cancel: cancel.clone(),
    }))
}

impl Piped {
    /// Reads to the end; `None` if there are more than `limit` bytes.
    pub fn read_limited(self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Reads until its end, until `is_whole` says that all is there, until more than `limit` bytes
    /// came, or until `time` has passed; whatever came.
    ///
    /// A writer that forgets to close its end keeps nobody waiting: `is_whole` is asked whenever
    /// nothing more stands ready.
    pub fn read_within(
        &self,
        time: Duration,
        limit: usize,
        is_whole: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<u8>> {
        let until = super::clock::monotonic_ms() + i64::try_from(time.as_millis()).unwrap_or(0);
        let mut bytes = Vec::new();
        let mut buffer = [0; 16 << 10];
        while bytes.len() <= limit {
            let left = until - super::clock::monotonic_ms();
            let Ok(left @ 1..) = u64::try_from(left) else {
                break;
            };
            let mut pause = Duration::ZERO;
            if !self.is_ready(pause)? {
                if is_whole(&bytes) {
                    break;
                }
                pause = Duration::from_millis(left);
            }
            if !pause.is_zero() && !self.is_ready(pause)? {
                continue;
            }
            match rustix::io::read(&self.input, &mut buffer[..]) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }

    fn is_ready(&self, time: Duration) -> io::Result<bool> {
        let ready = super::wait::readable(&[self.input.as_fd()], time).map_err(io::Error::other)?;
        Ok(ready.first().is_some_and(|ready| *ready))
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let _waits = super::threads::waits("standard input");
            let waited = [self.input.as_fd(), self.cancel.as_fd()];
            let ready = super::wait::readable(&waited, POLL).map_err(io::Error::other)?;
            if self.cancel.is_set() {
                return Err(io::Error::other("cancelled while reading standard input"));
            }
            if !ready.first().is_some_and(|ready| *ready) {
                continue;
            }
            match rustix::io::read(&self.input, &mut *buffer) {
                // Another reader of the same pipe was faster.
                Err(Errno::AGAIN | Errno::INTR) => {}
                outcome => return Ok(outcome?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::cancel::Reason;
    use std::fs::File;
    use std::io::Write as _;

    #[test]
    fn pipes_and_files_are_input_and_the_null_device_is_not() {
        let cancel = Cancel::new().unwrap();
        let null = File::open("/dev/null").unwrap();
        assert!(of_descriptor(null.as_fd(), &cancel).unwrap().is_none());

        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"from a file").unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let piped = of_descriptor(file.as_fd(), &cancel).unwrap().unwrap();
        assert_eq!(piped.read_limited(100).unwrap().unwrap(), b"from a file");

        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"from a pipe").unwrap();
        drop(writer);
        let piped = of_descriptor(reader.as_fd(), &cancel).unwrap().unwrap();
        assert_eq!(piped.read_limited(11).unwrap().unwrap(), b"from a pipe");

        // Some programs start others with sockets for pipes.
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        writer.write_all(b"from a socket").unwrap();
        drop(writer);
        let piped = of_descriptor(reader.as_fd(), &cancel).unwrap().unwrap();
        assert_eq!(piped.read_limited(99).unwrap().unwrap(), b"from a socket");
    }

    #[test]
    fn input_longer_than_the_limit_is_not_swallowed_whole() {
        let cancel = Cancel::new().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"12345").unwrap();
        // The writing end stays open: the answer must not wait for the end.
        let piped = of_descriptor(reader.as_fd(), &cancel).unwrap().unwrap();
        assert_eq!(piped.read_limited(4).unwrap(), None);
        drop(writer);
    }

    #[test]
    fn a_read_of_an_idle_pipe_ends_when_the_operation_is_cancelled() {
        let cancel = Cancel::new().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let mut piped = of_descriptor(reader.as_fd(), &cancel).unwrap().unwrap();
        let blocked = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || piped.read(&mut [0; 8]).unwrap_err().to_string())
            .unwrap();
        cancel.set(Reason::Interrupted);
        assert!(blocked.join().unwrap().contains("cancelled"));
        drop(writer);
    }
}
