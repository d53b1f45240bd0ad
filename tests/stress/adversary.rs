//! The adversary: kills, stops for a while, interrupts, at random.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::{Pid, Signal};

use crate::lane::Lane;

/// How often each blow fell.
pub(crate) type Blows = BTreeMap<&'static str, usize>;

/// Strikes until it is over; nobody stays stopped.
pub(crate) fn run(lanes: &[Lane], seed: u64, over: &AtomicBool) -> Blows {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut blows = Blows::new();
    let mut stopped: Vec<(Instant, usize, Pid)> = Vec::new();
    while !over.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(rng.random_range(5..120)));
        stopped.retain(|(due, lane, pid)| {
            let is_due = Instant::now() >= *due;
            if is_due {
                lanes[*lane].wake(*pid);
            }
            !is_due
        });
        let lane = rng.random_range(0..lanes.len());
        let (name, signal) = match rng.random_range(0..100) {
            0..40 => ("SIGKILL", Signal::KILL),
            40..70 => ("SIGSTOP", Signal::STOP),
            70..85 => ("SIGINT", Signal::INT),
            85..97 => ("SIGTERM", Signal::TERM),
            _ => ("SIGHUP", Signal::HUP),
        };
        // Some beyond the lease of 600 ms, most within it.
        let pause = Duration::from_millis(match rng.random_range(0..3) {
            0 => rng.random_range(600..1800),
            _ => rng.random_range(1..400),
        });
        let Some(pid) = lanes[lane].hit(signal) else {
            continue;
        };
        *blows.entry(name).or_default() += 1;
        if signal == Signal::STOP {
            stopped.push((Instant::now() + pause, lane, pid));
        }
    }
    for (_, lane, pid) in stopped {
        lanes[lane].wake(pid);
    }
    blows
}
