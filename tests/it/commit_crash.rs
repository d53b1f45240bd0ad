//! `tell` and `load`, killed at each place where they make something durable.

use crate::crash_points::{
    TWO_FILES, Template, check_goes_on, check_sound, files, killed_at, project, rows, sweep,
};
use crate::support::Sandbox;

/// A looking command that mends first what it meets.
const REPAIR: &[&str] = &["diff", "--json"];

/// What a kill left, once repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// As if the command had never been run.
    Old,
    /// The prompt is recorded, and what came of its reply: nothing pending.
    Interrupted,
    /// As if nobody had killed it.
    New,
}

/// The rows that each end of a command leaves; those of an interrupted one are known from the
/// first of it.
struct Ends {
    old: String,
    new: String,
    interrupted: parking_lot::Mutex<Option<String>>,
}

impl Ends {
    #[track_caller]
    fn of(&self, sandbox: &Sandbox, what: &str) -> Left {
        let rows = rows(sandbox);
        if rows == self.old {
            return Left::Old;
        }
        if rows == self.new {
            return Left::New;
        }
        let has = |start: &str, words: &str| {
            rows.lines()
                .any(|line| line.starts_with(start) && line.contains(words))
        };
        assert!(!rows.contains("pending_changes:"), "{what}: half\n{rows}");
        assert!(!rows.contains("plan_builds:"), "{what}: half\n{rows}");
        assert!(
            has("convo_messages:", "role=\"user\""),
            "{what}: no prompt\n{rows}"
        );
        assert!(
            has("convo_messages:", "state=\"interrupted\""),
            "{what}: its reply is not marked\n{rows}"
        );
        assert!(
            has("branches:", "status=\"interrupted\""),
            "{what}: the branch does not say so\n{rows}"
        );
        assert!(
            has("streams:", "ended=\"interrupted\""),
            "{what}: the run has no end\n{rows}"
        );
        let mut known = self.interrupted.lock();
        let first = known.get_or_insert_with(|| rows.clone());
        assert_eq!(*first, rows, "{what}: neither end, nor the middle");
        Left::Interrupted
    }
}

struct Sweep {
    template: Template,
    args: &'static [&'static str],
    points: Vec<String>,
    ends: Ends,
}

impl Sweep {
    fn new(sandbox: Sandbox, args: &'static [&'static str]) -> Self {
        let template = Template::new(sandbox);
        let untouched = template.copy();
        untouched.ok(REPAIR);
        let (points, after) = template.points(args);
        after.ok(REPAIR);
        let ends = Ends {
            old: rows(&untouched),
            new: rows(&after),
            interrupted: parking_lot::Mutex::default(),
        };
        assert_ne!(ends.old, ends.new);
        Self {
            template,
            args,
            points,
            ends,
        }
    }

    fn name(&self, at: usize) -> String {
        let point = self.points.get(at - 1).map_or("?", String::as_str);
        format!("{} killed at {at} ({point})", self.args[0])
    }

    /// One kill: the next command repairs, and everything goes on.
    fn kill(&self, at: usize) -> Left {
        let (sandbox, what) = (self.template.copy(), self.name(at));
        let before = files(&sandbox);
        assert!(
            killed_at(&sandbox, self.args, at).is_some(),
            "{what}: it ended"
        );
        check_sound(&sandbox, &what);
        sandbox.ok(REPAIR);
        let left = self.ends.of(&sandbox, &what);
        check_sound(&sandbox, &what);
        assert_eq!(files(&sandbox), before, "{what}: the project was touched");
        check_goes_on(&sandbox, &what);
        left
    }

    /// Kills the repair of a kill at each of its own points: it comes to the same end.
    fn kill_repair(&self, at: usize, left: Left) -> usize {
        let sandbox = self.template.copy();
        killed_at(&sandbox, self.args, at).expect("it died there before");
        let dead = Template::new(sandbox);
        let mut of_repair = 1;
        loop {
            let sandbox = dead.copy();
            let what = format!("{}, its repair at {of_repair}", self.name(at));
            if killed_at(&sandbox, REPAIR, of_repair).is_none() {
                return of_repair - 1;
            }
            check_sound(&sandbox, &what);
            sandbox.ok(REPAIR);
            assert_eq!(self.ends.of(&sandbox, &what), left, "{what}");
            check_sound(&sandbox, &what);
            of_repair += 1;
        }
    }

    fn kill_everywhere(&self) -> Vec<Left> {
        let left = sweep(self.points.len(), |at| self.kill(at));
        assert!(
            left.is_sorted(),
            "a later kill never leaves less: {left:?}\n{:?}",
            self.points
        );
        left
    }
}

#[test]
fn a_tell_killed_anywhere_is_whole_or_not_there_or_marked() {
    let sweep_of = Sweep::new(project(), &["tell", TWO_FILES]);
    let left = sweep_of.kill_everywhere();
    for end in [Left::Old, Left::Interrupted, Left::New] {
        assert!(left.contains(&end), "never {end:?}: {left:?}");
    }
    // The repair is killed too, after a kill at the beginning, at the end and in the middle of
    // what leaves something to repair.
    let first = left.iter().position(|end| *end == Left::Interrupted);
    let last = left.iter().rposition(|end| *end == Left::Interrupted);
    let (first, last) = (first.unwrap() + 1, last.unwrap() + 1);
    let kills = [first, usize::midpoint(first, last), last];
    let passed = sweep(kills.len(), |index| {
        sweep_of.kill_repair(kills[index - 1], Left::Interrupted)
    });
    // A repair takes a ticket, makes a version and moves the head: no fewer than these.
    assert!(passed.iter().all(|count| *count >= 10), "{passed:?}");
}

#[test]
fn a_load_killed_anywhere_is_whole_or_not_there() {
    let sandbox = project();
    sandbox.write("b.txt", "more\n");
    sandbox.write("c.txt", "and more\n");
    let sweep_of = Sweep::new(sandbox, &["load", "b.txt", "c.txt"]);
    let left = sweep_of.kill_everywhere();
    assert!(left.contains(&Left::Old) && left.contains(&Left::New));
    assert!(!left.contains(&Left::Interrupted), "{left:?}");
}
