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
