//! The modules that are fuzzed, as they are in the library, and what stands in for their neighbours.
#![allow(dead_code, unused_imports, reason = "of each room a part is taken")]

pub mod plan;
pub mod platform;
