//! The words, without processes: what each picture comes to.

use super::*;
use crate::lock::Ahead;
use crate::store::tickets::Scope;
use crate::ui::{ASCII, UNICODE};

fn holder() -> Holder {
    Holder {
        ticket: 7,
        fence: 5,
        reason: "build changes".to_owned(),
        title: "Building changes".to_owned(),
        scope: Scope::Write,
        branch: Some("main".to_owned()),
        whose: None,
        pid: 4711,
        command: "plandex build".to_owned(),
        actor: String::new(),
        condition: Condition::Running,
        held: Duration::from_secs(15),
        beat: Duration::from_secs(1),
        granted_at: 0,
        beat_at: 0,
    }
}

fn picture() -> Picture {
    Picture {
        holder: Some(holder()),
        beside: 0,
        position: 2,
        total: 3,
        ahead: Ahead::default(),
        before: Vec::new(),
        estimate: Some(Duration::from_secs(30)),
    }
}

const CLOCK: Clock = Clock {
    waited: Duration::from_secs(12),
    left: Some(Duration::from_millis(17_001)),
};

const PAGE: Page<'static> = Page {
    width: None,
    signs: &UNICODE,
};

/// SEED.md 8.1.1, word for word, with what DESIGN.md 11 adds.
#[test]
fn the_block_has_the_seeds_words() {
    assert_eq!(
        block(&picture(), "work", CLOCK, PAGE).join("\n"),
        "Waiting for another operation to complete...\n\n\
         Current operation: Building changes on branch 'main'\n  \
         plandex build (pid 4711), started 15s ago, heartbeat 1s ago\n\
         Position in queue: 2 of 3\nEstimated wait: ~30 seconds\nGives up: in 18s\n\n\
         Press Ctrl+C to cancel and try later."
    );
}

#[test]
fn each_condition_has_its_words() {
    for (condition, words) in [
        (Condition::Starting, "heartbeat 1s ago"),
        (Condition::Running, "heartbeat 1s ago"),
        (Condition::Stopping, ", asked to stop"),
        (Condition::Suspended, ", suspended"),
        (Condition::Orphaned, ", ended, but what it started goes on"),
        (
            Condition::Condemned,
            ", hangs: its lock is being taken from it",
        ),
    ] {
        let mut picture = picture();
        picture.holder = Some(Holder {
            condition,
            ..holder()
        });
        let [_, details] = &current(&picture, "work", PAGE)[..] else {
            panic!("two lines");
        };
        assert!(details.ends_with(words), "{details}");
        assert!(line(&picture, "work", CLOCK, PAGE).contains(words));
    }
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    let mut picture = picture();
    picture.estimate = None;
    assert_eq!(position(&picture)[1], "Estimated wait: unknown");
    picture.estimate = Some(Duration::from_millis(999));
    assert_eq!(position(&picture)[1], "Estimated wait: any moment now");
    picture.estimate = Some(Duration::from_secs(125));
    assert_eq!(
        position(&picture)[1],
        "Estimated wait: ~2 minutes 5 seconds"
    );
    picture.holder = None;
    let said = current(&picture, "work", PAGE).join("\n");
    assert!(said.contains("the turn is being passed on"), "{said}");
    let forever = Clock {
        left: None,
        ..CLOCK
    };
    assert_eq!(forever.pieces(), ["Waited 12s", "gives up never"]);
}

#[test]
fn readers_beside_and_waiters_before_are_counted() {
    let mut picture = picture();
    picture.beside = 2;
    picture.before = ["One", "Two", "One", "Three", "Four", "Five", "Six", "Six"]
        .map(str::to_owned)
        .to_vec();
    let block = block(&picture, "work", CLOCK, PAGE);
    assert_eq!(
        block[2],
        "Current operation: Building changes on branch 'main' and 2 other readers"
    );
    assert_eq!(
        block[4],
        "Waiting before this: One (2), Two, Three, Four and 3 more"
    );
}

#[test]
fn a_long_command_is_cut_and_the_one_to_retry_is_not() {
    let long = format!("plandex tell '{}'", "word ".repeat(40));
    let mut picture = picture();
    picture.holder = Some(Holder {
        command: long.clone(),
        whose: Some("ci-7".to_owned()),
        ..holder()
    });
    let page = Page {
        width: Some(39),
        signs: &ASCII,
    };
    let said = page.prose(&block(&picture, "work", CLOCK, page));
    assert!(said.contains("...") && said.is_ascii(), "{said}");
    for line in said.lines() {
        assert!(render::columns(line) <= 39, "{line}");
    }
    let over = GivenUp {
        waited: Duration::from_secs(30),
        picture: Some(&picture),
        plan: "work",
        is_context_under_tell: false,
        kept: None,
        command: &long,
    };
    let said = given_up(&over, page);
    assert!(
        said.contains(&format!("  1. Wait and retry:\n     {long}\n")),
        "{said}"
    );
}

/// SEED.md 8.1.3, word for word, but for DESIGN.md 11's changes.
#[test]
fn giving_up_has_the_seeds_words() {
    let over = GivenUp {
        waited: Duration::from_secs(30),
        picture: None,
        plan: "work",
        is_context_under_tell: false,
        kept: None,
        command: "plandex tell \"your message\"",
    };
    assert_eq!(
        given_up(&over, PAGE),
        "Could not start operation after 30 seconds.\n\n\
         Reason: Another operation is still in progress on this plan.\n\n\
         Nothing was changed.\n\n\
         Options:\n  \
         1. Wait and retry: plandex tell \"your message\"\n  \
         2. Check status:   plandex status\n  \
         3. Force stop:     plandex stop (keeps the partial reply)\n\n\
         If this persists, the previous operation may have crashed.\n\
         Run 'plandex doctor' to check for stale locks."
    );
    let context = GivenUp {
        is_context_under_tell: true,
        ..over
    };
    assert!(given_up(&context, PAGE).starts_with(
        "Cannot update context while plan is executing.\n\
             Wait for the current operation to complete, then try again.\n\n\
             Nothing was changed.\n"
    ));
}

#[test]
fn the_end_of_a_wait_is_counted_in_whole_seconds() {
    for (ms, words) in [
        (401, "1 second"),
        (1_499, "1 second"),
        (1_500, "2 seconds"),
        (12_000, "12 seconds"),
        (90_000, "90 seconds"),
    ] {
        let waited = Duration::from_millis(ms);
        assert_eq!(
            started(waited),
            format!("Operation started after waiting {words}.")
        );
    }
    assert_eq!(
        retry(1, 6, Duration::from_millis(450)),
        "Retry 1/6: Will retry in 450ms"
    );
}

#[test]
fn an_ordinary_end_of_the_holder_is_not_worth_a_word() {
    assert_eq!(ended(&holder(), Outcome::Released.words(), None), None);
    assert_eq!(ended(&holder(), Outcome::TimedOut.words(), None), None);
    assert_eq!(
        ended(&holder(), Outcome::OwnerDied.words(), None).as_deref(),
        Some("Building changes (pid 4711) died; its lock was taken back.")
    );
    assert_eq!(
        ended(&holder(), Outcome::Forced.words(), Some("ann")).as_deref(),
        Some("Building changes (pid 4711) lost its lock: it was released by force by ann.")
    );
}
