//! What the line numbers of a diff are worth, as far as its earlier hunks tell.
//!
//! They count the lines of the file before the diff. So each is moved by what the hunks above it
//! added, and by how much the last one was wrong.

use super::choice::{Number, Trust};

/// The numbers of one file's hunks so far.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The last number given, 1-based.
    last: usize,
    /// Lines that the edits so far added, less those they removed.
    added: isize,
    /// By how much the last number was wrong, once a place is known.
    error: Option<isize>,
    /// Edits without numbers changed the file: nobody knows above or below which numbers.
    are_lost: bool,
}

impl Numbers {
    /// What the next hunk's number says, if anything. Models that do not count write 1, or the
    /// same again.
    pub(super) fn next(&self, line: Option<usize>) -> Option<Number> {
        let line = line.filter(|line| *line > self.last.max(1) && !self.are_lost)?;
        let error = self.error.unwrap_or(0);
        let at = isize::try_from(line - 1).ok()? + self.added + error;
        Some(Number {
            at: usize::try_from(at).ok()?,
            trust: match error {
                0 => Trust::Fair,
                _ => Trust::Corrected,
            },
        })
    }

    /// Notes where a hunk was found: a line index in the file as it was before that hunk.
    pub(super) fn placed(&mut self, line: Option<usize>, start: usize) {
        let Some(line) = line else {
            return;
        };
        if let (Ok(start), Ok(said)) = (isize::try_from(start), isize::try_from(line)) {
            self.error = Some(start - (said - 1 + self.added));
        }
        self.last = self.last.max(line);
    }

    /// Notes that the file got longer, or shorter.
    pub(super) fn grew(&mut self, before: usize, after: usize) {
        let lines = |count: usize| isize::try_from(count).unwrap_or(0);
        self.added += lines(after) - lines(before);
    }

    /// Notes that an edit without a number changed the file.
    pub(super) fn lose(&mut self) {
        self.are_lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fair(at: usize) -> Option<Number> {
        let trust = Trust::Fair;
        Some(Number { at, trust })
    }

    #[test]
    fn numbers_move_with_what_was_added_above() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.next(Some(10)), fair(9));
        numbers.placed(Some(10), 9);
        numbers.grew(20, 23);
        assert_eq!(numbers.next(Some(40)), fair(42));
        numbers.placed(Some(40), 42);
        numbers.grew(23, 18);
        assert_eq!(numbers.next(Some(50)), fair(47));
    }

    #[test]
    fn a_wrong_number_corrects_the_next() {
        let mut numbers = Numbers::default();
        numbers.placed(Some(10), 16);
        let trust = Trust::Corrected;
        assert_eq!(numbers.next(Some(30)), Some(Number { at: 36, trust }));
        numbers.placed(Some(30), 29);
        assert_eq!(numbers.next(Some(40)), fair(39));
    }

    #[test]
    fn numbers_that_are_no_numbers_say_nothing() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.next(None), None);
        assert_eq!(numbers.next(Some(0)), None);
        assert_eq!(numbers.next(Some(1)), None);
        numbers.placed(Some(12), 11);
        assert_eq!(numbers.next(Some(12)), None);
        assert_eq!(numbers.next(Some(3)), None);
        numbers.lose();
        assert_eq!(numbers.next(Some(30)), None);
    }
}
