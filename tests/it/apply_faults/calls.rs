//! `apply` of 1, 10 and 100 files, killed before each system call that changes something, and with
//! each of them failing; and its recovery likewise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use plandex::store::Integrity;

use super::acts::{Act, Fault, Traced};
use super::tracer::trace;
use super::{APPLY, Ends, Left, REPAIR};
use crate::crash_points::{Template, check_goes_on, check_sound, sweep};
use crate::support::{Sandbox, skip};

/// Set to anything for every call of every apply; otherwise the larger ones are sampled.
const FULL: &str = "PLANDEX_TEST_EVERY_CALL";

/// Why a test was left out.
const UNTRACED: &str = if cfg!(target_arch = "x86_64") {
    "nothing may be traced here"
} else {
    "system calls are traced on x86_64 only"
};

/// One in so many is looked at by git, and lived with further.
const SAMPLED: usize = 12;

/// A project with a plan that changes `count` files: of three, two are changed and one is new, in a
/// directory of its own.
fn project(count: usize) -> Sandbox {
    let sandbox = Sandbox::in_memory(Duration::from_secs(900));
    let mut prompt = String::new();
    for number in 0..count {
        let (path, old, new) = if number % 3 == 2 {
            let path = format!("made/{number}/file.txt");
            (path, String::new(), format!("made {number}\n"))
        } else {
            let (path, old) = (format!("dir/{number}.txt"), format!("one {number}\n"));
            sandbox.write(&path, format!("{old}two\n"));
            (path, old, format!("ONE {number}\n"))
        };
        write!(
            prompt,
            "{path}\n```\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```\n\n"
        )
        .unwrap();
    }
    sandbox.ok(&["new"]);
    let prompt = sandbox.write_beside("prompt", &prompt);
    sandbox.ok(&["tell", "--file", prompt.to_str().unwrap()]);
    sandbox
}

struct Sweep {
    template: Template,
    ends: Ends,
    calls: Vec<String>,
}

impl Sweep {
    /// `None` where nothing can be traced.
    fn new(count: usize) -> Option<Self> {
        let template = Template::new(project(count));
        let untouched = template.copy();
        untouched.ok(REPAIR);
        let after = template.copy();
        let traced = trace(&after, APPLY, Act::Watch)?;
        assert!(traced.status.success(), "{}", traced.output);
        after.ok(REPAIR);
        Some(Self {
            ends: Ends::of(&untouched, &after),
            template,
            calls: traced.calls,
        })
    }

    /// Of all calls `wanted`, evenly; every one where that was asked for.
    fn chosen(&self, wanted: usize) -> Vec<usize> {
        let all = self.calls.len();
        if std::env::var_os(FULL).is_some() || wanted >= all {
            return (1..=all).collect();
        }
        (0..wanted).map(|index| 1 + index * all / wanted).collect()
    }

    fn name(&self, act: Act) -> String {
        let (Act::KillBefore(at) | Act::KillAfter(at) | Act::Fail(at, _) | Act::FailFrom(at, _)) =
            act
        else {
            return "undisturbed".to_owned();
        };
        let call = self.calls.get(at - 1).map_or("?", String::as_str);
        format!("{act:?} ({call})")
    }

    /// What one disturbed apply leaves.
    fn disturb(&self, act: Act, number: usize) -> Left {
        let (sandbox, what) = (self.template.copy(), self.name(act));
        let outside = canaries(&sandbox);
        let traced = trace(&sandbox, APPLY, act).expect("it could be traced before");
        let left = self.recovered(&sandbox, &traced, &what);
        if traced.status.success() {
            assert_eq!(left, Left::New, "{what}: it says that it is done");
        }
        assert_eq!(outside, canaries(&sandbox), "{what}: outside");
        if number.is_multiple_of(SAMPLED) {
            check_sound(&sandbox, &what);
            check_goes_on(&sandbox, &what);
        }
        left
    }

    /// The next command repairs; what is left then.
    #[track_caller]
    fn recovered(&self, sandbox: &Sandbox, traced: &Traced, what: &str) -> Left {
        assert!(
            !traced.output.contains("panicked"),
            "{what}\n{}",
            traced.output
        );
        sandbox.ok(REPAIR);
        let left = self.ends.left(sandbox, what);
        let store = sandbox.store();
        let found = store.integrity(Integrity::Full).unwrap();
        assert!(found.is_empty(), "{what}: {found:?}");
        assert!(sandbox.tickets().is_empty(), "{what}: tickets are left");
        left
    }

    /// Disturbs the recovery of an apply that was killed before the call `at`, at each of its own
    /// calls in turn; how many those are.
    fn disturb_recovery(&self, at: usize) -> usize {
        let sandbox = self.template.copy();
        trace(&sandbox, APPLY, Act::KillBefore(at)).expect("it could be traced before");
        let dead = Template::new(sandbox);
        let undisturbed = dead.copy();
        let watched = trace(&undisturbed, REPAIR, Act::Watch).unwrap();
        let expected = self.recovered(&undisturbed, &watched, &self.name(Act::KillBefore(at)));
        for of_recovery in 1..=watched.calls.len() {
            let fault = if of_recovery % 2 == 0 {
                Act::Fail(of_recovery, Fault::Broken)
            } else {
                Act::FailFrom(of_recovery, Fault::Full)
            };
            for act in [Act::KillBefore(of_recovery), fault] {
                let call = &watched.calls[of_recovery - 1];
                let what = format!(
                    "{}, its recovery {act:?} ({call})",
                    self.name(Act::KillBefore(at))
                );
                let sandbox = dead.copy();
                let traced = trace(&sandbox, REPAIR, act).unwrap();
                let left = self.recovered(&sandbox, &traced, &what);
                // One that failed may have turned back.
                if traced.was_killed() {
                    assert_eq!(left, expected, "{what}");
                }
            }
        }
        watched.calls.len()
    }
}

/// Files outside of the project, by the names of some inside.
fn canaries(sandbox: &Sandbox) -> BTreeMap<PathBuf, String> {
    let outside = sandbox.place().join("outside");
    let names = ["0.txt", "file.txt", "dir"];
    if !outside.exists() {
        std::fs::create_dir(&outside).unwrap();
        for name in names {
            std::fs::write(outside.join(name), "canary").unwrap();
        }
    }
    let found: BTreeMap<_, _> = std::fs::read_dir(&outside)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    assert_eq!(found.len(), names.len());
    found
}

/// Disturbs an apply of `count` files at `wanted` of its calls: killed, with one that fails, and
/// with all that fail from there on.
fn disturb(count: usize, wanted: usize) {
    let Some(sweep_of) = Sweep::new(count) else {
        skip!(UNTRACED);
    };
    let all = sweep_of.calls.len();
    // No fewer than staging, syncing and moving each file, and a journal.
    assert!(all > 3 * count + 20, "{:?}", sweep_of.calls);
    let mut acts: Vec<Act> = sweep_of
        .chosen(wanted)
        .into_iter()
        .flat_map(|at| {
            [
                Act::KillBefore(at),
                Act::Fail(at, Fault::Broken),
                Act::FailFrom(at, Fault::Full),
            ]
        })
        .collect();
    acts.push(Act::KillAfter(all));
    let left = sweep(acts.len(), |number| {
        sweep_of.disturb(acts[number - 1], number)
    });
    let new = left.iter().filter(|left| **left == Left::New).count();
    println!(
        "{count} files: {all} calls, {} disturbed, {new} of them new in the end",
        acts.len()
    );
    assert!(new > 0 && new < acts.len());
}

#[test]
fn an_apply_of_one_file_disturbed_at_every_call_is_all_or_nothing() {
    disturb(1, usize::MAX);
}

#[test]
fn an_apply_of_ten_files_disturbed_at_every_call_is_all_or_nothing() {
    disturb(10, usize::MAX);
}

#[test]
fn an_apply_of_a_hundred_files_disturbed_at_some_calls_is_all_or_nothing() {
    disturb(100, 24);
}

#[test]
fn a_recovery_disturbed_at_every_call_can_be_run_again() {
    for (count, wanted) in [(1, 6), (10, 2)] {
        let Some(sweep_of) = Sweep::new(count) else {
            skip!(UNTRACED);
        };
        // Kills that leave something to recover: from the journal's first row on.
        let staged = sweep_of
            .calls
            .iter()
            .position(|call| call.starts_with("mkdirat "))
            .unwrap();
        let kills: Vec<usize> = sweep_of.chosen(wanted + wanted / 2);
        let kills: Vec<usize> = kills.into_iter().filter(|at| *at > staged).collect();
        let passed = sweep(kills.len(), |index| {
            sweep_of.disturb_recovery(kills[index - 1])
        });
        println!("{count} files: recoveries of {passed:?} calls disturbed at each");
        assert!(passed.iter().any(|count| *count >= 20), "{passed:?}");
    }
}
