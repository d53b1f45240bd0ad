//! The wrapper is killed or stopped: its whole tree is gone before its successor runs.

use std::fmt::Write as _;
use std::path::Path;

use rustix::process::Signal;

use crate::support::{Background, Sandbox, needs, skip};

use super::{Marked, SOON, is_free, pids, project, quick_project, ready, state, suspend};

/// Trees of processes as builds make them, each marked; they live until they are killed.
fn trees(marked: &Marked, sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    let shell = marked.prelude();
    let mut makefile = "all:".to_owned();
    for job in 1..=6 {
        write!(makefile, " job{job}").unwrap();
    }
    makefile.push('\n');
    for job in 1..=6 {
        // The last one says that all are there.
        write!(
            makefile,
            "job{job}:\n\t@echo started >> started; sleep 1000; sleep 1000\n"
        )
        .unwrap();
    }
    sandbox.write("Makefile", makefile);
    let until_six = "until [ \"$(wc -l < started)\" = 6 ]; do :; done; echo ready;";
    vec![
        (
            "sh -c 'a; b'",
            shell.clone() + "echo ready; cat; cat; sleep 1000",
        ),
        (
            "a pipeline",
            shell.clone() + "echo ready; sleep 1000 | cat | cat; true",
        ),
        (
            "a session of its own",
            shell.clone() + "setsid sleep 1000 & setsid sh -c 'sleep 1000; :' & echo ready; cat",
        ),
        (
            "what ignores every signal that can be",
            shell.clone() + "trap '' HUP INT TERM; setsid sleep 1000 & echo ready; cat",
        ),
        (
            "orphans",
            shell.clone() + "(sleep 1000 & sleep 1000 &); echo ready; cat; cat",
        ),
        (
            "make -j",
            shell + ": > started; { " + until_six + " } & make -s -j6",
        ),
    ]
}

#[test]
fn the_tree_of_a_killed_exec_is_gone_before_its_successor_runs() {
    needs!("flock");
    needs!("setsid");
    needs!("make");
    let sandbox = quick_project();
    let marked = Marked::new(&sandbox);
    for (name, script) in trees(&marked, &sandbox) {
        let holder = ready(&sandbox, &script);
        assert!(!marked.all_gone(), "{name}");
        assert_eq!(holder.kill().signal, Some(9), "{name}");
        marked.next_finds_all_gone(&sandbox);
    }
}

/// A wrapper that stands still past its lease is hung; it learns of it when it wakes.
#[test]
fn the_tree_of_a_stopped_exec_is_gone_before_its_successor_runs() {
    needs!("flock");
    needs!("setsid");
    needs!("make");
    let sandbox = quick_project();
    let marked = Marked::new(&sandbox);
    for (name, script) in trees(&marked, &sandbox) {
        let mut holder = ready(&sandbox, &script);
        suspend(&sandbox, &holder);
        assert!(!marked.all_gone(), "{name}");
        marked.next_finds_all_gone(&sandbox);
        // The wrapper itself was not killed: its fence is gone, which is enough.
        assert!(holder.is_running(), "{name}");
        holder.cont();
        holder.wait(SOON).exits(79);
    }
    let dump = sandbox.dump();
    assert!(dump.contains("lease expired"), "{dump}");
}

/// Several wrappers at once, killed at moments that nobody chose.
#[test]
fn wrappers_killed_at_any_moment_leave_nothing() {
    needs!("flock");
    let sandbox = quick_project();
    let marked = Marked::new(&sandbox);
    let script = marked.prelude() + "sleep 1000 & sleep 1000 & echo ready; cat; cat";
    for round in 0..8_u32 {
        let start = || {
            let run = sandbox.plandex(["exec", "--wait", "forever", "--", "sh", "-c"]);
            run.args([script.as_str()]).held_stdin().start()
        };
        let wrappers: Vec<Background<'_>> = (0..3).map(|_| start()).collect();
        // From the very start of the first to the middle of its work.
        if round % 2 == 1 {
            sandbox.until("one of them works", || {
                let works = |wrapper: &Background<'_>| wrapper.stdout().contains("ready");
                wrappers.iter().any(works).then_some(())
            });
        }
        for wrapper in wrappers {
            wrapper.kill();
        }
        marked.next_finds_all_gone(&sandbox);
    }
}

#[test]
fn a_killed_exec_takes_its_command_with_it() {
    let sandbox = project();
    let mut holder = sandbox
        .plandex(["exec", "--", "sh", "-c", "echo $$; exec cat"])
        .held_stdin()
        .start();
    let command = pids(&sandbox, &holder, 1)[0];
    assert!(state(command).is_some());
    holder.signal(Signal::KILL);
    // Its pipe stays open: what ends the command is the death of its parent and nothing else.
    assert_eq!(holder.wait(SOON).signal, Some(9));
    let run = sandbox.plandex(["exec", "--wait", "20s", "--", "true"]);
    run.finish().ok();
    assert_eq!(state(command), None, "{command} still runs");
    is_free(&sandbox);
}

/// What the command itself has started outlives it and keeps the owner file: it is killed when
/// the lease is over, and not before.
#[test]
fn what_a_killed_exec_left_running_is_killed_with_the_lease() {
    let sandbox = quick_project();
    let script = "sleep 1000 & echo $!; exec cat";
    let mut holder = sandbox
        .plandex(["exec", "--", "sh", "-c", script])
        .held_stdin()
        .start();
    let left = pids(&sandbox, &holder, 1)[0];
    holder.signal(Signal::KILL);
    holder.wait(SOON);
    assert!(Path::new(&format!("/proc/{left}")).exists());
    let run = sandbox.plandex(["exec", "--wait", "20s", "--", "sh", "-c"]);
    let look = format!("if test -e /proc/{left}/exe; then exit 33; fi");
    run.args([look]).finish().ok();
    assert!(sandbox.dump().contains("lease expired"));
}

/// Some programs close what they inherited before they start others (Python's subprocess does):
/// what they started is found by its parents.
#[test]
fn what_closed_its_descriptors_is_found_by_its_parents() {
    needs!("flock");
    let sandbox = quick_project();
    let marked = Marked::new(&sandbox);
    let owner = "for fd in /proc/$$/fd/*; do case $(readlink $fd) in \
                 */owners/*) eval \"exec ${fd##*/}>&-\";; esac; done";
    // The first shell keeps the owner file; the second and what it starts have closed it.
    let inner = format!("{owner}; setsid sleep 1000 & sleep 1000 & echo ready; sleep 1000; :");
    let script = marked.prelude() + "bash -c \"$INNER\"; :";
    let start = |script: &str| {
        let run = sandbox.plandex(["exec", "--", "bash", "-c", script]);
        let holder = run.env("INNER", &inner).held_stdin().start();
        holder.until_says("ready");
        holder
    };
    // Stopped past its lease.
    let mut holder = start(&script);
    suspend(&sandbox, &holder);
    marked.next_finds_all_gone(&sandbox);
    holder.cont();
    holder.wait(SOON).exits(79);
    // Told to end.
    let mut holder = start(&script);
    holder.signal(Signal::TERM);
    holder.wait(SOON).exits(143);
    assert!(marked.all_gone());
    // Killed, with somebody between it and them that lives on.
    let holder = start(&format!("({script}) & wait"));
    holder.kill();
    marked.next_finds_all_gone(&sandbox);
}

/// No fence reaches a program that nobody here can see, so its lease does not end while it lives.
#[test]
fn what_cannot_be_seen_from_here_keeps_the_lock_for_as_long_as_it_lives() {
    needs!("unshare");
    let sandbox = quick_project();
    // The shell is the first process of the namespace: it kills the wrapper when it is told to.
    let script = "\"$P\" exec -- sh -c 'sleep 1000 & echo ready; sleep 1000' </dev/null & \
                  wrapper=$!; read line; kill -KILL $wrapper; echo killed; sleep 1000; :";
    let words = ["--pid", "--fork", "--kill-child", "sh", "-c"];
    let run = sandbox.program("unshare", words).args([script]);
    let run = run.env("P", env!("CARGO_BIN_EXE_plandex"));
    let mut elsewhere = run.held_stdin().start();
    let refused = sandbox.until("it runs, or may not", || {
        let may_not = !elsewhere.is_running();
        (may_not || elsewhere.stdout().contains("ready")).then_some(may_not)
    });
    if refused {
        skip!("no pid namespace can be made here");
    }
    elsewhere.say("now\n");
    elsewhere.until_says("killed");
    // Five leases.
    sandbox
        .run(&["exec", "--wait", "3s", "--", "true"])
        .exits(75);
    let mut next = sandbox.start(&["exec", "--wait", "forever", "--", "echo", "ran"]);
    super::waits(&sandbox, &next);
    // The namespace ends with its first process.
    elsewhere.kill();
    assert_eq!(next.wait(SOON).ok().stdout, "ran\n");
    is_free(&sandbox);
}

/// Python's subprocess closes what it inherited, and Python itself dies with its parent: nothing
/// but the token in their environment tells whose the programs are that it started.
#[test]
fn what_a_killed_exec_s_python_started_is_gone_before_its_successor_runs() {
    needs!("python3");
    let sandbox = quick_project();
    let script = "import subprocess, sys, time\n\
                  child = subprocess.Popen(['sh', '-c', 'setsid sleep 1000 & sleep 1000; :'])\n\
                  print(child.pid, flush=True)\n\
                  time.sleep(1000)\n";
    let run = sandbox.plandex(["exec", "--", "python3", "-c", script]);
    let holder = run.start();
    let child = pids(&sandbox, &holder, 1)[0];
    holder.kill();
    assert!(state(child).is_some());
    let look = format!("if test -e /proc/{child}/exe; then exit 33; fi");
    let run = sandbox.plandex(["exec", "--wait", "20s", "--", "sh", "-c"]);
    run.args([look]).finish().ok();
    assert!(sandbox.dump().contains("lease expired"));
    is_free(&sandbox);
}

/// Where no such thing is left, nobody waits for a lease.
#[test]
fn a_killed_exec_that_left_nothing_is_followed_at_once() {
    let sandbox = project();
    let holder = sandbox
        .plandex(["exec", "--", "sh", "-c", "echo ready; exec cat"])
        .held_stdin()
        .start();
    holder.until_says("ready");
    holder.kill();
    // Its lease is a minute.
    sandbox.ok(&["exec", "--wait", "20s", "--", "true"]);
    assert!(sandbox.dump().contains("owner died"));
}
