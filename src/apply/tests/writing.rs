use std::os::unix::fs::MetadataExt as _;

use super::*;

/// Every way to write: both kernels, and the slots on another mount where one can be made.
pub(super) struct Grounds(Option<Mounted>);

impl Grounds {
    pub(super) fn new() -> Self {
        Self(Mounted::memory("64m"))
    }

    pub(super) fn names(&self) -> &'static [&'static str] {
        let all = &[
            "one mount",
            "one mount, old kernel",
            "two mounts",
            "two mounts, old kernel",
        ];
        if self.0.is_some() { all } else { &all[..2] }
    }

    pub(super) fn fresh(&self, name: &str) -> Ground {
        let ground = match &self.0 {
            Some(other) if name.starts_with("two mounts") => Ground::on_two_mounts(other),
            _ => Ground::new(),
        };
        if name.ends_with("old kernel") {
            ground.old_kernel()
        } else {
            ground
        }
    }
}

fn entry(path: &str, text: &str) -> (String, String) {
    (path.to_owned(), text.to_owned())
}

#[test]
fn changes_new_files_and_deletions_are_written_and_originals_kept() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        ground.write("src/a.rs", "old a");
        ground.write("gone.txt", "old gone");
        ground.write("same.txt", "same");
        ground.chmod("src/a.rs", 0o640);
        ground.change("src/a.rs", Some("old a"), Some("new a"));
        ground.change("new/deep/b.rs", None, Some("new b"));
        ground.change("gone.txt", Some("old gone"), None);
        ground.change("same.txt", Some("before"), Some("same"));
        let applied = ground.apply(OnConflict::Abort).unwrap();
        assert_eq!(
            applied.written,
            ["gone.txt", "new/deep/b.rs", "src/a.rs"],
            "{name}"
        );
        assert_eq!(applied.already, ["same.txt"]);
        assert_eq!((applied.skipped.len(), applied.failed.len()), (0, 0));
        let expected = [
            entry("new", "/"),
            entry("new/deep", "/"),
            entry("new/deep/b.rs", "new b"),
            entry("same.txt", "same"),
            entry("src", "/"),
            entry("src/a.rs", "new a"),
        ];
        assert_eq!(ground.tree(), expected.into(), "{name}");
        assert_eq!(ground.mode("src/a.rs"), 0o640, "{name}");
        let id = applied.id.unwrap();
        let mut kept = ground.kept();
        assert_eq!(kept.remove(&id).as_deref(), Some("/"));
        let originals: Vec<&str> = kept.values().map(String::as_str).collect();
        assert_eq!(originals, ["old gone", "old a"], "{name}");
        assert_eq!(ground.pending(), []);
        assert_eq!(ground.states(), [State::Done]);
        assert!(ground.turn().unwrap().recovered().is_empty());
    }
}

#[test]
fn a_file_keeps_mode_owner_and_attributes_but_never_setuid() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        ground.write("tool", "old");
        ground.chmod("tool", 0o6755);
        let file = std::fs::File::open(ground.path("tool")).unwrap();
        let set = rustix::fs::fsetxattr(
            &file,
            "user.origin",
            b"here",
            rustix::fs::XattrFlags::empty(),
        );
        let before = file.metadata().unwrap();
        ground.change("tool", Some("old"), Some("new"));
        ground.apply(OnConflict::Abort).unwrap();
        let after = std::fs::metadata(ground.path("tool")).unwrap();
        assert_eq!(after.mode() & 0o7777, 0o755, "{name}");
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert!(after.mtime_nsec() != before.mtime_nsec() || after.mtime() != before.mtime());
        if set.is_ok() {
            let mut value = [0_u8; 8];
            let file = std::fs::File::open(ground.path("tool")).unwrap();
            let length = rustix::fs::fgetxattr(&file, "user.origin", &mut value[..]);
            assert_eq!(
                length.map(|length| value[..length].to_vec()),
                Ok(b"here".to_vec())
            );
        } else {
            println!("skipped: no user attributes here");
        }
    }
}

#[test]
fn a_new_file_gets_the_mode_that_the_umask_leaves() {
    let mut ground = Ground::new();
    ground.write("by-hand", "x");
    ground.change("made", None, Some("t"));
    ground.apply(OnConflict::Abort).unwrap();
    assert_eq!(ground.mode("made"), ground.mode("by-hand"));
}

#[test]
fn a_read_only_file_fails_by_itself_and_stays_pending() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        ground.write("locked", "old");
        ground.write("open", "old");
        ground.chmod("locked", 0o444);
        ground.change("locked", Some("old"), Some("new"));
        ground.change("open", Some("old"), Some("new"));
        let applied = ground.apply(OnConflict::Abort).unwrap();
        assert_eq!(applied.written, ["open"], "{name}");
        assert_eq!(
            applied.failed,
            [Reported {
                path: "locked".to_owned(),
                why: "is read-only".to_owned(),
            }]
        );
        assert_eq!(ground.text("locked").as_deref(), Some("old"));
        let pending = ground.pending();
        assert_eq!(pending.len(), 1);
        assert_eq!(pending[0].path, "locked");
        // Only the original of the written one is kept; the staged other is gone.
        let kept: Vec<String> = ground
            .kept()
            .into_values()
            .filter(|text| text != "/")
            .collect();
        assert_eq!(kept, ["old"], "{name}");
        assert_eq!(ground.tree().len(), 2, "{name}");
    }
}

#[test]
fn when_every_path_fails_nothing_is_committed() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        ground.write("locked", "old");
        ground.chmod("locked", 0o444);
        ground.change("locked", Some("old"), Some("new"));
        let permit = ground.permit();
        let turn = ground.turn().unwrap();
        let options = Options::all(OnConflict::Abort);
        let decision = plan_writes(ground.classify(), &options).unwrap();
        let applied = apply(
            &ground.store,
            &permit,
            &turn,
            &decision,
            &|change| Ok(ground.blobs.get(&change.id).cloned()),
            &mut |_, _| panic!("there is nothing to commit"),
            &Cancel::new().unwrap(),
        );
        assert_eq!(applied.unwrap().failed.len(), 1, "{name}");
        assert_eq!(ground.states(), [State::Undone]);
        assert_eq!(ground.kept(), BTreeMap::new(), "{name}");
        assert_eq!(ground.tree(), [entry("locked", "old")].into(), "{name}");
    }
}

#[test]
fn an_unwritable_directory_fails_its_files_only() {
    if crate::platform::process::effective_user() == 0 {
        println!("skipped as root: permissions do not hold it; the immutable flag is tried");
    }
    let mut ground = Ground::new();
    ground.write("closed/f", "old");
    ground.write("open/f", "old");
    ground.change("closed/f", Some("old"), Some("new"));
    ground.change("closed/new", None, Some("new"));
    ground.change("open/f", Some("old"), Some("new"));
    ground.chmod("closed", 0o555);
    let chattr = |flag: &str| {
        let path = ground.path("closed");
        let done = std::process::Command::new("chattr")
            .arg(flag)
            .arg(path)
            .output();
        done.is_ok_and(|output| output.status.success())
    };
    let is_closed = crate::platform::process::effective_user() != 0 || chattr("+i");
    let applied = ground.apply(OnConflict::Abort);
    chattr("-i");
    ground.chmod("closed", 0o755);
    if !is_closed {
        println!("skipped: neither permissions nor chattr close a directory here");
        return;
    }
    let applied = applied.unwrap();
    assert_eq!(applied.written, ["open/f"]);
    let failed: Vec<&str> = applied.failed.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(failed, ["closed/f", "closed/new"]);
    assert!(
        applied.failed[0].why.contains("not permitted") || applied.failed[0].why.contains("denied")
    );
    assert_eq!(ground.text("closed/f").as_deref(), Some("old"));
    assert_eq!(ground.text("closed/new"), None);
}

#[test]
fn overwriting_keeps_what_the_user_had() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        ground.write("drifted", "old");
        ground.write("gone", "old");
        ground.change("drifted", Some("old"), Some("new"));
        ground.change("gone", Some("old"), Some("new"));
        ground.change("made", None, Some("new"));
        ground.change("unwanted", Some("old"), None);
        ground.write("drifted", "the user's");
        ground.write("made", "the user's too");
        ground.write("unwanted", "the user's as well");
        std::fs::remove_file(ground.path("gone")).unwrap();
        let applied = ground.apply(OnConflict::Overwrite).unwrap();
        assert_eq!(applied.written.len(), 4, "{name}: {applied:?}");
        assert_eq!(
            ground.tree(),
            [
                entry("drifted", "new"),
                entry("gone", "new"),
                entry("made", "new"),
            ]
            .into()
        );
        let mut kept: Vec<String> = ground
            .kept()
            .into_values()
            .filter(|text| text != "/")
            .collect();
        kept.sort();
        assert_eq!(
            kept,
            ["the user's", "the user's as well", "the user's too"],
            "{name}"
        );
    }
}

#[test]
fn skipping_leaves_the_user_s_file_and_its_change() {
    let mut ground = Ground::new();
    ground.write("a", "old");
    ground.write("b", "old");
    ground.change("a", Some("old"), Some("new"));
    ground.change("b", Some("old"), Some("new"));
    ground.write("a", "the user's");
    let error = ground.apply(OnConflict::Abort).unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(ApplyError::Conflicts(_))),
        "{error:#}"
    );
    assert_eq!(ground.text("b").as_deref(), Some("old"));
    let applied = ground.apply(OnConflict::Skip).unwrap();
    assert_eq!(applied.written, ["b"]);
    assert_eq!(applied.skipped[0].path, "a");
    assert_eq!(ground.text("a").as_deref(), Some("the user's"));
    assert_eq!(ground.pending().len(), 1);
}

#[test]
fn a_damaged_change_stops_everything_before_the_first_file() {
    let mut ground = Ground::new();
    ground.write("a", "old");
    let bad = ground.change("z", None, Some("new z"));
    ground.change("a", Some("old"), Some("new"));
    for wrong in [Some(b"other bytes".to_vec()), None] {
        match wrong {
            Some(bytes) => drop(ground.blobs.insert(bad.id.clone(), bytes)),
            None => drop(ground.blobs.remove(&bad.id)),
        }
        let error = ground.apply(OnConflict::Abort).unwrap_err();
        assert!(chain(&error).contains("the change of z"), "{error:#}");
        assert_eq!(ground.tree(), [entry("a", "old")].into());
        assert_eq!(ground.kept(), BTreeMap::new());
        assert_eq!(ground.pending().len(), 2);
        assert!(ground.states().iter().all(|state| *state == State::Undone));
    }
}

#[test]
fn nothing_to_write_is_no_apply() {
    let ground = Ground::new();
    assert_eq!(ground.apply(OnConflict::Abort).unwrap(), Applied::default());
    assert_eq!(ground.states(), []);
}

#[test]
fn only_the_newest_applies_keep_their_originals() {
    let mut ground = Ground::new();
    ground.write("f", "0");
    for round in 0..8 {
        let (old, new) = (round.to_string(), (round + 1).to_string());
        ground.change("f", Some(&old), Some(&new));
        ground.apply(OnConflict::Abort).unwrap();
        if round == 0 {
            // Somebody who had the first original open writes to it late.
            let kept = ground
                .kept()
                .into_keys()
                .find(|path| path.ends_with("/0"))
                .unwrap();
            let path = ground.store.dir().join("apply").join(kept);
            #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
            std::fs::write(path, "late").unwrap();
        }
    }
    let kept: Vec<String> = ground
        .kept()
        .into_values()
        .filter(|text| text != "/")
        .collect();
    assert_eq!(kept, ["late", "3", "4", "5", "6", "7"]);
    assert_eq!(ground.states().len(), 6);
}

#[test]
fn a_thousand_files_in_many_directories_are_written() {
    let mut ground = Ground::new();
    let permit = ground.permit();
    let mut changes = Vec::new();
    for number in 0..1000 {
        let path = format!("d{}/f{number}", number % 100);
        let target = format!("new {number}");
        let base = (number % 2 == 0).then(|| format!("old {number}"));
        if let Some(base) = &base {
            ground.write(&path, base);
        }
        let change = Change {
            id: new_id(),
            branch_id: ground.plan.branch_id.clone(),
            message_id: "m".to_owned(),
            path,
            base_hash: base.map(|base| sha256_hex(base.as_bytes())),
            base_blob: None,
            blob: Some("blob".to_owned()),
            target_hash: Some(sha256_hex(target.as_bytes())),
            executable: None,
            moved_from: None,
            added: 0,
            removed: 0,
            notes: "{}".to_owned(),
            created_at: 0,
        };
        ground.blobs.insert(change.id.clone(), target.into_bytes());
        changes.push(change);
    }
    ground
        .store
        .write(&permit, |tx| {
            changes
                .iter()
                .try_for_each(|change| changes::put(tx, change))
        })
        .unwrap();
    ground.release(&permit);
    let applied = ground.apply(OnConflict::Abort).unwrap();
    assert_eq!(applied.written.len(), 1000);
    for number in 0..1000 {
        let path = format!("d{}/f{number}", number % 100);
        assert_eq!(ground.text(&path), Some(format!("new {number}")));
    }
    assert_eq!(ground.pending(), []);
}

#[test]
fn a_change_during_staging_is_met_before_the_first_file() {
    use std::cell::RefCell;
    use std::rc::Rc;

    let mut ground = Ground::new();
    for path in ["a", "b", "same"] {
        ground.write(path, "old");
    }
    ground.change("a", Some("old"), Some("new"));
    ground.change("b", Some("old"), Some("new"));
    ground.change("same", Some("older"), Some("old"));
    for (path, text) in [("b", "the user's"), ("same", "the user's too")] {
        let before = ground.text(path).unwrap();
        let permit = ground.permit();
        let turn = ground.turn().unwrap();
        let options = Options::all(OnConflict::Abort);
        let decision = plan_writes(ground.classify(), &options).unwrap();
        ground.write(path, text);
        let passed = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&passed);
        let watcher = move |name: &'static str| seen.borrow_mut().push(name);
        let write = || ground.write_decision(&permit, &turn, &decision);
        let error = crate::platform::crash::watched::watch(watcher, write).unwrap_err();
        let Some(ApplyError::Changed(changed)) = error.downcast_ref() else {
            panic!("{error:#}");
        };
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].path, path);
        let moves = passed
            .borrow()
            .iter()
            .filter(|name| name.contains("exchange"))
            .count();
        assert_eq!(moves, 0, "{path}");
        ground.release(&permit);
        ground.write(path, &before);
    }
}
