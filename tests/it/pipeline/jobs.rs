//! `scripts/ci-job` and `scripts/ci-local`, with a cargo that says what the test wants it to say.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::{JOBS, read, root, text};

/// SEED.md B.3 and §7, by job: each name selects a test here, so that it cannot be lost.
const NAMES: [(&str, &[&str]); 4] = [
    (
        "concurrency-unit-tests",
        &[
            "concurrent_queue_access_stress::concurrent_queue_creation",
            "concurrent_queue_access_stress::concurrent_operation_addition",
            "queue_concurrent_access",
            "queue_batching::write_operations_are_not_batched",
            "queue_batching::same_branch_reads_are_batched",
            "queue_batching::different_branch_reads_stop_batching",
            "queue_batching::root_branch_reads_are_not_batched",
            "timer_drain_pattern::drain_works_when_timer_fired_and_read",
            "timer_drain_pattern::drain_works_when_timer_has_not_fired",
            "timer_drain_pattern::drain_works_when_timer_fired_not_read",
            "channel_patterns::buffered_error_channel_prevents_leak",
            "channel_patterns::done_channel_pattern_with_timeout",
            "lock_conflict_detection::write_conflicts_with_read",
            "lock_conflict_detection::read_conflicts_different_branch",
            "lock_conflict_detection::read_compatible_same_branch",
            "context_cancellation::operation_respects_cancellation",
            "context_cancellation::operation_respects_timeout",
            "mutex_usage::active_lock_ids_concurrent_access",
            "concurrent_tell_operations",
            "lock_cleanup_after_crash",
            "heartbeat_failure_recovery",
            "file_locking::concurrent_writes",
        ],
    ),
    (
        "doctor-tests",
        &[
            "doctor_response_serialization::serialize_empty_response",
            "doctor_response_serialization::serialize_with_stale_locks",
            "doctor_issue_types",
            "issue_severity_levels",
            "check_status_values",
            "concurrency_error_types::lock_timeout",
            "concurrency_error_types::lock_conflict",
            "concurrency_error_types::queue_full",
            "concurrency_error_types::deadlock",
            "concurrency_error_types::heartbeat_lost",
            "server_metrics",
            "doctor_request",
        ],
    ),
    (
        "stress-tests",
        &[
            "stress_queue_map_access::high_volume_queue_map_access",
            "stress_lock_acquisition",
        ],
    ),
    (
        "backoff-tests",
        &[
            "retry_backoff::attempt_0",
            "retry_backoff::attempt_1",
            "retry_backoff::attempt_2",
            "retry_backoff::attempt_3",
            "retry_backoff::attempt_4",
            "retry_backoff::attempt_5",
        ],
    ),
];

/// What a cargo prints whose filters all select a test that passes.
const ALL_PASS: &str = "echo 'running 9 tests'
while [ $# -gt 0 ] && [ \"$1\" != -- ]; do shift; done
for filter in \"$@\"; do echo \"test a::${filter}b ... ok\"; done
echo \"$@\" >>\"$CALLS\"";

/// A place with a cargo that does `does`.
struct Stub {
    dir: tempfile::TempDir,
}

impl Stub {
    fn new(does: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cargo = dir.path().join("cargo");
        std::fs::write(&cargo, format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir }
    }

    fn run(&self, script: &str, words: &[&str]) -> Output {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.dir.path().to_owned()).chain(std::env::split_paths(&path));
        // By a shell of its own: the file that was just written is not run from this process.
        let mut run = Command::new("bash");
        run.arg(root().join("scripts").join(script)).args(words);
        run.env("PATH", std::env::join_paths(dirs).unwrap());
        run.env("CARGO_TARGET_DIR", self.target());
        run.env("CALLS", self.dir.path().join("calls"));
        run.env_remove("RUN_STRESS_TESTS").env_remove("CI_LOGS");
        run.output().unwrap()
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    /// What it was asked to run, a line each time.
    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.dir.path().join("calls")).unwrap();
        calls.lines().map(str::to_owned).collect()
    }

    /// The job must fail and say this.
    #[track_caller]
    fn fails(&self, job: &str, words: &str) {
        let output = self.run("ci-local", &[job]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(words), "{text}");
        assert!(
            text.contains(&format!("== {job}: failure after ")),
            "{text}"
        );
        let log = std::fs::read_to_string(self.target().join(format!("ci-logs/{job}.log")));
        assert!(log.unwrap().contains(words));
    }
}

#[test]
fn all_jobs_run_and_are_summed_up() {
    let stub = Stub::new(ALL_PASS);
    let output = stub.run("ci-local", &[]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for job in JOBS {
        let line = format!("{job:24} success");
        assert!(text.contains(&line), "{text}");
        let log = std::fs::read_to_string(stub.target().join(format!("ci-logs/{job}.log")));
        assert!(log.unwrap().ends_with(&format!("ci: {job}: good\n")));
    }
}

#[test]
fn each_name_of_the_seed_is_a_filter_of_its_job() {
    for (job, names) in NAMES {
        let stub = Stub::new(ALL_PASS);
        let output = stub.run("ci-local", &[job]);
        assert!(output.status.success(), "{}", text(&output));
        let calls = stub.calls();
        for name in names {
            let words = |line: &String| line.split(' ').any(|word| word == *name);
            assert!(calls.iter().any(words), "{job}: {name} is not in {calls:?}");
        }
    }
}

#[test]
fn a_filter_that_selects_nothing_fails_its_job() {
    let stub = Stub::new(&ALL_PASS.replace("for filter", "shift 2\nfor filter"));
    stub.fails("backoff-tests", "no test ran for: retry_backoff::attempt_0");
    stub.fails("race-detection", "no test ran for: hook::");
}

#[test]
fn a_test_that_is_ignored_did_not_run() {
    let stub = Stub::new(&ALL_PASS.replace("... ok", "... ignored"));
    stub.fails(
        "doctor-tests",
        "no test ran for: doctor_response_serialization",
    );
}

#[test]
fn a_failing_test_fails_its_job_by_name() {
    let does = format!("{ALL_PASS}\necho 'test a::b ... FAILED'; exit 101");
    let stub = Stub::new(&does);
    for job in JOBS {
        stub.fails(
            job,
            &format!("ci: {job}: tests failed: a::b (cargo ended with 101)"),
        );
    }
}

#[test]
fn a_build_that_breaks_fails_its_job() {
    let broken = "echo 'error: could not compile `plandex` (lib test)' >&2; exit 101";
    for does in [
        broken.to_owned(),
        format!("{ALL_PASS}\n{broken}"),
        "exit 1".to_owned(),
    ] {
        let stub = Stub::new(&does);
        for job in JOBS {
            stub.fails(job, &format!("ci: {job}: the build broke"));
        }
    }
}

/// A child of a test may have a race that the test does not hear of.
#[test]
fn a_report_of_the_sanitizer_fails_the_job_though_every_test_passes() {
    let reports = "path=${TSAN_OPTIONS##*log_path=}
        [ -z \"$TSAN_OPTIONS\" ] || echo 'SUMMARY: ThreadSanitizer: data race x.rs:7' >\"$path.123\"";
    let stub = Stub::new(&format!("{ALL_PASS}\n{reports}"));
    stub.fails(
        "race-detection",
        "ci: race-detection: ThreadSanitizer reported 1 times",
    );
    stub.fails("race-detection", "data race x.rs:7");
}

#[test]
fn one_that_fails_does_not_keep_the_others_from_running() {
    let does = format!("{ALL_PASS}\ncase $* in *retry_backoff*) exit 101 ;; esac");
    let stub = Stub::new(&does);
    let output = stub.run("ci-local", &["backoff-tests", "doctor-tests"]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("backoff-tests            failure"), "{text}");
    assert!(text.contains("doctor-tests             success"), "{text}");
}

#[test]
fn what_was_skipped_is_told() {
    let stub = Stub::new(&format!("{ALL_PASS}\necho 'skipped: 1 (a: no strace)' >&2"));
    let output = stub.run("ci-local", &["backoff-tests"]);
    assert!(output.status.success());
    let text = text(&output);
    assert!(text.contains("skipped: 1 (a: no strace)"), "{text}");
}

#[test]
fn a_job_that_nobody_knows_is_no_success() {
    let stub = Stub::new(ALL_PASS);
    let output = stub.run("ci-job", &["backof-tests"]);
    assert_eq!(output.status.code(), Some(2));
    for job in JOBS {
        assert!(text(&output).contains(job));
    }
    stub.fails("backof-tests", "scripts/ci-job backoff-tests");
}

#[test]
fn the_summary_takes_nothing_but_success() {
    let stub = Stub::new("exit 1");
    let summed = |words: &[&str]| stub.run("ci-job", &[&["summary"], words].concat());
    assert!(summed(&["a=success", "b=success"]).status.success());
    for bad in ["failure", "cancelled", "skipped", "", "sucess"] {
        let bad = format!("stress-tests={bad}");
        let output = summed(&["a=success", &bad, "c=success"]);
        assert_eq!(output.status.code(), Some(1), "{bad}");
    }
    assert_eq!(summed(&[]).status.code(), Some(1));
    // Left out by hand, which is good for that one job only.
    let script = root().join("scripts/ci-job");
    let by_hand = |job: &str, asked: &str| {
        let mut run = Command::new(&script);
        run.args(["summary", "a=success", &format!("{job}=skipped")]);
        run.env("RUN_STRESS_TESTS", asked).output().unwrap().status
    };
    assert!(by_hand("stress-tests", "false").success());
    assert!(!by_hand("stress-tests", "true").success());
    assert!(!by_hand("stress-tests", "").success());
    assert!(!by_hand("doctor-tests", "false").success());
}

/// What is suppressed is std's and the libraries', and each line has its reason above it.
#[test]
fn the_sanitizer_overlooks_nothing_of_plandex() {
    let text = read("scripts/tsan.supp");
    let mut reason = false;
    let mut entries = 0;
    for line in text.lines() {
        if line.starts_with("# ") {
            reason = true;
        } else if let Some(pattern) = line.strip_prefix("race:") {
            assert!(reason, "{line}: no reason is given");
            let outside = ["/library/", "<alloc::", "/crossbeam-channel-", "<uuid::"];
            assert!(
                outside.iter().any(|start| pattern.starts_with(start)),
                "{line}: is neither std's nor a library's"
            );
            (reason, entries) = (false, entries + 1);
        } else {
            assert_eq!(line, "");
        }
    }
    assert!(entries > 0);
}
