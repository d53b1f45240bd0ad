//! Asking again for the hunks that did not fit, and for nothing else (MODEL.md 3.5).

use super::build::{Due, FailedFile};
use super::due::{fitting, is_of};
use super::edits::{self, Edit};

/// The edits of a file that fitted while others of it did not: they are built with the next ones.
#[derive(Debug, Clone)]
pub(super) struct Half {
    path: String,
    edits: Vec<Edit>,
}

/// The edits that fitted in files that failed, out of all that were tried.
pub(super) fn halves(failed: &[FailedFile], tried: &[Edit]) -> Vec<Half> {
    failed
        .iter()
        .map(|file| {
            let of_file = tried.iter().filter(|edit| is_of(&file.path, &edit.path));
            let of_file: Vec<Edit> = of_file.cloned().collect();
            Half {
                path: file.path.clone(),
                edits: fitting(&of_file, &file.failures),
            }
        })
        .collect()
}

/// The edits of a reply that gives some again, with those before it that had fitted.
pub(super) fn joined(message_id: &str, halves: &[Half], edits: &[Edit]) -> Due {
    let is_given = |half: &&Half| edits.iter().any(|edit| is_of(&half.path, &edit.path));
    let earlier = halves.iter().filter(is_given);
    let earlier = earlier.flat_map(|half| half.edits.iter());
    Due {
        message_id: message_id.to_owned(),
        edits: earlier.chain(edits).cloned().collect(),
    }
}

/// What is asked: each hunk that did not fit, with the closest lines as they are.
pub(super) fn question(failed: &[FailedFile]) -> String {
    let mut text = "Some of your edits did not fit the files as they are now. All others are \
         done: do not repeat them. Give only these again, each as a new edit whose search text is \
         exactly what the file holds:\n"
        .to_owned();
    for failure in failed.iter().flat_map(|file| &file.failures) {
        text.push('\n');
        text.push_str(&edits::describe(failure));
        if !failure.searched_lines.is_empty() {
            text.push_str("\nyou searched for:\n```\n");
            text.push_str(&failure.searched_lines.join("\n"));
            text.push_str("\n```\n");
        }
        if let Some(closest) = &failure.closest {
            let lines = format!("lines {} to {}", closest.start, closest.end);
            text.push_str(
                &format_args!("\nthe closest that the file has, {lines}:\n```\n").to_string(),
            );
            for line in closest.diff.lines().filter(|line| !line.starts_with('-')) {
                text.push_str(line.get(1..).unwrap_or_default());
                text.push('\n');
            }
            text.push_str("```\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::due;
    use super::*;
    use crate::store::messages::State;

    const REPLY: &str = "src/a.rs\n<<<<<<< SEARCH\nlet one = 1;\n=======\n1\n>>>>>>> REPLACE\n\n\
         src/a.rs\n<<<<<<< SEARCH\nlet twoo = 2;\n=======\n2\n>>>>>>> REPLACE\n";

    fn failed() -> (Vec<Edit>, FailedFile) {
        let edits = due::read(REPLY, State::Complete).edits;
        let base = b"let one = 1;\nlet two = 2;\nlet three = 3;\n";
        let failures = edits::build_file("src/a.rs", Some(base), &edits).unwrap_err();
        let path = "src/a.rs".to_owned();
        (edits, FailedFile { path, failures })
    }

    #[test]
    fn only_what_failed_is_asked_for_with_the_lines_as_they_are() {
        let (_, failed) = failed();
        assert_eq!(failed.failures.len(), 1);
        let text = question(&[failed]);
        assert!(text.contains("edit 2/2"), "{text}");
        assert!(!text.contains("edit 1/2"), "{text}");
        assert!(
            text.contains("you searched for:\n```\nlet twoo = 2;\n```"),
            "{text}"
        );
        assert!(text.contains("\nlet two = 2;\n"), "{text}");
    }

    #[test]
    fn what_fitted_is_built_with_what_comes_again() {
        let (edits, failed) = failed();
        let halves = halves(&[failed], &edits);
        let again = due::read(
            "src/a.rs\n<<<<<<< SEARCH\nlet two = 2;\n=======\n2\n>>>>>>> REPLACE\n",
            State::Complete,
        );
        let due = joined("m", &halves, &again.edits);
        assert_eq!(due.edits, [edits[0].clone(), again.edits[0].clone()]);
        let built = edits::build_file(
            "src/a.rs",
            Some(b"let one = 1;\nlet two = 2;\n"),
            &due.edits,
        )
        .unwrap();
        assert_eq!(built.content.unwrap(), b"1\n2\n");
        // A reply about other files brings nothing of this one.
        assert!(joined("m", &halves, &[]).edits.is_empty());
    }
}
