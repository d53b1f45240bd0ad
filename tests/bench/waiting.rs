//! What waiting costs, and how soon it ends when the holder dies.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use plandex::store::tickets::{self, State};

use super::figure::{Figure, Sample, Wanted};
use super::place::{Kind, Place, Player, micros, now, sleeps, until};

/// Processor time of a waiter, against that of one that looks every millisecond.
pub(crate) fn sleeper(place: &Place) -> Vec<Figure> {
    let long = place.span(Duration::from_secs(5));
    let other_plan = place.new_plan("other");
    let mut holder = place.play("once", Kind::Ticket, &place.plan_id, &[]);
    holder.go();
    holder.line();
    let waiter = waiting(place, Kind::Ticket);
    let mut poller = place.play("poll", Kind::Ticket, &place.plan_id, &[]);
    poller.go();
    let quiet = (spent(waiter.pid(), long), spent(poller.pid(), long));
    // Others commit all the time, on another plan of the same database.
    let ms = u64::try_from((long * 2).as_millis()).unwrap();
    let mut busy = place.play("spell", Kind::Ticket, &other_plan, &[ms]);
    busy.go();
    let beside = spent(waiter.pid(), long);
    [busy, waiter, poller, holder]
        .into_iter()
        .for_each(Player::kill);
    let row = |quantity: &str, ours: f64, yardstick: &str, theirs: f64, wanted| Figure {
        quantity: quantity.to_owned(),
        unit: "µs/s",
        ours,
        yardstick: yardstick.to_owned(),
        theirs,
        wanted,
        samples: 1,
    };
    let name = "processor time of a sleeping waiter";
    let busy = "the same beside commits on another plan";
    vec![
        row(
            name,
            quiet.0,
            "a look every millisecond",
            quiet.1,
            Wanted::AtMost(0.02),
        ),
        row(
            busy,
            beside,
            "a look every millisecond",
            quiet.1,
            Wanted::AtMost(0.02),
        ),
    ]
}

/// Microseconds of processor time that `pid` uses in a second, over `long`.
fn spent(pid: u32, long: Duration) -> f64 {
    let (begun, before) = (Instant::now(), running_ns(pid));
    std::thread::sleep(long);
    (running_ns(pid) - before) as f64 / 1000.0 / begun.elapsed().as_secs_f64()
}

/// What all threads of `pid` have run so far, in nanoseconds.
fn running_ns(pid: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads
        .flatten()
        .map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            let first = text.split(' ').next().unwrap_or_default();
            first.parse::<u64>().unwrap_or(0)
        })
        .sum()
}

/// Starts a process that waits in line behind whoever holds, and returns when it sleeps there.
fn waiting(place: &Place, kind: Kind) -> Player {
    let mut player = place.play("once", kind, &place.plan_id, &[]);
    player.go();
    match kind {
        Kind::Ticket => {
            let project = place.project();
            until("the ticket waits", || {
                let line = project
                    .store
                    .read(|tx| tickets::line(tx, &place.plan_id))
                    .unwrap();
                let is_its = |ticket: &tickets::Ticket| {
                    ticket.pid == player.pid() && ticket.state == State::Waiting
                };
                line.iter().any(is_its)
            });
        }
        Kind::Flock | Kind::FlockWithRows => until("the kernel lists the waiter", || {
            let blocked = format!(" {} ", player.pid());
            let table = std::fs::read_to_string("/proc/locks").unwrap_or_default();
            table
                .lines()
                .any(|line| line.contains("->") && line.contains(&blocked))
        }),
    }
    until("it sleeps", || sleeps(player.pid()));
    player
}

/// From SIGKILL of the owner to the next one's start.
pub(crate) fn takeover(place: &Place) -> Vec<Figure> {
    let (mut ours, mut flock) = (Sample::default(), Sample::default());
    for _ in 0..place.count(10) {
        ours.extend(takeovers(place, Kind::Ticket, 10));
        flock.extend(takeovers(place, Kind::Flock, 10));
    }
    let limit = Figure {
        quantity: "killed owner, next one working, p99".to_owned(),
        unit: "µs",
        ours: ours.at(0.99),
        yardstick: "20 ms".to_owned(),
        theirs: 20_000.0,
        wanted: Wanted::AtMost(1.0),
        samples: ours.count(),
    };
    let name = "killed owner, next one working";
    vec![
        Figure::medians(name, "µs", &ours, "flock", &flock, Wanted::AtMost(3.0)),
        limit,
    ]
}

fn takeovers(place: &Place, kind: Kind, count: usize) -> Vec<f64> {
    let mut holder = place.play("once", kind, &place.plan_id, &[]);
    holder.go();
    holder.line();
    let mut found = Vec::new();
    for _ in 0..count {
        let mut next = waiting(place, kind);
        let killed = now();
        holder.kill();
        let came: u64 = next.line().parse().unwrap();
        found.push(micros(killed, came));
        holder = next;
    }
    holder.kill();
    found
}

/// From the start of a command that stops another one to that one's exit.
pub(crate) fn stop(place: &Place) -> Vec<Figure> {
    let (mut ours, mut kill) = (Sample::default(), Sample::default());
    for _ in 0..place.count(100) {
        let mut command = place.plandex();
        command.args(["--plan", "bench", "exec", "--", "sleep", "1000"]);
        let mut run = command.spawn().unwrap();
        let project = place.project();
        until("the command holds the plan", || {
            let line = project
                .store
                .read(|tx| tickets::line(tx, &place.plan_id))
                .unwrap();
            line.iter()
                .any(|ticket| ticket.pid == run.id() && ticket.state == State::Held)
        });
        until("it sleeps", || sleeps(run.id()));
        let mut stop = place.plandex();
        stop.args(["--plan", "bench", "stop"]);
        ours.push(until_gone(&mut stop, &mut run));
        // The usual way to end a command and what it started.
        let mut run = place.command("timeout");
        let mut run = run.args(["1000", "sleep", "1000"]).spawn().unwrap();
        until("it sleeps", || sleeps(run.id()));
        let mut stop = place.command("/bin/kill");
        stop.arg(run.id().to_string());
        kill.push(until_gone(&mut stop, &mut run));
    }
    let yardstick = "kill, of timeout and sleep";
    let name = "stop, until the run is gone";
    vec![Figure::medians(
        name,
        "µs",
        &ours,
        yardstick,
        &kill,
        Wanted::Nothing,
    )]
}

/// Microseconds from the start of `stop` to the end of `run`.
fn until_gone(stop: &mut Command, run: &mut Child) -> f64 {
    let begun = now();
    let mut stop = stop.spawn().unwrap();
    run.wait().unwrap();
    let took = micros(begun, now());
    assert!(stop.wait().unwrap().success());
    took
}

/// Resident memory of a command that waits in line.
pub(crate) fn memory(place: &Place) -> Vec<Figure> {
    let mut holder = place.play("once", Kind::Ticket, &place.plan_id, &[]);
    holder.go();
    holder.line();
    let mut command = place.plandex();
    command.args(["--plan", "bench", "--wait", "forever", "exec", "--", "true"]);
    let mut waiter = command.spawn().unwrap();
    let project = place.project();
    until("the command waits", || {
        let line = project
            .store
            .read(|tx| tickets::line(tx, &place.plan_id))
            .unwrap();
        line.iter()
            .any(|ticket| ticket.pid == waiter.id() && ticket.state == State::Waiting)
    });
    until("it sleeps", || sleeps(waiter.id()));
    let resident = resident_mib(waiter.id());
    let mut idle = place.command("sleep").arg("1000").spawn().unwrap();
    until("sleep sleeps", || sleeps(idle.id()));
    let least = resident_mib(idle.id());
    for child in [&mut waiter, &mut idle] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    holder.kill();
    let row = |yardstick: &str, theirs: f64, wanted| Figure {
        quantity: "resident memory of a waiting command".to_owned(),
        unit: "MiB",
        ours: resident,
        yardstick: yardstick.to_owned(),
        theirs,
        wanted,
        samples: 1,
    };
    vec![
        row("12 MiB", 12.0, Wanted::AtMost(1.0)),
        row("sleep 1000", least, Wanted::Nothing),
    ]
}

fn resident_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
