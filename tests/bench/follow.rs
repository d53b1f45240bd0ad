//! How soon a follower shows what a run has stored.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use plandex::lock::{Patience, Request, operation};
use plandex::platform::cancel::Cancel;
use plandex::platform::clock;
use plandex::store::audit::Outcome;
use plandex::store::branches;
use plandex::store::streams::{self, Kept};
use plandex::store::tickets::{Permit as _, WritePermit};

use super::figure::{Figure, Sample, Wanted};
use super::place::{Place, micros, now, sleeps, until};

/// Between two events: whoever follows sleeps again.
const REST: Duration = Duration::from_millis(4);

/// From the writer's commit to the follower's line.
pub(crate) fn follower(place: &Place) -> Vec<Figure> {
    let project = place.project();
    let cancel = Cancel::new().unwrap();
    let request = Request {
        plan_id: &place.plan_id,
        branch: None,
        operation: operation::TELL,
        patience: Patience::Forever,
        cancel: &cancel,
    };
    let hold = project.locks().acquire(&request, &mut |_| {}).unwrap();
    let permit: &WritePermit = hold.permit();
    let run = begin(&project.store, place, permit);
    let mut number = 0;
    let mut tell = || {
        number += 1;
        let event = event(number);
        project
            .store
            .note(permit, |tx| streams::add(tx, &run, &[event]))
            .unwrap();
        let committed = now();
        project.locks().tell_followers();
        committed
    };
    tell();
    let mut cost = Sample::new();
    // While nobody follows: whoever does is woken on a processor of its own.
    for _ in 0..place.count(500) {
        let begun = now();
        project.locks().tell_followers();
        cost.push(micros(begun, now()));
    }
    let mut connect = place.plandex();
    connect.args(["--plan", "bench", "connect", "--json", "--deltas"]);
    let mut follower = Reader::start(connect);
    follower.until("message.delta");
    let path = place.beside("followed");
    let mut file = File::create(&path).unwrap();
    let mut tail = place.command("tail");
    tail.arg("-f").arg(&path);
    let mut tail = Reader::start(tail);
    let [mut ours, mut theirs] = [const { Sample::new() }; 2];
    for _ in 0..place.count(500) {
        follower.until_asleep();
        let committed = tell();
        ours.push(micros(committed, follower.line()));
        std::thread::sleep(REST);
        tail.until_asleep();
        let written = now();
        file.write_all(b"a line\n").unwrap();
        theirs.push(micros(written, tail.line()));
        std::thread::sleep(REST);
    }
    for mut reader in [follower, tail] {
        reader.child.kill().unwrap();
        reader.child.wait().unwrap();
    }
    hold.release(Outcome::Released).unwrap();
    figures(&ours, &theirs, &cost)
}

fn figures(ours: &Sample, theirs: &Sample, cost: &Sample) -> Vec<Figure> {
    let at = |share: f64, quantity: &str, yardstick: &str, limit| Figure {
        quantity: quantity.to_owned(),
        unit: "µs",
        ours: ours.at(share),
        yardstick: yardstick.to_owned(),
        theirs: theirs.at(share),
        wanted: Wanted::AtMost(limit),
        samples: ours.count(),
    };
    vec![
        at(0.5, "commit, follower's line", "tail -f", 5.0),
        at(0.99, "commit, follower's line, p99", "tail -f, p99", 5.0),
        Figure {
            quantity: "what telling followers costs a run".to_owned(),
            unit: "µs",
            ours: cost.at(0.5),
            yardstick: "2 µs".to_owned(),
            theirs: 2.0,
            wanted: Wanted::AtMost(1.0),
            samples: cost.count(),
        },
    ]
}

/// The rows of a run that is under way; its id.
fn begin(store: &plandex::store::Store, place: &Place, permit: &WritePermit) -> String {
    store
        .write(permit, |tx| {
            let branch = branches::by_name(tx, &place.plan_id, "main")?.unwrap();
            streams::start(tx, &branch.id, permit.proof().ticket(), None)
        })
        .unwrap()
}

fn event(number: i64) -> Kept {
    Kept {
        number,
        at: clock::wall_ms(),
        kind: "message.delta".to_owned(),
        payload: "{\"text\":\"a few words of a reply\\n\"}".to_owned(),
    }
}

/// A program that prints lines.
struct Reader {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Reader {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// Waits for its next line; when it came.
    fn line(&mut self) -> u64 {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0);
        now()
    }

    fn until(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0);
        }
    }

    fn until_asleep(&self) {
        until("it sleeps", || sleeps(self.child.id()));
    }
}
