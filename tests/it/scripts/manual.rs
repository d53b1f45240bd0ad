//! flock(1) beside `plandex exec`: what its manual does, done with both, with the same outcome.

use crate::queue::{project, writer};
use crate::support::{Sandbox, needs};

use super::{SHELLS, SOON, with_plandex};

/// One thing that the manual shows, done in both ways. In the scripts, `$L` is the lock file.
struct Pair {
    what: &'static str,
    flock: &'static str,
    plandex: &'static str,
    /// What both print on stdout.
    prints: &'static str,
    /// The exit codes of the two.
    codes: (i32, i32),
}

const fn pair(
    what: &'static str,
    (flock, plandex): (&'static str, &'static str),
    prints: &'static str,
    codes: (i32, i32),
) -> Pair {
    Pair {
        what,
        flock,
        plandex,
        prints,
        codes,
    }
}

/// While nobody else has the lock.
const FREE: &[Pair] = &[
    pair(
        "a command",
        ("flock -x $L echo 'a b c'", "plandex exec echo 'a b c'"),
        "a b c\n",
        (0, 0),
    ),
    pair(
        "a string for the shell",
        (
            "flock $L -c 'echo one; exit 3'",
            "plandex exec -c 'echo one; exit 3'",
        ),
        "one\n",
        (3, 3),
    ),
    pair(
        "shared",
        (
            "flock -s $L flock -s -w .007 $L echo both",
            "plandex exec --read plandex exec --read --wait 7ms echo both",
        ),
        "both\n",
        (0, 0),
    ),
    pair(
        "a part of a script",
        (
            "( flock -n 9 || exit 1; echo inside; ) 9>>$L",
            "plandex exec --no-wait -c <<'EOF' || exit 1\necho inside\nEOF",
        ),
        "inside\n",
        (0, 0),
    ),
    pair(
        "the child keeps no lock",
        (
            "flock -o $L -c 'sleep 1000 >&- 2>&- & :'; flock -n $L echo free",
            "plandex exec -c 'sleep 1000 >&- 2>&- & :'; plandex exec --no-wait echo free",
        ),
        "free\n",
        (0, 0),
    ),
    pair(
        "the command's signal",
        (
            "flock $L sh -c 'kill -TERM $$'",
            "plandex exec sh -c 'kill -TERM $$'",
        ),
        "",
        (143, 143),
    ),
    pair(
        "a program that is not there",
        (
            "flock -n $L no-such-program 2>&-; [ $? -ge 69 ] && echo refused",
            "plandex exec --no-wait no-such-program 2>&-; [ $? = 127 ] && echo refused",
        ),
        "refused\n",
        (0, 0),
    ),
];

/// While somebody else has it for writing.
const TAKEN: &[Pair] = &[
    pair(
        "with a limit",
        (
            "flock -w .007 $L -c echo",
            "plandex exec --wait 7ms -c echo",
        ),
        "",
        (1, 75),
    ),
    pair(
        "without waiting",
        (
            "flock -n $L echo ran || echo busy",
            "plandex exec --no-wait echo ran || echo busy",
        ),
        "busy\n",
        (0, 0),
    ),
    pair(
        "shared, where it is taken exclusively",
        (
            "flock -s -w .007 $L echo ran",
            "plandex exec --read --wait 7ms echo ran",
        ),
        "",
        (1, 75),
    ),
    pair(
        "the exit code of a conflict",
        (
            "flock -n -E 33 $L echo ran",
            "plandex exec --no-wait -E 33 echo ran",
        ),
        "",
        (33, 33),
    ),
    pair(
        "a conflict that is no failure",
        (
            "flock -n -E 0 $L echo ran",
            "plandex exec --no-wait -E 0 echo ran",
        ),
        "",
        (0, 0),
    ),
    pair(
        "a part of a script",
        (
            "( flock -n 9 || exit 4; echo inside; ) 9>>$L",
            "plandex exec --no-wait -c <<'EOF' || exit 4\necho inside\nEOF",
        ),
        "",
        (4, 4),
    ),
];

/// Runs all pairs in all shells.
fn compare(sandbox: &Sandbox, lock: &str, pairs: &[Pair]) {
    for pair in pairs {
        for shell in SHELLS {
            for (script, code) in [(pair.flock, pair.codes.0), (pair.plandex, pair.codes.1)] {
                let run = with_plandex(sandbox.program(shell, ["-c", script]));
                let ended = run.env("L", lock).finish();
                assert_eq!(ended.code, Some(code), "{}\n{ended}", pair.what);
                assert_eq!(ended.stdout, pair.prints, "{}\n{ended}", pair.what);
            }
        }
    }
}

fn lock_file(sandbox: &Sandbox) -> String {
    super::beside(sandbox, "lock", "")
}

#[test]
fn what_the_manual_does_with_a_free_lock() {
    needs!("flock");
    needs!("bash");
    needs!("dash");
    let sandbox = project();
    compare(&sandbox, &lock_file(&sandbox), FREE);
}

#[test]
fn what_the_manual_does_with_a_lock_that_is_taken() {
    needs!("flock");
    needs!("bash");
    needs!("dash");
    let sandbox = project();
    let lock = lock_file(&sandbox);
    let mut other = sandbox
        .program("flock", [lock.as_str(), "sh", "-c", "echo held; cat"])
        .held_stdin()
        .start();
    other.until_says("held");
    let holder = writer(&sandbox);
    compare(&sandbox, &lock, TAKEN);
    holder.finish().ok();
    other.close_stdin();
    other.wait(SOON).ok();
}

/// The manual's boilerplate: the script locks itself, and does not run where it runs already.
#[test]
fn a_script_that_locks_itself() {
    needs!("flock");
    needs!("bash");
    needs!("dash");
    const FLOCK: &str = "[ \"${FLOCKER}\" != \"$0\" ] && \
                         exec env FLOCKER=\"$0\" flock -en \"$0\" \"$0\" \"$@\" || :";
    const PLANDEX: &str = "[ \"${LOCKER}\" != \"$0\" ] && \
                           exec env LOCKER=\"$0\" plandex exec --no-wait \"$0\" \"$@\" || :";
    for shell in SHELLS {
        let sandbox = project();
        for (first, refused) in [(FLOCK, 1), (PLANDEX, 75)] {
            let path = sandbox.place().join("tmp/self");
            let write = "printf '#!%s\\n%s\\necho \"ran $1\"\\ncat\\n' \"$(command -v \"$1\")\" \"$2\" \
                         > \"$3\" && chmod 755 \"$3\"";
            let run = sandbox.program("sh", ["-c", write, "sh", shell, first]);
            run.args([&path]).finish().ok();
            let start = |word: &str| {
                let run = sandbox.program(path.to_str().unwrap(), [word]);
                with_plandex(run).held_stdin().start()
            };
            let mut one = start("one");
            one.until_says("ran one");
            let two = start("two").wait(SOON).exits(refused);
            assert_eq!(two.stdout, "");
            one.close_stdin();
            one.wait(SOON).ok();
            let mut three = start("three");
            three.until_says("ran three");
            three.close_stdin();
            three.wait(SOON).ok();
        }
    }
}
