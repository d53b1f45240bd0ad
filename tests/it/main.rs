//! Tests from outside: the real binary in real processes, and the tree itself.
//!
//! One crate, so that it links once; a file per feature. `support` is what they stand on.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failing helper is a failing test; tests read, write and print as they please"
)]

mod apply;
mod apply_faults;
mod bad_input;
mod batch;
mod commands;
mod commit_crash;
mod context;
mod crash_points;
mod disk;
mod doctor;
mod documents;
mod endpoints;
mod exec;
mod follow;
mod hook;
mod log;
mod looking;
mod model;
mod pending;
mod pipeline;
mod plans;
mod queue;
mod recording;
mod release;
mod replay;
mod runs;
mod schema;
mod scripts;
mod shell;
mod support;
mod tidy;
mod versions;
mod waiting;
