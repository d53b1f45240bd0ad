//! The tests of this room, a file for each of its own.

mod environment;
mod keys;
mod settings;
