//! Runs from the terminal's side: begun, shown, followed.

mod after;
pub(super) mod args;
mod away;
pub(super) mod background;
mod build;
mod connect;
mod editor;
mod ending;
mod find;
mod live;
mod people;
mod prompt;
mod show;
mod stage;
mod summary;
mod tell;

pub(super) use build::build;
pub(super) use connect::{Connect, connect};
pub(super) use summary::summary;
pub(super) use tell::{chat, continue_, tell};
