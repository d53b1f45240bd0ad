//! Versions: what a plan's repository holds is what its rows say, as plain git sees it.

mod backup;
mod forks;
mod old;
mod rebuild;
mod rewind;
pub(crate) mod trees;
