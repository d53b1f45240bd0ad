//! The words of a wait (SEED.md §8.1, DESIGN.md §11). Pure: pictures in, lines out.

use std::time::Duration;

use super::picture::{Condition, Holder, Picture};
use crate::store::audit::Outcome;
use crate::ui::{Signs, render};

/// So many columns of a holder's command are shown where no terminal says how many fit.
const COMMAND_WIDTH: usize = 72;
/// So many titles of what waits before are shown.
const TITLES_MOST: usize = 4;

/// What the texts are fitted to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    /// The columns that a line may take; `None` where there is no terminal.
    pub(super) width: Option<usize>,
    pub(super) signs: &'a Signs,
}

impl Page<'_> {
    /// `lines` as one text, broken at spaces where a terminal is too narrow.
    pub(super) fn prose(&self, lines: &[String]) -> String {
        let text = lines.join("\n");
        match self.width {
            Some(width) => render::wrapped(&text, width),
            None => text,
        }
    }

    fn command(&self, command: &str) -> String {
        let most = self.width.map_or(COMMAND_WIDTH, |width| {
            width.saturating_sub(4).clamp(16, COMMAND_WIDTH)
        });
        render::truncated(command, most, self.signs)
    }
}

/// How long a wait has lasted, and how long it still may (`None`: for as long as it takes).
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) waited: Duration,
    pub(super) left: Option<Duration>,
}

impl Clock {
    /// "Waited 12s" and "gives up in 18s".
    pub(super) fn pieces(self) -> Vec<String> {
        vec![
            format!("Waited {}", render::age(self.waited)),
            format!("gives up {}", self.end()),
        ]
    }

    fn end(self) -> String {
        // Rounded up: "in 0s" would be over.
        self.left.map_or("never".to_owned(), |left| {
            let up = left.as_millis().div_ceil(1_000);
            let up = Duration::from_secs(u64::try_from(up).unwrap_or(u64::MAX));
            format!("in {}", render::age(up))
        })
    }
}

/// What runs, in two lines: the operation, and whose it is and how it stands with it.
pub(super) fn current(picture: &Picture, plan: &str, page: Page<'_>) -> Vec<String> {
    let Some(holder) = &picture.holder else {
        return vec!["Current operation: none, the turn is being passed on".to_owned()];
    };
    let beside = match picture.beside {
        0 => String::new(),
        count => format!(" and {}", render::counted(count as u64, "other reader")),
    };
    vec![
        format!("Current operation: {}{beside}", operation(holder, plan)),
        format!("  {}", details(holder, page)),
    ]
}

/// "Building changes on plan 'work'", "Load context on branch 'main'".
fn operation(holder: &Holder, plan: &str) -> String {
    match &holder.branch {
        Some(branch) => format!("{} on branch '{branch}'", holder.title),
        None => format!("{} on plan '{plan}'", holder.title),
    }
}

/// "ci-7: plandex build (pid 4711), started 15s ago, heartbeat 1s ago, suspended"
fn details(holder: &Holder, page: Page<'_>) -> String {
    let whose = holder
        .whose
        .as_ref()
        .map(|whose| format!("{whose}: "))
        .unwrap_or_default();
    let command = page.command(&holder.command);
    let command = if command.is_empty() {
        "a ticket written by hand".to_owned()
    } else {
        command
    };
    let condition = match holder.condition {
        Condition::Starting | Condition::Running => "",
        Condition::Stopping => ", asked to stop",
        Condition::Suspended => ", suspended",
        Condition::Orphaned => ", ended, but what it started goes on",
        Condition::Unseen => {
            ", hangs, but what it started cannot be seen from here: its lock stays until it ends"
        }
        Condition::Condemned => ", hangs: its lock is being taken from it",
    };
    format!(
        "{whose}{command} (pid {}), started {} ago, heartbeat {} ago{condition}",
        holder.pid,
        render::age(holder.held),
        render::age(holder.beat),
    )
}

/// "Position in queue: 2 of 3" and "Estimated wait: ~30 seconds".
pub(super) fn position(picture: &Picture) -> Vec<String> {
    vec![
        format!(
            "Position in queue: {} of {}",
            picture.position, picture.total
        ),
        format!("Estimated wait: {}", estimate(picture.estimate)),
    ]
}

fn estimate(estimate: Option<Duration>) -> String {
    match estimate {
        None => "unknown".to_owned(),
        Some(left) if left < Duration::from_secs(1) => "any moment now".to_owned(),
        Some(left) => format!("~{}", render::age_words(left)),
    }
}

/// "Waiting before this: Command (66), View diffs and 3 more"; nothing if only what runs is ahead.
fn before(picture: &Picture) -> Option<String> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for title in &picture.before {
        match kinds.iter_mut().find(|(known, _)| known == title) {
            Some((_, count)) => *count += 1,
            None => kinds.push((title, 1)),
        }
    }
    let (shown, rest) = kinds.split_at(kinds.len().min(TITLES_MOST));
    let shown = shown.iter().map(|(title, count)| match count {
        1 => (*title).to_owned(),
        _ => format!("{title} ({})", render::count(*count as u64)),
    });
    let shown: Vec<String> = shown.collect();
    let more = match rest.iter().map(|(_, count)| *count).sum::<usize>() {
        0 => String::new(),
        count => format!(" and {} more", render::count(count as u64)),
    };
    (!shown.is_empty()).then(|| format!("Waiting before this: {}{more}", shown.join(", ")))
}

const HEADING: &str = "Waiting for another operation to complete...";
const LEAVING: &str = "Press Ctrl+C to cancel and try later.";

/// SEED.md §8.1.1 without its last two lines, which a terminal has rewritten in place below it.
pub(super) fn standing_block(picture: &Picture, plan: &str, page: Page<'_>) -> Vec<String> {
    let mut lines = vec![HEADING.to_owned(), String::new()];
    lines.extend(current(picture, plan, page));
    lines.extend(before(picture));
    lines.extend([String::new(), LEAVING.to_owned(), String::new()]);
    lines
}

/// SEED.md §8.1.1 whole, for a log.
pub(super) fn block(picture: &Picture, plan: &str, clock: Clock, page: Page<'_>) -> Vec<String> {
    let mut lines = vec![HEADING.to_owned(), String::new()];
    lines.extend(current(picture, plan, page));
    lines.extend(before(picture));
    lines.extend(position(picture));
    lines.push(format!("Gives up: {}", clock.end()));
    lines.extend([String::new(), LEAVING.to_owned()]);
    lines
}

/// What a log hears when the holder or the position changed, and every half minute.
pub(super) fn line(picture: &Picture, plan: &str, clock: Clock, page: Page<'_>) -> String {
    let what = picture.holder.as_ref().map_or_else(
        || "Waiting: the turn is being passed on".to_owned(),
        |holder| {
            let (operation, details) = (operation(holder, plan), details(holder, page));
            format!("Waiting for {operation}: {details}")
        },
    );
    let position = position(picture).join(". ");
    let clock = clock.pieces().join(", ");
    format!("{what}. {position}. {clock}.")
}

/// How the operation that was waited for ended, if not as it should; `outcome` in the audit's
/// words, `by` whoever released it by force.
pub(super) fn ended(holder: &Holder, outcome: &str, by: Option<&str>) -> Option<String> {
    let how = [
        (Outcome::OwnerDied, "died; its lock was taken back"),
        (Outcome::LeaseExpired, "hung; its lock was taken from it"),
        (Outcome::Forced, "lost its lock: it was released by force"),
        (Outcome::Cancelled, "was stopped"),
        (Outcome::Unconfirmed, "did not take up its turn"),
    ];
    let (_, how) = how
        .into_iter()
        .find(|(known, _)| known.words() == outcome)?;
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    Some(format!("{} (pid {}) {how}{by}.", holder.title, holder.pid))
}

/// SEED.md §8.1.2.
pub(super) fn started(waited: Duration) -> String {
    format!("Operation started after waiting {}.", whole_seconds(waited))
}

/// The nearest number of seconds, at least one: what was said to wait did not take none.
fn whole_seconds(waited: Duration) -> String {
    let seconds = (waited.as_millis() + 500) / 1_000;
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX).max(1);
    render::counted(seconds, "second")
}

/// As it was asked for: `--wait 50ms` is no second.
fn waited(waited: Duration) -> String {
    match u64::try_from(waited.as_millis()) {
        Ok(ms @ ..500) => render::counted(ms, "millisecond"),
        _ => whole_seconds(waited),
    }
}

/// Somebody is in the middle of a write, and it takes long.
pub(super) fn at_the_gate(writer: &str) -> String {
    format!("Waiting for the database: {writer} is writing to it...")
}

/// SEED.md §4.1.1, its first line.
pub(super) const RETRYING: &str = "Another operation is in progress on this plan. Waiting...";

/// Why it is tried again, where nobody but the operations themselves is in the way (§4.4.1).
pub(super) const DEADLOCK: &str = "Cause: deadlock detected.";

/// SEED.md §4.1.1, its second line.
pub(super) fn retry(attempt: u32, of: u32, delay: Duration) -> String {
    format!(
        "Retry {attempt}/{of}: Will retry in {}ms",
        delay.as_millis()
    )
}

/// What a wait that is over was about.
#[derive(Debug, Clone)]
pub(super) struct GivenUp<'a> {
    pub(super) waited: Duration,
    pub(super) picture: Option<&'a Picture>,
    pub(super) plan: &'a str,
    /// Whether it would have changed the context while the plan is executing.
    pub(super) is_context_under_tell: bool,
    /// For how long the place is kept, and whether by PLANDEX_ACTOR or by this terminal.
    pub(super) kept: Option<Duration>,
    pub(super) command: &'a str,
}

/// SEED.md §8.1.3, with §4.2.1's lines in place of the first and the reason where they say it
/// better.
pub(super) fn given_up(over: &GivenUp<'_>, page: Page<'_>) -> String {
    let mut top = Vec::new();
    if over.is_context_under_tell {
        top.extend([
            "Cannot update context while plan is executing.".to_owned(),
            "Wait for the current operation to complete, then try again.".to_owned(),
        ]);
    } else {
        top.extend([
            format!("Could not start operation after {}.", waited(over.waited)),
            String::new(),
            "Reason: Another operation is still in progress on this plan.".to_owned(),
        ]);
    }
    if let Some(picture) = over.picture {
        top.extend(current(picture, over.plan, page));
        top.extend(position(picture).into_iter().take(1));
    }
    top.extend([String::new(), "Nothing was changed.".to_owned()]);
    top.extend(over.kept.map(|kept| {
        let kept = whole_seconds(kept);
        format!("Your place in the queue is kept for {kept}: run the same command again.")
    }));
    top.extend([String::new(), "Options:".to_owned()]);
    let mut text = page.prose(&top);
    for (label, command, aside) in [
        ("  1. Wait and retry:", over.command, ""),
        ("  2. Check status:  ", "plandex status", ""),
        (
            "  3. Force stop:    ",
            "plandex stop",
            "(keeps the partial reply)",
        ),
    ] {
        text.push('\n');
        text.push_str(&option(label, command, aside, page));
    }
    let end = [
        String::new(),
        String::new(),
        "If this persists, the previous operation may have crashed.".to_owned(),
        "Run 'plandex doctor' to check for stale locks.".to_owned(),
    ];
    text.push_str(&page.prose(&end));
    text
}

/// A command is never broken at a space, so that it can be copied: where it does not fit beside
/// its label it has lines of its own.
fn option(label: &str, command: &str, aside: &str, page: Page<'_>) -> String {
    let one = format!("{label} {command} {aside}");
    match page.width {
        Some(width) if render::columns(one.trim_end()) > width => {
            let several = format!("{}\n     {command}\n     {aside}", label.trim_end());
            several.trim_end().to_owned()
        }
        _ => one.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests;
