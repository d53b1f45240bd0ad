//! Runs from the terminal's side: begun, shown, followed.

mod away;
pub(super) mod background;
mod connect;
mod find;
mod show;
mod tell;

pub(super) use background::Background;
pub(super) use connect::{Connect, connect};
pub(super) use tell::tell;
