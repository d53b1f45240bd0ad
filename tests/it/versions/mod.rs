//! Versions: what a plan's repository holds is what its rows say, as plain git sees it.

mod audit;
mod backup;
mod documents;
mod forks;
mod fsck;
mod old;
mod random;
mod rebuild;
mod rewind;
mod sums;
pub(crate) mod trees;
