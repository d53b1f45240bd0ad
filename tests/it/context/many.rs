//! Many processes load at once; a load waits for a run.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{asking, names, numbers, project, reply};
use crate::support::{Answer, ModelServer};

const PROCESSES: usize = 16;
const FILES: usize = 100;

#[test]
fn sixteen_processes_load_a_hundred_files_each_and_none_is_lost_or_twice() {
    let sandbox = project();
    for process in 0..PROCESSES {
        for file in 0..FILES {
            let text = format!("file {file} of {process}\n");
            sandbox.write(&format!("many/{process}/{file}.txt"), text);
        }
    }
    let directories: Vec<String> = (0..PROCESSES)
        .map(|process| format!("many/{process}"))
        .collect();
    let loads: Vec<_> = directories
        .iter()
        .map(|directory| sandbox.start(&["load", "-r", directory, "--wait", "forever", "--quiet"]))
        .collect();
    for load in loads {
        load.finish().ok();
    }
    let listed = names(&sandbox);
    assert_eq!(listed.len(), PROCESSES * FILES);
    assert_eq!(
        listed.iter().collect::<BTreeSet<_>>().len(),
        PROCESSES * FILES
    );
    // In the tree as in the rows, each with its own body.
    let ids = numbers(&sandbox, "SELECT count(DISTINCT id) FROM contexts");
    assert_eq!(ids, [(PROCESSES * FILES) as i64]);
    let plans = std::fs::read_dir(sandbox.state_dir().join("plans")).unwrap();
    let repository = plans.map(|entry| entry.unwrap().path()).next().unwrap();
    let git = |args: &[&str]| {
        let mut all = vec!["--git-dir", repository.to_str().unwrap()];
        all.extend(args);
        sandbox.git(&all)
    };
    let tree = git(&["ls-tree", "-r", "--name-only", "HEAD", "context/"]);
    let bodies = tree.lines().filter(|path| path.ends_with("/body")).count();
    assert_eq!(bodies, PROCESSES * FILES);
    let blobs = git(&["ls-tree", "-r", "HEAD", "context/"]);
    let bodies: BTreeSet<&str> = blobs
        .lines()
        .filter(|line| line.ends_with("/body"))
        .map(|line| line.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(
        bodies.len(),
        PROCESSES * FILES,
        "each has the body of its own file"
    );
}

/// What the writer puts in place the `number`-th time, and the time that it gives it.
fn version(number: usize) -> (String, SystemTime) {
    let letter = if number.is_multiple_of(2) { "a" } else { "b" };
    let text = letter.repeat(1_000 + number).repeat(20);
    // Long ago and each its own: the time tells which version was read.
    let time = UNIX_EPOCH + Duration::from_secs(1_000_000_000 + number as u64);
    (text, time)
}

/// A thousand versions are put in place, one after the other, while processes load the file: what
/// each stored is one version, with the size, time and hash of that very one.
#[test]
fn what_is_stored_of_a_file_that_is_being_toggled_is_one_version_with_its_own_facts() {
    const TOGGLES: usize = 1_000;
    const BURST: usize = 20;
    let sandbox = project();
    let path = sandbox.root().join("toggled.txt");
    let put = |number: usize| {
        let (text, time) = version(number);
        let new = sandbox.place().join("tmp/toggled");
        std::fs::write(&new, text).unwrap();
        let file = std::fs::File::options().write(true).open(&new).unwrap();
        file.set_modified(time).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    put(0);
    let mut stored = 0;
    for round in 0..TOGGLES / BURST {
        // The burst begins when the process does, so that it falls into its reading or its waiting for
        // a file that stands still.
        let load = sandbox.start(&["load", "toggled.txt"]);
        for number in 1..=BURST {
            put(round * BURST + number);
        }
        let load = load.finish();
        if load.code == Some(0) {
            stored += 1;
            check_stored(&sandbox);
        } else {
            assert!(load.stderr.contains("keeps changing"), "{load}");
        }
    }
    assert!(stored > 0);
    sandbox.ok(&["load", "toggled.txt"]);
    check_stored(&sandbox);
    let last = super::entries(&sandbox)[0]["size"].as_u64();
    assert_eq!(last, Some(20 * (1_000 + TOGGLES as u64)));
}

fn check_stored(sandbox: &crate::support::Sandbox) {
    let entry = super::entries(sandbox).remove(0);
    let body = sandbox.ok(&["show", "1"]).stdout;
    let size = entry["size"].as_u64().unwrap() as usize;
    let number = size / 20 - 1_000;
    let (text, time) = version(number);
    assert!(
        body == text,
        "the body is no version, or not that of its size"
    );
    let hash = plandex::platform::digest::sha256_hex(text.as_bytes());
    assert_eq!(entry["hash"], hash);
    let since = time.duration_since(UNIX_EPOCH).unwrap();
    let recorded = numbers(sandbox, "SELECT mtime_ns FROM contexts");
    assert_eq!(recorded, [since.as_nanos() as i64]);
}

#[test]
fn a_load_against_a_run_waits_for_it() {
    let sandbox = project();
    let (answer, hold) = Answer::stream(reply("Done.\n", 400)).hold(10);
    let server = ModelServer::start([answer]);
    let run = asking(&sandbox, &server, &["chat", "hi"]).start();
    hold.reached();
    let mut load = sandbox.start(&["load", "README.md", "--wait", "forever"]);
    sandbox.until_queue("the load waits", |line| line.len() == 2);
    assert!(load.is_running() && names(&sandbox).is_empty());
    hold.release();
    run.finish().ok();
    load.finish().ok();
    assert_eq!(names(&sandbox), ["README.md"]);
}
