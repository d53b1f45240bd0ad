//! `connect`: what followers see, and that they cost the runner nothing.

use std::os::unix::fs::MetadataExt as _;

use rustix::process::Signal;

use super::{SOON, file, lines, newest, of_runs, project, runner, types};
use crate::support::{Background, Sandbox, needs, skip};

/// A follower that has heard of the beginning.
fn follower<'s>(sandbox: &'s Sandbox, flags: &[&str]) -> Background<'s> {
    let follower = sandbox.start(&[&["connect"], flags].concat());
    follower.until_says("I begin.");
    follower
}

#[test]
fn two_followers_see_what_the_runner_does() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &["--json", "--deltas"]);
    let mut early = follower(&sandbox, &["--json", "--deltas"]);
    runner.say("More.\n");
    let mut late = follower(&sandbox, &["work", "--json", "--deltas"]);
    let mut person = follower(&sandbox, &["work", "main"]);
    person.until_says("More.");
    runner.say(&file("a.txt", "one"));
    runner.say(&file("b.txt", "two"));
    runner.close_stdin();
    let told = lines(&runner.wait(SOON).ok().stdout);
    let early = lines(&early.wait(SOON).ok().stdout);
    let late = lines(&late.wait(SOON).ok().stdout);
    assert_eq!(of_runs(&early), of_runs(&told));
    assert_eq!(of_runs(&late), of_runs(&told));
    for events in [&told, &early, &late] {
        assert_eq!(types(events)[0], "session.started");
        assert_eq!(types(events).last(), Some(&"session.ended"));
        let numbers: Vec<i64> = of_runs(events)
            .iter()
            .map(|event| event["event"].as_i64().unwrap())
            .collect();
        let last = i64::try_from(numbers.len()).unwrap();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
        let seqs = events.iter().map(|event| event["seq"].as_u64().unwrap());
        assert!(seqs.eq(1..=events.len() as u64));
    }
    let shown = person.wait(SOON).ok();
    assert!(shown.stdout.contains("I begin.\nMore.\n"), "{shown}");
    shown.says("building a.txt").says("2 files pending");
}

#[test]
fn a_replay_is_what_the_run_showed() {
    let sandbox = project();
    let reply = format!(
        "Words.\n\n{}\nMore words.\n\n{}",
        file("a.txt", "one"),
        "src/lib.rs\n```\n<<<<<<< SEARCH\nnot there\n=======\nx\n>>>>>>> REPLACE\n```\n"
    );
    let reply = sandbox.write_beside("reply", &reply);
    let shown = sandbox
        .run(&["tell", "x", "--reply", reply.to_str().unwrap()])
        .exits(3);
    let run = newest(&sandbox).unwrap();
    let (number, prefix) = (run.ticket.to_string(), run.id[..18].to_owned());
    for args in [
        &["connect", "--replay"][..],
        &["connect", &number],
        &["conn", &run.id],
        &["connect", &prefix],
    ] {
        let again = sandbox.run(args).exits(3);
        assert_eq!(
            (&again.stdout, &again.stderr),
            (&shown.stdout, &shown.stderr)
        );
    }
    // Who asked for none in particular is told how the last one ended.
    let last = sandbox.run(&["connect"]).exits(3);
    assert_eq!(last.stdout, "", "{last}");
    last.says("No run is at work on plan work, branch main")
        .says("Completed: 1/2 file changes")
        .says("connect --replay");
    let last = lines(&sandbox.run(&["connect", "--json"]).exits(3).stdout);
    assert_eq!(
        types(&last),
        ["session.started", "turn.completed", "session.ended"]
    );
    assert_eq!(last[2]["exitCode"], 3);
}

#[test]
fn what_is_no_run_is_said_so() {
    let sandbox = project();
    sandbox
        .run(&["connect"])
        .exits(2)
        .says("there was no run yet on plan work, branch main");
    sandbox
        .run(&["connect", "77"])
        .exits(2)
        .says("there is no run 77");
    sandbox
        .run(&["connect", "nothing"])
        .exits(2)
        .says("nothing");
    sandbox.ok(&["tell", &file("a.txt", "a")]);
    sandbox
        .run(&["connect", "1", "main"])
        .exits(2)
        .says("a branch of its own");
    sandbox.run(&["connect", "work", "nowhere"]).exits(2);
    sandbox
        .plandex(["batch", "-"])
        .stdin("connect\n")
        .finish()
        .exits(2)
        .says("follows another run");
}

/// The run's own exit code, whoever asks and whenever.
#[test]
fn a_follower_ends_as_the_run_did() {
    let sandbox = project();
    for (signal, code) in [
        (Some(Signal::INT), 130),
        (Some(Signal::TERM), 143),
        (Some(Signal::HUP), 129),
        (None, 143),
    ] {
        let mut runner = runner(&sandbox, &[]);
        let mut follower = follower(&sandbox, &[]);
        match signal {
            Some(signal) => runner.signal(signal),
            None => drop(sandbox.ok(&["stop"])),
        }
        runner.wait(SOON).exits(code);
        follower.wait(SOON).exits(code).says("Stopped");
        sandbox.run(&["connect"]).exits(code).says("Stopped");
    }
}

#[test]
fn ctrl_c_ends_the_looking_and_not_the_run() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut follower = follower(&sandbox, &[]);
    follower.signal(Signal::INT);
    follower
        .wait(SOON)
        .exits(130)
        .says(&format!("The run goes on (run 1, pid {})", runner.pid()))
        .says("plandex connect 1")
        .says("plandex stop --plan work");
    let mut program = sandbox.start(&["connect", "1", "--json"]);
    program.until_says("turn.started");
    program.signal(Signal::INT);
    let end = lines(&program.wait(SOON).exits(130).stdout).pop().unwrap();
    assert_eq!(
        (&end["type"], &end["exitCode"]),
        (&"session.ended".into(), &130.into())
    );
    runner.say(&file("a.txt", "a"));
    runner.close_stdin();
    runner.wait(SOON).ok();
}

/// Neither a follower that is stopped nor one whose pipe is full keeps the run from its end.
#[test]
fn no_follower_holds_the_runner_up() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut stopped = follower(&sandbox, &["--json", "--deltas"]);
    let binary = env!("CARGO_BIN_EXE_plandex");
    // More than a pipe holds, and nobody who reads it.
    let full = "\"$0\" connect --json --deltas | sleep 1000";
    let full = sandbox.program("sh", ["-c", full, binary]).start();
    let mut quick = follower(&sandbox, &[]);
    stopped.stop();
    let line = format!("{}\n", "word ".repeat(200));
    for _ in 0..2_000 {
        runner.say(&line);
    }
    runner.say(&file("a.txt", "a"));
    runner.close_stdin();
    runner.wait(SOON).ok();
    quick.wait(SOON).ok().says("1 file pending");
    assert!(stopped.is_running());
    stopped.cont();
    let end = lines(&stopped.wait(SOON).ok().stdout);
    let text: String = end
        .iter()
        .filter(|event| event["type"] == "message.delta")
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert_eq!(text.matches(&line).count(), 2_000);
    drop(full);
}

/// A follower reads in pages: what it needs does not grow with the reply.
#[test]
fn the_memory_of_a_follower_is_bounded() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut follower = follower(&sandbox, &[]);
    let peak = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let words = line.unwrap().split_whitespace().nth(1).unwrap().to_owned();
        words.parse::<u64>().unwrap()
    };
    let before = peak(follower.pid());
    let line = format!("{}\n", "word ".repeat(2_000));
    for _ in 0..2_400 {
        runner.say(&line);
    }
    runner.say("That was all.\n");
    sandbox.until("it was all shown", || {
        follower.stdout().ends_with("That was all.\n").then_some(())
    });
    let grown = peak(follower.pid()) - before;
    assert!(grown < 12 * 1024, "{grown} KiB for a reply of 24 MB");
    runner.close_stdin();
    runner.wait(SOON).ok();
    follower.wait(SOON).ok();
}

/// How often the main thread of `follower` goes to sleep within three seconds.
fn looks(follower: &Background<'_>) -> u64 {
    let pid = follower.pid();
    let slept = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches:"));
        let count = line.unwrap().split_whitespace().nth(1).unwrap();
        count.parse::<u64>().unwrap()
    };
    let before = slept();
    std::thread::sleep(std::time::Duration::from_secs(3));
    slept() - before
}

/// A follower sleeps until it is rung: it watches the runner's owner file and looks by itself once a
/// second, not ten times.
#[test]
fn a_follower_is_woken_and_does_not_poll() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut follower = follower(&sandbox, &[]);
    let owner = sandbox.tickets()[0].owner_id.clone();
    let inode = std::fs::metadata(sandbox.state_dir().join("owners").join(owner))
        .unwrap()
        .ino();
    let descriptors = format!("/proc/{}/fdinfo", follower.pid());
    let watched: String = std::fs::read_dir(descriptors)
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter(|text| text.contains("inotify"))
        .collect();
    assert!(watched.contains(&format!("ino:{inode:x} ")), "{watched}");
    let looks = looks(&follower);
    assert!(looks <= 10, "{looks} looks in 3 s");
    runner.say("Rung.\n");
    follower.until_says("Rung.");
    runner.close_stdin();
    runner.wait(SOON).ok();
    follower.wait(SOON).ok();
}

/// Where the system gives no watches, a follower looks ten times a second.
#[test]
fn a_follower_without_a_watch_looks_by_itself() {
    needs!("unshare");
    let sandbox = project();
    // The limit of a user namespace of its own.
    let none = "echo 0 >/proc/sys/user/max_inotify_instances";
    let unshare = |script: &str| {
        let binary = env!("CARGO_BIN_EXE_plandex");
        sandbox.program("unshare", ["-Ur", "sh", "-c", script, binary])
    };
    if unshare(none).finish().code != Some(0) {
        skip!("no user namespace with limits of its own");
    }
    let mut runner = runner(&sandbox, &[]);
    let mut follower = unshare(&format!("{none} && exec \"$0\" connect")).start();
    follower.until_says("I begin.");
    let descriptors = format!("/proc/{}/fd", follower.pid());
    let is_watch = |entry: std::fs::DirEntry| {
        let to = std::fs::read_link(entry.path()).unwrap_or_default();
        to.to_string_lossy().contains("inotify")
    };
    let mut open = std::fs::read_dir(descriptors).unwrap().flatten();
    assert!(!open.any(is_watch));
    let looks = looks(&follower);
    assert!(looks >= 15, "{looks} looks in 3 s");
    runner.say("Seen.\n");
    follower.until_says("Seen.");
    runner.close_stdin();
    runner.wait(SOON).ok();
    follower.wait(SOON).ok();
}

/// Looking writes nothing: not while it follows, and not when the runner has died.
#[test]
fn looking_changes_nothing() {
    let sandbox = project();
    let runner = runner(&sandbox, &[]);
    let before = sandbox.dump();
    let follower = follower(&sandbox, &[]);
    assert_eq!(sandbox.dump(), before);
    runner.kill();
    follower.finish().exits(1);
    assert_eq!(sandbox.dump(), before);
}

/// A run that has a turn but nothing stored yet, or waits for its turn, is followed from there.
#[test]
fn a_run_that_waits_is_followed_into_its_turn() {
    let sandbox = project();
    let mut holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    sandbox.until_queue("it is held", |line| line.len() == 1);
    let message = file("a.txt", "a");
    let waiter = sandbox.start(&["tell", &message, "--wait", "forever"]);
    sandbox.until_queue("both are in line", |line| line.len() == 2);
    let person = sandbox.start(&["connect"]);
    person.until_says("waits for the plan: position 2");
    let program = sandbox.start(&["connect", "2", "--json"]);
    program.until_says("run.waiting");
    holder.close_stdin();
    holder.wait(SOON).ok();
    waiter.finish().ok();
    person.finish().ok().says("1 file pending");
    let events = lines(&program.finish().ok().stdout);
    assert_eq!(
        (types(&events)[1], &events[1]["position"]),
        ("run.waiting", &2.into())
    );
    assert_eq!(types(&events)[2], "turn.started");
}

/// A run that is called off before its turn comes to nothing, which its follower says.
#[test]
fn a_run_that_never_had_its_turn_came_to_nothing() {
    let sandbox = project();
    let mut holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    sandbox.until_queue("it is held", |line| line.len() == 1);
    let message = file("a.txt", "a");
    let mut waiter = sandbox.start(&["tell", &message, "--wait", "forever"]);
    sandbox.until_queue("both are in line", |line| line.len() == 2);
    let follower = sandbox.start(&["connect", "2"]);
    follower.until_says("position 2");
    waiter.signal(Signal::INT);
    waiter.wait(SOON).exits(130);
    follower.finish().exits(1).says("run 2 came to nothing");
    holder.close_stdin();
    holder.wait(SOON).ok();
}
