//! How fast it is, as ratios: every figure beside a yardstick that was measured in the same run,
//! its samples taken in turn with it. Absolute times are this machine's; the ratios carry over.
//!
//! `scripts/bench [--quick] [NAME…]` runs it. It prints one table, then one JSON document with the
//! machine, and fails nothing by itself. Where other processes are needed it starts itself again
//! in a role (`roles`); commands are the release binary.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that cannot be taken ends in a panic; the others are printed"
)]

mod applying;
mod commands;
mod figure;
mod follow;
mod growth;
mod machine;
mod models;
mod place;
mod roles;
mod sessions;
mod turns;
mod waiting;

use figure::Figure;
use place::Place;

/// A measurement: its name on the command line, and what takes it.
type Measurement = (&'static str, fn(&Place) -> Vec<Figure>);

const MEASUREMENTS: [Measurement; 23] = [
    ("pair", turns::pair),
    ("hand-off", turns::hand_off),
    ("throughput", turns::throughput),
    ("fairness", turns::fairness),
    ("hundred", turns::hundred),
    ("sleeper", waiting::sleeper),
    ("takeover", waiting::takeover),
    ("stop", waiting::stop),
    ("follower", follow::follower),
    ("memory", waiting::memory),
    ("looking", commands::looking),
    ("exec", commands::exec),
    ("capture", sessions::capture),
    ("version", commands::version),
    ("parser", models::parser),
    ("reply", models::reply),
    ("streaming", models::streaming),
    ("pending", models::pending),
    ("long-reply", applying::long_reply),
    ("many-edits", applying::many_edits),
    ("large-apply", applying::large_apply),
    ("growth", growth::growth),
    ("large-load", growth::large_load),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, rest @ ..] = arguments.as_slice()
        && word == roles::WORD
    {
        return roles::play(rest);
    }
    // `cargo bench` adds --bench.
    let quick = arguments.iter().any(|word| word == "--quick");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with("--"))
        .collect();
    let unknown = names
        .iter()
        .find(|name| !MEASUREMENTS.iter().any(|(known, _)| known == *name));
    if let Some(name) = unknown {
        let known: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        panic!(
            "there is no measurement {name}; there are {}",
            known.join(", ")
        );
    }
    if cfg!(debug_assertions) {
        eprintln!("not a release build: these figures mean nothing");
    }
    let before = machine::look();
    let mut figures = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if names.is_empty() || names.iter().any(|wanted| *wanted == name) {
            eprintln!("measuring {name}...");
            figures.extend(measure(&Place::new(quick)));
        }
    }
    figure::print(&before, &figures);
}
