//! Each command as a person types it: what is printed, where, and how it ends.

use std::fmt::Write as _;

use crate::crash_points::{files, rows};
use crate::support::{Outcome, Sandbox};

/// `outcome` as one text, without what differs from run to run.
fn shown(outcome: &Outcome) -> String {
    let text = outcome.text();
    let lines: Vec<String> = text.lines().map(|line| undated(line)).collect();
    lines.join("\n") + "\n"
}

/// A line without points in time, ages, and abbreviated versions.
fn undated(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let is_start = out.is_empty() || out.ends_with([' ', '"', '(']);
        if let Some(end) = is_start.then(|| fleeting(rest)).flatten() {
            let name = match &rest[..end] {
                short if short.bytes().all(|b| b.is_ascii_hexdigit()) => "[SHORT]",
                age if age.ends_with('s') => "[AGE]",
                _ => "[TIME]",
            };
            out.push_str(name);
            rest = &rest[end..];
        } else {
            let next = rest.chars().next().unwrap();
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// How long the beginning of `text` is that is a time, an age or a version's first ten digits.
fn fleeting(text: &str) -> Option<usize> {
    let matches = |pattern: &str| {
        text.len() >= pattern.len()
            && pattern.bytes().zip(text.bytes()).all(|(p, b)| match p {
                b'9' => b.is_ascii_digit(),
                b'h' => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
                _ => p == b,
            })
    };
    if matches("9999-99-99 99:99:99") {
        return Some(19);
    }
    let word = text.split([' ', '"', ')']).next().unwrap_or_default();
    if matches("9999-99-99T99:99:99") {
        return Some(word.len());
    }
    if word.len() == 10 && matches("hhhhhhhhhh") && word.bytes().any(|b| b.is_ascii_digit()) {
        return Some(10);
    }
    let number = word.strip_suffix('s')?;
    let is_age = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (is_age && text[word.len()..].starts_with(" ago")).then_some(word.len())
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    for (line, expected) in [
        (
            "ab5b1f9f52  2026-11-23 07:03:45  Tell",
            "[SHORT]  [TIME]  Tell",
        ),
        (
            "Last run: ready 12s ago, 2 built",
            "Last run: ready [AGE] ago, 2 built",
        ),
        ("at \"2026-11-23T07:03:45.1Z\", 12s", "at \"[TIME]\", 12s"),
        ("2026 files, 10s, decaffated", "2026 files, 10s, decaffated"),
    ] {
        assert_eq!(undated(line), expected);
    }
}

#[track_caller]
fn expect(outcome: &Outcome, expected: &str) {
    let shown = shown(outcome);
    assert!(
        shown == expected,
        "expected:\n{expected}\nbut it is:\n{shown}"
    );
}

/// A block that replaces `from` (nothing: a new file) with `to`.
fn edit(path: &str, from: &str, to: &str) -> String {
    let mut block = format!("{path}\n```\n<<<<<<< SEARCH\n");
    for line in from.lines() {
        writeln!(block, "{line}").unwrap();
    }
    write!(block, "=======\n{to}\n>>>>>>> REPLACE\n```\n").unwrap();
    block
}

fn tell(sandbox: &Sandbox, text: &str) -> Outcome {
    let prompt = sandbox.write_beside("prompt", text);
    let outcome = sandbox.run(&["tell", "-f", prompt.to_str().unwrap()]);
    std::fs::remove_file(prompt).unwrap();
    outcome
}

/// A project with a plan that was shown `src/lib.rs`.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new"]);
    sandbox.ok(&["load", "src/lib.rs"]);
    sandbox
}

/// `src/lib.rs` says `to` in place of "hello".
fn greeting(to: &str) -> String {
    edit("src/lib.rs", "    \"hello\"", &format!("    \"{to}\""))
}

fn pending(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.ok(&["status", "--json"]).json();
    let pending = status["pending"].as_array().unwrap().clone();
    let path = |change: serde_json::Value| change["path"].as_str().unwrap().to_owned();
    pending.into_iter().map(path).collect()
}

#[test]
fn new_makes_its_project_at_the_top_of_the_git_work_tree() {
    let sandbox = Sandbox::new();
    let below = sandbox.root().join("src");
    expect(
        &sandbox.plandex(["new"]).cwd(&below).finish(),
        r#"$ plandex new
--- stdout
Created plan draft and made it current
--- stderr
Started a plandex project in [ROOT]
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["new", "-n", "auth"]),
        r#"$ plandex new -n auth
--- stdout
Created plan auth and made it current
--- stderr
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    expect(
        &sandbox.plandex(["plans"]).cwd(&below).finish(),
        r#"$ plandex plans
--- stdout
   #  Name   Branch  Status  Updated
   1  draft  main    draft   [TIME]
*  2  auth   main    draft   [TIME]
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["current"]),
        r#"$ plandex current
--- stdout
Plan        auth
Branch      main
Status      draft
Decided by  project
Project     [ROOT]
--- exit 0
"#,
    );
    // Nothing of it shows up in the user's git.
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}

#[test]
fn new_outside_git_makes_it_where_one_stands() {
    let sandbox = Sandbox::without_git();
    let below = sandbox.root().join("deep/down");
    std::fs::create_dir_all(&below).unwrap();
    expect(
        &sandbox.plandex(["new"]).cwd(&below).finish(),
        r#"$ plandex new
--- stdout
Created plan draft and made it current
--- stderr
Started a plandex project in [ROOT]/deep/down
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    assert!(below.join(".plandex/plandex.db").is_file());
    expect(
        &sandbox.run(&["plans"]),
        r#"$ plandex plans
--- stderr
error: no plandex project in [ROOT] or above it
hint: create one with `plandex new`
--- exit 1
"#,
    );
}

#[test]
fn plandex_dir_keeps_the_state_elsewhere_and_knows_its_project() {
    let sandbox = Sandbox::new();
    let dir = sandbox.place().join("state");
    let with_dir = |args: &[&str]| {
        let run = sandbox.plandex(args).env("PLANDEX_DIR", &dir);
        run.cwd(&sandbox.root().join("src")).finish()
    };
    expect(
        &with_dir(&["new"]),
        r#"$ plandex new
--- stdout
Created plan draft and made it current
--- stderr
Started a plandex project in [ROOT]
Its state is kept in [PLACE]/state
hint: show it files with `plandex load PATHS`, then `plandex tell "what to do"`
--- exit 0
"#,
    );
    assert!(!sandbox.state_dir().exists());
    with_dir(&["tell", &greeting("elsewhere")]).ok();
    with_dir(&["apply", "-y"]).ok();
    assert!(sandbox.read("src/lib.rs").contains("elsewhere"));
    expect(
        &with_dir(&["current"]),
        r#"$ plandex current
--- stdout
Plan        draft
Branch      main
Status      ready
Decided by  project
Project     [ROOT]
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["current"]),
        r#"$ plandex current
--- stderr
error: no plandex project in [ROOT] or above it
hint: create one with `plandex new`
--- exit 1
"#,
    );
}

#[test]
fn cd_takes_a_name_a_beginning_or_a_number() {
    let sandbox = Sandbox::new();
    for name in ["auth login", "auth logout", "billing"] {
        sandbox.ok(&["new", "--name", name]);
    }
    expect(
        &sandbox.run(&["cd", "auth login"]),
        r#"$ plandex cd 'auth login'
--- stdout
Changed to plan auth login
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["cd", "bil"]),
        r#"$ plandex cd bil
--- stdout
Changed to plan billing
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["cd", "2"]),
        r#"$ plandex cd 2
--- stdout
Changed to plan auth logout
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["cd", "auth"]),
        r#"$ plandex cd auth
--- stderr
error: "auth" fits more than one plan: auth login, auth logout
hint: give more of the name
--- exit 2
"#,
    );
    expect(
        &sandbox.run(&["cd", "9"]),
        r#"$ plandex cd 9
--- stderr
error: there is no plan "9"
hint: list them with `plandex plans`
--- exit 2
"#,
    );
    expect(
        &sandbox.run(&["plans"]),
        r#"$ plandex plans
--- stdout
   #  Name         Branch  Status  Updated
   1  auth login   main    draft   [TIME]
*  2  auth logout  main    draft   [TIME]
   3  billing      main    draft   [TIME]
--- exit 0
"#,
    );
    let current = sandbox.ok(&["cd", "bil", "--json"]).json();
    assert_eq!(current["plan"]["name"], "billing");
    let named = sandbox
        .plandex(["current", "--json"])
        .env("PLANDEX_PLAN", "auth logout")
        .finish();
    assert_eq!(named.json()["plan"]["name"], "auth logout");
    assert_eq!(named.json()["decidedBy"], "flag or environment");
}

#[test]
fn load_takes_files_directories_globs_notes_and_pipes() {
    let sandbox = Sandbox::new();
    sandbox.write("assets/logo.bin", b"\0\x01\x02");
    sandbox.write("target/out.txt", "built\n");
    sandbox.write("docs/a.md", "# A\n");
    sandbox.write("docs/b.md", "# B\n");
    sandbox.ok(&["new"]);
    expect(
        &sandbox.run(&["ls"]),
        r#"$ plandex ls
--- stderr
Nothing is loaded yet
hint: `plandex load PATHS`
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "src/main.rs"]),
        r#"$ plandex load src/main.rs
--- stdout
loaded src/main.rs (~16 tokens)
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "-r", "."]),
        r#"$ plandex load -r .
--- stdout
loaded .gitignore (~3 tokens)
loaded README.md (~10 tokens)
loaded docs/a.md (~3 tokens)
loaded docs/b.md (~3 tokens)
loaded src/lib.rs (~14 tokens)
loaded src/main.rs (~16 tokens)
--- stderr
skipped assets/logo.bin: binary
skipped target/: ignored by /target in .gitignore
6 entries, ~49 tokens
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "docs/*.md"]),
        r#"$ plandex load 'docs/*.md'
--- stdout
loaded docs/a.md (~3 tokens)
loaded docs/b.md (~3 tokens)
--- stderr
2 entries, ~6 tokens
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "target/out.txt"]),
        r#"$ plandex load target/out.txt
--- stderr
error: ignored: target/out.txt (/target in .gitignore); -f loads them all the same
hint: load it all the same with `plandex load -f PATH`
--- exit 2
"#,
    );
    expect(
        &sandbox.run(&["load", "-f", "target/out.txt"]),
        r#"$ plandex load -f target/out.txt
--- stdout
loaded target/out.txt (~2 tokens)
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["load", "-n", "keep it short"]),
        r#"$ plandex load -n 'keep it short'
--- stdout
loaded keep it short (~3 tokens)
--- exit 0
"#,
    );
    let piped = sandbox.plandex(["load"]).stdin("from a pipe\n").finish();
    expect(
        &piped,
        r#"$ plandex load
--- stdout
loaded piped-1 (~4 tokens)
--- exit 0
"#,
    );
    let below = sandbox.root().join("docs");
    expect(
        &sandbox.plandex(["load", "a.md"]).cwd(&below).finish(),
        r#"$ plandex load a.md
--- stdout
loaded docs/a.md (~3 tokens)
--- exit 0
"#,
    );
    sandbox.write("docs/a.md", "# A, changed\n");
    std::fs::remove_file(sandbox.root().join("docs/b.md")).unwrap();
    expect(
        &sandbox.run(&["ls"]),
        r#"$ plandex ls
--- stdout
#  Name            Type   Tokens  Updated
1  src/main.rs     file   ~16     [TIME]
2  .gitignore      file   ~3      [TIME]
3  README.md       file   ~10     [TIME]
4  docs/a.md       file   ~3      [TIME]  outdated
5  docs/b.md       file   ~3      [TIME]  missing
6  src/lib.rs      file   ~14     [TIME]
7  target/out.txt  file   ~2      [TIME]
8  keep it short   note   ~3      [TIME]
9  piped-1         piped  ~4      [TIME]
--- exit 0
"#,
    );
}

#[test]
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
Last run: ready [AGE] ago, 1 built, 0 failed
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
#1 user  [TIME]  user
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
[SHORT]  [TIME]  Tell #1: Greet differently.
[SHORT]  [TIME]  Load src/lib.rs
[SHORT]  [TIME]  New plan draft
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
#1 user  [TIME]  user
greet

#2 assistant  [TIME]  reply:[PLACE]/tmp/reply.md 29553de16b2fa217ab0ddb548eeafd99c7f561419794bd3c9241a2a216e449b4
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
warning: src/lib.rs  edit 1/1 (search/replace)  NOT FOUND
  the file does not have `"helo"`
  most alike: lines 2-2 (67 %)
  first difference at line 2:
    -    "helo"
    +    "hello"
  compared exactly, ignoring trailing space, ignoring indentation, ignoring typographic characters

1 file pending, 1 failed
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
Last run: ready [AGE] ago, 1 built, 1 failed
  src/lib.rs: edit 1/1: not found
Pending changes (1):
  A good.txt +1 −0
--- stderr
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
fn git_apply_takes_what_diff_prints() {
    let sandbox = project();
    sandbox.write("no-newline.txt", "one\ntwo");
    sandbox.write("crlf.txt", "one\r\ntwo\r\n");
    sandbox.write("with space.txt", "old\n");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "more"]);
    let reply = [
        greeting("diffed"),
        edit("new/deep/file.txt", "", "made"),
        edit("no-newline.txt", "two", "2"),
        edit("crlf.txt", "two", "2"),
        edit("`with space.txt`", "old", "new"),
    ]
    .join("\n");
    tell(&sandbox, &reply).ok();
    let diff = sandbox.ok(&["diff"]).stdout;
    let patch = sandbox.write_beside("patch", &diff);
    let patch = patch.to_str().unwrap();
    sandbox.git(&["apply", "--check", patch]);
    // What git makes of it is what apply makes of it.
    let by_git = Sandbox::new();
    by_git
        .program("cp", ["-a", ".", by_git.root().to_str().unwrap()])
        .cwd(sandbox.root())
        .finish()
        .ok();
    by_git.git(&["apply", patch]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(files(&by_git), files(&sandbox));
    assert_eq!(sandbox.read("crlf.txt"), "one\r\n2\r\n");
    assert_eq!(sandbox.read("no-newline.txt"), "one\n2");
}

#[test]
fn diff_snapshot_does_not_wait_for_a_tell_and_diff_does() {
    let sandbox = project();
    tell(&sandbox, &greeting("pending")).ok();
    let mut held = sandbox
        .plandex(["tell", "wait", "--reply", "-"])
        .held_stdin()
        .start();
    sandbox.until_queue("the tell holds the plan", |line| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    });
    let snapshot = sandbox.ok(&["diff", "--snapshot"]);
    assert!(snapshot.stdout.contains("+    \"pending\""), "{snapshot}");
    expect(
        &sandbox.run(&["diff", "--no-wait"]),
        r#"$ plandex diff --no-wait
--- stderr
error: lock conflict: cannot acquire read lock: Tell operation by pid [PID] (plandex tell wait --reply -) is in progress
hint: nothing was changed; wait for it with `--wait 30s`, or look with `plandex status`
--- exit 75
"#,
    );
    let ps = sandbox.ok(&["ps", "--json"]).json();
    assert_eq!(ps["locks"][0]["title"], "Tell operation");
    assert_eq!(ps["locks"][0]["pid"], held.pid());
    for (command, words) in [
        ("status", "Running"),
        ("ps", "Tell operation"),
        ("locks", "held"),
    ] {
        let outcome = sandbox.ok(&[command]);
        assert!(outcome.stdout.contains(words), "{outcome}");
    }
    assert!(held.is_running());
    held.say("No edits.\n");
    held.finish().ok();
    expect(
        &sandbox.run(&["ps"]),
        r#"$ plandex ps
--- stderr
Nothing runs
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["locks"]),
        r#"$ plandex locks
--- stderr
No operation runs or waits
--- exit 0
"#,
    );
}

#[test]
fn apply_writes_what_was_shown_and_asks_first() {
    let sandbox = project();
    expect(
        &sandbox.run(&["apply", "-y"]),
        r#"$ plandex apply -y
--- stderr
No pending changes
--- exit 0
"#,
    );
    let prompt = greeting("applied") + "\n" + &edit("new/b.txt", "", "b");
    tell(&sandbox, &prompt).ok();
    let before = files(&sandbox);
    expect(
        &sandbox.run(&["apply"]),
        r#"$ plandex apply
--- stdout
A new/b.txt +1 −0
M src/lib.rs +1 −1
--- stderr
error: apply needs a confirmation, and there is no terminal to ask on
hint: `plandex apply -y`; nothing was written
--- exit 9
"#,
    );
    expect(
        &sandbox.run(&["apply", "--dry-run"]),
        r#"$ plandex apply --dry-run
--- stdout
A new/b.txt +1 −0
M src/lib.rs +1 −1
✓ 2 files would be written
--- exit 0
"#,
    );
    assert_eq!(files(&sandbox), before);
    assert_eq!(pending(&sandbox).len(), 2);
    expect(
        &sandbox.run(&["apply", "-y"]),
        r#"$ plandex apply -y
--- stdout
A new/b.txt +1 −0
M src/lib.rs +1 −1
✓ 2 files written
--- exit 0
"#,
    );
    assert_eq!(sandbox.read("new/b.txt"), "b\n");
    assert_eq!(
        sandbox.git(&["status", "--porcelain"]),
        " M src/lib.rs\n?? new/\n"
    );
    expect(
        &sandbox.run(&["log"]),
        r#"$ plandex log
--- stdout
[SHORT]  [TIME]  Apply 2 changes
[SHORT]  [TIME]  Tell #1: src/lib.rs
[SHORT]  [TIME]  Load src/lib.rs
[SHORT]  [TIME]  New plan draft
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["status"]),
        r#"$ plandex status
--- stdout
Plan draft, branch main: ready
Last run: ready [AGE] ago, 2 built, 0 failed
No pending changes
--- exit 0
"#,
    );
}

#[test]
fn a_file_that_changed_since_the_tell_is_never_overwritten_unasked() {
    let sandbox = project();
    let prompt = greeting("planned") + "\n" + &edit("new.txt", "", "new");
    tell(&sandbox, &prompt).ok();
    let mine = "// mine\n".to_owned() + &sandbox.read("src/lib.rs");
    sandbox.write("src/lib.rs", &mine);
    let before = files(&sandbox);
    expect(
        &sandbox.run(&["diff"]),
        r#"$ plandex diff
--- stdout
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+new
diff --git a/src/lib.rs b/src/lib.rs
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -1,4 +1,3 @@
-// mine
 pub fn greeting() -> &'static str {
-    "hello"
+    "planned"
 }
--- stderr
warning: src/lib.rs was modified since last read
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["apply", "-y"]),
        r#"$ plandex apply -y
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
--- stderr
error: a decision is needed: src/lib.rs was modified since last read
hint: nothing was written; look with `plandex diff`, then `plandex apply --on-conflict skip` or `overwrite`, or `plandex tell` again
--- exit 7
"#,
    );
    expect(
        &sandbox.run(&["apply", "-y", "--on-conflict", "abort"]),
        r#"$ plandex apply -y --on-conflict abort
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
--- stderr
error: a decision is needed: src/lib.rs was modified since last read
hint: nothing was written; look with `plandex diff`, then `plandex apply --on-conflict skip` or `overwrite`, or `plandex tell` again
--- exit 7
"#,
    );
    expect(
        &sandbox.run(&["apply", "--dry-run"]),
        r#"$ plandex apply --dry-run
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
--- stderr
error: a decision is needed: src/lib.rs was modified since last read
hint: nothing was written; look with `plandex diff`, then `plandex apply --on-conflict skip` or `overwrite`, or `plandex tell` again
--- exit 7
"#,
    );
    assert_eq!(files(&sandbox), before);
    expect(
        &sandbox.run(&["apply", "-y", "--on-conflict", "skip"]),
        r#"$ plandex apply -y --on-conflict skip
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
✓ 1 file written
○ 1 file skipped, still pending
  - src/lib.rs: was modified since last read
--- exit 10
"#,
    );
    assert_eq!(sandbox.read("src/lib.rs"), mine);
    assert_eq!(sandbox.read("new.txt"), "new\n");
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    expect(
        &sandbox.run(&["apply", "-y", "--on-conflict", "overwrite"]),
        r#"$ plandex apply -y --on-conflict overwrite
--- stdout
M src/lib.rs +1 −1  was modified since last read
✓ 1 file written
--- exit 0
"#,
    );
    assert!(sandbox.read("src/lib.rs").contains("planned"));
    // What the user wrote is kept aside.
    let kept = sandbox
        .program("grep", ["-rlF", "// mine", ".plandex/apply"])
        .finish()
        .ok();
    assert_eq!(kept.stdout.lines().count(), 1, "{kept}");
}

#[test]
fn branches_fork_from_where_one_stands_and_keep_apart() {
    let sandbox = project();
    tell(&sandbox, &greeting("trunk")).ok();
    expect(
        &sandbox.run(&["checkout", "-b", "twig"]),
        r#"$ plandex checkout -b twig
--- stdout
Created and changed to branch twig
--- exit 0
"#,
    );
    tell(&sandbox, &edit("twig.txt", "", "twig")).ok();
    assert_eq!(pending(&sandbox), ["src/lib.rs", "twig.txt"]);
    expect(
        &sandbox.run(&["branches"]),
        r#"$ plandex branches
--- stdout
   Name  Status  Updated
   main  ready   [TIME]
*  twig  ready   [TIME]
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["checkout", "main"]),
        r#"$ plandex checkout main
--- stdout
Changed to branch main
--- exit 0
"#,
    );
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    expect(
        &sandbox.run(&["checkout", "-b", "twig"]),
        r#"$ plandex checkout -b twig
--- stderr
error: the plan has already a branch "twig"
hint: `plandex checkout twig`, or choose another name
--- exit 2
"#,
    );
    let on_twig = sandbox.ok(&["status", "--json", "--branch", "twig"]).json();
    assert_eq!(on_twig["pending"].as_array().unwrap().len(), 2);
}

#[test]
fn json_of_every_command_is_one_document_with_its_version() {
    let sandbox = Sandbox::new();
    let reply = sandbox.write_beside("reply", &greeting("json"));
    for args in [
        &["new"][..],
        &["plans"],
        &["cd", "draft"],
        &["current"],
        &["load", "src/lib.rs"],
        &["ls"],
        &["checkout", "-b", "twig"],
        &["branches"],
        &["status"],
        &["convo"],
        &["log"],
        &["diff"],
        &["diff", "--snapshot"],
        &["ps"],
        &["locks"],
        &["stop"],
        &["apply", "--dry-run"],
        &["apply", "-y"],
    ] {
        let outcome = sandbox.run(&[args, &["--json"]].concat()).ok();
        assert_eq!(outcome.json()["schemaVersion"], 1, "{outcome}");
    }
    // A tell says what happens as it happens, a document a line.
    let args = ["tell", "x", "--json", "--reply", reply.to_str().unwrap()];
    let told = sandbox.ok(&args).stdout;
    let events: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types.first(), Some(&"turn.started"), "{told}");
    assert!(types.contains(&"file.started") && types.contains(&"file.completed"));
    assert_eq!(types.last(), Some(&"turn.completed"), "{told}");
    assert_eq!(events.last().unwrap()["schemaVersion"], 1);
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
    let prompt = git(&["show", "HEAD:conversation/000001-user.md"]);
    assert!(prompt.contains("\"versioned\""), "{prompt}");
    assert_eq!(git(&["fsck", "--full", "--strict"]), "");
}
