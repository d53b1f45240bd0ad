//! How the commands ended: codes that mean something, no panic, no hang; and the figures.

use std::collections::BTreeMap;
use std::time::Duration;

use plandex::store::{audit, plans};

use crate::adversary::Blows;
use crate::lane::{Kind, Operation};
use crate::support::Sandbox;

/// The codes a command may end with (README has the table): done, not acquired, lost, stopped.
fn allowed(kind: Kind) -> &'static [i32] {
    match kind {
        Kind::Tell | Kind::Load | Kind::Diff => &[0, 75, 79, 143],
        // What was asked about may have changed before the turn came.
        Kind::Apply => &[0, 7, 75, 79, 143],
        // 137: its command was killed, because its owner was judged hung.
        Kind::Exec | Kind::ExecRead => &[0, 75, 79, 137, 143],
        Kind::Look => &[0],
        Kind::Stop => &[0, 75],
        Kind::Doctor => &[0, 1, 75],
    }
}

/// The codes that a signal brings on top.
const SIGNALLED: [i32; 3] = [129, 130, 143];

/// Commands that ended as no command may.
pub(crate) fn check(operations: &[Operation]) -> Vec<String> {
    let mut found = Vec::new();
    for operation in operations {
        let Operation {
            kind,
            shown,
            stderr,
            ..
        } = operation;
        let was_hit = !operation.blows.is_empty();
        let is_fine = match (operation.code, operation.signal) {
            (Some(code), _) => {
                allowed(*kind).contains(&code) || (was_hit && SIGNALLED.contains(&code))
            }
            (None, Some(signal)) => operation.blows.iter().any(|blow| blow.as_raw() == signal),
            (None, None) => false,
        };
        if operation.hung {
            found.push(format!("hung: {shown}"));
        } else if !is_fine {
            found.push(format!(
                "ended with {:?}/{:?} (blows {:?}): {shown}\n    {}",
                operation.code,
                operation.signal,
                operation.blows,
                stderr.trim().replace('\n', "\n    ")
            ));
        }
        if stderr.contains("panicked") {
            found.push(format!("panicked: {shown}\n    {}", stderr.trim()));
        }
    }
    found
}

/// Prints the figures of the run.
pub(crate) fn print(sandbox: &Sandbox, operations: &[Operation], blows: &Blows, took: Duration) {
    let rate = operations.len() as f64 / took.as_secs_f64();
    println!("{} commands, {rate:.0} a second", operations.len());
    let mut ends: BTreeMap<(Kind, String), usize> = BTreeMap::new();
    for operation in operations {
        let end = match (operation.code, operation.signal) {
            (Some(code), _) => code.to_string(),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        };
        *ends.entry((operation.kind, end)).or_default() += 1;
    }
    let mut by_kind: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for ((kind, end), count) in ends {
        by_kind
            .entry(kind)
            .or_default()
            .push(format!("{count} × {end}"));
    }
    for (kind, ends) in by_kind {
        println!("  {:<9} {}", format!("{kind:?}"), ends.join(", "));
    }
    let blows: Vec<String> = blows
        .iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect();
    println!("blows: {}", blows.join(", "));
    let longest = operations.iter().max_by_key(|operation| operation.took);
    if let Some(longest) = longest {
        println!("longest: {:?} ({:?})", longest.took, longest.kind);
    }
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let store = sandbox.store();
    let entries = store.read(|tx| {
        let mut all = Vec::new();
        for plan in plans::live(tx)? {
            all.extend(audit::history(tx, &plan.id, i64::MAX)?);
        }
        Ok(all)
    });
    let entries = entries.unwrap_or_default();
    for entry in &entries {
        let outcome = entry.outcome.clone().unwrap_or_else(|| "open".to_owned());
        *outcomes.entry(outcome).or_default() += 1;
    }
    let outcomes: Vec<String> = outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} × {outcome}"))
        .collect();
    println!("tickets: {}", outcomes.join(", "));
    let fences = entries
        .iter()
        .filter(|entry| entry.granted_at.is_some())
        .count();
    let waits = entries
        .iter()
        .filter_map(|entry| Some(entry.granted_at? - entry.queued_at));
    println!(
        "grants: {fences}, longest wait {} ms",
        waits.max().unwrap_or(0)
    );
}
