//! Killing a command at each place where it makes something durable: the sweep that the crash
//! tests share, and the proof that it leaves no such place out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use plandex::store::branches::{self, Branch};
use plandex::store::{Integrity, plans};

use crate::support::{LIMIT, Outcome, Sandbox};

/// Processes of a sweep at the same time.
const THREADS: usize = 2;

/// A project that is made once and copied for each kill.
pub(crate) struct Template(Sandbox);

impl Template {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        Self(sandbox)
    }

    /// A copy of it, made by another process: this one may not open the database's files.
    pub(crate) fn copy(&self) -> Sandbox {
        let copy = Sandbox::in_memory(LIMIT);
        let (from, to) = (self.0.root().join("."), copy.root().to_owned());
        copy.program("cp", [Path::new("-a"), &from, &to])
            .cwd(copy.place())
            .finish()
            .ok();
        copy
    }

    /// The crash points that `args` passes when nobody kills it, and the project after it.
    pub(crate) fn points(&self, args: &[&str]) -> (Vec<String>, Sandbox) {
        let sandbox = self.copy();
        let trace = sandbox.place().join("trace");
        sandbox
            .plandex(args)
            .env("PLANDEX_CRASH_TRACE", &trace)
            .finish()
            .ok();
        let passed = std::fs::read_to_string(&trace).unwrap();
        (passed.lines().map(str::to_owned).collect(), sandbox)
    }
}

/// Runs `args` and kills it at its `at`-th crash point; `None` if it ended before that.
#[track_caller]
pub(crate) fn killed_at(sandbox: &Sandbox, args: &[&str], at: usize) -> Option<Outcome> {
    let outcome = sandbox
        .plandex(args)
        .env("PLANDEX_CRASH_AT", at.to_string())
        .finish();
    if outcome.signal == Some(9) {
        return Some(outcome);
    }
    outcome.ok();
    None
}

/// Calls `check` with each number of `1..=last`, from a few threads at once.
pub(crate) fn sweep<T: Send>(last: usize, check: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(1);
    let found = parking_lot::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number > last {
                        return;
                    }
                    let value = check(number);
                    found.lock().insert(number, value);
                }
            });
        }
    });
    found.into_inner().into_values().collect()
}

/// The rows of the plan: the dump without the tables that also tell of who came and went.
pub(crate) fn rows(sandbox: &Sandbox) -> String {
    without_tables(sandbox, &["repo_locks_audit"])
}

/// The dump without the tables called so, ids numbered by their first appearance in the rest.
pub(crate) fn without_tables(sandbox: &Sandbox, tables: &[&str]) -> String {
    let dump = sandbox.dump();
    let is_kept = |line: &&str| !tables.contains(&line.split(':').next().unwrap());
    let kept: String = dump
        .lines()
        .filter(is_kept)
        .map(|line| format!("{line}\n"))
        .collect();
    let mut pieces = kept.split("\"#");
    let mut text = pieces.next().unwrap_or_default().to_owned();
    let mut seen: Vec<&str> = Vec::new();
    for piece in pieces {
        let (number, rest) = piece.split_once('"').expect("an id ends");
        let place = seen.iter().position(|one| *one == number);
        let place = place.unwrap_or_else(|| {
            seen.push(number);
            seen.len() - 1
        });
        write!(text, "\"#{place}\"{rest}").unwrap();
    }
    text
}

/// The files of the project and what is in them; what plandex and git keep is left out.
pub(crate) fn files(sandbox: &Sandbox) -> BTreeMap<PathBuf, String> {
    fn walk(dir: &Path, root: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if name == Path::new(".plandex") || name == Path::new(".git") {
                continue;
            }
            if path.is_dir() {
                found.insert(name, "directory".to_owned());
                walk(&path, root, found);
            } else {
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(sandbox.root(), sandbox.root(), &mut found);
    found
}

/// The branches of every plan with the repository that they are in.
pub(crate) fn heads(sandbox: &Sandbox) -> Vec<(PathBuf, Branch)> {
    let store = sandbox.store();
    let all = store
        .read(|tx| {
            let live = plans::live(tx)?;
            let of_each = live.iter().map(|plan| branches::of_plan(tx, &plan.id));
            of_each.collect::<Result<Vec<_>, _>>()
        })
        .unwrap();
    let repo = |branch: &Branch| {
        let name = format!("{}.git", branch.plan_id);
        sandbox.state_dir().join("plans").join(name)
    };
    let all = all.into_iter().flatten();
    all.map(|branch| (repo(&branch), branch)).collect()
}

/// What holds after every kill, before and after repair: nobody is in the queue, the database is
/// sound, each head can be read, git finds nothing wrong with any repository.
#[track_caller]
pub(crate) fn check_sound(sandbox: &Sandbox, what: &str) {
    let found = sandbox.store().integrity(Integrity::Full).unwrap();
    assert!(found.is_empty(), "{what}: {found:?}");
    let heads = heads(sandbox);
    assert!(!heads.is_empty(), "{what}: no plan is left");
    for (repo, branch) in heads {
        let head = branch.head.expect("every branch has a head");
        let tree = git(sandbox, &repo, &["ls-tree", "-r", &head]).ok().stdout;
        assert!(tree.contains("blob"), "{what}: {head} holds nothing");
        let fsck = git(sandbox, &repo, &["fsck", "--full", "--strict"]).ok();
        for line in fsck.stdout.lines().chain(fsck.stderr.lines()) {
            // A ref that lags behind its row, which the next write mends.
            let lags = line.starts_with("notice: HEAD points to an unborn branch")
                || line.starts_with("notice: No default references");
            assert!(
                lags || line.starts_with("dangling "),
                "{what}: git says {line:?}"
            );
        }
    }
}

/// Each ref shows the head of its row.
#[track_caller]
pub(crate) fn check_mirrors(sandbox: &Sandbox, what: &str) {
    for (repo, branch) in heads(sandbox) {
        let refs = git(sandbox, &repo, &["for-each-ref", "--format=%(objectname)"]).ok();
        let head = branch.head.expect("every branch has a head");
        let shown: Vec<&str> = refs.stdout.lines().collect();
        assert_eq!(shown, [head], "{what}: the ref lags");
    }
}

pub(crate) fn git(sandbox: &Sandbox, repo: &Path, args: &[&str]) -> Outcome {
    let mut all = vec!["--git-dir", repo.to_str().unwrap()];
    all.extend(args);
    sandbox.program("git", all).finish()
}

/// A prompt that holds its own edits: one that changes `a.txt`, one that makes `new/dir/b.txt`.
pub(crate) const TWO_FILES: &str = "Change one file and make another.

a.txt
```
<<<<<<< SEARCH
one
=======
ONE
>>>>>>> REPLACE
```

new/dir/b.txt
```
<<<<<<< SEARCH
=======
made
>>>>>>> REPLACE
```
";

/// A prompt for what comes after a kill, whatever it left.
const LATER: &str = "Once more.

later.txt
```
<<<<<<< SEARCH
=======
later
>>>>>>> REPLACE
```
";

/// A project with `a.txt` and a plan that was shown it.
pub(crate) fn project() -> Sandbox {
    // Lives as long as a whole sweep, each copy of it for one kill.
    let sandbox = Sandbox::with_limit(Duration::from_secs(300));
    sandbox.write("a.txt", "one\ntwo\n");
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&["load", "a.txt"]);
    sandbox
}

/// Everything goes on as if nothing had happened: a further tell and a further apply.
#[track_caller]
pub(crate) fn check_goes_on(sandbox: &Sandbox, what: &str) {
    sandbox.ok(&["tell", LATER]);
    check_mirrors(sandbox, what);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(sandbox.read("later.txt"), "later\n", "{what}");
    assert!(sandbox.tickets().is_empty(), "{what}: tickets are left");
    check_sound(sandbox, what);
    check_mirrors(sandbox, what);
}

/// What no command of this machine passes, and why.
const OUT_OF_REACH: [&str; 5] = [
    // Only where renameat2 knows neither EXCHANGE nor NOREPLACE; the room's own tests take that
    // way with `Kernel::Old`.
    "file.link",
    // Around another program; `apply` has tests of its own for them.
    "git.before",
    "git.after",
    "sudo.before",
    "sudo.after",
];

#[test]
fn every_crash_point_is_passed_by_some_command() {
    let fresh = Sandbox::without_git();
    fresh.write("a.txt", "one\ntwo\n");
    let mut passed = Vec::new();
    let mut template = Template::new(fresh);
    for args in [
        &["new", "-n", "draft"][..],
        &["load", "a.txt"],
        &["tell", TWO_FILES],
        &["apply", "-y"],
    ] {
        let (points, after) = template.points(args);
        assert!(!points.is_empty(), "{args:?} makes nothing durable");
        passed.extend(points);
        template = Template::new(after);
    }
    for name in plandex::platform::crash::POINTS {
        let is_passed = passed.iter().any(|point| point == name);
        let is_expected = !OUT_OF_REACH.contains(name);
        assert_eq!(is_passed, is_expected, "{name}");
    }
}
