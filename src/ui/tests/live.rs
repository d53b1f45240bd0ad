//! Live lines on a terminal, and the lines that stand for them elsewhere.

use super::*;

#[test]
fn the_live_line_stays_below_everything_else() {
    let played = Scene::terminal().play_on_one();
    let progress = played.ui.progress();
    progress.say("waiting for pid 7", "1s");
    assert_eq!(played.seen(), ["waiting for pid 7 1s"]);
    played.ui.note("a note");
    played.ui.line("a result");
    assert_eq!(
        played.seen(),
        ["a note", "a result", "waiting for pid 7 1s"]
    );
    progress.say("waiting for pid 8", "2s");
    progress.permanent("pid 7 is gone");
    let expected = [
        "a note",
        "a result",
        "pid 7 is gone",
        "waiting for pid 8 2s",
    ];
    assert_eq!(played.seen(), expected);
    progress.clear();
    assert_eq!(played.seen(), expected[..3]);
    progress.say("once more", "");
    assert_eq!(played.seen()[3], "once more");
    drop(progress);
    played.ui.error("done");
    assert_eq!(played.seen()[3..], ["error: done"]);
}

#[test]
fn a_question_has_the_bottom_of_the_terminal_to_itself() {
    let mut played = Scene::terminal().play();
    let progress = played.ui.progress();
    progress.say("reading", "");
    played.type_in("y\n");
    played.ui.confirm("Go?", Preset::No);
    assert_eq!(played.seen(), ["Go? [y/N]"]);
    // The terminal itself shows what is typed.
    played.stderr.clone().write_all(b"y\n").unwrap();
    progress.say("writing", "");
    assert_eq!(played.seen(), ["Go? [y/N] y", "writing"]);
}

#[test]
fn live_lines_are_cut_so_that_none_wraps() {
    let played = Scene::terminal().play();
    let progress = played.ui.progress();
    progress.say(
        &format!("{}\nposition 2 of 3", "x".repeat(90)),
        "gone on for\x1b[2J",
    );
    assert_eq!(
        played.seen(),
        [
            "x".repeat(39),
            "position 2 of 3 gone on for\\x1b[2J".to_owned()
        ]
    );
    progress.say("one line", "again");
    assert_eq!(played.seen(), ["one line again"]);
}

#[test]
fn standing_pieces_share_a_line_where_there_is_room() {
    let groups = |one: &str, two: &str| {
        [
            vec![one.to_owned(), two.to_owned()],
            vec!["Waited 1s".to_owned()],
        ]
    };
    let played = Scene::terminal().play();
    let progress = played.ui.progress();
    assert!(progress.stand(&groups("2 of 3", "30 seconds"), "   "));
    assert_eq!(played.seen(), ["2 of 3   30 seconds", "Waited 1s"]);
    // Once a second, whatever it says.
    assert!(!progress.stand(&groups("1 of 3", "20 seconds"), "   "));
    assert_eq!(played.seen(), ["2 of 3   30 seconds", "Waited 1s"]);
    progress.clear();
    // 39 of the 40 columns are taken, and one more would be too many.
    assert!(progress.stand(&groups(&"x".repeat(20), &"y".repeat(16)), "   "));
    assert_eq!(played.seen().len(), 2);
    progress.clear();
    assert!(progress.stand(&groups(&"x".repeat(20), &"y".repeat(17)), "   "));
    assert_eq!(played.seen().len(), 3);
}

#[test]
fn nothing_stands_where_nothing_can_be_rewritten() {
    let dumb = Scene {
        environment: Environment::default(),
        ..Scene::terminal()
    };
    for scene in [
        Scene::pipes(),
        dumb,
        Scene {
            quiet: true,
            ..Scene::terminal()
        },
    ] {
        let played = scene.play();
        assert!(!played.ui.is_live());
        let progress = played.ui.progress();
        assert!(!progress.stand(&[vec!["Waited 1s".to_owned()]], " "));
        assert!(played.seen().is_empty());
    }
}

#[test]
fn a_bar_fills_below_the_live_line_and_goes() {
    let played = Scene::terminal().play();
    let progress = played.ui.progress();
    let bar = progress.bar(3, "files");
    progress.say("applying", "");
    bar.advance();
    bar.advance();
    let seen = played.seen();
    assert_eq!(seen[0], "applying");
    assert!(
        seen[1].starts_with("files [====") && seen[1].ends_with("2/3"),
        "{seen:?}"
    );
    drop(bar);
    assert_eq!(played.seen(), ["applying"]);
    drop(progress);
    assert_eq!(played.seen(), [""; 0]);
}

#[test]
fn bars_count_from_many_threads() {
    let played = Scene::pipes().play();
    let bar = played.ui.progress().bar(400, "files");
    std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(|| (0..100).for_each(|_| bar.advance())));
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(played.stderr.text(), "files 400/400\n");
}

#[test]
fn elsewhere_a_line_is_printed_when_something_changes() {
    let mut dumb = Scene::terminal();
    dumb.environment.term = Some("dumb".to_owned());
    let mut ci = Scene::terminal();
    ci.environment.ci = true;
    let json = Scene {
        json: true,
        ..Scene::terminal()
    };
    for scene in [Scene::pipes(), dumb, ci, json] {
        let played = scene.play();
        let progress = played.ui.progress();
        progress.say("waiting for pid 7", "1s");
        progress.say("waiting for pid 7", "2s");
        progress.say("waiting for pid 8", "3s");
        progress.permanent("hello");
        let bar = progress.bar(2, "files");
        bar.advance();
        bar.advance();
        drop((bar, progress));
        let said = "waiting for pid 7 1s\nwaiting for pid 8 3s\nhello\nfiles 2/2\n";
        assert_eq!(played.stderr.text(), said);
        assert_eq!(played.stdout.text(), "");
    }
}

#[test]
fn quiet_shows_no_progress() {
    let scene = Scene {
        quiet: true,
        ..Scene::terminal()
    };
    let played = scene.play();
    let progress = played.ui.progress();
    progress.say("waiting", "1s");
    progress.permanent("hello");
    progress.bar(1, "files").advance();
    assert_eq!(played.stderr.text(), "");
}

#[test]
fn a_terminal_that_has_gone_away_stops_nobody() {
    let (reader, writer) = pipe().unwrap();
    let stdout = Page::default();
    let (ui, _typist) = Scene::terminal().ui(Box::new(stdout.clone()), Box::new(writer));
    let progress = ui.progress();
    progress.say("working", "");
    let bar = progress.bar(2, "files");
    drop(reader);
    bar.advance();
    progress.say("still working", "");
    ui.error("nobody reads this");
    ui.line("but this");
    drop((bar, progress));
    assert_eq!(stdout.text(), "but this\n");
    assert!(!ui.stdout_closed());
}

#[test]
fn a_terminal_of_no_width_is_survived() {
    for columns in [|| 0, || 1, || 2, || usize::MAX] {
        let scene = Scene {
            columns: Some(columns),
            ..Scene::terminal()
        };
        let played = scene.play();
        let progress = played.ui.progress();
        let bar = progress.bar(2, "日本");
        progress.say("日本語 and more", "");
        bar.advance();
        played.ui.note("note");
        drop((bar, progress));
        assert!(played.stderr.text().contains("note\n"));
    }
}
