//! What a reply costs once it is there: read, built, and written to the project.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use plandex::plan::edits::{Edit, build_file};
use plandex::plan::reply::{Ending, ReplyEvent, ReplyParser};

use super::figure::{Figure, Sample, Wanted};
use super::place::{Place, micros, now};

/// How much of a reply arrives at once.
const PIECE: usize = 4 << 10;

/// The lines of a file, each another one.
fn lines(file: usize, count: usize) -> Vec<String> {
    let line =
        |number| format!("    let line_{number} = of_file({file}, {number}); // as it was\n");
    (0..count).map(line).collect()
}

/// A reply that changes every tenth line of `files` files of `count` lines each, and the files.
fn reply(files: usize, count: usize) -> (String, Vec<(String, String)>) {
    let (mut reply, mut bases) = (String::new(), Vec::new());
    for file in 0..files {
        let path = format!("src/part{}/file{file}.rs", file % 100);
        let lines = lines(file, count);
        for window in lines.chunks_exact(10) {
            let old = window[3..6].concat();
            let new = old.replace("as it was", "as it is to be");
            write!(
                reply,
                "Next.\n\n{path}\n```rust\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```\n\n"
            )
            .unwrap();
        }
        bases.push((path, lines.concat()));
    }
    (reply, bases)
}

fn parse(reply: &str) -> Vec<Edit> {
    let mut parser = ReplyParser::new();
    let mut edits = Vec::new();
    let mut take = |events: Vec<ReplyEvent>| {
        for event in events {
            match event {
                ReplyEvent::Edit(edit) => edits.push(edit),
                ReplyEvent::Malformed(malformed) => panic!("{malformed:?}"),
                ReplyEvent::Prose(_)
                | ReplyEvent::FileStarted { .. }
                | ReplyEvent::FileLines { .. } => {}
            }
        }
    };
    // All of it is ASCII: every byte is a place to cut.
    for piece in reply.as_bytes().chunks(PIECE) {
        take(parser.push(std::str::from_utf8(piece).unwrap()));
    }
    take(parser.finish(Ending::Complete));
    edits
}

/// Builds every file by its edits, which stand in the order of the files.
fn build(edits: &[Edit], bases: &[(String, String)]) {
    let per_file = edits.len() / bases.len();
    for ((path, base), edits) in bases.iter().zip(edits.chunks_exact(per_file)) {
        let built = build_file(path, Some(base.as_bytes()), edits).unwrap();
        assert_eq!(built.lines.added, per_file * 3);
    }
}

/// A reply of 10 MB: read, and built; beside one of 1 MB.
pub(crate) fn long_reply(place: &Place) -> Vec<Figure> {
    let (long, long_bases) = reply(860, 300);
    let (short, short_bases) = reply(86, 300);
    let mut parsed = [const { Sample::new() }; 2];
    let mut built = [const { Sample::new() }; 2];
    let mut split = Sample::new();
    for _ in 0..place.count(10) {
        for (of, (reply, bases)) in [(&long, &long_bases), (&short, &short_bases)]
            .into_iter()
            .enumerate()
        {
            let speed = |begun: Instant| reply.len() as f64 / 1e6 / begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            let edits = parse(reply);
            parsed[of].push(speed(begun));
            let begun = Instant::now();
            build(&edits, bases);
            built[of].push(speed(begun));
        }
        let begun = Instant::now();
        let owned: usize = long.lines().map(|line| line.to_owned().len()).sum();
        assert!(owned < long.len());
        split.push(long.len() as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    let megabytes = long.len() / 1_000_000;
    let row = |what: &str, ours: &Sample, yardstick: &str, theirs: &Sample, limit: f64| {
        let quantity = format!("a reply of {megabytes} MB {what}");
        let wanted = Wanted::AtLeast(limit);
        Figure::medians(&quantity, "MB/s", ours, yardstick, theirs, wanted)
    };
    let mut fifty = Sample::new();
    fifty.push(50.0);
    vec![
        row("read", &parsed[0], "what was asked for", &fifty, 1.0),
        row("read", &parsed[0], "its lines, one by one", &split, 0.05),
        row("read", &parsed[0], "a tenth of it", &parsed[1], 0.8),
        row("built", &built[0], "a tenth of it", &built[1], 0.8),
    ]
}

/// A thousand edits in one file of a megabyte, beside ten times a hundred in a tenth of it.
pub(crate) fn many_edits(place: &Place) -> Vec<Figure> {
    let (all, bases) = reply(1, 20_000);
    let (few, small) = reply(1, 2_000);
    let (mut thousand, mut hundred) = (parse(&all), parse(&few));
    thousand.truncate(1000);
    hundred.truncate(100);
    let (mut ours, mut theirs) = (Sample::new(), Sample::new());
    for _ in 0..place.count(20) {
        let begun = Instant::now();
        build(&thousand, &bases);
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
        let begun = Instant::now();
        for _ in 0..10 {
            build(&hundred, &small);
        }
        theirs.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let name = format!(
        "1,000 edits in one file of {:.1} MB",
        bases[0].1.len() as f64 / 1e6
    );
    let yardstick = "10 times 100 in a tenth of it";
    let wanted = Wanted::AtMost(1.5);
    vec![Figure::medians(
        &name, "ms", &ours, yardstick, &theirs, wanted,
    )]
}

/// An apply of 10,000 files, durable, beside `git apply` of the same changes and a copy that is
/// synced. A fifth of the files where a quick look is wanted.
pub(crate) fn large_apply(place: &Place) -> Vec<Figure> {
    let files = place.count(10_000);
    let (git_root, copy) = (place.beside("git"), place.beside("copy"));
    write_files(&place.root(), files, 0);
    write_files(&git_root, files, 0);
    let (mut ours, mut git, mut copied) = (Sample::new(), Sample::new(), Sample::new());
    for round in 1..=if place.quick { 1 } else { 3 } {
        let prompt = place.beside("prompt");
        std::fs::write(&prompt, whole_files(files, round)).unwrap();
        let patch = place.beside("patch");
        std::fs::write(&patch, diff(files, round)).unwrap();
        let mut tell = place.plandex();
        tell.args(["--plan", "bench", "tell", "--file"])
            .arg(&prompt);
        assert!(
            tell.status().unwrap().success(),
            "the files are not pending"
        );
        sync(&git_root);

        let mut apply = place.plandex();
        apply.args(["--plan", "bench", "apply", "-y", "--quiet"]);
        ours.push(took(&mut [apply]));

        let mut apply = place.command("git");
        apply.current_dir(&git_root).arg("apply").arg(&patch);
        git.push(took(&mut [apply]));

        std::fs::remove_dir_all(&copy).ok();
        std::fs::create_dir(&copy).unwrap();
        let mut cp = place.command("cp");
        cp.arg("-r").arg(git_root.join("files")).arg(&copy);
        let mut synced = place.command("sync");
        synced.arg("-f").arg(&copy);
        copied.push(took(&mut [cp, synced]));
        let last = place.root().join(path(files - 1));
        assert_eq!(
            std::fs::read_to_string(last).unwrap(),
            text(files - 1, round)
        );
    }
    let name = format!("apply of {files} files");
    let row =
        |yardstick, theirs, wanted| Figure::medians(&name, "ms", &ours, yardstick, theirs, wanted);
    vec![
        row("git apply, which syncs nothing", &git, Wanted::AtMost(2.0)),
        row("cp -r; sync -f", &copied, Wanted::AtMost(2.0)),
    ]
}

fn took(commands: &mut [Command]) -> f64 {
    let begun = now();
    for command in commands {
        assert!(command.status().unwrap().success(), "{command:?}");
    }
    micros(begun, now()) / 1e3
}

fn sync(dir: &Path) {
    assert!(
        Command::new("sync")
            .arg("-f")
            .arg(dir)
            .status()
            .unwrap()
            .success()
    );
}

fn path(file: usize) -> String {
    format!("files/{}/file{file}.txt", file % 100)
}

fn text(file: usize, round: usize) -> String {
    format!("file {file}\nof round {round}\n")
}

fn write_files(root: &Path, files: usize, round: usize) {
    for file in 0..files {
        let path = root.join(path(file));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text(file, round)).unwrap();
    }
}

fn whole_files(files: usize, round: usize) -> String {
    let block = |file| format!("```text path={}\n{}```\n\n", path(file), text(file, round));
    (0..files).map(block).collect()
}

fn diff(files: usize, round: usize) -> String {
    let of_file = |file| {
        let path = path(file);
        format!(
            "--- a/{path}\n+++ b/{path}\n@@ -1,2 +1,2 @@\n file {file}\n-of round {}\n+of round {round}\n",
            round - 1
        )
    };
    (0..files).map(of_file).collect()
}
