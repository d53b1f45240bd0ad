//! Commands on a terminal of a given width, through `script`.

use crate::support::{Sandbox, needs};
use rustix::process::Signal;

use super::{SOON, holder, project};

/// What `plandex COMMAND` prints on a terminal of `width` columns; `None` without `script`.
pub(super) fn screen(sandbox: &Sandbox, width: usize, command: &str) -> Option<String> {
    let binary = env!("CARGO_BIN_EXE_plandex");
    let inside = format!("stty cols {width} rows 50; exec '{binary}' {command}");
    let outcome = sandbox
        .program("script", ["-qec", &inside, "/dev/null"])
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .finish()
        .ok();
    Some(outcome.stdout.replace('\r', ""))
}

/// On a terminal the picture is redrawn in place, at most once a second, and Ctrl-C leaves nothing
/// behind.
#[test]
fn a_watch_on_a_terminal_is_redrawn_once_a_second() {
    needs!("script");
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let binary = env!("CARGO_BIN_EXE_plandex");
    let inside = format!("stty cols 80 rows 24; exec '{binary}' locks --watch");
    let mut watcher = sandbox
        .program("script", ["-qec", &inside, "/dev/null"])
        .env("TERM", "xterm")
        .held_stdin()
        .start();
    let clear = "\x1b[H\x1b[2J";
    let begun = std::time::Instant::now();
    sandbox.until("it was drawn three times", || {
        (watcher.stdout().matches(clear).count() >= 3).then_some(())
    });
    // The first one at once, each further one a second later.
    let took = begun.elapsed();
    assert!(took.as_millis() >= 1_500, "{took:?}");
    // More than fits: what scrolled away could not be redrawn.
    let plan = sandbox.tickets()[0].plan_id.clone();
    for _ in 0..40 {
        super::raw(&sandbox)
            .execute(
                "INSERT INTO repo_locks (plan_id, scope, state) VALUES (?1, 'w', 'waiting')",
                [&plan],
            )
            .unwrap();
    }
    watcher.until_says("and 34 more");
    let text = watcher.stdout();
    let frames: Vec<&str> = text.split(clear).collect();
    let frame = frames.iter().find(|frame| frame.contains("more")).unwrap();
    assert!(frame.lines().count() <= 24, "{frame}");
    assert!(frame.contains("held for"), "{frame}");
    // Ctrl-C, as typed.
    watcher.say("\x03");
    let end = watcher.wait(SOON).exits(130);
    assert!(
        !end.stdout.contains("\x1b[?25l"),
        "the cursor is hidden: {end}"
    );
    watcher.signal(Signal::KILL);
    held.finish().ok();
}
