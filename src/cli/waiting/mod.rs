//! What is said while an operation waits: the words, to whom, and when.
//!
//! Nothing before 400 ms. Then SEED.md §8.1.1's block once; on a terminal its last two lines
//! (position and estimate, elapsed and deadline) stand below it and are rewritten at most once a
//! second; elsewhere a line when the holder or the position changes and one every 30 s. With
//! `--json` the same as lines of JSON. All of it from the one thread that prints.

mod events;
mod picture;
mod refused;
mod words;

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::session::Cli;
use crate::lock::{LockError, Notice, Patience, Retry, RetryReason, Waiting, operation};
use crate::project::Project;
use crate::store::{StoreError, audit, history, plans};
use crate::ui::{Progress, Ui};
use events::{Event, Previous};
use picture::{Holder, Key, Picture};
use words::{Clock, Page};

pub(super) use refused::{ConcurrencyError, PlanDeleted, Refused};

/// A wait shorter than this is nobody's concern.
const SILENT: Duration = Duration::from_millis(400);
/// Between two rewrites of the standing lines, and two looks at whether something is to be said.
const TICK: Duration = Duration::from_secs(1);
/// A log hears of a wait at least this often.
const REPEAT: Duration = Duration::from_secs(30);
/// Between the two standing pieces of a line: room for the eye.
const GAP: &str = "   ";

/// The operation that waits.
pub(super) struct About<'a> {
    pub(super) plan_id: &'a str,
    /// The plan's name; its id if it cannot be read.
    plan: OnceCell<String>,
    /// The branch of a read.
    pub(super) branch: Option<&'a str>,
    /// Its stable reason.
    pub(super) operation: &'static str,
    scope: &'static str,
}

impl<'a> About<'a> {
    pub(super) fn new(
        plan_id: &'a str,
        branch: Option<&'a str>,
        operation: &'static str,
        scope: &'static str,
    ) -> Self {
        Self {
            plan_id,
            plan: OnceCell::new(),
            branch,
            operation,
            scope,
        }
    }

    /// The plan's name, read when it is first needed: most operations need not wait.
    fn plan(&self, project: &Project) -> &str {
        self.plan.get_or_init(|| {
            let plan = project.store.read(|tx| plans::by_id(tx, self.plan_id));
            plan.ok()
                .flatten()
                .map_or_else(|| self.plan_id.to_owned(), |plan| plan.name)
        })
    }

    /// Whether the command writes its events as a stream on stdout (DESIGN.md §11); all others
    /// write one document there, and their lock events on stderr.
    fn is_streamed(&self) -> bool {
        let streamed = [
            operation::TELL,
            operation::CHAT,
            operation::CONTINUE,
            operation::BUILD,
            operation::APPLY,
        ];
        streamed.iter().any(|one| one.reason() == self.operation)
    }
}

impl<'a> Page<'a> {
    fn of(ui: &'a Ui) -> Self {
        Self {
            // One column short, so that no terminal breaks a line a second time.
            width: ui.stderr_width().map(|width| width.saturating_sub(1)),
            signs: ui.signs(),
        }
    }
}

/// Runs `work`, which changes the project outside any ticket, saying when it is tried again: `what`
/// it is, and the plan it is about, if there is one already.
pub(super) fn outside_tickets<T>(
    cli: &Cli,
    project: &Project,
    (what, plan_id): (&'static str, &str),
    work: impl FnOnce(Patience, &mut dyn FnMut(&Notice)) -> Result<T>,
) -> Result<T> {
    let patience = cli.patience(project)?;
    let about = About::new(plan_id, None, what, "none");
    let mut wait = WaitText::new(cli, project, about, patience);
    let result = work(patience, &mut |notice| wait.hear(notice.clone()));
    result.map_err(|error| wait.refused(error))
}

/// What was said last, and when.
struct Shown {
    key: Option<Key>,
    holder: Option<Holder>,
    at: Instant,
}

/// What a person or program hears while an operation waits.
pub(super) struct WaitText<'a> {
    cli: &'a Cli,
    project: &'a Project,
    about: About<'a>,
    patience: Patience,
    begun: Instant,
    latest: Option<Waiting>,
    shown: Option<Shown>,
    has_retried: bool,
    /// The ticket and the fence, once it is held.
    held: Option<(i64, i64)>,
    progress: Progress,
}

impl<'a> WaitText<'a> {
    pub(super) fn new(
        cli: &'a Cli,
        project: &'a Project,
        about: About<'a>,
        patience: Patience,
    ) -> Self {
        Self {
            cli,
            project,
            about,
            patience,
            begun: Instant::now(),
            latest: None,
            shown: None,
            has_retried: false,
            held: None,
            progress: cli.ui.progress(),
        }
    }

    /// Hears what the wait reports.
    pub(super) fn hear(&mut self, notice: Notice) {
        match notice {
            Notice::Waiting(waiting) => {
                self.latest = Some(waiting);
                self.show();
            }
            Notice::Retrying(retry) => self.retry(&retry),
        }
    }

    /// When to call [`show`](Self::show) although nothing was heard.
    pub(super) fn due(&self) -> Duration {
        const NEVER: Duration = Duration::from_secs(3600);
        if self.held.is_some() {
            return NEVER;
        }
        let silent = SILENT.saturating_sub(self.begun.elapsed());
        let rest = match &self.shown {
            _ if !silent.is_zero() => silent,
            // Nothing is known that could be said: looked at again soon.
            None => TICK / 5,
            // The standing lines move with the clock, a log when its half minute is over.
            Some(shown) if self.latest.is_some() && self.cli.ui.is_live() => {
                TICK.saturating_sub(shown.at.elapsed())
            }
            Some(_) => TICK,
        };
        rest.max(Duration::from_millis(1))
    }

    /// Says what there is to say by now.
    pub(super) fn show(&mut self) {
        if self.held.is_some() || self.begun.elapsed() < SILENT {
            return;
        }
        let Some(waiting) = &self.latest else {
            return self.show_gate();
        };
        let picture = Picture::of(self.cli, self.project, waiting);
        let key = picture.key();
        let last = self.shown.as_ref().and_then(|shown| shown.key);
        if self.cli.ui.is_live() {
            return self.show_live(picture, last);
        }
        let ago = self.shown.as_ref().map(|shown| shown.at.elapsed());
        if !is_due(last, key, ago) {
            return;
        }
        let previous = self.previous(&picture);
        if self.cli.json {
            let kind = if last.is_none() {
                "lock.waiting"
            } else {
                "lock.progress"
            };
            let previous = previous.map(|(previous, _)| previous);
            self.event(&Event {
                line: Some((&picture).into()),
                previous,
                ..self.event_of(kind)
            });
        } else {
            let (page, clock) = (Page::of(&self.cli.ui), self.clock());
            if let Some((_, words)) = previous {
                self.note(&words);
            }
            if last.is_none() {
                let block = words::block(&picture, self.about.plan(self.project), clock, page);
                self.note_lines(&block);
            } else {
                let line = words::line(&picture, self.about.plan(self.project), clock, page);
                self.note(&line);
            }
        }
        self.said(Some(key), picture.holder);
    }

    fn show_live(&mut self, picture: Picture, last: Option<Key>) {
        let page = Page::of(&self.cli.ui);
        let key = picture.key();
        let standing = [words::position(&picture), self.clock().pieces()];
        match last {
            None => {
                let block = words::standing_block(&picture, self.about.plan(self.project), page);
                self.note_lines(&block);
            }
            Some(last) if last.holder != key.holder => {
                if self.ago().is_some_and(|ago| ago < TICK) {
                    // With the next rewrite: the screen moves once a second and no oftener.
                    return;
                }
                if let Some((_, words)) = self.previous(&picture) {
                    self.note(&words);
                }
                let current = words::current(&picture, self.about.plan(self.project), page);
                self.note_lines(&current);
            }
            Some(_) => {}
        }
        let [position, clock] = &standing;
        let gap_of_clock = vec![clock.join(", ")];
        if self.progress.stand(&[position.clone(), gap_of_clock], GAP) {
            self.said(Some(key), picture.holder);
        }
    }

    /// Nothing of the line is known yet: somebody may stand in the gate before it.
    fn show_gate(&mut self) {
        if self.shown.is_some() {
            return;
        }
        let Some(writer) = self.project.store.writer() else {
            return;
        };
        if self.cli.json {
            self.event(&Event {
                writer: Some(writer),
                ..self.event_of("lock.waiting")
            });
        } else {
            self.note(&words::at_the_gate(&writer));
        }
        self.said(None, None);
    }

    /// SEED.md §4.1.1: said at once, however short the wait was so far, because the pause is long.
    fn retry(&mut self, retry: &Retry) {
        self.latest = None;
        self.progress.clear();
        if self.cli.json {
            let kind = if self.shown.is_none() {
                "lock.waiting"
            } else {
                "lock.progress"
            };
            self.event(&Event {
                retry: Some(retry.into()),
                ..self.event_of(kind)
            });
        } else {
            if !self.has_retried {
                self.note(words::RETRYING);
            }
            if !self.has_retried && retry.why == RetryReason::Deadlock {
                self.note(words::DEADLOCK);
            }
            self.note(&words::retry(retry.attempt, retry.of, retry.delay));
        }
        self.has_retried = true;
        self.said(None, None);
    }

    /// The wait is over, and the lock held: says how long it took, if it was said to last.
    pub(super) fn over(&mut self, ticket: i64, fence: i64) {
        self.held = Some((ticket, fence));
        self.progress.clear();
        let was_shown = self.shown.is_some();
        let previous = self.latest.as_ref().and_then(|_| {
            let holder = self.shown.as_ref()?.holder.as_ref()?;
            self.end_of(holder)
        });
        if self.cli.json {
            if was_shown {
                self.event(&Event {
                    previous: previous.map(|(previous, _)| previous),
                    ..self.event_of("lock.acquired")
                });
            }
        } else if was_shown {
            if let Some((_, words)) = previous {
                self.note(&words);
            }
            self.note(&words::started(self.begun.elapsed()));
        }
    }

    /// The operation has ended with `error`: says so to a program that follows, and gives the
    /// error what it was about.
    pub(super) fn refused(self, error: Error) -> Error {
        self.progress.clear();
        let kind = match (error.downcast_ref(), error.downcast_ref()) {
            (Some(LockError::Timeout { .. }), _) => Some("lock.timeout"),
            (_, Some(StoreError::LockLost { .. })) => Some("lock.lost"),
            _ => None,
        };
        if let (Some(kind), true) = (kind, self.cli.json) {
            let picture = self
                .latest
                .as_ref()
                .filter(|_| kind == "lock.timeout")
                .map(|waiting| Picture::of(self.cli, self.project, waiting));
            self.event(&Event {
                line: picture.as_ref().map(Into::into),
                gives_up_in_seconds: None,
                ..self.event_of(kind)
            });
        }
        if !refused::is_about_locks(&error) {
            return error;
        }
        if matches!(error.downcast_ref(), Some(LockError::Removed))
            && let Err(deleted) = PlanDeleted::check(self.project, self.about.plan_id)
        {
            return deleted;
        }
        let refused = Refused::look(self.cli, self.project, &self.about, &error, self.held);
        error.context(refused)
    }

    /// How the operation that was waited for until now ended, if another one runs by now.
    fn previous(&self, picture: &Picture) -> Option<(Previous, String)> {
        let holder = self.shown.as_ref()?.holder.as_ref()?;
        let now = picture.holder.as_ref().map(|holder| holder.ticket);
        if now == Some(holder.ticket) {
            return None;
        }
        self.end_of(holder)
    }

    fn end_of(&self, holder: &Holder) -> Option<(Previous, String)> {
        /// So many grants may have come since; the next one is ours as a rule.
        const NEWEST: i64 = 200;
        let plan_id = self.about.plan_id;
        let look = self
            .project
            .store
            .read(|tx| audit::history(tx, plan_id, NEWEST));
        let entry = look
            .ok()?
            .into_iter()
            .find(|entry| entry.id == holder.fence)?;
        let outcome = entry.outcome?;
        let store = &self.project.store;
        let by = store.read(|tx| history::forced_by(tx, holder.fence));
        let words = words::ended(holder, &outcome, by.ok().flatten().as_deref())?;
        let ticket = holder.ticket;
        Some((Previous { ticket, outcome }, words))
    }

    fn clock(&self) -> Clock {
        Clock {
            waited: self.begun.elapsed(),
            left: self.patience.left(),
        }
    }

    fn ago(&self) -> Option<Duration> {
        self.shown.as_ref().map(|shown| shown.at.elapsed())
    }

    fn said(&mut self, key: Option<Key>, holder: Option<Holder>) {
        let at = Instant::now();
        self.shown = Some(Shown { key, holder, at });
    }

    fn note(&self, text: &str) {
        self.note_lines(&[text.to_owned()]);
    }

    fn note_lines(&self, lines: &[String]) {
        self.cli.ui.note(Page::of(&self.cli.ui).prose(lines));
    }

    fn event_of(&self, kind: &'static str) -> Event<'_> {
        Event {
            r#type: kind,
            plan_id: self.about.plan_id,
            branch: self.about.branch,
            operation: self.about.operation,
            scope: self.about.scope,
            ticket: self
                .held
                .map(|held| held.0)
                .or(self.latest.as_ref().map(|waiting| waiting.ticket)),
            fencing_token: self.held.map(|held| held.1),
            waited_ms: u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            gives_up_in_seconds: self
                .patience
                .left()
                .filter(|_| self.held.is_none())
                .map(events::seconds_up),
            ..Event::default()
        }
    }

    fn event(&self, event: &Event<'_>) {
        let stamped = self.cli.stamped(event);
        if self.about.is_streamed() {
            self.cli.ui.json(&stamped);
        } else {
            self.cli.ui.json_error(&stamped);
        }
    }
}

/// Whether a log or a program hears of the line now: it never did, the holder or the position
/// changed, or it heard nothing for half a minute. Pure.
fn is_due(last: Option<Key>, now: Key, ago: Option<Duration>) -> bool {
    last != Some(now) || ago.is_none_or(|ago| ago >= REPEAT)
}

#[cfg(test)]
mod tests;
