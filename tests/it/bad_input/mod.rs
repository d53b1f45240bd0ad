//! What people, models and disks get wrong: a clear error with the documented code and a next
//! command, and nothing lost.

mod damage;

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use crate::crash_points::{files, rows};
use crate::support::{Outcome, Sandbox};

/// A project with a plan, a loaded file and a change that is pending.
fn project() -> Sandbox {
    let sandbox = Sandbox::without_git();
    sandbox.write("a.txt", "one\ntwo\n");
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&["load", "a.txt"]);
    sandbox.ok(&["tell", &edit("a.txt", "one", "ONE")]);
    sandbox
}

/// A block that replaces `from` (nothing: a new file) with `to`.
fn edit(path: &str, from: &str, to: &str) -> String {
    let from = if from.is_empty() {
        String::new()
    } else {
        format!("{from}\n")
    };
    format!("{path}\n```\n<<<<<<< SEARCH\n{from}=======\n{to}\n>>>>>>> REPLACE\n```\n")
}

/// A refusal: its code, an error and a hint for people, and nothing of the program's insides.
#[track_caller]
fn refused(outcome: &Outcome, code: i32, words: &str) {
    assert_eq!(outcome.code, Some(code), "\n{outcome}");
    let said = &outcome.stderr;
    assert!(said.contains("error: "), "no error\n{outcome}");
    assert!(
        said.contains(words),
        "{words:?} is not on stderr\n{outcome}"
    );
    let next = [
        "hint: ",
        "Usage: ",
        "is not a time to wait: use",
        "use forever",
        "try '--help'",
    ];
    assert!(
        next.iter().any(|next| said.contains(next)),
        "no next command\n{outcome}"
    );
    no_panic(outcome);
}

#[track_caller]
fn no_panic(outcome: &Outcome) {
    for insides in ["panicked", "RUST_BACKTRACE", ".rs:", "rusqlite"] {
        assert!(!outcome.stderr.contains(insides), "{insides}\n{outcome}");
    }
}

/// Runs each command line, which is refused and changes neither rows nor files.
#[track_caller]
fn all_refused(sandbox: &Sandbox, cases: &[(&[&str], i32, &str)]) {
    let (rows_before, files_before) = (rows(sandbox), files(sandbox));
    for (args, code, words) in cases {
        refused(&sandbox.run(args), *code, words);
        assert_eq!(rows(sandbox), rows_before, "{args:?}");
    }
    assert_eq!(files(sandbox), files_before);
    assert!(sandbox.tickets().is_empty());
}

#[test]
fn mistakes_on_the_command_line_change_nothing() {
    let sandbox = project();
    let reply = sandbox.write_beside("reply", &edit("a.txt", "one", "1"));
    let (reply, tmp) = (reply.to_str().unwrap(), sandbox.place().join("tmp"));
    let tmp = tmp.to_str().unwrap();
    let below_file = sandbox.root().join("a.txt/below");
    let below_file = below_file.to_str().unwrap();
    all_refused(
        &sandbox,
        &[
            (&["status", "--plan", "nobody"], 2, "no plan \"nobody\""),
            (&["tell", "x", "--plan", "nobody"], 2, "no plan \"nobody\""),
            (&["status", "--branch", "twig"], 2, "has no branch \"twig\""),
            (&["cd", "nobody"], 2, "no plan \"nobody\""),
            (&["cd", "0"], 2, "no plan \"0\""),
            (&["checkout", "twig"], 2, "has no branch \"twig\""),
            (&["new", "--name", "  "], 2, "name is empty"),
            (&["new", "--name", "draft"], 2, "already a plan \"draft\""),
            (&["checkout", "-b", " "], 2, "name is empty"),
            (&["tell", ""], 2, "the prompt is empty"),
            (&["tell", " \n\t"], 2, "the prompt is empty"),
            (&["tell"], 2, "the prompt is empty"),
            (&["tell", "no edit in it"], 4, "no model is configured"),
            (&["tell", "x", "--reply", tmp], 2, "is a directory"),
            (
                &["tell", "x", "--reply", "nowhere"],
                2,
                "No such file or directory",
            ),
            (&["tell", "x", "--reply", below_file], 2, "Not a directory"),
            (&["tell", "-f", "nowhere"], 2, "No such file or directory"),
            (&["tell", "-f", tmp], 2, "s a directory"),
            (&["tell", "-f", below_file], 2, "Not a directory"),
            (&["tell", "x", "-f", reply], 2, "cannot be used with"),
            (
                &["tell", "--reply", "-"],
                2,
                "cannot both come from standard input",
            ),
            (
                &["tell", "-", "--reply", "-"],
                2,
                "cannot both come from standard input",
            ),
            (&["load", "nowhere"], 2, "no such file: nowhere"),
            (&["load", below_file], 2, "a.txt/below"),
            (&["load", "*.none"], 2, "*.none"),
            (&["load", "."], 2, "-r loads the files in it"),
            (&["load", reply], 2, "is outside the project"),
            (&["load", ".plandex/plandex.db"], 2, ".plandex"),
            (&["load", "--note", ""], 2, "hint: "),
            (&["load"], 2, "nothing to load"),
            (&["diff", "--wait=-5"], 2, "\"-5\" is not a time to wait"),
            (&["status", "--wait=-5"], 2, "\"-5\" is not a time to wait"),
            (
                &["diff", "--wait", "99999999999999999999"],
                2,
                "more than 365 days",
            ),
            (&["diff", "--wait", "soon"], 2, "\"soon\""),
            (&["diff", "--wait", "1s", "--no-wait"], 2, "cannot be used"),
            (&["plans", "--color", "mauve"], 2, "mauve"),
            (&["apply", "--on-conflict", "pray"], 2, "pray"),
            (&["log", "-n", "-1"], 2, "unexpected argument"),
            (&["no-such-command"], 2, "no-such-command"),
        ],
    );
}

#[test]
fn an_error_as_json_is_one_document_with_the_same_code() {
    let sandbox = project();
    let outcome = sandbox.run(&["status", "--json", "--plan", "nobody"]);
    assert_eq!(outcome.code, Some(2), "\n{outcome}");
    assert_eq!(outcome.stdout, "");
    let said: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
    assert_eq!(said["schemaVersion"], 1);
    assert_eq!(said["type"], "no_plan");
    assert_eq!(said["exitCode"], 2);
    assert_eq!(said["safeToRetry"], false);
    assert!(said["hint"].as_str().unwrap().contains("plandex plans"));
}

#[test]
fn the_environment_is_checked_like_the_command_line() {
    let sandbox = project();
    let before = rows(&sandbox);
    let wait = sandbox
        .plandex(["status"])
        .env("PLANDEX_WAIT", "soon")
        .finish();
    refused(&wait, 2, "PLANDEX_WAIT");
    let dir = sandbox.root().join("a.txt");
    let place = sandbox
        .plandex(["status"])
        .env("PLANDEX_DIR", &dir)
        .finish();
    refused(
        &place,
        1,
        "PLANDEX_DIR is [ROOT]/a.txt".split(' ').next().unwrap(),
    );
    let new = sandbox
        .plandex(["new", "-n", "draft"])
        .env("PLANDEX_DIR", &dir)
        .finish();
    refused(&new, 1, "it is not a directory");
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
    assert_eq!(rows(&sandbox), before);
}

#[test]
fn without_a_project_every_command_says_how_to_make_one() {
    let sandbox = Sandbox::without_git();
    for args in [
        &["status"][..],
        &["plans"],
        &["tell", "x"],
        &["load", "x"],
        &["apply", "-y"],
        &["locks"],
    ] {
        refused(&sandbox.run(args), 1, "no plandex project");
    }
    assert!(!sandbox.state_dir().exists());
    // A file in the place of the directory.
    sandbox.write(".plandex", "mine\n");
    refused(
        &sandbox.run(&["new", "-n", "draft"]),
        1,
        "it is not a directory",
    );
    refused(&sandbox.run(&["status"]), 1, "no plandex project");
    assert_eq!(sandbox.read(".plandex"), "mine\n");
}

#[test]
fn what_cannot_be_text_is_listed_as_skipped_and_the_rest_is_loaded() {
    let sandbox = project();
    sandbox.write("binary.bin", b"a\0b");
    sandbox.write("latin.txt", b"caf\xe9\n");
    let huge = sandbox.write("huge.log", "");
    let huge_file = std::fs::File::options().write(true).open(&huge).unwrap();
    huge_file.set_len(100 << 20).unwrap();
    sandbox.write("good.txt", "good\n");
    sandbox.program("mkfifo", ["pipe.txt"]).finish().ok();
    let before = rows(&sandbox);
    for (path, why) in [
        ("binary.bin", "skipped binary.bin: binary"),
        ("latin.txt", "skipped latin.txt: not UTF-8"),
        ("huge.log", "skipped huge.log: 104857600 bytes"),
        ("pipe.txt", "skipped pipe.txt: "),
    ] {
        let outcome = sandbox.run(&["load", path]).exits(1).says(why);
        assert!(outcome.stderr.contains("Nothing was loaded"), "{outcome}");
        no_panic(&outcome);
    }
    assert_eq!(rows(&sandbox), before);
    let all = sandbox.ok(&["load", "--recursive", "."]);
    for name in ["binary.bin", "latin.txt", "huge.log", "pipe.txt"] {
        assert!(
            all.stderr.contains(&format!("skipped {name}: ")),
            "{name}\n{all}"
        );
    }
    assert!(all.stdout.contains("loaded good.txt"), "{all}");
    let piped = sandbox
        .program("sh", ["-c", "printf 'a\\377' | \"$0\" load", BINARY])
        .finish();
    refused(&piped, 2, "UTF-8");
}

const BINARY: &str = env!("CARGO_BIN_EXE_plandex");

/// Everything in the sandbox that a hostile path could reach.
fn canaries(sandbox: &Sandbox) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let outside = sandbox.place().join("outside");
    let mut paths = vec![
        outside.join("x"),
        sandbox.place().join("x"),
        sandbox.root().join("x"),
        sandbox.root().join(".git/config"),
        sandbox.root().join(".git/hooks/x"),
        sandbox.root().join(".GIT/hooks/x"),
        sandbox.root().join(".plandex/config.toml"),
        PathBuf::from("/etc/passwd"),
    ];
    for entry in std::fs::read_dir(&outside).unwrap() {
        paths.push(entry.unwrap().path());
    }
    let content = |path: PathBuf| {
        let bytes = std::fs::read(&path).ok();
        (path, bytes)
    };
    paths.into_iter().map(content).collect()
}

#[test]
fn hostile_paths_touch_nothing_outside_and_leave_the_good_files_pending() {
    let sandbox = Sandbox::new();
    let outside = sandbox.place().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("canary"), "alive\n").unwrap();
    symlink(&outside, sandbox.root().join("link")).unwrap();
    symlink(outside.join("canary"), sandbox.root().join("file-link.txt")).unwrap();
    sandbox.program("mkfifo", ["pipe.txt"]).finish().ok();
    sandbox.write("binary.txt", b"a\0b\n");
    sandbox.write("latin.txt", b"caf\xe9\n");
    sandbox.write("dir.txt/inside", "");
    sandbox.ok(&["new", "-n", "draft"]);
    let before = canaries(&sandbox);
    let far = format!("{}/x", outside.display());
    let long = format!("{}/x", "d".repeat(300));
    let hostile = [
        "../x",
        "src/../../x",
        "/etc/passwd",
        &far,
        ".git/config",
        ".git/hooks/x",
        ".GIT/hooks/x",
        "src/.git/config",
        ".plandex/config.toml",
        ".plandex/plandex.db",
        "link/x",
        "link/canary",
        "file-link.txt",
        "pipe.txt",
        "binary.txt",
        "latin.txt",
        "dir.txt",
        "src/lib.rs/x",
        &long,
    ];
    for (count, path) in hostile.iter().enumerate() {
        let good = format!("good/{count}.txt");
        let reply = edit(path, "", "evil") + "\n" + &edit(&good, "", "good");
        let reply = sandbox.write_beside("reply", &reply);
        let outcome = sandbox.run(&["tell", "try", "--reply", reply.to_str().unwrap()]);
        assert_eq!(outcome.code, Some(3), "{path}\n{outcome}");
        assert!(outcome.stderr.contains("warning: "), "{path}\n{outcome}");
        assert!(outcome.stderr.contains(path), "{path}\n{outcome}");
        assert!(
            outcome.stderr.contains("Completed: 1/2 file changes"),
            "{path}\n{outcome}"
        );
        assert_eq!(canaries(&sandbox), before, "{path}");
    }
    let applied = sandbox.ok(&["apply", "-y", "--json"]).stdout;
    let mut events = applied
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let applied = events
        .find(|event| event["type"] == "apply.completed")
        .unwrap();
    assert_eq!(
        applied["written"].as_array().unwrap().len(),
        hostile.len(),
        "{applied}"
    );
    assert_eq!(canaries(&sandbox), before);
    assert_eq!(sandbox.read("good/0.txt"), "good\n");
}

#[test]
fn a_parent_that_becomes_a_link_after_the_tell_is_not_followed() {
    let sandbox = Sandbox::new();
    let outside = sandbox.place().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("lib.rs"), sandbox.read("src/lib.rs")).unwrap();
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&["tell", &edit("src/lib.rs", "    \"hello\"", "    \"bye\"")]);
    std::fs::rename(sandbox.root().join("src"), sandbox.root().join("old")).unwrap();
    symlink(&outside, sandbox.root().join("src")).unwrap();
    let before = canaries(&sandbox);
    let outcome = sandbox.run(&["apply", "-y"]);
    assert!(matches!(outcome.code, Some(7 | 10)), "\n{outcome}");
    assert!(outcome.stderr.contains("src/lib.rs") || outcome.stdout.contains("src/lib.rs"));
    no_panic(&outcome);
    assert_eq!(canaries(&sandbox), before);
    let diff = sandbox.ok(&["diff"]).says("src/lib.rs cannot be compared");
    assert_eq!(diff.stdout, "");
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["pending"].as_array().unwrap().len(), 1, "{status}");
}

#[test]
fn a_reply_that_breaks_off_fails_its_file_and_keeps_the_whole_ones() {
    let sandbox = project();
    let open = [
        ("a.txt\n```\n<<<<<<< SEARCH\none\n=======\nuno\n", "a block"),
        ("a.txt\n```\n<<<<<<< SEARCH\none\n", "a search"),
        ("b.txt\n```\nsome text\n", "a fence"),
    ];
    for (tail, what) in open {
        let whole = edit("good.txt", "", what);
        // Given first to a fresh plan, so that the good file is new each time.
        sandbox.ok(&["new"]);
        let reply = sandbox.write_beside("reply", &format!("{whole}\n{tail}"));
        let outcome = sandbox.run(&["tell", "x", "--reply", reply.to_str().unwrap(), "--json"]);
        assert_eq!(outcome.code, Some(3), "{what}\n{outcome}");
        assert!(outcome.stdout.contains("not closed"), "{what}\n{outcome}");
        let status = sandbox.ok(&["status", "--json"]).json();
        let pending = status["pending"].as_array().unwrap();
        assert_eq!(pending.len(), 1, "{what}: {status}");
        assert_eq!(pending[0]["path"], "good.txt", "{what}");
        assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
    }
}

#[test]
fn an_empty_reply_stores_nothing() {
    let sandbox = project();
    let reply = sandbox.write_beside("reply", " \n\n");
    let empty = sandbox.write_beside("empty", "");
    let before = rows(&sandbox);
    for path in [reply, empty] {
        let outcome = sandbox.run(&["tell", "x", "--reply", path.to_str().unwrap()]);
        refused(&outcome, 5, "the reply is empty");
        assert_eq!(rows(&sandbox), before);
    }
    let piped = sandbox.plandex(["tell", "x", "--reply", "-"]).finish();
    refused(&piped, 5, "the reply is empty");
    assert_eq!(rows(&sandbox), before);
}

#[test]
fn a_reply_that_is_not_utf8_is_kept_up_to_there_and_said() {
    let sandbox = project();
    let script = "printf 'I will\\n\\377\\376' | \"$0\" tell x --reply -";
    let outcome = sandbox.program("sh", ["-c", script, BINARY]).finish();
    let outcome = outcome
        .exits(5)
        .says("Error: the reply is not UTF-8 at byte 7");
    assert!(outcome.stderr.contains("`plandex continue`"), "{outcome}");
    // The change that was pending before still is, and the conversation says what happened.
    let convo = sandbox.ok(&["convo"]).stdout;
    assert!(convo.contains("(error)"), "{convo}");
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["pending"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(status["status"], "error");
    sandbox.ok(&["tell", &edit("b.txt", "", "b")]);
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["status"], "ready");
}

#[test]
fn a_prompt_that_is_not_utf8_is_refused() {
    let sandbox = project();
    let before = rows(&sandbox);
    let script = "printf 'a\\377' | \"$0\" tell";
    let piped = sandbox.program("sh", ["-c", script, BINARY]).finish();
    refused(&piped, 2, "standard input is not UTF-8");
    let script = "printf 'a\\377' > p; \"$0\" tell -f p; code=$?; rm p; exit $code";
    let file = sandbox.program("sh", ["-c", script, BINARY]).finish();
    refused(&file, 2, "is not UTF-8");
    // One byte more than may be: never cut silently.
    let script = "head -c 67108865 /dev/zero | \"$0\" tell";
    let long = sandbox.program("sh", ["-c", script, BINARY]).finish();
    refused(&long, 2, "too long");
    assert_eq!(rows(&sandbox), before);
}

#[test]
fn a_read_only_file_of_the_project_is_reported_and_stays_pending() {
    let sandbox = project();
    let path = sandbox.root().join("a.txt");
    std::fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let outcome = sandbox.run(&["apply", "-y"]).exits(10);
    assert!(outcome.stdout.contains("- a.txt: Read-only"), "{outcome}");
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(sandbox.read("a.txt"), "ONE\ntwo\n");
}

#[test]
fn closed_streams_end_a_command_quietly_and_lose_nothing() {
    let sandbox = project();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(BINARY)
        .args(["log"])
        .current_dir(sandbox.root())
        .env_clear()
        .env("HOME", sandbox.place())
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // Whatever is closed, the work is done.
    for (number, closed) in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"].iter().enumerate() {
        let prompt = edit(&format!("closed/{number}.txt"), "", "made");
        let script = format!("exec \"$0\" tell \"$1\" {closed}");
        let outcome = sandbox
            .program("sh", ["-c", &script, BINARY, &prompt])
            .finish()
            .ok();
        no_panic(&outcome);
    }
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["pending"].as_array().unwrap().len(), 5, "{status}");
    let nothing = sandbox
        .program("sh", ["-c", "exec \"$0\" tell <&-", BINARY])
        .finish();
    refused(&nothing, 2, "the prompt is empty");
}

#[test]
fn a_result_that_cannot_be_printed_is_a_failure() {
    let sandbox = project();
    let script = "exec \"$0\" log >/dev/full";
    let outcome = sandbox.program("sh", ["-c", script, BINARY]).finish();
    refused(&outcome, 1, "writing to standard output: ");
    let script = "exec \"$0\" log 2>/dev/full";
    sandbox.program("sh", ["-c", script, BINARY]).finish().ok();
}
