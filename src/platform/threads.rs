//! What each thread of this process waits for: what SIGUSR1 prints (SEED.md 6.3.3).
//!
//! The few places that can wait for long set a slot by a guard before they do. A place that is
//! usually free (the write gate) sets it only once it has to wait, so the common way costs nothing.
//! The slots are the second piece of global state beside the log: a signal asks the process.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// One thread's slot.
#[derive(Debug)]
struct Slot {
    tid: u32,
    name: String,
    /// What it waits for, the innermost last.
    waits: Mutex<Vec<(Cow<'static, str>, Instant)>>,
}

static SLOTS: Mutex<Vec<Weak<Slot>>> = Mutex::new(Vec::new());

thread_local! {
    static MINE: Arc<Slot> = register();
}

fn register() -> Arc<Slot> {
    let thread = std::thread::current();
    let slot = Arc::new(Slot {
        tid: id(),
        name: thread.name().unwrap_or("unnamed").to_owned(),
        waits: Mutex::default(),
    });
    let mut slots = SLOTS.lock();
    slots.retain(|weak| weak.strong_count() > 0);
    slots.push(Arc::downgrade(&slot));
    slot
}

/// The number of this thread, unique on the machine while it runs.
pub fn id() -> u32 {
    rustix::thread::gettid().as_raw_pid().cast_unsigned()
}

/// Says that this thread waits for `what` until the guard is dropped.
pub fn waits(what: impl Into<Cow<'static, str>>) -> Waits {
    MINE.with(|slot| slot.waits.lock().push((what.into(), Instant::now())));
    Waits(PhantomData)
}

/// A thread waits for something while this lives; it stays on its thread.
#[derive(Debug)]
#[must_use]
pub struct Waits(PhantomData<*const ()>);

impl Drop for Waits {
    fn drop(&mut self) {
        // Gone already when a thread ends in the middle of a wait.
        MINE.try_with(|slot| slot.waits.lock().pop()).ok();
    }
}

/// All threads of this process and what each waits for, a line each; for a person.
pub fn report() -> String {
    let slots: Vec<Arc<Slot>> = SLOTS.lock().iter().filter_map(Weak::upgrade).collect();
    let threads = running(&slots);
    let mut text = format!(
        "plandex pid {}: {} threads\n",
        std::process::id(),
        threads.len()
    );
    for (tid, name) in threads {
        let slot = slots.iter().find(|slot| slot.tid == tid);
        let waits = slot
            .map(|slot| slot.waits.lock().clone())
            .unwrap_or_default();
        let name = slot.map_or(name.as_str(), |slot| slot.name.as_str());
        let doing = match waits.as_slice() {
            [] if tid == id() => "prints this".to_owned(),
            [] => state(tid).to_owned(),
            waits => described(waits),
        };
        writeln!(text, "  {tid} {name}: {doing}").ok();
    }
    text
}

/// "waits for the reply of its operation, 12.3 s (in: line 7)".
fn described(waits: &[(Cow<'static, str>, Instant)]) -> String {
    let mut waits = waits.iter().rev();
    let mut text = String::new();
    if let Some((what, since)) = waits.next() {
        write!(text, "waits for {what}, {}", seconds(since.elapsed())).ok();
    }
    for (what, since) in waits {
        write!(text, "; in a wait for {what}, {}", seconds(since.elapsed())).ok();
    }
    text
}

fn seconds(age: Duration) -> String {
    format!("{:.1} s", age.as_secs_f64())
}

/// The threads by number and name: all that the kernel knows of, else those with a slot.
fn running(slots: &[Arc<Slot>]) -> Vec<(u32, String)> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let mut threads: Vec<(u32, String)> = tasks
        .flatten()
        .filter_map(|task| {
            let tid = task.file_name().to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
            Some((tid, name.trim_end().to_owned()))
        })
        .collect();
    if threads.is_empty() {
        threads.extend(slots.iter().map(|slot| (slot.tid, slot.name.clone())));
    }
    threads.sort_unstable();
    threads
}

/// What the kernel says of a thread that says nothing itself.
fn state(tid: u32) -> &'static str {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
    // The name stands in parentheses and may hold any character; the state follows the last one.
    let letter = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    match letter {
        Some('R') => "works",
        Some('D') => "waits for the disk",
        Some('S') => "sleeps",
        Some('T' | 't') => "is stopped",
        _ => "is there",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::platform::stopping::Stopping;

    #[test]
    fn a_report_names_every_thread_and_the_innermost_wait_first() {
        let (go, gone) = crossbeam_channel::bounded::<()>(0);
        let (ready, is_ready) = crossbeam_channel::bounded(1);
        let thread = std::thread::Builder::new().name("patient".to_owned());
        let thread = thread
            .spawn(move || {
                let _outer = waits("line 7");
                let inner = waits(format!("ticket {}", 12));
                ready.send(id()).unwrap();
                gone.recv().ok();
                drop(inner);
                ready.send(0).unwrap();
                gone.recv().ok();
            })
            .unwrap();
        let tid = is_ready.recv().unwrap();
        let line = |report: &str| {
            let found = report
                .lines()
                .find(|line| line.contains(&format!("{tid} patient:")));
            found.unwrap_or_else(|| panic!("{report}")).to_owned()
        };
        let seen = report();
        assert!(line(&seen).contains("waits for ticket 12, 0."), "{seen}");
        assert!(line(&seen).contains("; in a wait for line 7, 0."), "{seen}");
        assert!(seen.contains("prints this"), "{seen}");
        go.send(()).unwrap();
        is_ready.recv().unwrap();
        let seen = report();
        assert!(line(&seen).contains("waits for line 7, 0."), "{seen}");
        go.send(()).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn reports_may_be_made_while_threads_come_and_go() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stopping = Stopping(&stop);
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        std::thread::scope(|inner| {
                            let waiter = inner.spawn(|| drop(waits("a moment")));
                            waiter.join().unwrap();
                        });
                    }
                })
            });
            for _ in 0..50 {
                assert!(report().contains("threads\n"));
            }
            drop(stopping);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
}
