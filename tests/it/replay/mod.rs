//! This repository's history as ground truth: what each commit did to each text file, written as a
//! model would in each format, read, and built on the file before. The file after is the only right
//! answer; a refusal costs a question; anything else is a wrong file, and there may be none.

use std::collections::BTreeMap;
use std::sync::Mutex;

use plandex::plan::edits::{self, Edit, Reason, build_file};

use history::Change;
use layout::Lines;
use perturb::Dice;

mod cases;
mod history;
mod hunks;
mod layout;
mod perturb;
mod render;

/// Set to replay every change there is, in every way.
const ALL: &str = "PLANDEX_REPLAY_ALL";

/// How many changes are replayed otherwise.
const SAMPLE: usize = 400;

/// With fewer, in a shallow clone or in none, changes are made up.
const CHANGES_MIN: usize = 200;

/// Of the plain hunks, with three lines of context, at most one in so many is refused.
const PLAIN_REFUSED_MAX_PART: usize = 50;

/// What became of the hunks of one kind.
#[derive(Debug, Default, Clone)]
struct Count {
    right: usize,
    refused: BTreeMap<String, usize>,
    wrong: usize,
    /// Not to be expressed in this format, or perturbed into another change.
    left_out: usize,
}

#[derive(Default)]
struct Tally {
    counts: Mutex<BTreeMap<(&'static str, &'static str), Count>>,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    fn count(&self, kind: (&'static str, &'static str), add: impl FnOnce(&mut Count)) {
        add(self.counts.lock().unwrap().entry(kind).or_default());
    }
}

/// One way to write a change: the reply, what is built on, and what must come of it.
struct Case<'c> {
    kind: (&'static str, &'static str),
    path: &'c str,
    hunks: usize,
    edits: Result<Vec<Edit>, String>,
    base: Option<String>,
    expected: Option<String>,
}

#[test]
fn no_commit_of_this_repository_is_built_wrongly() {
    let is_all = std::env::var_os(ALL).is_some();
    let changes = history::changes().unwrap_or_else(|reason| {
        eprintln!("replay: no history here: {reason}");
        Vec::new()
    });
    // A copy without history still has files to change.
    let changes = match changes.len() < CHANGES_MIN {
        true => changes.into_iter().chain(history::made_up()).collect(),
        false => changes,
    };
    let total = changes.len();
    let every = if is_all {
        1
    } else {
        total.div_ceil(SAMPLE).max(1)
    };
    let sample: Vec<&Change> = changes.iter().step_by(every).collect();
    let tally = Tally::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in sample.chunks(sample.len().div_ceil(threads).max(1)) {
            let tally = &tally;
            scope.spawn(move || part.iter().for_each(|change| replay(change, tally)));
        }
    });
    report(&tally, sample.len(), total);
    let wrong = tally.wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} wrong files, the first:\n{}",
        wrong.len(),
        wrong[0]
    );
    let counts = tally.counts.into_inner().unwrap();
    for (kind, count) in &counts {
        let refused: usize = count.refused.values().sum();
        let all = refused + count.right;
        if kind.1 == "3 lines" {
            assert!(
                refused * PLAIN_REFUSED_MAX_PART <= all,
                "{kind:?}: {refused} of {all} refused"
            );
        }
        assert!(all == 0 || count.right > 0, "{kind:?}: nothing was built");
    }
}

fn report(tally: &Tally, sample: usize, total: usize) {
    eprintln!("replay: {sample} of {total} changes");
    eprintln!(
        "{:<16} {:<16} {:>7} {:>8} {:>6} {:>9}",
        "format", "as", "right", "refused", "WRONG", "left out"
    );
    for ((format, how), count) in tally.counts.lock().unwrap().iter() {
        let refused: usize = count.refused.values().sum();
        let Count {
            right,
            wrong,
            left_out,
            ..
        } = count;
        let why = count
            .refused
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"));
        let why: Vec<String> = why.collect();
        eprintln!(
            "{format:<16} {how:<16} {right:>7} {refused:>8} {wrong:>6} {left_out:>9}  {}",
            why.join(", ")
        );
    }
}

fn replay(change: &Change, tally: &Tally) {
    let path = change.path.as_str();
    let is_odd = |text: &Option<String>| {
        text.as_ref()
            .is_some_and(|text| text.contains('\r') || text.starts_with('\u{feff}'))
    };
    if edits::check_path(path).is_err() || is_odd(&change.before) || is_odd(&change.after) {
        return;
    }
    let before = change.before.as_deref().map(Lines::of);
    let after = change.after.as_deref().map(Lines::of);
    let mut dice = Dice::of(path);
    match (&before, &after) {
        (Some(before), Some(after)) => cases::updates(path, before, after, &mut dice, tally),
        (before, after) => cases::creations(path, before.as_ref(), after.as_ref(), tally),
    }
}

fn judge(tally: &Tally, case: Case<'_>) {
    let base = case.base.as_deref().map(str::as_bytes);
    let edits = match &case.edits {
        Ok(edits) => edits,
        Err(why) => {
            return tally.count(case.kind, |count| {
                *count.refused.entry(why.clone()).or_default() += case.hunks;
            });
        }
    };
    match build_file(case.path, base, edits) {
        Ok(built) if built.content.as_deref() == case.expected.as_deref().map(str::as_bytes) => {
            tally.count(case.kind, |count| count.right += case.hunks);
        }
        Ok(built) => {
            tally.count(case.kind, |count| count.wrong += 1);
            let text = built
                .content
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let (text, expected) = (text.unwrap_or_default(), case.expected.unwrap_or_default());
            let diff = similar::TextDiff::from_lines(&expected, &text);
            let diff = diff
                .unified_diff()
                .context_radius(4)
                .header("right", "built")
                .to_string();
            let words = format!(
                "{:?} {}\n{diff}\n{:?}\n{edits:#?}",
                case.kind, case.path, built.warnings
            );
            tally.wrong.lock().unwrap().push(words);
        }
        Err(failures) => tally.count(case.kind, |count| {
            count.right += case.hunks.saturating_sub(failures.len());
            for failure in failures {
                *count.refused.entry(word(failure.reason)).or_default() += 1;
            }
        }),
    }
}

fn word(reason: Reason) -> String {
    reason.to_string().to_lowercase()
}
