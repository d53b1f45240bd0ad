//! What goes where, escaped and coloured how.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Uses every door once.
fn print_everything(ui: &Ui, text: &str) {
    ui.line(text);
    ui.raw(text.as_bytes());
    ui.diff(text.as_bytes());
    let mut table = Table::new(Frame::Open, [text]);
    table.row([text]);
    ui.table(&table);
    ui.note(text);
    ui.warning(text);
    ui.error(text);
    ui.hint(text);
    let progress = ui.progress();
    let bar = progress.bar(1, text);
    progress.say(text, text);
    progress.permanent(text);
    bar.advance();
}

#[test]
fn results_go_to_stdout_and_the_rest_to_stderr() {
    let played = Scene::pipes().play();
    played.ui.line("result");
    played.ui.note("by the way");
    played.ui.warning("careful");
    played.ui.error("broken");
    played.ui.hint("try `plandex doctor`");
    assert_eq!(played.stdout.text(), "result\n");
    let said = "by the way\nwarning: careful\nerror: broken\nhint: try `plandex doctor`\n";
    assert_eq!(played.stderr.text(), said);
}

#[test]
fn quiet_keeps_results_warnings_and_errors() {
    let scene = Scene {
        quiet: true,
        ..Scene::pipes()
    };
    let played = scene.play();
    print_everything(&played.ui, "x");
    assert_eq!(played.stderr.text(), "warning: x\nerror: x\n");
    assert_eq!(played.stdout.text(), "x\nxxx\nx\n");
}

#[test]
fn with_json_stdout_carries_json_and_nothing_else() {
    for quiet in [false, true] {
        let scene = Scene {
            json: true,
            quiet,
            colour: ColourChoice::Always,
            ..Scene::terminal()
        };
        let played = scene.play();
        print_everything(&played.ui, "human");
        played
            .ui
            .json(&json!({ "name": "a\u{9b}b\x1b\u{202e}\u{1f600}\u{e0041}" }));
        let document = "{\"name\":\"a\\u009bb\\u001b\\u202e😀\\udb40\\udc41\"}\n";
        assert_eq!(played.stdout.text(), document);
        played.ui.json_error(&json!({ "type": "lock_timeout" }));
        let errors = played.stderr.text();
        assert!(
            errors.ends_with("{\"type\":\"lock_timeout\"}\n"),
            "{errors}"
        );
        assert_eq!(errors.lines().any(|line| line == "human"), !quiet);
    }
}

#[test]
fn what_is_no_json_is_said_as_json() {
    let played = Scene::pipes().play();
    let nameless = std::collections::BTreeMap::from([((1, 2), 3)]);
    played.ui.json(&nameless);
    let read: serde_json::Value = serde_json::from_str(&played.stdout.text()).unwrap();
    assert!(read["error"].as_str().unwrap().contains("string"), "{read}");
}

#[test]
fn a_body_stays_as_it_is_on_a_pipe_and_ends_its_line_on_a_terminal() {
    for (scene, body, shown) in [
        (Scene::pipes(), &b"a\r\nb\xff"[..], "a\r\nb\\xff"),
        (Scene::pipes(), b"", ""),
        (Scene::terminal(), b"a\x1b[2J", "a\\x1b[2J\n"),
        (Scene::terminal(), b"a\n", "a\n"),
        (Scene::terminal(), b"", ""),
    ] {
        let played = scene.play();
        played.ui.raw(body);
        assert_eq!(played.stdout.text(), shown);
    }
}

#[test]
fn a_diff_is_itself_without_colour_and_shows_changed_line_ends_with_it() {
    let unified = "--- a\n+++ b\n@@ -1 +1 @@\n-x\n+x\r\n";
    let played = Scene::pipes().play();
    played.ui.diff(unified.as_bytes());
    assert_eq!(played.stdout.text(), unified);
    let scene = Scene {
        colour: ColourChoice::Always,
        ..Scene::pipes()
    };
    let played = scene.play();
    played.ui.diff(unified.as_bytes());
    let shown = played.stdout.text();
    assert!(
        shown.ends_with("\x1b[31m-x\x1b[0m\n\x1b[32m+x\\r\x1b[0m\n"),
        "{shown:?}"
    );
    played.ui.diff(b"");
    assert_eq!(played.stdout.text(), shown);
}

#[test]
fn a_table_fits_the_terminal_and_is_whole_on_a_pipe() {
    let mut table = Table::new(Frame::Open, ["A", "B"]);
    table.row(["x".repeat(60), "y".repeat(60)]);
    let (terminal, pipes) = (Scene::terminal().play(), Scene::pipes().play());
    terminal.ui.table(&table);
    pipes.ui.table(&table);
    assert!(terminal.stdout.text().lines().all(|line| line.len() <= 40));
    assert_eq!(terminal.stdout.text().matches('y').count(), 60);
    assert!(pipes.stdout.text().contains(&"x".repeat(60)));
    assert_eq!((terminal.ui.width(), pipes.ui.width()), (Some(40), None));
}

#[test]
fn colour_follows_the_flag_then_the_environment_then_the_terminal() {
    use ColourChoice::{Always, Auto, Never};
    for (choice, no_color, force, terminal, expected) in [
        (Auto, false, false, true, Colour::On),
        (Auto, false, false, false, Colour::Off),
        (Auto, true, false, true, Colour::Off),
        (Auto, true, true, true, Colour::Off),
        (Auto, false, true, false, Colour::On),
        (Always, true, false, false, Colour::On),
        (Never, false, true, true, Colour::Off),
    ] {
        let environment = Environment {
            no_color,
            clicolor_force: force,
            ..Environment::default()
        };
        let settings = UiSettings {
            colour: choice,
            ..UiSettings::new(&environment)
        };
        assert_eq!(
            colour(&settings, terminal),
            expected,
            "{choice:?} {environment:?}"
        );
    }
}

#[test]
fn a_dumb_terminal_gets_no_sequences() {
    for term in [None, Some("dumb".to_owned())] {
        let mut scene = Scene::terminal();
        scene.colour = ColourChoice::Auto;
        scene.environment.term = term;
        let played = scene.play();
        print_everything(&played.ui, "x");
        assert!(!played.stdout.text().contains('\x1b'));
        assert!(
            !played.stderr.text().contains('\x1b'),
            "{}",
            played.stderr.text()
        );
    }
}

#[test]
fn signs_follow_the_locale() {
    let mut scene = Scene::pipes();
    assert_eq!(scene.play().ui.signs().ok, "✓");
    scene.environment.lang = Some("C".to_owned());
    assert_eq!(scene.play().ui.signs().ok, "+");
}

#[test]
fn a_closed_stdout_is_remembered_and_harms_nobody() {
    let (reader, writer) = pipe().unwrap();
    let stderr = Page::default();
    let (ui, _typist) = Scene::pipes().ui(Box::new(writer), Box::new(stderr.clone()));
    ui.line("read");
    assert!(!ui.stdout_closed());
    drop(reader);
    print_everything(&ui, "not read");
    assert!(ui.stdout_closed() && ui.stdout_failure().is_none());
    assert!(stderr.text().contains("error: not read\n"));
}

#[test]
fn a_full_disk_under_stdout_is_a_failure() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (ui, _typist) = Scene::pipes().ui(Box::new(full), Box::new(Page::default()));
    ui.line("lost");
    assert!(!ui.stdout_closed());
    assert!(ui.stdout_failure().unwrap().contains("space"));
}

proptest! {
    #[test]
    fn no_door_lets_a_sequence_through(text in "(\\PC|[\x00-\x1f\u{7f}-\u{9f}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{200b}-\u{200f}]){0,30}") {
        let played = Scene::pipes().play();
        print_everything(&played.ui, &text);
        for shown in [played.stdout.text(), played.stderr.text()] {
            let bare = shown.replace("\r\n", "").replace(['\n', '\t'], "");
            prop_assert!(bare.chars().all(escape::is_plain), "{:?}", bare);
        }
        // On a terminal with colour only our own sequences are there: the screen knows no other.
        let terminal = Scene { colour: ColourChoice::Always, ..Scene::terminal() };
        let played = terminal.play();
        print_everything(&played.ui, &text);
        screen_of(&played.stdout.text());
        screen_of(&played.stderr.text());
    }
}
