//! Signals mean the command, each time they come.

use rustix::process::Signal;

use crate::support::{Background, needs};

use super::{IDLE, Marked, SOON, is_free, pids, project, ready, state};

fn trapping(name: &str) -> String {
    format!("trap 'echo got {name}; exit 41' {name}; echo ready; {IDLE}")
}

#[test]
fn signals_are_passed_on_and_the_command_decides() {
    let sandbox = project();
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::INT, "INT"),
        (Signal::HUP, "HUP"),
        (Signal::QUIT, "QUIT"),
        (Signal::USR2, "USR2"),
    ] {
        let mut command = ready(&sandbox, &format!("ulimit -c 0; {}", trapping(name)));
        command.signal(signal);
        let ended = command.wait(SOON).exits(41);
        assert_eq!(ended.stdout, format!("ready\ngot {name}\n"));
        is_free(&sandbox);
    }
}

#[test]
fn a_command_that_does_not_trap_ends_by_the_signal() {
    let sandbox = project();
    for (signal, code) in [
        (Signal::TERM, 143),
        (Signal::INT, 130),
        (Signal::HUP, 129),
        (Signal::QUIT, 131),
        (Signal::USR2, 140),
    ] {
        let mut command = ready(&sandbox, "ulimit -c 0; echo ready; cat");
        command.signal(signal);
        command.wait(SOON).exits(code);
        is_free(&sandbox);
    }
}

/// There is no command yet: the signal means us, and the line closes up.
#[test]
fn a_signal_in_line_is_exec_s_own() {
    let sandbox = project();
    let holder = super::writer(&sandbox);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut waiter = sandbox.start(&["exec", "--wait", "forever", "--", "echo", "ran"]);
        super::waits(&sandbox, &waiter);
        waiter.signal(signal);
        assert_eq!(waiter.wait(SOON).exits(code).stdout, "");
        assert_eq!(sandbox.tickets().len(), 1);
    }
    for signal in [Signal::QUIT, Signal::USR2] {
        let script = "ulimit -c 0; exec \"$0\" exec --wait forever -- echo ran";
        let run = sandbox.program("sh", ["-c", script, env!("CARGO_BIN_EXE_plandex")]);
        let mut waiter = run.start();
        super::waits(&sandbox, &waiter);
        waiter.signal(signal);
        assert_eq!(waiter.wait(SOON).signal, Some(signal.as_raw()));
    }
    holder.finish().ok();
    sandbox.ok(&["exec", "--no-wait", "--", "true"]);
    is_free(&sandbox);
}

/// The second Ctrl-C ends a plandex at work at once; one that runs a command lives as long as it.
#[test]
fn the_second_and_the_third_signal_are_passed_on_like_the_first() {
    let sandbox = project();
    let script = "n=0; trap 'n=$((n + 1)); echo heard $n' INT; echo ready; \
                  while [ $n -lt 3 ]; do sleep 0.05; done; exit 43";
    let mut command = ready(&sandbox, script);
    for count in 1..=3 {
        command.signal(Signal::INT);
        command.until_says(&format!("heard {count}"));
    }
    command.wait(SOON).exits(43);
    is_free(&sandbox);
}

/// `nohup plandex exec …`, and `plandex exec … &` in a script.
#[test]
fn a_signal_that_is_ignored_from_the_start_stays_ignored() {
    let sandbox = project();
    let script = "trap '' HUP INT QUIT; exec \"$0\" exec -- sh -c \
                  'grep SigIgn /proc/self/status; echo ready; cat; echo end'";
    let run = sandbox.program("sh", ["-c", script, env!("CARGO_BIN_EXE_plandex")]);
    let mut command = run.held_stdin().start();
    command.until_says("ready");
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT] {
        command.signal(signal);
    }
    // Passed on, it would have ended `cat` before the words came through.
    command.say("still here\n");
    command.until_says("still here");
    command.close_stdin();
    let ended = command.wait(SOON).ok();
    let ignored = ended.stdout.split_whitespace().nth(1).unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    assert_eq!(ignored & 0b111, 0b111, "{ended}");
}

/// TERM reaches what left the group, too, and what does not heed it is killed.
#[test]
fn a_tree_that_is_told_to_end_is_gone_before_the_next_turn() {
    needs!("setsid");
    needs!("flock");
    let sandbox = project();
    let marked = Marked::new(&sandbox);
    let script = marked.prelude()
        + "setsid sleep 1000 & (trap '' TERM; exec setsid sleep 1000) & \
           trap 'exit 44' TERM; echo ready; "
        + IDLE;
    let mut command = ready(&sandbox, &script);
    command.signal(Signal::TERM);
    command.wait(SOON).exits(44);
    assert!(marked.all_gone());
    is_free(&sandbox);
}

fn states(pids: &[u32]) -> Vec<Option<char>> {
    pids.iter().map(|pid| state(*pid)).collect()
}

/// Ctrl-Z, told to exec alone: the work stands still with it, and goes on with it.
#[test]
fn the_command_is_suspended_and_continued_with_exec() {
    let sandbox = project();
    let command = sandbox
        .plandex(["exec", "--", "sh", "-c", "echo $$; cat; echo end"])
        .held_stdin()
        .start();
    let shell = pids(&sandbox, &command, 1)[0];
    command.signal(Signal::TSTP);
    sandbox.until("both are stopped", || {
        (states(&[shell, command.pid()]) == [Some('T'), Some('T')]).then_some(())
    });
    command.cont();
    let mut command: Background<'_> = command;
    command.say("goes on\n");
    command.until_says("goes on");
    command.close_stdin();
    assert!(command.wait(SOON).ok().stdout.ends_with("end\n"));
    is_free(&sandbox);
}

/// `stop` asks the command to end, and what ignores that still ends when the lock is gone.
#[test]
fn a_command_that_ignores_stop_ends_when_the_lock_is_lost() {
    let sandbox = project();
    let mut command = ready(&sandbox, "trap '' TERM; echo ready; cat; cat");
    sandbox.ok(&["stop"]);
    command.say("still here\n");
    command.until_says("still here");
    super::raw(&sandbox)
        .execute("DELETE FROM repo_locks", [])
        .unwrap();
    command.wait(SOON).exits(79);
}
