//! What is going on right now: a line that is rewritten, bars that fill.
//!
//! On a terminal the live lines stand at the bottom of stderr and everything else goes above
//! them. Elsewhere (a pipe, CI, `TERM=dumb`, `--json`) the same calls print ordinary lines, few
//! enough for a log: one when something changes and one every half minute, so that a long wait
//! does not look like a hang. `--quiet` shows neither.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use parking_lot::Mutex;

use super::sink::Sink;
use super::style::Text;
use super::{Manner, Ui, escape, render};
use crate::platform::clock;

/// The least time between two rewrites of a live line that still says the same.
const REWRITE_MS: i64 = 1_000;

/// The time after which a log repeats a line that still says the same.
const REPEAT_MS: i64 = 30_000;

/// How often, at most, live lines are drawn in a second, whatever happens.
const DRAWS_A_SECOND: u8 = 20;

/// The live part of the output of one piece of work; gone from the terminal when dropped.
#[derive(Debug)]
pub struct Progress {
    ui: Ui,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    pace: Pace,
    bar: Option<ProgressBar>,
}

impl Ui {
    /// Takes the live lines away until they are drawn again: the terminal becomes somebody else's,
    /// who would have them cleared away under his own.
    pub fn leave_terminal(&self) {
        if let Some(screen) = self.0.screen.get() {
            screen.hide();
        }
    }

    /// Opens the live part of the output; draws nothing yet.
    pub fn progress(&self) -> Progress {
        Progress {
            ui: self.clone(),
            line: Mutex::default(),
        }
    }
}

impl Progress {
    /// Sets the live lines to `what` and `detail`, a space between them.
    ///
    /// `what` changes when something happens (the holder, the position), `detail` with time (how
    /// long, how long still). A new `what` shows at once; the same one with a new detail at most
    /// once a second, so call this every second or oftener. `what` may have several lines.
    pub fn say(&self, what: &str, detail: &str) {
        let repeat_ms = match self.ui.manner() {
            Manner::Live => REWRITE_MS,
            Manner::Plain => REPEAT_MS,
            Manner::Silent => return,
        };
        let mut line = self.line.lock();
        if !line.pace.is_due(what, clock::monotonic_ms(), repeat_ms) {
            return;
        }
        let space = if what.is_empty() || detail.is_empty() {
            ""
        } else {
            " "
        };
        let text = format!("{what}{space}{detail}");
        match self.ui.manner() {
            Manner::Live => {
                let bar = line.bar.get_or_insert_with(|| self.ui.screen().new_line());
                bar.set_message(self.ui.screen().fitted(&text));
            }
            Manner::Plain | Manner::Silent => self.ui.note(text),
        }
    }

    /// Sets the live lines to `groups`: the pieces of each stand on one line, `gap` between them,
    /// where the terminal is wide enough, else on a line each.
    ///
    /// At most once a second whatever it says, and on a terminal only: what a log should hear is
    /// for the caller to say. `true` if it was shown.
    pub fn stand(&self, groups: &[Vec<String>], gap: &str) -> bool {
        let mut line = self.line.lock();
        let now_ms = clock::monotonic_ms();
        if !self.ui.is_live() || !line.pace.is_due("", now_ms, REWRITE_MS) {
            return false;
        }
        let screen = self.ui.screen();
        let room = screen.room();
        let lines: Vec<String> = groups
            .iter()
            .map(|pieces| {
                let whole = pieces.join(gap);
                if render::columns(&whole) <= room {
                    whole
                } else {
                    pieces.join("\n")
                }
            })
            .collect();
        let bar = line.bar.get_or_insert_with(|| screen.new_line());
        bar.set_message(screen.fitted(&lines.join("\n")));
        true
    }

    /// Prints a line that stays, above the live ones.
    pub fn permanent(&self, text: impl Into<Text>) {
        self.ui.note(text);
    }

    /// Takes the live line away; the next [`say`](Self::say) brings it back.
    pub fn clear(&self) {
        let mut line = self.line.lock();
        line.pace = Pace::default();
        if let Some(bar) = line.bar.take() {
            self.ui.screen().remove(&bar);
        }
    }

    /// Opens a bar for `total` things, below the live line.
    pub fn bar(&self, total: u64, label: &str) -> Bar {
        let drawn =
            (self.ui.manner() == Manner::Live).then(|| self.ui.screen().new_bar(total, label));
        Bar {
            ui: self.ui.clone(),
            label: label.to_owned(),
            total,
            done: AtomicU64::new(0),
            pace: Mutex::new(Pace::begun(clock::monotonic_ms())),
            drawn,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `label [====>   ] k/n`; gone from the terminal when dropped. In a log: a line every half
/// minute, and one when all is done.
#[derive(Debug)]
pub struct Bar {
    ui: Ui,
    label: String,
    total: u64,
    done: AtomicU64,
    pace: Mutex<Pace>,
    drawn: Option<ProgressBar>,
}

impl Bar {
    /// Counts one more thing as done; from any thread.
    pub fn advance(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        match self.ui.manner() {
            Manner::Live => {
                if let Some(bar) = &self.drawn {
                    bar.inc(1);
                }
            }
            Manner::Plain => {
                let now_ms = clock::monotonic_ms();
                let is_due = self.pace.lock().is_due("", now_ms, REPEAT_MS);
                if is_due || done == self.total {
                    let (done, total) = (render::count(done), render::count(self.total));
                    self.ui.note(format!("{} {done}/{total}", self.label));
                }
            }
            Manner::Silent => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.drawn {
            self.ui.screen().remove(bar);
        }
    }
}

/// Decides when a line is shown again. Pure.
#[derive(Debug, Default)]
struct Pace {
    /// What was shown last, and when.
    last: Option<(String, i64)>,
}

impl Pace {
    /// As if an empty line had been shown at `now_ms`.
    fn begun(now_ms: i64) -> Self {
        Self {
            last: Some((String::new(), now_ms)),
        }
    }

    /// Whether `what` is to be shown now: it is new, or `repeat_ms` have passed. Then it is last.
    fn is_due(&mut self, what: &str, now_ms: i64, repeat_ms: i64) -> bool {
        let is_due = self
            .last
            .as_ref()
            .is_none_or(|(last, shown_ms)| last != what || now_ms - shown_ms >= repeat_ms);
        if is_due {
            self.last = Some((what.to_owned(), now_ms));
        }
        is_due
    }
}

/// The bottom of the terminal, where live lines are drawn, and everyone else's way past them.
pub(super) struct Screen {
    lines: MultiProgress,
    terminal: Terminal,
}

impl Screen {
    /// The bottom of the terminal behind `stderr`.
    pub(super) fn new(stderr: Arc<Sink>, columns: fn() -> usize) -> Self {
        let terminal = Terminal {
            stderr,
            columns,
            frame: Arc::default(),
        };
        let target = Box::new(terminal.clone());
        let target = ProgressDrawTarget::term_like_with_hz(target, DRAWS_A_SECOND);
        Self {
            lines: MultiProgress::with_draw_target(target),
            terminal,
        }
    }

    /// Takes the live lines away, calls `print`, which writes once, and draws them again.
    pub(super) fn above(&self, print: impl FnOnce()) {
        self.lines.suspend(print);
    }

    /// Takes the live lines away until something draws them again: below a question there is no
    /// place for them, the answer is typed there.
    pub(super) fn hide(&self) {
        // Our terminal gives no errors.
        drop(self.lines.clear());
    }

    fn new_line(&self) -> ProgressBar {
        self.lines.insert(0, styled(None, "{msg}"))
    }

    fn new_bar(&self, total: u64, label: &str) -> ProgressBar {
        let bar = styled(Some(total), "{prefix} [{bar:24}] {pos}/{len}");
        let bar = self.lines.add(bar.with_prefix(self.fitted(label)));
        bar.tick();
        bar
    }

    fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.lines.remove(bar);
    }

    /// The columns that a line may take: one fewer than there are, so that none wraps.
    fn room(&self) -> usize {
        usize::from(self.terminal.width()) - 1
    }

    /// `text` with each of its lines cut to the terminal.
    fn fitted(&self, text: &str) -> String {
        let width = self.room();
        let lines = text.lines().map(|line| {
            let line = escape::line(line);
            render::head(&line, width).to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn styled(total: Option<u64>, template: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    // Our two templates parse (a test draws both); any other look is better than a panic.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    // Hidden until it has its place on the screen: a bar's own target would be stderr itself.
    ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
        .with_style(style.progress_chars("=> "))
}

/// A terminal that is drawn on through the sink: one write a frame, and never an error, on which
/// indicatif would panic (its `suspend` unwraps) when the terminal has gone away.
#[derive(Clone)]
struct Terminal {
    stderr: Arc<Sink>,
    columns: fn() -> usize,
    frame: Arc<Mutex<Frame>>,
}

/// What is written at once.
///
/// indicatif ends a line by filling it with blanks up to the margin. The terminal's echo of a typed
/// Ctrl-C would wrap there, and put the cursor a line below where the next frame takes it for; and
/// full lines break in two when the terminal is made narrower. So lines are ended by line ends.
#[derive(Debug, Default)]
struct Frame {
    text: String,
    /// How many pieces were written: lines, and after each its filling.
    pieces: usize,
}

impl Frame {
    /// Adds a line, if one is due, or leaves out its filling: it was cleared before.
    fn write(&mut self, piece: &str) {
        if self.pieces.is_multiple_of(2) {
            if self.pieces > 0 {
                self.text.push_str("\r\n");
            }
            self.text.push_str(piece);
        }
        self.pieces += 1;
    }
}

impl Terminal {
    fn add(&self, pieces: &[&str]) -> io::Result<()> {
        self.frame.lock().text.extend(pieces.iter().copied());
        Ok(())
    }

    fn move_cursor(&self, count: usize, direction: &str) -> io::Result<()> {
        match count {
            0 => Ok(()),
            _ => self.add(&["\x1b[", &count.to_string(), direction]),
        }
    }
}

impl TermLike for Terminal {
    /// At least 2: what draws on it subtracts the width of a wide character.
    fn width(&self) -> u16 {
        u16::try_from((self.columns)()).unwrap_or(u16::MAX).max(2)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, "A")
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, "B")
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, "C")
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, "D")
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.add(&[s, "\n"])
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        self.frame.lock().write(s);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add(&["\r\x1b[2K"])
    }

    fn flush(&self) -> io::Result<()> {
        let frame = std::mem::take(&mut *self.frame.lock());
        if !frame.text.is_empty() {
            self.stderr.write(&frame.text);
        }
        Ok(())
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_says_the_same_is_shown_again_in_its_time() {
        let mut pace = Pace::default();
        let shown: Vec<i64> = (0..=4_000)
            .step_by(100)
            .filter(|now_ms| pace.is_due("same", *now_ms, REWRITE_MS))
            .collect();
        assert_eq!(shown, [0, 1_000, 2_000, 3_000, 4_000]);
    }

    #[test]
    fn a_line_that_says_something_new_is_shown_at_once() {
        let mut pace = Pace::begun(0);
        assert!(!pace.is_due("", 29_999, REPEAT_MS));
        assert!(pace.is_due("new", 29_999, REPEAT_MS));
        assert!(!pace.is_due("new", 30_000, REPEAT_MS));
        assert!(pace.is_due("", 30_001, REPEAT_MS));
        assert!(pace.is_due("", 60_001, REPEAT_MS));
    }
}
