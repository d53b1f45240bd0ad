//! plandex as a tool for shell scripts: the `.sh` files beside this one, as users would write them
//! for CI, run with dash and with bash.

mod manual;

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::queue::{SOON, audited, edit, holds, is_free, project, writer};
use crate::support::{Run, Sandbox, needs};

/// The shells that a script must mean the same in.
const SHELLS: [&str; 2] = ["dash", "bash"];

/// A script of this directory, its first line naming `shell`; plandex is in its PATH.
struct Script<'s> {
    sandbox: &'s Sandbox,
    path: PathBuf,
}

impl<'s> Script<'s> {
    fn new(sandbox: &'s Sandbox, name: &str, shell: &str) -> Self {
        let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts");
        let path = sandbox.place().join("tmp").join(name);
        // Written by a process of its own: a file that this one has open for writing at the moment
        // when another thread starts a program cannot be run ("text file busy").
        let copy =
            "sed \"1s,^#!/bin/sh$,#!$(command -v \"$3\"),\" \"$1\" > \"$2\" && chmod 755 \"$2\"";
        let run = sandbox.program("sh", ["-c", copy, "sh"]);
        let run = run.args([from.join(name), path.clone(), shell.into()]);
        run.finish().ok();
        Self { sandbox, path }
    }

    fn args(&self, args: &[&str]) -> Run<'s> {
        let path = self.path.to_str().unwrap();
        with_plandex(self.sandbox.program(path, args))
    }
}

/// plandex is found by its name.
fn with_plandex(run: Run<'_>) -> Run<'_> {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_plandex"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs =
        std::iter::once(own.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    run.env("PATH", std::env::join_paths(dirs).unwrap())
}

/// A file beside the project, by its name and what is in it.
fn beside(sandbox: &Sandbox, name: &str, content: &str) -> String {
    let path = sandbox.write_beside(name, content);
    path.to_str().unwrap().to_owned()
}

fn content(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn deploys_are_serialised() {
    needs!("bash");
    needs!("dash");
    for shell in SHELLS {
        let sandbox = project();
        let (counter, log) = (
            beside(&sandbox, "counter", "0\n"),
            beside(&sandbox, "log", ""),
        );
        let script = Script::new(&sandbox, "deploy.sh", shell);
        let start = || script.args(&[&counter, &log]).start();
        let jobs: Vec<_> = (0..12).map(|_| start()).collect();
        for mut job in jobs {
            job.wait(SOON).ok();
        }
        assert_eq!(content(&counter), "12\n");
        assert_eq!(content(&log), "begin\nend\n".repeat(12));
        is_free(&sandbox);
    }
}

#[test]
fn fifty_parallel_jobs_lose_no_step() {
    needs!("bash");
    needs!("dash");
    needs!("xargs");
    for shell in SHELLS {
        let sandbox = project();
        let counter = beside(&sandbox, "counter", "");
        let script = Script::new(&sandbox, "parallel.sh", shell);
        let mut run = script.args(&[&counter]).start();
        run.wait(Duration::from_secs(50)).ok();
        assert_eq!(content(&counter), "50\n");
        let audit = audited(&sandbox);
        assert_eq!(audit.len(), 50);
        assert!(
            audit
                .iter()
                .all(|entry| entry.outcome.as_deref() == Some("released"))
        );
        is_free(&sandbox);
    }
}

/// Each diff shows the one file of its own change: none came between.
#[test]
fn tell_diff_and_apply_are_one_unit() {
    needs!("bash");
    needs!("dash");
    for shell in SHELLS {
        let sandbox = project();
        let script = Script::new(&sandbox, "change.sh", shell);
        let names: Vec<String> = (1..=5).map(|number| format!("file{number}.txt")).collect();
        let start = |name: &String| {
            let message = beside(&sandbox, &format!("{name}.md"), &edit(name, "new words"));
            let diff = beside(&sandbox, &format!("{name}.diff"), "");
            (script.args(&[&message, &diff]).start(), diff)
        };
        let changes: Vec<_> = names.iter().map(start).collect();
        for ((mut change, diff), name) in changes.into_iter().zip(&names) {
            change.wait(Duration::from_secs(50)).ok();
            let diff = content(&diff);
            for other in &names {
                assert_eq!(
                    diff.contains(other.as_str()),
                    other == name,
                    "{name}:\n{diff}"
                );
            }
            assert_eq!(sandbox.read(name), "new words\n");
        }
        is_free(&sandbox);
    }
}

#[test]
fn a_script_tries_again_while_somebody_else_has_it() {
    needs!("bash");
    needs!("dash");
    for shell in SHELLS {
        let sandbox = project();
        let script = Script::new(&sandbox, "retry.sh", shell);
        let holder = writer(&sandbox);
        let spent = script.args(&["echo", "ran"]).env("TRIES", "2");
        let spent = spent.env("PAUSE", "0").finish().exits(75);
        assert_eq!(spent.stdout, "");
        assert_eq!(spent.stderr.matches("lock conflict").count(), 2, "{spent}");
        let run = script.args(&["sh", "-c", "echo ran; exit 75"]);
        let mut patient = run.env("TRIES", "1000").env("PAUSE", "0.05").start();
        sandbox.until("it was refused twice", || {
            (patient.stderr().matches("lock conflict").count() >= 2).then_some(())
        });
        assert_eq!(patient.stdout(), "");
        holder.finish().ok();
        // The command's own 75 is its own: it ran once.
        assert_eq!(patient.wait(SOON).exits(75).stdout, "ran\n");
        is_free(&sandbox);
    }
}

#[test]
fn a_job_of_cron_is_left_out_while_the_last_one_runs() {
    needs!("bash");
    needs!("dash");
    for shell in SHELLS {
        let sandbox = project();
        let script = Script::new(&sandbox, "once.sh", shell);
        let mut first = script
            .args(&["sh", "-c", "echo begun; cat"])
            .held_stdin()
            .start();
        first.until_says("begun");
        let second = script.args(&["echo", "ran"]).finish().ok();
        assert_eq!([second.stdout, second.stderr], ["", ""]);
        first.close_stdin();
        first.wait(SOON).ok();
        assert_eq!(script.args(&["echo", "ran"]).finish().ok().stdout, "ran\n");
        script.args(&["sh", "-c", "exit 9"]).finish().exits(9);
    }
}

#[test]
fn the_middle_of_a_script_runs_alone() {
    needs!("bash");
    needs!("dash");
    for shell in SHELLS {
        let sandbox = project();
        let file = beside(&sandbox, "file", "");
        let script = Script::new(&sandbox, "section.sh", shell);
        let start = || script.args(&[&file]).start();
        let all: Vec<_> = (0..10).map(|_| start()).collect();
        for mut one in all {
            one.wait(SOON).ok();
        }
        let text = content(&file);
        let inside: Vec<&str> = text.lines().filter(|line| *line != "outside").collect();
        assert_eq!(inside, ["begin", "end"].repeat(10));
        assert_eq!(text.lines().count(), 40);
        is_free(&sandbox);
    }
}

#[test]
fn two_readers_meet_inside() {
    needs!("bash");
    needs!("dash");
    needs!("mkfifo");
    for shell in SHELLS {
        let sandbox = project();
        let script = Script::new(&sandbox, "readers.sh", shell);
        let place = sandbox.write("meeting/place", "");
        let place = place.parent().unwrap().to_str().unwrap();
        script.args(&[place]).start().wait(SOON).ok();
        is_free(&sandbox);
    }
}

/// `exec 4<>FILE; flock 4` in the middle of a script, and `flock -u 4`.
#[test]
fn a_script_holds_without_starting_itself_again() {
    needs!("bash");
    needs!("dash");
    needs!("mkfifo");
    for shell in SHELLS {
        let sandbox = project();
        let library = Script::new(&sandbox, "hold.sh", shell);
        let library = library.path.to_str().unwrap();
        let run = |script: &str| {
            let run = with_plandex(sandbox.program(shell, ["-c", script, shell, library]));
            run.held_stdin()
        };
        let works = "set -eu; . \"$1\"; hold --no-wait; plandex exec --no-wait -- echo joined; \
                     echo held; read line; release; echo released; read line";
        let mut script = run(works).start();
        script.until_says("held");
        assert!(script.stdout().contains("joined\n"));
        sandbox.run(&["exec", "--no-wait", "--", "true"]).exits(75);
        let refused = run("set -u; . \"$1\"; hold --no-wait -E 66; echo \"code $?\"").finish();
        assert_eq!(refused.ok().stdout, "code 66\n");
        script.say("\n");
        script.until_says("released");
        is_free(&sandbox);
        script.say("\n");
        script.wait(SOON).ok();
        // It dies while it holds: the pipe says so.
        let script = run("set -eu; . \"$1\"; hold; echo held; read line").start();
        script.until_says("held");
        script.signal(Signal::KILL);
        script.finish();
        sandbox.ok(&["exec", "--wait", "20s", "--", "true"]);
        is_free(&sandbox);
    }
}

/// A script that is killed under the lock it took for itself leaves the lock, and nothing else.
#[test]
fn a_killed_deploy_is_followed_by_the_next() {
    needs!("dash");
    let sandbox = project();
    let (counter, log) = (
        sandbox.place().join("tmp/pipe"),
        beside(&sandbox, "log", ""),
    );
    sandbox.program("mkfifo", [&counter]).finish().ok();
    let script = Script::new(&sandbox, "deploy.sh", "dash");
    let deploy = script.args(&[counter.to_str().unwrap(), &log]).start();
    // It stands at the pipe that its counter is.
    holds(&sandbox, &deploy);
    sandbox.until("it has begun", || {
        (content(&log) == "begin\n").then_some(())
    });
    deploy.kill();
    let counter = beside(&sandbox, "counter", "7\n");
    let mut next = script.args(&[&counter, &log]).start();
    next.wait(SOON).ok();
    assert_eq!(content(&counter), "8\n");
    assert_eq!(content(&log), "begin\nbegin\nend\n");
    is_free(&sandbox);
}
