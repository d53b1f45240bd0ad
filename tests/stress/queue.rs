//! What the audit says of who held what and when: exclusion by fence, and the order of the line.

use std::collections::{BTreeMap, BTreeSet};

use plandex::store::audit::Entry;

use crate::ledger::conflict;

/// Checks the audit of one plan once nobody holds anything.
pub(crate) fn check(entries: &[Entry]) -> Vec<String> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.id);
    let passed_over: BTreeSet<i64> = sorted
        .iter()
        .filter(|entry| {
            let outcome = entry.outcome.as_deref();
            outcome == Some("unconfirmed") || outcome == Some("timed out")
        })
        .map(|entry| entry.ticket)
        .collect();
    let granted: Vec<&Entry> = sorted
        .into_iter()
        .filter(|entry| entry.granted_at.is_some())
        .collect();
    let mut found = overlaps(&granted);
    found.extend(inversions(&granted, &passed_over));
    found
}

/// Grants that began, by their fences, before a conflicting earlier one had ended.
fn overlaps(granted: &[&Entry]) -> Vec<String> {
    let mut found = Vec::new();
    // By scope: the latest end of a grant so far.
    let mut ends: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for entry in granted {
        let scope = scope(entry);
        let began = entry.granted_at.unwrap_or_default();
        for (other, (end, fence)) in &ends {
            if conflict(other, &scope) && *end > began {
                found.push(format!(
                    "audit: fence {} ({scope}) was granted {} ms before fence {fence} ({other}) \
                     ended",
                    entry.id,
                    end - began
                ));
            }
        }
        let Some(end) = entry.ended_at else {
            let Entry {
                id, reason, pid, ..
            } = entry;
            found.push(format!(
                "audit: fence {id} ({reason}, pid {pid}) never ended"
            ));
            continue;
        };
        let latest = ends.entry(scope).or_insert((end, entry.id));
        if end > latest.0 {
            *latest = (end, entry.id);
        }
    }
    found
}

/// Tickets that were granted before an older one. One that was granted and did not take its turn
/// up (a suspended waiter), or whose wait had timed out and whose place was kept, was passed over by
/// right, and is left out.
fn inversions(granted: &[&Entry], passed_over: &BTreeSet<i64>) -> Vec<String> {
    let mut newest = (0, 0);
    let mut found = Vec::new();
    for entry in granted
        .iter()
        .filter(|entry| !passed_over.contains(&entry.ticket))
    {
        if entry.ticket < newest.0 {
            found.push(format!(
                "audit: ticket {} (fence {}) was granted after ticket {} (fence {})",
                entry.ticket, entry.id, newest.0, newest.1
            ));
        } else {
            newest = (entry.ticket, entry.id);
        }
    }
    found
}

fn scope(entry: &Entry) -> String {
    match (entry.scope.as_str(), &entry.branch) {
        ("r", Some(branch)) => format!("r:{branch}"),
        ("r", None) => "root".to_owned(),
        _ => "w".to_owned(),
    }
}

/// Shows that the checks find what they are for.
pub(crate) fn prove() {
    let entry = |id: i64, ticket: i64, scope: &str, from: i64, to: Option<i64>| Entry {
        id,
        plan_id: String::new(),
        ticket,
        scope: scope[..1].to_owned(),
        branch: scope.strip_prefix("r:").map(str::to_owned),
        reason: String::new(),
        actor: String::new(),
        pid: 1,
        command: String::new(),
        queued_at: 0,
        granted_at: Some(from),
        ended_at: to,
        outcome: to.map(|_| "released".to_owned()),
    };
    let fine = [
        entry(1, 1, "w", 10, Some(20)),
        entry(2, 2, "r:main", 20, Some(40)),
        entry(3, 3, "r:main", 25, Some(30)),
        entry(4, 4, "w", 40, Some(41)),
    ];
    assert_eq!(check(&fine), [""; 0]);
    let count = |entries: &[Entry]| check(entries).len();
    assert_eq!(
        count(&[
            entry(1, 1, "w", 10, Some(20)),
            entry(2, 2, "w", 19, Some(30))
        ]),
        1
    );
    assert_eq!(
        count(&[
            entry(1, 1, "r:a", 10, Some(20)),
            entry(2, 2, "r:b", 19, Some(30))
        ]),
        1
    );
    assert_eq!(count(&[entry(1, 1, "w", 10, None)]), 1);
    assert_eq!(
        count(&[
            entry(1, 2, "w", 10, Some(11)),
            entry(2, 1, "w", 12, Some(13))
        ]),
        1
    );
    let mut passed = [
        entry(1, 1, "w", 5, Some(6)),
        entry(2, 2, "w", 10, Some(11)),
        entry(3, 1, "w", 12, Some(13)),
    ];
    assert_eq!(count(&passed), 1);
    passed[0].outcome = Some("unconfirmed".to_owned());
    assert_eq!(check(&passed), [""; 0]);
}
