use super::*;

fn answers(words: &[&str]) -> (Answer, Vec<String>) {
    let typed = Typed::words(words.iter().map(|word| (*word).to_owned()).collect());
    let (answer, found) = look(&typed).unwrap();
    (answer, found.into_iter().map(|(value, _)| value).collect())
}

#[test]
fn every_argument_that_has_a_kind_is_there() {
    let whole = overview::command();
    for (name, id, _) in KINDS {
        let command = match name {
            "" => &whole,
            name => whole.find_subcommand(name).unwrap(),
        };
        assert!(
            command.get_arguments().any(|arg| arg.get_id() == id),
            "{name:?} has no argument {id:?}"
        );
    }
}

#[test]
fn commands_flags_and_values_complete() {
    let words = |words: &[&str]| answers(words).1;
    assert_eq!(words(&["plandex", "che"]), ["checkout"]);
    assert_eq!(words(&["plandex", "help", "conc"]), ["concurrency"]);
    assert_eq!(
        words(&["plandex", "apply", "--on-conflict", "ov"]),
        ["overwrite"]
    );
    assert_eq!(words(&["plandex", "apply", "--dry"]), ["--dry-run"]);
    assert_eq!(
        words(&["plandex", "set-config", "lock.h"]),
        ["lock.heartbeat"]
    );
    assert_eq!(
        words(&["plandex", "set-config", "auto-apply", "t"]),
        ["true"]
    );
    assert_eq!(words(&["plandex", "completions", "f"]), ["fish"]);
    // Not one that people have no use for, and no flags where none was begun.
    assert!(
        words(&["plandex", ""])
            .iter()
            .all(|word| !word.starts_with('-') && word != "complete")
    );
}

#[test]
fn files_and_programs_are_left_to_the_shell() {
    let nothing: &[String] = &[];
    for (words, expected) in [
        (["plandex", "load", "sr"].as_slice(), Answer::Files),
        (&["plandex", "tell", "-f", "pr"], Answer::Files),
        (&["plandex", "backup", ""], Answer::Files),
        (&["plandex", "exec", "--", "ma"], Answer::Commands),
        (&["plandex", "exec", "--", "make", "de"], Answer::Commands),
    ] {
        assert_eq!(answers(words), (expected, nothing.to_vec()), "{words:?}");
    }
    assert_eq!(
        answers(&["plandex", "load", "--tr"]),
        (Answer::Words, vec!["--tree".to_owned()])
    );
}
