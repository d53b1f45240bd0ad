//! Of `plan`, what knows nothing of projects.

#[path = "../../../src/plan/edits/mod.rs"]
pub mod edits;
#[path = "../../../src/plan/reply/mod.rs"]
pub mod reply;
