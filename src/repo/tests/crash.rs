//! Killed at every step, failed by every sync, run in a hostile environment.

use std::os::unix::process::ExitStatusExt as _;

use super::child::{command, next_changes, run_and_kill};
use super::*;

const SIGKILL: i32 = 9;

/// Later than anything a test makes.
const LATER_MS: i64 = i64::MAX;

#[test]
fn creation_killed_anywhere_is_all_or_nothing() {
    let mut kills = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.git");
        let status = run_and_kill("create", &path, kills + 1);
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "at {}: {status}", kills + 1);
        kills += 1;
        let whole = path.exists();
        assert!(
            !whole || PlanRepo::open(&path).is_ok(),
            "killed at {kills}: half a repository"
        );
        let left = unfinished(dir.path()).unwrap().len();
        assert!(
            left <= 1 && (left == 0 || !whole),
            "killed at {kills}: {left} left"
        );

        let repo = PlanRepo::create(&path, BRANCH).unwrap();
        assert_eq!(
            sweep_unfinished(dir.path(), 0).unwrap(),
            0,
            "nothing is that old"
        );
        assert_eq!(sweep_unfinished(dir.path(), LATER_MS).unwrap(), left);
        assert_eq!(unfinished(dir.path()).unwrap().len(), 0);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let version = commit(&repo, None, &[put("a", "1")]);
        repo.mirror(BRANCH, &version).unwrap();
        fsck(&path);
    }
    assert!(kills > 8, "only {kills} places to die");
}

#[test]
fn creation_is_repeatable_and_private() {
    let Fixture { repo, dir } = Fixture::new();
    let version = commit(&repo, None, &[put("a", "1")]);
    let again = PlanRepo::create(repo.path(), "another-branch").unwrap();
    assert_eq!(again.file(&version, "a").unwrap().unwrap(), b"1");
    let head = std::fs::read_to_string(repo.path().join("HEAD")).unwrap();
    assert_eq!(
        head,
        format!("ref: refs/heads/{BRANCH}\n"),
        "the first HEAD stays"
    );

    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(repo.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    for name in ["", "objects", "objects/pack", "refs", "refs/heads"] {
        assert_eq!(mode(name), 0o700, "{name:?}");
    }
    assert_eq!((mode("HEAD"), mode("config")), (0o600, 0o600));
    for path in packs(repo.path(), "pack")
        .iter()
        .chain(&packs(repo.path(), "idx"))
    {
        let name = path.strip_prefix(repo.path()).unwrap();
        assert_eq!(mode(name.to_str().unwrap()), 0o444);
    }
    assert_eq!(git(repo.path(), &["config", "core.bare"]).trim(), "true");

    // What is not a whole repository is neither opened nor built over.
    let broken = dir.path().join("broken.git");
    copy_dir(repo.path(), &broken);
    overwrite(&broken.join("HEAD"), b"");
    let error = format!("{:#}", PlanRepo::create(&broken, BRANCH).unwrap_err());
    assert!(error.contains("HEAD is damaged"), "{error}");
    assert!(PlanRepo::open(dir.path()).is_err());
}

#[test]
fn a_commit_killed_anywhere_harms_nothing() {
    killed_anywhere(&Killed {
        versions: 1,
        places_min: 10,
    });
}

#[test]
fn a_fold_killed_anywhere_harms_nothing() {
    killed_anywhere(&Killed {
        versions: 15,
        places_min: 50,
    });
}

struct Killed {
    /// How many versions there are before.
    versions: usize,
    /// How many places there are to die, at least.
    places_min: u64,
}

fn killed_anywhere(killed: &Killed) {
    let Fixture { repo, dir } = Fixture::new();
    let mut old = vec![commit(
        &repo,
        None,
        &[put("context/a", "1"), put("conversation/1", "hi")],
    )];
    for n in 1..killed.versions {
        old.push(commit(&repo, old.last(), &[put("n", &n.to_string())]));
    }
    let head = *old.last().unwrap();
    repo.mirror(BRANCH, &head).unwrap();
    let new = commit(
        &repo_copy(&repo, &dir.path().join("undisturbed.git")),
        Some(&head),
        &next_changes(),
    );

    let mut kills = 0;
    loop {
        let path = dir.path().join(format!("killed-{kills}.git"));
        let copy = repo_copy(&repo, &path);
        let status = run_and_kill("commit", &path, kills + 1);
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(SIGKILL), "at {}: {status}", kills + 1);
        kills += 1;
        assert_eq!(copy.verify(&head, Depth::Full), [], "killed at {kills}");
        let mirrored = copy.mirrored(BRANCH).unwrap().unwrap();
        assert!(
            mirrored == head || mirrored == new,
            "killed at {kills}: {mirrored}"
        );
        assert_eq!(copy.verify(&mirrored, Depth::Full), [], "killed at {kills}");
        fsck(&path);

        assert_eq!(
            commit(&copy, Some(&head), &next_changes()),
            new,
            "killed at {kills}"
        );
        copy.mirror(BRANCH, &new).unwrap();
        copy.sweep(LATER_MS).unwrap();
        assert_eq!(copy.leftovers().unwrap(), Vec::<PathBuf>::new());
        assert_eq!(copy.verify(&new, Depth::Full), [], "after {kills}");
        fsck(&path);
        std::fs::remove_dir_all(&path).unwrap();
    }
    assert!(kills >= killed.places_min, "only {kills} places to die");
}

fn repo_copy(repo: &PlanRepo, to: &Path) -> PlanRepo {
    copy_dir(repo.path(), to);
    PlanRepo::open(to).unwrap()
}

#[test]
fn leftovers_are_found_and_swept_by_age() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let version = commit(&repo, None, &[put("a", "1")]);
    repo.mirror(BRANCH, &version).unwrap();
    assert_eq!(repo.leftovers().unwrap(), Vec::<PathBuf>::new());
    let name = |name: &str| repo.path().join(name);
    let left = [
        "HEAD.lock",
        "packed-refs.lock",
        ".packed-refs.0199.tmp",
        "objects/tmp_obj_x",
        "objects/pack/pack-1234.pack",
        "objects/pack/pack-5678.idx",
        "objects/pack/tmp_idx_x",
        "objects/pack/tmp_pack_x",
        "refs/heads/.b.0199.tmp",
        "refs/heads/b.lock",
    ];
    for path in left {
        overwrite(&name(path), b"");
    }
    let mut found = repo.leftovers().unwrap();
    found.sort();
    let mut expected: Vec<PathBuf> = left.iter().map(|path| name(path)).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(repo.sweep(1_000_000).unwrap(), 0, "they are not from 1970");
    // Nothing of it is in our way.
    let next = commit(&repo, Some(&version), &[put("a", "2")]);
    repo.mirror(BRANCH, &next).unwrap();
    assert_eq!(repo.sweep(LATER_MS).unwrap(), left.len());
    assert_eq!(repo.leftovers().unwrap(), Vec::<PathBuf>::new());
    assert_eq!(repo.verify(&next, Depth::Full), []);
    fsck(repo.path());
}

#[test]
fn the_environment_does_not_matter() {
    let Fixture { repo, dir } = Fixture::new();
    let first = commit(&repo, None, &[put("context/a", "1")]);
    repo.mirror(BRANCH, &first).unwrap();
    let calm = repo_copy(&repo, &dir.path().join("calm.git"));
    let expected = commit(&calm, Some(&first), &next_changes());

    let trap = dir.path().join("trap");
    std::fs::create_dir(&trap).unwrap();
    for name in [".gitconfig", "config"] {
        let text = "[core]\n\tbare = maybe\n\tcompression = 99\n[user]\n\tname = Trap\n[broken";
        overwrite(&trap.join(name), text.as_bytes());
    }
    let mut child = command("commit", repo.path());
    child
        .current_dir(&trap)
        .env("HOME", &trap)
        .env("XDG_CONFIG_HOME", &trap);
    for name in [
        "GIT_DIR",
        "GIT_COMMON_DIR",
        "GIT_WORK_TREE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_TEMPLATE_DIR",
    ] {
        child.env(name, &trap);
    }
    for name in ["GIT_CONFIG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        child.env(name, trap.join("config"));
    }
    child
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "core.bare");
    child
        .env("GIT_CONFIG_VALUE_0", "maybe")
        .env("GIT_REPLACE_REF_BASE", "refs/heads/");
    child
        .env("GIT_AUTHOR_NAME", "Trap")
        .env("GIT_COMMITTER_DATE", "1 +0100");
    child
        .env("GIT_DEFAULT_HASH", "sha256")
        .env("GIT_CEILING_DIRECTORIES", "/");
    let output = run(&mut child);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert_eq!(
        repo.mirrored(BRANCH).unwrap(),
        Some(expected),
        "the same version to the bit"
    );
    assert_eq!(
        std::fs::read_dir(&trap).unwrap().count(),
        2,
        "nothing is written elsewhere"
    );
    fsck(repo.path());
}

fn has_strace() -> bool {
    Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Reads a trace: nothing gets its name before it was synced, and no ref moves before the
/// directory that names its objects was.
#[test]
fn nothing_is_named_before_it_is_synced() {
    if !has_strace() {
        return;
    }
    let Fixture { repo, dir } = Fixture::new();
    let first = commit(&repo, None, &[put("context/a", "1")]);
    repo.mirror(BRANCH, &first).unwrap();
    let trace = dir.path().join("trace");
    let child = command("commit", repo.path());
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-y",
        "-qq",
        "-s",
        "4096",
        "-e",
        "trace=fsync,fdatasync,rename,renameat,renameat2",
    ]);
    strace.arg("-o").arg(&trace).arg(child.get_program());
    strace.args(child.get_args());
    strace.envs(
        child
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    assert!(run(&mut strace).status.success());

    let (mut synced, mut unsynced_dirs) = (Vec::new(), Vec::new());
    let (mut renames, mut refs) = (0, 0);
    for line in calls(&std::fs::read_to_string(&trace).unwrap()) {
        if line.contains("sync(") && line.ends_with("= 0") {
            let path = between(&line, "<", ">");
            unsynced_dirs.retain(|dir| *dir != path);
            synced.push(path);
        } else if line.contains("rename") && line.ends_with("= 0") {
            let paths: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            let [from, to] = paths[..] else {
                panic!("{line}")
            };
            assert!(
                synced.iter().any(|path| path == from),
                "renamed before its sync: {line}"
            );
            if to.contains("/refs/") {
                assert_eq!(unsynced_dirs, Vec::<String>::new(), "a ref before: {line}");
                refs += 1;
            }
            unsynced_dirs.push(to.rsplit_once('/').unwrap().0.to_owned());
            renames += 1;
        }
    }
    assert_eq!((renames, refs), (3, 1), "a pack, its index, a ref");
    assert_eq!(unsynced_dirs, Vec::<String>::new());
}

/// The calls of a trace in the order of their ends; one that another thread interrupted is put
/// together again.
fn calls(trace: &str) -> Vec<String> {
    let mut begun = std::collections::HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        if let Some(begin) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, begin);
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            calls.push(format!("{}{end}", begun.remove(thread).unwrap()));
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

fn between(line: &str, start: &str, end: &str) -> String {
    let (_, rest) = line.split_once(start).unwrap();
    rest.split_once(end).unwrap().0.to_owned()
}

/// A sync that fails is never acknowledged, and a retry does not believe what it left.
#[test]
fn a_failed_sync_fails_the_commit() {
    if !has_strace() {
        return;
    }
    let Fixture { repo, dir } = Fixture::new();
    let first = commit(&repo, None, &[put("context/a", "1")]);
    repo.mirror(BRANCH, &first).unwrap();
    let mut failures = 0;
    loop {
        let path = dir.path().join(format!("failed-{failures}.git"));
        let copy = repo_copy(&repo, &path);
        let child = command("commit", &path);
        let inject = format!("inject=fsync,fdatasync:error=EIO:when={}", failures + 1);
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &inject])
            .arg(child.get_program());
        strace.args(child.get_args());
        strace.envs(
            child
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let output = run(&mut strace);
        if output.status.success() {
            break;
        }
        failures += 1;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("syncing") && said.contains("os error 5"),
            "{said}"
        );
        assert_eq!(copy.verify(&first, Depth::Full), []);
        assert_eq!(
            copy.leftovers().unwrap(),
            Vec::<PathBuf>::new(),
            "what failed is thrown away"
        );
        let next = commit(&copy, Some(&first), &next_changes());
        copy.mirror(BRANCH, &next).unwrap();
        assert_eq!(copy.verify(&next, Depth::Full), []);
        fsck(&path);
    }
    // strace counts for each thread, so the first is both the pack's and the index's.
    assert_eq!(
        failures, 4,
        "a pack with its index, their directory, a ref, its directory"
    );
}
