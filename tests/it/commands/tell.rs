//! `tell` and what is read of it: `status`, `convo`, `log`.

use std::time::Duration;

use rustix::process::Signal;

use super::{edit, expect, greeting, pending, project, tell};
use crate::crash_points::rows;

#[test]
#[expect(clippy::too_many_lines, reason = "mostly what is printed")]
fn tell_takes_the_edits_of_the_message_when_no_model_is_configured() {
    let sandbox = project();
    let prompt = format!("Greet differently.\n\n{}", greeting("good morning"));
    expect(
        &tell(&sandbox, &prompt),
        r#"$ plandex tell -f [PLACE]/tmp/prompt
--- stderr
building src/lib.rs
✓ src/lib.rs +1 −1
1 file pending
hint: look with `plandex diff`, write them with `plandex apply`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["status"]),
        r#"$ plandex status
--- stdout
Plan draft, branch main: ready
Last run: ready [AGE] ago, 1 of 1 file built
Pending changes (1):
  M src/lib.rs +1 −1
--- stderr
hint: look with `plandex diff`, write them with `plandex apply`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["diff"]),
        r#"$ plandex diff
--- stdout
diff --git a/src/lib.rs b/src/lib.rs
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -1,3 +1,3 @@
 pub fn greeting() -> &'static str {
-    "hello"
+    "good morning"
 }
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["convo"]),
        r#"$ plandex convo
--- stdout
#1 user  [TIME]
Greet differently.

src/lib.rs
```
<<<<<<< SEARCH
    "hello"
=======
    "good morning"
>>>>>>> REPLACE
```

#2 assistant  [TIME]  literal
no model configured: the edits were taken from the message
built: src/lib.rs

--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["log"]),
        r#"$ plandex log
--- stdout
  0  [SHORT]  [AGE] ago  Tell #1: Greet differently.
     plandex tell -f [PLACE]/tmp/prompt (tell execution)
  1  [SHORT]  [AGE] ago  Load src/lib.rs
     plandex load src/lib.rs (load context)
  2  [SHORT]  [AGE] ago  New plan draft
     plandex new -n draft
--- exit 0
"#,
    );
    let piped = sandbox
        .plandex(["tell"])
        .stdin(&edit("b.txt", "", "b"))
        .finish();
    expect(
        &piped,
        r#"$ plandex tell
--- stderr
building b.txt
✓ b.txt +1 −0
1 file pending
hint: look with `plandex diff`, write them with `plandex apply`
--- exit 0
"#,
    );
    assert_eq!(pending(&sandbox), ["b.txt", "src/lib.rs"]);
    // The project itself is as it was.
    assert!(sandbox.read("src/lib.rs").contains("hello"));
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}

#[test]
fn a_reply_from_a_file_shows_its_words_and_builds_its_edits() {
    let sandbox = project();
    let reply = format!("I change the greeting.\n\n{}\nDone.\n", greeting("hi"));
    let reply = sandbox.write_beside("reply.md", &reply);
    let reply = reply.to_str().unwrap();
    expect(
        &sandbox.run(&["tell", "greet", "--reply", reply]),
        r#"$ plandex tell greet --reply [PLACE]/tmp/reply.md
--- stdout
I change the greeting.

src/lib.rs

Done.
--- stderr
building src/lib.rs
✓ src/lib.rs +1 −1
1 file pending
hint: look with `plandex diff`, write them with `plandex apply`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["convo"]),
        r#"$ plandex convo
--- stdout
#1 user  [TIME]
greet

#2 assistant  [TIME]  reply:[PLACE]/tmp/reply.md
I change the greeting.

src/lib.rs
```
<<<<<<< SEARCH
    "hello"
=======
    "hi"
>>>>>>> REPLACE
```

Done.
built: src/lib.rs

--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["tell", "-q", "again", "--reply", reply]),
        r#"$ plandex tell -q again --reply [PLACE]/tmp/reply.md
--- stdout
I change the greeting.

src/lib.rs

Done.
--- stderr
warning: src/lib.rs  edit 1/1 (search/replace)  NOT FOUND
  the file does not have `"hello"`
  most alike: lines 2-2 (67 %)
  first difference at line 2:
    -    "hello"
    +    "hi"
  compared exactly, ignoring trailing space, ignoring indentation, ignoring typographic characters
  fix: plandex tell --reply -

Operation failed.

Error: src/lib.rs: edit 1/1: not found
Completed: 0/1 file changes
Remaining: 1 file skipped

Run 'plandex status' for details.
--- exit 3
"#,
    );
}

#[test]
fn a_reply_may_come_in_pieces_that_end_anywhere() {
    let sandbox = project();
    let reply = format!(
        "Gr\u{fc}\u{df}e \u{1f600}!\n\n{}",
        greeting("\u{4f60}\u{597d}")
    );
    // Every byte by itself, each written when the one before was taken: inside characters, inside
    // the fence, inside the markers.
    let script = "import os, sys, time, fcntl, struct, termios
data = sys.argv[1].encode()
for at in range(len(data)):
    os.write(1, data[at:at + 1])
    while struct.unpack('i', fcntl.ioctl(1, termios.FIONREAD, b'0000'))[0]:
        time.sleep(0.0005)
";
    let script = sandbox.write_beside("drip.py", script);
    let pipe = format!(
        "python3 {} \"$1\" | \"$0\" tell greet --reply -",
        script.display()
    );
    let binary = env!("CARGO_BIN_EXE_plandex");
    let dripped = sandbox
        .program("sh", ["-c", &pipe, binary, &reply])
        .finish()
        .ok();
    assert!(
        dripped.stdout.contains("Gr\u{fc}\u{df}e \u{1f600}!"),
        "{dripped}"
    );
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    sandbox.ok(&["apply", "-y"]);
    assert!(sandbox.read("src/lib.rs").contains("\"\u{4f60}\u{597d}\""));
    let convo = sandbox.ok(&["convo", "--json"]).json();
    assert_eq!(convo["messages"][1]["text"], reply.as_str());
    assert_eq!(convo["messages"][1]["state"], "complete");
}

/// A Ctrl-C ends the whole pipeline: the writer's end is the end of nothing.
#[test]
fn a_reply_whose_writer_was_interrupted_with_us_is_not_whole() {
    let sandbox = project();
    for _ in 0..5 {
        let mut tell = sandbox
            .plandex(["tell", "greet", "--reply", "-"])
            .held_stdin()
            .start();
        tell.say("Some words\n");
        tell.until_says("Some words");
        tell.stop();
        tell.close_stdin();
        tell.signal(Signal::INT);
        tell.cont();
        tell.wait(Duration::from_secs(30)).exits(130);
        let convo = sandbox.ok(&["convo", "--json"]).json();
        let last = convo["messages"].as_array().unwrap().last().cloned();
        assert_eq!(last.unwrap()["state"], "stopped");
    }
}

#[test]
fn print_prompt_says_what_a_model_would_be_told_and_stores_nothing() {
    let sandbox = project();
    let before = sandbox.dump();
    let text = sandbox.ok(&["tell", "greet", "--print-prompt"]);
    for part in ["src/lib.rs", "pub fn greeting", "greet"] {
        assert!(text.stdout.contains(part), "{part}\n{text}");
    }
    let json = sandbox
        .ok(&["tell", "greet", "--print-prompt", "--json"])
        .json();
    assert_eq!(json["schemaVersion"], 1);
    let messages = json["messages"].as_array().unwrap();
    assert_eq!(messages.last().unwrap()["role"], "user");
    assert!(messages.last().unwrap().to_string().contains("greet"));
    assert_eq!(sandbox.dump(), before);
}

#[test]
fn a_partial_failure_says_what_did_not_fit_and_where_and_keeps_the_rest() {
    let sandbox = project();
    let prompt = edit("good.txt", "", "good") + "\n" + &edit("src/lib.rs", "    \"helo\"", "    1");
    expect(
        &tell(&sandbox, &prompt),
        r#"$ plandex tell -f [PLACE]/tmp/prompt
--- stderr
building good.txt
building src/lib.rs
✓ good.txt +1 −0
✗ src/lib.rs
warning: src/lib.rs  edit 1/1 (search/replace)  NOT FOUND
  the file does not have `"helo"`
  most alike: lines 2-2 (67 %)
  first difference at line 2:
    -    "helo"
    +    "hello"
  compared exactly, ignoring trailing space, ignoring indentation, ignoring typographic characters
  fix: plandex tell --reply -

Operation failed after partial completion.

Error: src/lib.rs: edit 1/1: not found
Completed: 1/2 file changes
Remaining: 1 file skipped

Run 'plandex status' for details.
hint: mend the files and `plandex build` again, or say what they need with `plandex tell`
hint: look with `plandex diff`, write them with `plandex apply`
--- exit 3
"#,
    );
    assert_eq!(pending(&sandbox), ["good.txt"]);
    expect(
        &sandbox.run(&["status"]),
        r#"$ plandex status
--- stdout
Plan draft, branch main: ready
Last run: ready [AGE] ago, 1 of 2 files built, 1 failed
  src/lib.rs: edit 1/1: not found
Files left: src/lib.rs
Pending changes (1):
  A good.txt +1 −0
--- stderr
hint: what failed is as it was: `plandex build` tries again, `plandex tell` asks anew
hint: look with `plandex diff`, write them with `plandex apply`
--- exit 0
"#,
    );
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(sandbox.read("good.txt"), "good\n");
}

#[test]
fn a_second_tell_builds_on_the_pending_change() {
    let sandbox = project();
    tell(&sandbox, &greeting("one")).ok();
    tell(&sandbox, &edit("src/lib.rs", "    \"one\"", "    \"two\"")).ok();
    expect(
        &sandbox.run(&["diff"]),
        r#"$ plandex diff
--- stdout
diff --git a/src/lib.rs b/src/lib.rs
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -1,3 +1,3 @@
 pub fn greeting() -> &'static str {
-    "hello"
+    "two"
 }
--- exit 0
"#,
    );
    let states = rows(&sandbox);
    assert_eq!(states.matches("state=\"replaced\"").count(), 1, "{states}");
    sandbox.ok(&["apply", "-y"]);
    assert!(sandbox.read("src/lib.rs").contains("\"two\""));
}

#[test]
fn plain_git_reads_a_plan() {
    let sandbox = project();
    tell(&sandbox, &greeting("versioned")).ok();
    sandbox.ok(&["apply", "-y"]);
    let entry = std::fs::read_dir(sandbox.state_dir().join("plans"))
        .unwrap()
        .next();
    let repo = entry.unwrap().unwrap().path();
    let git = |args: &[&str]| crate::crash_points::git(&sandbox, &repo, args).ok().stdout;
    let log = git(&["log", "--format=%s"]);
    assert_eq!(
        log.lines().collect::<Vec<_>>(),
        [
            "Apply 1 change",
            "Tell #1: src/lib.rs",
            "Load src/lib.rs",
            "New plan draft"
        ]
    );
    let ours = sandbox.ok(&["log", "--json"]).json();
    let versions: Vec<&str> = ours["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_str().unwrap())
        .collect();
    assert_eq!(
        git(&["log", "--format=%H"]).lines().collect::<Vec<_>>(),
        versions
    );
    let prompt = git(&["show", "HEAD:conversation/0000/000001-user.md"]);
    assert!(prompt.contains("\"versioned\""), "{prompt}");
    assert_eq!(git(&["fsck", "--full", "--strict"]), "");
}
