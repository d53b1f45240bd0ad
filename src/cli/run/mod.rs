//! Runs from the terminal's side: begun, shown, followed.

mod show;
mod tell;

pub(super) use tell::tell;
