//! Server-sent events out of bytes, however they were split on their way.
//!
//! The rules are those of <https://html.spec.whatwg.org/multipage/server-sent-events.html>, with
//! three differences that servers make necessary: what stands at the very end without its blank
//! line is still told (marked, because it may be cut off), a byte that is not UTF-8 is an error
//! rather than replaced (replaced, it would end up in somebody's source file), and both a line and
//! an event are bounded.

use std::fmt;

/// The longest line and the longest event, in bytes.
pub const LINE_MAX: usize = 16 << 20;

/// What a stream says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// An event with its data, whose lines are joined by LF.
    Data {
        /// What `event:` named it; empty if nothing did.
        name: &'a str,
        /// The data.
        data: &'a str,
        /// Whether its last line and the blank line after it came. What stands at the end of a
        /// stream without them may be cut off.
        whole: bool,
    },
    /// A comment: the server is alive.
    Comment,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A line or an event is longer than [`LINE_MAX`].
    TooLong,
    /// A line is not UTF-8: the offset of the bad byte in the stream.
    NotUtf8(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a line of the stream is longer than {LINE_MAX} bytes"),
            Self::NotUtf8(at) => write!(f, "the stream is not UTF-8 at byte {at}"),
        }
    }
}

/// Reads a stream piece by piece.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A line has begun or ended: a byte-order mark is none any more.
    begun: bool,
    name: String,
    data: String,
    has_data: bool,
    /// Bytes of all lines that have ended.
    seen: u64,
}

impl Parser {
    /// Takes the next bytes and tells `heard` what they complete. After a fault nothing more is
    /// to be pushed.
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        heard: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), Fault> {
        // Each round takes at least one byte.
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = &bytes[1..];
                self.seen += 1;
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let Some(end) = end else {
                return self.keep(bytes);
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                self.line(&bytes[..end], heard)?;
            } else {
                self.keep(&bytes[..end])?;
                let mut line = std::mem::take(&mut self.line);
                self.line(&line, heard)?;
                line.clear();
                self.line = line;
            }
            self.seen += 1;
            bytes = &bytes[end + 1..];
        }
        Ok(())
    }

    /// The stream is over: tells what its end left open.
    pub fn finish(mut self, heard: &mut dyn FnMut(Event<'_>)) -> Result<(), Fault> {
        let line = std::mem::take(&mut self.line);
        // A character cut in two is the end's doing, not the server's: the line is cut off anyway.
        if !line.is_empty() && std::str::from_utf8(&line).is_ok() {
            self.line(&line, heard)?;
        }
        self.dispatch(false, heard);
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.line.len() + bytes.len() > LINE_MAX {
            return Err(Fault::TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8], heard: &mut dyn FnMut(Event<'_>)) -> Result<(), Fault> {
        if line.len() > LINE_MAX {
            return Err(Fault::TooLong);
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| Fault::NotUtf8(self.seen + error.valid_up_to() as u64))?;
        self.seen += line.len() as u64;
        let text = if std::mem::replace(&mut self.begun, true) {
            text
        } else {
            text.strip_prefix('\u{feff}').unwrap_or(text)
        };
        if text.is_empty() {
            self.dispatch(true, heard);
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => heard(Event::Comment),
            "data" => {
                if self.data.len() + value.len() > LINE_MAX {
                    return Err(Fault::TooLong);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.name),
            // `id` and `retry` are for reconnecting, which is nothing a model's reply survives.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, whole: bool, heard: &mut dyn FnMut(Event<'_>)) {
        if std::mem::take(&mut self.has_data) {
            heard(Event::Data {
                name: &self.name,
                data: &self.data,
                whole,
            });
        }
        self.name.clear();
        self.data.clear();
        // One huge event must not keep its memory for the rest of the stream.
        self.data.shrink_to(1 << 20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(pieces: &[&[u8]]) -> (Vec<String>, Result<(), Fault>) {
        let mut parser = Parser::default();
        let mut all = Vec::new();
        let mut heard = |event: Event<'_>| {
            all.push(match event {
                Event::Comment => ":".to_owned(),
                Event::Data { name, data, whole } => {
                    format!("{name}|{data}{}", if whole { "" } else { "|cut" })
                }
            });
        };
        for piece in pieces {
            if let Err(fault) = parser.push(piece, &mut heard) {
                return (all, Err(fault));
            }
        }
        let ended = parser.finish(&mut heard);
        (all, ended)
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(told(&[text.as_bytes()]).0, expected, "{text:?}");
    }

    #[test]
    fn every_framing_is_understood() {
        check("data: a\n\ndata: b\n\n", &["|a", "|b"]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &["|a", "|b"]);
        check("data: a\r\rdata: b\r\r", &["|a", "|b"]);
        check("data:{\"a\":1}\n\n", &["|{\"a\":1}"]);
        check("data:  two\n\n", &["| two"]);
        check("data: a\ndata: b\ndata\n\n", &["|a\nb\n"]);
        check("data:\n\n", &["|"]);
        check("\n\n\n", &[]);
        check(": alive\n\n:\ndata: a\n\n", &[":", ":", "|a"]);
        check("\u{feff}data: a\n\n", &["|a"]);
        check("data: a\n\n\u{feff}data: b\n\n", &["|a"]);
        check(
            "event: ping\nid: 7\nretry: 9\nother: x\ndata: a\n\ndata: b\n\n",
            &["ping|a", "|b"],
        );
        check("event: lost\n\ndata: b\n\n", &["|b"]);
        check("data: a", &["|a|cut"]);
        check("data: a\n", &["|a|cut"]);
        check("data: a\r", &["|a|cut"]);
        check("data: a\r\n\r", &["|a"]);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_an_error_with_its_place() {
        let (all, ended) = told(&[b"data: a\n\ndata: \xff\n\n"]);
        assert_eq!((all.len(), ended), (1, Err(Fault::NotUtf8(15))));
        // Cut inside a character by the end, it is a cut.
        assert_eq!(told(&[b"data: a\n\ndata: \xe6\xbc"]).0, ["|a"]);
    }

    #[test]
    fn a_line_and_an_event_are_bounded_and_one_of_a_megabyte_is_fine() {
        let long = "x".repeat(1 << 20);
        check(&format!("data: {long}\n\n"), &[&format!("|{long}")]);
        let piece = vec![b'x'; LINE_MAX / 4];
        let mut pieces: Vec<&[u8]> = vec![b"data: "];
        pieces.extend([piece.as_slice(); 5]);
        assert_eq!(told(&pieces).1, Err(Fault::TooLong));
        let line = [b"data: ", piece.as_slice(), b"\n"].concat();
        assert_eq!(told(&[line.as_slice(); 5]).1, Err(Fault::TooLong));
        let line = [b"data: ".as_slice(), &[b'x'; LINE_MAX], b"\n"].concat();
        assert_eq!(told(&[&line]).1, Err(Fault::TooLong));
    }

    proptest! {
        #[test]
        fn every_split_tells_what_the_whole_tells(
            text in "(data|event|:|id|\u{feff})?(:| |: )?[ab漢😀:\r\n]{0,3}(\n|\r\n|\r|\n\n){0,2}(data: ?[xyß\\[\\]{}]{0,4}(\n|\r\n|\r)){0,4}",
            more in "(data: ?[xyß]{0,4}(\n\n|\r\n\r\n|\r\r|\n)|: c\n|\n){0,8}",
            cuts in proptest::collection::vec(0_usize..200, 0..12),
        ) {
            let bytes = [text.as_bytes(), more.as_bytes()].concat();
            let whole = told(&[&bytes]);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let mut pieces = Vec::new();
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(told(&pieces), whole.clone());
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(told(&single), whole);
        }

        #[test]
        fn any_bytes_at_all_are_told_alike_in_one_and_in_single_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(told(&[&bytes]), told(&single));
        }
    }
}
