//! How a batch ends: failures, panics, signals, and the exit code.

use std::time::Duration;

use rustix::process::Signal;

use super::{batch, line, objects, pipe, project, statuses};

fn owned(statuses: &[(u64, &str)]) -> Vec<(u64, String)> {
    statuses
        .iter()
        .map(|(number, status)| (*number, (*status).to_owned()))
        .collect()
}

#[test]
fn a_failed_line_takes_nothing_else_down_and_the_worst_code_is_the_batchs() {
    let sandbox = project();
    let lines = "exec --plan a -- sh -c 'exit 75'\nconvo --plan nope\nexec --plan a -- true\n\
                 exec --plan b -- /no/such/program\nexec --plan b -- true\n";
    let outcome = batch(&sandbox, lines).exits(127);
    let (results, verdict) = objects(&outcome);
    let expected = [
        (1, "failed"),
        (2, "failed"),
        (3, "done"),
        (4, "failed"),
        (5, "done"),
    ];
    assert_eq!(statuses(&results), owned(&expected));
    assert_eq!(verdict["exitCode"], 127);
    // The words for people.
    let outcome = sandbox
        .plandex(["batch", "-"])
        .stdin(lines)
        .finish()
        .exits(127);
    let outcome = outcome
        .says("line 1: exec --plan a -- sh -c 'exit 75': failed, exit 75")
        .says("✓ line 3: exec --plan a -- true")
        .says("2 of 5 lines done, 3 failed");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn fail_fast_starts_nothing_more() {
    let sandbox = project();
    let lines = "exec --plan a -- false\nexec --plan a -- true\nnew -n d\nconvo --plan d\n";
    let run = sandbox.plandex(["batch", "-", "--json", "--fail-fast"]);
    let (results, verdict) = objects(&run.stdin(lines).finish().exits(1));
    let expected = [
        (1, "failed"),
        (2, "not_run"),
        (3, "not_run"),
        (4, "not_run"),
    ];
    assert_eq!(statuses(&results), owned(&expected));
    assert_eq!(verdict["counts"]["notRun"], 3);
    let run = sandbox.plandex(["batch", "-", "--fail-fast"]);
    run.stdin(lines)
        .finish()
        .exits(1)
        .says("not run: lines 2-4");
}

/// A line that does not wait finds its plan taken: 75, and nothing else is wrong.
#[test]
fn lines_that_find_their_plan_taken_are_safe_to_retry() {
    let sandbox = project();
    let holder = sandbox
        .plandex(["exec", "--plan", "a", "--", "cat"])
        .held_stdin()
        .start();
    sandbox.until_queue("plan a is held", |line| !line.is_empty());
    let lines = "exec --plan a --no-wait -- true\nexec --plan b -- true\n";
    let (results, _) = objects(&batch(&sandbox, lines).exits(75));
    assert_eq!(line(&results, 1)["error"]["type"], "lock_conflict");
    assert_eq!(line(&results, 1)["error"]["safeToRetry"], true);
    assert_eq!(line(&results, 2)["status"], "done");
    holder.finish().ok();
}

/// Ctrl-C, TERM and HUP: what runs is cancelled, the rest is not run, the line is empty.
#[test]
fn a_signal_cancels_what_runs_and_reports_the_rest() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let sandbox = project();
        let open = pipe(&sandbox, "open");
        // No shell: one that is told INT just as it starts a program waits for that program.
        let lines = format!(
            "exec --plan a -- cat {open}\nexec --plan a -- true\n\
             tell --plan b --reply {open} x\nconvo --plan b\nnew -n d\n"
        );
        let batch = sandbox
            .plandex(["batch", "-", "--json"])
            .stdin(&lines)
            .start();
        sandbox.until_queue("both plans are held", |line| {
            let held = |ticket: &&plandex::store::tickets::Ticket| ticket.state.blocks();
            line.iter().filter(held).count() == 2
        });
        batch.signal(signal);
        let outcome = batch.finish().exits(code);
        let (results, verdict) = objects(&outcome);
        let statuses = statuses(&results);
        let of = |number: usize| statuses[number - 1].1.as_str();
        assert!(matches!(of(1), "cancelled" | "failed"), "{outcome}");
        assert_eq!(of(3), "cancelled", "{outcome}");
        assert_eq!([of(2), of(4), of(5)], ["not_run"; 3], "{outcome}");
        assert_eq!(verdict["counts"]["notRun"], 3);
        assert!(sandbox.tickets().is_empty());
    }
}

/// `plandex stop` ends one line; its neighbours and followers are not touched.
#[test]
fn a_line_that_is_stopped_fails_alone() {
    let sandbox = project();
    let open = pipe(&sandbox, "open");
    let lines = format!(
        "tell --plan a --reply {open} x\nexec --plan a -- echo after\nexec --plan b -- true\n"
    );
    let run = sandbox
        .plandex(["batch", "-", "--json"])
        .stdin(&lines)
        .start();
    sandbox.until_queue("the tell runs", |line| {
        line.iter().any(|ticket| ticket.reason == "tell execution")
    });
    run.until_says("\"line\":3");
    sandbox.ok(&["stop", "--plan", "a"]);
    let (results, _) = objects(&run.finish().exits(143));
    assert_eq!(line(&results, 1)["status"], "cancelled");
    assert_eq!(line(&results, 2)["stdout"], "after\n");
}

/// The command of a line that is stopped is ended with all that it started; another line's command,
/// which has the same owner file open, runs on.
#[test]
fn ending_one_lines_command_spares_the_others() {
    let sandbox = project();
    let open = pipe(&sandbox, "open");
    let lines = format!(
        "exec --plan a -- sh -c 'sleep 1000 & sleep 1000'\n\
         exec --plan b -- sh -c 'echo begun > begun; cat {open}; echo whole'\n"
    );
    let run = sandbox
        .plandex(["batch", "-", "--json"])
        .stdin(&lines)
        .start();
    sandbox.until_queue("both run", |line| line.len() == 2);
    sandbox.until("line 2 has begun", || {
        sandbox.root().join("begun").exists().then_some(())
    });
    sandbox.ok(&["stop", "--plan", "a"]);
    run.until_says("\"line\":1");
    std::fs::write(&open, "go on\n").unwrap();
    let (results, _) = objects(&run.finish());
    assert_eq!(line(&results, 2)["stdout"], "go on\nwhole\n");
    assert_eq!(line(&results, 1)["exitCode"], 143);
}

/// A panic in the middle of a transaction: that line's error, wherever it strikes, and no other's.
#[test]
fn a_panicking_line_takes_nothing_else_down() {
    let sandbox = project();
    let lines = "exec --plan a -- true\nexec --plan b -- true\nexec --plan c -- true\n\
                 exec --plan a -- true\nexec --plan b -- true\nexec --plan c -- true\n";
    for at in ["9", "14", "21"] {
        let outcome = sandbox
            .plandex(["batch", "-", "--json"])
            .env("PLANDEX_PANIC_AT", at)
            .stdin(lines)
            .finish()
            .exits(1);
        let (results, verdict) = objects(&outcome);
        assert_eq!(verdict["counts"]["panicked"], 1, "{outcome}");
        assert_eq!(verdict["counts"]["done"], 5, "{outcome}");
        let found = results
            .iter()
            .find(|one| one["status"] == "panicked")
            .unwrap();
        let message = found["error"]["message"].as_str().unwrap();
        assert!(message.contains("told to panic at"), "{message}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        for plan in ["a", "b", "c"] {
            sandbox.ok(&["exec", "--plan", plan, "--no-wait", "--", "true"]);
        }
    }
}

/// Whoever reads the results has gone away: the work is done all the same, and 141 says so.
#[test]
fn a_reader_that_is_gone_stops_the_words_not_the_work() {
    let sandbox = project();
    let script = "yes 'exec --plan a -- echo x' | head -20 | \"$0\" batch - --json | true; echo ok";
    let binary = env!("CARGO_BIN_EXE_plandex");
    let mut shell = sandbox.program("sh", ["-c", script, binary]).start();
    let outcome = shell.wait(Duration::from_secs(60)).ok();
    assert!(outcome.stdout.contains("ok"));
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
}

/// The other lines' commands have the same owner, and are left alone: even those that nothing but
/// their batch could tell from the victim's.
#[test]
fn a_line_that_is_released_by_force_takes_no_other_line_s_command_down() {
    for program in ["sh", "env -i sh"] {
        release_one_of_two(program);
    }
}

fn release_one_of_two(program: &str) {
    let sandbox = project();
    let open = pipe(&sandbox, "open");
    let begun = |plan: &str| sandbox.place().join("tmp").join(format!("begun-{plan}"));
    let one = |plan: &str| {
        let begun = begun(plan).display().to_string();
        format!("exec --plan {plan} -- {program} -c 'echo > {begun}; exec cat {open}'\n")
    };
    let mut batch = sandbox
        .plandex(["batch", "-", "--json"])
        .stdin(&(one("a") + &one("b")))
        .start();
    sandbox.until("both commands run", || {
        (begun("a").exists() && begun("b").exists()).then_some(())
    });
    let victim = sandbox.tickets()[0].id.to_string();
    sandbox.ok(&["locks", "release", &victim, "--even-if-alive"]);
    // Opened for both, so that it does not wait for a reader that is gone.
    let both = std::fs::File::options().read(true).write(true).open(&open);
    drop(both.unwrap());
    let outcome = batch.wait(Duration::from_secs(30)).exits(79);
    let (results, _) = objects(&outcome);
    let mut ends: Vec<String> = statuses(&results).into_iter().map(|one| one.1).collect();
    ends.sort();
    assert_eq!(ends, ["done", "failed"], "{outcome}");
}
