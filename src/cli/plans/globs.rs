//! Plans by a pattern: `*` is any text, `?` any character, `[ab]`, `[a-z]` and `[!ab]` one of some.

/// Whether `text` is a pattern rather than a name.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether the whole of `text` fits `pattern`. Takes time in proportion to both lengths.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut seen) = (0, 0);
    // Where to go on when what was tried after the last `*` does not fit.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, seen));
        } else if let Some(next) = one(&pattern, at, text[seen]) {
            at = next;
            seen += 1;
        } else if let Some((after, tried)) = star {
            star = Some((after, tried + 1));
            (at, seen) = (after, tried + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Where the pattern goes on after the one character `c`; `None` if that does not fit at `at`.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match set(pattern, at + 1) {
            Some((set, next)) => (set.holds(c) != set.is_not).then_some(next),
            // A bracket that nothing closes is itself.
            None => (c == '[').then_some(at + 1),
        },
        literal => (*literal == c).then_some(at + 1),
    }
}

/// The characters in brackets.
struct Set {
    ranges: Vec<(char, char)>,
    /// Whether they are those that do not fit.
    is_not: bool,
}

impl Set {
    fn holds(&self, c: char) -> bool {
        let mut ranges = self.ranges.iter();
        ranges.any(|(low, high)| (*low..=*high).contains(&c))
    }
}

/// The set whose inside begins at `at`, and where the pattern goes on after it.
fn set(pattern: &[char], mut at: usize) -> Option<(Set, usize)> {
    let is_not = matches!(pattern.get(at), Some('!' | '^'));
    if is_not {
        at += 1;
    }
    let mut ranges = Vec::new();
    loop {
        let c = *pattern.get(at)?;
        if c == ']' && !ranges.is_empty() {
            return Some((Set { ranges, is_not }, at + 1));
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some('-'), Some(high)) if *high != ']' => {
                ranges.push((c, *high));
                at += 3;
            }
            _ => {
                ranges.push((c, c));
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, text, expected) in [
            ("draft*", "draft-2", true),
            ("draft*", "draft", true),
            ("draft*", "a draft", false),
            ("*-test", "auth-test", true),
            ("*a*b*c", "xaybzc", true),
            ("*a*b*c", "xaybzd", false),
            ("?", "ä", true),
            ("?", "", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[", "[", true),
            ("[]]", "]", true),
            ("**", "", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        // No pattern takes more than its share of time.
        assert!(!fits(&"*a".repeat(50), &"a".repeat(49)));
    }
}
