//! Of `platform`, paths below a root.

#[path = "../../../src/platform/root/mod.rs"]
pub mod root;

/// Nobody is killed here.
pub mod crash {
    pub fn crash_point(_: &'static str) {}
}
