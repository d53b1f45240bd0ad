//! Whole commands, from start to exit, and a durable version.

use std::process::Command;
use std::sync::Arc;

use plandex::lock::{Patience, operation};
use plandex::platform::cancel::Cancel;
use plandex::project::Project;
use plandex::repo::TreeChange;
use plandex::workers::{Params, exec_repo_operation};

use super::figure::{Figure, Sample, Wanted};
use super::place::{Place, micros, now};

/// Commands that only look.
pub(crate) fn looking(place: &Place) -> Vec<Figure> {
    let looks = ["status", "plans", "ps"];
    let [nothing, git, status, plans, ps] = in_turn(place.count(200), || {
        let plandex = |word: &str| {
            let mut command = place.plandex();
            command.args(["--plan", "bench", word]);
            command
        };
        let mut git = place.command("git");
        git.arg("status");
        [
            place.command("/bin/true"),
            git,
            plandex(looks[0]),
            plandex(looks[1]),
            plandex(looks[2]),
        ]
    });
    let mut figures = Vec::new();
    for (name, ours) in looks.iter().zip([&status, &plans, &ps]) {
        let name = format!("plandex {name}");
        let limit = Wanted::AtMost(1.0);
        figures.push(Figure::medians(
            &name,
            "µs",
            ours,
            "git status",
            &git,
            limit,
        ));
        let aim = Wanted::AtMost(2.2);
        figures.push(Figure::medians(
            &name,
            "µs",
            ours,
            "/bin/true",
            &nothing,
            aim,
        ));
    }
    figures
}

/// A command run under the lock, with nobody else on the database and with somebody.
pub(crate) fn exec(place: &Place) -> Vec<Figure> {
    let commands = || {
        let mut ours = place.plandex();
        ours.args(["--plan", "bench", "exec", "--", "true"]);
        let mut flock = place.command("flock");
        flock.arg(place.beside("flock")).arg("true");
        [ours, flock]
    };
    let count = place.count(200);
    let [alone, flock_alone] = in_turn(count, commands);
    // The last connection of all that closes has work to do that the others have not.
    let open = place.project();
    let [beside, flock_beside] = in_turn(count, commands);
    drop(open);
    let [together, flock_together] = contended(place, count, commands);
    let yardstick = "flock FILE true";
    let row = |name: &str, ours: &Sample, theirs: &Sample, limit: f64| {
        Figure::medians(name, "µs", ours, yardstick, theirs, Wanted::AtMost(limit))
    };
    vec![
        row("exec -- true, database alone", &alone, &flock_alone, 2.2),
        row(
            "exec -- true, database open elsewhere",
            &beside,
            &flock_beside,
            1.7,
        ),
        Figure {
            quantity: "exec -- true, 8 loops at once".to_owned(),
            unit: "/s",
            ours: together,
            yardstick: yardstick.to_owned(),
            theirs: flock_together,
            wanted: Wanted::Nothing,
            samples: count * 8,
        },
    ]
}

/// Turns a second of `count` runs in each of eight loops, of the two commands one after the other.
fn contended(place: &Place, count: usize, commands: impl Fn() -> [Command; 2]) -> [f64; 2] {
    let script = format!("i=0; while [ $i -lt {count} ]; do \"$@\" || exit; i=$((i + 1)); done");
    commands().map(|command| {
        let begun = now();
        let mut loops: Vec<_> = (0..8)
            .map(|_| {
                let mut shell = place.command("sh");
                shell.args(["-c", script.as_str(), "sh"]);
                shell.arg(command.get_program()).args(command.get_args());
                shell.spawn().unwrap()
            })
            .collect();
        for each in &mut loops {
            let status = each.wait().unwrap();
            assert!(status.success(), "{command:?} ended with {status}");
        }
        (count * 8) as f64 / (micros(begun, now()) / 1e6)
    })
}

/// Runs each command `count` times, in turn, and measures from start to exit.
pub(crate) fn in_turn<const N: usize>(
    count: usize,
    mut commands: impl FnMut() -> [Command; N],
) -> [Sample; N] {
    let mut samples = [const { Sample::new() }; N];
    for round in 0..count + 3 {
        for (sample, mut command) in samples.iter_mut().zip(commands()) {
            let begun = now();
            let status = command.status().unwrap();
            let took = micros(begun, now());
            assert!(status.success(), "{command:?} ended with {status}");
            // The first ones read from the disk what stays in memory after.
            if round >= 3 {
                sample.push(took);
            }
        }
    }
    samples
}

/// A version of ten changed files, on the disk when it is acknowledged.
pub(crate) fn version(place: &Place) -> Vec<Figure> {
    let project = place.project();
    let (mut ours, mut git) = (Sample::default(), Sample::default());
    for round in 0..place.count(60) {
        let bodies = ten_files(round);
        let begun = now();
        advance(&project, &place.plan_id, &bodies);
        ours.push(micros(begun, now()));
        git.push(git_commit(place, &bodies));
    }
    let yardstick = "git commit -a, fsynced";
    let name = "durable version of 10 files";
    vec![Figure::medians(
        name,
        "µs",
        &ours,
        yardstick,
        &git,
        Wanted::AtMost(0.5),
    )]
}

/// What ten files hold in a round.
pub(crate) fn ten_files(round: usize) -> Vec<String> {
    (0..10)
        .map(|file| format!("// {round} {file}\n") + &"fn main() {}\n".repeat(20))
        .collect()
}

/// What a durable commit of these files by git takes, in microseconds.
pub(crate) fn git_commit(place: &Place, bodies: &[String]) -> f64 {
    for (file, body) in bodies.iter().enumerate() {
        std::fs::write(place.root().join(format!("src/file{file}.rs")), body).unwrap();
    }
    let mut command = place.command("git");
    command.args(["-c", "core.fsync=all", "-c", "gc.auto=0"]);
    command.args(["commit", "--quiet", "--all", "--message", "version"]);
    let begun = now();
    assert!(command.status().unwrap().success());
    micros(begun, now())
}

/// One operation: its turn, the objects, the row, the ref, and the turn given back.
fn advance(project: &Arc<Project>, plan_id: &str, bodies: &[String]) {
    let changes: Vec<TreeChange> = bodies
        .iter()
        .enumerate()
        .map(|(file, body)| TreeChange::Put {
            path: format!("pending/src/file{file}.rs"),
            bytes: body.clone().into_bytes(),
        })
        .collect();
    let params = Params {
        plan_id: plan_id.to_owned(),
        branch: None,
        operation: operation::TELL,
        patience: Patience::Forever,
        cancel: Cancel::new().unwrap(),
        on_wait: Box::new(|_| {}),
    };
    exec_repo_operation(project, params, move |permit, turn| {
        let branch = turn.branch("main")?;
        turn.advance(permit, &branch, &changes, "version", |_| Ok(()))
    })
    .unwrap();
}
