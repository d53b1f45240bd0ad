//! Outlines: the names that a source file defines, each with its first line, as a tree.
//!
//! Found by tree-sitter, which reads code that is wrong or half written too. The grammars are large,
//! so all of it stands behind the cargo feature `maps`; without it no file has an outline.

#[cfg(feature = "maps")]
mod grammar;

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    /// How many definitions it lies in.
    pub(super) depth: usize,
    /// What stands before its body, on one line.
    pub(super) text: String,
}

/// The outline of the file `path`; empty if its language is not known.
#[cfg(feature = "maps")]
pub(super) fn outline(path: &str, text: &str) -> Vec<Symbol> {
    grammar::outline(path, text)
}

/// No file has one.
#[cfg(not(feature = "maps"))]
pub(super) fn outline(_path: &str, _text: &str) -> Vec<Symbol> {
    Vec::new()
}
