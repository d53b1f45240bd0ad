//! What a model thinks aloud at the beginning of its reply, between `<think>` and `</think>`.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Parts thinking from text, however the tags were split.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    place: Place,
    /// What may be the beginning of a tag.
    pending: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing but blanks has come.
    #[default]
    Start,
    Thinking,
    /// Blank lines after the thinking belong to neither.
    After,
    Text,
}

/// A run of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    Thinking(String),
    Text(String),
}

impl Splitter {
    /// Takes more content and tells `run` what it is.
    pub(super) fn push(&mut self, text: &str, run: &mut dyn FnMut(Run)) {
        if self.place == Place::Text {
            run(Run::Text(text.to_owned()));
            return;
        }
        self.pending.push_str(text);
        self.settle(run);
    }

    /// The content is over.
    pub(super) fn finish(&mut self, run: &mut dyn FnMut(Run)) {
        let rest = std::mem::take(&mut self.pending);
        match self.place {
            Place::Thinking if !rest.is_empty() => run(Run::Thinking(rest)),
            Place::Start | Place::Text if !rest.is_empty() => run(Run::Text(rest)),
            Place::Start | Place::Thinking | Place::After | Place::Text => {}
        }
    }

    fn settle(&mut self, run: &mut dyn FnMut(Run)) {
        if self.place == Place::Start {
            let begun = self.pending.trim_start();
            if OPEN.starts_with(begun) && begun.len() < OPEN.len() {
                return;
            }
            if let Some(thought) = begun.strip_prefix(OPEN) {
                self.pending = thought.to_owned();
                self.place = Place::Thinking;
            } else {
                self.place = Place::Text;
            }
        }
        if self.place == Place::Thinking {
            if let Some(at) = self.pending.find(CLOSE) {
                let rest = self.pending.split_off(at + CLOSE.len());
                self.pending.truncate(at);
                let thought = std::mem::replace(&mut self.pending, rest);
                if !thought.is_empty() {
                    run(Run::Thinking(thought));
                }
                self.place = Place::After;
            } else {
                let kept = kept_of_close(&self.pending);
                let rest = self.pending.split_off(self.pending.len() - kept);
                let thought = std::mem::replace(&mut self.pending, rest);
                if !thought.is_empty() {
                    run(Run::Thinking(thought));
                }
                return;
            }
        }
        if self.place == Place::After {
            let text = self.pending.trim_start_matches(['\n', '\r']);
            if text.is_empty() {
                self.pending.clear();
                return;
            }
            self.pending = text.to_owned();
            self.place = Place::Text;
        }
        let text = std::mem::take(&mut self.pending);
        if !text.is_empty() {
            run(Run::Text(text));
        }
    }
}

/// How many bytes at the end of `text` may be the beginning of the closing tag.
fn kept_of_close(text: &str) -> usize {
    let longest = text.len().min(CLOSE.len() - 1);
    (1..=longest)
        .rev()
        .find(|length| text.ends_with(&CLOSE[..*length]))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let (mut thinking, mut text) = (String::new(), String::new());
        let mut splitter = Splitter::default();
        let mut run = |run: Run| match run {
            Run::Thinking(more) => thinking.push_str(&more),
            Run::Text(more) => text.push_str(&more),
        };
        for piece in pieces {
            splitter.push(piece, &mut run);
        }
        splitter.finish(&mut run);
        (thinking, text)
    }

    #[test]
    fn thinking_is_parted_from_text_at_every_split() {
        for (whole, thinking, text) in [
            (
                "<think>a < b </thin\n</think>\n\nanswer <think>x",
                "a < b </thin\n",
                "answer <think>x",
            ),
            ("\n<think></think>answer", "", "answer"),
            ("answer <think>no</think>", "", "answer <think>no</think>"),
            (" <thin", "", " <thin"),
            (" \n text", "", " \n text"),
            ("<think>for ever </thi", "for ever </thi", ""),
            ("<think>a</think>\n", "a", ""),
            ("", "", ""),
        ] {
            for at in 0..=whole.len() {
                let (one, two) = whole.split_at(at);
                let expected = (thinking.to_owned(), text.to_owned());
                assert_eq!(split(&[one, two]), expected, "{whole:?} at {at}");
            }
            let single: Vec<&str> = whole.split("").collect();
            assert_eq!(split(&single), (thinking.to_owned(), text.to_owned()));
        }
    }
}
