//! Killed at every place where something becomes durable, and again at every such place of the
//! recovery: all old or all new, and nothing left over.
//!
//! The children are this test binary, called for [`child`] alone; they kill themselves with
//! SIGKILL at the crash point that the parent names.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::*;
use crate::platform::crash;

const CHILD: &str = "apply::tests::crashes::child";

/// (path, before, after): one to change, one new in a new directory, one to delete, and one that
/// has its new content already.
const FILES: [(&str, Option<&str>, Option<&str>); 4] = [
    ("dir/changed", Some("old"), Some("new")),
    ("made/deep/new", None, Some("new too")),
    ("removed", Some("old one"), None),
    ("same", Some("same"), Some("same")),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    kernel: Kernel,
    two_mounts: bool,
}

const VARIANTS: [Variant; 4] = [
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
struct Site {
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

    fn new(variant: Variant, other: Option<&Mounted>) -> Self {
        let site = Self::empty(variant, plans::NewPlan::draw(), other);
        std::fs::create_dir(&site.root).unwrap();
        let mut ground = Ground::at(&site.root, &site.state, Vec::new());
        let site = Self {
            plan: ground.plan.clone(),
            ..site
        };
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
        site
    }

    /// The same project and plan somewhere else, while no process has it open.
    fn copy(&self, other: Option<&Mounted>) -> Self {
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

    fn ground(&self) -> Ground {
        Ground {
            root: self.root.clone(),
            store: Store::open(&self.state, Connections::One).unwrap(),
            plan: self.plan.clone(),
            kernel: self.variant.kernel,
            blobs: BTreeMap::new(),
            _dirs: Vec::new(),
        }
    }

    /// Runs `work` in a child that is killed at its `kill_at`-th crash point; whether it was.
    fn run(&self, work: &str, kill_at: Option<u64>) -> Run {
        let trace = self.dirs[0].path().join("trace");
        drop(std::fs::remove_file(&trace));
        let mut command = Command::new(std::env::current_exe().unwrap());
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
        if let Some(kill_at) = kill_at {
            command.env("PLANDEX_TEST_KILL_AT", kill_at.to_string());
        }
        let output = command.output().unwrap();
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        let passed = text.lines().map(str::to_owned).collect();
        if output.status.signal() == Some(9) {
            return Run {
                passed,
                ended: Ended::Killed,
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
        }
    }
}

struct Run {
    passed: Vec<String>,
    ended: Ended,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
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
    crash::arm(kill_at, Some(Path::new(&word("TRACE").unwrap())));
    match work.as_str() {
        "apply" => assert_eq!(ground.apply(OnConflict::Abort).unwrap().written.len(), 3),
        _ => drop(ground.turn().unwrap()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Old,
    New,
}

/// What the user did after the kill, before anybody recovered: the path and its new text.
type Edit = Option<(&'static str, &'static str)>;

/// Recovers, and checks that the project is on one side but for what the user edited, that its
/// journal says the same, and that nothing is left over; settles the rows and checks those.
fn check(site: &Site, edit: Edit, what: &str) -> Side {
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
        assert_eq!(kept, ["old one", "old"], "{what}: the originals");
    } else {
        assert_eq!(pending, 4, "{what}");
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
    let mut tree = BTreeMap::from([("dir".to_owned(), "/".to_owned())]);
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

/// Applies with a kill at each crash point in turn, and calls `then` on each outcome. Returns how
/// many points there were, and their names.
fn kill_everywhere(
    variant: Variant,
    other: Option<&Mounted>,
    edit: Edit,
    mut then: impl FnMut(&Site, &str),
) -> (usize, BTreeSet<String>) {
    let whole = Site::new(variant, other).run("apply", None);
    assert_eq!(whole.ended, Ended::Normally);
    for kill_at in 1..=whole.passed.len() as u64 {
        let site = Site::new(variant, other);
        let run = site.run("apply", Some(kill_at));
        let what = format!(
            "{variant:?}, killed at {kill_at} ({})",
            run.passed.join(" ")
        );
        assert_eq!(run.ended, Ended::Killed, "{what}: no kill");
        if let Some((path, text)) = edit {
            site.ground().write(path, text);
        }
        then(&site, &what);
    }
    (whole.passed.len(), whole.passed.into_iter().collect())
}

#[test]
fn killed_at_every_point_an_apply_is_all_or_nothing() {
    let mut reached = BTreeSet::new();
    let mounted = Mounted::memory("64m");
    let other = mounted.as_ref();
    for variant in variants(other) {
        let mut sides = Vec::new();
        let (_, points) = kill_everywhere(variant, other, None, |site, what| {
            reached.extend(site.copy(other).run("recover", None).passed);
            sides.push(check(site, None, what));
        });
        reached.extend(points);
        // First always undone, from some point on always finished.
        let turn = sides.iter().position(|side| *side == Side::New).unwrap();
        assert!(turn > 0, "{variant:?}");
        assert!(
            sides[turn..].iter().all(|side| *side == Side::New),
            "{variant:?}: {sides:?}"
        );
        println!(
            "{variant:?}: {} kills, new from the {}th",
            sides.len(),
            turn + 1
        );
    }
    for point in [
        "dir.create",
        "dir.sync",
        "file.create",
        "file.exchange.after",
        "file.exchange.before",
        "file.link",
        "file.remove",
        "file.rename.after",
        "file.rename.before",
        "file.sync",
        "commit.after",
        "commit.before",
    ] {
        assert!(reached.contains(point), "{point} was never reached");
    }
}

/// Kills the recovery of every killed apply at its own points in turn: with the current kernel on
/// one mount at each, else at every third, others for each kill.
fn kill_the_recovery_everywhere(
    variant: Variant,
    other: Option<&Mounted>,
    edit: Edit,
) -> BTreeSet<String> {
    let (mut kills, mut reached, mut outcomes) = (0, BTreeSet::new(), BTreeSet::new());
    let (stride, mut first) = (if variant == VARIANTS[0] { 1 } else { 3 }, 0);
    kill_everywhere(variant, other, edit, |site, what| {
        let mut sides = BTreeSet::new();
        first += 1;
        for again_at in (1 + first % stride..).step_by(stride) {
            let again_at = again_at as u64;
            let copy = site.copy(other);
            let run = copy.run("recover", Some(again_at));
            let what = format!("{what}, then at {again_at} ({})", run.passed.join(" "));
            sides.insert(check(&copy, edit, &what));
            reached.extend(run.passed);
            if run.ended == Ended::Normally {
                break;
            }
            kills += 1;
        }
        assert_eq!(sides.len(), 1, "{what}: the recovery wavers");
        outcomes.extend(sides);
    });
    println!("{variant:?}, edit {edit:?}: {kills} kills of the recovery");
    assert_eq!(outcomes.len(), 2, "{variant:?}: {outcomes:?}");
    reached
}

#[test]
fn killed_at_every_point_a_finishing_recovery_can_be_run_again() {
    let mounted = Mounted::memory("64m");
    for variant in variants(mounted.as_ref()) {
        kill_the_recovery_everywhere(variant, mounted.as_ref(), None);
    }
}

#[test]
fn killed_at_every_point_an_undoing_recovery_can_be_run_again() {
    let mounted = Mounted::memory("64m");
    let mut reached = BTreeSet::new();
    // The last one and the middle one are edited before their own steps are taken, so that what
    // was written goes back.
    for (variant, path) in
        variants(mounted.as_ref()).zip(["made/deep/new", "dir/changed"].repeat(2))
    {
        let edit = Some((path, "the user's"));
        reached.extend(kill_the_recovery_everywhere(
            variant,
            mounted.as_ref(),
            edit,
        ));
    }
    assert!(
        reached.contains("file.rename.before"),
        "nothing was put back"
    );
}

/// The variants that can be tried here.
fn variants(other: Option<&Mounted>) -> impl Iterator<Item = Variant> {
    let has_other = other.is_some();
    VARIANTS
        .into_iter()
        .filter(move |variant| has_other || !variant.two_mounts)
}
