//! Whose turn it is to write, and what ends an apply before its time: a lost ticket, a cancel, a
//! full disk.

use std::sync::mpsc;
use std::time::Instant;

use super::*;
use crate::platform::file_lock::DirLock;
use crate::store::StoreError;
use crate::store::tickets::Permit as _;

fn ground_with_changes() -> Ground {
    let mut ground = Ground::new();
    ground.write("a", "old");
    ground.change("a", Some("old"), Some("new"));
    ground.change("b", None, Some("new"));
    ground
}

fn decision(ground: &Ground) -> Decision {
    let options = Options::all(OnConflict::Abort);
    plan_writes(ground.classify(), &options).unwrap()
}

fn nothing_happened(ground: &Ground) {
    assert_eq!(
        ground.tree(),
        BTreeMap::from([("a".to_owned(), "old".to_owned())])
    );
    assert_eq!(ground.pending().len(), 2);
    assert_eq!(ground.kept(), BTreeMap::new());
}

#[test]
fn the_turn_is_waited_for_until_the_deadline_or_the_cancel() {
    let ground = Ground::new();
    let held = DirLock::try_take(&ground.root).unwrap().unwrap();
    let cancel = Cancel::new().unwrap();
    let take = |patience| Turn::take(&ground.store, &ground.root, patience, &cancel);

    let started = Instant::now();
    let error = take(Some(Duration::from_millis(30))).unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(30));
    let us = format!("pid {} is writing", std::process::id());
    assert!(error.to_string().contains(&us), "{error}");
    assert!(matches!(error.downcast_ref(), Some(ApplyError::Busy(_))));

    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        let (take, sender) = (&take, sender);
        scope.spawn(move || sender.send(take(Some(PATIENCE)).is_ok()).unwrap());
        assert!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
        drop(held);
        assert!(receiver.recv_timeout(PATIENCE).unwrap());
    });

    let held = DirLock::try_take(&ground.root).unwrap().unwrap();
    cancel.set(Reason::Interrupted);
    let error = take(None).unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(ApplyError::Cancelled(Reason::Interrupted))
    ));
    drop(held);
}

#[test]
fn a_lost_ticket_ends_the_apply_before_the_first_file() {
    let ground = ground_with_changes();
    let permit = ground.permit();
    let turn = ground.turn().unwrap();
    let decision = decision(&ground);
    // The ticket goes while the contents are being read: after the journal, before the writing.
    let error = apply(
        &ground.store,
        &permit,
        &turn,
        &decision,
        &|change| {
            let ticket = permit.proof().ticket();
            ground.store.tickets(PATIENCE, |tx| {
                tickets::remove_forced(tx, ticket, permit.proof().fence())
            })?;
            Ok(ground.blobs.get(&change.id).cloned())
        },
        &mut |_, _| panic!("there is nothing to commit"),
        &Cancel::new().unwrap(),
    )
    .unwrap_err();
    let lost = error.downcast_ref();
    assert!(
        matches!(lost, Some(StoreError::LockLost { .. })),
        "{error:#}"
    );
    nothing_happened(&ground);
    assert_eq!(ground.states(), [State::FilesUndone]);
    drop(turn);
    ground.settle();
    assert_eq!(ground.states(), [State::Undone]);
}

#[test]
fn a_ticket_lost_while_writing_leaves_the_rows_to_the_next_turn() {
    let ground = ground_with_changes();
    let permit = ground.permit();
    let turn = ground.turn().unwrap();
    let decision = decision(&ground);
    let error = apply(
        &ground.store,
        &permit,
        &turn,
        &decision,
        &|change| Ok(ground.blobs.get(&change.id).cloned()),
        &mut |id, ids| {
            ground.release(&permit);
            ground.commit(&permit, id, ids)
        },
        &Cancel::new().unwrap(),
    )
    .unwrap_err();
    assert!(
        matches!(error.downcast_ref(), Some(StoreError::LockLost { .. })),
        "{error:#}"
    );
    drop(turn);
    // The files are new, the rows follow, and only those that are still pending.
    assert_eq!(
        (ground.text("a"), ground.text("b")),
        (Some("new".into()), Some("new".into()))
    );
    assert_eq!(ground.states(), [State::FilesDone]);
    assert_eq!(ground.turn().unwrap().recovered(), []);
    ground.settle();
    assert_eq!(
        (ground.states(), ground.pending()),
        (vec![State::Done], vec![])
    );
    ground.settle();
}

#[test]
fn a_cancel_is_heard_until_the_first_file_is_touched() {
    let ground = ground_with_changes();
    let permit = ground.permit();
    let turn = ground.turn().unwrap();
    let decision = decision(&ground);
    let cancel = Cancel::new().unwrap();
    let error = apply(
        &ground.store,
        &permit,
        &turn,
        &decision,
        &|change| {
            cancel.set(Reason::Terminated);
            Ok(ground.blobs.get(&change.id).cloned())
        },
        &mut |_, _| panic!("there is nothing to commit"),
        &cancel,
    )
    .unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(ApplyError::Cancelled(Reason::Terminated))
    ));
    nothing_happened(&ground);
    assert_eq!(ground.states(), [State::Undone]);
}

#[test]
fn an_apply_beside_an_undecided_one_is_refused() {
    let ground = ground_with_changes();
    let permit = ground.permit();
    let turn = ground.turn().unwrap();
    let left = applies::Apply {
        id: new_id(),
        plan_id: "another".to_owned(),
        branch_id: "b".to_owned(),
        ticket: 0,
        state: State::Writing,
        created_at: 0,
        undoes: None,
    };
    ground
        .store
        .write(&permit, |tx| applies::open(tx, &left, &[]))
        .unwrap();
    let error = ground
        .write_decision(&permit, &turn, &decision(&ground))
        .unwrap_err();
    assert!(chain(&error).contains("earlier apply"), "{error:#}");
    drop(turn);
    let turn = ground.turn().unwrap();
    assert_eq!(turn.recovered()[0].outcome, Outcome::Finished);
    assert_eq!(turn.recovered()[0].plan_id, "another");
    ground
        .write_decision(&permit, &turn, &decision(&ground))
        .unwrap();
}

/// The disk fills up at every size from too small for anything to large enough: the apply is done
/// or nothing happened, and with room again it is done.
#[test]
fn a_full_disk_is_met_before_the_first_file() {
    let Some(mount) = Mounted::memory("8m") else {
        return;
    };
    let (mut refused, mut done) = (0, 0);
    for filler_kib in (0..=7680).rev().step_by(96) {
        mount.until_free(7 << 20);
        let root = mount.0.join("project");
        std::fs::create_dir(&root).unwrap();
        let mut ground = Ground::at(&root, &root.join(".plandex"), Vec::new());
        ground.write("a", "old");
        ground.change("a", Some("old"), Some(&"new".repeat(50_000)));
        ground.change("b", None, Some(&"new".repeat(50_000)));
        let permit = ground.permit();
        let turn = ground.turn().unwrap();
        let decision = decision(&ground);
        let free = mount.free();
        let filler = mount.0.join("filler");
        let file = std::fs::File::create(&filler).unwrap();
        // As much as fits, where that is less.
        let _fits = rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            filler_kib << 10,
        )
        .or_else(|_| fill(&file));
        let applied = ground.write_decision(&permit, &turn, &decision);
        drop(file);
        std::fs::remove_file(&filler).unwrap();
        mount.until_free(free - (2 << 20));
        drop(turn);
        match applied {
            Ok(applied) => {
                assert_eq!(applied.written.len(), 2);
                done += 1;
            }
            Err(error) => {
                let is_full = matches!(error.downcast_ref(), Some(StoreError::Full(_)))
                    || chain(&error).contains("full");
                assert!(is_full, "{filler_kib} KiB: {error:#}");
                assert_eq!(
                    ground.text("a").as_deref(),
                    Some("old"),
                    "{filler_kib} KiB: {error:#}"
                );
                assert_eq!(ground.text("b"), None, "{filler_kib} KiB");
                drop(ground.turn().unwrap());
                ground.settle();
                assert_eq!(ground.pending().len(), 2);
                ground.apply(OnConflict::Abort).unwrap();
                refused += 1;
            }
        }
        assert_eq!(
            ground.text("b").map(|text| text.len()),
            Some(150_000),
            "{filler_kib} KiB"
        );
        assert_eq!(ground.pending(), []);
        drop(ground);
        std::fs::remove_dir_all(&root).unwrap();
    }
    println!("full disk: {refused} refused, {done} done");
    assert!(refused > 0 && done > 0);
}

fn fill(mut file: &std::fs::File) -> rustix::io::Result<()> {
    use std::io::Write as _;
    while file.write_all(&[0; 4096]).is_ok() {}
    Ok(())
}
