//! `apply`, killed at each place where it makes something durable, and its recovery likewise.

use super::{APPLY, Ends, Left, REPAIR};
use crate::crash_points::{
    TWO_FILES, Template, check_goes_on, check_sound, killed_at, project, sweep,
};

struct Sweep {
    template: Template,
    points: Vec<String>,
    ends: Ends,
}

impl Sweep {
    fn new() -> Self {
        let sandbox = project();
        sandbox.ok(&["tell", TWO_FILES]);
        let template = Template::new(sandbox);
        let untouched = template.copy();
        untouched.ok(REPAIR);
        let (points, after) = template.points(APPLY);
        after.ok(REPAIR);
        let ends = Ends::of(&untouched, &after);
        assert_eq!(after.read("a.txt"), "ONE\ntwo\n");
        assert_eq!(after.read("new/dir/b.txt"), "made\n");
        Self {
            template,
            points,
            ends,
        }
    }

    fn name(&self, at: usize) -> String {
        let point = self.points.get(at - 1).map_or("?", String::as_str);
        format!("apply killed at {at} ({point})")
    }

    fn kill(&self, at: usize) -> Left {
        let (sandbox, what) = (self.template.copy(), self.name(at));
        assert!(killed_at(&sandbox, APPLY, at).is_some(), "{what}: it ended");
        check_sound(&sandbox, &what);
        sandbox.ok(REPAIR);
        let left = self.ends.left(&sandbox, &what);
        check_goes_on(&sandbox, &what);
        // The further apply wrote all that was pending: of the first one, too.
        let a = sandbox.read("a.txt");
        assert_eq!(a, "ONE\ntwo\n", "{what}");
        assert_eq!(sandbox.read("new/dir/b.txt"), "made\n", "{what}");
        left
    }

    fn kill_recovery(&self, at: usize, left: Left) -> usize {
        let sandbox = self.template.copy();
        killed_at(&sandbox, APPLY, at).expect("it died there before");
        let dead = Template::new(sandbox);
        let mut of_recovery = 1;
        loop {
            let sandbox = dead.copy();
            let what = format!("{}, its recovery at {of_recovery}", self.name(at));
            if killed_at(&sandbox, REPAIR, of_recovery).is_none() {
                return of_recovery - 1;
            }
            check_sound(&sandbox, &what);
            sandbox.ok(REPAIR);
            assert_eq!(self.ends.left(&sandbox, &what), left, "{what}");
            of_recovery += 1;
        }
    }
}

#[test]
fn an_apply_killed_anywhere_is_all_or_nothing_and_so_is_its_recovery() {
    let sweep_of = Sweep::new();
    let left = sweep(sweep_of.points.len(), |at| sweep_of.kill(at));
    let turned = left.iter().position(|end| *end == Left::New).unwrap();
    assert!(turned > 0, "{left:?}");
    assert!(
        left[turned..].iter().all(|end| *end == Left::New),
        "{left:?}"
    );
    // The recovery is killed too: after the last kill that comes to nothing, the first that is
    // finished, and at each swap in between and its end.
    let is_swap = |at: &usize| sweep_of.points[*at - 1].starts_with("file.exchange");
    let last_commit = sweep_of
        .points
        .iter()
        .rposition(|point| point == "file.rename.before")
        .unwrap();
    let mut kills = vec![turned, turned + 1, last_commit];
    kills.extend((1..=left.len()).filter(is_swap));
    let passed = sweep(kills.len(), |index| {
        let at = kills[index - 1];
        sweep_of.kill_recovery(at, left[at - 1])
    });
    assert!(passed.iter().all(|count| *count >= 4), "{passed:?}");
}
