//! Trees, history and refs in fair weather.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

#[test]
fn a_version_is_its_parent_with_changes() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let first = commit(
        &repo,
        None,
        &[put("a", "1"), put("d/b", "2"), put("d/e/c", "3")],
    );
    let second = commit(&repo, Some(&first), &[put("d/b", "two"), remove("a")]);
    assert_eq!(
        contents(&repo, &second),
        [
            ("d/b".to_owned(), "two".to_owned()),
            ("d/e/c".to_owned(), "3".to_owned())
        ]
    );
    assert_eq!(repo.file(&first, "a").unwrap().unwrap(), b"1");
    assert_eq!(repo.file(&second, "a").unwrap(), None);
    assert_eq!(
        repo.file(&second, "d").unwrap(),
        None,
        "a directory is no file"
    );
    assert_eq!(
        repo.file(&second, "d/b/x").unwrap(),
        None,
        "nothing is below a file"
    );
    let under: Vec<_> = repo
        .files(&second, "d/e")
        .unwrap()
        .into_iter()
        .map(|f| f.path)
        .collect();
    assert_eq!(under, ["d/e/c"]);
    assert_eq!(repo.files(&second, "d/b").unwrap().len(), 1);
    assert_eq!(repo.files(&second, "none").unwrap(), []);
}

#[test]
fn plain_git_reads_it() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let mut head = None;
    for n in 0..40 {
        let changes = [
            put("conversation/last.md", &format!("message {n}\n")),
            put("n", "x"),
        ];
        let message = format!("tell: number {n}\n\nwith a body");
        let version = repo.commit(
            head.as_ref(),
            &changes,
            "Ann <ann@x.org>",
            &message,
            n * 1000,
        );
        head = Some(version.unwrap());
    }
    let head = head.unwrap();
    repo.mirror(BRANCH, &head).unwrap();
    fsck(repo.path());
    let subjects = git(
        repo.path(),
        &["log", "--format=%s by %an <%ae>, %cn <%ce>, %ct"],
    );
    let lines: Vec<&str> = subjects.lines().collect();
    assert_eq!(lines.len(), 40);
    assert_eq!(
        lines[0],
        "tell: number 39 by Ann <ann@x.org>, plandex <plandex@localhost>, 39"
    );
    let shown = git(repo.path(), &["show", "HEAD:conversation/last.md"]);
    assert_eq!(shown, "message 39\n");
    let diff = git(repo.path(), &["show", "--format=", "HEAD"]);
    assert!(
        diff.contains("-message 38") && diff.contains("+message 39"),
        "{diff}"
    );
    assert_eq!(
        git(repo.path(), &["symbolic-ref", "HEAD"]).trim(),
        format!("refs/heads/{BRANCH}")
    );
}

#[test]
fn log_is_newest_first_along_first_parents() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let author = "Ann\n<> <a\0b@x>";
    let first = repo
        .commit(None, &[put("a", "1")], author, "one\n\nbody\n\n", 1_234_567)
        .unwrap();
    let second = repo
        .commit(Some(&first), &[], "", "nul \0 in it", -5)
        .unwrap();
    let log = repo.log(&second, 10).unwrap();
    assert_eq!(
        log,
        [
            LogEntry {
                version: second,
                parents: vec![first],
                time_ms: 0,
                author: "plandex <plandex@localhost>".to_owned(),
                message: "nul \u{fffd} in it".to_owned(),
            },
            LogEntry {
                version: first,
                parents: vec![],
                time_ms: 1_234_000,
                author: "Ann <ab@x>".to_owned(),
                message: "one\n\nbody".to_owned(),
            },
        ]
    );
    assert_eq!(repo.log(&second, 1).unwrap().len(), 1);
    repo.mirror(BRANCH, &second).unwrap();
    fsck(repo.path());
}

#[test]
fn a_version_is_text_everywhere() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let version = commit(&repo, None, &[put("a", "1")]);
    let text = version.to_string();
    assert_eq!(text.len(), 40);
    assert_eq!(text.parse::<Version>().unwrap(), version);
    assert_eq!(
        serde_json::to_string(&version).unwrap(),
        format!("\"{text}\"")
    );
    assert_eq!(
        serde_json::from_str::<Version>(&format!("\"{text}\"")).unwrap(),
        version
    );
    for bad in [
        "",
        "main",
        &text[1..],
        "z123456789012345678901234567890123456789",
    ] {
        assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        assert!(
            serde_json::from_str::<Version>(&format!("\"{bad}\"")).is_err(),
            "{bad:?}"
        );
    }
    let entry = &repo.files(&version, "").unwrap()[0];
    assert_eq!(entry.id, blob_id(b"1").unwrap());
    assert!(
        repo.blob(&text).is_err(),
        "a version is not a file's content"
    );
}

#[test]
fn the_same_version_is_written_twice() {
    let fixture = Fixture::new();
    let changes = [put("a", "1"), put("b", "1")];
    let once = commit(&fixture.repo, None, &changes);
    assert_eq!(commit(&fixture.other(), None, &changes), once);
    assert_eq!(packs(fixture.repo.path(), "pack").len(), 1);
    fixture.repo.mirror(BRANCH, &once).unwrap();
    fsck(fixture.repo.path());
}

#[test]
fn names_are_kept_as_they_are() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let deep = ["d"; 255].join("/") + "/end";
    let long = "n".repeat(1000);
    let names = [
        " lead",
        "trail ",
        "a b/c d",
        "ä/日本",
        "-x",
        "q\"uote",
        "tab\there",
        "new\nline",
        "back\\slash",
        "CON",
        "a:b",
        ".gitx",
        "x.git",
        "...",
        &long,
        &deep,
    ];
    let changes: Vec<TreeChange> = names.iter().map(|name| put(name, name)).collect();
    let version = commit(&repo, None, &changes);
    let mut found = contents(&repo, &version);
    found.sort();
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| ((*name).to_owned(), (*name).to_owned()))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    repo.mirror(BRANCH, &version).unwrap();
    fsck(repo.path());
}

#[test]
fn names_that_git_refuses_are_refused() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let too_deep = ["d"; 257].join("/");
    let too_long = "n".repeat(4097);
    for bad in [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        ".git",
        "a/.GIT/b",
        "git~1",
        ".g\u{200c}it",
        "a\0b",
        &too_deep,
        &too_long,
    ] {
        let result = repo.commit(None, &[put("good", "1"), put(bad, "1")], "", "m", 0);
        assert!(result.is_err(), "{bad:?} was written");
        assert!(
            repo.commit(None, &[remove(bad)], "", "m", 0).is_err(),
            "{bad:?} was removed"
        );
    }
    assert_eq!(
        packs(repo.path(), "pack").len(),
        0,
        "nothing is written of a refused version"
    );
}

#[test]
fn removing_the_last_file_leaves_a_readable_empty_version() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let first = commit(&repo, None, &[put("a/b/c", "1")]);
    let empty = commit(&repo, Some(&first), &[remove("a/b/c")]);
    assert_eq!(contents(&repo, &empty), []);
    let none = commit(&repo, None, &[]);
    assert_eq!(contents(&repo, &none), []);
    let again = commit(&repo, Some(&empty), &[put("a/b", "2")]);
    assert_eq!(
        contents(&repo, &again),
        [("a/b".to_owned(), "2".to_owned())]
    );
    assert_eq!(repo.verify(&again, Depth::Full), []);
    repo.mirror(BRANCH, &again).unwrap();
    fsck(repo.path());
}

#[test]
fn a_thousand_files() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let name = |n: usize| format!("dir {}/file {n}", n % 10);
    let changes: Vec<TreeChange> = (0..1000)
        .map(|n| put(&name(n), &format!("{n}\n")))
        .collect();
    let version = commit(&repo, None, &changes);
    assert_eq!(packs(repo.path(), "pack").len(), 1);
    let found: BTreeMap<_, _> = contents(&repo, &version).into_iter().collect();
    let expected: BTreeMap<_, _> = (0..1000).map(|n| (name(n), format!("{n}\n"))).collect();
    assert_eq!(found, expected);
    repo.mirror(BRANCH, &version).unwrap();
    fsck(repo.path());
}

#[test]
fn contents_of_every_size_come_back() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let noise = |length: u32| -> Vec<u8> {
        (0..length)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0])
            .collect()
    };
    // Around the sizes of the compressor's buffers, and of the length in an object's header.
    let sizes = [
        0, 1, 15, 16, 1023, 1024, 1025, 2047, 2048, 4095, 4096, 8192, 65_536, 262_144, 3_000_001,
    ];
    for (n, size) in sizes.into_iter().enumerate() {
        for bytes in [noise(size), vec![b'x'; size as usize]] {
            let change = TreeChange::Put {
                path: format!("f{n}"),
                bytes: bytes.clone(),
            };
            let version = commit(&repo, None, &[change]);
            assert!(
                repo.file(&version, &format!("f{n}")).unwrap() == Some(bytes),
                "{size} bytes"
            );
        }
    }
}

#[test]
fn mirrors_follow_and_go() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let first = commit(&repo, None, &[put("a", "1")]);
    let second = commit(&repo, Some(&first), &[put("a", "2")]);
    assert_eq!(repo.mirrored(BRANCH).unwrap(), None);
    repo.mirror(BRANCH, &first).unwrap();
    repo.mirror(BRANCH, &second).unwrap();
    repo.mirror("other", &first).unwrap();
    assert_eq!(repo.mirrored(BRANCH).unwrap(), Some(second));

    git(repo.path(), &["pack-refs", "--all"]);
    assert!(!repo.path().join("refs/heads").join(BRANCH).exists());
    assert_eq!(repo.mirrored(BRANCH).unwrap(), Some(second));
    assert_eq!(repo.mirrored("other").unwrap(), Some(first));
    repo.mirror(BRANCH, &first).unwrap();
    assert_eq!(
        repo.mirrored(BRANCH).unwrap(),
        Some(first),
        "the loose ref comes first"
    );

    repo.remove_mirror(BRANCH).unwrap();
    repo.remove_mirror(BRANCH).unwrap();
    assert_eq!(repo.mirrored(BRANCH).unwrap(), None);
    assert_eq!(
        repo.mirrored("other").unwrap(),
        Some(first),
        "only that branch's"
    );
    let refs = git(
        repo.path(),
        &["for-each-ref", "--format=%(refname) %(objectname)"],
    );
    assert_eq!(refs, format!("refs/heads/other {first}\n"));
}

#[test]
fn a_mirror_never_points_nowhere() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let version = commit(&repo, None, &[put("a", "1")]);
    let nothing: Version = "1234567890123456789012345678901234567890".parse().unwrap();
    assert!(repo.mirror(BRANCH, &nothing).is_err());
    let blob: Version = blob_id(b"1").unwrap().parse().unwrap();
    assert!(repo.mirror(BRANCH, &blob).is_err(), "a blob is no version");
    for bad in [
        "",
        "a/b",
        "..",
        "a.lock",
        "-x",
        "ä",
        "a b",
        "@{1}",
        &"x".repeat(65),
    ] {
        assert!(repo.mirror(bad, &version).is_err(), "{bad:?}");
        assert!(repo.mirrored(bad).is_err(), "{bad:?}");
        assert!(repo.remove_mirror(bad).is_err(), "{bad:?}");
    }
    assert_eq!(git(repo.path(), &["for-each-ref"]), "");
}

#[test]
fn what_is_no_ref_is_replaced() {
    let Fixture { repo, dir: _dir } = Fixture::new();
    let version = commit(&repo, None, &[put("a", "1")]);
    for damage in [&b""[..], b"\0\0\0\0", b"ref: refs/heads/x\n", b"\xff\xfe"] {
        overwrite(&repo.path().join("refs/heads").join(BRANCH), damage);
        assert_eq!(repo.mirrored(BRANCH).unwrap(), None);
        repo.mirror(BRANCH, &version).unwrap();
        assert_eq!(repo.mirrored(BRANCH).unwrap(), Some(version));
    }
    fsck(repo.path());
}

#[test]
fn what_plain_git_does_meanwhile_does_no_harm() {
    let fixture = Fixture::new();
    let repo = &fixture.repo;
    let mut versions = vec![commit(repo, None, &[put("a", "0"), put("d/b", "0")])];
    for n in 1..10 {
        let change = put("a", &n.to_string());
        versions.push(commit(repo, versions.last(), &[change]));
    }
    let unreferenced = commit(repo, versions.last(), &[put("a", "not in a ref")]);
    repo.mirror(BRANCH, versions.last().unwrap()).unwrap();
    git(repo.path(), &["gc", "--quiet"]);
    for version in versions.iter().chain([&unreferenced]) {
        assert_eq!(
            repo.verify(version, Depth::Full),
            [],
            "the handle from before"
        );
        assert_eq!(
            fixture.other().verify(version, Depth::Full),
            [],
            "a new handle"
        );
    }
    let next = commit(repo, versions.last(), &[put("a", "after")]);
    repo.mirror(BRANCH, &next).unwrap();
    fsck(repo.path());
}

/// The names of a version's directories, and how much is in each.
fn directories(repo: &PlanRepo, version: &Version) -> Vec<(String, usize)> {
    let objects = Objects::new(repo.path().join("objects"));
    let mut found = Vec::new();
    let mut ahead = vec![(String::new(), repo.tree_of(version).unwrap())];
    while let Some((path, id)) = ahead.pop() {
        let bytes = objects.read(&id, Kind::Tree).unwrap();
        let entries = tree::decode(&bytes, &id).unwrap().entries;
        found.push((path.clone(), entries.len()));
        for entry in entries.iter().filter(|entry| entry.mode.is_tree()) {
            ahead.push((
                tree::join(&path, &entry.filename.to_string()),
                entry.oid.to_owned(),
            ));
        }
    }
    found
}

/// What changes mean, in the plainest way there is.
fn apply(files: &mut BTreeMap<String, String>, changes: &[TreeChange]) {
    let below = |path: &str, other: &str| other.starts_with(&format!("{path}/"));
    for change in changes {
        match change {
            TreeChange::Put { path, bytes } => {
                files.retain(|other, _| !below(path, other) && !below(other, path));
                files.insert(path.clone(), String::from_utf8(bytes.clone()).unwrap());
            }
            TreeChange::Remove { path } => {
                files.retain(|other, _| other != path && !below(path, other));
            }
        }
    }
}

fn change() -> impl Strategy<Value = TreeChange> {
    let part = prop::sample::select(vec!["a", "a b", "a.c", "b"]);
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    (path, prop::option::weighted(0.7, "[xy]")).prop_map(|(path, text)| match text {
        Some(text) => put(&path, &text),
        None => remove(&path),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn changes_do_what_they_say(
        rounds in prop::collection::vec(prop::collection::vec(change(), 0..12), 1..4)
    ) {
        let Fixture { repo, dir: _dir } = Fixture::new();
        let mut files = BTreeMap::new();
        let mut head = None;
        for changes in &rounds {
            apply(&mut files, changes);
            let version = commit(&repo, head.as_ref(), changes);
            let found: BTreeMap<_, _> = contents(&repo, &version).into_iter().collect();
            prop_assert_eq!(&found, &files);
            let directories = directories(&repo, &version);
            let empty: BTreeSet<_> = directories.iter().filter(|(_, n)| *n == 0).collect();
            prop_assert!(empty.iter().all(|(path, _)| path.is_empty()), "empty: {:?}", empty);
            head = Some(version);
        }
        repo.mirror(BRANCH, &head.unwrap()).unwrap();
        fsck(repo.path());
    }

    #[test]
    fn what_differs_is_what_lists_of_both_say(
        rounds in prop::collection::vec(prop::collection::vec(change(), 0..8), 1..5)
    ) {
        let Fixture { repo, dir: _dir } = Fixture::new();
        let mut versions: Vec<Version> = Vec::new();
        for changes in &rounds {
            versions.push(commit(&repo, versions.last(), changes));
        }
        let (one, other) = (&versions[0], &versions[versions.len() - 1]);
        let listed = |version: &Version| -> BTreeMap<String, String> {
            let files = repo.files(version, "").unwrap().into_iter();
            files.map(|file| (file.path, file.id)).collect()
        };
        let whole = [listed(one), listed(other)];
        // Units are the directories called "b", at whatever depth, each below no other.
        let unit = |path: &str| -> Option<String> {
            let parts: Vec<&str> = path.split('/').collect();
            let at = parts[..parts.len() - 1].iter().position(|part| *part == "b")?;
            Some(parts[..=at].join("/"))
        };
        let below = |side: &BTreeMap<String, String>, unit: &str| -> Vec<(String, String)> {
            let inside = side.iter().filter(|(path, _)| path.starts_with(&format!("{unit}/")));
            inside.map(|(path, id)| (path.clone(), id.clone())).collect()
        };
        let differs = |path: &str| match unit(path) {
            Some(unit) => below(&whole[0], &unit) != below(&whole[1], &unit),
            None => whole[0].get(path) != whole[1].get(path),
        };
        let is_unit = |path: &str| path == "b" || path.ends_with("/b");
        for (side, files) in repo.differing(one, other, is_unit).unwrap().into_iter().enumerate() {
            let expected = whole[side].iter().filter(|(path, _)| differs(path));
            let expected: BTreeMap<_, _> = expected.map(|(path, id)| (path.clone(), id.clone())).collect();
            let count = files.len();
            let files: BTreeMap<_, _> = files.into_iter().map(|file| (file.path, file.id)).collect();
            prop_assert_eq!(count, files.len(), "listed once each");
            prop_assert_eq!(files, expected);
        }
    }
}
