//! What git stands at, and where an entry goes.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{lines, put};
use crate::hook::{Event, Surroundings, capture, git};

fn run(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x", "-C"])
        .arg(dir)
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn stands(dir: &Path) -> (Option<String>, Option<String>) {
    let found = git::look(dir);
    assert!(found.timestamp.ends_with('Z'));
    (found.base_commit, found.branch)
}

#[test]
fn git_is_read_in_every_state() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("main");
    std::fs::create_dir_all(root.join("deep/er")).unwrap();
    assert_eq!(stands(&root), (None, None));
    run(&root, &["init", "-q", "-b", "trunk"]);
    let trunk = Some("trunk".to_owned());
    assert_eq!(stands(&root), (None, trunk.clone()));
    run(&root, &["commit", "-q", "--allow-empty", "-m", "one"]);
    let one = Some(run(&root, &["rev-parse", "HEAD"]));
    for dir in [&root, &root.join("deep/er")] {
        assert_eq!(stands(dir), (one.clone(), trunk.clone()));
    }
    run(&root, &["pack-refs", "--all"]);
    assert!(!root.join(".git/refs/heads/trunk").exists());
    assert_eq!(stands(&root), (one.clone(), trunk.clone()));
    // A linked work tree, of which the branch's name is a path.
    let linked = place.path().join("linked");
    run(
        &root,
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "a/b",
            linked.to_str().unwrap(),
        ],
    );
    assert_eq!(stands(&linked), (one.clone(), Some("a/b".to_owned())));
    run(&linked, &["commit", "-q", "--allow-empty", "-m", "two"]);
    let two = Some(run(&linked, &["rev-parse", "HEAD"]));
    assert_eq!(stands(&linked), (two, Some("a/b".to_owned())));
    run(&root, &["checkout", "-q", "--detach"]);
    assert_eq!(stands(&root), (one, None));
    // What is no repository of ours, or none any more.
    for head in [
        "",
        "\0\0",
        "ref: ../../../etc/passwd\n",
        "ref: refs/heads/.invalid\n",
        "0123\n",
    ] {
        put(&root.join(".git/HEAD"), head.as_bytes());
        assert_eq!(stands(&root).0, None, "{head:?}");
    }
    put(&linked.join(".git"), b"nonsense");
    assert_eq!(stands(&linked), (None, None));
}

#[test]
fn an_entry_goes_to_the_project_the_session_or_here() {
    let place = tempfile::tempdir().unwrap();
    let [project, session, here] = ["project", "session", "here"].map(|name| {
        let dir = place.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        dir
    });
    let around = |project: Option<&Path>| Surroundings {
        project: project.map(Path::to_owned),
        cwd: Some(here.clone()),
    };
    let input = json!({"session_id": "s", "cwd": session}).to_string();
    let log = |input: &str, around: &Surroundings| {
        let captured = capture(Event::Start, input.as_bytes(), around).unwrap();
        assert_eq!(captured.remarks, [""; 0]);
        captured.log.parent().unwrap().parent().unwrap().to_owned()
    };
    assert_eq!(log(&input, &around(Some(&project))), project);
    assert_eq!(log(&input, &around(None)), session);
    for cwd in [
        json!("relative"),
        json!("/not/there"),
        json!(7),
        Value::Null,
    ] {
        let input = json!({"session_id": "s", "cwd": cwd}).to_string();
        assert_eq!(log(&input, &around(None)), here, "{cwd}");
    }
    let nowhere = Surroundings::default();
    assert!(capture(Event::Start, b"{}", &nowhere).is_err());
}

#[test]
fn an_entry_has_the_seed_s_fields() {
    let place = tempfile::tempdir().unwrap();
    let lane = place.path().join("model_b");
    std::fs::create_dir(&lane).unwrap();
    let manifest = json!({"task_id": "t", "assignments": {"model_b": "small"}});
    put(
        &place.path().join("manifest.json"),
        manifest.to_string().as_bytes(),
    );
    let around = Surroundings {
        project: Some(lane.clone()),
        cwd: Some(lane.clone()),
    };
    let input = json!({
        "session_id": "s", "transcript_path": "/not/yet.jsonl", "cwd": lane, "source": "resume",
        "reason": "exit", "hook_event_name": "anything", "new": {"in": ["a", "later", "host"]},
    });
    let bytes = input.to_string();
    for event in [Event::Start, Event::End] {
        capture(event, bytes.as_bytes(), &around).unwrap();
    }
    let mut lines = lines(&lane.join("logs/session_s.jsonl"));
    for line in &mut lines {
        let stamp = line["timestamp"].take();
        assert!(stamp.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        assert_eq!(line["git_metadata"]["base_commit"], Value::Null);
        line.as_object_mut()
            .unwrap()
            .remove("git_metadata")
            .unwrap();
    }
    let expected = |kind: &str| {
        json!({
            "type": kind, "timestamp": null, "session_id": "s", "transcript_path": "/not/yet.jsonl",
            "cwd": lane, "reason": "exit", "task_id": "t", "model_lane": "model_b",
            "experiment_root": place.path(), "model_name": "small",
        })
    };
    let mut start = expected("session_start");
    start["source"] = "resume".into();
    assert_eq!(lines, [start, expected("session_end")]);
}

#[test]
fn any_input_is_noted() {
    let place = tempfile::tempdir().unwrap();
    let around = Surroundings {
        project: None,
        cwd: Some(place.path().to_owned()),
    };
    let big = format!(
        "{{\"session_id\": \"s\", \"x\": \"{}\"}}",
        "y".repeat(crate::hook::INPUT_MAX)
    );
    let deep = "[".repeat(100_000);
    let cases: [(&[u8], usize); 9] = [
        (b"", 1),
        (b"null", 1),
        (b"{", 1),
        (b"[]", 1),
        (deep.as_bytes(), 1),
        (big.as_bytes(), 1),
        (b"\xef\xbb\xbf{\"session_id\": \"bom\"}\r\n", 0),
        (b"{\"session_id\": \"\xff\"}", 0),
        (b"{\"session_id\": [1]}", 0),
    ];
    for (number, (input, remarks)) in cases.into_iter().enumerate() {
        let captured = capture(Event::End, input, &around).unwrap();
        assert_eq!(
            captured.remarks.len(),
            remarks,
            "{number}: {:?}",
            captured.remarks
        );
        assert_eq!(lines(&captured.log).len(), 1, "{number}");
    }
}
