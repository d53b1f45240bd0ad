//! A project that several processes work on one after another, some of which kill themselves.
//!
//! The children are this test binary, called for [`child`] alone; they kill themselves with
//! SIGKILL at the crash point that the parent names.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::*;
use crate::platform::crash;

const CHILD: &str = "apply::tests::site::child";

/// (path, before, after): one to change, one new in a new directory, one to delete, one that has
/// its new content already, and one more to change, which comes last.
const FILES: [(&str, Option<&str>, Option<&str>); 5] = [
    ("dir/changed", Some("old"), Some("new")),
    ("made/deep/new", None, Some("new too")),
    ("removed", Some("old one"), None),
    ("same", Some("same"), Some("same")),
    ("zoo/last", Some("old last"), Some("new last")),
];

/// What is edited while it is being written, and what is written there.
pub(super) const EDITED: &str = "dir/changed";
pub(super) const THEIRS: &str = "the user's";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    kernel: Kernel,
    pub(super) two_mounts: bool,
}

pub(super) const VARIANTS: [Variant; 4] = [
    Variant {
        kernel: Kernel::Current,
        two_mounts: false,
    },
    Variant {
        kernel: Kernel::Old,
        two_mounts: false,
    },
    Variant {
        kernel: Kernel::Current,
        two_mounts: true,
    },
    Variant {
        kernel: Kernel::Old,
        two_mounts: true,
    },
];

/// A project that outlives its processes: in memory, because a kill needs no disk.
pub(super) struct Site {
    variant: Variant,
    root: PathBuf,
    state: PathBuf,
    plan: plans::NewPlan,
    dirs: Vec<tempfile::TempDir>,
}

impl Site {
    fn empty(variant: Variant, plan: plans::NewPlan, other: Option<&Mounted>) -> Self {
        let first = in_memory();
        let (root, state, dirs) = match other {
            Some(other) if variant.two_mounts => {
                let second = tempfile::tempdir_in(&other.0).unwrap();
                let (root, state) = (second.path().join("project"), first.path().join("state"));
                (root, state, vec![first, second])
            }
            _ => {
                let root = first.path().join("project");
                (root.clone(), root.join(".plandex"), vec![first])
            }
        };
        Self {
            variant,
            root,
            state,
            plan,
            dirs,
        }
    }

    pub(super) fn new(variant: Variant, other: Option<&Mounted>) -> Self {
        Self::empty(variant, plans::NewPlan::draw(), other).filled()
    }

    /// At these places.
    pub(super) fn at(variant: Variant, root: PathBuf, state: PathBuf) -> Self {
        let plan = plans::NewPlan::draw();
        Self {
            variant,
            root,
            state,
            plan,
            dirs: vec![in_memory()],
        }
        .filled()
    }

    fn filled(mut self) -> Self {
        std::fs::create_dir(&self.root).unwrap();
        let mut ground = Ground::at(&self.root, &self.state, Vec::new());
        self.plan = ground.plan.clone();
        for (path, before, after) in FILES {
            if let Some(before) = before {
                ground.write(path, before);
            }
            let base = if before == after {
                Some("older")
            } else {
                before
            };
            ground.change(path, base, after);
        }
        self
    }

    /// The same project and plan somewhere else, while no process has it open.
    pub(super) fn copy(&self, other: Option<&Mounted>) -> Self {
        let copy = Self::empty(self.variant, self.plan.clone(), other);
        for (from, to) in [(&self.root, &copy.root), (&self.state, &copy.state)] {
            if !to.exists() {
                let done = Command::new("cp")
                    .arg("-a")
                    .arg(from)
                    .arg(to)
                    .status()
                    .unwrap();
                assert!(done.success());
            }
        }
        copy
    }

    pub(super) fn ground(&self) -> Ground {
        Ground {
            root: self.root.clone(),
            store: Store::open(&self.state, Connections::One).unwrap(),
            plan: self.plan.clone(),
            kernel: self.variant.kernel,
            blobs: BTreeMap::new(),
            _dirs: Vec::new(),
        }
    }

    /// Tells `command`, which calls this test binary, to be a child that does `work` here.
    pub(super) fn instruct(&self, command: &mut Command, work: &str) {
        let trace = self.dirs[0].path().join("trace");
        drop(std::fs::remove_file(&trace));
        command
            .args([CHILD, "--exact", "--test-threads=1", "--nocapture"])
            .env("PLANDEX_TEST_WORK", work)
            .env("PLANDEX_TEST_ROOT", &self.root)
            .env("PLANDEX_TEST_STATE", &self.state)
            .env(
                "PLANDEX_TEST_PLAN",
                format!("{} {}", self.plan.id, self.plan.branch_id),
            )
            .env("PLANDEX_TEST_KERNEL", format!("{:?}", self.variant.kernel))
            .env("PLANDEX_TEST_TRACE", &trace);
    }

    /// Runs `work` in a child that is killed at its `kill_at`-th crash point; whether it was.
    pub(super) fn run(&self, work: &str, kill_at: Option<u64>) -> Run {
        let mut command = Command::new(std::env::current_exe().unwrap());
        self.instruct(&mut command, work);
        if let Some(kill_at) = kill_at {
            command.env("PLANDEX_TEST_KILL_AT", kill_at.to_string());
        }
        let output = command.output().unwrap();
        let trace = self.dirs[0].path().join("trace");
        let was_edited = self.dirs[0].path().join("trace-edited").exists();
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        let passed = text.lines().map(str::to_owned).collect();
        if output.status.signal() == Some(9) {
            return Run {
                passed,
                ended: Ended::Killed,
                was_edited,
            };
        }
        assert!(
            output.status.success(),
            "{work} {kill_at:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Run {
            passed,
            ended: Ended::Normally,
            was_edited,
        }
    }
}

pub(super) struct Run {
    pub(super) passed: Vec<String>,
    pub(super) ended: Ended,
    /// Whether somebody edited [`EDITED`] meanwhile.
    pub(super) was_edited: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Killed,
    Normally,
}

/// Does the work of a child process when called as one, and nothing else.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent's words to its child")]
fn child() {
    let word = |name: &str| std::env::var(format!("PLANDEX_TEST_{name}")).ok();
    let Some(work) = word("WORK") else { return };
    let kernel = if word("KERNEL").unwrap() == "Old" {
        Kernel::Old
    } else {
        Kernel::Current
    };
    let plan = word("PLAN").unwrap();
    let (id, branch_id) = plan.split_once(' ').unwrap();
    let mut ground = Ground {
        root: word("ROOT").unwrap().into(),
        store: Store::open(Path::new(&word("STATE").unwrap()), Connections::One).unwrap(),
        plan: plans::NewPlan {
            id: id.to_owned(),
            branch_id: branch_id.to_owned(),
            created_at: 0,
        },
        kernel,
        blobs: BTreeMap::new(),
        _dirs: Vec::new(),
    };
    for change in ground.pending() {
        let known = FILES.into_iter().find(|(path, _, _)| *path == change.path);
        if let Some((_, _, Some(after))) = known {
            ground.blobs.insert(change.id, after.as_bytes().to_vec());
        }
    }
    let kill_at = word("KILL_AT").map(|text| text.parse().unwrap());
    crash::arm(kill_at, None, Some(Path::new(&word("TRACE").unwrap())));
    match work.as_str() {
        "apply" => assert_eq!(ground.apply(OnConflict::Abort).unwrap().written.len(), 4),
        "apply while somebody edits" => {
            let watcher = edit_before_the_second_move(&ground, word("TRACE").unwrap());
            let applied = crash::watched::watch(watcher, || ground.apply(OnConflict::Abort));
            let error = applied.unwrap_err();
            assert!(
                matches!(error.downcast_ref(), Some(ApplyError::Changed(_))),
                "{error:#}"
            );
        }
        "apply, whatever comes" => {
            let applied = ground.apply(OnConflict::Abort);
            let word = if applied.is_ok() { "done" } else { "failed" };
            println!("{word}: {applied:?}");
        }
        _ => drop(ground.turn().unwrap()),
    }
}

/// Edits the second file just before its own step, and says so in the file `trace` + "-edited".
#[expect(clippy::disallowed_methods, reason = "the user's own writing")]
fn edit_before_the_second_move(
    ground: &Ground,
    trace: String,
) -> impl FnMut(&'static str) + 'static {
    let (first, second) = (ground.path("removed"), ground.path(EDITED));
    let mut edited = false;
    move |name| {
        if !edited && !first.exists() && name.ends_with(".before") {
            edited = true;
            std::fs::write(format!("{trace}-edited"), "").unwrap();
            std::fs::write(&second, THEIRS).unwrap();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Old,
    New,
}

/// What the user did after the kill, before anybody recovered: the path and its new text.
pub(super) type Edit = Option<(&'static str, &'static str)>;

/// Recovers, and checks that the project is on one side but for what the user edited, that its
/// journal says the same, and that nothing is left over; settles the rows and checks those.
pub(super) fn check(site: &Site, edit: Edit, what: &str) -> Side {
    let ground = site.ground();
    drop(ground.turn().unwrap());
    let again = ground.turn().unwrap();
    assert_eq!(
        again.recovered(),
        [],
        "{what}: the second recovery found something"
    );
    drop(again);
    let tree = ground.tree();
    let side = if tree == expected(Side::New, edit) {
        Side::New
    } else {
        Side::Old
    };
    assert_eq!(
        tree,
        expected(side, edit),
        "{what}: neither all old nor all new"
    );
    ground.settle();
    let pending = ground.pending().len();
    let kept: Vec<String> = ground
        .kept()
        .into_values()
        .filter(|text| text != "/")
        .collect();
    let states = ground.states();
    if side == Side::New {
        assert_eq!((pending, states), (0, vec![State::Done]), "{what}");
        assert_eq!(
            kept,
            ["old one", "old", "old last"],
            "{what}: the originals"
        );
    } else {
        assert_eq!(pending, 5, "{what}");
        assert!(
            matches!(states.as_slice(), [] | [State::Undone]),
            "{what}: {states:?}"
        );
        // What the user edited after it was written has its original kept; all else is back.
        let spare = edit.and_then(|(path, _)| FILES.into_iter().find(|file| file.0 == path));
        let spare = spare.and_then(|(_, before, _)| before).unwrap_or_default();
        assert!(
            kept.iter().all(|text| text == spare),
            "{what}: left over: {kept:?}"
        );
    }
    let problems = ground
        .store
        .integrity(crate::store::Integrity::Full)
        .unwrap();
    assert_eq!(problems, [""; 0], "{what}");
    side
}

fn expected(side: Side, edit: Edit) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::from(["dir", "zoo"].map(|dir| (dir.to_owned(), "/".to_owned())));
    for (path, before, after) in FILES {
        let mut text = if side == Side::Old { before } else { after };
        if let Some((edited, theirs)) = edit
            && edited == path
        {
            text = Some(theirs);
        }
        let Some(text) = text else { continue };
        tree.insert(path.to_owned(), text.to_owned());
        for (at, _) in path.match_indices('/') {
            tree.insert(path[..at].to_owned(), "/".to_owned());
        }
    }
    tree
}
