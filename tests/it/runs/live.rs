//! What a person sees of a run while it goes on, on a pseudo-terminal and in a log.

use std::time::Duration;

use rustix::process::Signal;

use super::{SOON, asking, chunk, file, finished, project, replying, stream};
use crate::support::{Answer, ModelServer, OnTerminal, Sandbox};

const WIDTHS: [u16; 3] = [40, 80, 200];

/// A tell on a terminal whose reply is what is written to the pipe.
struct Teller<'s> {
    terminal: OnTerminal<'s>,
    pipe: std::fs::File,
}

/// The reply comes through a named pipe: the terminal is the program's standard input.
fn teller<'s>(sandbox: &'s Sandbox, columns: u16, args: &[&str]) -> Teller<'s> {
    let path = sandbox.place().join(format!("pipe-{columns}"));
    sandbox.program("mkfifo", [&path]).finish().ok();
    // Open at both ends before the program looks at it, so that nobody waits for anybody.
    let pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let reply = ["--reply", path.to_str().unwrap()];
    let terminal = sandbox
        .plandex([&["tell", "x"], args, &reply].concat())
        .on_terminal(columns);
    Teller { terminal, pipe }
}

impl Teller<'_> {
    fn say(&mut self, text: &str) {
        use std::io::Write as _;
        self.pipe.write_all(text.as_bytes()).unwrap();
    }
}

/// The digits of what is counted by time.
fn timeless(text: &str) -> String {
    let mut shown = String::new();
    for (at, piece) in text.split('(').enumerate() {
        if at > 0 {
            shown.push('(');
        }
        match piece.split_once("s)") {
            Some((digits, rest)) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                shown.push_str("Ns)");
                shown.push_str(rest);
            }
            _ => shown.push_str(piece),
        }
    }
    shown
}

#[test]
fn prose_stands_and_edits_fold_into_a_live_line() {
    for columns in WIDTHS {
        let sandbox = project();
        let mut teller = teller(&sandbox, columns, &[]);
        teller.say("I write a file.\n\n```text path=src/deep/a.txt\n");
        teller.say(&"line\n".repeat(45));
        teller.terminal.until_shows("40 lines");
        let seen = teller.terminal.screen();
        let tree = "Replying... (Ns)\n\
             ├─ Tokens so far: ~N\n\
             ├─ Files: 1\n\
             └─ Current: building src/deep/a.txt  40 lines";
        let tree = match columns {
            40 => tree.replace("  40 lines", "\n  40 lines"),
            _ => tree.to_owned(),
        };
        let shown = timeless(&seen.text());
        // How a text is cut on its way changes the estimate a little.
        let (before, tokens) = shown.split_once("so far: ~").unwrap();
        let (tokens, after) = tokens.split_once('\n').unwrap();
        assert!((80..140).contains(&tokens.parse().unwrap()), "{shown}");
        let shown = format!("{before}so far: ~N\n{after}");
        assert!(
            shown.starts_with("I write a file.\n\n") && shown.contains(&tree),
            "{columns}: {shown}"
        );
        assert!(!shown.contains("line\nline"), "{shown}");
        assert!(seen.cursor_is_visible);
        teller.say("```\n\nDone.\n");
        teller.terminal.until_shows("Done.");
        drop(teller.pipe);
        teller.terminal.wait(SOON).ok();
        let end = teller.terminal.screen();
        let shown = end.text();
        assert!(
            shown.contains("✓ src/deep/a.txt +45 −0\n1 file pending"),
            "{shown}"
        );
        assert!(!shown.contains("Replying"), "{shown}");
        assert!(end.cursor_is_visible);
    }
}

#[test]
fn a_signal_leaves_a_clean_screen_and_the_next_command() {
    let sandbox = project();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut teller = teller(&sandbox, 80 + u16::try_from(code).unwrap(), &[]);
        teller.say("Some words.\n```text path=a.txt\nhalf\n");
        teller.terminal.until_shows("Current: building a.txt");
        teller.terminal.program().signal(signal);
        teller.terminal.wait(SOON).exits(code);
        let end = teller.terminal.screen();
        let shown = end.text();
        assert!(end.cursor_is_visible);
        assert!(shown.starts_with("Some words.\n"), "{shown}");
        assert!(!shown.contains("Replying"), "{shown}");
        assert!(shown.contains("go on with `plandex continue`"), "{shown}");
    }
}

#[test]
fn verbose_shows_the_text_as_it_came() {
    let sandbox = project();
    let text = format!("Words.\n\n{}\nDone.", file("a.txt", "a"));
    let reply = sandbox.write_beside("reply.md", &text);
    let outcome = sandbox.ok(&["tell", "x", "-v", "--reply", reply.to_str().unwrap()]);
    assert_eq!(outcome.stdout, text);
    assert!(outcome.stderr.contains("✓ a.txt"), "{outcome}");
}

/// Whoever reads a log hears that it goes on: once when nothing has come for long, and every
/// fifteen seconds.
#[test]
fn a_log_hears_that_a_run_goes_on() {
    let sandbox = project();
    let mut run = replying(
        &sandbox,
        &["tell", "x"],
        "Some words.\n```text path=a.txt\nhalf\n",
    );
    run.until_says("stalled 5s");
    run.until_says("still stalled 2");
    let said = run.stderr();
    assert!(!said.contains('\r') && !said.contains('\x1b'), "{said:?}");
    assert!(said.contains(", 1 file\n"), "{said}");
    assert_eq!(said.matches("stalled 5s").count(), 1, "{said}");
    run.close_stdin();
    run.wait(Duration::from_secs(20));
}

/// What cannot be rewritten is not drawn.
#[test]
fn dumb_terminals_and_ci_get_lines() {
    for (name, value) in [("TERM", "dumb"), ("CI", "true")] {
        let sandbox = project();
        let reply = sandbox.write_beside("reply.md", &file("a.txt", "a"));
        let mut terminal = sandbox
            .plandex(["tell", "x", "--reply", reply.to_str().unwrap()])
            .env(name, value)
            .on_terminal(80);
        terminal.wait(SOON).ok();
        let raw = terminal.raw();
        assert!(raw.contains("building a.txt\r\n"), "{raw:?}");
        assert!(!raw.contains("\x1b[2K"), "{raw:?}");
    }
}

/// SEED.md 8.2.1 with true words, from the request to the end.
#[test]
fn each_stage_of_a_request_stands_on_the_screen() {
    for columns in WIDTHS {
        let sandbox = project();
        let thought = chunk(&serde_json::json!({"reasoning": "First this.\nThen that.\n"}));
        let words = chunk(&serde_json::json!({"content": "Some words.\n"}));
        let start = thought.len() + words.len();
        let body = thought.clone() + &words + &finished("stop");
        let (busy, first) = Answer::stream(body.clone()).hold(0);
        let (after_thought, second) = Answer::stream(body.clone()).hold(thought.len());
        let (after_words, third) = Answer::stream(body).hold(start);
        for (answer, hold, tree) in [
            (busy, first, "Waiting for first token... (Ns)"),
            (
                after_thought,
                second,
                "Thinking... (Ns)\n├─ Tokens so far: ~6\n└─ Current: Then that.",
            ),
            (
                after_words,
                third,
                "Some words.\nReplying... (Ns)\n└─ Tokens so far: ~9",
            ),
        ] {
            let server = ModelServer::start([answer]);
            let mut terminal = asking(&sandbox, &server, &["tell", "x"]).on_terminal(columns);
            hold.reached();
            let last = tree.lines().next_back().unwrap();
            let words = last.split(" (N").next().unwrap();
            terminal.until_shows(words);
            let seen = terminal.screen();
            let shown = timeless(&seen.text());
            assert!(shown.ends_with(tree), "{columns}: {shown}");
            assert!(seen.cursor_is_visible);
            hold.release();
            terminal.wait(SOON).ok();
            let end = terminal.screen().text();
            assert!(end.ends_with("Some words.\nNo changes"), "{end}");
            assert!(!end.contains("First this."), "{end}");
        }
    }
}

#[test]
fn a_pause_counts_down_on_the_screen() {
    let sandbox = project();
    let busy = Answer::error(429, "slow down").header("retry-after", "3");
    let server = ModelServer::start([busy, Answer::stream(stream("Yes.\n", "stop"))]);
    let mut terminal = asking(&sandbox, &server, &["tell", "x"]).on_terminal(80);
    terminal.wait(SOON).ok();
    let raw = terminal.raw();
    for left in 1..=3 {
        let words = format!("Rate limited: retry 2/3 in {left}s");
        assert!(raw.contains(&words), "{raw:?}");
    }
    let end = terminal.screen().text();
    assert!(!end.contains("Rate limited"), "{end}");
    assert!(end.contains("slow down"), "{end}");
}

/// A reply that stops coming is said to, with the limit that it has.
#[test]
fn a_silence_in_a_reply_is_told_with_its_limit() {
    let sandbox = project();
    std::fs::write(
        sandbox.state_dir().join("config.toml"),
        "idle-wait = \"40s\"\n",
    )
    .unwrap();
    let words = chunk(&serde_json::json!({"content": "Some words.\n"}));
    let body = words.clone() + &finished("stop");
    let (answer, hold) = Answer::stream(body.clone()).hold(words.len());
    let server = ModelServer::start([answer]);
    let run = asking(&sandbox, &server, &["tell", "x"]).start();
    hold.reached();
    run.until_says("stalled 5s (limit 40s)\n");
    hold.release();
    run.finish().ok();
    let (answer, hold) = Answer::stream(body).hold(words.len());
    let server = ModelServer::start([answer]);
    let mut terminal = asking(&sandbox, &server, &["tell", "x"]).on_terminal(80);
    hold.reached();
    terminal.until_shows("Stalled 5s (limit 40s)");
    hold.release();
    terminal.wait(SOON).ok();
}
