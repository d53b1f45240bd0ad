use super::*;

fn class_of(ground: &Ground, path: &str) -> Class {
    let all = ground.classify();
    all.into_iter()
        .find(|one| one.change.path == path)
        .unwrap()
        .class
}

#[test]
fn each_path_is_classed_by_base_target_and_disk() {
    for (base, target, disk, class) in [
        (Some("b"), Some("t"), Some("b"), Class::Clean),
        (Some("b"), Some("t"), Some("t"), Class::Already),
        (Some("b"), Some("t"), Some("u"), Class::Drifted),
        (Some("b"), Some("t"), Some(""), Class::Drifted),
        (Some("b"), Some("t"), None, Class::Missing),
        (None, Some("t"), None, Class::Clean),
        (None, Some("t"), Some("t"), Class::Already),
        (None, Some("t"), Some("u"), Class::Exists),
        (None, Some(""), None, Class::Clean),
        (Some("b"), None, Some("b"), Class::Clean),
        (Some("b"), None, None, Class::Already),
        (Some("b"), None, Some("u"), Class::Drifted),
    ] {
        let mut ground = Ground::new();
        ground.change("dir/f", base, target);
        if let Some(disk) = disk {
            ground.write("dir/f", disk);
        }
        assert_eq!(
            class_of(&ground, "dir/f"),
            class,
            "{base:?} {target:?} {disk:?}"
        );
    }
}

#[test]
fn what_is_no_plain_file_is_not_written() {
    let mut ground = Ground::new();
    for path in ["link", "dir", "pipe", "twice", "l/f", "f/x"] {
        ground.change(path, Some("b"), Some("t"));
    }
    ground.change("kept-link", Some("b"), None);
    ground.write("elsewhere/f", "b");
    std::os::unix::fs::symlink("elsewhere/f", ground.path("link")).unwrap();
    std::os::unix::fs::symlink("elsewhere/f", ground.path("kept-link")).unwrap();
    std::os::unix::fs::symlink("elsewhere", ground.path("l")).unwrap();
    std::fs::create_dir(ground.path("dir")).unwrap();
    ground.write("f", "a file");
    ground.write("twice", "b");
    std::fs::hard_link(ground.path("twice"), ground.path("other-name")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(ground.path("pipe"))
        .status();
    assert!(made.unwrap().success());

    assert_eq!(class_of(&ground, "link"), Class::TypeChanged);
    assert_eq!(class_of(&ground, "kept-link"), Class::TypeChanged);
    assert_eq!(class_of(&ground, "dir"), Class::TypeChanged);
    for (path, why) in [
        ("pipe", "a device, a socket or a pipe"),
        ("twice", "2 names (hard links)"),
        ("l/f", "\"l\" is a symbolic link"),
        ("f/x", "\"f\" is not a directory"),
    ] {
        let Class::Refused(words) = class_of(&ground, path) else {
            panic!("{path} is not refused");
        };
        assert!(words.contains(why), "{path}: {words}");
    }
    // No answer makes them writable.
    for on_conflict in [OnConflict::Skip, OnConflict::Overwrite] {
        let options = Options::all(on_conflict);
        let decision = plan_writes(ground.classify(), &options).unwrap();
        assert_eq!((decision.write.len(), decision.skip.len()), (0, 7));
    }
}

#[test]
fn case_twins_of_new_files_are_refused() {
    let mut ground = Ground::new();
    ground.write("Docs/README.md", "b");
    ground.write("ok/Ärger.txt", "b");
    for path in [
        "Docs/Readme.md",
        "docs/new.md",
        "ok/ärger.txt",
        "made/A/x",
        "made/a/y",
        "ok/fine.txt",
        "made/A/z",
    ] {
        ground.change(path, None, Some("t"));
    }
    ground.change("Docs/README.md", Some("b"), Some("t"));
    let refused: Vec<(String, bool)> = ground
        .classify()
        .into_iter()
        .map(|one| (one.change.path, matches!(one.class, Class::Refused(_))))
        .collect();
    let expected = [
        ("Docs/README.md", false),
        ("Docs/Readme.md", true),
        ("docs/new.md", true),
        ("made/A/x", false),
        ("made/A/z", false),
        ("made/a/y", true),
        ("ok/fine.txt", false),
        ("ok/ärger.txt", true),
    ];
    assert_eq!(refused, expected.map(|(path, is)| (path.to_owned(), is)));
}

#[test]
fn one_path_twice_is_refused_the_second_time() {
    let mut ground = Ground::new();
    let change = ground.change("f", None, Some("t"));
    let both = [change.clone(), change];
    let classified = classify(&ground.root, ground.store.dir(), &both).unwrap();
    assert_eq!(classified[0].class, Class::Clean);
    assert!(matches!(&classified[1].class, Class::Refused(why) if why.contains("two changes")));
}

#[test]
fn a_state_directory_of_another_name_is_refused_too() {
    let dir = in_memory();
    let (root, state) = (
        dir.path().join("project"),
        dir.path().join("project/.state"),
    );
    std::fs::create_dir(&root).unwrap();
    let mut ground = Ground::at(&root, &state, vec![dir]);
    ground.change(".state/plandex.db", None, Some("t"));
    ground.change(".STATE/x", None, Some("t"));
    ground.change(".statement", None, Some("t"));
    let all = ground.classify();
    assert!(
        matches!(all[0].class, Class::Refused(_)),
        "{:?}",
        all[0].class
    );
    assert!(
        matches!(all[1].class, Class::Refused(_)),
        "{:?}",
        all[1].class
    );
    assert_eq!(all[2].class, Class::Clean);
}

#[test]
fn answers_decide_and_count_only_for_what_was_asked_about() {
    let mut ground = Ground::new();
    for path in ["clean", "drifted", "gone", "there"] {
        ground.write(path, "b");
    }
    ground.change("clean", Some("b"), Some("t"));
    ground.change("drifted", Some("b"), Some("t"));
    ground.change("gone", Some("b"), Some("t"));
    ground.change("new", None, Some("t"));
    ground.change("there", Some("b"), Some("b2"));
    ground.write("drifted", "u");
    ground.write("new", "u");
    ground.write("there", "b2");
    std::fs::remove_file(ground.path("gone")).unwrap();

    let paths = |list: &[Classified]| -> Vec<String> {
        list.iter().map(|one| one.change.path.clone()).collect()
    };
    let abort = Options::all(OnConflict::Abort);
    let error = plan_writes(ground.classify(), &abort).unwrap_err();
    let ApplyError::Conflicts(conflicts) = &error else {
        panic!("{error}");
    };
    assert_eq!(conflicts.len(), 3);
    assert!(
        error
            .to_string()
            .contains("drifted was modified since last read"),
        "{error}"
    );

    let skip = Options::all(OnConflict::Skip);
    let decision = plan_writes(ground.classify(), &skip).unwrap();
    assert_eq!(paths(&decision.write), ["clean"]);
    assert_eq!(paths(&decision.skip), ["drifted", "gone", "new"]);
    assert_eq!(paths(&decision.already), ["there"]);

    let all = ground.classify();
    let answers = all
        .iter()
        .map(|one| Answer {
            path: one.change.path.clone(),
            disk_hash: one.disk_hash.clone(),
            choice: OnConflict::Overwrite,
        })
        .collect();
    let asked = Options {
        on_conflict: OnConflict::Abort,
        answers,
        ..Options::all(OnConflict::Abort)
    };
    let decision = plan_writes(all, &asked).unwrap();
    assert_eq!(paths(&decision.write), ["clean", "drifted", "gone", "new"]);
    ground.write("drifted", "u2");
    let error = plan_writes(ground.classify(), &asked).unwrap_err();
    assert!(
        matches!(&error, ApplyError::Conflicts(left) if left.len() == 1),
        "{error}"
    );
}
