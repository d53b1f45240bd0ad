//! The picture of two terminals in the README, made of the real program in two real terminals:
//! `scripts/record` writes it, and each run of the tests makes it once more.

mod film;
mod svg;

use std::path::{Path, PathBuf};

use crate::support::{OnTerminal, Sandbox};

use film::{COLUMNS, Film};

/// Set by `scripts/record`: where the picture goes.
const TO: &str = "PLANDEX_RECORD_TO";

/// A picture may have so many bytes: it is on the first page that anybody sees.
const SIZE_MAX: usize = 150_000;

/// The command model: says a sentence, and the edit once it is told to.
const MODEL: &str = r#"cat > /dev/null
echo 'A greeting should know the time of day.'
echo
tries=0
until test -e ../tmp/go || test $tries -ge 600; do
    sleep 0.1
    tries=$((tries + 1))
done
echo src/lib.rs
echo '```rust'
echo '<<<<<<< SEARCH'
echo '    "hello"'
echo '======='
echo '    "good morning"'
echo '>>>>>>> REPLACE'
echo '```'
"#;

/// What must be seen in it.
const SEEN: [&str; 8] = [
    "plandex tell",
    "plandex apply --yes",
    "Waiting for another operation to complete...",
    "Press Ctrl+C to cancel and try later.",
    "Position in queue: 2 of 2",
    "Waited 3s",
    "1 file pending",
    "1 file written",
];

fn shell(sandbox: &Sandbox) -> OnTerminal<'_> {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_plandex"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs =
        std::iter::once(own.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    sandbox
        .program("sh", ["-i"])
        .env("PATH", std::env::join_paths(dirs).unwrap())
        .env("PS1", "$ ")
        .env("PLANDEX_COMMAND", "sh ../tmp/model.sh")
        .on_terminal(COLUMNS)
}

/// How many seconds the line of a wait says have passed.
fn waited(terminal: &OnTerminal<'_>) -> u64 {
    let text = terminal.screen().text();
    let after = text.split("Waited ").nth(1).unwrap_or_default();
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// Whether the last row is a prompt again, below `words`.
fn is_back(terminal: &OnTerminal<'_>, words: &str) -> bool {
    let seen = terminal.screen();
    seen.text().contains(words) && seen.rows.last().is_some_and(|row| row == "$")
}

fn record(sandbox: &Sandbox) -> String {
    sandbox.ok(&["new", "-n", "greeting"]);
    sandbox.ok(&["set-config", "skip-changes-menu", "true"]);
    sandbox.write_beside("model.sh", MODEL);
    let (mut one, mut two) = (shell(sandbox), shell(sandbox));
    one.until_shows("$");
    two.until_shows("$");
    let mut film = Film::default();
    film.hold(800, &one, &two);
    for (number, command) in [
        (0, "plandex tell 'Greet people by the time of day'"),
        (1, "plandex apply --yes"),
    ] {
        let typed: Vec<char> = command.chars().collect();
        for keys in typed.chunks(3) {
            let keys: String = keys.iter().collect();
            let terminal = if number == 0 { &mut one } else { &mut two };
            let before = terminal.screen().text().len();
            terminal.type_in(&keys);
            // A blank at the end of a row cannot be seen.
            if !keys.ends_with(' ') {
                sandbox.until("what is typed is shown", || {
                    let terminal = if number == 0 { &one } else { &two };
                    (terminal.screen().text().len() > before).then_some(())
                });
            }
            film.hold(140, &one, &two);
        }
        film.hold(400, &one, &two);
        if number == 0 {
            one.type_in("\r");
            one.until_shows("time of day.\n");
            film.hold(1200, &one, &two);
        } else {
            two.type_in("\r");
        }
    }
    for seconds in 1..=3 {
        sandbox.until("it has waited", || (waited(&two) >= seconds).then_some(()));
        film.hold(1000, &one, &two);
    }
    film.still_is_here();
    sandbox.write_beside("go", "");
    sandbox.until("the tell is done", || {
        is_back(&one, "1 file pending").then_some(())
    });
    sandbox.until("the apply is done", || {
        is_back(&two, "1 file written").then_some(())
    });
    film.hold(5000, &one, &two);
    svg::draw(&film)
}

#[track_caller]
fn check(picture: &str) {
    assert!(picture.len() < SIZE_MAX, "{} bytes", picture.len());
    let document = roxmltree::Document::parse(picture).unwrap();
    let text: Vec<String> = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .map(|row| {
            let pieces = row.descendants().filter(roxmltree::Node::is_text);
            pieces.filter_map(|node| node.text()).collect()
        })
        .collect();
    let text = text.join("\n");
    for words in SEEN {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
    assert!(!text.contains("/tmp"), "{text}");
    let moving = document.descendants();
    let moving: Vec<_> = moving.filter(|node| node.has_tag_name("animate")).collect();
    assert!(moving.len() > 20, "it hardly moves");
    for node in moving {
        let times = node.attribute("keyTimes").unwrap().split(';');
        let times: Vec<f64> = times.map(|time| time.parse().unwrap()).collect();
        let values = node.attribute("values").unwrap().split(';').count();
        assert_eq!(times.len(), values);
        assert!(times[0] == 0.0 && times.is_sorted(), "{times:?}");
        assert!(times.iter().all(|time| *time < 1.0), "{times:?}");
    }
    // Without a script, or anything from elsewhere.
    for node in document.descendants() {
        assert!(!node.has_tag_name("script") && !node.has_tag_name("image"));
        assert!(node.attribute("href").is_none());
    }
}

#[test]
fn two_terminals() {
    let sandbox = Sandbox::without_git();
    sandbox.write(
        "src/lib.rs",
        "pub fn greeting() -> &'static str {\n    \"hello\"\n}\n",
    );
    let picture = record(&sandbox);
    check(&picture);
    assert!(sandbox.read("src/lib.rs").contains("good morning"));
    if let Some(to) = std::env::var_os(TO) {
        std::fs::write(to, &picture).unwrap();
    }
}

#[test]
fn the_recording_that_is_shown_is_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/two-terminals.svg");
    check(&std::fs::read_to_string(path).unwrap());
}
