//! The names of files in a diff, as git writes them: with `a/` and `b/` before them, in quotes
//! with escapes if a character is odd, with a time behind them.

/// A name on one side of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// `/dev/null`: there is no file on this side.
    Nothing,
    /// A file, its prefix still there.
    File(String),
    /// Not UTF-8; how it looks.
    NotText(String),
}

impl Name {
    /// Reads what follows `--- `, `+++ `, `rename from ` and their like.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim_end();
        if text.starts_with('"') {
            return quoted(text).map(|(name, _)| name);
        }
        // A tab ends a name; a time may stand behind it.
        let text = text.split('\t').next().unwrap_or_default();
        let text = without_time(text).trim_end();
        if text.is_empty() {
            return None;
        }
        Some(Self::of(text.to_owned()))
    }

    fn of(name: String) -> Self {
        match name.as_str() {
            "/dev/null" => Self::Nothing,
            _ => Self::File(name),
        }
    }
}

/// The two names behind `diff --git`, which nothing separates if they have blanks in them: then
/// they must be the same.
pub(super) fn git_pair(text: &str) -> Option<(Name, Name)> {
    let text = text.trim_end();
    if text.starts_with('"') {
        let (old, rest) = quoted(text)?;
        return Some((old, Name::read(rest.trim_start())?));
    }
    if let Some((old, _)) = text.split_once(" \"")
        && text.ends_with('"')
    {
        return Some((
            Name::of(old.to_owned()),
            Name::read(&text[old.len() + 1..])?,
        ));
    }
    let mut words = text.split(' ');
    if let (Some(old), Some(new), None) = (words.next(), words.next(), words.next()) {
        return Some((Name::of(old.to_owned()), Name::of(new.to_owned())));
    }
    let middle = text.len() / 2;
    let (old, new) = (text.get(..middle)?, text.get(middle..)?.strip_prefix(' ')?);
    let same = unprefixed(old, new).0 == unprefixed(old, new).1;
    same.then(|| (Name::of(old.to_owned()), Name::of(new.to_owned())))
}

/// Both names without `a/` and `b/`, if both have them.
pub(super) fn unprefixed<'a>(old: &'a str, new: &'a str) -> (&'a str, &'a str) {
    match (old.strip_prefix("a/"), new.strip_prefix("b/")) {
        (Some(bare_old), Some(bare_new)) => (bare_old, bare_new),
        // One of them was written without.
        (Some(bare_old), None) if bare_old == new => (bare_old, new),
        (None, Some(bare_new)) if bare_new == old => (old, bare_new),
        _ => (old, new),
    }
}

/// A name without a leading `./`.
pub(super) fn plain(name: &str) -> String {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    name.to_owned()
}

/// Drops a date and a time that stand behind a name.
fn without_time(text: &str) -> &str {
    let is_date = |word: &str| {
        let mut parts = word.split('-');
        let is_number = |part: Option<&str>, digits: usize| {
            part.is_some_and(|part| {
                part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        is_number(parts.next(), 4) && is_number(parts.next(), 2) && is_number(parts.next(), 2)
    };
    let Some((at, date)) = text
        .match_indices(' ')
        .map(|(at, _)| (at, text[at + 1..].split(' ').next().unwrap_or_default()))
        .find(|(_, word)| is_date(word))
    else {
        return text;
    };
    let has_time = text[at + 1 + date.len()..].contains(':');
    if has_time { &text[..at] } else { text }
}

/// A name in quotes, and what follows it.
fn quoted(text: &str) -> Option<(Name, &str)> {
    let mut bytes = Vec::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let at = rest.find(['"', '\\'])?;
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let is_end = rest[at..].starts_with('"');
        rest = &rest[at + 1..];
        if is_end {
            break;
        }
        rest = escape(rest, &mut bytes)?;
    }
    let name = match String::from_utf8(bytes) {
        Ok(name) => Name::of(name),
        Err(error) => Name::NotText(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    };
    Some((name, rest))
}

/// Takes what follows a backslash.
fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let byte = match text.as_bytes().first()? {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        b'"' => b'"',
        b'\\' => b'\\',
        _ => {
            let digits = text.get(..3)?;
            bytes.push(u8::from_str_radix(digits, 8).ok()?);
            return text.get(3..);
        }
    };
    bytes.push(byte);
    text.get(1..)
}
