//! What the audit knows of how long operations take, for one wait.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;

use super::estimate::{self, Expected};
use super::rules::{Claim, Standing};
use crate::platform::clock;
use crate::store::tickets::Ticket;
use crate::store::{Store, audit};

/// So many past durations are looked at.
const SAMPLES_MOST: i64 = 50;

/// How long operations took before, by reason; each is read once a wait.
#[derive(Debug, Default)]
pub(super) struct Past(HashMap<String, Vec<i64>>);

impl Past {
    /// How long it will probably take until `me` has its turn behind those that run and those that
    /// wait before it; `None` if too little is known.
    pub(super) fn until_turn(
        &mut self,
        store: &Store,
        plan_id: &str,
        running: &[&Ticket],
        before: &[&Ticket],
        me: Claim<'_>,
    ) -> Option<Duration> {
        for ticket in running.iter().chain(before) {
            if !self.0.contains_key(&ticket.reason) {
                let past = durations(store, plan_id, &ticket.reason).unwrap_or_default();
                self.0.insert(ticket.reason.clone(), past);
            }
        }
        let (running, before) = (self.expected(running), self.expected(before));
        estimate::until_turn(&running, &before, me)
    }

    fn expected<'p>(&'p self, tickets: &[&'p Ticket]) -> Vec<Expected<'p>> {
        let now = clock::wall_ms();
        let mut expected = Vec::new();
        for ticket in tickets {
            let ran = now - ticket.granted_at.unwrap_or(now);
            expected.push(Expected {
                claim: Standing::from(*ticket).claim,
                past: self.0.get(&ticket.reason).map_or(&[], Vec::as_slice),
                ran: Duration::from_millis(u64::try_from(ran).unwrap_or_default()),
            });
        }
        expected
    }
}

/// On this plan; where that says too little, on any.
fn durations(store: &Store, plan_id: &str, reason: &str) -> Result<Vec<i64>> {
    store.read(|tx| {
        let here = audit::durations_of(tx, plan_id, reason, SAMPLES_MOST)?;
        if here.len() >= estimate::SAMPLES_LEAST {
            return Ok(here);
        }
        audit::durations(tx, reason, SAMPLES_MOST)
    })
}
