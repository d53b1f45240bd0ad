//! On a pseudo-terminal: the widths, the pace, the screen at the end.

use std::time::Duration;

use rustix::process::Signal;

use super::{SOON, is_clean, normal, project, writer};
use crate::support::{OnTerminal, Sandbox};

const WIDTHS: [u16; 3] = [40, 80, 200];

fn on_terminal<'s>(sandbox: &'s Sandbox, columns: u16, wait: &str) -> OnTerminal<'s> {
    sandbox
        .plandex(["exec", "--wait", wait, "--", "true"])
        .on_terminal(columns)
}

/// No line was written that is wider than the terminal. The standing lines are filled up with
/// blanks and have no ends: each of them must end in the blanks that fill it.
fn no_line_is_wider(terminal: &OnTerminal<'_>, columns: u16) {
    let raw = terminal.raw();
    for line in raw.split(['\r', '\n']) {
        let shown: Vec<char> = without_controls(line).chars().collect();
        let mut rows = shown.chunks(usize::from(columns)).rev();
        rows.next();
        for full in rows {
            assert_eq!(full.last(), Some(&' '), "{line:?} in {raw:?}");
        }
    }
}

fn without_controls(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\x1b' {
            // All of ours end with a letter.
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            shown.push(c);
        }
    }
    shown
}

/// SEED.md 8.1.1 while it stands, with DESIGN.md 11's last two lines.
fn standing(columns: u16) -> &'static str {
    match columns {
        40 => {
            "Waiting for another operation to\ncomplete...\n\n\
             Current operation: Command on plan\n'work'\n  \
             plandex exec -- cat (pid N),\n  started Ns ago, heartbeat Ns ago\n\n\
             Press Ctrl+C to cancel and try later.\n\n\
             Position in queue: 2 of 2\nEstimated wait: unknown\nWaited Ns, gives up in Nm"
        }
        _ => {
            "Waiting for another operation to complete...\n\n\
             Current operation: Command on plan 'work'\n  \
             plandex exec -- cat (pid N), started Ns ago, heartbeat Ns ago\n\n\
             Press Ctrl+C to cancel and try later.\n\n\
             Position in queue: 2 of 2   Estimated wait: unknown\nWaited Ns, gives up in Nm"
        }
    }
}

/// SEED.md 8.1.3 with DESIGN.md 11's words. A command to copy is never broken.
fn given_up(columns: u16) -> &'static str {
    match columns {
        40 => {
            "Could not start operation after 1\nsecond.\n\n\
             Reason: Another operation is still in\nprogress on this plan.\n\
             Current operation: Command on plan\n'work'\n  \
             plandex exec -- cat (pid N),\n  started Ns ago, heartbeat Ns ago\n\
             Position in queue: 2 of 2\n\nNothing was changed.\n\
             Your place in the queue is kept for 60\nseconds: run the same command again.\n\nOptions:\n  \
             1. Wait and retry:\n     plandex exec --wait Ns -- true\n  \
             2. Check status:   plandex status\n  \
             3. Force stop:\n     plandex stop\n     (keeps the partial reply)\n\n\
             If this persists, the previous\noperation may have crashed.\n\
             Run 'plandex doctor' to check for stale\nlocks."
        }
        _ => {
            "Could not start operation after 1 second.\n\n\
             Reason: Another operation is still in progress on this plan.\n\
             Current operation: Command on plan 'work'\n  \
             plandex exec -- cat (pid N), started Ns ago, heartbeat Ns ago\n\
             Position in queue: 2 of 2\n\n\
             Nothing was changed.\n\
             Your place in the queue is kept for 60 seconds: run the same command again.\n\nOptions:\n  \
             1. Wait and retry: plandex exec --wait Ns -- true\n  \
             2. Check status:   plandex status\n  \
             3. Force stop:     plandex stop (keeps the partial reply)\n\n\
             If this persists, the previous operation may have crashed.\n\
             Run 'plandex doctor' to check for stale locks."
        }
    }
}

/// The same when it is over: its standing lines are gone.
fn over(columns: u16, last: &str) -> String {
    let (block, _) = standing(columns).split_once("Position").unwrap();
    format!("{block}{last}")
}

#[test]
fn the_block_stands_and_its_last_lines_move_once_a_second() {
    for columns in WIDTHS {
        // A new one for each, of which the audit knows no past that an estimate could be made of.
        let sandbox = project();
        let holder = writer(&sandbox);
        let mut waiting = on_terminal(&sandbox, columns, "5m");
        waiting.until_shows("Waited 3s");
        let seen = waiting.screen();
        // "4m 57s" is "Nm Ns", and a whole minute "Nm".
        let shown = normal(&seen.text()).replace("Nm Ns", "Nm");
        assert_eq!(shown, standing(columns));
        assert!(seen.cursor_is_visible);
        // 400 ms, then each second.
        let times = waiting.times_of("Waited");
        assert!((3..=5).contains(&times.len()), "{times:?}");
        for pair in times.windows(2) {
            let between = pair[1] - pair[0];
            assert!(between >= Duration::from_millis(900), "{times:?}");
        }
        holder.finish().ok();
        waiting.wait(SOON).ok();
        no_line_is_wider(&waiting, columns);
        let end = waiting.screen();
        assert!(end.cursor_is_visible);
        assert_eq!(end.cursor.1, 0, "{end:?}");
        // 3 or more seconds, as fast as this machine is today.
        let shown = normal(
            &end.text()
                .replace("\nseconds.", "s.")
                .replace(" seconds.", "s."),
        );
        let last = "Operation started after waiting Ns.";
        assert_eq!(shown, over(columns, last));
        is_clean(&sandbox);
    }
}

#[test]
fn what_a_wait_that_is_over_leaves_on_the_screen() {
    for columns in WIDTHS {
        let sandbox = project();
        let holder = writer(&sandbox);
        let mut waiting = on_terminal(&sandbox, columns, "1s");
        waiting.wait(SOON).exits(75);
        no_line_is_wider(&waiting, columns);
        let end = waiting.screen();
        assert!(end.cursor_is_visible);
        let (block, _) = standing(columns).split_once("Position").unwrap();
        let expected = format!("{block}{}", given_up(columns));
        // How old it is depends on the machine.
        assert_eq!(normal(&end.text()), expected);
        holder.finish().ok();
    }
}

#[test]
fn signals_leave_the_screen_and_the_queue_clean() {
    let sandbox = project();
    for (signal, code) in [(Signal::INT, 130), (Signal::HUP, 129), (Signal::TERM, 143)] {
        let holder = writer(&sandbox);
        let mut waiting = on_terminal(&sandbox, 80, "forever");
        waiting.until_shows("gives up never");
        waiting.program().signal(signal);
        waiting.wait(SOON).exits(code);
        let end = waiting.screen();
        assert!(end.cursor_is_visible);
        let shown = end.text();
        assert!(!shown.contains("Position in queue"), "{shown}");
        assert!(
            shown.ends_with("error: left the queue: nothing was changed"),
            "{shown}"
        );
        holder.finish().ok();
        is_clean(&sandbox);
    }
}

#[test]
fn ctrl_c_typed_into_the_terminal_leaves_the_line() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut waiting = on_terminal(&sandbox, 80, "forever");
    waiting.until_shows("gives up never");
    waiting.type_in("\x03");
    waiting.wait(SOON).exits(130);
    // The echo of it stands where the cursor stood, and must not shift what is cleared.
    let shown = waiting.screen().text();
    assert!(!shown.contains("Position in queue"), "{shown}");
    holder.finish().ok();
    is_clean(&sandbox);
}

/// Ctrl-Z and, as `fg` does, SIGCONT: it goes on where it was.
#[test]
fn a_waiter_that_was_put_aside_goes_on() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut waiting = on_terminal(&sandbox, 80, "forever");
    waiting.until_shows("gives up never");
    waiting.type_in("\x1a");
    let pid = waiting.program().pid();
    sandbox.until("it has stopped", || {
        let stat = plandex::platform::process::stat(pid)?;
        matches!(stat.state, 'T' | 't').then_some(())
    });
    // The shell has the terminal: nothing that is rewritten is left on it.
    sandbox.until("its lines are gone", || {
        (!waiting.screen().text().contains("Waited")).then_some(())
    });
    waiting.program().cont();
    let before = waiting.times_of("Waited").len();
    sandbox.until("its lines move again", || {
        (waiting.times_of("Waited").len() > before + 1).then_some(())
    });
    assert_eq!(waiting.screen().text().matches("Waited").count(), 1);
    holder.finish().ok();
    waiting.wait(SOON).ok();
    is_clean(&sandbox);
}

#[test]
fn a_terminal_that_goes_away_takes_the_waiter_out_of_the_line() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut waiting = on_terminal(&sandbox, 80, "forever");
    waiting.until_shows("gives up never");
    waiting.hang_up();
    waiting.wait(SOON).exits(129);
    holder.finish().ok();
    is_clean(&sandbox);
}

#[test]
fn a_new_holder_is_said_above_the_standing_lines() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let next = sandbox
        .plandex(["exec", "--wait", "forever", "--", "sh", "-c", "cat"])
        .held_stdin()
        .start();
    next.until_says("Press Ctrl+C");
    let mut waiting = on_terminal(&sandbox, 80, "forever");
    waiting.until_shows("Position in queue: 3 of 3");
    waiting.until_shows("Waiting before this: Command");
    let pid = next.pid();
    holder.finish().ok();
    waiting.until_shows("Position in queue: 2 of 2");
    let shown = waiting.screen().text();
    let of_next = format!("  plandex exec --wait forever -- sh -c cat (pid {pid}), started");
    assert!(shown.contains(&of_next), "{shown}");
    assert_eq!(shown.matches("Current operation:").count(), 2, "{shown}");
    assert_eq!(shown.matches("Position in queue:").count(), 1, "{shown}");
    next.finish().ok();
    waiting.wait(SOON).ok();
}

/// Where lines cannot or may not be rewritten, a terminal gets what a log gets.
#[test]
fn dumb_terminals_ci_and_quiet() {
    let sandbox = project();
    let holder = writer(&sandbox);
    for (name, value) in [("TERM", "dumb"), ("CI", "true")] {
        let mut waiting = sandbox
            .plandex(["exec", "--wait", "forever", "--", "true"])
            .env(name, value)
            .on_terminal(80);
        waiting.until_shows("Press Ctrl+C");
        waiting.program().signal(Signal::INT);
        waiting.wait(SOON).exits(130);
        let raw = waiting.raw();
        let coloured = name == "CI";
        assert!(coloured || !raw.contains('\x1b'), "{raw:?}");
        assert!(!raw.contains("\x1b[2K"), "{raw:?}");
        assert!(raw.contains("Gives up: never\r\n"), "{raw:?}");
    }
    let mut quiet = sandbox
        .plandex(["exec", "--quiet", "--wait", "1s", "--", "true"])
        .on_terminal(80);
    quiet.wait(SOON).exits(75);
    let shown = quiet.screen().text();
    assert!(
        shown.starts_with("Could not start operation after 1 second."),
        "{shown}"
    );
    holder.finish().ok();
}

#[test]
fn no_color_and_other_locales() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut plain = sandbox
        .plandex(["exec", "--wait", "2s", "--", "true"])
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C")
        .on_terminal(80);
    plain.wait(SOON).exits(75);
    let raw = plain.raw();
    // Moving the cursor is no colour.
    let styled = raw.match_indices("\x1b[").any(|(at, _)| {
        raw[at + 2..]
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
            .starts_with('m')
    });
    assert!(!styled, "{raw:?}");
    assert!(raw.is_ascii(), "{raw:?}");
    holder.finish().ok();
    is_clean(&sandbox);
}
