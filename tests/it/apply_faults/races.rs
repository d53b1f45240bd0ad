//! The real command beside another process that works on the same files: an editor whose texts are
//! never lost, and somebody who swaps directories for links that lead out of the project. The room's
//! own tests do the same for ten thousand rounds each.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::editor::{AtEnd, Editor, spin, swap_for_link};
use crate::support::{Outcome, Sandbox};

const ROUNDS: usize = 150;

/// Makes pending that each of `paths` gets a text of this round.
fn plan(sandbox: &Sandbox, paths: &[&str], round: usize) {
    let blocks = paths
        .iter()
        .map(|path| format!("```text path={path}\nof round {round} to {path}\n```\n\n"));
    let prompt = blocks.collect::<String>();
    sandbox.ok(&["tell", &format!("Write.\n\n{prompt}")]);
}

/// How an apply may end whose files somebody else works on: done, in part, not at all.
#[track_caller]
fn check_end(outcome: &Outcome) -> i32 {
    let code = outcome.code.unwrap_or(-1);
    assert!([0, 7, 10].contains(&code), "{outcome}");
    code
}

/// Every file in which an apply keeps what it took out of its place.
fn kept_files(sandbox: &Sandbox) -> Vec<PathBuf> {
    let found = sandbox
        .program("find", [".plandex/apply", "-type", "f"])
        .finish()
        .ok();
    let paths = found.stdout.lines();
    paths.map(|path| sandbox.root().join(path)).collect()
}

#[test]
fn what_an_editor_writes_while_the_command_runs_is_never_lost() {
    const FILES: [&str; 3] = ["one.txt", "dir/two.txt", "new/three.txt"];
    let sandbox = Sandbox::in_memory(Duration::from_secs(300));
    sandbox.write("one.txt", "one\n");
    sandbox.ok(&["new"]);
    let paths = FILES.map(|path| sandbox.root().join(path));
    let editor = Editor::of(paths, Duration::from_millis(1));
    let mut ends = [0; 11];
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("editor".to_owned());
        thread.spawn_scoped(scope, || editor.work()).unwrap();
        let _closing = AtEnd(|| editor.close());
        for round in 0..ROUNDS {
            plan(&sandbox, &FILES, round);
            let answer = ["skip", "overwrite", "abort"][round % 3];
            let args = ["apply", "-y", "--on-conflict", answer];
            let outcome = editor.while_open(|| sandbox.run(&args));
            ends[usize::try_from(check_end(&outcome)).unwrap()] += 1;
            let kept = kept_files(&sandbox);
            let lost = editor.lost(&kept);
            assert!(lost.is_empty(), "{lost:?} in round {round}\n{outcome}");
            for path in kept {
                std::fs::remove_file(path).unwrap();
            }
        }
    });
    println!(
        "{} writes ({} to a file already removed) in {ROUNDS} applies: {} whole, {} in part, {} given up",
        editor.writes(),
        editor.too_late(),
        ends[0],
        ends[10],
        ends[7]
    );
    assert!(editor.writes() > ROUNDS);
}

#[test]
fn a_directory_swapped_for_a_link_leads_the_command_nowhere() {
    const FILES: [&str; 3] = ["dir/one.txt", "dir/below/two.txt", "other.txt"];
    let sandbox = Sandbox::in_memory(Duration::from_secs(300));
    for path in FILES {
        sandbox.write(path, "old\n");
    }
    sandbox.ok(&["new"]);
    let outside = sandbox.place().join("outside");
    for path in ["one.txt", "below/two.txt"] {
        let path = outside.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "canary").unwrap();
    }
    let before = tree(&outside);
    let (dir, away) = (sandbox.root().join("dir"), sandbox.root().join("away"));
    let (stop, swaps, took) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(1));
    let (mut ends, in_place) = (vec![0; 11], Mutex::new(()));
    std::thread::scope(|scope| {
        let _stopping = AtEnd(|| stop.store(true, Ordering::SeqCst));
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let round = swaps.fetch_add(1, Ordering::SeqCst);
                let _no_plan_is_made = in_place.lock();
                let pause = |percent| spin(took.load(Ordering::SeqCst) * percent / 800);
                swap_for_link(&dir, &away, &outside, round, pause);
            }
        });
        for round in 0..ROUNDS {
            {
                // While the directory is where it belongs.
                let _no_swap = in_place.lock();
                plan(&sandbox, &FILES, round);
            }
            let begun = Instant::now();
            let outcome = sandbox.run(&["apply", "-y", "--on-conflict", "skip"]);
            took.store(begun.elapsed().as_nanos() as u64, Ordering::SeqCst);
            ends[usize::try_from(check_end(&outcome)).unwrap()] += 1;
            assert_eq!(tree(&outside), before, "round {round}\n{outcome}");
        }
    });
    println!(
        "{swaps:?} swaps in {ROUNDS} applies: {} whole, {} in part",
        ends[0], ends[10]
    );
    assert!(swaps.into_inner() > 20);
}

/// Every file below `dir` with its text.
fn tree(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else {
            found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}
