//! Pages of the web: fetched when they are loaded or updated, shown as text.

use anyhow::Result;

use super::read::item;
use super::{ContextError, Kind, Loaded, Origin, SkipReason, estimate_tokens};
use crate::model::{self, Page};

/// Elements whose content nobody reads.
const UNSEEN: [&str; 7] = [
    "script", "style", "noscript", "template", "svg", "iframe", "object",
];
/// Elements that stand on lines of their own.
const BLOCKS: [&str; 33] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "title",
    "tr",
    "ul",
];
/// The references that are used; all others are left as they stand.
const NAMED: [(&str, &str); 16] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("copy", "©"),
    ("reg", "®"),
    ("mdash", "—"),
    ("ndash", "–"),
    ("hellip", "…"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("bull", "•"),
];

/// Whether an argument names a page and not a file.
pub fn is_url(argument: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        let head = argument.get(..scheme.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
    })
}

/// Gets the page at `url` as an item. Fails with a [`model::ModelError`] if it cannot be had, and
/// with [`ContextError::NotText`] if it is no text.
pub fn fetch(url: &str) -> Result<Loaded> {
    let page = model::fetch(url)?;
    let text = text_of(url, &page)?;
    if text.trim().is_empty() {
        return Err(ContextError::Empty(url.to_owned()).into());
    }
    let tokens = estimate_tokens(&text);
    let origin = Origin {
        url: Some(url.to_owned()),
        ..Origin::default()
    };
    Ok(Loaded {
        origin,
        ..item(Kind::Url, url.to_owned(), text.into_bytes(), tokens)
    })
}

fn text_of(url: &str, page: &Page) -> Result<String, ContextError> {
    let not = |reason| ContextError::NotText {
        name: url.to_owned(),
        reason,
    };
    if page.body.iter().take(8000).any(|byte| *byte == 0) {
        return Err(not(SkipReason::Binary));
    }
    let is_latin = matches!(
        page.charset.as_deref(),
        Some("iso-8859-1" | "latin1" | "windows-1252")
    );
    let text = match std::str::from_utf8(&page.body) {
        Ok(text) => text.to_owned(),
        Err(_) if is_latin => page.body.iter().map(|byte| char::from(*byte)).collect(),
        Err(_) => return Err(not(SkipReason::NotUtf8)),
    };
    let is_html = match page.media_type.as_str() {
        "text/html" | "application/xhtml+xml" => true,
        "" => text
            .trim_start()
            .to_lowercase()
            .starts_with("<!doctype html"),
        _ => false,
    };
    Ok(if is_html { html_text(&text) } else { text })
}

/// What of a page of HTML a person reads, roughly as it is laid out: a heading as `# …`, an entry of
/// a list as `- …`, code as it stands.
pub(super) fn html_text(html: &str) -> String {
    let mut out = Out::default();
    let mut rest = html;
    // Each round goes on by a tag or a piece of text.
    while let Some(at) = rest.find('<') {
        let (text, tail) = rest.split_at(at);
        out.text(text);
        if let Some(comment) = tail.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let begins = tail[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
        if !begins {
            out.text("<");
            rest = &tail[1..];
            continue;
        }
        let end = tag_end(tail);
        let tag = tail[1..end].trim_end_matches('>');
        rest = &tail[end..];
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        let is_end = tag.starts_with('/');
        if UNSEEN.contains(&name.as_str()) && !is_end && !tag.ends_with('/') {
            rest = after_element(rest, &name);
            continue;
        }
        out.tag(&name, is_end);
    }
    out.text(rest);
    out.finished()
}

/// Where the tag that `text` begins with ends; a `>` in a quoted value is none.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// What follows the end of the element `name`.
fn after_element<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    // Each round goes on behind a "</".
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        let head = rest.get(..name.len());
        if head.is_some_and(|head| head.eq_ignore_ascii_case(name)) {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

#[derive(Default)]
struct Out {
    text: String,
    /// How many `<pre>` are open: white space stays there.
    pre: usize,
    /// A blank is due before the next word.
    gap: bool,
}

impl Out {
    fn text(&mut self, raw: &str) {
        let text = decoded(raw);
        if self.pre > 0 {
            self.text.push_str(&text);
            return;
        }
        for (place, word) in text.split(char::is_whitespace).enumerate() {
            self.gap |= place > 0;
            if word.is_empty() {
                continue;
            }
            let is_inside = !self.text.is_empty() && !self.text.ends_with(['\n', ' ']);
            if std::mem::take(&mut self.gap) && is_inside {
                self.text.push(' ');
            }
            self.text.push_str(word);
        }
    }

    fn tag(&mut self, name: &str, is_end: bool) {
        if name == "br" {
            self.text.push('\n');
        } else if name == "td" || name == "th" {
            self.gap = true;
        } else if BLOCKS.contains(&name) {
            self.line();
            match (name, is_end) {
                ("pre", false) => self.pre += 1,
                ("pre", true) => self.pre = self.pre.saturating_sub(1),
                ("li", false) => self.text.push_str("- "),
                ("p" | "table" | "ul" | "ol", _) => self.blank_line(),
                (heading, false) if is_heading(heading) => {
                    self.blank_line();
                    let level = heading[1..].parse().unwrap_or(1);
                    self.text.push_str(&"#".repeat(level));
                    self.text.push(' ');
                }
                (heading, true) if is_heading(heading) => self.blank_line(),
                _ => {}
            }
        }
    }

    fn line(&mut self) {
        self.gap = false;
        let kept = match self.pre {
            0 => self.text.trim_end_matches(' ').len(),
            _ => self.text.len(),
        };
        self.text.truncate(kept);
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn blank_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn finished(self) -> String {
        let mut text = self.text.trim().to_owned();
        text.push('\n');
        text
    }
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// `text` with its character references replaced.
fn decoded(text: &str) -> String {
    /// The longest reference that is looked at.
    const LONGEST: usize = 12;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Each round goes on behind an '&'.
    while let Some(at) = rest.find('&') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let name = tail[1..].split_once(';').map(|(name, _)| name);
        let known = name
            .filter(|name| name.len() <= LONGEST)
            .and_then(reference);
        match (name, known) {
            (Some(name), Some(known)) => {
                out.push_str(&known);
                rest = &tail[name.len() + 2..];
            }
            _ => {
                out.push('&');
                rest = &tail[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<String> {
    let Some(number) = name.strip_prefix('#') else {
        let known = NAMED.iter().find(|(known, _)| *known == name)?;
        return Some(known.1.to_owned());
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
        .filter(|c| *c != '\0')
        .map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_people_read_it() {
        let html = "<!DOCTYPE html><html><head><title>A &amp; B</title><style>p { x: '<' }</style>\
            <script>if (a < b) { \"</p>\" }</script></head><body>\n<!-- no > --><h2 title='a>b'>One\
            <em>two</em></h2><p>first\n  line, 1 < 2 &#x2014; &eacute; &#101;</p>\
            <ul><li>x<li>y</ul><pre>  a\n    b</pre><br>end</body>";
        assert_eq!(
            html_text(html),
            "A & B\n\n## Onetwo\n\nfirst line, 1 < 2 — &eacute; e\n\n- x\n- y\n\n  a\n    b\n\nend\n"
        );
    }

    #[test]
    fn whatever_is_called_html_has_a_text() {
        for html in [
            "",
            "<",
            "<a",
            "</",
            "<!--",
            "<script>",
            "&",
            "&#x;",
            "&#0;",
            "<p a='",
            "</pre>ß<",
        ] {
            let text = html_text(html);
            assert!(
                text.ends_with('\n') && text.len() <= html.len() + 1,
                "{html:?}: {text:?}"
            );
        }
    }

    #[test]
    fn what_is_no_text_is_refused_by_name() {
        let page = |media_type: &str, charset: Option<&str>, body: &[u8]| Page {
            media_type: media_type.to_owned(),
            charset: charset.map(str::to_owned),
            body: body.to_owned(),
        };
        let text = |page: &Page| text_of("http://h/", page);
        assert_eq!(text(&page("text/plain", None, b"<b>")).unwrap(), "<b>");
        assert_eq!(
            text(&page("", None, b" <!DOCTYPE HTML><b>x")).unwrap(),
            "x\n"
        );
        assert_eq!(
            text(&page("text/plain", Some("latin1"), b"\xe9")).unwrap(),
            "é"
        );
        for (body, reason) in [
            (&b"a\0b"[..], SkipReason::Binary),
            (b"\xe9", SkipReason::NotUtf8),
        ] {
            let error = text(&page("application/octet-stream", None, body)).unwrap_err();
            let name = "http://h/".to_owned();
            assert_eq!(error, ContextError::NotText { name, reason });
        }
    }

    #[test]
    fn a_url_is_told_from_a_file() {
        assert!(is_url("https://a/b") && is_url("HTTP://a"));
        assert!(!is_url("http:/a") && !is_url("ftp://a") && !is_url("a/http://b") && !is_url("ß"));
    }
}
