//! A file that is written while it is loaded: what is kept is always one of its versions.

use std::io::{Seek as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::*;
use crate::platform::digest::sha256_hex;

const TOGGLES: usize = 1_000;
const BURST: usize = 50;

/// How the writer puts a version in place.
#[derive(Clone, Copy)]
enum Way {
    /// One write over the old bytes; both versions have the same size.
    InPlace,
    /// A rename of a new file, of another size.
    Replace,
}

fn version(way: Way, number: usize) -> Vec<u8> {
    let (letter, more) = match number % 2 {
        0 => (b'a', 0),
        _ => (b'b', 1),
    };
    let size = match way {
        Way::InPlace => 100_000,
        Way::Replace => 100_000 + more * 50_000,
    };
    let line = [vec![letter; 99], vec![b'\n']].concat();
    line.repeat(size / 100)
}

/// Toggles the file in bursts. After each it stands still until a load that began then has ended.
fn write(project: &Project, way: Way, still: &Sender<usize>, seen: &Receiver<()>) {
    let mut file = File::options()
        .write(true)
        .open(project.at("file"))
        .unwrap();
    for number in 1..=TOGGLES {
        let content = version(way, number);
        match way {
            Way::InPlace => {
                file.rewind().unwrap();
                file.write_all(&content).unwrap();
            }
            Way::Replace => {
                project.put("new", &content);
                crate::platform::file::rename(&project.at("new"), &project.at("file")).unwrap();
            }
        }
        if number % BURST == 0 {
            still.send(number).unwrap();
            seen.recv().unwrap();
        }
    }
}

struct Tally {
    loads: usize,
    refused: usize,
}

/// Loads without end until the writer has; every body must be a version, with its own facts.
fn load(project: &Project, way: Way, still: &Receiver<usize>, seen: &Sender<()>) -> Tally {
    let mut tally = Tally {
        loads: 0,
        refused: 0,
    };
    loop {
        // Taken before the load: the file stands still during all of it.
        let standing = still.try_recv().ok();
        let gathered = project.gather(&["file"], &plain()).unwrap();
        if let [item] = gathered.loaded.as_slice() {
            let letter = *item.body.first().unwrap();
            let number = usize::from(letter == b'b');
            assert!(item.body == version(way, number), "a mixture of versions");
            assert_eq!(item.hash, sha256_hex(&item.body));
            assert_eq!(item.size, item.body.len() as u64);
            tally.loads += 1;
        } else {
            assert_eq!(gathered.skipped[0].reason, SkipReason::Changing);
            tally.refused += 1;
        }
        if let Some(number) = standing {
            let meta = std::fs::metadata(project.at("file")).unwrap();
            let item = gathered
                .loaded
                .first()
                .expect("a file that stands still is loaded");
            assert!(item.body == version(way, number), "not the last version");
            assert_eq!(item.mtime_ns, crate::platform::snapshot::mtime_ns(&meta));
            seen.send(()).unwrap();
            if number == TOGGLES {
                return tally;
            }
        }
    }
}

fn race(way: Way) {
    let project = Project::with(&[]);
    project.put("file", version(way, 0));
    let (still, is_still) = bounded(1);
    let (saw, seen) = bounded(1);
    std::thread::scope(|scope| {
        // Owned here: if an assertion fails, the writer does not wait for ever.
        let (is_still, saw) = (is_still, saw);
        let writer = std::thread::Builder::new().name("writer".to_owned());
        writer
            .spawn_scoped(scope, || write(&project, way, &still, &seen))
            .unwrap();
        let tally = load(&project, way, &is_still, &saw);
        println!(
            "{} loads, {} refused as changing",
            tally.loads, tally.refused
        );
        assert!(tally.loads >= TOGGLES / BURST);
    });
}

#[test]
fn a_file_that_is_overwritten_is_loaded_as_one_of_its_versions() {
    race(Way::InPlace);
}

#[test]
fn a_file_that_is_replaced_is_loaded_as_one_of_its_versions() {
    race(Way::Replace);
}

#[test]
fn a_file_that_never_stands_still_is_skipped_as_changing() {
    let project = Project::with(&["file"]);
    let (stop, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (gathered, longest_pause) = std::thread::scope(|scope| {
        let writer = std::thread::Builder::new().name("writer".to_owned());
        let writer = writer.spawn_scoped(scope, || {
            let mut file = File::options()
                .write(true)
                .open(project.at("file"))
                .unwrap();
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                file.rewind().unwrap();
                file.write_all(b"this is file\n").unwrap();
                writes.fetch_add(1, Ordering::Relaxed);
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            longest
        });
        while writes.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        let gathered = project.gather(&["file"], &plain());
        stop.store(true, Ordering::Relaxed);
        (gathered.unwrap(), writer.unwrap().join().unwrap())
    });
    if gathered.loaded.is_empty() {
        assert_eq!(skipped_of(&gathered), "file: changing");
    } else {
        // A busy machine may not have run the writer for so long that the file was quiet.
        assert!(
            longest_pause > Duration::from_millis(40),
            "{longest_pause:?}"
        );
    }
}
