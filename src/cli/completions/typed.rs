//! What stands on the line before the cursor, as the shell would take it.

/// The words of the command up to the cursor, the last of them unfinished and perhaps empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) words: Vec<String>,
    /// How the shell takes what is put in the place of what it means to replace.
    pub(super) place: Place,
}

/// Where the shell puts a completion.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The shell puts in a whole word, and quotes it itself.
    Whole,
    /// What follows `kept` of the last word is replaced, inside a quote that is open or none.
    After { kept: String, quote: Option<char> },
}

impl Typed {
    /// From words that the shell has taken apart; of the last one quotes may be left.
    pub(super) fn words(words: Vec<String>) -> Self {
        let mut words = words;
        if let Some(last) = words.last_mut() {
            *last = Reader::read(last).last();
        }
        Self {
            words,
            place: Place::Whole,
        }
    }

    /// From the line up to the cursor, and what of its end bash means to replace: it breaks words
    /// where commands do not, at ":" and "=".
    pub(super) fn line(line: &str, replaced: &str) -> Self {
        let before = line.strip_suffix(replaced).unwrap_or(line);
        let kept = Reader::read(before);
        let quote = kept.quote;
        let kept = kept.last();
        let mut words = Reader::read(line).words();
        let is_assignment = |word: &String| {
            let name = word.split_once('=').map_or("", |(name, _)| name);
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let assigned = words.iter().take_while(|word| is_assignment(word)).count();
        // Never the word that is being typed.
        words.drain(..assigned.min(words.len() - 1));
        Self {
            words,
            place: Place::After { kept, quote },
        }
    }

    /// The word that is being typed.
    pub(super) fn last(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    /// What the option `name` was given on the line so far.
    pub(super) fn option(&self, name: &str) -> Option<String> {
        let before = self.words.len().saturating_sub(1);
        let mut words = self.words[..before].iter();
        let mut found = None;
        while let Some(word) = words.next().filter(|word| *word != "--") {
            if word == name {
                found = words.next().cloned().or(found);
            } else if let Some(value) = word
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('='))
            {
                found = Some(value.to_owned());
            }
        }
        found
    }
}

impl Place {
    /// `value` as it is put in; `None` if it does not go on from what stays there.
    pub(super) fn put(&self, value: &str) -> Option<String> {
        let Self::After { kept, quote } = self else {
            return Some(value.to_owned());
        };
        let rest = value.strip_prefix(kept.as_str())?;
        let mut text = String::new();
        for c in rest.chars() {
            match quote {
                Some('\'') if c == '\'' => text.push_str(r"'\'"),
                Some('\'') => {}
                Some(_) if "\"\\$`".contains(c) => text.push('\\'),
                Some(_) => {}
                None if c.is_alphanumeric() || "-_./:=@%+,".contains(c) => {}
                None => text.push('\\'),
            }
            text.push(c);
        }
        Some(text)
    }
}

/// Takes a line apart as a shell does, without running anything of it.
#[derive(Default)]
struct Reader {
    done: Vec<String>,
    /// The word that has begun.
    word: Option<String>,
    quote: Option<char>,
}

impl Reader {
    fn read(text: &str) -> Self {
        let mut reader = Self::default();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            reader.take(c, &mut chars);
        }
        reader
    }

    fn take(&mut self, c: char, after: &mut std::str::Chars<'_>) {
        match (self.quote, c) {
            (Some(quote), c) if c == quote => self.quote = None,
            (Some('"') | None, '\\') => {
                if let Some(next) = after.next() {
                    self.push(next);
                }
            }
            (None, '\'' | '"') => {
                self.quote = Some(c);
                self.word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => self.done.extend(self.word.take()),
            // Another command begins.
            (None, ';' | '|' | '&') => {
                self.done.clear();
                self.word = None;
            }
            (_, c) => self.push(c),
        }
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn last(self) -> String {
        self.word.unwrap_or_default()
    }

    fn words(self) -> Vec<String> {
        let mut words = self.done;
        words.push(self.word.unwrap_or_default());
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, replaced: &str, words: &[&str], value: &str, put: &str) {
        let typed = Typed::line(line, replaced);
        assert_eq!(typed.words, words, "{line}");
        assert_eq!(typed.place.put(value).as_deref(), Some(put), "{line}");
    }

    #[test]
    fn a_line_is_taken_apart_as_bash_does_and_a_value_put_where_bash_wants_it() {
        check(
            "plandex che",
            "che",
            &["plandex", "che"],
            "checkout",
            "checkout",
        );
        check(
            "plandex cd ",
            "",
            &["plandex", "cd", ""],
            "my plan",
            r"my\ plan",
        );
        check(
            r"p cd my\ p",
            r"my\ p",
            &["p", "cd", "my p"],
            "my plan",
            r"my\ plan",
        );
        check(
            "p cd 'my p",
            "my p",
            &["p", "cd", "my p"],
            "my plan's",
            r"my plan'\''s",
        );
        check("p cd \"my", "my", &["p", "cd", "my"], "my $x", r"my \$x");
        // Bash replaces what follows the last of its own breaks.
        check(
            "p --plan=gr",
            "gr",
            &["p", "--plan=gr"],
            "--plan=green",
            "green",
        );
        check(
            "p checkout a:b",
            "b",
            &["p", "checkout", "a:b"],
            "a:bc d",
            r"bc\ d",
        );
        check(
            "p --plan='my",
            "my",
            &["p", "--plan=my"],
            "--plan=my x",
            "my x",
        );
        check("X=1 Y='a b' p c", "c", &["p", "c"], "cd", "cd");
        check("true && p c", "c", &["p", "c"], "cd", "cd");
        check("A=", "", &["A="], "A=", "");
        check("", "", &[""], "é", "é");
    }

    #[test]
    fn a_value_that_does_not_go_on_from_what_stays_is_none() {
        let typed = Typed::line("p checkout a:b", "b");
        assert_eq!(typed.place.put("other"), None);
    }

    #[test]
    fn of_words_the_last_loses_the_quotes_that_are_left_and_options_are_found() {
        let words = [
            "p",
            "--plan",
            "one",
            "--plan=two",
            "--",
            "--plan=three",
            "'my p",
        ];
        let typed = Typed::words(words.map(str::to_owned).to_vec());
        assert_eq!(typed.last(), "my p");
        assert_eq!(typed.option("--plan").as_deref(), Some("two"));
        assert_eq!(typed.option("--branch"), None);
        assert_eq!(typed.place.put("a b").as_deref(), Some("a b"));
    }
}
