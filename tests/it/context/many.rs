//! Many processes load at once; a load waits for a run.

use std::collections::BTreeSet;

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
