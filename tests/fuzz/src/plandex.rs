//! The modules that are fuzzed, as they are in the library, and what stands in for their neighbours.
#![allow(dead_code, unused_imports, missing_docs, reason = "each target uses a part")]

#[path = "../../../src/plan/edits/mod.rs"]
pub mod edits;
#[path = "../../../src/plan/reply/mod.rs"]
pub mod reply;
#[path = "../../../src/platform/root/mod.rs"]
pub mod root;

/// Nobody is killed here.
pub mod crash {
    pub fn crash_point(_: &'static str) {}
}
