//! Hostile paths, links in the way, and a directory that somebody swaps for a link all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::editor::{spin, swap_for_link};
use super::writing::Grounds;
use super::*;
use crate::platform::stopping::Stopping;

#[test]
fn hostile_paths_are_refused_and_nothing_outside_is_touched() {
    let mut ground = Ground::new();
    let outside = ground.root.parent().unwrap().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, ground.path("link")).unwrap();
    std::os::unix::fs::symlink("link", ground.path("link-to-link")).unwrap();
    std::os::unix::fs::symlink("..", ground.path("up")).unwrap();
    std::os::unix::fs::symlink("/proc/self/root", ground.path("magic")).unwrap();
    std::fs::create_dir(ground.path(".git")).unwrap();
    let absolute = outside.join("x");
    let long_name = "x".repeat(256);
    let long_path = format!("{}f", "dir/".repeat(1100));
    let hostile = [
        "../outside/x",
        "a/../../outside/x",
        absolute.to_str().unwrap(),
        "link/x",
        "link-to-link/x",
        "up/outside/x",
        "magic/tmp/plandex-canary",
        ".git/hooks/pre-commit",
        "sub/.GIT/config",
        "git~1/config",
        ".plandex/x",
        "a\\..\\b",
        "C:/x",
        "nul",
        "a//b",
        "./x",
        "x/",
        "",
        "a\0b",
        "new\nline",
        &long_name,
        &long_path,
    ];
    for path in hostile {
        ground.change(path, None, Some("t"));
    }
    ground.write("good", "old");
    ground.change("good", Some("old"), Some("new"));
    let before = ground.tree();
    for one in ground.classify() {
        let is_refused = matches!(one.class, Class::Refused(_));
        assert_eq!(
            is_refused,
            one.change.path != "good",
            "{:?}: {:?}",
            one.change.path,
            one.class
        );
    }
    let error = ground.apply(OnConflict::Abort).unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(ApplyError::Conflicts(_))
    ));
    assert_eq!(ground.tree(), before);
    let applied = ground.apply(OnConflict::Overwrite).unwrap();
    assert_eq!(applied.written, ["good"]);
    assert_eq!(applied.skipped.len(), hostile.len());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(ground.tree().len(), before.len());
}

#[test]
fn the_longest_names_are_written() {
    for name in Grounds::new().names() {
        let mut ground = Grounds::new().fresh(name);
        let longest = "n".repeat(255);
        let path = format!("{longest}/{longest}");
        ground.write(&path, "old");
        ground.change(&path, Some("old"), Some("new"));
        ground.change(&"m".repeat(255), None, Some("new"));
        assert_eq!(ground.apply(OnConflict::Abort).unwrap().written.len(), 2);
        assert_eq!(ground.text(&path).as_deref(), Some("new"));
    }
}

/// A thread swaps the directory `dir` for a link to one outside, and back, all the time, while
/// applies write into it: each apply is all or nothing where the directory really is, and the
/// canaries outside never change.
#[test]
fn a_directory_swapped_for_a_link_all_the_time_leads_nowhere() {
    const SWAPS: u64 = 2500;
    const ATTEMPTS: u64 = 20_000;
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        let outside = in_memory();
        for file in ["f", "gone"] {
            #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
            std::fs::write(outside.path().join(file), "canary").unwrap();
        }
        let (dir, away) = (ground.path("dir"), ground.path("away"));
        std::fs::create_dir(&dir).unwrap();
        let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
        let took = AtomicU64::new(1_000_000);
        let (mut done, mut refused, mut text) = (0, 0, 0);
        std::thread::scope(|scope| {
            let _stopping = Stopping(&stop);
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let round = swaps.fetch_add(1, Ordering::SeqCst);
                    let pause = |percent| spin(took.load(Ordering::SeqCst) * percent / 100);
                    swap_for_link(&dir, &away, outside.path(), round, pause);
                }
            });
            while swaps.load(Ordering::SeqCst) < SWAPS || done < 20 || refused < 5 {
                let (old, new) = (format!("{text}"), format!("{}", text + 1));
                ground.change("dir/f", (text > 0).then_some(old.as_str()), Some(&new));
                ground.change("dir/gone", Some("canary"), None);
                let begun = Instant::now();
                let applied = ground.apply(OnConflict::Skip);
                took.store(begun.elapsed().as_nanos() as u64, Ordering::SeqCst);
                match applied {
                    Ok(applied) if applied.written.iter().any(|path| path == "dir/f") => {
                        done += 1;
                        text += 1;
                    }
                    Ok(_) => refused += 1,
                    Err(error) => panic!("{name}: {error:#}"),
                }
                let never = format!("{name}: {done} applies done, {refused} refused");
                assert!(done + refused < ATTEMPTS, "{never}");
            }
        });
        let expected = (text > 0).then(|| text.to_string());
        assert_eq!(ground.text("dir/f"), expected, "{name}");
        for file in ["f", "gone"] {
            let canary = std::fs::read_to_string(outside.path().join(file));
            assert_eq!(canary.unwrap_or_default(), "canary", "{name}");
        }
        assert_eq!(
            std::fs::read_dir(outside.path()).unwrap().count(),
            2,
            "{name}"
        );
        let swaps = swaps.into_inner();
        println!("{name}: {swaps} swaps, {done} applies done, {refused} refused");
    }
}
