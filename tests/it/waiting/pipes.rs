//! Where no terminal is: a block, a line for each change, and streams that fail.

use std::process::Stdio;

use plandex::store::tickets::State;
use rustix::process::Signal;

use super::{SOON, is_clean, json_lines, normal, project, teller, until_state, waiter, writer};

#[test]
fn a_pipe_gets_the_block_once_and_a_line_for_each_change() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let second = sandbox
        .plandex(["exec", "--wait", "forever", "--", "sh", "-c", "cat"])
        .held_stdin()
        .env("PLANDEX_ACTOR", "ci-7")
        .start();
    until_state(&sandbox, second.pid(), State::Waiting);
    let mut last = sandbox.start(&["exec", "--wait", "5m", "--", "true"]);
    last.until_says("Press Ctrl+C");
    let block = "Waiting for another operation to complete...\n\n\
                 Current operation: Command on plan 'work'\n  \
                 plandex exec -- cat (pid N), started Ns ago, heartbeat Ns ago\n\
                 Waiting before this: Command\n\
                 Position in queue: 3 of 3\nEstimated wait: unknown\nGives up: in Nm\n\n\
                 Press Ctrl+C to cancel and try later.\n";
    assert_eq!(normal(&last.stderr()).replace("Nm Ns", "Nm"), block);
    holder.finish().ok();
    last.until_says("Position in queue: 2 of 2");
    second.finish().ok();
    let said = last.wait(SOON).ok();
    assert_eq!(said.stdout, "");
    let rest = normal(&said.stderr).replace("Nm Ns", "Nm");
    let rest = rest.strip_prefix(block).unwrap();
    let lines: Vec<&str> = rest.lines().collect();
    assert_eq!(lines.len(), 2, "{rest}");
    assert_eq!(
        lines[0],
        "Waiting for Command on plan 'work': ci-7: plandex exec --wait forever -- sh -c cat \
         (pid N), started Ns ago, heartbeat Ns ago. Position in queue: 2 of 2. Estimated wait: \
         unknown. Waited Ns, gives up in Nm."
    );
    assert!(
        lines[1].starts_with("Operation started after waiting "),
        "{rest}"
    );
    is_clean(&sandbox);
}

#[test]
fn a_short_wait_is_silent() {
    let sandbox = project();
    // The audit knows how long it waited; where this machine was too slow, another try is made.
    for _ in 0..10 {
        let holder = writer(&sandbox);
        let mut short = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
        until_state(&sandbox, short.pid(), State::Waiting);
        holder.finish().ok();
        let said = short.wait(SOON).ok();
        let waited: i64 = super::raw(&sandbox)
            .query_row(
                "SELECT granted_at - queued_at FROM repo_locks_audit ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        if waited < 300 {
            assert_eq!(said.stderr, "");
            return;
        }
    }
    panic!("ten waits took 300 ms each\n{}", sandbox.report());
}

#[test]
fn what_is_ours_is_said_to_be() {
    let sandbox = project();
    let holder = sandbox
        .plandex(["exec", "--", "cat"])
        .env("PLANDEX_ACTOR", "me")
        .held_stdin()
        .start();
    until_state(&sandbox, holder.pid(), State::Held);
    let mut mine = sandbox
        .plandex(["exec", "--wait", "1s", "--", "true"])
        .env("PLANDEX_ACTOR", "me")
        .start();
    let said = mine.wait(SOON).exits(75);
    assert!(
        said.stderr.contains("  yours: plandex exec -- cat (pid "),
        "{said}"
    );
    holder.finish().ok();
}

#[test]
fn the_estimate_is_counted_from_three_past_operations() {
    let sandbox = project();
    for _ in 0..3 {
        sandbox.ok(&["exec", "--", "true"]);
    }
    // Such operations took 20 s: a fact of the audit's, so that the test need not wait for it.
    super::raw(&sandbox)
        .execute(
            "UPDATE repo_locks_audit SET ended_at = granted_at + 20000 WHERE reason = 'exec'",
            [],
        )
        .unwrap();
    let holder = writer(&sandbox);
    let mut waiting = waiter(&sandbox);
    let said = waiting.stderr();
    let estimate = said
        .split_once("Estimated wait: ~")
        .and_then(|(_, rest)| rest.split_once(" seconds"))
        .map(|(number, _)| number.parse::<u64>().unwrap());
    assert!(matches!(estimate, Some(1..=20)), "{said}");
    let mut json = sandbox.start(&["exec", "--json", "--wait", "2s", "--", "true"]);
    let refused = json.wait(SOON).exits(75);
    let document = json_lines(&refused.stderr).pop().unwrap();
    assert!(
        (1..=40).contains(&document["estimatedWaitSeconds"].as_u64().unwrap()),
        "{document}"
    );
    let after = document["retryAfterSeconds"].as_u64().unwrap();
    assert!((1..=30).contains(&after), "{document}");
    holder.finish().ok();
    waiting.wait(SOON).ok();
}

#[test]
fn events_of_a_command_that_writes_one_document_are_on_stderr() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut json = sandbox.start(&["diff", "--json", "--wait", "forever"]);
    json.until_says("lock.waiting");
    assert_eq!(json.stdout(), "");
    let (holder_pid, pid) = (holder.pid(), json.pid());
    let ticket = sandbox
        .tickets()
        .into_iter()
        .find(|t| t.pid == pid)
        .unwrap();
    holder.finish().ok();
    let said = json.wait(SOON).ok();
    said.json();
    let events = json_lines(&said.stderr);
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["lock.waiting", "lock.acquired"]);
    let first = &events[0];
    assert_eq!(
        (first["v"].as_i64(), first["seq"].as_i64()),
        (Some(1), Some(1))
    );
    assert!(first["ts"].as_str().unwrap().ends_with('Z'));
    assert_eq!(first["ticket"], ticket.id);
    assert_eq!(first["planId"], ticket.plan_id.as_str());
    assert_eq!(first["branch"], "main");
    assert_eq!(first["operation"], "view diffs");
    assert_eq!(first["scope"], "read");
    assert_eq!(
        (&first["position"], &first["total"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        first["ahead"],
        serde_json::json!({"readers": 0, "writers": 1})
    );
    assert_eq!(first["holder"]["pid"], holder_pid);
    assert_eq!(first["holder"]["state"], "running");
    assert!(first.get("givesUpInSeconds").is_none());
    assert!(first["waitedMs"].as_u64().unwrap() >= 400);
    assert!(events[1]["fencingToken"].as_i64().unwrap() > 0);
    assert_eq!(events[1]["seq"], 2);
}

#[test]
fn events_of_a_stream_are_part_of_it() {
    let sandbox = project();
    let holder = teller(&sandbox, "first");
    let mut second = sandbox
        .plandex([
            "tell", "second", "--reply", "-", "--json", "--wait", "forever",
        ])
        .stdin("an answer\n")
        .start();
    second.until_says("lock.waiting");
    holder.finish().ok();
    let said = second.wait(SOON).ok();
    assert_eq!(said.stderr, "");
    let events = json_lines(&said.stdout);
    assert_eq!(events.len(), said.stdout.lines().count());
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        types[..3],
        ["session.started", "lock.waiting", "lock.acquired"]
    );
    let last = types.len() - 2;
    assert_eq!(types[last..], ["turn.completed", "session.ended"]);
    let numbers: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
}

/// A reader that meets what a dead operation left waits for a turn to repair it: it says so, too.
#[test]
fn a_wait_for_a_repair_is_said() {
    let sandbox = project();
    teller(&sandbox, "first").kill();
    // It repairs first, and then reads; while it does, somebody dies once more.
    let holder = sandbox
        .plandex(["exec", "--read", "--", "sh", "-c", "echo up; cat"])
        .held_stdin()
        .start();
    holder.until_says("up\n");
    super::raw(&sandbox)
        .execute("UPDATE branches SET status = 'replying'", [])
        .unwrap();
    let mut reader = sandbox.start(&["exec", "--read", "--wait", "forever", "--", "true"]);
    reader.until_says("Position in queue: 2 of 2");
    holder.finish().ok();
    reader
        .wait(SOON)
        .ok()
        .says("Operation started after waiting ");
    is_clean(&sandbox);
}

/// What a shell's `<&-`, `>&-` and `2>&-` leave open.
#[test]
fn closed_streams_keep_nobody_from_waiting() {
    let sandbox = project();
    let binary = env!("CARGO_BIN_EXE_plandex");
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let holder = writer(&sandbox);
        let script = format!("exec '{binary}' exec --wait forever -- true {closed}");
        let mut waiting = sandbox.program("sh", ["-c", &script]).start();
        until_state(&sandbox, waiting.pid(), State::Waiting);
        holder.finish().ok();
        let ended = waiting.wait(SOON);
        assert!(matches!(ended.code, Some(0 | 141)), "{closed}: {ended}");
        is_clean(&sandbox);
    }
}

/// Somebody gave it a pipe and does not read: it still leaves the line when its time is over, and
/// still ends on the second signal.
#[test]
fn a_full_pipe_that_nobody_reads_keeps_no_place() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let (reader, writer) = std::io::pipe().unwrap();
    fill(&writer);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_plandex"));
    command
        .args(["exec", "--wait", "forever", "--", "true"])
        .current_dir(sandbox.root());
    sandbox.isolate(&mut command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer);
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    until_state(&sandbox, pid, State::Waiting);
    let id = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    sandbox.until_queue("it left the line", |line| line.iter().all(|t| t.pid != pid));
    // Whether its last words are still waiting to be written or not, it ends on a second one.
    let status = sandbox.until("it ends", || {
        rustix::process::kill_process(id, Signal::TERM).ok();
        child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(143));
    drop(reader);
    holder.finish().ok();
    is_clean(&sandbox);
}

/// The work is done and only its result is still to be printed: a signal ends that, too.
#[test]
fn a_result_that_nobody_reads_can_be_left() {
    let sandbox = project();
    let big = "a line of a big file\n".repeat(10_000);
    let reply = sandbox.write_beside("reply", &format!("big.txt\n```\n{big}```\n"));
    sandbox.ok(&["tell", "make it", "--reply", reply.to_str().unwrap()]);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_plandex"));
        command.arg("diff").current_dir(sandbox.root());
        sandbox.isolate(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        drop(command);
        let pid = child.id();
        sandbox.until("the pipe is full and its ticket given back", || {
            let full = rustix::io::ioctl_fionread(&reader).unwrap() >= 60_000;
            let gone = sandbox.tickets().iter().all(|ticket| ticket.pid != pid);
            (full && gone).then_some(())
        });
        let id = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
        let status = sandbox.until("it ends", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(code));
    }
    is_clean(&sandbox);
}

/// Fills `pipe` until it takes no more.
fn fill(pipe: &std::io::PipeWriter) {
    use rustix::fs::OFlags;
    let flags = rustix::fs::fcntl_getfl(pipe).unwrap();
    rustix::fs::fcntl_setfl(pipe, flags | OFlags::NONBLOCK).unwrap();
    let block = [b'x'; 4096];
    while rustix::io::write(pipe, &block).is_ok() {}
    while rustix::io::write(pipe, b"x").is_ok() {}
    rustix::fs::fcntl_setfl(pipe, flags).unwrap();
}
