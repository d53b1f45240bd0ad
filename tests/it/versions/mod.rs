//! Versions: what a plan's repository holds is what its rows say, as plain git sees it.

mod audit;
mod backup;
mod documents;
mod forks;
mod old;
mod random;
mod rebuild;
mod rewind;
pub(crate) mod trees;
