//! Many versions, few packs; many writers, one repository.

use std::thread;

use super::*;

/// Commits `count` versions in a row, each with one file of its own.
fn commits(repo: &PlanRepo, line: usize, count: usize) -> Vec<Version> {
    let mut versions: Vec<Version> = Vec::new();
    for n in 0..count {
        let changes = [
            put(&format!("line {line}/{n}"), &format!("{line} {n}")),
            put("last", "x"),
        ];
        versions.push(commit(repo, versions.last(), &changes));
    }
    versions
}

#[test]
fn packs_stay_few_and_all_versions_stay() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let mut versions: Vec<Version> = Vec::new();
    for n in 0..150 {
        let change = put(&format!("d{}/{n}", n % 7), &format!("content {n}"));
        versions.push(commit(&repo, versions.last(), &[change]));
        let count = packs(repo.path(), "pack").len();
        assert!(count <= 20, "{count} packs after {n} versions");
        assert_eq!(packs(repo.path(), "idx").len(), count);
    }
    let head = versions.last().unwrap();
    assert_eq!(repo.verify(head, Depth::Full), []);
    assert_eq!(repo.log(head, 1000).unwrap().len(), 150);
    assert_eq!(repo.leftovers().unwrap(), Vec::<PathBuf>::new());
    repo.mirror(BRANCH, head).unwrap();
    fsck(repo.path());
    for pack in packs(repo.path(), "idx") {
        git(repo.path(), &["verify-pack", pack.to_str().unwrap()]);
    }
}

#[test]
fn what_is_not_ours_to_fold_stays() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let old = commits(&repo, 0, 3);
    repo.mirror(BRANCH, &old[2]).unwrap();
    git(repo.path(), &["repack", "-adq"]);
    let theirs = packs(repo.path(), "pack").remove(0);
    let kept = commit(&repo, None, &[put("kept", "1")]);
    let keep = packs(repo.path(), "pack")
        .into_iter()
        .find(|path| *path != theirs)
        .unwrap();
    overwrite(&keep.with_extension("keep"), b"");
    let damaged = commit(&repo, None, &[put("damaged", "1")]);
    let bad = packs(repo.path(), "pack")
        .into_iter()
        .find(|path| *path != theirs && *path != keep);
    let bad = bad.unwrap();
    let mut bytes = std::fs::read(&bad).unwrap();
    bytes[20] ^= 0xff;
    overwrite(&bad, &bytes);

    let new = commits(&repo, 1, 40);
    for path in [theirs, keep, bad] {
        assert!(
            path.exists() && path.with_extension("idx").exists(),
            "{}",
            path.display()
        );
    }
    assert!(packs(repo.path(), "pack").len() <= 23);
    let repo = PlanRepo::open(repo.path()).unwrap();
    for version in old.iter().chain(&new).chain([&kept]) {
        assert_eq!(repo.verify(version, Depth::Full), []);
    }
    assert!(!repo.verify(&damaged, Depth::Full).is_empty());

    // With a list of packs by git's own hand, none goes.
    git(repo.path(), &["multi-pack-index", "write"]);
    let listed = packs(repo.path(), "pack");
    commits(&repo, 2, 20);
    assert!(listed.iter().all(|path| path.exists()));
}

#[test]
fn writers_and_readers_do_not_disturb_each_other() {
    let fixture = Fixture::new();
    let path = fixture.repo.path();
    let base = commit(&fixture.repo, None, &[put("base", "1")]);
    let lines: Vec<Vec<Version>> = thread::scope(|scope| {
        // Lines 0 and 1 write the very same versions.
        let writers: Vec<_> = (0..4_usize)
            .map(|n| scope.spawn(move || commits(&PlanRepo::open(path).unwrap(), n.max(1), 40)))
            .collect();
        // One handle all along: its packs are folded away under it.
        let repo = PlanRepo::open(path).unwrap();
        while writers.iter().any(|writer| !writer.is_finished()) {
            assert_eq!(repo.file(&base, "base").unwrap().unwrap(), b"1");
            assert_eq!(PlanRepo::open(path).unwrap().verify(&base, Depth::Full), []);
        }
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    assert_eq!(lines[0], lines[1]);
    for versions in &lines {
        let head = versions.last().unwrap();
        assert_eq!(fixture.repo.verify(head, Depth::Full), []);
        assert_eq!(fixture.repo.log(head, 100).unwrap().len(), 40);
    }
    assert_eq!(
        fixture.repo.mirrored(BRANCH).unwrap(),
        None,
        "no ref was moved"
    );
    assert_eq!(fixture.repo.leftovers().unwrap(), Vec::<PathBuf>::new());
    fixture
        .repo
        .mirror(BRANCH, lines[3].last().unwrap())
        .unwrap();
    fsck(path);
}
