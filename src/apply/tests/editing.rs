//! An editor that rewrites files all the time while applies run: whatever it wrote is in its file,
//! or replaced by itself, or kept.

use super::editor::{AtEnd, Editor};
use super::writing::Grounds;
use super::*;

const FILES: [&str; 4] = ["one", "dir/two", "dir/three", "new/four"];

/// Applies on all grounds together.
const ROUNDS: usize = 10_000;

const ANSWERS: [OnConflict; 3] = [OnConflict::Skip, OnConflict::Overwrite, OnConflict::Abort];

struct Tally {
    applies: usize,
    written: usize,
    left: usize,
    given_up: usize,
}

#[test]
fn what_an_editor_writes_while_applies_run_is_never_lost() {
    let grounds = Grounds::new();
    let names = grounds.names();
    for name in names {
        let mut ground = grounds.fresh(name);
        let paths: Vec<PathBuf> = FILES.iter().map(|path| ground.path(path)).collect();
        let editor = Editor::of(paths, Duration::from_micros(100));
        let mut tally = Tally {
            applies: 0,
            written: 0,
            left: 0,
            given_up: 0,
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("editor".to_owned());
            thread.spawn_scoped(scope, || editor.work()).unwrap();
            let _closing = AtEnd(|| editor.close());
            while tally.applies < ROUNDS / names.len() {
                apply_once(&mut ground, &editor, &mut tally, name);
            }
        });
        let (writes, too_late) = (editor.writes(), editor.too_late());
        let Tally {
            applies,
            written,
            left,
            given_up,
        } = tally;
        println!(
            "{name}: {writes} writes ({too_late} to a file already removed) in {applies} applies: \
             {written} files written, {left} left, {given_up} applies given up"
        );
        assert!(written > 0 && left > 0 && given_up > 0);
        assert!(writes > applies / 10);
    }
}

fn apply_once(ground: &mut Ground, editor: &Editor, tally: &mut Tally, name: &str) {
    let answer = ANSWERS[tally.applies % ANSWERS.len()];
    tally.applies += 1;
    for path in FILES {
        let base = ground.text(path);
        // One of four goes, one is made where nothing is.
        let is_deleted = path == "dir/three" && base.is_some();
        let target = format!("of apply {} to {path}\n", tally.applies);
        let target = (!is_deleted).then_some(target.as_str());
        ground.change(path, base.as_deref(), target);
    }
    let applied = editor.while_open(|| ground.apply(answer));
    match &applied {
        Ok(applied) => {
            tally.written += applied.written.len();
            tally.left += applied.skipped.len();
        }
        Err(error) => {
            let is_conflict = matches!(
                error.downcast_ref(),
                Some(ApplyError::Changed(_) | ApplyError::Conflicts(_))
            );
            assert!(is_conflict, "{name}: {error:#}");
            tally.given_up += 1;
        }
    }
    let kept = kept_files(ground);
    let lost = editor.lost(&kept);
    assert!(
        lost.is_empty(),
        "{name}, {answer:?}: {lost:?} in {applied:?}\n{:?}",
        ground.tree()
    );
    // What is kept of the user's is kept for good: here it was looked at.
    for path in kept {
        std::fs::remove_file(path).unwrap();
    }
}

/// Every file that holds what an apply took out of its place.
fn kept_files(ground: &Ground) -> Vec<PathBuf> {
    let applies = ground.store.dir().join("apply");
    let private = ground.kept().into_iter();
    let private = private.filter(|(_, text)| text != "/");
    let beside = ground.tree().into_keys();
    let beside = beside.filter(|path| path.contains(".plandex-"));
    private
        .map(|(path, _)| applies.join(path))
        .chain(beside.map(|path| ground.path(&path)))
        .collect()
}
