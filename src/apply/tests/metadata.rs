//! What a file keeps when its content is replaced: a matrix of contents, modes and names; and
//! changes of the mode alone, moves, and names that are in each other's way.

use std::os::unix::fs::MetadataExt as _;

use super::*;

impl Ground {
    /// A pending change between two contents, with whatever `more` says of it.
    fn change_as(
        &mut self,
        path: &str,
        (base, target): (Option<&[u8]>, Option<&[u8]>),
        more: impl FnOnce(&mut Change),
    ) {
        let mut change = Change {
            id: new_id(),
            branch_id: self.plan.branch_id.clone(),
            message_id: "m".to_owned(),
            path: path.to_owned(),
            base_hash: base.map(sha256_hex),
            base_blob: None,
            blob: target.map(|_| "blob".to_owned()),
            target_hash: target.map(sha256_hex),
            executable: None,
            moved_from: None,
            added: 1,
            removed: 1,
            notes: "{}".to_owned(),
            created_at: 0,
        };
        more(&mut change);
        if let Some(target) = target {
            self.blobs.insert(change.id.clone(), target.to_vec());
        }
        let permit = self.permit();
        self.store
            .write(&permit, |tx| changes::put(tx, &change))
            .unwrap();
        self.release(&permit);
    }

    #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
    fn write_bytes(&self, path: &str, bytes: &[u8]) {
        std::fs::write(self.path(path), bytes).unwrap();
    }
}

/// Name, before, after.
const CONTENTS: [(&str, &[u8], &[u8]); 14] = [
    ("lf", b"a\nb\n", b"a\nB\n"),
    ("crlf", b"a\r\nb\r\n", b"a\r\nB\r\n"),
    ("mixed", b"a\r\nb\nc\r", b"A\r\nb\nc\r"),
    ("bom", b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfb\n"),
    ("bom-crlf", b"\xef\xbb\xbfa\r\n", b"\xef\xbb\xbfb\r\n"),
    ("utf-16-le", b"\xff\xfea\0\n\0", b"\xff\xfeb\0\n\0"),
    ("utf-16-be", b"\xfe\xff\0a\0\n", b"\xfe\xff\0b\0\n"),
    ("no-newline", b"a\nb", b"a\nB"),
    ("filled", b"", b"text\n"),
    ("emptied", b"text\n", b""),
    ("binary", b"\0\x01\x02", b"\x02\x01\0"),
    ("invalid", b"\xc3\x28\n", b"\xc3\x29\n"),
    ("newlines", b"\n\n\n", b"\n\n"),
    ("same-size", b"aaaa", b"bbbb"),
];
const MODES: [u32; 7] = [0o644, 0o600, 0o640, 0o755, 0o711, 0o4755, 0o2770];

#[test]
fn contents_are_written_to_the_byte_and_modes_stay_but_for_setuid() {
    let mut ground = Ground::new();
    let mut cases = Vec::new();
    for (name, before, after) in CONTENTS {
        for mode in MODES {
            let path = format!("{name}-{mode:o}");
            ground.write_bytes(&path, before);
            ground.chmod(&path, mode);
            ground.change_as(&path, (Some(before), Some(after)), |_| {});
            let old = std::fs::metadata(ground.path(&path)).unwrap();
            cases.push((path, after, mode, old));
        }
    }
    assert!(cases.len() >= 60, "{}", cases.len());
    let applied = ground.apply(OnConflict::Abort).unwrap();
    assert_eq!(applied.written.len(), cases.len(), "{applied:?}");
    for (path, after, mode, old) in cases {
        let now = std::fs::metadata(ground.path(&path)).unwrap();
        assert_eq!(std::fs::read(ground.path(&path)).unwrap(), after, "{path}");
        assert_eq!(now.mode() & 0o7777, mode & 0o777, "{path}");
        assert_eq!((now.uid(), now.gid()), (old.uid(), old.gid()), "{path}");
        let time = |meta: &std::fs::Metadata| (meta.mtime(), meta.mtime_nsec());
        assert!(time(&now) > time(&old), "{path}: its time is not new");
    }
}

#[test]
fn names_that_can_be_written_are_and_others_are_refused_with_the_reason() {
    let long = "n".repeat(255);
    let mut ground = Ground::new();
    let good = [
        "a b",
        " lead",
        "-rf",
        "--",
        "'quote'",
        "$(id)",
        "`id`",
        "ünï",
        "文件",
        "a&b;c",
        "#c#",
        "~x",
        "[id]",
        "{x}",
        "a=b",
        "%s",
        "!",
        long.as_str(),
        "-d/-f",
        "sp ace/in dir",
    ];
    for path in good {
        ground.change_as(path, (None, Some(b"made")), |_| {});
    }
    let bad = [
        ("new\nline", "control character"),
        ("tab\there", "control character"),
        ("nul\0", "control character"),
        ("back\\slash", "one of"),
        ("co:lon", "one of"),
        ("dot.", "dot or a space"),
        ("space ", "dot or a space"),
        ("con", "device name"),
        ("../out", "`..`"),
        ("/abs", "not relative"),
        ("a//b", "empty component"),
        (".git/config", ".git or .plandex"),
        ("dir/.GIT/hooks/x", ".git or .plandex"),
        ("zero\u{200b}width", "invisible"),
    ];
    for (path, _) in bad {
        ground.change_as(path, (None, Some(b"made")), |_| {});
    }
    let too_long = "n".repeat(256);
    ground.change_as(&too_long, (None, Some(b"made")), |_| {});
    let applied = ground.apply(OnConflict::Skip).unwrap();
    for path in good {
        assert_eq!(ground.text(path).as_deref(), Some("made"), "{path}");
    }
    assert_eq!(applied.written.len(), good.len());
    for (path, why) in bad.into_iter().chain([(too_long.as_str(), "too long")]) {
        let said = applied.skipped.iter().find(|one| one.path == path);
        assert!(
            said.is_some_and(|one| one.why.contains(why)),
            "{path:?}: {said:?}"
        );
    }
}

#[test]
fn a_file_becomes_a_program_and_is_none_any_more() {
    for kernel in [Kernel::Current, Kernel::Old] {
        let mut ground = Ground::new();
        ground.kernel = kernel;
        let same: (Option<&[u8]>, Option<&[u8]>) = (Some(b"x"), Some(b"x"));
        for (path, mode) in [
            ("on", 0o640),
            ("off", 0o755),
            ("is", 0o700),
            ("edited", 0o644),
        ] {
            ground.write(path, "x");
            ground.chmod(path, mode);
        }
        ground.change_as("on", same, |change| change.executable = Some(true));
        ground.change_as("off", same, |change| change.executable = Some(false));
        ground.change_as("is", same, |change| change.executable = Some(true));
        ground.change_as("edited", (Some(b"x"), Some(b"y")), |change| {
            change.executable = Some(true);
        });
        ground.change_as("made", (None, Some(b"z")), |change| {
            change.executable = Some(true);
        });
        let all = ground.classify();
        let class = |path: &str| all.iter().find(|one| one.change.path == path).unwrap();
        assert_eq!(class("on").class, Class::Clean);
        assert_eq!(class("is").class, Class::Already);
        assert!(class("on").becomes_program() && class("made").becomes_program());
        assert!(!class("is").becomes_program() && !class("off").becomes_program());
        let applied = ground.apply(OnConflict::Abort).unwrap();
        assert_eq!(
            applied.written,
            ["edited", "made", "off", "on"],
            "{kernel:?}"
        );
        assert_eq!(applied.already, ["is"]);
        ground.write("by-hand", "x");
        let usual = ground.mode("by-hand");
        for (path, mode) in [
            ("on", 0o750),
            ("off", 0o644),
            ("is", 0o700),
            ("edited", 0o755),
            ("made", usual | ((usual & 0o444) >> 2)),
        ] {
            assert_eq!(ground.mode(path), mode, "{path} {kernel:?}");
        }
        assert_eq!(ground.pending(), []);
    }
}

/// A file that somebody changed meanwhile is drifted whatever its mode.
#[test]
fn a_mode_is_not_changed_of_a_file_that_is_another_one() {
    let mut ground = Ground::new();
    ground.write("f", "theirs");
    ground.change_as("f", (Some(b"x"), Some(b"x")), |change| {
        change.executable = Some(true);
    });
    let error = ground.apply(OnConflict::Abort).unwrap_err();
    assert!(
        chain(&error).contains("modified since last read"),
        "{error:#}"
    );
    assert_eq!(ground.mode("f") & 0o111, 0);
}

pub(super) fn moved(ground: &mut Ground, from: &str, to: &str) {
    ground.change_as(from, (Some(b"old"), None), |_| {});
    ground.change_as(to, (None, Some(b"new")), |change| {
        change.moved_from = Some(from.to_owned());
    });
}

#[test]
fn a_moved_file_keeps_the_mode_that_it_had() {
    let mut ground = Ground::new();
    ground.write("old/tool", "old");
    ground.chmod("old/tool", 0o4710);
    moved(&mut ground, "old/tool", "bin/tool");
    let applied = ground.apply(OnConflict::Abort).unwrap();
    assert_eq!(applied.written, ["bin/tool", "old/tool"]);
    assert_eq!(ground.mode("bin/tool"), 0o710);
    assert_eq!(ground.text("old/tool"), None);
}

#[test]
fn no_half_of_a_moved_file_is_written() {
    // The source changed: with skip, both stay.
    let mut ground = Ground::new();
    ground.write("from", "theirs");
    moved(&mut ground, "from", "to");
    let applied = ground.apply(OnConflict::Skip).unwrap();
    assert_eq!(applied.written, [""; 0]);
    assert_eq!(applied.skipped.len(), 2);
    assert_eq!(ground.text("to"), None);
    // Somebody has a file at the other end.
    let mut ground = Ground::new();
    ground.write("from", "old");
    ground.write("to", "theirs");
    moved(&mut ground, "from", "to");
    let applied = ground.apply(OnConflict::Skip).unwrap();
    assert_eq!(applied.written, [""; 0]);
    assert_eq!(ground.text("from").as_deref(), Some("old"));
    // One end cannot be written.
    let mut ground = Ground::new();
    ground.write("from", "old");
    ground.write("other", "old");
    ground.chmod("from", 0o444);
    moved(&mut ground, "from", "to");
    ground.change("other", Some("old"), Some("new"));
    let decision = plan_writes(ground.classify(), &Options::all(OnConflict::Abort)).unwrap();
    let foreseen = foresee(&ground.root, &decision).unwrap();
    assert_eq!(foreseen.len(), 2, "{foreseen:?}");
    let applied = ground.apply(OnConflict::Abort).unwrap();
    assert_eq!(applied.written, ["other"]);
    let why: Vec<&str> = applied.failed.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(why, ["is read-only", "stays, for \"from\" does"]);
    assert_eq!(ground.text("to"), None);
    assert_eq!(ground.text("from").as_deref(), Some("old"));
}

#[test]
fn a_file_that_is_in_the_way_of_another_one_is_refused_with_it() {
    for (before, changes) in [
        (
            &["a"][..],
            &[("a", Some("x"), None), ("a/b", None, Some("y"))][..],
        ),
        (
            &["a/b"],
            &[("a/b", Some("x"), None), ("a", None, Some("y"))],
        ),
        (&[], &[("a", None, Some("x")), ("a/b/c", None, Some("y"))]),
    ] {
        let mut ground = Ground::new();
        before.iter().for_each(|path| ground.write(path, "x"));
        ground.write("other", "x");
        for (path, base, target) in changes {
            ground.change(path, *base, *target);
        }
        ground.change("other", Some("x"), Some("y"));
        let tree = ground.tree();
        let error = ground.apply(OnConflict::Abort).unwrap_err();
        assert!(
            chain(&error).contains("one by one"),
            "{changes:?}: {error:#}"
        );
        assert_eq!(ground.tree(), tree, "{changes:?}");
        let applied = ground.apply(OnConflict::Skip).unwrap();
        assert_eq!(applied.written, ["other"], "{changes:?}");
        assert_eq!(applied.skipped.len(), 2);
    }
}

#[test]
fn one_failure_undoes_all_if_so_wanted() {
    let mut ground = Ground::new();
    for path in ["a", "locked", "z"] {
        ground.write(path, "old");
        ground.change(path, Some("old"), Some("new"));
    }
    ground.change("dir/new", None, Some("new"));
    ground.chmod("locked", 0o444);
    let tree = ground.tree();
    let options = Options {
        on_failure: OnFailure::UndoAll,
        ..Options::all(OnConflict::Abort)
    };
    let decision = plan_writes(ground.classify(), &options).unwrap();
    let (permit, turn) = (ground.permit(), ground.turn().unwrap());
    let error = ground
        .write_decision(&permit, &turn, &decision)
        .unwrap_err();
    ground.release(&permit);
    drop(turn);
    let ApplyError::Failed(failed) = error.downcast_ref().unwrap() else {
        panic!("{error:#}");
    };
    assert_eq!(failed.len(), 1);
    assert_eq!(ground.tree(), tree);
    assert_eq!(ground.states(), [State::Undone]);
    // It is on record what failed.
    let failed = ground
        .store
        .read(|tx| applies::failed_last(tx, &ground.plan.branch_id))
        .unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(ground.pending().len(), 4);
}
