//! Questions, their answers, and the ways not to answer.

use super::*;
use crate::platform::cancel::Reason;

const MENU: [Choice<'_>; 3] = [
    Choice {
        letter: 'o',
        title: "Overwrite with planned changes",
    },
    Choice {
        letter: 's',
        title: "Skip this file",
    },
    Choice {
        letter: 'a',
        title: "Abort apply operation",
    },
];

#[test]
fn answers_are_understood() {
    for (typed, preset, answer) in [
        ("y\n", Preset::No, Confirmed::Yes),
        ("YES \n", Preset::No, Confirmed::Yes),
        ("n\n", Preset::Yes, Confirmed::No),
        ("\n", Preset::Yes, Confirmed::Yes),
        ("\r\n", Preset::No, Confirmed::No),
        ("what?\ny\n", Preset::No, Confirmed::Yes),
        ("a\nb\nc\ny\n", Preset::Yes, Confirmed::No),
    ] {
        let mut played = Scene::terminal().play();
        played.type_in(typed);
        assert_eq!(played.ui.confirm("Apply?", preset), answer, "{typed:?}");
    }
}

#[test]
fn the_question_shows_its_preset_on_stderr() {
    for (preset, shown) in [
        (Preset::Yes, "Go\\x1b? [Y/n] "),
        (Preset::No, "Go\\x1b? [y/N] "),
    ] {
        let mut played = Scene::terminal().play();
        played.type_in("y\n");
        played.ui.confirm("Go\x1b?", preset);
        assert_eq!(played.stderr.text(), shown);
        assert_eq!(played.stdout.text(), "");
    }
}

#[test]
fn nobody_is_asked_off_a_terminal_or_with_json() {
    let json = Scene {
        json: true,
        ..Scene::terminal()
    };
    let blind = Scene {
        columns: None,
        ..Scene::terminal()
    };
    let deaf = Scene {
        stdin_is_terminal: false,
        ..Scene::terminal()
    };
    for scene in [json, blind, deaf] {
        let mut played = scene.play();
        played.type_in("y\n1\n");
        assert_eq!(
            played.ui.confirm("Apply?", Preset::Yes),
            Confirmed::NotATerminal
        );
        assert_eq!(played.ui.choose("Which?", &MENU), Chosen::NotATerminal);
        assert_eq!(played.stderr.text(), "");
    }
}

#[test]
fn the_end_of_input_decides_nothing() {
    for typed in ["", "y"] {
        let mut played = Scene::terminal().play();
        played.type_in(typed);
        let Played { ui, typist, .. } = played;
        drop(typist);
        assert_eq!(ui.confirm("Apply?", Preset::Yes), Confirmed::No);
        assert_eq!(ui.choose("Which?", &MENU), Chosen::Nothing);
    }
}

#[test]
fn cancelling_ends_a_question() {
    let cancel = Cancel::new().unwrap();
    let scene = Scene {
        cancel: Some(cancel.clone()),
        ..Scene::terminal()
    };
    let played = scene.play();
    std::thread::scope(|scope| {
        let interrupter = scope.spawn(|| cancel.set(Reason::Interrupted));
        assert_eq!(
            played.ui.confirm("Apply?", Preset::Yes),
            Confirmed::Cancelled
        );
        interrupter.join().unwrap();
    });
    assert_eq!(played.ui.choose("Which?", &MENU), Chosen::Cancelled);
    // What follows starts on a line of its own.
    assert!(played.stderr.text().ends_with("]: \n"));
}

#[test]
fn a_menu_is_shown_as_the_seed_has_it() {
    let mut played = Scene::terminal().play();
    played.type_in("2\n");
    let question = "Warning: src/auth.go was modified since last read.";
    assert_eq!(played.ui.choose(question, &MENU), Chosen::This(1));
    let expected = "\
Warning: src/auth.go was modified since last read.
Options:
  1. Overwrite with planned changes
  2. Skip this file
  3. Abort apply operation
Choice [1/2/3 or o/s/a, a capital letter for all that remain]: ";
    assert_eq!(played.stderr.text(), expected);
}

#[test]
fn numbers_letters_and_capitals_choose() {
    for (typed, chosen) in [
        ("1\n", Chosen::This(0)),
        (" 3 \n", Chosen::This(2)),
        ("s\n", Chosen::This(1)),
        ("S\n", Chosen::AllThatRemain(1)),
        ("O\n", Chosen::AllThatRemain(0)),
        ("0\n4\nA\n", Chosen::AllThatRemain(2)),
        ("\nx\nyes\n1\n", Chosen::Nothing),
        ("-1\n99999999999999999999999\n1\n", Chosen::This(0)),
    ] {
        let mut played = Scene::terminal().play();
        played.type_in(typed);
        assert_eq!(played.ui.choose("Which?", &MENU), chosen, "{typed:?}");
    }
}

#[test]
fn an_endless_answer_is_dropped() {
    let mut played = Scene::terminal().play();
    played.type_in(&"y".repeat(30_000));
    played.type_in("\ny\n");
    assert_eq!(played.ui.confirm("Apply?", Preset::No), Confirmed::Yes);
}
