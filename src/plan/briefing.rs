//! What a model is told: pure text from the plan's rows.

use crate::model::Picture;
use crate::store::messages::{Role, State};

/// One message as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// "system", "user" or "assistant".
    pub role: &'static str,
    /// The text.
    pub content: String,
    /// The images that are shown with it.
    pub images: Vec<Seen>,
}

/// An image that the model is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As it is sent.
    pub picture: Picture,
    /// What it costs, by each way of counting.
    pub tokens: Tokens,
}

/// The tokens of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// As OpenAI counts.
    pub by_tiles: u64,
    /// As Anthropic counts.
    pub by_area: u64,
}

/// A file (or note) that the model is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is called.
    pub name: String,
    /// Its content; empty for an image.
    pub body: String,
    /// The image that it is, if it is one.
    pub image: Option<Seen>,
}

/// What was said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turned {
    /// Who.
    pub role: Role,
    /// What.
    pub text: String,
    /// Whether it was whole.
    pub state: State,
}

const RULES: &str = "\
You change files of a software project. Say briefly what you do, then give each change in one of \
these forms.

A whole file, new or replaced, as a code fence labelled with its path:

```rust path=src/example.rs
// the complete new content
```

A part of a file, as the exact lines to find and the lines to put there:

src/example.rs
<<<<<<< SEARCH
the lines as they are now
=======
the lines as they shall be
>>>>>>> REPLACE

A file to delete, or to give another name:

*** Begin Patch
*** Delete File: src/old.rs
*** Update File: src/name.rs
*** Move to: src/other.rs
*** End Patch

Such a patch may hold hunks, and a unified diff in a ```diff fence will do as well. Each must be \
closed, and name its file. Search text and the context of a hunk must occur exactly once in the \
file. Never stand in for code with a remark such as \
\"rest unchanged\". Paths are relative to the project's root.";

const CHAT_RULES: &str = "\
You answer questions about a software project. This is a conversation only: no edit that you write \
is applied, so describe what you would change, and show code where it helps. Paths are relative to \
the project's root.";

/// What the model is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Change files.
    Edits,
    /// Answer, without changing any.
    Words,
}

/// All that a briefing is made of.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// What the model is to do.
    pub manner: Manner,
    /// What it is shown.
    pub shown: &'a [Shown],
    /// What stands in the place of the messages before `said`.
    pub summary: Option<&'a str>,
    /// What was said before.
    pub said: &'a [Turned],
}

/// The messages to send for `prompt`: the rules, what was shown, what was said, what is asked.
pub fn briefing(material: &Material<'_>, prompt: &str) -> Vec<Line> {
    let mut system = match material.manner {
        Manner::Edits => RULES,
        Manner::Words => CHAT_RULES,
    }
    .to_owned();
    for entry in material.shown.iter().filter(|entry| entry.image.is_none()) {
        let fence = fence_for(&entry.body);
        let end = if entry.body.ends_with('\n') { "" } else { "\n" };
        system.push_str(
            &[
                "\n\n",
                &entry.name,
                ":\n",
                &fence,
                "\n",
                &entry.body,
                end,
                &fence,
            ]
            .concat(),
        );
    }
    let mut lines = vec![Line {
        role: "system",
        content: system,
        images: Vec::new(),
    }];
    show_images(&mut lines, material.shown);
    if let Some(summary) = material.summary {
        let text = format!("What was said before this, in short:\n\n{summary}");
        push(&mut lines, "user", &text);
    }
    for turned in material.said {
        let cut = match turned.state {
            State::Complete | State::Open => "",
            State::Stopped
            | State::Truncated
            | State::Refused
            | State::Error
            | State::Interrupted => "\n[cut off here]",
        };
        let text = turned.text.as_str();
        if !text.trim().is_empty() {
            push(&mut lines, turned.role.word(), &format!("{text}{cut}"));
        }
    }
    push(&mut lines, "user", prompt);
    lines
}

/// Adds the images in the first message of the user's: no server takes them with the rules.
fn show_images(lines: &mut Vec<Line>, shown: &[Shown]) {
    let images = || shown.iter().filter(|entry| entry.image.is_some());
    let names: Vec<&str> = images().map(|entry| entry.name.as_str()).collect();
    if names.is_empty() {
        return;
    }
    let text = format!("The images are, in this order: {}", names.join(", "));
    push(lines, "user", &text);
    if let Some(last) = lines.last_mut() {
        last.images = images().filter_map(|entry| entry.image.clone()).collect();
    }
}

/// Adds a message. Empty ones are not sent, and two of one role are one (some servers refuse
/// anything else).
fn push(lines: &mut Vec<Line>, role: &'static str, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    match lines.last_mut() {
        Some(last) if last.role == role => {
            last.content.push_str("\n\n");
            last.content.push_str(text);
        }
        _ => lines.push(Line {
            role,
            content: text.to_owned(),
            images: Vec::new(),
        }),
    }
}

/// A fence longer than any run of backticks in `body`.
fn fence_for(body: &str) -> String {
    let longest = body
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::reply::{Ending, ReplyEvent, ReplyParser};

    fn turned(role: Role, text: &str) -> Turned {
        Turned {
            role,
            text: text.to_owned(),
            state: State::Complete,
        }
    }

    fn asked(shown: &[Shown], said: &[Turned], prompt: &str) -> Vec<Line> {
        let material = Material {
            manner: Manner::Edits,
            shown,
            summary: None,
            said,
        };
        briefing(&material, prompt)
    }

    #[test]
    fn the_forms_it_shows_are_read_as_edits() {
        let mut parser = ReplyParser::new();
        let mut events = parser.push(RULES);
        events.extend(parser.finish(Ending::Complete));
        let edits: Vec<String> = events
            .iter()
            .filter_map(|event| match event {
                ReplyEvent::Edit(edit) => Some(format!("{} {}", edit.path, edit.format)),
                ReplyEvent::Malformed(found) => Some(found.message.clone()),
                ReplyEvent::Prose(_)
                | ReplyEvent::FileStarted { .. }
                | ReplyEvent::FileLines { .. } => None,
            })
            .collect();
        assert_eq!(
            edits,
            [
                "src/example.rs whole file",
                "src/example.rs search/replace",
                "src/old.rs patch",
                "src/name.rs patch"
            ]
        );
    }

    #[test]
    fn a_summary_stands_before_what_was_said() {
        let said = [turned(Role::Assistant, "two")];
        let material = Material {
            manner: Manner::Words,
            shown: &[],
            summary: Some("one"),
            said: &said,
        };
        let lines = briefing(&material, "three");
        let roles: Vec<_> = lines.iter().map(|line| line.role).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert!(lines[1].content.ends_with("\n\none"));
        assert!(!lines[0].content.contains("SEARCH"));
    }

    #[test]
    fn a_reply_that_came_to_nothing_is_not_sent() {
        let said = [
            turned(Role::User, "one"),
            Turned {
                state: State::Error,
                ..turned(Role::Assistant, "")
            },
        ];
        assert_eq!(asked(&[], &said, "two")[1].content, "one\n\ntwo");
    }

    #[test]
    fn roles_alternate_and_nothing_empty_is_sent() {
        let said = [
            turned(Role::User, "one"),
            turned(Role::Assistant, ""),
            turned(Role::User, "two"),
            turned(Role::Assistant, "answer"),
        ];
        let lines = asked(&[], &said, "three");
        let roles: Vec<_> = lines.iter().map(|line| line.role).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert_eq!(lines[1].content, "one\n\ntwo");
    }

    #[test]
    fn a_shown_file_cannot_close_its_own_fence() {
        let body = "text\n```\nmore\n````\n".to_owned();
        let lines = asked(
            &[Shown {
                name: "README.md".to_owned(),
                body,
                image: None,
            }],
            &[],
            "x",
        );
        assert!(lines[0].content.contains("README.md:\n`````\ntext"));
    }

    #[test]
    fn images_are_shown_by_the_user_and_named() {
        let image = |name: &str| Shown {
            name: name.to_owned(),
            body: String::new(),
            image: Some(Seen {
                picture: Picture::new("image/png", "high", name.as_bytes()),
                tokens: Tokens {
                    by_tiles: 765,
                    by_area: 1334,
                },
            }),
        };
        let lines = asked(&[image("a.png"), image("b.png")], &[], "look");
        assert!(!lines[0].content.contains(".png") && lines[0].images.is_empty());
        assert_eq!(lines[1].images.len(), 2);
        let words = "The images are, in this order: a.png, b.png\n\nlook";
        assert_eq!((lines[1].role, lines[1].content.as_str()), ("user", words));
    }

    #[test]
    fn a_partial_reply_is_marked() {
        let said = [Turned {
            role: Role::Assistant,
            text: "half".to_owned(),
            state: State::Stopped,
        }];
        assert!(
            asked(&[], &said, "x")[1]
                .content
                .ends_with("[cut off here]")
        );
    }
}
