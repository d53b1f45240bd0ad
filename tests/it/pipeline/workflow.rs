//! `.github/workflows/concurrency-tests.yml` against SEED.md B.6.

use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::{Map, Value, json};

use super::{JOBS, files, read};

const FILE: &str = ".github/workflows/concurrency-tests.yml";

/// What stands in a source that has to do with more than one thread or process.
const CONCURRENT: [&str; 5] = [
    "std::thread",
    "parking_lot",
    "crossbeam_channel",
    "sync::atomic",
    "file_lock",
];

fn value(yaml: &Yaml<'_>) -> Value {
    if let Some(entries) = yaml.as_mapping() {
        let entry = |(key, entry): (&Yaml<'_>, &Yaml<'_>)| {
            let key = key.as_str().unwrap_or_else(|| panic!("the key {key:?}"));
            (key.to_owned(), value(entry))
        };
        Value::Object(entries.iter().map(entry).collect())
    } else if let Some(items) = yaml.as_sequence() {
        items.iter().map(value).collect()
    } else if let Some(truth) = yaml.as_bool() {
        truth.into()
    } else if let Some(number) = yaml.as_integer() {
        number.into()
    } else {
        yaml.as_str().map_or(Value::Null, Value::from)
    }
}

fn workflow() -> Value {
    let text = read(FILE);
    let documents = Yaml::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1);
    value(&documents[0])
}

/// The patterns that select by path, as the hosting service reads them: `*` stays in a directory,
/// `**` does not.
fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        let rest = rest.strip_prefix('/').unwrap_or(rest);
        return (0..=path.len()).any(|at| path.is_char_boundary(at) && matches(rest, &path[at..]));
    }
    match (pattern.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            let inside = path.find('/').unwrap_or(path.len());
            (0..=inside).any(|at| path.is_char_boundary(at) && matches(&pattern[1..], &path[at..]))
        }
        (Some(one), Some(other)) if one == other => {
            matches(&pattern[one.len_utf8()..], &path[other.len_utf8()..])
        }
        _ => false,
    }
}

fn strings(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// What the workflow has that it must not have, and lacks that it must have. `concurrent` are the
/// sources that it must not overlook.
fn check(workflow: &Value, tracked: &[String], concurrent: &[String]) -> Vec<String> {
    let mut found = check_triggers(&workflow["on"], tracked, concurrent);
    if workflow["permissions"] != json!({ "contents": "read" }) {
        found.push("it may do more than read the repository".to_owned());
    }
    let empty = Map::new();
    let jobs = workflow["jobs"].as_object().unwrap_or(&empty);
    for name in JOBS.iter().chain(["summary"].iter()) {
        match jobs.get(*name) {
            None => found.push(format!("{name}: is not there")),
            Some(job) => found.extend(check_job(name, job)),
        }
    }
    for name in jobs.keys() {
        if name != "summary" && !JOBS.contains(&name.as_str()) {
            found.push(format!("{name}: nobody knows this job"));
        }
    }
    found.extend(check_summary(&workflow["jobs"]["summary"]));
    let manual = "github.event_name != 'workflow_dispatch' || inputs.run_stress_tests";
    if workflow["jobs"]["stress-tests"]["if"] != manual {
        found.push("stress-tests: does not follow run_stress_tests alone".to_owned());
    }
    found
}

fn check_triggers(on: &Value, tracked: &[String], concurrent: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    if on["push"]["branches"] != json!(["main", "develop"]) {
        found.push("push: not main and develop".to_owned());
    }
    if on["schedule"] != json!([{ "cron": "0 3 * * *" }]) {
        found.push("schedule: not daily at three".to_owned());
    }
    let input = &on["workflow_dispatch"]["inputs"]["run_stress_tests"];
    if input["type"] != "boolean" || input["default"] != true {
        found.push("workflow_dispatch: run_stress_tests is not true by default".to_owned());
    }
    for event in ["push", "pull_request"] {
        let patterns = strings(&on[event]["paths"]);
        for pattern in &patterns {
            if !tracked.iter().any(|path| matches(pattern, path)) {
                found.push(format!("{event}: {pattern} matches no file"));
            }
        }
        for path in concurrent {
            if !patterns.iter().any(|pattern| matches(pattern, path)) {
                found.push(format!("{event}: {path} may change unseen"));
            }
        }
    }
    found
}

fn check_job(name: &str, job: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !job["timeout-minutes"]
        .as_u64()
        .is_some_and(|minutes| (1..=60).contains(&minutes))
    {
        found.push(format!("{name}: has no limit of an hour or less"));
    }
    if !job["permissions"].is_null() {
        found.push(format!("{name}: has permissions of its own"));
    }
    for step in steps(job) {
        let uses = step["uses"].as_str().unwrap_or_default();
        let commit = uses.rsplit_once('@').map_or("", |(_, version)| version);
        let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
        if step["run"].is_null() && !is_commit {
            found.push(format!("{name}: {uses:?} is no commit of an action"));
        }
    }
    // A step that may fail, or another shell than the one that ends at the first error.
    if job.to_string().contains("continue-on-error") || job.to_string().contains("\"shell\"") {
        found.push(format!("{name}: a step may fail"));
    }
    if name != "summary" {
        found.extend(check_test_job(name, job));
    }
    found
}

fn check_test_job(name: &str, job: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let runs = |step: &&Value| step["run"] == format!("scripts/ci-local {name}");
    if steps(job).iter().filter(runs).count() != 1 {
        found.push(format!("{name}: does not run scripts/ci-local {name}"));
    }
    if name != "stress-tests" && !job["if"].is_null() {
        found.push(format!("{name}: does not always run"));
    }
    let keeps = |step: &&Value| {
        let action = step["uses"].as_str().unwrap_or_default();
        action.starts_with("actions/upload-artifact@")
            && step["if"] == "always()"
            && step["with"]["path"] == "target/ci-logs/"
            && step["with"]["if-no-files-found"] == "error"
            && step["with"]["retention-days"] == 14
    };
    if steps(job).iter().filter(keeps).count() != 1 {
        found.push(format!(
            "{name}: its logs are not kept for 14 days, come what may"
        ));
    }
    found
}

fn check_summary(job: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if strings(&job["needs"]) != JOBS {
        found.push("summary: does not need all five".to_owned());
    }
    if job["if"] != "always()" {
        found.push("summary: does not always run".to_owned());
    }
    let results = JOBS.map(|name| format!("{name}=${{{{ needs.{name}.result }}}}"));
    let command = format!("scripts/ci-job summary {}", results.join(" "));
    if !steps(job).iter().any(|step| {
        step["run"]
            .as_str()
            .is_some_and(|run| run.trim() == command)
    }) {
        found.push("summary: does not judge all five".to_owned());
    }
    if job["env"]["RUN_STRESS_TESTS"] != "${{ inputs.run_stress_tests }}" {
        found.push("summary: does not know whether stress-tests should run".to_owned());
    }
    found
}

fn tracked() -> Vec<String> {
    let files = files().into_iter();
    files
        .map(|path| path.to_str().unwrap().to_owned())
        .collect()
}

fn concurrent(tracked: &[String]) -> Vec<String> {
    let is = |path: &&String| {
        path.starts_with("src/") && CONCURRENT.iter().any(|name| read(path).contains(name))
    };
    tracked.iter().filter(is).cloned().collect()
}

#[test]
fn the_workflow_is_as_it_must_be() {
    let tracked = tracked();
    let concurrent = concurrent(&tracked);
    assert!(concurrent.len() > 30, "{concurrent:?}");
    let found = check(&workflow(), &tracked, &concurrent);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// It is tested with the compiler that the package names.
#[test]
fn the_workflow_has_the_package_s_compiler() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let version = manifest["package"]["rust-version"].as_str().unwrap();
    let installed = workflow()["env"]["RUSTUP_TOOLCHAIN"].clone();
    assert_eq!(installed.as_str().unwrap(), format!("{version}.0"));
    for job in JOBS {
        let installs = "rustup toolchain install \"$RUSTUP_TOOLCHAIN\" --profile minimal";
        let workflow = workflow();
        let steps = steps(&workflow["jobs"][job]);
        assert!(steps.iter().any(|step| step["run"] == installs), "{job}");
    }
}

#[test]
fn a_workflow_that_is_not_is_found() {
    let good = workflow();
    let tracked = tracked();
    let concurrent = concurrent(&tracked);
    let planted: [(&str, Value, &str); 18] = [
        (
            "/on/push/branches",
            json!(["main"]),
            "push: not main and develop",
        ),
        (
            "/on/schedule/0/cron",
            json!("0 4 * * *"),
            "not daily at three",
        ),
        (
            "/on/workflow_dispatch/inputs/run_stress_tests/default",
            json!(false),
            "not true by default",
        ),
        (
            "/on/push/paths/0",
            json!("app/server/db/*.go"),
            "matches no file",
        ),
        (
            "/on/pull_request/paths",
            json!(["Cargo.toml"]),
            "may change unseen",
        ),
        ("/permissions", json!("write-all"), "may do more"),
        (
            "/jobs/doctor-tests",
            Value::Null,
            "doctor-tests: does not run",
        ),
        (
            "/jobs/doctor-tests/timeout-minutes",
            json!(600),
            "has no limit",
        ),
        (
            "/jobs/backoff-tests/steps/0/uses",
            json!("actions/checkout@v4"),
            "no commit",
        ),
        (
            "/jobs/backoff-tests/steps/2/run",
            json!("scripts/ci-local backoff-tests || true"),
            "does not run scripts/ci-local backoff-tests",
        ),
        (
            "/jobs/race-detection/steps/2/run",
            json!("scripts/ci-local race-detection | tee log"),
            "does not run scripts/ci-local race-detection",
        ),
        (
            "/jobs/race-detection/steps/3/if",
            json!("success()"),
            "are not kept",
        ),
        (
            "/jobs/race-detection/steps/3/with/retention-days",
            json!(1),
            "are not kept",
        ),
        (
            "/jobs/stress-tests/if",
            json!("false"),
            "run_stress_tests alone",
        ),
        (
            "/jobs/summary/if",
            json!("success()"),
            "summary: does not always run",
        ),
        (
            "/jobs/summary/needs/4",
            json!("summary"),
            "does not need all five",
        ),
        (
            "/jobs/summary/steps/1/run",
            json!("true"),
            "does not judge all five",
        ),
        (
            "/jobs/summary/steps/0",
            json!({ "continue-on-error": true, "run": "true" }),
            "a step may fail",
        ),
    ];
    for (place, value, words) in planted {
        let mut bad = good.clone();
        *bad.pointer_mut(place)
            .unwrap_or_else(|| panic!("{place} is not there")) = value;
        let found = check(&bad, &tracked, &concurrent);
        assert!(
            found.iter().any(|line| line.contains(words)),
            "{place}: {found:?}"
        );
    }
}

#[test]
fn patterns_match_as_the_hosting_service_matches_them() {
    for (pattern, path) in [
        ("src/lock/**", "src/lock/tests/mod.rs"),
        ("src/*.rs", "src/lib.rs"),
        ("**/mod.rs", "mod.rs"),
        ("**/mod.rs", "src/lock/mod.rs"),
        ("Cargo.lock", "Cargo.lock"),
    ] {
        assert!(matches(pattern, path), "{pattern} {path}");
    }
    for (pattern, path) in [
        ("src/*.rs", "src/lock/mod.rs"),
        ("src/lock/**", "src/locks.rs"),
        ("Cargo.lock", "tests/fuzz/Cargo.lock"),
        ("src", "src/lib.rs"),
    ] {
        assert!(!matches(pattern, path), "{pattern} {path}");
    }
}
