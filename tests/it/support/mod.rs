//! What the tests stand on: a project of one's own, processes that cannot hang unseen, and
//! conditions instead of pauses.
//!
//! The one hard rule: nothing is ordered by sleeping. "A is in the middle of its answer while B
//! applies" is made true (A reads its reply from a pipe that the test holds open) and then seen to
//! be true (`Sandbox::until`), so that a test says the same on a slow machine. Every wait has a
//! deadline, and what ends at one shows the output of every process that was started.

mod dump;
mod line;
mod model_server;
mod process;
mod sandbox;
pub(crate) mod skip;
mod terminal;
mod watchdog;

mod tests;

pub(crate) use dump::dump;
pub(crate) use line::{
    Awake, SOON, holds, project, raw, suspend, suspended_at, suspending, until_state, waits,
};
pub(crate) use model_server::{Answer, Cut, Framing, ModelServer};
pub(crate) use process::{Background, Outcome, Run};
pub(crate) use sandbox::Sandbox;
pub(crate) use skip::{needs, skip};
pub(crate) use terminal::OnTerminal;
pub(crate) use watchdog::{LIMIT, poll};
