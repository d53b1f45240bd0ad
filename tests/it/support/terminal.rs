//! A pseudo-terminal: what a person would see, and when it was drawn.

use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::process::{Background, Outcome};

const ROWS: u16 = 50;

/// The two ends of a new pseudo-terminal that is `columns` wide: ours, and the program's.
pub(super) fn pair(columns: u16) -> (OwnedFd, OwnedFd) {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .unwrap();
    rustix::pty::grantpt(&ours).unwrap();
    rustix::pty::unlockpt(&ours).unwrap();
    let size = Winsize {
        ws_row: ROWS,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(&ours, size).unwrap();
    let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap();
    let theirs = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(name.to_str().unwrap())
        .unwrap();
    (ours, theirs.into())
}

/// What came out of the terminal, piece by piece, and when.
type Drawn = Arc<Mutex<Vec<(Instant, Vec<u8>)>>>;

/// A program that runs on a terminal of its own.
#[must_use]
pub(crate) struct OnTerminal<'s> {
    program: Background<'s>,
    columns: u16,
    drawn: Drawn,
    keyboard: Option<std::fs::File>,
    reader: Option<(Arc<AtomicBool>, std::thread::JoinHandle<()>)>,
}

impl<'s> OnTerminal<'s> {
    pub(super) fn new(program: Background<'s>, ours: OwnedFd, columns: u16) -> Self {
        let ours = std::fs::File::from(ours);
        let drawn = Drawn::default();
        let stopping = Arc::new(AtomicBool::new(false));
        let screen = ours.try_clone().unwrap();
        let copy = std::fs::OpenOptions::new()
            .append(true)
            .open(program.stdout_path())
            .unwrap();
        let reader = {
            let (drawn, stopping) = (Arc::clone(&drawn), Arc::clone(&stopping));
            std::thread::Builder::new()
                .name("terminal".to_owned())
                .spawn(move || read(screen, &drawn, &stopping, copy))
                .unwrap()
        };
        Self {
            program,
            columns,
            drawn,
            keyboard: Some(ours),
            reader: Some((stopping, reader)),
        }
    }

    /// The program, for its pid and for signals.
    pub(crate) fn program(&mut self) -> &mut Background<'s> {
        &mut self.program
    }

    /// Types `keys`; `\x03` is Ctrl-C.
    pub(crate) fn type_in(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().expect("the terminal is there");
        keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// All that was drawn, controls included.
    pub(crate) fn raw(&self) -> String {
        let drawn = self.drawn.lock();
        let bytes: Vec<u8> = drawn.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// When each of the pieces that hold `words` was drawn.
    pub(crate) fn times_of(&self, words: &str) -> Vec<Instant> {
        let drawn = self.drawn.lock();
        drawn
            .iter()
            .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains(words))
            .map(|(when, _)| *when)
            .collect()
    }

    /// The screen as it stands, with its colours.
    pub(crate) fn drawn(&self) -> vt100::Parser {
        let mut parser = self.parser();
        for (_, bytes) in self.drawn.lock().iter() {
            parser.process(bytes);
        }
        parser
    }

    fn parser(&self) -> vt100::Parser {
        let size = |count| NonZero::new(count).unwrap();
        vt100::Parser::new(size(ROWS), size(self.columns), 0)
    }

    /// The screen as it stands.
    pub(crate) fn screen(&self) -> Seen {
        Seen::on(&self.drawn())
    }

    /// Waits until the screen shows `words`, however short it does.
    #[track_caller]
    pub(crate) fn until_shows(&self, words: &str) {
        let mut parser = self.parser();
        let mut read = 0;
        let what = format!("the screen shows {words:?}");
        self.program.sandbox().until(&what, || {
            let drawn = self.drawn.lock();
            // What it showed before it was asked counts only if it stands there still.
            let is_new = read > 0;
            for (_, bytes) in &drawn[read..] {
                parser.process(bytes);
                if is_new && Seen::on(&parser).text().contains(words) {
                    return Some(());
                }
            }
            read = drawn.len();
            Seen::on(&parser).text().contains(words).then_some(())
        });
    }

    /// The terminal goes away, as when its window is closed.
    pub(crate) fn hang_up(&mut self) {
        self.keyboard = None;
        if let Some((stopping, reader)) = self.reader.take() {
            stopping.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        }
    }

    /// Waits for its end; what it printed is on the screen alone.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> Outcome {
        let outcome = self.program.wait(limit);
        // All that it wrote before it ended is there to be read by now.
        if let Some((stopping, reader)) = self.reader.take() {
            stopping.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        }
        outcome
    }
}

impl Drop for OnTerminal<'_> {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// Reads until the other side is closed, or until it is told to stop and all is read.
fn read(mut screen: std::fs::File, drawn: &Drawn, stopping: &AtomicBool, mut copy: std::fs::File) {
    let mut buffer = [0; 4096];
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    loop {
        let was_told = stopping.load(Ordering::SeqCst);
        let is_there = {
            let mut fds = [PollFd::from_borrowed_fd(screen.as_fd(), PollFlags::IN)];
            let heard = rustix::event::poll(&mut fds, Some(&tick)).unwrap_or(0);
            heard > 0 && fds[0].revents().contains(PollFlags::IN)
        };
        if is_there {
            // An error is the end: nobody has the other side open any more.
            let Ok(count) = screen.read(&mut buffer) else {
                return;
            };
            let bytes = buffer[..count].to_vec();
            copy.write_all(&bytes).ok();
            drawn.lock().push((Instant::now(), bytes));
        } else if was_told {
            return;
        }
    }
}

/// A screen at one moment.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Its rows down to the last that is not empty, without blanks at their ends.
    pub(crate) rows: Vec<String>,
    pub(crate) cursor_is_visible: bool,
    /// Row and column, from 0.
    pub(crate) cursor: (u16, u16),
}

impl Seen {
    fn on(terminal: &vt100::Parser) -> Self {
        let screen = terminal.screen();
        let (_, columns) = screen.size();
        let mut rows: Vec<String> = screen
            .rows(0, columns.get())
            .map(|row| row.trim_end().to_owned())
            .collect();
        let filled = rows.iter().rposition(|row| !row.is_empty());
        rows.truncate(filled.map_or(0, |last| last + 1));
        Self {
            rows,
            cursor_is_visible: !screen.hide_cursor(),
            cursor: screen.cursor_position(),
        }
    }

    /// The rows as one text.
    pub(crate) fn text(&self) -> String {
        self.rows.join("\n")
    }
}
