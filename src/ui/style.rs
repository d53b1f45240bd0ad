//! Styled text and the signs that stand in it.
//!
//! A [`Text`] keeps what is said apart from how it looks until the last moment, when each piece
//! is escaped first and styled after: a style can only come from here.

use super::escape;

/// How a piece of text looks. Nothing may depend on it: it is gone without colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As the terminal has it.
    Plain,
    /// Headings and labels.
    Bold,
    /// What matters less.
    Dim,
    /// Errors, removed lines.
    Red,
    /// Success, added lines.
    Green,
    /// Warnings.
    Yellow,
    /// Places in a diff, hints.
    Cyan,
}

impl Style {
    /// The select-graphic-rendition parameter of this style.
    fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Red => Some("31"),
            Self::Green => Some("32"),
            Self::Yellow => Some("33"),
            Self::Cyan => Some("36"),
        }
    }
}

/// Whether styles are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Text alone.
    Off,
    /// Text with its styles.
    On,
}

/// Text of any origin with a style for each piece. Made from a string, it is plain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<(Style, String)>);

impl Text {
    /// One piece in one style.
    pub fn styled(style: Style, piece: impl Into<String>) -> Self {
        Self::default().then(style, piece)
    }

    /// This text followed by another piece.
    #[must_use]
    pub fn then(mut self, style: Style, piece: impl Into<String>) -> Self {
        self.0.push((style, piece.into()));
        self
    }

    /// This text followed by a plain piece.
    #[must_use]
    pub fn plain(self, piece: impl Into<String>) -> Self {
        self.then(Style::Plain, piece)
    }

    /// This text followed by `other`.
    #[must_use]
    pub fn join(mut self, other: impl Into<Self>) -> Self {
        self.0.extend(other.into().0);
        self
    }

    /// What is said, unescaped and without styles: for tests and measuring, not for a terminal.
    pub fn unstyled(&self) -> String {
        self.0.iter().map(|(_, piece)| piece.as_str()).collect()
    }

    /// The bytes for a terminal or pipe: each piece escaped, then styled.
    pub fn shown(&self, colour: Colour) -> String {
        let mut shown = String::new();
        for (style, piece) in &self.0 {
            let piece = escape::text(piece);
            match (colour, style.parameter()) {
                (Colour::On, Some(parameter)) if !piece.is_empty() => {
                    shown.extend(["\x1b[", parameter, "m", &piece, "\x1b[0m"]);
                }
                _ => shown.push_str(&piece),
            }
        }
        shown
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::styled(Style::Plain, text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::styled(Style::Plain, text)
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        Self::styled(Style::Plain, text)
    }
}

/// The signs we put into text ourselves, with a form for locales without UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub struct Signs {
    /// In order.
    pub ok: &'static str,
    /// Wants a look.
    pub warning: &'static str,
    /// Failed.
    pub failed: &'static str,
    /// Left out.
    pub skipped: &'static str,
    /// From, to.
    pub arrow: &'static str,
    /// Before a number of removed lines.
    pub minus: &'static str,
    /// Where text was cut off.
    pub ellipsis: &'static str,
}

/// For locales that can show more than ASCII.
pub const UNICODE: Signs = Signs {
    ok: "✓",
    warning: "⚠",
    failed: "✗",
    skipped: "○",
    arrow: "→",
    minus: "−",
    ellipsis: "…",
};

/// For locales that cannot.
pub const ASCII: Signs = Signs {
    ok: "+",
    warning: "!",
    failed: "x",
    skipped: "o",
    arrow: "->",
    minus: "-",
    ellipsis: "...",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_wrap_escaped_pieces_and_vanish_without_colour() {
        let text = Text::styled(Style::Red, "bad\x1b[0m")
            .plain(" and ")
            .join("good");
        assert_eq!(
            text.shown(Colour::On),
            "\x1b[31mbad\\x1b[0m\x1b[0m and good"
        );
        assert_eq!(text.shown(Colour::Off), "bad\\x1b[0m and good");
        assert_eq!(text.unstyled(), "bad\x1b[0m and good");
    }

    #[test]
    fn an_empty_piece_leaves_no_trace() {
        assert_eq!(Text::styled(Style::Bold, "").shown(Colour::On), "");
    }

    #[test]
    fn the_signs_without_utf8_are_ascii() {
        let Signs {
            ok,
            warning,
            failed,
            skipped,
            arrow,
            minus,
            ellipsis,
        } = ASCII;
        for sign in [ok, warning, failed, skipped, arrow, minus, ellipsis] {
            assert!(sign.is_ascii() && !sign.is_empty());
        }
    }
}
