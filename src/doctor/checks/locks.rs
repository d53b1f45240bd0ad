//! Tickets: who holds what, whether they live, how long they have been at it, who waits.

use crate::doctor::Scene;
use crate::doctor::age::{in_words, rfc3339, seconds_between};
use crate::doctor::report::{ActiveLock, Holder, Issue, Kind, Report, Severity, StaleLock};
use crate::doctor::seen::{Seat, Seen};
use crate::lock::operation;
use crate::platform::{clock, process};
use crate::store::tickets::{State, Ticket};
use crate::store::{Store, audit};

use super::{count, seen};

/// Fewer past operations than this say nothing about how long one takes.
const SAMPLES_LEAST: usize = 5;
const SAMPLES_MOST: i64 = 200;

/// How a ticket stands.
enum Standing {
    /// Its owner lives and renews it, or waits.
    Fine,
    /// The lease is not over, but a heartbeat is late by this much.
    Late(i64),
    /// Its owner lives and hangs.
    Stale,
    /// Nobody will ever release it.
    Orphaned(&'static str),
}

pub(in crate::doctor) fn locks(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Locks";
    let Some(seen) = seen(scene, report, NAME) else {
        return;
    };
    let lease = seen.intervals.lease;
    report.lease_seconds = Some(lease.as_secs() + u64::from(lease.subsec_nanos() > 0));
    let before = report.issues.len();
    for seat in &seen.seats {
        let (ticket, name) = (&seat.ticket, seen.name(&seat.ticket.plan_id));
        match judge(seat, seen, scene.now_ms) {
            Standing::Fine => {}
            Standing::Late(silence) => report.find(late(ticket, &name, silence)),
            Standing::Stale => {
                report
                    .stale_locks
                    .push(stale_lock(ticket, &name, scene.now_ms));
                report.find(stale(ticket, &name));
                continue;
            }
            Standing::Orphaned(why) => {
                report
                    .stale_locks
                    .push(stale_lock(ticket, &name, scene.now_ms));
                report.find(orphaned(seat, &name, why));
                continue;
            }
        }
        if ticket.state.blocks() {
            report
                .active_locks
                .push(active_lock(ticket, &name, scene.now_ms));
            if let Ok(store) = &scene.store {
                report
                    .issues
                    .extend(long_running(scene, store, ticket, &name));
            }
        }
    }
    let message = match (report.active_locks.len(), report.stale_locks.len()) {
        (active, 0) => format!("{active} held"),
        (active, stale) => format!("{active} held, {stale} stale"),
    };
    report.check(NAME, report.state_since(before), message);
}

fn judge(seat: &Seat, seen: &Seen, now_ms: i64) -> Standing {
    let ticket = &seat.ticket;
    if seat.is_kept_place() {
        return Standing::Fine;
    }
    if !seat.owner_lives {
        return Standing::Orphaned("its process is dead");
    }
    let lease = i64::try_from(seen.intervals.lease.as_millis()).unwrap_or(i64::MAX);
    let heartbeat = i64::try_from(seen.intervals.heartbeat.as_millis()).unwrap_or(i64::MAX);
    // A plan's own deletion runs under its ticket, so a moment of it proves nothing.
    let since = ticket.granted_at.unwrap_or(ticket.queued_at);
    if !seen.names.contains_key(&ticket.plan_id) && now_ms.saturating_sub(since) > lease {
        return Standing::Orphaned("its plan is gone");
    }
    let silence = ticket.silence_ms().unwrap_or(0);
    match ticket.state {
        State::Condemned => Standing::Stale,
        State::Held if silence > lease => Standing::Stale,
        State::Held if silence > heartbeat.saturating_mul(2) => Standing::Late(silence),
        State::Held | State::Waiting | State::Granted | State::Parked => Standing::Fine,
    }
}

fn orphaned(seat: &Seat, plan: &str, why: &str) -> Issue {
    let ticket = &seat.ticket;
    let what = if ticket.state.blocks() {
        format!("a {} lock", ticket.scope.word())
    } else {
        "a place in line".to_owned()
    };
    let description = format!("Plan \"{plan}\": {what} is left over ({why})");
    let issue = Issue::new(Kind::OrphanedLock, Severity::Warning, description)
        .on_plan(&ticket.plan_id)
        .on_lock(ticket.id)
        .seen_by(evidence(ticket));
    if seat.owner_lives {
        issue.suggest(format!("end pid {} ({})", ticket.pid, ticket.command))
    } else {
        issue.fixed_by("remove it and grant the next in line")
    }
}

fn stale(ticket: &Ticket, plan: &str) -> Issue {
    let description = format!(
        "Plan \"{plan}\": the {} lock of pid {} ({}) has expired; its process hangs or is suspended",
        ticket.scope.word(),
        ticket.pid,
        ticket.command
    );
    Issue::new(Kind::StaleLock, Severity::Warning, description)
        .on_plan(&ticket.plan_id)
        .on_lock(ticket.id)
        .seen_by(evidence(ticket))
        .fixed_by("look again, fence its process off, remove it and grant the next in line")
}

fn late(ticket: &Ticket, plan: &str, silence: i64) -> Issue {
    let description = format!(
        "Plan \"{plan}\": pid {} ({}) has missed a heartbeat",
        ticket.pid, ticket.command
    );
    Issue::new(Kind::HeartbeatMissed, Severity::Info, description)
        .on_plan(&ticket.plan_id)
        .on_lock(ticket.id)
        .suggest(
            "nothing, unless it stays so: is the process suspended, or the machine overloaded?",
        )
        .seen_by(format!("the last one was {silence} ms ago"))
}

fn evidence(ticket: &Ticket) -> String {
    let heartbeat = rfc3339(ticket.last_heartbeat_at).unwrap_or_else(|| "never".to_owned());
    let owner = match ticket.owner_id.as_str() {
        "" => "no owner".to_owned(),
        id => format!("owner {id}"),
    };
    format!(
        "ticket {} ({}), fence {}, \"{}\", pid {}, {owner}, last heartbeat {heartbeat}",
        ticket.id,
        ticket.state.word(),
        ticket.fence,
        ticket.reason,
        ticket.pid
    )
}

/// An operation that takes longer than 30 minutes, or than ten times what nearly all of its kind
/// took.
fn long_running(scene: &Scene<'_>, store: &Store, ticket: &Ticket, plan: &str) -> Option<Issue> {
    let held = held_ms(ticket, scene.now_ms)?;
    let usual = store
        .read(|tx| audit::durations(tx, &ticket.reason, SAMPLES_MOST))
        .ok()
        .and_then(p95);
    let limit = usual.map_or(scene.limits.long_ms, |p95| {
        let unusual = p95.saturating_mul(10).max(scene.limits.long_ms_least);
        unusual.min(scene.limits.long_ms)
    });
    if held <= limit {
        return None;
    }
    let title = operation::title_of(&ticket.reason);
    let words = in_words(seconds_between(0, held));
    let description = format!(
        "Plan \"{plan}\": {title} by pid {} has been running for {words}",
        ticket.pid
    );
    let usual = usual.map_or_else(
        || "too few past operations to compare with".to_owned(),
        |p95| format!("19 of 20 like it took {p95} ms at the most"),
    );
    let issue = Issue::new(Kind::LongRunningOperation, Severity::Info, description)
        .on_plan(&ticket.plan_id)
        .on_lock(ticket.id)
        .suggest("`plandex ps` shows it; `plandex stop` ends it and keeps the partial reply")
        .seen_by(usual);
    Some(issue)
}

/// By the wall, but never longer than its process lives: a clock that was set tells nothing.
fn held_ms(ticket: &Ticket, now_ms: i64) -> Option<i64> {
    let by_wall = now_ms.saturating_sub(ticket.granted_at?);
    let is_visible = ticket.pid_ns == clock::namespace("pid");
    let lived = is_visible.then(|| process::age_ms(ticket.pid, ticket.process_start));
    Some(lived.flatten().map_or(by_wall, |lived| by_wall.min(lived)))
}

/// What 95 of 100 stay within; `None` of too few.
fn p95(mut durations: Vec<i64>) -> Option<i64> {
    if durations.len() < SAMPLES_LEAST {
        return None;
    }
    durations.sort_unstable();
    let rank = (durations.len() * 95).div_ceil(100);
    durations.get(rank - 1).copied()
}

pub(in crate::doctor) fn queue(scene: &Scene<'_>, report: &mut Report) {
    const NAME: &str = "Queue";
    let Some(seen) = seen(scene, report, NAME) else {
        return;
    };
    let before = report.issues.len();
    let waiting: Vec<&Ticket> = seen
        .seats
        .iter()
        .filter(|seat| seat.is_waiting())
        .map(|seat| &seat.ticket)
        .collect();
    // Tickets come plan by plan.
    for line in waiting.chunk_by(|one, two| one.plan_id == two.plan_id) {
        let oldest = line
            .iter()
            .map(|ticket| waited_ms(ticket, scene.now_ms))
            .max();
        let oldest = oldest.unwrap_or(0);
        if line.len() < scene.limits.waiting && oldest <= scene.limits.waiting_ms {
            continue;
        }
        let plan = &line[0].plan_id;
        let description = format!(
            "Plan \"{}\": {} in line, the oldest for {}",
            seen.name(plan),
            count(line.len(), "operation", "operations"),
            in_words(seconds_between(0, oldest))
        );
        let tickets: Vec<String> = line.iter().map(|ticket| ticket.id.to_string()).collect();
        report.find(
            Issue::new(Kind::QueueBacklog, Severity::Warning, description)
                .on_plan(plan)
                .suggest("`plandex ps` shows what they wait for; `plandex stop` ends it")
                .seen_by(format!("tickets {}", tickets.join(", "))),
        );
    }
    let message = match waiting.len() {
        0 => "empty".to_owned(),
        many => format!("{many} waiting"),
    };
    report.check(NAME, report.state_since(before), message);
}

/// By the monotonic clock where it is ours: a ticket that waits keeps the stamp of its arrival.
fn waited_ms(ticket: &Ticket, now_ms: i64) -> i64 {
    let by_wall = || now_ms.saturating_sub(ticket.queued_at);
    ticket.silence_ms().unwrap_or_else(by_wall)
}

fn stale_lock(ticket: &Ticket, plan_name: &str, now_ms: i64) -> StaleLock {
    let granted = ticket.granted_at.unwrap_or(ticket.queued_at);
    // A row that somebody wrote by hand may know only one of its times.
    let born = [granted, ticket.last_heartbeat_at]
        .into_iter()
        .find(|at| *at > 0);
    let age_seconds = born.map_or(0, |born| seconds_between(born, now_ms));
    StaleLock {
        lock_id: ticket.id.to_string(),
        plan_id: ticket.plan_id.clone(),
        plan_name: plan_name.to_owned(),
        branch: ticket.branch.clone(),
        scope: ticket.scope.word().to_owned(),
        last_heartbeat: rfc3339(ticket.last_heartbeat_at),
        age: born.map_or_else(|| "unknown".to_owned(), |_| in_words(age_seconds)),
        age_seconds,
        created_at: rfc3339(granted),
    }
}

fn active_lock(ticket: &Ticket, plan_name: &str, now_ms: i64) -> ActiveLock {
    let granted = ticket.granted_at.unwrap_or(ticket.queued_at);
    let visible = ticket.pid_ns == clock::namespace("pid");
    let suspended = visible && process::is_stopped(ticket.pid, ticket.process_start);
    ActiveLock {
        lock_id: ticket.id.to_string(),
        plan_id: ticket.plan_id.clone(),
        plan_name: plan_name.to_owned(),
        branch: ticket.branch.clone(),
        scope: ticket.scope.word().to_owned(),
        last_heartbeat: rfc3339(ticket.last_heartbeat_at),
        created_at: rfc3339(granted),
        reason: ticket.reason.clone(),
        holder: Some(Holder {
            pid: ticket.pid,
            command: ticket.command.clone(),
            actor: Some(ticket.actor.clone()).filter(|actor| !actor.is_empty()),
            state: if suspended { "suspended" } else { "running" }.to_owned(),
            held_seconds: seconds_between(0, held_ms(ticket, now_ms).unwrap_or(0)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::p95;

    #[test]
    fn ninety_five_of_a_hundred_stay_within_p95() {
        assert_eq!(p95((1..=100).rev().collect()), Some(95));
        assert_eq!(p95(vec![7, 7, 7, 7, 900]), Some(900));
        assert_eq!(p95(vec![1, 2, 3, 4]), None);
    }
}
