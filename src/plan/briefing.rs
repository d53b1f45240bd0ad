//! What a model is told: pure text from the plan's rows.

use serde::Serialize;

use crate::store::messages::{Role, State};

/// One message as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// "system", "user" or "assistant".
    pub role: &'static str,
    /// The text.
    pub content: String,
}

/// A file (or note) that the model is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What it is called.
    pub name: String,
    /// Its content.
    pub body: String,
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
two forms.

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

Search text must occur exactly once in the file. Never stand in for code with a remark such as \
\"rest unchanged\". Paths are relative to the project's root.";

/// The messages to send for `prompt`: the rules, what was shown, what was said, what is asked.
pub fn briefing(shown: &[Shown], said: &[Turned], prompt: &str) -> Vec<Line> {
    let mut system = RULES.to_owned();
    for entry in shown {
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
    }];
    for turned in said {
        let cut = match turned.state {
            State::Complete | State::Open => "",
            State::Stopped | State::Truncated | State::Error | State::Interrupted => {
                "\n[cut off here]"
            }
        };
        push(
            &mut lines,
            turned.role.word(),
            &format!("{}{cut}", turned.text),
        );
    }
    push(&mut lines, "user", prompt);
    lines
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

    fn turned(role: Role, text: &str) -> Turned {
        Turned {
            role,
            text: text.to_owned(),
            state: State::Complete,
        }
    }

    #[test]
    fn roles_alternate_and_nothing_empty_is_sent() {
        let said = [
            turned(Role::User, "one"),
            turned(Role::Assistant, ""),
            turned(Role::User, "two"),
            turned(Role::Assistant, "answer"),
        ];
        let lines = briefing(&[], &said, "three");
        let roles: Vec<_> = lines.iter().map(|line| line.role).collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert_eq!(lines[1].content, "one\n\ntwo");
    }

    #[test]
    fn a_shown_file_cannot_close_its_own_fence() {
        let body = "text\n```\nmore\n````\n".to_owned();
        let lines = briefing(
            &[Shown {
                name: "README.md".to_owned(),
                body,
            }],
            &[],
            "x",
        );
        assert!(lines[0].content.contains("README.md:\n`````\ntext"));
    }

    #[test]
    fn a_partial_reply_is_marked() {
        let said = [Turned {
            role: Role::Assistant,
            text: "half".to_owned(),
            state: State::Stopped,
        }];
        assert!(
            briefing(&[], &said, "x")[1]
                .content
                .ends_with("[cut off here]")
        );
    }
}
