//! Plans for a code base that any number of terminals, agents and CI jobs can work on at once.
//!
//! plandex keeps *plans* (conversation, context, pending changes, versions, branches) apart from
//! the project's files and lets any number of processes work on them safely: read/write locks with
//! leases and fencing, a fair queue, and an atomic apply, all coordinated through one SQLite file.
//! There is no server. Whatever is killed, suspended, disconnected or full, nothing acknowledged is
//! lost, nothing the user wrote is overwritten, and the next command repairs what the last left.
//!
//! # The map
//!
//! Rooms in reading order, from the front door down. A room uses rooms below it and nothing beside
//! or above (but `plan` may use `context`); `tests/it/tidy.rs` holds the code to this picture.
//!
//! ```text
//! 6   cli                        the front door            (beside it: ui, the terminal)
//! 5   doctor   hook              look at everything below; note an agent's sessions
//! 4   plan   apply   context     what plandex does
//! 3   project   workers          one opened project; exec_repo_operation
//! 2   lock   repo   model        tickets · versions · providers
//! 1   store                      the SQLite file
//! 0   config   platform          this machine              (ui uses only this row)
//! ```

pub mod cli;
pub mod ui;

pub mod doctor;
pub mod hook;

pub mod apply;
pub mod context;
pub mod plan;

pub mod project;
pub mod workers;

pub mod lock;
pub mod model;
pub mod repo;

pub mod store;

pub mod config;
pub mod platform;
