//! Tests of the whole room, by part.

mod build;
mod elision;
mod files;
mod hunk;
mod hunk_round_trip;
mod label;
mod limits;
mod lines;
mod matcher;
mod path;
mod report;
mod round_trip;
mod search_replace;
mod segments;
mod whole_file_round_trip;
