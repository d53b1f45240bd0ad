//! One output stream: whole texts, each in one write, and what became of the stream.

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;

/// Why nothing more is written to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody reads it any more (`plandex log | head`).
    Closed,
    /// A write failed otherwise: a full disk, a terminal that is gone.
    Failed(String),
}

/// A stream that takes what is given until the first failure, and remembers that.
///
/// Never an error and never a panic: whoever prints may hold a lock that must be given back
/// (HAZARDS.md H34).
pub(super) struct Sink {
    /// Held for one write: a terminal stopped by Ctrl-S holds up only who prints.
    stream: Mutex<Box<dyn Write + Send>>,
    /// Beside the mutex, so that asking never waits for a write.
    ended: OnceLock<Ended>,
}

impl Sink {
    pub(super) fn new(stream: Box<dyn Write + Send>) -> Self {
        Self {
            stream: Mutex::new(stream),
            ended: OnceLock::new(),
        }
    }

    /// Writes all of `text`, unless an earlier write has failed.
    pub(super) fn write(&self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    /// As [`write`](Self::write), for what need not be text.
    pub(super) fn write_bytes(&self, bytes: &[u8]) {
        if self.ended.get().is_some() {
            return;
        }
        let written = write_all(&mut **self.stream.lock(), bytes);
        if let Err(ended) = written {
            // Another thread's failure may have come first; either will do.
            self.ended.get_or_init(|| ended);
        }
    }

    /// What ended this stream, if something did.
    pub(super) fn ended(&self) -> Option<&Ended> {
        self.ended.get()
    }
}

/// As `Write::write_all` and `flush`, but patient with a stream that some other program set
/// non-blocking: the flag belongs to the open terminal, which every process on it shares.
fn write_all(stream: &mut dyn Write, mut rest: &[u8]) -> Result<(), Ended> {
    const PAUSE: Duration = Duration::from_millis(5);
    // Without a bound, as a blocking write would be.
    loop {
        let attempt = match rest {
            [] => stream.flush().map(|()| None),
            _ => stream.write(rest).map(Some),
        };
        match attempt {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(Ended::Failed("the stream takes no more".to_owned())),
            Ok(Some(count)) => rest = &rest[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Ended::Closed),
            Err(error) => return Err(Ended::Failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io;
    use std::sync::Arc;

    /// A stream that answers each call with the next of its `answers`, then takes everything.
    struct Stubborn {
        answers: VecDeque<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stubborn {
        fn write(&mut self, given: &[u8]) -> io::Result<usize> {
            let count = self.answers.pop_front().unwrap_or(Ok(given.len()))?;
            let count = count.min(given.len());
            self.taken.lock().extend_from_slice(&given[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn stubborn(answers: Vec<io::Result<usize>>) -> (Sink, Arc<Mutex<Vec<u8>>>) {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let stream = Stubborn {
            answers: answers.into(),
            taken: Arc::clone(&taken),
        };
        (Sink::new(Box::new(stream)), taken)
    }

    #[test]
    fn interruptions_and_full_pipes_lose_nothing() {
        let (sink, taken) = stubborn(vec![
            Err(ErrorKind::Interrupted.into()),
            Ok(2),
            Err(ErrorKind::WouldBlock.into()),
            Ok(1),
        ]);
        sink.write("abcdef");
        assert_eq!(*taken.lock(), b"abcdef");
        assert_eq!(sink.ended(), None);
    }

    #[test]
    fn after_a_failure_nothing_more_is_tried() {
        for (kind, ended) in [
            (ErrorKind::BrokenPipe, Ended::Closed),
            (
                ErrorKind::StorageFull,
                Ended::Failed("no storage space".to_owned()),
            ),
        ] {
            let (sink, taken) = stubborn(vec![Ok(1), Err(kind.into())]);
            sink.write("abc");
            sink.write("def");
            assert_eq!(sink.ended(), Some(&ended));
            assert_eq!(*taken.lock(), b"a");
        }
        let (sink, _) = stubborn(vec![Ok(0)]);
        sink.write("abc");
        assert!(matches!(sink.ended(), Some(Ended::Failed(_))));
    }

    #[test]
    fn a_pipe_without_a_reader_is_closed() {
        let (reader, writer) = io::pipe().unwrap();
        let sink = Sink::new(Box::new(writer));
        drop(reader);
        sink.write("anyone?");
        assert_eq!(sink.ended(), Some(&Ended::Closed));
    }
}
