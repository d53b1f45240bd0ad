//! Where the parts of a JSON text are: what is needed to change one and leave every other byte.

use std::ops::Range;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A value and its place in the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Object,
    Array,
    Text(String),
    Other,
}

/// A part of an object or an array.
#[derive(Debug)]
pub(super) struct Part {
    /// Of an object: what it is called.
    pub(super) name: Option<String>,
    /// With its name.
    pub(super) span: Range<usize>,
    pub(super) value: Tree,
}

/// A value with its parts.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) node: Node,
    pub(super) parts: Vec<Part>,
}

impl Tree {
    /// The last part called `name`, the one that counts, and its number.
    pub(super) fn part(&self, name: &str) -> Option<(usize, &Self)> {
        let named = |part: &&Part| part.name.as_deref() == Some(name);
        let index = self.parts.iter().rposition(|part| named(&part))?;
        Some((index, &self.parts[index].value))
    }

    /// Between its brackets.
    pub(super) fn inside(&self) -> Range<usize> {
        self.node.span.start + 1..self.node.span.end - 1
    }

    /// Its text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.node.kind {
            Kind::Text(text) => Some(text),
            Kind::Object | Kind::Array | Kind::Other => None,
        }
    }
}

/// The parts of `text`; an error if it is not JSON.
pub(super) fn parse(text: &str) -> Result<Tree> {
    // Strict, and it bounds how deep it goes; what follows may take its word for all that.
    serde_json::from_str::<Value>(text).context("it is not JSON")?;
    let mut scan = Scan { text, at: 0 };
    scan.value()
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&mut self) -> u8 {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest.bytes().next().unwrap_or_default()
    }

    fn value(&mut self) -> Result<Tree> {
        match self.peek() {
            b'{' => self.parts(Kind::Object, b'}'),
            b'[' => self.parts(Kind::Array, b']'),
            b'"' => {
                let start = self.at;
                let text = self.string()?;
                Ok(self.leaf(start, Kind::Text(text)))
            }
            _ => {
                let start = self.at;
                let rest = &self.text[start..];
                let is_end = |c: char| ",]}".contains(c) || c.is_ascii_whitespace();
                self.at += rest.find(is_end).unwrap_or(rest.len());
                Ok(self.leaf(start, Kind::Other))
            }
        }
    }

    fn leaf(&self, start: usize, kind: Kind) -> Tree {
        let node = Node {
            span: start..self.at,
            kind,
        };
        Tree {
            node,
            parts: Vec::new(),
        }
    }

    fn parts(&mut self, kind: Kind, close: u8) -> Result<Tree> {
        let start = self.at;
        self.at += 1;
        let mut parts = Vec::new();
        while self.peek() != close {
            if self.peek() == b',' {
                self.at += 1;
                self.peek();
            }
            let begun = self.at;
            let mut name = None;
            if matches!(kind, Kind::Object) {
                name = Some(self.string()?);
                self.peek();
                self.at += 1;
            }
            let value = self.value()?;
            let span = begun..self.at;
            parts.push(Part { name, span, value });
        }
        self.at += 1;
        let span = start..self.at;
        let node = Node { span, kind };
        Ok(Tree { node, parts })
    }

    fn string(&mut self) -> Result<String> {
        let rest = &self.text[self.at..];
        let mut is_escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            is_end
        });
        let (end, _) = end.context("a string has no end")?;
        self.at += end + 1;
        Ok(serde_json::from_str(&rest[..=end])?)
    }
}
