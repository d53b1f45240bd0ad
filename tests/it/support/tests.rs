//! The tests' own footing: a harness that cannot fail proves nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rustix::process::Signal;

use super::{Background, Outcome, Run, Sandbox, needs, poll, skip, skip as skipping};

fn shell<'s>(sandbox: &'s Sandbox, script: &str) -> Run<'s> {
    sandbox.program("sh", ["-c", script])
}

/// The words of the panic that `work` ends in.
fn panic_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it must fail");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap()
}

#[test]
fn an_outcome_is_one_text_without_what_differs_from_run_to_run() {
    let sandbox = Sandbox::without_git();
    let script = "pwd; echo 0190b1b4-7c3f-7e07-8b7f-0123456789ab; echo pid $$ >&2; exit 3";
    let outcome = shell(&sandbox, script).finish().exits(3).says("pid ");
    assert!(
        outcome
            .text()
            .ends_with("--- stdout\n[ROOT]\n[ID]\n--- stderr\npid [PID]\n--- exit 3\n")
    );
    let failure = panic_of(|| drop(outcome.ok()));
    assert!(failure.contains("--- exit 3"), "{failure}");
}

#[test]
fn a_sandbox_lets_nothing_of_the_user_in() {
    let sandbox = Sandbox::without_git();
    let seen = sandbox.program("env", [""; 0]).finish().ok().stdout;
    let names: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    assert!(names.contains(&"HOME"));
    assert!(!seen.contains("PLANDEX_"), "{seen}");
    assert!(!names.contains(&"CARGO_MANIFEST_DIR"), "{seen}");
    let given = sandbox
        .program("env", [""; 0])
        .env("PLANDEX_ACTOR", "somebody")
        .cwd(sandbox.place())
        .finish();
    assert!(given.stdout.contains("PLANDEX_ACTOR=somebody"));
}

#[test]
fn a_new_project_is_a_clean_git_repository() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
    sandbox.write("src/lib.rs", "changed\n");
    assert_eq!(sandbox.git(&["status", "--porcelain"]), " M src/lib.rs\n");
    assert_eq!(sandbox.read("src/lib.rs"), "changed\n");
}

#[test]
fn a_held_pipe_keeps_a_program_where_it_is() {
    let sandbox = Sandbox::without_git();
    let mut reader: Background<'_> = shell(&sandbox, "read one; echo got $one; cat")
        .held_stdin()
        .start();
    reader.say("first\n");
    reader.until_says("got first");
    assert!(reader.is_running());
    reader.say("second\n");
    reader.close_stdin();
    let outcome: Outcome = reader.wait(Duration::from_secs(10));
    assert_eq!(outcome.ok().stdout, "got first\nsecond\n");
    let text = "x".repeat(1 << 20);
    let whole = shell(&sandbox, "cat").stdin(&text).finish().ok();
    assert_eq!(whole.stdout, text);
}

#[test]
fn signals_arrive() {
    let sandbox = Sandbox::without_git();
    let script = "trap 'echo heard; exit 7' INT; echo ready; while :; do sleep 0.01; done";
    let polite = shell(&sandbox, script).start();
    polite.until_says("ready");
    polite.signal(Signal::INT);
    polite.finish().exits(7);
    let stopped = shell(&sandbox, "echo ready; cat").held_stdin().start();
    stopped.until_says("ready");
    stopped.stop();
    stopped.cont();
    let killed = stopped.kill();
    assert_eq!((killed.code, killed.signal), (None, Some(9)));
}

#[test]
fn what_a_test_leaves_running_ends_with_it() {
    let sandbox = Sandbox::without_git();
    let script = "setsid sleep 1000 & echo $!; cat";
    let parent = shell(&sandbox, script).held_stdin().start();
    let child: u32 = sandbox.until("the child is there", || parent.stdout().trim().parse().ok());
    let is_there = || std::path::Path::new(&format!("/proc/{child}")).exists();
    assert!(is_there());
    drop(parent);
    drop(sandbox);
    let gone = poll(Duration::from_secs(10), || (!is_there()).then_some(()));
    assert!(gone.is_some(), "{child} still runs");
}

#[test]
fn waiting_in_vain_fails_with_everybodys_output() {
    let sandbox = Sandbox::without_git();
    let mut cat = shell(&sandbox, "echo here I am; cat").held_stdin().start();
    cat.until_says("here I am");
    let failure = panic_of(|| drop(cat.wait(Duration::from_millis(50))));
    assert!(failure.contains("has not ended"), "{failure}");
    assert!(failure.contains("here I am"), "{failure}");
}

#[test]
fn the_watchdog_turns_a_hang_into_a_failure() {
    let sandbox = Sandbox::with_limit(Duration::from_millis(200));
    let cat = shell(&sandbox, "echo stuck; cat").held_stdin().start();
    let failure = panic_of(|| sandbox.until("nothing ever", || None));
    assert!(failure.contains("nothing ever"), "{failure}");
    assert!(failure.contains("stuck"), "{failure}");
    assert_eq!(cat.finish().signal, Some(9));
}

#[test]
fn a_missing_program_is_a_skip_or_a_failure() {
    assert!(skipping::has("sh"));
    assert!(!skipping::has("no-such-program-anywhere"));
    fn needs_a_shell(reached: &mut bool) {
        needs!("sh");
        *reached = true;
    }
    let mut reached = false;
    needs_a_shell(&mut reached);
    assert!(reached);
    // Said by a process of its own, which may be told that no skip is allowed.
    if std::env::var_os("IT_SKIP").is_some() {
        skip!("it was asked to");
    }
    let me = std::env::current_exe().unwrap();
    let name = "support::tests::a_missing_program_is_a_skip_or_a_failure";
    let sandbox = Sandbox::without_git();
    let again = |no_skips: &str| {
        sandbox
            .program(me.to_str().unwrap(), ["--exact", name])
            .env("IT_SKIP", "1")
            .env("PLANDEX_TEST_NO_SKIPS", no_skips)
            .finish()
    };
    again("").ok().says("skipped: 1 (");
    again("1").exits(101);
}

#[test]
fn a_dump_shows_every_table_and_nothing_that_differs() {
    use plandex::store::plans::{self, NewPlan};
    use plandex::store::{Connections, Store};
    let dump_of_a_new_one = || {
        let sandbox = Sandbox::without_git();
        drop(Store::create(&sandbox.state_dir(), Connections::One).unwrap());
        sandbox.quicken();
        let new = NewPlan::draw();
        let version = "0123456789012345678901234567890123456789";
        sandbox
            .store()
            .choose(Duration::from_secs(5), |tx| {
                plans::create(tx, &new, "one", version)
            })
            .unwrap();
        assert!(sandbox.tickets().is_empty());
        let line = sandbox.until_queue("nobody waits", |line| line.is_empty());
        assert!(line.is_empty());
        assert!(sandbox.report().contains("the queue:\nempty"));
        sandbox.dump()
    };
    let dump = dump_of_a_new_one();
    assert!(
        dump.contains("plans: id=\"#2\" name=\"one\" is_draft=0 created_at=~"),
        "{dump}"
    );
    assert!(dump.contains("head=v1"), "{dump}");
    assert!(dump.contains("name=\"lock.lease\" value=\"600\""), "{dump}");
    assert_eq!(dump, dump_of_a_new_one());
}

#[test]
fn the_binary_is_there_and_says_its_version() {
    let sandbox = Sandbox::without_git();
    let version = concat!("plandex ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(sandbox.ok(&["--version"]).stdout, version);
    assert_eq!(sandbox.start(&["--version"]).finish().stdout, version);
    assert_ne!(sandbox.run(&["no-such-command"]).code, Some(0));
}

#[test]
fn json_is_one_document_or_a_failure() {
    let sandbox = Sandbox::without_git();
    let file = sandbox.write_beside("document", "{\"schemaVersion\": 1}\n");
    let whole = sandbox.program("cat", [&file]).finish();
    assert_eq!(whole.json()["schemaVersion"], 1);
    let twice = sandbox.program("cat", [&file, &file]).finish();
    assert!(panic_of(|| drop(twice.json())).contains("not one JSON document"));
}

#[test]
fn a_sandbox_is_gone_with_its_test_unless_it_is_kept() {
    let gone = Sandbox::without_git().place().to_owned();
    assert!(!gone.exists());
    let sandbox = Sandbox::without_git();
    sandbox.write("evidence", "x");
    let kept = sandbox.keep();
    assert!(kept.join("project/evidence").exists());
    std::fs::remove_dir_all(kept).unwrap();
}
