//! Turns: alone, handed over, in a crowd.

use std::time::Duration;

use plandex::store::audit;

use super::figure::{Figure, Sample, Wanted};
use super::place::{Kind, Place, micros, now};
use super::roles::{Turn, Turns, bare_database, delete, insert};

/// Acquire and release in one process with nobody else there.
pub(crate) fn pair(place: &Place) -> Vec<Figure> {
    let dir = place.beside("");
    let tickets = Turns::new(Kind::Ticket, &dir, &place.plan_id);
    let flock = Turns::new(Kind::Flock, &dir, &place.plan_id);
    let bare = bare_database(&dir);
    let (mut ours, mut rows, mut kernel) =
        (Sample::default(), Sample::default(), Sample::default());
    for round in 0..place.count(20_000) {
        let pairs = [
            time(|| {
                tickets.take(|| {});
            }),
            time(|| {
                insert(&bare);
                delete(&bare);
            }),
            time(|| {
                flock.take(|| {});
            }),
        ];
        // The first ones open files and prepare statements.
        if round > 100 {
            ours.push(pairs[0]);
            rows.push(pairs[1]);
            kernel.push(pairs[2]);
        }
    }
    let name = "acquire + release, alone";
    vec![
        Figure::medians(
            name,
            "µs",
            &ours,
            "SQLite: insert, delete",
            &rows,
            Wanted::AtMost(2.5),
        ),
        Figure::medians(
            name,
            "µs",
            &ours,
            "flock + unlock",
            &kernel,
            Wanted::Nothing,
        ),
    ]
}

fn time(work: impl FnOnce()) -> f64 {
    let begun = now();
    work();
    micros(begun, now())
}

/// From the release to the next one's start, with 1 and with 64 asleep in line.
pub(crate) fn hand_off(place: &Place) -> Vec<Figure> {
    let [mut one, mut one_flock, mut many, mut many_flock] = [const { Sample::new() }; 4];
    for _ in 0..place.count(5) {
        one.extend(hand_offs(place, Kind::Ticket, 1));
        one_flock.extend(hand_offs(place, Kind::Flock, 1));
        many.extend(hand_offs(place, Kind::Ticket, 64));
        many_flock.extend(hand_offs(place, Kind::Flock, 64));
    }
    let figure = |quantity: &str,
                  ours: &Sample,
                  yardstick: &str,
                  theirs: &Sample,
                  share: f64,
                  limit: f64| Figure {
        quantity: quantity.to_owned(),
        unit: "µs",
        ours: ours.at(share),
        yardstick: yardstick.to_owned(),
        theirs: theirs.at(share),
        wanted: Wanted::AtMost(limit),
        samples: ours.count(),
    };
    vec![
        figure(
            "hand-off, 1 waiter",
            &one,
            "flock, 1 waiter",
            &one_flock,
            0.5,
            10.0,
        ),
        figure(
            "hand-off, 1 waiter, p99",
            &one,
            "flock, 1 waiter, p99",
            &one_flock,
            0.99,
            15.0,
        ),
        figure(
            "hand-off, 64 waiters",
            &many,
            "flock, 64 waiters",
            &many_flock,
            0.5,
            10.0,
        ),
        figure(
            "hand-off, 64 waiters, p99",
            &many,
            "flock, 64 waiters, p99",
            &many_flock,
            0.99,
            15.0,
        ),
        figure(
            "hand-off, 64 waiters",
            &many,
            "hand-off, 1 waiter",
            &one,
            0.5,
            1.6,
        ),
    ]
}

fn hand_offs(place: &Place, kind: Kind, waiters: usize) -> Vec<f64> {
    let processes = waiters + 1;
    let (rounds, hold_us) = (400 / processes as u64 + 2, 3_000);
    let players = place.players(processes, "rounds", kind, &[rounds, hold_us]);
    let mut turns = merged(Place::together(players).1);
    turns.sort_by_key(|turn| turn.came);
    turns
        .windows(2)
        // The next one was already asleep in line when this turn ended.
        .filter(|pair| pair[1].asked + hold_us * 500 < pair[0].over && pair[0].over < pair[1].came)
        .map(|pair| micros(pair[0].over, pair[1].came))
        .collect()
}

fn merged(printed: Vec<Vec<Vec<u64>>>) -> Vec<Turn> {
    printed
        .into_iter()
        .flatten()
        .map(|numbers| Turn {
            asked: numbers[0],
            came: numbers[1],
            over: numbers[2],
        })
        .collect()
}

/// Turns a second, 8 processes that hold for no time.
pub(crate) fn throughput(place: &Place) -> Vec<Figure> {
    let (mut ours, mut rows) = (Sample::default(), Sample::default());
    let long = place.span(Duration::from_secs(2));
    let per_second = |kind: Kind| {
        let ms = u64::try_from(long.as_millis()).unwrap();
        let players = place.players(8, "spell", kind, &[ms]);
        merged(Place::together(players).1).len() as f64 / long.as_secs_f64()
    };
    for _ in 0..3 {
        ours.push(per_second(Kind::Ticket));
        rows.push(per_second(Kind::FlockWithRows));
    }
    let yardstick = "flock + recorded rows";
    let name = "first in, first out, 8 processes";
    vec![Figure::medians(
        name,
        "/s",
        &ours,
        yardstick,
        &rows,
        Wanted::AtLeast(0.25),
    )]
}

/// Who gets how much, 64 processes.
pub(crate) fn fairness(place: &Place) -> Vec<Figure> {
    let long = place.span(Duration::from_secs(10));
    let ms = u64::try_from(long.as_millis()).unwrap();
    let players = place.players(64, "spell", Kind::Ticket, &[ms]);
    let (start, mut printed) = Place::together(players);
    // While all 64 are there: neither the first tenth, when they come, nor the last, when they go.
    let tenth = ms * 1_000_000 / 10;
    let within = start + tenth..start + 9 * tenth;
    for turns in &mut printed {
        turns.retain(|turn| within.contains(&turn[0]));
    }
    let counts: Vec<f64> = printed.iter().map(|turns| turns.len() as f64).collect();
    let most = counts.iter().copied().fold(0.0, f64::max);
    let least = counts.iter().copied().fold(f64::INFINITY, f64::min);
    let mut waits = Sample::default();
    waits.extend(
        merged(printed)
            .iter()
            .map(|turn| micros(turn.asked, turn.came)),
    );
    let row = |quantity: &str, unit, ours, yardstick: &str, theirs, wanted| Figure {
        quantity: quantity.to_owned(),
        unit,
        ours,
        yardstick: yardstick.to_owned(),
        theirs,
        wanted,
        samples: waits.count(),
    };
    let inversions = inversions(place);
    vec![
        row(
            "fewest turns of 64",
            "turns",
            least,
            "most turns",
            most,
            Wanted::AtLeast(0.85),
        ),
        row(
            "longest wait of 64",
            "µs",
            waits.at(1.0),
            "median wait",
            waits.median(),
            Wanted::AtMost(3.0),
        ),
        row(
            "turns out of order",
            "turns",
            inversions,
            "all turns",
            waits.count() as f64,
            Wanted::AtMost(0.0),
        ),
    ]
}

/// 64 processes that take 100 turns each: all of them come, in order, and to all alike.
pub(crate) fn hundred(place: &Place) -> Vec<Figure> {
    // Never fewer: the first would be done before the last has come.
    let (processes, each) = (64, 100);
    let players = place.players(processes, "rounds", Kind::Ticket, &[each as u64, 0]);
    let printed = Place::together(players).1;
    let all = processes * each;
    let taken: usize = printed.iter().map(Vec::len).sum();
    // How many each had from when the last of them had come until the first had had all its: so long
    // all 64 wanted more.
    let first = |turns: &Vec<Vec<u64>>| turns.iter().map(|turn| turn[1]).min().unwrap_or(0);
    let last = |turns: &Vec<Vec<u64>>| turns.iter().map(|turn| turn[1]).max().unwrap_or(0);
    let all_there = printed.iter().map(first).max().unwrap_or(0);
    let first_done = printed.iter().map(last).min().unwrap_or(0);
    let meanwhile = |turns: &Vec<Vec<u64>>| {
        let is_then = |turn: &&Vec<u64>| (all_there..=first_done).contains(&turn[1]);
        turns.iter().filter(is_then).count()
    };
    let counts: Vec<usize> = printed.iter().map(meanwhile).collect();
    let least = counts.iter().min().copied().unwrap_or(0) as f64;
    let most = counts.iter().max().copied().unwrap_or(0) as f64;
    let row = |quantity: &str, ours, yardstick: &str, theirs, wanted| Figure {
        quantity: quantity.to_owned(),
        unit: "turns",
        ours,
        yardstick: yardstick.to_owned(),
        theirs,
        wanted,
        samples: taken,
    };
    let all_of_them = format!("64 × {each}");
    vec![
        row(
            "turns had",
            taken as f64,
            &all_of_them,
            all as f64,
            Wanted::AtLeast(1.0),
        ),
        row(
            "fewest turns while all 64 were there",
            least,
            "most turns",
            most,
            Wanted::AtLeast(0.85),
        ),
        row(
            "turns out of order, 64 × 100",
            inversions(place),
            "all turns",
            taken as f64,
            Wanted::AtMost(0.0),
        ),
    ]
}

/// Grants that came after a younger ticket's, by the audit.
fn inversions(place: &Place) -> f64 {
    let project = place.project();
    let mut entries = project
        .store
        .read(|tx| audit::history(tx, &place.plan_id, i64::MAX))
        .unwrap();
    entries.retain(|entry| entry.granted_at.is_some());
    entries.sort_by_key(|entry| entry.id);
    let inverted = entries
        .windows(2)
        .filter(|pair| pair[0].ticket > pair[1].ticket);
    inverted.count() as f64
}
