//! Runs from the terminal's side: begun, shown, followed.

pub(super) mod args;
mod build;
mod ending;
mod live;
mod people;
mod prompt;
mod show;
mod stage;
mod summary;
mod tell;

pub(super) use build::build;
pub(super) use summary::summary;
pub(super) use tell::{chat, continue_, tell};
